//! `include`, names and paths as seen from folders, `dir`.

use crate::more::{json, refused};
use crate::support::Workspace;

fn workspace() -> Workspace {
    let ws = Workspace::new(
        "include = ['infra/tasks.toml', 'services/*/tasks.toml']\n[env]\nEVERYWHERE = 'yes'\n\
         [tasks.build]\nrun = 'echo the root builds'\n[tasks.lint]\nrun = 'echo the root lints ${LOCAL-}'\n\
         [tasks.all]\ndepends = ['services/*:test', 'infra:up']",
    );
    ws.write("infra/tasks.toml", "[tasks.up]\nrun = 'echo up'\nalias = 'start'\n");
    let api = "[env]\nLOCAL = 'api'\n\
               [tasks.build]\nrun = 'echo api builds in $PWD; cp src/in out'\nsources = ['src']\noutputs = ['out']\n\
               [tasks.test]\nrun = 'echo api tests $EVERYWHERE $LOCAL'\ndepends = ['build', '//build', 'lint']\n\
               [tasks.elsewhere]\nrun = 'pwd'\ndir = '../..'\nsources = ['src']\noutputs = []\n\
               [tasks.below]\nrun = 'pwd'\ndir = 'src'\n";
    ws.write("services/api/tasks.toml", api);
    ws.write("services/api/src/in", "a");
    ws.write("services/web/tasks.toml", "[tasks.test]\nrun = 'echo web tests'\n");
    ws
}

#[test]
fn names_carry_their_folder_and_local_ones_win() {
    let ws = workspace();
    let ran = ws.run("services/api:test").says("api tests yes api").says("the root builds").says("the root lints");
    ran.tasks("services/api:build ran, build ran, lint ran, services/api:test ran").says_nothing_of("lints api");
    ws.run("all").tasks("services/api:test ran, services/web:test ran, infra:up ran");
    ws.run("infra:start").tasks("infra:up ran");
    refused(&workspace(), workspace().try_run("up"));
}

#[test]
fn paths_are_relative_to_the_declaring_file() {
    let ws = workspace();
    ws.run("services/api:build").says("/ws/services/api\n");
    assert_eq!(ws.read("services/api/out"), "a");
    ws.run("services/api:build").tasks("services/api:build fresh");
    ws.write("services/api/src/in", "b");
    ws.run("services/api:build").tasks("services/api:build ran");
    ws.run("services/api:elsewhere").says("/ws\n").tasks("services/api:elsewhere ran");
    ws.run("services/api:below").says("/ws/services/api/src\n");
    ws.run("services/api:elsewhere").tasks("services/api:elsewhere fresh");
}

#[test]
fn from_a_folder_its_own_names_come_first() {
    let ws = workspace();
    let from = |folder: &str, name: &str| ws.weir(&["-C", folder, "run", name]).ok();
    from("services/api", "build").tasks("services/api:build ran");
    from("services/api/src", "build").tasks("services/api:build fresh");
    from("services/api", "//build").tasks("build ran");
    from("services/api", "lint").tasks("lint ran");
    from("services/web", "build").tasks("build ran");
    from("services/api", "infra:up").tasks("infra:up ran");
    from("infra", "start").tasks("infra:up ran");
    crate::more::script(&ws, "cd services/web; exec \"$WEIR\" run test").exit(0).says("web tests");
    // One workspace, one record.
    assert!(!ws.exists("services/api/.weir"));
    let runs = json(&ws.weir(&["-C", "services/api/src", "runs", "ls", "--json"]).ok());
    assert_eq!(runs.as_array().unwrap().len(), 8);
}

#[test]
fn directories_are_relative_to_each_other() {
    let ws = workspace();
    ws.weir(&["-C", "services", "-C", "api", "run", "build"]).ok().tasks("services/api:build ran");
    ws.weir(&["-C", "services/web", "run", "-C", "../api", "build"]).ok().tasks("services/api:build fresh");
    ws.weir(&["run", "build", "-C", "services", "-Capi/../web", "-C", "../api"]).ok().tasks("services/api:build fresh");
    let root = ws.root();
    ws.weir(&["-C", "services", "-C", root.to_str().unwrap(), "run", "build"]).ok().tasks("build ran");
    ws.weir(&["-C", "services", "-C", "infra", "run", "build"]).go().exit(2).says("services/infra");
}

#[test]
fn a_file_that_nobody_includes_is_a_workspace_of_its_own() {
    let ws = workspace();
    ws.write("alone/tasks.toml", "version = 1\n[tasks.t]\nrun = 'true'\n");
    ws.weir(&["-C", "alone", "run", "t"]).ok();
    assert!(ws.exists("alone/.weir"));
    ws.weir(&["-C", "alone", "run", "build"]).go().exit(2);
}

#[test]
fn a_folder_to_run_in_may_be_made_by_a_dependency() {
    let ws =
        Workspace::new("[tasks.make]\nrun = 'mkdir -p made'\n[tasks.t]\nrun = 'pwd'\ndir = 'made'\ndepends = ['make']");
    ws.run("t").says("/ws/made");
}

#[test]
fn what_concerns_the_whole_stands_in_the_root_file_alone() {
    let ws = Workspace::new("include = ['sub/tasks.toml']\n[tasks.t]\nrun = 'true'");
    for text in ["[settings]\njobs = 1", "[policy]\nentry = ['t']"] {
        ws.write("sub/tasks.toml", text);
        refused(&ws, ws.try_run("t")).says("config::root-only").says("sub/tasks.toml:1:");
    }
}
