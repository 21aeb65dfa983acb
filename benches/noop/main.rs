//! How long weir takes to find that there is nothing to do, beside `/bin/true` and ninja.
//!
//! `cargo bench --bench noop` prints a Markdown table. ninja is taken from the folder that
//! `WEIR_BENCH_NINJA` names, or from PATH; without it its rows are missing. Other runners are looked for in
//! `WEIR_BENCH_PEERS` too. `-- --quick` leaves out the graphs of 100,000 files. `-- --instructions` counts
//! instructions instead, with valgrind, and fails where they are more than they should be. `-- --only CASE`
//! measures one of `one`, `noop`, `changed`, `cold`, `peers`, `restore`, `printed`, `large`.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

mod graph;
mod measure;
mod others;
mod peers;

use graph::Shape;
use measure::{Before, MEMORY, Row, instructions, look_at, measure_memory, ms, ratio, spawn_all, take_turns};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

const WEIR: &str = env!("CARGO_BIN_EXE_weir");
const ONE: Shape = Shape { tasks: 1, files: 10, folders: true };
const SMALL: Shape = Shape { tasks: 1_000, files: 10, folders: false };
const WIDE: Shape = Shape { tasks: 1_000, files: 100, folders: false };
const LARGE: Shape = Shape { tasks: 10_000, files: 10, folders: false };

/// Instructions of a run of 1,000 tasks that finds nothing to do, at most: half as much again as there
/// were when this was written.
const MOST_INSTRUCTIONS: u64 = 40_000_000;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = words.iter().position(|word| word == MEMORY) {
        return measure_memory(&words[at + 1..]);
    }
    let asked = |name: &str| words.iter().any(|word| word == name);
    if asked("--instructions") {
        return count_instructions();
    }
    let ninja = peers::find("ninja").map(|peer| peer.program);
    if ninja.is_none() {
        eprintln!("ninja is neither in WEIR_BENCH_NINJA nor on PATH: its rows are left out");
    }
    let ninja = ninja.as_deref();
    let only = words.iter().position(|word| word == "--only").and_then(|at| words.get(at + 1));
    let wanted = |case: &str| only.is_none_or(|only| only == case);
    if only.is_none_or(|only| only != "peers") {
        println!("| case | command | median | fastest to slowest | least processor time | about |");
        println!("|---|---|---:|---:|---:|---|");
    }
    if wanted("one") {
        one_task(ninja);
    }
    let small = if wanted("noop") { many_tasks(SMALL, 31, ninja) } else { vec![] };
    if wanted("changed") {
        changed(SMALL, 15, ninja);
    }
    if wanted("cold") {
        cold(SMALL, 5, ninja);
    }
    if wanted("restore") {
        restored(SMALL, 7);
    }
    if wanted("printed") {
        printed(9);
    }
    if wanted("large") && !asked("--quick") {
        many_tasks(WIDE, 15, ninja);
        let large = many_tasks(LARGE, 15, ninja);
        println!();
        for (before, after) in small.iter().zip(&large) {
            println!("- `{}`: 10 times the tasks take {:.1} times as long", before.name, ratio(after, before));
        }
    }
    if wanted("peers") {
        others::beside_others(SMALL);
    }
    ASIDE.lock().unwrap().clear();
    ExitCode::SUCCESS
}

/// What was set aside, until the end.
static ASIDE: Mutex<Vec<tempfile::TempDir>> = Mutex::new(vec![]);

