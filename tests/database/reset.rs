//! `db.reset`: what it drops, what stays, and what stands before it.

use crate::support::Workspace;
use crate::support::postgres::{Database, server};
use std::io::ErrorKind;
use std::net::TcpListener;

const RESET: &str = "[db.app]\nprovider = \"url\"\n[tasks.up]\nuses = \"db.up\"\n\
    [tasks.reset]\nuses = \"db.reset\"\ndepends = [\"up\"]\n\
    [tasks.after]\nrun = \"echo x >> ../after.ran\"\ndepends = [\"reset\"]\n";

fn incarnation(database: &Database) -> String {
    database.sql("select incarnation from weir_database")
}

#[test]
fn a_host_that_is_not_allowed_is_refused_before_any_connection() {
    let elsewhere = TcpListener::bind("127.0.0.2:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let port = elsewhere.local_addr().unwrap().port();
    let ws = Workspace::new(RESET);
    for url in [
        format!("postgres://u:secretpw@127.0.0.2:{port}/app"),
        format!("postgres:///app?user=u&password=secretpw&port={port}&host=127.0.0.2"),
        format!("postgres://u:secretpw@localhost:{port}/app?host=127.0.0.2"),
        format!("postgres://u:secretpw@localhost:{port}/app?hostaddr=127.0.0.2"),
        format!("postgres://u:secretpw@localhost,127.0.0.2:{port}/app"),
        format!("host=localhost hostaddr=127.0.0.2 port={port} user=u password=secretpw dbname=app"),
    ] {
        // Also as a mere dependency, and whatever is said on the command line.
        for arguments in [&["run", "reset"][..], &["run", "after"], &["run", "reset", "--destroy", "app"]] {
            let ran = ws.weir(arguments).env("DATABASE_URL", &url).go().exit(3);
            let ran = ran.says("refused: database `app` is not reset").says_nothing_of("secretpw");
            assert!(!ran.recorded(), "{}", ran.shown());
        }
        assert_eq!(elsewhere.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "{url} was connected to");
    }
    assert_eq!(ws.count("after"), 0);
    // The same host, allowed: now it is tried.
    ws.tasks(&RESET.replace("\"url\"", "\"url\"\nallow_hosts = [\"127.0.0.2\"]"));
    let running = ws.weir(&["run", "reset"]).env("DATABASE_URL", format!("postgres://u@127.0.0.2:{port}/app")).spawn();
    crate::support::wait_until("it connects", || elsewhere.accept().is_ok());
    drop(running);
}

#[test]
fn a_production_like_environment_is_refused() {
    let database = Database::new();
    let ws = Workspace::new(RESET);
    for (name, value) in [("APP_ENV", "production"), ("WEIR_ENV", "Staging"), ("APP_ENV", "eu-prod-2")] {
        let ran = ws.weir(&["run", "after"]).env("DATABASE_URL", database.url()).env(name, value).go().exit(3);
        ran.says(&format!("`{name}` is `{value}`")).says("help: ");
    }
    ws.weir(&["run", "after"]).env("DATABASE_URL", database.url()).env("APP_ENV", "development").ok();
}

#[test]
fn what_weir_did_not_make_is_refused_before_any_write() {
    let database = Database::new();
    database.sql("create table precious (id int); insert into precious values (7)");
    let ws = Workspace::new(RESET);
    for _ in 0..2 {
        let ran = ws.weir(&["run", "after"]).env("DATABASE_URL", database.url()).go().exit(3);
        ran.says("does not carry weir's mark").says("the relation `precious`").says("--destroy app");
    }
    let other = ws.weir(&["run", "reset", "--destroy", "ap"]).env("DATABASE_URL", database.url()).go().exit(2);
    other.says("`--destroy ap` names no database").says("there is `app`");
    assert_eq!(database.sql("select id from precious"), "7");
    assert_eq!(database.sql("select to_regclass('weir_database') is null"), "t");
    ws.weir(&["run", "reset", "--destroy", "app"]).env("DATABASE_URL", database.url()).ok().tasks("reset ran");
    assert_eq!(database.sql("select to_regclass('precious') is null"), "t");
    // From now on it carries the mark, and each reset is another.
    let first = incarnation(&database);
    database.sql("create table mine (id int)");
    for _ in 0..2 {
        ws.weir(&["run", "after"]).env("DATABASE_URL", database.url()).ok().tasks("reset ran, after ran");
    }
    assert_ne!(incarnation(&database), first);
    assert_eq!(database.sql("select to_regclass('mine') is null"), "t");
}

#[test]
fn everything_goes_but_roles_extensions_and_what_belongs_to_them() {
    let database = Database::new();
    let role = format!("keeper_{}", database.name);
    let ws = Workspace::new(RESET);
    ws.weir(&["run", "reset"]).env("DATABASE_URL", database.url()).ok();
    let fresh = "select nspacl::text, pg_get_userbyid(nspowner), obj_description(oid) \
                 from pg_namespace where nspname = 'public'";
    let as_new = server().sql("template1", fresh);
    assert_eq!(database.sql(fresh), as_new);
    database.sql(&format!(
        "create role {role};
         create schema \"it's \"\"odd\"\"\"; create table \"it's \"\"odd\"\"\".\"T\" (id serial primary key);
         create table public.parent (id int primary key) partition by range (id);
         create table public.child partition of public.parent for values from (0) to (9);
         create view public.seen as select * from public.parent;
         create type public.mood as enum ('a'); create type public.pair as (a int, b public.mood);
         create domain public.few as int check (value < 5);
         create function public.f(public.pair) returns int language sql as 'select 1';
         create procedure public.p() language sql as 'select 1';
         create aggregate public.total(int) (sfunc = int4pl, stype = int);
         create operator public.=== (leftarg = int, rightarg = int, function = int4eq);
         create sequence public.loose; grant create on schema public to {role};
         select lo_create(0); create publication everything for all tables;"
    ));
    let database_url = database.url();
    ws.weir(&["run", "reset"]).env("DATABASE_URL", &database_url).ok();
    let left = "select count(*) from pg_class c join pg_namespace n on n.oid = relnamespace \
                where nspname !~ '^pg_' and nspname <> 'information_schema' and relname !~ '^weir_' and relkind <> 'i'";
    let objects = "select (select count(*) from pg_proc where pronamespace = 'public'::regnamespace) || ' ' || \
         (select count(*) from pg_largeobject_metadata) || ' ' || (select count(*) from pg_publication) || ' ' || \
         (select count(*) from pg_namespace where nspname !~ '^pg_')";
    assert_eq!((database.sql(left), database.sql(objects)), ("0".into(), "0 0 0 2".into()));
    assert_eq!(database.sql(fresh), as_new);
    assert_eq!(server().sql("postgres", &format!("select count(*) from pg_roles where rolname = '{role}'")), "1");
}

#[test]
fn an_extension_in_public_survives_and_all_around_it_goes() {
    let database = Database::new();
    let role = format!("guest_{}", database.name);
    database.sql("create extension citext");
    let ws = Workspace::new(RESET);
    // Nothing but an extension is in it: it counts as empty.
    ws.weir(&["run", "reset"]).env("DATABASE_URL", database.url()).ok();
    database.sql(&format!(
        "create table a (name citext primary key); create table b (a citext references a);
         create type mood as enum ('x'); create domain few as int; create function f(mood) returns int language sql as 'select 1';
         create aggregate total(int) (sfunc = int4pl, stype = int); create view v as select * from a;
         create collation mine (locale = 'C'); create statistics s on name, (name::text) from a;
         create role {role}; grant create on schema public to {role}; create table of_type of mood_row"
    ).replace("create table of_type of mood_row", "create type mood_row as (m mood); create table of_type of mood_row"));
    ws.weir(&["run", "reset"]).env("DATABASE_URL", database.url()).ok();
    assert_eq!(database.sql("select 'A'::citext = 'a'::citext"), "t");
    let left = "select string_agg(kind || identity, ', ') from (
        select i.type as kind, i.identity from pg_depend d right join (
            select 'pg_class'::regclass class, oid from pg_class where relnamespace = 'public'::regnamespace and relkind <> 'i'
            union all select 'pg_proc'::regclass, oid from pg_proc where pronamespace = 'public'::regnamespace
            union all select 'pg_type'::regclass, oid from pg_type where typnamespace = 'public'::regnamespace
            union all select 'pg_collation'::regclass, oid from pg_collation where collnamespace = 'public'::regnamespace
        ) own on d.classid = own.class and d.objid = own.oid and d.deptype in ('e', 'i'),
        pg_identify_object(own.class, own.oid, 0) i where d.objid is null) x where identity !~ 'weir_database'";
    assert_eq!(database.sql(left), "");
    assert_eq!(database.sql(&format!("select has_schema_privilege('{role}', 'public', 'create')")), "f");
}

