//! `weir tasks deps check`: a graph with one fault of each code, and exactly that finding.

use crate::support::Workspace;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use std::collections::BTreeSet;
use weir::graph::audit::codes;

/// A fault: its code, the tasks that show it, and what else there must be on the disk.
struct Fault {
    code: &'static str,
    /// The task it is found at; empty where it is the whole file's.
    task: &'static str,
    tasks: &'static str,
    ground: fn(&Workspace),
}

const PLAIN: fn(&Workspace) = |_| ();

fn git(workspace: &Workspace, arguments: &[&str]) {
    let mut command = std::process::Command::new("git");
    command.args(["-c", "user.name=t", "-c", "user.email=t@localhost"]).args(arguments);
    assert!(command.current_dir(workspace.root()).output().unwrap().status.success(), "git {arguments:?}");
}

fn faults() -> Vec<Fault> {
    let fault = |code, task, tasks, ground| Fault { code, task, tasks, ground };
    vec![
        fault(
            "graph::cycle",
            "",
            "[tasks.a]\nrun = 'true'\ndepends = ['b']\n[tasks.b]\nrun = 'true'\ndepends = ['a']",
            PLAIN,
        ),
        fault("graph::unknown-task", "", "[tasks.a]\nrun = 'true'\ndepends = ['b']", PLAIN),
        fault("graph::alias", "", "[tasks.a]\nrun = 'true'\nalias = 'b'\n[tasks.b]\nrun = 'true'", PLAIN),
        fault(
            "graph::manual-dependency",
            "",
            "[tasks.a]\nrun = 'true'\ndepends = ['b']\n[tasks.b]\nrun = 'true'\nmanual = true",
            PLAIN,
        ),
        fault(
            "graph::overlapping-outputs",
            "",
            "[tasks.a]\nrun = 'true'\noutputs = ['out']\n[tasks.b]\nrun = 'true'\noutputs = ['out/*.js']",
            PLAIN,
        ),
        fault(
            "graph::output-is-source",
            "",
            "[tasks.a]\nrun = 'true'\nsources = ['src']\noutputs = ['src/gen']",
            PLAIN,
        ),
        fault(
            "graph::missing-edge",
            "",
            "[tasks.a]\nrun = 'true'\nsources = []\noutputs = ['out/a.txt']\n[tasks.b]\nrun = 'true'\nsources = ['out/*.txt']\noutputs = []",
            PLAIN,
        ),
        fault(
            "graph::unordered-reset",
            "",
            "[tasks.a]\nrun = 'true'\nreset = true\nlocks = ['db']\n[tasks.b]\nrun = 'true'\nlocks = ['db']",
            PLAIN,
        ),
        fault(
            "graph::soak",
            "",
            "[tasks.a]\nsoak = { task = 'b', runs = 3 }\n[tasks.b]\ndepends = ['c']\n[tasks.c]\nrun = 'true'",
            PLAIN,
        ),
        fault("graph::no-match", "a", "[tasks.a]\nrun = 'true'\nsources = ['srk']", |ws| ws.write("src/a", "")),
        fault("graph::unreachable-task", "a", "[tasks.a]\nrun = 'true'\nhide = true", PLAIN),
        fault("graph::empty-group", "a", "[tasks.a]\ndepends = [{ task = 'b', optional = true }]", PLAIN),
        fault(
            "graph::idle-edge",
            "a",
            "[tasks.a]\nrun = 'true'\nsources = []\ndepends = ['b']\n[tasks.b]\nrun = 'true'\nsources = []\noutputs = []",
            PLAIN,
        ),
        fault(
            "graph::redundant-edge",
            "a",
            "[tasks.a]\ndepends = ['b', 'c']\n[tasks.b]\nrun = 'true'\ndepends = ['c']\n[tasks.c]\nrun = 'true'",
            PLAIN,
        ),
        fault("graph::ignored-source", "a", "[tasks.a]\nrun = 'true'\nsources = ['local.cfg']", |ws| {
            ws.write(".gitignore", "local.cfg\n");
            ws.write("local.cfg", "");
        }),
        fault("graph::wide-source", "a", "[tasks.a]\nrun = 'true'\nsources = ['web']", |ws| {
            ws.write("web/node_modules/x/y.js", "")
        }),
        fault("graph::tracked-output", "a", "[tasks.a]\nrun = 'true'\nsources = []\noutputs = ['gen']", |ws| {
            ws.write("gen/a.rs", "");
            git(ws, &["init", "-q"]);
            git(ws, &["add", "gen"]);
        }),
        fault("graph::sources-undeclared", "a", "[policy]\nsources = 'require'\n[tasks.a]\nrun = 'true'", PLAIN),
        fault(
            "graph::outputs-undeclared",
            "a",
            "[policy]\noutputs = '1ms'\n[tasks.a]\nexec = ['sh', '-c', 'for i in 1 2 3 4 5 6 7 8 9; do /bin/true; done']\nsources = []",
            |ws| drop(ws.run("a")),
        ),
        fault(
            "graph::unseen-reset",
            "a",
            "[tasks.a]\nrun = 'true'\nsources = []\ndepends = [{ task = 'r', order_only = true }]\n[tasks.r]\nrun = 'true'\nreset = true",
            PLAIN,
        ),
        fault("graph::impure-command", "a", "[tasks.a]\nrun = 'x=$(date)'\nsources = []", PLAIN),
        fault("graph::hidden-variable", "a", "[tasks.a]\nrun = 'echo $DEPLOY_KEY'\nsources = []", PLAIN),
        fault(
            "graph::entry-misses",
            "test",
            "[policy]\nentry = ['ci']\n[tasks.ci]\nrun = 'true'\ntimeout = '1m'\n[tasks.test]\nrun = 'true'",
            PLAIN,
        ),
        fault("graph::missing-program", "a", "[tasks.a]\nrun = 'no-such-program-here -x'", PLAIN),
        fault("graph::missing-dir", "a", "[tasks.a]\nrun = 'true'\ndir = 'nowhere'", PLAIN),
        fault("graph::script-mode", "a", "[tasks.a]\nrun = './x.sh'", |ws| ws.write("x.sh", "#!/bin/sh\n")),
        fault("graph::script-crlf", "a", "[tasks.a]\nrun = './x.sh'", |ws| {
            ws.write("x.sh", "#!/bin/sh\r\n");
            ws.chmod("x.sh", 0o755);
        }),
        fault("graph::timeout-undeclared", "ci", "[policy]\nentry = ['ci']\n[tasks.ci]\nrun = 'true'", PLAIN),
        fault(
            "graph::unused-allowance",
            "a",
            "[tasks.a]\nrun = 'true'\nallow = { 'graph::wide-source' = 'once it was' }",
            PLAIN,
        ),
    ]
}

