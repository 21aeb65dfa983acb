//! A file streamed into the table it is named after, with COPY: it is never whole in memory.

use super::files::{Content, Objects, SeedFile, open};
use super::json;
use crate::config::Relation;
use crate::db::error::DbError;
use crate::db::mark::{literal, quoted, relation};
use crate::db::session::Session;
use crate::model::{Hasher, WsPath};
use crate::node::Output;
use bytes::Bytes;
use futures_util::SinkExt;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use tokio_postgres::CopyInSink;

const CHUNK: usize = 64 * 1024;
/// Where rows wait that may replace others.
const WAITING: &str = "pg_temp.weir_seed_rows";

/// Loads `file` in the transaction that is open; how many rows.
///
/// # Errors
/// It does not fit the table; the table's own rules refuse it; it changed since its checksum was taken.
pub async fn load(session: &Session, root: &Path, file: &SeedFile, output: &mut dyn Output) -> Result<u64, DbError> {
    let table = match &file.content {
        Content::Csv(table) | Content::Jsonl(table) => table,
        Content::Sql(_) => return Err(DbError::failed(format!("`{}` is not loaded with COPY", file.path))),
    };
    let named = relation(table);
    let there = session.row("failed to look for a table", &format!("select to_regclass({})", literal(&named))).await?;
    if there.first().is_none_or(Option::is_none) {
        let (schema, name) = (&table.schema, &table.name);
        return Err(DbError::failed(format!("{}: there is no table `{schema}.{name}`", file.path)).help(
            "a file is loaded into the table it is named after, `010_schema.table.csv`; let the task depend on the migrations",
        ));
    }
    let columns = match &file.content {
        Content::Csv(_) => header(root, &file.path)?,
        _ => keys(root, &file.path)?,
    };
    let list = columns.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    let into = if file.reapply {
        let make =
            format!("create temp table weir_seed_rows on commit drop as select {list} from {named} with no data");
        session.execute(&format!("{}:1: its columns do not fit the table", file.path), &make).await?;
        WAITING
    } else {
        named.as_str()
    };
    let format = if matches!(file.content, Content::Csv(_)) { "format csv, header true" } else { "format text" };
    let sql = format!("copy {into} ({list}) from stdin with ({format}, encoding 'UTF8')");
    let rows = stream(session, root, file, (table, &columns), &sql, output).await?;
    if file.reapply {
        replace(session, file, &named, &columns).await?;
    }
    Ok(rows)
}

async fn stream(
    session: &Session,
    root: &Path,
    file: &SeedFile,
    (table, columns): (&Relation, &[String]),
    sql: &str,
    output: &mut dyn Output,
) -> Result<u64, DbError> {
    let lists = if matches!(file.content, Content::Jsonl(_)) { lists(session, table).await? } else { BTreeSet::new() };
    let mut failed = |error: &tokio_postgres::Error| refused(file, error, output);
    let sink = session.client.copy_in::<_, Bytes>(sql).await.map_err(|error| failed(&error))?;
    let mut sink = std::pin::pin!(sink);
    let digest = match &file.content {
        Content::Csv(_) => bytes_of(root, &file.path, &mut sink).await,
        _ => lines_of(root, &file.path, (columns, &lists), &mut sink).await,
    };
    let digest = match digest {
        Ok(digest) => digest,
        Err(Broken::Sent(error)) => return Err(failed(&error)),
        Err(Broken::Here(error)) => return Err(error),
    };
    let rows = sink.finish().await.map_err(|error| failed(&error))?;
    if digest != file.checksum {
        return Err(DbError::failed(format!("`{}` changed while it was loaded", file.path)).help("run it again"));
    }
    Ok(rows)
}

/// What ended a stream early.
enum Broken {
    /// The server or the connection.
    Sent(tokio_postgres::Error),
    /// The file.
    Here(DbError),
}

type Sink<'a> = std::pin::Pin<&'a mut CopyInSink<Bytes>>;

