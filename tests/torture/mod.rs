//! weir tortured: killed at any instant, its files damaged at any byte, its calls of the system failing, eight of
//! it at once, and thousands of random edits against a runner that always runs everything.
//!
//! By itself each test does little, so that all tests together stay quick. `WEIR_TORTURE=check` does what
//! `weir run check` asks for, a number that many times as much. Every test prints its seed; `WEIR_TORTURE_SEED`
//! replays it.
#![allow(clippy::print_stdout)]

mod chance;
mod damage;
#[cfg(target_os = "linux")]
mod faults;
mod fuzzing;
mod graph;
mod kills;
mod model;
#[cfg(target_os = "linux")]
mod supervisor;
mod together;

use chance::Chance;

/// How much is to be done: `little` by itself, `full` in `weir run check`.
fn amount(little: usize, full: usize) -> usize {
    match std::env::var("WEIR_TORTURE").as_deref() {
        Err(_) | Ok("") => little,
        Ok("check") => full,
        Ok(times) => full * times.parse::<usize>().expect("WEIR_TORTURE is `check` or a number"),
    }
}

/// The seed of a test, printed.
fn seed(test: &str) -> u64 {
    let given =
        std::env::var("WEIR_TORTURE_SEED").ok().map(|seed| seed.parse().expect("WEIR_TORTURE_SEED is a number"));
    let seed = given.unwrap_or_else(Chance::new_seed);
    println!("{test}: WEIR_TORTURE_SEED={seed}");
    seed
}

/// What a test did, in the log also where it is captured: counts are to be seen.
fn report(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "torture: {line}");
}
