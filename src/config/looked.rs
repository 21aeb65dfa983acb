//! What the way from a folder to a configuration rested on: every file read, every folder listed and
//! every place where nothing was. As long as all of it looks the same, the configuration is the same.

use std::cell::RefCell;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

/// Everything that was looked at so far: where, whether a symlink there was followed, and what was
/// there, if anything.
#[derive(Debug, Default)]
pub struct Looked(RefCell<Vec<(PathBuf, bool, Option<Metadata>)>>);

impl Looked {
    /// What is at `path`, symlinks followed; to be asked before it is read or listed.
    pub(super) fn behind(&self, path: &Path) -> io::Result<Metadata> {
        self.note(path, true, std::fs::metadata(path))
    }

    /// What is at `path` itself.
    pub(super) fn itself(&self, path: &Path) -> io::Result<Metadata> {
        self.note(path, false, std::fs::symlink_metadata(path))
    }

    fn note(&self, path: &Path, behind: bool, answer: io::Result<Metadata>) -> io::Result<Metadata> {
        self.0.borrow_mut().push((path.to_path_buf(), behind, answer.as_ref().ok().cloned()));
        answer
    }

    /// All looks, in the order they were taken.
    pub fn into_all(self) -> Vec<(PathBuf, bool, Option<Metadata>)> {
        self.0.into_inner()
    }
}
