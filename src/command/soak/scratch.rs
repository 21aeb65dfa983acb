//! Folders for iterations, and their end, also of those that a killed weir left behind.
//!
//! A soak has one folder among the temporary ones, and in it a lock, which weir holds and with it its guard: until nothing of the
//! soak is left to be ended. Who gets that lock has found what nobody needs any more. A folder without one is not touched.

use crate::journal::{Holder, Lock, LockKind};
use crate::process::Guard;
use nix::unistd::Uid;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use tempfile::TempDir;

const PREFIX: &str = "weir-soak-";
const LOCK: &str = "lock";

/// The folder of a soak. The lock is let go of when the folder is gone.
pub(super) struct Scratch {
    folder: TempDir,
    _lock: Lock,
}

impl Scratch {
    /// A new one, held by `guard` too; those that nobody holds any more are removed.
    ///
    /// # Errors
    /// It can't be made.
    pub(super) fn new(guard: &Guard) -> io::Result<Self> {
        let among = std::env::temp_dir();
        sweep(&among);
        let (scratch, shared) = Self::make(&among)?;
        guard.hold(shared);
        Ok(scratch)
    }

    fn make(among: &Path) -> io::Result<(Self, fs::File)> {
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(among)?;
        // It has its name only once it is held: what is called so can be believed.
        let early = folder.path().join("lock.new");
        let lock = match Lock::try_take(&early, LockKind::Exclusive, &me())? {
            Ok(lock) => lock,
            Err(holder) => return Err(io::Error::other(format!("{holder} is in the way"))),
        };
        let shared = lock.share()?;
        fs::rename(&early, folder.path().join(LOCK))?;
        Ok((Self { folder, _lock: lock }, shared))
    }

    /// A folder for an iteration, with one for temporary files in it.
    ///
    /// # Errors
    /// It can't be made.
    pub(super) fn of_iteration(&self, number: u32) -> io::Result<TempDir> {
        let folder = tempfile::Builder::new().prefix(&format!("{number}-")).tempdir_in(self.folder.path())?;
        fs::create_dir(folder.path().join("tmp"))?;
        Ok(folder)
    }
}

fn me() -> Holder {
    Holder { pid: std::process::id(), command: String::new() }
}

/// Removes what soaks of this user left behind and nobody holds.
fn sweep(among: &Path) {
    let own = |path: &Path| fs::symlink_metadata(path).ok().filter(|found| found.uid() == Uid::effective().as_raw());
    for entry in fs::read_dir(among).into_iter().flatten().flatten() {
        if !entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            continue;
        }
        let (folder, lock) = (entry.path(), entry.path().join(LOCK));
        if !(own(&folder).is_some_and(|found| found.is_dir()) && own(&lock).is_some_and(|found| found.is_file())) {
            continue;
        }
        if let Ok(Ok(_held)) = Lock::try_take(&lock, LockKind::Exclusive, &me()) {
            tracing::debug!(folder = %folder.display(), "a killed soak left it behind");
            // What can't be removed is looked at again by the next.
            let _ = fs::remove_dir_all(&folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_soak_left_and_nobody_holds_is_removed() {
        let among = tempfile::tempdir().unwrap();
        let (held, _shared) = Scratch::make(among.path()).unwrap();
        held.of_iteration(1).unwrap();
        let left = among.path().join("weir-soak-left");
        fs::create_dir_all(left.join("1-x/tmp")).unwrap();
        fs::write(left.join("lock"), "4711\n\n").unwrap();
        for other in ["weir-soak-no-lock", "weir-soak", "others"] {
            fs::create_dir(among.path().join(other)).unwrap();
        }
        fs::write(among.path().join("others/lock"), "").unwrap();
        fs::write(among.path().join("weir-soak-file"), "").unwrap();
        std::os::unix::fs::symlink("others", among.path().join("weir-soak-link")).unwrap();
        let count = || fs::read_dir(among.path()).unwrap().count();
        assert_eq!(count(), 7);
        sweep(among.path());
        assert!(count() == 6 && !left.exists() && held.folder.path().join(LOCK).exists());
        assert!(among.path().join("others/lock").exists());
        drop(held);
        assert_eq!(count(), 5);
    }
}
