//! Who borrows what of a plan's lenders, and which of them stay.

use super::{Builder, Plan, PlanNode};
use crate::model::NodeId;
use crate::node::NamedLock;
use rustc_hash::FxHashSet;

impl Plan {
    /// What a node borrows, and what that borrows in turn.
    pub fn borrowed(&self, node: &PlanNode) -> Vec<NodeId> {
        let mut all = Vec::new();
        let mut stack = node.borrows.clone();
        while let Some(lender) = stack.pop() {
            if !all.contains(&lender) {
                all.push(lender);
                stack.extend(&self.nodes[lender.index()].borrows);
            }
        }
        all
    }

    /// The locks under which a node runs: its own, and, shared, those of what it borrows.
    pub fn locks_of(&self, node: &PlanNode) -> Vec<NamedLock> {
        let mut locks = node.node.facts().locks.clone();
        for lender in self.borrowed(node) {
            for lock in &self.nodes[lender.index()].node.facts().locks {
                if !locks.iter().any(|own| own.name == lock.name) {
                    locks.push(NamedLock::shared(&lock.name));
                }
            }
        }
        locks
    }
}

impl Builder<'_, '_> {
    /// Who borrows what, and which lenders stay: those asked for by name, alone or through a group that nobody else of
    /// the run borrows them from.
    pub(super) fn lend(&mut self, roots: &[usize]) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].node.facts().acts {
                self.nodes[node].borrows = self.lenders_before(node);
            }
        }
        let borrowed: FxHashSet<usize> =
            self.nodes.iter().flat_map(|node| &node.borrows).map(|lender| lender.index()).collect();
        for root in roots {
            if self.nodes[*root].node.lender().is_some() {
                self.nodes[*root].held = true;
            } else if !self.nodes[*root].node.facts().acts {
                for lender in self.lenders_before(*root) {
                    self.nodes[lender.index()].held |= !borrowed.contains(&lender.index());
                }
            }
        }
    }

    /// The lenders that a node depends on, through groups too; not those that it cleans up after.
    fn lenders_before(&self, node: usize) -> Vec<NodeId> {
        let over: Vec<NodeId> = self.nodes[node].triggers.iter().map(|(of, _)| *of).collect();
        let mut found = Vec::new();
        let mut seen = FxHashSet::default();
        let mut stack: Vec<NodeId> = self.nodes[node].data.iter().chain(&self.nodes[node].order).copied().collect();
        while let Some(before) = stack.pop() {
            let plan_node = &self.nodes[before.index()];
            if !seen.insert(before) || over.contains(&before) {
                continue;
            }
            if plan_node.node.lender().is_some() {
                found.push(before);
            } else if !plan_node.node.facts().acts {
                stack.extend(plan_node.data.iter().chain(&plan_node.order));
            }
        }
        found.sort_unstable();
        found
    }
}
