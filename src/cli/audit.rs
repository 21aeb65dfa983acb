//! `weir tasks deps check`.

use super::args::AuditArgs;
use super::error::{CliError, FAILED};
use super::ground::Here;
use super::print;
use super::project::{Place, Project};
use super::render;
use crate::check::GraphAudit;
use crate::config::{Diagnostic, Severity};
use crate::graph::Graph;
use crate::graph::audit::{Finding, audit as audit_graph, reached_from_entries};
use crate::model::counted;
use serde_json::json;
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

/// Errors of a graph all of whose edges are known.
const JUDGES: [&str; 4] =
    ["graph::overlapping-outputs", "graph::output-is-source", "graph::missing-edge", "graph::unordered-reset"];

/// `weir tasks deps check`: exit code 1 on errors, with `--strict` on warnings too.
///
/// # Errors
/// There is no configuration.
pub fn audit(place: &Place, args: &AuditArgs) -> Result<u8, CliError> {
    let project = Project::read(place, &[])?;
    let said = judge(&project, place, args, print::colour(&io::stdout()))?;
    if let Some(text) = said.text {
        print::text(&text)?;
    }
    Ok(if said.fails { FAILED } else { 0 })
}

/// The audit as `check.graph` asks for it.
pub fn as_node(project: &Project) -> Arc<GraphAudit> {
    let (folder, outside) = (project.config.root.clone(), Arc::clone(&project.outside));
    let place = Place { folder, directories: vec![], outside };
    let profiles = project.config.profiles.clone();
    Arc::new(move |strict| {
        let judged = Project::read(&place, &profiles)
            .and_then(|project| judge(&project, &place, &AuditArgs { json: false, strict }, false));
        match judged {
            Ok(said) => (said.text.unwrap_or_default(), said.fails),
            Err(error) => (error.message(), true),
        }
    })
}

/// What the audit says.
struct Said {
    /// For people; none where JSON was printed.
    text: Option<String>,
    /// There are errors; where it is strict, warnings.
    fails: bool,
}

fn judge(project: &Project, place: &Place, args: &AuditArgs, colour: bool) -> Result<Said, CliError> {
    let graph = project.graph();
    let mut findings: Vec<Finding> =
        project.remarks.iter().map(|diagnostic| Finding { task: None, diagnostic: diagnostic.clone() }).collect();
    // These judge a graph that is whole; after others, what seems wrong may just not have been read.
    let whole = |diagnostic: &Diagnostic| diagnostic.severity != Severity::Error || JUDGES.contains(&diagnostic.code);
    if project.remarks.iter().all(whole) {
        findings.extend(audit_graph(&graph, &Here::new(&project.config.root, place)));
    }
    findings.sort_by_key(|finding| finding.diagnostic.labels.first().map(|label| label.at));
    let count = |severity| findings.iter().filter(|finding| finding.diagnostic.severity == severity).count();
    let (errors, warnings, notes) = (count(Severity::Error), count(Severity::Warning), count(Severity::Note));
    let fails = errors > 0 || (args.strict && warnings > 0);
    let entries = entries(project, &graph);
    if args.json {
        let all: Vec<_> = findings.iter().map(|finding| as_json(project, &graph, finding)).collect();
        let entries: serde_json::Map<_, _> = entries.into_iter().map(|(name, tasks)| (name, json!(tasks))).collect();
        print::json(&json!({
            "findings": all, "errors": errors, "warnings": warnings, "notes": notes, "entries": entries,
        }))?;
        return Ok(Said { text: None, fails });
    }
    let diagnostics: Vec<Diagnostic> = findings.into_iter().map(|finding| finding.diagnostic).collect();
    let mut text = render::frames(&diagnostics, &project.config.files, colour);
    for (name, tasks) in entries {
        let _ = writeln!(text, "`{name}` fans out to {}: {}", counted(tasks.len(), "task"), tasks.join(", "));
    }
    let named = |count: usize, what: &str| (count > 0).then(|| counted(count, what));
    let found: Vec<String> =
        [named(errors, "error"), named(warnings, "warning"), named(notes, "note")].into_iter().flatten().collect();
    let tasks = counted(project.config.tasks.len(), "task");
    let _ = if found.is_empty() {
        writeln!(text, "{tasks}, nothing found")
    } else {
        writeln!(text, "{tasks}: {}", found.join(", "))
    };
    Ok(Said { text: Some(text), fails })
}

/// What each entry task fans out to: the tasks with a command.
fn entries(project: &Project, graph: &Graph<'_>) -> Vec<(String, Vec<String>)> {
    project
        .config
        .policy
        .entry
        .iter()
        .map(|entry| {
            let reached = reached_from_entries(graph, std::slice::from_ref(&entry.value));
            let acts = |index: &usize| !matches!(graph.task(*index).action, crate::config::Action::Group { .. });
            let names = reached.iter().filter(|index| acts(index)).map(|index| graph.task(*index).name.to_string());
            (entry.value.clone(), names.collect())
        })
        .collect()
}

fn as_json(project: &Project, graph: &Graph<'_>, finding: &Finding) -> serde_json::Value {
    let diagnostic = &finding.diagnostic;
    let first = diagnostic.labels.first();
    json!({
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "help": diagnostic.help,
        "task": finding.task.map(|index| graph.task(index).name.as_str()),
        "at": first.map(|label| project.at(label.at)),
        "span": first.map(|label| json!({ "start": label.at.start, "end": label.at.end })),
    })
}
