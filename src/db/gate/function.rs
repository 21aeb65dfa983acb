//! Function tests: statements in a transaction that is rolled back. A statement that returns rows is an assertion: one
//! boolean column, true in every row. A `DO` block with `assert` or `raise` in it is one too. A file without any fails.

use super::check::{Broken, broken};
use super::files::Test;
use crate::db::session::Session;
use crate::db::show::{self, Sent, Source};
use crate::sql::{Kind, Places, Statement};
use tokio_postgres::types::Type;

/// Runs one; how many assertions held.
///
/// # Errors
/// What failed, and where.
pub async fn run(session: &Session, test: &Test) -> Result<usize, Broken> {
    for statement in &test.statements {
        permitted(test, statement)?;
    }
    // Assertions could be off in the server's settings: such tests would check nothing.
    const BEGIN: &str = "begin; set local plpgsql.check_asserts = on; set local lock_timeout = '10s'";
    session.execute("failed to begin a function test", BEGIN).await?;
    let ended = statements(session, test).await;
    session.execute("failed to take back a function test", "rollback").await?;
    session.execute("failed to tidy up after a function test", "discard all").await?;
    match ended {
        Ok(0) => Err(Broken {
            message: format!("{}:1: it asserts nothing", test.path),
            block: "   help: `select … = … as what_holds` returns one boolean; or `do $$ begin assert …; end $$`\n"
                .into(),
        }),
        other => other,
    }
}

async fn statements(session: &Session, test: &Test) -> Result<usize, Broken> {
    let mut assertions = 0;
    for (index, statement) in test.statements.iter().enumerate() {
        assertions += usize::from(one(session, test, index, statement).await?);
    }
    // What waits for the end of the transaction is judged too.
    let what = format!("{}: a deferred constraint does not hold at its end", test.path);
    session.execute(&what, "set constraints all immediate").await?;
    Ok(assertions)
}

fn permitted(test: &Test, statement: &Statement) -> Result<(), Broken> {
    let help = match statement.kind {
        Kind::Plain | Kind::Forgets => return Ok(()),
        Kind::Transaction => "remove it: the test runs in a transaction that is rolled back",
        Kind::Alone => "a test runs in a transaction, where this can't be done",
        Kind::Copy => "write `insert`",
        Kind::Shell => "that is for psql: write SQL",
    };
    Err(wrong(test, statement, "a function test can't do this", help))
}

fn wrong(test: &Test, statement: &Statement, what: &str, help: &str) -> Broken {
    let places = Places::new(&test.text);
    let at = places.of(statement.range.start);
    let mut block = String::new();
    let last = places.of(statement.range.end).line;
    for line in at.line..=last.min(at.line + 4) {
        block.push_str(&format!(" {line:>4} | {}\n", places.line(line)));
    }
    if !help.is_empty() {
        block.push_str(&format!("   help: {help}\n"));
    }
    Broken { message: format!("{}:{}:{}: {what}", test.path, at.line, at.column), block }
}

/// Runs one statement; whether it is an assertion.
async fn one(session: &Session, test: &Test, index: usize, statement: &Statement) -> Result<bool, Broken> {
    let text = statement.of(&test.text);
    let failed = |error: tokio_postgres::Error| match error.as_db_error() {
        None => broken(&test.path, text, "", &error),
        Some(said) => {
            let source = Source { path: &test.path, text: &test.text, statements: &test.statements };
            let shown = show::show(&source, said, Sent { before: 0, from: statement.range.start }, Some(index));
            Broken { message: shown.message, block: shown.block }
        }
    };
    let prepared = session.client.prepare(text).await.map_err(failed)?;
    let types: Vec<&Type> = prepared.columns().iter().map(tokio_postgres::Column::type_).collect();
    match types[..] {
        [] => {
            session.client.execute(&prepared, &[]).await.map_err(failed)?;
            Ok(asserts(statement, &test.text))
        }
        [one] if *one == Type::BOOL => {
            let rows = session.client.query(&prepared, &[]).await.map_err(failed)?;
            let values: Vec<Option<bool>> = rows.iter().map(|row| row.get(0)).collect();
            match judged(prepared.columns()[0].name(), &values) {
                None => Ok(true),
                Some(what) => Err(wrong(test, statement, &what, "")),
            }
        }
        [one] if *one == Type::VOID => {
            session.client.query(&prepared, &[]).await.map_err(failed)?;
            Ok(false)
        }
        _ => Err(wrong(
            test,
            statement,
            "it returns rows that are no assertion",
            "a statement that returns rows returns one boolean column, true in every row; \
             to call a function for what it does: `do $$ begin perform …; end $$`",
        )),
    }
}

/// What is wrong with the rows of an assertion.
fn judged(name: &str, values: &[Option<bool>]) -> Option<String> {
    if values.is_empty() {
        return Some("it returns no row, and so asserts nothing".into());
    }
    let bad: Vec<&Option<bool>> = values.iter().filter(|value| **value != Some(true)).collect();
    let first = bad.first()?;
    let what = if first.is_none() { "NULL, not true" } else { "false" };
    let of = if values.len() > 1 { format!(" ({} of {} rows)", bad.len(), values.len()) } else { String::new() };
    Some(format!("`{name}` is {what}{of}"))
}

/// Whether a statement without rows can fail on purpose: a block with `assert` or `raise`.
fn asserts(statement: &Statement, text: &str) -> bool {
    let is_do = statement.of(text).get(..2).is_some_and(|word| word.eq_ignore_ascii_case("do"));
    let Some(body) = statement.first_string.clone().filter(|_| is_do) else { return false };
    let body = text[body].to_ascii_lowercase();
    let bare: Vec<&str> = body.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
    let bare = bare.join("\n");
    let words: Vec<&str> =
        bare.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|word| !word.is_empty()).collect();
    let told = ["debug", "log", "info", "notice", "warning"];
    let raises = |at: usize| words[at] == "raise" && !words.get(at + 1).is_some_and(|next| told.contains(next));
    words.contains(&"assert") || (0..words.len()).any(raises)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::split;

    #[test]
    fn blocks_that_can_fail() {
        let is = |text: &str| asserts(&split(text)[0], text);
        assert!(is("do $$ begin assert 1 = 1; end $$"));
        assert!(is("DO $x$ begin if true then raise exception 'x'; end if; end $x$"));
        assert!(is("do $$ begin raise check_violation; end $$"));
        assert!(!is("do $$ begin raise notice 'x'; end $$"));
        assert!(!is("do $$ begin -- assert 1 = 1\nperform f(); end $$"));
        assert!(!is("create function f() returns int language plpgsql as $$ begin assert false; end $$"));
    }

    #[test]
    fn every_row_must_be_true() {
        assert_eq!(judged("x", &[Some(true), Some(true)]), None);
        assert_eq!(judged("x", &[]).unwrap(), "it returns no row, and so asserts nothing");
        assert_eq!(judged("x", &[Some(true), None]).unwrap(), "`x` is NULL, not true (1 of 2 rows)");
        assert_eq!(judged("x", &[Some(false)]).unwrap(), "`x` is false");
    }
}
