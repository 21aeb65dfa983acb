//! `db.migrate`: the migrations that the ledger does not hold yet.

use super::error::DbError;
use super::flight::{Cargo, Landing, send};
use super::frame::{Act, Nature, Site};
use super::ledger::{self, Problem};
use super::mark;
use super::migrations::{self, Migration};
use super::session::Session;
use super::show::{Sent, Source, show};
use super::{intent, roles};
use crate::config::{Atomic, Database, Pattern};
use crate::model::{Digest, FailReason, KeySink, KeyValue, Observation, PartKind, WsPath, format_duration};
use crate::node::{Effects, Output, Outside, Pending};
use crate::sql::{Kind, Places, Statement, split};
use std::path::Path;
use std::time::Instant;
use tokio_postgres::error::SqlState;

/// How long a statement of a migration waits for a lock, unless its file says otherwise. Whoever comes after it waits
/// as long.
pub const LOCK_TIMEOUT: &str = "10s";

/// After this, and a dead client, a server that can stops what it was doing for that client.
const NOTICED: &str = "set client_connection_check_interval = '500ms'";

/// Strings are read as weir reads them, when it looks for what ends a transaction. Counts from the next message on.
const STANDARD: &str = "set standard_conforming_strings = on";

/// The pending migrations, applied.
pub struct Migrate {
    /// A transaction for each, or one for all.
    pub atomic: Atomic,
    /// The folder, if there was something in it when the run was planned.
    pub sources: Vec<Pattern>,
}

impl Migrate {
    /// Of a database of the workspace at `root`.
    pub fn new(root: &Path, database: &Database, atomic: Atomic) -> Self {
        let folder = &database.migrations.value;
        let filled = std::fs::read_dir(folder.under(root)).is_ok_and(|mut entries| entries.next().is_some());
        let pattern = Pattern::parse(&WsPath::root(), folder.as_str());
        Self { atomic, sources: pattern.ok().filter(|_| filled).into_iter().collect() }
    }
}

impl Act for Migrate {
    fn nature(&self, _: &Database) -> Nature {
        Nature {
            always: None,
            sources: self.sources.clone(),
            effects: Effects::Unknown,
            reports_state: true,
            observes: true,
            ..Nature::default()
        }
    }

    fn define(&self, database: &Database, outside: &Outside, sink: &mut dyn KeySink) -> Result<(), FailReason> {
        let mut define = |name: &str, value: &str| sink.part(PartKind::Definition, name, KeyValue::Text(value));
        define("migrations", database.migrations.value.as_str());
        define("ledger", &mark::relation(&database.ledger));
        define("no_tx_marker", &database.no_tx_marker);
        define("atomic", if self.atomic == Atomic::All { "all" } else { "each" });
        for (name, login) in &database.roles {
            define("role", &format!("{name} login={} {:?}", login.login, login.password_env));
        }
        for variable in roles::variables(database) {
            match outside.get(variable) {
                Some(value) => sink.part(PartKind::Env, variable, KeyValue::Secret(&value)),
                None => sink.part(PartKind::Env, variable, KeyValue::Absent),
            }
        }
        Ok(())
    }

    /// The files, also where the folder was empty when the run was planned.
    fn observe<'a>(&'a self, site: Site<'a>) -> Pending<'a, Result<Vec<Observation>, DbError>> {
        Box::pin(async move {
            if !self.sources.is_empty() {
                return Ok(vec![]);
            }
            let found = migrations::load(&site.databases.root, site.database)?;
            let seen = |migration: Migration| Observation {
                kind: PartKind::Source,
                name: migration.path.as_str().to_owned(),
                value: migration.checksum.to_hex(),
            };
            Ok(found.into_iter().map(seen).collect())
        })
    }

