//! What the audit asks of this machine.

use super::project::Place;
use crate::cache::{Last, Place as WeirFolder, State};
use crate::config::{Pattern, Task};
use crate::fingerprint::{InputError, Memo, Selection, Surveyor};
use crate::git;
use crate::graph::audit::{Ground, Script};
use crate::model::{TaskName, WsPath};
use crate::node::Outside;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The disk, the PATH and the record of a workspace.
pub struct Here {
    surveyor: Surveyor,
    outside: Arc<Outside>,
    state: State,
    tracked: Vec<String>,
    programs: Mutex<BTreeMap<(Vec<PathBuf>, String), bool>>,
}

impl Here {
    /// Of the workspace at `root`.
    pub fn new(root: &Path, place: &Place) -> Self {
        let state = WeirFolder::existing(root)
            .and_then(|weir| State::read(&weir.state()).ok())
            .map_or_else(State::forgetful, |(state, ..)| state);
        Self {
            surveyor: Surveyor::new(root, Memo::default()),
            outside: Arc::clone(&place.outside),
            state,
            tracked: git::tracked_files(root).unwrap_or_default(),
            programs: Mutex::default(),
        }
    }
}

impl Ground for Here {
    fn select(&self, patterns: &[Pattern]) -> Result<Vec<WsPath>, (String, String)> {
        match self.surveyor.select(patterns) {
            Ok(found) => Ok(found),
            Err(error @ InputError::NoMatch { .. }) => {
                let InputError::NoMatch { pattern, help } = error else { return Ok(vec![]) };
                Err((pattern, help))
            }
            // What can't be read is said when the task runs.
            Err(_) => Ok(vec![]),
        }
    }

    fn ignores(&self, path: &WsPath, is_dir: bool) -> bool {
        self.surveyor.rules().ignores(path, is_dir)
    }

    fn tracked(&self, patterns: &[Pattern]) -> Option<WsPath> {
        let selection = Selection::new(patterns);
        let mut candidates = Vec::new();
        for taken in &selection.takes {
            // The files are sorted: those below the prefix stand together.
            let prefix = taken.prefix.as_str();
            let from = self.tracked.partition_point(|file| file.as_str() < prefix);
            candidates.extend(self.tracked[from..].iter().take_while(|file| file.starts_with(prefix)));
        }
        candidates.into_iter().map(WsPath::from_clean).find(|path| selection.covers(path))
    }

    fn has_program(&self, task: &Task, name: &str) -> bool {
        let folders: Vec<PathBuf> = task.path.iter().map(|folder| folder.under(self.surveyor.root())).collect();
        let asked = (folders, name.to_owned());
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = programs.get(&asked) {
            return *known;
        }
        let outer = self.outside.vars.get("PATH").cloned().unwrap_or_else(OsString::new);
        let all = asked.0.iter().cloned().chain(std::env::split_paths(&outer));
        let found =
            std::env::join_paths(all).is_ok_and(|path| which::which_in(name, Some(path), self.surveyor.root()).is_ok());
        programs.insert(asked, found);
        found
    }

    fn is_dir(&self, path: &WsPath) -> bool {
        path.under(self.surveyor.root()).is_dir()
    }

    fn script(&self, path: &WsPath) -> Option<Script> {
        use std::os::unix::fs::PermissionsExt;
        let path = path.under(self.surveyor.root());
        let metadata = std::fs::metadata(&path).ok().filter(std::fs::Metadata::is_file)?;
        let mut head = Vec::new();
        std::fs::File::open(&path).ok()?.take(256).read_to_end(&mut head).ok()?;
        let line = head.split(|byte| *byte == b'\n').next().unwrap_or(&[]);
        Some(Script {
            executable: metadata.permissions().mode() & 0o111 != 0,
            crlf: line.starts_with(b"#!") && line.ends_with(b"\r"),
        })
    }

    fn took(&self, task: &TaskName) -> Option<Duration> {
        match self.state.last(task.as_str()) {
            Some(Last::Good(recorded)) => Some(Duration::from_millis(recorded.duration_ms)),
            _ => None,
        }
    }

    fn is_set(&self, name: &str) -> bool {
        self.outside.vars.contains_key(name)
    }
}
