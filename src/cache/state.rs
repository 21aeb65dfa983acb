//! What the workspace remembers between runs: the stat memo, the last result of each task, and the
//! incarnations written by resets. One log, shared by all processes of the workspace.

use super::outputs::Manifest;
use crate::fingerprint::{Memo, Stat};
use crate::journal::{Log, Opened, Trouble};
use crate::model::{Digest, Hasher};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

/// Version of the records.
const FORMAT: u16 = 1;
/// The log's name.
const JOURNAL: &str = "journal";
/// A log this long, and this much longer than when it was last written anew, is written anew.
const COMPACT_AT: u64 = 1 << 20;

/// What a success left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// The key it was left under.
    pub key: Digest,
    /// For dependents' keys.
    pub left: Digest,
    /// Its outputs.
    pub outputs: Manifest,
    /// Digest and bytes of what it printed; none if nothing.
    pub log: Option<(Digest, u64)>,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
    /// The state it reported.
    pub state: Option<Digest>,
}

/// The last that is known of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Last {
    /// It succeeded, and this is what it left.
    Good(Recorded),
    /// It was started and has not succeeded since. Shared results do not count for it.
    Dirty {
        /// What earlier results left, so that it can be told from what somebody else put there.
        owned: Manifest,
        /// It was started without a key (`cache = false`), so that nobody knows which results on
        /// record it may have contradicted: none counts.
        keyless: bool,
    },
}

#[derive(Clone, Serialize, Deserialize)]
enum StateRecord {
    Memo(Vec<u8>),
    Last {
        node: String,
        last: Last,
    },
    Incarnation {
        reset: String,
        id: [u8; 16],
    },
    /// Something was lost: shared results count for no task until it has succeeded here.
    Distrust,
}

/// The workspace's memory. Without a log (read-only workspace) it forgets at the end of the run.
#[derive(Debug)]
pub struct State {
    log: Option<Log>,
    birth: [u8; 16],
    last: FxHashMap<Box<str>, Last>,
    incarnations: FxHashMap<Box<str>, [u8; 16]>,
    distrust: bool,
    /// A loss that the log on disk does not tell of yet.
    owes_distrust: bool,
    loaded_bytes: u64,
    records: u64,
    /// How often something was found that other processes had recorded since the log was opened.
    overtaken: u64,
    /// What is on disk can't be read by this process, nor taken away: nothing may contradict it.
    bound: Option<io::ErrorKind>,
}

/// The state as it was left: while it holds, no process has recorded, invalidated or reset anything
/// since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// How the log looked.
    stat: Stat,
    /// The checksum of all of it, where its stamp was too young to be relied on.
    sum: Option<u32>,
}

impl Mark {
    /// Whether the state in `.weir/state` is still this one.
    pub fn holds(&self, folder: &Path) -> bool {
        self.looks_the_same(folder) && self.sum.is_none_or(|sum| sum_of(&folder.join(JOURNAL)).ok() == Some(sum))
    }

    /// The same, a moment after it was known to hold.
    pub fn looks_the_same(&self, folder: &Path) -> bool {
        std::fs::metadata(folder.join(JOURNAL)).is_ok_and(|now| Stat::of(&now) == self.stat)
    }
}

fn sum_of(path: &Path) -> io::Result<u32> {
    let mut file = std::fs::File::open(path)?;
    let mut sum = crc32fast::Hasher::new();
    let mut chunk = vec![0; 256 << 10];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(sum.finalize()),
            length => sum.update(&chunk[..length]),
        }
    }
}

impl State {
    /// Nothing remembered, and nowhere to write.
    pub fn forgetful() -> Self {
        Self {
            log: None,
            birth: new_id(b""),
            last: FxHashMap::default(),
            incarnations: FxHashMap::default(),
            distrust: false,
            owes_distrust: false,
            loaded_bytes: 0,
            records: 0,
            overtaken: 0,
            bound: None,
        }
    }

    /// Nothing remembered, beside a state in `.weir/state` that can't be opened: since nothing can be
    /// taken off that record, the record goes as a whole. Where that fails too, nothing may run that might
    /// contradict it; on a file system that can't be written, nothing of the workspace can.
    pub fn instead_of(folder: &Path) -> Self {
        let bound = Log::wipe(&folder.join(JOURNAL)).err().map(|error| error.kind());
        Self { bound: bound.filter(|kind| *kind != io::ErrorKind::ReadOnlyFilesystem), ..Self::forgetful() }
    }

