//! Every key of a tasks.toml that weir carries out, and every command, through the binary.

mod arguments;
mod checks;
mod commands;
mod crash;
mod environment;
mod evidence;
mod folders;
mod graphs;
mod init;
mod output;
mod ports;
mod printing;
#[cfg(feature = "remote")]
mod remote;
mod reports;
mod rule;
mod running;
mod secrets;
mod service;
mod soak;
mod soak_refused;
mod terminal;
