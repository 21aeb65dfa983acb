//! Rank 2: what a node of the graph is: what it reads, what enters its key, how it runs, what state
//! it left. Knows the trait and nothing of the nodes there are.

use crate::config::{Diagnostic, Pattern, Retry, Task};
use crate::event::Event;
pub use crate::model::Stage;
use crate::model::{Digest, FailReason, Gate, KeySink, Notice, Observation, Reason, TaskName, WsPath};
use crate::process::{Guard, ProcessError};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A future of a node.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The arguments a task is run with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bound {
    /// In order, defaults filled in.
    pub positional: Vec<String>,
    /// By declared name.
    pub named: Vec<(String, String)>,
}

/// A task with the arguments and variables it is to run with: what a node is made from.
#[derive(Debug)]
pub struct Instance<'a> {
    /// The task.
    pub task: &'a Arc<Task>,
    /// Its name with arguments and variables, unique.
    pub name: TaskName,
    /// Arguments.
    pub arguments: Bound,
    /// Variables given by the edge.
    pub env: BTreeMap<String, String>,
    /// Of a soak: the task that it repeats.
    pub soaks: Option<&'a Arc<Task>>,
}

/// What the engine knows about any node.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Its name, arguments included; unique in a workspace.
    pub name: TaskName,
    /// The name under which its last result is kept: the task's own where its effects are unknown,
    /// so that with other arguments it is still the task's last; its own otherwise.
    pub kept_as: TaskName,
    /// The name of the lock under which it runs.
    pub locked_as: TaskName,
    /// It does something itself; a group does not, and is transparent to data and taint.
    pub acts: bool,
    /// Why it always runs; none: it is cacheable.
    pub always: Option<Reason>,
    /// Its results may leave the workspace.
    pub shareable: bool,
    /// What it reads.
    pub sources: Vec<Pattern>,
    /// What it leaves behind.
    pub effects: Effects,
    /// It reports the state it left ([`Node::state`]).
    pub reports_state: bool,
    /// It has something to observe for its key ([`Node::observe`]).
    pub observes: bool,
    /// It destroys state: before its first act a new incarnation is written, under the task's
    /// plain name: whatever its arguments, it is one reset.
    pub reset: Option<TaskName>,
    /// Tracked files that it changes.
    pub writes: Vec<Pattern>,
    /// Named mutual exclusion.
    pub locks: Vec<NamedLock>,
    /// It has the terminal to itself.
    pub interactive: bool,
    /// Output only on failure; not replayed.
    pub quiet: bool,
    /// A failure is a warning.
    pub warn_on_fail: bool,
    /// What to do when it fails.
    pub help: Option<String>,
    /// The question asked before the run starts.
    pub confirm: Option<String>,
    /// Attempts and backoff.
    pub retry: Retry,
    /// Its outcome is recorded as evidence.
    pub gate: Option<Gate>,
    /// Files that are kept with the run, whatever the outcome.
    pub artifacts: Vec<Pattern>,
    /// Whether it may be run elsewhere than in the workspace.
    pub travel: Travel,
}

/// Whether a node may be run elsewhere than in the workspace: on another machine, or in a folder that holds its inputs
/// alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Travel {
    /// It can't be, or must not; why, where that is of interest.
    Never(Option<String>),
    /// Where a run asks for it.
    IfAsked,
    /// Wherever there is a server for it.
    Always,
}

/// What is to be done elsewhere in a node's place. Nothing of this machine is in it: the same node with the same key is the
/// same errand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    /// What is started in a folder that holds the inputs as they lie in the workspace.
    pub arguments: Vec<String>,
    /// The whole environment, sorted by name.
    pub env: Vec<(String, String)>,
    /// A folder that must be there, though nothing may be in it.
    pub dir: WsPath,
    /// How long it may take.
    pub timeout: Duration,
    /// Properties of the machine that does it.
    pub platform: BTreeMap<String, String>,
    /// Values that are masked may go along.
    pub secrets: bool,
    /// It prints this, and nothing before it, where the machine is another than the key says; what follows on the line says in what.
    pub unlike: String,
}

/// A named lock. Sorted by name, and the stricter one first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamedLock {
    /// Its name.
    pub name: String,
    /// Others that share it may hold it too.
    pub shared: bool,
}

