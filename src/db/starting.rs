//! Where people step in: a new file, a starting point for a database that has no ledger, and a word on a migration
//! that was begun and did not end.

use super::databases::Databases;
use super::error::DbError;
use super::intent;
use super::ledger;
use super::migrations::{self, Migration};
use crate::config::Database;
use crate::model::{WsPath, counted};
use crate::node::{Context, Output};
use std::io::Write as _;

/// What became of a migration that was begun outside a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// All of it is done.
    Applied,
    /// Nothing of it is.
    Undone,
}

impl Databases {
    /// Writes a new migration with the next number, and says where.
    ///
    /// # Errors
    /// The folder holds something that is no migration, or can't be written.
    pub fn new_migration(&self, database: &Database, description: &str) -> Result<WsPath, DbError> {
        let folder = &database.migrations.value;
        let failed = |what: &str, error: &std::io::Error| DbError::failed(format!("failed to {what}: {error}"));
        std::fs::create_dir_all(folder.under(&self.root))
            .map_err(|error| failed(&format!("create the folder `{folder}`"), &error))?;
        let number = migrations::next(&migrations::list(&self.root, database)?);
        let words: Vec<&str> = description
            .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-')
            .filter(|word| !word.is_empty())
            .collect();
        if words.is_empty() {
            return Err(DbError::failed(format!("`{description}` holds no letter or digit for a file's name"))
                .help("say in a few words what it does: `weir db new add outbox`"));
        }
        let name = format!("{number}_{}", words.join("_").to_ascii_lowercase());
        let path = folder.join(&format!("{name}.sql"));
        let text = format!(
            "-- {name}\n-- Runs in one transaction, together with its row in the ledger; so no BEGIN and no COMMIT. What can't run in one\n\
             -- (CREATE INDEX CONCURRENTLY) goes into a file of its own with this comment at the top: {}\n\n",
            database.no_tx_marker
        );
        std::fs::File::options()
            .write(true)
            .create_new(true)
            .open(path.under(&self.root))
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| failed(&format!("write `{path}`"), &error))?;
        Ok(path)
    }

    /// Puts migrations into the ledger of a database that has none, without running them: those up to a version, or
    /// all there are.
    ///
    /// # Errors
    /// It has a ledger, or nothing to adopt; there is no such version; the connection broke.
    pub async fn adopt(
        &self,
        database: &Database,
        context: &Context,
        up_to: Option<u64>,
        output: &mut dyn Output,
    ) -> Result<(), DbError> {
        let all = migrations::load(&self.root, database)?;
        let up_to = match up_to {
            Some(version) => version_of(&all, version)?.version,
            None => all.last().map_or(0, |last| last.version),
        };
        let session = self.connect(database, context).await?;
        ledger::lock(&session, database, output).await?;
        if let Some(applied) = ledger::look(&session, database).await? {
            return Err(DbError::failed(format!(
                "database `{}` has a ledger already, which holds {}",
                database.key,
                counted(applied.len(), "migration")
            ))
            .help("nothing to adopt: `db.migrate` goes on from there"));
        }
        if ledger::strangers(&session, database).await?.is_empty() {
            return Err(DbError::failed(format!("database `{}` is empty: there is nothing to adopt", database.key))
                .help("run `db.migrate`, which applies the migrations"));
        }
        let adopted: Vec<&Migration> = all.iter().filter(|migration| migration.version <= up_to).collect();
        let rows: Vec<String> = adopted.iter().map(|migration| ledger::insert_sql(database, migration, None)).collect();
        // A ledger without its rows would let every migration run again.
        let sql = format!("begin; {}; {}; commit", ledger::create_sql(database), rows.join("; "));
        session.execute("failed to write the ledger", &sql).await?;
        for migration in &adopted {
            output.bytes(format!("{}: in the ledger, not run\n", migration.name()).as_bytes());
        }
        let rest = all.len() - adopted.len();
        output.bytes(format!("{} adopted; {rest} left for `db.migrate`\n", adopted.len()).as_bytes());
        Ok(())
    }

    /// Settles a migration that was begun outside a transaction and did not end.
    ///
    /// # Errors
    /// None of that version was begun; its file is gone; the connection broke.
    pub async fn resolve(
        &self,
        database: &Database,
        context: &Context,
        version: u64,
        resolution: Resolution,
        output: &mut dyn Output,
    ) -> Result<(), DbError> {
        let session = self.connect(database, context).await?;
        ledger::lock(&session, database, output).await?;
        let begun = intent::read(&session, database).await?;
        let Some(intent) = begun.iter().find(|intent| intent.version == version) else {
            let others: Vec<String> = begun.iter().map(|intent| format!("`{}`", intent.version)).collect();
            let failed = DbError::failed(format!("no migration of version `{version}` is waiting for a word"));
            return Err(match others.is_empty() {
                true => failed.help("none is: there is nothing to resolve"),
                false => failed.help(format!("waiting is {}", others.join(", "))),
            });
        };
        let strike = intent::delete_sql(database, version);
        let name = format!("{version:04}_{}", intent.description);
        let (sql, said) = match resolution {
            Resolution::Undone => (strike, format!("{name}: undone; `db.migrate` runs it from its first statement\n")),
            Resolution::Applied => {
                let all = migrations::load(&self.root, database)?;
                let row = ledger::insert_sql(database, version_of(&all, version)?, None);
                let create = ledger::create_sql(database);
                (format!("begin; {create}; {row}; {strike}; commit"), format!("{name}: in the ledger\n"))
            }
        };
        session.execute("failed to write it down", &sql).await?;
        output.bytes(said.as_bytes());
        Ok(())
    }
}

fn version_of(all: &[Migration], version: u64) -> Result<&Migration, DbError> {
    all.iter().find(|migration| migration.version == version).ok_or_else(|| {
        let last = all.last().map_or("none".into(), |last| last.number.clone());
        DbError::failed(format!("there is no migration of version `{version}`")).help(format!("the last is {last}"))
    })
}
