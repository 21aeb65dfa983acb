//! Results shared through a server: one suite over a folder, a server in this process and a real one; then
//! everything that a server can do wrong, at every call.

mod ahead;
mod casd;
mod certificates;
mod checkouts;
mod executing;
mod farm;
mod tls;
mod wire;
mod worker;

use crate::support::{Ran, Workspace};
use casd::Casd;
use farm::{Call, Farm, Fault};
use std::fs;
use std::time::Duration;
use tonic::Code;

const TASKS: &str = "
[tasks.gen]
run = '''echo gen >> ../gen.ran; mkdir -p out/sub/empty; cp src/a out/sub/a; chmod 751 out/sub/a; ln -sfn sub/a out/link
  head -c 200000 /dev/zero | tr '\\0' x > out/big; : > out/nothing; echo hello from gen'''
sources = ['src']
outputs = ['out']
[tasks.check]
run = 'echo check >> ../check.ran; wc -c < out/big'
sources = ['out']
outputs = []
depends = ['gen']
[tasks.silent]
run = 'echo silent >> ../silent.ran'
sources = ['src']
outputs = []
[tasks.here]
run = 'echo here >> ../here.ran'
sources = ['src']
outputs = []
cache = 'local'
[tasks.unknown]
run = 'echo unknown >> ../unknown.ran'
sources = ['src']
[tasks.all]
depends = ['check', 'silent', 'here', 'unknown']
";

fn checkout(extra: &str) -> Workspace {
    let ws = Workspace::new(&format!("{extra}\n{TASKS}"));
    ws.write("src/a", "content");
    ws
}

/// Through a server that may stay silent for this long.
fn through(address: &str, timeout: &str) -> String {
    format!("remote = {{ endpoint = '{address}', timeout = '{timeout}' }}")
}

/// Long enough for a machine that is busy with other things.
const PATIENT: &str = "30s";

/// Every path below the outputs: its kind, its mode, its content.
fn outputs(ws: &Workspace) -> Vec<(String, u32, Vec<u8>)> {
    use std::os::unix::fs::PermissionsExt;
    let all = walkdir::WalkDir::new(ws.path("out")).sort_by_file_name().into_iter().map(Result::unwrap);
    all.map(|entry| {
        let name = entry.path().strip_prefix(ws.root()).unwrap().to_str().unwrap().to_owned();
        let mode = fs::symlink_metadata(entry.path()).unwrap().permissions().mode();
        let content = match entry.file_type() {
            kind if kind.is_symlink() => fs::read_link(entry.path()).unwrap().to_str().unwrap().as_bytes().to_vec(),
            kind if kind.is_file() => fs::read(entry.path()).unwrap(),
            _ => vec![],
        };
        (name, mode, content)
    })
    .collect()
}

fn remote_notices(ran: &Ran) -> Vec<String> {
    ran.told().into_iter().filter(|(code, _)| code == "remote").map(|(_, message)| message).collect()
}

