//! The command line.

use clap::{Arg, ArgAction, ArgMatches, Args, CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};
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
    #[command(subcommand)]
    pub command: Option<Command>,
}

const DIRECTORY: &str = "directory";

/// The whole command line: [`Cli`], and `-C` before and after each command.
pub fn command() -> clap::Command {
    // Of a global argument that is given before and after a command, clap drops the one before.
    fn with_directory(command: clap::Command) -> clap::Command {
        let directory = Arg::new(DIRECTORY)
            .short('C')
            .long(DIRECTORY)
            .value_name("DIR")
            .value_parser(clap::value_parser!(PathBuf))
            .action(ArgAction::Append)
            .help("Work as if started in DIR; given again, relative to the DIR before it");
        command.arg(directory).mut_subcommands(with_directory)
    }
    with_directory(Cli::command())
}

/// Every `-C`, in order.
pub fn directories(matches: &ArgMatches) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut level = Some(matches);
    while let Some(matches) = level {
        all.extend(matches.get_many::<PathBuf>(DIRECTORY).into_iter().flatten().cloned());
        level = matches.subcommand().map(|(_, inner)| inner);
    }
    all
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
    /// What gates said, for others to rely on
    Evidence(EvidenceArgs),
    /// Look after the cache
    Cache(CacheArgs),
    /// Look after a database: where it is, what it holds, its migrations
    Db(Box<DbArgs>),
    /// Write a small tasks.toml for what is found here (Cargo, npm, Make)
    Init(InitArgs),
    /// Write a tasks.toml that does what another tool's file does
    Import(ImportArgs),
    /// Look at what runs need: tools, state, the remote
    Doctor(DoctorArgs),
    /// Print a JSON Schema
    Schema(SchemaArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  weir run quick                  the dev loop\n  weir run build test             two targets, in no order of their own\n  weir run -f test                run `test` though it is fresh\n  weir run test -- --nocapture    arguments for one task\n  weir run -n --explain check     what would run, and why\n  weir run --report out.json check\n  weir run --resume               go on with what was cut short or failed\n\nExit codes: 0 all good, 1 a task failed, 2 a mistake in the command or a file,\n3 refused by a safety rule, 70 a defect in weir, 130 interrupted, 143 terminated."
)]
pub struct RunArgs {
    /// Names, aliases or globs of tasks
    #[arg(value_name = "TASK", required_unless_present = "resume")]
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
    /// Write a report of the run to FILE, as JSON, or as JUnit XML where it ends in `.xml`
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Of a soak, run only this iteration again, with its variables
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub iteration: Option<u32>,
    /// Go on with a run that was cut short or failed: what succeeded in it is not run again [default: the last one]
    #[arg(long, value_name = "RUN", num_args = 0..=1, default_missing_value = "")]
    pub resume: Option<String>,
    /// Confirm a task that asks for it, ahead of time
    #[arg(long, value_name = "TASK")]
    pub confirm: Vec<String>,
    /// Sign the evidence of gates with this ed25519 key, in PEM [default: $WEIR_EVIDENCE_KEY]
    #[arg(long, value_name = "FILE.pem")]
    pub evidence_key: Option<PathBuf>,
    /// Let `db.reset` drop this database though it does not carry weir's mark
    #[arg(long, value_name = "DATABASE")]
    pub destroy: Vec<String>,
    /// Fail where the remote is needed and can't be had, instead of going on without it
    #[arg(long)]
    pub require_remote: bool,
    /// Have the remote run every task that can be run elsewhere, not only those with `execute = true`
    #[arg(long)]
    pub remote_exec: bool,
    /// Run every task that can be run elsewhere in a folder that holds its declared inputs and nothing else
    #[arg(long, conflicts_with = "remote_exec")]
    pub isolated: bool,
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
    after_help = "Examples:\n  weir tasks deps                     everything, as a tree\n  weir tasks deps build --up          what waits for `build`\n  weir tasks deps --format mermaid    for a document\n  weir tasks deps --format html -o tasks.html\n                                      a page to look around in\n  weir tasks deps check               audit the graph\n  weir tasks deps //check             the tree of a task that is called `check`"
)]
pub struct DepsArgs {
    #[command(subcommand)]
    pub command: Option<DepsCommand>,
    /// Only what this task waits for [default: the tasks that nothing waits for]
    pub task: Option<String>,
    /// What waits for the task, instead of what it waits for
    #[arg(long, requires = "task")]
    pub up: bool,
    /// What the task waits for: the default
    #[arg(long, requires = "task", conflicts_with = "up")]
    pub down: bool,
    /// How it is drawn
    #[arg(long, value_enum, default_value_t = GraphFormat::Tree)]
    pub format: GraphFormat,
    /// Into FILE, in one piece, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
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
    /// A picture, with a legend
    Svg,
    /// A page to look around in: definitions, last runs, findings; needs no network
    Html,
    /// Every task with its edges
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  weir doctor\n\nExit codes: 0 all is well, 1 something is not.")]
pub struct DoctorArgs {
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Use profile P
    #[arg(long, value_name = "P", value_delimiter = ',')]
    pub profile: Vec<String>,
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
pub struct EvidenceArgs {
    #[command(subcommand)]
    pub command: EvidenceCommand,
}

#[derive(Debug, Subcommand)]
pub enum EvidenceCommand {
    /// Pack the evidence of a run into one file, with a manifest of digests
    #[command(
        after_help = "Examples:\n  weir run check && weir evidence bundle\n  weir evidence bundle -o evidence.tar"
    )]
    Bundle {
        /// The run's id, or the beginning of it [default: the newest with evidence]
        run: Option<String>,
        /// Where to write it [default: evidence.tar in the run's folder]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Check a bundle, offline: nothing was changed, no declared gate is missing, all passed
    #[command(
        after_help = "Examples:\n  weir evidence verify\n  weir evidence verify evidence.tar --key signer.pub.pem"
    )]
    Verify {
        /// The bundle [default: that of the newest run that has one]
        file: Option<PathBuf>,
        /// Every record must be signed with this ed25519 key, in PEM
        #[arg(long, value_name = "FILE.pem")]
        key: Option<PathBuf>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
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
        /// The folder [default: .weir/rule]
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
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
        /// Ask the remote what it can do, instead
        #[arg(long)]
        remote: bool,
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
        /// Then the oldest go until the rest holds at most this, such as `2GB`; nothing stays that is older than one that goes
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
pub struct DbArgs {
    #[command(subcommand)]
    pub command: DbCommand,
}

#[derive(Debug, Subcommand)]
pub enum DbCommand {
    /// Show where each database is, and what it holds beside what the files say
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
        /// Use profile P
        #[arg(long, value_name = "P", value_delimiter = ',')]
        profile: Vec<String>,
    },
    /// Print where a database is, as a `postgres://` address
    Url {
        /// The database, by its name in `[db]` [default: the only one]
        name: Option<String>,
        /// With its password
        #[arg(long)]
        show_password: bool,
        /// Use profile P
        #[arg(long, value_name = "P", value_delimiter = ',')]
        profile: Vec<String>,
    },
    /// Open psql on a database
    #[command(after_help = "Examples:\n  weir db psql\n  weir db psql app -- -c 'select 1'")]
    Psql {
        /// The database, by its name in `[db]` [default: the only one]
        name: Option<String>,
        /// Use profile P
        #[arg(long, value_name = "P", value_delimiter = ',')]
        profile: Vec<String>,
        /// Arguments for psql
        #[arg(last = true, value_name = "ARGS")]
        arguments: Vec<String>,
    },
    /// Show how what is in two databases differs
    #[command(
        after_help = "Each side is a database of tasks.toml, `migrations` (what they make), `baseline` (what it makes), a\n`postgres://` address (its password in PGPASSWORD), or `env:NAME`, where the variable holds the address.\n`+` is only in B, `-` only in A, `~` in both and different. Exit code 1: they differ.\n\nExamples:\n  weir db diff                       the migrations, and the database\n  weir db diff migrations baseline\n  weir db diff app env:STAGING_URL"
    )]
    Diff {
        /// One side [default: migrations]
        a: Option<String>,
        /// The other [default: the database]
        b: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        which: WhichDb,
    },
    /// Write a new migration with the next number
    #[command(after_help = "Example:\n  weir db new add payment outbox")]
    New {
        /// What it does, in a few words
        #[arg(required = true)]
        description: Vec<String>,
        #[command(flatten)]
        which: WhichDb,
    },
    /// Record migrations as applied in a database that has objects and no ledger; runs none of them
    #[command(
        after_help = "Examples:\n  weir db adopt                   the database holds all that the migrations make\n  weir db adopt --up-to 0007      it holds what those up to 0007 make"
    )]
    Adopt {
        /// The last one that the database has already [default: all]
        #[arg(long, value_name = "VERSION")]
        up_to: Option<u64>,
        #[command(flatten)]
        which: WhichDb,
    },
    /// Say what became of a migration outside a transaction that did not end
    #[command(
        after_help = "Such a migration runs statement by statement. When it is cut short, weir says what is\nknown of how far it came, and asks instead of guessing. Bring the database to\none side first.\n\nExamples:\n  weir db resolve 0007 --applied  all of it is done\n  weir db resolve 0007 --undone   nothing of it is; it runs again"
    )]
    Resolve {
        /// Its version
        #[arg(value_name = "VERSION")]
        migration: u64,
        /// All of it is done: it goes into the ledger
        #[arg(long, required_unless_present = "undone", conflicts_with = "undone")]
        applied: bool,
        /// Nothing of it is done: it runs again from its first statement
        #[arg(long)]
        undone: bool,
        #[command(flatten)]
        which: WhichDb,
    },
}

