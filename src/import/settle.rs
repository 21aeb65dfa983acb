//! What every draft must keep to before it is written: names that weir takes, edges that lead
//! somewhere and close no cycle, groups without keys of commands.

use super::draft::{Action, Draft, Edge, Note, TaskDraft};
use crate::config::{Pattern, build_glob, did_you_mean};
use crate::model::WsPath;
use std::collections::{BTreeMap, BTreeSet};

/// Makes a draft load.
pub(super) fn settle(draft: &mut Draft) {
    names(draft);
    draft.env.retain(|(name, value)| {
        let fits = is_variable(name) && !value.contains('\0');
        if !fits {
            draft.notes.push(Note::new("env", name, 0, "left out, it can't be given to a process"));
        }
        fits
    });
    for task in &mut draft.tasks {
        for_processes(task);
    }
    aliases(draft);
    edges(draft);
    for task in &mut draft.tasks {
        patterns(task);
        group(task);
    }
    cycles(draft);
    order(draft);
    once(draft);
    globs(draft);
    for task in &mut draft.tasks {
        if matches!(task.action, Action::Group) && task.depends.is_empty() {
            task.action = Action::Run(vec![":".into()]);
        }
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// What can't be given to a process goes.
fn for_processes(task: &mut TaskDraft) {
    // An empty command does nothing, and well.
    if let Action::Run(commands) = &mut task.action {
        commands.iter_mut().filter(|text| text.trim().is_empty()).for_each(|text| *text = ":".into());
    }
    let commands: Vec<String> = match &task.action {
        Action::Run(words) | Action::Exec(words) => words.clone(),
        Action::Group | Action::Sequence(_) => vec![],
    };
    let words = commands.iter().chain(&task.shell);
    if let Some(command) = words.into_iter().find(|word| word.contains('\0')) {
        let command = command.clone();
        task.refuse("run", "a NUL character can't be given to a process", &command);
    }
    let fits = |(name, value): &(String, String)| is_variable(name) && !value.contains('\0');
    for name in task.env.iter().filter(|pair| !fits(pair)).map(|(name, _)| name.clone()).collect::<Vec<_>>() {
        task.note("env", &name, "left out, it can't be given to a process");
    }
    task.env.retain(fits);
    let name = |name: &String| name == "*" || is_variable(name.strip_suffix('*').unwrap_or(name));
    for list in [&mut task.env_inputs, &mut task.pass_through, &mut task.env_required, &mut task.redact] {
        list.retain(name);
        list.dedup();
    }
    let mut lost = None;
    for edge in task.edges_mut() {
        if !edge.env.iter().all(fits) || edge.args.iter().any(|word| word.contains('\0')) {
            lost = Some(edge.task.clone());
        }
    }
    if let Some(lost) = lost {
        task.refuse("depends", "what it is given can't be given to a process", &lost);
        task.depends.retain(|edge| edge.task != lost);
        task.depends_post.retain(|edge| edge.task != lost);
    }
    arguments(task);
}

/// Arguments that weir takes: names of their own, the required ones first, defaults among the choices.
fn arguments(task: &mut TaskDraft) {
    let names: BTreeSet<&str> = task.args.iter().map(|argument| argument.name.as_str()).collect();
    let named = |name: &str| !name.starts_with('-') && is_variable(&name.replace('-', "_"));
    if names.len() < task.args.len() || !names.iter().all(|name| named(name)) {
        let names: Vec<&str> = task.args.iter().map(|argument| argument.name.as_str()).collect();
        let names = names.join(" ");
        return task.refuse("args", "names that are none here, or used twice", &names);
    }
    let (mut optional, mut notes) = (false, Vec::new());
    for argument in &mut task.args {
        if argument.required && optional {
            argument.required = false;
            notes.push(format!("`{}` is not demanded, since it comes after one that may be left out", argument.name));
        }
        optional |= !argument.required;
        let default = argument.default.as_ref();
        if default.is_some_and(|default| !argument.choices.is_empty() && !argument.choices.contains(default)) {
            notes.push(format!("the choices of `{}` are left out, its default is none of them", argument.name));
            argument.choices.clear();
        }
    }
    for note in notes {
        task.note("args", "arguments", note);
    }
}

/// A name that weir takes for a task.
fn clean(name: &str) -> String {
    let bad = |c: char| c.is_whitespace() || c.is_control() || "*?[]{}/\\@#!".contains(c);
    let clean: String = name.chars().map(|c| if bad(c) { '-' } else { c }).collect();
    match clean.trim_start_matches('-') {
        "" => "task".to_owned(),
        clean => clean.to_owned(),
    }
}

fn names(draft: &mut Draft) {
    let mut taken: BTreeSet<String> =
        draft.tasks.iter().filter(|task| clean(&task.name) == task.name).map(|task| task.name.clone()).collect();
    let mut renamed: BTreeMap<String, String> = BTreeMap::new();
    for task in &mut draft.tasks {
        let wanted = clean(&task.name);
        if wanted == task.name {
            continue;
        }
        let mut name = wanted.clone();
        let mut number = 2;
        while !taken.insert(name.clone()) {
            name = format!("{wanted}-{number}");
            number += 1;
        }
        task.note("", "name", format!("it was called `{}`, which is no name here", task.name));
        renamed.insert(std::mem::replace(&mut task.name, name.clone()), name);
    }
    for task in &mut draft.tasks {
        for edge in task.edges_mut() {
            if let Some(name) = renamed.get(&edge.task) {
                edge.task.clone_from(name);
            }
        }
        for name in &mut task.wait_for {
            if let Some(to) = renamed.get(name) {
                name.clone_from(to);
            }
        }
    }
}

fn aliases(draft: &mut Draft) {
    let mut taken: BTreeSet<String> = draft.tasks.iter().map(|task| task.name.clone()).collect();
    for task in &mut draft.tasks {
        for alias in std::mem::take(&mut task.alias) {
            if clean(&alias) == alias && taken.insert(alias.clone()) {
                task.alias.push(alias);
            } else {
                task.note("alias", "alias", format!("`{alias}` left out, it is taken or no name here"));
            }
        }
    }
}

/// Edges to what is not there go; those to an alias name the task.
fn edges(draft: &mut Draft) {
    let from = draft.from.clone();
    let known: BTreeMap<String, String> = draft
        .tasks
        .iter()
        .flat_map(|task| std::iter::once(&task.name).chain(&task.alias).map(|name| (name.clone(), task.name.clone())))
        .collect();
    let find = |task: &mut TaskDraft, at: &'static str, name: &str, optional: bool| {
        if let Some(found) = known.get(name) {
            return Some(found.clone());
        }
        if !optional {
            let like = did_you_mean(name, known.keys().map(String::as_str));
            let like = like.map_or_else(String::new, |like| format!("; did it mean `{like}`?"));
            task.note(at, at, format!("`{name}` left out, it is no task of {from}{like}"));
        }
        None
    };
    for task in &mut draft.tasks {
        let keep = |task: &mut TaskDraft, at: &'static str, edges: Vec<Edge>| {
            let mut kept: Vec<Edge> = Vec::new();
            for mut edge in edges {
                if let Some(name) = find(task, at, &edge.task, edge.optional) {
                    edge.task = name;
                    edge.optional = false;
                    if !kept.contains(&edge) {
                        kept.push(edge);
                    }
                }
            }
            kept
        };
        let depends = std::mem::take(&mut task.depends);
        task.depends = keep(task, "depends", depends);
        let post = std::mem::take(&mut task.depends_post);
        task.depends_post = keep(task, "depends_post", post);
        task.action = match std::mem::take(&mut task.action) {
            Action::Sequence(steps) => {
                let steps = steps.into_iter().map(|step| keep(task, "sequence", step)).filter(|step| !step.is_empty());
                let steps: Vec<Vec<Edge>> = steps.collect();
                if steps.is_empty() { Action::Group } else { Action::Sequence(steps) }
            }
            other => other,
        };
        let mut waits: Vec<String> = Vec::new();
        for name in std::mem::take(&mut task.wait_for) {
            if let Some(name) = find(task, "wait_for", &name, false)
                && !waits.contains(&name)
            {
                waits.push(name);
            }
        }
        task.wait_for = waits;
    }
}

