//! What is known of each node in the course of a run: what it left, how long it took.

use crate::cache::Recorded;
use crate::event::{Blocked, Totals};
use crate::fingerprint::Left;
use crate::graph::Plan;
use crate::model::{Digest, FailReason, KeyPart, NodeId, Outcome, SkipReason, TaskName};
use std::time::Duration;

/// One node's page.
#[derive(Debug, Default)]
pub struct Page {
    /// What it left, once it ended well.
    pub left: Option<Left>,
    /// What stands for that, of a group.
    pub trace: Option<Digest>,
    /// The earlier run in which it ran, where that counted.
    pub ran_in: Option<String>,
    /// Digest of its declared outputs, as it left them; of a recorded result it is not worked out before it is needed.
    pub outputs: Option<Digest>,
    /// Its key.
    pub key: Option<Digest>,
    /// The parts of its key, where it was recorded in this run.
    pub parts: Vec<KeyPart>,
    /// How long its commands took, all attempts together.
    pub took: Duration,
    /// How long that took then.
    pub spared: Duration,
    /// The recorded result that counted.
    pub recorded: Option<Recorded>,
    /// Attempts made.
    pub attempts: u32,
    /// Bytes of its log.
    pub log_bytes: u64,
    /// It was the remote that ran it, in its last attempt.
    pub remote: bool,
    /// How its last attempt failed.
    pub failed: Option<String>,
}

impl Page {
    /// Digest of its declared outputs, as it left them or as they were found.
    pub fn outputs(&self) -> Option<Digest> {
        self.recorded.as_ref().map(|recorded| recorded.outputs.digest()).or(self.outputs)
    }
}

/// All pages.
#[derive(Debug)]
pub struct Ledger {
    /// By node.
    pub pages: Vec<Page>,
    /// Totals so far.
    pub totals: Totals,
    /// What the recorded results saved.
    pub saved: Duration,
    /// What did not run because of a failure.
    pub blocked: Vec<Blocked>,
    /// A safety rule forbade something.
    pub refused: bool,
    /// What failed as a warning.
    pub warnings: Vec<TaskName>,
}

impl Ledger {
    /// Empty, for a plan of `count` nodes.
    pub fn new(count: usize) -> Self {
        Self {
            pages: (0..count).map(|_| Page::default()).collect(),
            totals: Totals::default(),
            saved: Duration::ZERO,
            blocked: vec![],
            refused: false,
            warnings: vec![],
        }
    }

    /// The page of a node.
    pub fn page(&mut self, node: NodeId) -> &mut Page {
        &mut self.pages[node.index()]
    }

    /// Counts a node that has ended.
    pub fn count(&mut self, node: NodeId, name: &TaskName, outcome: &Outcome) {
        let page = &self.pages[node.index()];
        match outcome {
            Outcome::Fresh => self.totals.fresh += 1,
            Outcome::Hit => self.totals.hit += 1,
            Outcome::Done { .. } => self.totals.done += 1,
            Outcome::Ran => {
                self.totals.ran += 1;
                self.totals.flaky += u32::from(page.attempts > 1);
            }
            Outcome::Failed { warn: true, .. } => {
                self.totals.warned += 1;
                self.warnings.push(name.clone());
            }
            Outcome::Failed { reason, .. } => {
                self.totals.failed += 1;
                self.refused |= matches!(reason, FailReason::Refused { .. });
            }
            Outcome::Skipped { reason } => {
                let by = match reason {
                    SkipReason::Blocked { by } => Some(by.clone()),
                    SkipReason::Stopped => None,
                    SkipReason::Interrupted | SkipReason::NotNeeded => {
                        self.totals.skipped += 1;
                        return;
                    }
                };
                self.totals.blocked += 1;
                self.blocked.push(Blocked { task: name.clone(), by });
            }
        }
        if matches!(outcome, Outcome::Fresh | Outcome::Hit)
            && let Some(recorded) = &page.recorded
        {
            self.saved += Duration::from_millis(recorded.duration_ms);
        }
        if matches!(outcome, Outcome::Done { .. }) {
            self.saved += page.spared;
        }
    }

    /// The chain of nodes that took longest, and how long.
    pub fn critical_path(&self, plan: &Plan) -> (Duration, Vec<TaskName>) {
        let mut best: Vec<(Duration, Option<usize>)> = Vec::with_capacity(plan.nodes.len());
        for (index, node) in plan.nodes.iter().enumerate() {
            let triggers = node.triggers.iter().map(|(id, _)| id);
            let before = node
                .data
                .iter()
                .chain(&node.order)
                .chain(&node.soft)
                .chain(triggers)
                .map(|id| (best[id.index()].0, Some(id.index())))
                .max_by_key(|(took, _)| *took)
                .unwrap_or_default();
            best.push((before.0 + self.pages[index].took, before.1));
        }
        let Some(mut at) = (0..best.len()).max_by_key(|index| best[*index].0) else {
            return (Duration::ZERO, vec![]);
        };
        let total = best[at].0;
        let mut chain = Vec::new();
        loop {
            if !self.pages[at].took.is_zero() {
                chain.push(plan.nodes[at].name().clone());
            }
            match best[at].1 {
                Some(before) => at = before,
                None => break,
            }
        }
        chain.reverse();
        (total, chain)
    }
}
