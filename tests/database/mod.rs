//! Databases: each piece through the real binary against a real Postgres.

mod commands;
mod docker;
mod down;
mod embedded;
mod lent;
mod local;
mod reset;
mod up;
