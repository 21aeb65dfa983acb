//! A private cluster of installed programs: made, found again, survived, never anybody else's.

use crate::support::postgres::Servers;
use crate::support::{Workspace, alive, wait_until};
use nix::sys::signal::Signal;
use std::fs;
use std::os::unix::fs::PermissionsExt;

const TWO: &str = r#"
[db.app]
provider = "local"
[db.sys]
provider = "local"
name = "the \"system\" one"
url_env = "SYS_URL"
[tasks."up:app"]
uses = "db.up"
with = { db = "app" }
[tasks."up:sys"]
uses = "db.up"
with = { db = "sys" }
[tasks.up]
depends = ["up:*"]
"#;

fn workspace() -> (Workspace, Servers) {
    let ws = Workspace::new(TWO);
    let servers = Servers::of(&ws);
    (ws, servers)
}

#[test]
fn one_server_is_started_for_all_databases_and_lives_on() {
    let (ws, servers) = workspace();
    let ran = ws.weir(&["run", "up"]).ok().tasks("up:app ran, up:sys ran");
    ran.says("created the database `app`").says("created the database `the \"system\" one`");
    let pid = servers.pid("local").unwrap();
    assert!(alive(pid));
    let ran = ws.weir(&["run", "up"]).ok().says_nothing_of("started").says_nothing_of("created");
    assert_eq!(servers.pid("local"), Some(pid), "{}", ran.shown());
}

