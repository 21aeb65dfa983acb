//! Random graphs: right ones are found right, one fault is found, and plans keep every order.

use crate::config::{Action, Config, Diagnostic, load};
use crate::graph::{Graph, Plan, Selection, Target, plan, validate};
use crate::model::{Digest, FailReason, KeySink, Observation, TaskName};
use crate::node::{Context, Effects, Facts, Instance, Node, Output, Outside, Pending, Seen, Travel};
use crate::process::ProcessError;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

/// A node that is never run.
struct Still(Facts);

impl Node for Still {
    fn facts(&self) -> &Facts {
        &self.0
    }

    fn define(&self, _: &Path, _: &Outside, _: &mut dyn KeySink) -> Result<(), FailReason> {
        unreachable!()
    }

    fn secrets(&self, _: &Path, _: &Outside) -> Vec<String> {
        vec![]
    }

    fn obstacles(&self, _: &Path, _: &Outside, _: &mut Seen) -> Vec<Diagnostic> {
        vec![]
    }

    fn observe<'a>(&'a self, _: &'a Context) -> Pending<'a, Result<Vec<Observation>, FailReason>> {
        unreachable!()
    }

    fn run<'a>(
        &'a self,
        _: &'a Context,
        _: &'a mut dyn Output,
    ) -> Pending<'a, Result<Result<(), FailReason>, ProcessError>> {
        unreachable!()
    }

    fn state<'a>(&'a self, _: &'a Context) -> Pending<'a, Result<Digest, FailReason>> {
        unreachable!()
    }
}

fn still(instance: Instance<'_>) -> Arc<dyn Node> {
    let task = instance.task;
    let plain =
        |list: &[crate::config::Located<crate::config::Pattern>]| list.iter().map(|p| p.value.clone()).collect();
    Arc::new(Still(Facts {
        kept_as: instance.name.clone(),
        locked_as: instance.name.clone(),
        name: instance.name,
        acts: !matches!(task.action, Action::Group { .. }),
        always: None,
        shareable: true,
        sources: task.sources.as_ref().map(|list| plain(&list.value)).unwrap_or_default(),
        effects: task.outputs.as_ref().map_or(Effects::Unknown, |list| Effects::Declared(plain(&list.value))),
        reports_state: false,
        observes: false,
        reset: None,
        writes: plain(&task.writes),
        locks: vec![],
        interactive: false,
        quiet: false,
        warn_on_fail: false,
        help: None,
        confirm: None,
        retry: task.retry,
        gate: None,
        artifacts: vec![],
        travel: Travel::Never(None),
    }))
}

/// Tasks that wait only for earlier ones, by index.
#[derive(Debug, Clone, Default)]
struct Drawn {
    depends: BTreeSet<usize>,
    order_only: BTreeSet<usize>,
    wait_for: BTreeSet<usize>,
    /// Whose output it reads.
    reads: BTreeSet<usize>,
    output: usize,
    /// Steps; such a task is a group.
    sequence: Vec<Vec<usize>>,
    /// Its cleanup.
    post: Option<usize>,
    writes: bool,
}

impl Drawn {
    fn members(&self) -> impl Iterator<Item = usize> + '_ {
        self.depends.iter().chain(&self.order_only).copied().chain(self.sequence.iter().flatten().copied())
    }
}

fn name(index: usize) -> String {
    format!("t{index}")
}

