//! `weir explain`.

use super::args::ExplainArgs;
use super::error::CliError;
use super::print;
use super::project::{Place, Project};
use super::runs::{Keys, find_run, keys_of};
use crate::cache::{Last, Place as WeirFolder};
use crate::engine::{Inspection, Services, inspect};
use crate::event::Verdict;
use crate::fingerprint::compare;
use crate::graph::{Selection, Target};
use crate::model::{KeyPart, PartKind, Reason};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

/// At most a screenful of changes.
const LINES: usize = 20;

#[derive(Serialize)]
struct Explained<'a> {
    task: &'a str,
    verdict: &'a str,
    reasons: &'a [Reason],
    key: Option<String>,
    error: Option<String>,
    parts: &'a [KeyPart],
}

/// `weir explain TASK`.
///
/// # Errors
/// There is no such task, or the workspace can't be read.
pub fn explain(place: &Place, args: &ExplainArgs) -> Result<u8, CliError> {
    let project = Project::open(place, &args.profile)?;
    let graph = project.graph();
    let selection = Selection {
        targets: vec![Target { name: args.task.clone() }],
        folder: project.folder(),
        ..Selection::default()
    };
    let plan = project.plan(&graph, &selection, &[])?;
    let (services, warnings) = Services::look(
        &project.config.root,
        Arc::clone(&place.outside),
        place.shared_cache().as_deref(),
        Place::holder(),
    )
    .map_err(|error| CliError::outside(error.to_string()))?;
    for warning in warnings {
        print::warning_line(&warning.message);
    }
    let all = inspect(&plan, &services, true, None);
    let targets: Vec<usize> =
        plan.nodes.iter().enumerate().filter(|(_, node)| node.target).map(|(index, _)| index).collect();
    // Of a group, its members are what there is to explain.
    let mut shown: Vec<usize> = Vec::new();
    let mut stack = targets;
    while let Some(index) = stack.pop() {
        if all[index].group {
            stack.extend(plan.nodes[index].data.iter().chain(&plan.nodes[index].order).map(|id| id.index()));
        } else if !shown.contains(&index) {
            shown.push(index);
        }
    }
    shown.sort_unstable();
    if let Some(run) = &args.against {
        let folder = recorded(place)?;
        let id = find_run(&folder, Some(run))?;
        let keys = keys_of(place, &folder, &id)?;
        let lines: Vec<String> = shown.iter().map(|index| against(&all[*index], &id, &keys)).collect();
        return print::text(&lines.concat());
    }
    if args.json {
        let explained: Vec<Explained<'_>> = shown.iter().map(|index| as_json(&all[*index])).collect();
        return print::json(&explained);
    }
    let mut text = String::new();
    for (count, index) in shown.iter().enumerate() {
        if count > 0 {
            text.push('\n');
        }
        describe(&mut text, &all[*index], &all, &plan, *index, &services);
    }
    print::text(&text)
}

/// What differs between a task's key now and in a recorded run.
fn against(inspection: &Inspection, run: &str, keys: &Keys) -> String {
    let name = &inspection.task;
    let mut text = String::new();
    let _ = match (keys.get(name.as_str()), inspection.key) {
        (None, _) => writeln!(text, "`{name}` has no key in run {run}"),
        (Some(_), None) => writeln!(text, "the key of `{name}` depends on what tasks before it leave behind"),
        (Some((then, _)), Some(now)) if *then == now => writeln!(text, "`{name}` has the same key as in run {run}"),
        (Some((_, None)), Some(_)) => {
            writeln!(
                text,
                "`{name}` has another key than in run {run}, and what that was made of is no longer on record"
            )
        }
        (Some((_, Some(then))), Some(_)) => {
            let lines = compare(then, &inspection.parts);
            writeln!(text, "`{name}` differs from run {run}:\n  {}", lines.join("\n  "))
        }
    };
    text
}

fn word(inspection: &Inspection) -> &'static str {
    match &inspection.verdict {
        Ok(Verdict::Fresh) => "fresh",
        Ok(Verdict::Restore) => "restore",
        Ok(Verdict::Done) => "done",
        Ok(Verdict::Run) => "run",
        Ok(Verdict::Depends) => "depends",
        Ok(Verdict::Serve) => "serve",
        Err(_) => "fail",
    }
}

