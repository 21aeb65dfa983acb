//! Colours, widths and the cleaning of text that ends up in weir's own lines. Knows nothing of runs.

use std::borrow::Cow;
use std::fmt::Write as _;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What a piece of text is, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// It went well.
    Good,
    /// Of little interest.
    Dim,
    /// It went wrong.
    Bad,
    /// It wants attention.
    Warn,
    /// Advice, and names in prefixes.
    Info,
    /// Stands out without judging.
    Strong,
}

impl Tone {
    const fn code(self) -> &'static str {
        match self {
            Self::Good => "\x1b[32m",
            Self::Dim => "\x1b[2m",
            Self::Bad => "\x1b[1;31m",
            Self::Warn => "\x1b[33m",
            Self::Info => "\x1b[36m",
            Self::Strong => "\x1b[1m",
        }
    }
}

/// Ends every colour and attribute.
pub(super) const RESET: &str = "\x1b[0m";

/// `text`, coloured if `color`.
pub(super) fn paint(color: bool, tone: Tone, text: &str) -> Cow<'_, str> {
    if color && !text.is_empty() { Cow::Owned(format!("{}{text}{RESET}", tone.code())) } else { Cow::Borrowed(text) }
}

/// Whether a character could move the cursor, change the terminal, or reorder the line around it.
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` on one line, with control characters written as escapes.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_ascii_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c if is_unsafe(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// A message that may have several lines: each cleaned, the second and later ones indented.
pub fn clean_lines(text: &str, indent: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, line) in text.trim_end().lines().enumerate() {
        if index > 0 {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
        }
        out.push_str(&clean(line));
    }
    out
}

/// Columns that `text` takes on a terminal.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// `text` filled up with spaces to `columns`.
pub(super) fn pad(text: &str, columns: usize) -> String {
    let mut out = String::from(text);
    out.extend(std::iter::repeat_n(' ', columns.saturating_sub(width(text))));
    out
}

/// `text` in at most `columns`, its end replaced by `…` where it is too long.
pub(super) fn truncate(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > columns {
            break;
        }
        used += wide;
        out.push(c);
    }
    if columns > 0 {
        out.push('…');
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_get_through() {
        assert_eq!(clean("a\x1b[2Jb\n\u{202e}c\u{9b}"), "a\\x1b[2Jb\\n\\u{202e}c\\u{9b}");
        assert_eq!(clean("plain ünïcode"), "plain ünïcode");
        assert_eq!(clean_lines("one\ntwo\x07\n", 2), "one\n  two\\x07");
    }

    #[test]
    fn truncation_counts_columns_not_bytes() {
        assert_eq!(truncate("abcdef", 6), "abcdef");
        assert_eq!(truncate("abcdef", 4), "abc…");
        assert_eq!(truncate("日本語", 5), "日本…");
        assert_eq!(truncate("日本語", 4), "日…");
        assert_eq!(truncate("abc", 0), "");
    }

    #[test]
    fn colour_only_where_asked() {
        assert_eq!(paint(false, Tone::Bad, "x"), "x");
        assert_eq!(paint(true, Tone::Bad, "x"), "\x1b[1;31mx\x1b[0m");
    }
}
