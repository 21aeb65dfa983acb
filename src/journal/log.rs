//! An append log of checksummed frames, shared by several processes.
//!
//! ```text
//! 0   magic "weirlog\n"            8 bytes
//! 8   format, oldest reader        2 × u16
//! 12  birth: random, new whenever the log starts afresh   16 bytes
//! 28  CRC-32 of bytes 0..28        u32
//! 32  committed length, CRC-32 of it                      u64, u32
//! 44  frames: payload length u32, CRC-32 of length and payload u32, payload
//! ```
//! All numbers are little-endian. The committed length makes a cut at a frame's border visible.
//! A frame is written before the committed length is; a frame behind it is whole or was never
//! promised to anyone.

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"weirlog\n";
const HEADER: usize = 44;
/// No frame is this long; a longer one is a corrupt length.
const FRAME_LIMIT: u32 = 1 << 30;

/// What was found when a log was opened.
#[derive(Debug)]
pub struct Opened {
    /// For writing; none where a newer format forbids it.
    pub log: Option<Log>,
    /// The whole file.
    pub data: Vec<u8>,
    /// Where the payloads are in `data`, oldest first.
    pub frames: Vec<Range<usize>>,
    /// The log's birth: new whenever something may have been lost.
    pub birth: [u8; 16],
    /// What was wrong.
    pub trouble: Option<Trouble>,
}

/// What can be wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Cut, flipped or foreign. The frames before the damage are returned; later ones may be lost.
    Damaged,
    /// Written by a newer version: read where that allows it, never written.
    Newer {
        /// Its format.
        format: u16,
        /// Whether its frames can be read.
        readable: bool,
    },
}

/// A log that may be appended to, under its lock.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    format: u16,
    birth: [u8; 16],
    /// All bytes before this one are known to be good and have been handed out.
    seen: u64,
}

/// The right to write: the log's exclusive lock, held.
#[derive(Debug)]
pub struct Writer<'a> {
    log: &'a mut Log,
    lock: Flock<File>,
    lost: bool,
}

struct Scan {
    frames: Vec<Range<usize>>,
    end: usize,
    damaged: bool,
}

impl Log {
    /// Opens the log at `path`, creating it if there is none. `format` is the version this program
    /// writes, and the newest it reads. A damaged log is started afresh at the first write, or by
    /// [`Writer::replace`].
    ///
    /// # Errors
    /// The file can't be opened, read or created.
    pub fn open(path: &Path, format: u16) -> io::Result<Opened> {
        if !path.exists() {
            create(path, format)?;
        }
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        // Reading under the lock: no half-written append of another process is seen.
        let lock = lock(file.try_clone()?)?;
        let data = read_all(&file)?;
        drop(lock);
        let (mut opened, seen) = parse(data, format);
        if !matches!(opened.trouble, Some(Trouble::Newer { .. })) {
            opened.log = Some(Self { path: path.into(), file, format, birth: opened.birth, seen });
        }
        Ok(opened)
    }

    /// Reads the log at `path` without a lock and without ever writing: what is there, and no
    /// [`Opened::log`]. No file is an empty log.
    ///
    /// # Errors
    /// It can't be read.
    pub fn read(path: &Path, format: u16) -> io::Result<Opened> {
        let data = match std::fs::read(path) {
            Ok(data) => data,
            Err(error) if error.kind() == io::ErrorKind::NotFound => header(format, new_birth()),
            Err(error) => return Err(error),
        };
        Ok(parse(data, format).0)
    }