    /// Opens the state in `.weir/state`; the second value is the stat memo, the third what was
    /// wrong, for one warning.
    ///
    /// # Errors
    /// The log can't be opened or read.
    pub fn open(folder: &Path) -> io::Result<(Self, Memo, Option<Trouble>)> {
        Self::load(Log::open(&folder.join(JOURNAL), FORMAT)?)
    }

    /// Reads the state in `.weir/state`, and writes nothing.
    ///
    /// # Errors
    /// The log can't be read.
    pub fn read(folder: &Path) -> io::Result<(Self, Memo, Option<Trouble>)> {
        Self::load(Log::read(&folder.join(JOURNAL), FORMAT)?)
    }

    pub(super) fn load(opened: Opened) -> io::Result<(Self, Memo, Option<Trouble>)> {
        let mut state =
            Self { log: opened.log, birth: opened.birth, loaded_bytes: opened.data.len() as u64, ..Self::forgetful() };
        let mut trouble = opened.trouble;
        let mut batches = Vec::new();
        for frame in &opened.frames {
            state.records += 1;
            if let Some(batch) = batch_of_memo(&opened.data, frame) {
                batches.push(batch);
            } else if !state.apply(&opened.data[frame.clone()]) {
                trouble = Some(Trouble::Damaged);
            }
        }
        let memo = Memo::written(opened.data, batches);
        if trouble == Some(Trouble::Damaged) {
            // What is lost may have been an invalidation or a reset: only the memo, whose every
            // entry stands on its own, still counts.
            state.last.clear();
            state.incarnations.clear();
            state.distrust = true;
            if let Some(mut log) = state.log.take() {
                let records = [memo.all().map(StateRecord::Memo), Some(StateRecord::Distrust)];
                let payloads: Vec<Vec<u8>> =
                    records.into_iter().flatten().filter_map(|record| encode(&record).ok()).collect();
                let (writer, news) = log.lock()?;
                if writer.is_empty() || !writer.lost() {
                    writer.replace(payloads.iter().map(Vec::as_slice))?;
                } else {
                    // Another process mended it meanwhile, and went on.
                    drop(writer);
                    state.take_in(false, news);
                }
                state.birth = log.birth();
                state.log = Some(log);
            }
        }
        Ok((state, memo, trouble))
    }

    /// Whether anything can be remembered.
    pub const fn can_write(&self) -> bool {
        self.log.is_some()
    }

    fn apply(&mut self, payload: &[u8]) -> bool {
        match postcard::from_bytes(payload) {
            Ok(record) => {
                self.remember(record);
                true
            }
            Err(_) => false,
        }
    }

    fn remember(&mut self, record: StateRecord) {
        match record {
            StateRecord::Memo(_) => {}
            StateRecord::Last { node, last } => {
                self.last.insert(node.into(), last);
            }
            StateRecord::Incarnation { reset, id } => {
                self.incarnations.insert(reset.into(), id);
            }
            StateRecord::Distrust => self.distrust = true,
        }
    }

    fn append(&mut self, record: StateRecord) -> io::Result<()> {
        self.transact(|_| Some(record.clone()))
    }

    /// Takes the log's lock and takes in what other processes appended; then has `make` decide, on
    /// what is known by then, what is to be appended.
    fn transact(&mut self, make: impl FnOnce(&Self) -> Option<StateRecord>) -> io::Result<()> {
        let Some(mut log) = self.log.take() else {
            if let Some(kind) = self.bound {
                return Err(kind.into());
            }
            if let Some(record) = make(self) {
                self.remember(record);
            }
            return Ok(());
        };
        let done = self.transact_on(&mut log, make);
        self.birth = log.birth();
        self.log = Some(log);
        done
    }

    fn transact_on(&mut self, log: &mut Log, make: impl FnOnce(&Self) -> Option<StateRecord>) -> io::Result<()> {
        let (mut writer, news) = log.lock()?;
        self.take_in(writer.lost(), news);
        if self.owes_distrust {
            if let Err(error) = writer.append(&encode(&StateRecord::Distrust)?) {
                // Nobody may take what is there for all there was.
                writer.wipe()?;
                return Err(error);
            }
            self.owes_distrust = false;
        }
        if let Some(record) = make(self) {
            writer.append(&encode(&record)?)?;
            self.records += 1;
            self.remember(record);
        }
        Ok(())
    }

