//! Rank 4: the pure scheduler and the loop that carries out its effects. Knows any node through its
//! trait, and nothing of which nodes there are, of configuration text or of terminals.

mod driver;
mod earlier;
mod inspect;
mod job;
mod judge;
mod ledger;
mod lending;
mod part;
mod pool;
mod prepare;
mod printer;
mod priority;
mod resumed;
pub mod scheduler;
mod services;
mod settled;
mod standing;
mod work;

pub use driver::{Finish, Options, planned, run};
pub use inspect::{Inspection, inspect};
pub use part::{Outline, Part};
pub use prepare::Prepared;
pub use resumed::Resumed;
pub use services::{Elsewhere, Services, ServicesError, WorkspaceTrouble};
pub use settled::Settled;
pub use standing::Standing;
