//! Parts of a verdict taken over in any graph: after any edits, what a run does and leaves is what the contents alone say.

use crate::support::{Workspace, wait_until};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// How one task comes after an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edge {
    Data,
    Order,
    IfThere,
}

#[derive(Debug, Clone)]
struct Drawn {
    group: bool,
    /// Other arguments than by default: such a node can't be made from its task alone.
    argument: bool,
    after: BTreeMap<usize, Edge>,
}

#[derive(Debug, Clone)]
enum Step {
    /// The source of a task gets this content.
    Edit(usize, &'static str),
    /// A run, which must do what the edits since the last one ask for. `true`: of the whole plan.
    Run(bool),
    /// Runs until a seal answers.
    Rest,
}

#[derive(Debug)]
struct Graph(Vec<Drawn>);

impl Graph {
    /// The commands whose outputs enter a node.
    fn read_by(&self, node: usize) -> BTreeSet<usize> {
        let data = self.0[node].after.iter().filter(|(_, edge)| **edge == Edge::Data);
        data.flat_map(|(before, _)| if self.0[*before].group { self.read_by(*before) } else { [*before].into() })
            .collect()
    }

    fn commands(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.0.len()).filter(|node| !self.0[*node].group)
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let mut all = String::new();
        for (index, node) in self.0.iter().enumerate() {
            let of = |edge: Edge| node.after.iter().filter(move |(_, found)| **found == edge).map(|(before, _)| before);
            let plain = |before: &usize| match (self.0[*before].group, self.0[*before].argument) {
                (false, true) => format!("{{ task = 't{before}', args = ['x'] }}"),
                _ => format!("'t{before}'"),
            };
            let order = |before: &usize| match (self.0[*before].group, self.0[*before].argument) {
                (false, true) => format!("{{ task = 't{before}', args = ['x'], order_only = true }}"),
                _ => format!("{{ task = 't{before}', order_only = true }}"),
            };
            let depends: Vec<String> = of(Edge::Data).map(plain).chain(of(Edge::Order).map(order)).collect();
            let waits: Vec<String> = of(Edge::IfThere).map(|before| format!("'t{before}'")).collect();
            writeln!(text, "[tasks.t{index}]\ndepends = [{}]\nwait_for = [{}]", depends.join(", "), waits.join(", "))
                .unwrap();
            all += &format!("{}, ", plain(&index));
            if !node.group {
                let read: String = self.read_by(index).iter().map(|before| format!(" o/t{before}")).collect();
                let given = if node.argument { "args = [{ name = 'a', default = 'y' }]\n" } else { "" };
                writeln!(
                    text,
                    "{given}run = 'cat s/t{index}{read} > o/t{index}'\nsources = ['s/t{index}']\noutputs = ['o/t{index}']"
                )
                .unwrap();
            }
        }
        text + &format!("[tasks.all]\ndepends = [{all}]\n")
    }

    /// What each command leaves.
    fn outputs(&self, sources: &[&str]) -> BTreeMap<usize, String> {
        let mut all: BTreeMap<usize, String> = BTreeMap::new();
        for node in self.commands() {
            let read: String = self.read_by(node).iter().map(|before| all[before].as_str()).collect();
            all.insert(node, format!("{}{read}", sources[node]));
        }
        all
    }
}

fn graph() -> impl Strategy<Value = Graph> {
    let edge = || select(vec![Edge::Data, Edge::Data, Edge::Data, Edge::Order, Edge::IfThere]);
    let node = move |index: usize| {
        let after = prop::collection::btree_map(0..index.max(1), edge(), 0..4);
        let kind = (prop::bool::weighted(0.2), prop::bool::weighted(0.1));
        (kind, after).prop_map(move |((group, argument), after)| {
            let after: BTreeMap<usize, Edge> = if index == 0 { BTreeMap::new() } else { after };
            // A group only groups.
            let fits = |edge: Edge| !group || edge == Edge::Data;
            let after: BTreeMap<_, _> = after.into_iter().filter(|(_, edge)| fits(*edge)).collect();
            Drawn { group: group && !after.is_empty(), argument: argument && !group, after }
        })
    };
    (2..9usize).prop_flat_map(move |count| (0..count).map(node).collect::<Vec<_>>()).prop_map(Graph)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..9usize, select(vec!["a\n", "b\n", "c\n"])).prop_map(|(node, text)| Step::Edit(node, text)),
        3 => prop::bool::weighted(0.2).prop_map(Step::Run),
        2 => Just(Step::Rest),
    ]
}

#[test]
fn what_a_part_does_is_what_the_contents_say() {
    let cases = std::env::var("WEIR_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(12);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 100, ..Config::default() };
    let taken_over = std::cell::Cell::new(0);
    let strategy = (graph(), prop::collection::vec(step(), 4..16));
    let ran = TestRunner::new(config).run(&strategy, |(graph, steps)| {
        taken_over.set(taken_over.get() + follow(&graph, &steps));
        Ok(())
    });
    ran.unwrap();
    assert!(taken_over.get() > 0, "no part was ever taken over");
}

/// Says how often a part was enough.
fn follow(graph: &Graph, steps: &[Step]) -> usize {
    let ws = Workspace::new(&graph.text());
    let mut sources = vec!["a\n"; graph.0.len()];
    ws.write("o/.keep", "");
    graph.commands().for_each(|node| ws.write(&format!("s/t{node}"), "a\n"));
    let mut left: BTreeMap<usize, String> = BTreeMap::new();
    let mut parts = 0;
    let mut steps: Vec<Step> = steps.to_vec();
    steps.splice(0..0, [Step::Run(false), Step::Rest]);
    steps.extend([Step::Run(false), Step::Rest]);
    for step in steps {
        match step {
            Step::Edit(node, text) if node < graph.0.len() && !graph.0[node].group => {
                ws.write(&format!("s/t{node}"), text);
                sources[node] = text;
            }
            Step::Edit(..) => {}
            Step::Run(whole) => {
                let words: &[&str] = if whole { &["run", "--confirm", "nothing", "all"] } else { &["run", "all"] };
                let ran = ws.weir(words).env("WEIR_LOG", "weir::cli=debug").ok();
                parts += usize::from(ran.err.contains("a part of the plan is enough"));
                let outputs = graph.outputs(&sources);
                let outcomes = ran.outcomes();
                assert_eq!(outcomes.len(), outputs.len(), "{}", ran.shown());
                for (node, output) in &outputs {
                    let argument = if graph.0[*node].argument { " x" } else { "" };
                    let outcome = outcomes[&format!("t{node}{argument}")].as_str();
                    let changed = left.get(node) != Some(output);
                    let expected: &[&str] = if changed { &["ran", "hit"] } else { &["fresh"] };
                    assert!(expected.contains(&outcome), "t{node} should be {expected:?}: {}", ran.shown());
                    assert_eq!(ws.read(&format!("o/t{node}")), *output, "{}", ran.shown());
                }
                left = outputs;
            }
            Step::Rest => {
                wait_until("a seal answers", || {
                    let ran = ws.weir(&["run", "all"]).env("WEIR_LOG", "weir::cli=debug").ok();
                    ran.err.contains("a seal is unbroken")
                });
                left = graph.outputs(&sources);
            }
        }
    }
    parts
}
