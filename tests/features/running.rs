//! How a task is run: `exec`, `shell`, `timeout`, `retry`, `poll`, `locks`, `quiet`, `help`,
//! `interactive`, settings.

use crate::support::Workspace;

#[test]
fn a_vector_is_started_without_a_shell() {
    let ws = Workspace::new("[tasks.t]\nexec = ['printf', '%s|', '$HOME', '*', 'a b', '']");
    ws.run("t").says("$HOME|*|a b||");
    let ws = Workspace::new("[tasks.t]\nexec = ['./tool', 'x']\ndir = 'sub'");
    ws.write("sub/tool", "#!/bin/sh\necho told $1\n");
    ws.chmod("sub/tool", 0o755);
    ws.run("t").says("told x");
    ws.chmod("sub/tool", 0o644);
    ws.try_run("t").exit(2).says("./tool");
}

#[test]
fn the_shell_is_strict_unless_another_is_named() {
    let ws = Workspace::new(
        "[tasks.strict]\nrun = 'false | true'\n[tasks.lax]\nrun = 'false | true; false; echo lax'\nshell = ['sh', '-c']\n\
         [tasks.python]\nrun = 'the text itself'\nshell = ['printf', '%s|%s|']",
    );
    ws.try_run("strict").exit(1);
    ws.run("lax").says("lax");
    ws.run("python").says("the text itself|python|");
    let ws = Workspace::new("[settings]\nshell = ['sh', '-c']\n[tasks.t]\nrun = 'false | true'");
    ws.run("t");
}

#[test]
fn a_command_that_takes_too_long_is_ended() {
    let ws = Workspace::new(
        "[settings]\ntimeout = '100ms'\n[tasks.own]\nrun = '../pause held'\ntimeout = '150ms'\nhelp = 'buy a faster one'\n\
         [tasks.settings]\nrun = '../pause held'\n[tasks.nice]\nrun = 'trap \"exit 0\" TERM; ../pause held'\nsources = []",
    );
    let _puppet = ws.puppet("held");
    for (task, after) in
        [("own", "timed out after 150ms"), ("settings", "timed out after 100ms"), ("nice", "timed out")]
    {
        let ran = ws.try_run(task).exit(1).says(after);
        assert_eq!(ran.failure(task), "timeout");
    }
    ws.try_run("own").says("buy a faster one");
    // Ending well because it was asked to end is no success.
    ws.try_run("nice").exit(1);
}

/// Succeeds the third time.
const THIRD: &str = "run = 'echo x >> ../t.ran; test $(wc -l < ../t.ran) -ge 3'\nsources = []\noutputs = []";

#[test]
fn a_retried_pass_is_flaky_and_counts() {
    let ws = Workspace::new(&format!("[tasks.t]\n{THIRD}\nretry = {{ attempts = 3, backoff = '1ms' }}"));
    ws.run("t").tasks("t ran").says("flaky, 3 attempts").says("1 ran (1 flaky)");
    assert_eq!(ws.count("t"), 3);
    ws.run("t").tasks("t fresh").says_nothing_of("flaky");
    let ws = Workspace::new(&format!("[tasks.t]\n{THIRD}\nretry = {{ attempts = 2, backoff = '1ms' }}"));
    ws.try_run("t").exit(1).tasks("t failed").says("2 attempts");
    assert_eq!(ws.count("t"), 2);
}

#[test]
fn what_is_polled_is_tried_until_it_succeeds_and_is_not_flaky() {
    let ws = Workspace::new(&format!("[tasks.t]\n{THIRD}\npoll = {{ every = '1ms', timeout = '50s' }}"));
    ws.run("t").tasks("t ran").says_nothing_of("flaky");
    assert_eq!(ws.count("t"), 3);
    let ws =
        Workspace::new("[tasks.t]\nrun = 'echo x >> ../t.ran; exit 1'\npoll = { every = '1ms', timeout = '200ms' }");
    let ran = ws.try_run("t").exit(1);
    assert_eq!(ran.failure("t"), "timeout");
    assert!(ws.count("t") >= 1);
}

