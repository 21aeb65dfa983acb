//! `check.same`: one value that stands in several places is the same everywhere.

use super::frame::{Check, found, say};
use crate::config::{Pattern, Selector, ValuePlace, With};
use crate::model::{FailReason, WsPath};
use crate::node::{Context, Output, Pending};
use regex::Regex;
use saphyr::{LoadableYamlNode, Yaml, YamlLoader};
use saphyr_parser::Parser;
use std::path::Path;

/// One value that stands in several places is the same everywhere.
pub struct Same {
    places: Vec<(ValuePlace, Option<Regex>)>,
}

impl Same {
    /// None: an expression is no good, which the configuration has reported.
    pub fn new(with: &With) -> Option<Self> {
        let place = |place: &ValuePlace| {
            let regex = match &place.selector {
                Selector::Regex(text) => Some(Regex::new(text).ok()?),
                Selector::Keys(_) => None,
            };
            Some((place.clone(), regex))
        };
        Some(Self { places: with.check.values.iter().map(|value| place(&value.value)).collect::<Option<_>>()? })
    }
}

/// The values at a place: all that match, in the order of the file.
fn values(root: &Path, place: &ValuePlace, regex: Option<&Regex>) -> Result<Vec<String>, String> {
    let file = &place.file;
    let text =
        std::fs::read_to_string(file.under(root)).map_err(|error| format!("failed to read `{file}`: {error}"))?;
    let values = match (&place.selector, regex) {
        (Selector::Regex(_), Some(regex)) => {
            let group =
                |found: regex::Captures<'_>| found.get(1).or_else(|| found.get(0)).map(|m| m.as_str().to_owned());
            regex.captures_iter(&text).filter_map(group).collect()
        }
        (Selector::Keys(keys), _) => vec![by_keys(file, &text, keys)?],
        (Selector::Regex(_), None) => vec![],
    };
    if values.is_empty() { Err(format!("nothing in `{file}` matches")) } else { Ok(values) }
}

fn by_keys(file: &WsPath, text: &str, keys: &[String]) -> Result<String, String> {
    let broken = |kind: &str, why: String| format!("`{file}` is no {kind}: {}", why.lines().next().unwrap_or_default());
    let name = file.as_str();
    let value = if name.ends_with(".json") {
        let document: serde_json::Value =
            serde_json::from_str(text).map_err(|error| broken("JSON", error.to_string()))?;
        in_json(&document, keys)
    } else if name.ends_with(".yml") || name.ends_with(".yaml") {
        Yaml::load_from_str(text).map_err(|error| broken("YAML", error.to_string()))?;
        // Once more, with every scalar as it is written: `1.10` is a version, and not the number 1.1.
        let mut loader = YamlLoader::default();
        loader.early_parse(false);
        let loaded = Parser::new_from_str(text).load(&mut loader, true);
        loaded.map_err(|error| broken("YAML", error.to_string()))?;
        loader.into_documents().first().and_then(|document| in_yaml(document, keys))
    } else {
        let document: toml::Table =
            text.parse().map_err(|error: toml::de::Error| broken("TOML", error.message().to_owned()))?;
        in_toml(&toml::Value::Table(document), keys)
    };
    value.ok_or_else(|| format!("`{file}` has no single value at `{}`", keys.join(".")))
}

fn in_json(value: &serde_json::Value, keys: &[String]) -> Option<String> {
    use serde_json::Value;
    let Some((key, rest)) = keys.split_first() else {
        return match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(truth) => Some(truth.to_string()),
            _ => None,
        };
    };
    match value {
        Value::Object(fields) => in_json(fields.get(key)?, rest),
        Value::Array(items) => in_json(items.get(key.parse::<usize>().ok()?)?, rest),
        _ => None,
    }
}

fn in_toml(value: &toml::Value, keys: &[String]) -> Option<String> {
    use toml::Value;
    let Some((key, rest)) = keys.split_first() else {
        return match value {
            Value::String(text) => Some(text.clone()),
            Value::Integer(number) => Some(number.to_string()),
            Value::Float(number) => Some(number.to_string()),
            Value::Boolean(truth) => Some(truth.to_string()),
            Value::Datetime(date) => Some(date.to_string()),
            Value::Array(_) | Value::Table(_) => None,
        };
    };
    match value {
        Value::Table(fields) => in_toml(fields.get(key)?, rest),
        Value::Array(items) => in_toml(items.get(key.parse::<usize>().ok()?)?, rest),
        _ => None,
    }
}

fn in_yaml(value: &Yaml<'_>, keys: &[String]) -> Option<String> {
    let Some((key, rest)) = keys.split_first() else {
        return match value {
            Yaml::Representation(text, ..) => Some(text.to_string()),
            Yaml::Tagged(_, inner) => in_yaml(inner, keys),
            _ => None,
        };
    };
    match value {
        Yaml::Tagged(_, inner) => in_yaml(inner, keys),
        Yaml::Sequence(items) => in_yaml(items.get(key.parse::<usize>().ok()?)?, rest),
        Yaml::Mapping(fields) => {
            let named =
                |(name, _): &(&Yaml<'_>, &Yaml<'_>)| matches!(name, Yaml::Representation(text, ..) if text == key);
            in_yaml(fields.iter().find(named)?.1, rest)
        }
        _ => None,
    }
}

impl Check for Same {
    fn sources(&self) -> Option<Vec<Pattern>> {
        let file =
            |(place, _): &(ValuePlace, Option<Regex>)| Pattern::parse(&WsPath::root(), &literal(&place.file)).ok();
        self.places.iter().map(file).collect()
    }

    fn parameters(&self) -> Vec<(String, String)> {
        let numbered = |(index, (place, _)): (usize, &(ValuePlace, Option<Regex>))| {
            (format!("values[{index}]"), format!("{} {}", place.file, place.text))
        };
        self.places.iter().enumerate().map(numbered).collect()
    }

    fn run<'a>(&'a self, context: &'a Context, output: &'a mut dyn Output) -> Pending<'a, Result<(), FailReason>> {
        Box::pin(async move {
            let mut all: Vec<(&str, String)> = Vec::new();
            let mut missing = 0;
            for (place, regex) in &self.places {
                match values(&context.root, place, regex.as_ref()) {
                    Ok(values) => all.extend(values.into_iter().map(|value| (place.text.as_str(), value))),
                    Err(why) => {
                        say(output, &format!("{}: {why}", place.text));
                        missing += 1;
                    }
                }
            }
            for (place, value) in &all {
                say(output, &format!("{place}: {}", value.escape_debug()));
            }
            if missing > 0 {
                return Err(found("a value is not where it should be", "correct the place, or the file"));
            }
            if all.windows(2).any(|pair| pair[0].1 != pair[1].1) {
                return Err(found("the values differ", "make them agree; its output lists them"));
            }
            Ok(())
        })
    }
}

/// A path as a pattern that means nothing but it.
fn literal(path: &WsPath) -> String {
    let mut text = String::new();
    for character in path.as_str().chars() {
        if "*?[]{}\\!".contains(character) {
            text.push('\\');
        }
        text.push(character);
    }
    text
}
