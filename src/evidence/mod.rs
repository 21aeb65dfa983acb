//! Rank 2: evidence: what a gate said, written down so that others can rely on it. Knows records, envelopes and
//! bundles; nothing of running.

mod bundle;
mod envelope;
mod record;
mod recorder;

pub use bundle::{Bundle, Verified, pack, verify};
pub use envelope::{Envelope, Key, KeyError, STATEMENT_TYPE};
pub use record::{Record, Status, Tool, evidence_schema};
pub use recorder::{Recorder, Tree};
