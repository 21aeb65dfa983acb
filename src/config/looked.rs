//! What the way from a folder to a configuration rested on: every file read, every folder listed and
//! every place where nothing was. As long as all of it looks the same, the configuration is the same.

use crate::model::Look;
use std::cell::RefCell;
use std::fs::Metadata;
use std::io;
use std::path::Path;

/// Everything that was looked at so far.
#[derive(Debug, Default)]
pub struct Looked(RefCell<Vec<Look>>);

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
        self.0.borrow_mut().push(Look::of(path, behind, &answer));
        answer
    }

    /// All looks, in the order they were taken.
    pub fn into_looks(self) -> Vec<Look> {
        self.0.into_inner()
    }
}