fn audit(workspace: &Workspace, more: &[&str]) -> (i32, Value) {
    let words: Vec<&str> = ["tasks", "deps", "check", "--json"].iter().chain(more).copied().collect();
    let ran = workspace.weir(&words).go();
    let value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}", ran.shown()));
    (ran.code, value)
}

fn found(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let findings = report["findings"].as_array().unwrap();
    findings.iter().map(|finding| (text(&finding["code"]), text(&finding["task"]))).collect()
}

#[test]
fn each_fault_is_found_and_nothing_else() {
    for Fault { code, task, tasks, ground } in faults() {
        let workspace = Workspace::new(tasks);
        ground(&workspace);
        let (exit, report) = audit(&workspace, &[]);
        assert_eq!(found(&report), [(code.to_owned(), task.to_owned())], "{code}: {report:#}");
        let severity = codes::ALL.iter().find(|known| known.code == code).unwrap().severity;
        let fails = severity == weir::config::Severity::Error;
        assert_eq!(exit, i32::from(fails), "{code}: {report:#}");
        let strict = severity != weir::config::Severity::Note;
        assert_eq!(audit(&workspace, &["--strict"]).0, i32::from(strict), "{code}: --strict");
        let finding = &report["findings"][0];
        assert!(finding["help"].as_str().is_some_and(|help| !help.is_empty()), "{code} has no help");
        assert!(finding["at"].as_str().unwrap().starts_with("tasks.toml:"), "{code}: {report:#}");
    }
}

