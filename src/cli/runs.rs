//! `weir runs`.

use super::args::RunsCommand;
use super::error::CliError;
use super::explain::recorded;
use super::print;
use super::project::Place;
use super::run::human_options;
use crate::event::{Event, Record};
use crate::model::format_duration;
use crate::ui;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// A recorded run in one line.
#[derive(Debug, Default, Serialize)]
struct Summary {
    run: String,
    started: Option<String>,
    targets: Vec<String>,
    /// None: it was killed, or still goes on.
    exit_code: Option<u8>,
    wall_ms: Option<u64>,
    ran: u32,
    fresh: u32,
    hit: u32,
    failed: u32,
    first_failure: Option<String>,
}

/// `weir runs ls`, `weir runs show`.
///
/// # Errors
/// There is no such run, or its record can't be read.
pub fn runs(place: &Place, command: RunsCommand) -> Result<u8, CliError> {
    let folder = recorded(place)?;
    match command {
        RunsCommand::Ls { json } => {
            let all: Vec<Summary> = folder
                .run_ids()
                .into_iter()
                .map(|id| summary(&folder.runs().join(&id).join("events.jsonl"), id))
                .collect();
            if json { print::json(&all) } else { print::text(&table(&all)) }
        }
        RunsCommand::Show { run, json } => {
            let ids = folder.run_ids();
            let id = match &run {
                None => ids.first(),
                Some(begin) => {
                    let mut matching = ids.iter().filter(|id| id.starts_with(begin.as_str()));
                    matching.next().filter(|first| *first == begin || matching.next().is_none())
                }
            };
            let Some(id) = id else {
                let what = run.map_or_else(|| "no run is recorded".to_owned(), |run| format!("no run `{run}` is recorded, or several begin so"));
                return Err(CliError::usage(what, "`weir runs ls` lists them"));
            };
            let path = folder.runs().join(id);
            let log = path.join("events.jsonl");
            if json {
                let text = std::fs::read_to_string(&log)
                    .map_err(|error| CliError::outside(format!("failed to read run `{id}`: {error}")))?;
                return print::text(&text);
            }
            let records = read(&log, id)?;
            let mut options = human_options(place, ui::Mode::Grouped, true, &path);
            options.live = false;
            options.github = false;
            let mut sink = ui::human(options, Box::new(std::io::stdout()));
            ui::replay(records.into_iter(), &mut *sink);
            Ok(0)
        }
    }
}

fn read(log: &Path, id: &str) -> Result<Vec<Record>, CliError> {
    let unreadable = |error: std::io::Error| CliError::outside(format!("failed to read run `{id}`: {error}"));
    ui::read_event_log(log).map_err(unreadable)?.collect::<Result<_, _>>().map_err(unreadable)
}

fn summary(log: &Path, id: String) -> Summary {
    let mut summary = Summary { run: id, ..Summary::default() };
    let Ok(reader) = ui::read_event_log(log) else { return summary };
    for record in reader.map_while(Result::ok) {
        match record.event {
            Event::RunStarted { targets, .. } => {
                summary.started = Some(record.at);
                summary.targets = targets;
            }
            Event::RunFinished(finished) => {
                summary.exit_code = Some(finished.exit_code);
                summary.wall_ms = Some(finished.wall_ms);
                summary.ran = finished.totals.ran;
                summary.fresh = finished.totals.fresh;
                summary.hit = finished.totals.hit;
                summary.failed = finished.totals.failed;
                summary.first_failure = finished.first_failure.map(|name| name.as_str().to_owned());
            }
            _ => {}
        }
    }
    summary
}

fn table(all: &[Summary]) -> String {
    if all.is_empty() {
        return "no run is recorded\n".into();
    }
    let mut text = String::new();
    for run in all {
        let end = match run.exit_code {
            None => "unfinished".to_owned(),
            Some(0) => "ok".to_owned(),
            Some(code) => run
                .first_failure
                .as_ref()
                .map_or_else(|| format!("exit {code}"), |task| format!("exit {code}, `{task}` failed")),
        };
        let wall = run.wall_ms.map_or_else(String::new, |ms| format_duration(Duration::from_millis(ms)));
        let _ = writeln!(
            text,
            "{}  {:<20}  {:>8}  {:>3} ran {:>3} fresh {:>3} hit  {end}",
            run.run,
            run.targets.join(" "),
            wall,
            run.ran,
            run.fresh,
            run.hit
        );
    }
    text
}
