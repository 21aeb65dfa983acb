//! The keys of one task of mise → one of weir's, and helpers where its `run` needs them.

use super::super::draft::TaskDraft;
use super::super::shell::{self, Val, is_posix, quote};
use super::super::tree::{Tree, Value};
use super::edges::edge;
use super::files::{Found, Script};
use super::template::Scope;
use super::usage::Spec;
use super::{Project, Set, shorten};

/// A task in the making.
pub(super) struct Builder<'a> {
    pub project: &'a Project,
    pub task: TaskDraft,
    pub scope: Scope,
    /// Lines that go before each command.
    pub before: Vec<String>,
    pub posix: bool,
    pub specs: Option<Vec<Spec>>,
    /// Why a dependency can't be carried over.
    pub lost: Option<String>,
    /// It is a script of its own, which sees what was given, without defaults.
    pub script: bool,
}

impl Project {
    /// The task, and helpers after it.
    pub(super) fn task(&self, found: &Found) -> Vec<TaskDraft> {
        let tree = self.whole(&found.tree);
        let mut builder = Builder {
            project: self,
            task: TaskDraft::new(&found.name, found.tree.line),
            scope: self.scope.clone(),
            before: vec![],
            posix: true,
            specs: None,
            lost: None,
            script: found.script.is_some() || found.tree.get("file").is_some(),
        };
        for (name, entry) in tree.map() {
            builder.key(name, entry);
        }
        builder.environment(tree.at("env"));
        builder.shell(&tree);
        builder.dir(&tree);
        let usage = tree.at("usage").text().map(str::to_owned);
        builder.usage(
            usage
                .or_else(|| found.script.as_ref().map(|script| script.usage.clone()))
                .filter(|text| !text.trim().is_empty()),
        );
        let mut helpers = vec![];
        if let Some(script) = &found.script {
            builder.file(script);
        } else if let Some(file) = tree.at("file").text() {
            builder.named_file(file);
        } else {
            helpers = builder.run(tree.at("run"));
        }
        builder.caching(&tree, found.script.as_ref());
        if let Some(why) = builder.lost.clone() {
            builder.task.refuse("depends", why, &tree.at("depends").shown());
        }
        if builder.task.acts() {
            builder.everywhere();
        }
        let mut tasks = vec![builder.task];
        tasks.append(&mut helpers);
        tasks
    }

    /// The keys of a task, whatever short form it has, with those of the template it extends.
    fn whole(&self, tree: &Tree) -> Tree {
        let Value::Map(keys) = &tree.value else {
            let keys = vec![("run".to_owned(), tree.clone())];
            return Tree { value: Value::Map(keys), line: tree.line };
        };
        let Some(template) = tree.at("extends").text().and_then(|name| self.templates.get(name)) else {
            return tree.clone();
        };
        let mut keys = keys.clone();
        for (name, entry) in template.map() {
            match keys.iter_mut().find(|(known, _)| known == name) {
                None => keys.push((name.clone(), entry.clone())),
                Some((_, own)) if matches!(name.as_str(), "env" | "tools" | "vars") => {
                    let mut merged: Vec<(String, Tree)> = own.map().to_vec();
                    merged.extend(entry.map().iter().filter(|(name, _)| own.get(name).is_none()).cloned());
                    own.value = Value::Map(merged);
                }
                Some(_) => {}
            }
        }
        Tree { value: Value::Map(keys), line: tree.line }
    }
}

