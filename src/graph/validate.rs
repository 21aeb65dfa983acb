//! What is refused before anything runs: the whole graph is judged, not only what was asked for.

use super::overlap::{PrefixIndex, may_overlap, wholly_negated};
use super::resolve::{Graph, TaskIndex};
use crate::config::{Action, At, Dep, Diagnostic, Located, NodeKind, Pattern, Task};
use crate::model::WsPath;
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use std::collections::{BTreeSet, VecDeque};

/// Judges the graph. `ignored` says whether the workspace's ignore files take a path away; `whole`,
/// that no edge is missing because it could not be read or resolved: otherwise nothing is said of
/// missing ones.
pub fn validate(graph: &Graph<'_>, ignored: &dyn Fn(&WsPath) -> bool, whole: bool) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    cycles(graph, &mut diagnostics);
    // Paths between tasks mean nothing in a cycle.
    let whole = whole && diagnostics.is_empty();
    let mut paths = Paths::new(graph);
    outputs(graph, ignored, whole, &mut paths, &mut diagnostics);
    if whole {
        resets(graph, &mut diagnostics);
    }
    diagnostics
}

/// Every edge that orders: (task that waits, task it waits for, where that is declared).
fn ordering_edges<'g>(graph: &'g Graph<'_>) -> impl Iterator<Item = (TaskIndex, TaskIndex, At)> + 'g {
    graph.edges.iter().enumerate().flat_map(move |(from, edges)| {
        let members = edges.members().map(move |edge| (from, edge.to, edge.at));
        let steps = edges.sequence.windows(2).flat_map(|pair| {
            pair[1].iter().flat_map(move |later| pair[0].iter().map(move |earlier| (later.to, earlier.to, later.at)))
        });
        let waits = edges.wait_for.iter().map(move |wait| (from, wait.to, wait.at));
        let post = edges.post.iter().map(move |(edge, _)| (edge.to, from, edge.at));
        members.chain(steps).chain(waits).chain(post)
    })
}

fn cycles(graph: &Graph<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let mut digraph: DiGraph<(), At> = DiGraph::with_capacity(graph.edges.len(), graph.edges.len() * 3);
    for _ in &graph.edges {
        digraph.add_node(());
    }
    for (from, to, at) in ordering_edges(graph) {
        digraph.add_edge(NodeIndex::new(from), NodeIndex::new(to), at);
    }
    for component in tarjan_scc(&digraph) {
        let inside: BTreeSet<NodeIndex> = component.iter().copied().collect();
        let Some(start) = inside.first().copied() else { continue };
        if component.len() == 1 && !digraph.contains_edge(start, start) {
            continue;
        }
        let cycle = shortest_cycle(&digraph, start, &inside);
        let name = |node: &NodeIndex| graph.task(node.index()).name.as_str();
        let path: Vec<&str> = cycle.iter().map(name).collect();
        let mut places = cycle.windows(2).filter_map(|pair| {
            let edge = digraph.find_edge(pair[0], pair[1])?;
            Some((digraph[edge], format!("`{}` waits for `{}`", name(&pair[0]), name(&pair[1]))))
        });
        let Some((first, text)) = places.next() else { continue };
        let mut found =
            Diagnostic::error("graph::cycle", first, format!("tasks wait for each other: `{}`", path.join("` → `")))
                .label(text)
                .help("remove one of these edges");
        for (at, text) in places {
            found = found.also(at, text);
        }
        diagnostics.push(found);
    }
}

/// A shortest cycle through `start`, which begins and ends with it.
fn shortest_cycle(digraph: &DiGraph<(), At>, start: NodeIndex, inside: &BTreeSet<NodeIndex>) -> Vec<NodeIndex> {
    let mut came_from: std::collections::BTreeMap<NodeIndex, NodeIndex> = std::collections::BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for next in digraph.neighbors(node) {
            if next == start {
                let mut path = vec![start, node];
                let mut at = node;
                while at != start {
                    match came_from.get(&at) {
                        Some(before) => at = *before,
                        None => break,
                    }
                    path.push(at);
                }
                path.dedup();
                path.reverse();
                if path.len() == 1 {
                    path.push(start);
                }
                return path;
            }
            if inside.contains(&next) && next != start && !came_from.contains_key(&next) {
                came_from.insert(next, node);
                queue.push_back(next);
            }
        }
    }
    vec![start, start]
}

/// Which tasks have a path to which, by `depends` (order-only too) and group membership.
struct Paths<'g, 'c> {
    graph: &'g Graph<'c>,
    seen: Vec<u32>,
    round: u32,
}

