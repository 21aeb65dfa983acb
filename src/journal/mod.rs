//! Rank 1: crash-safe files: a framed append log, atomic replacement, locks. Knows nothing of what
//! is stored in them.

mod atomic;
mod lock;
mod log;
mod names;

pub use atomic::{create, replace};
pub use lock::{Holder, Lock, LockKind};
pub use log::{Log, Opened, Trouble, Writer};
pub use names::{NameLock, NameLocks};
