//! What a run works with: the workspace's memory, its store, its environment, and the machinery for
//! processes, started when the first of them is needed.

use crate::cache::{Place, PlaceError, RemoteStore, Starts, State, Store};
use crate::fingerprint::{Memo, Surveyor};
use crate::journal::{Holder, Lock, LockKind, NameLocks, Trouble};
use crate::model::Notice;
use crate::node::{Cancel, Context, Outside, Programs};
use crate::process::{Guard, ProcessError, Redactor, take_short_turns};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use tokio::sync::watch;

/// Something about the workspace that a person should know, for one warning each.
pub type WorkspaceTrouble = Notice;

/// What a run works with.
pub struct Services {
    /// The workspace root.
    pub root: PathBuf,
    /// The environment weir was started with.
    pub outside: Arc<Outside>,
    /// Reads inputs and outputs.
    pub surveyor: Surveyor,
    /// Blobs and results; none where nothing can be stored.
    pub store: Option<Store>,
    /// Where results are shared beyond this machine, if they are.
    pub remote: Option<Arc<dyn RemoteStore>>,
    /// What of the run is to be done elsewhere than in the workspace.
    pub elsewhere: Elsewhere,
    /// `.weir`; none where it can't be written.
    pub place: Option<Place>,
    /// A lock for each task.
    pub task_locks: NameLocks,
    /// Which run started which task last.
    pub starts: Starts,
    /// This process, as others see it.
    pub me: Holder,
    state: Mutex<State>,
    machinery: OnceLock<Machinery>,
    secrets: RwLock<Secrets>,
    programs: Programs,
    /// What the guard keeps open for as long as it ends things.
    held: OnceLock<std::fs::File>,
    /// No guard of an earlier run is still ending things.
    settled: std::sync::atomic::AtomicBool,
    _in_use: Vec<Lock>,
}

/// What of a run is to be done elsewhere than in the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elsewhere {
    /// What says so, where there is a remote for it.
    AsDeclared,
    /// All that can be: by the remote.
    Remote,
    /// All that can be: here, each in a folder that holds its inputs alone.
    Isolated,
}

/// What no byte leaving weir may hold.
#[derive(Default)]
struct Secrets {
    known: BTreeSet<String>,
    redactor: Redactor,
}

/// The runtime for processes, and their guard.
struct Machinery {
    runtime: tokio::runtime::Handle,
    guard: Guard,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// Why there are no services.
#[derive(Debug)]
pub enum ServicesError {
    /// The state can't be read.
    State(io::Error),
}

impl std::fmt::Display for ServicesError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::State(error) => write!(f, "failed to read the workspace's state: {error}"),
        }
    }
}

impl std::error::Error for ServicesError {}

impl Services {
    /// For a run that records. A workspace that can't be written gives a warning, and services
    /// that remember nothing.
    pub fn open(
        root: &Path,
        outside: Arc<Outside>,
        shared: Option<&Path>,
        me: Holder,
    ) -> (Self, Vec<WorkspaceTrouble>) {
        let mut troubles = Vec::new();
        let mut services = Self::forgetful(root, outside, me);
        let place = match Place::open(root) {
            Ok(place) => place,
            Err(error) => {
                services.state = Mutex::new(State::instead_of(&Place::at(root).state()));
                troubles.push(cannot_write(&error));
                return (services, troubles);
            }
        };
        // `weir cache prune` waits until nobody works with the store.
        let shared_lock = shared.map(Store::lock_of);
        for path in [Some(place.store_lock()), shared_lock].into_iter().flatten() {
            let lock = Lock::take(&path, LockKind::Shared, &services.me, |_| (), || false);
            services._in_use.extend(lock.ok().flatten());
        }
        let opened = Store::open(place.weir(), shared).or_else(|error| {
            let Some(shared) = shared else { return Err(error) };
            troubles.push(Notice {
                code: "no-shared-cache".into(),
                message: format!("failed to open the shared cache in `{}`: {error}; it is not used", shared.display()),
                help: Some("make that folder writable, or unset WEIR_CACHE_DIR".into()),
            });
            Store::open(place.weir(), None)
        });
        match opened {
            Ok(store) => services.store = Some(store),
            Err(error) => troubles.push(Notice {
                code: "no-store".into(),
                message: format!("failed to open the cache: {error}; results are not recorded"),
                help: None,
            }),
        }
        match State::open(&place.state()) {
            Ok((state, memo, trouble)) => {
                troubles.extend(trouble.as_ref().map(state_trouble));
                services.state = Mutex::new(state);
                services.surveyor = Surveyor::new(root, memo);
            }
            Err(error) => {
                services.state = Mutex::new(State::instead_of(&place.state()));
                troubles.push(Notice {
                    code: "no-state".into(),
                    message: format!("failed to open `.weir/state`: {error}; nothing is remembered"),
                    help: Some("make it writable, or remove `.weir`".into()),
                });
            }
        }
        if !services.lock_state().can_write() {
            // Without a memory of what was invalidated, no result may count.
            services.store = None;
        }
        services.place = Some(place);
        (services, troubles)
    }

