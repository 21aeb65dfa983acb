//! A soak of a task that uses a database: each iteration has a clone of its own.

use crate::support::Workspace;
use crate::support::postgres::{Database, server};
use std::collections::BTreeSet;

#[test]
fn each_iteration_has_a_clone_of_its_own() {
    let app = Database::new();
    let psql = server().bin.join("psql");
    // Shared or not, as a task of its own it would be at the live database.
    let ws = Workspace::new(&format!(
        "[db.app]\nprovider = \"url\"\n\
         [tasks.t]\nrun = \"\"\"\necho $PGDATABASE >> ../names\n\
         test $({} -XAtqc 'insert into accounts values (1); select count(*) from accounts' \"$DATABASE_URL\") = 1\n\
         ../pause i$WEIR_SOAK_ITERATION\n\"\"\"\ndatabase = \"app\"\n\
         [tasks.s]\nsoak = {{ task = \"t\", runs = 6, jobs = 3 }}\n",
        psql.display()
    ));
    ws.write("schema/migrations/0001_accounts.sql", "create table accounts (id int primary key);\n");
    let puppets = ["i1", "i2", "i3"].map(|name| ws.puppet(name));
    let weir = ws.weir(&["run", "-f", "s"]).env("DATABASE_URL", app.url()).spawn();
    for puppet in &puppets {
        puppet.arrives();
    }
    puppets.iter().for_each(|puppet| puppet.goes_on());
    weir.end().success().says("6 passed, 0 failed");
    let names = std::fs::read_to_string(ws.outside("names")).unwrap();
    let names: Vec<&str> = names.lines().collect();
    assert_eq!((names.len(), names.iter().collect::<BTreeSet<_>>().len()), (6, 6), "{names:?}");
    let left = server().databases();
    assert!(!names.iter().any(|name| **name == app.name || left.iter().any(|there| there == name)), "{names:?}");
    // The database itself was not touched.
    assert_eq!(app.sql("select to_regclass('accounts') is null"), "t");
}