/// A source that weir can't take in means that nothing may be skipped.
fn patterns(task: &mut TaskDraft) {
    let bad = |list: &Option<Vec<String>>| {
        let list = list.as_deref()?;
        let negations = !list.is_empty() && list.iter().all(|pattern| pattern.starts_with('!'));
        list.iter().find(|pattern| Pattern::parse(&WsPath::root(), pattern).is_err() || negations).cloned()
    };
    if let Some(bad) = bad(&task.sources).or_else(|| bad(&task.outputs)) {
        task.uncache_because(&format!("`{bad}` is no path or glob inside the workspace"));
    }
    let whole = |pattern: &String| matches!(pattern.trim_end_matches('/'), "." | "*" | "**" | "**/*");
    if task.outputs.as_ref().is_some_and(|outputs| outputs.iter().any(whole)) {
        task.uncache_because("its outputs are the whole workspace");
    }
    if task.interactive && task.sources.is_some() {
        task.uncache_because("it has the terminal to itself");
    }
}

/// What has no command can't have a command's keys.
fn group(task: &mut TaskDraft) {
    if task.acts() {
        return;
    }
    if matches!(task.action, Action::Group) && task.depends.is_empty() {
        return;
    }
    let keys: Vec<&str> = [
        ("args", task.args.is_empty()),
        ("dir", task.dir.is_none()),
        ("shell", task.shell.is_empty()),
        ("env", task.env.is_empty()),
        ("env_file", task.env_file.is_empty()),
        ("path", task.path.is_empty()),
        ("sources", task.sources.is_none()),
        ("outputs", task.outputs.is_none()),
        ("interactive", !task.interactive),
        ("quiet", !task.quiet),
        ("confirm", task.confirm.is_none()),
        ("timeout", task.timeout.is_none()),
    ]
    .into_iter()
    .filter(|(_, absent)| !absent)
    .map(|(name, _)| name)
    .collect();
    // What the whole file's environment brings to each task is no loss here.
    let own: Vec<&str> = keys.into_iter().filter(|key| !matches!(*key, "env_file" | "path")).collect();
    if !own.is_empty() {
        task.note("", &own.join("`, `"), "left out, since it runs no command itself");
    }
    (task.args, task.dir, task.shell, task.env) = (vec![], None, vec![], vec![]);
    (task.env_file, task.path, task.redact, task.env_required) = (vec![], vec![], vec![], vec![]);
    (task.interactive, task.quiet, task.cache_off, task.warn) = (false, false, false, false);
    (task.confirm, task.timeout) = (None, None);
    task.notes.retain(|note| !matches!(note.at, "pass_through" | "env_inputs"));
    task.uncache();
}

