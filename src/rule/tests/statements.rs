//! SQL before and after: what is structural, and what only looks so. Grown from the reference of Postgres's DDL.

use super::*;

const BASE: &str = "create table t (a int primary key, b text);\ncreate view v as select a from t;\n\
    create function f(x int) returns int language sql as $$ select x $$;\n";

/// Name; what stands in the file before and after, behind [`BASE`]; what is found.
const ADDED: &[(&str, &str, &[&str])] = &[
    ("a table", "create table u (a int, b int);", &["table u"]),
    ("a table from a query", "create table u as select 1 as a;", &["table u"]),
    ("a table from select into", "select a into u from t;", &["table u"]),
    ("an unlogged table", "create unlogged table u (a int);", &["table u"]),
    ("a partition", "create table u partition of t for values in (1);", &["table u"]),
    ("a table is dropped", "drop table if exists u;", &["table u"]),
    ("two tables are dropped", "drop table u, w cascade;", &["table u", "table w"]),
    ("a table is renamed", "alter table t rename to u;", &["table t"]),
    ("a table changes its schema", "alter table t set schema s;", &["table t"]),
    ("a partition is attached", "alter table t attach partition u default;", &["table t"]),
    ("a column", "alter table t add column c int;", &["column t.c"]),
    ("a column without the word", "alter table t add c int;", &["column t.c"]),
    ("a column with not null", "alter table t add column c int not null default 1;", &["column t.c"]),
    ("a column is dropped", "alter table t drop column b;", &["column t.b"]),
    ("a column's type", "alter table t alter column b type varchar(3);", &["column t.b"]),
    ("a column's default", "alter table t alter b set default 'x';", &["column t.b"]),
    ("a column is renamed", "alter table t rename column b to c;", &["column t.b"]),
    ("not null", "alter table t alter column b set not null;", &["constraint t.b"]),
    ("not null is dropped", "alter table t alter column b drop not null;", &["constraint t.b"]),
    ("a check", "alter table t add constraint k check (a > 0);", &["constraint t.k"]),
    ("a check without a name", "alter table t add check (a > 0);", &["constraint t.check"]),
    ("a foreign key", "alter table t add foreign key (a) references u;", &["constraint t.foreign"]),
    ("a constraint is dropped", "alter table t drop constraint if exists k;", &["constraint t.k"]),
    ("a constraint is validated", "alter table t validate constraint k;", &["constraint t.k"]),
    ("a constraint is renamed", "alter table t rename constraint k to l;", &["constraint t.k"]),
    ("a domain's constraint", "alter domain d add constraint k check (value > 0);", &["constraint d"]),
    ("two actions", "alter table t add c int, drop constraint k;", &["column t.c", "constraint t.k"]),
    ("an index", "create index i on t (b);", &["index i"]),
    ("a unique index", "create unique index concurrently if not exists i on only t using btree (b);", &["index i"]),
    ("an index without a name", "create index on t (b);", &["index t"]),
    ("an index is dropped", "drop index concurrently i;", &["index i"]),
    ("an index is renamed", "alter index i rename to j;", &["index i"]),
    (
        "a trigger",
        "create trigger g before insert or update of b on t for each row execute function f();",
        &["trigger t.g"],
    ),
    (
        "a constraint trigger",
        "create constraint trigger g after insert on t for each row execute function f();",
        &["trigger t.g"],
    ),
    ("a trigger is dropped", "drop trigger g on t;", &["trigger t.g"]),
    ("a trigger is switched off", "alter table t disable trigger g;", &["trigger t.g"]),
    ("all triggers are switched off", "alter table t disable trigger all;", &["trigger t.all"]),
    ("an event trigger", "create event trigger e on ddl_command_start execute function f();", &["trigger e"]),
    ("triggers are passed by", "set session_replication_role = replica;", &["trigger the session"]),
    ("an enum", "create type e as enum ('a', 'b');", &["type e"]),
    ("a value of an enum", "alter type e add value 'c';", &["type e"]),
    ("a domain", "create domain d as int check (value > 0);", &["type d"]),
    ("a view", "create or replace view w as select 1;", &["view w"]),
    ("a materialized view", "create materialized view w as select 1;", &["view w"]),
    ("a view is dropped", "drop view v;", &["view v"]),
    ("a rule", "create rule r as on insert to t do instead nothing;", &["view t.r"]),
    ("a sequence", "create sequence s;", &["sequence s"]),
    ("a schema", "create schema if not exists s;", &["schema s"]),
    (
        "a function",
        "create function g() returns int language sql as 'select 1';",
        &["function-signature g", "function-body g"],
    ),
    ("a function is dropped", "drop function f(int);", &["function-signature f"]),
    ("a definer", "alter function f(int) security definer;", &["security-definer f"]),
    ("a search path", "alter function f(int) set search_path = pg_catalog;", &["search-path f"]),
    ("the session's search path", "set search_path to s, public;", &["search-path the session"]),
    (
        "the search path by a call",
        "select pg_catalog.set_config('search_path', '', false);",
        &["search-path the session"],
    ),
    ("a role's search path", "alter role r set search_path = s;", &["search-path r"]),
    ("a role", "create role r nologin;", &["role r"]),
    ("a role's attribute", "alter role r bypassrls;", &["role r"]),
    ("a user is dropped", "drop user r;", &["role r"]),
    ("a grant", "grant select on t to r;", &["grant t"]),
    ("grants on two tables", "grant select, insert on table t, u to r;", &["grant t", "grant u"]),
    ("a revoke", "revoke all on function f(int) from public;", &["grant f"]),
    ("membership in a role", "grant admin to r;", &["grant admin"]),
    (
        "default privileges",
        "alter default privileges in schema s grant select on tables to r;",
        &["grant default privileges"],
    ),
    ("all tables of a schema", "grant select on all tables in schema s to r;", &["grant all tables in schema s"]),
    ("an owner", "alter table t owner to r;", &["ownership t"]),
    ("a function's owner", "alter function f(int) owner to r;", &["ownership f"]),
    ("all that is owned", "reassign owned by a to b;", &["ownership owned by a to b"]),
    ("who acts", "set role admin;", &["ownership the session"]),
    ("row security", "alter table t enable row level security;", &["row-security t"]),
    ("row security is forced no more", "alter table t no force row level security;", &["row-security t"]),
    ("a policy", "create policy p on t using (a = 1);", &["row-security t.p"]),
    ("a policy is dropped", "drop policy p on t;", &["row-security t.p"]),
    ("an extension", "create extension if not exists pgcrypto;", &["extension pgcrypto"]),
    ("an extension is updated", "alter extension pgcrypto update;", &["extension pgcrypto"]),
    ("a publication", "create publication p for table t;", &["object publication p for"]),
    ("a setting of the server", "alter system set fsync = off;", &["object system set fsync"]),
    ("the catalogue is written", "update pg_catalog.pg_proc set prosecdef = true;", &["object pg_catalog.pg_proc"]),
    ("a block", "do $$ begin create table u (a int); end $$;", &["table u"]),
    ("a block with a condition", "do $$ begin if true then alter table t drop b; end if; end $$;", &["column t.b"]),
    ("a constant string", "do $$ begin execute 'drop ' || 'table u'; end $$;", &["table u"]),
    (
        "dynamic SQL",
        "do $$ declare x text; begin execute 'insert into ' || x; end $$;",
        &["dynamic-sql an executed string"],
    ),
    (
        "dynamic SQL by format",
        "do $$ begin execute format('drop table %I', 'u'); end $$;",
        &["dynamic-sql an executed string"],
    ),
    (
        "a query made while it runs",
        "do $$ declare r record; begin for r in execute current_setting('q') loop null; end loop; end $$;",
        &["dynamic-sql an executed string"],
    ),
    ("a block in another language", "do language plperl $$ 1 $$;", &["dynamic-sql a block"]),
    ("behind a comment in a string", "select '--'; drop table u;", &["table u"]),
    ("what does not parse", "create tabel u ();", &["unreadable db/a.sql", "object tabel u ("]),
    ("a string without an end", "select 'x;", &["unreadable db/a.sql"]),
    // Near misses.
    ("a comment", "-- drop table t;", &[]),
    ("a comment of many lines", "/* alter table t /* drop */ column b */", &[]),
    ("a comment on a table", "comment on table t is 'create table u ()';", &[]),
    ("a string", "select 'drop table t';", &[]),
    ("a dollar string", "select $x$ drop table t; $x$;", &[]),
    ("a quoted name", "select a as \"drop table\" from t;", &[]),
    ("rows", "insert into t values (1, 'create table u ()');", &[]),
    ("rows from a query", "insert into t select a, b from t;", &[]),
    ("an upsert", "insert into t values (1) on conflict (a) do update set b = 'x';", &[]),
    ("an update", "update t set b = 'x' where a in (select a from v);", &[]),
    ("a deletion", "delete from t using v where v.a = t.a;", &[]),
    ("a merge", "merge into t using v on t.a = v.a when matched then delete;", &[]),
    ("truncation", "truncate t restart identity cascade;", &[]),
    (
        "a change in a common table expression",
        "with x as (delete from t returning a) insert into t select a from x;",
        &[],
    ),
    ("the catalogue is read", "select relname from pg_catalog.pg_class;", &[]),
    ("a transaction", "begin; select 1; commit;", &[]),
    ("a timeout", "set lock_timeout = '5s';", &[]),
    ("a local setting", "set local statement_timeout = 0;", &[]),
    ("settings are shown", "show search_path;", &[]),
    ("a call of a function", "select f(1);", &[]),
    ("a call of a procedure", "call p(1);", &[]),
    ("a lock", "lock table t in access exclusive mode;", &[]),
    ("statistics", "analyze t;", &[]),
    ("a vacuum", "vacuum (full) t;", &[]),
    ("a rebuilt index", "reindex index concurrently i;", &[]),
    ("a refreshed view", "refresh materialized view concurrently w;", &[]),
    ("a plan", "explain select * from t;", &[]),
    ("a temporary table", "create temp table u (a int); create index on u (a); drop table u;", &[]),
    ("a temporary table from a query", "create temporary table u as select * from t;", &[]),
    ("a temporary view", "create temp view u as select 1;", &[]),
    (
        "a block with rows",
        "do $$ begin if true then update t set b = 'x'; end if; raise notice 'drop table t'; end $$;",
        &[],
    ),
    (
        "a block with a loop",
        "do $$ declare r record; begin for r in select a from t loop insert into t values (r.a); end loop; end $$;",
        &[],
    ),
    ("a variable in a block", "do $$ declare x int; begin select a into x from t; end $$;", &[]),
    ("a constant string with rows", "do $$ begin execute 'insert into t values ($1)' using 1; end $$;", &[]),
    ("a prepared query", "prepare q as select 1; execute q; deallocate q;", &[]),
    ("a notification", "notify c, 'drop table t';", &[]),
    ("a savepoint", "begin; savepoint s; rollback to s; commit;", &[]),
    ("an empty statement", ";;", &[]),
    ("a comment on a function", "comment on function f(int) is 'drop function f(int)';", &[]),
    ("a comment on a role", "comment on role r is 'superuser';", &[]),
    ("a comment on a constraint", "comment on constraint k on t is null;", &[]),
    ("rows are copied in", "copy t from '/tmp/create-table.csv' with (format csv);", &[]),
    ("rows are copied out", "copy (select a from t) to stdout;", &[]),
    ("rows are returned", "insert into t values (1) returning a as grant;", &[]),
    ("an update from a view", "update t set b = 'x' from v where v.a = t.a returning t.a;", &[]),
    (
        "a recursive query",
        "with recursive x(n) as (select 1 union all select n + 1 from x) select n from x limit 3;",
        &[],
    ),
    ("locked rows", "select a from t for update skip locked;", &[]),
    ("values", "values (1, 'drop table t'), (2, 'alter role r');", &[]),
    ("a whole table", "table t;", &[]),
    ("a cursor", "declare c cursor for select a from t; fetch all from c; close c;", &[]),
    ("a channel", "listen c; unlisten *;", &[]),
    ("constraints are put off", "set constraints all deferred;", &[]),
    ("an isolation level", "set transaction isolation level serializable;", &[]),
    ("a time zone", "set time zone 'UTC';", &[]),
    ("a setting is put back", "reset statement_timeout;", &[]),
    ("a checkpoint", "checkpoint;", &[]),
    ("an explained change", "explain analyze delete from t;", &[]),
    ("an escape string", "select E'drop\\' table t';", &[]),
    ("a unicode string", "select U&'drop table t';", &[]),
    ("strings in a row", "select 'drop '\n'table t';", &[]),
    ("a quote in a string", "select 'it''s; drop table t; --';", &[]),
    ("a dollar string in a dollar string", "select $a$ $b$ drop table t; $b$ $a$;", &[]),
    ("a quote in a name", "select a as \"x\"\"; drop table t\" from t;", &[]),
    ("a function with a telling name", "select drop_table('t'), create_index();", &[]),
    ("a column with a telling name", "select t.grant, t.\"create\" from t;", &[]),
    ("operators of JSON", "select b::jsonb ? 'drop' and b::jsonb @> '{\"table\": 1}' from t;", &[]),
    ("a sequence is moved on", "select setval('s', 10), nextval('s');", &[]),
    ("a temporary sequence", "create temp sequence q; select nextval('q'); drop sequence q;", &[]),
    ("a temporary table that goes with the transaction", "create temp table u (a int) on commit drop;", &[]),
    ("a handler", "do $$ begin perform f(1); exception when others then raise notice 'x'; end $$;", &[]),
    ("an error is raised", "do $$ begin raise exception 'grant select on t to r'; end $$;", &[]),
    ("a count", "do $$ declare n int; begin delete from t; get diagnostics n = row_count; end $$;", &[]),
    ("a constant string with an update", "do $$ begin execute 'update t ' || 'set b = null'; end $$;", &[]),
    ("an assertion", "do $$ begin assert (select count(*) from t) = 0, 'create table'; end $$;", &[]),
    ("a while loop", "do $$ declare i int := 0; begin while i < 3 loop i := i + 1; end loop; end $$;", &[]),
];

