//! Lines out of the bytes of a task, as they come.

/// A line without an end is passed on when it has become this long.
const BOUND: usize = 8 * 1024;

/// Keeps the beginning of a line until its end comes.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Takes bytes; `each` gets every line that is complete, with its newline, and pieces of
    /// [`BOUND`] bytes of a line that is longer.
    pub(super) fn take(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            let room = BOUND - self.partial.len();
            let reach = &bytes[..bytes.len().min(room)];
            let newline = reach.iter().position(|byte| *byte == b'\n');
            let (piece, rest) = bytes.split_at(newline.map_or(reach.len(), |at| at + 1));
            bytes = rest;
            let complete = newline.is_some() || piece.len() == room;
            if complete && self.partial.is_empty() {
                each(piece);
                continue;
            }
            self.partial.extend_from_slice(piece);
            if complete {
                each(&self.partial);
                self.partial.clear();
            }
        }
    }

    /// The task ended: what is left, if anything.
    pub(super) fn finish(&mut self, mut each: impl FnMut(&[u8])) {
        if !self.partial.is_empty() {
            each(&self.partial);
            self.partial.clear();
        }
    }
}

/// `line` with `prefix` in front and a newline at the end. On a terminal a carriage return within
/// the line would let the task overwrite the prefix, so the prefix follows it again.
pub(super) fn prefixed(prefix: &str, line: &[u8], terminal: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(prefix.len() + line.len() + 1);
    out.extend_from_slice(prefix.as_bytes());
    let body = line.strip_suffix(b"\n").unwrap_or(line);
    if terminal {
        let body = body.strip_suffix(b"\r").unwrap_or(body);
        for (index, part) in body.split(|byte| *byte == b'\r').enumerate() {
            if index > 0 {
                out.push(b'\r');
                out.extend_from_slice(prefix.as_bytes());
            }
            out.extend_from_slice(part);
        }
    } else {
        out.extend_from_slice(body);
    }
    out.push(b'\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.take(piece, |line| out.push(line.to_vec()));
        }
        lines.finish(|line| out.push(line.to_vec()));
        out
    }

    #[test]
    fn partial_lines_wait_for_their_end() {
        assert_eq!(split(&[b"a", b"b\nc", b"", b"\n\nd"]), [&b"ab\n"[..], b"c\n", b"\n", b"d"]);
        assert!(split(&[]).is_empty());
    }

    #[test]
    fn an_endless_line_is_passed_on_in_pieces() {
        for step in [1, 100, 1000, 100_000] {
            let bytes = vec![b'x'; 20_000];
            let pieces: Vec<&[u8]> = bytes.chunks(step).collect();
            let lengths: Vec<usize> = split(&pieces).iter().map(Vec::len).collect();
            assert_eq!(lengths, [BOUND, BOUND, 20_000 - 2 * BOUND]);
        }
    }

    #[test]
    fn a_carriage_return_does_not_overwrite_the_prefix() {
        assert_eq!(prefixed("t | ", b"1%\r2%\r\n", true), b"t | 1%\rt | 2%\n");
        assert_eq!(prefixed("t | ", b"1%\r2%\r\n", false), b"t | 1%\r2%\r\n");
        assert_eq!(prefixed("t | ", b"\xff\x00", false), b"t | \xff\x00\n");
    }
}
