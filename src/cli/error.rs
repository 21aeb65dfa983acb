//! What can go wrong on the way, and the exit codes.

use super::print;
use super::render;
use crate::config::{Diagnostic, SourceFile};

/// A task failed, or an audit found errors.
pub const FAILED: u8 = 1;
/// The invocation or a configuration file is wrong.
pub const USAGE: u8 = 2;
/// Refused by a safety rule.
pub const REFUSED: u8 = 3;
/// A defect in weir.
pub const DEFECT: u8 = 70;

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub enum CliError {
    /// The invocation is wrong.
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// The configuration is wrong.
    Config {
        /// All of it.
        diagnostics: Vec<Diagnostic>,
        /// The files they speak of.
        files: Vec<SourceFile>,
    },
    /// A safety rule says no.
    Refused {
        /// Which.
        message: String,
        /// What would satisfy it.
        help: String,
    },
    /// Something outside weir failed: a file can't be read or written.
    Outside {
        /// What, complete.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// weir broke.
    Defect(String),
}

impl CliError {
    /// An invocation that is wrong.
    pub fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), help: Some(help.into()) }
    }

    /// Something outside weir failed.
    pub fn outside(message: impl Into<String>) -> Self {
        Self::Outside { message: message.into(), help: None }
    }

    /// What it says, in one line.
    pub fn message(&self) -> String {
        match self {
            Self::Usage { message, .. } | Self::Outside { message, .. } | Self::Refused { message, .. } => {
                message.clone()
            }
            Self::Config { diagnostics, .. } => {
                diagnostics.first().map_or_else(String::new, |diagnostic| diagnostic.message.clone())
            }
            Self::Defect(message) => message.clone(),
        }
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } | Self::Config { .. } => USAGE,
            Self::Refused { .. } => REFUSED,
            Self::Outside { .. } => FAILED,
            Self::Defect(_) => DEFECT,
        }
    }

    /// Prints it on standard error.
    pub fn show(&self) {
        let (message, help) = match self {
            Self::Config { diagnostics, files } => return render::diagnostics(diagnostics, files),
            Self::Usage { message, help } | Self::Outside { message, help } => (message.clone(), help.clone()),
            Self::Refused { message, help } => (format!("refused: {message}"), Some(help.clone())),
            Self::Defect(message) => (
                format!("this is a defect in weir: {message}"),
                Some("please report it, with the command and the tasks.toml".into()),
            ),
        };
        print::error_line(&message);
        if let Some(help) = help {
            print::help_line(&help);
        }
    }
}
