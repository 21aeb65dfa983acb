//! A file's bytes → text → the TOML tree, with syntax errors in plain words.

use super::diagnostic::{At, Diagnostic, FileId};
use super::values::place;
use std::collections::HashSet;
use std::io::Read as _;
use std::path::Path;
use toml::de::DeTable;

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
pub(super) fn read_text(path: &Path, shown: &str) -> Result<String, Unreadable> {
    let unreadable = |why: &std::io::Error| Unreadable {
        code: "config::unreadable",
        message: format!("failed to read `{shown}`: {why}"),
        help: "see that the file exists and that you may read it",
    };
    let meta = std::fs::metadata(path).map_err(|why| unreadable(&why))?;
    if !meta.is_file() {
        let kind = if meta.is_dir() {
            "a directory"
        } else {
            "no regular file"
        };
        return Err(Unreadable {
            code: "config::unreadable",
            message: format!("`{shown}` is {kind}, and a file is due there"),
            help: "put a file there",
        });
    }
    let file = std::fs::File::open(path).map_err(|why| unreadable(&why))?;
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len().min(MAX_BYTES)).unwrap_or(0));
    // One byte over the limit tells a larger file, even one that grew since it was looked at.
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|why| unreadable(&why))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Unreadable {
            code: "config::too-large",
            message: format!("`{shown}` is larger than 16 MiB"),
            help: "split it with `include`",
        });
    }
    String::from_utf8(bytes).map_err(|why| {
        let offset = why.utf8_error().valid_up_to();
        let line = why.as_bytes()[..offset]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
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
}

/// Parses a text, going on after errors.
pub(super) fn parse(text: &str, file: FileId) -> Parsed<'_> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut seen = HashSet::new();
    let mut twice = 0..0;
    let errors = errors
        .iter()
        .filter(|error| {
            let start = error
                .span()
                .map_or(text.len(), |span| floor(text, span.start));
            if error.message() != "duplicate key" {
                return true;
            }
            if twice.contains(&start) {
                // Each key of a table declared twice is reported again; the table was.
                return false;
            }
            if header_line(text, start).is_some() {
                let end = text[start..]
                    .find("\n[")
                    .map_or(text.len(), |cut| start + cut);
                twice = start + 1..end;
            }
            true
        })
        .map(|error| syntax_error(text, file, error.message(), error.span()))
        // Recovery reports some errors once for each place that tries.
        .filter(|diagnostic| {
            diagnostic
                .labels
                .first()
                .is_none_or(|label| seen.insert(label.at))
        })
        .take(MAX_SYNTAX_ERRORS)
        .collect();
    Parsed {
        table: table.into_inner(),
        errors,
    }
}

fn syntax_error(
    text: &str,
    file: FileId,
    message: &str,
    span: Option<std::ops::Range<usize>>,
) -> Diagnostic {
    let span = span.unwrap_or(text.len()..text.len());
    let (start, end) = (
        floor(text, span.start),
        floor(text, span.end.max(span.start)),
    );
    let at = place(file, start..end);
    let found = &text[start..end];
    if message == "duplicate key" {
        let name = found.trim_matches(['"', '\'']);
        let diagnostic =
            Diagnostic::error("config::syntax", at, format!("`{name}` is declared twice"))
                .label("declared again")
                .help("remove one of the two, or join them");
        return match earlier_header(text, start) {
            Some(first) => diagnostic.also(place(file, first), "first declared here"),
            None => diagnostic,
        };
    }
    let help = match message {
        text if text.starts_with("string values must be quoted") => "put quotes around the value",
        text if text.starts_with("missing comma") => "put a comma between the two",
        text if text.starts_with("key with no value") => "write `key = value`",
        text if text.starts_with("invalid unquoted key") => {
            "put quotes around the key, as in `\"db:reset\"`"
        }
        text if text.starts_with("missing value") => "write a value, or remove the key",
        text if text.starts_with("unclosed") => "close it",
        text if text.contains("recursion") || text.contains("recurse") => "nest less deeply",
        _ => "see https://toml.io for how TOML is written",
    };
    Diagnostic::error("config::syntax", at, format!("not valid TOML: {message}")).help(help)
}

/// The last border between characters at or before `byte`.
fn floor(text: &str, byte: usize) -> usize {
    let mut byte = byte.min(text.len());
    while !text.is_char_boundary(byte) {
        byte -= 1;
    }
    byte
}

/// The `[header]` that `start` stands in, and where its line starts.
fn header_line(text: &str, start: usize) -> Option<(usize, &str)> {
    let line_start = text[..start].rfind('\n').map_or(0, |cut| cut + 1);
    let header = bare(text[line_start..].lines().next()?);
    (header.starts_with('[') && start > line_start).then_some((line_start, header))
}

/// A line without blanks and comment.
fn bare(line: &str) -> &str {
    line.split('#').next().unwrap_or("").trim()
}

/// For a `[header]` line at `start`: an earlier line with the same header.
fn earlier_header(text: &str, start: usize) -> Option<std::ops::Range<usize>> {
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

/// Takes out findings that only follow from syntax errors: those on a line with one, and those that
/// miss something which may stand in the part that could not be read.
pub(super) fn drop_followers(text: &str, errors: &[Diagnostic], found: &mut Vec<Diagnostic>) {
    if errors.is_empty() {
        return;
    }
    let breaks: Vec<usize> = text.match_indices('\n').map(|(cut, _)| cut).collect();
    let line = |at: &At| breaks.partition_point(|cut| *cut < at.start as usize);
    let places = errors.iter().filter_map(|error| error.labels.first());
    let lines: HashSet<usize> = places.map(|label| line(&label.at)).collect();
    found.retain(|diagnostic| {
        let missing = matches!(
            diagnostic.code,
            "config::empty-task"
                | "config::missing-key"
                | "config::missing-version"
                | "config::unknown-task"
        );
        !missing
            && diagnostic
                .labels
                .first()
                .is_none_or(|label| !lines.contains(&line(&label.at)))
    });
}
