//! Bytes of a text as lines and columns.

/// A place in a text, for people: both from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// Where the lines of a text begin.
#[derive(Debug)]
pub struct Places<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Places<'t> {
    /// Of this text.
    pub fn new(text: &'t str) -> Self {
        let starts = [0].into_iter().chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    /// Where the byte `at` is; the end, where it lies behind.
    pub fn of(&self, at: usize) -> Place {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        let line = self.starts.partition_point(|start| *start <= at);
        Place { line, column: self.text[self.starts[line - 1]..at].chars().count() + 1 }
    }

    /// A line without its end; lines count from 1.
    pub fn line(&self, line: usize) -> &'t str {
        let start = self.starts.get(line - 1).copied().unwrap_or(self.text.len());
        let end = self.starts.get(line).copied().unwrap_or(self.text.len());
        self.text[start..end].trim_end_matches(['\n', '\r'])
    }

    /// The byte at which the character number `nth` begins, counted from 0.
    pub fn byte_of_char(text: &str, nth: usize) -> usize {
        text.char_indices().nth(nth).map_or(text.len(), |(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_characters() {
        let text = "select 1;\r\n -- é\n  ü x";
        let places = Places::new(text);
        assert_eq!(places.of(0), Place { line: 1, column: 1 });
        assert_eq!(places.of(text.find('x').unwrap()), Place { line: 3, column: 5 });
        assert_eq!(places.of(text.find('ü').unwrap() + 1), Place { line: 3, column: 3 }, "within a character");
        assert_eq!(places.of(10_000), Place { line: 3, column: 6 });
        assert_eq!((places.line(1), places.line(3), places.line(9)), ("select 1;", "  ü x", ""));
        assert_eq!(Places::byte_of_char("üx", 1), 2);
        assert_eq!(Places::byte_of_char("üx", 7), 3);
    }
}
