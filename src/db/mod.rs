//! Rank 3: database nodes: where servers come from, up, down, reset, migrations, seeds, gate, baseline.
//! Only exports nodes and what tasks are lent; knows nothing of the scheduler.

mod cluster;
mod databases;
mod error;
mod frame;
mod mark;
mod provider;
mod scratch;
mod server;
mod session;
mod up;

pub use databases::Databases;
