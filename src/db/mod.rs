//! Rank 3: database nodes: where servers come from, up, down, reset, migrations, seeds, gate, baseline.
//! Only exports nodes and what tasks are lent; knows nothing of the scheduler.

mod baseline;
mod catalogue;
mod clones;
mod cluster;
mod databases;
mod down;
mod drift;
mod dump;
mod error;
mod flight;
mod frame;
mod gate;
mod guard;
mod intent;
mod ledger;
mod lent;
mod lint;
mod mark;
mod migrate;
mod migrations;
mod provider;
mod reset;
mod roles;
mod scratch;
mod seed;
mod server;
mod session;
mod show;
mod starting;
mod status;
mod up;

pub use catalogue::{Change, Difference};
pub use databases::Databases;
pub use error::DbError;
pub use server::Endpoint;
pub use starting::Resolution;
pub use status::Status;
