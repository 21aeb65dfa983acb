//! `Taskfile.yml` of Task, version 3.

mod commands;
mod run;
mod template;

use super::draft::{Draft, TaskDraft};
use super::shell::Val;
use super::tree::{Tree, Value};
use super::{ImportError, Source, read as read_text};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use template::Scope;

/// A Taskfile with those it includes.
struct Whole<'a> {
    folder: &'a Path,
    scope: Scope,
    /// Variables that calls give to a task, by its name.
    given: BTreeMap<String, BTreeSet<String>>,
    env_file: Vec<String>,
    exports: Vec<String>,
}

/// Where the tasks of one file stand.
struct Place {
    /// `lint:` for those of an included file.
    prefix: String,
    /// The folder they run in, relative to the root.
    dir: Option<String>,
    internal: bool,
}

/// Reads the tasks.
pub(super) fn read(source: &Source<'_>) -> Result<Draft, ImportError> {
    let tree = Tree::yaml(source.shown, source.text)?;
    let version = tree.at("version").scalar().unwrap_or_default();
    if !version.starts_with('3') {
        let message =
            if version.is_empty() { "it names no `version`".to_owned() } else { format!("its version is {version}") };
        return Err(ImportError::at(
            source.shown,
            tree.at("version").line,
            message,
            "weir reads version 3 of Taskfiles",
        ));
    }
    let mut draft = Draft { shell: vec!["bash".into(), "-ec".into()], ..Draft::default() };
    let mut whole = Whole {
        folder: source.folder,
        scope: Scope::default(),
        given: BTreeMap::new(),
        env_file: vec![],
        exports: vec![],
    };
    whole.scope.variables.insert("ROOT_DIR".into(), Ok(Val::Dynamic("${WEIR_WORKSPACE}".into())));
    whole.scope.variables.insert("TASKFILE_DIR".into(), Ok(Val::Dynamic("${WEIR_WORKSPACE}".into())));
    whole.top(&mut draft, &tree);
    let mut files = vec![(tree.clone(), Place { prefix: String::new(), dir: None, internal: false })];
    whole.includes(&mut draft, &tree, &mut files)?;
    for (tree, place) in &files {
        for (_, task) in tree.at("tasks").map() {
            whole.see_calls(&place.prefix, task);
        }
    }
    draft.run_before(&whole.exports, "it exports what is worked out when a task runs, and runs the command");
    for (tree, place) in &files {
        for (name, task) in tree.at("tasks").map() {
            let tasks = whole.task(place, name, task);
            draft.tasks.extend(tasks);
        }
    }
    if draft.tasks.is_empty() {
        return Err(ImportError::at(source.shown, 0, "it has no tasks", "there is nothing to import"));
    }
    Ok(draft)
}

