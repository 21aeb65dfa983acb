//! What the rule finds: the closed list of kinds, findings and violations.

use crate::sql::ObjectKind;
use schemars::JsonSchema;
use serde::Serialize;

/// What a structural change is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A table.
    Table,
    /// A column.
    Column,
    /// A constraint.
    Constraint,
    /// An index.
    Index,
    /// A trigger.
    Trigger,
    /// A type or domain.
    Type,
    /// A view or rule.
    View,
    /// A sequence.
    Sequence,
    /// A schema.
    Schema,
    /// A function's signature.
    FunctionSignature,
    /// A function's body.
    FunctionBody,
    /// SECURITY DEFINER.
    SecurityDefiner,
    /// `search_path`.
    SearchPath,
    /// A role.
    Role,
    /// A grant.
    Grant,
    /// An owner.
    Ownership,
    /// Row security.
    RowSecurity,
    /// An extension.
    Extension,
    /// Another object of a database.
    Object,
    /// SQL that is put together while it runs.
    DynamicSql,
    /// A file that can't be understood.
    Unreadable,
    /// A migration that is on the base branch.
    Migration,
    /// A task that an entry task reached.
    Task,
    /// A gate whose failure means less.
    Gate,
    /// A reset.
    Reset,
    /// A check.
    Check,
    /// What a test report must hold.
    Expect,
    /// What CI calls.
    Ci,
    /// The graph as a whole.
    Graph,
    /// This rule's own settings.
    Rule,
    /// A path that is declared structural.
    Path,
    /// An invariant that is no more, or less than it was.
    Invariant,
}

/// Every kind: its name, the names it has in `covers`, and why it is structural.
const KINDS: [(Kind, &[&str], &str); 32] = [
    (Kind::Table, &["table"], "tables are what invariants speak of"),
    (Kind::Column, &["column"], "a column's type, default and order are relied on"),
    (Kind::Constraint, &["constraint"], "a constraint enforces an invariant on every write"),
    (Kind::Index, &["index"], "a unique index is a constraint, and any index a promise of speed"),
    (Kind::Trigger, &["trigger"], "a trigger enforces what constraints can't say"),
    (Kind::Type, &["type"], "a type limits what can be stored"),
    (Kind::View, &["view"], "a view or rule decides what its readers see"),
    (Kind::Sequence, &["sequence"], "a sequence hands out identities"),
    (Kind::Schema, &["schema"], "a schema is a border of names and rights"),
    (Kind::FunctionSignature, &["function", "function-signature"], "callers rely on a function's signature"),
    (Kind::FunctionBody, &["function", "function-body"], "a function's body enforces what it is called for"),
    (Kind::SecurityDefiner, &["function", "security-definer"], "it decides whose rights a function runs with"),
    (Kind::SearchPath, &["function", "search-path"], "it decides which objects names mean"),
    (Kind::Role, &["role"], "roles are who may do what"),
    (Kind::Grant, &["grant"], "privileges are who may do what"),
    (Kind::Ownership, &["ownership"], "an owner may do anything with what it owns"),
    (Kind::RowSecurity, &["row-security", "policy"], "row security decides who sees which rows"),
    (Kind::Extension, &["extension"], "an extension brings objects and rights of its own"),
    (Kind::Object, &["object"], "it is no data, so it is structure"),
    (Kind::DynamicSql, &["dynamic-sql"], "SQL put together while it runs can't be read beforehand"),
    (Kind::Unreadable, &["unreadable"], "what can't be read may be anything"),
    (Kind::Migration, &["migration"], "databases have applied it: it can't be made undone by editing"),
    (Kind::Task, &["task"], "what an entry task does not reach is not checked"),
    (Kind::Gate, &["gate", "task"], "a failure that is only a warning stops nobody"),
    (Kind::Reset, &["reset", "task"], "a reset that is skipped leaves old state behind"),
    (Kind::Check, &["check", "task"], "a check that is gone finds nothing"),
    (Kind::Expect, &["expect", "task"], "fewer tests may pass for all of them"),
    (Kind::Ci, &["ci"], "what CI does not call is not held"),
    (Kind::Graph, &["graph"], "two graphs can only be compared if both load"),
    (Kind::Rule, &["rule"], "these settings decide what the rule sees"),
    (Kind::Path, &["path"], "`[structural] paths` declares it structural"),
    (Kind::Invariant, &["invariant"], "an invariant that is given up is given up for everybody"),
];

