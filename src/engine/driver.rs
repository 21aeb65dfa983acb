//! The loop that carries out the scheduler's effects: one inbound channel, one thread that decides.

mod remote;
mod services;
mod tell;

pub use tell::planned;

use self::remote::ask_ahead;
use super::job::JobReport;
use super::judge::{Ahead, AskRemote, Decision, Judge, Judgement, Upstream};
use super::ledger::Ledger;
use super::lending::Lending;
use super::part::Part;
use super::pool::Pool;
use super::prepare::Prepared;
use super::priority::node_plans;
use super::resumed::{Resumed, trace};
use super::scheduler::{Done, Effect, Ending, Input, NodeState, Rules, Scheduler, Verdict};
use super::services::Services;
use super::settled::Settled;
use super::work::Work;
use crate::cache::{Kept, Last, Recorded, RunFolder, RunJournal};
use crate::event::{Event, Sink, TaskFinished};
use crate::fingerprint::Left;
use crate::graph::Plan;
use crate::model::{Digest, FailReason, Hasher, NodeId, Notice, Stage, TaskName};
use crate::node::Cancel;
use crate::process::{Signal, SignalWatch, on_signals, take_short_turns};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How a run is to go.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many tasks run at once.
    pub jobs: u32,
    /// `-k`.
    pub keep_going: bool,
    /// Output is shown as it comes, not only when a task has ended.
    pub live_output: bool,
    /// Profiles in force, for the record.
    pub profiles: Vec<String>,
    /// Targets as asked for, for the record.
    pub targets: Vec<String>,
    /// Warnings that came up before the run.
    pub warnings: Vec<Notice>,
    /// What it leaves for a run that resumes it.
    pub journal: Option<Arc<RunJournal>>,
    /// What it goes on from.
    pub resumed: Option<Arc<Resumed>>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Finish {
    /// 0, 1, 3, 70, 130 or 143.
    pub exit_code: u8,
    /// What broke, if weir did.
    pub broken: Option<String>,
    /// Where there was nothing to do, and nothing to tell: the verdict, as [`super::Standing`].
    pub standing: Option<Vec<u8>>,
}

/// What reaches the loop.
#[derive(Debug)]
pub enum Message {
    /// A node was judged.
    Judged(NodeId, Box<Judgement>),
    /// The remote was asked for a node; what it gave is kept.
    Answered(NodeId, Box<Judgement>, Kept),
    /// A node was restored, or found fresh under its lock; or must run after all.
    Restored(NodeId, Result<(Done, crate::cache::Recorded), Box<Judgement>>),
    /// A command succeeded, and what it left is being looked at.
    Succeeded(NodeId),
    /// An attempt ended.
    Job(NodeId, Box<JobReport>),
    /// A node waits for another process.
    Waiting(NodeId, String),
    /// A node printed something.
    Output(NodeId, Vec<u8>),
    /// Something to tell about a node.
    Notice(NodeId, Notice),
    /// A node tells what happened.
    Told(Box<Event>),
    /// What became of a service.
    Stage(NodeId, Stage),
    /// Lenders that could not be opened, or were lost, the cause first.
    Lost(Vec<(NodeId, FailReason)>),
    /// A lender was closed.
    Closed(NodeId),
    /// A signal arrived.
    Signal(Signal),
    /// weir broke.
    Broken(String),
    /// The work on a node panicked; the hook has said why.
    Panicked(NodeId),
}

/// Messages under way at once; a full channel holds tasks back, so that memory stays flat.
const CHANNEL: usize = 256;
const TICK: Duration = Duration::from_millis(100);

