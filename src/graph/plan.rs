//! From targets to the frozen plan.

mod borrow;

use super::arguments::bind;
use super::names::Lookup;
use super::overlap::{may_overlap, wholly_negated};
use super::resolve::{Edge, Graph, TaskIndex};
use crate::config::{ArgSpec, Diagnostic, Pattern, Task, When};
use crate::model::{Digest, NodeId, TaskName, WsPath};
use crate::node::{Bound, Effects, Instance, Node};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Target {
    /// A name, an alias, or a glob.
    pub name: String,
}

/// What to plan.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// The targets, without an order between them.
    pub targets: Vec<Target>,
    /// Arguments for the one target.
    pub arguments: Vec<String>,
    /// The folder that names are seen from.
    pub folder: WsPath,
    /// `-f`: the targets run though they are fresh.
    pub force: bool,
    /// `--force-all`: everything runs.
    pub force_all: bool,
}

/// A frozen plan. Nodes stand in an order in which each comes after all it waits for.
pub struct Plan {
    /// The nodes.
    pub nodes: Vec<PlanNode>,
}

impl Plan {
    /// For each node, whether something before it may write files: then what it reads may not be there yet.
    pub fn follow_a_maker(&self) -> Vec<bool> {
        let mut makers: Vec<bool> = Vec::with_capacity(self.nodes.len());
        let mut follow = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let facts = node.node.facts();
            let mut before = node.data.iter().chain(&node.order).chain(&node.soft);
            let follows = before.any(|id| makers[id.index()]);
            makers.push(
                follows || (facts.acts && facts.effects != Effects::Declared(vec![])) || !facts.writes.is_empty(),
            );
            follow.push(follows);
        }
        follow
    }
}

/// A node of a plan.
pub struct PlanNode {
    /// What it is.
    pub node: Arc<dyn Node>,
    /// The task it is of.
    pub task: TaskIndex,
    /// Data edges: what these leave behind enters its key; their failure blocks it.
    pub data: Vec<NodeId>,
    /// Order-only edges: their failure blocks it.
    pub order: Vec<NodeId>,
    /// Order only: it waits until these have ended, however.
    pub soft: Vec<NodeId>,
    /// Those of `order` that are earlier steps of a sequence.
    pub steps: Vec<NodeId>,
    /// Cleanup: it runs only if one of these was started and ended so.
    pub triggers: Vec<(NodeId, When)>,
    /// The resets whose incarnations enter its key, sorted.
    pub resets: Vec<TaskName>,
    /// It runs though it is fresh.
    pub forced: bool,
    /// It was asked for by name.
    pub target: bool,
    /// What it borrows while it runs: lenders that it depends on, through groups too.
    pub borrows: Vec<NodeId>,
    /// A lender that was asked for by name: it stays until the run is cut short.
    pub held: bool,
}

impl PlanNode {
    /// Its name.
    pub fn name(&self) -> &TaskName {
        &self.node.facts().name
    }

    /// All that it waits for.
    pub fn before(&self) -> impl Iterator<Item = NodeId> + '_ {
        let triggers = self.triggers.iter().map(|(id, _)| id);
        self.data.iter().chain(&self.order).chain(&self.soft).chain(triggers).copied()
    }

    /// What it follows so that it must come after that each time, though it takes nothing from it: earlier steps, what it
    /// waits for if that is there, what it cleans up.
    pub fn follows(&self) -> impl Iterator<Item = NodeId> + '_ {
        let triggers = self.triggers.iter().map(|(id, _)| id);
        self.steps.iter().chain(&self.soft).chain(triggers).copied()
    }

    /// Whether it only runs as cleanup.
    pub fn is_cleanup(&self) -> bool {
        !self.triggers.is_empty()
    }
}

/// Why there is no plan.
#[derive(Debug)]
pub enum PlanError {
    /// The configuration does not allow it.
    Diagnostics(Vec<Diagnostic>),
    /// What was asked for does not exist or does not fit.
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        help: String,
    },
}

