//! GitHub, the report, schemas, replay.

use super::*;
use insta::assert_snapshot;

/// The output with the random words of `stop-commands` shown as `WORD`.
fn without_words(text: &str) -> String {
    let mut out = text.to_owned();
    for line in text.lines() {
        if let Some(word) = line.strip_prefix("::stop-commands::") {
            out = out.replace(word, "WORD");
        }
    }
    out
}

#[test]
fn github_groups_and_annotates() {
    let mut scene = Scene::new(|options| options.github = true);
    mixed(&mut scene);
    assert_snapshot!(without_words(&scene.text()), @r#"
    ::group::fresh     gen                  output replayed
    ::stop-commands::WORD
    generated 3 files
    ::WORD::
    ::endgroup::
       hit       fmt
    ::group::warned    lint           80ms  exit status 2
    ::stop-commands::WORD
    unused import
    ::WORD::
    ::endgroup::
    ::warning title=lint::`lint` failed: exit status 2
    ::group::ran       build         1.24s  because `gen` always runs and declares neither `outputs` nor `state`
    ::stop-commands::WORD
    Compiling weir
    Finished
    ::WORD::
    ::endgroup::
    ::group::FAILED    test:unit     520ms  exit status 3
    ::stop-commands::WORD
    test a ... ok
    test b ... FAILED
    ::WORD::
    ::endgroup::
    ::error title=test%3Aunit::`test:unit` failed: exit status 3%0Ahelp: run `docker compose up` first
       blocked   deploy               by test:unit

    ── FAILED    test:unit     520ms  exit status 3, its output again
    ::stop-commands::WORD
    test a ... ok
    test b ... FAILED
    ::WORD::
    help: run `docker compose up` first

    warned: lint (exit status 2)
    blocked: deploy (by test:unit)
    1 ran, 1 fresh, 1 hit, 1 failed, 1 warned, 1 blocked in 3.21s (saved 41.00s; critical path 1.76s: build → test:unit)
    failed: `test:unit` (exit status 3), log: RUN/logs/test_unit.log
    "#);
}

#[test]
fn github_does_not_obey_a_task() {
    for mode in [Mode::Grouped, Mode::Prefixed, Mode::Stream] {
        let mut scene = Scene::new(|options| {
            options.github = true;
            options.mode = mode;
        });
        scene.event(start(vec![planned("a", &[])]));
        let evil = b"::add-path::/evil\n##[error]x\nno end";
        scene.sink.output(&name("a"), evil);
        scene.finish(ended("a", exit(1, false), 5), evil);
        scene.event(Event::RunFinished(Box::new(over(Totals::default(), Some("a")))));
        drop(std::mem::replace(&mut scene.sink, tee(vec![])));
        let text = scene.text();
        let mut word: Option<String> = None;
        for line in text.lines() {
            if word.as_ref().is_some_and(|word| *word == line) {
                word = None;
            } else if let Some(new) = line.strip_prefix("::stop-commands::") {
                word = Some(format!("::{new}::"));
            } else if line.contains("add-path") || line.contains("##[") {
                assert!(word.is_some(), "{mode}: {text}");
            } else if line.starts_with("::error") {
                assert!(word.is_none(), "{mode}: {text}");
            }
        }
        assert_eq!(word, None, "{mode}: {text}");
    }
}

#[test]
fn the_job_summary() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("summary.md");
    std::fs::write(&file, "before\n").unwrap();
    let mut scene = Scene::new(|options| options.github_summary = Some(file.clone()));
    mixed(&mut scene);
    assert_snapshot!(std::fs::read_to_string(file).unwrap(), @r#"
    before
    ### weir: failed, exit code 1

    1 ran, 1 fresh, 1 hit, 1 failed, 1 warned, 1 blocked in 3.21s (saved 41.00s; critical path 1.76s&#58; build → test&#58;unit)

    | task | outcome | time | |
    |---|---|--:|---|
    | <code>fmt</code> | hit |  |  |
    | <code>lint</code> | warned | 80ms | exit status 2 |
    | <code>build</code> | ran | 1.24s |  |
    | <code>test&#58;unit</code> | FAILED | 520ms | exit status 3 |

    <details><summary><code>lint</code> (exit status 2): the end of its output</summary>

    <pre><code>unused import</code></pre>

    </details>

    <details><summary><code>test&#58;unit</code> (exit status 3): the end of its output</summary>

    <pre><code>test a ... ok
    test b ... FAILED
    </code></pre>

    </details>

    Blocked: <code>deploy</code>
    "#);
}

#[test]
fn the_report_has_everything_in_the_order_of_the_plan() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.json");
    let mut scene = Scene::new(|_| {});
    scene.sink = report(path.clone());
    mixed(&mut scene);
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let tasks: Vec<String> = report["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| format!("{} {}", task["task"].as_str().unwrap(), task["outcome"].as_str().unwrap()))
        .collect();
    let expected = ["gen fresh", "build ran", "lint failed", "fmt hit", "test:unit failed", "deploy skipped"];
    assert_eq!(tasks, expected);
    assert_eq!(report["tasks"][4]["reason"]["code"], 3);
    assert_eq!(report["tasks"][4]["log"], "logs/test_unit.log");
    assert_eq!(report["tasks"][1]["reasons"][0]["why"], "tainted");
    assert_eq!(report["first_failure"], "test:unit");
    assert_eq!(report["warnings"][0], "lint");
    assert_eq!(report["blocked"][0]["by"], "test:unit");
    assert_eq!((&report["exit_code"], &report["wall_ms"]), (&1.into(), &3210.into()));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file remains");
}

#[test]
fn a_report_that_can_not_be_written_is_no_panic() {
    let mut scene = Scene::new(|_| {});
    scene.sink = report("/nonexistent/folder/report.json".into());
    mixed(&mut scene);
}

#[test]
fn schemas_name_their_draft_and_cover_the_fields() {
    for (schema, field) in [(events_schema(), "seq"), (report_schema(), "critical_path")] {
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert!(schema["properties"][field].is_object(), "{schema}");
    }
    let text = events_schema().to_string();
    for event in every_event() {
        let tag = serde_json::to_value(&event).unwrap()["event"].as_str().unwrap().to_owned();
        assert!(text.contains(&format!("\"{tag}\"")), "{tag}");
    }
}

#[test]
fn a_recorded_run_reads_like_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let events = dir.path().join("events.jsonl");
    let mut scene = Scene::new(|_| {});
    let run_dir = scene.dir.path().to_owned();
    let options = Options { run_dir: run_dir.clone(), ..Options::default() };
    let plain = std::mem::replace(&mut scene.sink, tee(vec![]));
    scene.sink = tee(vec![plain, event_log(&events).unwrap()]);
    mixed(&mut scene);
    let again = Shared::default();
    let mut sink = human(options.clone(), Box::new(again.clone()));
    let records = || read_event_log(&events).unwrap().map(Result::unwrap);
    replay(records(), sink.as_mut());
    assert_eq!(again.text(), scene.out.text());

    let prefixed = Shared::default();
    let mut sink = human(Options { mode: Mode::Prefixed, ..options.clone() }, Box::new(prefixed.clone()));
    replay(records(), sink.as_mut());
    assert!(prefixed.text().contains("build | Compiling weir\n"), "{}", prefixed.text());

    let torn = Shared::default();
    let mut sink = human(options, Box::new(torn.clone()));
    replay(records().take(4), sink.as_mut());
    assert!(torn.text().ends_with("warning: the record ends here: the run was killed, or still goes on\n"));
}

#[test]
fn the_names_of_modes_come_back() {
    for (mode, name, about) in Mode::TABLE {
        assert_eq!(name.parse(), Ok(mode));
        assert_eq!(mode.to_string(), name);
        assert!(!about.is_empty());
    }
    assert_eq!(
        "loud".parse::<Mode>().unwrap_err(),
        "`loud` is no output mode; use one of `grouped`, `prefixed`, `stream`, `quiet`"
    );
}
