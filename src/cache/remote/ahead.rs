//! Asking ahead: results are asked for while nobody waits for them, many at once, and what they name is taken together,
//! whichever of them names it. One thread takes in what comes: it verifies it and writes it down; no task's own thread is held up.

use super::breaker::Fault;
use super::client::OVERHEAD;
use super::patience::Crowd;
use super::take::{Said, blobs_of, read_record};
use super::transfer::{local, verify_each};
use super::{Inner, Session};
use crate::cache::sharing::{Answered, Kept};
use crate::cache::store::{Store, StoredResult};
use crate::model::Digest;
use bazel_remote_apis::build::bazel::remote::execution::v2 as re;
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

/// Messages with blobs that are under way at once.
const READS: usize = 3;
/// Bytes of records that are here, or may come, and that nobody has used yet.
const RECORDS: usize = 16 << 20;

/// What is asked for ahead.
pub(super) struct Ahead {
    inner: Arc<Inner>,
    came: Arc<Shelf>,
    inbox: OnceLock<Option<Sender<Event>>>,
}

/// What came, until those who asked for it are done with it.
#[derive(Default)]
struct Shelf(Mutex<HashMap<Digest, Came>>);

struct Came {
    result: Arc<StoredResult>,
    /// Of its record.
    bytes: usize,
    /// Those who asked.
    for_whom: usize,
}

/// Keeps what came on the shelf.
struct Keeper {
    key: Digest,
    shelf: Arc<Shelf>,
    inbox: Sender<Event>,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keeper({})", self.key.short())
    }
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Came>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let mut shelf = self.shelf.lock();
        let Some(came) = shelf.get_mut(&self.key) else { return };
        came.for_whom -= 1;
        if came.for_whom == 0 {
            let bytes = came.bytes;
            shelf.remove(&self.key);
            let _ = self.inbox.send(Event::Used(bytes));
        }
    }
}

/// What reaches the thread that takes in.
enum Event {
    /// A key to be asked for.
    Ask(Digest, Store, Answered),
    /// What the server says of a key.
    Said(Digest, Result<Said, Fault>),
    /// What it gave of these blobs.
    Gave(Vec<(Digest, u64)>, Result<re::BatchReadBlobsResponse, Fault>),
    /// So many bytes of a record are of no use any more.
    Used(usize),
    /// Nobody waits for what is not here yet.
    GiveUp,
    /// Nobody asks any more.
    End,
}

impl Ahead {
    /// Nothing yet.
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner, came: Arc::default(), inbox: OnceLock::new() }
    }

    /// Asks; `then` is called once there is an answer. False: that can't be.
    pub(super) fn ask(&self, key: &Digest, store: &Store, then: Answered) -> bool {
        let inbox = self.inbox.get_or_init(|| {
            let (sender, events) = channel();
            let taker = Taker::new(&self.inner, &self.came, sender.clone());
            let started = std::thread::Builder::new().name("weir-take".into()).spawn(move || taker.work(&events));
            started.ok().map(|_| sender)
        });
        let event = Event::Ask(*key, store.clone(), then);
        inbox.as_ref().is_some_and(|inbox| inbox.send(event).is_ok())
    }

    /// What came of a key that was asked for.
    pub(super) fn came(&self, key: &Digest) -> Option<StoredResult> {
        let came = Arc::clone(&self.came.lock().get(key)?.result);
        Some((*came).clone())
    }

    /// Answers for all that is not here yet: there is nothing.
    pub(super) fn give_up(&self) {
        self.tell(Event::GiveUp);
    }

    fn tell(&self, event: Event) {
        if let Some(Some(inbox)) = self.inbox.get() {
            let _ = inbox.send(event);
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.tell(Event::End);
    }
}

