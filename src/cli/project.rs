//! From the current folder to a valid graph.

use super::error::CliError;
use super::render;
use crate::check::{self, GraphAudit};
use crate::command::{CommandNode, CrashProof, GroupNode, Ports, ServiceNode, SoakNode};
use crate::config::{
    self, Action, Config, Diagnostic, Found, Loaded, Looked, NodeKind, Severity, SourceFile, Task, Uses,
};
use crate::db::Databases;
use crate::fingerprint::{IgnoreRules, Trail};
use crate::graph::{Graph, Lookup, Names, Plan, PlanError, PlanNode, Selection, bind, plan, validate};
use crate::journal::Holder;
use crate::model::{TaskName, WsPath};
use crate::node::{Bound, Instance, Node, Outside, Resource};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// After these an edge may be missing that was meant.
const LOSES_EDGES: [&str; 7] = [
    "config::wrong-type",
    "config::unknown-key",
    "config::missing-key",
    "config::conflict",
    "config::bad-include",
    "graph::unknown-task",
    "graph::manual-dependency",
];

/// Where weir was called.
#[derive(Debug)]
pub struct Place {
    /// The folder.
    pub folder: PathBuf,
    /// Every `-C`, as it was given.
    pub directories: Vec<PathBuf>,
    /// Its environment.
    pub outside: Arc<Outside>,
}

impl Place {
    /// The current folder, or `directories`, each relative to the one before it.
    ///
    /// # Errors
    /// There is no such folder.
    pub fn of(directories: &[PathBuf]) -> Result<Self, CliError> {
        let here = std::env::current_dir()
            .map_err(|error| CliError::outside(format!("failed to find the current folder: {error}")))?;
        let folder = directories.iter().fold(here, |folder, directory| folder.join(directory));
        let folder = std::fs::canonicalize(&folder).map_err(|error| CliError::Usage {
            message: format!("failed to enter `{}`: {error}", folder.display()),
            help: None,
        })?;
        let vars = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
        Ok(Self { folder, directories: directories.to_vec(), outside: Arc::new(Outside { vars }) })
    }

    /// The workspace this folder is in.
    ///
    /// # Errors
    /// There is no tasks.toml.
    pub fn find(&self) -> Result<Found, CliError> {
        self.find_noting(&Looked::default())
    }

    /// The same, noting what that rests on.
    ///
    /// # Errors
    /// There is no tasks.toml.
    pub fn find_noting(&self, looked: &Looked) -> Result<Found, CliError> {
        config::find(&self.folder, looked).map_err(|error| CliError::usage(error.message, error.help))
    }

    /// The profiles in force: those named, or `ci` where `CI` says so, or `local`.
    pub fn profiles(&self, named: &[String]) -> Vec<String> {
        if !named.is_empty() {
            return named.to_vec();
        }
        let ci = self.outside.get("CI").is_some_and(|value| value == "true" || value == "1");
        vec![if ci { "ci" } else { "local" }.to_owned()]
    }

    /// `WEIR_CACHE_DIR`, if it names a folder.
    pub fn shared_cache(&self) -> Option<PathBuf> {
        let named = self.outside.vars.get("WEIR_CACHE_DIR").filter(|value| !value.is_empty())?;
        Some(self.folder.join(named))
    }

    /// This process, as others see it.
    pub fn holder() -> Holder {
        let mut words: Vec<String> =
            std::env::args_os().map(|word| veiled(&word.to_string_lossy()).replace(['\n', '\r'], " ")).collect();
        if let Some(first) = words.first_mut() {
            *first = "weir".into();
        }
        Holder { pid: std::process::id(), command: words.join(" ") }
    }
}

/// A word of a call as others may read it: an address with a password in it is left out.
fn veiled(word: &str) -> String {
    let secret =
        |rest: &str| rest.contains("password=") || rest.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
    match word.split_once("://") {
        Some((scheme, rest)) if secret(rest) => format!("{scheme}://***"),
        _ => word.to_owned(),
    }
}

