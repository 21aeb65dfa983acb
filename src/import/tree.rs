//! What the other tools' files hold, read into one kind of tree: entries keep their order and, where
//! the format's reader tells it, their line.

use super::ImportError;
use saphyr::{LoadableYamlNode, MarkedYamlOwned, ScalarOwned, YamlDataOwned};
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// A value and the line it stands on; 0 where that is not known.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tree {
    pub value: Value,
    pub line: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// A number, as written.
    Number(String),
    Text(String),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

/// What stands in for what is not there.
static NOTHING: Tree = Tree { value: Value::Null, line: 0 };

impl Tree {
    pub fn map(&self) -> &[(String, Tree)] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    pub fn list(&self) -> &[Tree] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    pub fn get(&self, key: &str) -> Option<&Tree> {
        self.map().iter().find(|(name, _)| name == key).map(|(_, tree)| tree)
    }

    /// The entry, or nothing.
    pub fn at(&self, key: &str) -> &Tree {
        self.get(key).unwrap_or(&NOTHING)
    }

    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    pub fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    pub fn truth(&self) -> bool {
        self.value == Value::Bool(true)
    }

    /// A string, number or boolean as text.
    pub fn scalar(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) | Value::Number(text) => Some(text.clone()),
            Value::Bool(truth) => Some(truth.to_string()),
            _ => None,
        }
    }

    /// A list, or one value that stands for a list of one; nothing for nothing.
    pub fn one_or_more(&self) -> Vec<&Tree> {
        match &self.value {
            Value::Null => vec![],
            Value::List(items) => items.iter().collect(),
            _ => vec![self],
        }
    }

    /// The strings among [`Tree::one_or_more`].
    pub fn strings(&self) -> Vec<String> {
        self.one_or_more().into_iter().filter_map(Tree::scalar).collect()
    }

    /// As the file's reader would understand it, in a line, for a comment.
    pub fn shown(&self) -> String {
        match &self.value {
            Value::Null => "null".into(),
            Value::Bool(truth) => truth.to_string(),
            Value::Number(text) => text.clone(),
            Value::Text(text) => format!("{text:?}"),
            Value::List(items) => format!("[{}]", items.iter().map(Tree::shown).collect::<Vec<_>>().join(", ")),
            Value::Map(entries) => {
                let entries: Vec<String> =
                    entries.iter().map(|(name, tree)| format!("{name} = {}", tree.shown())).collect();
                format!("{{ {} }}", entries.join(", "))
            }
        }
    }

    /// TOML.
    pub fn toml(path: &Path, text: &str) -> Result<Self, ImportError> {
        let table = DeTable::parse(text).map_err(|error| {
            let line = error.span().map_or(0, |span| line_of(text, span.start));
            ImportError::at(path, line, error.message().to_owned(), "mend the TOML first")
        })?;
        let lines = Lines(text);
        let line = 1;
        Ok(Self { value: Value::Map(lines.entries(table.get_ref())), line })
    }

    /// JSON.
    pub fn json(path: &Path, text: &str) -> Result<Self, ImportError> {
        let value: serde_json::Value = serde_json::from_str(text)
            .map_err(|error| ImportError::at(path, error.line(), error.to_string(), "mend the JSON first"))?;
        Ok(of_json(value))
    }

    /// JSON with comments and trailing commas.
    pub fn jsonc(path: &Path, text: &str) -> Result<Self, ImportError> {
        Self::json(path, &plain_json(text))
    }

    /// YAML: its first document.
    pub fn yaml(path: &Path, text: &str) -> Result<Self, ImportError> {
        let documents = MarkedYamlOwned::load_from_str(text).map_err(|error| {
            ImportError::at(path, error.marker().line(), error.info().to_owned(), "mend the YAML first")
        })?;
        Ok(documents.into_iter().next().map_or(NOTHING.clone(), |first| of_yaml(&first)))
    }
}

/// The line that holds this byte.
fn line_of(text: &str, byte: usize) -> usize {
    text.as_bytes()[..byte.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

struct Lines<'a>(&'a str);

impl Lines<'_> {
    fn entries(&self, table: &DeTable<'_>) -> Vec<(String, Tree)> {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        entries
            .into_iter()
            .map(|(key, value)| {
                let line = line_of(self.0, key.span().start);
                (key.get_ref().clone().into_owned(), Tree { value: self.value(value.get_ref()), line })
            })
            .collect()
    }

    fn value(&self, value: &DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => Value::Text(text.clone().into_owned()),
            DeValue::Integer(number) => Value::Number(number.to_string()),
            DeValue::Float(number) => Value::Number(number.to_string()),
            DeValue::Boolean(truth) => Value::Bool(*truth),
            DeValue::Datetime(time) => Value::Text(time.to_string()),
            DeValue::Array(items) => Value::List(
                items
                    .iter()
                    .map(|item| Tree { value: self.value(item.get_ref()), line: line_of(self.0, item.span().start) })
                    .collect(),
            ),
            DeValue::Table(table) => Value::Map(self.entries(table)),
        }
    }
}

