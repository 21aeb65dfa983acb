//! The key of a node, and the explanation of it: one traversal, two sinks.

use super::walk::{Behind, Source, SourceKind, Sources};
use crate::model::{Digest, FailReason, Hasher, KeyPart, KeySink, KeyValue, Observation, PartKind, TaskName};
use rustc_hash::FxHashMap;

/// Writes a node's definition and environment to a sink.
pub type Define<'a> = dyn Fn(&mut dyn KeySink) -> Result<(), FailReason> + 'a;

/// Version of the encoding; any change to what is hashed, or how, counts it up.
const FORMAT: &str = "weir key 1";

/// What a node left behind, for its dependents' keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// This.
    Digest(Digest),
    /// Nobody knows: this task always runs (or was not recorded) and declares neither outputs nor
    /// state. Dependents run.
    Unknown(TaskName),
}

/// Everything that enters a key.
pub struct KeyInputs<'a> {
    /// Its definition and environment.
    pub define: &'a Define<'a>,
    /// Its sources.
    pub sources: &'a Sources,
    /// Programs and probes.
    pub observations: &'a [Observation],
    /// What each data dependency left behind, sorted by name.
    pub dependencies: &'a [(&'a TaskName, Digest)],
    /// The incarnations of the resets above it, sorted by name.
    pub incarnations: &'a [(&'a TaskName, String)],
}

impl KeyInputs<'_> {
    /// Writes every part to `sink`, in one fixed order.
    ///
    /// # Errors
    /// An input of the definition can't be read.
    fn traverse(&self, sink: &mut dyn KeySink) -> Result<(), FailReason> {
        sink.part(PartKind::Format, "format", KeyValue::Text(FORMAT));
        let platform = concat_platform();
        sink.part(PartKind::Format, "platform", KeyValue::Text(&platform));
        (self.define)(sink)?;
        for source in &self.sources.0 {
            source_part(source, sink);
        }
        for observation in self.observations {
            sink.part(observation.kind, &observation.name, KeyValue::Text(&observation.value));
        }
        for (name, left) in self.dependencies {
            sink.part(PartKind::Dependency, name.as_str(), KeyValue::Content(left, ""));
        }
        for (name, incarnation) in self.incarnations {
            sink.part(PartKind::Incarnation, name.as_str(), KeyValue::Text(incarnation));
        }
        Ok(())
    }
}

fn concat_platform() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

fn source_part(source: &Source, sink: &mut dyn KeySink) {
    let path = source.path.as_str();
    let executable = if source.stat.executable() { "executable" } else { "" };
    match &source.kind {
        SourceKind::File { digest } => sink.part(PartKind::Source, path, KeyValue::Content(digest, executable)),
        SourceKind::Link { target, behind } => {
            let (digest, mode) = match behind {
                Behind::File(digest) => (*digest, executable),
                Behind::Folder => (Digest::of(b""), "a folder"),
                Behind::Nothing => (Digest::of(b""), "nothing there"),
            };
            let note = format!("symlink to {target}, {mode}");
            sink.part(PartKind::Source, path, KeyValue::Content(&digest, &note));
        }
        SourceKind::Folder => {
            sink.part(PartKind::Source, path, KeyValue::Content(&Digest::of(b""), "an empty folder"));
        }
    }
}

/// Hashes parts into a key.
#[derive(Default)]
struct KeyHasher(Hasher);

impl KeySink for KeyHasher {
    fn part(&mut self, kind: PartKind, name: &str, value: KeyValue<'_>) {
        self.0.update(&[kind as u8]);
        self.0.field(name.as_bytes());
        match value {
            KeyValue::Text(text) | KeyValue::Secret(text) => {
                self.0.update(b"t");
                self.0.field(text.as_bytes());
            }
            KeyValue::Content(digest, note) => {
                self.0.update(b"c");
                self.0.update(digest.as_bytes());
                self.0.field(note.as_bytes());
            }
            KeyValue::Absent => self.0.update(b"-"),
        }
    }
}

/// Keeps parts for people.
pub struct Explainer<'a> {
    parts: Vec<KeyPart>,
    salt: &'a str,
}

/// A shown value is cut here, and then carries a digest of the whole.
const SHOWN: usize = 200;

