//! One task of mise → one of weir's; several where its `run` mixes commands and other tasks.

use super::super::draft::{Action, Argument, Edge, TaskDraft};
use super::super::script::{run_script, shebang};
use super::super::shell::{
    self, Val, argument_variable as variable, fill, is_posix, quote, reads_arguments, with_arguments,
};
use super::super::tree::{Tree, Value};
use super::edges::edge;
use super::files::{Found, Script};
use super::template::{Kind, Scope, uncommented};
use super::usage::{Spec, parse};
use super::{Project, Set, shorten};

/// A task in the making.
struct Builder<'a> {
    project: &'a Project,
    task: TaskDraft,
    scope: Scope,
    /// Lines that go before each command.
    before: Vec<String>,
    posix: bool,
    specs: Option<Vec<Spec>>,
    /// Why a dependency can't be carried over.
    lost: Option<String>,
    /// It is a script of its own, which sees what was given, without defaults.
    script: bool,
}

/// An item of `run`.
enum Item {
    Command(String),
    Tasks(Vec<Edge>),
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

    /// `usage`: positional arguments are carried over, flags are not.
    fn usage(&mut self, text: Option<String>) {
        let Some(text) = text else { return };
        let (specs, others) = parse(&text);
        let flags: Vec<String> = specs.iter().filter(|spec| spec.flag).map(|spec| format!("--{}", spec.name)).collect();
        if !flags.is_empty() {
            let text = format!("weir's arguments are positional; always as if not given: `{}`", flags.join("`, `"));
            self.task.note("args", "usage", text);
        }
        for line in others
            .iter()
            .filter(|line| !line.starts_with("complete") && !line.starts_with("long_") && !line.starts_with("help"))
        {
            self.task.note("args", "usage", format!("left out: {}", shorten(line)));
        }
        let positional: Vec<&Spec> = specs.iter().filter(|spec| !spec.flag).collect();
        if positional.iter().any(|spec| spec.rest) {
            if positional.len() > 1 {
                self.task.note("run", "usage", "the arguments are not declared: one of several takes all that is left");
            }
        } else {
            for spec in positional {
                let default = spec.default.clone().filter(|_| spec.env.is_none() && !self.script);
                self.task.args.push(Argument {
                    name: spec.name.clone(),
                    choices: spec.choices.clone(),
                    default,
                    required: spec.required && spec.env.is_none(),
                });
            }
        }
        self.specs = Some(specs);
    }

    /// Lines that set what mise sets, as far as the text names it.
    fn preamble(&self, text: &str) -> Vec<String> {
        // The file's own shell sets these; another does not.
        let mut lines = if self.task.shell.is_empty() { vec![] } else { self.project.prelude() };
        for name in ["MISE_PROJECT_ROOT", "MISE_CONFIG_ROOT", "MISE_ORIGINAL_CWD", "MISE_TASK_DIR"] {
            if text.contains(name) {
                lines.push(format!("export {name}=\"$WEIR_WORKSPACE\""));
            }
        }
        if text.contains("MISE_TASK_NAME") {
            lines.push(format!("export MISE_TASK_NAME={}", quote(&self.task.name)));
        }
        let variadic = self.specs.iter().flatten().any(|spec| spec.rest && !spec.flag);
        for spec in self.specs.iter().flatten().filter(|spec| text.contains(&spec.variable())) {
            let (name, from) = (spec.variable(), variable(&spec.name));
            let fallback = match (&spec.env, &spec.default) {
                (Some(env), default) => {
                    Some(format!("${{{env}-{}}}", shell::escape(default.as_deref().unwrap_or_default())))
                }
                (None, Some(default)) if spec.flag || self.script => Some(shell::escape(default)),
                _ => None,
            };
            lines.push(match (spec.flag, spec.rest || variadic, fallback) {
                (true, _, Some(fallback)) => format!("export {name}=\"{fallback}\""),
                (true, _, None) => format!("unset {name}"),
                (false, true, _) if spec.rest => format!("export {name}=\"$*\""),
                (false, true, _) => format!("export {name}=\"$1\""),
                (false, false, Some(fallback)) => format!("export {name}=\"${{{from}-{fallback}}}\""),
                (false, false, None) if spec.required || spec.default.is_some() => format!("export {name}=\"${from}\""),
                (false, false, None) => format!("[ -z \"${{{from}+x}}\" ] || export {name}=\"${from}\""),
            });
        }
        lines.extend(self.before.iter().cloned());
        lines
    }

    /// A file task.
    fn file(&mut self, script: &Script) {
        let before = self.preamble(&script.text);
        self.task.shell.clear();
        let command =
            if script.text.starts_with("#!") { format!("./{}", script.path) } else { format!("sh ./{}", script.path) };
        self.program(&command, &before);
    }