async fn bytes_of(root: &Path, path: &WsPath, sink: &mut Sink<'_>) -> Result<crate::model::Digest, Broken> {
    let mut file = open(root, path).map_err(Broken::Here)?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; CHUNK];
    let mut first = true;
    loop {
        let read = file
            .read(&mut buffer)
            .map_err(|error| Broken::Here(DbError::failed(format!("failed to read `{path}`: {error}"))))?;
        if read == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(&buffer[..read]);
        let chunk = if first {
            buffer[..read].strip_prefix(b"\xef\xbb\xbf").unwrap_or(&buffer[..read])
        } else {
            &buffer[..read]
        };
        first = false;
        sink.feed(Bytes::copy_from_slice(chunk)).await.map_err(Broken::Sent)?;
    }
}

async fn lines_of(
    root: &Path,
    path: &WsPath,
    (columns, lists): (&[String], &BTreeSet<String>),
    sink: &mut Sink<'_>,
) -> Result<crate::model::Digest, Broken> {
    let mut hasher = Hasher::new();
    let mut lines = Objects::open(root, path).map_err(Broken::Here)?;
    let mut chunk = String::new();
    while let Some(object) = lines.next().map_err(Broken::Here)? {
        for (index, column) in columns.iter().enumerate() {
            chunk.push_str(if index > 0 { "\t" } else { "" });
            let value = object.get(column).unwrap_or(&Value::Null);
            let text = match value {
                Value::Array(items) if lists.contains(column) => Some(array(items)),
                value => json::as_column(value),
            };
            match text {
                None => chunk.push_str("\\N"),
                Some(text) => escape(&text, &mut chunk),
            }
        }
        chunk.push('\n');
        hasher.update(json::canonical(&Value::Object(object)).as_bytes());
        hasher.update(b"\n");
        if chunk.len() >= CHUNK {
            sink.feed(Bytes::from(std::mem::take(&mut chunk))).await.map_err(Broken::Sent)?;
        }
    }
    sink.feed(Bytes::from(chunk)).await.map_err(Broken::Sent)?;
    Ok(hasher.finish())
}

/// As COPY's text format wants it.
fn escape(text: &str, into: &mut String) {
    for letter in text.chars() {
        match letter {
            '\\' => into.push_str("\\\\"),
            '\n' => into.push_str("\\n"),
            '\r' => into.push_str("\\r"),
            '\t' => into.push_str("\\t"),
            other => into.push(other),
        }
    }
}

/// A JSON array as the literal of an array of Postgres.
fn array(items: &[Value]) -> String {
    let item = |value: &Value| match value {
        Value::Array(inner) => array(inner),
        value => match json::as_column(value) {
            None => "NULL".to_owned(),
            Some(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        },
    };
    format!("{{{}}}", items.iter().map(item).collect::<Vec<_>>().join(","))
}

/// The columns of a table that hold arrays.
async fn lists(session: &Session, table: &Relation) -> Result<BTreeSet<String>, DbError> {
    let sql = format!(
        "select attname from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
         where attrelid = to_regclass({}) and attnum > 0 and not attisdropped and typcategory = 'A'",
        literal(&relation(table))
    );
    let rows = session.rows("failed to look at a table's columns", &sql).await?;
    Ok(rows.into_iter().flatten().flatten().collect())
}

/// The names in the first record of a CSV file.
fn header(root: &Path, path: &WsPath) -> Result<Vec<String>, DbError> {
    let mut head = Vec::new();
    let limit = 1 << 20;
    open(root, path)?
        .take(limit)
        .read_to_end(&mut head)
        .map_err(|error| DbError::failed(format!("failed to read `{path}`: {error}")))?;
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head);
    let (mut names, mut ends) = (vec![0; text.len() + 1], vec![0; 2048]);
    let mut reader = csv_core::Reader::new();
    let (mut read, mut written, mut ended) = (0, 0, 0);
    loop {
        let (result, eaten, put, more) = reader.read_record(&text[read..], &mut names[written..], &mut ends[ended..]);
        (read, written, ended) = (read + eaten, written + put, ended + more);
        match result {
            csv_core::ReadRecordResult::InputEmpty if eaten > 0 => {}
            csv_core::ReadRecordResult::Record => break,
            _ => {
                return Err(
                    DbError::failed(format!("{path}:1: there is no header")).help("name the columns in the first line")
                );
            }
        }
    }
    let mut from = 0;
    let mut columns = Vec::new();
    for end in &ends[..ended] {
        let name = String::from_utf8_lossy(&names[from..*end]).into_owned();
        from = *end;
        if name.trim().is_empty() || columns.contains(&name) {
            let why = if name.trim().is_empty() {
                "a column of the header has no name".into()
            } else {
                format!("the header names `{name}` twice")
            };
            return Err(DbError::failed(format!("{path}:1: {why}")).help("name each column once in the first line"));
        }
        columns.push(name);
    }
    Ok(columns)
}

