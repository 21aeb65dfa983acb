//! Manifests and exceptions: what makes a change right, and what only looks so.

use super::*;

fn changed() -> Case {
    let mut case = calm();
    case.files.push(file("db/a.sql", Some(""), Some("alter table t add column c int;")));
    case
}

fn with_manifest(case: &Case, text: &str) -> Case {
    let mut case = case.clone();
    case.files.push(file(MANIFEST, case.before.manifest.as_deref(), Some(text)));
    case.after.quick = Some(Manifest::parse(text).map(|manifest| quick(&manifest)).unwrap_or_default());
    case.after.manifest = Some(text.into());
    case
}

fn says(case: &Case, expected: &str) {
    let verdict = judge(case);
    assert!(!verdict.passes, "it passes, and should say: {expected}");
    let all: Vec<&String> = verdict.violations.iter().map(|violation| &violation.message).collect();
    assert!(all.iter().any(|message| message.contains(expected)), "{expected}: {all:?}");
}

#[test]
fn an_update_covers_what_changed() {
    for (covers, passes) in [
        ("\"table:t\"", true),
        ("\"column:t.c\"", true),
        ("\"column:*.c\"", true),
        ("\"db/**\"", true),
        ("db", true),
        ("\"table:public.t\"", true),
        ("\"column:t.d\"", false),
        ("\"table:u\"", false),
        ("\"index:t.c\"", false),
        ("\"src/**\"", false),
    ] {
        let case = with_manifest(&changed(), &manifest("it holds", covers));
        assert_eq!(judge(&case).passes, passes, "{covers}");
    }
}

#[test]
fn covering_alone_is_no_update() {
    let mut case = with_manifest(&changed(), &manifest("it holds", "\"table:t\""));
    assert!(judge(&case).passes, "its `covers` is new");
    case.before.manifest = case.after.manifest.clone();
    says(&case, "`alter table t add column c int` is new");
    assert_eq!(judge(&case).findings[0].invariants, ["INV-001"]);
    // The same with a comment in it, or another entry moved: still no update.
    case.after.manifest = Some(format!("# new\n{}", case.before.manifest.clone().unwrap()));
    says(&case, "is new");
}

#[test]
fn the_page_is_in_step() {
    let mut case = with_update(&changed());
    case.after.quick.as_mut().unwrap().push('x');
    says(&case, "is not what the manifest says");
    case.after.quick = None;
    says(&case, "is not what the manifest says");
}

#[test]
fn the_form_of_a_manifest() {
    let good = manifest("it holds", "\"**\"");
    assert!(judge(&with_manifest(&changed(), &good)).passes);
    for (from, to, expected) in [
        ("invariants:", "invariants: [", "it is no YAML"),
        ("invariants:", "invariant:", "it has no list `invariants`"),
        ("INV-001", "INV-1", "`INV-1` is no id"),
        ("title: it holds", "titel: x", "unknown key `titel`"),
        ("    title: it holds\n", "", "needs `title`"),
        ("implemented", "done", "and not `done`"),
        ("status: implemented", "status: roadmap", "claims to be verified"),
        ("[everything]", "[]", "`enforced_by` is empty"),
        ("[everything]", "{a: b}", "`enforced_by` is a list"),
        ("[everything]", "[src/gone.rs]", "`src/gone.rs`, which is not there"),
        ("\"**\"", "\"tabel:t\"", "`tabel` is no kind of object"),
        ("\"**\"", "\"*:refunds\"", "`*:refunds` is neither a path nor `kind:name`: a task is `task:*:refunds`"),
        ("\"**\"", "\"v1.*:refunds\"", "`v1.*:refunds` is neither a path nor `kind:name`"),
        ("[test]", "[tset]", "`tset`, which is no task"),
        ("[test]", "[lint]", "which no entry task reaches"),
        ("[test]", "[gate-2]", "which is no task and no gate's check"),
        ("invariants:\n", "retired: [INV-001]\ninvariants:\n", "was retired"),
    ] {
        assert!(good.contains(from), "{from}");
        says(&with_manifest(&changed(), &good.replace(from, to)), expected);
    }
    let twice = format!("{good}{}", good.strip_prefix("invariants:\n").unwrap());
    says(&with_manifest(&changed(), &twice), "stands here and on line 2");
    // Gates by their id, and checks of a database's gate.
    assert!(judge(&with_manifest(&changed(), &good.replace("[test]", "[gate-1]"))).passes);
    let mut case = with_manifest(&changed(), &good.replace("[test]", "[ledger-grows]"));
    case.after.check_ids.insert("ledger-grows".into());
    assert!(judge(&case).passes);
}

#[test]
fn ids_are_never_used_again() {
    let was = manifest("it holds", "\"table:unrelated\"");
    let gone = "invariants: []\n";
    let case = with_manifest(&calm(), gone);
    says(&case, "`INV-001` (“it holds”) is gone");
    let retired = with_manifest(&calm(), "invariants: []\nretired: [INV-001]\n");
    assert!(judge(&retired).passes, "{}", judge(&retired).text());
    assert_eq!(found(&retired), ["invariant INV-001"]);
    let mut later = with_manifest(&retired, gone);
    later.before.manifest = retired.after.manifest.clone();
    says(&later, "`INV-001` is retired, and is missing");
    says(&with_manifest(&calm(), &manifest("another", "\"table:other\"")), "is used for something else");
    assert!(judge(&with_manifest(&calm(), &was.replace("it holds", "it always holds"))).passes);
    let mut without = calm();
    without.after.manifest = None;
    says(&without, "the invariants manifest is gone");
}

