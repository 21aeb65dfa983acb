//! The inline tables of a task: arguments, attempts, polls.

use super::diagnostic::{At, Diagnostic, Located};
use super::edges::{STRINGS, TEXT, one_or_list};
use super::keys::{Key, Scope, Set, Shape};
use super::pattern::Pattern;
use super::task::{ArgSpec, Expect, Poll, PortUse, Retry};
use super::values::{Reader, Value, in_order};
use crate::model::Gate;
use std::time::Duration;
use toml::de::DeValue;

const FILES: Shape = Shape::Any(&[Shape::Text("path or glob"), Shape::List(&Shape::Text("path or glob"), false)]);
const ARG: Shape = Shape::Any(&[Shape::Text("name"), Shape::Table("argument")]);
/// Declared arguments.
pub(super) const ARGS: Shape = Shape::Any(&[Shape::Text("name"), Shape::List(&ARG, false)]);

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
        arg("name", TEXT, "\"target\"", "Its name; `$WEIR_ARG_NAME` holds its value.", |spec, reader, entry| {
            spec.name = reader.string(entry.value).unwrap_or_default();
        })
        .required(),
        arg(
            "choices",
            STRINGS,
            "[\"dev\", \"prod\"]",
            "The values it may have; any, where none are listed.",
            |spec, reader, entry| {
                let choices = reader.strings(entry.value, Reader::string).unwrap_or_default();
                spec.choices = reader.not_empty(entry.value, "`choices`", choices).unwrap_or_default();
            },
        ),
        arg("default", TEXT, "\"dev\"", "Its value where none is given.", |spec, reader, entry| {
            spec.default = reader.string(entry.value);
        }),
        arg("required", Shape::Bool, "true", "An error where none is given.", |spec, reader, entry| {
            spec.required = reader.boolean(entry.value).unwrap_or_default();
        }),
    ],
    unbuilt: &[],
};

