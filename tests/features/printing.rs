//! What a task prints while it prints more than a reader that is woken up for each write should be bothered with: nothing
//! is lost, reordered or shown late, and the task can be ended.

use crate::support::{Running, Workspace, wait_until};
use nix::sys::signal::Signal;
use std::fs;
use std::path::PathBuf;

/// Bytes of any kind, without a pattern that a lost or doubled piece would fit in.
fn bytes(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = std::iter::from_fn(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Some(state.to_le_bytes())
    });
    next.flatten().take(length).collect()
}

/// Where the log of `t` is, once there is one; there is one run.
fn log_path(ws: &Workspace) -> Option<PathBuf> {
    ws.files(".weir").iter().find(|file| file.ends_with("logs/t.log")).map(|log| ws.path(log))
}

fn log(ws: &Workspace) -> Vec<u8> {
    log_path(ws).map(|log| fs::read(log).unwrap()).unwrap_or_default()
}

#[test]
fn much_with_pauses_is_kept_as_it_was_printed() {
    for secret in ["", "redact = ['TOKEN']"] {
        let ws = Workspace::new(&format!(
            "[tasks.t]\nrun = 'cat bytes; echo one; ../pause one; cat bytes bytes; echo two; ../pause two; cat bytes'\n\
             env = {{ TOKEN = 'not in there at all' }}\n{secret}\nsources = ['bytes']\noutputs = []"
        ));
        let part = bytes(3_000_001);
        ws.write("bytes", &part);
        let expected = [&part[..], b"one\n", &part, &part, b"two\n", &part].concat();
        let (one, two) = (ws.puppet("one"), ws.puppet("two"));
        let weir = ws.weir(&["run", "--output=quiet", "t"]).spawn();
        for (puppet, marker) in [(one, "one\n"), (two, "two\n")] {
            puppet.arrives();
            wait_until("all that was printed by now is in the log", || log(&ws).ends_with(marker.as_bytes()));
            puppet.goes_on();
        }
        weir.end().success();
        assert!(log(&ws) == expected, "the log has {} bytes, of {}", log(&ws).len(), expected.len());
    }
}

#[test]
fn a_secret_is_masked_after_much_and_across_a_pause() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'yes | head -c 3000000; printf \"<S3CR3T-\"; ../pause middle; printf \"VALUE>\"; yes | head -c 3000000'\n\
         shell = ['sh', '-c']\nenv = { K = 'S3CR3T-VALUE' }\nredact = ['K']",
    );
    let puppet = ws.puppet("middle");
    let weir = ws.weir(&["run", "--output=quiet", "t"]).spawn();
    puppet.goes_on();
    weir.end().success();
    let log = log(&ws);
    assert_eq!(log.len(), 6_000_000 + "<***>".len());
    assert_eq!(&log[3_000_000..3_000_005], b"<***>");
}

#[test]
fn the_end_is_noticed_though_much_was_printed_and_the_pipe_is_held_open() {
    let ws = Workspace::new("[tasks.t]\nrun = 'head -c 3000000 /dev/zero; echo; sleep 1000 & echo last'");
    let ran = ws.run("--output=quiet t");
    assert_eq!(ran.notices("t").first().map(|(code, _)| code.as_str()), Some("left-behind"));
    assert!(log(&ws).len() == 3_000_000 + "\nlast\n".len() && log(&ws).ends_with(b"\nlast\n"));
}

/// A run of something that prints and never pauses, when it has printed much.
fn never_silent(ws: &Workspace) -> Running {
    let weir = ws.weir(&["run", "--output=quiet", "t"]).spawn();
    wait_until("much is printed", || log_path(ws).is_some_and(|log| fs::metadata(log).unwrap().len() > 5_000_000));
    weir
}

/// It did not come to its own end.
fn was_cut_short(ws: &Workspace) {
    let printed = log_path(ws).map(|log| fs::metadata(log).unwrap().len());
    assert!(printed.is_some_and(|printed| printed < 1_000_000_000), "{printed:?}");
}

/// Without an end as far as the tests go, and without a pause in which weir could look at something else.
const ENDLESS: &str = "[tasks.t]\nrun = 'head -c 1000000000 /dev/zero'\n";

#[test]
fn what_never_stops_printing_is_interrupted() {
    let service = "depends = ['up']\n[tasks.up]\nsources = []\nservice = { ready = { log = '^ready$' } }\n\
                   run = 'echo ready; exec sleep 1000'";
    for more in ["", service] {
        let ws = Workspace::new(&format!("{ENDLESS}{more}"));
        let weir = never_silent(&ws);
        weir.signal(Signal::SIGINT);
        let ran = weir.end().exit(130);
        assert_eq!(ran.failure("t"), "interrupted");
        was_cut_short(&ws);
    }
}

#[test]
fn what_never_stops_printing_is_ended_when_its_time_is_up() {
    let ws = Workspace::new(&format!("{ENDLESS}timeout = '100ms'"));
    assert_eq!(ws.try_run("--output=quiet t").exit(1).failure("t"), "timeout");
    was_cut_short(&ws);
}

#[test]
fn what_never_stops_printing_fails_with_its_service() {
    let ws = Workspace::new(&format!(
        "{ENDLESS}depends = ['up']\n[tasks.up]\nsources = []\nservice = {{ ready = {{ log = '^ready$' }} }}\n\
         run = 'echo ready; ../pause up; exit 3'"
    ));
    let puppet = ws.puppet("up");
    let weir = never_silent(&ws);
    puppet.goes_on();
    let ran = weir.end().exit(1);
    assert_eq!(ran.failure("t"), "service");
    was_cut_short(&ws);
}
