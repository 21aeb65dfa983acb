//! What was looked at on the disk on the way to a verdict, and how it looked: written down so that a
//! later process can tell, without repeating any of the thinking, that nothing has changed. Knows
//! nothing of what was concluded.
//!
//! ```text
//! number of chunks u32, then where each ends, u32, counted from behind this list
//! chunk: groups, each: the folder's path, number of looks u32, and the looks
//! look:  flags u8, the name (with a NUL behind it), and where something was there a stat of 36 bytes
//! ```
//! Paths and names have their length, u16, in front; all numbers are little-endian.

use super::stat::{Look, Stat};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// A symlink was followed.
pub(super) const BEHIND: u8 = 1;
/// Nothing was there.
pub(super) const ABSENT: u8 = 2;
/// It concerns more than those who select its path.
pub(super) const OF_ALL: u8 = 4;
/// Bytes of a stat, and where among them the change time is.
pub(super) const STAT: usize = 36;
const CHANGED: std::ops::Range<usize> = 24..32;
/// A chunk ends with the group in which it reaches this many looks.
const CHUNK: usize = 256;
/// A folder with this many looks is opened, so that their paths are short.
const WORTH_OPENING: usize = 6;

/// A trail being laid. Any thread may note what it looks at; a note must be of an instant before the
/// thing was read or listed.
#[derive(Debug)]
pub struct Trail {
    notes: Mutex<Notes>,
    /// Nothing that changed this shortly before, or later, may be relied on.
    since: i64,
    /// The workspace's own file system, if its folders change their stamps with every entry that
    /// comes or goes.
    trusted: Option<u64>,
}

#[derive(Debug, Default)]
struct Notes {
    bytes: Vec<u8>,
    /// Where each note begins.
    starts: Vec<u32>,
    /// Something can't be told from a stat.
    lost: bool,
}

impl Trail {
    /// Of looks in the workspace at `root`, the first of them not before `since`.
    pub fn new(root: &Path, since: i64) -> Self {
        Self { notes: Mutex::default(), since, trusted: trusted_device(root) }
    }

    fn notes(&self) -> std::sync::MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whatever this was about can't be told again by looking.
    pub fn lose(&self) {
        self.notes().lost = true;
    }

    /// Something looked at for itself or its content.
    pub fn note(&self, path: &[u8], behind: bool, stat: Option<&Stat>) {
        self.put(path, if behind { BEHIND } else { 0 }, stat);
    }

    fn put(&self, path: &[u8], flags: u8, stat: Option<&Stat>) {
        let mut notes = self.notes();
        let start = u32::try_from(notes.bytes.len());
        let length = u16::try_from(path.len());
        let (Ok(start), Ok(length)) = (start, length) else {
            notes.lost = true;
            return;
        };
        if notes.lost || stat.is_some_and(|stat| !stat.settled(self.since)) || path.contains(&0) {
            notes.lost = true;
            return;
        }
        notes.starts.push(start);
        notes.bytes.push(flags | if stat.is_none() { ABSENT } else { 0 });
        notes.bytes.extend_from_slice(&length.to_le_bytes());
        notes.bytes.extend_from_slice(path);
        if let Some(stat) = stat {
            notes.bytes.extend_from_slice(&packed(stat));
        }
    }

    /// Something looked at; of a folder, that it is about to be listed too.
    pub fn note_look(&self, look: &Look) {
        match &look.stat {
            Some(stat) if stat.is_folder() && Some(look.device) != self.trusted => self.lose(),
            stat => self.note(look.path.as_os_str().as_bytes(), look.behind, stat.as_ref()),
        }
    }

    /// A file looked at for what it says of other files.
    pub fn note_for_all(&self, look: &Look) {
        let flags = OF_ALL | if look.behind { BEHIND } else { 0 };
        self.put(look.path.as_os_str().as_bytes(), flags, look.stat.as_ref());
    }

