//! Signals: their names, and hearing of those that ask weir to end.

#![allow(unsafe_code)]

use super::ProcessError;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, sigaction};
use std::io::{PipeReader, PipeWriter, Read};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// The signals weir sends or is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Ctrl-C.
    Int,
    /// A request to end.
    Term,
    /// The end, at once.
    Kill,
    /// The terminal is gone.
    Hup,
    /// Ctrl-\.
    Quit,
}

/// The one table of them.
const TABLE: [(Signal, nix::sys::signal::Signal); 5] = [
    (Signal::Int, nix::sys::signal::SIGINT),
    (Signal::Term, nix::sys::signal::SIGTERM),
    (Signal::Kill, nix::sys::signal::SIGKILL),
    (Signal::Hup, nix::sys::signal::SIGHUP),
    (Signal::Quit, nix::sys::signal::SIGQUIT),
];

impl Signal {
    /// As in `SIGTERM`.
    pub fn name(self) -> &'static str {
        self.raw().as_str()
    }

    /// By its name, with or without `SIG`, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.to_ascii_uppercase();
        let name = name.strip_prefix("SIG").unwrap_or(&name);
        TABLE.iter().map(|(signal, _)| *signal).find(|signal| signal.name()[3..] == *name)
    }

    /// The system's own.
    pub(super) fn raw(self) -> nix::sys::signal::Signal {
        match TABLE.iter().find(|(signal, _)| *signal == self) {
            Some((_, raw)) => *raw,
            None => nix::sys::signal::SIGKILL,
        }
    }

    fn from_number(number: i32) -> Option<Self> {
        TABLE.iter().find(|(_, raw)| *raw as i32 == number).map(|(signal, _)| *signal)
    }

    /// The name of any signal number: `SIGSEGV`, `SIG34`.
    pub(super) fn name_of(number: i32) -> String {
        match nix::sys::signal::Signal::try_from(number) {
            Ok(signal) => signal.as_str().to_owned(),
            Err(_) => format!("SIG{number}"),
        }
    }
}

impl std::fmt::Display for Signal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a handler writes the number of the signal it was called for. A handler has no other
/// way to reach anything; -1 while nobody reads.
static HEARD: AtomicI32 = AtomicI32::new(-1);

/// Writes the signal's number to the pipe. Only async-signal-safe calls; `errno` is kept.
extern "C" fn write_to_pipe(number: nix::libc::c_int) {
    let fd = HEARD.load(Ordering::SeqCst);
    if fd < 0 {
        return;
    }
    let errno = nix::errno::Errno::last_raw();
    // SAFETY: the descriptor in `HEARD` belongs to a pipe that is never closed once it is there.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    // A full pipe already says everything: the reader is behind, and will wake.
    let _ = nix::unistd::write(fd, &[number as u8]);
    nix::errno::Errno::set_raw(errno);
}

/// Installs `write_to_pipe`, unless the signal is ignored and `spare_ignored` (a program under
/// `nohup` must stay deaf). Gives what was there before.
fn hear(signal: nix::sys::signal::Signal, spare_ignored: bool) -> Result<Option<SigAction>, nix::Error> {
    let action = SigAction::new(SigHandler::Handler(write_to_pipe), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler makes only async-signal-safe calls and keeps `errno`.
    let before = unsafe { sigaction(signal, &action) }?;
    if spare_ignored && matches!(before.handler(), SigHandler::SigIgn) {
        restore(signal, &before);
        return Ok(None);
    }
    Ok(Some(before))
}

/// Puts an earlier disposition back.
fn restore(signal: nix::sys::signal::Signal, before: &SigAction) {
    // SAFETY: `before` is what the system itself reported for this signal.
    let _ = unsafe { sigaction(signal, before) };
}

/// The process's one pipe from handlers: made once, never closed.
fn pipe() -> Result<&'static (PipeReader, PipeWriter), ProcessError> {
    static PIPE: OnceLock<(PipeReader, PipeWriter)> = OnceLock::new();
    if let Some(pipe) = PIPE.get() {
        return Ok(pipe);
    }
    let made = std::io::pipe().map_err(|e| ProcessError::io("prepare for signals", &e))?;
    // A handler must never block, however many signals come.
    super::wire::set_nonblocking(&made.1)?;
    Ok(PIPE.get_or_init(|| made))
}

