//! `db.migrate`: what is applied, when it is fresh, and what is put where.

use super::migrating::{Site, TASKS};
use crate::support::Workspace;
use crate::support::postgres::Database;

#[test]
fn applied_once_and_then_fresh() {
    let site = Site::new(&[("0001_a", "create table a (id int primary key);")]);
    site.run().success().tasks("migrate ran, after ran").says("0001_a (").says("1 applied, 1 in the ledger");
    assert_eq!(site.ledger(), "1|a");
    let checksum = site.database.sql("select checksum_sha256 from schema_migrations");
    assert_eq!(checksum, sha256(b"create table a (id int primary key);"));
    site.run().success().tasks("up ran, migrate fresh, after fresh");
    site.file("0002_b", "create table b (id int primary key);");
    site.run().success().tasks("migrate ran, after ran").says("1 applied, 2 in the ledger").says_nothing_of("0001_a (");
    assert_eq!(site.ledger(), "1|a\n2|b");
}

fn sha256(bytes: &[u8]) -> String {
    weir::model::Digest::of(bytes).to_hex()
}

/// Law 17: the live database is an input.
#[test]
fn dropped_behind_its_back_it_runs_and_so_does_what_depends_on_it() {
    let site = Site::new(&[("0001_a", "create table a (id int primary key);")]);
    site.run().success();
    let identity = site.database.sql("select incarnation from weir_database");
    site.database.sql("drop schema public cascade; create schema public");
    let ran = site.run().success().tasks("migrate ran, after ran");
    assert_eq!(ran.reasons("migrate"), ["state"]);
    assert_eq!(site.ws.count("after"), 2);
    assert!(site.has("a"));
    assert_ne!(site.database.sql("select incarnation from weir_database"), identity, "it is another database now");
    // Also where somebody has put a ledger like it back.
    site.database.sql("update weir_database set incarnation = 'another'");
    site.run().success().tasks("migrate ran, after ran").says("nothing to apply: 1 in the ledger");
    site.run().success().tasks("migrate fresh, after fresh");
}

#[test]
fn another_database_is_migrated_though_the_files_are_the_same() {
    let site = Site::new(&[("0001_a", "create table a (id int primary key);")]);
    site.run().success();
    let other = Database::new();
    site.ws.weir(&["run", "after"]).env("DATABASE_URL", other.url()).ok().tasks("migrate ran, after ran");
    assert_eq!(other.sql("select count(*) from a"), "0");
    // What is known of the first still holds.
    site.run().success().tasks("migrate fresh, after fresh");
}

#[test]
fn versions_are_numbers() {
    let site = Site::new(&[
        ("10000_last", "insert into a values ('last');"),
        ("9999_second", "insert into a values ('second');"),
        ("0001_first", "create table a (name text, n serial);"),
    ]);
    site.run().success();
    assert_eq!(site.database.sql("select string_agg(name, ' ' order by n) from a"), "second last");
    assert_eq!(site.ledger(), "1|first\n9999|second\n10000|last");
}

#[test]
fn names_that_need_quoting() {
    let site = Site::with(
        "ledger = '''My \"Odd\" schema.Ledger; drop table x'''\nno_tx_marker = \"it's\"",
        &[("0001_it's a \"test\"; select", "-- it's\ncreate table \"Täble\" (id int); select 'a'';b'")],
    );
    site.run().success();
    let ledger = "\"My \"\"Odd\"\" schema\".\"Ledger; drop table x\"";
    assert_eq!(site.database.sql(&format!("select description from {ledger}")), "it's a \"test\"; select");
    assert_eq!(site.database.sql("select count(*) from \"My \"\"Odd\"\" schema\".weir_database"), "1");
    site.run().success().tasks("migrate fresh");
    assert!(site.has("\"Täble\"") && !site.has("schema_migrations"));
}

#[test]
fn byte_order_mark_and_line_ends_of_windows() {
    let text = "\u{feff}-- first\r\ncreate table a (\r\n  id int\r\n);\r\n";
    let site = Site::new(&[("0001_a", text)]);
    site.run().success();
    assert_eq!(site.database.sql("select checksum_sha256 from schema_migrations"), sha256(text.as_bytes()));
    site.file("0002_b", "\u{feff}select 1;\r\n\r\n  select nothing_such;\r\n");
    site.run().exit(1).says("0002_b.sql:3:10: column \"nothing_such\" does not exist");
}

