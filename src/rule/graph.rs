//! The graph before and after: nothing that was held is let go unseen.

use super::facts::{Case, GraphFacts, Profiled, TaskFact};
use super::finding::{Change, Finding, Kind};
use crate::config::Expect;

const FILE: &str = "tasks.toml";

/// What the graph lost.
pub(super) fn findings(case: &Case) -> Vec<Finding> {
    let broken = |why: &str, when: &str| {
        let message = format!("tasks.toml {when}, so that the graphs can't be compared: {why}");
        vec![Finding::new(Kind::Graph, FILE, Change::Changed, (FILE, 1), message)]
    };
    let mut found: Vec<Finding> = match (&case.before.graph, &case.after.graph) {
        (GraphFacts::Absent, _) => vec![],
        (_, GraphFacts::Broken(why)) => broken(why, "does not load"),
        (GraphFacts::Broken(why), _) => broken(why, "did not load where this change began"),
        (GraphFacts::Loaded(_), GraphFacts::Absent) => {
            let message = "tasks.toml is gone, and with it every check".to_owned();
            vec![Finding::new(Kind::Graph, FILE, Change::Removed, (FILE, 1), message)]
        }
        (GraphFacts::Loaded(before), GraphFacts::Loaded(after)) => {
            before.iter().zip(after).flat_map(|(before, after)| compared(before, after)).collect()
        }
    };
    found.extend(settings(case));
    found.sort_by(|a, b| (a.kind, &a.object, &a.message).cmp(&(b.kind, &b.object, &b.message)));
    found.dedup_by(|a, b| (a.kind, &a.object, &a.message) == (b.kind, &b.object, &b.message));
    found
}

fn compared(before: &Profiled, after: &Profiled) -> Vec<Finding> {
    let mut found = Vec::new();
    let at = |task: &TaskFact| (task.at.0.clone(), task.at.1);
    let mut find = |kind, name: &str, change, at: (String, usize), message: String| {
        found.push(Finding::new(kind, name, change, (&at.0, at.1), message));
    };
    for entry in before.entries.iter().filter(|entry| !after.entries.contains(entry)) {
        let message = format!("`{entry}` is no entry task any more");
        find(Kind::Task, entry, Change::Removed, (FILE.into(), 1), message);
    }
    for (name, was) in &before.tasks {
        if was.acts.is_none() && was.gate.is_none() {
            continue;
        }
        let Some(is) = after.tasks.get(name) else {
            if was.reached {
                let message = format!("`{name}` is gone, which an entry task reached");
                find(Kind::Task, name, Change::Removed, at(was), message);
            } else if was.check || was.gate.is_some() {
                find(Kind::Check, name, Change::Removed, at(was), format!("the check `{name}` is gone"));
            }
            continue;
        };
        if was.reached && !is.reached {
            let message = format!("no entry task reaches `{name}` any more");
            find(Kind::Task, name, Change::Removed, at(is), message);
        }
        for (kind, message) in weakened(name, was, is) {
            find(kind, name, Change::Changed, at(is), message);
        }
    }
    for rule in before.gate_rules.difference(&after.gate_rules) {
        find(Kind::Check, rule, Change::Removed, (FILE.into(), 1), format!("the gate's `{rule}` is gone"));
    }
    found
}

/// How a task that is still there holds less than it did.
fn weakened(name: &str, was: &TaskFact, is: &TaskFact) -> Vec<(Kind, String)> {
    let mut found = Vec::new();
    if was.gate.is_some() && was.gate != is.gate {
        found.push((
            Kind::Gate,
            format!("`{name}` records no outcome as `{}` any more", was.gate.as_deref().unwrap_or_default()),
        ));
    }
    if is.warns && !was.warns {
        found.push((Kind::Gate, format!("a failure of `{name}` is only a warning now")));
    }
    if is.masked && !was.masked {
        found.push((Kind::Gate, format!("the command of `{name}` can't fail any more")));
    }
    if was.reset && !is.reset {
        found.push((Kind::Reset, format!("`{name}` is no reset any more, and may be skipped")));
    }
    let node = |task: &TaskFact| task.acts.clone().filter(|acts| acts.contains('.'));
    match (&was.acts, &is.acts) {
        (Some(_), None) => found.push((Kind::Check, format!("`{name}` does nothing itself any more"))),
        (Some(before), Some(after)) if before != after && node(was).is_some() => {
            found.push((Kind::Check, format!("`{name}` was a `{before}` and is a `{after}`")));
        }
        _ => {}
    }
    if let Some(before) = was.expect
        && is_lower(before, is.expect)
    {
        found.push((Kind::Expect, format!("the report of `{name}` must hold less than it had to")));
    }
    found
}

fn is_lower(before: Expect, after: Option<Expect>) -> bool {
    let bound = |most: Option<u32>| most.map_or(u64::MAX, u64::from);
    after.is_none_or(|after| {
        after.min_tests < before.min_tests
            || bound(after.max_skipped) > bound(before.max_skipped)
            || after.max_failed > before.max_failed
    })
}

/// The rule's own settings: they decide what it sees.
fn settings(case: &Case) -> Vec<Finding> {
    if !matches!(case.before.graph, GraphFacts::Loaded(_)) {
        return vec![];
    }
    let (was, is) = (&case.before.settings, &case.after.settings);
    let mut lost = Vec::new();
    let mut moved = |name: &str, was: &str, is: &str| {
        if was != is {
            lost.push((name.to_owned(), format!("`{name}` was `{was}` and is `{is}`")));
        }
    };
    moved("base", &was.base, &is.base);
    moved("manifest", &was.manifest, &is.manifest);
    moved("exceptions", &was.exceptions, &is.exceptions);
    if is.max_days > was.max_days {
        lost.push((
            "max_days".into(),
            format!("an exception may last {} days instead of {}", is.max_days, was.max_days),
        ));
    }
    let texts = |all: &[crate::config::Pattern]| all.iter().map(|pattern| pattern.full()).collect::<Vec<String>>();
    for (name, was, is) in [
        ("paths", texts(&was.paths), texts(&is.paths)),
        ("migrations", was.migrations.clone(), is.migrations.clone()),
        ("ci", texts(&was.ci), texts(&is.ci)),
        ("checks", was.checks.clone(), is.checks.clone()),
    ] {
        // A pattern that takes away is lost where it is new.
        let gone = was.iter().filter(|path| !is.contains(path) && !path.starts_with('!'));
        let new = is.iter().filter(|path| !was.contains(path) && path.starts_with('!'));
        lost.extend(gone.chain(new).map(|path| (name.to_owned(), format!("`{name}` does not hold `{path}` any more"))));
    }
    lost.into_iter()
        .map(|(name, message)| Finding::new(Kind::Rule, name, Change::Changed, (FILE, 1), message))
        .collect()
}
