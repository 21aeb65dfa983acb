//! mise: `mise.toml` in each of its places, and file tasks.

mod arguments;
mod edges;
mod files;
mod run;
mod task;
mod template;
mod usage;

use super::draft::Draft;
use super::shell::{Val, value, words};
use super::tree::{Tree, Value};
use super::{ImportError, Source};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use template::Scope;

/// What a configuration says of all its tasks.
#[derive(Debug, Default)]
struct Project {
    /// `{{config_root}}`.
    root: PathBuf,
    scope: Scope,
    /// Variables whose values the shell makes, in order.
    exports: Vec<(String, Val)>,
    unset: Vec<String>,
    env_file: Vec<String>,
    path: Vec<String>,
    redact: Vec<String>,
    /// Must be set outside.
    required: Vec<String>,
    /// `[task_config] dir`, as written.
    dir: Option<Tree>,
    /// `[task_config] shell`.
    shell: Option<Tree>,
    /// `[task_config] global_inputs`.
    inputs: Vec<String>,
    groups: BTreeMap<String, Vec<String>>,
    templates: BTreeMap<String, Tree>,
}

/// The folder that mise takes for the project's.
fn config_root(path: &Path) -> PathBuf {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let name = |folder: &Path| folder.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let above = |folder: &Path| folder.parent().unwrap_or(Path::new("/")).to_path_buf();
    match name(folder).as_str() {
        // `mise/config.toml`, `.mise/config.toml`, `.config/mise/config.toml`.
        "mise" | ".mise" if name(&above(folder)) == ".config" => above(&above(folder)),
        "mise" | ".mise" if name(path).starts_with("config.") => above(folder),
        ".config" => above(folder),
        _ => folder.to_path_buf(),
    }
}

/// Reads a project: its root, and what is to be written.
pub(super) fn read(source: &Source<'_>) -> Result<(PathBuf, Draft), ImportError> {
    let tree = Tree::toml(source.shown, source.text)?;
    let mut project = Project { root: config_root(source.path), ..Project::default() };
    let mut draft = Draft { shell: vec!["sh".into(), "-ec".into()], ..Draft::default() };
    for (name, entry) in tree.map() {
        match name.as_str() {
            "tasks" | "env" | "vars" | "task_config" | "task_templates" | "redactions" | "settings" => {}
            "min_version" => {}
            "tools" => {
                let tools: Vec<&str> = entry.map().iter().map(|(name, _)| name.as_str()).collect();
                let text = format!(
                    "weir takes PATH as it is, so start it where these are on it (a shell with mise active, or `mise exec -- weir …`): {}",
                    tools.join(", ")
                );
                draft.note("", "tools", entry.line, text);
            }
            other => draft.note("", other, entry.line, format!("left out: {}", shorten(&entry.shown()))),
        }
    }
    settings(&mut draft, tree.at("settings"));
    project.vars(&mut draft, tree.at("vars"));
    project.environment(&mut draft, tree.at("env"));
    for pattern in tree.at("redactions").strings() {
        project.redact(&mut draft, &pattern, tree.at("redactions").line);
    }
    draft.run_before(&project.prelude(), "it sets what [env] leaves to be worked out, and runs the command");
    let config = tree.at("task_config");
    project.task_config(&mut draft, config);
    for (name, template) in tree.at("task_templates").map() {
        project.templates.insert(name.clone(), template.clone());
    }
    others(source, &project.root, &mut draft);
    let mut found: Vec<files::Found> = files::find(&project, config, &mut draft)?;
    for (name, entry) in tree.at("tasks").map() {
        files::overlay(&mut found, name, entry);
    }
    for found in &found {
        let tasks = project.task(found);
        draft.tasks.extend(tasks);
    }
    if draft.tasks.is_empty() {
        return Err(ImportError::at(
            source.shown,
            0,
            "there are no tasks, in it or in files",
            "there is nothing to import",
        ));
    }
    edges::expand(&mut draft);
    Ok((project.root, draft))
}

/// Other files that mise would read beside this one.
fn others(source: &Source<'_>, root: &Path, draft: &mut Draft) {
    let names = [
        "mise.toml",
        ".mise.toml",
        "mise.local.toml",
        ".mise.local.toml",
        "mise/config.toml",
        ".mise/config.toml",
        ".config/mise.toml",
        ".config/mise/config.toml",
        ".tool-versions",
    ];
    for name in names {
        if root.join(name).is_file() && root.join(name) != source.path {
            draft.note("", name, 0, "mise reads it too; this is without it");
        }
    }
}

