//! `db.lint`: unsafe changes are found without any database.

use crate::support::Workspace;

fn workspace(keys: &str) -> Workspace {
    Workspace::new(&format!("[db.app]\n[tasks.lint]\nuses = 'db.lint'\n{keys}"))
}

#[test]
fn what_is_unsafe_is_named_and_where() {
    let ws = workspace("");
    ws.write("schema/migrations/0001_a.sql", "create table a (id int primary key);\n");
    ws.run("lint").tasks("lint ran").says("1 migration: nothing found");
    ws.run("lint").tasks("lint fresh");
    ws.write("schema/migrations/0002_b.sql", "select 1;\n  alter table a add column b int not null;\n");
    ws.try_run("lint")
        .exit(1)
        .says("schema/migrations/0002_b.sql:2:")
        .says("adding-required-field: ")
        .says("| alter table a add column b int not null;")
        .says("1 finding in 2 migrations")
        .says("-- squawk-ignore RULE");
    ws.write(
        "schema/migrations/0002_b.sql",
        "select 1;\n-- squawk-ignore adding-required-field\nalter table a add column b int not null;\n",
    );
    ws.run("lint").tasks("lint ran");
    ws.write("schema/migrations/0002_b.sql", "create tabel;\n");
    ws.try_run("lint").exit(1).says("schema/migrations/0002_b.sql:1:").says("syntax: ");
}

#[test]
fn a_selection_of_files() {
    let ws = workspace("with = { files = ['schema/migrations/*_new.sql', '!schema/migrations/0003_new.sql'] }\n");
    ws.write("schema/migrations/0001_old.sql", "drop table a;");
    ws.write("schema/migrations/0002_new.sql", "select 1;");
    ws.write("schema/migrations/0003_new.sql", "drop table a;");
    ws.run("lint").says("1 migration: nothing found");
    ws.write("schema/migrations/0001_old.sql", "drop table b;");
    ws.run("lint").tasks("lint fresh");
    ws.write("schema/migrations/0002_new.sql", "drop table b;");
    ws.try_run("lint").exit(1).says("0002_new.sql:1:1: ban-drop-table");
}

#[test]
fn outside_a_transaction_other_rules_hold() {
    let ws = workspace("");
    ws.write("schema/migrations/0001_a.sql", "create index concurrently i on a (id);\nselect 1;");
    ws.try_run("lint").exit(1).says("ban-concurrent-index-creation-in-transaction");
    ws.write("schema/migrations/0001_a.sql", "-- weir:no-tx\ncreate index concurrently i on a (id);\nselect 1;");
    ws.run("lint");
}
