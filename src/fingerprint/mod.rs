//! Rank 2: inputs → key and explanation, from one traversal with two sinks; the stat memo. Knows
//! nothing of who runs what.

mod hash;
mod ignored;
mod key;
mod memo;
mod retrace;
mod select;
mod stat;
#[cfg(test)]
mod tests;
mod trail;
mod walk;

pub use hash::{Reading, digest_file};
pub use ignored::IgnoreRules;
pub use key::{Define, Explainer, KeyInputs, Left, compare, explain, key_of};
pub use memo::Memo;
pub use retrace::{Change, keep, unchanged, what_changed};
pub use select::{Selection, Taken};
pub use stat::{Look, Stat, now};
pub use trail::Trail;
pub use walk::{Behind, Found, InputError, Source, SourceKind, Sources, Surveyor, What, changes};
