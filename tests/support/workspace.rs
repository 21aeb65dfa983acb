//! A workspace in a temporary folder.
//!
//! ```text
//! TMP/ws/         the workspace: tasks.toml, sources, outputs, .weir
//! TMP/home/       HOME
//! TMP/NAME.ran    a line for each time that task NAME really ran: `echo x >> ../NAME.ran`
//! TMP/pause       what a task calls to be held by a puppet: `../pause NAME`
//! ```
//! Tasks run in `TMP/ws`, and so reach what is outside by relative paths: their commands, and with
//! them their keys, are the same in any two workspaces.

use super::{Puppet, Ran, wait_until};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;
use tempfile::TempDir;

/// A workspace, and the folder around it.
pub struct Workspace {
    around: TempDir,
    counter: AtomicUsize,
}

impl Workspace {
    /// With this tasks.toml; `version = 1` is put in front.
    pub fn new(tasks: &str) -> Self {
        let around = tempfile::Builder::new().prefix("weir-law-").tempdir().unwrap();
        let workspace = Self { around, counter: AtomicUsize::new(0) };
        fs::create_dir(workspace.root()).unwrap();
        fs::create_dir(workspace.outside("home")).unwrap();
        let pause = workspace.outside("pause");
        fs::write(&pause, Puppet::SCRIPT).unwrap();
        fs::set_permissions(&pause, fs::Permissions::from_mode(0o755)).unwrap();
        workspace.tasks(tasks);
        workspace
    }

    /// The workspace root.
    pub fn root(&self) -> PathBuf {
        self.around.path().join("ws")
    }

    /// A path beside the workspace.
    pub fn outside(&self, name: &str) -> PathBuf {
        self.around.path().join(name)
    }

    /// A path in the workspace.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    /// Replaces tasks.toml.
    pub fn tasks(&self, text: &str) {
        fs::write(self.path("tasks.toml"), format!("version = 1\n{text}")).unwrap();
    }

    /// Writes a file in place (the inode stays), with the folders above it.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// The content of a file.
    pub fn read(&self, path: &str) -> String {
        let path = self.path(path);
        String::from_utf8(fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))).unwrap()
    }

    /// Whether something is there; a dangling symlink too.
    pub fn exists(&self, path: &str) -> bool {
        fs::symlink_metadata(self.path(path)).is_ok()
    }

    /// Removes a file.
    pub fn remove(&self, path: &str) {
        fs::remove_file(self.path(path)).unwrap();
    }

    /// Renames a file.
    pub fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// Makes (or replaces) a symlink.
    pub fn link(&self, target: impl AsRef<Path>, path: &str) {
        let path = self.path(path);
        let _ = fs::remove_file(&path);
        symlink(target, path).unwrap();
    }

    /// Sets the permission bits.
    pub fn chmod(&self, path: &str, mode: u32) {
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The permission bits.
    pub fn mode(&self, path: &str) -> u32 {
        fs::metadata(self.path(path)).unwrap().permissions().mode() & 0o7777
    }

    /// The target of a symlink.
    pub fn target(&self, path: &str) -> PathBuf {
        fs::read_link(self.path(path)).unwrap()
    }

    /// The modification time.
    pub fn modified(&self, path: &str) -> SystemTime {
        fs::metadata(self.path(path)).unwrap().modified().unwrap()
    }

    /// Sets the modification time, as `touch -d` does.
    pub fn set_modified(&self, path: &str, time: SystemTime) {
        File::options().append(true).open(self.path(path)).unwrap().set_modified(time).unwrap();
    }

    /// How often a task ran: the lines of `../NAME.ran`.
    pub fn count(&self, name: &str) -> usize {
        fs::read_to_string(self.outside(&format!("{name}.ran"))).unwrap_or_default().lines().count()
    }

    /// A puppet that holds whoever calls `../pause NAME`.
    pub fn puppet(&self, name: &str) -> Puppet {
        Puppet::new(self.around.path(), name)
    }

    /// weir, to be called with arguments.
    pub fn weir<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Weir<'_> {
        Weir {
            workspace: self,
            arguments: arguments.iter().map(|argument| argument.as_ref().to_owned()).collect(),
            env: vec![],
        }
    }

    /// `weir run …`, to its end, whatever that is. The words are split at spaces.
    pub fn try_run(&self, words: &str) -> Ran {
        let words: Vec<&str> = ["run"].into_iter().chain(words.split_whitespace()).collect();
        self.weir(&words).go()
    }

    /// `weir run …`, which must succeed.
    pub fn run(&self, words: &str) -> Ran {
        self.try_run(words).success()
    }

    /// Every file below `.weir`, relative to the workspace, sorted.
    pub fn weir_files(&self) -> Vec<String> {
        self.files(".weir")
    }

    /// Every regular file below `folder`, relative to the workspace, sorted.
    pub fn files(&self, folder: &str) -> Vec<String> {
        let mut files: Vec<String> = walkdir::WalkDir::new(self.path(folder))
            .into_iter()
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| entry.path().strip_prefix(self.root()).unwrap().to_str().unwrap().to_owned())
            .collect();
        files.sort();
        files
    }

    /// Every file below `.weir` with its content: to tell whether anything was written there.
    pub fn weir_contents(&self) -> Vec<(String, Vec<u8>)> {
        self.weir_files().into_iter().map(|file| (file.clone(), fs::read(self.path(&file)).unwrap())).collect()
    }

    fn run_folders(&self) -> BTreeSet<PathBuf> {
        fs::read_dir(self.path(".weir/runs"))
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default()
    }
}

