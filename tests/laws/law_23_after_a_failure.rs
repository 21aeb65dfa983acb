//! Law 23: after the first failure nothing new starts, what runs is let finish, the first failure
//! is named in the last line, and what was not run because of it is listed.

use crate::more::last_line;
use crate::support::{Ran, Workspace};
use nix::sys::signal::Signal;

/// `bad` fails when it is let go; `good` is held meanwhile. Behind each stands another task.
fn workspace() -> Workspace {
    Workspace::new(
        "[tasks.bad]\nrun = '../pause bad; exit 3'\nhelp = 'try again tomorrow'\n\
         [tasks.good]\nrun = '../pause good; echo x >> ../good.ran'\n\
         [tasks.after-bad]\nrun = 'echo x >> ../after-bad.ran'\ndepends = ['bad']\n\
         [tasks.after-both]\nrun = 'echo x >> ../after-both.ran'\ndepends = ['after-bad', 'good']\n\
         [tasks.after-good]\nrun = 'echo x >> ../after-good.ran'\ndepends = ['good']\n\
         [tasks.all]\ndepends = ['after-bad', 'after-both', 'after-good']",
    )
}

/// Runs `all` so that `bad` has failed before `good` ends.
fn run(ws: &Workspace, words: &[&str]) -> Ran {
    let (bad, good) = (ws.puppet("bad"), ws.puppet("good"));
    let words: Vec<&str> = ["run", "-j4"].iter().chain(words).copied().collect();
    let mut weir = ws.weir(&words).spawn();
    good.arrives();
    bad.goes_on();
    weir.wait_for("exit status 3");
    good.goes_on();
    weir.end()
}

#[test]
fn nothing_new_starts_and_what_runs_is_let_finish() {
    let ws = workspace();
    let ran = run(&ws, &["all"])
        .exit(1)
        .tasks("bad failed, good ran, after-bad skipped, after-both skipped, after-good skipped");
    assert_eq!((ws.count("good"), ws.count("after-good"), ws.count("after-bad")), (1, 0, 0));
    let last = last_line(&ran.out);
    assert!(last.starts_with("failed: `bad` (exit status 3)"), "{}", ran.shown());
    let ran = ran.says("blocked: after-bad (by bad)").says("blocked: after-both (by bad)");
    ran.says("blocked: after-good (not started after a failure)").says("try again tomorrow");
}

#[test]
fn keep_going_goes_on_with_what_does_not_depend_on_it() {
    for flag in ["-k", "--keep-going"] {
        let ws = workspace();
        let ran = run(&ws, &[flag, "all"])
            .exit(1)
            .tasks("bad failed, good ran, after-bad skipped, after-both skipped, after-good ran");
        assert_eq!((ws.count("after-good"), ws.count("after-bad"), ws.count("after-both")), (1, 0, 0));
        assert!(last_line(&ran.out).starts_with("failed: `bad`"), "{}", ran.shown());
    }
}

#[test]
fn the_first_failure_is_the_first_in_time() {
    for (first, second) in [("one", "two"), ("two", "one")] {
        let ws = Workspace::new("[tasks.one]\nrun = '../pause one; exit 4'\n[tasks.two]\nrun = '../pause two; exit 5'");
        let (a, b) = (ws.puppet(first), ws.puppet(second));
        let mut weir = ws.weir(&["run", "-j2", "-k", "one", "two"]).spawn();
        a.arrives();
        b.arrives();
        a.goes_on();
        weir.wait_for("exit status");
        b.goes_on();
        let ran = weir.end().exit(1).tasks("one failed, two failed");
        assert!(last_line(&ran.out).starts_with(&format!("failed: `{first}`")), "{}", ran.shown());
    }
}

#[test]
fn an_interrupt_outranks_a_failure() {
    let ws = workspace();
    let (bad, good) = (ws.puppet("bad"), ws.puppet("good"));
    let mut weir = ws.weir(&["run", "-j4", "all"]).spawn();
    good.arrives();
    bad.goes_on();
    weir.wait_for("exit status 3");
    weir.signal(Signal::SIGINT);
    let ran = weir.end().exit(130);
    assert!(last_line(&ran.out).starts_with("failed: `bad`"), "{}", ran.shown());
}

#[test]
fn a_refusal_comes_before_any_failure() {
    let ws = Workspace::new("[tasks.bad]\nrun = 'exit 1'\n[tasks.ask]\nrun = 'true'\nconfirm = 'really?'");
    let ran = ws.try_run("bad ask").exit(3);
    assert!(!ran.recorded());
}

#[test]
fn a_failure_that_is_a_warning_lets_the_run_go_on() {
    let text = |on_fail: &str| {
        format!(
            "[tasks.t]\nrun = 'echo x >> ../t.ran; exit 6'\nsources = []\n{on_fail}\n\
             [tasks.after]\nrun = 'echo x >> ../after.ran'\nsources = []\noutputs = []\ndepends = ['t']"
        )
    };
    let ws = Workspace::new(&text("on_fail = 'warn'"));
    for times in 1..=2 {
        // Not a success: neither it nor what was built on it is skipped the next time.
        let ran = ws.run("after").tasks("t failed, after ran").says("warned: t (exit status 6)");
        assert_eq!((ws.count("t"), ws.count("after")), (times, times), "{}", ran.shown());
    }
    ws.tasks(&text("on_fail = 'fail'"));
    ws.try_run("after").exit(1).tasks("t failed, after skipped");
}

#[test]
fn a_failing_command_stops_its_list_and_a_failing_pipe_is_a_failure() {
    let ws = Workspace::new(
        "[tasks.list]\nrun = ['echo x >> ../one.ran', 'exit 9', 'echo x >> ../two.ran']\n\
         [tasks.pipe]\nrun = 'false | cat'\n[tasks.unset]\nrun = 'echo $NOT_SET_ANYWHERE'",
    );
    ws.try_run("list").exit(1).says("exit status 9");
    assert_eq!((ws.count("one"), ws.count("two")), (1, 0));
    ws.try_run("pipe").exit(1).tasks("pipe failed");
    ws.try_run("unset").exit(1).tasks("unset failed");
}

#[test]
fn a_signal_is_a_failure_with_its_name() {
    let ws = Workspace::new("[tasks.t]\nexec = ['sh', '-c', 'kill -SEGV $$']");
    let ran = ws.try_run("t").exit(1).says("SIGSEGV");
    assert_eq!(ran.failure("t"), "signal");
}