impl<'g, 'c> Paths<'g, 'c> {
    fn new(graph: &'g Graph<'c>) -> Self {
        Self { graph, seen: vec![0; graph.edges.len()], round: 0 }
    }

    /// Whether `from` waits for `to`, directly or through others.
    fn reaches(&mut self, from: TaskIndex, to: TaskIndex) -> bool {
        if self.graph.edges[from].members().any(|edge| edge.to == to) {
            return true;
        }
        self.round += 1;
        let mut stack = vec![from];
        while let Some(at) = stack.pop() {
            let edges = &self.graph.edges[at];
            for next in edges.members().map(|edge| edge.to) {
                if next == to {
                    return true;
                }
                if self.seen[next] != self.round {
                    self.seen[next] = self.round;
                    stack.push(next);
                }
            }
        }
        false
    }
}

/// Which task waits for which, by whatever orders: `sequence` and `wait_for` too.
struct Order(Vec<Vec<TaskIndex>>);

impl Order {
    fn new(graph: &Graph<'_>) -> Self {
        let mut waits = vec![Vec::new(); graph.edges.len()];
        for (from, to, _) in ordering_edges(graph) {
            waits[from].push(to);
        }
        Self(waits)
    }

    fn has(&self, from: TaskIndex, to: TaskIndex) -> bool {
        let mut seen = BTreeSet::new();
        let mut stack = vec![from];
        while let Some(at) = stack.pop() {
            for next in &self.0[at] {
                if *next == to {
                    return true;
                }
                if seen.insert(*next) {
                    stack.push(*next);
                }
            }
        }
        false
    }
}

fn patterns(declared: Option<&Located<Vec<Located<Pattern>>>>) -> &[Located<Pattern>] {
    declared.map_or(&[], |located| &located.value)
}

fn takes(list: &[Located<Pattern>]) -> impl Iterator<Item = &Located<Pattern>> {
    list.iter().filter(|pattern| !pattern.value.negated)
}

fn outputs(
    graph: &Graph<'_>,
    ignored: &dyn Fn(&WsPath) -> bool,
    whole: bool,
    paths: &mut Paths<'_, '_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let tasks = &graph.config.tasks;
    let all: Vec<(TaskIndex, &Located<Pattern>)> = tasks
        .iter()
        .enumerate()
        .flat_map(|(index, task)| takes(patterns(task.outputs.as_ref())).map(move |pattern| (index, pattern)))
        .collect();
    let mut index = PrefixIndex::default();
    for (id, (_, pattern)) in all.iter().enumerate() {
        index.insert(&pattern.value.prefix, id);
    }
    let excluded = |by: &[Located<Pattern>], output: &Pattern| {
        by.iter().any(|other| other.value.negated && wholly_negated(output, &other.value))
    };
    let mut said = BTreeSet::new();
    for (id, (owner, pattern)) in all.iter().enumerate() {
        index.near(&pattern.value.prefix, |other| {
            let (other_owner, other_pattern) = &all[other];
            if other <= id || owner == other_owner || said.contains(&(*owner, *other_owner)) {
                return;
            }
            let outs = |task: TaskIndex| patterns(tasks[task].outputs.as_ref());
            if may_overlap(&pattern.value, &other_pattern.value)
                && !excluded(outs(*other_owner), &pattern.value)
                && !excluded(outs(*owner), &other_pattern.value)
            {
                said.insert((*owner, *other_owner));
                diagnostics.push(
                    Diagnostic::error(
                        "graph::overlapping-outputs",
                        other_pattern.at,
                        format!(
                            "`{}` and `{}` write to the same outputs: `{}` and `{}`",
                            tasks[*owner].name,
                            tasks[*other_owner].name,
                            pattern.value.full(),
                            other_pattern.value.full()
                        ),
                    )
                    .label(format!("output of `{}`", tasks[*other_owner].name))
                    .also(pattern.at, format!("output of `{}`", tasks[*owner].name))
                    .help("give each its own folder, or let one task produce both"),
                );
            }
        });
    }
    for (reader, task) in tasks.iter().enumerate() {
        let sources = patterns(task.sources.as_ref());
        let mut told = BTreeSet::new();
        for source in takes(sources) {
            let mut candidates = Vec::new();
            index.near(&source.value.prefix, |id| candidates.push(id));
            for id in candidates {
                let (producer, output) = all[id];
                if told.contains(&producer)
                    || !may_overlap(&output.value, &source.value)
                    || excluded(sources, &output.value)
                    || left_to_ignore_files(&source.value, &output.value, ignored)
                {
                    continue;
                }
                if producer == reader {
                    told.insert(producer);
                    diagnostics.push(own_source(task, source, output));
                } else if whole && !paths.reaches(reader, producer) {
                    told.insert(producer);
                    diagnostics.push(missing_edge(task, &tasks[producer], source, output));
                }
            }
        }
    }
}

