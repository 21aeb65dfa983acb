//! Rank 0: plain data that every other room speaks in. Ids, paths, digests, durations, outcomes,
//! reasons. Knows nothing else of weir, does no IO.

mod count;
mod digest;
mod duration;
mod key;
mod outcome;
mod path;
mod size;
mod task;
mod word;

pub use count::counted;
pub use digest::{Digest, Hasher, ParseDigestError};
pub use duration::{format_duration, parse_duration};
pub use key::{KeyPart, KeySink, KeyValue, Observation, PartKind};
pub use outcome::{FailReason, Gate, Notice, Outcome, Reason, SkipReason, Stage};
pub use path::{PathError, WsPath, lossless};
pub use size::format_bytes;
pub use task::{NodeId, TaskName};
pub use word::shell_word;