impl NamedLock {
    /// One that nobody else holds meanwhile.
    pub fn alone(name: impl Into<String>) -> Self {
        Self { name: name.into(), shared: false }
    }

    /// One that is shared.
    pub fn shared(name: impl Into<String>) -> Self {
        Self { name: name.into(), shared: true }
    }

    /// Whether the two can't be held at once by different tasks.
    pub fn excludes(&self, other: &Self) -> bool {
        self.name == other.name && !(self.shared && other.shared)
    }
}

/// Why a safety rule forbids to run a node at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which rule, and what it forbids.
    pub message: String,
    /// What would satisfy it.
    pub help: String,
}

/// What a task is lent while it runs, and who takes it back.
#[derive(Debug, Default)]
pub struct Loan {
    /// Variables it is given, over all others.
    pub variables: Vec<(String, OsString)>,
    /// Variables it must not see, wherever they come from.
    pub hidden: Vec<String>,
    /// What the lender needs to take it back.
    pub ticket: Option<String>,
}

/// Something that tasks are lent while they run, such as a database.
pub trait Resource: Send + Sync {
    /// What it is, for people and for the key: ``database `app` ``.
    fn name(&self) -> String;

    /// How it is used, for the key: what is declared of it, and the names of the variables it gives.
    fn declared(&self) -> String;

    /// The locks it is lent under.
    fn locks(&self) -> Vec<NamedLock>;

    /// Secrets known by now.
    fn secrets(&self) -> Vec<String>;

    /// Whether something of it enters the key beside what is declared.
    fn observes(&self) -> bool {
        true
    }

    /// What of it enters the key, read from the thing itself after all that comes before the task.
    ///
    /// # Errors
    /// It is not there.
    fn observe<'a>(&'a self, context: &'a Context) -> Pending<'a, Result<Vec<Observation>, FailReason>>;

    /// Lends it for one attempt.
    ///
    /// # Errors
    /// It is not there.
    fn lend<'a>(&'a self, context: &'a Context, output: &'a mut dyn Output) -> Pending<'a, Result<Loan, FailReason>>;

    /// Takes it back, however the task ended, also when the run is being cut short.
    fn take_back<'a>(&'a self, context: &'a Context, loan: Loan, output: &'a mut dyn Output) -> Pending<'a, ()>;

    /// Whether a service that is lent this lets those that depend on it see its variables.
    fn passes_on(&self) -> bool {
        false
    }
}

/// Makes an output of its own for what outlives a task's: a service's log.
pub type Outputs<'a> = &'a (dyn Fn() -> Box<dyn Output> + Sync);

/// A node that others borrow while they run: it is not run in its turn but opened for the first of them that runs,
/// and closed after the last has ended. Once it is lost it stays so: it is never opened again silently.
pub trait Lender: Send + Sync {
    /// Opens it unless it is open, and lends it.
    ///
    /// # Errors
    /// It can't be opened, or has been lost; nothing of it is left then.
    fn lend<'a>(&'a self, context: &'a Context, output: Outputs<'a>) -> Pending<'a, Result<Loan, FailReason>>;

    /// Waits until it is lost though nobody closed it: why. None: it was closed. Cancel-safe.
    fn lost(&self) -> Pending<'_, Option<FailReason>>;

    /// Whether it is lost already, as far as is known at this instant.
    fn is_lost(&self) -> bool;

    /// Whether it was ever opened, or at least tried to be.
    fn was_opened(&self) -> bool;

    /// What it printed last.
    fn last_lines(&self) -> Pending<'_, Vec<String>>;

    /// Closes it, and waits until nothing of it is left. Nothing happens where it is not open.
    fn close<'a>(&'a self, context: &'a Context, output: Outputs<'a>) -> Pending<'a, ()>;
}

/// What a task leaves behind, as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effects {
    /// `outputs` absent: nobody knows.
    Unknown,
    /// `outputs` declared; empty: a verdict.
    Declared(Vec<Pattern>),
}

impl Effects {
    /// The declared patterns; none where unknown.
    pub fn patterns(&self) -> &[Pattern] {
        match self {
            Self::Unknown => &[],
            Self::Declared(patterns) => patterns,
        }
    }
}