#[derive(Debug, Args)]
pub struct WhichDb {
    /// The database, by its name in `[db]` [default: the only one]
    #[arg(long, value_name = "NAME")]
    pub db: Option<String>,
    /// Use profile P
    #[arg(long, value_name = "P", value_delimiter = ',')]
    pub profile: Vec<String>,
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// Print it instead of writing tasks.toml
    #[arg(long)]
    pub print: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Reads mise.toml and mise's file tasks, Taskfile.yml, package.json, turbo.json, justfile, Makefile.\nWhat can't be carried over as it is has a comment `# weir import: …` at its place, and is\nlisted. An existing file is never overwritten.\n\nExamples:\n  weir import mise.toml                write tasks.toml beside it\n  weir import Makefile --output -      show what would be written\n  weir import --json package.json      write it, and list what is different as JSON"
)]
pub struct ImportArgs {
    /// The other tool's file
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Write to this file; `-` is standard output [default: tasks.toml in the project's folder]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// List what was carried over and what is different, as JSON
    #[arg(long)]
    pub json: bool,
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
    /// The evidence that a gate leaves
    Evidence,
}

impl SchemaOf {
    pub fn value(self) -> serde_json::Value {
        match self {
            Self::Tasks => crate::config::tasks_schema(),
            Self::Events => crate::ui::events_schema(),
            Self::Report => crate::ui::report_schema(),
            Self::Detect => crate::rule::detect_schema(),
            Self::Evidence => crate::evidence::evidence_schema(),
        }
    }
}

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell
    pub shell: clap_complete::Shell,
}
