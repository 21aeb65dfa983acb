//! `rule.structural` and `weir rule`, in real repositories.

use crate::support::{Ran, Workspace, wait_until};
use std::process::Command;

const TASKS: &str = "[policy]\nentry = ['check']\n[tasks.check]\ndepends = ['rule', 'gate']\n\
    [tasks.rule]\nuses = 'rule.structural'\n[tasks.gate]\nrun = 'true'\n";
const MANIFEST: &str = "docs/invariants/INVARIANTS_MANIFEST.yml";
const APPLIED: &str = "schema/migrations/0001_t.sql";

fn git(ws: &Workspace, words: &[&str]) -> String {
    git_in(&ws.root(), words)
}

fn git_in(folder: &std::path::Path, words: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b",
            "-c",
            "commit.gpgsign=false",
            "-c",
            "protocol.file.allow=always",
        ])
        .args(words)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn commit(ws: &Workspace) {
    git(ws, &["add", "-A"]);
    git(ws, &["commit", "-qm", "more"]);
}

/// A repository on `main` with a migration, an invariant and a graph that reaches the rule; then a branch.
fn repository() -> Workspace {
    let ws = on_main();
    git(&ws, &["switch", "-qc", "work"]);
    ws
}

fn on_main() -> Workspace {
    let ws = Workspace::new(TASKS);
    git(&ws, &["init", "-q", "-b", "main"]);
    ws.write(".gitignore", ".weir\n");
    ws.write(APPLIED, "create table t (a int);\n");
    ws.write(MANIFEST, manifest("nothing much", "\"table:other\""));
    ws.weir(&["rule", "quick"]).ok();
    commit(&ws);
    ws.write("a.txt", "a\n");
    commit(&ws);
    ws
}

fn manifest(title: &str, covers: &str) -> String {
    format!(
        "invariants:\n- id: INV-001\n  title: {title}\n  status: implemented\n  covers: [{covers}]\n  \
         enforced_by: [the schema]\n  verified_by: [gate]\n"
    )
}

fn update(ws: &Workspace, covers: &str) {
    ws.write(MANIFEST, manifest("nothing much", covers));
    ws.weir(&["rule", "quick"]).ok();
}

fn except(ws: &Workspace, expires: &str) {
    ws.write(
        &format!("docs/invariants/exceptions/exception_INV-001_{}.md", day(0)),
        format!(
            "---\nid: INV-001\nexpires: {expires}\nfollow_up_ticket: A-1\nreason: because\nmitigation: by hand\n---\n"
        ),
    );
}

/// Days from today, in UTC.
fn day(from_today: i64) -> String {
    let length = std::time::Duration::from_secs(24 * 60 * 60);
    let days = u32::try_from(from_today.unsigned_abs()).unwrap();
    let now = std::time::SystemTime::now();
    let then = if from_today < 0 { now - length * days } else { now + length * days };
    humantime::format_rfc3339_seconds(then).to_string()[..10].to_owned()
}

fn detect(ws: &Workspace) -> Ran {
    ws.weir(&["rule", "detect"]).go()
}

#[test]
fn a_structural_change_needs_its_invariant_or_an_exception() {
    let ws = repository();
    detect(&ws).success().says("0 structural findings");
    ws.run("check");
    ws.write("schema/migrations/0002_c.sql", "alter table t add column c int not null;\n");
    detect(&ws)
        .exit(1)
        .says("schema/migrations/0002_c.sql:1: column: ")
        .says("weir rule quick")
        .says("covered by no invariant");
    ws.try_run("check").exit(1).says("1 structural finding");
    update(&ws, "\"table:t\"");
    detect(&ws).success().says("right by INV-001");
    ws.run("check");
    ws.write(MANIFEST, manifest("nothing much", "\"table:t\", \"table:u\""));
    detect(&ws).exit(1).says("INVARIANTS_QUICK.md` is not what the manifest says");
    ws.weir(&["rule", "quick", "--check"]).go().exit(1);
    update(&ws, "\"table:other\"");
    detect(&ws).exit(1);
    except(&ws, &day(0));
    detect(&ws).success();
    except(&ws, &day(-1));
    detect(&ws).exit(1).says("it expired on");
    except(&ws, &day(91));
    detect(&ws).exit(1).says("at most 90 are allowed");
}