    fn run<'a>(&'a self, site: Site<'a>, output: &'a mut dyn Output) -> Pending<'a, Result<(), DbError>> {
        Box::pin(async move {
            let database = site.database;
            let all = migrations::load(&site.databases.root, database)?;
            let mut session = site.databases.connect(database, site.context).await?;
            ledger::lock(&session, database, output).await?;
            let pending = plan(&session, database, &all, self.atomic, output).await?;
            if mark::incarnation(&session, database).await?.is_none() {
                mark::stamp(&session, database).await?;
            }
            let applied = all.len() - pending.len();
            if pending.is_empty() {
                output.bytes(format!("nothing to apply: {applied} in the ledger\n").as_bytes());
            } else {
                ledger::create(&session, database).await?;
                apply(&mut session, database, &pending, self.atomic, output).await?;
                let said = format!("{} applied, {} in the ledger\n", pending.len(), all.len());
                output.bytes(said.as_bytes());
            }
            roles::apply(&session, site.databases, database, output).await
        })
    }

    fn state<'a>(&'a self, site: Site<'a>) -> Pending<'a, Result<Digest, DbError>> {
        Box::pin(async move {
            let session = site.databases.connect(site.database, site.context).await?;
            ledger::state(&session, site.database).await
        })
    }
}

/// What is to be applied to a database, if nothing stands against it.
async fn plan<'m>(
    session: &Session,
    database: &Database,
    all: &'m [Migration],
    atomic: Atomic,
    output: &mut dyn Output,
) -> Result<Vec<&'m Migration>, DbError> {
    let begun = intent::read(session, database).await?;
    let file = |version| all.iter().find(|migration| migration.version == version);
    let stuck = begun.iter().map(|intent| intent::describe(database, intent, file(intent.version)));
    refuse(stuck.map(|(message, help)| Problem { message, help }).collect(), output)?;
    let applied = match ledger::look(session, database).await? {
        Some(applied) => applied,
        None => {
            let strangers = ledger::strangers(session, database).await?;
            if !strangers.is_empty() {
                refuse(vec![ledger::unaccounted(database, &strangers)], output)?;
            }
            vec![]
        }
    };
    let pending = match ledger::pending(all, &applied) {
        Ok(pending) => pending,
        Err(problems) => {
            refuse(problems, output)?;
            vec![]
        }
    };
    refuse(unfit(&pending, database, atomic), output)?;
    Ok(pending)
}

/// Tells all problems, and fails with the first.
fn refuse(problems: Vec<Problem>, output: &mut dyn Output) -> Result<(), DbError> {
    let others = problems.len().saturating_sub(1);
    // The first is the failure's own message.
    for problem in problems.iter().filter(|_| others > 0) {
        output.bytes(format!("{}\nhelp: {}\n", problem.message, problem.help).as_bytes());
    }
    let Some(first) = problems.into_iter().next() else { return Ok(()) };
    output.bytes(b"nothing was applied\n");
    let more = if others > 0 { format!(" (and {others} more)") } else { String::new() };
    Err(DbError::failed(format!("{}{more}", first.message)).help(first.help))
}

/// What can't be applied as it stands in the files.
pub fn unfit(pending: &[&Migration], database: &Database, atomic: Atomic) -> Vec<Problem> {
    let mut problems = Vec::new();
    for migration in pending {
        let statements = split(&migration.text);
        if statements.is_empty() {
            problems.push(Problem {
                message: format!("{}:1: it holds no statement", migration.path),
                help: "write the change; once applied, the file can't be edited any more".into(),
            });
        }
        if migration.no_tx && atomic == Atomic::All {
            problems.push(Problem {
                message: format!(
                    "{}:1: it runs outside a transaction, and `atomic = \"all\"` wants one for all",
                    migration.path
                ),
                help: "apply the migrations before it and itself without `atomic`, or take the marker off".into(),
            });
        }
        problems.extend(statements.iter().filter_map(|statement| unfit_statement(migration, statement, database)));
    }
    problems
}

fn unfit_statement(migration: &Migration, statement: &Statement, database: &Database) -> Option<Problem> {
    let at = Places::new(&migration.text).of(statement.range.start);
    let shown = shown(statement.of(&migration.text));
    let (what, help) = match statement.kind {
        Kind::Transaction => (
            format!("`{shown}` begins or ends a transaction"),
            "take it out: weir runs each file in a transaction, with its row in the ledger".to_owned(),
        ),
        Kind::Alone if !migration.no_tx => (
            format!("`{shown}` can't run in a transaction"),
            format!("put it into a file of its own that begins with `-- {}`", database.no_tx_marker),
        ),
        Kind::Copy => (
            format!("`{shown}` needs a client that sends the rows"),
            "write INSERT, or load the rows as a seed (a .csv file named after the table)".to_owned(),
        ),
        Kind::Shell => (format!("`{shown}` is a command of psql, not SQL"), "write what it does as SQL".to_owned()),
        Kind::Alone | Kind::Plain | Kind::Forgets => return None,
    };
    Some(Problem { message: format!("{}:{}:{}: {what}", migration.path, at.line, at.column), help })
}

