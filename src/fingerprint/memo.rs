//! The stat memo: which content a file had when it looked as it looks now.

use super::stat::Stat;
use crate::model::{Digest, WsPath};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::sync::Mutex;

/// One remembered file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    stat: Stat,
    digest: Digest,
}

/// Stat → digest for each path. Only settled stats are kept (see [`Stat::settled`]). Every entry
/// states a fact that stays true, so that any part of a memo is a good memo.
#[derive(Debug, Default)]
pub struct Memo {
    known: FxHashMap<Box<str>, Entry>,
    fresh: Mutex<FxHashMap<Box<str>, Entry>>,
}

#[derive(Serialize, Deserialize)]
struct Batch<'a>(#[serde(borrow)] Vec<(&'a str, Entry)>);

impl Memo {
    /// Takes in a batch written by [`Memo::take_news`]; false if it is none.
    pub fn absorb(&mut self, batch: &[u8]) -> bool {
        let Ok(Batch(entries)) = postcard::from_bytes(batch) else { return false };
        self.known.reserve(entries.len());
        for (path, entry) in entries {
            // Overwriting in place spares an allocation for each superseded entry.
            if let Some(slot) = self.known.get_mut(path) {
                *slot = entry;
            } else {
                self.known.insert(path.into(), entry);
            }
        }
        true
    }

    /// The digest of `path` if it still looks as it did then.
    pub fn get(&self, path: &WsPath, stat: &Stat) -> Option<Digest> {
        let hit = |entry: &Entry| (entry.stat == *stat).then_some(entry.digest);
        if let Some(digest) = self.known.get(path.as_str()).and_then(hit) {
            return Some(digest);
        }
        self.fresh.lock().ok()?.get(path.as_str()).and_then(hit)
    }

    /// Remembers `path`, read at `now`; not if it was changed so shortly before that another
    /// change might not show.
    pub fn put(&self, path: &WsPath, stat: Stat, digest: Digest, now: i64) {
        if stat.settled(now)
            && let Ok(mut fresh) = self.fresh.lock()
        {
            fresh.insert(path.as_str().into(), Entry { stat, digest });
        }
    }

    /// What was learnt since the last call, as a batch; none if nothing was.
    pub fn take_news(&self) -> Option<Vec<u8>> {
        let fresh = self.fresh.lock().ok()?;
        let mut entries: Vec<(&str, Entry)> = fresh
            .iter()
            .filter(|(path, entry)| self.known.get(&***path) != Some(*entry))
            .map(|(path, entry)| (&**path, *entry))
            .collect();
        entries.sort_unstable_by_key(|(path, _)| *path);
        if entries.is_empty() { None } else { postcard::to_stdvec(&Batch(entries)).ok() }
    }

    /// Everything, as one batch; for writing the log anew.
    pub fn all(&self) -> Option<Vec<u8>> {
        let fresh = self.fresh.lock().ok()?;
        let mut all: FxHashMap<&str, Entry> = self.known.iter().map(|(path, entry)| (&**path, *entry)).collect();
        all.extend(fresh.iter().map(|(path, entry)| (&**path, *entry)));
        let mut entries: Vec<_> = all.into_iter().collect();
        entries.sort_unstable_by_key(|(path, _)| *path);
        postcard::to_stdvec(&Batch(entries)).ok()
    }

    /// How many files are known.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}
