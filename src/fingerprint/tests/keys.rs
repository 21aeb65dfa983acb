//! Different inputs have different keys, and the explanation tells them apart too.

use crate::fingerprint::{Behind, KeyInputs, Source, SourceKind, Sources, Stat, changes, compare, explain, key_of};
use crate::model::{Digest, KeyPart, KeySink, KeyValue, Observation, PartKind, TaskName, WsPath};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Text(String),
    Content(u8, String),
    Absent,
}

/// Everything that enters a key, as plain data.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Inputs {
    /// Kind (definition or variable), name, value.
    definition: Vec<(bool, String, Value)>,
    secret: bool,
    sources: BTreeMap<String, (u8, u8, bool)>,
    observations: Vec<(bool, String, String)>,
    dependencies: BTreeMap<String, u8>,
    incarnations: BTreeMap<String, String>,
}

fn digest(seed: u8) -> Digest {
    Digest::of(&[seed])
}

fn stat(seed: u8, executable: bool) -> Stat {
    let seed = i64::from(seed);
    Stat { ino: 1, size: 1, mtime: seed, ctime: seed, mode: if executable { 0o755 } else { 0o644 } }
}

fn source(path: &str, kind: u8, seed: u8, executable: bool) -> Source {
    let kind = match kind {
        0 => SourceKind::File { digest: digest(seed) },
        1 => SourceKind::Link { target: format!("t{seed}"), behind: Behind::File(digest(seed)) },
        2 => SourceKind::Link { target: format!("t{seed}, executable"), behind: Behind::Nothing },
        _ => SourceKind::Folder,
    };
    Source { path: WsPath::from_clean(path), kind, stat: stat(0, executable) }
}

