//! `weir db status`, `weir db url`, `weir db psql`.

use crate::more::json;
use crate::support::postgres::{Database, PASSWORD, server};
use crate::support::{Ran, Workspace};
use serde_json::json;

const TASKS: &str = "[db.app]\nprovider = \"url\"\n[db.sys]\nprovider = \"local\"\nurl_env = \"SYS_URL\"\n\
    migrations = \"sys/migrations\"\nseeds = \"sys/seeds\"\n\
    [tasks.migrate]\nuses = \"db.migrate\"\nwith = { db = \"app\" }\n\
    [tasks.seed]\nuses = \"db.seed\"\nwith = { db = \"app\" }\ndepends = [\"migrate\"]\n";

fn workspace() -> Workspace {
    let ws = Workspace::new(TASKS);
    ws.write("schema/migrations/0001_accounts.sql", "create table accounts (id int primary key);\n");
    ws.write("schema/seeds/accounts.csv", "id\n1\n");
    ws
}

#[test]
fn status_tells_of_each_database() {
    let app = Database::new();
    let ws = workspace();
    let status = || ws.weir(&["db", "status", "--json"]).env("DATABASE_URL", app.url()).ok();
    let before = json(&status());
    assert_eq!((&before[0]["applied"], &before[0]["files"], &before[0]["seeds"]), (&json!(0), &json!(1), &json!(1)));
    assert!(!ws.exists(".weir"), "looking writes nothing");
    ws.weir(&["run", "seed"]).env("DATABASE_URL", app.url()).ok();
    ws.write("schema/migrations/0002_more.sql", "create table more (id int primary key);\n");
    let ran = status().says_nothing_of(PASSWORD);
    let after = json(&ran);
    assert_eq!(after[0]["provider"], "url");
    assert_eq!((&after[0]["applied"], &after[0]["files"], &after[0]["seeded"]), (&json!(1), &json!(2), &json!(1)));
    assert_eq!((&after[1]["database"], &after[1]["server"]), (&json!("sys"), &json!(null)));
    let shown = ws.weir(&["db", "status"]).env("DATABASE_URL", app.url()).ok();
    shown.says("1 of 2").says("down").says("sys: its server was never started").says_nothing_of(PASSWORD);
}

#[test]
fn url_shows_the_password_only_when_asked() {
    let app = Database::new();
    let ws = workspace();
    let call = |arguments: &[&str]| ws.weir(arguments).env("DATABASE_URL", app.url());
    let port = server().port;
    call(&["db", "url", "app"]).ok().says(&format!("postgres://postgres@127.0.0.1:{port}/{}\n", app.name));
    call(&["db", "url", "app", "--show-password"]).ok().says(&app.url());
    call(&["db", "url"]).go().exit(2).says("several databases").says("`app`, `sys`");
    call(&["db", "url", "other"]).go().exit(2).says("there is no database `other`");
    call(&["db", "url", "sys"]).go().exit(1).says("is not up").says("db.up");
}

#[test]
fn psql_is_told_where_by_its_environment() {
    let app = Database::new();
    let ws = workspace();
    let call = |arguments: &[&str]| ws.weir(arguments).env("DATABASE_URL", app.url()).env("PGSERVICE", "elsewhere");
    let ran = call(&["db", "psql", "app", "--", "-XAtqc", "select current_database()"]).ok();
    assert_eq!(ran.out, format!("{}\n", app.name));
    call(&["db", "psql", "app", "--", "-XAtqc", "select 1/0"]).go().exit(1).says("division by zero");
    // What it was started with holds no password.
    let asked = "select 1; \\! tr '\\0' ' ' < /proc/$PPID/cmdline";
    let ran =
        call(&["db", "psql", "app", "--", "-XAtqc", "select 1", "-c", "\\! tr '\\0' ' ' < /proc/$PPID/cmdline"]).ok();
    assert!(ran.out.contains("psql") && !ran.out.contains(PASSWORD), "{asked}: {}", ran.shown());
}

#[test]
fn what_is_compared_with_is_reached_without_a_password_among_the_arguments() {
    let (app, other) = (Database::new(), Database::new());
    other.sql("create table more (id int primary key)");
    let ws = workspace();
    let bare = format!("postgres://postgres@127.0.0.1:{}/{}", server().port, other.name);
    let diff = |side: &str| ws.weir(&["db", "diff", "app", side, "--db", "app"]).env("DATABASE_URL", app.url());
    let seen = |ran: Ran| ran.exit(1).says("+ table public.more").says_nothing_of(PASSWORD);
    // Whoever types a password has leaked it; weir says so, and does not spread it.
    seen(diff(&other.url()).go())
        .says("warning: the password of `postgres@127.0.0.1")
        .says("help: name a variable that holds");
    for ran in [
        diff("env:THEIRS").env("THEIRS", other.url()).go(),
        diff("env:THEIRS").env("THEIRS", &bare).env("PGPASSWORD", PASSWORD).go(),
        diff(&bare).env("PGPASSWORD", PASSWORD).go(),
    ] {
        seen(ran).says_nothing_of("warning");
    }
    diff(&bare)
        .go()
        .exit(1)
        .says("the server asks for a password: set `PGPASSWORD`")
        .says_nothing_of("table public.more");
    diff("env:THEIRS").go().exit(1).says("the variable `THEIRS` is not set");
    let wrong = diff("env:THEIRS").env("THEIRS", "mysql://u:s3cret@localhost/x").go().exit(1);
    wrong.says("the variable `THEIRS` holds no address of a database").says_nothing_of("s3cret");
    let wrong = diff("postgres://u:s3cret@/x").go().exit(1);
    wrong.says("the argument holds no address of a database").says_nothing_of("s3cret");
    diff("env").go().exit(1).says("`env:NAME`");
}
