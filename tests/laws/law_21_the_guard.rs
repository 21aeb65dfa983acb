//! Law 21: when weir ends, for whatever reason, all that its tasks started ends.

use crate::more::{all_end, pids};
use crate::support::{Workspace, alive};
use nix::sys::signal::Signal;

/// Its children: a child, a grandchild of a parent that has ended, a daemon in a session of its
/// own, and one that ignores TERM and INT. Each writes its number to `../pids`.
const FAMILY: &str = "
sh -c 'echo $$ >> ../pids; exec sleep 600' &
sh -c 'sh -c \"echo \\$\\$ >> ../pids; exec sleep 600\" & exit 0'
setsid sh -c 'echo $$ >> ../pids; exec sleep 600' > /dev/null 2>&1 &
setsid sh -c 'setsid sh -c \"echo \\$\\$ >> ../pids; exec sleep 600\" & exit 0' > /dev/null 2>&1
";
const STUBBORN: &str = "
sh -c 'trap \"\" TERM INT HUP; echo $$ >> ../pids; while :; do sleep 600; done' &
";

fn workspace(script: &str, then: &str) -> Workspace {
    Workspace::new(&format!("[tasks.t]\nrun = '''\n{script}{then}\n'''"))
}

#[test]
fn killed_with_sigkill_weir_leaves_nobody_behind() {
    let ws = workspace(FAMILY, "echo $$ >> ../pids; ../pause held");
    let puppet = ws.puppet("held");
    let weir = ws.weir(&["run", "t"]).spawn();
    puppet.arrives();
    let family = pids(&ws, "pids", 5);
    assert!(family.iter().all(|pid| alive(*pid)), "{family:?}");
    weir.kill();
    all_end(&family);
}

#[test]
fn who_ignores_term_is_killed() {
    let ws = workspace(STUBBORN, "../pause held");
    let puppet = ws.puppet("held");
    let weir = ws.weir(&["run", "t"]).spawn();
    puppet.arrives();
    let family = pids(&ws, "pids", 1);
    weir.kill();
    all_end(&family);
}

#[test]
fn after_a_success_nobody_is_left_and_that_is_said() {
    // Each is waited for, so that it is there when the task ends.
    let ws = workspace(FAMILY, "until [ $(wc -l < ../pids) -ge 4 ]; do :; done");
    let ran = ws.run("t").says("left");
    let family = pids(&ws, "pids", 4);
    assert!(!family.iter().any(|pid| alive(*pid)), "{family:?}: {}", ran.shown());
    assert!(ran.told().iter().any(|(code, _)| code == "left-behind"), "{}", ran.shown());
}

#[test]
fn after_a_failure_and_a_timeout_nobody_is_left() {
    for (end, keys, failure) in [("exit 1", "", "exit"), ("../pause held", "timeout = '1s'\n", "timeout")] {
        let ws = Workspace::new(&format!(
            "[tasks.t]\n{keys}run = '''\n{FAMILY}until [ $(wc -l < ../pids) -ge 4 ]; do :; done\n{end}\n'''"
        ));
        let _puppet = ws.puppet("held");
        let ran = ws.try_run("t").exit(1);
        assert_eq!(ran.failure("t"), failure);
        let family = pids(&ws, "pids", 4);
        assert!(!family.iter().any(|pid| alive(*pid)), "{family:?}: {}", ran.shown());
    }
}

#[test]
fn ended_by_a_signal_weir_leaves_nobody_behind() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let ws = workspace(FAMILY, "../pause held");
        let puppet = ws.puppet("held");
        let weir = ws.weir(&["run", "t"]).spawn();
        puppet.arrives();
        let family = pids(&ws, "pids", 4);
        weir.signal(signal);
        weir.end().exit(code);
        assert!(!family.iter().any(|pid| alive(*pid)), "{family:?}");
    }
}

#[test]
fn the_next_run_starts_when_the_processes_of_a_killed_one_are_gone() {
    // Otherwise the orphan and the new process write the same output.
    let ws = Workspace::new(
        "[tasks.t]\nrun = '''\nif [ -e ../first ]; then kill -0 $(cat ../first) 2> /dev/null && exit 7; exit 0; fi\n\
         echo $$ > ../first; ../pause held\n'''\nsources = []\noutputs = []",
    );
    let puppet = ws.puppet("held");
    let weir = ws.weir(&["run", "t"]).spawn();
    puppet.arrives();
    weir.kill();
    ws.run("t").tasks("t ran");
}

/// weir's threads take short turns, so that they run soon after they are woken; what a command gets is what it would get anyway.
#[cfg(target_os = "linux")]
#[test]
fn a_command_has_the_turns_and_the_priority_that_it_would_have_without_weir() {
    const TELL: &str = "cat /proc/self/sched || :; echo nice $(nice)";
    let ws = Workspace::new(&format!("[tasks.here]\nrun = '( {TELL} ) > told'\n"));
    let of = |text: &str| -> Vec<String> {
        let told = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        told.filter(|line| ["se.slice", "policy", "prio", "nice"].iter().any(|name| line.contains(name))).collect()
    };
    let outside = std::process::Command::new("sh").args(["-c", TELL]).output().unwrap();
    let outside = of(&String::from_utf8(outside.stdout).unwrap());
    assert!(outside.iter().any(|line| line.starts_with("nice ")), "{outside:?}");
    ws.run("here");
    assert_eq!(of(&ws.read("told")), outside);
}
