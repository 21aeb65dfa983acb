//! The tasks.toml to be, before it is text: what the readers of other tools' files fill in.

use std::fmt;

/// A tasks.toml to be.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// The file it is made from, as shown.
    pub from: String,
    /// `[settings] shell`.
    pub shell: Vec<String>,
    /// What is to be said of it.
    pub shell_comment: Option<String>,
    /// `[settings] jobs`.
    pub jobs: Option<u32>,
    /// `[env]`.
    pub env: Vec<(String, String)>,
    /// The tasks, in the order they are written.
    pub tasks: Vec<TaskDraft>,
    /// What was not carried over and belongs to no task.
    pub notes: Vec<Note>,
}

/// Something that could not be carried over as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The key of tasks.toml it stands at; empty: at the head.
    pub at: &'static str,
    /// What it is about, in the other tool's words: `usage`, `tools`.
    pub about: String,
    /// What is different now, and what to do.
    pub text: String,
    /// The line of the other tool's file; 0 where it is not known.
    pub line: usize,
}

impl Note {
    /// A note at a key.
    pub fn new(at: &'static str, about: impl Into<String>, line: usize, text: impl Into<String>) -> Self {
        Self { at, about: about.into(), text: text.into(), line }
    }
}

/// A task to be. Empty lists are not written.
#[derive(Debug, Clone, Default)]
pub struct TaskDraft {
    /// Its name.
    pub name: String,
    /// Where it stands in the other tool's file.
    pub line: usize,
    pub(super) description: Option<String>,
    pub(super) alias: Vec<String>,
    pub(super) hide: bool,
    pub(super) args: Vec<Argument>,
    pub(super) depends: Vec<Edge>,
    pub(super) wait_for: Vec<String>,
    pub(super) depends_post: Vec<Edge>,
    pub(super) action: Action,
    pub(super) dir: Option<String>,
    pub(super) shell: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) env_file: Vec<String>,
    pub(super) path: Vec<String>,
    pub(super) sources: Option<Vec<String>>,
    pub(super) outputs: Option<Vec<String>>,
    pub(super) cache_off: bool,
    pub(super) env_inputs: Vec<String>,
    pub(super) pass_through: Vec<String>,
    pub(super) env_required: Vec<String>,
    pub(super) probes: Vec<String>,
    pub(super) interactive: bool,
    pub(super) quiet: bool,
    pub(super) warn: bool,
    pub(super) confirm: Option<String>,
    pub(super) timeout: Option<String>,
    pub(super) redact: Vec<String>,
    pub(super) allow: Vec<(&'static str, String)>,
    /// Its dependencies run one after the other.
    pub(super) ordered: bool,
    /// It stands in for what could not be carried over.
    pub(super) refused: bool,
    /// What was not carried over.
    pub notes: Vec<Note>,
}

/// What a task does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing by itself.
    #[default]
    Group,
    /// Commands for the shell.
    Run(Vec<String>),
    /// A program and its arguments.
    Exec(Vec<String>),
    /// Steps in order, each of tasks that run in parallel.
    Sequence(Vec<Vec<Edge>>),
}

/// An edge to another task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Edge {
    pub task: String,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    pub optional: bool,
    pub order_only: bool,
    /// Of a cleanup: only after a success.
    pub on_success: bool,
    /// The glob of names it comes from.
    pub glob: Option<String>,
}

impl Edge {
    /// To a task, with nothing given to it.
    pub fn to(task: impl Into<String>) -> Self {
        Self { task: task.into(), ..Self::default() }
    }
}

/// A declared argument.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Argument {
    pub name: String,
    pub choices: Vec<String>,
    pub default: Option<String>,
    pub required: bool,
}

impl TaskDraft {
    /// A task of which nothing is known but its name.
    pub(super) fn new(name: impl Into<String>, line: usize) -> Self {
        Self { name: name.into(), line, ..Self::default() }
    }

