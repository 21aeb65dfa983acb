//! A fresh database on the same server, for a while: to compare with, to copy, to try things in.
//!
//! Whoever makes one holds an advisory lock on its name from before it exists until after it is gone.
//! One whose lock nobody holds was left behind by a weir that was killed, and the next one removes it.

use super::databases::Databases;
use super::error::DbError;
use super::guard::terminate_others;
use super::mark::{literal, quoted, random};
use super::server::Endpoint;
use super::session::Session;
use crate::config::Database;
use crate::model::Digest;
use crate::node::Context;
use std::time::Duration;
use tokio::time::Instant;

/// How long connections to a database that is dropped are waited for; the server sees to the rest.
const PARTING: Duration = Duration::from_millis(100);

/// A database beside another, and the lock on its name. Nobody need be connected to it: the first who is makes the server
/// write what it knows of its catalogue. Dropped without [`Kept::remove`] it stays until a later one is made.
pub struct Kept {
    name: String,
    /// Connected to the database that it stands beside: holds the lock.
    keeper: Session,
}

/// A fresh, empty database to work in. Dropped without [`Scratch::remove`] it stays until a later one is made.
pub struct Scratch {
    /// A connection to it, as its owner.
    pub session: Session,
    kept: Kept,
}

/// What tells the databases made beside one, to which `keeper` is connected, from those made beside others: locks are
/// known within one database only, so that each looks after its own.
pub fn belongs_to(keeper: &Session) -> String {
    Digest::of(keeper.endpoint.database.as_bytes()).to_hex()[..8].to_owned()
}

/// The lock on a name, as arguments of the lock's functions.
pub fn lock_of(name: &str) -> String {
    lock_on(&literal(name))
}

fn lock_on(name: &str) -> String {
    format!("hashtextextended({name}, 7723)")
}

impl Scratch {
    /// An empty database; `purpose` is a word for its name.
    ///
    /// # Errors
    /// The database is not up, or the role may not make others.
    pub async fn create(
        databases: &Databases,
        database: &Database,
        context: &Context,
        purpose: &str,
    ) -> Result<Self, DbError> {
        let keeper = databases.connect(database, context).await?;
        let kept = Kept::copy(keeper, purpose, "template0").await?;
        let session = databases.connect_to(database, kept.name(), context).await?;
        Ok(Self { session, kept })
    }

    /// Ends the connection to it.
    pub fn disconnect(self) -> Kept {
        self.kept
    }

    /// Removes it, whoever is still connected.
    ///
    /// # Errors
    /// As [`Kept::remove`].
    pub async fn remove(self) -> Result<(), DbError> {
        self.disconnect().remove().await
    }
}

impl Kept {
    /// A copy of the database `template`, to which nobody may be connected. `keeper` is connected to the database that it
    /// stands beside, and keeps it.
    ///
    /// # Errors
    /// As [`Scratch::create`].
    pub async fn copy(keeper: Session, purpose: &str, template: &str) -> Result<Self, DbError> {
        sweep(&keeper).await?;
        let name = format!("weir_{purpose}_{}_{}", belongs_to(&keeper), &random()?[..12]);
        let what = format!("failed to create the database `{name}`");
        keeper.row(&what, &format!("select pg_advisory_lock({})", lock_of(&name))).await?;
        let sql = format!("create database {} template {}", quoted(&name), quoted(template));
        keeper.execute(&what, &sql).await.map_err(|error| may_not(error, &keeper))?;
        Ok(Self { name, keeper })
    }

    /// What the server calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is, for its owner.
    pub fn endpoint(&self) -> Endpoint {
        self.keeper.endpoint.with_database(&self.name)
    }

    /// Removes it, whoever is still connected.
    ///
    /// # Errors
    /// The connection broke; a later one removes it then.
    pub async fn remove(self) -> Result<(), DbError> {
        drop_database(&self.keeper, &self.name).await
    }
}

/// Drops a database, whoever is connected.
///
/// # Errors
/// The connection broke, or the role may not.
pub async fn drop_database(session: &Session, name: &str) -> Result<(), DbError> {
    let what = format!("failed to drop the database `{name}`");
    // Whoever has just hung up may still be on the way out; a drop that finds somebody sleeps for a tenth of a second.
    let patience = Instant::now() + PARTING;
    while !session.rows(&what, &terminate_others(name)).await?.is_empty() && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    session.execute(&what, &format!("drop database if exists {} with (force)", quoted(name))).await
}

fn may_not(error: DbError, session: &Session) -> DbError {
    match &error {
        DbError::Failed { message, .. } if message.contains("42501") => {
            let role = quoted(&session.endpoint.user);
            error.help(format!("`alter role {role} createdb` lets it"))
        }
        _ => error,
    }
}

/// Removes what killed processes left behind.
async fn sweep(keeper: &Session) -> Result<(), DbError> {
    const WHAT: &str = "failed to look for databases that were left behind";
    let pattern = literal(&format!("^weir_[a-z]+_{}_[0-9a-f]{{12}}$", belongs_to(keeper)));
    // The lock is tried on those alone that are called so: another one's could be anybody's.
    let free = format!(
        "with own as materialized (select datname::text as name from pg_database where datname ~ {pattern}) \
         select name from own where pg_try_advisory_lock({})",
        lock_on("name")
    );
    for name in keeper.rows(WHAT, &free).await?.into_iter().flatten().flatten() {
        drop_database(keeper, &name).await?;
        keeper.row(WHAT, &format!("select pg_advisory_unlock({})", lock_of(&name))).await?;
    }
    Ok(())
}
