//! What runs right now: the lines of the live region, and a sign of life where there is no terminal.

use super::format;
use super::style::{clean, pad, truncate, width};
use crate::event::{SoakIteration, SoakStarted};
use crate::model::TaskName;
use std::time::{Duration, Instant};

/// Lines of running tasks that are shown at most, however tall the terminal is.
const MOST_TASKS: usize = 16;
/// Off a terminal a task that takes this long says so; then after twice the time, and so on.
const FIRST_BEAT: Duration = Duration::from_secs(60);
/// The same for a soak, which has more to say.
const FIRST_SOAK_BEAT: Duration = Duration::from_secs(10);

struct Running {
    task: TaskName,
    since: Instant,
    next_beat: Duration,
    attempt: u32,
    progress: Option<Progress>,
}

/// How far a soak is.
struct Progress {
    runs: Option<u32>,
    time: Option<Duration>,
    since: Instant,
    passed: u32,
    failed: u32,
}

impl Progress {
    /// `57 of 200, 2 failed, 4.6/s, about 31.1s left`.
    fn text(&self) -> String {
        let (done, spent) = (self.passed + self.failed, self.since.elapsed());
        let of = self.runs.map(|runs| format!(" of {runs}")).unwrap_or_default();
        let mut words = vec![format!("{done}{of}"), format!("{} failed", self.failed)];
        let rate = f64::from(done) / spent.as_secs_f64().max(0.001);
        if done > 0 {
            words.push(if rate >= 1.0 { format!("{rate:.1}/s") } else { format!("{:.1}/min", rate * 60.0) });
        }
        let by_runs = self.runs.filter(|_| done > 0).map(|runs| f64::from(runs.saturating_sub(done)) / rate);
        let by_time = self.time.map(|time| time.saturating_sub(spent).as_secs_f64());
        let left = by_runs.into_iter().chain(by_time).reduce(f64::min);
        if let Some(Ok(left)) = left.map(Duration::try_from_secs_f64) {
            words.push(format!("about {} left", format::elapsed(left)));
        }
        words.join(", ")
    }
}

/// Counts tasks, and keeps those that run.
#[derive(Default)]
pub(super) struct Board {
    total: usize,
    done: usize,
    running: Vec<Running>,
}

impl Board {
    /// A plan with `total` tasks, groups not counted.
    pub(super) fn plan(&mut self, total: usize) {
        *self = Self { total, ..Self::default() };
    }

    /// A task starts, or starts again.
    pub(super) fn start(&mut self, task: &TaskName, attempt: u32) {
        match self.running.iter_mut().find(|running| running.task == *task) {
            Some(running) => running.attempt = attempt,
            None => self.running.push(Running {
                task: task.clone(),
                since: Instant::now(),
                next_beat: FIRST_BEAT,
                attempt,
                progress: None,
            }),
        }
    }

    /// A task ended.
    pub(super) fn finish(&mut self, task: &TaskName) {
        self.running.retain(|running| running.task != *task);
        self.done += 1;
    }

    /// A soak starts to repeat.
    pub(super) fn soak(&mut self, soak: &SoakStarted) {
        if let Some(running) = self.running.iter_mut().find(|running| running.task == soak.task) {
            let time = soak.for_ms.map(Duration::from_millis);
            running.next_beat = FIRST_SOAK_BEAT;
            running.progress = Some(Progress { runs: soak.runs, time, since: Instant::now(), passed: 0, failed: 0 });
        }
    }

    /// An iteration of a soak ended; how many have failed by now.
    pub(super) fn iteration(&mut self, iteration: &SoakIteration) -> u32 {
        let mut running = self.running.iter_mut().filter(|running| running.task == iteration.task);
        let Some(progress) = running.next().and_then(|running| running.progress.as_mut()) else { return 0 };
        match iteration.failed {
            Some(_) => progress.failed += 1,
            None => progress.passed += 1,
        }
        progress.failed
    }

