//! The commands beside `run`, and that those which only look change nothing.

use crate::more::{json, listing, refused, script};
use crate::support::Workspace;
use std::fs;

const TASKS: &str = "
[tasks.gen]
description = 'Generates'
run = 'echo x >> ../gen.ran; cp in gen.out'
sources = ['in']
outputs = ['gen.out']
alias = 'g'
[tasks.build]
description = 'Builds'
run = ['echo building', 'cp gen.out out']
sources = []
outputs = ['out']
depends = ['gen', { task = 'setup', order_only = true }]
depends_post = [{ task = 'tidy', when = 'failure' }]
help = 'try harder'
timeout = '5m'
[tasks.setup]
run = 'true'
[tasks.tidy]
run = 'true'
hide = true
[tasks.all]
sequence = ['build', ['last', 'tidy']]
[tasks.last]
run = 'true'
";

fn workspace() -> Workspace {
    let ws = Workspace::new(TASKS);
    ws.write("in", "1");
    ws
}

#[test]
fn weir_alone_lists_tasks() {
    let ws = workspace();
    let list = "gen    Generates (also g)";
    ws.weir::<&str>(&[]).ok().says(list).says("build  Builds").says_nothing_of("tidy");
    assert_eq!(ws.weir::<&str>(&[]).ok().out, ws.weir(&["tasks"]).ok().out);
    assert_eq!(ws.weir::<&str>(&[]).ok().out, ws.weir(&["tasks", "ls"]).ok().out);
    let names: Vec<String> = json(&ws.weir(&["tasks", "ls", "--json", "--all"]).ok())
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["gen", "build", "setup", "tidy", "all", "last"]);
    Workspace::new("").weir::<&str>(&[]).ok().says("no tasks");
}

#[test]
fn a_task_is_shown_with_what_is_declared() {
    let ws = workspace();
    let ran = ws.weir(&["tasks", "info", "build"]).ok();
    let said =
        ["Builds", "tasks.toml:", "echo building", "setup (order only)", "tidy (on failure)", "5m", "try harder"];
    said.into_iter().fold(ran, |ran, text| ran.says(text));
    let info = json(&ws.weir(&["tasks", "info", "--json", "g"]).ok());
    assert_eq!((&info["name"], &info["cacheable"], &info["reset"]), (&"gen".into(), &true.into(), &false.into()));
    assert_eq!((&info["sources"], &info["outputs"]), (&serde_json::json!(["in"]), &serde_json::json!(["gen.out"])));
    refused(&ws, ws.weir(&["tasks", "info", "biuld"]).go()).says("did you mean `build`?");
}

#[test]
fn what_depends_on_what_is_drawn() {
    let ws = workspace();
    ws.weir(&["tasks", "deps"]).ok().says("all\n").says("└──").says("build (step 1)");
    ws.weir(&["tasks", "deps", "build"]).ok().says("gen").says("setup (order only)").says_nothing_of("all");
    ws.weir(&["tasks", "deps", "gen", "--up"]).ok().says("build").says("all").says_nothing_of("setup");
    ws.weir(&["tasks", "deps", "--format", "dot"]).ok().says("digraph weir {").says("\"gen\" -> \"build\";");
    ws.weir(&["tasks", "deps", "--format", "mermaid"]).ok().says("graph LR").says("-.->");
    for call in [&["tasks", "deps", "--json"][..], &["tasks", "deps", "--format", "json"]] {
        let all = json(&ws.weir(call).ok());
        assert_eq!(
            (&all[1]["depends"], &all[1]["order_only"]),
            (&serde_json::json!(["gen"]), &serde_json::json!(["setup"]))
        );
    }
    refused(&ws, ws.weir(&["tasks", "deps", "nope"]).go());
}