/// A workspace whose configuration was read.
pub struct Project {
    /// Where it is, and from where it is seen.
    pub found: Found,
    /// What was read.
    pub config: Config,
    /// Notes and warnings about it.
    pub remarks: Vec<Diagnostic>,
    /// The environment it is seen in.
    pub outside: Arc<Outside>,
    /// It comes from under a seal, without the texts of its files.
    pub thawed: bool,
}

impl Project {
    /// Reads the configuration.
    ///
    /// # Errors
    /// There is none, or it is wrong: every problem at once, those of the graph among them.
    pub fn open(place: &Place, profiles: &[String]) -> Result<Self, CliError> {
        Self::read(place, profiles)?.sound()
    }

    /// Itself, if nothing forbids to run.
    ///
    /// # Errors
    /// The configuration is wrong.
    pub fn sound(self) -> Result<Self, CliError> {
        let project = self;
        if project.has_errors() {
            return Err(CliError::Config { files: project.files(), diagnostics: project.remarks });
        }
        Ok(project)
    }

    /// Whether anything forbids to run.
    pub fn has_errors(&self) -> bool {
        self.remarks.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Reads the configuration, whatever is wrong with it.
    ///
    /// # Errors
    /// There is none.
    pub fn read(place: &Place, profiles: &[String]) -> Result<Self, CliError> {
        Ok(Self::load(place, place.find()?, &place.profiles(profiles), &Looked::default(), None))
    }

    /// Reads what was found, noting on a trail what that rests on beside what was `looked` at.
    pub fn load(place: &Place, found: Found, profiles: &[String], looked: &Looked, trail: Option<&Arc<Trail>>) -> Self {
        let loaded = config::load(&found.root_file, profiles, looked);
        Self::judge(found, loaded, &place.outside, trail)
    }

    /// What is wrong with a configuration that was read.
    pub fn judge(found: Found, loaded: Loaded, outside: &Arc<Outside>, trail: Option<&Arc<Trail>>) -> Self {
        let config = loaded.config;
        let mut diagnostics = loaded.diagnostics;
        // Where the text itself is broken, what seems missing may just not have been read.
        let readable = diagnostics.iter().all(|diagnostic| {
            !matches!(
                diagnostic.code,
                "config::syntax" | "config::unreadable" | "config::not-utf8" | "config::too-large"
            )
        });
        if readable {
            let (graph, more) = Graph::new(&config);
            diagnostics.extend(more);
            let rules = IgnoreRules::new(&config.root);
            let rules = match trail {
                Some(trail) => rules.noting(Arc::clone(trail)),
                None => rules,
            };
            let whole = !diagnostics.iter().any(|diagnostic| LOSES_EDGES.contains(&diagnostic.code));
            diagnostics.extend(validate(&graph, &|path| ignored(&rules, path), whole));
        }
        diagnostics.sort_by_key(|diagnostic| diagnostic.labels.first().map(|label| label.at));
        tracing::debug!(root = %config.root.display(), files = config.files.len(), tasks = config.tasks.len(), "configured");
        Self { found, config, remarks: diagnostics, outside: Arc::clone(outside), thawed: false }
    }

    /// Its graph, which was found valid.
    pub fn graph(&self) -> Graph<'_> {
        Graph::new(&self.config).0
    }

    /// The folder that names on the command line are seen from.
    pub fn folder(&self) -> WsPath {
        self.found.folder.clone()
    }

    /// Plans a selection; `destroy` names databases that may be reset though weir did not make them.
    ///
    /// # Errors
    /// What is asked for does not exist or does not fit.
    pub fn plan(&self, graph: &Graph<'_>, selection: &Selection, destroy: &[String]) -> Result<Plan, CliError> {
        self.plan_iteration(graph, selection, destroy, None)
    }