/// The environment weir was started with: names and values that are UTF-8 in the name.
#[derive(Debug, Clone, Default)]
pub struct Outside {
    /// Sorted by name.
    pub vars: BTreeMap<String, OsString>,
}

impl Outside {
    /// A variable as text, other encodings replaced.
    pub fn get(&self, name: &str) -> Option<String> {
        self.vars.get(name).map(|value| value.to_string_lossy().into_owned())
    }

    /// The variables a declared name stands for: itself, or, with `*` at its end, all that begin so.
    pub fn matching<'a>(&'a self, declared: &'a str) -> impl Iterator<Item = (&'a String, &'a OsString)> {
        let prefix = declared.strip_suffix('*');
        let from = prefix.unwrap_or(declared);
        self.vars.range::<str, _>((std::ops::Bound::Included(from), std::ops::Bound::Unbounded)).take_while(
            move |(name, _)| match prefix {
                Some(prefix) => name.starts_with(prefix),
                None => name.as_str() == declared,
            },
        )
    }
}

/// How much a run is being cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cancel {
    /// Not at all.
    No,
    /// Asked to end with SIGINT.
    Interrupt,
    /// Asked to end with SIGTERM.
    Terminate,
    /// Killed.
    Kill,
}

/// What was seen of the machine while nodes were asked for their obstacles: a thousand of them look
/// for the same shell in the same folder.
#[derive(Debug, Default)]
pub struct Seen {
    folders: FxHashMap<PathBuf, bool>,
    programs: FxHashMap<(PathBuf, Option<OsString>, String), bool>,
}

impl Seen {
    /// Whether `folder` is one.
    pub fn folder(&mut self, folder: &Path) -> bool {
        if let Some(known) = self.folders.get(folder) {
            return *known;
        }
        *self.folders.entry(folder.to_path_buf()).or_insert_with(|| folder.is_dir())
    }

    /// Whether `find` finds a program, seen from `folder`, with this PATH.
    pub fn program(&mut self, name: &str, path: Option<&OsStr>, folder: &Path, find: impl FnOnce() -> bool) -> bool {
        let key = (folder.to_path_buf(), path.map(OsStr::to_os_string), name.to_owned());
        *self.programs.entry(key).or_insert_with(find)
    }

    /// All that was found to be there.
    pub fn surroundings(self) -> Surroundings {
        let mut all = Surroundings {
            folders: self.folders.into_iter().filter_map(|(folder, found)| found.then_some(folder)).collect(),
            programs: self.programs.into_iter().filter_map(|(program, found)| found.then_some(program)).collect(),
        };
        all.folders.sort_unstable();
        all.programs.sort_unstable();
        all
    }
}

/// What must be on the machine for nodes to have no obstacles: to be looked for again by whoever
/// relies on that.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surroundings {
    /// Folders.
    pub folders: Vec<PathBuf>,
    /// Programs: the folder it is looked for from, the PATH, and its name.
    pub programs: Vec<(PathBuf, Option<OsString>, String)>,
}

/// What programs were found to be, once a run: (program, what its answer depends on) → identity.
pub type Programs = Arc<std::sync::Mutex<BTreeMap<(PathBuf, Digest), String>>>;

/// What a node is given to work with.
#[derive(Clone)]
pub struct Context {
    /// The workspace root.
    pub root: PathBuf,
    /// The environment weir was started with.
    pub outside: Arc<Outside>,
    /// The run's id.
    pub run_id: String,
    /// Spawns processes.
    pub guard: Guard,
    /// Whether the run is being cut short.
    pub cancel: watch::Receiver<Cancel>,
    /// Programs looked at already.
    pub programs: Programs,
    /// Variables of what the node has borrowed from others, over all its own.
    pub lent: Vec<(String, OsString)>,
    /// It is run as one of many times.
    pub iteration: Option<Arc<Iteration>>,
}

/// One of many times that a node is run, in a soak.
#[derive(Debug)]
pub struct Iteration {
    /// From 1.
    pub number: u32,
    /// A folder that nobody else has.
    pub scratch: PathBuf,
    /// Others run at the same time.
    pub crowded: bool,
}

