//! `service`: started for the first dependent that runs, ready before it goes on, stopped after the last, in every way
//! that this can go wrong.

use crate::support::{Ran, Workspace, alive, wait_until};
use nix::sys::signal::Signal;
use std::net::{TcpListener, TcpStream};

/// A service named NAME that writes down when it is up and when it is asked to end, and one line per word.
fn service(name: &str, more: &str) -> String {
    let ready = if more.contains("service") { "" } else { "service = { ready = { log = '^ready$' } }\n" };
    format!(
        "[tasks.{name}]\nsources = []\n{ready}{more}\nrun = '''\ntrap 'echo {name} down >> ../story; exit 0' TERM\n\
         echo {name} up >> ../story; echo $$ > ../{name}.pid; echo hello; echo ready\nsleep 1000 & wait\n'''\n"
    )
}

/// A task that says so in the story.
fn task(name: &str, more: &str) -> String {
    format!(
        "[tasks.{name}]\nsources = []\noutputs = []\n{more}\nrun = 'echo {name} >> ../story; echo x >> ../{name}.ran'\n"
    )
}

fn story(ws: &Workspace) -> Vec<String> {
    let text = std::fs::read_to_string(ws.outside("story")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn pid(ws: &Workspace, name: &str) -> u32 {
    let read = || std::fs::read_to_string(ws.outside(&format!("{name}.pid"))).unwrap_or_default();
    wait_until("the service runs", || read().ends_with('\n'));
    read().trim().parse().unwrap()
}

/// A server in Perl that answers every request with `$STATUS` on `$PORT`.
const SERVER: &str = r#"
use IO::Socket::INET; $| = 1; $SIG{TERM} = sub { exit 0 };
my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $ENV{PORT}, Listen => 5, ReuseAddr => 1) or die "failed to bind: $!\n";
print "listening\n";
while (1) { my $c = $s->accept or next; my $line = <$c>; print $c "HTTP/1.1 $ENV{STATUS} X\r\n\r\n"; close $c }
"#;

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn server(port: u16, status: &str, ready: &str) -> Workspace {
    let ws = Workspace::new(&format!(
        "[tasks.api]\nsources = ['server.pl']\nexec = ['perl', 'server.pl']\nenv = {{ PORT = {port}, STATUS = '{status}' }}\n\
         service = {{ ready = {ready} }}\n{}",
        task("t", "depends = ['api']")
    ));
    ws.write("server.pl", SERVER);
    ws
}

fn stages(ran: &Ran, service: &str) -> Vec<String> {
    let events = ran.record_without_times();
    let own = events.iter().filter(|event| event["event"] == "service" && event["task"] == service);
    own.map(|event| event["stage"].as_str().unwrap().to_owned()).collect()
}

fn finished(ran: &Ran, task: &str) -> usize {
    let events = ran.record_without_times();
    events.iter().filter(|event| event["event"] == "task_finished" && event["task"] == task).count()
}

#[test]
fn it_runs_while_its_dependents_do_and_is_no_task_of_the_run() {
    let ws =
        Workspace::new(&(service("api", "") + &task("a", "depends = ['api']") + &task("b", "depends = ['api', 'a']")));
    let ran = ws.run("b").tasks("a ran, b ran").says("2 ran");
    assert_eq!(story(&ws), ["api up", "a", "b", "api down"]);
    assert_eq!(stages(&ran, "api"), ["starting", "ready", "stopped"]);
    assert_eq!(finished(&ran, "api"), 0);
    let logs: Vec<String> = ws.weir_files().into_iter().filter(|file| file.ends_with("logs/api.log")).collect();
    assert_eq!(ws.read(&logs[0]), "hello\nready\n");
    // Nothing to do: it does not even start.
    let again = ws.run("b").tasks("a fresh, b fresh");
    assert!(stages(&again, "api").is_empty());
    assert_eq!(story(&ws).len(), 4);
    // As often as one likes.
    ws.run("b").tasks("a fresh, b fresh");
}

#[test]
fn a_change_of_it_makes_its_dependents_run() {
    let text = |word: &str, timeout: &str| {
        format!(
            "[tasks.api]\nsources = ['conf']\nservice = {{ ready = {{ log = 'ready', timeout = '{timeout}' }} }}\n\
            run = 'echo {word} ready; sleep 1000'\n{}",
            task("t", "depends = ['api']")
        )
    };
    let ws = Workspace::new(&text("a", "20s"));
    ws.write("conf", "1");
    ws.run("t").tasks("t ran");
    ws.run("t").tasks("t fresh");
    ws.write("conf", "2");
    let ran = ws.run("t").tasks("t ran");
    assert_eq!(ran.reasons("t"), ["changed"]);
    ws.tasks(&text("b", "20s"));
    ws.run("t").tasks("t ran");
    // How long may be waited is no input.
    ws.tasks(&text("b", "21s"));
    ws.run("t").tasks("t fresh");
}

#[test]
fn without_sources_it_taints_unless_it_only_orders() {
    let api = "[tasks.api]\nservice = {}\nrun = 'sleep 1000'\n";
    let ordered = task("o", "depends = [{ task = 'api', order_only = true }]");
    let ws = Workspace::new(&format!("{api}{}{ordered}", task("t", "depends = ['api']")));
    ws.run("t o").tasks("t ran, o ran");
    let ran = ws.run("t o").tasks("t ran, o fresh");
    assert_eq!(ran.reasons("t"), ["tainted"]);
}

#[test]
fn services_of_services_stop_in_reverse_and_groups_are_looked_through() {
    let ws = Workspace::new(&format!(
        "{}{}[tasks.stack]\ndepends = ['web']\n{}",
        service("db", ""),
        service("web", "depends = ['db']"),
        task("t", "depends = ['stack']")
    ));
    ws.run("t");
    assert_eq!(story(&ws), ["db up", "web up", "t", "web down", "db down"]);
}

#[test]
fn in_a_sequence_it_lasts_for_the_steps_after_it() {
    let ws = Workspace::new(&format!(
        "{}{}{}[tasks.all]\nsequence = ['api', 'a', 'b']\n",
        service("api", ""),
        task("a", ""),
        task("b", "")
    ));
    ws.run("all");
    assert_eq!(story(&ws), ["api up", "a", "b", "api down"]);
}

#[test]
fn it_is_stopped_after_a_failure_and_its_cleanup_runs_then() {
    let fail = "[tasks.bad]\ndepends = ['api']\nsources = []\nrun = 'echo bad >> ../story; exit 3'\n";
    let api = service("api", "depends_post = ['clean']");
    for flags in ["bad b", "-k bad b"] {
        let text = format!("{api}{fail}{}{}", task("clean", ""), task("b", "depends = ['api']\nwait_for = ['bad']"));
        let ws = Workspace::new(&text);
        let ran = ws.try_run(flags).exit(1);
        let with_b = ["api up", "bad", "b", "api down", "clean"];
        let without = ["api up", "bad", "api down", "clean"];
        assert_eq!(story(&ws), if flags.starts_with("-k") { &with_b[..] } else { &without[..] }, "{}", ran.shown());
        assert_eq!(finished(&ran, "api"), 0);
    }
}

#[test]
fn one_that_dies_while_it_is_needed_fails_what_needs_it() {
    let ws = Workspace::new(&format!(
        "[tasks.api]\nsources = []\nservice = {{ ready = {{ log = 'ready' }} }}\nrun = '''\necho $$ > ../api.pid; echo ready\n\
         sleep 1000 & wait\n'''\n[tasks.t]\ndepends = ['api']\nsources = []\nrun = '../pause t; sleep 1000'\n{}",
        task("b", "depends = ['api']\nwait_for = ['t']")
    ));
    let puppet = ws.puppet("t");
    let weir = ws.weir(&["run", "-k", "t", "b"]).spawn();
    puppet.arrives();
    let api = nix::unistd::Pid::from_raw(i32::try_from(pid(&ws, "api")).unwrap());
    nix::sys::signal::kill(api, Signal::SIGKILL).unwrap();
    let ran = weir.end().exit(1).tasks("t failed, api failed, b skipped");
    assert_eq!((ran.failure("t"), ran.failure("api")), ("service", "node"));
    ran.says("its service `api`: was ended by SIGKILL").says("the last lines of `api`").says("failed: `api` (");
    // Nothing was recorded of what it was lost to.
    ws.run("b").tasks("b ran");
}

#[test]
fn one_that_ends_before_it_is_ready_says_how_and_what_it_printed() {
    let ws = Workspace::new(&format!(
        "[tasks.api]\nsources = []\nservice = {{ ready = {{ log = 'never' }} }}\nrun = 'echo out of luck; exit 7'\n{}",
        task("t", "depends = ['api']")
    ));
    let ran = ws.try_run("t").exit(1).tasks("api failed, t failed");
    ran.says("exited with status 7 before it was ready").says("out of luck").says("failed: `api` (");
    assert_eq!(ws.count("t"), 0);
}

#[test]
fn one_that_is_never_ready_is_given_up_and_ended() {
    for (probe, what) in [
        ("log = 'never'", "printed no line that matches `never`"),
        ("command = 'echo not yet; exit 4'", "`echo not yet; exit 4` does not succeed (exit status 4: not yet)"),
        ("tcp = '127.0.0.1:1'", "`127.0.0.1:1` takes no connection (connection refused)"),
    ] {
        let ready = format!("service = {{ ready = {{ {probe}, timeout = '400ms' }} }}");
        let ws = Workspace::new(&(service("api", &ready) + &task("t", "depends = ['api']")));
        ws.try_run("t").exit(1).says("not ready after 400ms").says(what);
        assert_eq!(story(&ws).last().map(String::as_str), Some("api down"), "{probe}");
        assert!(!alive(pid(&ws, "api")));
    }
}

#[test]
fn a_probe_that_hangs_is_bounded() {
    // It takes connections and never says a word.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mute = "use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $ENV{PORT}, \
                Listen => 5, ReuseAddr => 1) or die; my @held; push @held, $s->accept while 1;";
    let ready = format!("{{ http = 'http://127.0.0.1:{port}/', timeout = '700ms' }}");
    let ws = server(port, "200", &ready);
    ws.write("server.pl", mute);
    ws.try_run("t").exit(1).says("not ready after 700ms").says("does not answer with 2xx or 3xx");
    let hangs = "service = { ready = { command = 'sleep 1000', timeout = '500ms' } }";
    let ws = Workspace::new(&(service("api", hangs) + &task("t", "depends = ['api']")));
    ws.try_run("t").exit(1).says("not ready after 500ms").says("`sleep 1000` does not succeed");
}

