//! Rank 3: the nodes that run commands, and groups. Knows nothing of the scheduler.

mod direct;
mod elsewhere;
mod environment;
mod execute;
mod group;
mod ports;
mod proof;
mod report;
mod service;
mod serving;
mod soak;
mod task;

pub use execute::{Ended, execute_within};
pub use group::GroupNode;
pub use ports::Ports;
pub use proof::CrashProof;
pub use service::ServiceNode;
pub use serving::{Killed, Launch, Lost, Probe, Serving, Stopped};
pub use soak::SoakNode;
pub use task::{CommandNode, still_there};
