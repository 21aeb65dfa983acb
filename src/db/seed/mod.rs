//! `db.seed`: files and rows that a database begins with. Each is loaded once, in a transaction, and recorded with its
//! checksum in `weir_seeds`; it does not change after that, unless it says that it may.

mod copy;
mod files;
mod json;
mod row;

use super::error::DbError;
use super::flight::{self, Cargo};
use super::frame::{Act, Nature, Site};
use super::ledger;
use super::mark::{literal, quoted};
use super::session::Session;
use super::show::{self, Sent, Source};
use crate::config::{Database, Document, Pattern};
use crate::model::{Digest, FailReason, Hasher, KeySink, KeyValue, PartKind, WsPath, counted};
use crate::node::{Effects, Output, Outside, Pending};
use crate::sql::{Kind, Places, split};
use files::{Content, SeedFile};
use std::path::{Path, PathBuf};

/// What was seeded, without its schema.
const TABLE: &str = "weir_seeds";

/// `db.seed`.
pub struct Seed {
    root: PathBuf,
}

impl Seed {
    /// In the workspace at `root`.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }
}

impl Act for Seed {
    fn nature(&self, database: &Database) -> Nature {
        let folder = &database.seeds.value;
        // Rows alone need no folder; otherwise one that is missing is told like any missing source.
        let folder = (folder.under(&self.root).exists() || database.rows.is_empty()).then(|| folder.as_str());
        let documents = database.rows.iter().filter_map(|seed| match &seed.from.value {
            Document::Json(path) => Some(path.as_str()),
            Document::Env(_) => None,
        });
        let root = WsPath::from_clean("");
        let sources = folder.into_iter().chain(documents).filter_map(|path| Pattern::parse(&root, path).ok()).collect();
        Nature { always: None, sources, effects: Effects::Unknown, reports_state: true, ..Nature::default() }
    }

    fn define(&self, database: &Database, outside: &Outside, sink: &mut dyn KeySink) -> Result<(), FailReason> {
        sink.part(PartKind::Definition, "ledger", KeyValue::Text(&format!("{:?}", database.ledger)));
        for (index, seed) in database.rows.iter().enumerate() {
            let values: Vec<(&str, &str)> =
                seed.row.iter().map(|(column, value)| (column.as_str(), value.value.as_str())).collect();
            let declared = format!("{:?} {:?} {values:?} {:?}", seed.from.value, seed.into, seed.key.value);
            sink.part(PartKind::Definition, &format!("seed[{index}]"), KeyValue::Text(&declared));
            if let Document::Env(name) = &seed.from.value {
                let value = outside.get(name);
                sink.part(PartKind::Env, name, value.as_deref().map_or(KeyValue::Absent, KeyValue::Secret));
            }
        }
        Ok(())
    }

    fn run<'a>(&'a self, site: Site<'a>, output: &'a mut dyn Output) -> Pending<'a, Result<(), DbError>> {
        Box::pin(async move {
            let mut session = site.databases.connect(site.database, site.context).await?;
            apply_all(&mut session, &site.context.root, &site.context.outside, site.database, output).await
        })
    }

    fn state<'a>(&'a self, site: Site<'a>) -> Pending<'a, Result<Digest, DbError>> {
        Box::pin(async move {
            let session = site.databases.connect(site.database, site.context).await?;
            let mut hasher = Hasher::new();
            hasher.field(ledger::state(&session, site.database).await?.as_bytes());
            for (name, checksum) in checksums(&session, site.database).await? {
                hasher.field(name.as_bytes());
                hasher.field(checksum.as_bytes());
            }
            Ok(hasher.finish())
        })
    }
}

fn table(database: &Database) -> String {
    format!("{}.{}", quoted(&database.ledger.schema), quoted(TABLE))
}

/// What was seeded, by name, with checksums; empty where nothing was.
///
/// # Errors
/// The connection broke.
pub async fn checksums(session: &Session, database: &Database) -> Result<Vec<(String, String)>, DbError> {
    const WHAT: &str = "failed to read what was seeded";
    let named = table(database);
    let there = session.row(WHAT, &format!("select to_regclass({})", literal(&named))).await?;
    if there.first().is_none_or(Option::is_none) {
        return Ok(vec![]);
    }
    let sql = format!("select name, checksum_sha256 from {named} order by name collate \"C\"");
    let pair = |row: Vec<Option<String>>| {
        let mut cells = row.into_iter().map(Option::unwrap_or_default);
        (cells.next().unwrap_or_default(), cells.next().unwrap_or_default())
    };
    Ok(session.rows(WHAT, &sql).await?.into_iter().map(pair).collect())
}