#[test]
fn staged_and_committed_work_is_seen() {
    let ws = repository();
    ws.write("b.sql", "create table b ();\n");
    ws.weir(&["rule", "detect", "--staged"]).ok();
    detect(&ws).exit(1);
    git(&ws, &["add", "b.sql"]);
    ws.weir(&["rule", "detect", "--staged"]).go().exit(1).says("b.sql:1: table");
    ws.write("b.sql", "select 1;\n");
    ws.weir(&["rule", "detect", "--staged"]).go().exit(1);
    detect(&ws).success();
    ws.write("b.sql", "create table b ();\n");
    commit(&ws);
    detect(&ws).exit(1);
    ws.weir(&["rule", "detect", "--base", "work"]).go().exit(1).says("on `work` itself");
}

#[test]
fn an_applied_migration_is_not_edited_whatever_the_paperwork() {
    let ws = repository();
    ws.write(APPLIED, "create table t (a int); -- said\n");
    update(&ws, "\"**\"");
    except(&ws, &day(10));
    detect(&ws).exit(1).says("is on the base branch, and was edited").says("no paperwork makes this right");
    ws.remove(APPLIED);
    detect(&ws).exit(1).says("was deleted");
    ws.write("schema/migrations/0003_t.sql", "create table t (a int);\n");
    detect(&ws).exit(1).says("was renamed to `schema/migrations/0003_t.sql`");
    ws.remove("schema/migrations/0003_t.sql");
    ws.write(APPLIED, "create table t (a int);\n");
    detect(&ws).success();
}

#[test]
fn a_gate_is_not_taken_out_unseen() {
    let ws = repository();
    ws.tasks(
        &TASKS
            .replace("['rule', 'gate']", "['rule', 'other']")
            .replace("[tasks.gate]", "[tasks.other]\nrun = 'true'\n[tasks.gate]"),
    );
    ws.try_run("check").exit(1).says("no entry task reaches `gate` any more").says("which no entry task reaches");
    ws.write(MANIFEST, manifest("nothing much", "\"task:gate\"").replace("[gate]", "[other]"));
    ws.weir(&["rule", "quick"]).ok();
    ws.run("check");
    for weak in [
        "run = 'true || true'",
        "run = 'true'\non_fail = 'warn'",
        "run = 'true'\non_fail = { default = 'fail', ci = 'warn' }",
    ] {
        ws.tasks(&TASKS.replace("run = 'true'", weak));
        detect(&ws).exit(1).says("gate: ");
    }
    ws.tasks(&TASKS.replace("run = 'true'", "run = 'true'\non_fail = { default = 'fail', local = 'warn' }"));
    update(&ws, "\"table:other\"");
    detect(&ws).success();
}

#[test]
fn the_rule_is_asked_though_the_change_took_it_out() {
    let ws = repository();
    ws.tasks(&TASKS.replace("['rule', 'gate']", "['gate']"));
    ws.try_run("check").exit(1).says("it is asked all the same").says("no entry task reaches `rule` any more");
    assert!(!ws.exists(".weir/runs") || ws.files(".weir/runs").is_empty(), "nothing was run");
    ws.tasks("[tasks.check]\nrun = 'true'\n");
    ws.try_run("check").exit(1).says("it is asked all the same");
    // Nor does a base that git can't make anything of hide that.
    for base in [r"a\nb", ":/[", "HEAD@{999999}", "-x"] {
        ws.tasks(&format!("[structural]\nbase = \"{base}\"\n[tasks.check]\nrun = 'true'\n"));
        ws.try_run("check").exit(1).says("it is asked all the same");
    }
    // With its paperwork it may go.
    ws.tasks(&TASKS.replace("['rule', 'gate']", "['gate']"));
    update(&ws, "\"task:rule\"");
    ws.run("check").says("it is asked all the same");
    ws.run("gate");
}

#[test]
fn the_rule_is_asked_where_the_base_has_it_since_though_nothing_of_the_plan_changed() {
    const BEFORE: &str = "[tasks.all]\nsources = ['a.txt']\noutputs = ['b.txt']\nrun = 'cp a.txt b.txt'\n";
    let ws = Workspace::new(BEFORE);
    git(&ws, &["init", "-q", "-b", "main"]);
    ws.write(".gitignore", ".weir\n");
    ws.write("a.txt", "a\n");
    commit(&ws);
    let run = || ws.weir(&["run", "all"]).env("WEIR_LOG", "weir::cli=debug").go();
    wait_until("a seal answers", || run().success().err.contains("a seal is unbroken"));
    ws.write("a.txt", "b\n");
    run().success().says("a part of the plan is enough").says_nothing_of("it is asked all the same");
    // The base and HEAD go on; what is in the working tree stays what it was.
    ws.write(
        "next.toml",
        format!("version = 1\n[policy]\nentry = ['all']\n{BEFORE}depends = ['rule']\n[tasks.rule]\nuses = 'rule.structural'\n"),
    );
    let next = git(&ws, &["hash-object", "-w", "next.toml"]);
    git(&ws, &["update-index", "--cacheinfo", &format!("100644,{next},tasks.toml")]);
    git(&ws, &["commit", "-qm", "the rule"]);
    for branch in [None, Some("work")] {
        branch.map(|name| git(&ws, &["switch", "-qc", name]));
        branch.map(|_| git(&ws, &["commit", "-q", "--allow-empty", "-m", "more"]));
        ws.write("a.txt", format!("c {branch:?}\n"));
        let ran = run().says("a part of the plan is enough").says("it is asked all the same");
        // On `main` itself only the last commit is judged, which had no rule before it.
        if branch.is_some() {
            ran.exit(1)
        } else {
            ran.success()
        };
    }
}

