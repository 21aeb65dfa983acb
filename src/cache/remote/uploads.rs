//! Giving results, behind the run: a queue of keys, and a few threads that read what they name from the
//! store piece by piece, so that however much there is to give, little of it is in memory.

use super::breaker::Fault;
use super::client::OVERHEAD;
use super::proto::{self, KeyAction};
use super::take::blobs_of;
use super::transfer::{Content, Given, read_verified};
use super::{Inner, Session};
use crate::cache::store::{Found, Store, pack};
use crate::fingerprint::digest_file;
use crate::model::Digest;
use bazel_remote_apis::build::bazel::remote::execution::v2 as re;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Threads that give.
const AT_ONCE: usize = 4;
/// How often it is looked whether somebody gives up.
const LOOK: Duration = Duration::from_millis(50);
/// Digests known to be there; a run that gives more asks for some twice.
const REMEMBERED: usize = 1 << 16;

/// What is to be given.
pub(super) struct Uploads {
    shared: Arc<Shared>,
}

struct Shared {
    inner: Arc<Inner>,
    queue: Mutex<Queue>,
    news: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Digest, Store)>,
    threads: usize,
    busy: usize,
    given: u32,
    there: HashSet<Digest>,
}

impl Uploads {
    /// Nothing yet.
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { shared: Arc::new(Shared { inner, queue: Mutex::default(), news: Condvar::new() }) }
    }

    /// Adds the result under a key.
    pub(super) fn add(&self, key: Digest, store: &Store) {
        let mut queue = self.shared.lock();
        queue.waiting.push_back((key, store.clone()));
        if queue.threads < AT_ONCE && queue.threads < queue.waiting.len() + queue.busy {
            let shared = Arc::clone(&self.shared);
            let started = std::thread::Builder::new().name("weir-upload".into()).spawn(move || shared.work());
            match started {
                Ok(_) => queue.threads += 1,
                Err(error) if queue.threads == 0 => {
                    queue.waiting.clear();
                    drop(queue);
                    self.shared.inner.breaker.open_writes(&Fault::Local(format!("failed to start a thread: {error}")));
                    return;
                }
                Err(_) => {}
            }
        }
        drop(queue);
        self.shared.news.notify_all();
    }

    /// Whether nothing is waiting or under way.
    pub(super) fn is_idle(&self) -> bool {
        let mut queue = self.shared.lock();
        // Each call ends in time, and what waits has nothing to wait for once the circuit is open.
        if self.shared.inner.breaker.writes_open() {
            queue.waiting.clear();
        }
        queue.busy == 0 && queue.waiting.is_empty()
    }

    /// Waits until all is given, or nothing more can be; says how many results were.
    pub(super) fn finish(&self, hurry: bool) -> u32 {
        while !hurry && !self.is_idle() {
            let queue = self.shared.lock();
            drop(self.shared.news.wait_timeout(queue, Duration::from_millis(20)));
        }
        let mut queue = self.shared.lock();
        queue.waiting.clear();
        queue.given
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        loop {
            let (key, store) = {
                let mut queue = self.lock();
                loop {
                    if let Some(next) = queue.waiting.pop_front() {
                        queue.busy += 1;
                        break next;
                    }
                    queue = self.news.wait(queue).unwrap_or_else(PoisonError::into_inner);
                }
            };
            let given = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.give(&key, &store)));
            let given = given.unwrap_or_else(|_| Err(Fault::Local("giving a result panicked".into())));
            if let Err(fault) = &given {
                tracing::debug!(key = %key.short(), ?fault, "not given to the remote");
                self.inner.breaker.open_writes(fault);
            }
            let mut queue = self.lock();
            queue.busy -= 1;
            queue.given += u32::from(matches!(given, Ok(true)));
            drop(queue);
            self.news.notify_all();
        }
    }

    /// Gives one result: what it names, then itself, then its name. False: it is not there any more.
    fn give(&self, key: &Digest, store: &Store) -> Result<bool, Fault> {
        if self.inner.breaker.writes_open() {
            return Err(Fault::Off);
        }
        let Found::Yes(stored) = store.result(key, false) else { return Ok(false) };
        let record = pack(&stored).map_err(|error| Fault::Local(error.to_string()))?;
        if record.len() as u64 > proto::LARGEST_RESULT {
            return Ok(false);
        }
        let Session { client, handle, limits } = self.inner.session()?;
        if !limits.updates {
            return Err(Fault::Unfit("it takes no results; `mode = \"read-only\"` says so".into()));
        }
        let (packed, action) = (proto::pack(&stored, record), KeyAction::new(key));
        let mut blobs: BTreeMap<Digest, Given> = BTreeMap::new();
        for (digest, size) in blobs_of(&stored) {
            blobs.insert(digest, Given { digest, size, content: Content::Stored });
        }
        let name = action.name();
        for message in packed.trees.into_iter().chain([packed.record, action.action, action.command, action.root]) {
            let (digest, size) = (message.digest, message.bytes.len() as u64);
            blobs.insert(digest, Given { digest, size, content: Content::Bytes(Arc::new(message.bytes)) });
        }
        if blobs.values().any(|blob| blob.size > limits.blob) {
            return Ok(false);
        }
        self.give_blobs(blobs, store)?;
        let calls = client.results();
        handle.block_on(client.call(0, || {
            let mut calls = calls.clone();
            let request = re::UpdateActionResultRequest {
                instance_name: client.instance.clone(),
                action_digest: Some(name.clone()),
                action_result: Some(packed.result.clone()),
                ..re::UpdateActionResultRequest::default()
            };
            async move { calls.update_action_result(request).await }
        }))?;
        Ok(true)
    }

    /// Gives those that the server is not known to have.
    fn give_blobs(&self, mut blobs: BTreeMap<Digest, Given>, store: &Store) -> Result<(), Fault> {
        {
            // A result is worth nothing if one of these was taken away: what a server is known to have had
            // a moment ago is not asked for again, what it had in an earlier run is.
            let queue = self.lock();
            blobs.retain(|digest, blob| blob.size > 0 && !queue.there.contains(digest));
        }
        self.inner.give_blobs(&blobs, store, &|| false)?;
        let mut queue = self.lock();
        if queue.there.len() > REMEMBERED {
            queue.there.clear();
        }
        queue.there.extend(blobs.into_keys());
        Ok(())
    }
}

