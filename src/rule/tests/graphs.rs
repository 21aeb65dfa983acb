//! The graph, CI, checks, paths and migrations.

use super::*;

type Change = fn(&mut Case);

fn each(case: &mut Case, change: impl Fn(&mut Profiled)) {
    if let GraphFacts::Loaded(all) = &mut case.after.graph {
        all.iter_mut().for_each(change);
    }
}

fn on(case: &mut Case, name: &str, change: impl Fn(&mut TaskFact)) {
    each(case, |graph| change(graph.tasks.get_mut(name).unwrap()));
}

fn add(case: &mut Case, path: &str, before: Option<&str>, after: Option<&str>) {
    case.files.push(file(path, before, after));
}

fn pattern(text: &str) -> Pattern {
    Pattern::parse(&WsPath::root(), text).unwrap()
}

const CASES: &[(&str, Change, &[&str])] = &[
    ("a task is gone", |c| each(c, |g| drop(g.tasks.remove("forbid"))), &["task forbid"]),
    ("a task is reached no more", |c| on(c, "forbid", |t| t.reached = false), &["task forbid"]),
    ("a check that nothing reached is gone", |c| each(c, |g| drop(g.tasks.remove("lint"))), &["check lint"]),
    ("a gate only warns", |c| on(c, "gate", |t| t.warns = true), &["gate gate"]),
    (
        "a gate warns where no profile is",
        |c| {
            if let GraphFacts::Loaded(all) = &mut c.after.graph {
                all[1].tasks.get_mut("gate").unwrap().warns = true;
            }
        },
        &["gate gate"],
    ),
    ("a gate is masked", |c| on(c, "forbid", |t| t.masked = true), &["gate forbid"]),
    ("a gate loses its id", |c| on(c, "gate", |t| t.gate = None), &["gate gate"]),
    ("a reset may be skipped", |c| on(c, "reset", |t| t.reset = false), &["reset reset"]),
    ("a check becomes a command", |c| on(c, "forbid", |t| t.acts = Some("run".into())), &["check forbid"]),
    ("a check does nothing", |c| on(c, "forbid", |t| t.acts = None), &["check forbid"]),
    ("fewer tests are expected", |c| on(c, "test", |t| t.expect.as_mut().unwrap().min_tests = 9), &["expect test"]),
    ("more may be skipped", |c| on(c, "test", |t| t.expect.as_mut().unwrap().max_skipped = None), &["expect test"]),
    ("more may fail", |c| on(c, "test", |t| t.expect.as_mut().unwrap().max_failed = 1), &["expect test"]),
    ("no report is expected", |c| on(c, "test", |t| t.expect = None), &["expect test"]),
    ("a rule of the gate is gone", |c| each(c, |g| g.gate_rules.clear()), &["check app: append_only ledger"]),
    ("an entry task is none any more", |c| each(c, |g| g.entries = vec!["check".into(), "other".into()]), &[]),
    ("the entry task is another", |c| each(c, |g| g.entries = vec!["other".into()]), &["task check"]),
    ("the graph does not load", |c| c.after.graph = GraphFacts::Broken("syntax".into()), &["graph tasks.toml"]),
    ("the graph did not load", |c| c.before.graph = GraphFacts::Broken("syntax".into()), &["graph tasks.toml"]),
    ("there is no graph any more", |c| c.after.graph = GraphFacts::Absent, &["graph tasks.toml"]),
    (
        "CI calls it no more",
        |c| drop(c.after.ci.insert(".ci/run".into(), "cargo run -- run quick\n".into())),
        &["ci check"],
    ),
    (
        "CI calls the script no more",
        |c| {
            c.after
                .ci
                .insert(".github/workflows/ci.yml".into(), "on:\n  push:\n  pull_request:\n# bash .ci/run\n".into());
        },
        &["ci check"],
    ),
    (
        "CI lets it fail",
        |c| drop(c.after.ci.insert(".ci/run".into(), "cargo run -- run check || true\n".into())),
        &["ci check"],
    ),
    ("CI is gone", |c| c.after.ci.clear(), &["ci check"]),
    (
        "CI does not start on requests",
        |c| {
            c.after
                .ci
                .insert(".github/workflows/ci.yml".into(), "on: push\njobs: { a: { run: bash .ci/run } }\n".into());
        },
        &["ci .github/workflows/ci.yml"],
    ),
    ("exceptions may last longer", |c| c.after.settings.max_days = 91, &["rule max_days"]),
    ("a path is structural no more", |c| c.after.settings.paths.clear(), &["rule paths"]),
    ("a path is taken out", |c| c.after.settings.paths.push(pattern("!infra/roles/x")), &["rule paths"]),
    ("migrations lie elsewhere", |c| c.after.settings.migrations = vec!["x".into()], &["rule migrations"]),
    ("another base", |c| c.after.settings.base = "dev".into(), &["rule base"]),
    ("a structural path", |c| add(c, "infra/roles/a.yml", Some("a"), Some("b")), &["path infra/roles/a.yml"]),
    ("a structural path is gone", |c| add(c, "infra/roles/x/a", Some("a"), None), &["path infra/roles/x/a"]),
    (
        "a migration is edited",
        |c| add(c, "schema/migrations/0001_a.sql", Some("select 1;"), Some("select 1; -- x")),
        &["migration schema/migrations/0001_a.sql"],
    ),
    (
        "a migration is deleted",
        |c| add(c, "schema/migrations/0001_a.sql", Some("select 1;"), None),
        &["migration schema/migrations/0001_a.sql"],
    ),
    // Near misses.
    (
        "a group is gone",
        |c| {
            each(c, |g| {
                g.tasks.insert("quick".into(), TaskFact::default());
            })
        },
        &[],
    ),
    ("a tool is gone", |c| each(c, |g| drop(g.tasks.remove("tool"))), &[]),
    (
        "a new task",
        |c| {
            each(c, |g| {
                g.tasks.insert("new".into(), TaskFact::default());
            })
        },
        &[],
    ),
    ("a tool only warns, and is reached", |c| on(c, "lint", |t| t.reached = true), &[]),
    (
        "more tests are expected",
        |c| on(c, "test", |t| t.expect = Some(Expect { min_tests: 11, max_skipped: Some(0), max_failed: 0 })),
        &[],
    ),
    (
        "one more rule of the gate",
        |c| {
            each(c, |g| {
                g.gate_rules.insert("app: valid".into());
            })
        },
        &[],
    ),
    ("another task becomes a reset", |c| on(c, "tool", |t| t.reset = true), &[]),
    ("CI calls it with flags", |c| drop(c.after.ci.insert(".ci/run".into(), "weir run -k check\n".into())), &[]),
    (
        "CI calls it in its file",
        |c| {
            c.after.ci.insert(
                ".github/workflows/ci.yml".into(),
                "on:\n  push:\n  pull_request:\njobs:\n  a: weir run check\n".into(),
            );
        },
        &[],
    ),
    ("CI does more", |c| drop(c.after.ci.insert(".github/workflows/b.yml".into(), "on: push\n".into())), &[]),
    ("exceptions last shorter", |c| c.after.settings.max_days = 30, &[]),
    ("one more structural path", |c| c.after.settings.paths.push(pattern("keys")), &[]),
    ("beside a structural path", |c| add(c, "infra/role/a.yml", Some("a"), Some("b")), &[]),
    ("a document", |c| add(c, "docs/tables.md", Some("a"), Some("drop table t;")), &[]),
    ("code", |c| add(c, "src/a.rs", Some("a"), Some("b")), &[]),
    (
        "a new migration with rows",
        |c| add(c, "schema/migrations/0002_b.sql", None, Some("insert into t values (1);")),
        &[],
    ),
    ("a document among the migrations", |c| add(c, "schema/migrations/README.md", Some("a"), Some("b")), &[]),
    (
        "a file of the name elsewhere",
        |c| add(c, "old/schema/migrations/0001_a.sql", Some("select 1;"), Some("select 2;")),
        &[],
    ),
    (
        "no graph on either side",
        |c| {
            c.before.graph = GraphFacts::Absent;
            c.before.manifest = None;
            c.after.manifest = None;
            c.after.quick = None;
        },
        &[],
    ),
];

