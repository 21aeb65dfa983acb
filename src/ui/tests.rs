//! Hand-made runs, and what is written about them.

use super::*;
use crate::event::{Blocked, PlannedTask, RunFinished, TaskFinished, Totals, Verdict};
use crate::model::{Digest, FailReason, KeyPart, Outcome, PartKind, Reason, SkipReason};
use std::sync::{Arc, Mutex};

mod live;
mod machines;
mod people;

/// Bytes that can be looked at while a sink owns the writer.
#[derive(Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A run with a folder for logs and a sink for people.
pub(super) struct Scene {
    pub(super) dir: tempfile::TempDir,
    pub(super) out: Shared,
    pub(super) sink: Box<dyn Sink>,
}

impl Scene {
    /// `change` alters plain, grouped options.
    pub(super) fn new(change: impl FnOnce(&mut Options)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("logs")).unwrap();
        let mut options = Options { run_dir: dir.path().to_owned(), width: Some(80), ..Options::default() };
        change(&mut options);
        let out = Shared::default();
        Self { sink: human(options, Box::new(out.clone())), out, dir }
    }

    pub(super) fn event(&mut self, event: Event) {
        self.sink.record(&record(event));
    }

    /// Writes the task's log, and says that it ended so.
    pub(super) fn finish(&mut self, task: TaskFinished, log: &[u8]) {
        let mut task = task;
        if !log.is_empty() {
            let name = format!("logs/{}.log", task.task.as_str().replace([':', '/'], "_"));
            std::fs::write(self.dir.path().join(&name), log).unwrap();
            task.log = Some(name);
            task.log_bytes = log.len() as u64;
        }
        self.event(Event::TaskFinished(Box::new(task)));
    }

    /// What was written, the run's folder shown as `RUN`.
    pub(super) fn text(&self) -> String {
        self.out.text().replace(&self.dir.path().display().to_string(), "RUN")
    }
}

pub(super) fn name(task: &str) -> TaskName {
    TaskName::new(task)
}

pub(super) fn record(event: Event) -> Record {
    Record { v: event::VERSION, seq: 7, at: "2026-01-02T03:04:05.678Z".into(), elapsed_ms: 12, event }
}

pub(super) fn planned(task: &str, after: &[&str]) -> PlannedTask {
    PlannedTask {
        task: name(task),
        group: false,
        service: None,
        quiet: false,
        interactive: false,
        cleanup: false,
        gate: None,
        after: after.iter().map(|task| name(task)).collect(),
    }
}

pub(super) fn start(tasks: Vec<PlannedTask>) -> Event {
    Event::RunStarted {
        run: "20260102-030405".into(),
        weir: "0.1.0".into(),
        targets: vec!["check".into()],
        profiles: vec![],
        jobs: 4,
        dry_run: false,
        resumes: None,
        tasks,
    }
}

pub(super) fn started(task: &str, reasons: Vec<Reason>) -> Event {
    Event::TaskStarted { task: name(task), attempt: 1, reasons }
}

pub(super) fn ended(task: &str, outcome: Outcome, duration_ms: u64) -> TaskFinished {
    let attempts = u32::from(matches!(outcome, Outcome::Ran | Outcome::Failed { .. }));
    TaskFinished {
        task: name(task),
        outcome,
        duration_ms,
        saved_ms: 0,
        attempts,
        flaky: false,
        key: None,
        log: None,
        log_bytes: 0,
        remote: false,
        replayed_from: None,
        help: None,
        parts: vec![],
    }
}

pub(super) fn exit(code: i32, warn: bool) -> Outcome {
    Outcome::Failed { reason: FailReason::Exit { code }, warn }
}

pub(super) fn over(totals: Totals, first_failure: Option<&str>) -> RunFinished {
    RunFinished {
        exit_code: u8::from(first_failure.is_some()),
        wall_ms: 3210,
        saved_ms: 0,
        critical_path_ms: 0,
        remote: None,
        critical_path: vec![],
        totals,
        first_failure: first_failure.map(name),
        blocked: vec![],
        warnings: vec![],
    }
}

