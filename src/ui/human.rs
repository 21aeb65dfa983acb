//! Events → lines for people. What each kind of event looks like; the end of a run is in
//! [`super::finale`].

use super::ending::put_prefixed;
use super::format;
use super::live::Board;
use super::prefix::Lines;
use super::screen::{self, Screen};
use super::style::{Tone, clean, clean_lines, pad, paint, width};
use super::{Mode, Options, github};
use crate::event::{Event, PlannedTask, Record, Sink, TaskFinished, Verdict};
use crate::model::{Notice, Outcome, Reason, Stage, TaskName};
use rustc_hash::FxHashMap;
use std::io::Write;

/// Names are aligned up to this width.
const NAME_WIDTH: usize = 40;
/// Width of the status words of a run.
pub(super) const STATUS_WIDTH: usize = 8;
/// Width of durations.
const TIME_WIDTH: usize = 8;

/// Failed iterations of a soak that get a line of their own, before its end.
const SHOWN_FAILURES: u32 = 5;

/// What is known of a task while the run goes on.
#[derive(Default)]
pub(super) struct Known {
    pub(super) group: bool,
    pub(super) quiet: bool,
    pub(super) interactive: bool,
    /// It is a service; whether it stays.
    pub(super) service: Option<bool>,
    pub(super) after: Vec<TaskName>,
    /// Which tasks taint it, in words.
    pub(super) taints: Vec<String>,
    pub(super) lines: Lines,
    /// Its output came as it ran.
    pub(super) heard: bool,
    pub(super) verdict: Option<Verdict>,
}

/// The sink for people.
pub(super) struct Human {
    pub(super) options: Options,
    pub(super) screen: Screen,
    pub(super) board: Board,
    pub(super) tasks: FxHashMap<TaskName, Known>,
    name_width: usize,
    pub(super) dry_run: bool,
    pub(super) verdicts: Vec<Verdict>,
    /// Failures, those that are only warnings too, without the parts of their keys.
    pub(super) failures: Vec<TaskFinished>,
    /// What the job summary lists.
    pub(super) listed: Vec<TaskFinished>,
    pub(super) interrupted: Option<String>,
    /// The line above is a task's.
    pub(super) raw_above: bool,
    /// The task whose whole output is what stands above.
    pub(super) just_shown: Option<TaskName>,
    /// Someone else has the terminal.
    pub(super) handed_over: bool,
    over: bool,
}

impl Human {
    pub(super) fn new(options: Options, out: Box<dyn Write + Send>) -> Self {
        // In stream mode a task may be in the middle of a line at any time.
        let terminal = options.live && options.mode != Mode::Stream;
        let screen = Screen::new(out, options.color, terminal, options.github);
        Self {
            options,
            screen,
            board: Board::default(),
            tasks: FxHashMap::default(),
            name_width: 0,
            dry_run: false,
            verdicts: Vec::new(),
            failures: Vec::new(),
            listed: Vec::new(),
            interrupted: None,
            raw_above: false,
            just_shown: None,
            handed_over: false,
            over: false,
        }
    }

    /// A line that is no task's.
    pub(super) fn say(&mut self, text: &str) {
        self.raw_above = false;
        self.just_shown = None;
        self.screen.line(text);
    }

