//! Law 20: what is refused before anything runs. The whole file is judged, all problems are told at
//! once, each with file, line and help; exit code 2.

use crate::more::refused;
use crate::support::Workspace;

/// What is wrong in a tasks.toml whose first line is `version = 1`: text, code, where, a part of
/// what is said.
const WRONG: &[(&str, &str, &str, &str)] = &[
    // Cycles: the whole path.
    ("[tasks.a]\nrun = 'x'\ndepends = ['a']", "graph::cycle", "4:12", "`a` → `a`"),
    (
        "[tasks.a]\nrun = 'x'\ndepends = ['b']\n[tasks.b]\nrun = 'x'\ndepends = ['c']\n[tasks.c]\nrun = 'x'\ndepends = ['a']",
        "graph::cycle",
        "4:12",
        "`a` → `b` → `c` → `a`",
    ),
    ("[tasks.a]\nrun = 'x'\nwait_for = ['b']\n[tasks.b]\nrun = 'x'\ndepends = ['a']", "graph::cycle", "4:13", "`b`"),
    (
        "[tasks.a]\nsequence = ['b', 'c']\n[tasks.b]\nrun = 'x'\ndepends = ['c']\n[tasks.c]\nrun = 'x'",
        "graph::cycle",
        "",
        "→",
    ),
    ("[tasks.a]\ndepends = ['b']\n[tasks.b]\nsequence = ['a']", "graph::cycle", "", "→"),
    ("[tasks.a]\nrun = 'x'\ndepends_post = ['a']", "graph::cycle", "", "→"),
    // Unknown names, with what may be meant.
    (
        "[tasks.build]\nrun = 'x'\n[tasks.a]\nrun = 'x'\ndepends = ['biuld']",
        "graph::unknown-task",
        "6:12",
        "did you mean `build`",
    ),
    ("[tasks.build]\nrun = 'x'\n[tasks.a]\nrun = 'x'\nwait_for = ['biuld']", "graph::unknown-task", "6:13", "`build`"),
    ("[tasks.build]\nrun = 'x'\n[tasks.a]\nsequence = ['biuld']", "graph::unknown-task", "5:13", "`build`"),
    (
        "[tasks.build]\nrun = 'x'\n[tasks.a]\nrun = 'x'\ndepends_post = ['biuld']",
        "graph::unknown-task",
        "6:17",
        "`build`",
    ),
    ("[tasks.a]\nrun = 'x'\ndepends = ['gen:*']", "graph::unknown-task", "4:12", "gen:*"),
    ("[tasks.a]\nrun = 'x'\nsorces = []", "config::unknown-key", "4:1", "did you mean `sources`"),
    ("[task.a]\nrun = 'x'", "config::unknown-key", "2:2", "did you mean `tasks`"),
    ("[settings]\njob = 3", "config::unknown-key", "3:1", "`jobs`"),
    ("[tasks.a]\nrun = 'x'\ndepends = [{ task = 'a', arg = ['x'] }]", "config::unknown-key", "4:", "`args`"),
    // Wrong types, globs, durations, values.
    ("[tasks.a]\nrun = 3", "config::wrong-type", "3:7", "found an integer"),
    ("[tasks.a]\nrun = 'x'\nsources = 'a'\noutputs = true", "config::wrong-type", "5:11", "boolean"),
    ("[tasks.a]\nrun = 'x'\nsources = ['src/[']", "config::bad-glob", "4:12", "src/["),
    ("[tasks.a]\nrun = 'x'\noutputs = ['{a']", "config::bad-glob", "4:12", "{a"),
    ("[tasks.a]\nrun = 'x'\ntimeout = 'soon'", "config::bad-duration", "4:11", "`soon`"),
    ("[tasks.a]\nrun = 'x'\ntimeout = '0s'", "config::", "4:11", "0"),
    ("[tasks.a]\nrun = 'x'\non_fail = 'warm'", "config::bad-value", "4:11", "`warn`"),
    ("[tasks.a]\nrun = 'x'\noutputs = ['../elsewhere']", "config::bad-path", "4:12", "../elsewhere"),
    ("[tasks.a]\nrun = 'x'\noutputs = ['/etc/passwd']", "config::bad-path", "4:12", "/etc/passwd"),
    ("[tasks.a]\nrun = ", "config::syntax", "3:", "value"),
    (
        "[tasks.a]\nrun = 'x'\noutputs = []\nservice = {}",
        "config::conflict",
        "4:1",
        "`a` is a service and has `outputs`",
    ),
    // Outputs.
    (
        "[tasks.a]\nrun = 'x'\nsources = []\noutputs = ['out']\n[tasks.b]\nrun = 'x'\nsources = []\noutputs = ['out/b']",
        "graph::overlapping-outputs",
        "9:12",
        "`a` and `b`",
    ),
    (
        "[tasks.a]\nrun = 'x'\nsources = []\noutputs = ['gen/*.rs']\n[tasks.b]\nrun = 'x'\nsources = ['gen']",
        "graph::missing-edge",
        "8:12",
        "add `depends = [\"a\"]` to `b`",
    ),
    (
        "[tasks.a]\nrun = 'x'\nsources = []\noutputs = ['gen']\n[tasks.b]\nrun = 'x'\nsources = ['gen']\nwait_for = ['a']",
        "graph::missing-edge",
        "8:12",
        "`b` reads",
    ),
    ("[tasks.a]\nrun = 'x'\nsources = ['gen']\noutputs = ['gen/x']", "graph::output-is-source", "4:12", "`a`"),
    // The rest of the law.
    ("[tasks.a]\nrun = 'x'\nreset = true\nsources = []", "config::cached-reset", "5:1", "never cached"),
    ("[tasks.a]\nrun = 'x'\nalias = 'n'\n[tasks.b]\nrun = 'x'\nalias = 'n'", "graph::alias", "", "`n`"),
    ("[tasks.a]\nrun = 'x'\nalias = 'b'\n[tasks.b]\nrun = 'x'", "graph::alias", "", "`b`"),
    (
        "[tasks.a]\nrun = 'x'\nmanual = true\n[tasks.b]\nrun = 'x'\ndepends = ['a']",
        "graph::manual-dependency",
        "7:12",
        "`a`",
    ),
    ("[tasks.a]\ndescription = 'nothing'", "config::empty-task", "2:", "`a` does nothing"),
    ("[tasks.a]\nrun = 'x'\nexec = ['x']", "config::conflict", "4:1", "`run` and `exec`"),
    ("[tasks.a]\ndepends = []\nsources = []", "config::group-key", "4:1", "needs a command"),
    ("[tasks.a]\nexec = ['no-such-program-anywhere']", "task::program", "", "no-such-program-anywhere"),
    ("[tasks.a]\nrun = 'x'\nshell = ['no-such-shell']", "task::program", "", "no-such-shell"),
    ("[tasks.a]\nrun = 'x'\nrequires = ['no-such-tool']", "task::requires", "4:13", "no-such-tool"),
    ("[tasks.a]\nrun = 'x'\ndir = 'nowhere'", "task::dir", "4:7", "nowhere"),
    ("[tasks.a]\nrun = 'x'\nenv_required = ['NEVER_SET']", "task::env-required", "4:17", "NEVER_SET"),
    ("[tasks.a]\nrun = 'x'\nenv_file = ['.env']", "task::env-file", "4:13", ".env"),
];

