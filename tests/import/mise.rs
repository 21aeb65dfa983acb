//! mise: a project of forty tasks gives under weir what it gives under mise.
//!
//! `tests/fixtures/import/mise30/recorded.json` holds what mise did with each task, alone in a fresh copy
//! of the project: whether it succeeded, what it printed, and the files it left. It is written by
//! `WEIR_REFRESH=1 cargo test --test integration import::mise::under_mise`, with the mise
//! that `scripts/fetch-mise` fetches or that `WEIR_TEST_MISE` names, and checked against that mise by CI.

use super::{copy, copy_of, empty, fixture, imported};
use crate::support::Workspace;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const PROJECT: &str = "mise30/project";

/// Each task, and what it is given.
const CALLS: [&str; 40] = [
    "hello",
    "hello you",
    "pair x",
    "env",
    "own_env",
    "vars",
    "templates",
    "path",
    "multi",
    "stops",
    "stops_between",
    "pipe",
    "bash",
    "script",
    "script a b",
    "awk x",
    "args 1 2 3",
    "usage Ann",
    "usage Ann coldly",
    "in_web",
    "in_web_too",
    "gen:a",
    "ga",
    "first",
    "gen:deep:c",
    "gen",
    "bundle",
    "compile",
    "web_build",
    "count",
    "release",
    "steps",
    "late",
    "nothing",
    "quiet",
    "extended",
    "deploy now",
    "db:migrate a b",
    "db",
    "add 1",
];

/// What a task left: whether it succeeded, its lines in no order, and every file that is new or changed.
fn left(ws: &Workspace, success: bool, printed: &str) -> Value {
    let root = ws.root().canonicalize().unwrap();
    let mut lines: Vec<String> =
        printed.lines().map(|line| line.trim_end().replace(root.to_str().unwrap(), "ROOT")).collect();
    lines.sort();
    let original = |name: &str| fs::read_to_string(fixture(PROJECT).join(name)).ok();
    let files: BTreeMap<String, String> = ws
        .files(".")
        .into_iter()
        .map(|name| name.trim_start_matches("./").to_owned())
        .filter(|name| !name.starts_with(".weir/") && name != "tasks.toml")
        .filter(|name| original(name).as_ref() != Some(&ws.read(name)))
        .map(|name| (name.clone(), ws.read(&name)))
        .collect();
    json!({ "success": success, "lines": lines, "files": files })
}

fn under_weir(call: &str) -> Value {
    let ws = copy_of(PROJECT);
    ws.weir(&["import", "mise.toml"]).ok();
    let (task, arguments) = call.split_once(' ').unwrap_or((call, ""));
    let ran = ws.try_run(&if arguments.is_empty() { task.to_owned() } else { format!("{task} -- {arguments}") });
    let logs = ws.weir_files().into_iter().filter(|file| file.contains("/logs/"));
    let printed: String = logs.map(|log| ws.read(&log)).collect();
    left(&ws, ran.code == 0, &printed)
}

fn recorded() -> Value {
    serde_json::from_str(&fs::read_to_string(fixture("mise30/recorded.json")).unwrap()).unwrap()
}

#[test]
fn a_project_of_forty_tasks_does_what_it_does_under_mise() {
    let recorded = recorded();
    for call in CALLS {
        assert_eq!(under_weir(call), recorded[call], "`{call}`");
    }
}

/// The mise to compare with.
fn mise() -> PathBuf {
    let named = std::env::var_os("WEIR_TEST_MISE").map(PathBuf::from);
    let fetched = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/mise/bin/mise");
    let mise = named.unwrap_or(fetched);
    assert!(
        mise.is_file(),
        "no mise at `{}`: `scripts/fetch-mise` fetches it, or WEIR_TEST_MISE names one",
        mise.display()
    );
    mise
}

