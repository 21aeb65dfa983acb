//! `weir tasks`, and `weir` alone.

use super::args::{DepsArgs, DepsCommand, GraphFormat, InfoArgs, ListArgs, TasksCommand};
use super::draw;
use super::error::CliError;
use super::panel::Known;
use super::print;
use super::project::{Place, Project};
use crate::config::{Action, CacheMode, Execute, Located, Pattern, Soak, Task, When};
use crate::graph::{Graph, Lookup, TaskIndex};
use crate::journal::replace;
use crate::model::format_duration;
use crate::ui::{clean, clean_lines};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};

/// `weir tasks ls|info|deps`.
///
/// # Errors
/// The configuration is wrong, or there is no such task.
pub fn tasks(place: &Place, command: TasksCommand) -> Result<u8, CliError> {
    match command {
        TasksCommand::Ls(args) => list(place, &args),
        TasksCommand::Info(args) => info(place, &args),
        TasksCommand::Deps(args) => match &args.command {
            Some(DepsCommand::Check(args)) => super::audit::audit(place, args),
            None => deps(place, &args),
        },
    }
}

/// The tasks there are.
///
/// # Errors
/// The configuration is wrong.
pub fn list(place: &Place, args: &ListArgs) -> Result<u8, CliError> {
    let project = Project::open(place, &[])?;
    let graph = project.graph();
    let shown: Vec<(TaskIndex, &Task)> = project
        .config
        .tasks
        .iter()
        .map(|task| &**task)
        .enumerate()
        .filter(|(_, task)| args.all || !task.hide)
        .collect();
    if args.json {
        let all: Vec<Value> = shown.iter().map(|(index, _)| as_json(&project, &graph, *index)).collect();
        return print::json(&all);
    }
    if shown.is_empty() {
        return print::text("no tasks; write some into tasks.toml\n");
    }
    let width = shown.iter().map(|(_, task)| task.name.as_str().chars().count()).max().unwrap_or(0).min(40);
    let mut text = String::new();
    for (_, task) in shown {
        let name = task.name.as_str();
        let alias: Vec<&str> = task.aliases.iter().map(|alias| alias.value.as_str()).collect();
        let alias = if alias.is_empty() { String::new() } else { format!(" (also {})", alias.join(", ")) };
        let about = format!("{}{alias}", task.description.as_deref().unwrap_or(""));
        let _ = writeln!(text, "{}", clean(format!("{name:<width$}  {about}").trim_end()));
    }
    print::text(&text)
}

fn find(project: &Project, graph: &Graph<'_>, name: &str) -> Result<TaskIndex, CliError> {
    match graph.names.look_up(&project.folder(), name) {
        Lookup::One(index) => Ok(index),
        Lookup::Many(found) if found.len() == 1 => Ok(found[0]),
        _ => Err(CliError::usage(
            format!("there is no task `{name}`"),
            graph
                .names
                .like(&project.folder(), name)
                .map_or_else(|| "`weir` lists the tasks there are".into(), |like| format!("did you mean `{like}`?")),
        )),
    }
}

fn texts(list: Option<&Located<Vec<Located<Pattern>>>>) -> Option<Vec<String>> {
    list.map(|list| list.value.iter().map(|pattern| pattern.value.full()).collect())
}

fn edge_name(graph: &Graph<'_>, edge: &crate::graph::Edge<'_>) -> String {
    let mut name = graph.task(edge.to).name.as_str().to_owned();
    for argument in &edge.dep.args {
        let _ = write!(name, " {argument}");
    }
    name
}

