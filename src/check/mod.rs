//! Rank 4: the ready-made check nodes. Know files, git and the graph; nothing of the scheduler.

mod branch;
mod cochange;
mod date;
mod drift;
mod exists;
mod forbid;
mod frame;
mod graph;
mod same;
pub mod structural;

pub use graph::GraphAudit;

use crate::config::{NodeKind, Uses};
use crate::node::{Instance, Node};
use std::sync::Arc;
use std::time::Duration;

/// The node of a task that `uses` a ready-made check; none if it is none of these. `audit` is what
/// `check.graph` asks.
pub fn node(instance: &Instance<'_>, uses: &Uses, timeout: Duration, audit: &Arc<GraphAudit>) -> Option<Arc<dyn Node>> {
    let with = &uses.with;
    let check: Box<dyn frame::Check> = match uses.kind {
        NodeKind::CheckGraph => Box::new(graph::Graph { audit: Arc::clone(audit), strict: with.check.strict }),
        NodeKind::CheckDrift => Box::new(drift::Drift::new(instance.task, with, timeout)),
        NodeKind::CheckForbid => Box::new(forbid::Forbid::new(with)?),
        NodeKind::CheckSame => Box::new(same::Same::new(with)?),
        NodeKind::CheckExists => Box::new(exists::Exists::new(with)),
        NodeKind::CheckBranch => Box::new(branch::Branch::new(with)?),
        NodeKind::RuleStructural => Box::new(structural::Structural::new(with.check.base.as_ref())),
        NodeKind::CheckCochange => Box::new(cochange::Cochange::new(with)),
        _ => return None,
    };
    Some(Arc::new(frame::CheckNode::new(instance, uses.kind, check)))
}
