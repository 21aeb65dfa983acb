//! A database as tasks are lent it: its live state for their key, and variables that tell where it is.

use super::clones::{self, Content};
use super::databases::Databases;
use super::error::DbError;
use super::ledger;
use super::mark;
use super::roles;
use super::scratch::Kept;
use super::seed;
use super::server::Endpoint;
use super::session::Session;
use crate::config::{Database, DatabaseUse};
use crate::model::{FailReason, Hasher, Observation, PartKind};
use crate::node::{Context, Loan, NamedLock, Output, Pending, Resource};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What libpq reads; one database can be told so, and only that.
const LIBPQ: [&str; 5] = ["PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE"];

/// A use of a database.
pub struct Lent {
    databases: Arc<Databases>,
    database: Arc<Database>,
    used: DatabaseUse,
    /// It is the first that the task names: `PGHOST` and the others tell of it.
    first: bool,
    /// Clones that are out, by name.
    clones: Mutex<BTreeMap<String, Kept>>,
}

impl Lent {
    /// Of a task that names it first, or later.
    pub fn new(databases: Arc<Databases>, database: Arc<Database>, used: DatabaseUse, first: bool) -> Self {
        Self { databases, database, used, first, clones: Mutex::default() }
    }

    fn variables(&self) -> Vec<&str> {
        let libpq = LIBPQ.into_iter().filter(|_| self.first);
        std::iter::once(self.database.url_env.value.as_str()).chain(libpq).collect()
    }

    /// As the role that the task asked for.
    fn as_role(&self, endpoint: Endpoint) -> Result<Endpoint, DbError> {
        let Some(role) = &self.used.role else { return Ok(endpoint) };
        let variable = self.database.roles.get(role).and_then(|login| login.password_env.as_deref());
        let Some(variable) = variable else {
            return Err(DbError::failed(format!("nobody knows the password of role `{role}`")).help(format!(
                "name the variable that holds it: `password_env` in `[db.{}.roles.{role}]`",
                self.database.key
            )));
        };
        let password = roles::password(&self.databases, &self.database, role, variable)?;
        Ok(Endpoint { user: role.clone(), password: Some(password), ..endpoint })
    }

    /// Told to the task.
    fn loan(&self, endpoint: &Endpoint, ticket: Option<String>) -> Loan {
        let url_env = &self.database.url_env.value;
        let mut variables = endpoint.variables(url_env);
        variables.retain(|(name, _)| self.first || name == url_env);
        let given = |name: &&str| variables.iter().any(|(variable, _)| variable == name);
        let mut hidden: Vec<String> = Vec::new();
        if self.first {
            hidden.extend(Endpoint::misleading().map(str::to_owned));
            // Of what is not told nothing may be left over from outside.
            hidden.extend(LIBPQ.iter().filter(|name| !given(name)).map(|name| (*name).to_owned()));
        }
        Loan { variables, hidden, ticket }
    }

    async fn observe_live(&self, context: &Context) -> Result<Vec<Observation>, DbError> {
        let database = &self.database;
        let session = self.databases.connect(database, context).await?;
        let identity = mark::identity(&session, database).await?;
        let applied = ledger::read(&session, database).await?;
        let ledger = format!("{} migrations, {}", applied.len(), ledger::digest(&applied).to_hex());
        let seeds = seeds(&session, database).await?;
        Ok(vec![self.seen("identity", identity), self.seen("ledger", ledger), self.seen("seeds", seeds)])
    }

    fn seen(&self, what: &str, value: String) -> Observation {
        Observation { kind: PartKind::Live, name: format!("{} {what}", self.name()), value }
    }

    async fn observe_clone(&self, context: &Context) -> Result<Vec<Observation>, DbError> {
        let session = self.databases.connect(&self.database, context).await?;
        let version = session.version().await?.to_string();
        let content = Content::of(&self.databases, &self.database)?;
        Ok(vec![self.seen("server", version), self.seen("content", content.describe())])
    }

