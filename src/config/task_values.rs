//! How the values of a task's keys are read, where it takes more than a line.

use super::diagnostic::{At, Diagnostic, Located};
use super::pattern::Pattern;
use super::task::{CacheMode, OnFail};
use super::task_keys::Draft;
use super::values::{Entry, Reader, in_order};
use toml::de::DeValue;

const ON_FAIL: [(&str, OnFail); 2] = [("fail", OnFail::Fail), ("warn", OnFail::Warn)];

/// Names of environment variables.
pub(super) fn names(reader: &mut Reader<'_>, entry: Entry<'_, '_>, wildcard: bool) -> Vec<String> {
    let names = reader.variables(entry.value, wildcard).unwrap_or_default();
    names.into_iter().map(|name| name.value).collect()
}

/// `run`.
pub(super) fn run(draft: &mut Draft, reader: &mut Reader<'_>, entry: Entry<'_, '_>) {
    let lines = reader.strings(entry.value, Reader::text);
    draft.run = lines.and_then(|lines| reader.not_empty(entry.value, "`run`", lines));
}

/// A program and its arguments; only arguments may be empty strings.
pub(super) fn argv(reader: &mut Reader<'_>, entry: Entry<'_, '_>, what: &str) -> Option<Vec<String>> {
    let argv = reader.list(entry.value, "a list of strings", Reader::string)?;
    let argv = reader.not_empty(entry.value, what, argv)?;
    if argv[0].trim().is_empty() {
        let first = entry.value.get_ref().as_array().and_then(|array| array.first());
        let at = reader.at(first.map_or_else(|| entry.value.span(), |first| first.span()));
        reader.bad_value(at, format!("{what} starts with an empty string"), "start with a program's name");
        return None;
    }
    Some(argv)
}

/// `sources`, `outputs` or `writes`, as `name` says.
pub(super) fn patterns(
    reader: &mut Reader<'_>,
    entry: Entry<'_, '_>,
    name: &str,
) -> Option<Located<Vec<Located<Pattern>>>> {
    let patterns = reader.strings(entry.value, Reader::pattern)?;
    let at = reader.at(entry.value.span());
    let bare = entry.value.get_ref().as_array().is_some_and(|array| array.is_empty());
    if !bare && !patterns.is_empty() && patterns.iter().all(|pattern| pattern.value.negated) {
        reader.bad_value(
            at,
            format!("`{name}` has only negations, which take away from nothing"),
            "put a pattern without `!` beside them",
        );
    }
    if name != "sources" {
        for pattern in patterns.iter().filter(|pattern| !pattern.value.negated) {
            check_written(reader, pattern, name);
        }
    }
    Some(Located::new(patterns, at))
}

/// What is written can't be the whole workspace, nor weir's own folder.
fn check_written(reader: &mut Reader<'_>, pattern: &Located<Pattern>, name: &str) {
    let (prefix, glob, raw) = (&pattern.value.prefix, &pattern.value.glob, pattern.value.raw());
    let everything = prefix.is_root() && matches!(glob.as_deref(), None | Some("*" | "**" | "**/*"));
    if everything && name == "outputs" {
        reader.bad_value(pattern.at, format!("the output `{raw}` is the whole workspace"), "name the files it makes");
    } else if prefix.components().next() == Some(".weir") {
        reader.bad_value(pattern.at, format!("`{raw}` lies in weir's own folder"), "write somewhere else");
    }
}

/// `cache`.
pub(super) fn cache(draft: &mut Draft, reader: &mut Reader<'_>, entry: Entry<'_, '_>) {
    draft.task.cache_at = Some(entry.key);
    draft.task.cache = match entry.value.get_ref() {
        DeValue::Boolean(true) => CacheMode::On,
        DeValue::Boolean(false) => CacheMode::Off,
        DeValue::String(_) => reader.choice(entry.value, &[("local", CacheMode::Local)]).unwrap_or(CacheMode::On),
        _ => {
            reader.wrong_type(entry.value, "`true`, `false` or `\"local\"`");
            CacheMode::On
        }
    };
}

/// A word, or words by profile: the strongest profile in force that is named decides.
pub(super) fn on_fail(draft: &mut Draft, reader: &mut Reader<'_>, entry: Entry<'_, '_>) {
    let DeValue::Table(table) = entry.value.get_ref() else {
        if entry.value.get_ref().is_str() {
            draft.task.on_fail = reader.choice(entry.value, &ON_FAIL).unwrap_or(OnFail::Fail);
        } else {
            reader.wrong_type(entry.value, "`\"fail\"`, `\"warn\"` or a table by profile");
        }
        return;
    };
    let mut chosen: Option<(usize, OnFail)> = None;
    for (profile, value) in table {
        let meaning = reader.choice(value, &ON_FAIL).unwrap_or(OnFail::Fail);
        let strength = if profile.get_ref() == "default" {
            Some(0)
        } else {
            reader.known_profiles.insert(profile.get_ref().clone().into_owned());
            reader.profiles.iter().rposition(|name| name == profile.get_ref()).map(|index| index + 1)
        };
        if let Some(strength) = strength
            && chosen.is_none_or(|(best, _)| strength > best)
        {
            chosen = Some((strength, meaning));
        }
    }
    draft.task.on_fail = chosen.map_or(OnFail::Fail, |(_, meaning)| meaning);
}

/// `confirm`.
pub(super) fn confirm(draft: &mut Draft, reader: &mut Reader<'_>, entry: Entry<'_, '_>) {
    draft.task.confirm = match entry.value.get_ref() {
        DeValue::Boolean(true) => Some(format!("run `{}`?", draft.task.name)),
        DeValue::Boolean(false) => None,
        DeValue::String(_) => reader.text(entry.value),
        _ => {
            reader.wrong_type(entry.value, "a question or `true`");
            None
        }
    };
}

/// `allow`.
pub(super) fn allow(draft: &mut Draft, reader: &mut Reader<'_>, entry: Entry<'_, '_>) {
    let Some(table) = reader.table(entry.value) else {
        return;
    };
    draft.task.allow.clear();
    for (code, reason) in in_order(table) {
        let at = reader.at(code.span());
        let Some(reason) = reader.text(reason) else {
            continue;
        };
        if is_code(code.get_ref()) {
            draft.task.allow.push((Located::new(code.get_ref().clone().into_owned(), at), reason));
        } else {
            reader.bad_value(
                at,
                format!("`{}` is no code of a finding", code.get_ref()),
                "write a code as `weir tasks deps check` prints it, such as `\"graph::missing-edge\"`",
            );
        }
    }
}

/// `room::finding-name`.
fn is_code(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    text.split_once("::").is_some_and(|(room, name)| part(room) && part(name))
}

/// Whether a name can be a task's; says why not.
pub(super) fn check_name(reader: &mut Reader<'_>, name: &str, at: At) -> bool {
    let problem = if name.is_empty() {
        Some("a task's name can't be empty".to_owned())
    } else if name.starts_with('-') {
        Some(format!("`{name}` starts with `-`, as options do"))
    } else {
        name.chars()
            .find(|c| c.is_whitespace() || c.is_control() || "*?[]{}/\\@#!".contains(*c))
            .map(|c| format!("`{}` holds `{}`, which a task's name can't", name.escape_debug(), c.escape_debug()))
    };
    let Some(problem) = problem else { return true };
    reader.report(
        Diagnostic::error("config::bad-name", at, problem)
            .help("use letters, digits, `_`, `-`, `.` and `:`, as in `test:unit`"),
    );
    false
}
