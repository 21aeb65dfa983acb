//! mise's ways to name other tasks: with arguments, with variables, by globs.

use super::super::draft::{Action, Draft, Edge};
use super::super::shell::words;
use super::super::tree::Tree;
use crate::config::build_glob;

/// An edge as written: `"build --release"`, `"A=1 build"`, `["build", "--release"]` or a table.
///
/// # Errors
/// Why it can't be carried over.
pub(super) fn edge(tree: &Tree) -> Result<Edge, String> {
    let mut edge = Edge::default();
    let words: Vec<String> = if let Some(text) = tree.text() {
        if text.contains("{{") {
            return Err("what a task was given can't be handed on".into());
        }
        words(text).unwrap_or_else(|| text.split_whitespace().map(str::to_owned).collect())
    } else if !tree.list().is_empty() {
        tree.strings()
    } else {
        edge.optional = tree.at("optional").truth();
        edge.env =
            tree.at("env").map().iter().filter_map(|(name, value)| Some((name.clone(), value.scalar()?))).collect();
        let task = tree.at("task").text().ok_or_else(|| format!("it names no task: {}", tree.shown()))?;
        std::iter::once(task.to_owned()).chain(tree.at("args").strings()).collect()
    };
    if words.iter().chain(edge.env.iter().map(|(_, value)| value)).any(|word| word.contains("{{")) {
        return Err("what a task was given can't be handed on".into());
    }
    let mut words = words.into_iter().peekable();
    while let Some((name, value)) = words.peek().and_then(|word| word.split_once('=')) {
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            break;
        }
        edge.env.push((name.to_owned(), value.to_owned()));
        words.next();
    }
    edge.task = words.next().ok_or_else(|| format!("it names no task: {}", tree.shown()))?;
    edge.args = words.collect();
    if edge.task.starts_with("//") || edge.task.starts_with(':') || edge.task.contains("...") {
        return Err(format!("`{}` is another project's task", edge.task));
    }
    Ok(edge)
}

/// Globs of names become the names they stand for, as mise sees them: `*` ends at a `:`.
pub(super) fn expand(draft: &mut Draft) {
    let names: Vec<(String, String)> = draft
        .tasks
        .iter()
        .filter(|task| !task.hide || !task.name.contains(".step"))
        .flat_map(|task| std::iter::once(&task.name).chain(&task.alias).map(|name| (name.clone(), task.name.clone())))
        .collect();
    let matching = |glob: &str| -> Vec<String> {
        let Ok(glob) = build_glob(&glob.replace(':', "/")) else { return vec![] };
        let matcher = glob.compile_matcher();
        let mut found: Vec<String> = Vec::new();
        for (name, task) in &names {
            if matcher.is_match(name.replace(':', "/")) && !found.contains(task) {
                found.push(task.clone());
            }
        }
        found
    };
    let is_glob = |name: &str| name.contains(['*', '?', '[', '{']);
    for task in &mut draft.tasks {
        let own = task.name.clone();
        let all = |edges: &mut Vec<Edge>| {
            *edges = std::mem::take(edges)
                .into_iter()
                .flat_map(|edge| {
                    if !is_glob(&edge.task) {
                        return vec![edge];
                    }
                    let found = matching(&edge.task);
                    if found.is_empty() {
                        return vec![edge];
                    }
                    let to = |name: String| Edge { task: name, glob: Some(edge.task.clone()), ..edge.clone() };
                    found.into_iter().filter(|name| *name != own).map(to).collect()
                })
                .collect();
        };
        all(&mut task.depends);
        all(&mut task.depends_post);
        if let Action::Sequence(steps) = &mut task.action {
            steps.iter_mut().for_each(all);
        }
        task.wait_for = std::mem::take(&mut task.wait_for)
            .into_iter()
            .flat_map(|name| {
                let found = if is_glob(&name) { matching(&name) } else { vec![] };
                if found.is_empty() { vec![name] } else { found.into_iter().filter(|name| *name != own).collect() }
            })
            .collect();
    }
}
