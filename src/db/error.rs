//! What goes wrong with a database, in words.

use crate::model::{FailReason, Notice};

/// Why something was not done.
#[derive(Debug)]
pub enum DbError {
    /// A safety rule forbids it.
    Refused {
        /// Which.
        message: String,
        /// What would satisfy it.
        help: String,
    },
    /// It failed.
    Failed {
        /// What happened, in one line.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// The run is being cut short.
    Interrupted,
}

impl DbError {
    /// A failure.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), help: None }
    }

    /// The same with help; of a refusal too.
    pub fn help(self, text: impl Into<String>) -> Self {
        match self {
            Self::Failed { message, .. } => Self::Failed { message, help: Some(text.into()) },
            Self::Refused { message, .. } => Self::Refused { message, help: text.into() },
            Self::Interrupted => Self::Interrupted,
        }
    }

    /// As something a person should know, where it fails nothing.
    pub fn notice(self, code: &str) -> Notice {
        let (message, help) = match self {
            Self::Failed { message, help } => (message, help),
            Self::Refused { message, help } => (message, Some(help)),
            Self::Interrupted => ("interrupted".into(), None),
        };
        Notice { code: code.into(), message, help }
    }

    /// What Postgres or the connection to it said, after `what` failed: `failed to connect`.
    pub fn postgres(what: &str, error: &tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(said) => {
                let mut message = format!("{what}: {} (SQLSTATE {})", said.message(), said.code().code());
                if let Some(detail) = said.detail() {
                    message.push_str(&format!("; {detail}"));
                }
                Self::Failed { message, help: said.hint().map(str::to_owned) }
            }
            None if is_lost(error) => Self::failed(format!("{what}: the connection to the server was lost"))
                .help("see whether the server still runs, and run this again: `db.up` starts one of weir's own"),
            None => {
                let cause = super::server::innermost(error);
                Self::failed(format!("{what}: {cause}"))
            }
        }
    }
}

/// Whether there was a connection, and the other side is gone.
fn is_lost(error: &tokio_postgres::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let broken = super::server::innermost(error).downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    error.is_closed() || matches!(broken, Some(BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof))
}

impl From<DbError> for FailReason {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Refused { message, help } => Self::Refused { message, help: Some(help) },
            DbError::Failed { message, help } => Self::Node { message, help },
            DbError::Interrupted => Self::Interrupted,
        }
    }
}
