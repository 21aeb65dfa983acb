//! `db.up`: the database is there.

use super::error::DbError;
use super::frame::{Act, Nature, Site};
use crate::config::Database;
use crate::model::Digest;
use crate::node::{Effects, Output, Pending};

/// The database is there, and new enough.
pub struct Up;

impl Act for Up {
    fn nature(&self, _: &Database) -> Nature {
        Nature { effects: Effects::Unknown, reports_state: true, alone: false, ..Nature::default() }
    }

    fn run<'a>(&'a self, site: Site<'a>, output: &'a mut dyn Output) -> Pending<'a, Result<(), DbError>> {
        Box::pin(async move {
            let session = site.databases.connect(site.database, site.context).await?;
            let version = session.version().await?;
            let (major, minor) = (version / 10_000, version % 10_000);
            let said = format!("Postgres {major}.{minor} at {}\n", session.endpoint.describe());
            output.bytes(said.as_bytes());
            if major < site.database.min_version {
                let wanted = site.database.min_version;
                return Err(DbError::failed(format!("the server is Postgres {major}.{minor}, older than {wanted}"))
                    .help(format!("use a server of version {wanted} or newer, or lower `min_version`")));
            }
            Ok(())
        })
    }

    fn state<'a>(&'a self, site: Site<'a>) -> Pending<'a, Result<Digest, DbError>> {
        Box::pin(async move {
            let session = site.databases.connect(site.database, site.context).await?;
            let row = session
                .client
                .query_one(
                    "select (pg_control_system()).system_identifier::text || '/' || \
                     (select oid::text from pg_database where datname = current_database())",
                    &[],
                )
                .await
                .map_err(|error| DbError::postgres("failed to ask who the database is", &error))?;
            Ok(Digest::of(row.get::<_, String>(0).as_bytes()))
        })
    }
}