#[test]
fn notes_beside_the_migrations_and_links_to_files() {
    let site = Site::new(&[("0001_a", "create table a (id int);")]);
    site.ws.write("schema/migrations/README.md", "x");
    site.ws.write("schema/migrations/.keep", "");
    site.ws.write("elsewhere.sql", "create table b (id int);");
    site.ws.link("../../elsewhere.sql", "schema/migrations/0002_b.sql");
    site.run().success();
    assert_eq!(site.ledger(), "1|a\n2|b");
    // A note is no reason to look at the database, but none to fail either.
    site.ws.write("schema/migrations/README.md", "y");
    site.run().success().says("nothing to apply: 2 in the ledger");
}

#[test]
fn a_file_leaves_nothing_behind_for_the_next() {
    let site = Site::new(&[
        (
            "0001_a",
            "create role \"site_role\" nologin; create schema s; grant usage, create on schema s to \"site_role\";\n\
             set search_path = s; set role \"site_role\"; set lock_timeout = 0;\n\
             create table mine (id int); create temporary table t (id int);",
        ),
        (
            "0002_b",
            "create table yours as select current_user::text as who, current_setting('lock_timeout') as lock, to_regclass('t') as t;\n\
             reset all;",
        ),
        ("0003_c", "drop table s.mine; drop schema s; drop role site_role;"),
    ]);
    site.run().success();
    assert_eq!(site.database.sql("select who, lock, t is null from public.yours"), "postgres|10s|t");
    assert_eq!(site.ledger(), "1|a\n2|b\n3|c");
}

#[test]
fn all_or_nothing() {
    let site = Site::new(&[("0001_a", "create table a (id int);"), ("0002_b", "create table b (id int); select 1/0;")]);
    site.run().exit(1).says("nothing of `0002_b` stays applied");
    assert_eq!(site.ledger(), "1|a");
    let site = Site {
        ws: Workspace::new(&format!(
            "[db.app]\nprovider = 'url'\n{}",
            TASKS.replace("depends = ['up']", "with = { atomic = 'all' }\ndepends = ['up']")
        )),
        database: Database::new(),
    };
    site.file("0001_a", "create table a (id int);");
    site.file("0002_b", "create table b (id int); select 1/0;");
    site.run().exit(1).says("nothing of this run stays applied");
    assert!(!site.has("a"));
    assert_eq!(site.ledger(), "");
    site.file("0002_b", "create table b (id int);");
    site.run().success();
    assert_eq!(site.ledger(), "1|a\n2|b");
    site.run().success().tasks("migrate fresh");
}

#[test]
fn roles_are_given_a_login_after_the_migrations() {
    let site = Site::with(
        "[db.app.roles]\n\"test user\" = { login = true, password_env = 'TEST_PW' }\nplain = { login = false }",
        &[("0001_roles", "create role \"test user\" nologin; create role plain login;")],
    );
    let run = |password: &str| {
        site.ws.weir(&["run", "after"]).env("DATABASE_URL", site.database.url()).env("TEST_PW", password)
    };
    site.run().exit(1).says("the variable `TEST_PW`, which holds the password of role `test user`, is not set");
    run("it's \\ a 'secret'").ok().says_nothing_of("it's \\ a").tasks("migrate ran");
    run("it's \\ a 'secret'").ok().tasks("migrate fresh");
    let server = crate::support::postgres::server();
    let kept = site.database.sql("select rolpassword from pg_authid where rolname = 'test user'");
    assert!(kept.starts_with("SCRAM-SHA-256$"), "{kept}");
    let site_as = |password: &str| {
        Workspace::new("[db.app]\nprovider = 'url'\n[tasks.up]\nuses = 'db.up'\n")
            .weir(&["run", "up"])
            .env("DATABASE_URL", server.url_as("test user", password, &site.database.name))
            .go()
    };
    site_as("it's \\ a 'secret'").success();
    site_as("wrong").exit(1);
    run("another").ok().tasks("migrate ran");
    site_as("another").success();
    let logins = site
        .database
        .sql("select rolname, rolcanlogin from pg_roles where rolname in ('plain', 'test user') order by 1");
    assert_eq!(logins, "plain|f\ntest user|t");
    site.database.sql("drop role \"test user\"; drop role plain");
    run("third").go().exit(1).says("role `plain` of `[db.app.roles]` does not exist").says("create role \"plain\"");
}