    pub(super) fn paint<'a>(&self, tone: Tone, text: &'a str) -> std::borrow::Cow<'a, str> {
        paint(self.options.color, tone, text)
    }

    /// `── ran      build        1.24s  why`; the mark stands where output of a task borders on it.
    pub(super) fn task_line(&mut self, word: (&str, Tone), task: &TaskName, rest: &str, heads_output: bool) {
        let text = self.task_text(word, STATUS_WIDTH, task, rest);
        let mark = if heads_output || self.raw_above { "── " } else { "   " };
        self.say(&format!("{mark}{text}"));
    }

    pub(super) fn task_text(&self, (word, tone): (&str, Tone), columns: usize, task: &TaskName, rest: &str) -> String {
        let word = pad(word, columns);
        let name = pad(&clean(task.as_str()), self.name_width);
        let text = format!("{}  {name}  {rest}", self.paint(tone, &word));
        text.trim_end().to_owned()
    }

    /// The columns behind the name of a finished task.
    pub(super) fn behind(finished: &TaskFinished, remarks: &[String]) -> String {
        let ran = matches!(finished.outcome, Outcome::Ran | Outcome::Failed { .. });
        let time = if ran { format::millis(finished.duration_ms) } else { String::new() };
        format!("{time:>TIME_WIDTH$}  {}", remarks.join(", "))
    }

    /// Lines under a task's line, aligned with what stands behind its name.
    pub(super) fn under(&mut self, columns: usize, text: &str) {
        self.say(&format!("{:indent$}{text}", "", indent = 3 + columns + 2 + self.name_width + 2));
    }

    pub(super) fn help(&mut self, help: &str) {
        let label = self.paint(Tone::Info, "help:").into_owned();
        self.say(&format!("{label} {}", clean_lines(help, 6)));
    }

    fn plan(&mut self, tasks: &[PlannedTask]) {
        let named = tasks.iter().filter(|task| !task.group);
        self.name_width =
            named.clone().map(|task| width(&clean(task.task.as_str()))).max().unwrap_or(0).min(NAME_WIDTH);
        self.board.plan(named.filter(|task| task.service.is_none()).count());
        self.tasks = tasks
            .iter()
            .map(|task| {
                let known = Known {
                    group: task.group,
                    quiet: task.quiet,
                    interactive: task.interactive,
                    service: task.service.map(|service| service.stays),
                    after: task.after.clone(),
                    ..Known::default()
                };
                (task.task.clone(), known)
            })
            .collect();
    }

    fn started(&mut self, task: &TaskName, attempt: u32, reasons: &[Reason]) {
        let known = self.tasks.entry(task.clone()).or_default();
        if known.group {
            return;
        }
        let interactive = known.interactive;
        let tainted =
            reasons.iter().filter(|reason| matches!(reason, Reason::Tainted { .. } | Reason::NotAsBefore { .. }));
        known.taints = tainted.map(|reason| clean(&reason.describe()).into_owned()).collect();
        self.board.start(task, attempt);
        if attempt == 1 && self.options.explain && self.options.mode != Mode::Quiet {
            let mut lines = format::reasons(reasons).into_iter();
            let first = lines.next().map(|line| format!("why: {line}")).unwrap_or_default();
            self.task_line(("starts", Tone::Strong), task, &first, false);
            for line in lines {
                self.under(STATUS_WIDTH, &format!("why: {line}"));
            }
        }
        if interactive {
            self.handed_over = true;
            self.raw_above = true;
            self.just_shown = None;
            self.screen.hand_over();
        }
    }

    /// What became of a service.
    fn service(&mut self, task: &TaskName, stage: Stage) {
        if matches!(stage, Stage::Stopped { .. }) {
            self.end_lines(task);
        }
        if self.options.mode == Mode::Quiet {
            return;
        }
        let stays = self.tasks.get(task).is_some_and(|known| known.service == Some(true));
        let (word, tone, time, more) = match stage {
            Stage::Starting => ("starting", Tone::Dim, String::new(), ""),
            Stage::Ready { after_ms } if stays => ("ready", Tone::Good, format::millis(after_ms), "until Ctrl-C"),
            Stage::Ready { after_ms } => ("ready", Tone::Good, format::millis(after_ms), ""),
            Stage::Stopped { killed: false } => ("stopped", Tone::Dim, String::new(), ""),
            Stage::Stopped { killed: true } => {
                ("killed", Tone::Warn, String::new(), "it did not end when it was asked to")
            }
        };
        self.task_line((word, tone), task, &format!("{time:>TIME_WIDTH$}  {more}"), false);
    }

    fn notice(&mut self, task: Option<&TaskName>, notice: &Notice) {
        if self.options.github {
            self.screen.command(&github::notice(task, notice));
            self.just_shown = None;
            return;
        }
        let (label, tone) = if task.is_some() { ("note:", Tone::Strong) } else { ("warning:", Tone::Warn) };
        let who = task.map(|task| format!("{}: ", clean(task.as_str()))).unwrap_or_default();
        let message = clean_lines(&notice.message, label.len() + 1);
        let label = self.paint(tone, label).into_owned();
        self.say(&format!("{label} {who}{message}"));
        if let Some(help) = &notice.help {
            self.help(help);
        }
    }

    fn signalled(&mut self, signal: &str, stage: u32) {
        self.interrupted = Some(signal.to_owned());
        let running = self.board.running();
        let what = match (stage, running) {
            (0 | 1, 0) => "nothing new starts".to_owned(),
            (0 | 1, 1) => "nothing new starts; waiting for 1 task, once more kills it".to_owned(),
            (0 | 1, _) => {
                format!("nothing new starts; waiting for {running} tasks, once more kills them")
            }
            _ => "running tasks are killed".to_owned(),
        };
        let word = if stage > 1 { "interrupted again" } else { "interrupted" };
        let text = format!("{} ({}): {what}", self.paint(Tone::Warn, word), clean(signal));
        self.say(&text);
    }

    fn redraw(&mut self, now: bool) {
        if self.over || self.handed_over || self.dry_run {
            return;
        }
        if !self.screen.wants_frame(now) {
            return;
        }
        let (columns, height) = screen::size(self.options.width);
        let lines = self.board.lines(columns, height);
        let lines = lines.iter().map(|line| self.paint(Tone::Dim, line).into_owned()).collect();
        self.screen.draw(lines);
    }
}