impl Whole<'_> {
    fn top(&mut self, draft: &mut Draft, tree: &Tree) {
        for (name, entry) in tree.map() {
            match name.as_str() {
                "version" | "tasks" | "includes" | "vars" | "env" | "dotenv" => {}
                // weir shows no commands, and keeps output apart by itself.
                "silent" | "output" => {}
                // What is skipped goes by content in any case.
                "method" if entry.text() != Some("none") => {}
                "run" if entry.text() == Some("once") => {}
                other => draft.note("", other, entry.line, format!("left out: {}", entry.shown())),
            }
        }
        for (name, entry) in tree.at("vars").map() {
            let found = self.scope.entry(entry);
            if let Err(why) = &found {
                draft.note(
                    "",
                    &format!("vars.{name}"),
                    entry.line,
                    format!("left out: {why}; tasks that use it are not carried over"),
                );
            }
            self.scope.variables.insert(name.clone(), found);
        }
        for (name, entry) in tree.at("env").map() {
            match self.scope.entry(entry) {
                // The environment's own value wins over the file's.
                Ok(Val::Static(text)) => {
                    self.exports.push(format!("export {name}=\"${{{name}-{}}}\"", super::shell::escape(&text)))
                }
                Ok(Val::Dynamic(text)) => self.exports.push(format!("export {name}=\"${{{name}-{text}}}\"")),
                Err(why) => draft.note("", &format!("env.{name}"), entry.line, format!("left out: {why}")),
            }
        }
        let dotenv = tree.at("dotenv");
        for file in dotenv.strings() {
            if self.folder.join(&file).is_file() {
                draft.note(
                    "",
                    "dotenv",
                    dotenv.line,
                    "weir masks these values in all output, and they win over variables from outside",
                );
                self.env_file.push(file);
            } else {
                draft.note(
                    "",
                    "dotenv",
                    dotenv.line,
                    format!("`{file}` left out: Task passes over a file that is not there, weir does not"),
                );
            }
        }
    }

    fn includes(&mut self, draft: &mut Draft, tree: &Tree, files: &mut Vec<(Tree, Place)>) -> Result<(), ImportError> {
        for (name, entry) in tree.at("includes").map() {
            let named = entry
                .text()
                .map(str::to_owned)
                .or_else(|| entry.at("taskfile").text().map(str::to_owned))
                .unwrap_or_default();
            let mut left_out =
                |why: &str| draft.note("", &format!("includes.{name}"), entry.line, format!("left out: {why}"));
            if named.contains("://") || named.contains("{{") || named.starts_with('/') {
                left_out("it is not a file of this project");
                continue;
            }
            let names = ["Taskfile.yml", "taskfile.yml", "Taskfile.yaml", "taskfile.yaml"];
            let path = Path::new(named.trim_start_matches("./")).to_path_buf();
            let found = std::iter::once(path.clone()).chain(names.iter().map(|name| path.join(name)));
            let Some(file) = found.into_iter().find(|path| self.folder.join(path).is_file()) else {
                if !entry.at("optional").truth() {
                    left_out("there is no such file");
                }
                continue;
            };
            let text = read_text(&self.folder.join(&file), &file)?;
            let included = Tree::yaml(&file, &text)?;
            for key in ["vars", "env", "dotenv", "includes"] {
                if let Some(inner) = included.get(key) {
                    draft.note(
                        "",
                        &format!("{}: {key}", file.display()),
                        inner.line,
                        format!("left out: {}", inner.shown()),
                    );
                    for (name, _) in inner.map().iter().filter(|_| key == "vars") {
                        self.scope.variables.insert(name.clone(), Err(format!("`{name}` is of an included file")));
                    }
                }
            }
            if entry.get("vars").is_some() {
                draft.note(
                    "",
                    &format!("includes.{name}.vars"),
                    entry.line,
                    "left out; tasks that use them are not carried over",
                );
                for (name, _) in entry.at("vars").map() {
                    self.scope.variables.insert(name.clone(), Err(format!("`{name}` is given by an include")));
                }
            }
            let place = Place {
                prefix: if entry.at("flatten").truth() { String::new() } else { format!("{name}:") },
                dir: entry.at("dir").text().map(|dir| dir.trim_start_matches("./").to_owned()),
                internal: entry.at("internal").truth(),
            };
            files.push((included, place));
        }
        Ok(())
    }

    /// Which variables calls hand to which tasks.
    fn see_calls(&mut self, prefix: &str, task: &Tree) {
        let calls = ["cmds", "deps"].into_iter().flat_map(|key| task.at(key).one_or_more()).chain(task.list());
        for call in calls {
            let deferred = call.at("defer");
            let call = if deferred.get("task").is_some() { deferred } else { call };
            if let Some(target) = call.at("task").text() {
                let names = call.at("vars").map().iter().map(|(name, _)| name.clone());
                self.given.entry(absolute(prefix, target)).or_default().extend(names);
            }
        }
    }

    fn task(&self, place: &Place, name: &str, tree: &Tree) -> Vec<TaskDraft> {
        let full = absolute(&place.prefix, name);
        let full = full.strip_suffix(":default").unwrap_or(&full).to_owned();
        let mut task = TaskDraft::new(&full, tree.line);
        let whole = match &tree.value {
            Value::Map(_) => tree.clone(),
            _ => Tree { value: Value::Map(vec![("cmds".into(), tree.clone())]), line: tree.line },
        };
        if full.contains('*') {
            task.refuse("tasks", "a name with a wildcard has no counterpart", &full);
            return vec![task];
        }
        let mut scope = self.scope.clone();
        scope.variables.insert("TASK".into(), Ok(Val::Static(full.clone())));
        task.hide = place.internal;
        task.dir.clone_from(&place.dir);
        self.variables(&mut task, &mut scope, &full, whole.at("vars"));
        for (key, entry) in whole.map() {
            self.key(&mut task, &mut scope, place, key, entry);
        }
        let mut before = Vec::new();
        self.environment(&mut task, &mut scope, whole.at("env"), &mut before);
        self.requirements(&mut task, whole.at("requires"), &mut before);
        let helpers = self.commands(&mut task, &mut scope, place, &whole, &before);
        self.caching(&mut task, &mut scope, &whole);
        if task.acts() {
            task.env_file.splice(0..0, self.env_file.iter().cloned());
        }
        std::iter::once(task).chain(helpers).collect()
    }

    /// The task's own variables, and those that calls give it.
    fn variables(&self, task: &mut TaskDraft, scope: &mut Scope, name: &str, vars: &Tree) {
        for (name, entry) in vars.map() {
            let found = scope.entry(entry);
            if let Err(why) = &found {
                task.note("run", &format!("vars.{name}"), format!("left out: {why}"));
            }
            scope.variables.insert(name.clone(), found);
        }
        for given in self.given.get(name).into_iter().flatten() {
            let fallback = match scope.variables.get(given) {
                Some(Ok(Val::Static(text))) => super::shell::escape(text),
                Some(Ok(Val::Dynamic(text))) => text.clone(),
                _ => String::new(),
            };
            scope.variables.insert(given.clone(), Ok(Val::Dynamic(format!("${{{given}-{fallback}}}"))));
        }
    }

    fn key(&self, task: &mut TaskDraft, scope: &mut Scope, place: &Place, key: &str, entry: &Tree) {
        match key {
            "cmds" | "cmd" | "vars" | "env" | "requires" | "sources" | "generates" | "status" | "preconditions"
            | "method" => {}
            "silent" | "label" => {}
            "desc" => task.description = entry.text().map(str::to_owned),
            "summary" if task.description.is_none() => {
                task.description = entry.text().and_then(|text| text.lines().next()).map(str::to_owned)
            }
            "summary" => {}
            "aliases" => task.alias = entry.strings().iter().map(|alias| absolute(&place.prefix, alias)).collect(),
            "internal" => task.hide |= entry.truth(),
            "interactive" => task.interactive = entry.truth(),
            "prompt" => {
                task.confirm = Some(entry.strings().join(" "));
                task.note("confirm", "prompt", "weir asks before anything of the run starts");
            }
            "dir" => match entry.text().map(|text| scope.fill(text)) {
                Some(Ok(dir)) if !dir.contains('$') && !dir.starts_with('/') => {
                    let dir = dir.trim_start_matches("./").to_owned();
                    task.dir = Some(place.dir.as_ref().map_or(dir.clone(), |outer| format!("{outer}/{dir}")));
                }
                _ => task.note("run", "dir", format!("left out: {}", entry.shown())),
            },
            "dotenv" => {
                for file in entry.strings() {
                    if self.folder.join(&file).is_file() {
                        task.env_file.push(file);
                    } else {
                        task.note("run", "dotenv", format!("`{file}` left out: it is not there"));
                    }
                }
            }
            "deps" => {
                for item in entry.one_or_more() {
                    match commands::call(item, scope, &place.prefix) {
                        Ok(edge) => task.depends.push(edge),
                        Err(why) => task.refuse("deps", why, &item.shown()),
                    }
                }
            }
            "run" if entry.text() != Some("always") => {}
            "ignore_error" => task.warn |= entry.truth(),
            "platforms" => {
                task.note("run", "platforms", format!("it runs everywhere here, not on {} alone", entry.shown()))
            }
            other => task.note("run", other, format!("left out: {}", entry.shown())),
        }
    }

    fn environment(&self, task: &mut TaskDraft, scope: &mut Scope, env: &Tree, before: &mut Vec<String>) {
        for (name, entry) in env.map() {
            match scope.entry(entry) {
                Ok(Val::Static(text)) => {
                    before.push(format!("export {name}=\"${{{name}-{}}}\"", super::shell::escape(&text)))
                }
                Ok(Val::Dynamic(text)) => before.push(format!("export {name}=\"${{{name}-{text}}}\"")),
                Err(why) => task.note("run", &format!("env.{name}"), format!("left out: {why}")),
            }
        }
    }

    fn caching(&self, task: &mut TaskDraft, scope: &mut Scope, tree: &Tree) {
        if task.refused || tree.get("sources").is_none() {
            return;
        }
        if !task.acts() {
            task.note(
                "sequence",
                "sources",
                format!("left out: it calls other tasks; it had {}", tree.at("sources").shown()),
            );
            return;
        }
        if tree.at("method").text() == Some("none") {
            return task.note(
                "run",
                "method",
                format!("it always runs; its sources were {}", tree.at("sources").shown()),
            );
        }
        let dir = task.dir.clone();
        let mut patterns = |key: &str| -> Result<Vec<String>, String> {
            tree.at(key)
                .one_or_more()
                .into_iter()
                .map(|item| {
                    let (sign, text) = match item.at("exclude").text() {
                        Some(text) => ("!", text),
                        None => ("", item.text().unwrap_or_default()),
                    };
                    let text = scope.fill(text)?;
                    let text = text.trim_start_matches("./");
                    if text.contains('$') {
                        return Err(format!("`{text}` is not known before it runs"));
                    }
                    Ok(dir.as_ref().map_or_else(|| format!("{sign}{text}"), |dir| format!("{sign}{dir}/{text}")))
                })
                .collect()
        };
        match (patterns("sources"), patterns("generates")) {
            (Ok(sources), Ok(generates)) => {
                task.sources = Some(sources);
                task.outputs = Some(generates).filter(|generates| !generates.is_empty());
                task.see_everything("Task");
            }
            (Err(why), _) | (_, Err(why)) => task.note("run", "sources", format!("it always runs: {why}")),
        }
    }
}

/// A task's name, seen from the root.
fn absolute(prefix: &str, name: &str) -> String {
    match name.strip_prefix(':') {
        Some(root) => root.to_owned(),
        None => format!("{prefix}{name}"),
    }
}
