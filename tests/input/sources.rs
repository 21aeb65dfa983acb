//! Sources that are loops, vanish, or have strange names and times.

use crate::support::Workspace;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

const TASK: &str = "[tasks.t]\nrun = 'echo x >> ../t.ran'\nsources = ['src']\noutputs = []";

#[test]
fn a_loop_of_symlinks_is_an_error_with_its_path() {
    for (target, path) in [(".", "src/inside/loop"), ("..", "src/inside/loop"), ("loop", "src/inside/loop")] {
        let ws = Workspace::new(TASK);
        ws.write("src/inside/file", "a");
        ws.link(target, path);
        let ran = ws.try_run("t").exit(2).says(path).says("tasks.toml:4:11");
        assert_eq!(ran.err.matches("help:").count(), 1, "{}", ran.shown());
        assert!(!ran.recorded());
        assert_eq!(ws.count("t"), 0);
        ws.remove(path);
        ws.run("t").tasks("t ran");
    }
}

#[test]
fn two_links_that_lead_to_each_other_are_a_loop_too() {
    let ws = Workspace::new(TASK);
    ws.write("src/file", "a");
    ws.link("two", "src/one");
    ws.link("one", "src/two");
    ws.try_run("t").exit(2).says("leads back to itself");
}

#[test]
fn a_dangling_symlink_counts_by_what_it_says() {
    let ws = Workspace::new(TASK);
    ws.write("src/file", "a");
    ws.link("nowhere", "src/link");
    ws.run("t").tasks("t ran");
    ws.run("t").tasks("t fresh");
    ws.link("elsewhere", "src/link");
    ws.run("t").tasks("t ran");
    fs::write(ws.path("src/elsewhere"), "now it is there").unwrap();
    ws.run("t").tasks("t ran");
    ws.run("t").tasks("t fresh");
}

#[test]
fn a_source_that_vanishes_while_the_task_runs_is_not_recorded() {
    let ws = Workspace::new("[tasks.t]\nrun = 'echo x >> ../t.ran; rm -f src/gone'\nsources = ['src']\noutputs = []");
    ws.write("src/file", "a");
    ws.write("src/gone", "a");
    let ran = ws.run("t").tasks("t ran").says("src/gone");
    assert!(ran.notices("t").iter().any(|(code, _)| code == "inputs-changed"), "{}", ran.shown());
    ws.run("t").tasks("t ran");
    ws.run("t").tasks("t fresh");
}

#[test]
fn sources_that_come_and_go_while_they_are_read_break_nothing() {
    let ws = Workspace::new(TASK);
    for number in 0..200 {
        ws.write(&format!("src/{}/{number}", number % 7), number.to_string());
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let _ = fs::remove_dir_all(ws.path("src/3"));
                let _ = fs::create_dir(ws.path("src/3"));
                let _ = fs::write(ws.path("src/3/new"), "x");
            }
        });
        for _ in 0..8 {
            let ran = ws.try_run("t");
            assert!([0, 1, 2].contains(&ran.code), "{}", ran.shown());
            assert!(!ran.err.contains("defect"), "{}", ran.shown());
        }
        stop.store(true, Ordering::Relaxed);
    });
    ws.write("src/3/new", "settled");
    ws.run("t");
    ws.run("t").tasks("t fresh");
    ws.write("src/3/new", "changed");
    ws.run("t").tasks("t ran");
}

#[test]
fn names_with_spaces_and_newlines_are_names() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = '''\nmkdir -p \"o u t\"\ncat \"a b\"/* > \"o u t/x\n y\"\necho x >> ../t.ran\n'''\n\
         sources = ['a b']\noutputs = [\"o u t/x\\n y\"]",
    );
    ws.write("a b/c\nd 'e\" \\f", "one");
    ws.run("t").tasks("t ran");
    ws.run("t").tasks("t fresh");
    assert_eq!(ws.read("o u t/x\n y"), "one");
    ws.remove("o u t/x\n y");
    ws.run("t").tasks("t hit");
    assert_eq!(ws.read("o u t/x\n y"), "one");
    ws.write("a b/c\nd 'e\" \\f", "two");
    ws.run("t").tasks("t ran");
    assert_eq!((ws.read("o u t/x\n y").as_str(), ws.count("t")), ("two", 2));
}

#[test]
fn names_that_are_no_utf8_are_an_error_with_a_path() {
    use std::os::unix::ffi::OsStrExt;
    let ws = Workspace::new(TASK);
    ws.write("src/file", "a");
    fs::write(ws.path("src").join(std::ffi::OsStr::from_bytes(b"b\xff")), "a").unwrap();
    let ran = ws.try_run("t").says("UTF-8");
    assert_ne!(ran.code, 0);
    assert_eq!(ws.count("t"), 0);
}

#[test]
fn a_pipe_or_a_socket_among_the_sources_holds_nobody() {
    let ws = Workspace::new(TASK);
    ws.write("src/file", "a");
    nix::unistd::mkfifo(&ws.path("src/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(ws.path("src/socket")).unwrap();
    let ran = ws.try_run("t");
    assert!([0, 1, 2].contains(&ran.code), "{}", ran.shown());
    assert!(!ran.err.contains("defect"), "{}", ran.shown());
}

#[test]
fn times_in_the_future_and_clocks_that_jump_back_hide_no_edit() {
    let day = Duration::from_secs(24 * 3600);
    let now = SystemTime::now();
    for time in [now + 365 * day, now + day, now - day, SystemTime::UNIX_EPOCH] {
        let ws = Workspace::new(TASK);
        ws.write("src/file", "a");
        ws.set_modified("src/file", time);
        ws.run("t").tasks("t ran");
        ws.run("t").tasks("t fresh");
        // As many bytes at the same time: only the content tells.
        ws.write("src/file", "b");
        ws.set_modified("src/file", time);
        ws.run("t").tasks("t ran");
        // The clock jumps back, the content stays.
        ws.set_modified("src/file", time - Duration::from_secs(3600));
        ws.run("t").tasks("t fresh");
        ws.write("src/file", "a");
        ws.set_modified("src/file", time - Duration::from_secs(3600));
        ws.run("t").tasks("t skips");
        assert_eq!(ws.count("t"), 2);
    }
}
