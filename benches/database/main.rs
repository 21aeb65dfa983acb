//! How long weir takes with databases, beside what one does by hand and what other tools do.
//!
//! `cargo bench --bench database` prints Markdown tables: starting a server, `db.up` when it is up, clones, migrations. It
//! starts its own servers, in folders that it removes; psql must be on PATH.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

mod clones;
mod measure;
mod migrations;
mod server;

fn main() {
    server::bench();
    let server = server::Server::start();
    clones::bench(&server);
    migrations::bench(&server.url);
}
