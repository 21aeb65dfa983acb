//! A connection to a database.

use super::error::DbError;
use super::server::{Address, Endpoint, innermost, unreachable};
use std::time::Duration;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// How long a server that is there may take to answer.
const CONNECT: Duration = Duration::from_secs(10);

/// A connection; closed when dropped.
pub struct Session {
    /// Its client.
    pub client: Client,
    /// Where to.
    pub endpoint: Endpoint,
}

/// Why there is no connection.
pub enum Unconnected {
    /// What Postgres or the system said.
    Said(tokio_postgres::Error),
    /// Nothing, for too long.
    Silence,
}

impl Unconnected {
    /// The SQLSTATE, where the server said one.
    pub fn state(&self) -> Option<&str> {
        match self {
            Self::Said(error) => error.code().map(tokio_postgres::error::SqlState::code),
            Self::Silence => None,
        }
    }

    /// The server asked for a password, and there was none to send.
    pub fn wants_password(&self) -> bool {
        matches!(self, Self::Said(error) if innermost(error).to_string() == "password missing")
    }
}

impl Session {
    /// Connects. On the engine's runtime: the connection lives on it.
    ///
    /// # Errors
    /// The server is not there, does not let in, or has no such database.
    pub async fn open(endpoint: &Endpoint) -> Result<Self, DbError> {
        Self::attempt(endpoint).await.map_err(|why| unreachable(endpoint, &why))
    }

    /// The same, with the reason as it came.
    ///
    /// # Errors
    /// The server is not there, does not let in, or has no such database.
    pub async fn attempt(endpoint: &Endpoint) -> Result<Self, Unconnected> {
        let mut config = tokio_postgres::Config::new();
        config.user(&endpoint.user).dbname(&endpoint.database).port(endpoint.port).application_name("weir");
        match &endpoint.address {
            Address::Host(name) => config.host(name),
            Address::Socket(folder) => config.host_path(folder),
        };
        if let Some(password) = &endpoint.password {
            config.password(password);
        }
        if let Some(options) = &endpoint.options {
            config.options(options);
        }
        let connecting = tokio::time::timeout(CONNECT, config.connect(NoTls));
        let (client, connection) = connecting.await.map_err(|_| Unconnected::Silence)?.map_err(Unconnected::Said)?;
        tokio::spawn(async move {
            // Its end is seen by whoever waits for an answer.
            let _ = connection.await;
        });
        Ok(Self { client, endpoint: endpoint.clone() })
    }

    /// The rows of a query without parameters, as text, in one round trip; `what` failed otherwise.
    ///
    /// # Errors
    /// The server says no, or the connection broke.
    pub async fn rows(&self, what: &str, sql: &str) -> Result<Vec<Vec<Option<String>>>, DbError> {
        let messages = self.client.simple_query(sql).await.map_err(|error| DbError::postgres(what, &error))?;
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect())
            }
            _ => None,
        });
        Ok(rows.collect())
    }

    /// The first row of such a query; empty where there is none.
    ///
    /// # Errors
    /// As [`Session::rows`].
    pub async fn row(&self, what: &str, sql: &str) -> Result<Vec<Option<String>>, DbError> {
        Ok(self.rows(what, sql).await?.into_iter().next().unwrap_or_default())
    }

    /// Statements without an answer, all in one transaction unless one is open or they say otherwise.
    ///
    /// # Errors
    /// The server says no, or the connection broke.
    pub async fn execute(&self, what: &str, sql: &str) -> Result<(), DbError> {
        self.client.batch_execute(sql).await.map_err(|error| DbError::postgres(what, &error))
    }

    /// The server's version as a number: 150018 for 15.18.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn version(&self) -> Result<u32, DbError> {
        const WHAT: &str = "failed to ask for the server's version";
        let row = self.row(WHAT, "select current_setting('server_version_num')").await?;
        Ok(row.into_iter().flatten().next().and_then(|text| text.parse().ok()).unwrap_or(0))
    }
}
