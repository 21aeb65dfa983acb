//! Of a verdict whose seal is broken in a few places, what nothing that changed concerns is taken over without being judged
//! again (`src/engine/part.rs`, `src/engine/settled.rs`), and nothing else is. Every test begins with a run that a seal answered.

use crate::support::{Ran, Workspace, wait_until};
use std::cell::Cell;
use std::fs;

const ANSWERED: &str = "a seal is unbroken";
const IN_PART: &str = "a part of the verdict still stands";

thread_local! {
    /// The whole plan is made each time: a call that confirms something may ask more than a part of it can tell.
    static WHOLE_PLAN: Cell<bool> = const { Cell::new(false) };
}

/// Each test twice.
macro_rules! both_ways {
    ($($test:ident)*) => {
        mod a_part_of_the_plan {
            $(#[test] fn $test() { super::$test(); })*
        }
        mod the_whole_plan {
            $(#[test] fn $test() { super::WHOLE_PLAN.set(true); super::$test(); })*
        }
    };
}

/// `weir run all`, telling what became of the seal.
fn told_with(ws: &Workspace, env: &[(&str, &str)]) -> Ran {
    let words: &[&str] = if WHOLE_PLAN.get() { &["run", "--confirm", "nothing", "all"] } else { &["run", "all"] };
    let weir = ws.weir(words).env("WEIR_LOG", "weir::cli=debug");
    env.iter().fold(weir, |weir, (name, value)| weir.env(name, value)).go()
}

/// Something changed, and a part of the verdict was taken over.
fn in_part(ws: &Workspace) -> Ran {
    told_with(ws, &[]).says(IN_PART)
}

/// Something changed, and none of the verdict was.
fn judged_anew(ws: &Workspace) -> Ran {
    told_with(ws, &[]).says_nothing_of(IN_PART).says_nothing_of(ANSWERED)
}

/// Runs until a seal answers.
fn sealed(ws: &Workspace) {
    wait_until("a seal answers `weir run all`", || told_with(ws, &[]).success().err.contains(ANSWERED));
}

both_ways! {
    what_changed_and_what_comes_after_it_is_judged
    it_tells_what_the_long_way_tells
    an_early_cutoff_stays_one
    what_looks_different_and_is_the_same_is_sealed_again
    files_that_come_and_go_concern_those_who_list_their_folder
    outputs_count
    an_ignore_file_concerns_all
    what_failed_since_is_not_taken_over
    a_log_that_is_damaged_concerns_all
    what_is_no_file_of_a_task_breaks_all_of_it
    where_much_has_changed_all_is_judged
    what_a_task_does_to_the_sources_of_another_is_seen_next_time
    a_result_that_was_recorded_since_is_judged_and_sealed_again
}

/// A chain, something beside it, and what needs both.
const TASKS: &str = "
[tasks.a]\nrun = 'echo x >> ../a.ran; mkdir -p o; head -n 1 in/a > o/a'\nsources = ['in/a']\noutputs = ['o/a']
[tasks.b]\nrun = 'echo x >> ../b.ran; echo B; cat o/a > o/b'\nsources = ['o/a']\noutputs = ['o/b']\ndepends = ['a']
[tasks.c]\nrun = 'echo x >> ../c.ran; test ! -e ../fail; mkdir -p o; cat c/* > o/c'\nsources = ['c']\noutputs = ['o/c']
[tasks.d]\nrun = 'echo x >> ../d.ran; cat o/b o/c > o/d'\nsources = ['o/b', 'o/c']\noutputs = ['o/d']\ndepends = ['b', 'c']
[tasks.all]\ndepends = ['d']
";

fn prepared() -> Workspace {
    let ws = Workspace::new(TASKS);
    for (file, text) in [("in/a", "a\n"), ("c/1", "1\n"), ("c/2", "2\n")] {
        ws.write(file, text);
    }
    sealed(&ws);
    ws
}

fn what_changed_and_what_comes_after_it_is_judged() {
    let ws = prepared();
    ws.write("in/a", "other\n");
    let ran = ws.weir(&["run", "all"]).env("WEIR_LOG", "weir=debug").go().says(IN_PART);
    ran.tasks("a ran, b ran, c fresh, d ran").says("B").says("judged task=d").says_nothing_of("judged task=c");
    assert_eq!(ws.read("o/d"), "other\n1\n2\n");
    // Another file, while the first is not as it was under the seal either.
    ws.write("c/2", "two\n");
    in_part(&ws).tasks("a fresh, b fresh, c ran, d ran");
    assert_eq!(ws.read("o/d"), "other\n1\ntwo\n");
    sealed(&ws);
}

fn it_tells_what_the_long_way_tells() {
    let ws = prepared();
    let change = |text: &str| ws.write("in/a", text);
    change("other\n");
    let some = in_part(&ws).success();
    change("a\n");
    in_part(&ws).success();
    sealed(&ws);
    change("other\n");
    let long = told_with(&ws, &[("WEIR_WORKSPACE", "/nowhere")]).says_nothing_of(IN_PART).success();
    for task in ["a", "b", "c", "d"] {
        assert_eq!(some.key(task), long.key(task), "{task}");
    }
}

fn an_early_cutoff_stays_one() {
    let ws = prepared();
    ws.write("in/a", "a\nbelow the first line\n");
    in_part(&ws).tasks("a ran, b fresh, c fresh, d fresh");
}

fn what_looks_different_and_is_the_same_is_sealed_again() {
    let ws = prepared();
    ws.write("in/a", "a\n");
    in_part(&ws).tasks("a fresh, b fresh, c fresh, d fresh");
    wait_until("a seal answers, and not by the long way", || {
        let ran = told_with(&ws, &[]).success();
        assert!(ran.err.contains(IN_PART) || ran.err.contains(ANSWERED), "{}", ran.shown());
        ran.err.contains(ANSWERED)
    });
    ws.write("in/a", "other\n");
    in_part(&ws).tasks("a ran, b ran, c fresh, d ran");
}

fn files_that_come_and_go_concern_those_who_list_their_folder() {
    let ws = prepared();
    ws.write("c/3", "3\n");
    in_part(&ws).tasks("a fresh, b fresh, c ran, d ran");
    sealed(&ws);
    ws.remove("c/1");
    in_part(&ws).tasks("a fresh, b fresh, c ran, d ran");
    assert_eq!(ws.read("o/c"), "2\n3\n");
}

fn outputs_count() {
    let ws = prepared();
    ws.write("o/c", "spoilt");
    ws.write("in/a", "other\n");
    let ran = in_part(&ws).success();
    assert_ne!(ran.outcome("c"), "fresh");
    assert_eq!(ws.read("o/d"), "other\n1\n2\n");
    sealed(&ws);
    ws.remove("o/b");
    in_part(&ws).tasks("a fresh, b hit, c fresh, d fresh");
    assert_eq!(ws.read("o/b"), "other\n");
}

fn an_ignore_file_concerns_all() {
    let tasks = TASKS.replace("sources = ['in/a']", "sources = ['in/a', '.gitignore']");
    let ws = Workspace::new(&tasks);
    for (file, text) in [("in/a", "a\n"), (".gitignore", "none\n"), ("c/1", "1\n"), ("c/2", "2\n")] {
        ws.write(file, text);
    }
    sealed(&ws);
    // A task declares it, and it says something of another task's sources.
    ws.write(".gitignore", "c/2\n");
    let ran = judged_anew(&ws).success();
    assert_eq!((ran.outcome("a"), ran.outcome("c")), ("ran", "ran"));
}

fn what_failed_since_is_not_taken_over() {
    let ws = prepared();
    fs::write(ws.outside("fail"), "").unwrap();
    ws.try_run("-f c").exit(1);
    ws.write("in/a", "other\n");
    in_part(&ws).exit(1).tasks("c failed");
    fs::remove_file(ws.outside("fail")).unwrap();
    in_part(&ws).tasks("c ran, d ran");
    assert_eq!(ws.read("o/d"), "other\n1\n2\n");
}

fn a_log_that_is_damaged_concerns_all() {
    let ws = prepared();
    let log = ws.files(".weir/cas").into_iter().find(|blob| ws.read(blob) == "B\n").unwrap();
    ws.write(&log, "lied\n");
    ws.write("c/1", "one\n");
    let ran = judged_anew(&ws).success().says_nothing_of("lied");
    assert_eq!(ran.outcome("b"), "ran");
}

fn what_is_no_file_of_a_task_breaks_all_of_it() {
    let ws = prepared();
    ws.write("in/a", "other\n");
    ws.tasks(&TASKS.replace("cat c/*", "cat c/1"));
    judged_anew(&ws).tasks("a ran, b ran, c ran, d ran");
    sealed(&ws);
    ws.write("in/a", "a\n");
    let forced = ws.weir(&["run", "-f", "all"]).env("WEIR_LOG", "weir::cli::seal=debug").go();
    forced.says_nothing_of(IN_PART).success();
}

fn where_much_has_changed_all_is_judged() {
    let ws = prepared();
    (0..150).for_each(|number| ws.write(&format!("c/more-{number:03}"), "more\n"));
    in_part(&ws).tasks("a fresh, b fresh, c ran, d ran");
    sealed(&ws);
    (0..150).for_each(|number| ws.write(&format!("c/more-{number:03}"), "different\n"));
    judged_anew(&ws).tasks("a fresh, b fresh, c ran, d ran");
}

fn what_a_task_does_to_the_sources_of_another_is_seen_next_time() {
    let ws = Workspace::new(
        "[tasks.a]\nrun = 'echo x >> ../a.ran; test \"$(cat a)\" != spill || echo spilt > b'\nsources = ['a']\noutputs = []\n\
         [tasks.b]\nrun = 'echo x >> ../b.ran'\nsources = ['b']\noutputs = []\n[tasks.all]\ndepends = ['a', 'b']\n",
    );
    ws.write("a", "1");
    ws.write("b", "1");
    sealed(&ws);
    ws.write("a", "spill");
    in_part(&ws).tasks("a ran, b fresh");
    in_part(&ws).tasks("a fresh, b ran");
}

fn a_result_that_was_recorded_since_is_judged_and_sealed_again() {
    let ws = prepared();
    ws.run("-f c").tasks("c ran");
    told_with(&ws, &[]).tasks("a fresh, b fresh, c fresh, d fresh");
    sealed(&ws);
}
