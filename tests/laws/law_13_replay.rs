//! Law 13: a hit replays the task's output, marked as replayed, unless `quiet`.

use crate::support::Workspace;

fn talker(keys: &str) -> Workspace {
    let ws = Workspace::new(&format!(
        "[tasks.t]\nrun = 'echo first line; echo second line >&2; printf unended; cp in out'\nsources = ['in']\noutputs = ['out']\n{keys}"
    ));
    ws.write("in", "a");
    ws
}

const LINES: [&str; 3] = ["first line\n", "second line\n", "unended"];
const MARK: &str = "output replayed";

#[test]
fn a_fresh_task_replays_its_output_and_marks_it() {
    let ws = talker("");
    let ran = ws.run("t").says_nothing_of(MARK);
    LINES.into_iter().fold(ran, |ran, line| ran.says(line));
    for _ in 0..2 {
        let ran = ws.run("t").tasks("t fresh").says(MARK);
        LINES.into_iter().fold(ran, |ran, line| ran.says(line));
    }
}

#[test]
fn a_restored_task_replays_its_output_and_marks_it() {
    let ws = talker("");
    ws.run("t");
    ws.remove("out");
    let ran = ws.run("t").tasks("t hit").says(MARK);
    LINES.into_iter().fold(ran, |ran, line| ran.says(line));
}

#[test]
fn a_shared_result_replays_its_output_and_marks_it() {
    let cache = tempfile::tempdir().unwrap();
    let run = |ws: &Workspace| ws.weir(&["run", "t"]).env("WEIR_CACHE_DIR", cache.path()).ok();
    run(&talker(""));
    let ran = run(&talker("")).tasks("t hit").says(MARK);
    LINES.into_iter().fold(ran, |ran, line| ran.says(line));
}

#[test]
fn each_result_replays_its_own_output() {
    let ws = Workspace::new("[tasks.t]\nrun = 'echo this is $(cat in)'\nsources = ['in']\noutputs = []");
    for input in ["one", "two"] {
        ws.write("in", input);
        ws.run("t").tasks("t ran");
    }
    ws.write("in", "one");
    ws.run("t").tasks("t skips").says("this is one").says_nothing_of("this is two");
    ws.run("t").tasks("t fresh").says("this is one");
}

#[test]
fn a_quiet_task_replays_nothing() {
    let ws = talker("quiet = true");
    ws.run("t").says_nothing_of("first line");
    ws.run("t").tasks("t fresh").says_nothing_of("first line").says_nothing_of(MARK);
}

#[test]
fn a_task_that_printed_nothing_has_nothing_marked() {
    let ws = Workspace::new("[tasks.t]\nrun = 'true'\nsources = []");
    ws.run("t");
    ws.run("t").tasks("t fresh").says_nothing_of(MARK);
}

#[test]
fn in_every_mode_the_output_is_replayed_or_nothing_is_shown_at_all() {
    let ws = talker("");
    ws.run("t");
    for mode in ["grouped", "prefixed", "stream"] {
        ws.run(&format!("--output {mode} t")).tasks("t fresh").says("first line").says(MARK);
    }
    ws.run("--output quiet t").tasks("t fresh").says_nothing_of("first line");
}

#[test]
fn a_result_whose_log_is_gone_does_not_count() {
    // Replaying nothing would pass for the task having printed nothing.
    let ws = Workspace::new("[tasks.t]\nrun = 'echo x >> ../t.ran; echo printed'\nsources = []\noutputs = []");
    ws.run("t");
    for blob in ws.files(".weir/cas") {
        ws.remove(&blob);
    }
    ws.run("t").tasks("t ran").says("printed");
    ws.run("t").tasks("t fresh").says("printed");
    assert_eq!(ws.count("t"), 2);
}
