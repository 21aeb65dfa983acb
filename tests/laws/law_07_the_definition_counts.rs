//! Law 7: the definition counts, not the file that holds it.

use crate::support::Workspace;
use std::time::{Duration, SystemTime};

const AS_WRITTEN: &str = "\
[tasks.t]
run = 'echo x >> ../t.ran'
sources = ['a', 'b']
env = { ONE = '1', TWO = '2' }
[tasks.other]
run = 'true'
";

fn reruns_nothing(text: &str) {
    let ws = Workspace::new(AS_WRITTEN);
    ws.write("a", "");
    ws.write("b", "");
    let before = ws.run("t").tasks("t ran").key("t");
    ws.tasks(text);
    assert_eq!(ws.run("t").tasks("t fresh").key("t"), before);
    assert_eq!(ws.count("t"), 1);
}

#[test]
fn a_comment_reruns_nothing() {
    reruns_nothing(&format!("# why\n{AS_WRITTEN}# the end\n"));
}

#[test]
fn the_order_of_keys_and_of_tasks_reruns_nothing() {
    reruns_nothing(
        "[tasks.other]\nrun = 'true'\n[tasks.t]\nenv = { TWO = '2', ONE = '1' }\nsources = ['b', 'a']\nrun = 'echo x >> ../t.ran'\n",
    );
}

#[test]
fn a_reformat_reruns_nothing() {
    reruns_nothing(
        "[tasks]\nother.run = \"true\"\n\n[tasks.\"t\"]\nrun     = [ \"echo x >> ../t.ran\" ]\nsources = [\n  \"a\",\n  \"b\",\n]\n[tasks.t.env]\nONE = \"1\"\nTWO = \"2\"\n",
    );
}

#[test]
fn a_change_of_another_task_reruns_nothing() {
    reruns_nothing(&AS_WRITTEN.replace("run = 'true'", "run = 'false'\ndescription = 'new'"));
}

#[test]
fn the_time_of_the_file_reruns_nothing() {
    let ws = Workspace::new(AS_WRITTEN);
    ws.write("a", "");
    ws.write("b", "");
    ws.run("t");
    ws.set_modified("tasks.toml", SystemTime::now() + Duration::from_secs(3600));
    ws.run("t").tasks("t fresh");
}

#[test]
fn moving_a_definition_to_the_settings_of_all_reruns_nothing() {
    reruns_nothing(&AS_WRITTEN.replace("[tasks.t]", "[env]\nONE = '1'\n[tasks.t]").replace("ONE = '1', TWO", "TWO"));
}
