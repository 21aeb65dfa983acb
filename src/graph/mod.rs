//! Rank 3: building, selecting, auditing, freezing the plan. Nodes come from a factory it is
//! handed; petgraph stays in here. Knows nothing of running, nor which nodes there are.

mod arguments;
pub mod audit;
mod names;
mod overlap;
mod plan;
mod resolve;
mod soaks;
#[cfg(test)]
mod tests;
mod validate;

pub use arguments::bind;
pub use names::{Lookup, Names};
pub use plan::{Plan, PlanError, PlanNode, Selection, Target, plan};
pub use resolve::{Edge, Edges, Graph, TaskIndex, Wait};
pub use validate::validate;
