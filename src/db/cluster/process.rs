//! The running process of a private cluster.

use crate::db::error::DbError;
#[cfg(not(target_os = "linux"))]
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// A server's main process.
#[derive(Debug)]
pub struct Postmaster {
    pid: u32,
    data: PathBuf,
}

impl Postmaster {
    /// The one that works in this data folder. A file left behind by one that was killed is removed where its
    /// process is somebody else's by now: Postgres would believe it.
    pub fn of(data: &Path) -> Option<Self> {
        let file = data.join("postmaster.pid");
        let pid: u32 = fs::read_to_string(&file).ok()?.lines().next()?.trim().parse().ok()?;
        if works_in(pid, data) {
            return Some(Self { pid, data: data.to_path_buf() });
        }
        let _ = fs::remove_file(&file);
        None
    }

    /// Ends it: quickly but in order; if that takes too long, at once.
    ///
    /// # Errors
    /// It does not end.
    pub async fn stop(self, patience: Duration) -> Result<(), DbError> {
        for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGKILL] {
            super::process::signal(self.pid, signal);
            let deadline = Instant::now() + patience;
            while Instant::now() < deadline {
                reap(self.pid);
                if !works_in(self.pid, &self.data) {
                    let _ = fs::remove_file(self.data.join("postmaster.pid"));
                    return Ok(());
                }
                tokio::time::sleep(super::LOOK_AGAIN).await;
            }
        }
        Err(DbError::failed(format!("the database server (pid {}) does not end", self.pid)))
    }
}

/// Signals a process.
pub fn signal(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// Takes leave of it, should it be this process's child.
fn reap(pid: u32) {
    if let Ok(pid) = i32::try_from(pid) {
        let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
    }
}

/// Whether a process runs in this folder, which is where a server of Postgres goes first.
#[cfg(target_os = "linux")]
fn works_in(pid: u32, folder: &Path) -> bool {
    let (Ok(there), Ok(folder)) = (fs::read_link(format!("/proc/{pid}/cwd")), fs::canonicalize(folder)) else {
        return false;
    };
    // A zombie has no folder.
    there == folder
}

/// Whether a process was started on this folder, which is what systems without `/proc` tell.
#[cfg(not(target_os = "linux"))]
fn works_in(pid: u32, folder: &Path) -> bool {
    let told = std::process::Command::new("ps").args(["-o", "command=", "-p", &pid.to_string()]).output();
    let there = i32::try_from(pid).is_ok_and(|pid| kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH));
    there && told.is_ok_and(|told| String::from_utf8_lossy(&told.stdout).contains(&*folder.to_string_lossy()))
}