#[test]
fn a_change_is_not_its_own_base() {
    let ws = repository();
    ws.write("b.sql", "create table b ();\n");
    for moved in ["base = 'HEAD'", "base = 'work'", "base = 'nowhere'"] {
        ws.tasks(&format!("[structural]\n{moved}\n{TASKS}"));
        commit(&ws);
        ws.try_run("rule").exit(1).says("b.sql:1: table").says("rule: `base` was `main`");
        ws.tasks(&TASKS.replace("'rule.structural'", &format!("'rule.structural'\nwith = {{ {moved} }}")));
        commit(&ws);
        ws.try_run("rule").exit(1).says("b.sql:1: table");
    }
}

#[test]
fn included_files_are_part_of_the_graph() {
    let ws = on_main();
    ws.tasks(&format!("include = ['sub/*/tasks.toml']\n{}", TASKS.replace("'gate']", "'gate', 'sub/a:test']")));
    ws.write("sub/a/tasks.toml", "version = 1\n[tasks.test]\nrun = 'true'\n");
    commit(&ws);
    git(&ws, &["switch", "-qc", "work"]);
    detect(&ws).success();
    ws.write("sub/a/tasks.toml", "version = 1\n[tasks.test]\nrun = 'true'\non_fail = 'warn'\n");
    detect(&ws).exit(1).says("sub/a/tasks.toml:2: gate: a failure of `sub/a:test` is only a warning now");
    ws.write("sub/a/tasks.toml", "version = 1\n[tasks.test\n");
    detect(&ws).exit(1).says("tasks.toml does not load");
}

#[test]
fn on_the_base_branch_itself_the_last_commit_is_judged() {
    let ws = on_main();
    detect(&ws).success().says("on `main` itself");
    ws.write("b.sql", "create table b ();\n");
    commit(&ws);
    detect(&ws).exit(1).says("b.sql:1: table");
    git(&ws, &["checkout", "-q", "--detach"]);
    detect(&ws).exit(1).says("b.sql:1: table");
    ws.write("c.txt", "c");
    commit(&ws);
    detect(&ws).success().says("where it left `main`");
    git(&ws, &["switch", "-q", "main"]);
    ws.write("b.txt", "b");
    commit(&ws);
    // What the last commit brought is on the base branch by now.
    ws.write("schema/migrations/0002_b.sql", "select 1;\n");
    commit(&ws);
    detect(&ws).success();
    ws.write("schema/migrations/0002_b.sql", "select 2;\n");
    detect(&ws).exit(1).says("was edited");
}

#[test]
fn without_commits_nothing_can_be_judged() {
    let ws = Workspace::new(TASKS);
    detect(&ws).exit(1).says("this is no git repository").says("what can't be judged does not pass");
    git(&ws, &["init", "-q", "-b", "main"]);
    detect(&ws).exit(1).says("has no commit yet");
    ws.try_run("rule").exit(1).says("has no commit yet");
    commit(&ws);
    detect(&ws).success().says("the first commit");
}

#[test]
fn a_shallow_clone_says_what_it_can_not_see() {
    let ws = on_main();
    let clone = ws.outside("clone");
    let url = format!("file://{}", ws.root().display());
    git_in(&ws.outside(""), &["clone", "-q", "--depth", "1", &url, clone.to_str().unwrap()]);
    ws.weir(&["-C", clone.to_str().unwrap(), "rule", "detect"])
        .go()
        .exit(1)
        .says("this is a shallow clone")
        .says("fetch-depth: 0");
    git_in(&clone, &["fetch", "-q", "--unshallow"]);
    ws.weir(&["-C", clone.to_str().unwrap(), "rule", "detect"]).ok();
    // A clone of a branch knows the base as `origin/main`.
    git(&ws, &["switch", "-qc", "work"]);
    ws.write("b.sql", "create table b ();\n");
    commit(&ws);
    let other = ws.outside("other");
    git_in(&ws.outside(""), &["clone", "-q", "-b", "work", &url, other.to_str().unwrap()]);
    ws.weir(&["-C", other.to_str().unwrap(), "rule", "detect"])
        .go()
        .exit(1)
        .says("where it left `origin/main`")
        .says("b.sql:1");
}

