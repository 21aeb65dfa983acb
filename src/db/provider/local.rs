//! The programs of Postgres that are installed on this machine.

use crate::db::cluster::{Account, Programs};
use crate::db::error::DbError;
use crate::node::{Context, Outside};
use crate::process::{Command, capture};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long `postgres --version` may take.
const VERSION: Duration = Duration::from_secs(10);

/// Folders that distributions put their versions into: above a version, below it, and what stands before it.
const FOLDERS: [(&str, &str, &str); 5] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql@", "bin"),
];

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The first that will do.
    pub programs: Option<Programs>,
    /// Those before it that won't, for the message.
    pub too_old: Vec<Programs>,
}

/// Looks for programs of at least `min`; of exactly `exact`, where a cluster was made by that version.
///
/// # Errors
/// The run is being ended.
pub async fn find(context: &Context, min: u32, exact: Option<u32>) -> Result<Found, DbError> {
    let mut found = Found::default();
    for bin in candidates(&context.outside) {
        let Some(programs) = look_at(context, &bin).await? else { continue };
        if programs.major >= min && exact.is_none_or(|exact| programs.major == exact) {
            found.programs = Some(programs);
            break;
        }
        found.too_old.push(programs);
    }
    Ok(found)
}

/// Where Postgres's programs may be: PATH, then the distributions' folders, newest first.
pub fn folders(outside: &Outside) -> Vec<PathBuf> {
    let path = outside.vars.get("PATH").cloned().unwrap_or_default();
    let mut all: Vec<PathBuf> = std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect();
    let mut versioned: Vec<(u32, PathBuf)> = Vec::new();
    for (above, before, below) in FOLDERS {
        for entry in fs::read_dir(above).into_iter().flatten().flatten() {
            let version = entry.file_name().to_str().and_then(|name| name.strip_prefix(before)?.parse().ok());
            versioned.extend(version.map(|version| (version, entry.path().join(below))));
        }
    }
    versioned.sort_by(|a, b| b.cmp(a));
    all.extend(versioned.into_iter().map(|(_, folder)| folder));
    all.push("/usr/local/pgsql/bin".into());
    all
}

/// Those of them that hold a server that its account can run.
pub fn candidates(outside: &Outside) -> Vec<PathBuf> {
    let mut all = folders(outside);
    // What the server's account can't enter is none for it.
    let account = Account::needed().ok().flatten();
    all.retain(|folder| {
        ["initdb", "postgres"].iter().all(|program| folder.join(program).is_file())
            && account.as_ref().is_none_or(|account| account.may_enter(folder))
    });
    all
}

/// The programs in a folder, if they say their version.
///
/// # Errors
/// The run is being ended.
pub async fn look_at(context: &Context, bin: &Path) -> Result<Option<Programs>, DbError> {
    let mut command = Command::new(bin.join("postgres"), "/");
    command.args = vec!["--version".into()];
    let done = match capture(&context.guard, command, VERSION, 4096).await {
        Ok(done) => done,
        Err(crate::process::ProcessError::Ended) => return Err(DbError::Interrupted),
        Err(_) => return Ok(None),
    };
    let told = String::from_utf8_lossy(&done.output).trim().to_owned();
    Ok(major(&told).filter(|_| done.exit.success()).map(|major| Programs { bin: bin.to_path_buf(), major, told }))
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` → 15; betas too.
fn major(told: &str) -> Option<u32> {
    let version = told.strip_prefix("postgres (PostgreSQL) ")?;
    let digits = version.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(version.len());
    version[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn the_major_version_is_read() {
        assert_eq!(major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 19beta1"), Some(19));
        assert_eq!(major("mysqld 8"), None);
    }
}