#[test]
fn a_verifier_that_is_weak_verifies_nothing() {
    for (change, expected) in [
        ((|task| task.reached = false) as fn(&mut TaskFact), "which no entry task reaches"),
        (|task| task.warns = true, "which only warns in CI"),
        (|task| task.masked = true, "which can't fail"),
    ] {
        let mut case = with_update(&changed());
        let GraphFacts::Loaded(all) = &mut case.after.graph else { unreachable!() };
        all.iter_mut().for_each(|graph| change(graph.tasks.get_mut("test").unwrap()));
        says(&case, expected);
        assert!(judge(&with_exception(&case, "2026-07-01")).passes, "{expected}");
    }
}

#[test]
fn an_exception_ends_with_its_day() {
    for (expires, passes) in [
        ("2026-06-15", true),
        ("2026-06-14", false),
        ("2026-09-13", true),
        ("2026-09-14", false),
        ("2026-02-30", false),
        ("soon", false),
        ("\"2026-07-01\"", true),
    ] {
        assert_eq!(judge(&with_exception(&changed(), expires)).passes, passes, "{expires}");
    }
    let mut case = with_exception(&changed(), "2026-06-20");
    case.today = Day::parse("2026-06-20").unwrap();
    assert!(judge(&case).passes, "on its last day");
    case.today = Day::parse("2026-06-21").unwrap();
    says(&case, "it expired on 2026-06-20; today is 2026-06-21, in UTC");
}

#[test]
fn the_form_of_an_exception() {
    let good = exception("2026-07-01");
    let name = format!("exception_INV-001_{TODAY}.md");
    let try_one = |name: &str, text: &str| {
        let mut case = changed();
        let path = format!("docs/invariants/exceptions/{name}");
        case.files.push(file(&path, None, Some(text)));
        case.after.exceptions.push((path, text.to_owned()));
        case
    };
    assert!(judge(&try_one(&name, &good)).passes);
    assert!(judge(&try_one(&name, &good.replace('\n', "\r\n"))).passes);
    for (from, to, expected) in [
        ("---\nid", "id", "has no front matter"),
        ("OPS-12", "TODO", "`follow_up_ticket` is a placeholder"),
        ("OPS-12", "<ticket>", "`follow_up_ticket` is a placeholder"),
        ("OPS-12", "", "`follow_up_ticket` is a placeholder"),
        ("the other side is not ready", "TBD, ask", "`reason` is a placeholder"),
        ("reason: the other side is not ready\n", "", "has no `reason`"),
        ("mitigation: ", "mitigations: ", "has no `mitigation`"),
        ("id: INV-001", "id: INV-002", "its `id` is `INV-002`"),
        ("More words.", "TODO", "a placeholder is left"),
        ("2026-07-01", "YYYY-MM-DD", "is a placeholder"),
        ("id: INV-001", "id: [", "no YAML"),
        ("id: INV-001", "id: [INV-001]", "`id` is a text"),
    ] {
        assert!(good.contains(from), "{from}");
        says(&try_one(&name, &good.replacen(from, to, 1)), expected);
    }
    for (name, expected) in [
        ("exception_INV-001_2026-02-30.md", "there is no day `2026-02-30`"),
        ("exception_INV-001.md", "it is not called"),
        ("exception_INV-1_2026-06-15.md", "it is not called"),
        ("notes.md", "it is not called"),
        ("exception_INV-001_2026-08-01.md", "before the day in its name"),
    ] {
        says(&try_one(name, &good), expected);
    }
    let mut case = calm();
    case.after.exceptions.push(("docs/invariants/exceptions/README.md".into(), "words".into()));
    assert!(judge(&case).passes);
}

#[test]
fn an_exception_serves_its_own_change_and_its_own_invariant() {
    let mut case = with_exception(&changed(), "2026-07-01");
    case.files.pop();
    says(&case, "is new");
    // One that stands for another invariant than the one that covers it.
    let covered = manifest("it holds", "\"table:t\"");
    let two = format!(
        "{covered}{}",
        manifest("x", "\"table:x\"").replace("INV-001", "INV-002").strip_prefix("invariants:\n").unwrap()
    );
    let mut case = with_manifest(&changed(), &two);
    case.before.manifest = case.after.manifest.clone();
    assert!(judge(&with_exception(&case, "2026-07-01")).passes);
    let mut other = with_exception(&case, "2026-07-01");
    for (path, text) in &mut other.after.exceptions {
        *path = path.replace("INV-001", "INV-002");
        *text = text.replace("INV-001", "INV-002");
    }
    let path = other.after.exceptions[0].0.clone();
    other.files.last_mut().unwrap().path = path;
    says(&other, "is new");
}

#[test]
fn an_outdated_exception_is_refused_though_nothing_needs_it() {
    let mut case = calm();
    case.after
        .exceptions
        .push(("docs/invariants/exceptions/exception_INV-001_2026-01-01.md".into(), exception("2026-02-01")));
    says(&case, "it expired on 2026-02-01");
}

#[test]
fn the_ways_out_are_named_with_commands() {
    let text = judge(&changed()).text();
    for expected in [
        "db/a.sql:1: column: `alter table t add column c int` is new",
        "structural: a column's type",
        "covered by no invariant",
        "weir rule quick",
        "docs/invariants/exceptions/exception_INV-000_2026-06-15.md",
        "1 refused",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}
