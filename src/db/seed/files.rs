//! The files of a seeds folder: names, what they are loaded into, checksums. Knows no database.

use super::json;
use crate::config::{Database, Relation};
use crate::db::error::DbError;
use crate::model::{Digest, Hasher, WsPath};
use crate::sql::{Places, comments};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// In a comment at the top of an SQL seed: it may be applied again when it has changed.
const REAPPLY: &str = "weir:reapply";
const CHUNK: usize = 256 * 1024;

/// What a seed holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Statements.
    Sql(String),
    /// Comma-separated values under a header, for a table.
    Csv(Relation),
    /// A JSON object a line, for a table.
    Jsonl(Relation),
}

/// A file of the seeds folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeedFile {
    /// Its name, by which it is recorded.
    pub name: String,
    /// Where it is.
    pub path: WsPath,
    /// What it holds.
    pub content: Content,
    /// It may be applied again when it has changed.
    pub reapply: bool,
    /// SHA-256 of its bytes; of canonical JSON, line by line.
    pub checksum: Digest,
}

/// The seeds of `database`, by name. A folder that is not there holds none, if rows are declared instead.
///
/// # Errors
/// The folder or a file can't be read; a name or a content does not fit.
pub fn load(root: &Path, database: &Database) -> Result<Vec<SeedFile>, DbError> {
    let folder = &database.seeds.value;
    let failed = |error: &std::io::Error| {
        DbError::failed(format!("failed to read the seeds folder `{folder}`: {error}"))
            .help(format!("make it, or set `seeds` of database `{}`", database.key))
    };
    let entries = match std::fs::read_dir(folder.under(root)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !database.rows.is_empty() => return Ok(vec![]),
        other => other.map_err(|error| failed(&error))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(|error| failed(&error))?.file_name();
        let bytes = name.as_encoded_bytes();
        if bytes.starts_with(b".") || bytes.ends_with(b".md") {
            continue;
        }
        let name = name.to_str().map(str::to_owned);
        names.push(name.ok_or_else(|| DbError::failed(format!("a name in `{folder}` is not UTF-8")))?);
    }
    if names.is_empty() && database.rows.is_empty() {
        return Err(DbError::failed(format!("there is no seed in `{folder}`"))
            .help("put a `.sql`, `.csv` or `.jsonl` file there, or remove the task"));
    }
    names.sort_unstable();
    names.into_iter().map(|name| read(root, folder, name)).collect()
}

fn read(root: &Path, folder: &WsPath, name: String) -> Result<SeedFile, DbError> {
    let path = folder.join(&name);
    let kind = name.rsplit_once('.').map_or("", |(_, kind)| kind);
    let mut file = SeedFile {
        content: Content::Sql(String::new()),
        reapply: false,
        checksum: Digest::of(b""),
        name: name.clone(),
        path,
    };
    let table = |file: &mut SeedFile| -> Result<Relation, DbError> {
        let (table, reapply) = table_of(&name).ok_or_else(|| {
            DbError::failed(format!("`{}` names no table", file.path))
                .help("it is loaded into the table it is named after: `010_currencies.csv`, or `010_schema.table.csv`")
        })?;
        file.reapply = reapply;
        Ok(table)
    };
    match kind {
        "sql" => {
            let text = whole(root, &file.path)?;
            file.checksum = Digest::of(text.as_bytes());
            let text = text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned);
            file.reapply = is_marked(&text, &file.path)?;
            file.content = Content::Sql(text);
        }
        "csv" => {
            file.content = Content::Csv(table(&mut file)?);
            file.checksum = digest_of_text(root, &file.path)?;
        }
        "jsonl" => {
            file.content = Content::Jsonl(table(&mut file)?);
            file.checksum = digest_of_lines(root, &file.path)?;
        }
        _ => {
            return Err(DbError::failed(format!("`{}` is no seed", file.path))
                .help("seeds end in `.sql`, `.csv` or `.jsonl`; put anything else (but README.md) elsewhere"));
        }
    }
    Ok(file)
}

