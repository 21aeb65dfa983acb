//! Law 19 over random graphs: killed at any instant and resumed until it is green, a run leaves what one from scratch leaves, and
//! no task that had succeeded in the chain runs again unless something upstream of it changed or ran again.

use crate::support::{Running, Workspace};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

/// Kinds of tasks: how they declare themselves, and whether they read a source.
const KINDS: [(&str, bool); 6] = [
    ("sources = ['src/N']\noutputs = ['out/N']", true),
    ("sources = ['src/N']", true),
    ("", false),
    ("sources = ['src/N']\noutputs = ['out/N']\ncache = false", true),
    ("reset = true", false),
    ("sources = ['src/N']\ncache = false", true),
];

#[derive(Debug, Clone)]
struct Task {
    kind: usize,
    /// Earlier tasks it depends on.
    on: BTreeSet<usize>,
}

#[derive(Debug, Clone)]
struct Case {
    tasks: Vec<Task>,
    /// For each run: after how many starts it is killed, and whose source is changed then.
    kills: Vec<(usize, Option<usize>)>,
}

fn some_case() -> impl Strategy<Value = Case> {
    let tasks = (2..7usize).prop_flat_map(|count| {
        let all: Vec<_> = (0..count)
            .map(|index| {
                let on = proptest::collection::btree_set(0..index.max(1), 0..3.min(index + 1));
                (0..KINDS.len(), on)
                    .prop_map(move |(kind, on)| Task { kind, on: on.into_iter().filter(|o| *o < index).collect() })
            })
            .collect();
        all
    });
    let kill = (1..5usize, proptest::option::weighted(0.3, 0..6usize));
    (tasks, proptest::collection::vec(kill, 1..4)).prop_map(|(tasks, kills)| Case { tasks, kills })
}

fn tasks_toml(tasks: &[Task]) -> String {
    let mut text = String::new();
    for (index, task) in tasks.iter().enumerate() {
        let (declared, reads) = KINDS[task.kind];
        let mut from = if reads { format!("src/{index}") } else { String::new() };
        task.on.iter().for_each(|on| write!(from, " out/{on}").unwrap());
        let on: Vec<String> = task.on.iter().map(|on| format!("'t{on}'")).collect();
        let declared = declared.replace('N', &index.to_string());
        write!(
            text,
            "[tasks.t{index}]\nrun = 'echo {index} >> ../all.ran; mkdir -p out; cat /dev/null {from} > new{index}; echo {index} >> new{index}; mv new{index} out/{index}'\n{declared}\ndepends = [{}]\n",
            on.join(", ")
        )
        .unwrap();
    }
    let all: Vec<String> = (0..tasks.len()).map(|index| format!("'t{index}'")).collect();
    text + &format!("[tasks.all]\ndepends = [{}]\n", all.join(", "))
}

/// What each task leaves in a run from scratch.
fn expected(tasks: &[Task], sources: &BTreeMap<usize, String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for (index, task) in tasks.iter().enumerate() {
        let own = if KINDS[task.kind].1 { sources[&index].clone() } else { String::new() };
        let from: String = task.on.iter().map(|on| all[*on].clone()).collect();
        all.push(format!("{own}{from}{index}\n"));
    }
    all
}

/// What is above each task.
fn above(tasks: &[Task]) -> Vec<BTreeSet<usize>> {
    let mut all: Vec<BTreeSet<usize>> = Vec::new();
    for task in tasks {
        let mut own = task.on.clone();
        task.on.iter().for_each(|on| own.extend(all[*on].clone()));
        all.push(own);
    }
    all
}