struct Driver<'a> {
    plan: Arc<Plan>,
    services: Arc<Services>,
    lending: Arc<Lending>,
    folder: &'a RunFolder,
    options: &'a Options,
    sink: &'a mut dyn Sink,
    scheduler: Scheduler,
    ledger: Ledger,
    ahead: Vec<Option<Ahead>>,
    settled: Option<Settled>,
    part: Option<Part>,
    /// What is to be told of the nodes beside that part, once there is nothing better to do.
    beside: Vec<TaskFinished>,
    /// Nothing has run or been restored yet: what was read ahead still holds.
    untouched: bool,
    /// The nodes found fresh, in this order.
    fresh: Vec<NodeId>,
    /// Something was told beside that.
    told: bool,
    judged: Vec<Option<Box<Judgement>>>,
    names: Vec<TaskName>,
    pool: Option<Pool>,
    sender: SyncSender<Message>,
    cancel: watch::Sender<Cancel>,
    cleanup_cancel: watch::Sender<Cancel>,
    started: Instant,
    seq: u64,
    interrupts: u32,
    exit_signal: Option<Signal>,
    broken: Option<String>,
    complete: bool,
}

/// Runs a plan.
pub fn run(
    prepared: Prepared,
    services: Arc<Services>,
    folder: &RunFolder,
    options: &Options,
    sink: &mut dyn Sink,
) -> Finish {
    take_short_turns();
    let Prepared { plan, ahead, settled, part, started } = prepared;
    let (sender, inbox) = sync_channel(CHANNEL);
    let cancels = (watch::Sender::new(Cancel::No), watch::Sender::new(Cancel::No));
    let signals = watch_signals(&sender, cancels.clone(), Arc::clone(&services));
    services.learn_secrets(plan.nodes.iter().flat_map(|node| node.node.secrets(&services.root, &services.outside)));
    let mut driver = Driver {
        scheduler: Scheduler::new(node_plans(&plan, &services), rules(options)),
        ledger: Ledger::new(plan.nodes.len()),
        lending: Arc::new(Lending::new(&plan, &services, folder.path.clone(), sender.clone())),
        judged: plan.nodes.iter().map(|_| None).collect(),
        names: plan.nodes.iter().map(|node| node.name().clone()).collect(),
        ahead,
        settled,
        part,
        beside: vec![],
        untouched: true,
        fresh: vec![],
        told: false,
        pool: None,
        sender,
        cancel: cancels.0,
        cleanup_cancel: cancels.1,
        started,
        seq: 0,
        interrupts: 0,
        exit_signal: None,
        broken: None,
        complete: false,
        plan,
        services,
        folder,
        options,
        sink,
    };
    // Where little has changed something will run, most likely: what runs it is started meanwhile.
    let warming = driver.part.as_ref().map(|_| warm(&driver));
    driver.announce();
    let runs_for_sure = |node: &crate::graph::PlanNode| {
        node.node.facts().acts && (node.node.facts().always.is_some() || node.forced) && !node.is_cleanup()
    };
    if driver.options.resumed.is_some() || driver.plan.nodes.iter().any(runs_for_sure) {
        driver.begin_journal();
    }
    if let Err(error) = &signals {
        driver.emit(Event::Warned(Notice {
            code: "signals".into(),
            message: format!("failed to watch for signals: {error}"),
            help: None,
        }));
    }
    driver.go(&inbox);
    driver.tell_beside();
    driver.hand_over(&inbox);
    drop(signals);
    if let Some(Ok(warming)) = warming {
        let _ = warming.join();
    }
    driver.close()
}

/// Starts what commands are started with. If that fails, it fails again where somebody needs it.
fn warm(driver: &Driver<'_>) -> std::io::Result<std::thread::JoinHandle<()>> {
    let (services, run_id, cancel) =
        (Arc::clone(&driver.services), driver.folder.id.clone(), driver.cancel.subscribe());
    std::thread::Builder::new().name("weir-warm".into()).spawn(move || drop(services.context(&run_id, cancel)))
}

