//! The rule, case by case.

mod graphs;
mod paperwork;
mod statements;

use super::*;
use crate::config::{Expect, Pattern};
use crate::model::WsPath;
use std::collections::BTreeMap;

pub(super) const MANIFEST: &str = "docs/invariants/INVARIANTS_MANIFEST.yml";
pub(super) const TODAY: &str = "2026-06-15";

/// A manifest with one invariant that covers all of `covers`.
pub(super) fn manifest(title: &str, covers: &str) -> String {
    format!(
        "invariants:\n  - id: INV-001\n    title: {title}\n    status: implemented\n    covers: [{covers}]\n    \
         enforced_by: [everything]\n    verified_by: [test]\n"
    )
}

pub(super) fn exception(expires: &str) -> String {
    format!(
        "---\nid: INV-001\nexpires: {expires}\nfollow_up_ticket: OPS-12\nreason: the other side is not ready\n\
         mitigation: watched by hand\n---\nMore words.\n"
    )
}

fn task(acts: &str, reached: bool) -> TaskFact {
    TaskFact { acts: Some(acts.into()), reached, at: ("tasks.toml".into(), 3), ..TaskFact::default() }
}

fn profiled(profile: &str) -> Profiled {
    let mut gate = task("db.gate", true);
    gate.gate = Some("gate-1".into());
    let mut test = task("run", true);
    test.check = true;
    test.expect = Some(Expect { min_tests: 10, max_skipped: Some(1), max_failed: 0 });
    let mut reset = task("run", false);
    reset.reset = true;
    let mut lint = task("run", false);
    lint.check = true;
    Profiled {
        profile: profile.into(),
        entries: vec!["check".into()],
        tasks: BTreeMap::from([
            ("check".into(), TaskFact { reached: true, ..TaskFact::default() }),
            ("test".into(), test),
            ("gate".into(), gate),
            ("reset".into(), reset),
            ("lint".into(), lint),
            ("forbid".into(), task("check.forbid", true)),
            ("tool".into(), task("run", false)),
        ]),
        gate_rules: ["app: append_only ledger".to_owned()].into(),
    }
}

/// A workspace in good order, changed in nothing.
pub(super) fn calm() -> Case {
    let text = manifest("it holds", "\"table:unrelated\"");
    let mut side = Side {
        graph: GraphFacts::Loaded(vec![profiled("ci"), profiled("")]),
        quick: Some(quick(&Manifest::parse(&text).unwrap())),
        manifest: Some(text),
        ..Side::default()
    };
    side.settings.paths = vec![Pattern::parse(&WsPath::root(), "infra/roles/**").unwrap()];
    side.ci = BTreeMap::from([
        (
            ".github/workflows/ci.yml".into(),
            "on:\n  push:\n  pull_request:\njobs:\n  a:\n    steps:\n      - run: bash .ci/run\n".into(),
        ),
        (".ci/run".into(), "set -e\ncargo run -- run check\n".into()),
    ]);
    Case { files: vec![], before: side.clone(), after: side, today: Day::parse(TODAY).unwrap() }
}

/// The change of one file.
pub(super) fn file(path: &str, before: Option<&str>, after: Option<&str>) -> FileChange {
    let content = |text: Option<&str>| text.map_or(Content::Absent, Content::text);
    FileChange { path: path.into(), before: content(before), after: content(after), on_base: content(before) }
}

/// `kind object` of all that was found, sorted.
pub(super) fn found(case: &Case) -> Vec<String> {
    let mut all: Vec<String> =
        judge(case).findings.iter().map(|finding| format!("{} {}", finding.kind.name(), finding.object)).collect();
    all.sort();
    all
}

/// The same change with an update of the manifest that covers everything.
pub(super) fn with_update(case: &Case) -> Case {
    let mut case = case.clone();
    let text = manifest("it holds", "\"**\"");
    case.after.quick = Some(quick(&Manifest::parse(&text).unwrap()));
    case.files.push(file(MANIFEST, case.before.manifest.as_deref(), Some(&text)));
    case.after.manifest = Some(text);
    case
}

/// The same change with an exception.
pub(super) fn with_exception(case: &Case, expires: &str) -> Case {
    let mut case = case.clone();
    let path = format!("docs/invariants/exceptions/exception_INV-001_{TODAY}.md");
    let text = exception(expires);
    case.files.push(file(&path, None, Some(&text)));
    case.after.exceptions.push((path, text));
    case
}

/// A case of the table: what is found in it, and that each mutation turns the verdict.
pub(super) fn hold(name: &str, case: &Case, expected: &[&str]) {
    let mut expected: Vec<String> = expected.iter().map(|&one| one.to_owned()).collect();
    expected.sort();
    assert_eq!(found(case), expected, "{name}");
    let verdict = judge(case);
    assert_eq!(verdict.passes, expected.is_empty(), "{name}: {}", verdict.text());
    let passes = |case: &Case| judge(case).passes;
    if expected.is_empty() {
        let mut worse = case.clone();
        worse.files.push(file("db/mutation.sql", Some("select 1;"), Some("alter table zz alter c set not null;")));
        assert_eq!(found(&worse), ["constraint zz.c"], "{name}, mutated");
        assert!(!passes(&worse), "{name}, mutated");
    } else if !case.files.iter().any(|file| file.path.starts_with("schema/migrations/") && file.before.exists()) {
        assert!(passes(&with_update(case)), "{name}, with an update: {}", judge(&with_update(case)).text());
        assert!(passes(&with_exception(case, "2026-06-15")), "{name}, with an exception");
        assert!(!passes(&with_exception(case, "2026-06-14")), "{name}, with an expired exception");
    }
}
