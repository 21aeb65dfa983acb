//! `weir init`: what it writes must load, whatever it finds.

use crate::support::Workspace;
use std::fs;

fn empty() -> Workspace {
    let ws = Workspace::new("");
    ws.remove("tasks.toml");
    ws
}

/// It writes a file that loads, whose tasks can be planned, and leaves an existing one alone.
fn good(ws: &Workspace, tasks: &[&str]) {
    let printed = ws.weir(&["init", "--print"]).ok().out;
    assert!(!ws.exists("tasks.toml"));
    ws.weir(&["init"]).ok().says("wrote tasks.toml");
    assert_eq!(ws.read("tasks.toml"), printed);
    let listed = ws.weir(&["tasks", "ls"]).ok();
    for task in tasks.iter().chain(&["check"]) {
        assert!(
            listed.out.lines().any(|line| line.split(' ').next() == Some(task)),
            "no `{task}`: {printed}\n{}",
            listed.shown()
        );
    }
    ws.weir(&["init"]).go().exit(2).says("left as it is");
    assert_eq!(ws.read("tasks.toml"), printed);
}

#[test]
fn of_nothing_it_makes_an_example_that_runs() {
    let ws = empty();
    good(&ws, &["hello"]);
    ws.run("check").tasks("hello ran");
    ws.run("check").tasks("hello fresh");
}

#[test]
fn of_a_cargo_package_its_checks() {
    let ws = empty();
    ws.write("Cargo.toml", "[package]\nname = 'x'\nversion = '0.1.0'\n");
    ws.write("src/lib.rs", "");
    good(&ws, &["fmt", "lint", "test"]);
    // Both tools are there: this is being compiled.
    ws.run("-n check").says("3 would run");
}

#[test]
fn of_a_package_json_its_scripts() {
    let ws = empty();
    ws.write(
        "package.json",
        r#"{ "scripts": { "build": "b", "test:unit": "t", "check": "c", "pre build": "x", "-x": "y", "lint.fix": "l", "\"q\"": "q", "é": "e" } }"#,
    );
    good(&ws, &["build", "test:unit", "npm:check", "pre-build", "x", "lint.fix", "q", "script"]);
    ws.run("-n build").says("1 would run");
}

#[test]
fn of_a_makefile_its_targets() {
    let ws = empty();
    ws.write(
        "Makefile",
        "CC := gcc\n.PHONY: all\nall: build\nbuild: $(OBJ)\n\tcc\nbuild: more\ncheck:\n\ttrue\n%.o: %.c\n\tcc\nURL = http://x\ninstall::\n\tcp\n\ntest: build ; run\n",
    );
    good(&ws, &["all", "build", "make:check", "test"]);
    ws.run("-n all").says("1 would run");
}

#[test]
fn of_all_of_them_names_that_do_not_clash() {
    let ws = empty();
    ws.write("Cargo.toml", "[package]\nname = 'x'\nversion = '0.1.0'\n");
    ws.write("src/lib.rs", "");
    ws.write("package.json", r#"{ "scripts": { "test": "t", "start": "s", "lint": "l", "build": "b", "npm:check": "z", "check": "c", "é": "1", "--": "2" } }"#);
    ws.write("Makefile", "test:\n\ttrue\nstart:\n\ttrue\nbuild:\n\ttrue\nall: build\n");
    good(
        &ws,
        &[
            "fmt",
            "test",
            "npm:test",
            "npm:check",
            "npm:check-2",
            "make:test",
            "start",
            "make:start",
            "build",
            "make:build",
        ],
    );
}

#[test]
fn broken_files_of_others_break_nothing() {
    for (file, content) in [
        ("package.json", "{ not json"),
        ("package.json", "[]"),
        ("package.json", r#"{"scripts": 3}"#),
        ("Makefile", "::::\n\t\n"),
    ] {
        let ws = empty();
        ws.write(file, content);
        good(&ws, &["hello"]);
    }
    let ws = empty();
    fs::create_dir(ws.path("Makefile")).unwrap();
    good(&ws, &["hello"]);
}