/// Acts on signals where they arrive: the loop may be held up by a terminal that takes no output.
fn watch_signals(
    sender: &SyncSender<Message>,
    (tasks, cleanups): (watch::Sender<Cancel>, watch::Sender<Cancel>),
    services: Arc<Services>,
) -> Result<SignalWatch, crate::process::ProcessError> {
    let sender = sender.clone();
    let mut count = 0;
    on_signals(move |signal| {
        count += 1;
        // First the word and then the deed: the loop must hear of the signal before it hears of
        // what that ended. Only a loop that is held up is told afterwards.
        let held_up = sender.try_send(Message::Signal(signal)).is_err();
        if count == 1 {
            tasks.send_replace(if signal == Signal::Int { Cancel::Interrupt } else { Cancel::Terminate });
        } else {
            tasks.send_replace(Cancel::Kill);
            cleanups.send_replace(Cancel::Kill);
            services.kill_all();
        }
        if held_up {
            let _ = sender.send(Message::Signal(signal));
        }
    })
}

fn rules(options: &Options) -> Rules {
    Rules { jobs: options.jobs.max(1) as usize, keep_going: options.keep_going }
}

impl Driver<'_> {
    fn go(&mut self, inbox: &Receiver<Message>) {
        let mut inputs = VecDeque::from([Input::Start]);
        // What runs may change anything: before the first starts, all is judged that can be by what was read ahead.
        let mut later = VecDeque::new();
        loop {
            while let Some(input) = inputs.pop_front() {
                for effect in self.scheduler.step(input) {
                    match effect {
                        Effect::Run { .. } if self.untouched || !later.is_empty() => later.push_back(effect),
                        effect => self.carry_out(effect, &mut inputs),
                    }
                }
            }
            if let Some(run) = later.pop_front() {
                self.carry_out(run, &mut inputs);
                continue;
            }
            if self.complete {
                return;
            }
            self.tell_beside();
            match inbox.recv_timeout(TICK) {
                Ok(message) => self.receive(message, &mut inputs),
                Err(RecvTimeoutError::Timeout) => self.sink.tick(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn carry_out(&mut self, effect: Effect, inputs: &mut VecDeque<Input>) {
        match effect {
            Effect::Check(node) => self.check(node, inputs),
            Effect::Run { node, attempt } => self.start(node, attempt, inputs),
            Effect::Hold(node) => self.hold(node, inputs),
            Effect::Release(node) => self.close_lender(node, inputs),
            Effect::Finished(node) => self.finished(node),
            Effect::Complete => self.complete = true,
        }
    }

    fn check(&mut self, id: NodeId, inputs: &mut VecDeque<Input>) {
        let plan = Arc::clone(&self.plan);
        let node = &plan.nodes[id.index()];
        let facts = node.node.facts();
        let upstream = self.upstream(id);
        if !facts.acts {
            // A group is transparent: it leaves what its members left.
            let page = self.ledger.page(id);
            page.trace = Some(group_trace(&upstream));
            page.left = Some(group_left(upstream));
            inputs.push_back(Input::Checked(id, Verdict::Fresh));
            return;
        }
        if let Some(recorded) = self.known(id).or_else(|| self.settled_now(id)) {
            self.take_over(id, recorded);
            return inputs.push_back(Input::Checked(id, Verdict::Fresh));
        }
        let mut ahead = self.ahead[id.index()].take().filter(|_| self.untouched);
        let resumed = self.resumed_for(id);
        let quick = resumed.is_none()
            && (facts.always.is_some() || (ahead.is_some() && !facts.observes && !facts.reports_state));
        if quick {
            let cancel = self.cancel_of(id);
            let judge = Judge { services: &self.services, run_id: &self.folder.id, cancel: &cancel, earlier: None };
            // This loop waits for no server.
            let judgement = judge.judge_asking(node, upstream.clone(), ahead.take(), AskRemote::No);
            if judgement.remote != AskRemote::WouldHave {
                return self.judged(id, judgement, inputs);
            }
            if ask_ahead(&self.services, id, judgement, &self.sender) {
                return;
            }
        }
        let (services, run_id, cancel) = (Arc::clone(&self.services), self.folder.id.clone(), self.cancel_of(id));
        let plan = Arc::clone(&self.plan);
        self.spawn(inputs, (id, false), move |sender| {
            let node = &plan.nodes[id.index()];
            let earlier = resumed.as_ref().and_then(|resumed| resumed.earlier(node));
            let judge = Judge { services: &services, run_id: &run_id, cancel: &cancel, earlier };
            // Nor does this thread, which others need.
            let asks = if earlier.is_some() { AskRemote::Yes } else { AskRemote::No };
            let mut judgement = judge.judge_asking(node, upstream.clone(), ahead, asks);
            if judgement.remote == AskRemote::WouldHave {
                if ask_ahead(&services, id, judgement, sender) {
                    return;
                }
                judgement = judge.judge(node, upstream, None);
            }
            let _ = sender.send(Message::Judged(id, Box::new(judgement)));
        });
    }

    /// The recorded result of a node that was found fresh when its part of a plan was made, whatever happens since.
    fn known(&mut self, id: NodeId) -> Option<Recorded> {
        self.part.as_mut()?.known.get_mut(id.index())?.take()
    }

    /// The recorded result of a node that was known to be fresh before anything was judged, as long as nothing has run.
    fn settled_now(&mut self, id: NodeId) -> Option<Recorded> {
        let settled = self.settled.as_mut().filter(|_| self.untouched)?;
        settled.take(id, &self.plan.nodes[id.index()], &self.services.lock_state())
    }

    fn upstream(&self, id: NodeId) -> Upstream {
        let data = &self.plan.nodes[id.index()].data;
        Upstream::of(data.iter().map(|before| {
            let name = self.names[before.index()].clone();
            // Of one that ended and left nothing on record, nobody knows what it did.
            let page = &self.ledger.pages[before.index()];
            let left = page.left.clone().unwrap_or_else(|| Left::Unknown(name.clone()));
            let run = page.ran_in.as_ref().unwrap_or(&self.folder.id);
            let trace = page.trace.unwrap_or_else(|| trace(&left, run, &name));
            (name, left, trace)
        }))
    }

    /// What the run goes on from, if that says something of this node.
    fn resumed_for(&self, id: NodeId) -> Option<Arc<Resumed>> {
        let node = &self.plan.nodes[id.index()];
        let resumed = self.options.resumed.as_ref().filter(|resumed| resumed.earlier(node).is_some())?;
        // What follows another task, to clean up or to look, follows it each time.
        let again = node.follows().any(|of| self.has_run(of));
        (!again).then(|| Arc::clone(resumed))
    }

    /// Whether a node was run by this run itself, and not only looked and found what it had found; of a group, a member
    /// of it.
    fn has_run(&self, id: NodeId) -> bool {
        let node = &self.plan.nodes[id.index()];
        if !node.node.facts().acts {
            return node.data.iter().any(|member| self.has_run(*member));
        }
        let left = match &self.ledger.pages[id.index()].left {
            Some(Left::Digest(left)) => Some(left),
            Some(Left::Unknown(_)) | None => None,
        };
        let looked = self.options.resumed.as_ref().and_then(|resumed| resumed.looked(node));
        self.scheduler.ran_here(id) && !(left.is_some() && left == looked.as_ref())
    }

    /// From now on the run can be resumed.
    fn begin_journal(&mut self) {
        let begun = self.options.journal.as_ref().map_or(Ok(()), |journal| journal.begin());
        if let Err(error) = begun {
            self.emit(Event::Warned(Notice {
                code: "no-journal".into(),
                message: format!("failed to begin the run's journal: {error}; this run can't be resumed"),
                help: None,
            }));
        }
    }

    fn cancel_of(&self, id: NodeId) -> watch::Receiver<Cancel> {
        if self.plan.nodes[id.index()].is_cleanup() { &self.cleanup_cancel } else { &self.cancel }.subscribe()
    }

    /// Has work done on a thread that may block; `urgent`: a slot is taken for it.
    fn spawn(
        &mut self,
        inputs: &mut VecDeque<Input>,
        (id, urgent): (NodeId, bool),
        work: impl FnOnce(&SyncSender<Message>) + Send + 'static,
    ) {
        let jobs = self.options.jobs as usize;
        // Beside those whose command runs, others are judged, and recorded.
        let pool = self.pool.get_or_insert_with(|| {
            Pool::new(2 * jobs + std::thread::available_parallelism().map_or(2, std::num::NonZero::get))
        });
        let sender = self.sender.clone();
        let guarded = move || {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&sender)));
            if done.is_err() {
                let _ = sender.send(Message::Panicked(id));
            }
        };
        if let Err(error) = pool.spawn(urgent, guarded) {
            self.give_up(id, format!("failed to start a thread: {error}"), inputs);
        }
    }

    /// weir broke while it worked on a node: the node fails, and so does the run.
    fn give_up(&mut self, id: NodeId, why: String, inputs: &mut VecDeque<Input>) {
        let reason = FailReason::Start { message: why.clone() };
        self.broken.get_or_insert(why);
        inputs.push_back(match self.scheduler.state(id) {
            NodeState::Running { .. } => Input::Ended(id, Ending::Failed { reason, warn: false, retry: false }),
            _ => Input::Checked(id, Verdict::Failed { reason, warn: false }),
        });
    }

    fn judged(&mut self, id: NodeId, mut judgement: Judgement, inputs: &mut VecDeque<Input>) {
        tracing::debug!(task = %self.names[id.index()], key = ?judgement.key, reasons = ?judgement.reasons.len(), "judged");
        for notice in std::mem::take(&mut judgement.notices) {
            self.emit(Event::Warned(notice));
        }
        let page = self.ledger.page(id);
        page.key = judgement.key;
        if self.lending.lender(id).is_some() && !matches!(judgement.decision, Decision::Fail(_)) {
            page.left = Some(judgement.lent(&self.names[id.index()]));
            let cancel = self.cancel_of(id);
            let judge = Judge { services: &self.services, run_id: &self.folder.id, cancel: &cancel, earlier: None };
            // It starts anew in a run that goes on from this one, and is the same to those that had borrowed it.
            let known = judge.key_in_chain(&self.plan.nodes[id.index()], &judgement).ok();
            self.ledger.page(id).trace = known;
            self.lending.judged(id, Arc::new(judgement));
            return inputs.push_back(Input::Checked(id, Verdict::Lend));
        }
        match &judgement.decision {
            Decision::Fresh(recorded) => {
                let recorded = recorded.clone();
                let kept_as = &self.plan.nodes[id.index()].node.facts().kept_as;
                let known = {
                    let state = self.services.lock_state();
                    matches!(state.last(kept_as.as_str()), Some(Last::Good(last)) if *last == recorded)
                };
                if known {
                    self.take_over(id, recorded);
                    inputs.push_back(Input::Checked(id, Verdict::Fresh));
                } else {
                    // Of another run or checkout: it becomes this workspace's last result.
                    self.bring_back(id, judgement, inputs);
                }
            }
            Decision::Restore(..) => self.bring_back(id, judgement, inputs),
            Decision::Done(past) => {
                let past = past.clone();
                let by = judgement.upstream.tainted_by.unwrap_or_else(|| past.task.clone());
                let page = self.ledger.page(id);
                page.left = Some(past.left.map_or(Left::Unknown(by), Left::Digest));
                page.outputs = past.outputs;
                page.spared = Duration::from_millis(past.took_ms);
                page.parts = past.parts;
                page.ran_in = Some(past.run);
                inputs.push_back(Input::Checked(id, Verdict::Before));
            }
            Decision::Run => {
                self.judged[id.index()] = Some(Box::new(judgement));
                inputs.push_back(Input::Checked(id, Verdict::Run));
            }
            Decision::Fail(reason) => {
                let warn = self.plan.nodes[id.index()].node.facts().warn_on_fail;
                inputs.push_back(Input::Checked(id, Verdict::Failed { reason: reason.clone(), warn }));
            }
        }
    }

    fn bring_back(&mut self, id: NodeId, judgement: Judgement, inputs: &mut VecDeque<Input>) {
        self.untouched = false;
        let work = self.job_parts(id);
        self.spawn(inputs, (id, false), move |sender| {
            let done = work.job(sender).bring_back(judgement);
            let _ = sender.send(Message::Restored(id, done));
        });
    }

    fn take_over(&mut self, id: NodeId, recorded: Recorded) {
        let page = self.ledger.page(id);
        page.left = Some(Left::Digest(recorded.left));
        page.key = Some(recorded.key);
        page.recorded = Some(recorded);
    }

    fn job_parts(&self, id: NodeId) -> Work {
        Work {
            services: Arc::clone(&self.services),
            plan: Arc::clone(&self.plan),
            id,
            run_id: self.folder.id.clone(),
            run_dir: self.folder.path.clone(),
            cancel: self.cancel_of(id),
            relied_on: self.relied_on(id),
            journal: self.options.journal.clone(),
            live: self.options.live_output && !self.plan.nodes[id.index()].node.facts().quiet,
            lending: Arc::clone(&self.lending),
        }
    }

    /// The declared outputs of its data dependencies, as they were left.
    fn relied_on(&self, id: NodeId) -> Vec<(NodeId, Digest)> {
        let mut all = Vec::new();
        let mut stack = self.plan.nodes[id.index()].data.clone();
        let mut seen = std::collections::BTreeSet::new();
        while let Some(before) = stack.pop() {
            if !seen.insert(before) {
                continue;
            }
            let node = &self.plan.nodes[before.index()];
            if !node.node.facts().acts {
                stack.extend(&node.data);
            } else if let Some(outputs) = self.ledger.pages[before.index()].outputs()
                && !node.node.facts().effects.patterns().is_empty()
            {
                all.push((before, outputs));
            }
        }
        all
    }

    fn start(&mut self, id: NodeId, attempt: u32, inputs: &mut VecDeque<Input>) {
        self.untouched = false;
        self.begin_journal();
        // Of a further attempt, the job makes a judgement when its turn comes.
        let judgement = self.judged[id.index()].take();
        let retry = self.plan.nodes[id.index()].node.facts().retry;
        let page = self.ledger.page(id);
        page.attempts = attempt;
        if let Some(message) = page.failed.take() {
            let backoff_ms = millis(backoff(retry.backoff, attempt));
            let task = self.names[id.index()].clone();
            self.emit(Event::TaskRetried { task, attempt: attempt - 1, message, backoff_ms });
        }
        let reasons = judgement.as_ref().map(|judgement| judgement.reasons.clone()).unwrap_or_default();
        let upstream = self.upstream(id);
        // Before it begins: whoever reads what a killed run has left must find all that it did.
        self.emit(Event::TaskStarted { task: self.names[id.index()].clone(), attempt, reasons });
        let work = self.job_parts(id);
        let backoff = if attempt > 1 { backoff(retry.backoff, attempt) } else { Duration::ZERO };
        self.spawn(inputs, (id, true), move |sender| {
            let report = work.job(sender).run_after(backoff, judgement.map(|judgement| *judgement), upstream);
            let _ = sender.send(Message::Job(id, Box::new(report)));
        });
    }

    fn receive(&mut self, message: Message, inputs: &mut VecDeque<Input>) {
        // Something was waited for; what was read ahead is not of this instant any more.
        self.untouched = false;
        match message {
            Message::Judged(id, judgement) => self.judged(id, *judgement, inputs),
            Message::Answered(id, judgement, kept) => self.answered(id, *judgement, kept, inputs),
            Message::Restored(id, Ok((done, recorded))) => {
                self.take_over(id, recorded);
                let verdict = if done == Done::Hit { Verdict::Hit } else { Verdict::Fresh };
                inputs.push_back(Input::Checked(id, verdict));
            }
            Message::Restored(id, Err(judgement)) => match &judgement.decision {
                Decision::Fail(reason) => {
                    let warn = self.plan.nodes[id.index()].node.facts().warn_on_fail;
                    inputs.push_back(Input::Checked(id, Verdict::Failed { reason: reason.clone(), warn }));
                }
                _ => {
                    self.ledger.page(id).key = judgement.key;
                    self.judged[id.index()] = Some(judgement);
                    inputs.push_back(Input::Checked(id, Verdict::Run));
                }
            },
            Message::Succeeded(id) => inputs.push_back(Input::Succeeded(id)),
            Message::Job(id, report) => self.job_ended(id, *report, inputs),
            Message::Waiting(id, on) => self.emit(Event::TaskWaiting { task: self.names[id.index()].clone(), on }),
            Message::Output(id, bytes) => self.sink.output(&self.names[id.index()], &bytes),
            Message::Notice(id, notice) => {
                self.emit(Event::TaskNoticed { task: self.names[id.index()].clone(), notice });
            }
            Message::Told(event) => self.emit(*event),
            Message::Stage(id, stage) => {
                self.emit(Event::Service { task: self.names[id.index()].clone(), stage });
            }
            Message::Lost(all) => {
                inputs.extend(all.into_iter().map(|(id, reason)| Input::Lost(id, self.services.masked(reason))));
            }
            Message::Closed(id) => inputs.push_back(Input::Ended(id, Ending::Ran)),
            Message::Signal(signal) => self.signalled(signal, inputs),
            Message::Panicked(id) => {
                let why = format!("the work on `{}` panicked", self.names[id.index()]);
                self.give_up(id, why, inputs);
            }
            Message::Broken(why) => {
                self.broken.get_or_insert(why);
            }
        }
    }

    fn job_ended(&mut self, id: NodeId, report: JobReport, inputs: &mut VecDeque<Input>) {
        self.services.surveyor.rules().forget();
        let page = self.ledger.page(id);
        page.took += report.took;
        page.key = report.key.or(page.key);
        page.parts = report.parts;
        page.remote = report.remote;
        page.log_bytes += report.log_bytes;
        page.left = report.left;
        page.outputs = report.outputs;
        if let Some(recorded) = report.found {
            page.attempts = 0;
            self.take_over(id, recorded);
        }
        if let Ending::Failed { reason, .. } = &report.ending {
            self.ledger.page(id).failed = Some(reason.describe());
        }
        inputs.push_back(Input::Ended(id, report.ending));
    }

    fn signalled(&mut self, signal: Signal, inputs: &mut VecDeque<Input>) {
        self.interrupts += 1;
        self.exit_signal.get_or_insert(signal);
        let stage = self.interrupts.min(2);
        self.services.remote.iter().for_each(|remote| remote.give_up());
        self.emit(Event::Interrupted { signal: signal.name().into(), stage });
        inputs.push_back(if stage == 1 { Input::Interrupt } else { Input::Kill });
    }
}

/// What a group leaves for dependents: all that its members left, or the taint of one of them.
pub fn group_left(upstream: Upstream) -> Left {
    if let Some(by) = upstream.tainted_by {
        return Left::Unknown(by);
    }
    let mut hasher = Hasher::new();
    for (name, left) in &upstream.left {
        hasher.field(name.as_str().as_bytes());
        hasher.update(left.as_bytes());
    }
    let digest: Digest = hasher.finish();
    Left::Digest(digest)
}

/// What stands for that.
pub fn group_trace(upstream: &Upstream) -> Digest {
    let mut hasher = Hasher::new();
    for (name, trace) in &upstream.traces {
        hasher.field(name.as_str().as_bytes());
        hasher.update(trace.as_bytes());
    }
    hasher.finish()
}

/// Before attempt 2 the declared backoff, then twice as long each time.
fn backoff(base: Duration, attempt: u32) -> Duration {
    base.saturating_mul(1 << attempt.saturating_sub(2).min(16))
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