/// An edge that closes a cycle goes: the other tool refuses it when it is run, weir at once.
fn cycles(draft: &mut Draft) {
    let index: BTreeMap<String, usize> =
        draft.tasks.iter().enumerate().map(|(index, task)| (task.name.clone(), index)).collect();
    while let Some((from, to)) = find_cycle(draft, &index) {
        let gone = draft.tasks[to].name.clone();
        let task = &mut draft.tasks[from];
        task.depends.retain(|edge| edge.task != gone);
        task.depends_post.retain(|edge| edge.task != gone);
        task.wait_for.retain(|name| *name != gone);
        if let Action::Sequence(steps) = &mut task.action {
            steps.iter_mut().for_each(|step| step.retain(|edge| edge.task != gone));
            steps.retain(|step| !step.is_empty());
            if steps.is_empty() {
                task.action = Action::Group;
            }
        }
        task.note("depends", "depends", format!("`{gone}` left out, it closes a cycle"));
    }
}

/// The edge that closes the first cycle found.
fn find_cycle(draft: &Draft, index: &BTreeMap<String, usize>) -> Option<(usize, usize)> {
    let next = |at: usize| -> Vec<usize> {
        let task = &draft.tasks[at];
        let steps: &[Vec<Edge>] = if let Action::Sequence(steps) = &task.action { steps } else { &[] };
        let names = task.depends.iter().chain(steps.iter().flatten()).map(|edge| &edge.task).chain(&task.wait_for);
        names.filter_map(|name| index.get(name).copied()).collect()
    };
    // 0 unseen, 1 on the way, 2 done.
    let mut state = vec![0_u8; draft.tasks.len()];
    for start in 0..draft.tasks.len() {
        if state[start] != 0 {
            continue;
        }
        let mut way = vec![(start, next(start), 0)];
        state[start] = 1;
        while let Some((at, successors, done)) = way.last_mut() {
            let Some(&to) = successors.get(*done) else {
                state[*at] = 2;
                way.pop();
                continue;
            };
            *done += 1;
            match state[to] {
                1 => return Some((*at, to)),
                0 => {
                    state[to] = 1;
                    way.push((to, next(to), 0));
                }
                _ => {}
            }
        }
    }
    None
}