/// The keys of the first line of a file of JSON lines.
fn keys(root: &Path, path: &WsPath) -> Result<Vec<String>, DbError> {
    match Objects::open(root, path)?.next()? {
        Some(object) => Ok(object.keys().cloned().collect()),
        None => Err(DbError::failed(format!("`{path}` is empty")).help("write one JSON object a line, or remove it")),
    }
}

/// Puts the waiting rows in the place of those with their primary keys. Others stay.
async fn replace(session: &Session, file: &SeedFile, named: &str, columns: &[String]) -> Result<(), DbError> {
    let sql = format!(
        "select attname from pg_catalog.pg_index i
         join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
         where indrelid = to_regclass({}) and indisprimary",
        literal(named)
    );
    let rows = session.rows("failed to look for a primary key", &sql).await?;
    let key: Vec<String> = rows.into_iter().flatten().flatten().collect();
    if key.is_empty() || !key.iter().all(|name| columns.contains(name)) {
        return Err(DbError::failed(format!("{}: which rows it replaces is not known", file.path))
            .help("a seed that may be reapplied holds the columns of its table's primary key"));
    }
    let list = |names: &[String]| names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    let set: Vec<String> = columns
        .iter()
        .filter(|name| !key.contains(name))
        .map(|name| format!("{0} = excluded.{0}", quoted(name)))
        .collect();
    let act = if set.is_empty() { "nothing".to_owned() } else { format!("update set {}", set.join(", ")) };
    let (all, key) = (list(columns), list(&key));
    let sql = format!(
        "insert into {named} ({all}) select {all} from {WAITING} on conflict ({key}) do {act}; drop table {WAITING}"
    );
    session.execute(&format!("{}: its rows are refused", file.path), &sql).await
}

/// What the server said against a file, with the line.
fn refused(file: &SeedFile, error: &tokio_postgres::Error, output: &mut dyn Output) -> DbError {
    let Some(said) = error.as_db_error() else {
        return DbError::postgres(&format!("failed to load `{}`", file.path), error);
    };
    // `COPY currencies, line 3, column code: "…"`: the header counts.
    let place = said.where_().and_then(|context| context.split_once(", line ")).map(|(_, rest)| rest);
    let line = place.and_then(|rest| rest.split([',', ':']).next()?.trim().parse::<usize>().ok()).unwrap_or(1);
    for (name, text) in [("detail", said.detail()), ("context", said.where_().and_then(|text| text.lines().next()))] {
        if let Some(text) = text {
            output.bytes(format!("   {name}: {text}\n").as_bytes());
        }
    }
    let failed = DbError::failed(format!("{}:{line}: {} (SQLSTATE {})", file.path, said.message(), said.code().code()));
    match said.hint() {
        Some(hint) => failed.help(hint),
        None => failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_and_escapes() {
        let Value::Array(items) = serde_json::json!(["a\"b\\", null, 1, [true, "x,y"]]) else { panic!() };
        assert_eq!(array(&items), r#"{"a\"b\\",NULL,"1",{"true","x,y"}}"#);
        let mut text = String::new();
        escape("a\tb\\\nc", &mut text);
        assert_eq!(text, "a\\tb\\\\\\nc");
    }

    #[test]
    fn headers() {
        let folder = tempfile::tempdir().unwrap();
        let of = |text: &str| {
            std::fs::write(folder.path().join("a.csv"), text).unwrap();
            header(folder.path(), &WsPath::from_clean("a.csv")).map_err(|error| format!("{error:?}"))
        };
        assert_eq!(of("\u{feff}a,\"b,\n\"\"c\"\r\n1,2").unwrap(), ["a", "b,\n\"c"]);
        assert_eq!(of("only").unwrap(), ["only"]);
        assert!(of("").unwrap_err().contains("no header"));
        assert!(of("a,,b\n").unwrap_err().contains("no name"));
        assert!(of("a,a\n").unwrap_err().contains("twice"));
    }
}
