//! `include`: which files a path or a glob of paths names.

use super::looked::Looked;
use super::pattern::{Pattern, PatternError, build_glob};
use crate::model::WsPath;
use std::path::Path;

/// The files one element of `include` names, relative to the workspace root.
#[derive(Debug)]
pub(super) enum Included {
    /// A path; it is a file, or something that can't be read as one.
    File(WsPath),
    /// The files a glob matches, sorted; possibly none.
    Glob(Vec<WsPath>),
}

/// Why an element of `include` names nothing.
#[derive(Debug)]
pub(super) struct BadInclude {
    /// One line.
    pub(super) message: String,
    /// What to do.
    pub(super) help: String,
}

/// Looks up one element of `include` in a file of `folder`.
pub(super) fn resolve(root: &Path, folder: &WsPath, raw: &str, looked: &Looked) -> Result<Included, BadInclude> {
    let bad = |message: String, help: &str| Err(BadInclude { message, help: help.to_owned() });
    let pattern = match Pattern::parse(folder, raw) {
        Ok(pattern) if pattern.negated => {
            return bad(format!("`{raw}`: `include` takes no negations"), "list the files to include instead");
        }
        Ok(pattern) => pattern,
        Err(PatternError::Empty) => {
            return bad("an empty path".into(), "write a path or a glob, or remove it");
        }
        Err(PatternError::Path(why)) => {
            return bad(
                format!("`{raw}` is {why}"),
                "write a path inside the workspace, relative to the folder of this file",
            );
        }
        Err(PatternError::Glob(why)) => {
            return bad(format!("`{raw}` is no valid glob: {why}"), "`*`, `?`, `**`, `[…]` and `{a,b}` have a meaning");
        }
    };
    let Some(glob) = &pattern.glob else {
        let path = pattern.prefix.under(root);
        if looked.behind(&path).is_ok_and(|there| there.is_dir()) {
            let help = format!("name the file: `{}/tasks.toml`", raw.trim_end_matches('/'));
            return bad(format!("`{raw}` is a directory"), &help);
        }
        if std::fs::symlink_metadata(&path).is_err() {
            return bad(format!("there is no file `{}`", pattern.prefix), &nearest_existing(root, &pattern.prefix));
        }
        return Ok(Included::File(pattern.prefix.clone()));
    };
    let mut found = Vec::new();
    let mut parts: Vec<&str> = glob.split('/').collect();
    parts.dedup_by(|later, earlier| *later == "**" && *earlier == "**");
    let whole = parts.iter().any(|part| part.matches('{').count() != part.matches('}').count());
    if whole {
        // An alternative that holds a `/` can't be walked component by component.
        let mut all = Vec::new();
        walk(root, &pattern.prefix, &["**", "*"], &mut all, looked);
        found.extend(all.into_iter().filter(|path| pattern.covers(path)));
    } else {
        walk(root, &pattern.prefix, &parts, &mut found, looked);
    }
    found.sort();
    found.dedup();
    Ok(Included::Glob(found))
}

/// Collects the files below `folder` that `parts` match. Wildcards don't match hidden entries, and
/// `**` doesn't follow links.
fn walk(root: &Path, folder: &WsPath, parts: &[&str], found: &mut Vec<WsPath>, looked: &Looked) {
    let Some((part, rest)) = parts.split_first() else {
        return;
    };
    let deep = *part == "**";
    if deep && !rest.is_empty() {
        walk(root, folder, rest, found, looked);
    }
    let Ok(matcher) = build_glob(part).map(|glob| glob.compile_matcher()) else {
        return;
    };
    let listed = folder.under(root);
    let _ = looked.behind(&listed);
    let Ok(entries) = std::fs::read_dir(listed) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.starts_with('.') && !part.starts_with('.') {
            continue;
        }
        let path = folder.join(name);
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        // What is no link can't become another kind of thing without its folder showing it.
        let answer = if is_link { looked.behind(&entry.path()) } else { std::fs::metadata(entry.path()) };
        let Ok(meta) = answer else {
            continue;
        };
        if deep {
            if meta.is_dir() && !is_link {
                walk(root, &path, parts, found, looked);
            } else if meta.is_file() && rest.is_empty() {
                found.push(path);
            }
        } else if matcher.is_match(name) {
            if rest.is_empty() && meta.is_file() {
                found.push(path);
            } else if !rest.is_empty() && meta.is_dir() {
                walk(root, &path, rest, found, looked);
            }
        }
    }
}

/// Which part of a path exists, and what lies there that looks like the rest.
fn nearest_existing(root: &Path, path: &WsPath) -> String {
    let mut missing = path.clone();
    while let Some(parent) = missing.parent() {
        let folder = parent.under(root);
        if folder.is_dir() {
            let names: Vec<String> = std::fs::read_dir(&folder)
                .into_iter()
                .flatten()
                .flatten()
                .filter_map(|entry| entry.file_name().into_string().ok())
                .collect();
            return match super::did_you_mean(missing.file_name(), names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{}`?", parent.join(near)),
                None if parent.is_root() => {
                    format!("the workspace holds no `{}`", missing.file_name())
                }
                None => format!("`{parent}` exists, and holds no `{}`", missing.file_name()),
            };
        }
        missing = parent;
    }
    "create it, or remove it from `include`".to_owned()
}