    /// For looking only: reads what there is, and writes nothing.
    ///
    /// # Errors
    /// The state can't be read.
    pub fn look(
        root: &Path,
        outside: Arc<Outside>,
        shared: Option<&Path>,
        me: Holder,
    ) -> Result<(Self, Vec<WorkspaceTrouble>), ServicesError> {
        let mut services = Self::forgetful(root, outside, me);
        let Some(place) = Place::existing(root) else {
            // The first run makes it. Until then there may be results in the shared cache.
            services.store = Some(Store::at(&Place::of(root), shared));
            return Ok((services, vec![]));
        };
        let (state, memo, trouble) = State::read(&place.state()).map_err(ServicesError::State)?;
        services.state = Mutex::new(state);
        services.surveyor = Surveyor::new(root, memo);
        services.store = Some(Store::at(place.weir(), shared));
        Ok((services, trouble.as_ref().map(state_trouble).into_iter().collect()))
    }

    fn forgetful(root: &Path, outside: Arc<Outside>, me: Holder) -> Self {
        Self {
            root: root.to_path_buf(),
            outside,
            surveyor: Surveyor::new(root, Memo::default()),
            store: None,
            remote: None,
            elsewhere: Elsewhere::AsDeclared,
            place: None,
            task_locks: NameLocks::at(Place::at(root).task_locks()),
            starts: Starts::at(Place::at(root).starts()),
            me,
            state: Mutex::new(State::forgetful()),
            machinery: OnceLock::new(),
            secrets: RwLock::default(),
            programs: Programs::default(),
            held: OnceLock::new(),
            settled: std::sync::atomic::AtomicBool::new(false),
            _in_use: Vec::new(),
        }
    }

    /// Adds secrets to be masked from now on.
    pub fn learn_secrets(&self, more: impl IntoIterator<Item = String>) {
        let mut secrets = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        let before = secrets.known.len();
        secrets.known.extend(more);
        if secrets.known.len() != before {
            secrets.redactor = Redactor::new(secrets.known.iter().cloned());
        }
    }

    /// What masks them.
    pub fn redactor(&self) -> Redactor {
        self.secrets.read().unwrap_or_else(PoisonError::into_inner).redactor.clone()
    }

    /// A text without secrets.
    pub fn mask(&self, text: &str) -> String {
        let secrets = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        if secrets.redactor.is_empty() { text.to_owned() } else { secrets.redactor.mask(text) }
    }

    /// A value with every text in it masked.
    pub fn masked<T: serde::Serialize + serde::de::DeserializeOwned>(&self, value: T) -> T {
        let secrets = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        if secrets.redactor.is_empty() {
            return value;
        }
        let Ok(mut tree) = serde_json::to_value(&value) else { return value };
        mask_texts(&mut tree, &secrets.redactor);
        // A text that must stay as it is to be read back (a time, a digest) holds no secret.
        serde_json::from_value(tree).unwrap_or(value)
    }

    /// The workspace's memory, for this thread alone.
    pub fn lock_state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the guard keep `held` open, a handle on the run's lock.
    pub fn hold(&self, held: std::fs::File) {
        let _ = self.held.set(held);
    }

    /// Waits until what a killed weir left behind has ended; tells `waiting` for whom. `again`:
    /// another process may have been killed since the last call. False: given up.
    pub fn wait_for_the_dying(
        &self,
        again: bool,
        mut waiting: impl FnMut(String),
        give_up: impl Fn() -> bool,
    ) -> io::Result<bool> {
        use std::sync::atomic::Ordering;
        let Some(place) = &self.place else { return Ok(true) };
        if self.settled.load(Ordering::Acquire) && !again {
            return Ok(true);
        }
        while let Some((lock, holder)) = place.dying_run(&self.me) {
            let tell = |_: &Holder| waiting(format!("what {holder} left behind to end"));
            if Lock::take(&lock, LockKind::Shared, &self.me, tell, &give_up)?.is_none() {
                return Ok(false);
            }
        }
        tracing::debug!("no earlier run has anything left to end");
        self.settled.store(true, Ordering::Release);
        Ok(true)
    }

