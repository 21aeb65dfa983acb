//! `weir run --resume` with nodes that look at a live database: they look again, and what was done on it stays done while the
//! database is what it was.

use crate::support::postgres::{Database, Servers};
use crate::support::{Ran, Weir, Workspace};
use nix::sys::signal::Signal;

/// All kinds of nodes of a database, an uncached task on it, and one that is held.
const EDGES: &str = "[db.app]\nprovider = 'url'\n[tasks.up]\nuses = 'db.up'\n\
    [tasks.reset]\nuses = 'db.reset'\ndepends = ['up']\n\
    [tasks.migrate]\nuses = 'db.migrate'\ndepends = ['reset']\n\
    [tasks.seed]\nuses = 'db.seed'\ndepends = ['migrate']\n\
    [tasks.gate]\nuses = 'db.gate'\ndepends = ['seed']\n\
    [tasks.drift]\nuses = 'db.drift'\ndepends = ['migrate']\n\
    [tasks.report]\nrun = 'echo x >> ../report.ran'\ndatabase = 'app'\ndepends = ['gate']\n\
    [tasks.held]\nrun = '../pause held; echo x >> ../held.ran'\ndepends = ['report', 'drift']\n";

/// The same in steps, which carry nothing from one to the next.
const STEPS: &str = "[db.app]\nprovider = 'url'\n[tasks.up]\nuses = 'db.up'\n[tasks.reset]\nuses = 'db.reset'\n\
    [tasks.migrate]\nuses = 'db.migrate'\n[tasks.seed]\nuses = 'db.seed'\n[tasks.gate]\nuses = 'db.gate'\n\
    [tasks.drift]\nuses = 'db.drift'\n[tasks.report]\nrun = 'echo x >> ../report.ran'\ndatabase = 'app'\n\
    [tasks.push]\nrun = 'echo x >> ../push.ran'\n\
    [tasks.held_]\nrun = '../pause held; echo x >> ../held.ran'\n\
    [tasks.held]\nsequence = ['up', 'reset', 'migrate', 'seed', ['gate', 'drift'], ['report', 'push'], 'held_']\n";

fn workspace(tasks: &str) -> Workspace {
    let ws = Workspace::new(tasks);
    ws.write("schema/migrations/0001_accounts.sql", "create table accounts (id int primary key);\n");
    ws.write("schema/seeds/accounts.csv", "id\n1\n");
    let check = "-- id: no-sevens\n-- title: there is no seven\n-- severity: error\n-- must-fail-after: insert into accounts values (7)\n\
                 select id from accounts where id = 7\n";
    ws.write("checks/db/no_sevens.sql", check);
    ws
}

struct Site {
    ws: Workspace,
    database: Database,
}

impl Site {
    fn new(tasks: &str) -> Self {
        Self { ws: workspace(tasks), database: Database::new() }
    }

    fn weir(&self, words: &str) -> Weir<'_> {
        let words: Vec<&str> = words.split(' ').collect();
        self.ws.weir(&words).env("DATABASE_URL", self.database.url())
    }

    /// Runs until `held` is reached, and kills weir.
    fn killed(&self, words: &str) {
        let puppet = self.ws.puppet("held");
        let weir = self.weir(words).spawn();
        puppet.arrives();
        weir.kill();
        puppet.retire();
    }

    fn resumed(&self) -> Ran {
        self.weir("run --resume").go()
    }

    fn counts<const N: usize>(&self, names: [&str; N]) -> [usize; N] {
        names.map(|name| self.ws.count(name))
    }
}

#[test]
fn what_is_live_is_looked_at_again_and_what_was_done_stays_done() {
    let site = Site::new(EDGES);
    site.killed("run held");
    let incarnation = site.database.sql("select incarnation from weir_database");
    site.weir("run -n --resume").ok();
    let ran = site.resumed().success();
    let ran = ran.tasks("up ran, reset done, gate ran, drift ran, report done, held ran");
    // What is cacheable goes by what the live database holds.
    ran.tasks("migrate fresh, seed fresh");
    assert_eq!(site.counts(["report", "held"]), [1, 1]);
    assert_eq!(site.database.sql("select incarnation from weir_database"), incarnation, "it was not reset again");
}