impl Kind {
    /// Names it has in `covers`.
    pub fn names(self) -> &'static [&'static str] {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or(&[], |(_, names, _)| names)
    }

    /// As it is shown.
    pub fn name(self) -> &'static str {
        self.names()
            .last()
            .filter(|name| **name != "task" && **name != "policy")
            .or(self.names().first())
            .copied()
            .unwrap_or_default()
    }

    /// Why it is structural.
    pub fn why(self) -> &'static str {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or("", |(.., why)| why)
    }

    /// All names that `covers` knows.
    pub fn all_names() -> impl Iterator<Item = &'static str> {
        KINDS.iter().flat_map(|(_, names, _)| names.iter().copied())
    }

    /// Of what SQL is about.
    pub fn of(kind: ObjectKind) -> Self {
        match kind {
            ObjectKind::Table => Self::Table,
            ObjectKind::Column => Self::Column,
            ObjectKind::Constraint => Self::Constraint,
            ObjectKind::Index => Self::Index,
            ObjectKind::Trigger => Self::Trigger,
            ObjectKind::Type => Self::Type,
            ObjectKind::View => Self::View,
            ObjectKind::Sequence => Self::Sequence,
            ObjectKind::Schema => Self::Schema,
            ObjectKind::Signature => Self::FunctionSignature,
            ObjectKind::Body => Self::FunctionBody,
            ObjectKind::Definer => Self::SecurityDefiner,
            ObjectKind::SearchPath => Self::SearchPath,
            ObjectKind::Role => Self::Role,
            ObjectKind::Grant => Self::Grant,
            ObjectKind::Ownership => Self::Ownership,
            ObjectKind::RowSecurity => Self::RowSecurity,
            ObjectKind::Extension => Self::Extension,
            ObjectKind::Other => Self::Object,
            ObjectKind::Dynamic => Self::DynamicSql,
        }
    }
}

/// What happened to something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is otherwise.
    Changed,
}

/// A structural change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// What it is about.
    pub kind: Kind,
    /// Which: `orders.total`, `test:unit`.
    pub object: String,
    /// The table it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// What happened to it.
    pub change: Change,
    /// Where it is said, or was: relative to the workspace root.
    pub file: String,
    /// The line there, from 1; of the side that has it.
    pub line: usize,
    /// What happened, in words.
    pub message: String,
    /// Why that is structural.
    pub why: String,
    /// The invariants that cover it, by id.
    pub invariants: Vec<String>,
    /// What makes it right: a manifest's invariant or an exception; none: nothing does.
    pub excused_by: Option<String>,
}

impl Finding {
    pub(super) fn new(
        kind: Kind,
        object: impl Into<String>,
        change: Change,
        at: (&str, usize),
        message: String,
    ) -> Self {
        Self {
            kind,
            object: object.into(),
            table: None,
            change,
            file: at.0.to_owned(),
            line: at.1,
            message,
            why: kind.why().to_owned(),
            invariants: vec![],
            excused_by: None,
        }
    }
}

/// Why the change is refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Violation {
    /// A stable name: `migration-edited`, `exception`, `manifest`, `quick-drift`, `unexcused`.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What to do.
    pub help: String,
}

impl Violation {
    pub(super) fn new(code: &str, at: (&str, usize), message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), file: at.0.into(), line: at.1, help: help.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_name() {
        let names: std::collections::BTreeSet<&str> = KINDS.iter().map(|(kind, ..)| kind.name()).collect();
        assert_eq!(names.len(), KINDS.len());
        for (kind, ..) in KINDS {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }
}
