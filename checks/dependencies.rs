//! What weir depends on: licences, where it comes from, duplicates, and why it is there.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

const LICENCES: [&str; 12] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];
/// Weak copyleft, file by file: nothing of it is changed here.
const ALSO: [&str; 1] = ["MPL-2.0"];

/// Crates that are there in several versions that do not replace each other, and why.
const DUPLICATES: [(&str, &str); 7] = [
    ("embedded-io", "postcard names both of its optional input traits' versions; nothing of either is compiled in"),
    ("foldhash", "follows hashbrown"),
    ("getrandom", "ring, below rustls, is behind"),
    ("hashbrown", "petgraph is one behind indexmap, which toml and serde_json take; rowan, below squawk, further"),
    ("rustc-hash", "rowan, below squawk, is one behind"),
    ("syn", "the macros of enum-iterator, below squawk, are one behind; only built with"),
    ("unicode-width", "miette is one behind"),
];

/// What cargo knows of the packages that are built on this platform. Needs no network.
fn metadata() -> Value {
    let tool = |name: &str| Command::new(std::env::var_os(name).unwrap_or_else(|| name.to_lowercase().into()));
    let version = tool("RUSTC").arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let output = tool("CARGO")
        .current_dir(crate::root())
        .args(["metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", host])
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_default()
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().unwrap().iter()
}

/// Whether a licence expression can be met with allowed licences only. `/` is an old way to write `OR`.
fn allowed(expression: &str) -> Result<bool, String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let result = either(&mut rest)?;
    if rest.is_empty() { Ok(result) } else { Err(format!("`{}` is left over", rest.join(" "))) }
}

fn either(words: &mut &[&str]) -> Result<bool, String> {
    let mut result = both(words)?;
    while words.first() == Some(&"OR") {
        *words = &words[1..];
        result |= both(words)?;
    }
    Ok(result)
}

fn both(words: &mut &[&str]) -> Result<bool, String> {
    let mut result = one(words)?;
    while words.first() == Some(&"AND") {
        *words = &words[1..];
        result &= one(words)?;
    }
    Ok(result)
}

fn one(words: &mut &[&str]) -> Result<bool, String> {
    let (first, rest) = words.split_first().ok_or("it ends too early")?;
    *words = rest;
    match *first {
        "(" => {
            let result = either(words)?;
            let (close, rest) = words.split_first().ok_or("`)` is missing")?;
            *words = rest;
            if *close == ")" { Ok(result) } else { Err(format!("`{close}` where `)` belongs")) }
        }
        "AND" | "OR" | "WITH" | ")" => Err(format!("`{first}` where a licence belongs")),
        licence => {
            let mut name = licence.to_owned();
            if let ["WITH", exception, rest @ ..] = *words {
                name = format!("{licence} WITH {exception}");
                *words = rest;
            }
            Ok(LICENCES.contains(&name.as_str()) || ALSO.contains(&name.as_str()))
        }
    }
}

/// Versions that replace each other share this: the first number that is not 0.
fn series(version: &str) -> String {
    let numbers: Vec<&str> = version.split(['.', '-', '+']).collect();
    let significant = numbers.iter().position(|number| *number != "0").unwrap_or(0).min(2);
    numbers[..=significant].join(".")
}

