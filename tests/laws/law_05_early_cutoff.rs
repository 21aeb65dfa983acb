//! Law 5: a dependency that ran again and left the same behind does not make its dependents run.

use crate::support::Workspace;

const CHAIN: &str = "
[tasks.gen]
run = 'echo x >> ../gen.ran; grep -v \"^#\" in > gen.out'
sources = ['in']
outputs = ['gen.out']
[tasks.mid]
run = 'echo x >> ../mid.ran; cat gen.out > mid.out'
sources = []
outputs = ['mid.out']
depends = ['gen']
[tasks.group]
depends = ['mid']
[tasks.top]
run = 'echo x >> ../top.ran'
sources = []
depends = ['group']
";

#[test]
fn the_same_left_behind_stops_the_run_there() {
    let ws = Workspace::new(CHAIN);
    ws.write("in", "a\n");
    ws.run("top").tasks("gen ran, mid ran, top ran");
    ws.write("in", "# a remark\na\n");
    ws.run("top").tasks("gen ran, mid fresh, top fresh");
    ws.write("in", "b\n");
    ws.run("top").tasks("gen ran, mid ran, top ran");
    assert_eq!((ws.count("gen"), ws.count("mid"), ws.count("top")), (3, 2, 2));
}

#[test]
fn a_forced_dependency_that_leaves_the_same_changes_nothing_either() {
    let ws = Workspace::new(CHAIN);
    ws.write("in", "a\n");
    ws.run("top");
    ws.run("-f gen").tasks("gen ran");
    ws.run("top").tasks("gen fresh, mid fresh, top fresh");
    assert_eq!((ws.count("gen"), ws.count("mid")), (2, 1));
}

#[test]
fn a_dependency_rebuilt_in_one_run_is_seen_by_dependents_in_the_next() {
    let ws = Workspace::new(CHAIN);
    ws.write("in", "a\n");
    ws.run("top");
    ws.write("in", "b\n");
    ws.run("gen").tasks("gen ran");
    ws.run("top").tasks("gen fresh, mid ran, top ran");
    assert_eq!(ws.read("mid.out"), "b\n");
}

#[test]
fn a_dependency_of_unknown_effects_that_ran_again_is_not_cut_off() {
    let ws = Workspace::new(
        "[tasks.gen]\nrun = 'cp in out'\nsources = ['in']\n\
         [tasks.top]\nrun = 'echo x >> ../top.ran'\nsources = []\ndepends = ['gen']",
    );
    for (input, outcome) in [("a", "ran"), ("b", "ran"), ("b", "fresh")] {
        ws.write("in", input);
        ws.run("top").tasks(&format!("top {outcome}"));
    }
}
