//! Rank 3: database nodes: where servers come from, up, down, reset, migrations, seeds, gate, baseline.
//! Only exports nodes and what tasks are lent; knows nothing of the scheduler.

mod cluster;
mod databases;
mod down;
mod error;
mod frame;
mod guard;
mod mark;
mod provider;
mod reset;
mod scratch;
mod server;
mod session;
mod up;

pub use databases::Databases;
