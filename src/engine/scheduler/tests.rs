//! The scheduler against a naive oracle: random graphs, endings, orders and cancellation points.

mod lending;

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What will happen to a node when the scheduler asks for it.
#[derive(Debug, Clone)]
struct Script {
    verdict: Verdict,
    /// The ending of each attempt; the last one repeats.
    endings: Vec<Ending>,
}

/// A run: the graph, what happens in it, in which order, and when it is cut short.
#[derive(Debug, Clone)]
struct Case {
    nodes: Vec<NodePlan>,
    scripts: Vec<Script>,
    rules: Rules,
    /// Which of the outstanding checks and commands ends next.
    order: Vec<u8>,
    /// Inputs from outside, each before this many steps.
    cuts: Vec<(usize, Input)>,
}

fn id(index: usize) -> NodeId {
    NodeId(index as u32)
}

/// What the naive evaluation, or the run, says of a node. Reasons of blocking are judged apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Done(Done),
    Failed { warn: bool },
    Blocked,
    NotNeeded,
    Stopped,
    Interrupted,
}

fn end_of(state: &NodeState) -> End {
    match state {
        NodeState::Done(done) => End::Done(*done),
        NodeState::Failed { warn, .. } => End::Failed { warn: *warn },
        NodeState::Skipped(Skip::Blocked(_)) => End::Blocked,
        NodeState::Skipped(Skip::NotNeeded) => End::NotNeeded,
        NodeState::Skipped(Skip::Stopped) => End::Stopped,
        NodeState::Skipped(Skip::Interrupted) => End::Interrupted,
        other => panic!("{other:?} is no end"),
    }
}

/// The naive evaluation: one node after the other, without time. What each ends as, and whether a
/// command of it was started, where nothing is ever cut short.
fn evaluate(case: &Case) -> Vec<(End, bool)> {
    let mut ends: Vec<(End, bool)> = Vec::new();
    for (node, script) in case.nodes.iter().zip(&case.scripts) {
        let due = node.triggers.iter().any(|(of, when)| {
            let (end, started) = ends[of.index()];
            started && fits(*when, end)
        });
        let hard = || node.hard.iter().map(|before| ends[before.index()].0);
        ends.push(if !node.triggers.is_empty() && !due {
            (End::NotNeeded, false)
        } else if hard().any(|end| matches!(end, End::Failed { warn: false } | End::Blocked)) {
            (End::Blocked, false)
        } else if hard().any(|end| end == End::NotNeeded) {
            (End::NotNeeded, false)
        } else {
            match &script.verdict {
                Verdict::Fresh => (End::Done(Done::Fresh), false),
                Verdict::Hit => (End::Done(Done::Hit), false),
                // What cleans up after it comes after it, as if it had run now.
                Verdict::Before => (End::Done(Done::Before), true),
                Verdict::Failed { warn, .. } => (End::Failed { warn: *warn }, false),
                Verdict::Run => run_alone(node, script),
                Verdict::Lend => unreachable!("lenders have tests of their own"),
            }
        });
    }
    ends
}

fn run_alone(node: &NodePlan, script: &Script) -> (End, bool) {
    for attempt in 1..=node.attempts {
        match ending(script, attempt) {
            Ending::Ran => return (End::Done(Done::Ran), true),
            // Another process did it: no command of this run was started, unless one failed before.
            Ending::Found(done) => return (End::Done(done), attempt > 1),
            Ending::Failed { retry: true, .. } if attempt < node.attempts => {}
            Ending::Failed { warn, .. } => return (End::Failed { warn }, true),
        }
    }
    unreachable!()
}

fn ending(script: &Script, attempt: u32) -> Ending {
    script.endings.get(attempt as usize - 1).or(script.endings.last()).cloned().unwrap()
}

fn fits(when: When, end: End) -> bool {
    match when {
        When::Always => true,
        When::Success => matches!(end, End::Done(_)),
        When::Failure => !matches!(end, End::Done(_)),
    }
}

/// All nodes that `node` has a chain of hard edges to.
fn hard_ancestors(nodes: &[NodePlan], node: usize) -> BTreeSet<usize> {
    let mut all = BTreeSet::new();
    let mut stack: Vec<usize> = nodes[node].hard.iter().map(|before| before.index()).collect();
    while let Some(at) = stack.pop() {
        if all.insert(at) {
            stack.extend(nodes[at].hard.iter().map(|before| before.index()));
        }
    }
    all
}

