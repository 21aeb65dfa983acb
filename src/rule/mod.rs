//! Rank 2: the structural-change rule: two sides of a change, as plain facts, in; findings and a verdict out. Knows no
//! files, no git, no clock: who calls says what was there, what is there, and which day it is.

mod change;
mod checks;
mod ci;
mod covers;
mod day;
mod exception;
mod facts;
mod finding;
mod graph;
mod judge;
mod manifest;
mod quick;
mod schema_change;
mod verdict;
mod yaml;

pub use change::{Content, FileChange};
pub use checks::check_id;
pub use ci::{is_default_ci, is_masked};
pub use day::Day;
pub use facts::{Case, GraphFacts, Profiled, Settings, Side, TaskFact};
pub use finding::{Change, Finding, Kind, Violation};
pub use judge::judge;
pub use manifest::{Manifest, mentioned_files};
pub use quick::{quick, quick_path};
pub use verdict::{Verdict, detect_schema};

#[cfg(test)]
#[path = "tests/mod.rs"]
mod tests;
