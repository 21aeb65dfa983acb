//! Whom a private server runs as: Postgres refuses to run as root.

use crate::db::error::DbError;
use nix::unistd::{Gid, Uid, User, chown, geteuid};
use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// An account other than weir's own.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its number.
    pub user: u32,
    /// Its group's.
    pub group: u32,
}

impl Account {
    /// The one that a server started by this process needs; none: its own will do.
    ///
    /// # Errors
    /// weir runs as root, and there is no account to run a server under.
    pub fn needed() -> Result<Option<Self>, DbError> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        let known = |name: &&str| User::from_name(name).ok().flatten();
        let Some(user) = ["postgres", "nobody"].iter().find_map(known) else {
            return Err(DbError::failed("Postgres does not run as root, and there is no account to run it under")
                .help("add an account `postgres`: `useradd --system postgres`"));
        };
        Ok(Some(Self { name: user.name, user: user.uid.as_raw(), group: user.gid.as_raw() }))
    }

    /// For [`crate::process::Command`].
    pub fn pair(&self) -> (u32, u32) {
        (self.user, self.group)
    }

    /// Whether it may pass through `folder` and all above it.
    pub fn may_enter(&self, folder: &Path) -> bool {
        let may_pass = |metadata: Metadata| {
            let bit = if metadata.uid() == self.user {
                0o100
            } else if metadata.gid() == self.group {
                0o010
            } else {
                0o001
            };
            metadata.mode() & bit != 0
        };
        folder.ancestors().all(|folder| fs::metadata(folder).is_ok_and(may_pass))
    }

    /// Gives it a file or folder.
    ///
    /// # Errors
    /// The system's own.
    pub fn give(&self, path: &Path) -> io::Result<()> {
        Ok(chown(path, Some(Uid::from_raw(self.user)), Some(Gid::from_raw(self.group)))?)
    }
}

/// Makes a folder that only `account`, or whoever runs weir, can enter. One that is there must be theirs:
/// in a folder like `/tmp` anybody could have put it there.
///
/// # Errors
/// The system's own, or it is somebody else's.
pub fn private_folder(path: &Path, account: Option<&Account>) -> io::Result<()> {
    let owner = account.map_or_else(|| geteuid().as_raw(), |account| account.user);
    match fs::create_dir(path) {
        Ok(()) => {
            fs::set_permissions(path, Permissions::from_mode(0o700))?;
            account.map_or(Ok(()), |account| account.give(path))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let metadata = fs::symlink_metadata(path)?;
            // Killed between making it and giving it away: it is still root's.
            let theirs = metadata.is_dir() && (metadata.uid() == owner || metadata.uid() == geteuid().as_raw());
            if !theirs {
                return Err(io::Error::other(format!("`{}` belongs to somebody else", path.display())));
            }
            fs::set_permissions(path, Permissions::from_mode(0o700))?;
            account.map_or(Ok(()), |account| account.give(path))
        }
        Err(error) => Err(error),
    }
}

/// Lets everybody pass through a folder of weir's own, without reading it.
///
/// # Errors
/// The system's own.
pub fn open_way(folder: &Path) -> io::Result<()> {
    let mode = fs::metadata(folder)?.permissions().mode();
    if mode & 0o001 == 0 { fs::set_permissions(folder, Permissions::from_mode(mode | 0o001)) } else { Ok(()) }
}
