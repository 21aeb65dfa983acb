//! Tasks that run on a server: one suite over a server in this process, a real one with its sandbox, and a folder of this
//! machine; then everything that can go wrong there.

use super::casd::Casd;
use super::farm::{Call, Farm, Fault};
use super::{ERRORS, PATIENT, remote_notices, through};
use crate::support::{Ran, Workspace, wait_until};
use tonic::Code;

/// A program that is compiled from sources and from what another task made, in a folder of its own.
const COMPILE: &str = "
[tasks.gen]
run = 'mkdir -p gen; echo \"#define FROM_GEN 40\" > gen/gen.h; echo generated'
sources = []
outputs = ['gen/gen.h']
[tasks.app]
run = 'gcc -I../include -I../gen main.c -o ../out/app && ../out/app'
dir = 'src'
sources = ['src', 'include']
outputs = ['out/app']
depends = ['gen']
requires = ['gcc']
";

fn compiling(extra: &str) -> Workspace {
    let ws = Workspace::new(&format!("{extra}\n{COMPILE}"));
    ws.write(
        "src/main.c",
        "#include <stdio.h>\n#include \"gen.h\"\n#include \"util.h\"\nint main() { printf(\"made %d\\n\", FROM_GEN + UTIL); }\n",
    );
    ws.write("include/util.h", "#define UTIL 2\n");
    // Else `mkdir` would be what a local run alone needs.
    ws.write("out/.keep", "");
    ws
}

/// Where a task ran, by its record.
fn on_the_remote(ran: &Ran, task: &str) -> bool {
    ran.record_without_times().iter().any(|event| {
        event["event"] == "task_finished" && event["task"] == task && event["remote"] == serde_json::Value::Bool(true)
    })
}

/// What holds of any place elsewhere that a task is run at.
fn compiles_elsewhere(ws: &Workspace, run: &dyn Fn(&Workspace, &str) -> Ran, remote: bool) {
    let ran = run(ws, "app").success().tasks("gen ran, app ran").says("made 42");
    assert_eq!([on_the_remote(&ran, "gen"), on_the_remote(&ran, "app")], [remote; 2], "{}", ran.shown());
    assert_eq!((ws.mode("out/app"), ws.mode("gen/gen.h")), (0o755, 0o644));
    let made = std::process::Command::new(ws.path("out/app")).output().unwrap();
    assert_eq!(made.stdout, b"made 42\n");
    // It is a result like any other.
    run(ws, "app").tasks("gen fresh, app fresh").says("made 42");
    ws.weir(&["run", "app"]).env("WEIR_REMOTE_MODE", "off").ok().tasks("gen fresh, app fresh");
    ws.remove("out/app");
    ws.weir(&["run", "app"]).env("WEIR_REMOTE_MODE", "off").ok().tasks("gen fresh, app hit");
    assert_eq!(ws.mode("out/app"), 0o755);
    ws.write("include/util.h", "#define UTIL 3\n");
    run(ws, "app").success().tasks("gen fresh, app ran").says("made 43");
}

/// A file that nobody declared: it is there, and here that is enough.
fn misses_what_is_undeclared(ws: &Workspace, run: &dyn Fn(&Workspace, &str) -> Ran) {
    let text = ws.read("tasks.toml").replace("sources = ['src', 'include']", "sources = ['src']");
    ws.write("tasks.toml", &text);
    ws.weir(&["run", "app"]).env("WEIR_REMOTE_MODE", "off").ok().tasks("gen ran, app ran").says("made 42");
    let ran = run(ws, "-f app").exit(1).tasks("gen fresh, app failed").says("util.h: No such file");
    let told = ran.notices("app");
    assert_eq!(told.len(), 1, "{}", ran.shown());
    assert_eq!(
        told[0],
        (
            "undeclared-input".to_owned(),
            "`include/util.h` is there, but not among the sources of `app`, which ran without it".to_owned()
        )
    );
    let ran = ran.says("add it to `sources`");
    drop(ran);
    // What the help names shows the same.
    ws.weir(&["run", "--isolated", "-f", "app"])
        .env("WEIR_REMOTE_MODE", "off")
        .go()
        .exit(1)
        .says("`include/util.h` is there");
    ws.write("tasks.toml", text.replace("sources = ['src']", "sources = ['src', 'include']"));
    run(ws, "app").success().says("made 42");
}

fn asked(words: &'static str) -> impl Fn(&Workspace, &str) -> Ran {
    move |ws, tasks| ws.try_run(&format!("{words} {tasks}"))
}

