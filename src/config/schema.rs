//! The JSON Schema of a `tasks.toml`, from the tables of keys.

use super::keys::{Key, KeyInfo, Scope, Shape};
use super::{
    check_keys, database_keys, edges, entries, proof_keys, remote, scopes, service, soak, structural, task_keys, uses,
};
use serde_json::{Map, Value, json};

/// A scope, whatever its keys are read by.
pub(super) struct Described {
    /// The name that [`Shape::Table`] refers to.
    pub(super) name: &'static str,
    /// How the reference heads its table.
    pub(super) heading: &'static str,
    /// Its keys.
    pub(super) keys: Vec<&'static KeyInfo>,
}

fn described<R>(name: &'static str, heading: &'static str, scope: &'static Scope<R>) -> Described {
    let infos = |key: &'static Key<R>| &key.info;
    Described { name, heading, keys: scope.keys.iter().map(infos).collect() }
}

/// Every scope, the whole file first.
pub(super) fn all_scopes() -> Vec<Described> {
    vec![
        described("file", "Top level", &scopes::FILE),
        described("settings", "`[settings]`", &scopes::SETTINGS),
        described("policy", "`[policy]`", &scopes::POLICY),
        described("structural", "`[structural]`", &structural::STRUCTURAL),
        described("remote", "`[remote]`", &remote::REMOTE),
        described("profile", "`[profile.NAME]`", &scopes::PROFILE),
        described("task", "`[tasks.NAME]`", &task_keys::TASK),
        described("dependency", "An entry of `depends` or `sequence`", &edges::DEPENDENCY),
        described("cleanup", "An entry of `depends_post`", &edges::CLEANUP),
        described("argument", "An entry of `args`", &entries::ARGUMENT),
        described("retry", "`retry`", &entries::RETRY),
        described("poll", "`poll`", &entries::POLL),
        described("soak", "`soak`", &soak::SOAK),
        described("gate-of-task", "`gate` of a task", &entries::GATE),
        described("artifacts", "`artifacts`", &entries::ARTIFACTS),
        described("expect", "`expect`", &entries::EXPECT),
        described("service", "`service`", &service::SERVICE),
        described("ready", "`ready` of a service", &service::READY),
        described("database-use", "`database` of a task", &database_keys::DATABASE_USE),
        described("db.migrate", "`with` of `db.migrate`", &uses::MIGRATE),
        described("db.baseline", "`with` of `db.baseline`", &uses::BASELINE),
        described("db.gate", "`with` of `db.gate` and `db.lint`", &uses::FILES),
        described("check.graph", "`with` of `check.graph`", &check_keys::GRAPH),
        described("check.drift", "`with` of `check.drift`", &check_keys::DRIFT),
        described("check.forbid", "`with` of `check.forbid`", &check_keys::FORBID),
        described("allowance", "An entry of `allow` of `check.forbid`", &check_keys::ALLOWANCE),
        described("check.same", "`with` of `check.same`", &check_keys::SAME),
        described("check.exists", "`with` of `check.exists`", &check_keys::EXISTS),
        described("check.branch", "`with` of `check.branch`", &check_keys::BRANCH),
        described("check.cochange", "`with` of `check.cochange`", &check_keys::COCHANGE),
        described("db.up", "`with` of the other `db.*` nodes", &uses::DB_ONLY),
        described("database", "`[db.NAME]`", &database_keys::DB),
        described("docker", "`docker` of a database", &database_keys::DOCKER),
        described("gate", "`[db.NAME.gate]`", &database_keys::GATE),
        described("role", "`[db.NAME.gate.roles.ROLE]`", &database_keys::ROLE),
        described("login", "`[db.NAME.roles.ROLE]`", &database_keys::LOGIN),
        described("row", "`[[db.NAME.seed]]`", &database_keys::ROW),
        described("document", "`from` of a seed", &database_keys::DOCUMENT),
        described("rule.structural", "`with` of `rule.structural`", &structural::RULE),
        described("proof.crash", "`with` of `proof.crash`", &proof_keys::CRASH),
        described("settle", "`settle` of `proof.crash`", &proof_keys::SETTLE),
        described("after", "`after` of `proof.crash`", &proof_keys::AIM),
    ]
}

