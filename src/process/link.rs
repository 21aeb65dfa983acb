//! weir's end of the line to its guard.

use super::child::{Child, Phase};
use super::command::{Command, Exit, Stdio};
use super::descent::descendants;
use super::output::Output;
use super::wire::{Inbox, Launch, Notice, Request, send};
use super::{GUARD_ARGUMENT, ProcessError, Signal};
use nix::sys::signal::{Signal as Raw, kill, killpg};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, getpgrp, getpid};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio as StdStdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

/// How long a guard may take to come up: it only has to be executed.
const START: Duration = Duration::from_secs(30);

/// How many commands may be being started at once.
const STARTS: usize = 32;

/// How long descendants of a guard that was killed are looked for and killed.
const SWEEP: Duration = Duration::from_secs(5);

/// A handle on the guard of this run. A process should have one guard: should it be killed, all
/// that descends from this process is taken to have been its own.
///
/// Once the last handle and the last [`Child`] are dropped, the guard ends what is left.
#[derive(Debug, Clone)]
pub struct Guard {
    pub(super) link: Arc<Link>,
}

/// What [`Guard::finish`] found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FinishReport {
    /// The processes that were still there and have been ended.
    pub strays: Vec<Stray>,
    /// How many of them would not end: the kernel holds them, or they are another user's.
    pub survivors: u32,
}

/// A process that outlived what started it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// Its number.
    pub pid: u32,
    /// Its short name, as in `ps`.
    pub name: String,
}

/// What all handles share.
#[derive(Debug)]
pub(super) struct Link {
    outbox: mpsc::UnboundedSender<Parcel>,
    socket: Arc<UnixStream>,
    under_way: Arc<UnderWay>,
    next: AtomicU64,
    /// Starts under way hold descriptors on both sides and in the socket: they are kept few.
    starts: Semaphore,
    state: Arc<Mutex<State>>,
}

/// A frame and what goes with it.
type Parcel = (Vec<u8>, Vec<OwnedFd>);

/// How many parcels are in the outbox or half sent. As long as there are any, what follows them goes through the outbox too.
#[derive(Debug, Default)]
struct UnderWay(Mutex<usize>);

impl UnderWay {
    fn lock(&self) -> MutexGuard<'_, usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn post(&self, outbox: &mpsc::UnboundedSender<Parcel>, parcel: Parcel) {
        let mut count = self.lock();
        // Nobody takes it once the guard is gone, which is reported where it matters.
        *count += usize::from(outbox.send(parcel).is_ok());
    }
}

/// What is known of the guard and its commands.
#[derive(Debug)]
struct State {
    /// By id: every command asked for and not yet gone for good.
    commands: HashMap<u64, Entry>,
    guard: GuardState,
    /// The guard's process, until it is reaped: its number is its own that long.
    process: Option<std::process::Child>,
    /// How many were told to finish, and what came of it.
    finishing: Vec<oneshot::Sender<FinishReport>>,
    report: FinishReport,
    /// What was started to outlive this process.
    detached: Vec<i32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GuardState {
    Up,
    /// It was told to finish, or every handle was dropped.
    Closing,
    /// It has ended, as it was told to.
    Finished,
    /// It has ended and was not told to.
    Lost,
}

#[derive(Debug)]
struct Entry {
    pid: Option<u32>,
    /// Whoever asked for it, until it is started.
    starting: Option<oneshot::Sender<Result<u32, i32>>>,
    phase: watch::Sender<Phase>,
}

/// A panic elsewhere leaves plain data behind that is still right.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Guard {
    /// Starts the guard from this program's own executable, whose `main` must begin with
    /// [`super::guard_main`] where its first argument is [`GUARD_ARGUMENT`]. Blocks for the few
    /// milliseconds until the guard is up.
    ///
    /// # Errors
    /// `GuardStart` if it can't be started or does not answer.
    pub fn start(runtime: &Handle) -> Result<Self, ProcessError> {
        Self::start_holding(runtime, None)
    }