    /// Puts down what could not be carried over.
    pub(super) fn note(&mut self, at: &'static str, about: &str, text: impl Into<String>) {
        let note = Note::new(at, about, self.line, text);
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Whether it runs something itself.
    pub(super) fn acts(&self) -> bool {
        matches!(self.action, Action::Run(_) | Action::Exec(_))
    }

    /// The commands of `run`.
    pub(super) fn commands(&self) -> &[String] {
        if let Action::Run(commands) = &self.action { commands } else { &[] }
    }

    /// What can't be run as it was does not run otherwise: it fails and says why.
    pub(super) fn refuse(&mut self, about: &str, why: impl fmt::Display, original: &str) {
        self.note("run", about, format!("{why}; the task fails until this is rewritten: {}", one_line(original)));
        let said = format!("weir import: `{}` was not carried over, see tasks.toml", self.name);
        self.action = Action::Run(vec![format!("echo {} >&2; exit 1", super::shell::quote(&said))]);
        self.refused = true;
        self.args.clear();
        self.shell.clear();
        self.uncache();
    }

    /// Takes caching away.
    pub(super) fn uncache(&mut self) {
        self.sources = None;
        self.outputs = None;
        self.env_inputs.clear();
        self.pass_through.clear();
        self.probes.clear();
        self.notes.retain(|note| note.at != "pass_through");
    }

    /// Takes caching away, and says why, with what was declared.
    pub(super) fn uncache_because(&mut self, why: &str) {
        let listed = |name: &str, list: &Option<Vec<String>>| {
            list.as_ref().map(|list| format!("{name} = {}", super::write::array(list))).unwrap_or_default()
        };
        let declared = [listed("sources", &self.sources), listed("outputs", &self.outputs)];
        let declared: Vec<&str> = declared.iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
        let text = format!("it always runs, because {why}; it had {}", declared.join(", "));
        self.note("run", "sources", text);
        self.uncache();
    }

    /// A task whose cached results were right whatever the environment was: all of it is seen here
    /// too, and what the commands name is an input.
    pub(super) fn see_everything(&mut self, tool: &str) {
        let known = |name: &String| self.env.iter().any(|(set, _)| set == name);
        let named: Vec<String> = self
            .commands()
            .iter()
            .flat_map(|command| crate::config::shell::variables(command))
            .filter(|name| !known(name) && !name.starts_with("usage_") && !OF_EVERY_TASK.contains(&name.as_str()))
            .collect();
        for name in named {
            if !self.env_inputs.contains(&name) {
                self.env_inputs.push(name);
            }
        }
        self.pass_through = vec!["*".into()];
        let text = format!("{tool} shows a task every variable; name those that matter in `env_inputs` instead");
        self.note("pass_through", "environment", text);
    }

    /// Every edge, for renaming.
    pub(super) fn edges_mut(&mut self) -> impl Iterator<Item = &mut Edge> {
        let steps: &mut [Vec<Edge>] = if let Action::Sequence(steps) = &mut self.action { steps } else { &mut [] };
        self.depends.iter_mut().chain(&mut self.depends_post).chain(steps.iter_mut().flatten())
    }
}

/// Seen by every task, cached or not.
const OF_EVERY_TASK: [&str; 6] = ["PATH", "HOME", "USER", "TMPDIR", "TERM", "LANG"];

/// The first line, and a sign that there are more.
pub(super) fn one_line(text: &str) -> String {
    let text = text.trim();
    let mut lines = text.lines();
    let first: String = lines.next().unwrap_or_default().chars().take(200).collect();
    if lines.next().is_some() || first.len() < text.lines().next().unwrap_or_default().len() {
        format!("`{first} …`")
    } else {
        format!("`{first}`")
    }
}

impl Draft {
    /// Puts down what belongs to no task.
    pub(super) fn note(&mut self, at: &'static str, about: &str, line: usize, text: impl Into<String>) {
        self.notes.push(Note::new(at, about, line, text));
    }

    /// The shell that all commands are given to runs these lines first.
    pub(super) fn run_before(&mut self, lines: &[String], comment: &str) {
        if lines.is_empty() {
            return;
        }
        // `sh -c LINES COMMAND TASK ARGS…`: the command is `$0`, and the task's name goes.
        self.shell.push(format!("{}\neval \"shift; $0\"\n", lines.join("\n")));
        self.shell_comment = Some(comment.to_owned());
    }

    /// Mends what the loaded file is said to be wrong in; whether there was something to mend.
    pub fn loosen(&mut self, task: &str, code: &str, message: &str) -> bool {
        let Some(task) = self.tasks.iter_mut().find(|known| known.name == task) else { return false };
        match code {
            "graph::missing-edge" | "graph::overlapping-outputs" | "graph::output-is-source" | "graph::no-match" => {
                if task.sources.is_none() && task.outputs.is_none() {
                    return false;
                }
                task.uncache_because(message);
            }
            "graph::cycle" if !task.wait_for.is_empty() => {
                let left = std::mem::take(&mut task.wait_for).join("`, `");
                task.note("", "wait_for", format!("left out, it closes a cycle: `{left}`"));
            }
            "graph::cycle" if !task.depends_post.is_empty() => {
                let left: Vec<String> =
                    std::mem::take(&mut task.depends_post).into_iter().map(|edge| edge.task).collect();
                task.note("", "depends_post", format!("left out, it closes a cycle: `{}`", left.join("`, `")));
            }
            "graph::cycle" if matches!(task.action, Action::Sequence(_)) => {
                task.refuse("order", message, "sequence");
                task.depends.clear();
            }
            "graph::script-mode" | "graph::script-crlf" | "graph::missing-dir" => {
                let code = ["graph::script-mode", "graph::script-crlf", "graph::missing-dir"]
                    .into_iter()
                    .find(|known| *known == code)
                    .unwrap_or_default();
                if task.allow.iter().any(|(known, _)| *known == code) {
                    return false;
                }
                task.allow.push((code, format!("as it is in {}", self.from)));
                task.note("allow", "it", format!("{message}, which was so already"));
            }
            _ => return false,
        }
        true
    }

    /// How many things could not be carried over as they are.
    pub fn differences(&self) -> usize {
        self.notes.len() + self.tasks.iter().map(|task| task.notes.len()).sum::<usize>()
    }
}
