//! The one integration crate: weir through its real binary, or its library driven for real.

#![allow(clippy::unwrap_used)]

mod audit;
mod laws;
mod process_guard;
mod support;
