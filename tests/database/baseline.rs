//! `db.baseline`, `db.drift`, `weir db diff`: what is compared, and that every single change is found.

use crate::support::postgres::{Database, server};
use crate::support::{Ran, Workspace};

const TASKS: &str = "[db.app]\nprovider = \"url\"\n[tasks.migrate]\nuses = \"db.migrate\"\n\
    [tasks.write]\nuses = \"db.baseline\"\nwith = { mode = \"write\" }\n[tasks.check]\nuses = \"db.baseline\"\n\
    [tasks.drift]\nuses = \"db.drift\"\n";
const SCHEMA: &str = "
create type mood as enum ('sad', 'ok');
create domain positive as int check (value > 0);
create table people (id bigint generated always as identity primary key, name varchar(20) default 'x' not null,
    mood mood, age positive, kind varchar(9) check (kind in ('a', 'b')), twice int generated always as (1 + 1) stored);
create table visits (id serial primary key, person bigint references people);
create index visits_person on visits (person);
create view adults as select id, name from people where age > 17;
create function shout(text) returns text language plpgsql set search_path = pg_catalog as $$
-- a comment
begin return upper($1) || '!'; end $$;
create function stop() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;
create trigger stop before delete on people for each row execute function stop();
alter table visits enable row level security;
create policy mine on visits using (person = 1);
create schema side;
create materialized view side.counted as select count(*) from people;
comment on table people is 'those we know';
alter default privileges in schema side grant select on tables to ROLE;
revoke execute on function shout from public;
grant execute on function shout to ROLE;
grant select (id), update (name) on people to ROLE;
";

struct Site {
    ws: Workspace,
    database: Database,
    role: String,
}

fn site() -> Site {
    let database = Database::new();
    let role = format!("{}_role", database.name);
    let ws = Workspace::new(TASKS);
    let made = format!(
        "do $$ begin if not exists (select from pg_roles where rolname = '{role}') then create role {role}; end if; end $$;"
    );
    ws.write("schema/migrations/0001_all.sql", made + &SCHEMA.replace("ROLE", &role));
    ws.write("schema/migrations/0002_later.sql", "create table later (id int primary key);");
    Site { ws, database, role }
}

impl Site {
    fn run(&self, task: &str) -> Ran {
        self.weir(&["run", task])
    }

    fn weir(&self, arguments: &[&str]) -> Ran {
        self.ws.weir(arguments).env("DATABASE_URL", self.database.url()).go()
    }

    /// Scratch databases of this database that are still there.
    fn leftovers(&self) -> String {
        let name = &self.database.name;
        self.database.sql(&format!(
            "select datname from pg_database where datname like 'weir_compare_' || left(encode(sha256('{name}'), 'hex'), 8) || '%'"
        ))
    }
}

#[test]
fn the_baseline_is_written_the_same_and_checked_by_what_it_makes() {
    let site = site();
    site.run("check").exit(1).says("failed to read the baseline `schema/baseline.sql`").says("mode = \"write\"");
    site.run("write").success().says("wrote `schema/baseline.sql` from 2 migrations");
    let text = site.ws.read("schema/baseline.sql");
    site.run("write").success().says("is as it was");
    assert_eq!(site.ws.read("schema/baseline.sql"), text);
    site.run("check").success().says("makes what 2 migrations make");
    assert!(!text.contains("Dumped") && !text.contains("restrict ") && !text.contains("OWNER TO postgres"), "{text}");
    // Whoever applies it has nothing to migrate.
    site.database.sql(&text);
    site.run("migrate").success();
    site.run("drift").success();
    assert_eq!(site.database.sql("select count(*) from schema_migrations"), "2");
    let role = &site.role;
    for (from, to, said) in [
        ("|| '!'", "|| '?'", "~ function public.shout(text)"),
        (&format!("GRANT ALL ON FUNCTION public.shout(text) TO {role};")[..], "", "~ function public.shout(text)"),
        ("CREATE TRIGGER stop BEFORE DELETE", "CREATE TRIGGER stop BEFORE UPDATE", "~ trigger stop on public.people"),
    ] {
        assert!(text.contains(from), "{from}\n{text}");
        site.ws.write("schema/baseline.sql", text.replace(from, to));
        site.run("check").exit(1).says(said).says("is not what the migrations make: 1 difference");
    }
    // Without the ledger's rows, migrating on top of it would apply everything once more.
    let rows = text.find("insert into \"public\".\"schema_migrations\"").unwrap();
    site.ws.write("schema/baseline.sql", &text[..rows]);
    site.run("check").exit(1).says("its ledger has no row for schema/migrations/0001_all.sql");
    site.ws.write("schema/baseline.sql", "create tabel x ();");
    site.run("check").exit(1).says("schema/baseline.sql:1:8: syntax error");
    site.ws.write("schema/baseline.sql", "-- nothing\n");
    site.run("check").exit(1).says("is empty");
    assert_eq!(site.leftovers(), "");
}

