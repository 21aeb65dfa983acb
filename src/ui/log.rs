//! Reading the logs of tasks: copied in chunks, or the end of one. A log may be larger than memory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;
/// Lines of the end of a log.
pub(super) const TAIL_LINES: usize = 100;
/// Bytes of the end of a log.
pub(super) const TAIL_BYTES: u64 = 64 * 1024;

/// Where the log named `log` in an event lies. None for a name that leads out of the run's folder:
/// a recorded run may come from elsewhere.
pub(super) fn path(run_dir: &Path, log: &str) -> Option<PathBuf> {
    let inside = Path::new(log).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    inside.then(|| run_dir.join(log))
}

/// Hands the log to `each`, a chunk at a time, until `each` says it wants no more.
///
/// # Errors
/// When the log can't be opened or read.
pub(super) fn copy(path: &Path, mut each: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                if !each(&chunk[..count]) {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The end of a log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tail {
    /// At most [`TAIL_LINES`] lines and [`TAIL_BYTES`] bytes.
    pub(super) bytes: Vec<u8>,
    /// Something stands before it.
    pub(super) cut: bool,
}

/// Reads the end of a log.
///
/// # Errors
/// When the log can't be opened or read.
pub(super) fn tail(path: &Path) -> io::Result<Tail> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(last_lines(bytes, start > 0))
}

/// Keeps the last lines of `bytes`, whose first line is torn if `torn`.
fn last_lines(mut bytes: Vec<u8>, torn: bool) -> Tail {
    let body = bytes.len() - usize::from(bytes.ends_with(b"\n"));
    let mut from = 0;
    if torn {
        from = match bytes[..body].iter().position(|byte| *byte == b'\n') {
            Some(newline) => newline + 1,
            // One endless line: at least begin with a whole character.
            None => bytes.iter().take(4).take_while(|byte| **byte & 0xc0 == 0x80).count(),
        };
    }
    let newlines = bytes[..body].iter().enumerate().skip(from).rev().filter(|(_, byte)| **byte == b'\n');
    if let Some((newline, _)) = newlines.map(|(at, byte)| (at, *byte)).nth(TAIL_LINES - 1) {
        from = newline + 1;
    }
    bytes.drain(..from);
    Tail { bytes, cut: torn || from > 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_log_is_its_own_tail() {
        assert_eq!(last_lines(b"a\nb".to_vec(), false), Tail { bytes: b"a\nb".to_vec(), cut: false });
        assert_eq!(last_lines(Vec::new(), false), Tail { bytes: Vec::new(), cut: false });
    }

    #[test]
    fn exactly_a_hundred_lines_remain() {
        for end in ["", "\n"] {
            let lines: Vec<String> = (0..250).map(|n| n.to_string()).collect();
            let kept = last_lines((lines.join("\n") + end).into_bytes(), false);
            assert!(kept.cut);
            let text = String::from_utf8(kept.bytes).unwrap();
            assert_eq!(text, lines[150..].join("\n") + end);
        }
        let hundred = "x\n".repeat(100).into_bytes();
        assert_eq!(last_lines(hundred.clone(), false), Tail { bytes: hundred, cut: false });
    }

    #[test]
    fn a_torn_line_or_character_is_dropped() {
        assert_eq!(last_lines(b"orn\nwhole\n".to_vec(), true).bytes, b"whole\n");
        assert_eq!(last_lines("é!".as_bytes()[1..].to_vec(), true).bytes, b"!");
    }

    #[test]
    fn only_logs_within_the_run_are_read() {
        let run = Path::new("/r");
        assert_eq!(path(run, "logs/a.log"), Some(PathBuf::from("/r/logs/a.log")));
        assert_eq!(path(run, "../a"), None);
        assert_eq!(path(run, "/etc/passwd"), None);
    }

    #[test]
    fn a_large_log_comes_in_bounded_chunks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, vec![b'x'; 5 << 20]).unwrap();
        let (mut total, mut largest) = (0, 0);
        copy(&path, |chunk| {
            total += chunk.len();
            largest = largest.max(chunk.len());
            true
        })
        .unwrap();
        assert_eq!(total, 5 << 20);
        assert!(largest <= CHUNK);
        assert_eq!(tail(&path).unwrap().bytes.len() as u64, TAIL_BYTES);
    }
}