#[test]
fn http_wants_a_good_answer_and_variables_are_filled_in() {
    let port = free_port();
    let ws = server(port, "302", "{ http = 'http://localhost:$PORT/health' }");
    ws.run("t").tasks("t ran");
    let ws = server(port, "503", "{ http = 'http://127.0.0.1:${PORT}/', timeout = '2s' }");
    ws.try_run("t").exit(1).says("it answers with 503");
    let ws = server(port, "200", "{ tcp = '$PORT' }");
    ws.run("t").tasks("t ran");
    let ws = server(port, "200", "{ tcp = '127.0.0.1:$PROT' }");
    ws.try_run("t").exit(1).says("names `$PROT`, which is not set for the service");
}

#[test]
fn somebody_else_on_its_port_is_not_taken_for_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for probe in [format!("{{ tcp = '127.0.0.1:{port}' }}"), format!("{{ http = 'http://127.0.0.1:{port}/' }}")] {
        let ws = server(port, "200", &probe);
        let ran = ws.try_run("t").exit(1).tasks("api failed, t failed");
        let who = if cfg!(target_os = "linux") { format!(": pid {} (", std::process::id()) } else { String::new() };
        let said = format!("not started: something else listens on `127.0.0.1:{port}` already{who}");
        assert!(stages(&ran.says(&said), "api").is_empty());
        assert_eq!(ws.count("t"), 0);
    }
}

