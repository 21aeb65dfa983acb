//! Law 4: what a task leaves behind for its dependents' keys, and for how long a result counts.
//! Inputs go A, B, A throughout.

use crate::support::Workspace;

/// A task `t` with these keys and `dep`endents behind it, whose input is `in`.
fn with(keys: &str) -> Workspace {
    Workspace::new(&format!(
        "[tasks.t]\nrun = 'echo x >> ../t.ran; cp in out'\nsources = ['in']\n{keys}\n\
         [tasks.after]\nrun = 'echo x >> ../after.ran'\nsources = []\noutputs = []\ndepends = ['t']"
    ))
}

fn outcomes(ws: &Workspace, expected: &[(&str, &str)]) {
    for (input, outcomes) in expected {
        ws.write("in", input);
        ws.run("after").tasks(outcomes);
    }
}

#[test]
fn declared_outputs_leave_their_digests_and_count_whenever_recorded() {
    let ws = with("outputs = ['out']");
    outcomes(&ws, &[("A", "t ran, after ran"), ("B", "t ran, after ran"), ("A", "t hit, after skips")]);
    assert_eq!(ws.read("out"), "A");
    outcomes(&ws, &[("B", "t hit, after skips")]);
    assert_eq!(ws.read("out"), "B");
    assert_eq!((ws.count("t"), ws.count("after")), (2, 2));
}

#[test]
fn empty_outputs_leave_a_verdict_which_is_a_constant() {
    let ws = with("outputs = []");
    outcomes(&ws, &[("A", "t ran, after ran"), ("B", "t ran, after fresh"), ("A", "t skips, after fresh")]);
    assert_eq!((ws.count("t"), ws.count("after")), (2, 1));
}

#[test]
fn absent_outputs_leave_the_key_and_count_only_as_the_last_result() {
    let ws = with("");
    outcomes(
        &ws,
        &[
            ("A", "t ran, after ran"),
            ("A", "t fresh, after fresh"),
            ("B", "t ran, after ran"),
            // A was recorded, but B's unknown effects are what is there now.
            ("A", "t ran, after skips"),
            ("A", "t fresh, after fresh"),
        ],
    );
    assert_eq!(ws.read("out"), "A");
    assert_eq!((ws.count("t"), ws.count("after")), (3, 2));
}

#[test]
fn state_leaves_the_digest_of_that_output() {
    // What it leaves is the first letter of its input only.
    let ws = with("state = 'head -c 1 out'");
    outcomes(
        &ws,
        &[
            ("A1", "t ran, after ran"),
            ("A1", "t fresh, after fresh"),
            ("A2", "t ran, after fresh"),
            ("B1", "t ran, after ran"),
        ],
    );
    assert_eq!((ws.count("t"), ws.count("after")), (3, 2));
}

#[test]
fn state_is_checked_again_on_a_hit() {
    let ws = with("state = 'cat out'");
    outcomes(&ws, &[("A", "t ran, after ran"), ("A", "t fresh, after fresh")]);
    ws.write("out", "somebody else's");
    outcomes(&ws, &[("A", "t ran, after fresh"), ("B", "t ran, after ran")]);
    // A's result is on record, but B's state is what is there.
    outcomes(&ws, &[("A", "t ran, after skips")]);
    assert_eq!(ws.read("out"), "A");
    ws.remove("out");
    ws.run("after").tasks("t ran, after fresh");
}

#[test]
fn results_are_shared_unless_their_effects_are_unknown() {
    let shared = tempfile::tempdir().unwrap();
    for (keys, second) in [
        ("outputs = ['out']", "hit"),
        ("outputs = []", "skips"),
        ("", "ran"),
        ("outputs = ['out']\ncache = 'local'", "ran"),
    ] {
        let cache = shared.path().join(keys.len().to_string());
        let checkout = || {
            let ws = with(keys);
            ws.write("in", "A");
            ws
        };
        let run = |ws: &Workspace| ws.weir(&["run", "t"]).env("WEIR_CACHE_DIR", &cache).ok();
        let (one, two) = (checkout(), checkout());
        run(&one).tasks("t ran");
        run(&two).tasks(&format!("t {second}"));
        assert_eq!(two.count("t"), usize::from(second == "ran"), "{keys}");
        if second == "hit" {
            assert_eq!(two.read("out"), "A");
        }
        run(&two).tasks("t fresh");
        // What is not shared is not even left there: another checkout may declare it otherwise.
        let left = walkdir::WalkDir::new(cache.join("results")).into_iter().flatten();
        assert_eq!(left.filter(|entry| entry.file_type().is_file()).count(), usize::from(second != "ran"), "{keys}");
    }
}

#[test]
fn arguments_going_a_b_a_run_three_times_where_effects_are_unknown() {
    // One task, whatever it is called with: `b` has overwritten what `a` left.
    let ws = Workspace::new("[tasks.t]\nrun = 'echo x >> ../t.ran; echo $1 > out'\nsources = []");
    for (argument, count) in [("a", 1), ("a", 1), ("b", 2), ("a", 3), ("a", 3)] {
        ws.run(&format!("t -- {argument}"));
        assert_eq!((ws.count("t"), ws.read("out")), (count, format!("{argument}\n")));
    }
}

#[test]
fn environments_of_edges_going_a_b_a_run_three_times_where_effects_are_unknown() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'echo x >> ../t.ran; echo $V > out'\nsources = []\n\
         [tasks.a]\ndepends = [{ task = 't', env = { V = 'a' } }]\n\
         [tasks.b]\ndepends = [{ task = 't', env = { V = 'b' } }]",
    );
    for (group, count) in [("a", 1), ("b", 2), ("a", 3)] {
        ws.run(group);
        assert_eq!((ws.count("t"), ws.read("out")), (count, format!("{group}\n")));
    }
}

#[test]
fn arguments_going_a_b_a_are_restored_where_outputs_are_declared() {
    let ws = Workspace::new("[tasks.t]\nrun = 'echo x >> ../t.ran; echo $1 > out'\nsources = []\noutputs = ['out']");
    for (argument, count) in [("a", 1), ("b", 2), ("a", 2), ("b", 2)] {
        ws.run(&format!("t -- {argument}"));
        assert_eq!((ws.count("t"), ws.read("out")), (count, format!("{argument}\n")));
    }
}

#[test]
fn what_ran_without_a_key_in_between_is_the_last_result() {
    for keys in ["", "outputs = ['out']", "state = 'cat out'"] {
        let cacheable = format!("[tasks.t]\nrun = 'echo x >> ../t.ran; cp in out'\nsources = ['in']\n{keys}");
        let ws = Workspace::new(&cacheable);
        ws.write("in", "A");
        ws.run("t");
        ws.tasks("[tasks.t]\nrun = 'echo other > out; echo more > ../more'");
        ws.run("t").tasks("t ran");
        ws.tasks(&cacheable);
        ws.run("t");
        assert_eq!(ws.read("out"), "A", "{keys}");
    }
}
