//! Each call by which weir changes its workspace fails, is done by half, or is its last: no wrong skip ever.

use super::chance::Chance;
use super::supervisor::{Act, Answer, supervise};
use super::{amount, report, seed};
use crate::support::{Ran, Workspace};
use nix::libc::{EIO, ENOSPC};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Tasks of each kind. They write, and fail where they are told to.
const TASKS: &str = "
[tasks.out]
run = 'cp in a.out; echo out of $(cat in); test ! -e ../fails'
sources = ['in']
outputs = ['a.out']
[tasks.tree]
run = 'rm -rf tree; mkdir tree; cp in tree/$(cat in); test ! -e ../fails'
sources = ['in']
outputs = ['tree']
[tasks.verdict]
run = 'echo verdict on $(cat in); test ! -e ../fails'
sources = ['in']
outputs = []
[tasks.unknown]
run = 'cp in b.out; test ! -e ../fails'
sources = ['in']
[tasks.wipe]
run = 'cp in wiped'
reset = true
[tasks.after]
run = 'cat a.out b.out > c.out'
sources = []
outputs = ['c.out']
depends = ['out', 'unknown']
[tasks.made]
run = 'cat wiped > made'
sources = []
outputs = ['made']
wait_for = ['wipe']
[tasks.all]
depends = ['after', 'verdict', 'tree']
";

const CACHEABLE: &str = "out fresh, tree fresh, verdict fresh, unknown fresh, after fresh";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// No space from this call on.
    Full,
    /// The same, after half of this one was written.
    HalfThenFull,
    /// This one fails, and no other.
    Once,
    /// This one and all that come after it.
    Broken,
    /// weir is killed in front of it.
    Kill,
}

const FAULTS: [Fault; 5] = [Fault::Full, Fault::HalfThenFull, Fault::Once, Fault::Broken, Fault::Kill];

impl Fault {
    fn answer(self, act: Act, call: usize, at: usize) -> Answer {
        match self {
            _ if call < at => Answer::GoOn,
            Self::HalfThenFull if call == at => Answer::Half(ENOSPC),
            Self::Full | Self::HalfThenFull if act == Act::Grows => Answer::Fail(ENOSPC),
            Self::Full | Self::HalfThenFull => Answer::GoOn,
            Self::Once if call > at => Answer::GoOn,
            Self::Once | Self::Broken => Answer::Fail(EIO),
            Self::Kill => Answer::Kill,
        }
    }
}

/// Three results are on record; the last one is that of `AAAA`.
fn prepared() -> Workspace {
    let ws = Workspace::new(TASKS);
    for input in ["BBBB", "AAAA"] {
        ws.write("in", input);
        ws.run("wipe all made");
    }
    ws
}

/// weir with `fault` at its call number `at`; how many calls it made.
fn faulty(ws: &Workspace, words: &[&str], fault: Option<(Fault, usize)>) -> (Ran, usize) {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_weir")).canonicalize().unwrap();
    let root = ws.root().canonicalize().unwrap();
    let mut calls = 0;
    let words: Vec<&str> = ["run", "-j1"].iter().chain(words).copied().collect();
    let running = supervise(
        (&program, &root),
        || ws.weir(&words).spawn(),
        |act, _: &Path| {
            calls += 1;
            fault.map_or(Answer::GoOn, |(fault, at)| fault.answer(act, calls - 1, at))
        },
    );
    (running.end(), calls)
}

fn is_right(ws: &Workspace, ran: &Ran, what: &str) {
    let input = ws.read("in");
    let left = [ws.read("a.out"), ws.read("b.out"), ws.read("c.out")];
    assert_eq!(left, [input.clone(), input.clone(), input.repeat(2)], "{what}: {}", ran.shown());
    assert_eq!(ws.files("tree"), [format!("tree/{input}")], "{what}: {}", ran.shown());
}

/// What a task said is said again with its result; not where the disk has no room for the run's own copy.
fn is_told(ws: &Workspace, ran: &Ran, what: &str) {
    let input = ws.read("in");
    assert!(ran.out.contains(&format!("verdict on {input}\n")), "{what}: {}", ran.shown());
}

