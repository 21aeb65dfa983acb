//! Databases as tasks are lent them: variables, their live state in the key, roles, clones.

use crate::support::Workspace;
use crate::support::postgres::{Database, PASSWORD, server};
use std::fs;

const HEAD: &str = "[db.app]\nprovider = \"url\"\n[db.sys]\nprovider = \"url\"\nurl_env = \"SYS_URL\"\n\
    [tasks.migrate]\nuses = \"db.migrate\"\nwith = { db = \"app\" }\n";

fn workspace(tasks: &str) -> Workspace {
    let ws = Workspace::new(&format!("{HEAD}{tasks}"));
    ws.write("schema/migrations/0001_accounts.sql", "create table accounts (id int primary key);\n");
    ws
}

#[test]
fn a_task_is_told_where_its_databases_are_and_nothing_leads_it_elsewhere() {
    let (app, sys) = (Database::new(), Database::new());
    let ws = workspace(
        "[tasks.show]\nrun = \"env | grep -E '^(PG|DATABASE_URL|SYS_URL)' | sort > told\"\n\
        database = [\"app\", \"sys\"]\nenv = { PGSERVICE = \"elsewhere\", PGOPTIONS = \"-c x.y=z\" }\n",
    );
    let ran = ws
        .weir(&["run", "show"])
        .envs([("DATABASE_URL", app.url()), ("SYS_URL", sys.url())])
        .envs([("PGHOSTADDR", "10.0.0.1"), ("PGSERVICEFILE", "/dev/null"), ("PGSSLMODE", "prefer")])
        .ok();
    ran.says_nothing_of(PASSWORD);
    let port = server().port;
    assert_eq!(
        ws.read("told"),
        format!(
            "DATABASE_URL={}\nPGDATABASE={}\nPGHOST=127.0.0.1\nPGPASSWORD={PASSWORD}\nPGPORT={port}\nPGSSLMODE=prefer\n\
             PGUSER=postgres\nSYS_URL={}\n",
            app.url(),
            app.name,
            sys.url()
        )
    );
}

#[test]
fn a_task_that_needs_a_database_and_has_none_fails() {
    let ws = workspace("[tasks.test]\nrun = \"true\"\nsources = []\noutputs = []\ndatabase = \"app\"\n");
    let ran = ws.weir(&["run", "test"]).go().exit(1).tasks("test failed");
    ran.says("the variable `DATABASE_URL` is not set");
    ws.tasks("[db.app]\nprovider = \"local\"\n[tasks.test]\nrun = \"true\"\ndatabase = \"app\"\n");
    ws.weir(&["run", "test"]).go().exit(1).tasks("test failed").says("is not up").says("`uses = \"db.up\"`");
    ws.tasks("[db.app]\n[tasks.test]\nrun = \"true\"\ndatabase = { name = \"app\", clone = true }\n");
    let refused = ws.weir(&["run", "test"]).env("DATABASE_URL", "postgres://u@127.0.0.1:1/app").go().exit(1);
    refused.tasks("test failed").says("failed to connect to `u@127.0.0.1:1/app`").says("no server listens there");
}

#[test]
fn the_state_of_the_database_is_in_the_key() {
    let app = Database::new();
    let ws = workspace(
        "[tasks.test]\nrun = \"true\"\nsources = []\noutputs = []\ndatabase = \"app\"\nwait_for = [\"migrate\"]\n",
    );
    let run = |tasks: &[&str]| ws.weir(&[&["run"], tasks].concat()).env("DATABASE_URL", app.url()).ok();
    run(&["migrate"]);
    run(&["test"]).tasks("test ran");
    run(&["test"]).tasks("test fresh");
    // A row by hand is nobody's business; one of the ledger is.
    app.sql("insert into accounts values (1)");
    run(&["test"]).tasks("test fresh");
    ws.write("schema/migrations/0002_more.sql", "create table more (id int primary key);\n");
    run(&["migrate", "test"]).tasks("test ran");
    run(&["test"]).tasks("test fresh");
    app.sql("create table weir_seeds (name text primary key, checksum_sha256 text, applied_at timestamptz)");
    run(&["test"]).tasks("test fresh");
    app.sql("insert into weir_seeds values ('a', 'b', now())");
    run(&["test"]).tasks("test ran");
    // Emptied behind weir's back and migrated again it holds the same, and is another one.
    app.sql("delete from weir_seeds");
    run(&["test"]);
    app.sql("drop schema public cascade; create schema public");
    let again = run(&["migrate", "test"]).tasks("migrate ran, test ran");
    assert_eq!(again.reasons("test"), ["changed"], "{}", again.shown());
}

