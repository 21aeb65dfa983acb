//! `proof.crash`: a service that is killed in the middle of its work and started again, and what is said where that
//! proves nothing, or something else.

use crate::more::{all_end, pids};
use crate::support::{Ran, Workspace, alive};
use nix::sys::signal::Signal;
use std::collections::BTreeSet;

/// Two steps, each with a mark and a line in a journal. It stays between them until it is killed; started again, it
/// does what is not on record.
const SERVER: &str = r#"#!/usr/bin/env bash
set -eu
state=state/$WEIR_ATTEMPT_ID
mkdir -p $state
echo $$ >> ../pids
again=; [ -e $state/begun ] && again=again
hold() { sleep 600 & echo $! >> ../pids; wait; }
step() { grep -qsx $1 $state/journal && return; printf '%s ' $1 >> $state/marks; echo $1 >> $state/journal; }
#BEFORE
echo listening $again
until [ -e $state/begun ]; do sleep 0.02; done
step s1
echo "s1 is done"
#BETWEEN
[ -n "$again" ] || hold
step s2
echo SUCCESS > $state/status
#AFTER
hold
"#;

/// The parameters, of which some can be replaced.
const WITH: [(&str, &str); 5] = [
    ("service", "'srv'"),
    ("trigger", "'touch state/$WEIR_ATTEMPT_ID/begun'"),
    ("after", "{ command = 'grep -qx s1 state/$WEIR_ATTEMPT_ID/journal' }"),
    ("settle", "{ command = 'cat state/$WEIR_ATTEMPT_ID/marks', equals = 's1 s2', stable = '300ms' }"),
    ("assert", "'grep -qx SUCCESS state/$WEIR_ATTEMPT_ID/status'"),
];

fn with(changed: &[(&str, &str)]) -> String {
    let of = |(name, value): &(&'static str, &'static str)| {
        let value = changed.iter().find(|(other, _)| other == name).map_or(*value, |(_, value)| value).to_owned();
        (!value.is_empty()).then(|| format!("{name} = {value}\n"))
    };
    let others = changed.iter().filter(|(name, _)| WITH.iter().all(|(known, _)| known != name));
    let others = others.map(|(name, value)| format!("{name} = {value}\n"));
    WITH.iter().filter_map(of).chain(others).collect()
}

fn tasks(changed: &[(&str, &str)]) -> String {
    format!(
        "[tasks.srv]\nexec = ['./srv']\nservice = {{ ready = {{ log = 'listening', timeout = '20s' }} }}\n\
         [tasks.proof]\nuses = 'proof.crash'\n[tasks.proof.with]\n{}",
        with(changed)
    )
}

/// A workspace whose server has something more in one of its places, if one is named.
fn workspace(place: &str, more: &str, changed: &[(&str, &str)]) -> Workspace {
    let ws = Workspace::new(&tasks(changed));
    ws.write("srv", SERVER.replace(&format!("#{place}\n"), &format!("{more}\n")));
    ws.chmod("srv", 0o755);
    ws
}

/// Whatever process of the server there was is gone.
fn nobody_is_left(ws: &Workspace) {
    let all = std::fs::read_to_string(ws.outside("pids")).unwrap_or_default();
    for pid in all.lines().map(|line| line.parse().unwrap()) {
        assert!(!alive(pid), "{pid} of {all:?}");
    }
}

/// The proof must fail, with this said, and leave nobody.
fn refuted(ws: &Workspace, said: &str) -> Ran {
    let ran = ws.try_run("proof").exit(1).says(said);
    assert_eq!((ran.outcome("proof"), ran.failure("proof")), ("failed", "node"), "{}", ran.shown());
    nobody_is_left(ws);
    ran
}

#[test]
fn a_service_that_goes_on_where_it_was_killed_is_proved_and_that_is_never_cached() {
    let ws = workspace("", "", &[]);
    let ran = ws.run("proof").tasks("proof ran");
    ran.says("`srv` is ready")
        .says("killed with SIGKILL: all of it is gone")
        .says("started again")
        .says("the output came to `s1 s2`")
        .says("the assertion holds");
    // Its own process and a child, and the same again.
    let first = pids(&ws, "pids", 4);
    nobody_is_left(&ws);
    ws.run("proof").tasks("proof ran");
    assert_eq!(pids(&ws, "pids", 8).iter().collect::<BTreeSet<_>>().len(), 8, "{first:?}");
    nobody_is_left(&ws);
    // Each attempt has its own name, and so its own state.
    assert_eq!(ws.files("state").iter().filter(|path| path.ends_with("/status")).count(), 2);
}

#[test]
fn a_service_that_forgets_what_it_did_is_found_out() {
    let settle = "{ command = 'cat state/$WEIR_ATTEMPT_ID/marks', equals = 's1 s2', stable = '300ms', timeout = '2s' }";
    let ws = workspace("BEFORE", "rm -f $state/journal", &[("settle", settle)]);
    refuted(&ws, "the output did not come to `s1 s2` within 2.00s: it prints `s1 s1 s2`")
        .says("at `settle`, ")
        .says("s1 is done");
}