    /// Takes in what other processes recorded; if the log was `lost`, nothing else is known.
    fn take_in(&mut self, lost: bool, news: Vec<Vec<u8>>) {
        self.overtaken += u64::from(lost || !news.is_empty());
        if lost {
            self.last.clear();
            self.incarnations.clear();
            self.distrust = true;
            self.owes_distrust = true;
        }
        for payload in news {
            self.records += 1;
            if let Ok(record) = postcard::from_bytes(&payload) {
                self.remember(record);
            }
        }
    }

    /// Takes in what other processes recorded meanwhile, if anything was.
    ///
    /// # Errors
    /// The log can't be read.
    pub fn refresh(&mut self) -> io::Result<()> {
        if !self.log.as_ref().is_some_and(Log::has_news) {
            return Ok(());
        }
        let Some(mut log) = self.log.take() else { return Ok(()) };
        let locked = log.lock().map(|(writer, news)| self.take_in(writer.lost(), news));
        self.birth = log.birth();
        self.log = Some(log);
        locked
    }

    /// How often this memory has learnt, by [`State::refresh`] or on the way, of what other processes
    /// recorded: as long as it is the same, what was concluded from the memory holds.
    pub const fn overtaken(&self) -> u64 {
        self.overtaken
    }

    /// For digests of secrets: without it they can't be guessed at, and it never leaves `.weir`.
    pub fn salt(&self) -> String {
        hex(&self.birth)
    }

    /// The last that is known of `node`.
    pub fn last(&self, node: &str) -> Option<&Last> {
        self.last.get(node)
    }

    /// Whether shared results don't count for what nothing is known of.
    pub const fn distrusts(&self) -> bool {
        self.distrust
    }

    /// Whether shared results count for `node`.
    pub fn trusts_shared(&self, node: &str) -> bool {
        match self.last.get(node) {
            Some(Last::Good(_)) => true,
            Some(Last::Dirty { .. }) => false,
            None => !self.distrust,
        }
    }

    /// Before `node` runs, where its result under its key can't be removed: nothing that is on record
    /// counts for it until it has succeeded.
    ///
    /// # Errors
    /// As [`State::invalidate`].
    pub fn invalidate_all(&mut self, node: &str) -> io::Result<()> {
        self.transact(|state| {
            let owned = match state.last.get(node) {
                Some(Last::Dirty { keyless: true, .. }) => return None,
                Some(Last::Dirty { owned, .. }) => owned.clone(),
                Some(Last::Good(recorded)) => recorded.outputs.clone(),
                None => Manifest::default(),
            };
            Some(StateRecord::Last { node: node.into(), last: Last::Dirty { owned, keyless: true } })
        })
    }

    /// Before `node` runs: its last result no longer counts, come what may. `keyless`: it runs
    /// without a key.
    ///
    /// # Errors
    /// It can't be written; then `node` must not be recorded either.
    pub fn invalidate(&mut self, node: &str, keyless: bool) -> io::Result<()> {
        self.transact(|state| {
            let (owned, keyless) = match state.last.get(node) {
                Some(Last::Dirty { keyless: known, .. }) if *known || !keyless => return None,
                Some(Last::Dirty { owned, .. }) => (owned.clone(), keyless),
                Some(Last::Good(recorded)) => (recorded.outputs.clone(), keyless),
                // What never was recorded has nothing to contradict.
                None if keyless => return None,
                None => (Manifest::default(), keyless),
            };
            Some(StateRecord::Last { node: node.into(), last: Last::Dirty { owned, keyless } })
        })
    }

    /// Forgets everything, on disk too: where an invalidation can't be written (no space), nothing
    /// that it contradicts may stay. Needs no space.
    ///
    /// # Errors
    /// Not even that can be done.
    pub fn forget(&mut self) -> io::Result<()> {
        if let Some(kind) = self.bound {
            return Err(kind.into());
        }
        self.take_in(true, vec![]);
        // What is left of the old incarnations is in keys: none of them may come back.
        self.birth = new_id(&self.birth);
        if let Some(log) = &mut self.log {
            log.lock()?.0.wipe()?;
            self.birth = log.birth();
        }
        Ok(())
    }

    /// `node` succeeded.
    ///
    /// # Errors
    /// It can't be written.
    pub fn record(&mut self, node: &str, recorded: Recorded) -> io::Result<()> {
        self.transact(|state| {
            let known = matches!(state.last.get(node), Some(Last::Good(known)) if *known == recorded);
            (!known).then(|| StateRecord::Last { node: node.into(), last: Last::Good(recorded) })
        })
    }

