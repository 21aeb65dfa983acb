//! Law 10: invalidate first, record last. After SIGKILL at any instant the next run does the right
//! thing without help.

use crate::support::{Workspace, alive, wait_until};
use std::fs;

/// `t` copies `in` to `out` in two steps, held in between; it fails where `../fails` is.
const COPIES: &str = "
[tasks.t]
run = 'echo x >> ../t.ran; head -c 1 in > out; ../pause t; cp in out; test ! -e ../fails'
sources = ['in']
outputs = ['out']
[tasks.after]
run = 'echo x >> ../after.ran; cp out copy'
sources = []
outputs = ['copy']
depends = ['t']
";

fn copies() -> Workspace {
    let ws = Workspace::new(COPIES);
    ws.write("in", "whole");
    ws
}

/// The next run puts everything right, and the one after it has nothing to do.
fn is_put_right(ws: &Workspace) {
    ws.run("after");
    assert_eq!((ws.read("out"), ws.read("copy")), (ws.read("in"), ws.read("in")));
    ws.run("after").tasks("t fresh, after fresh");
}

#[test]
fn killed_while_a_task_runs_it_runs_again() {
    let ws = copies();
    let puppet = ws.puppet("t");
    let weir = ws.weir(&["run", "after"]).spawn();
    puppet.arrives();
    weir.kill();
    puppet.retire();
    assert_eq!(ws.read("out"), "w");
    is_put_right(&ws);
    assert_eq!((ws.count("t"), ws.count("after")), (2, 1));
}

#[test]
fn killed_while_a_task_runs_again_its_earlier_result_does_not_count() {
    for arguments in [&["run", "-f", "t"][..], &["run", "t"]] {
        let ws = copies();
        ws.run("after");
        let forced = arguments.contains(&"-f");
        if !forced {
            ws.write("in", "other");
        }
        let puppet = ws.puppet("t");
        let weir = ws.weir(arguments).spawn();
        puppet.arrives();
        weir.kill();
        puppet.retire();
        // Even with what it was asked to do undone.
        ws.write("in", "whole");
        assert_ne!(ws.read("out"), "whole");
        is_put_right(&ws);
        if forced {
            assert_eq!(ws.count("t"), 3);
        }
    }
}

#[test]
fn killed_while_a_task_of_unknown_effects_runs_it_runs_again() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'echo x >> ../t.ran; echo half > out; ../pause t; cp in out'\nsources = ['in']",
    );
    ws.write("in", "a");
    ws.run("t");
    ws.write("in", "b");
    let puppet = ws.puppet("t");
    let weir = ws.weir(&["run", "t"]).spawn();
    puppet.arrives();
    weir.kill();
    puppet.retire();
    ws.write("in", "a");
    ws.run("t").tasks("t ran");
    assert_eq!(ws.read("out"), "a");
}

