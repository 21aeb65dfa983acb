//! A server run by `docker compose`: a script stands in for Docker, records what it is asked and leads to a real server.

use crate::support::Workspace;
use crate::support::postgres::{PASSWORD, server};
use std::ffi::OsString;
use std::fs;

const TASKS: &str = "[db.app]\nprovider = \"docker\"\nname = \"NAME\"\n[tasks.up]\nuses = \"db.up\"\n\
    [tasks.down]\nuses = \"db.down\"\n[tasks.reset]\nuses = \"db.reset\"\ndepends = [\"up\"]\nwait_for = [\"down\"]\n";

/// A workspace whose `docker` is a script, and the PATH that finds it.
fn workspace(name: &str) -> (Workspace, OsString) {
    let ws = Workspace::new(&TASKS.replace("NAME", name));
    ws.write("infra/docker/compose.yml", "services:\n  db:\n    image: postgres:18\n");
    fs::create_dir(ws.outside("bin")).unwrap();
    let script = format!(
        "#!/bin/sh
folder=${{0%/*}}
echo \"$*\" >> \"$folder/asked\"
case \"$*\" in
'version --format {{{{.Server.Version}}}}') [ -e \"$folder/no-engine\" ] && exit 1; echo 27.0 ;;
*' up -d --wait db') [ -e \"$folder/broken\" ] && {{ echo 'no space for the image' >&2; exit 1; }}; : ;;
*' port db 5432') echo 0.0.0.0:{} ;;
*' config --format json')
  echo '{{\"services\": {{\"db\": {{\"environment\": {{\"POSTGRES_PASSWORD\": \"{PASSWORD}\"}}}}}}}}' ;;
*' stop db') ;;
*) exit 64 ;;
esac
",
        server().port
    );
    ws.write("../bin/docker", script);
    ws.chmod("../bin/docker", 0o755);
    let path = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths(std::iter::once(ws.outside("bin")).chain(std::env::split_paths(&path))).unwrap();
    (ws, path)
}

fn asked(ws: &Workspace) -> Vec<String> {
    let told = fs::read_to_string(ws.outside("bin/asked")).unwrap_or_default();
    let file = ws.path("infra/docker/compose.yml").display().to_string();
    told.lines().map(|line| line.replace(&file, "FILE")).collect()
}

#[test]
fn the_service_is_started_found_used_and_stopped() {
    let (ws, path) = workspace("of_docker");
    let run = |arguments: &[&str]| ws.weir(arguments).env("PATH", &path);
    let ran = run(&["run", "up"]).ok().says("created the database `of_docker`").says_nothing_of(PASSWORD);
    assert_eq!(
        asked(&ws),
        [
            "version --format {{.Server.Version}}",
            "compose -f FILE up -d --wait db",
            "compose -f FILE port db 5432",
            "compose -f FILE config --format json"
        ],
        "{}",
        ran.shown()
    );
    // Once up it is only connected to.
    run(&["run", "up"]).ok();
    assert_eq!(asked(&ws).len(), 4);
    run(&["run", "reset"]).ok();
    assert!(server().has("of_docker"));
    run(&["db", "status"]).ok().says("docker").says(&format!("postgres@127.0.0.1:{}/of_docker", server().port));
    run(&["run", "down"]).ok().says("stopped the service `db`");
    assert_eq!(asked(&ws).last().unwrap(), "compose -f FILE stop db");
    for file in ws.weir_files() {
        let secret = file.contains("db/docker/");
        assert!(secret || !String::from_utf8_lossy(&fs::read(ws.path(&file)).unwrap()).contains(PASSWORD), "{file}");
    }
}

#[test]
fn auto_takes_it_only_where_an_engine_answers() {
    let (ws, path) = workspace("of_auto");
    let run = || ws.weir(&["run", "up"]).env("PATH", &path);
    // No installed version is that new; the stand-in's server is not either, which is how one sees that it was asked.
    ws.tasks("[db.app]\nname = \"of_auto\"\nmin_version = 90\n[tasks.up]\nuses = \"db.up\"\n");
    run().go().exit(1).says("older than 90");
    assert!(asked(&ws).iter().any(|line| line.ends_with("up -d --wait db")));
    fs::remove_dir_all(ws.path(".weir")).unwrap();
    fs::write(ws.outside("bin/no-engine"), "").unwrap();
    let before = asked(&ws).len();
    let missing = ws.path("missing.tar.gz");
    run().env("WEIR_POSTGRES_ARCHIVE", &missing).go().exit(1).says("failed to read the archive");
    assert_eq!(asked(&ws)[before..], ["version --format {{.Server.Version}}"]);
    // An engine on another machine is asked nothing.
    fs::remove_file(ws.outside("bin/no-engine")).unwrap();
    let elsewhere = run().env("DOCKER_HOST", "tcp://10.0.0.1:2375").env("WEIR_POSTGRES_ARCHIVE", &missing);
    elsewhere.go().exit(1).says("failed to read the archive");
    assert_eq!(asked(&ws).len(), before + 1);
}

#[test]
fn what_docker_says_against_it_is_told() {
    let (ws, path) = workspace("of_trouble");
    let run = || ws.weir(&["run", "up"]).env("PATH", &path);
    fs::write(ws.outside("bin/broken"), "").unwrap();
    run().go().exit(1).says("`docker compose up -d --wait db` failed: no space for the image");
    fs::write(ws.outside("bin/no-engine"), "").unwrap();
    run().go().exit(1).says("no engine of Docker runs").says("help: ");
    ws.remove("infra/docker/compose.yml");
    run().go().exit(1).says("there is no compose file `infra/docker/compose.yml`");
}
