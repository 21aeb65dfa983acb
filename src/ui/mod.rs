//! Rank 4: events → bytes. For people ([`human`]), for machines ([`event_log`], [`report`]), for
//! GitHub. Can't change how a task or a run ends: it takes facts and has no way back, and a write
//! that fails is never a failure of the run.

mod dry;
mod ending;
mod finale;
mod format;
mod github;
mod human;
mod jsonl;
mod junit;
mod live;
mod log;
mod prefix;
mod report;
mod screen;
mod style;
#[cfg(test)]
mod tests;

pub use jsonl::{EventReader, read_event_log};
pub use report::{Judged, NoticeOf, Report, ReportTask};
pub use style::{clean, clean_lines};

use crate::event::{self, Event, Record, Sink};
use crate::model::{Notice, TaskName};
use schemars::generate::SchemaSettings;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// How the output of tasks is shown: `--output`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Under the task's line, when it ends.
    #[default]
    Grouped,
    /// Line by line as it comes, the task's name in front.
    Prefixed,
    /// Byte by byte as it comes.
    Stream,
    /// Only that of failures.
    Quiet,
}

impl Mode {
    /// Every mode, its name on the command line, and a line on what it does.
    pub const TABLE: [(Self, &'static str, &'static str); 4] = [
        (Self::Grouped, "grouped", "a task's output when it ends, in one piece"),
        (Self::Prefixed, "prefixed", "each line as it comes, with the task's name in front"),
        (Self::Stream, "stream", "as it comes, untouched"),
        (Self::Quiet, "quiet", "only failures, warnings and the summary"),
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        Self::TABLE.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match Self::TABLE.iter().find(|row| row.1 == text) {
            Some(row) => Ok(row.0),
            None => {
                let names: Vec<String> = Self::TABLE.iter().map(|row| format!("`{}`", row.1)).collect();
                Err(format!("`{text}` is no output mode; use one of {}", names.join(", ")))
            }
        }
    }
}

/// How [`human`] writes.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How the output of tasks is shown.
    pub mode: Mode,
    /// Whether weir's own lines are coloured.
    pub color: bool,
    /// The reader is a terminal: status lines may be drawn at its bottom, and redrawn.
    pub live: bool,
    /// Columns of the terminal; none: it is asked at every redraw, so that resizing works.
    pub width: Option<u16>,
    /// GitHub Actions reads along: groups and annotations are written, and commands in the output
    /// of tasks are kept from it.
    pub github: bool,
    /// The file that GitHub shows as the job's summary; a Markdown table is appended.
    pub github_summary: Option<PathBuf>,
    /// Say of every task why it runs, or why not.
    pub explain: bool,
    /// The run's folder: logs are relative to it. Shown as it stands here.
    pub run_dir: PathBuf,
}

/// The sink for people, writing to `out`. A write that fails ends its writing, silently.
pub fn human(options: Options, out: Box<dyn Write + Send>) -> Box<dyn Sink> {
    Box::new(human::Human::new(options, out))
}

/// Writes each record as a line of JSON: `events.jsonl`. If a write fails later on, it stops
/// writing, and says so once, on the standard error stream, when the run has finished.
///
/// # Errors
/// When the file can't be created.
pub fn event_log(path: &Path) -> io::Result<Box<dyn Sink>> {
    jsonl::EventLog::create(path).map(|log| Box::new(log) as Box<dyn Sink>)
}

/// Writes a [`Report`] to `path` when the run has finished, in one piece; JUnit XML where the name ends in `.xml`.
/// If that fails it says so, on the standard error stream.
pub fn report(path: PathBuf) -> Box<dyn Sink> {
    if path.extension().is_some_and(|extension| extension == "xml") {
        return Box::new(junit::JUnit::new(path));
    }
    Box::new(report::Reporter::new(path))
}

/// Hands everything to each of `sinks`, in order. The one for people comes first: the others may
/// complain on the standard error stream at the end, below what it wrote.
pub fn tee(sinks: Vec<Box<dyn Sink>>) -> Box<dyn Sink> {
    struct Tee(Vec<Box<dyn Sink>>);

    impl Sink for Tee {
        fn record(&mut self, record: &Record) {
            self.0.iter_mut().for_each(|sink| sink.record(record));
        }

        fn output(&mut self, task: &TaskName, bytes: &[u8]) {
            self.0.iter_mut().for_each(|sink| sink.output(task, bytes));
        }

        fn tick(&mut self) {
            self.0.iter_mut().for_each(|sink| sink.tick());
        }
    }

    Box::new(Tee(sinks))
}

/// Shows a recorded run again. One that has no end (weir was killed, or still runs) gets a warning
/// in place of it.
pub fn replay(events: impl Iterator<Item = Record>, sink: &mut dyn Sink) {
    let mut last = None;
    for record in events {
        sink.record(&record);
        let ended = matches!(record.event, Event::RunFinished(_));
        last = Some((record.seq, record.at, record.elapsed_ms, ended));
    }
    if let Some((seq, at, elapsed_ms, false)) = last {
        let notice = Notice {
            code: "no-end".into(),
            message: "the record ends here: the run was killed, or still goes on".into(),
            help: None,
        };
        sink.record(&Record { v: event::VERSION, seq: seq + 1, at, elapsed_ms, event: Event::Warned(notice) });
    }
}

/// The JSON Schema (draft 2020-12) of a line of `events.jsonl`.
pub fn events_schema() -> serde_json::Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Record>().to_value()
}

/// The JSON Schema (draft 2020-12) of a [`Report`].
pub fn report_schema() -> serde_json::Value {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<Report>().to_value()
}

/// One line on the standard error stream about a file that could not be written.
fn complain(what: &str, path: &Path, error: &io::Error) {
    let path = path.display().to_string();
    let _ = writeln!(io::stderr(), "warning: failed to write {what} `{}`: {error}", style::clean(&path));
}