#[test]
fn a_gate_that_had_passed_judges_what_is_there_now() {
    let site = Site::new(EDGES);
    site.killed("run held");
    site.database.sql("insert into accounts values (7)");
    site.resumed().exit(1).tasks("up ran, migrate fresh, gate failed").says("no-sevens");
    assert_eq!(site.counts(["report", "held"]), [1, 0]);
    site.database.sql("delete from accounts where id = 7");
    site.resumed().success().tasks("gate ran, held ran");
    site.killed("run held");
    site.database.sql("create table by_hand (id int)");
    site.resumed().exit(1).tasks("drift failed, held skipped").says("the database is not what the migrations make");
}

#[test]
fn what_somebody_did_to_the_database_meanwhile_is_not_taken_for_done() {
    let site = Site::new(EDGES);
    site.killed("run held");
    // Its tables are gone, and with them the ledger and weir's mark.
    site.database.sql(
        "do $$ declare name text; begin for name in select tablename from pg_tables where schemaname = 'public' loop \
         execute format('drop table public.%I cascade', name); end loop; end $$",
    );
    let ran = site.resumed().success().tasks("up ran, migrate ran, seed ran, gate ran, report ran, held ran");
    assert_eq!(site.database.sql("select count(*) from accounts"), "1", "{}", ran.shown());
    assert_eq!(site.counts(["report", "held"]), [2, 1]);
    // Reset by another run.
    site.killed("run held");
    site.weir("run reset").ok();
    site.resumed().success().tasks("reset ran, migrate ran, seed ran, report ran, held ran");
    // A new migration.
    site.killed("run held");
    site.ws.write("schema/migrations/0002_more.sql", "create table more (id int primary key);\n");
    site.resumed().success().tasks("reset done, migrate ran, report ran, held ran");
    // Another database.
    site.killed("run held");
    let elsewhere = Database::new();
    let ran = site.ws.weir(&["run", "--resume"]).env("DATABASE_URL", elsewhere.url()).go().success();
    ran.tasks("up ran, reset ran, migrate ran, seed ran, gate ran, report ran, held ran");
    assert_eq!(elsewhere.sql("select count(*) from accounts"), "1");
}

#[test]
fn a_step_that_only_looks_again_makes_no_later_step_run_again() {
    let site = Site::new(STEPS);
    site.killed("run held");
    let done = "up ran, reset done, migrate fresh, seed fresh, gate ran, drift ran, report done, push done, held_ ran";
    site.resumed().success().tasks(done);
    assert_eq!(site.counts(["report", "push", "held"]), [1, 1, 1]);
    // What it finds is something else: all that comes later was done to another database.
    site.killed("run held");
    let elsewhere = Database::new();
    let ran = site.ws.weir(&["run", "--resume"]).env("DATABASE_URL", elsewhere.url()).go().success();
    ran.tasks("up ran, reset ran, migrate ran, seed ran, gate ran, report ran, push ran, held_ ran");
    assert_eq!(site.counts(["report", "push", "held"]), [3, 3, 2]);
}

#[test]
fn a_server_that_went_with_the_machine_is_started_again() {
    let ws = workspace(&EDGES.replace("'url'", "'local'"));
    let servers = Servers::of(&ws);
    let puppet = ws.puppet("held");
    let weir = ws.weir(&["run", "held"]).spawn();
    puppet.arrives();
    weir.kill();
    // weir's own servers may lose the last instants with them; here nothing is to be lost.
    ws.weir(&["db", "psql", "app", "--", "-c", "checkpoint"]).ok();
    servers.end("local", Signal::SIGKILL);
    puppet.retire();
    let ran = ws.weir(&["run", "--resume"]).ok().says("started");
    ran.tasks("up ran, reset done, migrate fresh, seed fresh, gate ran, drift ran, report done, held ran");
    assert_eq!([ws.count("report"), ws.count("held")], [1, 1]);
}
