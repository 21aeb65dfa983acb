//! JSON as seeds have it: strict (RFC 7493), and canonical (RFC 8785), so that a reformatted document is the same one.

use crate::model::Digest;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// Integers beyond it are not told apart by everybody who reads JSON.
const EXACT: u64 = (1 << 53) - 1;

/// Reads one document. Of its numbers, integers must be exact as doubles; no object names a key twice.
///
/// # Errors
/// What is wrong with it, with line and column.
pub fn parse(text: &str) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// The canonical text.
pub fn canonical(value: &Value) -> String {
    // Only what is no JSON fails, and a value is.
    serde_json_canonicalizer::to_string(value).unwrap_or_default()
}

/// SHA-256 of the canonical text.
pub fn checksum(value: &Value) -> Digest {
    Digest::of(canonical(value).as_bytes())
}

/// What a column is given for a value: none is NULL.
pub fn as_column(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Some(canonical(value)),
    }
}

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

fn inexact<E: Error>(number: impl fmt::Display) -> E {
    E::custom(format!("the number {number} is not exact as a double: write it as a string"))
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        if value.unsigned_abs() > EXACT { Err(inexact(value)) } else { Ok(value.into()) }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        if value > EXACT { Err(inexact(value)) } else { Ok(value.into()) }
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| inexact(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(Strict)? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(Strict)?;
            if all.contains_key(&key) {
                return Err(A::Error::custom(format!("the key `{key}` is there twice")));
            }
            all.insert(key, value);
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the text of RFC 8785, section 3.2.2 and 3.2.3.
    #[test]
    fn canonical_as_in_the_rfc() {
        let numbers = r#"{
            "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
            "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
            "literals": [null, true, false] }"#;
        let expected = "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
                        \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
        assert_eq!(canonical(&parse(numbers).unwrap()), expected);
        let keys = r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh",
            "1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin"}"#;
        let sorted: Vec<String> = match parse(&canonical(&parse(keys).unwrap())).unwrap() {
            Value::Object(map) => map.keys().cloned().collect(),
            other => panic!("{other}"),
        };
        assert_eq!(sorted, ["\r", "1", "\u{80}", "ö", "€", "😀", "\u{fb33}"], "by UTF-16 code units");
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        for (text, why) in [
            (r#"{"a": 1, "a": 2}"#, "there twice"),
            ("9007199254740993", "not exact"),
            ("1 2", "trailing"),
            ("", "EOF"),
            ("[1,]", "trailing comma"),
        ] {
            let said = parse(text).unwrap_err().to_string();
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
