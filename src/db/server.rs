//! Where a database is, and with what one gets in.

use super::error::DbError;
use super::session::Unconnected;
use crate::config::Database;
use crate::node::Outside;
use std::ffi::OsString;
use std::path::PathBuf;
use tokio_postgres::config::{Host, SslMode};

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
    /// Options for the server, such as `-c search_path=app`.
    pub options: Option<String>,
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
        Self::parse_from(&format!("the variable `{}`", database.url_env.value), url, database)
    }

    /// The same of an address that somebody else named; `source` says who.
    ///
    /// # Errors
    /// It is none. The message does not hold it.
    pub fn parse_from(source: &str, url: &str, database: &Database) -> Result<Self, DbError> {
        let bad = |why: String| {
            DbError::failed(format!("{source} holds no address of a database: {why}"))
                .help("write `postgres://USER:PASSWORD@HOST:PORT/DATABASE`")
        };
        if ["sslmode=require", "sslmode=verify-ca", "sslmode=verify-full"].iter().any(|mode| url.contains(mode)) {
            return Err(no_tls(source));
        }
        let config: tokio_postgres::Config =
            url.parse().map_err(|error: tokio_postgres::Error| bad(innermost(&error).to_string()))?;
        if config.get_ssl_mode() == SslMode::Require {
            return Err(no_tls(source));
        }
        if !config.get_hostaddrs().is_empty() {
            // It would be what is connected to, whatever `host` says.
            return Err(bad("it names a `hostaddr`; name the address as the host".into()));
        }
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
            options: config.get_options().map(str::to_owned),
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
            Address::Host(name) => hosts.iter().any(|host| host.eq_ignore_ascii_case(name)),
            Address::Socket(_) => true,
        }
    }

    /// `postgres://…` with the password, for a task's environment.
    pub fn url(&self) -> String {
        let secret = self.password.as_ref().map_or(String::new(), |password| format!(":{}", encoded(password)));
        let (user, port, database) = (encoded(&self.user), self.port, encoded(&self.database));
        let host = match &self.address {
            Address::Host(name) if name.contains(':') => format!("[{name}]"),
            Address::Host(name) => name.clone(),
            Address::Socket(folder) => encoded(&folder.to_string_lossy()),
        };
        let options = self.options.as_ref().map_or(String::new(), |options| format!("?options={}", encoded(options)));
        format!("postgres://{user}{secret}@{host}:{port}/{database}{options}")
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

    /// Variables that libpq reads too, and would follow elsewhere.
    pub fn misleading() -> [&'static str; 6] {
        ["PGSERVICE", "PGSERVICEFILE", "PGHOSTADDR", "PGPASSFILE", "PGOPTIONS", "PGSYSCONFDIR"]
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

fn no_tls(source: &str) -> DbError {
    DbError::failed(format!("{source} asks for TLS, which weir does not speak to databases"))
        .help("use `sslmode=prefer` for a server that takes connections without, or a tunnel to it")
}

/// The innermost cause says what happened; the outer ones that something did.
pub fn innermost(error: &tokio_postgres::Error) -> &(dyn std::error::Error + 'static) {
    let mut cause: &(dyn std::error::Error + 'static) = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause
}

/// Why there is no connection, and what to do.
pub fn unreachable(endpoint: &Endpoint, why: &Unconnected) -> DbError {
    let what = format!("failed to connect to `{}`", endpoint.describe());
    let error = match why {
        Unconnected::Silence => return DbError::failed(format!("{what}: the server does not answer")),
        Unconnected::Said(error) => error,
    };
    let told = DbError::postgres(&what, error);
    let refused = innermost(error).downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    match (why.state(), refused) {
        (Some("28P01" | "28000"), _) => told.help("check the user and the password, and that the server lets them in"),
        (Some("3D000"), _) => told.help(format!(
            "create it: `create database {}`; weir creates databases only on servers that it starts itself",
            super::mark::quoted(&endpoint.database)
        )),
        (None, Some(std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::NotFound)) => {
            told.help("no server listens there: start it, or correct the address")
        }
        (None, None) if why.wants_password() => told.help("the server asks for a password: put one into the address"),
        _ => told,
    }
}

/// Percent-encoded as RFC 3986 asks for in a user's name, a password or a path.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{At, FileId};

    fn parse(url: &str) -> Result<Endpoint, String> {
        Endpoint::parse(url, &Database::new("app", At { file: FileId(0), start: 0, end: 0 }))
            .map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn an_address_says_where_one_gets_to() {
        let endpoint = parse("postgres://u%40x:p%2F@[::1]:6000/my%20db?options=-c%20a%3Db").unwrap();
        assert_eq!(endpoint.describe(), "u@x@::1:6000/my db");
        assert_eq!(endpoint.url(), "postgres://u%40x:p%2F@[::1]:6000/my%20db?options=-c%20a%3Db");
        let by_query = parse("postgres:///app?host=db.example.org&user=u").unwrap();
        assert_eq!(by_query.address, Address::Host("db.example.org".into()));
        let socket = parse("postgres://u@%2Frun%2Fpg/app").unwrap();
        assert_eq!(socket.address, Address::Socket("/run/pg".into()));
        assert_eq!(socket.url(), "postgres://u@%2Frun%2Fpg:5432/app");
    }

    #[test]
    fn what_could_lead_elsewhere_is_refused() {
        for (url, why) in [
            ("postgres://u@localhost/app?host=db.example.org", "several hosts"),
            ("postgres://u@localhost,db.example.org/app", "several hosts"),
            ("postgres://u@localhost/app?hostaddr=10.0.0.1", "`hostaddr`"),
            ("host=localhost hostaddr=10.0.0.1 user=u", "`hostaddr`"),
            ("postgres:///app", "no host"),
            ("postgres://u:secret@localhost/app?sslmode=require", "TLS"),
            ("postgres://u:secret@localhost/app?sslmode=verify-full", "TLS"),
            ("mysql://u:secret@localhost/app", "no address"),
        ] {
            let error = parse(url).unwrap_err();
            assert!(error.contains(why) && !error.contains("secret"), "{url}: {error}");
        }
    }

    proptest::proptest! {
        /// What is told to tasks is what was told to weir, whatever has to be quoted.
        #[test]
        fn an_address_survives_being_written(user in "\\PC{1,8}", password in "\\PC{1,8}", name in "\\PC{1,8}") {
            let mut endpoint = parse("postgres://u@localhost/app").unwrap();
            (endpoint.user, endpoint.password, endpoint.database) = (user, Some(password), name);
            let again = parse(&endpoint.url()).unwrap();
            proptest::prop_assert_eq!(
                (again.user, again.password, again.database),
                (endpoint.user, endpoint.password, endpoint.database)
            );
        }
    }
}