#[test]
fn one_that_forks_away_is_told_of_and_its_child_ended() {
    let ws = Workspace::new(&format!(
        "[tasks.api]\nsources = []\nservice = {{ ready = {{ log = 'never' }} }}\nrun = 'sleep 1000 & echo $! > ../api.pid'\n{}",
        task("t", "depends = ['api']")
    ));
    ws.try_run("t")
        .exit(1)
        .says("exited with status 0 before it was ready, and left a process running in the background")
        .says("have it stay in the foreground");
    assert!(!alive(pid(&ws, "api")));
}

#[test]
fn one_that_ignores_its_signal_is_killed_and_that_is_said() {
    let ws = Workspace::new(&format!(
        "[tasks.api]\nsources = []\nservice = {{ ready = {{ log = 'ready' }} }}\n\
         run = '''trap '' TERM; echo $$ > ../api.pid; echo ready; while :; do sleep 1000; done'''\n{}",
        task("t", "depends = ['api']")
    ));
    let ran = ws.run("t").tasks("t ran").says("it did not end when it was asked to");
    assert_eq!(stages(&ran, "api"), ["starting", "ready", "stopped"]);
    assert!(!alive(pid(&ws, "api")));
}

#[test]
fn the_signal_it_is_stopped_with_is_its_own() {
    let ws = Workspace::new(&format!(
        "[tasks.api]\nsources = []\nservice = {{ ready = {{ log = 'ready' }}, stop = 'INT' }}\n\
         run = '''trap 'echo int >> ../story; exit 0' INT; echo ready; sleep 1000 & wait'''\n{}",
        task("t", "depends = ['api']")
    ));
    ws.run("t");
    assert_eq!(story(&ws), ["t", "int"]);
}

