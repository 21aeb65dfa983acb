//! `db.drift`: the live schema against what the migrations make; and the two sides of `weir db diff`.

use super::baseline::{From, from_migrations, make};
use super::catalogue::{Catalogue, Difference, describe, diff};
use super::databases::Databases;
use super::error::DbError;
use super::frame::{Act, Nature, Site};
use super::migrations;
use super::server::{Endpoint, unreachable};
use super::session::Session;
use crate::config::Database;
use crate::model::{Notice, counted};
use crate::node::{Context, Output, Pending};

/// `db.drift`.
pub struct Drift;

impl Act for Drift {
    fn nature(&self, _: &Database) -> Nature {
        Nature::default()
    }

    fn run<'a>(&'a self, site: Site<'a>, output: &'a mut dyn Output) -> Pending<'a, Result<(), DbError>> {
        Box::pin(async move {
            let files = migrations::load(&site.databases.root, site.database)?;
            let session = site.databases.connect(site.database, site.context).await?;
            let live = describe(&session, site.database).await?;
            let made = make(&site, From::Migrations(&files), false, output).await?;
            let differences = from_migrations(&site, (&files, &made.catalogue), &live, output).await?;
            for difference in &differences {
                output.bytes(difference.lines().as_bytes());
            }
            let Some(first) = differences.first() else {
                let said = format!(
                    "the database is what {} make: {}\n",
                    counted(files.len(), "migration"),
                    counted(live.len(), "object")
                );
                output.bytes(said.as_bytes());
                return Ok(());
            };
            let (total, many) = (differences.len(), if differences.len() == 1 { "" } else { "s" });
            let message = format!(
                "the database is not what the migrations make: {total} difference{many}, the first in {} {}",
                first.kind, first.name
            );
            Err(DbError::failed(message).help(
                "someone changed it by hand, or migrations are missing: put the change into a migration, or undo it",
            ))
        })
    }
}

impl Databases {
    /// From `first` to `second`: each a database of the file, `migrations`, `baseline`, a `postgres://` address, or
    /// `env:NAME`, where the variable holds one.
    ///
    /// # Errors
    /// A side does not exist, or can't be read.
    pub async fn diff(
        &self,
        database: &Database,
        context: &Context,
        (first, second): (&str, &str),
        output: &mut dyn Output,
    ) -> Result<Vec<Difference>, DbError> {
        let first = self.side(database, context, first, output).await?;
        let second = self.side(database, context, second, output).await?;
        Ok(diff(&first, &second))
    }

    async fn side(
        &self,
        database: &Database,
        context: &Context,
        name: &str,
        output: &mut dyn Output,
    ) -> Result<Catalogue, DbError> {
        let site = Site { databases: self, database, context };
        if let Some(other) = self.get(Some(name)) {
            return describe(&self.connect(other, context).await?, other).await;
        }
        if let Some(endpoint) = self.elsewhere(database, name, output)? {
            let session = Session::attempt(&endpoint).await.map_err(|why| {
                let error = unreachable(&endpoint, &why);
                if why.wants_password() {
                    error.help("the server asks for a password: set `PGPASSWORD`")
                } else {
                    error
                }
            });
            return describe(&session?, database).await;
        }
        match name {
            "migrations" => {
                let files = migrations::load(&self.root, database)?;
                Ok(make(&site, From::Migrations(&files), false, output).await?.catalogue)
            }
            "baseline" => {
                let path = &database.baseline.value;
                let text = std::fs::read_to_string(path.under(&self.root))
                    .map_err(|error| DbError::failed(format!("failed to read the baseline `{path}`: {error}")))?;
                Ok(make(&site, From::Text { path: path.as_str(), text: &text }, false, output).await?.catalogue)
            }
            _ => Err(DbError::failed("there is nothing of this name to compare").help(
                "name a database of tasks.toml, `migrations`, `baseline`, a `postgres://` address, or `env:NAME`",
            )),
        }
    }

    /// A side that is named by its address. A password does not belong among arguments, which everybody on the machine
    /// can read: without one the address is completed by `PGPASSWORD`, as libpq does it.
    fn elsewhere(&self, database: &Database, name: &str, output: &mut dyn Output) -> Result<Option<Endpoint>, DbError> {
        let set = |variable: &str| self.outside.get(variable).filter(|value| !value.trim().is_empty());
        let mut endpoint = match name.strip_prefix("env:") {
            Some(variable) => {
                let url = set(variable).ok_or_else(|| {
                    DbError::failed(format!("the variable `{variable}` is not set"))
                        .help("set it to `postgres://USER:PASSWORD@HOST:PORT/DATABASE`")
                })?;
                Endpoint::parse_from(&format!("the variable `{variable}`"), url.trim(), database)?
            }
            None if name.starts_with("postgres://") || name.starts_with("postgresql://") => {
                let endpoint = Endpoint::parse_from("the argument", name, database)?;
                if endpoint.password.is_some() {
                    output.notice(Notice {
                        code: "password-in-arguments".into(),
                        message: format!(
                            "the password of `{}` is an argument, which everybody on this machine can read while this runs",
                            endpoint.describe()
                        ),
                        help: Some(
                            "name a variable that holds the address, `env:NAME`; or set `PGPASSWORD` and leave it out"
                                .into(),
                        ),
                    });
                }
                endpoint
            }
            None => return Ok(None),
        };
        endpoint.password = endpoint.password.or_else(|| set("PGPASSWORD"));
        Ok(Some(endpoint))
    }
}
