//! The files of a migrations folder. Knows nothing of the database they are for.

use super::error::DbError;
use crate::config::Database;
use crate::model::{Digest, WsPath};
use crate::sql::{Places, comments};
use std::path::Path;

/// Digits of a version that are too many: 18 nines fit into a `bigint`.
const TOO_LONG: usize = 19;

/// A migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// The number its name begins with.
    pub version: u64,
    /// The number as written: `0007`.
    pub number: String,
    /// What follows it, without `.sql`.
    pub description: String,
    /// Where it is.
    pub path: WsPath,
    /// What it holds, without a byte order mark.
    pub text: String,
    /// SHA-256 of the file's bytes.
    pub checksum: Digest,
    /// It carries the marker: it runs statement by statement, outside a transaction.
    pub no_tx: bool,
}

impl Migration {
    /// `0007_add_outbox`.
    pub fn name(&self) -> String {
        format!("{}_{}", self.number, self.description)
    }
}

/// The migrations of `database`, in order of their versions.
///
/// # Errors
/// The folder or a file can't be read; a name does not fit; two have the same version; there is none.
pub fn load(root: &Path, database: &Database) -> Result<Vec<Migration>, DbError> {
    let found = list(root, database)?;
    if found.is_empty() {
        let folder = &database.migrations.value;
        return Err(DbError::failed(format!("there is no migration in `{folder}`"))
            .help(format!("write one: `weir db new DESCRIPTION{}`", which(database))));
    }
    found.into_iter().map(|named| read(root, database, named)).collect()
}

/// ` --db NAME`, for commands that people are told to type; always right, if not always needed.
pub fn which(database: &Database) -> String {
    format!(" --db {}", database.key)
}

/// A file's name, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its number.
    pub version: u64,
    /// The number as written.
    pub number: String,
    /// What follows it.
    pub description: String,
    /// Where it is.
    pub path: WsPath,
}

/// The names in the folder, by version. Hidden files and Markdown are left out: they are for people.
///
/// # Errors
/// The folder can't be read; a name does not fit; two have the same version.
pub fn list(root: &Path, database: &Database) -> Result<Vec<Named>, DbError> {
    let folder = &database.migrations.value;
    let failed = |error: &std::io::Error| {
        let failed = DbError::failed(format!("failed to read the migrations folder `{folder}`: {error}"));
        match error.kind() {
            std::io::ErrorKind::NotFound => failed.help(format!(
                "write a first migration with `weir db new DESCRIPTION{}`, or set `migrations` of database `{}`",
                which(database),
                database.key
            )),
            _ => failed,
        }
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder.under(root)).map_err(|error| failed(&error))? {
        let name = entry.map_err(|error| failed(&error))?.file_name();
        if name.as_encoded_bytes().starts_with(b".") || name.as_encoded_bytes().ends_with(b".md") {
            continue;
        }
        found.push(parse(folder, name.to_str().unwrap_or("\u{fffd}"))?);
    }
    found.sort_by(|a, b| (a.version, &a.path).cmp(&(b.version, &b.path)));
    if let Some(pair) = found.windows(2).find(|pair| pair[0].version == pair[1].version) {
        let (first, second) = (&pair[0].path, &pair[1].path);
        return Err(DbError::failed(format!("`{first}` and `{second}` have the same version"))
            .help(format!("give one of them the next free number, {}", next(&found))));
    }
    Ok(found)
}

/// The number after the last one, as wide as that is.
pub fn next(found: &[Named]) -> String {
    let last = found.iter().max_by_key(|named| named.version);
    let width = last.map_or(4, |last| last.number.len());
    format!("{:0width$}", last.map_or(1, |last| last.version + 1))
}

fn parse(folder: &WsPath, name: &str) -> Result<Named, DbError> {
    let path = folder.join(name);
    let bad = |why: &str| {
        DbError::failed(format!("`{path}` is no migration: {why}")).help(
            "migrations are called NNNN_description.sql, with four digits or more; \
             put anything else (but README.md) elsewhere",
        )
    };
    let stem = name.strip_suffix(".sql").ok_or_else(|| bad("its name does not end in `.sql`"))?;
    let digits = stem.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = stem.split_at(digits);
    if digits < 4 {
        return Err(bad("its name does not begin with at least four digits"));
    }
    if digits >= TOO_LONG {
        return Err(bad("its number has more than 18 digits"));
    }
    let description = rest.strip_prefix('_').filter(|text| !text.is_empty());
    let description = description.ok_or_else(|| bad("there is no `_description` after its number"))?;
    let version = number.parse().map_err(|_| bad("its number is none"))?;
    if version == 0 {
        return Err(bad("versions begin at 1"));
    }
    Ok(Named { version, number: number.to_owned(), description: description.to_owned(), path })
}

