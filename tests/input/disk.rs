//! A disk that is full, can't be written, or holds something else where weir keeps its own.

use crate::more::{script, script_with_mounts};
use crate::support::Workspace;
use std::fs;

const TASK: &str = "[tasks.t]\nrun = 'echo x >> ../t.ran; cp in out'\nsources = ['in']\noutputs = ['out']";

fn workspace() -> Workspace {
    let ws = Workspace::new(TASK);
    ws.write("in", "a".repeat(300_000));
    ws
}

/// The next run, with room again, does the right thing.
fn is_whole(ws: &Workspace, runs: usize) {
    ws.run("t").tasks("t ran");
    ws.run("t").tasks("t fresh");
    ws.remove("out");
    ws.run("t").tasks("t hit");
    assert_eq!((ws.read("out").len(), ws.count("t")), (300_000, runs + 1));
}

#[test]
fn a_result_that_can_t_be_stored_is_a_warning_and_no_result() {
    // No file may grow beyond the limit: as on a full disk, but the output is there already.
    let ws = Workspace::new("[tasks.t]\nrun = 'echo x >> ../t.ran; touch out'\nsources = ['in']\noutputs = ['out']");
    ws.write("in", "a");
    ws.write("out", "a".repeat(300_000));
    for _ in 0..2 {
        let ran = script(&ws, "trap '' XFSZ; ulimit -f 64; exec \"$WEIR\" run t").exit(0);
        ran.says("failed to record the result").says("ran       t");
    }
    is_whole(&ws, 2);
}

#[test]
fn a_full_disk_is_a_warning_and_no_result() {
    let ws = workspace();
    fs::create_dir(ws.path(".weir")).unwrap();
    let full = "mount -t tmpfs -o size=128k tmpfs .weir; \"$WEIR\" run t; \"$WEIR\" run t; exec \"$WEIR\" run t";
    // Where nothing may be mounted, the test above is all there is.
    if let Some(ran) = script_with_mounts(&ws, full) {
        ran.exit(0).says("No space left").says("weir cache prune");
        assert_eq!(ws.count("t"), 3);
        is_whole(&ws, 3);
    }
}

#[test]
fn a_shared_cache_that_can_t_be_written_is_a_warning_and_not_used() {
    let ws = workspace();
    for outcome in ["ran", "fresh"] {
        let ran = ws.weir(&["run", "t"]).env("WEIR_CACHE_DIR", "/dev/full/cache").ok();
        ran.says("/dev/full/cache").says("WEIR_CACHE_DIR").tasks(&format!("t {outcome}"));
    }
    assert_eq!(ws.count("t"), 1);
}

#[test]
fn a_workspace_that_can_t_be_written_runs_and_records_nothing() {
    let ws = Workspace::new("[tasks.t]\nrun = 'echo x >> ../t.ran'\nsources = ['in']\noutputs = []");
    ws.write("in", "a");
    let read_only =
        "mount --bind . .; mount -o remount,bind,ro . .; cd .; cd \"$PWD\"; \"$WEIR\" run t; exec \"$WEIR\" run t";
    if let Some(ran) = script_with_mounts(&ws, read_only) {
        ran.exit(0).says("nothing is recorded");
        assert_eq!(ws.count("t"), 2);
        assert!(!ws.exists(".weir"));
    }
    // Read-only after a run: what was recorded is not believed blindly, and nothing is written.
    ws.run("t");
    let before = crate::more::listing(&ws.root());
    let runs = ws.count("t");
    if let Some(ran) = script_with_mounts(&ws, read_only) {
        ran.exit(0);
        assert!(ws.count("t") >= runs);
        assert_eq!(crate::more::listing(&ws.root()), before);
    }
}

#[test]
fn something_else_in_the_place_of_weir_s_folders_is_a_warning() {
    for path in [".weir", ".weir/state", ".weir/cas", ".weir/results", ".weir/runs", ".weir/locks"] {
        let ws = workspace();
        ws.write(path, "this is no folder");
        for runs in 1..=2 {
            let ran = ws.try_run("t");
            assert_eq!(ran.code, 0, "{path}: {}", ran.shown());
            assert_eq!(ws.count("t"), runs, "{path}: {}", ran.shown());
            assert!(ran.out.contains("warning") || ran.err.contains("warning"), "{path}: {}", ran.shown());
        }
        assert_eq!(ws.read(path), "this is no folder");
        ws.remove(path);
        is_whole(&ws, 2);
    }
}

#[test]
fn a_folder_in_the_place_of_a_state_file_is_a_warning() {
    let ws = workspace();
    ws.run("t");
    for file in ws.files(".weir/state") {
        fs::remove_file(ws.path(&file)).unwrap();
        fs::create_dir(ws.path(&file)).unwrap();
    }
    let before = ws.count("t");
    let ran = ws.run("t");
    assert!(ran.out.contains("warning") || ran.err.contains("warning"), "{}", ran.shown());
    let ran = ws.run("t");
    assert!(ws.count("t") >= before, "{}", ran.shown());
    fs::remove_dir_all(ws.path(".weir/state")).unwrap();
    let runs = ws.count("t");
    ws.run("t");
    assert!(ws.count("t") <= runs + 1);
    ws.run("t").tasks("t fresh");
}

#[test]
fn commands_that_look_say_what_is_wrong_instead_of_failing_badly() {
    let ws = workspace();
    ws.write(".weir", "no folder");
    for call in [vec!["explain", "t"], vec!["runs", "ls"], vec!["cache", "status"], vec!["run", "-n", "t"]] {
        let ran = ws.weir(&call).go();
        assert!([0, 1, 2].contains(&ran.code), "{}", ran.shown());
        assert!(!ran.err.contains("defect"), "{}", ran.shown());
    }
}
