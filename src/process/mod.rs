//! Rank 1: spawning, process groups, the guard, capture, signals, redaction of output.
//! Knows nothing of tasks: it runs commands and says what became of them.
//!
//! ```text
//!   weir ──socketpair──▶ guard (`weir __guard`, a subreaper) ──▶ every command's process group
//!     ◀─ pids, exits ──
//!     ◀───────── output, by pipes that weir makes and the guard only hands on ─────────
//! ```
//!
//! Every command is started by the guard and so is its descendant; however weir ends, the guard
//! reads the end of the socket and ends them all. Should the guard itself be killed, its
//! descendants become weir's (a subreaper too), which ends them.

mod capture;
mod child;
mod command;
mod descent;
mod detached;
mod error;
mod guard;
mod link;
mod output;
mod prompt;
mod redact;
mod signal;
mod wire;

pub use capture::{Captured, capture, terminate};
pub use child::Child;
pub use command::{Command, Exit, Stdio, Usage};
pub use detached::Detached;
pub use error::ProcessError;
pub use guard::guard_main;
pub use link::{FinishReport, Guard, Stray};
pub use output::{Drained, Output};
pub use prompt::take_short_turns;
pub use redact::Redactor;
pub use signal::{Signal, SignalWatch, on_signals};

/// The argument that makes the executable a guard instead of weir.
pub const GUARD_ARGUMENT: &str = "__guard";
