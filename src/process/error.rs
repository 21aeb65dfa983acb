//! What can go wrong with processes, in words for people.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Something about processes that did not work. A command that ran and failed is not one.
#[derive(Debug, Clone)]
pub enum ProcessError {
    /// No such program: not in `PATH`, or not where its path says.
    ProgramMissing {
        /// As the command names it.
        program: String,
        /// It was looked for along `PATH`.
        in_path: bool,
    },
    /// The program is there and may not be executed.
    NotExecutable {
        /// As the command names it.
        program: String,
    },
    /// The script is there; the interpreter its first line names is not.
    InterpreterMissing {
        /// As the command names it.
        program: String,
        /// The script's first line, without `#!`.
        interpreter: String,
    },
    /// The directory to run in does not exist, or is not a directory.
    DirectoryMissing {
        /// As the command names it.
        program: String,
        /// The directory.
        directory: PathBuf,
    },
    /// A name, value or argument holds a NUL byte, which no process can be given.
    NulByte {
        /// As the command names it.
        program: String,
    },
    /// Any other reason the system gives for not starting it.
    Start {
        /// As the command names it.
        program: String,
        /// The system's error number.
        errno: i32,
    },
    /// The guard could not be started.
    GuardStart(String),
    /// The guard ended on its own: killed, most likely. What it guarded has been killed too.
    GuardGone,
    /// Everything was ended already (a finished run, a second Ctrl-C): nothing starts any more.
    Ended,
    /// Signals are being watched already.
    AlreadyWatching,
    /// Reading output, or preparing a pipe, failed.
    Io {
        /// What was being done.
        doing: &'static str,
        /// The system's error number, 0 if it gave none.
        errno: i32,
    },
}

impl ProcessError {
    /// An input or output error with what was being done.
    pub(crate) fn io(doing: &'static str, error: &io::Error) -> Self {
        Self::Io { doing, errno: error.raw_os_error().unwrap_or(0) }
    }
}

/// The system's words for an error number, in lower case and without the number.
fn words(errno: i32) -> String {
    let text = nix::errno::Errno::from_raw(errno).desc();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => format!("system error {errno}"),
    }
}

impl fmt::Display for ProcessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProgramMissing { program, in_path: true } => {
                write!(f, "failed to start `{program}`: no such program in PATH")
            }
            Self::ProgramMissing { program, in_path: false } => {
                write!(f, "failed to start `{program}`: no such file or directory")
            }
            Self::NotExecutable { program } => {
                write!(f, "failed to start `{program}`: permission denied (is it executable?)")
            }
            Self::InterpreterMissing { program, interpreter } => {
                write!(f, "failed to start `{program}`: its interpreter `{interpreter}` does not exist")
            }
            Self::DirectoryMissing { program, directory } => {
                write!(f, "failed to start `{program}`: no such directory `{}`", directory.display())
            }
            Self::NulByte { program } => {
                write!(f, "failed to start `{program}`: an argument or variable holds a NUL byte")
            }
            Self::Start { program, errno: nix::libc::E2BIG } => {
                write!(f, "failed to start `{program}`: its arguments and environment are too long")
            }
            Self::Start { program, errno } => {
                write!(f, "failed to start `{program}`: {}", words(*errno))
            }
            Self::GuardStart(why) => write!(f, "failed to start the process guard: {why}"),
            Self::GuardGone => f.write_str("the process guard ended unexpectedly; what it ran has been killed"),
            Self::Ended => f.write_str("nothing is started any more: the run is being ended"),
            Self::AlreadyWatching => f.write_str("signals are being watched already"),
            Self::Io { doing, errno } => write!(f, "failed to {doing}: {}", words(*errno)),
        }
    }
}

impl std::error::Error for ProcessError {}
