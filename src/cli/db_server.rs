//! `weir db status`, `weir db url`, `weir db psql`.

use super::args::WhichDb;
use super::db::Site;
use super::error::CliError;
use super::print;
use super::project::{Place, Project};
use crate::cache::Place as WeirFolder;
use crate::config::{Action, Config, NodeKind};
use crate::db::{DbError, Endpoint, Status};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::process::CommandExt;
use unicode_width::UnicodeWidthStr;

/// How many recorded runs are looked through for a gate's last outcome.
const RUNS: usize = 100;

/// The last run of a gate.
#[derive(Debug, Clone, Serialize)]
struct Gate {
    outcome: String,
    at: String,
    run: String,
}

#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    status: Status,
    gate: Option<Gate>,
}

/// `weir db status`.
///
/// # Errors
/// The configuration is wrong.
pub fn status(place: &Place, json: bool, profiles: &[String]) -> Result<u8, CliError> {
    let project = Project::open(place, profiles)?;
    let keys: Vec<String> = project.config.databases.iter().map(|database| database.key.clone()).collect();
    if keys.is_empty() {
        return Err(CliError::usage("tasks.toml declares no database", "declare one: `[db.app]`"));
    }
    let gates = last_gates(&project.config);
    let mut rows = Vec::new();
    for key in keys {
        let which = WhichDb { db: Some(key.clone()), profile: profiles.to_vec() };
        let site = Site::open(place, &which)?;
        let (databases, database) = (&site.databases, &site.database);
        let status = site.with(|context| async move { Ok(databases.status(database, &context).await) })?;
        rows.push(Row { status, gate: gates.get(&key).cloned() });
    }
    if json { print::json(&rows) } else { print::text(&table(&rows)) }
}

fn table(rows: &[Row]) -> String {
    let head = ["database", "provider", "address", "server", "migrations", "seeds", "gate"].map(str::to_owned);
    let of = |holds: Option<usize>, files: Option<usize>| match (holds, files) {
        (None, None) => "-".to_owned(),
        (holds, files) => {
            let shown = |count: Option<usize>| count.map_or_else(|| "?".to_owned(), |count| count.to_string());
            format!("{} of {}", shown(holds), shown(files))
        }
    };
    let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    let mut lines = vec![head];
    lines.extend(rows.iter().map(|Row { status, gate }| {
        [
            status.database.clone(),
            status.provider.unwrap_or("-").to_owned(),
            dash(&status.address),
            status.server.clone().unwrap_or_else(|| "down".into()),
            of(status.applied, status.files),
            of(status.seeded, status.seeds),
            gate.as_ref().map_or_else(|| "-".into(), |gate| format!("{} {}", gate.outcome, gate.at)),
        ]
    }));
    let widths: Vec<usize> =
        (0..7).map(|column| lines.iter().map(|line| line[column].width()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell}{}", " ".repeat(width.saturating_sub(cell.width()))))
            .collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    for Row { status, .. } in rows {
        if let Some(problem) = &status.problem {
            let _ = writeln!(text, "{}: {problem}", status.database);
        }
    }
    text
}

/// By database: how its gate ended when it last ran, as the recorded runs tell.
fn last_gates(config: &Config) -> BTreeMap<String, Gate> {
    let mut gates: BTreeMap<String, String> = BTreeMap::new();
    for task in &config.tasks {
        let Action::Uses(uses) = &task.action else { continue };
        if uses.kind == NodeKind::DbGate {
            let named = uses.with.db.as_ref().map(|name| name.value.clone());
            let only = || config.databases.first().map(|database| database.key.clone());
            gates.extend(named.or_else(only).map(|key| (task.name.as_str().to_owned(), key)));
        }
    }
    let mut found = BTreeMap::new();
    let Some(folder) = WeirFolder::existing(&config.root).filter(|_| !gates.is_empty()) else { return found };
    for run in folder.run_ids().into_iter().take(RUNS) {
        let events = std::fs::read_to_string(folder.runs().join(&run).join("events.jsonl")).unwrap_or_default();
        for event in events.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            if event["event"] != "task_finished" {
                continue;
            }
            let (Some(task), Some(outcome)) = (event["task"].as_str(), event["outcome"].as_str()) else { continue };
            let Some(key) = gates.get(task).filter(|_| outcome != "skipped") else { continue };
            let outcome = if outcome == "ran" { "passed" } else { outcome }.to_owned();
            let at = event["at"].as_str().unwrap_or_default().split('.').next().unwrap_or_default().to_owned();
            found.entry(key.clone()).or_insert(Gate { outcome, at, run: run.clone() });
        }
        if found.len() == gates.len() {
            break;
        }
    }
    found
}

fn endpoint(site: &Site<'_>) -> Result<Endpoint, CliError> {
    site.databases.known(&site.database).map_err(|error| match error {
        DbError::Failed { message, help } => CliError::Outside { message, help },
        DbError::Refused { message, help } => CliError::Refused { message, help },
        DbError::Interrupted => CliError::outside("interrupted"),
    })
}

/// `weir db url`.
///
/// # Errors
/// Where the database is, is not known.
pub fn url(place: &Place, which: &WhichDb, show_password: bool) -> Result<u8, CliError> {
    let mut endpoint = endpoint(&Site::open(place, which)?)?;
    if !show_password {
        endpoint.password = None;
    }
    print::text(&format!("{}\n", endpoint.url()))
}

/// `weir db psql`: becomes psql. The password is told by the environment, where other users don't see it.
///
/// # Errors
/// There is no psql, or where the database is, is not known.
pub fn psql(place: &Place, which: &WhichDb, arguments: &[String]) -> Result<u8, CliError> {
    let site = Site::open(place, which)?;
    let endpoint = endpoint(&site)?;
    let Some(program) = site.databases.psql() else {
        return Err(CliError::Outside {
            message: "`psql` is not found".into(),
            help: Some("`apt-get install postgresql-client`, or put its folder on PATH".into()),
        });
    };
    let mut command = std::process::Command::new(&program);
    for hidden in Endpoint::misleading() {
        command.env_remove(hidden);
    }
    let variables = endpoint.variables(&site.database.url_env.value);
    let error = command.env_remove("PGPASSWORD").envs(variables).args(arguments).exec();
    Err(CliError::outside(format!("failed to start `{}`: {error}", program.display())))
}