#[test]
fn a_service_that_does_not_get_ready_or_stay_up_is_no_proof() {
    let ws = workspace("BEFORE", "echo 'no disk'; exit 3", &[]);
    refuted(&ws, "at the start, ").says("`srv`: exited with status 3 before it was ready").says("no disk");
    let ws = workspace("BEFORE", "[ -z \"$again\" ] || { echo 'no disk'; exit 3; }", &[]);
    refuted(&ws, "at the restart, ").says("`srv`: exited with status 3 before it was ready").says("no disk");
    // It ends while it is put to work, or the crash is waited for.
    let ws = workspace("BETWEEN", "[ -n \"$again\" ] || { echo 'all done'; exit 0; }", &[("after", "'20s'")]);
    refuted(&ws, "`srv` exited with status 0 before it was killed").says("all done");
    // It ends once it is up again.
    let looked = "rm -f $state/looked; until [ -e $state/looked ]; do sleep 0.02; done";
    let more = format!("[ -z \"$again\" ] || {{ {looked}; echo 'no more'; exit 4; }}");
    let settle =
        "{ command = 'touch state/$WEIR_ATTEMPT_ID/looked; cat state/$WEIR_ATTEMPT_ID/marks', equals = 's1 s2' }";
    let ws = workspace("BETWEEN", &more, &[("settle", settle)]);
    refuted(&ws, "at `settle`, ").says("`srv` exited with status 4 by itself after the restart").says("no more");
}

#[test]
fn a_trigger_that_fails_is_told_from_a_service_that_does() {
    let ws = workspace("", "", &[("trigger", "'echo nobody answers; exit 7'")]);
    refuted(&ws, "at `trigger`, ").says("the trigger failed: exit status 7").says("nobody answers");
}

#[test]
fn a_crash_that_can_not_be_aimed_is_none() {
    let after = "{ command = 'echo not yet >&2; exit 1', timeout = '1s' }";
    let ws = workspace("", "", &[("after", after)]);
    refuted(&ws, "the command did not succeed within 1.00s: it fails: exit status 1 (not yet)").says("at `after`, ");
    let ws = workspace("", "", &[("after", "{ log = 's[3-9] is done', timeout = '1s' }")]);
    refuted(&ws, "no line of `srv` matched `s[3-9] is done` within 1.00s");
    // All was done before it was killed.
    let after = "{ command = 'grep -qx SUCCESS state/$WEIR_ATTEMPT_ID/status' }";
    let ws = workspace("BETWEEN", "again=again", &[("after", after)]);
    refuted(&ws, "all was done before it was killed").says("aim it with `after`").says("at `kill`, ");
}

#[test]
fn the_crash_comes_after_a_line_or_a_time_too() {
    for after in ["{ log = 's1 is d.ne' }", "'300ms'"] {
        let ws = workspace("", "", &[("after", after)]);
        ws.run("proof").tasks("proof ran");
        nobody_is_left(&ws);
    }
    let ws = workspace("BEFORE", "trap 'exit 0' TERM", &[("kill", "'TERM'")]);
    ws.run("proof").tasks("proof ran").says("killed with SIGTERM");
    nobody_is_left(&ws);
}

#[test]
fn a_service_of_which_something_is_left_was_not_killed() {
    let ws = workspace("BEFORE", "trap '' TERM", &[("kill", "'TERM'")]);
    let said = "`srv` got SIGTERM, and not all of its processes ended";
    refuted(&ws, said).says("at `kill`, ").says("leaves it no choice");
    // One in a session of its own, which has the service's output.
    let ws = workspace("BEFORE", "setsid sh -c 'echo $$ >> ../pids; exec sleep 600' &", &[]);
    refuted(&ws, "`srv` got SIGKILL, and not all of its processes ended").says("left its group");
}

#[test]
fn an_output_that_moves_on_has_not_settled() {
    // A step is done once more when it has been seen to be as it should a few times.
    let late = "touch $state/looks; (until [ $(grep -c '' $state/looks) -ge 2 ]; do sleep 0.02; done; printf s1 >> $state/marks) &";
    let settle = "{ command = 'cd state/$WEIR_ATTEMPT_ID; cat marks; if grep -qx \"s1 s2 \" marks; then echo x >> looks; fi', \
                  equals = 's1 s2', stable = '10s', timeout = '11s' }";
    let ws = workspace("AFTER", late, &[("settle", settle)]);
    refuted(&ws, "and left it after ").says("the output came to `s1 s2` after ").says("it prints `s1 s2 s1`");
    // Once it has settled it is looked at a last time.
    let assert = "'printf s2 >> state/$WEIR_ATTEMPT_ID/marks'";
    let ws = workspace("", "", &[("assert", assert)]);
    refuted(&ws, "the output had settled at `s1 s2` and moved: it prints `s1 s2 s2`").says("at `assert`, ");
}