/// `010_schema.table.reapply.csv`: the table, and whether `.reapply` is there. The number is for the order.
fn table_of(name: &str) -> Option<(Relation, bool)> {
    let (stem, _) = name.rsplit_once('.')?;
    let (stem, reapply) = stem.strip_suffix(".reapply").map_or((stem, false), |stem| (stem, true));
    let digits = stem.bytes().take_while(u8::is_ascii_digit).count();
    let table = if digits > 0 { stem[digits..].strip_prefix('_').unwrap_or(stem) } else { stem };
    let (schema, table) = table.split_once('.').unwrap_or(("public", table));
    let fits = !schema.is_empty() && !table.is_empty() && !table.contains('.');
    fits.then(|| (Relation { schema: schema.into(), name: table.into() }, reapply))
}

fn is_marked(text: &str, path: &WsPath) -> Result<bool, DbError> {
    let says = |comment: &str| {
        comment.strip_prefix(REAPPLY).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', ',', ':']))
    };
    match comments(text).into_iter().find(|comment| says(comment.text)) {
        None => Ok(false),
        Some(found) if found.leads => Ok(true),
        Some(found) => {
            let line = Places::new(text).of(found.at).line;
            Err(DbError::failed(format!("{path}:{line}: `-- {REAPPLY}` stands after the first statement"))
                .help("move it to the top of the file: it is about the whole file"))
        }
    }
}

/// Opens a regular file: a pipe would be waited for without end.
pub fn open(root: &Path, path: &WsPath) -> Result<File, DbError> {
    let full = path.under(root);
    let failed = |error: std::io::Error| DbError::failed(format!("failed to read `{path}`: {error}"));
    if !std::fs::metadata(&full).map_err(failed)?.is_file() {
        return Err(DbError::failed(format!("`{path}` is not a file")));
    }
    File::open(full).map_err(failed)
}