#[test]
fn a_baseline_is_never_replaced_by_less() {
    let site = site();
    site.ws.write("schema/baseline.sql", "what was there");
    site.ws
        .write("bin/pg_dump", "#!/bin/sh\n[ \"$1\" = --version ] && echo 'pg_dump (PostgreSQL) 99.1' || echo half\n");
    site.ws.chmod("bin/pg_dump", 0o755);
    let path = format!("{}:{}", site.ws.path("bin").display(), std::env::var("PATH").unwrap());
    let run = || site.ws.weir(&["run", "write"]).env("DATABASE_URL", site.database.url()).env("PATH", &path).go();
    run().exit(1).says("ended before its dump was complete");
    site.ws.write(
        "bin/pg_dump",
        "#!/bin/sh\n[ \"$1\" = --version ] && echo 'pg_dump (PostgreSQL) 99.1' || { echo no way >&2; exit 3; }\n",
    );
    run().exit(1).says("no way");
    assert_eq!(site.ws.read("schema/baseline.sql"), "what was there");
    // An older one is passed over.
    site.ws.write("bin/pg_dump", "#!/bin/sh\n[ \"$1\" = --version ] && echo 'pg_dump (PostgreSQL) 9.6' || exit 3\n");
    run().success();
    assert!(site.ws.read("schema/baseline.sql").contains("CREATE TABLE public.people"));
}

/// A change by hand, and the line that names it.
const CHANGES: [(&str, &str); 31] = [
    ("alter table people add column extra int", "+ column public.people.extra"),
    ("alter table people drop column mood", "- column public.people.mood"),
    ("alter table visits alter id type bigint", "~ column public.visits.id"),
    ("alter table people alter name drop not null", "~ column public.people.name"),
    ("alter table people alter name set default 'y'", "~ column public.people.name"),
    ("alter table people alter id set generated by default", "~ column public.people.id"),
    ("alter table people drop constraint people_kind_check", "- constraint people_kind_check on public.people"),
    ("alter table visits drop constraint visits_person_fkey", "- constraint visits_person_fkey on public.visits"),
    ("drop index visits_person", "- index public.visits_person"),
    ("create index on people (name)", "+ index public.people_name_idx"),
    ("create table stranger (id int)", "+ table public.stranger"),
    ("drop table later", "- table public.later"),
    ("alter table people disable trigger stop", "~ trigger stop on public.people"),
    ("drop trigger stop on people", "- trigger stop on public.people"),
    (
        "create or replace function shout(text) returns text language plpgsql set search_path = pg_catalog as 'begin return 1; end'",
        "~ function public.shout(text)",
    ),
    ("alter function shout reset search_path", "~ function public.shout(text)"),
    ("alter function shout security definer", "~ function public.shout(text)"),
    ("grant execute on function shout to public", "~ function public.shout(text)"),
    ("create or replace view adults as select id, name from people where age > 18", "~ view public.adults"),
    ("alter view adults set (security_barrier)", "~ view public.adults"),
    ("drop materialized view side.counted", "- materialized view side.counted"),
    ("alter type mood add value 'fine'", "~ enum public.mood"),
    ("alter domain positive set not null", "~ domain public.positive"),
    ("alter table visits disable row level security", "~ table public.visits"),
    ("alter policy mine on visits using (person = 2)", "~ policy mine on public.visits"),
    ("grant insert on people to public", "~ table public.people"),
    ("grant select (name) on people to public", "~ column public.people.name"),
    ("grant usage on schema side to public", "~ schema side"),
    (
        "alter default privileges in schema side grant insert on tables to public",
        "default privileges of postgres for tables in side",
    ),
    ("comment on table people is 'others'", "~ table public.people"),
    ("alter sequence visits_id_seq increment 2", "~ sequence public.visits_id_seq"),
];

#[test]
fn every_single_change_is_found() {
    let site = site();
    site.run("migrate").success();
    site.run("drift").success().says("the database is what 2 migrations make");
    // The description is the same, whatever it was made from.
    site.weir(&["db", "diff", "migrations", "migrations"]).exit(0).says("no difference");
    let changed = format!("{}_changed", site.database.name);
    for (change, line) in CHANGES {
        server().sql(
            "postgres",
            &format!("drop database if exists {changed}; create database {changed} template {}", site.database.name),
        );
        server().sql(&changed, change);
        let ran = site.weir(&["db", "diff", "app", &server().url(&changed)]);
        let ran = ran.exit(1).says(line);
        let named = ran.out.lines().filter(|line| line.starts_with(['+', '-', '~'])).count();
        assert!(named <= 2, "{change}: {}", ran.shown());
    }
    server().sql("postgres", &format!("drop database {changed}"));
    site.database.sql("alter table people add column by_hand int");
    let ran = site.run("drift").exit(1).says("+ column public.people.by_hand");
    ran.says("the database is not what the migrations make").says("~ table public.people");
    let json = site.weir(&["db", "diff", "--json"]).exit(1);
    let differences: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert!(
        differences
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["name"] == "public.people.by_hand" && one["change"] == "added")
    );
    site.weir(&["db", "diff", "nothing"]).exit(1).says("name a database of tasks.toml");
}
