//! `db.down`: stops the server that `db.up` started.

use super::error::DbError;
use super::frame::{Act, Nature, Site};
use super::provider;
use crate::config::Database;
use crate::node::{Output, Pending};

/// The server that `db.up` started is stopped; one that it did not start is left alone.
pub struct Down {
    /// The locks of all databases: they may share the server.
    pub locks: Vec<String>,
}

impl Act for Down {
    fn nature(&self, _: &Database) -> Nature {
        Nature { locks: self.locks.clone(), ..Nature::default() }
    }

    fn run<'a>(&'a self, site: Site<'a>, output: &'a mut dyn Output) -> Pending<'a, Result<(), DbError>> {
        Box::pin(async move {
            let said = provider::bring_down(site.databases, site.database, site.context, output).await?;
            output.bytes(format!("{said}\n").as_bytes());
            Ok(())
        })
    }
}
