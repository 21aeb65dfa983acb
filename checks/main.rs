//! What holds of the whole repository and that no compiler checks: ranks and fences of the modules,
//! generated files, dependencies, links in the documents.

#![allow(clippy::unwrap_used)]

mod dependencies;
mod documents;
mod generated;
mod house;
mod ranks;
mod source;

use std::path::{Path, PathBuf};

/// The top of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder` with this extension: path relative to the top, and text; sorted.
fn files(folder: &str, extension: &str) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = walkdir::WalkDir::new(root().join(folder))
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path: &PathBuf| path.extension().is_some_and(|found| found == extension))
        .map(|path| {
            let relative = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            (relative, std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    all.sort();
    all
}

/// Fails with all findings at once, a line each.
#[track_caller]
fn assert_none(findings: &[String], help: &str) {
    assert!(findings.is_empty(), "\n{}\nhelp: {help}\n", findings.join("\n"));
}