/// What holds of any place through which results are shared. `run` runs words in a checkout that shares.
fn shares(make: &dyn Fn() -> Workspace, run: &dyn Fn(&Workspace, &str) -> Ran) {
    let (a, b) = (make(), make());
    run(&a, "all").success().tasks("gen ran, check ran, silent ran, here ran, unknown ran");
    run(&b, "all").success().says("hello from gen").tasks("gen hit, check skips, silent skips, here ran, unknown ran");
    assert_eq!(
        [b.count("gen"), b.count("check"), b.count("silent"), b.count("here"), b.count("unknown")],
        [0, 0, 0, 1, 1]
    );
    assert_eq!(outputs(&a), outputs(&b));
    run(&b, "all").success().tasks("gen fresh, check fresh, silent fresh, here fresh, unknown fresh");
    // What came from there is here now, and is whole.
    b.weir(&["cache", "verify"]).ok().says("all hold");
    // Another content is another result, and its outputs replace the others.
    let c = make();
    c.write("src/a", "other");
    run(&c, "gen").success().tasks("gen ran");
    b.write("src/a", "other");
    run(&b, "gen").success().tasks("gen hit");
    assert_eq!(b.read("out/sub/a"), "other");
    // Law 10: what failed here is not taken from there.
    let failing = "[tasks.t]\nrun = 'test ! -e ../fails'\nsources = ['src']\noutputs = []\n";
    let (good, bad) = (make(), make());
    for ws in [&good, &bad] {
        let text = ws.read("tasks.toml").trim_start_matches("version = 1\n").to_owned();
        ws.tasks(&format!("{text}\n{failing}"));
    }
    fs::write(bad.outside("fails"), "").unwrap();
    bad.weir(&["run", "t"]).env("WEIR_REMOTE_MODE", "off").go().exit(1);
    run(&good, "t").success().tasks("t ran");
    run(&bad, "t").exit(1).tasks("t failed");
    fs::remove_file(bad.outside("fails")).unwrap();
    run(&bad, "t").success().tasks("t ran");
}

#[test]
fn a_folder_shares() {
    let folder = tempfile::tempdir().unwrap();
    let run = |ws: &Workspace, words: &str| {
        let words: Vec<&str> = ["run"].into_iter().chain(words.split(' ')).collect();
        ws.weir(&words).env("WEIR_CACHE_DIR", folder.path()).go()
    };
    shares(&|| checkout(""), &run);
}

#[test]
fn a_server_shares() {
    let farm = Farm::new();
    shares(&|| checkout(&through(&farm.address, PATIENT)), &|ws, words| ws.try_run(words));
}

#[cfg(target_os = "linux")]
#[test]
fn a_real_server_shares() {
    let casd = Casd::new();
    shares(&|| checkout(&through(&casd.address, PATIENT)), &|ws, words| ws.try_run(words));
    let ws = checkout(&through(&casd.address, PATIENT));
    ws.run("all").says("remote: 3 hits").says("down");
    ws.weir(&["doctor"]).ok().says("ok   remote").says("SHA-256");
    ws.weir(&["cache", "status", "--remote"]).ok().says("taken and given");
    // Many outputs, and large ones, in several messages.
    let many = "[tasks.many]\nrun = 'mkdir -p out; for i in $(seq 700); do head -c 4000 /dev/urandom > out/$i; done; \
                head -c 5000000 /dev/urandom > out/large'\nsources = []\noutputs = ['out']";
    let remote = through(&casd.address, PATIENT);
    let (a, b) = (Workspace::new(&format!("{remote}\n{many}")), Workspace::new(&format!("{remote}\n{many}")));
    a.run("many").tasks("many ran").says("1 given");
    b.run("many").tasks("many hit").says("1 hit");
    assert_eq!(outputs(&a), outputs(&b));
}

#[test]
fn a_fresh_run_asks_nobody() {
    let farm = Farm::new();
    let ws = checkout(&through(&farm.address, PATIENT));
    ws.run("all");
    let before = farm.all_calls();
    assert!(before > 0);
    for _ in 0..2 {
        ws.run("all").tasks("gen fresh");
        ws.run("all --require-remote").tasks("gen fresh");
    }
    ws.run("-n all");
    ws.weir(&["explain", "gen"]).ok();
    assert_eq!(farm.all_calls(), before);
    // What is already there is not given again.
    let given = farm.calls(Call::BatchUpdate);
    ws.run("-f gen").tasks("gen ran").says("1 given");
    assert!(farm.calls(Call::Write) == 1 && farm.calls(Call::BatchUpdate) <= given + 1);
}