fn read(root: &Path, database: &Database, named: Named) -> Result<Migration, DbError> {
    let Named { version, number, description, path } = named;
    let file = path.under(root);
    // A pipe would be waited for without end.
    let regular = std::fs::metadata(&file).map(|metadata| metadata.is_file());
    let bytes = match regular {
        Ok(false) => return Err(DbError::failed(format!("`{path}` is not a file"))),
        Ok(true) => std::fs::read(&file),
        Err(error) => Err(error),
    };
    let bytes = bytes.map_err(|error| DbError::failed(format!("failed to read `{path}`: {error}")))?;
    let checksum = Digest::of(&bytes);
    let text = String::from_utf8(bytes).map_err(|error| {
        let bad = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..bad].iter().filter(|byte| **byte == b'\n').count() + 1;
        DbError::failed(format!("`{path}` is not UTF-8: line {line}, byte {bad} of the file"))
            .help("save it as UTF-8; weir talks to Postgres in UTF-8 whatever the database's encoding")
    })?;
    if let Some(at) = text.find('\0') {
        let line = Places::new(&text).of(at).line;
        return Err(DbError::failed(format!("`{path}` holds a zero byte in line {line}, which no SQL can hold"))
            .help("save it as plain UTF-8"));
    }
    let text = text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned);
    let no_tx = is_marked(&text, &path, &database.no_tx_marker)?;
    Ok(Migration { version, number, description, path, text, checksum, no_tx })
}

/// Whether a comment before the first statement is the marker, a reason after it allowed.
fn is_marked(text: &str, path: &WsPath, marker: &str) -> Result<bool, DbError> {
    // Most files hold no such thing, and are not looked at twice.
    if !text.contains(marker) {
        return Ok(false);
    }
    let says = |comment: &str| {
        comment.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', ',', ':']))
    };
    let found: Vec<_> = comments(text).into_iter().filter(|comment| says(comment.text)).collect();
    match found.first() {
        None => Ok(false),
        Some(first) if first.leads => Ok(true),
        Some(first) => {
            let line = Places::new(text).of(first.at).line;
            Err(DbError::failed(format!("{path}:{line}: `-- {marker}` stands after the first statement"))
                .help("move it to the top of the file: it is about the whole file"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::At;

    fn folder(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Database) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("schema/migrations")).unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join("schema/migrations").join(name), content).unwrap();
        }
        (folder, Database::new("app", At { file: crate::config::FileId(0), start: 0, end: 0 }))
    }

    fn error(files: &[(&str, &[u8])]) -> String {
        let (folder, database) = folder(files);
        match load(folder.path(), &database).unwrap_err() {
            DbError::Failed { message, help } => format!("{message}; {}", help.unwrap_or_default()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn sorted_as_numbers() {
        let (folder, database) = folder(&[
            ("10000_b.sql", b"select 1"),
            ("9999_a.sql", "\u{feff}-- weir:no-tx, for the index\r\nselect 2;\r\n".as_bytes()),
            ("README.md", b"x"),
            (".keep", b""),
        ]);
        let all = load(folder.path(), &database).unwrap();
        let seen: Vec<_> = all.iter().map(|migration| (migration.name(), migration.no_tx)).collect();
        assert_eq!(seen, [("9999_a".to_owned(), true), ("10000_b".to_owned(), false)]);
        assert!(all[0].text.starts_with("--"), "the mark is taken off");
        assert_eq!(all[0].checksum, Digest::of("\u{feff}-- weir:no-tx, for the index\r\nselect 2;\r\n".as_bytes()));
        assert_eq!(next(&list(folder.path(), &database).unwrap()), "10001");
    }

    #[test]
    fn what_does_not_fit_is_told() {
        assert!(error(&[]).contains("there is no migration in `schema/migrations`; write one: `weir db new"));
        assert!(error(&[("1_a.sql", b"")]).contains("at least four digits"));
        assert!(error(&[("0001_a.txt", b"")]).contains("does not end in `.sql`"));
        assert!(error(&[("0001a.sql", b"")]).contains("`_description`"));
        assert!(error(&[("0000_a.sql", b"")]).contains("begin at 1"));
        assert!(error(&[("1234567890123456789_a.sql", b"")]).contains("18 digits"));
        let same = error(&[("0001_a.sql", b""), ("00001_b.sql", b"")]);
        assert!(same.contains("same version") && same.contains("next free number, 0002"), "{same}");
        assert!(error(&[("0001_a.sql", b"select 1;\n\xff")]).contains("line 2, byte 10"));
        assert!(error(&[("0001_a.sql", b"select\n\n'\0'")]).contains("zero byte in line 3"));
        assert!(error(&[("0001_a.sql", b"select 1;\n-- weir:no-tx\n")]).contains("_a.sql:2: `-- weir:no-tx` stands"));
    }

    #[test]
    fn a_marker_is_a_whole_word_in_a_comment() {
        let (folder, database) = folder(&[
            ("0001_a.sql", b"-- weir:no-txt\nselect 'weir:no-tx'"),
            ("0002_b.sql", b"/* weir:no-tx */ vacuum"),
        ]);
        let marked: Vec<_> = load(folder.path(), &database).unwrap().iter().map(|migration| migration.no_tx).collect();
        assert_eq!(marked, [false, true]);
    }
}
