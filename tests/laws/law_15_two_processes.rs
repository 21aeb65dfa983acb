//! Law 15: two processes on one workspace: each task runs under a lock; the second says whom it
//! waits for, and then takes the first one's result.

use crate::support::{Puppet, Ran, Running, Workspace, wait_until};

/// `t` is held, prints, and fails where `../fails` is.
fn held(keys: &str) -> Workspace {
    let ws = Workspace::new(&format!(
        "[tasks.t]\nrun = 'echo x >> ../t.ran; ../pause t; echo printed; cp in out; test ! -e ../fails'\n{keys}\n\
         [tasks.after]\nrun = 'echo x >> ../after.ran'\nsources = []\ndepends = ['t']"
    ));
    ws.write("in", "a");
    ws
}

/// One process in the middle of `t`, another one waiting for it.
fn two(ws: &Workspace) -> (Puppet, Running, Running) {
    let puppet = ws.puppet("t");
    let first = ws.weir(&["run", "t"]).spawn();
    puppet.arrives();
    let mut second = ws.weir(&["run", "after"]).spawn();
    second.wait_for("waits for");
    (puppet, first, second)
}

fn both(ws: &Workspace) -> (Ran, Ran) {
    let (puppet, first, second) = two(ws);
    puppet.goes_on();
    let first_pid = first.pid();
    let first = first.end();
    // Where the second one has to run it after all, nobody holds it.
    puppet.retire();
    let second = second.end();
    let waited = second.waited("t");
    assert_eq!(waited, [format!("pid {first_pid} (`weir run t`)")], "{}", second.shown());
    (first, second)
}

#[test]
fn the_second_says_whom_it_waits_for_and_takes_the_firsts_result() {
    for keys in [
        "sources = ['in']\noutputs = ['out']",
        "sources = ['in']\noutputs = []",
        "sources = ['in']",
        "sources = ['in']\nstate = 'cat out'",
    ] {
        let ws = held(keys);
        let (first, second) = both(&ws);
        first.success().tasks("t ran");
        let second = second.success().tasks("t skips, after ran").says("printed");
        assert!(second.out.contains("t waits for pid "), "{}", second.shown());
        assert_eq!((ws.count("t"), ws.count("after")), (1, 1), "{keys}");
        ws.run("after").tasks("t fresh, after fresh");
    }
}

#[test]
fn a_failure_of_the_first_is_no_result() {
    let ws = held("sources = ['in']\noutputs = ['out']");
    std::fs::write(ws.outside("fails"), "").unwrap();
    let (first, second) = both(&ws);
    first.exit(1);
    second.exit(1).tasks("t failed, after skipped");
    assert_eq!(ws.count("t"), 2);
}

#[test]
fn what_always_runs_runs_in_both_but_never_at_once() {
    let ws = held("");
    let (puppet, first, second) = two(&ws);
    assert_eq!(ws.count("t"), 1);
    puppet.goes_on();
    first.end().success();
    puppet.goes_on();
    second.end().success().tasks("t ran");
    assert_eq!(ws.count("t"), 2);
}

#[test]
fn when_the_first_is_killed_the_second_runs_it() {
    let ws = held("sources = ['in']\noutputs = ['out']");
    let (puppet, first, second) = two(&ws);
    first.kill();
    puppet.retire();
    second.end().success().tasks("t ran, after ran");
    assert_eq!((ws.count("t"), ws.read("out").as_str()), (2, "a"));
}

#[test]
fn a_waiting_process_can_be_interrupted() {
    let ws = held("sources = ['in']\noutputs = ['out']");
    let (puppet, first, second) = two(&ws);
    second.signal(nix::sys::signal::Signal::SIGINT);
    second.end().exit(130);
    puppet.goes_on();
    first.end().success().tasks("t ran");
    assert_eq!(ws.count("t"), 1);
}

#[test]
fn the_second_judges_by_the_inputs_as_they_are_when_its_turn_comes() {
    let ws = held("sources = ['in']\noutputs = ['out']");
    let (puppet, first, second) = two(&ws);
    // The first has read `a` and will copy `b`; its result does not count.
    ws.write("in", "b");
    puppet.goes_on();
    first.end().success();
    puppet.goes_on();
    second.end().success().tasks("t ran");
    assert_eq!(ws.read("out"), "b");
    puppet.retire();
    ws.run("t").tasks("t fresh");
}

#[test]
fn different_tasks_run_side_by_side_and_all_are_recorded() {
    let mut text = String::new();
    for task in ["a", "b", "c"] {
        text.push_str(&format!(
            "[tasks.{task}]\nrun = '../pause {task}; echo {task} > {task}.out'\nsources = []\noutputs = ['{task}.out']\n"
        ));
    }
    let ws = Workspace::new(&text);
    let puppets: Vec<Puppet> = ["a", "b", "c"].iter().map(|task| ws.puppet(task)).collect();
    let runs: Vec<Running> = ["a", "b", "c"].iter().map(|task| ws.weir(&["run", task]).spawn()).collect();
    for puppet in &puppets {
        puppet.arrives();
    }
    for puppet in puppets.iter().rev() {
        puppet.goes_on();
    }
    for run in runs {
        run.end().success();
    }
    ws.run("a b c").tasks("a fresh, b fresh, c fresh");
}

