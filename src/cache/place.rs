//! The `.weir` folder of a workspace: where its parts are, and what to do where it can't be written.

use crate::journal::{Holder, Lock, LockKind};
use crate::model::Digest;
use std::io;
use std::path::{Path, PathBuf};

/// Runs kept under `.weir/runs`.
const KEPT_RUNS: usize = 20;

/// The `.weir` folder, there and writable.
#[derive(Debug, Clone)]
pub struct Place {
    weir: PathBuf,
}

/// Why there is no writable `.weir`.
#[derive(Debug)]
pub struct PlaceError {
    /// The path in question.
    pub path: PathBuf,
    /// What the system said.
    pub error: io::Error,
}

impl std::fmt::Display for PlaceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "failed to write to `{}`: {}", self.path.display(), self.error)
    }
}

impl std::error::Error for PlaceError {}

/// The folder of one run. Its lock tells others that the run is going on.
#[derive(Debug)]
pub struct RunFolder {
    /// The run's id.
    pub id: String,
    /// The folder.
    pub path: PathBuf,
    _lock: Option<Lock>,
    /// Taken before the first process, and handed to the guard.
    ending: Option<Lock>,
    _temporary: Option<tempfile::TempDir>,
}

impl Place {
    /// Makes sure that `.weir` under `root` is there, ignores itself, and can be written.
    ///
    /// # Errors
    /// [`PlaceError`] where it can't.
    pub fn open(root: &Path) -> Result<Self, PlaceError> {
        let weir = Self::of(root);
        let make =
            |path: PathBuf| std::fs::create_dir_all(&path).map_err(|error| PlaceError { path: path.clone(), error });
        if !weir.join(".gitignore").is_file() {
            make(weir.clone())?;
            let ignore = weir.join(".gitignore");
            std::fs::write(&ignore, "*\n").map_err(|error| PlaceError { path: ignore, error })?;
        }
        for folder in ["state", "locks", "runs", "results", "cas"] {
            make(weir.join(folder))?;
        }
        let place = Self { weir };
        // Folders may be there on a file system that has become read-only.
        place.probe()?;
        Ok(place)
    }

    /// Where the `.weir` of a workspace is, or will be.
    pub fn of(root: &Path) -> PathBuf {
        root.join(".weir")
    }

    /// An existing `.weir`, whatever can be done with it; none if there is none.
    pub fn existing(root: &Path) -> Option<Self> {
        let weir = Self::of(root);
        weir.join("state").is_dir().then_some(Self { weir })
    }

    /// The `.weir` of a workspace, whether it is there or not.
    pub fn at(root: &Path) -> Self {
        Self { weir: Self::of(root) }
    }

    /// Whether results can be recorded.
    ///
    /// # Errors
    /// [`PlaceError`] where they can't.
    pub fn probe(&self) -> Result<(), PlaceError> {
        let state = self.state();
        nix::unistd::access(&state, nix::unistd::AccessFlags::W_OK)
            .map_err(|errno| PlaceError { path: state, error: errno.into() })
    }

    /// `.weir` itself.
    pub fn weir(&self) -> &Path {
        &self.weir
    }

    /// `.weir/state`.
    pub fn state(&self) -> PathBuf {
        self.weir.join("state")
    }

    /// `.weir/runs`.
    pub fn runs(&self) -> PathBuf {
        self.weir.join("runs")
    }

    /// `.weir/seals`.
    pub fn seals(&self) -> PathBuf {
        self.weir.join("seals")
    }

    /// The locks of all tasks, by name.
    pub fn task_locks(&self) -> PathBuf {
        self.weir.join("locks/tasks")
    }

    /// What a process of the workspace runs, where it has left word of that with its run.
    pub fn run_of(&self, pid: u32) -> Holder {
        let holders = self.run_ids().into_iter().map(|id| Holder::named_in(&self.runs().join(id).join("lock")));
        let found = holders.flatten().find(|holder| pid != 0 && holder.pid == pid);
        found.unwrap_or(Holder { pid, command: String::new() })
    }

    /// A lock declared with `locks`.
    pub fn user_lock(&self, name: &str) -> PathBuf {
        self.weir.join("locks").join(format!("name-{}", file_name(name)))
    }

    /// Which run started which task last.
    pub fn starts(&self) -> PathBuf {
        self.weir.join("locks/started")
    }

    /// Whether a run is going on: who goes on with it.
    pub fn alive(&self, run: &str, me: &Holder) -> Option<Holder> {
        let lock = self.runs().join(run).join("lock");
        if lock.is_file() { Lock::try_take(&lock, LockKind::Shared, me).ok()?.err() } else { None }
    }

    /// The lock of who resumes a run.
    pub fn resuming_lock(&self, run: &str) -> PathBuf {
        self.runs().join(run).join("resumed")
    }

