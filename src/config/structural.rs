//! `[structural]`: what the structural-change rule is told.

use super::diagnostic::Located;
use super::edges::TEXT;
use super::keys::{Key, Scope, Set, Shape};
use super::pattern::Pattern;
use super::uses::With;
use super::values::{Entry, Reader};
use crate::model::WsPath;
use serde::{Deserialize, Serialize};

const PATH: Shape = Shape::Text("path");
const FILES: Shape = Shape::Any(&[Shape::Text("path or glob"), Shape::List(&Shape::Text("path or glob"), false)]);

/// `[structural]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Structural {
    /// The base branch.
    pub base: String,
    /// The invariants manifest.
    pub manifest: WsPath,
    /// The folder of exceptions.
    pub exceptions: WsPath,
    /// How many days an exception may last.
    pub max_days: u32,
    /// Structural whatever they hold.
    pub paths: Vec<Located<Pattern>>,
    /// Folders of migrations; none: every database's.
    pub migrations: Vec<WsPath>,
    /// Files that CI is made of, beside the usual ones.
    pub ci: Vec<Located<Pattern>>,
}

impl Default for Structural {
    fn default() -> Self {
        Self {
            base: "main".into(),
            manifest: WsPath::from_clean("docs/invariants/INVARIANTS_MANIFEST.yml"),
            exceptions: WsPath::from_clean("docs/invariants/exceptions"),
            max_days: 90,
            paths: vec![],
            migrations: vec![],
            ci: vec![],
        }
    }
}

const fn key(
    name: &'static str,
    shape: Shape,
    example: &'static str,
    doc: &'static str,
    read: Set<Structural>,
) -> Key<Set<Structural>> {
    Key::new(name, shape, example, doc, read)
}

/// `[structural]`.
pub(super) static STRUCTURAL: Scope<Set<Structural>> = Scope {
    what: "`[structural]`",
    keys: &[
        key(
            "base",
            TEXT,
            "\"main\"",
            "The branch that a change is seen against; `main` by default.",
            |rule, reader, entry| rule.base = reader.text(entry.value).unwrap_or_else(|| rule.base.clone()),
        ),
        key(
            "manifest",
            PATH,
            "\"docs/invariants/INVARIANTS_MANIFEST.yml\"",
            "The invariants manifest; the example is the default.",
            |rule, reader, entry| path(&mut rule.manifest, reader, entry),
        ),
        key(
            "exceptions",
            PATH,
            "\"docs/invariants/exceptions\"",
            "The folder of exceptions; the example is the default.",
            |rule, reader, entry| path(&mut rule.exceptions, reader, entry),
        ),
        key(
            "max_days",
            Shape::Count,
            "90",
            "How many days an exception may last; 90 by default.",
            |rule, reader, entry| {
                rule.max_days = reader.count(entry.value).unwrap_or(rule.max_days);
            },
        ),
        key("paths", FILES, "[\"infra/roles/**\"]", "Structural whatever they hold.", |rule, reader, entry| {
            rule.paths = reader.strings(entry.value, Reader::pattern).unwrap_or_default();
        }),
        key(
            "migrations",
            Shape::Any(&[PATH, Shape::List(&PATH, false)]),
            "[\"schema/migrations\"]",
            "Folders of migrations; every database's by default, `schema/migrations` where there is none.",
            |rule, reader, entry| rule.migrations = reader.strings(entry.value, Reader::path).unwrap_or_default(),
        ),
        key(
            "ci",
            FILES,
            "[\"ci/*.sh\"]",
            "Files that CI is made of, beside `.github/workflows`, `.gitlab-ci.yml` and `.ci/run`.",
            |rule, reader, entry| rule.ci = reader.strings(entry.value, Reader::pattern).unwrap_or_default(),
        ),
    ],
    unbuilt: &[],
};

/// Of `rule.structural`.
pub(super) static RULE: Scope<Set<With>> = Scope {
    what: "`with` of `rule.structural`",
    keys: &[Key::<Set<With>>::new(
        "base",
        TEXT,
        "\"main\"",
        "The branch that the change is seen against; that of `[structural]` by default.",
        |with, reader, entry| with.check.base = reader.located(entry.value),
    )],
    unbuilt: &[],
};

fn path(into: &mut WsPath, reader: &mut Reader<'_>, entry: Entry<'_, '_>) {
    if let Some(path) = reader.path(entry.value) {
        *into = path;
    }
}
