//! One attempt at a node, on a thread of its own: lock, look again, invalidate, run, check,
//! *then* record.

mod elsewhere;
mod keep;
mod undeclared;

use super::driver::Message;
use super::earlier::noted_as;
use super::judge::{Decision, Judge, Judgement, Upstream};
use super::lending::{Failed, Lending};
use super::printer::Printer;
use super::scheduler::{Done, Ending};
use super::services::Services;
use super::standing::log_of;
use crate::cache::{Manifest, Recorded, RestoreError, RunJournal, restore};
use crate::fingerprint::Left;
use crate::graph::{Plan, PlanNode};
use crate::journal::{Holder, Lock, LockKind, NameLock};
use crate::model::{Digest, FailReason, KeyPart, NodeId, Notice, Reason};
use crate::node::{Cancel, Context, NamedLock, Output};
use crate::process::ProcessError;
use elsewhere::Ended;
use std::cell::Cell;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// A judgement older than this is made again before it is acted on.
const STALE: Duration = Duration::from_secs(1);

/// What a job needs.
pub struct Job<'a> {
    /// What it works with.
    pub services: &'a Services,
    /// The node.
    pub node: &'a PlanNode,
    /// Its id.
    pub id: NodeId,
    /// The run's id.
    pub run_id: &'a str,
    /// The run's folder.
    pub run_dir: PathBuf,
    /// Whether this node is being cut short.
    pub cancel: watch::Receiver<Cancel>,
    /// To the driver.
    pub messages: SyncSender<Message>,
    /// The data dependencies with declared outputs, and the digest of these.
    pub relied_on: Vec<(&'a PlanNode, Digest)>,
    /// What the run leaves for one that resumes it.
    pub journal: Option<&'a RunJournal>,
    /// Whether output is passed on as it comes.
    pub live: bool,
    /// The plan.
    pub plan: &'a Plan,
    /// What it may borrow.
    pub lending: &'a Lending,
}

/// How a job ended.
#[derive(Debug)]
pub struct JobReport {
    /// For the scheduler.
    pub ending: Ending,
    /// What it left, where it ended well.
    pub left: Option<Left>,
    /// Digest of its declared outputs.
    pub outputs: Option<Digest>,
    /// Its key.
    pub key: Option<Digest>,
    /// The parts of the key, where it was recorded.
    pub parts: Vec<KeyPart>,
    /// How long the command took.
    pub took: Duration,
    /// Bytes of its log.
    pub log_bytes: u64,
    /// What another process's result saved, and its log.
    pub found: Option<Recorded>,
    /// What it read did not change meanwhile, as far as that is looked at.
    pub held_still: bool,
    /// The state it reported.
    pub state: Option<Digest>,
    /// It was the remote that ran it.
    pub remote: bool,
}

impl JobReport {
    fn failed(reason: FailReason, warn: bool) -> Self {
        Self {
            ending: Ending::Failed { reason, warn, retry: false },
            left: None,
            outputs: None,
            key: None,
            parts: vec![],
            took: Duration::ZERO,
            log_bytes: 0,
            found: None,
            held_still: false,
            state: None,
            remote: false,
        }
    }
}

/// The log of a node, relative to the run's folder.
pub fn log_name(node: &PlanNode) -> String {
    log_of(node.name())
}

