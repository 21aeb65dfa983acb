//! The digest of a file's content.

use super::stat::{Stat, now};
use crate::model::{Digest, Hasher};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// A file's content, read once.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// The digest of what was read.
    pub digest: Digest,
    /// The stat before the first byte was read.
    pub stat: Stat,
    /// When reading began, nanoseconds since 1970.
    pub at: i64,
    /// Whether the file looked the same after the last byte.
    pub steady: bool,
}

const CHUNK: usize = 128 * 1024;

/// Reads and hashes the file behind `path`, following symlinks.
///
/// # Errors
/// It can't be opened or read; it is no regular file.
pub fn digest_file(path: &Path) -> io::Result<Reading> {
    use std::os::unix::fs::OpenOptionsExt;
    // Not blocking: a fifo among the sources must not hang.
    let mut file = File::options().read(true).custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_CLOEXEC).open(path)?;
    let at = now();
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is neither a file, a directory nor a symlink"));
    }
    let stat = Stat::of(&metadata);
    let digest = digest_reader(&mut file, stat.size)?;
    let steady = Stat::of(&file.metadata()?) == stat;
    Ok(Reading { digest, stat, at, steady })
}

fn digest_reader(reader: &mut impl Read, size: u64) -> io::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0u8; CHUNK.min(usize::try_from(size).unwrap_or(CHUNK) + 1)];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                if read == buffer.len() && read < CHUNK {
                    // It grew while it was read.
                    buffer.resize(CHUNK, 0);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
