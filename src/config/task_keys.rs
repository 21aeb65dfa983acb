//! The keys of a task: the one table of them.

use super::diagnostic::{At, Diagnostic, Located};
use super::entries::{self, ARGS, EDGES, ENV, POST_EDGES, STEPS, STRINGS, TEXT};
use super::keys::{Key, Only, Scope, Set, Shape};
use super::task::{CacheMode, Dep, OnFail, Task};
use super::values::{Entry, Reader};
use crate::config::Pattern;
use toml::de::DeValue;

/// A task while it is read.
#[derive(Clone)]
pub(super) struct Draft {
    /// What has been read, with defaults for the rest.
    pub(super) task: Task,
    /// `run`.
    pub(super) run: Option<Vec<String>>,
    /// `exec`.
    pub(super) exec: Option<Vec<String>>,
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

const PATTERNS: Shape = Shape::Any(&[
    Shape::Text("path or glob"),
    Shape::List(&Shape::Text("path or glob"), false),
]);
const PATHS: Shape = Shape::Any(&[
    Shape::Text("path"),
    Shape::List(&Shape::Text("path"), false),
]);
const ARGV: Shape = Shape::List(&TEXT, true);
const FAIL_WORDS: Shape = Shape::Words(&["fail", "warn"]);
const ON_FAIL: [(&str, OnFail); 2] = [("fail", OnFail::Fail), ("warn", OnFail::Warn)];

/// `[tasks.NAME]`.
pub(super) static TASK: Scope<Set<Draft>> = Scope {
    what: "a task",
    keys: &[
        key(
            "description",
            TEXT,
            "\"Compile the release binary\"",
            "What it is for; shown in lists.",
            |d, r, e| d.task.description = r.string(e.value),
        ),
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
            "sequence",
            STEPS,
            "[\"build\", [\"test\", \"lint\"], \"deploy\"]",
            "Steps in order; a list inside it is a step whose tasks run in parallel.",
            |d, r, e| {
                d.sequence = entries::steps(r, e.value);
            },
        ),
        key(
            "depends",
            EDGES,
            "[\"gen\", { task = \"test:*\", optional = true }]",
            "What must have succeeded first, and whose outputs are inputs of this task: names, globs of names, or tables.",
            |d, r, e| {
                d.task.depends = entries::dependencies(r, e.value).unwrap_or_default();
            },
        ),
        key(
            "depends_post",
            POST_EDGES,
            "[{ task = \"db:down\", when = \"always\" }]",
            "Cleanup: runs after this task, if it was started.",
            |d, r, e| {
                d.task.depends_post = entries::cleanups(r, e.value).unwrap_or_default();
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
                    entries::task_reference(r, v).map(|name| Located::new(name, at))
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
            "Every file it writes, restored from the cache on a hit. `[]` means that only its verdict counts.",
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
                d.task.writes = patterns(r, e, "writes")
                    .map(|list| list.value)
                    .unwrap_or_default();
            },
        ),
        key(
            "manual",
            Shape::Bool,
            "true",
            "Only ever run by name; depending on it is an error.",
            |d, r, e| {
                d.task.manual = r.boolean(e.value).unwrap_or_default().then_some(e.key);
            },
        ),
        command(
            "env",
            ENV,
            "{ RUST_BACKTRACE = 1 }",
            "Variables set for it; part of its key.",
            |d, r, e| {
                if let Some(env) = r.env(e.value) {
                    d.task.env.extend(env);
                }
            },
        ),
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
        command(
            "probes",
            STRINGS,
            "[\"uname -m\"]",
            "Commands whose output is part of its key.",
            |d, r, e| {
                d.task.probes = r.strings(e.value, Reader::text).unwrap_or_default();
            },
        ),
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
            "reset",
            Shape::Bool,
            "true",
            "Destroys state: it is never cached, and guarded.",
            |d, r, e| {
                d.task.reset = r.boolean(e.value).unwrap_or_default().then_some(e.key);
            },
        ),
        command(
            "on_fail",
            Shape::Any(&[FAIL_WORDS, Shape::Map(&FAIL_WORDS)]),
            "{ default = \"fail\", local = \"warn\" }",
            "What its failure means: `\"fail\"`, or `\"warn\"`: the run goes on and lists it. Or a table by profile, with `default` for the others.",
            on_fail,
        ),
        key(
            "help",
            TEXT,
            "\"run `npm install` first\"",
            "What to do when it fails; printed then.",
            |d, r, e| d.task.help = r.string(e.value),
        ),
        command(
            "locks",
            STRINGS,
            "[\"docker\"]",
            "Named mutual exclusion: no two tasks that hold the same name run at once.",
            |d, r, e| {
                d.task.locks = r.strings(e.value, Reader::located).unwrap_or_default();
            },
        ),
        command(
            "timeout",
            Shape::Duration,
            "\"15m\"",
            "How long one attempt may take.",
            |d, r, e| d.task.timeout = r.duration(e.value),
        ),
        command(
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
        key(
            "alias",
            STRINGS,
            "\"b\"",
            "Other names for it.",
            |d, r, e| {
                let aliases = r.strings(e.value, |r, v| {
                    let alias = r.located(v)?;
                    check_name(r, &alias.value, alias.at).then_some(alias)
                });
                d.task.aliases = aliases.unwrap_or_default();
            },
        ),
        key("hide", Shape::Bool, "true", "Not listed.", |d, r, e| {
            d.task.hide = r.boolean(e.value).unwrap_or_default()
        }),
        command(
            "interactive",
            Shape::Bool,
            "true",
            "Has the terminal to itself; never cached.",
            |d, r, e| {
                d.task.interactive = r.boolean(e.value).unwrap_or_default();
            },
        ),
        command(
            "quiet",
            Shape::Bool,
            "true",
            "Its output is shown only when it fails.",
            |d, r, e| {
                d.task.quiet = r.boolean(e.value).unwrap_or_default();
            },
        ),
        command(
            "redact",
            STRINGS,
            "[\"API_TOKEN\"]",
            "Variables whose values are masked in every byte that leaves weir.",
            |d, r, e| {
                d.task.redact = names(r, e, false);
            },
        ),
    ],
    unbuilt: &[
        "uses",
        "with",
        "service",
        "ports",
        "soak",
        "database",
        "gate",
        "artifacts",
        "junit",
        "expect",
    ],
};

