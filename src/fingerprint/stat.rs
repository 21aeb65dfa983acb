//! What the system says of a file, as far as it tells an unchanged file from a changed one.

use crate::model::WsPath;
use nix::fcntl::AtFlags;
use nix::libc;
use serde::{Deserialize, Serialize};
use std::fs::Metadata;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
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

/// Something that was looked at on the disk, and how it looked: as long as it looks the same, what
/// was concluded from it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Absolute, or relative to the workspace root.
    pub path: PathBuf,
    /// A symlink was followed.
    pub behind: bool,
    /// None: nothing was there.
    pub stat: Option<Stat>,
    /// The file system it is on, where something was there.
    pub device: u64,
}

/// Time stamps come from a clock that ticks every few milliseconds: a file changed this shortly
/// before it was looked at may change again without a new stamp (git calls it racily clean).
const TICK: i64 = 20_000_000;
/// The same where the file system keeps whole seconds only (two of them on FAT).
const COARSE_TICK: i64 = 2_000_000_000;
const SECOND: i64 = 1_000_000_000;

const KIND: u32 = 0o170_000;
const FOLDER: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

impl Look {
    /// Of `path`, from what the system answered.
    pub fn of(path: impl Into<PathBuf>, behind: bool, metadata: Option<&Metadata>) -> Self {
        Self { path: path.into(), behind, stat: metadata.map(Stat::of), device: metadata.map_or(0, MetadataExt::dev) }
    }
}

impl Stat {
    /// From what the file system said.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            ino: metadata.ino(),
            size: metadata.size(),
            mtime: Self::nanos(metadata.mtime(), metadata.mtime_nsec()),
            ctime: Self::nanos(metadata.ctime(), metadata.ctime_nsec()),
            mode: metadata.mode(),
        }
    }

    /// Seconds and nanoseconds as one number.
    const fn nanos(seconds: i64, nanos: i64) -> i64 {
        seconds.saturating_mul(SECOND).saturating_add(nanos)
    }

    /// Whether it is a folder.
    pub const fn is_folder(&self) -> bool {
        self.mode & KIND == FOLDER
    }

    /// Whether it is a symlink.
    pub const fn is_link(&self) -> bool {
        self.mode & KIND == LINK
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

/// Of what is at `path` in the folder `base`; a symlink is not followed. Relative to an open folder
/// the system has fewer components to look up, and no path needs to be put together.
///
/// # Errors
/// As `lstat`.
pub fn stat_at(base: &OwnedFd, path: &WsPath) -> io::Result<Stat> {
    let name = if path.is_root() { "." } else { path.as_str() };
    Ok(of_system(&nix::sys::stat::fstatat(base.as_fd(), Path::new(name), AtFlags::AT_SYMLINK_NOFOLLOW)?))
}

/// From the system's own form.
#[allow(clippy::unnecessary_cast, reason = "the types of these fields differ between systems")]
pub fn of_system(found: &libc::stat) -> Stat {
    Stat {
        ino: found.st_ino as u64,
        size: found.st_size as u64,
        mtime: Stat::nanos(found.st_mtime as i64, found.st_mtime_nsec as i64),
        ctime: Stat::nanos(found.st_ctime as i64, found.st_ctime_nsec as i64),
        mode: found.st_mode as u32,
    }
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
