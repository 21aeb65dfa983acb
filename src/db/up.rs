//! `db.up`: the database is there.

use super::error::DbError;
use super::frame::{Act, Nature, Site};
use super::mark;
use super::session::Session;
use crate::config::Database;
use crate::model::Digest;
use crate::node::{Effects, Output, Pending};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The database is there, and new enough.
#[derive(Default)]
pub struct Up {
    /// From bringing it up to asking for its state: connecting takes longer than all else.
    session: Mutex<Option<Session>>,
}

impl Up {
    fn session(&self) -> MutexGuard<'_, Option<Session>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
            *self.session() = Some(session);
            Ok(())
        })
    }

    fn state<'a>(&'a self, site: Site<'a>) -> Pending<'a, Result<Digest, DbError>> {
        Box::pin(async move {
            let kept = self.session().take();
            let session = match kept {
                Some(session) => session,
                None => site.databases.connect(site.database, site.context).await?,
            };
            Ok(Digest::of(mark::place(&session).await?.as_bytes()))
        })
    }
}
