//! `db.down`: stops what `db.up` started, and nothing else.

use crate::support::postgres::{Database, Servers};
use crate::support::{Workspace, alive};

const TASKS: &str = "[db.app]\n[tasks.up]\nuses = \"db.up\"\n[tasks.down]\nuses = \"db.down\"\n\
    [tasks.user]\nrun = \"true\"\nsources = []\noutputs = []\ndatabase = \"app\"\n";

#[test]
fn the_server_that_was_started_is_stopped_and_starts_again() {
    let ws = Workspace::new(&TASKS.replace("[db.app]", "[db.app]\nprovider = \"local\""));
    let servers = Servers::of(&ws);
    ws.weir(&["run", "down"]).ok().says("nothing to stop");
    ws.weir(&["run", "up"]).ok();
    let pid = servers.pid("local").unwrap();
    ws.weir(&["run", "down"]).ok().says("stopped the server");
    assert!(!alive(pid));
    ws.weir(&["run", "down"]).ok().says("nothing to stop");
    // Who needs it now fails, and is told what to do.
    ws.weir(&["run", "user"]).go().exit(1).tasks("user failed").says("failed to connect").says("bring it up first");
    ws.weir(&["run", "up"]).ok().says("started").says_nothing_of("created");
    let ran = ws.weir(&["run", "up", "down"]).go();
    assert!(ran.code == 0, "{}", ran.shown());
}

#[test]
fn a_server_that_is_named_from_outside_is_left_alone() {
    let database = Database::new();
    let ws = Workspace::new(TASKS);
    ws.weir(&["run", "down"]).env("DATABASE_URL", database.url()).ok().says("left `postgres@127.0.0.1:");
    assert_eq!(database.sql("select 1"), "1");
}
