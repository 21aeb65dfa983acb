//! The ranks and fences of `docs/design/ARCHITECTURE.md`, held against the imports of `src`.

use crate::source::Source;

/// A module imports only modules of a strictly lower rank.
const RANKS: [(&str, u8); 22] = [
    ("model", 0),
    ("event", 1),
    ("config", 1),
    ("process", 1),
    ("journal", 1),
    ("git", 1),
    ("sql", 1),
    ("draw", 1),
    ("node", 2),
    ("rule", 2),
    ("fingerprint", 2),
    ("evidence", 2),
    ("import", 2),
    ("graph", 3),
    ("cache", 3),
    ("command", 3),
    ("db", 3),
    ("check", 4),
    ("engine", 4),
    ("ui", 4),
    ("cli", 5),
    // The binary knows the command line only.
    ("main", 6),
];

/// Modules that must not know some of a lower rank either, tests apart.
const STRANGERS: [(&str, &[&str]); 7] = [
    // The engine has no branch for any node.
    ("engine", &["command", "db"]),
    ("ui", &["config", "process", "journal", "git", "sql", "node", "graph", "cache", "command", "db", "fingerprint"]),
    // Which nodes there are.
    ("node", &["git", "sql"]),
    // Names, kinds and texts are handed to it.
    ("draw", &["model"]),
    // Pure: plain facts.
    ("rule", &["git", "process", "journal"]),
    // Nodes come from a factory it is handed.
    ("graph", &["process", "journal"]),
    ("main", &["engine", "ui", "graph", "config"]),
];