/// Watches a run from outside, and keeps its own books.
struct Watcher<'c> {
    case: &'c Case,
    scheduler: Scheduler,
    checking: Vec<usize>,
    running: BTreeMap<usize, u32>,
    /// Those of `running` whose command has succeeded.
    recording: BTreeSet<usize>,
    checked: BTreeSet<usize>,
    finished: BTreeSet<usize>,
    /// A command of it was started, and it was not found done by another process instead.
    started: BTreeSet<usize>,
    complete: bool,
    failed: bool,
    interrupted: bool,
    killed: bool,
}

impl<'c> Watcher<'c> {
    fn new(case: &'c Case) -> Self {
        Self {
            scheduler: Scheduler::new(case.nodes.clone(), case.rules),
            case,
            checking: vec![],
            running: BTreeMap::new(),
            recording: BTreeSet::new(),
            checked: BTreeSet::new(),
            finished: BTreeSet::new(),
            started: BTreeSet::new(),
            complete: false,
            failed: false,
            interrupted: false,
            killed: false,
        }
    }

    fn cleanup(&self, node: usize) -> bool {
        !self.case.nodes[node].triggers.is_empty()
    }

    fn may_begin(&self, node: usize) {
        assert!(!self.complete, "{node} begins after the end");
        assert!(!self.killed, "{node} begins after a kill");
        if !self.cleanup(node) {
            assert!(!self.interrupted, "{node} begins after an interrupt");
            assert!(!self.failed || self.case.rules.keep_going, "{node} begins after a failure");
        }
    }

    fn step(&mut self, input: Input) {
        match &input {
            Input::Interrupt => self.interrupted = true,
            Input::Kill => (self.interrupted, self.killed) = (true, true),
            Input::Checked(_, Verdict::Failed { warn: false, .. }) => self.failed = true,
            Input::Checked(node, Verdict::Before) => {
                self.started.insert(node.index());
            }
            Input::Checked(..) | Input::Start => {}
            Input::Lost(..) => unreachable!("lenders have tests of their own"),
            Input::Succeeded(node) => assert!(self.recording.insert(node.index())),
            Input::Ended(node, ending) => {
                self.recording.remove(&node.index());
                let attempt = self.running.remove(&node.index()).unwrap();
                match ending {
                    Ending::Found(_) if attempt == 1 => drop(self.started.remove(&node.index())),
                    Ending::Failed { warn, retry, .. } => {
                        let stops = self.killed
                            || !self.cleanup(node.index())
                                && (self.interrupted || self.failed && !self.case.rules.keep_going);
                        let again = *retry && attempt < self.case.nodes[node.index()].attempts && !stops;
                        self.failed |= !warn && !again;
                    }
                    _ => {}
                }
            }
        }
        for effect in self.scheduler.step(input) {
            self.effect(&effect);
        }
        assert_eq!(self.scheduler.running(), self.slots());
        // What was asked for and what the states say agree.
        for (index, state) in (0..self.case.nodes.len()).map(|index| (index, self.scheduler.state(id(index)))) {
            assert_eq!(state.is_final(), self.finished.contains(&index), "{index}: {state:?}");
            assert_eq!(*state == NodeState::Checking, self.checking.contains(&index), "{index}: {state:?}");
            let running = self.running.get(&index).map(|attempt| NodeState::Running { attempt: *attempt });
            assert!(running.is_none_or(|running| running == *state), "{index}: {state:?}");
        }
        self.no_needless_waiting();
    }

    /// Slots that are taken.
    fn slots(&self) -> usize {
        self.running.len() - if self.case.rules.jobs > 1 { self.recording.len() } else { 0 }
    }

    /// A node that could run does, unless an exclusive one is waiting for the others to end.
    fn no_needless_waiting(&self) {
        let queued = |index: &usize| matches!(self.scheduler.state(id(*index)), NodeState::Queued { .. });
        let all: Vec<usize> = (0..self.case.nodes.len()).filter(queued).collect();
        if all.is_empty() || self.slots() >= self.case.rules.jobs {
            return;
        }
        let nodes = &self.case.nodes;
        if all.iter().chain(self.running.keys()).any(|index| nodes[*index].exclusive) {
            assert!(!self.running.is_empty(), "{all:?} wait for nothing");
            return;
        }
        for index in all {
            let held = |lock: &NamedLock| {
                self.running.keys().any(|other| nodes[*other].locks.iter().any(|theirs| theirs.excludes(lock)))
            };
            assert!(nodes[index].locks.iter().any(held), "{index} could run");
        }
    }

