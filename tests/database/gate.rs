//! `db.gate`: what it finds, that each check proves that it can fail, that it leaves no trace.

use crate::support::postgres::{Database, server};
use crate::support::{Ran, Workspace};

const TASKS: &str = "[db.app]\nprovider = \"url\"\n[db.app.gate]\nrequired_relations = [\"events\", \"weekly_*\"]\n\
    public_holds_nothing = [\"events\"]\nappend_only = [\"events\"]\n\
    checks = [\"public-create\", \"definer-search-path\", \"definer-execute\", \"valid\", \"primary-keys\", \"foreign-key-indexes\"]\n\
    [db.app.gate.roles.ROLE]\nlogin = false\n\
    [tasks.migrate]\nuses = \"db.migrate\"\n[tasks.gate]\nuses = \"db.gate\"\n[tasks.some]\nuses = \"db.gate\"\n\
    with = { files = [\"checks/db/one.sql\"] }\n";
const MIGRATION: &str = "
create table events (id bigint primary key, what text not null);
create view weekly_events as select count(*) from events;
create function refuse() returns trigger language plpgsql as $$ begin raise exception 'only added'; end $$;
create trigger no_change before update or delete or truncate on events for each statement execute function refuse();
create function add_event(what text) returns bigint language sql security definer set search_path = pg_catalog, public
    as $$ insert into events values ((select coalesce(max(id), 0) + 1 from events), what) returning id $$;
revoke execute on function add_event from public;
create table other (id int primary key, event bigint references events);
create index on other (event);
revoke create on schema public from public;
";
const CHECK: &str = "-- id: no-empty-event\n-- title: Every event says something\n-- severity: error\n\
    -- must-fail-after: insert into events values (-1, '')\n\nselect id, what from events where what = '';\n";

struct Gate {
    ws: Workspace,
    database: Database,
    role: String,
}

/// With the migration applied. Roles are the server's, so each test has one of its own.
fn gate() -> Gate {
    let database = Database::new();
    let role = format!("{}_role", database.name);
    let ws = Workspace::new(&TASKS.replace("ROLE", &role));
    ws.write("schema/migrations/0001_events.sql", format!("create role {role};\n{MIGRATION}"));
    ws.write("checks/db/one.sql", CHECK);
    let gate = Gate { ws, database, role };
    gate.run("migrate").success();
    gate
}

impl Gate {
    fn run(&self, task: &str) -> Ran {
        self.ws.weir(&["run", task]).env("DATABASE_URL", self.database.url()).go()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = server().try_sql("postgres", &format!("drop role if exists {}", self.role));
    }
}

#[test]
fn all_good_says_so_and_leaves_no_trace() {
    let gate = gate();
    let look = "select pg_current_snapshot() is null, (select count(*) from events), (select relacl from pg_class where relname = 'events'),
        (select tgenabled from pg_trigger where tgname = 'no_change'), to_regnamespace('weir_gate_proof')";
    let before = gate.database.sql(look);
    let ran = gate.run("gate").success().says("13 checks, 0 violations").says("as `postgres`, a superuser");
    ran.says("ok    ready:append-only").says("ok    no-empty-event  Every event says something");
    assert_eq!(gate.database.sql(look), before);
    // Never skipped.
    gate.run("gate").success().tasks("gate ran");
    gate.run("some").success().says("3 checks, 0 violations").says_nothing_of("append-only");
}

#[test]
fn an_invariant_broken_on_purpose_is_named() {
    let gate = gate();
    let role = &gate.role;
    let cases = [
        (
            "grant select (what) on events to public",
            "public-holds-nothing",
            "public.events: PUBLIC holds SELECT on column what",
        ),
        ("grant select on events to public", "public-holds-nothing", "public.events: PUBLIC holds SELECT"),
        (
            "alter default privileges in schema public grant select on tables to public",
            "public-holds-nothing",
            "what postgres makes",
        ),
        (
            "alter table events disable trigger no_change",
            "append-only",
            "public.events: no enabled trigger refuses TRUNCATE",
        ),
        ("alter table events enable replica trigger no_change", "append-only", "no enabled trigger refuses UPDATE"),
        (
            "create or replace function refuse() returns trigger language plpgsql as 'begin raise notice ''x''; return new; end'",
            "append-only",
            "no enabled trigger refuses DELETE",
        ),
        ("grant update (what) on events to ROLE", "append-only", "holds UPDATE on column what"),
        ("grant truncate on events to ROLE", "append-only", "holds TRUNCATE"),
        ("drop view weekly_events", "required-relations", "no relation matches `weekly_*`"),
        ("alter role ROLE login", "roles", "has LOGIN"),
        ("grant pg_read_all_data to ROLE", "roles", "is a member of pg_read_all_data"),
        ("grant create on schema public to ROLE", "public-create", "may create in schema public"),
        (
            "alter function add_event reset search_path",
            "definer-search-path",
            "add_event(text) is SECURITY DEFINER and does not pin",
        ),
        (
            "grant execute on function add_event to public",
            "definer-execute",
            "add_event(text) is SECURITY DEFINER and PUBLIC",
        ),
        (
            "alter table other add constraint positive check (id > 0) not valid",
            "valid",
            "constraint positive of public.other is not validated",
        ),
        ("create table keyless (id int)", "primary-keys", "public.keyless has no primary key"),
        (
            "drop index other_event_idx",
            "foreign-key-indexes",
            "public.other: no index begins with the columns of foreign key",
        ),
        ("delete from schema_migrations", "ledger", "0001_events.sql is not applied"),
    ];
    for (change, id, said) in cases {
        let change = change.replace("ROLE", role);
        let dump = format!("{}_{}", gate.database.name, id.replace('-', "_"));
        // Each on a copy, so that it is the only one.
        server().sql(
            "postgres",
            &format!("drop database if exists {dump}; create database {dump} template {}", gate.database.name),
        );
        server().sql(&dump, &change);
        let ran = gate.ws.weir(&["run", "gate"]).env("DATABASE_URL", server().url(&dump)).go().exit(1);
        let ran = ran.says(&format!("FAIL  ready:{id}")).says(said);
        ran.says(&format!("check fails: `ready:{id}`"));
        server().sql(
            "postgres",
            &format!("drop database {dump}; alter role {role} nologin; revoke pg_read_all_data from {role}"),
        );
    }
}