    /// `file = "scripts/x.sh"`.
    fn named_file(&mut self, file: &str) {
        self.task.shell.clear();
        match self.project.relative(file) {
            Some(relative) if !file.contains("://") && !file.starts_with("git::") => {
                let text = std::fs::read_to_string(self.project.root.join(&relative)).unwrap_or_default();
                let before = self.preamble(&text);
                let command = if text.starts_with("#!") { format!("./{relative}") } else { format!("sh ./{relative}") };
                self.program(&command, &before);
            }
            _ => self.task.refuse("file", "weir runs only files of the workspace", file),
        }
    }

    /// Runs a program of the workspace, its path relative to the root.
    fn program(&mut self, command: &str, before: &[String]) {
        if before.is_empty()
            && self.task.dir.is_none()
            && self.project.prelude().is_empty()
            && !command.starts_with("sh ")
        {
            self.task.action = Action::Exec(vec![command.to_owned()]);
            return;
        }
        let command = if self.task.dir.is_some() || before.iter().any(|line| line.starts_with("cd ")) {
            match command.strip_prefix("sh ./") {
                Some(path) => format!("sh \"$WEIR_WORKSPACE/{}\"", shell::escape(path)),
                None => format!("\"$WEIR_WORKSPACE/{}\"", shell::escape(command.trim_start_matches("./"))),
            }
        } else {
            command.split(' ').map(quote).collect::<Vec<_>>().join(" ")
        };
        let mut lines = before.to_vec();
        lines.push(format!("{command} \"$@\""));
        self.task.action = Action::Run(vec![lines.join("\n")]);
    }

    /// `run`; what comes back are helper tasks.
    fn run(&mut self, run: &Tree) -> Vec<TaskDraft> {
        let mut items = Vec::new();
        for item in run.one_or_more() {
            match item_of(item) {
                Ok(item) => items.push(item),
                Err(why) => {
                    self.task.refuse("run", why, &run.shown());
                    return vec![];
                }
            }
        }
        // A nested `mise run x` is the task itself.
        if items.iter().all(|item| matches!(item, Item::Command(_))) {
            let commands: Vec<String> = items
                .into_iter()
                .filter_map(|item| if let Item::Command(text) = item { Some(text) } else { None })
                .collect();
            if !commands.is_empty() {
                self.commands(&commands);
            }
            return vec![];
        }
        self.steps(items)
    }

    fn commands(&mut self, commands: &[String]) {
        if let [one] = commands
            && let Some((interpreter, body)) = shebang(one)
        {
            let mut scope = self.scope.clone();
            let mut before = self.preamble(one);
            if is_posix(&interpreter) && self.task.shell.is_empty() {
                before.splice(0..0, self.project.prelude());
            }
            self.task.shell.clear();
            match fill(body, |expression| scope.resolve(expression)) {
                // An expansion means something to a shell only.
                Ok(text) if text == body || is_posix(&interpreter) || !text.contains("${") => {
                    self.scope = scope;
                    run_script(&mut self.task, &interpreter, &text, &before);
                    self.named_arguments();
                }
                Ok(_) => self.task.refuse("run", "a template that only a shell could fill in", one),
                Err(why) => self.task.refuse("run", why, one),
            }
            return;
        }
        let mut lines = Vec::new();
        let mut scope = self.scope.clone();
        for text in commands {
            match fill(text.trim_end(), |expression| scope.resolve(expression)) {
                Ok(filled) if self.posix || filled == text.trim_end() || !filled.contains("${") => lines.push(filled),
                Ok(_) => return self.task.refuse("run", "a template that only a shell could fill in", text),
                Err(why) => return self.task.refuse("run", why, text),
            }
        }
        self.scope = scope;
        self.named_arguments();
        let declared = self.specs.is_some() || !self.scope.named.is_empty();
        if let Some(last) = lines.last_mut().filter(|_| self.posix && !declared) {
            if reads_arguments(last) {
                self.task.note(
                    "run",
                    "run",
                    "`$1`, `$@` and the like are empty under mise, which puts arguments at the end",
                );
            } else if let Some(with) = with_arguments(last) {
                *last = with;
            }
        }
        let wrapped: Vec<String> = lines
            .into_iter()
            .map(|line| {
                let before = self.preamble(&line);
                if before.is_empty() || !self.posix { line } else { format!("{}\n{line}", before.join("\n")) }
            })
            .collect();
        if !self.posix && !self.preamble("").is_empty() {
            self.task.note(
                "shell",
                "env",
                format!("not set, since this is no shell: `{}`", self.preamble("").join("`, `")),
            );
        }
        if let Some(call) = wrapped.iter().find(|line| line.contains("mise run ") || line.contains("mise r ")) {
            self.task.note("run", "run", format!("it still calls mise: {}", super::super::draft::one_line(call)));
        }
        self.task.action = Action::Run(wrapped);
    }

