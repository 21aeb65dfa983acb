//! `weir cache`.

use super::args::CacheCommand;
use super::error::CliError;
use super::explain::recorded;
use super::print;
use super::project::{Place, Project};
use super::remote;
use crate::cache::{Starts, Store};
use crate::journal::{Lock, LockKind};
use crate::model::{Notice, format_bytes, parse_duration};
use std::fmt::Write as _;
use std::path::Path;

/// `weir cache status|verify|prune|clear`.
///
/// # Errors
/// There is no cache, or it can't be read or written.
pub fn cache(place: &Place, command: CacheCommand) -> Result<u8, CliError> {
    let folder = recorded(place)?;
    let shared = place.shared_cache();
    let store = Store::at(folder.weir(), shared.as_deref());
    match command {
        CacheCommand::Status { json, remote } => {
            if remote {
                return remote_status(place, json);
            }
            let status = store.status();
            if json {
                return print::json(&status);
            }
            let mut text = String::new();
            let _ = writeln!(text, "results  {:>8}  {}", status.results, format_bytes(status.result_bytes));
            let _ = writeln!(text, "blobs    {:>8}  {}", status.blobs, format_bytes(status.blob_bytes));
            let _ = writeln!(text, "blobs are in `{}`", status.blobs_dir.display());
            print::text(&text)
        }
        CacheCommand::Verify { json } => {
            let verified = store.verify();
            if json {
                return print::json(&verified);
            }
            let mut text = String::new();
            for removed in &verified.removed {
                let _ = writeln!(text, "removed {removed}");
            }
            let count = verified.removed.len();
            let _ = writeln!(
                text,
                "{} blobs and {} results read; {}",
                verified.blobs,
                verified.results,
                if count == 0 { "all hold".to_owned() } else { format!("{count} did not hold and were removed") }
            );
            print::text(&text)
        }
        CacheCommand::Prune { max_age, max_size, json } => {
            let age = parse_duration(&max_age)
                .map_err(|message| CliError::usage(format!("`--max-age`: {message}"), "such as `--max-age 30d`"))?;
            let size = max_size.as_deref().map(parse_size).transpose()?;
            let _alone = alone(&folder.store_lock())?;
            let _shared = shared.as_deref().map(|shared| alone(&Store::lock_of(shared))).transpose()?;
            let (results, blobs, freed) = store
                .prune(Some(age), size)
                .map_err(|error| CliError::outside(format!("failed to prune the cache: {error}")))?;
            if json {
                return print::json(&serde_json::json!({ "results": results, "blobs": blobs, "bytes": freed }));
            }
            print::text(&format!("removed {results} results and {blobs} blobs; {} freed\n", format_bytes(freed)))
        }
        CacheCommand::Clear => {
            let _alone = alone(&folder.store_lock())?;
            Starts::at(folder.starts()).forget().map_err(|error| {
                CliError::outside(format!("failed to forget which run started which task: {error}"))
            })?;
            for part in ["seals", "results", "cas", "state"] {
                let path = folder.weir().join(part);
                match std::fs::remove_dir_all(&path) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(CliError::outside(format!("failed to remove `{}`: {error}", path.display())));
                    }
                    _ => {}
                }
            }
            let kept = shared.map_or_else(String::new, |shared| {
                format!("; the shared cache in `{}` was left alone", shared.display())
            });
            print::text(&format!("removed all results, blobs and state of this workspace{kept}\n"))
        }
    }
}

/// What the remote says of itself.
fn remote_status(place: &Place, json: bool) -> Result<u8, CliError> {
    let project = Project::open(place, &[])?;
    let remote = remote::open(place, &project.config, false)?.ok_or_else(|| {
        CliError::usage("no remote is configured here", "`[remote]` in tasks.toml names one, or `WEIR_REMOTE`")
    })?;
    let lines = remote.store.describe().map_err(|Notice { message, help, .. }| CliError::Outside { message, help })?;
    if json {
        let told = lines.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into()));
        let mut all = serde_json::Map::from_iter([("endpoint".to_owned(), remote.endpoint.as_str().into())]);
        all.extend(told);
        return print::json(&all);
    }
    let mut text = format!("{:<14}{}\n", "endpoint", remote.endpoint);
    for (name, value) in lines {
        let _ = writeln!(text, "{name:<14}{value}");
    }
    print::text(&text)
}

/// Waits until no run works with the store, and keeps others out.
fn alone(path: &Path) -> Result<Option<Lock>, CliError> {
    let tell = |holder: &crate::journal::Holder| {
        let who = if holder.pid == 0 { "a run that is going on".to_owned() } else { holder.to_string() };
        print::warning_line(&format!("waiting for {who}"));
    };
    Lock::take(path, LockKind::Exclusive, &Place::holder(), tell, || false)
        .map_err(|error| CliError::outside(format!("failed to lock the cache: {error}")))
}

fn parse_size(text: &str) -> Result<u64, CliError> {
    let cut = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let unit = match text[cut..].trim().to_ascii_uppercase().as_str() {
        "" | "B" => Some(1.0),
        "K" | "KB" => Some(1e3),
        "M" | "MB" => Some(1e6),
        "G" | "GB" => Some(1e9),
        "T" | "TB" => Some(1e12),
        _ => None,
    };
    match (text[..cut].parse::<f64>(), unit) {
        (Ok(number), Some(unit)) => Ok((number * unit) as u64),
        _ => Err(CliError::usage(format!("`{text}` is no size"), "write a number and a unit: `500MB`, `2GB`")),
    }
}
