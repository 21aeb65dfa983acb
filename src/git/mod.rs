//! Rank 1: reading a repository, by git's own plumbing commands: they read every repository there
//! is (worktrees, alternates, partial clones), and a library would be one more thing to keep.

mod repository;

pub use repository::{Change, GitError, Head, Object, Repository, Status};

use std::path::Path;
use std::process::{Command, Stdio};

/// The tracked files below `folder`, relative to it, sorted; none where there is no repository or
/// no git.
pub fn tracked_files(folder: &Path) -> Option<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    if !output.status.success() {
        return None;
    }
    let mut files: Vec<String> = output
        .stdout
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .filter_map(|name| String::from_utf8(name.to_vec()).ok())
        .collect();
    files.sort_unstable();
    Some(files)
}
