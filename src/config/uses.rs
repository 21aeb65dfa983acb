//! Built-in nodes: the one table of their names and parameters.

use super::check::CheckWith;
use super::check_keys;
use super::diagnostic::{At, Located};
use super::edges::TEXT;
use super::keys::{Key, Scope, Set, Shape};
use super::pattern::Pattern;
use super::proof::ProofWith;
use super::values::{Reader, Value};
use serde::{Deserialize, Serialize};

/// A built-in node, as `uses` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeKind {
    /// `db.up`.
    DbUp,
    /// `db.down`.
    DbDown,
    /// `db.reset`.
    DbReset,
    /// `db.migrate`.
    DbMigrate,
    /// `db.seed`.
    DbSeed,
    /// `db.gate`.
    DbGate,
    /// `db.lint`.
    DbLint,
    /// `db.baseline`.
    DbBaseline,
    /// `db.drift`.
    DbDrift,
    /// `check.graph`.
    CheckGraph,
    /// `check.drift`.
    CheckDrift,
    /// `check.forbid`.
    CheckForbid,
    /// `check.same`.
    CheckSame,
    /// `check.exists`.
    CheckExists,
    /// `check.branch`.
    CheckBranch,
    /// `check.cochange`.
    CheckCochange,
    /// `rule.structural`.
    RuleStructural,
    /// `proof.crash`.
    ProofCrash,
}

/// Their names, for the schema.
pub(super) static NODE_NAMES: [&str; NODES.len()] = {
    let mut names = [""; NODES.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = NODES[index].name;
        index += 1;
    }
    names
};

impl NodeKind {
    /// As written after `uses`.
    pub fn name(self) -> &'static str {
        NODES.iter().find(|node| node.kind == self).map_or("", |node| node.name)
    }

    /// Whether it acts on a database.
    pub fn is_database(self) -> bool {
        self.name().starts_with("db.")
    }

    /// Whether it destroys state.
    pub fn is_reset(self) -> bool {
        self == Self::DbReset
    }
}

/// A task's built-in node and its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uses {
    /// Which.
    pub kind: NodeKind,
    /// Where it is named.
    pub at: At,
    /// Its parameters.
    pub with: With,
}

/// The parameters of built-in nodes; each node takes some of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct With {
    /// The database; the only one, where none is named.
    pub db: Option<Located<String>>,
    /// All migrations in one transaction, or each in its own.
    pub atomic: Atomic,
    /// Which files it looks at; all, where none are named.
    pub files: Vec<Located<Pattern>>,
    /// Whether a file is checked or written.
    pub mode: Mode,
    /// Of the ready-made checks.
    pub check: CheckWith,
    /// Of `proof.crash`.
    pub proof: ProofWith,
}

/// `atomic`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Atomic {
    /// A transaction for each migration.
    #[default]
    Each,
    /// One for all of them.
    All,
}

/// `mode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// It is compared.
    #[default]
    Check,
    /// It is written.
    Write,
}

/// A built-in node for people and editors.
pub(super) struct NodeInfo {
    /// Which.
    pub(super) kind: NodeKind,
    /// As written.
    pub(super) name: &'static str,
    /// What it does, in a sentence.
    pub(super) doc: &'static str,
    /// Its parameters.
    pub(super) with: &'static Scope<Set<With>>,
}

/// Every built-in node there is.
pub(super) const NODES: &[NodeInfo] = &[
    NodeInfo {
        kind: NodeKind::DbUp,
        name: "db.up",
        doc: "The database is there: its server is found or started, is new enough, and answers.",
        with: &DB_ONLY,
    },
    NodeInfo {
        kind: NodeKind::DbDown,
        name: "db.down",
        doc: "Stops the server that `db.up` started; one that it did not start is left alone.",
        with: &DB_ONLY,
    },
    NodeInfo {
        kind: NodeKind::DbReset,
        name: "db.reset",
        doc: "Drops and recreates what is in the database. Never skipped, and guarded.",
        with: &DB_ONLY,
    },
    NodeInfo {
        kind: NodeKind::DbMigrate,
        name: "db.migrate",
        doc: "Applies the migrations that the ledger does not hold yet.",
        with: &MIGRATE,
    },
    NodeInfo {
        kind: NodeKind::DbSeed,
        name: "db.seed",
        doc: "Loads the seeds that the database does not hold yet.",
        with: &DB_ONLY,
    },
    NodeInfo {
        kind: NodeKind::DbGate,
        name: "db.gate",
        doc: "Checks of the live database that must return no row, and function tests.",
        with: &FILES,
    },
    NodeInfo {
        kind: NodeKind::DbLint,
        name: "db.lint",
        doc: "Looks for unsafe changes in the migrations; needs no database.",
        with: &FILES,
    },
    NodeInfo {
        kind: NodeKind::DbBaseline,
        name: "db.baseline",
        doc: "Compares the baseline with what the migrations make, or writes it.",
        with: &BASELINE,
    },
    NodeInfo {
        kind: NodeKind::DbDrift,
        name: "db.drift",
        doc: "Compares the live schema with what the migrations make.",
        with: &DB_ONLY,
    },
    NodeInfo {
        kind: NodeKind::CheckGraph,
        name: "check.graph",
        doc: "What `weir tasks deps check` does: the graph tells the truth.",
        with: &check_keys::GRAPH,
    },
    NodeInfo {
        kind: NodeKind::CheckDrift,
        name: "check.drift",
        doc: "Generated files are what their generator makes; nothing is written.",
        with: &check_keys::DRIFT,
    },
    NodeInfo {
        kind: NodeKind::CheckForbid,
        name: "check.forbid",
        doc: "No line of the files matches a pattern.",
        with: &check_keys::FORBID,
    },
    NodeInfo {
        kind: NodeKind::CheckSame,
        name: "check.same",
        doc: "One value that stands in several places is the same everywhere.",
        with: &check_keys::SAME,
    },
    NodeInfo {
        kind: NodeKind::CheckExists,
        name: "check.exists",
        doc: "Files are there, with the right mode and line ends.",
        with: &check_keys::EXISTS,
    },
    NodeInfo {
        kind: NodeKind::CheckBranch,
        name: "check.branch",
        doc: "The branch that is worked on is one that may be.",
        with: &check_keys::BRANCH,
    },
    NodeInfo {
        kind: NodeKind::CheckCochange,
        name: "check.cochange",
        doc: "A change of the one comes with a change of the other.",
        with: &check_keys::COCHANGE,
    },
    NodeInfo {
        kind: NodeKind::RuleStructural,
        name: "rule.structural",
        doc: "A change of what invariants stand on comes with its invariants, or with an exception.",
        with: &super::structural::RULE,
    },
    NodeInfo {
        kind: NodeKind::ProofCrash,
        name: "proof.crash",
        doc: "A service that is killed in the middle of its work and started again comes to where it should.",
        with: &super::proof_keys::CRASH,
    },
];