/// Gives every signal its default effect, real-time ones too. Async-signal-safe.
pub(super) fn forget_dispositions() {
    for number in 1..=64 {
        // SAFETY: the default runs no code. What the system has no such signal for, or what the
        // C library keeps for itself, is refused.
        unsafe { nix::libc::signal(number, nix::libc::SIG_DFL) };
    }
}

/// All that the guard must hear: children's ends and requests by signal come through the pipe it
/// gets back; whatever would end or stop it is heard and passed over.
pub(super) fn hear_as_guard() -> Result<&'static PipeReader, ProcessError> {
    use nix::sys::signal::{self as s, SigmaskHow, sigprocmask};
    let failed = |e: nix::Error| ProcessError::io("prepare for signals", &e.into());
    let (reader, writer) = pipe()?;
    super::wire::set_nonblocking(reader)?;
    HEARD.store(writer.as_raw_fd(), Ordering::SeqCst);
    // Whatever weir was started with, commands start with defaults: `exec` undoes handlers, but
    // it keeps what is ignored.
    forget_dispositions();
    for signal in [
        s::SIGCHLD,
        s::SIGUSR1,
        s::SIGHUP,
        s::SIGINT,
        s::SIGQUIT,
        s::SIGTERM,
        s::SIGUSR2,
        s::SIGPIPE,
        s::SIGALRM,
        s::SIGTSTP,
        s::SIGTTIN,
        s::SIGTTOU,
    ] {
        hear(signal, false).map_err(failed)?;
    }
    // std starts commands with the mask of the thread that starts them.
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).map_err(failed)?;
    Ok(reader)
}

/// One watch at a time: there is one pipe.
static WATCHING: AtomicBool = AtomicBool::new(false);

/// Signals are heard until this is dropped; then they have their earlier effect again.
#[derive(Debug)]
pub struct SignalWatch {
    before: Vec<(nix::sys::signal::Signal, SigAction)>,
}

/// Calls back, on a thread of its own, for each SIGINT, SIGTERM, SIGHUP and SIGQUIT. One that weir
/// was started with as ignored (`nohup`) stays ignored. Handlers do not reach child processes:
/// `exec` resets them, and no signal is blocked.
///
/// # Errors
/// `AlreadyWatching` while an earlier watch lives; `Io` if the system gives no pipe or thread.
pub fn on_signals(callback: impl FnMut(Signal) + Send + 'static) -> Result<SignalWatch, ProcessError> {
    let (reader, writer) = pipe()?;
    if WATCHING.swap(true, Ordering::SeqCst) {
        return Err(ProcessError::AlreadyWatching);
    }
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || listen(reader, callback))
        .inspect_err(|_| WATCHING.store(false, Ordering::SeqCst))
        .map_err(|e| ProcessError::io("watch signals", &e))?;
    let mut watch = SignalWatch { before: Vec::new() };
    HEARD.store(writer.as_raw_fd(), Ordering::SeqCst);
    for signal in [Signal::Int, Signal::Term, Signal::Hup, Signal::Quit].map(Signal::raw) {
        match hear(signal, true) {
            Ok(Some(before)) => watch.before.push((signal, before)),
            Ok(None) => {}
            Err(e) => return Err(ProcessError::io("watch signals", &e.into())),
        }
    }
    Ok(watch)
}

/// Reads signal numbers until the 0 that ends a watch.
fn listen(mut pipe: &PipeReader, mut callback: impl FnMut(Signal)) {
    let mut number = [0];
    while let Ok(1) = pipe.read(&mut number) {
        match Signal::from_number(i32::from(number[0])) {
            Some(signal) => callback(signal),
            None => break,
        }
    }
    WATCHING.store(false, Ordering::SeqCst);
}

impl Drop for SignalWatch {
    fn drop(&mut self) {
        for (signal, before) in &self.before {
            restore(*signal, before);
        }
        if let Ok((_, writer)) = pipe() {
            // The listener lets the next watch begin, so that two never share the pipe. A full
            // pipe can't be: a listener that far behind has a callback that never returned.
            let _ = nix::unistd::write(writer, &[0]);
        }
    }
}
