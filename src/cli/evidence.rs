//! `weir evidence`, and the evidence that `weir run` leaves.

use super::args::{EvidenceCommand, RunArgs};
use super::error::{CliError, FAILED};
use super::explain::recorded;
use super::print;
use super::project::{Place, Project};
use super::runs::find_run;
use crate::cache::Place as WeirFolder;
use crate::event::Sink;
use crate::evidence::{Key, Recorder, Tree, Verified, pack, verify};
use crate::git::Repository;
use crate::graph::Plan;
use crate::model::counted;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// `weir evidence`.
///
/// # Errors
/// There is no evidence, or a file can't be read or written.
pub fn evidence(place: &Place, command: EvidenceCommand) -> Result<u8, CliError> {
    match command {
        EvidenceCommand::Bundle { run, output } => bundle(place, run.as_deref(), output.as_deref()),
        EvidenceCommand::Verify { file, key, json } => verified(place, file.as_deref(), key.as_deref(), json),
    }
}

/// The newest run whose folder holds `name`.
fn newest_with(folder: &WeirFolder, name: &str) -> Option<String> {
    folder.run_ids().into_iter().find(|id| folder.runs().join(id).join(name).exists())
}

fn bundle(place: &Place, run: Option<&str>, output: Option<&Path>) -> Result<u8, CliError> {
    let folder = recorded(place)?;
    let run = match run {
        Some(_) => find_run(&folder, run)?,
        None => newest_with(&folder, "evidence").ok_or_else(|| {
            CliError::usage(
                "no recorded run left evidence",
                "run a task with `gate = { id = \"…\" }`; its outcome is the evidence",
            )
        })?,
    };
    let run_dir = folder.runs().join(&run);
    if !run_dir.join("evidence").is_dir() {
        return Err(CliError::usage(format!("run `{run}` left no evidence"), "none of its tasks is a gate"));
    }
    let project = Project::open(place, &[])?;
    let gates: Vec<String> =
        project.config.tasks.iter().filter_map(|task| Some(task.gate.as_ref()?.value.id.clone())).collect();
    let packed = pack(&run_dir.join("evidence"), &run, &gates)
        .map_err(|error| CliError::outside(format!("failed to pack the evidence of run `{run}`: {error}")))?;
    let to = output.map_or_else(|| run_dir.join("evidence.tar"), |output| place.folder.join(output));
    crate::journal::replace(&to, &packed.bytes)
        .map_err(|error| CliError::outside(format!("failed to write `{}`: {error}", to.display())))?;
    let mut text = format!("{} of run {run} in {}\n", counted(packed.records, "record"), to.display());
    for gate in &packed.missing {
        let _ = writeln!(text, "missing: `{gate}` is declared, and was not in this run");
    }
    print::text(&text)
}

fn verified(place: &Place, file: Option<&Path>, key: Option<&Path>, json: bool) -> Result<u8, CliError> {
    let path = match file {
        Some(file) => place.folder.join(file),
        None => {
            let folder = recorded(place)?;
            let run = newest_with(&folder, "evidence.tar").ok_or_else(|| {
                CliError::usage("no recorded run has a bundle", "`weir evidence bundle` packs one; or name a file")
            })?;
            folder.runs().join(run).join("evidence.tar")
        }
    };
    let key = key.map(|path| read_key(&place.folder.join(path))).transpose()?;
    let bytes = std::fs::read(&path)
        .map_err(|error| CliError::outside(format!("failed to read `{}`: {error}", path.display())))?;
    match verify(&bytes, key.as_ref()) {
        Ok(found) => {
            let good = found.missing.is_empty() && found.not_passed.is_empty();
            if json {
                print::json(&found)?;
            } else {
                print::text(&said(&found))?;
            }
            Ok(if good { 0 } else { FAILED })
        }
        Err(why) if json => {
            print::json(&serde_json::json!({ "error": why }))?;
            Ok(FAILED)
        }
        Err(why) => Err(CliError::Outside {
            message: format!("`{}` is not to be relied on: {why}", path.display()),
            help: Some("get the bundle again from where it was packed".into()),
        }),
    }
}

fn said(found: &Verified) -> String {
    let mut text = String::new();
    for record in &found.records {
        let status = format!("{:?}", record.status).to_lowercase();
        let replayed = record.replayed_from.as_ref().map_or(String::new(), |run| format!(" (replayed, of run {run})"));
        let why = record.message.as_ref().map_or(String::new(), |why| format!(": {why}"));
        let _ = writeln!(text, "{status:<8} {}{replayed}{why}", record.check_id);
    }
    for gate in &found.missing {
        let _ = writeln!(text, "missing  {gate}");
    }
    let signed = match found.signed {
        Some(_) => ", all signed with the key given",
        None => "",
    };
    let _ = writeln!(
        text,
        "run {}: {}, unchanged{signed}; {} missing, {} not passed",
        found.run,
        counted(found.records.len(), "record"),
        found.missing.len(),
        found.not_passed.len()
    );
    text
}

fn read_key(path: &Path) -> Result<Key, CliError> {
    Key::read(path).map_err(|error| {
        CliError::usage(
            format!("`{}` is no key to sign or verify with: {error}", path.display()),
            "`openssl genpkey -algorithm ed25519` makes one",
        )
    })
}

/// What writes the evidence of a run; none where no task of it is a gate.
///
/// # Errors
/// There is a key, and it is no good, or only public.
pub fn recorder(
    place: &Place,
    args: &RunArgs,
    root: &Path,
    plan: &Plan,
    run_dir: &Path,
) -> Result<Option<Box<dyn Sink>>, CliError> {
    if plan.nodes.iter().all(|node| node.node.facts().gate.is_none()) {
        return Ok(None);
    }
    let named = place.outside.vars.get("WEIR_EVIDENCE_KEY").filter(|path| !path.is_empty()).map(PathBuf::from);
    let key = match args.evidence_key.clone().or(named) {
        None => None,
        Some(path) => match read_key(&place.folder.join(&path))? {
            Key::Public(_) => {
                return Err(CliError::usage(
                    format!("`{}` is a public key, and can't sign", path.display()),
                    "name the private key",
                ));
            }
            private => Some(private),
        },
    };
    let root = root.to_path_buf();
    let tree = move || Repository::open(&root).map_or_else(|_| Tree::default(), |repository| state_of(&repository));
    Ok(Some(Box::new(Recorder::new(run_dir, key, tree, print::error_line))))
}

fn state_of(repository: &Repository) -> Tree {
    let Ok(sha) = repository.commit("HEAD") else { return Tree::default() };
    let dirty = repository.changes("HEAD", false).ok().map(|changes| !changes.is_empty());
    Tree { sha: Some(sha), dirty }
}