#[test]
fn a_graph_that_may_not_run_is_audited_all_the_same() {
    let workspace = Workspace::new(
        "[tasks.gen]\nrun = 'true'\nsources = ['gone']\noutputs = ['g']\n[tasks.x]\nrun = 'true'\n\
         [tasks.a]\nrun = 'date > d'\nsources = ['g']\noutputs = []\ndepends = ['x']",
    );
    let (exit, report) = audit(&workspace, &[]);
    let codes: Vec<String> = found(&report).into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, ["graph::no-match", "graph::impure-command", "graph::missing-edge"]);
    assert_eq!(exit, 1);
    assert_eq!(report["findings"][2]["help"], "write `depends = [\"x\", \"gen\"]` in `a`");
}

#[test]
fn what_looks_like_a_fault_and_is_none() {
    for tasks in [
        // A file of git's that is named as such is meant.
        "[tasks.a]\nrun = 'true'\nsources = ['.git/HEAD']\noutputs = []",
        "[tasks.a]\nexec = ['echo', 'curl', 'date']\nsources = []\noutputs = []",
        "[tasks.a]\nrun = 'git status; echo fetch'\nsources = []\noutputs = []",
        // Somebody chose how long a task may take: for this one, or for all.
        "[policy]\nentry = ['ci']\n[tasks.ci]\nrun = 'true'\ntimeout = '1m'",
        "[policy]\nentry = ['ci']\n[settings]\ntimeout = '10m'\n[tasks.ci]\nrun = 'true'",
        "[policy]\nentry = ['ci']\n[profile.local.settings]\ntimeout = '10m'\n[tasks.ci]\nrun = 'true'",
    ] {
        let workspace = Workspace::new(tasks);
        git(&workspace, &["init", "-q"]);
        assert_eq!(found(&audit(&workspace, &["--strict"]).1), [], "{tasks}");
    }
}

#[test]
fn other_ways_to_the_same_faults() {
    for (tasks, code) in [
        ("[tasks.a]\nrun = 'true'\nsources = ['.git']\noutputs = []", "graph::wide-source"),
        ("[tasks.a]\nrun = 'true'\nsources = ['.git/**']\noutputs = []", "graph::wide-source"),
        ("[tasks.a]\nrun = 'true'\nsources = ['target']\noutputs = []", "graph::wide-source"),
        ("[tasks.a]\nrun = 'true'\nsources = ['target/**']\noutputs = []", "graph::wide-source"),
        ("[tasks.a]\nexec = ['date', '+%s']\nsources = []\noutputs = []", "graph::impure-command"),
        ("[tasks.a]\nrun = 'cd x; git -C y fetch'\nsources = []\noutputs = []", "graph::impure-command"),
        ("[tasks.a]\nrun = 'true'\nreset = true\ncache = true", "config::cached-reset"),
        ("[tasks.a]", "config::empty-task"),
    ] {
        let workspace = Workspace::new(tasks);
        git(&workspace, &["init", "-q"]);
        workspace.write(".gitignore", "target/\n");
        workspace.write("target/x", "");
        let report = audit(&workspace, &[]).1;
        let codes: Vec<String> = found(&report).into_iter().map(|(code, _)| code).collect();
        assert_eq!(codes, [code], "{tasks}: {report:#}");
    }
}

#[test]
fn every_code_has_a_fault_here() {
    let tried: BTreeSet<&str> = faults().iter().map(|fault| fault.code).collect();
    let all: BTreeSet<&str> = codes::ALL.iter().map(|code| code.code).collect();
    assert_eq!(tried, all);
}

#[test]
fn a_finding_is_allowed_with_a_reason() {
    let workspace =
        Workspace::new("[tasks.a]\nrun = 'x=$(date)'\nsources = []\nallow = { 'graph::impure-command' = 'a stamp' }");
    assert_eq!(found(&audit(&workspace, &["--strict"]).1), []);
}

#[test]
fn the_entry_says_what_it_fans_out_to() {
    let workspace = Workspace::new(
        "[policy]\nentry = ['ci']\n[tasks.ci]\ndepends = ['test']\n[tasks.test]\nrun = 'true'\ntimeout = '1m'",
    );
    workspace
        .weir(&["tasks", "deps", "check"])
        .ok()
        .says("`ci` fans out to 1 task: test")
        .says("2 tasks, nothing found");
}

