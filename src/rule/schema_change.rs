//! SQL before and after, compared as statements: where they stand and how they look does not matter.

use super::change::FileChange;
use super::finding::{Change, Finding, Kind};
use crate::sql::{Fact, ObjectKind, Objects, Places, objects};
use std::collections::BTreeMap;

/// Longer texts are not parsed.
const LONGEST: usize = 8 << 20;

/// A fact and where it stands.
struct Placed<'f> {
    fact: Fact,
    file: &'f str,
    line: usize,
}

/// What the texts of one side say.
#[derive(Default)]
struct Said<'f> {
    facts: Vec<Placed<'f>>,
}

impl<'f> Said<'f> {
    fn add(&mut self, file: &'f str, text: &str, found: Objects) {
        let places = Places::new(text);
        let placed = |fact: Fact| Placed { line: places.of(fact.range.start).line, fact, file };
        self.facts.extend(found.facts.into_iter().map(placed));
    }
}

/// What differs in the schema that the changed files make.
pub(super) fn findings(files: &[FileChange]) -> Vec<Finding> {
    let mut found = Vec::new();
    let (mut before, mut after) = (Said::default(), Said::default());
    for file in files.iter().filter(|file| file.is_sql() && file.before != file.after) {
        let was_broken = read(file, true, &mut before);
        let is_broken = read(file, false, &mut after);
        let broken = match (is_broken, was_broken) {
            (Some((line, why)), _) => Some((line, format!("`{}` can't be understood: {why}", file.path))),
            (None, Some((_, why))) => Some((1, format!("`{}` could not be understood before: {why}", file.path))),
            (None, None) => None,
        };
        if let Some((line, message)) = broken {
            let at = (file.path.as_str(), line);
            found.push(Finding::new(Kind::Unreadable, &file.path, change_of(file), at, message));
        }
    }
    found.extend(differences(&before, &after));
    found.extend(reordered(&before, &after));
    found
}

fn change_of(file: &FileChange) -> Change {
    match (file.before.exists(), file.after.exists()) {
        (false, _) => Change::Added,
        (_, false) => Change::Removed,
        _ => Change::Changed,
    }
}

/// Reads one side of a file; a line and why where it can't be understood.
fn read<'f>(file: &'f FileChange, before: bool, said: &mut Said<'f>) -> Option<(usize, String)> {
    let content = if before { &file.before } else { &file.after };
    let text = match content.as_text() {
        Ok(text) => text?,
        Err(why) => return Some((1, why)),
    };
    if text.len() > LONGEST {
        return Some((1, format!("it is larger than {} MiB", LONGEST >> 20)));
    }
    let found = objects(text);
    let broken = found.broken_at(text).map(|(line, why)| (line, format!("it does not parse: {why}")));
    said.add(&file.path, text, found);
    broken
}

/// The first fact of an object that is gone, and the first that is new.
type Sides<'a, 'f> = (Option<&'a Placed<'f>>, Option<&'a Placed<'f>>);

type Key<'a> = (ObjectKind, &'a str, &'a str);

fn key(placed: &Placed<'_>) -> (ObjectKind, String, String) {
    (placed.fact.kind, placed.fact.object.clone(), placed.fact.sub.clone())
}

/// Facts of `those` that `others` do not hold, each counted as often as it stands there.
fn missing<'a, 'f>(those: &'a Said<'f>, others: &Said<'f>) -> Vec<&'a Placed<'f>> {
    let same = |placed: &Placed<'f>| (key(placed), placed.fact.verb.clone(), placed.fact.text.clone());
    let mut held: BTreeMap<_, usize> = BTreeMap::new();
    for placed in &others.facts {
        *held.entry(same(placed)).or_default() += 1;
    }
    let unheld = |placed: &&Placed<'f>| match held.get_mut(&same(placed)) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    };
    those.facts.iter().filter(unheld).collect()
}