fn judge(metadata: &Value, reasons: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let root = packages(metadata).find(|package| text(package, "name") == "weir").unwrap();
    let mut all: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for package in packages(metadata) {
        let name = text(package, "name");
        match allowed(text(package, "license")) {
            Ok(true) => {}
            Ok(false) => findings.push(format!("`{name}`: licence `{}` is not allowed", text(package, "license"))),
            Err(why) => findings.push(format!("`{name}`: licence `{}`: {why}", text(package, "license"))),
        }
        if package["id"] != root["id"] && !text(package, "source").starts_with("registry+") {
            findings.push(format!("`{name}` does not come from the registry"));
        }
        all.entry(name).or_default().insert(series(text(package, "version")));
    }
    for (name, versions) in &all {
        let known = DUPLICATES.iter().any(|(known, _)| known == name);
        match versions.len() {
            1 if known => findings.push(format!("`{name}` is no duplicate any more: take it off the list")),
            2.. if !known => findings.push(format!("`{name}` is there as {versions:?}")),
            _ => {}
        }
    }
    let direct: BTreeSet<&str> =
        root["dependencies"].as_array().unwrap().iter().map(|dependency| text(dependency, "name")).collect();
    let mut explained = BTreeSet::new();
    for line in reasons.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let name = cells[0].trim_matches(['`', ' ', '|']);
        if cells.len() != 3 || cells[1..].iter().any(|cell| cell.len() < 10) {
            findings.push(format!("docs/dependencies.md: `{name}` needs why it, and what was rejected"));
        }
        if !direct.contains(name) {
            findings.push(format!("docs/dependencies.md: `{name}` is no dependency any more"));
        }
        if !explained.insert(name) {
            findings.push(format!("docs/dependencies.md: `{name}` stands there twice"));
        }
    }
    findings.extend(direct.difference(&explained).map(|name| format!("docs/dependencies.md: not a word on `{name}`")));
    findings
}

#[test]
fn dependencies_are_chosen() {
    let reasons = std::fs::read_to_string(crate::root().join("docs/dependencies.md")).unwrap();
    crate::assert_none(&judge(&metadata(), &reasons), "see checks/dependencies.rs for what is allowed, and why");
}

#[test]
fn licence_expressions() {
    for (expression, expected) in [
        ("MIT", true),
        ("MIT OR GPL-3.0", true),
        ("GPL-3.0 OR MIT", true),
        ("MIT AND GPL-3.0", false),
        ("GPL-3.0", false),
        ("", false),
        ("MIT/Apache-2.0", true),
        ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
        ("(MIT OR Apache-2.0) AND GPL-3.0", false),
        ("MIT OR Apache-2.0 AND GPL-3.0", true),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("GPL-2.0 WITH Classpath-exception-2.0", false),
    ] {
        assert_eq!(allowed(expression).unwrap_or(false), expected, "{expression}");
    }
    for broken in ["MIT OR", "(MIT", "MIT Apache-2.0", "AND MIT", "MIT)"] {
        assert!(allowed(broken).is_err(), "{broken}");
    }
    assert_eq!([series("1.2.3"), series("0.4.1"), series("0.0.3"), series("2.0.0-rc.1")], ["1", "0.4", "0.0.3", "2"]);
}

#[test]
fn planted_violations_are_found() {
    let package = |name: &str, version: &str, license: &str, source: &str| {
        serde_json::json!({ "name": name, "version": version, "license": license, "id": format!("{name} {version}"),
            "source": source, "dependencies": [] })
    };
    let mut root = package("weir", "0.1.0", "MIT", "");
    root["dependencies"] = serde_json::json!([{ "name": "a" }, { "name": "b" }]);
    let metadata = serde_json::json!({ "packages": [
        root,
        package("a", "1.0.0", "GPL-3.0", "registry+x"),
        package("a", "2.0.0", "MIT", "git+x"),
        package("b", "1.0.0", "MIT", "registry+x"),
        package("b", "1.2.0", "MIT", "registry+x"),
        package("hashbrown", "1.0.0", "MIT", "registry+x"),
    ] });
    let reasons = "| `a` | for reasons that are good | that other one |\n| `c` | for reasons | that other one |\n";
    let findings = judge(&metadata, reasons).join("\n");
    for expected in [
        "`a`: licence `GPL-3.0` is not allowed",
        "`a` does not come from the registry",
        "`a` is there as",
        "`hashbrown` is no duplicate any more",
        "`c` is no dependency any more",
        "not a word on `b`",
    ] {
        assert!(findings.contains(expected), "{expected}: {findings}");
    }
    assert!(!findings.contains("`b` is there as"), "1.0 and 1.2 replace each other");
}
