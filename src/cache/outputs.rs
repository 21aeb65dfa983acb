//! What a task left in its declared outputs: taken down, looked over on a hit, restored.

use super::store::Store;
use crate::config::Pattern;
use crate::fingerprint::{InputError, Selection, Stat, Surveyor, What, digest_file};
use crate::model::{Digest, Hasher, WsPath};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// One path that a task left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Relative to the workspace root.
    pub path: WsPath,
    /// What is there.
    pub kind: EntryKind,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryKind {
    /// A regular file.
    File {
        /// Of its content.
        digest: Digest,
        /// Bytes.
        size: u64,
        /// Permission bits.
        mode: u32,
    },
    /// A symlink.
    Link {
        /// As written in the link.
        target: String,
    },
    /// An empty folder.
    Folder,
}

/// All paths that a task left in its declared outputs, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest(pub Vec<Entry>);

impl Manifest {
    /// What dependents' keys hold of it: paths, kinds, contents, the executable bit.
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::new();
        hasher.field(b"weir outputs 1");
        for entry in &self.0 {
            hasher.field(entry.path.as_str().as_bytes());
            match &entry.kind {
                EntryKind::File { digest, mode, .. } => {
                    hasher.update(if mode & 0o111 == 0 { b"f" } else { b"x" });
                    hasher.update(digest.as_bytes());
                }
                EntryKind::Link { target } => {
                    hasher.update(b"l");
                    hasher.field(target.as_bytes());
                }
                EntryKind::Folder => hasher.update(b"d"),
            }
        }
        hasher.finish()
    }
}

/// Takes down what `patterns` match now; the second value holds the patterns that match nothing.
///
/// # Errors
/// Something matched can't be read.
pub fn capture(surveyor: &Surveyor, patterns: &[Pattern]) -> Result<(Manifest, Vec<String>), InputError> {
    let (found, missing) = surveyor.outputs(patterns)?;
    let mut entries = Vec::with_capacity(found.len());
    for found in found {
        let kind = read_kind(surveyor, &found.path, &found.stat, found.what)
            .map_err(|error| InputError::Read { path: found.path.clone(), message: error.to_string() })?;
        entries.push(Entry { path: found.path, kind });
    }
    Ok((Manifest(entries), missing))
}

fn read_kind(surveyor: &Surveyor, path: &WsPath, stat: &Stat, what: What) -> io::Result<EntryKind> {
    Ok(match what {
        What::EmptyFolder => EntryKind::Folder,
        What::Link => EntryKind::Link {
            target: std::fs::read_link(path.under(surveyor.root()))?
                .into_os_string()
                .into_string()
                .map_err(|_| io::Error::other("the symlink's target is not UTF-8"))?,
        },
        What::File => {
            EntryKind::File { digest: surveyor.digest(path, stat)?, size: stat.size, mode: stat.permissions() }
        }
    })
}

/// How what is there compares with what should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// Missing or wrong, and to be restored.
    pub wrong: Vec<Entry>,
    /// There, but not in the manifest, and left so by an earlier result: to be removed.
    pub stale: Vec<Entry>,
    /// There, in neither: nobody knows what it is. Makes the task run.
    pub foreign: Vec<WsPath>,
    /// Folders in the outputs that hold nothing else than what is stale, deepest first.
    pub stale_folders: Vec<WsPath>,
    /// For people, a line each.
    pub lines: Vec<String>,
}

impl Survey {
    /// Whether everything is in place.
    pub fn is_clean(&self) -> bool {
        self.wrong.is_empty() && self.stale.is_empty() && self.foreign.is_empty()
    }
}

/// Compares what `patterns` match now with `manifest`; `earlier` is what an earlier result left.
///
/// # Errors
/// Something matched can't be read.
pub fn survey(
    surveyor: &Surveyor,
    patterns: &[Pattern],
    manifest: &Manifest,
    earlier: &Manifest,
) -> Result<Survey, InputError> {
    let mut result = Survey::default();
    if patterns.is_empty() && manifest.0.is_empty() {
        return Ok(result);
    }
    let (found, _) = surveyor.outputs(patterns)?;
    // Both sides are sorted by path.
    let mut there = found.into_iter().peekable();
    let mut extra = Vec::new();
    for entry in &manifest.0 {
        while there.peek().is_some_and(|found| found.path < entry.path) {
            extra.extend(there.next());
        }
        match there.next_if(|found| found.path == entry.path) {
            None => {
                result.lines.push(format!("output `{}` is missing", entry.path));
                result.wrong.push(entry.clone());
            }
            Some(found) => {
                if !read_kind(surveyor, &found.path, &found.stat, found.what).is_ok_and(|now| now == entry.kind) {
                    result.lines.push(format!("output `{}` was altered", entry.path));
                    result.wrong.push(entry.clone());
                }
            }
        }
    }
    extra.extend(there);
    let left: BTreeMap<&WsPath, &EntryKind> = earlier.0.iter().map(|entry| (&entry.path, &entry.kind)).collect();
    for found in extra {
        let known = left
            .get(&found.path)
            .filter(|kind| read_kind(surveyor, &found.path, &found.stat, found.what).is_ok_and(|now| now == ***kind));
        if let Some(kind) = known {
            result.lines.push(format!("`{}` was left by an earlier result", found.path));
            result.stale.push(Entry { path: found.path, kind: (*kind).clone() });
        } else if found.what != What::EmptyFolder {
            result.lines.push(format!("`{}` is in the outputs, but not from this task", found.path));
            result.foreign.push(found.path);
        }
    }
    if !result.stale.is_empty() {
        result.stale_folders = folders_of_stale(patterns, &result.stale);
    }
    Ok(result)
}

