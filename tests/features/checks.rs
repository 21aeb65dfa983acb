//! The ready-made checks: `check.forbid`, `check.same`, `check.exists`, `check.graph`, `check.drift`, `check.branch`,
//! `check.cochange`.

use crate::support::{Ran, Workspace};
use std::process::Command;

/// Runs git in the workspace, as nobody in particular.
pub fn git(ws: &Workspace, words: &str) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"])
        .args(words.split(' '))
        .current_dir(ws.root())
        .output()
        .unwrap();
    assert!(output.status.success(), "git {words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A repository with one commit on `main`.
pub fn repository(tasks: &str) -> Workspace {
    let ws = Workspace::new(tasks);
    git(&ws, "init -q -b main");
    ws.write("src/a.rs", "a\n");
    ws.write("CHANGELOG.md", "one\n");
    commit(&ws);
    ws
}

pub fn commit(ws: &Workspace) {
    git(ws, "add -A");
    git(ws, "commit -qm more");
}

/// Days from today, in UTC, as `YYYY-MM-DD`.
fn day(from_today: i64) -> String {
    let day = std::time::Duration::from_secs(24 * 60 * 60);
    let days = u32::try_from(from_today.unsigned_abs()).unwrap();
    let now = std::time::SystemTime::now();
    let then = if from_today < 0 { now - day * days } else { now + day * days };
    humantime::format_rfc3339_seconds(then).to_string()[..10].to_owned()
}

fn fails(ws: &Workspace) -> Ran {
    ws.try_run("t").exit(1)
}

#[test]
fn a_forbidden_line_is_named_with_its_place() {
    let ws = Workspace::new(
        "[tasks.t]\nuses = 'check.forbid'\nwith = { patterns = ['\\bTODO\\b', 'unwrap\\(\\)'], files = 'src/**', unless = 'checked:' }",
    );
    ws.write("src/a.rs", "fine\nlet é = x.unwrap(); // TODO\nunwrap() // checked: it is there\n");
    ws.write("src/b.bin", b"\0TODO");
    fails(&ws)
        .says("src/a.rs:2:11: `unwrap\\(\\)` is forbidden: let é = x.unwrap(); // TODO")
        .says("src/a.rs:2:24: `\\bTODO\\b` is forbidden")
        .says("2 forbidden lines in 1 file")
        .says_nothing_of("src/a.rs:3");
    ws.write("src/a.rs", "fine\n");
    ws.run("t").tasks("t ran").says("2 files, nothing forbidden");
    ws.run("t").tasks("t fresh");
    ws.write("src/c.rs", "TODO\n");
    fails(&ws).says("src/c.rs:1:1");
}

#[test]
fn an_allowance_holds_through_its_last_day_and_must_serve() {
    let allowing = |until: &str| {
        format!(
            "[tasks.t]\nuses = 'check.forbid'\n[tasks.t.with]\npatterns = 'X'\nfiles = 'src'\n\
             allow = [{{ files = 'src/old', reason = 'soon gone', expires = '{until}' }}]"
        )
    };
    let ws = Workspace::new(&allowing(&day(0)));
    ws.write("src/old/a", "X\n");
    ws.run("t").tasks("t ran");
    ws.tasks(&allowing(&day(-1)));
    fails(&ws).says("src/old/a:1:1").says(&format!("it was allowed until {}: soon gone", day(-1)));
    ws.tasks(&allowing(&day(400)));
    ws.run("t");
    ws.write("src/old/a", "fine\n");
    let ran = ws.run("t");
    assert_eq!(ran.notices("t").iter().map(|(code, _)| code.as_str()).collect::<Vec<_>>(), ["unused-allowance"]);
    ws.tasks(&allowing("2026-02-30"));
    ws.try_run("t").exit(2).says("`2026-02-30` is no date");
}

#[test]
fn a_verdict_is_not_kept_past_the_day_an_allowance_ends() {
    // The key holds which allowances have ended, so that a recorded pass does not count any more.
    let ws = Workspace::new(&format!(
        "[tasks.t]\nuses = 'check.forbid'\n[tasks.t.with]\npatterns = 'X'\nfiles = 'src'\n\
         allow = [{{ files = 'src/a', reason = 'r', expires = '{}' }}]",
        day(1)
    ));
    ws.write("src/a", "X\n");
    ws.run("t").tasks("t ran");
    ws.weir(&["explain", "t", "--json"]).go().success().says("expired: []");
}

#[test]
fn one_value_in_several_places() {
    let ws = Workspace::new(
        "[tasks.t]\nuses = 'check.same'\nwith = { values = ['Cargo.toml#package.version', 'a.json#x.0.\"y.z\"', 'ci.yml#env.VERSION', 'README.md~/version: (.+)/'] }",
    );
    ws.write("Cargo.toml", "[package]\nversion = '1.10'\n");
    ws.write("a.json", r#"{"x":[{"y.z":"1.10"}]}"#);
    ws.write("ci.yml", "env:\n  VERSION: 1.10\n");
    ws.write("README.md", "version: 1.10\nor version: 1.10\n");
    ws.run("t").tasks("t ran");
    ws.run("t").tasks("t fresh");
    ws.write("README.md", "version: 1.10\nor version: 1.1\n");
    fails(&ws).says("README.md~/version: (.+)/: 1.1").says("the values differ");
    ws.write("README.md", "nothing\n");
    fails(&ws).says("nothing in `README.md` matches").says("a value is not where it should be");
    ws.write("README.md", "version: 1.10");
    for (file, bad, says) in [
        ("Cargo.toml", "[package\n", "`Cargo.toml` is no TOML"),
        ("Cargo.toml", "[package]\n", "`Cargo.toml` has no single value at `package.version`"),
        ("a.json", "{", "`a.json` is no JSON"),
        ("ci.yml", "a: b: c\n", "`ci.yml` is no YAML"),
        ("ci.yml", "env: [1]\n", "`ci.yml` has no single value at `env.VERSION`"),
    ] {
        let good = ws.read(file);
        ws.write(file, bad);
        fails(&ws).says(says);
        ws.write(file, good);
    }
    ws.run("t");
}

#[test]
fn files_that_must_be_there() {
    let ws = Workspace::new(
        "[tasks.t]\nuses = 'check.exists'\nwith = { files = ['LICENSE', 'bin/*'], executable = false, eol = 'lf' }",
    );
    ws.write("LICENSE", "mine\n");
    ws.write("bin/a", "a\r\n");
    ws.chmod("bin/a", 0o755);
    fails(&ws)
        .says("bin/a: has a run bit; `chmod -x bin/a` takes it away")
        .says("bin/a:1: ends in CRLF, and should in LF")
        .says("2 problems");
    ws.write("bin/a", "a\nb");
    ws.chmod("bin/a", 0o644);
    ws.run("t").says("2 files, all as they should be");
    ws.remove("LICENSE");
    fails(&ws).says("`LICENSE` matches no file");
}

#[test]
fn the_audit_as_a_node() {
    let tasks = |strict: &str| {
        format!(
            "[tasks.t]\nuses = 'check.graph'\n{strict}\n[tasks.a]\nrun = 'true'\nsources = ['a*']\noutputs = []\n\
             allow = {{ 'graph::idle-edge' = 'of old' }}"
        )
    };
    let ws = Workspace::new(&tasks(""));
    fails(&ws).says("graph::no-match").says("the graph has findings");
    ws.write("a", "");
    ws.run("t").says("graph::unused-allowance").says("2 tasks: 1 warning");
    ws.tasks(&tasks("with = { strict = true }"));
    fails(&ws).says("graph::unused-allowance");
    ws.tasks("[tasks.t]\nuses = 'check.graph'");
    ws.run("t").says("1 task, nothing found");
}

#[test]
fn a_generator_runs_in_a_copy_and_writes_nothing_here() {
    let ws = Workspace::new(
        "[tasks.t]\nuses = 'check.drift'\nwith = { command = 'mkdir -p gen; tr a-z A-Z < in > gen/out; rm -f gone; pwd', outputs = 'gen' }",
    );
    ws.write("in", "one\ntwo\n");
    ws.write("gone", "still here");
    ws.write("gen/out", "ONE\nTWO\n");
    ws.run("t").tasks("t ran").says("1 file, all as the generator makes them");
    ws.write("in", "one\nthree\n");
    ws.write("gen/stale", "");
    fails(&ws)
        .says("-TWO")
        .says("+THREE")
        .says("gen/stale: is there; the generator does not make it")
        .says("2 files differ from what")
        .says("run the generator and commit what it makes");
    assert_eq!(ws.read("gen/out"), "ONE\nTWO\n");
    assert!(ws.exists("gone") && ws.exists("gen/stale"));
    ws.tasks("[tasks.t]\nuses = 'check.drift'\nwith = { command = 'exit 3', outputs = 'gen' }");
    fails(&ws).says("exit status 3");
    ws.tasks("[tasks.t]\nuses = 'check.drift'\nwith = { command = 'true', outputs = 'gen' }");
    fails(&ws).says("the generator made nothing");
    ws.tasks(
        "[tasks.t]\nuses = 'check.drift'\nwith = { command = 'echo THREE >> gen/out', outputs = 'gen', clean = false }",
    );
    fails(&ws).says("+THREE").says("1 file differs");
}

#[test]
fn digests_in_a_lock_file_need_no_generator() {
    let ws = Workspace::new("[tasks.t]\nuses = 'check.drift'\nwith = { lock = 'gen/lock', outputs = 'gen/*.txt' }");
    let digest = "9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0"; // of `aaa`
    ws.write("gen/a.txt", "aaa");
    ws.write("gen/lock", format!("# of the generator\n{digest}  a.txt\n"));
    ws.run("t").says("1 file, all as the lock file says");
    ws.write("gen/b.txt", "b");
    fails(&ws).says("gen/b.txt: is not in the lock file");
    ws.remove("gen/b.txt");
    ws.write("gen/a.txt", "aab");
    fails(&ws).says("gen/a.txt: is not what the lock file says").says("1 file differs from `gen/lock`");
    for (bad, says) in [
        ("", "names no file"),
        ("zz  a.txt", "`gen/lock:1` is no digest and path"),
        (&format!("{digest}  ../../../etc/passwd"), "outside the workspace"),
    ] {
        ws.write("gen/lock", bad);
        fails(&ws).says(says);
    }
}

#[test]
fn a_branch_that_is_not_worked_on() {
    let ws = repository("[tasks.t]\nuses = 'check.branch'\nwith = { forbid = ['main', 'release/*'] }");
    fails(&ws).says("this is work on `main`").says("git switch -c NAME");
    git(&ws, "switch -qc feature");
    ws.write("src/a.rs", "b\n");
    commit(&ws);
    ws.run("t");
    git(&ws, "switch -q --detach");
    ws.run("t");
    git(&ws, "switch -q --detach main");
    fails(&ws).says("this is work on `main`");
    git(&ws, "switch -qc release/1");
    fails(&ws).says("`release/1`");
}

#[test]
fn merges_and_a_base_that_moved_on() {
    let ws =
        repository("[tasks.t]\nuses = 'check.branch'\nwith = { no_merges_from = 'main', up_to_date_with = 'main' }");
    git(&ws, "switch -qc feature");
    ws.write("f", "");
    commit(&ws);
    ws.run("t");
    git(&ws, "switch -q main");
    ws.write("m", "");
    commit(&ws);
    git(&ws, "switch -q feature");
    fails(&ws).says("`main` has commits that are not in HEAD");
    git(&ws, "merge -q --no-edit main");
    fails(&ws).says("the work since `main` holds merge commits");
    ws.tasks("[tasks.t]\nuses = 'check.branch'\nwith = { up_to_date_with = 'origin/none' }");
    fails(&ws).says("there is no branch, tag or commit `origin/none` here");
}

#[test]
fn what_must_change_together() {
    let ws = repository("[tasks.t]\nuses = 'check.cochange'\nwith = { when = 'src/**', require = 'CHANGELOG.md' }");
    git(&ws, "switch -qc feature");
    ws.run("t").says("0 of 0 changed paths ask for it");
    ws.write("src/new.rs", "untracked counts\n");
    fails(&ws).says("src/new.rs was changed").says("`CHANGELOG.md` must change too");
    commit(&ws);
    fails(&ws);
    ws.write("CHANGELOG.md", "two\n");
    ws.run("t");
    git(&ws, "stash -q");
    git(&ws, "mv src/new.rs other.rs");
    git(&ws, "commit -qm moved");
    ws.run("t");
}

#[test]
fn without_a_repository_nothing_passes() {
    for with in ["check.branch'\nwith = { forbid = 'main' }", "check.cochange'\nwith = { when = 'a', require = 'b' }"] {
        let ws = Workspace::new(&format!("[tasks.t]\nuses = '{with}"));
        fails(&ws).says("this is no git repository").says("does not pass");
    }
}

#[test]
fn parameters_that_say_nothing_or_nonsense_are_refused() {
    for (task, code, says) in [
        ("uses = 'check.forbid'", "config::missing-key", "`check.forbid` needs `patterns`"),
        ("uses = 'check.forbid'\nwith = { files = 'a' }", "config::missing-key", "needs `patterns`"),
        ("uses = 'check.forbid'\nwith = { files = 'a', patterns = '(' }", "config::bad-value", "no regular expression"),
        ("uses = 'check.same'\nwith = { values = ['a.toml#b'] }", "config::bad-value", "always the same as itself"),
        ("uses = 'check.same'\nwith = { values = ['a.toml', 'b.toml#c'] }", "config::bad-value", "where in the file"),
        ("uses = 'check.same'\nwith = { values = ['a.txt#b', 'b.toml#c'] }", "config::bad-value", "TOML, JSON or YAML"),
        ("uses = 'check.branch'", "config::missing-key", "does not say what to check"),
        ("uses = 'check.drift'\nwith = { command = 'x' }", "config::missing-key", "does not say what to check"),
        (
            "uses = 'check.drift'\nwith = { command = 'x', outputs = 'o', lock = 'l' }",
            "config::missing-key",
            "what to check",
        ),
        ("uses = 'check.forbit'", "config::unknown-node", "there is no node `check.forbit`"),
        ("uses = 'check.exists'\nwith = { files = 'a', strict = true }", "config::unknown-key", "unknown key `strict`"),
        (
            "uses = 'check.exists'\nwith = { files = 'a' }\nsources = ['a']",
            "config::group-key",
            "`sources` needs a command",
        ),
        ("run = 'true'\nwith = { files = 'a' }", "config::conflict", "has `with`, but no `uses`"),
        ("run = 'true'\nuses = 'check.graph'", "config::conflict", "has `run` and `uses`"),
    ] {
        let ws = Workspace::new(&format!("[tasks.t]\n{task}"));
        ws.write("a", "");
        ws.try_run("t").exit(2).says(code).says(says);
    }
}
