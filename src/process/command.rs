//! A command as plain data, where its program is found, and how it ended.

use super::{ProcessError, Signal};
use nix::unistd::{AccessFlags, access};
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

/// A program to run, with everything it will see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// A path (relative to `cwd`), or a name without a slash: then looked up in the `PATH` of `env`.
    pub program: OsString,
    /// Its arguments, without the program's name.
    pub args: Vec<OsString>,
    /// What it is told its name is; none: `program`.
    pub arg0: Option<OsString>,
    /// The whole environment; nothing is inherited. The last of equal names counts.
    pub env: Vec<(OsString, OsString)>,
    /// The directory it starts in.
    pub cwd: PathBuf,
    /// Where its input comes from and its output goes to.
    pub stdio: Stdio,
    /// Whom it runs as: user and group, without other groups; weir's own where none are named. Takes root.
    pub account: Option<(u32, u32)>,
}

/// Where input comes from and output goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdio {
    /// Input from `/dev/null`; both outputs into one pipe, in the order they were written.
    Capture,
    /// Input from `/dev/null`; a pipe for each output.
    CaptureSplit,
    /// weir's own input and outputs, in weir's own process group: it may read the terminal.
    Inherit,
}

impl Command {
    /// A command with an empty environment, captured.
    pub fn new(program: impl Into<OsString>, cwd: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            arg0: None,
            env: Vec::new(),
            cwd: cwd.into(),
            stdio: Stdio::Capture,
            account: None,
        }
    }

    /// The program for messages.
    pub(super) fn name(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }

    /// What the command is told its name is.
    pub(super) fn arg0(&self) -> &OsStr {
        self.arg0.as_deref().unwrap_or(&self.program)
    }

    /// The directory it starts in, absolute: the guard has another working directory.
    pub(super) fn directory(&self) -> Result<PathBuf, ProcessError> {
        std::path::absolute(&self.cwd)
            .map_err(|_| ProcessError::DirectoryMissing { program: self.name(), directory: self.cwd.clone() })
    }

    /// Finds the program's file the way a shell would; `cwd` is the absolute directory.
    ///
    /// # Errors
    /// It is not there, or not executable.
    pub fn locate(&self, cwd: &Path) -> Result<PathBuf, ProcessError> {
        if self.program.as_bytes().contains(&b'/') {
            return Ok(cwd.join(&self.program));
        }
        let path = self.env.iter().rev().find(|(name, _)| name == "PATH").map(|(_, value)| value);
        let mut forbidden = false;
        for folder in path.iter().flat_map(|path| std::env::split_paths(path)) {
            if self.program.is_empty() {
                break;
            }
            let file = cwd.join(folder).join(&self.program);
            if !file.is_file() {
                continue;
            }
            if access(&file, AccessFlags::X_OK).is_ok() {
                return Ok(file);
            }
            forbidden = true;
        }
        Err(match forbidden {
            true => ProcessError::NotExecutable { program: self.name() },
            false => ProcessError::ProgramMissing { program: self.name(), in_path: true },
        })
    }

    /// Why the system would not start it: its error number alone does not say what is missing.
    pub(super) fn diagnose(&self, file: &Path, cwd: &Path, errno: i32) -> ProcessError {
        let program = self.name();
        if !cwd.is_dir() {
            return ProcessError::DirectoryMissing { program, directory: cwd.to_owned() };
        }
        match errno {
            nix::libc::ENOENT | nix::libc::ENOTDIR if file.exists() => match interpreter(file) {
                Some(interpreter) => ProcessError::InterpreterMissing { program, interpreter },
                None => ProcessError::Start { program, errno },
            },
            nix::libc::ENOENT | nix::libc::ENOTDIR => ProcessError::ProgramMissing { program, in_path: false },
            nix::libc::EACCES => ProcessError::NotExecutable { program },
            nix::libc::EINVAL => ProcessError::NulByte { program },
            nix::libc::ECANCELED => ProcessError::Ended,
            _ => ProcessError::Start { program, errno },
        }
    }
}

/// What a script's first line names.
fn interpreter(file: &Path) -> Option<String> {
    let mut line = Vec::new();
    let reader = BufReader::new(std::fs::File::open(file).ok()?);
    reader.take(256).read_until(b'\n', &mut line).ok()?;
    let named = line.strip_prefix(b"#!")?;
    Some(String::from_utf8_lossy(named).trim().to_owned())
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// A signal ended it, by name: `SIGKILL`.
    Signal(String),
}

impl Exit {
    /// Whether it exited with code 0.
    pub fn success(&self) -> bool {
        *self == Self::Code(0)
    }

    /// From the status word of `wait`.
    pub(super) fn from_wait_status(status: i32) -> Self {
        let status = ExitStatus::from_raw(status);
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, Some(number)) => Self::Signal(Signal::name_of(number)),
            (None, None) => Self::Code(-1),
        }
    }
}

/// What a process and those it waited for have used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Processor time in user code.
    pub user: Duration,
    /// Processor time in the kernel.
    pub system: Duration,
    /// The largest resident set of any one of them, in bytes.
    pub max_rss: u64,
}
