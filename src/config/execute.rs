//! `execute` and `platform`: whether a server may run a task in this machine's place, what it needs of the machine there,
//! and which tasks can't leave this one.

use super::diagnostic::{Diagnostic, Located};
use super::edges::TEXT;
use super::keys::Shape;
use super::task::{CacheMode, Task};
use super::task_keys::Draft;
use super::values::{Entry, Reader, Value, in_order};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use toml::de::DeValue;

/// The shape of `platform`.
pub(super) const PLATFORM: Shape = Shape::Map(&TEXT);
/// The shape of a task's `execute`.
pub(super) const EXECUTE: Shape = Shape::Any(&[Shape::Bool, Shape::Words(&[WITH_SECRETS])]);
const WITH_SECRETS: &str = "with-secrets";
/// What can be said, for messages.
const VALUES: &str = "`true`, `false` or `\"with-secrets\"`";

/// Where a task runs, as declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Execute {
    /// On this machine, whatever the run asks for.
    Here,
    /// On the server, where there is one.
    There {
        /// Though values that are masked go along.
        secrets: bool,
    },
}

/// Why a task can't run anywhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// The key that binds it.
    pub key: &'static str,
    /// It is missing, rather than given.
    pub missing: bool,
    /// Why that binds it.
    pub why: &'static str,
}

impl Bound {
    const fn by(key: &'static str, why: &'static str) -> Self {
        Self { key, missing: false, why }
    }

    const fn without(key: &'static str, why: &'static str) -> Self {
        Self { key, missing: true, why }
    }

    /// One line for people.
    pub fn describe(&self) -> String {
        let verb = if self.missing { "it declares no" } else { "it has" };
        format!("{verb} `{}`: {}", self.key, self.why)
    }
}

impl Task {
    /// What binds it to this machine; none: another one can run it.
    pub fn bound_here(&self) -> Option<Bound> {
        let given = [
            (self.service.is_some(), "service", "what needs it runs here"),
            (self.reset.is_some(), "reset", "what it destroys is here"),
            (!self.writes.is_empty(), "writes", "only declared outputs come back"),
            (self.interactive, "interactive", "there is no terminal there"),
            (self.state.is_some(), "state", "the state it leaves has to be on this machine"),
            (!self.databases.is_empty(), "database", "a server does not reach it"),
            (!self.ports.is_empty(), "ports", "they are free on this machine"),
            (self.poll.is_some(), "poll", "what it waits for is on this machine"),
            (self.report.is_some(), "junit", "the report is judged here, and only declared outputs come back"),
            (!self.artifacts.is_empty(), "artifacts", "only declared outputs come back"),
            (
                !self.pass_through.is_empty(),
                "pass_through",
                "what this machine alone has is in no key; see `env_inputs`",
            ),
            (
                self.cache != CacheMode::On,
                "cache",
                "what may leave this machine may be shared, and what always runs has no key",
            ),
        ];
        if let Some((_, key, why)) = given.into_iter().find(|(given, ..)| *given) {
            return Some(Bound::by(key, why));
        }
        if self.sources.is_none() {
            return Some(Bound::without("sources", "nobody knows which files it reads"));
        }
        let Some(outputs) = &self.outputs else {
            return Some(Bound::without("outputs", "nobody knows what has to come back"));
        };
        if outputs.value.iter().any(|output| !output.value.negated && output.value.prefix.is_root()) {
            return Some(Bound::by("outputs", "one begins with a glob, and a server has to be told a folder"));
        }
        let secrets = matches!(self.execute.as_ref().map(|said| said.value), Some(Execute::There { secrets: true }));
        let said = "its values are secrets, and would go along; `execute = \"with-secrets\"` allows that";
        match (secrets, &self.env_file[..], &self.redact[..]) {
            (true, ..) | (_, [], []) => None,
            (_, [_, ..], _) => Some(Bound::by("env_file", said)),
            (_, _, [_, ..]) => Some(Bound::by("redact", said)),
        }
    }
}

/// `execute` of a task.
pub(super) fn execute(draft: &mut Draft, reader: &mut Reader<'_>, entry: Entry<'_, '_>) {
    let said = match entry.value.get_ref() {
        DeValue::Boolean(true) => Execute::There { secrets: false },
        DeValue::Boolean(false) => Execute::Here,
        DeValue::String(text) if text == WITH_SECRETS => Execute::There { secrets: true },
        // Nobody is told to write the one that sends secrets.
        DeValue::String(text) => {
            let message = format!("expected {VALUES}, found `{text}`");
            let at = reader.at(entry.value.span());
            return reader.bad_value(at, message, "write `true` to have the server run it, `false` to keep it here");
        }
        _ => return reader.wrong_type(entry.value, VALUES),
    };
    draft.task.execute = Some(Located::new(said, entry.key));
}

/// `platform`: properties by name.
pub(super) fn platform(reader: &mut Reader<'_>, value: &Value<'_>) -> BTreeMap<String, String> {
    let mut platform = BTreeMap::new();
    let Some(table) = reader.table(value) else { return platform };
    for (name, value) in in_order(table) {
        let at = reader.at(name.span());
        if name.get_ref().trim().is_empty() {
            reader.bad_value(at, "a property of the platform has a name", "write `OSFamily = \"linux\"`");
            continue;
        }
        if let Some(text) = reader.text(value) {
            platform.insert(name.get_ref().clone().into_owned(), text);
        }
    }
    platform
}

impl Draft {
    /// What is to run on a server must be able to.
    pub(super) fn check_execute(&self, reader: &mut Reader<'_>) {
        let Some(said) = self.task.execute.as_ref().filter(|said| matches!(said.value, Execute::There { .. })) else {
            return;
        };
        let Some(bound) = self.task.bound_here() else { return };
        let name = &self.task.name;
        let (message, help) = if bound.missing {
            (
                format!("`{name}` is to run on a server, and declares no `{}`", bound.key),
                format!("declare `{}`, or remove `execute`: {}", bound.key, bound.why),
            )
        } else {
            (
                format!("`{name}` is to run on a server, and has `{}`", bound.key),
                format!("remove `{}`, or `execute`: {}", bound.key, bound.why),
            )
        };
        let mut conflict = Diagnostic::error("config::conflict", said.at, message).help(help);
        if let Some(at) = self.given(bound.key) {
            conflict = conflict.also(at, "");
        }
        reader.report(conflict);
    }
}
