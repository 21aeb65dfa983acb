//! Databases: each piece through the real binary against a real Postgres.

mod down;
mod local;
mod reset;
mod up;