/// The tasks that the newest run started, and those that it says succeeded; none where that is `known` already: the last one
/// was killed before it had a folder.
fn newest_run(ws: &Workspace, known: &mut Option<PathBuf>) -> (BTreeSet<usize>, BTreeSet<usize>) {
    let runs = fs::read_dir(ws.path(".weir/runs")).map(|all| all.flatten().map(|entry| entry.path()).max());
    let Some(newest) = runs.ok().flatten().filter(|newest| known.as_ref() != Some(newest)) else {
        return Default::default();
    };
    *known = Some(newest.clone());
    let text = fs::read_to_string(newest.join("events.jsonl")).unwrap_or_default();
    let events: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let number = |event: &Value| event["task"].as_str().and_then(|task| task.strip_prefix('t')?.parse().ok());
    let of = |is: &dyn Fn(&Value) -> bool| events.iter().filter(|event| is(event)).filter_map(number).collect();
    (of(&|event| event["event"] == "task_started"), of(&|event| event["outcome"] == "ran"))
}

/// What all runs tell.
fn all_runs(ws: &Workspace) -> String {
    let mut runs: Vec<_> = fs::read_dir(ws.path(".weir/runs")).unwrap().flatten().map(|entry| entry.path()).collect();
    runs.sort();
    let told = |run: &PathBuf| fs::read_to_string(run.join("events.jsonl")).unwrap_or_default();
    runs.iter().map(|run| format!("{}\n{}", run.display(), told(run))).collect()
}

/// Lets it start so many tasks, and kills it; whether it was over before.
fn cut(ws: &Workspace, mut weir: Running, starts: usize) -> bool {
    let before = ws.count("all");
    crate::support::wait_until("it starts tasks, or ends", || ws.count("all") >= before + starts || weir.has_ended());
    let over = weir.has_ended();
    weir.kill();
    over
}

fn holds(case: &Case) {
    let ws = Workspace::new(&tasks_toml(&case.tasks));
    let mut sources: BTreeMap<usize, String> =
        (0..case.tasks.len()).map(|index| (index, format!("s{index}\n"))).collect();
    sources.iter().for_each(|(index, text)| ws.write(&format!("src/{index}"), text));
    let above = above(&case.tasks);
    let mut done: BTreeSet<usize> = BTreeSet::new();
    let mut call: &[&str] = &["run", "all"];
    // What a run did, held against what had succeeded before it.
    let mut known = None;
    let mut judge = |done: &mut BTreeSet<usize>| {
        let (started, succeeded) = newest_run(&ws, &mut known);
        for task in &started {
            let why = above[*task].iter().any(|up| started.contains(up));
            assert!(!done.contains(task) || why, "t{task} ran twice in the chain: {case:?}\n{}", all_runs(&ws));
        }
        // What follows one that ran again may run again, if not in this run then in a later one.
        done.retain(|task| !started.contains(task) && !above[*task].iter().any(|up| started.contains(up)));
        done.extend(succeeded);
    };
    for (starts, edit) in &case.kills {
        if cut(&ws, ws.weir(call).spawn(), *starts) {
            // Green already.
            break;
        }
        judge(&mut done);
        if let Some(index) = edit.filter(|index| *index < case.tasks.len()) {
            // What was killed may still be ending: it must not read half of this.
            ws.rename(&format!("src/{index}"), &format!("old{index}"));
            let text = format!("{}+", sources[&index].trim_end());
            sources.insert(index, text.clone() + "\n");
            ws.write(&format!("src/{index}"), text + "\n");
            done.retain(|task| *task != index && !above[*task].contains(&index));
        }
        call = &["run", "--resume"];
    }
    let last = ws.weir(call).go();
    if last.code == 2 {
        // It was killed before it had run anything, or when all was done.
        last.says("resume");
        ws.run("all");
    } else {
        last.success();
        judge(&mut done);
    }
    let found: Vec<String> = (0..case.tasks.len()).map(|index| ws.read(&format!("out/{index}"))).collect();
    assert_eq!(found, expected(&case.tasks, &sources), "{case:#?}");
}

#[test]
fn killed_anywhere_and_resumed_until_green() {
    let cases = std::env::var("WEIR_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(24);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 20, ..Config::default() };
    TestRunner::new(config)
        .run(&some_case(), |case| {
            holds(&case);
            Ok(())
        })
        .unwrap();
}