fn differences(before: &Said<'_>, after: &Said<'_>) -> Vec<Finding> {
    let (gone, new) = (missing(before, after), missing(after, before));
    let mut groups: BTreeMap<(ObjectKind, String, String), Sides<'_, '_>> = BTreeMap::new();
    for placed in &gone {
        groups.entry(key(placed)).or_default().0.get_or_insert(placed);
    }
    for placed in &new {
        groups.entry(key(placed)).or_default().1.get_or_insert(placed);
    }
    // A table that comes or goes as a whole is one finding.
    let whole = |placed: &Placed<'_>, all: &[&Placed<'_>]| {
        all.iter().any(|other| {
            other.fact.kind == ObjectKind::Table
                && other.fact.verb == "create"
                && placed.fact.on.as_deref() == Some(other.fact.object.as_str())
                && placed.file == other.file
                && other.fact.range.start <= placed.fact.range.start
                && placed.fact.range.end <= other.fact.range.end
                && !std::ptr::eq(*other, placed)
        })
    };
    let mut found = Vec::new();
    for (was, is) in groups.values() {
        let (placed, change) = match (was, is) {
            (Some(_), Some(is)) => (*is, Change::Changed),
            (None, Some(is)) if !whole(is, &new) => (*is, Change::Added),
            (Some(was), None) if !whole(was, &gone) => (*was, Change::Removed),
            _ => continue,
        };
        let other = |other: &&&Placed<'_>| {
            other.fact.kind == ObjectKind::Column && other.fact.verb != "order" && other.fact.on == placed.fact.on
        };
        // Which columns there are says their order too.
        if placed.fact.verb == "order" && gone.iter().chain(&new).any(|fact| other(&fact)) {
            continue;
        }
        found.push(finding(placed, change));
    }
    found
}

fn finding(placed: &Placed<'_>, change: Change) -> Finding {
    let fact = &placed.fact;
    let kind = Kind::of(fact.kind);
    let done = match change {
        Change::Added => "is new",
        Change::Removed => "is gone",
        Change::Changed => "differs",
    };
    let message = match (fact.verb.as_str(), change) {
        ("order", _) => format!("the columns of `{}` stand in another order", fact.object),
        ("when", _) => format!("the conditions differ under which `{}` is changed", fact.object),
        _ => format!("`{}` {done}", shortened(&fact.text)),
    };
    let mut finding = Finding::new(kind, &fact.object, change, (placed.file, placed.line), message);
    finding.table.clone_from(&fact.on);
    finding
}

/// At most so much of a statement as a line takes.
fn shortened(text: &str) -> String {
    const MOST: usize = 90;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(MOST).collect();
    short.push('…');
    short
}

/// Statements about one object whose order decides what is left in the end.
fn reordered(before: &Said<'_>, after: &Said<'_>) -> Vec<Finding> {
    let (was, is) = (by_object(before), by_object(after));
    let mut found = Vec::new();
    for (key, facts) in &is {
        let Some(earlier) = was.get(key).filter(|earlier| earlier.len() > 1 && earlier.len() == facts.len()) else {
            continue;
        };
        let texts = |all: &[&Placed<'_>]| all.iter().map(|placed| placed.fact.text.clone()).collect::<Vec<_>>();
        let (then, now) = (texts(earlier), texts(facts));
        let sorted = |mut all: Vec<String>| {
            all.sort();
            all
        };
        if then != now && sorted(then.clone()) == sorted(now.clone()) && order_matters(facts) {
            let first = then.iter().zip(&now).position(|(a, b)| a != b).unwrap_or(0);
            let mut moved = finding(facts[first], Change::Changed);
            moved.message = format!("the statements about `{}` stand in another order", facts[first].fact.object);
            found.push(moved);
        }
    }
    found
}

fn by_object<'a, 'f>(said: &'a Said<'f>) -> BTreeMap<Key<'a>, Vec<&'a Placed<'f>>> {
    let mut all: BTreeMap<Key<'a>, Vec<&'a Placed<'f>>> = BTreeMap::new();
    for placed in &said.facts {
        let fact = &placed.fact;
        all.entry((fact.kind, fact.object.as_str(), fact.sub.as_str())).or_default().push(placed);
    }
    all
}

/// Whether the last of them wins, or one undoes another.
fn order_matters(facts: &[&Placed<'_>]) -> bool {
    let undoing = ["drop", "disable", "no", "revoke", "reset", "rename", "set"];
    let alters = facts.iter().filter(|placed| placed.fact.verb == "alter").count();
    let replaced = [
        ObjectKind::Body,
        ObjectKind::Signature,
        ObjectKind::Definer,
        ObjectKind::SearchPath,
        ObjectKind::View,
        ObjectKind::Ownership,
        ObjectKind::Dynamic,
    ];
    alters > 1
        || replaced.contains(&facts[0].fact.kind)
        || facts.iter().any(|placed| undoing.contains(&placed.fact.verb.as_str()))
}
