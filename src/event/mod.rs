//! What happens in a run, as facts: owned, versioned, serialisable, recorded as they happen.
//! Every reporter, the run history and the job summaries read these and nothing else. Knows nothing
//! of styling or terminals.

mod soak;

pub use soak::{SoakDurations, SoakEnd, SoakFailure, SoakGroup, SoakIteration, SoakStarted, SoakSummary};

use crate::model::{Gate, KeyPart, Notice, Outcome, Reason, Stage, TaskName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of the record format; a reader refuses a newer one.
pub const VERSION: u32 = 1;

/// One line of `events.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// Version of this format.
    pub v: u32,
    /// Counts up from 0 within a run.
    pub seq: u64,
    /// UTC, RFC 3339 with milliseconds.
    pub at: String,
    /// Milliseconds since the run started, by a clock that does not jump.
    pub elapsed_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The plan is frozen and the run begins.
    RunStarted {
        /// The run's id, also the name of its folder under `.weir/runs`.
        run: String,
        /// Version of weir.
        weir: String,
        /// The targets as asked for.
        targets: Vec<String>,
        /// Profiles in force.
        profiles: Vec<String>,
        /// How many tasks may run at once.
        jobs: u32,
        /// Nothing runs and nothing is written.
        dry_run: bool,
        /// The run that this one resumes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resumes: Option<String>,
        /// The nodes of the plan, in the order of the plan.
        tasks: Vec<PlannedTask>,
    },
    /// A task can't go on yet because someone else holds what it needs.
    TaskWaiting {
        /// The task.
        task: TaskName,
        /// What it waits for, for people: ``pid 4711 (`weir run check`)``.
        on: String,
    },
    /// A dry run, or `--explain`: what would be done with a task, and why.
    TaskJudged {
        /// The task.
        task: TaskName,
        /// What would be done.
        verdict: Verdict,
        /// Why.
        reasons: Vec<Reason>,
    },
    /// A command of the task starts.
    TaskStarted {
        /// The task.
        task: TaskName,
        /// 1 for the first attempt.
        attempt: u32,
        /// Why it runs.
        reasons: Vec<Reason>,
    },
    /// An attempt failed and another one follows.
    TaskRetried {
        /// The task.
        task: TaskName,
        /// The attempt that failed.
        attempt: u32,
        /// How.
        message: String,
        /// Milliseconds until the next attempt.
        backoff_ms: u64,
    },
    /// Something a person should know, which is no failure.
    TaskNoticed {
        /// The task.
        task: TaskName,
        /// What.
        #[serde(flatten)]
        notice: Notice,
    },
    /// What became of a service: it is no task that ends, and is told of apart.
    Service {
        /// The service.
        task: TaskName,
        /// What.
        #[serde(flatten)]
        stage: Stage,
    },
    /// A task ended.
    TaskFinished(Box<TaskFinished>),
    /// A soak begins.
    SoakStarted(SoakStarted),
    /// An iteration of a soak ended.
    SoakIteration(SoakIteration),
    /// What a soak found.
    SoakFinished(Box<SoakSummary>),
    /// Something about the run as a whole that a person should know.
    Warned(Notice),
    /// A signal arrived.
    Interrupted {
        /// `SIGINT` or `SIGTERM`.
        signal: String,
        /// 1: nothing new starts, tasks are asked to end. 2: tasks are killed.
        stage: u32,
    },
    /// The run ended.
    RunFinished(Box<RunFinished>),
}

/// A node of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedTask {
    /// Its name, arguments included.
    pub task: TaskName,
    /// It only groups others and has no command.
    pub group: bool,
    /// Its output is shown only when it fails.
    pub quiet: bool,
    /// It has the terminal to itself.
    pub interactive: bool,
    /// It only runs as cleanup of another task.
    pub cleanup: bool,
    /// It is a service: it starts when a task that depends on it runs, and only its failure is told as a task's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<PlannedService>,
    /// Its outcome is recorded as evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// The names of the nodes it waits for.
    pub after: Vec<TaskName>,
}

