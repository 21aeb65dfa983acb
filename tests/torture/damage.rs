//! What lies in `.weir` cut at any length and flipped at any bit: never an error, never a wrong skip, on the run
//! that meets it and on the one after.

use super::chance::Chance;
use super::{amount, report, seed};
use crate::support::{Ran, Workspace, wait_until};
use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;
use weir::cache::{Last, State};
use weir::journal::Trouble;

/// Tasks of each kind; all copy what they read and say so.
const TASKS: &str = "
[tasks.out]
run = 'echo x >> ../out.ran; cp in a.out; echo out copied $(cat in)'
sources = ['in']
outputs = ['a.out']
[tasks.verdict]
run = 'echo x >> ../verdict.ran; echo verdict on $(cat in)'
sources = ['in']
outputs = []
[tasks.unknown]
run = 'echo x >> ../unknown.ran; cp in b.out; echo unknown copied $(cat in)'
sources = ['in']
[tasks.after]
run = 'echo x >> ../after.ran; cat a.out b.out > c.out'
sources = []
outputs = ['c.out']
depends = ['out', 'unknown']
[tasks.all]
depends = ['after', 'verdict']
";

/// Results for two inputs are on record, and the first one is back: the worst that an old record can do is to be
/// taken for the last one.
fn prepared() -> Workspace {
    let ws = Workspace::new(TASKS);
    for input in ["AAAA", "BBBB"] {
        ws.write("in", input);
        ws.run("all");
    }
    ws.write("in", "AAAA");
    ws
}

fn is_right(ws: &Workspace, ran: &Ran, what: &str) {
    assert_eq!(ran.code, 0, "{what}: {}", ran.shown());
    let input = ws.read("in");
    let left = [ws.read("a.out"), ws.read("b.out"), ws.read("c.out")];
    assert_eq!(left, [input.clone(), input.clone(), input.repeat(2)], "{what}: {}", ran.shown());
    for line in ["out copied ", "verdict on ", "unknown copied "] {
        assert!(ran.out.contains(&format!("{line}{input}\n")), "{what}: {}", ran.shown());
    }
}

/// The run that meets the damage, and the one after it, which has nothing to do.
fn goes_well(ws: &Workspace, what: &str) {
    let first = ws.try_run("all");
    is_right(ws, &first, what);
    assert!(first.told().len() <= 1, "{what}: {:?}", first.told());
    let second = ws.try_run("all");
    is_right(ws, &second, &format!("{what}, second run"));
    assert_eq!(second.told(), [], "{what}, second run");
    second.tasks("out fresh, verdict fresh, unknown fresh, after fresh");
}

fn overwrite(ws: &Workspace, file: &str, data: &[u8]) {
    ws.chmod(file, 0o644);
    ws.write(file, data);
}

/// `data` cut or with a bit flipped, at random.
fn damaged(data: &[u8], chance: &mut Chance) -> (String, Vec<u8>) {
    let at = chance.below(data.len());
    if chance.percent(50) {
        return (format!("cut at {at}"), data[..at].to_vec());
    }
    let bit = chance.below(8);
    let mut flipped = data.to_vec();
    flipped[at] ^= 1 << bit;
    (format!("bit {bit} of byte {at} flipped"), flipped)
}

#[test]
fn the_journal_of_a_real_run_cut_at_every_length_and_flipped_at_every_byte() {
    let seed = seed("journal");
    let mut chance = Chance::new(seed);
    let ws = prepared();
    let folder = ws.path(".weir/state");
    let journal = folder.join("journal");
    let whole = fs::read(&journal).unwrap();
    let names = ["out", "verdict", "unknown", "after"];
    let (last, _, trouble) = State::open(&folder).unwrap();
    assert_eq!(trouble, None);
    let born = last.incarnation("r");
    let began = Instant::now();
    let step = amount(13, 1).min(13);
    let mut cases = 0;
    for at in (0..whole.len()).step_by(step) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << chance.below(8);
        for (what, data) in [("cut", &whole[..at]), ("flipped", &flipped)] {
            fs::write(&journal, data).unwrap();
            let looking = State::read(&folder).unwrap();
            let first = State::open(&folder).unwrap();
            let second = State::open(&folder).unwrap();
            assert_eq!((first.2, second.2), (Some(Trouble::Damaged), None), "{what} at {at}, seed {seed}");
            for (state, who) in [(&looking.0, "looking"), (&first.0, "first"), (&second.0, "second")] {
                for name in names {
                    let known = state.last(name);
                    let stale = known.is_some_and(|known| last.last(name) != Some(known));
                    assert!(!stale, "{what} at {at}: {who} takes an old record of {name} for the last");
                    let trusts = state.trusts_shared(name) && !matches!(known, Some(Last::Good(_)));
                    assert!(!trusts, "{what} at {at}: {who} trusts {name}");
                }
                assert_ne!(state.incarnation("r"), born, "{what} at {at}: {who}");
            }
            assert_eq!(first.0.incarnation("r"), second.0.incarnation("r"));
            cases += 1;
        }
    }
    report(&format!("{cases} damages to a journal of {} bytes, {:.1?}", whole.len(), began.elapsed()));
}

