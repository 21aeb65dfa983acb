//! What statements say of a schema's objects: a row of facts that can be compared, whatever the text looks like.
//!
//! A fact's text is its tokens, made alike. What a statement says of several objects, or of several aspects of one, is
//! several facts, so that a comparison can name what differs.

mod block;
mod routine;
mod statement;
mod tokens;

use super::place::Places;
use super::split::split;
use squawk_syntax::SourceFile;
use std::collections::BTreeSet;
use std::ops::Range;
use tokens::{Token, canonical, tokens};

/// What of a schema a fact is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKind {
    /// A table.
    Table,
    /// A column, its type or default.
    Column,
    /// A constraint, `NOT NULL` among them.
    Constraint,
    /// An index.
    Index,
    /// A trigger, an event trigger, or whether triggers fire.
    Trigger,
    /// A type or domain.
    Type,
    /// A view, materialized or not, or a rule.
    View,
    /// A sequence.
    Sequence,
    /// A schema.
    Schema,
    /// A routine, but for what the next three say.
    Signature,
    /// A routine's body.
    Body,
    /// Whose rights a routine runs with.
    Definer,
    /// Where names are looked for.
    SearchPath,
    /// A role.
    Role,
    /// A privilege, or membership in a role.
    Grant,
    /// Who owns what.
    Ownership,
    /// Row security and its policies.
    RowSecurity,
    /// An extension.
    Extension,
    /// Anything else that is no data.
    Other,
    /// SQL put together while it runs.
    Dynamic,
}

/// Something that a statement says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What it is about.
    pub kind: ObjectKind,
    /// The object: `orders`, `orders.total`.
    pub object: String,
    /// The table it belongs to.
    pub on: Option<String>,
    /// Tells objects of one name apart: the arguments of a function.
    pub sub: String,
    /// `create`, `drop`, `grant` and so on; `order` for the order of a table's columns.
    pub verb: String,
    /// What it says, made alike.
    pub text: String,
    /// The bytes of the statement, or of the part of it.
    pub range: Range<usize>,
}

/// What a text says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Objects {
    /// In the order they stand.
    pub facts: Vec<Fact>,
    /// It is not understood: the byte, and why.
    pub broken: Option<(usize, String)>,
}

/// What `text` says of objects. Data, comments and formatting say nothing.
pub fn objects(text: &str) -> Objects {
    let errors = SourceFile::parse(text).errors();
    let broken = errors.first().map(|error| (usize::from(error.range().start()), error.message().to_owned()));
    let mut reader = Reader::default();
    for statement in split(text) {
        if statement.unterminated {
            let why = "a string, a comment or a quoted name does not end".to_owned();
            return Objects { facts: reader.facts, broken: broken.or(Some((statement.range.start, why))) };
        }
        reader.statement(&tokens(statement.of(text), statement.range.start));
    }
    Objects { facts: reader.facts, broken }
}

impl Objects {
    /// Where it is broken, as line and why.
    pub fn broken_at(&self, text: &str) -> Option<(usize, &str)> {
        self.broken.as_ref().map(|(at, why)| (Places::new(text).of(*at).line, why.as_str()))
    }
}

/// Collects facts, statement by statement.
#[derive(Default)]
struct Reader {
    facts: Vec<Fact>,
    /// Temporary tables and views so far, which are no part of a schema.
    temporary: BTreeSet<String>,
    /// How deep in blocks and strings.
    depth: usize,
}

/// Where a fact is about: its object, and the table that belongs to.
struct About {
    kind: ObjectKind,
    object: String,
    on: Option<String>,
}

impl About {
    fn new(kind: ObjectKind, object: impl Into<String>) -> Self {
        Self { kind, object: object.into(), on: None }
    }

    fn on(mut self, table: &str) -> Self {
        self.on = Some(table.to_owned());
        self
    }
}

impl Reader {
    /// Adds a fact; its text is that of `tokens`.
    fn fact(&mut self, about: About, verb: &str, tokens: &[Token]) {
        let text = canonical(tokens);
        let range = tokens.first().map_or(0, |token| token.start)..tokens.last().map_or(0, |token| token.end);
        self.push(about, verb, text, range);
    }

    fn push(&mut self, about: About, verb: &str, text: String, range: Range<usize>) {
        let About { kind, object, on } = about;
        self.facts.push(Fact { kind, object, on, sub: String::new(), verb: verb.to_owned(), text, range });
    }
}

#[cfg(test)]
#[path = "objects/tests.rs"]
mod tests;
