//! Rank 3: the content-addressed store, results, restore. Knows nothing of scheduling.

mod outputs;
mod place;
mod state;
mod store;
#[cfg(test)]
mod tests;

pub use outputs::{Entry, EntryKind, Manifest, Restore, RestoreError, Survey, capture, restore, survey};
pub use place::{Place, PlaceError, RunFolder, file_name};
pub use state::{Last, Recorded, State};
pub use store::{Found, Problem, Store, StoreStatus, StoredResult, Verified};
