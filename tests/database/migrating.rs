//! A workspace with migrations, and a database for them.

use crate::support::postgres::Database;
use crate::support::{Ran, Running, Workspace};

/// `db.up`, `db.migrate`, and a task that depends on it.
pub const TASKS: &str = "[tasks.up]\nuses = 'db.up'\n\
    [tasks.migrate]\nuses = 'db.migrate'\ndepends = ['up']\n\
    [tasks.after]\nrun = 'echo x >> ../after.ran'\nsources = []\noutputs = []\ndepends = ['migrate']\n";

/// A workspace with migrations, and a database for them.
pub struct Site {
    pub ws: Workspace,
    pub database: Database,
}

impl Site {
    /// With these migrations: name without `.sql`, and content.
    pub fn new(migrations: &[(&str, &str)]) -> Self {
        Self::with("", migrations)
    }

    /// With more keys of `[db.app]`, or tables after it.
    pub fn with(keys: &str, migrations: &[(&str, &str)]) -> Self {
        let site = Self {
            ws: Workspace::new(&format!("[db.app]\nprovider = 'url'\n{keys}\n{TASKS}")),
            database: Database::new(),
        };
        for (name, text) in migrations {
            site.file(name, text);
        }
        site
    }

    /// Writes a migration.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) {
        self.ws.write(&format!("schema/migrations/{name}.sql"), text);
    }

    /// Calls weir with words.
    pub fn weir(&self, words: &str) -> Ran {
        let words: Vec<&str> = words.split_whitespace().collect();
        self.ws.weir(&words).env("DATABASE_URL", self.database.url()).go()
    }

    /// `weir run after`.
    pub fn run(&self) -> Ran {
        self.weir("run after")
    }

    /// `weir run after`, not waited for.
    pub fn start(&self) -> Running {
        self.ws.weir(&["run", "after"]).env("DATABASE_URL", self.database.url()).spawn()
    }

    /// The ledger, a line each: `1|a`.
    pub fn ledger(&self) -> String {
        self.database.sql("select version, description from schema_migrations order by 1")
    }

    /// Whether a relation is there.
    pub fn has(&self, relation: &str) -> bool {
        self.database.sql(&format!("select to_regclass('{relation}') is not null")) == "t"
    }

    /// How many backends run a statement like this in this database.
    pub fn running(&self, like: &str) -> usize {
        let sql = format!(
            "select count(*) from pg_stat_activity where datname = '{}' and pid <> pg_backend_pid() \
             and state = 'active' and query like '%{like}%'",
            self.database.name
        );
        crate::support::postgres::server().sql("postgres", &sql).parse().unwrap()
    }
}
