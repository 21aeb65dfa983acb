//! What happens in a soak: its iterations, and what they say together.

use crate::model::{FailReason, TaskName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A soak begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SoakStarted {
    /// The soak.
    pub task: TaskName,
    /// The task that it repeats.
    pub base: TaskName,
    /// Iterations at the most; none: no such bound.
    pub runs: Option<u32>,
    /// Milliseconds after which none starts any more; none: no such bound.
    pub for_ms: Option<u64>,
    /// None starts after a failure.
    pub until_failure: bool,
    /// How many run at once.
    pub jobs: u32,
}

/// An iteration of a soak ended. One that an interrupt cut short is not told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SoakIteration {
    /// The soak.
    pub task: TaskName,
    /// Its number, from 1, also `$WEIR_SOAK_ITERATION`.
    pub iteration: u32,
    /// Why it failed; none: it passed.
    pub failed: Option<FailReason>,
    /// Milliseconds it took.
    pub duration_ms: u64,
    /// The log of a failed one, relative to the run's folder.
    pub log: Option<String>,
}

/// What the iterations of a soak say together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SoakSummary {
    /// The soak.
    pub task: TaskName,
    /// The task that it repeated.
    pub base: TaskName,
    /// Why no more iterations were started.
    pub ended: SoakEnd,
    /// Iterations that ended.
    pub iterations: u32,
    /// Of these, that passed.
    pub passed: u32,
    /// Of these, that failed.
    pub failed: u32,
    /// Iterations that an interrupt cut short; they count as neither.
    pub cut_short: u32,
    /// Wall time, milliseconds.
    pub wall_ms: u64,
    /// The pass rate, in millionths; none where no iteration ended.
    pub pass_rate: Option<u32>,
    /// Its 95 % interval (Wilson), in millionths: low and high.
    pub interval: Option<(u32, u32)>,
    /// How long iterations took.
    pub durations: Option<SoakDurations>,
    /// Failures by likeness of their output, the largest group first.
    pub groups: Vec<SoakGroup>,
    /// Every failure, by number.
    pub failures: Vec<SoakFailure>,
}

/// Why a soak started no more iterations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SoakEnd {
    /// All that were asked for have run.
    Runs,
    /// Its time was up.
    Time,
    /// One failed, and it was to run until then.
    Failure,
    /// The run was interrupted.
    Interrupted,
}

/// How long iterations took, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SoakDurations {
    /// The shortest.
    pub min_ms: u64,
    /// Half took no longer.
    pub p50_ms: u64,
    /// 95 of 100 took no longer.
    pub p95_ms: u64,
    /// The longest.
    pub max_ms: u64,
}

/// Failures that look the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SoakGroup {
    /// How the first of them ended.
    pub reason: String,
    /// The last lines that it printed.
    pub excerpt: String,
    /// Their numbers.
    pub iterations: Vec<u32>,
}

/// A failed iteration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SoakFailure {
    /// Its number.
    pub iteration: u32,
    /// How it ended.
    pub reason: String,
    /// Milliseconds it took.
    pub duration_ms: u64,
    /// Its log, relative to the run's folder.
    pub log: Option<String>,
    /// The command that runs just this iteration again.
    pub again: String,
}
