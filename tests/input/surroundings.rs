//! Calls from places where they make no sense, and questions that nobody can answer.

use crate::more::{json, refused};
use crate::support::Workspace;

const WEIR: &str = env!("CARGO_BIN_EXE_weir");

#[test]
fn a_run_inside_a_task_of_the_same_workspace_is_refused() {
    for prefix in ["", "cd sub; ", "cd ../link; "] {
        let ws = Workspace::new(&format!(
            "[tasks.outer]\nrun = '''{prefix}\"{WEIR}\" run inner || code=$?; echo ${{code:-0}} > ../code; exit 1'''\n\
             [tasks.inner]\nrun = 'echo x >> ../inner.ran'"
        ));
        ws.write("sub/file", "");
        std::os::unix::fs::symlink(ws.root(), ws.outside("link")).unwrap();
        let ran = ws.try_run("outer").exit(1).says("inside task `outer`").says("depend on the task instead");
        let code = ["code", "ws/code"].iter().find_map(|path| std::fs::read_to_string(ws.outside(path)).ok());
        assert_eq!(code.as_deref(), Some("3\n"), "{}", ran.shown());
        assert_eq!(ws.count("inner"), 0);
    }
}

#[test]
fn a_run_inside_a_task_of_another_workspace_is_fine_and_looking_is_too() {
    let other = Workspace::new("[tasks.inner]\nrun = 'echo x >> ../inner.ran'");
    let ws = Workspace::new(&format!(
        "[tasks.outer]\nrun = '''\n\"{WEIR}\" -C '{}' run inner\n\"{WEIR}\" tasks ls --json > listed\n'''",
        other.root().display()
    ));
    ws.run("outer").tasks("outer ran");
    assert_eq!(other.count("inner"), 1);
    assert!(ws.read("listed").contains("outer"));
}

#[test]
fn a_question_without_a_terminal_is_refused_before_anything_runs() {
    let ws = Workspace::new(
        "[tasks.first]\nrun = 'echo x >> ../first.ran'\n\
         [tasks.deploy]\nrun = 'echo x >> ../deploy.ran'\ndepends = ['first']\nconfirm = 'to production?'\n\
         [tasks.other]\nrun = 'echo x >> ../other.ran'\nconfirm = true\n\
         [tasks.both]\ndepends = ['deploy', 'other']",
    );
    let refuse = |words: &str, said: &str| {
        let ran = ws.try_run(words).exit(3).says(said);
        assert!(!ran.recorded() && ws.count("first") + ws.count("deploy") + ws.count("other") == 0, "{}", ran.shown());
    };
    refuse("deploy", "--confirm deploy");
    refuse("both --confirm deploy", "--confirm other");
    refuse("deploy --confirm first", "--confirm deploy");
    refuse("deploy -j2 --profile ci -k", "`weir run deploy --profile ci --confirm deploy -j 2 -k` confirms it");
    ws.run("deploy --confirm deploy").tasks("first ran, deploy ran");
    ws.run("both --confirm deploy --confirm other").tasks("deploy ran, other ran");
    // Looking asks nothing.
    ws.run("-n both");
}

#[test]
fn a_directory_that_is_not_there_is_a_mistake_in_the_call() {
    let ws = Workspace::new("[tasks.t]\nrun = 'true'");
    refused(&ws, ws.weir(&["-C", "nowhere", "run", "t"]).go()).says("nowhere");
    let ran = ws.weir(&["-C", "..", "-C", "nowhere", "tasks"]).go();
    assert_eq!(ran.code, 2, "{}", ran.shown());
}

#[test]
fn a_reader_that_has_gone_is_no_defect() {
    let ws = Workspace::new("[tasks.t]\nrun = 'seq 1 20000'\nsources = []\noutputs = []");
    for command in ["run t", "run t", "tasks ls", "schema", "explain t"] {
        let ran = crate::more::script(&ws, &format!("\"$WEIR\" {command} | head -c 1 > /dev/null"));
        assert!(!ran.err.contains("defect") && !ran.err.contains("panic"), "{command}: {}", ran.shown());
    }
    assert_eq!(json(&ws.weir(&["explain", "--json", "t"]).ok())[0]["verdict"], "fresh");
}

#[test]
fn weir_works_where_there_is_no_environment() {
    let ws = Workspace::new("[tasks.t]\nrun = 'true'\nshell = ['/bin/sh', '-c']\nsources = []\noutputs = []");
    crate::more::script(&ws, "exec env -i \"$WEIR\" run t").exit(0);
    ws.run("t").tasks("t fresh");
}
