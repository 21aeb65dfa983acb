//! Rank 3: the content-addressed store, results, restore. Knows nothing of scheduling.

mod outputs;
mod past;
mod place;
#[cfg(feature = "remote")]
mod remote;
mod seal;
mod sharing;
mod starts;
mod state;
mod store;
#[cfg(test)]
mod tests;

pub use outputs::{Entry, EntryKind, Manifest, Restore, RestoreError, Survey, capture, restore, survey};
pub use past::{Beginning, Left as LeftByRun, NoPast, Past, Request, RunJournal, read_past};
pub use place::{Place, PlaceError, RunFolder, file_name};
#[cfg(feature = "remote")]
pub use remote::Remote;
pub use seal::{Question, Seal, digest_of_outside, parse_sealed, read_sealed, write_sealed};
pub use sharing::{Answered, Exchange, Executed, Kept, Order, RemoteSettings, RemoteStore, Watcher};
pub use starts::Starts;
pub use state::{Last, Mark, Recorded, State};
pub use store::{Found, Problem, Store, StoreStatus, StoredResult, Verified};
