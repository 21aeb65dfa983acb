//! How a database stands, for people: where it is, what it holds beside what the files say.

use super::databases::Databases;
use super::error::DbError;
use super::provider::{self, Source};
use super::{ledger, migrations, seed};
use crate::config::Database;
use crate::node::Context;
use serde::Serialize;

/// How a database stands.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Its name in `[db]`.
    pub database: String,
    /// Where its server comes from; none: that is decided when it is first brought up.
    pub provider: Option<&'static str>,
    /// Where it is, without password; none: it is not known.
    pub address: Option<String>,
    /// The server's version; none: it is not up.
    pub server: Option<String>,
    /// Why nothing can be said of what it holds.
    pub problem: Option<String>,
    /// Migrations in the ledger; none: it could not be read.
    pub applied: Option<usize>,
    /// Migrations in the folder; none: it can't be read.
    pub files: Option<usize>,
    /// Seeds that it holds.
    pub seeded: Option<usize>,
    /// Seeds that there are.
    pub seeds: Option<usize>,
}

impl Databases {
    /// How a database stands. Starts nothing and changes nothing.
    pub async fn status(&self, database: &Database, context: &Context) -> Status {
        let has_seeds = !database.rows.is_empty() || database.seeds.value.under(&self.root).is_dir();
        let mut status = Status {
            database: database.key.clone(),
            provider: None,
            address: None,
            server: None,
            problem: None,
            applied: None,
            files: migrations::load(&self.root, database).ok().map(|files| files.len()),
            seeded: None,
            seeds: match has_seeds {
                true => seed::planned(&self.root, &self.outside, database).ok().map(|seeds| seeds.len()),
                false => Some(0),
            },
        };
        if let Err(DbError::Failed { message, .. } | DbError::Refused { message, .. }) =
            self.look(database, context, &mut status).await
        {
            status.problem = Some(message);
        }
        status
    }

    async fn look(&self, database: &Database, context: &Context, status: &mut Status) -> Result<(), DbError> {
        status.provider = provider::settled(self, database)?.as_ref().map(Source::name);
        let Some(endpoint) = provider::known(self, database)? else {
            return Err(DbError::failed("its server was never started"));
        };
        status.address = Some(endpoint.describe());
        let session = self.connect(database, context).await?;
        let version = session.version().await?;
        status.server = Some(format!("{}.{}", version / 10_000, version % 10_000));
        status.applied = Some(ledger::read(&session, database).await?.len());
        status.seeded = Some(seed::checksums(&session, database).await?.len());
        Ok(())
    }
}
