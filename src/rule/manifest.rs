//! The invariants manifest: what it says, and whether it is true of the graph.

use super::covers::Cover;
use super::exception::Exceptions;
use super::facts::{Case, Profiled};
use super::finding::{Change, Finding, Kind, Violation};
use super::yaml::{self, Node, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Keys of an entry, in the order they are shown.
const KEYS: [&str; 6] = ["id", "title", "status", "covers", "enforced_by", "verified_by"];
const SCHEMA_HELP: &str =
    "an entry has `id`, `title`, `status`, `covers`, `enforced_by` and `verified_by`; see docs/structural-rule.md";

/// What the manifest says.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    /// In the order they stand.
    pub(super) invariants: Vec<Invariant>,
    /// Ids that were given up, and are never used again.
    pub(super) retired: BTreeSet<String>,
}

/// An invariant.
#[derive(Debug, Clone)]
pub(super) struct Invariant {
    pub(super) id: String,
    pub(super) line: usize,
    pub(super) title: String,
    pub(super) implemented: bool,
    pub(super) covers: Vec<(String, usize)>,
    pub(super) enforced_by: Vec<(String, usize)>,
    pub(super) verified_by: Vec<(String, usize)>,
    globs: Vec<Cover>,
}

impl Invariant {
    /// Whether it covers what was found.
    pub(super) fn covers(&self, finding: &Finding) -> bool {
        self.globs.iter().any(|cover| cover.covers(finding))
    }

    /// All it says, wherever it stands.
    fn content(&self) -> impl PartialEq + use<> {
        let texts = |all: &[(String, usize)]| all.iter().map(|(text, _)| text.clone()).collect::<Vec<_>>();
        (self.title.clone(), self.implemented, texts(&self.covers), texts(&self.enforced_by), texts(&self.verified_by))
    }
}

