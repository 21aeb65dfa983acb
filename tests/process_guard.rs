//! The guard, driven for real: commands through the built executable as guard. What must be seen
//! from outside (weir killed, its guard killed) runs in a driver: this test binary once more, told
//! by a variable which part to play.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use nix::sys::signal::{Signal as Raw, kill};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use weir::process::{
    Child, Command, Drained, Exit, Guard, Output, ProcessError, Signal, Stdio, capture, on_signals, terminate,
};

const DRIVER: &str = "WEIR_TEST_DRIVER";
const MINUTE: Duration = Duration::from_secs(60);

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn start(runtime: &Runtime) -> Guard {
    Guard::start_with(Path::new(env!("CARGO_BIN_EXE_weir")), runtime.handle()).unwrap()
}

/// Runs with a guard of its own, which must have nothing to clean up afterwards.
fn guarded<F: Future<Output = ()>>(test: impl FnOnce(Guard) -> F) {
    let runtime = runtime();
    let guard = start(&runtime);
    runtime.block_on(async {
        test(guard.clone()).await;
        guard.finish().await;
    });
}

fn command(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program, "/");
    command.args = args.iter().map(OsString::from).collect();
    command.env = vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())];
    command
}

fn sh(script: &str) -> Command {
    command("sh", &["-c", script])
}

async fn output_of(guard: &Guard, command: Command) -> String {
    let captured = capture(guard, command, MINUTE, 1 << 20).await.unwrap();
    assert_eq!(captured.exit, Exit::Code(0), "{}", String::from_utf8_lossy(&captured.output));
    String::from_utf8(captured.output).unwrap()
}

/// Runs and is not a zombie.
fn alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + MINUTE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn pid_in(file: &Path) -> Option<i32> {
    std::fs::read_to_string(file).ok()?.strip_suffix('\n')?.parse().ok()
}

/// Reads until the output holds a whole line.
async fn line(output: &mut Output) -> String {
    let mut all = Vec::new();
    let mut byte = [0];
    while output.read(&mut byte).await.unwrap() == 1 && byte[0] != b'\n' {
        all.push(byte[0]);
    }
    String::from_utf8(all).unwrap()
}

/// Starts a command whose output is read beside it.
async fn spawn(guard: &Guard, command: Command) -> (Child, Output) {
    let mut child = guard.spawn(command).await.unwrap();
    let output = child.take_output().unwrap();
    (child, output)
}

/// This binary again, playing a part in `folder`.
fn driver(part: &str, folder: &Path) -> std::process::Command {
    let module = module_path!().split_once("::").map(|(_, rest)| format!("{rest}::"));
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", &format!("{}plays_its_part", module.unwrap_or_default())])
        .args(["--nocapture", "--test-threads=1"])
        .env(DRIVER, part)
        .current_dir(folder);
    command
}

/// Not a test by itself: what a driver does.
#[test]
fn plays_its_part() {
    match std::env::var(DRIVER).as_deref() {
        Ok("strays") => strays(),
        Ok("guard_killed") => guard_killed(),
        Ok("terminal") => terminal(),
        Ok("signals") => signals(),
        Ok("detached") => detached(),
        Ok(part) => panic!("no part {part}"),
        Err(_) => {}
    }
}

/// Three kinds of processes that are hard to end. Each writes its number to a file.
const STRAYS: [(&str, &str); 3] = [
    ("deaf", "sh -c 'trap \"\" TERM HUP INT; echo $$ > deaf; while :; do sleep 1; done' & wait"),
    ("session", "setsid sh -c 'trap \"\" TERM; echo $$ > session; while :; do sleep 1; done' & wait"),
    ("daemon", "(setsid sh -c '(trap \"\" TERM; exec sh -c \"echo \\$\\$ > daemon; exec sleep 1000\") &' &)"),
];

async fn start_strays(guard: &Guard, folder: &Path) -> Vec<Child> {
    let mut children = Vec::new();
    for (_, script) in STRAYS {
        children.push(guard.spawn(Command { cwd: folder.into(), ..sh(script) }).await.unwrap());
    }
    children
}

fn stray_pids(folder: &Path) -> Vec<i32> {
    let files: Vec<PathBuf> = STRAYS.iter().map(|(name, _)| folder.join(name)).collect();
    until("strays up", || files.iter().all(|file| pid_in(file).is_some()));
    files.iter().filter_map(|file| pid_in(file)).collect()
}

