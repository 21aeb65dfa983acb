//! The end of a task, for people: its line and its output.

use super::format;
use super::human::{Human, STATUS_WIDTH};
use super::log;
use super::prefix::{Lines, prefixed};
use super::screen::Screen;
use super::style::{Tone, clean};
use super::{Mode, github};
use crate::event::TaskFinished;
use crate::model::{Outcome, TaskName};

impl Human {
    /// A task ended.
    pub(super) fn finished(&mut self, finished: &TaskFinished) {
        let known = self.tasks.entry(finished.task.clone()).or_default();
        if known.group {
            return;
        }
        let (quiet, heard, service) = (known.quiet, known.heard, known.service);
        let taints = std::mem::take(&mut known.taints);
        self.handed_over &= !known.interactive;
        if service.is_none() {
            self.board.finish(&finished.task);
        }
        if self.dry_run {
            return;
        }
        self.end_lines(&finished.task);
        self.keep(finished);
        let failed = match finished.outcome {
            Outcome::Failed { warn, .. } => Some(warn),
            _ => None,
        };
        let mode = self.options.mode;
        if mode == Mode::Quiet && failed.is_none() {
            return;
        }
        let before = matches!(finished.outcome, Outcome::Done { .. });
        let shows = finished.log.is_some()
            && !before
            && finished.log_bytes > 0
            && (failed.is_some() || !quiet)
            && match mode {
                Mode::Grouped => true,
                Mode::Prefixed | Mode::Stream => !heard,
                // A failure's output comes at the end, a warning's does not.
                Mode::Quiet => failed == Some(true),
            };
        let replayed = matches!(finished.outcome, Outcome::Fresh | Outcome::Hit);
        let mut remarks = format::remarks(finished);
        if !self.options.explain {
            remarks.extend(taints.into_iter().map(|taint| format!("because {taint}")));
        }
        if shows && replayed {
            remarks.push("output replayed".into());
        }
        self.finished_lines(finished, &remarks, shows);
        let whole = shows || finished.log_bytes == 0;
        if failed.is_some() && whole && !self.options.github && mode != Mode::Quiet {
            self.just_shown = Some(finished.task.clone());
        }
        if self.options.github
            && let (Some(warn), Some(reason)) = (failed, format::failure(finished))
        {
            self.screen.command(&github::failure(finished, warn, &reason));
        }
    }

    /// The line of a finished task, and its output.
    fn finished_lines(&mut self, finished: &TaskFinished, remarks: &[String], shows: bool) {
        let behind = Self::behind(finished, remarks);
        let folds = self.options.github && shows && self.options.mode == Mode::Grouped;
        let status = format::status(&finished.outcome);
        if folds {
            let text = self.task_text(status, STATUS_WIDTH, &finished.task, &behind);
            self.raw_above = false;
            self.screen.command(&github::group(&text));
        } else {
            self.task_line(status, &finished.task, &behind, shows);
        }
        if self.options.explain {
            match finished.outcome {
                Outcome::Fresh => self.under(STATUS_WIDTH, "why: nothing it depends on has changed"),
                Outcome::Done { .. } => {
                    self.under(STATUS_WIDTH, "why: the run that is resumed did it, and nothing has changed since")
                }
                Outcome::Hit => self.under(STATUS_WIDTH, "why: a recorded result counts, and was restored"),
                _ => {}
            }
        }
        if shows {
            self.show_log(finished);
        }
        if folds {
            self.raw_above = false;
            self.screen.command(github::END_GROUP);
        }
    }

    /// Copies the log of a task, in the way of the mode.
    fn show_log(&mut self, finished: &TaskFinished) {
        let Some(name) = &finished.log else { return };
        let prefix = (self.options.mode == Mode::Prefixed).then(|| self.prefix(&finished.task));
        let Self { screen, options, .. } = self;
        let mut lines = Lines::default();
        let path = log::path(&options.run_dir, name);
        let copied = path.as_deref().map(|path| {
            log::copy(path, |chunk| {
                match &prefix {
                    Some(prefix) => lines.take(chunk, |line| put_prefixed(screen, prefix, line, options.live)),
                    None => screen.raw(chunk),
                }
                !screen.is_broken()
            })
        });
        if let Some(prefix) = &prefix {
            lines.finish(|line| put_prefixed(screen, prefix, line, options.live));
        }
        self.screen.end_raw();
        self.raw_above = prefix.is_none();
        if let Some(Err(error)) = copied {
            let shown = path.map(|path| path.display().to_string()).unwrap_or_default();
            self.say(&format!("   failed to read its log `{}`: {error}", clean(&shown)));
        }
    }

    pub(super) fn prefix(&self, task: &TaskName) -> String {
        format!("{} ", self.paint(Tone::Info, &format!("{} |", clean(task.as_str()))))
    }

    /// Lines that never ended, now that the task has.
    pub(super) fn end_lines(&mut self, task: &TaskName) {
        let prefix = self.prefix(task);
        let Self { screen, options, tasks, .. } = self;
        if let Some(known) = tasks.get_mut(task) {
            known.lines.finish(|line| put_prefixed(screen, &prefix, line, options.live));
        }
    }

    fn keep(&mut self, finished: &TaskFinished) {
        let kept = || TaskFinished { parts: Vec::new(), ..finished.clone() };
        if matches!(finished.outcome, Outcome::Failed { .. }) {
            self.failures.push(kept());
        }
        let listed =
            matches!(finished.outcome, Outcome::Failed { .. } | Outcome::Ran | Outcome::Hit | Outcome::Done { .. });
        if listed && self.options.github_summary.is_some() {
            self.listed.push(kept());
        }
    }
}

/// A line of a task, its name in front.
pub(super) fn put_prefixed(screen: &mut Screen, prefix: &str, line: &[u8], terminal: bool) {
    screen.raw(&prefixed(prefix, line, terminal));
    screen.settle();
}