/// `INV-` and three digits or more.
pub(super) fn is_id(text: &str) -> bool {
    text.strip_prefix("INV-").is_some_and(|rest| rest.len() >= 3 && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

impl Manifest {
    /// Reads a manifest; what is wrong with it as line and message.
    ///
    /// # Errors
    /// Everything that is wrong with its form.
    pub fn parse(text: &str) -> Result<Self, Vec<(usize, String)>> {
        let root = yaml::parse(text).map_err(|(line, why)| vec![(line, format!("it is no YAML: {why}"))])?;
        let mut wrong = Vec::new();
        let mut manifest = Self::default();
        let Value::Map(entries) = root.value else {
            return Err(vec![(root.line, "it has no list `invariants`".into())]);
        };
        if !entries.iter().any(|(key, ..)| key == "invariants") {
            wrong.push((1, "it has no list `invariants`".into()));
        }
        for (key, line, node) in entries {
            match (key.as_str(), node.value) {
                ("invariants", Value::Nothing) => {}
                ("invariants", Value::List(items)) => {
                    let read = items.iter().filter_map(|item| invariant(item, &mut wrong));
                    manifest.invariants = read.collect();
                }
                ("retired", value) => match (Node { line, value }).texts() {
                    Some(ids) => {
                        wrong.extend(ids.iter().filter(|(id, _)| !is_id(id)).map(not_an_id));
                        manifest.retired = ids.into_iter().map(|(id, _)| id).collect();
                    }
                    None => wrong.push((line, "`retired` is a list of ids".into())),
                },
                ("version", Value::Text(version)) if version == "1" => {}
                ("invariants", _) => wrong.push((line, "`invariants` is a list".into())),
                ("version", _) => wrong.push((line, "the version is 1".into())),
                (other, _) => wrong.push((line, format!("unknown key `{other}`"))),
            }
        }
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for invariant in &manifest.invariants {
            if let Some(first) = seen.insert(&invariant.id, invariant.line) {
                wrong.push((invariant.line, format!("`{}` stands here and on line {first}", invariant.id)));
            }
            if manifest.retired.contains(&invariant.id) {
                wrong.push((invariant.line, format!("`{}` was retired, and is never used again", invariant.id)));
            }
        }
        if wrong.is_empty() { Ok(manifest) } else { Err(wrong) }
    }

    pub(super) fn get(&self, id: &str) -> Option<&Invariant> {
        self.invariants.iter().find(|invariant| invariant.id == id)
    }

    /// The ids of entries that are new here or say something else than before.
    pub(super) fn updated(&self, before: Option<&Self>) -> BTreeSet<String> {
        let same = |invariant: &&Invariant| {
            let was = before.and_then(|before| before.get(&invariant.id));
            was.is_some_and(|was| was.content() == invariant.content())
        };
        self.invariants.iter().filter(|invariant| !same(invariant)).map(|invariant| invariant.id.clone()).collect()
    }
}

/// The files that a manifest's `enforced_by` mentions.
pub fn mentioned_files(text: &str) -> Vec<String> {
    let manifest = Manifest::parse(text).unwrap_or_default();
    let all = manifest.invariants.iter().flat_map(|invariant| &invariant.enforced_by);
    all.filter_map(|(text, _)| as_file(text)).map(str::to_owned).collect()
}

/// `src/a.rs`, and `src/a.rs: what it does there`.
fn as_file(text: &str) -> Option<&str> {
    let path = text.split([' ', '#']).next()?.trim_end_matches(':');
    (path.contains('/') && !path.contains(':')).then_some(path)
}

fn not_an_id((id, line): &(String, usize)) -> (usize, String) {
    (*line, format!("`{id}` is no id: write `INV-` and three digits or more"))
}

fn invariant(item: &Node, wrong: &mut Vec<(usize, String)>) -> Option<Invariant> {
    let Value::Map(entries) = &item.value else {
        wrong.push((item.line, "an invariant is a table with `id`, `title` and more".into()));
        return None;
    };
    let before = wrong.len();
    for (key, line, _) in entries.iter().filter(|(key, ..)| !KEYS.contains(&key.as_str())) {
        wrong.push((*line, format!("unknown key `{key}` in an invariant")));
    }
    let find = |name: &str| entries.iter().find(|(key, ..)| key == name).map(|(.., node)| node);
    let mut text = |name: &str| match find(name).map(|node| (&node.value, node.line)) {
        Some((Value::Text(text), _)) if !text.trim().is_empty() => text.clone(),
        other => {
            let line = other.map_or(item.line, |(_, line)| line);
            wrong.push((line, format!("an invariant needs `{name}`, a text")));
            String::new()
        }
    };
    let (id, title, status) = (text("id"), text("title"), text("status"));
    let mut list = |name: &str| match find(name).map(|node| (node.texts(), node.line)) {
        Some((Some(texts), _)) => texts,
        Some((None, line)) => {
            wrong.push((line, format!("`{name}` is a list of texts")));
            vec![]
        }
        None => vec![],
    };
    let (covers, enforced_by, verified_by) = (list("covers"), list("enforced_by"), list("verified_by"));
    if !id.is_empty() && !is_id(&id) {
        wrong.push(not_an_id(&(id.clone(), item.line)));
    }
    let implemented = status == "implemented";
    if !implemented && status != "roadmap" && !status.is_empty() {
        wrong.push((item.line, format!("`{id}`: the status is `implemented` or `roadmap`, and not `{status}`")));
    }
    let mut globs = Vec::new();
    for (cover, line) in &covers {
        match Cover::parse(cover) {
            Ok(cover) => globs.push(cover),
            Err(why) => wrong.push((*line, format!("`{id}`: {why}"))),
        }
    }
    if implemented {
        for (name, list) in [("covers", &covers), ("enforced_by", &enforced_by), ("verified_by", &verified_by)] {
            if list.is_empty() {
                wrong.push((item.line, format!("`{id}` is implemented, and `{name}` is empty")));
            }
        }
    } else if !verified_by.is_empty() {
        wrong.push((item.line, format!("`{id}` is on the roadmap, and claims to be verified")));
    }
    let whole = wrong.len() == before;
    whole.then_some(Invariant { id, line: item.line, title, implemented, covers, enforced_by, verified_by, globs })
}

/// What both sides' manifests are.
pub(super) struct Read {
    pub(super) before: Option<Manifest>,
    pub(super) after: Option<Manifest>,
    pub(super) violations: Vec<Violation>,
}

/// Reads both sides.
pub(super) fn read(case: &Case) -> Read {
    let path = case.after.settings.manifest.as_str();
    let before = case.before.manifest.as_deref().and_then(|text| Manifest::parse(text).ok());
    let mut violations = Vec::new();
    let after = match case.after.manifest.as_deref().map(Manifest::parse) {
        Some(Ok(manifest)) => Some(manifest),
        Some(Err(wrong)) => {
            let violation = |(line, why)| Violation::new("manifest", (path, line), why, SCHEMA_HELP);
            violations.extend(wrong.into_iter().map(violation));
            None
        }
        None => {
            if case.before.manifest.is_some() {
                let help = "put it back; an invariant that is given up goes to `retired`";
                violations.push(Violation::new("manifest", (path, 1), "the invariants manifest is gone", help));
            }
            None
        }
    };
    Read { before, after, violations }
}

/// Whether ids are kept, and whether what is implemented is verified.
pub(super) fn violations(case: &Case, read: &Read, exceptions: &Exceptions) -> Vec<Violation> {
    let path = case.after.settings.manifest.as_str();
    let Some(after) = &read.after else { return vec![] };
    let mut found = Vec::new();
    let mut wrong = |line: usize, message: String, help: &str| {
        found.push(Violation::new("manifest", (path, line), message, help));
    };
    if let Some(before) = &read.before {
        for was in &before.invariants {
            match after.get(&was.id) {
                Some(is)
                    if is.title != was.title
                        && is.covers.iter().all(|cover| !was.covers.iter().any(|old| old.0 == cover.0)) =>
                {
                    let message = format!("`{}` was “{}”, and is used for something else", was.id, was.title);
                    wrong(is.line, message, "give the new one an id of its own; the old one goes to `retired`");
                }
                None if !after.retired.contains(&was.id) => {
                    let message = format!("`{}` (“{}”) is gone", was.id, was.title);
                    wrong(1, message, "an id that is given up goes to `retired: [INV-…]`");
                }
                _ => {}
            }
        }
        for id in before.retired.difference(&after.retired) {
            wrong(
                1,
                format!("`{id}` is retired, and is missing in `retired`"),
                "ids are never used again: put it back",
            );
        }
    }
    let Some(graph) = case.after.graph.in_ci() else {
        if after.invariants.iter().any(|invariant| invariant.implemented) {
            wrong(1, "no graph can be read that would verify the invariants".into(), "mend tasks.toml");
        }
        return found;
    };
    for invariant in after.invariants.iter().filter(|invariant| invariant.implemented) {
        for (text, line) in &invariant.enforced_by {
            if let Some(file) = as_file(text).filter(|file| !case.after.existing.contains(*file)) {
                wrong(
                    *line,
                    format!("`{}` is enforced by `{file}`, which is not there", invariant.id),
                    "name what enforces it",
                );
            }
        }
        if exceptions.excuses(&invariant.id) {
            continue;
        }
        for (verifier, line) in &invariant.verified_by {
            if let Some(why) = unverified(verifier, graph, case) {
                let message = format!("`{}` is verified by `{verifier}`, {why}", invariant.id);
                wrong(*line, message, "name a task that an entry task reaches and that can fail, or add an exception");
            }
        }
    }
    found
}

/// Why a verifier verifies nothing.
fn unverified(verifier: &str, graph: &Profiled, case: &Case) -> Option<String> {
    if graph.entries.is_empty() {
        return Some("and `[policy] entry` names no entry task".into());
    }
    if let Some(task) = graph.tasks.get(verifier) {
        return weak(task, "which");
    }
    let gates: Vec<_> = graph.tasks.values().filter(|task| task.gate.as_deref() == Some(verifier)).collect();
    if let Some(first) = gates.first() {
        let sound = gates.iter().any(|task| weak(task, "").is_none());
        return if sound { None } else { weak(first, "whose task") };
    }
    if case.after.check_ids.contains(verifier) {
        let sound =
            graph.tasks.values().any(|task| task.acts.as_deref() == Some("db.gate") && weak(task, "").is_none());
        return (!sound).then(|| "a database check, and no entry task reaches a sound `db.gate`".into());
    }
    Some("which is no task and no gate's check".into())
}

fn weak(task: &super::facts::TaskFact, who: &str) -> Option<String> {
    match () {
        () if !task.reached => Some(format!("{who} no entry task reaches")),
        () if task.warns => Some(format!("{who} only warns in CI")),
        () if task.masked => Some(format!("{who} can't fail: its command is masked")),
        () => None,
    }
}

/// Invariants that are given up or promise less.
pub(super) fn findings(case: &Case, read: &Read) -> Vec<Finding> {
    let (Some(before), Some(after)) = (&read.before, &read.after) else { return vec![] };
    let path = case.after.settings.manifest.as_str();
    let mut found = Vec::new();
    for was in before.invariants.iter().filter(|was| was.implemented) {
        let (change, line, message) = match after.get(&was.id) {
            None => (Change::Removed, 1, format!("`{}` (“{}”) is retired", was.id, was.title)),
            Some(is) if !is.implemented => (Change::Changed, is.line, format!("`{}` is only planned now", was.id)),
            Some(_) => continue,
        };
        found.push(Finding::new(Kind::Invariant, &was.id, change, (path, line), message));
    }
    found
}
