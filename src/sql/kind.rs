//! What matters of a statement to somebody who runs it.

use super::split::Word;

/// What matters of a statement to somebody who runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Plain,
    /// It begins or ends a transaction, or a part of one.
    Transaction,
    /// Postgres runs it outside a transaction only.
    Alone,
    /// It needs a client that sends or takes rows: `COPY … FROM STDIN`.
    Copy,
    /// It is `\…`, which is no SQL, but psql's.
    Shell,
    /// `RESET ALL` or `DISCARD`: it forgets settings of the transaction too.
    Forgets,
}

/// The kind of a statement with these words.
pub(super) fn kind_of(words: &[Word<'_>]) -> Kind {
    let at = |index: usize, keyword: &str| words.get(index).is_some_and(|word| word.is(keyword));
    let has = |keyword: &str| words.iter().any(|word| word.is(keyword));
    let Some(first) = words.first() else { return Kind::Plain };
    let opening = first.text.to_ascii_lowercase();
    match opening.as_str() {
        "begin" | "commit" | "rollback" | "abort" | "end" | "savepoint" | "release" => Kind::Transaction,
        "start" if at(1, "transaction") => Kind::Transaction,
        "prepare" if at(1, "transaction") => Kind::Transaction,
        "vacuum" => Kind::Alone,
        "create" | "drop" if at(1, "database") || at(1, "tablespace") => Kind::Alone,
        "alter" if at(1, "system") => Kind::Alone,
        "alter" if at(1, "database") && has("tablespace") => Kind::Alone,
        "create" if creates_index(words) && index_head(words).any(|word| word.is("concurrently")) => Kind::Alone,
        "drop" if at(1, "index") && at(2, "concurrently") => Kind::Alone,
        "reindex" if reindexes_alone(words) => Kind::Alone,
        "alter" if at(1, "table") && has("detach") && has("concurrently") => Kind::Alone,
        "alter" if at(1, "subscription") && has("refresh") => Kind::Alone,
        "copy" if is_followed(words, "from", "stdin") || is_followed(words, "to", "stdout") => Kind::Copy,
        "reset" if at(1, "all") => Kind::Forgets,
        // The whole of it can't be done in a transaction.
        "discard" if at(1, "all") => Kind::Alone,
        _ if first.text.starts_with('\\') => Kind::Shell,
        _ => Kind::Plain,
    }
}

fn creates_index(words: &[Word<'_>]) -> bool {
    words.get(1).is_some_and(|word| word.is("index"))
        || (words.get(1).is_some_and(|word| word.is("unique")) && words.get(2).is_some_and(|word| word.is("index")))
}

/// What stands before the table.
fn index_head<'w, 't>(words: &'w [Word<'t>]) -> impl Iterator<Item = &'w Word<'t>> {
    words.iter().take_while(|word| !word.is("on"))
}

/// `REINDEX … CONCURRENTLY`, `REINDEX (CONCURRENTLY) …`, `REINDEX SCHEMA`, `DATABASE` and `SYSTEM`.
fn reindexes_alone(words: &[Word<'_>]) -> bool {
    let head = words.iter().take(8);
    head.into_iter().any(|word| ["concurrently", "schema", "database", "system"].iter().any(|name| word.is(name)))
}

fn is_followed(words: &[Word<'_>], first: &str, second: &str) -> bool {
    words.windows(2).any(|pair| pair[0].is(first) && pair[1].is(second))
}
