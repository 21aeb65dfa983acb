//! Findings about entry tasks, and about what the policy asks for.

use super::Audit;
use super::codes::{ENTRY_MISSES, OUTPUTS_UNDECLARED, SOURCES_UNDECLARED, TIMEOUT_UNDECLARED};
use crate::config::{Action, CacheMode, NodeKind, Task};
use crate::graph::names::Lookup;
use crate::graph::resolve::{Graph, TaskIndex};
use crate::model::{WsPath, format_duration};
use std::collections::BTreeSet;

/// Words in a task's name that make it a check.
const CHECKS: [&str; 12] =
    ["test", "tests", "lint", "check", "checks", "gate", "fmt", "format", "typecheck", "audit", "verify", "e2e"];

pub(super) fn audit(audit: &mut Audit<'_, '_, '_>) {
    let graph = audit.graph;
    let policy = &graph.config.policy;
    let entries: Vec<String> = policy.entry.iter().map(|entry| entry.value.clone()).collect();
    let reached = reached_from_entries(graph, &entries);
    for (index, task) in graph.config.tasks.iter().enumerate() {
        let acts = !matches!(task.action, Action::Group { .. });
        // A built-in node knows itself what it reads.
        let runs = acts && !matches!(task.action, Action::Uses(_) | Action::Soak(_));
        if runs && policy.require_sources && always_runs_unasked(task) {
            let message = format!("`{}` declares no `sources`, and not `cache = false` either", task.name);
            audit.find(SOURCES_UNDECLARED, index, task.at, message, SOURCES_UNDECLARED.mend.into());
        }
        if let Some(limit) = policy.outputs_after
            && is_cacheable(task)
            && task.outputs.is_none()
            && task.state.is_none()
            && let Some(took) = audit.ground.took(&task.name).filter(|took| *took > limit)
        {
            let message = format!(
                "`{}` took {} when it last ran, and declares no `outputs` (the policy wants them from {})",
                task.name,
                format_duration(took),
                format_duration(limit)
            );
            audit.find(OUTPUTS_UNDECLARED, index, task.at, message, OUTPUTS_UNDECLARED.mend.into());
        }
        // What only runs when it is forced is no part of a gate, and bounds itself.
        if policy.entry.is_empty() || matches!(task.action, Action::Soak(_)) {
            continue;
        }
        let serves = task.service.is_some();
        if acts && !serves && task.manual.is_none() && !reached.contains(&index) && is_check(task) {
            let message = format!("no entry task (`{}`) reaches `{}`", entries.join("`, `"), task.name);
            audit.find(ENTRY_MISSES, index, task.at, message, ENTRY_MISSES.mend.into());
        }
        // A service runs as long as it is needed; its start has a bound.
        let bounded = graph.config.settings.bounded || task.timeout.is_some() || task.poll.is_some();
        if acts && !serves && reached.contains(&index) && !bounded {
            let message = format!("`{}` is reached from an entry task, and no `timeout` was chosen for it", task.name);
            audit.find(TIMEOUT_UNDECLARED, index, task.at, message, TIMEOUT_UNDECLARED.mend.into());
        }
    }
}

/// The tasks that the entry tasks reach, themselves included.
pub fn reached_from_entries(graph: &Graph<'_>, entries: &[String]) -> BTreeSet<TaskIndex> {
    let mut stack: Vec<TaskIndex> = Vec::new();
    for entry in entries {
        match graph.names.look_up(&WsPath::root(), entry) {
            Lookup::One(task) => stack.push(task),
            Lookup::Many(tasks) => stack.extend(tasks),
            Lookup::Unknown => {}
        }
    }
    let mut reached = BTreeSet::new();
    while let Some(task) = stack.pop() {
        if reached.insert(task) {
            let edges = &graph.edges[task];
            stack.extend(edges.members().map(|edge| edge.to).chain(edges.post.iter().map(|(edge, _)| edge.to)));
        }
    }
    reached
}

pub(super) fn is_cacheable(task: &Task) -> bool {
    task.sources.is_some()
        && task.cache != CacheMode::Off
        && task.writes.is_empty()
        && task.reset.is_none()
        && !task.interactive
        && !matches!(task.action, Action::Group { .. })
}

fn always_runs_unasked(task: &Task) -> bool {
    task.sources.is_none()
        && task.cache != CacheMode::Off
        && task.writes.is_empty()
        && task.reset.is_none()
        && !task.interactive
}

/// Whether a task is a test, a lint or a gate: by its node, its `gate`, or a word in its name.
pub fn is_check(task: &Task) -> bool {
    let built_in = match &task.action {
        Action::Uses(uses) => {
            uses.kind.name().starts_with("check.")
                || uses.kind == NodeKind::RuleStructural
                || matches!(uses.kind, NodeKind::DbGate | NodeKind::DbLint)
        }
        Action::Soak(_) => return task.gate.is_some(),
        _ => false,
    };
    if built_in || task.gate.is_some() {
        return true;
    }
    task.name.as_str().split([':', '/', '-', '_', '.']).any(|word| CHECKS.contains(&word))
}
