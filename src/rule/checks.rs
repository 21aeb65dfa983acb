//! The checks of a database's gate, which are files with a header.

use super::change::FileChange;
use super::facts::Case;
use super::finding::{Change, Finding, Kind};
use std::collections::BTreeSet;

/// The id in a check's header.
pub fn check_id(text: &str) -> Option<String> {
    header(text, "id")
}

/// `-- name: value` in the comments that a text begins with.
fn header(text: &str, name: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim).take_while(|line| line.is_empty() || line.starts_with("--"));
    lines.find_map(|line| {
        let (key, value) = line.trim_start_matches('-').trim().split_once(':')?;
        (key.trim() == name && !value.trim().is_empty()).then(|| value.trim().to_owned())
    })
}

/// Checks that are gone, or whose findings mean less.
pub(super) fn findings(case: &Case) -> Vec<Finding> {
    let folders = &case.before.settings.checks;
    let ours = |file: &&FileChange| file.is_sql() && folders.iter().any(|folder| file.is_in(folder));
    let files: Vec<&FileChange> = case.files.iter().filter(ours).collect();
    let after: Vec<&str> = files.iter().filter_map(|file| file.after.as_text().ok().flatten()).collect();
    let ids: BTreeSet<String> = after.iter().filter_map(|text| check_id(text)).collect();
    let mut found = Vec::new();
    for file in &files {
        let Ok(Some(was)) = file.before.as_text() else { continue };
        let mut find = |object: &str, change, message: String| {
            found.push(Finding::new(Kind::Check, object, change, (&file.path, 1), message));
        };
        let Some(id) = check_id(was) else {
            // Tests of functions have no id; one that only moved is there under another name.
            if !file.after.exists() && !after.contains(&was) {
                find(&file.path, Change::Removed, format!("the check `{}` is gone", file.path));
            }
            continue;
        };
        if !ids.contains(&id) {
            find(&id, Change::Removed, format!("the check `{id}` of the gate is gone"));
            continue;
        }
        let Some(is) = after.iter().find(|text| check_id(text).as_ref() == Some(&id)) else { continue };
        let weak = |text: &str| header(text, "severity").is_some_and(|severity| severity != "error");
        if weak(is) && !weak(was) {
            find(&id, Change::Changed, format!("what the check `{id}` finds is no error any more"));
        }
        if header(was, "must-fail-after").is_some() && header(is, "must-fail-after").is_none() {
            find(&id, Change::Changed, format!("the check `{id}` does not prove any more that it can fail"));
        }
    }
    found
}
