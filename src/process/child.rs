//! A command that runs: its signals, its end.

use super::command::{Exit, Usage};
use super::link::Link;
use super::output::Output;
use super::{ProcessError, Signal};
use std::sync::Arc;
use tokio::sync::watch;

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

/// A running command. Its output is taken from it, so that reading and waiting can go on side by side. Dropped before its
/// main process has ended, its group is killed.
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

    /// Takes the captured output (both outputs, unless they were split) to be read; none where nothing is captured.
    pub fn take_output(&mut self) -> Option<Output> {
        self.output.take()
    }

    /// Takes the error output, where the two were split.
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
