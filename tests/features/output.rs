//! What people and machines see: modes, colours, GitHub, reports.

use crate::more::{json, script};
use crate::support::Workspace;
use serde_json::Value;
use std::fs;

/// Two tasks that are made to print by turns, and one that fails.
fn workspace() -> Workspace {
    Workspace::new(
        "[tasks.a]\nrun = 'echo a one; ../pause a; echo a two'\n\
         [tasks.b]\nrun = '../pause b; echo b one; ../pause b2; echo b two >&2'\n\
         [tasks.bad]\nrun = 'echo sorry; exit 2'\nhelp = 'ask bob'\n[tasks.fine]\nrun = 'echo calm'",
    )
}

/// Runs `a` and `b` so that `b` prints between the lines of `a`.
fn by_turns(mode: &str) -> String {
    let ws = workspace();
    let (a, b, b2) = (ws.puppet("a"), ws.puppet("b"), ws.puppet("b2"));
    let weir = ws.weir(&["run", "-j2", "--output", mode, "a", "b"]).spawn();
    a.arrives();
    b.goes_on();
    b2.arrives();
    a.goes_on();
    b2.goes_on();
    weir.end().success().out
}

#[test]
fn grouped_output_is_in_one_piece() {
    let out = by_turns("grouped");
    assert!(out.contains("a one\na two\n") && out.contains("b one\nb two\n"), "{out}");
}

#[test]
fn prefixed_output_names_its_task_on_every_line() {
    let out = by_turns("prefixed");
    for line in ["a | a one", "a | a two", "b | b one", "b | b two"] {
        assert!(out.lines().any(|shown| shown == line), "no `{line}`: {out}");
    }
}

#[test]
fn streamed_output_comes_while_the_task_runs() {
    for (mode, line) in [("stream", "a one"), ("prefixed", "a | a one")] {
        let ws = workspace();
        let puppet = ws.puppet("a");
        let mut weir = ws.weir(&["run", "--output", mode, "a"]).spawn();
        puppet.arrives();
        weir.wait_for(line);
        puppet.goes_on();
        weir.end().success();
    }
}

#[test]
fn quiet_output_is_of_failures_alone() {
    let ws = workspace();
    let ran = ws.try_run("-k --output quiet fine bad").exit(1).says_nothing_of("calm");
    assert_eq!(ran.out.matches("sorry").count(), 1, "{}", ran.shown());
    ran.says("ask bob").says("failed: `bad` (exit status 2)");
}

#[test]
fn colours_are_for_terminals_or_who_forces_them() {
    let ws = workspace();
    let colours = |pairs: &[(&str, &str)]| {
        let call = ws.weir(&["run", "-k", "fine", "bad"]);
        let ran = pairs.iter().fold(call, |call, (name, value)| call.env(name, value)).go();
        let wrong = pairs.iter().fold(ws.weir(&["run", "no-such"]), |call, (name, value)| call.env(name, value)).go();
        assert_eq!(ran.out.contains("\x1b["), wrong.err.contains("\x1b["), "{}{}", ran.shown(), wrong.shown());
        ran.out.contains("\x1b[")
    };
    assert!(!colours(&[]));
    assert!(colours(&[("CLICOLOR_FORCE", "1")]));
    assert!(!colours(&[("CLICOLOR_FORCE", "0")]));
    assert!(!colours(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    assert!(colours(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "")]));
}

#[test]
fn github_gets_groups_annotations_and_a_summary() {
    let ws = workspace();
    let summary = ws.outside("summary.md");
    let ran = ws
        .weir(&["run", "-k", "fine", "bad"])
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", &summary)
        .go()
        .exit(1);
    assert_eq!(ran.out.matches("::group::").count(), ran.out.matches("::endgroup::").count(), "{}", ran.shown());
    let ran = ran.says("::group::").says("::error title=bad::`bad` failed: exit status 2%0Ahelp: ask bob");
    let text = fs::read_to_string(&summary).unwrap();
    assert!(text.contains("weir: failed") && text.contains("bad") && text.contains("sorry"), "{text}\n{}", ran.shown());
    ws.try_run("-k fine bad").says_nothing_of("::group::");
}

