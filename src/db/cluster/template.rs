//! Initialised data folders, kept in the user's cache: copying one takes a fraction of what `initdb` does.
//!
//! An entry appears whole, by a rename, and is never changed. Its name says what made it.

use super::Programs;
use super::account::Account;
use crate::model::Hasher;
use crate::node::Outside;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Counts up when what is copied, or how it is made, changes.
const FORMAT: u32 = 1;

/// The user's folder for what can be made again: `XDG_CACHE_HOME/weir` or `~/.cache/weir`.
pub fn cache(outside: &Outside) -> Option<PathBuf> {
    let absolute = |name: &str| outside.vars.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let above = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
    Some(above.join("weir"))
}

/// Where the data folder that these programs make with these options is kept.
pub fn place(outside: &Outside, programs: &Programs, options: &[&str]) -> Option<PathBuf> {
    let binary = fs::metadata(programs.bin.join("postgres")).ok()?;
    let mut hasher = Hasher::new();
    hasher.field(&FORMAT.to_le_bytes());
    hasher.field(programs.bin.as_os_str().as_encoded_bytes());
    hasher.field(programs.told.as_bytes());
    hasher.field(format!("{} {} {}", binary.len(), binary.mtime(), binary.mtime_nsec()).as_bytes());
    options.iter().for_each(|option| hasher.field(option.as_bytes()));
    let name = format!("{}-{}", programs.major, &hasher.finish().to_hex()[..16]);
    Some(cache(outside)?.join("clusters").join(name))
}

/// Keeps a copy of a data folder that no server has used yet. Of two at once one wins, and both are the same.
///
/// # Errors
/// The system's own; nothing is kept then.
pub fn keep(data: &Path, place: &Path) -> io::Result<()> {
    let Some(folder) = place.parent() else { return Ok(()) };
    fs::create_dir_all(folder)?;
    remove_abandoned(folder);
    let making = tempfile::Builder::new().prefix(".making-").tempdir_in(folder)?;
    let copy = making.path().join("data");
    copy_tree(data, &copy, None)?;
    match fs::rename(&copy, place) {
        Err(error) if place.is_dir() => {
            tracing::debug!(%error, "another weir kept the same cluster");
            Ok(())
        }
        done => done,
    }
}

/// What a weir that was killed left half made more than an hour ago: nobody works on it that long.
fn remove_abandoned(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let abandoned = entry.file_name().as_encoded_bytes().starts_with(b".making-")
            && entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|time| time.elapsed().is_ok_and(|age| age.as_secs() > 3600));
        if abandoned {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Copies a folder with all that is in it, readable for its owner alone: `account`, or whoever runs weir.
///
/// # Errors
/// The system's own.
pub fn copy_tree(from: &Path, to: &Path, account: Option<&Account>) -> io::Result<()> {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry?;
        let target = to.join(entry.path().strip_prefix(from).unwrap_or(Path::new("")));
        let mode = if entry.file_type().is_dir() {
            if entry.depth() > 0 || !target.is_dir() {
                fs::create_dir(&target)?;
            }
            0o700
        } else {
            fs::copy(entry.path(), &target)?;
            0o600
        };
        fs::set_permissions(&target, Permissions::from_mode(mode))?;
        if let Some(account) = account {
            account.give(&target)?;
        }
    }
    Ok(())
}
