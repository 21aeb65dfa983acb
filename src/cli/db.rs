//! `weir db`: what its commands share, which database and a connection to it.

use super::args::{DbCommand, WhichDb};
use super::db_diff;
use super::db_migrate;
use super::db_server;
use super::error::CliError;
use super::print;
use super::project::{Place, Project};
use crate::config::Database;
use crate::db::{Databases, DbError};
use crate::engine::Services;
use crate::model::Notice;
use crate::node::{Context, Output};
use std::future::Future;
use std::sync::Arc;

/// `weir db …`.
///
/// # Errors
/// What is asked for does not exist, or the database says no.
pub fn db(place: &Place, command: DbCommand) -> Result<u8, CliError> {
    match command {
        DbCommand::Status { json, profile } => db_server::status(place, json, &profile),
        DbCommand::Url { name, show_password, profile } => {
            db_server::url(place, &WhichDb { db: name, profile }, show_password)
        }
        DbCommand::Psql { name, profile, arguments } => {
            db_server::psql(place, &WhichDb { db: name, profile }, &arguments)
        }
        DbCommand::Diff { a, b, json, which } => {
            db_diff::diff(&Site::open(place, &which)?, a.as_deref(), b.as_deref(), json)
        }
        DbCommand::New { description, which } => db_migrate::new(&Site::open(place, &which)?, &description.join(" ")),
        DbCommand::Adopt { up_to, which } => db_migrate::adopt(&Site::open(place, &which)?, up_to),
        DbCommand::Resolve { migration, applied, undone: _, which } => {
            db_migrate::resolve(&Site::open(place, &which)?, migration, applied)
        }
    }
}

/// A database, and what it takes to talk to it.
pub struct Site<'a> {
    place: &'a Place,
    /// All of the workspace.
    pub databases: Databases,
    /// The one that was asked for.
    pub database: Arc<Database>,
}

impl<'a> Site<'a> {
    /// The one that `which` names, or the only one.
    ///
    /// # Errors
    /// There is none, or there are several, or the configuration is wrong.
    pub fn open(place: &'a Place, which: &WhichDb) -> Result<Self, CliError> {
        let project = Project::open(place, &which.profile)?;
        let names: Vec<&str> = project.config.databases.iter().map(|database| database.key.as_str()).collect();
        let databases = Databases::new(&project.config, Arc::clone(&place.outside), vec![]);
        let database =
            databases.get(which.db.as_deref()).map(Arc::clone).ok_or_else(|| match (&which.db, &names[..]) {
                (_, []) => CliError::usage("tasks.toml declares no database", "declare one: `[db.app]`"),
                (Some(name), names) => CliError::usage(
                    format!("there is no database `{name}` in tasks.toml"),
                    format!("there is `{}`", names.join("`, `")),
                ),
                (None, names) => CliError::usage(
                    "tasks.toml declares several databases",
                    format!("name one of them: `{}`", names.join("`, `")),
                ),
            })?;
        Ok(Self { place, databases, database })
    }

    /// Does `work` with the machinery that nodes have.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn with<T, F>(&self, work: impl FnOnce(Context) -> F) -> Result<T, CliError>
    where
        F: Future<Output = Result<T, DbError>>,
    {
        let root = &self.databases.root;
        let outside = Arc::clone(&self.place.outside);
        let (services, _) = Services::look(root, outside, None, Place::holder())
            .map_err(|error| CliError::outside(error.to_string()))?;
        services.learn_secrets(self.databases.secrets(&self.database));
        let done = services.block_on("db", work).map_err(|error| CliError::outside(error.to_string()))?;
        done.map_err(|error| said(&services, error))
    }
}

/// What went wrong, secrets masked.
fn said(services: &Services, error: DbError) -> CliError {
    match error {
        DbError::Refused { message, help } => {
            CliError::Refused { message: services.mask(&message), help: services.mask(&help) }
        }
        DbError::Failed { message, help } => {
            CliError::Outside { message: services.mask(&message), help: help.map(|help| services.mask(&help)) }
        }
        DbError::Interrupted => CliError::outside("interrupted"),
    }
}

/// Standard output, for what nodes and commands both do.
pub struct Printed;

impl Output for Printed {
    fn bytes(&mut self, bytes: &[u8]) {
        // A closed pipe has nobody left to tell.
        let _ = print::text(&String::from_utf8_lossy(bytes));
    }

    fn notice(&mut self, notice: Notice) {
        print::warning_line(&notice.message);
        if let Some(help) = notice.help {
            print::help_line(&help);
        }
    }
}