    /// A note of an earlier trail that nothing has happened to since.
    pub(super) fn note_again(&self, folder: &[u8], name: &[u8], flags: u8, stat: &[u8]) {
        let path = match (folder, name) {
            (b"", name) => name.to_vec(),
            (folder, name) => [folder, name].join(&b'/'),
        };
        let Ok(length) = u16::try_from(path.len()) else { return self.lose() };
        let mut notes = self.notes();
        let Ok(start) = u32::try_from(notes.bytes.len()) else {
            notes.lost = true;
            return;
        };
        notes.starts.push(start);
        notes.bytes.push(flags);
        notes.bytes.extend_from_slice(&length.to_le_bytes());
        notes.bytes.extend_from_slice(&path);
        notes.bytes.extend_from_slice(stat);
    }

    /// The trail; none where looking again could not tell whether anything changed.
    pub fn finish(&self) -> Option<Vec<u8>> {
        let notes = self.notes();
        if notes.lost {
            return None;
        }
        let mut all: Vec<Note<'_>> = notes.starts.iter().filter_map(|start| Note::at(&notes.bytes, *start)).collect();
        all.sort_unstable();
        // Looked at by one for itself, by another for what it says of others.
        all.dedup_by(|again, kept| {
            let same = again.what() == kept.what() && again.absent == kept.absent && again.stat == kept.stat;
            kept.of_all |= same && again.of_all;
            same
        });
        // Looked at twice, and different: it is changing right now.
        if all.windows(2).any(|pair| pair[0].what() == pair[1].what()) {
            return None;
        }
        lay(&all)
    }
}

/// One note, in the order of the trail: by folder.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Note<'n> {
    folder: &'n [u8],
    name: &'n [u8],
    behind: bool,
    absent: bool,
    stat: &'n [u8],
    of_all: bool,
}

impl<'n> Note<'n> {
    fn at(bytes: &'n [u8], start: u32) -> Option<Self> {
        let mut rest = bytes.get(start as usize..)?;
        let flags = take(&mut rest, 1)?[0];
        let path = sized(&mut rest)?;
        let stat = if flags & ABSENT == 0 { take(&mut rest, STAT)? } else { &[] };
        let (folder, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(0) => (&path[..1], &path[1..]),
            Some(cut) => (&path[..cut], &path[cut + 1..]),
            None => (&path[..0], path),
        };
        Some(Self {
            folder,
            name: if name.is_empty() { b"." } else { name },
            behind: flags & BEHIND != 0,
            absent: flags & ABSENT != 0,
            stat,
            of_all: flags & OF_ALL != 0,
        })
    }

    const fn flags(&self) -> u8 {
        (if self.behind { BEHIND } else { 0 })
            | (if self.absent { ABSENT } else { 0 })
            | (if self.of_all { OF_ALL } else { 0 })
    }

    /// When it was changed.
    fn changed(&self) -> i64 {
        self.stat.get(CHANGED).and_then(|bytes| bytes.try_into().ok()).map_or(i64::MIN, i64::from_le_bytes)
    }

    /// What was looked at, and how.
    const fn what(&self) -> (&'n [u8], &'n [u8], bool) {
        (self.folder, self.name, self.behind)
    }
}

