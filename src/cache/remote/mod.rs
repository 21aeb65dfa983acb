//! Results on a server that speaks Bazel's Remote Execution API, version 2: an action cache, and blobs by
//! SHA-256. Everything that comes from there is verified; everything that goes wrong is a miss, told once.

mod ahead;
mod breaker;
mod client;
mod execute;
mod input_root;
mod outputs;
mod packing;
mod patience;
mod proto;
mod take;
mod tls;
mod transfer;
mod uploads;

use super::sharing::{Answered, Exchange, Executed, Order, RemoteSettings, RemoteStore, Watcher};
use super::store::{Store, StoredResult};
use crate::model::{Digest, Notice};
use ahead::Ahead;
use breaker::{Breaker, Fault};
use client::{Client, Limits};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use uploads::Uploads;

/// What took longer than this counts as time lost.
const SLOW: Duration = Duration::from_millis(250);

/// A server.
pub struct Remote {
    inner: Arc<Inner>,
    uploads: Uploads,
    ahead: Ahead,
}

/// What the threads that talk to the server share.
struct Inner {
    settings: RemoteSettings,
    breaker: Breaker,
    client: OnceLock<Result<Client, Fault>>,
    runtime: OnceLock<Option<Io>>,
    starting: Mutex<()>,
    asked: Mutex<Asked>,
    bytes_down: AtomicU64,
    bytes_up: AtomicU64,
    executed: AtomicU32,
    declined: AtomicU32,
}

/// A connection whose server has said what it allows, and where to wait for it.
struct Session<'a> {
    client: &'a Client,
    handle: &'a tokio::runtime::Handle,
    limits: Limits,
}

/// The thread that carries the connection.
struct Io {
    handle: tokio::runtime::Handle,
    _stop: tokio::sync::oneshot::Sender<()>,
}

#[derive(Default)]
struct Asked {
    absent: HashSet<Digest>,
    given: HashSet<Digest>,
    /// Waited for, and saved by what was found.
    lost: Duration,
    saved: Duration,
    /// Up to when what was lost is counted.
    counted: Option<Instant>,
}

impl Remote {
    /// A server that nobody has talked to yet; nothing is started before somebody does.
    pub fn new(settings: RemoteSettings) -> Self {
        let breaker = Breaker::new(settings.endpoint.clone(), settings.required);
        let inner = Arc::new(Inner {
            settings,
            breaker,
            client: OnceLock::new(),
            runtime: OnceLock::new(),
            starting: Mutex::new(()),
            asked: Mutex::default(),
            bytes_down: AtomicU64::new(0),
            bytes_up: AtomicU64::new(0),
            executed: AtomicU32::new(0),
            declined: AtomicU32::new(0),
        });
        Self { uploads: Uploads::new(Arc::clone(&inner)), ahead: Ahead::new(Arc::clone(&inner)), inner }
    }
}

impl Inner {
    fn asked(&self) -> std::sync::MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A server that answers, but so slowly that asking it costs more than it saves, is asked no more. Many are asked for at once:
    /// what counts is the time in which anything was slow.
    fn count(&self, began: Instant, found: Option<&StoredResult>) {
        let now = Instant::now();
        let mut asked = self.asked();
        if now - began > SLOW {
            let counted = asked.counted.map_or(began, |counted| counted.max(began));
            asked.lost += now - counted;
            asked.counted = Some(now);
        }
        asked.saved += found.map_or(Duration::ZERO, |result| Duration::from_millis(result.recorded.duration_ms));
        let more = asked.lost.saturating_sub(asked.saved);
        if more > self.settings.patience {
            self.breaker.open_reads(&Fault::Slow(more));
        }
    }

    /// The client, and where to wait for it; made now if this is the first call.
    fn client(&self) -> Result<(&Client, &tokio::runtime::Handle), Fault> {
        let _one = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        let io = self.runtime.get_or_init(|| Io::start().ok()).as_ref();
        let io = io.ok_or_else(|| Fault::Local("failed to start a thread".into()))?;
        let client = self.client.get_or_init(|| {
            let _inside = io.handle.enter();
            Client::new(&self.settings, self.breaker.watch())
        });
        Ok((client.as_ref().map_err(Clone::clone)?, &io.handle))
    }