/// `args`: names or tables; their order is the order of the arguments.
pub(super) fn arguments(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Vec<ArgSpec>> {
    let specs = one_or_list(reader, value, "a name or a list", |reader, element| {
        let at = reader.at(element.span());
        let mut spec = ArgSpec { name: String::new(), choices: vec![], default: None, required: false };
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
        if let Some(first) = specs[..index].iter().find(|other| other.value.name == *name) {
            reader.report(
                Diagnostic::error("config::bad-argument", spec.at, format!("the argument `{name}` is declared twice"))
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
    let starts = bytes.first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_');
    if !starts || !bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
        reader.report(
            Diagnostic::error("config::bad-argument", at, format!("`{}` is no name of an argument", spec.name))
                .help("use letters, digits, `_` and `-`, starting with a letter or `_`"),
        );
        return false;
    }
    let problem = match &spec.default {
        Some(default) if !spec.choices.is_empty() && !spec.choices.contains(default) => Some((
            format!("the default `{default}` of `{}` is not among its choices", spec.name),
            "add it to `choices`, or choose one of them",
        )),
        Some(_) if spec.required => {
            Some((format!("`{}` is required and has a default", spec.name), "remove `required` or `default`"))
        }
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
pub(super) const ONE_ATTEMPT: Retry = Retry { attempts: 1, backoff: Duration::from_secs(1) };

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

/// `expect = { min_tests, max_skipped, max_failed }`.
pub(super) static EXPECT: Scope<Set<Expect>> = Scope {
    what: "`expect`",
    keys: &[
        Key::<Set<Expect>>::new(
            "min_tests",
            Shape::Count,
            "100",
            "At least so many tests; 1 by default.",
            |expect, reader, entry| expect.min_tests = reader.count(entry.value).unwrap_or(1),
        ),
        Key::<Set<Expect>>::new(
            "max_skipped",
            Shape::Whole,
            "0",
            "At most so many that were skipped; any number by default.",
            |expect, reader, entry| expect.max_skipped = reader.whole(entry.value),
        ),
        Key::<Set<Expect>>::new(
            "max_failed",
            Shape::Whole,
            "0",
            "At most so many that failed; none by default.",
            |expect, reader, entry| expect.max_failed = reader.whole(entry.value).unwrap_or(0),
        ),
    ],
    unbuilt: &[],
};

/// `gate = { id, title }`.
pub(super) static GATE: Scope<Set<Gate>> = Scope {
    what: "`gate`",
    keys: &[
        Key::<Set<Gate>>::new(
            "id",
            TEXT,
            "\"no-todo\"",
            "Its id, unique in the workspace: letters, digits, `.`, `_` and `-`.",
            |gate, reader, entry| {
                let Some(id) = reader.located(entry.value) else { return };
                let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
                if id.value.chars().all(plain) && !id.value.starts_with(['.', '-']) && id.value != "manifest" {
                    gate.id = id.value;
                } else {
                    reader.bad_value(
                        id.at,
                        format!("`{}` is no id of a gate", id.value),
                        "use letters, digits, `.`, `_` and `-`, starting with a letter or digit; `manifest` is taken",
                    );
                }
            },
        )
        .required(),
        Key::<Set<Gate>>::new(
            "title",
            TEXT,
            "\"Nothing is left to do\"",
            "What it is about.",
            |gate, reader, entry| {
                gate.title = reader.text(entry.value);
            },
        ),
    ],
    unbuilt: &[],
};

/// `artifacts = { files, kind }`.
pub(super) static ARTIFACTS: Scope<Set<Vec<Located<Pattern>>>> = Scope {
    what: "`artifacts`",
    keys: &[
        Key::<Set<Vec<Located<Pattern>>>>::new(
            "files",
            FILES,
            "[\"coverage\"]",
            "The files: paths or globs.",
            |files, reader, entry| *files = reader.strings(entry.value, Reader::pattern).unwrap_or_default(),
        )
        .required(),
        Key::<Set<Vec<Located<Pattern>>>>::new(
            "kind",
            Shape::Words(&["auxiliary"]),
            "\"auxiliary\"",
            "What they are: beside the evidence, not part of it.",
            |_, reader, entry| {
                reader.choice(entry.value, &[("auxiliary", ())]);
            },
        ),
    ],
    unbuilt: &[],
};

/// `artifacts`: patterns, or a table.
pub(super) fn artifacts(reader: &mut Reader<'_>, value: &Value<'_>) -> Vec<Located<Pattern>> {
    let mut files = vec![];
    match value.get_ref() {
        DeValue::Table(table) => {
            let at = reader.at(value.span());
            ARTIFACTS.read(reader, table, at, &mut files);
        }
        _ => files = reader.strings(value, Reader::pattern).unwrap_or_default(),
    }
    files
}

/// Names of variables, or tables from names to preferred numbers.
pub(super) const PORTS: Shape = Shape::Any(&[
    Shape::Text("variable"),
    Shape::Map(&Shape::Count),
    Shape::List(&Shape::Any(&[Shape::Text("variable"), Shape::Map(&Shape::Count)]), false),
]);

/// `ports`: a name, a table, or a list of these.
pub(super) fn ports(reader: &mut Reader<'_>, value: &Value<'_>) -> Vec<PortUse> {
    let mut ports: Vec<PortUse> = Vec::new();
    let one = [value];
    let all: Vec<&Value<'_>> = match value.get_ref() {
        DeValue::Array(list) => list.iter().collect(),
        _ => one.to_vec(),
    };
    for element in all {
        match element.get_ref() {
            DeValue::String(_) => {
                let Some(name) = reader.located(element) else { continue };
                add_port(reader, &mut ports, PortUse { name, preferred: None });
            }
            DeValue::Table(table) => {
                for (name, value) in in_order(table) {
                    let name = Located::new(name.get_ref().to_string(), reader.at(name.span()));
                    let Some(number) = reader.count(value) else { continue };
                    match u16::try_from(number) {
                        Ok(port) => add_port(reader, &mut ports, PortUse { name, preferred: Some(port) }),
                        Err(_) => {
                            let at = reader.at(value.span());
                            reader.bad_value(at, format!("there is no port {number}"), "ports go from 1 to 65535");
                        }
                    }
                }
            }
            _ => reader.wrong_type(element, "a variable's name, or a table from names to numbers"),
        }
    }
    ports
}

fn add_port(reader: &mut Reader<'_>, ports: &mut Vec<PortUse>, port: PortUse) {
    if !reader.variable(&port.name.value, port.name.at, false) {
        return;
    }
    let same = |other: &&PortUse| {
        other.name.value == port.name.value || (port.preferred.is_some() && other.preferred == port.preferred)
    };
    let Some(first) = ports.iter().find(same) else { return ports.push(port) };
    let message = match port.preferred {
        Some(number) if first.name.value != port.name.value => {
            format!("`{}` and `{}` both prefer {number}", first.name.value, port.name.value)
        }
        _ => format!("the port `{}` is named twice", port.name.value),
    };
    reader.report(
        Diagnostic::error("config::bad-value", port.name.at, message)
            .also(first.name.at, "first named here")
            .help("give each port a variable and a number of its own"),
    );
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
    let mut poll = Poll { every: Duration::from_secs(1), timeout: Duration::from_secs(60) };
    POLL.read(reader, table, at, &mut poll);
    Some(poll)
}
