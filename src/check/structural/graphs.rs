//! Configurations as facts: the one that is there, and the one that was.

use super::since::{FILE, Tips};
use crate::config::{self, Action, Config, Database, NodeKind, OnFail, Pattern, Task, When};
use crate::git::Repository;
use crate::graph::audit::is_check;
use crate::graph::{Graph, Lookup};
use crate::model::WsPath;
use crate::rule::{GraphFacts, Profiled, Settings, TaskFact, is_masked};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// More files than this are not followed through includes.
const MOST: usize = 4096;

/// What a workspace's configuration says; `None` for its settings where it says nothing.
pub(super) struct Told {
    pub(super) graph: GraphFacts,
    pub(super) settings: Option<Settings>,
    /// The files it is made of.
    pub(super) files: Vec<String>,
}

/// Of the folder `root`.
pub(super) fn told(root: &Path) -> Told {
    let file = root.join(FILE);
    if std::fs::symlink_metadata(&file).is_err() {
        return Told { graph: GraphFacts::Absent, settings: None, files: vec![] };
    }
    let mut all = Vec::new();
    let mut settings = None;
    let mut files = vec![];
    for profile in ["ci", ""] {
        let profiles: Vec<String> = (!profile.is_empty()).then(|| profile.to_owned()).into_iter().collect();
        let loaded = config::load(&file, &profiles, &config::Looked::default());
        files = loaded.config.files.iter().map(|file| file.path.to_string()).collect();
        let wrong = |all: &[config::Diagnostic]| {
            all.iter().find(|one| one.severity == config::Severity::Error).map(|one| one.message.clone())
        };
        let (graph, more) = Graph::new(&loaded.config);
        if let Some(why) = wrong(&loaded.diagnostics).or_else(|| wrong(&more)) {
            return Told { graph: GraphFacts::Broken(why), settings: None, files };
        }
        settings = settings.or_else(|| Some(settings_of(&loaded.config)));
        all.push(profiled(&graph, profile));
    }
    Told { graph: GraphFacts::Loaded(all), settings, files }
}

/// Of the files that `read` gives, written to a folder of their own; `list` lists them all.
pub(super) fn told_by(read: &dyn Fn(&str) -> Option<Vec<u8>>, list: &dyn Fn() -> Vec<String>) -> std::io::Result<Told> {
    let folder = tempfile::tempdir()?;
    let mut left = vec![FILE.to_owned()];
    let mut done = BTreeSet::new();
    let mut listed: Option<Vec<String>> = None;
    while let Some(path) = left.pop() {
        if done.len() >= MOST || !done.insert(path.clone()) {
            continue;
        }
        let Some(bytes) = read(&path) else { continue };
        let target = folder.path().join(&path);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&target, &bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        for include in includes(&text) {
            let parent = WsPath::from_clean(path.rsplit_once('/').map_or("", |(folder, _)| folder));
            let Ok(pattern) = Pattern::parse(&parent, &include) else { continue };
            if pattern.glob.is_none() {
                left.push(pattern.prefix.to_string());
                continue;
            }
            let all = listed.get_or_insert_with(list);
            let matching = all.iter().filter(|file| pattern.covers(&WsPath::from_clean(file.as_str())));
            left.extend(matching.cloned());
        }
    }
    Ok(told(folder.path()))
}

fn includes(text: &str) -> Vec<String> {
    let Ok(table) = text.parse::<toml::Table>() else { return vec![] };
    match table.get("include") {
        Some(toml::Value::String(one)) => vec![one.clone()],
        Some(toml::Value::Array(all)) => all.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect(),
        _ => vec![],
    }
}

fn settings_of(config: &Config) -> Settings {
    let rule = &config.structural;
    let plain = |all: &[config::Located<Pattern>]| all.iter().map(|pattern| pattern.value.clone()).collect();
    let folders = |folder: fn(&Database) -> &WsPath, default: &str| {
        let mut all: Vec<String> = config.databases.iter().map(|database| folder(database).to_string()).collect();
        all.dedup();
        if all.is_empty() { vec![default.to_owned()] } else { all }
    };
    let migrations = if rule.migrations.is_empty() {
        folders(|database| &database.migrations.value, "schema/migrations")
    } else {
        rule.migrations.iter().map(ToString::to_string).collect()
    };
    Settings {
        base: rule.base.clone(),
        manifest: rule.manifest.to_string(),
        exceptions: rule.exceptions.to_string(),
        max_days: rule.max_days,
        paths: plain(&rule.paths),
        migrations,
        ci: plain(&rule.ci),
        checks: folders(|database| &database.checks.value, "checks/db"),
    }
}