#[test]
fn a_task_connects_as_the_role_it_names() {
    let app = Database::new();
    let role = format!("tester_{}", app.name);
    app.sql(&format!("create role {role} login password 'as it is'"));
    let tasks = format!(
        "[db.app.roles]\n{role} = {{ password_env = \"TESTER_PASSWORD\" }}\n\
         [tasks.test]\nrun = \"echo $PGUSER $PGPASSWORD $DATABASE_URL > told; echo $PGPASSWORD\"\n\
         database = {{ name = \"app\", as = \"{role}\" }}\n"
    );
    let ws = workspace(&tasks);
    let missing = ws.weir(&["run", "test"]).env("DATABASE_URL", app.url()).go().exit(1);
    missing.says("the variable `TESTER_PASSWORD`, which holds the password of role").says("is not set");
    let run = || ws.weir(&["run", "test"]).env("DATABASE_URL", app.url());
    run().env("TESTER_PASSWORD", "as it is").ok().says("***").says_nothing_of("as it is");
    assert_eq!(ws.read("told"), format!("{role} as it is {}\n", server().url_as(&role, "as it is", &app.name)));
    let wrong = run().env("TESTER_PASSWORD", "something else").go().exit(1);
    wrong
        .says("password authentication failed")
        .says("check the user and the password")
        .says_nothing_of("something else");
}

/// Databases that weir made beside this one, templates apart.
fn beside(app: &Database) -> Vec<String> {
    let own: String = app.sql(&format!("select substr(encode(sha256('{}'), 'hex'), 1, 8)", app.name));
    let all = server().databases();
    all.into_iter().filter(|name| name.contains(&own) && !name.starts_with("weir_template")).collect()
}

#[test]
fn clones_are_the_tasks_own_side_by_side_and_leave_nothing_behind() {
    let app = Database::new();
    let psql = server().bin.join("psql");
    let test = |name: &str| {
        format!(
            "[tasks.{name}]\nrun = \"\"\"\n../pause {name}\n\
             {} -XAtqc 'insert into accounts values (1); select count(*) from accounts' \"$DATABASE_URL\" > {name}.count\n\"\"\"\n\
             sources = []\noutputs = []\ndatabase = {{ name = \"app\", clone = true }}\n",
            psql.display()
        )
    };
    let ws = workspace(&[test("one"), test("two")].concat());
    let puppets = [ws.puppet("one"), ws.puppet("two")];
    let running = ws.weir(&["run", "one", "two", "-j2"]).env("DATABASE_URL", app.url()).spawn();
    for puppet in &puppets {
        puppet.arrives();
    }
    assert_eq!(beside(&app).len(), 2);
    puppets.iter().for_each(|puppet| puppet.goes_on());
    running.end().success().tasks("one ran, two ran");
    assert_eq!((ws.read("one.count").as_str(), ws.read("two.count").as_str()), ("1\n", "1\n"));
    assert_eq!(beside(&app), Vec::<String>::new());
    // The database itself was not touched, and need not be the same one.
    assert_eq!(app.sql("select to_regclass('accounts') is null"), "t");
    ws.weir(&["run", "one", "two"]).env("DATABASE_URL", app.url()).ok().tasks("one fresh, two fresh");
    // Other files, another content.
    ws.write("schema/migrations/0002_more.sql", "create table more (id int primary key);\n");
    puppets.into_iter().for_each(crate::support::Puppet::retire);
    ws.weir(&["run", "one"]).env("DATABASE_URL", app.url()).ok().tasks("one ran");
}

#[test]
fn a_clone_is_seeded_and_its_seeds_are_in_the_key() {
    let app = Database::new();
    let psql = server().bin.join("psql");
    let ws = workspace(&format!(
        "[tasks.one]\nrun = \"{} -XAtqc 'select count(*) from accounts' $DATABASE_URL > count\"\n\
         sources = []\noutputs = []\ndatabase = {{ name = \"app\", clone = true }}\n",
        psql.display()
    ));
    let run = || ws.weir(&["run", "one"]).env("DATABASE_URL", app.url()).ok();
    ws.write("schema/seeds/accounts.csv", "id\n1\n2\n");
    run().tasks("one ran");
    assert_eq!(ws.read("count"), "2\n");
    run().tasks("one fresh");
    ws.write("schema/seeds/accounts.csv", "id\n1\n2\n3\n");
    run().tasks("one ran");
    assert_eq!(ws.read("count"), "3\n");
    // A migration that fails makes no template, and leaves nothing half made.
    ws.write("schema/migrations/0002_broken.sql", "create table broken (;\n");
    let broken = ws.weir(&["run", "one"]).env("DATABASE_URL", app.url()).go().exit(1);
    broken.tasks("one failed").says("0002_broken.sql");
    assert_eq!(beside(&app), Vec::<String>::new());
}