#[test]
fn a_report_tells_how_each_task_ended() {
    let ws = Workspace::new(
        "[tasks.ok]\nrun = 'true'\nsources = []\noutputs = []\n[tasks.bad]\nrun = 'exit 2'\n[tasks.after]\nrun = 'true'\ndepends = ['bad']\n\
         [tasks.warns]\nrun = 'exit 3'\non_fail = 'warn'",
    );
    ws.run("ok");
    ws.try_run("-k --report sub-report.json ok bad after warns").exit(1);
    let report: Value = serde_json::from_str(&ws.read("sub-report.json")).unwrap();
    assert_eq!((&report["exit_code"], &report["first_failure"]), (&1.into(), &"bad".into()));
    let outcome = |name: &str| {
        let tasks = report["tasks"].as_array().unwrap();
        tasks.iter().find(|task| task["task"] == name).unwrap()["outcome"].clone()
    };
    assert_eq!(
        [outcome("ok"), outcome("bad"), outcome("after"), outcome("warns")],
        ["fresh", "failed", "skipped", "failed"]
    );
    assert_eq!(report["warnings"], serde_json::json!(["warns"]));
    assert_eq!(report["blocked"][0]["by"], "bad");
    let totals = &report["totals"];
    assert_eq!([&totals["fresh"], &totals["failed"], &totals["warned"], &totals["blocked"]], [1, 1, 1, 1]);
    // Every key of it is in the schema.
    let schema = json(&ws.weir(&["schema", "report"]).ok());
    for key in report.as_object().unwrap().keys() {
        assert!(schema["properties"].get(key).is_some(), "{key}");
    }
    ws.run("-n --report dry.json ok bad");
    let dry: Value = serde_json::from_str(&ws.read("dry.json")).unwrap();
    assert_eq!(dry["dry_run"], true);
    let verdicts: std::collections::BTreeMap<&str, &str> = dry["judged"]
        .as_array()
        .unwrap()
        .iter()
        .map(|judged| (judged["task"].as_str().unwrap(), judged["verdict"].as_str().unwrap()))
        .collect();
    assert_eq!(verdicts, [("ok", "fresh"), ("bad", "run")].into());
}

#[test]
fn a_report_that_can_t_be_written_is_said() {
    let ws = workspace();
    let ran = ws.try_run("--report nowhere/at/all.json fine").says("nowhere/at/all.json");
    assert!(ran.err.contains("fail") || ran.out.contains("fail"), "{}", ran.shown());
}

#[test]
fn a_line_without_an_end_does_not_swallow_what_follows() {
    let ws = Workspace::new("[tasks.a]\nrun = 'printf \"no end\"'\n[tasks.b]\nrun = 'echo b'\ndepends = ['a']");
    for mode in ["grouped", "prefixed", "stream"] {
        let ran = script(&ws, &format!("\"$WEIR\" run --output {mode} b")).exit(0);
        let out = String::from_utf8(ran.out).unwrap();
        assert!(out.lines().any(|line| line.ends_with("no end")), "{mode}: {out}");
    }
}

#[test]
fn explain_says_of_each_task_why_it_runs() {
    let ws = Workspace::new(
        "[tasks.a]\nrun = 'true'\n[tasks.b]\nrun = 'true'\nsources = ['in']\noutputs = []\n[tasks.c]\nrun = 'true'\nsources = []\ndepends = ['a']",
    );
    ws.write("in", "1");
    let ran = ws.run("--explain a b c");
    ran.says("it declares no `sources`").says("no result is recorded").says("`a` always runs");
    ws.write("in", "2");
    ws.run("--explain b").says("`in`");
    ws.run("--explain b").says("nothing it depends on has changed");
    ws.run("-n --explain b").says("fresh");
}