/// A key whose answer is not whole yet.
struct Open {
    store: Store,
    then: Vec<Answered>,
    /// When it was asked for; none: it waits for its turn.
    began: Option<Instant>,
    /// The blob that is its record, where that comes with others.
    record: Option<Digest>,
    /// The result, and the bytes of its record.
    result: Option<(StoredResult, usize)>,
    /// Blobs that are still to come.
    missing: usize,
}

/// A blob that is to come, and the keys whose results need it.
struct Wanted {
    size: u64,
    by: Vec<Digest>,
}

/// Takes in what comes.
struct Taker {
    inner: Arc<Inner>,
    shelf: Arc<Shelf>,
    inbox: Sender<Event>,
    open: HashMap<Digest, Open>,
    waiting: VecDeque<Digest>,
    /// Keys that the server was asked for and says nothing of yet.
    asking: usize,
    crowd: Crowd,
    wanted: HashMap<Digest, Wanted>,
    /// Of these, those that are not under way.
    to_read: VecDeque<Digest>,
    reading: usize,
    /// Bytes of records that are here, and of the largest of all.
    held: usize,
    largest: usize,
}

impl Taker {
    fn new(inner: &Arc<Inner>, shelf: &Arc<Shelf>, inbox: Sender<Event>) -> Self {
        Self {
            inner: Arc::clone(inner),
            shelf: Arc::clone(shelf),
            inbox,
            open: HashMap::new(),
            waiting: VecDeque::new(),
            asking: 0,
            crowd: Crowd::new(inner.settings.patience),
            wanted: HashMap::new(),
            to_read: VecDeque::new(),
            reading: 0,
            held: 0,
            largest: 0,
        }
    }

    fn work(mut self, events: &Receiver<Event>) {
        while let Ok(event) = events.recv() {
            if matches!(event, Event::End) {
                return;
            }
            let done = catch_unwind(AssertUnwindSafe(|| {
                self.take_in(event);
                self.go_on();
            }));
            if done.is_err() {
                self.inner.breaker.open_reads(&Fault::Local("taking a result panicked".into()));
                self.turn_all_away();
            }
        }
    }

    fn take_in(&mut self, event: Event) {
        match event {
            Event::Ask(key, store, then) => self.ask(key, store, then),
            Event::Said(key, said) => self.said(&key, said),
            Event::Gave(asked, gave) => self.gave(&asked, gave),
            Event::Used(bytes) => self.held = self.held.saturating_sub(bytes),
            Event::GiveUp | Event::End => self.turn_all_away(),
        }
    }

    fn ask(&mut self, key: Digest, store: Store, then: Answered) {
        if let Some(open) = self.open.get_mut(&key) {
            return open.then.push(then);
        }
        if let Some(came) = self.shelf.lock().get_mut(&key) {
            came.for_whom += 1;
        } else {
            let open = Open { store, then: vec![then], began: None, record: None, result: None, missing: 0 };
            self.open.insert(key, open);
            return self.waiting.push_back(key);
        }
        then(self.keeper(key));
    }

    fn keeper(&self, key: Digest) -> Kept {
        Box::new(Keeper { key, shelf: Arc::clone(&self.shelf), inbox: self.inbox.clone() })
    }

    /// Starts what can be started.
    fn go_on(&mut self) {
        if self.inner.breaker.reads_open() {
            return self.turn_away();
        }
        let room = |this: &Self| {
            let expected = this.held + this.asking * this.largest;
            this.asking < this.crowd.most() && (expected < RECORDS || this.asking == 0)
        };
        while !self.waiting.is_empty() && room(self) {
            let Some(key) = self.waiting.pop_front() else { return };
            if let Err(fault) = self.begin(key) {
                self.fail(&key, &fault);
                return self.turn_away();
            }
        }
        while self.reading < READS && !self.to_read.is_empty() {
            if let Err(fault) = self.read() {
                self.inner.breaker.open_reads(&fault);
                return self.turn_away();
            }
        }
    }

