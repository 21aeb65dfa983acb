//! Before anything runs: what the scheduler is told of a plan's nodes, and what is read ahead.

use super::judge::{Ahead, look_ahead};
use super::scheduler::NodePlan;
use super::services::Services;
use crate::cache::Last;
use crate::graph::Plan;
use crate::model::NodeId;

/// What the scheduler needs to know, longest paths first by what tasks took last time.
pub fn node_plans(plan: &Plan, services: &Services) -> Vec<NodePlan> {
    let state = services.lock_state();
    let mut plans: Vec<NodePlan> = plan
        .nodes
        .iter()
        .map(|node| {
            let facts = node.node.facts();
            let took = match state.last(facts.name.as_str()) {
                Some(Last::Good(recorded)) => recorded.duration_ms,
                _ => 1000,
            };
            NodePlan {
                hard: node.data.iter().chain(&node.order).copied().collect(),
                soft: node.soft.clone(),
                triggers: node.triggers.clone(),
                locks: facts.locks.clone(),
                exclusive: facts.interactive,
                attempts: facts.retry.attempts.max(1),
                priority: if facts.acts { took } else { 0 },
                transparent: !facts.acts,
            }
        })
        .collect();
    drop(state);
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

/// Reads sources and outputs of all cacheable nodes, on all cores.
pub fn read_ahead(plan: &Plan, services: &Services) -> Vec<Option<Ahead>> {
    let state = services.lock_state();
    let count = plan.nodes.len();
    let look = |index: usize| {
        let node = &plan.nodes[index];
        look_ahead(services, node, state.last(node.name().as_str()))
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(count / 16).min(8);
    if threads < 2 {
        return (0..count).map(look).collect();
    }
    let next = std::sync::atomic::AtomicUsize::new(0);
    let mut all: Vec<Option<Ahead>> = (0..count).map(|_| None).collect();
    let work = || {
        let mut done = Vec::new();
        loop {
            let from = next.fetch_add(16, std::sync::atomic::Ordering::Relaxed);
            if from >= count {
                return done;
            }
            done.extend((from..(from + 16).min(count)).map(|index| (index, look(index))));
        }
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut found = work();
        for other in others {
            found.extend(other.join().unwrap_or_default());
        }
        for (index, ahead) in found {
            all[index] = ahead;
        }
    });
    all
}
