//! `soak`: repeats a task, tells how often it passed, groups its failures, and says how to have one again.

use crate::more::{all_end, pids};
use crate::support::{Ran, Workspace, alive, wait_until};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

/// Fails one time in ten, in two ways.
const FLAKY: &str = "[tasks.flaky]\nrun = '''\n\
    echo x >> ../flaky.ran\n\
    n=${WEIR_SOAK_ITERATION:-0}\n\
    echo \"$(date +%s%N) pid $$: seed $n\"\n\
    case $n in *37) echo \"lost connection to 10.0.0.$n:5432 in ${WEIR_SCRATCH:-}\"; exit 3;; esac\n\
    case $n in *7) echo \"assertion failed: left $n, right $((n * 2))\"; exit 1;; esac\n'''\n\
    sources = []\noutputs = []\n";

fn flaky(soak: &str) -> Workspace {
    Workspace::new(&format!("{FLAKY}[tasks.'flaky:soak']\nsoak = {{ task = 'flaky', {soak} }}\n"))
}

/// The only event of a kind.
fn event(ran: &Ran, kind: &str) -> Value {
    let all = events(ran, kind);
    assert_eq!(all.len(), 1, "{kind}: {}", ran.shown());
    all.into_iter().next().unwrap()
}

fn events(ran: &Ran, kind: &str) -> Vec<Value> {
    ran.record_without_times().into_iter().filter(|event| event["event"] == kind).collect()
}

fn numbers(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect()
}

#[test]
fn a_flaky_task_is_found_out() {
    let ws = flaky("runs = 200");
    let ran = ws.try_run("-f --report out.json flaky:soak").exit(1);
    let soak = event(&ran, "soak_finished");
    assert_eq!((&soak["iterations"], &soak["passed"], &soak["failed"]), (&200.into(), &180.into(), &20.into()));
    assert_eq!((&soak["pass_rate"], &soak["ended"]), (&900_000.into(), &"runs".into()));
    let interval = numbers(&soak["interval"]);
    assert!(interval[0] < 900_000 && 900_000 < interval[1], "{interval:?}");
    assert_eq!((interval[0] / 1000, interval[1] / 1000), (850, 934));
    let groups = soak["groups"].as_array().unwrap();
    let found: Vec<usize> = groups.iter().map(|group| numbers(&group["iterations"]).len()).collect();
    assert_eq!(found, [18, 2], "{}", ran.shown());
    assert_eq!(numbers(&groups[1]["iterations"]), [37, 137]);
    assert!(groups[0]["excerpt"].as_str().unwrap().ends_with("assertion failed: left 7, right 14"));
    let took = &soak["durations"];
    let took: Vec<u64> = ["min_ms", "p50_ms", "p95_ms", "max_ms"].map(|name| took[name].as_u64().unwrap()).into();
    assert!(took.is_sorted() && took[3] > 0, "{took:?}");
    assert_eq!(ws.count("flaky"), 200);
    let report: Value = serde_json::from_str(&ws.read("out.json")).unwrap();
    assert_eq!(report["soaks"][0]["failures"], soak["failures"]);
    ran.says("200 iterations of `flaky` in ")
        .says("180 passed, 20 failed")
        .says("pass rate: 90.0 % (95 % interval: 85.1 % to 93.4 %)")
        .says("  18 × exit status 1: 7, 17, 27, 47, ")
        .says("  2 × exit status 3: 37, 137")
        .says("failed: `flaky:soak` (20 of 200 iterations failed)")
        .says("again: weir run -f --iteration 37 flaky:soak");
}