#[test]
fn a_check_that_cannot_fail_is_named() {
    let gate = gate();
    gate.ws.write("checks/db/one.sql", CHECK.replace("where what = ''", "where what = '' and false"));
    let ran = gate.run("gate").exit(1).says("ok    no-empty-event");
    ran.says("BAD   no-empty-event").says("it can't fail").says("`no-empty-event` does not show that it can fail");
    for (statement, said) in [
        ("insert into nowhere values (1)", "relation \"nowhere\" does not exist"),
        ("commit", "the change ends the transaction"),
        ("create index concurrently on events (what)", "cannot run inside a transaction block"),
        ("insert into events values (-1, ''); delete from events", "more than one statement"),
    ] {
        gate.ws.write("checks/db/one.sql", CHECK.replace("insert into events values (-1, '')", statement));
        gate.run("gate").exit(1).says(said).says("BAD   no-empty-event");
        assert_eq!(gate.database.sql("select count(*) from events"), "0");
    }
    // One without any change to show is told of.
    gate.ws.write("checks/db/one.sql", CHECK.replace("-- must-fail-after", "-- otherwise"));
    let ran = gate.run("gate").success();
    let told = ran.notices("gate");
    assert!(told.iter().any(|(code, text)| code == "unproven" && text.contains("no-empty-event")), "{told:?}");
}

#[test]
fn rows_are_shown_and_warnings_do_not_fail() {
    let gate = gate();
    gate.database.sql("insert into events select i, '' from generate_series(1, 30) i");
    let ran = gate.run("gate").exit(1).says("FAIL  no-empty-event  Every event says something: 30 violations");
    ran.says("id | what").says("… and 10 more").says("13 checks, 30 violations");
    gate.ws.write("checks/db/one.sql", CHECK.replace("severity: error", "severity: warning"));
    gate.run("gate").success().says("warn  no-empty-event").says("0 violations, 30 warnings");
}

#[test]
fn what_is_no_check_is_told() {
    let gate = gate();
    for (text, said) in [
        (CHECK.replace("-- id: no-empty-event\n", ""), "checks/db/two.sql:1: there is no `-- id: …`"),
        (CHECK.to_owned(), "two.sql:1: the id `no-empty-event` is that of `checks/db/one.sql` too"),
        ("-- id: two\n-- title: T\n-- severity: error\n".to_owned(), "two.sql:1: it holds no statement"),
        ("-- id: two\n-- title: T\n-- severity: error\ndelete from events".to_owned(), "two.sql:4:1: syntax error"),
        (
            "-- id: two\n-- title: T\n-- severity: error\nselect 1; commit; drop table other".to_owned(),
            "more than one statement",
        ),
        (
            "-- id: two\n-- title: T\n-- severity: error\nselect nothing from events".to_owned(),
            "two.sql:4:8: column \"nothing\"",
        ),
        ("-- id: two\n-- title: T\n-- severity: error\nselect add_event('x')".to_owned(), "in a read-only transaction"),
    ] {
        gate.ws.write("checks/db/two.sql", text);
        gate.run("gate").exit(1).says(said);
        assert_eq!(gate.database.sql("select count(*) from other"), "0");
    }
    gate.ws.tasks(&gate.ws.read("tasks.toml").replace("version = 1\n", "").replace("one.sql", "missing*.sql"));
    gate.run("some").exit(1).says("`files` names `checks/db/missing*.sql`");
}

#[test]
fn function_tests_run_in_a_transaction_and_must_assert() {
    let gate = gate();
    let good = "do $$ begin perform add_event('a'); end $$;\nselect count(*) = 1 as added from events;\n\
        do $$ begin update events set what = 'b'; assert false, 'it was changed'; exception when raise_exception then null; end $$;\n";
    gate.ws.write("checks/db/add.test.sql", good);
    gate.run("gate").success().says("ok    checks/db/add.test.sql  2 assertions").says("1 of 1 function tests passed");
    assert_eq!(gate.database.sql("select count(*) from events"), "0");
    for (text, said) in [
        ("select count(*) = 1 as added from events", "add.test.sql:1:1: `added` is false"),
        ("select null::boolean as known", "`known` is NULL, not true"),
        ("select true from events", "it returns no row, and so asserts nothing"),
        ("select count(*) from events", "it returns rows that are no assertion"),
        ("create temp table t (i int)", "add.test.sql:1: it asserts nothing"),
        ("\ndo $$ begin assert 1 = 2, 'not equal'; end $$", "not equal (SQLSTATE P0004)"),
        ("select true as a;\nselekt 1", "add.test.sql:2:1: syntax error"),
        ("select add_event('kept') > 0 as ok; commit", "a function test can't do this"),
    ] {
        gate.ws.write("checks/db/add.test.sql", text);
        gate.run("gate").exit(1).says(said);
        assert_eq!(gate.database.sql("select count(*) from events"), "0");
    }
}
