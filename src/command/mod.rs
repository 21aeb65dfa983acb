//! Rank 3: the nodes that run commands, and groups. Knows nothing of the scheduler.

mod environment;
mod execute;
mod group;
mod task;

pub use group::GroupNode;
pub use task::{CommandNode, still_there};
