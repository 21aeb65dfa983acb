//! How long 1,000 small migrations take, beside dbmate, sqlx and psql.
//!
//! `cargo bench --bench migrate` prints a Markdown table. `WEIR_BENCH_POSTGRES` names a server on which databases may
//! be created, as `postgres://USER@HOST:PORT`; psql must be on PATH. dbmate and sqlx are taken from `WEIR_BENCH_DBMATE`
//! and `WEIR_BENCH_SQLX`, or from PATH; without them their rows are missing. psql runs the same files in one session
//! without a ledger: about the least that the server's part can take. Everybody gets the same files and an empty
//! database each time, and they take turns, so that a slow moment of the machine hits all of them.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const FILES: usize = 1_000;
const ROUNDS: usize = 5;
const DATABASE: &str = "weir_bench_migrate";
const TASKS: &str = "version = 1\n[db.app]\nprovider = \"url\"\n[tasks.migrate]\nuses = \"db.migrate\"\n";

/// Somebody who migrates, and how long it took each time.
struct Row {
    name: &'static str,
    command: Vec<String>,
    took: Vec<Duration>,
}

fn main() -> ExitCode {
    let Some(server) = std::env::var("WEIR_BENCH_POSTGRES").ok().filter(|url| !url.is_empty()) else {
        eprintln!("set WEIR_BENCH_POSTGRES to a server on which databases may be created: postgres://USER@HOST:PORT");
        return ExitCode::FAILURE;
    };
    let server = server.trim_end_matches('/');
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
    let mut rows = rows(&url, &migrations, &files);
    for _ in 0..ROUNDS {
        for row in &mut rows {
            psql(server, &[&format!("drop database if exists {DATABASE}"), &format!("create database {DATABASE}")]);
            // A workspace that remembers nothing.
            let _ = fs::remove_dir_all(folder.path().join(".weir"));
            let started = Instant::now();
            let status = Command::new(&row.command[0])
                .args(&row.command[1..])
                .current_dir(folder.path())
                .env("DATABASE_URL", &url)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .status()
                .unwrap();
            row.took.push(started.elapsed());
            assert!(status.success(), "{}: {status}", row.name);
        }
    }
    psql(server, &[&format!("drop database if exists {DATABASE}")]);
    println!("| {FILES} migrations | median | fastest to slowest | of weir's |");
    println!("|---|---:|---:|---:|");
    let weir = median(&rows[0]);
    for row in &rows {
        let ms = |took: Duration| format!("{:.0} ms", took.as_secs_f64() * 1_000.0);
        let (first, last) = (row.took.iter().min().unwrap(), row.took.iter().max().unwrap());
        let ratio = median(row).as_secs_f64() / weir.as_secs_f64();
        println!("| {} | {} | {} to {} | {ratio:.2} |", row.name, ms(median(row)), ms(*first), ms(*last));
    }
    ExitCode::SUCCESS
}

fn rows(url: &str, migrations: &Path, files: &[PathBuf]) -> Vec<Row> {
    let folder = migrations.display().to_string();
    let row = |name, command: &[&str]| Row {
        name,
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        took: vec![],
    };
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
    let mut psql = row("psql, no ledger", &["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", url]);
    psql.command.extend(files.iter().flat_map(|file| ["-f".to_owned(), file.display().to_string()]));
    all.push(psql);
    all
}

fn median(row: &Row) -> Duration {
    let mut sorted = row.took.clone();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

fn psql(server: &str, statements: &[&str]) {
    let mut command = Command::new("psql");
    command.args(["-Xq", "-d", &format!("{server}/postgres")]).stderr(Stdio::null());
    for statement in statements {
        command.args(["-c", statement]);
    }
    assert!(command.status().unwrap().success(), "psql failed on `{server}`");
}
