//! The pure scheduler: `step(input) -> effects`. No IO, no clock, no async.
//!
//! ```text
//!            pending = 0             verdict: run            a slot is free
//! Waiting ───────────────▶ Checking ─────────────▶ Queued ───────────────▶ Running
//!    │                        │  │                   ▲ │                    │   │
//!    │ blocked, stopped,      │  │ fresh, hit        │ │ stopped,           │   │ failed, attempts left
//!    │ not needed             │  ▼                   │ │ interrupted        │   └──▶ Queued
//!    └──────▶ Skipped         │ Done ◀───────────────┼─┼────────────────────┤
//!                             └─────▶ Failed ◀───────┼─┴─▶ Skipped          └──▶ Failed
//! ```
//! A queued node that has failed before, and gets no further attempt, has failed. A running node whose command has succeeded gives its
//! slot back before it is done: what is left is to record it.
//!
//! A lender is not run in its turn:
//! ```text
//!          verdict: lend           released: nobody is left who borrows it
//! Checking ─────────────▶ Lending ────────────────────────────────────────▶ Done, Failed
//! ```
//! Who depends on it goes on once it is lending; its cleanups wait until it has ended.

use crate::config::When;
use crate::model::{FailReason, NodeId, SkipReason};
use crate::node::NamedLock;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;

/// What the scheduler knows of a node.
#[derive(Debug, Clone, Default)]
pub struct NodePlan {
    /// Waits for these, and is blocked by their failure.
    pub hard: Vec<NodeId>,
    /// Waits for these to end, however.
    pub soft: Vec<NodeId>,
    /// Runs only if one of these was started and ended so; waits for them.
    pub triggers: Vec<(NodeId, When)>,
    /// Named locks.
    pub locks: Vec<NamedLock>,
    /// Runs alone.
    pub exclusive: bool,
    /// Attempts, at least 1.
    pub attempts: u32,
    /// It is not run in its turn but lent to those that borrow it.
    pub lends: bool,
    /// It stays until the run is cut short, whoever borrows it.
    pub held: bool,
    /// What it borrows while it runs; a lender: while it is open.
    pub borrows: Vec<NodeId>,
    /// Longer paths first: what depends on it, and itself, in milliseconds.
    pub priority: u64,
}

/// Where a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeState {
    /// For others.
    Waiting {
        /// How many.
        pending: u32,
    },
    /// Its key is being made and looked up.
    Checking,
    /// For a slot.
    Queued {
        /// The attempt to come.
        attempt: u32,
    },
    /// Those that borrow it may run.
    Lending,
    /// A command runs.
    Running {
        /// 1 for the first.
        attempt: u32,
    },
    /// It ended well.
    Done(Done),
    /// It ended badly.
    Failed {
        /// Why.
        reason: FailReason,
        /// As a warning.
        warn: bool,
    },
    /// It did not run.
    Skipped(Skip),
}

/// How a node ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// Restored.
    Hit,
    /// Nothing to do.
    Fresh,
    /// It ran.
    Ran,
    /// It had run in a run that this one resumes.
    Before,
}

/// Why a node did not run; ids, not names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// This one failed on the way here.
    Blocked(NodeId),
    /// Something failed, and nothing new starts.
    Stopped,
    /// Interrupted.
    Interrupted,
    /// A cleanup that is not due.
    NotNeeded,
}

impl Skip {
    /// With names.
    pub fn reason(self, name: impl Fn(NodeId) -> crate::model::TaskName) -> SkipReason {
        match self {
            Self::Blocked(by) => SkipReason::Blocked { by: name(by) },
            Self::Stopped => SkipReason::Stopped,
            Self::Interrupted => SkipReason::Interrupted,
            Self::NotNeeded => SkipReason::NotNeeded,
        }
    }
}

impl NodeState {
    /// Whether it has ended.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Failed { .. } | Self::Skipped(_))
    }

    fn may_become(&self, next: &Self) -> bool {
        use NodeState::{Checking, Done, Failed, Lending, Queued, Running, Skipped, Waiting};
        matches!(
            (self, next),
            (Waiting { pending: 1.. }, Waiting { .. })
                | (Waiting { pending: 0 }, Checking)
                | (Waiting { .. } | Checking | Queued { .. }, Skipped(_))
                | (Checking, Queued { attempt: 1 } | Lending | Done(_) | Failed { .. })
                | (Lending, Done(_) | Failed { .. })
                | (Queued { .. }, Running { .. })
                | (Queued { attempt: 2.. }, Failed { .. })
                | (Running { .. }, Done(_) | Failed { .. } | Queued { .. })
        )
    }
}

