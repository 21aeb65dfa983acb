//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// A declarative build-and-check task graph runner that never skips wrongly.
#[derive(Debug, Parser)]
#[command(
    name = "weir",
    version,
    about,
    propagate_version = true,
    disable_help_subcommand = true,
    after_help = "Examples:\n  weir                     list the tasks of this workspace\n  weir run quick           run `quick` and what it depends on, skipping what is fresh\n  weir run -n check        say what would run, and why\n  weir explain lint        say whether `lint` is fresh, and what changed if not\n  weir init                write a first tasks.toml"
)]
pub struct Cli {
    /// Work as if started in DIR
    #[arg(short = 'C', long = "directory", value_name = "DIR", global = true)]
    pub directory: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run tasks and what they depend on, skipping what is fresh
    Run(Box<RunArgs>),
    /// List tasks, show one, or show what depends on what
    Tasks(TasksArgs),
    /// Say whether a task is fresh, and which parts of its key changed if not
    Explain(ExplainArgs),
    /// List recorded runs, or show one again
    Runs(RunsArgs),
    /// Judge a change by the structural-change rule
    Rule(RuleArgs),
    /// Look after the cache
    Cache(CacheArgs),
    /// Write a small tasks.toml for what is found here (Cargo, npm, Make)
    Init(InitArgs),
    /// Print a JSON Schema
    Schema(SchemaArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  weir run quick                  the dev loop\n  weir run build test             two targets, in no order of their own\n  weir run -f test                run `test` though it is fresh\n  weir run test -- --nocapture    arguments for one task\n  weir run -n --explain check     what would run, and why\n  weir run --report out.json check\n\nExit codes: 0 all good, 1 a task failed, 2 a mistake in the command or a file,\n3 refused by a safety rule, 70 a defect in weir, 130 interrupted, 143 terminated."
)]
pub struct RunArgs {
    /// Names, aliases or globs of tasks
    #[arg(value_name = "TASK", required = true)]
    pub tasks: Vec<String>,
    /// Run the named tasks though they are fresh (a group: its members)
    #[arg(short, long)]
    pub force: bool,
    /// Run everything in the plan though it is fresh
    #[arg(long)]
    pub force_all: bool,
    /// How many tasks run at once [default: as many as there are cores]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub jobs: Option<u32>,
    /// Say what would run and why; change nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// After a failure, go on with what does not depend on it
    #[arg(short, long)]
    pub keep_going: bool,
    /// Say of each task why it runs
    #[arg(long)]
    pub explain: bool,
    /// Use profile P; may be given several times, the last is strongest [default: ci if CI=true, else local]
    #[arg(long, value_name = "P", value_delimiter = ',')]
    pub profile: Vec<String>,
    /// How output is shown
    #[arg(long, value_name = "MODE", value_enum, default_value_t = OutputMode::Grouped)]
    pub output: OutputMode,
    /// Write a report of the run to FILE, as JSON
    #[arg(long, value_name = "FILE.json")]
    pub report: Option<PathBuf>,
    /// Confirm a task that asks for it, ahead of time
    #[arg(long, value_name = "TASK")]
    pub confirm: Vec<String>,
    /// Let `db.reset` drop this database though it does not carry weir's mark
    #[arg(long, value_name = "DATABASE")]
    pub destroy: Vec<String>,
    /// Arguments for the one task named
    #[arg(last = true, value_name = "ARGS")]
    pub arguments: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputMode {
    /// A task's output in one piece when it has ended
    Grouped,
    /// Each line as it comes, with the task's name in front
    Prefixed,
    /// Bytes as they come
    Stream,
    /// Only failures and warnings
    Quiet,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct TasksArgs {
    #[command(subcommand)]
    pub command: Option<TasksCommand>,
}

#[derive(Debug, Subcommand)]
pub enum TasksCommand {
    /// List tasks
    Ls(ListArgs),
    /// Show everything about one task
    Info(InfoArgs),
    /// Show what depends on what, as a tree
    Deps(DepsArgs),
}

impl Default for TasksCommand {
    fn default() -> Self {
        Self::Ls(ListArgs::default())
    }
}

#[derive(Debug, Args, Default)]
pub struct ListArgs {
    /// Hidden tasks too
    #[arg(long)]
    pub all: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct InfoArgs {
    /// Its name
    pub task: String,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  weir tasks deps                     everything, as a tree\n  weir tasks deps build --up          what waits for `build`\n  weir tasks deps --format mermaid    for a document\n  weir tasks deps check               audit the graph\n  weir tasks deps //check             the tree of a task that is called `check`"
)]
pub struct DepsArgs {
    #[command(subcommand)]
    pub command: Option<DepsCommand>,
    /// Only what this task waits for [default: the tasks that nothing waits for]
    pub task: Option<String>,
    /// What waits for the task, instead of what it waits for
    #[arg(long, requires = "task")]
    pub up: bool,
    /// How it is drawn
    #[arg(long, value_enum, default_value_t = GraphFormat::Tree)]
    pub format: GraphFormat,
    /// As JSON: every task with its edges
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum DepsCommand {
    /// Audit the graph: whether it tells the truth
    Check(AuditArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Each finding has a code and a page in docs/audit. A task allows one with a reason:\n  allow = { \"graph::wide-source\" = \"why\" }"
)]
pub struct AuditArgs {
    /// Fail on warnings too
    #[arg(long)]
    pub strict: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// In the terminal
    Tree,
    /// For Graphviz
    Dot,
    /// For Markdown that draws it
    Mermaid,
    /// Every task with its edges
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  weir explain lint\n  weir explain --json lint")]
pub struct ExplainArgs {
    /// Its name
    pub task: String,
    /// Compare with what a recorded run had, instead of the last result
    #[arg(long, value_name = "RUN")]
    pub against: Option<String>,
    /// As JSON, with every part of the key
    #[arg(long)]
    pub json: bool,
    /// Use profile P
    #[arg(long, value_name = "P", value_delimiter = ',')]
    pub profile: Vec<String>,
}

#[derive(Debug, Args)]
pub struct RunsArgs {
    #[command(subcommand)]
    pub command: RunsCommand,
}

#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// List recorded runs, newest first
    Ls {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a recorded run again
    Show {
        /// Its id, or the beginning of it [default: the newest]
        run: Option<String>,
        /// Its events, as JSON lines
        #[arg(long)]
        json: bool,
    },
    /// Compare the keys of two recorded runs: which parts differ, task by task
    Diff {
        /// The id of the one, or the beginning of it
        a: String,
        /// The id of the other [default: the newest]
        b: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  weir rule detect              judge the work since the base branch\n  weir rule detect --staged     only what would be committed\n  weir rule quick               write INVARIANTS_QUICK.md anew\n\ndocs/structural-rule.md says what to do when the rule says no."
)]
pub struct RuleArgs {
    #[command(subcommand)]
    pub command: RuleCommand,
}

#[derive(Debug, Subcommand)]
pub enum RuleCommand {
    /// Say what is structural in a change, and whether it may pass
    Detect {
        #[command(flatten)]
        ask: RuleAsk,
        /// The change that a file of `git diff` describes, seen from the base
        #[arg(long, value_name = "FILE", conflicts_with = "staged")]
        diff: Option<PathBuf>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Write pr.diff and detect.json for a reviewer
    Prepare {
        #[command(flatten)]
        ask: RuleAsk,
        /// The folder
        #[arg(long, value_name = "DIR", default_value = ".weir/rule")]
        out: PathBuf,
    },
    /// Write INVARIANTS_QUICK.md from the manifest
    Quick {
        /// Compare it only, and write nothing
        #[arg(long)]
        check: bool,
    },
}

#[derive(Debug, Args)]
pub struct RuleAsk {
    /// The branch that the change is seen against [default: that of `[structural]`, else main]
    #[arg(long, value_name = "B")]
    pub base: Option<String>,
    /// Only what is staged, beside commits
    #[arg(long)]
    pub staged: bool,
}

#[derive(Debug, Args)]
pub struct CacheArgs {
    #[command(subcommand)]
    pub command: CacheCommand,
}

#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Say how much is stored, and where
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Read everything that is stored, and remove what does not hold
    Verify {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove old results, and blobs that no result names
    Prune {
        /// Results older than this go
        #[arg(long, value_name = "DURATION", default_value = "30d")]
        max_age: String,
        /// Then the oldest go until the rest holds at most this, such as `2GB`
        #[arg(long, value_name = "SIZE")]
        max_size: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove everything recorded in this workspace: the next run starts cold
    Clear,
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// Print it instead of writing tasks.toml
    #[arg(long)]
    pub print: bool,
}

#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Of what
    #[arg(value_enum, default_value_t = SchemaOf::Tasks)]
    pub of: SchemaOf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// tasks.toml
    Tasks,
    /// A line of a run's events.jsonl
    Events,
    /// What `weir run --report` writes
    Report,
    /// What `weir rule detect --json` prints
    Detect,
}

impl SchemaOf {
    pub fn value(self) -> serde_json::Value {
        match self {
            Self::Tasks => crate::config::tasks_schema(),
            Self::Events => crate::ui::events_schema(),
            Self::Report => crate::ui::report_schema(),
            Self::Detect => crate::rule::detect_schema(),
        }
    }
}

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell
    pub shell: clap_complete::Shell,
}
