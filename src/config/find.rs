//! Which `tasks.toml` is the workspace's.

use super::include::{Included, resolve};
use super::looked::Looked;
use super::text::{FILE_NAME, read_text};
use crate::model::WsPath;
use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// Where the configuration is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The root's `tasks.toml`, for [`super::load`].
    pub root_file: PathBuf,
    /// Its folder: the workspace root.
    pub root: PathBuf,
    /// The folder of the nearest `tasks.toml`, relative to the root.
    pub folder: WsPath,
}

/// There is no configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindError {
    /// One line, lower case.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl fmt::Display for FindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for FindError {}

/// Finds the outermost `tasks.toml` above `start` (an absolute path) that includes, directly or
/// through others, the nearest one at or above it; the nearest one where none does. Files that
/// can't be read, or are no valid TOML, include nothing. Anything called `tasks.toml` counts, a
/// directory too: [`super::load`] then says what is wrong with it.
///
/// # Errors
/// No `tasks.toml` at or above `start`, or a folder's name on the way is not UTF-8.
pub fn find(start: &Path, looked: &Looked) -> Result<Found, FindError> {
    let mut folders = start.ancestors().filter(|folder| looked.itself(&folder.join(FILE_NAME)).is_ok());
    let nearest = folders.next().ok_or_else(|| FindError {
        message: format!("no `{FILE_NAME}` in `{}` or above it", start.display()),
        help: "run `weir init` to write one".to_owned(),
    })?;
    let above: Vec<&Path> = folders.collect();
    for root in above.into_iter().rev() {
        let Some(folder) = below(root, nearest) else {
            continue;
        };
        if includes(root, &WsPath::from_clean(FILE_NAME), &folder.join(FILE_NAME), &mut HashSet::new(), looked) {
            return Ok(Found { root_file: root.join(FILE_NAME), root: root.to_path_buf(), folder });
        }
    }
    Ok(Found { root_file: nearest.join(FILE_NAME), root: nearest.to_path_buf(), folder: WsPath::root() })
}

/// `path` relative to `root`; none where it is not UTF-8.
fn below(root: &Path, path: &Path) -> Option<WsPath> {
    let text = path.strip_prefix(root).ok()?.to_str()?;
    WsPath::resolve(&WsPath::root(), text).ok()
}

/// Whether `file` includes `target`, directly or through others.
fn includes(root: &Path, file: &WsPath, target: &WsPath, seen: &mut HashSet<WsPath>, looked: &Looked) -> bool {
    if !seen.insert(file.clone()) {
        return false;
    }
    let Ok(text) = read_text(&file.under(root), file.as_str(), looked) else {
        return false;
    };
    let Ok(table) = DeTable::parse(&text) else {
        return false;
    };
    let folder = file.parent().unwrap_or_default();
    let elements = match table.get_ref().get("include").map(|value| value.get_ref()) {
        Some(DeValue::String(one)) => vec![one.as_ref()],
        Some(DeValue::Array(list)) => list.iter().filter_map(|value| value.get_ref().as_str()).collect(),
        _ => return false,
    };
    elements.into_iter().any(|raw| {
        let files = match resolve(root, &folder, raw, looked) {
            Ok(Included::File(file)) => vec![file],
            Ok(Included::Glob(files)) => files,
            Err(_) => return false,
        };
        files.iter().any(|included| included == target || includes(root, included, target, seen, looked))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    fn found(dir: &tempfile::TempDir, start: &str) -> (String, String) {
        let start = dir.path().join(start);
        std::fs::create_dir_all(&start).unwrap();
        let found = find(&start, &Looked::default()).unwrap();
        assert_eq!(found.root_file, found.root.join("tasks.toml"));
        let root = found.root.strip_prefix(dir.path()).unwrap().to_str().unwrap().to_owned();
        (root, found.folder.as_str().to_owned())
    }

    #[test]
    fn the_outermost_that_includes_the_nearest_wins() {
        let dir = workspace(&[
            ("tasks.toml", "version = 1\ninclude = ['a/tasks.toml']"),
            ("a/tasks.toml", "include = '*/tasks.toml'"),
            ("a/b/tasks.toml", ""),
            ("c/tasks.toml", "version = 1"),
            ("a/d/e/tasks.toml", "version = 1"),
        ]);
        assert_eq!(found(&dir, "a/b/deep/er"), (String::new(), "a/b".into()));
        assert_eq!(found(&dir, "a"), (String::new(), "a".into()));
        assert_eq!(found(&dir, "x"), (String::new(), String::new()));
        assert_eq!(found(&dir, "c/src"), ("c".into(), String::new()), "not included, so on its own");
        assert_eq!(found(&dir, "a/d/e"), ("a/d/e".into(), String::new()));
    }

    #[test]
    fn broken_outer_files_include_nothing() {
        for outer in ["include = ['a/tasks.toml'", "include = 3", "include = ['tasks.toml', 'a/task.toml']"] {
            let dir = workspace(&[("tasks.toml", outer), ("a/tasks.toml", "version = 1")]);
            assert_eq!(found(&dir, "a"), ("a".into(), String::new()), "{outer}");
        }
    }

    #[test]
    fn none_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let error = find(dir.path(), &Looked::default()).unwrap_err();
        assert!(error.message.contains("no `tasks.toml`") && error.help.contains("weir init"));
    }

    #[test]
    fn a_directory_of_that_name_counts() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("tasks.toml")).unwrap();
        assert_eq!(find(dir.path(), &Looked::default()).unwrap().root, dir.path());
    }
}
