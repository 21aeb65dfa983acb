//! What is read before a run begins.

use super::judge::{Ahead, look_ahead};
use super::part::Part;
use super::services::Services;
use super::settled::Settled;
use crate::cache::Store;
use crate::fingerprint::InputError;
use crate::graph::Plan;
use std::sync::Arc;
use std::time::Instant;

/// A plan with what was read ahead for it, to be run at once.
pub struct Prepared {
    pub(super) plan: Arc<Plan>,
    pub(super) ahead: Vec<Option<Ahead>>,
    pub(super) settled: Option<Settled>,
    pub(super) part: Option<Part>,
    pub(super) started: Instant,
}

impl Prepared {
    /// Reads the sources and outputs of all cacheable nodes but those that are settled.
    pub fn new(plan: Plan, services: &Services, settled: Option<Settled>) -> Self {
        let started = Instant::now();
        let known = |node| settled.as_ref().is_some_and(|settled| settled.covers(node));
        let ahead = read_ahead(&plan, services, &known);
        Self { plan: Arc::new(plan), ahead, settled, part: None, started }
    }

    /// Does so for the plan of a part.
    pub fn of_part(plan: Plan, services: &Services, part: Part) -> Self {
        let started = Instant::now();
        let ahead = read_ahead(&plan, services, &|node| part.known[node].is_some());
        Self { plan: Arc::new(plan), ahead, settled: None, part: Some(part), started }
    }

    /// The plan.
    pub const fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Why the sources of a node could not be read, as things are before anything has run.
    pub fn unreadable(&self, node: usize) -> Option<&InputError> {
        self.ahead.get(node)?.as_ref()?.sources.as_ref().err()
    }
}

/// Whether no result can be found for what this workspace has no record of.
fn nothing_is_kept(services: &Services) -> bool {
    services.remote.is_none() && services.store.as_ref().is_none_or(Store::is_empty)
}

/// Reads sources and outputs of all cacheable nodes of which nothing is `known`, on all cores.
fn read_ahead(plan: &Plan, services: &Services, known: &(dyn Fn(usize) -> bool + Sync)) -> Vec<Option<Ahead>> {
    let state = services.lock_state();
    let count = plan.nodes.len();
    let later = if nothing_is_kept(services) { plan.follow_a_maker() } else { vec![false; count] };
    let look = |index: usize| {
        let node = &plan.nodes[index];
        // It will run, once something else has: it is read when its turn comes, beside the commands of others.
        let runs_later = later[index] && state.last(node.node.facts().kept_as.as_str()).is_none();
        if known(index) || runs_later { None } else { look_ahead(services, node, &state) }
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
