//! `weir import`: what it writes loads, and does what the other tool does.

mod mise;
mod others;

use crate::support::Workspace;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A folder of `tests/fixtures/import`.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/import").join(name)
}

/// A workspace without a tasks.toml that holds a copy of a fixture.
fn copy_of(name: &str) -> Workspace {
    let ws = empty();
    copy(&fixture(name), &ws.root());
    ws
}

/// A workspace with nothing in it.
fn empty() -> Workspace {
    let ws = Workspace::new("");
    ws.remove("tasks.toml");
    ws
}

fn copy(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from).min_depth(1) {
        let entry = entry.unwrap();
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir_all(&target).unwrap();
        } else {
            fs::copy(entry.path(), &target).unwrap();
            let mode = entry.metadata().unwrap().permissions().mode();
            fs::set_permissions(&target, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
}

/// Imports a file; what is written must load, and the audit must find no errors.
fn imported(ws: &Workspace, file: &str) -> String {
    let said = ws.weir(&["import", file]).ok().out;
    ws.weir(&["tasks", "ls", "--all"]).ok();
    ws.weir(&["tasks", "deps", "check"]).ok();
    said
}
