//! What numbers say: an interval for a pass rate, and quantiles. Pure.

/// The quantile of the normal distribution that two-sided 95 % go with.
const Z: f64 = 1.959_963_984_540_054;

/// The 95 % interval of Wilson for the chance behind `passed` of `all`: where the true pass rate may well lie. Unlike
/// the plain one it never leaves 0 to 1, and says something of 10 out of 10 too.
///
/// Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
pub(super) fn wilson(passed: u32, all: u32) -> (f64, f64) {
    if all == 0 {
        return (0.0, 1.0);
    }
    let n = f64::from(all);
    let rate = f64::from(passed.min(all)) / n;
    let shrink = 1.0 + Z * Z / n;
    let centre = (rate + Z * Z / (2.0 * n)) / shrink;
    let half = Z / shrink * (rate * (1.0 - rate) / n + Z * Z / (4.0 * n * n)).sqrt();
    // At both ends the formula is exact, and its arithmetic is not.
    let low = if passed == 0 { 0.0 } else { (centre - half).max(0.0) };
    let high = if passed >= all { 1.0 } else { (centre + half).min(1.0) };
    (low, high)
}

/// A share, in millionths.
pub(super) fn millionths(share: f64) -> u32 {
    // In range by what is asked of a share; `as` saturates.
    (share.clamp(0.0, 1.0) * 1e6).round() as u32
}

/// The nearest-rank quantile of sorted values: one of them, such that `percent` of all are not above it.
pub(super) fn quantile(sorted: &[u64], percent: u32) -> u64 {
    let rank = (sorted.len() * percent as usize).div_ceil(100).clamp(1, sorted.len().max(1));
    sorted.get(rank - 1).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_interval_has_known_values() {
        // R: binom::binom.wilson(x, n).
        for (passed, all, low, high) in [
            (10, 10, 0.722_467, 1.0),
            (0, 10, 0.0, 0.277_533),
            (50, 100, 0.403_832, 0.596_168),
            (180, 200, 0.850_600, 0.934_331),
            (1, 1, 0.206_549, 1.0),
        ] {
            let found = wilson(passed, all);
            assert!((found.0 - low).abs() < 2e-5 && (found.1 - high).abs() < 2e-5, "{passed}/{all}: {found:?}");
        }
        assert_eq!(wilson(0, 0), (0.0, 1.0));
    }

    #[test]
    fn quantiles_are_values_that_occur() {
        let ten: Vec<u64> = (1..=10).collect();
        assert_eq!((quantile(&ten, 0), quantile(&ten, 50), quantile(&ten, 95), quantile(&ten, 100)), (1, 5, 10, 10));
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!((quantile(&hundred, 50), quantile(&hundred, 95)), (50, 95));
        assert_eq!((quantile(&[7], 50), quantile(&[7], 95), quantile(&[], 50)), (7, 7, 0));
    }

    proptest! {
        #[test]
        fn the_interval_holds_the_rate(all in 1u32..100_000, share in 0.0f64..=1.0) {
            let passed = (f64::from(all) * share) as u32;
            let (low, high) = wilson(passed, all);
            let rate = f64::from(passed) / f64::from(all);
            prop_assert!((0.0..=1.0).contains(&low) && (0.0..=1.0).contains(&high));
            prop_assert!(low <= rate + 1e-12 && rate <= high + 1e-12);
            // What fails where the other passes has the mirrored interval.
            let (mirrored_low, mirrored_high) = wilson(all - passed, all);
            prop_assert!((low - (1.0 - mirrored_high)).abs() < 1e-9 && (high - (1.0 - mirrored_low)).abs() < 1e-9);
        }

        #[test]
        fn more_of_the_same_narrows_the_interval(all in 1u32..10_000, passed in 0u32..10_000) {
            let passed = passed.min(all);
            let width = |(low, high): (f64, f64)| high - low;
            prop_assert!(width(wilson(passed * 4, all * 4)) < width(wilson(passed, all)));
        }

        #[test]
        fn a_quantile_divides_the_values(mut values in proptest::collection::vec(0u64..1000, 1..200), percent in 1u32..=100) {
            values.sort_unstable();
            let found = quantile(&values, percent);
            let not_above = values.iter().filter(|value| **value <= found).count();
            let below = values.iter().filter(|value| **value < found).count();
            prop_assert!(not_above * 100 >= values.len() * percent as usize);
            prop_assert!(below * 100 < values.len() * percent as usize);
        }
    }
}
