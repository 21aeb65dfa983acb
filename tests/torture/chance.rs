//! Random choices that can be repeated.

use std::hash::{BuildHasher, Hasher};

/// A source of random numbers (SplitMix64): the same seed gives the same ones on every machine.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// From a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A seed that nobody has had before.
    pub fn new_seed() -> u64 {
        // Randomly keyed by the standard library. Short enough to be typed.
        std::collections::hash_map::RandomState::new().build_hasher().finish() % 1_000_000_007
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    /// True so often in a hundred.
    pub fn percent(&mut self, often: usize) -> bool {
        self.below(100) < often
    }

    /// One of these.
    pub fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// Some of these, in their order.
    pub fn some<T: Clone>(&mut self, all: &[T], often: usize) -> Vec<T> {
        all.iter().filter(|_| self.percent(often)).cloned().collect()
    }
}