fn workspace(shape: Shape) -> tempfile::TempDir {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    shape.generate(folder.path());
    folder
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

/// The rows of weir and ninja in one folder.
fn rows(at: &Path, name: &'static str, ninja: Option<&str>) -> Vec<Row> {
    let mut rows = vec![Row::new(name, at, &[WEIR, "run", "all"])];
    rows.extend(ninja.map(|ninja| Row::new("ninja", at, &[ninja, "all"])));
    rows
}

fn one_task(ninja: Option<&str>) {
    let folder = workspace(ONE);
    let at = folder.path();
    settle(at);
    let mut rows = rows(at, "weir", ninja);
    rows.insert(0, Row::new("`/bin/true`", at, &["/bin/true"]));
    take_turns(&mut rows, 101);
    print_beside_ninja(&rows, &ONE.describe(), |_| String::new());
}

/// Prints all rows; those beside one of ninja with the ratio to it.
fn print_beside_ninja(rows: &[Row], case: &str, more: impl Fn(&Row) -> String) {
    let ninja = rows.iter().find(|row| row.name == "ninja");
    for row in rows {
        let mut about = ninja.map_or_else(String::new, |ninja| format!("{:.2} of ninja", ratio(row, ninja)));
        about += &more(row);
        row.print(case, &about);
    }
}

fn many_tasks(shape: Shape, rounds: usize, ninja: Option<&str>) -> Vec<Row> {
    let (listed, whole) = (workspace(shape), workspace(Shape { folders: true, ..shape }));
    settle(listed.path());
    settle(whole.path());
    let mut rows = rows(listed.path(), "weir, files listed", ninja);
    rows.insert(1, Row::new("weir, a folder each", whole.path(), &[WEIR, "run", "all"]));
    take_turns(&mut rows, rounds);
    print_beside_ninja(&rows, &shape.describe(), |row| format!("; peak {:.0} MiB", row.peak()));
    let paths = shape.paths(listed.path());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    for (threads, name) in [(1, "one thread".to_owned()), (cores, format!("{cores} threads"))] {
        let took = look_at(&paths, threads);
        println!("| {} | `lstat` of all files, {name} | {} | | | |", shape.describe(), ms(took));
    }
    rows
}

/// One source has other content each time.
fn changed(shape: Shape, rounds: usize, ninja: Option<&str>) {
    let folder = workspace(shape);
    settle(folder.path());
    let edit = |source: PathBuf| -> Before {
        let edits = std::cell::Cell::new(0);
        Box::new(move || {
            edits.set(edits.get() + 1);
            fs::write(&source, format!("edit {}\n", edits.get())).unwrap();
        })
    };
    let source = shape.last_source(folder.path());
    let mut rows: Vec<Row> =
        rows(folder.path(), "weir", ninja).into_iter().map(|row| row.after(edit(source.clone()))).collect();
    take_turns(&mut rows, rounds);
    print_beside_ninja(&rows, &format!("{}, one changed", shape.describe()), |_| String::new());
}

/// Moves what a run left out of the way. Not deleted: file systems are slow to create files where many have just
/// been deleted, and that would be part of what is measured.
fn set_aside(at: &Path, names: &[&str]) {
    let aside = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for name in names.iter().filter(|name| at.join(name).exists()) {
        fs::rename(at.join(name), aside.path().join(name)).unwrap();
        if name.starts_with("out") {
            fs::create_dir(at.join(name)).unwrap();
        }
    }
    ASIDE.lock().unwrap().push(aside);
}

/// Reads all sources, as if they had just been checked out: the system gives up the memory for files that nobody has read for some
/// seconds, and then those who read them wait for the disk, and those who ask for their times do not.
fn read_sources(at: &Path) {
    for file in walkdir::WalkDir::new(at.join("src")).into_iter().flatten().filter(|entry| entry.file_type().is_file())
    {
        fs::read(file.path()).unwrap();
    }
}

/// Nothing is on record, and no output is there.
fn cold(shape: Shape, rounds: usize, ninja: Option<&str>) {
    let folder = workspace(shape);
    let at = folder.path().to_path_buf();
    let clean = move || {
        set_aside(&at, &[".weir", ".ninja_log", ".ninja_deps", "out", "out-ninja"]);
        read_sources(&at);
    };
    let mut rows: Vec<Row> =
        rows(folder.path(), "weir", ninja).into_iter().map(|row| row.after(Box::new(clean.clone()))).collect();
    take_turns(&mut rows, rounds);
    print_beside_ninja(&rows, &format!("{}, cold", shape.describe()), |_| String::new());
    let at = folder.path().to_path_buf();
    let commands: Vec<Vec<String>> = (0..shape.tasks)
        .map(|number| ["cp", &graph::source(number, 0), &format!("out/t{number}")].map(str::to_owned).to_vec())
        .collect();
    set_aside(&at, &["out"]);
    let took = spawn_all(&at, &commands);
    println!(
        "| {}, cold | the same commands, two at a time, and nothing else | {} | | | |",
        shape.describe(),
        ms(took)
    );
}

/// All outputs are gone, and what they were is in the cache.
fn restored(shape: Shape, rounds: usize) {
    let folder = workspace(shape);
    settle(folder.path());
    let at = folder.path().to_path_buf();
    let mut rows = vec![Row::new("weir", &at, &[WEIR, "run", "--output", "quiet", "all"]).after(Box::new({
        let at = at.clone();
        move || set_aside(&at, &["out"])
    }))];
    if let Some(turbo) = peers::find("turbo") {
        turbo.describe(shape, &at);
        let row = Row::new("turbo", &at, &turbo.command()).with(others::environment(&turbo, &at));
        row.run();
        let at = at.clone();
        rows.push(row.after(Box::new(move || set_aside(&at, &["out-turbo"]))));
    }
    take_turns(&mut rows, rounds);
    let turbo = rows.iter().find(|row| row.name == "turbo");
    for row in &rows {
        let about = turbo.map_or_else(String::new, |turbo| format!("{:.2} of turbo", ratio(row, turbo)));
        row.print(&format!("{}, outputs deleted", shape.describe()), &about);
    }
}

/// One task prints 1 GB, which goes into its log.
fn printed(rounds: usize) {
    const PRINT: &str = "head -c 1000000000 /dev/zero";
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let at = folder.path();
    fs::write(at.join("tasks.toml"), format!("version = 1\n[tasks.all]\nrun = \"{PRINT}\"\n")).unwrap();
    let piped = format!("{PRINT} | cat > piped");
    // Each writes a file that was not there: one that is written over has its memory already, and a log never is.
    let anew = |name: &str| -> Before {
        let written = at.join(name);
        Box::new(move || {
            let _ = if written.is_dir() { fs::remove_dir_all(&written) } else { fs::remove_file(&written) };
        })
    };
    let mut rows = vec![
        Row::new("weir", at, &[WEIR, "run", "--output", "quiet", "all"]).after(anew(".weir")),
        Row::new("`cat` through a pipe into a file", at, &["/bin/sh", "-c", &piped]).after(anew("piped")),
    ];
    take_turns(&mut rows, rounds);
    for row in &rows {
        let about = format!("{:.2} of `cat`; peak {:.0} MiB", ratio(row, &rows[1]), row.peak());
        row.print("1 task that prints 1 GB", &about);
    }
}

fn count_instructions() -> ExitCode {
    let folder = workspace(SMALL);
    settle(folder.path());
    // The first run after the second is answered by a seal.
    match instructions(folder.path(), &[WEIR, "run", "all"]) {
        Ok(count) => {
            let mut text = format!("{count} instructions for {}", SMALL.describe());
            let within = count <= MOST_INSTRUCTIONS;
            let _ = write!(text, ", {} {MOST_INSTRUCTIONS}", if within { "at most" } else { "which is more than" });
            println!("{text}");
            if within { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
