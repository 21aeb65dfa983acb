//! 1,000 small migrations, beside dbmate, sqlx and psql.
//!
//! dbmate and sqlx are taken from `WEIR_BENCH_DBMATE` and `WEIR_BENCH_SQLX`, or from PATH; without them their rows are
//! missing. psql runs the same files in one session without a ledger: about the least that the server's part can take.
//! Everybody gets the same files and an empty database each time.

use super::measure::{Row, table, turns};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const FILES: usize = 1_000;
const ROUNDS: usize = 5;
const DATABASE: &str = "weir_bench_migrate";
const TASKS: &str = "version = 1\n[db.app]\nprovider = \"url\"\n[tasks.migrate]\nuses = \"db.migrate\"\n";

/// Migrates databases of the server at `postgres://USER:PASSWORD@HOST:PORT`.
pub fn bench(server: &str) {
    let folder = tempfile::tempdir().unwrap();
    let migrations = folder.path().join("schema/migrations");
    fs::create_dir_all(&migrations).unwrap();
    fs::write(folder.path().join("tasks.toml"), TASKS).unwrap();
    let files: Vec<PathBuf> = (1..=FILES)
        .map(|n| {
            let path = migrations.join(format!("{n:04}_table_{n}.sql"));
            let text = format!(
                "-- migrate:up\ncreate table table_{n} (id bigint primary key, name text not null);\n-- migrate:down\n"
            );
            fs::write(&path, text).unwrap();
            path
        })
        .collect();
    let url = format!("{server}/{DATABASE}");
    let rows = rows(&url, folder.path(), &migrations, &files);
    let fresh = || {
        psql(server, &[&format!("drop database if exists {DATABASE}"), &format!("create database {DATABASE}")]);
        // A workspace that remembers nothing.
        let _ = fs::remove_dir_all(folder.path().join(".weir"));
    };
    let measured = turns(&rows, ROUNDS, &fresh);
    psql(server, &[&format!("drop database if exists {DATABASE}")]);
    table(&format!("{FILES} migrations"), &rows, &measured);
}

fn rows(url: &str, workspace: &Path, migrations: &Path, files: &[PathBuf]) -> Vec<Row> {
    let folder = migrations.display().to_string();
    let row = |name: &str, command: &[&str]| Row::new(name, workspace, command).env("DATABASE_URL", url);
    let mut all = vec![row("weir", &[env!("CARGO_BIN_EXE_weir"), "run", "migrate"])];
    let tool = |name: &str, variable: &str| {
        let found = std::env::var(variable).unwrap_or_else(|_| name.to_owned());
        let there = Command::new(&found).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !there.is_ok_and(|status| status.success()) {
            eprintln!("{name} is neither in {variable} nor on PATH: its row is left out");
            return None;
        }
        Some(found)
    };
    if let Some(dbmate) = tool("dbmate", "WEIR_BENCH_DBMATE") {
        let url = format!("{url}?sslmode=disable");
        all.push(row("dbmate", &[&dbmate, "--no-dump-schema", "-d", &folder, "-u", &url, "migrate"]));
    }
    if let Some(sqlx) = tool("sqlx", "WEIR_BENCH_SQLX") {
        all.push(row("sqlx", &[&sqlx, "migrate", "run", "--source", &folder, "--database-url", url]));
    }
    let files: Vec<String> = files.iter().flat_map(|file| ["-f".to_owned(), file.display().to_string()]).collect();
    let plain = ["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", url];
    let words: Vec<&str> = plain.into_iter().chain(files.iter().map(String::as_str)).collect();
    all.push(row("psql, no ledger", &words));
    all
}

/// Runs statements as the server's own role.
pub fn psql(server: &str, statements: &[&str]) {
    let mut command = Command::new("psql");
    command.args(["-Xq", "-d", &format!("{server}/postgres")]).stderr(Stdio::null());
    for statement in statements {
        command.args(["-c", statement]);
    }
    assert!(command.status().unwrap().success(), "psql failed");
}