fn as_json(inspection: &Inspection) -> Explained<'_> {
    Explained {
        task: inspection.task.as_str(),
        verdict: word(inspection),
        reasons: &inspection.reasons,
        key: inspection.key.map(|key| key.to_hex()),
        error: inspection.verdict.as_ref().err().map(crate::model::FailReason::describe),
        parts: &inspection.parts,
    }
}

fn describe(
    text: &mut String,
    inspection: &Inspection,
    all: &[Inspection],
    plan: &crate::graph::Plan,
    index: usize,
    services: &Services,
) {
    let name = &inspection.task;
    let _ = match &inspection.verdict {
        Ok(Verdict::Fresh) => writeln!(text, "`{name}` is fresh"),
        Ok(Verdict::Done) => writeln!(text, "`{name}` was done before"),
        Ok(Verdict::Restore) => writeln!(text, "`{name}` would be restored, because"),
        Ok(Verdict::Run) => writeln!(text, "`{name}` would run, because"),
        Ok(Verdict::Depends) => writeln!(text, "`{name}` depends on what tasks before it leave behind:"),
        Ok(Verdict::Serve) => {
            writeln!(text, "`{name}` is a service: it starts for the first task depending on it that runs")
        }
        Err(reason) => writeln!(text, "`{name}` would fail: {}", reason.describe()),
    };
    if matches!(inspection.verdict, Ok(Verdict::Depends)) {
        let mut told = Vec::new();
        unsettled(plan, all, index, &mut BTreeSet::new(), &mut told);
        for before in told.into_iter().take(LINES) {
            let why: Vec<String> = all[before].reasons.iter().map(Reason::describe).collect();
            let _ = writeln!(text, "  `{}` would run: {}", all[before].task, why.join("; "));
        }
    }
    let lines: Vec<String> = inspection
        .reasons
        .iter()
        .flat_map(|reason| match reason {
            Reason::Changed { what } | Reason::Outputs { what } => what.clone(),
            other => vec![other.describe()],
        })
        .collect();
    for line in lines.iter().take(LINES) {
        let _ = writeln!(text, "  {line}");
    }
    if lines.len() > LINES {
        let _ = writeln!(text, "  and {} more (`--json` shows every part)", lines.len() - LINES);
    }
    if let Some(key) = inspection.key {
        let recorded = match services.lock_state().last(plan.nodes[index].node.facts().kept_as.as_str()) {
            Some(Last::Good(recorded)) if recorded.key == key => "the one recorded last".to_owned(),
            Some(Last::Good(recorded)) => format!("recorded last: {}", recorded.key.short()),
            Some(Last::Dirty { .. }) => "its last run did not succeed".to_owned(),
            None => "none is recorded".to_owned(),
        };
        let _ = writeln!(text, "key {} ({recorded}): {}", key.short(), counts(&inspection.parts));
    }
}

/// The nodes whose runs keep `index` from being judged, nearest first.
fn unsettled(
    plan: &crate::graph::Plan,
    all: &[Inspection],
    index: usize,
    seen: &mut BTreeSet<usize>,
    told: &mut Vec<usize>,
) {
    for before in &plan.nodes[index].data {
        let before = before.index();
        if !seen.insert(before) {
            continue;
        }
        match all[before].verdict {
            Ok(Verdict::Run) if !all[before].group => told.push(before),
            Ok(Verdict::Depends) => unsettled(plan, all, before, seen, told),
            _ if all[before].group => unsettled(plan, all, before, seen, told),
            _ => {}
        }
    }
}

fn counts(parts: &[KeyPart]) -> String {
    let of = |kind: PartKind| parts.iter().filter(|part| part.kind == kind).count();
    let named = |count: usize, one: &str, many: &str| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        n => Some(format!("{n} {many}")),
    };
    [
        named(of(PartKind::Source), "source", "sources"),
        named(of(PartKind::Env), "variable", "variables"),
        named(of(PartKind::Program), "program", "programs"),
        named(of(PartKind::Probe), "probe", "probes"),
        named(of(PartKind::Live), "live state", "live states"),
        named(of(PartKind::Dependency), "dependency", "dependencies"),
        named(of(PartKind::Incarnation), "reset", "resets"),
        Some("the definition".to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join(", ")
}

/// The runs recorded in a workspace, if there is one.
///
/// # Errors
/// None is recorded.
pub fn recorded(place: &Place) -> Result<WeirFolder, CliError> {
    let found = place.find()?;
    WeirFolder::existing(&found.root)
        .ok_or_else(|| CliError::usage("nothing is recorded in this workspace yet", "`weir run TASK` records"))
}
