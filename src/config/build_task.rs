//! A task's tables (its own and the profiles' overlays) → a valid [`Task`].

use super::diagnostic::{At, Diagnostic, Located};
use super::entries::ONE_ATTEMPT;
use super::keys::{KeyInfo, Only, backticked};
use super::task::{Action, CacheMode, Expect, OnFail, Task, TestReport};
use super::task_keys::{Draft, TASK};
use super::uses::{self, NodeKind, Uses, With};
use super::values::{Reader, Value};
use crate::model::{TaskName, WsPath};
use std::collections::BTreeMap;

/// The keys that say what a task does; one at the most.
const ACTIONS: [&str; 5] = ["run", "exec", "uses", "soak", "sequence"];
/// Keys that a soak leaves to the task it repeats.
const NOT_OF_SOAKS: [&str; 2] = ["timeout", "retry"];

/// What a service can't have, and why.
const NOT_OF_SERVICES: [(&str, &str); 14] = [
    ("outputs", "a service leaves nothing behind; what it needs made first can be a task that it depends on"),
    ("writes", "a service leaves nothing behind; what it needs made first can be a task that it depends on"),
    ("state", "a service leaves nothing behind"),
    ("junit", "a service is no test"),
    ("expect", "a service is no test"),
    ("gate", "a service is no check; a task that depends on it can be the gate"),
    ("artifacts", "its log is kept with the run anyway"),
    ("reset", "a task that the service depends on can be the reset"),
    ("interactive", "a service runs beside its dependents; run by name it shows its output"),
    ("retry", "a service is never started again silently"),
    ("poll", "`service = { ready = { … } }` says what is waited for"),
    ("timeout", "it runs as long as it is needed; `service = { ready = { timeout = \"…\" } }` bounds its start"),
    ("on_fail", "what a service's failure means is said by those that need it"),
    ("locks", "those that depend on it can hold them"),
];

impl Draft {
    /// A task of which nothing is known but its name.
    pub(super) fn new(name: TaskName, at: At, folder: &WsPath, env: &BTreeMap<String, String>) -> Self {
        let task = Task {
            name,
            at,
            folder: folder.clone(),
            description: None,
            aliases: vec![],
            hide: false,
            manual: None,
            action: Action::Group { sequence: vec![] },
            args: vec![],
            depends: vec![],
            depends_post: vec![],
            wait_for: vec![],
            sources: None,
            outputs: None,
            writes: vec![],
            env: env.clone(),
            env_file: vec![],
            path: vec![],
            env_inputs: vec![],
            pass_through: vec![],
            env_required: vec![],
            requires: vec![],
            probes: vec![],
            state: None,
            cache: CacheMode::On,
            cache_at: None,
            reset: None,
            locks: vec![],
            timeout: None,
            retry: ONE_ATTEMPT,
            poll: None,
            confirm: None,
            on_fail: OnFail::Fail,
            help: None,
            dir: Located::new(folder.clone(), at),
            shell: vec![],
            interactive: false,
            quiet: false,
            redact: vec![],
            databases: vec![],
            service: None,
            ports: vec![],
            gate: None,
            artifacts: vec![],
            report: None,
            execute: None,
            platform: BTreeMap::new(),
            allow: vec![],
        };
        Self {
            task,
            junit: vec![],
            expect: Expect::default(),
            run: None,
            exec: None,
            uses: None,
            soak: None,
            with: With::default(),
            sequence: None,
            given: vec![],
        }
    }

    /// Where a key is given, if it is.
    pub(super) fn given(&self, name: &str) -> Option<At> {
        self.given.iter().find(|(key, _)| key.info.name == name).map(|(_, at)| *at)
    }

    /// Reads a table over what is there: each key given replaces what was said before.
    pub(super) fn read(&mut self, reader: &mut Reader<'_>, value: &Value<'_>) {
        let Some(table) = value.get_ref().as_table() else {
            return reader.report_no_table(value);
        };
        let at = reader.at(value.span());
        let mut matched = TASK.entries(reader, table, at);
        // What `with` may hold depends on it.
        matched.sort_by_key(|matched| matched.key.info.name != "uses");
        // A profile may run, in place of one action, another.
        if matched.iter().any(|matched| ACTIONS.contains(&matched.key.info.name)) {
            (self.run, self.exec, self.uses, self.soak, self.sequence) = (None, None, None, None, None);
            self.given.retain(|(key, _)| !ACTIONS.contains(&key.info.name));
        }
        for matched in matched {
            self.given.retain(|(key, _)| !std::ptr::eq(*key, matched.key));
            self.given.push((matched.key, matched.entry.key));
            reader.about = Some(&matched.key.info);
            (matched.key.read)(self, reader, matched.entry);
        }
    }

