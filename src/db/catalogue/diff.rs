//! The difference between two descriptions: for people, lines by object; for machines, JSON.

use super::{Catalogue, Object};
use serde::Serialize;
use std::collections::BTreeMap;

/// What differs of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// How.
    #[serde(flatten)]
    pub change: Change,
}

/// How an object differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// Only the second has it.
    Added,
    /// Only the first has it.
    Removed,
    /// Both have it, and these attributes differ.
    Changed {
        /// Attribute → its value in the first and in the second; none where it has none.
        attributes: BTreeMap<String, (Option<String>, Option<String>)>,
    },
}

/// From `first` to `second`, by kind and name. What is part of an object that is new or gone is not named again.
pub fn diff(first: &Catalogue, second: &Catalogue) -> Vec<Difference> {
    let mut all = Vec::new();
    let mut objects: Vec<&Object> = first.keys().chain(second.keys()).collect();
    objects.sort_unstable();
    objects.dedup();
    for object in objects {
        let change = match (first.get(object), second.get(object)) {
            (None, Some(_)) if !is_part(object, second, first) => Change::Added,
            (Some(_), None) if !is_part(object, first, second) => Change::Removed,
            (Some(old), Some(new)) if old != new => Change::Changed { attributes: attributes(old, new) },
            _ => continue,
        };
        all.push(Difference { kind: object.kind.clone(), name: object.name.clone(), change });
    }
    all
}

/// Whether it is a part of a relation that only `with` has.
fn is_part(object: &Object, with: &Catalogue, without: &Catalogue) -> bool {
    let whole = match object.kind.as_str() {
        "column" => object.name.rsplit_once('.').map(|(relation, _)| relation),
        "constraint" | "trigger" | "policy" | "rule" => object.name.rsplit_once(" on ").map(|(_, relation)| relation),
        _ => None,
    };
    let is = |catalogue: &Catalogue, name: &str| {
        ["table", "view", "materialized view", "foreign table", "type"]
            .iter()
            .any(|kind| catalogue.contains_key(&Object { kind: (*kind).to_owned(), name: name.to_owned() }))
    };
    whole.is_some_and(|whole| is(with, whole) && !is(without, whole))
}

fn attributes(
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) -> BTreeMap<String, (Option<String>, Option<String>)> {
    let names = old.keys().chain(new.keys());
    let pair = |name: &String| (old.get(name).cloned(), new.get(name).cloned());
    names.map(|name| (name.clone(), pair(name))).filter(|(_, (old, new))| old != new).collect()
}

impl Difference {
    /// Some lines for people, the first without indentation.
    pub fn lines(&self) -> String {
        let (kind, name) = (&self.kind, &self.name);
        match &self.change {
            Change::Added => format!("+ {kind} {name}\n"),
            Change::Removed => format!("- {kind} {name}\n"),
            Change::Changed { attributes } => {
                let mut out = format!("~ {kind} {name}\n");
                for (attribute, (old, new)) in attributes {
                    out.push_str(&format!("    {attribute}:\n"));
                    let (old, new) = (old.as_deref().unwrap_or_default(), new.as_deref().unwrap_or_default());
                    out.push_str(&changed_lines(old, new));
                }
                out
            }
        }
    }
}

/// The lines that differ, after what both begin with and before what both end with.
fn changed_lines(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let mut out = String::new();
    for (sign, lines) in [('-', &old[head..old.len() - tail]), ('+', &new[head..new.len() - tail])] {
        for line in lines {
            out.push_str(&format!("      {sign} {line}\n"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue(objects: &[(&str, &str, &str)]) -> Catalogue {
        let object = |(kind, name, value): &(&str, &str, &str)| {
            let object = Object { kind: (*kind).into(), name: (*name).into() };
            (object, BTreeMap::from([("definition".to_owned(), (*value).to_owned())]))
        };
        objects.iter().map(object).collect()
    }

    #[test]
    fn by_object() {
        let first = catalogue(&[("table", "p.a", "x"), ("column", "p.a.b", "x"), ("function", "p.f()", "a\nb\nc\nd")]);
        let second = catalogue(&[("table", "p.z", "x"), ("column", "p.z.b", "x"), ("function", "p.f()", "a\nB\nc\nd")]);
        let text: String = diff(&first, &second).iter().map(Difference::lines).collect();
        assert_eq!(text, "~ function p.f()\n    definition:\n      - b\n      + B\n- table p.a\n+ table p.z\n");
        assert!(diff(&first, &first).is_empty());
        let json = serde_json::to_value(&diff(&first, &second)[0]).unwrap();
        assert_eq!(json["change"], "changed");
        assert_eq!(json["attributes"]["definition"][1], "a\nB\nc\nd");
    }
}