/// What the outside tells the scheduler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Begin.
    Start,
    /// A check ended.
    Checked(NodeId, Verdict),
    /// The command of a running node has succeeded; what it left is yet to be looked at, which may fail it, and to be
    /// recorded. Its slot is free, unless there is only one: then nothing overlaps.
    Succeeded(NodeId),
    /// A run ended; of a lender: it was closed.
    Ended(NodeId, Ending),
    /// A lender could not be opened, or was lost.
    Lost(NodeId, FailReason),
    /// Nothing new starts any more; what runs is being asked to end. Cleanups still run.
    Interrupt,
    /// As above, and cleanups do not run either.
    Kill,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It counts and is in place.
    Fresh,
    /// It counts and was restored.
    Hit,
    /// It had run in a run that this one resumes.
    Before,
    /// It must run.
    Run,
    /// It may be borrowed.
    Lend,
    /// Its inputs can't be read.
    Failed {
        /// Why.
        reason: FailReason,
        /// As a warning.
        warn: bool,
    },
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Well.
    Ran,
    /// It turned out that another process had left a result meanwhile.
    Found(Done),
    /// Badly.
    Failed {
        /// Why.
        reason: FailReason,
        /// As a warning.
        warn: bool,
        /// Whether another attempt may help.
        retry: bool,
    },
}

/// What the outside is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Make its key and look it up.
    Check(NodeId),
    /// Run it.
    Run {
        /// Which.
        node: NodeId,
        /// 1 for the first.
        attempt: u32,
    },
    /// Open it, and keep it open: nobody needs to borrow it.
    Hold(NodeId),
    /// Nobody borrows it any more: close it.
    Release(NodeId),
    /// It has ended; its state is final.
    Finished(NodeId),
    /// All have ended.
    Complete,
}

/// How to go on.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// How many run at once, at least 1.
    pub jobs: usize,
    /// `-k`: go on with what does not depend on a failure.
    pub keep_going: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Open,
    /// After a failure.
    Stopping,
    /// After an interrupt.
    Interrupted,
    /// Cleanups too.
    Killed,
}

/// The state of a run.
#[derive(Debug, Clone)]
pub struct Scheduler {
    nodes: Vec<NodePlan>,
    states: Vec<NodeState>,
    dependents: Vec<Vec<NodeId>>,
    /// Who borrows it and has not ended.
    borrowers: Vec<u32>,
    /// It has been lending.
    lent: Vec<bool>,
    /// Lenders that have not been released.
    lending: Vec<NodeId>,
    started: Vec<bool>,
    /// How the last attempt of those that wait for another one failed, and whether as a warning.
    retried: BTreeMap<NodeId, (FailReason, bool)>,
    /// Nodes that have ended and whose dependents have not been told yet.
    ended: VecDeque<NodeId>,
    /// Waiting for a slot, best first: (priority, node).
    queue: BTreeSet<(std::cmp::Reverse<u64>, NodeId)>,
    locks_held: Vec<NamedLock>,
    /// Slots that are taken.
    running: usize,
    /// Nodes that have given theirs back, and have not ended.
    recording: BTreeSet<NodeId>,
    exclusive_running: bool,
    unfinished: usize,
    complete: bool,
    stage: Stage,
    rules: Rules,
    /// The node that failed first.
    first_failure: Option<NodeId>,
}

impl Scheduler {
    /// For these nodes, each of which waits only for earlier ones.
    pub fn new(nodes: Vec<NodePlan>, rules: Rules) -> Self {
        let mut dependents = vec![Vec::new(); nodes.len()];
        let mut borrowers = vec![0; nodes.len()];
        let mut states = Vec::with_capacity(nodes.len());
        for (index, node) in nodes.iter().enumerate() {
            let waits: BTreeSet<NodeId> =
                node.hard.iter().chain(&node.soft).chain(node.triggers.iter().map(|(id, _)| id)).copied().collect();
            states.push(NodeState::Waiting { pending: waits.len() as u32 });
            for before in waits {
                dependents[before.index()].push(NodeId(index as u32));
            }
            node.borrows.iter().for_each(|lender| borrowers[lender.index()] += 1);
        }
        Self {
            lent: vec![false; nodes.len()],
            unfinished: nodes.len(),
            complete: false,
            started: vec![false; nodes.len()],
            retried: BTreeMap::new(),
            ended: VecDeque::new(),
            nodes,
            states,
            dependents,
            borrowers,
            lending: Vec::new(),
            queue: BTreeSet::new(),
            locks_held: Vec::new(),
            running: 0,
            recording: BTreeSet::new(),
            exclusive_running: false,
            stage: Stage::Open,
            rules,
            first_failure: None,
        }
    }

