//! What tests of processes, of bad input and of features need beyond a workspace.

use crate::support::{Ran, Workspace, alive, wait_until};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// A command that puts the number of the process it runs in on a line of `../NAME`.
pub fn note_pid(name: &str) -> String {
    format!("echo $$ >> ../{name}")
}

/// Waits until `../NAME` holds `count` numbers of processes; these.
pub fn pids(ws: &Workspace, name: &str, count: usize) -> Vec<u32> {
    let file = ws.outside(name);
    let mut found = Vec::new();
    wait_until(&format!("{count} processes are in `{name}`"), || {
        let text = fs::read_to_string(&file).unwrap_or_default();
        found = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')?.parse().ok()).collect();
        found.len() >= count
    });
    found
}

/// Waits until none of them is there any more.
pub fn all_end(pids: &[u32]) {
    wait_until(&format!("all of {pids:?} have ended"), || !pids.iter().any(|pid| alive(*pid)));
}

/// The last line that is not empty.
pub fn last_line(text: &str) -> &str {
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("")
}

/// What a call printed as JSON.
pub fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.shown()))
}

/// Everything below a folder: path, what it is, size, content and times; to tell whether anything
/// at all was changed.
pub fn listing(folder: &Path) -> Vec<String> {
    use std::os::unix::fs::MetadataExt;
    walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .map(Result::unwrap)
        .map(|entry| {
            let meta = entry.metadata().unwrap();
            format!(
                "{} {:o} {} {}.{} {}",
                entry.path().display(),
                meta.mode(),
                meta.size(),
                meta.mtime(),
                meta.mtime_nsec(),
                meta.ino()
            )
        })
        .collect()
}

/// It was refused because of the configuration or the call: exit code 2, nothing run or recorded.
pub fn refused(ws: &Workspace, ran: Ran) -> Ran {
    assert!(!ran.recorded(), "it was run: {}", ran.shown());
    assert!(!ws.exists(".weir"), "`.weir` was made: {}", ran.shown());
    ran.exit(2)
}