/// The folders above what is stale, as far as they are themselves in the outputs.
fn folders_of_stale(patterns: &[Pattern], stale: &[Entry]) -> Vec<WsPath> {
    let selection = Selection::new(patterns);
    let mut folders = BTreeSet::new();
    for entry in stale {
        let mut folder = entry.path.parent();
        while let Some(here) = folder.filter(|here| !here.is_root() && selection.covers(here)) {
            folder = here.parent();
            folders.insert(here);
        }
    }
    let mut folders: Vec<WsPath> = folders.into_iter().collect();
    folders.sort_by_key(|folder| std::cmp::Reverse(folder.components().count()));
    folders
}

/// What a restore did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restore {
    /// Files and links written.
    pub written: usize,
    /// Files removed.
    pub removed: usize,
}

/// Why a restore was not, or not wholly, done. The task then runs.
#[derive(Debug)]
pub enum RestoreError {
    /// The store does not hold this content (any more).
    NoBlob(WsPath),
    /// The store held other content under its name; it was taken away.
    Damaged(WsPath),
    /// It would write outside the workspace, or through a symlink that leads out of it.
    Outside(WsPath),
    /// It was to be removed as an earlier result's, and somebody has written it since.
    Altered(WsPath),
    /// Writing failed.
    Write(WsPath, io::Error),
}

impl std::fmt::Display for RestoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoBlob(path) => write!(f, "output `{path}` is no longer in the cache"),
            Self::Damaged(path) => write!(f, "output `{path}` was damaged in the cache"),
            Self::Outside(path) => write!(f, "output `{path}` lies behind a symlink that leads out of the workspace"),
            Self::Altered(path) => write!(f, "output `{path}` was written meanwhile, and was left alone"),
            Self::Write(path, error) => write!(f, "failed to restore output `{path}`: {error}"),
        }
    }
}

impl std::error::Error for RestoreError {}

/// Puts back what is wrong and removes what is stale. Looks before it writes: where a blob is
/// missing or a path leads out of the workspace, nothing is touched.
///
/// # Errors
/// [`RestoreError`].
pub fn restore(root: &Path, store: &Store, survey: &Survey) -> Result<Restore, RestoreError> {
    let real_root = std::fs::canonicalize(root).map_err(|error| RestoreError::Write(WsPath::root(), error))?;
    for entry in &survey.wrong {
        if let EntryKind::File { digest, .. } = &entry.kind
            && !store.has_blob(digest)
        {
            return Err(RestoreError::NoBlob(entry.path.clone()));
        }
    }
    let links: BTreeSet<&WsPath> = survey
        .wrong
        .iter()
        .filter(|entry| matches!(entry.kind, EntryKind::Link { .. }))
        .map(|entry| &entry.path)
        .collect();
    for path in survey.wrong.iter().chain(&survey.stale).map(|entry| &entry.path) {
        check_inside(&real_root, path)?;
        // A symlink that is yet to be restored leads wherever its text says.
        let mut above = path.parent();
        while let Some(folder) = above {
            if links.contains(&folder) {
                return Err(RestoreError::Outside(path.clone()));
            }
            above = folder.parent();
        }
    }
    let mut done = Restore::default();
    for stale in &survey.stale {
        // It was looked at before the task's lock was had; what somebody wrote since is not ours to remove.
        match remove_if(&stale.path.under(&real_root), &stale.kind) {
            Ok(true) => done.removed += 1,
            Ok(false) => return Err(RestoreError::Altered(stale.path.clone())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(RestoreError::Write(stale.path.clone(), error)),
        }
    }
    for folder in &survey.stale_folders {
        // One that still holds something stays.
        let _ = std::fs::remove_dir(folder.under(&real_root));
    }
    for entry in &survey.wrong {
        put(&real_root, store, entry)?;
        done.written += 1;
    }
    Ok(done)
}

/// Removes what is at a path if it is what it should be, read anew; otherwise it says no.
fn remove_if(path: &Path, expected: &EntryKind) -> io::Result<bool> {
    let metadata = std::fs::symlink_metadata(path)?;
    let same = match expected {
        EntryKind::Folder => metadata.is_dir(),
        EntryKind::Link { target } => metadata.is_symlink() && std::fs::read_link(path)?.as_os_str() == target.as_str(),
        EntryKind::File { digest, size, mode } => {
            let stat = Stat::of(&metadata);
            metadata.is_file()
                && metadata.len() == *size
                && stat.permissions() == *mode
                && digest_file(path)?.digest == *digest
        }
    };
    match (same, expected) {
        (false, _) => return Ok(false),
        // One that has been filled is no longer the empty one that was left.
        (true, EntryKind::Folder) => match std::fs::remove_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => return Ok(false),
            other => other?,
        },
        (true, _) => std::fs::remove_file(path)?,
    }
    Ok(true)
}

