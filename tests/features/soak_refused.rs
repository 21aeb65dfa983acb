//! What a soak refuses, and how to go on.

use crate::more::refused;
use crate::support::Workspace;

const TASKS: &str = "[tasks.'test:unit']\nrun = 'echo x >> ../t.ran'\n\
    [tasks.'test:unit:soak']\nsoak = { task = 'test:unit', runs = 2 }\n\
    [tasks.all]\ndepends = ['test:unit', 'test:unit:soak']\n\
    [tasks.after]\nrun = 'true'\ndepends = ['test:unit:soak']\n";

#[test]
fn without_force_nothing_runs() {
    let ws = Workspace::new(TASKS);
    let refused = |words: &[&str], help: &str| {
        let ran = ws.weir(&[&["run"], words].concat()).go().exit(3);
        assert!(!ran.recorded() && ws.count("t") == 0, "{}", ran.shown());
        ran.says("is a soak, and runs only when it is forced").says(help);
    };
    refused(&["test:unit:soak"], "to run it: `weir run -f test:unit:soak`");
    refused(&["test:unit:soak", "--", "a"], "to run it: `weir run -f test:unit:soak -- a`");
    refused(&["all"], "to run it: `weir run -f all`");
    refused(&["-n", "all"], "to run it: `weir run -f all`");
    let alone = "to run it alone: `weir run -f test:unit:soak`; in this run: `weir run --force-all after`";
    refused(&["after"], alone);
    refused(&["-f", "after"], alone);
    // What is typed is the same run, with everything else that was given.
    refused(
        &["all", "--profile", "ci", "-j2", "-k", "--report", "out file.xml", "--confirm", "x"],
        "to run it: `weir run -f all --profile ci --confirm x -j 2 -k --report 'out file.xml'`",
    );
    refused(
        &["after", "--profile", "ci", "--output", "quiet"],
        "alone: `weir run -f test:unit:soak --profile ci --output quiet`; in this run: `weir run --force-all after --profile ci --output quiet`",
    );
    refused(&["test:unit:soak", "--", "it's"], r"to run it: `weir run -f test:unit:soak -- 'it'\''s'`");
    refused(&["test:unit:s*"], "to run it: `weir run -f 'test:unit:s*'`");
    ws.write("a b/file", "");
    let below = ws.weir(&["-C", "a b", "run", "test:unit:soak"]).go().exit(3);
    below.says("to run it: `weir -C 'a b' run -f test:unit:soak`");
    ws.run("-f all").tasks("test:unit ran, test:unit:soak ran");
    ws.run("--force-all after").tasks("test:unit:soak ran, after ran");
    assert_eq!(ws.count("t"), 1 + 2 + 2);
}

#[test]
fn what_can_not_be_repeated_is_refused() {
    let base = "[tasks.g]\ndepends = ['t']\n[tasks.r]\nrun = 'true'\nreset = true\n[tasks.i]\nrun = 'true'\ninteractive = true\n\
        [tasks.t]\nrun = 'true'\n[tasks.j]\nrun = 'true'\njunit = 'j.xml'\n[tasks.o]\nrun = 'true'\noutputs = ['o']\nsources = []\n\
        [tasks.w]\nrun = 'true'\nwrites = ['w']\n[tasks.s]\nsoak = { task = 't', runs = 2 }\n";
    for (soak, said) in [
        ("task = 'g', runs = 2", "`a` can't repeat `g`: it is a group"),
        ("task = 'r', runs = 2", "`a` can't repeat `r`: it destroys state"),
        ("task = 'i', runs = 2", "`a` can't repeat `i`: it is interactive"),
        ("task = 's', runs = 2", "`a` can't repeat `s`: it is a soak itself"),
        ("task = 'a', runs = 2", "`a` can't repeat `a`: it is a soak itself"),
        ("task = 'j', runs = 2, jobs = 2", "would write one `junit` report at the same time"),
        ("task = 'o', runs = 2, jobs = 2", "would write the same files at the same time"),
        ("task = 'w', runs = 2, jobs = 2", "would write the same files at the same time"),
        ("task = 'x', runs = 2", "there is no task `x`"),
        ("task = '*', runs = 2", "`a` repeats one task, and `*` is a glob"),
        ("task = 't'", "this soak would never end"),
        ("runs = 2", "`soak` needs `task`"),
        ("task = 't', runs = 0", "expected a positive integer, found `0`"),
        ("task = 't', runs = 2, jobs = 0", "expected a positive integer, found `0`"),
        ("task = 't', for = '0s'", "a duration must be longer than zero"),
        ("task = 't', until = 'success'", "expected `\"failure\"`, found `success`"),
        ("task = 't', times = 2, runs = 2", "unknown key `times` in `soak`"),
    ] {
        let ws = Workspace::new(&format!("{base}[tasks.a]\nsoak = {{ {soak} }}\n"));
        refused(&ws, ws.weir(&["run", "-f", "t"]).go()).says(said);
    }
    for (keys, said) in [
        ("run = 'true'", "`a` has `run` and `soak`"),
        ("retry = 3", "`retry` needs a command, and `a` has a soak"),
        ("timeout = '1s'", "`timeout` needs a command, and `a` has a soak"),
        ("env = { A = 1 }", "`env` needs a command, and `a` has a soak"),
    ] {
        let ws = Workspace::new(&format!("{base}[tasks.a]\n{keys}\nsoak = {{ task = 't', runs = 2 }}\n"));
        refused(&ws, ws.weir(&["run", "-f", "t"]).go()).says(said);
    }
    // One at a time these are fine.
    let ws = Workspace::new(&format!("{base}[tasks.a]\nsoak = {{ task = 'o', runs = 2 }}\n"));
    ws.run("-f t");
}