    /// The same; the guard holds `held` open until the last of its commands has ended. With a
    /// lock on it, others can tell that something is still being ended after weir was killed.
    ///
    /// # Errors
    /// As [`Guard::start`].
    pub fn start_holding(runtime: &Handle, held: Option<File>) -> Result<Self, ProcessError> {
        if cfg!(target_os = "linux") {
            // The file may have been replaced or deleted since; this is the very same one.
            return Self::launch(Path::new("/proc/self/exe"), runtime, held);
        }
        let exe = std::env::current_exe().map_err(|e| ProcessError::GuardStart(e.to_string()))?;
        Self::launch(&exe, runtime, held)
    }

    /// Starts the guard from another executable that can be one.
    ///
    /// # Errors
    /// As [`Guard::start`].
    pub fn start_with(exe: &Path, runtime: &Handle) -> Result<Self, ProcessError> {
        Self::launch(exe, runtime, None)
    }

    fn launch(exe: &Path, runtime: &Handle, held: Option<File>) -> Result<Self, ProcessError> {
        let failed = |e: io::Error| ProcessError::GuardStart(e.to_string());
        // What a killed guard leaves behind then becomes this process's child.
        #[cfg(target_os = "linux")]
        nix::sys::prctl::set_child_subreaper(true).map_err(|e| failed(e.into()))?;
        let (ours, theirs) = StdStream::pair().map_err(failed)?;
        let process = std::process::Command::new(exe)
            .arg0("weir")
            .arg(GUARD_ARGUMENT)
            .stdin(OwnedFd::from(theirs))
            // Its output, to which it writes nothing, is what it keeps open.
            .stdout(held.map_or_else(StdStdio::null, StdStdio::from))
            .stderr(StdStdio::null())
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let process = greet(&ours, process)?;
        ours.set_nonblocking(true).map_err(failed)?;
        let _entered = runtime.enter();
        let socket = Arc::new(UnixStream::from_std(ours).map_err(failed)?);
        let state = Arc::new(Mutex::new(State {
            commands: HashMap::new(),
            guard: GuardState::Up,
            process: Some(process),
            finishing: Vec::new(),
            report: FinishReport::default(),
            detached: Vec::new(),
        }));
        let (outbox, parcels) = mpsc::unbounded_channel();
        let under_way = Arc::new(UnderWay::default());
        runtime.spawn(write_all(Arc::clone(&socket), parcels, Arc::clone(&under_way), Arc::clone(&state)));
        let back = (outbox.downgrade(), Arc::clone(&under_way));
        runtime.spawn(read_all(Arc::clone(&socket), back, Arc::clone(&state)));
        let (next, starts) = (AtomicU64::new(1), Semaphore::new(STARTS));
        Ok(Self { link: Arc::new(Link { outbox, socket, under_way, next, starts, state }) })
    }

    /// The guard's process, for diagnosis.
    pub fn pid(&self) -> Option<u32> {
        lock(&self.link.state).process.as_ref().map(std::process::Child::id)
    }

    /// Starts a command. If this is dropped before it is done, the command is killed.
    ///
    /// # Errors
    /// Why it could not be started, in detail; `GuardGone`; `Ended` after `finish` or `kill_all`.
    pub async fn spawn(&self, command: Command) -> Result<Child, ProcessError> {
        let cwd = command.directory()?;
        let file = match command.locate(&cwd) {
            Ok(file) => file,
            // A missing directory is the likelier cause of a program missing in it.
            Err(_) if !cwd.is_dir() => {
                return Err(command.diagnose(Path::new(""), &cwd, nix::libc::ENOENT));
            }
            Err(e) => return Err(e),
        };
        let _turn = self.link.starts.acquire().await;
        let (ours, theirs) = pipes(command.stdio)?;
        let id = self.link.next.fetch_add(1, Ordering::Relaxed);
        let launch = Launch {
            id,
            arg0: command.arg0().to_owned(),
            file: file.clone(),
            args: command.args.clone(),
            env: command.env.clone(),
            cwd: cwd.clone(),
            group: (command.stdio == Stdio::Inherit).then(|| getpgrp().as_raw()),
            account: command.account,
        };
        let frame = Request::Spawn(Box::new(launch)).frame(theirs.len());
        let (starting, started) = oneshot::channel();
        let phase = self.link.register(id, starting)?;
        self.link.send(frame, theirs);
        let pid = match started.await {
            Ok(Ok(pid)) => pid,
            Ok(Err(errno)) => return Err(command.diagnose(&file, &cwd, errno)),
            Err(_) => return Err(self.link.why_closed()),
        };
        let [output, error] = ours;
        Ok(Child::new(Arc::clone(&self.link), id, pid, output, error, phase))
    }

