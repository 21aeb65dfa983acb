//! What statements say.

use super::*;

fn says(text: &str) -> Vec<String> {
    let found = objects(text);
    assert_eq!(found.broken, None, "{text}");
    found.facts.iter().map(|fact| format!("{:?} {}", fact.kind, fact.object)).collect()
}

#[test]
fn a_table_is_its_parts() {
    assert_eq!(
        says("create table a.t (id int primary key, \"B\" text not null, constraint c check (id > 0), unique (id))"),
        ["Table a.t", "Column a.t.id", "Column a.t.\"B\"", "Constraint a.t.c", "Constraint a.t.unique", "Column a.t"]
    );
    assert_eq!(
        says(
            "alter table only t add column c int, alter c set not null, drop constraint k, owner to o, enable row level security"
        ),
        ["Column t.c", "Constraint t.c", "Constraint t.k", "Ownership t", "RowSecurity t"]
    );
}

#[test]
fn a_routine_is_its_aspects() {
    assert_eq!(
        says(
            "create or replace function f(a int default 1) returns int language sql security definer set search_path = a, b as $$ select 1 $$"
        ),
        ["Definer f", "SearchPath f", "Body f", "Signature f"]
    );
    assert_eq!(says("create function f() returns int language sql return 1"), ["Body f", "Signature f"]);
    assert_eq!(says("alter function f() security definer set search_path = ''"), ["Definer f", "SearchPath f"]);
}

#[test]
fn blocks_and_strings_are_read() {
    let block = "do $$ declare x int := 1; begin
        -- create table no();
        if x = 1 then create table t (a int); else drop view v; end if;
        execute 'create index i on ' || 'u (a)'; perform f(); insert into t values (1);
        execute format('alter table %I add x int', x);
    end $$";
    assert_eq!(
        says(block),
        ["Table t", "Column t.a", "Column t", "View v", "Index i", "Dynamic an executed string", "Table t"]
    );
    assert_eq!(says("do $$ begin if true then update t set a = 1; end if; raise notice 'x'; end $$"), [""; 0]);
    let first = objects(block).facts[0].range.clone();
    assert!(block[first.clone()].starts_with("create table t"), "{}", &block[first]);
}

#[test]
fn what_looks_alike_is_alike() {
    let same = |a: &str, b: &str| {
        let texts = |text| objects(text).facts.into_iter().map(|fact| fact.text).collect::<Vec<_>>();
        texts(a) == texts(b)
    };
    assert!(same("CREATE TABLE \"t\" (A INT -- x\n)", "create table t\n(\n  a int\n)"));
    assert!(same(
        "create function f() returns int language sql as $$ select 1 $$",
        "create function f() returns int language sql as $b$\n  SELECT 1 -- one\n$b$"
    ));
    assert!(!same("create table t (a int)", "create table \"T\" (a int)"));
    assert!(!same("create table t (a text default 'A')", "create table t (a text default 'a')"));
    assert!(!same("create table \"user\" ()", "create table user ()"));
}

#[test]
fn data_says_nothing() {
    for text in [
        "insert into t values (1); update t set a = 1; delete from t; truncate t; copy t from '/x'",
        "with x as (insert into t values (1) returning a) select * from x",
        "create temp table t (a int); create index on t (a); drop table t",
        "set lock_timeout = '1s'; begin; commit; comment on table t is 'create table x ()'",
        "vacuum t; analyze; refresh materialized view v; reindex table t; select 'drop table t'",
    ] {
        assert_eq!(says(text), [""; 0], "{text}");
    }
    assert_eq!(says("select 1 as a into t"), ["Table t"]);
    assert_eq!(says("update pg_catalog.pg_proc set prosecdef = true"), ["Other pg_catalog.pg_proc"]);
    assert_eq!(says("create temp table t (a int); drop table t; drop table t"), ["Table t"]);
}
