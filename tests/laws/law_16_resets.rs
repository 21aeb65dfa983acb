//! Law 16: a reset is never skipped, and whatever was made of the state before it does not count
//! after it: downstream through data edges without cutoff, after `wait_for`, in later steps of a
//! sequence, in this run and in later ones.

use crate::more::refused;
use crate::support::Workspace;

const VERDICT: &str = "sources = []\noutputs = []";

fn workspace() -> Workspace {
    Workspace::new(&format!(
        "[tasks.wipe]\nrun = 'echo x >> ../wipe.ran; ../pause wipe; test ! -e ../fails'\nreset = true\n\
         [tasks.migrate]\nrun = 'echo x >> ../migrate.ran'\ndepends = ['wipe']\n{VERDICT}\n\
         [tasks.ready]\ndepends = ['migrate']\n\
         [tasks.test]\nrun = 'echo x >> ../test.ran'\ndepends = ['ready']\n{VERDICT}\n\
         [tasks.waits]\nrun = 'echo x >> ../waits.ran'\nwait_for = ['wipe']\n{VERDICT}\n\
         [tasks.behind]\nrun = 'echo x >> ../behind.ran'\ndepends = ['waits']\n{VERDICT}\n\
         [tasks.ordered]\nrun = 'true'\ndepends = [{{ task = 'wipe', order_only = true }}]\n{VERDICT}\n\
         [tasks.aside]\nrun = 'true'\n{VERDICT}\n\
         [tasks.step]\nrun = 'echo x >> ../step.ran'\n{VERDICT}\n\
         [tasks.late]\nrun = 'true'\ndepends = ['step']\n{VERDICT}\n\
         [tasks.steps]\nsequence = ['wipe', ['step', 'aside'], 'late']"
    ))
}

#[test]
fn a_reset_always_runs_and_all_downstream_with_it_without_cutoff() {
    let ws = workspace();
    for times in 1..=3 {
        ws.run("test").tasks("wipe ran, migrate ran, test ran");
        assert_eq!((ws.count("wipe"), ws.count("migrate"), ws.count("test")), (times, times, times));
    }
}

#[test]
fn an_order_only_edge_carries_no_incarnation() {
    let ws = workspace();
    ws.run("ordered").tasks("wipe ran, ordered ran");
    ws.run("ordered").tasks("wipe ran, ordered fresh");
}

#[test]
fn who_waits_for_a_reset_is_redone_after_it_in_later_runs_too() {
    let ws = workspace();
    ws.run("behind").tasks("waits ran, behind ran");
    ws.run("behind").tasks("waits fresh, behind fresh");
    ws.run("wipe");
    ws.run("behind").tasks("waits ran, behind ran");
    ws.run("behind").tasks("waits fresh, behind fresh");
    // In one run as well, and then for good.
    ws.run("wipe behind").tasks("wipe ran, waits ran, behind ran");
    ws.run("behind").tasks("waits fresh, behind fresh");
    assert_eq!((ws.count("waits"), ws.count("behind")), (3, 3));
}

#[test]
fn later_steps_of_a_sequence_are_redone_also_outside_it() {
    let ws = workspace();
    ws.run("steps").tasks("wipe ran, step ran, aside ran, late ran");
    ws.run("steps").tasks("wipe ran, step ran, aside ran, late ran");
    ws.run("step late").tasks("step fresh, late fresh");
    ws.run("wipe");
    ws.run("late").tasks("step ran, late ran");
    ws.run("late").tasks("step fresh, late fresh");
}

#[test]
fn the_incarnation_is_new_before_the_first_act() {
    let ws = workspace();
    ws.run("behind");
    // A reset that fails has destroyed something all the same.
    std::fs::write(ws.outside("fails"), "").unwrap();
    ws.try_run("wipe").exit(1);
    ws.run("behind").tasks("waits ran, behind ran");
    // One that is killed as well.
    let puppet = ws.puppet("wipe");
    let weir = ws.weir(&["run", "wipe"]).spawn();
    puppet.arrives();
    weir.kill();
    ws.run("behind").tasks("waits ran, behind ran");
    ws.run("behind").tasks("waits fresh, behind fresh");
}

#[test]
fn a_dry_run_of_a_reset_is_none() {
    let ws = workspace();
    ws.run("behind");
    ws.run("-n wipe");
    ws.run("behind").tasks("waits fresh, behind fresh");
    assert_eq!(ws.count("wipe"), 0);
}

#[test]
fn a_lost_incarnation_matches_nothing() {
    let ws = workspace();
    ws.run("wipe");
    ws.run("behind").tasks("waits ran");
    std::fs::remove_dir_all(ws.path(".weir/state")).unwrap();
    ws.run("behind").tasks("waits ran, behind ran");
}

#[test]
fn results_of_one_checkout_s_state_do_not_count_in_another() {
    let shared = tempfile::tempdir().unwrap();
    let (one, two) = (workspace(), workspace());
    let run = |ws: &Workspace, task: &str| ws.weir(&["run", task]).env("WEIR_CACHE_DIR", shared.path()).ok();
    run(&one, "wipe");
    run(&one, "behind").tasks("waits ran, behind ran");
    run(&two, "behind").tasks("waits ran, behind ran");
    run(&two, "wipe").tasks("wipe ran");
    // What has nothing to do with it is shared.
    run(&one, "aside");
}

#[test]
fn a_cached_reset_is_refused() {
    for (keys, place) in [("sources = []", "4:1"), ("cache = true", "4:1"), ("cache = 'local'", "4:1")] {
        let ws = Workspace::new(&format!("[tasks.wipe]\nrun = 'echo x >> ../wipe.ran'\n{keys}\nreset = true"));
        let ran = refused(&ws, ws.try_run("wipe"));
        ran.says("config::cached-reset").says(&format!("tasks.toml:{place}")).says("a reset is never cached");
        assert_eq!(ws.count("wipe"), 0);
    }
    let ws = Workspace::new("[tasks.wipe]\nrun = 'true'\nsources = []\ncache = false\nreset = true");
    ws.run("wipe").tasks("wipe ran");
    ws.run("wipe").tasks("wipe ran");
}

#[test]
fn a_reset_without_an_order_to_who_uses_its_state_is_refused() {
    let with = |edge: &str| {
        Workspace::new(&format!(
            "[tasks.wipe]\nrun = 'true'\nreset = true\nlocks = ['db']\n\
             [tasks.between]\nrun = 'true'\ndepends = ['wipe']\n\
             [tasks.uses]\nrun = 'true'\nlocks = ['db']\n{edge}"
        ))
    };
    let ws = with("");
    let ran = refused(&ws, ws.try_run("uses"));
    ran.says("graph::unordered-reset").says("`wipe`").says("`uses`").says("tasks.toml:4:1");
    for edge in [
        "depends = ['wipe']",
        "depends = ['between']",
        "depends = [{ task = 'wipe', order_only = true }]",
        "wait_for = ['wipe']",
    ] {
        with(edge).run("uses");
    }
}
