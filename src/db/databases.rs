//! The databases of a workspace: what their nodes and the tasks that use them share.

use super::baseline::Baseline;
use super::down::Down;
use super::drift::Drift;
use super::error::DbError;
use super::frame::{Act, DatabaseNode};
use super::gate::Gate;
use super::lent::Lent;
use super::lint::Lint;
use super::migrate::Migrate;
use super::provider::{self, Source};
use super::reset::Reset;
use super::roles;
use super::seed::Seed;
use super::server::{Endpoint, outside_url, unreachable};
use super::session::Session;
use super::up::Up;
use crate::config::{Config, Database, DatabaseUse, NodeKind, Uses};
use crate::node::{Context, Instance, Node, Output, Outside, Resource};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What to do about a server of weir's own that is not up.
const BRING_UP: &str = "bring it up first: let the task depend on one with `uses = \"db.up\"`, or run that one";

/// The databases of a workspace.
pub struct Databases {
    /// The workspace root.
    pub root: PathBuf,
    /// The environment weir was started with.
    pub outside: Arc<Outside>,
    /// Of a node that names none.
    pub timeout: Duration,
    /// Databases that may be reset though they do not carry weir's mark, as named with `--destroy`.
    pub destroy: Vec<String>,
    all: Vec<Arc<Database>>,
}

impl Databases {
    /// Those of a configuration.
    pub fn new(config: &Config, outside: Arc<Outside>, destroy: Vec<String>) -> Self {
        Self {
            root: config.root.clone(),
            outside,
            timeout: config.settings.timeout,
            destroy,
            all: config.databases.clone(),
        }
    }

    /// The database `key`, or the only one.
    pub fn get(&self, key: Option<&str>) -> Option<&Arc<Database>> {
        match (key, &self.all[..]) {
            (Some(key), all) => all.iter().find(|database| database.key == key),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }

    /// The node of a task that `uses` one. None: the configuration has errors.
    pub fn node(self: &Arc<Self>, instance: &Instance<'_>, uses: &Uses) -> Option<Arc<dyn Node>> {
        let database = self.get(uses.with.db.as_ref().map(|name| name.value.as_str()))?;
        let act: Box<dyn Act> = match uses.kind {
            NodeKind::DbUp => Box::new(Up::default()),
            NodeKind::DbDown => Box::new(Down { locks: self.all.iter().map(|database| database.lock()).collect() }),
            NodeKind::DbReset => Box::new(Reset),
            NodeKind::DbLint => Box::new(Lint::new(database, &uses.with.files)),
            NodeKind::DbMigrate => Box::new(Migrate::new(&self.root, database, uses.with.atomic)),
            NodeKind::DbSeed => Box::new(Seed::new(&self.root)),
            NodeKind::DbGate => Box::new(Gate::new(&uses.with.files)),
            NodeKind::DbBaseline => Box::new(Baseline { mode: uses.with.mode }),
            NodeKind::DbDrift => Box::new(Drift),
            _ => return None,
        };
        Some(Arc::new(DatabaseNode::new(instance, uses, self, database, act)))
    }

    /// What a task that uses some is lent. One that is not declared is an error of the configuration, and left out.
    pub fn resources(self: &Arc<Self>, used: &[DatabaseUse]) -> Vec<Arc<dyn Resource>> {
        let lent = |(index, used): (usize, &DatabaseUse)| {
            let database = self.get(Some(&used.name.value))?;
            let lent = Lent::new(Arc::clone(self), Arc::clone(database), used.clone(), index == 0);
            Some(Arc::new(lent) as Arc<dyn Resource>)
        };
        used.iter().enumerate().filter_map(lent).collect()
    }

    /// Where a database is, if its server is known by now. Starts nothing.
    ///
    /// # Errors
    /// It is not known, or what is known of it is no good.
    pub fn known(&self, database: &Database) -> Result<Endpoint, DbError> {
        provider::known(self, database)?.ok_or_else(|| {
            DbError::failed(format!("the server of database `{}` is not up", database.key)).help(BRING_UP)
        })
    }

    /// The same, for nodes.
    ///
    /// # Errors
    /// It is not known, or what is known of it is no good.
    pub async fn endpoint(&self, database: &Database, _: &Context) -> Result<Endpoint, DbError> {
        self.known(database)
    }

    /// Where `psql` is: on PATH, or beside the programs of a server.
    pub fn psql(&self) -> Option<PathBuf> {
        provider::psql(self)
    }

    /// Finds or starts the server of a database, and makes the database on a server of weir's own: a
    /// connection to it.
    ///
    /// # Errors
    /// Nothing provides it, or it does not come up.
    pub async fn bring_up(
        &self,
        database: &Database,
        context: &Context,
        output: &mut dyn Output,
    ) -> Result<Session, DbError> {
        provider::bring_up(self, database, context, output).await
    }

    /// A connection to another database on the server of one that is up, as its owner.
    ///
    /// # Errors
    /// It is not up, or has no such database.
    pub async fn connect_to(&self, database: &Database, name: &str, context: &Context) -> Result<Session, DbError> {
        Session::open(&self.endpoint(database, context).await?.with_database(name)).await
    }

    /// A connection to a database that is up, as its owner.
    ///
    /// # Errors
    /// It is not up, or does not let in.
    pub async fn connect(&self, database: &Database, context: &Context) -> Result<Session, DbError> {
        let endpoint = self.endpoint(database, context).await?;
        Session::attempt(&endpoint).await.map_err(|why| {
            let error = unreachable(&endpoint, &why);
            // Nobody but weir starts it.
            let own = !matches!(provider::settled(self, database), Ok(Some(Source::Url(_))));
            if own && why.state().is_none_or(|state| state == "3D000") { error.help(BRING_UP) } else { error }
        })
    }

    /// What no byte leaving weir may hold.
    pub fn secrets(&self, database: &Database) -> Vec<String> {
        let outside = match outside_url(database, &self.outside) {
            Some(Ok(endpoint)) => endpoint.secrets(),
            // Whatever it holds, it was meant to be an address with a password.
            Some(Err(_)) => self.outside.get(&database.url_env.value).into_iter().collect(),
            None => vec![],
        };
        let roles = roles::secrets(self, database);
        outside.into_iter().chain(provider::secrets(self, database)).chain(roles).collect()
    }
}