#[test]
fn no_base_branch_and_no_common_commit() {
    let ws = repository();
    git(&ws, &["branch", "-qm", "main", "trunk"]);
    detect(&ws).exit(1).says("there is no branch, tag or commit `main` here");
    ws.weir(&["rule", "detect", "--base", "trunk"]).ok();
    git(&ws, &["checkout", "-q", "--orphan", "alone"]);
    commit(&ws);
    ws.weir(&["rule", "detect", "--base", "trunk"]).go().exit(1).says("have no common commit here");
}

#[test]
fn a_merge_in_progress_is_not_judged() {
    let ws = repository();
    ws.write("a.txt", "mine\n");
    commit(&ws);
    git(&ws, &["switch", "-q", "main"]);
    ws.write("a.txt", "theirs\n");
    commit(&ws);
    git(&ws, &["switch", "-q", "work"]);
    let merge = Command::new("git").args(["merge", "-q", "main"]).current_dir(ws.root()).output().unwrap();
    assert!(!merge.status.success());
    detect(&ws).exit(1).says("a merge is in progress");
    git(&ws, &["merge", "--abort"]);
    detect(&ws).success();
}

#[test]
fn a_worktree_and_a_workspace_below_the_repository() {
    let ws = repository();
    let tree = ws.outside("tree");
    git(&ws, &["worktree", "add", "-q", "-b", "third", tree.to_str().unwrap(), "main"]);
    std::fs::write(tree.join("b.sql"), "create table b ();\n").unwrap();
    ws.weir(&["-C", tree.to_str().unwrap(), "rule", "detect"]).go().exit(1).says("b.sql:1");
    ws.write("below/tasks.toml", "version = 1\n");
    ws.write("below/x.sql", "create table x ();\n");
    ws.write("beside.sql", "create table y ();\n");
    ws.weir(&["-C", "below", "rule", "detect"]).go().exit(1).says("x.sql:1").says_nothing_of("beside.sql");
}

#[test]
fn renames_binaries_submodules_and_links() {
    let ws = repository();
    ws.write("db/view.sql", "create view v as select 1;\n");
    commit(&ws);
    git(&ws, &["switch", "-q", "main"]);
    git(&ws, &["merge", "-q", "work"]);
    git(&ws, &["switch", "-qc", "next"]);
    ws.rename("db/view.sql", "db/views.sql");
    detect(&ws).success();
    ws.write("db/views.sql", "create view v as select 2;\n");
    detect(&ws).exit(1).says("db/views.sql:1: view");
    ws.write("db/views.sql", "create view v as select 1;\n");
    ws.write("logo.png", b"\0\x01\xff");
    detect(&ws).success();
    ws.write("db/bad.sql", b"\0\x01\xff");
    detect(&ws).exit(1).says("`db/bad.sql` can't be understood: it is binary");
    ws.write("db/bad.sql", "create tabel t ();\n");
    detect(&ws).exit(1).says("it does not parse");
    ws.remove("db/bad.sql");
    ws.link("../a.txt", "db/link.sql");
    detect(&ws).exit(1).says("it is a symlink");
    ws.remove("db/link.sql");
    let inner = ws.outside("inner");
    std::fs::create_dir(&inner).unwrap();
    git_in(&inner, &["init", "-q", "-b", "main"]);
    git_in(&inner, &["commit", "-q", "--allow-empty", "-m", "one"]);
    git(&ws, &["submodule", "--quiet", "add", inner.to_str().unwrap(), "sub"]);
    detect(&ws).exit(1).says("`sub` can't be seen: it is a submodule");
}