/// What there is to be seeded, by name, with checksums.
///
/// # Errors
/// A document or a file is no good.
pub fn planned(root: &Path, outside: &Outside, database: &Database) -> Result<Vec<(String, Digest)>, DbError> {
    let rows = row::evaluate(root, outside, database)?;
    let files = files::load(root, database)?;
    let of_files = files.into_iter().map(|file| (file.name, file.checksum));
    Ok(of_files.chain(rows.iter().map(|row| (row.name(), row.checksum()))).collect())
}

/// Applies the files and rows that the database does not hold yet.
///
/// # Errors
/// A document, a file or its content is no good; one that was applied has changed. Nothing of it is then applied.
pub async fn apply_all(
    session: &mut Session,
    root: &Path,
    outside: &Outside,
    database: &Database,
    output: &mut dyn Output,
) -> Result<(), DbError> {
    let rows = row::evaluate(root, outside, database)?;
    let files = files::load(root, database)?;
    for file in &files {
        permitted(file)?;
    }
    prepare(session, database).await?;
    let recorded = checksums(session, database).await?;
    let todo = pending(&files, &recorded, output)?;
    for (file, again) in &todo {
        let loaded = apply_file(session, root, database, file, output).await;
        let rows = ended(session, loaded).await?;
        let again = if *again { " again" } else { "" };
        output.bytes(format!("{}: applied{again}, {rows} rows\n", file.path).as_bytes());
    }
    let mut added = 0;
    for row in &rows {
        let done = apply_row(session, database, row, &recorded).await;
        if ended(session, done).await? {
            added += 1;
            output.bytes(format!("{}: added\n", row.name()).as_bytes());
        }
    }
    let (total, same) = (files.len() + rows.len(), files.len() + rows.len() - todo.len() - added);
    let summary = format!("{}: {} applied, {same} as they were\n", counted(total, "seed"), todo.len() + added);
    output.bytes(summary.as_bytes());
    Ok(())
}

/// Of the files, those to be applied; true: once more.
fn pending<'f>(
    files: &'f [SeedFile],
    recorded: &[(String, String)],
    output: &mut dyn Output,
) -> Result<Vec<(&'f SeedFile, bool)>, DbError> {
    let mut todo = Vec::new();
    let mut edited = Vec::new();
    for file in files {
        let hex = file.checksum.to_hex();
        match recorded.iter().find(|(name, _)| *name == file.name) {
            None => todo.push((file, false)),
            Some((_, checksum)) if *checksum == hex => {}
            Some(_) if file.reapply => todo.push((file, true)),
            Some((_, checksum)) => {
                edited.push(format!(
                    "{}: it changed after it was applied: sha256 {checksum} when applied, {hex} now",
                    file.path
                ));
            }
        }
    }
    let Some(first) = edited.first() else { return Ok(todo) };
    edited.iter().skip(1).for_each(|line| output.bytes(format!("{line}\n").as_bytes()));
    Err(DbError::failed(first.clone()).help(
        "undo the change and add another seed; or let the file say that it may be applied again: `-- weir:reapply` \
         in the first lines of an SQL file, `NAME.reapply.csv` for rows that replace those with the same primary key",
    ))
}

/// What a seed may not do, since it would leave its transaction.
fn permitted(file: &SeedFile) -> Result<(), DbError> {
    let Content::Sql(text) = &file.content else { return Ok(()) };
    let statements = split(text);
    if statements.is_empty() {
        return Err(
            DbError::failed(format!("`{}` holds no statement", file.path)).help("write one, or remove the file")
        );
    }
    for statement in &statements {
        let help = match statement.kind {
            Kind::Plain | Kind::Forgets => continue,
            Kind::Transaction => "remove it: weir runs each seed in a transaction of its own",
            Kind::Alone => "move it to a migration that is marked to run outside a transaction",
            Kind::Copy => "put the rows into a `.csv` file named after the table",
            Kind::Shell => "that is for psql: write SQL",
        };
        let at = Places::new(text).of(statement.range.start);
        let head: String = statement.of(text).chars().take_while(|letter| *letter != '\n').take(60).collect();
        let message = format!("{}:{}:{}: a seed can't do this: `{head}`", file.path, at.line, at.column);
        return Err(DbError::failed(message).help(help));
    }
    Ok(())
}

