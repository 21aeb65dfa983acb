//! Where a database is, and with what one gets in.

use super::error::DbError;
use crate::config::Database;
use crate::node::Outside;
use std::ffi::OsString;
use std::path::PathBuf;
use tokio_postgres::config::Host;

/// An address of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A name or an IP address.
    Host(String),
    /// The folder of a local socket.
    Socket(PathBuf),
}

/// Where a database is, and with what one gets in. Never shown whole: it holds a password.
#[derive(Clone)]
pub struct Endpoint {
    /// The server.
    pub address: Address,
    /// Its port.
    pub port: u16,
    /// The role.
    pub user: String,
    /// Its password.
    pub password: Option<String>,
    /// The database.
    pub database: String,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.describe())
    }
}

impl Endpoint {
    /// What a `postgres://` address says.
    ///
    /// # Errors
    /// It is none. The message does not hold it.
    pub fn parse(url: &str, database: &Database) -> Result<Self, DbError> {
        let variable = &database.url_env.value;
        let bad = |why: String| {
            DbError::failed(format!("the variable `{variable}` holds no address of a database: {why}"))
                .help("write `postgres://USER:PASSWORD@HOST:PORT/DATABASE`")
        };
        let config: tokio_postgres::Config =
            url.parse().map_err(|error: tokio_postgres::Error| bad(error.to_string()))?;
        let address = match config.get_hosts() {
            [Host::Tcp(name)] => Address::Host(name.clone()),
            [Host::Unix(folder)] => Address::Socket(folder.clone()),
            [] => return Err(bad("it names no host".into())),
            _ => return Err(bad("it names several hosts".into())),
        };
        let password = match config.get_password().map(std::str::from_utf8) {
            None => None,
            Some(Ok(password)) => Some(password.to_owned()),
            Some(Err(_)) => return Err(bad("its password is not UTF-8".into())),
        };
        Ok(Self {
            address,
            port: config.get_ports().first().copied().unwrap_or(5432),
            user: config.get_user().unwrap_or("postgres").to_owned(),
            password,
            database: config.get_dbname().unwrap_or(&database.name).to_owned(),
        })
    }

    /// The same server, another database.
    pub fn with_database(&self, database: &str) -> Self {
        Self { database: database.to_owned(), ..self.clone() }
    }

    /// For people: without password.
    pub fn describe(&self) -> String {
        let (user, port, database) = (&self.user, self.port, &self.database);
        match &self.address {
            Address::Host(name) => format!("{user}@{name}:{port}/{database}"),
            Address::Socket(folder) => format!("{user}@{}:{port}/{database}", folder.display()),
        }
    }

    /// Whether it is this machine's: one of `hosts`, or a socket.
    pub fn is_among(&self, hosts: &[String]) -> bool {
        match &self.address {
            Address::Host(name) => hosts.iter().any(|host| host == name),
            Address::Socket(_) => true,
        }
    }

    /// `postgres://…` with the password, for a task's environment.
    pub fn url(&self) -> String {
        let secret = self.password.as_ref().map_or(String::new(), |password| format!(":{}", encoded(password)));
        let (user, port, database) = (encoded(&self.user), self.port, encoded(&self.database));
        match &self.address {
            Address::Host(name) if name.contains(':') => {
                format!("postgres://{user}{secret}@[{name}]:{port}/{database}")
            }
            Address::Host(name) => format!("postgres://{user}{secret}@{name}:{port}/{database}"),
            Address::Socket(folder) => {
                format!("postgres://{user}{secret}@{}:{port}/{database}", encoded(&folder.to_string_lossy()))
            }
        }
    }

    /// The variables that tell a task where the database is.
    pub fn variables(&self, url_env: &str) -> Vec<(String, OsString)> {
        let host = match &self.address {
            Address::Host(name) => name.into(),
            Address::Socket(folder) => folder.clone().into_os_string(),
        };
        let mut all: Vec<(String, OsString)> = vec![
            (url_env.to_owned(), self.url().into()),
            ("PGHOST".into(), host),
            ("PGPORT".into(), self.port.to_string().into()),
            ("PGUSER".into(), self.user.clone().into()),
            ("PGDATABASE".into(), self.database.clone().into()),
        ];
        all.extend(self.password.as_ref().map(|password| ("PGPASSWORD".to_owned(), password.into())));
        all
    }

    /// What no byte leaving weir may hold.
    pub fn secrets(&self) -> Vec<String> {
        let Some(password) = self.password.as_ref().filter(|password| !password.is_empty()) else { return vec![] };
        let mut all = vec![password.clone()];
        let as_in_url = encoded(password);
        if as_in_url != *password {
            all.push(as_in_url);
        }
        all
    }
}

/// The database that `url_env` names outside, if it is set and not empty.
pub fn outside_url(database: &Database, outside: &Outside) -> Option<Result<Endpoint, DbError>> {
    let url = outside.get(&database.url_env.value).filter(|url| !url.trim().is_empty())?;
    Some(Endpoint::parse(url.trim(), database))
}

/// Percent-encoded as RFC 3986 asks for in a user's name, a password or a path.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
