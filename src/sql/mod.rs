//! Rank 1: SQL texts: their statements with positions, what kind they are, and what a linter says of them. The parsers
//! stay in here. Knows nothing of files, databases or tasks.
//!
//! Statements are told apart by their tokens, as Postgres's own shell does it, and not by a grammar: a grammar that is
//! older than the server would lose its way in what it does not know, and with it every statement after that.

mod kind;
mod lint;
mod objects;
mod place;
mod split;

pub use kind::Kind;
pub use lint::{Finding, lint};
pub use objects::{Fact, ObjectKind, Objects, objects};
pub use place::{Place, Places};
pub use split::{Comment, Statement, comments, split};
