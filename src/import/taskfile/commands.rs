//! Entries of `cmds` and `deps`.

use super::super::draft::Edge;
use super::super::shell::Val;
use super::super::tree::{Tree, Value};
use super::absolute;
use super::template::Scope;

/// An entry of `cmds`.
#[derive(Debug)]
pub(super) enum Step {
    Command(String),
    Call(Edge),
    /// Run at the end, however that comes.
    Deferred(String),
    DeferredCall(Edge),
}

/// The entries of `cmds`.
///
/// # Errors
/// Why one can't be carried over, and which.
pub(super) fn steps(list: &Tree, scope: &mut Scope, prefix: &str) -> Result<Vec<Step>, (String, String)> {
    let mut steps = Vec::new();
    for item in list.one_or_more() {
        let fail =
            |why: String| (why, item.at("cmd").text().or(item.text()).map_or_else(|| item.shown(), str::to_owned));
        if item.get("for").is_some() {
            for value in each(item.at("for")).map_err(fail)? {
                let mut scope = scope.clone();
                let name = item.at("for").at("as").text().unwrap_or("ITEM").to_owned();
                scope.variables.insert(name, Ok(Val::Static(value)));
                steps.push(step(item, &mut scope, prefix).map_err(fail)?);
            }
        } else {
            steps.push(step(item, scope, prefix).map_err(fail)?);
        }
    }
    Ok(steps)
}

fn step(item: &Tree, scope: &mut Scope, prefix: &str) -> Result<Step, String> {
    if let Some(text) = item.text() {
        return Ok(Step::Command(scope.fill(text.trim_end())?));
    }
    if let Some(key) = ["if", "platforms", "set", "shopt"].into_iter().find(|key| item.get(key).is_some()) {
        return Err(format!("`{key}` of a command has no counterpart"));
    }
    let deferred = item.at("defer");
    if let Some(text) = deferred.text() {
        return Ok(Step::Deferred(scope.fill(text)?));
    }
    if deferred.get("task").is_some() {
        return Ok(Step::DeferredCall(call(deferred, scope, prefix)?));
    }
    if item.get("task").is_some() {
        return Ok(Step::Call(call(item, scope, prefix)?));
    }
    let text = item.at("cmd").text().ok_or_else(|| format!("{} is no command", item.shown()))?;
    let text = scope.fill(text.trim_end())?;
    Ok(Step::Command(if item.at("ignore_error").truth() { format!("( {text}\n) || :") } else { text }))
}

/// What a `for` goes through.
fn each(list: &Tree) -> Result<Vec<String>, String> {
    match &list.value {
        Value::List(_) => Ok(list.strings()),
        _ => Err(format!("`for: {}` is not known before it runs", list.shown())),
    }
}

/// A call of another task: by name, or with variables, which it finds in its environment.
///
/// # Errors
/// It is not known before it runs what is called.
pub(super) fn call(item: &Tree, scope: &mut Scope, prefix: &str) -> Result<Edge, String> {
    let name =
        item.text().or_else(|| item.at("task").text()).ok_or_else(|| format!("{} names no task", item.shown()))?;
    let name = scope.fill(name)?;
    if name.contains('$') {
        return Err(format!("`{name}` is not known before it runs"));
    }
    let mut edge = Edge::to(absolute(prefix, &name));
    if let Some(short) = edge.task.strip_suffix(":default") {
        edge.task = short.to_owned();
    }
    for (name, entry) in item.at("vars").map() {
        match scope.entry(entry)? {
            Val::Static(text) => edge.env.push((name.clone(), text)),
            Val::Dynamic(_) => return Err(format!("what is given as `{name}` is not known before it runs")),
        }
    }
    Ok(edge)
}