#[test]
fn each_failure_has_its_log_and_can_be_had_again() {
    let ws = flaky("runs = 40");
    let ran = ws.try_run("-f flaky:soak").exit(1);
    let soak = event(&ran, "soak_finished");
    let logs: Vec<String> = ws.weir_files().into_iter().filter(|file| file.contains("/logs/")).collect();
    let own = logs.iter().filter(|file| file.contains("flaky_soak")).count();
    // The soak's own, and of each failure: those that passed leave none.
    assert_eq!(own, 1 + 4, "{logs:?}");
    for failure in soak["failures"].as_array().unwrap() {
        let log = logs.iter().find(|file| file.ends_with(failure["log"].as_str().unwrap())).unwrap();
        let number = failure["iteration"].as_u64().unwrap();
        assert!(ws.read(log).contains(&format!("seed {number}\n")));
        assert!(ran.shown().contains(log.as_str()), "{log} is not named: {}", ran.shown());
    }
    let again = soak["failures"][3]["again"].as_str().unwrap();
    assert_eq!(again, "weir run -f --iteration 37 flaky:soak");
    let before = ws.count("flaky");
    let words: Vec<&str> = again.split(' ').skip(1).collect();
    let once = ws.weir(&words).go().exit(1).says("seed 37").says("lost connection to 10.0.0.37");
    assert_eq!((ws.count("flaky"), once.failure("flaky:soak")), (before + 1, "exit"));
    // One iteration is evidence of nothing.
    assert!(events(&once, "soak_finished").is_empty());
    ws.run("-f --iteration 38 flaky:soak").says("seed 38").tasks("flaky:soak ran");
    ws.weir(&["run", "-f", "--iteration", "3", "flaky"]).go().exit(2).says("`--iteration` is about one soak");
}

#[test]
fn it_runs_though_the_task_is_cached_and_records_nothing() {
    let ws = flaky("runs = 5");
    ws.run("flaky").tasks("flaky ran");
    ws.run("-f flaky:soak").tasks("flaky:soak ran").says("100.0 % (95 % interval: 56.6 % to 100.0 %)");
    ws.run("-f flaky:soak").tasks("flaky:soak ran");
    assert_eq!(ws.count("flaky"), 1 + 5 + 5);
    ws.run("flaky").tasks("flaky fresh");
    ws.weir(&["run", "-f", "-n", "flaky:soak"]).ok().says("a soak is never cached");
    assert_eq!(ws.count("flaky"), 11);
}

#[test]
fn it_ends_at_the_first_failure_or_when_its_time_is_up() {
    let ws = flaky("runs = 100, until = 'failure'");
    let ran = ws.try_run("-f flaky:soak").exit(1).says("ended: it was to run until a failure");
    assert_eq!((ws.count("flaky"), &event(&ran, "soak_finished")["iterations"]), (7, &7.into()));
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'echo x >> ../t.ran'\n\
         [tasks.s]\nsoak = { task = 't', for = '300ms', runs = 1000000 }\n",
    );
    let ran = ws.run("-f s").says("ended: its time was up");
    let soak = event(&ran, "soak_finished");
    assert_eq!(soak["iterations"].as_u64().unwrap(), ws.count("t") as u64);
    assert!(soak["wall_ms"].as_u64().unwrap_or(300) >= 300);
}

#[test]
fn iterations_at_once_have_ports_and_folders_of_their_own() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = '''\necho \"$PORT $ADMIN $WEIR_SCRATCH\" >> ../given\n\
         test -d \"$WEIR_SCRATCH\" && test \"$TMPDIR\" = \"$WEIR_SCRATCH/tmp\" && test -d \"$TMPDIR\"\n\
         test -z \"$(ls \"$TMPDIR\")\" && touch \"$TMPDIR/mine\"\n\
         ../pause \"i$WEIR_SOAK_ITERATION\"\n'''\nports = ['PORT', { ADMIN = 23481 }]\nsources = []\n\
         [tasks.s]\nsoak = { task = 't', runs = 8, jobs = 4 }\n",
    );
    let puppets: Vec<_> = (1..=4).map(|n| ws.puppet(&format!("i{n}"))).collect();
    let weir = ws.weir(&["run", "-f", "s"]).env("PORT", "23483").spawn();
    for puppet in &puppets {
        puppet.arrives();
    }
    // All four are held: no fifth may have started.
    let given = fs::read_to_string(ws.outside("given")).unwrap();
    let words: Vec<&str> = given.split_whitespace().collect();
    assert_eq!(words.len(), 12, "{given}");
    assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), 12, "{given}");
    let folders: Vec<&str> = words.into_iter().skip(2).step_by(3).collect();
    puppets.iter().for_each(|puppet| puppet.goes_on());
    let ran = weir.end().success().says("8 iterations of `t`").says_nothing_of("prefers");
    assert_eq!(ran.notices("s").len(), 1, "{}", ran.shown());
    ran.says("`PORT` is set outside, but iterations run at the same time; each has its own");
    assert!(folders.iter().all(|folder| !std::path::Path::new(folder).exists()));
}

