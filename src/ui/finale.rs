//! The end of a run, for people: failures again, what was blocked, the summary, the first failure.

use super::format;
use super::human::Human;
use super::log::{self, TAIL_LINES, Tail};
use super::style::{Tone, clean};
use super::{Mode, github};
use crate::event::{RunFinished, TaskFinished};
use crate::model::{FailReason, Outcome};
use std::path::{Path, PathBuf};

/// Failures whose output is shown again at most.
const MOST_REPEATED: usize = 20;

impl Human {
    /// Everything that follows the last task.
    pub(super) fn end(&mut self, run: &RunFinished) {
        if self.dry_run {
            let summary = format::dry_summary(self.verdicts.iter().copied(), run.wall_ms);
            self.say(&summary);
            return;
        }
        let all = std::mem::take(&mut self.failures);
        let (warned, failed): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|task| matches!(task.outcome, Outcome::Failed { warn: true, .. }));
        self.repeat(&failed);
        if !(failed.is_empty() && warned.is_empty() && run.blocked.is_empty()) {
            self.say("");
        }
        self.lists(&warned, run);
        let summary = format::summary(run, self.interrupted.as_deref());
        let tone = if run.exit_code == 0 { Tone::Good } else { Tone::Bad };
        let painted = self.paint(tone, &summary).into_owned();
        self.say(&painted);
        if let Some(first) = &run.first_failure {
            let found = failed.iter().find(|task| task.task == *first);
            let reason = found.and_then(format::failure).map(|reason| format!(" ({reason})"));
            let path = found.and_then(|task| self.log_path(task));
            let path = path.map(|path| format!(", log: {}", shown(&path)));
            let label = self.paint(Tone::Bad, "failed:");
            let line = format!(
                "{label} `{}`{}{}",
                clean(first.as_str()),
                reason.unwrap_or_default(),
                path.unwrap_or_default()
            );
            self.say(&line);
        }
        self.job_summary(run, &summary);
    }

    /// The output of failed tasks again, where it does not stand right above, and what helps.
    fn repeat(&mut self, failed: &[TaskFinished]) {
        let real =
            |task: &&TaskFinished| !matches!(task.outcome, Outcome::Failed { reason: FailReason::Interrupted, .. });
        for task in failed.iter().filter(real).take(MOST_REPEATED) {
            if self.just_shown.as_ref() != Some(&task.task) {
                self.repeat_output(task);
            }
            for help in format::help(task) {
                self.help(help);
            }
        }
        let left_out = failed.iter().filter(real).count().saturating_sub(MOST_REPEATED);
        if left_out > 0 {
            self.say(&format!("   … and {left_out} more failures, shown above"));
        }
    }

    fn repeat_output(&mut self, task: &TaskFinished) {
        let tail = self.log_path(task).map(|path| (log::tail(&path), path));
        let mut remarks = format::remarks(task);
        if let Some((Ok(tail), path)) = &tail
            && tail.cut
        {
            remarks.push(format!("the last {TAIL_LINES} lines at most, all of it: {}", shown(path)));
        } else if tail.is_some() && self.options.mode != Mode::Quiet {
            remarks.push("its output again".into());
        }
        let behind = Self::behind(task, &remarks);
        self.say("");
        self.task_line(format::status(&task.outcome), &task.task, &behind, tail.is_some());
        match tail {
            Some((Ok(tail), _)) => {
                self.screen.raw(&tail.bytes);
                self.screen.end_raw();
            }
            Some((Err(error), path)) => {
                self.say(&format!("   failed to read its log `{}`: {error}", shown(&path)));
            }
            None => {}
        }
    }

    /// Warnings and blocked tasks, a line each.
    fn lists(&mut self, warned: &[TaskFinished], run: &RunFinished) {
        for task in warned {
            let reason = format::failure(task).unwrap_or_default();
            let label = self.paint(Tone::Warn, "warned:").into_owned();
            self.say(&format!("{label} {} ({reason})", clean(task.task.as_str())));
            for help in format::help(task) {
                self.help(help);
            }
        }
        for blocked in &run.blocked {
            let why = match &blocked.by {
                Some(by) => format!("by {}", clean(by.as_str())),
                None => "not started after a failure".into(),
            };
            let label = self.paint(Tone::Warn, "blocked:").into_owned();
            self.say(&format!("{label} {} ({why})", clean(blocked.task.as_str())));
        }
    }

    fn job_summary(&mut self, run: &RunFinished, summary: &str) {
        let Some(file) = self.options.github_summary.clone() else {
            return;
        };
        let tail = |task: &TaskFinished| -> Option<Tail> { self.log_path(task).and_then(|path| log::tail(&path).ok()) };
        let text = github::job_summary(run, summary, &self.listed, tail);
        if let Err(error) = github::append(&file, &text) {
            super::complain("the job summary", &file, &error);
        }
    }

    /// Where the log of a task lies, if it printed anything.
    fn log_path(&self, task: &TaskFinished) -> Option<PathBuf> {
        let name = task.log.as_deref().filter(|_| task.log_bytes > 0)?;
        log::path(&self.options.run_dir, name)
    }
}

fn shown(path: &Path) -> String {
    clean(&path.display().to_string()).into_owned()
}
