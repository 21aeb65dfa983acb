//! Arguments given to a task, held against those it declares.

use crate::config::{Action, Task, did_you_mean};
use crate::node::Bound;

/// Binds `given` to what `task` declares.
///
/// # Errors
/// A message and a help line.
pub fn bind(task: &Task, given: &[String]) -> Result<Bound, (String, String)> {
    if matches!(task.action, Action::Group { .. }) && !given.is_empty() {
        return Err((
            format!("`{}` groups other tasks and takes no arguments", task.name),
            "give them to one of its tasks".into(),
        ));
    }
    if task.args.is_empty() {
        return Ok(Bound { positional: given.to_vec(), named: vec![] });
    }
    if let Some(extra) = given.get(task.args.len()) {
        return Err((
            format!("`{}` takes {} and got `{extra}` as one more", task.name, count(task.args.len())),
            format!("it declares {}", listed(task)),
        ));
    }
    let mut bound = Bound::default();
    for (index, spec) in task.args.iter().enumerate() {
        let value = given.get(index).or(spec.default.as_ref());
        let Some(value) = value else {
            if spec.required {
                return Err((
                    format!("`{}` needs argument `{}`", task.name, spec.name),
                    format!("weir run {} -- {}", task.name, listed(task)),
                ));
            }
            continue;
        };
        if !spec.choices.is_empty() && !spec.choices.contains(value) {
            let like = did_you_mean(value, spec.choices.iter().map(String::as_str));
            return Err((
                format!("`{value}` is no choice for argument `{}` of `{}`", spec.name, task.name),
                like.map_or_else(
                    || format!("choose one of `{}`", spec.choices.join("`, `")),
                    |like| format!("did you mean `{like}`?"),
                ),
            ));
        }
        bound.positional.push(value.clone());
        bound.named.push((spec.name.clone(), value.clone()));
    }
    Ok(bound)
}

fn count(n: usize) -> String {
    if n == 1 { "one argument".into() } else { format!("{n} arguments") }
}

fn listed(task: &Task) -> String {
    let names: Vec<String> = task
        .args
        .iter()
        .map(|spec| if spec.required { format!("<{}>", spec.name) } else { format!("[{}]", spec.name) })
        .collect();
    names.join(" ")
}
