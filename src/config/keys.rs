//! What a key is: its name, what it means, the shape of its value, an example and how it is read.
//! Reading, "did you mean", the JSON Schema and the reference all derive from tables of these.

use super::diagnostic::{At, Diagnostic, did_you_mean};
use super::values::{Entry, Reader};
use toml::de::DeTable;

/// What may be written after a key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// A string; what it holds, for people: `string`, `path`, `glob`.
    Text(&'static str),
    /// `true` or `false`.
    Bool,
    /// A whole number from 1 up.
    Count,
    /// A whole number from 0 up.
    Whole,
    /// This very number.
    Number(u32),
    /// A duration in a string.
    Duration,
    /// A string, a number or a boolean.
    Scalar,
    /// One of these strings.
    Words(&'static [&'static str]),
    /// A list of these; `true`: at least one.
    List(&'static Shape, bool),
    /// A table from names to these.
    Map(&'static Shape),
    /// A table with the keys of the scope of that name.
    Table(&'static str),
    /// Any of these.
    Any(&'static [Shape]),
}

/// A key, for people and editors.
#[derive(Debug)]
pub(super) struct KeyInfo {
    /// As written.
    pub(super) name: &'static str,
    /// One or two sentences.
    pub(super) doc: &'static str,
    /// What may follow.
    pub(super) shape: Shape,
    /// A value in TOML.
    pub(super) example: &'static str,
    /// Must be given.
    pub(super) required: bool,
    /// Where it is refused, beyond the scope itself.
    pub(super) only: Only,
}

/// A narrower place for a key than its scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Only {
    /// No narrower.
    Anywhere,
    /// The workspace's root file.
    Root,
    /// Tasks with `run` or `exec`.
    Command,
    /// Tasks with `run`, `exec` or `uses`.
    Acting,
}

/// A key and `R`, how it is read.
pub(super) struct Key<R> {
    /// What is known of it.
    pub(super) info: KeyInfo,
    /// How it is read: a function that sets a field, or a variant to match on.
    pub(super) read: R,
}

/// A reader that sets a field of a `T`.
pub(super) type Set<T> = fn(&mut T, &mut Reader<'_>, Entry<'_, '_>);

impl<R> Key<R> {
    /// A key that may be left out.
    pub(super) const fn new(
        name: &'static str,
        shape: Shape,
        example: &'static str,
        doc: &'static str,
        read: R,
    ) -> Self {
        Self { info: KeyInfo { name, doc, shape, example, required: false, only: Only::Anywhere }, read }
    }

    /// The same, required.
    pub(super) const fn required(mut self) -> Self
    where
        R: Copy,
    {
        self.info.required = true;
        self
    }

    /// The same, in a narrower place.
    pub(super) const fn only(mut self, only: Only) -> Self
    where
        R: Copy,
    {
        self.info.only = only;
        self
    }
}

/// A kind of table: where it stands and which keys it takes.
pub(super) struct Scope<R: 'static> {
    /// For messages: `a task`.
    pub(super) what: &'static str,
    /// The keys it takes.
    pub(super) keys: &'static [Key<R>],
    /// Keys that the format has and this version does not carry out.
    pub(super) unbuilt: &'static [&'static str],
}

/// A matched entry of a table.
pub(super) struct Matched<'v, 'i, R: 'static> {
    /// The key it matched.
    pub(super) key: &'static Key<R>,
    /// Where and what.
    pub(super) entry: Entry<'v, 'i>,
}

impl<R> Scope<R> {
    /// The entries of a table whose keys this scope knows, in the order they stand in the file; the
    /// others are reported, and so are required keys that are missing.
    pub(super) fn entries<'v, 'i>(
        &self,
        reader: &mut Reader<'_>,
        table: &'v DeTable<'i>,
        table_at: At,
    ) -> Vec<Matched<'v, 'i, R>> {
        let mut matched = Vec::with_capacity(table.len());
        for (name, value) in table {
            let at = reader.at(name.span());
            match self.keys.iter().find(|key| key.info.name == name.get_ref()) {
                Some(key) => matched.push(Matched { key, entry: Entry { info: &key.info, key: at, value } }),
                None => self.report_unknown(reader, name.get_ref(), at),
            }
        }
        matched.sort_by_key(|matched| matched.entry.key.start);
        for key in self.keys.iter().filter(|key| key.info.required) {
            if !matched.iter().any(|matched| matched.key.info.name == key.info.name) {
                let (what, name) = (self.what, key.info.name);
                reader.report(
                    Diagnostic::error("config::missing-key", table_at, format!("{what} needs `{name}`"))
                        .help(format!("add `{name} = {}`", key.info.example)),
                );
            }
        }
        matched
    }

    fn report_unknown(&self, reader: &mut Reader<'_>, name: &str, at: At) {
        if self.unbuilt.contains(&name) {
            let message = format!("`{name}` is not yet supported by this version of weir");
            return reader.report(
                Diagnostic::error("config::not-yet-supported", at, message).help("remove it, or use a newer weir"),
            );
        }
        let what = self.what;
        let help = did_you_mean(name, self.keys.iter().map(|key| key.info.name)).map_or_else(
            || {
                let all: Vec<&str> = self.keys.iter().map(|key| key.info.name).collect();
                if all.len() > 8 {
                    "remove it; `weir schema` lists the keys".to_owned()
                } else {
                    format!("{what} takes {}", backticked(&all))
                }
            },
            |known| format!("did you mean `{known}`?"),
        );
        reader
            .report(Diagnostic::error("config::unknown-key", at, format!("unknown key `{name}` in {what}")).help(help));
    }
}

impl<T> Scope<Set<T>> {
    /// Reads a table into `target`, key by key.
    pub(super) fn read(&self, reader: &mut Reader<'_>, table: &DeTable<'_>, table_at: At, target: &mut T) {
        for matched in self.entries(reader, table, table_at) {
            let outer = reader.about.replace(&matched.key.info);
            (matched.key.read)(target, reader, matched.entry);
            reader.about = outer;
        }
    }
}

/// `` `a`, `b` and `c` ``.
pub(super) fn backticked(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => format!("`{one}`"),
        [head @ .., last] => {
            let head: Vec<String> = head.iter().map(|name| format!("`{name}`")).collect();
            format!("{} and `{last}`", head.join(", "))
        }
    }
}