/// All of a file.
pub fn whole(root: &Path, path: &WsPath) -> Result<String, DbError> {
    let mut bytes = Vec::new();
    open(root, path)?
        .read_to_end(&mut bytes)
        .map_err(|error| DbError::failed(format!("failed to read `{path}`: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        not_utf8(path, error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1)
    })?;
    match text.find('\0') {
        None => Ok(text),
        Some(at) => Err(DbError::failed(format!(
            "{path}:{}: a zero byte, which no SQL can hold",
            Places::new(&text).of(at).line
        ))),
    }
}

fn not_utf8(path: &WsPath, line: usize) -> DbError {
    DbError::failed(format!("{path}:{line}: the file is not UTF-8")).help("save it as UTF-8")
}

/// Of the bytes of a text file of any size.
fn digest_of_text(root: &Path, path: &WsPath) -> Result<Digest, DbError> {
    let mut file = open(root, path)?;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; CHUNK];
    // Of a character that was cut, what has come already.
    let (mut kept, mut line) = (0, 1);
    loop {
        let read = file
            .read(&mut buffer[kept..])
            .map_err(|error| DbError::failed(format!("failed to read `{path}`: {error}")))?;
        hasher.update(&buffer[kept..kept + read]);
        let filled = kept + read;
        let good = match std::str::from_utf8(&buffer[..filled]) {
            Ok(_) => filled,
            Err(error) if error.error_len().is_none() && read > 0 => error.valid_up_to(),
            Err(error) => {
                let lines = buffer[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
                return Err(not_utf8(path, line + lines));
            }
        };
        line += buffer[..good].iter().filter(|byte| **byte == b'\n').count();
        buffer.copy_within(good..filled, 0);
        kept = filled - good;
        if read == 0 {
            return Ok(hasher.finish());
        }
    }
}

/// Of the canonical text of each line, which must be an object with the keys of the first.
fn digest_of_lines(root: &Path, path: &WsPath) -> Result<Digest, DbError> {
    let mut hasher = Hasher::default();
    let mut lines = Objects::open(root, path)?;
    while let Some(object) = lines.next()? {
        hasher.update(json::canonical(&serde_json::Value::Object(object)).as_bytes());
        hasher.update(b"\n");
    }
    Ok(hasher.finish())
}

/// The objects of a file of JSON lines, one after the other.
pub struct Objects {
    path: WsPath,
    reader: BufReader<File>,
    line: usize,
    keys: Option<Vec<String>>,
}

impl Objects {
    /// Begins with the first.
    pub fn open(root: &Path, path: &WsPath) -> Result<Self, DbError> {
        let reader = BufReader::with_capacity(CHUNK, open(root, path)?);
        Ok(Self { path: path.clone(), reader, line: 0, keys: None })
    }

    /// The next one. All have the keys of the first.
    ///
    /// # Errors
    /// The file can't be read, or the line is no such object.
    pub fn next(&mut self) -> Result<Option<serde_json::Map<String, serde_json::Value>>, DbError> {
        let mut bytes = Vec::new();
        let read = self.reader.read_until(b'\n', &mut bytes);
        let read = read.map_err(|error| DbError::failed(format!("failed to read `{}`: {error}", self.path)))?;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        let bad = |why: String| DbError::failed(format!("{}:{}: {why}", self.path, self.line));
        let text = std::str::from_utf8(&bytes).map_err(|_| not_utf8(&self.path, self.line))?;
        let text = if self.line == 1 { text.strip_prefix('\u{feff}').unwrap_or(text) } else { text };
        let value = json::parse(text).map_err(|error| {
            let said = error.to_string();
            let said = said.split(" at line ").next().unwrap_or_default().to_owned();
            bad(format!("column {}: {said}", error.column())).help("each line is one JSON object")
        })?;
        let serde_json::Value::Object(object) = value else {
            return Err(bad("it is no JSON object".into()).help("each line is one JSON object: column and value"));
        };
        let mut keys: Vec<String> = object.keys().cloned().collect();
        keys.sort_unstable();
        match &self.keys {
            None if keys.is_empty() => return Err(bad("the object is empty".into())),
            None => self.keys = Some(keys),
            Some(first) if *first == keys => {}
            Some(first) => {
                let odd = keys.iter().find(|key| !first.contains(key));
                let missing = first.iter().find(|key| !keys.contains(key));
                let why = match (odd, missing) {
                    (Some(odd), _) => format!("the key `{odd}` is not in the first line"),
                    (None, missing) => {
                        format!("the key `{}` of the first line is missing", missing.map_or("", String::as_str))
                    }
                };
                return Err(bad(why).help("all lines have the same keys; write `null` where there is no value"));
            }
        }
        Ok(Some(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_names() {
        let of = |name: &str| table_of(name).map(|(table, again)| (format!("{}.{}", table.schema, table.name), again));
        assert_eq!(of("010_public.currencies.csv"), Some(("public.currencies".into(), false)));
        assert_eq!(of("currencies.csv"), Some(("public.currencies".into(), false)));
        assert_eq!(of("0001_ref.a_b.reapply.jsonl"), Some(("ref.a_b".into(), true)));
        assert_eq!(of("2024.csv"), Some(("public.2024".into(), false)));
        assert_eq!((of("a.b.c.csv"), of(".csv"), of("01_.csv")), (None, None, None));
    }

    #[test]
    fn a_character_that_is_cut_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("{}é\n{}", "x".repeat(CHUNK - 1), "ü".repeat(CHUNK));
        std::fs::write(folder.path().join("a.csv"), &text).unwrap();
        let path = WsPath::from_clean("a.csv");
        assert_eq!(digest_of_text(folder.path(), &path).unwrap(), Digest::of(text.as_bytes()));
        for broken in [b"a\nb\n\xc3".as_slice(), b"a\nb\n\xff x"] {
            std::fs::write(folder.path().join("a.csv"), broken).unwrap();
            let DbError::Failed { message, .. } = digest_of_text(folder.path(), &path).unwrap_err() else { panic!() };
            assert!(message.starts_with("a.csv:3: "), "{message}");
        }
    }

    #[test]
    fn lines_are_told_from_each_other_and_not_from_their_format() {
        let folder = tempfile::tempdir().unwrap();
        let digest = |text: &str| {
            std::fs::write(folder.path().join("a.jsonl"), text).unwrap();
            digest_of_lines(folder.path(), &WsPath::from_clean("a.jsonl")).map_err(|error| format!("{error:?}"))
        };
        let one = digest("{\"a\": 1.0, \"b\": null}\n{\"a\":2,\"b\":true}").unwrap();
        assert_eq!(one, digest("{\"b\":null,\"a\":1}\n{\"a\":2,\"b\":true}\n").unwrap());
        assert_ne!(one, digest("{\"b\":null,\"a\":1}\n{\"a\":3,\"b\":true}\n").unwrap());
        assert!(digest("{\"a\":1}\n{\"b\":1}").unwrap_err().contains("a.jsonl:2: the key `b` is not in the first"));
        assert!(digest("{\"a\":1}\n\n{\"a\":1}").unwrap_err().contains("a.jsonl:2:"));
        assert!(digest("[1]").unwrap_err().contains("no JSON object"));
    }
}
