//! `--report FILE.json`: one document about a finished run.

use crate::event::{
    Blocked, Event, PlannedTask, Record, RunFinished, Sink, SoakSummary, TaskFinished, Totals, VERSION, Verdict,
};
use crate::model::{Digest, Notice, Outcome, Reason, TaskName};
use rustc_hash::FxHashMap;
use schemars::JsonSchema;
use serde::Serialize;
use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A finished run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Report {
    /// Version of this format; the same as that of the events.
    pub v: u32,
    /// The run's id.
    pub run: String,
    /// Version of weir.
    pub weir: String,
    /// When it started, UTC, RFC 3339.
    pub started: String,
    /// The targets as asked for.
    pub targets: Vec<String>,
    /// Profiles in force.
    pub profiles: Vec<String>,
    /// How many tasks could run at once.
    pub jobs: u32,
    /// Nothing ran; `judged` says what would have been done.
    pub dry_run: bool,
    /// The run that this one resumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumes: Option<String>,
    /// The process's exit code.
    pub exit_code: u8,
    /// The last signal that interrupted it.
    pub interrupted: Option<String>,
    /// Wall time, milliseconds.
    pub wall_ms: u64,
    /// What the fresh and restored tasks took when they ran, milliseconds.
    pub saved_ms: u64,
    /// The longest chain of tasks that ran, milliseconds.
    pub critical_path_ms: u64,
    /// The tasks of that chain, first to last.
    pub critical_path: Vec<TaskName>,
    /// Totals; groups are not counted.
    pub totals: Totals,
    /// The task that failed first.
    pub first_failure: Option<TaskName>,
    /// The tasks that ended, in the order of the plan, without groups.
    pub tasks: Vec<ReportTask>,
    /// What a dry run would do, in the order of the plan.
    pub judged: Vec<Judged>,
    /// Tasks that failed as warnings.
    pub warnings: Vec<TaskName>,
    /// Tasks that did not run because of a failure, each with the task that blocked it.
    pub blocked: Vec<Blocked>,
    /// What a person should know.
    pub notices: Vec<NoticeOf>,
    /// What soaks found.
    pub soaks: Vec<SoakSummary>,
}

/// A task that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReportTask {
    /// The task.
    pub task: TaskName,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Milliseconds from its first start to its end; 0 where nothing ran.
    pub duration_ms: u64,
    /// Milliseconds that the recorded run took, for `fresh` and `hit`.
    pub saved_ms: u64,
    /// Attempts made.
    pub attempts: u32,
    /// It passed after a failed attempt.
    pub flaky: bool,
    /// The key, where it has one: 64 hexadecimal digits.
    pub key: Option<Digest>,
    /// Its log, relative to the run's folder.
    pub log: Option<String>,
    /// Bytes of the log.
    pub log_bytes: u64,
    /// Why it ran, if it did.
    pub reasons: Vec<Reason>,
    /// What to do now that it failed.
    pub help: Option<String>,
}

/// What a dry run would do with a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Judged {
    /// The task.
    pub task: TaskName,
    /// What would be done.
    pub verdict: Verdict,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// Something a person should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NoticeOf {
    /// The task it is about; none: the run as a whole.
    pub task: Option<TaskName>,
    /// What.
    #[serde(flatten)]
    pub notice: Notice,
}

/// Gathers a report and writes it at the end.
pub(super) struct Reporter {
    path: PathBuf,
    report: Report,
    /// Place in the plan, and whether it is a group.
    plan: FxHashMap<TaskName, (usize, bool)>,
    reasons: FxHashMap<TaskName, Vec<Reason>>,
}

impl Reporter {
    pub(super) fn new(path: PathBuf) -> Self {
        let report = Report {
            v: VERSION,
            run: String::new(),
            weir: String::new(),
            started: String::new(),
            targets: Vec::new(),
            profiles: Vec::new(),
            jobs: 0,
            dry_run: false,
            resumes: None,
            exit_code: 0,
            interrupted: None,
            wall_ms: 0,
            saved_ms: 0,
            critical_path_ms: 0,
            critical_path: Vec::new(),
            totals: Totals::default(),
            first_failure: None,
            tasks: Vec::new(),
            judged: Vec::new(),
            warnings: Vec::new(),
            blocked: Vec::new(),
            notices: Vec::new(),
            soaks: Vec::new(),
        };
        Self { path, report, plan: FxHashMap::default(), reasons: FxHashMap::default() }
    }

