//! All of it: findings, what excuses them, and what is refused.

use super::change::{Content, FileChange};
use super::exception::{self, Exceptions};
use super::facts::Case;
use super::finding::{Change, Finding, Kind, Violation};
use super::manifest::{self, Manifest};
use super::quick::{quick, quick_path};
use super::verdict::Verdict;
use super::{checks, ci, graph, schema_change};
use crate::model::WsPath;
use std::collections::BTreeSet;

/// Judges a change.
pub fn judge(case: &Case) -> Verdict {
    let read = manifest::read(case);
    let exceptions = exception::read(case);
    let mut findings = schema_change::findings(&case.files);
    let (edited, mut violations) = migrations(case);
    findings.extend(edited);
    findings.extend(graph::findings(case));
    findings.extend(ci::findings(case));
    findings.extend(checks::findings(case));
    findings.extend(paths(case));
    findings.extend(manifest::findings(case, &read));
    findings.sort_by(|a, b| (&a.file, a.line, a.kind, &a.object).cmp(&(&b.file, b.line, b.kind, &b.object)));
    let updated = read.after.as_ref().map(|after| after.updated(read.before.as_ref())).unwrap_or_default();
    let quick_drift = quick_drift(case, read.after.as_ref());
    // A page that says something else than the manifest does not count as an update.
    let updated = if quick_drift.is_some() { BTreeSet::new() } else { updated };
    for finding in &mut findings {
        excuse(finding, case, read.after.as_ref(), &updated, &exceptions);
    }
    violations.extend(manifest::violations(case, &read, &exceptions));
    violations.extend(read.violations);
    violations.extend(exceptions.violations);
    violations.extend(quick_drift);
    violations.extend(findings.iter().filter(|finding| is_unexcused(finding)).map(unexcused));
    violations.sort();
    violations.dedup();
    Verdict::new(case, findings, violations)
}

/// Migrations that databases may have applied are not touched.
fn migrations(case: &Case) -> (Vec<Finding>, Vec<Violation>) {
    let folders: BTreeSet<&String> =
        case.before.settings.migrations.iter().chain(&case.after.settings.migrations).collect();
    let (mut findings, mut violations) = (Vec::new(), Vec::new());
    for file in case.files.iter().filter(|file| file.is_sql() && folders.iter().any(|folder| file.is_in(folder))) {
        // What is on the base branch by now counts too: two may have taken the same number.
        let fixed = if file.before.exists() { &file.before } else { &file.on_base };
        if !fixed.exists() || *fixed == file.after {
            continue;
        }
        let (change, what) = match (&file.after, renamed_to(case, file, fixed)) {
            (Content::Absent, Some(other)) => (Change::Removed, format!("was renamed to `{other}`")),
            (Content::Absent, None) => (Change::Removed, "was deleted".to_owned()),
            _ => (Change::Changed, "was edited".to_owned()),
        };
        let message = format!("the migration `{}` is on the base branch, and {what}", file.path);
        findings.push(Finding::new(Kind::Migration, &file.path, change, (&file.path, 1), message.clone()));
        let help = "put it back, and write a new migration; no paperwork makes this right";
        violations.push(Violation::new("migration-edited", (&file.path, 1), message, help));
    }
    (findings, violations)
}

fn renamed_to<'a>(case: &'a Case, file: &FileChange, fixed: &Content) -> Option<&'a str> {
    let moved = |other: &&FileChange| other.path != file.path && !other.before.exists() && other.after == *fixed;
    case.files.iter().find(moved).map(|other| other.path.as_str())
}

/// Paths that are declared structural, and those that can't be seen.
fn paths(case: &Case) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in &case.files {
        let change = match (file.before.exists(), file.after.exists()) {
            (false, _) => Change::Added,
            (_, false) => Change::Removed,
            _ => Change::Changed,
        };
        let path = WsPath::from_clean(file.path.as_str());
        let declared = [&case.before.settings.paths, &case.after.settings.paths].into_iter().any(|patterns| {
            let covering = |negated: bool| patterns.iter().any(|p| p.negated == negated && p.covers(&path));
            covering(false) && !covering(true)
        });
        if declared {
            let message = format!("`{}` is a structural path", file.path);
            found.push(Finding::new(Kind::Path, &file.path, change, (&file.path, 1), message));
        } else if let Some(why) = [&file.after, &file.before].into_iter().find_map(unseen).filter(|_| !file.is_sql()) {
            let message = format!("`{}` can't be seen: {why}", file.path);
            found.push(Finding::new(Kind::Unreadable, &file.path, change, (&file.path, 1), message));
        }
    }
    found
}

fn unseen(content: &Content) -> Option<&String> {
    match content {
        Content::Unseen(why) => Some(why),
        _ => None,
    }
}

/// What makes a finding right: an update of an invariant that covers it, or an exception made with it.
fn excuse(
    finding: &mut Finding,
    case: &Case,
    manifest: Option<&Manifest>,
    updated: &BTreeSet<String>,
    exceptions: &Exceptions,
) {
    let all = manifest.into_iter().flat_map(|manifest| &manifest.invariants);
    let covering = all.filter(|invariant| invariant.covers(finding)).map(|invariant| invariant.id.clone());
    finding.invariants = covering.collect();
    if finding.kind == Kind::Invariant {
        finding.invariants.push(finding.object.clone());
        finding.invariants.sort();
        finding.invariants.dedup();
    }
    if finding.kind == Kind::Migration {
        return;
    }
    let by_manifest = finding.invariants.iter().find(|id| updated.contains(*id));
    // An invariant that is given up is named by the very entry: the list of retired ids, or its status.
    let given_up = (finding.kind == Kind::Invariant && manifest.is_some()).then(|| finding.object.clone());
    let by_exception = exceptions.valid().iter().find(|(path, id)| {
        let new = case.files.iter().any(|file| file.path == *path);
        new && (finding.invariants.is_empty() || finding.invariants.contains(id))
    });
    finding.excused_by = by_manifest.cloned().or(given_up).or_else(|| by_exception.map(|(path, _)| path.clone()));
}

fn is_unexcused(finding: &Finding) -> bool {
    finding.excused_by.is_none() && finding.kind != Kind::Migration
}

fn unexcused(finding: &Finding) -> Violation {
    let help = match &finding.invariants[..] {
        [] => "no invariant covers it: add one to the manifest, or an exception".to_owned(),
        ids => format!("bring {} up to date in the manifest, or add an exception", ids.join(" or ")),
    };
    Violation::new("unexcused", (&finding.file, finding.line), finding.message.clone(), help)
}

/// The generated page must say what the manifest says.
fn quick_drift(case: &Case, manifest: Option<&Manifest>) -> Option<Violation> {
    let expected = quick(manifest?);
    let found = case.after.quick.as_deref().unwrap_or_default();
    if found == expected {
        return None;
    }
    let path = quick_path(&case.after.settings.manifest);
    let line = found.lines().zip(expected.lines()).take_while(|(a, b)| a == b).count() + 1;
    let message = format!("`{path}` is not what the manifest says");
    Some(Violation::new("quick-drift", (&path, line), message, "`weir rule quick` writes it anew"))
}
