//! House rules that can be read off the sources.

use crate::source::Source;

/// Lines of code in one file, tests apart.
const LONGEST: usize = 700;
/// Of the binary's file.
const MAIN: usize = 15;
const NO_NAMES: [&str; 6] = ["utils", "util", "common", "helpers", "helper", "misc"];

fn judge(files: &[(String, String)]) -> Vec<String> {
    let mut findings = Vec::new();
    for (file, text) in files {
        let source = Source::new(file, text);
        let names = source.module.iter().map(|name| (1, name));
        for (line, name) in names.chain(source.inline.iter().map(|(line, name)| (*line, name))) {
            if NO_NAMES.contains(&name.as_str()) {
                findings.push(format!("{file}:{line}: a module named `{name}` says nothing"));
            }
        }
        if source.lines > LONGEST {
            findings.push(format!("{file}: {} lines of code; at most {LONGEST}", source.lines));
        }
        if file == "src/main.rs" && text.lines().count() > MAIN {
            findings.push(format!("{file}: {} lines; at most {MAIN}", text.lines().count()));
        }
        let may_print = matches!(source.module.first().map(String::as_str), Some("ui" | "cli"));
        for (line, name) in &source.macros {
            if name == "dbg" || !may_print && matches!(name.as_str(), "print" | "println" | "eprint" | "eprintln") {
                findings.push(format!("{file}:{line}: `{name}!`; only `ui` and `cli` print"));
            }
        }
        for line in &source.mutable_statics {
            findings.push(format!("{file}:{line}: `static mut`"));
        }
        for named in source.paths.iter().filter(|named| !named.in_test) {
            let ends =
                |tail: &[&str]| named.path.len() >= tail.len() && named.path[named.path.len() - tail.len()..] == *tail;
            if file != "src/main.rs" && ends(&["process", "exit"]) {
                findings.push(format!("{file}:{}: only `main.rs` exits the process", named.line));
            }
        }
        if !text.starts_with("//!") && source.lines > 0 {
            findings.push(format!("{file}: the first line does not say what it is (`//!`)"));
        }
    }
    findings
}

#[test]
fn the_house_rules_hold() {
    crate::assert_none(&judge(&crate::files("src", "rs")), "see docs/design/STYLE.md and ARCHITECTURE.md");
}

#[test]
fn planted_violations_are_found() {
    let long = format!("//! x\n{}", "fn f() {}\n".repeat(LONGEST));
    let cases = [
        ("src/graph/utils.rs", "//! x\n", "says nothing"),
        ("src/graph/a.rs", "//! x\nmod helpers { }\n", "says nothing"),
        ("src/graph/a.rs", &long, "lines of code"),
        ("src/main.rs", &"//! x\n".repeat(16), "at most 15"),
        ("src/graph/a.rs", "//! x\nfn f() { println!(); }", "only `ui` and `cli` print"),
        ("src/cli/a.rs", "//! x\nfn f() { dbg!(1); }", "`dbg!`"),
        ("src/process/a.rs", "//! x\nstatic mut A: u8 = 0;", "static mut"),
        ("src/cli/a.rs", "//! x\nfn f() { std::process::exit(1) }", "only `main.rs` exits"),
        ("src/cli/a.rs", "//! x\nuse std::process::{self, exit};", "only `main.rs` exits"),
        ("src/cli/a.rs", "use std::fmt;", "does not say what it is"),
    ];
    for (file, text, expected) in cases {
        let findings = judge(&[(file.to_owned(), text.to_owned())]);
        assert!(findings.iter().any(|finding| finding.contains(expected)), "{file}: {findings:?}");
    }
}

#[test]
fn tests_are_apart() {
    let tested =
        format!("//! x\nfn f() {{}}\n#[cfg(test)]\nmod tests {{\n{}}}\n", "fn f() { println!(); }\n".repeat(900));
    assert_eq!(judge(&[("src/graph/a.rs".into(), tested)]), Vec::<String>::new());
}