/// The JSON Schema (draft 2020-12) of a `tasks.toml`, with descriptions for hover texts.
pub fn tasks_schema() -> Value {
    let all = all_scopes();
    let headings: Vec<(&str, String)> = all.iter().map(|scope| (scope.name, heading(scope, &all))).collect();
    let mut scopes = all.into_iter();
    let mut schema = Map::new();
    schema.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".into(), json!("tasks.toml"));
    schema.insert("description".into(), json!("The tasks of a weir workspace."));
    if let Some(file) = scopes.next() {
        schema.append(&mut table(&file));
    }
    let mut defs: Map<String, Value> =
        scopes.map(|scope| (scope.name.to_owned(), Value::Object(table(&scope)))).collect();
    for (name, heading) in headings {
        if let Some(def) = defs.get_mut(name) {
            def["description"] = json!(heading);
        }
    }
    schema.insert("$defs".into(), Value::Object(defs));
    Value::Object(schema)
}

/// What a table is: editors show this, and not what stands beside a reference to it.
fn heading(scope: &Described, all: &[Described]) -> String {
    let refers = |shape: &Shape| match shape {
        Shape::Table(name) | Shape::Map(Shape::Table(name)) => *name == scope.name,
        _ => false,
    };
    let mut keys = all.iter().flat_map(|scope| &scope.keys);
    keys.find(|key| refers(&key.shape)).map_or_else(|| format!("{}.", scope.heading), |key| key.doc.to_owned())
}

/// An example, which stands in the documents as TOML, as JSON.
fn example(text: &str) -> Option<Value> {
    let table: toml::Table = toml::from_str(&format!("example = {text}")).ok()?;
    serde_json::to_value(table.get("example")?).ok()
}

/// Says of the first kind of a list's items what the list is for.
fn describe_items(list: &mut Map<String, Value>, doc: &Value) {
    if let Some(first) = list.get_mut("items").and_then(|items| items.get_mut("anyOf")?.get_mut(0)) {
        first["description"] = doc.clone();
    }
}

fn table(scope: &Described) -> Map<String, Value> {
    let properties: Map<String, Value> = scope
        .keys
        .iter()
        .map(|key| {
            let mut shape = shape(&key.shape);
            shape.insert("description".into(), json!(key.doc));
            if let Some(example) = example(key.example) {
                shape.insert("examples".into(), json!([example]));
            }
            // Taplo shows the texts of three schemas at most: first those of a list's items, last that of the whole.
            let doc = json!(key.doc);
            if let Some(Value::Array(any)) = shape.get_mut("anyOf") {
                if any.len() > 2 {
                    any[0]["description"] = doc.clone();
                }
                any.iter_mut().filter_map(Value::as_object_mut).for_each(|one| describe_items(one, &doc));
            }
            describe_items(&mut shape, &doc);
            (key.name.to_owned(), Value::Object(shape))
        })
        .collect();
    let required: Vec<&str> = scope.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    let mut table = Map::new();
    table.insert("type".into(), json!("object"));
    table.insert("additionalProperties".into(), json!(false));
    table.insert("properties".into(), Value::Object(properties));
    if !required.is_empty() {
        table.insert("required".into(), json!(required));
    }
    table
}

fn shape(of: &Shape) -> Map<String, Value> {
    let value = match of {
        Shape::Text(_) => json!({ "type": "string" }),
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Count => json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX }),
        Shape::Whole => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        Shape::Number(number) => json!({ "const": number }),
        Shape::Duration => {
            json!({ "type": "string", "pattern": "^\\s*([0-9]+\\s*[a-zA-Zµ]+\\s*)+$" })
        }
        Shape::Scalar => json!({ "type": ["string", "number", "boolean"] }),
        Shape::Words(words) => json!({ "type": "string", "enum": words }),
        Shape::List(item, false) => json!({ "type": "array", "items": shape(item) }),
        Shape::List(item, true) => json!({ "type": "array", "items": shape(item), "minItems": 1 }),
        Shape::Map(item) => json!({ "type": "object", "additionalProperties": shape(item) }),
        Shape::Table(scope) => json!({ "$ref": format!("#/$defs/{scope}") }),
        Shape::Any(shapes) => json!({ "anyOf": shapes.iter().map(shape).collect::<Vec<_>>() }),
    };
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_text_to_hover_and_an_example() {
        let schema = tasks_schema();
        let tables = schema["$defs"].as_object().unwrap().values().chain([&schema]);
        let mut keys = 0;
        for table in tables {
            assert!(table["description"].as_str().is_some_and(|text| text.len() > 5), "{table:#}");
            for (name, key) in table["properties"].as_object().unwrap() {
                keys += 1;
                assert!(key["description"].as_str().is_some_and(|text| text.ends_with('.')), "`{name}`: {key:#}");
                assert!(!key["examples"][0].is_null(), "`{name}` has no example: {key:#}");
                let any = key["anyOf"].as_array();
                assert!(any.is_none_or(|any| any.len() < 3 || any[0]["description"] == key["description"]), "`{name}`");
            }
        }
        assert!(keys > 70, "{keys}");
    }
}