    /// The lock that runs share and that pruning takes alone.
    pub fn store_lock(&self) -> PathBuf {
        self.weir.join("locks/store")
    }

    /// Makes the folder of a new run, and removes those of old ones.
    ///
    /// # Errors
    /// It can't be created.
    pub fn new_run(&self, me: &Holder) -> io::Result<RunFolder> {
        let runs = self.runs();
        loop {
            let id = new_id();
            let path = runs.join(&id);
            match std::fs::create_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    let lock = Lock::try_take(&path.join("lock"), LockKind::Exclusive, me)?.ok();
                    let ending = Lock::try_take(&path.join("ending"), LockKind::Exclusive, me)?.ok();
                    self.remove_old_runs(me, KEPT_RUNS);
                    return Ok(RunFolder { id, path, _lock: lock, ending, _temporary: None });
                }
            }
        }
    }

    /// The same for a run that starts nothing and ends at once: there is nothing to lock.
    ///
    /// # Errors
    /// It can't be created.
    pub fn new_brief_run(&self, me: &Holder) -> io::Result<RunFolder> {
        let id = new_id();
        let path = self.runs().join(&id);
        std::fs::create_dir(&path)?;
        // Many at once: most such runs then change nothing but their own folder.
        self.remove_old_runs(me, 2 * KEPT_RUNS);
        Ok(RunFolder { id, path, _lock: None, ending: None, _temporary: None })
    }

    /// A run whose weir is gone and whose guard is still ending what it left: the lock that the
    /// guard holds, and who took it.
    pub fn dying_run(&self, me: &Holder) -> Option<(PathBuf, Holder)> {
        // Shared: looking must not change who is named as holder.
        let held = |path: &Path| match path.is_file() {
            true => Lock::try_take(path, LockKind::Shared, me).map(Result::err),
            false => Ok(None),
        };
        self.run_ids().into_iter().find_map(|id| {
            let folder = self.runs().join(id);
            let ending = folder.join("ending");
            let holder = held(&ending).ok()??;
            // Of one that can't be looked at nobody knows that its weir is gone: it may be this very one, which would wait
            // for itself.
            matches!(held(&folder.join("lock")), Ok(None)).then_some((ending, holder))
        })
    }

    /// The ids of recorded runs, newest first.
    pub fn run_ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = std::fs::read_dir(self.runs())
            .map(|entries| {
                entries
                    .flatten()
                    .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                    .filter_map(|entry| entry.file_name().into_string().ok())
                    .collect()
            })
            .unwrap_or_default();
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids
    }

    /// Removes all but the newest, once there are more than `at_most`.
    fn remove_old_runs(&self, me: &Holder, at_most: usize) {
        let ids = self.run_ids();
        let kept = if ids.len() > at_most { KEPT_RUNS } else { ids.len() };
        for id in ids.into_iter().skip(kept) {
            let path = self.runs().join(&id);
            let lock = path.join("lock");
            // A run that still goes on holds its lock, if it has one.
            if !lock.exists() || matches!(Lock::try_take(&lock, LockKind::Exclusive, me), Ok(Ok(_))) {
                let _ = std::fs::remove_dir_all(&path);
            }
        }
    }
}

impl RunFolder {
    /// A handle for the run's guard: as long as it is open, something of the run still has to end.
    pub fn hold(&self) -> Option<std::fs::File> {
        self.ending.as_ref()?.share().ok()
    }

    /// A folder for a run that leaves no record.
    ///
    /// # Errors
    /// There is no room for temporary files either.
    pub fn temporary() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("weir-run-").tempdir()?;
        Ok(Self {
            id: new_id(),
            path: folder.path().to_path_buf(),
            _lock: None,
            ending: None,
            _temporary: Some(folder),
        })
    }
}

/// Time in UTC to the millisecond and four random digits, `20261121-071630-042-4f3a`: sorts by time.
fn new_id() -> String {
    let time = humantime::format_rfc3339_millis(std::time::SystemTime::now()).to_string();
    let digits: String = time.chars().filter(char::is_ascii_digit).collect();
    let mut seed = Vec::from(std::process::id().to_le_bytes());
    seed.extend_from_slice(&crate::fingerprint::now().to_le_bytes());
    let random = &Digest::of(&seed).to_hex()[..4];
    format!("{}-{}-{}-{random}", &digits[..8], &digits[8..14], &digits[14..17])
}

/// A file name for any text: readable where it can be, unique always.
pub fn file_name(text: &str) -> String {
    let plain: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).take(80).collect();
    if plain == text && !plain.starts_with('.') {
        plain
    } else {
        format!("{}-{}", plain.trim_start_matches('.'), &Digest::of(text.as_bytes()).to_hex()[..8])
    }
}
