//! What all ready-made checks have in common: a [`Node`] around a [`Check`].

use crate::config::{Diagnostic, NodeKind, OnFail, Pattern};
use crate::model::{Digest, FailReason, KeySink, KeyValue, Observation, PartKind, Reason};
use crate::node::{Context, Effects, Facts, Instance, NamedLock, Node, Output, Outside, Pending, Seen, Travel};
use crate::process::ProcessError;
use std::path::Path;

/// What one check does.
pub trait Check: Send + Sync {
    /// What it reads, where that is all it depends on; none: it looks each time.
    fn sources(&self) -> Option<Vec<Pattern>> {
        None
    }

    /// Its parameters, for the key: name and value.
    fn parameters(&self) -> Vec<(String, String)> {
        vec![]
    }

    /// What its verdict depends on beside files and parameters.
    fn observe(&self) -> Vec<Observation> {
        vec![]
    }

    /// Judges. What was found is in the output; the reason sums it up.
    fn run<'a>(&'a self, context: &'a Context, output: &'a mut dyn Output) -> Pending<'a, Result<(), FailReason>>;
}

/// A ready-made check.
pub struct CheckNode {
    facts: Facts,
    kind: NodeKind,
    check: Box<dyn Check>,
}

impl CheckNode {
    /// Around a check.
    pub fn new(instance: &Instance<'_>, kind: NodeKind, check: Box<dyn Check>) -> Self {
        let task = instance.task;
        let sources = check.sources();
        let facts = Facts {
            name: instance.name.clone(),
            kept_as: instance.name.clone(),
            locked_as: instance.name.clone(),
            acts: true,
            always: sources.is_none().then_some(Reason::Live),
            shareable: true,
            sources: sources.unwrap_or_default(),
            effects: Effects::Declared(vec![]),
            reports_state: false,
            observes: !check.observe().is_empty(),
            reset: None,
            writes: vec![],
            locks: task.locks.iter().map(|lock| NamedLock::alone(&lock.value)).collect(),
            interactive: false,
            quiet: task.quiet,
            warn_on_fail: task.on_fail == OnFail::Warn,
            help: task.help.clone(),
            confirm: task.confirm.clone(),
            retry: task.retry,
            gate: task.gate.as_ref().map(|gate| gate.value.clone()),
            artifacts: vec![],
            travel: Travel::Never(None),
        };
        Self { facts, kind, check }
    }
}

impl Node for CheckNode {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn define(&self, _: &Path, _: &Outside, sink: &mut dyn KeySink) -> Result<(), FailReason> {
        let mut define = |name: &str, value: &str| sink.part(PartKind::Definition, name, KeyValue::Text(value));
        define("task", self.facts.name.as_str());
        define("uses", self.kind.name());
        for (name, value) in self.check.parameters() {
            define(&name, &value);
        }
        Ok(())
    }

    fn secrets(&self, _: &Path, _: &Outside) -> Vec<String> {
        vec![]
    }

    fn obstacles(&self, _: &Path, _: &Outside, _: &mut Seen) -> Vec<Diagnostic> {
        vec![]
    }

    fn observe<'a>(&'a self, _: &'a Context) -> Pending<'a, Result<Vec<Observation>, FailReason>> {
        Box::pin(async { Ok(self.check.observe()) })
    }

    fn run<'a>(
        &'a self,
        context: &'a Context,
        output: &'a mut dyn Output,
    ) -> Pending<'a, Result<Result<(), FailReason>, ProcessError>> {
        Box::pin(async move { Ok(self.check.run(context, output).await) })
    }

    fn state<'a>(&'a self, _: &'a Context) -> Pending<'a, Result<Digest, FailReason>> {
        Box::pin(async { Ok(Digest::of(b"")) })
    }
}

/// Prints a line.
pub fn say(output: &mut dyn Output, line: &str) {
    output.bytes(line.as_bytes());
    output.bytes(b"\n");
}

/// A failure of the check, in one line.
pub fn found(message: impl Into<String>, help: &str) -> FailReason {
    FailReason::Node { message: message.into(), help: Some(help.to_owned()) }
}

/// Patterns as one text for the key.
pub fn listed(patterns: &[crate::config::Located<Pattern>]) -> String {
    let all: Vec<String> = patterns.iter().map(|pattern| format!("{:?}", pattern.value.full())).collect();
    all.join(" ")
}
