//! Replacing a file as one step: a reader sees the old content or the new, never a part.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A temporary file that will be what a program creates by itself: readable as the umask says.
pub(super) fn temporary(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mode = std::fs::Permissions::from_mode(0o666);
    tempfile::Builder::new().prefix(".tmp-").permissions(mode).tempfile_in(folder)
}

/// Writes `data` to a new file at `path`, whole or not at all.
///
/// # Errors
/// Something is at `path` already, and is left as it is; or what creating and writing report.
pub fn create(path: &Path, data: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| io::Error::other("a file needs a folder"))?;
    let mut file = temporary(folder)?;
    file.write_all(data)?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    Ok(())
}

/// Writes `data` to `path` through a temporary file beside it and a rename. The folder must exist.
/// Not forced to the disk: after a power failure the file may be empty or old, and its reader must
/// check what it reads.
///
/// # Errors
/// Whatever creating, writing or renaming reports; the old file is then untouched.
pub fn replace(path: &Path, data: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| io::Error::other("a file needs a folder"))?;
    let mut file = temporary(folder)?;
    file.write_all(data)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