impl Builder<'_> {
    /// The keys that need nothing but themselves.
    fn key(&mut self, name: &str, entry: &Tree) {
        match name {
            "run" | "file" | "env" | "dir" | "shell" | "sources" | "outputs" | "usage" | "raw_args" | "cache" => {}
            // weir shows no commands, so that there is nothing to be quiet about.
            "quiet" => {}
            "description" => self.task.description = self.text("description", entry),
            "alias" | "aliases" => self.task.alias.extend(entry.strings()),
            "hide" => self.task.hide = entry.truth(),
            "interactive" | "raw" => self.task.interactive |= entry.truth(),
            "depends" | "depends_post" | "wait_for" => self.edges(name, entry),
            "vars" => {
                for (name, value) in entry.map() {
                    let text = value.scalar().or_else(|| value.at("value").scalar()).unwrap_or_default();
                    let mut scope = self.scope.clone();
                    match shell::value(&text, false, |expression| scope.resolve(expression)) {
                        Ok(val) => drop(self.scope.vars.insert(name.clone(), val)),
                        Err(why) => self.task.note("run", &format!("vars.{name}"), format!("left out: {why}")),
                    }
                }
            }
            "confirm" => {
                let message = if entry.text().is_some() { entry } else { entry.at("message") };
                self.task.confirm = self.text("confirm", message);
                if self.task.confirm.is_some() {
                    self.task.note(
                        "confirm",
                        "confirm",
                        "weir asks before anything of the run starts, mise after the dependencies",
                    );
                }
            }
            "timeout" => match entry.scalar().filter(|text| !text.contains("{{")) {
                Some(timeout) => self.task.timeout = Some(timeout),
                None => self.task.note("run", "timeout", format!("left out: {}", entry.shown())),
            },
            "silent" => match entry.text() {
                Some("stdout") => self.before.push("exec > /dev/null".into()),
                Some("stderr") => self.before.push("exec 2> /dev/null".into()),
                _ if entry.truth() => {
                    self.task.quiet = true;
                    self.task.note("quiet", "silent", "weir shows the output if it fails");
                }
                _ => {}
            },
            "extends" if entry.text().is_some_and(|name| self.project.templates.contains_key(name)) => {}
            "tools" => {
                self.task.note("run", "tools", format!("weir installs no tools; put these on PATH: {}", entry.shown()))
            }
            "run_windows" => self.task.note(
                "run",
                "run_windows",
                format!("left out, weir runs on Linux and macOS: {}", shorten(&entry.shown())),
            ),
            other => self.task.note("run", other, format!("left out: {}", shorten(&entry.shown()))),
        }
    }

    /// A text that a person reads: a template in it is left as it is, with a note.
    fn text(&mut self, at: &'static str, entry: &Tree) -> Option<String> {
        let text = entry.text()?;
        let mut scope = self.scope.clone();
        match shell::value(text, false, |expression| scope.resolve(expression)) {
            Ok(Val::Static(text)) => Some(text),
            _ => {
                self.task.note(at, at, "the template in it is not filled in");
                Some(text.to_owned())
            }
        }
    }

    fn edges(&mut self, name: &str, entry: &Tree) {
        for item in entry.one_or_more() {
            match (edge(item), name) {
                (Ok(edge), "depends") => self.task.depends.push(edge),
                (Ok(edge), "depends_post") => self.task.depends_post.push(edge),
                (Ok(edge), _) => {
                    if !edge.args.is_empty() || !edge.env.is_empty() {
                        self.task.note(
                            "wait_for",
                            "wait_for",
                            format!("`{}` is waited for whatever is given to it", edge.task),
                        );
                    }
                    self.task.wait_for.push(edge.task);
                }
                (Err(why), "depends") => self.lost = Some(why),
                (Err(why), _) => self.task.note("", name, format!("{} left out: {why}", item.shown())),
            }
        }
    }

    fn environment(&mut self, env: &Tree) {
        for (name, entry) in env.map() {
            let mut notes = vec![];
            let set = self.project.variable(name, entry, &mut notes);
            for (at, about, text) in notes {
                self.task.note(at, &about, text);
            }
            if entry.at("redact").truth() {
                self.task.redact.push(name.clone());
            }
            match set {
                Some(Set::Value(Val::Static(text))) => {
                    self.scope.env.insert(name.clone(), Val::Static(text.clone()));
                    self.task.env.push((name.clone(), text));
                }
                Some(Set::Value(val)) => self.before.push(val.export(name)),
                Some(Set::Required) => self.task.env_required.push(name.clone()),
                Some(Set::Unset) => self.before.push(format!("unset {name}")),
                Some(Set::Taken { files, folders }) => {
                    self.task.env_file.extend(files);
                    self.task.path.extend(folders);
                }
                None => {}
            }
        }
    }

    fn shell(&mut self, tree: &Tree) {
        let entry = tree.get("shell").or(self.project.shell.as_ref());
        if let Some(words) = entry.and_then(Tree::text).and_then(shell::words).filter(|words| !words.is_empty()) {
            self.posix = is_posix(&words);
            self.task.shell = words;
        }
    }

    fn dir(&mut self, tree: &Tree) {
        let Some(dir) = tree.get("dir").or(self.project.dir.as_ref()).and_then(Tree::text) else { return };
        if matches!(dir.trim(), "{{cwd}}" | "{{ cwd }}") {
            self.task.note("run", "dir", "mise runs it in the folder it was called from, weir in that of this file");
            return;
        }
        match self.project.relative(dir) {
            Some(dir) if dir == "." => {}
            Some(dir) if crate::model::WsPath::resolve(&crate::model::WsPath::root(), &dir).is_ok() => {
                self.task.dir = Some(dir)
            }
            _ => {
                let mut scope = self.scope.clone();
                match shell::value(dir, false, |expression| scope.resolve(expression)) {
                    Ok(Val::Static(text)) if !text.starts_with('~') => self.before.push(format!("cd {}", quote(&text))),
                    Ok(Val::Static(text)) => self.before.push(format!("cd ~{}", shell::escape(&text[1..]))),
                    Ok(Val::Dynamic(text)) => self.before.push(format!("cd \"{text}\"")),
                    Err(why) => self.task.note("run", "dir", format!("{dir:?} left out: {why}")),
                }
            }
        }
    }

    /// What the file's environment brings to every task.
    pub(super) fn everywhere(&mut self) {
        self.task.env_file.extend(self.project.env_file.iter().cloned());
        self.task.path.extend(self.project.path.iter().cloned());
        self.task.env_required.extend(self.project.required.iter().cloned());
        self.task.redact.extend(self.project.redact.iter().cloned());
    }

    fn caching(&mut self, tree: &Tree, script: Option<&Script>) {
        let declared = tree.at("sources").strings();
        if declared.is_empty() && self.project.inputs.is_empty() || !self.task.acts() || self.task.refused {
            if tree.get("outputs").is_some() && self.task.acts() && !self.task.refused {
                self.task.note(
                    "run",
                    "outputs",
                    format!("left out: without `sources` it always runs; it had {}", tree.at("outputs").shown()),
                );
            }
            return;
        }
        let mut sources: Vec<String> = declared
            .iter()
            .flat_map(|pattern| self.project.patterns(pattern, 0))
            .chain(
                self.project
                    .inputs
                    .iter()
                    .flat_map(|pattern| self.project.patterns(pattern, 1))
                    .map(|pattern| format!("/{pattern}")),
            )
            .map(|pattern| self.placed(&pattern))
            .collect();
        if !declared.is_empty()
            && let Some(script) = script
            && !sources.contains(&script.path)
        {
            sources.push(script.path.clone());
        }
        let negated = sources.iter().position(|pattern| pattern.starts_with('!'));
        let later = negated
            .is_some_and(|first| sources[first..].iter().any(|pattern| !pattern.starts_with('!')) && script.is_none());
        if declared.is_empty() {
            return;
        }
        self.task.sources = Some(sources);
        let outputs = tree.at("outputs");
        if matches!(outputs.value, Value::Text(_) | Value::List(_)) {
            self.task.outputs = Some(outputs.strings().iter().map(|pattern| self.placed(pattern)).collect());
        }
        let cache = tree.at("cache");
        self.task.env_inputs = cache.at("env").strings();
        self.task.probes = cache.at("command_inputs").strings();
        self.task.see_everything("mise");
        if later {
            self.task
                .uncache_because("a pattern after a `!` brings back what that took away, which weir does not know");
        }
    }

    /// A pattern of the task's folder, relative to the root.
    fn placed(&self, pattern: &str) -> String {
        let (sign, pattern) = pattern.strip_prefix('!').map_or(("", pattern), |rest| ("!", rest));
        let pattern = pattern.trim_start_matches("./");
        if let Some(rooted) = pattern.strip_prefix('/').filter(|rest| {
            self.project.groups.values().flatten().any(|known| known == rest.trim_start_matches('/'))
                || self.project.inputs.iter().any(|known| known == rest.trim_start_matches('/'))
        }) {
            return format!("{sign}{}", rooted.trim_start_matches('/'));
        }
        if pattern.contains("{{") || pattern.starts_with('/') {
            return self.project.relative(pattern).map_or_else(|| pattern.to_owned(), |known| format!("{sign}{known}"));
        }
        match &self.task.dir {
            Some(dir) => format!("{sign}{}/{pattern}", dir.trim_end_matches('/')),
            None => format!("{sign}{pattern}"),
        }
    }
}