/// Third-party crates, and the only modules that may name them.
const FENCES: [(&str, &[&str]); 14] = [
    ("petgraph", &["graph"]),
    ("dagre", &["draw"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("miette", &["cli"]),
    ("bazel_remote_apis", &["cache::remote"]),
    ("tonic", &["cache::remote"]),
    ("prost", &["cache::remote"]),
    // `node` names its watch channel, which tells a node that the run is being cut short.
    ("tokio", &["engine", "process", "command", "node", "db", "cache::remote"]),
    ("tokio_postgres", &["db"]),
    ("postgres_protocol", &["db"]),
    ("squawk_lexer", &["sql"]),
    ("squawk_linter", &["sql"]),
    ("squawk_syntax", &["sql"]),
];

/// What these must keep away from: the disk, the clock, the environment, processes.
const WITHOUT: [(&str, &[&str]); 7] = [
    ("model", &["std::fs", "std::io", "std::env", "std::net", "std::process", "std::thread", CLOCK, TIMER]),
    ("event", &["std::fs", "std::io", "std::env", "std::net", "std::process", "std::thread", CLOCK, TIMER]),
    ("config", &["std::env", "std::process", "std::net", "std::thread", CLOCK, TIMER]),
    ("draw", &["std::fs", "std::io", "std::env", "std::net", "std::process", "std::thread", CLOCK, TIMER]),
    ("rule", &["std::fs", "std::io", "std::env", "std::net", "std::process", "std::thread", CLOCK, TIMER]),
    ("graph", &["std::fs", "std::env", "std::net", "std::process", "std::thread", CLOCK, TIMER]),
    (
        "engine::scheduler",
        &["std::fs", "std::io", "std::env", "std::net", "std::process", "std::thread", "tokio", CLOCK, TIMER],
    ),
];
const CLOCK: &str = "std::time::SystemTime";
const TIMER: &str = "std::time::Instant";

fn rank(module: &str) -> Option<u8> {
    RANKS.iter().find(|(name, _)| *name == module).map(|(_, rank)| *rank)
}

fn within(module: &[String], fence: &str) -> bool {
    let fence: Vec<&str> = fence.split("::").collect();
    module.len() >= fence.len() && fence.iter().zip(module).all(|(a, b)| a == b)
}

/// What is wrong with these files, a line each.
fn judge(files: &[(String, String)]) -> Vec<String> {
    let mut findings = Vec::new();
    for (file, text) in files {
        let source = Source::new(file, text);
        let mut module = source.module.clone();
        match file.as_str() {
            // It only declares the modules.
            "src/lib.rs" => continue,
            "src/main.rs" => module.push("main".into()),
            _ => {}
        }
        let own = module.first().cloned().unwrap_or_default();
        let Some(own_rank) = rank(&own) else {
            findings.push(format!("{file}: module `{own}` has no rank"));
            continue;
        };
        for named in &source.paths {
            let at = format!("{file}:{}", named.line);
            let shown = named.path.join("::");
            if let [krate, other, ..] = named.path.as_slice()
                && (krate == "crate" || krate == "weir")
                && *other != own
            {
                match rank(other) {
                    None if krate == "crate" && named.path.len() == 2 => {}
                    None => findings.push(format!("{at}: module `{other}` has no rank")),
                    Some(rank) if rank > own_rank => {
                        findings
                            .push(format!("{at}: `{own}` (rank {own_rank}) imports upward: `{shown}` (rank {rank})"));
                    }
                    Some(rank) if rank == own_rank => {
                        findings.push(format!("{at}: `{own}` imports sideways: `{shown}` (rank {rank} too)"));
                    }
                    Some(_) => {}
                }
                if !named.in_test
                    && STRANGERS.iter().any(|(module, others)| *module == own && others.contains(&other.as_str()))
                {
                    findings.push(format!("{at}: `{own}` must not know `{other}`: `{shown}`"));
                }
            }
            if named.in_test {
                continue;
            }
            for (krate, allowed) in FENCES {
                if named.path[0] == krate && !allowed.iter().any(|fence| within(&module, fence)) {
                    findings.push(format!("{at}: `{krate}` is fenced into `{}`: `{shown}`", allowed.join("`, `")));
                }
            }
            for (_, forbidden) in WITHOUT.iter().filter(|(fence, _)| within(&module, fence)) {
                for wall in *forbidden {
                    let meets = wall.split("::").zip(&named.path).all(|(a, b)| a == b);
                    if meets && named.path.len() > 1 {
                        findings.push(format!("{at}: `{}` keeps away from `{wall}`: `{shown}`", module.join("::")));
                    }
                }
            }
        }
    }
    findings
}

#[test]
fn modules_keep_their_ranks() {
    crate::assert_none(&judge(&crate::files("src", "rs")), "see the table of ranks in docs/design/ARCHITECTURE.md");
}

/// The tables here are those of the document.
#[test]
fn the_ranks_are_those_of_the_architecture() {
    let text = std::fs::read_to_string(crate::root().join("docs/design/ARCHITECTURE.md")).unwrap();
    let mut documented: Vec<(String, u8)> = Vec::new();
    for line in text.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let Ok(rank) = cells[1].parse() {
            documented.extend(cells[2].split('`').skip(1).step_by(2).map(|name| (name.to_owned(), rank)));
        }
    }
    let mut here: Vec<(String, u8)> =
        RANKS.iter().filter(|(name, _)| *name != "main").map(|(name, rank)| ((*name).to_owned(), *rank)).collect();
    documented.sort();
    here.sort();
    assert_eq!(here, documented);
}

#[test]
fn planted_violations_are_found() {
    let cases = [
        ("src/model/a.rs", "use crate::event::Event;", "imports upward"),
        ("src/graph/a.rs", "use crate::{\n    config::Task,\n    cache::{self, Store},\n};", "imports sideways"),
        ("src/fingerprint/a.rs", "fn f(node: &dyn crate::node::Node) {}", "imports sideways"),
        ("src/cache/a.rs", "use super::super::engine;\nuse super::super::engine::run;", "imports upward"),
        ("src/cache/mod.rs", "mod inner { fn f() { super::super::cli::main(); } }", "imports upward"),
        ("src/ui/a.rs", "#[cfg(test)]\nmod tests { use crate::cli::args; }", "imports upward"),
        ("src/engine/a.rs", "use crate::command::TaskNode;", "must not know `command`"),
        ("src/engine/a.rs", "fn f() { let x = crate::db::open(); }", "must not know `db`"),
        ("src/main.rs", "fn main() { weir::engine::run() }", "must not know `engine`"),
        ("src/newcomer/mod.rs", "", "has no rank"),
        ("src/graph/a.rs", "use crate::newcomer::Thing;", "has no rank"),
        ("src/cache/a.rs", "use petgraph::graph::DiGraph;", "fenced"),
        ("src/ui/a.rs", "use dagre::layout;", "fenced"),
        ("src/draw/a.rs", "use crate::model::TaskName;", "must not know `model`"),
        ("src/config/a.rs", "#[derive(clap::Parser)]\nstruct A;", "fenced"),
        ("src/ui/a.rs", "use {std::fmt, miette::Report};", "fenced"),
        ("src/fingerprint/a.rs", "type A = ::tokio::sync::watch::Receiver<u8>;", "fenced"),
        ("src/cache/store.rs", "use tokio::fs;", "fenced"),
        ("src/db/a.rs", "use squawk_syntax::SourceFile;", "fenced"),
        ("src/config/a.rs", "use std::{env, fs};", "keeps away from `std::env`"),
        ("src/config/a.rs", "use std::time::{self, Duration};", "keeps away from `std::time::SystemTime`"),
        ("src/config/a.rs", "fn f() { std::process::Command::new(\"x\"); }", "keeps away from `std::process`"),
        ("src/model/a.rs", "use std::fs::File;", "keeps away from `std::fs`"),
        ("src/engine/scheduler.rs", "use std::time::Instant;", "keeps away from `std::time::Instant`"),
        ("src/engine/scheduler.rs", "use tokio::sync::mpsc;", "keeps away from `tokio`"),
    ];
    for (file, text, expected) in cases {
        let findings = judge(&[(file.to_owned(), text.to_owned())]);
        assert!(findings.iter().any(|finding| finding.contains(expected)), "{file}: {text}: {findings:?}");
    }
}

#[test]
fn what_is_allowed_is_not_found() {
    let clean = r##"
        //! Knows nothing of crate::cli::main.
        /* use crate::cli; /* nested */ use crate::ui; */
        use super::names::{Lookup, Names};
        use crate::config::{Diagnostic, Pattern as P};
        use crate::model::*;
        use petgraph::algo::toposort;
        use std::time::Duration;
        const A: &str = "use crate::cli::main; \" crate::ui::x";
        const B: &str = r#"crate::engine::run " "#;
        const C: [char; 3] = ['"', '\'', 'x'];
        fn f<'a>(x: &'a str) -> impl Iterator<Item = &'a str> + use<'a> { x.split("crate::cli::x") }
        #[cfg(test)]
        mod tests { use super::*; use std::fs; fn g() { tokio::runtime::Builder::new_current_thread(); } }
    "##;
    assert_eq!(judge(&[("src/graph/a.rs".into(), clean.into())]), Vec::<String>::new());
}
