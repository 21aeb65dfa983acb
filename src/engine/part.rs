//! A part of a plan by itself: the nodes that have to be judged again after an earlier verdict on the whole, and what they
//! come after. What is needed to make it is kept beside the verdict, so that nothing else of the configuration is read.

use super::settled::{Promise, can_settle};
use super::standing::Standing;
use crate::cache::{Recorded, State};
use crate::graph::{Plan, PlanNode};
use crate::model::{Digest, NodeId, WsPath};
use crate::node::Node;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How parts of a plan are made.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outline<'s> {
    /// The plan that it is of ([`Standing::shape`]).
    of: Digest,
    #[serde(borrow)]
    nodes: Vec<Sketch<'s>>,
    /// The folders and files below which nodes declare something, and by whom; sorted.
    #[serde(borrow)]
    near: Vec<(&'s str, u32)>,
}

/// A node of the plan.
#[derive(Debug, Serialize, Deserialize)]
struct Sketch<'s> {
    /// The name its last result is kept by, where that is not its own.
    kept_as: Option<&'s str>,
    settles: bool,
    recipe: Option<Recipe>,
}

/// A node that its task alone makes.
#[derive(Debug, Serialize, Deserialize)]
struct Recipe {
    task: u32,
    target: bool,
    data: Vec<u32>,
    order: Vec<u32>,
    soft: Vec<u32>,
    steps: Vec<u32>,
}

/// What is known of a part of a plan, and of the rest.
#[derive(Debug)]
pub struct Part {
    /// Where its nodes stand in the whole, ascending.
    pub(super) ids: Vec<u32>,
    /// The recorded results of those that are only in it because others come after them.
    pub(super) known: Vec<Option<Recorded>>,
    /// The verdict on the whole, as bytes.
    pub(super) verdict: Vec<u8>,
}

/// Makes the node of a task, by the task's place among all and the node's name; none where more than the task makes it.
pub type Make<'m> = dyn FnMut(usize, &str) -> Option<Arc<dyn Node>> + 'm;

