//! Law 11: inputs are read before the run and checked after it. If one changed in between, the task
//! passes, but its result is not recorded, taints, and the report says which file.

use crate::support::{Ran, Workspace, wait_until};

/// `t` copies its source and is then held; `after` depends on it.
const HELD: &str = "
[tasks.t]
run = 'echo x >> ../t.ran; cat src/* > out; ../pause t'
sources = ['src']
outputs = ['out']
[tasks.after]
run = 'echo x >> ../after.ran; cp out copy'
sources = []
outputs = ['copy']
depends = ['t']
";

fn held() -> Workspace {
    let ws = Workspace::new(HELD);
    ws.write("src/a", "one");
    ws.write("src/b", "");
    ws
}

/// Runs `after` and makes a change while `t` runs.
fn changed_meanwhile(ws: &Workspace, change: impl FnOnce()) -> Ran {
    let puppet = ws.puppet("t");
    let weir = ws.weir(&["run", "after"]).spawn();
    puppet.arrives();
    change();
    puppet.goes_on();
    let ran = weir.end();
    puppet.retire();
    ran
}

fn is_told(ran: &Ran, task: &str, file: &str) {
    let told: Vec<_> = ran.notices(task).into_iter().filter(|(code, _)| code == "inputs-changed").collect();
    assert_eq!(told.len(), 1, "{}", ran.shown());
    assert!(told[0].1.contains(&format!("`{file}`")), "{}", ran.shown());
    assert!(ran.out.contains(&format!("`{file}`")), "{}", ran.shown());
}

fn is_seen(file: &str, change: impl FnOnce(&Workspace)) {
    let ws = held();
    let ran = changed_meanwhile(&ws, || change(&ws)).success().tasks("t ran, after ran");
    is_told(&ran, "t", file);
    // Neither is on record: `after` was tainted.
    ws.run("after").tasks("t ran, after ran");
    let whole: String = ws.files("src").iter().map(|file| ws.read(file)).collect();
    assert_eq!(ws.read("copy"), whole);
    ws.run("after").tasks("t fresh, after fresh");
}

#[test]
fn a_source_edited_during_the_run_is_seen() {
    is_seen("src/a", |ws| ws.write("src/a", "two"));
}

#[test]
fn a_source_replaced_during_the_run_is_seen() {
    is_seen("src/a", |ws| {
        let before = ws.modified("src/a");
        ws.write("fresh", "two");
        ws.set_modified("fresh", before);
        ws.rename("fresh", "src/a");
    });
}

#[test]
fn a_source_added_during_the_run_is_seen() {
    is_seen("src/c", |ws| ws.write("src/c", "three"));
}

#[test]
fn a_source_removed_during_the_run_is_seen() {
    is_seen("src/b", |ws| ws.remove("src/b"));
}

#[test]
fn a_source_made_executable_during_the_run_is_seen() {
    is_seen("src/a", |ws| ws.chmod("src/a", 0o755));
}

#[test]
fn a_source_edited_and_put_back_during_the_run_is_seen() {
    // The task may have read what was there in between.
    is_seen("src/a", |ws| {
        ws.write("src/a", "two");
        ws.write("src/a", "one");
    });
}

#[test]
fn without_a_change_the_result_is_recorded_and_nothing_is_said() {
    let ws = held();
    let ran = changed_meanwhile(&ws, || ws.write("unrelated", "")).success();
    assert_eq!(ran.told(), []);
    ws.run("after").tasks("t fresh, after fresh");
}

#[test]
fn after_the_change_neither_the_old_nor_the_new_input_has_a_result() {
    let ws = held();
    changed_meanwhile(&ws, || ws.write("src/a", "two")).success();
    ws.write("src/a", "one");
    ws.run("t").tasks("t ran");
    assert_eq!(ws.read("out"), "one");
    ws.write("src/a", "two");
    ws.run("t").tasks("t ran");
    assert_eq!(ws.read("out"), "two");
}

#[test]
fn a_task_that_changes_its_own_source_is_not_recorded() {
    let ws = Workspace::new("[tasks.t]\nrun = 'echo x >> ../t.ran; echo more >> in'\nsources = ['in']\noutputs = []");
    ws.write("in", "");
    for round in 1..=3 {
        let ran = ws.run("t").tasks("t ran");
        is_told(&ran, "t", "in");
        assert_eq!(ws.count("t"), round);
    }
}

fn dependencys_output_changed(gen_keys: &str, depends: &str) {
    // What a dependency leaves is an input as well, though `t` need not list it.
    let ws = Workspace::new(&format!(
        "[tasks.gen]\nrun = 'cp in gen.out'\noutputs = ['gen.out']\n{gen_keys}\n\
         [tasks.group]\ndepends = ['gen']\n[tasks.steps]\nsequence = [['group']]\n\
         [tasks.t]\nrun = '../pause t; cat gen.out > out'\nsources = []\noutputs = ['out']\ndepends = ['{depends}']"
    ));
    ws.write("in", "right");
    let puppet = ws.puppet("t");
    let weir = ws.weir(&["run", "t"]).spawn();
    puppet.arrives();
    ws.write("gen.out", "wrong");
    puppet.goes_on();
    let ran = weir.end().success();
    puppet.retire();
    assert_eq!(ws.read("out"), "wrong");
    let told = ran.notices("t");
    assert!(told.iter().any(|(_, message)| message.contains("gen")), "{}", ran.shown());
    // `gen.out` is put right, and what was made of the wrong one must not stay.
    ws.run("t");
    assert_eq!((ws.read("gen.out").as_str(), ws.read("out").as_str()), ("right", "right"));
}

