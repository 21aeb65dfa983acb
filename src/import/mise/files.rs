//! Where mise's tasks stand: in `mise.toml`, in included files, and in files of their own with
//! `#MISE` headers.

use super::super::draft::Draft;
use super::super::tree::{Tree, Value};
use super::super::{ImportError, read};
use super::Project;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Where mise looks for file tasks, the weakest first.
const FOLDERS: [&str; 5] = ["mise-tasks", ".mise-tasks", ".mise/tasks", ".config/mise/tasks", "mise/tasks"];

/// A task that was found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub name: String,
    /// Its keys.
    pub tree: Tree,
    /// The script it is, relative to the root.
    pub script: Option<Script>,
}

/// A file task's script.
#[derive(Debug, Clone)]
pub(super) struct Script {
    pub path: String,
    pub text: String,
    /// Its `#USAGE` lines.
    pub usage: String,
}

/// The tasks of files.
pub(super) fn find(project: &Project, config: &Tree, draft: &mut Draft) -> Result<Vec<Found>, ImportError> {
    let mut found = Vec::new();
    let includes = config.at("includes");
    let named = includes.strings();
    let places: Vec<String> =
        if includes.is_null() { FOLDERS.iter().map(|folder| (*folder).to_owned()).collect() } else { named };
    for place in places {
        let Some(relative) = project.relative(&place).filter(|_| !place.contains("::")) else {
            draft.note("", "task_config.includes", includes.line, format!("`{place}` left out"));
            continue;
        };
        let path = project.root.join(&relative);
        if path.is_dir() {
            let mut scripts = Vec::new();
            folder(&path, &relative, "", draft, &mut scripts)?;
            scripts.into_iter().for_each(|script: Found| add(&mut found, script));
        } else if path.is_file() {
            let text = read(&path, Path::new(&relative))?;
            let tree = Tree::toml(Path::new(&relative), &text)?;
            for (name, tree) in tree.map() {
                add(&mut found, Found { name: name.clone(), tree: tree.clone(), script: None });
            }
        } else if !includes.is_null() {
            draft.note("", "task_config.includes", includes.line, format!("there is no `{place}`"));
        }
    }
    Ok(found)
}

/// The last one of a name wins.
fn add(found: &mut Vec<Found>, new: Found) {
    match found.iter_mut().find(|known| known.name == new.name) {
        Some(known) => *known = new,
        None => found.push(new),
    }
}

/// `[tasks.NAME]`: with a command of its own it replaces a file's task, else it adds to it.
pub(super) fn overlay(found: &mut Vec<Found>, name: &str, entry: &Tree) {
    let commands = ["run", "run_windows", "file"].iter().any(|key| entry.get(key).is_some());
    let known = found.iter_mut().find(|known| known.name == name);
    match known {
        Some(known) if matches!(entry.value, Value::Map(_)) && !commands => {
            let mut keys: Vec<(String, Tree)> = entry.map().to_vec();
            keys.extend(known.tree.map().iter().filter(|(key, _)| entry.get(key).is_none()).cloned());
            known.tree = Tree { value: Value::Map(keys), line: entry.line };
        }
        _ => add(found, Found { name: name.to_owned(), tree: entry.clone(), script: None }),
    }
}

fn folder(
    path: &Path,
    relative: &str,
    prefix: &str,
    draft: &mut Draft,
    found: &mut Vec<Found>,
) -> Result<(), ImportError> {
    let entries = std::fs::read_dir(path).map_err(|error| ImportError::at(path, 0, error, "check its permissions"))?;
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    for name in names.into_iter().filter(|name| !name.starts_with('.')) {
        let (path, relative) = (path.join(&name), format!("{relative}/{name}"));
        if path.is_dir() {
            folder(&path, &relative, &format!("{prefix}{name}:"), draft, found)?;
            continue;
        }
        let executable = path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
        if !executable {
            if !name.ends_with(".toml") && !name.ends_with(".md") {
                draft.note("", &relative, 0, "it may not be executed, so that it is no task for mise either");
            }
            continue;
        }
        let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
        let task = if stem == "_default" && !prefix.is_empty() {
            prefix.trim_end_matches(':').to_owned()
        } else {
            format!("{prefix}{stem}")
        };
        let text = match std::fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => return Err(ImportError::at(Path::new(&relative), 0, error, "check its permissions")),
        };
        let tree = Tree::toml(Path::new(&relative), &headers(&text, "MISE"))?;
        let usage = headers(&text, "USAGE");
        found.push(Found { name: task, tree, script: Some(Script { path: relative, text, usage }) });
    }
    Ok(())
}

/// What the header lines of a script say; the others are empty, so that lines keep their numbers.
fn headers(text: &str, word: &str) -> String {
    let starts: Vec<String> = ["#", "//", "--", ";"]
        .iter()
        .flat_map(|mark| [format!("{mark}{word} "), format!("{mark} [{word}] "), format!("{mark}[{word}] ")])
        .collect();
    let line = |line: &str| {
        let line = line.trim_start();
        starts.iter().find_map(|start| line.strip_prefix(start.as_str())).unwrap_or_default().to_owned()
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_in_their_forms() {
        let text = "#!/bin/sh\n#MISE alias=\"x\"\n# [MISE] hide=true\n//MISE depends=[\n//MISE   \"a\"]\n# MISE no\n#USAGE arg \"<x>\"\n";
        let tree = Tree::toml(Path::new("x"), &headers(text, "MISE")).unwrap();
        assert_eq!(tree.at("alias").text(), Some("x"));
        assert!(tree.at("hide").truth());
        assert_eq!(tree.at("depends").strings(), ["a"]);
        assert_eq!(tree.at("alias").line, 2);
        assert_eq!(headers(text, "USAGE").trim(), "arg \"<x>\"");
    }
}