    /// Where a node is.
    pub fn state(&self, node: NodeId) -> &NodeState {
        &self.states[node.index()]
    }

    /// Whether a command of the node was ever started.
    pub fn was_started(&self, node: NodeId) -> bool {
        self.started[node.index()]
    }

    /// Whether a command of the node was started by this run itself.
    pub fn ran_here(&self, node: NodeId) -> bool {
        self.was_started(node) && self.states[node.index()] != NodeState::Done(Done::Before)
    }

    /// The node that failed first (warnings apart).
    pub const fn first_failure(&self) -> Option<NodeId> {
        self.first_failure
    }

    /// How many commands run.
    pub const fn running(&self) -> usize {
        self.running
    }

    /// Takes an input; returns what is to be done, in order.
    pub fn step(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::Start => {
                for index in 0..self.nodes.len() {
                    self.advance(NodeId(index as u32), &mut effects);
                }
            }
            Input::Checked(node, verdict) => self.checked(node, verdict, &mut effects),
            Input::Succeeded(node) => {
                assert!(matches!(self.states[node.index()], NodeState::Running { .. }), "node {} succeeded", node.0);
                if self.rules.jobs > 1 && self.recording.insert(node) {
                    self.running -= 1;
                }
            }
            Input::Ended(node, ending) if self.nodes[node.index()].lends => self.closed(node, ending, &mut effects),
            Input::Ended(node, ending) => self.ended(node, ending, &mut effects),
            Input::Lost(node, reason) => {
                self.closed(node, Ending::Failed { reason, warn: false, retry: false }, &mut effects);
            }
            Input::Interrupt => self.stage = self.stage.max(Stage::Interrupted),
            Input::Kill => self.stage = self.stage.max(Stage::Killed),
        }
        self.fill(&mut effects);
        self.spread(&mut effects);
        self.release(&mut effects);
        if self.unfinished == 0 && !std::mem::replace(&mut self.complete, true) {
            effects.push(Effect::Complete);
        }
        effects
    }

    /// Tells the dependents of what has ended. A list and no recursion: a chain may be long. None
    /// of them gets into the queue by this: a check comes first.
    fn spread(&mut self, effects: &mut Vec<Effect>) {
        while let Some(node) = self.ended.pop_front() {
            let lends = self.nodes[node.index()].lends;
            let lending = self.states[node.index()] == NodeState::Lending;
            for dependent in self.dependents[node.index()].clone() {
                let cleans_up = self.nodes[dependent.index()].triggers.iter().any(|(of, _)| *of == node);
                // Its cleanups wait for its end; the others have been told already if it was lending.
                if lends && (if lending { cleans_up } else { !cleans_up && self.lent[node.index()] }) {
                    continue;
                }
                if let NodeState::Waiting { pending } = self.states[dependent.index()] {
                    self.set(dependent, NodeState::Waiting { pending: pending - 1 }, effects);
                    self.advance(dependent, effects);
                }
            }
        }
    }

    /// The one place where a state changes.
    fn set(&mut self, node: NodeId, next: NodeState, effects: &mut Vec<Effect>) {
        let state = &mut self.states[node.index()];
        assert!(state.may_become(&next), "node {} can't go from {state:?} to {next:?}", node.0);
        let is_final = next.is_final();
        let lending = next == NodeState::Lending;
        *state = next;
        if lending {
            self.lent[node.index()] = true;
            self.lending.push(node);
            self.ended.push_back(node);
        }
        if is_final {
            self.lending.retain(|lending| *lending != node);
            for lender in &self.nodes[node.index()].borrows {
                self.borrowers[lender.index()] -= 1;
            }
            effects.push(Effect::Finished(node));
            self.unfinished -= 1;
            self.ended.push_back(node);
        }
    }

    /// Lets a node go on if it waits for nothing more.
    fn advance(&mut self, node: NodeId, effects: &mut Vec<Effect>) {
        if self.states[node.index()] != (NodeState::Waiting { pending: 0 }) {
            return;
        }
        let plan = &self.nodes[node.index()];
        let cleanup = !plan.triggers.is_empty();
        let due = !cleanup || plan.triggers.iter().any(|(of, when)| self.is_due(*of, *when));
        let mut in_the_way = plan.hard.iter().filter_map(|before| self.blocked_by(*before));
        // That something failed says more than that something else was stopped.
        let blocked = match in_the_way.next() {
            Some(first) if !matches!(first, Skip::Blocked(_)) => {
                in_the_way.find(|skip| matches!(skip, Skip::Blocked(_))).or(Some(first))
            }
            first => first,
        };
        let skip = if due { self.stops(cleanup) } else { Some(Skip::NotNeeded) };
        let skip = match skip {
            // What is in the way says more than that nothing starts.
            Some(Skip::Stopped) => blocked.or(skip),
            None => blocked,
            other => other,
        };
        match skip {
            Some(skip) => self.set(node, NodeState::Skipped(skip), effects),
            None => {
                self.set(node, NodeState::Checking, effects);
                effects.push(Effect::Check(node));
            }
        }
    }

    /// Why nothing new starts, if so.
    fn stops(&self, cleanup: bool) -> Option<Skip> {
        match self.stage {
            Stage::Open => None,
            Stage::Killed => Some(Skip::Interrupted),
            _ if cleanup => None,
            Stage::Stopping => Some(Skip::Stopped),
            Stage::Interrupted => Some(Skip::Interrupted),
        }
    }

    fn is_due(&self, of: NodeId, when: When) -> bool {
        self.started[of.index()]
            && match (when, &self.states[of.index()]) {
                (When::Always, _) => true,
                (When::Success, state) => matches!(state, NodeState::Done(_)),
                (When::Failure, state) => !matches!(state, NodeState::Done(_)),
            }
    }

    /// What is in the way of whoever waits for `before`.
    fn blocked_by(&self, before: NodeId) -> Option<Skip> {
        match &self.states[before.index()] {
            NodeState::Failed { warn: false, .. } => Some(Skip::Blocked(before)),
            NodeState::Skipped(skip) => Some(*skip),
            _ => None,
        }
    }

    fn checked(&mut self, node: NodeId, verdict: Verdict, effects: &mut Vec<Effect>) {
        let cleanup = !self.nodes[node.index()].triggers.is_empty();
        match verdict {
            Verdict::Fresh => self.set(node, NodeState::Done(Done::Fresh), effects),
            Verdict::Hit => self.set(node, NodeState::Done(Done::Hit), effects),
            Verdict::Before => {
                // What cleans up after it may not have run then.
                self.started[node.index()] = true;
                self.set(node, NodeState::Done(Done::Before), effects);
            }
            Verdict::Failed { reason, warn } => self.fail(node, reason, warn, effects),
            Verdict::Lend => match self.stops(cleanup) {
                Some(skip) => self.set(node, NodeState::Skipped(skip), effects),
                None => {
                    self.set(node, NodeState::Lending, effects);
                    if self.nodes[node.index()].held {
                        effects.push(Effect::Hold(node));
                    }
                }
            },
            Verdict::Run => match self.stops(cleanup) {
                Some(skip) => self.set(node, NodeState::Skipped(skip), effects),
                None => {
                    self.set(node, NodeState::Queued { attempt: 1 }, effects);
                    self.queue.insert((std::cmp::Reverse(self.nodes[node.index()].priority), node));
                }
            },
        }
    }

    /// A lender that was opened and is closed, or that never was.
    fn closed(&mut self, node: NodeId, ending: Ending, effects: &mut Vec<Effect>) {
        // It may have been lost while it was being closed, and to several that borrowed it.
        if self.states[node.index()] != NodeState::Lending {
            return;
        }
        self.started[node.index()] = !matches!(ending, Ending::Found(_));
        match ending {
            Ending::Ran => self.set(node, NodeState::Done(Done::Ran), effects),
            Ending::Found(done) => self.set(node, NodeState::Done(done), effects),
            Ending::Failed { reason, warn, .. } => self.fail(node, reason, warn, effects),
        }
    }

    /// Has what nobody borrows any more closed.
    fn release(&mut self, effects: &mut Vec<Effect>) {
        let free = |node: &NodeId| {
            let held = self.nodes[node.index()].held && self.stage == Stage::Open;
            self.borrowers[node.index()] == 0 && !held
        };
        let (released, lending): (Vec<_>, Vec<_>) = self.lending.iter().copied().partition(free);
        self.lending = lending;
        effects.extend(released.into_iter().map(Effect::Release));
    }

    fn ended(&mut self, node: NodeId, ending: Ending, effects: &mut Vec<Effect>) {
        let NodeState::Running { attempt } = self.states[node.index()] else {
            unreachable!("node {} ended without running", node.0)
        };
        let plan = &self.nodes[node.index()];
        if !self.recording.remove(&node) {
            self.running -= 1;
        }
        self.exclusive_running &= !plan.exclusive;
        for lock in &plan.locks {
            if let Some(at) = self.locks_held.iter().position(|held| held == lock) {
                self.locks_held.swap_remove(at);
            }
        }
        let again = attempt < plan.attempts && self.stops(!plan.triggers.is_empty()).is_none();
        match ending {
            Ending::Ran => self.set(node, NodeState::Done(Done::Ran), effects),
            Ending::Found(done) => {
                // Another process's command, not this run's: nothing to clean up after.
                self.started[node.index()] = attempt > 1;
                self.set(node, NodeState::Done(done), effects);
            }
            Ending::Failed { retry: true, reason, warn } if again => {
                self.retried.insert(node, (reason, warn));
                self.set(node, NodeState::Queued { attempt: attempt + 1 }, effects);
                self.queue.insert((std::cmp::Reverse(self.nodes[node.index()].priority), node));
            }
            Ending::Failed { reason, warn, .. } => self.fail(node, reason, warn, effects),
        }
    }

    fn fail(&mut self, node: NodeId, reason: FailReason, warn: bool, effects: &mut Vec<Effect>) {
        if !warn && reason != FailReason::Interrupted {
            self.first_failure.get_or_insert(node);
            if !self.rules.keep_going {
                self.stage = self.stage.max(Stage::Stopping);
            }
        }
        self.set(node, NodeState::Failed { reason, warn }, effects);
    }

    /// Starts what can be started, best first; drops from the queue what no longer starts.
    fn fill(&mut self, effects: &mut Vec<Effect>) {
        let mut after = None;
        loop {
            let next = match after {
                None => self.queue.first(),
                Some(entry) => self.queue.range((Bound::Excluded(entry), Bound::Unbounded)).next(),
            };
            let Some(entry) = next.copied() else { return };
            after = Some(entry);
            let node = entry.1;
            let plan = &self.nodes[node.index()];
            let NodeState::Queued { attempt } = self.states[node.index()] else { continue };
            let lost = plan.borrows.iter().find_map(|lender| self.blocked_by(*lender));
            if let Some(skip) = lost.or_else(|| self.stops(!plan.triggers.is_empty())) {
                self.queue.remove(&entry);
                match self.retried.remove(&node) {
                    Some((reason, warn)) => self.fail(node, reason, warn, effects),
                    None => self.set(node, NodeState::Skipped(skip), effects),
                }
                continue;
            }
            if self.exclusive_running || self.running >= self.rules.jobs {
                // A stop must still reach the rest of the queue.
                if self.stage == Stage::Open {
                    return;
                }
                continue;
            }
            if plan.exclusive && self.running + self.recording.len() > 0 {
                // It waits for the others to end, and nothing overtakes it.
                return;
            }
            if plan.locks.iter().any(|lock| self.locks_held.iter().any(|held| held.excludes(lock))) {
                continue;
            }
            self.queue.remove(&entry);
            self.retried.remove(&node);
            self.locks_held.extend(plan.locks.iter().cloned());
            self.running += 1;
            self.exclusive_running |= plan.exclusive;
            self.started[node.index()] = true;
            self.set(node, NodeState::Running { attempt }, effects);
            effects.push(Effect::Run { node, attempt });
        }
    }

    /// The nodes that have not ended; a run that is over has none, and one that has some and
    /// nothing going on is a defect.
    pub fn stuck(&self) -> Vec<NodeId> {
        (0..self.states.len() as u32).map(NodeId).filter(|node| !self.state(*node).is_final()).collect()
    }
}

#[cfg(test)]
mod tests;