fn of_json(value: serde_json::Value) -> Tree {
    use serde_json::Value as Json;
    let value = match value {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(truth),
        Json::Number(number) => Value::Number(number.to_string()),
        Json::String(text) => Value::Text(text),
        Json::Array(items) => Value::List(items.into_iter().map(of_json).collect()),
        Json::Object(entries) => Value::Map(entries.into_iter().map(|(name, value)| (name, of_json(value))).collect()),
    };
    Tree { value, line: 0 }
}

fn of_yaml(node: &MarkedYamlOwned) -> Tree {
    let line = node.span.start.line();
    let value = match &node.data {
        YamlDataOwned::Value(ScalarOwned::Boolean(truth)) => Value::Bool(*truth),
        YamlDataOwned::Value(ScalarOwned::Integer(number)) => Value::Number(number.to_string()),
        YamlDataOwned::Value(ScalarOwned::FloatingPoint(number)) => Value::Number(number.to_string()),
        YamlDataOwned::Value(ScalarOwned::String(text)) => Value::Text(text.clone()),
        YamlDataOwned::Representation(text, ..) => Value::Text(text.clone()),
        YamlDataOwned::Sequence(items) => Value::List(items.iter().map(of_yaml).collect()),
        YamlDataOwned::Mapping(entries) => {
            Value::Map(yaml_entries(entries.iter().map(|(k, v)| (of_yaml(k), of_yaml(v)))))
        }
        YamlDataOwned::Tagged(_, inner) => return of_yaml(inner),
        YamlDataOwned::Value(ScalarOwned::Null) | YamlDataOwned::Alias(_) | YamlDataOwned::BadValue => Value::Null,
    };
    Tree { value, line }
}

/// With `<<` merged: what is named beside it wins.
fn yaml_entries(entries: impl Iterator<Item = (Tree, Tree)>) -> Vec<(String, Tree)> {
    let mut all: Vec<(String, Tree)> = Vec::new();
    let mut merged: Vec<(String, Tree)> = Vec::new();
    for (key, mut value) in entries {
        let name = key.scalar().unwrap_or_default();
        if name == "<<" {
            merged.extend(value.one_or_more().iter().flat_map(|from| from.map().to_vec()));
        } else {
            value.line = key.line;
            all.push((name, value));
        }
    }
    for (name, value) in merged {
        if !all.iter().any(|(known, _)| *known == name) {
            all.push((name, value));
        }
    }
    all
}

/// JSON with comments and trailing commas → JSON, line for line.
fn plain_json(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let taken = match c {
            '"' => {
                let mut escaped = false;
                let end = rest[1..].find(|c| {
                    let ends = c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    ends
                });
                end.map_or(rest.len(), |end| end + 2)
            }
            '/' if rest.starts_with("//") => {
                rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
                continue;
            }
            '/' if rest.starts_with("/*") => {
                let end = rest.find("*/").map_or(rest.len(), |end| end + 2);
                plain.extend(rest[..end].chars().filter(|c| *c == '\n'));
                rest = &rest[end..];
                continue;
            }
            ']' | '}' => {
                let kept = plain.trim_end().len();
                if plain[..kept].ends_with(',') {
                    plain.replace_range(kept - 1..kept, " ");
                }
                1
            }
            c => c.len_utf8(),
        };
        plain.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_trailing_commas_go() {
        let text = "{ // one, }\n \"a\": [1, 2, ], /* x\n */ \"b\\\"//\": \"/*\",\n}";
        let tree = Tree::jsonc(Path::new("x"), text).unwrap();
        assert_eq!(tree.at("a").list().len(), 2);
        assert_eq!(tree.at("b\"//").text(), Some("/*"));
    }

    #[test]
    fn yaml_keeps_order_and_merges() {
        let text = "base: &b {x: 1, y: 2}\nz:\n  <<: *b\n  y: 3\na: yes\n";
        let tree = Tree::yaml(Path::new("x"), text).unwrap();
        let names: Vec<&str> = tree.map().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["base", "z", "a"]);
        assert_eq!(tree.at("z").at("y").scalar().as_deref(), Some("3"));
        assert_eq!(tree.at("z").at("x").scalar().as_deref(), Some("1"));
        assert_eq!(tree.at("a").line, 5);
    }

    #[test]
    fn toml_keeps_order_and_lines() {
        let tree = Tree::toml(Path::new("x"), "[b]\nx = 1\n[a]\ny = ['q']\n").unwrap();
        assert_eq!(tree.map()[1].0, "a");
        assert_eq!(tree.at("a").at("y").line, 4);
        assert!(Tree::toml(Path::new("x.toml"), "a = \n").is_err());
    }
}
