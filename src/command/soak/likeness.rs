//! Which failures are the same one: by what was printed, without what differs from run to run. Pure.

use regex::Regex;
use similar::TextDiff;
use std::borrow::Cow;

/// Groups at most; whatever is like none of them then goes into a last one.
const MOST_GROUPS: usize = 32;
/// Outputs that agree in so much of their words are of one failure.
const LIKE: f32 = 0.8;
/// The lines of an output that count: its last.
const LAST_LINES: usize = 40;
/// The lines of an output that are shown.
const SHOWN_LINES: usize = 3;

/// Takes out of a text what differs from run to run.
pub(super) struct Leveller {
    rules: Vec<(Regex, &'static str)>,
}

/// Failures that look the same.
#[derive(Debug)]
pub(super) struct Group {
    /// Their numbers, in the order they failed.
    pub(super) iterations: Vec<u32>,
    /// How the first ended.
    pub(super) reason: String,
    /// The last lines of the first.
    pub(super) excerpt: String,
    /// Of the first, levelled: reason and output.
    likeness: (String, String),
}

/// Failures by likeness, in the order in which the first of each came.
pub(super) struct Groups {
    leveller: Leveller,
    pub(super) all: Vec<Group>,
}

impl Leveller {
    pub(super) fn new() -> Self {
        // From the specific to the general: a time is no number, an id no hexadecimal word.
        let rules = [
            (r"\x1b\[[0-9;?]*[ -/]*[@-~]", ""),
            (r"(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "ID"),
            (r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?(?:Z|[+-]\d\d:?\d\d))?)?", "TIME"),
            (r"\b\d\d?:\d\d:\d\d(?:[.,]\d+)?\b", "TIME"),
            (r"(?:\b[\w.@+-]+|\B[.~]{1,2}|\B)(?:/[\w.@+-]+)+/?", "PATH"),
            (r"\b\d+(?:[.,]\d+)?\s?(?:ns|us|µs|μs|ms|s|sec|secs|seconds?|min|minutes?|h)\b", "DURATION"),
            (r"\b0[xX][0-9a-fA-F]+\b", "HEX"),
            (r"\b(?:[0-9]+[a-fA-F]|[a-fA-F]+[0-9])[0-9a-fA-F]{4,}\b", "HEX"),
            (r"\d+(?:[.,]\d+)*", "#"),
            (r"[ \t]+", " "),
        ];
        let rules = rules.into_iter().filter_map(|(rule, to)| Some((Regex::new(rule).ok()?, to))).collect();
        Self { rules }
    }

    /// The text without numbers, times, durations, hexadecimal words, ids, paths and colours.
    pub(super) fn level(&self, text: &str) -> String {
        let mut text = Cow::Borrowed(text);
        for (rule, to) in &self.rules {
            if let Cow::Owned(changed) = rule.replace_all(&text, *to) {
                text = Cow::Owned(changed);
            }
        }
        text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
    }
}

impl Groups {
    pub(super) fn new() -> Self {
        Self { leveller: Leveller::new(), all: vec![] }
    }