    /// The same; of soaks only this iteration, where one is named.
    ///
    /// # Errors
    /// As [`Project::plan`].
    pub fn plan_iteration(
        &self,
        graph: &Graph<'_>,
        selection: &Selection,
        destroy: &[String],
        iteration: Option<u32>,
    ) -> Result<Plan, CliError> {
        let factory = Factory { iteration, ..self.factory(destroy) };
        plan(graph, selection, &|instance| factory.node(&instance)).map_err(|error| match error {
            PlanError::Diagnostics(diagnostics) => self.wrong(diagnostics),
            PlanError::Usage { message, help } => CliError::usage(message, help),
        })
    }

    /// Makes nodes of tasks; `destroy` as for [`Project::plan`].
    fn factory(&self, destroy: &[String]) -> Factory<'_> {
        Factory {
            timeout: self.config.settings.timeout,
            databases: Arc::new(Databases::new(&self.config, Arc::clone(&self.outside), destroy.to_vec())),
            config: &self.config,
            audit: super::audit::as_node(self),
            iteration: None,
        }
    }

    /// Whether a node of a plan is made by its task alone, as [`Project::by_task`] does.
    pub fn is_by_task(&self, node: &PlanNode) -> bool {
        self.config.tasks.get(node.task).is_some_and(|task| task.name == *node.name() && stands_alone(task))
    }

    /// Makes nodes of tasks that stand alone: commands and groups, without arguments and with nothing lent.
    pub fn by_task(&self) -> impl Fn(&Arc<Task>) -> Option<Arc<dyn Node>> + '_ {
        let factory = self.factory(&[]);
        move |task| {
            let arguments = bind(task, &[]).ok().filter(|_| stands_alone(task))?;
            let (name, env) = (task.name.clone(), BTreeMap::new());
            Some(factory.node(&Instance { task, name, arguments, env, soaks: None }))
        }
    }

    /// The node of a task as it is declared: without arguments, and with no variables of an edge.
    pub fn node_of(&self, task: &Arc<Task>) -> Arc<dyn Node> {
        let name = task.name.clone();
        let soaks = match &task.action {
            Action::Soak(_) => self.graph().soaked(task).cloned(),
            _ => None,
        };
        let (arguments, env) = (Bound::default(), BTreeMap::new());
        self.factory(&[]).node(&Instance { task, name, arguments, env, soaks: soaks.as_ref() })
    }

    /// Its files; if their texts were not read this time, they are read now.
    pub fn files(&self) -> Vec<SourceFile> {
        let mut files = self.config.files.clone();
        for file in files.iter_mut().filter(|_| self.thawed) {
            let path = file.path.under(&self.config.root);
            file.text = std::fs::read_to_string(path).unwrap_or_default().into();
        }
        files
    }

    /// Diagnostics, with this project's files.
    pub fn wrong(&self, diagnostics: Vec<Diagnostic>) -> CliError {
        CliError::Config { diagnostics, files: self.files() }
    }

    /// `tasks.toml:12:3`.
    pub fn at(&self, at: config::At) -> String {
        render::place(at, &self.files())
    }
}

/// Whether a command or a group needs nothing but itself.
fn stands_alone(task: &Task) -> bool {
    let plain = matches!(task.action, Action::Shell(_) | Action::Exec(_) | Action::Group { .. });
    plain && ServiceNode::of(task).is_none() && task.databases.is_empty() && task.ports.is_empty()
}

/// How databases are lent to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lent {
    /// As it says.
    AsDeclared,
    /// A clone each time.
    Own,
}

/// Which nodes there are.
struct Factory<'c> {
    config: &'c Config,
    timeout: Duration,
    databases: Arc<Databases>,
    audit: Arc<GraphAudit>,
    /// Of soaks only this iteration is run.
    iteration: Option<u32>,
}

