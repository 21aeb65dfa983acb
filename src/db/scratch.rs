//! A fresh database on the same server, for a while: to compare with, to copy, to try things in.
//!
//! Whoever makes one holds an advisory lock on its name from before it exists until after it is gone.
//! One whose lock nobody holds was left behind by a weir that was killed, and the next one removes it.

use super::databases::Databases;
use super::error::DbError;
use super::mark::{literal, quoted, random};
use super::session::Session;
use crate::config::Database;
use crate::model::Digest;
use crate::node::Context;

/// A fresh, empty database. Dropped without [`Scratch::remove`] it stays until a later one is made.
pub struct Scratch {
    /// A connection to it, as its owner.
    pub session: Session,
    name: String,
    /// Connected to the database itself: holds the lock.
    keeper: Session,
}

/// What tells the databases made beside one, to which `keeper` is connected, from those made beside others: locks are
/// known within one database only, so that each looks after its own.
pub fn belongs_to(keeper: &Session) -> String {
    Digest::of(keeper.endpoint.database.as_bytes()).to_hex()[..8].to_owned()
}

/// The lock on a name, as arguments of the lock's functions.
pub fn lock_of(name: &str) -> String {
    format!("hashtextextended({}, 7723)", literal(name))
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
        Self::copy(databases, database, context, purpose, "template0").await
    }

    /// A copy of the database `template`, to which nobody may be connected.
    ///
    /// # Errors
    /// As [`Scratch::create`].
    pub async fn copy(
        databases: &Databases,
        database: &Database,
        context: &Context,
        purpose: &str,
        template: &str,
    ) -> Result<Self, DbError> {
        let keeper = databases.connect(database, context).await?;
        sweep(&keeper).await?;
        let name = format!("weir_{purpose}_{}_{}", belongs_to(&keeper), &random()?[..12]);
        let what = format!("failed to create the database `{name}`");
        keeper.row(&what, &format!("select pg_advisory_lock({})", lock_of(&name))).await?;
        let sql = format!("create database {} template {}", quoted(&name), quoted(template));
        keeper.execute(&what, &sql).await.map_err(|error| may_not(error, &keeper))?;
        let session = databases.connect_to(database, &name, context).await?;
        Ok(Self { session, name, keeper })
    }

    /// What the server calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Ends the connection to it, and keeps the lock as long as what is returned.
    pub fn disconnect(self) -> Session {
        self.keeper
    }

    /// Removes it, whoever is still connected.
    ///
    /// # Errors
    /// The connection broke; a later one removes it then.
    pub async fn remove(self) -> Result<(), DbError> {
        let Self { session, name, keeper } = self;
        drop(session);
        drop_database(&keeper, &name).await
    }
}

/// Drops a database, whoever is connected.
///
/// # Errors
/// The connection broke, or the role may not.
pub async fn drop_database(session: &Session, name: &str) -> Result<(), DbError> {
    let what = format!("failed to drop the database `{name}`");
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
    let found = keeper.rows(WHAT, &format!("select datname from pg_database where datname ~ {pattern}")).await?;
    for name in found.into_iter().flatten().flatten() {
        let lock = lock_of(&name);
        let row = keeper.row(WHAT, &format!("select pg_try_advisory_lock({lock})")).await?;
        if row.first().is_some_and(|free| free.as_deref() == Some("t")) {
            drop_database(keeper, &name).await?;
            keeper.row(WHAT, &format!("select pg_advisory_unlock({lock})")).await?;
        }
    }
    Ok(())
}
