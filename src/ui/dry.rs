//! What a dry run says about a task.

use super::Mode;
use super::format;
use super::human::Human;
use super::style::clean;
use crate::event::Verdict;
use crate::model::{Reason, TaskName};

/// Width of the words of a dry run.
const VERDICT_WIDTH: usize = 13;

impl Human {
    /// What would be done with a task.
    pub(super) fn judged(&mut self, task: &TaskName, verdict: Verdict, reasons: &[Reason]) {
        let known = self.tasks.entry(task.clone()).or_default();
        if known.group || !self.dry_run {
            // In a run that is no dry run the same is said when the task starts or ends.
            known.verdict = Some(verdict);
            return;
        }
        known.verdict = Some(verdict);
        self.verdicts.push(verdict);
        if self.options.mode == Mode::Quiet {
            return;
        }
        let (tainted, others): (Vec<&Reason>, Vec<&Reason>) =
            reasons.iter().partition(|reason| matches!(reason, Reason::Tainted { .. }));
        let ordered: Vec<Reason> = tainted.into_iter().chain(others).cloned().collect();
        let mut lines = if verdict == Verdict::Depends {
            vec![self.depends_on(task)]
        } else if verdict == Verdict::Serve {
            let stays = self.tasks.get(task).is_some_and(|known| known.service == Some(true));
            let why = if stays { "a service: it starts, and stays until Ctrl-C" } else { "a service" };
            vec![why.to_owned()]
        } else {
            let facts = format::reasons(&ordered);
            facts
                .into_iter()
                .enumerate()
                .map(|(at, fact)| if at == 0 { format!("because {fact}") } else { fact })
                .collect()
        };
        if !self.options.explain && lines.len() > 1 {
            let more = lines.len() - 1;
            lines.truncate(1);
            lines[0].push_str(&format!(" (and {more} more)"));
        }
        let mut lines = lines.into_iter();
        let first = lines.next().unwrap_or_default();
        let text = self.task_text(format::verdict(verdict), VERDICT_WIDTH, task, &first);
        self.say(&format!("   {text}"));
        for line in lines {
            self.under(VERDICT_WIDTH, &format!("        {line}"));
        }
    }

    /// The tasks whose results decide what would be done with `task`; groups are looked through.
    fn depends_on(&self, task: &TaskName) -> String {
        let mut names = Vec::new();
        let mut open: Vec<&TaskName> = vec![task];
        let mut seen = rustc_hash::FxHashSet::default();
        while let Some(next) = open.pop() {
            for before in self.tasks.get(next).map(|known| known.after.as_slice()).unwrap_or_default() {
                let Some(known) = self.tasks.get(before).filter(|_| seen.insert(before)) else {
                    continue;
                };
                if known.group {
                    open.push(before);
                } else if matches!(known.verdict, Some(Verdict::Run | Verdict::Depends)) {
                    names.push(format!("`{}`", clean(before.as_str())));
                }
            }
        }
        let verb = if names.len() == 1 { "leaves" } else { "leave" };
        if names.is_empty() {
            names.push("tasks before it".into());
        }
        format!("on what {} {verb} behind", names.join(", "))
    }
}
