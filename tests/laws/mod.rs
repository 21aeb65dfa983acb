//! The laws of skipping (docs/design/CORRECTNESS.md), one module each: tests that fail when the law
//! is broken, whatever the reason.

mod all_at_once;
mod law_01_sources_make_cacheable;
mod law_02_undeclared_taints;
mod law_03_the_key;
mod law_04_what_a_task_leaves;
mod law_05_early_cutoff;
mod law_06_strict_environment;
mod law_07_the_definition_counts;
mod law_08_sources;
mod law_09_only_success_is_recorded;
mod law_10_invalidate_first;
mod law_11_inputs_hold_still;
mod law_12_outputs;
mod law_13_replay;
mod law_14_damage_is_a_miss;
mod law_15_two_processes;
mod law_16_resets;
mod law_17_the_live_database;
mod law_18_forcing;
mod law_19_refusing_to_resume;
mod law_19_resuming;
mod law_19_resuming_at_random;
mod law_20_refusals;
mod law_21_the_guard;
mod law_22_interrupts;
mod law_23_after_a_failure;
mod seals;
mod seals_in_part;
mod seals_in_part_at_random;
