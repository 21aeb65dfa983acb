//! A task as declared and validated, before it is wired into a graph.

use super::database::DatabaseUse;
use super::diagnostic::{At, Located};
use super::execute::Execute;
use super::pattern::Pattern;
use super::service::Service;
use super::soak::Soak;
use super::uses::Uses;
use crate::model::{Gate, TaskName, WsPath};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// One `[tasks.NAME]`. All paths are relative to the workspace root; profiles are applied.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    /// Full name, with the folder of its file in front (`services/api:test`).
    pub name: TaskName,
    /// The name as declared.
    pub at: At,
    /// The folder of the declaring file.
    pub folder: WsPath,
    /// What it is for.
    pub description: Option<String>,
    /// Other names for it, as declared (the folder's prefix is put in front by the graph).
    pub aliases: Vec<Located<String>>,
    /// Not listed.
    pub hide: bool,
    /// Only ever run by name.
    pub manual: Option<At>,
    /// What it does.
    pub action: Action,
    /// Declared arguments.
    pub args: Vec<ArgSpec>,
    /// Data edges and order-only edges.
    pub depends: Vec<Located<Dep>>,
    /// Cleanup.
    pub depends_post: Vec<Located<PostDep>>,
    /// Order only, and only if in the run anyway: names or globs of names.
    pub wait_for: Vec<Located<String>>,
    /// Absent: undeclared. Empty: "nothing but the command, its environment and its dependencies".
    pub sources: Option<Located<Vec<Located<Pattern>>>>,
    /// Absent: unknown effects. Empty: a verdict.
    pub outputs: Option<Located<Vec<Located<Pattern>>>>,
    /// Tracked files it changes.
    pub writes: Vec<Located<Pattern>>,
    /// Every declared variable: global, the file's, its own; keyed.
    pub env: BTreeMap<String, String>,
    /// Files of variables; their values are keyed and redacted.
    pub env_file: Vec<Located<WsPath>>,
    /// Folders prepended to PATH, first wins.
    pub path: Vec<WsPath>,
    /// Taken from outside and keyed; `*` at the end of a name matches any rest.
    pub env_inputs: Vec<String>,
    /// Taken from outside, not keyed; `*` as above.
    pub pass_through: Vec<String>,
    /// Taken from outside and keyed; missing is an error before anything runs.
    pub env_required: Vec<Located<String>>,
    /// Programs whose identity is keyed.
    pub requires: Vec<Located<String>>,
    /// Commands whose output is keyed.
    pub probes: Vec<String>,
    /// A command whose output is the state left behind.
    pub state: Option<String>,
    /// Caching.
    pub cache: CacheMode,
    /// Where `cache` is declared, if it is.
    pub cache_at: Option<At>,
    /// Destroys state.
    pub reset: Option<At>,
    /// Named mutual exclusion.
    pub locks: Vec<Located<String>>,
    /// Of one attempt; the settings' where it names none.
    pub timeout: Option<Duration>,
    /// Attempts.
    pub retry: Retry,
    /// Tried until it succeeds.
    pub poll: Option<Poll>,
    /// The question asked before anything of the run starts.
    pub confirm: Option<String>,
    /// A failure is only a warning (in the profiles in force).
    pub on_fail: OnFail,
    /// What to do when it fails.
    pub help: Option<String>,
    /// Where it runs.
    pub dir: Located<WsPath>,
    /// Program and arguments that a `run` string is appended to.
    pub shell: Vec<String>,
    /// It has the terminal to itself.
    pub interactive: bool,
    /// Output only on failure.
    pub quiet: bool,
    /// Names of variables whose values are masked.
    pub redact: Vec<String>,
    /// The databases it uses while it runs.
    pub databases: Vec<DatabaseUse>,
    /// It is long-lived: it runs while those that depend on it do.
    pub service: Option<Located<Service>>,
    /// The ports it is given while it runs.
    pub ports: Vec<PortUse>,
    /// It is a gate.
    pub gate: Option<Located<Gate>>,
    /// Files that are kept with the run.
    pub artifacts: Vec<Located<Pattern>>,
    /// Where its test report lands, and what it must hold.
    pub report: Option<TestReport>,
    /// Where it runs; the remote's own word where nothing is said.
    pub execute: Option<Located<Execute>>,
    /// Properties of the machine that a server runs it on.
    pub platform: BTreeMap<String, String>,
    /// Findings of the audit that are allowed here, with the reason.
    pub allow: Vec<(Located<String>, String)>,
}

/// A port that a task is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortUse {
    /// The variable that names it.
    pub name: Located<String>,
    /// Taken where it is free; any other otherwise.
    pub preferred: Option<u16>,
}

/// `junit` and `expect`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestReport {
    /// The files, JUnit XML.
    pub files: Vec<Located<Pattern>>,
    /// What they must hold.
    pub expect: Expect,
}

/// What a test report must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expect {
    /// At least so many tests.
    pub min_tests: u32,
    /// At most so many skipped; none: any number.
    pub max_skipped: Option<u32>,
    /// At most so many that failed.
    pub max_failed: u32,
}

impl Default for Expect {
    fn default() -> Self {
        Self { min_tests: 1, max_skipped: None, max_failed: 0 }
    }
}

/// What a task does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Each string is given to the shell, stopping at the first failure.
    Shell(Vec<String>),
    /// An argument vector.
    Exec(Vec<String>),
    /// A built-in node.
    Uses(Box<Uses>),
    /// Repeats another task.
    Soak(Box<Soak>),
    /// Nothing itself: `depends` only, or a `sequence` of steps (each a list that runs in parallel).
    Group {
        /// Empty for a plain group.
        sequence: Vec<Vec<Located<Dep>>>,
    },
}

/// An edge to another task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dep {
    /// A name, or a glob of names.
    pub task: String,
    /// Arguments given to it.
    pub args: Vec<String>,
    /// Variables given to it.
    pub env: BTreeMap<String, String>,
    /// Orders without data or taint.
    pub order_only: bool,
    /// No error if there is no such task.
    pub optional: bool,
}

/// A cleanup edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostDep {
    /// The edge.
    pub dep: Dep,
    /// When.
    pub when: When,
}

/// When a cleanup runs, given that its task was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum When {
    /// However it ended.
    Always,
    /// When it failed.
    Failure,
    /// When it succeeded.
    Success,
}

/// A declared argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArgSpec {
    /// Its name; `$WEIR_ARG_NAME` holds its value.
    pub name: String,
    /// Allowed values; empty for any.
    pub choices: Vec<String>,
    /// The value where none is given.
    pub default: Option<String>,
    /// An error where none is given.
    pub required: bool,
}

/// Whether results are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CacheMode {
    /// Recorded, and shared where sharing is on.
    On,
    /// Never.
    Off,
    /// Recorded, never shared.
    Local,
}

/// Attempts at a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// At least 1.
    pub attempts: u32,
    /// Before the second attempt; doubles with each further one.
    pub backoff: Duration,
}

/// Tried until it succeeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    /// Between tries.
    pub every: Duration,
    /// Overall.
    pub timeout: Duration,
}

/// What a failure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnFail {
    /// The run fails.
    Fail,
    /// The run goes on and lists it.
    Warn,
}