impl Inputs {
    fn with<T>(&self, read: impl FnOnce(&KeyInputs<'_>) -> T) -> T {
        let define = |sink: &mut dyn KeySink| {
            for (definition, name, value) in &self.definition {
                let kind = if *definition { PartKind::Definition } else { PartKind::Env };
                let digest = if let Value::Content(seed, _) = value { digest(*seed) } else { digest(0) };
                let value = match value {
                    Value::Text(text) if self.secret => KeyValue::Secret(text),
                    Value::Text(text) => KeyValue::Text(text),
                    Value::Content(_, note) => KeyValue::Content(&digest, note),
                    Value::Absent => KeyValue::Absent,
                };
                sink.part(kind, name, value);
            }
            Ok(())
        };
        let sources =
            Sources(self.sources.iter().map(|(path, (kind, seed, x))| source(path, *kind, *seed, *x)).collect());
        let observations: Vec<Observation> = self
            .observations
            .iter()
            .map(|(program, name, value)| Observation {
                kind: if *program { PartKind::Program } else { PartKind::Probe },
                name: name.clone(),
                value: value.clone(),
            })
            .collect();
        let names = |keys: Vec<&String>| keys.into_iter().map(TaskName::new).collect::<Vec<_>>();
        let (above, resets) = (names(self.dependencies.keys().collect()), names(self.incarnations.keys().collect()));
        let dependencies: Vec<(&TaskName, Digest)> =
            above.iter().zip(self.dependencies.values().map(|seed| digest(*seed))).collect();
        let incarnations: Vec<(&TaskName, String)> = resets.iter().zip(self.incarnations.values().cloned()).collect();
        read(&KeyInputs {
            define: &define,
            sources: &sources,
            observations: &observations,
            dependencies: &dependencies,
            incarnations: &incarnations,
        })
    }

    fn key(&self) -> Digest {
        self.with(|inputs| key_of(inputs).unwrap())
    }

    fn parts(&self) -> Vec<KeyPart> {
        self.with(|inputs| explain(inputs, "salt").unwrap())
    }

    /// What differs where it must: an executable bit counts for files and what links lead to.
    fn normal(&self) -> Self {
        let mut normal = Self { secret: false, ..self.clone() };
        for (kind, seed, executable) in normal.sources.values_mut() {
            *executable &= matches!(*kind, 0 | 1);
            *seed = if *kind > 2 { 0 } else { *seed };
        }
        normal
    }
}

/// Short texts that run into each other.
fn text() -> impl Strategy<Value = String> {
    "[ab\\x00:]{0,3}"
}

fn some_inputs() -> impl Strategy<Value = Inputs> {
    let value = prop_oneof![
        text().prop_map(Value::Text),
        (0..3u8, text()).prop_map(|(seed, note)| Value::Content(seed, note)),
        Just(Value::Absent),
    ];
    (
        prop::collection::vec((any::<bool>(), text(), value), 0..3),
        any::<bool>(),
        prop::collection::btree_map("[ab]{1,2}", (0..4u8, 0..2u8, any::<bool>()), 0..3),
        prop::collection::vec((any::<bool>(), text(), text()), 0..2),
        prop::collection::btree_map("[ab]{1,2}", 0..2u8, 0..2),
        prop::collection::btree_map("[ab]{1,2}", text(), 0..2),
    )
        .prop_map(|(definition, secret, sources, observations, dependencies, incarnations)| Inputs {
            definition,
            secret,
            sources,
            observations,
            dependencies,
            incarnations,
        })
}

/// Every name once for its kind, as it is in practice.
fn once(mut inputs: Inputs) -> Inputs {
    let mut seen = std::collections::BTreeSet::new();
    inputs.definition.sort();
    inputs.definition.retain(|(kind, name, _)| seen.insert((*kind, name.clone())));
    seen.clear();
    inputs.observations.sort();
    inputs.observations.retain(|(kind, name, _)| seen.insert((*kind, name.clone())));
    inputs
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn keys_are_equal_where_inputs_are(a in some_inputs(), b in some_inputs()) {
        prop_assert_eq!(a.key() == b.key(), a.normal() == b.normal());
        let turned = Inputs { secret: !a.secret, ..a.clone() };
        prop_assert_eq!(turned.key(), a.key());
        prop_assert_eq!(a.clone().key(), a.key());
    }

    #[test]
    fn the_explanation_differs_where_the_key_does(a in some_inputs(), b in some_inputs()) {
        let (a, b) = (once(a), once(Inputs { secret: false, ..b }));
        let a = Inputs { secret: false, ..a };
        prop_assert_eq!(compare(&a.parts(), &b.parts()).is_empty(), a.key() == b.key());
        prop_assert_eq!(compare(&a.parts(), &a.parts()), Vec::<String>::new());
    }
}

fn defined(definition: Vec<(bool, String, Value)>) -> Inputs {
    Inputs {
        definition,
        secret: false,
        sources: BTreeMap::new(),
        observations: vec![],
        dependencies: BTreeMap::new(),
        incarnations: BTreeMap::new(),
    }
}

/// Names and texts that look like the borders between parts.
#[test]
fn parts_do_not_run_into_each_other() {
    let kind = char::from(PartKind::Env as u8);
    let zeros = "\0".repeat(7);
    let absent = |name: &str| (false, name.to_owned(), Value::Absent);
    let text = |name: &str, text: &str| (false, name.to_owned(), Value::Text(text.to_owned()));
    let all = [
        vec![absent("a"), absent("b")],
        vec![absent(&format!("a-{kind}b"))],
        vec![absent(&format!("a-{kind}\u{1}{zeros}b"))],
        vec![text("a", ""), absent("b")],
        vec![absent(&format!("at\0{zeros}{kind}b"))],
        vec![text("a", &format!("{kind}\u{1}{zeros}b-"))],
        vec![text("at", "b")],
        vec![text("a", "tb")],
        vec![text("a", "b"), text("c", "d")],
        vec![text("a", &format!("b{kind}ctd"))],
    ];
    for (number, one) in all.iter().enumerate() {
        for other in &all[number + 1..] {
            assert_ne!(defined(one.clone()).key(), defined(other.clone()).key(), "{one:?} and {other:?}");
        }
    }
}

#[test]
fn a_secret_is_not_shown() {
    let mut inputs = Inputs { secret: true, ..defined(vec![(false, "TOKEN".into(), Value::Text("hunter2".into()))]) };
    let before = inputs.parts();
    assert!(!format!("{before:?}").contains("hunter2"));
    inputs.definition[0].2 = Value::Text("hunter3".into());
    let lines = compare(&before, &inputs.parts());
    assert_eq!(lines.len(), 1);
    assert!(!lines[0].contains("hunter"));
}

/// Path → kind, content, executable, time.
type Reading = BTreeMap<String, (u8, u8, bool, u8)>;

fn reading() -> impl Strategy<Value = Reading> {
    prop::collection::btree_map("[ab](/[ab])?", (0..4u8, 0..2u8, any::<bool>(), 0..2u8), 0..5)
}

fn sources(reading: &Reading) -> Sources {
    let mut all: Vec<Source> = reading
        .iter()
        .map(|(path, (kind, seed, executable, time))| Source {
            stat: stat(*time, *executable),
            ..source(path, *kind, *seed, *executable)
        })
        .collect();
    all.sort_by(|a, b| a.path.cmp(&b.path));
    Sources(all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Each path that came, went or changed has its line, and no other.
    #[test]
    fn changes_are_those_of_the_naive_comparison(before in reading(), after in reading()) {
        let (a, b) = (sources(&before), sources(&after));
        let mut expected = Vec::new();
        let paths: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for path in paths {
            let find = |sources: &Sources| sources.0.iter().find(|source| source.path.as_str() == path).cloned();
            match (find(&a), find(&b)) {
                (Some(_), None) => expected.push(format!("`{path}` was removed")),
                (None, Some(_)) => expected.push(format!("`{path}` was added")),
                (Some(old), Some(new)) => {
                    if old.kind != new.kind || old.stat.executable() != new.stat.executable() {
                        expected.push(format!("`{path}` changed"));
                    } else if old.kind != SourceKind::Folder && old.stat.mtime != new.stat.mtime {
                        expected.push(format!("`{path}` was rewritten"));
                    }
                }
                (None, None) => {}
            }
        }
        prop_assert_eq!(changes(&a, &b), expected);
    }
}