impl Factory<'_> {
    fn node(&self, instance: &Instance<'_>) -> Arc<dyn Node> {
        self.made(instance, Lent::AsDeclared)
    }

    fn made(&self, instance: &Instance<'_>, how: Lent) -> Arc<dyn Node> {
        let group = || Arc::new(GroupNode::new(instance.task, instance.name.clone()));
        match &instance.task.action {
            Action::Group { .. } => group(),
            Action::Soak(soak) => match instance.soaks {
                Some(base) => {
                    let (base, profiles) = (self.repeated(instance, base), &self.config.profiles);
                    Arc::new(SoakNode::new(instance, soak, base, self.iteration, profiles))
                }
                // A configuration with such a task has errors, and is never planned.
                None => group(),
            },
            Action::Shell(_) | Action::Exec(_) => match ServiceNode::of(instance.task) {
                Some(service) => Arc::new(ServiceNode::new(instance, service.clone(), self.lent(instance, how))),
                None => Arc::new(CommandNode::new(instance, self.timeout, self.lent(instance, how))),
            },
            Action::Uses(uses) => {
                let node = self.databases.node(instance, uses);
                node.or_else(|| check::node(instance, uses, self.timeout, &self.audit))
                    .or_else(|| self.proof(instance, uses, how))
                    // A configuration with such a task has errors, and is never planned.
                    .unwrap_or_else(|| group())
            }
        }
    }

    /// What a task that runs a command is lent.
    fn lent(&self, instance: &Instance<'_>, how: Lent) -> Vec<Arc<dyn Resource>> {
        let mut used = instance.task.databases.clone();
        if how == Lent::Own {
            used.iter_mut().for_each(|used| (used.clone, used.shared) = (true, false));
        }
        let mut lent = self.databases.resources(&used);
        if !instance.task.ports.is_empty() {
            lent.push(Arc::new(Ports::new(&instance.task.ports, &instance.env)));
        }
        lent
    }

    /// A crash proof, with a service of its own. None: the configuration has errors.
    fn proof(&self, instance: &Instance<'_>, uses: &Uses, how: Lent) -> Option<Arc<dyn Node>> {
        let named = uses.with.proof.service.as_ref().filter(|_| uses.kind == NodeKind::ProofCrash)?;
        let names = Names::new(self.config, &mut vec![]);
        let Lookup::One(found) = names.look_up(&instance.task.folder, &named.value) else { return None };
        let task = &self.config.tasks[found];
        let arguments = bind(task, &[]).ok()?;
        let own = Instance { task, name: task.name.clone(), arguments, env: BTreeMap::new(), soaks: None };
        let service = ServiceNode::new(&own, ServiceNode::of(task)?.clone(), self.lent(&own, how));
        Some(Arc::new(CrashProof::new(instance, uses, service, self.timeout)))
    }

    /// What a soak repeats: as the task is, but each iteration has databases of its own.
    fn repeated(&self, soak: &Instance<'_>, base: &Arc<Task>) -> Arc<dyn Node> {
        let name = TaskName::new(soak.name.as_str().replacen(soak.task.name.as_str(), base.name.as_str(), 1));
        let (arguments, env) = (soak.arguments.clone(), soak.env.clone());
        self.made(&Instance { task: base, name, arguments, env, soaks: None }, Lent::Own)
    }
}

fn ignored(rules: &IgnoreRules, path: &WsPath) -> bool {
    rules.ignores(path, true)
}

#[cfg(test)]
mod tests {
    use super::veiled;

    #[test]
    fn what_is_written_down_of_a_call_holds_no_password() {
        for address in ["postgres://u:pw@h/x", "postgresql://u:p@w@h:1/x?y=z", "postgres:///x?user=u&password=pw"] {
            assert!(veiled(address).ends_with("://***"), "{address}");
        }
        for word in ["postgres://u@h/x", "https://h:1/a", "test:unit", "u:pw@h", ""] {
            assert_eq!(veiled(word), word);
        }
    }
}