impl<'s> Outline<'s> {
    /// Of a plan and the verdict on it. `by_task`: whether a node is made by its task alone, without arguments or anything lent.
    pub fn of(plan: &'s Plan, standing: &Standing<'_>, by_task: impl Fn(&PlanNode) -> bool) -> Self {
        let sketch = |node: &'s PlanNode| {
            let facts = node.node.facts();
            let plain = node.triggers.is_empty() && node.resets.is_empty() && node.borrows.is_empty();
            let plain = plain && !node.held && !node.forced && node.node.lender().is_none();
            Sketch {
                kept_as: Some(facts.kept_as.as_str()).filter(|name| *name != facts.name.as_str()),
                settles: can_settle(node),
                recipe: (plain && by_task(node)).then(|| Recipe::of(node)),
            }
        };
        let mut near = Vec::new();
        for (node, index) in plan.nodes.iter().zip(0..) {
            let facts = node.node.facts();
            let declared = facts.sources.iter().chain(facts.effects.patterns()).filter(|pattern| !pattern.negated);
            near.extend(declared.map(|pattern| (pattern.prefix.as_str(), index)));
        }
        near.sort_unstable();
        near.dedup();
        Self { of: standing.shape(), nodes: plan.nodes.iter().map(sketch).collect(), near }
    }

    /// What has to be judged again where the looks at `changed` have changed and no others, with what that comes after. None where nobody can tell whom a change concerns, and where it takes more than tasks to make the part.
    pub fn part(&self, verdict: &[u8], changed: &[WsPath], state: &State, make: &mut Make<'_>) -> Option<(Plan, Part)> {
        let standing = &Standing::parse(verdict)?;
        let count = self.nodes.len();
        if self.of != standing.shape() || standing.len() != count {
            return None;
        }
        let promises = standing.promises();
        let mut open = vec![false; count];
        for path in changed {
            let mut concerned = self.declared_near(path).peekable();
            concerned.peek()?;
            concerned.for_each(|node| open[node as usize] = true);
        }
        // Each node stands after all that it waits for.
        for (index, sketch) in self.nodes.iter().enumerate() {
            let kept = || self.recorded(index, standing, &promises, state).is_some();
            let follows = standing.after(index).iter().any(|before| open[*before as usize]);
            open[index] |= !sketch.settles || follows || !(standing.is_group(index) || kept());
        }
        let chosen = self.with_what_is_before(standing, &open)?;
        let mut place = vec![u32::MAX; count];
        let (mut nodes, mut known) = (Vec::new(), Vec::new());
        for (index, id) in chosen.iter().map(|id| *id as usize).zip(0..) {
            place[index] = id;
            let recipe = self.nodes[index].recipe.as_ref()?;
            let there = |list: &[u32]| -> Vec<NodeId> { list.iter().map(|id| NodeId(place[*id as usize])).collect() };
            let (waits, groups) = (open[index], open[index] || standing.is_group(index));
            let only = |of: bool, list: &[u32]| if of { there(list) } else { vec![] };
            nodes.push(PlanNode {
                node: make(recipe.task as usize, standing.name(index))?,
                task: recipe.task as usize,
                data: only(groups, &recipe.data),
                order: only(waits, &recipe.order),
                soft: only(waits, &recipe.soft),
                steps: only(waits, &recipe.steps),
                triggers: vec![],
                resets: vec![],
                forced: false,
                target: recipe.target,
                borrows: vec![],
                held: false,
            });
            let settled = !open[index] && !standing.is_group(index);
            known.push(if settled { self.recorded(index, standing, &promises, state).cloned() } else { None });
        }
        Some((Plan { nodes }, Part { ids: chosen, known, verdict: verdict.to_vec() }))
    }

    /// The last result of a node, if it still is the one that counted.
    fn recorded<'t>(
        &self,
        index: usize,
        standing: &Standing<'_>,
        promises: &[Option<Promise>],
        state: &'t State,
    ) -> Option<&'t Recorded> {
        let kept_as = self.nodes[index].kept_as.unwrap_or_else(|| standing.name(index));
        promises[index].as_ref()?.kept(kept_as, state)
    }

    /// The open nodes and what they wait for; of a group, what it leaves is what its members left. None where one of them takes more
    /// than its task.
    fn with_what_is_before(&self, standing: &Standing<'_>, open: &[bool]) -> Option<Vec<u32>> {
        let mut chosen = open.to_vec();
        for index in (0..open.len()).rev().filter(|index| open[*index]) {
            standing.after(index).iter().for_each(|before| chosen[*before as usize] = true);
        }
        for index in (0..open.len()).rev() {
            if chosen[index] && !open[index] && standing.is_group(index) {
                let members = &self.nodes[index].recipe.as_ref()?.data;
                members.iter().for_each(|member| chosen[*member as usize] = true);
            }
        }
        for index in (0..open.len()).filter(|index| chosen[*index]) {
            let recipe = self.nodes[index].recipe.as_ref()?;
            let lists = [&recipe.data, &recipe.order, &recipe.soft];
            let waits_for = lists.into_iter().flatten();
            let sound = waits_for.eq(standing.after(index))
                && recipe.steps.iter().all(|step| recipe.data.contains(step) || recipe.order.contains(step));
            (sound && standing.after(index).iter().all(|before| (*before as usize) < index)).then_some(())?;
        }
        Some((0..).zip(chosen).filter_map(|(id, chosen): (u32, bool)| chosen.then_some(id)).collect())
    }

    /// The nodes that declare something at, above or below `path`, a file or a folder's list of entries.
    fn declared_near<'n>(&'n self, path: &'n WsPath) -> impl Iterator<Item = u32> + 'n {
        let path = path.as_str();
        let from = |key: &str| self.near.partition_point(|(declared, _)| *declared < key);
        let above = std::iter::successors((!path.is_empty()).then_some(path), |path| {
            (!path.is_empty()).then(|| path.rsplit_once('/').map_or("", |(folder, _)| folder))
        });
        let at = move |key: &'n str| {
            self.near[from(key)..].iter().take_while(move |(declared, _)| *declared == key).map(|(_, node)| *node)
        };
        let below = if path.is_empty() { String::new() } else { format!("{path}/") };
        let first = from(&below);
        let below = self.near[first..].iter().take_while(move |(declared, _)| declared.starts_with(&below));
        above.flat_map(at).chain(below.map(|(_, node)| *node))
    }
}

impl Recipe {
    fn of(node: &PlanNode) -> Self {
        let ids = |list: &[NodeId]| list.iter().map(|id| id.0).collect();
        Self {
            task: u32::try_from(node.task).unwrap_or(u32::MAX),
            target: node.target,
            data: ids(&node.data),
            order: ids(&node.order),
            soft: ids(&node.soft),
            steps: ids(&node.steps),
        }
    }
}
