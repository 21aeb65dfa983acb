//! The inline tables of a task: edges, cleanups, arguments, attempts, polls.

use super::diagnostic::{At, Diagnostic, Located};
use super::keys::{Key, Scope, Set, Shape};
use super::pattern::build_glob;
use super::task::{ArgSpec, Dep, Poll, PostDep, Retry, When};
use super::values::{Reader, Value};
use std::time::Duration;
use toml::de::DeValue;

/// A list of strings, or a string that stands for a list of one.
pub(super) const STRINGS: Shape = Shape::Any(&[TEXT, Shape::List(&TEXT, false)]);
/// Any string.
pub(super) const TEXT: Shape = Shape::Text("string");
/// Variables.
pub(super) const ENV: Shape = Shape::Map(&Shape::Scalar);
const EDGE: Shape = Shape::Any(&[Shape::Text("task"), Shape::Table("dependency")]);
/// Edges.
pub(super) const EDGES: Shape = Shape::Any(&[
    Shape::Text("task"),
    Shape::Table("dependency"),
    Shape::List(&EDGE, false),
]);
const POST_EDGE: Shape = Shape::Any(&[Shape::Text("task"), Shape::Table("cleanup")]);
/// Cleanup edges.
pub(super) const POST_EDGES: Shape = Shape::Any(&[
    Shape::Text("task"),
    Shape::Table("cleanup"),
    Shape::List(&POST_EDGE, false),
]);
const STEP: Shape = Shape::Any(&[
    Shape::Text("task"),
    Shape::Table("dependency"),
    Shape::List(&EDGE, true),
]);
/// Steps in order, each a task or a list that runs in parallel.
pub(super) const STEPS: Shape = Shape::List(&STEP, true);
const ARG: Shape = Shape::Any(&[Shape::Text("name"), Shape::Table("argument")]);
/// Declared arguments.
pub(super) const ARGS: Shape = Shape::Any(&[Shape::Text("name"), Shape::List(&ARG, false)]);

const WHEN: [(&str, When); 3] = [
    ("always", When::Always),
    ("failure", When::Failure),
    ("success", When::Success),
];

/// An edge while it is read.
pub(super) struct EdgeDraft {
    dep: Dep,
    when: When,
}

const fn edge(
    name: &'static str,
    shape: Shape,
    example: &'static str,
    doc: &'static str,
    read: Set<EdgeDraft>,
) -> Key<Set<EdgeDraft>> {
    Key::new(name, shape, example, doc, read)
}

const EDGE_TASK: Key<Set<EdgeDraft>> = edge(
    "task",
    Shape::Text("task"),
    "\"build\"",
    "A task's name, or a glob of names. A name without `//` in front is looked for in this file first.",
    |edge, reader, entry| edge.dep.task = task_reference(reader, entry.value).unwrap_or_default(),
)
.required();
const EDGE_ARGS: Key<Set<EdgeDraft>> = edge(
    "args",
    STRINGS,
    "[\"--fast\"]",
    "Arguments given to it.",
    |edge, reader, entry| {
        edge.dep.args = reader
            .strings(entry.value, Reader::string)
            .unwrap_or_default();
    },
);
const EDGE_ENV: Key<Set<EdgeDraft>> = edge(
    "env",
    ENV,
    "{ MODE = \"test\" }",
    "Variables given to it.",
    |edge, reader, entry| {
        edge.dep.env = reader.env(entry.value).unwrap_or_default();
    },
);
const EDGE_OPTIONAL: Key<Set<EdgeDraft>> = edge(
    "optional",
    Shape::Bool,
    "true",
    "No error if there is no such task.",
    |edge, reader, entry| {
        edge.dep.optional = reader.boolean(entry.value).unwrap_or_default();
    },
);

/// `{ task, … }` in `depends` and `sequence`.
pub(super) static DEPENDENCY: Scope<Set<EdgeDraft>> = Scope {
    what: "a dependency",
    keys: &[
        EDGE_TASK,
        EDGE_ARGS,
        EDGE_ENV,
        edge(
            "order_only",
            Shape::Bool,
            "true",
            "It comes first, but what it does is no input of this task.",
            |edge, reader, entry| {
                edge.dep.order_only = reader.boolean(entry.value).unwrap_or_default()
            },
        ),
        EDGE_OPTIONAL,
    ],
    unbuilt: &[],
};

/// `{ task, when }` in `depends_post`.
pub(super) static CLEANUP: Scope<Set<EdgeDraft>> = Scope {
    what: "a cleanup",
    keys: &[
        EDGE_TASK,
        edge(
            "when",
            Shape::Words(&["always", "failure", "success"]),
            "\"failure\"",
            "Whether it runs however the task ended (`always`, the default), when it failed, or when it succeeded.",
            |edge, reader, entry| {
                edge.when = reader.choice(entry.value, &WHEN).unwrap_or(When::Always)
            },
        ),
        EDGE_ARGS,
        EDGE_ENV,
        EDGE_OPTIONAL,
    ],
    unbuilt: &[],
};

