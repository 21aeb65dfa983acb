//! The stat memo: which content a file had when it looked as it looks now.

use super::stat::Stat;
use crate::model::{Digest, WsPath};
use rustc_hash::FxHashMap;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

/// Bytes of the shortest entry: a batch can hold no more of them than that, whatever it says.
const SHORTEST: usize = 38;
/// What opening a file costs, in bytes of content that could be read instead.
const OPENING: u64 = 8 << 10;

/// One remembered file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    stat: Stat,
    digest: Digest,
}

type Entries = FxHashMap<Box<str>, Entry>;

/// Stat → digest for each path. Only settled stats are kept (see [`Stat::settled`]). Every entry
/// states a fact that stays true, so that any part of a memo is a good memo.
///
/// What was written is taken in when it is worth it: to read a few small files again costs less.
#[derive(Debug, Default)]
pub struct Memo {
    /// Batches as they were written, each a part of these bytes.
    written: (Vec<u8>, Vec<Range<usize>>),
    known: OnceLock<Entries>,
    /// Bytes that were read again instead.
    read_again: AtomicU64,
    fresh: Mutex<Entries>,
}

/// Entries as they are written, read back by [`Absorber`].
#[derive(Serialize)]
struct Batch<'a>(Vec<(&'a str, Entry)>);

/// Takes entries in one by one: a list of them all would need as much room as the memo itself.
struct Absorber<'m> {
    known: &'m mut Entries,
    at_most: usize,
}

impl<'de> Visitor<'de> for Absorber<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a batch of the memo")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let known = self.known;
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
    /// What is in batches written by [`Memo::take_news`], each a part of `bytes`. What can be read of a broken one counts: every
    /// entry stands on its own.
    pub fn written(bytes: Vec<u8>, batches: Vec<Range<usize>>) -> Self {
        Self { written: (bytes, batches), ..Self::default() }
    }

    fn known(&self) -> &Entries {
        self.known.get_or_init(|| {
            let mut known = Entries::default();
            let (bytes, batches) = &self.written;
            for batch in batches.iter().filter_map(|batch| bytes.get(batch.clone())) {
                let mut reader = postcard::Deserializer::from_bytes(batch);
                let absorber = Absorber { known: &mut known, at_most: batch.len() / SHORTEST };
                let _ = serde::Deserializer::deserialize_seq(&mut reader, absorber);
            }
            known
        })
    }

    /// Whether it is worth it to take in what was written, for one more file of this size.
    fn is_worth_it(&self, size: u64) -> bool {
        let written: usize = self.written.1.iter().map(Range::len).sum();
        let again = self.read_again.fetch_add(size.saturating_add(OPENING), Ordering::Relaxed);
        again.saturating_add(size).saturating_add(OPENING) > written as u64 / 2
    }

    /// The digest of `path` if it still looks as it did then.
    pub fn get(&self, path: &WsPath, stat: &Stat) -> Option<Digest> {
        let hit = |entry: &Entry| (entry.stat == *stat).then_some(entry.digest);
        if (self.known.get().is_some() || self.is_worth_it(stat.size))
            && let Some(digest) = self.known().get(path.as_str()).and_then(hit)
        {
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

    /// What was learnt, as a batch; none if nothing was.
    pub fn take_news(&self) -> Option<Vec<u8>> {
        let fresh = self.fresh.lock().ok()?;
        // What was read again without asking may be in there already, and then is once more.
        let known = self.known.get();
        let mut entries: Vec<(&str, Entry)> = fresh
            .iter()
            .filter(|(path, entry)| known.and_then(|known| known.get(&***path)) != Some(*entry))
            .map(|(path, entry)| (&**path, *entry))
            .collect();
        entries.sort_unstable_by_key(|(path, _)| *path);
        if entries.is_empty() { None } else { postcard::to_stdvec(&Batch(entries)).ok() }
    }

    /// Everything, as one batch; for writing the log anew.
    pub fn all(&self) -> Option<Vec<u8>> {
        let fresh = self.fresh.lock().ok()?;
        let mut all: FxHashMap<&str, Entry> = self.known().iter().map(|(path, entry)| (&**path, *entry)).collect();
        all.extend(fresh.iter().map(|(path, entry)| (&**path, *entry)));
        let mut entries: Vec<_> = all.into_iter().collect();
        entries.sort_unstable_by_key(|(path, _)| *path);
        postcard::to_stdvec(&Batch(entries)).ok()
    }

    /// How many files are known.
    pub fn len(&self) -> usize {
        self.known().len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.known().is_empty()
    }
}