fn as_json(project: &Project, graph: &Graph<'_>, index: TaskIndex) -> Value {
    let task = graph.task(index);
    let edges = &graph.edges[index];
    let names =
        |edges: &[crate::graph::Edge<'_>]| -> Vec<String> { edges.iter().map(|edge| edge_name(graph, edge)).collect() };
    let (data, order): (Vec<_>, Vec<_>) = edges.depends.iter().cloned().partition(|edge| !edge.dep.order_only);
    json!({
        "name": task.name,
        "description": task.description,
        "at": project.at(task.at),
        "aliases": task.aliases.iter().map(|alias| &alias.value).collect::<Vec<_>>(),
        "hidden": task.hide,
        "manual": task.manual.is_some(),
        "run": match &task.action { Action::Shell(texts) => json!(texts), _ => Value::Null },
        "exec": match &task.action { Action::Exec(words) => json!(words), _ => Value::Null },
        "uses": match &task.action { Action::Uses(uses) => json!(uses.kind.name()), _ => Value::Null },
        "soak": graph.edges[index].soaks.map(|base| graph.task(base).name.as_str()),
        "database": task.databases.iter().map(|used| used.name.value.as_str()).collect::<Vec<_>>(),
        "ports": task.ports.iter().map(|port| port.name.value.as_str()).collect::<Vec<_>>(),
        "depends": names(&data),
        "order_only": names(&order),
        "sequence": edges.sequence.iter().map(|step| names(step)).collect::<Vec<_>>(),
        "wait_for": edges.wait_for.iter().map(|wait| graph.task(wait.to).name.as_str()).collect::<Vec<_>>(),
        "depends_post": edges.post.iter().map(|(edge, _)| edge_name(graph, edge)).collect::<Vec<_>>(),
        "sources": texts(task.sources.as_ref()),
        "outputs": texts(task.outputs.as_ref()),
        "writes": task.writes.iter().map(|pattern| pattern.value.full()).collect::<Vec<_>>(),
        "execute": task.execute.as_ref().map(|said| said.value != Execute::Here),
        "platform": task.platform,
        "cacheable": cacheable(task),
        "reset": task.reset.is_some(),
    })
}

fn cacheable(task: &Task) -> bool {
    task.sources.is_some()
        && task.cache != CacheMode::Off
        && task.writes.is_empty()
        && task.reset.is_none()
        && !task.interactive
}

const fn executes(said: Execute) -> &'static str {
    match said {
        Execute::Here => "here",
        Execute::There { secrets: false } => "by the remote, where one is configured",
        Execute::There { secrets: true } => "by the remote, where one is configured, with secrets",
    }
}

