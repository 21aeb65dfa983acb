//! The files of a checks folder: checks with their headers, and function tests.

use super::check::{Check, Proof, Question, Severity};
use crate::config::{Database, Located, Pattern};
use crate::db::error::DbError;
use crate::model::WsPath;
use crate::sql::{Statement, split};
use std::collections::BTreeMap;
use std::path::Path;

/// Ends the name of a function test.
const TEST: &str = ".test.sql";

/// A function test.
#[derive(Debug, Clone)]
pub struct Test {
    /// Its file.
    pub path: String,
    /// All of it.
    pub text: String,
    /// Its statements.
    pub statements: Vec<Statement>,
}

/// What a checks folder holds.
#[derive(Debug, Default)]
pub struct Files {
    /// Checks, by path.
    pub checks: Vec<Check>,
    /// Function tests, by path.
    pub tests: Vec<Test>,
    /// What is wrong with which file.
    pub wrong: Vec<String>,
}

/// The `.sql` files of the folder and the folders in it, those that `chosen` covers, if it names any.
///
/// # Errors
/// The folder is named and not there; a file can't be read; nothing is chosen.
pub fn load(root: &Path, database: &Database, chosen: &[Located<Pattern>]) -> Result<Files, DbError> {
    let folder = &database.checks.value;
    let mut files = Files::default();
    // By default it need not be there; one that is named and is not there would be a gate that checks nothing.
    if !folder.under(root).is_dir() {
        let named = database.checks.at != database.at || !chosen.is_empty();
        let missing = || {
            DbError::failed(format!("there is no folder `{folder}`"))
                .help(format!("put the checks there, or set `checks` of database `{}`", database.key))
        };
        return if named { Err(missing()) } else { Ok(files) };
    }
    let paths = list(root, folder)?;
    let covers =
        |path: &WsPath, negated: bool| chosen.iter().any(|one| one.value.negated == negated && one.value.covers(path));
    let none = chosen.iter().find(|one| !one.value.negated && !paths.iter().any(|path| one.value.covers(path)));
    if let Some(none) = none {
        let pattern = none.value.full();
        return Err(DbError::failed(format!("`files` names `{pattern}`, and no `.sql` file in `{folder}` is that"))
            .help("correct the selection: what it leaves out is not checked"));
    }
    let mut ids: BTreeMap<String, WsPath> = BTreeMap::new();
    for path in paths.into_iter().filter(|path| (chosen.is_empty() || covers(path, false)) && !covers(path, true)) {
        match read(root, &path) {
            Err(why) => files.wrong.push(why),
            Ok(Read::Test(test)) => files.tests.push(test),
            Ok(Read::Check(check)) => {
                if let Some(first) = ids.insert(check.id.clone(), path.clone()) {
                    files.wrong.push(format!("{path}:1: the id `{}` is that of `{first}` too", check.id));
                }
                files.checks.push(check);
            }
        }
    }
    Ok(files)
}

fn list(root: &Path, folder: &WsPath) -> Result<Vec<WsPath>, DbError> {
    let full = folder.under(root);
    let mut paths = Vec::new();
    for entry in walkdir::WalkDir::new(&full).follow_links(true).sort_by_file_name() {
        let entry =
            entry.map_err(|error| DbError::failed(format!("failed to read the checks folder `{folder}`: {error}")))?;
        let path = entry.path().strip_prefix(&full).unwrap_or(entry.path());
        let hidden = path.components().any(|part| part.as_os_str().as_encoded_bytes().starts_with(b"."));
        if hidden || !entry.file_type().is_file() || path.extension().is_none_or(|kind| kind != "sql") {
            continue;
        }
        let path = path.to_str().ok_or_else(|| DbError::failed(format!("a name in `{folder}` is not UTF-8")))?;
        paths.push(WsPath::from_clean(format!("{folder}/{path}")));
    }
    Ok(paths)
}

enum Read {
    Check(Check),
    Test(Test),
}

fn read(root: &Path, path: &WsPath) -> Result<Read, String> {
    let bytes = std::fs::read(path.under(root)).map_err(|error| format!("failed to read `{path}`: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        format!("{path}:{}: the file is not UTF-8", good.iter().filter(|byte| **byte == b'\n').count() + 1)
    })?;
    let text = text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned);
    let statements = split(&text);
    if statements.is_empty() {
        return Err(format!("{path}:1: it holds no statement"));
    }
    if path.as_str().ends_with(TEST) {
        return Ok(Read::Test(Test { path: path.to_string(), text, statements }));
    }
    check(path, text).map(Read::Check)
}

