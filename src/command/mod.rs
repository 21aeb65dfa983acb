//! Rank 3: the nodes that run commands, and groups. Knows nothing of the scheduler.

mod direct;
mod environment;
mod execute;
mod group;
mod report;
mod task;

pub use execute::{Ended, execute_within};
pub use group::GroupNode;
pub use task::{CommandNode, still_there};
