//! What a run leaves for one that resumes it: what was asked for, and which of its tasks succeeded, written as it goes.
//! Frames of JSON in the run's own log. What it says of a task stands on its own: a later frame that is lost takes nothing
//! back, since whether a task was started again is noted elsewhere ([`super::Starts`]).

use crate::journal::{Log, Trouble};
use crate::model::{Digest, KeyPart, TaskName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Version of the records.
const FORMAT: u16 = 1;
/// The log's name in the run's folder.
const JOURNAL: &str = "journal";

/// What a run was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The targets, as written.
    pub targets: Vec<String>,
    /// Arguments for the one target.
    pub arguments: Vec<String>,
    /// The folder that names are seen from, relative to the root.
    pub folder: String,
    /// The profiles in force.
    pub profiles: Vec<String>,
    /// `-f`.
    pub force: bool,
    /// `--force-all`.
    pub force_all: bool,
    /// `-k`.
    pub keep_going: bool,
    /// `-j`, where it was given.
    pub jobs: Option<u32>,
    /// `--confirm`.
    pub confirm: Vec<String>,
    /// `--destroy`.
    pub destroy: Vec<String>,
}

/// A task that ran and succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// The node, arguments included.
    pub task: TaskName,
    /// The run in which it ran.
    pub run: String,
    /// Over all that would be in its key, and over which run of each task of unknown effects came before it.
    pub key: Digest,
    /// What it left for its dependents' keys; none: nobody knows.
    pub left: Option<Digest>,
    /// Digest of its declared outputs.
    pub outputs: Option<Digest>,
    /// Digest of the tracked files that it declares to write, as it left them.
    pub written: Option<Digest>,
    /// The state it reported.
    pub state: Option<Digest>,
    /// How long it took, milliseconds.
    pub took_ms: u64,
    /// What `key` is made of, where no recorded result says that.
    pub parts: Vec<KeyPart>,
}

/// What stands first in a run's journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Beginning {
    /// The workspace root.
    pub root: PathBuf,
    /// What was asked for.
    pub request: Request,
    /// The run that it resumes, the one that that one resumed, and so on.
    pub chain: Vec<String>,
    /// What had succeeded in these.
    pub past: Vec<Past>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PastRecord {
    Began(Beginning),
    Succeeded(Past),
}

/// The journal of a run that goes on. Nothing is written before it [begins](RunJournal::begin).
#[derive(Debug)]
pub struct RunJournal {
    path: PathBuf,
    beginning: Beginning,
    writing: Mutex<Writing>,
}

#[derive(Debug)]
enum Writing {
    NotYet,
    Log(Log),
    /// It could not be begun: then nobody resumes this run.
    Given,
}

impl RunJournal {
    /// Of the run in this folder.
    pub const fn new(path: PathBuf, beginning: Beginning) -> Self {
        Self { path, beginning, writing: Mutex::new(Writing::NotYet) }
    }

    /// Writes what stands first, if it is not there yet: before anything is run.
    ///
    /// # Errors
    /// It can't be written; said once.
    pub fn begin(&self) -> io::Result<()> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*writing, Writing::NotYet) {
            return Ok(());
        }
        *writing = Writing::Given;
        let opened = Log::open(&self.path.join(JOURNAL), FORMAT)?;
        let mut log = opened.log.ok_or_else(|| io::Error::other("another journal is in its place"))?;
        append(&mut log, &PastRecord::Began(self.beginning.clone()))?;
        *writing = Writing::Log(log);
        Ok(())
    }

    /// A task has succeeded. When this returns, a kill does not take that back.
    ///
    /// # Errors
    /// It can't be written.
    pub fn succeeded(&self, past: Past) -> io::Result<()> {
        match &mut *self.writing.lock().unwrap_or_else(PoisonError::into_inner) {
            Writing::Log(log) => append(log, &PastRecord::Succeeded(past)),
            Writing::NotYet | Writing::Given => Ok(()),
        }
    }
}

fn append(log: &mut Log, record: &PastRecord) -> io::Result<()> {
    log.lock()?.0.append(&serde_json::to_vec(record)?)
}

/// What a run left.
#[derive(Debug)]
pub struct Left {
    /// How it began; `past` is without what follows.
    pub beginning: Beginning,
    /// What had succeeded in it and before it.
    pub past: BTreeMap<TaskName, Past>,
    /// Its journal was damaged; what is here is whole.
    pub damaged: bool,
}

/// Why nothing can be taken from a run.
#[derive(Debug)]
pub enum NoPast {
    /// It has no journal: it ended before it ran anything.
    NotBegun,
    /// A newer weir wrote it, in this format.
    Newer(u16),
    /// Not even its beginning is whole.
    Damaged,
    /// It can't be read.
    Unreadable(io::Error),
}

/// Reads the journal of the run in `folder`; writes nothing.
///
/// # Errors
/// [`NoPast`].
pub fn read_past(folder: &Path) -> Result<Left, NoPast> {
    let path = folder.join(JOURNAL);
    if !path.exists() {
        return Err(NoPast::NotBegun);
    }
    let opened = Log::read(&path, FORMAT).map_err(NoPast::Unreadable)?;
    let mut damaged = match opened.trouble {
        None => false,
        Some(Trouble::Damaged) => true,
        Some(Trouble::Newer { format, .. }) => return Err(NoPast::Newer(format)),
    };
    let mut frames = opened.frames.iter().map(|frame| serde_json::from_slice(&opened.data[frame.clone()]));
    let beginning = match frames.next() {
        Some(Ok(PastRecord::Began(beginning))) => beginning,
        None if !damaged => return Err(NoPast::NotBegun),
        _ => return Err(NoPast::Damaged),
    };
    let mut past: BTreeMap<TaskName, Past> =
        beginning.past.iter().map(|past| (past.task.clone(), past.clone())).collect();
    for frame in frames {
        match frame {
            Ok(PastRecord::Succeeded(one)) => drop(past.insert(one.task.clone(), one)),
            Ok(PastRecord::Began(_)) | Err(_) => damaged = true,
        }
    }
    Ok(Left { beginning, past, damaged })
}