/// A task's name, or a glob of names.
pub(super) fn task_reference(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<String> {
    let name = reader.text(value)?;
    let at = reader.at(value.span());
    if name.contains(|c: char| c.is_whitespace() || c.is_control())
        || name.trim_start_matches('/').is_empty()
    {
        let help = "names hold no blanks; arguments go into `{ task = \"…\", args = [\"…\"] }`";
        reader.report(
            Diagnostic::error(
                "config::bad-name",
                at,
                format!("`{name}` is no name of a task"),
            )
            .help(help),
        );
        return None;
    }
    if name.contains(['*', '?', '[', ']', '{', '}', '\\'])
        && let Err(why) = build_glob(&name)
    {
        reader.report(
            Diagnostic::error(
                "config::bad-glob",
                at,
                format!("`{name}` is no valid glob: {}", why.kind()),
            )
            .help("`*`, `?`, `[…]` and `{a,b}` have a meaning in names of tasks"),
        );
        return None;
    }
    Some(name)
}

/// One edge: a name, or a table of `scope`.
fn one_edge(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
    scope: &Scope<Set<EdgeDraft>>,
) -> Option<Located<EdgeDraft>> {
    let at = reader.at(value.span());
    let mut draft = EdgeDraft {
        dep: Dep {
            task: String::new(),
            args: vec![],
            env: Default::default(),
            order_only: false,
            optional: false,
        },
        when: When::Always,
    };
    match value.get_ref() {
        DeValue::String(_) => draft.dep.task = task_reference(reader, value)?,
        DeValue::Table(table) => scope.read(reader, table, at, &mut draft),
        _ => reader.wrong_type(value, "a task's name or a table"),
    }
    (!draft.dep.task.is_empty()).then(|| Located::new(draft, at))
}

fn dependency(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Located<Dep>> {
    one_edge(reader, value, &DEPENDENCY).map(|edge| Located::new(edge.value.dep, edge.at))
}

fn cleanup(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Located<PostDep>> {
    one_edge(reader, value, &CLEANUP).map(|edge| {
        Located::new(
            PostDep {
                dep: edge.value.dep,
                when: edge.value.when,
            },
            edge.at,
        )
    })
}

/// One of something, or a list.
fn one_or_list<T>(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
    mut item: impl FnMut(&mut Reader<'_>, &Value<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    match value.get_ref() {
        DeValue::String(_) | DeValue::Table(_) => Some(item(reader, value).into_iter().collect()),
        _ => reader.list(value, "a task's name or a list", item),
    }
}

/// `depends`.
pub(super) fn dependencies(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
) -> Option<Vec<Located<Dep>>> {
    one_or_list(reader, value, dependency)
}

/// `depends_post`.
pub(super) fn cleanups(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
) -> Option<Vec<Located<PostDep>>> {
    one_or_list(reader, value, cleanup)
}

/// `sequence`: steps, each one task or a list of tasks.
pub(super) fn steps(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Vec<Vec<Located<Dep>>>> {
    let steps = reader.list(value, "a list of steps", |reader, step| {
        let tasks = one_or_list(reader, step, dependency)?;
        reader.not_empty(step, "this step", tasks)
    })?;
    reader.not_empty(value, "`sequence`", steps)
}

const fn arg(
    name: &'static str,
    shape: Shape,
    example: &'static str,
    doc: &'static str,
    read: Set<ArgSpec>,
) -> Key<Set<ArgSpec>> {
    Key::new(name, shape, example, doc, read)
}

/// `{ name, choices, default, required }` in `args`.
pub(super) static ARGUMENT: Scope<Set<ArgSpec>> = Scope {
    what: "an argument",
    keys: &[
        arg(
            "name",
            TEXT,
            "\"target\"",
            "Its name; `$WEIR_ARG_NAME` holds its value.",
            |spec, reader, entry| {
                spec.name = reader.string(entry.value).unwrap_or_default();
            },
        )
        .required(),
        arg(
            "choices",
            STRINGS,
            "[\"dev\", \"prod\"]",
            "The values it may have; any, where none are listed.",
            |spec, reader, entry| {
                let choices = reader
                    .strings(entry.value, Reader::string)
                    .unwrap_or_default();
                spec.choices = reader
                    .not_empty(entry.value, "`choices`", choices)
                    .unwrap_or_default();
            },
        ),
        arg(
            "default",
            TEXT,
            "\"dev\"",
            "Its value where none is given.",
            |spec, reader, entry| {
                spec.default = reader.string(entry.value);
            },
        ),
        arg(
            "required",
            Shape::Bool,
            "true",
            "An error where none is given.",
            |spec, reader, entry| {
                spec.required = reader.boolean(entry.value).unwrap_or_default();
            },
        ),
    ],
    unbuilt: &[],
};

/// `args`: names or tables; their order is the order of the arguments.
pub(super) fn arguments(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Vec<ArgSpec>> {
    let specs = one_or_list(reader, value, |reader, element| {
        let at = reader.at(element.span());
        let mut spec = ArgSpec {
            name: String::new(),
            choices: vec![],
            default: None,
            required: false,
        };
        match element.get_ref() {
            DeValue::String(name) => spec.name = name.clone().into_owned(),
            DeValue::Table(table) => {
                ARGUMENT.read(reader, table, at, &mut spec);
                if !table.contains_key("name") {
                    return None;
                }
            }
            _ => {
                reader.wrong_type(element, "a name or a table");
                return None;
            }
        }
        check_argument(reader, &spec, at).then(|| Located::new(spec, at))
    })?;
    let mut optional: Option<&Located<ArgSpec>> = None;
    for (index, spec) in specs.iter().enumerate() {
        let name = &spec.value.name;
        if let Some(first) = specs[..index]
            .iter()
            .find(|other| other.value.name == *name)
        {
            reader.report(
                Diagnostic::error(
                    "config::bad-argument",
                    spec.at,
                    format!("the argument `{name}` is declared twice"),
                )
                .also(first.at, "first declared here")
                .help("rename one of them"),
            );
        }
        match optional {
            Some(before) if spec.value.required => {
                let message = format!("the required argument `{name}` comes after an optional one");
                reader.report(
                    Diagnostic::error("config::bad-argument", spec.at, message)
                        .also(before.at, "optional")
                        .help("put required arguments first"),
                );
            }
            None if !spec.value.required => optional = Some(spec),
            _ => {}
        }
    }
    Some(specs.into_iter().map(|spec| spec.value).collect())
}

fn check_argument(reader: &mut Reader<'_>, spec: &ArgSpec, at: At) -> bool {
    let bytes = spec.name.as_bytes();
    let starts = bytes
        .first()
        .is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_');
    if !starts
        || !bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    {
        reader.report(
            Diagnostic::error(
                "config::bad-argument",
                at,
                format!("`{}` is no name of an argument", spec.name),
            )
            .help("use letters, digits, `_` and `-`, starting with a letter or `_`"),
        );
        return false;
    }
    let problem = match &spec.default {
        Some(default) if !spec.choices.is_empty() && !spec.choices.contains(default) => Some((
            format!(
                "the default `{default}` of `{}` is not among its choices",
                spec.name
            ),
            "add it to `choices`, or choose one of them",
        )),
        Some(_) if spec.required => Some((
            format!("`{}` is required and has a default", spec.name),
            "remove `required` or `default`",
        )),
        _ => None,
    };
    if let Some((message, help)) = problem {
        reader.report(Diagnostic::error("config::bad-argument", at, message).help(help));
    }
    true
}

/// `retry = { attempts, backoff }`.
pub(super) static RETRY: Scope<Set<Retry>> = Scope {
    what: "`retry`",
    keys: &[
        Key::<Set<Retry>>::new(
            "attempts",
            Shape::Count,
            "3",
            "How often it is tried at most, the first time included.",
            |retry, reader, entry| {
                retry.attempts = reader.count(entry.value).unwrap_or(1);
            },
        )
        .required(),
        Key::<Set<Retry>>::new(
            "backoff",
            Shape::Duration,
            "\"1s\"",
            "The pause before the second attempt, 1 s by default; it doubles with each further one.",
            |retry, reader, entry| {
                if let Some(backoff) = reader.duration(entry.value) {
                    retry.backoff = backoff;
                }
            },
        ),
    ],
    unbuilt: &[],
};

/// One attempt, and a second between attempts.
pub(super) const ONE_ATTEMPT: Retry = Retry {
    attempts: 1,
    backoff: Duration::from_secs(1),
};

/// `retry`: a number of attempts, or a table.
pub(super) fn retry(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Retry> {
    let mut retry = ONE_ATTEMPT;
    match value.get_ref() {
        DeValue::Integer(_) => retry.attempts = reader.count(value)?,
        DeValue::Table(table) => {
            let at = reader.at(value.span());
            RETRY.read(reader, table, at, &mut retry);
        }
        _ => {
            reader.wrong_type(value, "a number of attempts or a table");
            return None;
        }
    }
    Some(retry)
}

/// `poll = { every, timeout }`.
pub(super) static POLL: Scope<Set<Poll>> = Scope {
    what: "`poll`",
    keys: &[
        Key::<Set<Poll>>::new(
            "every",
            Shape::Duration,
            "\"1s\"",
            "The pause between tries, 1 s by default.",
            |poll, reader, entry| {
                if let Some(every) = reader.duration(entry.value) {
                    poll.every = every;
                }
            },
        ),
        Key::<Set<Poll>>::new(
            "timeout",
            Shape::Duration,
            "\"30s\"",
            "How long it is tried in all.",
            |poll, reader, entry| {
                if let Some(timeout) = reader.duration(entry.value) {
                    poll.timeout = timeout;
                }
            },
        )
        .required(),
    ],
    unbuilt: &[],
};

/// `poll`: a table.
pub(super) fn poll(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Poll> {
    let table = reader.table(value)?;
    let at = reader.at(value.span());
    let mut poll = Poll {
        every: Duration::from_secs(1),
        timeout: Duration::from_secs(60),
    };
    POLL.read(reader, table, at, &mut poll);
    Some(poll)
}
