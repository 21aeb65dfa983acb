//! A server run by `docker compose`.

use crate::config::Database;
use crate::db::cluster::{failed_at, lock_at};
use crate::db::databases::Databases;
use crate::db::error::DbError;
use crate::db::server::{Address, Endpoint};
use crate::node::{Context, Output};
use crate::process::{Captured, Command, capture};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// How long an engine may take to say that it is there.
const ENGINE: Duration = Duration::from_secs(1);
/// How long `docker compose` may take for an answer that starts nothing.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a service may take to be up: its image may have to be fetched.
const UP: Duration = Duration::from_secs(900);
/// The port of Postgres in a container.
const INSIDE: &str = "5432";

/// What is remembered of a service. It may have ended since.
#[derive(Serialize, Deserialize)]
struct Remembered {
    host: String,
    port: u16,
    user: String,
    password: Option<String>,
}

/// A database whose server is a service.
pub struct Service<'a> {
    databases: &'a Databases,
    database: &'a Database,
}

impl<'a> Service<'a> {
    /// The one declared for a database.
    pub fn of(databases: &'a Databases, database: &'a Database) -> Self {
        Self { databases, database }
    }

    fn folder(&self) -> PathBuf {
        self.databases.root.join(".weir/db/docker")
    }

    fn file(&self) -> PathBuf {
        self.folder().join(format!("{}.json", crate::model::Digest::of(self.database.key.as_bytes()).short()))
    }

    fn compose_file(&self) -> PathBuf {
        self.database.docker.file.under(&self.databases.root)
    }

    /// Where the database was when it was last up.
    pub fn remembered(&self) -> Option<Endpoint> {
        let known: Remembered = serde_json::from_slice(&fs::read(self.file()).ok()?).ok()?;
        Some(Endpoint {
            address: Address::Host(known.host),
            port: known.port,
            user: known.user,
            password: known.password,
            database: self.database.name.clone(),
            options: None,
        })
    }

    fn remember(&self, endpoint: &Endpoint) -> Result<(), DbError> {
        let Address::Host(host) = &endpoint.address else { return Ok(()) };
        let known = Remembered {
            host: host.clone(),
            port: endpoint.port,
            user: endpoint.user.clone(),
            password: endpoint.password.clone(),
        };
        let folder = self.folder();
        let written = fs::create_dir_all(&folder).and_then(|()| {
            // Such a file can be read by its owner alone.
            let mut file = tempfile::Builder::new().prefix(".docker-").tempfile_in(&folder)?;
            file.write_all(&serde_json::to_vec(&known)?)?;
            file.persist(self.file()).map_err(|error| error.error)?;
            Ok(())
        });
        written.map_err(|error| failed_at(&folder, &error))
    }

    /// Why Docker does not provide it; none: it does.
    pub async fn obstacle(&self, context: &Context) -> Option<String> {
        let file = &self.database.docker.file;
        if !self.compose_file().is_file() {
            return Some(format!("there is no compose file `{file}`"));
        }
        // Where the engine is on another machine, so is the port.
        if let Some(host) = context.outside.get("DOCKER_HOST").filter(|host| !host.is_empty())
            && !host.starts_with("unix://")
        {
            return Some(format!("the engine of Docker is elsewhere (`DOCKER_HOST` is `{host}`)"));
        }
        // The client alone proves nothing.
        let asked = self.docker(context, &["version", "--format", "{{.Server.Version}}"], ENGINE).await;
        match asked {
            Ok(told) if told.exit.success() && !told.timed_out => None,
            Ok(told) if told.timed_out => Some("the engine of Docker does not answer".into()),
            Ok(_) => Some("no engine of Docker runs".into()),
            Err(_) => Some("Docker is not installed".into()),
        }
    }

    /// Starts the service and waits until it is healthy; where it then is.
    ///
    /// # Errors
    /// `docker compose` says no, or does not say where the service is.
    pub async fn start(&self, context: &Context, output: &mut dyn Output) -> Result<Endpoint, DbError> {
        let _lock = lock_at(&self.folder(), output).await?;
        if let Some(obstacle) = self.obstacle(context).await {
            return Err(DbError::failed(format!(
                "Docker does not provide database `{}`: {obstacle}",
                self.database.key
            ))
            .help("start Docker, or set `provider` to another one"));
        }
        let service = &self.database.docker.service;
        let up = self.compose(context, &["up", "-d", "--wait", service], UP).await?;
        output.bytes(&up.output);
        let endpoint = self.find(context).await?;
        self.remember(&endpoint)?;
        Ok(endpoint)
    }

