//! `weir tasks deps --format dot|mermaid|svg|html`: the graph as other programs and people see it.

use super::error::CliError;
use super::panel::Known;
use super::project::{Place, Project};
use crate::config::{Action, Task, When};
use crate::draw::{self, Drawing, EdgeKind, NodeKind, TooLarge};
use crate::graph::{Edge, Graph, TaskIndex};
use crate::model::Reason;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// An edge that is drawn, from what comes first to what comes after it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// What comes first.
    pub from: TaskIndex,
    /// What comes after.
    pub to: TaskIndex,
    /// What for.
    pub kind: EdgeKind,
    /// Said of it in one line.
    pub note: String,
}

/// Every edge among `shown`, each once.
pub fn links(graph: &Graph<'_>, shown: &[TaskIndex]) -> Vec<Link> {
    let inside: BTreeSet<TaskIndex> = shown.iter().copied().collect();
    let name = |index: TaskIndex| &graph.task(index).name;
    let mut all = Vec::new();
    let mut add = |from: TaskIndex, to: TaskIndex, kind: EdgeKind, note: String| {
        if from != to && inside.contains(&from) && inside.contains(&to) {
            all.push(Link { from, to, kind, note });
        }
    };
    for to in shown.iter().copied() {
        let edges = &graph.edges[to];
        for edge in &edges.depends {
            let (kind, how) = match edge.dep.order_only {
                true => (EdgeKind::Order, "goes after"),
                false => (EdgeKind::Data, "depends on"),
            };
            let with = edge.dep.args.iter().fold(String::new(), |text, argument| text + " " + argument);
            add(edge.to, to, kind, format!("{} {how} {}{with}", name(to), name(edge.to)));
        }
        // A step after the one before it, and the whole after the last.
        let steps = edges.sequence.iter().map(|step| members(step, &inside)).filter(|step| !step.is_empty());
        let steps: Vec<Vec<TaskIndex>> = steps.collect();
        for pair in steps.windows(2) {
            for (from, next) in pair[0].iter().flat_map(|from| pair[1].iter().map(move |next| (*from, *next))) {
                add(
                    from,
                    next,
                    EdgeKind::Sequence,
                    format!("{} goes before {} in {}", name(from), name(next), name(to)),
                );
            }
        }
        for from in steps.last().into_iter().flatten() {
            add(*from, to, EdgeKind::Sequence, format!("{} ends with {}", name(to), name(*from)));
        }
        for wait in &edges.wait_for {
            add(wait.to, to, EdgeKind::WaitFor, format!("{} waits for {}, if both run", name(to), name(wait.to)));
        }
        for (edge, when) in &edges.post {
            let when = match when {
                When::Always => "",
                When::Failure => ", on failure",
                When::Success => ", on success",
            };
            add(to, edge.to, EdgeKind::Cleanup, format!("{} cleans up after {}{when}", name(edge.to), name(to)));
        }
    }
    let mut seen = BTreeSet::new();
    all.retain(|link| seen.insert((link.from, link.to, link.kind)));
    all
}

