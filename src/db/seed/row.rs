//! Rows made from documents: `[[db.NAME.seed]]`. The whole document is read and judged before anything is written.

use super::files::whole;
use super::json;
use crate::config::{Database, Document, RowSeed};
use crate::db::error::DbError;
use crate::db::mark::{literal, quoted, relation};
use crate::db::session::Session;
use crate::model::{Digest, Hasher};
use crate::node::Outside;
use serde_json::Value;
use std::path::Path;

/// A row that must be there.
pub struct Row<'d> {
    /// Its declaration.
    pub seed: &'d RowSeed,
    /// Its values, in the order of the declaration; none is NULL.
    pub values: Vec<(&'d str, Option<String>)>,
    /// Where they are from, for people.
    pub from: String,
}

impl Row<'_> {
    /// The name by which it is recorded: `public.policy_versions[version=3]`.
    pub fn name(&self) -> String {
        let (into, key) = (&self.seed.into, &self.seed.key.value);
        format!("{}.{}[{key}={}]", into.schema, into.name, self.key())
    }

    fn key(&self) -> &str {
        let key = self.values.iter().find(|(column, _)| *column == self.seed.key.value);
        key.and_then(|(_, value)| value.as_deref()).unwrap_or_default()
    }

    /// Of its columns and values.
    pub fn checksum(&self) -> Digest {
        let mut hasher = Hasher::new();
        for (column, value) in &self.values {
            hasher.field(column.as_bytes());
            hasher.field(&[u8::from(value.is_some())]);
            hasher.field(value.as_deref().unwrap_or_default().as_bytes());
        }
        hasher.finish()
    }

    /// Whether its values may be shown: those of a variable may not be for everybody's eyes.
    fn is_open(&self) -> bool {
        matches!(self.seed.from.value, Document::Json(_))
    }
}

/// The rows that are declared.
///
/// # Errors
/// A document is missing or no JSON; a path leads to nothing.
pub fn evaluate<'d>(root: &Path, outside: &Outside, database: &'d Database) -> Result<Vec<Row<'d>>, DbError> {
    database.rows.iter().map(|seed| row(root, outside, seed)).collect()
}

fn row<'d>(root: &Path, outside: &Outside, seed: &'d RowSeed) -> Result<Row<'d>, DbError> {
    let (text, from) = match &seed.from.value {
        Document::Json(path) => (whole(root, path)?, format!("`{path}`")),
        Document::Env(name) => {
            let value = outside.get(name).filter(|value| !value.trim().is_empty());
            let missing = || {
                DbError::failed(format!("the variable `{name}` is not set, and holds the document of a seed"))
                    .help(format!("set `{name}` to the JSON document"))
            };
            (value.ok_or_else(missing)?, format!("the variable `{name}`"))
        }
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let document = json::parse(text).map_err(|error| DbError::failed(format!("{from} is not valid JSON: {error}")))?;
    let mut values = Vec::new();
    for (column, source) in &seed.row {
        let value = match source.value.as_str() {
            "sha256(jcs)" => Some(json::checksum(&document).to_hex()),
            text => match text.strip_prefix('=') {
                Some(literal) => Some(literal.to_owned()),
                None => json::as_column(at(&document, text).map_err(|why| {
                    DbError::failed(format!("{from} has nothing at `{text}`: {why}"))
                        .help(format!("column `{column}` needs it: complete the document, or mend the path"))
                })?),
            },
        };
        let empty_key = *column == seed.key.value && value.as_deref().is_none_or(str::is_empty);
        if empty_key {
            return Err(DbError::failed(format!("{from} gives the key `{column}` no value"))
                .help("rows are told apart by their key: complete the document"));
        }
        values.push((column.as_str(), value));
    }
    Ok(Row { seed, values, from })
}

/// The value at `$.name`, `$.name[0]`, `$["a name"]`.
fn at<'v>(document: &'v Value, path: &str) -> Result<&'v Value, String> {
    let mut rest = path.strip_prefix('$').ok_or("a path begins with `$`")?;
    let mut value = document;
    let mut seen = "$".to_owned();
    while !rest.is_empty() {
        let step;
        (step, rest) = step_of(rest)?;
        let next = match (&step, value) {
            (Step::Name(name), Value::Object(map)) => map.get(name).ok_or_else(|| {
                let known: Vec<String> = map.keys().take(8).map(|key| format!("`{key}`")).collect();
                format!(
                    "`{seen}` has no `{name}`, only {}",
                    if known.is_empty() { "nothing".into() } else { known.join(", ") }
                )
            })?,
            (Step::Index(index), Value::Array(items)) => {
                items.get(*index).ok_or_else(|| format!("`{seen}` has {} items", items.len()))?
            }
            (Step::Name(_), _) => return Err(format!("`{seen}` is no object")),
            (Step::Index(_), _) => return Err(format!("`{seen}` is no array")),
        };
        match step {
            Step::Name(name) => seen.push_str(&format!(".{name}")),
            Step::Index(index) => seen.push_str(&format!("[{index}]")),
        }
        value = next;
    }
    Ok(value)
}

enum Step {
    Name(String),
    Index(usize),
}