impl Job<'_> {
    /// Goes on with a judgement for which the remote was asked; makes it again if that took long.
    pub fn judge_on(&self, judgement: Judgement) -> Judgement {
        let outdated = judgement.at.elapsed() > STALE / 2 || {
            let mut state = self.services.lock_state();
            state.refresh().is_err() || state.overtaken() != judgement.overtaken
        };
        if outdated { self.judge(judgement.upstream) } else { self.judges().go_on(self.node, judgement) }
    }

    /// Restores what a judgement found, under the node's lock. `Err`: it must run after all.
    pub fn bring_back(&self, judgement: Judgement) -> Result<(Done, Recorded), Box<Judgement>> {
        let held = match self.lock(false) {
            Ok(Some(held)) => held,
            _ => return Err(Box::new(judgement)),
        };
        let judgement = if self.is_outdated(&held, &judgement) { self.judge(judgement.upstream) } else { judgement };
        self.put_back(judgement)
    }

    fn put_back(&self, mut judgement: Judgement) -> Result<(Done, Recorded), Box<Judgement>> {
        let (recorded, survey) = match &judgement.decision {
            Decision::Fresh(recorded) => {
                self.keep_fetched(&judgement);
                self.remember(recorded);
                return Ok((Done::Fresh, recorded.clone()));
            }
            Decision::Restore(recorded, survey) => (recorded.clone(), survey.clone()),
            Decision::Run | Decision::Done(_) | Decision::Fail(_) => return Err(Box::new(judgement)),
        };
        let Some(store) = &self.services.store else { return Err(Box::new(judgement)) };
        match restore(&self.services.root, store, &survey) {
            Ok(_) => {
                self.keep_fetched(&judgement);
                self.remember(&recorded);
                Ok((Done::Hit, recorded))
            }
            Err(error) => {
                if !matches!(error, RestoreError::NoBlob(_)) {
                    self.warn("restore", error.to_string(), None);
                }
                judgement.reasons.push(Reason::Outputs { what: vec![error.to_string()] });
                judgement.decision = Decision::Run;
                Err(Box::new(judgement))
            }
        }
    }

    /// Under the task's lock: what the remote gave is a result of this workspace from now on.
    fn keep_fetched(&self, judgement: &Judgement) {
        let (Some(store), Some(fetched)) = (&self.services.store, &judgement.fetched) else { return };
        if let Err(error) = store.put_result(&fetched.recorded.key, fetched, true) {
            self.warn("not-recorded", format!("failed to record what the remote gave: {error}"), space_help(&error));
        }
    }

    fn remember(&self, recorded: &Recorded) {
        let name = self.node.node.facts().kept_as.as_str();
        if let Err(error) = self.services.lock_state().record(name, recorded.clone()) {
            self.warn("not-recorded", format!("failed to record the result: {error}"), None);
        }
    }

    /// Runs the node once, after a pause that an interrupt ends.
    /// Without a judgement it is made then.
    pub fn run_after(&self, pause: Duration, judgement: Option<Judgement>, upstream: Upstream) -> JobReport {
        if !pause.is_zero() {
            let mut cancel = self.cancel.clone();
            let interrupted = match self.services.context(self.run_id, cancel.clone()) {
                Ok((_, runtime)) => runtime.block_on(async {
                    tokio::time::timeout(pause, cancel.wait_for(|now| *now != Cancel::No)).await.is_ok()
                }),
                Err(_) => false,
            };
            if interrupted {
                return JobReport::failed(FailReason::Interrupted, false);
            }
        }
        let judgement = judgement.unwrap_or_else(|| {
            let mut judgement = self.judge(upstream);
            // Another attempt was decided on.
            if !matches!(judgement.decision, Decision::Fail(_)) {
                judgement.decision = Decision::Run;
            }
            judgement
        });
        if let Decision::Fail(reason) = judgement.decision {
            return JobReport::failed(reason, self.node.node.facts().warn_on_fail);
        }
        self.run(judgement)
    }

    /// Whether the node has to be judged again now that its lock is held: another process may have run it
    /// since, and be done with it.
    fn is_outdated(&self, held: &Held, judgement: &Judgement) -> bool {
        if held.waited || judgement.at.elapsed() > STALE {
            return true;
        }
        let mut state = self.services.lock_state();
        state.refresh().is_err() || state.overtaken() != judgement.overtaken
    }

    fn judge(&self, upstream: Upstream) -> Judgement {
        self.services.surveyor.rules().forget();
        let _ = self.services.lock_state().refresh();
        self.judges().judge(self.node, upstream, None)
    }

    const fn judges(&self) -> Judge<'_> {
        Judge { services: self.services, run_id: self.run_id, cancel: &self.cancel, earlier: None }
    }

    /// Runs the node once.
    fn run(&self, mut judgement: Judgement) -> JobReport {
        let facts = self.node.node.facts();
        let held = match self.lock(true) {
            Ok(Some(held)) => held,
            Ok(None) => return JobReport::failed(FailReason::Interrupted, false),
            Err(error) => {
                let message = format!("failed to lock it against other processes: {error}");
                return JobReport::failed(FailReason::Start { message }, facts.warn_on_fail);
            }
        };
        if facts.always.is_none() && self.is_outdated(&held, &judgement) {
            judgement = self.judge(judgement.upstream);
            if let Decision::Fail(reason) = judgement.decision {
                return JobReport::failed(reason, facts.warn_on_fail);
            }
            match self.put_back(judgement) {
                Ok((done, recorded)) => {
                    return JobReport {
                        ending: Ending::Found(done),
                        left: Some(Left::Digest(recorded.left)),
                        outputs: Some(recorded.outputs.digest()),
                        key: Some(recorded.key),
                        parts: vec![],
                        took: Duration::ZERO,
                        log_bytes: 0,
                        found: Some(recorded),
                        held_still: false,
                        state: None,
                        remote: false,
                    };
                }
                Err(again) => judgement = *again,
            }
        }
        tracing::debug!(task = %facts.name, waited = held.waited, "locked; its last result is taken off the record");
        let key = self.key_in_chain(&judgement);
        match self.prepare(&judgement) {
            Ok(records) => {
                let report = self.act(&judgement, records);
                if let (Some(key), Ending::Ran) = (key, &report.ending) {
                    self.journal(&judgement, key, &report);
                }
                report
            }
            Err(reason) => JobReport::failed(reason, facts.warn_on_fail),
        }
    }

    /// What must be on disk before the first act. Says whether a success may be recorded.
    fn prepare(&self, judgement: &Judgement) -> Result<bool, FailReason> {
        let facts = self.node.node.facts();
        let name = facts.kept_as.as_str();
        if self.services.place.is_some() {
            self.services.starts.note(&noted_as(facts), self.run_id).map_err(|error| FailReason::Start {
                message: format!("failed to note that it starts, which a resumed run must see: {error}"),
            })?;
        }
        if let Some(reset) = &facts.reset {
            let written = self.services.lock_state().reincarnate(reset.as_str());
            if let Err(error) = written {
                let message = format!("failed to write the new incarnation that every later task must see: {error}");
                return Err(FailReason::Start { message });
            }
        }
        let removed = match (&self.services.store, &judgement.key) {
            (Some(store), Some(key)) => store.remove_result(key),
            _ => Ok(()),
        };
        let mut state = self.services.lock_state();
        let invalidated = match &removed {
            Ok(()) => state.invalidate(name, judgement.key.is_none()),
            // What is still there must not count.
            Err(_) => state.invalidate_all(name),
        };
        let Err(error) = invalidated else {
            return Ok(self.services.store.is_some() && judgement.upstream.tainted_by.is_none());
        };
        // No space for the invalidation: then nothing that it contradicts may stay.
        if state.forget().is_err() {
            let message = format!("failed to take its last result off the record: {error}");
            return Err(FailReason::Start { message });
        }
        drop(state);
        self.warn("not-recorded", format!("nothing can be recorded: {error}"), space_help(&error));
        Ok(false)
    }

    fn act(&self, judgement: &Judgement, records: bool) -> JobReport {
        let facts = self.node.node.facts();
        // An `env_file` may have been written by a task of this run.
        self.services.learn_secrets(self.node.node.secrets(&self.services.root, &self.services.outside));
        let mut printer = Printer::new(
            self.id,
            self.services.redactor(),
            self.run_dir.join(log_name(self.node)),
            self.messages.clone(),
            self.live,
        );
        let relied_on = self.look_at_relied_on();
        let started = Instant::now();
        let (ended, remote) = match self.run_elsewhere(judgement, &mut printer) {
            Some(Ended { ended, remote }) => (ended.map(|()| None), remote),
            None => (self.run_here(&mut printer), false),
        };
        let took = started.elapsed();
        if ended.is_ok() {
            // Another command may start while what this one left is looked at and recorded.
            let _ = self.messages.send(Message::Succeeded(self.id));
        }
        let (log_bytes, log_trouble, hid) = printer.finish();
        if let Some(error) = &log_trouble {
            self.warn("log", format!("failed to write the log: {error}"), space_help(error));
        }
        self.keep_artifacts();
        let fail = |reason: FailReason| JobReport {
            took,
            log_bytes,
            ending: Ending::Failed { retry: may_pass_later(&reason), reason, warn: facts.warn_on_fail },
            left: None,
            outputs: None,
            key: judgement.key,
            parts: vec![],
            found: None,
            held_still: false,
            state: None,
            remote: false,
        };
        let state = match ended {
            Ok(state) => state,
            Err(reason) => return fail(reason),
        };
        let outputs = match self.outputs() {
            Ok(outputs) => outputs,
            Err(reason) => return fail(reason),
        };
        let held_still = self.inputs_held_still(judgement, &relied_on);
        let left = if held_still { self.left(judgement, &outputs, state) } else { Left::Unknown(facts.name.clone()) };
        let outputs_digest = Some(outputs.digest());
        let mut parts = vec![];
        if let (true, true, None, Some(key), Left::Digest(digest)) =
            (records, held_still, &log_trouble, judgement.key, &left)
        {
            let recorded = Recorded {
                key,
                left: *digest,
                outputs,
                log: None,
                duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                state,
            };
            parts = self.judges().parts(self.node, judgement).unwrap_or_default();
            if let Err(error) = self.record(recorded, parts.clone(), log_bytes, hid) {
                self.warn("not-recorded", format!("failed to record the result: {error}"), space_help(&error));
            }
        }
        JobReport {
            ending: Ending::Ran,
            left: Some(left),
            outputs: outputs_digest,
            key: judgement.key,
            parts,
            took,
            log_bytes,
            found: None,
            held_still,
            state,
            remote,
        }
    }

    /// Runs the node in the workspace; gives the state it left, where it reports one.
    fn run_here(&self, printer: &mut Printer) -> Result<Option<Digest>, FailReason> {
        let broke = |broken: ProcessError| {
            let _ = self.messages.send(Message::Broken(broken.to_string()));
            FailReason::Start { message: broken.to_string() }
        };
        let (context, runtime) = self.services.context(self.run_id, self.cancel.clone()).map_err(broke)?;
        runtime.block_on(self.run_node(&context, printer)).map_err(broke)??;
        // State is looked at while the node still counts as running.
        match self.node.node.facts().reports_state {
            true => runtime.block_on(self.node.node.state(&context)).map(Some),
            false => Ok(None),
        }
    }

    /// Runs the node with all that it borrows. What it borrowed and lost on the way fails it.
    async fn run_node(&self, context: &Context, output: &mut Printer) -> Result<Result<(), FailReason>, ProcessError> {
        if self.node.borrows.is_empty() {
            return self.node.node.run(context, output).await;
        }
        let lent = match self.lending.lend_all(self.id, context).await {
            Ok(lent) => lent,
            Err((_, FailReason::Interrupted)) => return Ok(Err(FailReason::Interrupted)),
            Err(failed) => return Ok(Err(self.failed_by(failed, context, output).await)),
        };
        let mut outer = self.cancel.clone();
        let (cut_short, cancel) = watch::channel(*outer.borrow_and_update());
        let own = Context { lent, cancel, ..context.clone() };
        let lenders = self.plan.borrowed(self.node);
        let mut lost: Option<Failed> = None;
        let ended = {
            let mut run = self.node.node.run(&own, output);
            loop {
                tokio::select! {
                    ended = &mut run => break ended?,
                    Some(failed) = self.lending.lost(&lenders), if lost.is_none() => {
                        lost = Some(failed);
                        cut_short.send_if_modified(|now| {
                            let asked = (*now).max(Cancel::Terminate);
                            std::mem::replace(now, asked) != asked
                        });
                    }
                    changed = outer.changed() => match changed {
                        Ok(()) => drop(cut_short.send_replace(*outer.borrow_and_update())),
                        Err(_) => break run.await?,
                    },
                }
            }
        };
        if *self.cancel.borrow() != Cancel::No {
            return Ok(ended);
        }
        let is_lost = |id: &NodeId| self.lending.lender(*id).is_some_and(|lender| lender.is_lost());
        if lost.is_none() && lenders.iter().any(is_lost) {
            // It ended in the same instant as its borrower.
            lost = self.lending.lost(&lenders).await;
        }
        match lost {
            Some((_, FailReason::Interrupted)) => Ok(Err(FailReason::Interrupted)),
            Some(failed) => Ok(Err(self.failed_by(failed, context, output).await)),
            None => Ok(ended),
        }
    }

    /// Tells of a service that failed those that need it.
    async fn failed_by(&self, (lender, reason): Failed, context: &Context, output: &mut Printer) -> FailReason {
        let service = self.plan.nodes[lender.index()].name().clone();
        let message = reason.describe();
        let lines = match self.lending.lender(lender) {
            Some(lender) => lender.last_lines().await,
            None => vec![],
        };
        let mut text = format!("weir: its service `{service}`: {message}\n");
        if !lines.is_empty() {
            text.push_str(&format!("weir: the last lines of `{service}`:\n"));
            lines.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
        }
        output.bytes(text.as_bytes());
        self.lending.close(lender, context).await;
        let _ = self.messages.send(Message::Lost(vec![(lender, reason)]));
        FailReason::Service { service, message }
    }

    fn warn(&self, code: &str, message: String, help: Option<String>) {
        let notice = Notice { code: code.into(), message, help };
        let _ = self.messages.send(Message::Notice(self.id, notice));
    }

    /// Takes the task's lock, and, where a command will run, the `declared` ones. None: interrupted
    /// while waiting.
    fn lock(&self, declared: bool) -> io::Result<Option<Held>> {
        let mut held = Held { waited: false, _locks: vec![], _task: None };
        let Some(place) = &self.services.place else { return Ok(Some(held)) };
        let facts = self.node.node.facts();
        if declared && !self.node.borrows.is_empty() {
            let waiting = |holder: &crate::journal::Holder| {
                let _ = self.messages.send(Message::Waiting(self.id, holder.to_string()));
            };
            match self.lending.lock(self.id, waiting, || *self.cancel.borrow() != Cancel::No)? {
                Some(waited) => held.waited = waited,
                None => return Ok(None),
            }
        }
        let mut names = if declared { self.plan.locks_of(self.node) } else { vec![] };
        // One order for all, so that two processes never wait for each other.
        names.sort_unstable();
        names.dedup_by(|later, first| later.name == first.name);
        let kind = |lock: &NamedLock| if lock.shared { LockKind::Shared } else { LockKind::Exclusive };
        let waited = Cell::new(false);
        let waiting = |holder: &Holder| {
            waited.set(true);
            let _ = self.messages.send(Message::Waiting(self.id, holder.to_string()));
        };
        let give_up = || *self.cancel.borrow() != Cancel::No;
        for lock in names {
            match Lock::take(&place.user_lock(&lock.name), kind(&lock), &self.services.me, waiting, give_up)? {
                Some(lock) => held._locks.push(lock),
                None => return Ok(None),
            }
        }
        let locks = &self.services.task_locks;
        held._task = locks.take(facts.locked_as.as_str(), |pid| place.run_of(pid), waiting, give_up)?;
        if held._task.is_none() {
            return Ok(None);
        }
        held.waited = waited.get();
        let waiting = |whom: String| {
            let _ = self.messages.send(Message::Waiting(self.id, whom));
        };
        Ok(self.services.wait_for_the_dying(held.waited, waiting, give_up)?.then_some(held))
    }
}

/// Whether another attempt can end otherwise.
fn may_pass_later(reason: &FailReason) -> bool {
    !matches!(reason, FailReason::Interrupted | FailReason::Refused { .. } | FailReason::Service { .. })
}

/// Waits until a run is cut short.
pub async fn wait_out(mut cancel: watch::Receiver<Cancel>) {
    drop(cancel.wait_for(|now| *now != Cancel::No).await);
}

struct Held {
    waited: bool,
    _locks: Vec<Lock>,
    _task: Option<NameLock>,
}

fn combine(outputs: &Manifest, state: Option<Digest>) -> Digest {
    let mut hasher = crate::model::Hasher::new();
    hasher.field(outputs.digest().as_bytes());
    if let Some(state) = state {
        hasher.field(state.as_bytes());
    }
    hasher.finish()
}

fn space_help(error: &io::Error) -> Option<String> {
    (error.kind() == io::ErrorKind::StorageFull).then(|| "make room on the disk; `weir cache prune` frees some".into())
}