    /// Has the guard hold one more file open until the last of its commands has ended.
    pub fn hold(&self, file: File) {
        self.link.send(Request::Hold.frame(1), vec![file.into()]);
    }

    /// A run's normal end: ends everything that is left (SIGTERM, SIGKILL after 5 s) and the guard
    /// itself. Returns at once if nothing is left. Nothing can be started any more.
    pub async fn finish(&self) -> FinishReport {
        let (done, finished) = oneshot::channel();
        {
            let mut state = lock(&self.link.state);
            if matches!(state.guard, GuardState::Finished | GuardState::Lost) {
                return state.report.clone();
            }
            state.guard = GuardState::Closing;
            state.finishing.push(done);
        }
        self.link.send(Request::Finish.frame(0), Vec::new());
        finished.await.unwrap_or_default()
    }

    /// Kills everything at once, and lets nothing start any more. Works whatever state the
    /// runtime is in; may be called from any thread.
    pub fn kill_all(&self) {
        let state = lock(&self.link.state);
        if let Some(process) = &state.process {
            // By a signal, so that it overtakes everything that is still to be sent.
            let _ = kill(Pid::from_raw(process.id() as i32), Raw::SIGUSR1);
        }
    }
}

/// Waits for the guard's first word.
fn greet(socket: &StdStream, mut process: std::process::Child) -> Result<std::process::Child, ProcessError> {
    let mut answer = vec![0; Notice::Ready.frame().len()];
    let heard = socket.set_read_timeout(Some(START)).and_then(|()| { socket }.read_exact(&mut answer)).map_err(|e| {
        match e.kind() {
            io::ErrorKind::UnexpectedEof => "it ended at once".to_owned(),
            io::ErrorKind::WouldBlock => "it does not answer".to_owned(),
            _ => e.to_string(),
        }
    });
    match heard {
        Ok(()) if answer == Notice::Ready.frame() => Ok(process),
        outcome => {
            let _ = process.kill();
            let _ = process.wait();
            let why = outcome.err().unwrap_or_else(|| "it answers strangely".to_owned());
            Err(ProcessError::GuardStart(why))
        }
    }
}

/// weir's ends and the command's ends of what its output goes through.
type Pipes = ([Option<Output>; 2], Vec<OwnedFd>);

fn pipes(stdio: Stdio) -> Result<Pipes, ProcessError> {
    let pipe = || -> io::Result<(Output, OwnedFd)> {
        let (reader, writer) = io::pipe()?;
        Ok((Output::new(reader.into())?, writer.into()))
    };
    let made = || -> io::Result<Pipes> {
        Ok(match stdio {
            Stdio::Capture => {
                let (output, end) = pipe()?;
                ([Some(output), None], vec![end])
            }
            Stdio::CaptureSplit => {
                let (output, end) = pipe()?;
                let (error, error_end) = pipe()?;
                ([Some(output), Some(error)], vec![end, error_end])
            }
            Stdio::Inherit => {
                let own = [
                    io::stdin().as_fd().try_clone_to_owned()?,
                    io::stdout().as_fd().try_clone_to_owned()?,
                    io::stderr().as_fd().try_clone_to_owned()?,
                ];
                ([None, None], own.into())
            }
        })
    };
    made().map_err(|e| ProcessError::io("make a pipe", &e))
}

