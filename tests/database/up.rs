//! `db.up` on a server that is named from outside, and all that can be wrong with it.

use crate::support::Workspace;
use crate::support::postgres::{Database, PASSWORD, server};
use std::net::TcpListener;

const UP: &str = "[db.app]\nprovider = \"url\"\n[tasks.up]\nuses = \"db.up\"\n";

#[test]
fn a_database_named_from_outside_is_up() {
    let database = Database::new();
    let ws = Workspace::new(UP);
    let ran = ws.weir(&["run", "up"]).env("DATABASE_URL", database.url()).ok().tasks("up ran");
    ran.says("Postgres ")
        .says(&format!("postgres@127.0.0.1:{}/{}", server().port, database.name))
        .says_nothing_of(PASSWORD);
    // By an address of version 6, where there is one.
    if TcpListener::bind("[::1]:0").is_ok() {
        let url = database.url().replace("127.0.0.1", "[::1]");
        ws.weir(&["run", "up"]).env("DATABASE_URL", url).ok().says("postgres@::1:");
    }
}

#[test]
fn a_server_that_is_older_than_asked_for_is_no_good() {
    let database = Database::new();
    let ws = Workspace::new(&UP.replace("provider", "min_version = 90\nprovider"));
    let ran = ws.weir(&["run", "up"]).env("DATABASE_URL", database.url()).go().exit(1).tasks("up failed");
    ran.says("older than 90").says("lower `min_version`");
}

#[test]
fn what_is_wrong_with_an_address_is_said_without_its_password() {
    let database = Database::new();
    let ws = Workspace::new(UP);
    let port = server().port;
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let name = &database.name;
    for (url, says, help) in [
        (
            format!("postgres://postgres:s3cret@127.0.0.1:{port}/{name}"),
            "password authentication failed",
            "check the user",
        ),
        (
            format!("postgres://u:s3cret@127.0.0.1:{nobody}/app"),
            "failed to connect to `u@127.0.0.1:",
            "no server listens",
        ),
        (server().url("is \"missing\""), "does not exist", "create database \"is \"\"missing\"\"\""),
        (format!("postgres://u:s3cret@127.0.0.1:{port}/{name}?sslmode=require"), "asks for TLS", "sslmode=prefer"),
        ("postgres://u:s3cret@127.0.0.1:not-a-port/app".into(), "holds no address of a database", "postgres://USER"),
        ("s3cret".into(), "holds no address of a database", "postgres://USER"),
        ("postgres://u:s3cret@%2Fno%2Fsuch%2Ffolder/app".into(), "failed to connect", "no server listens"),
    ] {
        let ran = ws.weir(&["run", "up"]).env("DATABASE_URL", &url).go().exit(1).tasks("up failed");
        ran.says(says).says(help).says_nothing_of("s3cret").says_nothing_of(PASSWORD);
    }
    ws.weir(&["run", "up"]).go().exit(1).says("the variable `DATABASE_URL` is not set");
}

#[test]
fn a_server_that_never_answers_is_given_up_on() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let ws = Workspace::new(&UP.replace("uses", "timeout = \"300ms\"\nuses"));
    let url = format!("postgres://u:s3cret@{}/app", silent.local_addr().unwrap());
    ws.weir(&["run", "up"]).env("DATABASE_URL", url).go().exit(1).says("timed out").says_nothing_of("s3cret");
}
