//! `db.up`: the database is there.

use super::error::DbError;
use super::frame::{Act, Nature, Site};
use super::mark;
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
            let session = site.databases.bring_up(site.database, site.context, output).await?;
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
            Ok(Digest::of(mark::place(&session).await?.as_bytes()))
        })
    }
}