/// Waits until nobody else seeds, and makes the record.
async fn prepare(session: &Session, database: &Database) -> Result<(), DbError> {
    let named = table(database);
    let lock = format!("select pg_advisory_lock(hashtextextended({}, 7724))", literal(&named));
    session.row("failed to wait for another run that seeds", &lock).await?;
    let sql = format!(
        "{} create table if not exists {named} (
             name text primary key,
             checksum_sha256 text not null,
             applied_at timestamptz not null default clock_timestamp());",
        ledger::schema_sql(database)
    );
    // That it is there already is no news.
    let quiet = format!("set client_min_messages = warning; {sql} reset client_min_messages;");
    session.execute("failed to make the record of seeds", &quiet).await
}

async fn record(session: &Session, database: &Database, name: &str, checksum: Digest) -> Result<(), DbError> {
    let sql = format!(
        "insert into {} (name, checksum_sha256) values ({}, {})
         on conflict (name) do update set checksum_sha256 = excluded.checksum_sha256, applied_at = clock_timestamp()",
        table(database),
        literal(name),
        literal(&checksum.to_hex())
    );
    session.execute(&format!("failed to record the seed `{name}`"), &sql).await
}

/// Commits what went well, and takes back what did not.
async fn ended<T>(session: &Session, done: Result<T, DbError>) -> Result<T, DbError> {
    match done {
        Ok(value) => session.execute("failed to commit a seed", "commit").await.map(|()| value),
        Err(error) => {
            // With the connection gone there is nothing left to take back.
            let _ = session.execute("failed to take back a seed", "rollback").await;
            Err(error)
        }
    }
}

const BEGIN: &str = "begin; set local standard_conforming_strings = on; set local client_encoding = 'UTF8'";

async fn apply_file(
    session: &Session,
    root: &Path,
    database: &Database,
    file: &SeedFile,
    output: &mut dyn Output,
) -> Result<u64, DbError> {
    session.execute("failed to begin a seed", BEGIN).await?;
    let rows = match &file.content {
        Content::Sql(text) => run_sql(session, &file.path, text, output).await?,
        Content::Csv(_) | Content::Jsonl(_) => copy::load(session, root, file, output).await?,
    };
    // Whatever the file set for its transaction holds for the record too.
    session.execute("failed to leave the role of a seed", "reset role; reset search_path").await?;
    record(session, database, &file.name, file.checksum).await?;
    Ok(rows)
}

/// Runs the statements of a file in the transaction that is open; how many rows they touched.
async fn run_sql(session: &Session, path: &WsPath, text: &str, output: &mut dyn Output) -> Result<u64, DbError> {
    let statements = split(text);
    let source = Source { path: path.as_str(), text, statements: &statements };
    let landing = flight::send(
        session,
        Cargo { sql: text, source: &source, sent: Sent { before: 0, from: 0 }, before: 0, first: 0 },
        output,
    )
    .await;
    let Some((error, running)) = landing.error else { return Ok(landing.rows.iter().sum()) };
    let Some(said) = error.as_db_error() else {
        return Err(DbError::postgres(&format!("failed to run `{path}`"), &error));
    };
    let shown = show::show(&source, said, Sent { before: 0, from: 0 }, running);
    output.bytes(shown.block.as_bytes());
    let failed = DbError::failed(shown.message);
    Err(match shown.hint {
        Some(hint) => failed.help(hint),
        None => failed,
    })
}

async fn apply_row(
    session: &Session,
    database: &Database,
    row: &row::Row<'_>,
    recorded: &[(String, String)],
) -> Result<bool, DbError> {
    session.execute("failed to begin a seed", BEGIN).await?;
    let added = row::apply(session, row).await?;
    let (name, checksum) = (row.name(), row.checksum());
    let known = recorded.iter().any(|(known, hex)| *known == name && *hex == checksum.to_hex());
    if !known {
        record(session, database, &name, checksum).await?;
    }
    Ok(added)
}
