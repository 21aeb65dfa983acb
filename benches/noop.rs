//! How long weir takes to find that there is nothing to do, beside `/bin/true` and ninja.
//!
//! `cargo bench --bench noop` prints a Markdown table. ninja is taken from the folder that
//! `WEIR_BENCH_NINJA` names, or from PATH; without it its rows are missing. `-- --quick` leaves out
//! the graph of 10,000 tasks.
//!
//! The graph: layers of 100 tasks, each task after three of the layer below; each has a folder of
//! its own with ten files of about 1 KiB, and one output. weir and ninja get the same files, the same
//! edges and the same command. Commands of one case take turns, so that a slow moment of the machine
//! hits all of them.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const FILES: usize = 10;
const LAYER: usize = 100;
const WEIR: &str = env!("CARGO_BIN_EXE_weir");
/// The argument with which this program runs a command for its peak memory.
const MEASURE: &str = "--measure-memory";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = words.iter().position(|word| word == MEASURE) {
        return measure_memory(&words[at + 1..]);
    }
    let quick = words.iter().any(|word| word == "--quick");
    let ninja = find_ninja();
    if ninja.is_none() {
        eprintln!("ninja is neither in WEIR_BENCH_NINJA nor on PATH: its rows are left out");
    }
    println!("| case | command | median | fastest to slowest | ratio |");
    println!("|---|---|---:|---:|---|");
    one_task();
    let small = many_tasks(1_000, 31, ninja.as_deref());
    if !quick {
        let large = many_tasks(10_000, 11, ninja.as_deref());
        println!();
        for (before, after) in small.iter().zip(&large) {
            println!(
                "- `{}`: 10 times the tasks take {:.1} times as long",
                before.name,
                after.median().as_secs_f64() / before.median().as_secs_f64()
            );
        }
    }
    ExitCode::SUCCESS
}

/// A command, and how long it took each time.
struct Row {
    name: &'static str,
    folder: PathBuf,
    command: Vec<String>,
    took: Vec<Duration>,
}

impl Row {
    fn new(name: &'static str, folder: &Path, command: &[&str]) -> Self {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        Self { name, folder: folder.to_path_buf(), command, took: vec![] }
    }

    fn run(&self) -> Duration {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).current_dir(&self.folder).stdout(Stdio::null()).stdin(Stdio::null());
        let started = Instant::now();
        let status = command.status().unwrap();
        let took = started.elapsed();
        assert!(status.success(), "`{}` in `{}`: {status}", self.command.join(" "), self.folder.display());
        took
    }

    fn sorted(&self) -> Vec<Duration> {
        let mut sorted = self.took.clone();
        sorted.sort_unstable();
        sorted
    }

    fn median(&self) -> Duration {
        self.sorted()[self.took.len() / 2]
    }

    /// Peak memory in MiB.
    fn peak(&self) -> f64 {
        let output = Command::new(std::env::current_exe().unwrap())
            .arg(MEASURE)
            .args(&self.command)
            .current_dir(&self.folder)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        text.trim().parse::<f64>().unwrap_or_else(|_| panic!("`{}`: {text}", self.command.join(" "))) / 1024.0
    }

    fn print(&self, case: &str, ratio: &str) {
        let sorted = self.sorted();
        println!(
            "| {case} | {} | {} | {} to {} | {ratio} |",
            self.name,
            ms(self.median()),
            ms(sorted[0]),
            ms(sorted[sorted.len() - 1])
        );
    }
}

fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

/// Runs a command, and writes the peak memory of its processes, KiB, to stderr. A process of its own,
/// since what the system counts is the largest child there ever was.
fn measure_memory(command: &[String]) -> ExitCode {
    let status = Command::new(&command[0]).args(&command[1..]).stdout(Stdio::null()).status().unwrap();
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN).unwrap();
    eprintln!("{}", usage.max_rss());
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs all rows `rounds` times in turn, after two turns that do not count.
fn take_turns(rows: &mut [Row], rounds: usize) {
    for round in 0..rounds + 2 {
        for row in &mut *rows {
            let took = row.run();
            if round >= 2 {
                row.took.push(took);
            }
        }
    }
}

fn find_ninja() -> Option<String> {
    let given = std::env::var_os("WEIR_BENCH_NINJA").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = given.into_iter().chain(std::env::split_paths(&path));
    let found = folders.find(|folder| folder.join("ninja").is_file())?.join("ninja");
    Some(found.to_string_lossy().into_owned())
}

fn workspace() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Has weir run everything once, and makes sure that it then finds nothing to do.
fn settle(folder: &Path) {
    // A file that has just been written is read again by the next run.
    std::thread::sleep(Duration::from_millis(100));
    Row::new("weir", folder, &[WEIR, "run", "--output", "quiet", "all"]).run();
    std::thread::sleep(Duration::from_millis(100));
    let report = folder.join("report.json");
    let report = report.to_str().unwrap();
    Row::new("weir", folder, &[WEIR, "run", "--output", "quiet", "--report", report, "all"]).run();
    let text = fs::read_to_string(report).unwrap();
    let totals = &text[text.find("\"totals\"").unwrap()..];
    let totals: String = totals[..totals.find('}').unwrap()].split_whitespace().collect();
    assert!(totals.contains("\"ran\":0,"), "the second run ran something: {totals}");
    fs::remove_file(report).unwrap();
}