/// Refuses a path whose existing folders lead out of the workspace.
fn check_inside(real_root: &Path, path: &WsPath) -> Result<(), RestoreError> {
    let mut folder = path.parent();
    while let Some(here) = folder {
        match std::fs::canonicalize(here.under(real_root)) {
            Ok(real) if real.starts_with(real_root) => return Ok(()),
            Ok(_) => return Err(RestoreError::Outside(path.clone())),
            Err(_) if std::fs::symlink_metadata(here.under(real_root)).is_ok_and(|m| m.is_symlink()) => {
                // It dangles: creating folders would go through it.
                return Err(RestoreError::Outside(path.clone()));
            }
            Err(_) => folder = here.parent(),
        }
    }
    Ok(())
}

/// Removes the folders below `folder` that hold nothing, as stale files leave them behind.
fn remove_empty_folders(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_empty_folders(&entry.path())?;
            std::fs::remove_dir(entry.path())?;
        }
    }
    Ok(())
}

/// Where a file for `folder` is made before it is moved there: in `.weir`, so that a kill leaves
/// nothing among the outputs; beside its place where that is another file system.
fn scratch_for(store: &Store, folder: &Path) -> PathBuf {
    use std::os::unix::fs::MetadataExt;
    let scratch = store.scratch();
    let device = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.dev()).ok();
    let usable = std::fs::create_dir_all(scratch).is_ok() && device(scratch) == device(folder);
    if usable { scratch } else { folder }.to_path_buf()
}

fn put(real_root: &Path, store: &Store, entry: &Entry) -> Result<(), RestoreError> {
    let target = entry.path.under(real_root);
    let fail = |error: io::Error| RestoreError::Write(entry.path.clone(), error);
    let folder = target.parent().map(Path::to_path_buf).unwrap_or_default();
    std::fs::create_dir_all(&folder).map_err(fail)?;
    let scratch = scratch_for(store, &folder);
    if std::fs::symlink_metadata(&target).is_ok_and(|there| there.is_dir()) && !matches!(entry.kind, EntryKind::Folder)
    {
        // A folder where a file belongs; only an empty one goes, what is in a full one is foreign.
        remove_empty_folders(&target).and_then(|()| std::fs::remove_dir(&target)).map_err(fail)?;
    }
    match &entry.kind {
        EntryKind::Folder => {
            if std::fs::symlink_metadata(&target).is_ok_and(|there| !there.is_dir()) {
                std::fs::remove_file(&target).map_err(fail)?;
            }
            std::fs::create_dir_all(&target).and_then(|()| remove_empty_folders(&target)).map_err(fail)
        }
        EntryKind::Link { target: text } => {
            let link = tempfile::Builder::new()
                .prefix(".weir-tmp-")
                .make_in(&scratch, |path| symlink(text, path))
                .map_err(fail)?;
            link.persist(&target).map(drop).map_err(|error| fail(error.error))
        }
        EntryKind::File { digest, size, mode } => {
            let mut file = tempfile::Builder::new().prefix(".weir-tmp-").tempfile_in(&scratch).map_err(fail)?;
            match store.copy_blob(digest, file.as_file_mut()) {
                Ok((copied, length)) if copied == *digest && length == *size => {}
                Ok(_) => {
                    store.drop_blob(digest);
                    return Err(RestoreError::Damaged(entry.path.clone()));
                }
                Err(error) => return Err(fail(error)),
            }
            file.as_file().set_permissions(std::fs::Permissions::from_mode(*mode)).map_err(fail)?;
            file.persist(&target).map(drop).map_err(|error| fail(error.error))
        }
    }
}
