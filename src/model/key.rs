//! The parts of a task's key, and the sink they are written to. A hasher and an explainer take the
//! same parts from the same traversal, so that an explanation can't drift from the key.

use super::Digest;
use serde::{Deserialize, Serialize};

/// What a part of a key is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    /// Version of the key's encoding, platform.
    Format,
    /// The definition: commands, arguments, shell, directory, declarations.
    Definition,
    /// A declared environment variable.
    Env,
    /// A source file, symlink or directory.
    Source,
    /// What a dependency left behind.
    Dependency,
    /// A required program.
    Program,
    /// The output of a probe.
    Probe,
    /// The incarnation written by a reset.
    Incarnation,
    /// The state of something live that the task is lent.
    Live,
}

/// One part of a key as it is kept for explanations. `shown` never holds a secret: it is the value
/// where it may be shown, otherwise a digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct KeyPart {
    /// What it is about.
    pub kind: PartKind,
    /// Which one: a path, a variable's name, a task's name.
    pub name: String,
    /// The value for people.
    pub shown: String,
    /// There is no value, which differs from any text that `shown` could hold.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unset: bool,
}

/// Something that a node observed for its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// A program or a probe.
    pub kind: PartKind,
    /// Which.
    pub name: String,
    /// What enters the key.
    pub value: String,
}

/// Takes the parts of a key, in order.
pub trait KeySink {
    /// One part. `value` is hashed as it is; `secret` values are never shown.
    fn part(&mut self, kind: PartKind, name: &str, value: KeyValue<'_>);
}

/// The value of a part.
#[derive(Debug, Clone, Copy)]
pub enum KeyValue<'a> {
    /// Text that may be shown.
    Text(&'a str),
    /// Text that must not be shown.
    Secret(&'a str),
    /// A content digest with a short note (kind, mode, symlink target).
    Content(&'a Digest, &'a str),
    /// Absent, which differs from empty.
    Absent,
}
