//! The graph that is measured: layers of 100 tasks, each task after three of the layer below, with a
//! folder of files of about 1 KiB and one output. weir and ninja get the same files, the same edges and
//! the same command.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const LAYER: usize = 100;

/// How large a graph is, and how weir is told of the files.
#[derive(Clone, Copy)]
pub struct Shape {
    pub tasks: usize,
    pub files: usize,
    /// Each task names its folder; otherwise each file in it.
    pub folders: bool,
}

impl Shape {
    pub fn describe(self) -> String {
        match self.tasks {
            1 => "1 task".into(),
            tasks => format!("{tasks} tasks, {} files", tasks * self.files),
        }
    }

    /// Writes the files of the graph, and what weir and ninja need to know of it.
    pub fn generate(self, at: &Path) {
        let mut weir = String::from("version = 1\n");
        let mut ninja = String::from("rule cp\n  command = cp $from $out\n");
        fs::create_dir(at.join("out")).unwrap();
        fs::create_dir(at.join("out-ninja")).unwrap();
        for number in 0..self.tasks {
            fs::create_dir_all(at.join(format!("src/t{number}"))).unwrap();
            for file in 0..self.files {
                let line = format!("line of file {file} of task {number}\n");
                fs::write(at.join(source(number, file)), line.repeat(1024 / line.len() + 1)).unwrap();
            }
            let before = before(number);
            weir += &self.task(number, &before);
            let _ = write!(ninja, "build out-ninja/t{number}: cp");
            for file in 0..self.files {
                let _ = write!(ninja, " {}", source(number, file));
            }
            for earlier in &before {
                let _ = write!(ninja, " out-ninja/t{earlier}");
            }
            let _ = writeln!(ninja, "\n  from = {}", source(number, 0));
        }
        let last: Vec<usize> = last(self.tasks).collect();
        let _ = write!(weir, "\n[tasks.all]\ndepends = [{}]\n", names(&last));
        ninja += "build all: phony";
        for number in last {
            let _ = write!(ninja, " out-ninja/t{number}");
        }
        ninja += "\n";
        fs::write(at.join("tasks.toml"), weir).unwrap();
        fs::write(at.join("build.ninja"), ninja).unwrap();
    }

    fn task(self, number: usize, before: &[usize]) -> String {
        let sources = if self.folders {
            format!("\"src/t{number}\"")
        } else {
            let all: Vec<String> = (0..self.files).map(|file| format!("\"{}\"", source(number, file))).collect();
            all.join(", ")
        };
        format!(
            "\n[tasks.t{number}]\nrun = \"cp {} out/t{number}\"\nsources = [{sources}]\n\
             outputs = [\"out/t{number}\"]\ndepends = [{}]\n",
            source(number, 0),
            names(before)
        )
    }

    /// Every file that a verdict depends on: sources and outputs.
    pub fn paths(self, at: &Path) -> Vec<PathBuf> {
        let sources = (0..self.tasks).flat_map(|number| (0..self.files).map(move |file| source(number, file)));
        let outputs = (0..self.tasks).map(|number| format!("out/t{number}"));
        sources.chain(outputs).map(|path| at.join(path)).collect()
    }

    /// The source that the last task copies.
    pub fn last_source(self, at: &Path) -> PathBuf {
        at.join(source(self.tasks - 1, 0))
    }
}

/// The tasks of the last layer, which nothing comes after.
pub fn last(tasks: usize) -> std::ops::Range<usize> {
    tasks.saturating_sub(LAYER)..tasks
}

/// A source of a task.
pub fn source(number: usize, file: usize) -> String {
    format!("src/t{number}/f{file}.txt")
}

/// The three tasks of the layer below that a task depends on.
pub fn before(number: usize) -> Vec<usize> {
    match (number / LAYER).checked_sub(1) {
        Some(below) => [0, 7, 31].iter().map(|step| below * LAYER + (number + step) % LAYER).collect(),
        None => vec![],
    }
}

fn names(numbers: &[usize]) -> String {
    let all: Vec<String> = numbers.iter().map(|number| format!("\"t{number}\"")).collect();
    all.join(", ")
}