#[test]
fn what_is_held_is_not_let_go_unseen() {
    for (name, change, expected) in CASES {
        let mut case = calm();
        change(&mut case);
        if matches!(case.after.graph, GraphFacts::Broken(_) | GraphFacts::Absent) && !expected.is_empty() {
            // Nothing can be said of verifiers then.
            assert_eq!(found(&case), *expected, "{name}");
            assert!(!judge(&case).passes && !judge(&with_update(&case)).passes, "{name}");
            continue;
        }
        if *name == "the entry task is another" || *name == "no graph on either side" {
            assert_eq!(found(&case), *expected, "{name}");
            continue;
        }
        hold(name, &case, expected);
    }
    let passing = CASES.iter().filter(|case| case.2.is_empty()).count();
    assert!(CASES.len() >= 50 && passing >= 18, "{} {passing}", CASES.len());
}

#[test]
fn an_applied_migration_stays_as_it_is_whatever_the_paperwork() {
    let path = "schema/migrations/0001_a.sql";
    for after in [Some("select 1; -- x"), None, Some("drop table t;")] {
        let mut case = calm();
        add(&mut case, path, Some("select 1;"), after);
        for case in [
            case.clone(),
            with_update(&case),
            with_exception(&case, "2026-07-01"),
            with_update(&with_exception(&case, "2026-07-01")),
        ] {
            let verdict = judge(&case);
            assert!(
                !verdict.passes && verdict.violations.iter().any(|one| one.code == "migration-edited"),
                "{after:?}"
            );
        }
    }
}

#[test]
fn a_renamed_migration_says_where_it_went() {
    let mut case = calm();
    add(&mut case, "schema/migrations/0001_a.sql", Some("create table x ();"), None);
    add(&mut case, "schema/migrations/0009_a.sql", None, Some("create table x ();"));
    let text = judge(&with_update(&case)).text();
    assert!(text.contains("was renamed to `schema/migrations/0009_a.sql`"), "{text}");
}

#[test]
fn a_number_that_the_base_has_given_away_meanwhile() {
    let mut case = calm();
    add(&mut case, "schema/migrations/0002_b.sql", None, Some("select 1;"));
    assert!(judge(&case).passes);
    case.files[0].on_base = Content::text("select 2;");
    assert!(!judge(&with_update(&case)).passes);
    case.files[0].on_base = Content::text("select 1;");
    assert!(judge(&case).passes, "the same file is there");
}

#[test]
fn migrations_are_where_they_were_too() {
    let mut case = calm();
    add(&mut case, "schema/migrations/0001_a.sql", Some("select 1;"), Some("select 2;"));
    case.after.settings.migrations = vec!["elsewhere".into()];
    assert!(judge(&case).violations.iter().any(|one| one.code == "migration-edited"));
}
