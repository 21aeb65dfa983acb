//! Running a command and taking its measure: time, processor time, memory, instructions.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// The argument with which this program runs a command for its peak memory.
pub const MEMORY: &str = "--measure-memory";

/// What is done before a command is run, outside of what is measured.
pub type Before = Box<dyn Fn()>;

/// A command, and how long it took each time.
pub struct Row {
    pub name: &'static str,
    folder: PathBuf,
    command: Vec<String>,
    variables: Vec<(String, String)>,
    before: Option<Before>,
    took: Vec<Duration>,
    busy: Vec<Duration>,
}

impl Row {
    pub fn new(name: &'static str, folder: &Path, command: &[&str]) -> Self {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        let (folder, variables) = (folder.to_path_buf(), vec![]);
        Self { name, folder, command, variables, before: None, took: vec![], busy: vec![] }
    }

    /// The same with these variables set.
    pub fn with(mut self, variables: Vec<(String, String)>) -> Self {
        self.variables = variables;
        self
    }

    /// The same with something done before each run.
    pub fn after(mut self, before: Before) -> Self {
        self.before = Some(before);
        self
    }

    /// Runs it once: time, and time of the processor.
    pub fn run(&self) -> (Duration, Duration) {
        if let Some(before) = &self.before {
            before();
        }
        // Progress is for terminals; what went wrong is shown.
        let mut said = tempfile::tempfile().unwrap();
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).current_dir(&self.folder).envs(self.variables.clone());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said.try_clone().unwrap());
        let (started, busy) = (Instant::now(), busy());
        let status = command.status().unwrap();
        let took = started.elapsed();
        if !status.success() {
            let mut text = String::new();
            said.rewind().and_then(|()| said.read_to_string(&mut text)).unwrap();
            panic!("`{}` in `{}`: {status}\n{text}", self.command.join(" "), self.folder.display());
        }
        (took, busy_since(busy))
    }

    /// Runs it once, and does not count that: the time, and the peak memory of its largest process in MiB.
    ///
    /// # Errors
    /// What it said, where it fails.
    pub fn try_run(&self) -> Result<(Duration, f64), String> {
        if let Some(before) = &self.before {
            before();
        }
        let started = Instant::now();
        let peak = self.measured()?;
        Ok((started.elapsed(), peak))
    }

    /// How often it was run and counted.
    pub const fn rounds(&self) -> usize {
        self.took.len()
    }

    /// Runs it once more, and counts that.
    pub fn count(&mut self) {
        let (took, busy) = self.run();
        self.took.push(took);
        self.busy.push(busy);
    }

    pub fn median(&self) -> Duration {
        let mut sorted = self.took.clone();
        sorted.sort_unstable();
        sorted[sorted.len() / 2]
    }

    /// Peak memory in MiB.
    pub fn peak(&self) -> f64 {
        self.measured().unwrap_or_else(|said| panic!("`{}`: {said}", self.command.join(" ")))
    }

    fn measured(&self) -> Result<f64, String> {
        let output = Command::new(std::env::current_exe().unwrap())
            .arg(MEMORY)
            .args(&self.command)
            .current_dir(&self.folder)
            .envs(self.variables.clone())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let kibibytes = text.lines().last().and_then(|line| line.trim().parse::<f64>().ok());
        kibibytes.filter(|_| output.status.success()).map(|kibibytes| kibibytes / 1024.0).ok_or(text)
    }

    /// The fastest and the slowest run.
    pub fn range(&self) -> (Duration, Duration) {
        (*self.took.iter().min().unwrap(), *self.took.iter().max().unwrap())
    }

    /// Prints it as a row of the table.
    pub fn print(&self, case: &str, about: &str) {
        let (fastest, slowest) = self.range();
        println!(
            "| {case} | {} | {} | {} to {} | {} | {about} |",
            self.name,
            ms(self.median()),
            ms(fastest),
            ms(slowest),
            ms(*self.busy.iter().min().unwrap()),
        );
    }
}

pub fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

pub fn ratio(a: &Row, b: &Row) -> f64 {
    a.median().as_secs_f64() / b.median().as_secs_f64()
}

/// Runs all rows `rounds` times in turn, after two turns that do not count: a slow moment of the machine
/// hits all of them.
pub fn take_turns(rows: &mut [Row], rounds: usize) {
    for round in 0..rounds + 2 {
        for row in &mut *rows {
            match round {
                0 | 1 => _ = row.run(),
                _ => row.count(),
            }
        }
    }
}

/// Processor time of all children so far.
fn busy() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(u64::try_from(micros).unwrap())
}

fn busy_since(before: Duration) -> Duration {
    busy().saturating_sub(before)
}

/// Runs a command, and writes the peak memory of its processes, KiB, to stderr. A process of its own,
/// since what the system counts is the largest child there ever was.
pub fn measure_memory(command: &[String]) -> ExitCode {
    let status = Command::new(&command[0]).args(&command[1..]).stdout(Stdio::null()).status().unwrap();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    eprintln!("{}", usage.max_rss());
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Looks at every path on `threads` threads, best of three: what no program that asks the system about
/// each of them can be faster than.
pub fn look_at(paths: &[PathBuf], threads: usize) -> Duration {
    let look = |part: &[PathBuf]| {
        for path in part {
            std::hint::black_box(std::fs::symlink_metadata(path).unwrap());
        }
    };
    let once = || {
        let started = Instant::now();
        std::thread::scope(|scope| {
            for part in paths.chunks(paths.len().div_ceil(threads)) {
                scope.spawn(move || look(part));
            }
        });
        started.elapsed()
    };
    (0..3).map(|_| once()).min().unwrap()
}

/// Starts every command, two at a time, best of three: what no program that runs them can be faster than. The
/// standard library starts them with `posix_spawn`.
pub fn spawn_all(at: &Path, commands: &[Vec<String>]) -> Duration {
    let once = || {
        let started = Instant::now();
        std::thread::scope(|scope| {
            for part in commands.chunks(commands.len().div_ceil(2)) {
                scope.spawn(move || {
                    for command in part {
                        let status = Command::new(&command[0]).args(&command[1..]).current_dir(at).status().unwrap();
                        assert!(status.success());
                    }
                });
            }
        });
        started.elapsed()
    };
    (0..3).map(|_| once()).min().unwrap()
}

/// Instructions that a command takes, all threads together, as valgrind counts them.
pub fn instructions(folder: &Path, command: &[&str]) -> Result<u64, String> {
    let out = folder.join("callgrind.out");
    let done = Command::new("valgrind")
        .args(["--tool=callgrind", &format!("--callgrind-out-file={}", out.display())])
        .args(command)
        .current_dir(folder)
        .stdout(Stdio::null())
        .output()
        .map_err(|error| format!("valgrind can't be started ({error}): nothing was measured"))?;
    let text = String::from_utf8_lossy(&done.stderr).into_owned();
    let count =
        text.lines().find_map(|line| line.split("Collected :").nth(1)).and_then(|count| count.trim().parse().ok());
    count.filter(|_| done.status.success()).ok_or_else(|| format!("valgrind counted nothing: {text}"))
}
