//! Law 17: the state of a database is an input. It is read from the live server, after all that comes before.

use crate::support::postgres::Database;
use crate::support::{Ran, Workspace};

const TASKS: &str = "[db.app]\nprovider = 'url'\n\
    [tasks.up]\nuses = 'db.up'\n\
    [tasks.reset]\nuses = 'db.reset'\ndepends = ['up']\n\
    [tasks.migrate]\nuses = 'db.migrate'\ndepends = ['up']\nwait_for = ['reset']\n\
    [tasks.seed]\nuses = 'db.seed'\ndepends = ['migrate']\n\
    [tasks.gate]\nuses = 'db.gate'\ndepends = ['seed']\n\
    [tasks.test]\nrun = 'true'\nsources = []\noutputs = []\ndepends = ['seed']\ndatabase = 'app'\n\
    [tasks.copied]\nrun = 'true'\nsources = []\noutputs = []\ndatabase = { name = 'app', clone = true }\nwait_for = ['seed']\n";

fn workspace() -> Workspace {
    let ws = Workspace::new(TASKS);
    ws.write("schema/migrations/0001_t.sql", "create table t (id int primary key);\n");
    ws.write("schema/seeds/0001_t.csv", "id\n1\n");
    ws.write("checks/db/rows.sql", "-- id: rows\n-- title: There is a row\n-- severity: error\n-- must-fail-after: delete from t\nselect 'none' where not exists (select from t);\n");
    ws
}

fn run(ws: &Workspace, app: &Database, tasks: &[&str]) -> Ran {
    ws.weir(&[&["run"], tasks].concat()).env("DATABASE_URL", app.url()).ok()
}

#[test]
fn what_was_dropped_behind_its_back_is_made_again() {
    let (ws, app) = (workspace(), Database::new());
    run(&ws, &app, &["test"]).tasks("migrate ran, seed ran, test ran, up ran");
    run(&ws, &app, &["test"]).tasks("migrate fresh, seed fresh, test fresh, up ran");
    app.sql("drop schema public cascade; create schema public");
    run(&ws, &app, &["test"]).tasks("migrate ran, seed ran, test ran, up ran");
    assert_eq!(app.sql("select count(*) from t").trim(), "1");
    // A part of it, too.
    app.sql("delete from weir_seeds; delete from t");
    // What is there again is what was there: the seeds are its state.
    run(&ws, &app, &["test"]).tasks("migrate fresh, seed ran, test fresh, up ran");
}

#[test]
fn somebody_elses_reset_counts_though_everything_is_there_again() {
    let (mine, theirs, app) = (workspace(), workspace(), Database::new());
    run(&mine, &app, &["test"]);
    run(&theirs, &app, &["reset", "seed"]);
    run(&mine, &app, &["test"]).tasks("migrate ran, seed ran, test ran, up ran").says("nothing to apply");
    run(&mine, &app, &["test"]).tasks("migrate fresh, seed fresh, test fresh, up ran");
}

#[test]
fn the_same_content_in_another_database_is_another_state() {
    let (ws, one, other) = (workspace(), Database::new(), Database::new());
    run(&ws, &one, &["test"]);
    run(&ws, &other, &["test"]).tasks("migrate ran, seed ran, test ran, up ran");
    run(&ws, &other, &["test"]).tasks("migrate fresh, seed fresh, test fresh, up ran");
    assert_eq!(other.sql("select count(*) from t").trim(), "1");
}

#[test]
fn a_gate_is_never_cached() {
    let (ws, app) = (workspace(), Database::new());
    run(&ws, &app, &["gate"]);
    run(&ws, &app, &["gate"]).tasks("gate ran, migrate fresh, seed fresh, up ran");
    app.sql("delete from t");
    ws.weir(&["run", "gate"]).env("DATABASE_URL", app.url()).go().exit(1).says("rows");
}

#[test]
fn a_clone_is_keyed_by_what_is_in_it_and_not_by_where_it_came_from() {
    let (ws, app) = (workspace(), Database::new());
    run(&ws, &app, &["seed", "copied"]);
    run(&ws, &app, &["reset", "seed"]);
    run(&ws, &app, &["copied"]).tasks("copied fresh");
    ws.write("schema/seeds/0002_t.csv", "id\n2\n");
    run(&ws, &app, &["seed", "copied"]).tasks("copied ran, migrate fresh, seed ran, up ran");
}

#[test]
fn without_a_server_nothing_is_fresh() {
    let (ws, app) = (workspace(), Database::new());
    run(&ws, &app, &["test", "copied"]);
    let gone = |tasks: &[&str]| {
        let url = "postgres://postgres:x@127.0.0.1:1/app";
        ws.weir(&[&["run", "-k"], tasks].concat()).env("DATABASE_URL", url).go().exit(1)
    };
    gone(&["copied"]).tasks("copied failed");
    gone(&["test"]).says("no server listens there");
    ws.weir(&["run", "test"]).go().exit(1).says("the variable `DATABASE_URL` is not set");
}
