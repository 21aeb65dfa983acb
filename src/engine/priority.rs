//! What the scheduler is told of a plan's nodes, and which of them go first.

use super::scheduler::NodePlan;
use super::services::Services;
use crate::cache::Last;
use crate::graph::Plan;
use crate::model::{NodeId, TaskName};
use crate::node::NamedLock;
use std::collections::BTreeMap;

/// What the scheduler needs to know, longest paths first by what tasks took last time.
pub fn node_plans(plan: &Plan, services: &Services) -> Vec<NodePlan> {
    let state = services.lock_state();
    let mut plans: Vec<NodePlan> = plan
        .nodes
        .iter()
        .map(|node| {
            let facts = node.node.facts();
            let took = match state.last(facts.kept_as.as_str()) {
                Some(Last::Good(recorded)) => recorded.duration_ms,
                _ => 1000,
            };
            NodePlan {
                hard: node.data.iter().chain(&node.order).copied().collect(),
                soft: node.soft.clone(),
                triggers: node.triggers.clone(),
                locks: if node.node.lender().is_some() { vec![] } else { plan.locks_of(node) },
                lends: node.node.lender().is_some(),
                held: node.held,
                borrows: node.borrows.clone(),
                exclusive: facts.interactive,
                attempts: facts.retry.attempts.max(1),
                priority: if facts.acts { took } else { 0 },
            }
        })
        .collect();
    drop(state);
    // Nodes of one task that must not run beside each other in two processes must not do so here.
    let mut sharing: BTreeMap<&TaskName, Vec<usize>> = BTreeMap::new();
    for (index, node) in plan.nodes.iter().enumerate() {
        sharing.entry(&node.node.facts().locked_as).or_default().push(index);
    }
    for (name, nodes) in sharing.into_iter().filter(|(_, nodes)| nodes.len() > 1) {
        for index in nodes {
            // No declared lock begins so.
            plans[index].locks.push(NamedLock::alone(format!("\0{name}")));
        }
    }
    // Each node stands after all it waits for, so that going backwards meets dependents first.
    let own: Vec<u64> = plans.iter().map(|plan| plan.priority).collect();
    for index in (0..plans.len()).rev() {
        let below = plans[index].priority;
        let befores: Vec<NodeId> = plans[index].hard.iter().chain(&plans[index].soft).copied().collect();
        for before in befores {
            let path = own[before.index()].saturating_add(below);
            let known = &mut plans[before.index()].priority;
            *known = path.max(*known);
        }
    }
    plans
}
