//! Large input: many tasks, deep graphs, much output.

use crate::more::script;
use crate::support::{Workspace, wait_until};
use std::fmt::Write as _;
use std::fs;

const MANY: usize = 10_000;

fn wide() -> Workspace {
    let mut text = String::new();
    for n in 0..MANY {
        let _ = writeln!(text, "[tasks.t{n}]\nexec = ['true']\nsources = []\noutputs = ['out/{n}']");
    }
    let names: Vec<String> = (0..MANY).map(|n| format!("'t{n}'")).collect();
    let _ = writeln!(text, "[tasks.all]\ndepends = [{}]\n[tasks.none]\ndepends = []", names.join(", "));
    Workspace::new(&text)
}

#[test]
fn ten_thousand_tasks_are_planned_and_listed() {
    let ws = wide();
    ws.run("-n all").says("10000 would run");
    ws.run("none");
    let ran = ws.weir(&["tasks", "ls"]).ok();
    assert_eq!(ran.out.lines().count(), MANY + 2);
}

#[test]
fn a_chain_of_ten_thousand_is_planned_run_and_drawn() {
    let mut text = String::from("[tasks.t0]\nrun = 'echo x >> ../t.ran'\nsources = []\noutputs = []\n");
    for n in 1..MANY {
        let _ = writeln!(text, "[tasks.t{n}]\ndepends = ['t{}']", n - 1);
    }
    let ws = Workspace::new(&text);
    let last = format!("t{}", MANY - 1);
    ws.run(&last).tasks("t0 ran");
    ws.run(&last).tasks("t0 fresh");
    ws.weir(&["tasks", "deps", &last, "--format", "dot"]).ok();
    ws.weir(&["explain", &last]).ok().says("`t0` is fresh");
}

#[test]
fn a_chain_of_ten_thousand_commands_is_planned() {
    let mut text = String::from("[tasks.t0]\nexec = ['true']\nsources = []\n");
    for n in 1..MANY {
        let _ = writeln!(text, "[tasks.t{n}]\nexec = ['true']\nsources = []\ndepends = ['t{}']", n - 1);
    }
    let ws = Workspace::new(&text);
    ws.run(&format!("-n t{}", MANY - 1)).says("1 would run").says("9999 depend");
}

/// The most memory that a weir had in use, in kB: a mark that only rises, read until it ends.
fn peak(ws: &Workspace, arguments: &[&str]) -> u64 {
    let weir = ws.weir(arguments).spawn();
    let status = format!("/proc/{}/status", weir.pid());
    let mut peak = 0;
    wait_until("weir ends", || {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let mark = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let Some(mark) = mark else { return true };
        peak = peak.max(mark.trim().trim_end_matches(" kB").parse().unwrap());
        false
    });
    weir.end().success();
    peak
}

#[test]
#[cfg(target_os = "linux")]
fn much_output_needs_little_memory() {
    let ws = Workspace::new(
        "[tasks.lines]\nrun = 'yes | head -c 200000000'\nsources = []\noutputs = []\nshell = ['sh', '-c']\n\
         [tasks.line]\nrun = 'head -c 200000000 /dev/zero'",
    );
    for call in [
        ["run", "--output=grouped", "lines"],
        ["run", "--output=grouped", "lines"],
        ["run", "--output=prefixed", "line"],
    ] {
        let peak = peak(&ws, &call);
        assert!(peak > 1000 && peak < 100_000, "{call:?} used {peak} kB");
    }
}

#[test]
fn bytes_of_any_kind_come_out_as_they_went_in() {
    let ws = Workspace::new("[tasks.t]\nrun = 'cat bytes'\nsources = ['bytes']\noutputs = []");
    let mut bytes: Vec<u8> = (0..=255).collect();
    bytes.extend(b"\xff\xfe no newline at the end \x00");
    ws.write("bytes", &bytes);
    for mode in ["grouped", "grouped", "stream", "grouped"] {
        let ran = script(&ws, &format!("\"$WEIR\" run --output={mode} t")).exit(0);
        assert!(ran.out.windows(bytes.len()).any(|window| window == bytes), "{mode}: {}", ran.shown());
    }
    script(&ws, "\"$WEIR\" run --output=prefixed -f t").exit(0);
}
