//! The stat memo: which content a file had when it looked as it looks now.

use super::stat::Stat;
use crate::model::{Digest, WsPath};
use rustc_hash::FxHashMap;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Mutex;

/// Bytes of the shortest entry: a batch can hold no more of them than that, whatever it says.
const SHORTEST: usize = 38;

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

/// Entries as they are written, read back by [`Absorber`].
#[derive(Serialize)]
struct Batch<'a>(Vec<(&'a str, Entry)>);

/// Takes entries in one by one: a list of them all would need as much room as the memo itself.
struct Absorber<'m> {
    memo: &'m mut Memo,
    at_most: usize,
}

impl<'de> Visitor<'de> for Absorber<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a batch of the memo")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let known = &mut self.memo.known;
        known.reserve(entries.size_hint().unwrap_or(0).min(self.at_most));
        while let Some((path, entry)) = entries.next_element::<(&str, Entry)>()? {
            // Overwriting in place spares an allocation for each superseded entry.
            if let Some(slot) = known.get_mut(path) {
                *slot = entry;
            } else {
                known.insert(path.into(), entry);
            }
        }
        Ok(())
    }
}

impl Memo {
    /// Takes in a batch written by [`Memo::take_news`]; false if it is none. What was read of a broken
    /// one stays: every entry stands on its own.
    pub fn absorb(&mut self, batch: &[u8]) -> bool {
        let mut reader = postcard::Deserializer::from_bytes(batch);
        serde::Deserializer::deserialize_seq(&mut reader, Absorber { memo: self, at_most: batch.len() / SHORTEST })
            .is_ok()
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