impl KeySink for Explainer<'_> {
    fn part(&mut self, kind: PartKind, name: &str, value: KeyValue<'_>) {
        let shown = match value {
            KeyValue::Text(text) if text.len() <= SHOWN => text.to_owned(),
            KeyValue::Text(text) => {
                let cut = (0..=SHOWN).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
                format!("{}… ({})", &text[..cut], Digest::of(text.as_bytes()).short())
            }
            // Says whether it changed, and no more: without the salt a short one could be guessed.
            KeyValue::Secret(text) => {
                let mut hasher = Hasher::new();
                [self.salt, name, text].iter().for_each(|field| hasher.field(field.as_bytes()));
                format!("*** ({})", hasher.finish().short())
            }
            KeyValue::Content(digest, "") => digest.short(),
            KeyValue::Content(digest, note) => format!("{} {note}", digest.short()),
            KeyValue::Absent => "not set".into(),
        };
        let unset = matches!(value, KeyValue::Absent);
        self.parts.push(KeyPart { kind, name: name.to_owned(), shown, unset });
    }
}

/// The key.
///
/// # Errors
/// An input of the definition can't be read.
pub fn key_of(inputs: &KeyInputs<'_>) -> Result<Digest, FailReason> {
    let mut hasher = KeyHasher::default();
    inputs.traverse(&mut hasher)?;
    Ok(hasher.0.finish())
}

/// The parts of the key, for people; digests of secrets are salted with `salt`.
///
/// # Errors
/// As [`key_of`].
pub fn explain(inputs: &KeyInputs<'_>, salt: &str) -> Result<Vec<KeyPart>, FailReason> {
    let mut explainer = Explainer { parts: vec![], salt };
    inputs.traverse(&mut explainer)?;
    Ok(explainer.parts)
}

/// What differs between two keys' parts, a line each, in the order of the new one.
pub fn compare(old: &[KeyPart], new: &[KeyPart]) -> Vec<String> {
    fn index(parts: &[KeyPart]) -> FxHashMap<(PartKind, &str), &KeyPart> {
        parts.iter().map(|part| ((part.kind, part.name.as_str()), part)).collect()
    }
    let (before, after) = (index(old), index(new));
    let mut lines = Vec::new();
    for part in new {
        match before.get(&(part.kind, part.name.as_str())) {
            Some(old) if *old == part => {}
            Some(old) => lines.push(changed(part, old)),
            None => lines.push(match part.kind {
                PartKind::Source => format!("`{}` was added", part.name),
                _ => format!("{} is new", subject(part)),
            }),
        }
    }
    for part in old {
        if !after.contains_key(&(part.kind, part.name.as_str())) {
            lines.push(match part.kind {
                PartKind::Source => format!("`{}` was removed", part.name),
                _ => format!("{} is gone", subject(part)),
            });
        }
    }
    lines
}

fn subject(part: &KeyPart) -> String {
    match part.kind {
        PartKind::Format => part.name.clone(),
        PartKind::Definition => format!("`{}`", part.name),
        PartKind::Env => format!("variable `{}`", part.name),
        PartKind::Source => format!("`{}`", part.name),
        PartKind::Dependency => format!("what `{}` leaves behind", part.name),
        PartKind::Program => format!("program `{}`", part.name),
        PartKind::Probe => format!("the output of probe `{}`", part.name),
        PartKind::Live => format!("the state of {}", part.name),
        PartKind::Incarnation => format!("the state that `{}` resets", part.name),
    }
}

fn changed(part: &KeyPart, before: &KeyPart) -> String {
    let subject = subject(part);
    match part.kind {
        PartKind::Source | PartKind::Dependency | PartKind::Incarnation => format!("{subject} changed"),
        PartKind::Env
        | PartKind::Definition
        | PartKind::Program
        | PartKind::Format
        | PartKind::Probe
        | PartKind::Live => {
            // What is not set has no quotes: a variable may well hold these words.
            let value = |part: &KeyPart| match part.unset {
                true => part.shown.clone(),
                false => format!("`{}`", part.shown.replace('\n', "⏎")),
            };
            format!("{subject} changed: {} → {}", value(before), value(part))
        }
    }
}
