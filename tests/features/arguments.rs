//! `args`, arguments after `--`, and instances: a task with arguments and environment on an edge.

use crate::more::refused;
use crate::support::Workspace;

const SAYS: &str = "run = 'printf \"[%s]\" \"$@\"; echo \" ${WEIR_ARG_TARGET-none} ${WEIR_ARG_DRY_RUN-none}\"'";

#[test]
fn arguments_after_the_dashes_arrive_as_they_are() {
    let ws = Workspace::new(&format!("[tasks.t]\n{SAYS}\n[tasks.e]\nexec = ['printf', '<%s>']"));
    ws.weir(&["run", "t", "--", "one", "two three", "", "-f", "$HOME"])
        .ok()
        .says("[one][two three][][-f][$HOME] none none");
    ws.weir(&["run", "e", "--", "a b", "--", "c"]).ok().says("<a b><--><c>");
    ws.run("t").says("[] none none");
}

#[test]
fn declared_arguments_are_bound_checked_and_named() {
    let ws = Workspace::new(&format!(
        "[tasks.t]\n{SAYS}\nargs = [{{ name = 'target', choices = ['dev', 'prod'], required = true }}, 'dry-run']\n\
         [tasks.d]\n{SAYS}\nargs = [{{ name = 'target', default = 'dev' }}]"
    ));
    for (call, said) in [
        (&["run", "t"][..], "`t` needs argument `target`"),
        (&["run", "t", "--", "prd"], "did you mean `prod`?"),
        (&["run", "t", "--", "zzz"], "choose one of `dev`, `prod`"),
        (&["run", "t", "--", "dev", "x", "y"], "got `y` as one more"),
    ] {
        refused(&ws, ws.weir(call).go()).says(said);
    }
    ws.weir(&["run", "t", "--", "prod", "x"]).ok().says("[prod][x] prod x");
    ws.weir(&["run", "t", "--", "dev"]).ok().says("[dev] dev none");
    ws.run("d").says("[dev] dev none");
    ws.weir(&["run", "d", "--", "any"]).ok().says("[any] any none");
}

#[test]
fn a_group_and_several_targets_take_no_arguments() {
    let ws = Workspace::new("[tasks.a]\nrun = 'true'\n[tasks.b]\nrun = 'true'\n[tasks.g]\ndepends = ['a', 'b']");
    refused(&ws, ws.try_run("g -- x")).says("takes no arguments");
    refused(&ws, ws.try_run("a b -- x")).says("exactly one task");
    refused(&ws, ws.try_run("* -- x")).says("exactly one task");
}

#[test]
fn each_set_of_arguments_and_variables_is_a_node_of_its_own() {
    let ws = Workspace::new(
        "[tasks.build]\nargs = [{ name = 'target', default = 'dev' }]\nsources = []\noutputs = []\n\
         run = 'echo \"$1 ${MODE-none}\" >> ../built.ran'\n\
         [tasks.all]\ndepends = [\n\
         'build', { task = 'build', args = ['dev'] }, { task = 'build', args = ['prod'] },\n\
         { task = 'build', args = 'prod', env = { MODE = 'slow' } }, { task = 'build', env = { MODE = 1 } }]",
    );
    let names = ["build", "build prod", "build prod MODE=\"slow\"", "build MODE=\"1\""];
    for outcome in ["ran", "fresh"] {
        let ran = ws.run("-j1 all");
        for name in names {
            assert_eq!(ran.outcome(name), outcome, "{name}: {}", ran.shown());
        }
    }
    let text = std::fs::read_to_string(ws.outside("built.ran")).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["dev 1", "dev none", "prod none", "prod slow"]);
    // By name it is the same node.
    ws.weir(&["run", "build", "--", "prod"]).ok().tasks("build prod fresh");
    ws.weir(&["run", "build", "--", "dev"]).ok().tasks("build fresh");
}

#[test]
fn an_edge_with_wrong_arguments_is_refused_where_it_is_written() {
    let ws = Workspace::new(
        "[tasks.build]\nargs = [{ name = 'target', choices = ['dev'] }]\nrun = 'true'\n\
         [tasks.all]\ndepends = [{ task = 'build', args = ['prod'] }]",
    );
    refused(&ws, ws.try_run("all")).says("graph::arguments").says("tasks.toml:6:12").says("`prod` is no choice");
}

#[test]
fn instances_of_a_task_with_outputs_would_write_the_same_files() {
    let ws = Workspace::new(
        "[tasks.build]\nrun = 'echo $1 > out'\nsources = []\noutputs = ['out']\n\
         [tasks.all]\ndepends = [{ task = 'build', args = ['a'] }, { task = 'build', args = ['b'] }]",
    );
    refused(&ws, ws.try_run("all")).says("graph::overlapping-outputs").says("`build a` and `build b`");
    ws.weir(&["run", "build", "--", "a"]).ok();
}
