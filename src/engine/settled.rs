//! The part of an earlier verdict that still stands, though some of what the whole of it rests on has changed: that of the nodes
//! which select nothing that changed, and come after none that do.

use super::standing::Standing;
use crate::cache::{Last, Recorded, State};
use crate::graph::{Plan, PlanNode};
use crate::model::{Digest, NodeId, WsPath};

/// Nodes known to be fresh as long as nothing has run and nobody else has recorded anything.
#[derive(Debug)]
pub struct Settled {
    by_node: Vec<Option<Promise>>,
    /// What was known of other processes before anything was looked at ([`State::overtaken`]).
    overtaken: u64,
}

/// Which recorded result counted for a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Promise {
    pub key: Digest,
    pub left: Digest,
    pub log: Option<(Digest, u64)>,
    pub duration_ms: u64,
}

impl Settled {
    /// What still stands of a verdict on this very plan, after the looks at `changed` have changed and no others; none where
    /// nobody can tell whom one of them concerns.
    pub fn of(standing: &Standing<'_>, plan: &Plan, changed: &[WsPath], state: &State) -> Option<Self> {
        let mut by_node = standing.promises_to(plan)?;
        let mut open = vec![false; plan.nodes.len()];
        for path in changed {
            let mut concerns_any = false;
            for (index, node) in plan.nodes.iter().enumerate() {
                if selects_near(node, path) {
                    concerns_any = true;
                    open[index] = true;
                }
            }
            concerns_any.then_some(())?;
        }
        // Each node stands after all that it waits for.
        for (index, node) in plan.nodes.iter().enumerate() {
            let acts = node.node.facts().acts;
            let known = !acts
                || by_node[index]
                    .as_ref()
                    .is_some_and(|promise| promise.kept(node.node.facts().kept_as.as_str(), state).is_some());
            open[index] |= !known || !can_settle(node) || node.before().any(|before| open[before.index()]);
            if open[index] {
                by_node[index] = None;
            }
        }
        Some(Self { by_node, overtaken: state.overtaken() })
    }

    /// Whether nothing needs to be read for this node.
    pub(super) fn covers(&self, node: usize) -> bool {
        self.by_node.get(node).is_some_and(Option::is_some)
    }

    /// The recorded result of a node that is fresh, if it is still its last.
    pub(super) fn take(&mut self, id: NodeId, node: &PlanNode, state: &State) -> Option<Recorded> {
        let promise = self.by_node.get_mut(id.index())?.take()?;
        promise.kept(node.node.facts().kept_as.as_str(), state).filter(|_| state.overtaken() == self.overtaken).cloned()
    }
}

impl Promise {
    /// The last result that is kept by this name, if it still is the one that counted.
    pub(super) fn kept<'s>(&self, kept_as: &str, state: &'s State) -> Option<&'s Recorded> {
        let Some(Last::Good(recorded)) = state.last(kept_as) else { return None };
        let Self { key, left, log, duration_ms } = self;
        let same =
            (*key, *left, *log, *duration_ms) == (recorded.key, recorded.left, recorded.log, recorded.duration_ms);
        same.then_some(recorded)
    }
}

/// Whether a node's verdict rests on nothing but its definition, its files and what comes before it.
pub(super) fn can_settle(node: &PlanNode) -> bool {
    let facts = node.node.facts();
    let looks_elsewhere = facts.observes || facts.reports_state || !node.resets.is_empty();
    let follows = !node.triggers.is_empty() || node.node.lender().is_some() || !node.borrows.is_empty();
    facts.always.is_none() && facts.gate.is_none() && !looks_elsewhere && !follows && !node.forced
}

/// Whether a change at `path`, a file or a folder's list of entries, may concern what a node declares.
fn selects_near(node: &PlanNode, path: &WsPath) -> bool {
    let facts = node.node.facts();
    let declared = facts.sources.iter().chain(facts.effects.patterns());
    declared
        .filter(|pattern| !pattern.negated)
        .any(|pattern| path.is_within(&pattern.prefix) || pattern.prefix.is_within(path))
}
