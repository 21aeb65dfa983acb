//! A tasks.toml that is none.

use crate::more::refused;
use crate::support::Workspace;
use std::fs;

#[test]
fn a_file_that_is_no_utf8_is_refused_where_it_ceases_to_be() {
    let ws = Workspace::new("");
    fs::write(ws.path("tasks.toml"), b"version = 1\n[tasks.t]\nrun = 'x \xff\xfe'\n").unwrap();
    refused(&ws, ws.try_run("t")).says("config::not-utf8").says("`tasks.toml`").says("line 3");
}

#[test]
fn what_stands_in_its_place_is_refused_by_name() {
    let ws = Workspace::new("");
    ws.remove("tasks.toml");
    refused(&ws, ws.try_run("t")).says("no `tasks.toml`").says("weir init");
    ws.link("nowhere/tasks.toml", "tasks.toml");
    refused(&ws, ws.try_run("t")).says("failed to read `tasks.toml`");
    ws.link("tasks.toml", "tasks.toml");
    refused(&ws, ws.try_run("t")).says("failed to read `tasks.toml`");
    ws.remove("tasks.toml");
    fs::create_dir(ws.path("tasks.toml")).unwrap();
    refused(&ws, ws.try_run("t")).says("`tasks.toml` is a directory");
    fs::remove_dir(ws.path("tasks.toml")).unwrap();
    // A pipe that nobody writes to would hold a reader for ever.
    nix::unistd::mkfifo(&ws.path("tasks.toml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    refused(&ws, ws.try_run("t")).says("no regular file");
}

#[test]
fn an_empty_one_asks_for_its_version() {
    let ws = Workspace::new("");
    ws.write("tasks.toml", "");
    refused(&ws, ws.try_run("t")).says("config::missing-version").says("version = 1");
    ws.write("tasks.toml", "version = 2\n[tasks.t]\nrun = 'x'");
    refused(&ws, ws.try_run("t")).says("config::newer-version");
}

#[test]
fn an_included_file_that_is_broken_is_refused_by_its_name() {
    for (broken, said) in [("[tasks.t\n", "sub/tasks.toml:1:"), ("[tasks.t]\nsorces = []", "sub/tasks.toml:2:1")] {
        let ws = Workspace::new("include = ['sub/tasks.toml']\n[tasks.t]\nrun = 'x'");
        ws.write("sub/tasks.toml", broken);
        refused(&ws, ws.try_run("t")).says(said);
    }
    let ws = Workspace::new("include = ['sub/tasks.toml']\n[tasks.t]\nrun = 'x'");
    refused(&ws, ws.try_run("t")).says("config::bad-include").says("tasks.toml:2:12");
}

#[test]
fn control_characters_in_names_do_not_reach_the_terminal() {
    let escape = "a\\u001b[31mb";
    for text in [
        format!("[tasks.\"{escape}\"]\nrun = 'true'"),
        format!("[tasks.t]\nrun = 'true'\n\"{escape}\" = 1"),
        format!("[tasks.t]\nrun = 'true'\ndepends = [\"{escape}\"]"),
        format!("[tasks.t]\nrun = 'true'\ntimeout = \"{escape}\""),
        format!("[tasks.t]\nrun = 'true'\ndescription = \"{escape}\"\nhelp = \"{escape}\""),
    ] {
        let ws = Workspace::new(&text);
        for call in [vec!["tasks", "ls"], vec!["tasks", "info", "t"], vec!["run", "t"], vec!["explain", "t"]] {
            let ran = ws.weir(&call).go();
            assert!(!ran.out.contains('\x1b') && !ran.err.contains('\x1b'), "{}", ran.shown());
            assert!(!ran.err.contains("defect"), "{}", ran.shown());
        }
    }
}