fn strays() {
    let runtime = runtime();
    let guard = start(&runtime);
    runtime.block_on(async {
        std::fs::write("guard", format!("{}\n", guard.pid().unwrap())).unwrap();
        let children = start_strays(&guard, Path::new(".")).await;
        children[0].wait().await.unwrap();
    });
}

#[test]
fn however_weir_ends_everything_it_started_is_ended() {
    let folder = TempDir::new().unwrap();
    let mut weir = driver("strays", folder.path()).spawn().unwrap();
    let pids = stray_pids(folder.path());
    let guard = pid_in(&folder.path().join("guard")).unwrap();
    assert!(pids.iter().all(|pid| alive(*pid)) && alive(guard));
    // As a supervisor that ends a whole service does: the guard must not be impressed.
    for signal in [Raw::SIGTERM, Raw::SIGINT, Raw::SIGHUP, Raw::SIGQUIT, Raw::SIGTSTP] {
        kill(Pid::from_raw(guard), signal).unwrap();
    }
    weir.kill().unwrap();
    weir.wait().unwrap();
    until("strays ended", || pids.iter().all(|pid| !alive(*pid)));
    until("guard ended", || !alive(guard));
}

fn guard_killed() {
    let runtime = runtime();
    let guard = start(&runtime);
    runtime.block_on(async {
        let children = start_strays(&guard, Path::new(".")).await;
        let pids = stray_pids(Path::new("."));
        kill(Pid::from_raw(guard.pid().unwrap() as i32), Raw::SIGKILL).unwrap();
        assert!(matches!(children[0].wait().await, Err(ProcessError::GuardGone)));
        assert!(pids.iter().all(|pid| !alive(*pid)), "some are left of {pids:?}");
        assert!(matches!(guard.spawn(sh(":")).await, Err(ProcessError::GuardGone)));
        guard.kill_all();
        assert_eq!(guard.finish().await, Default::default());
    });
}

#[test]
fn if_the_guard_is_killed_weir_notices_and_ends_everything() {
    let folder = TempDir::new().unwrap();
    assert!(driver("guard_killed", folder.path()).status().unwrap().success());
}

#[test]
fn what_is_left_at_the_end_is_ended_and_reported() {
    let folder = TempDir::new().unwrap();
    let runtime = runtime();
    let guard = start(&runtime);
    runtime.block_on(async {
        let script = "setsid sleep 1000 & echo $! > left; while test ! -s left; do :; done";
        let child = Command { cwd: folder.path().into(), ..sh(script) };
        let child = guard.spawn(child).await.unwrap();
        assert_eq!(child.wait().await.unwrap(), Exit::Code(0));
        let pid = pid_in(&folder.path().join("left")).unwrap();
        assert!(alive(pid));
        let report = guard.finish().await;
        assert!(!alive(pid));
        assert!(report.strays.iter().any(|stray| stray.pid as i32 == pid), "{report:?}");
        assert_eq!(report.survivors, 0);
        assert!(matches!(guard.spawn(sh(":")).await, Err(ProcessError::Ended)));
        assert_eq!(guard.finish().await, report);
    });
}

#[test]
fn without_leftovers_the_end_reports_nothing() {
    let runtime = runtime();
    let guard = start(&runtime);
    runtime.block_on(async {
        assert_eq!(output_of(&guard, sh("echo a")).await, "a\n");
        assert_eq!(guard.finish().await, Default::default());
        assert_eq!(guard.pid(), None);
    });
}

#[test]
fn dropping_all_handles_ends_everything() {
    let folder = TempDir::new().unwrap();
    let runtime = runtime();
    let guard = start(&runtime);
    let pid = guard.pid().unwrap() as i32;
    let pids = runtime.block_on(async {
        let children = start_strays(&guard, folder.path()).await;
        let pids = stray_pids(folder.path());
        drop((children, guard));
        pids
    });
    drop(runtime);
    until("strays ended", || pids.iter().all(|pid| !alive(*pid)) && !alive(pid));
}

#[test]
fn kill_all_ends_even_the_deaf_at_once() {
    let folder = TempDir::new().unwrap();
    let runtime = runtime();
    let guard = start(&runtime);
    runtime.block_on(async {
        let children = start_strays(&guard, folder.path()).await;
        let pids = stray_pids(folder.path());
        guard.kill_all();
        assert_eq!(children[0].wait().await.unwrap(), Exit::Signal("SIGKILL".to_owned()));
        assert!(matches!(guard.spawn(sh(":")).await, Err(ProcessError::Ended)));
        guard.finish().await;
        assert!(pids.iter().all(|pid| !alive(*pid)));
    });
}