/// A service of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedService {
    /// It was asked for by name, and stays until the run is cut short.
    pub stays: bool,
}

/// What would be done with a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing: it is fresh.
    Fresh,
    /// Its outputs would be restored.
    Restore,
    /// Nothing: it succeeded in the run that is resumed.
    Done,
    /// It would run.
    Run,
    /// It depends on what tasks before it leave behind.
    Depends,
    /// It is a service: it would be started for the first task depending on it that runs.
    Serve,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskFinished {
    /// The task.
    pub task: TaskName,
    /// How.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Milliseconds from its first start to its end; 0 where nothing ran.
    pub duration_ms: u64,
    /// Milliseconds that the recorded run took, for `fresh` and `hit`.
    pub saved_ms: u64,
    /// Attempts made.
    pub attempts: u32,
    /// It passed after a failed attempt.
    pub flaky: bool,
    /// The key, where it has one: 64 hexadecimal digits.
    pub key: Option<crate::model::Digest>,
    /// Its log, relative to the run's folder; for a replayed task too. None where it printed nothing.
    pub log: Option<String>,
    /// Bytes of the log.
    pub log_bytes: u64,
    /// It was the remote that ran it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub remote: bool,
    /// It is a gate, and the result of this earlier run still counts, or it is of the run that is resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replayed_from: Option<String>,
    /// What to do now that it failed, from `help` in `tasks.toml`.
    pub help: Option<String>,
    /// The parts of its key, where it ran; for explanations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<KeyPart>,
}

const fn is_false(flag: &bool) -> bool {
    !*flag
}

const fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Totals of a run. Groups are not counted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// Ran and succeeded.
    pub ran: u32,
    /// Fresh: nothing to do.
    pub fresh: u32,
    /// Restored from a recorded result.
    pub hit: u32,
    /// Failed.
    pub failed: u32,
    /// Failed, but only a warning.
    pub warned: u32,
    /// Not run because of a failure.
    pub blocked: u32,
    /// Not needed (cleanup), or not started because of an interrupt.
    pub skipped: u32,
    /// Passed only after a failed attempt (also counted in `ran`).
    pub flaky: u32,
    /// Had succeeded in a run that this one resumes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub done: u32,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunFinished {
    /// The process's exit code.
    pub exit_code: u8,
    /// Wall time, milliseconds.
    pub wall_ms: u64,
    /// What the fresh and restored tasks took when they ran, milliseconds.
    pub saved_ms: u64,
    /// The longest chain of tasks that ran, milliseconds.
    pub critical_path_ms: u64,
    /// The tasks of that chain, first to last.
    pub critical_path: Vec<TaskName>,
    /// Totals.
    pub totals: Totals,
    /// The task that failed first.
    pub first_failure: Option<TaskName>,
    /// Tasks that did not run because of a failure, each with the task that blocked it.
    pub blocked: Vec<Blocked>,
    /// Tasks that failed as warnings.
    pub warnings: Vec<TaskName>,
    /// What was exchanged with the remote, where anything was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemoteUse>,
}

/// What a run exchanged with the remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RemoteUse {
    /// Tasks that did not run because it had their results.
    pub hits: u32,
    /// What these took when they ran, milliseconds.
    pub saved_ms: u64,
    /// Results given to it.
    pub given: u32,
    /// Bytes of blobs taken from it.
    pub bytes_down: u64,
    /// Bytes of blobs given to it.
    pub bytes_up: u64,
    /// Tasks that it ran.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub executed: u32,
}

/// A task that did not run because of a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Blocked {
    /// The task.
    pub task: TaskName,
    /// The failed task in its way; none where it was merely not started any more.
    pub by: Option<TaskName>,
}

/// Takes what happens. Calls arrive in order, from one thread.
pub trait Sink: Send {
    /// A fact.
    fn record(&mut self, record: &Record);

    /// Bytes that a running task printed, as they come, secrets already masked. They are in the
    /// task's log too.
    fn output(&mut self, task: &TaskName, bytes: &[u8]);

    /// A chance to redraw; called at least every 100 ms while tasks run.
    fn tick(&mut self);
}