#[test]
fn run_by_name_it_stays_until_ctrl_c_and_is_cleaned_up_after() {
    for (names, text) in [("api", ""), ("up", "[tasks.up]\ndepends = ['api']\n")] {
        let ws = Workspace::new(&format!("{}{text}{}", service("api", "depends_post = ['clean']"), task("clean", "")));
        // One slot: it takes none.
        let mut weir = ws.weir(&["run", "-j1", names]).spawn();
        weir.wait_for("until Ctrl-C");
        weir.wait_for("hello");
        weir.signal(Signal::SIGINT);
        let ran = weir.end().exit(130);
        assert_eq!(story(&ws), ["api up", "api down", "clean"], "{}", ran.shown());
        assert_eq!(stages(&ran, "api"), ["starting", "ready", "stopped"]);
    }
}

#[test]
fn run_by_name_beside_tasks_it_outlives_them() {
    let ws = Workspace::new(&(service("api", "") + &task("t", "depends = ['api']")));
    let mut weir = ws.weir(&["run", "-j1", "api", "t"]).spawn();
    wait_until("the task has run", || ws.count("t") == 1);
    weir.wait_for("until Ctrl-C");
    assert!(!weir.has_ended() && alive(pid(&ws, "api")));
    weir.signal(Signal::SIGTERM);
    weir.end().exit(143);
    assert_eq!(story(&ws), ["api up", "t", "api down"]);
}

#[test]
fn run_by_name_its_end_is_a_failure() {
    let ws = Workspace::new("[tasks.api]\nservice = { ready = { log = 'ready' } }\nrun = 'echo ready; exit 0'\n");
    ws.try_run("api").exit(1).tasks("api failed").says("exited with status 0");
    let text = "[tasks.db]\nservice = { ready = { log = 'ready' } }\nrun = 'echo ready; ../pause db; exit 5'\n";
    let ws = Workspace::new(&(text.to_owned() + &service("api", "depends = ['db']")));
    let puppet = ws.puppet("db");
    let mut weir = ws.weir(&["run", "api"]).spawn();
    weir.wait_for("until Ctrl-C");
    puppet.goes_on();
    weir.end().exit(1).tasks("db failed, api failed").says("exited with status 5");
    assert_eq!(story(&ws), ["api up", "api down"]);
}

