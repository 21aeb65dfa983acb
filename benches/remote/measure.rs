//! A run of weir, and what it took: time, processor time, memory.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// The argument with which this program runs a command, so that what the system counts for children is of that command alone.
pub const ALONE: &str = "--measure-alone";

/// What one run took.
#[derive(Clone, Copy)]
pub struct Took {
    pub time: Duration,
    pub busy: Duration,
    /// Peak memory, MiB.
    pub peak: f64,
}

/// Runs a command, and writes what it took to stderr: microseconds, microseconds of the processor, KiB.
pub fn alone(command: &[String]) -> ExitCode {
    let started = Instant::now();
    let status = Command::new(&command[0]).args(&command[1..]).status().unwrap();
    let took = started.elapsed().as_micros();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let busy = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    eprintln!("\n{took} {busy} {}", usage.max_rss());
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs weir in a workspace. The run must find results for all that it does, or run all of it.
pub fn weir(at: &Path, task: &str, env: &[(&str, &str)], finds: bool) -> Took {
    let report = at.join("report.json");
    let output = Command::new(std::env::current_exe().unwrap())
        .args([ALONE, env!("CARGO_BIN_EXE_weir"), "run", "--output", "quiet", "--report"])
        .args([report.as_os_str(), task.as_ref()])
        .envs(env.iter().copied())
        .env("CI", "")
        .current_dir(at)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !told.contains("warning"), "{told}");
    let text = std::fs::read_to_string(&report).unwrap();
    let totals = &text[text.find("\"totals\"").unwrap()..];
    let totals: String = totals[..totals.find('}').unwrap()].split_whitespace().collect();
    assert_eq!(totals.contains("\"ran\":0,"), finds, "{totals}");
    let last = told.lines().last().unwrap_or_default();
    let counts: Vec<u64> = last.split(' ').map(|count| count.parse().unwrap()).collect();
    Took {
        time: Duration::from_micros(counts[0]),
        busy: Duration::from_micros(counts[1]),
        peak: counts[2] as f64 / 1024.0,
    }
}

/// The middle one.
pub fn median(took: &[Duration]) -> Duration {
    let mut sorted = took.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

pub fn peak(took: &[Took]) -> f64 {
    took.iter().map(|took| took.peak).fold(0.0, f64::max)
}

pub fn times(took: &[Took]) -> Vec<Duration> {
    took.iter().map(|took| took.time).collect()
}

pub fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1_000.0)
}

/// Moves what a run left out of the way. Not deleted: file systems are slow to create files where many have just been deleted, and
/// that would be part of what is measured.
pub fn set_aside(at: &Path, names: &[&str], aside: &Path) {
    let aside = tempfile::tempdir_in(aside).unwrap().keep();
    for name in names.iter().filter(|name| at.join(name).exists()) {
        std::fs::rename(at.join(name), aside.join(name)).unwrap();
    }
}
