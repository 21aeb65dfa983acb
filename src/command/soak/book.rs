//! What is kept of iterations while a soak runs, and what is said of them in the end.

use super::likeness::Groups;
use super::statistics::{millionths, quantile, wilson};
use crate::event::{SoakDurations, SoakEnd, SoakFailure, SoakGroup, SoakSummary};
use crate::model::{TaskName, counted, format_duration};
use crate::node::Kept;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Failures that the log lists at most; the events and the report have all.
const MOST_LISTED: usize = 20;
/// Numbers of a group that are listed at most.
const MOST_NUMBERS: usize = 12;

/// The iterations so far.
pub(super) struct Book {
    passed: u32,
    cut_short: u32,
    durations: Vec<u64>,
    failures: Vec<SoakFailure>,
    logs: BTreeMap<u32, PathBuf>,
    groups: Groups,
}

impl Book {
    pub(super) fn new() -> Self {
        Self {
            passed: 0,
            cut_short: 0,
            durations: vec![],
            failures: vec![],
            logs: BTreeMap::new(),
            groups: Groups::new(),
        }
    }

    pub(super) fn failed(&self) -> usize {
        self.failures.len()
    }

    pub(super) fn cut_short(&mut self) {
        self.cut_short += 1;
    }

    pub(super) fn passed(&mut self, duration_ms: u64) {
        self.passed += 1;
        self.durations.push(duration_ms);
    }

    pub(super) fn fail(&mut self, iteration: u32, reason: &str, duration_ms: u64, log: Option<Kept>) {
        self.durations.push(duration_ms);
        let end = log.as_ref().map(|log| String::from_utf8_lossy(&log.end).into_owned()).unwrap_or_default();
        self.groups.add(iteration, reason, &end);
        let name = log.as_ref().map(|log| log.name.clone());
        self.logs.extend(log.map(|log| (iteration, log.path)));
        let reason = reason.to_owned();
        self.failures.push(SoakFailure { iteration, reason, duration_ms, log: name, again: String::new() });
    }

    /// What all of them say together, and where the logs of failures are.
    pub(super) fn sum_up(
        mut self,
        (task, base): (&TaskName, &TaskName),
        ended: SoakEnd,
        wall: Duration,
        again: &dyn Fn(u32) -> String,
    ) -> (SoakSummary, BTreeMap<u32, PathBuf>) {
        self.failures.sort_by_key(|failure| failure.iteration);
        self.failures.iter_mut().for_each(|failure| failure.again = again(failure.iteration));
        self.durations.sort_unstable();
        let groups = self.groups.all.into_iter().map(|mut group| {
            group.iterations.sort_unstable();
            SoakGroup { reason: group.reason, excerpt: group.excerpt, iterations: group.iterations }
        });
        let mut groups: Vec<SoakGroup> = groups.collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.iterations.len()));
        let failed = u32::try_from(self.failures.len()).unwrap_or(u32::MAX);
        let iterations = self.passed.saturating_add(failed);
        let any = iterations > 0;
        let (low, high) = wilson(self.passed, iterations);
        let at = |percent| quantile(&self.durations, percent);
        let summary = SoakSummary {
            task: task.clone(),
            base: base.clone(),
            ended,
            iterations,
            passed: self.passed,
            failed,
            cut_short: self.cut_short,
            wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX),
            pass_rate: any.then(|| millionths(f64::from(self.passed) / f64::from(iterations))),
            interval: any.then(|| (millionths(low), millionths(high))),
            durations: any.then(|| SoakDurations { min_ms: at(0), p50_ms: at(50), p95_ms: at(95), max_ms: at(100) }),
            groups,
            failures: self.failures,
        };
        (summary, self.logs)
    }
}

/// A share in millionths as a percentage.
fn percent(millionths: u32) -> String {
    let tenths = (u64::from(millionths) + 500) / 1000;
    // All is all, and nothing is nothing: what is not quite must not look so.
    let tenths = match (millionths, tenths) {
        (0 | 1_000_000, tenths) => tenths,
        (_, tenths) => tenths.clamp(1, 999),
    };
    format!("{}.{} %", tenths / 10, tenths % 10)
}