fn one_task() {
    let folder = workspace();
    let at = folder.path();
    write_sources(at, 0);
    fs::create_dir(at.join("out")).unwrap();
    fs::write(at.join("tasks.toml"), "version = 1\n".to_owned() + &task(0, true, &[]) + &group(&[0])).unwrap();
    settle(at);
    let mut rows = [Row::new("`/bin/true`", at, &["/bin/true"]), Row::new("weir", at, &[WEIR, "run", "all"])];
    take_turns(&mut rows, 101);
    let limit = 2 * rows[0].median() + Duration::from_millis(3);
    rows[0].print("1 task", "");
    rows[1].print("1 task", &format!("{:.2} of the limit, {}", ratio(rows[1].median(), limit), ms(limit)));
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}

fn many_tasks(count: usize, rounds: usize, ninja: Option<&str>) -> Vec<Row> {
    let workspaces = [workspace(), workspace()];
    let [files, folders] = [workspaces[0].path(), workspaces[1].path()];
    for (at, whole) in [(files, false), (folders, true)] {
        generate(at, count, whole);
        settle(at);
    }
    let mut rows = vec![
        Row::new("weir, files listed", files, &[WEIR, "run", "all"]),
        Row::new("weir, a folder each", folders, &[WEIR, "run", "all"]),
    ];
    if let Some(ninja) = ninja {
        let row = Row::new("ninja", files, &[ninja, "all"]);
        row.run();
        rows.push(row);
    }
    take_turns(&mut rows, rounds);
    let case = format!("{count} tasks, {} files", count * FILES);
    let compared = rows.get(2).map(Row::median);
    for row in &rows {
        let mut about =
            compared.map_or_else(String::new, |ninja| format!("{:.2} of ninja; ", ratio(row.median(), ninja)));
        let _ = write!(about, "peak {:.0} MiB", row.peak());
        row.print(&case, &about);
    }
    rows
}

/// Writes the files of a graph, and what weir and ninja need to know of it.
fn generate(at: &Path, count: usize, whole: bool) {
    let mut weir = String::from("version = 1\n");
    let mut ninja = String::from("rule cp\n  command = cp $from $out\n");
    fs::create_dir(at.join("out")).unwrap();
    fs::create_dir(at.join("out-ninja")).unwrap();
    for number in 0..count {
        write_sources(at, number);
        let before = before(number);
        weir += &task(number, whole, &before);
        let _ = write!(ninja, "build out-ninja/t{number}: cp");
        for file in 0..FILES {
            let _ = write!(ninja, " src/t{number}/f{file}.txt");
        }
        for earlier in &before {
            let _ = write!(ninja, " out-ninja/t{earlier}");
        }
        let _ = writeln!(ninja, "\n  from = src/t{number}/f0.txt");
    }
    let last: Vec<usize> = (count - LAYER..count).collect();
    weir += &group(&last);
    ninja += "build all: phony";
    for number in last {
        let _ = write!(ninja, " out-ninja/t{number}");
    }
    ninja += "\n";
    fs::write(at.join("tasks.toml"), weir).unwrap();
    fs::write(at.join("build.ninja"), ninja).unwrap();
}

/// The three tasks of the layer below that a task depends on.
fn before(number: usize) -> Vec<usize> {
    match (number / LAYER).checked_sub(1) {
        Some(below) => [0, 7, 31].iter().map(|step| below * LAYER + (number + step) % LAYER).collect(),
        None => vec![],
    }
}

fn write_sources(at: &Path, number: usize) {
    let folder = at.join(format!("src/t{number}"));
    fs::create_dir_all(&folder).unwrap();
    for file in 0..FILES {
        let line = format!("line of file {file} of task {number}\n");
        fs::write(folder.join(format!("f{file}.txt")), line.repeat(1024 / line.len() + 1)).unwrap();
    }
}

fn task(number: usize, whole: bool, before: &[usize]) -> String {
    let sources = if whole {
        format!("\"src/t{number}\"")
    } else {
        let all: Vec<String> = (0..FILES).map(|file| format!("\"src/t{number}/f{file}.txt\"")).collect();
        all.join(", ")
    };
    format!(
        "\n[tasks.t{number}]\nrun = \"cp src/t{number}/f0.txt out/t{number}\"\nsources = [{sources}]\n\
         outputs = [\"out/t{number}\"]\ndepends = [{}]\n",
        names(before)
    )
}

fn group(members: &[usize]) -> String {
    format!("\n[tasks.all]\ndepends = [{}]\n", names(members))
}

fn names(numbers: &[usize]) -> String {
    let all: Vec<String> = numbers.iter().map(|number| format!("\"t{number}\"")).collect();
    all.join(", ")
}