    /// The incarnation that `reset` wrote last, as text for keys. Where none is on record, it is
    /// this memory's own birth: a memory that was lost never agrees with an older one.
    pub fn incarnation(&self, reset: &str) -> String {
        match self.incarnations.get(reset) {
            Some(id) => hex(id),
            None => format!("born {}", hex(&self.birth)),
        }
    }

    /// Writes a new incarnation, before the first act of `reset`.
    ///
    /// # Errors
    /// It can't be written; then the reset must not begin, unless nothing is remembered at all.
    pub fn reincarnate(&mut self, reset: &str) -> io::Result<()> {
        let id = new_id(self.incarnation(reset).as_bytes());
        self.append(StateRecord::Incarnation { reset: reset.into(), id })
    }

    /// Marks the state as it is, if nobody but this process has written to it since it was opened.
    pub fn mark(&mut self, now: i64) -> Option<Mark> {
        let mut log = self.log.take()?;
        let mark = log.lock().ok().and_then(|(writer, news)| {
            self.take_in(writer.lost(), news);
            let stat = Stat::of(&writer.metadata().ok()?);
            let sum = if stat.settled(now) { None } else { Some(sum_of(writer.path()).ok()?) };
            (stat.size == writer.len()).then_some(Mark { stat, sum })
        });
        self.birth = log.birth();
        self.log = Some(log);
        mark.filter(|_| self.overtaken == 0)
    }

    /// Writes what the memo learnt; and the whole log anew when most of it is history.
    ///
    /// # Errors
    /// Writing fails; nothing is lost but speed.
    pub fn keep_memo(&mut self, memo: &Memo) -> io::Result<()> {
        if self.log.is_none() {
            return Ok(());
        }
        let Some(news) = memo.take_news() else { return Ok(()) };
        let long = self.log.as_ref().map_or(0, Log::len) + news.len() as u64;
        if long < COMPACT_AT || long < self.loaded_bytes.max(COMPACT_AT) * 2 && self.records < 50_000 {
            return self.append(StateRecord::Memo(news));
        }
        self.compact(memo)
    }

    pub(super) fn compact(&mut self, memo: &Memo) -> io::Result<()> {
        let Some(mut log) = self.log.take() else { return Ok(()) };
        let done = self.compact_to(&mut log, memo);
        self.birth = log.birth();
        self.log = Some(log);
        done
    }

    fn compact_to(&mut self, log: &mut Log, memo: &Memo) -> io::Result<()> {
        let mut payloads = Vec::new();
        let (writer, news) = log.lock()?;
        self.take_in(writer.lost(), news);
        if let Some(batch) = memo.all() {
            payloads.push(encode(&StateRecord::Memo(batch))?);
        }
        if self.distrust {
            payloads.push(encode(&StateRecord::Distrust)?);
        }
        for (reset, id) in &self.incarnations {
            payloads.push(encode(&StateRecord::Incarnation { reset: (&**reset).into(), id: *id })?);
        }
        for (node, last) in &self.last {
            payloads.push(encode(&StateRecord::Last { node: (&**node).into(), last: last.clone() })?);
        }
        writer.replace(payloads.iter().map(Vec::as_slice))?;
        self.owes_distrust = false;
        Ok(())
    }
}

/// Where in `data` the batch is, if the frame is one of the memo: by far the largest records, whose bytes need no copy.
fn batch_of_memo(data: &[u8], frame: &Range<usize>) -> Option<Range<usize>> {
    let (0, rest) = data[frame.clone()].split_first().map(|(kind, rest)| (*kind, rest))? else { return None };
    let batch = postcard::from_bytes::<&[u8]>(rest).ok()?;
    // A text of bytes is what stands behind its length.
    Some(frame.end - batch.len()..frame.end)
}

fn encode(record: &StateRecord) -> io::Result<Vec<u8>> {
    postcard::to_stdvec(record).map_err(io::Error::other)
}

fn hex(id: &[u8; 16]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Random, and different from all that went before.
fn new_id(before: &[u8]) -> [u8; 16] {
    let mut hasher = Hasher::new();
    hasher.update(before);
    hasher.update(&fresh_random());
    let mut id = [0; 16];
    id.copy_from_slice(&hasher.finish().as_bytes()[..16]);
    id
}

fn fresh_random() -> [u8; 32] {
    use std::hash::{BuildHasher, Hasher as _};
    let mut bytes = [0; 32];
    for part in bytes.chunks_exact_mut(8) {
        let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
        hasher.write_i64(crate::fingerprint::now());
        part.copy_from_slice(&hasher.finish().to_le_bytes());
    }
    bytes
}