const fn parameter(
    name: &'static str,
    shape: Shape,
    example: &'static str,
    doc: &'static str,
    read: Set<With>,
) -> Key<Set<With>> {
    Key::new(name, shape, example, doc, read)
}

const WITH_DB: Key<Set<With>> = parameter(
    "db",
    TEXT,
    "\"app\"",
    "The database, by its name in `[db]`; may be left out where there is one.",
    |with, reader, entry| with.db = reader.located(entry.value),
);

/// `db` alone.
pub(super) static DB_ONLY: Scope<Set<With>> = Scope { what: "`with` of this node", keys: &[WITH_DB], unbuilt: &[] };

/// Of `db.migrate`.
pub(super) static MIGRATE: Scope<Set<With>> = Scope {
    what: "`with` of `db.migrate`",
    keys: &[
        WITH_DB,
        parameter(
            "atomic",
            Shape::Words(&["each", "all"]),
            "\"each\"",
            "A transaction for each migration, the default, or one for all of them.",
            |with, reader, entry| {
                let words = [("each", Atomic::Each), ("all", Atomic::All)];
                with.atomic = reader.choice(entry.value, &words).unwrap_or_default();
            },
        ),
    ],
    unbuilt: &[],
};

/// Of nodes that can be given a selection of files.
pub(super) static FILES: Scope<Set<With>> = Scope {
    what: "`with` of this node",
    keys: &[
        WITH_DB,
        parameter(
            "files",
            Shape::Any(&[Shape::Text("path or glob"), Shape::List(&Shape::Text("path or glob"), false)]),
            "[\"checks/db/*.sql\"]",
            "Which files it looks at; all of its folder by default.",
            |with, reader, entry| {
                let files = reader.strings(entry.value, Reader::pattern).unwrap_or_default();
                with.files = reader.not_empty(entry.value, "`files`", files).unwrap_or_default();
            },
        ),
    ],
    unbuilt: &[],
};

/// Of `db.baseline`.
pub(super) static BASELINE: Scope<Set<With>> = Scope {
    what: "`with` of `db.baseline`",
    keys: &[
        WITH_DB,
        parameter(
            "mode",
            Shape::Words(&["check", "write"]),
            "\"check\"",
            "Compare the file with what the migrations make, the default, or write it.",
            |with, reader, entry| {
                let words = [("check", Mode::Check), ("write", Mode::Write)];
                with.mode = reader.choice(entry.value, &words).unwrap_or_default();
            },
        ),
    ],
    unbuilt: &[],
};

/// `uses`.
pub(super) fn node_kind(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<NodeKind> {
    let name = reader.located(value)?;
    if let Some(node) = NODES.iter().find(|node| node.name == name.value) {
        return Some(node.kind);
    }
    let known = || NODES.iter().map(|node| node.name);
    let help = match super::did_you_mean(&name.value, known()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the nodes are {}", super::keys::backticked(&known().collect::<Vec<_>>())),
    };
    reader.report(
        super::Diagnostic::error("config::unknown-node", name.at, format!("there is no node `{}`", name.value))
            .help(help),
    );
    None
}

/// The parameters of the node `kind`.
pub(super) fn parameters(kind: NodeKind) -> &'static Scope<Set<With>> {
    NODES.iter().find(|node| node.kind == kind).map_or(&DB_ONLY, |node| node.with)
}
