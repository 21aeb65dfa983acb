//! The workspace's ignore files: `.gitignore` and `.ignore`, from the workspace root down, and
//! none of the user's own.

use super::stat::Look;
use super::trail::Trail;
use crate::model::WsPath;
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustc_hash::FxHashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

/// The names of ignore files.
pub const NAMES: [&str; 2] = [".gitignore", ".ignore"];

/// The ignore rules of a workspace, read folder by folder as they are needed.
#[derive(Debug)]
pub struct IgnoreRules {
    root: PathBuf,
    folders: RwLock<FxHashMap<WsPath, Option<Arc<Gitignore>>>>,
    trail: Option<Arc<Trail>>,
}

impl IgnoreRules {
    /// The rules of the workspace at `root`, none read yet.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf(), folders: RwLock::default(), trail: None }
    }

    /// The same, noting which ignore files are looked for. Of a folder that was listed and holds
    /// none, the listing is on the trail.
    #[must_use]
    pub fn noting(mut self, trail: Arc<Trail>) -> Self {
        self.trail = Some(trail);
        self
    }

    /// Forgets what was read; files may have changed.
    pub fn forget(&self) {
        if let Ok(mut folders) = self.folders.write() {
            folders.clear();
        }
    }

    /// Takes note that `folder` was listed and holds no ignore file.
    pub fn note_none(&self, folder: &WsPath) {
        if let Ok(mut folders) = self.folders.write() {
            folders.entry(folder.clone()).or_insert(None);
        }
    }

    /// Whether `path` itself is ignored: by a rule on it, or because a folder above it is.
    pub fn ignores(&self, path: &WsPath, is_dir: bool) -> bool {
        let mut folder = WsPath::root();
        let parts: Vec<&str> = path.components().collect();
        for (index, part) in parts.iter().enumerate() {
            folder = folder.join(part);
            let last = index + 1 == parts.len();
            if self.rule_on(&folder, !last || is_dir) {
                return true;
            }
        }
        false
    }

    /// Whether a rule is on this very path; the folders above it are known not to be ignored.
    pub fn rule_on(&self, path: &WsPath, is_dir: bool) -> bool {
        let mut folder = path.parent();
        while let Some(here) = folder {
            if let Some(rules) = self.of_folder(&here) {
                // Relative to the folder of the rules, as the matcher wants it.
                let below = path.as_str()[here.as_str().len()..].trim_start_matches('/');
                match rules.matched(below, is_dir) {
                    Match::Ignore(_) => return true,
                    Match::Whitelist(_) => return false,
                    Match::None => {}
                }
            }
            folder = here.parent();
        }
        false
    }

    fn of_folder(&self, folder: &WsPath) -> Option<Arc<Gitignore>> {
        if let Ok(folders) = self.folders.read()
            && let Some(known) = folders.get(folder)
        {
            return known.clone();
        }
        let read = self.read(folder).map(Arc::new);
        if let Ok(mut folders) = self.folders.write() {
            folders.insert(folder.clone(), read.clone());
        }
        read
    }

    fn read(&self, folder: &WsPath) -> Option<Gitignore> {
        let mut builder: Option<GitignoreBuilder> = None;
        for name in NAMES {
            let path = folder.join(name);
            let absolute = path.under(&self.root);
            if let Some(trail) = &self.trail {
                trail.note_for_all(&Look::of(path.as_str(), true, std::fs::metadata(&absolute).ok().as_ref()));
            }
            let Ok(text) = std::fs::read(absolute) else { continue };
            let builder = builder.get_or_insert_with(|| GitignoreBuilder::new(""));
            for line in String::from_utf8_lossy(&text).lines() {
                // A line git would not understand is no rule.
                let _ = builder.add_line(None, line);
            }
        }
        builder?.build().ok().filter(|rules| !rules.is_empty())
    }
}
