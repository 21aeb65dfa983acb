//! Typed values out of the TOML tree: each reader takes what it can use and notes, with its exact
//! span, what it can't. Knows no key by name.

use super::diagnostic::{At, Diagnostic, FileId, Located, did_you_mean};
use super::keys::KeyInfo;
use super::pattern::{Pattern, PatternError};
use crate::model::{WsPath, parse_duration};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value of the tree and its span.
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// A key and its value.
#[derive(Clone, Copy)]
pub(super) struct Entry<'v, 'i> {
    /// What is known of the key.
    pub(super) info: &'static KeyInfo,
    /// Where the key stands.
    pub(super) key: At,
    /// The value.
    pub(super) value: &'v Value<'i>,
}

/// What every reader of one file needs.
pub(super) struct Reader<'a> {
    /// The file.
    pub(super) file: FileId,
    /// Its folder.
    pub(super) folder: &'a WsPath,
    /// The profiles in force, weakest first.
    pub(super) profiles: &'a [String],
    /// Every profile that some file names.
    pub(super) known_profiles: &'a mut BTreeSet<String>,
    /// The key whose value is read, for an example in help.
    pub(super) about: Option<&'static KeyInfo>,
    /// What is wrong so far.
    pub(super) diagnostics: &'a mut Vec<Diagnostic>,
}