/// A run with one of everything.
pub(super) fn mixed(scene: &mut Scene) {
    let group = PlannedTask { group: true, ..planned("check", &["test:unit", "deploy"]) };
    scene.event(start(vec![
        planned("gen", &[]),
        planned("build", &["gen"]),
        planned("lint", &[]),
        planned("fmt", &[]),
        planned("test:unit", &["build"]),
        planned("deploy", &["test:unit"]),
        group,
    ]));
    scene.finish(ended("gen", Outcome::Fresh, 0), b"generated 3 files\n");
    let tainted = vec![Reason::Tainted { by: name("gen") }];
    scene.event(started("build", tainted));
    scene.event(started("lint", vec![Reason::NeverRan]));
    scene.finish(ended("fmt", Outcome::Hit, 0), b"");
    scene.finish(ended("lint", exit(2, true), 80), b"unused import");
    scene.finish(ended("build", Outcome::Ran, 1240), b"Compiling weir\nFinished\n");
    scene.event(started("test:unit", vec![Reason::Changed { what: vec!["src/main.rs changed".into()] }]));
    let failed =
        TaskFinished { help: Some("run `docker compose up` first".into()), ..ended("test:unit", exit(3, false), 520) };
    scene.finish(failed, b"test a ... ok\ntest b ... FAILED\n");
    let blocked = Outcome::Skipped { reason: SkipReason::Blocked { by: name("test:unit") } };
    scene.finish(ended("deploy", blocked.clone(), 0), b"");
    scene.finish(ended("check", blocked, 0), b"");
    let totals = Totals { ran: 1, fresh: 1, hit: 1, failed: 1, warned: 1, blocked: 1, ..Totals::default() };
    scene.event(Event::RunFinished(Box::new(RunFinished {
        saved_ms: 41_000,
        critical_path_ms: 1760,
        remote: None,
        critical_path: vec![name("build"), name("test:unit")],
        blocked: vec![Blocked { task: name("deploy"), by: Some(name("test:unit")) }],
        warnings: vec![name("lint")],
        ..over(totals, Some("test:unit"))
    })));
}

/// One record of every kind of event, with every kind of reason, outcome and failure somewhere.
pub(super) fn every_event() -> Vec<Record> {
    let notice = Notice { code: "inputs-changed".into(), message: "`a` changed".into(), help: Some("x".into()) };
    let reasons = vec![
        Reason::NeverRan,
        Reason::LastRunFailed,
        Reason::NoSources,
        Reason::CacheOff,
        Reason::Writes,
        Reason::Reset,
        Reason::Interactive,
        Reason::Forced,
        Reason::Tainted { by: name("gen") },
        Reason::Changed { what: vec!["a changed".into(), "b added".into()] },
        Reason::Outputs { what: vec!["c is missing".into()] },
        Reason::State,
        Reason::NoStore,
        Reason::NotAsBefore { run: "20260101-000000".into(), what: vec!["`run` changed".into()] },
        Reason::DoneBefore { run: "20260101-000000".into() },
    ];
    let failures = [
        FailReason::Exit { code: 3 },
        FailReason::Signal { name: "SIGSEGV".into() },
        FailReason::Timeout { after_ms: 1000 },
        FailReason::Interrupted,
        FailReason::MissingOutputs { patterns: vec!["dist/**".into()] },
        FailReason::Start { message: "no such program".into() },
        FailReason::Inputs { message: "`x` is gone".into(), help: Some("put it back".into()) },
        FailReason::Probe { command: "node -v".into(), message: "exit status 1".into() },
    ];
    let skips =
        [SkipReason::Blocked { by: name("b") }, SkipReason::Stopped, SkipReason::Interrupted, SkipReason::NotNeeded];
    let mut outcomes =
        vec![Outcome::Fresh, Outcome::Hit, Outcome::Ran, Outcome::Done { run: "20260101-000000".into() }];
    outcomes.extend(failures.into_iter().map(|reason| Outcome::Failed { reason, warn: false }));
    outcomes.extend(skips.into_iter().map(|reason| Outcome::Skipped { reason }));
    let mut events = vec![
        start(vec![planned("a", &["b"])]),
        Event::TaskWaiting { task: name("a"), on: "pid 4711 (`weir run check`)".into() },
        Event::TaskJudged { task: name("a"), verdict: Verdict::Depends, reasons: reasons.clone() },
        started("a", reasons),
        Event::TaskRetried { task: name("a"), attempt: 1, message: "exit status 1".into(), backoff_ms: 200 },
        Event::TaskNoticed { task: name("a"), notice: notice.clone() },
        Event::Warned(notice),
        Event::Interrupted { signal: "SIGINT".into(), stage: 1 },
    ];
    events.extend(outcomes.into_iter().map(|outcome| {
        Event::TaskFinished(Box::new(TaskFinished {
            key: Some(Digest::of(b"key")),
            log: Some("logs/a.log".into()),
            log_bytes: 5,
            parts: vec![KeyPart { kind: PartKind::Source, name: "a".into(), shown: "0123".into(), unset: false }],
            ..ended("a", outcome, 5)
        }))
    }));
    events.push(Event::RunFinished(Box::new(RunFinished {
        blocked: vec![Blocked { task: name("c"), by: None }],
        critical_path: vec![name("a")],
        ..over(Totals { failed: 1, ..Totals::default() }, Some("a"))
    })));
    let kinds: std::collections::HashSet<_> = events.iter().map(std::mem::discriminant).collect();
    assert_eq!(kinds.len(), 10, "an event is missing here");
    let records = events.into_iter().enumerate();
    records.map(|(seq, event)| Record { seq: seq as u64, ..record(event) }).collect()
}
