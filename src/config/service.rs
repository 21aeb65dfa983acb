//! `service`: what makes a task long-lived, when it is ready, and how it is asked to end.

use super::diagnostic::Diagnostic;
use super::edges::TEXT;
use super::keys::{Key, Scope, Set, Shape};
use super::values::{Reader, Value};
use crate::model::format_duration;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long it may take to be ready, where nothing is said.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// The signals it may be asked to end with.
const SIGNALS: [&str; 5] = ["TERM", "INT", "HUP", "QUIT", "KILL"];
/// What tells that it is ready; one of them.
const PROBES: [&str; 4] = ["http", "tcp", "log", "command"];

/// `service`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// When it is ready; none: as soon as it has started.
    pub ready: Option<Ready>,
    /// The signal it is asked to end with, without `SIG`.
    pub stop: String,
}

/// `ready` of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// What tells.
    pub probe: Probe,
    /// How long it may take.
    pub timeout: Duration,
}

/// What tells that a service is ready. `$NAME` and `${NAME}` stand for its variables, but in a command, which sees
/// them itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Probe {
    /// A URL that answers with 2xx or 3xx.
    Http(String),
    /// `HOST:PORT` that takes a connection; a bare port is of this machine.
    Tcp(String),
    /// A regular expression that a line of its output matches.
    Log(String),
    /// A command that succeeds, run as the service's own `run` would be.
    Command(String),
}

impl Service {
    /// One line for people.
    pub fn describe(&self) -> String {
        let ready = match &self.ready {
            None => "ready once it has started".to_owned(),
            Some(Ready { probe, timeout }) => {
                let what = match probe {
                    Probe::Http(url) => format!("`{url}` answers"),
                    Probe::Tcp(address) => format!("`{address}` takes a connection"),
                    Probe::Log(pattern) => format!("it prints a line that matches `{pattern}`"),
                    Probe::Command(command) => format!("`{command}` succeeds"),
                };
                format!("ready when {what}, within {}", format_duration(*timeout))
            }
        };
        format!("{ready}; stopped with SIG{}", self.stop)
    }
}

/// What of `ready` has been read.
#[derive(Default)]
pub(super) struct ReadyDraft {
    probe: Option<Probe>,
    timeout: Option<Duration>,
}

const fn probe(
    name: &'static str,
    example: &'static str,
    doc: &'static str,
    read: Set<ReadyDraft>,
) -> Key<Set<ReadyDraft>> {
    Key::new(name, TEXT, example, doc, read)
}

/// `ready = { http | tcp | log | command, timeout }`.
pub(super) static READY: Scope<Set<ReadyDraft>> = Scope {
    what: "`ready`",
    keys: &[
        probe(
            "http",
            "\"http://127.0.0.1:$PORT/health\"",
            "A URL; ready once it answers with a status from 200 to 399. `$NAME` stands for a variable of the task.",
            |draft, reader, entry| {
                let Some(url) = reader.located(entry.value) else { return };
                if url.value.starts_with("http://") && url.value.len() > "http://".len() {
                    draft.probe = Some(Probe::Http(url.value));
                } else {
                    let message = format!("`{}` is no `http://` URL", url.value);
                    let help = "write `http://HOST:PORT/PATH`; what speaks TLS can be probed by `tcp` or `command`";
                    reader.bad_value(url.at, message, help);
                }
            },
        ),
        probe(
            "tcp",
            "\"127.0.0.1:5432\"",
            "`HOST:PORT`, or a port of this machine; ready once it takes a connection. `$NAME` as for `http`.",
            |draft, reader, entry| draft.probe = reader.text(entry.value).map(Probe::Tcp),
        ),
        probe(
            "log",
            "\"listening on\"",
            "A regular expression (Rust's `regex`); ready once a line of its output matches. `$NAME` as for `http`, taken literally.",
            |draft, reader, entry| {
                let Some(pattern) = reader.located(entry.value) else { return };
                match regex::Regex::new(&pattern.value) {
                    Ok(_) => draft.probe = Some(Probe::Log(pattern.value)),
                    Err(error) => {
                        let why = error.to_string();
                        let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                        let message = format!("`{}` is no regular expression: {why}", pattern.value);
                        reader.bad_value(pattern.at, message, "the syntax is that of Rust's `regex`");
                    }
                }
            },
        ),
        probe(
            "command",
            "\"pg_isready -q\"",
            "A command for the shell; ready once it succeeds. It is tried again until then.",
            |draft, reader, entry| draft.probe = reader.text(entry.value).map(Probe::Command),
        ),
        Key::<Set<ReadyDraft>>::new(
            "timeout",
            Shape::Duration,
            "\"1m\"",
            "How long it may take to be ready, 30 s by default; then it is stopped, and what needs it fails.",
            |draft, reader, entry| draft.timeout = reader.duration(entry.value),
        ),
    ],
    unbuilt: &[],
};

/// `service = { ready, stop }`.
pub(super) static SERVICE: Scope<Set<Service>> = Scope {
    what: "`service`",
    keys: &[
        Key::<Set<Service>>::new(
            "ready",
            Shape::Table("ready"),
            "{ http = \"http://127.0.0.1:3000/health\", timeout = \"1m\" }",
            "What tells that it is ready: one of `http`, `tcp`, `log` and `command`. Without it, it counts as ready once it has started.",
            |service, reader, entry| service.ready = ready(reader, entry.value),
        ),
        Key::<Set<Service>>::new(
            "stop",
            Shape::Words(&SIGNALS),
            "\"INT\"",
            "The signal it is asked to end with, `TERM` by default; after 5 s it is killed.",
            |service, reader, entry| {
                let words = SIGNALS.map(|signal| (signal, signal));
                service.stop = reader.choice(entry.value, &words).unwrap_or(SIGNALS[0]).to_owned();
            },
        ),
    ],
    unbuilt: &[],
};

fn ready(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Ready> {
    let table = reader.table(value)?;
    let at = reader.at(value.span());
    let mut given: Vec<_> = table.keys().filter(|key| PROBES.contains(&key.get_ref().as_ref())).collect();
    given.sort_by_key(|key| key.span().start);
    if let [first, second, ..] = &given[..] {
        let (first_at, second_at) = (reader.at(first.span()), reader.at(second.span()));
        let message = format!("`ready` has both `{}` and `{}`", first.get_ref(), second.get_ref());
        reader.report(
            Diagnostic::error("config::conflict", second_at, message)
                .also(first_at, "")
                .help("keep one of them; a `command` can ask for several things"),
        );
    } else if given.is_empty() {
        reader.report(
            Diagnostic::error("config::missing-key", at, "`ready` does not say what tells that the service is ready")
                .help("give it `http`, `tcp`, `log` or `command`"),
        );
    }
    let mut draft = ReadyDraft::default();
    READY.read(reader, table, at, &mut draft);
    Some(Ready { probe: draft.probe?, timeout: draft.timeout.unwrap_or(READY_WITHIN) })
}

/// `service`: a table.
pub(super) fn service(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Service> {
    let table = reader.table(value)?;
    let at = reader.at(value.span());
    let mut service = Service { ready: None, stop: SIGNALS[0].to_owned() };
    SERVICE.read(reader, table, at, &mut service);
    Some(service)
}
