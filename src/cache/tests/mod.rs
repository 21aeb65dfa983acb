//! The room's tests: what the workspace remembers, what the store holds, what is restored.

mod notes;
mod restoring;
mod state;
mod store;