    /// The arguments that templates named.
    fn named_arguments(&mut self) {
        if self.specs.is_some() {
            return;
        }
        let named = self.scope.named.clone();
        let options: Vec<String> =
            named.iter().filter(|named| named.kind == Kind::Option).map(|named| format!("--{}", named.name)).collect();
        if !options.is_empty() {
            let text = format!("weir's arguments are positional; always as if not given: `{}`", options.join("`, `"));
            self.task.note("args", "usage", text);
        }
        if named.iter().any(|named| named.kind == Kind::Rest) {
            return;
        }
        for named in named.into_iter().filter(|named| named.kind == Kind::Positional) {
            let required = named.default.is_none();
            self.task.args.push(Argument { name: named.name, default: named.default, required, ..Argument::default() });
        }
    }

    /// Commands and tasks in turn: each run of commands becomes a helper.
    fn steps(&mut self, items: Vec<Item>) -> Vec<TaskDraft> {
        let mut steps: Vec<Vec<Edge>> = Vec::new();
        let mut helpers: Vec<TaskDraft> = Vec::new();
        let mut commands: Vec<String> = Vec::new();
        let depends = std::mem::take(&mut self.task.depends);
        if !depends.is_empty() {
            steps.push(depends);
        }
        let name = self.task.name.clone();
        let mut flush = |commands: &mut Vec<String>, steps: &mut Vec<Vec<Edge>>, builder: &mut Self| {
            if commands.is_empty() {
                return;
            }
            let mut helper = Builder {
                project: builder.project,
                task: TaskDraft {
                    name: format!("{name}.step{}", helpers.len() + 1),
                    line: builder.task.line,
                    ..TaskDraft::default()
                },
                scope: builder.scope.clone(),
                before: builder.before.clone(),
                posix: builder.posix,
                specs: None,
                lost: None,
                script: false,
            };
            helper.task.hide = true;
            helper.task.shell.clone_from(&builder.task.shell);
            helper.task.dir.clone_from(&builder.task.dir);
            helper.task.env.clone_from(&builder.task.env);
            helper.task.env_file.clone_from(&builder.task.env_file);
            helper.task.path.clone_from(&builder.task.path);
            helper.task.interactive = builder.task.interactive;
            helper.task.quiet = builder.task.quiet;
            helper.task.timeout.clone_from(&builder.task.timeout);
            helper.task.confirm = builder.task.confirm.take();
            helper.commands(&std::mem::take(commands));
            helper.everywhere();
            steps.push(vec![Edge::to(&helper.task.name)]);
            helpers.push(helper.task);
        };
        for item in items {
            match item {
                Item::Command(text) => commands.push(text),
                Item::Tasks(edges) => {
                    flush(&mut commands, &mut steps, self);
                    steps.push(edges);
                }
            }
        }
        flush(&mut commands, &mut steps, self);
        if !helpers.is_empty() {
            self.task.note("sequence", "run", "it takes no arguments here: its commands are tasks of their own");
            // What the helpers have now is no loss.
            (self.task.dir, self.task.shell, self.task.env) = (None, vec![], vec![]);
            (self.task.env_file, self.task.path) = (vec![], vec![]);
            (self.task.interactive, self.task.quiet, self.task.timeout) = (false, false, None);
        }
        self.task.action = Action::Sequence(steps);
        helpers
    }

    /// What the file's environment brings to every task.
    fn everywhere(&mut self) {
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

/// An item of `run`: a command, or tasks that run in parallel.
fn item_of(item: &Tree) -> Result<Item, String> {
    if let Some(text) = item.text() {
        let words = shell::words(text).unwrap_or_default();
        if let [mise, run, rest @ ..] = &words[..]
            && mise == "mise"
            && matches!(run.as_str(), "run" | "r")
            && let Some(task) = rest.first().filter(|word| !word.starts_with('-'))
            && !rest.iter().any(|word| word == ":::")
        {
            return Ok(Item::Tasks(vec![Edge { task: task.clone(), args: rest[1..].to_vec(), ..Edge::default() }]));
        }
        return Ok(Item::Command(uncommented(text)));
    }
    if item.get("task").is_some() {
        return edge(item).map(|edge| Item::Tasks(vec![edge]));
    }
    let tasks =
        item.get("tasks").ok_or_else(|| format!("an entry of `run` that weir does not know: {}", item.shown()))?;
    let edges: Result<Vec<Edge>, String> = tasks.one_or_more().into_iter().map(edge).collect();
    edges.map(Item::Tasks)
}
