//! Events → records: written into the run's folder as gates end.

use super::envelope::{Envelope, Key};
use super::record::{Record, Status, Tool, VERSION};
use crate::event::{self, Event, Sink, SoakSummary, TaskFinished};
use crate::model::{Digest, Gate, Hasher, Outcome, PartKind, SkipReason, TaskName};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// What is known of the commit that is checked out.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// Its id.
    pub sha: Option<String>,
    /// Whether the working tree differs from it.
    pub dirty: Option<bool>,
}

/// Writes a record as each gate ends.
pub struct Recorder<F> {
    run_dir: PathBuf,
    run: String,
    profiles: Vec<String>,
    weir: String,
    gates: BTreeMap<TaskName, Gate>,
    soaks: BTreeMap<TaskName, SoakSummary>,
    key: Option<Key>,
    /// Looks at the commit; asked once for each gate, since a task may commit.
    tree: F,
    /// Told what could not be written.
    complain: fn(&str),
}

impl<F: FnMut() -> Tree + Send> Recorder<F> {
    /// Into the `evidence` folder of a run; signed, where there is a key. `complain` is told what could not be
    /// written.
    pub fn new(run_dir: &Path, key: Option<Key>, tree: F, complain: fn(&str)) -> Self {
        Self {
            run_dir: run_dir.to_path_buf(),
            run: String::new(),
            profiles: vec![],
            weir: String::new(),
            gates: BTreeMap::new(),
            soaks: BTreeMap::new(),
            key,
            tree,
            complain,
        }
    }

    fn finished(&mut self, at: &str, task: &TaskFinished) {
        let Some(gate) = self.gates.get(&task.task).cloned() else { return };
        let tree = (self.tree)();
        let of = |kind: PartKind| {
            let parts = task.parts.iter().filter(move |part| part.kind == kind);
            parts.map(|part| Tool { name: part.name.clone(), identity: part.shown.clone() }).collect::<Vec<_>>()
        };
        let (status, message) = said(&task.outcome);
        let log = task.log.as_ref().and_then(|log| std::fs::read(self.run_dir.join(log)).ok());
        let record = Record {
            v: VERSION,
            check_id: gate.id.clone(),
            title: gate.title,
            task: task.task.as_str().to_owned(),
            timestamp_utc: at.to_owned(),
            git_sha: tree.sha,
            git_dirty: tree.dirty,
            status,
            message,
            key: task.key,
            inputs_digest: task.key.map(|_| inputs_digest(&of(PartKind::Source))),
            tools: of(PartKind::Program),
            databases: of(PartKind::Live),
            run: self.run.clone(),
            profiles: self.profiles.clone(),
            duration_ms: task.duration_ms,
            log_digest: log.map(|log| Digest::of(&log)),
            replayed_from: task.replayed_from.clone(),
            soak: self.soaks.remove(&task.task),
            weir: self.weir.clone(),
        };
        if let Err(error) = self.write(&gate.id, &record) {
            (self.complain)(&format!("failed to write the evidence of gate `{}`: {error}", gate.id));
        }
    }

    fn write(&self, id: &str, record: &Record) -> io::Result<()> {
        let folder = self.run_dir.join("evidence");
        std::fs::create_dir_all(&folder)?;
        let mut bytes = serde_json::to_vec_pretty(record)?;
        bytes.push(b'\n');
        let mut envelope = serde_json::to_vec(&Envelope::new(record, &bytes, self.key.as_ref()))?;
        envelope.push(b'\n');
        std::fs::write(folder.join(format!("{id}.json")), bytes)?;
        std::fs::write(folder.join(format!("{id}.dsse.json")), envelope)
    }
}

/// What an outcome means for a gate, and why it did not pass.
fn said(outcome: &Outcome) -> (Status, Option<String>) {
    match outcome {
        Outcome::Ran | Outcome::Hit | Outcome::Fresh | Outcome::Done { .. } => (Status::Pass, None),
        Outcome::Failed { reason, warn: true } => (Status::Warn, Some(reason.describe())),
        Outcome::Failed { reason, warn: false } => (Status::Fail, Some(reason.describe())),
        Outcome::Skipped { reason } => {
            let why = match reason {
                SkipReason::Blocked { by } => format!("`{by}` failed"),
                SkipReason::Stopped => "the run had failed already".to_owned(),
                SkipReason::Interrupted => "the run was interrupted".to_owned(),
                SkipReason::NotNeeded => "it was not needed".to_owned(),
            };
            (Status::Skipped, Some(why))
        }
    }
}

/// Over paths and what stands for their content.
fn inputs_digest(sources: &[Tool]) -> Digest {
    let mut hasher = Hasher::new();
    for source in sources {
        hasher.field(source.name.as_bytes());
        hasher.field(source.identity.as_bytes());
    }
    hasher.finish()
}

impl<F: FnMut() -> Tree + Send> Sink for Recorder<F> {
    fn record(&mut self, record: &event::Record) {
        match &record.event {
            Event::RunStarted { run, weir, profiles, tasks, .. } => {
                (self.run, self.weir, self.profiles) = (run.clone(), weir.clone(), profiles.clone());
                let gates = tasks.iter().filter_map(|task| Some((task.task.clone(), task.gate.clone()?)));
                self.gates = gates.collect();
            }
            Event::SoakFinished(soak) => drop(self.soaks.insert(soak.task.clone(), (**soak).clone())),
            Event::TaskFinished(task) => self.finished(&record.at, task),
            _ => {}
        }
    }

    fn output(&mut self, _: &TaskName, _: &[u8]) {}

    fn tick(&mut self) {}
}
