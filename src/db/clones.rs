//! The database that clones are copied from: migrated and seeded once for each content, and kept on the server.
//!
//! It gets its name, which says what is in it, as the last step: what is called so is whole. While one is made,
//! others who want the same wait for it.

use super::databases::Databases;
use super::error::DbError;
use super::guard::terminate_others;
use super::mark::{literal, quoted};
use super::migrate::apply_all;
use super::migrations::{self, Migration};
use super::scratch::{Scratch, belongs_to, drop_database, lock_of};
use super::seed;
use super::session::Session;
use crate::config::Database;
use crate::model::{Digest, Hasher, counted};
use crate::node::{Context, Output};

/// Counts up when the same files would make something else.
const FORMAT: u32 = 1;
/// How many templates of other contents are kept beside: one works on a branch and comes back.
const KEPT: usize = 2;

/// What a clone holds.
pub struct Content {
    migrations: Vec<Migration>,
    seeds: usize,
    digest: Digest,
}

impl Content {
    /// What the files say.
    ///
    /// # Errors
    /// A file can't be read, or is no migration.
    pub fn of(databases: &Databases, database: &Database) -> Result<Self, DbError> {
        let migrations = migrations::load(&databases.root, database)?;
        let mut hasher = Hasher::new();
        hasher.field(&FORMAT.to_le_bytes());
        hasher.field(database.ledger.schema.as_bytes());
        hasher.field(database.ledger.name.as_bytes());
        for migration in &migrations {
            hasher.field(migration.name().as_bytes());
            hasher.field(migration.checksum.to_hex().as_bytes());
        }
        let seeds = if is_seeded(databases, database) {
            seed::planned(&databases.root, &databases.outside, database)?
        } else {
            vec![]
        };
        for (name, checksum) in &seeds {
            hasher.field(name.as_bytes());
            hasher.field(checksum.to_hex().as_bytes());
        }
        Ok(Self { migrations, seeds: seeds.len(), digest: hasher.finish() })
    }

    /// In one line.
    pub fn describe(&self) -> String {
        format!(
            "{}, {}, {}",
            counted(self.migrations.len(), "migration"),
            counted(self.seeds, "seed"),
            self.digest.to_hex()
        )
    }

    fn template(&self, keeper: &Session) -> String {
        format!("weir_template_{}_{}", belongs_to(keeper), &self.digest.to_hex()[..16])
    }
}

/// The name of the database that clones are copied from, which is made where it is missing. `keeper` is connected to the
/// database itself.
///
/// # Errors
/// The database is not up, the role may not make others, or a migration fails.
pub async fn template(
    databases: &Databases,
    database: &Database,
    context: &Context,
    keeper: &Session,
    output: &mut dyn Output,
) -> Result<String, DbError> {
    const WHAT: &str = "failed to look for the template of clones";
    let content = Content::of(databases, database)?;
    let name = content.template(keeper);
    let there = format!("select from pg_database where datname = {}", literal(&name));
    if !keeper.rows(WHAT, &there).await?.is_empty() {
        return Ok(name);
    }
    keeper.row(WHAT, &format!("select pg_advisory_lock({})", lock_of(&name))).await?;
    // Whoever held the lock may have made it.
    if keeper.rows(WHAT, &there).await?.is_empty() {
        make(databases, database, context, &content, keeper, output).await?;
        forget_old(keeper, &name).await?;
    }
    // The connection outlives this, and others wait.
    keeper.row(WHAT, &format!("select pg_advisory_unlock({})", lock_of(&name))).await?;
    Ok(name)
}

async fn make(
    databases: &Databases,
    database: &Database,
    context: &Context,
    content: &Content,
    keeper: &Session,
    output: &mut dyn Output,
) -> Result<(), DbError> {
    let mut making = Scratch::create(databases, database, context, "template").await?;
    let filled = fill(databases, database, content, &mut making.session, output).await;
    if let Err(error) = filled {
        let _ = making.remove().await;
        return Err(error);
    }
    const WHAT: &str = "failed to finish the template of clones";
    let making = making.disconnect();
    let name = making.name();
    let (from, to) = (quoted(name), quoted(&content.template(keeper)));
    keeper.execute(WHAT, &format!("alter database {from} with is_template true allow_connections false")).await?;
    // Our own connection may still be on its way out, and a database in use can't be renamed.
    keeper.rows(WHAT, &terminate_others(name)).await?;
    let used =
        format!("select from pg_stat_activity where datname = {} and backend_type = 'client backend'", literal(name));
    while !keeper.rows(WHAT, &used).await?.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    keeper.execute(WHAT, &format!("alter database {from} rename to {to}")).await
}

async fn fill(
    databases: &Databases,
    database: &Database,
    content: &Content,
    session: &mut Session,
    output: &mut dyn Output,
) -> Result<(), DbError> {
    apply_all(session, database, &content.migrations, output).await?;
    if content.seeds > 0 {
        seed::apply_all(session, &databases.root, &databases.outside, database, output).await?;
    }
    Ok(())
}

/// Whether there is anything to seed: without a folder and rows there is not, and none is missed.
fn is_seeded(databases: &Databases, database: &Database) -> bool {
    !database.rows.is_empty() || database.seeds.value.under(&databases.root).is_dir()
}

/// Drops all templates of this database but the newest.
async fn forget_old(keeper: &Session, current: &str) -> Result<(), DbError> {
    const WHAT: &str = "failed to drop old templates of clones";
    let pattern = literal(&format!("^weir_template_{}_[0-9a-f]{{16}}$", belongs_to(keeper)));
    let sql = format!(
        "select datname from pg_database where datname ~ {pattern} and datname <> {} order by oid desc offset {KEPT}",
        literal(current)
    );
    for name in keeper.rows(WHAT, &sql).await?.into_iter().flatten().flatten() {
        keeper.execute(WHAT, &format!("alter database {} with is_template false", quoted(&name))).await?;
        drop_database(keeper, &name).await?;
    }
    Ok(())
}
