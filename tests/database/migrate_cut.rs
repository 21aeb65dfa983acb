//! `db.migrate` cut short: weir killed, the server's backend killed, a timeout, Ctrl-C, two runners at once. Whatever
//! it was, nothing is half applied, and the next run is right.

use super::migrating::Site;
use crate::support::postgres::server;
use crate::support::{Workspace, wait_until};
use nix::sys::signal::Signal;

/// Waits as long as there is a row in `switch`.
const WAITS: &str = "do $$ begin while exists (select from switch) loop perform pg_sleep(0.01); end loop; end $$;";

/// `0001` is applied; `0002` will wait in its middle.
fn waiting() -> Site {
    let site = Site::new(&[("0001_a", "create table switch (id int);")]);
    site.run().success();
    site.database.sql("insert into switch values (1)");
    site.file("0002_b", format!("create table b (id int);\n{WAITS}\ncreate table c (id int);"));
    site
}

fn until_it_runs(site: &Site) {
    wait_until("the migration waits in its middle", || site.running("from switch") == 1);
}

fn until_it_is_gone(site: &Site) {
    wait_until("its backend has noticed", || site.running("from switch") == 0);
}

fn goes_on(site: &Site) {
    site.database.sql("delete from switch");
    site.run().success().tasks("migrate ran, after ran").says("1 applied, 2 in the ledger");
    assert!(site.has("b") && site.has("c"));
    assert_eq!(site.ledger(), "1|a\n2|b");
    site.run().success().tasks("migrate fresh");
}

#[test]
fn weir_is_killed() {
    let site = waiting();
    let running = site.start();
    until_it_runs(&site);
    running.kill();
    // Nobody tells the server; it has to notice by itself, or the next run would wait for ever.
    until_it_is_gone(&site);
    assert!(!site.has("b"));
    assert_eq!(site.ledger(), "1|a");
    goes_on(&site);
}

#[test]
fn the_backend_is_killed() {
    let site = waiting();
    let running = site.start();
    until_it_runs(&site);
    let sql = format!(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{}' and query like '%from switch%'",
        site.database.name
    );
    server().sql("postgres", &sql);
    running.end().exit(1).tasks("migrate failed").says("terminating connection due to administrator command");
    assert!(!site.has("b"));
    goes_on(&site);
}

#[test]
fn a_migration_that_hangs_ends_by_the_timeout_and_is_shown() {
    let site = waiting();
    site.file("0002_b", format!("set statement_timeout = 0;\ncreate table b (id int);\n  {WAITS}"));
    let tasks = site.ws.read("tasks.toml");
    site.ws.write("tasks.toml", tasks.replace("uses = 'db.migrate'", "uses = 'db.migrate'\ntimeout = '500ms'"));
    let ran =
        site.run().exit(1).says("stopped: schema/migrations/0002_b.sql:3:3: canceling statement due to user request");
    assert_eq!(ran.failure("migrate"), "timeout", "{}", ran.shown());
    until_it_is_gone(&site);
    assert!(!site.has("b"));
    assert_eq!(site.ledger(), "1|a");
}

#[test]
fn ctrl_c_stops_the_statement() {
    let site = waiting();
    let running = site.start();
    until_it_runs(&site);
    running.signal(Signal::SIGINT);
    running.end().exit(130).says("stopped: schema/migrations/0002_b.sql:2:1: canceling statement");
    until_it_is_gone(&site);
    goes_on(&site);
}

#[test]
fn of_two_runners_one_works_and_the_other_has_nothing_to_do() {
    let site = waiting();
    let other = Workspace::new(&site.ws.read("tasks.toml").replace("version = 1\n", ""));
    for file in ["0001_a", "0002_b"] {
        let path = format!("schema/migrations/{file}.sql");
        other.write(&path, site.ws.read(&path));
    }
    let first = site.start();
    until_it_runs(&site);
    let second = other.weir(&["run", "--output", "stream", "migrate"]).env("DATABASE_URL", site.database.url());
    let mut second = second.spawn();
    second.wait_for("waiting for another migration run (backend ");
    site.database.sql("delete from switch");
    first.end().success().tasks("migrate ran").says("1 applied, 2 in the ledger");
    second.end().success().tasks("migrate ran").says("nothing to apply: 2 in the ledger");
    assert_eq!(site.ledger(), "1|a\n2|b");
}

#[test]
fn a_lock_that_somebody_holds() {
    let site = Site::new(&[("0001_a", "create table a (id int);")]);
    site.run().success();
    let name = site.database.name.clone();
    let holder = std::thread::spawn(move || {
        server().try_sql(&name, "begin; lock table a in access exclusive mode; select pg_sleep(600)")
    });
    wait_until("somebody holds the lock", || site.running("pg_sleep(600)") == 1);
    site.file("0002_b", "set lock_timeout = '20ms';\nalter table a add column b int;");
    site.run()
        .exit(1)
        .says("0002_b.sql:2:1: canceling statement due to lock timeout (SQLSTATE 55P03)")
        .says("let them end");
    let sql =
        format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{}'", site.database.name);
    server().sql("postgres", &sql);
    assert!(holder.join().unwrap().is_err());
    site.run().success().says("1 applied");
}

/// Law 10: whenever it was killed, what is in the ledger is in the database, and nothing else, and the next run does the
/// rest.
#[test]
fn killed_again_and_again_between_and_within_files() {
    let files: Vec<(String, String)> = (1..=30)
        .map(|n| {
            (
                format!("{n:04}_t{n}"),
                format!("create table t{n} (id int); select pg_sleep(0.004); comment on table t{n} is 'x';"),
            )
        })
        .collect();
    let borrowed: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let site = Site::new(&borrowed);
    let count = || -> usize {
        match site.has("schema_migrations") {
            true => site.database.sql("select count(*) from schema_migrations").parse().unwrap(),
            false => 0,
        }
    };
    for enough in [1, 4, 9, 17] {
        let running = site.start();
        wait_until("some are applied", || count() >= enough);
        running.kill();
        wait_until("its backend is gone", || site.running("create table") == 0);
        let made = site.database.sql("select count(*) from pg_class where relname ~ '^t[0-9]+$'");
        assert_eq!(made, count().to_string(), "after {enough}");
    }
    // On a busy machine the last that was killed may have come to the end.
    site.run().success().says(" 30 in the ledger");
    assert_eq!(count(), 30);
}