    fn effect(&mut self, effect: &Effect) {
        assert!(!self.complete, "{effect:?} after Complete");
        match effect {
            Effect::Check(node) => {
                let index = node.index();
                self.may_begin(index);
                assert!(self.checked.insert(index), "{index} is checked twice");
                let plan = &self.case.nodes[index];
                let triggers = plan.triggers.iter().map(|(of, _)| of);
                for before in plan.hard.iter().chain(&plan.soft).chain(triggers) {
                    assert!(self.finished.contains(&before.index()), "{index} is checked before {before:?} ended");
                }
                for before in &plan.hard {
                    let end = end_of(self.scheduler.state(*before));
                    assert!(matches!(end, End::Done(_) | End::Failed { warn: true }), "{index} goes on after {end:?}");
                }
                self.checking.push(index);
            }
            Effect::Run { node, attempt } => {
                let index = node.index();
                self.may_begin(index);
                assert!(self.checked.contains(&index) && !self.finished.contains(&index));
                let nodes = &self.case.nodes;
                assert!((1..=nodes[index].attempts).contains(attempt));
                assert!(self.slots() < self.case.rules.jobs, "too many run");
                for other in self.running.keys() {
                    assert!(!nodes[index].exclusive && !nodes[*other].exclusive, "{index} runs beside {other}");
                    assert!(
                        !nodes[index]
                            .locks
                            .iter()
                            .any(|lock| nodes[*other].locks.iter().any(|theirs| theirs.excludes(lock))),
                        "{index} and {other} share a lock"
                    );
                }
                self.started.insert(index);
                assert_eq!(self.running.insert(index, *attempt), None);
            }
            Effect::Finished(node) => {
                assert!(self.scheduler.state(*node).is_final());
                assert!(self.finished.insert(node.index()), "{node:?} ends twice");
            }
            Effect::Hold(_) | Effect::Release(_) => unreachable!("lenders have tests of their own"),
            Effect::Complete => {
                assert_eq!(self.finished.len(), self.case.nodes.len(), "not all have ended");
                self.complete = true;
            }
        }
    }

    fn run(&mut self) {
        let case = self.case;
        let mut cuts = case.cuts.clone();
        cuts.sort_by_key(|(at, _)| *at);
        let mut cuts = cuts.into_iter().peekable();
        let mut order = case.order.iter().copied().chain(std::iter::repeat(0));
        let mut steps = 0;
        loop {
            while let Some((_, cut)) = cuts.next_if(|(at, _)| *at <= steps) {
                if !self.complete {
                    self.step(cut);
                }
            }
            if steps == 0 {
                self.step(Input::Start);
            } else {
                let outstanding: Vec<usize> = self.checking.iter().chain(self.running.keys()).copied().collect();
                if outstanding.is_empty() {
                    break;
                }
                let next = usize::from(order.next().unwrap());
                let node = outstanding[next % outstanding.len()];
                if let Some(attempt) = self.running.get(&node) {
                    let ending = ending(&case.scripts[node], *attempt);
                    if !matches!(ending, Ending::Found(_)) && next % 3 == 1 && !self.recording.contains(&node) {
                        self.step(Input::Succeeded(id(node)));
                        continue;
                    }
                    self.step(Input::Ended(id(node), ending));
                } else {
                    self.checking.retain(|other| *other != node);
                    self.step(Input::Checked(id(node), case.scripts[node].verdict.clone()));
                }
            }
            steps += 1;
            assert!(steps < 10_000, "it never ends");
        }
        assert!(self.complete, "stuck: {:?}", self.scheduler.stuck());
        assert!(self.scheduler.stuck().is_empty());
    }