#[test]
fn a_folder_of_its_own_runs_a_task() {
    compiles_elsewhere(&compiling(""), &asked("--isolated"), false);
    misses_what_is_undeclared(&compiling(""), &asked("--isolated"));
}

#[test]
fn a_server_runs_a_task() {
    let farm = Farm::new();
    compiles_elsewhere(&compiling(&through(&farm.address, PATIENT)), &asked("--remote-exec"), true);
    misses_what_is_undeclared(&compiling(&through(&farm.address, PATIENT)), &asked("--remote-exec"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_real_server_runs_a_task_in_its_sandbox() {
    let casd = Casd::new();
    compiles_elsewhere(&compiling(&through(&casd.address, PATIENT)), &asked("--remote-exec"), true);
    misses_what_is_undeclared(&compiling(&through(&casd.address, PATIENT)), &asked("--remote-exec"));
    everything_arrives(&casd.address);
    // Another checkout takes what was made there, as it would take what was made here.
    let b = compiling(&through(&casd.address, PATIENT));
    b.run("app").tasks("gen hit, app hit").says("made 42");
    let ws = Workspace::new(&format!(
        "{}\n[tasks.t]\nrun = 'echo begins; sleep 60'\nsources = []\noutputs = []\ntimeout = '1s'",
        through(&casd.address, PATIENT)
    ));
    ws.try_run("--remote-exec t").exit(1).says("timed out after 1");
    ws.weir(&["doctor"]).ok().says("execution: offered");
}

/// All kinds of inputs and outputs, arguments and variables.
fn everything_arrives(address: &str) {
    let ws = Workspace::new(&format!(
        "{}\n[tasks.all]\n\
         run = ['''printf '<%s>' \"$@\" \"$SET\" \"$TAKEN\" \"${{HOME-none}}\" \"$WEIR_TASK\"; echo''',\n\
           '''cat link dirlink/b; ./tool; cat nowhere 2>/dev/null || readlink nowhere; test -d empty; cat ../outside-link''',\n\
           '''mkdir -p made/deep/empty o; echo x > made/deep/x; chmod +x made/deep/x; ln -sfn deep/x made/l; echo 1 > o/a.o; echo 2 > o/b.c; : > none''']\n\
         dir = 'in'\nargs = ['one', 'two']\nenv = {{ SET = 'a b' }}\nenv_inputs = ['TAKEN']\n\
         sources = ['in/link', 'in/data', 'in/dirlink', 'in/tool', 'in/nowhere', 'in/empty', 'outside-link']\n\
         outputs = ['in/made', 'in/o/*.o', 'in/none']\nexecute = true\n",
        through(address, PATIENT)
    ));
    ws.write("in/data/a", "A\n");
    ws.write("in/sub/b", "B\n");
    std::fs::create_dir_all(ws.path("in/empty")).unwrap();
    ws.link("data/a", "in/link");
    // Of this one nothing else comes along: it is what is behind it.
    ws.link("sub", "in/dirlink");
    ws.link("gone", "in/nowhere");
    std::fs::write(ws.outside("secret"), "outside\n").unwrap();
    ws.link(ws.outside("secret"), "outside-link");
    ws.write("in/tool", "#!/bin/sh\necho tool runs\n");
    ws.chmod("in/tool", 0o755);
    let ran = ws.weir(&["run", "all", "--", "a 'b", "$x"]).env("TAKEN", "t").ok();
    assert!(ran.out.contains("<a 'b><$x><a b><t><none><"), "{}", ran.shown());
    let ran = ran.says("A\nB\ntool runs\ngone\noutside\n").says("on the remote");
    drop(ran);
    assert_eq!((ws.read("in/made/deep/x").as_str(), ws.mode("in/made/deep/x")), ("x\n", 0o755));
    assert_eq!(ws.target("in/made/l").to_str(), Some("deep/x"));
    assert!(ws.path("in/made/deep/empty").is_dir() && ws.read("in/none").is_empty());
    assert!(ws.exists("in/o/a.o") && !ws.exists("in/o/b.c"), "only what is declared comes back");
}

#[test]
fn everything_arrives_at_the_farm() {
    let farm = Farm::new();
    everything_arrives(&farm.address);
    assert_eq!(farm.calls(Call::Execute), 1);
}

/// One task that says where it runs, one that leaves it open, one that stays.
const PLAIN: &str = "
[tasks.there]
run = 'mkdir -p o; echo \"there ${HOME-sandboxed}\"; cat src/a > o/there; head -c 200000 /dev/zero | tr \"\\\\0\" x > o/big'
sources = ['src']
outputs = ['o']
execute = true
[tasks.open]
run = 'echo \"open ${HOME-sandboxed}\"'
sources = ['src']
outputs = []
[tasks.here]
run = 'echo \"here ${HOME-sandboxed}\"'
sources = ['src']
outputs = []
execute = false
";

fn plain(extra: &str) -> Workspace {
    let ws = Workspace::new(&format!("{extra}\n{PLAIN}"));
    ws.write("src/a", "content");
    ws.write("src/big", "y".repeat(100_000));
    ws
}

#[test]
fn who_runs_where() {
    let farm = Farm::new();
    let remotely = |ran: &Ran| ["there", "open", "here"].map(|task| on_the_remote(ran, task));
    let ws = plain(&through(&farm.address, PATIENT));
    let ran = ws.run("there open here").says("there sandboxed").says("1 run there");
    assert_eq!(remotely(&ran), [true, false, false]);
    assert_eq!(remotely(&ws.run("-f --remote-exec there open here")), [true, true, false]);
    let all = |value: &str| ws.weir(&["run", "-f", "there", "open", "here"]).env("WEIR_REMOTE_EXECUTE", value).ok();
    assert_eq!(remotely(&all("true")), [true, true, false]);
    assert_eq!(remotely(&all("false")), [true, false, false]);
    ws.weir(&["run", "there"]).env("WEIR_REMOTE_EXECUTE", "yes").go().exit(2).says("`WEIR_REMOTE_EXECUTE` is `yes`");
    // A forced one is really run again, whatever the server has of it.
    assert!(!farm.state().anew[0]);
    assert!(farm.state().anew[1..].iter().all(|anew| *anew));
    let stays = ws.run("-f --remote-exec here").says("`here` runs in the workspace: it has `execute = false`");
    assert!(!remotely(&stays)[2]);
    let table = format!("remote = {{ endpoint = '{}', timeout = '30s', execute = true }}", farm.address);
    assert_eq!(remotely(&plain(&table).run("-f there open here")), [true, true, false]);
    // Without a remote it is a task like any other.
    let ws = plain("");
    assert_eq!(remotely(&ws.run("there open here")), [false; 3]);
    ws.try_run("--remote-exec there").exit(2).says("`--remote-exec`, and no remote is configured");
    let ran = ws.weir(&["run", "--isolated", "-f", "here", "open"]).ok();
    ran.says("`here` runs in the workspace").tasks("open ran, here ran");
}

#[test]
fn what_cannot_run_elsewhere_is_refused() {
    let task = |keys: &str| {
        Workspace::new(&format!("[db.app]\nprovider = 'local'\n[tasks.t]\nrun = 'true'\nexecute = true\n{keys}"))
    };
    let both = "sources = []\noutputs = []\n";
    for (keys, said) in [
        ("outputs = []", "declares no `sources`"),
        ("sources = []", "declares no `outputs`"),
        ("sources = []\noutputs = ['*.o']", "one begins with a glob"),
        (&format!("{both}cache = 'local'"), "has `cache`"),
        (&format!("{both}cache = false"), "has `cache`"),
        (&format!("{both}state = 'true'"), "has `state`"),
        (&format!("{both}poll = {{ every = '1s', timeout = '2s' }}"), "has `poll`"),
        (&format!("{both}ports = ['PORT']"), "has `ports`"),
        (&format!("{both}database = 'app'"), "has `database`"),
        (&format!("{both}junit = 'r.xml'"), "has `junit`"),
        (&format!("{both}artifacts = {{ files = ['x'] }}"), "has `artifacts`"),
        (&format!("{both}pass_through = ['X']"), "has `pass_through`"),
        (&format!("{both}redact = ['X']"), "has `redact`"),
        (&format!("{both}env_file = ['.env']"), "has `env_file`"),
        ("outputs = []\nwrites = ['src']", "has `writes`"),
        ("sources = []\nservice = {}", "has `service`"),
    ] {
        let ran = task(keys).try_run("t").exit(2).says("`t` is to run on a server").says(said);
        ran.says("help:");
    }
    task(both).run("t");
    Workspace::new("[tasks.t]\nrun = 'true'\nexecute = 'yes'").try_run("t").exit(2).says("write `true` to");
    Workspace::new("[tasks.t]\ndepends = []\nexecute = true").try_run("t").exit(2).says("`execute` needs a command");
    let served = "[tasks.s]\nrun = 'sleep 60'\nservice = {}\nsources = []\n[tasks.t]\nrun = 'true'\nsources = []\noutputs = []\n\
                  execute = true\ndepends = ['s']";
    Workspace::new(served).try_run("t").exit(2).says("`t` is to run on a server, and needs the service `s`");
}

#[test]
fn a_secret_goes_along_only_where_that_is_said() {
    let farm = Farm::new();
    let secret = "env = { KEY = 'S3CR3T-VALUE' }\nsources = []\noutputs = []\nrun = 'echo $KEY | wc -c'";
    let ws = Workspace::new(&format!(
        "{}\n[tasks.kept]\n{secret}\nredact = ['KEY']\n[tasks.sent]\n{secret}\nredact = ['KEY']\nexecute = 'with-secrets'\n\
         [tasks.same]\n{secret}\nexecute = true\n",
        through(&farm.address, PATIENT)
    ));
    let holds = || farm.state().blobs.values().any(|blob| blob.windows(12).any(|part| part == b"S3CR3T-VALUE"));
    let ran = ws.run("--remote-exec kept").says("runs in the workspace");
    assert!(!on_the_remote(&ran, "kept") && !holds());
    // The value is known as a secret of another task of the run.
    let ran = ws.run("kept same").says("it runs here: a variable or an argument of it holds a secret");
    assert!(!on_the_remote(&ran, "same") && !holds());
    assert!(on_the_remote(&ws.run("sent"), "sent") && holds());
}

#[test]
fn another_machine_than_the_key_says_does_not_count() {
    let farm = Farm::new();
    let ws = Workspace::new(&format!(
        "{}\n[tasks.t]\nrun = 'echo ran'\nprobes = ['echo home: ${{HOME-none}}']\nsources = []\noutputs = []\nexecute = true\n\
         [tasks.same]\nrun = 'echo ran'\nprobes = ['uname -m']\nrequires = ['sh']\nsources = []\noutputs = []\nexecute = true",
        through(&farm.address, PATIENT)
    ));
    let ran = ws.run("t same").tasks("t ran, same ran");
    assert_eq!((on_the_remote(&ran, "t"), on_the_remote(&ran, "same")), (false, true), "{}", ran.shown());
    let told = &ran.notices("t")[0];
    assert_eq!(
        told.1,
        "it runs here: the remote's machine is another than its key says: what `echo home: ${HOME-none}` prints"
    );
    assert!(!ran.out.contains("weir: this is not"), "what it said of itself is no output of the task: {}", ran.shown());
}

#[test]
fn a_failure_there_is_a_failure() {
    let farm = Farm::new();
    let ws = Workspace::new(&format!(
        "{}\n[tasks.bad]\nrun = 'echo says why; exit 7'\nsources = []\noutputs = []\n\
         [tasks.missing]\nrun = 'true'\nsources = []\noutputs = ['o']\n\
         [tasks.flaky]\nrun = 'echo again; exit 7'\nsources = []\noutputs = []\nretry = 2\n",
        through(&farm.address, PATIENT)
    ));
    let ran = ws.try_run("--remote-exec bad").exit(1).says("says why").says("`weir run --isolated -f bad`");
    assert_eq!(ran.failure("bad"), "exit");
    ws.try_run("--remote-exec missing").exit(1).says("declared output not produced: `o`");
    let before = farm.calls(Call::Execute);
    ws.try_run("--remote-exec flaky").exit(1).tasks("flaky failed");
    assert_eq!(farm.calls(Call::Execute) - before, 2, "each attempt runs");
    assert!(farm.state().anew.last().unwrap());
    // Law 9: it is not recorded, here or there.
    ws.try_run("--remote-exec bad").exit(1).tasks("bad failed");
    assert!(farm.state().results.is_empty());
}

/// What an earlier result left goes; what nobody knows makes the task run here, as it would on a hit.
#[test]
fn what_lies_in_the_outputs() {
    let farm = Farm::new();
    let ws = Workspace::new(&format!(
        "{}\n[tasks.t]\nrun = 'mkdir -p o; for name in $(cat names); do echo $name > o/$name; done'\nsources = ['names']\n\
         outputs = ['o']\nexecute = true",
        through(&farm.address, PATIENT)
    ));
    ws.write("names", "a b");
    ws.run("t");
    ws.write("names", "b c");
    assert!(on_the_remote(&ws.run("t"), "t"));
    assert!(!ws.exists("o/a") && ws.exists("o/b") && ws.exists("o/c"));
    ws.write("o/mine", "by hand");
    ws.write("names", "c d");
    let ran = ws.run("t").says("it runs here: `o/mine` is in its outputs, and no recorded run of it left it there");
    assert!(!on_the_remote(&ran, "t") && ws.read("o/mine") == "by hand" && ws.exists("o/d"));
}

#[test]
fn what_is_printed_comes_as_it_is_printed() {
    let farm = Farm::new();
    let table = through(&farm.address, PATIENT);
    let ws = Workspace::new(&format!(
        "{table}\n[tasks.t]\nrun = 'echo first; echo second >&2; echo third'\nsources = []\noutputs = []\nexecute = true"
    ));
    farm.state().streamed = Some(b"first\nsec".to_vec());
    let ran = ws.run("t --output stream");
    assert!(ran.out.contains("first\nsecond\nthird\n") && ran.out.matches("first").count() == 1, "{}", ran.shown());
    ws.run("t").tasks("t fresh").says("first\nsecond\nthird\n");
    // A stream that tells something else: nothing of it counts.
    farm.state().streamed = Some(b"first\nlies".to_vec());
    let ran = ws.run("-f t").says("gave something else than was asked for");
    assert!(!on_the_remote(&ran, "t"));
    ws.run("t").tasks("t fresh").says("first\nsecond\nthird\n").says_nothing_of("lies");
}

/// Whatever the server does, what is right comes out, and the run says once that it went on without it.
fn must_be_right(farm: &Farm, what: &str, timeout: &str) -> Ran {
    let ws = plain(&through(&farm.address, timeout));
    let ran = ws.run("there");
    assert_eq!((ws.read("o/there").as_str(), ws.read("o/big").len()), ("content", 200_000), "{what}: {}", ran.shown());
    assert!(remote_notices(&ran).len() <= 1, "{what}: {}", ran.shown());
    ws.weir(&["cache", "verify"]).ok().says("all hold");
    ws.run("there").tasks("there fresh");
    ran
}

#[test]
fn whatever_fails_while_a_task_is_run_there() {
    let of_executing = [
        Fault::SaysOfBlob(Code::InvalidArgument),
        Fault::SaysOfBlob(Code::Unavailable),
        Fault::SaysOfBlob(Code::ResourceExhausted),
        Fault::SaysOfBlob(Code::FailedPrecondition),
        Fault::Silent,
        Fault::Other,
    ];
    let of_sending = [Call::FindMissing, Call::BatchUpdate, Call::Write];
    let of_taking = [(Call::BatchRead, Fault::Other), (Call::BatchRead, Fault::Short), (Call::Read, Fault::Other)];
    let errors = ERRORS.into_iter().flat_map(|fault| {
        of_sending.into_iter().chain([Call::Execute, Call::BatchRead, Call::Read]).map(move |call| (call, fault))
    });
    let all = errors.chain(of_executing.map(|fault| (Call::Execute, fault))).chain(of_taking).chain([
        (Call::Write, Fault::Short),
        (Call::Write, Fault::Breaks),
        (Call::Read, Fault::Endless),
    ]);
    for (call, fault) in all {
        let what = format!("{call:?} {fault:?}");
        let farm = Farm::new();
        farm.fail(call, fault);
        let patience = if fault == Fault::Hangs { "500ms" } else { PATIENT };
        let ran = must_be_right(&farm, &what, patience);
        assert!(farm.calls(call) > 0, "{what}: it was never called");
        assert_eq!(remote_notices(&ran).len(), 1, "{what}: {}", ran.shown());
        assert!(!on_the_remote(&ran, "there"), "{what}: {}", ran.shown());
    }
    // A server that only keeps results.
    let farm = Farm::new();
    farm.state().only_keeps = true;
    let ran = must_be_right(&farm, "only keeps", PATIENT).says("it executes nothing; nothing more is run on it");
    assert!(!on_the_remote(&ran, "there"));
    assert_eq!(farm.state().results.len(), 1, "results are exchanged all the same");
    let ws = plain(&through(&farm.address, PATIENT));
    ws.weir(&["doctor"]).go().exit(1).says("BAD  execution").says("`there`");
}

#[test]
fn what_breaks_once_is_mended() {
    for (call, fault) in [
        (Call::Execute, Fault::Breaks),
        (Call::Execute, Fault::SaysOfBlob(Code::Unavailable)),
        (Call::Execute, Fault::SaysOfBlob(Code::FailedPrecondition)),
        (Call::Execute, Fault::Says(Code::Unavailable)),
        (Call::Execute, Fault::Says(Code::Unknown)),
        (Call::BatchUpdate, Fault::Says(Code::Unavailable)),
        (Call::Write, Fault::Breaks),
        (Call::Read, Fault::Breaks),
    ] {
        let what = format!("{call:?} {fault:?}");
        let farm = Farm::new();
        farm.fail_once(call, fault);
        let ran = must_be_right(&farm, &what, PATIENT);
        assert!(on_the_remote(&ran, "there") && remote_notices(&ran).is_empty(), "{what}: {}", ran.shown());
        let waited = usize::from((call, fault) == (Call::Execute, Fault::Breaks));
        assert_eq!(farm.calls(Call::WaitExecution), waited, "{what}");
    }
}

/// The news of a task break off, and asking for it again goes wrong in every way.
#[test]
fn whatever_fails_while_a_task_is_waited_for() {
    for fault in ERRORS.into_iter().chain([Fault::Breaks]) {
        let what = format!("{fault:?}");
        let farm = Farm::new();
        // The first of them breaks off; of the rest each goes wrong as told.
        farm.fail_after_breaking(fault);
        let ran = must_be_right(&farm, &what, if fault == Fault::Hangs { "500ms" } else { PATIENT });
        assert!(farm.calls(Call::WaitExecution) > 0, "{what}");
        assert!(!on_the_remote(&ran, "there") && remote_notices(&ran).len() == 1, "{what}: {}", ran.shown());
    }
}

#[test]
fn whoever_asks_for_a_remote_gets_it_or_an_error() {
    let farm = Farm::new();
    let ws = plain(&through(&farm.address, PATIENT));
    farm.fail(Call::Execute, Fault::Says(Code::PermissionDenied));
    let ran = ws.try_run("--require-remote there").exit(1).says("does not permit it").says("--require-remote");
    assert!(remote_notices(&ran).is_empty(), "told by the task: {}", ran.shown());
    farm.mend();
    ws.run("--require-remote there").tasks("there ran");
}

#[test]
fn a_signal_ends_what_is_run_there() {
    let farm = Farm::new();
    farm.fail(Call::Execute, Fault::Endless);
    let ws = plain(&through(&farm.address, PATIENT));
    let running = ws.weir(&["run", "there"]).spawn();
    wait_until("it is to be executed", || farm.calls(Call::Execute) > 0);
    running.signal(nix::sys::signal::Signal::SIGINT);
    running.end().exit(130).tasks("there failed");
    assert_eq!(farm.state().cancelled.len(), 1);
    farm.mend();
    ws.run("there").tasks("there ran").says("on the remote");
}

#[test]
fn nobody_waits_for_ever_for_a_worker() {
    let farm = Farm::new();
    farm.fail(Call::Execute, Fault::Endless);
    let ws = Workspace::new(&format!(
        "{}\n[tasks.t]\nrun = 'echo ran'\nsources = []\noutputs = []\nexecute = true\ntimeout = '1s'",
        through(&farm.address, "500ms")
    ));
    let ran = ws.run("t").says("let a task wait for 1").says("nothing more is run on it in this run");
    assert!(!on_the_remote(&ran, "t"));
    assert_eq!(farm.state().cancelled.len(), 1);
}

/// One task that the server has no machine for says nothing of the others.
#[test]
fn a_task_that_is_declined_runs_here_and_others_there() {
    let farm = Farm::new();
    let task =
        |name: &str| format!("[tasks.{name}]\nrun = 'echo {name}'\nsources = []\noutputs = []\nexecute = true\n");
    let all: String = ["a", "b", "c", "d", "e"].map(task).concat();
    let ws = Workspace::new(&format!("{}\n{all}", through(&farm.address, PATIENT)));
    farm.fail_once(Call::Execute, Fault::SaysOfBlob(Code::InvalidArgument));
    let ran = ws.run("-j1 a b").says("can't run it (InvalidArgument): told to; it runs here");
    assert_eq!(["a", "b"].map(|task| on_the_remote(&ran, task)).iter().filter(|there| **there).count(), 1);
    farm.fail(Call::Execute, Fault::SaysOfBlob(Code::InvalidArgument));
    let before = farm.calls(Call::Execute);
    let ran = ws.run("-j1 -f a b c d e").says("nothing more is run on it in this run");
    assert_eq!((farm.calls(Call::Execute) - before, remote_notices(&ran).len()), (3, 3), "{}", ran.shown());
    ws.try_run("-f --require-remote a").exit(1).says("--require-remote").tasks("a failed");
}
