//! A command that runs: its output, its signals, its end.

use super::command::{Exit, Usage};
use super::link::Link;
use super::{ProcessError, Signal};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// Where a command stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    /// The main process has ended; `left_behind`: others of its group have not.
    Exited {
        exit: Exit,
        usage: Usage,
        left_behind: bool,
    },
    /// The guard was killed.
    Lost,
    /// The guard ended everything and itself before the command's end was heard of.
    Ended,
}

/// A running command. All its methods take `&self`, so that reading and waiting can go on side
/// by side. Dropped before its main process has ended, its group is killed.
#[derive(Debug)]
pub struct Child {
    /// The main process, which leads the command's group (unless it inherited weir's terminal).
    pub pid: u32,
    id: u64,
    link: Arc<Link>,
    output: Option<Output>,
    error: Option<Output>,
    phase: watch::Receiver<Phase>,
}

/// weir's end of a pipe.
#[derive(Debug)]
pub struct Output(pipe::Receiver);

impl Output {
    pub(super) fn new(end: OwnedFd) -> io::Result<Self> {
        pipe::Receiver::from_owned_fd(end).map(Self)
    }

    /// Reads what is there, waiting for the first byte; 0 at the end.
    ///
    /// # Errors
    /// The system's own.
    pub async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            self.0.readable().await?;
            match self.0.try_read(buf) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
        }
    }

    /// After the command's end: hands on what is still in the pipe, until its end or until nothing
    /// has come for `quiet_for` (ten times that at most, should something be writing on).
    ///
    /// # Errors
    /// The system's own.
    pub async fn drain(&self, quiet_for: Duration, mut sink: impl FnMut(&[u8])) -> io::Result<Drained> {
        let mut buf = vec![0; 1 << 14];
        let last = Instant::now() + 10 * quiet_for;
        loop {
            let until = last.min(Instant::now() + quiet_for);
            match timeout_at(until, self.read(&mut buf)).await {
                Ok(Ok(0)) => return Ok(Drained::Closed),
                Ok(Ok(count)) => sink(&buf[..count]),
                Ok(Err(e)) => return Err(e),
                Err(_) => return Ok(Drained::HeldOpen),
            }
            if Instant::now() >= last {
                return Ok(Drained::HeldOpen);
            }
        }
    }
}

/// How draining a command's output ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// All of it was read.
    Closed,
    /// A process that the command left behind still holds the pipe.
    HeldOpen,
}

impl Child {
    pub(super) fn new(
        link: Arc<Link>,
        id: u64,
        pid: u32,
        output: Option<Output>,
        error: Option<Output>,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        Self { pid, id, link, output, error, phase }
    }

    /// Signals the whole group, also what is left of it after its leader's end; a command that
    /// inherited the terminal: it and its descendants. Nothing happens once all have ended.
    pub fn signal(&self, signal: Signal) {
        let is_gone = match &*self.phase.borrow() {
            Phase::Running => false,
            Phase::Exited { left_behind, .. } => !left_behind,
            Phase::Lost | Phase::Ended => true,
        };
        if !is_gone {
            self.link.signal(self.id, signal);
        }
    }

    /// Reads the captured output (both outputs, unless they were split); 0 at the end, and where
    /// nothing is captured.
    ///
    /// # Errors
    /// The system's own.
    pub async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        match &self.output {
            Some(output) => output.read(buf).await,
            None => Ok(0),
        }
    }

    /// As [`Output::drain`], of the captured output.
    ///
    /// # Errors
    /// The system's own.
    pub async fn drain(&self, quiet_for: Duration, sink: impl FnMut(&[u8])) -> io::Result<Drained> {
        match &self.output {
            Some(output) => output.drain(quiet_for, sink).await,
            None => Ok(Drained::Closed),
        }
    }

    /// Takes the captured output away, to be read elsewhere.
    pub fn take_output(&mut self) -> Option<Output> {
        self.output.take()
    }

    /// Takes the error output away, where the two were split.
    pub fn take_error(&mut self) -> Option<Output> {
        self.error.take()
    }

    /// Waits for the main process to end, whoever still holds its pipes. Cancel-safe; may be called
    /// again.
    ///
    /// # Errors
    /// `GuardGone` if the guard was killed (the command then has been too); `Ended` if the run
    /// was finished meanwhile.
    pub async fn wait(&self) -> Result<Exit, ProcessError> {
        match self.phase_where(|phase| *phase != Phase::Running).await? {
            Phase::Exited { exit, .. } => Ok(exit),
            Phase::Lost => Err(ProcessError::GuardGone),
            Phase::Running | Phase::Ended => Err(ProcessError::Ended),
        }
    }

    /// Waits until nothing of its group is left. Cancel-safe.
    pub async fn wait_group(&self) {
        let ended = |phase: &Phase| !matches!(phase, Phase::Running | Phase::Exited { left_behind: true, .. });
        let _ = self.phase_where(ended).await;
    }

    async fn phase_where(&self, wanted: impl FnMut(&Phase) -> bool) -> Result<Phase, ProcessError> {
        let mut phase = self.phase.clone();
        let reached = phase.wait_for(wanted).await.map_err(|_| ProcessError::Ended)?;
        Ok(reached.clone())
    }

    /// Whether the main process has ended and others of its group have not (as far as is known).
    pub fn left_behind(&self) -> bool {
        matches!(&*self.phase.borrow(), Phase::Exited { left_behind: true, .. })
    }

    /// What it has used, once it has ended.
    pub fn usage(&self) -> Option<Usage> {
        match &*self.phase.borrow() {
            Phase::Exited { usage, .. } => Some(*usage),
            _ => None,
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if *self.phase.borrow() == Phase::Running {
            self.link.signal(self.id, Signal::Kill);
        }
    }
}