#[test]
fn exits_are_told() {
    guarded(|guard| async move {
        for (script, exit) in [
            ("exit 0", Exit::Code(0)),
            ("exit 3", Exit::Code(3)),
            ("exit 255", Exit::Code(255)),
            ("kill -KILL $$", Exit::Signal("SIGKILL".to_owned())),
            ("kill -SEGV $$", Exit::Signal("SIGSEGV".to_owned())),
        ] {
            let child = guard.spawn(sh(script)).await.unwrap();
            assert_eq!(child.wait().await.unwrap(), exit, "{script}");
            assert_eq!(child.wait().await.unwrap(), exit, "{script}, asked again");
            assert!(child.usage().unwrap().max_rss > 0);
        }
    });
}

#[test]
fn both_outputs_keep_their_order() {
    guarded(|guard| async move {
        let script = "for i in 1 2 3 4 5; do echo o$i; echo e$i >&2; done";
        let expected: String = (1..=5).map(|i| format!("o{i}\ne{i}\n")).collect();
        assert_eq!(output_of(&guard, sh(script)).await, expected);
        let split = Command { stdio: Stdio::CaptureSplit, ..sh("echo o; echo e >&2; cat") };
        let captured = capture(&guard, split, MINUTE, 100).await.unwrap();
        assert_eq!((&captured.output[..], &captured.error[..]), (&b"o\n"[..], &b"e\n"[..]));
    });
}

#[test]
fn what_is_missing_is_named() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, text: &str, mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let script = file("script", "#!/no/such/interpreter -x\n", 0o755);
    let plain = file("plain", "", 0o644);
    let gone = folder.path().join("gone");
    guarded(|guard| async move {
        let message = async |command: Command| guard.spawn(command).await.unwrap_err().to_string();
        assert_eq!(
            message(command("no-such-program", &[])).await,
            "failed to start `no-such-program`: no such program in PATH"
        );
        assert_eq!(
            message(command("/no/such/program", &[])).await,
            "failed to start `/no/such/program`: no such file or directory"
        );
        assert_eq!(
            message(Command { cwd: gone.clone(), ..sh(":") }).await,
            format!("failed to start `sh`: no such directory `{}`", gone.display())
        );
        assert_eq!(
            message(command(&script, &[])).await,
            format!("failed to start `{script}`: its interpreter `/no/such/interpreter -x` does not exist")
        );
        assert_eq!(
            message(command(&plain, &[])).await,
            format!("failed to start `{plain}`: permission denied (is it executable?)")
        );
        assert_eq!(
            message(command("echo", &["a\0b"])).await,
            "failed to start `echo`: an argument or variable holds a NUL byte"
        );
        let long = "x".repeat(1 << 18);
        assert_eq!(
            message(command("echo", &[&long])).await,
            "failed to start `echo`: its arguments and environment are too long"
        );
        // The guard has taken no harm.
        assert_eq!(output_of(&guard, sh("echo fine")).await, "fine\n");
    });
}

#[test]
fn programs_are_found_along_the_path_of_the_command() {
    let folder = TempDir::new().unwrap();
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink("/bin/sh", bin.join("only-here")).unwrap();
    guarded(|guard| async move {
        let mut found = command("only-here", &["-c", "echo $0"]);
        assert!(guard.spawn(found.clone()).await.is_err());
        // A relative entry counts from the command's directory.
        found.env = vec![("PATH".into(), "/nowhere:bin".into())];
        found.cwd = folder.path().into();
        assert_eq!(output_of(&guard, found.clone()).await, "only-here\n");
        found.program = "bin/only-here".into();
        found.arg0 = Some("renamed".into());
        assert_eq!(output_of(&guard, found).await, "renamed\n");
    });
}

#[test]
fn the_environment_and_directory_are_exactly_as_asked() {
    let folder = TempDir::new().unwrap();
    guarded(|guard| async move {
        let mut env = Command::new("/usr/bin/env", folder.path());
        assert_eq!(output_of(&guard, env.clone()).await, "");
        env.env = vec![("A".into(), "1".into()), ("B".into(), "x y\nz".into())];
        assert_eq!(output_of(&guard, env).await, "A=1\nB=x y\nz\n");
        let pwd = Command { cwd: folder.path().into(), ..command("pwd", &[]) };
        let canonical = folder.path().canonicalize().unwrap();
        assert_eq!(output_of(&guard, pwd).await, format!("{}\n", canonical.display()));
    });
}