/// Dependencies that ran one after the other still do, where none of them waits for the one before
/// anyhow: a sequence, with the command as its last step.
fn order(draft: &mut Draft) {
    let mut at = 0;
    while at < draft.tasks.len() {
        at += 1;
        let task = &draft.tasks[at - 1];
        let firm: Vec<&str> =
            task.depends.iter().filter(|edge| !edge.order_only).map(|edge| edge.task.as_str()).collect();
        let cached = |name: &str| draft.tasks.iter().any(|task| task.name == name && task.sources.is_some());
        let implied = |pair: &[&str]| pair[0] == pair[1] || needs(draft, pair[1]).contains(pair[0]);
        if !task.ordered || firm.iter().all(|name| cached(name)) || firm.windows(2).all(implied) {
            continue;
        }
        if task.acts() && (!task.args.is_empty() || task.sources.is_some()) {
            draft.tasks[at - 1].note("depends", "depends", "these may run at the same time here");
            continue;
        }
        let name = format!("{}.step1", task.name);
        let taken = draft.tasks.iter().any(|task| task.name == name);
        let task = &mut draft.tasks[at - 1];
        let mut steps: Vec<Vec<Edge>> = std::mem::take(&mut task.depends).into_iter().map(|edge| vec![edge]).collect();
        if task.acts() {
            if taken {
                task.depends = steps.into_iter().flatten().collect();
                continue;
            }
            steps.push(vec![Edge::to(&name)]);
            let mut helper = task.clone();
            (helper.name, helper.hide, helper.ordered) = (name, true, false);
            (helper.description, helper.alias, helper.depends_post) = (None, vec![], vec![]);
            helper.wait_for.clear();
            // The task itself keeps what a group may have.
            let empty = TaskDraft::new(&task.name, task.line);
            *task = TaskDraft {
                description: task.description.take(),
                alias: std::mem::take(&mut task.alias),
                hide: task.hide,
                depends_post: std::mem::take(&mut task.depends_post),
                wait_for: std::mem::take(&mut task.wait_for),
                ..empty
            };
            task.action = Action::Sequence(steps);
            draft.tasks.insert(at, helper);
        } else {
            task.action = Action::Sequence(steps);
        }
    }
}

/// A task runs once in a run: where a later step names what an earlier one needs, it has run by then.
fn once(draft: &mut Draft) {
    for at in 0..draft.tasks.len() {
        let Action::Sequence(steps) = &draft.tasks[at].action else { continue };
        let (mut kept, mut gone): (Vec<Vec<Edge>>, Vec<String>) = (Vec::new(), Vec::new());
        let mut done: BTreeSet<String> = BTreeSet::new();
        for step in steps {
            let mut rest: Vec<Edge> = Vec::new();
            for edge in step {
                let again = done.contains(&edge.task) && edge.args.is_empty() && edge.env.is_empty();
                if again {
                    gone.push(edge.task.clone());
                } else {
                    rest.push(edge.clone());
                }
            }
            for edge in &rest {
                done.extend(needs(draft, &edge.task));
                if edge.args.is_empty() && edge.env.is_empty() {
                    done.insert(edge.task.clone());
                }
            }
            if !rest.is_empty() {
                kept.push(rest);
            }
        }
        if !gone.is_empty() {
            let task = &mut draft.tasks[at];
            task.note("sequence", "order", format!("`{}` runs once, before what needs it", gone.join("`, `")));
            task.action = Action::Sequence(kept);
        }
    }
}

/// Everything that a task waits for.
fn needs(draft: &Draft, name: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![name.to_owned()];
    while let Some(name) = open.pop() {
        let Some(task) = draft.tasks.iter().find(|task| task.name == name) else { continue };
        let steps: &[Vec<Edge>] = if let Action::Sequence(steps) = &task.action { steps } else { &[] };
        for edge in task.depends.iter().chain(steps.iter().flatten()) {
            if found.insert(edge.task.clone()) {
                open.push(edge.task.clone());
            }
        }
    }
    found
}

/// Where a glob of names means here what it meant there, it is written as one again.
fn globs(draft: &mut Draft) {
    let all: Vec<String> = draft.tasks.iter().map(|task| task.name.clone()).collect();
    for task in &mut draft.tasks {
        let mut folded: Vec<Edge> = Vec::new();
        for edge in &task.depends {
            let Some(glob) = &edge.glob else {
                folded.push(edge.clone());
                continue;
            };
            let members: BTreeSet<&String> = task
                .depends
                .iter()
                .filter(|other| other.glob.as_ref() == Some(glob))
                .map(|other| &other.task)
                .collect();
            let meant = build_glob(glob).ok().map(|glob| glob.compile_matcher());
            let found: BTreeSet<&String> =
                all.iter().filter(|name| meant.as_ref().is_some_and(|meant| meant.is_match(name))).collect();
            let edge = if members == found {
                Edge { task: glob.clone(), glob: None, ..edge.clone() }
            } else {
                Edge { glob: None, ..edge.clone() }
            };
            if !folded.contains(&edge) {
                folded.push(edge);
            }
        }
        task.depends = folded;
    }
}