fn step_of(rest: &str) -> Result<(Step, &str), String> {
    let no_step = || format!("`{rest}` is no step of a path: write `.name`, `[0]` or `[\"a name\"]`");
    if let Some(rest) = rest.strip_prefix('.') {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        return if name.is_empty() { Err(no_step()) } else { Ok((Step::Name(name.into()), rest)) };
    }
    let inner = rest.strip_prefix('[').ok_or_else(no_step)?;
    if let Some(quoted) = inner.strip_prefix('"') {
        let (name, rest) = quoted.split_once("\"]").ok_or_else(no_step)?;
        return Ok((Step::Name(name.into()), rest));
    }
    let (index, rest) = inner.split_once(']').ok_or_else(no_step)?;
    Ok((Step::Index(index.parse().map_err(|_| no_step())?), rest))
}

/// Puts the row in, in the transaction that is open; false: it was there.
///
/// # Errors
/// A row with its key has other content; the table refuses it.
pub async fn apply(session: &Session, row: &Row<'_>) -> Result<bool, DbError> {
    let name = row.name();
    let table = relation(&row.seed.into);
    let what = format!("failed to put the row `{name}`");
    let columns: Vec<String> = row.values.iter().map(|(column, _)| quoted(column)).collect();
    let list = columns.join(", ");
    // A table of the columns' own types: what is compared went through the same casts as what is there.
    session
        .execute(
            &what,
            &format!("create temp table weir_seed_row on commit drop as select {list} from {table} with no data"),
        )
        .await?;
    let bytes = session
        .rows(
            &what,
            &format!(
                "select attname from pg_catalog.pg_attribute where attrelid = to_regclass({})
                 and atttypid = 'bytea'::regtype and not attisdropped",
                literal(&table)
            ),
        )
        .await?;
    let bytes: Vec<String> = bytes.into_iter().flatten().flatten().collect();
    let values: Vec<String> = row
        .values
        .iter()
        .zip(&row.seed.row)
        .map(|((column, value), (_, source))| match value {
            None => "null".to_owned(),
            // A checksum's hexadecimal digits, as bytes.
            Some(hex) if source.value == "sha256(jcs)" && bytes.iter().any(|name| name == column) => {
                literal(&format!("\\x{hex}"))
            }
            Some(text) => literal(text),
        })
        .collect();
    session
        .execute(&what, &format!("insert into pg_temp.weir_seed_row ({list}) values ({})", values.join(", ")))
        .await?;
    let key = quoted(&row.seed.key.value);
    let there =
        columns.iter().map(|column| format!("t.{column}::text, e.{column}::text")).collect::<Vec<_>>().join(", ");
    let sql = format!("select {there} from {table} t join pg_temp.weir_seed_row e on t.{key} = e.{key}");
    let found = session.rows(&what, &sql).await?;
    match &found[..] {
        [] => {
            let sql = format!("insert into {table} ({list}) select {list} from pg_temp.weir_seed_row");
            session.execute(&what, &sql).await?;
        }
        [cells] => differs(row, cells)?,
        several => {
            return Err(DbError::failed(format!("`{name}`: {} rows have this key", several.len()))
                .help("name a column as `key` that tells rows apart, such as the primary key"));
        }
    }
    session.execute(&what, "drop table pg_temp.weir_seed_row").await?;
    Ok(found.is_empty())
}

fn differs(row: &Row<'_>, cells: &[Option<String>]) -> Result<(), DbError> {
    let mut differences = Vec::new();
    for ((column, _), pair) in row.values.iter().zip(cells.chunks_exact(2)) {
        if pair[0] == pair[1] {
            continue;
        }
        let shown = |value: &Option<String>| match value {
            None => "NULL".to_owned(),
            Some(text) if row.is_open() && text.len() <= 200 => format!("`{text}`"),
            Some(text) => format!("sha256 {}", Digest::of(text.as_bytes()).short()),
        };
        differences.push(format!("{column} is {} there and {} here", shown(&pair[0]), shown(&pair[1])));
    }
    if differences.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the row `{}` is there with other content than {} gives: {}",
        row.name(),
        row.from,
        differences.join("; ")
    );
    Err(DbError::failed(message)
        .help("give the document a new key, or undo the change: a row that was seeded is not rewritten"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let document = serde_json::json!({"a": {"b c": [1, {"d": null}]}, "x": "y"});
        let of = |path: &str| at(&document, path).map(Value::to_string);
        assert_eq!(of("$.x").unwrap(), "\"y\"");
        assert_eq!(of("$.a[\"b c\"][1].d").unwrap(), "null");
        assert_eq!(of("$").unwrap(), document.to_string());
        assert_eq!(of("$.y").unwrap_err(), "`$` has no `y`, only `a`, `x`");
        assert_eq!(of("$.a[\"b c\"][2]").unwrap_err(), "`$.a.b c` has 2 items");
        assert!(of("$.x.y").unwrap_err().contains("no object"));
        assert!(of("$.x[0]").unwrap_err().contains("no array"));
        assert!(of("$.").unwrap_err().contains("no step"));
        assert!(of("$..x").unwrap_err().contains("no step"));
    }
}