#[test]
fn modes_and_the_environment() {
    let farm = Farm::new();
    let other = Farm::new();
    let ws = checkout(&format!("remote = {{ endpoint = '{}', mode = 'read-only', timeout = '30s' }}", farm.address));
    ws.run("all").tasks("gen ran");
    assert!(farm.calls(Call::GetResult) > 0 && farm.state().results.is_empty() && farm.calls(Call::FindMissing) == 0);
    ws.weir(&["run", "-f", "silent"]).env("WEIR_REMOTE_MODE", "read-write").ok();
    assert_eq!(farm.state().results.len(), 1);
    let asked = farm.all_calls();
    ws.write("src/a", "off");
    ws.weir(&["run", "all"]).env("WEIR_REMOTE_MODE", "off").ok();
    ws.weir(&["run", "-f", "silent"]).env("WEIR_REMOTE", &other.address).env("WEIR_REMOTE_MODE", "read-write").ok();
    assert_eq!((farm.all_calls(), other.state().results.len()), (asked, 1));
    for (name, value, said) in [
        ("WEIR_REMOTE", "http://x:1", "no endpoint: weir speaks"),
        ("WEIR_REMOTE_MODE", "on", "`WEIR_REMOTE_MODE` is `on`"),
    ] {
        ws.write("src/a", value);
        ws.weir(&["run", "all"]).env(name, value).go().exit(2).says(said).says("help:");
    }
    ws.tasks(TASKS);
    ws.try_run("all --require-remote").exit(2).says("no remote is configured");
    ws.weir(&["cache", "status", "--remote"]).go().exit(2).says("no remote is configured");
    ws.weir(&["doctor"]).ok().says("none is configured");
}

#[test]
fn tokens_and_headers() {
    let farm = Farm::new();
    farm.ask_for("s3cret");
    let from_env = "token_env = 'CACHE_TOKEN', headers = { x-team = 'build' }";
    let table = |keys: &str| format!("remote = {{ endpoint = '{}', timeout = '30s', {keys} }}", farm.address);
    let ws = checkout(&table(from_env));
    ws.try_run("silent").exit(2).says("`CACHE_TOKEN`, which holds the token for the remote, is not set");
    ws.weir(&["run", "silent"]).env("CACHE_TOKEN", "s3cret\n").ok().says("1 given");
    let expected = [("authorization", "Bearer s3cret"), ("x-team", "build")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(farm.state().headers, expected);
    let wrong = ws.weir(&["run", "-f", "silent"]).env("CACHE_TOKEN", "guess").ok().says_nothing_of("guess");
    assert_eq!(remote_notices(&wrong).len(), 1, "{}", wrong.shown());
    let wrong = wrong.says("does not know who asks: no such token").says("check the token");
    drop(wrong);
    ws.weir(&["doctor"]).env("CACHE_TOKEN", "guess").go().exit(1).says("BAD  remote").says("does not know who asks");
    ws.tasks(&format!("{}\n{TASKS}", table("token_file = 'token'")));
    ws.try_run("-f silent").exit(2).says("failed to read `token`, the `token_file` of the remote");
    ws.write("token", "s3cret\n");
    ws.run("-f silent").says("1 given");
    ws.weir(&["run", "-f", "silent"]).env("WEIR_REMOTE_TOKEN", "guess").ok().says("does not know who asks");
}

#[test]
fn a_secret_does_not_leave() {
    let farm = Farm::new();
    let remote = through(&farm.address, PATIENT);
    let common = "sources = []\nenv = { KEY = 'S3CR3T-VALUE' }\nredact = ['KEY']";
    let ws = Workspace::new(&format!(
        "{remote}\n[tasks.prints]\nrun = 'echo $KEY'\noutputs = []\n{common}\n\
         [tasks.writes]\nrun = 'printf abc > w; printf %s $KEY >> w'\noutputs = ['w']\n{common}\n\
         [tasks.links]\nrun = 'ln -sfn $KEY l'\noutputs = ['l']\n{common}\n\
         [tasks.keeps]\nrun = 'echo nothing'\noutputs = []\n{common}\n"
    ));
    let ran = ws.run("prints writes links keeps").says("1 given");
    let told = |task: &str| {
        ran.notices(task).into_iter().map(|(code, message)| format!("{code}: {message}")).collect::<String>()
    };
    assert!(told("prints").starts_with("not-shared: what it printed holds a secret"), "{}", ran.shown());
    assert!(told("writes").starts_with("not-shared: output `w` holds a secret"), "{}", ran.shown());
    assert!(told("links").starts_with("not-shared: output `l` holds a secret"), "{}", ran.shown());
    assert_eq!(told("keeps"), "");
    let state = farm.state();
    assert_eq!(state.results.len(), 1);
    for blob in state.blobs.values() {
        assert!(!blob.windows(12).any(|window| window == b"S3CR3T-VALUE"));
    }
    drop(state);
    // Here they count all the same.
    ws.run("prints writes links keeps").tasks("prints fresh, writes fresh, links fresh, keeps fresh");
}

/// Runs all in a checkout whose server is at `address`; however that server is, what is right comes out.
fn must_be_right(address: &str, what: &str, timeout: &str) -> (Workspace, Ran) {
    must_be_right_in(checkout(&through(address, timeout)), what)
}

fn must_be_right_in(ws: Workspace, what: &str) -> (Workspace, Ran) {
    let ran = ws.run("all");
    assert_eq!((ws.read("out/sub/a").as_str(), ws.read("out/big").len()), ("content", 200_000), "{what}");
    assert_eq!((ws.mode("out/sub/a"), ws.target("out/link").to_str()), (0o751, Some("sub/a")), "{what}");
    let told = remote_notices(&ran);
    assert!(told.len() <= 1, "{what}: {told:?}");
    (ws, ran)
}

/// Where no answer comes, no test wants to wait long for it; everywhere else, a busy machine gets its time.
fn patience(fault: Fault) -> &'static str {
    if matches!(fault, Fault::Hangs | Fault::Silent) { "500ms" } else { PATIENT }
}