fn names(reader: &mut Reader<'_>, entry: Entry<'_, '_>, wildcard: bool) -> Vec<String> {
    let names = reader.variables(entry.value, wildcard).unwrap_or_default();
    names.into_iter().map(|name| name.value).collect()
}

fn run(draft: &mut Draft, reader: &mut Reader<'_>, entry: Entry<'_, '_>) {
    let lines = reader.strings(entry.value, Reader::text);
    draft.run = lines.and_then(|lines| reader.not_empty(entry.value, "`run`", lines));
}

/// A program and its arguments; only arguments may be empty strings.
pub(super) fn argv(
    reader: &mut Reader<'_>,
    entry: Entry<'_, '_>,
    what: &str,
) -> Option<Vec<String>> {
    let argv = reader.list(entry.value, "a list of strings", Reader::string)?;
    let argv = reader.not_empty(entry.value, what, argv)?;
    if argv[0].trim().is_empty() {
        let first = entry
            .value
            .get_ref()
            .as_array()
            .and_then(|array| array.first());
        let at = reader.at(first.map_or_else(|| entry.value.span(), |first| first.span()));
        reader.bad_value(
            at,
            format!("{what} starts with an empty string"),
            "start with a program's name",
        );
        return None;
    }
    Some(argv)
}

fn patterns(
    reader: &mut Reader<'_>,
    entry: Entry<'_, '_>,
    name: &str,
) -> Option<Located<Vec<Located<Pattern>>>> {
    let patterns = reader.strings(entry.value, Reader::pattern)?;
    let at = reader.at(entry.value.span());
    let bare = entry
        .value
        .get_ref()
        .as_array()
        .is_some_and(|array| array.is_empty());
    if !bare && !patterns.is_empty() && patterns.iter().all(|pattern| pattern.value.negated) {
        reader.bad_value(
            at,
            format!("`{name}` has only negations, which take away from nothing"),
            "put a pattern without `!` beside them",
        );
    }
    if name != "sources" {
        for pattern in patterns.iter().filter(|pattern| !pattern.value.negated) {
            check_written(reader, pattern, name);
        }
    }
    Some(Located::new(patterns, at))
}

/// What is written can't be the whole workspace, nor weir's own folder.
fn check_written(reader: &mut Reader<'_>, pattern: &Located<Pattern>, name: &str) {
    let Pattern {
        prefix, glob, raw, ..
    } = &pattern.value;
    let everything =
        prefix.is_root() && matches!(glob.as_deref(), None | Some("*" | "**" | "**/*"));
    if everything && name == "outputs" {
        reader.bad_value(
            pattern.at,
            format!("the output `{raw}` is the whole workspace"),
            "name the files it makes",
        );
    } else if prefix.components().next() == Some(".weir") {
        reader.bad_value(
            pattern.at,
            format!("`{raw}` lies in weir's own folder"),
            "write somewhere else",
        );
    }
}

