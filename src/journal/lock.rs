//! Locks between processes: `flock` on a file that says who holds it.

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

/// How often a waiting process looks again.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What kind of lock is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockKind {
    /// Many at once.
    Shared,
    /// One, and no shared ones.
    Exclusive,
}

/// Who holds a lock, as written by the holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Process id; 0 where it is not known (yet).
    pub pid: u32,
    /// What it runs: `weir run check`.
    pub command: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.pid, self.command.as_str()) {
            (0, _) => f.write_str("another process"),
            (pid, "") => write!(f, "pid {pid}"),
            (pid, command) => write!(f, "pid {pid} (`{command}`)"),
        }
    }
}

/// A held lock; given back when dropped, and by the kernel when the process ends.
#[derive(Debug)]
pub struct Lock {
    file: Flock<File>,
}

impl Lock {
    /// Takes the lock at `path`, or says who holds it.
    ///
    /// # Errors
    /// The file can't be opened, or the file system knows no locks.
    pub fn try_take(path: &Path, kind: LockKind, me: &Holder) -> io::Result<Result<Self, Holder>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let arg = match kind {
            LockKind::Shared => FlockArg::LockSharedNonblock,
            LockKind::Exclusive => FlockArg::LockExclusiveNonblock,
        };
        match Flock::lock(file, arg) {
            Ok(mut file) => {
                if kind == LockKind::Exclusive {
                    // Who holds it is a courtesy; a full disk must not keep a task from running.
                    let _ = write_holder(&mut file, me);
                }
                Ok(Ok(Self { file }))
            }
            Err((mut file, Errno::EWOULDBLOCK)) => Ok(Err(read_holder(&mut file))),
            Err((_, errno)) => Err(errno.into()),
        }
    }

    /// Another handle on the same lock: it is held until both are closed.
    ///
    /// # Errors
    /// There are no more descriptors.
    pub fn share(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Takes the lock at `path`; while someone else holds it, tells `waiting` who (once for each
    /// holder) and looks again until `give_up` says so. None when given up.
    ///
    /// # Errors
    /// As [`Lock::try_take`].
    pub fn take(
        path: &Path,
        kind: LockKind,
        me: &Holder,
        mut waiting: impl FnMut(&Holder),
        give_up: impl Fn() -> bool,
    ) -> io::Result<Option<Self>> {
        let mut told: Option<Holder> = None;
        loop {
            match Self::try_take(path, kind, me)? {
                Ok(lock) => return Ok(Some(lock)),
                Err(holder) => {
                    if told.as_ref() != Some(&holder) && (holder.pid != 0 || told.is_none()) {
                        waiting(&holder);
                        told = Some(holder);
                    }
                    if give_up() {
                        return Ok(None);
                    }
                    std::thread::sleep(LOOK_AGAIN);
                }
            }
        }
    }
}

fn write_holder(file: &mut File, me: &Holder) -> io::Result<()> {
    let text = format!("{}\n{}\n", me.pid, me.command);
    // Not cut to nothing first: some file systems then force it to the disk when it is closed. What is
    // left of a longer text is cut off afterwards, and read by nobody: a holder is two lines.
    file.write_all_at(text.as_bytes(), 0)?;
    if file.metadata()?.len() > text.len() as u64 { file.set_len(text.len() as u64) } else { Ok(()) }
}

impl Holder {
    /// As the file of a lock names it.
    ///
    /// # Errors
    /// It can't be read.
    pub fn named_in(path: &Path) -> io::Result<Self> {
        Ok(read_holder(&mut File::open(path)?))
    }
}

fn read_holder(file: &mut File) -> Holder {
    let mut text = String::new();
    let _ = file.take(4096).read_to_string(&mut text);
    let mut lines = text.lines();
    Holder {
        pid: lines.next().and_then(|pid| pid.parse().ok()).unwrap_or(0),
        command: lines.next().unwrap_or("").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exclusive_lock_names_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let me = Holder { pid: 7, command: "weir run check".into() };
        let held = Lock::try_take(&path, LockKind::Exclusive, &me).unwrap().unwrap();
        let other = Lock::try_take(&path, LockKind::Shared, &me).unwrap();
        assert_eq!(other.unwrap_err().to_string(), "pid 7 (`weir run check`)");
        drop(held);
        assert!(Lock::try_take(&path, LockKind::Shared, &me).unwrap().is_ok());
    }
}