    /// Stops the service.
    ///
    /// # Errors
    /// `docker compose` says no.
    pub async fn stop(&self, context: &Context, output: &mut dyn Output) -> Result<(), DbError> {
        let _lock = lock_at(&self.folder(), output).await?;
        self.compose(context, &["stop", &self.database.docker.service], ANSWER * 2).await.map(drop)
    }

    async fn find(&self, context: &Context) -> Result<Endpoint, DbError> {
        let service = &self.database.docker.service;
        let (file, what) = (&self.database.docker.file, "`docker compose port`");
        let told = self.compose(context, &["port", service, INSIDE], ANSWER).await?;
        let told = String::from_utf8_lossy(&told.output).trim().to_owned();
        let (host, port) = published(&told).ok_or_else(|| {
            DbError::failed(format!("the service `{service}` publishes no port: {what} says `{told}`"))
                .help(format!("add `ports: [\"127.0.0.1::{INSIDE}\"]` to it in `{file}`"))
        })?;
        let config = self.compose(context, &["config", "--format", "json"], ANSWER).await?;
        let config: Value = serde_json::from_slice(&config.output)
            .map_err(|error| DbError::failed(format!("`docker compose config` prints no JSON: {error}")))?;
        let environment = &config["services"][service]["environment"];
        let variable = |name: &str| environment[name].as_str().filter(|value| !value.is_empty()).map(str::to_owned);
        Ok(Endpoint {
            address: Address::Host(host),
            port,
            user: variable("POSTGRES_USER").unwrap_or_else(|| "postgres".into()),
            password: variable("POSTGRES_PASSWORD"),
            database: self.database.name.clone(),
            options: None,
        })
    }

    async fn compose(&self, context: &Context, arguments: &[&str], timeout: Duration) -> Result<Captured, DbError> {
        let mut all: Vec<OsString> = vec!["compose".into(), "-f".into(), self.compose_file().into()];
        all.extend(arguments.iter().map(OsString::from));
        let shown = format!("docker compose {}", arguments.join(" "));
        let done = self.docker(context, &all, timeout).await?;
        if done.timed_out {
            return Err(DbError::failed(format!("`{shown}` took longer than {} s", timeout.as_secs())));
        }
        if !done.exit.success() {
            let said = String::from_utf8_lossy(&done.error).into_owned();
            let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
            return Err(DbError::failed(format!("`{shown}` failed: {}", last.trim())));
        }
        Ok(done)
    }

    async fn docker<A: AsRef<std::ffi::OsStr>>(
        &self,
        context: &Context,
        arguments: &[A],
        timeout: Duration,
    ) -> Result<Captured, DbError> {
        let mut command = Command::new("docker", &self.databases.root);
        command.args = arguments.iter().map(|argument| argument.as_ref().to_owned()).collect();
        command.env = context.outside.vars.iter().map(|(name, value)| (name.into(), value.clone())).collect();
        command.stdio = crate::process::Stdio::CaptureSplit;
        capture(&context.guard, command, timeout, 4 << 20).await.map_err(|error| DbError::failed(error.to_string()))
    }
}

/// `0.0.0.0:32768` or `[::]:32768`, the first line, as seen from this machine.
fn published(told: &str) -> Option<(String, u16)> {
    let (host, port) = told.lines().next()?.trim().rsplit_once(':')?;
    let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = match host {
        "0.0.0.0" | "" => "127.0.0.1",
        "::" => "::1",
        named => named,
    };
    Some((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::published;

    #[test]
    fn a_published_port_is_found_from_here() {
        assert_eq!(published("0.0.0.0:32768\n"), Some(("127.0.0.1".into(), 32768)));
        assert_eq!(published("[::]:32768\n"), Some(("::1".into(), 32768)));
        assert_eq!(published("127.0.0.1:5432"), Some(("127.0.0.1".into(), 5432)));
        assert_eq!(published(":0"), None);
        assert_eq!(published(""), None);
    }
}
