//! YAML with lines.

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};

/// A value and the line it begins on, from 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Nothing,
    Text(String),
    List(Vec<Node>),
    /// Key, its line, value.
    Map(Vec<(String, usize, Node)>),
    /// Tags, aliases, keys that are no text.
    Odd,
}

/// The only document of a text.
///
/// # Errors
/// The line, and what is wrong there.
pub(super) fn parse(text: &str) -> Result<Node, (usize, String)> {
    let documents =
        MarkedYaml::load_from_str(text).map_err(|error| (error.marker().line().max(1), error.info().to_owned()))?;
    match &documents[..] {
        [] => Ok(Node { line: 1, value: Value::Nothing }),
        [one] => Ok(node(one)),
        [_, second, ..] => Err((second.span.start.line(), "there is more than one document".into())),
    }
}

fn node(yaml: &MarkedYaml<'_>) -> Node {
    let value = match &yaml.data {
        YamlData::Value(scalar) => scalar_value(scalar),
        YamlData::Representation(text, ..) => Value::Text(text.to_string()),
        YamlData::Sequence(items) => Value::List(items.iter().map(node).collect()),
        YamlData::Mapping(entries) => {
            let mut all = Vec::new();
            for (key, value) in entries {
                let key = node(key);
                let Value::Text(name) = key.value else { return Node { line: key.line, value: Value::Odd } };
                all.push((name, key.line, node(value)));
            }
            Value::Map(all)
        }
        YamlData::Tagged(..) | YamlData::Alias(_) | YamlData::BadValue => Value::Odd,
    };
    Node { line: yaml.span.start.line().max(1), value }
}

fn scalar_value(scalar: &Scalar<'_>) -> Value {
    match scalar {
        Scalar::Null => Value::Nothing,
        Scalar::Boolean(value) => Value::Text(value.to_string()),
        Scalar::Integer(value) => Value::Text(value.to_string()),
        Scalar::FloatingPoint(value) => Value::Text(value.to_string()),
        Scalar::String(value) => Value::Text(value.to_string()),
    }
}

impl Node {
    /// The texts of a list, or one text alone.
    pub(super) fn texts(&self) -> Option<Vec<(String, usize)>> {
        match &self.value {
            Value::Text(text) => Some(vec![(text.clone(), self.line)]),
            Value::Nothing => Some(vec![]),
            Value::List(items) => items
                .iter()
                .map(|item| match &item.value {
                    Value::Text(text) => Some((text.clone(), item.line)),
                    _ => None,
                })
                .collect(),
            _ => None,
        }
    }
}