fn profiled(graph: &Graph<'_>, profile: &str) -> Profiled {
    let config = graph.config;
    let entries: Vec<String> = config.policy.entry.iter().map(|entry| entry.value.clone()).collect();
    let reached = reached(graph, &entries);
    let tasks = config.tasks.iter().enumerate();
    let tasks = tasks.map(|(index, task)| (task.name.to_string(), fact(config, task, reached.contains(&index))));
    Profiled {
        profile: profile.to_owned(),
        entries,
        tasks: tasks.collect(),
        gate_rules: config.databases.iter().flat_map(|database| gate_rules(database)).collect(),
    }
}

/// What must have succeeded before an entry task has. A cleanup after a failure is none of it.
fn reached(graph: &Graph<'_>, entries: &[String]) -> BTreeSet<usize> {
    let mut left = Vec::new();
    for entry in entries {
        match graph.names.look_up(&WsPath::root(), entry) {
            Lookup::One(task) => left.push(task),
            Lookup::Many(tasks) => left.extend(tasks),
            Lookup::Unknown => {}
        }
    }
    let mut reached = BTreeSet::new();
    while let Some(task) = left.pop() {
        if reached.insert(task) {
            let edges = &graph.edges[task];
            left.extend(edges.members().map(|edge| edge.to));
            left.extend(edges.post.iter().filter(|(_, when)| *when != When::Failure).map(|(edge, _)| edge.to));
        }
    }
    reached
}

fn fact(config: &Config, task: &Task, reached: bool) -> TaskFact {
    let acts = match &task.action {
        Action::Shell(_) => Some("run".to_owned()),
        Action::Exec(_) => Some("exec".to_owned()),
        Action::Uses(uses) => Some(uses.kind.name().to_owned()),
        Action::Soak(_) => Some("soak".to_owned()),
        Action::Group { .. } => None,
    };
    let commands = if let Action::Shell(commands) = &task.action { &commands[..] } else { &[] };
    let file = config.files.get(usize::from(task.at.file.0));
    let line = file
        .map_or(1, |file| 1 + file.text.get(..task.at.start as usize).map_or(0, |before| before.matches('\n').count()));
    TaskFact {
        reached,
        check: acts.is_some() && is_check(task),
        masked: commands.iter().flat_map(|command| command.lines()).any(is_masked),
        acts,
        gate: task.gate.as_ref().map(|gate| gate.value.id.clone()),
        warns: task.on_fail == OnFail::Warn,
        reset: task.reset.is_some() || matches!(&task.action, Action::Uses(uses) if uses.kind.is_reset()),
        expect: task.report.as_ref().map(|report| report.expect),
        at: (file.map_or_else(|| FILE.to_owned(), |file| file.path.to_string()), line),
    }
}

/// The rules of a database's gate, each as a text.
fn gate_rules(database: &Database) -> Vec<String> {
    let (gate, name) = (&database.gate, &database.key);
    let mut all = Vec::new();
    for (rule, list) in [
        ("required_relations", &gate.required_relations),
        ("public_holds_nothing", &gate.public_holds_nothing),
        ("append_only", &gate.append_only),
    ] {
        all.extend(list.iter().map(|one| format!("{name}: {rule} {}", one.value)));
    }
    all.extend(gate.roles.iter().map(|(role, rule)| format!("{name}: role {role} {rule:?}")));
    for check in &gate.checks {
        // What is left out is part of what is checked.
        let except = gate.except.get(check).map(|names| format!(" but {}", names.join(", "))).unwrap_or_default();
        all.push(format!("{name}: {check}{except}"));
    }
    all
}

/// A task among `tasks` that reached the rule in the base's version of the graph.
pub(super) fn rule_was_reached(root: &Path, base: &str, tasks: &[String]) -> Option<String> {
    root.ancestors().find(|folder| folder.join(".git").exists())?;
    let repository = Repository::around(root);
    let tips = Tips::of(&repository, base);
    let base = &tips.base(base);
    let remote = format!("origin/{base}");
    let commit = |name: &str| tips.commit(&repository, name);
    let tip = commit(base).or_else(|| commit(&remote))?;
    let since = match commit("HEAD") {
        Some(head) if head != tip => repository.parted(&tip, &head).unwrap_or(tip),
        _ => tip,
    };
    let known = tips.file_at(&since).map(<[u8]>::to_vec);
    let read = |path: &str| match &known {
        Some(file) if path == FILE => Some(file.clone()),
        _ => repository.contents(&since, &[path]).ok()?.pop()?,
    };
    let root_file = read(FILE)?;
    let mentions = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.contains(NodeKind::RuleStructural.name()) || text.contains("include")
    };
    if !mentions(&root_file) {
        return None;
    }
    let list = || repository.files_at(&since).unwrap_or_default();
    let told = told_by(&read, &list).ok()?;
    let graph = told.graph.in_ci()?;
    let rules: BTreeMap<_, _> = graph
        .tasks
        .iter()
        .filter(|(_, task)| task.reached && task.acts.as_deref() == Some(NodeKind::RuleStructural.name()))
        .collect();
    tasks.iter().find(|task| !rules.is_empty() && graph.entries.contains(task)).cloned()
}
