//! What a run goes on from, and which of it still counts.

use super::inspect::inspect;
use super::services::Services;
use crate::cache::Past;
use crate::event::Verdict;
use crate::fingerprint::Left;
use crate::graph::{Plan, PlanNode};
use crate::model::{Digest, Hasher, NodeId, Reason, TaskName};
use crate::node::Effects;
use std::collections::{BTreeMap, BTreeSet};

/// What a run goes on from.
#[derive(Debug, Clone, Default)]
pub struct Resumed {
    /// The run that is resumed, the one that that one resumed, and so on.
    pub chain: Vec<String>,
    /// What had succeeded in these.
    pub past: BTreeMap<TaskName, Past>,
    /// What is forced was forced in that run already: what succeeded there since is not run once more.
    pub forced_before: bool,
}

/// A task that had succeeded, and the runs that may have touched it since.
#[derive(Debug, Clone, Copy)]
pub struct Earlier<'r> {
    /// How it succeeded.
    pub past: &'r Past,
    /// These runs.
    pub chain: &'r [String],
}

impl Resumed {
    /// How a node had succeeded, where that may count.
    pub fn earlier(&self, node: &PlanNode) -> Option<Earlier<'_>> {
        let facts = node.node.facts();
        let again = looks(node) || (node.forced && !self.forced_before);
        let past = self.past.get(&facts.name).filter(|_| facts.acts && !again)?;
        Some(Earlier { past, chain: &self.chain })
    }

    /// What a node that looks each time had left when it had looked. It looks again, but those that only follow it do not
    /// follow it once more if it leaves the same.
    pub fn looked(&self, node: &PlanNode) -> Option<Digest> {
        self.past.get(node.name()).filter(|_| looks(node))?.left
    }

    /// Takes out what forced nodes did before: it is to be done again, also by a run that resumes this one.
    pub fn forget_forced(&mut self, plan: &Plan) {
        if !self.forced_before {
            plan.nodes.iter().filter(|node| node.forced).for_each(|node| drop(self.past.remove(node.name())));
        }
    }

    /// Takes out what cleanups may have undone. A task that has to run again though its cleanup has run needs what is
    /// above it again, where nobody can tell whether that is still so.
    pub fn forget_undone(&mut self, plan: &Plan, services: &Services) {
        let ran = |node: &&PlanNode| {
            let facts = node.node.facts();
            let by = services.starts.last(&facts.name);
            node.is_cleanup() && facts.acts && !looks(node) && by.is_some_and(|run| self.chain.contains(&run))
        };
        let cleaned: BTreeSet<NodeId> =
            plan.nodes.iter().filter(ran).flat_map(|node| node.triggers.iter().map(|(id, _)| *id)).collect();
        while !cleaned.is_empty() {
            let all = inspect(plan, services, false, Some(self));
            let again = cleaned.iter().copied().filter(|id| {
                let verdict = &all[id.index()].verdict;
                !matches!(verdict, Ok(Verdict::Done | Verdict::Fresh | Verdict::Restore))
            });
            let undone: Vec<TaskName> = above(plan, again)
                .into_iter()
                .map(|id| &plan.nodes[id.index()])
                .filter(|node| nobody_can_tell(node) && self.past.contains_key(node.name()))
                .map(|node| node.name().clone())
                .collect();
            if undone.is_empty() {
                return;
            }
            undone.iter().for_each(|name| drop(self.past.remove(name)));
        }
    }

    /// What had succeeded and is not in the plan any more.
    pub fn left_out(&self, plan: &Plan) -> Vec<&Past> {
        let names: BTreeSet<&TaskName> = plan.nodes.iter().map(PlanNode::name).collect();
        self.past.values().filter(|past| !names.contains(&past.task)).collect()
    }
}

/// What looks at something live each time has nothing that could be done already.
fn looks(node: &PlanNode) -> bool {
    matches!(node.node.facts().always, Some(Reason::Live))
}

fn nobody_can_tell(node: &PlanNode) -> bool {
    let facts = node.node.facts();
    facts.effects == Effects::Unknown && !facts.reports_state && facts.reset.is_none()
}

/// All that these nodes wait for.
fn above(plan: &Plan, nodes: impl Iterator<Item = NodeId>) -> BTreeSet<NodeId> {
    let mut seen = BTreeSet::new();
    let mut stack: Vec<NodeId> = nodes.collect();
    while let Some(at) = stack.pop() {
        let node = &plan.nodes[at.index()];
        stack.extend(node.data.iter().chain(&node.order).filter(|before| seen.insert(**before)));
    }
    seen
}

/// What stands for what a node left: that itself where it is known, otherwise which run of it that was.
pub fn trace(left: &Left, run: &str, task: &TaskName) -> Digest {
    match left {
        Left::Digest(digest) => *digest,
        Left::Unknown(_) => {
            let mut hasher = Hasher::new();
            [b"weir ran 1", run.as_bytes(), task.as_str().as_bytes()].iter().for_each(|field| hasher.field(field));
            hasher.finish()
        }
    }
}
