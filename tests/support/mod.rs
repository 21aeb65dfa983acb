//! Workspaces in temporary folders, weir run in them, and what its record of a run says.

pub mod postgres;
mod puppet;
mod ran;
pub mod stored;
mod terminal;
mod workspace;

pub use puppet::Puppet;
pub use ran::Ran;
pub use terminal::Terminal;
pub use workspace::{Running, Weir, Workspace};

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up; no test waits this long when all is well.
const DEADLINE: Duration = Duration::from_secs(60);

/// Looks again and again until `condition` holds. The only place in the tests that waits.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// Whether a process is there and is not a zombie.
pub fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}