/// Puts the chunks together, the one with the youngest file first: what was changed last is what is
/// most likely to have been changed again.
fn lay(all: &[Note<'_>]) -> Option<Vec<u8>> {
    let mut chunks: Vec<(i64, Vec<u8>)> = Vec::new();
    let (mut looks, mut youngest, mut chunk) = (0, i64::MIN, Vec::new());
    for group in all.chunk_by(|a, b| a.folder == b.folder) {
        put_group(&mut chunk, group)?;
        looks += group.len();
        youngest = group.iter().map(Note::changed).fold(youngest, i64::max);
        if looks >= CHUNK {
            chunks.push((youngest, std::mem::take(&mut chunk)));
            (looks, youngest) = (0, i64::MIN);
        }
    }
    if looks > 0 {
        chunks.push((youngest, chunk));
    }
    chunks.sort_by_key(|(youngest, _)| std::cmp::Reverse(*youngest));
    let length: usize = chunks.iter().map(|(_, chunk)| chunk.len()).sum();
    let mut trail = Vec::with_capacity(4 + 4 * chunks.len() + length);
    trail.extend_from_slice(&u32::try_from(chunks.len()).ok()?.to_le_bytes());
    let mut end = 0;
    for (_, chunk) in &chunks {
        end += chunk.len();
        trail.extend_from_slice(&u32::try_from(end).ok()?.to_le_bytes());
    }
    chunks.iter().for_each(|(_, chunk)| trail.extend_from_slice(chunk));
    Some(trail)
}

/// Looks into one folder.
fn put_group(chunk: &mut Vec<u8>, group: &[Note<'_>]) -> Option<()> {
    let opened = group.len() >= WORTH_OPENING;
    put(chunk, if opened { group[0].folder } else { b"" })?;
    chunk.extend_from_slice(&u32::try_from(group.len()).ok()?.to_le_bytes());
    for note in group {
        chunk.push(note.flags());
        let mut name = Vec::with_capacity(note.folder.len() + note.name.len() + 2);
        if !opened && !note.folder.is_empty() {
            name.extend_from_slice(note.folder);
            if note.folder != b"/" {
                name.push(b'/');
            }
        }
        name.extend_from_slice(note.name);
        name.push(0);
        put(chunk, &name)?;
        chunk.extend_from_slice(note.stat);
    }
    Some(())
}

fn put(out: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    out.extend_from_slice(&u16::try_from(text.len()).ok()?.to_le_bytes());
    out.extend_from_slice(text);
    Some(())
}

pub(super) fn packed(stat: &Stat) -> [u8; STAT] {
    let mut bytes = [0; STAT];
    bytes[..8].copy_from_slice(&stat.ino.to_le_bytes());
    bytes[8..16].copy_from_slice(&stat.size.to_le_bytes());
    bytes[16..24].copy_from_slice(&stat.mtime.to_le_bytes());
    bytes[CHANGED].copy_from_slice(&stat.ctime.to_le_bytes());
    bytes[32..].copy_from_slice(&stat.mode.to_le_bytes());
    bytes
}

pub(super) fn take<'b>(rest: &mut &'b [u8], count: usize) -> Option<&'b [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
}

pub(super) fn number(rest: &mut &[u8]) -> Option<usize> {
    Some(u32::from_le_bytes(take(rest, 4)?.try_into().ok()?) as usize)
}

pub(super) fn sized<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = u16::from_le_bytes(take(rest, 2)?.try_into().ok()?);
    take(rest, usize::from(length))
}

/// The file system of `root`, if it is one of those whose folders are known to change their stamps
/// with every entry that comes or goes.
#[cfg(target_os = "linux")]
#[allow(clippy::unnecessary_cast, clippy::cast_lossless, reason = "the type differs between systems")]
fn trusted_device(root: &Path) -> Option<u64> {
    /// ext2 to ext4, XFS, Btrfs, tmpfs, F2FS, overlayfs, ZFS, bcachefs: `linux/magic.h`, and for the
    /// last two their own headers.
    const KNOWN: [i64; 8] =
        [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0xf2f5_2010, 0x794c_7630, 0x2fc1_2fc1, 0xca45_1a4e];
    let kind = nix::sys::statfs::statfs(root).ok()?.filesystem_type();
    KNOWN.contains(&(kind.0 as i64)).then(|| std::fs::metadata(root).ok().map(|root| root.dev()))?
}

#[cfg(not(target_os = "linux"))]
fn trusted_device(root: &Path) -> Option<u64> {
    let kind = nix::sys::statfs::statfs(root).ok()?.filesystem_type_name().to_owned();
    matches!(kind.as_str(), "apfs" | "hfs").then(|| std::fs::metadata(root).ok().map(|root| root.dev()))?
}

#[cfg(test)]
mod tests {
    use super::super::retrace::unchanged;
    use super::*;