    /// Judges the whole.
    pub(super) fn finish(mut self, reader: &mut Reader<'_>, shell: &[String]) -> Task {
        self.check_action(reader);
        if let (Some(poll), Some(retry)) = (self.given("poll"), self.given("retry")) {
            reader.report(
                Diagnostic::error("config::conflict", retry, "`retry` and `poll` exclude each other")
                    .also(poll, "polled here")
                    .help("keep `poll` if failing is part of waiting, `retry` if it is not"),
            );
        }
        if let (Some(at), None) = (self.given("expect"), self.given("junit"))
            && (self.run.is_some() || self.exec.is_some())
        {
            reader.report(
                Diagnostic::error("config::conflict", at, "`expect` without `junit`, the report that it is about")
                    .help("add `junit = \"…\"`, where the test report lands"),
            );
        }
        if !self.junit.is_empty() {
            self.task.report = Some(TestReport { files: std::mem::take(&mut self.junit), expect: self.expect });
        }
        self.check_ports(reader);
        if self.task.shell.is_empty() {
            self.task.shell = shell.to_vec();
        }
        self.check_uses(reader);
        if let Some(uses) = self.uses.as_ref().filter(|uses| uses.value.is_reset()) {
            self.task.reset = Some(uses.at);
        }
        self.check_caching(reader);
        self.check_service(reader);
        if self.run.is_some() || self.exec.is_some() {
            self.check_execute(reader);
        }
        self.task.action = match (self.run, self.exec, self.uses, self.sequence) {
            (Some(lines), ..) => Action::Shell(lines),
            (None, Some(argv), ..) => Action::Exec(argv),
            (None, None, Some(uses), _) => {
                Action::Uses(Box::new(Uses { kind: uses.value, at: uses.at, with: self.with }))
            }
            (None, None, None, sequence) => match self.soak {
                Some(soak) => Action::Soak(Box::new(soak)),
                None => Action::Group { sequence: sequence.unwrap_or_default() },
            },
        };
        self.task
    }

    fn check_action(&self, reader: &mut Reader<'_>) {
        let name = &self.task.name;
        let mut actions: Vec<(&str, At)> =
            ACTIONS.iter().filter_map(|action| self.given(action).map(|at| (*action, at))).collect();
        actions.sort_by_key(|(_, at)| at.start);
        if let [(first, first_at), rest @ ..] = &actions[..]
            && let Some((second, second_at)) = rest.first()
        {
            let names: Vec<&str> = actions.iter().map(|(name, _)| *name).collect();
            reader.report(
                Diagnostic::error("config::conflict", *second_at, format!("`{name}` has {}", backticked(&names)))
                    .label(format!("beside `{first}`"))
                    .also(*first_at, "")
                    .help(format!("keep one of them; `{second}` can be a task of its own")),
            );
            return;
        }
        if actions.is_empty() && reader.refused_key_since(self.task.at) {
            return;
        }
        if actions.is_empty() && self.given("depends").is_none() {
            reader.report(
                Diagnostic::error("config::empty-task", self.task.at, format!("`{name}` does nothing"))
                    .help("give it `run`, `exec`, `uses`, `soak`, `sequence` or `depends`"),
            );
            return;
        }
        if let (Some(at), None) = (self.given("with"), self.given("uses")) {
            reader.report(
                Diagnostic::error("config::conflict", at, format!("`{name}` has `with`, but no `uses`"))
                    .help("add `uses = \"…\"`, the node whose parameters these are"),
            );
        }
        let why = match actions.first() {
            None => "neither `run` nor `exec`",
            Some(&("sequence", _)) => "a `sequence`, and runs nothing itself",
            Some(&("uses", _)) => "a built-in node",
            Some(&("soak", _)) => "a soak, which repeats a task with all that this task has",
            Some(_) => return,
        };
        let soaks = self.given("soak").is_some();
        let acts = soaks || self.given("uses").is_some();
        let refused = |key: &KeyInfo| match key.only {
            Only::Command => true,
            Only::Acting => !acts || (soaks && NOT_OF_SOAKS.contains(&key.name)),
            Only::Anywhere | Only::Root => false,
        };
        for (key, at) in self.given.iter().filter(|(key, _)| refused(&key.info)) {
            let key = key.info.name;
            reader.report(
                Diagnostic::error("config::group-key", *at, format!("`{key}` needs a command, and `{name}` has {why}"))
                    .help(format!("remove it, or move `{key}` to the tasks that run something")),
            );
        }
    }