fn cache(draft: &mut Draft, reader: &mut Reader<'_>, entry: Entry<'_, '_>) {
    draft.task.cache_at = Some(entry.key);
    draft.task.cache = match entry.value.get_ref() {
        DeValue::Boolean(true) => CacheMode::On,
        DeValue::Boolean(false) => CacheMode::Off,
        DeValue::String(_) => reader
            .choice(entry.value, &[("local", CacheMode::Local)])
            .unwrap_or(CacheMode::On),
        _ => {
            reader.wrong_type(entry.value, "`true`, `false` or `\"local\"`");
            CacheMode::On
        }
    };
}

/// A word, or words by profile: the strongest profile in force that is named decides.
fn on_fail(draft: &mut Draft, reader: &mut Reader<'_>, entry: Entry<'_, '_>) {
    let DeValue::Table(table) = entry.value.get_ref() else {
        if entry.value.get_ref().is_str() {
            draft.task.on_fail = reader.choice(entry.value, &ON_FAIL).unwrap_or(OnFail::Fail);
        } else {
            reader.wrong_type(entry.value, "`\"fail\"`, `\"warn\"` or a table by profile");
        }
        return;
    };
    let mut chosen: Option<(usize, OnFail)> = None;
    for (profile, value) in table {
        let meaning = reader.choice(value, &ON_FAIL).unwrap_or(OnFail::Fail);
        let strength = if profile.get_ref() == "default" {
            Some(0)
        } else {
            reader
                .known_profiles
                .insert(profile.get_ref().clone().into_owned());
            reader
                .profiles
                .iter()
                .rposition(|name| name == profile.get_ref())
                .map(|index| index + 1)
        };
        if let Some(strength) = strength
            && chosen.is_none_or(|(best, _)| strength > best)
        {
            chosen = Some((strength, meaning));
        }
    }
    draft.task.on_fail = chosen.map_or(OnFail::Fail, |(_, meaning)| meaning);
}

fn confirm(draft: &mut Draft, reader: &mut Reader<'_>, entry: Entry<'_, '_>) {
    draft.task.confirm = match entry.value.get_ref() {
        DeValue::Boolean(true) => Some(format!("run `{}`?", draft.task.name)),
        DeValue::Boolean(false) => None,
        DeValue::String(_) => reader.text(entry.value),
        _ => {
            reader.wrong_type(entry.value, "a question or `true`");
            None
        }
    };
}

fn allow(draft: &mut Draft, reader: &mut Reader<'_>, entry: Entry<'_, '_>) {
    let Some(table) = reader.table(entry.value) else {
        return;
    };
    draft.task.allow.clear();
    for (code, reason) in super::values::in_order(table) {
        let at = reader.at(code.span());
        let Some(reason) = reader.text(reason) else {
            continue;
        };
        if is_code(code.get_ref()) {
            draft.task.allow.push((
                Located::new(code.get_ref().clone().into_owned(), at),
                reason,
            ));
        } else {
            reader.bad_value(
                at,
                format!("`{}` is no code of a finding", code.get_ref()),
                "write a code as `weir tasks deps check` prints it, such as `\"graph::missing-edge\"`",
            );
        }
    }
}

/// `room::finding-name`.
fn is_code(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    text.split_once("::")
        .is_some_and(|(room, name)| part(room) && part(name))
}

/// Whether a name can be a task's; says why not.
pub(super) fn check_name(reader: &mut Reader<'_>, name: &str, at: At) -> bool {
    let problem = if name.is_empty() {
        Some("a task's name can't be empty".to_owned())
    } else if name.starts_with('-') {
        Some(format!("`{name}` starts with `-`, as options do"))
    } else {
        name.chars()
            .find(|c| c.is_whitespace() || c.is_control() || "*?[]{}/\\@#!".contains(*c))
            .map(|c| {
                format!(
                    "`{}` holds `{}`, which a task's name can't",
                    name.escape_debug(),
                    c.escape_debug()
                )
            })
    };
    let Some(problem) = problem else { return true };
    reader.report(
        Diagnostic::error("config::bad-name", at, problem)
            .help("use letters, digits, `_`, `-`, `.` and `:`, as in `test:unit`"),
    );
    false
}