    /// A folder with files, long ago as far as the trail goes.
    fn laid(look: impl Fn(&Trail, &Path)) -> (tempfile::TempDir, Option<Vec<u8>>) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "b", "deep/c", "deep/d", "deep/e", "deep/f", "deep/g", "deep/h"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
        let trail = Trail::new(folder.path(), i64::MAX);
        look(&trail, folder.path());
        let laid = trail.finish();
        (folder, laid)
    }

    fn note(trail: &Trail, root: &Path, path: &str, behind: bool) {
        let answer = std::fs::symlink_metadata(root.join(path)).ok();
        trail.note_look(&Look::of(path, behind, answer.as_ref()));
    }

    const ALL: [&str; 11] =
        ["a", "b", "deep", "deep/c", "deep/d", "deep/e", "deep/f", "deep/g", "deep/h", "none", "deep/none"];

    #[test]
    fn any_one_change_is_seen() {
        type Change = (&'static str, fn(&Path));
        let changes: [Change; 7] = [
            ("content", |root| std::fs::write(root.join("a"), "other").unwrap()),
            ("deep content", |root| std::fs::write(root.join("deep/f"), "x").unwrap()),
            ("gone", |root| std::fs::remove_file(root.join("b")).unwrap()),
            ("come", |root| std::fs::write(root.join("none"), "").unwrap()),
            ("come below", |root| std::fs::write(root.join("deep/none"), "").unwrap()),
            ("listed", |root| std::fs::write(root.join("deep/other"), "").unwrap()),
            ("the folder is gone", |root| std::fs::rename(root.join("deep"), root.join("deeper")).unwrap()),
        ];
        for (what, change) in changes {
            let (folder, laid) = laid(|trail, root| {
                ALL.iter().chain(&ALL).for_each(|path| note(trail, root, path, false));
                note(trail, root, "a", true);
            });
            let laid = laid.unwrap();
            assert!(unchanged(folder.path(), &laid), "{what}");
            change(folder.path());
            assert!(!unchanged(folder.path(), &laid), "{what}");
        }
    }

    #[test]
    fn a_thousand_looks_are_all_taken() {
        let folder = tempfile::tempdir().unwrap();
        let trail = Trail::new(folder.path(), i64::MAX);
        let path = |number: usize| format!("d{}/f{number}", number / 10);
        for number in 0..1000 {
            std::fs::create_dir_all(folder.path().join(format!("d{}", number / 10))).unwrap();
            note(&trail, folder.path(), &path(number), false);
        }
        let laid = trail.finish().unwrap();
        for number in 0..1000 {
            let file = folder.path().join(path(number));
            std::fs::write(&file, "").unwrap();
            assert!(!unchanged(folder.path(), &laid), "{number}");
            std::fs::remove_file(&file).unwrap();
        }
        assert!(unchanged(folder.path(), &laid));
    }

    #[test]
    fn what_is_young_or_changing_has_no_trail() {
        let (_folder, young) = laid(|trail, root| {
            let since = Stat::of(&std::fs::metadata(root.join("a")).unwrap()).ctime + 1_000_000;
            let young = Trail { since, trusted: trail.trusted, notes: Mutex::default() };
            note(&young, root, "a", false);
            assert_eq!(young.finish(), None);
            note(trail, root, "a", false);
            std::fs::write(root.join("a"), "changed").unwrap();
            note(trail, root, "a", false);
        });
        assert_eq!(young, None);
        let (_folder, lost) = laid(|trail, _| trail.lose());
        assert_eq!(lost, None);
    }

    #[test]
    fn a_trail_that_is_none_is_no_trail() {
        let (folder, laid) = laid(|trail, root| ALL.iter().for_each(|path| note(trail, root, path, false)));
        let laid = laid.unwrap();
        for length in 0..laid.len() {
            assert!(!unchanged(folder.path(), &laid[..length]), "cut at {length}");
        }
        for at in 0..laid.len() {
            let mut data = laid.clone();
            data[at] ^= 0x15;
            // The checksum is another's business; here it must only not panic.
            let _ = unchanged(folder.path(), &data);
        }
        assert!(!unchanged(&folder.path().join("elsewhere"), &laid));
    }
}
