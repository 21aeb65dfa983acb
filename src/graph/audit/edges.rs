//! Findings about edges: idle, redundant, hiding a reset.

use super::codes::{EMPTY_GROUP, IDLE_EDGE, REDUNDANT_EDGE, UNREACHABLE, UNSEEN_RESET};
use super::{Audit, entries::is_cacheable};
use crate::config::Action;
use crate::graph::plan::resets_above;
use crate::graph::resolve::{Graph, TaskIndex};

/// Past this many tasks the table of who reaches whom is too large to be worth a note.
const REACH_LIMIT: usize = 20_000;

pub(super) fn audit(audit: &mut Audit<'_, '_, '_>) {
    let graph = audit.graph;
    let above = resets_above(graph);
    let reach = (graph.edges.len() <= REACH_LIMIT).then(|| Reach::new(graph));
    let mut needed = vec![false; graph.edges.len()];
    for edges in &graph.edges {
        for edge in edges.members().chain(edges.post.iter().map(|(edge, _)| edge)) {
            needed[edge.to] = true;
        }
        edges.soaks.iter().for_each(|base| needed[*base] = true);
    }
    for (index, edges) in graph.edges.iter().enumerate() {
        let task = graph.task(index);
        let group = matches!(task.action, Action::Group { .. });
        if group && edges.members().next().is_none() {
            let message = format!("group `{}` has no members", task.name);
            audit.find(EMPTY_GROUP, index, task.at, message, EMPTY_GROUP.mend.into());
        }
        if task.hide
            && !needed[index]
            && task.manual.is_none()
            && !graph.config.policy.entry.iter().any(|e| e.value == task.name.as_str())
        {
            let message = format!("`{}` is hidden, and nothing depends on it", task.name);
            audit.find(UNREACHABLE, index, task.at, message, UNREACHABLE.mend.into());
        }
        if edges.soaks.is_some() {
            // Most of its edges are those of the task it repeats, and judged there.
            continue;
        }
        for edge in edges.depends.iter().filter(|edge| !edge.from_glob) {
            let target = graph.task(edge.to);
            let verdict = target.outputs.as_ref().is_some_and(|outputs| outputs.value.is_empty());
            let carries = !above[edge.to].is_empty() || target.reset.is_some() || target.state.is_some();
            if !group && !edge.dep.order_only && verdict && !carries {
                let message =
                    format!("nothing flows from `{}` to `{}`: it leaves only its verdict", target.name, task.name);
                let help = format!("write `{{ task = \"{}\", order_only = true }}`, or remove the edge", edge.dep.task);
                audit.find(IDLE_EDGE, index, edge.at, message, help);
            }
            let hides = edge.dep.order_only
                && is_cacheable(task)
                && (target.reset.is_some() || !above[edge.to].is_empty())
                && above[edge.to]
                    .iter()
                    .chain(target.reset.map(|_| &edge.to))
                    .any(|reset| !above[index].contains(reset));
            if hides {
                let message = format!("`{}` goes after `{}`, but does not see that it resets", task.name, target.name);
                audit.find(UNSEEN_RESET, index, edge.at, message, UNSEEN_RESET.mend.into());
            }
            let by_another = reach.as_ref().and_then(|reach| {
                edges
                    .depends
                    .iter()
                    .find(|other| other.to != edge.to && !other.dep.order_only && reach.has(other.to, edge.to))
            });
            if let Some(other) = by_another.filter(|_| edge.dep.args.is_empty() && edge.dep.env.is_empty()) {
                let message = format!(
                    "`{}` need not name `{}`: it waits for it through `{}`",
                    task.name,
                    target.name,
                    graph.task(other.to).name
                );
                audit.find(REDUNDANT_EDGE, index, edge.at, message, REDUNDANT_EDGE.mend.into());
            }
        }
    }
}

/// Who waits for whom through data edges, as bits.
struct Reach {
    bits: Vec<u64>,
    words: usize,
}

impl Reach {
    fn new(graph: &Graph<'_>) -> Self {
        let count = graph.edges.len();
        let words = count.div_ceil(64);
        let mut reach = Self { bits: vec![0; words * count], words };
        let mut done = vec![false; count];
        for start in 0..count {
            let mut stack = vec![(start, false)];
            while let Some((task, ready)) = stack.pop() {
                if done[task] {
                    continue;
                }
                if !ready {
                    stack.push((task, true));
                    let waiting = graph.edges[task].data().map(|edge| edge.to);
                    stack.extend(waiting.filter(|to| !done[*to]).map(|to| (to, false)));
                    continue;
                }
                for edge in graph.edges[task].data() {
                    reach.take_in(task, edge.to);
                }
                done[task] = true;
            }
        }
        reach
    }

    fn take_in(&mut self, task: TaskIndex, other: TaskIndex) {
        for word in 0..self.words {
            self.bits[task * self.words + word] |= self.bits[other * self.words + word];
        }
        self.bits[task * self.words + other / 64] |= 1 << (other % 64);
    }

    fn has(&self, task: TaskIndex, other: TaskIndex) -> bool {
        self.bits[task * self.words + other / 64] & (1 << (other % 64)) != 0
    }
}
