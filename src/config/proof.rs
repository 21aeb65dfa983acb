//! The parameters of `proof.crash`, as declared and validated.

use super::diagnostic::Located;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The parameters of `proof.crash`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofWith {
    /// The task with `service` that is crashed, as written.
    pub service: Option<Located<String>>,
    /// The command that has it begin its work.
    pub trigger: Option<Located<String>>,
    /// The signal, without `SIG`; none: KILL.
    pub kill: Option<String>,
    /// How far the work gets before the crash.
    pub after: After,
    /// What is polled after the crash.
    pub settle: Settle,
    /// The command that judges in the end.
    pub assert: Option<Located<String>>,
}

/// When the crash comes, counted from the end of the trigger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum After {
    /// At once.
    #[default]
    Trigger,
    /// So much later.
    Time(Duration),
    /// As soon as something is so.
    Seen {
        /// What must be so.
        sign: Sign,
        /// How long that is waited for.
        timeout: Duration,
    },
}

/// What shows how far the work has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sign {
    /// A command that succeeds.
    Command(String),
    /// A regular expression that a line of the service's output matches.
    Log(String),
}

/// `settle`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settle {
    /// The command whose output is looked at.
    pub command: String,
    /// What it must print; blanks at both ends do not count.
    pub equals: String,
    /// How long it must go on printing that.
    pub stable: Duration,
    /// How long it may take in all, from when the service is ready again.
    pub timeout: Duration,
}

impl Default for Settle {
    fn default() -> Self {
        Self {
            command: String::new(),
            equals: String::new(),
            stable: Duration::from_secs(1),
            timeout: Duration::from_secs(30),
        }
    }
}