#[test]
fn a_dependencys_output_changed_during_the_run_is_seen() {
    dependencys_output_changed("sources = ['in']", "gen");
}

#[test]
fn a_dependencys_output_changed_during_the_run_is_seen_through_groups() {
    dependencys_output_changed("sources = ['in']", "group");
    dependencys_output_changed("sources = ['in']", "steps");
}

#[test]
fn an_always_run_dependencys_output_changed_during_the_run_is_seen() {
    dependencys_output_changed("", "gen");
}

#[test]
fn a_dependencys_output_written_again_during_the_run_is_seen() {
    // Half-written for a while by another weir, say, and whole again in the end.
    let ws = Workspace::new(
        "[tasks.gen]\nrun = 'cp in gen.out'\nsources = ['in']\noutputs = ['gen.out']\n\
         [tasks.t]\nrun = '../pause one; cat gen.out > out; ../pause two'\nsources = []\noutputs = ['out']\ndepends = ['gen']",
    );
    ws.write("in", "right");
    let (one, two) = (ws.puppet("one"), ws.puppet("two"));
    let weir = ws.weir(&["run", "t"]).spawn();
    one.arrives();
    ws.write("gen.out", "ri");
    one.goes_on();
    two.arrives();
    ws.write("gen.out", "right");
    two.goes_on();
    weir.end().success();
    one.retire();
    two.retire();
    ws.run("t");
    assert_eq!(ws.read("out"), "right");
}

/// `late` is judged (it asks its probe) when `second` has ended, and then waits for the lock that
/// `first` has. Its input changes before it runs; what it makes of that must not pass for what the
/// old input gives.
fn changed_between_judging_and_running(keys: &str, command: &str, change: impl Fn(&Workspace, &str)) {
    let ws = Workspace::new(&format!(
        "[tasks.first]\nrun = '../pause first'\nlocks = ['one']\n\
         [tasks.second]\nrun = '../pause second'\n\
         [tasks.late]\nrun = '{command} > out'\noutputs = ['out']\nlocks = ['one']\n\
         depends = [{{ task = 'second', order_only = true }}]\n{keys}"
    ));
    change(&ws, "one");
    let (first, second) = (ws.puppet("first"), ws.puppet("second"));
    let weir = ws.weir(&["run", "-j", "3", "first", "late"]).spawn();
    first.arrives();
    second.goes_on();
    wait_until("`late` is judged", || ws.count("asked") > 0);
    change(&ws, "two");
    first.goes_on();
    weir.end().success();
    first.retire();
    second.retire();
    for input in ["one", "two", "one"] {
        change(&ws, input);
        ws.run("late");
        assert_eq!(ws.read("out"), format!("{input}\n"), "{keys}");
    }
    ws.run("late").tasks("late fresh");
}

#[test]
fn a_source_edited_between_judging_and_running_is_seen_or_used() {
    changed_between_judging_and_running(
        "sources = ['in']\nprobes = ['echo x >> ../asked.ran']",
        "cat in",
        |ws, input| ws.write("in", format!("{input}\n")),
    );
}

#[test]
fn an_env_file_edited_between_judging_and_running_is_seen_or_used() {
    changed_between_judging_and_running(
        "sources = []\nprobes = ['echo x >> ../asked.ran']\nenv_file = ['.env']",
        "echo $V",
        |ws, input| {
            ws.write(".env", format!("V={input}\n"));
        },
    );
}

#[test]
fn a_probe_that_answers_otherwise_between_judging_and_running_is_seen_or_used() {
    changed_between_judging_and_running(
        "sources = []\nprobes = ['cat ../answer; echo x >> ../asked.ran']",
        "cat ../answer",
        |ws, input| {
            std::fs::write(ws.outside("answer"), format!("{input}\n")).unwrap();
        },
    );
}

#[test]
fn a_program_replaced_between_judging_and_running_is_seen_or_used() {
    changed_between_judging_and_running(
        "sources = []\nprobes = ['echo x >> ../asked.ran']\npath = ['bin']\nrequires = ['tool']",
        "tool",
        |ws, input| {
            ws.write("fresh", format!("#!/bin/sh\necho {input}\n"));
            ws.chmod("fresh", 0o755);
            std::fs::create_dir_all(ws.path("bin")).unwrap();
            ws.rename("fresh", "bin/tool");
        },
    );
}

#[test]
fn an_edit_before_a_retry_is_used() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'echo x >> ../t.ran; ../pause t; cp in out; test $(wc -l < ../t.ran) -ge 2'\nsources = ['in']\noutputs = ['out']\nretry = { attempts = 2, backoff = '1ms' }",
    );
    ws.write("in", "one");
    let puppet = ws.puppet("t");
    let weir = ws.weir(&["run", "t"]).spawn();
    puppet.arrives();
    ws.write("in", "two");
    puppet.goes_on();
    puppet.goes_on();
    weir.end().success().tasks("t ran");
    puppet.retire();
    ws.run("t");
    assert_eq!(ws.read("out"), "two");
    ws.write("in", "one");
    ws.run("t").tasks("t ran");
    assert_eq!(ws.read("out"), "one");
}