#[test]
fn large_requests_pass_many_at_a_time() {
    let tasks: Vec<Command> = (0..8)
        .map(|_| {
            let mut large = sh("printf '%s' \"$@\" | wc -c; printf %s \"$V1$V7\" | wc -c");
            large.args.push("sh".into());
            large.args.extend((0..8).map(|_| OsString::from("x".repeat(100_000))));
            let variable = |i| (format!("V{i}").into(), "y".repeat(90_000).into());
            large.env.extend((0..8).map(variable));
            large
        })
        .collect();
    all_print(tasks, "800000\n180000\n");
}

#[test]
fn many_quick_commands_at_once() {
    all_print((0..500).map(|_| sh("echo a; exec echo b >&2")).collect(), "a\nb\n");
}

/// Runs all of them concurrently.
fn all_print(commands: Vec<Command>, expected: &'static str) {
    let runtime = runtime();
    let guard = start(&runtime);
    runtime.block_on(async {
        let run = |command| {
            let guard = guard.clone();
            runtime.handle().spawn(async move { output_of(&guard, command).await })
        };
        let tasks: Vec<_> = commands.into_iter().map(run).collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), expected);
        }
        assert_eq!(guard.finish().await, Default::default());
    });
}

#[test]
fn commands_start_with_clean_signals_whatever_weir_has() {
    use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, pthread_sigmask, signal};
    let mut blocked = SigSet::empty();
    blocked.add(Raw::SIGTERM);
    blocked.add(Raw::SIGUSR1);
    pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&blocked), None).unwrap();
    #[allow(unsafe_code)]
    // SAFETY: ignoring a signal runs no code.
    unsafe { signal(Raw::SIGVTALRM, SigHandler::SigIgn) }.unwrap();
    guarded(|guard| async move {
        let status = output_of(&guard, command("cat", &["/proc/self/status"])).await;
        for field in ["SigBlk", "SigIgn", "SigCgt"] {
            let value = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
            let set = u64::from_str_radix(value.trim_start_matches(":\t"), 16).unwrap();
            // Signals 32 and 33 belong to the C library, whose `posix_spawn` leaves them ignored.
            assert_eq!(set & !(0b11 << 31), 0, "{field}{value}");
        }
    });
}

