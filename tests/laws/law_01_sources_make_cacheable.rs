//! Law 1: a task that declares `sources` is cacheable; `sources = []` means nothing but the command,
//! its environment and its dependencies. Without `sources`, with `cache = false` or with `writes`,
//! a task always runs.

use crate::support::Workspace;

#[test]
fn with_sources_a_task_runs_once() {
    let ws = Workspace::new("[tasks.t]\nrun = 'echo x >> ../t.ran'\nsources = ['in']");
    ws.write("in", "a");
    ws.run("t").tasks("t ran");
    ws.run("t").tasks("t fresh");
    ws.write("in", "b");
    ws.run("t").tasks("t ran");
    assert_eq!(ws.count("t"), 2);
}

#[test]
fn with_empty_sources_no_file_counts() {
    let ws = Workspace::new("[tasks.t]\nrun = 'echo x >> ../t.ran'\nsources = []");
    ws.run("t").tasks("t ran");
    ws.write("anything", "a");
    ws.run("t").tasks("t fresh");
    assert_eq!(ws.count("t"), 1);
}

#[test]
fn with_empty_sources_the_command_the_environment_and_dependencies_count() {
    let tasks = |command: &str, value: &str| {
        format!(
            "[tasks.dep]\nrun = 'cp in out'\nsources = ['in']\noutputs = ['out']\n\
             [tasks.t]\nrun = '{command} >> ../t.ran'\nsources = []\ndepends = ['dep']\nenv = {{ V = '{value}' }}"
        )
    };
    let ws = Workspace::new(&tasks("echo x", "1"));
    ws.write("in", "a");
    ws.run("t").tasks("t ran");
    ws.run("t").tasks("t fresh");
    ws.tasks(&tasks("echo  x", "1"));
    ws.run("t").tasks("t ran");
    ws.tasks(&tasks("echo  x", "2"));
    ws.run("t").tasks("t ran");
    ws.write("in", "b");
    ws.run("t").tasks("dep ran, t ran");
    assert_eq!(ws.count("t"), 4);
}

fn runs_each_time(keys: &str, why: &str) {
    let ws = Workspace::new(&format!("[tasks.t]\nrun = 'echo x >> ../t.ran; cp in out'\n{keys}"));
    ws.write("in", "a");
    for _ in 0..3 {
        let ran = ws.run("t").tasks("t ran");
        assert_eq!(ran.reasons("t"), [why], "{}", ran.shown());
    }
    assert_eq!(ws.count("t"), 3);
}

#[test]
fn without_sources_it_always_runs() {
    runs_each_time("", "no_sources");
    runs_each_time("outputs = ['out']", "no_sources");
    runs_each_time("env_inputs = ['V']", "no_sources");
}

#[test]
fn with_cache_off_it_always_runs() {
    runs_each_time("sources = ['in']\ncache = false", "cache_off");
    runs_each_time("sources = ['in']\noutputs = ['out']\ncache = false", "cache_off");
}

#[test]
fn with_writes_it_always_runs() {
    runs_each_time("sources = ['in']\nwrites = ['out']", "writes");
}