    /// How many run.
    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// Tasks that have run for so long that it is worth a line, with the time, and how far they are.
    pub(super) fn beats(&mut self) -> Vec<(TaskName, Duration, String)> {
        let mut due = Vec::new();
        for running in &mut self.running {
            if running.since.elapsed() >= running.next_beat {
                let progress = running.progress.as_ref().map(Progress::text).unwrap_or_default();
                due.push((running.task.clone(), running.next_beat, progress));
                running.next_beat *= 2;
            }
        }
        due
    }

    /// The region for a terminal of this size: a line per running task, and one with the counts.
    pub(super) fn lines(&self, columns: usize, height: usize) -> Vec<String> {
        // The last column stays free: a character in it makes some terminals wrap.
        let columns = columns.saturating_sub(1);
        let most = height.saturating_sub(3).clamp(1, MOST_TASKS);
        let shown = if self.running.len() > most { most - 1 } else { self.running.len() };
        let name_width = self.running[..shown].iter().map(|task| width(&clean(task.task.as_str()))).max();
        let name_width = name_width.unwrap_or(0).min(columns / 2);
        let mut lines = Vec::with_capacity(shown + 2);
        for running in &self.running[..shown] {
            let name = clean(running.task.as_str());
            let name = pad(&truncate(&name, name_width), name_width);
            let time = format::elapsed(running.since.elapsed());
            let attempt = match running.attempt {
                0 | 1 => String::new(),
                attempt => format!("  attempt {attempt}"),
            };
            let progress = running.progress.as_ref().map(|progress| format!("  {}", progress.text()));
            lines.push(format!("   running  {name}  {time:>8}{attempt}{}", progress.unwrap_or_default()));
        }
        if shown < self.running.len() {
            lines.push(format!("   … and {} more", self.running.len() - shown));
        }
        let left = self.total.saturating_sub(self.done + self.running.len());
        lines.push(format!("   {} of {} done, {} running, {left} left", self.done, self.total, self.running.len()));
        lines.iter().map(|line| truncate(line, columns).into_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_fits_the_terminal() {
        let mut board = Board::default();
        board.plan(40);
        for n in 0..30 {
            board.start(&TaskName::new(format!("a-rather-long-name-{n}")), 1);
        }
        board.finish(&TaskName::new("a-rather-long-name-0"));
        let lines = board.lines(30, 8);
        assert_eq!(lines.len(), 6);
        assert!(lines.iter().all(|line| width(line) <= 29), "{lines:?}");
        assert_eq!(lines[4], "   … and 25 more");
        assert_eq!(lines[5], "   1 of 40 done, 29 running,…");
        assert_eq!(board.lines(1, 1).len(), 2);
        assert_eq!(board.lines(200, 100).len(), MOST_TASKS + 1);
    }

    #[test]
    fn an_attempt_does_not_count_twice() {
        let mut board = Board::default();
        board.plan(1);
        board.start(&TaskName::new("a"), 1);
        board.start(&TaskName::new("a"), 2);
        assert_eq!(board.running(), 1);
        assert!(board.lines(80, 24)[0].ends_with("attempt 2"));
        assert!(board.beats().is_empty());
    }

    #[test]
    fn a_soak_says_how_far_it_is() {
        let mut board = Board::default();
        board.plan(1);
        let task = TaskName::new("t:soak");
        board.start(&task, 1);
        let base = TaskName::new("t");
        let (runs, for_ms) = (Some(10), Some(3_600_000));
        board.soak(&SoakStarted { task: task.clone(), base, runs, for_ms, until_failure: false, jobs: 1 });
        assert!(board.lines(120, 24)[0].contains("  0 of 10, 0 failed, about "), "{:?}", board.lines(120, 24));
        let mut lap = SoakIteration { task, iteration: 1, failed: None, duration_ms: 3, log: None };
        assert_eq!(board.iteration(&lap), 0);
        lap.failed = Some(crate::model::FailReason::Exit { code: 1 });
        assert_eq!(board.iteration(&lap), 1);
        assert!(board.lines(120, 24)[0].contains("  2 of 10, 1 failed, "), "{:?}", board.lines(120, 24));
    }
}