const ERRORS: [Fault; 9] = [
    Fault::Says(Code::Unavailable),
    Fault::Says(Code::Internal),
    Fault::Says(Code::Unknown),
    Fault::Says(Code::ResourceExhausted),
    Fault::Says(Code::Unauthenticated),
    Fault::Says(Code::PermissionDenied),
    Fault::Says(Code::InvalidArgument),
    Fault::Says(Code::Unimplemented),
    Fault::Hangs,
];

#[test]
fn whatever_fails_while_results_are_taken() {
    let farm = Farm::new();
    let first = checkout(&through(&farm.address, PATIENT));
    first.run("all").says("3 given");
    let data = [Fault::Short, Fault::Other, Fault::Silent];
    let special: Vec<(Call, Fault)> = data
        .into_iter()
        .flat_map(|fault| [Call::Capabilities, Call::GetResult, Call::BatchRead].map(|call| (call, fault)))
        // A server that takes no results gives them all the same; there, all is well.
        .filter(|case| *case != (Call::Capabilities, Fault::Short))
        .chain(
            [Fault::Short, Fault::Other, Fault::Endless, Fault::Breaks, Fault::Silent].map(|fault| (Call::Read, fault)),
        )
        .chain([(Call::BatchRead, Fault::SaysOfBlob(Code::Internal))])
        .collect();
    let errors = Call::TAKING.into_iter().flat_map(|call| ERRORS.map(|fault| (call, fault)));
    for (call, fault) in errors.chain(special) {
        let what = format!("{call:?} {fault:?}");
        farm.fail(call, fault);
        let before = farm.calls(call);
        let (ws, ran) = must_be_right(&farm.address, &what, patience(fault));
        assert!(farm.calls(call) > before, "{what}: it was never called");
        assert_eq!(remote_notices(&ran).len(), 1, "{what}: {}", ran.shown());
        assert_eq!(outputs(&first), outputs(&ws), "{what}");
        farm.mend();
        // Once it is mended, nothing wrong has stayed.
        ws.run("all").tasks("gen fresh, check fresh, silent fresh");
        ws.weir(&["cache", "verify"]).ok().says("all hold");
    }
}

