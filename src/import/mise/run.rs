//! What a task of mise runs: commands, scripts, and other tasks between them.

use super::super::draft::{Action, Edge, TaskDraft};
use super::super::script::{run_script, shebang};
use super::super::shell::{self, fill, is_posix, quote, reads_arguments, with_arguments};
use super::super::tree::Tree;
use super::edges::edge;
use super::files::Script;
use super::task::Builder;
use super::template::uncommented;

/// An item of `run`.
enum Item {
    Command(String),
    Tasks(Vec<Edge>),
}

impl Builder<'_> {
    /// A file task.
    pub(super) fn file(&mut self, script: &Script) {
        let before = self.preamble(&script.text);
        self.task.shell.clear();
        let command =
            if script.text.starts_with("#!") { format!("./{}", script.path) } else { format!("sh ./{}", script.path) };
        self.program(&command, &before);
    }

    /// `file = "scripts/x.sh"`.
    pub(super) fn named_file(&mut self, file: &str) {
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
    pub(super) fn run(&mut self, run: &Tree) -> Vec<TaskDraft> {
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