#[test]
fn what_a_killed_run_left_behind_goes_with_the_next() {
    let app = Database::new();
    let ws = workspace(
        "[tasks.one]\nrun = \"../pause one; exit ${FAIL:-0}\"\ncache = false\ndatabase = { name = \"app\", clone = true }\n",
    );
    let puppet = ws.puppet("one");
    let running = ws.weir(&["run", "one"]).env("DATABASE_URL", app.url()).spawn();
    puppet.arrives();
    let left = beside(&app);
    assert_eq!(left.len(), 1);
    running.kill();
    puppet.retire();
    ws.weir(&["run", "one"]).env("DATABASE_URL", app.url()).ok();
    assert_eq!(beside(&app), Vec::<String>::new());
    // Nor does a task that fails leave one.
    ws.weir(&["run", "one"]).env("DATABASE_URL", app.url()).env("FAIL", "3").go().exit(1);
    assert_eq!(beside(&app), Vec::<String>::new());
}

#[test]
fn nobody_but_the_task_is_connected_to_its_clone_and_its_role_is_tried_first() {
    let app = Database::new();
    let role = format!("tester_{}", app.name);
    app.sql(&format!("create role {role} login password 'as it is'"));
    let psql = server().bin.join("psql");
    let ws = workspace(&format!(
        "[db.app.roles]\n{role} = {{ password_env = \"TESTER_PASSWORD\" }}\n\
         [tasks.one]\nrun = \"{psql} -XAtqc 'select current_user, count(*) from pg_stat_activity where datname = current_database()' \
         $DATABASE_URL > told\"\ndatabase = {{ name = \"app\", clone = true }}\n\
         [tasks.two]\nrun = \"touch started; {psql} -XAtqc 'select current_user' $DATABASE_URL > told\"\n\
         database = {{ name = \"app\", clone = true, as = \"{role}\" }}\n",
        psql = psql.display()
    ));
    let run = |task: &str| ws.weir(&["run", task]).env("DATABASE_URL", app.url());
    run("one").env("TESTER_PASSWORD", "as it is").ok();
    assert_eq!(ws.read("told"), "postgres|1\n");
    run("two").env("TESTER_PASSWORD", "as it is").ok();
    assert_eq!(ws.read("told"), format!("{role}\n"));
    fs::remove_file(ws.path("started")).unwrap();
    let wrong = run("two").env("TESTER_PASSWORD", "something else").go().exit(1);
    wrong.says("password authentication failed").says_nothing_of("something else");
    assert!(!ws.exists("started"));
    assert_eq!(beside(&app), Vec::<String>::new());
}

#[test]
fn one_that_is_done_with_the_template_keeps_nobody_waiting_for_it() {
    let app = Database::new();
    let ws = workspace(
        "[tasks.first]\nrun = \"../pause first\"\ndatabase = { name = \"app\", clone = true }\n\
         [tasks.second]\nrun = \"true\"\ndatabase = { name = \"app\", clone = true }\n",
    );
    let puppet = ws.puppet("first");
    let running = ws.weir(&["run", "first"]).env("DATABASE_URL", app.url()).spawn();
    puppet.arrives();
    // The first made the template and still has its clone. As if another had it dropped: the second makes it again.
    let own: String = app.sql(&format!("select substr(encode(sha256('{}'), 'hex'), 1, 8)", app.name));
    let template = server().databases().into_iter().find(|name| name.starts_with(&format!("weir_template_{own}_")));
    let template = template.unwrap();
    app.sql(&format!("alter database {template} with is_template false"));
    app.sql(&format!("drop database {template}"));
    ws.weir(&["run", "second"]).env("DATABASE_URL", app.url()).ok().tasks("second ran");
    puppet.goes_on();
    running.end().success();
    assert_eq!(beside(&app), Vec::<String>::new());
}