/// The first line of a statement, and not too much of it.
fn shown(statement: &str) -> String {
    let line = statement.lines().next().unwrap_or_default().trim_end();
    let short: String = line.chars().take(60).collect();
    if short.len() < statement.trim_end().len() { format!("{short} …") } else { short }
}

/// Applies `migrations` to a database that is empty, ledger included. Takes no lock: nobody else knows of it.
///
/// # Errors
/// A migration does not fit or fails.
pub async fn apply_all(
    session: &mut Session,
    database: &Database,
    migrations: &[Migration],
    output: &mut dyn Output,
) -> Result<(), DbError> {
    let all: Vec<&Migration> = migrations.iter().collect();
    refuse(unfit(&all, database, Atomic::Each), output)?;
    ledger::create(session, database).await?;
    apply(session, database, &all, Atomic::Each, output).await
}

async fn apply(
    session: &mut Session,
    database: &Database,
    pending: &[&Migration],
    atomic: Atomic,
    output: &mut dyn Output,
) -> Result<(), DbError> {
    let mut applier = Applier { session, database, atomic, checks: false, output };
    // Not every server can, and none must.
    applier.checks = applier.session.execute("", NOTICED).await.is_ok();
    applier.session.execute("failed to prepare the session", STANDARD).await?;
    if atomic == Atomic::All {
        applier.session.execute("failed to begin a transaction", "begin").await?;
    }
    for (index, migration) in pending.iter().enumerate() {
        let started = Instant::now();
        match migration.no_tx {
            true => applier.outside(migration).await?,
            false => applier.within(migration, index + 1 == pending.len()).await?,
        }
        let took = format_duration(started.elapsed());
        applier.output.bytes(format!("{} ({took})\n", migration.name()).as_bytes());
    }
    if atomic == Atomic::All {
        applier.session.execute("failed to commit the migrations", "commit").await?;
    }
    Ok(())
}

/// The row of the ledger found another transaction than the one it was meant for.
fn lost(migration: &Migration) -> DbError {
    DbError::failed(format!("{}: it ended the transaction that weir began for it", migration.path))
        .help("take out what ends it; a part of the file may be in the database, and the ledger does not hold it")
}

/// Applies migrations, one after the other.
struct Applier<'a> {
    session: &'a mut Session,
    database: &'a Database,
    atomic: Atomic,
    /// The server can notice a dead client while it works.
    checks: bool,
    output: &'a mut dyn Output,
}

