//! A group: it orders others and does nothing itself.

use crate::config::{Diagnostic, Retry, Task};
use crate::model::{Digest, FailReason, KeySink, Observation, TaskName};
use crate::node::{Context, Effects, Facts, Node, Output, Outside, Pending, Seen, Travel};
use crate::process::ProcessError;
use std::path::Path;
use std::time::Duration;

/// A group.
#[derive(Debug)]
pub struct GroupNode {
    facts: Facts,
}

impl GroupNode {
    /// Of a task without a command.
    pub fn new(task: &Task, name: TaskName) -> Self {
        Self {
            facts: Facts {
                kept_as: name.clone(),
                locked_as: name.clone(),
                name,
                acts: false,
                always: None,
                shareable: false,
                sources: vec![],
                effects: Effects::Unknown,
                reports_state: false,
                observes: false,
                reset: None,
                writes: vec![],
                locks: vec![],
                interactive: false,
                quiet: false,
                warn_on_fail: false,
                help: task.help.clone(),
                confirm: task.confirm.clone(),
                retry: Retry { attempts: 1, backoff: Duration::ZERO },
                gate: None,
                artifacts: vec![],
                travel: Travel::Never(None),
            },
        }
    }
}

impl Node for GroupNode {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn define(&self, _: &Path, _: &Outside, _: &mut dyn KeySink) -> Result<(), FailReason> {
        Ok(())
    }

    fn secrets(&self, _: &Path, _: &Outside) -> Vec<String> {
        vec![]
    }

    fn obstacles(&self, _: &Path, _: &Outside, _: &mut Seen) -> Vec<Diagnostic> {
        vec![]
    }

    fn rests_on(&self) -> Option<Vec<&str>> {
        Some(vec![])
    }

    fn observe<'a>(&'a self, _: &'a Context) -> Pending<'a, Result<Vec<Observation>, FailReason>> {
        Box::pin(async { Ok(vec![]) })
    }

    fn run<'a>(
        &'a self,
        _: &'a Context,
        _: &'a mut dyn Output,
    ) -> Pending<'a, Result<Result<(), FailReason>, ProcessError>> {
        Box::pin(async { Ok(Ok(())) })
    }

    fn state<'a>(&'a self, _: &'a Context) -> Pending<'a, Result<Digest, FailReason>> {
        Box::pin(async { Ok(Digest::of(b"")) })
    }
}
