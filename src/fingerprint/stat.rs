//! Asking the system how a file looks, and the clock.

use crate::model::{Stat, WsPath};
use nix::fcntl::AtFlags;
use nix::libc;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

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
