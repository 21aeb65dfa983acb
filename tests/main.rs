//! The one integration crate: weir through its real binary, or its library driven for real.

#![allow(clippy::unwrap_used)]

mod audit;
mod features;
mod import;
mod input;
mod laws;
#[path = "support/more.rs"]
mod more;
mod process_guard;
mod support;
