//! Looking again along a trail: whether everything is as it was, or what is not.

use super::stat::of_system;
use super::trail::{ABSENT, BEHIND, OF_ALL, STAT, Trail, number, packed, sized, take};
use crate::model::WsPath;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, fstatat};
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// So many chunks are worth a second thread.
const WORTH_A_THREAD: usize = 2;

/// Something that does not look as it did.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Change {
    /// Where, relative to the workspace root.
    pub path: WsPath,
    behind: bool,
}

/// A look of a trail, taken again.
struct Again<'t> {
    folder: &'t [u8],
    name: &'t CStr,
    flags: u8,
    as_it_was: bool,
}

impl Again<'_> {
    /// What this was a look at, if a path in the workspace, and a look that concerned only those who select that path.
    fn change(&self) -> Option<Change> {
        let name = self.name.to_str().ok().filter(|_| self.flags & OF_ALL == 0)?;
        let folder = std::str::from_utf8(self.folder).ok()?;
        let path = match (folder, name) {
            ("", ".") => String::new(),
            ("", name) => name.to_owned(),
            (folder, ".") => folder.to_owned(),
            (folder, name) => format!("{folder}/{name}"),
        };
        Some(Change { path: WsPath::try_from(path).ok()?, behind: self.flags & BEHIND != 0 })
    }
}

/// Whether everything on the trail still looks as it did, seen from `root`. False for a trail that is
/// none.
pub fn unchanged(root: &Path, trail: &[u8]) -> bool {
    let changed = AtomicBool::new(false);
    let whole = on_all_cores(root, trail, &|again| {
        if !again.as_it_was {
            changed.store(true, Ordering::Relaxed);
        }
        !changed.load(Ordering::Relaxed)
    });
    whole && !changed.into_inner()
}

