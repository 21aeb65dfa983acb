//! The one integration crate: weir through its real binary, or its library driven for real.

#![allow(clippy::unwrap_used)]

mod audit;
#[path = "support/browser.rs"]
mod browser;
mod database;
mod drawing;
mod features;
mod import;
mod input;
mod laws;
#[path = "support/more.rs"]
mod more;
mod pages;
mod process_guard;
mod support;
mod torture;