/// Damages files below `part` and runs, so many times.
fn damage_to(part: &str, little: usize, full: usize) {
    let seed = seed(part);
    let mut chance = Chance::new(seed);
    let ws = prepared();
    let saved = ws.weir_contents();
    let began = Instant::now();
    let cases = amount(little, full);
    let mut met = BTreeSet::new();
    for case in 0..cases {
        let files: Vec<String> = ws.files(&format!(".weir/{part}")).into_iter().collect();
        let file = chance.of(&files).clone();
        let data = fs::read(ws.path(&file)).unwrap();
        // Locks may be empty.
        let (what, data) = if data.is_empty() { ("filled".into(), vec![255, 0]) } else { damaged(&data, &mut chance) };
        overwrite(&ws, &file, &data);
        // Half of them while the last result is the one that is wanted.
        if case % 2 == 0 {
            ws.write("in", "BBBB");
        }
        goes_well(&ws, &format!("{file} {what}, seed {seed}"));
        met.insert(file);
        fs::remove_dir_all(ws.path(".weir")).unwrap();
        saved.iter().for_each(|(file, data)| ws.write(file, data));
        // As it was left: the outputs are those of the second input.
        for (file, text) in [("a.out", "BBBB"), ("b.out", "BBBB"), ("c.out", "BBBBBBBB")] {
            ws.write(file, text);
        }
        ws.write("in", "AAAA");
    }
    report(&format!("{cases} damages to {} files in `.weir/{part}`, {:.1?}", met.len(), began.elapsed()));
}

#[test]
fn a_damaged_journal_under_the_real_binary() {
    damage_to("state", 6, 160);
}

#[test]
fn damaged_results_under_the_real_binary() {
    damage_to("results", 4, 100);
}

#[test]
fn damaged_blobs_under_the_real_binary() {
    damage_to("cas", 4, 100);
}

#[test]
fn damaged_locks_under_the_real_binary() {
    damage_to("locks", 2, 24);
}

/// A damaged seal answers nothing; an unbroken one is there again after the next run.
#[test]
fn damaged_seals_under_the_real_binary() {
    let seed = seed("seals");
    let mut chance = Chance::new(seed);
    let ws = prepared();
    let run = || {
        let ran = ws.weir(&["run", "all"]).env("WEIR_LOG", "weir::cli::seal=debug").go();
        is_right(&ws, &ran, "seals");
        ran.err.contains("a seal is unbroken")
    };
    let began = Instant::now();
    let cases = amount(4, 120);
    for case in 0..cases {
        wait_until("a seal answers", run);
        let seals = ws.files(".weir/seals");
        assert!(!seals.is_empty());
        // All of them: the one on the verdict is among them.
        let mut shown = String::new();
        for file in seals {
            let (what, data) = damaged(&fs::read(ws.path(&file)).unwrap(), &mut chance);
            overwrite(&ws, &file, &data);
            shown += &format!("{file} {what}; ");
        }
        if case % 2 == 0 {
            ws.write("in", if ws.read("in") == "AAAA" { "BBBB" } else { "AAAA" });
        }
        assert!(!run(), "a damaged seal answers: {shown}seed {seed}");
    }
    report(&format!("{cases} times all seals damaged, {:.1?}", began.elapsed()));
}
