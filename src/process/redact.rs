//! Keeping secrets out of what is shown and stored.

use aho_corasick::{AhoCorasick, MatchKind};
use std::io::{self, Read};
use std::sync::Arc;

/// What stands in a secret's place.
const MASK: &str = "***";

/// A line of a secret with fewer characters is no secret of its own.
const SHORTEST_LINE: usize = 4;

/// Replaces secrets in a stream, also where one is cut across chunks. Clone it for another stream.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    /// None: there are no secrets.
    secrets: Option<Arc<Secrets>>,
    /// What may be the beginning of a secret: shorter than the longest one.
    held: Vec<u8>,
    /// Something was replaced.
    hid: bool,
}

#[derive(Debug)]
struct Secrets {
    finder: AhoCorasick,
    all: Vec<String>,
    longest: usize,
}

impl Redactor {
    /// Of a secret of several lines, each line of 4 or more characters is a secret too. Empty ones
    /// are ignored.
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut all = Vec::new();
        for secret in secrets {
            if secret.contains('\n') {
                let lines = secret.lines().map(|line| line.trim_end_matches('\r'));
                all.extend(lines.filter(|l| l.chars().count() >= SHORTEST_LINE).map(str::to_owned));
            }
            all.push(secret);
        }
        all.retain(|secret| !secret.is_empty());
        all.sort();
        all.dedup();
        let longest = all.iter().map(String::len).max().unwrap_or(0);
        // Building fails only for patterns of gigabytes together.
        let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&all).ok();
        let secrets = finder.filter(|_| longest > 0);
        Self { secrets: secrets.map(|finder| Arc::new(Secrets { finder, all, longest })), held: Vec::new(), hid: false }
    }

    /// Whether there is nothing to hide.
    pub fn is_empty(&self) -> bool {
        self.secrets.is_none()
    }

    /// Takes the next piece of the stream; appends to `out` what is safe to show by now.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let Some(secrets) = &self.secrets else {
            return out.extend_from_slice(chunk);
        };
        self.held.extend_from_slice(chunk);
        let shown = secrets.show(&self.held, false, out, &mut self.hid);
        self.held.drain(..shown);
    }

    /// The stream has ended: appends the rest. The redactor is ready for another stream.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if let Some(secrets) = &self.secrets {
            secrets.show(&self.held, true, out, &mut self.hid);
            self.held.clear();
        }
    }

    /// Whether anything was replaced in the streams so far.
    pub fn has_hidden(&self) -> bool {
        self.hid
    }

    /// Whether what is read holds a secret.
    ///
    /// # Errors
    /// Reading fails.
    pub fn finds(&self, from: &mut dyn Read) -> io::Result<bool> {
        let mut stream = Self { held: Vec::new(), hid: false, ..self.clone() };
        let (mut chunk, mut shown) = (vec![0; 64 << 10], Vec::new());
        while !stream.hid {
            match from.read(&mut chunk) {
                Ok(0) => {
                    stream.finish(&mut shown);
                    break;
                }
                Ok(read) => stream.push(&chunk[..read], &mut shown),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            shown.clear();
        }
        Ok(stream.hid)
    }

    /// A text with its secrets replaced.
    pub fn mask(&self, text: &str) -> String {
        match &self.secrets {
            Some(secrets) => secrets.finder.replace_all(text, &vec![MASK; secrets.all.len()]),
            None => text.to_owned(),
        }
    }
}

impl Secrets {
    /// Appends what is decided to `out`; gives how much of `bytes` that is.
    fn show(&self, bytes: &[u8], is_end: bool, out: &mut Vec<u8>, hid: &mut bool) -> usize {
        let mut from = 0;
        let mut open = self.first_open(bytes, from, is_end);
        for found in self.finder.find_iter(bytes) {
            // From here on a longer secret, or an earlier one, may yet turn up.
            if found.start() >= open {
                break;
            }
            out.extend_from_slice(&bytes[from..found.start()]);
            out.extend_from_slice(MASK.as_bytes());
            *hid = true;
            from = found.end();
            if from > open {
                open = self.first_open(bytes, from, is_end);
            }
        }
        out.extend_from_slice(&bytes[from..open]);
        open
    }

    /// The first place, not before `from`, where a secret may begin that goes on beyond the end.
    fn first_open(&self, bytes: &[u8], from: usize, is_end: bool) -> usize {
        if is_end {
            return bytes.len();
        }
        let earliest = bytes.len().saturating_sub(self.longest - 1).max(from);
        (earliest..bytes.len())
            .find(|start| {
                let tail = &bytes[*start..];
                self.all.iter().any(|s| s.len() > tail.len() && s.as_bytes().starts_with(tail))
            })
            .unwrap_or(bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn redact<'a>(secrets: &[String], chunks: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut redactor = Redactor::new(secrets.iter().cloned());
        let mut out = Vec::new();
        for chunk in chunks {
            redactor.push(chunk, &mut out);
            let longest = secrets.iter().map(String::len).max().unwrap_or(0);
            assert!(redactor.held.len() < longest.max(1));
        }
        redactor.finish(&mut out);
        out
    }

    fn contains(text: &[u8], part: &str) -> bool {
        text.windows(part.len()).any(|window| window == part.as_bytes())
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_and_hides_all(
            secrets in proptest::collection::vec("[ab\n]{0,6}", 0..5),
            text in "[abc\n]{0,60}",
            cut in 1usize..8,
        ) {
            let whole = redact(&secrets, std::iter::once(text.as_bytes()));
            let pieces = redact(&secrets, text.as_bytes().chunks(cut));
            let masked = Redactor::new(secrets.iter().cloned()).mask(&text);
            prop_assert_eq!(&whole, &pieces);
            prop_assert_eq!(&whole, masked.as_bytes());
            for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
                prop_assert!(!contains(&whole, secret), "{:?} in {:?}", secret, masked);
            }
        }
    }

    #[test]
    fn the_longest_secret_that_begins_first_is_replaced() {
        let secrets = ["abc", "abcde", "bcdefgh"].map(str::to_owned);
        let masked = Redactor::new(secrets).mask("xabcdefghy");
        assert_eq!(masked, "x***fghy");
    }

    #[test]
    fn lines_of_a_secret_are_secrets() {
        let redactor = Redactor::new(["-----\r\nline one\nab\n".to_owned()]);
        assert_eq!(redactor.mask("> line one, ab, -----"), "> ***, ab, ***");
    }

    #[test]
    fn nothing_is_held_back_that_begins_no_secret() {
        let mut redactor = Redactor::new(["hunter2".to_owned()]);
        let mut out = Vec::new();
        redactor.push(b"prompt> ", &mut out);
        assert_eq!(out, b"prompt> ");
        redactor.push(b"hunt", &mut out);
        assert_eq!(out, b"prompt> ");
        redactor.push(b"!", &mut out);
        assert_eq!(out, b"prompt> hunt!");
    }

    #[test]
    fn without_secrets_everything_passes() {
        let mut redactor = Redactor::new([String::new()]);
        assert!(redactor.is_empty());
        let mut out = Vec::new();
        redactor.push(b"a", &mut out);
        redactor.finish(&mut out);
        assert_eq!(out, b"a");
    }
}