    /// What must hold of the ends, whatever came in between.
    fn judge(&self) {
        let nodes = &self.case.nodes;
        let end = |index: usize| end_of(self.scheduler.state(id(index)));
        let expected = evaluate(self.case);
        for index in 0..nodes.len() {
            assert_eq!(self.scheduler.was_started(id(index)), self.started.contains(&index), "{index}: started");
            let ancestors = hard_ancestors(nodes, index);
            match self.scheduler.state(id(index)) {
                NodeState::Skipped(skip) => {
                    assert!(!self.started.contains(&index), "{index} ran and is {skip:?}");
                    match skip {
                        Skip::Blocked(by) => {
                            assert_eq!(end(by.index()), End::Failed { warn: false }, "{index} blocked by {by:?}");
                            assert!(ancestors.contains(&by.index()), "{by:?} is not above {index}");
                        }
                        Skip::Stopped => {
                            assert!(self.failed && !self.case.rules.keep_going);
                            let culprit = nodes[index].hard.iter().find(|before| {
                                matches!(end(before.index()), End::Failed { warn: false } | End::Blocked)
                            });
                            assert_eq!(culprit, None, "{index} was blocked, and is listed as stopped");
                        }
                        Skip::Interrupted => assert!(self.interrupted),
                        Skip::NotNeeded => {}
                    }
                }
                NodeState::Done(done) => {
                    let alone = match &self.case.scripts[index].verdict {
                        Verdict::Fresh => End::Done(Done::Fresh),
                        Verdict::Hit => End::Done(Done::Hit),
                        Verdict::Before => End::Done(Done::Before),
                        Verdict::Run => run_alone(&nodes[index], &self.case.scripts[index]).0,
                        Verdict::Failed { .. } | Verdict::Lend => panic!("{index} failed and is done"),
                    };
                    assert_eq!(End::Done(*done), alone);
                }
                _ => {}
            }
            if self.cleanup(index) {
                let due = nodes[index]
                    .triggers
                    .iter()
                    .any(|(of, when)| self.started.contains(&of.index()) && fits(*when, end(of.index())));
                if !due {
                    assert_eq!(end(index), End::NotNeeded);
                } else if end(index) == End::NotNeeded {
                    assert!(ancestors.iter().any(|above| end(*above) == End::NotNeeded));
                }
                if due && !self.killed && nodes[index].hard.is_empty() {
                    assert!(matches!(end(index), End::Done(_) | End::Failed { .. }), "{index}: {:?}", end(index));
                }
            }
        }
        // Undisturbed, it is what the oracle says.
        let fails = expected.iter().any(|(end, _)| *end == End::Failed { warn: false });
        if !self.interrupted && (self.case.rules.keep_going || !fails) {
            for (index, (wanted, started)) in expected.iter().enumerate() {
                assert_eq!((end(index), self.started.contains(&index)), (*wanted, *started), "node {index}");
            }
        }
        let failures: BTreeSet<usize> = (0..nodes.len()).filter(|n| end(*n) == End::Failed { warn: false }).collect();
        match self.scheduler.first_failure() {
            Some(first) => assert!(failures.contains(&first.index())),
            None => assert!(failures.is_empty()),
        }
    }
}

fn reason() -> FailReason {
    FailReason::Exit { code: 1 }
}

fn some_verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        2 => Just(Verdict::Fresh),
        1 => Just(Verdict::Hit),
        1 => Just(Verdict::Before),
        6 => Just(Verdict::Run),
        1 => any::<bool>().prop_map(|warn| Verdict::Failed { reason: reason(), warn }),
    ]
}

fn some_ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        5 => Just(Ending::Ran),
        1 => Just(Ending::Found(Done::Hit)),
        1 => Just(Ending::Found(Done::Fresh)),
        3 => (prop::bool::weighted(0.2), any::<bool>())
            .prop_map(|(warn, retry)| Ending::Failed { reason: reason(), warn, retry }),
    ]
}

fn some_when() -> impl Strategy<Value = When> {
    prop_oneof![Just(When::Always), Just(When::Failure), Just(When::Success)]
}

