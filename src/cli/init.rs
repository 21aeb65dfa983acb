//! `weir init`: a first tasks.toml for what is found.

use super::args::InitArgs;
use super::error::CliError;
use super::print;
use super::project::Place;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

const HEAD: &str = "# Tasks of this project; `weir` lists them, `weir run check` runs them all.
# A task with `sources` is skipped while they, its command and its environment are unchanged.
version = 1
";

/// `weir init`.
///
/// # Errors
/// There is a tasks.toml already, or it can't be written.
pub fn init(place: &Place, args: &InitArgs) -> Result<u8, CliError> {
    let text = compose(&place.folder);
    if args.print {
        return print::text(&text);
    }
    let path = place.folder.join("tasks.toml");
    let written = std::fs::File::options()
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
    match written {
        Ok(()) => print::text("wrote tasks.toml; `weir` lists its tasks, `weir run check` runs them all\n"),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(CliError::usage(
            "there is a tasks.toml here already, and it was left as it is",
            "`weir init --print` shows what would be written",
        )),
        Err(error) => Err(CliError::outside(format!("failed to write `{}`: {error}", path.display()))),
    }
}

fn compose(folder: &Path) -> String {
    let mut text = HEAD.to_owned();
    let mut checks: Vec<String> = Vec::new();
    let mut taken = BTreeSet::from(["check".to_owned()]);
    if folder.join("Cargo.toml").is_file() {
        cargo(folder, &mut text, &mut checks);
        taken.extend(checks.iter().cloned());
    }
    if let Ok(package) = std::fs::read_to_string(folder.join("package.json")) {
        npm(folder, &package, &mut text, &mut checks, &mut taken);
    }
    if let Some(makefile) =
        ["Makefile", "makefile", "GNUmakefile"].iter().find_map(|name| std::fs::read_to_string(folder.join(name)).ok())
    {
        make(&makefile, &mut text, &mut checks, &mut taken);
    }
    if checks.is_empty() {
        text.push_str(
            "
[tasks.hello]
description = \"Replace me\"
run = \"echo hello\"
sources = []                      # nothing but the command itself: it runs once
outputs = []                      # it leaves nothing behind but its verdict
",
        );
        checks.push("hello".into());
    }
    let list: Vec<String> = checks.iter().map(|name| quoted(name)).collect();
    let _ =
        write!(text, "\n[tasks.check]\ndescription = \"Everything; what CI calls\"\ndepends = [{}]\n", list.join(", "));
    text
}

fn cargo(folder: &Path, text: &mut String, checks: &mut Vec<String>) {
    let found: Vec<String> = ["Cargo.toml", "Cargo.lock", "src", "tests", "benches", "build.rs", "crates"]
        .iter()
        .filter(|name| folder.join(name).exists())
        .map(|name| quoted(name))
        .collect();
    let sources = found.join(", ");
    for (name, about, command) in [
        ("fmt", "Formatting, checked", "cargo fmt --check"),
        ("lint", "Lints, warnings denied", "cargo clippy --all-targets -- -D warnings"),
        ("test", "Tests", "cargo test"),
    ] {
        let _ = write!(
            text,
            "
[tasks.{name}]
description = \"{about}\"
run = \"{command}\"
sources = [{sources}]
outputs = []                      # it leaves nothing behind but its verdict
requires = [\"cargo\", \"rustc\"]     # another version of these runs it again
"
        );
        checks.push(name.into());
    }
}

fn npm(folder: &Path, package: &str, text: &mut String, checks: &mut Vec<String>, taken: &mut BTreeSet<String>) {
    let Ok(package) = serde_json::from_str::<serde_json::Value>(package) else { return };
    let Some(scripts) = package.get("scripts").and_then(serde_json::Value::as_object) else { return };
    let found: Vec<String> =
        ["package.json", "package-lock.json", "pnpm-lock.yaml", "yarn.lock", "tsconfig.json", "src", "test", "tests"]
            .iter()
            .filter(|name| folder.join(name).exists())
            .map(|name| quoted(name))
            .collect();
    for name in scripts.keys() {
        let task = free_name(name, "npm", taken);
        let once = ["build", "lint", "test", "typecheck", "check"].iter().any(|known| name.starts_with(known));
        let sources = if once {
            format!(
                "sources = [{}]\n# outputs = [\"dist\"]             # what it leaves behind, so that it can be restored\n",
                found.join(", ")
            )
        } else {
            "cache = false                     # it always runs\n".to_owned()
        };
        let _ = write!(text, "\n[tasks.{}]\nrun = {}\n{sources}", quoted(&task), quoted(&format!("npm run {name}")));
        if once {
            checks.push(task);
        }
    }
}

fn make(makefile: &str, text: &mut String, checks: &mut Vec<String>, taken: &mut BTreeSet<String>) {
    let mut seen = BTreeSet::new();
    for line in makefile.lines() {
        let Some((target, rest)) = line.split_once(':') else { continue };
        let plain = !target.is_empty() && target.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
        // A target may be named on several lines.
        if !plain || rest.starts_with('=') || !seen.insert(target) {
            continue;
        }
        let task = free_name(target, "make", taken);
        let _ = write!(
            text,
            "\n[tasks.{}]\nrun = {}\ncache = false                     # name `sources` and `outputs` instead, to skip it while it is fresh\n",
            quoted(&task),
            quoted(&format!("make {target}"))
        );
        if matches!(target, "all" | "test" | "check" | "lint") {
            checks.push(task);
        }
    }
}

/// The name, or one with its tool in front if it is taken or stands for everything, and a number
/// if that is taken too.
fn free_name(name: &str, tool: &str, taken: &mut BTreeSet<String>) -> String {
    let clean: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_:.".contains(c) { c } else { '-' }).collect();
    let clean = match clean.trim_matches('-') {
        "" => "script",
        clean => clean,
    };
    let named = format!("{tool}:{clean}");
    let mut found = clean.to_owned();
    let mut number = 1;
    while !taken.insert(found.clone()) {
        found = if number == 1 { named.clone() } else { format!("{named}-{number}") };
        number += 1;
    }
    found
}

fn quoted(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}