impl Applier<'_> {
    /// What makes the session as it was when it was opened, whatever the file before did to it.
    fn afresh(&self) -> Vec<String> {
        let mut statements = vec!["set session authorization default", "reset all", "discard temp"];
        if self.checks {
            statements.push(NOTICED);
        }
        statements.into_iter().map(str::to_owned).collect()
    }

    /// A migration and its row in the ledger: one transaction, one message to the server, and one answer.
    async fn within(&mut self, migration: &Migration, is_last: bool) -> Result<(), DbError> {
        let statements = split(&migration.text);
        let own = self.atomic == Atomic::Each;
        let mut before = self.afresh();
        if own {
            before.push("begin".into());
            if !is_last {
                // The last one is waited for until it is on disk, and with it all before it. Should the server crash
                // in between, then a migration is lost together with its row.
                before.push("set local synchronous_commit = off".into());
            }
        }
        before.push(format!("set local lock_timeout = '{LOCK_TIMEOUT}'"));
        // Gone with the transaction, whoever ended it.
        before.push(format!("set local weir.migration = '{}'", migration.version));
        let forgets = statements.iter().any(|statement| statement.kind == Kind::Forgets);
        let guard = format!("pg_catalog.current_setting('weir.migration', true) = '{}'", migration.version);
        let mut after = vec!["set session authorization default".to_owned(), STANDARD.to_owned()];
        after.push(ledger::insert_sql(self.database, migration, (!forgets).then_some(&guard)));
        after.extend(own.then(|| "commit".to_owned()));
        let head = before.join("; ") + ";\n";
        let sql = format!("{head}{}\n;{}", migration.text, after.join("; "));
        let source = Source { path: migration.path.as_str(), text: &migration.text, statements: &statements };
        let sent = Sent { before: head.chars().count(), from: 0 };
        let cargo = Cargo { sql: &sql, source: &source, sent, before: before.len(), first: 0 };
        let landing = send(self.session, cargo, self.output).await;
        if let Landing { error: Some((error, running)), .. } = landing {
            let failure = match error.code() {
                Some(&SqlState::NOT_NULL_VIOLATION) if running.is_none() => lost(migration),
                _ => self.failure(&error, &source, sent, running),
            };
            if error.as_db_error().is_some() {
                let what = match own {
                    true => format!("nothing of `{}` stays applied\n", migration.name()),
                    false => "nothing of this run stays applied\n".to_owned(),
                };
                self.output.bytes(what.as_bytes());
                let _ = self.session.client.batch_execute("rollback").await;
            }
            return Err(failure);
        }
        Ok(())
    }

    /// A migration statement by statement, outside a transaction. What is done is written down on a connection of its
    /// own, so that the file's settings do not meet it.
    async fn outside(&mut self, migration: &Migration) -> Result<(), DbError> {
        let statements = split(&migration.text);
        let notes = Session::open(&self.session.endpoint).await?;
        let mut setup = self.afresh();
        setup.push(format!("set lock_timeout = '{LOCK_TIMEOUT}'"));
        for statement in setup {
            self.session.execute("failed to prepare the session", &statement).await?;
        }
        intent::begin(&notes, self.database, migration, statements.len()).await?;
        let source = Source { path: migration.path.as_str(), text: &migration.text, statements: &statements };
        for (index, statement) in statements.iter().enumerate() {
            let sent = Sent { before: 0, from: statement.range.start };
            let cargo = Cargo { sql: statement.of(&migration.text), source: &source, sent, before: 0, first: index };
            let landing = send(self.session, cargo, self.output).await;
            if let Some((error, running)) = landing.error {
                let failure = self.failure(&error, &source, sent, running);
                if let Some(said) = error.as_db_error() {
                    let why = format!("{} (SQLSTATE {})", said.message(), said.code().code());
                    intent::fail(&notes, self.database, migration.version, &why).await?;
                }
                return Err(self.stuck(migration, index, statements.len(), failure));
            }
            intent::advance(&notes, self.database, migration.version, index + 1).await?;
        }
        let row = ledger::insert_sql(self.database, migration, None);
        let sql = format!("begin; {row}; {}; commit", intent::delete_sql(self.database, migration.version));
        notes.execute(&format!("failed to put `{}` into the ledger", migration.name()), &sql).await
    }

    /// The failure of a statement outside a transaction: what was done before it stays.
    fn stuck(&mut self, migration: &Migration, done: usize, of: usize, failure: DbError) -> DbError {
        let (version, which) = (migration.version, migrations::which(self.database));
        let stays = match done {
            0 => "no statement before it; what it left itself may be there".to_owned(),
            done => format!("{done} of {of} statements are applied and stay"),
        };
        self.output.bytes(format!("outside a transaction: {stays}\n").as_bytes());
        match failure {
            DbError::Failed { message, .. } => DbError::failed(message).help(format!(
                "bring the database to one side, then `weir db resolve {version} --applied{which}` or `weir db resolve {version} --undone{which}`"
            )),
            other => other,
        }
    }

    /// What went wrong, with the statement shown.
    fn failure(
        &mut self,
        error: &tokio_postgres::Error,
        source: &Source<'_>,
        sent: Sent,
        running: Option<usize>,
    ) -> DbError {
        let Some(said) = error.as_db_error() else {
            let what = format!("the connection broke while `{}` ran", source.path);
            return DbError::postgres(&what, error).help("run it again: the ledger tells what was applied");
        };
        let shown = show(source, said, sent, running);
        self.output.bytes(shown.block.as_bytes());
        let help = shown.hint.or_else(|| match said.code().code() {
            "55P03" => Some(format!(
                "somebody else held a lock for longer than {LOCK_TIMEOUT}: let them end, or begin the file with `set lock_timeout = '1min';`"
            )),
            _ => None,
        });
        let failed = DbError::failed(shown.message);
        match help {
            Some(help) => failed.help(help),
            None => failed,
        }
    }
}