/// A node at this index: edges lead to earlier nodes only.
fn some_node(index: usize) -> impl Strategy<Value = (NodePlan, Script)> {
    let earlier = move |most: usize| {
        prop::collection::btree_set(0..index.max(1), 0..=most)
            .prop_map(move |set| if index == 0 { vec![] } else { set.into_iter().map(id).collect::<Vec<_>>() })
    };
    let triggers = (prop::bool::weighted(0.25), prop::collection::vec((0..index.max(1), some_when()), 1..3)).prop_map(
        move |(some, list)| {
            if some && index > 0 { list.into_iter().map(|(of, when)| (id(of), when)).collect() } else { vec![] }
        },
    );
    let locks =
        prop::collection::btree_map(prop_oneof![Just("a"), Just("b"), Just("c")], prop::bool::weighted(0.4), 0..=2);
    let plan = (earlier(3), earlier(2), triggers, locks, prop::bool::weighted(0.1), 1..4u32, 0..4u64);
    let script = (some_verdict(), prop::collection::vec(some_ending(), 1..4));
    (plan, script).prop_map(|((hard, soft, triggers, locks, exclusive, attempts, priority), (verdict, endings))| {
        let locks = locks.into_iter().map(|(name, shared)| NamedLock { name: name.to_owned(), shared }).collect();
        let plan = NodePlan { hard, soft, triggers, locks, exclusive, attempts, priority, ..NodePlan::default() };
        (plan, Script { verdict, endings })
    })
}

