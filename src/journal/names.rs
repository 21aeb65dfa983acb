//! Locks between processes on names, all of them in one file: taking one creates nothing and writes
//! nothing. The system knows who holds one.
//!
//! They are the system's record locks, a byte for each name, which a process loses with the first
//! descriptor of the file that it closes: none is ever closed.

use super::lock::{Holder, LOOK_AGAIN};
use crate::model::Digest;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::mem::ManuallyDrop;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The locks in one file.
#[derive(Debug)]
pub struct NameLocks {
    path: PathBuf,
    opened: Mutex<Option<Arc<Opened>>>,
}

/// A name, held; given back when dropped, and by the kernel when the process ends.
#[derive(Debug)]
pub struct NameLock {
    file: Arc<Opened>,
    at: libc::off_t,
}

#[derive(Debug)]
struct Opened {
    /// Left open: were it closed, the process would lose what it holds through another opening of the file.
    file: ManuallyDrop<File>,
    place: (u64, u64),
    /// What threads of this process hold: between them the system sees no difference.
    held: Mutex<BTreeSet<libc::off_t>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The byte that stands for a name.
fn byte_of(name: &str) -> libc::off_t {
    let start = Digest::of(name.as_bytes()).as_bytes()[..8].try_into().unwrap_or_default();
    // Two bits less than there are: some systems count up to the end of a range, and one beyond.
    libc::off_t::from_le_bytes(start) & (libc::off_t::MAX >> 1)
}

/// Of whatever width the system has it.
fn number(kind: impl Into<i32>) -> i32 {
    kind.into()
}

fn record(at: libc::off_t, kind: impl Into<i32>) -> libc::flock {
    // SAFETY: `flock` is plain integers, for which all zeroes is a value; its fields differ between systems.
    #[allow(unsafe_code)]
    let mut record: libc::flock = unsafe { std::mem::zeroed() };
    record.l_type = kind.into() as _;
    record.l_whence = libc::SEEK_SET as _;
    record.l_start = at;
    record.l_len = 1;
    record
}

impl NameLocks {
    /// Those in the file at `path`, which comes about with the first of them.
    pub const fn at(path: PathBuf) -> Self {
        Self { path, opened: Mutex::new(None) }
    }

    /// Takes the lock of `name`; while someone else holds it, tells `waiting` who (once for each holder;
    /// `known` tells what a process runs) and looks again until `give_up` says so. None when given up.
    ///
    /// # Errors
    /// The file can't be opened, or the file system knows no locks.
    pub fn take(
        &self,
        name: &str,
        known: impl Fn(u32) -> Holder,
        mut waiting: impl FnMut(&Holder),
        give_up: impl Fn() -> bool,
    ) -> io::Result<Option<NameLock>> {
        let mut told: Option<u32> = None;
        loop {
            match self.try_take(name)? {
                Ok(lock) => return Ok(Some(lock)),
                Err(pid) => {
                    if told != Some(pid) && (pid != 0 || told.is_none()) {
                        waiting(&known(pid));
                        told = Some(pid);
                    }
                    if give_up() {
                        return Ok(None);
                    }
                    std::thread::sleep(LOOK_AGAIN);
                }
            }
        }
    }

    /// The same at once; or the process that holds it, 0 where that is not known.
    fn try_take(&self, name: &str) -> io::Result<Result<NameLock, u32>> {
        let (file, at) = (self.open()?, byte_of(name));
        let mut held = locked(&file.held);
        if held.contains(&at) {
            return Ok(Err(std::process::id()));
        }
        match fcntl(&*file.file, FcntlArg::F_SETLK(&record(at, libc::F_WRLCK))) {
            Ok(_) => {
                held.insert(at);
                drop(held);
                Ok(Ok(NameLock { file, at }))
            }
            Err(Errno::EACCES | Errno::EAGAIN) => {
                let mut asked = record(at, libc::F_WRLCK);
                fcntl(&*file.file, FcntlArg::F_GETLK(&mut asked))?;
                // Given back meanwhile: then the next look tells.
                let there = number(asked.l_type) != number(libc::F_UNLCK);
                Ok(Err(if there { u32::try_from(asked.l_pid).unwrap_or(0) } else { 0 }))
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// The file as it is now: it may have been removed since it was opened.
    fn open(&self) -> io::Result<Arc<Opened>> {
        let place = |metadata: &std::fs::Metadata| (metadata.dev(), metadata.ino());
        let mut opened = locked(&self.opened);
        if let (Some(known), Ok(there)) = (&*opened, std::fs::metadata(&self.path))
            && known.place == place(&there)
        {
            return Ok(Arc::clone(known));
        }
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.path)?;
        let place = place(&file.metadata()?);
        let fresh = Arc::new(Opened { file: ManuallyDrop::new(file), place, held: Mutex::default() });
        *opened = Some(Arc::clone(&fresh));
        Ok(fresh)
    }
}

impl Drop for NameLock {
    fn drop(&mut self) {
        let mut held = locked(&self.file.held);
        held.remove(&self.at);
        let _ = fcntl(&*self.file.file, FcntlArg::F_SETLK(&record(self.at, libc::F_UNLCK)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(locks: &NameLocks, name: &str) -> Option<NameLock> {
        let known = |pid| Holder { pid, command: String::new() };
        locks.take(name, known, |_| (), || true).unwrap()
    }

    #[test]
    fn a_name_is_held_once_and_others_are_free() {
        let folder = tempfile::tempdir().unwrap();
        let locks = NameLocks::at(folder.path().join("tasks"));
        let held = taken(&locks, "a").unwrap();
        assert!(taken(&locks, "a").is_none());
        let other = taken(&locks, "b").unwrap();
        drop(held);
        assert!(taken(&locks, "a").is_some());
        assert!(taken(&locks, "b").is_none());
        drop(other);
    }

    #[test]
    fn a_file_that_was_removed_is_not_relied_on() {
        let folder = tempfile::tempdir().unwrap();
        let locks = NameLocks::at(folder.path().join("tasks"));
        let held = taken(&locks, "a").unwrap();
        std::fs::remove_file(&locks.path).unwrap();
        let again = taken(&locks, "a").unwrap();
        assert!(taken(&locks, "a").is_none());
        drop((held, again));
        assert!(taken(&locks, "a").is_some());
    }
}
