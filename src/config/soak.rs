//! `soak`: a task that repeats another one.

use super::diagnostic::{At, Diagnostic, Located};
use super::edges;
use super::keys::{Key, Scope, Set, Shape};
use super::values::{Reader, Value};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a soak repeats, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Soak {
    /// The task.
    pub task: Located<String>,
    /// Iterations at the most.
    pub runs: Option<u32>,
    /// None starts after so long.
    pub time: Option<Duration>,
    /// None starts after a failure.
    pub until_failure: bool,
    /// How many run at once.
    pub jobs: u32,
    /// Where that is declared.
    pub at: At,
}

/// A soak while it is read.
#[derive(Default)]
pub(super) struct SoakDraft {
    task: Option<Located<String>>,
    runs: Option<u32>,
    time: Option<Duration>,
    until_failure: bool,
    jobs: Option<u32>,
    /// A bound was given, good or not.
    bounded: bool,
}

const fn key(
    name: &'static str,
    shape: Shape,
    example: &'static str,
    doc: &'static str,
    read: Set<SoakDraft>,
) -> Key<Set<SoakDraft>> {
    Key::new(name, shape, example, doc, read)
}

/// `soak = { … }`.
pub(super) static SOAK: Scope<Set<SoakDraft>> = Scope {
    what: "`soak`",
    keys: &[
        key("task", Shape::Text("task"), "\"test:unit\"", "The task that is repeated.", |soak, reader, entry| {
            let at = reader.at(entry.value.span());
            soak.task = edges::task_reference(reader, entry.value).map(|name| Located::new(name, at));
        })
        .required(),
        key("runs", Shape::Count, "200", "How often it is run at the most.", |soak, reader, entry| {
            soak.bounded = true;
            soak.runs = reader.count(entry.value);
        }),
        key("for", Shape::Duration, "\"10m\"", "After so long no iteration starts any more.", |soak, reader, entry| {
            soak.bounded = true;
            soak.time = reader.duration(entry.value);
        }),
        key(
            "until",
            Shape::Words(&["failure"]),
            "\"failure\"",
            "After the first failure no iteration starts any more.",
            |soak, reader, entry| {
                soak.bounded = true;
                soak.until_failure = reader.choice(entry.value, &[("failure", true)]).unwrap_or_default();
            },
        ),
        key("jobs", Shape::Count, "4", "How many iterations run at once; 1 by default.", |soak, reader, entry| {
            soak.jobs = reader.count(entry.value);
        }),
    ],
    unbuilt: &[],
};

/// `soak`: a table.
pub(super) fn soak(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Soak> {
    let table = reader.table(value)?;
    let at = reader.at(value.span());
    let mut draft = SoakDraft::default();
    SOAK.read(reader, table, at, &mut draft);
    if !draft.bounded {
        reader.report(
            Diagnostic::error("config::missing-key", at, "this soak would never end")
                .help("add `runs = 100`, `for = \"10m\"` or `until = \"failure\"`"),
        );
    }
    let SoakDraft { task, runs, time, until_failure, jobs, .. } = draft;
    Some(Soak { task: task?, runs, time, until_failure, jobs: jobs.unwrap_or(1), at })
}
