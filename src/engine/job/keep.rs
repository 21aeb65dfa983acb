//! What a job keeps of a success, once nothing that it read has changed meanwhile.

use super::{Job, JobReport, combine, log_name, space_help};
use crate::cache::{EntryKind, Manifest, Past, Recorded, StoredResult, capture};
use crate::engine::judge::{Judgement, input_failure};
use crate::fingerprint::{Left, Stat};
use crate::graph::PlanNode;
use crate::model::{Digest, FailReason, KeyPart, WsPath};
use crate::node::Effects;
use std::io;

impl Job<'_> {
    /// What it is known by to a run that resumes this one; none where nobody can tell.
    pub(super) fn key_in_chain(&self, judgement: &Judgement) -> Option<Digest> {
        self.journal?;
        let judges = self.judges();
        if judgement.key.is_some() {
            return judges.key_in_chain(self.node, judgement).ok();
        }
        let inputs = judges.inputs(self.node, &judgement.upstream).ok()?;
        judges.key_in_chain(self.node, &inputs).ok()
    }

    /// Leaves word that it succeeded, if what it read is still what it was.
    pub(super) fn journal(&self, judgement: &Judgement, key: Digest, report: &JobReport) {
        let Some(journal) = self.journal.filter(|_| report.held_still) else { return };
        let judges = self.judges();
        let recorded = !report.parts.is_empty();
        let parts = match judgement.key {
            Some(_) if recorded => vec![],
            Some(_) => judges.parts_in_chain(self.node, judgement),
            None => {
                let Ok(inputs) = judges.inputs(self.node, &judgement.upstream) else { return };
                if judges.key_in_chain(self.node, &inputs) != Ok(key) {
                    return;
                }
                judges.parts_in_chain(self.node, &inputs)
            }
        };
        let past = Past {
            task: self.node.name().clone(),
            run: self.run_id.to_owned(),
            key,
            left: match &report.left {
                Some(Left::Digest(digest)) => Some(*digest),
                Some(Left::Unknown(_)) | None => None,
            },
            outputs: report.outputs,
            written: judges.written(self.node),
            state: report.state,
            took_ms: u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX),
            parts,
        };
        if let Err(error) = journal.succeeded(past) {
            let message = format!("failed to write to the run's journal: {error}; a resumed run runs it again");
            self.warn("not-journalled", message, space_help(&error));
        }
    }

    /// Copies what is to be kept with the run, whatever the outcome.
    pub(super) fn keep_artifacts(&self) {
        let facts = self.node.node.facts();
        if facts.artifacts.is_empty() {
            return;
        }
        let folder = self
            .run_dir
            .join("artifacts")
            .join(log_name(self.node).trim_start_matches("logs/").trim_end_matches(".log"));
        let found = match self.services.surveyor.outputs(&facts.artifacts) {
            Ok((found, missing)) => {
                if !missing.is_empty() {
                    let message = format!("artifacts that are not there: `{}`", missing.join("`, `"));
                    self.warn("no-artifact", message, None);
                }
                found
            }
            Err(error) => return self.warn("no-artifact", error.to_string(), Some(error.help())),
        };
        for found in found {
            let (from, to) = (found.path.under(&self.services.root), found.path.under(&folder));
            if !from.is_file() {
                continue;
            }
            let copied = to.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::copy(&from, &to));
            if let Err(error) = copied {
                self.warn("no-artifact", format!("failed to keep `{}`: {error}", found.path), space_help(&error));
            }
        }
    }

    pub(super) fn outputs(&self) -> Result<Manifest, FailReason> {
        let patterns = self.node.node.facts().effects.patterns();
        if patterns.is_empty() {
            return Ok(Manifest::default());
        }
        let (manifest, missing) = capture(&self.services.surveyor, patterns).map_err(|error| input_failure(&error))?;
        if missing.is_empty() { Ok(manifest) } else { Err(FailReason::MissingOutputs { patterns: missing }) }
    }

    /// How the outputs it relies on look: to be compared with how they look after the run.
    pub(super) fn look_at_relied_on(&self) -> Vec<Vec<(WsPath, Stat)>> {
        if self.node.node.facts().always.is_some() {
            return vec![];
        }
        let look = |(before, _): &(&PlanNode, Digest)| {
            let found = self.services.surveyor.outputs(before.node.facts().effects.patterns());
            let (found, _) = found.unwrap_or_default();
            // A link made to a file, or its mode set back, is no writing.
            let written = |stat: Stat| Stat { ctime: 0, ..stat };
            found.into_iter().map(|found| (found.path, written(found.stat))).collect()
        };
        self.relied_on.iter().map(look).collect()
    }

    /// Whether the inputs are what they were when they were read; if not, says which are not.
    pub(super) fn inputs_held_still(&self, judgement: &Judgement, relied_on: &[Vec<(WsPath, Stat)>]) -> bool {
        let mut what = self.judges().changes_since(self.node, judgement);
        let after = self.look_at_relied_on();
        for (index, ((before, left), looked)) in self.relied_on.iter().zip(relied_on).enumerate() {
            let now = capture(&self.services.surveyor, before.node.facts().effects.patterns());
            let same = now.is_ok_and(|(manifest, _)| manifest.digest() == *left);
            if !same || after.get(index) != Some(looked) {
                what.push(format!("what `{}` left was written again", before.name()));
            }
        }
        for lender in self.plan.borrowed(self.node) {
            let Some(judgement) = self.lending.judgement(lender) else { continue };
            let service = &self.plan.nodes[lender.index()];
            let changed = self.judges().changes_since(service, judgement);
            what.extend(changed.into_iter().map(|line| format!("of its service `{}`: {line}", service.name())));
        }
        if what.is_empty() {
            return true;
        }
        let shown = what.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        let more = if what.len() > 5 { format!(" and {} more", what.len() - 5) } else { String::new() };
        self.warn(
            "inputs-changed",
            format!("{shown}{more} while it ran; its result is not recorded"),
            Some("run it again; if it changes its own sources, leave them out or declare them as `writes`".into()),
        );
        false
    }

    /// What the node leaves for its dependents' keys.
    pub(super) fn left(&self, judgement: &Judgement, outputs: &Manifest, state: Option<Digest>) -> Left {
        let facts = self.node.node.facts();
        if let Some(reset) = &facts.reset {
            // Another one each time: that stands for whatever else it declares to leave.
            let incarnation = self.services.lock_state().incarnation(reset.as_str());
            return Left::Digest(Digest::of(incarnation.as_bytes()));
        }
        if let Some(state) = state {
            return Left::Digest(combine(outputs, Some(state)));
        }
        match &facts.effects {
            Effects::Declared(_) => Left::Digest(combine(outputs, None)),
            Effects::Unknown => match (judgement.key, &judgement.upstream.tainted_by) {
                (Some(key), None) => Left::Digest(key),
                (_, Some(by)) => Left::Unknown(by.clone()),
                (None, None) => Left::Unknown(facts.name.clone()),
            },
        }
    }

    pub(super) fn record(
        &self,
        mut recorded: Recorded,
        parts: Vec<KeyPart>,
        log_bytes: u64,
        hid: bool,
    ) -> io::Result<()> {
        let Some(store) = &self.services.store else { return Ok(()) };
        let facts = self.node.node.facts();
        for entry in &recorded.outputs.0 {
            if let EntryKind::File { digest, .. } = &entry.kind
                && !store.put_file(&entry.path.under(&self.services.root), digest)?
            {
                return Err(io::Error::other(format!("output `{}` changed while it was stored", entry.path)));
            }
        }
        if log_bytes > 0 {
            let path = self.run_dir.join(log_name(self.node));
            recorded.log = Some((store.put_log(&path)?, log_bytes));
        }
        let unknown = facts.effects == Effects::Unknown && !facts.reports_state;
        let key = recorded.key;
        let result = StoredResult {
            task: facts.name.as_str().to_owned(),
            recorded: recorded.clone(),
            run: self.run_id.to_owned(),
            parts,
        };
        let shareable = facts.shareable && !unknown;
        store.put_result(&key, &result, shareable)?;
        self.services.lock_state().record(facts.kept_as.as_str(), recorded)?;
        if let Some(remote) = self.services.remote.as_ref().filter(|remote| shareable && remote.takes()) {
            match self.secret_in(&result, hid) {
                Ok(None) => remote.offer(key, store),
                Ok(Some(place)) => {
                    let message = format!("{place} holds a secret; its result is not given to the remote");
                    let help = "keep it out of there, or say `cache = \"local\"`";
                    self.warn("not-shared", message, Some(help.into()));
                }
                Err(error) => self.warn("not-shared", format!("failed to read its outputs again: {error}"), None),
            }
        }
        Ok(())
    }

    /// Where a secret shows in what a task left, if one does. `hid`: one was masked in what it printed.
    fn secret_in(&self, result: &StoredResult, hid: bool) -> io::Result<Option<String>> {
        let redactor = self.services.redactor();
        let Some(store) = self.services.store.as_ref().filter(|_| !redactor.is_empty()) else { return Ok(None) };
        if hid {
            return Ok(Some("what it printed".into()));
        }
        for entry in &result.recorded.outputs.0 {
            let named = match &entry.kind {
                EntryKind::Link { target } => redactor.mask(target) != *target,
                EntryKind::File { digest, .. } => redactor.finds(&mut store.open_blob(digest)?)?,
                EntryKind::Folder => false,
            };
            if named || redactor.mask(entry.path.as_str()) != entry.path.as_str() {
                return Ok(Some(format!("output `{}`", redactor.mask(entry.path.as_str()))));
            }
        }
        Ok(None)
    }
}
