//! Where the bytes go: weir's own lines, raw output of tasks, and on a terminal the live region at
//! the bottom. Knows terminals; knows nothing of runs.
//!
//! The region is plain lines above the cursor, which rests at the start of the line below them. No
//! cursor is hidden, no mode switched: a weir killed at any instant leaves a usable terminal.
//! Output of tasks goes through as it is; after output with escape sequences the terminal is
//! brought back to a known state before weir writes a line of its own. A write that fails ends all
//! writing, silently: a closed pipe is no failure of a run.

use super::style;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;
use std::time::{Duration, Instant};

/// Gathered before a write.
const BUFFER: usize = 64 * 1024;
/// The region is not redrawn more often than this, apart from ticks.
const FRAME: Duration = Duration::from_millis(30);
/// Ends a torn control string, resets attributes and the character set, shows the cursor, wraps.
const SETTLE: &str = "\x1b\\\x1b[0m\x0f\x1b[?25h\x1b[?7h";

/// See the module.
pub(super) struct Screen {
    out: Box<dyn Write + Send>,
    broken: bool,
    color: bool,
    terminal: bool,
    github: bool,
    buffer: Vec<u8>,
    /// The region as it stands on the screen.
    region: Vec<String>,
    drawn_at: Option<Instant>,
    at_line_start: bool,
    unsettled: bool,
    /// The word that makes GitHub listen to commands again.
    token: Option<String>,
}

impl Screen {
    /// `terminal`: a live region may be drawn. `github`: GitHub reads along and obeys commands.
    pub(super) fn new(out: Box<dyn Write + Send>, color: bool, terminal: bool, github: bool) -> Self {
        Self {
            out,
            broken: false,
            color,
            terminal,
            github,
            buffer: Vec::new(),
            region: Vec::new(),
            drawn_at: None,
            at_line_start: true,
            unsettled: false,
            token: None,
        }
    }

    /// Whether nobody reads any more.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// A line of weir's own, or several; `text` is clean already.
    pub(super) fn line(&mut self, text: &str) {
        self.erase();
        self.settle();
        self.push(text.as_bytes());
        self.push(b"\n");
    }

    /// Bytes of a task.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        self.erase();
        if self.github && self.token.is_none() {
            self.settle();
            let token = random_word();
            self.push(format!("::stop-commands::{token}\n").as_bytes());
            self.token = Some(token);
        }
        if (self.color || self.terminal) && !self.unsettled {
            self.unsettled = bytes.iter().any(|byte| matches!(byte, 0x0e | 0x0f | 0x1b | 0x90 | 0x9b | 0x9d));
        }
        self.at_line_start = *last == b'\n';
        self.push(bytes);
    }

    /// The raw bytes end here: a final newline, and GitHub listens again.
    pub(super) fn end_raw(&mut self) {
        self.settle();
        if let Some(token) = self.token.take() {
            self.push(format!("::{token}::\n").as_bytes());
        }
    }

    /// A command to GitHub, ready-made.
    pub(super) fn command(&mut self, text: &str) {
        self.end_raw();
        self.line(text);
    }

    /// Someone else writes to the terminal from here on.
    pub(super) fn hand_over(&mut self) {
        self.erase();
        self.end_raw();
        self.flush();
        if self.terminal {
            self.unsettled = true;
            self.at_line_start = false;
        }
    }

    /// Whether the region should be redrawn: on a terminal, at any rate if `now`, otherwise if the
    /// last redraw was a while ago.
    pub(super) fn wants_frame(&self, now: bool) -> bool {
        let due = || self.drawn_at.is_none_or(|at| at.elapsed() >= FRAME);
        self.terminal && !self.broken && (now || due())
    }

    /// Shows `lines` as the region.
    pub(super) fn draw(&mut self, lines: Vec<String>) {
        if !self.terminal || lines == self.region {
            return;
        }
        self.settle();
        self.rewind();
        for line in &lines {
            self.push(b"\x1b[2K");
            self.push(line.as_bytes());
            self.push(b"\n");
        }
        self.push(b"\x1b[J");
        self.region = lines;
        self.drawn_at = Some(Instant::now());
    }

    /// Takes the region off the screen.
    pub(super) fn erase(&mut self) {
        if !self.region.is_empty() {
            self.rewind();
            self.push(b"\x1b[J");
            self.region.clear();
        }
    }

    /// Everything so far reaches the reader.
    pub(super) fn flush(&mut self) {
        if self.broken {
            self.buffer.clear();
            return;
        }
        let written = if self.buffer.is_empty() { Ok(()) } else { self.out.write_all(&self.buffer) };
        self.broken = written.and_then(|()| self.out.flush()).is_err();
        self.buffer.clear();
    }

    fn rewind(&mut self) {
        if !self.region.is_empty() {
            self.push(format!("\x1b[{}A\r", self.region.len()).as_bytes());
        }
    }

    /// To the start of a line, with the terminal in a known state.
    pub(super) fn settle(&mut self) {
        if self.unsettled {
            self.unsettled = false;
            self.push(if self.terminal { SETTLE } else { style::RESET }.as_bytes());
        }
        if !self.at_line_start {
            self.at_line_start = true;
            self.push(if self.terminal { b"\r\n" } else { b"\n" });
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.broken {
            return;
        }
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER {
            self.flush();
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.erase();
        self.end_raw();
        self.flush();
    }
}

/// A word that a task can't guess: 128 bits from the hasher's random keys.
fn random_word() -> String {
    let word = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", word(), word())
}

/// Columns and lines of the terminal; 80 by 24 where there is none.
pub(super) fn size(fixed_width: Option<u16>) -> (usize, usize) {
    let asked = terminal_size::terminal_size();
    let (width, height) = asked.map_or((80, 24), |(width, height)| (width.0, height.0));
    (usize::from(fixed_width.unwrap_or(width)), usize::from(height))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Remembers the largest write.
    struct Largest(Arc<AtomicUsize>);

    impl Write for Largest {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.fetch_max(bytes.len(), Ordering::Relaxed);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn output_is_not_gathered_in_memory() {
        let largest = Arc::new(AtomicUsize::new(0));
        let mut screen = Screen::new(Box::new(Largest(largest.clone())), true, true, true);
        for _ in 0..100 {
            screen.raw(&vec![b'x'; BUFFER]);
        }
        screen.end_raw();
        screen.flush();
        assert!(largest.load(Ordering::Relaxed) <= 2 * BUFFER);
        assert!(screen.buffer.capacity() <= 4 * BUFFER);
    }

    #[test]
    fn words_differ() {
        assert_ne!(random_word(), random_word());
        assert_eq!(random_word().len(), 32);
    }
}