#[test]
fn ctrl_c_ends_tasks_first_and_then_what_they_need() {
    let ws = Workspace::new(&format!(
        "{}[tasks.t]\ndepends = ['api']\nsources = []\nrun = '''trap 'echo t int >> ../story; exit 1' INT; ../pause t; sleep 1000 & wait'''\n",
        service("api", "")
    ));
    let puppet = ws.puppet("t");
    let weir = ws.weir(&["run", "t"]).spawn();
    puppet.arrives();
    weir.signal(Signal::SIGINT);
    weir.end().exit(130).tasks("t failed");
    assert_eq!(story(&ws), ["api up", "t int", "api down"]);
    // Twice: everything is killed.
    puppet.retire();
    let puppet = ws.puppet("t");
    std::fs::remove_file(ws.outside("api.pid")).unwrap();
    let mut weir = ws.weir(&["run", "t"]).spawn();
    let task = puppet.arrives();
    weir.signal(Signal::SIGINT);
    weir.wait_for("interrupted (SIGINT)");
    weir.signal(Signal::SIGINT);
    weir.end().exit(130);
    assert!(!alive(task) && !alive(pid(&ws, "api")));
}

#[test]
fn a_killed_weir_leaves_no_service_behind() {
    let ws = Workspace::new(&(service("api", "")));
    let mut weir = ws.weir(&["run", "api"]).spawn();
    weir.wait_for("until Ctrl-C");
    let api = pid(&ws, "api");
    weir.kill();
    wait_until("the service has ended", || !alive(api));
    assert_eq!(story(&ws), ["api up", "api down"]);
}

#[test]
fn two_runs_at_once_take_turns() {
    let hold =
        "[tasks.t]\ndepends = ['api']\nsources = ['conf']\noutputs = []\nrun = 'echo t >> ../story; ../pause t'\n";
    let ws = Workspace::new(&(service("api", "") + hold));
    ws.write("conf", "1");
    let puppet = ws.puppet("t");
    let first = ws.weir(&["run", "t"]).spawn();
    puppet.arrives();
    let mut second = ws.weir(&["run", "-f", "t"]).spawn();
    second.wait_for("waits for");
    puppet.goes_on();
    puppet.goes_on();
    first.end().success();
    second.end().success();
    assert_eq!(story(&ws), ["api up", "t", "api down", "api up", "t", "api down"]);
}

#[test]
fn a_source_that_changes_while_it_runs_is_not_recorded() {
    let ws = Workspace::new(&format!(
        "{}[tasks.t]\ndepends = ['api']\nsources = []\noutputs = []\nrun = '../pause t'\n",
        service("api", "").replace("sources = []", "sources = ['conf']")
    ));
    ws.write("conf", "1");
    let puppet = ws.puppet("t");
    let weir = ws.weir(&["run", "t"]).spawn();
    puppet.arrives();
    ws.write("conf", "2");
    puppet.goes_on();
    let ran = weir.end().success().says("of its service `api`: `conf` changed");
    assert_eq!(ran.notices("t")[0].0, "inputs-changed");
    puppet.retire();
    ws.write("conf", "1");
    ws.run("t").tasks("t ran");
}

#[test]
fn what_is_said_of_it_without_running_it() {
    let ws =
        Workspace::new(&format!("{}{}", service("api", "description = 'The program'"), task("t", "depends = ['api']")));
    ws.run("-n t").says("if needed").says("would run");
    ws.run("-n api").says("a service: it starts, and stays until Ctrl-C");
    ws.weir(&["explain", "api"])
        .ok()
        .says("`api` is a service: it starts for the first task depending on it that runs");
    ws.weir(&["tasks", "info", "api"])
        .ok()
        .says("prints a line that matches `^ready$`, within 30.00s; stopped with SIGTERM");
    ws.weir(&["tasks", "info", "t"]).ok().says("timeout");
    ws.weir(&["tasks", "deps", "check"]).ok();
    // Nobody has to depend on it.
    ws.tasks(&service("api", "description = 'The program'"));
    ws.weir(&["tasks", "deps", "check"]).ok();
    assert!(story(&ws).is_empty());
    assert!(TcpStream::connect("127.0.0.1:1").is_err());
}
