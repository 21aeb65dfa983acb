//! How a task ended, and why it ran, failed or did not run.

use super::TaskName;
use serde::{Deserialize, Serialize};

/// How a task ended in one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// A recorded result counts and what it left is in place: nothing was done.
    Fresh,
    /// A recorded result counts and its outputs were restored.
    Hit,
    /// It ran and succeeded.
    Ran,
    /// It had succeeded in a run that this one resumes, and that counts.
    Done {
        /// The run in which it ran.
        run: String,
    },
    /// It ran, or tried to, and failed.
    Failed {
        /// Why.
        reason: FailReason,
        /// `on_fail = "warn"`: the run goes on and lists it.
        warn: bool,
    },
    /// It did not run.
    Skipped {
        /// Why not.
        reason: SkipReason,
    },
}

impl Outcome {
    /// Whether dependents may go on.
    pub fn lets_dependents_run(&self) -> bool {
        matches!(self, Self::Fresh | Self::Hit | Self::Ran | Self::Done { .. } | Self::Failed { warn: true, .. })
    }
}

/// Why a task failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FailReason {
    /// The command exited with this status.
    Exit {
        /// 1 to 255.
        code: i32,
    },
    /// The command was ended by this signal, not by weir.
    Signal {
        /// The signal's name, such as `SIGSEGV`.
        name: String,
    },
    /// It took longer than its timeout.
    Timeout {
        /// The timeout, milliseconds.
        after_ms: u64,
    },
    /// Ended by weir because the run was interrupted.
    Interrupted,
    /// Declared outputs that were not produced.
    MissingOutputs {
        /// The patterns that matched nothing.
        patterns: Vec<String>,
    },
    /// The command could not be started.
    Start {
        /// Why, for people.
        message: String,
    },
    /// An input could not be read, or a source matched nothing.
    Inputs {
        /// What, for people.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// A safety rule forbade it.
    Refused {
        /// Which rule, for people.
        message: String,
        /// What would satisfy it.
        help: Option<String>,
    },
    /// A built-in node failed; details are in its output.
    Node {
        /// What happened, for people.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// A service that it needs did not get ready, or ended while it was needed.
    Service {
        /// The service.
        service: super::TaskName,
        /// What became of it, for people.
        message: String,
    },
    /// A probe or state command failed.
    Probe {
        /// The command.
        command: String,
        /// How it ended.
        message: String,
    },
}

impl FailReason {
    /// One line for people, without the task's name: `exit status 3`.
    pub fn describe(&self) -> String {
        match self {
            Self::Exit { code } => format!("exit status {code}"),
            Self::Signal { name } => format!("ended by {name}"),
            Self::Timeout { after_ms } => {
                format!("timed out after {}", super::format_duration(std::time::Duration::from_millis(*after_ms)))
            }
            Self::Interrupted => "interrupted".into(),
            Self::MissingOutputs { patterns } => {
                format!("declared output not produced: `{}`", patterns.join("`, `"))
            }
            Self::Start { message } => format!("failed to start: {message}"),
            Self::Inputs { message, .. } | Self::Node { message, .. } => message.clone(),
            Self::Refused { message, .. } => format!("refused: {message}"),
            Self::Service { service, message } => format!("its service `{service}`: {message}"),
            Self::Probe { command, message } => format!("`{command}` failed: {message}"),
        }
    }
}

/// Why a task did not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SkipReason {
    /// A task it needs failed or was itself blocked.
    Blocked {
        /// The task that failed first on the way here.
        by: TaskName,
    },
    /// The run had a failure already, and nothing new starts.
    Stopped,
    /// The run was interrupted before it started.
    Interrupted,
    /// A cleanup whose task was not started, or ended otherwise.
    NotNeeded,
}

/// Why a task runs, or why its result does not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Reason {
    /// No result is recorded for it.
    NeverRan,
    /// Its last run failed, was interrupted, or was not recorded.
    LastRunFailed,
    /// It declares no `sources`.
    NoSources,
    /// `cache = false`.
    CacheOff,
    /// It declares `writes`.
    Writes,
    /// It resets state.
    Reset,
    /// It is interactive or otherwise can't be replayed.
    Interactive,
    /// `-f` or `--force-all`.
    Forced,
    /// A dependency that always runs, and declares neither outputs nor state, ran.
    Tainted {
        /// That task.
        by: TaskName,
    },
    /// Parts of the key changed; ready-made lines for people: `src/main.rs changed`.
    Changed {
        /// What changed, at most a screenful.
        what: Vec<String>,
    },
    /// Outputs are missing or altered and can't be restored.
    Outputs {
        /// What is wrong with which.
        what: Vec<String>,
    },
    /// The state it left behind is no longer there.
    State,
    /// There is nowhere to record a result.
    NoStore,
    /// It looks at something live each time.
    Live,
    /// It is a soak.
    Soak,
    /// It had succeeded in a run that this one resumes, and that does not count any more.
    NotAsBefore {
        /// That run.
        run: String,
        /// What is different since.
        what: Vec<String>,
    },
    /// It had succeeded in a run that this one resumes.
    DoneBefore {
        /// That run.
        run: String,
    },
}

impl Reason {
    /// One line for people.
    pub fn describe(&self) -> String {
        match self {
            Self::NeverRan => "no result is recorded for it".into(),
            Self::LastRunFailed => "its last run did not succeed".into(),
            Self::NoSources => "it declares no `sources`".into(),
            Self::CacheOff => "`cache = false`".into(),
            Self::Writes => "it declares `writes`".into(),
            Self::Reset => "a reset is never skipped".into(),
            Self::Interactive => "it is interactive".into(),
            Self::Forced => "forced".into(),
            Self::Tainted { by } => format!("`{by}` always runs and declares neither `outputs` nor `state`"),
            Self::Changed { what } => what.join("; "),
            Self::Outputs { what } => what.join("; "),
            Self::State => "the state it left behind has changed".into(),
            Self::Live => "it looks at what is there each time".into(),
            Self::Soak => "a soak is never cached".into(),
            Self::NotAsBefore { run, what } => {
                format!("it had succeeded in run {run}, but since then {}", what.join("; "))
            }
            Self::DoneBefore { run } => format!("it succeeded in run {run}"),
            Self::NoStore => "there is nowhere to record a result".into(),
        }
    }
}

/// What makes a task a gate: its outcome is recorded as evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Gate {
    /// Unique in a workspace; letters, digits, `.`, `_` and `-`.
    pub id: String,
    /// What it is about, for people.
    pub title: Option<String>,
}

/// Something a person should know about a task that is no failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Notice {
    /// A stable code: `inputs-changed`, `hidden-variable`, `left-behind`.
    pub code: String,
    /// What happened.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// What becomes of a service in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    /// Its process starts.
    Starting,
    /// It is ready.
    Ready {
        /// Milliseconds from its start.
        after_ms: u64,
    },
    /// Nothing of it is left.
    Stopped {
        /// It did not heed its signal, and was killed.
        killed: bool,
    },
}
