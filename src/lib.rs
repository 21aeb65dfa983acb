//! weir: a declarative build-and-check task graph runner.
//!
//! The library is a row of ranked modules; a module imports only modules of a strictly lower
//! rank (`docs/design/ARCHITECTURE.md`). The binary is a thin shell around [`cli`].

pub mod config;
pub mod event;
pub mod model;
pub mod process;
