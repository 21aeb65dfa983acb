//! What a service prints: handed on, its last lines kept, and each line held against a pattern.

use super::lock;
use crate::node::{Output, Stage};
use regex::Regex;
use std::collections::VecDeque;
use std::sync::Mutex;
use tokio::sync::watch;

/// How many lines are kept.
const LINES: usize = 20;
/// How much of a line is kept, and looked at.
const WIDTH: usize = 4096;

pub(in crate::command) struct Tail {
    inner: Mutex<Inner>,
    pattern: Option<Regex>,
    matched: watch::Sender<bool>,
}

struct Inner {
    output: Box<dyn Output>,
    lines: VecDeque<String>,
    line: Vec<u8>,
}

impl Tail {
    pub(in crate::command) fn new(output: Box<dyn Output>, pattern: Option<Regex>) -> Self {
        let inner = Inner { output, lines: VecDeque::new(), line: Vec::new() };
        Self { inner: Mutex::new(inner), pattern, matched: watch::Sender::new(false) }
    }

    /// Takes what it printed.
    pub(in crate::command) fn take(&self, bytes: &[u8]) {
        let mut inner = lock(&self.inner);
        inner.output.bytes(bytes);
        for (index, part) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if index > 0 {
                self.line(&mut inner);
            }
            let room = WIDTH.saturating_sub(inner.line.len()).min(part.len());
            inner.line.extend_from_slice(&part[..room]);
        }
    }

    /// What it printed last is a line, whether it ended it or not.
    pub(super) fn end(&self) {
        let mut inner = lock(&self.inner);
        if !inner.line.is_empty() {
            self.line(&mut inner);
        }
    }

    fn line(&self, inner: &mut Inner) {
        let bytes = std::mem::take(&mut inner.line);
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        if self.pattern.as_ref().is_some_and(|pattern| pattern.is_match(&line) || pattern.is_match(&plain(&line))) {
            self.matched.send_replace(true);
        }
        if inner.lines.len() == LINES {
            inner.lines.pop_front();
        }
        inner.lines.push_back(line);
    }

    /// Until a line has matched.
    pub(in crate::command) async fn matched(&self) {
        let _ = self.matched.subscribe().wait_for(|matched| *matched).await;
    }

    pub(super) fn last_lines(&self) -> Vec<String> {
        lock(&self.inner).lines.iter().cloned().collect()
    }

    /// Tells what became of it.
    pub(super) fn stage(&self, stage: Stage) {
        lock(&self.inner).output.stage(stage);
    }
}

/// A line without the escapes that colour it.
fn plain(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        if c != '\x1b' {
            plain.push(c);
        } else if rest.as_str().starts_with('[') {
            rest.next();
            // A control sequence ends with a letter or one of a few signs.
            rest.by_ref().find(|c| ('@'..='~').contains(c));
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Notice;

    struct Deaf;

    impl Output for Deaf {
        fn bytes(&mut self, _: &[u8]) {}
        fn notice(&mut self, _: Notice) {}
    }

    fn tail(pattern: &str) -> Tail {
        Tail::new(Box::new(Deaf), Some(Regex::new(pattern).unwrap()))
    }

    #[test]
    fn a_line_matches_once_it_is_whole_wherever_it_was_cut() {
        let tail = tail("^listening on 3000$");
        for part in ["hello\nlist", "ening ", "on 3000"] {
            tail.take(part.as_bytes());
            assert!(!*tail.matched.borrow(), "{part}");
        }
        tail.take(b"\r\n");
        assert!(*tail.matched.borrow());
        assert_eq!(tail.last_lines(), ["hello", "listening on 3000"]);
    }

    #[test]
    fn colours_do_not_hide_a_line() {
        let tail = tail("^ready in 3 ms$");
        tail.take(b"\x1b[32mready\x1b[0m in \x1b[1m3\x1b[22m ms\n");
        assert!(*tail.matched.borrow());
    }

    #[test]
    fn the_last_lines_are_kept_and_no_more() {
        let tail = tail("x^");
        (0..100).for_each(|number| tail.take(format!("{number}\n").as_bytes()));
        tail.take(b"an end");
        tail.end();
        let lines = tail.last_lines();
        assert_eq!((lines.len(), lines[0].as_str(), lines[LINES - 1].as_str()), (LINES, "81", "an end"));
        tail.take(&vec![b'x'; 10 * WIDTH]);
        tail.end();
        assert_eq!(tail.last_lines()[LINES - 1].len(), WIDTH);
    }
}
