//! `weir rule`.

use super::args::{RuleAsk, RuleCommand};
use super::error::{CliError, FAILED};
use super::print;
use super::project::Place;
pub use crate::check::structural::was_taken_out;
use crate::check::structural::{Ask, Unjudged, What, detect, prepare};
use crate::config::{Action, NodeKind};
use crate::graph::Plan;
use crate::rule::{Manifest, quick as quick_page, quick_path};
use std::path::Path;

/// `weir rule detect`, `prepare` and `quick`.
///
/// # Errors
/// There is no workspace, or it can't be seen what changed.
pub fn rule(place: &Place, command: RuleCommand) -> Result<u8, CliError> {
    let root = place.find()?.root;
    match command {
        RuleCommand::Detect { ask, diff, json } => {
            let diff = diff.map(|file| place.folder.join(file));
            let verdict = detect(&root, &asked(ask, diff)).map_err(unjudged)?;
            if json {
                print::json(&verdict)?;
            } else {
                print::text(&verdict.text())?;
            }
            Ok(if verdict.passes { 0 } else { FAILED })
        }
        RuleCommand::Prepare { ask, out } => {
            let out = out.map_or_else(|| weir_folder(&root), |out| Ok(place.folder.join(out)))?;
            let verdict = prepare(&root, &asked(ask, None), &out).map_err(unjudged)?;
            print::text(&format!(
                "{}\nwritten: {} and {}\n",
                verdict.summary(),
                out.join("pr.diff").display(),
                out.join("detect.json").display()
            ))
        }
        RuleCommand::Quick { check } => quick(&root, check),
    }
}

fn asked(ask: RuleAsk, diff: Option<std::path::PathBuf>) -> Ask {
    let what = match diff {
        Some(file) => What::Diff(file),
        None if ask.staged => What::Staged,
        None => What::Work,
    };
    Ask { base: ask.base, what, ..Ask::default() }
}

/// `.weir/rule`, in a `.weir` that ignores itself.
fn weir_folder(root: &Path) -> Result<std::path::PathBuf, CliError> {
    crate::cache::Place::open(root)
        .map(|_| root.join(".weir/rule"))
        .map_err(|error| CliError::outside(format!("failed to write to `.weir`: {error}")))
}

/// Nothing passes that can't be judged.
fn unjudged(why: Unjudged) -> CliError {
    CliError::Outside { message: format!("the change can't be judged: {}", why.message), help: Some(why.help) }
}

/// The page that is generated from the manifest: written, or compared.
fn quick(root: &Path, check: bool) -> Result<u8, CliError> {
    let loaded = crate::config::load(&root.join("tasks.toml"), &[], &crate::config::Looked::default());
    let manifest = loaded.config.structural.manifest.to_string();
    let text = std::fs::read_to_string(root.join(&manifest)).map_err(|error| CliError::Outside {
        message: format!("failed to read `{manifest}`: {error}"),
        help: Some("`[structural] manifest` names the invariants manifest".into()),
    })?;
    let read = Manifest::parse(&text).map_err(|wrong| {
        let lines: Vec<String> = wrong.iter().map(|(line, why)| format!("{manifest}:{line}: {why}")).collect();
        CliError::usage(lines.join("\n"), "see docs/structural-rule.md for what a manifest says")
    })?;
    let page = quick_page(&read);
    let path = quick_path(&manifest);
    if std::fs::read_to_string(root.join(&path)).is_ok_and(|found| found == page) {
        return print::text(&format!("`{path}` is up to date\n"));
    }
    if check {
        print::error_line(&format!("`{path}` is not what the manifest says"));
        print::help_line("`weir rule quick` writes it anew");
        return Ok(FAILED);
    }
    crate::journal::replace(&root.join(&path), page.as_bytes())
        .map_err(|error| CliError::outside(format!("failed to write `{path}`: {error}")))?;
    print::text(&format!("wrote `{path}`\n"))
}

/// Where the base's version of a target reached the rule and this one does not, the rule is asked all the same: a
/// change can't switch off what judges it. `entry`: what [`was_taken_out`] found. The exit code, where it says no.
pub fn asked_all_the_same(root: &Path, entry: &str) -> Option<u8> {
    print::warning_line(&format!(
        "where this change began, `{entry}` reached `{}`, and now it does not: it is asked all the same",
        NodeKind::RuleStructural.name()
    ));
    let refused = match detect(root, &Ask::default()) {
        Ok(verdict) => {
            let _ = print::text(&verdict.text());
            !verdict.passes
        }
        Err(why) => {
            unjudged(why).show();
            true
        }
    };
    refused.then(|| {
        print::error_line("the structural-change rule says no; nothing was run");
        print::help_line("put the rule back, or see the ways out above");
        FAILED
    })
}

/// Whether the rule is among the nodes of a plan.
pub fn is_in(plan: &Plan, config: &crate::config::Config) -> bool {
    let is_rule = |action: &Action| matches!(action, Action::Uses(uses) if uses.kind == NodeKind::RuleStructural);
    plan.nodes.iter().any(|node| config.tasks.get(node.task).is_some_and(|task| is_rule(&task.action)))
}