fn some_case() -> impl Strategy<Value = Case> {
    let nodes = (1..14usize).prop_flat_map(|count| (0..count).map(some_node).collect::<Vec<_>>());
    let cuts = prop_oneof![
        2 => Just(vec![]),
        1 => (0..30usize).prop_map(|at| vec![(at, Input::Interrupt)]),
        1 => (0..30usize).prop_map(|at| vec![(at, Input::Kill)]),
        1 => (0..30usize, 0..30usize)
            .prop_map(|(a, b)| vec![(a.min(b), Input::Interrupt), (a.max(b), Input::Kill)]),
    ];
    (nodes, 1..5usize, any::<bool>(), prop::collection::vec(any::<u8>(), 0..60), cuts).prop_map(
        |(nodes, jobs, keep_going, order, cuts)| {
            let (nodes, scripts) = nodes.into_iter().unzip();
            Case { nodes, scripts, rules: Rules { jobs, keep_going }, order, cuts }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn holds_to_the_oracle(case in some_case()) {
        let mut watcher = Watcher::new(&case);
        watcher.run();
        watcher.judge();
    }
}

fn plain(hard: &[usize]) -> NodePlan {
    NodePlan { hard: hard.iter().copied().map(id).collect(), attempts: 1, ..NodePlan::default() }
}

fn failed(retry: bool) -> Ending {
    Ending::Failed { reason: reason(), warn: false, retry }
}

#[test]
fn nothing_to_do_is_complete() {
    let mut scheduler = Scheduler::new(vec![], Rules { jobs: 1, keep_going: false });
    assert_eq!(scheduler.step(Input::Start), [Effect::Complete]);
}

#[test]
fn the_end_is_told_once() {
    let mut scheduler = Scheduler::new(vec![plain(&[]), plain(&[0])], Rules { jobs: 1, keep_going: true });
    scheduler.step(Input::Start);
    let verdict = Verdict::Failed { reason: reason(), warn: false };
    assert_eq!(
        scheduler.step(Input::Checked(id(0), verdict)),
        [Effect::Finished(id(0)), Effect::Finished(id(1)), Effect::Complete]
    );
}

#[test]
fn what_a_failure_blocks_is_blocked_though_something_else_was_stopped() {
    // 1 fails while 0 has not begun; 2 needs both.
    let mut scheduler =
        Scheduler::new(vec![plain(&[]), plain(&[]), plain(&[0, 1])], Rules { jobs: 1, keep_going: false });
    scheduler.step(Input::Start);
    let verdict = Verdict::Failed { reason: reason(), warn: false };
    scheduler.step(Input::Checked(id(1), verdict));
    scheduler.step(Input::Checked(id(0), Verdict::Run));
    assert_eq!(*scheduler.state(id(0)), NodeState::Skipped(Skip::Stopped));
    assert_eq!(*scheduler.state(id(2)), NodeState::Skipped(Skip::Blocked(id(1))));
}

#[test]
fn a_retry_that_is_not_granted_leaves_a_failure() {
    let twice = NodePlan { attempts: 2, locks: vec![NamedLock::alone("a")], ..plain(&[]) };
    let other = NodePlan { locks: vec![NamedLock::alone("a")], priority: 9, ..plain(&[]) };
    let mut scheduler = Scheduler::new(vec![twice, other], Rules { jobs: 2, keep_going: false });
    scheduler.step(Input::Start);
    scheduler.step(Input::Checked(id(0), Verdict::Run));
    scheduler.step(Input::Checked(id(1), Verdict::Run));
    scheduler.step(Input::Ended(id(0), failed(true)));
    assert_eq!(*scheduler.state(id(0)), NodeState::Queued { attempt: 2 });
    scheduler.step(Input::Ended(id(1), failed(false)));
    assert_eq!(*scheduler.state(id(0)), NodeState::Failed { reason: reason(), warn: false });
}

#[test]
fn while_one_is_recorded_another_runs_unless_either_is_exclusive_or_there_is_one_slot() {
    let exclusive = || NodePlan { exclusive: true, ..plain(&[]) };
    for (jobs, first, second, together) in [
        (2, plain(&[]), plain(&[]), true),
        (1, plain(&[]), plain(&[]), false),
        (2, exclusive(), plain(&[]), false),
        (2, plain(&[]), exclusive(), false),
    ] {
        let (first, other) = (NodePlan { priority: 2, ..first }, NodePlan { priority: 1, ..plain(&[]) });
        let mut scheduler = Scheduler::new(vec![first, second, plain(&[0]), other], Rules { jobs, keep_going: false });
        scheduler.step(Input::Start);
        scheduler.step(Input::Checked(id(0), Verdict::Run));
        if together {
            scheduler.step(Input::Checked(id(3), Verdict::Run));
        }
        assert_eq!(scheduler.step(Input::Checked(id(1), Verdict::Run)), []);
        let run = [Effect::Run { node: id(1), attempt: 1 }];
        let during = scheduler.step(Input::Succeeded(id(0)));
        assert_eq!(during, if together { &run[..] } else { &[] });
        // Who needs it waits for its record.
        let after = scheduler.step(Input::Ended(id(0), Ending::Ran));
        assert_eq!(after.contains(&run[0]), !together);
        assert!(after.contains(&Effect::Check(id(2))));
    }
}

#[test]
fn what_fails_after_its_command_succeeded_stops_the_rest() {
    let nodes = vec![plain(&[]), plain(&[]), plain(&[]), plain(&[])];
    let mut scheduler = Scheduler::new(nodes, Rules { jobs: 2, keep_going: false });
    scheduler.step(Input::Start);
    (0..4).for_each(|node| drop(scheduler.step(Input::Checked(id(node), Verdict::Run))));
    assert_eq!(scheduler.step(Input::Succeeded(id(0))), [Effect::Run { node: id(2), attempt: 1 }]);
    scheduler.step(Input::Ended(id(0), failed(false)));
    assert_eq!(scheduler.running(), 2);
    scheduler.step(Input::Ended(id(1), Ending::Ran));
    assert!(matches!(scheduler.state(id(3)), NodeState::Skipped(_)));
}

#[test]
fn what_another_process_did_calls_for_no_cleanup() {
    let cleanup = NodePlan { triggers: vec![(id(0), When::Always)], ..plain(&[]) };
    let mut scheduler = Scheduler::new(vec![plain(&[]), cleanup], Rules { jobs: 1, keep_going: false });
    scheduler.step(Input::Start);
    scheduler.step(Input::Checked(id(0), Verdict::Run));
    scheduler.step(Input::Ended(id(0), Ending::Found(Done::Hit)));
    assert_eq!(*scheduler.state(id(1)), NodeState::Skipped(Skip::NotNeeded));
}

/// A long chain must not cost stack: a test's thread has 2 MiB.
#[test]
fn a_long_chain_is_blocked_without_recursion() {
    const COUNT: usize = 100_000;
    let nodes = (0..COUNT).map(|index| if index == 0 { plain(&[]) } else { plain(&[index - 1]) }).collect();
    let mut scheduler = Scheduler::new(nodes, Rules { jobs: 1, keep_going: true });
    scheduler.step(Input::Start);
    let effects = scheduler.step(Input::Checked(id(0), Verdict::Failed { reason: reason(), warn: false }));
    assert_eq!(effects.len(), COUNT + 1);
    assert_eq!(*scheduler.state(id(COUNT - 1)), NodeState::Skipped(Skip::Blocked(id(0))));
}
