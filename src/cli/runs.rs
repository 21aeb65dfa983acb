//! `weir runs`.

use super::args::RunsCommand;
use super::error::CliError;
use super::explain::recorded;
use super::print;
use super::project::Place;
use super::run::human_options;
use crate::cache::{Found, Place as WeirFolder, Store};
use crate::event::{Event, Record};
use crate::fingerprint::compare;
use crate::model::{Digest, KeyPart, format_duration};
use crate::ui;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// A recorded run in one line.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    pub run: String,
    pub started: Option<String>,
    pub targets: Vec<String>,
    /// The run that it resumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resumes: Option<String>,
    /// None: it was killed, or still goes on.
    pub exit_code: Option<u8>,
    wall_ms: Option<u64>,
    ran: u32,
    fresh: u32,
    hit: u32,
    failed: u32,
    /// Had succeeded in the run that it resumed.
    done: u32,
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
        RunsCommand::Diff { a, b, json } => {
            let keys = |run: Option<&str>| -> Result<(String, Keys), CliError> {
                let id = find_run(&folder, run)?;
                let keys = keys_of(place, &folder, &id)?;
                Ok((id, keys))
            };
            let (a, b) = (keys(Some(&a))?, keys(b.as_deref())?);
            let differing = differences(&a.1, &b.1);
            if json {
                return print::json(&differing);
            }
            print::text(&shown(&a.0, &b.0, &differing))
        }
        RunsCommand::Show { run, json } => {
            let id = &find_run(&folder, run.as_deref())?;
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

/// The id of a recorded run, from the beginning of it; the newest where none is named.
///
/// # Errors
/// There is no such run, or several.
pub fn find_run(folder: &WeirFolder, begin: Option<&str>) -> Result<String, CliError> {
    let ids = folder.run_ids();
    let found = match begin {
        None => ids.first(),
        Some(begin) => {
            let mut matching = ids.iter().filter(|id| id.starts_with(begin));
            matching.next().filter(|first| *first == begin || matching.next().is_none())
        }
    };
    found.cloned().ok_or_else(|| {
        let what = begin.map_or_else(
            || "no run is recorded".to_owned(),
            |run| format!("no run `{run}` is recorded, or several begin so"),
        );
        CliError::usage(what, "`weir runs ls` lists them")
    })
}

/// The key of each task of a run, and the parts of it where they are still on record.
pub type Keys = BTreeMap<String, (Digest, Option<Vec<KeyPart>>)>;

/// Reads the keys of a run.
///
/// # Errors
/// Its record can't be read.
pub fn keys_of(place: &Place, folder: &WeirFolder, id: &str) -> Result<Keys, CliError> {
    let store = Store::at(folder.weir(), place.shared_cache().as_deref());
    let mut keys = Keys::new();
    for record in read(&folder.runs().join(id).join("events.jsonl"), id)? {
        let Event::TaskFinished(finished) = record.event else { continue };
        let Some(key) = finished.key else { continue };
        let parts = if finished.parts.is_empty() {
            // It did not run in that run: its parts are with the result that counted.
            match store.result(&key, true) {
                Found::Yes(result) => Some(result.parts),
                Found::No | Found::Bad(_) => None,
            }
        } else {
            Some(finished.parts)
        };
        keys.insert(finished.task.as_str().to_owned(), (key, parts));
    }
    Ok(keys)
}

/// A task whose key differs between two runs.
#[derive(Debug, Serialize)]
struct Difference {
    task: String,
    a: Option<String>,
    b: Option<String>,
    what: Vec<String>,
}

fn differences(a: &Keys, b: &Keys) -> Vec<Difference> {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let mut all = Vec::new();
    for name in names {
        let what = match (a.get(name), b.get(name)) {
            (Some((old, _)), Some((new, _))) if old == new => continue,
            (Some((_, Some(old))), Some((_, Some(new)))) => compare(old, new),
            (Some(_), Some(_)) => vec!["what its key was made of is no longer on record".into()],
            (None, _) => vec!["it is not in the first run".into()],
            (_, None) => vec!["it is not in the second run".into()],
        };
        let key = |keys: &Keys| keys.get(name).map(|(key, _)| key.to_hex());
        all.push(Difference { task: name.clone(), a: key(a), b: key(b), what });
    }
    all
}

fn shown(a: &str, b: &str, differing: &[Difference]) -> String {
    if differing.is_empty() {
        return format!("every task has the same key in {a} and in {b}\n");
    }
    let mut text = String::new();
    for difference in differing {
        let _ = writeln!(text, "`{}`", difference.task);
        for line in &difference.what {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}

fn read(log: &Path, id: &str) -> Result<Vec<Record>, CliError> {
    let unreadable = |error: std::io::Error| CliError::outside(format!("failed to read run `{id}`: {error}"));
    ui::read_event_log(log).map_err(unreadable)?.collect::<Result<_, _>>().map_err(unreadable)
}

/// A run in one line, from its events.
pub fn summary(log: &Path, id: String) -> Summary {
    let mut summary = Summary { run: id, ..Summary::default() };
    let Ok(reader) = ui::read_event_log(log) else { return summary };
    for record in reader.map_while(Result::ok) {
        match record.event {
            Event::RunStarted { targets, resumes, .. } => {
                summary.resumes = resumes;
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
                summary.done = finished.totals.done;
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
        let resumes = run.resumes.as_ref().map_or_else(String::new, |before| format!(", resumes {before}"));
        let wall = run.wall_ms.map_or_else(String::new, |ms| format_duration(Duration::from_millis(ms)));
        let _ = writeln!(
            text,
            "{}  {:<20}  {:>8}  {:>3} ran {:>3} fresh {:>3} hit  {end}{resumes}",
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
