//! Every key of a tasks.toml that weir carries out, and every command, through the binary.

mod arguments;
mod commands;
mod environment;
mod folders;
mod graphs;
mod init;
mod output;
mod running;
mod secrets;
mod terminal;
