//! `proof.crash`: a service is killed in the middle of its work, started again, and must come to where it should.
//!
//! ```text
//!   start ─▶ trigger ─▶ after ─▶ kill ─▶ restart ─▶ settle ─▶ assert ─▶ stop
//!     each with a way to fail of its own, that says when it was and what was seen
//! ```
//! Every attempt has a process of the service, an id, and what the service's task is lent, to itself.

mod attempt;
mod ear;
mod settling;
mod story;

use super::service::ServiceNode;
use super::task::CommandNode;
use crate::config::{After, Diagnostic, OnFail, ProofWith, Uses};
use crate::model::{Digest, FailReason, KeySink, KeyValue, Observation, PartKind, Reason, TaskName};
use crate::node::{Context, Effects, Facts, Instance, NamedLock, Node, Output, Outside, Pending, Seen, Travel};
use crate::process::{ProcessError, Signal};
use attempt::Attempt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// A crash proof.
pub struct CrashProof {
    facts: Facts,
    with: ProofWith,
    service: ServiceNode,
    timeout: Duration,
}

impl CrashProof {
    /// Of the task that crashes `service`; `timeout` where it names none.
    pub fn new(instance: &Instance<'_>, uses: &Uses, service: ServiceNode, timeout: Duration) -> Self {
        let task = instance.task;
        let mut locks: Vec<NamedLock> = task.locks.iter().map(|lock| NamedLock::alone(&lock.value)).collect();
        locks.extend(service.command().facts().locks.iter().cloned());
        // The stricter one of two comes first.
        locks.sort();
        locks.dedup_by(|later, first| later.name == first.name);
        let facts = Facts {
            name: instance.name.clone(),
            kept_as: instance.name.clone(),
            locked_as: instance.name.clone(),
            acts: true,
            always: Some(Reason::Live),
            shareable: false,
            sources: vec![],
            effects: Effects::Declared(vec![]),
            reports_state: false,
            observes: service.command().facts().observes,
            reset: None,
            writes: vec![],
            locks,
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
        Self { facts, with: uses.with.proof.clone(), service, timeout: task.timeout.unwrap_or(timeout) }
    }

    fn service_name(&self) -> &TaskName {
        &self.command().facts().name
    }

    /// The service as a task with a command.
    fn command(&self) -> &CommandNode {
        self.service.command()
    }

    fn signal(&self) -> Signal {
        self.with.kill.as_deref().and_then(Signal::parse).unwrap_or(Signal::Kill)
    }
}

/// An id that no other attempt has: the run's, and 64 bits from the hasher's random keys.
fn attempt_id(run: &str) -> String {
    format!("{run}-{:016x}", RandomState::new().build_hasher().finish())
}

impl Node for CrashProof {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn define(&self, root: &Path, outside: &Outside, sink: &mut dyn KeySink) -> Result<(), FailReason> {
        let with = &self.with;
        let mut define = |name: &str, value: &str| sink.part(PartKind::Definition, name, KeyValue::Text(value));
        define("task", self.facts.name.as_str());
        define("uses", "proof.crash");
        for (name, text) in [("service", &with.service), ("trigger", &with.trigger), ("assert", &with.assert)] {
            define(name, text.as_ref().map_or("", |text| text.value.as_str()));
        }
        define("kill", self.signal().name());
        if with.after != After::Trigger {
            define("after", &format!("{:?}", with.after));
        }
        define("settle", &format!("{:?}", with.settle));
        self.command().define_environment(root, outside, sink)
    }

    fn secrets(&self, root: &Path, outside: &Outside) -> Vec<String> {
        self.command().secrets(root, outside)
    }

    fn obstacles(&self, root: &Path, outside: &Outside, seen: &mut Seen) -> Vec<Diagnostic> {
        self.command().obstacles(root, outside, seen)
    }

    fn observe<'a>(&'a self, context: &'a Context) -> Pending<'a, Result<Vec<Observation>, FailReason>> {
        self.command().observe(context)
    }

    fn run<'a>(
        &'a self,
        context: &'a Context,
        output: &'a mut dyn Output,
    ) -> Pending<'a, Result<Result<(), FailReason>, ProcessError>> {
        Box::pin(async move {
            let deadline = (Instant::now() + self.timeout, self.timeout);
            let (loans, refused) = self.command().borrow(context, output).await;
            let ended = match refused {
                Some(reason) => Ok(Err(reason)),
                None => {
                    let id = attempt_id(&context.run_id);
                    let mut context = context.clone();
                    context.lent.push(("WEIR_ATTEMPT_ID".to_owned(), id.clone().into()));
                    Attempt { proof: self, context: &context, loans: &loans, id: &id, deadline }.run(output).await
                }
            };
            self.command().give_back(context, loans, output).await;
            ended
        })
    }

    fn state<'a>(&'a self, _: &'a Context) -> Pending<'a, Result<Digest, FailReason>> {
        Box::pin(async { Ok(Digest::of(b"")) })
    }
}
