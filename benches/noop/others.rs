//! The graph in the hands of every runner that is found: all to be done, nothing to be done, all outputs gone. That each
//! does what a case is about is verified before it is measured, by counting how often `cp` is started.

use crate::graph::Shape;
use crate::measure::{Row, ms, ratio};
use crate::peers::{Peer, find};
use crate::{WEIR, read_sources, set_aside, workspace};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use tempfile::TempDir;

/// How often a command is run and counted, at most, and how long that may take.
const ROUNDS: usize = 5;
const TIME: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Cold,
    Noop,
    Restore,
}

impl Case {
    const fn describe(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Noop => "nothing to do",
            Self::Restore => "outputs deleted",
        }
    }
}

/// A runner with a workspace of its own.
struct Runner {
    name: &'static str,
    folder: TempDir,
    /// `HOME`, and beside it what is counted.
    home: TempDir,
    /// None: weir itself.
    peer: Option<Peer>,
    /// What there was before its first run: all else is its own.
    given: BTreeSet<String>,
}

/// A command that does what its case is about.
struct Verified {
    row: Row,
    rounds: usize,
    peak: f64,
}

/// Prints a table of all runners that are found.
pub fn beside_others(shape: Shape) {
    let names = ["weir", "ninja", "make", "just", "go-task", "doit", "mise", "turbo", "wireit", "nx"];
    let runners: Vec<Rc<Runner>> = names.iter().filter_map(|name| Runner::set_up(name, shape)).map(Rc::new).collect();
    println!(
        "\n| {} | command | runs | median | fastest to slowest | beside weir | largest process |",
        shape.describe()
    );
    println!("|---|---|---:|---:|---:|---:|---:|");
    for case in [Case::Cold, Case::Noop, Case::Restore] {
        let mut all: Vec<Verified> = runners.iter().filter_map(|runner| verified(runner, case, shape)).collect();
        // Those that were just verified are warm, and one more turn of the slow ones takes minutes.
        for one in all.iter().filter(|one| one.rounds == ROUNDS) {
            let _ = one.row.run();
        }
        for round in 0..ROUNDS {
            all.iter_mut().filter(|one| round < one.rounds).for_each(|one| one.row.count());
        }
        if case == Case::Noop {
            // The run that was verified was the first after the cold one, and may have had more to look at.
            all.iter_mut().filter(|one| one.rounds == ROUNDS).for_each(|one| one.peak = one.row.peak());
        }
        for one in &all {
            let (fastest, slowest) = one.row.range();
            println!(
                "| {} | {} | {} | {} | {} to {} | {:.1} | {:.0} MiB |",
                case.describe(),
                one.row.name,
                one.row.rounds(),
                ms(one.row.median()),
                ms(fastest),
                ms(slowest),
                ratio(&one.row, &all[0].row),
                one.peak
            );
        }
    }
}

/// A runner's command, if it starts every `cp` where all is to be done, and else none. Says why not on stderr.
fn verified(runner: &Rc<Runner>, case: Case, shape: Shape) -> Option<Verified> {
    let row = runner.row(case);
    runner.count_copies(true);
    let done = row.try_run();
    let copies = runner.copies();
    runner.count_copies(false);
    let outputs = fs::read_dir(runner.folder.path().join(runner.output())).map_or(0, Iterator::count);
    let wanted = if case == Case::Cold { shape.tasks } else { 0 };
    let no_row = |why: String| eprintln!("{}, {}: {why}: no row", runner.name, case.describe());
    match done {
        Err(said) => no_row(format!("it failed: {said}")),
        Ok(_) if copies != wanted => no_row(format!("it ran {copies} commands, and not {wanted}")),
        Ok(_) if outputs != shape.tasks => no_row(format!("{outputs} outputs are there, and not {}", shape.tasks)),
        Ok((took, peak)) => {
            let fitting = TIME.as_millis() / took.as_millis().max(1);
            let rounds = usize::try_from(fitting).map_or(ROUNDS, |fitting| fitting.clamp(1, ROUNDS));
            return Some(Verified { row, rounds, peak });
        }
    }
    None
}

/// The variables that a peer is started with: `bin` of the workspace is first on PATH.
pub fn environment(peer: &Peer, at: &Path) -> Vec<(String, String)> {
    let mut variables = peer.environment(at);
    variables.push(path_of(at));
    variables
}

fn path_of(at: &Path) -> (String, String) {
    let path = std::env::var("PATH").unwrap_or_default();
    ("PATH".into(), format!("{}:{path}", at.join("bin").display()))
}

impl Runner {
    /// None: it is not on this machine.
    fn set_up(name: &'static str, shape: Shape) -> Option<Self> {
        let peer = match name {
            "weir" => None,
            other => Some(find(other)?),
        };
        let folder = workspace(shape);
        fs::create_dir_all(folder.path().join("bin")).unwrap();
        if let Some(peer) = &peer {
            peer.describe(shape, folder.path());
        }
        let home = tempfile::tempdir().unwrap();
        let given = names_in(folder.path());
        let runner = Self { name, folder, home, peer, given };
        runner.count_copies(false);
        Some(runner)
    }

    /// The command of a case.
    fn row(self: &Rc<Self>, case: Case) -> Row {
        let at = self.folder.path();
        let (words, mut variables) = match &self.peer {
            Some(peer) => (peer.command(), environment(peer, at)),
            None => (vec![WEIR, "run", "all"], vec![path_of(at)]),
        };
        variables.push(("HOME".into(), self.home.path().to_string_lossy().into_owned()));
        let row = Row::new(self.name, at, &words).with(variables);
        let runner = Rc::clone(self);
        match case {
            Case::Cold => row.after(Box::new(move || {
                runner.forget();
                read_sources(runner.folder.path());
            })),
            Case::Noop => row,
            Case::Restore => row.after(Box::new(move || set_aside(runner.folder.path(), &[runner.output()]))),
        }
    }

    /// Where its outputs are.
    const fn output(&self) -> &'static str {
        match &self.peer {
            Some(peer) => peer.output,
            None => "out",
        }
    }

    /// Takes away its outputs, and all it has left in the workspace.
    fn forget(&self) {
        let names = names_in(self.folder.path());
        let own: Vec<&str> = names.difference(&self.given).map(String::as_str).chain([self.output()]).collect();
        set_aside(self.folder.path(), &own);
    }

    /// From now on each start of `cp` is counted, or none.
    fn count_copies(&self, count: bool) {
        let at = self.folder.path().join("bin/cp");
        let (real, counted) = (program("cp"), self.counted());
        let _ = fs::remove_file(&at);
        let _ = fs::remove_file(&counted);
        if count {
            let script = format!("#!/bin/sh\necho x >> '{}'\nexec '{}' \"$@\"\n", counted.display(), real.display());
            fs::write(&at, script).unwrap();
            fs::set_permissions(&at, fs::Permissions::from_mode(0o755)).unwrap();
        } else {
            symlink(real, at).unwrap();
        }
    }

    fn copies(&self) -> usize {
        fs::read_to_string(self.counted()).map_or(0, |text| text.lines().count())
    }

    fn counted(&self) -> PathBuf {
        self.home.path().join("copies")
    }
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A program on PATH.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("`{name}` is not on PATH"))
}
