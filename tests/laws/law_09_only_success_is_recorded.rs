//! Law 9: only a real success is recorded: not a failure, a timeout, a kill, a dry run, a listing.

use crate::support::Workspace;
use nix::sys::signal::Signal;

/// A task that writes its output and then ends as `ending` says.
fn ending(ending: &str, keys: &str) -> Workspace {
    let ws = Workspace::new(&format!(
        "[tasks.t]\nrun = 'echo x >> ../t.ran; cp in out; {ending}'\nsources = ['in']\noutputs = ['out']\n{keys}\n\
         [tasks.after]\nrun = 'echo x >> ../after.ran'\nsources = []\ndepends = ['t']"
    ));
    ws.write("in", "a");
    ws
}

fn fails_each_time(ws: &Workspace, why: &str) {
    for round in 1..=3 {
        let ran = ws.try_run("after").exit(1).tasks("t failed, after skipped");
        assert_eq!(ran.failure("t"), why, "{}", ran.shown());
        assert_eq!((ws.count("t"), ws.count("after")), (round, 0));
    }
}

#[test]
fn a_failure_that_wrote_its_output_is_not_recorded() {
    fails_each_time(&ending("exit 3", ""), "exit");
}

#[test]
fn a_failing_part_of_a_pipe_or_of_a_list_is_a_failure() {
    fails_each_time(&ending("false | cat", ""), "exit");
    fails_each_time(&ending("false; true", ""), "exit");
}

#[test]
fn a_failing_first_command_is_a_failure() {
    let ws =
        Workspace::new("[tasks.t]\nrun = ['echo x >> ../t.ran', 'false', 'echo x >> ../second.ran']\nsources = []");
    ws.try_run("t").exit(1).tasks("t failed");
    ws.try_run("t").exit(1).tasks("t failed");
    assert_eq!((ws.count("t"), ws.count("second")), (2, 0));
}

#[test]
fn a_timeout_is_not_recorded() {
    fails_each_time(&ending("sleep 600", "timeout = '50ms'"), "timeout");
}

#[test]
fn a_killed_task_is_not_recorded() {
    fails_each_time(&ending("kill -9 $$", ""), "signal");
}

#[test]
fn a_failure_that_is_only_a_warning_is_not_recorded() {
    let ws = ending("exit 3", "on_fail = 'warn'");
    ws.run("t").tasks("t failed");
    ws.run("t").tasks("t failed");
    assert_eq!(ws.count("t"), 2);
}

#[test]
fn an_interrupted_run_is_not_recorded() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let ws = ending("../pause in", "");
        let puppet = ws.puppet("in");
        let weir = ws.weir(&["run", "after"]).spawn();
        puppet.arrives();
        weir.signal(signal);
        weir.end().exit(code).tasks("t failed, after skipped");
        puppet.retire();
        ws.run("after").tasks("t ran, after ran");
    }
}

#[test]
fn an_interrupted_task_that_exits_well_is_not_recorded() {
    // The signal cut its work short, whatever its exit status says.
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'trap \"exit 0\" INT TERM; echo x >> ../t.ran; ../pause in; echo whole > out'\nsources = []\noutputs = []",
    );
    let puppet = ws.puppet("in");
    let weir = ws.weir(&["run", "t"]).spawn();
    puppet.arrives();
    weir.signal(Signal::SIGINT);
    weir.end().exit(130);
    puppet.retire();
    ws.run("t").tasks("t ran");
    assert_eq!((ws.count("t"), ws.read("out").as_str()), (2, "whole\n"));
}

#[test]
fn a_success_after_failures_is_recorded() {
    let ws = ending("test -e ../good", "");
    fails_each_time(&ws, "exit");
    std::fs::write(ws.outside("good"), "").unwrap();
    ws.run("after").tasks("t ran, after ran");
    ws.run("after").tasks("t fresh, after fresh");
}

#[test]
fn a_success_by_retry_is_recorded() {
    let ws = ending("test $(wc -l < ../t.ran) -ge 3", "retry = { attempts = 5, backoff = '1ms' }");
    ws.run("t").tasks("t ran");
    assert_eq!(ws.count("t"), 3);
    ws.run("t").tasks("t fresh");
}

#[test]
fn a_dry_run_writes_nothing_and_marks_nothing_as_done() {
    let ws = ending("true", "");
    let ran = ws.run("-n after").says("would run");
    assert!(!ran.recorded());
    assert!(!ws.exists(".weir"));
    assert_eq!(ws.count("t"), 0);
    ws.run("after").tasks("t ran, after ran");
    ws.write("in", "b");
    let before = ws.weir_contents();
    ws.run("-n after").says("would run");
    ws.run("-n --explain after").says("`in` changed");
    assert_eq!(ws.weir_contents(), before);
    ws.run("after").tasks("t ran, after ran");
}

#[test]
fn a_dry_run_restores_nothing() {
    let ws = ending("true", "");
    ws.run("t");
    ws.remove("out");
    ws.run("-n t").says("would restore");
    assert!(!ws.exists("out"));
    ws.run("t").tasks("t hit");
}

#[test]
fn listings_write_nothing_and_mark_nothing_as_done() {
    let ws = ending("true", "");
    let look = |ws: &Workspace| {
        for call in [
            &["tasks"][..],
            &["tasks", "info", "t"],
            &["tasks", "deps"],
            &["explain", "after"],
            &["explain", "--json", "t"],
            &[],
        ] {
            ws.weir(call).ok();
        }
    };
    look(&ws);
    assert!(!ws.exists(".weir"));
    ws.run("after").tasks("t ran, after ran");
    ws.write("in", "b");
    let before = ws.weir_contents();
    look(&ws);
    assert_eq!(ws.weir_contents(), before);
    ws.run("after").tasks("t ran, after ran");
}
