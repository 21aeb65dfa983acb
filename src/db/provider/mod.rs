//! Where a database's server comes from, and bringing it up.
//!
//! `auto` takes the first that will do: an outside one that is named, installed programs, an engine of Docker,
//! downloaded programs. What a workspace's server was once started with, it stays with.

mod docker;
mod embedded;
mod local;

pub use local::folders;

use super::cluster::{self, Home, Programs};
use super::databases::Databases;
use super::error::DbError;
use super::mark::{literal, quoted};
use super::server::{Endpoint, outside_url, unreachable};
use super::session::Session;
use crate::config::{Database, Provider};
use crate::node::{Context, Output};
use docker::Service;
use std::time::Duration;
use tokio::time::Instant;

/// How long a service that is up may take to let in.
const SERVICE_READY: Duration = Duration::from_secs(60);

/// Where a server comes from.
pub enum Source {
    /// Somebody else runs it.
    Url(Endpoint),
    /// A private cluster, of installed or unpacked programs.
    Cluster(Kind),
    /// A service of `docker compose`.
    Docker,
}

impl Source {
    /// As `provider` names it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Url(_) => "url",
            Self::Cluster(kind) => kind.name(),
            Self::Docker => "docker",
        }
    }
}

/// Whose programs a private cluster runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Installed on this machine.
    Local,
    /// Brought along.
    Embedded,
}

impl Kind {
    /// Both.
    const ALL: [Self; 2] = [Self::Local, Self::Embedded];

    fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Embedded => "embedded",
        }
    }

    fn home(self, databases: &Databases) -> Home {
        Home::new(&databases.root, self.name())
    }
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
    let taken = |kind: &Kind| kind.home(databases).remembered().is_some();
    Ok(match provider {
        Provider::Url => {
            let variable = &database.url_env.value;
            return Err(DbError::failed(format!("the variable `{variable}` is not set"))
                .help("set it to `postgres://USER:PASSWORD@HOST:PORT/DATABASE`"));
        }
        Provider::Local => Some(Source::Cluster(Kind::Local)),
        Provider::Embedded => Some(Source::Cluster(Kind::Embedded)),
        Provider::Docker => Some(Source::Docker),
        Provider::Auto if taken(&Kind::Local) => Some(Source::Cluster(Kind::Local)),
        Provider::Auto if Service::of(databases, database).remembered().is_some() => Some(Source::Docker),
        Provider::Auto if taken(&Kind::Embedded) => Some(Source::Cluster(Kind::Embedded)),
        Provider::Auto => None,
    })
}

/// Where a database was when it was last up, or is said to be; none: it is not known.
///
/// # Errors
/// As [`settled`].
pub fn known(databases: &Databases, database: &Database) -> Result<Option<Endpoint>, DbError> {
    Ok(match settled(databases, database)? {
        Some(Source::Url(endpoint)) => Some(endpoint),
        Some(Source::Cluster(kind)) => kind.home(databases).remembered().map(|server| server.endpoint(&database.name)),
        Some(Source::Docker) => Service::of(databases, database).remembered(),
        None => None,
    })
}

/// Passwords of servers that weir started for the workspace.
pub fn secrets(databases: &Databases, database: &Database) -> Vec<String> {
    let clusters = Kind::ALL.iter().filter_map(|kind| kind.home(databases).remembered());
    let service = Service::of(databases, database).remembered();
    clusters.map(|server| server.password).chain(service.into_iter().flat_map(|endpoint| endpoint.secrets())).collect()
}

/// Where `psql` is: on PATH, beside the programs of a server of the workspace's own, or of installed ones.
pub fn psql(databases: &Databases) -> Option<std::path::PathBuf> {
    let path = databases.outside.vars.get("PATH");
    if let Ok(found) = which::which_in("psql", path, &databases.root) {
        return Some(found);
    }
    let own = Kind::ALL.iter().filter_map(|kind| kind.home(databases).remembered()).map(|server| server.bin);
    own.chain(local::candidates(&databases.outside)).map(|bin| bin.join("psql")).find(|psql| psql.is_file())
}