/// The kind of a value with its article, for messages.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Entries of a table in the order they stand in the file, which the tree does not keep.
pub(super) fn in_order<'v, 'i>(table: &'v DeTable<'i>) -> Vec<(&'v Spanned<std::borrow::Cow<'i, str>>, &'v Value<'i>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

impl Reader<'_> {
    /// A place in this file. Files are far smaller than 4 GiB.
    pub(super) fn at(&self, span: Range<usize>) -> At {
        place(self.file, span)
    }

    /// Notes an error at a place; the caller adds help to what is returned.
    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Whether a key was refused since `at`: what seems missing there may be what it meant.
    pub(super) fn refused_key_since(&self, at: At) -> bool {
        self.diagnostics.iter().any(|diagnostic| {
            matches!(diagnostic.code, "config::not-yet-supported" | "config::unknown-key")
                && diagnostic.labels.first().is_some_and(|label| label.at.file == at.file && label.at >= at)
        })
    }

    /// Whether anything was reported in this file since `at`.
    pub(super) fn has_errors_since(&self, at: At) -> bool {
        self.diagnostics
            .iter()
            .any(|diagnostic| diagnostic.labels.first().is_some_and(|label| label.at.file == at.file && label.at >= at))
    }

    /// Notes a value of the wrong type.
    pub(super) fn wrong_type(&mut self, value: &Value<'_>, expected: &str) {
        let at = self.at(value.span());
        let message = format!("expected {expected}, found {}", kind(value.get_ref()));
        let example = |key: &KeyInfo| format!("for example `{} = {}`", key.name, key.example);
        let help = self.about.map(example);
        self.report(Diagnostic::error("config::wrong-type", at, message).maybe_help(help));
    }

    /// A value that has the right type and is no good.
    pub(super) fn bad_value(&mut self, at: At, message: impl Into<String>, help: &str) {
        self.report(Diagnostic::error("config::bad-value", at, message).help(help));
    }

    /// A string, possibly empty; never one with a NUL, which no process can be given.
    pub(super) fn string(&mut self, value: &Value<'_>) -> Option<String> {
        self.string_ref(value).map(str::to_owned)
    }

    fn string_ref<'v>(&mut self, value: &'v Value<'_>) -> Option<&'v str> {
        let DeValue::String(text) = value.get_ref() else {
            self.wrong_type(value, "a string");
            return None;
        };
        if text.contains('\0') {
            let at = self.at(value.span());
            self.bad_value(at, "a NUL character can't be given to a process", "remove it");
            return None;
        }
        Some(text)
    }

    /// A string that says something.
    pub(super) fn text(&mut self, value: &Value<'_>) -> Option<String> {
        let text = self.string_ref(value)?;
        if text.trim().is_empty() {
            let at = self.at(value.span());
            self.bad_value(at, "an empty string", "write something here, or remove it");
            return None;
        }
        Some(text.to_owned())
    }

    /// A string that says something, and where it stands.
    pub(super) fn located(&mut self, value: &Value<'_>) -> Option<Located<String>> {
        let text = self.text(value)?;
        Some(Located::new(text, self.at(value.span())))
    }

    /// A boolean.
    pub(super) fn boolean(&mut self, value: &Value<'_>) -> Option<bool> {
        if let DeValue::Boolean(truth) = value.get_ref() {
            return Some(*truth);
        }
        self.wrong_type(value, "`true` or `false`");
        None
    }

    /// A whole number from 1 up.
    pub(super) fn count(&mut self, value: &Value<'_>) -> Option<u32> {
        let DeValue::Integer(number) = value.get_ref() else {
            self.wrong_type(value, "a positive integer");
            return None;
        };
        let parsed = u32::from_str_radix(number.as_str(), number.radix()).ok().filter(|count| *count > 0);
        if parsed.is_none() {
            let at = self.at(value.span());
            let message = format!("expected a positive integer, found `{number}`");
            self.bad_value(at, message, "write a whole number from 1 up");
        }
        parsed
    }

    /// A whole number from 0 up.
    pub(super) fn whole(&mut self, value: &Value<'_>) -> Option<u32> {
        let DeValue::Integer(number) = value.get_ref() else {
            self.wrong_type(value, "a whole number");
            return None;
        };
        let parsed = u32::from_str_radix(number.as_str(), number.radix()).ok();
        if parsed.is_none() {
            let at = self.at(value.span());
            self.bad_value(at, format!("expected a whole number, found `{number}`"), "write a whole number from 0 up");
        }
        parsed
    }

    /// A duration.
    pub(super) fn duration(&mut self, value: &Value<'_>) -> Option<Duration> {
        let DeValue::String(text) = value.get_ref() else {
            let at = self.at(value.span());
            let found = kind(value.get_ref());
            self.report(
                Diagnostic::error("config::wrong-type", at, format!("expected a duration, found {found}"))
                    .help("write a string with a unit, such as `\"30s\"` or `\"15m\"`"),
            );
            return None;
        };
        match parse_duration(text) {
            Ok(duration) => Some(duration),
            Err(why) => {
                let at = self.at(value.span());
                self.report(
                    Diagnostic::error("config::bad-duration", at, why)
                        .help("write a number and a unit: `500ms`, `30s`, `15m`, `1h 30m`"),
                );
                None
            }
        }
    }

    /// A table.
    pub(super) fn table<'v, 'i>(&mut self, value: &'v Value<'i>) -> Option<&'v DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(value, "a table");
        }
        table
    }

    /// A list; bad elements are noted and left out.
    pub(super) fn list<T>(
        &mut self,
        value: &Value<'_>,
        expected: &str,
        mut item: impl FnMut(&mut Self, &Value<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(value, expected);
            return None;
        };
        // Most elements are good: no room is left over, and none is looked for twice.
        let mut list = Vec::with_capacity(array.len());
        list.extend(array.iter().filter_map(|element| item(self, element)));
        Some(list)
    }

    /// A list, or a single string that stands for a list of one.
    pub(super) fn strings<T>(
        &mut self,
        value: &Value<'_>,
        mut item: impl FnMut(&mut Self, &Value<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        if value.get_ref().is_str() {
            return Some(item(self, value).into_iter().collect());
        }
        self.list(value, "a string or a list of strings", item)
    }

    /// A list that must not be empty; `what` names the thing.
    pub(super) fn not_empty<T>(&mut self, value: &Value<'_>, what: &str, list: Vec<T>) -> Option<Vec<T>> {
        if list.is_empty() {
            // Elements that were no good have been reported, and the list was not empty then.
            if value.get_ref().as_array().is_some_and(|array| array.is_empty()) {
                let at = self.at(value.span());
                self.bad_value(at, format!("{what} is empty"), "write at least one element, or remove the key");
            }
            return None;
        }
        Some(list)
    }

    /// One of a closed list of words.
    pub(super) fn choice<T: Copy>(&mut self, value: &Value<'_>, words: &[(&str, T)]) -> Option<T> {
        let all = || words.iter().map(|(word, _)| format!("`\"{word}\"`")).collect::<Vec<_>>().join(" or ");
        let DeValue::String(text) = value.get_ref() else {
            self.wrong_type(value, &all());
            return None;
        };
        let found = words.iter().find(|(word, _)| *word == text.as_ref()).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let at = self.at(value.span());
            let help = did_you_mean(text, words.iter().map(|(word, _)| *word))
                .map_or_else(|| format!("write {}", all()), |word| format!("did you mean `{word}`?"));
            self.bad_value(at, format!("expected {}, found `{text}`", all()), &help);
        }
        found
    }

    /// Why a path is refused.
    fn path_error(&mut self, at: At, raw: &str, why: &impl std::fmt::Display) {
        self.report(
            Diagnostic::error("config::bad-path", at, format!("`{raw}` is {why}"))
                .help("write a path inside the workspace, relative to the folder of this file"),
        );
    }

    /// A path inside the workspace, relative to the file's folder.
    pub(super) fn path(&mut self, value: &Value<'_>) -> Option<WsPath> {
        let raw = self.text(value)?;
        match WsPath::resolve(self.folder, &raw) {
            Ok(path) => Some(path),
            Err(why) => {
                let at = self.at(value.span());
                self.path_error(at, &raw, &why);
                None
            }
        }
    }

    /// A path or a glob inside the workspace, relative to the file's folder.
    pub(super) fn pattern(&mut self, value: &Value<'_>) -> Option<Located<Pattern>> {
        let raw = self.string_ref(value)?;
        let at = self.at(value.span());
        match Pattern::parse(self.folder, raw) {
            Ok(pattern) => return Some(Located::new(pattern, at)),
            Err(PatternError::Path(why)) => self.path_error(at, raw, &why),
            Err(PatternError::Glob(why)) => self.report(
                Diagnostic::error("config::bad-glob", at, format!("`{raw}` is no valid glob: {why}"))
                    .help("`*`, `?`, `**`, `[…]` and `{a,b}` have a meaning; a `\\` before one takes it away"),
            ),
            Err(PatternError::Empty) => {
                self.bad_value(at, "an empty pattern", "write a path or a glob, `.` for the folder itself");
            }
        }
        None
    }

    /// The name of an environment variable; `wildcard`: a `*` may end it.
    pub(super) fn variable(&mut self, name: &str, at: At, wildcard: bool) -> bool {
        let stem = if wildcard { name.strip_suffix('*').unwrap_or(name) } else { name };
        let bare_star = wildcard && name == "*";
        if bare_star || is_variable(stem) {
            return true;
        }
        let help = if wildcard {
            "use letters, digits and `_`, not starting with a digit; a `*` may end it"
        } else {
            "use letters, digits and `_`, not starting with a digit"
        };
        self.report(
            Diagnostic::error("config::bad-variable", at, format!("`{name}` is no name of an environment variable"))
                .help(help),
        );
        false
    }

    /// Names of environment variables, with their places.
    pub(super) fn variables(&mut self, value: &Value<'_>, wildcard: bool) -> Option<Vec<Located<String>>> {
        self.strings(value, |reader, element| {
            let name = reader.located(element)?;
            reader.variable(&name.value, name.at, wildcard).then_some(name)
        })
    }

    /// A table of environment variables; numbers and booleans become strings.
    pub(super) fn env(&mut self, value: &Value<'_>) -> Option<BTreeMap<String, String>> {
        let table = self.table(value)?;
        let mut env = BTreeMap::new();
        for (key, value) in table {
            let at = self.at(key.span());
            if !self.variable(key.get_ref(), at, false) {
                continue;
            }
            let text = match value.get_ref() {
                DeValue::Integer(number) => Some(
                    i128::from_str_radix(number.as_str(), number.radix())
                        .map_or_else(|_| number.to_string(), |number| number.to_string()),
                ),
                DeValue::Float(number) => Some(number.as_str().to_owned()),
                DeValue::Boolean(truth) => Some(truth.to_string()),
                DeValue::String(_) => self.string(value),
                _ => {
                    self.wrong_type(value, "a string, a number or a boolean");
                    None
                }
            };
            if let Some(text) = text {
                env.insert(key.get_ref().clone().into_owned(), text);
            }
        }
        Some(env)
    }
}

/// A place in a file.
pub(super) fn place(file: FileId, span: Range<usize>) -> At {
    let cut = |byte: usize| u32::try_from(byte).unwrap_or(u32::MAX);
    At { file, start: cut(span.start), end: cut(span.end) }
}

/// Letters, digits and `_`, not starting with a digit.
fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
