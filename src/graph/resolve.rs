//! The graph of all tasks of a configuration: every name resolved to a task.

use super::names::{Lookup, Names};
use super::soaks;
use crate::config::{Action, At, Config, Dep, Diagnostic, Located, Task, When};
use std::sync::Arc;

/// A task: an index into [`Config::tasks`].
pub type TaskIndex = usize;

/// An edge to another task.
#[derive(Debug, Clone)]
pub struct Edge<'c> {
    /// The other task.
    pub to: TaskIndex,
    /// As declared: arguments, environment.
    pub dep: &'c Dep,
    /// Where it is declared.
    pub at: At,
    /// It came from a glob of names.
    pub from_glob: bool,
}

/// A `wait_for`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// The other task.
    pub to: TaskIndex,
    /// Where it is declared.
    pub at: At,
}

/// The edges of one task.
#[derive(Debug, Clone, Default)]
pub struct Edges<'c> {
    /// `depends`: data edges, and order-only ones (`dep.order_only`).
    pub depends: Vec<Edge<'c>>,
    /// The steps of a `sequence`; a member of a group too.
    pub sequence: Vec<Vec<Edge<'c>>>,
    /// `wait_for`.
    pub wait_for: Vec<Wait>,
    /// `depends_post`.
    pub post: Vec<(Edge<'c>, When)>,
    /// Of a soak: the task that it repeats, whose edges are among its own.
    pub soaks: Option<TaskIndex>,
}

impl<'c> Edges<'c> {
    /// `depends` and the members of a `sequence`.
    pub fn members(&self) -> impl Iterator<Item = &Edge<'c>> {
        self.depends.iter().chain(self.sequence.iter().flatten())
    }

    /// The data edges: `depends` that are not order-only, and the members of a `sequence`.
    pub fn data(&self) -> impl Iterator<Item = &Edge<'c>> {
        self.depends.iter().filter(|edge| !edge.dep.order_only).chain(self.sequence.iter().flatten())
    }
}

/// All tasks and their edges.
#[derive(Debug)]
pub struct Graph<'c> {
    /// The configuration.
    pub config: &'c Config,
    /// Its names.
    pub names: Names,
    /// By task.
    pub edges: Vec<Edges<'c>>,
}

impl<'c> Graph<'c> {
    /// Resolves every name; what does not resolve is a diagnostic.
    pub fn new(config: &'c Config) -> (Self, Vec<Diagnostic>) {
        let mut diagnostics = Vec::new();
        let names = Names::new(config, &mut diagnostics);
        let mut edges = Vec::with_capacity(config.tasks.len());
        for (index, task) in config.tasks.iter().enumerate() {
            let mut resolver = Resolver { config, names: &names, task, index, diagnostics: &mut diagnostics };
            let mut found = Edges { depends: resolver.all(&task.depends), ..Edges::default() };
            if let Action::Group { sequence } = &task.action {
                found.sequence = sequence.iter().map(|step| resolver.all(step)).collect();
            }
            for post in &task.depends_post {
                let edges = resolver.one(&post.value.dep, post.at);
                found.post.extend(edges.into_iter().map(|edge| (edge, post.value.when)));
            }
            for waited in &task.wait_for {
                found.wait_for.extend(resolver.waited(waited));
            }
            edges.push(found);
        }
        for (index, task) in config.tasks.iter().enumerate() {
            let Some(service) = crashed(config, &names, task, &mut diagnostics) else { continue };
            let Edges { depends, wait_for, .. } = edges[service].clone();
            edges[index].depends.extend(depends);
            edges[index].wait_for.extend(wait_for);
        }
        for entry in &config.policy.entry {
            if let Lookup::Unknown = names.look_up(&crate::model::WsPath::root(), &entry.value) {
                diagnostics.push(unknown(&names, &crate::model::WsPath::root(), &entry.value, entry.at));
            }
        }
        let mut graph = Self { config, names, edges };
        soaks::wire(&mut graph, &mut diagnostics);
        (graph, diagnostics)
    }

