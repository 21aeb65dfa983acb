//! Law 22: Ctrl-C once: nothing new starts, tasks are asked to end, cleanup runs, 130. Twice: they
//! are killed. SIGTERM: the same, 143.

use crate::more::{all_end, pids};
use crate::support::{Running, Workspace, alive};
use nix::sys::signal::Signal;

/// `slow` is held, `later` waits for it, `tidy` cleans up after it.
fn workspace(slow: &str) -> Workspace {
    Workspace::new(&format!(
        "[tasks.slow]\nrun = '''\n{slow}\n'''\ndepends_post = ['tidy']\nsources = []\noutputs = []\n\
         [tasks.later]\nrun = 'echo x >> ../later.ran'\ndepends = ['slow']\n\
         [tasks.aside]\nrun = 'echo x >> ../aside.ran'\nlocks = ['one']\n\
         [tasks.holds]\nrun = '../pause holds'\nlocks = ['one']\n\
         [tasks.tidy]\nrun = 'echo x >> ../tidy.ran; ../pause tidy; echo x >> ../tidied.ran'\n"
    ))
}

fn start(ws: &Workspace, tasks: &[&str]) -> Running {
    let words: Vec<&str> = ["run"].into_iter().chain(tasks.iter().copied()).collect();
    ws.weir(&words).spawn()
}

#[test]
fn once_asks_cleans_up_and_exits_130_or_143() {
    for (signal, name, code) in [(Signal::SIGINT, "INT", 130), (Signal::SIGTERM, "TERM", 143)] {
        let ws = workspace(&format!("trap 'echo x >> ../asked.ran; exit 0' {name}\n../pause slow"));
        let puppet = ws.puppet("slow");
        let weir = start(&ws, &["later"]);
        let child = puppet.arrives();
        weir.signal(signal);
        let ran = weir.end().exit(code).tasks("slow failed, tidy ran, later skipped");
        assert_eq!(ran.failure("slow"), "interrupted");
        assert_eq!((ws.count("asked"), ws.count("tidied"), ws.count("later")), (1, 1, 0));
        assert!(!alive(child));
        // An end that was asked for is no success, whatever the exit status.
        puppet.retire();
        ws.run("slow").tasks("slow ran");
    }
}

#[test]
fn nothing_new_starts_after_the_first() {
    let ws = workspace("true");
    let held = ws.puppet("holds");
    let weir = start(&ws, &["-j1", "holds", "aside"]);
    // Whichever took the lock first; if `aside` did, it has ended before `holds` is held.
    held.arrives();
    let before = ws.count("aside");
    weir.signal(Signal::SIGINT);
    weir.end().exit(130);
    assert_eq!(ws.count("aside"), before);
}

#[test]
fn twice_kills_and_cleans_up_no_more() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let ws = workspace("trap '' INT TERM\necho $$ >> ../pids\n../pause slow\nexit 0");
        let puppet = ws.puppet("slow");
        let mut weir = start(&ws, &["later"]);
        let held = puppet.arrives();
        let mut all = pids(&ws, "pids", 1);
        all.push(held);
        weir.signal(signal);
        weir.wait_for("interrupt");
        weir.signal(signal);
        let ran = weir.end().exit(code);
        assert_eq!((ws.count("tidy"), ws.count("later")), (0, 0), "{}", ran.shown());
        all_end(&all);
    }
}

#[test]
fn a_second_one_during_cleanup_ends_the_cleanup() {
    let ws = workspace("../pause slow");
    let (slow, tidy) = (ws.puppet("slow"), ws.puppet("tidy"));
    let weir = start(&ws, &["slow"]);
    slow.arrives();
    weir.signal(Signal::SIGINT);
    let cleanup = tidy.arrives();
    weir.signal(Signal::SIGINT);
    weir.end().exit(130);
    assert!(!alive(cleanup));
    assert_eq!(ws.count("tidied"), 0);
}

#[test]
fn a_child_that_ignores_the_interrupt_does_not_outlive_weir() {
    let ws = workspace("trap '' INT TERM\necho $$ >> ../pids\n../pause slow");
    let puppet = ws.puppet("slow");
    let weir = start(&ws, &["slow"]);
    let mut all = vec![puppet.arrives()];
    all.extend(pids(&ws, "pids", 1));
    weir.signal(Signal::SIGTERM);
    weir.end().exit(143);
    assert!(!all.iter().any(|pid| alive(*pid)), "{all:?}");
    assert_eq!(ws.count("tidied"), 1);
}

#[test]
fn an_interrupt_is_said_last_and_what_was_not_started_is_skipped() {
    let ws = workspace("../pause slow");
    let puppet = ws.puppet("slow");
    let weir = start(&ws, &["later"]);
    puppet.arrives();
    weir.signal(Signal::SIGINT);
    weir.end().exit(130).says("interrupted by SIGINT").says("not started after the interrupt");
}
