//! weir killed at random instants of a run of sixty tasks: the next run completes it, repeats nothing that was on
//! record, and no process is left.

use super::chance::Chance;
use super::{amount, report, seed};
use crate::support::{Workspace, wait_until};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use weir::cache::{Last, State};

const TASKS: usize = 60;
const SOURCES: usize = 12;

/// Sixty tasks of every kind, each on up to three of those before it.
fn tasks(chance: &mut Chance) -> (String, Vec<Vec<usize>>) {
    let mut text = String::new();
    let mut edges = Vec::new();
    for id in 0..TASKS {
        let mut before: Vec<usize> = (0..id.min(3)).map(|_| chance.below(id)).collect();
        before.sort_unstable();
        before.dedup();
        let names: Vec<String> = before.iter().map(|dep| format!("'t{dep}'")).collect();
        let read: String = before.iter().map(|dep| format!(" gen/t{dep}")).collect();
        // Written in two steps, with another process in between: there is a half to be found.
        text += &format!(
            "[tasks.t{id}]\nrun = 'echo half > gen/t{id}; /bin/echo x >> ../t{id}.ran; cat src/{source}{read} | cksum > gen/t{id}'\n\
             depends = [{}]\nsources = ['src/{source}']\n",
            names.join(", "),
            source = id % SOURCES,
        );
        if id % 4 != 3 {
            text += &format!("outputs = ['gen/t{id}']\n");
        }
        edges.push(before);
    }
    let all: Vec<String> = (0..TASKS).map(|id| format!("'t{id}'")).collect();
    text += &format!("[tasks.all]\ndepends = [{}]\n", all.join(", "));
    (text, edges)
}

fn edit(ws: &Workspace, source: usize, round: usize) {
    ws.write(&format!("src/{source}"), format!("{source} {round}\n"));
}

/// What everything must be, made by `cksum` itself in a folder of its own.
fn from_scratch(ws: &Workspace, edges: &[Vec<usize>]) -> Vec<String> {
    let fresh = tempfile::tempdir().unwrap();
    let mut script = String::from("set -e\n");
    for (id, before) in edges.iter().enumerate() {
        let read: String = before.iter().map(|dep| format!(" t{dep}")).collect();
        script += &format!("cat \"$0/src/{}\"{read} | cksum > t{id}\n", id % SOURCES);
    }
    let done = std::process::Command::new("sh").arg("-c").arg(script).arg(ws.root()).current_dir(&fresh).status();
    assert!(done.unwrap().success());
    (0..edges.len()).map(|id| fs::read_to_string(fresh.path().join(format!("t{id}"))).unwrap()).collect()
}

/// What is on record as a success: task and key.
fn on_record(ws: &Workspace) -> Vec<Option<String>> {
    let state = State::read(&ws.path(".weir/state")).map(|(state, _, trouble)| {
        assert_eq!(trouble, None, "a kill is no damage");
        state
    });
    let state = state.unwrap();
    let good = |id| match state.last(&format!("t{id}")) {
        Some(Last::Good(recorded)) => Some(recorded.key.to_hex()),
        _ => None,
    };
    (0..TASKS).map(good).collect()
}

/// Processes that work below `folder`.
pub fn processes_below(folder: &Path) -> Vec<String> {
    let all = fs::read_dir("/proc").map(|all| all.flatten().map(|entry| entry.path()).collect::<Vec<_>>());
    let below = |process: &Path| fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
    let shown = |process: &Path| fs::read_to_string(process.join("cmdline")).unwrap_or_default().replace('\0', " ");
    all.unwrap_or_default().iter().filter(|process| below(process)).map(|process| shown(process)).collect()
}

#[test]
fn a_kill_at_any_instant_costs_only_what_was_not_on_record() {
    let seed = seed("kills");
    let mut chance = Chance::new(seed);
    let (text, edges) = tasks(&mut chance);
    let ws = Workspace::new(&text);
    fs::create_dir(ws.path("gen")).unwrap();
    (0..SOURCES).for_each(|source| edit(&ws, source, 0));
    let began = Instant::now();
    let mut whole = Duration::ZERO;
    let rounds = amount(6, 300);
    let (mut midway, mut kept, mut repeated) = (0, 0, 0);
    for round in 0..rounds {
        // Everything anew in the first round, then a part.
        for source in 0..SOURCES {
            if round == 0 || chance.percent(20) {
                edit(&ws, source, round);
            }
        }
        let before = on_record_or_nothing(&ws);
        let mut weir = ws.weir(&["run", "all", "-j4"]).spawn();
        if round == 0 {
            let started = Instant::now();
            wait_until("it ends", || weir.has_ended());
            whole = started.elapsed();
        } else {
            let instant = Instant::now() + whole * u32::try_from(chance.below(1000)).unwrap() / 1000;
            while Instant::now() < instant && !weir.has_ended() {
                std::thread::yield_now();
            }
            midway += usize::from(!weir.has_ended());
        }
        let pid = weir.pid();
        weir.kill();
        let recorded = on_record(&ws);
        let runs: Vec<usize> = (0..TASKS).map(|id| ws.count(&format!("t{id}"))).collect();
        let ran = ws.run("all -j4");
        let shown = || format!("seed {seed}, round {round}: {}", ran.shown());
        for (id, key) in recorded.iter().enumerate() {
            let name = format!("t{id}");
            // What it was recorded under still holds.
            if key.as_deref() == Some(&ran.key(&name)) {
                kept += usize::from(before[id] != *key);
                assert_ne!(ran.outcome(&name), "ran", "{name} was on record: {}", shown());
                assert_eq!(ws.count(&name), runs[id], "{}", shown());
            } else {
                // Its result may have been stored already when its record was not.
                repeated += usize::from(ran.outcome(&name) == "ran");
            }
        }
        for (id, wanted) in from_scratch(&ws, &edges).iter().enumerate() {
            assert_eq!(&ws.read(&format!("gen/t{id}")), wanted, "t{id}: {}", shown());
        }
        // Whom the run before left was ended before this one ran a thing; its own guard may take a moment.
        wait_until(&format!("nothing is left of {pid} and the run after it"), || {
            processes_below(&ws.root()).is_empty()
        });
        let folders: BTreeSet<_> = ws.files("gen").into_iter().collect();
        assert_eq!(folders.len(), TASKS, "something is left among the outputs");
    }
    report(&format!(
        "{rounds} kills, {midway} of them in the middle of a run of {TASKS} tasks: {kept} results of the killed runs were kept, \
         {repeated} tasks ran again, {:.1?}",
        began.elapsed()
    ));
}

fn on_record_or_nothing(ws: &Workspace) -> Vec<Option<String>> {
    if ws.exists(".weir/state/journal") { on_record(ws) } else { vec![None; TASKS] }
}
