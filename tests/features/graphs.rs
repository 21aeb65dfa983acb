//! Edges of every kind: groups, sequences, cleanup, `wait_for`, `order_only`, `optional`, `writes`,
//! `manual`, `alias`, `hide`.

use crate::more::refused;
use crate::support::Workspace;

fn order(ws: &Workspace) -> Vec<String> {
    std::fs::read_to_string(ws.outside("order")).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// A task that notes when it runs, after it was held by the puppet of its name, if there is one.
fn task(name: &str, keys: &str) -> String {
    format!("[tasks.{name}]\nrun = '../pause {name}; echo {name} >> ../order'\n{keys}\n")
}

#[test]
fn a_sequence_orders_steps_and_what_only_they_need() {
    let ws = Workspace::new(
        &[
            task("one", "depends = ['base']"),
            task("two-a", "depends = ['for-two', 'base']"),
            task("two-b", ""),
            task("three", ""),
            task("base", ""),
            task("for-two", ""),
            task("aside", ""),
            "[tasks.all]\nsequence = ['one', ['two-a', 'two-b'], 'three']\n".into(),
        ]
        .concat(),
    );
    let puppet = ws.puppet("one");
    let mut weir = ws.weir(&["run", "-j8", "all", "aside"]).spawn();
    puppet.arrives();
    weir.wait_for("aside");
    assert!(order(&ws).iter().all(|name| name == "base" || name == "aside"), "{:?}", order(&ws));
    puppet.goes_on();
    weir.end().success();
    let order = order(&ws);
    let at = |name: &str| order.iter().position(|other| other == name).unwrap();
    assert!(at("base") < at("one") && at("one") < at("for-two") && at("for-two") < at("two-a"), "{order:?}");
    assert!(at("one") < at("two-b") && at("two-a") < at("three") && at("two-b") < at("three"), "{order:?}");
    assert_eq!(order.len(), 7);
}

#[test]
fn a_failing_step_ends_a_sequence() {
    let ws = Workspace::new(
        &["[tasks.bad]\nrun = 'exit 1'\n".into(), task("next", ""), "[tasks.all]\nsequence = ['bad', 'next']".into()]
            .concat(),
    );
    for words in ["all", "-k all"] {
        ws.try_run(words).exit(1).tasks("bad failed, next skipped");
    }
    assert!(order(&ws).is_empty());
}

#[test]
fn a_group_is_transparent_and_does_nothing() {
    let ws = Workspace::new(
        &[task("a", ""), task("b", ""), "[tasks.g]\ndepends = ['a', 'b']\n".into(), task("after", "depends = ['g']")]
            .concat(),
    );
    ws.run("-j1 after").tasks("a ran, b ran, after ran");
    assert_eq!(order(&ws).last().unwrap(), "after");
}

#[test]
fn globs_of_names_take_all_but_manual_tasks() {
    let ws = Workspace::new(
        &[
            task("\"test:a\"", ""),
            task("\"test:b\"", ""),
            task("\"test:m\"", "manual = true"),
            "[tasks.\"test:all\"]\ndepends = ['test:*']\n".into(),
        ]
        .concat(),
    );
    let ran = ws.run("test:all").tasks("test:a ran, test:b ran");
    ran.says_nothing_of("test:m");
    ws.run("test:?").tasks("test:a ran, test:b ran").says_nothing_of("test:m");
    ws.run("test:m").tasks("test:m ran");
    ws.try_run("nothing:*").exit(2).says("nothing:*");
}

#[test]
fn cleanup_runs_if_its_task_was_started_and_ended_so() {
    for (end, always, failure, success, code) in [("true", 1, 0, 1, 0), ("exit 1", 1, 1, 0, 1)] {
        let ws = Workspace::new(&format!(
            "[tasks.t]\nrun = 'echo x >> ../t.ran; {end}'\nsources = []\noutputs = []\n\
             depends_post = ['always', {{ task = 'failure', when = 'failure' }}, {{ task = 'success', when = 'success' }}]\n\
             [tasks.always]\nrun = 'test -e ../t.ran && echo x >> ../always.ran'\ndepends = ['tool']\n\
             [tasks.failure]\nrun = 'echo x >> ../failure.ran'\n[tasks.success]\nrun = 'echo x >> ../success.ran'\n\
             [tasks.tool]\nrun = 'echo x >> ../tool.ran'"
        ));
        ws.try_run("t").exit(code);
        let counts = || (ws.count("always"), ws.count("failure"), ws.count("success"), ws.count("tool"));
        assert_eq!(counts(), (always, failure, success, 1), "{end}");
        if code == 0 {
            // Fresh: it was not started, and there is nothing to clean up.
            ws.run("t").tasks("t fresh, always skipped, tool skipped");
            assert_eq!(counts(), (always, failure, success, 1));
        }
    }
}

#[test]
fn a_failing_cleanup_fails_the_run() {
    let ws = Workspace::new("[tasks.t]\nrun = 'true'\ndepends_post = ['tidy']\n[tasks.tidy]\nrun = 'exit 4'");
    ws.try_run("t").exit(1).tasks("t ran, tidy failed");
}

#[test]
fn waiting_for_a_task_does_not_bring_it_in() {
    let ws = Workspace::new(&[task("a", ""), task("b", "wait_for = ['a', 'g:*']"), task("\"g:x\"", "")].concat());
    ws.run("b").says_nothing_of(" a ");
    assert_eq!(order(&ws), ["b"]);
    let (a, g) = (ws.puppet("a"), ws.puppet("g:x"));
    let weir = ws.weir(&["run", "-j4", "b", "a", "g:x"]).spawn();
    a.arrives();
    g.goes_on();
    a.goes_on();
    weir.end().success();
    assert_eq!(order(&ws).last().unwrap(), "b");
}

#[test]
fn waiting_does_not_block_when_the_other_fails_and_order_only_does() {
    let ws = Workspace::new(
        &[
            "[tasks.bad]\nrun = 'exit 1'\n".into(),
            task("waits", "wait_for = ['bad']"),
            task("needs", "depends = [{ task = 'bad', order_only = true }]"),
        ]
        .concat(),
    );
    ws.try_run("-k bad waits needs").exit(1).tasks("bad failed, waits ran, needs skipped");
}

#[test]
fn an_optional_edge_may_lead_nowhere() {
    let ws = Workspace::new(&task(
        "t",
        "depends = [{ task = 'gone', optional = true }, { task = 'gen:*', optional = true }]",
    ));
    ws.run("t").tasks("t ran");
    let ws = Workspace::new(&[task("t", "depends = [{ task = 'here', optional = true }]"), task("here", "")].concat());
    ws.run("t").tasks("here ran, t ran");
}

#[test]
fn who_reads_what_another_writes_goes_after_it_in_the_same_run() {
    let ws = Workspace::new(
        "[tasks.fmt]\nrun = '../pause fmt; echo formatted > src/a'\nwrites = ['src']\n\
         [tasks.lint]\nrun = 'cat src/a > ../linted; echo x >> ../lint.ran'\nsources = ['src']\noutputs = []\n\
         [tasks.aside]\nrun = 'true'",
    );
    ws.write("src/a", "raw\n");
    let puppet = ws.puppet("fmt");
    let mut weir = ws.weir(&["run", "-j4", "lint", "fmt", "aside"]).spawn();
    puppet.arrives();
    weir.wait_for("aside");
    assert_eq!(ws.count("lint"), 0);
    puppet.goes_on();
    weir.end().success();
    puppet.retire();
    assert_eq!(std::fs::read_to_string(ws.outside("linted")).unwrap(), "formatted\n");
    // It wrote the same again: what reads it is fresh.
    ws.run("lint fmt").tasks("fmt ran, lint fresh");
    // Alone it waits for nobody.
    ws.run("lint").tasks("lint fresh");
}

#[test]
fn aliases_stand_for_tasks_and_hidden_ones_are_not_listed() {
    let ws = Workspace::new(
        &[
            task("build", "alias = ['b', 'make']\ndescription = 'Makes it'"),
            task("secret", "hide = true"),
            task("t", "depends = ['make']"),
        ]
        .concat(),
    );
    ws.run("b").tasks("build ran");
    ws.run("t").tasks("build ran, t ran");
    ws.weir::<&str>(&[]).ok().says("build").says("Makes it (also b, make)").says_nothing_of("secret");
    ws.weir(&["tasks", "ls", "--all"]).ok().says("secret");
    ws.run("secret").tasks("secret ran");
}

#[test]
fn a_task_is_run_once_however_often_it_is_needed() {
    let ws = Workspace::new(
        &[
            task("base", ""),
            task("a", "depends = ['base']"),
            task("b", "depends = ['base', 'a']"),
            "[tasks.g]\ndepends = ['*']\n".into(),
        ]
        .concat(),
    );
    ws.run("-j4 g a b base g");
    let mut all = order(&ws);
    all.sort_unstable();
    assert_eq!(all, ["a", "b", "base"]);
}

#[test]
fn orders_that_contradict_each_other_are_refused() {
    let ws = Workspace::new(
        &[task("a", ""), task("b", ""), "[tasks.x]\nsequence = ['a', 'b']\n[tasks.y]\nsequence = ['b', 'a']\n".into()]
            .concat(),
    );
    refused(&ws, ws.try_run("x y"));
}