#[test]
fn a_task_that_needs_its_own_soak_is_a_cycle() {
    let ws = Workspace::new("[tasks.t]\nrun = 'true'\ndepends = ['s']\n[tasks.s]\nsoak = { task = 't', runs = 2 }\n");
    refused(&ws, ws.weir(&["run", "-f", "t"]).go()).says("tasks wait for each other");
}

#[test]
fn a_service_that_stays_at_the_database_while_iterations_have_clones_is_refused() {
    let tasks = |task: &str, api: &str, more: &str| {
        format!(
            "[db.app]\nprovider = 'url'\n[db.sys]\nprovider = 'url'\nurl_env = 'SYS_URL'\n\
             [tasks.api]\nrun = 'sleep 600'\nservice = {{}}\ndatabase = {api}\n\
             [tasks.front]\nrun = 'sleep 600'\nservice = {{}}\ndepends = ['api']\n[tasks.stack]\ndepends = ['front']\n\
             [tasks.t]\nrun = 'true'\ndepends = ['stack']\ndatabase = {task}\n{more}\n\
             [tasks.s]\nsoak = {{ task = 't', runs = 2 }}\n[tasks.free]\nrun = 'true'\n"
        )
    };
    let app = "{ name = 'app', shared = true }";
    let ws = Workspace::new(&tasks("'app'", app, ""));
    let ran = refused(&ws, ws.weir(&["run", "free"]).go());
    ran.says("`s` gives each iteration of `t` a clone of database `app`, but the service `api` that")
        .says("stays at the database itself")
        .says("help: give each iteration a server of its own: repeat a `proof.crash` of `api`");
    // Apart on purpose, and in each run: not one iteration is told something else than the task alone.
    let clone = "{ name = 'app', clone = true }";
    for (task, api) in [(clone, app), ("'app'", clone), ("'app'", "'sys'")] {
        Workspace::new(&tasks(task, api, "")).run("free").tasks("free ran");
    }
    // A crash proof has a service and clones of its own; a service that this one runs with has not.
    let proof = |depends: &str| {
        format!(
            "[db.app]\nprovider = 'url'\n[tasks.queue]\nrun = 'sleep 600'\nservice = {{}}\ndatabase = {app}\n\
             [tasks.api]\nrun = 'sleep 600'\nservice = {{}}\ndatabase = 'app'\n{depends}\n\
             [tasks.t]\nuses = 'proof.crash'\nwith = {{ service = 'api', trigger = 'true', assert = 'true', settle = {{ command = 'echo 1', equals = '1' }} }}\n\
             [tasks.s]\nsoak = {{ task = 't', runs = 2 }}\n[tasks.free]\nrun = 'true'\n"
        )
    };
    Workspace::new(&proof("")).run("free").tasks("free ran");
    let ws = Workspace::new(&proof("depends = ['queue']"));
    refused(&ws, ws.weir(&["run", "free"]).go()).says("but the service `queue` that");
}
