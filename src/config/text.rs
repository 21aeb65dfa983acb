//! A file's bytes → text → the TOML tree, with syntax errors in plain words.

use super::diagnostic::{Diagnostic, FileId};
use super::looked::Looked;
use super::values::place;
use std::collections::HashSet;
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;
use toml::de::{DeTable, Error};

/// The name of the files weir looks for.
pub(super) const FILE_NAME: &str = "tasks.toml";
/// Larger files are refused.
const MAX_BYTES: u64 = 16 << 20;
/// More syntax errors than this are not listed: they follow from each other.
const MAX_SYNTAX_ERRORS: usize = 20;

/// Why a file has no text.
#[derive(Debug)]
pub(super) struct Unreadable {
    /// A stable code.
    pub(super) code: &'static str,
    /// What is wrong, with the path.
    pub(super) message: String,
    /// What to do.
    pub(super) help: &'static str,
}

/// The text of a file; `shown` is its path for people.
pub(super) fn read_text(path: &Path, shown: &str, looked: &Looked) -> Result<String, Unreadable> {
    let unreadable = |why: &std::io::Error| Unreadable {
        code: "config::unreadable",
        message: format!("failed to read `{shown}`: {why}"),
        help: "see that the file exists and that you may read it",
    };
    let meta = looked.behind(path).map_err(|why| unreadable(&why))?;
    if !meta.is_file() {
        let kind = if meta.is_dir() { "a directory" } else { "no regular file" };
        return Err(Unreadable {
            code: "config::unreadable",
            message: format!("`{shown}` is {kind}, and a file is due there"),
            help: "put a file there",
        });
    }
    let file = std::fs::File::open(path).map_err(|why| unreadable(&why))?;
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len().min(MAX_BYTES)).unwrap_or(0));
    // One byte over the limit tells a larger file, even one that grew since it was looked at.
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|why| unreadable(&why))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Unreadable {
            code: "config::too-large",
            message: format!("`{shown}` is larger than 16 MiB"),
            help: "split it with `include`",
        });
    }
    String::from_utf8(bytes).map_err(|why| {
        let offset = why.utf8_error().valid_up_to();
        let line = why.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1;
        Unreadable {
            code: "config::not-utf8",
            message: format!("`{shown}` is not UTF-8: byte {offset}, on line {line}"),
            help: "save the file as UTF-8",
        }
    })
}

/// A tree and what is wrong with the text.
pub(super) struct Parsed<'i> {
    /// What could be read.
    pub(super) table: DeTable<'i>,
    /// Syntax errors.
    pub(super) errors: Vec<Diagnostic>,
    /// Where what was read stops making sense: the end, or where a list that is not closed went on.
    sound: usize,
}

/// Parses a text, going on after errors.
pub(super) fn parse(text: &str, file: FileId) -> Parsed<'_> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let table = table.into_inner();
    let sound = errors
        .iter()
        .find(|error| error.message().starts_with(IN_LIST))
        .map_or(usize::MAX, |error| line_start(text, start_of(text, error)));
    let errors = match conflict_marker(text).filter(|_| !errors.is_empty()) {
        Some(span) => vec![
            Diagnostic::error("config::syntax", place(file, span), "a merge conflict is left here")
                .help("resolve it, and remove the lines with the markers"),
        ],
        None => causes(text, &errors, sound).into_iter().map(|error| syntax_error(text, file, error)).collect(),
    };
    Parsed { table, errors, sound }
}

/// Where a line starts that only version control writes.
fn conflict_marker(text: &str) -> Option<Range<usize>> {
    let marker = "<<<<<<< ";
    let found = text.find(&format!("\n{marker}")).map(|cut| cut + 1);
    let start = found.or_else(|| text.starts_with(marker).then_some(0))?;
    Some(start..start + marker.len() - 1)
}

/// The errors that are no mere consequence of others: one for a line, one for a table declared
/// twice, one for a list that is not closed.
fn causes<'e>(text: &str, errors: &'e [Error], sound: usize) -> Vec<&'e Error> {
    let mut unsound = false;
    let mut lines = HashSet::new();
    let mut twice = 0..0;
    let mut causes = Vec::new();
    for error in errors {
        let start = start_of(text, error);
        if start >= sound {
            // The first of them says what is wrong.
            if unsound || !error.message().starts_with(IN_LIST) {
                continue;
            }
            unsound = true;
        }
        if error.message() == DUPLICATE {
            // Each key of a table declared twice is reported again; the table was.
            if twice.contains(&start) {
                continue;
            }
            if header_line(text, start).is_some() {
                twice = start + 1..next_header(text, start);
            }
        }
        if causes.len() < MAX_SYNTAX_ERRORS && lines.insert(line_start(text, start)) {
            causes.push(error);
        }
    }
    causes
}

const DUPLICATE: &str = "duplicate key";
const IN_LIST: &str = "unexpected `=` in array";

