//! Bad input of every kind: nothing of it may end in a wrong skip, a hang, a panic or a torn state.

mod configuration;
mod disk;
mod sizes;
mod sources;
mod surroundings;
