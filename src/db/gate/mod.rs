//! `db.gate`: verdicts on the live database. Never cached. Checks read in one read-only transaction; after that each one
//! proves that it can fail: after a change, in a transaction that is taken back, it must report something.

mod check;
mod files;
mod function;
mod ready;
mod table;

use super::error::DbError;
use super::frame::{Act, Nature, Site};
use super::session::Session;
use crate::config::{Database, Located, Pattern};
use crate::model::{Notice, counted};
use crate::node::{Output, Pending};
use check::{Broken, Check, Found, Proof, Question, Severity, Standard, ask, broken};

/// How long a change waits for others to let go of what it changes.
const LOCK_TIMEOUT: &str = "5s";

/// `db.gate`.
pub struct Gate {
    files: Vec<Located<Pattern>>,
}

impl Gate {
    /// With a selection of files; all, if it is empty.
    pub fn new(files: &[Located<Pattern>]) -> Self {
        Self { files: files.to_vec() }
    }
}

impl Act for Gate {
    fn nature(&self, _: &Database) -> Nature {
        Nature::default()
    }

    fn run<'a>(&'a self, site: Site<'a>, output: &'a mut dyn Output) -> Pending<'a, Result<(), DbError>> {
        Box::pin(async move {
            let files = files::load(&site.context.root, site.database, &self.files)?;
            let mut checks = ready::checks(site.database, self.files.is_empty());
            checks.extend(files.checks.iter().cloned());
            let session = site.databases.connect(site.database, site.context).await?;
            let standard = Standard { root: &site.context.root, database: site.database };
            let mut report = Report::default();
            for why in files.wrong {
                output.bytes(format!("BAD   {why}\n").as_bytes());
                report.bad.push(why);
            }
            introduce(&session, output).await?;
            report.judged = judge(&session, &standard, &checks, output).await?;
            prove(&session, &standard, &checks, &mut report, output).await?;
            for test in &files.tests {
                report.function(&test.path, function::run(&session, test).await, output);
            }
            report.end(&checks, files.tests.len(), output)
        })
    }
}

/// What became of one check.
#[derive(Debug)]
struct Judged {
    /// What it found; none: it could not be run.
    found: Option<Found>,
}

impl Judged {
    fn is_clean(&self) -> bool {
        self.found.as_ref().is_some_and(|found| found.total == 0)
    }
}

/// What became of all.
#[derive(Debug, Default)]
struct Report {
    /// In the order of the checks.
    judged: Vec<Judged>,
    /// Ids of checks that showed that they can fail.
    proven: usize,
    /// What is wrong with the checks themselves.
    bad: Vec<String>,
    /// Function tests that failed.
    failed: Vec<String>,
    /// Assertions that held.
    assertions: usize,
}

/// Says whom it talks to.
async fn introduce(session: &Session, output: &mut dyn Output) -> Result<(), DbError> {
    const WHO: &str = "select current_user, session_user, current_setting('server_version'), current_database(),
         (select rolsuper from pg_roles where rolname = current_user)";
    let row = session.row("failed to ask who this is", WHO).await?;
    let cell = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
    let superuser = if cell(4) == "t" { ", a superuser" } else { "" };
    let said = format!(
        "connected to database `{}` as `{}`{superuser} (session user `{}`), Postgres {}\n",
        cell(3),
        cell(0),
        cell(1),
        cell(2)
    );
    output.bytes(said.as_bytes());
    Ok(())
}

/// Asks all checks, of one state of the database.
async fn judge(
    session: &Session,
    standard: &Standard<'_>,
    checks: &[Check],
    output: &mut dyn Output,
) -> Result<Vec<Judged>, DbError> {
    const BEGIN: &str = "begin isolation level repeatable read read only";
    session.execute("failed to begin the gate", BEGIN).await?;
    let mut all = Vec::new();
    for check in checks {
        let judged = match ask(session, standard, &check.question).await {
            Ok(found) => {
                say(check, &found, output);
                Judged { found: Some(found) }
            }
            Err(Broken { message, block }) => {
                let said = format!("BAD   {}  {}\n    it could not be run: {message}\n{block}", check.id, check.title);
                output.bytes(said.as_bytes());
                Judged { found: None }
            }
        };
        all.push(judged);
    }
    session.execute("failed to end the gate", "rollback").await?;
    Ok(all)
}

