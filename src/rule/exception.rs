//! Exceptions: files with a front matter, which hold until a day.

use super::day::Day;
use super::facts::Case;
use super::finding::Violation;
use super::manifest::is_id;
use super::yaml::{self, Value};
use std::collections::BTreeMap;

const KEYS: [&str; 5] = ["id", "expires", "follow_up_ticket", "reason", "mitigation"];
/// Words that stand where something should be said.
const PLACEHOLDERS: [&str; 14] =
    ["todo", "tbd", "fixme", "xxx", "placeholder", "changeme", "tba", "wip", "lorem", "n/a", "none", "...", "…", "???"];

/// The exceptions that hold.
#[derive(Debug, Default)]
pub(super) struct Exceptions {
    /// Path and the id of the invariant.
    valid: Vec<(String, String)>,
    /// What is wrong with the others.
    pub(super) violations: Vec<Violation>,
}

impl Exceptions {
    /// Whether one excuses this invariant.
    pub(super) fn excuses(&self, id: &str) -> bool {
        self.valid.iter().any(|(_, valid)| valid == id)
    }

    /// The valid ones: path and invariant.
    pub(super) fn valid(&self) -> &[(String, String)] {
        &self.valid
    }
}

/// Reads all exceptions there are.
pub(super) fn read(case: &Case) -> Exceptions {
    let mut all = Exceptions::default();
    let help = "see docs/structural-rule.md for what an exception says; an outdated one is removed";
    for (path, text) in &case.after.exceptions {
        let name = path.rsplit('/').next().unwrap_or_default();
        if name == "README.md" {
            continue;
        }
        let mut wrong = Vec::new();
        let id = judge(name, text, case.today, case.after.settings.max_days, &mut wrong);
        match id.filter(|_| wrong.is_empty()) {
            Some(id) => all.valid.push((path.clone(), id)),
            None => {
                let violation = |(line, why): (usize, String)| Violation::new("exception", (path, line), why, help);
                all.violations.extend(wrong.into_iter().map(violation));
            }
        }
    }
    all
}

/// `exception_<INV-ID>_<YYYY-MM-DD>.md`.
fn name_parts(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix("exception_")?.strip_suffix(".md")?.rsplit_once('_').filter(|(id, _)| is_id(id))
}

fn judge(name: &str, text: &str, today: Day, max_days: u32, wrong: &mut Vec<(usize, String)>) -> Option<String> {
    let Some((id, made)) = name_parts(name) else {
        wrong.push((1, "it is not called `exception_<INV-ID>_<YYYY-MM-DD>.md`".into()));
        return None;
    };
    let made = Day::parse(made).or_else(|| {
        wrong.push((1, format!("there is no day `{made}`, in its name")));
        None
    });
    let fields = front_matter(text, wrong)?;
    for key in KEYS {
        match fields.get(key) {
            None => wrong.push((1, format!("its front matter has no `{key}`"))),
            Some((value, line)) if is_placeholder(value) => {
                wrong.push((*line, format!("`{key}` is a placeholder: `{}`", value.trim())));
            }
            Some(_) => {}
        }
    }
    if let Some((given, line)) = fields.get("id").filter(|(given, _)| given != id) {
        wrong.push((*line, format!("it is called after `{id}`, and its `id` is `{given}`")));
    }
    // A placeholder has been told of.
    if let Some((text, line)) = fields.get("expires").filter(|(text, _)| !is_placeholder(text)) {
        match Day::parse(text.trim()) {
            None => wrong.push((*line, format!("there is no day `{text}`: write `YYYY-MM-DD`"))),
            Some(expires) if expires < today => {
                wrong.push((*line, format!("it expired on {expires}; today is {today}, in UTC")));
            }
            Some(expires) => {
                let from = made.map_or(today, |made| made.min(today));
                if made.is_some_and(|made| expires < made) {
                    wrong.push((*line, format!("it expires on {expires}, before the day in its name")));
                } else if from.plus(max_days) < expires {
                    let days = from.until(expires);
                    wrong.push((*line, format!("it lasts {days} days from {from}; at most {max_days} are allowed")));
                }
            }
        }
    }
    Some(id.to_owned())
}

/// The lines between `---` and `---`, as names and texts with their lines.
fn front_matter(text: &str, wrong: &mut Vec<(usize, String)>) -> Option<BTreeMap<String, (String, usize)>> {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let Some((head, rest)) = text.strip_prefix("---\n").and_then(|rest| {
        let end = if rest.starts_with("---") { 0 } else { rest.find("\n---")? + 1 };
        Some((rest[..end].to_owned(), rest[end + 3..].to_owned()))
    }) else {
        wrong.push((1, "it has no front matter between `---` and `---`".into()));
        return None;
    };
    if rest.lines().any(|line| is_placeholder(line) && !line.trim().is_empty()) {
        let line = text.lines().position(|line| is_placeholder(line) && !line.trim().is_empty()).map_or(1, |at| at + 1);
        wrong.push((line, "a placeholder is left in it".into()));
    }
    match yaml::parse(&head) {
        Err((line, why)) => {
            wrong.push((line + 1, format!("its front matter is no YAML: {why}")));
            None
        }
        Ok(node) => {
            let Value::Map(entries) = node.value else {
                wrong.push((1, "its front matter says nothing".into()));
                return None;
            };
            let mut fields = BTreeMap::new();
            for (key, line, node) in entries {
                if !KEYS.contains(&key.as_str()) {
                    wrong.push((line + 1, format!("unknown key `{key}`")));
                }
                let text = match node.value {
                    Value::Text(text) => text,
                    Value::Nothing => String::new(),
                    _ => {
                        wrong.push((line + 1, format!("`{key}` is a text")));
                        continue;
                    }
                };
                fields.insert(key, (text, line + 1));
            }
            Some(fields)
        }
    }
}

/// Whether nothing is said: empty, `TODO …`, `<reason>`.
fn is_placeholder(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    let first = text.split([' ', ':', ',', '-']).next().unwrap_or_default();
    let begins = |word: &str| ["todo", "tbd", "fixme", "xxx", "placeholder", "changeme"].contains(&word);
    let angles = text.starts_with('<') && text.ends_with('>') && !text.contains("://") && !text.starts_with("<!--");
    text.is_empty() || angles || PLACEHOLDERS.contains(&text.as_str()) || begins(first) || text.contains("yyyy-mm-dd")
}
