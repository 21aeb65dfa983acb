//! Eight weirs on one workspace at once, with edits between rounds: each task runs once for each state that is
//! needed, outputs are right, nobody hangs.

use super::chance::Chance;
use super::{amount, report, seed};
use crate::support::{Running, Workspace};
use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;

const TASKS: usize = 14;
const SOURCES: usize = 5;
const WEIRS: usize = 8;

/// Tasks of all cacheable kinds, on those before them; the last one always runs.
fn tasks(chance: &mut Chance) -> (String, Vec<Vec<usize>>) {
    let (mut text, mut edges) = (String::new(), Vec::new());
    for id in 0..TASKS {
        let before = if id == 0 { vec![] } else { chance.some(&(0..id).collect::<Vec<_>>(), 20) };
        let names: Vec<String> = before.iter().map(|dep| format!("'t{dep}'")).collect();
        let read: String = before.iter().map(|dep| format!(" gen/t{dep}")).collect();
        let source = id % SOURCES;
        let last = id == TASKS - 1;
        let declared = match id % 3 {
            _ if last => "locks = ['one']\n".to_owned(),
            0 | 1 => format!("sources = ['src/{source}']\noutputs = ['gen/t{id}']\n"),
            _ => format!("sources = ['src/{source}']\n"),
        };
        text += &format!(
            "[tasks.t{id}]\nrun = 'mkdir ../busy.{id}; echo half > gen/t{id}; echo x >> ../t{id}.ran; echo t{id} | cat - src/{source}{read} > gen/t{id}; rmdir ../busy.{id}'\n\
             depends = [{}]\n{declared}",
            names.join(", "),
        );
        edges.push(before);
    }
    (text, edges)
}

fn closure(edges: &[Vec<usize>], targets: &[usize]) -> BTreeSet<usize> {
    let mut all = BTreeSet::new();
    let mut open = targets.to_vec();
    while let Some(id) = open.pop() {
        if all.insert(id) {
            open.extend(&edges[id]);
        }
    }
    all
}

#[test]
fn eight_at_once_run_each_task_once_for_each_state() {
    let seed = seed("together");
    let mut chance = Chance::new(seed);
    let (text, edges) = tasks(&mut chance);
    let ws = Workspace::new(&text);
    fs::create_dir(ws.path("gen")).unwrap();
    let mut sources: Vec<String> = (0..SOURCES).map(|source| format!("{source} first\n")).collect();
    let content = |sources: &[String]| {
        let mut all: Vec<String> = Vec::new();
        for (id, before) in edges.iter().enumerate() {
            let read: String = before.iter().map(|dep| all[*dep].clone()).collect();
            all.push(format!("t{id}\n{}{read}", sources[id % SOURCES]));
        }
        all
    };
    // What each task was made of last, where it was made at all.
    let mut made: Vec<Option<String>> = vec![None; TASKS];
    let (began, rounds) = (Instant::now(), amount(4, 60));
    let (mut needed, mut shared) = (0, 0);
    for round in 0..rounds {
        for (number, source) in sources.iter_mut().enumerate() {
            // Never the same again: each state is new.
            if chance.percent(40) {
                *source = format!("{number} {round}\n");
            }
            ws.write(&format!("src/{number}"), &*source);
        }
        let wanted = content(&sources);
        let before: Vec<usize> = (0..TASKS).map(|id| ws.count(&format!("t{id}"))).collect();
        let same: Vec<usize> = chance.some(&(0..TASKS).collect::<Vec<_>>(), 30);
        let calls: Vec<Vec<usize>> = (0..WEIRS)
            .map(|weir| match weir % 2 {
                0 if !same.is_empty() => same.clone(),
                _ => vec![chance.below(TASKS), chance.below(TASKS)],
            })
            .collect();
        let started: Vec<Running> = calls
            .iter()
            .map(|targets| {
                let names: Vec<String> = targets.iter().map(|id| format!("t{id}")).collect();
                let words: Vec<&str> = ["run", "-j2"].into_iter().chain(names.iter().map(String::as_str)).collect();
                ws.weir(&words).spawn()
            })
            .collect();
        let ended: Vec<_> = started.into_iter().map(Running::end).collect();
        let shown =
            || format!("seed {seed}, round {round}:\n{}", ended.iter().map(|ran| ran.shown()).collect::<String>());
        for ran in &ended {
            assert_eq!((ran.code, ran.told()), (0, vec![]), "{}", shown());
        }
        let asked: Vec<BTreeSet<usize>> = calls.iter().map(|targets| closure(&edges, targets)).collect();
        for id in 0..TASKS {
            let callers = asked.iter().filter(|plan| plan.contains(&id)).count();
            let new = callers > 0 && made[id].as_ref() != Some(&wanted[id]);
            let runs = if id == TASKS - 1 { callers } else { usize::from(new) };
            assert_eq!(ws.count(&format!("t{id}")) - before[id], runs, "t{id}, asked for by {callers}: {}", shown());
            needed += runs;
            shared += callers;
            if callers > 0 {
                assert_eq!(ws.read(&format!("gen/t{id}")), wanted[id], "t{id}: {}", shown());
                made[id] = Some(wanted[id].clone());
            }
        }
    }
    report(&format!(
        "{rounds} rounds of {WEIRS} weirs at once: {shared} times a task was asked for, {needed} times one ran, {:.1?}",
        began.elapsed()
    ));
}
