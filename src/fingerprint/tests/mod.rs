//! The room's tests: keys and their explanations, and the walk against a naive one.

mod keys;
mod walking;