async fn choose(databases: &Databases, database: &Database, context: &Context) -> Result<Source, DbError> {
    if let Some(source) = settled(databases, database)? {
        return Ok(source);
    }
    let found = local::find(context, database.min_version, None).await?;
    if found.programs.is_some() {
        return Ok(Source::Cluster(Kind::Local));
    }
    match Service::of(databases, database).obstacle(context).await {
        None => Ok(Source::Docker),
        Some(obstacle) => {
            tracing::debug!(%obstacle, "Docker does not provide the database");
            Ok(Source::Cluster(Kind::Embedded))
        }
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
        Source::Docker => {
            let service = Service::of(databases, database);
            if let Some(endpoint) = service.remembered()
                && let Ok(session) = Session::attempt(&endpoint).await
            {
                return Ok(session);
            }
            let endpoint = service.start(context, output).await?;
            there(let_in(&endpoint).await?, database, output).await
        }
        Source::Cluster(kind) => {
            let home = kind.home(databases);
            if let Some(session) = reach(&home, database).await {
                return there(session, database, output).await;
            }
            let _lock = cluster::lock_at(&home.folder(), output).await?;
            // Whoever held the lock may have started it.
            if let Some(session) = reach(&home, database).await {
                return there(session, database, output).await;
            }
            let programs = match kind {
                Kind::Local => installed(&home, database, context).await?,
                Kind::Embedded => brought(&home, context, output).await?,
            };
            let (server, session) = cluster::start(&home, &programs, context, output).await?;
            output.bytes(format!("started `{}` in `{}`\n", programs.told, server.base.display()).as_bytes());
            make_missing(&session, database, output).await?;
            Session::open(&server.endpoint(&database.name)).await
        }
    }
}

/// A service that has no check of its health is up before its server is. A database that is missing is no reason
/// to wait: then the connection is to the owner's.
async fn let_in(endpoint: &Endpoint) -> Result<Session, DbError> {
    let deadline = Instant::now() + SERVICE_READY;
    loop {
        let why = match Session::attempt(endpoint).await {
            Ok(session) => return Ok(session),
            Err(why) if why.state() == Some("3D000") => {
                return Session::open(&endpoint.with_database("postgres")).await;
            }
            Err(why) => why,
        };
        // No answer, a connection that breaks, or a server that starts up.
        let coming = why.state().is_none_or(|state| state == "57P03");
        if !coming || Instant::now() > deadline {
            return Err(unreachable(endpoint, &why));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Stops the server of a database, if weir started it; what was done, in words.
///
/// # Errors
/// It does not end.
pub async fn bring_down(
    databases: &Databases,
    database: &Database,
    context: &Context,
    output: &mut dyn Output,
) -> Result<String, DbError> {
    let never = "nothing to stop: the server was never started".to_owned();
    match settled(databases, database)? {
        Some(Source::Url(endpoint)) => Ok(format!("left `{}` alone: weir did not start it", endpoint.describe())),
        Some(Source::Cluster(kind)) => {
            let home = kind.home(databases);
            if !home.folder().is_dir() {
                return Ok(never);
            }
            let _lock = cluster::lock_at(&home.folder(), output).await?;
            Ok(match cluster::stop(&home).await? {
                true => "stopped the server".into(),
                false => "nothing to stop: the server does not run".into(),
            })
        }
        Some(Source::Docker) => {
            let service = Service::of(databases, database);
            if service.remembered().is_none() {
                return Ok(never);
            }
            service.stop(context, output).await?;
            Ok(format!("stopped the service `{}`", database.docker.service))
        }
        None => Ok(never),
    }
}

/// Programs that were brought along: those the cluster ran on before, as long as they are there.
async fn brought(home: &Home, context: &Context, output: &mut dyn Output) -> Result<Programs, DbError> {
    if let Some(known) = home.remembered()
        && let Some(programs) = local::look_at(context, &known.bin).await?
    {
        return Ok(programs);
    }
    embedded::programs(context, output).await
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
    make_missing(&session, database, output).await?;
    Session::open(&session.endpoint.with_database(&database.name)).await
}

/// Makes the database where the server has none of its name.
async fn make_missing(session: &Session, database: &Database, output: &mut dyn Output) -> Result<(), DbError> {
    let what = format!("failed to create the database `{}`", database.name);
    let there = format!("select from pg_database where datname = {}", literal(&database.name));
    if !session.rows(&what, &there).await?.is_empty() {
        return Ok(());
    }
    match session.client.batch_execute(&format!("create database {}", quoted(&database.name))).await {
        Ok(()) => output.bytes(format!("created the database `{}`\n", database.name).as_bytes()),
        // Another weir made it meanwhile.
        Err(error) if error.code().is_some_and(|code| matches!(code.code(), "42P04" | "23505")) => {}
        Err(error) => return Err(DbError::postgres(&what, &error)),
    }
    Ok(())
}
