//! Soaks: what they stand in for, and what can't be repeated.

use super::names::Lookup;
use super::resolve::{Graph, TaskIndex, Wait, unknown};
use crate::config::{Action, Diagnostic, Soak, Task};

/// Finds the task of each soak, and gives the soak what that task needs and cleans up: it stands in for it.
pub(super) fn wire(graph: &mut Graph<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let config = graph.config;
    for (index, task) in config.tasks.iter().enumerate() {
        let Action::Soak(soak) = &task.action else { continue };
        let Some(base) = base_of(graph, task, soak, diagnostics) else { continue };
        let of_base = graph.edges[base].clone();
        let edges = &mut graph.edges[index];
        edges.soaks = Some(base);
        edges.depends.extend(of_base.depends);
        edges.post.extend(of_base.post);
        edges.wait_for.extend(of_base.wait_for);
        // Where the task itself is in the run too, the two must not be at it together.
        edges.wait_for.push(Wait { to: base, at: soak.task.at });
    }
}

fn base_of(graph: &Graph<'_>, task: &Task, soak: &Soak, diagnostics: &mut Vec<Diagnostic>) -> Option<TaskIndex> {
    let named = &soak.task;
    let found = match graph.names.look_up(&task.folder, &named.value) {
        Lookup::One(found) => found,
        Lookup::Unknown => {
            diagnostics.push(unknown(&graph.names, &task.folder, &named.value, named.at));
            return None;
        }
        Lookup::Many(_) => {
            let message = format!("`{}` repeats one task, and `{}` is a glob", task.name, named.value);
            let wrong = Diagnostic::error("graph::soak", named.at, message);
            diagnostics.push(wrong.help("name the task; a soak for each is a task of its own"));
            return None;
        }
    };
    match unfit(graph.task(found), soak) {
        None => Some(found),
        Some((why, help)) => {
            let base = graph.task(found);
            let message = format!("`{}` can't repeat `{}`: {why}", task.name, base.name);
            let wrong = Diagnostic::error("graph::soak", named.at, message).also(base.at, "declared here");
            diagnostics.push(wrong.help(help));
            None
        }
    }
}

/// Why a task can't be repeated, and what to do about it.
fn unfit(base: &Task, soak: &Soak) -> Option<(&'static str, &'static str)> {
    let writes_outputs = base.outputs.as_ref().is_some_and(|outputs| !outputs.value.is_empty());
    if matches!(base.action, Action::Group { .. }) {
        Some(("it is a group", "name one of its tasks"))
    } else if matches!(base.action, Action::Soak(_)) {
        Some(("it is a soak itself", "name the task that it repeats"))
    } else if base.service.is_some() {
        Some(("it is a service", "name a task that depends on it, or its `proof.crash`"))
    } else if base.reset.is_some() {
        Some(("it destroys state", "repeat a task that has a database of its own: `database = { name, clone = true }`"))
    } else if base.interactive {
        Some(("it is interactive", "nobody answers a thousand questions: repeat a task that asks none"))
    } else if soak.jobs > 1 && base.report.is_some() {
        Some(("its iterations would write one `junit` report at the same time", "remove `jobs`"))
    } else if soak.jobs > 1 && (writes_outputs || !base.writes.is_empty()) {
        Some(("its iterations would write the same files at the same time", "remove `jobs`"))
    } else {
        None
    }
}