#[test]
fn a_diff_is_judged_as_the_work_it_was_made_of() {
    let ws = repository();
    ws.write("b.sql", "create table b ();\n");
    ws.write(APPLIED, "create table t (a int);\n-- more\n");
    ws.tasks(&TASKS.replace("run = 'true'", "run = 'true'\non_fail = 'warn'"));
    ws.weir(&["rule", "prepare", "--out", "../review"]).ok().says("3 structural findings");
    let mut here = detect(&ws).exit(1);
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(ws.outside("review/detect.json")).unwrap()).unwrap();
    assert_eq!((json["passes"].as_bool(), json["findings"].as_array().unwrap().len()), (Some(false), 3));
    git(&ws, &["stash", "-qu"]);
    detect(&ws).success();
    let mut there = ws.weir(&["rule", "detect", "--diff", "../review/pr.diff"]).go().exit(1);
    for said in ["b.sql:1: table", "was edited", "is only a warning now"] {
        here = here.says(said);
        there = there.says(said);
    }
    ws.write("not.diff", "hello\n");
    ws.weir(&["rule", "detect", "--diff", "not.diff"]).go().exit(1).says("it is no diff");
    ws.weir(&["rule", "detect", "--diff", "gone.diff"]).go().exit(1).says("failed to read");
}

#[test]
fn a_huge_change_is_judged() {
    let ws = repository();
    let row = "insert into t values (1, 'some words to fill the line with, as rows do');\n";
    ws.write("docs/rows.txt", row.repeat((50 << 20) / row.len()));
    detect(&ws).success();
    ws.write("db/rows.sql", row.repeat((9 << 20) / row.len()));
    detect(&ws).exit(1).says("it is larger than 8 MiB");
}

#[test]
fn a_manifest_that_is_no_yaml() {
    let ws = repository();
    ws.write(MANIFEST, "invariants: [\n");
    detect(&ws).exit(1).says("INVARIANTS_MANIFEST.yml:").says("it is no YAML");
    ws.weir(&["rule", "quick"]).go().exit(2).says("it is no YAML");
    ws.remove(MANIFEST);
    detect(&ws).exit(1).says("the invariants manifest is gone");
}

#[test]
fn the_clock_s_zone_does_not_matter() {
    let ws = repository();
    ws.write("b.sql", "create table b ();\n");
    except(&ws, &day(0));
    for zone in ["Pacific/Kiritimati", "Etc/GMT+12", "UTC+14"] {
        ws.weir(&["rule", "detect"]).env("TZ", zone).ok();
    }
}

/// This repository's own graph and manifest, with empty files where the manifest names some.
fn own() -> Workspace {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(here.join(path)).unwrap();
    let ws = Workspace::new("");
    git(&ws, &["init", "-q", "-b", "main"]);
    for path in ["tasks.toml", ".ci/run", ".github/workflows/ci.yml", MANIFEST, "docs/invariants/INVARIANTS_QUICK.md"] {
        ws.write(path, read(path));
    }
    for line in read(MANIFEST).lines().filter(|line| line.trim_start().starts_with("enforced_by:")) {
        for path in line.split('"').skip(1).step_by(2).filter(|path| !ws.exists(path)) {
            ws.write(path, "");
        }
    }
    commit(&ws);
    git(&ws, &["switch", "-qc", "work"]);
    ws
}

#[test]
fn no_gate_of_this_repository_is_taken_out_unseen() {
    let ws = own();
    detect(&ws).success().says("0 structural findings");
    let (tasks, manifest) = (ws.read("tasks.toml"), ws.read(MANIFEST));
    ws.write("tasks.toml", tasks.replacen("\"lint\", ", "", 1));
    detect(&ws).exit(1).says("no entry task reaches `lint` any more").says("covered by INV-011");
    ws.write(MANIFEST, manifest.replace("every check there is", "every check but `lint`"));
    detect(&ws).exit(1).says("is not what the manifest says");
    ws.weir(&["rule", "quick"]).ok();
    detect(&ws).success().says("right by INV-011");
    // One that verifies an invariant takes more than that.
    ws.write("tasks.toml", tasks.replacen("\"ranks\", ", "", 1));
    detect(&ws).exit(1).says("`INV-002` is verified by `ranks`, which no entry task reaches");
    ws.write("tasks.toml", &tasks);
    ws.write(".ci/run", ws.read(".ci/run").replace("run check", "run quick"));
    ws.write(MANIFEST, &manifest);
    ws.weir(&["rule", "quick"]).ok();
    detect(&ws).exit(1).says("CI does not call `check` any more");
}

#[test]
fn sql_that_nests_without_end() {
    let ws = repository();
    let deep = "(".repeat(2_000);
    ws.write("db/deep.sql", format!("select {deep}1{};\n", ")".repeat(2_000)));
    // Whatever is said of it, something is said.
    let ran = ws.weir(&["rule", "detect"]).go();
    assert!(ran.shown().contains("changed path"), "{}", ran.shown());
}
