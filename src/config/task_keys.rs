//! The keys of a task: the one table of them.

use super::database_keys::database_uses;
use super::diagnostic::{At, Located};
use super::edges::{self, EDGES, ENV, POST_EDGES, STEPS, STRINGS, TEXT};
use super::entries::{self, ARGS};
use super::execute::{self, EXECUTE, PLATFORM};
use super::keys::{Key, Only, Scope, Set, Shape};
use super::pattern::Pattern;
use super::service::service;
use super::soak::{Soak, soak};
use super::task::{Dep, Expect, Task};
use super::task_values::{allow, argv, cache, check_name, confirm, names, on_fail, patterns, run};
use super::uses::{self, NODE_NAMES, NodeKind, With};
use super::values::Reader;
use crate::model::Gate;

/// A task while it is read.
#[derive(Clone)]
pub(super) struct Draft {
    /// What has been read, with defaults for the rest.
    pub(super) task: Task,
    /// `run`.
    pub(super) run: Option<Vec<String>>,
    /// `exec`.
    pub(super) exec: Option<Vec<String>>,
    /// `junit`.
    pub(super) junit: Vec<Located<Pattern>>,
    /// `expect`.
    pub(super) expect: Expect,
    /// `uses`.
    pub(super) uses: Option<Located<NodeKind>>,
    /// `with`.
    pub(super) with: With,
    /// `soak`.
    pub(super) soak: Option<Soak>,
    /// `sequence`.
    pub(super) sequence: Option<Vec<Vec<Located<Dep>>>>,
    /// Every key given, good or not, and where.
    pub(super) given: Vec<(&'static Key<Set<Draft>>, At)>,
}

const fn key(
    name: &'static str,
    shape: Shape,
    example: &'static str,
    doc: &'static str,
    read: Set<Draft>,
) -> Key<Set<Draft>> {
    Key::new(name, shape, example, doc, read)
}

/// A key of tasks that run something.
const fn command(
    name: &'static str,
    shape: Shape,
    example: &'static str,
    doc: &'static str,
    read: Set<Draft>,
) -> Key<Set<Draft>> {
    Key::new(name, shape, example, doc, read).only(Only::Command)
}

/// A key of tasks that do something themselves.
const fn acting(
    name: &'static str,
    shape: Shape,
    example: &'static str,
    doc: &'static str,
    read: Set<Draft>,
) -> Key<Set<Draft>> {
    Key::new(name, shape, example, doc, read).only(Only::Acting)
}

const PATTERNS: Shape = Shape::Any(&[Shape::Text("path or glob"), Shape::List(&Shape::Text("path or glob"), false)]);
const PATHS: Shape = Shape::Any(&[Shape::Text("path"), Shape::List(&Shape::Text("path"), false)]);
const WITH: Shape = Shape::Any(&[
    Shape::Table("db.migrate"),
    Shape::Table("db.baseline"),
    Shape::Table("db.gate"),
    Shape::Table("db.up"),
    Shape::Table("check.graph"),
    Shape::Table("check.drift"),
    Shape::Table("check.forbid"),
    Shape::Table("check.same"),
    Shape::Table("check.exists"),
    Shape::Table("check.branch"),
    Shape::Table("check.cochange"),
    Shape::Table("proof.crash"),
]);
const USE: Shape = Shape::Any(&[TEXT, Shape::Table("database-use")]);
const DATABASES: Shape = Shape::Any(&[TEXT, Shape::Table("database-use"), Shape::List(&USE, false)]);
const ARGV: Shape = Shape::List(&TEXT, true);
const FAIL_WORDS: Shape = Shape::Words(&["fail", "warn"]);

/// `[tasks.NAME]`.
pub(super) static TASK: Scope<Set<Draft>> = Scope {
    what: "a task",
    keys: &[
        key("description", TEXT, "\"Compile the release binary\"", "What it is for; shown in lists.", |d, r, e| {
            d.task.description = r.string(e.value)
        }),
        key(
            "run",
            Shape::Any(&[TEXT, Shape::List(&TEXT, true)]),
            "\"cargo build\"",
            "A string or a list of strings, each given to the shell, stopping at the first failure. Arguments arrive as `\"$@\"`.",
            run,
        ),
        key(
            "exec",
            ARGV,
            "[\"cargo\", \"build\"]",
            "An argument vector, started without a shell. Arguments are appended.",
            |d, r, e| {
                d.exec = argv(r, e, "`exec`");
            },
        ),
        key(
            "uses",
            Shape::Words(&NODE_NAMES),
            "\"db.migrate\"",
            "A built-in node, in place of a command.",
            |d, r, e| {
                d.uses = uses::node_kind(r, e.value).map(|kind| Located::new(kind, r.at(e.value.span())));
            },
        ),
        key("with", WITH, "{ db = \"app\" }", "The parameters of the built-in node.", |d, r, e| {
            let (Some(kind), Some(table)) = (d.uses.as_ref().map(|uses| uses.value), r.table(e.value)) else { return };
            let at = r.at(e.value.span());
            uses::parameters(kind).read(r, table, at, &mut d.with);
        }),
        acting(
            "gate",
            Shape::Table("gate-of-task"),
            "{ id = \"no-todo\", title = \"Nothing is left to do\" }",
            "It is a gate: its outcome is recorded as evidence, under this id.",
            |d, r, e| {
                let Some(table) = r.table(e.value) else { return };
                let at = r.at(e.value.span());
                let mut gate = Gate { id: String::new(), title: None };
                entries::GATE.read(r, table, at, &mut gate);
                d.task.gate = (!gate.id.is_empty()).then(|| Located::new(gate, at));
            },
        ),
        command(
            "artifacts",
            Shape::Any(&[PATTERNS, Shape::Table("artifacts")]),
            "{ files = [\"coverage\"], kind = \"auxiliary\" }",
            "Files that are kept with the run, whatever its outcome, apart from evidence.",
            |d, r, e| {
                d.task.artifacts = entries::artifacts(r, e.value);
            },
        ),
        command(
            "junit",
            PATTERNS,
            "\"target/junit.xml\"",
            "Where its test report lands, as JUnit XML. One that is missing, was not written by this run or holds no test fails the task, whatever the command's exit status.",
            |d, r, e| {
                d.junit = patterns(r, e, "junit").map(|list| list.value).unwrap_or_default();
            },
        ),
        command(
            "expect",
            Shape::Table("expect"),
            "{ min_tests = 100, max_skipped = 0 }",
            "What the test report must hold.",
            |d, r, e| {
                if let Some(table) = r.table(e.value) {
                    d.expect = Expect::default();
                    entries::EXPECT.read(r, table, e.key, &mut d.expect);
                }
            },
        ),
        command(
            "database",
            DATABASES,
            "{ name = \"app\", clone = true }",
            "The databases it uses, by name in `[db]`, or a table. Their state is part of its key; it is told where they are, and has each to itself unless it shares it or gets a clone.",
            |d, r, e| {
                d.task.databases = database_uses(r, e.value);
            },
        ),
        command(
            "service",
            Shape::Table("service"),
            "{ ready = { tcp = \"127.0.0.1:3000\" }, stop = \"TERM\" }",
            "It is long-lived: it starts for the first task depending on it that really runs, is waited for until it is ready, and is stopped when the last of them has ended. Run by name, it stays until Ctrl-C.",
            |d, r, e| {
                d.task.service = service(r, e.value).map(|service| Located::new(service, r.at(e.value.span())));
            },
        ),
        command(
            "ports",
            entries::PORTS,
            "{ PORT = 3001 }",
            "Ports it is given while it runs, by the names of variables, or a table with the number that each prefers. The variable from outside wins, then the preference, then a free one, which no other run on this machine is given meanwhile. Only their names are in its key.",
            |d, r, e| {
                d.task.ports = entries::ports(r, e.value);
            },
        ),
        key(
            "soak",
            Shape::Table("soak"),
            "{ task = \"test:unit\", runs = 200 }",
            "Repeats another task: so many times, for so long, or until it fails, one after the other or several at once. Each iteration has ports, a scratch directory (`$WEIR_SCRATCH`) and a clone of a database of its own. Runs only when it is forced (`-f`), and is never cached.",
            |d, r, e| {
                d.soak = soak(r, e.value);
            },
        ),
        key(
            "sequence",
            STEPS,
            "[\"build\", [\"test\", \"lint\"], \"deploy\"]",
            "Steps in order; a list inside it is a step whose tasks run in parallel.",
            |d, r, e| {
                d.sequence = edges::steps(r, e.value);
            },
        ),
        key(
            "depends",
            EDGES,
            "[\"gen\", { task = \"test:*\", optional = true }]",
            "What must have succeeded first, and whose outputs are inputs of this task: names, globs of names, or tables.",
            |d, r, e| {
                d.task.depends = edges::dependencies(r, e.value).unwrap_or_default();
            },
        ),
        key(
            "depends_post",
            POST_EDGES,
            "[{ task = \"db:down\", when = \"always\" }]",
            "Cleanup: runs after this task, if it was started.",
            |d, r, e| {
                d.task.depends_post = edges::cleanups(r, e.value).unwrap_or_default();
            },
        ),
        key(
            "wait_for",
            STRINGS,
            "[\"gen:*\"]",
            "Comes after these, but only if they are in the run anyway; what they do is no input.",
            |d, r, e| {
                let wait = r.strings(e.value, |r, v| {
                    let at = r.at(v.span());
                    edges::task_reference(r, v).map(|name| Located::new(name, at))
                });
                d.task.wait_for = wait.unwrap_or_default();
            },
        ),
        command(
            "args",
            ARGS,
            "[{ name = \"target\", choices = [\"dev\", \"prod\"], default = \"dev\" }]",
            "Declared arguments, also in `$WEIR_ARG_NAME`; names or tables.",
            |d, r, e| {
                d.task.args = entries::arguments(r, e.value).unwrap_or_default();
            },
        ),
        command(
            "sources",
            PATTERNS,
            "[\"Cargo.toml\", \"src\", \"!src/gen\"]",
            "Every file it reads: files, directories, globs, `!` negations, relative to the folder of this file. Without it the task always runs; `[]` means it reads no file.",
            |d, r, e| {
                d.task.sources = patterns(r, e, "sources");
            },
        ),
        command(
            "outputs",
            PATTERNS,
            "[\"target/release/weir\"]",
            "Every file it writes, restored from the cache on a hit. `[]` means that only its verdict counts. Without it nobody knows what it does, and only its last result counts: two calls of one task with other arguments or variables then take turns, and each runs again.",
            |d, r, e| {
                d.task.outputs = patterns(r, e, "outputs");
            },
        ),
        command(
            "writes",
            PATTERNS,
            "[\"src\"]",
            "Tracked files it changes, as formatters and generators of committed code do. Such a task is never cached, and tasks that read these files go after it.",
            |d, r, e| {
                d.task.writes = patterns(r, e, "writes").map(|list| list.value).unwrap_or_default();
            },
        ),
        key("manual", Shape::Bool, "true", "Only ever run by name; depending on it is an error.", |d, r, e| {
            d.task.manual = r.boolean(e.value).unwrap_or_default().then_some(e.key);
        }),
        command("env", ENV, "{ RUST_BACKTRACE = 1 }", "Variables set for it; part of its key.", |d, r, e| {
            if let Some(env) = r.env(e.value) {
                d.task.env.extend(env);
            }
        }),
        command(
            "env_file",
            PATHS,
            "[\".env\"]",
            "Files of `NAME=value` lines; the values are part of its key and masked in all output.",
            |d, r, e| {
                let files = r.strings(e.value, |r, v| {
                    let at = r.at(v.span());
                    r.path(v).map(|path| Located::new(path, at))
                });
                d.task.env_file = files.unwrap_or_default();
            },
        ),
        command(
            "path",
            PATHS,
            "[\"node_modules/.bin\"]",
            "Folders put in front of PATH; the first wins.",
            |d, r, e| {
                d.task.path = r.strings(e.value, Reader::path).unwrap_or_default();
            },
        ),
        command(
            "env_inputs",
            STRINGS,
            "[\"CI\", \"CARGO_*\"]",
            "Variables taken from outside that are part of its key; a `*` at the end matches any rest.",
            |d, r, e| {
                d.task.env_inputs = names(r, e, true);
            },
        ),
        command(
            "pass_through",
            STRINGS,
            "[\"SSH_AUTH_SOCK\"]",
            "Variables taken from outside that are not part of its key; a `*` at the end matches any rest.",
            |d, r, e| {
                d.task.pass_through = names(r, e, true);
            },
        ),
        command(
            "env_required",
            STRINGS,
            "[\"DATABASE_URL\"]",
            "Variables taken from outside that are part of its key; one that is missing is an error before anything runs.",
            |d, r, e| {
                d.task.env_required = r.variables(e.value, false).unwrap_or_default();
            },
        ),
        command(
            "requires",
            STRINGS,
            "[\"cargo\", \"rustc\"]",
            "Programs whose identity (file digest and `--version`) is part of its key.",
            |d, r, e| {
                d.task.requires = r.strings(e.value, Reader::located).unwrap_or_default();
            },
        ),
        command("probes", STRINGS, "[\"uname -m\"]", "Commands whose output is part of its key.", |d, r, e| {
            d.task.probes = r.strings(e.value, Reader::text).unwrap_or_default();
        }),
        command(
            "state",
            TEXT,
            "\"docker image inspect app\"",
            "A command whose output is the state this task left behind; checked again on a hit.",
            |d, r, e| {
                d.task.state = r.text(e.value);
            },
        ),
        command(
            "cache",
            Shape::Any(&[Shape::Bool, Shape::Words(&["local"])]),
            "false",
            "`false` turns caching off; `\"local\"` keeps its results off the remote.",
            cache,
        ),
        command(
            "execute",
            EXECUTE,
            "true",
            "`true` has the remote run it, where one is configured, with its sources and what its dependencies left; `false` keeps it here; `\"with-secrets\"` sends variables along whose values are masked. Without it `[remote]` decides.",
            execute::execute,
        ),
        command(
            "platform",
            PLATFORM,
            "{ OSFamily = \"linux\" }",
            "Properties of the machine that a remote runs it on, beside and over those of `[remote]`; part of its key.",
            |d, r, e| {
                d.task.platform = execute::platform(r, e.value);
            },
        ),
        command("reset", Shape::Bool, "true", "Destroys state: it is never cached, and guarded.", |d, r, e| {
            d.task.reset = r.boolean(e.value).unwrap_or_default().then_some(e.key);
        }),
        acting(
            "on_fail",
            Shape::Any(&[FAIL_WORDS, Shape::Map(&FAIL_WORDS)]),
            "{ default = \"fail\", local = \"warn\" }",
            "What its failure means: `\"fail\"`, or `\"warn\"`: the run goes on and lists it. Or a table by profile, with `default` for the others.",
            on_fail,
        ),
        key("help", TEXT, "\"run npm install first\"", "What to do when it fails; printed then.", |d, r, e| {
            d.task.help = r.string(e.value)
        }),
        acting(
            "locks",
            STRINGS,
            "[\"docker\"]",
            "Named mutual exclusion: no two tasks that hold the same name run at once.",
            |d, r, e| {
                d.task.locks = r.strings(e.value, Reader::located).unwrap_or_default();
            },
        ),
        acting("timeout", Shape::Duration, "\"15m\"", "How long one attempt may take.", |d, r, e| {
            d.task.timeout = r.duration(e.value)
        }),
        acting(
            "retry",
            Shape::Any(&[Shape::Count, Shape::Table("retry")]),
            "{ attempts = 3, backoff = \"1s\" }",
            "Tried again after a failure; a pass on a later attempt is reported as flaky.",
            |d, r, e| {
                d.task.retry = entries::retry(r, e.value).unwrap_or(entries::ONE_ATTEMPT);
            },
        ),
        command(
            "poll",
            Shape::Table("poll"),
            "{ every = \"1s\", timeout = \"30s\" }",
            "Tried until it succeeds; that is not flaky.",
            |d, r, e| {
                d.task.poll = entries::poll(r, e.value);
            },
        ),
        key(
            "confirm",
            Shape::Any(&[TEXT, Shape::Bool]),
            "\"deploy to production?\"",
            "A question asked before anything of the run starts; `true` asks a plain one.",
            confirm,
        ),
        key(
            "allow",
            Shape::Map(&Shape::Text("reason")),
            "{ \"graph::missing-edge\" = \"generated by hand\" }",
            "Findings of the audit that are accepted here, each with the reason.",
            allow,
        ),
        command(
            "dir",
            Shape::Text("path"),
            "\"web\"",
            "Where it runs, relative to the folder of this file, which is the default.",
            |d, r, e| {
                if let Some(path) = r.path(e.value) {
                    d.task.dir = Located::new(path, r.at(e.value.span()));
                }
            },
        ),
        command(
            "shell",
            ARGV,
            "[\"sh\", \"-ec\"]",
            "The program and arguments that a `run` string is appended to.",
            |d, r, e| {
                if let Some(shell) = argv(r, e, "`shell`") {
                    d.task.shell = shell;
                }
            },
        ),
        key("alias", STRINGS, "\"b\"", "Other names for it.", |d, r, e| {
            let aliases = r.strings(e.value, |r, v| {
                let alias = r.located(v)?;
                check_name(r, &alias.value, alias.at).then_some(alias)
            });
            d.task.aliases = aliases.unwrap_or_default();
        }),
        key("hide", Shape::Bool, "true", "Not listed.", |d, r, e| d.task.hide = r.boolean(e.value).unwrap_or_default()),
        command("interactive", Shape::Bool, "true", "Has the terminal to itself; never cached.", |d, r, e| {
            d.task.interactive = r.boolean(e.value).unwrap_or_default();
        }),
        acting("quiet", Shape::Bool, "true", "Its output is shown only when it fails.", |d, r, e| {
            d.task.quiet = r.boolean(e.value).unwrap_or_default();
        }),
        command(
            "redact",
            STRINGS,
            "[\"API_TOKEN\"]",
            "Variables whose values are masked in every byte that leaves weir; `*` at the end of a name matches any rest.",
            |d, r, e| {
                d.task.redact = names(r, e, true);
            },
        ),
    ],
    unbuilt: &[],
};
