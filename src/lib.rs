//! weir: a declarative build-and-check task graph runner.
//!
//! The library is a row of ranked modules; a module imports only modules of a strictly lower
//! rank (`docs/design/ARCHITECTURE.md`). The binary is a thin shell around the command line.

pub mod cache;
pub mod check;
pub mod cli;
pub mod command;
pub mod config;
pub mod db;
pub mod draw;
pub mod engine;
pub mod event;
pub mod evidence;

pub mod fingerprint;
pub mod git;
pub mod graph;
pub mod import;
pub mod journal;
pub mod model;
pub mod node;
pub mod process;
pub mod rule;
pub mod sql;
pub mod ui;