    async fn lend_clone(&self, context: &Context, output: &mut dyn Output) -> Result<Loan, DbError> {
        // Before there is anything to give back.
        self.as_role(nowhere())?;
        // One connection looks for the template, copies it, holds the clone's lock and drops it.
        let keeper = self.databases.connect(&self.database, context).await?;
        let template = clones::template(&self.databases, &self.database, context, &keeper, output).await?;
        let clone = Kept::copy(keeper, "clone", &template).await?;
        let name = clone.name().to_owned();
        let endpoint = self.as_role(clone.endpoint())?;
        if self.used.role.is_some()
            && let Err(error) = Session::open(&endpoint).await
        {
            // As its owner one gets in; another role is better tried now than by the task.
            let _ = clone.remove().await;
            return Err(error);
        }
        self.clones.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), clone);
        Ok(self.loan(&endpoint, Some(name)))
    }

    async fn lend_live(&self, context: &Context) -> Result<Loan, DbError> {
        let endpoint = self.as_role(self.databases.endpoint(&self.database, context).await?)?;
        // Better now and in plain words than by whatever the task makes of it.
        Session::open(&endpoint).await?;
        Ok(self.loan(&endpoint, None))
    }
}

/// What seeds the database holds, in one line.
async fn seeds(session: &Session, database: &Database) -> Result<String, DbError> {
    let seeds = seed::checksums(session, database).await?;
    let mut hasher = Hasher::new();
    for (name, checksum) in &seeds {
        hasher.field(name.as_bytes());
        hasher.field(checksum.as_bytes());
    }
    Ok(format!("{} seeds, {}", seeds.len(), hasher.finish().to_hex()))
}

impl Resource for Lent {
    fn name(&self) -> String {
        format!("database `{}`", self.database.key)
    }

    fn declared(&self) -> String {
        let role = self.used.role.as_deref().unwrap_or("its owner");
        let clone = if self.used.clone { "a clone, " } else { "" };
        format!("{clone}as {role}, in {}", self.variables().join(", "))
    }

    fn locks(&self) -> Vec<NamedLock> {
        let name = self.database.lock();
        // A clone is made beside the database, which must not change meanwhile.
        vec![if self.used.shared || self.used.clone { NamedLock::shared(name) } else { NamedLock::alone(name) }]
    }

    fn secrets(&self) -> Vec<String> {
        let mut all = self.databases.secrets(&self.database);
        all.extend(
            self.as_role(nowhere())
                .ok()
                .filter(|_| self.used.role.is_some())
                .map(|as_role| as_role.secrets())
                .into_iter()
                .flatten(),
        );
        all
    }

    fn observe<'a>(&'a self, context: &'a Context) -> Pending<'a, Result<Vec<Observation>, FailReason>> {
        Box::pin(async move {
            let seen = match self.used.clone {
                true => self.observe_clone(context).await,
                false => self.observe_live(context).await,
            };
            Ok(seen?)
        })
    }

    fn lend<'a>(&'a self, context: &'a Context, output: &'a mut dyn Output) -> Pending<'a, Result<Loan, FailReason>> {
        Box::pin(async move {
            let lent = match self.used.clone {
                true => self.lend_clone(context, output).await,
                false => self.lend_live(context).await,
            };
            Ok(lent?)
        })
    }

    fn take_back<'a>(&'a self, _: &'a Context, loan: Loan, output: &'a mut dyn Output) -> Pending<'a, ()> {
        Box::pin(async move {
            let Some(name) = loan.ticket else { return };
            let clone = self.clones.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
            let Some(clone) = clone else { return };
            if let Err(error) = clone.remove().await {
                output.notice(error.notice("clone-left"));
            }
        })
    }
}

/// An endpoint for its password only.
fn nowhere() -> Endpoint {
    Endpoint {
        address: super::server::Address::Host(String::new()),
        port: 0,
        user: String::new(),
        password: None,
        database: String::new(),
        options: None,
    }
}
