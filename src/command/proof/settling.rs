//! When an output that is polled has settled: told what was seen and when, it says what became of it. Knows no clock.

use crate::model::format_duration;
use std::time::Duration;

/// What one look showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// What the command printed, without blanks around it.
    Printed(String),
    /// Why it printed nothing that counts: `exit status 2 (no such table)`.
    Failed(String),
}

impl Seen {
    /// For people: ``prints `3` ``.
    pub fn describe(&self) -> String {
        match self {
            Self::Printed(text) if text.is_empty() => "prints nothing".into(),
            Self::Printed(text) => format!("prints `{text}`"),
            Self::Failed(why) => format!("fails: {why}"),
        }
    }
}

/// An output on its way to a value at which it must stay. Times count from when the looking began.
#[derive(Debug)]
pub struct Settling<'a> {
    equals: &'a str,
    stable: Duration,
    /// Since when every look has shown the value.
    since: Option<Duration>,
    /// When it was first there, and when and for what it left.
    left: Option<(Duration, Duration, Seen)>,
    last: Option<Seen>,
}

impl<'a> Settling<'a> {
    /// On its way to `equals`, where it must stay for `stable`.
    pub fn new(equals: &'a str, stable: Duration) -> Self {
        Self { equals, stable, since: None, left: None, last: None }
    }

    /// Takes a look that began and ended at these times. Whether it has settled: looks have shown the value for as long
    /// as it must stay, from the end of the first to the beginning of the last.
    pub fn saw(&mut self, began: Duration, ended: Duration, seen: Seen) -> bool {
        let there = seen == Seen::Printed(self.equals.to_owned());
        match (there, self.since) {
            (true, None) => self.since = Some(ended),
            (true, Some(_)) => {}
            (false, None) => {}
            (false, Some(since)) => {
                self.since = None;
                self.left = Some((since, ended, seen.clone()));
            }
        }
        self.last = Some(seen);
        self.since.is_some_and(|since| began.saturating_sub(since) >= self.stable)
    }

    /// Since when it has been there.
    pub fn since(&self) -> Option<Duration> {
        self.since
    }

    /// Why it has not settled, when there is no more time: `timeout` has passed.
    pub fn why_not(&self, timeout: Duration) -> String {
        let (equals, timeout) = (self.equals, format_duration(timeout));
        if let Some(since) = self.since {
            let (since, stable) = (format_duration(since), format_duration(self.stable));
            return format!(
                "came to `{equals}` only after {since}, too late to stay there for {stable} within {timeout}"
            );
        }
        let last = self.last.as_ref().map_or_else(|| "has not ended once".to_owned(), Seen::describe);
        let Some((since, ended, other)) = &self.left else {
            return format!("did not come to `{equals}` within {timeout}: it {last}");
        };
        let (since, ended) = (format_duration(*since), format_duration(*ended));
        let left = format!("came to `{equals}` after {since} and left it after {ended}: it {}", other.describe());
        match self.last.as_ref() == Some(other) {
            true => left,
            false => format!("{left}; after {timeout} it {last}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STABLE: Duration = Duration::from_millis(1000);

    fn printed(text: &str) -> Seen {
        Seen::Printed(text.to_owned())
    }

    fn look(settling: &mut Settling<'_>, at: u64, seen: Seen) -> bool {
        settling.saw(Duration::from_millis(at), Duration::from_millis(at + 10), seen)
    }

    #[test]
    fn it_settles_once_it_has_stayed() {
        let mut settling = Settling::new("1", STABLE);
        assert!(!look(&mut settling, 0, printed("0")));
        assert!(!look(&mut settling, 100, printed("1")));
        // The first look ended at 110: what was before nobody saw.
        assert!(!look(&mut settling, 1105, printed("1")));
        assert!(look(&mut settling, 1110, printed("1")));
    }

    #[test]
    fn what_moves_begins_anew_and_is_told_of() {
        let mut settling = Settling::new("1", STABLE);
        look(&mut settling, 0, printed("1"));
        assert!(!look(&mut settling, 900, printed("2")));
        let why = settling.why_not(Duration::from_secs(3));
        assert_eq!(why, "came to `1` after 10ms and left it after 910ms: it prints `2`");
        look(&mut settling, 1000, Seen::Failed("exit status 2".into()));
        let why = settling.why_not(Duration::from_secs(3));
        assert_eq!(
            why,
            "came to `1` after 10ms and left it after 910ms: it prints `2`; after 3.00s it fails: exit status 2"
        );
        look(&mut settling, 1100, printed("1"));
        assert!(!look(&mut settling, 2000, printed("1")));
        assert!(look(&mut settling, 2110, printed("1")));
    }

    #[test]
    fn what_never_came_is_told_by_what_was_seen_last() {
        let mut settling = Settling::new("1", STABLE);
        let within = Duration::from_secs(3);
        assert_eq!(settling.why_not(within), "did not come to `1` within 3.00s: it has not ended once");
        look(&mut settling, 0, printed(""));
        assert_eq!(settling.why_not(within), "did not come to `1` within 3.00s: it prints nothing");
        look(&mut settling, 2500, printed("1"));
        let why = "came to `1` only after 2.51s, too late to stay there for 1.00s within 3.00s";
        assert_eq!(settling.why_not(within), why);
    }

    proptest! {
        /// It has settled exactly if some run of looks shows the value for long enough.
        #[test]
        fn it_agrees_with_looking_at_all_looks(looks in prop::collection::vec((1u64..400, 0u64..200, any::<bool>()), 0..40)) {
            let mut settling = Settling::new("1", STABLE);
            let mut clock = Duration::ZERO;
            let mut all: Vec<(Duration, Duration, bool)> = Vec::new();
            for (pause, took, there) in looks {
                let began = clock + Duration::from_millis(pause);
                let ended = began + Duration::from_millis(took);
                clock = ended;
                all.push((began, ended, there));
                let run: Vec<_> = all.iter().rev().take_while(|(.., there)| *there).collect();
                let expected = run.last().is_some_and(|first| began.saturating_sub(first.1) >= STABLE);
                let settled = settling.saw(began, ended, printed(if there { "1" } else { "0" }));
                prop_assert_eq!(settled, expected);
            }
        }
    }
}
