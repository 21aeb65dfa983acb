//! Plain output, in every mode.

use super::*;
use insta::assert_snapshot;

#[test]
fn a_mixed_run() {
    let mut scene = Scene::new(|_| {});
    mixed(&mut scene);
    assert_snapshot!(scene.text(), @r#"
    ── fresh     gen                  output replayed
    generated 3 files
    ── hit       fmt
    ── warned    lint           80ms  exit status 2
    unused import
    ── ran       build         1.24s  because `gen` always runs and declares neither `outputs` nor `state`
    Compiling weir
    Finished
    ── FAILED    test:unit     520ms  exit status 3
    test a ... ok
    test b ... FAILED
    ── blocked   deploy               by test:unit

    ── FAILED    test:unit     520ms  exit status 3, its output again
    test a ... ok
    test b ... FAILED
    help: run `docker compose up` first

    warned: lint (exit status 2)
    blocked: deploy (by test:unit)
    1 ran, 1 fresh, 1 hit, 1 failed, 1 warned, 1 blocked in 3.21s (saved 41.00s; critical path 1.76s: build → test:unit)
    failed: `test:unit` (exit status 3), log: RUN/logs/test_unit.log
    "#);
}

#[test]
fn an_all_fresh_run() {
    let mut scene = Scene::new(|_| {});
    scene.event(start(vec![planned("gen", &[]), planned("build", &["gen"]), planned("lint", &[])]));
    scene.finish(ended("gen", Outcome::Fresh, 0), b"");
    scene.finish(ended("build", Outcome::Fresh, 0), b"Finished\n");
    scene.finish(ended("lint", Outcome::Fresh, 0), b"");
    let totals = Totals { fresh: 3, ..Totals::default() };
    scene.event(Event::RunFinished(Box::new(RunFinished { wall_ms: 12, saved_ms: 1900, ..over(totals, None) })));
    assert_snapshot!(scene.text(), @r#"
       fresh     gen
    ── fresh     build            output replayed
    Finished
    ── fresh     lint
    3 fresh in 12ms (saved 1.90s)
    "#);
}

#[test]
fn quiet_shows_only_what_went_wrong() {
    let mut scene = Scene::new(|options| options.mode = Mode::Quiet);
    mixed(&mut scene);
    assert_snapshot!(scene.text(), @r#"
    ── warned    lint           80ms  exit status 2
    unused import
    ── FAILED    test:unit     520ms  exit status 3

    ── FAILED    test:unit     520ms  exit status 3
    test a ... ok
    test b ... FAILED
    help: run `docker compose up` first

    warned: lint (exit status 2)
    blocked: deploy (by test:unit)
    1 ran, 1 fresh, 1 hit, 1 failed, 1 warned, 1 blocked in 3.21s (saved 41.00s; critical path 1.76s: build → test:unit)
    failed: `test:unit` (exit status 3), log: RUN/logs/test_unit.log
    "#);
}

#[test]
fn prefixed_lines_wait_for_their_end() {
    let mut scene = Scene::new(|options| options.mode = Mode::Prefixed);
    scene.event(start(vec![planned("a", &[]), planned("b", &[]), planned("c", &[])]));
    scene.event(started("a", vec![]));
    scene.event(started("b", vec![]));
    scene.sink.output(&name("a"), b"one\ntw");
    scene.sink.output(&name("b"), b"uno\n");
    scene.sink.output(&name("a"), b"o\nno end");
    scene.finish(ended("a", Outcome::Ran, 10), b"one\ntwo\nno end");
    scene.finish(ended("b", exit(1, false), 20), b"uno\n");
    scene.finish(ended("c", Outcome::Hit, 0), b"restored\nwell");
    let totals = Totals { ran: 1, hit: 1, failed: 1, ..Totals::default() };
    scene.event(Event::RunFinished(Box::new(over(totals, Some("b")))));
    assert_snapshot!(scene.text(), @r#"
    a | one
    b | uno
    a | two
    a | no end
       ran       a      10ms
       FAILED    b      20ms  exit status 1
    ── hit       c            output replayed
    c | restored
    c | well

    ── FAILED    b      20ms  exit status 1, its output again
    uno

    1 ran, 1 hit, 1 failed in 3.21s
    failed: `b` (exit status 1), log: RUN/logs/b.log
    "#);
}

#[test]
fn stream_passes_bytes_at_once() {
    let mut scene = Scene::new(|options| options.mode = Mode::Stream);
    scene.event(start(vec![planned("a", &[]), PlannedTask { quiet: true, ..planned("q", &[]) }]));
    scene.sink.output(&name("a"), b"\xff\x00 par");
    assert_eq!(scene.out.bytes(), b"\xff\x00 par");
    scene.sink.output(&name("q"), b"not shown\n");
    scene.finish(ended("q", Outcome::Ran, 5), b"not shown\n");
    assert_eq!(scene.out.bytes(), b"\xff\x00 par\n\xe2\x94\x80\xe2\x94\x80 ran       q       5ms\n");
}

#[test]
fn a_quiet_task_speaks_when_it_fails() {
    let mut scene = Scene::new(|_| {});
    let quiet = |task| PlannedTask { quiet: true, ..planned(task, &[]) };
    scene.event(start(vec![quiet("good"), quiet("old"), quiet("bad")]));
    scene.finish(ended("good", Outcome::Ran, 5), b"secret of good\n");
    scene.finish(ended("old", Outcome::Fresh, 0), b"secret of old\n");
    scene.finish(ended("bad", exit(1, false), 5), b"this is why\n");
    let text = scene.text();
    assert!(!text.contains("secret") && !text.contains("replayed"), "{text}");
    assert!(text.contains("this is why"), "{text}");
}

#[test]
fn binary_output_is_left_alone() {
    let mut scene = Scene::new(|_| {});
    scene.event(start(vec![planned("a", &[])]));
    let bytes: Vec<u8> = (0..=255).collect();
    scene.finish(ended("a", Outcome::Ran, 5), &bytes);
    let out = scene.out.bytes();
    assert_eq!(out[out.len() - 257..out.len() - 1], bytes);
    assert_eq!(out.last(), Some(&b'\n'));
    assert_eq!(out.iter().filter(|byte| **byte == 0x1b).count(), 1);
}

#[test]
fn a_large_log_is_shown_in_full_and_its_end_again() {
    let mut scene = Scene::new(|_| {});
    scene.event(start(vec![planned("a", &[]), planned("b", &[])]));
    let log: String = (0..450_000).map(|n| format!("line {n:07}\n")).collect();
    assert!(log.len() > 5 << 20);
    scene.finish(ended("a", exit(1, false), 5), log.as_bytes());
    let before = scene.out.bytes().len();
    assert!(before > log.len());
    scene.finish(ended("b", Outcome::Ran, 5), b"");
    let totals = Totals { ran: 1, failed: 1, ..Totals::default() };
    scene.event(Event::RunFinished(Box::new(over(totals, Some("a")))));
    let again = scene.text().split_off(scene.text().find("── ran       b").unwrap());
    let lines: Vec<&str> = again.lines().filter(|line| line.starts_with("line")).collect();
    assert_eq!((lines.len(), lines[0], lines[99]), (100, "line 0449900", "line 0449999"));
    assert!(again.contains("the last 100 lines at most, all of it: RUN/logs/a.log"), "{again}");
    assert!(again.ends_with("failed: `a` (exit status 1), log: RUN/logs/a.log\n"), "{again}");
}

#[test]
fn the_output_right_above_is_not_repeated() {
    let mut scene = Scene::new(|_| {});
    scene.event(start(vec![planned("a", &[])]));
    scene.finish(TaskFinished { help: Some("try\nagain".into()), ..ended("a", exit(1, false), 5) }, b"boom");
    let totals = Totals { failed: 1, ..Totals::default() };
    scene.event(Event::RunFinished(Box::new(over(totals, Some("a")))));
    assert_snapshot!(scene.text(), @r#"
    ── FAILED    a       5ms  exit status 1
    boom
    help: try
          again

    1 failed in 3.21s
    failed: `a` (exit status 1), log: RUN/logs/a.log
    "#);
}

#[test]
fn explanations() {
    let mut scene = Scene::new(|options| options.explain = true);
    scene.event(start(vec![planned("gen", &[]), planned("build", &[]), planned("lint", &[])]));
    scene.event(Event::TaskJudged { task: name("gen"), verdict: Verdict::Fresh, reasons: vec![] });
    scene.finish(ended("gen", Outcome::Fresh, 0), b"");
    let what = vec!["src/main.rs changed".into(), "env `CC` changed".into()];
    scene.event(started("build", vec![Reason::Changed { what }, Reason::Tainted { by: name("gen") }]));
    scene.finish(ended("build", Outcome::Ran, 7), b"");
    scene.finish(ended("lint", Outcome::Hit, 0), b"clean\n");
    assert_snapshot!(scene.text(), @r#"
       fresh     gen
                        why: nothing it depends on has changed
       starts    build  why: src/main.rs changed
                        why: env `CC` changed
                        why: `gen` always runs and declares neither `outputs` nor `state`
       ran       build       7ms
    ── hit       lint             output replayed
                        why: a recorded result counts, and was restored
    clean
    "#);
}

#[test]
fn a_dry_run() {
    for explain in [false, true] {
        let mut scene = Scene::new(|options| options.explain = explain);
        let group = PlannedTask { group: true, ..planned("all", &["lint"]) };
        let Event::RunStarted { run, weir, targets, profiles, jobs, tasks, resumes, .. } = start(vec![
            planned("gen", &[]),
            planned("lint", &["gen"]),
            group,
            planned("x", &["all", "gen"]),
            planned("y", &[]),
        ]) else {
            unreachable!()
        };
        scene.event(Event::RunStarted { run, weir, targets, profiles, jobs, dry_run: true, resumes, tasks });
        let mut judged = |task, verdict, reasons| scene.event(Event::TaskJudged { task: name(task), verdict, reasons });
        judged("gen", Verdict::Fresh, vec![]);
        let what = vec!["src/main.rs changed".into(), "src/new.rs added".into()];
        judged("lint", Verdict::Run, vec![Reason::Changed { what }, Reason::Tainted { by: name("gen") }]);
        judged("x", Verdict::Depends, vec![]);
        judged("y", Verdict::Restore, vec![]);
        scene.event(Event::RunFinished(Box::new(over(Totals::default(), None))));
        if explain {
            assert_snapshot!(scene.text(), @r#"
               fresh          gen
               would run      lint  because `gen` always runs and declares neither `outputs` nor `state`
                                            src/main.rs changed
                                            src/new.rs added
               depends        x     on what `lint` leaves behind
               would restore  y
            1 would run, 1 would be restored, 1 fresh, 1 depend on these; judged in 3.21s, nothing was run
            "#);
        } else {
            assert_snapshot!(scene.text(), @r#"
               fresh          gen
               would run      lint  because `gen` always runs and declares neither `outputs` nor `state` (and 2 more)
               depends        x     on what `lint` leaves behind
               would restore  y
            1 would run, 1 would be restored, 1 fresh, 1 depend on these; judged in 3.21s, nothing was run
            "#);
        }
    }
}

#[test]
fn what_else_a_person_should_know() {
    let mut scene = Scene::new(|_| {});
    scene.event(start(vec![planned("build", &[]), planned("down", &[])]));
    let notice = Notice {
        code: "inputs-changed".into(),
        message: "`src/a.rs` changed while it ran\nits result is not recorded".into(),
        help: Some("run it again".into()),
    };
    scene.event(Event::Warned(notice.clone()));
    scene.event(Event::TaskWaiting { task: name("build"), on: "pid 4711 (`weir run check`)".into() });
    scene.event(started("build", vec![]));
    let message = "exit status 1".into();
    scene.event(Event::TaskRetried { task: name("build"), attempt: 1, message, backoff_ms: 200 });
    scene.event(Event::TaskNoticed { task: name("build"), notice });
    scene.event(Event::Interrupted { signal: "SIGINT".into(), stage: 1 });
    scene.event(Event::Interrupted { signal: "SIGINT".into(), stage: 2 });
    scene.finish(TaskFinished { flaky: true, attempts: 3, ..ended("build", Outcome::Ran, 61_000) }, b"");
    scene.finish(ended("down", Outcome::Skipped { reason: SkipReason::Interrupted }, 0), b"");
    let totals = Totals { ran: 1, flaky: 1, skipped: 1, ..Totals::default() };
    scene.event(Event::RunFinished(Box::new(RunFinished { exit_code: 130, ..over(totals, None) })));
    assert_snapshot!(scene.text(), @r#"
    warning: `src/a.rs` changed while it ran
             its result is not recorded
    help: run it again
       build waits for pid 4711 (`weir run check`)
       retry     build  attempt 1 failed: exit status 1; again in 200ms
    note: build: `src/a.rs` changed while it ran
          its result is not recorded
    help: run it again
    interrupted (SIGINT): nothing new starts; waiting for 1 task, once more kills it
    interrupted again (SIGINT): running tasks are killed
       ran       build    1m 01s  flaky, 3 attempts
       skipped   down             not started after the interrupt
    interrupted by SIGINT: 1 ran (1 flaky), 1 skipped in 3.21s
    "#);
}

#[test]
fn names_and_messages_can_not_steer_the_terminal() {
    let mut scene = Scene::new(|_| {});
    scene.event(start(vec![planned("a\x1b[2Jb\n", &[])]));
    let reason = FailReason::Start { message: "\x1b]0;title\x07".into() };
    scene.finish(ended("a\x1b[2Jb\n", Outcome::Failed { reason, warn: false }, 1), b"");
    scene.event(Event::RunFinished(Box::new(over(Totals::default(), Some("a\x1b[2Jb\n")))));
    assert!(!scene.text().contains(['\x1b', '\x07']));
    assert!(scene.text().contains(r"a\x1b[2Jb\n"));
}

#[test]
fn colours_end_where_they_began() {
    let mut scene = Scene::new(|options| options.color = true);
    scene.event(start(vec![planned("a", &[])]));
    scene.finish(ended("a", Outcome::Ran, 5), b"\x1b[31mleft red");
    assert_eq!(scene.text(), "── \x1b[32mran     \x1b[0m  a       5ms\n\x1b[31mleft red\x1b[0m\n");
}

#[test]
fn a_missing_log_is_said_and_no_failure() {
    let mut scene = Scene::new(|_| {});
    scene.event(start(vec![planned("a", &[])]));
    let gone = TaskFinished { log: Some("logs/a.log".into()), log_bytes: 3, ..ended("a", Outcome::Fresh, 0) };
    scene.event(Event::TaskFinished(Box::new(gone)));
    assert!(scene.text().contains("failed to read its log `RUN/logs/a.log`"), "{}", scene.text());
}

#[test]
fn a_closed_pipe_ends_the_writing_only() {
    struct Closed(Shared);
    impl Write for Closed {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)?;
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let tried = Shared::default();
    let mut scene = Scene::new(|_| {});
    let options = Options { run_dir: scene.dir.path().to_owned(), ..Options::default() };
    scene.sink = human(options, Box::new(Closed(tried.clone())));
    mixed(&mut scene);
    drop(scene);
    assert_eq!(tried.text().lines().count(), 2, "nothing is tried again: {}", tried.text());
}
