//! This repository's own crash proof: its workflow program, killed between its two steps, on its own schema. And the
//! same program, made to forget what it did.

use crate::support::Workspace;
use crate::support::postgres::{Database, server};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// The program: an example of this package, which `cargo test --test integration` alone does not build.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_weir")).parent().unwrap();
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--locked", "--offline", "--example", "crashdemo", "--target-dir"]);
        build.arg(folder.parent().unwrap()).current_dir(REPOSITORY);
        if folder.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success());
        folder.join("examples/crashdemo")
    })
}

fn copy(ws: &Workspace, folder: &str) {
    for entry in walkdir::WalkDir::new(Path::new(REPOSITORY).join(folder)) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let path = entry.path().strip_prefix(REPOSITORY).unwrap().to_str().unwrap();
            ws.write(path, std::fs::read(entry.path()).unwrap());
        }
    }
}

/// A workspace with this repository's databases, and the proof; the program stays between its steps until it is killed.
fn workspace(options: &str, within: &str) -> Workspace {
    let program = program().display();
    let psql = server().bin.join("psql");
    let psql = format!("{} -XqAt -v ON_ERROR_STOP=1 \"$DATABASE_URL\"", psql.display());
    let ws = Workspace::new(&format!(
        r#"
[db.app]
provider = "url"
[db.sys]
provider = "url"
url_env = "SYS_DATABASE_URL"
migrations = "schema/sys/migrations"
seeds = "schema/sys/seeds"
[tasks.server]
exec = ["{program}", "serve", "--pause-ms", "600000"{options}]
ports = "PORT"
database = [{{ name = "app", clone = true }}, {{ name = "sys", clone = true }}]
service = {{ ready = {{ http = "http://127.0.0.1:$PORT/health" }} }}
[tasks.proof]
uses = "proof.crash"
[tasks.proof.with]
service = "server"
trigger = '{program} begin "$WEIR_ATTEMPT_ID"'
after = {{ command = '''test "$({psql} -c "select count(*) from marks where run_id = '$WEIR_ATTEMPT_ID'")" = 1''' }}
assert = 'status=$({program} status "$WEIR_ATTEMPT_ID"); echo "status: $status"; test "$status" = SUCCESS'
[tasks.proof.with.settle]
command = '''{psql} -c "set role readonly" -c "select mark_counts('$WEIR_ATTEMPT_ID')"'''
equals = '{{"s1": 1, "s2": 1}}'
timeout = "{within}"
"#
    ));
    for folder in ["schema/migrations", "schema/seeds", "schema/sys/migrations", "schema/sys/seeds"] {
        copy(&ws, folder);
    }
    ws
}

#[test]
fn a_workflow_that_is_killed_between_its_steps_does_each_of_them_once() {
    let (app, sys) = (Database::new(), Database::new());
    let ws = workspace("", "40s");
    let run = || ws.weir(&["run", "proof"]).envs([("DATABASE_URL", app.url()), ("SYS_DATABASE_URL", sys.url())]).ok();
    run().tasks("proof ran").says("the output came to `{\"s1\": 1, \"s2\": 1}`").says("status: SUCCESS");
    run().tasks("proof ran");
    // Its databases were its own, copied from a template that stays, and are gone.
    for database in [&app, &sys] {
        let made = |kind: &str| {
            let named = format!("'weir_{kind}_' || left(encode(sha256(current_database()::bytea), 'hex'), 8) || '%'");
            database.sql(&format!("select count(*) from pg_database where datname like {named}"))
        };
        assert_eq!((made("template").trim(), made("clone").trim()), ("1", "0"));
    }
}

#[test]
fn a_workflow_that_forgets_its_journal_is_found_out() {
    let (app, sys) = (Database::new(), Database::new());
    let ws = workspace(", \"--forgetful\"", "5s");
    let run = ws.weir(&["run", "proof"]).envs([("DATABASE_URL", app.url()), ("SYS_DATABASE_URL", sys.url())]).go();
    run.exit(1)
        .tasks("proof failed")
        .says("the output did not come to `{\"s1\": 1, \"s2\": 1}` within 5.00s: it prints `{\"s1\": 2}`")
        .says("s1 is done");
}
