//! What is in a database, described so that two descriptions can be compared: every object that neither the system, an
//! extension nor weir itself made, with owner, privileges, definition and comment. Roles are the server's, and not in it;
//! nor are settings of the database as a whole.

mod diff;
mod queries;

pub use diff::{Change, Difference, diff};

use super::error::DbError;
use super::mark::{OWN_TABLES, literal};
use super::session::Session;
use crate::config::Database;
use std::collections::BTreeMap;

/// An object: its kind, and its name with schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    /// `table`, `function`, `trigger`, …
    pub kind: String,
    /// `public.t`, `public.f(integer)`, `t on public.x`.
    pub name: String,
}

/// Objects with what is known of each: attribute → value.
pub type Catalogue = BTreeMap<Object, BTreeMap<String, String>>;

/// Describes a database.
///
/// # Errors
/// The connection broke.
pub async fn describe(session: &Session, database: &Database) -> Result<Catalogue, DbError> {
    const WHAT: &str = "failed to read the catalogue";
    // With nothing else on the path, every name is written with its schema.
    const BEGIN: &str = "begin isolation level repeatable read read only; set local search_path = pg_catalog;
         set local quote_all_identifiers = off";
    session.execute(WHAT, BEGIN).await?;
    let catalogue = read(session, database).await;
    session.execute(WHAT, "rollback").await?;
    catalogue
}

async fn read(session: &Session, database: &Database) -> Result<Catalogue, DbError> {
    let own: Vec<String> = OWN_TABLES.iter().copied().chain([database.ledger.name.as_str()]).map(literal).collect();
    let own = format!("n.nspname = {} and c.relname in ({})", literal(&database.ledger.schema), own.join(", "));
    let mut catalogue = Catalogue::new();
    for query in queries::all(&own) {
        for row in session.rows("failed to read the catalogue", &query).await? {
            let mut cells = row.into_iter();
            let mut cell = || cells.next().flatten();
            let (Some(kind), Some(name)) = (cell(), cell()) else { continue };
            let facts = catalogue.entry(Object { kind, name }).or_default();
            if let (Some(attribute), Some(value)) = (cell(), cell()) {
                facts.insert(attribute, value);
            }
        }
    }
    Ok(catalogue)
}
