//! What would be done with the nodes of a plan, and why, without doing it.

use super::driver::{group_left, group_trace};
use super::judge::{Decision, Judge, Judgement, Upstream};
use super::resumed::{Resumed, trace};
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

/// Inspects every node, in the order of the plan, for a run that goes on from `resumed`.
pub fn inspect(plan: &Plan, services: &Services, with_parts: bool, resumed: Option<&Resumed>) -> Vec<Inspection> {
    let cancel = watch::Sender::new(Cancel::No);
    let receiver = cancel.subscribe();
    services.learn_secrets(plan.nodes.iter().flat_map(|node| node.node.secrets(&services.root, &services.outside)));
    // What each node leaves; none where that is not known before it has run.
    let mut left: Vec<Option<(Left, crate::model::Digest)>> = Vec::with_capacity(plan.nodes.len());
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
        let known: Option<Vec<_>> = node
            .data
            .iter()
            .map(|id| {
                let (left, trace) = left[id.index()].clone()?;
                Some((plan.nodes[id.index()].name().clone(), left, trace))
            })
            .collect();
        // Where something it comes after would run once more, it does too.
        let again = node.follows().map(|of| would_run(plan, &all, resumed, of)).max().unwrap_or(Again::No);
        let earlier = resumed.and_then(|resumed| resumed.earlier(node)).filter(|_| again != Again::Yes);
        let known = known.filter(|_| again != Again::Perhaps || earlier.is_none());
        let judge = Judge { services, run_id: "inspection", cancel: &receiver, earlier };
        left.push(match known {
            Some(known) if !facts.acts => {
                let upstream = Upstream::of(known.into_iter());
                let trace = group_trace(&upstream);
                Some((group_left(upstream), trace))
            }
            Some(known) if node.node.lender().is_some() => {
                let judgement = judge.judge(node, Upstream::of(known.into_iter()), None);
                let left = judgement.lent(&facts.name);
                inspection.key = judgement.key;
                if with_parts && judgement.key.is_some() {
                    inspection.parts = judge.parts(node, &judgement).unwrap_or_default();
                }
                inspection.notices.clone_from(&judgement.notices);
                match &judgement.decision {
                    Decision::Fail(reason) => {
                        inspection.verdict = Err(reason.clone());
                        None
                    }
                    _ => {
                        inspection.verdict = Ok(Verdict::Serve);
                        let known = judge.key_in_chain(node, &judgement);
                        let trace = known.unwrap_or_else(|_| trace(&left, "inspection", &facts.name));
                        Some((left, trace))
                    }
                }
            }
            None if node.node.lender().is_some() => {
                inspection.verdict = Ok(Verdict::Serve);
                None
            }
            Some(known) => {
                let judgement = judge.judge(node, Upstream::of(known.into_iter()), None);
                let run = earlier.map_or("inspection", |earlier| earlier.past.run.as_str());
                let left = settle(&judge, node, judgement, with_parts, &mut inspection);
                left.map(|left| {
                    let run = if inspection.verdict == Ok(Verdict::Done) { run } else { "inspection" };
                    let trace = trace(&left, run, &facts.name);
                    (left, trace)
                })
            }
            None => {
                let forced = node.forced.then_some(Reason::Forced);
                // What succeeded before may still count, depending on what comes before it.
                let certain = facts.always.clone().or(forced).filter(|_| earlier.is_none());
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

/// Whether something happens once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Again {
    No,
    /// That depends on what is not known before the run.
    Perhaps,
    Yes,
}

/// Whether a node inspected already would run; of a group, a member of it.
fn would_run(plan: &Plan, all: &[Inspection], resumed: Option<&Resumed>, id: crate::model::NodeId) -> Again {
    let (seen, node) = (&all[id.index()], &plan.nodes[id.index()]);
    if seen.group {
        let members = node.data.iter().map(|member| would_run(plan, all, resumed, *member));
        return members.max().unwrap_or(Again::No);
    }
    match seen.verdict {
        // What it finds when it looks is what counts.
        Ok(Verdict::Run) if resumed.is_some_and(|resumed| resumed.looked(node).is_some()) => Again::Perhaps,
        Ok(Verdict::Run) => Again::Yes,
        Ok(Verdict::Depends) => Again::Perhaps,
        _ => Again::No,
    }
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
        Decision::Done(past) => {
            let by = judgement.upstream.tainted_by.unwrap_or_else(|| past.task.clone());
            (Ok(Verdict::Done), Some(past.left.map_or(Left::Unknown(by), Left::Digest)))
        }
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