/// `test:unit, 200 times, for 10m, until it fails, 4 at once`.
fn soaks(graph: &Graph<'_>, index: TaskIndex, soak: &Soak) -> String {
    let base = graph.edges[index].soaks.map_or(soak.task.value.as_str(), |base| graph.task(base).name.as_str());
    let words = [
        Some(base.to_owned()),
        soak.runs.map(|runs| format!("{runs} times")),
        soak.time.map(|time| format!("for {}", format_duration(time))),
        soak.until_failure.then(|| "until it fails".to_owned()),
        (soak.jobs > 1).then(|| format!("{} at once", soak.jobs)),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn info(place: &Place, args: &InfoArgs) -> Result<u8, CliError> {
    let project = Project::open(place, &[])?;
    let graph = project.graph();
    let index = find(&project, &graph, &args.task)?;
    if args.json {
        return print::json(&as_json(&project, &graph, index));
    }
    let task = graph.task(index);
    let edges = &graph.edges[index];
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "{name:<14} {}", clean_lines(&value, 15));
        }
    };
    let joined = |list: &[String]| list.join(", ");
    row("name", task.name.to_string());
    row("description", task.description.clone().unwrap_or_default());
    row("declared at", project.at(task.at));
    row("also called", joined(&task.aliases.iter().map(|alias| alias.value.clone()).collect::<Vec<_>>()));
    match &task.action {
        Action::Shell(commands) => row("run", commands.join("\n")),
        Action::Exec(words) => row("exec", words.join(" ")),
        Action::Uses(uses) => row("uses", uses.kind.name().into()),
        Action::Soak(soak) => row("soak", soaks(&graph, index, soak)),
        Action::Group { .. } => row("kind", "group".into()),
    }
    let of = |edges: &[crate::graph::Edge<'_>]| -> Vec<String> {
        edges
            .iter()
            .map(|edge| {
                let order = if edge.dep.order_only { " (order only)" } else { "" };
                format!("{}{order}", edge_name(&graph, edge))
            })
            .collect()
    };
    row("depends", joined(&of(&edges.depends)));
    row("sequence", edges.sequence.iter().map(|step| joined(&of(step))).collect::<Vec<_>>().join("\n"));
    let waits: Vec<String> = edges.wait_for.iter().map(|wait| graph.task(wait.to).name.to_string()).collect();
    row("wait_for", joined(&waits));
    let post: Vec<String> = edges
        .post
        .iter()
        .map(|(edge, when)| {
            let when = match when {
                When::Always => "",
                When::Failure => " (on failure)",
                When::Success => " (on success)",
            };
            format!("{}{when}", edge_name(&graph, edge))
        })
        .collect();
    row("depends_post", joined(&post));
    let declared = |list: Option<Vec<String>>| match list {
        Some(list) if list.is_empty() => "none".to_owned(),
        Some(list) => list.join(", "),
        None => "not declared".to_owned(),
    };
    if !matches!(task.action, Action::Group { .. }) {
        row("sources", declared(texts(task.sources.as_ref())));
        if task.service.is_none() {
            row("outputs", declared(texts(task.outputs.as_ref())));
        }
        row("writes", joined(&task.writes.iter().map(|pattern| pattern.value.full()).collect::<Vec<_>>()));
        row("ports", joined(&task.ports.iter().map(|port| port.name.value.clone()).collect::<Vec<_>>()));
        row("dir", task.dir.value.to_string());
        row("execute", task.execute.as_ref().map(|said| executes(said.value).to_owned()).unwrap_or_default());
        row(
            "platform",
            joined(&task.platform.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()),
        );
        row("requires", joined(&task.requires.iter().map(|name| name.value.clone()).collect::<Vec<_>>()));
        if let Some(service) = &task.service {
            row("service", service.value.describe());
        } else {
            row("timeout", format_duration(task.timeout.unwrap_or(project.config.settings.timeout)));
            let caching = match (cacheable(task), task.cache) {
                (false, _) => "never: it always runs",
                (true, CacheMode::Local) => "in this workspace only",
                (true, _) => "yes",
            };
            row("recorded", caching.into());
        }
    }
    row("help", task.help.clone().unwrap_or_default());
    print::text(&text)
}

fn deps(place: &Place, args: &DepsArgs) -> Result<u8, CliError> {
    let project = Project::open(place, &[])?;
    let graph = project.graph();
    let root = args.task.as_ref().map(|name| find(&project, &graph, name)).transpose()?;
    let shown: Vec<TaskIndex> = match root {
        Some(root) => closure(&graph, root, args.up),
        None => (0..project.config.tasks.len()).collect(),
    };
    let format = if args.json { GraphFormat::Json } else { args.format };
    let word = match format {
        GraphFormat::Svg => "svg",
        GraphFormat::Html => "html",
        _ => "",
    };
    if !word.is_empty() && args.output.is_none() && io::stdout().is_terminal() {
        let message = format!("`--format {word}` is for a file, and standard output is a terminal");
        return Err(CliError::usage(message, format!("add `--output tasks.{word}`, or `> tasks.{word}`")));
    }
    let title = || {
        let root = root.map(|root| graph.task(root).name.as_str());
        draw::title(place, &project, root, args.up)
    };
    let text = match format {
        GraphFormat::Json => {
            let all: Vec<Value> = shown.into_iter().map(|index| as_json(&project, &graph, index)).collect();
            print::as_json(&all)?
        }
        GraphFormat::Dot => draw::dot(&graph, &shown),
        GraphFormat::Mermaid => draw::mermaid(&graph, &shown),
        GraphFormat::Svg => draw::picture(&project, &graph, &shown, title(), None)?,
        GraphFormat::Html => {
            let known = Known::gather(place, &project, &graph);
            draw::picture(&project, &graph, &shown, title(), Some(&known))?
        }
        GraphFormat::Tree => {
            let mut text = String::new();
            let mut seen = BTreeSet::new();
            for root in root.map_or_else(|| roots(&graph), |root| vec![root]) {
                let _ = writeln!(text, "{}", graph.task(root).name);
                tree(&graph, root, "", args.up, &mut seen, &mut text);
            }
            text
        }
    };
    match &args.output {
        None => print::text(&text),
        Some(file) => {
            let path = place.folder.join(file);
            replace(&path, text.as_bytes())
                .map_err(|error| CliError::outside(format!("failed to write `{}`: {error}", path.display())))?;
            Ok(0)
        }
    }
}