impl Link {
    /// Puts a command on the list, unless the guard takes none any more.
    fn register(
        &self,
        id: u64,
        starting: oneshot::Sender<Result<u32, i32>>,
    ) -> Result<watch::Receiver<Phase>, ProcessError> {
        let (phase, watching) = watch::channel(Phase::Running);
        let mut state = lock(&self.state);
        if state.guard != GuardState::Up {
            drop(state);
            return Err(self.why_closed());
        }
        state.commands.insert(id, Entry { pid: None, starting: Some(starting), phase });
        Ok(watching)
    }

    fn why_closed(&self) -> ProcessError {
        match lock(&self.state).guard {
            GuardState::Lost => ProcessError::GuardGone,
            _ => ProcessError::Ended,
        }
    }

    /// Sends a frame, at once where the socket takes it: waking another thread for it costs as much as sending it.
    fn send(&self, mut frame: Vec<u8>, mut fds: Vec<OwnedFd>) {
        let mut under_way = self.under_way.lock();
        if *under_way == 0 {
            match send(&self.socket, &frame, &fds) {
                Ok(count) if count == frame.len() => return,
                Ok(count) => {
                    frame.drain(..count);
                    // They went with the first byte.
                    fds.clear();
                }
                Err(e) if is_temporary(&e) => {}
                // The reader sees the end too, and acts on it.
                Err(_) => return,
            }
        }
        *under_way += usize::from(self.outbox.send((frame, fds)).is_ok());
    }

    /// Spares a process, should the guard be killed.
    pub(super) fn spare(&self, pid: u32) {
        lock(&self.state).detached.push(pid as i32);
    }

    /// Signals what is left of a command.
    pub(super) fn signal(&self, id: u64, signal: Signal) {
        let number = signal.raw() as i32;
        self.send(Request::Signal { id, number }.frame(0), Vec::new());
    }
}

/// Sends frame after frame, whole, until there is nobody left to send one.
async fn write_all(
    socket: Arc<UnixStream>,
    mut parcels: mpsc::UnboundedReceiver<Parcel>,
    under_way: Arc<UnderWay>,
    state: Arc<Mutex<State>>,
) {
    while let Some((frame, mut fds)) = parcels.recv().await {
        let mut sent = 0;
        while sent < frame.len() {
            if socket.writable().await.is_err() {
                return;
            }
            match socket.try_io(Interest::WRITABLE, || send(&socket, &frame[sent..], &fds)) {
                Ok(count) => {
                    sent += count;
                    // They went with the first byte.
                    fds.clear();
                }
                Err(e) if is_temporary(&e) => {}
                // The reader sees the end too, and acts on it.
                Err(_) => return,
            }
        }
        *under_way.lock() -= 1;
    }
    {
        let mut state = lock(&state);
        if state.guard == GuardState::Up {
            state.guard = GuardState::Closing;
        }
    }
    // Nobody can ask for anything any more: the guard reads the end.
    let _ = nix::sys::socket::shutdown(raw(&socket), nix::sys::socket::Shutdown::Write);
}

fn raw(socket: &UnixStream) -> i32 {
    std::os::fd::AsRawFd::as_raw_fd(socket)
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Hands on what the guard says until it has ended.
async fn read_all(
    socket: Arc<UnixStream>,
    (outbox, under_way): (mpsc::WeakUnboundedSender<Parcel>, Arc<UnderWay>),
    state: Arc<Mutex<State>>,
) {
    let mut inbox = Inbox::default();
    let mut chunk = vec![0; 1 << 16];
    while socket.readable().await.is_ok() {
        match socket.try_read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => inbox.push(&chunk[..count]),
            Err(e) if is_temporary(&e) => continue,
            Err(_) => break,
        }
        while let Some((body, _)) = inbox.frame() {
            if let Some(unwanted) = Notice::parse(&body).and_then(|n| lock(&state).note(n)) {
                let number = Raw::SIGKILL as i32;
                if let Some(outbox) = outbox.upgrade() {
                    under_way.post(&outbox, (Request::Signal { id: unwanted, number }.frame(0), Vec::new()));
                }
            }
        }
    }
    // Reaping and sweeping may block for a moment.
    let closing = Arc::clone(&state);
    let _ = tokio::task::spawn_blocking(move || close(&closing)).await;
}