/// A call of weir that is being put together. Its environment holds PATH, HOME and what is added.
pub struct Weir<'w> {
    workspace: &'w Workspace,
    arguments: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
}

impl Weir<'_> {
    /// With one more variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// With more variables.
    pub fn envs<V: AsRef<OsStr>>(self, all: impl IntoIterator<Item = (&'static str, V)>) -> Self {
        all.into_iter().fold(self, |weir, (name, value)| weir.env(name, value))
    }

    /// Starts it and does not wait.
    pub fn spawn(self) -> Running {
        let workspace = self.workspace;
        let number = workspace.counter.fetch_add(1, Ordering::Relaxed);
        let shown: Vec<_> = self.arguments.iter().map(|argument| argument.to_string_lossy()).collect();
        let out = workspace.outside(&format!("weir-{number}.out"));
        let err = workspace.outside(&format!("weir-{number}.err"));
        let before = workspace.run_folders();
        let child = Command::new(env!("CARGO_BIN_EXE_weir"))
            .args(&self.arguments)
            .current_dir(workspace.root())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", workspace.outside("home"))
            .envs(self.env)
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap())
            .spawn()
            .unwrap();
        Running {
            child,
            call: format!("weir {}", shown.join(" ")),
            out,
            err,
            runs: workspace.path(".weir/runs"),
            before,
        }
    }

    /// Runs it to its end.
    pub fn go(self) -> Ran {
        self.spawn().end()
    }

    /// Runs it to its end, which must be a success.
    pub fn ok(self) -> Ran {
        self.go().success()
    }
}

/// A weir that runs. Killed when dropped.
pub struct Running {
    child: Child,
    call: String,
    out: PathBuf,
    err: PathBuf,
    runs: PathBuf,
    before: BTreeSet<PathBuf>,
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it printed so far, on both outputs.
    pub fn printed(&self) -> String {
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
        read(&self.out) + &read(&self.err)
    }

    /// Waits until it has printed `text`.
    pub fn wait_for(&mut self, text: &str) {
        wait_until(&format!("`{}` prints `{text}`", self.call), || {
            // Looked at first: what it printed before it ended counts.
            let ended = self.has_ended();
            let printed = self.printed();
            assert!(printed.contains(text) || !ended, "`{}` ended without printing `{text}`:\n{printed}", self.call);
            printed.contains(text)
        });
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.pid()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// Kills weir alone, with SIGKILL, and takes it off the list of processes.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ran {
        let mut status = None;
        wait_until(&format!("`{}` ends", self.call), || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        Ran::new(&self.call, status.unwrap(), (read(&self.out), read(&self.err)), self.run_folder())
    }

    /// The folder of its run: of those that are new, the one whose lock it wrote its number to, or the
    /// only one without a lock, of a run that started nothing.
    fn run_folder(&self) -> Option<PathBuf> {
        let all = fs::read_dir(&self.runs).ok()?.flatten().map(|entry| entry.path());
        let new: Vec<PathBuf> = all.filter(|path| !self.before.contains(path)).collect();
        let own = new.iter().find(|path| {
            let holder = fs::read_to_string(path.join("lock")).unwrap_or_default();
            holder.lines().next() == Some(&self.child.id().to_string())
        });
        let mut brief = new.iter().filter(|path| !path.join("lock").exists());
        own.or_else(|| brief.next().filter(|_| brief.next().is_none())).cloned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
