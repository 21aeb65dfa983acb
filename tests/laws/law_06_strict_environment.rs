//! Law 6: a cacheable task sees what its key holds and a short list of other variables; an uncached
//! one sees everything. A variable that `run` names and that is hidden is reported.

use crate::support::{Ran, Workspace};
use std::collections::BTreeSet;

/// A task that writes down its environment.
fn workspace(keys: &str) -> Workspace {
    Workspace::new(&format!("[tasks.t]\nrun = 'env > ../seen; echo x >> ../t.ran'\n{keys}"))
}

fn seen(ws: &Workspace) -> String {
    std::fs::read_to_string(ws.outside("seen")).unwrap()
}

fn names(text: &str) -> BTreeSet<&str> {
    text.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect()
}

#[test]
fn a_cacheable_task_does_not_see_what_it_does_not_declare() {
    let ws = workspace("sources = []");
    ws.weir(&["run", "t"]).env("AMBIENT", "1").env("NODE_ENV", "x").env("CI_TOKEN", "x").env("SHELL", "x").ok();
    let seen = seen(&ws);
    let names = names(&seen);
    for hidden in ["AMBIENT", "NODE_ENV", "CI_TOKEN", "SHELL"] {
        assert!(!names.contains(hidden), "{hidden} is seen:\n{seen}");
    }
}

#[test]
fn an_uncached_task_sees_everything() {
    for keys in ["", "sources = []\ncache = false"] {
        let ws = workspace(keys);
        ws.weir(&["run", "t"]).env("AMBIENT", "1").ok();
        assert!(seen(&ws).contains("\nAMBIENT=1\n") || seen(&ws).starts_with("AMBIENT=1\n"));
    }
}

#[test]
fn the_unkeyed_variables_are_seen_and_do_not_count() {
    let ws = workspace("sources = []\npass_through = ['PASSED', 'ALSO_*']");
    let unkeyed = [
        "HOME",
        "USER",
        "TMPDIR",
        "TERM",
        "CARGO_HOME",
        "RUSTUP_HOME",
        "http_proxy",
        "HTTPS_PROXY",
        "NO_PROXY",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "SSH_AUTH_SOCK",
        "PASSED",
        "ALSO_THIS",
    ];
    let run = |value: &str| -> Ran {
        let call = ws.weir(&["run", "t"]);
        unkeyed.iter().fold(call, |call, name| call.env(name, format!("{}/{value}", ws.outside("").display()))).ok()
    };
    run("one").tasks("t ran");
    let text = seen(&ws);
    for name in unkeyed {
        let wanted = format!("{name}={}/one", ws.outside("").display());
        assert!(text.lines().any(|line| line == wanted), "no {wanted} in\n{text}");
    }
    run("two").tasks("t fresh");
    let path = format!("{}:{}", ws.outside("bin").display(), std::env::var("PATH").unwrap());
    ws.weir(&["run", "t"]).env("PATH", path).ok().tasks("t fresh");
    assert_eq!(ws.count("t"), 1);
}

#[test]
fn the_language_and_the_time_zone_are_seen_and_count() {
    for name in ["LANG", "LC_ALL", "LC_TIME", "TZ"] {
        let ws = workspace("sources = []");
        let run = |value: &str| ws.weir(&["run", "t"]).env(name, value).ok();
        run("C").tasks("t ran");
        assert!(seen(&ws).contains(&format!("{name}=C\n")));
        run("C").tasks("t fresh");
        run("POSIX").tasks("t ran");
        assert!(seen(&ws).contains(&format!("{name}=POSIX\n")));
        ws.run("t").tasks("t ran");
        assert!(!seen(&ws).contains(&format!("{name}=")));
    }
}

#[test]
fn declared_variables_are_seen_and_count() {
    let ws = workspace("sources = []\nenv_inputs = ['ONE', 'MANY_*']\nenv_required = ['NEEDED']\nenv = { SET = '1' }");
    let run = |one: &str, many: &str, needed: &str| {
        ws.weir(&["run", "t"]).env("ONE", one).env("MANY_A", many).env("NEEDED", needed).ok()
    };
    run("1", "1", "1").tasks("t ran");
    let text = seen(&ws);
    for line in ["ONE=1", "MANY_A=1", "NEEDED=1", "SET=1"] {
        assert!(text.lines().any(|seen| seen == line), "no {line} in\n{text}");
    }
    run("1", "1", "1").tasks("t fresh");
    run("2", "1", "1").tasks("t ran");
    run("2", "2", "1").tasks("t ran");
    run("2", "2", "2").tasks("t ran");
}

#[test]
fn a_required_variable_that_is_missing_is_an_error_before_anything_runs() {
    let ws = Workspace::new(
        "[tasks.first]\nrun = 'echo x >> ../first.ran'\n\
         [tasks.t]\nrun = 'true'\ndepends = ['first']\nenv_required = ['NEEDED']",
    );
    ws.try_run("t").exit(2).says("`NEEDED`");
    assert_eq!(ws.count("first"), 0);
}

#[test]
fn an_ambient_variable_that_is_not_declared_can_not_matter() {
    let ws = Workspace::new("[tasks.t]\nrun = 'echo \"${AMBIENT:-nothing}\" > out'\nsources = []\noutputs = ['out']");
    ws.weir(&["run", "t"]).env("AMBIENT", "1").ok();
    assert_eq!(ws.read("out"), "nothing\n");
    ws.weir(&["run", "t"]).env("AMBIENT", "2").ok().tasks("t fresh");
}

fn hidden(ran: &Ran) -> Vec<String> {
    ran.notices("t").into_iter().filter(|(code, _)| code == "hidden-variable").map(|(_, message)| message).collect()
}

#[test]
fn a_variable_that_is_named_and_hidden_is_reported() {
    let ws = Workspace::new("[tasks.t]\nrun = 'echo \"${API_URL:-none} $HOME $1\"'\nsources = []");
    let ran = ws.weir(&["run", "t", "--", "one"]).env("API_URL", "x").env("OTHER", "x").ok();
    let told: Vec<_> = ran.told().into_iter().filter(|(code, _)| code == "hidden-variable").collect();
    assert_eq!(told.len(), 1, "{}", ran.shown());
    assert!(told[0].1.contains("`API_URL`"));
    ran.says("env_inputs = [\"API_URL\"]");
}

#[test]
fn a_variable_that_is_declared_or_not_set_is_not_reported() {
    for keys in ["sources = []\nenv_inputs = ['API_*']", "sources = []\npass_through = ['API_URL']", ""] {
        let ws = Workspace::new(&format!("[tasks.t]\nrun = 'echo $API_URL'\n{keys}"));
        let ran = ws.weir(&["run", "t"]).env("API_URL", "x").ok();
        assert_eq!(hidden(&ran), [] as [String; 0], "{keys}");
    }
    let ws = Workspace::new("[tasks.t]\nrun = 'echo ${API_URL:-}'\nsources = []");
    assert_eq!(hidden(&ws.run("t")), [] as [String; 0]);
}