/// What on the trail does not look as it did; none where that is more than `most`, where something changed that concerns more
/// than those who select it, and for a trail that is none.
pub fn what_changed(root: &Path, trail: &[u8], most: usize) -> Option<Vec<Change>> {
    let found = Mutex::new(Some(Vec::new()));
    let whole = on_all_cores(root, trail, &|again| {
        if again.as_it_was {
            return true;
        }
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        match (again.change(), &mut *found) {
            (Some(change), Some(all)) if all.len() < most => all.push(change),
            _ => *found = None,
        }
        found.is_some()
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner).filter(|_| whole)
}

/// Notes again what an earlier trail tells of, but for `changes`: of these there are newer notes.
pub fn keep(trail: &Trail, earlier: &[u8], changes: &[Change]) {
    let kept = chunks_of(earlier).is_some_and(|chunks| {
        chunks.into_iter().all(|chunk| {
            each(
                chunk,
                |_| Some(()),
                |(), folder, name, flags, stat| {
                    let again = Again { folder, name, flags, as_it_was: true };
                    let change = Again { flags: flags & !OF_ALL, ..again }.change();
                    if !change.is_some_and(|change| changes.contains(&change)) {
                        trail.note_again(folder, name.to_bytes(), flags, stat);
                    }
                    true
                },
            )
            .is_some()
        })
    });
    if !kept {
        trail.lose();
    }
}

/// Takes every look again, until `told` says that it is enough. False where not all were taken.
fn on_all_cores(root: &Path, trail: &[u8], told: &(dyn Fn(&Again<'_>) -> bool + Sync)) -> bool {
    let Ok(base) = std::fs::File::open(root).map(OwnedFd::from) else { return false };
    let Some(chunks) = chunks_of(trail) else { return false };
    let cores = if chunks.len() < WORTH_A_THREAD { 1 } else { cores() };
    let next = AtomicUsize::new(0);
    let over = AtomicBool::new(false);
    let work = || {
        while let Some(chunk) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
            if over.load(Ordering::Relaxed) {
                return;
            }
            if look_again(base.as_fd(), chunk, told) != Some(true) {
                over.store(true, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..cores.min(chunks.len()) {
            // Where no thread can be had, this one does it all.
            let _ = std::thread::Builder::new().stack_size(64 << 10).spawn_scoped(scope, work);
        }
        work();
    });
    !over.into_inner()
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(8)
}

fn chunks_of(trail: &[u8]) -> Option<Vec<&[u8]>> {
    let mut rest = trail;
    let count = number(&mut rest)?;
    let mut ends = take(&mut rest, count.checked_mul(4)?)?;
    let mut chunks = Vec::with_capacity(count);
    let mut from = 0;
    for _ in 0..count {
        let to = number(&mut ends)?;
        chunks.push(rest.get(from..to)?);
        from = to;
    }
    (from == rest.len()).then_some(chunks)
}

/// Gives every look of a chunk to `look`, with what `open` made of its folder, until that says that it is enough; none where the
/// chunk makes no sense or a folder can't be opened.
fn each<'t, H>(
    chunk: &'t [u8],
    open: impl Fn(&'t [u8]) -> Option<H>,
    mut look: impl FnMut(&H, &'t [u8], &'t CStr, u8, &'t [u8]) -> bool,
) -> Option<bool> {
    let mut rest = chunk;
    while !rest.is_empty() {
        let folder = sized(&mut rest)?;
        let count = number(&mut rest)?;
        let opened = open(folder)?;
        for _ in 0..count {
            let flags = take(&mut rest, 1)?[0];
            let name = CStr::from_bytes_with_nul(sized(&mut rest)?).ok()?;
            let stat = if flags & ABSENT == 0 { take(&mut rest, STAT)? } else { &[] };
            if !look(&opened, folder, name, flags, stat) {
                return Some(false);
            }
        }
    }
    Some(true)
}

/// Takes every look of a chunk again; none where the chunk makes no sense, or a folder is gone.
fn look_again(base: BorrowedFd<'_>, chunk: &[u8], told: &(dyn Fn(&Again<'_>) -> bool + Sync)) -> Option<bool> {
    let open = |folder: &[u8]| match folder {
        b"" => Some(None),
        folder => openat(base, folder, FOLDER, Mode::empty()).ok().map(Some),
    };
    each(chunk, open, |opened: &Option<OwnedFd>, folder, name, flags, stat| {
        let here = opened.as_ref().map_or(base, AsFd::as_fd);
        let follow = if flags & BEHIND == 0 { AtFlags::AT_SYMLINK_NOFOLLOW } else { AtFlags::empty() };
        let as_it_was = match fstatat(here, name, follow) {
            Ok(found) => flags & ABSENT == 0 && stat == packed(&of_system(&found)),
            Err(Errno::ENOENT | Errno::ENOTDIR) => flags & ABSENT != 0,
            Err(_) => false,
        };
        told(&Again { folder, name, flags, as_it_was })
    })
}

#[cfg(target_os = "linux")]
const FOLDER: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);
#[cfg(not(target_os = "linux"))]
const FOLDER: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_CLOEXEC);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fingerprint::{Look, Stat};

    fn note(trail: &Trail, root: &Path, path: &str) {
        let answer = std::fs::symlink_metadata(root.join(path)).ok();
        trail.note_look(&Look::of(path, false, answer.as_ref()));
    }

    const ALL: [&str; 11] = ["", "a", "b", "d/1", "d/2", "d/3", "d/4", "d/5", "d/6", "d", "none"];

    #[test]
    fn what_changed_is_told_and_the_rest_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir(root.join("d")).unwrap();
        ALL[1..9].iter().for_each(|path| std::fs::write(root.join(path), "old").unwrap());
        let old = Trail::new(root, i64::MAX);
        ALL.iter().for_each(|path| note(&old, root, path));
        let laid = old.finish().unwrap();
        assert_eq!(what_changed(root, &laid, 0), Some(vec![]));
        for path in ["a", "d/3"] {
            std::fs::write(root.join(path), "newer").unwrap();
        }
        std::fs::remove_file(root.join("d/5")).unwrap();
        let changed = what_changed(root, &laid, 9).unwrap();
        let mut paths: Vec<&str> = changed.iter().map(|change| change.path.as_str()).collect();
        paths.sort_unstable();
        assert_eq!(paths, ["a", "d", "d/3", "d/5"]);
        assert_eq!(what_changed(root, &laid, 3), None, "more than that");
        // The rest of the old trail, and newer looks at what changed.
        let new = Trail::new(root, i64::MAX);
        keep(&new, &laid, &changed);
        paths.iter().for_each(|path| note(&new, root, path));
        let laid = new.finish().unwrap();
        assert!(unchanged(root, &laid));
        std::fs::write(root.join("b"), "newer").unwrap();
        assert!(!unchanged(root, &laid), "what was kept counts");
    }

    #[test]
    fn a_change_of_what_concerns_all_is_none_that_can_be_told() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::write(root.join("rules"), "old").unwrap();
        for path in ["rules", "/nowhere"] {
            let trail = Trail::new(root, i64::MAX);
            let stat = std::fs::symlink_metadata(root.join(path)).ok();
            // By one for itself, by another for what it says.
            trail.note(path.as_bytes(), true, stat.as_ref().map(Stat::of).as_ref());
            trail.note_for_all(&Look::of(path, true, stat.as_ref()));
            let laid = trail.finish().unwrap();
            assert!(unchanged(root, &laid));
            if path == "rules" {
                std::fs::write(root.join("rules"), "newer").unwrap();
                assert_eq!(what_changed(root, &laid, 9), None);
            }
        }
    }
}