fn say(check: &Check, found: &Found, output: &mut dyn Output) {
    let (id, title) = (&check.id, &check.title);
    let said = match (found.total, check.severity) {
        (0, _) => format!("ok    {id}  {title}\n"),
        (total, severity) => {
            let word = if severity == Severity::Error { "FAIL" } else { "warn" };
            let many = if total == 1 { "" } else { "s" };
            format!("{word}  {id}  {title}: {total} violation{many}\n{}", table::table(found))
        }
    };
    output.bytes(said.as_bytes());
}

/// Holds each check that found nothing to its own change: after it, it must find something.
async fn prove(
    session: &Session,
    standard: &Standard<'_>,
    checks: &[Check],
    report: &mut Report,
    output: &mut dyn Output,
) -> Result<(), DbError> {
    let mut unproven = Vec::new();
    for (index, check) in checks.iter().enumerate() {
        // One that reported something has shown that it can, and one that could not be run has been told.
        if !report.judged[index].is_clean() {
            continue;
        }
        if let Question::Version(_) = check.question {
            let found = ask_alone(session, standard, &Question::Version(u32::MAX)).await?;
            report.proof(check, found.is_ok_and(|found| found.total > 0).then_some(()).ok_or_else(String::new), output);
            continue;
        }
        if check.proofs.is_empty() {
            unproven.push(format!("`{}`", check.id));
        }
        for proof in &check.proofs {
            let proven = try_proof(session, standard, check, proof).await?;
            report.proof(check, proven, output);
        }
    }
    if !unproven.is_empty() {
        output.notice(Notice {
            code: "unproven".into(),
            message: format!("nothing shows that these checks can fail: {}", unproven.join(", ")),
            help: Some(
                "name a change that they must report, on a line of its own: `-- must-fail-after: STATEMENT`".into(),
            ),
        });
    }
    Ok(())
}

async fn ask_alone(
    session: &Session,
    standard: &Standard<'_>,
    question: &Question,
) -> Result<Result<Found, Broken>, DbError> {
    session.execute("failed to begin a proof", "begin").await?;
    let found = ask(session, standard, question).await;
    session.execute("failed to take back a proof", "rollback").await?;
    Ok(found)
}

/// Makes the change, asks, and takes the change back. Why it proves nothing, otherwise.
async fn try_proof(
    session: &Session,
    standard: &Standard<'_>,
    check: &Check,
    proof: &Proof,
) -> Result<Result<(), String>, DbError> {
    let begin = format!("begin; set local lock_timeout = '{LOCK_TIMEOUT}'; set local client_min_messages = warning");
    session.execute("failed to begin a proof", &begin).await?;
    let place = proof.place.as_deref().unwrap_or("its own proof");
    // One statement of the extended protocol.
    let changed = session.client.execute(&proof.statement, &[]).await;
    let verdict = match changed {
        Err(error) if error.as_db_error().is_none() => return Err(DbError::postgres("failed to make a proof", &error)),
        Err(error) => {
            let Broken { message, block } = broken(place, &proof.statement, "", &error);
            Err(format!("the change after which it must fail could not be made: {message}\n{block}"))
        }
        Ok(_) if !in_transaction(session).await? => Err(format!("{place}: the change ends the transaction\n")),
        Ok(_) => match ask(session, standard, &check.question).await {
            Ok(found) if found.total > 0 => Ok(()),
            Ok(_) => Err(format!("{place}: it stays silent after `{}`: it can't fail\n", shown(&proof.statement))),
            Err(Broken { message, block }) => {
                Err(format!("{place}: after the change it could not be run: {message}\n{block}"))
            }
        },
    };
    session.execute("failed to take back a proof", "rollback").await?;
    session.execute("failed to tidy up after a proof", "discard all").await?;
    Ok(verdict)
}

