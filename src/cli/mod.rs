//! Rank 5: arguments, wiring, diagnostics, exit codes.

mod again;
mod args;
mod audit;
mod cache;
mod db;
mod db_diff;
mod db_migrate;
mod db_server;
mod doctor;
mod draw;
mod elsewhere;
mod error;
mod evidence;
mod explain;
mod frozen;
mod ground;
mod import;
mod init;
mod panel;
mod part;
mod print;
mod project;
mod remote;
mod render;
mod resume;
mod rule;
mod run;
mod runs;
mod seal;
mod tasks;

pub use error::CliError;

use args::{Cli, Command};
use clap::FromArgMatches;
use clap::error::ErrorKind;
use std::path::PathBuf;

/// Plans are walked by recursion as deep as the graph; the memory is only touched where needed.
const STACK: usize = 512 << 20;

/// The program: returns the exit code.
pub fn main() -> i32 {
    if std::env::args_os().nth(1).is_some_and(|first| first == crate::process::GUARD_ARGUMENT) {
        return crate::process::guard_main();
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|at| format!(" ({}:{})", at.file(), at.line())).unwrap_or_default();
        let text = panic.payload();
        let text = text.downcast_ref::<&str>().copied().or(text.downcast_ref::<String>().map(String::as_str));
        print::error_line(&format!("this is a defect in weir{place}: {}", text.unwrap_or("unknown")));
        print::help_line("please report it, with the command and the tasks.toml");
    }));
    match std::panic::catch_unwind(begin) {
        Ok(Ok(code)) => i32::from(code),
        Ok(Err(call)) => on_a_long_stack(call),
        Err(_) => i32::from(error::DEFECT),
    }
}

/// Every `-C`, and what is to be done there.
type Call = (Vec<PathBuf>, Cli);

/// What needs no more than a little memory: wrong calls, and runs of which nothing has changed.
/// Otherwise, what is to be done.
fn begin() -> Result<u8, Call> {
    if cfg!(windows) {
        print::error_line("weir runs on Linux and macOS, and not on Windows");
        return Ok(error::USAGE);
    }
    watch_log();
    let matches = args::command().try_get_matches();
    let parsed = matches.and_then(|matches| Ok((args::directories(&matches), Cli::from_arg_matches(&matches)?)));
    let (directories, cli) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            let _ = error.print();
            return Ok(match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => 0,
                _ => error::USAGE,
            });
        }
    };
    let sealed = match &cli.command {
        Some(Command::Run(args)) => run::quickly(&directories, args),
        _ => None,
    };
    sealed.ok_or((directories, cli))
}

fn on_a_long_stack(call: Call) -> i32 {
    let work = std::thread::Builder::new().name("weir".into()).stack_size(STACK).spawn(|| dispatch(call));
    match work.map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => i32::from(code),
        Ok(Err(_)) => i32::from(error::DEFECT),
        Err(error) => {
            print::error_line(&format!("failed to start: {error}"));
            i32::from(error::DEFECT)
        }
    }
}

/// glibc lets the heap of a thread grow by a few KiB at a time, each with a call of the system: thousands
/// for a large graph. Giving back one large block tells it not to care about so little; room that was
/// taken and given back once is not asked for again. No page is touched here.
fn make_room() {
    const MIB: usize = 1 << 20;
    let room = |mib: usize| std::hint::black_box(Vec::<u8>::with_capacity(mib * MIB));
    drop(room(8));
    drop((room(7), room(7)));
}

fn dispatch((directories, cli): Call) -> u8 {
    make_room();
    match execute(&directories, cli) {
        Ok(code) => code,
        Err(error) => {
            let code = error.exit_code();
            error.show();
            code
        }
    }
}

fn execute(directories: &[PathBuf], cli: Cli) -> Result<u8, CliError> {
    let place = project::Place::of(directories)?;
    match cli.command {
        None => tasks::list(&place, &args::ListArgs::default()),
        Some(Command::Run(args)) => run::run(&place, &args),
        Some(Command::Tasks(args)) => tasks::tasks(&place, args.command.unwrap_or_default()),
        Some(Command::Explain(args)) => explain::explain(&place, &args),
        Some(Command::Runs(args)) => runs::runs(&place, args.command),
        Some(Command::Evidence(args)) => evidence::evidence(&place, args.command),
        Some(Command::Cache(args)) => cache::cache(&place, args.command),
        Some(Command::Rule(args)) => rule::rule(&place, args.command),
        Some(Command::Db(args)) => db::db(&place, args.command),
        Some(Command::Import(args)) => import::import(&place, &args),
        Some(Command::Init(args)) => init::init(&place, &args),
        Some(Command::Doctor(args)) => doctor::doctor(&place, &args),
        Some(Command::Schema(args)) => print::json(&args.of.value()),
        Some(Command::Completions(args)) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut args::command(), "weir", &mut script);
            print::text(&String::from_utf8_lossy(&script))
        }
    }
}

/// `WEIR_LOG=debug`: what weir does, on standard error.
fn watch_log() {
    if let Ok(filter) = std::env::var("WEIR_LOG") {
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
            .with_writer(std::io::stderr)
            .try_init();
    }
}
