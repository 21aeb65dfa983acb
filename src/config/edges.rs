//! Edges to other tasks: `depends`, `depends_post`, `sequence`.

use super::diagnostic::{Diagnostic, Located};
use super::keys::{Key, Scope, Set, Shape};
use super::pattern::build_glob;
use super::task::{Dep, PostDep, When};
use super::values::{Reader, Value};
use toml::de::DeValue;

/// A list of strings, or a string that stands for a list of one.
pub(super) const STRINGS: Shape = Shape::Any(&[TEXT, Shape::List(&TEXT, false)]);
/// Any string.
pub(super) const TEXT: Shape = Shape::Text("string");
/// Variables.
pub(super) const ENV: Shape = Shape::Map(&Shape::Scalar);
const EDGE: Shape = Shape::Any(&[Shape::Text("task"), Shape::Table("dependency")]);
/// Edges.
pub(super) const EDGES: Shape =
    Shape::Any(&[Shape::Text("task"), Shape::Table("dependency"), Shape::List(&EDGE, false)]);
const POST_EDGE: Shape = Shape::Any(&[Shape::Text("task"), Shape::Table("cleanup")]);
/// Cleanup edges.
pub(super) const POST_EDGES: Shape =
    Shape::Any(&[Shape::Text("task"), Shape::Table("cleanup"), Shape::List(&POST_EDGE, false)]);
const STEP: Shape = Shape::Any(&[Shape::Text("task"), Shape::Table("dependency"), Shape::List(&EDGE, true)]);
/// Steps in order, each a task or a list that runs in parallel.
pub(super) const STEPS: Shape = Shape::List(&STEP, true);

const EXPECTED: &str = "a task's name or a list";
const WHEN: [(&str, When); 3] = [("always", When::Always), ("failure", When::Failure), ("success", When::Success)];

/// An edge while it is read.
pub(super) struct EdgeDraft {
    dep: Dep,
    when: When,
}

const fn edge(
    name: &'static str,
    shape: Shape,
    example: &'static str,
    doc: &'static str,
    read: Set<EdgeDraft>,
) -> Key<Set<EdgeDraft>> {
    Key::new(name, shape, example, doc, read)
}

const EDGE_TASK: Key<Set<EdgeDraft>> = edge(
    "task",
    Shape::Text("task"),
    "\"build\"",
    "A task's name, or a glob of names. A name without `//` in front is looked for in this file first.",
    |edge, reader, entry| edge.dep.task = task_reference(reader, entry.value).unwrap_or_default(),
)
.required();
const EDGE_ARGS: Key<Set<EdgeDraft>> =
    edge("args", STRINGS, "[\"--fast\"]", "Arguments given to it.", |edge, reader, entry| {
        edge.dep.args = reader.strings(entry.value, Reader::string).unwrap_or_default();
    });
const EDGE_ENV: Key<Set<EdgeDraft>> =
    edge("env", ENV, "{ MODE = \"test\" }", "Variables given to it.", |edge, reader, entry| {
        edge.dep.env = reader.env(entry.value).unwrap_or_default();
    });
const EDGE_OPTIONAL: Key<Set<EdgeDraft>> =
    edge("optional", Shape::Bool, "true", "No error if there is no such task.", |edge, reader, entry| {
        edge.dep.optional = reader.boolean(entry.value).unwrap_or_default();
    });

/// `{ task, … }` in `depends` and `sequence`.
pub(super) static DEPENDENCY: Scope<Set<EdgeDraft>> = Scope {
    what: "a dependency",
    keys: &[
        EDGE_TASK,
        EDGE_ARGS,
        EDGE_ENV,
        edge(
            "order_only",
            Shape::Bool,
            "true",
            "It comes first, but what it does is no input of this task.",
            |edge, reader, entry| edge.dep.order_only = reader.boolean(entry.value).unwrap_or_default(),
        ),
        EDGE_OPTIONAL,
    ],
    unbuilt: &[],
};

