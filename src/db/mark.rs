//! weir's mark on a database, and who a database is: law 17 of `docs/design/CORRECTNESS.md`.
//!
//! The mark is one row in `weir_database`, beside the ledger: a random incarnation. It says that weir made
//! what is in this database, so that a reset may drop it, and it tells a database from the one that
//! stood here before.

use super::error::DbError;
use super::session::Session;
use crate::config::{Database, Relation};
use std::io::Read;

/// The mark's table, without its schema.
pub const TABLE: &str = "weir_database";

/// weir's own tables beside the ledger: comparisons of catalogues and gates leave them out.
pub const OWN_TABLES: [&str; 3] = [TABLE, "weir_intents", "weir_seeds"];

/// A name as SQL wants it, quoted.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL wants it, whatever `standard_conforming_strings` is.
pub fn literal(text: &str) -> String {
    let inner = text.replace('\'', "''");
    if inner.contains('\\') { format!("E'{}'", inner.replace('\\', "\\\\")) } else { format!("'{inner}'") }
}

/// A relation as SQL wants it: `"schema"."name"`.
pub fn relation(relation: &Relation) -> String {
    format!("{}.{}", quoted(&relation.schema), quoted(&relation.name))
}

fn table(database: &Database) -> String {
    format!("{}.{}", quoted(&database.ledger.schema), quoted(TABLE))
}

/// 32 hexadecimal digits that nobody can guess.
///
/// # Errors
/// The system gives no random bytes.
pub fn random() -> Result<String, DbError> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| DbError::failed(format!("failed to read random bytes from `/dev/urandom`: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The incarnation of the database; none where it does not carry weir's mark.
///
/// # Errors
/// The connection broke, or the mark can't be read.
pub async fn incarnation(session: &Session, database: &Database) -> Result<Option<String>, DbError> {
    const WHAT: &str = "failed to read weir's mark";
    let named = table(database);
    let there = session.row(WHAT, &format!("select to_regclass({})", literal(&named))).await?;
    if there.first().is_none_or(Option::is_none) {
        return Ok(None);
    }
    let rows = session.rows(WHAT, &format!("select incarnation from {named}")).await?;
    Ok(rows.into_iter().flatten().next().flatten())
}

/// Marks the database as weir's, with a new incarnation, which is returned. In a transaction if one is open.
/// Where the ledger's schema is missing it is made.
///
/// # Errors
/// The connection broke, or the role may not.
pub async fn stamp(session: &Session, database: &Database) -> Result<String, DbError> {
    let incarnation = random()?;
    let (schema, table) = (&database.ledger.schema, table(database));
    let schema_made = if schema == "public" {
        String::new()
    } else {
        format!(
            "do $$ begin if to_regnamespace({}) is null then create schema {}; end if; end $$;",
            literal(&quoted(schema)),
            quoted(schema)
        )
    };
    let sql = format!(
        "{schema_made} create table if not exists {table} (
             only_row boolean primary key default true check (only_row),
             incarnation text not null,
             made_at timestamptz not null default now());
         insert into {table} (incarnation) values ({})
         on conflict (only_row) do update set incarnation = excluded.incarnation, made_at = now();",
        literal(&incarnation)
    );
    session
        .client
        .batch_execute(&sql)
        .await
        .map_err(|error| DbError::postgres("failed to put weir's mark on the database", &error))?;
    Ok(incarnation)
}

/// Which database this is: server and database. What is in it does not matter, so that neither a reset nor the first
/// migration changes what came before them.
///
/// # Errors
/// The connection broke.
pub async fn place(session: &Session) -> Result<String, DbError> {
    // A private cluster is a copy of a template and shares its system identifier with other copies; its
    // `cluster_name` is its own.
    const WHO: &str = "select (select system_identifier::text from pg_control_system()) || '/' || \
         current_setting('cluster_name') || '/' || \
         (select oid::text from pg_database where datname = current_database())";
    let who = session.row("failed to ask who the database is", WHO).await?;
    Ok(who.into_iter().next().flatten().unwrap_or("-".into()))
}

/// Who the database is: server, database, incarnation. Another one under the same name has another identity.
///
/// # Errors
/// The connection broke.
pub async fn identity(session: &Session, database: &Database) -> Result<String, DbError> {
    let place = place(session).await?;
    let incarnation = incarnation(session, database).await?;
    Ok(format!("{place}/{}", incarnation.unwrap_or("-".into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_are_quoted() {
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\'b"), "E'a\\\\''b'");
    }

    #[test]
    fn random_texts_are_long_and_differ() {
        let (a, b) = (random().unwrap(), random().unwrap());
        assert!(a != b && a.len() == 32 && a.chars().all(|letter| letter.is_ascii_alphanumeric()));
    }
}