fn numbers(all: &[u32]) -> String {
    let shown: Vec<String> = all.iter().take(MOST_NUMBERS).map(u32::to_string).collect();
    let more = all.len().saturating_sub(MOST_NUMBERS);
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}

/// The end of a soak's log. Paths are relative to `root` where they are in it.
pub(super) fn text(summary: &SoakSummary, logs: &BTreeMap<u32, PathBuf>, root: &Path) -> String {
    let mut text = String::new();
    let ms = |ms: u64| format_duration(Duration::from_millis(ms));
    let _ = writeln!(
        text,
        "{} of `{}` in {}: {} passed, {} failed{}",
        counted(summary.iterations, "iteration"),
        summary.base,
        ms(summary.wall_ms),
        summary.passed,
        summary.failed,
        match summary.cut_short {
            0 => String::new(),
            n => format!(", {n} cut short"),
        }
    );
    if let (Some(rate), Some((low, high))) = (summary.pass_rate, summary.interval) {
        let _ = writeln!(text, "pass rate: {} (95 % interval: {} to {})", percent(rate), percent(low), percent(high));
    }
    if let Some(took) = &summary.durations {
        let (min, p50, p95, max) = (ms(took.min_ms), ms(took.p50_ms), ms(took.p95_ms), ms(took.max_ms));
        let _ = writeln!(text, "durations: min {min}, p50 {p50}, p95 {p95}, max {max}");
    }
    let _ = writeln!(
        text,
        "ended: {}",
        match summary.ended {
            SoakEnd::Runs => "all that were asked for have run",
            SoakEnd::Time => "its time was up",
            SoakEnd::Failure => "it was to run until a failure",
            SoakEnd::Interrupted => "it was interrupted",
        }
    );
    if summary.failed == 0 {
        return text;
    }
    let _ = writeln!(text, "\nfailures by likeness of their output:");
    for group in &summary.groups {
        let _ = writeln!(text, "  {} × {}: {}", group.iterations.len(), group.reason, numbers(&group.iterations));
        for line in group.excerpt.lines() {
            let _ = writeln!(text, "      | {line}");
        }
    }
    let _ = writeln!(text, "\nfailed iterations:");
    for failure in summary.failures.iter().take(MOST_LISTED) {
        let _ = writeln!(text, "  {}: {} after {}", failure.iteration, failure.reason, ms(failure.duration_ms));
        if let Some(log) = logs.get(&failure.iteration) {
            let _ = writeln!(text, "      log:   {}", log.strip_prefix(root).unwrap_or(log).display());
        }
        let _ = writeln!(text, "      again: {}", failure.again);
    }
    let more = summary.failures.len().saturating_sub(MOST_LISTED);
    if more > 0 {
        let _ = writeln!(text, "  … and {more} more; `weir run --report FILE.json` lists all");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_soak_is_summed_up() {
        let mut book = Book::new();
        for ms in 1..=18 {
            book.passed(ms * 10);
        }
        let log = |n: u32| Kept {
            name: format!("logs/t/{n}.log"),
            path: format!("/ws/.weir/runs/1/logs/t/{n}.log").into(),
            end: format!("number {n} is unlucky\n").into_bytes(),
        };
        book.fail(13, "exit status 1", 5, Some(log(13)));
        book.fail(7, "exit status 1", 6, Some(log(7)));
        book.cut_short();
        let (task, base) = (TaskName::new("t:soak"), TaskName::new("t"));
        let again = |n| format!("weir run -f --iteration {n} t:soak");
        let (summary, logs) = book.sum_up((&task, &base), SoakEnd::Interrupted, Duration::from_millis(1500), &again);
        assert_eq!((summary.iterations, summary.passed, summary.failed, summary.cut_short), (20, 18, 2, 1));
        insta::assert_snapshot!(text(&summary, &logs, Path::new("/ws")));
    }

    #[test]
    fn nothing_rounds_to_all_or_nothing() {
        assert_eq!([0, 1, 400_000, 999_999, 1_000_000].map(percent), ["0.0 %", "0.1 %", "40.0 %", "99.9 %", "100.0 %"]);
    }
}
