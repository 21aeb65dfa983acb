//! The other tools: what is written for a project of each, and what it does.

use super::{copy_of, empty, imported};
use crate::support::Workspace;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A fixture, imported.
fn project(name: &str, file: &str) -> (Workspace, String) {
    let ws = copy_of(name);
    if ws.exists("gitignore") {
        ws.rename("gitignore", ".gitignore");
    }
    let said = imported(&ws, file);
    let text = format!("{said}---\n{}", ws.read("tasks.toml"));
    (ws, text)
}

/// What the tasks of a run printed, in no order.
fn printed(ws: &Workspace, words: &str) -> Vec<String> {
    let before: Vec<String> = ws.weir_files();
    ws.run(words);
    let logs = ws.weir_files().into_iter().filter(|file| file.contains("/logs/") && !before.contains(file));
    let mut lines: Vec<String> =
        logs.flat_map(|log| ws.read(&log).lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    lines.sort();
    lines
}

#[test]
fn npm_scripts() {
    let (ws, text) = project("npm", "package.json");
    insta::assert_snapshot!("npm", text);
    ws.write("node_modules/.bin/tsc", "#!/bin/sh\nmkdir dist && echo tsc \"$@\"\n");
    ws.chmod("node_modules/.bin/tsc", 0o755);
    // Asked for the version of the package.
    ws.write("node_modules/.bin/node", "#!/bin/sh\necho 1.2.3\n");
    ws.chmod("node_modules/.bin/node", 0o755);
    // `pre` first, `post` after a success, arguments to the script itself.
    assert_eq!(printed(&ws, "build -- --x"), ["built 1.2.3", "tsc -p . --x"]);
    assert_eq!(printed(&ws, "build"), ["built 1.2.3", "tsc -p ."]);
    // npm's shell goes on after a failing command.
    assert_eq!(printed(&ws, "lint"), ["la", "lb", "lb2"]);
}

#[test]
fn a_post_script_does_not_run_after_a_failure() {
    let ws = empty();
    ws.write("package.json", r#"{"scripts": {"a": "false", "posta": "echo x > post", "nothing": ""}}"#);
    imported(&ws, "package.json");
    ws.try_run("a").exit(1);
    assert!(!ws.exists("post"));
    ws.run("nothing");
}

#[test]
fn make_targets() {
    let (ws, text) = project("make", "Makefile");
    insta::assert_snapshot!("make", text);
    assert_eq!(printed(&ws, "test"), ["good", "testing v1 as in dev"]);
    assert_eq!(ws.read("app"), "two\none\n");
    ws.run("app").tasks("app fresh, out-main.o fresh");
    ws.write("src/main.c", "three\n");
    ws.run("app").tasks("app ran, out-main.o ran, out-f.o fresh");
    assert_eq!(ws.read("app"), "two\nthree\n");
    assert_eq!(printed(&ws, "lint"), ["lint src/f.c", "lint src/main.c"]);
    // `-` in front of a line: its failure is none.
    ws.run("clean");
    ws.run("clean");
    assert!(!ws.exists("app") && !ws.exists("out"));
    ws.try_run("usex").exit(1).says("not carried over");
}

#[test]
fn prerequisites_run_in_the_order_they_are_named() {
    let ws = empty();
    ws.write("Makefile", ".PHONY: all a b\nall: a b\n\techo all >> log\na:\n\techo a >> log\nb:\n\techo b >> log\n");
    imported(&ws, "Makefile");
    ws.run("all");
    assert_eq!(ws.read("log"), "a\nb\nall\n");
}

#[test]
fn a_target_that_is_no_file_always_runs_though_nobody_called_it_phony() {
    let ws = empty();
    ws.write("Makefile", "test:\n\techo go test >> log\nbuild lint:\n\techo go $@ >> log\nout: in\n\tcat in > out\n");
    ws.write("in", "x");
    imported(&ws, "Makefile");
    for _ in 0..2 {
        ws.run("test lint build");
    }
    assert_eq!(ws.read("log").lines().count(), 6);
    assert!(ws.read("tasks.toml").contains("outputs = [\"out\"]"));
}

#[test]
fn what_an_earlier_prerequisite_needs_is_made_once_before_it() {
    let ws = empty();
    ws.write(
        "Makefile",
        ".PHONY: all a b\nall: a b c\na: b\n\techo a >> log\nb:\n\techo b >> log\nc:\n\techo c >> log\n",
    );
    imported(&ws, "Makefile");
    ws.run("all");
    assert_eq!(ws.read("log"), "b\na\nc\n");
    let ws = empty();
    ws.write("mise.toml", "[tasks]\na = 'echo a >> log'\nt = [{ task = 'a' }, 'echo t >> log', { task = 'a' }]\n");
    imported(&ws, "mise.toml");
    ws.run("t");
    assert_eq!(ws.read("log"), "a\nt\n");
}

/// The lines are those of just 1.58.
#[test]
fn just_recipes() {
    let (ws, text) = project("just", "justfile");
    insta::assert_snapshot!("just", text);
    assert_eq!(printed(&ws, "build"), ["building debug  abc123 v1.2.3"]);
    assert_eq!(printed(&ws, "b -- x y z"), ["building x y z abc123 v1.2.3"]);
    assert_eq!(ws.read("out-x.txt"), "x\n");
    let test = ["building release  abc123 v1.2.3", "done more", "lint", "testing dev"];
    assert_eq!(printed(&ws, "test"), test);
    let deployed = |line: &str| {
        let mut lines: Vec<String> = test.iter().chain(&[line, "notified"]).map(|line| (*line).to_owned()).collect();
        lines.sort();
        lines
    };
    assert_eq!(printed(&ws, "deploy -- prod"), deployed("prod eu a b"));
    assert_eq!(printed(&ws, "deploy -- prod us h1 h2"), deployed("prod us h1 h2"));
    assert_eq!(printed(&ws, "awk"), ["awk 1 1.2.3"]);
    assert_eq!(printed(&ws, "sh -- q"), ["sh q Q"]);
    assert_eq!(printed(&ws, "serial"), ["1", "2", "3"]);
    assert_eq!(printed(&ws, "braces"), ["{{x}}"]);
    ws.try_run("cond").exit(1).says("not carried over");
}

#[test]
fn task_tasks() {
    let (ws, text) = project("taskfile", "Taskfile.yml");
    insta::assert_snapshot!("taskfile", text);
    assert_eq!(printed(&ws, "default"), ["Hello demo bob abc dev", "end"]);
    ws.run("default").tasks("build fresh");
    assert_eq!(ws.read("out/app.txt"), "a\n");
    let check = || ws.weir(&["run", "check"]).env("TOKEN", "t").ok();
    check().says("checked with t");
    check().says_nothing_of("checked with");
    ws.try_run("check").exit(1).says("check requires it");
    assert_eq!(printed(&ws, "each"), ["deferred", "item a", "item b", "last"]);
    assert_eq!(printed(&ws, "docs:serve"), ["docs default", "serve in docs"]);
}

#[test]
fn turbo_tasks() {
    let (ws, text) = project("turbo", "turbo.json");
    insta::assert_snapshot!("turbo", text);
    // As much of npm as is needed.
    let npm = ws.outside("bin/npm");
    fs::create_dir(npm.parent().unwrap()).unwrap();
    fs::write(&npm, "#!/bin/sh\nsh -c \"$(sed -n 's/.*\"'$2'\":\"\\([^\"]*\\)\".*/\\1/p' package.json)\"\n").unwrap();
    fs::set_permissions(&npm, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", npm.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let run = |task: &str| ws.weir(&["run", task]).env("PATH", &path).ok();
    run("test").tasks("web:build ran, utils:build ran, ui:test ran");
    assert_eq!(ws.read("apps/web/dist/web.js"), "u\n");
    run("test").tasks("web:build skips, utils:build skips, ui:test skips");
    ws.write("packages/utils/index.js", "v\n");
    run("build").tasks("web:build ran, utils:build ran");
    assert_eq!(ws.read("apps/web/dist/web.js"), "v\n");
}

#[test]
fn what_can_not_be_read_is_said_with_its_place() {
    for (file, content, said) in [
        ("mise.toml", "[tasks.a]\nrun = \n", "failed to read `mise.toml:2`"),
        ("Taskfile.yml", "version: '3'\ntasks:\n  a: [\n", "failed to read `Taskfile.yml:"),
        ("Taskfile.yml", "version: '2'\ntasks: {}\n", "its version is 2"),
        ("package.json", "{\n  \"scripts\": {,\n}\n", "failed to read `package.json:2`"),
        ("package.json", "{}", "it has no `scripts`"),
        ("turbo.json", "{ \"tasks\": {} }", "failed to read `package.json`: there is no such file"),
        ("justfile", "a:\n  echo\n?? what\n", "failed to read `justfile:3`"),
        ("Makefile", "a:\n\techo\nwhat is this\n", "failed to read `Makefile:3`"),
        ("Makefile", "ifdef X\n", "without its `endif`"),
        ("mise.toml", "  \n", "it is empty"),
        ("mise.toml", "[tools]\nnode = '20'\n", "there are no tasks"),
    ] {
        let ws = empty();
        ws.write(file, content);
        ws.weir(&["import", file]).go().exit(2).says(said).says("help: ");
        assert!(!ws.exists("tasks.toml"), "{file}");
    }
    let ws = empty();
    ws.write("mise.toml", b"[tasks.a]\nrun = '\xff'\n");
    ws.weir(&["import", "mise.toml"]).go().exit(2).says("`mise.toml:2`: it is not UTF-8");
    ws.write("Makefile/x", "");
    ws.weir(&["import", "Makefile"]).go().exit(2).says("it is a folder");
    ws.weir(&["import", "justfile"]).go().exit(2).says("there is no such file");
    ws.write("build.xml", "<x/>");
    ws.weir(&["import", "build.xml"]).go().exit(2).says("is no file of a tool that weir knows").says("`Taskfile.yml`");
}

#[test]
fn an_existing_file_is_left_as_it_is() {
    let ws = empty();
    ws.write("Makefile", "a:\n\techo a\n");
    ws.write("tasks.toml", "mine");
    ws.weir(&["import", "Makefile"]).go().exit(2).says("it was left as it is").says("--output");
    ws.weir(&["import", "Makefile", "--output", "tasks.toml"]).go().exit(2);
    assert_eq!(ws.read("tasks.toml"), "mine");
    // A link that leads nowhere is something too.
    ws.link("nowhere", "other.toml");
    ws.weir(&["import", "Makefile", "-o", "other.toml"]).go().exit(2);
    ws.weir(&["import", "Makefile", "-o", "missing/tasks.toml"]).go().exit(1).says("failed to write");
    ws.weir(&["import", "Makefile", "-o", "new.toml"]).ok().says("wrote new.toml: 1 task from Makefile");
    assert_eq!(ws.files(".").len(), 3, "{:?}", ws.files("."));
}

#[test]
fn it_can_be_shown_and_told_as_json() {
    let ws = empty();
    ws.write("Makefile", ".PHONY: a\na:\n\techo a\ninclude x.mk\n");
    let shown = ws.weir(&["import", "Makefile", "-o", "-"]).ok();
    assert!(shown.out.contains("[tasks.a]") && shown.err.contains("1 task from Makefile"), "{}", shown.shown());
    assert!(!ws.exists("tasks.toml"));
    let told = |more: &[&str]| -> serde_json::Value {
        let arguments: Vec<&str> = ["import", "Makefile", "--json"].iter().chain(more).copied().collect();
        serde_json::from_str(&ws.weir(&arguments).ok().out).unwrap()
    };
    let value = told(&["-o", "-"]);
    assert_eq!(value["text"].as_str().unwrap(), shown.out);
    let value = told(&[]);
    assert_eq!((value["tool"].as_str(), value["wrote"].as_str()), (Some("make"), Some("tasks.toml")));
    assert_eq!(value["tasks"], serde_json::json!(["a"]));
    assert_eq!(value["differences"][0]["line"], 4);
    assert_eq!(ws.read("tasks.toml"), shown.out);
}

#[test]
fn written_elsewhere_it_says_what_its_paths_are_relative_to() {
    let ws = empty();
    ws.write("sub/Makefile", "a:\n\techo a\n");
    ws.weir(&["import", "sub/Makefile", "-o", "out.toml"]).ok().says("the paths here are relative to `sub`");
    ws.weir(&["import", "sub/Makefile"]).ok().says("wrote sub/tasks.toml");
}
