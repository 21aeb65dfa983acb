//! What would be done with the nodes of a plan, and why, without doing it.

use super::driver::group_left;
use super::judge::{Decision, Judge, Judgement, Upstream};
use super::services::Services;
use crate::event::Verdict;
use crate::fingerprint::Left;
use crate::graph::Plan;
use crate::model::{FailReason, KeyPart, Notice, Reason, TaskName};
use crate::node::Cancel;
use tokio::sync::watch;

/// What would be done with a node.
#[derive(Debug)]
pub struct Inspection {
    /// The node.
    pub task: TaskName,
    /// It only groups others.
    pub group: bool,
    /// What would be done; an error where its inputs can't be read.
    pub verdict: Result<Verdict, FailReason>,
    /// Why.
    pub reasons: Vec<Reason>,
    /// Its key, where it is known by now.
    pub key: Option<crate::model::Digest>,
    /// The parts of the key.
    pub parts: Vec<KeyPart>,
    /// Things to tell.
    pub notices: Vec<Notice>,
}

/// Inspects every node, in the order of the plan.
pub fn inspect(plan: &Plan, services: &Services, with_parts: bool) -> Vec<Inspection> {
    let cancel = watch::Sender::new(Cancel::No);
    let receiver = cancel.subscribe();
    services.learn_secrets(plan.nodes.iter().flat_map(|node| node.node.secrets(&services.root, &services.outside)));
    let judge = Judge { services, run_id: "inspection", cancel: &receiver };
    // What each node leaves; none where that is not known before it has run.
    let mut left: Vec<Option<Left>> = Vec::with_capacity(plan.nodes.len());
    let mut all = Vec::with_capacity(plan.nodes.len());
    for node in &plan.nodes {
        let facts = node.node.facts();
        let mut inspection = Inspection {
            task: facts.name.clone(),
            group: !facts.acts,
            verdict: Ok(Verdict::Fresh),
            reasons: vec![],
            key: None,
            parts: vec![],
            notices: vec![],
        };
        let known: Option<Vec<(TaskName, Left)>> = node
            .data
            .iter()
            .map(|id| Some((plan.nodes[id.index()].name().clone(), left[id.index()].clone()?)))
            .collect();
        left.push(match known {
            Some(known) if !facts.acts => Some(group_left(Upstream::of(known.into_iter()))),
            Some(known) if node.node.lender().is_some() => {
                let judgement = judge.judge(node, Upstream::of(known.into_iter()), None);
                let left = judgement.lent(&facts.name);
                inspection.key = judgement.key;
                if with_parts && judgement.key.is_some() {
                    inspection.parts = judge.parts(node, &judgement).unwrap_or_default();
                }
                inspection.notices = judgement.notices;
                match judgement.decision {
                    Decision::Fail(reason) => {
                        inspection.verdict = Err(reason);
                        None
                    }
                    _ => {
                        inspection.verdict = Ok(Verdict::Serve);
                        Some(left)
                    }
                }
            }
            None if node.node.lender().is_some() => {
                inspection.verdict = Ok(Verdict::Serve);
                None
            }
            Some(known) => {
                let judgement = judge.judge(node, Upstream::of(known.into_iter()), None);
                settle(&judge, node, judgement, with_parts, &mut inspection)
            }
            None => {
                let certain = facts.always.clone().or_else(|| node.forced.then_some(Reason::Forced));
                inspection.verdict = Ok(if certain.is_some() { Verdict::Run } else { Verdict::Depends });
                inspection.reasons.extend(certain);
                None
            }
        });
        all.push(inspection);
    }
    let _ = services.finish();
    all
}

fn settle(
    judge: &Judge<'_>,
    node: &crate::graph::PlanNode,
    judgement: Judgement,
    with_parts: bool,
    inspection: &mut Inspection,
) -> Option<Left> {
    inspection.key = judgement.key;
    if with_parts && judgement.key.is_some() {
        inspection.parts = judge.parts(node, &judgement).unwrap_or_default();
    }
    inspection.reasons = judgement.reasons;
    inspection.notices = judgement.notices;
    let (verdict, left) = match judgement.decision {
        Decision::Fresh(recorded) => (Ok(Verdict::Fresh), Some(Left::Digest(recorded.left))),
        Decision::Restore(recorded, _) => (Ok(Verdict::Restore), Some(Left::Digest(recorded.left))),
        Decision::Run => (Ok(Verdict::Run), taint(node)),
        Decision::Fail(reason) => (Err(reason), None),
    };
    inspection.verdict = verdict;
    left
}

/// A task that always runs and whose effects nobody knows makes its dependents run for certain.
fn taint(node: &crate::graph::PlanNode) -> Option<Left> {
    let facts = node.node.facts();
    let unknown = facts.always.is_some()
        && facts.effects == crate::node::Effects::Unknown
        && !facts.reports_state
        && facts.reset.is_none();
    unknown.then(|| Left::Unknown(facts.name.clone()))
}