#[test]
fn a_whole_database_is_dropped_whoever_is_connected() {
    let database = Database::new();
    let name = "a \"whole\" one";
    server().sql("postgres", "create database \"a \"\"whole\"\" one\" encoding 'LATIN1' template template0");
    let ws = Workspace::new(&RESET.replace("provider = \"url\"", "provider = \"url\"\nreset = \"database\""));
    let url = server().url(name);
    let who = "select oid from pg_database where datname = current_database()";
    let before = server().sql(name, who);
    let mut busy = server().connected(name);
    ws.weir(&["run", "reset"]).env("DATABASE_URL", &url).ok().says("dropped and created");
    crate::support::wait_until("the other connection ends", || busy.try_wait().unwrap().is_some());
    assert_ne!(server().sql(name, who), before);
    assert_eq!(
        server().sql(name, "select pg_encoding_to_char(encoding) from pg_database where datname = current_database()"),
        "LATIN1"
    );
    let mark = server().sql(name, "select incarnation from weir_database");
    ws.weir(&["run", "reset"]).env("DATABASE_URL", &url).ok();
    assert_ne!(server().sql(name, "select incarnation from weir_database"), mark);
    drop(database);
}

#[test]
fn a_reset_that_is_not_ordered_against_who_uses_its_database_is_refused() {
    let ordered = "[db.app]\n[tasks.reset]\nuses = \"db.reset\"\n";
    for (user, uses_it) in [
        ("uses = \"db.migrate\"", true),
        ("run = \"true\"\ndatabase = \"app\"", true),
        ("run = \"true\"\ndatabase = { name = \"app\", shared = true }", true),
        ("run = \"true\"\ndatabase = { name = \"app\", clone = true }", false),
        ("uses = \"db.lint\"", false),
        ("run = \"true\"", false),
    ] {
        let ws = Workspace::new(&format!("{ordered}[tasks.other]\n{user}\n"));
        let ran = ws.weir(&["run", "--dry-run", "reset"]).go();
        assert_eq!(ran.err.contains("graph::unordered-reset"), uses_it, "{user}: {}", ran.shown());
        assert_eq!(ran.err.contains("(database `app`)"), uses_it, "{user}: {}", ran.shown());
        ws.tasks(&format!("{ordered}[tasks.other]\n{user}\nwait_for = [\"reset\"]\n"));
        ws.weir(&["run", "--dry-run", "reset"]).go().says_nothing_of("unordered-reset");
    }
}
