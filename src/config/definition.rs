//! The text of a task's definition as it stands in its file, with its secrets masked.

use super::SourceFile;
use super::diagnostic::At;
use super::values::Value;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// What must not be shown.
pub struct Veil<'a> {
    /// A text with known secrets replaced.
    pub mask: &'a dyn Fn(&str) -> String,
    /// Whether a variable of this name holds a secret.
    pub hides: &'a dyn Fn(&str) -> bool,
}

/// The definitions in one file, which is parsed once.
pub struct Definitions<'t> {
    text: &'t str,
    /// By where the name starts: where it ends, and the task.
    tasks: BTreeMap<usize, (usize, Value<'t>)>,
}

impl<'t> Definitions<'t> {
    /// Of a file that was found valid; of another one there are none.
    pub fn new(file: &'t SourceFile) -> Self {
        let text = &*file.text;
        let tasks = DeTable::parse(text).ok().and_then(|mut root| root.get_mut().remove("tasks"));
        let tasks = match tasks.map(toml::Spanned::into_inner) {
            Some(DeValue::Table(tasks)) => {
                tasks.into_iter().map(|(name, task)| (name.span().start, (name.span().end, task))).collect()
            }
            _ => BTreeMap::new(),
        };
        Self { text, tasks }
    }

    /// That of the task whose name stands at `at`: from its header or key to its last value. Values of
    /// hidden variables, and strings that hold a secret however it is escaped, are replaced.
    pub fn of(&self, at: At, veil: &Veil<'_>) -> String {
        let (text, start) = (self.text, at.start as usize);
        let Some((name_end, task)) = self.tasks.get(&start) else { return String::new() };
        let mut found = Found { text, veil, end: *name_end, replaced: vec![] };
        found.value(task, false);
        let line = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let inline = text[line..start].contains(['{', ',']);
        let from = if inline { start } else { line };
        let mut end = found.end;
        if inline {
            end = end.max(task.span().end);
        } else {
            // A table of the same task further down does not bring in what stands between.
            let next = self.tasks.range(start + 1..).next().map(|(next, _)| *next);
            if let Some(next) = next.filter(|next| *next < end) {
                end = text[..next].rfind('\n').unwrap_or(end);
            }
            end = text[end..].find('\n').map_or(text.len(), |more| end + more);
        }
        found.replaced.sort_by_key(|(span, _)| span.start);
        let mut shown = String::new();
        let mut done = from;
        for (span, with) in &found.replaced {
            if span.start >= done && span.end <= end {
                shown.push_str(&text[done..span.start]);
                shown.push_str(with);
                done = span.end;
            }
        }
        shown.push_str(&text[done..end]);
        (veil.mask)(shown.trim_end())
    }
}

struct Found<'a> {
    text: &'a str,
    veil: &'a Veil<'a>,
    /// One past the last byte of what belongs to the task.
    end: usize,
    replaced: Vec<(Range<usize>, String)>,
}

impl Found<'_> {
    /// `variables`: the keys of this table are names of variables.
    fn value(&mut self, value: &Value<'_>, variables: bool) {
        let span = value.span();
        match value.get_ref() {
            DeValue::Table(table) => {
                for (key, value) in table {
                    self.end = self.end.max(key.span().end);
                    if variables && (self.veil.hides)(key.get_ref()) {
                        self.end = self.end.max(value.span().end);
                        self.replaced.push((value.span(), "\"***\"".to_owned()));
                    } else {
                        self.value(value, key.get_ref() == "env");
                    }
                }
                // The span of a table with a header is that of the header.
                if self.text[span.clone()].starts_with('{') {
                    self.end = self.end.max(span.end);
                }
                return;
            }
            DeValue::Array(items) => items.iter().for_each(|item| self.value(item, false)),
            DeValue::String(text) => {
                let masked = (self.veil.mask)(text);
                if masked != **text {
                    self.replaced.push((span.clone(), format!("{masked:?}")));
                }
            }
            _ => {}
        }
        self.end = self.end.max(span.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FileId;
    use crate::model::WsPath;

    fn shown(text: &str, name: &str) -> String {
        let start = text.find(name).unwrap() as u32;
        let at = At { file: FileId(0), start, end: start + name.len() as u32 };
        let file = SourceFile { path: WsPath::from_clean("tasks.toml"), text: text.into() };
        let veil = Veil {
            mask: &|text| text.replace("s3\"cret", "***").replace("plain-secret", "***"),
            hides: &|name| name == "PIN",
        };
        Definitions::new(&file).of(at, &veil)
    }

    #[test]
    fn as_it_stands() {
        let text = "version = 1\n# before\n[tasks.aa]\nrun = '''\n[x]\n''' # why\nsources = [\n  'x',\n]\n\n# of b\n[tasks.bb]\nrun = 'b'\n";
        assert_eq!(shown(text, "aa"), "[tasks.aa]\nrun = '''\n[x]\n''' # why\nsources = [\n  'x',\n]");
        assert_eq!(shown(text, "bb"), "[tasks.bb]\nrun = 'b'");
        assert_eq!(shown("[tasks.aa]\n[tasks.bb]\n", "aa"), "[tasks.aa]");
        assert_eq!(
            shown("tasks.aa.run = 'x'\ntasks.aa.quiet = true\n", "aa"),
            "tasks.aa.run = 'x'\ntasks.aa.quiet = true"
        );
        assert_eq!(shown("[tasks]\naa = { run = 'x' }\nbb = { run = 'y' }\n", "aa"), "aa = { run = 'x' }");
        assert_eq!(shown("tasks = { aa = { run = 'x' }, bb = { run = 'y' } }", "aa"), "aa = { run = 'x' }");
        let apart = "[tasks.aa]\nrun = 'a'\n[tasks.bb]\nrun = 'b'\n[tasks.aa.env]\nA = '1'\n";
        assert_eq!(shown(apart, "aa"), "[tasks.aa]\nrun = 'a'");
        assert_eq!(
            shown("[tasks.aa]\nrun = 'a'\n[tasks.aa.env]\nA = '1'\n", "aa"),
            "[tasks.aa]\nrun = 'a'\n[tasks.aa.env]\nA = '1'"
        );
    }

    #[test]
    fn without_secrets() {
        let text =
            "[tasks.aa]\nrun = \"echo s3\\u0022cret plain-secret\" # plain-secret\nenv = { PIN = 1_234, OTHER = 5 }\n";
        assert_eq!(shown(text, "aa"), "[tasks.aa]\nrun = \"echo *** ***\" # ***\nenv = { PIN = \"***\", OTHER = 5 }");
    }
}
