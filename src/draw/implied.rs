//! Which edges say nothing that longer ways do not say too: they are drawn, and stay in the background.

use super::{Drawing, EdgeKind};

/// For each edge, whether there is a longer way between its nodes.
pub(super) fn implied(drawing: &Drawing) -> Vec<bool> {
    let count = drawing.nodes.len();
    let orders = |kind: EdgeKind| matches!(kind, EdgeKind::Data | EdgeKind::Order | EdgeKind::Sequence);
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); count];
    for edge in drawing.edges.iter().filter(|edge| orders(edge.kind) && edge.from != edge.to) {
        after[edge.from].push(edge.to);
    }
    let reach = reach(&after);
    let has = |from: usize, to: usize| reach[from][to / 64] & (1 << (to % 64)) != 0;
    let longer = |from: usize, to: usize| after[from].iter().any(|next| *next != to && has(*next, to));
    // In a circle everything has a longer way.
    let circle = |from: usize, to: usize| has(to, from);
    let edges = drawing.edges.iter();
    edges.map(|edge| edge.kind == EdgeKind::Data && longer(edge.from, edge.to) && !circle(edge.from, edge.to)).collect()
}

/// What comes after each node, as bits.
fn reach(after: &[Vec<usize>]) -> Vec<Vec<u64>> {
    let words = after.len().div_ceil(64);
    let mut reach = vec![vec![0_u64; words]; after.len()];
    let mut seen = vec![false; after.len()];
    for start in 0..after.len() {
        let mut stack = vec![(start, false)];
        while let Some((node, ready)) = stack.pop() {
            if ready {
                let mut bits = std::mem::take(&mut reach[node]);
                for next in after[node].iter().filter(|next| **next != node) {
                    bits[next / 64] |= 1 << (next % 64);
                    bits.iter_mut().zip(&reach[*next]).for_each(|(bits, more)| *bits |= more);
                }
                reach[node] = bits;
            } else if !seen[node] {
                seen[node] = true;
                stack.push((node, true));
                stack.extend(after[node].iter().filter(|next| !seen[**next]).map(|next| (*next, false)));
            }
        }
    }
    reach
}
