//! `db.up` on a server that is named from outside.

use crate::support::Workspace;
use crate::support::postgres::{Database, PASSWORD, server};

const UP: &str = "[db.app]\nprovider = \"url\"\n[tasks.up]\nuses = \"db.up\"\n";

#[test]
fn a_database_named_from_outside_is_up() {
    let database = Database::new();
    let ws = Workspace::new(UP);
    let ran = ws.weir(&["run", "up"]).env("DATABASE_URL", database.url()).ok().tasks("up ran");
    ran.says("Postgres ")
        .says(&format!("postgres@127.0.0.1:{}/{}", server().port, database.name))
        .says_nothing_of(PASSWORD);
}