impl Inner {
    /// Gives those that the server does not have, until somebody gives up.
    pub(super) fn give_blobs(
        &self,
        blobs: &BTreeMap<Digest, Given>,
        store: &Store,
        gives_up: &dyn Fn() -> bool,
    ) -> Result<(), Fault> {
        let session = self.session()?;
        let asked: Vec<(Digest, u64)> =
            blobs.values().filter(|blob| blob.size > 0).map(|blob| (blob.digest, blob.size)).collect();
        let missing = session.handle.block_on(session.client.missing(&asked))?;
        let (mut batch, mut batched) = (Vec::new(), 0);
        let mut most = session.client.batch(&session.limits);
        for blob in blobs.values().filter(|blob| missing.contains(&blob.digest)) {
            if gives_up() {
                return Ok(());
            }
            if batched + blob.size + OVERHEAD > most && !batch.is_empty() {
                self.give_batch(&session, std::mem::take(&mut batch))?;
                (batched, most) = (0, session.client.batch(&session.limits));
            }
            if blob.size + OVERHEAD > most {
                let giving = unless_given_up(gives_up, session.client.give_stream(blob, store, &session.limits));
                let bytes = session.handle.block_on(giving).map_err(|fault| unless_changed(blob, fault))?;
                self.bytes_up.fetch_add(bytes, Ordering::Relaxed);
            } else {
                batched += blob.size + OVERHEAD;
                batch.push((blob.digest, read_verified(blob, store).map_err(|fault| unless_changed(blob, fault))?));
            }
        }
        if batch.is_empty() { Ok(()) } else { self.give_batch(&session, batch) }
    }

    fn give_batch(&self, session: &Session<'_>, batch: Vec<(Digest, Vec<u8>)>) -> Result<(), Fault> {
        let bytes = session.handle.block_on(session.client.give_together(batch, &session.limits))?;
        self.bytes_up.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

/// `work`, until somebody gives up.
async fn unless_given_up<T>(
    gives_up: &dyn Fn() -> bool,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let mut work = std::pin::pin!(work);
    while !gives_up() {
        if let Ok(done) = tokio::time::timeout(LOOK, &mut work).await {
            return done;
        }
    }
    Err(Fault::Off)
}

/// What went wrong with a blob, unless it went wrong since its file is another by now.
fn unless_changed(blob: &Given, fault: Fault) -> Fault {
    match &blob.content {
        Content::Lies(path) if !digest_file(path).is_ok_and(|now| now.digest == blob.digest) => {
            Fault::Changed(path.display().to_string())
        }
        _ => fault,
    }
}
