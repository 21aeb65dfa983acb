//! A clone for each of 20 tasks, beside `CREATE DATABASE … TEMPLATE` and `DROP DATABASE` of the same database in one session.

use super::measure::{Row, table, turns};
use super::migrations::psql;
use super::server::Server;
use std::fmt::Write as _;

const WEIR: &str = env!("CARGO_BIN_EXE_weir");
const CLONES: usize = 20;
const ROUNDS: usize = 7;

pub fn bench(server: &Server) {
    let folder = tempfile::tempdir().unwrap();
    let migrations = folder.path().join("schema/migrations");
    std::fs::create_dir_all(&migrations).unwrap();
    let table_of = |n| format!("create table table_{n} (id bigint primary key, name text not null);\n");
    std::fs::write(migrations.join("0001_tables.sql"), (0..50).map(table_of).collect::<String>()).unwrap();
    let mut tasks = String::from("version = 1\n[db.weir_bench_clones]\nprovider = \"url\"\n");
    let database = "database = { name = \"weir_bench_clones\", clone = true }";
    for n in 0..CLONES {
        let _ = writeln!(
            tasks,
            "[tasks.\"with:{n}\"]\nrun = \"true\"\n{database}\n[tasks.\"without:{n}\"]\nrun = \"true\""
        );
    }
    let members = |of: &str| (0..CLONES).map(|n| format!("\"{of}:{n}\"")).collect::<Vec<_>>().join(", ");
    for of in ["with", "without"] {
        let _ = writeln!(tasks, "[tasks.\"{of}\"]\ndepends = [{}]", members(of));
    }
    std::fs::write(folder.path().join("tasks.toml"), tasks).unwrap();
    psql(&server.url, &["drop database if exists weir_bench_clones", "create database weir_bench_clones"]);
    let url = format!("{}/weir_bench_clones", server.url);
    let weir =
        |name: &str, task: &str| Row::new(name, folder.path(), &[WEIR, "run", "-j1", task]).env("DATABASE_URL", &url);
    // Once for the template, which the statements by hand copy too.
    let warm = [weir("", "with")];
    let _ = turns(&warm, 1, &|| {});
    let find = std::process::Command::new("psql")
        .args(["-XAt", "-d", &format!("{}/postgres", server.url)])
        .args(["-c", "select datname from pg_database where datname like 'weir\\_template\\_%' limit 1"])
        .output()
        .unwrap();
    let template = String::from_utf8(find.stdout).unwrap().trim().to_owned();
    let statements: Vec<String> = (0..CLONES)
        .flat_map(|n| {
            [
                format!("create database weir_bench_clone_{n} template {template}"),
                format!("drop database weir_bench_clone_{n}"),
            ]
        })
        .flat_map(|statement| ["-c".to_owned(), statement])
        .collect();
    let maintenance = format!("{}/postgres", server.url);
    let words: Vec<&str> =
        ["psql", "-Xq", "-d", &maintenance].into_iter().chain(statements.iter().map(String::as_str)).collect();
    let rows = [
        weir("weir, a clone each, one after the other", "with"),
        weir("weir, the same tasks without a database", "without"),
        Row::new("`CREATE DATABASE … TEMPLATE` and `DROP`, one session", folder.path(), &words),
    ];
    let took = turns(&rows, ROUNDS, &|| {});
    table(&format!("{CLONES} clones"), &rows, &took);
    psql(&server.url, &["drop database weir_bench_clones"]);
}