#[test]
fn one_after_the_other_they_have_the_port_from_outside() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'test $PORT = 23485'\nports = 'PORT'\n[tasks.s]\nsoak = { task = 't', runs = 3 }\n",
    );
    ws.weir(&["run", "-f", "s"]).env("PORT", "23485").ok().says("3 passed, 0 failed");
}

#[test]
fn what_the_task_needs_runs_once_before_and_its_cleanup_once_after() {
    let log = |word: &str| format!("run = 'echo {word} >> ../order'\n");
    let ws = Workspace::new(&format!(
        "[tasks.up]\n{}[tasks.down]\n{}[tasks.t]\n{}depends = ['up']\ndepends_post = ['down']\nsources = []\n\
         [tasks.extra]\n{}[tasks.s]\nsoak = {{ task = 't', runs = 3 }}\ndepends = ['extra']\n",
        log("up"),
        log("down"),
        log("t"),
        log("extra"),
    ));
    ws.run("-f -j1 s").tasks("up ran, extra ran, s ran, down ran");
    let order = fs::read_to_string(ws.outside("order")).unwrap();
    let mut words: Vec<&str> = order.lines().collect();
    words[..2].sort_unstable();
    assert_eq!(words, ["extra", "up", "t", "t", "t", "down"]);
    // A soak that could not begin is no soak that passed.
    ws.tasks("[tasks.up]\nrun = 'false'\n[tasks.t]\nrun = 'true'\ndepends = ['up']\n[tasks.s]\nsoak = { task = 't', runs = 3 }");
    ws.try_run("-f s").exit(1).tasks("up failed, s skipped");
}

#[test]
fn its_arguments_are_those_of_the_task() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'echo \"$WEIR_ARG_MODE $1\" >> ../args; test \"$1\" = good'\nargs = [{ name = 'mode', choices = ['good', 'bad'], default = 'good' }]\n\
         [tasks.s]\nsoak = { task = 't', runs = 2 }\n",
    );
    ws.run("-f s");
    ws.weir(&["run", "-f", "s", "--", "bad"]).go().exit(1).says("weir run -f --iteration 1 s -- bad");
    let ran = ws.weir(&["run", "-f", "s", "--profile", "ci", "--", "bad"]).go().exit(1);
    ran.says("weir run -f --iteration 1 s --profile ci -- bad");
    ws.weir(&["run", "-f", "s", "--", "ugly"]).go().exit(2).says("`ugly` is no choice for argument `mode` of `t`");
    assert_eq!(
        fs::read_to_string(ws.outside("args")).unwrap(),
        "good good\ngood good\nbad bad\nbad bad\nbad bad\nbad bad\n"
    );
}

#[test]
fn an_interrupt_reports_what_there_is() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = '''\ncase $WEIR_SOAK_ITERATION in 2) exit 1;; 4|5) echo $$ >> ../pids; ../pause never;; esac\n'''\n\
         [tasks.s]\nsoak = { task = 't', runs = 1000, jobs = 2 }\n",
    );
    let puppet = ws.puppet("never");
    let weir = ws.weir(&["run", "-f", "s"]).spawn();
    let pids = pids(&ws, "pids", 2);
    weir.signal(Signal::SIGINT);
    let ran = weir.end().exit(130).tasks("s failed");
    let soak = event(&ran, "soak_finished");
    let count = |name: &str| soak[name].as_u64().unwrap();
    assert_eq!((count("iterations"), count("passed"), count("failed"), count("cut_short")), (3, 2, 1, 2));
    assert_eq!((ran.failure("s"), &soak["ended"]), ("interrupted", &"interrupted".into()));
    ran.says("3 iterations of `t` in ").says("2 passed, 1 failed, 2 cut short").says("ended: it was interrupted");
    assert!(!pids.into_iter().any(alive));
    puppet.retire();
}

