//! `env`, `env_file`, `path`, `pass_through`, `env_inputs`, `requires`, `probes`, `state`, profiles.

use crate::more::json;
use crate::support::Workspace;

#[test]
fn the_nearer_setting_wins() {
    let ws = Workspace::new(
        "[env]\nA = 'file'\nB = 'file'\nC = 'file'\nN = 1\nT = true\n\
         [tasks.t]\nrun = 'echo \"$A $B $C $N $T\"'\nenv = { B = 'task', C = 'task' }\n\
         [tasks.edge]\ndepends = [{ task = 't', env = { C = 'edge' } }]",
    );
    ws.run("t").says("file task task 1 true");
    ws.run("edge").says("file task edge 1 true");
}

#[test]
fn variables_of_a_file_are_read_and_its_change_counts() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'test \"$ONE\" = \"$(cat want)\"'\nenv_file = ['.env']\nsources = []\noutputs = []",
    );
    ws.write(".env", "# remark\nexport ONE=\"a b\"\nTWO=2\n");
    ws.write("want", "a b");
    ws.run("t").tasks("t ran");
    ws.write(".env", "TWO=2\nONE='a b'\n");
    ws.run("t").tasks("t fresh");
    ws.write(".env", "ONE=other\nTWO=2\n");
    ws.write("want", "other");
    ws.run("t").tasks("t ran");
    ws.write(".env", "this is no line of variables\n");
    ws.try_run("t").exit(2).says("task::env-file").says("tasks.toml:4:13").says("failed to read `env_file` `.env`");
}

#[test]
fn folders_come_in_front_of_the_path() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'tool; ls > /dev/null'\npath = ['bin', 'more']\n[tasks.e]\nexec = ['tool']\npath = 'more'",
    );
    for (folder, says) in [("bin", "the first"), ("more", "the second")] {
        ws.write(&format!("{folder}/tool"), format!("#!/bin/sh\necho {says}\n"));
        ws.chmod(&format!("{folder}/tool"), 0o755);
    }
    ws.run("t").says("the first");
    ws.run("e").says("the second");
}

#[test]
fn a_required_program_counts_by_its_content_and_version() {
    let ws = Workspace::new("[tasks.t]\nrun = 'true'\nsources = []\noutputs = []\nrequires = ['tool']\npath = ['bin']");
    let tool = |text: &str| {
        ws.write("bin/tool", format!("#!/bin/sh\n{text}\n"));
        ws.chmod("bin/tool", 0o755);
    };
    tool("cat version");
    ws.write("version", "1");
    ws.run("t").tasks("t ran");
    ws.run("t").tasks("t fresh");
    ws.write("version", "2");
    ws.run("t").tasks("t ran");
    tool("cat version # rebuilt");
    ws.run("t").tasks("t ran");
    ws.run("t").tasks("t fresh");
    ws.remove("bin/tool");
    ws.try_run("t").exit(2).says("task::requires").says("`tool`");
}

#[test]
fn the_output_of_a_probe_counts() {
    let ws =
        Workspace::new("[tasks.t]\nrun = 'echo x >> ../t.ran'\nsources = []\noutputs = []\nprobes = ['cat ../probed']");
    let probed = |text: &str| std::fs::write(ws.outside("probed"), text).unwrap();
    probed("1");
    ws.run("t").tasks("t ran");
    ws.run("t").tasks("t fresh");
    probed("2");
    ws.run("t").tasks("t ran");
    std::fs::remove_file(ws.outside("probed")).unwrap();
    let ran = ws.try_run("t").exit(1).says("`cat ../probed`");
    assert_eq!(ran.failure("t"), "probe");
    assert_eq!(ws.count("t"), 2);
}

#[test]
fn state_that_can_t_be_asked_for_after_the_run_fails_the_task() {
    let ws = Workspace::new("[tasks.t]\nrun = 'true'\nsources = []\nstate = 'cat ../state'");
    let ran = ws.try_run("t").exit(1);
    assert_eq!(ran.failure("t"), "probe");
    std::fs::write(ws.outside("state"), "1").unwrap();
    ws.run("t").tasks("t ran");
    ws.run("t").tasks("t fresh");
    std::fs::write(ws.outside("state"), "2").unwrap();
    let ran = ws.run("t").tasks("t ran");
    assert_eq!(ran.reasons("t"), ["state"]);
}

const PROFILES: &str = "
[env]
WHO = 'plain'
[profile.ci]
env = { WHO = 'ci' }
[profile.ci.settings]
jobs = 1
[profile.ci.tasks.t]
run = 'echo in ci: $WHO'
[profile.loud.tasks.t]
env = { MORE = '!!' }
[tasks.t]
run = 'echo here: $WHO ${MORE-}'
[tasks.warns]
run = 'exit 1'
on_fail = { default = 'fail', local = 'warn', loud = 'warn' }
";

#[test]
fn the_profile_is_named_or_ci_or_local() {
    let ws = Workspace::new(PROFILES);
    ws.run("t").says("here: plain");
    for value in ["true", "1"] {
        ws.weir(&["run", "t"]).env("CI", value).ok().says("in ci: ci");
    }
    ws.weir(&["run", "t"]).env("CI", "false").ok().says("here: plain");
    ws.run("--profile ci t").says("in ci: ci");
    ws.weir(&["run", "--profile", "local", "t"]).env("CI", "true").ok().says("here: plain");
    ws.run("--profile loud t").says("here: plain !!");
    ws.run("--profile ci --profile loud t").says("in ci: ci");
    ws.run("--profile ci,loud t").says("in ci: ci");
    ws.try_run("--profile nope t").exit(2).says("config::unknown-profile").says("nope");
}

#[test]
fn what_a_failure_means_depends_on_the_profile() {
    let ws = Workspace::new(PROFILES);
    ws.run("warns").says("warned: warns");
    ws.run("--profile loud warns").says("warned: warns");
    ws.run("--profile ci,loud warns").says("warned: warns");
    ws.try_run("--profile ci warns").exit(1);
    ws.weir(&["run", "warns"]).env("CI", "true").go().exit(1);
}

#[test]
fn the_profile_is_in_no_key_but_what_it_changes_is() {
    let ws = Workspace::new(
        "[profile.a.tasks.t]\ntimeout = '9m'\n[profile.b.tasks.t]\nenv = { X = '1' }\n[tasks.t]\nrun = 'true'\nsources = []\noutputs = []",
    );
    ws.run("t").tasks("t ran");
    ws.run("--profile a t").tasks("t fresh");
    ws.run("--profile b t").tasks("t ran");
    ws.run("t").tasks("t skips");
}

#[test]
fn tasks_know_where_and_in_what_they_run() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'echo \"{$WEIR_TASK}{$WEIR_WORKSPACE}{$WEIR_RUN_ID}\"'\nsources = []\noutputs = []",
    );
    let ran = ws.run("t");
    let root = ws.root().canonicalize().unwrap();
    let runs = json(&ws.weir(&["runs", "ls", "--json"]).ok());
    let id = runs[0]["run"].as_str().unwrap();
    ran.says(&format!("{{t}}{{{}}}{{{id}}}", root.display()));
}