/// The tasks that nothing waits for.
fn roots(graph: &Graph<'_>) -> Vec<TaskIndex> {
    let waited: BTreeSet<TaskIndex> = graph
        .edges
        .iter()
        .flat_map(|edges| edges.members().map(|edge| edge.to).chain(edges.post.iter().map(|(edge, _)| edge.to)))
        .collect();
    (0..graph.edges.len()).filter(|index| !waited.contains(index)).collect()
}

/// The tasks that wait for `index` themselves.
fn dependents(graph: &Graph<'_>, index: TaskIndex) -> Vec<TaskIndex> {
    (0..graph.edges.len()).filter(|other| graph.edges[*other].members().any(|edge| edge.to == index)).collect()
}

/// `root` and all it brings into a run, cleanups too; or all that waits for it.
fn closure(graph: &Graph<'_>, root: TaskIndex, up: bool) -> Vec<TaskIndex> {
    let mut seen = BTreeSet::new();
    let mut stack = vec![root];
    while let Some(at) = stack.pop() {
        if seen.insert(at) {
            match up {
                true => stack.extend(dependents(graph, at)),
                false => {
                    let edges = &graph.edges[at];
                    let cleanups = edges.post.iter().map(|(edge, _)| edge);
                    stack.extend(edges.members().chain(cleanups).map(|edge| edge.to));
                }
            }
        }
    }
    seen.into_iter().collect()
}

/// Draws what `index` waits for, or what waits for it. What was drawn before is named, and not drawn again.
fn tree(
    graph: &Graph<'_>,
    index: TaskIndex,
    indent: &str,
    up: bool,
    seen: &mut BTreeSet<TaskIndex>,
    text: &mut String,
) {
    if !seen.insert(index) {
        return;
    }
    let rows = if up {
        dependents(graph, index).into_iter().map(|other| (other, graph.task(other).name.to_string())).collect()
    } else {
        rows(graph, index)
    };
    let last = rows.len().saturating_sub(1);
    for (at, (to, name)) in rows.into_iter().enumerate() {
        let (branch, more) = if at == last { ("└── ", "    ") } else { ("├── ", "│   ") };
        let drawn = seen.contains(&to) && graph.edges[to].members().next().is_some();
        let _ = writeln!(text, "{indent}{branch}{name}{}", if drawn { " …" } else { "" });
        tree(graph, to, &format!("{indent}{more}"), up, seen, text);
    }
}

/// What a task waits for, with a note on how.
fn rows(graph: &Graph<'_>, index: TaskIndex) -> Vec<(TaskIndex, String)> {
    let edges = &graph.edges[index];
    let steps = edges.sequence.iter().enumerate();
    let stepped =
        steps.flat_map(|(step, inside)| inside.iter().map(move |edge| (edge, format!(" (step {})", step + 1))));
    let mut rows: Vec<(TaskIndex, String)> = edges
        .depends
        .iter()
        .map(|edge| (edge, if edge.dep.order_only { " (order only)" } else { "" }.to_owned()))
        .chain(stepped)
        .map(|(edge, note)| (edge.to, format!("{}{note}", edge_name(graph, edge))))
        .collect();
    rows.extend(
        edges.wait_for.iter().map(|wait| (wait.to, format!("{} (waits for, if it runs)", graph.task(wait.to).name))),
    );
    rows.extend(edges.post.iter().map(|(edge, _)| (edge.to, format!("{} (afterwards)", edge_name(graph, edge)))));
    rows
}