/// Whether a transaction is open: in one, a savepoint can be set.
async fn in_transaction(session: &Session) -> Result<bool, DbError> {
    match session.client.batch_execute("savepoint weir_still_open").await {
        Ok(()) => Ok(true),
        Err(error) if error.as_db_error().is_some() => Ok(false),
        Err(error) => Err(DbError::postgres("failed to make a proof", &error)),
    }
}

fn shown(statement: &str) -> String {
    let flat = statement.split_whitespace().collect::<Vec<_>>().join(" ");
    if flat.chars().count() <= 160 { flat } else { flat.chars().take(160).collect::<String>() + "…" }
}

impl Report {
    fn proof(&mut self, check: &Check, proven: Result<(), String>, output: &mut dyn Output) {
        match proven {
            Ok(()) => self.proven += 1,
            Err(why) => {
                output.bytes(format!("BAD   {}  {}\n    {why}", check.id, check.title).as_bytes());
                self.bad.push(format!("`{}` does not show that it can fail", check.id));
            }
        }
    }

    fn function(&mut self, path: &str, ended: Result<usize, Broken>, output: &mut dyn Output) {
        match ended {
            Ok(assertions) => {
                self.assertions += assertions;
                let many = if assertions == 1 { "" } else { "s" };
                output.bytes(format!("ok    {path}  {assertions} assertion{many}\n").as_bytes());
            }
            Err(Broken { message, block }) => {
                output.bytes(format!("FAIL  {message}\n{block}").as_bytes());
                self.failed.push(message);
            }
        }
    }

    /// The totals, and the verdict.
    fn end(self, checks: &[Check], tests: usize, output: &mut dyn Output) -> Result<(), DbError> {
        let pairs = || checks.iter().zip(&self.judged);
        let ran = self.judged.iter().filter(|judged| judged.found.is_some()).count();
        let violations = |wanted: Severity| -> u64 {
            let of = pairs().filter(|(check, _)| check.severity == wanted);
            of.filter_map(|(_, judged)| judged.found.as_ref()).map(|found| found.total).sum()
        };
        let (errors, warnings) = (violations(Severity::Error), violations(Severity::Warning));
        let mut said = format!("{}, {}", counted(ran, "check"), counted(errors, "violation"));
        if warnings > 0 {
            said.push_str(&format!(", {}", counted(warnings, "warning")));
        }
        if ran < checks.len() {
            said.push_str(&format!(", {} could not be run", checks.len() - ran));
        }
        said.push_str(&format!("; {} that they can fail", counted(self.proven, "proof")));
        if tests > 0 {
            let held = tests - self.failed.len();
            said.push_str(&format!(
                "; {held} of {tests} function tests passed, {}",
                counted(self.assertions, "assertion")
            ));
        }
        output.bytes(format!("{said}\n").as_bytes());
        let mut warned = pairs().filter(|(check, judged)| {
            check.severity == Severity::Warning && judged.found.as_ref().is_some_and(|found| found.total > 0)
        });
        if let Some((first, _)) = warned.next() {
            let more = warned.count();
            let more = if more > 0 {
                format!(" and {more} more {}", if more == 1 { "check" } else { "checks" })
            } else {
                String::new()
            };
            output.notice(Notice {
                code: "gate-warning".into(),
                message: format!("`{}`{more} found {}, as a warning", first.id, counted(warnings, "violation")),
                help: None,
            });
        }
        let failed = pairs().filter(|(check, judged)| match &judged.found {
            None => true,
            Some(found) => found.total > 0 && check.severity == Severity::Error,
        });
        let ids: Vec<String> = failed.map(|(check, _)| format!("`{}`", check.id)).collect();
        let mut problems = Vec::new();
        if !ids.is_empty() {
            let many = if ids.len() == 1 { "check fails" } else { "checks fail" };
            problems.push(format!("{} {many}: {}", ids.len(), ids.join(", ")));
        }
        let mut bad = self.bad;
        bad.dedup();
        problems.extend(bad);
        problems.extend(self.failed);
        if problems.is_empty() { Ok(()) } else { Err(DbError::failed(problems.join("; "))) }
    }
}
