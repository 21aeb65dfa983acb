//! The laws of skipping (docs/design/CORRECTNESS.md), one module each: tests that fail when the law
//! is broken, whatever the reason.

mod law_16_resets;
mod law_18_forcing;
mod law_20_refusals;
mod law_21_the_guard;
mod law_22_interrupts;
mod law_23_after_a_failure;
