//! Intents: what a migration outside a transaction is about to do, written down before it does it. Whatever ends weir
//! or the server, the next run knows how far it came, and asks instead of guessing.

use super::error::DbError;
use super::ledger::schema_sql;
use super::mark::{literal, quoted};
use super::migrations::{Migration, which};
use super::session::Session;
use crate::config::Database;
use crate::sql::{Places, split};

/// The table's name, beside the ledger.
const TABLE: &str = "weir_intents";

/// A migration that was begun and is not in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// Its version.
    pub version: u64,
    /// What followed the number in the file's name.
    pub description: String,
    /// SHA-256 of the file as it was then.
    pub checksum: String,
    /// How many statements it had.
    pub statements: usize,
    /// How many of them are known to be complete.
    pub done: usize,
    /// When it began.
    pub began: String,
    /// What the server said against the next one; none where nobody was left to write that down.
    pub failed: Option<String>,
}

fn table(database: &Database) -> String {
    format!("{}.{}", quoted(&database.ledger.schema), quoted(TABLE))
}

/// All there are.
///
/// # Errors
/// The connection broke.
pub async fn read(session: &Session, database: &Database) -> Result<Vec<Intent>, DbError> {
    const WHAT: &str = "failed to read what was begun";
    let named = table(database);
    let there = session.row(WHAT, &format!("select pg_catalog.to_regclass({})", literal(&named))).await?;
    if there.into_iter().flatten().next().is_none() {
        return Ok(vec![]);
    }
    let sql = format!(
        "select version, description, checksum_sha256, statements, done, began_at, failed from {named} order by version"
    );
    let rows = session.rows(WHAT, &sql).await?;
    let intent = |row: Vec<Option<String>>| {
        let failed = row.get(6).cloned().flatten();
        let cell = |index: usize| row.get(index).cloned().flatten().unwrap_or_default();
        Intent {
            version: cell(0).parse().unwrap_or(0),
            description: cell(1),
            checksum: cell(2),
            statements: cell(3).parse().unwrap_or(0),
            done: cell(4).parse().unwrap_or(0),
            began: cell(5),
            failed,
        }
    };
    Ok(rows.into_iter().map(intent).collect())
}

/// Writes one down.
///
/// # Errors
/// The connection broke, or the role may not.
pub async fn begin(
    session: &Session,
    database: &Database,
    migration: &Migration,
    statements: usize,
) -> Result<(), DbError> {
    let named = table(database);
    let sql = format!(
        "{} create table if not exists {named} (
             version bigint primary key,
             description text not null,
             checksum_sha256 text not null,
             statements int not null,
             done int not null default 0,
             began_at timestamptz not null default clock_timestamp(),
             failed text);
         insert into {named} (version, description, checksum_sha256, statements) values ({}, {}, {}, {statements})",
        schema_sql(database),
        migration.version,
        literal(&migration.description),
        literal(&migration.checksum.to_hex()),
    );
    session.execute("failed to write down what is about to be done", &sql).await
}

/// Writes down that `done` statements are complete.
///
/// # Errors
/// The connection broke.
pub async fn advance(session: &Session, database: &Database, version: u64, done: usize) -> Result<(), DbError> {
    let sql = format!("update {} set done = {done} where version = {version}", table(database));
    session.execute("failed to write down what is done", &sql).await
}

/// Writes down what the server said against the statement after the last complete one.
///
/// # Errors
/// The connection broke.
pub async fn fail(session: &Session, database: &Database, version: u64, why: &str) -> Result<(), DbError> {
    let sql = format!("update {} set failed = {} where version = {version}", table(database), literal(why));
    session.execute("failed to write down what failed", &sql).await
}

/// The statement that strikes one out.
pub fn delete_sql(database: &Database, version: u64) -> String {
    format!("delete from {} where version = {version}", table(database))
}

/// Where an intent stands, and what to do: for people. `file` is its migration, if it is still there.
pub fn describe(database: &Database, intent: &Intent, file: Option<&Migration>) -> (String, String) {
    let number = format!("{:04}_{}", intent.version, intent.description);
    let Intent { done, statements, began, .. } = intent;
    let mut message = format!(
        "`{number}` runs outside a transaction, was begun at {began} and did not end: {done} of {statements} statements are known \
         to be complete"
    );
    let same = file.filter(|file| file.checksum.to_hex() == intent.checksum);
    let next = same.and_then(|file| Some((file, split(&file.text).into_iter().nth(intent.done)?)));
    let place = next
        .map(|(file, statement)| format!("{}:{}", file.path, Places::new(&file.text).of(statement.range.start).line));
    match (&intent.failed, place) {
        (Some(why), _) => message.push_str(&format!(", and the next failed: {why}")),
        (None, Some(place)) => message.push_str(&format!(", and {place} may be done, half done or not done")),
        (None, None) if done == statements => message.push_str(", and only the ledger's row is missing"),
        (None, None) => message.push_str(", and the next may be done, half done or not done"),
    }
    let (version, which) = (intent.version, which(database));
    let help = format!(
        "look at the database and bring it to one side: then `weir db resolve {version} --applied{which}` if all of the file \
         is done, or `weir db resolve {version} --undone{which}` if nothing of it is, and it is to run again"
    );
    (message, help)
}