fn members(step: &[Edge<'_>], inside: &BTreeSet<TaskIndex>) -> Vec<TaskIndex> {
    step.iter().map(|edge| edge.to).filter(|to| inside.contains(to)).collect()
}

/// For Graphviz. There is no legend: what is no plain task says in its box what it is.
pub fn dot(graph: &Graph<'_>, shown: &[TaskIndex]) -> String {
    let name = |index: TaskIndex| format!("{:?}", graph.task(index).name.as_str());
    let mut text = String::from("digraph weir {\n  rankdir = LR;\n  node [shape = box];\n");
    for index in shown {
        let task = graph.task(*index);
        let marked = standing(task).map_or_else(String::new, |kind| {
            let shape = if kind == NodeKind::Service { "component" } else { "box3d" };
            format!(" [shape = {shape}, label = {:?}]", format!("{}\n{}", task.name, kind.word()))
        });
        let _ = writeln!(text, "  {}{marked};", name(*index));
    }
    for link in links(graph, shown) {
        let style = match link.kind {
            EdgeKind::Data => "",
            EdgeKind::Sequence => " [style = bold]",
            EdgeKind::Order => " [style = dashed]",
            EdgeKind::WaitFor => " [style = dotted]",
            EdgeKind::Cleanup => " [style = dashed, label = \"cleanup\"]",
        };
        let _ = writeln!(text, "  {} -> {}{style};", name(link.from), name(link.to));
    }
    text.push_str("}\n");
    text
}

/// For Markdown, likewise.
pub fn mermaid(graph: &Graph<'_>, shown: &[TaskIndex]) -> String {
    let mut text = String::from("graph LR\n");
    for index in shown {
        let task = graph.task(*index);
        let name = task.name.as_str().replace('"', "#quot;");
        let _ = match standing(task) {
            Some(NodeKind::Service) => writeln!(text, "  t{index}[[\"{name}<br/>service\"]]"),
            Some(NodeKind::Soak) => writeln!(text, "  t{index}[/\"{name}<br/>soak\"/]"),
            _ => writeln!(text, "  t{index}[\"{name}\"]"),
        };
    }
    for link in links(graph, shown) {
        let arrow = match link.kind {
            EdgeKind::Data => "-->",
            EdgeKind::Sequence => "==>",
            EdgeKind::Order => "-.->",
            EdgeKind::WaitFor => "-. waits .->",
            EdgeKind::Cleanup => "-. cleanup .->",
        };
        let _ = writeln!(text, "  t{} {arrow} t{}", link.from, link.to);
    }
    text
}

/// The picture; with `known`, the page around it that tells of each task.
///
/// # Errors
/// There is too much to draw.
pub fn picture(
    project: &Project,
    graph: &Graph<'_>,
    shown: &[TaskIndex],
    title: String,
    known: Option<&Known<'_>>,
) -> Result<String, CliError> {
    let places: BTreeMap<TaskIndex, usize> = shown.iter().enumerate().map(|(place, index)| (*index, place)).collect();
    let place_of = |index: TaskIndex| places.get(&index).copied().unwrap_or_default();
    let nodes = shown.iter().map(|index| node(project, graph, *index)).collect();
    let edges = links(graph, shown).into_iter().map(|link| draw::Edge {
        from: place_of(link.from),
        to: place_of(link.to),
        kind: link.kind,
        tooltip: link.note,
    });
    let mut drawing = Drawing { title, nodes, edges: edges.collect() };
    let hider = super::panel::secrets(project, graph);
    for text in drawing.nodes.iter_mut().map(|node| &mut node.tooltip) {
        *text = hider.mask(text);
    }
    for text in drawing.edges.iter_mut().map(|edge| &mut edge.tooltip) {
        *text = hider.mask(text);
    }
    let drawn = match known {
        None => draw::svg(&drawing),
        Some(known) => {
            let details: Vec<_> = shown.iter().map(|index| known.of(project, graph, *index)).collect();
            draw::html(&drawing, &details, &Known::codes())
        }
    };
    drawn.map_err(|error: TooLarge| {
        CliError::usage(error.to_string(), "name a task to draw what it waits for, or use `--format dot`")
    })
}

fn node(project: &Project, graph: &Graph<'_>, index: TaskIndex) -> draw::Node {
    let task = graph.task(index);
    let (kind, words) = kind(project, graph, index);
    let mut tooltip = format!("{} ({})", task.name, words.join(", "));
    if let Some(description) = &task.description {
        let _ = write!(tooltip, "\n{description}");
    }
    draw::Node { name: task.name.to_string(), kind, tooltip }
}

/// What a task is where it is not simply run in its turn.
fn standing(task: &Task) -> Option<NodeKind> {
    match &task.action {
        Action::Soak(_) => Some(NodeKind::Soak),
        _ => task.service.as_ref().map(|_| NodeKind::Service),
    }
}

/// How a task is drawn, and what is said of it in a few words.
pub fn kind(project: &Project, graph: &Graph<'_>, index: TaskIndex) -> (NodeKind, Vec<String>) {
    let task = graph.task(index);
    let always = project.node_of(task).facts().always.clone();
    let mut words = Vec::new();
    if task.manual.is_some() {
        words.push("manual: only ever run by name".to_owned());
    }
    match standing(task) {
        Some(NodeKind::Service) => words.insert(0, "service: runs while others need it".into()),
        Some(_) => {
            let base = graph.soaked(task).map_or_else(String::new, |base| format!(" of {}", base.name));
            words.insert(0, format!("soak{base}: runs only with -f"));
        }
        None => words.extend(always.iter().map(|reason| format!("always runs: {}", Reason::describe(reason)))),
    }
    if task.hide {
        words.push("hidden".into());
    }
    let kind = match (&task.action, standing(task)) {
        _ if task.reset.is_some() => NodeKind::Reset,
        (_, Some(kind)) => kind,
        _ if task.manual.is_some() => NodeKind::Manual,
        (Action::Group { sequence }, _) => {
            words.insert(0, if sequence.is_empty() { "group" } else { "sequence" }.into());
            NodeKind::Group
        }
        _ if always.is_some() => NodeKind::Always,
        _ => NodeKind::Command,
    };
    if words.is_empty() {
        words.push("skipped while fresh".into());
    }
    (kind, words)
}

/// What a drawing shows.
pub fn title(place: &Place, project: &Project, root: Option<&str>, up: bool) -> String {
    let folder = project.config.root.file_name().unwrap_or(place.folder.as_os_str()).to_string_lossy();
    match root {
        None => format!("Tasks of {folder}"),
        Some(root) if up => format!("What waits for {root} in {folder}"),
        Some(root) => format!("What {root} waits for in {folder}"),
    }
}
