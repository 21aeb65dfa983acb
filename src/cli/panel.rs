//! What the page says of a task: its definition, what is recorded of it, and what the audit found. No
//! command of the user's is run for it.

use super::draw;
use super::ground::Here;
use super::project::{Place, Project};
use crate::cache::{Found, Last, Place as WeirFolder, State, Store};
use crate::config::{Action, Definitions, Diagnostic, Task, Veil};
use crate::event::Event;
use crate::graph::audit::{audit, codes};
use crate::graph::{Graph, TaskIndex};
use crate::model::{KeyPart, Outcome, PartKind};
use crate::process::Redactor;
use crate::ui;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Runs shown of a task.
const RUNS: usize = 10;
/// Parts of one kind shown of a key.
const PARTS: usize = 100;

/// What is known about tasks beside their declarations.
pub struct Known<'p> {
    hider: Redactor,
    /// By file.
    definitions: Vec<Definitions<'p>>,
    state: Option<State>,
    store: Option<Store>,
    /// By task: newest first.
    runs: BTreeMap<String, Vec<Value>>,
    /// By task.
    findings: BTreeMap<TaskIndex, Vec<Diagnostic>>,
}

impl<'p> Known<'p> {
    /// Reads what is on record, and audits the graph.
    pub fn gather(place: &Place, project: &'p Project, graph: &Graph<'_>) -> Self {
        let folder = WeirFolder::existing(&project.config.root);
        let state = folder.as_ref().and_then(|weir| State::read(&weir.state()).ok()).map(|(state, ..)| state);
        let store = folder.as_ref().map(|weir| Store::at(weir.weir(), place.shared_cache().as_deref()));
        let mut findings: BTreeMap<TaskIndex, Vec<Diagnostic>> = BTreeMap::new();
        for found in audit(graph, &Here::new(&project.config.root, place)) {
            if let Some(task) = found.task {
                findings.entry(task).or_default().push(found.diagnostic);
            }
        }
        for remark in &project.remarks {
            if let Some(task) = declared_around(graph, remark) {
                findings.entry(task).or_default().push(remark.clone());
            }
        }
        findings.values_mut().for_each(|found| found.sort_by_key(|diagnostic| diagnostic.severity));
        let hider = secrets(project, graph);
        let definitions = project.config.files.iter().map(Definitions::new).collect();
        let runs = folder.as_ref().map(last_runs).unwrap_or_default();
        Self { hider, definitions, state, store, runs, findings }
    }

    /// What a finding's code means, by code.
    pub fn codes() -> Value {
        let code = |code: &codes::Code| json!({ "title": code.title, "why": code.why, "mend": code.mend });
        Value::Object(codes::ALL.iter().map(|known| (known.code.to_owned(), code(known))).collect())
    }

    /// All that is said of a task, without secrets.
    pub fn of(&self, project: &Project, graph: &Graph<'_>, index: TaskIndex) -> Value {
        let task = graph.task(index);
        let mask = |text: &str| self.hider.mask(text);
        let veil = Veil { mask: &mask, hides: &|name| graph.config.tasks.iter().any(|task| redacts(task, name)) };
        let definitions = self.definitions.get(usize::from(task.at.file.0));
        let findings = self.findings.get(&index).into_iter().flatten();
        let mut value = json!({
            "name": task.name,
            "words": draw::kind(project, graph, index).1,
            "description": task.description,
            "aliases": task.aliases.iter().map(|alias| &alias.value).collect::<Vec<_>>(),
            "at": project.at(task.at),
            "acts": !matches!(task.action, Action::Group { .. }),
            "recorded": self.recorded(task, project.node_of(task).facts().always.is_some()),
            "runs": self.runs.get(task.name.as_str()).cloned().unwrap_or_default(),
            "findings": findings.map(|found| json!({
                "code": found.code,
                "severity": found.severity,
                "message": found.message,
                "help": found.help,
                "at": found.labels.first().map(|label| project.at(label.at)),
            })).collect::<Vec<_>>(),
        });
        mask_texts(&mut value, &self.hider);
        value["definition"] = json!(definitions.map(|definitions| definitions.of(task.at, &veil)));
        value
    }