#[test]
fn killed_at_any_instant_the_next_run_does_the_right_thing() {
    type Instant = (&'static str, fn(&Workspace) -> bool);
    let instants: [Instant; 9] = [
        ("at once", |_| true),
        ("its folder is there", |ws| ws.exists(".weir")),
        ("its journal is there", |ws| ws.exists(".weir/state/journal")),
        ("its run is recorded", |ws| !ws.files(".weir/runs").is_empty()),
        ("the task runs", |ws| ws.count("t") == 1),
        ("an output is there", |ws| ws.exists("out")),
        ("a blob is stored", |ws| !ws.files(".weir/cas").is_empty()),
        ("a result is stored", |ws| !ws.files(".weir/results").is_empty()),
        ("the second task runs", |ws| ws.count("after") == 1),
    ];
    for (what, reached) in instants {
        let ws = copies();
        let weir = ws.weir(&["run", "after"]).spawn();
        wait_until(what, || reached(&ws));
        weir.kill();
        is_put_right(&ws);
    }
}

#[test]
fn while_a_task_runs_nothing_of_it_is_on_record() {
    let ws = copies();
    ws.run("t");
    let result = ws.files(".weir/results");
    assert_eq!(result.len(), 1);
    let puppet = ws.puppet("t");
    let weir = ws.weir(&["run", "-f", "t"]).spawn();
    puppet.arrives();
    assert_eq!(ws.files(".weir/results"), [] as [String; 0]);
    ws.run("-n t").says("would run");
    puppet.goes_on();
    weir.end().success();
    puppet.retire();
    assert_eq!(ws.files(".weir/results"), result);
    ws.run("t").tasks("t fresh");
}

#[test]
fn a_failure_after_a_success_is_not_forgotten() {
    let ws = copies();
    ws.run("after");
    fs::write(ws.outside("fails"), "").unwrap();
    ws.try_run("-f t").exit(1);
    let ran = ws.try_run("after").exit(1).tasks("t failed, after skipped");
    assert_eq!(ran.reasons("t"), ["last_run_failed"]);
    fs::remove_file(ws.outside("fails")).unwrap();
    ws.run("after").tasks("t ran, after fresh");
    assert_eq!(ws.count("t"), 4);
}

#[test]
fn a_failure_under_other_inputs_leaves_recorded_results_alone() {
    let ws = copies();
    ws.run("t");
    ws.write("in", "other");
    fs::write(ws.outside("fails"), "").unwrap();
    ws.try_run("t").exit(1);
    ws.write("in", "whole");
    ws.run("t").tasks("t hit");
    assert_eq!(ws.read("out"), "whole");
}

#[test]
fn after_a_failure_shared_results_do_not_count_until_a_success() {
    let cache = tempfile::tempdir().unwrap();
    let run = |ws: &Workspace, words: &[&str]| {
        let words: Vec<&str> = ["run"].iter().chain(words).copied().collect();
        ws.weir(&words).env("WEIR_CACHE_DIR", cache.path()).go()
    };
    let (here, there) = (copies(), copies());
    run(&there, &["t"]).success().tasks("t ran");
    run(&here, &["t"]).success().tasks("t hit");
    fs::write(here.outside("fails"), "").unwrap();
    run(&here, &["-f", "t"]).exit(1);
    // The result of the other checkout is still there, and would hide the failure.
    run(&here, &["t"]).exit(1).tasks("t failed");
    // The same after a kill.
    fs::remove_file(here.outside("fails")).unwrap();
    let puppet = here.puppet("t");
    let weir = here.weir(&["run", "t"]).env("WEIR_CACHE_DIR", cache.path()).spawn();
    puppet.arrives();
    weir.kill();
    puppet.retire();
    run(&here, &["t"]).success().tasks("t ran");
    // After a success they count again.
    here.write("in", "other");
    there.write("in", "other");
    run(&there, &["t"]).success().tasks("t ran");
    run(&here, &["t"]).success().tasks("t hit");
    assert_eq!(here.read("out"), "other");
}

#[test]
fn the_next_run_never_overlaps_what_a_killed_one_left_running() {
    // It ends when it is asked to, but not at once; the next one says so if it is still there.
    let ws = Workspace::new(
        "[tasks.t]
run = '''
if test -e ../pid && kill -0 $(cat ../pid) 2> /dev/null; then echo overlap >> ../overlap.ran; fi
echo $$ > ../pid
echo one >> ../t.ran
trap 'sleep 0.3; exit 1' TERM
../pause t & wait
'''
sources = []",
    );
    let puppet = ws.puppet("t");
    let weir = ws.weir(&["run", "t"]).spawn();
    let held = puppet.arrives();
    weir.kill();
    puppet.retire();
    ws.run("t").tasks("t ran");
    assert_eq!((ws.count("t"), ws.count("overlap")), (2, 0));
    assert!(!alive(held));
}

#[test]
fn a_failure_in_another_process_is_seen_by_one_that_runs_already() {
    let ws = Workspace::new(
        "[tasks.gate]\nrun = '../pause gate'\n\
         [tasks.t]\nrun = 'echo x >> ../t.ran; cp in out; test ! -e ../fails'\nsources = ['in']\noutputs = ['out']\nwait_for = ['gate']",
    );
    ws.write("in", "a");
    ws.run("t");
    let puppet = ws.puppet("gate");
    let early = ws.weir(&["run", "gate", "t"]).spawn();
    puppet.arrives();
    fs::write(ws.outside("fails"), "").unwrap();
    ws.try_run("-f t").exit(1);
    puppet.goes_on();
    early.end().exit(1).tasks("gate ran, t failed");
}

/// Makes many files, so that there is something to be in the middle of.
fn many() -> Workspace {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'echo x >> ../t.ran; mkdir -p out; for i in {1..200}; do echo content > out/$i; done'\nsources = ['in']\noutputs = ['out']",
    );
    ws.write("in", "");
    ws
}

