//! Which run started which task last: a log of notes, each written before the task's first act, so that a run that is resumed
//! can tell what was done to its tasks since. Where a note may have been lost, none counts: then nobody knows.

use crate::journal::{Log, Opened, Trouble};
use crate::model::TaskName;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Version of the notes.
const FORMAT: u16 = 1;
/// Notes kept beside the last ones of all tasks before the log is written anew.
const SPARE: usize = 4096;

#[derive(Debug, Serialize, Deserialize)]
struct Note<'n> {
    task: &'n str,
    run: &'n str,
}

/// The notes of a workspace, by any number of threads and processes.
#[derive(Debug)]
pub struct Starts {
    path: PathBuf,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Open for writing, once something was noted.
    log: Option<Log>,
    /// As long as it is not: how the file looked when it was read.
    read: Option<Look>,
    notes: FxHashMap<Box<str>, Box<str>>,
    /// How many notes the log holds.
    count: usize,
}

/// Inode, length, and time of the last change in nanoseconds.
type Look = (u64, u64, i128);

fn look(path: &Path) -> Option<Look> {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::metadata(path).ok()?;
    Some((found.ino(), found.len(), i128::from(found.ctime()) * 1_000_000_000 + i128::from(found.ctime_nsec())))
}

impl Starts {
    /// Those in the file at `path`, which comes about with the first of them.
    pub fn at(path: PathBuf) -> Self {
        Self { path, known: Mutex::default() }
    }

    /// Notes that `run` starts the tasks that are known by `names`, before its first act: from then on what another run did
    /// with it is past.
    ///
    /// # Errors
    /// Older notes stand there still.
    pub fn note(&self, names: &[&TaskName], run: &str) -> io::Result<()> {
        let mut known = self.known();
        let noted = known.open(&self.path).and_then(|()| known.note(names, run));
        // No note at all counts for no run: that needs no space.
        noted.or_else(|_| {
            *known = Known::default();
            Log::wipe(&self.path)
        })
    }

    /// The run that started the task last.
    pub fn last(&self, name: &TaskName) -> Option<String> {
        let mut known = self.known();
        // What can't be read says nothing.
        if known.refresh(&self.path).is_err() {
            *known = Known::default();
        }
        known.notes.get(name.as_str()).map(|run| run.to_string())
    }

    /// Removes all notes: what any run did is past.
    ///
    /// # Errors
    /// They can't be removed.
    pub fn forget(&self) -> io::Result<()> {
        *self.known() = Known::default();
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn open(&mut self, path: &Path) -> io::Result<()> {
        if self.log.is_some() {
            return Ok(());
        }
        let opened = Log::open(path, FORMAT)?;
        if matches!(opened.trouble, Some(Trouble::Newer { .. })) {
            return Err(io::Error::other("a newer version of weir writes these notes"));
        }
        *self = Self::found(opened);
        Ok(())
    }

    fn found(opened: Opened) -> Self {
        let mut known = Self { log: opened.log, ..Self::default() };
        // Behind damage there may have been a note that says otherwise.
        if opened.trouble.is_none() {
            opened.frames.into_iter().for_each(|frame| known.take_in(&opened.data[frame]));
        }
        known
    }

    fn take_in(&mut self, payload: &[u8]) {
        self.count += 1;
        match postcard::from_bytes::<Note<'_>>(payload) {
            Ok(note) => drop(self.notes.insert(note.task.into(), note.run.into())),
            Err(_) => self.notes.clear(),
        }
    }

    fn note(&mut self, names: &[&TaskName], run: &str) -> io::Result<()> {
        let Some(mut log) = self.log.take() else { return Err(io::Error::other("the notes are not open")) };
        let (mut writer, news) = log.lock()?;
        self.catch_up(writer.lost(), &news);
        for name in names {
            let payload = encode(name.as_str(), run)?;
            writer.append(&payload)?;
            self.take_in(&payload);
        }
        if self.count > self.notes.len() + SPARE {
            let last: Vec<Vec<u8>> =
                self.notes.iter().map(|(task, run)| encode(task, run)).collect::<io::Result<_>>()?;
            // If that can't be written, the longer log stays.
            if writer.replace(last.iter().map(Vec::as_slice)).is_ok() {
                self.count = self.notes.len();
            }
        }
        self.log = Some(log);
        Ok(())
    }

    fn catch_up(&mut self, lost: bool, news: &[Vec<u8>]) {
        if lost {
            self.notes.clear();
            self.count = 0;
        }
        news.iter().for_each(|payload| self.take_in(payload));
    }

    /// Takes in what was noted since, by whomever.
    fn refresh(&mut self, path: &Path) -> io::Result<()> {
        if let Some(mut log) = self.log.take() {
            if log.has_news() {
                let (writer, news) = log.lock()?;
                self.catch_up(writer.lost(), &news);
            }
            self.log = Some(log);
            return Ok(());
        }
        let now = look(path);
        if now.is_none() || now != self.read {
            *self = Self { read: now, ..Self::found(Log::read(path, FORMAT)?) };
        }
        Ok(())
    }
}

fn encode(task: &str, run: &str) -> io::Result<Vec<u8>> {
    postcard::to_stdvec(&Note { task, run }).map_err(io::Error::other)
}
