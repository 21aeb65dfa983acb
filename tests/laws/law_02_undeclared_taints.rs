//! Law 2: what depends on an always-run task through a data edge runs again too, unless that task
//! declares `outputs` or `state`. An `order_only` edge orders without tainting. The report says
//! which task tainted which.

use crate::support::Workspace;

/// A task `always` with more keys, and `t` behind it.
fn tainted_by(keys: &str, edge: &str) -> Workspace {
    let ws = Workspace::new(&format!(
        "[tasks.always]\nrun = 'echo x >> ../always.ran; echo same > out'\n{keys}\n\
         [tasks.t]\nrun = 'echo x >> ../t.ran'\nsources = []\noutputs = []\ndepends = [{edge}]"
    ));
    ws.write("in", "a");
    ws
}

#[test]
fn what_depends_on_an_always_run_task_runs_again() {
    for keys in ["", "sources = ['in']\ncache = false", "writes = ['out']"] {
        let ws = tainted_by(keys, "'always'");
        ws.run("t").tasks("always ran, t ran");
        ws.run("t").tasks("always ran, t ran");
        assert_eq!(ws.count("t"), 2, "{keys}");
    }
}

#[test]
fn the_report_says_who_tainted_whom() {
    let ws = tainted_by("", "'always'");
    ws.run("t");
    let ran = ws.run("t");
    assert!(ran.reasons("t").contains(&"tainted".to_owned()), "{}", ran.shown());
    let line = ran.out.lines().find(|line| line.split_whitespace().any(|word| word == "t")).unwrap().to_owned();
    assert!(line.contains("`always`"), "{}", ran.shown());
    ws.run("-n t").says("`always` always runs and declares neither `outputs` nor `state`");
}

#[test]
fn taint_reaches_as_far_as_effects_are_unknown() {
    let ws = Workspace::new(
        "[tasks.always]\nrun = 'true'\n\
         [tasks.middle]\nrun = 'echo x >> ../middle.ran'\nsources = []\ndepends = ['always']\n\
         [tasks.group]\ndepends = ['middle']\n\
         [tasks.verdict]\nrun = 'echo x >> ../verdict.ran'\nsources = []\noutputs = []\ndepends = ['group']\n\
         [tasks.last]\nrun = 'echo x >> ../last.ran'\nsources = []\ndepends = ['verdict']",
    );
    ws.run("last");
    // `verdict` declares what it leaves, and so stops the taint.
    ws.run("last").tasks("middle ran, verdict ran, last fresh");
    assert_eq!((ws.count("middle"), ws.count("verdict"), ws.count("last")), (2, 2, 1));
}

#[test]
fn declared_outputs_decide_instead() {
    let ws = tainted_by("outputs = ['out']", "'always'");
    ws.run("t").tasks("always ran, t ran");
    ws.run("t").tasks("always ran, t fresh");
    assert_eq!((ws.count("always"), ws.count("t")), (2, 1));
}

#[test]
fn declared_outputs_that_change_make_dependents_run() {
    let ws = Workspace::new(
        "[tasks.always]\nrun = 'cp ../now out'\noutputs = ['out']\n\
         [tasks.t]\nrun = 'echo x >> ../t.ran'\nsources = []\noutputs = []\ndepends = ['always']",
    );
    for (now, outcome) in [("a", "ran"), ("a", "fresh"), ("b", "ran"), ("b", "fresh")] {
        std::fs::write(ws.outside("now"), now).unwrap();
        ws.run("t").tasks(&format!("t {outcome}"));
    }
}

#[test]
fn declared_state_decides_instead() {
    let ws = tainted_by("state = 'cat ../now'", "'always'");
    for (now, outcome) in [("a", "ran"), ("a", "fresh"), ("b", "ran"), ("b", "fresh")] {
        std::fs::write(ws.outside("now"), now).unwrap();
        ws.run("t").tasks(&format!("always ran, t {outcome}"));
    }
}

#[test]
fn an_order_only_edge_does_not_taint() {
    let ws = tainted_by("", "{ task = 'always', order_only = true }");
    ws.run("t").tasks("always ran, t ran");
    ws.run("t").tasks("always ran, t fresh");
    assert_eq!(ws.count("t"), 1);
}

#[test]
fn an_order_only_edge_orders() {
    let ws = Workspace::new(
        "[tasks.first]\nrun = 'echo first >> ../order.ran'\n\
         [tasks.t]\nrun = 'echo t >> ../order.ran'\nsources = []\ndepends = [{ task = 'first', order_only = true }]",
    );
    ws.run("-j 4 t");
    assert_eq!(std::fs::read_to_string(ws.outside("order.ran")).unwrap(), "first\nt\n");
}

#[test]
fn a_failure_that_is_only_a_warning_taints() {
    let ws = Workspace::new(
        "[tasks.shaky]\nrun = 'exit 1'\nsources = []\noutputs = []\non_fail = 'warn'\n\
         [tasks.t]\nrun = 'echo x >> ../t.ran'\nsources = []\noutputs = []\ndepends = ['shaky']",
    );
    ws.run("t").tasks("shaky failed, t ran");
    ws.run("t").tasks("shaky failed, t ran");
    assert_eq!(ws.count("t"), 2);
}

#[test]
fn a_group_of_steps_is_transparent_to_taint() {
    let ws = Workspace::new(
        "[tasks.always]\nrun = 'true'\n\
         [tasks.step]\nrun = 'true'\nsources = []\noutputs = []\n\
         [tasks.group]\nsequence = ['always', ['step']]\n\
         [tasks.t]\nrun = 'echo x >> ../t.ran'\nsources = []\noutputs = []\ndepends = ['group']",
    );
    ws.run("t").tasks("always ran, step ran, t ran");
    ws.run("t").tasks("always ran, step fresh, t ran");
}