impl State {
    /// Takes note of what the guard says. Gives a command that nobody waits for any more.
    fn note(&mut self, notice: Notice) -> Option<u64> {
        match notice {
            Notice::Ready => None,
            Notice::Started { id, pid } => {
                let entry = self.commands.get_mut(&id)?;
                entry.pid = Some(pid);
                let wanted = entry.starting.take()?.send(Ok(pid)).is_ok();
                (!wanted).then_some(id)
            }
            Notice::Refused { id, errno } => {
                let _ = self.commands.remove(&id)?.starting?.send(Err(errno));
                None
            }
            Notice::Exited { id, status, usage, left_behind } => {
                let exit = Exit::from_wait_status(status);
                let phase = Phase::Exited { exit, usage, left_behind };
                self.commands.get(&id)?.phase.send_replace(phase);
                if !left_behind {
                    self.commands.remove(&id);
                }
                None
            }
            Notice::Cleared { id } => {
                self.commands.remove(&id)?.phase.send_modify(|phase| {
                    if let Phase::Exited { left_behind, .. } = phase {
                        *left_behind = false;
                    }
                });
                None
            }
            Notice::Finished { strays, survivors } => {
                let stray = |(pid, name): (u32, OsString)| Stray { pid, name: name.to_string_lossy().into_owned() };
                let strays = strays.into_iter().map(stray).collect();
                self.report = FinishReport { strays, survivors };
                self.guard = GuardState::Finished;
                None
            }
        }
    }
}

/// The guard has ended: reaps it, kills what it can have left if it did not end as told, and
/// tells everybody who waits.
fn close(state: &Mutex<State>) {
    let (lost, groups, detached) = {
        let mut state = lock(state);
        let exit = state.process.take().and_then(|mut process| process.wait().ok());
        let did_its_work = exit.is_some_and(|exit| exit.success());
        let groups: Vec<u32> = state.commands.values().filter_map(|entry| entry.pid).collect();
        (!did_its_work && state.guard != GuardState::Finished, groups, state.detached.clone())
    };
    if lost {
        sweep(&groups, &detached);
    }
    let mut state = lock(state);
    state.guard = if lost { GuardState::Lost } else { GuardState::Finished };
    for (_, entry) in state.commands.drain() {
        entry.phase.send_modify(|phase| match phase {
            Phase::Exited { left_behind, .. } => *left_behind = false,
            _ => *phase = if lost { Phase::Lost } else { Phase::Ended },
        });
    }
    let report = state.report.clone();
    for waiting in state.finishing.drain(..) {
        let _ = waiting.send(report.clone());
    }
}

/// Kills what a killed guard has left: this process has become its parent.
fn sweep(groups: &[u32], spared: &[i32]) {
    let deadline = Instant::now() + SWEEP;
    while Instant::now() < deadline {
        let adopted = descendants(getpid().as_raw(), spared);
        for group in groups {
            // Elsewhere than on Linux the groups are all there is to go by.
            let group = *group as i32;
            if cfg!(not(target_os = "linux")) || adopted.iter().any(|p| p.group == group) {
                let _ = killpg(Pid::from_raw(group), Raw::SIGKILL);
            }
        }
        for process in &adopted {
            let _ = kill(Pid::from_raw(process.pid), Raw::SIGKILL);
        }
        for process in adopted.iter().filter(|process| process.parent == getpid().as_raw()) {
            let _ = waitpid(Pid::from_raw(process.pid), Some(WaitPidFlag::WNOHANG));
        }
        if adopted.is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
