//! `db.lint`: what is unsafe in the migrations; needs no database.

use super::error::DbError;
use super::frame::{Act, Nature, Site};
use super::migrations::{self, Migration};
use crate::config::{Database, Located, Pattern};
use crate::model::{FailReason, KeySink, KeyValue, PartKind, WsPath, counted};
use crate::node::{Effects, Output, Outside, Pending};
use crate::sql::{Finding, Places, lint};

/// The migrations, linted.
pub struct Lint {
    /// Which; all of them, where none are named.
    files: Vec<Pattern>,
    sources: Vec<Pattern>,
}

impl Lint {
    /// Of a database; `files` is what the task selects.
    pub fn new(database: &Database, files: &[Located<Pattern>]) -> Self {
        let files: Vec<Pattern> = files.iter().map(|file| file.value.clone()).collect();
        let folder = Pattern::parse(&WsPath::root(), database.migrations.value.as_str());
        let sources = if files.is_empty() { folder.into_iter().collect() } else { files.clone() };
        Self { files, sources }
    }

    fn selects(&self, path: &WsPath) -> bool {
        let (taken, given): (Vec<&Pattern>, Vec<&Pattern>) = self.files.iter().partition(|pattern| pattern.negated);
        let covered = |patterns: &[&Pattern]| patterns.iter().any(|pattern| pattern.covers(path));
        (given.is_empty() || covered(&given)) && !covered(&taken)
    }
}

impl Act for Lint {
    fn nature(&self, _: &Database) -> Nature {
        Nature {
            always: None,
            sources: self.sources.clone(),
            effects: Effects::Declared(vec![]),
            alone: false,
            ..Nature::default()
        }
    }

    fn define(&self, database: &Database, _: &Outside, sink: &mut dyn KeySink) -> Result<(), FailReason> {
        let mut define = |name: &str, value: &str| sink.part(PartKind::Definition, name, KeyValue::Text(value));
        // Another version of weir may bring other rules.
        define("weir", env!("CARGO_PKG_VERSION"));
        define("migrations", database.migrations.value.as_str());
        define("no_tx_marker", &database.no_tx_marker);
        define("min_version", &database.min_version.to_string());
        for pattern in &self.files {
            define("files", &pattern.full());
        }
        Ok(())
    }

    fn run<'a>(&'a self, site: Site<'a>, output: &'a mut dyn Output) -> Pending<'a, Result<(), DbError>> {
        Box::pin(async move {
            let all = migrations::load(&site.databases.root, site.database)?;
            let chosen: Vec<&Migration> = all.iter().filter(|migration| self.selects(&migration.path)).collect();
            if chosen.is_empty() {
                return Err(DbError::failed("`files` selects no migration")
                    .help(format!("they are in `{}`", site.database.migrations.value)));
            }
            let mut count = 0;
            for migration in &chosen {
                let found = lint(&migration.text, !migration.no_tx, site.database.min_version);
                count += found.len();
                for finding in &found {
                    output.bytes(shown(migration, finding).as_bytes());
                }
            }
            let files = counted(chosen.len(), "migration");
            if count == 0 {
                output.bytes(format!("{files}: nothing found\n").as_bytes());
                return Ok(());
            }
            let findings = counted(count, "finding");
            Err(DbError::failed(format!("{findings} in {files}"))
                .help("change the migration, or say why it is safe: `-- squawk-ignore RULE` above the statement"))
        })
    }
}

/// A finding for people: place, rule, why, the line, and what to write instead.
fn shown(migration: &Migration, finding: &Finding) -> String {
    let places = Places::new(&migration.text);
    let at = places.of(finding.range.start);
    let line = places.line(at.line).trim();
    let help = finding.help.as_ref().map_or_else(String::new, |help| format!("   help: {help}\n"));
    format!("{}:{}:{}: {}: {}\n   | {line}\n{help}", migration.path, at.line, at.column, finding.rule, finding.message)
}