impl Iteration {
    /// What its commands are told.
    pub fn variables(&self) -> [(&'static str, OsString); 3] {
        [
            ("WEIR_SOAK_ITERATION", self.number.to_string().into()),
            ("WEIR_SCRATCH", self.scratch.clone().into()),
            ("TMPDIR", self.scratch.join("tmp").into()),
        ]
    }
}

/// Takes what a node prints and says.
pub trait Output: Send {
    /// Raw bytes, as they come.
    fn bytes(&mut self, bytes: &[u8]);
    /// Something a person should know.
    fn notice(&mut self, notice: Notice);
    /// What became of a service whose output this is.
    fn stage(&mut self, _stage: Stage) {}
    /// Something that happened, for the record of the run.
    fn tell(&mut self, _: Event) {}
    /// Opens a log of its own beside that of the node.
    fn aside(&mut self, _name: &str) -> Box<dyn Aside> {
        Box::new(Unheard)
    }
}

/// A log beside that of a node, kept with the run.
pub trait Aside: Send {
    /// Raw bytes, as they come.
    fn bytes(&mut self, bytes: &[u8]);
    /// Ends it. One that is not to be kept is removed.
    ///
    /// # Errors
    /// It could not be written.
    fn finish(self: Box<Self>, keep: bool) -> io::Result<Option<Kept>>;
}

/// A log that was kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Relative to the run's folder.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// How it ends, at most 16 KiB, without secrets.
    pub end: Vec<u8>,
}

/// Where nothing is kept.
struct Unheard;

impl Aside for Unheard {
    fn bytes(&mut self, _: &[u8]) {}

    fn finish(self: Box<Self>, _: bool) -> io::Result<Option<Kept>> {
        Ok(None)
    }
}

/// A node of the graph.
pub trait Node: Send + Sync {
    /// What the engine needs to know.
    fn facts(&self) -> &Facts;

    /// Writes the definition and the declared environment to a key.
    ///
    /// # Errors
    /// An input of the definition (an `env_file`) can't be read.
    fn define(&self, root: &Path, outside: &Outside, sink: &mut dyn KeySink) -> Result<(), FailReason>;

    /// Secrets that no byte leaving weir may hold.
    fn secrets(&self, root: &Path, outside: &Outside) -> Vec<String>;

    /// Why it can't run on this machine, before anything has run; `seen` is shared by all nodes.
    fn obstacles(&self, root: &Path, outside: &Outside, seen: &mut Seen) -> Vec<Diagnostic>;

    /// Safety rules that forbid to run it, judged before anything has run.
    fn refusals(&self, _root: &Path, _outside: &Outside) -> Vec<Refusal> {
        vec![]
    }

    /// It runs only where it is forced, so that nobody starts it by accident.
    fn wants_force(&self) -> bool {
        false
    }

    /// The variables outside that its definition, its secrets and its obstacles depend on, a `*` at the
    /// end for any rest. None: they depend on more than on these, the machine's folders and programs,
    /// and what the engine looks at itself.
    fn rests_on(&self) -> Option<Vec<&str>> {
        None
    }

    /// Looks at what it needs beside files: programs, probes. Only called where
    /// [`Facts::observes`] says so.
    fn observe<'a>(&'a self, context: &'a Context) -> Pending<'a, Result<Vec<Observation>, FailReason>>;

    /// Runs it once. The inner result is the command's.
    ///
    /// # Errors
    /// weir itself broke: the guard is gone.
    fn run<'a>(
        &'a self,
        context: &'a Context,
        output: &'a mut dyn Output,
    ) -> Pending<'a, Result<Result<(), FailReason>, ProcessError>>;

    /// What is to be done elsewhere in its place, by a machine of which the same holds as was `observed` here. Only called
    /// where [`Facts::travel`] allows it.
    ///
    /// # Errors
    /// An input of the definition can't be read, or can't be carried elsewhere.
    fn errand(&self, _root: &Path, _outside: &Outside, _observed: &[Observation]) -> Result<Errand, FailReason> {
        Err(FailReason::Start { message: "it can't be run elsewhere".into() })
    }

    /// Itself, if it is not run in its turn but borrowed by those that depend on it.
    fn lender(&self) -> Option<&dyn Lender> {
        None
    }

    /// The state it left behind. Only called where [`Facts::reports_state`] says so.
    fn state<'a>(&'a self, context: &'a Context) -> Pending<'a, Result<Digest, FailReason>>;
}
