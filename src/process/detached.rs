//! A process meant to outlive weir: a database server. The one thing that the guard does not start.

#![allow(unsafe_code)]

use super::ProcessError;
use super::command::{Command, Exit};
use super::link::Guard;
use super::signal::forget_dispositions;
use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use std::fs::File;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Stdio;

/// A process in a session of its own. Dropping this leaves it running.
#[derive(Debug)]
pub struct Detached(std::process::Child);

impl Detached {
    /// Its number, which is also its group's and its session's.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// `Io` if the system does not say.
    pub fn ended(&mut self) -> Result<Option<Exit>, ProcessError> {
        let status = self.0.try_wait().map_err(|e| ProcessError::io("ask for a process", &e))?;
        Ok(status.map(|status| Exit::from_wait_status(status.into_raw())))
    }
}

impl Guard {
    /// Starts a command that lives on whatever becomes of weir. Its input is `/dev/null`, its
    /// outputs go to `log`; `stdio` does not count.
    ///
    /// # Errors
    /// As [`Guard::spawn`].
    pub fn detach(&self, command: &Command, log: File) -> Result<Detached, ProcessError> {
        let cwd = command.directory()?;
        let file = command.locate(&cwd)?;
        let errors = log.try_clone().map_err(|e| ProcessError::io("open a log", &e))?;
        let mut start = std::process::Command::new(&file);
        start.arg0(command.arg0()).args(&command.args).current_dir(&cwd);
        start.env_clear().envs(command.env.iter().map(|(name, value)| (name, value)));
        start.stdin(Stdio::null()).stdout(log).stderr(errors);
        if let Some((user, group)) = command.account {
            start.uid(user).gid(group);
        }
        // SAFETY: between fork and exec, `leave_home` makes system calls only.
        unsafe { start.pre_exec(leave_home) };
        let child =
            start.spawn().map_err(|e| command.diagnose(&file, &cwd, e.raw_os_error().unwrap_or(libc::EINVAL)))?;
        self.link.spare(child.id());
        Ok(Detached(child))
    }
}

/// A session of its own, clean signals, no descriptors but the standard ones.
fn leave_home() -> io::Result<()> {
    nix::unistd::setsid()?;
    forget_dispositions();
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    #[cfg(target_os = "linux")]
    // SAFETY: only marks descriptors to be closed by `exec`. A kernel that does not know the call
    // lets through what weir itself was given, as any program does.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
    };
    Ok(())
}
