//! Rank 4: the pure scheduler and the loop that carries out its effects. Knows any node through its
//! trait, and nothing of which nodes there are, of configuration text or of terminals.

mod driver;
mod inspect;
mod job;
mod judge;
mod ledger;
mod pool;
mod printer;
mod priority;
pub mod scheduler;
mod services;

pub use driver::{Finish, Options, Prepared, planned, run};
pub use inspect::{Inspection, inspect};
pub use services::{Services, ServicesError, WorkspaceTrouble};