/// Each `-- name: value` at the top, with its line; comments after it that are indented by two spaces go on with it.
fn header(text: &str) -> Vec<(String, String, usize)> {
    let mut all: Vec<(String, String, usize)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some(comment) = line.strip_prefix("--") else {
            if line.trim().is_empty() {
                continue;
            }
            break;
        };
        if let (true, Some((_, value, _))) = (comment.starts_with("  "), all.last_mut()) {
            value.push('\n');
            value.push_str(comment.trim());
            continue;
        }
        let Some((name, value)) = comment.split_once(':') else { continue };
        all.push((name.trim().to_owned(), value.trim().to_owned(), index + 1));
    }
    all
}

fn check(path: &WsPath, text: String) -> Result<Check, String> {
    let (mut id, mut title, mut severity) = (None, None, None);
    let mut proofs = Vec::new();
    for (name, value, line) in header(&text) {
        let slot = match name.as_str() {
            "id" => &mut id,
            "title" => &mut title,
            "severity" => &mut severity,
            "must-fail-after" if value.is_empty() => {
                return Err(format!("{path}:{line}: `must-fail-after` names no statement"));
            }
            "must-fail-after" => {
                proofs.push(Proof { statement: value, place: Some(format!("{path}:{line}")) });
                continue;
            }
            // Any other comment.
            _ => continue,
        };
        if slot.replace((value, line)).is_some() {
            return Err(format!("{path}:{line}: `-- {name}:` is there twice"));
        }
    }
    let need = |slot: Option<(String, usize)>, name: &str| match slot {
        Some((value, line)) if !value.is_empty() => Ok((value, line)),
        Some((_, line)) => Err(format!("{path}:{line}: `-- {name}:` is empty")),
        None => Err(format!("{path}:1: there is no `-- {name}: …` at its top")),
    };
    let (id, line) = need(id, "id")?;
    if !id.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter)) {
        return Err(format!("{path}:{line}: `{id}` is no id: letters, digits, `-`, `_` and `.`"));
    }
    let (title, _) = need(title, "title")?;
    let (severity, line) = need(severity, "severity")?;
    let severity = match severity.as_str() {
        "error" => Severity::Error,
        "warning" => Severity::Warning,
        other => return Err(format!("{path}:{line}: `{other}` is no severity: `error` or `warning`")),
    };
    Ok(Check { id, title, severity, question: Question::File { path: path.to_string(), text }, proofs })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Check, String> {
        check(&WsPath::from_clean("c/a.sql"), text.to_owned())
    }

    #[test]
    fn headers() {
        let text = "-- id: a-b\n-- title: Nothing: ever\n-- severity: warning\n--\n-- must-fail-after: insert into t\n\
                    --   values (1)\n-- must-fail-after: delete from t\n\nselect 1 -- id: no\n";
        let found = read(text).unwrap();
        assert_eq!((found.id.as_str(), found.title.as_str()), ("a-b", "Nothing: ever"));
        assert_eq!(found.severity, Severity::Warning);
        let proofs: Vec<_> = found.proofs.iter().map(|proof| proof.statement.as_str()).collect();
        assert_eq!(proofs, ["insert into t\nvalues (1)", "delete from t"]);
        assert_eq!(found.proofs[1].place.as_deref(), Some("c/a.sql:7"));
    }

    #[test]
    fn what_is_missing_is_told() {
        let whole = "-- id: a\n-- title: A\n-- severity: error\nselect 1";
        assert!(read(whole).is_ok());
        assert_eq!(read(&whole.replace("-- id: a\n", "")).unwrap_err(), "c/a.sql:1: there is no `-- id: …` at its top");
        assert_eq!(read(&whole.replace('A', "")).unwrap_err(), "c/a.sql:2: `-- title:` is empty");
        assert!(read(&whole.replace("error", "fatal")).unwrap_err().contains("c/a.sql:3: `fatal` is no severity"));
        assert!(read(&whole.replace(": a", ": a b")).unwrap_err().contains("no id"));
        assert!(read(&format!("-- id: b\n{whole}")).unwrap_err().contains("c/a.sql:2: `-- id:` is there twice"));
        assert!(read(&format!("-- must-fail-after:\n{whole}")).unwrap_err().contains("names no statement"));
    }
}