/// Name, before, after, what is found.
const CHANGED: &[(&str, &str, &str, &[&str])] = &[
    ("a column in a table", "create table u (a int);", "create table u (a int, b int);", &["column u.b"]),
    ("a type in a table", "create table u (a int);", "create table u (a bigint);", &["column u.a"]),
    ("not null in a table", "create table u (a int);", "create table u (a int not null);", &["column u.a"]),
    (
        "a check in a table",
        "create table u (a int);",
        "create table u (a int, constraint k check (a > 0));",
        &["constraint u.k"],
    ),
    ("the order of columns", "create table u (a int, b int);", "create table u (b int, a int);", &["column u"]),
    (
        "a literal's case",
        "create table u (a text default 'X');",
        "create table u (a text default 'x');",
        &["column u.a"],
    ),
    ("a quoted name's case", "create table \"U\" (a int);", "create table u (a int);", &["table \"U\"", "table u"]),
    (
        "a body",
        "create function g() returns int language sql as 'select 1';",
        "create function g() returns int language sql as 'select 2';",
        &["function-body g"],
    ),
    (
        "volatility",
        "create function g() returns int language sql as 'select 1';",
        "create function g() returns int language sql immutable as 'select 1';",
        &["function-signature g"],
    ),
    (
        "security of a function",
        "create function g() returns int language sql as 'select 1';",
        "create function g() returns int security definer language sql as 'select 1';",
        &["security-definer g"],
    ),
    (
        "the path of a function",
        "create function g() returns int set search_path = a language sql as 'select 1';",
        "create function g() returns int set search_path = b language sql as 'select 1';",
        &["search-path g"],
    ),
    (
        "the order of revoke and grant",
        "revoke all on t from r; grant select on t to r;",
        "grant select on t to r; revoke all on t from r;",
        &["grant t"],
    ),
    (
        "the last of two views",
        "create or replace view w as select 1; create or replace view w as select 2;",
        "create or replace view w as select 2; create or replace view w as select 1;",
        &["view w"],
    ),
    (
        "a statement twice",
        "alter table t alter b set default 'x';",
        "alter table t alter b set default 'x'; alter table t alter b set default 'x';",
        &["column t.b"],
    ),
    (
        "under another condition",
        "do $$ begin if true then drop view v; end if; end $$;",
        "do $$ begin if false then drop view v; end if; end $$;",
        &["view v"],
    ),
    ("into a condition", "drop view v;", "do $$ begin if false then drop view v; end if; end $$;", &["view v"]),
    // Near misses.
    ("keywords' case", "create table u (a int not null);", "CREATE TABLE u (A INT NOT NULL);", &[]),
    ("white space", "create table u (a int, b int);", "create table u (\n  a int,\n\n  b int\n)\n;", &[]),
    ("a comment within", "create table u (a int);", "create table u (a int /* key */ -- it\n);", &[]),
    ("needless quotes", "create table u (a int);", "create table \"u\" (\"a\" int);", &[]),
    (
        "moved up",
        "create table u (a int); create index i on t (b);",
        "create index i on t (b); create table u (a int);",
        &[],
    ),
    (
        "two grants change places",
        "grant select on t to r; grant insert on t to q;",
        "grant insert on t to q; grant select on t to r;",
        &[],
    ),
    (
        "two columns' defaults change places",
        "alter table t alter a set default 1; alter table t alter b set default 'x';",
        "alter table t alter b set default 'x'; alter table t alter a set default 1;",
        &[],
    ),
    (
        "a comment in a body",
        "create function g() returns int language sql as 'select 1';",
        "create function g() returns int language sql as $$\n  SELECT 1 -- one\n$$;",
        &[],
    ),
    ("another dollar tag", "do $$ begin create table u (); end $$;", "do $x$ begin create table u (); end $x$;", &[]),
    (
        "invoker is said",
        "create function g() returns int language sql as 'select 1';",
        "create function g() returns int security invoker language sql as 'select 1';",
        &[],
    ),
    ("one drop in two", "drop view v, w;", "drop view v; drop view w;", &[]),
    ("rows beside a table", "create table u (a int);", "create table u (a int); insert into u values (1);", &[]),
    (
        "rows in a block",
        "do $$ begin drop view v; insert into t values (1); end $$;",
        "do $$ begin drop view v; insert into t values (2); end $$;",
        &[],
    ),
    ("line ends", "create table u (a int,\n b int);\n", "create table u (a int,\r\n b int);\r\n", &[]),
    ("an unquoted name's case", "create table U (a int);", "create table u (a int);", &[]),
    ("tabs", "create table u (a int);", "create\ttable\tu\t(\ta\tint\t)\t;", &[]),
    ("the last semicolon", "create table u (a int);", "create table u (a int)", &[]),
    ("a transaction around it", "create table u (a int);", "begin;\ncreate table u (a int);\ncommit;", &[]),
    ("a timeout before it", "drop view v;", "set lock_timeout = '5s';\ndrop view v;", &[]),
    ("statistics after it", "create index i on t (b);", "create index i on t (b);\nanalyze t;", &[]),
    ("another comment", "-- one\ncreate table u (a int);", "-- two, and more of it\ncreate table u (a int);", &[]),
    ("a comment on it", "create table u (a int);", "create table u (a int); comment on table u is 'x';", &[]),
    ("other rows", "insert into t values (1);", "insert into t values (2), (3);", &[]),
    ("other rows are deleted", "delete from t where a = 1;", "delete from t where a = 2;", &[]),
    ("another query", "select a from t;", "select b from t order by 1;", &[]),
    (
        "keywords' case in a trigger",
        "create trigger g before insert on t for each row execute function f();",
        "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();",
        &[],
    ),
    (
        "white space in a view",
        "create view w as select a, b from t where a = 1;",
        "create view w as\nselect a, b\n  from t\n where a = 1;",
        &[],
    ),
    (
        "two tables change places",
        "create table u (a int); create table w (a int);",
        "create table w (a int); create table u (a int);",
        &[],
    ),
    (
        "a comment in a block",
        "do $$ begin drop view v; end $$;",
        "do $$ begin /* it goes */ drop view v; -- now\nend $$;",
        &[],
    ),
    (
        "grants on other tables change places",
        "grant select on t to r; grant select on v to r;",
        "grant select on v to r; grant select on t to r;",
        &[],
    ),
];