    /// Empties the log at `path` without reading it, and so marks it as damaged for whoever opens it next. No
    /// file, or none that could be a log, is as good as an empty one. Needs no space.
    ///
    /// # Errors
    /// There is one, and it can't be opened, locked or truncated.
    pub fn wipe(path: &Path) -> io::Result<()> {
        use io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
        match OpenOptions::new().write(true).open(path) {
            Ok(file) => lock(file)?.set_len(0),
            Err(error) if matches!(error.kind(), NotFound | NotADirectory | IsADirectory) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Whether the file is another one, or another length, than when it was last looked at. Costs
    /// one `stat`.
    pub fn has_news(&self) -> bool {
        match (std::fs::metadata(&self.path), self.file.metadata()) {
            (Ok(there), Ok(open)) => there.ino() != open.ino() || there.len() != self.seen,
            _ => true,
        }
    }

    /// Takes the exclusive lock, and returns the payloads that other processes appended since this
    /// one last looked. None of them: nothing happened, or [`Writer::lost`].
    ///
    /// # Errors
    /// Locking or reading fails; a newer version has taken the log over.
    pub fn lock(&mut self) -> io::Result<(Writer<'_>, Vec<Vec<u8>>)> {
        let held = self.lock_current()?;
        let length = self.file.metadata()?.len();
        let mut lost = !self.is_known(length)?;
        if lost {
            // Begun anew by another process, damaged, or wiped.
            let (found, _) = parse(read_all(&self.file)?, self.format);
            match found.trouble {
                None => (self.birth, self.seen) = (found.birth, HEADER as u64),
                Some(Trouble::Damaged) => {
                    if self.seen != 0 {
                        self.birth = new_birth();
                    }
                    self.seen = 0;
                    self.file.set_len(0)?;
                }
                Some(Trouble::Newer { .. }) => {
                    return Err(io::Error::other("a newer version of weir has taken it over"));
                }
            }
        }
        let mut news = Vec::new();
        if self.seen != 0 && length != self.seen {
            let data = read_all(&self.file)?;
            let from = usize::try_from(self.seen).unwrap_or(usize::MAX).min(data.len());
            let found = scan(&data, from);
            news = found.frames.into_iter().map(|frame| data[frame].to_vec()).collect();
            self.seen = found.end as u64;
            if found.end as u64 != data.len() as u64 {
                // What was committed is lost; what was not, nobody counted on.
                if parse_committed(&data).is_none_or(|committed| committed > self.seen) {
                    lost = true;
                    news.clear();
                    self.birth = new_birth();
                    self.seen = 0;
                }
                self.file.set_len(self.seen)?;
            }
        }
        Ok((Writer { log: self, lock: held, lost }, news))
    }

    /// Whether the file is the one that was read up to `seen`, with no more than frames behind it.
    fn is_known(&self, length: u64) -> io::Result<bool> {
        if self.seen == 0 || length < self.seen {
            return Ok(false);
        }
        let mut start = [0; HEADER];
        self.file.read_exact_at(&mut start, 0)?;
        Ok(parse_header(&start).is_some_and(|(_, _, birth)| birth == self.birth))
    }

    /// Its length in bytes when this process last looked.
    pub const fn len(&self) -> u64 {
        self.seen
    }

    /// Whether it held no frame then.
    pub const fn is_empty(&self) -> bool {
        self.seen <= HEADER as u64
    }

    /// The log's birth, as far as is known: new whenever something may have been lost.
    pub const fn birth(&self) -> [u8; 16] {
        self.birth
    }

    /// Locks the file that is at `path` now: another process may have replaced the one that is open.
    fn lock_current(&mut self) -> io::Result<Flock<File>> {
        loop {
            let held = lock(self.file.try_clone()?)?;
            match std::fs::metadata(&self.path) {
                Ok(there) if there.ino() == self.file.metadata()?.ino() => return Ok(held),
                Ok(_) => {
                    self.file = OpenOptions::new().read(true).write(true).open(&self.path)?;
                    // Written anew as a whole: all of it is to be read, unless none of it ever was.
                    self.seen = self.seen.min(HEADER as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    // The store was removed under us: begin a new one.
                    self.file =
                        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.path)?;
                    self.birth = new_birth();
                    self.seen = 0;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Writer<'_> {
    /// Appends one frame. When it returns, a process killed at any later instant has it on record.
    ///
    /// # Errors
    /// Writing fails (no space); the log is then as it was.
    pub fn append(&mut self, payload: &[u8]) -> io::Result<()> {
        let bytes = frame(payload)?;
        if self.log.seen == 0 {
            return self.begin(&bytes);
        }
        let written = self
            .log
            .file
            .write_all_at(&bytes, self.log.seen)
            .and_then(|()| self.log.file.write_all_at(&committed(self.log.seen + bytes.len() as u64), 32));
        if let Err(error) = written {
            let _ = self.log.file.set_len(self.log.seen);
            let _ = self.log.file.write_all_at(&committed(self.log.seen), 32);
            return Err(error);
        }
        self.log.seen += bytes.len() as u64;
        Ok(())
    }

    /// The first frame together with the header: a log that was lost is never seen without what
    /// its first frame says about that.
    fn begin(&mut self, frame: &[u8]) -> io::Result<()> {
        let mut data = header(self.log.format, self.log.birth);
        data.extend_from_slice(frame);
        let length = data.len() as u64;
        data[32..HEADER].copy_from_slice(&committed(length));
        if let Err(error) = self.log.file.write_all_at(&data, 0) {
            let _ = self.log.file.set_len(0);
            return Err(error);
        }
        self.log.seen = length;
        Ok(())
    }

    /// Whether what was read before counts no longer: the log was wiped, damaged or removed, and is
    /// empty now or another process's. What another process put there is among the news.
    pub const fn lost(&self) -> bool {
        self.lost
    }

    /// Replaces the whole log by these frames, as one step.
    ///
    /// # Errors
    /// Writing fails; the old log is then untouched.
    pub fn replace<'p>(self, payloads: impl IntoIterator<Item = &'p [u8]>) -> io::Result<()> {
        let mut data = header(self.log.format, self.log.birth);
        for payload in payloads {
            data.extend_from_slice(&frame(payload)?);
        }
        let length = data.len() as u64;
        data[32..HEADER].copy_from_slice(&committed(length));
        let folder = self.log.path.parent().ok_or_else(|| io::Error::other("a log needs a folder"))?;
        let mut fresh = super::atomic::temporary(folder)?;
        fresh.write_all(&data)?;
        self.log.file = fresh.persist(&self.log.path).map_err(|error| error.error)?;
        self.log.seen = length;
        drop(self.lock);
        Ok(())
    }

    /// Empties the log as it lies on the disk, and marks it as damaged for whoever opens it next.
    /// Needs no space.
    ///
    /// # Errors
    /// Truncating fails.
    pub fn wipe(self) -> io::Result<()> {
        self.log.file.set_len(0)?;
        self.log.birth = new_birth();
        self.log.seen = 0;
        Ok(())
    }

    /// The log's length in bytes.
    pub fn len(&self) -> u64 {
        self.log.seen
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.log.path
    }

    /// How the file looks while nobody else can write to it.
    ///
    /// # Errors
    /// As `fstat`.
    pub fn metadata(&self) -> io::Result<std::fs::Metadata> {
        self.log.file.metadata()
    }

    /// Whether it holds no frame.
    pub fn is_empty(&self) -> bool {
        self.log.seen <= HEADER as u64
    }
}

/// Judges a log's bytes; the second value is how far they are good, 0 where a new log must begin.
fn parse(data: Vec<u8>, format: u16) -> (Opened, u64) {
    let opened = |data, frames, birth, trouble| Opened { log: None, data, frames, birth, trouble };
    // Also where the file is empty: it was wiped, or its creator was killed.
    let Some((found, oldest_reader, birth)) = parse_header(&data) else {
        return (opened(data, vec![], new_birth(), Some(Trouble::Damaged)), 0);
    };
    if found > format {
        let readable = oldest_reader <= format;
        let frames = if readable { scan(&data, HEADER).frames } else { vec![] };
        return (opened(data, frames, birth, Some(Trouble::Newer { format: found, readable })), 0);
    }
    let Scan { frames, end, damaged } = scan(&data, HEADER);
    let committed = parse_committed(&data);
    let cut = committed.is_none_or(|committed| committed > data.len() as u64);
    // A tail that was never committed is the trace of a killed writer: nobody counted on it.
    let torn_tail = damaged && committed == Some(end as u64);
    if cut || (damaged && !torn_tail) {
        return (opened(data, frames, new_birth(), Some(Trouble::Damaged)), 0);
    }
    (opened(data, frames, birth, None), end as u64)
}

/// Creates an empty log as one step: an empty file would pass for one that was wiped. Another
/// process may have been faster.
fn create(path: &Path, format: u16) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| io::Error::other("a log needs a folder"))?;
    let mut fresh = super::atomic::temporary(folder)?;
    fresh.write_all(&header(format, new_birth()))?;
    match fresh.persist_noclobber(path) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
        _ => Ok(()),
    }
}

fn lock(file: File) -> io::Result<Flock<File>> {
    let mut file = file;
    loop {
        match Flock::lock(file, FlockArg::LockExclusive) {
            Ok(held) => return Ok(held),
            Err((back, Errno::EINTR)) => file = back,
            Err((_, errno)) => return Err(errno.into()),
        }
    }
}

fn read_all(file: &File) -> io::Result<Vec<u8>> {
    let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    let mut data = vec![0; length];
    let mut filled = 0;
    while filled < data.len() {
        match file.read_at(&mut data[filled..], filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    data.truncate(filled);
    Ok(data)
}

fn new_birth() -> [u8; 16] {
    let mut birth = [0u8; 16];
    // Two independent hashers, each randomly keyed by the standard library.
    for half in birth.chunks_exact_mut(8) {
        use std::hash::{BuildHasher, Hasher};
        let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
        hasher.write_u32(std::process::id());
        hasher.write_u128(
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos()),
        );
        half.copy_from_slice(&hasher.finish().to_le_bytes());
    }
    birth
}

fn header(format: u16, birth: [u8; 16]) -> Vec<u8> {
    let mut data = Vec::with_capacity(HEADER);
    data.extend_from_slice(MAGIC);
    data.extend_from_slice(&format.to_le_bytes());
    data.extend_from_slice(&format.to_le_bytes());
    data.extend_from_slice(&birth);
    data.extend_from_slice(&crc32fast::hash(&data).to_le_bytes());
    data.extend_from_slice(&committed(HEADER as u64));
    data
}

fn committed(length: u64) -> [u8; 12] {
    let mut bytes = [0u8; 12];
    bytes[..8].copy_from_slice(&length.to_le_bytes());
    let sum = crc32fast::hash(&bytes[..8]);
    bytes[8..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn u16_at(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(data.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(data.get(at..at + 4)?.try_into().ok()?))
}

/// Format, oldest reader, birth; none when magic or checksum do not hold.
fn parse_header(data: &[u8]) -> Option<(u16, u16, [u8; 16])> {
    if data.len() < HEADER || &data[..8] != MAGIC || u32_at(data, 28)? != crc32fast::hash(&data[..28]) {
        return None;
    }
    Some((u16_at(data, 8)?, u16_at(data, 10)?, data[12..28].try_into().ok()?))
}

fn parse_committed(data: &[u8]) -> Option<u64> {
    let bytes = data.get(32..40)?;
    (u32_at(data, 40)? == crc32fast::hash(bytes)).then(|| u64::from_le_bytes(bytes.try_into().unwrap_or_default()))
}

fn frame(payload: &[u8]) -> io::Result<Vec<u8>> {
    let length = u32::try_from(payload.len())
        .ok()
        .filter(|length| *length < FRAME_LIMIT)
        .ok_or_else(|| io::Error::other("a frame is too long"))?;
    let mut bytes = Vec::with_capacity(payload.len() + 8);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&frame_sum(length, payload).to_le_bytes());
    bytes.extend_from_slice(payload);
    Ok(bytes)
}

fn frame_sum(length: u32, payload: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&length.to_le_bytes());
    sum.update(payload);
    sum.finalize()
}

fn scan(data: &[u8], from: usize) -> Scan {
    let mut frames = Vec::new();
    let mut at = from;
    while at < data.len() {
        let Some(length) = u32_at(data, at).filter(|length| *length < FRAME_LIMIT) else { break };
        let body = at + 8..at + 8 + length as usize;
        let (Some(sum), Some(payload)) = (u32_at(data, at + 4), data.get(body.clone())) else { break };
        if sum != frame_sum(length, payload) {
            break;
        }
        at = body.end;
        frames.push(body);
    }
    Scan { frames, end: at, damaged: at != data.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payloads(opened: &Opened) -> Vec<Vec<u8>> {
        opened.frames.iter().map(|frame| opened.data[frame.clone()].to_vec()).collect()
    }

    fn filled(path: &Path) -> Vec<Vec<u8>> {
        let mut log = Log::open(path, 1).unwrap().log.unwrap();
        let all: Vec<Vec<u8>> = (0..5u8).map(|n| vec![n; usize::from(n) * 7]).collect();
        for payload in &all {
            log.lock().unwrap().0.append(payload).unwrap();
        }
        all
    }

    #[test]
    fn what_is_appended_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let all = filled(&path);
        let opened = Log::open(&path, 1).unwrap();
        assert_eq!(opened.trouble, None);
        assert_eq!(payloads(&opened), all);
    }

    #[test]
    fn two_writers_see_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut a = Log::open(&path, 1).unwrap().log.unwrap();
        let mut b = Log::open(&path, 1).unwrap().log.unwrap();
        a.lock().unwrap().0.append(b"one").unwrap();
        let (mut writer, news) = b.lock().unwrap();
        assert_eq!(news, [b"one".to_vec()]);
        writer.append(b"two").unwrap();
        drop(writer);
        let (writer, news) = a.lock().unwrap();
        assert_eq!(news, [b"two".to_vec()]);
        writer.replace([b"both".as_slice()]).unwrap();
        let (mut writer, news) = b.lock().unwrap();
        assert_eq!(news, [b"both".to_vec()]);
        writer.append(b"three").unwrap();
        drop(writer);
        assert_eq!(payloads(&Log::open(&path, 1).unwrap()), [b"both".to_vec(), b"three".to_vec()]);
    }

    #[test]
    fn processes_that_create_it_at_once_find_nothing_wrong() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("log");
            let births: Vec<[u8; 16]> = std::thread::scope(|scope| {
                let open = || {
                    let opened = Log::open(&path, 1).unwrap();
                    assert_eq!(opened.trouble, None);
                    opened.birth
                };
                let all: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
                all.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(births.windows(2).all(|pair| pair[0] == pair[1]));
        }
    }

    #[test]
    fn a_cut_at_any_length_is_seen_and_mended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let all = filled(&path);
        let whole = std::fs::read(&path).unwrap();
        for length in 1..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let opened = Log::open(&path, 1).unwrap();
            assert_eq!(opened.trouble, Some(Trouble::Damaged), "cut at {length}");
            assert!(all.starts_with(&payloads(&opened)));
            let birth = opened.birth;
            let mut log = opened.log.unwrap();
            log.lock().unwrap().0.append(b"after").unwrap();
            let again = Log::open(&path, 1).unwrap();
            assert_eq!((again.trouble.clone(), again.birth), (None, birth));
            assert_eq!(payloads(&again), [b"after".to_vec()]);
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_seen_or_harmless() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let all = filled(&path);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut data = whole.clone();
            data[at] ^= 1 << (at % 8);
            std::fs::write(&path, &data).unwrap();
            let opened = Log::open(&path, 1).unwrap();
            assert_eq!(opened.trouble, Some(Trouble::Damaged), "flipped at {at}");
            assert!(all.starts_with(&payloads(&opened)));
        }
    }

    #[test]
    fn an_uncommitted_tail_is_dropped_without_a_word() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let all = filled(&path);
        let mut data = std::fs::read(&path).unwrap();
        data.extend_from_slice(&frame(b"half").unwrap()[..9]);
        std::fs::write(&path, &data).unwrap();
        let opened = Log::open(&path, 1).unwrap();
        assert_eq!(opened.trouble, None);
        assert_eq!(payloads(&opened), all);
        opened.log.unwrap().lock().unwrap().0.append(b"next").unwrap();
        assert_eq!(payloads(&Log::open(&path, 1).unwrap()).last().unwrap(), b"next");
    }

    #[test]
    fn a_newer_format_is_never_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        drop(Log::open(&path, 2).unwrap());
        let opened = Log::open(&path, 1).unwrap();
        assert!(opened.log.is_none());
        assert_eq!(opened.trouble, Some(Trouble::Newer { format: 2, readable: false }));
    }
}
