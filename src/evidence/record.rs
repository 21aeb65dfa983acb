//! One record: what one gate said in one run.

use crate::event::SoakSummary;
use crate::model::Digest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of the format.
pub const VERSION: u32 = 1;

/// What one gate said in one run. Digests are SHA-256, 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The version of this format.
    pub v: u32,
    /// The gate's id.
    pub check_id: String,
    /// What it is about, for people.
    pub title: Option<String>,
    /// The task.
    pub task: String,
    /// When it ended, UTC, RFC 3339.
    pub timestamp_utc: String,
    /// The commit that was checked out; none outside a repository, or before the first commit.
    pub git_sha: Option<String>,
    /// Whether the working tree differed from it; none where that is not known.
    pub git_dirty: Option<bool>,
    /// What it said. A skipped gate has not passed.
    pub status: Status,
    /// Why, where it did not pass.
    pub message: Option<String>,
    /// The task's key; none where it always runs.
    pub key: Option<Digest>,
    /// Over the paths and contents of what it reads; none where it always runs.
    pub inputs_digest: Option<Digest>,
    /// The programs it requires.
    pub tools: Vec<Tool>,
    /// The state of the databases it was lent, without secrets, by name.
    pub databases: Vec<Tool>,
    /// The run.
    pub run: String,
    /// The profiles in force.
    pub profiles: Vec<String>,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
    /// Of what it printed, secrets masked; none where it printed nothing.
    pub log_digest: Option<Digest>,
    /// It did not run: the result of this earlier run still counts.
    pub replayed_from: Option<String>,
    /// Of a soak: what its iterations say together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak: Option<SoakSummary>,
    /// Version of weir.
    pub weir: String,
}

/// A program, or something else with an identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it is: version and digest.
    pub identity: String,
}

/// What a gate said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It passed.
    Pass,
    /// It failed.
    Fail,
    /// It failed, and that is a warning here.
    Warn,
    /// It did not run.
    Skipped,
}

/// The JSON Schema of a record.
pub fn evidence_schema() -> serde_json::Value {
    schemars::schema_for!(Record).to_value()
}