    fn begin(&mut self, key: Digest) -> Result<(), Fault> {
        let (_, handle) = self.inner.client()?;
        let (inner, inbox) = (Arc::clone(&self.inner), self.inbox.clone());
        if let Some(open) = self.open.get_mut(&key) {
            open.began = Some(Instant::now());
        }
        self.asking += 1;
        handle.spawn(async move {
            let said = async {
                let (client, _) = inner.client()?;
                let limits = client.limits().await?;
                client.result(&key, &limits).await
            };
            let said = said.await;
            let _ = inbox.send(Event::Said(key, said));
        });
        Ok(())
    }

    fn said(&mut self, key: &Digest, said: Result<Said, Fault>) {
        self.asking -= 1;
        let Some(open) = self.open.get_mut(key) else { return };
        self.crowd.learn(open.began.map(|began| began.elapsed()).unwrap_or_default());
        match said {
            Ok(Said { record: Some(record), streamed, .. }) => {
                self.inner.bytes_down.fetch_add(streamed, Ordering::Relaxed);
                self.recorded(key, &record);
            }
            Ok(Said { digest, size, .. }) => {
                open.record = Some(digest);
                self.want(key, (digest, size));
            }
            Err(fault) => self.fail(key, &fault),
        }
    }

    /// The record is here: now for what it names.
    fn recorded(&mut self, key: &Digest, record: &[u8]) {
        let stored = match read_record(key, record) {
            Ok(Some(stored)) => stored,
            Ok(None) => return self.answer(key, None),
            Err(fault) => return self.fail(key, &fault),
        };
        let small = match self.inner.session() {
            Ok(Session { client, limits, .. }) => client.batch(&limits),
            Err(fault) => return self.fail(key, &fault),
        };
        let Some(open) = self.open.get_mut(key) else { return };
        // Empty ones need not come, and large ones come as streams, to whoever uses them.
        let comes = |blob: &(Digest, u64)| blob.1 > 0 && blob.1 + OVERHEAD <= small && !open.store.has_blob(&blob.0);
        let blobs: Vec<(Digest, u64)> = blobs_of(&stored).into_iter().filter(comes).collect();
        open.result = Some((stored, record.len()));
        self.held += record.len();
        self.largest = self.largest.max(record.len());
        blobs.into_iter().for_each(|blob| self.want(key, blob));
        self.unless_missing(key);
    }

    /// A result needs a blob.
    fn want(&mut self, key: &Digest, (digest, size): (Digest, u64)) {
        let wanted = self.wanted.entry(digest).or_insert_with(|| {
            self.to_read.push_back(digest);
            Wanted { size, by: vec![] }
        });
        // It may name one twice.
        if let (false, Some(open)) = (wanted.by.contains(key), self.open.get_mut(key)) {
            wanted.by.push(*key);
            open.missing += 1;
        }
    }

    fn is_needed(&self, wanted: &Wanted) -> bool {
        wanted.by.iter().any(|key| self.open.contains_key(key))
    }

    /// Asks for as many blobs as go into one message.
    fn read(&mut self) -> Result<(), Fault> {
        let Session { client, handle, limits } = self.inner.session()?;
        let most = client.batch(&limits);
        let (mut some, mut bytes) = (vec![], 0);
        while let Some(digest) = self.to_read.front() {
            // Nobody may need it any more.
            let Some(wanted) = self.wanted.get(digest).filter(|wanted| self.is_needed(wanted)) else {
                self.wanted.remove(digest);
                self.to_read.pop_front();
                continue;
            };
            if bytes + wanted.size + OVERHEAD > most && !some.is_empty() {
                break;
            }
            bytes += wanted.size + OVERHEAD;
            some.push((*digest, wanted.size));
            self.to_read.pop_front();
        }
        if some.is_empty() {
            return Ok(());
        }
        self.reading += 1;
        let (inner, inbox) = (Arc::clone(&self.inner), self.inbox.clone());
        handle.spawn(async move {
            let gave = match inner.client() {
                Ok((client, _)) => client.read_together(&some, &limits).await,
                Err(fault) => Err(fault),
            };
            let _ = inbox.send(Event::Gave(some, gave));
        });
        Ok(())
    }