fn with_mise(call: &str) -> Value {
    let ws = copy_of(PROJECT);
    // Nothing is to be installed; tools are not what is compared.
    let text = ws.read("mise.toml").replace("[tools]\nnode = \"20\"\n", "");
    ws.write("mise.toml", &text);
    let mise = mise();
    // A task that calls mise finds it.
    let path = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .chain([mise.parent().unwrap().to_owned()])
        .collect::<Vec<_>>();
    let ran = Command::new(&mise)
        .args(["run", "--quiet"])
        .args(call.split(' '))
        .current_dir(ws.root())
        .env_clear()
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("HOME", ws.outside("home"))
        .env("MISE_TRUSTED_CONFIG_PATHS", ws.root().canonicalize().unwrap())
        .env("MISE_TASK_OUTPUT", "interleave")
        .env("MISE_OFFLINE", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    ws.write("mise.toml", fs::read(fixture(PROJECT).join("mise.toml")).unwrap());
    left(&ws, ran.status.success(), &String::from_utf8_lossy(&ran.stdout))
}

#[test]
fn under_mise_the_recorded_results_hold() {
    let found: serde_json::Map<String, Value> =
        CALLS.iter().map(|call| ((*call).to_owned(), with_mise(call))).collect();
    if std::env::var_os("WEIR_REFRESH").is_some() {
        let text = serde_json::to_string_pretty(&found).unwrap() + "\n";
        fs::write(fixture("mise30/recorded.json"), text).unwrap();
    }
    let recorded = recorded();
    for call in CALLS {
        assert_eq!(found[call], recorded[call], "`{call}`");
    }
    // And weir as it is gives the same as mise as it is.
    for call in CALLS {
        assert_eq!(under_weir(call), found[call], "`{call}`");
    }
}

#[test]
fn of_the_project_of_forty_tasks_this_is_written() {
    let ws = copy_of(PROJECT);
    let said = imported(&ws, "mise.toml");
    insta::assert_snapshot!("mise30", format!("{said}---\n{}", ws.read("tasks.toml")));
}

/// A mise.toml alone, imported: what is said, and the file.
fn of(text: &str) -> (String, String) {
    let ws = empty();
    ws.write("mise.toml", text);
    (imported(&ws, "mise.toml"), ws.read("tasks.toml"))
}

#[test]
fn what_has_no_counterpart_is_said_where_it_stands() {
    let ws = empty();
    ws.write("src/a.txt", "a");
    ws.write(".env", "TOKEN=long-secret\n");
    ws.write(
        "mise.toml",
        r#"
[env]
_.file = [".env", "missing.env"]
_.source = "env.sh"
API_KEY = { required = true }
PORT = { default = "80" }
[hooks]
enter = "echo hi"
[settings]
color_theme = "x"
not_found_auto_install = false
[tasks.a]
run = "echo a"
run_windows = "echo w"
tools = { node = "18" }
usage = '''
arg "<file>" { choices "x" "y" }
flag "-f --force"
'''
confirm = { message = "sure?", default = "no" }
silent = true
output = "prefix"
[tasks.b]
depends = ["nowhere", "//pkg:x", "a {{usage.file}}"]
sources = ["src/*.txt", "/etc/hosts"]
run = "{% if x %}echo{% endif %}"
[tasks.c]
sources = ["none/*.txt"]
outputs = ["out"]
dir = "{{cwd}}"
run = "echo $UNKNOWN"
[tasks.d]
sources = ["src/*.txt"]
outputs = { auto = true }
run = "echo $SEEN ${ALSO:-x}"
[tasks."e f"]
depends = ["d"]
dir = "/tmp"
run = "pwd"
[tasks.x]
depends = ["y"]
[tasks.y]
depends = ["x"]
run = "echo y"
"#,
    );
    let said = imported(&ws, "mise.toml");
    insta::assert_snapshot!("mise-differences", format!("{said}---\n{}", ws.read("tasks.toml")));
    // What could not be carried over does not pass.
    ws.try_run("b").exit(2).says("API_KEY");
    ws.weir(&["run", "b"]).env("API_KEY", "k").go().exit(1).says("not carried over");
}

#[test]
fn its_places_are_known_and_the_root_is_the_project() {
    for (place, task) in
        [(".mise.toml", "t"), ("mise/config.toml", "t"), (".config/mise.toml", "t"), (".config/mise/config.toml", "t")]
    {
        let ws = empty();
        ws.write(place, "[tasks.t]\nrun = 'pwd > here'\n");
        imported(&ws, place);
        ws.run(task);
        assert_eq!(ws.read("here").trim(), ws.root().canonicalize().unwrap().to_str().unwrap());
    }
}

#[test]
fn a_variable_that_is_not_set_is_seen_and_counts() {
    let ws = empty();
    ws.write("in", "");
    ws.write("mise.toml", "[tasks.t]\nsources = ['in']\nrun = 'echo \"$NAMED $(sh -c \"echo \\$HIDDEN\")\" > out'\n");
    imported(&ws, "mise.toml");
    let run = |named: &str| ws.weir(&["run", "t"]).env("NAMED", named).env("HIDDEN", "h").ok();
    run("a").tasks("t ran");
    assert_eq!(ws.read("out"), "a h\n");
    run("a").tasks("t fresh");
    run("b").tasks("t ran");
}

#[test]
fn tasks_that_write_and_read_the_same_without_an_edge_are_not_cached() {
    let ws = empty();
    ws.write("a", "1");
    ws.write(
        "mise.toml",
        "[tasks.w]\nsources = ['a']\noutputs = ['b']\nrun = 'cp a b'\n[tasks.r]\nsources = ['b']\nrun = 'cat b'\n",
    );
    let said = imported(&ws, "mise.toml");
    assert!(said.contains("it always runs, because"), "{said}");
    ws.run("w");
    ws.run("r").tasks("r ran");
    ws.run("r").tasks("r ran");
}

#[test]
fn names_and_aliases_that_clash_are_mended() {
    let (said, text) = of("[tasks.a]\nalias = ['b', 'z']\nrun = 'x'\n[tasks.b]\nalias = 'z'\nrun = 'y'\n");
    assert!(said.contains("`b` left out") && said.contains("`z` left out"), "{said}");
    assert_eq!(text.matches("alias = ").count(), 1);
}

#[test]
fn arguments_that_weir_does_not_take_are_loosened_or_refused() {
    let task = |usage: &str| of(&format!("[tasks.a]\nusage = \"\"\"\n{usage}\n\"\"\"\nrun = 'echo $usage_x'\n"));
    let (said, text) = task("arg '[x]' default='q' { choices 'r' }\narg '<y>'".replace('\'', "\\\"").as_str());
    assert!(said.contains("`y` is not demanded") && said.contains("choices of `x` are left out"), "{said}");
    assert!(text.contains(r#"args = [{ name = "x", default = "q" }, { name = "y" }]"#), "{text}");
    let (said, _) = task("arg '<x>'\narg '<x>'".replace('\'', "\\\"").as_str());
    assert!(said.contains("the task fails until this is rewritten"), "{said}");
}

#[test]
fn included_files_and_folders_bring_their_tasks() {
    let ws = empty();
    ws.write("mise.toml", "[task_config]\nincludes = ['more.toml', 'own']\n[tasks.a]\nrun = 'echo a'\n");
    ws.write("more.toml", "b = 'echo b'\n[c]\ndepends = ['b', 'own']\n");
    ws.write("own/own.sh", "#!/bin/sh\necho own\n");
    ws.chmod("own/own.sh", 0o755);
    imported(&ws, "mise.toml");
    ws.run("c").tasks("b ran, own ran");
    // A copy of the whole is as good.
    let other = empty();
    copy(&ws.root(), &other.root());
    other.run("c");
}
