//! The server of a database is killed in the middle of `db.reset`: what is said, and that the next run is right.

use crate::support::postgres::Servers;
use crate::support::{Workspace, wait_until};
use nix::sys::signal::Signal;

const TASKS: &str = "[db.app]\nprovider = 'local'\n[tasks.up]\nuses = 'db.up'\n\
    [tasks.reset]\nuses = 'db.reset'\ndepends = ['up']\n\
    [tasks.migrate]\nuses = 'db.migrate'\ndepends = ['reset']\n\
    [tasks.after]\nrun = 'echo x >> ../after.ran'\ndatabase = 'app'\nsources = []\noutputs = []\ndepends = ['migrate']\n";

/// Stops a `drop schema` for ever, under the server that runs now.
const HOLD: &str = "create schema held; create table held.since as select pg_postmaster_start_time() as at; \
    create function held.hold() returns event_trigger language plpgsql as $$ begin \
    if exists (select from held.since where at = pg_postmaster_start_time()) then perform pg_sleep(600); end if; end $$; \
    create event trigger held on ddl_command_start when tag in ('DROP SCHEMA') execute function held.hold()";

fn workspace(reset: &str) -> (Workspace, Servers) {
    let ws = Workspace::new(&TASKS.replace("'local'", &format!("'local'\nreset = '{reset}'")));
    let servers = Servers::of(&ws);
    ws.write(
        "schema/migrations/0001_accounts.sql",
        "create table accounts (id int); insert into accounts values (1);\n",
    );
    ws.weir(&["run", "after"]).ok();
    (ws, servers)
}

fn sql(ws: &Workspace, text: &str) -> String {
    ws.weir(&["db", "psql", "app", "--", "-XAtqc", text]).ok().out
}

#[test]
fn the_server_is_killed_while_schemas_are_dropped() {
    let (ws, servers) = workspace("schema");
    sql(&ws, HOLD);
    let running = ws.weir(&["run", "after"]).spawn();
    // From another database: who is in this one is sent away.
    let held = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
    wait_until("it drops a schema", || {
        ws.weir(&["db", "psql", "app", "--", "-XAtq", "-d", "postgres", "-c", held]).ok().out == "1\n"
    });
    servers.end("local", Signal::SIGKILL);
    let ran = running.end().exit(1).tasks("up ran, reset failed, migrate skipped, after skipped");
    ran.says("failed to reset the database: the connection to the server was lost")
        .says("help: see whether the server still runs, and run this again: `db.up` starts one of weir's own");
    let ran = ws.weir(&["run", "after"]).ok().tasks("up ran, reset ran, migrate ran, after ran").says("started");
    assert_eq!(sql(&ws, "select count(*) from accounts"), "1\n", "{}", ran.shown());
    assert_eq!(sql(&ws, "select to_regnamespace('held') is null"), "t\n");
    assert_eq!(ws.count("after"), 2);
}

#[test]
fn the_server_is_killed_between_dropping_a_database_and_making_it() {
    let (ws, servers) = workspace("database");
    let drop = ["db", "psql", "app", "--", "-XAtq", "-d", "postgres", "-c", "drop database app with (force)"];
    ws.weir(&drop).ok();
    servers.end("local", Signal::SIGKILL);
    let ran = ws.weir(&["run", "after"]).ok().tasks("up ran, reset ran, migrate ran, after ran");
    ran.says("started").says("created the database `app`");
    assert_eq!(sql(&ws, "select count(*) from accounts"), "1\n");
}