    /// What is wrong with one blob concerns those that need it, and nobody else.
    fn gave(&mut self, asked: &[(Digest, u64)], gave: Result<re::BatchReadBlobsResponse, Fault>) {
        self.reading -= 1;
        let limits = self.inner.session().map(|session| session.limits);
        let blobs = match (gave, limits) {
            (Ok(gave), Ok(limits)) => {
                let (blobs, bytes) = verify_each(asked, gave, &limits);
                self.inner.bytes_down.fetch_add(bytes, Ordering::Relaxed);
                blobs
            }
            (Err(fault), _) | (_, Err(fault)) => asked.iter().map(|_| Err(fault.clone())).collect(),
        };
        for ((digest, _), blob) in asked.iter().zip(blobs) {
            let by = self.wanted.remove(digest).map(|wanted| wanted.by).unwrap_or_default();
            for key in by {
                match &blob {
                    Ok(data) => self.came(&key, digest, data),
                    Err(fault) => self.fail(&key, fault),
                }
            }
        }
    }

    /// A blob that a result needs is here.
    fn came(&mut self, key: &Digest, digest: &Digest, data: &[u8]) {
        let Some(open) = self.open.get_mut(key) else { return };
        // It may have been given up, and asked for once more since.
        open.missing = open.missing.saturating_sub(1);
        if open.record.take_if(|record| record == digest).is_some() {
            return self.recorded(key, data);
        }
        match open.store.put_verified(digest, data) {
            Ok(()) => self.unless_missing(key),
            Err(error) => self.fail(key, &local(&error)),
        }
    }

    /// Answers, once everything small that a result names is here.
    fn unless_missing(&mut self, key: &Digest) {
        let whole = self.open.get_mut(key).filter(|open| open.missing == 0);
        if let Some(result) = whole.and_then(|open| open.result.take()) {
            self.answer(key, Some(result));
        }
    }

    fn fail(&mut self, key: &Digest, fault: &Fault) {
        // Some servers keep results longer than what they name.
        if !fault.is_absent() {
            tracing::debug!(key = %key.short(), ?fault, "not taken from the remote");
            self.inner.breaker.open_reads(fault);
        }
        self.answer(key, None);
    }

    fn answer(&mut self, key: &Digest, found: Option<(StoredResult, usize)>) {
        let Some(open) = self.open.remove(key) else { return };
        self.held -= open.result.map_or(0, |(_, bytes)| bytes);
        if let Some(began) = open.began {
            tracing::debug!(key = %key.short(), found = found.is_some(), took = ?began.elapsed(), "asked the remote");
            self.inner.count(began, found.as_ref().map(|(stored, _)| stored));
            if found.is_none() {
                self.inner.asked().absent.insert(*key);
            }
        }
        let Some((result, bytes)) = found else {
            return open.then.into_iter().for_each(|then| then(Box::new(())));
        };
        let came = Came { result: Arc::new(result), bytes, for_whom: open.then.len() };
        self.shelf.lock().insert(*key, came);
        for then in open.then {
            then(self.keeper(*key));
        }
    }

    /// Answers for what was not begun: there is nothing.
    fn turn_away(&mut self) {
        for key in std::mem::take(&mut self.waiting) {
            self.answer(&key, None);
        }
        for digest in std::mem::take(&mut self.to_read) {
            let by = self.wanted.remove(&digest).map(|wanted| wanted.by).unwrap_or_default();
            by.iter().for_each(|key| self.answer(key, None));
        }
    }

    /// The same for all, also for what is under way.
    fn turn_all_away(&mut self) {
        (self.waiting, self.to_read, self.wanted) = Default::default();
        let all: Vec<Digest> = self.open.keys().copied().collect();
        all.iter().for_each(|key| self.answer(key, None));
    }
}