#[test]
fn declared_locks_hold_between_processes_too() {
    let ws = Workspace::new(
        "[tasks.a]\nrun = '../pause a'\nlocks = ['one']\n\
         [tasks.b]\nrun = 'echo x >> ../b.ran'\nlocks = ['one', 'two']",
    );
    let puppet = ws.puppet("a");
    let first = ws.weir(&["run", "a"]).spawn();
    puppet.arrives();
    let mut second = ws.weir(&["run", "b"]).spawn();
    second.wait_for("waits for");
    assert_eq!(ws.count("b"), 0);
    puppet.goes_on();
    first.end().success();
    let second = second.end().success().tasks("b ran");
    assert_eq!(second.waited("b").len(), 1);
}

#[test]
fn what_another_process_did_meanwhile_is_not_missed_by_one_that_runs_already() {
    // The early one judges `t` only after the late one has come and gone.
    let ws = Workspace::new(
        "[tasks.gate]\nrun = '../pause gate'\n\
         [tasks.t]\nrun = 'echo x >> ../t.ran; cp in out'\nsources = ['in']\nwait_for = ['gate']",
    );
    ws.write("in", "a");
    ws.run("t");
    let puppet = ws.puppet("gate");
    let early = ws.weir(&["run", "gate", "t"]).spawn();
    puppet.arrives();
    ws.write("in", "b");
    ws.run("t").tasks("t ran");
    ws.write("in", "a");
    puppet.goes_on();
    // The last result is the one for `b`, and nobody knows what it did.
    early.end().success().tasks("gate ran, t ran");
    assert_eq!((ws.count("t"), ws.read("out").as_str()), (3, "a"));
}

#[test]
fn what_another_process_did_between_judging_and_locking_is_not_done_again() {
    // With one job the early one has judged `t` and keeps it until `slow` has ended; nobody holds its lock by then.
    let ws = Workspace::new(
        "[tasks.slow]\nrun = '../pause slow'\n\
         [tasks.t]\nrun = 'echo x >> ../t.ran; cp in out'\nsources = ['in']\noutputs = ['out']",
    );
    ws.write("in", "a");
    let puppet = ws.puppet("slow");
    let early = ws.weir(&["run", "-j1", "t", "slow"]).spawn();
    puppet.arrives();
    ws.run("t").tasks("t ran");
    puppet.goes_on();
    early.end().success().tasks("slow ran, t skips");
    assert_eq!(ws.count("t"), 1);
}

#[test]
fn a_forced_second_runs_it_again_after_the_first() {
    let ws = held("sources = ['in']\noutputs = ['out']");
    let puppet = ws.puppet("t");
    let first = ws.weir(&["run", "t"]).spawn();
    puppet.arrives();
    let mut second = ws.weir(&["run", "-f", "t"]).spawn();
    second.wait_for("waits for");
    assert_eq!(ws.count("t"), 1);
    puppet.goes_on();
    first.end().success();
    puppet.goes_on();
    second.end().success().tasks("t ran");
    assert_eq!(ws.count("t"), 2);
}

#[test]
fn one_task_with_different_arguments_never_runs_twice_at_once() {
    // In one run that is refused, because both would write the same outputs.
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'echo x >> ../t.ran; ../pause t; echo $1 > out'\nsources = []\noutputs = ['out']",
    );
    let puppet = ws.puppet("t");
    let first = ws.weir(&["run", "t", "--", "a"]).spawn();
    puppet.arrives();
    let mut second = ws.weir(&["run", "t", "--", "b"]).spawn();
    wait_until("the second one waits or runs", || second.printed().contains("waits for") || ws.count("t") == 2);
    assert_eq!(ws.count("t"), 1, "both run at once");
    second.wait_for("waits for");
    puppet.goes_on();
    first.end().success().tasks("t a ran");
    puppet.goes_on();
    second.end().success().tasks("t b ran");
    assert_eq!(ws.read("out"), "b\n");
}

#[test]
fn what_fails_last_is_the_last_result_though_another_call_of_the_task_ended_well_meanwhile() {
    // One task of unknown effects, called with two arguments by two processes.
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'echo x >> ../t.ran; ../pause $1; echo $1 > out; test ! -e ../fails.$1'\nsources = []",
    );
    std::fs::write(ws.outside("fails.b"), "").unwrap();
    let (a, b) = (ws.puppet("a"), ws.puppet("b"));
    let first = ws.weir(&["run", "t", "--", "a"]).spawn();
    a.arrives();
    let second = ws.weir(&["run", "t", "--", "b"]).spawn();
    wait_until("the second one waits or runs", || second.printed().contains("waits for") || b.is_there());
    a.goes_on();
    first.end().success();
    b.goes_on();
    second.end().exit(1);
    a.retire();
    // `b` has overwritten what `a` left.
    ws.run("t -- a").tasks("t a ran");
    assert_eq!(ws.read("out"), "a\n");
}
