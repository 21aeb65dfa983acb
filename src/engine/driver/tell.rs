//! What the loop tells of a run: events as they happen, and how it ended.

use super::{Driver, Finish, millis};
use crate::cache::Found;
use crate::engine::job::log_name;
use crate::engine::scheduler::{Done, NodeState, Skip};
use crate::engine::standing::Standing;
use crate::event::{Event, PlannedService, PlannedTask, Record, RunFinished, TaskFinished, VERSION};
use crate::model::{FailReason, NodeId, Notice, Outcome, TaskName};
use crate::process::Signal;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

impl Driver<'_> {
    pub(super) fn emit(&mut self, event: Event) {
        self.told |= match &event {
            Event::TaskFinished(task) => task.outcome != Outcome::Fresh,
            Event::RunStarted { .. } | Event::RunFinished(_) => false,
            _ => true,
        };
        let record = Record {
            v: VERSION,
            seq: self.seq,
            at: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            elapsed_ms: millis(self.started.elapsed()),
            event,
        };
        self.seq += 1;
        self.sink.record(&self.services.masked(record));
    }

    pub(super) fn announce(&mut self) {
        // Of a part, the whole is shown.
        let part = self.part.as_ref().map(|part| (part.ids.clone(), part.verdict.clone()));
        let whole = part.as_ref().and_then(|(ids, verdict)| Some((ids, Standing::parse(verdict)?)));
        let tasks = match &whole {
            Some((_, whole)) => whole.planned(),
            None => self.plan.nodes.iter().map(planned(&self.names)).collect(),
        };
        self.emit(Event::RunStarted {
            run: self.folder.id.clone(),
            weir: env!("CARGO_PKG_VERSION").into(),
            targets: self.options.targets.clone(),
            profiles: self.options.profiles.clone(),
            jobs: self.options.jobs,
            dry_run: false,
            resumes: self.options.resumed.as_ref().and_then(|resumed| resumed.chain.first().cloned()),
            tasks,
        });
        for warning in &self.options.warnings {
            self.emit(Event::Warned(warning.clone()));
        }
        if let Some(((ids, whole), store)) = whole.zip(self.services.store.as_ref()) {
            self.beside = whole.beside(ids, (self.folder, store));
        }
    }

    /// Tells how the nodes were found that need not be judged.
    pub(super) fn tell_beside(&mut self) {
        for finished in std::mem::take(&mut self.beside) {
            self.ledger.totals.fresh += 1;
            self.ledger.saved += Duration::from_millis(finished.saved_ms);
            self.emit(Event::TaskFinished(Box::new(finished)));
        }
    }

    pub(super) fn finished(&mut self, id: NodeId) {
        let plan = Arc::clone(&self.plan);
        let node = &plan.nodes[id.index()];
        let facts = node.node.facts();
        if !facts.acts {
            return;
        }
        let outcome = self.outcome(id);
        if node.node.lender().is_some() {
            self.lending.unlock(id);
            if matches!(outcome, Outcome::Ran | Outcome::Fresh) {
                return;
            }
        }
        let name = self.names[id.index()].clone();
        if matches!(outcome, Outcome::Failed { .. }) {
            // Where that is a warning its dependents go on, and nobody knows what it left.
            let page = self.ledger.page(id);
            (page.left, page.outputs, page.recorded) = (None, None, None);
        }
        if outcome == Outcome::Fresh {
            self.fresh.push(id);
        }
        let (log, log_bytes) = self.log_of(id, &outcome);
        self.ledger.count(id, &name, &outcome);
        let page = self.ledger.page(id);
        let help = match &outcome {
            Outcome::Failed { reason: FailReason::Inputs { help, .. }, .. } => {
                facts.help.clone().or_else(|| help.clone())
            }
            Outcome::Failed { .. } => facts.help.clone(),
            _ => None,
        };
        let saved = match &outcome {
            Outcome::Fresh | Outcome::Hit => page.recorded.as_ref().map_or(0, |recorded| recorded.duration_ms),
            Outcome::Done { .. } => millis(page.spared),
            _ => 0,
        };
        let replayed_from = self.replayed_from(id, &outcome);
        let page = self.ledger.page(id);
        let finished = TaskFinished {
            task: name,
            flaky: outcome == Outcome::Ran && page.attempts > 1,
            outcome,
            duration_ms: millis(page.took),
            saved_ms: saved,
            attempts: page.attempts,
            key: page.key,
            log,
            log_bytes,
            remote: page.remote,
            replayed_from,
            help,
            parts: std::mem::take(&mut page.parts),
        };
        self.emit(Event::TaskFinished(Box::new(finished)));
    }

    /// Of a gate whose recorded result counts: the run that recorded it. What its key was made of is looked up too.
    fn replayed_from(&mut self, id: NodeId, outcome: &Outcome) -> Option<String> {
        let gate = self.plan.nodes[id.index()].node.facts().gate.is_some();
        if let Outcome::Done { run } = outcome {
            return Some(run.clone()).filter(|_| gate);
        }
        if !gate || !matches!(outcome, Outcome::Fresh | Outcome::Hit) {
            return None;
        }
        let key = self.ledger.page(id).key?;
        let Found::Yes(result) = self.services.store.as_ref()?.result(&key, true) else { return None };
        self.ledger.page(id).parts = result.parts;
        Some(result.run)
    }

    fn outcome(&self, id: NodeId) -> Outcome {
        match self.scheduler.state(id) {
            NodeState::Done(Done::Fresh) => Outcome::Fresh,
            NodeState::Done(Done::Hit) => Outcome::Hit,
            NodeState::Done(Done::Ran) => Outcome::Ran,
            NodeState::Done(Done::Before) => {
                Outcome::Done { run: self.ledger.pages[id.index()].ran_in.clone().unwrap_or_default() }
            }
            NodeState::Failed { reason, warn } => Outcome::Failed { reason: reason.clone(), warn: *warn },
            NodeState::Skipped(skip) => {
                Outcome::Skipped { reason: Skip::reason(*skip, |id| self.names[id.index()].clone()) }
            }
            other => unreachable!("node {} finished as {other:?}", id.0),
        }
    }

    /// A lender has printed what it did by itself: its page says nothing of it.
    fn own_log(&self, name: &str) -> (Option<String>, u64) {
        let length = std::fs::metadata(self.folder.path.join(name)).map_or(0, |found| found.len());
        ((length > 0).then(|| name.to_owned()), length)
    }

    /// The log to show, in the run's folder; a replayed one is put there.
    fn log_of(&mut self, id: NodeId, outcome: &Outcome) -> (Option<String>, u64) {
        let plan = Arc::clone(&self.plan);
        let node = &plan.nodes[id.index()];
        let page = &self.ledger.pages[id.index()];
        let name = log_name(node);
        match (outcome, &page.recorded) {
            (Outcome::Fresh | Outcome::Hit, Some(recorded)) => {
                let (Some((digest, length)), Some(store)) = (&recorded.log, &self.services.store) else {
                    return (None, 0);
                };
                match store.lend_blob(digest, &self.folder.path.join(&name)) {
                    Ok(()) => (Some(name), *length),
                    Err(_) => (None, 0),
                }
            }
            // A gate's is part of its evidence.
            (Outcome::Done { run }, _) if node.node.facts().gate.is_some() => {
                let there = self.folder.path.with_file_name(run).join(&name);
                match std::fs::copy(there, self.folder.path.join(&name)) {
                    Ok(length) => (Some(name), length),
                    Err(_) => (None, 0),
                }
            }
            _ if node.node.lender().is_some() => self.own_log(&name),
            _ if page.log_bytes > 0 => (Some(name), page.log_bytes),
            _ => (None, 0),
        }
    }

    pub(super) fn close(mut self) -> Finish {
        // Threads first: nothing must still be recording.
        drop(self.pool.take());
        let strays = self.services.finish();
        if !strays.is_empty() {
            self.emit(Event::Warned(Notice {
                code: "left-behind".into(),
                message: format!("ended what tasks had left running: {}", strays.join(", ")),
                help: None,
            }));
        }
        let kept = self.services.lock_state().keep_memo(&self.services.surveyor.memo);
        if let Err(error) = kept {
            self.emit(Event::Warned(Notice {
                code: "not-recorded".into(),
                message: format!("failed to keep what was learnt of files: {error}; the next run reads them again"),
                help: None,
            }));
        }
        let stuck = self.scheduler.stuck();
        if !stuck.is_empty() && self.broken.is_none() {
            let names: Vec<&str> = stuck.iter().map(|id| self.names[id.index()].as_str()).collect();
            self.broken = Some(format!("the run ended before `{}`", names.join("`, `")));
        }
        let remote = self.finish_remote();
        let exit_code = match (&self.broken, self.exit_signal, self.scheduler.first_failure()) {
            (Some(_), ..) => 70,
            (None, Some(Signal::Int), _) => 130,
            (None, Some(_), _) => 143,
            (None, None, _) if self.ledger.refused => 3,
            (None, None, Some(_)) => 1,
            (None, None, None) if self.ledger.totals.failed > 0 || self.misses_remote() => 1,
            (None, None, None) => 0,
        };
        if exit_code != 0 {
            self.begin_journal();
        }
        let (critical, chain) = self.ledger.critical_path(&self.plan);
        let first_failure = self.scheduler.first_failure().map(|id| self.names[id.index()].clone());
        let finished = RunFinished {
            exit_code,
            wall_ms: millis(self.started.elapsed()),
            saved_ms: millis(self.ledger.saved),
            critical_path_ms: millis(critical),
            critical_path: chain,
            totals: self.ledger.totals.clone(),
            first_failure,
            blocked: std::mem::take(&mut self.ledger.blocked),
            warnings: std::mem::take(&mut self.ledger.warnings),
            remote,
        };
        self.emit(Event::RunFinished(Box::new(finished)));
        Finish { exit_code, standing: self.standing(exit_code), broken: self.broken }
    }

    /// The verdict, where all that there was to do was to give it.
    fn standing(&self, exit_code: u8) -> Option<Vec<u8>> {
        let acting = self.plan.nodes.iter().filter(|node| node.node.facts().acts).count();
        let idle = exit_code == 0 && self.untouched && !self.told && self.fresh.len() == acting;
        let plain = self.services.redactor().is_empty();
        let standing = || match &self.part {
            Some(part) => Standing::parse(&part.verdict)?.again(&part.ids, &self.fresh, &self.ledger.pages),
            None => Standing::of(&self.plan, &self.fresh, &self.ledger.pages),
        };
        if idle && plain { standing()?.to_bytes() } else { None }
    }
}

/// A node of the plan, as events name it.
pub fn planned(names: &[TaskName]) -> impl Fn(&crate::graph::PlanNode) -> PlannedTask + '_ {
    |node| {
        let facts = node.node.facts();
        PlannedTask {
            task: facts.name.clone(),
            group: !facts.acts,
            quiet: facts.quiet,
            interactive: facts.interactive,
            cleanup: node.is_cleanup(),
            service: node.node.lender().map(|_| PlannedService { stays: node.held }),
            gate: facts.gate.clone(),
            after: node.before().map(|id| names[id.index()].clone()).collect(),
        }
    }
}
