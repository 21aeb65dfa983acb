//! What the rule is told.

use super::change::FileChange;
use super::day::Day;
use crate::config::{Expect, Pattern};
use std::collections::{BTreeMap, BTreeSet};

/// A change, with all that the rule needs to know.
#[derive(Debug, Clone)]
pub struct Case {
    /// The paths that differ.
    pub files: Vec<FileChange>,
    /// Where it began.
    pub before: Side,
    /// Now.
    pub after: Side,
    /// Which day it is, in UTC.
    pub today: Day,
}

/// One side of a change.
#[derive(Debug, Clone, Default)]
pub struct Side {
    /// `[structural]`, and what of the databases concerns the rule.
    pub settings: Settings,
    /// The graph.
    pub graph: GraphFacts,
    /// The files that CI is made of, by path.
    pub ci: BTreeMap<String, String>,
    /// The invariants manifest.
    pub manifest: Option<String>,
    /// The page that is generated from it.
    pub quick: Option<String>,
    /// Exception files: path and text.
    pub exceptions: Vec<(String, String)>,
    /// Of the files that the manifest mentions, those that are there.
    pub existing: BTreeSet<String>,
    /// The ids of the database gate's checks.
    pub check_ids: BTreeSet<String>,
}

/// `[structural]`, paths relative to the workspace root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The base branch.
    pub base: String,
    /// The invariants manifest.
    pub manifest: String,
    /// The folder of exceptions.
    pub exceptions: String,
    /// How long an exception may last.
    pub max_days: u32,
    /// Structural whatever they hold.
    pub paths: Vec<Pattern>,
    /// Folders of migrations.
    pub migrations: Vec<String>,
    /// Files that CI is made of, beside the usual ones.
    pub ci: Vec<Pattern>,
    /// Folders of the databases' checks.
    pub checks: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            base: "main".into(),
            manifest: "docs/invariants/INVARIANTS_MANIFEST.yml".into(),
            exceptions: "docs/invariants/exceptions".into(),
            max_days: 90,
            paths: vec![],
            migrations: vec!["schema/migrations".into()],
            ci: vec![],
            checks: vec!["checks/db".into()],
        }
    }
}

/// A graph, in the profiles that matter.
#[derive(Debug, Clone, Default)]
pub enum GraphFacts {
    /// There is no tasks.toml.
    #[default]
    Absent,
    /// It does not load; why.
    Broken(String),
    /// As it is in CI, and as it is with no profile in force.
    Loaded(Vec<Profiled>),
}

impl GraphFacts {
    /// As it is in CI.
    pub fn in_ci(&self) -> Option<&Profiled> {
        match self {
            Self::Loaded(all) => all.first(),
            _ => None,
        }
    }
}

/// A graph in one profile.
#[derive(Debug, Clone, Default)]
pub struct Profiled {
    /// `ci`, or nothing.
    pub profile: String,
    /// Entry tasks.
    pub entries: Vec<String>,
    /// All tasks, by name.
    pub tasks: BTreeMap<String, TaskFact>,
    /// The rules of databases' gates, each as a text.
    pub gate_rules: BTreeSet<String>,
}

/// A task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFact {
    /// An entry task reaches it.
    pub reached: bool,
    /// What it does: `run`, `exec`, a node's name; nothing for a group.
    pub acts: Option<String>,
    /// The id its outcome is recorded by.
    pub gate: Option<String>,
    /// A failure is a warning.
    pub warns: bool,
    /// It destroys state.
    pub reset: bool,
    /// Its command can't fail: `|| true`.
    pub masked: bool,
    /// It is a test, lint or gate by its name or node.
    pub check: bool,
    /// What its report must hold.
    pub expect: Option<Expect>,
    /// Where it is declared: file and line.
    pub at: (String, usize),
}
