//! What a server said against a statement, shown beside it: file, line, column, a caret, and all that Postgres adds.

use crate::sql::{Place, Places, Statement};
use std::fmt::Write as _;
use tokio_postgres::error::{DbError as Said, ErrorPosition};
use unicode_width::UnicodeWidthStr;

/// Lines of a statement that are shown before and after the one it is about.
const AROUND: usize = 2;

/// A text that was sent, and where it comes from.
pub struct Source<'t> {
    /// Its file, as people know it.
    pub path: &'t str,
    /// All of it.
    pub text: &'t str,
    /// Its statements.
    pub statements: &'t [Statement],
}

/// An error, placed in its file.
#[derive(Debug)]
pub struct Shown {
    /// `schema/migrations/0007_x.sql:40:8: syntax error at or near "tabel" (SQLSTATE 42601)`.
    pub message: String,
    /// Postgres's hint.
    pub hint: Option<String>,
    /// The statement with a caret, detail and context: some lines.
    pub block: String,
}

/// What Postgres said against a text. `sent_at`: the character of the sent text (from 0) at which the file's byte
/// `from` stood; `statement`: which one was running, if the position does not tell.
pub fn show(source: &Source<'_>, said: &Said, sent: Sent, running: Option<usize>) -> Shown {
    let places = Places::new(source.text);
    let exact = match said.position() {
        Some(ErrorPosition::Original(position)) => sent.byte(source.text, *position as usize),
        _ => None,
    };
    let by_position = exact.and_then(|at| source.statements.iter().rposition(|statement| statement.range.start <= at));
    let statement = by_position.or(running).and_then(|index| source.statements.get(index));
    let inside = statement.and_then(|statement| line_in_block(source, &places, statement, said));
    let at = match (exact, inside, statement) {
        (Some(at), ..) => places.of(at),
        (None, Some(line), _) => {
            let text = places.line(line);
            Place { line, column: text.chars().take_while(|letter| letter.is_whitespace()).count() + 1 }
        }
        (None, None, Some(statement)) => places.of(statement.range.start),
        (None, None, None) => Place { line: 1, column: 1 },
    };
    let (path, code) = (source.path, said.code().code());
    let mut block = format!(" --> {path}:{}:{}\n", at.line, at.column);
    if let Some(statement) = statement {
        let label = (exact.is_some() || inside.is_some()).then(|| said.message());
        excerpt(&mut block, &places, statement, at, label);
    }
    remarks(&mut block, said);
    Shown {
        message: format!("{path}:{}:{}: {} (SQLSTATE {code})", at.line, at.column, said.message()),
        hint: said.hint().map(str::to_owned),
        block,
    }
}

/// How the sent text relates to the file's.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// Characters that were sent before the first of the file's.
    pub before: usize,
    /// The byte of the file that came first.
    pub from: usize,
}

impl Sent {
    /// The file's byte that Postgres's position, in characters from 1, is about.
    fn byte(self, text: &str, position: usize) -> Option<usize> {
        let nth = position.checked_sub(self.before + 1)?;
        let rest = &text[self.from..];
        let at = Places::byte_of_char(rest, nth);
        // Behind the end it is about what weir sent after the file.
        (at < rest.len() || nth == rest.chars().count()).then_some(self.from + at)
    }
}

/// The file's line that `PL/pgSQL function inline_code_block line 3` is about: the lines of a body are counted from
/// where it opens.
fn line_in_block(source: &Source<'_>, places: &Places<'_>, statement: &Statement, said: &Said) -> Option<usize> {
    let body = statement.first_string.as_ref()?;
    let is_do = statement.of(source.text).get(..2).is_some_and(|word| word.eq_ignore_ascii_case("do"));
    let context = said.where_().filter(|_| is_do)?;
    // The innermost comes first; what a function that the block calls did is not in this file.
    let (_, rest) =
        context.lines().find(|line| line.starts_with("PL/pgSQL function"))?.split_once("inline_code_block line ")?;
    let line: usize = rest.split(' ').next()?.parse().ok()?;
    let found = places.of(body.start).line + line.checked_sub(1)?;
    (found <= places.of(body.end).line).then_some(found)
}

/// The lines around `at`, as far as they are the statement's, with a caret and its label.
fn excerpt(block: &mut String, places: &Places<'_>, statement: &Statement, at: Place, label: Option<&str>) {
    let first = places.of(statement.range.start).line;
    let last = places.of(statement.range.end.saturating_sub(1)).line;
    let from = first.max(at.line.saturating_sub(AROUND));
    let to = last.min(at.line + AROUND).max(at.line);
    let width = to.to_string().len();
    if from > first {
        let _ = writeln!(block, " {:>width$} | …", "");
    }
    for line in from..=to {
        let text = places.line(line);
        let _ = writeln!(block, " {line:>width$} | {}", text.replace('\t', "    "));
        if let Some(label) = label.filter(|_| line == at.line) {
            let head: String = text.chars().take(at.column - 1).collect();
            let _ = writeln!(block, " {:>width$} | {}^ {label}", "", " ".repeat(head.replace('\t', "    ").width()));
        }
    }
    if to < last {
        let _ = writeln!(block, " {:>width$} | …", "");
    }
}

fn remarks(block: &mut String, said: &Said) {
    if let Some(ErrorPosition::Internal { position, query }) = said.position() {
        let places = Places::new(query);
        let at = places.of(Places::byte_of_char(query, (*position as usize).saturating_sub(1)));
        let line = places.line(at.line);
        let head: String = line.chars().take(at.column - 1).collect();
        let _ = writeln!(block, "   in: {}", line.replace('\t', "    "));
        let _ = writeln!(block, "       {}^", " ".repeat(head.replace('\t', "    ").width()));
    }
    let mut remark = |name: &str, text: Option<&str>| {
        let Some(text) = text else { return };
        for (index, line) in text.lines().enumerate() {
            let name = if index == 0 { format!("{name}:") } else { String::new() };
            let _ = writeln!(block, "   {name:<8} {line}");
        }
    };
    remark("detail", said.detail());
    remark("hint", said.hint());
    remark("context", said.where_());
}
