//! Words: what weir says about a task and a run, without colours or layout.

use crate::event::{RemoteUse, RunFinished, TaskFinished, Verdict};
use crate::model::{FailReason, Outcome, Reason, SkipReason, TaskName, format_bytes, format_duration};
use crate::ui::style::{Tone, clean};
use std::time::Duration;

/// Names of a critical path that are shown at most.
const PATH_NAMES: usize = 6;

/// The word for how a task ended.
pub(super) fn status(outcome: &Outcome) -> (&'static str, Tone) {
    match outcome {
        Outcome::Fresh => ("fresh", Tone::Dim),
        Outcome::Hit => ("hit", Tone::Dim),
        Outcome::Done { .. } => ("done", Tone::Dim),
        Outcome::Ran => ("ran", Tone::Good),
        Outcome::Failed { warn: false, .. } => ("FAILED", Tone::Bad),
        Outcome::Failed { warn: true, .. } => ("warned", Tone::Warn),
        Outcome::Skipped { reason: SkipReason::Blocked { .. } | SkipReason::Stopped } => ("blocked", Tone::Warn),
        Outcome::Skipped { .. } => ("skipped", Tone::Dim),
    }
}

/// What stands behind the duration, in parts: why it failed or was not run, flakiness.
pub(super) fn remarks(finished: &TaskFinished) -> Vec<String> {
    let mut parts = Vec::new();
    match &finished.outcome {
        Outcome::Fresh | Outcome::Hit | Outcome::Ran => {}
        Outcome::Done { run } => parts.push(format!("in run {}", clean(run))),
        Outcome::Failed { reason, .. } => parts.push(clean(&reason.describe()).into_owned()),
        Outcome::Skipped { reason } => parts.push(match reason {
            SkipReason::Blocked { by } => format!("by {}", clean(by.as_str())),
            SkipReason::Stopped => "not started after a failure".into(),
            SkipReason::Interrupted => "not started after the interrupt".into(),
            SkipReason::NotNeeded => "not needed".into(),
        }),
    }
    if finished.remote {
        parts.push("on the remote".into());
    }
    if finished.flaky {
        parts.push(format!("flaky, {} attempts", finished.attempts));
    } else if finished.attempts > 1 {
        parts.push(format!("{} attempts", finished.attempts));
    }
    parts
}

/// Why a task runs, a fact each, cleaned.
pub(super) fn reasons(reasons: &[Reason]) -> Vec<String> {
    reasons
        .iter()
        .flat_map(|reason| match reason {
            Reason::Changed { what } | Reason::Outputs { what } => what.clone(),
            other => vec![other.describe()],
        })
        .map(|line| clean(&line).into_owned())
        .collect()
}

/// Milliseconds for people.
pub(super) fn millis(millis: u64) -> String {
    format_duration(Duration::from_millis(millis))
}

/// The elapsed time of a running task; coarse, so that a live line does not flicker.
pub(super) fn elapsed(time: Duration) -> String {
    if time < Duration::from_secs(60) { format!("{:.1}s", time.as_secs_f64()) } else { format_duration(time) }
}

/// `a → b → c`, its middle left out where it is long.
fn critical_path(path: &[TaskName]) -> String {
    let mut names: Vec<String> = path.iter().map(|name| clean(name.as_str()).into_owned()).collect();
    if names.len() > PATH_NAMES {
        let left_out = names.len() - (PATH_NAMES - 1);
        names.splice(2..2 + left_out, [format!("… ({left_out} more)")]);
    }
    names.join(" → ")
}

/// `3 ran, 12 fresh, 1 failed`; empty where nothing happened.
pub(super) fn counts(run: &RunFinished) -> String {
    let totals = &run.totals;
    let ran = match totals.flaky {
        0 => "ran".to_owned(),
        flaky => format!("ran ({flaky} flaky)"),
    };
    join_counts(&[
        (totals.ran, &ran),
        (totals.fresh, "fresh"),
        (totals.hit, "hit"),
        (totals.done, "done before"),
        (totals.failed, "failed"),
        (totals.warned, "warned"),
        (totals.blocked, "blocked"),
        (totals.skipped, "skipped"),
    ])
}

fn join_counts(counts: &[(u32, &str)]) -> String {
    let shown: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    shown.join(", ")
}

/// The line that sums up a run.
pub(super) fn summary(run: &RunFinished, interrupted: Option<&str>) -> String {
    let mut line = String::new();
    if let Some(signal) = interrupted {
        line = format!("interrupted by {}: ", clean(signal));
    }
    let counts = counts(run);
    line.push_str(if counts.is_empty() { "nothing done" } else { &counts });
    line.push_str(&format!(" in {}", millis(run.wall_ms)));
    let mut notes = Vec::new();
    if run.saved_ms > 0 {
        notes.push(format!("saved {}", millis(run.saved_ms)));
    }
    if run.critical_path.len() > 1 && run.critical_path_ms > 0 {
        let path = critical_path(&run.critical_path);
        notes.push(format!("critical path {}: {path}", millis(run.critical_path_ms)));
    }
    if let Some(remote) = &run.remote {
        notes.push(remote_use(remote));
    }
    if !notes.is_empty() {
        line.push_str(&format!(" ({})", notes.join("; ")));
    }
    line
}

