//! The configuration as it was found valid, kept so that it need not be read and judged again: under a
//! seal, which breaks when any file, folder or ignore file changes that it rests on.

use super::error::CliError;
use super::project::{Place, Project};
use super::seal::asked;
use crate::cache::{Place as WeirFolder, Question, parse_sealed, read_sealed, write_sealed};
use crate::config::{Config, Found, Looked, Task};
use crate::fingerprint::{Look, Trail, unchanged};
use crate::model::{Digest, WsPath};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A configuration under its seal.
#[derive(Serialize, Deserialize)]
struct Frozen<'s> {
    root: PathBuf,
    root_file: PathBuf,
    /// The folder it was found from.
    folder: WsPath,
    trail: &'s [u8],
    /// All but the tasks.
    config: &'s [u8],
    /// Each task.
    #[serde(borrow)]
    tasks: Vec<&'s [u8]>,
}

/// A configuration of which tasks are read one by one.
pub struct Partly<'s> {
    /// All but the tasks.
    pub config: Config,
    /// What it rests on.
    pub trail: &'s [u8],
    tasks: Vec<&'s [u8]>,
}

impl Partly<'_> {
    /// A task, by its place among all.
    pub fn task(&self, index: usize) -> Option<Arc<Task>> {
        postcard::from_bytes(self.tasks.get(index)?).ok().map(Arc::new)
    }
}

/// A configuration about to be read.
pub struct Reading {
    question: Option<Digest>,
    found: Found,
    /// The sealed bytes, where the seal is unbroken.
    frozen: Option<Vec<u8>>,
    profiles: Vec<String>,
    looked: Looked,
    trail: Arc<Trail>,
    place: Place,
}

/// A valid configuration.
pub struct Configured {
    /// What was read.
    pub project: Project,
    /// What it rests on; none where looking again could not tell whether that changed.
    pub trail: Option<Vec<u8>>,
    /// The question it answers, where it is not under a seal and should be.
    unsealed: Option<Digest>,
}

impl Reading {
    /// Finds the configuration; the first look is not before `since`.
    ///
    /// # Errors
    /// There is none.
    pub fn begin(place: &Place, profiles: Vec<String>, since: i64) -> Result<Self, CliError> {
        let nothing: &[String] = &[];
        let question = asked(&Question {
            kind: "configuration",
            folder: &place.folder,
            profiles: &profiles,
            targets: nothing,
            arguments: nothing,
            shared: None,
        });
        let looked = Looked::default();
        let kept = question.and_then(|question| unbroken(place, &question));
        let (found, frozen) = match kept {
            Some((found, data)) => (found, Some(data)),
            None => (place.find_noting(&looked)?, None),
        };
        let trail = Arc::new(Trail::new(&found.root, since));
        let (folder, outside) = (place.folder.clone(), Arc::clone(&place.outside));
        let place = Place { folder, directories: vec![], outside };
        Ok(Self { question, found, frozen, profiles, looked, trail, place })
    }

    /// The workspace root.
    pub fn root(&self) -> &Path {
        &self.found.root
    }

    /// Whether it need not be read, since nothing has changed that it rests on.
    pub const fn is_sealed(&self) -> bool {
        self.frozen.is_some()
    }

    /// Reads it.
    ///
    /// # Errors
    /// It is wrong.
    pub fn finish(self) -> Result<Configured, CliError> {
        if let Some(configured) = self.thaw() {
            return Ok(configured);
        }
        let Self { question, found, profiles, looked, trail, place, .. } = self;
        let project = Project::load(&place, found, &profiles, &looked, Some(&trail)).sound()?;
        for (path, behind, metadata) in looked.into_all() {
            trail.note_look(&Look::of(path, behind, metadata.as_ref()));
        }
        // What is to be said of it is said each time it is read.
        let unsealed = question.filter(|_| project.remarks.is_empty());
        Ok(Configured { project, trail: trail.finish(), unsealed })
    }

    /// All but its tasks, where it need not be read.
    pub fn partly(&self) -> Option<Partly<'_>> {
        let frozen: Frozen<'_> = parse_sealed(self.frozen.as_deref()?, &self.question?)?;
        let config = postcard::from_bytes(frozen.config).ok()?;
        Some(Partly { config, trail: frozen.trail, tasks: frozen.tasks })
    }

    /// A project with this configuration, which was under a seal.
    pub fn project(&self, config: Config) -> Project {
        let (found, outside) = (self.found.clone(), Arc::clone(&self.place.outside));
        Project { found, config, remarks: vec![], outside, thawed: true }
    }

    fn thaw(&self) -> Option<Configured> {
        let partly = self.partly()?;
        let tasks = (0..partly.tasks.len()).map(|index| partly.task(index)).collect::<Option<_>>()?;
        let Partly { mut config, trail, .. } = partly;
        config.tasks = tasks;
        tracing::debug!(tasks = config.tasks.len(), "configured from under a seal");
        let project = self.project(config);
        Some(Configured { project, trail: Some(trail.to_vec()), unsealed: None })
    }
}

/// The sealed bytes on the configuration seen from here, if nothing has changed.
fn unbroken(place: &Place, question: &Digest) -> Option<(Found, Vec<u8>)> {
    place.folder.ancestors().find_map(|root| {
        let data = read_sealed(&WeirFolder::at(root).seals(), question)?;
        let frozen: Frozen<'_> = parse_sealed(&data, question)?;
        if frozen.root != root || !unchanged(root, frozen.trail) {
            return None;
        }
        let found = Found { root_file: frozen.root_file, root: frozen.root, folder: frozen.folder };
        Some((found, data))
    })
}

impl Configured {
    /// Puts a seal on it, if it can have one and has none. Without one the next run reads it again, and
    /// that is all.
    pub fn keep(&self, weir: &WeirFolder) {
        let (Some(question), Some(trail)) = (&self.unsealed, &self.trail) else { return };
        let config = &self.project.config;
        let tasks = config.tasks.iter().map(|task| postcard::to_stdvec(&**task)).collect::<Result<Vec<_>, _>>();
        let (Ok(config), Ok(tasks)) = (postcard::to_stdvec(config), tasks) else { return };
        let tasks = tasks.iter().map(Vec::as_slice).collect();
        let found = &self.project.found;
        let (root, root_file, folder) = (found.root.clone(), found.root_file.clone(), found.folder.clone());
        let frozen = Frozen { root, root_file, folder, trail, config: &config, tasks };
        let written = write_sealed(&weir.seals(), question, &frozen);
        tracing::debug!(?written, "sealed the configuration");
    }
}