#[test]
fn who_shares_a_lock_does_not_run_at_once() {
    let mut text = String::new();
    for n in 0..6 {
        text.push_str(&format!(
            "[tasks.t{n}]\nrun = 'mkdir ../held; for i in {{1..3000}}; do :; done; rmdir ../held'\nlocks = ['docker', 'l{n}']\n"
        ));
    }
    let ws = Workspace::new(&text);
    ws.run("-j6 t*");
}

#[test]
fn locks_hold_between_processes_too() {
    let ws = Workspace::new(
        "[tasks.a]\nrun = '../pause a'\nlocks = ['l']\n[tasks.b]\nrun = 'echo x >> ../b.ran'\nlocks = ['l']",
    );
    let puppet = ws.puppet("a");
    let first = ws.weir(&["run", "a"]).spawn();
    puppet.arrives();
    let mut second = ws.weir(&["run", "b"]).spawn();
    second.wait_for(&format!("pid {}", first.pid()));
    assert_eq!(ws.count("b"), 0);
    puppet.goes_on();
    first.end().success();
    second.end().success();
    assert_eq!(ws.count("b"), 1);
}

#[test]
fn one_at_a_time_means_one_at_a_time() {
    let mut text = String::new();
    for n in 0..5 {
        text.push_str(&format!(
            "[tasks.t{n}]\nrun = 'mkdir ../held; for i in {{1..2000}}; do :; done; rmdir ../held'\n"
        ));
    }
    let ws = Workspace::new(&text);
    ws.run("-j1 t*");
    let ws = Workspace::new(&format!("[settings]\njobs = 1\n{text}"));
    ws.run("t*");
}

#[test]
fn a_quiet_task_is_heard_when_it_fails() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'echo murmur; test ! -e ../fails'\nquiet = true\nsources = []\noutputs = []\nhelp = 'look again'",
    );
    ws.run("t").says_nothing_of("murmur").says_nothing_of("look again");
    ws.run("t").tasks("t fresh").says_nothing_of("murmur");
    std::fs::write(ws.outside("fails"), "").unwrap();
    ws.try_run("-f t").exit(1).says("murmur").says("help: look again");
}

#[test]
fn an_interactive_task_has_the_terminal_and_is_never_skipped() {
    let ws = Workspace::new("[tasks.t]\nrun = 'echo on stdout; echo on stderr >&2'\ninteractive = true");
    for _ in 0..2 {
        let ran = ws.run("t").tasks("t ran");
        assert!(ran.out.contains("on stdout") && ran.err.contains("on stderr"), "{}", ran.shown());
    }
}

#[test]
fn a_local_result_stays_in_its_checkout() {
    let shared = tempfile::tempdir().unwrap();
    let text = "[tasks.all]\ndepends = ['here', 'there', 'never']\n\
                [tasks.here]\nrun = 'echo h > h'\nsources = []\noutputs = ['h']\ncache = 'local'\n\
                [tasks.there]\nrun = 'echo t > t'\nsources = []\noutputs = ['t']\ncache = true\n\
                [tasks.never]\nrun = 'true'\nsources = []\noutputs = []\ncache = false";
    let (one, two) = (Workspace::new(text), Workspace::new(text));
    let run = |ws: &Workspace| ws.weir(&["run", "all"]).env("WEIR_CACHE_DIR", shared.path()).ok();
    run(&one).tasks("here ran, there ran, never ran");
    run(&one).tasks("here fresh, there fresh, never ran");
    run(&two).tasks("here ran, there hit, never ran");
    assert_eq!(two.read("t"), "t\n");
    // Nor is it left there for those who would look.
    let left = walkdir::WalkDir::new(shared.path().join("results")).into_iter().flatten();
    let left: Vec<_> = left.filter(|entry| entry.file_type().is_file()).collect();
    assert_eq!(left.len(), 1, "{left:?}");
    // Without the shared cache a checkout is on its own.
    let three = Workspace::new(text);
    three.run("all").tasks("here ran, there ran, never ran");
}