fn settings(draft: &mut Draft, settings: &Tree) {
    for (name, entry) in settings.map() {
        match name.as_str() {
            "jobs" => draft.jobs = entry.scalar().and_then(|jobs| jobs.parse().ok()).filter(|jobs| *jobs > 0),
            "experimental" | "trusted_config_paths" | "yes" | "quiet" | "verbose" | "color" => {}
            "unix_default_inline_shell_args"
                if words(&entry.strings().join(" ")).is_some_and(|words| super::shell::is_posix(&words)) =>
            {
                draft.shell = words(&entry.strings().join(" ")).unwrap_or_default();
            }
            other => {
                draft.note(
                    "settings",
                    &format!("settings.{other}"),
                    entry.line,
                    format!("left out: {}", shorten(&entry.shown())),
                );
            }
        }
    }
}

/// A text short enough for a comment.
fn shorten(text: &str) -> String {
    let short: String = text.chars().take(160).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

impl Project {
    /// A value with its templates and `$NAME`s filled in.
    fn value(&self, scope: &mut Scope, text: &str) -> Result<Val, String> {
        value(text, true, |expression| scope.resolve(expression))
    }

    fn vars(&mut self, draft: &mut Draft, vars: &Tree) {
        for (name, entry) in vars.map() {
            let text = entry.scalar().or_else(|| entry.at("value").scalar());
            let mut scope = self.scope.clone();
            let found = text.map(|text| value(&text, false, |expression| scope.resolve(expression)));
            match found {
                Some(Ok(val)) => {
                    self.scope.vars.insert(name.clone(), val);
                }
                Some(Err(why)) => draft.note("", &format!("vars.{name}"), entry.line, format!("left out: {why}")),
                None => draft.note("", &format!("vars.{name}"), entry.line, format!("left out: {}", entry.shown())),
            }
        }
    }

    fn environment(&mut self, draft: &mut Draft, env: &Tree) {
        // `[env]` may be a list of tables, in order.
        let entries: Vec<(String, Tree)> = env.one_or_more().iter().flat_map(|table| table.map().to_vec()).collect();
        for (name, entry) in entries {
            let mut notes: Vec<(&'static str, String, String)> = vec![];
            let set = self.variable(&name, &entry, &mut notes);
            for (at, about, text) in notes {
                draft.note(at, &about, entry.line, text);
            }
            if entry.at("redact").truth() {
                self.redact.push(name.clone());
            }
            match set {
                Some(Set::Value(val)) => {
                    if let Val::Static(text) = &val {
                        draft.env.retain(|(known, _)| *known != name);
                        draft.env.push((name.clone(), text.clone()));
                    } else {
                        self.exports.push((name.clone(), val.clone()));
                    }
                    self.scope.env.insert(
                        name,
                        match val {
                            Val::Dynamic(_) => {
                                Val::Dynamic(format!("${{{}}}", self.exports.last().map_or("", |e| e.0.as_str())))
                            }
                            known => known,
                        },
                    );
                }
                Some(Set::Unset) => self.unset.push(name),
                Some(Set::Required) => self.required.push(name),
                Some(Set::Taken { files, folders }) => {
                    self.env_file.extend(files);
                    self.path.extend(folders);
                }
                None => {}
            }
        }
    }

    /// An entry of `env`, a file's or a task's.
    fn variable(&self, name: &str, entry: &Tree, notes: &mut Vec<(&'static str, String, String)>) -> Option<Set> {
        let about = format!("env.{name}");
        let mut left_out = |at: &'static str, why: String| notes.push((at, about.clone(), why));
        if name == "_" || name == "mise" {
            return self.directive(entry, notes);
        }
        if entry.value == Value::Bool(false) {
            return Some(Set::Unset);
        }
        if entry.at("required").truth() || entry.at("required").text().is_some() {
            return Some(Set::Required);
        }
        let default = entry.at("default").scalar();
        let text = entry.scalar().or_else(|| entry.at("value").scalar());
        if let Some(default) = default {
            let escaped = super::shell::escape(&default);
            return Some(Set::Value(Val::Dynamic(format!("${{{name}-{escaped}}}"))));
        }
        let Some(text) = text else {
            left_out("env", format!("left out: {}", shorten(&entry.shown())));
            return None;
        };
        if entry.at("tools").truth() {
            left_out("env", "`tools` left out: weir has none".into());
        }
        let mut scope = self.scope.clone();
        match self.value(&mut scope, &text) {
            Ok(val) => Some(Set::Value(val)),
            Err(why) => {
                left_out("env", format!("left out: {why}"));
                None
            }
        }
    }

    /// Lines that set what `[env]` leaves to be worked out.
    fn prelude(&self) -> Vec<String> {
        let unset = self.unset.iter().map(|name| format!("unset {name}"));
        unset.chain(self.exports.iter().map(|(name, val)| val.export(name))).collect()
    }

    /// `_.file`, `_.path`, `_.source`.
    fn directive(&self, entry: &Tree, notes: &mut Vec<(&'static str, String, String)>) -> Option<Set> {
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for (name, entry) in entry.map() {
            let about = format!("env._.{name}");
            for item in entry.one_or_more() {
                let text = item.text().map(str::to_owned).or_else(|| item.at("path").scalar()).unwrap_or_default();
                let relative = self.relative(&text);
                match (name.as_str(), relative) {
                    ("file", Some(file))
                        if !file.ends_with(".json") && !file.ends_with(".yaml") && !file.ends_with(".toml") =>
                    {
                        if self.root.join(&file).is_file() {
                            files.push(file);
                        } else {
                            let text =
                                format!("`{file}` left out: mise passes over a file that is not there, weir does not");
                            notes.push(("env_file", about.clone(), text));
                        }
                    }
                    ("path", Some(folder)) => folders.push(folder),
                    _ => notes.push(("env", about.clone(), format!("left out: {}", shorten(&item.shown())))),
                }
            }
        }
        if files.is_empty() && folders.is_empty() {
            return None;
        }
        if !files.is_empty() {
            notes.push(("env_file", "env._.file".into(), "weir masks these values in all output".into()));
        }
        Some(Set::Taken { files, folders })
    }

    /// A path relative to the root; none where it leads out of it, or is not known before it runs.
    fn relative(&self, text: &str) -> Option<String> {
        let text = text.trim();
        let mut rest = text;
        for root in ["{{config_root}}", "{{ config_root }}"] {
            rest = rest.strip_prefix(root).unwrap_or(rest);
        }
        if rest.contains("{{") || rest.starts_with('~') || rest.contains('$') {
            let mut scope = self.scope.clone();
            let Ok(Val::Static(known)) = value(rest, false, |expression| scope.resolve(expression)) else {
                return None;
            };
            return if known == rest { None } else { self.relative(&known) };
        }
        if rest.len() < text.len() {
            rest = rest.trim_start_matches('/');
        }
        if let Ok(inside) = Path::new(rest).strip_prefix(&self.root) {
            return inside.to_str().map(str::to_owned);
        }
        let rest = rest.strip_prefix("./").unwrap_or(rest);
        let rest = if rest.is_empty() { "." } else { rest };
        (!rest.starts_with('/')).then(|| rest.to_owned())
    }

    fn redact(&mut self, draft: &mut Draft, pattern: &str, line: usize) {
        let stem = pattern.strip_suffix('*').unwrap_or(pattern);
        if !stem.is_empty() && stem.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            self.redact.push(pattern.to_owned());
        } else {
            draft.note("", "redactions", line, format!("`{pattern}` left out: a `*` may only stand at the end"));
        }
    }

    fn task_config(&mut self, draft: &mut Draft, config: &Tree) {
        for (name, entry) in config.map() {
            match name.as_str() {
                "includes" => {}
                "dir" => self.dir = Some(entry.clone()),
                "shell" => self.shell = Some(entry.clone()),
                "global_inputs" => self.inputs = entry.strings(),
                "input_groups" => {
                    self.groups = entry.map().iter().map(|(name, group)| (name.clone(), group.strings())).collect();
                }
                other => {
                    let text = format!("left out: {}", shorten(&entry.shown()));
                    draft.note("", &format!("task_config.{other}"), entry.line, text);
                }
            }
        }
    }

    /// A pattern, or the patterns of the group it names.
    fn patterns(&self, pattern: &str, depth: usize) -> Vec<String> {
        match pattern.strip_prefix("@group:").and_then(|name| self.groups.get(name)) {
            Some(group) if depth < 20 => group
                .iter()
                .flat_map(|pattern| self.patterns(pattern, depth + 1))
                .map(|pattern| format!("/{pattern}"))
                .collect(),
            _ => vec![pattern.to_owned()],
        }
    }
}

/// What an entry of `env` does.
enum Set {
    Value(Val),
    Unset,
    /// It must be set outside.
    Required,
    /// `_.file` and `_.path`.
    Taken {
        files: Vec<String>,
        folders: Vec<String>,
    },
}