/// Layers of tasks, each with its own source and output; each reads the output of those it depends on.
fn layered(edges: &[(usize, usize)], tasks: usize, mutation: Option<(usize, usize)>) -> String {
    let mut text = String::new();
    for task in 0..tasks {
        let reads: Vec<usize> = edges.iter().filter(|(from, _)| *from == task).map(|(_, to)| *to).collect();
        let sources: Vec<String> = reads.iter().map(|to| format!("'out/t{to}.txt'")).collect();
        let kept = |to: &&usize| mutation != Some((0, **to * tasks + task));
        let depends: Vec<String> = reads.iter().filter(kept).map(|to| format!("'t{to}'")).collect();
        let source = if mutation == Some((2, task)) { "gone.txt".to_owned() } else { format!("src/t{task}.txt") };
        let output = if mutation == Some((1, task)) { (task + 1) % tasks } else { task };
        text += &format!(
            "[tasks.t{task}]\nrun = 'true'\nsources = ['{source}'{}{}]\noutputs = ['out/t{output}.txt']\ndepends = [{}]\n",
            if sources.is_empty() { "" } else { ", " },
            sources.join(", "),
            depends.join(", ")
        );
    }
    text
}

#[test]
fn a_random_graph_is_clean_and_with_one_mutation_is_not() {
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let graphs = (3usize..8).prop_flat_map(|tasks| {
        let edges = proptest::collection::btree_set((1..tasks).prop_flat_map(|from| (Just(from), 0..from)), 1..6);
        (Just(tasks), edges, 0usize..3, any::<prop::sample::Index>())
    });
    runner
        .run(&graphs, |(tasks, edges, kind, pick)| {
            let edges: Vec<(usize, usize)> = edges.into_iter().collect();
            let workspace = Workspace::new(&layered(&edges, tasks, None));
            for task in 0..tasks {
                workspace.write(&format!("src/t{task}.txt"), "");
            }
            let notes = |report: &Value| report["errors"].as_u64().unwrap() + report["warnings"].as_u64().unwrap();
            let clean = audit(&workspace, &[]).1;
            prop_assert_eq!(notes(&clean), 0, "{:#}", clean);
            let (mutation, expected) = match kind {
                0 => {
                    // An edge that others imply can be removed without harm.
                    let (from, to) = *pick.get(&edges);
                    let implied = edges.iter().any(|(f, t)| *f == from && *t != to && reaches(&edges, *t, to));
                    if implied {
                        return Ok(());
                    }
                    ((0, to * tasks + from), "graph::missing-edge")
                }
                1 => ((1, pick.index(tasks)), "graph::overlapping-outputs"),
                _ => ((2, pick.index(tasks)), "graph::no-match"),
            };
            workspace.tasks(&layered(&edges, tasks, Some(mutation)));
            let (exit, report) = audit(&workspace, &[]);
            prop_assert_eq!(exit, 1);
            prop_assert!(found(&report).iter().any(|(code, _)| code == expected), "{} in {:#}", expected, report);
            Ok(())
        })
        .unwrap();
}

fn reaches(edges: &[(usize, usize)], from: usize, to: usize) -> bool {
    from == to || edges.iter().any(|(f, t)| *f == from && reaches(edges, *t, to))
}

#[test]
fn drawings() {
    let workspace = Workspace::new(
        "[tasks.a]\nrun = 'true'\ndepends = ['b', { task = 'c', order_only = true }]\n[tasks.b]\nrun = 'true'\n[tasks.c]\nrun = 'true'",
    );
    let deps = |words: &[&str]| {
        let all: Vec<&str> = ["tasks", "deps"].iter().chain(words).copied().collect();
        workspace.weir(&all).ok().out
    };
    assert_eq!(deps(&[]), "a\n├── b\n└── c (order only)\n");
    assert_eq!(deps(&["b", "--up"]), "b\n└── a\n");
    assert!(deps(&["--format", "dot"]).contains("\"c\" -> \"a\" [style = dashed];"));
    assert!(deps(&["--format", "mermaid"]).contains("t1 --> t0"));
    let json: Value = serde_json::from_str(&deps(&["a", "--json"])).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 3);
}
