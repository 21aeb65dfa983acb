//! The parameters of the ready-made checks, as declared and validated.

use super::diagnostic::{At, Located};
use super::pattern::Pattern;
use crate::model::WsPath;
use serde::{Deserialize, Serialize};

/// The parameters of the `check.*` nodes; each takes some of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckWith {
    /// `check.graph`: warnings fail too.
    pub strict: bool,
    /// `check.forbid`: regular expressions that no line may match.
    pub patterns: Vec<Located<String>>,
    /// `check.forbid`: a line that matches this may stay.
    pub unless: Option<Located<String>>,
    /// `check.forbid`: where it is allowed all the same.
    pub allow: Vec<Allowance>,
    /// `check.same`: places that must hold the same value.
    pub values: Vec<Located<ValuePlace>>,
    /// `check.exists`: whether the files have a run bit.
    pub executable: Option<bool>,
    /// `check.exists`: how their lines end.
    pub eol: Option<Eol>,
    /// `check.branch`: globs of branches that nobody works on directly.
    pub forbid: Vec<Located<String>>,
    /// `check.branch`: no merge commit since this branch.
    pub no_merges_from: Option<Located<String>>,
    /// `check.branch`: HEAD holds all of this branch.
    pub up_to_date_with: Option<Located<String>>,
    /// `check.cochange`: the branch that a change is seen against.
    pub base: Option<Located<String>>,
    /// `check.cochange`: a change that touches these …
    pub when: Vec<Located<Pattern>>,
    /// … must touch one of these.
    pub require: Vec<Located<Pattern>>,
    /// `check.drift`: the generator, given to the shell.
    pub command: Option<Located<String>>,
    /// `check.drift`: what it makes.
    pub outputs: Vec<Located<Pattern>>,
    /// `check.drift`: whether the copy has none of the outputs when the generator starts.
    pub clean: Option<bool>,
    /// `check.drift`: digests committed by whoever owns the generator.
    pub lock: Option<Located<WsPath>>,
}

/// Where something forbidden is allowed, why, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// Where it is declared.
    pub at: At,
    /// The files.
    pub files: Vec<Located<Pattern>>,
    /// Why.
    pub reason: String,
    /// The last day it holds, in UTC: `2026-12-31`.
    pub expires: Option<String>,
}

/// How lines end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Eol {
    /// `\n`.
    Lf,
    /// `\r\n`.
    Crlf,
}

/// A file and where in it a value stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValuePlace {
    /// The file.
    pub file: WsPath,
    /// Where in it.
    pub selector: Selector,
    /// As written, for people.
    pub text: String,
}

/// Where a value stands in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Selector {
    /// Keys of a TOML, JSON or YAML document, from the outside in.
    Keys(Vec<String>),
    /// What this regular expression captures.
    Regex(String),
}