#[test]
fn no_descriptor_leaks_into_commands() {
    // One that weir itself was given and did not ask for.
    let leaked = std::fs::File::open("/dev/null").unwrap();
    nix::fcntl::fcntl(&leaked, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    guarded(|guard| async move {
        let (_running, mut output) = spawn(&guard, sh("echo up; exec sleep 1000")).await;
        assert_eq!(line(&mut output).await, "up");
        for stdio in [Stdio::Capture, Stdio::CaptureSplit] {
            let ls = Command { stdio, ..command("ls", &["/proc/self/fd"]) };
            // 3 is `ls` itself reading the directory.
            assert_eq!(output_of(&guard, ls).await, "0\n1\n2\n3\n");
        }
        let guards = format!("/proc/{}/fd", guard.pid().unwrap());
        // Standard ones, socket, and the two ends of its pipe of signals; and `/dev/null`, once.
        assert!(std::fs::read_dir(guards).unwrap().count() <= 7);
    });
}

#[test]
fn a_command_has_its_own_group_and_is_signalled_with_it() {
    guarded(|guard| async move {
        let script = "trap 'wait; exit 7' TERM
            sh -c 'trap \"echo got it; exit\" TERM; echo $$; while :; do sleep 0.01; done' &
            wait";
        let (child, mut output) = spawn(&guard, sh(script)).await;
        let inner: i32 = line(&mut output).await.parse().unwrap();
        let group = nix::unistd::getpgid(Some(Pid::from_raw(inner))).unwrap();
        assert_eq!(group.as_raw() as u32, child.pid);
        let exit = terminate(&child, Signal::Term, MINUTE).await.unwrap();
        assert_eq!(exit, Exit::Code(7));
        let mut rest = Vec::<u8>::new();
        let drained = output.drain(MINUTE, |part| rest.extend(part)).await.unwrap();
        assert_eq!(drained, Drained::Closed);
        // The shell may remark on its own child's end, too.
        assert!(String::from_utf8_lossy(&rest).contains("got it\n"));
        child.signal(Signal::Kill);
    });
}

#[test]
fn what_ignores_the_first_signal_is_killed() {
    guarded(|guard| async move {
        let (deaf, mut output) = spawn(&guard, sh("trap '' TERM; echo up; while :; do sleep 1; done")).await;
        assert_eq!(line(&mut output).await, "up");
        let exit = terminate(&deaf, Signal::Term, Duration::from_millis(50)).await.unwrap();
        assert_eq!(exit, Exit::Signal("SIGKILL".to_owned()));

        // The leader heeds the signal, a background process does not.
        let script = "sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' & wait";
        let (child, mut output) = spawn(&guard, sh(script)).await;
        let inner: i32 = line(&mut output).await.parse().unwrap();
        let exit = terminate(&child, Signal::Term, Duration::from_millis(50)).await.unwrap();
        assert_eq!(exit, Exit::Signal("SIGTERM".to_owned()));
        assert!(!alive(inner));
        assert!(!child.left_behind());
    });
}

#[test]
fn an_end_is_told_though_the_pipe_is_held_open() {
    guarded(|guard| async move {
        let (child, mut pipe) = spawn(&guard, sh("echo before; sleep 1000 & echo after")).await;
        assert_eq!(child.wait().await.unwrap(), Exit::Code(0));
        assert!(child.left_behind());
        let mut output = Vec::<u8>::new();
        let drained = pipe.drain(Duration::from_millis(100), |part| output.extend(part)).await;
        assert_eq!(drained.unwrap(), Drained::HeldOpen);
        assert_eq!(output, b"before\nafter\n");
        child.signal(Signal::Term);
        child.wait_group().await;
        assert_eq!(pipe.drain(MINUTE, |_| ()).await.unwrap(), Drained::Closed);

        let (child, mut pipe) = spawn(&guard, sh("echo all")).await;
        child.wait().await.unwrap();
        assert!(!child.left_behind());
        assert_eq!(pipe.drain(MINUTE, |_| ()).await.unwrap(), Drained::Closed);
    });
}

#[test]
fn capture_keeps_to_its_limits() {
    guarded(|guard| async move {
        let captured = capture(&guard, sh("yes | head -c 1000000"), MINUTE, 1000).await.unwrap();
        assert!(captured.truncated && captured.exit.success());
        assert_eq!(captured.output.len(), 1000);

        let late = sh("echo first; sleep 1000");
        let captured = capture(&guard, late, Duration::from_millis(200), 1000).await.unwrap();
        assert!(captured.timed_out && !captured.exit.success());
        assert_eq!(captured.exit, Exit::Signal("SIGTERM".to_owned()));
    });
}

#[test]
fn a_dropped_command_is_killed() {
    guarded(|guard| async move {
        let (child, mut output) = spawn(&guard, sh("trap '' TERM; echo $$; while :; do sleep 1; done")).await;
        let pid: i32 = line(&mut output).await.parse().unwrap();
        drop(child);
        // Its end is awaited through the guard, which is busy with nothing else.
        let gone = sh(&format!("while kill -0 {pid} 2>/dev/null; do sleep 0.01; done"));
        output_of(&guard, gone).await;
        assert!(!alive(pid));
    });
}

#[test]
fn what_is_stopped_is_woken_to_end() {
    guarded(|guard| async move {
        let script = "trap 'echo woken; exit 5' TERM; echo up; kill -STOP $$; echo not reached";
        let (child, mut output) = spawn(&guard, sh(script)).await;
        assert_eq!(line(&mut output).await, "up");
        let stat = format!("/proc/{}/stat", child.pid);
        until("stopped", || std::fs::read_to_string(&stat).unwrap().contains(") T "));
        assert_eq!(terminate(&child, Signal::Term, MINUTE).await.unwrap(), Exit::Code(5));
        assert_eq!(line(&mut output).await, "woken");
    });
}

fn detached() {
    let runtime = runtime();
    let guard = start(&runtime);
    let log = std::fs::File::create("log").unwrap();
    let script = "ls /proc/self/fd; grep -h SigBlk /proc/self/status; echo $$ > server; exec sleep 1000";
    let mut server = guard.detach(&Command { cwd: ".".into(), ..sh(script) }, log).unwrap();
    let file = PathBuf::from("server");
    until("server up", || pid_in(&file) == Some(server.pid() as i32));
    assert_eq!(server.ended().unwrap(), None);
    runtime.block_on(async {
        // Neither of the two ways to end everything reaches it.
        kill(Pid::from_raw(guard.pid().unwrap() as i32), Raw::SIGKILL).unwrap();
        guard.finish().await;
        let another = start(&runtime);
        assert_eq!(another.finish().await, Default::default());
    });
    assert_eq!(server.ended().unwrap(), None);
    let missing = guard.detach(&command("no-such-program", &[]), tempfile::tempfile().unwrap());
    assert!(matches!(missing, Err(ProcessError::ProgramMissing { .. })));
}

#[test]
fn what_is_detached_outlives_weir() {
    let folder = TempDir::new().unwrap();
    let status = driver("detached", folder.path()).status().unwrap();
    let server = pid_in(&folder.path().join("server")).unwrap();
    let outlived = alive(server);
    kill(Pid::from_raw(server), Raw::SIGKILL).unwrap();
    assert!(status.success() && outlived);
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert_eq!(log, "0\n1\n2\n3\nSigBlk:\t0000000000000000\n");
}

fn terminal() {
    let runtime = runtime();
    let guard = start(&runtime);
    runtime.block_on(async {
        let script = "read word; echo \"$word $(ps -o pgid= -p $$ | tr -d ' ')\" > seen; exit 4";
        let inherit = Command { stdio: Stdio::Inherit, cwd: ".".into(), ..sh(script) };
        let mut child = guard.spawn(inherit).await.unwrap();
        assert_eq!(child.wait().await.unwrap(), Exit::Code(4));
        assert!(child.take_output().is_none());
        let seen = std::fs::read_to_string("seen").unwrap();
        assert_eq!(seen, format!("hello {}\n", nix::unistd::getpgrp()));

        // It shares weir's group, which must not be hit.
        let script = "sleep 1000 & echo $! > inner; wait";
        let inherit = Command { stdio: Stdio::Inherit, cwd: ".".into(), ..sh(script) };
        let child = guard.spawn(inherit).await.unwrap();
        until("inner up", || pid_in(Path::new("inner")).is_some());
        child.signal(Signal::Kill);
        assert_eq!(child.wait().await.unwrap(), Exit::Signal("SIGKILL".to_owned()));
        let inner = pid_in(Path::new("inner")).unwrap();
        until("inner ended", || !alive(inner));
        guard.finish().await;
    });
}

#[test]
fn an_interactive_command_has_weirs_input_and_group() {
    let folder = TempDir::new().unwrap();
    let input = folder.path().join("input");
    std::fs::write(&input, "hello\n").unwrap();
    let input = std::fs::File::open(input).unwrap();
    let status = driver("terminal", folder.path()).stdin(input).status().unwrap();
    assert!(status.success());
}

fn signals() {
    // Started in the background of a shell without job control, this process was told to ignore some.
    for signal in [Raw::SIGINT, Raw::SIGTERM, Raw::SIGHUP, Raw::SIGQUIT] {
        // SAFETY: no handler is installed, only the default restored.
        #[allow(unsafe_code)]
        unsafe { nix::sys::signal::signal(signal, nix::sys::signal::SigHandler::SigDfl) }.unwrap();
    }
    let (heard, hears) = std::sync::mpsc::channel();
    let watch = on_signals(move |signal| heard.send(signal).unwrap()).unwrap();
    assert!(matches!(on_signals(|_| ()), Err(ProcessError::AlreadyWatching)));
    let own = Pid::this();
    for signal in [Signal::Int, Signal::Term, Signal::Hup, Signal::Quit, Signal::Int] {
        let raw: Raw = signal.name().parse().unwrap();
        kill(own, raw).unwrap();
        assert_eq!(hears.recv_timeout(MINUTE).unwrap(), signal);
        assert_eq!(Signal::parse(&signal.name()[3..].to_lowercase()), Some(signal));
    }
    guarded(|guard| async move {
        let status = output_of(&guard, command("cat", &["/proc/self/status"])).await;
        assert!(status.contains("SigCgt:\t0000000000000000\n"), "{status}");
    });
    drop(watch);
    until("another watch", || on_signals(|_| ()).is_ok());
    // Nobody watches: the signal has its effect again.
    kill(own, Raw::SIGTERM).unwrap();
    until("its own end", || false);
}

#[test]
fn signals_are_heard_until_nobody_watches() {
    use std::os::unix::process::ExitStatusExt;
    let folder = TempDir::new().unwrap();
    let status = driver("signals", folder.path()).status().unwrap();
    assert_eq!(status.signal(), Some(Raw::SIGTERM as i32), "{status}");
}

#[test]
fn what_can_not_be_a_guard_is_noticed() {
    let runtime = runtime();
    let started = Guard::start_with(Path::new("/bin/true"), runtime.handle());
    let message = started.unwrap_err().to_string();
    assert_eq!(message, "failed to start the process guard: it ended at once");
}