#[test]
fn an_assertion_that_does_not_hold_fails_the_proof() {
    let ws = workspace("", "", &[("assert", "'echo pending; exit 1'")]);
    refuted(&ws, "the assertion failed: exit status 1").says("at `assert`, ").says("pending");
}

#[test]
fn a_proof_has_as_much_time_as_its_task() {
    let ws = workspace("", "", &[("assert", "'../pause assert'")]);
    ws.tasks(&tasks(&[("assert", "'../pause assert'")]).replace("'proof.crash'", "'proof.crash'\ntimeout = '5s'"));
    let _puppet = ws.puppet("assert");
    refuted(&ws, "at `assert`, ").says("its time is up: the task has 5.00s");
}

#[test]
fn an_attempt_that_is_tried_again_has_another_id() {
    let ws = workspace("", "", &[]);
    let assert = "'echo x >> ../asserted.ran; [ $(grep -c x ../asserted.ran) = 2 ]'";
    let tasks = tasks(&[("assert", assert)]);
    ws.tasks(&tasks.replace("'proof.crash'", "'proof.crash'\nretry = { attempts = 2, backoff = '1ms' }"));
    ws.run("proof").tasks("proof ran");
    assert_eq!(ws.files("state").iter().filter(|path| path.ends_with("/status")).count(), 2);
    nobody_is_left(&ws);
}

#[test]
fn an_interrupt_ends_the_service_too() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let ws = workspace("", "", &[("assert", "'../pause assert'")]);
        let puppet = ws.puppet("assert");
        let weir = ws.weir(&["run", "proof"]).spawn();
        let asserting = puppet.arrives();
        weir.signal(signal);
        let ran = weir.end().exit(code).tasks("proof failed");
        assert_eq!(ran.failure("proof"), "interrupted");
        assert!(!alive(asserting));
        nobody_is_left(&ws);
    }
    let ws = workspace("", "", &[("trigger", "'../pause trigger'")]);
    let puppet = ws.puppet("trigger");
    let weir = ws.weir(&["run", "proof"]).spawn();
    puppet.arrives();
    weir.kill();
    all_end(&pids(&ws, "pids", 1));
}

#[test]
fn two_proofs_of_one_service_do_not_meet() {
    let ws = workspace("", "", &[("assert", "'../pause $WEIR_TASK'")]);
    let two = tasks(&[("assert", "'../pause $WEIR_TASK'")]);
    ws.tasks(&format!(
        "{two}[tasks.other]\nuses = 'proof.crash'\n[tasks.other.with]\n{}",
        with(&[("assert", "'../pause $WEIR_TASK'")])
    ));
    let puppets = [ws.puppet("proof"), ws.puppet("other")];
    let weir = ws.weir(&["run", "-j2", "proof", "other"]).spawn();
    puppets.iter().for_each(|puppet| {
        puppet.arrives();
    });
    puppets.iter().for_each(|puppet| puppet.goes_on());
    weir.end().success().tasks("proof ran, other ran");
    assert_eq!(ws.files("state").iter().filter(|path| path.ends_with("/status")).count(), 2);
    nobody_is_left(&ws);
}

#[test]
fn what_is_wrong_with_a_proof_is_said_before_anything_runs() {
    let settle = |more: &str| format!("{{ command = 'c', equals = 'e', {more} }}");
    let long = settle("stable = '1m'");
    for (name, value, said) in [
        ("service", "'srw'", "there is no task `srw`"),
        ("service", "'s*'", "`s*` may be several tasks"),
        ("service", "'proof'", "`proof` crashes `proof`, which is no service"),
        ("service", "'plain'", "`proof` crashes `plain`, which is no service"),
        ("trigger", "''", "an empty string"),
        ("trigger", "", "needs `trigger`"),
        ("settle", "{ command = 'c' }", "`settle` needs `equals`"),
        ("settle", &long, "`stable` is no shorter than `timeout`"),
        ("kill", "'STOP'", "expected `\"KILL\"`"),
        ("after", "'soon'", "`soon` is no duration"),
        ("after", "{ timeout = '1s' }", "`after` does not say what is waited for"),
        ("after", "{ log = '(' }", "`(` is no regular expression"),
        ("after", "{ log = 'a', command = 'b' }", "beside another sign"),
        ("before", "'1s'", "unknown key `before`"),
    ] {
        let ws = workspace("", "", &[]);
        ws.tasks(&format!("[tasks.plain]\nrun = 'true'\n{}", tasks(&[(name, value)])));
        ws.try_run("proof").exit(2).says(said);
        assert!(!ws.outside("pids").exists());
    }
}
