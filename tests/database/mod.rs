//! Databases: each piece through the real binary against a real Postgres.

mod baseline;
mod commands;
mod crashdemo;
mod docker;
mod down;
mod embedded;
mod gate;
mod lent;
mod lint;
mod local;
mod migrate;
mod migrate_begun;
mod migrate_cut;
mod migrate_refused;
mod migrating;
mod reset;
mod reset_cut;
mod resuming;
mod seed;
mod soak;
mod up;
