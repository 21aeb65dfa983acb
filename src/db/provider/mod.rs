//! Where a database's server comes from, and bringing it up.
//!
//! `auto` takes the first that will do: an outside one that is named, installed programs, an engine of Docker,
//! downloaded programs. What a workspace's server was once started with, it stays with.

mod local;

use super::cluster::{self, Home, Programs};
use super::databases::Databases;
use super::error::DbError;
use super::mark::quoted;
use super::server::{Endpoint, outside_url};
use super::session::Session;
use crate::config::{Database, Provider};
use crate::node::{Context, Output};

/// Where a server comes from.
pub enum Source {
    /// Somebody else runs it.
    Url(Endpoint),
    /// Installed programs, in a private cluster.
    Local,
}

/// What is settled without asking the machine: declared, named outside, or taken before; none: still to be chosen.
///
/// # Errors
/// What is named outside is no address, or nothing is though it must be.
pub fn settled(databases: &Databases, database: &Database) -> Result<Option<Source>, DbError> {
    let provider = database.provider;
    if matches!(provider, Provider::Auto | Provider::Url)
        && let Some(named) = outside_url(database, &databases.outside)
    {
        return named.map(|endpoint| Some(Source::Url(endpoint)));
    }
    let local = Home::new(&databases.root, LOCAL);
    Ok(match provider {
        Provider::Url => {
            let variable = &database.url_env.value;
            return Err(DbError::failed(format!("the variable `{variable}` is not set"))
                .help("set it to `postgres://USER:PASSWORD@HOST:PORT/DATABASE`"));
        }
        Provider::Local => Some(Source::Local),
        Provider::Auto => local.remembered().map(|_| Source::Local),
        Provider::Docker | Provider::Embedded => None,
    })
}

/// The folder of the private cluster of installed programs.
pub const LOCAL: &str = "local";

async fn choose(databases: &Databases, database: &Database, context: &Context) -> Result<Source, DbError> {
    if let Some(source) = settled(databases, database)? {
        return Ok(source);
    }
    let found = local::find(context, database.min_version, None).await?;
    match found.programs {
        Some(_) => Ok(Source::Local),
        None => Err(nothing_installed(database, &found)),
    }
}

/// Brings a database up: its server runs, and it is there. A connection to it.
///
/// # Errors
/// Nothing provides it, or it does not come up.
pub async fn bring_up(
    databases: &Databases,
    database: &Database,
    context: &Context,
    output: &mut dyn Output,
) -> Result<Session, DbError> {
    match choose(databases, database, context).await? {
        Source::Url(endpoint) => Session::open(&endpoint).await,
        Source::Local => {
            let home = Home::new(&databases.root, LOCAL);
            if let Some(session) = reach(&home, database).await {
                return there(session, database, output).await;
            }
            let _lock = cluster::lock(&home, output).await?;
            // Whoever held the lock may have started it.
            if let Some(session) = reach(&home, database).await {
                return there(session, database, output).await;
            }
            let programs = installed(&home, database, context).await?;
            let server = cluster::start(&home, &programs, context, output).await?;
            output.bytes(format!("started `{}` in `{}`\n", programs.told, server.base.display()).as_bytes());
            let session = Session::open(&server.endpoint(cluster::OWNER)).await?;
            there(session, database, output).await
        }
    }
}

async fn reach(home: &Home, database: &Database) -> Option<Session> {
    cluster::reach(&home.remembered()?, &database.name).await
}

/// Programs for a new cluster, or those that an old one was made with.
async fn installed(home: &Home, database: &Database, context: &Context) -> Result<Programs, DbError> {
    let made_by = home.made_by();
    let min = if made_by.is_some() { 0 } else { database.min_version };
    let found = local::find(context, min, made_by).await?;
    match (&found.programs, made_by) {
        (Some(programs), _) => Ok(programs.clone()),
        (None, Some(version)) => Err(DbError::failed(format!(
            "the cluster in `{}` was made by Postgres {version}, which is not installed",
            home.folder().display()
        ))
        .help(format!(
            "install Postgres {version}, or remove `{}` to begin anew: what is in its databases is lost",
            home.folder().display()
        ))),
        (None, None) => Err(nothing_installed(database, &found)),
    }
}

fn nothing_installed(database: &Database, found: &local::Found) -> DbError {
    let min = database.min_version;
    let told = match found.too_old.first() {
        Some(old) => {
            format!("no Postgres of version {min} or newer is installed: `{}` is {}", old.bin.display(), old.told)
        }
        None => format!("no Postgres is installed: `initdb` and `postgres` of version {min} or newer are not found"),
    };
    DbError::failed(told)
        .help(format!("`apt-get install postgresql`, or name a database outside in `{}`", database.url_env.value))
}

/// The database itself, on a server of weir's own: made, where it is missing.
async fn there(session: Session, database: &Database, output: &mut dyn Output) -> Result<Session, DbError> {
    if session.endpoint.database == database.name {
        return Ok(session);
    }
    let endpoint = session.endpoint.with_database(&database.name);
    if let Err(why) = Session::attempt(&endpoint).await
        && why.state() == Some("3D000")
    {
        let made = session.client.batch_execute(&format!("create database {}", quoted(&database.name))).await;
        match made {
            Ok(()) => output.bytes(format!("created the database `{}`\n", database.name).as_bytes()),
            // Another weir made it meanwhile.
            Err(error) if error.code().is_some_and(|code| matches!(code.code(), "42P04" | "23505")) => {}
            Err(error) => {
                let what = format!("failed to create the database `{}`", database.name);
                return Err(DbError::postgres(&what, &error));
            }
        }
    }
    Session::open(&endpoint).await
}