    /// Puts a failure where it belongs; `output` is the end of what it printed.
    pub(super) fn add(&mut self, iteration: u32, reason: &str, output: &str) {
        // Of an exit status the number is all there is.
        let ended = if reason.starts_with("exit status") { reason.to_owned() } else { self.leveller.level(reason) };
        let likeness = (ended, last_lines(&self.leveller.level(output), LAST_LINES));
        let like = |group: &&mut Group| group.likeness == likeness || is_like(&group.likeness, &likeness);
        if let Some(group) = self.all.iter_mut().find(like) {
            return group.iterations.push(iteration);
        }
        if self.all.len() >= MOST_GROUPS
            && let Some(last) = self.all.last_mut()
        {
            last.excerpt = "(unlike all others, and not like each other)".to_owned();
            return last.iterations.push(iteration);
        }
        let excerpt = last_lines(output.trim_end(), SHOWN_LINES);
        self.all.push(Group { iterations: vec![iteration], reason: reason.to_owned(), excerpt, likeness });
    }
}

fn is_like(one: &(String, String), other: &(String, String)) -> bool {
    one.0 == other.0 && TextDiff::from_words(&one.1, &other.1).ratio() >= LIKE
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_differs_from_run_to_run_is_taken_out() {
        let leveller = Leveller::new();
        for (text, level) in [
            ("left: 17, right: 3.5", "left: #, right: #"),
            ("at 0x7ffe12ab9", "at HEX"),
            ("commit 3b4f9a2c1", "commit HEX"),
            ("2026-11-21T14:05:21.123Z started", "TIME started"),
            ("2026-11-21 14:05:21 +01:00 started", "TIME started"),
            ("[14:05:21] hello", "[TIME] hello"),
            ("took 1.25 s, then 12ms", "took DURATION, then DURATION"),
            ("open /tmp/weir-soak-Ab3/tmp/x: no such file", "open PATH: no such file"),
            ("src/lib.rs:12:5", "PATH:#:#"),
            ("./a/b ../c/d", "PATH PATH"),
            ("id 6f1c1f3a-7d1e-4c39-9a51-0d7a2f6f8f11 gone", "id ID gone"),
            ("\x1b[31mred\x1b[0m", "red"),
            ("a deadbeef defaced facade", "a deadbeef defaced facade"),
        ] {
            assert_eq!(leveller.level(text), level);
        }
        assert_eq!(leveller.rules.len(), 10, "every rule is sound");
    }

    #[test]
    fn failures_are_grouped_by_likeness() {
        let mut groups = Groups::new();
        let panicked =
            |n: u32| format!("running 12 tests\nthread 'main' ({n}) panicked at src/a.rs:{n}:5:\nleft: {n}\n");
        for n in [3, 13, 23] {
            groups.add(n, "exit status 101", &panicked(n));
        }
        groups.add(24, "exit status 1", &panicked(24));
        groups.add(25, "exit status 101", "connection refused by the server\n");
        groups.add(26, "exit status 101", "connection refused by the other server\n");
        groups.add(27, "timed out after 3 s", "");
        groups.add(28, "timed out after 4 s", "");
        let found: Vec<&[u32]> = groups.all.iter().map(|group| &group.iterations[..]).collect();
        assert_eq!(found, [&[3, 13, 23][..], &[24], &[25, 26], &[27, 28]]);
        assert_eq!(groups.all[0].excerpt, panicked(3).trim_end());
        assert_eq!(groups.all[3].excerpt, "");
    }

    #[test]
    fn too_many_kinds_end_in_one_group() {
        let mut groups = Groups::new();
        for n in 0..200u32 {
            let word = |k: u32| (0..6).map(|bit| if (n >> bit) & 1 == k % 2 { 'x' } else { 'y' }).collect::<String>();
            groups.add(n, &format!("ended by SIG{}{}", word(0), word(1)), &format!("{}\n", n % 64));
        }
        assert!(groups.all.len() <= MOST_GROUPS);
        assert_eq!(groups.all.iter().map(|group| group.iterations.len()).sum::<usize>(), 200);
    }

    proptest! {
        #[test]
        fn levelling_is_settled_at_once_and_numbers_do_not_count(words in "[a-z ]{1,40}", a in 0u64..1_000_000, b in 0u64..1_000_000) {
            let leveller = Leveller::new();
            let (one, other) = (format!("{words} {a} x"), format!("{words} {b} x"));
            prop_assert_eq!(leveller.level(&one), leveller.level(&other));
            let level = leveller.level(&one);
            prop_assert_eq!(leveller.level(&level), level);
        }

        #[test]
        fn nothing_is_lost(texts in proptest::collection::vec("\\PC{0,60}", 0..40)) {
            let mut groups = Groups::new();
            for (index, text) in texts.iter().enumerate() {
                groups.add(index as u32, "exit status 1", text);
            }
            let mut all: Vec<u32> = groups.all.iter().flat_map(|group| group.iterations.clone()).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..texts.len() as u32).collect::<Vec<_>>());
        }
    }
}