    /// The last result of the task without arguments.
    fn recorded(&self, task: &Task, always: bool) -> Value {
        if task.service.is_some() {
            return json!({ "state": "service" });
        }
        if always {
            return json!({ "state": "always" });
        }
        let recorded = match self.state.as_ref().and_then(|state| state.last(task.name.as_str())) {
            None => return json!({ "state": "none" }),
            Some(Last::Dirty { .. }) => return json!({ "state": "dirty" }),
            Some(Last::Good(recorded)) => recorded,
        };
        let parts = self.store.as_ref().and_then(|store| match store.result(&recorded.key, true) {
            Found::Yes(result) => Some(result.parts),
            Found::No | Found::Bad(_) => None,
        });
        let (shown, more) = parts.as_deref().map(most_telling).unzip();
        json!({
            "state": "good",
            "key": recorded.key.short(),
            "took_ms": recorded.duration_ms,
            "parts": shown,
            "more": more,
        })
    }
}

/// The parts of a key by kind, what a person looks for first; and how many of each kind are left out.
fn most_telling(parts: &[KeyPart]) -> (Vec<Value>, Map<String, Value>) {
    let kinds = [
        (PartKind::Definition, "definition"),
        (PartKind::Dependency, "dependencies"),
        (PartKind::Env, "variables"),
        (PartKind::Program, "programs"),
        (PartKind::Probe, "probes"),
        (PartKind::Incarnation, "resets"),
        (PartKind::Source, "sources"),
        (PartKind::Format, "format"),
    ];
    let (mut shown, mut more) = (Vec::new(), Map::new());
    for (kind, word) in kinds {
        let all: Vec<&KeyPart> = parts.iter().filter(|part| part.kind == kind).collect();
        shown.extend(all.iter().take(PARTS).map(|part| json!([word, part.name, part.shown])));
        if all.len() > PARTS {
            more.insert(word.to_owned(), json!(all.len() - PARTS));
        }
    }
    (shown, more)
}

/// How each task ended in the recorded runs; with arguments it still is the task.
fn last_runs(folder: &WeirFolder) -> BTreeMap<String, Vec<Value>> {
    let mut runs: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for id in folder.run_ids() {
        let Ok(reader) = ui::read_event_log(&folder.runs().join(&id).join("events.jsonl")) else { continue };
        for record in reader.map_while(Result::ok) {
            let Event::TaskFinished(finished) = record.event else { continue };
            let node = finished.task.as_str();
            let task = node.split(' ').next().unwrap_or(node);
            let (outcome, why) = match &finished.outcome {
                Outcome::Fresh => ("fresh", None),
                Outcome::Hit => ("hit", None),
                Outcome::Done { .. } => ("done", None),
                Outcome::Ran => ("ran", finished.flaky.then(|| format!("passed on attempt {}", finished.attempts))),
                Outcome::Failed { reason, warn: false } => ("failed", Some(reason.describe())),
                Outcome::Failed { reason, warn: true } => ("warned", Some(reason.describe())),
                Outcome::Skipped { .. } => ("skipped", None),
            };
            let all = runs.entry(task.to_owned()).or_default();
            if all.len() < RUNS {
                let took = matches!(outcome, "ran" | "failed" | "warned").then_some(finished.duration_ms);
                let node = (node != task).then_some(node);
                all.push(json!({
                    "run": id, "at": record.at, "outcome": outcome, "why": why, "ms": took, "node": node,
                }));
            }
        }
    }
    runs
}

/// The task whose definition a diagnostic points into.
fn declared_around(graph: &Graph<'_>, diagnostic: &Diagnostic) -> Option<TaskIndex> {
    let at = diagnostic.labels.first()?.at;
    let before = graph.config.tasks.iter().enumerate().filter(|(_, task)| task.at.file == at.file && task.at <= at);
    before.max_by_key(|(_, task)| task.at).map(|(index, _)| index)
}

fn redacts(task: &Task, name: &str) -> bool {
    task.redact.iter().any(|declared| match declared.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => declared == name,
    })
}

/// Every secret that any task of this graph knows, also those that an edge gives to a task.
pub fn secrets(project: &Project, graph: &Graph<'_>) -> Redactor {
    let outside = &project.outside;
    let mut all = Vec::new();
    for (index, task) in graph.config.tasks.iter().enumerate() {
        all.extend(project.node_of(task).secrets(&project.config.root, outside));
        let edges = &graph.edges[index];
        for edge in edges.members().chain(edges.post.iter().map(|(edge, _)| edge)) {
            let given = edge.dep.env.iter().filter(|(name, _)| redacts(graph.task(edge.to), name));
            all.extend(given.map(|(_, value)| value.clone()));
        }
    }
    Redactor::new(all)
}

fn mask_texts(tree: &mut Value, hider: &Redactor) {
    match tree {
        Value::String(text) => *text = hider.mask(text),
        Value::Array(items) => items.iter_mut().for_each(|item| mask_texts(item, hider)),
        Value::Object(map) => map.values_mut().for_each(|value| mask_texts(value, hider)),
        _ => {}
    }
}