fn render(tasks: &[Drawn]) -> String {
    let mut text = String::from("version = 1\n");
    let names = |list: &mut dyn Iterator<Item = usize>| -> String {
        list.map(|index| format!("\"{}\"", name(index))).collect::<Vec<_>>().join(", ")
    };
    for (index, task) in tasks.iter().enumerate() {
        let _ = writeln!(text, "[tasks.{}]\ndescription = \"x\"", name(index));
        if !task.sequence.is_empty() {
            let steps: Vec<String> =
                task.sequence.iter().map(|step| format!("[{}]", names(&mut step.iter().copied()))).collect();
            let _ = writeln!(text, "sequence = [{}]", steps.join(", "));
            continue;
        }
        let mut depends: Vec<String> = task.depends.iter().map(|to| format!("\"{}\"", name(*to))).collect();
        depends.extend(task.order_only.iter().map(|to| format!("{{ task = \"{}\", order_only = true }}", name(*to))));
        let reads: Vec<String> = task.reads.iter().map(|from| format!("\"out/{from}\"")).collect();
        let _ = writeln!(text, "run = \"true\"\ndepends = [{}]", depends.join(", "));
        let _ = writeln!(text, "wait_for = [{}]", names(&mut task.wait_for.iter().copied()));
        if task.writes {
            let _ = writeln!(text, "writes = [\"tracked\"]");
        } else {
            let _ = writeln!(text, "sources = [{}]\noutputs = [\"out/{}\"]", reads.join(", "), task.output);
        }
        if let Some(post) = task.post {
            let _ = writeln!(text, "depends_post = [\"{}\"]", name(post));
        }
    }
    text
}

fn config(tasks: &[Drawn]) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.toml");
    std::fs::write(&file, render(tasks)).unwrap();
    let loaded = load(&file, &[], &crate::config::Looked::default());
    assert!(loaded.diagnostics.is_empty(), "{:?}\n{}", loaded.diagnostics, render(tasks));
    loaded.config
}

/// The codes of all diagnostics, sorted.
fn codes(tasks: &[Drawn]) -> Vec<&'static str> {
    let config = config(tasks);
    let (graph, mut diagnostics) = Graph::new(&config);
    diagnostics.extend(validate(&graph, &|_| false, true));
    let mut codes: Vec<&'static str> = diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
    codes.sort_unstable();
    codes
}

/// All that are reached from `from` by these edges, itself apart unless a cycle leads back.
fn reached(from: usize, next: &dyn Fn(usize) -> Vec<usize>) -> BTreeSet<usize> {
    let mut all = BTreeSet::new();
    let mut stack = next(from);
    while let Some(at) = stack.pop() {
        if all.insert(at) {
            stack.extend(next(at));
        }
    }
    all
}

/// What each task waits for, as declared.
fn waits(tasks: &[Drawn], at: usize) -> Vec<usize> {
    let mut all: Vec<usize> = tasks[at].members().chain(tasks[at].wait_for.iter().copied()).collect();
    for group in tasks {
        for pair in group.sequence.windows(2) {
            if pair[1].contains(&at) {
                all.extend(&pair[0]);
            }
        }
    }
    all.extend((0..tasks.len()).filter(|of| tasks[*of].post == Some(at)));
    all
}

