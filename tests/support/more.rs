//! What tests of processes, of bad input and of features need beyond a workspace.

use crate::support::{Ran, Workspace, alive, wait_until};
use serde_json::Value;
use std::fs;
use std::path::Path;

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

/// What a script of the shell did, bytes as they are.
pub struct Scripted {
    /// Its exit code; 128 and the signal's number where one ended it.
    pub code: i32,
    /// Standard output.
    pub out: Vec<u8>,
    /// Standard error, for messages.
    pub err: String,
}

impl Scripted {
    /// Everything, for messages of failed assertions.
    pub fn shown(&self) -> String {
        format!("exit code {}\n--- out\n{}--- err\n{}---", self.code, String::from_utf8_lossy(&self.out), self.err)
    }

    /// It must have exited with this code.
    pub fn exit(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.shown());
        self
    }

    /// It must have said this.
    pub fn says(self, text: &str) -> Self {
        assert!(self.shown().contains(text), "`{text}` is not said: {}", self.shown());
        self
    }
}

/// Runs a script of the shell in the workspace; `$WEIR` is weir. For what a plain call can't do:
/// limits, mounts, bytes.
pub fn script(ws: &Workspace, text: &str) -> Scripted {
    scripted(ws, "sh", &["-c", text])
}

/// The same, where file systems may be mounted that no one else sees; none where that is forbidden.
pub fn script_with_mounts(ws: &Workspace, text: &str) -> Option<Scripted> {
    let try_it = format!("mount -t tmpfs tmpfs '{}'", ws.outside("home").display());
    let allowed = scripted(ws, "unshare", &["-rm", "sh", "-c", &try_it]).code == 0;
    allowed.then(|| scripted(ws, "unshare", &["-rm", "sh", "-ec", text]))
}

fn scripted(ws: &Workspace, program: &str, arguments: &[&str]) -> Scripted {
    use std::os::unix::process::ExitStatusExt;
    let done = std::process::Command::new(program)
        .args(arguments)
        .current_dir(ws.root())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", ws.outside("home"))
        .env("WEIR", env!("CARGO_BIN_EXE_weir"))
        .stdin(std::process::Stdio::null())
        .output();
    match done {
        Ok(done) => Scripted {
            code: done.status.code().unwrap_or_else(|| 128 + done.status.signal().unwrap_or(0)),
            out: done.stdout,
            err: String::from_utf8_lossy(&done.stderr).into_owned(),
        },
        Err(error) => Scripted { code: 127, out: vec![], err: error.to_string() },
    }
}