    /// The task that a soak repeats.
    pub fn soaked(&self, soak: &Task) -> Option<&'c Arc<Task>> {
        let index = self.config.tasks.iter().position(|task| task.name == soak.name)?;
        Some(self.task(self.edges[index].soaks?))
    }

    /// The task that is given the arguments of another: that which a soak repeats, or itself.
    pub fn takes_arguments(&self, index: TaskIndex) -> &'c Arc<Task> {
        self.task(self.edges[index].soaks.unwrap_or(index))
    }

    /// The task at an index.
    pub fn task(&self, index: TaskIndex) -> &'c Arc<Task> {
        &self.config.tasks[index]
    }
}

/// The service that a task crashes. It starts one of its own, and so comes after what that comes after; the service that
/// others share is none of its business.
fn crashed(config: &Config, names: &Names, task: &Task, diagnostics: &mut Vec<Diagnostic>) -> Option<TaskIndex> {
    let Action::Uses(uses) = &task.action else { return None };
    let named = uses.with.proof.service.as_ref()?;
    let Lookup::One(found) = names.look_up(&task.folder, &named.value) else {
        diagnostics.push(unknown(names, &task.folder, &named.value, named.at));
        return None;
    };
    let other = &config.tasks[found];
    if other.service.is_none() {
        let message = format!("`{}` crashes `{}`, which is no service", task.name, other.name);
        diagnostics.push(
            Diagnostic::error("graph::no-service", named.at, message)
                .also(other.at, "declared here")
                .help(format!("add `service = {{ ready = {{ … }} }}` to `{}`", other.name)),
        );
        return None;
    }
    Some(found)
}

pub(super) fn unknown(names: &Names, folder: &crate::model::WsPath, text: &str, at: At) -> Diagnostic {
    Diagnostic::error("graph::unknown-task", at, format!("there is no task `{text}`")).label("not a task").help(
        match names.like(folder, text) {
            Some(like) => format!("did you mean `{like}`?"),
            None => "`weir` lists the tasks there are".into(),
        },
    )
}

struct Resolver<'a, 'c> {
    config: &'c Config,
    names: &'a Names,
    task: &'c Task,
    index: TaskIndex,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl<'c> Resolver<'_, 'c> {
    fn all(&mut self, deps: &'c [Located<Dep>]) -> Vec<Edge<'c>> {
        let mut edges = Vec::with_capacity(deps.len());
        for dep in deps {
            edges.extend(self.one(&dep.value, dep.at));
        }
        edges
    }

    fn one(&mut self, dep: &'c Dep, at: At) -> Vec<Edge<'c>> {
        let edge = |to, from_glob| Edge { to, dep, at, from_glob };
        match self.names.look_up(&self.task.folder, &dep.task) {
            Lookup::One(to) => {
                let target = &self.config.tasks[to];
                if let Some(manual) = target.manual {
                    self.diagnostics.push(
                        Diagnostic::error(
                            "graph::manual-dependency",
                            at,
                            format!("`{}` depends on `{}`, which is `manual`", self.task.name, target.name),
                        )
                        .also(manual, "declared here")
                        .help("a manual task is only ever run by name: remove the edge, or `manual`"),
                    );
                    return vec![];
                }
                vec![edge(to, false)]
            }
            Lookup::Many(found) => {
                let found: Vec<Edge<'c>> =
                    found.into_iter().filter(|to| *to != self.index).map(|to| edge(to, true)).collect();
                if found.is_empty() && !dep.optional {
                    self.diagnostics.push(
                        Diagnostic::error("graph::unknown-task", at, format!("`{}` matches no task", dep.task))
                            .help("`weir` lists the tasks there are; `optional = true` allows none"),
                    );
                }
                found
            }
            Lookup::Unknown if dep.optional => vec![],
            Lookup::Unknown => {
                let found = unknown(self.names, &self.task.folder, &dep.task, at);
                self.diagnostics.push(found);
                vec![]
            }
        }
    }

    fn waited(&mut self, waited: &Located<String>) -> Vec<Wait> {
        let wait = |to| Wait { to, at: waited.at };
        match self.names.look_up(&self.task.folder, &waited.value) {
            Lookup::One(to) => vec![wait(to)],
            Lookup::Many(found) => found.into_iter().filter(|to| *to != self.index).map(wait).collect(),
            Lookup::Unknown => {
                let found = unknown(self.names, &self.task.folder, &waited.value, waited.at);
                self.diagnostics.push(found);
                vec![]
            }
        }
    }
}
