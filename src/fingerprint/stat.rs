//! What `lstat` says of a file, as far as it tells an unchanged file from a changed one.

use crate::model::WsPath;
use nix::fcntl::AtFlags;
use nix::libc;
use serde::{Deserialize, Serialize};
use std::fs::Metadata;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Inode, size, mode and both times. The change time is in it because a program can set the
/// modification time but not the change time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stat {
    /// Inode.
    pub ino: u64,
    /// Bytes.
    pub size: u64,
    /// Modification time, nanoseconds since 1970.
    pub mtime: i64,
    /// Change time, nanoseconds since 1970.
    pub ctime: i64,
    /// Type and permissions.
    pub mode: u32,
}

/// Time stamps come from a clock that ticks every few milliseconds: a file changed this shortly
/// before it was looked at may change again without a new stamp (git calls it racily clean).
const TICK: i64 = 20_000_000;
/// The same where the file system keeps whole seconds only (two of them on FAT).
const COARSE_TICK: i64 = 2_000_000_000;
const SECOND: i64 = 1_000_000_000;

impl Stat {
    /// From what the file system said.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            ino: metadata.ino(),
            size: metadata.size(),
            mtime: nanos(metadata.mtime(), metadata.mtime_nsec()),
            ctime: nanos(metadata.ctime(), metadata.ctime_nsec()),
            mode: metadata.mode(),
        }
    }

    /// Of what is at `path` in the folder `base`; a symlink is not followed. Relative to an open folder
    /// the system has fewer components to look up, and no path needs to be put together.
    ///
    /// # Errors
    /// As `lstat`.
    #[allow(clippy::unnecessary_cast, reason = "the types of these fields differ between systems")]
    pub fn at(base: &OwnedFd, path: &WsPath) -> io::Result<Self> {
        let name = if path.is_root() { "." } else { path.as_str() };
        let found = nix::sys::stat::fstatat(base, Path::new(name), AtFlags::AT_SYMLINK_NOFOLLOW)?;
        Ok(Self {
            ino: found.st_ino as u64,
            size: found.st_size as u64,
            mtime: nanos(found.st_mtime as i64, found.st_mtime_nsec as i64),
            ctime: nanos(found.st_ctime as i64, found.st_ctime_nsec as i64),
            mode: found.st_mode as u32,
        })
    }

    // The type is narrower on macOS.
    #[allow(clippy::useless_conversion)]
    fn is(&self, kind: libc::mode_t) -> bool {
        self.mode & u32::from(libc::S_IFMT) == u32::from(kind)
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        self.is(libc::S_IFDIR)
    }

    /// Whether it is a symlink.
    pub fn is_link(&self) -> bool {
        self.is(libc::S_IFLNK)
    }

    /// Whether a digest taken at `now` may be trusted as long as the stat stays the same. False
    /// for a file changed just before `now`, or, after a clock jumped back, in the future.
    pub fn settled(&self, now: i64) -> bool {
        let tick = if self.ctime % SECOND == 0 { COARSE_TICK } else { TICK };
        self.ctime.max(self.mtime.min(now)) < now.saturating_sub(tick) && self.ctime < now
    }

    /// Whether anyone may execute it.
    pub const fn executable(&self) -> bool {
        self.mode & 0o111 != 0
    }

    /// The permission bits.
    pub const fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }
}

fn nanos(seconds: i64, nanos: i64) -> i64 {
    seconds.saturating_mul(SECOND).saturating_add(nanos)
}

/// Now, nanoseconds since 1970.
pub fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_nanos()).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_change_is_not_settled() {
        let stat = |ctime| Stat { ino: 1, size: 1, mtime: 0, ctime, mode: 0 };
        let now = 1_700_000_000_123_456_789;
        assert!(stat(now - 30_000_000).settled(now));
        assert!(!stat(now - 1_000_000).settled(now));
        assert!(!stat(now + 5 * SECOND).settled(now), "from the future");
        assert!(!stat(1_700_000_000 * SECOND - SECOND).settled(now), "whole seconds");
        assert!(stat(1_700_000_000 * SECOND - 5 * SECOND).settled(now));
    }
}