/// A faulty run, and then runs with nothing wrong.
fn suffer(ws: &Workspace, fault: Option<(Fault, usize)>, chance: &mut Chance) -> usize {
    let middle = *chance.of(&["AAAA", "BBBB", "CCCC"]);
    let (fails, wiped) = (chance.percent(40), chance.percent(30));
    let mut words = vec!["all", "made"];
    if wiped {
        words.insert(0, "wipe");
    }
    if middle == "AAAA" || chance.percent(20) {
        words.insert(0, "-f");
    }
    let last = *chance.of(&["AAAA", "AAAA", "BBBB", middle]);
    let what = format!("{fault:?}, {words:?} with {middle} (fails: {fails}), then {last}");
    ws.write("in", middle);
    if fails {
        fs::write(ws.outside("fails"), "").unwrap();
    }
    let (ran, calls) = faulty(ws, &words, fault);
    let killed = matches!(fault, Some((Fault::Kill, at)) if at < calls);
    let expected: &[i32] = if killed { &[137] } else { &[0, 1] };
    assert!(expected.contains(&ran.code), "{what}: {}", ran.shown());
    if ran.code == 0 {
        is_right(ws, &ran, &what);
    }
    if fails {
        fs::remove_file(ws.outside("fails")).unwrap();
        assert_ne!(ran.code, 0, "{what}: {}", ran.shown());
    }
    ws.write("in", last);
    let next = ws.run("all made");
    is_right(ws, &next, &what);
    is_told(ws, &next, &what);
    // What was made of the state before the reset does not count after it.
    let wiped = ws.read("wiped");
    assert_eq!(ws.read("made"), wiped, "{what}: {}\n{}", ran.shown(), next.shown());
    let again = ws.run("all made").tasks(CACHEABLE).tasks("made fresh");
    is_right(ws, &again, &what);
    is_told(ws, &again, &what);
    calls
}

#[test]
fn a_lock_that_can_not_be_looked_at_is_not_waited_for() {
    let ws = prepared();
    ws.write("in", "CCCC");
    let program = PathBuf::from(env!("CARGO_BIN_EXE_weir")).canonicalize().unwrap();
    let root = ws.root().canonicalize().unwrap();
    let runs = root.join(".weir/runs");
    // The run takes its lock, and then looks whether an earlier one is still ending something: at its own as well.
    for wrong in 1..10 {
        let mut looks = 0;
        let running = supervise(
            (&program, &root),
            || ws.weir(&["run", "-j1", "-f", "all", "made"]).spawn(),
            |_, path: &Path| {
                looks += usize::from(path.starts_with(&runs) && path.ends_with("lock"));
                if looks == wrong && path.ends_with("lock") { Answer::Fail(EIO) } else { Answer::GoOn }
            },
        );
        let ran = running.end();
        assert!([0, 1].contains(&ran.code), "look {wrong} of {looks}: {}", ran.shown());
        if ran.code == 0 {
            is_right(&ws, &ran, "a look at a lock");
        }
    }
}

#[test]
fn no_call_of_the_system_that_fails_makes_it_skip_wrongly() {
    let seed = seed("faults");
    let mut chance = Chance::new(seed);
    let ws = prepared();
    let saved = ws.weir_contents();
    let began = Instant::now();
    let back = || {
        fs::remove_dir_all(ws.path(".weir")).unwrap();
        saved.iter().for_each(|(file, data)| ws.write(file, data));
        ["a.out", "b.out", "wiped", "made", "tree/AAAA"].iter().for_each(|file| ws.write(file, "AAAA"));
        ws.write("c.out", "AAAAAAAA");
        for other in ["tree/BBBB", "tree/CCCC"].iter().filter(|file| ws.exists(file)) {
            ws.remove(other);
        }
    };
    // The most calls that one makes.
    let most = (0..4)
        .map(|_| {
            let calls = suffer(&ws, None, &mut chance);
            back();
            calls
        })
        .max()
        .unwrap();
    assert!(most > 40, "only {most} calls are seen");
    let (mut cases, mut met) = (0, 0);
    // In full each call is met, in one way; five times as much meets it in all of them.
    let (all, first) = (amount(10, most), chance.below(FAULTS.len()));
    for case in 0..all {
        let (at, fault) = match all < most {
            true => (chance.below(most), *chance.of(&FAULTS)),
            false => (case % most, FAULTS[(case % most + case / most + first) % FAULTS.len()]),
        };
        println!("call {at}: {fault:?}");
        met += usize::from(suffer(&ws, Some((fault, at)), &mut chance) > at);
        back();
        cases += 1;
    }
    report(&format!("{cases} faults at {most} calls, {met} of them met, {:.1?}", began.elapsed()));
}
