//! Databases: each piece through the real binary against a real Postgres.

mod local;
mod up;