fn all_are_whole(ws: &Workspace) {
    let files = ws.files("out");
    assert_eq!(files.len(), 200, "{files:?}");
    assert!(files.iter().all(|file| ws.read(file) == "content\n"));
    ws.run("t").tasks("t fresh");
}

#[test]
fn killed_in_the_middle_of_restoring_the_next_run_restores_the_rest() {
    let ws = many();
    ws.run("t");
    for there in [1, 50, 199] {
        fs::remove_dir_all(ws.path("out")).unwrap();
        let weir = ws.weir(&["run", "t"]).spawn();
        wait_until("files are restored", || ws.files("out").len() >= there);
        weir.kill();
        ws.run("t").tasks("t skips");
        all_are_whole(&ws);
    }
    assert_eq!(ws.count("t"), 1);
}

#[test]
fn killed_in_the_middle_of_recording_the_next_run_does_the_right_thing() {
    for stored in [1, 100, 199] {
        let ws = Workspace::new(
            "[tasks.t]\nrun = 'mkdir -p out; for i in {1..200}; do echo $i > out/$i; done'\nsources = []\noutputs = ['out']",
        );
        let weir = ws.weir(&["run", "t"]).spawn();
        wait_until("blobs are stored", || ws.files(".weir/cas").len() >= stored);
        weir.kill();
        ws.run("t");
        fs::remove_dir_all(ws.path("out")).unwrap();
        ws.run("t").tasks("t hit");
        assert_eq!(ws.files("out").len(), 200);
        assert!((1..=200).all(|number| ws.read(&format!("out/{number}")) == format!("{number}\n")));
        ws.run("t").tasks("t fresh");
    }
}

#[test]
fn a_failure_in_another_process_is_seen_while_a_probe_is_asked() {
    // Nothing of this run has run yet, and still what it read at its start is old.
    let ws = Workspace::new(
        "[tasks.first]\nrun = 'true'\nsources = []\noutputs = []\nprobes = ['../pause $(cat ../who)']\n\
         [tasks.t]\nrun = 'cp in out; test ! -e ../fails'\nsources = ['in']\noutputs = ['out']\ndepends = ['first']",
    );
    ws.write("in", "a");
    fs::write(ws.outside("who"), "nobody").unwrap();
    ws.run("t");
    fs::write(ws.outside("who"), "probe").unwrap();
    let puppet = ws.puppet("probe");
    let early = ws.weir(&["run", "t"]).spawn();
    puppet.arrives();
    fs::write(ws.outside("who"), "nobody").unwrap();
    fs::write(ws.outside("fails"), "").unwrap();
    ws.try_run("-f t").exit(1);
    puppet.goes_on();
    early.end().exit(1).tasks("first fresh, t failed");
}

#[test]
fn what_is_on_record_does_not_outlive_a_run_that_could_not_be_recorded() {
    // The state is there and whole, and the run can't use it.
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'echo x >> ../t.ran; cp in out'\nsources = ['in']\n\
         [tasks.wipe]\nrun = 'cp in wiped'\nreset = true\n\
         [tasks.made]\nrun = 'cat wiped > made'\nsources = []\noutputs = ['made']\nwait_for = ['wipe']",
    );
    ws.write("in", "a");
    ws.run("wipe t made");
    fs::remove_dir_all(ws.path(".weir/locks")).unwrap();
    ws.write(".weir/locks", "no folder");
    ws.write("in", "b");
    ws.run("wipe t").says("nothing is recorded");
    ws.remove(".weir/locks");
    ws.write("in", "a");
    let ran = ws.run("t made").tasks("t ran, made ran");
    assert_eq!((ws.read("out").as_str(), ws.read("made").as_str()), ("a", "b"), "{}", ran.shown());
    ws.run("t made").tasks("t fresh, made fresh");
}