/// `remote: 3 hits saved 4.2 s, 1.2 MB down, 2 given, 300 kB up`.
fn remote_use(remote: &RemoteUse) -> String {
    let mut parts = Vec::new();
    if remote.hits > 0 {
        let hits = if remote.hits == 1 { "1 hit".to_owned() } else { format!("{} hits", remote.hits) };
        parts.push(format!("{hits} saved {}", millis(remote.saved_ms)));
    }
    if remote.executed > 0 {
        parts.push(format!("{} run there", remote.executed));
    }
    if remote.bytes_down > 0 {
        parts.push(format!("{} down", format_bytes(remote.bytes_down)));
    }
    if remote.given > 0 {
        parts.push(format!("{} given", remote.given));
    }
    if remote.bytes_up > 0 {
        parts.push(format!("{} up", format_bytes(remote.bytes_up)));
    }
    format!("remote: {}", parts.join(", "))
}

/// The word for what a dry run would do.
pub(super) fn verdict(verdict: Verdict) -> (&'static str, Tone) {
    match verdict {
        Verdict::Fresh => ("fresh", Tone::Dim),
        Verdict::Restore => ("would restore", Tone::Dim),
        Verdict::Done => ("done", Tone::Dim),
        Verdict::Run => ("would run", Tone::Good),
        Verdict::Depends => ("depends", Tone::Warn),
        Verdict::Serve => ("if needed", Tone::Dim),
    }
}

/// The line that sums up a dry run.
pub(super) fn dry_summary(verdicts: impl Iterator<Item = Verdict>, wall_ms: u64) -> String {
    let (mut run, mut restore, mut fresh, mut depends, mut done, mut serve) = (0, 0, 0, 0, 0, 0);
    for verdict in verdicts {
        *match verdict {
            Verdict::Run => &mut run,
            Verdict::Restore => &mut restore,
            Verdict::Fresh => &mut fresh,
            Verdict::Done => &mut done,
            Verdict::Depends => &mut depends,
            Verdict::Serve => &mut serve,
        } += 1;
    }
    let counts = join_counts(&[
        (run, "would run"),
        (restore, "would be restored"),
        (fresh, "fresh"),
        (done, "done before"),
        (depends, "depend on these"),
        (serve, "started if needed"),
    ]);
    let counts = if counts.is_empty() { "nothing to do".to_owned() } else { counts };
    format!("{counts}; judged in {}, nothing was run", millis(wall_ms))
}

/// `exit status 3`, cleaned; none for a task that did not fail.
pub(super) fn failure(finished: &TaskFinished) -> Option<String> {
    match &finished.outcome {
        Outcome::Failed { reason, .. } => Some(clean(&reason.describe()).into_owned()),
        _ => None,
    }
}

/// What to do about a failure: from `help` in `tasks.toml`, and from the failure itself.
pub(super) fn help(finished: &TaskFinished) -> impl Iterator<Item = &str> {
    let own = match &finished.outcome {
        Outcome::Failed {
            reason: FailReason::Inputs { help, .. } | FailReason::Node { help, .. } | FailReason::Refused { help, .. },
            ..
        } => help.as_deref(),
        _ => None,
    };
    let declared = finished.help.as_deref().filter(|help| own != Some(*help));
    own.into_iter().chain(declared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Totals;

    fn run(names: usize) -> RunFinished {
        RunFinished {
            exit_code: 0,
            wall_ms: 3210,
            saved_ms: 41_000,
            critical_path_ms: 2900,
            remote: None,
            critical_path: (0..names).map(|n| TaskName::new(format!("t{n}"))).collect(),
            totals: Totals { ran: 3, flaky: 1, fresh: 12, ..Totals::default() },
            first_failure: None,
            blocked: Vec::new(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn a_summary_leaves_out_what_did_not_happen() {
        assert_eq!(
            summary(&run(3), None),
            "3 ran (1 flaky), 12 fresh in 3.21s (saved 41.00s; critical path 2.90s: t0 → t1 → t2)"
        );
        let empty = RunFinished { saved_ms: 0, totals: Totals::default(), ..run(1) };
        assert_eq!(summary(&empty, Some("SIGINT")), "interrupted by SIGINT: nothing done in 3.21s");
    }

    #[test]
    fn a_long_critical_path_is_cut_in_the_middle() {
        let names = |count| run(count).critical_path;
        assert_eq!(critical_path(&names(6)), "t0 → t1 → t2 → t3 → t4 → t5");
        assert_eq!(critical_path(&names(7)), "t0 → t1 → … (2 more) → t4 → t5 → t6");
        assert_eq!(critical_path(&names(20)), "t0 → t1 → … (15 more) → t17 → t18 → t19");
    }

    #[test]
    fn a_dry_run_counts_verdicts() {
        let verdicts = [Verdict::Run, Verdict::Fresh, Verdict::Run, Verdict::Depends];
        assert_eq!(
            dry_summary(verdicts.into_iter(), 12),
            "2 would run, 1 fresh, 1 depend on these; judged in 12ms, nothing was run"
        );
    }
}