#[test]
fn explain_says_what_changed() {
    let ws = workspace();
    ws.weir(&["explain", "gen"]).ok().says("`gen` would run").says("no result is recorded");
    ws.run("build");
    ws.weir(&["explain", "gen"]).ok().says("`gen` is fresh");
    let fresh = json(&ws.weir(&["explain", "--json", "gen"]).ok());
    assert_eq!((&fresh[0]["verdict"], fresh[0]["key"].as_str().unwrap().len()), (&"fresh".into(), 64));
    assert!(fresh[0]["parts"].as_array().unwrap().iter().any(|part| part["name"] == "in"), "{fresh}");
    ws.write("in", "2");
    ws.weir(&["explain", "gen"]).ok().says("`gen` would run").says("`in`");
    ws.weir(&["explain", "build"]).ok().says("depends on").says("`gen` would run");
    assert_eq!(json(&ws.weir(&["explain", "--json", "build"]).ok())[0]["verdict"], "depends");
    ws.tasks(&TASKS.replace("cp in gen.out", "cat in > gen.out"));
    ws.weir(&["explain", "gen"]).ok().says("run");
    ws.weir(&["explain", "nope"]).go().exit(2);
    assert_eq!(ws.count("gen"), 1);
}

#[test]
fn explain_tells_unset_from_the_words_for_it() {
    let ws = Workspace::new("[tasks.t]\nrun = 'true'\nsources = []\noutputs = []\nenv_inputs = ['V']");
    ws.run("t");
    let explained = ws.weir(&["explain", "t"]).env("V", "not set").ok();
    explained.says("variable `V` changed: not set → `not set`");
    ws.weir(&["run", "t"]).env("V", "not set").ok().tasks("t ran");
    let runs = json(&ws.weir(&["runs", "ls", "--json"]).ok());
    let words = runs[0]["run"].as_str().unwrap();
    ws.weir(&["explain", "t", "--against", words]).ok().says("variable `V` changed: `not set` → not set");
    let part = |value: Option<&str>| {
        let call = ws.weir(&["explain", "--json", "t"]);
        let explained = json(&value.into_iter().fold(call, |call, value| call.env("V", value)).ok());
        let parts = explained[0]["parts"].as_array().unwrap().clone();
        parts.into_iter().find(|part| part["name"] == "V").unwrap()
    };
    assert_ne!(part(None), part(Some("not set")));
    // `weir runs diff` tells it too.
    ws.run("-f t");
    ws.weir(&["runs", "diff", words]).ok().says("`not set` → not set");
}

#[test]
fn a_checkout_that_never_ran_is_judged_as_its_first_run_will_be() {
    let (one, two) = (workspace(), workspace());
    let call = |ws: &Workspace, words: &[&str]| ws.weir(words).env("WEIR_CACHE_DIR", one.outside("shared")).ok();
    call(&two, &["run", "-n", "gen"]).says("no result is recorded");
    call(&one, &["run", "gen"]).tasks("gen ran");
    call(&two, &["run", "-n", "gen"]).says("would restore");
    call(&two, &["explain", "gen"]).says("would be restored");
    assert!(!two.exists(".weir"));
    call(&two, &["run", "gen"]).tasks("gen hit");
}

#[test]
fn runs_are_listed_and_shown_again() {
    let ws = workspace();
    ws.weir(&["runs", "ls"]).go().exit(2).says("nothing is recorded");
    ws.run("build");
    ws.write("in", "2");
    ws.try_run("gen").exit(0);
    let runs = json(&ws.weir(&["runs", "ls", "--json"]).ok());
    assert_eq!((&runs[0]["targets"], &runs[0]["ran"]), (&serde_json::json!(["gen"]), &1.into()));
    assert_eq!((&runs[1]["targets"], &runs[1]["exit_code"]), (&serde_json::json!(["build"]), &0.into()));
    assert_eq!(runs.as_array().unwrap().len(), 2);
    ws.weir(&["runs", "ls"]).ok().says("gen").says("build").says("ok");
    ws.weir(&["runs", "show"]).ok().says("gen").says_nothing_of("building");
    let id = runs[1]["run"].as_str().unwrap();
    ws.weir(&["runs", "show", id]).ok().says("building");
    let lines = ws.weir(&["runs", "show", "--json", id]).ok().out;
    for line in lines.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    assert!(lines.contains("\"run_finished\""));
    ws.weir(&["runs", "show", "zzz"]).go().exit(2).says("weir runs ls");
}

#[test]
fn old_runs_go() {
    let ws = workspace();
    for _ in 0..25 {
        ws.run("setup");
    }
    assert_eq!(json(&ws.weir(&["runs", "ls", "--json"]).ok()).as_array().unwrap().len(), 20);
}