impl Sink for Human {
    fn record(&mut self, record: &Record) {
        let talks = self.options.mode != Mode::Quiet;
        match &record.event {
            Event::RunStarted { tasks, dry_run, resumes, .. } => {
                self.dry_run = *dry_run;
                if let Some(run) = resumes.as_ref().filter(|_| talks) {
                    self.say(&format!("   resumes run {}", clean(run)));
                }
                self.plan(tasks);
            }
            Event::TaskWaiting { task, on } => {
                if talks {
                    self.say(&format!("   {} waits for {}", clean(task.as_str()), clean(on)));
                }
            }
            Event::TaskJudged { task, verdict, reasons } => self.judged(task, *verdict, reasons),
            Event::TaskStarted { task, attempt, reasons } => self.started(task, *attempt, reasons),
            Event::TaskRetried { task, attempt, message, backoff_ms } => {
                self.end_lines(task);
                if talks {
                    let backoff = format::millis(*backoff_ms);
                    let rest = format!("attempt {attempt} failed: {}; again in {backoff}", clean(message));
                    self.task_line(("retry", Tone::Warn), task, &rest, false);
                }
            }
            Event::TaskNoticed { task, notice } => self.notice(Some(task), notice),
            Event::Service { task, stage } => self.service(task, *stage),
            Event::TaskFinished(finished) => self.finished(finished),
            Event::Warned(notice) => self.notice(None, notice),
            Event::Interrupted { signal, stage } => self.signalled(signal, *stage),
            Event::SoakStarted(soak) => self.board.soak(soak),
            Event::SoakIteration(iteration) => {
                let failed = self.board.iteration(iteration);
                if let Some(reason) = iteration.failed.as_ref().filter(|_| talks && failed <= SHOWN_FAILURES) {
                    let number = iteration.iteration;
                    let rest = format!("iteration {number}: {}", clean(&reason.describe()));
                    self.task_line(("failed", Tone::Bad), &iteration.task, &rest, false);
                }
            }
            // What it found stands at the end of its log.
            Event::SoakFinished(_) => {}
            Event::RunFinished(run) => {
                self.over = true;
                self.end(run);
            }
        }
        self.redraw(false);
        // Of thousands of fresh tasks each line would be a write; the next tick shows them at the latest.
        let can_wait = match &record.event {
            Event::TaskFinished(task) => task.outcome == Outcome::Fresh && task.log.is_none(),
            _ => false,
        };
        if !can_wait {
            self.screen.flush();
        }
    }

    fn output(&mut self, task: &TaskName, bytes: &[u8]) {
        let mode = self.options.mode;
        // Of a service that stays there is no end to wait for.
        let stays = self.tasks.get(task).is_some_and(|known| known.service == Some(true));
        if bytes.is_empty() || !(stays || matches!(mode, Mode::Prefixed | Mode::Stream)) {
            return;
        }
        let prefix = self.prefix(task);
        let Self { screen, options, tasks, .. } = self;
        let known = tasks.entry(task.clone()).or_default();
        if known.quiet {
            return;
        }
        known.heard = true;
        self.just_shown = None;
        if mode == Mode::Stream {
            self.raw_above = true;
            screen.raw(bytes);
        } else {
            known.lines.take(bytes, |line| put_prefixed(screen, &prefix, line, options.live));
        }
        self.redraw(false);
        self.screen.flush();
    }

    fn tick(&mut self) {
        let speaks = !self.options.live && self.options.mode == Mode::Grouped && !self.handed_over;
        if speaks && !self.over {
            for (task, time, progress) in self.board.beats() {
                let time = format::elapsed(time);
                self.task_line(("running", Tone::Dim), &task, &format!("{time:>TIME_WIDTH$}  {progress}"), false);
            }
        }
        self.redraw(true);
        self.screen.flush();
    }
}
