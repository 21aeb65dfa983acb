//! Migrations outside a transaction, and what people say of them: `weir db resolve`. And where it all begins: `weir db
//! new` and `weir db adopt`.

use super::migrating::Site;
use crate::support::postgres::server;
use crate::support::wait_until;

#[test]
fn statement_by_statement() {
    let site = Site::new(&[
        ("0001_a", "create table a (id int);"),
        ("0002_b", "-- weir:no-tx\ncreate index concurrently i on a (id);\nvacuum a;\n"),
        ("0003_c", "create table c (id int);"),
    ]);
    site.run().success().says("3 applied");
    assert!(site.has("i"));
    assert_eq!(site.ledger(), "1|a\n2|b\n3|c");
    assert_eq!(site.database.sql("select count(*) from weir_intents"), "0");
    site.run().success().tasks("migrate fresh");
}

/// `0002` has failed after its first statement.
fn failed() -> Site {
    let site = Site::new(&[
        ("0001_a", "create table a (id int); insert into a values (1), (1);"),
        (
            "0002_b",
            "-- weir:no-tx\ncreate table b (id int);\n\ncreate unique index concurrently i on a (id);\ncreate table c (id int);",
        ),
    ]);
    site.run()
        .exit(1)
        .says("0002_b.sql:4:1: could not create unique index \"i\" (SQLSTATE 23505)")
        .says("outside a transaction: 1 of 3 statements are applied and stay")
        .says("weir db resolve 2 --applied --db app");
    assert!(site.has("b") && !site.has("c"));
    assert_eq!(site.ledger(), "1|a");
    site.run()
        .exit(1)
        .says("`0002_b` runs outside a transaction, was begun at ")
        .says("1 of 3 statements are known to be complete, and the next failed: could not create unique index")
        .says("weir db resolve 2 --undone --db app");
    site
}

#[test]
fn failed_and_undone() {
    let site = failed();
    site.database.sql("drop table b; drop index i; delete from a");
    site.weir("db resolve 2 --undone").success().says("0002_b: undone; `db.migrate` runs it from its first statement");
    site.run().success().says("1 applied, 2 in the ledger");
    assert!(site.has("b") && site.has("c") && site.has("i"));
}

#[test]
fn failed_and_done_by_hand() {
    let site = failed();
    site.database.sql("drop index i; delete from a; create unique index i on a (id); create table c (id int)");
    site.weir("db resolve 2 --applied").success().says("0002_b: in the ledger");
    assert_eq!(site.ledger(), "1|a\n2|b");
    site.run().success().says("nothing to apply: 2 in the ledger");
    site.weir("db resolve 2 --applied").exit(1).says("no migration of version `2` is waiting for a word");
    site.weir("db resolve 2").exit(2).says("--applied");
    site.weir("db resolve 2 --applied --undone").exit(2);
}

#[test]
fn killed_in_the_middle() {
    let site = Site::new(&[("0001_a", "create table switch (id int); insert into switch values (1);")]);
    site.run().success();
    site.file(
        "0002_b",
        "-- weir:no-tx\ncreate table b (id int);\nselect pg_sleep(600) from switch;\ncreate table c (id int);",
    );
    let running = site.start();
    wait_until("the second statement runs", || site.running("from switch") == 1);
    running.kill();
    let ran = site.run().exit(1).says("1 of 3 statements are known to be complete");
    let ran = ran.says("schema/migrations/0002_b.sql:3 may be done, half done or not done");
    ran.says("`weir db resolve 2 --undone --db app` if nothing of it is");
    assert_eq!(site.running("from switch"), 0, "whoever is told where it stands is not told too early");
    assert!(site.has("b") && !site.has("c"));
    // Edited since, it can't be told where it stood.
    site.file("0002_b", "-- weir:no-tx\ncreate table if not exists b (id int);\ncreate table c (id int);");
    site.run().exit(1).says("and the next may be done, half done or not done");
    site.weir("db resolve 3 --undone").exit(1).says("waiting is `2`");
    site.weir("db resolve 2 --undone").success();
    site.run().success();
    assert_eq!(site.ledger(), "1|a\n2|b");
}

#[test]
fn the_backend_is_killed_in_the_middle() {
    let site = Site::new(&[("0001_a", "create table switch (id int); insert into switch values (1);")]);
    site.run().success();
    site.file("0002_b", "-- weir:no-tx\nselect pg_sleep(600) from switch;");
    let running = site.start();
    wait_until("the statement runs", || site.running("from switch") == 1);
    let sql = format!(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{}' and query like '%from switch%'",
        site.database.name
    );
    server().sql("postgres", &sql);
    running
        .end()
        .exit(1)
        .says("terminating connection")
        .says("no statement before it; what it left itself may be there");
    site.run().exit(1).says("0 of 1 statements are known to be complete, and the next failed: terminating connection");
    site.database.sql("delete from switch");
    site.weir("db resolve 2 --undone").success();
    site.run().success();
}

#[test]
fn not_in_one_transaction_with_all() {
    let site = Site::new(&[("0001_a", "create table a (id int);"), ("0002_b", "-- weir:no-tx\nvacuum a;")]);
    let tasks = site.ws.read("tasks.toml");
    site.ws.write("tasks.toml", tasks.replace("uses = 'db.migrate'", "uses = 'db.migrate'\nwith = { atomic = 'all' }"));
    site.run().exit(1).says("0002_b.sql:1: it runs outside a transaction, and `atomic = \"all\"` wants one for all");
    assert!(!site.has("a"));
}

#[test]
fn a_database_with_objects_is_adopted() {
    let site = Site::new(&[
        ("0001_a", "create table a (id int);"),
        ("0002_b", "create table b (id int);"),
        ("0003_c", "create table c (id int);"),
    ]);
    site.weir("db adopt").exit(1).says("database `app` is empty: there is nothing to adopt");
    site.database.sql("create table a (id int); create table b (id int)");
    site.run().exit(1).says("weir db adopt --up-to VERSION --db app");
    site.weir("db adopt --up-to 7").exit(1).says("there is no migration of version `7`").says("the last is 0003");
    site.weir("db adopt --up-to 0002").success().says("0002_b: in the ledger, not run").says("2 adopted; 1 left");
    site.weir("db adopt").exit(1).says("has a ledger already, which holds 2 migrations");
    site.run().success().says("1 applied, 3 in the ledger");
    assert_eq!(site.ledger(), "1|a\n2|b\n3|c");
}

#[test]
fn a_new_file_has_the_next_number() {
    let site = Site::new(&[]);
    site.weir("db new Add payment/outbox!").success().says("wrote schema/migrations/0001_add_payment_outbox.sql");
    site.run().exit(1).says("0001_add_payment_outbox.sql:1: it holds no statement");
    let written = site.ws.read("schema/migrations/0001_add_payment_outbox.sql");
    assert!(written.starts_with("-- 0001_add_payment_outbox\n"), "{written}");
    site.file("09999_x", "select 1;");
    site.weir("db new x").success().says("wrote schema/migrations/10000_x.sql");
    site.weir("db new /").exit(1).says("holds no letter or digit");
    site.weir("db new x --db other").exit(2).says("there is no database `other`").says("there is `app`");
    site.ws.write("schema/migrations/x.txt", "");
    site.weir("db new y").exit(1).says("x.txt` is no migration");
    site.ws.tasks("[db.app]\n[db.sys]\nurl_env = 'SYS_URL'\n");
    site.weir("db new y").exit(2).says("several databases").says("`app`, `sys`");
    site.ws.tasks("");
    site.weir("db new y").exit(2).says("tasks.toml declares no database");
}