fn of(before: &str, after: &str) -> Case {
    let mut case = calm();
    case.files.push(file("db/a.sql", Some(before), Some(after)));
    case
}

#[test]
fn statements_that_are_new() {
    for (name, text, expected) in ADDED {
        hold(name, &of(BASE, &format!("{BASE}{text}")), expected);
        // The same, taken away.
        let gone = of(&format!("{BASE}{text}"), BASE);
        assert_eq!(found(&gone).is_empty(), expected.is_empty(), "{name}, taken away: {:?}", found(&gone));
    }
}

#[test]
fn statements_that_differ() {
    for (name, before, after, expected) in CHANGED {
        hold(name, &of(&format!("{BASE}{before}"), &format!("{BASE}{after}")), expected);
    }
}

#[test]
fn the_table_is_long_and_half_of_it_passes() {
    let passing =
        ADDED.iter().filter(|case| case.2.is_empty()).count() + CHANGED.iter().filter(|case| case.3.is_empty()).count();
    let all = ADDED.len() + CHANGED.len();
    assert!(all >= 200 && passing * 2 >= all, "{all} {passing}");
}

#[test]
fn a_statement_may_move_to_another_file() {
    let mut case = of("drop view v; create table u (a int);", "create table u (a int);");
    case.files.push(file("db/b.sql", None, Some("drop view v;")));
    hold("another file", &case, &[]);
}

#[test]
fn a_finding_names_its_line() {
    let case = of("select 1;\n", "select 1;\n\n-- what\nalter table t\n  add c int,\n  drop d;\n");
    let lines: Vec<usize> = judge(&case).findings.iter().map(|finding| finding.line).collect();
    assert_eq!(lines, [5, 6]);
}

#[test]
fn what_can_not_be_read_is_structural() {
    for content in
        [Content::Bytes(vec![0xff, b'a']), Content::Bytes(b"a\0".to_vec()), Content::Unseen("it is a submodule".into())]
    {
        let mut case = calm();
        case.files.push(FileChange { after: content, ..file("db/a.sql", Some("select 1;"), None) });
        hold("unreadable", &case, &["unreadable db/a.sql"]);
    }
    let mut case = calm();
    case.files.push(FileChange { after: Content::Bytes(vec![0, 1, 2]), ..file("logo.png", None, None) });
    hold("a picture", &case, &[]);
}
