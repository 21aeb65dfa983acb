//! What a check is, how it is run, and what it found. A check reads only: it runs in a read-only transaction, as one
//! statement of the extended protocol, which can't leave it.

use crate::config::Database;
use crate::db::error::DbError;
use crate::db::ledger::{self, Applied};
use crate::db::migrations::{self, Migration};
use crate::db::session::Session;
use crate::sql::Places;
use std::path::Path;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::error::ErrorPosition;

/// Rows of a check that are shown.
pub const SHOWN: usize = 20;

/// How much a violation weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The gate fails.
    Error,
    /// It is told.
    Warning,
}

/// A check.
#[derive(Debug, Clone)]
pub struct Check {
    /// By which it is known; unique.
    pub id: String,
    /// What holds, in a sentence.
    pub title: String,
    /// How much a violation weighs.
    pub severity: Severity,
    /// What it asks.
    pub question: Question,
    /// Changes after which it must report something.
    pub proofs: Vec<Proof>,
}

/// What a check asks.
#[derive(Debug, Clone)]
pub enum Question {
    /// A query of a file, by its path.
    File {
        /// The file.
        path: String,
        /// All of it.
        text: String,
    },
    /// A ready-made query.
    Ready(String),
    /// Whether the ledger equals the files.
    Ledger,
    /// Whether the server is at least this major version.
    Version(u32),
}

/// A change after which a check must report something.
#[derive(Debug, Clone)]
pub struct Proof {
    /// The statement.
    pub statement: String,
    /// `checks/db/a.sql:4`, where a file has it.
    pub place: Option<String>,
}

/// The rows a check returned: violations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The first of them, as text; none is NULL.
    pub rows: Vec<Vec<Option<String>>>,
    /// How many there are.
    pub total: u64,
}

impl Found {
    /// Violations in words.
    fn lines(lines: Vec<String>) -> Self {
        let total = lines.len() as u64;
        let rows = lines.into_iter().take(SHOWN).map(|line| vec![Some(line)]).collect();
        Self { columns: vec!["violation".to_owned()], rows, total }
    }
}

/// Why a check could not be run.
#[derive(Debug)]
pub struct Broken {
    /// Where and what.
    pub message: String,
    /// Some lines on it.
    pub block: String,
}

impl From<DbError> for Broken {
    fn from(error: DbError) -> Self {
        let message = match error {
            DbError::Refused { message, .. } | DbError::Failed { message, .. } => message,
            DbError::Interrupted => "interrupted".into(),
        };
        Self { message, block: String::new() }
    }
}

/// What checks are held against beside the database.
pub struct Standard<'a> {
    /// The workspace root.
    pub root: &'a Path,
    /// The database as declared.
    pub database: &'a Database,
}

/// Asks a check's question in the transaction that is open. What it found; or why it could not be asked: the
/// transaction is then as it was before.
pub async fn ask(session: &Session, standard: &Standard<'_>, question: &Question) -> Result<Found, Broken> {
    session.execute("failed to begin a check", "savepoint weir_check").await?;
    let found = match question {
        Question::File { path, text } => query(session, path, text).await,
        Question::Ready(text) => query(session, "a ready-made check", text).await,
        Question::Ledger => ledger_differs(session, standard).await,
        Question::Version(wanted) => too_old(session, *wanted).await,
    };
    session.execute("failed to end a check", "rollback to savepoint weir_check; release savepoint weir_check").await?;
    found
}

const DECLARE: &str = "declare weir_rows no scroll cursor for ";

async fn query(session: &Session, path: &str, text: &str) -> Result<Found, Broken> {
    let failed = |error: tokio_postgres::Error| broken(path, text, DECLARE, &error);
    // One statement only: with the simple protocol a second one could end the transaction.
    session.client.execute(&format!("{DECLARE}{text}"), &[]).await.map_err(failed)?;
    let messages = session.client.simple_query(&format!("fetch {SHOWN} from weir_rows")).await.map_err(failed)?;
    let mut found = Found::default();
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                found.columns = columns.iter().map(|column| column.name().to_owned()).collect();
            }
            SimpleQueryMessage::Row(row) => {
                found.rows.push((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect());
            }
            _ => {}
        }
    }
    found.total = found.rows.len() as u64;
    if found.rows.len() == SHOWN {
        let rest = session.client.simple_query("move forward all in weir_rows").await.map_err(failed)?;
        let moved = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::CommandComplete(rows) => *rows,
            _ => 0,
        };
        found.total += rest.iter().map(moved).sum::<u64>();
    }
    Ok(found)
}

/// What the server said against a text that was sent after `before`.
pub fn broken(path: &str, text: &str, before: &str, error: &tokio_postgres::Error) -> Broken {
    let Some(said) = error.as_db_error() else {
        return DbError::postgres(&format!("failed to run {path}"), error).into();
    };
    let places = Places::new(text);
    let position = match said.position() {
        Some(ErrorPosition::Original(position)) => (*position as usize).checked_sub(before.chars().count() + 1),
        _ => None,
    };
    let place = position.map(|nth| places.of(Places::byte_of_char(text, nth)));
    let at = place.map_or(String::new(), |place| format!(":{}:{}", place.line, place.column));
    let message = match said.code().code() {
        // The server's words are about prepared statements.
        "42601" if said.message().contains("multiple commands") => "it holds more than one statement".to_owned(),
        "25006" => format!("{}: a check reads only", said.message()),
        _ => said.message().to_owned(),
    };
    let mut block = String::new();
    if let Some(place) = place {
        let line = places.line(place.line).replace('\t', " ");
        let width = place.line.to_string().len();
        block = format!(" {} | {line}\n {:>width$} | {}^\n", place.line, "", " ".repeat(place.column - 1));
    }
    for (name, text) in [("detail", said.detail()), ("hint", said.hint()), ("context", said.where_())] {
        if let Some(text) = text {
            block.push_str(&format!("   {name}: {}\n", text.replace('\n', "\n     ")));
        }
    }
    Broken { message: format!("{path}{at}: {message} (SQLSTATE {})", said.code().code()), block }
}

async fn ledger_differs(session: &Session, standard: &Standard<'_>) -> Result<Found, Broken> {
    let files = migrations::load(standard.root, standard.database)?;
    let applied = ledger::read(session, standard.database).await?;
    Ok(Found::lines(differences(&files, &applied)))
}

fn differences(files: &[Migration], applied: &[Applied]) -> Vec<String> {
    match ledger::pending(files, applied) {
        Ok(missing) => missing.iter().map(|file| format!("{} is not applied", file.path)).collect(),
        Err(problems) => problems.into_iter().map(|problem| problem.message).collect(),
    }
}

async fn too_old(session: &Session, wanted: u32) -> Result<Found, Broken> {
    let version = session.version().await?;
    let (major, minor) = (version / 10_000, version % 10_000);
    let said = (major < wanted).then(|| format!("the server is Postgres {major}.{minor}, and {wanted} is needed"));
    Ok(Found::lines(said.into_iter().collect()))
}