/// The cleanup edges met while planning: (task, its cleanup, when).
type PostEdges = Vec<(usize, usize, When)>;

struct Builder<'g, 'c> {
    graph: &'g Graph<'c>,
    factory: &'g dyn Fn(Instance<'_>) -> Arc<dyn Node>,
    ids: FxHashMap<TaskName, usize>,
    nodes: Vec<PlanNode>,
    /// Sequences in the plan: the nodes of each step.
    sequences: Vec<Vec<Vec<usize>>>,
    diagnostics: Vec<Diagnostic>,
}

/// Plans `selection` over a graph that was found valid.
///
/// # Errors
/// [`PlanError`].
pub fn plan(
    graph: &Graph<'_>,
    selection: &Selection,
    factory: &dyn Fn(Instance<'_>) -> Arc<dyn Node>,
) -> Result<Plan, PlanError> {
    let targets = find_targets(graph, selection)?;
    let mut builder = Builder {
        graph,
        factory,
        ids: FxHashMap::default(),
        nodes: Vec::new(),
        sequences: Vec::new(),
        diagnostics: Vec::new(),
    };
    let mut roots = Vec::new();
    for target in &targets {
        let bound = bind(graph.takes_arguments(*target), &selection.arguments)
            .map_err(|(message, help)| PlanError::Usage { message, help })?;
        roots.push(builder.add(*target, bound, BTreeMap::new()));
    }
    let main = builder.nodes.len();
    let posts = builder.add_cleanups();
    if !builder.diagnostics.is_empty() {
        return Err(PlanError::Diagnostics(builder.diagnostics));
    }
    builder.gate_cleanups(main, &posts);
    for root in &roots {
        builder.nodes[*root].target = true;
        if selection.force {
            builder.force(*root);
        }
    }
    if selection.force_all {
        builder.nodes.iter_mut().for_each(|node| node.forced = true);
    }
    builder.wait_for();
    builder.order_sequences();
    builder.order_writers();
    builder.attach_resets();
    builder.lend(&roots);
    builder.one_output_each()?;
    builder.freeze()
}

fn find_targets(graph: &Graph<'_>, selection: &Selection) -> Result<Vec<TaskIndex>, PlanError> {
    let mut found = Vec::new();
    for target in &selection.targets {
        match graph.names.look_up(&selection.folder, &target.name) {
            Lookup::One(task) => found.push(task),
            Lookup::Many(tasks) if !tasks.is_empty() => found.extend(tasks),
            _ => {
                return Err(PlanError::Usage {
                    message: format!("there is no task `{}`", target.name),
                    help: match graph.names.like(&selection.folder, &target.name) {
                        Some(like) => format!("did you mean `{like}`?"),
                        None => "`weir` lists the tasks there are".into(),
                    },
                });
            }
        }
    }
    let mut seen = FxHashSet::default();
    found.retain(|task| seen.insert(*task));
    if !selection.arguments.is_empty() && found.len() != 1 {
        return Err(PlanError::Usage {
            message: format!("arguments after `--` need exactly one task, and {} are named", found.len()),
            help: "run them one at a time".into(),
        });
    }
    Ok(found)
}

/// The task's name with what makes this node differ from the plain task: arguments at the end
/// that equal their defaults are left out.
fn node_name(task: &Task, declared: &[ArgSpec], arguments: &[String], env: &BTreeMap<String, String>) -> TaskName {
    let is_default =
        |(index, given): (usize, &String)| declared.get(index).is_some_and(|spec| spec.default.as_ref() == Some(given));
    let plain = arguments.iter().enumerate().rev().take_while(|pair| is_default(*pair)).count();
    let arguments = &arguments[..arguments.len() - plain];
    if arguments.is_empty() && env.is_empty() {
        return task.name.clone();
    }
    let mut name = task.name.as_str().to_owned();
    for argument in arguments {
        let plain = !argument.is_empty() && argument.chars().all(|c| c.is_alphanumeric() || "-_./:=@%+,".contains(c));
        let _ = if plain { write!(name, " {argument}") } else { write!(name, " {argument:?}") };
    }
    for (key, value) in env {
        let secret = task.redact.iter().any(|declared| match declared.strip_suffix('*') {
            Some(prefix) => key.starts_with(prefix),
            None => declared == key,
        });
        let _ = if secret {
            // Different secrets are different nodes, and none of them is shown.
            write!(name, " {key}=***{}", Digest::of(format!("{name}\0{key}\0{value}").as_bytes()).short())
        } else {
            write!(name, " {key}={value:?}")
        };
    }
    TaskName::new(name)
}

impl Builder<'_, '_> {
    /// Adds a node and all it depends on; returns its index. The graph has no cycles.
    fn add(&mut self, index: TaskIndex, bound: Bound, env: BTreeMap<String, String>) -> usize {
        let task = self.graph.task(index);
        let name = node_name(task, &self.graph.takes_arguments(index).args, &bound.positional, &env);
        if let Some(known) = self.ids.get(&name) {
            return *known;
        }
        let edges = &self.graph.edges[index];
        let (mut data, mut order) = (Vec::new(), Vec::new());
        for edge in &edges.depends {
            if let Some(node) = self.add_edge(edge) {
                if edge.dep.order_only { &mut order } else { &mut data }.push(NodeId(node as u32));
            }
        }
        let mut steps = Vec::new();
        for step in &edges.sequence {
            let nodes: Vec<usize> = step.iter().filter_map(|edge| self.add_edge(edge)).collect();
            data.extend(nodes.iter().map(|node| NodeId(*node as u32)));
            steps.push(nodes);
        }
        let soaks = edges.soaks.map(|base| self.graph.task(base));
        let node = (self.factory)(Instance { task, name: name.clone(), arguments: bound, env, soaks });
        let dedup = |mut list: Vec<NodeId>| {
            let mut seen = FxHashSet::default();
            list.retain(|id| seen.insert(*id));
            list
        };
        let id = self.nodes.len();
        self.nodes.push(PlanNode {
            node,
            task: index,
            data: dedup(data),
            order: dedup(order),
            soft: vec![],
            steps: vec![],
            triggers: vec![],
            resets: vec![],
            forced: false,
            target: false,
            borrows: vec![],
            held: false,
        });
        self.ids.insert(name, id);
        if !steps.is_empty() {
            self.sequences.push(steps);
        }
        id
    }

    fn add_edge(&mut self, edge: &Edge<'_>) -> Option<usize> {
        match bind(self.graph.takes_arguments(edge.to), &edge.dep.args) {
            Ok(bound) => Some(self.add(edge.to, bound, edge.dep.env.clone())),
            Err((message, help)) => {
                self.diagnostics.push(Diagnostic::error("graph::arguments", edge.at, message).help(help));
                None
            }
        }
    }

    /// Adds the cleanups of every node, and theirs; returns the edges.
    fn add_cleanups(&mut self) -> PostEdges {
        let mut posts = Vec::new();
        let mut at = 0;
        while at < self.nodes.len() {
            let graph = self.graph;
            for (edge, when) in &graph.edges[self.nodes[at].task].post {
                if let Some(cleanup) = self.add_edge(edge) {
                    posts.push((at, cleanup, *when));
                }
            }
            at += 1;
        }
        posts
    }

    /// A node that is only in the plan for a cleanup runs only if that cleanup is due.
    fn gate_cleanups(&mut self, main: usize, posts: &PostEdges) {
        for (of, cleanup, when) in posts {
            if *cleanup < main {
                // It runs anyway; then it comes after.
                self.nodes[*cleanup].soft.push(NodeId(*of as u32));
                continue;
            }
            let mut stack = vec![*cleanup];
            // What the task itself needs, being a cleanup of another one, has ended before it.
            let mut seen = self.closure([*of]);
            while let Some(node) = stack.pop() {
                if node < main || !seen.insert(node) {
                    continue;
                }
                self.nodes[node].triggers.push((NodeId(*of as u32), *when));
                stack.extend(self.nodes[node].data.iter().chain(&self.nodes[node].order).map(|id| id.index()));
            }
        }
    }

    /// Forces a node; of a group, its members.
    fn force(&mut self, root: usize) {
        let mut stack = vec![root];
        let mut seen = FxHashSet::default();
        while let Some(node) = stack.pop() {
            if !seen.insert(node) {
                continue;
            }
            self.nodes[node].forced = true;
            if !self.nodes[node].node.facts().acts {
                stack.extend(self.nodes[node].data.iter().map(|id| id.index()));
            }
        }
    }

    fn nodes_of_tasks(&self) -> FxHashMap<TaskIndex, Vec<usize>> {
        let mut by_task: FxHashMap<TaskIndex, Vec<usize>> = FxHashMap::default();
        for (index, node) in self.nodes.iter().enumerate() {
            by_task.entry(node.task).or_default().push(index);
        }
        by_task
    }

    fn wait_for(&mut self) {
        let by_task = self.nodes_of_tasks();
        let mut cleanups = Vec::new();
        for node in 0..self.nodes.len() {
            for waited in &self.graph.edges[self.nodes[node].task].wait_for {
                for other in by_task.get(&waited.to).into_iter().flatten().copied() {
                    if self.nodes[other].is_cleanup() {
                        cleanups.push((node, other));
                    } else {
                        self.nodes[node].soft.push(NodeId(other as u32));
                    }
                }
            }
        }
        // What is here only to clean up comes after what it cleans up, whoever waits for it.
        for (node, cleanup) in cleanups {
            if !self.closure([cleanup]).contains(&node) {
                self.nodes[node].soft.push(NodeId(cleanup as u32));
            }
        }
    }

    fn predecessors(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        self.nodes[node].before().map(NodeId::index)
    }

    /// All that `node` waits for, itself included.
    fn closure(&self, nodes: impl IntoIterator<Item = usize>) -> FxHashSet<usize> {
        let mut seen = FxHashSet::default();
        let mut stack: Vec<usize> = nodes.into_iter().collect();
        while let Some(at) = stack.pop() {
            if seen.insert(at) {
                stack.extend(self.predecessors(at));
            }
        }
        seen
    }

    /// A step, and all that only it needs, comes after the step before it.
    fn order_sequences(&mut self) {
        let sequences = std::mem::take(&mut self.sequences);
        // What is declared first, of all sequences: what they would only like must fit in.
        for pair in sequences.iter().flat_map(|steps| steps.windows(2)) {
            for later in &pair[1] {
                self.put_after(*later, &pair[0]);
            }
        }
        for steps in &sequences {
            let mut before: FxHashSet<usize> = FxHashSet::default();
            let mut last: &[usize] = &[];
            // A service lasts for all the steps after it.
            let mut standing: Vec<usize> = Vec::new();
            for step in steps {
                let own: FxHashSet<usize> = step.iter().copied().collect();
                let needed = self.closure(step.iter().copied());
                let earlier = self.closure(last.iter().copied());
                let mut new: Vec<usize> = needed.difference(&before).copied().collect();
                new.sort_unstable();
                for node in new {
                    if !own.contains(&node) && !earlier.contains(&node) {
                        self.put_after(node, last);
                    }
                    if !earlier.contains(&node) {
                        self.put_after(node, &standing);
                    }
                }
                standing.extend(step.iter().copied().filter(|node| self.nodes[*node].node.lender().is_some()));
                before.extend(needed);
                last = step;
            }
        }
    }

    fn put_after(&mut self, node: usize, earlier: &[usize]) {
        let PlanNode { order, steps, .. } = &mut self.nodes[node];
        for list in [order, steps] {
            list.extend(earlier.iter().map(|earlier| NodeId(*earlier as u32)));
            list.sort_unstable();
            list.dedup();
        }
    }

    /// Who reads what a task of this run `writes` goes after it, and two such tasks one by one.
    fn order_writers(&mut self) {
        for writer in 0..self.nodes.len() {
            let writes = self.nodes[writer].node.facts().writes.clone();
            if writes.is_empty() {
                continue;
            }
            for other in 0..self.nodes.len() {
                let facts = self.nodes[other].node.facts();
                let touches = touch(&writes, &facts.sources) || (other > writer && touch(&writes, &facts.writes));
                if other == writer || !touches {
                    continue;
                }
                if !self.closure([writer]).contains(&other) && !self.closure([other]).contains(&writer) {
                    self.nodes[other].order.push(NodeId(writer as u32));
                }
            }
        }
    }

    /// Which resets are above each node, whether they are in this plan or not.
    fn attach_resets(&mut self) {
        let above = resets_above(self.graph);
        for node in &mut self.nodes {
            node.resets = above[node.task].iter().map(|reset| self.graph.task(*reset).name.clone()).collect();
            node.resets.sort_unstable();
        }
    }

    /// Two nodes of one task would write the same outputs.
    fn one_output_each(&self) -> Result<(), PlanError> {
        for nodes in self.nodes_of_tasks().values() {
            let facts = self.nodes[nodes[0]].node.facts();
            if nodes.len() > 1 && !facts.effects.patterns().is_empty() {
                let task = self.graph.task(self.nodes[nodes[0]].task);
                let names: Vec<&str> = nodes.iter().map(|node| self.nodes[*node].name().as_str()).collect();
                return Err(PlanError::Diagnostics(vec![
                    Diagnostic::error(
                        "graph::overlapping-outputs",
                        task.outputs.as_ref().map_or(task.at, |outputs| outputs.at),
                        format!("`{}` would write the same outputs", names.join("` and `")),
                    )
                    .help("a task that runs with several arguments in one run can't declare outputs; make it several tasks"),
                ]));
            }
        }
        Ok(())
    }

    /// Puts the nodes into an order in which each comes after all it waits for.
    fn freeze(self) -> Result<Plan, PlanError> {
        let mut digraph: petgraph::graph::DiGraph<(), ()> = petgraph::graph::DiGraph::new();
        for _ in &self.nodes {
            digraph.add_node(());
        }
        for node in 0..self.nodes.len() {
            for before in self.predecessors(node) {
                digraph.add_edge((before as u32).into(), (node as u32).into(), ());
            }
        }
        let order = petgraph::algo::toposort(&digraph, None).map_err(|cycle| {
            let name = self.nodes[cycle.node_id().index()].name();
            PlanError::Usage {
                message: format!("the order of this plan contradicts itself around `{name}`"),
                help: "a `sequence`, `wait_for` or `depends_post` asks for the opposite of another; remove one".into(),
            }
        })?;
        let mut new_of_old = vec![0u32; self.nodes.len()];
        for (new, old) in order.iter().enumerate() {
            new_of_old[old.index()] = new as u32;
        }
        let mut slots: Vec<Option<PlanNode>> = self.nodes.into_iter().map(Some).collect();
        let mut nodes = Vec::with_capacity(slots.len());
        for old in order {
            let Some(mut node) = slots[old.index()].take() else { continue };
            let rename = |id: &mut NodeId| *id = NodeId(new_of_old[id.index()]);
            let before = node.data.iter_mut().chain(&mut node.order).chain(&mut node.soft);
            before.chain(&mut node.steps).chain(&mut node.borrows).for_each(rename);
            node.triggers.iter_mut().for_each(|(id, _)| rename(id));
            nodes.push(node);
        }
        Ok(Plan { nodes })
    }
}

fn touch(writes: &[Pattern], others: &[Pattern]) -> bool {
    let negated =
        |list: &[Pattern], pattern: &Pattern| list.iter().any(|other| other.negated && wholly_negated(pattern, other));
    writes
        .iter()
        .filter(|w| !w.negated && !negated(others, w))
        .any(|write| others.iter().any(|other| !other.negated && !negated(writes, other) && may_overlap(write, other)))
}

/// The resets whose incarnation enters each task's key: those above it through data edges, those
/// it waits for, and those in earlier steps of a sequence that it is in. Of the whole graph, so
/// that a key does not depend on what else is in a run.
pub(super) fn resets_above(graph: &Graph<'_>) -> Vec<Vec<TaskIndex>> {
    let count = graph.edges.len();
    let tasks = &graph.config.tasks;
    if tasks.iter().all(|task| task.reset.is_none()) {
        return vec![vec![]; count];
    }
    let mut extra: Vec<Vec<TaskIndex>> = vec![vec![]; count];
    for (task, edges) in graph.edges.iter().enumerate() {
        for waited in &edges.wait_for {
            extra[task].extend(members(graph, waited.to).into_iter().filter(|member| tasks[*member].reset.is_some()));
        }
    }
    // Sequences add to what is above; what is above adds to what sequences carry on. Each round
    // carries it one sequence further.
    let mut above = propagate(graph, &extra);
    loop {
        let mut grown = extra.clone();
        for edges in graph.edges.iter().filter(|edges| !edges.sequence.is_empty()) {
            let mut carried: Vec<TaskIndex> = Vec::new();
            let mut before: FxHashSet<TaskIndex> = FxHashSet::default();
            for step in &edges.sequence {
                // What a step needs comes after the steps before it, unless these need it too.
                let needed = needed_by(graph, step.iter().map(|edge| edge.to));
                let new: Vec<TaskIndex> = needed.difference(&before).copied().collect();
                for task in &new {
                    grown[*task].extend(carried.iter().copied().filter(|reset| reset != task));
                }
                for task in &new {
                    carried.extend(&above[*task]);
                    carried.extend(tasks[*task].reset.map(|_| *task));
                }
                before.extend(needed);
            }
        }
        let next = propagate(graph, &grown);
        if next == above {
            return above;
        }
        above = next;
    }
}

/// These tasks and all that they depend on.
fn needed_by(graph: &Graph<'_>, tasks: impl Iterator<Item = TaskIndex>) -> FxHashSet<TaskIndex> {
    let mut seen = FxHashSet::default();
    let mut stack: Vec<TaskIndex> = tasks.collect();
    while let Some(at) = stack.pop() {
        if seen.insert(at) {
            stack.extend(graph.edges[at].members().map(|edge| edge.to));
        }
    }
    seen
}

/// A task, or the tasks in a group, however deep.
fn members(graph: &Graph<'_>, task: TaskIndex) -> Vec<TaskIndex> {
    let mut all = Vec::new();
    let mut stack = vec![task];
    let mut seen = FxHashSet::default();
    while let Some(at) = stack.pop() {
        if !seen.insert(at) {
            continue;
        }
        if matches!(graph.task(at).action, crate::config::Action::Group { .. }) {
            stack.extend(graph.edges[at].members().map(|edge| edge.to));
        } else {
            all.push(at);
        }
    }
    all
}

fn propagate(graph: &Graph<'_>, extra: &[Vec<TaskIndex>]) -> Vec<Vec<TaskIndex>> {
    let mut above: Vec<Option<Vec<TaskIndex>>> = vec![None; graph.edges.len()];
    for start in 0..graph.edges.len() {
        let mut stack = vec![(start, false)];
        while let Some((task, ready)) = stack.pop() {
            if above[task].is_some() {
                continue;
            }
            if !ready {
                stack.push((task, true));
                stack.extend(
                    graph.edges[task].data().filter(|edge| above[edge.to].is_none()).map(|edge| (edge.to, false)),
                );
                continue;
            }
            let mut set = extra[task].clone();
            for edge in graph.edges[task].data() {
                set.extend(above[edge.to].iter().flatten());
                set.extend(graph.task(edge.to).reset.map(|_| edge.to));
            }
            set.sort_unstable();
            set.dedup();
            above[task] = Some(set);
        }
    }
    above.into_iter().map(Option::unwrap_or_default).collect()
}