#[test]
fn the_password_is_for_its_owner_alone() {
    let (ws, servers) = workspace();
    let ran = ws.weir(&["run", "up"]).ok();
    let remembered = servers.remembered("local");
    let password = remembered["password"].as_str().unwrap();
    assert!(password.len() >= 32);
    let ran = ran.says_nothing_of(password);
    let mode = fs::metadata(ws.path(".weir/db/local/server.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for file in ws.weir_files() {
        let secret = file.ends_with("local/server.json");
        let held = fs::read(ws.path(&file)).unwrap().windows(password.len()).any(|found| found == password.as_bytes());
        assert!(secret || !held, "{file} holds the password: {}", ran.shown());
    }
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let told = fs::read(process.path().join("cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&told).contains(password), "{}", process.path().display());
    }
}

#[test]
fn the_run_that_makes_the_password_masks_it_already() {
    let tasks = "[db.app]\nprovider = \"local\"\n[tasks.up]\nuses = \"db.up\"\n\
        [tasks.show]\nrun = \"echo it is $PGPASSWORD; env | grep DATABASE_URL\"\ndatabase = \"app\"\ndepends = [\"up\"]\n";
    let ws = Workspace::new(tasks);
    let servers = Servers::of(&ws);
    let ran = ws.weir(&["run", "show"]).ok().says("it is ***").says("postgres://postgres:***@127.0.0.1:");
    let password = servers.remembered("local")["password"].as_str().unwrap().to_owned();
    ran.says_nothing_of(&password);
    let held = |file: &str| {
        let bytes = std::fs::read(ws.path(file)).unwrap();
        bytes.windows(password.len()).any(|bytes| bytes == password.as_bytes())
    };
    let logs = ws.files(".weir/runs");
    assert!(!logs.is_empty() && logs.iter().all(|file| !held(file)));
}

#[test]
fn the_server_survives_a_weir_that_is_killed() {
    let ws = Workspace::new(
        "[db.app]\nprovider = \"local\"\n[tasks.up]\nuses = \"db.up\"\n\
         [tasks.held]\nrun = \"../pause held\"\ndepends = [\"up\"]\n",
    );
    let servers = Servers::of(&ws);
    let puppet = ws.puppet("held");
    let running = ws.weir(&["run", "held"]).spawn();
    let held = puppet.arrives();
    let pid = servers.pid("local").unwrap();
    running.kill();
    wait_until("the task ends with weir", || !alive(held));
    assert!(alive(pid));
    ws.weir(&["run", "up"]).ok().says_nothing_of("started");
    assert_eq!(servers.pid("local"), Some(pid));
}

#[test]
fn a_server_that_was_killed_is_started_again_with_its_data() {
    let (ws, servers) = workspace();
    ws.weir(&["run", "up"]).ok();
    let before = servers.remembered("local");
    servers.end("local", Signal::SIGKILL);
    assert!(servers.pid("local").is_some(), "a killed server leaves its file behind");
    ws.weir(&["run", "up"]).ok().says("started").says_nothing_of("created");
    let after = servers.remembered("local");
    assert_eq!((&before["port"], &before["name"]), (&after["port"], &after["name"]));
}

#[test]
fn a_file_of_a_server_that_names_somebody_elses_process_is_not_believed() {
    let (ws, servers) = workspace();
    ws.weir(&["run", "up"]).ok();
    servers.end("local", Signal::SIGINT);
    let file = servers.base("local").join("data/postmaster.pid");
    let text = format!("{}\n{}\n0\n5432\n\n127.0.0.1\n", std::process::id(), file.parent().unwrap().display());
    fs::write(&file, text).unwrap();
    ws.weir(&["run", "up"]).ok().says("started");
    assert!(alive(std::process::id()));
}

#[test]
fn a_port_that_was_taken_meanwhile_is_left_to_whoever_has_it() {
    let (ws, servers) = workspace();
    ws.weir(&["run", "up"]).ok();
    let port = servers.remembered("local")["port"].as_u64().unwrap();
    servers.end("local", Signal::SIGINT);
    let _taken = std::net::TcpListener::bind(("127.0.0.1", u16::try_from(port).unwrap())).unwrap();
    ws.weir(&["run", "up"]).ok().says("started");
    assert_ne!(servers.remembered("local")["port"].as_u64().unwrap(), port);
}

#[test]
fn two_at_once_start_one_server() {
    let (ws, servers) = workspace();
    let running: Vec<_> = (0..2).map(|_| ws.weir(&["run", "up"]).spawn()).collect();
    let ran: Vec<_> = running.into_iter().map(|running| running.end().success()).collect();
    let started = ran.iter().filter(|ran| ran.out.contains("started")).count();
    assert_eq!(started, 1, "{}{}", ran[0].shown(), ran[1].shown());
    assert!(alive(servers.pid("local").unwrap()));
}

#[test]
fn weir_killed_at_any_point_of_the_start_leaves_nothing_in_the_way() {
    let (ws, servers) = workspace();
    // An own cache: the data folder is made here, step by step.
    let cache = ws.outside("cache");
    let stages: [(&str, &dyn Fn() -> bool); 3] = [
        ("a data folder is being made", &|| {
            let base = servers.base("local");
            let names = fs::read_dir(base).into_iter().flatten().flatten().map(|entry| entry.file_name());
            names.into_iter().any(|name| name.as_encoded_bytes().starts_with(b"making-"))
        }),
        ("the data folder is there", &|| servers.base("local").join("data").is_dir()),
        ("the server has started", &|| servers.pid("local").is_some()),
    ];
    for (what, reached) in stages {
        let running = ws.weir(&["run", "up"]).env("XDG_CACHE_HOME", &cache).spawn();
        wait_until(what, reached);
        running.kill();
    }
    ws.weir(&["run", "up"]).env("XDG_CACHE_HOME", &cache).ok();
    let base = servers.base("local");
    let names = fs::read_dir(base).unwrap().flatten().map(|entry| entry.file_name());
    assert!(!names.into_iter().any(|name| name.as_encoded_bytes().starts_with(b"making-")));
}

#[test]
fn a_kept_cluster_that_was_cut_short_is_made_again() {
    let (ws, servers) = workspace();
    let cache = ws.outside("cache");
    let run = || ws.weir(&["run", "up:app"]).env("XDG_CACHE_HOME", &cache).ok().says("created the database `app`");
    let begin_anew = || {
        servers.end("local", Signal::SIGINT);
        fs::remove_dir_all(ws.path(".weir/db")).unwrap();
    };
    run();
    let kept = || -> Vec<_> {
        fs::read_dir(cache.join("weir/clusters")).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let [place] = &kept()[..] else { panic!("{:?}", kept()) };
    let whole = fs::read(place).unwrap();
    for length in [0, whole.len() / 3, whole.len()] {
        begin_anew();
        fs::write(place, &whole[..length]).unwrap();
        run();
        assert_eq!(kept(), std::slice::from_ref(place));
        assert!(fs::metadata(place).unwrap().len() > whole.len() as u64 / 2, "{length}");
    }
}

#[test]
fn without_any_programs_it_says_what_to_install() {
    let ws = Workspace::new(&TWO.replace("provider = \"local\"", "provider = \"local\"\nmin_version = 90"));
    let ran = ws.weir(&["run", "up:app"]).go().exit(1);
    ran.says("no Postgres of version 90 or newer is installed").says("apt-get install postgresql");
}

#[test]
fn where_the_servers_account_can_not_go_the_data_lies_elsewhere() {
    let (ws, servers) = workspace();
    ws.chmod("", 0o700);
    ws.weir(&["run", "up"]).ok();
    let base = servers.base("local");
    assert_eq!(ws.mode(""), 0o700, "what is not weir's keeps its permissions");
    // Only as root the server runs under another account.
    let elsewhere = nix::unistd::geteuid().is_root();
    assert_eq!(ws.exists(".weir/db/local/where"), elsewhere);
    assert_eq!(base.starts_with(ws.root()), !elsewhere);
    assert!(base.join("data/PG_VERSION").is_file());
    assert_eq!(fs::metadata(base.join("data")).unwrap().permissions().mode() & 0o777, 0o700);
    servers.end("local", Signal::SIGINT);
    ws.weir(&["run", "up"]).ok().says("started").says_nothing_of("created");
}

#[test]
fn a_full_disk_is_said_and_the_next_run_is_right() {
    if !nix::unistd::geteuid().is_root() {
        // Nobody else may mount a small disk, and Postgres does not run as the root of a namespace.
        return;
    }
    let (ws, _servers) = workspace();
    fs::create_dir_all(ws.path(".weir/db")).unwrap();
    let script = "mount -t tmpfs -o size=8m,mode=755 tmpfs .weir/db && exec \"$WEIR\" run up:app";
    let done = std::process::Command::new("unshare")
        .args(["-m", "sh", "-c", script])
        .current_dir(ws.root())
        .env_clear()
        .envs([("PATH", std::env::var_os("PATH").unwrap()), ("HOME", ws.outside("home").into())])
        .env("WEIR", env!("CARGO_BIN_EXE_weir"))
        .output();
    let done = match done {
        Ok(done) if !String::from_utf8_lossy(&done.stderr).contains("ermission") => done,
        // A container whose root may not mount.
        _ => return,
    };
    let said = String::from_utf8_lossy(&done.stdout);
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.contains("No space left on device") && said.contains("help: make room on the disk"), "{said}");
    ws.weir(&["run", "up:app"]).ok().says("started");
}