fn some_tasks() -> impl Strategy<Value = Vec<Drawn>> {
    let one = |index: usize| {
        let earlier = move |most| {
            prop::collection::btree_set(0..index.max(1), 0..=most)
                .prop_map(move |set| if index == 0 { BTreeSet::new() } else { set })
        };
        (earlier(3), earlier(1), earlier(2), prop::collection::vec(any::<prop::sample::Index>(), 0..3))
    };
    (2..9usize).prop_flat_map(move |count| (0..count).map(one).collect::<Vec<_>>()).prop_map(|drawn| {
        let mut tasks: Vec<Drawn> = Vec::new();
        for (index, (depends, order_only, wait_for, picks)) in drawn.into_iter().enumerate() {
            let order_only = order_only.difference(&depends).copied().collect();
            tasks.push(Drawn { depends, order_only, wait_for, output: index, ..Drawn::default() });
            let above: Vec<usize> = reached(index, &|at| tasks[at].members().collect()).into_iter().collect();
            if !above.is_empty() {
                tasks[index].reads = picks.iter().map(|pick| *pick.get(&above)).collect();
            }
        }
        tasks
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_right_graph_is_found_right(tasks in some_tasks()) {
        prop_assert_eq!(codes(&tasks), Vec::<&str>::new());
    }

    /// An edge less: each reader that has lost its way to a producer is told, and no other.
    #[test]
    fn a_missing_edge_is_found(mut tasks in some_tasks(), which in any::<prop::sample::Index>()) {
        let edges: Vec<(usize, usize)> =
            tasks.iter().enumerate().flat_map(|(from, task)| task.members().map(move |to| (from, to))).collect();
        prop_assume!(!edges.is_empty());
        let (from, to) = *which.get(&edges);
        tasks[from].depends.remove(&to);
        tasks[from].order_only.remove(&to);
        let lost = (0..tasks.len())
            .map(|reader| {
                let above = reached(reader, &|at| tasks[at].members().collect());
                tasks[reader].reads.difference(&above).count()
            })
            .sum::<usize>();
        prop_assert_eq!(codes(&tasks), vec!["graph::missing-edge"; lost]);
    }

    #[test]
    fn an_output_of_two_tasks_is_found(
        mut tasks in some_tasks(),
        one in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
    ) {
        let (one, other) = (one.index(tasks.len()), other.index(tasks.len()));
        prop_assume!(one != other);
        tasks[one].output = other;
        prop_assert!(codes(&tasks).contains(&"graph::overlapping-outputs"));
    }

    /// An edge more, of any kind and in any direction: a cycle is found exactly where there is one.
    #[test]
    fn a_cycle_is_found(
        mut tasks in some_tasks(),
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
        kind in 0..4u8,
    ) {
        let (from, to) = (from.index(tasks.len()), to.index(tasks.len()));
        match kind {
            0 => drop(tasks[from].depends.insert(to)),
            1 if !tasks[from].depends.contains(&to) => drop(tasks[from].order_only.insert(to)),
            2 => drop(tasks[from].wait_for.insert(to)),
            _ => tasks[to].post = Some(from),
        }
        let cyclic = (0..tasks.len()).any(|start| reached(start, &|at| waits(&tasks, at)).contains(&start));
        prop_assert_eq!(codes(&tasks).contains(&"graph::cycle"), cyclic);
    }
}

/// Groups with sequences of earlier tasks, and cleanups behind them.
fn some_plan() -> impl Strategy<Value = (Vec<Drawn>, Vec<usize>)> {
    let step = || prop::collection::vec(any::<prop::sample::Index>(), 1..3);
    let group = || prop::collection::vec(step(), 1..4);
    let post = || prop::collection::vec(prop::option::weighted(0.2, any::<prop::sample::Index>()), 9);
    let writers = prop::collection::vec(prop::bool::weighted(0.15), 9);
    (
        some_tasks(),
        prop::collection::vec(group(), 0..3),
        prop::collection::vec(prop::collection::btree_set(0..2usize, 0..2), 1..3),
        post(),
        writers,
        prop::collection::vec(any::<prop::sample::Index>(), 1..4),
    )
        .prop_map(|(mut tasks, groups, cleanups, posts, writers, targets)| {
            let plain = tasks.len();
            for (task, writes) in tasks.iter_mut().zip(writers) {
                if writes {
                    (task.writes, task.reads) = (true, BTreeSet::new());
                }
            }
            let producers: BTreeSet<usize> = (0..plain).filter(|index| !tasks[*index].writes).collect();
            for task in &mut tasks {
                task.reads = task.reads.intersection(&producers).copied().collect();
            }
            for steps in groups {
                let mut seen = BTreeSet::new();
                let sequence: Vec<Vec<usize>> = steps
                    .iter()
                    .map(|step| step.iter().map(|pick| pick.index(plain)).filter(|index| seen.insert(*index)).collect())
                    .filter(|step: &Vec<usize>| !step.is_empty())
                    .collect();
                tasks.push(Drawn { sequence, ..Drawn::default() });
            }
            let first = tasks.len();
            for depends in cleanups {
                let output = tasks.len();
                tasks.push(Drawn { depends, output, ..Drawn::default() });
            }
            let count = tasks.len();
            for (index, post) in posts.iter().enumerate().take(plain) {
                tasks[index].post = post.map(|pick| first + pick.index(count - first));
            }
            let targets = targets.iter().map(|pick| pick.index(count)).collect();
            (tasks, targets)
        })
}

fn planned(config: &Config, targets: &[usize]) -> Plan {
    let (graph, diagnostics) = Graph::new(config);
    assert!(diagnostics.is_empty());
    let targets = targets.iter().map(|index| Target { name: name(*index) }).collect();
    match plan(&graph, &Selection { targets, ..Selection::default() }, &still) {
        Ok(plan) => plan,
        Err(error) => panic!("{error:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_plan_keeps_every_order((tasks, targets) in some_plan()) {
        let config = config(&tasks);
        let (graph, _) = Graph::new(&config);
        prop_assume!(validate(&graph, &|_| false, true).is_empty());
        let plan = planned(&config, &targets);
        let index_of = |node: &TaskName| node.as_str()[1..].parse::<usize>().unwrap();
        let place = |task: usize| plan.nodes.iter().position(|node| index_of(node.name()) == task);
        let before = |node: usize| -> Vec<usize> {
            let node = &plan.nodes[node];
            let triggers = node.triggers.iter().map(|(id, _)| id);
            node.data.iter().chain(&node.order).chain(&node.soft).chain(triggers).map(|id| id.index()).collect()
        };

        // What was asked for, what it needs, and their cleanups; nothing else, and each once.
        let needed = |at: usize| tasks[at].members().chain(tasks[at].post).collect::<Vec<_>>();
        let mut wanted: BTreeSet<usize> = targets.iter().copied().collect();
        wanted.extend(targets.iter().flat_map(|target| reached(*target, &needed)));
        let mut found: Vec<usize> = plan.nodes.iter().map(|node| index_of(node.name())).collect();
        found.sort_unstable();
        prop_assert_eq!(found, wanted.iter().copied().collect::<Vec<_>>());

        for node in 0..plan.nodes.len() {
            prop_assert!(before(node).iter().all(|earlier| *earlier < node), "{node} stands before what it waits for");
            let task = &tasks[index_of(plan.nodes[node].name())];
            let places = |list: &BTreeSet<usize>| list.iter().filter_map(|task| place(*task)).collect::<BTreeSet<_>>();
            let ids = |list: &[crate::model::NodeId]| list.iter().map(|id| id.index()).collect::<BTreeSet<_>>();
            let this = &plan.nodes[node];
            if task.sequence.is_empty() {
                prop_assert_eq!(ids(&this.data), places(&task.depends));
            }
            prop_assert!(ids(&this.order).is_superset(&places(&task.order_only)));
            let mut waited = places(&task.wait_for);
            // What is there only to clean up after it comes after it.
            waited.retain(|other| !(plan.nodes[*other].is_cleanup() && reached(*other, &before).contains(&node)));
            prop_assert!(ids(&this.soft).is_superset(&waited));
            // A step goes after the whole of the step before it.
            for pair in task.sequence.windows(2) {
                for later in &pair[1] {
                    let above = reached(place(*later).unwrap(), &before);
                    for earlier in &pair[0] {
                        prop_assert!(above.contains(&place(*earlier).unwrap()), "{later} does not wait for {earlier}");
                    }
                }
            }
            // A cleanup goes after what it cleans up.
            if let Some(post) = task.post {
                prop_assert!(reached(place(post).unwrap(), &before).contains(&node));
            }
        }
        // Of two that write the same files, one goes first.
        let writers: Vec<usize> = (0..plan.nodes.len()).filter(|n| !plan.nodes[*n].node.facts().writes.is_empty()).collect();
        for pair in writers.windows(2) {
            prop_assert!(reached(pair[1], &before).contains(&pair[0]), "both write, in no order");
        }
    }
}

/// What a sequence asks for by itself comes before what another one would only like.
#[test]
fn sequences_do_not_contradict_each_other_without_need() {
    let task =
        |output, depends: &[usize]| Drawn { output, depends: depends.iter().copied().collect(), ..Drawn::default() };
    let group =
        |steps: &[usize]| Drawn { sequence: steps.iter().map(|step| vec![*step]).collect(), ..Drawn::default() };
    let tasks = [task(0, &[]), task(1, &[]), task(2, &[0]), group(&[1, 2]), group(&[0, 1])];
    assert_eq!(codes(&tasks), Vec::<&str>::new());
    for targets in [[3, 4], [4, 3]] {
        let config = config(&tasks);
        let plan = planned(&config, &targets);
        let order: Vec<&str> = plan.nodes.iter().map(|node| node.name().as_str()).filter(|name| *name < "t3").collect();
        assert_eq!(order, ["t0", "t1", "t2"]);
    }
}