/// `{ task, when }` in `depends_post`.
pub(super) static CLEANUP: Scope<Set<EdgeDraft>> = Scope {
    what: "a cleanup",
    keys: &[
        EDGE_TASK,
        edge(
            "when",
            Shape::Words(&["always", "failure", "success"]),
            "\"failure\"",
            "Whether it runs however the task ended (`always`, the default), when it failed, or when it succeeded.",
            |edge, reader, entry| edge.when = reader.choice(entry.value, &WHEN).unwrap_or(When::Always),
        ),
        EDGE_ARGS,
        EDGE_ENV,
        EDGE_OPTIONAL,
    ],
    unbuilt: &[],
};

/// A task's name, or a glob of names.
pub(super) fn task_reference(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<String> {
    let name = reader.text(value)?;
    let at = reader.at(value.span());
    if name.contains(|c: char| c.is_whitespace() || c.is_control()) || name.trim_start_matches('/').is_empty() {
        let help = "names hold no blanks; arguments go into `{ task = \"…\", args = [\"…\"] }`";
        reader.report(Diagnostic::error("config::bad-name", at, format!("`{name}` is no name of a task")).help(help));
        return None;
    }
    if name.contains(['*', '?', '[', ']', '{', '}', '\\'])
        && let Err(why) = build_glob(&name)
    {
        reader.report(
            Diagnostic::error("config::bad-glob", at, format!("`{name}` is no valid glob: {}", why.kind()))
                .help("`*`, `?`, `[…]` and `{a,b}` have a meaning in names of tasks"),
        );
        return None;
    }
    Some(name)
}

/// One edge: a name, or a table of `scope`.
fn one_edge(reader: &mut Reader<'_>, value: &Value<'_>, scope: &Scope<Set<EdgeDraft>>) -> Option<Located<EdgeDraft>> {
    let at = reader.at(value.span());
    let mut draft = EdgeDraft {
        dep: Dep { task: String::new(), args: vec![], env: Default::default(), order_only: false, optional: false },
        when: When::Always,
    };
    match value.get_ref() {
        DeValue::String(_) => draft.dep.task = task_reference(reader, value)?,
        DeValue::Table(table) => scope.read(reader, table, at, &mut draft),
        _ => reader.wrong_type(value, "a task's name or a table"),
    }
    (!draft.dep.task.is_empty()).then(|| Located::new(draft, at))
}

fn dependency(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Located<Dep>> {
    one_edge(reader, value, &DEPENDENCY).map(|edge| Located::new(edge.value.dep, edge.at))
}

fn cleanup(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Located<PostDep>> {
    one_edge(reader, value, &CLEANUP)
        .map(|edge| Located::new(PostDep { dep: edge.value.dep, when: edge.value.when }, edge.at))
}

/// One of something, or a list.
pub(super) fn one_or_list<T>(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
    expected: &str,
    mut item: impl FnMut(&mut Reader<'_>, &Value<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    match value.get_ref() {
        DeValue::String(_) | DeValue::Table(_) => Some(item(reader, value).into_iter().collect()),
        _ => reader.list(value, expected, item),
    }
}

/// `depends`.
pub(super) fn dependencies(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Vec<Located<Dep>>> {
    one_or_list(reader, value, EXPECTED, dependency)
}

/// `depends_post`.
pub(super) fn cleanups(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Vec<Located<PostDep>>> {
    one_or_list(reader, value, EXPECTED, cleanup)
}

/// `sequence`: steps, each one task or a list of tasks.
pub(super) fn steps(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Vec<Vec<Located<Dep>>>> {
    let steps = reader.list(value, "a list of steps", |reader, step| {
        let tasks = one_or_list(reader, step, EXPECTED, dependency)?;
        reader.not_empty(step, "this step", tasks)
    })?;
    reader.not_empty(value, "`sequence`", steps)
}