    /// Parameters that a built-in node can't do without.
    fn check_uses(&self, reader: &mut Reader<'_>) {
        let Some(uses) = &self.uses else { return };
        let name = uses.value.name();
        let keys = uses::parameters(uses.value).keys;
        if self.given("with").is_none()
            && let Some(key) = keys.iter().find(|key| key.info.required)
        {
            reader.report(
                Diagnostic::error("config::missing-key", uses.at, format!("`{name}` needs `{}`", key.info.name))
                    .help(format!("add `with = {{ {} = {} }}`", key.info.name, key.info.example)),
            );
            return;
        }
        let check = &self.with.check;
        let lacks = match uses.value {
            NodeKind::CheckBranch
                if check.forbid.is_empty() && check.no_merges_from.is_none() && check.up_to_date_with.is_none() =>
            {
                Some("give it `forbid`, `no_merges_from` or `up_to_date_with`")
            }
            NodeKind::CheckDrift if check.command.is_some() == check.lock.is_some() => {
                Some("give it `command` and `outputs`, or `lock`")
            }
            NodeKind::CheckDrift if check.command.is_some() && check.outputs.is_empty() => {
                Some("say in `outputs` what the command makes")
            }
            _ => None,
        };
        // What was given and was no good has been reported.
        if let Some(help) = lacks.filter(|_| !reader.has_errors_since(self.task.at)) {
            let message = format!("`{name}` does not say what to check");
            reader.report(Diagnostic::error("config::missing-key", uses.at, message).help(help));
        }
    }

    /// A service leaves nothing behind, is not tried again, and ends when nobody needs it.
    fn check_service(&self, reader: &mut Reader<'_>) {
        let Some(service) = &self.task.service else { return };
        let name = &self.task.name;
        for (key, why) in NOT_OF_SERVICES {
            if let Some(at) = self.given(key) {
                reader.report(
                    Diagnostic::error("config::conflict", at, format!("`{name}` is a service and has `{key}`"))
                        .also(service.at, "it is long-lived")
                        .help(format!("remove `{key}`: {why}")),
                );
            }
        }
        if self.run.as_ref().is_some_and(|lines| lines.len() > 1) {
            let at = self.given("run").unwrap_or(self.task.at);
            reader.report(
                Diagnostic::error("config::conflict", at, format!("`{name}` is a service of several commands"))
                    .also(service.at, "it is long-lived")
                    .help("keep the one that stays; what comes before it can be a task that it depends on"),
            );
        }
    }

    /// A variable has one value.
    fn check_ports(&self, reader: &mut Reader<'_>) {
        for port in &self.task.ports {
            let name = &port.name.value;
            if self.task.env.contains_key(name) {
                let message = format!("`{name}` is a port that weir chooses, and set by `env` too");
                let mut conflict = Diagnostic::error("config::conflict", port.name.at, message)
                    .help("remove it from `env`, or from `ports`; `{ NAME = 3001 }` in `ports` prefers a number");
                if let Some(at) = self.given("env") {
                    conflict = conflict.also(at, "");
                }
                reader.report(conflict);
            }
        }
    }

    /// What is never cached can't ask to be.
    fn check_caching(&self, reader: &mut Reader<'_>) {
        let off = self.task.cache == CacheMode::Off;
        let sources = self.task.sources.as_ref().map(|_| self.given("sources").unwrap_or(self.task.at));
        let cache_on = self.task.cache_at.filter(|_| !off);
        if let Some(reset) = self.task.reset {
            if let Some(at) = cache_on {
                reader.report(
                    Diagnostic::error("config::cached-reset", at, format!("`{}` is a cached reset", self.task.name))
                        .also(reset, "it destroys state")
                        .help("remove `cache`; a reset is never cached"),
                );
            } else if let Some(at) = sources.filter(|_| !off) {
                reader.report(
                    Diagnostic::error("config::cached-reset", at, format!("`{}` is a cached reset", self.task.name))
                        .also(reset, "it destroys state")
                        .help("remove `sources`; a reset is never cached"),
                );
            }
        }
        if self.task.interactive
            && !off
            && let Some(at) = sources
        {
            let message = format!("`{}` is interactive and declares `sources`", self.task.name);
            let mut diagnostic = Diagnostic::error("config::cached-interactive", at, message)
                .help("remove `sources`, or add `cache = false`; an interactive task is never cached");
            if let Some(interactive) = self.given("interactive") {
                diagnostic = diagnostic.also(interactive, "it may ask anything");
            }
            reader.report(diagnostic);
        }
    }
}

impl Reader<'_> {
    /// A task that is no table.
    fn report_no_table(&mut self, value: &Value<'_>) {
        self.wrong_type(value, "a table");
        if let Some(last) = self.diagnostics.last_mut() {
            last.help = Some("write `[tasks.NAME]` and below it `run = \"…\"`".to_owned());
        }
    }
}