    /// The same, once the server has said what it allows.
    fn session(&self) -> Result<Session<'_>, Fault> {
        let (client, handle) = self.client()?;
        let limits = match client.known_limits() {
            Some(limits) => limits,
            None => handle.block_on(client.limits())?,
        };
        Ok(Session { client, handle, limits })
    }
}

impl Io {
    fn start() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        std::thread::Builder::new().name("weir-remote".into()).spawn(move || {
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Self { handle, _stop: stop })
    }
}

impl RemoteStore for Remote {
    fn would_ask(&self, key: &Digest) -> bool {
        let asked = self.inner.asked();
        // What it gave is asked for again, if it was too slow for more: who waited for it must not have done so in vain.
        let closed = self.inner.breaker.reads_open() && !asked.given.contains(key);
        !(closed || asked.absent.contains(key))
    }

    fn ask_ahead(&self, key: &Digest, store: &Store, then: Answered) -> bool {
        !self.inner.breaker.reads_open() && self.ahead.ask(key, store, then)
    }

    fn give_up(&self) {
        self.ahead.give_up();
    }

    fn fetch(&self, key: &Digest, store: &Store) -> Option<StoredResult> {
        let came = self.ahead.came(key);
        // What is here already counts.
        if came.is_none() && !self.would_ask(key) {
            return None;
        }
        let (started, ahead) = (Instant::now(), came.is_some());
        let taken = match came {
            Some(result) => take::whole(self.inner.complete(&result, store).map(|()| Some(result))),
            None => self.inner.take(key, store),
        };
        let found = match taken {
            Ok(found) => found,
            Err(fault) => {
                tracing::debug!(key = %key.short(), ?fault, "not taken from the remote");
                self.inner.breaker.open_reads(&fault);
                None
            }
        };
        tracing::debug!(key = %key.short(), found = found.is_some(), took = ?started.elapsed(), ahead, "had of the remote");
        // What it saved is counted already.
        self.inner.count(started, found.as_ref().filter(|_| !ahead));
        match &found {
            Some(_) => self.inner.asked().given.insert(*key),
            None => self.inner.asked().absent.insert(*key),
        };
        found
    }

    fn gave(&self, key: &Digest) -> bool {
        self.inner.asked().given.contains(key)
    }

    fn offer(&self, key: Digest, store: &Store) {
        if self.takes() && !self.inner.breaker.writes_open() {
            self.uploads.add(key, store);
        }
    }

    fn execute(&self, order: &Order<'_>, store: &Store, watcher: &mut dyn Watcher) -> Executed {
        self.inner.execute(order, store, watcher)
    }

    fn takes(&self) -> bool {
        self.inner.settings.writes
    }

    fn is_required(&self) -> bool {
        self.inner.settings.required
    }

    fn failure(&self) -> Option<Notice> {
        self.inner.breaker.failure()
    }

    fn untold(&self) -> Option<Notice> {
        self.inner.breaker.untold()
    }

    fn is_idle(&self) -> bool {
        self.uploads.is_idle()
    }

    fn finish(&self, hurry: bool) -> Exchange {
        let given = self.uploads.finish(hurry);
        Exchange {
            bytes_down: self.inner.bytes_down.load(Ordering::Relaxed),
            bytes_up: self.inner.bytes_up.load(Ordering::Relaxed),
            given,
            executed: self.inner.executed.load(Ordering::Relaxed),
        }
    }

    fn describe(&self) -> Result<Vec<(&'static str, String)>, Notice> {
        let started = Instant::now();
        let told = self.inner.client().and_then(|(client, handle)| handle.block_on(client.describe()));
        match told {
            Ok(mut lines) => {
                lines.push(("answered in", format!("{} ms", started.elapsed().as_millis())));
                Ok(lines)
            }
            Err(fault) => Err(breaker::notice(&self.inner.settings.endpoint, &fault)),
        }
    }
}