    /// The runtime and the guard; started now if this is the first call.
    fn machinery(&self) -> Result<&Machinery, ProcessError> {
        if let Some(machinery) = self.machinery.get() {
            return Ok(machinery);
        }
        let started = Machinery::start(self.held.get().and_then(|held| held.try_clone().ok()))?;
        if let Err(surplus) = self.machinery.set(started) {
            surplus.stop();
        }
        self.machinery.get().ok_or(ProcessError::Ended)
    }

    /// What nodes are given, and where to wait for them.
    ///
    /// # Errors
    /// The guard can't be started.
    pub fn context(
        &self,
        run_id: &str,
        cancel: watch::Receiver<Cancel>,
    ) -> Result<(Context, tokio::runtime::Handle), ProcessError> {
        // Two threads must not start two guards.
        let _one = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        let machinery = self.machinery()?;
        let context = Context {
            root: self.root.clone(),
            outside: Arc::clone(&self.outside),
            run_id: run_id.to_owned(),
            guard: machinery.guard.clone(),
            cancel,
            programs: Arc::clone(&self.programs),
            iteration: None,
            lent: vec![],
        };
        Ok((context, machinery.runtime.clone()))
    }

    /// Does `work` with what nodes are given to work with, for a command that is no run. Nothing cuts it short.
    ///
    /// # Errors
    /// The guard can't be started.
    pub fn block_on<T, F: Future<Output = T>>(
        &self,
        what: &str,
        work: impl FnOnce(Context) -> F,
    ) -> Result<T, ProcessError> {
        let (_never, cancel) = watch::channel(Cancel::No);
        let (context, runtime) = self.context(what, cancel)?;
        let done = runtime.block_on(work(context));
        self.finish();
        Ok(done)
    }

    /// Kills everything that runs, at once.
    pub fn kill_all(&self) {
        if let Some(machinery) = self.machinery.get() {
            machinery.guard.kill_all();
        }
    }

    /// Ends what tasks left running; says what that was.
    pub fn finish(&self) -> Vec<String> {
        let Some(machinery) = self.machinery.get() else { return vec![] };
        let report = machinery.runtime.block_on(machinery.guard.finish());
        report.strays.iter().map(|stray| format!("{} (pid {})", stray.name, stray.pid)).collect()
    }
}

impl Machinery {
    fn start(held: Option<std::fs::File>) -> Result<Self, ProcessError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| ProcessError::io("start the runtime", &error))?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("weir-io".into())
            .spawn(move || {
                take_short_turns();
                let _ = runtime.block_on(stopped);
            })
            .map_err(|error| ProcessError::io("start a thread", &error))?;
        let guard = Guard::start_holding(&handle, held)?;
        Ok(Self { runtime: handle, guard, stop: Some(stop), thread: Some(thread) })
    }

    fn stop(mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn mask_texts(tree: &mut serde_json::Value, redactor: &Redactor) {
    match tree {
        serde_json::Value::String(text) => *text = redactor.mask(text),
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| mask_texts(item, redactor)),
        serde_json::Value::Object(fields) => {
            // What names a variant of an enum is weir's own word.
            let own = ["event", "outcome", "kind", "why", "verdict", "key", "at"];
            fields
                .iter_mut()
                .filter(|(name, _)| !own.contains(&name.as_str()))
                .for_each(|(_, item)| mask_texts(item, redactor));
        }
        _ => {}
    }
}

fn cannot_write(error: &PlaceError) -> Notice {
    Notice {
        code: "no-state".into(),
        message: format!("{error}; tasks run, but nothing is recorded"),
        help: Some("make the workspace writable, to have results recorded".into()),
    }
}

fn state_trouble(trouble: &Trouble) -> Notice {
    match trouble {
        Trouble::Damaged => Notice {
            code: "damaged-state".into(),
            message: "`.weir/state` was damaged; what it remembered of tasks is forgotten".into(),
            help: None,
        },
        Trouble::Newer { format, .. } => Notice {
            code: "newer-state".into(),
            message: format!(
                "`.weir/state` was written by a newer version of weir (format {format}); nothing is recorded"
            ),
            help: Some("use that version, or remove `.weir`".into()),
        },
    }
}