#[test]
fn whatever_fails_while_results_are_given() {
    let special = [
        (Call::FindMissing, Fault::Silent),
        (Call::FindMissing, Fault::Other),
        (Call::BatchUpdate, Fault::SaysOfBlob(Code::ResourceExhausted)),
        (Call::BatchUpdate, Fault::Silent),
        (Call::Write, Fault::Short),
        (Call::Write, Fault::Breaks),
        (Call::Capabilities, Fault::Short),
    ];
    let errors = Call::GIVING.into_iter().flat_map(|call| ERRORS.map(|fault| (call, fault)));
    for (call, fault) in errors.chain(special) {
        let what = format!("{call:?} {fault:?}");
        let farm = Farm::new();
        farm.fail(call, fault);
        let (ws, ran) = must_be_right(&farm.address, &what, patience(fault));
        assert!(farm.calls(call) > 0, "{what}: it was never called");
        assert_eq!(remote_notices(&ran).len(), 1, "{what}: {}", ran.shown());
        farm.mend();
        ws.run("all").tasks("gen fresh");
        let (other, _) = must_be_right(&farm.address, &what, PATIENT);
        assert_eq!(outputs(&ws), outputs(&other), "{what}");
    }
}

/// Some servers forget blobs before the results that name them.
#[test]
fn a_result_without_its_blobs_is_a_miss() {
    let farm = Farm::new();
    checkout(&through(&farm.address, PATIENT)).run("all");
    let names: Vec<String> = farm.state().blobs.keys().cloned().collect();
    for name in names {
        let kept = farm.state().blobs.remove(&name).unwrap();
        let (_, ran) = must_be_right(&farm.address, &name, PATIENT);
        assert_eq!(remote_notices(&ran), Vec::<String>::new());
        farm.state().blobs.insert(name, kept);
    }
}

#[test]
fn whatever_is_no_server() {
    use std::io::{Read, Write};
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let rude = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let rude_at = rude.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in rude.incoming().flatten() {
            let mut connection = connection;
            let _ = connection.set_read_timeout(Some(Duration::from_secs(1)));
            let _ = connection.read(&mut [0; 64]);
            let _ = connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        }
    });
    for address in [closed, silent.local_addr().unwrap(), rude_at] {
        for endpoint in [format!("grpc://{address}"), format!("grpcs://{address}")] {
            let (ws, ran) = must_be_right(&endpoint, &endpoint, "500ms");
            assert_eq!(remote_notices(&ran).len(), 1, "{endpoint}: {}", ran.shown());
            ws.write("src/a", "again");
            let required = ws.try_run("-k all --require-remote").exit(1).says("--require-remote");
            assert!(remote_notices(&required).is_empty(), "told by the tasks: {}", required.shown());
            ws.weir(&["doctor"]).go().exit(1).says("BAD  remote");
        }
    }
}

#[test]
fn what_is_required_and_was_not_given_fails_the_run() {
    let farm = Farm::new();
    let ws = checkout(&through(&farm.address, PATIENT));
    farm.fail(Call::UpdateResult, Fault::Says(Code::ResourceExhausted));
    ws.try_run("all --require-remote").exit(1).tasks("gen ran").says("takes no more").says("--require-remote");
    farm.mend();
    ws.run("-f gen silent --require-remote").tasks("gen ran, silent ran").says("2 given");
}

/// A server that takes very slowly holds up the end of a run; a signal ends that.
#[test]
fn nobody_has_to_wait_for_what_is_given() {
    let farm = Farm::new();
    farm.fail(Call::BatchUpdate, Fault::Hangs);
    let ws = checkout(&through(&farm.address, "50s"));
    let running = ws.weir(&["run", "silent"]).spawn();
    crate::support::wait_until("the server is given something", || farm.calls(Call::BatchUpdate) > 0);
    running.signal(nix::sys::signal::Signal::SIGINT);
    running.end().exit(130).tasks("silent ran");
    ws.run("silent").tasks("silent fresh");
}
