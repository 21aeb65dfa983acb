//! Soaks: what they stand in for, and what can't be repeated.

use super::names::Lookup;
use super::resolve::{Graph, TaskIndex, Wait, unknown};
use crate::config::{Action, DatabaseUse, Diagnostic, Soak, Task};
use std::collections::BTreeSet;

/// Finds the task of each soak, and gives the soak what that task needs and cleans up: it stands in for it.
pub(super) fn wire(graph: &mut Graph<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let config = graph.config;
    for (index, task) in config.tasks.iter().enumerate() {
        let Action::Soak(soak) = &task.action else { continue };
        let Some(base) = base_of(graph, task, soak, diagnostics) else { continue };
        diagnostics.extend(torn(graph, task, soak, base));
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

/// Each iteration has clones of the task's databases, and a service that the task runs with goes on with the database
/// itself: of what the one writes the other sees nothing, and a check of it passes or fails for that reason alone.
fn torn(graph: &Graph<'_>, soak: &Task, declared: &Soak, base: TaskIndex) -> Option<Diagnostic> {
    let task = graph.task(base);
    let own = live(task).chain(crashed(graph, task).into_iter().flat_map(live));
    let own: BTreeSet<&str> = own.map(|used| used.name.value.as_str()).collect();
    let (service, used) = services_of(graph, base).into_iter().find_map(|service| {
        let service = graph.task(service);
        live(service).find(|used| own.contains(used.name.value.as_str())).map(|used| (service, used))
    })?;
    let database = &used.name.value;
    let message = format!(
        "`{}` gives each iteration of `{}` a clone of database `{database}`, but the service `{}` that it runs with stays at the database itself",
        soak.name, task.name, service.name
    );
    let help = format!(
        "give each iteration a server of its own: repeat a `proof.crash` of `{}`, or start the server in the command of `{}`; \
         if the two have nothing to do with each other, say so there: `database = {{ name = \"{database}\", clone = true }}`",
        service.name, task.name
    );
    let wrong = Diagnostic::error("graph::soak", declared.task.at, message).also(used.name.at, "used here");
    Some(wrong.help(help))
}

/// The databases that a task uses themselves, and not a clone of.
fn live(task: &Task) -> impl Iterator<Item = &DatabaseUse> {
    task.databases.iter().filter(|used| !used.clone)
}

/// The service that a crash proof starts for itself.
fn crashed<'c>(graph: &Graph<'c>, proof: &Task) -> Option<&'c Task> {
    let Action::Uses(uses) = &proof.action else { return None };
    let named = uses.with.proof.service.as_ref()?;
    match graph.names.look_up(&proof.folder, &named.value) {
        Lookup::One(found) => Some(graph.task(found)),
        _ => None,
    }
}

/// The services that a task runs with, through groups, and those that these run with.
fn services_of(graph: &Graph<'_>, task: TaskIndex) -> Vec<TaskIndex> {
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    let mut stack = vec![task];
    while let Some(at) = stack.pop() {
        for to in graph.edges[at].members().map(|edge| edge.to).filter(|to| seen.insert(*to)) {
            let other = graph.task(to);
            if other.service.is_some() {
                found.push(to);
            }
            if other.service.is_some() || matches!(other.action, Action::Group { .. }) {
                stack.push(to);
            }
        }
    }
    found.sort_unstable();
    found
}
