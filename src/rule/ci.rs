//! What CI calls. Its files are read as text: a line that runs an entry task, reached from a file that the forge reads.

use super::facts::{Case, GraphFacts, Side};
use super::finding::{Change, Finding, Kind};
use std::collections::BTreeSet;

/// Scripts that CI's files call, when they are named so.
const SCRIPT: &str = ".ci/run";

/// Whether CI is made of this file, by its path alone.
pub fn is_default_ci(path: &str) -> bool {
    path == SCRIPT || is_read_by_forge(path)
}

fn is_read_by_forge(path: &str) -> bool {
    let workflow = path.strip_prefix(".github/workflows/").is_some_and(|name| !name.contains('/'));
    path == ".gitlab-ci.yml" || workflow && (path.ends_with(".yml") || path.ends_with(".yaml"))
}

/// Entry tasks that CI called and does not call any more.
pub(super) fn findings(case: &Case) -> Vec<Finding> {
    let GraphFacts::Loaded(_) = case.before.graph else { return vec![] };
    let entries = case.before.graph.in_ci().map(|graph| graph.entries.clone()).unwrap_or_default();
    let forge = case.before.ci.keys().any(|path| is_read_by_forge(path));
    let mut found = Vec::new();
    for entry in entries {
        let (before, after) = (calls(&case.before, &entry, forge), calls(&case.after, &entry, forge));
        if let Some(file) = before.first().filter(|_| after.is_empty()) {
            let message = format!("CI does not call `{entry}` any more, or lets it fail");
            let line = line_of(case.before.ci.get(file).map_or("", String::as_str), &entry);
            found.push(Finding::new(Kind::Ci, entry, Change::Removed, (file, line), message));
        }
    }
    for (file, text) in &case.before.ci {
        let lost: Vec<String> = triggers(text)
            .difference(&case.after.ci.get(file).map(|text| triggers(text)).unwrap_or_default())
            .cloned()
            .collect();
        if !lost.is_empty() && case.after.ci.contains_key(file) && is_read_by_forge(file) {
            let message = format!("`{file}` is not started by {} any more", lost.join(" and "));
            found.push(Finding::new(Kind::Ci, file, Change::Changed, (file, 1), message));
        }
    }
    found
}

/// The files through which CI calls an entry task, and would fail with it. `forge`: only from what a forge reads.
fn calls(side: &Side, entry: &str, forge: bool) -> Vec<String> {
    let roots = side.ci.iter().filter(|(path, _)| !forge || is_read_by_forge(path));
    let mut found = Vec::new();
    for (path, text) in roots {
        let scripts = side.ci.iter().filter(|(script, _)| {
            *script != path && !is_read_by_forge(script) && commands(text).any(|line| line.contains(script.as_str()))
        });
        let direct = runs(text, entry).then(|| path.clone());
        found.extend(
            direct.into_iter().chain(scripts.filter(|(_, text)| runs(text, entry)).map(|(path, _)| path.clone())),
        );
    }
    found.sort();
    found.dedup();
    found
}

/// Lines that do something, and whose failure counts.
fn commands(text: &str) -> impl Iterator<Item = &str> {
    let lenient = |line: &str| {
        let line = line.split('#').next().unwrap_or_default().trim().trim_start_matches("- ");
        ["continue-on-error: true", "allow_failure: true", "if: false", "if: ${{ false }}", "when: never"]
            .contains(&line)
    };
    let off = text.lines().any(lenient);
    text.lines().filter(move |line| {
        let line = line.trim_start();
        !off && !line.starts_with('#') && !is_masked(line)
    })
}

fn runs(text: &str, entry: &str) -> bool {
    commands(text).any(|line| is_call(line, entry))
}

/// `… run … ENTRY …`, in one command.
fn is_call(line: &str, entry: &str) -> bool {
    let code = line.split(" #").next().unwrap_or_default();
    code.split([';', '&', '|']).any(|command| {
        let words: Vec<&str> = command.split_whitespace().map(|word| word.trim_matches(['"', '\'', '`'])).collect();
        let echoes = words.iter().any(|word| matches!(*word, "echo" | "printf" | ":"));
        let weir = words.iter().any(|word| word.contains("weir") || *word == "cargo" || *word == "--");
        let run = words.iter().rposition(|word| *word == "run");
        weir && !echoes && run.is_some_and(|run| words[run + 1..].contains(&entry)) && !words.contains(&"-n")
    })
}

fn line_of(text: &str, entry: &str) -> usize {
    text.lines().position(|line| is_call(line, entry)).map_or(1, |at| at + 1)
}

/// Whether a command line can't fail.
pub fn is_masked(line: &str) -> bool {
    let line: String = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let ends = ["|| true", "|| :", "||true", "||:", "|| exit 0", "; true", "; exit 0", "|| echo"];
    ends.iter().any(|end| line.contains(end)) || line.contains("set +e")
}

/// What starts a workflow, of the usual: a push, a pull request.
fn triggers(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut inside = false;
    for line in text.lines() {
        let bare = line.split(" #").next().unwrap_or_default().trim_end();
        if !bare.starts_with([' ', '#']) && !bare.is_empty() {
            inside = bare.starts_with("on:") || bare.starts_with("\"on\":") || bare.starts_with("'on':");
        }
        if inside {
            let words = bare.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            found
                .extend(words.filter(|word| ["push", "pull_request", "merge_group"].contains(word)).map(str::to_owned));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_told_from_talk_of_it() {
        for line in [
            "weir run check",
            "  - run: weir run -k check",
            "cargo run --locked -- run check",
            "run: ./weir run lint check",
        ] {
            assert!(is_call(line, "check"), "{line}");
        }
        for line in [
            "weir run quick",
            "echo weir run check",
            "weir tasks deps check",
            "weir run -n check",
            "weir run x # run check",
        ] {
            assert!(!is_call(line, "check"), "{line}");
        }
        assert!(!runs("# weir run check", "check") && !runs("weir run check || true", "check"));
        assert!(!runs("- run: weir run check\n  continue-on-error: true", "check"));
    }

    #[test]
    fn triggers_are_read() {
        let all = |text| triggers(text).into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(all("on:\n  push:\n    branches: [main]\n  pull_request:\njobs:\n  push: x\n"), "pull_request push");
        assert_eq!(all("on: [push]\n"), "push");
    }
}