fn start_of(text: &str, error: &Error) -> usize {
    error.span().map_or(text.len(), |span| floor(text, span.start))
}

fn syntax_error(text: &str, file: FileId, error: &Error) -> Diagnostic {
    let start = start_of(text, error);
    let end = error.span().map_or(start, |span| floor(text, span.end)).max(start);
    let at = place(file, start..end);
    if error.message() == DUPLICATE {
        let name = text[start..end].trim_matches(['"', '\'']);
        let diagnostic = Diagnostic::error("config::syntax", at, format!("`{name}` is declared twice"))
            .label("declared again")
            .help("remove one of the two, or join them");
        return match earlier_header(text, start) {
            Some(first) => diagnostic.also(place(file, first), "first declared here"),
            None => diagnostic,
        };
    }
    let (message, help) = in_plain_words(error.message());
    Diagnostic::error("config::syntax", at, format!("not valid TOML: {message}")).help(help)
}

/// What the parser says, and what to do.
fn in_plain_words(message: &str) -> (&str, &'static str) {
    match message {
        "invalid basic string, expected `\"`" => ("a string is not closed", "put a `\"` at its end"),
        "invalid literal string, expected `'`" => ("a string is not closed", "put a `'` at its end"),
        text if text.starts_with("missing escaped value") => {
            ("there is no such escape in a string", "write `\\\\` for a backslash, or put the string in single quotes")
        }
        text if text.starts_with(IN_LIST) => ("a `=` in a list", "close the list above with a `]`"),
        text if text.starts_with("string values must be quoted") => {
            ("a string without quotes", "put quotes around the value")
        }
        text if text.starts_with("key with no value") => ("a key without a value", "write `key = value`"),
        text if text.starts_with("missing comma") => ("a comma is missing", "put a comma between the two"),
        text if text.starts_with("invalid unquoted key") => (text, "put quotes around the key, as in `\"db:reset\"`"),
        text if text.starts_with("missing value") => (text, "write a value, or remove the key"),
        text if text.starts_with("unclosed") => (text, "close it"),
        text if text.contains("recurs") => ("nested too deeply", "nest less deeply"),
        text => (text, "see https://toml.io for how TOML is written"),
    }
}

/// The last border between characters at or before `byte`.
fn floor(text: &str, byte: usize) -> usize {
    let mut byte = byte.min(text.len());
    while !text.is_char_boundary(byte) {
        byte -= 1;
    }
    byte
}

/// The first byte of the line that holds `start`.
fn line_start(text: &str, start: usize) -> usize {
    text[..start].rfind('\n').map_or(0, |cut| cut + 1)
}

/// Where the next `[header]` after `start` begins, or the text ends.
fn next_header(text: &str, start: usize) -> usize {
    text[start..].find("\n[").map_or(text.len(), |cut| start + cut + 1)
}

/// The `[header]` that `start` stands in, and where its line starts.
fn header_line(text: &str, start: usize) -> Option<(usize, &str)> {
    let line_start = line_start(text, start);
    let header = bare(text[line_start..].lines().next()?);
    header.starts_with('[').then_some((line_start, header))
}

/// A line without blanks and comment.
fn bare(line: &str) -> &str {
    line.split('#').next().unwrap_or("").trim()
}

/// For a `[header]` line at `start`: an earlier line with the same header.
fn earlier_header(text: &str, start: usize) -> Option<Range<usize>> {
    let (line_start, header) = header_line(text, start)?;
    let mut offset = 0;
    for earlier in text[..line_start].split_inclusive('\n') {
        let indent = earlier.len() - earlier.trim_start().len();
        if bare(earlier) == header {
            return Some(offset + indent..offset + indent + header.len());
        }
        offset += earlier.len();
    }
    None
}

/// Takes out findings that only follow from syntax errors: those on a line with one or below a
/// broken header, and those that miss something which may stand in the part that was not read.
pub(super) fn drop_followers(text: &str, parsed: &Parsed<'_>, found: &mut Vec<Diagnostic>) {
    let errors = &parsed.errors;
    if errors.is_empty() {
        return;
    }
    let mut broken: Vec<Range<usize>> = Vec::with_capacity(errors.len());
    for start in errors.iter().filter_map(|error| error.labels.first()).map(|label| label.at.start as usize) {
        let end = match header_line(text, start) {
            Some(_) => next_header(text, start),
            None => text[start..].find('\n').map_or(text.len(), |cut| start + cut),
        };
        broken.push(line_start(text, start)..end + 1);
    }
    found.retain(|diagnostic| {
        let missing = matches!(
            diagnostic.code,
            "config::empty-task" | "config::missing-key" | "config::missing-version" | "config::unknown-task"
        );
        let place = diagnostic.labels.first().map(|label| label.at.start as usize);
        !missing
            && !place.is_some_and(|place| place >= parsed.sound || broken.iter().any(|range| range.contains(&place)))
    });
}
