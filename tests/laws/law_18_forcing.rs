//! Law 18: `-f` runs the named tasks though they are fresh, of a group its members, and not what
//! these depend on; `--force-all` runs all of it.

use crate::support::Workspace;

const TASKS: [&str; 4] = ["gen", "lib", "app", "doc"];

fn workspace() -> Workspace {
    let task = |name: &str, depends: &str| {
        format!(
            "[tasks.{name}]\nrun = 'echo x >> ../{name}.ran; echo {name} > {name}.out'\nsources = []\n\
             outputs = ['{name}.out']\nalias = '{name}-too'\ndepends = [{depends}]\n"
        )
    };
    let text = [
        task("gen", ""),
        task("lib", "'gen'"),
        task("app", "'lib'"),
        task("doc", "'gen'"),
        "[tasks.inner]\ndepends = ['app']\n[tasks.all]\ndepends = ['inner', 'doc']\n".into(),
        "[tasks.steps]\nsequence = ['lib', ['app']]\n".into(),
    ];
    let ws = Workspace::new(&text.concat());
    ws.run("all").tasks("gen ran, lib ran, app ran, doc ran");
    ws
}

/// Which of the tasks of a run ran.
fn ran(words: &str) -> Vec<&'static str> {
    let ws = workspace();
    let ran = ws.run(words);
    for name in TASKS {
        let counted = ws.count(name) - 1;
        assert!(counted <= 1, "`{name}` ran {counted} times: {}", ran.shown());
    }
    TASKS.into_iter().filter(|name| ws.count(name) == 2).collect()
}

#[test]
fn only_what_is_named_is_forced() {
    assert_eq!(ran("all"), [] as [&str; 0]);
    assert_eq!(ran("-f app"), ["app"]);
    assert_eq!(ran("-f app-too"), ["app"]);
    assert_eq!(ran("-f app gen"), ["gen", "app"]);
    assert_eq!(ran("--force lib"), ["lib"]);
    assert_eq!(ran("-f do*"), ["doc"]);
}

#[test]
fn of_a_group_its_members_are_forced() {
    assert_eq!(ran("-f inner"), ["app"]);
    assert_eq!(ran("-f all"), ["app", "doc"]);
    assert_eq!(ran("-f steps"), ["lib", "app"]);
}

#[test]
fn force_all_forces_what_they_depend_on_too() {
    assert_eq!(ran("--force-all app"), ["gen", "lib", "app"]);
    assert_eq!(ran("--force-all all"), TASKS);
    assert_eq!(ran("-f --force-all doc"), ["gen", "doc"]);
}

#[test]
fn forced_is_said_to_be_the_reason_and_the_result_counts() {
    let ws = workspace();
    let forced = ws.run("-f app").tasks("app ran, lib fresh, gen fresh");
    assert_eq!(forced.reasons("app"), ["forced"]);
    ws.run("all").tasks("app fresh, doc fresh");
}

#[test]
fn a_forced_failure_is_no_longer_fresh() {
    let ws = Workspace::new("[tasks.t]\nrun = 'echo x >> ../t.ran; test ! -e ../fails'\nsources = []\noutputs = []");
    ws.run("t");
    std::fs::write(ws.outside("fails"), "").unwrap();
    ws.run("t").tasks("t fresh");
    ws.try_run("-f t").exit(1).tasks("t failed");
    ws.try_run("t").exit(1).tasks("t failed");
    assert_eq!(ws.count("t"), 3);
}