#[test]
fn the_cache_is_measured_checked_trimmed_and_cleared() {
    let ws = workspace();
    ws.weir(&["cache", "status"]).go().exit(2);
    ws.run("build");
    let status = json(&ws.weir(&["cache", "status", "--json"]).ok());
    assert_eq!(status["results"], 2, "{status}");
    ws.weir(&["cache", "status"]).ok().says("results").says(".weir/cas");
    ws.weir(&["cache", "verify"]).ok().says("all hold");
    let blob = ws.files(".weir/cas").into_iter().next().unwrap();
    ws.chmod(&blob, 0o644);
    fs::remove_file(ws.path(&blob)).unwrap();
    ws.write(&blob, "damaged");
    let verified = json(&ws.weir(&["cache", "verify", "--json"]).ok());
    assert!(!verified["removed"].as_array().unwrap().is_empty(), "{verified}");
    ws.weir(&["cache", "verify"]).ok().says("all hold");
    ws.run("-f gen build");
    ws.weir(&["cache", "prune"]).ok().says("removed 0 results");
    let pruned = json(&ws.weir(&["cache", "prune", "--max-size", "0B", "--json"]).ok());
    assert_eq!(pruned["results"], 2, "{pruned}");
    assert!(ws.files(".weir/cas").is_empty());
    ws.remove("out");
    ws.run("build").tasks("build ran");
    ws.weir(&["cache", "clear"]).ok();
    ws.run("build").tasks("gen ran, build ran");
    for (flag, value) in [("--max-age", "soon"), ("--max-size", "big")] {
        ws.weir(&["cache", "prune", flag, value]).go().exit(2);
    }
}

#[test]
fn clearing_leaves_a_shared_cache_alone() {
    let ws = workspace();
    let run = |words: &[&str]| ws.weir(words).env("WEIR_CACHE_DIR", ws.outside("shared")).ok();
    run(&["run", "gen"]).tasks("gen ran");
    run(&["cache", "clear"]).says("was left alone");
    ws.remove("gen.out");
    run(&["run", "gen"]).tasks("gen hit");
}

#[test]
fn schemas_are_json_and_name_every_key() {
    let ws = workspace();
    for of in ["tasks", "events", "report"] {
        let schema = json(&ws.weir(&["schema", of]).ok());
        assert!(schema["$schema"].as_str().unwrap().contains("json-schema.org"), "{of}");
    }
    let text = ws.weir(&["schema"]).ok().out;
    for key in ["depends_post", "env_inputs", "pass_through", "wait_for", "redact", "include"] {
        assert!(text.contains(&format!("\"{key}\"")), "{key}");
    }
}

#[test]
fn completions_are_scripts_of_their_shell() {
    let ws = workspace();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        ws.weir(&["completions", shell]).ok().says("weir").says("explain");
    }
    script(&ws, "\"$WEIR\" completions bash > ../completions && bash -n ../completions").exit(0);
    ws.weir(&["completions", "tcsh"]).go().exit(2);
}

#[test]
fn what_only_looks_changes_nothing_on_disk() {
    let ws = workspace();
    let calls: [&[&str]; 12] = [
        &["run", "-n", "all"],
        &["run", "-n", "-f", "--explain", "build"],
        &["run", "--dry-run", "--force-all", "build"],
        &["explain", "build"],
        &["explain", "--json", "gen"],
        &["tasks", "ls"],
        &["tasks", "info", "gen"],
        &["tasks", "deps"],
        &["tasks", "deps", "check"],
        &["runs", "ls"],
        &["cache", "status"],
        &["schema"],
    ];
    // Before the first run, after it, with something changed, and with an output gone.
    let stages: [fn(&Workspace); 4] =
        [|_| (), |ws| drop(ws.run("build")), |ws| ws.write("in", "2"), |ws| ws.remove("gen.out")];
    for (number, stage) in stages.iter().enumerate() {
        stage(&ws);
        let before = listing(&ws.root());
        for call in calls {
            let ran = ws.weir(call).go();
            assert!(listing(&ws.root()) == before, "stage {number} changed: {}", ran.shown());
        }
    }
    assert_eq!(ws.count("gen"), 1);
    ws.run("build").tasks("gen ran, build ran");
}

#[test]
fn help_and_version_are_no_errors() {
    let ws = workspace();
    for call in [&["--help"][..], &["-h"], &["run", "--help"], &["tasks", "deps", "--help"], &["--version"], &["-V"]] {
        let ran = ws.weir(call).ok();
        assert!(ran.out.contains("weir") && ran.err.is_empty(), "{}", ran.shown());
    }
}
