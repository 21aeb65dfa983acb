//! Commands that take turns, and the table of how long they took.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A command, and in which folder and environment it runs.
pub struct Row {
    name: String,
    folder: PathBuf,
    command: Vec<String>,
    env: Vec<(String, String)>,
    before: Option<Box<dyn Fn()>>,
    after: Option<Box<dyn Fn()>>,
}

impl Row {
    pub fn new(name: &str, folder: &Path, command: &[&str]) -> Self {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        Self { name: name.to_owned(), folder: folder.to_path_buf(), command, env: vec![], before: None, after: None }
    }

    /// With a variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With something done before and after each run, outside of what is measured.
    pub fn between(mut self, before: impl Fn() + 'static, after: impl Fn() + 'static) -> Self {
        self.before = Some(Box::new(before));
        self.after = Some(Box::new(after));
        self
    }

    fn run(&self) -> Duration {
        if let Some(before) = &self.before {
            before();
        }
        let started = Instant::now();
        let status = Command::new(&self.command[0])
            .args(&self.command[1..])
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .unwrap();
        let took = started.elapsed();
        assert!(status.success(), "{}: {status}", self.name);
        if let Some(after) = &self.after {
            after();
        }
        took
    }
}

/// Runs them by turns, so that a slow moment of the machine hits all of them; `first` comes before each.
pub fn turns(rows: &[Row], rounds: usize, first: &dyn Fn()) -> Vec<Vec<Duration>> {
    let mut took = vec![vec![]; rows.len()];
    for _ in 0..rounds {
        for (row, took) in rows.iter().zip(&mut took) {
            first();
            took.push(row.run());
        }
    }
    took
}

/// The middle one.
pub fn median(took: &[Duration]) -> Duration {
    let mut sorted = took.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

/// Prints a Markdown table, each row beside the first.
pub fn table(title: &str, rows: &[Row], took: &[Vec<Duration>]) {
    println!("| {title} | median | fastest to slowest | of weir's |");
    println!("|---|---:|---:|---:|");
    let weir = median(&took[0]);
    for (row, took) in rows.iter().zip(took) {
        let ms = |took: Duration| format!("{:.1} ms", took.as_secs_f64() * 1_000.0);
        let (first, last) = (took.iter().min().unwrap(), took.iter().max().unwrap());
        let ratio = median(took).as_secs_f64() / weir.as_secs_f64();
        println!("| {} | {} | {} to {} | {ratio:.2} |", row.name, ms(median(took)), ms(*first), ms(*last));
    }
    println!();
}