    fn planned(&mut self, tasks: &[PlannedTask]) {
        let places = tasks.iter().enumerate();
        self.plan = places.map(|(place, task)| (task.task.clone(), (place, task.group))).collect();
    }

    fn place(&self, task: &TaskName) -> (usize, bool) {
        self.plan.get(task).copied().unwrap_or((usize::MAX, false))
    }

    fn task(&mut self, task: &TaskFinished) {
        if self.place(&task.task).1 {
            return;
        }
        self.report.tasks.push(ReportTask {
            task: task.task.clone(),
            outcome: task.outcome.clone(),
            duration_ms: task.duration_ms,
            saved_ms: task.saved_ms,
            attempts: task.attempts,
            flaky: task.flaky,
            key: task.key,
            log: task.log.clone(),
            log_bytes: task.log_bytes,
            reasons: self.reasons.remove(&task.task).unwrap_or_default(),
            help: task.help.clone(),
        });
    }

    fn finish(&mut self, run: &RunFinished) {
        let mut report = self.report.clone();
        report.tasks.sort_by_key(|task| self.place(&task.task));
        report.judged.sort_by_key(|judged| self.place(&judged.task));
        report.exit_code = run.exit_code;
        report.wall_ms = run.wall_ms;
        report.saved_ms = run.saved_ms;
        report.critical_path_ms = run.critical_path_ms;
        report.critical_path.clone_from(&run.critical_path);
        report.totals = run.totals.clone();
        report.first_failure.clone_from(&run.first_failure);
        report.warnings.clone_from(&run.warnings);
        report.blocked.clone_from(&run.blocked);
        if let Err(error) = write(&self.path, &report) {
            super::complain("the report", &self.path, &error);
        }
    }
}

impl Sink for Reporter {
    fn record(&mut self, record: &Record) {
        let report = &mut self.report;
        match &record.event {
            Event::RunStarted { run, weir, targets, profiles, jobs, dry_run, resumes, tasks } => {
                report.resumes.clone_from(resumes);
                report.run.clone_from(run);
                report.weir.clone_from(weir);
                report.started.clone_from(&record.at);
                report.targets.clone_from(targets);
                report.profiles.clone_from(profiles);
                report.jobs = *jobs;
                report.dry_run = *dry_run;
                self.planned(tasks);
            }
            Event::TaskStarted { task, attempt: 0 | 1, reasons } => {
                self.reasons.insert(task.clone(), reasons.clone());
            }
            Event::TaskJudged { task, verdict, reasons } => {
                if report.dry_run && !self.plan.get(task).is_some_and(|(_, group)| *group) {
                    report.judged.push(Judged { task: task.clone(), verdict: *verdict, reasons: reasons.clone() });
                }
            }
            Event::TaskNoticed { task, notice } => {
                report.notices.push(NoticeOf { task: Some(task.clone()), notice: notice.clone() });
            }
            Event::Warned(notice) => {
                report.notices.push(NoticeOf { task: None, notice: notice.clone() });
            }
            Event::Interrupted { signal, .. } => report.interrupted = Some(signal.clone()),
            Event::TaskFinished(task) => self.task(task),
            Event::RunFinished(run) => self.finish(run),
            Event::SoakFinished(soak) => report.soaks.push((**soak).clone()),
            Event::TaskStarted { .. }
            | Event::TaskWaiting { .. }
            | Event::TaskRetried { .. }
            | Event::Service { .. }
            | Event::SoakStarted(_)
            | Event::SoakIteration(_) => {}
        }
    }

    fn output(&mut self, _: &TaskName, _: &[u8]) {}

    fn tick(&mut self) {}
}

fn write(path: &Path, report: &Report) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(report)?;
    text.push(b'\n');
    write_whole(path, &text)
}

/// Writes the document beside its place and moves it there, so that a reader finds all of it or none.
pub(super) fn write_whole(path: &Path, text: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // As any file one creates: what the umask leaves of it.
    let mode = Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new().prefix(".weir-report").permissions(mode).tempfile_in(folder)?;
    file.write_all(text)?;
    file.persist(path)?;
    Ok(())
}