#[test]
fn each_is_refused_with_its_place_before_anything_runs() {
    let mut wrong = String::new();
    for (text, code, place, said) in WRONG {
        let ws = Workspace::new(&format!("{text}\n[tasks.innocent]\nrun = 'echo x >> ../innocent.ran'"));
        let target = if code.starts_with("task::") { "a" } else { "innocent" };
        let ran = refused(&ws, ws.try_run(target));
        let place = format!("tasks.toml:{place}");
        let missing: Vec<&str> =
            [code, said, place.as_str(), "help:"].into_iter().filter(|part| !ran.err.contains(part)).collect();
        if !missing.is_empty() || !ran.out.is_empty() || ws.count("innocent") > 0 {
            wrong.push_str(&format!("{text}\n{missing:?} not said on standard error: {}\n\n", ran.shown()));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_source_that_matches_nothing_is_refused_with_the_nearest_path() {
    let ws = Workspace::new(
        "[tasks.innocent]\nrun = 'echo x >> ../innocent.ran'\n[tasks.a]\nrun = 'x'\nsources = ['srcs']\ndepends = []",
    );
    ws.write("src/main.rs", "");
    let ran = ws.try_run("a innocent").exit(2).says("tasks.toml:6:12").says("`src`").says("task::sources");
    assert!(!ran.recorded());
    assert_eq!(ws.count("innocent"), 0);
}

#[test]
fn order_only_makes_a_path_between_an_output_and_who_reads_it() {
    let ws = Workspace::new(
        "[tasks.a]\nrun = 'echo x > gen'\nsources = []\noutputs = ['gen']\n\
         [tasks.b]\nrun = 'cat gen'\nsources = ['gen']\ndepends = [{ task = 'a', order_only = true }]",
    );
    ws.run("b").tasks("a ran, b ran");
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_file() {
    let ws = Workspace::new(
        "[tasks.one]\nrun = 3\n\
         [tasks.two]\nrun = 'x'\nsorces = []\n\
         [tasks.three]\nrun = 'x'\ndepends = ['tow']\n\
         [tasks.four]\nrun = 'x'\nwait_for = ['five']\n\
         [tasks.five]\nrun = 'x'\nwait_for = ['four']\n\
         [tasks.six]\nrun = 'x'\nsources = []\noutputs = ['o']\n\
         [tasks.seven]\nrun = 'x'\nsources = []\noutputs = ['o']\n\
         [tasks.eight]\nrun = 'x'\ntimeout = 'x'",
    );
    let ran = refused(&ws, ws.try_run("two"));
    let places: Vec<usize> = ["3:7", "6:1", "9:12", "12:13", "23:12", "26:11"]
        .iter()
        .map(|place| ran.err.find(place).unwrap_or_else(|| panic!("nothing at {place}: {}", ran.shown())))
        .collect();
    assert!(places.is_sorted(), "{}", ran.shown());
    ran.says("6 errors; nothing was run");
}

#[test]
fn every_command_that_reads_the_file_refuses_it() {
    let ws = Workspace::new("[tasks.a]\nrun = 'x'\nsorces = []");
    let calls: [&[&str]; 6] =
        [&[], &["run", "a"], &["run", "-n", "a"], &["tasks", "ls"], &["tasks", "info", "a"], &["explain", "a"]];
    for call in calls {
        refused(&ws, ws.weir(call).go()).says("config::unknown-key");
    }
}

#[test]
fn what_is_wrong_with_the_call_is_refused_too() {
    let ws = Workspace::new("[tasks.build]\nrun = 'x'\n[tasks.test]\nrun = 'x'");
    for (call, said) in [
        ("biuld", "did you mean `build`?"),
        ("zzz", "there is no task `zzz`"),
        ("build test -- x", "exactly one task"),
        ("build --profile nope", "nope"),
        ("build --no-such-flag", "--no-such-flag"),
        ("build -j 0", "0"),
        ("build --output fancy", "fancy"),
        ("build --report out.txt", "`.json`"),
        ("", "TASK"),
    ] {
        refused(&ws, ws.try_run(call)).says(said);
    }
    refused(&ws, ws.weir(&["no-such-command"]).go()).says("no-such-command");
}
