//! Rank 1: text → valid [`Config`]; every problem as a [`Diagnostic`] with a span, all at once.
//! Knows nothing of the environment, processes or the clock.

mod build_task;
mod check;
mod check_keys;
mod database;
mod database_keys;
mod definition;
mod diagnostic;
mod edges;
mod entries;
mod execute;
mod find;
mod include;
mod keys;
mod load;
mod looked;
mod parts;
mod pattern;
mod profile;
mod proof;
mod proof_keys;
mod reference;
mod remote;
mod schema;
mod scopes;
mod service;
pub mod shell;
mod soak;
mod structural;
mod task;
mod task_keys;
mod task_values;
mod text;
mod uses;
mod values;

#[cfg(test)]
mod tests;

pub use check::{Allowance, CheckWith, Eol, Selector, ValuePlace};
pub use database::{
    Database, DatabaseUse, Docker, Document, GateRules, Login, Provider, READY_CHECKS, Relation, ResetScope, RoleRule,
    RowSeed,
};
pub use definition::{Definitions, Veil};
pub use diagnostic::{At, Diagnostic, FileId, Label, Located, Severity, did_you_mean};
pub use execute::{Bound, Execute};
pub use find::{FindError, Found, find};
pub use load::{Loaded, load, load_text};
pub use looked::Looked;
pub use pattern::{Pattern, PatternError, build_glob};
pub use proof::{After, ProofWith, Settle, Sign};
pub use reference::key_reference;
pub use remote::{Compression, Remote, RemoteMode, parse_endpoint};
pub use schema::tasks_schema;
pub use service::{Probe, Ready, Service};
pub use soak::Soak;
pub use structural::Structural;
pub use task::{
    Action, ArgSpec, CacheMode, Dep, Expect, OnFail, Poll, PortUse, PostDep, Retry, Task, TestReport, When,
};
pub use uses::{Atomic, Mode, NodeKind, Uses, With};

use crate::model::WsPath;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A configuration: every file, read and validated on its own. Whether the names in it refer to
/// anything is judged by the graph.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Config {
    /// The workspace root, absolute.
    pub root: PathBuf,
    /// The files, the root's first.
    pub files: Vec<SourceFile>,
    /// `[settings]`, profiles applied.
    pub settings: Settings,
    /// `[policy]`.
    pub policy: Policy,
    /// `[structural]`.
    pub structural: Structural,
    /// `[remote]`, profiles applied.
    pub remote: Remote,
    /// The profiles in force, weakest first.
    pub profiles: Vec<String>,
    /// `[db]`, profiles applied, in the order they stand in the file.
    #[serde(with = "shared")]
    pub databases: Vec<Arc<Database>>,
    /// All tasks, by file and then in the order they stand in it; written down each by itself.
    #[serde(skip)]
    pub tasks: Vec<Arc<Task>>,
}

impl Config {
    /// The database a node acts on: the one it names, or the only one.
    pub fn database(&self, named: Option<&str>) -> Option<&Arc<Database>> {
        match (named, &self.databases[..]) {
            (Some(key), all) => all.iter().find(|database| database.key == key),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }
}

/// A file of the configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SourceFile {
    /// Relative to the workspace root.
    pub path: WsPath,
    /// Its text; not kept with a configuration that is written down.
    #[serde(skip)]
    pub text: Arc<str>,
}

/// `[settings]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Settings {
    /// How many tasks may run at once; none: as many as there are cores.
    pub jobs: Option<u32>,
    /// Of a task that names none.
    pub timeout: Duration,
    /// Somebody chose it: it is not the default.
    pub bounded: bool,
}

/// `[policy]`: what `weir tasks deps check` holds the graph to.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Policy {
    /// Entry tasks.
    pub entry: Vec<Located<String>>,
    /// `sources = "require"`.
    pub require_sources: bool,
    /// A task slower than this wants outputs.
    pub outputs_after: Option<Duration>,
}

/// Tasks are written down as they are, without the sharing.
mod shared {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::sync::Arc;

    pub(super) fn serialize<T: Serialize, S: Serializer>(all: &[Arc<T>], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(all.iter().map(|one| &**one))
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Arc<T>>, D::Error> {
        Ok(Vec::<T>::deserialize(deserializer)?.into_iter().map(Arc::new).collect())
    }
}