/// Whether the ignore files keep `output` out of what `source` takes: they count below its prefix.
fn left_to_ignore_files(source: &Pattern, output: &Pattern, ignored: &dyn Fn(&WsPath) -> bool) -> bool {
    output.prefix != source.prefix
        && output.prefix.is_within(&source.prefix)
        && ignored(&output.prefix)
        && !ignored(&source.prefix)
}

fn own_source(task: &Task, source: &Located<Pattern>, output: &Located<Pattern>) -> Diagnostic {
    Diagnostic::error(
        "graph::output-is-source",
        source.at,
        format!("`{}` has its own output `{}` among its sources", task.name, output.value.full()),
    )
    .also(output.at, "declared as output here")
    .help(format!(
        "leave it out with `!{}` in `sources`; a task that changes tracked files in place declares them as `writes`",
        output.value.full()
    ))
}

fn missing_edge(task: &Task, producer: &Task, source: &Located<Pattern>, output: &Located<Pattern>) -> Diagnostic {
    Diagnostic::error(
        "graph::missing-edge",
        source.at,
        format!(
            "`{}` reads `{}`, which `{}` writes, but does not wait for it",
            task.name,
            output.value.full(),
            producer.name
        ),
    )
    .label(format!("source of `{}`", task.name))
    .also(output.at, format!("output of `{}`", producer.name))
    .help(line_to_add(task, producer))
}

/// The line that adds an edge: the whole of it where what stands there is plain.
fn line_to_add(task: &Task, producer: &Task) -> String {
    let name = &producer.name;
    let plain = |dep: &Dep| dep.args.is_empty() && dep.env.is_empty() && !dep.order_only && !dep.optional;
    if task.depends.is_empty() {
        return format!("add `depends = [\"{name}\"]` to `{}`", task.name);
    }
    if !task.depends.iter().all(|dep| plain(&dep.value)) {
        return format!("add `\"{name}\"` to the `depends` of `{}`", task.name);
    }
    let names = task.depends.iter().map(|dep| dep.value.task.as_str()).chain([name.as_str()]);
    let names: Vec<String> = names.map(|name| format!("{name:?}")).collect();
    format!("write `depends = [{}]` in `{}`", names.join(", "), task.name)
}

/// What a task acts on: what its locks name, and its databases. A clone is the task's own.
fn states(graph: &Graph<'_>, task: &Task) -> Vec<(String, At)> {
    let locks = task.locks.iter().map(|lock| (format!("lock `{}`", lock.value), lock.at));
    let lent = task.databases.iter().filter(|used| !used.clone);
    let lent = lent.map(|used| (format!("database `{}`", used.name.value), used.name.at));
    let acted_on = match &task.action {
        // It looks at files only.
        Action::Uses(uses) if uses.kind.is_database() && uses.kind != NodeKind::DbLint => {
            match (&uses.with.db, &graph.config.databases[..]) {
                (Some(name), _) => Some((format!("database `{}`", name.value), name.at)),
                (None, [only]) => Some((format!("database `{}`", only.key), uses.at)),
                (None, _) => None,
            }
        }
        _ => None,
    };
    locks.chain(lent).chain(acted_on).collect()
}

/// A reset and whoever acts on the same state: their order must be declared.
fn resets(graph: &Graph<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let tasks = &graph.config.tasks;
    if tasks.iter().all(|task| task.reset.is_none()) {
        return;
    }
    let order = Order::new(graph);
    let states: Vec<Vec<(String, At)>> = tasks.iter().map(|task| states(graph, task)).collect();
    for (reset, task) in tasks.iter().enumerate() {
        let Some(at) = task.reset else { continue };
        for (state, _) in &states[reset] {
            for (other, user) in tasks.iter().enumerate() {
                let shared = states[other].iter().find(|(theirs, _)| theirs == state);
                let Some((_, shared)) = shared.filter(|_| other != reset && !(user.reset.is_some() && other < reset))
                else {
                    continue;
                };
                if matches!(user.action, Action::Group { .. }) || order.has(reset, other) || order.has(other, reset) {
                    continue;
                }
                diagnostics.push(
                    Diagnostic::error(
                        "graph::unordered-reset",
                        at,
                        format!(
                            "`{}` resets state that `{}` uses ({state}), and neither waits for the other",
                            task.name, user.name
                        ),
                    )
                    .also(*shared, "used here")
                    .help(format!(
                        "add `depends = [\"{0}\"]` or `wait_for = [\"{0}\"]` to `{1}`",
                        task.name, user.name
                    )),
                );
            }
        }
    }
}
