//! `--report FILE.xml`: a finished run as JUnit XML, a case for each task, and a suite of its own for each soak.
//!
//! The format has no specification; elements are as Jenkins' JUnit plugin reads them.

use super::report::write_whole;
use crate::event::{Event, Record, RunFinished, Sink, SoakIteration, TaskFinished};
use crate::model::{FailReason, Outcome, TaskName};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Gathers a run and writes it at the end.
pub(super) struct JUnit {
    path: PathBuf,
    run: String,
    started: String,
    groups: BTreeSet<TaskName>,
    tasks: Vec<TaskFinished>,
    soaks: BTreeMap<TaskName, Vec<SoakIteration>>,
}

/// A case of a suite.
struct Case<'a> {
    name: String,
    class: &'a str,
    ms: u64,
    /// An element's name and its message.
    verdict: Option<(&'static str, String)>,
    /// Said beside.
    note: Option<String>,
}

impl JUnit {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            run: String::new(),
            started: String::new(),
            groups: BTreeSet::new(),
            tasks: vec![],
            soaks: BTreeMap::new(),
        }
    }

    fn finish(&self, run: &RunFinished) {
        let cases = self.tasks.iter().map(case).collect::<Vec<_>>();
        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"weir\">\n");
        suite(&mut text, ("weir run", run.wall_ms, &self.started), &cases);
        for (soak, iterations) in &self.soaks {
            let cases = iterations.iter().map(|iteration| lap(soak, iteration)).collect::<Vec<_>>();
            let ms = iterations.iter().map(|iteration| iteration.duration_ms).sum();
            suite(&mut text, (soak.as_str(), ms, &self.started), &cases);
        }
        text += "</testsuites>\n";
        if let Err(error) = write_whole(&self.path, text.as_bytes()) {
            super::complain("the report", &self.path, &error);
        }
    }
}

fn case(task: &TaskFinished) -> Case<'_> {
    let verdict = match &task.outcome {
        Outcome::Ran | Outcome::Fresh | Outcome::Hit | Outcome::Done { .. } => None,
        Outcome::Failed { warn: true, reason } => {
            Some(("skipped", format!("failed as a warning: {}", reason.describe())))
        }
        Outcome::Failed { reason: reason @ (FailReason::Start { .. } | FailReason::Interrupted), .. } => {
            Some(("error", reason.describe()))
        }
        Outcome::Failed { reason, .. } => Some(("failure", reason.describe())),
        Outcome::Skipped { .. } => Some(("skipped", "it did not run".to_owned())),
    };
    let note = task.log.as_ref().map(|log| format!("log: {log}"));
    Case { name: task.task.to_string(), class: "weir", ms: task.duration_ms, verdict, note }
}

fn lap<'a>(soak: &'a TaskName, iteration: &SoakIteration) -> Case<'a> {
    Case {
        name: format!("iteration {}", iteration.iteration),
        class: soak.as_str(),
        ms: iteration.duration_ms,
        verdict: iteration.failed.as_ref().map(|reason| ("failure", reason.describe())),
        note: iteration.log.as_ref().map(|log| format!("log: {log}")),
    }
}

fn suite(text: &mut String, (name, ms, started): (&str, u64, &str), cases: &[Case<'_>]) {
    let count =
        |wanted: &str| cases.iter().filter(|case| matches!(&case.verdict, Some((is, _)) if *is == wanted)).count();
    let _ = writeln!(
        text,
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{}\" timestamp=\"{}\">",
        plain(name),
        cases.len(),
        count("failure"),
        count("error"),
        count("skipped"),
        seconds(ms),
        plain(started),
    );
    for case in cases {
        let (name, class, time) = (plain(&case.name), plain(case.class), seconds(case.ms));
        let _ = write!(text, "    <testcase classname=\"{class}\" name=\"{name}\" time=\"{time}\"");
        if case.verdict.is_none() && case.note.is_none() {
            text.push_str("/>\n");
            continue;
        }
        text.push_str(">\n");
        if let Some((element, message)) = &case.verdict {
            let _ = writeln!(text, "      <{element} message=\"{}\"/>", plain(message));
        }
        if let Some(note) = &case.note {
            let _ = writeln!(text, "      <system-out>{}</system-out>", plain(note));
        }
        text.push_str("    </testcase>\n");
    }
    text.push_str("  </testsuite>\n");
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// Text as XML takes it: escaped, and without the characters that XML has no way to write.
fn plain(text: &str) -> String {
    let allowed = |c: &char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}');
    let text: String = text.chars().map(|c| if c == '\n' || c == '\t' { ' ' } else { c }).filter(allowed).collect();
    quick_xml::escape::escape(&text).into_owned()
}

impl Sink for JUnit {
    fn record(&mut self, record: &Record) {
        match &record.event {
            Event::RunStarted { run, tasks, .. } => {
                self.run.clone_from(run);
                // JUnit knows no fractions and no zone.
                self.started = record.at.chars().take(19).collect();
                self.groups = tasks.iter().filter(|task| task.group).map(|task| task.task.clone()).collect();
            }
            Event::SoakIteration(iteration) => {
                self.soaks.entry(iteration.task.clone()).or_default().push(iteration.clone());
            }
            Event::TaskFinished(task) if !self.groups.contains(&task.task) => {
                self.tasks.push(TaskFinished { parts: vec![], ..(**task).clone() });
            }
            Event::RunFinished(run) => {
                self.soaks.values_mut().for_each(|all| all.sort_by_key(|iteration| iteration.iteration));
                self.finish(run);
            }
            _ => {}
        }
    }

    fn output(&mut self, _: &TaskName, _: &[u8]) {}

    fn tick(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_what_xml_takes() {
        assert_eq!(plain("a<b>&\"c\"\n\x1b[31m\u{0}"), "a&lt;b&gt;&amp;&quot;c&quot; [31m");
        assert_eq!((seconds(0), seconds(61_005)), ("0.000".to_owned(), "61.005".to_owned()));
    }
}