#[test]
fn it_is_in_the_junit_report_and_evidence() {
    let ws = flaky("runs = 17");
    let ran = ws.try_run("-f --report out.xml flaky:soak").exit(1);
    let xml = ws.read("out.xml");
    for text in [
        "<testsuite name=\"flaky:soak\" tests=\"17\" failures=\"2\" errors=\"0\" skipped=\"0\"",
        "<testcase classname=\"flaky:soak\" name=\"iteration 7\"",
        "<failure message=\"exit status 1\"/>",
        "<failure message=\"2 of 17 iterations failed\"/>",
    ] {
        assert!(xml.contains(text), "{text}: {xml}");
    }
    let record =
        ws.weir_files().into_iter().find(|file| file.contains("/evidence/soak-flaky-soak-") && !file.contains("dsse"));
    let record: Value = serde_json::from_str(&ws.read(&record.unwrap_or_else(|| panic!("{}", ran.shown())))).unwrap();
    assert_eq!((&record["status"], &record["soak"]["failed"]), (&"fail".into(), &2.into()));
    assert_eq!((&record["title"], &record["soak"]["iterations"]), (&"soak `flaky:soak`".into(), &17.into()));
}

#[test]
fn secrets_are_masked_in_logs_and_groups() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'echo token $TOKEN; exit 1'\npass_through = ['TOKEN']\nredact = ['TOKEN']\n\
         [tasks.s]\nsoak = { task = 't', runs = 2 }\n",
    );
    let ran = ws.weir(&["run", "-f", "s"]).env("TOKEN", "s3cr3t-0123").go().exit(1);
    ran.says_nothing_of("s3cr3t").says("| token ***");
    for (file, content) in ws.weir_contents() {
        assert!(!String::from_utf8_lossy(&content).contains("s3cr3t"), "{file}");
    }
}

#[test]
fn what_a_killed_soak_left_goes_with_the_next_once_its_processes_are_gone() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = '''\ntrap '' TERM\n[ -n \"${WEIR_SCRATCH:-}\" ] && touch \"$TMPDIR/mine\"\n\
         echo \"$WEIR_SCRATCH\" >> ../scratch; echo $$ >> ../pids; ../pause held\n'''\n\
         [tasks.s]\nsoak = { task = 't', runs = 1 }\n",
    );
    // Of its own, so that no other soak on this machine comes by.
    let temporary = ws.outside("tmp");
    for folder in ["", "weir-soak-somebodys", "weir-soak-somebodys/lock"] {
        fs::create_dir(temporary.join(folder)).unwrap();
    }
    let soak = |ws: &Workspace| ws.weir(&["run", "-f", "s"]).env("TMPDIR", &temporary).spawn();
    let folders = || fs::read_dir(&temporary).unwrap().count();
    let puppet = ws.puppet("held");
    let weir = soak(&ws);
    puppet.arrives();
    let scratch = fs::read_to_string(ws.outside("scratch")).unwrap();
    assert!(std::path::Path::new(scratch.trim()).join("tmp/mine").exists());
    let task = pids(&ws, "pids", 1)[0];
    let other = Workspace::new("[tasks.t]\nrun = 'true'\n[tasks.s]\nsoak = { task = 't', runs = 2 }\n");
    // While it runs, nobody touches it.
    soak(&other).end().success();
    assert_eq!(folders(), 2);
    weir.kill();
    soak(&other).end().success();
    // Nor while it is being ended, which takes until it is killed.
    assert!(folders() == 2 || !alive(task));
    puppet.retire();
    all_end(&[task]);
    // The guard is the last to go.
    wait_until("a later soak has removed it", || {
        soak(&other).end().success();
        folders() == 1
    });
    assert!(temporary.join("weir-soak-somebodys/lock").exists());
}
