//! Running one command to its end: output, timeout, interruption.

use crate::model::{FailReason, Notice};
use crate::node::{Cancel, Context, Output};
use crate::process::{self, Child, Command, Drained, Exit, ProcessError, Signal};
use std::future::pending;
use std::io;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(5);
/// From SIGINT to SIGKILL: a person may wait for a tidy end, a machine not for ever.
const INTERRUPT_GRACE: Duration = Duration::from_secs(10);
/// How long output of a process left behind is waited for.
const QUIET: Duration = Duration::from_millis(200);
const CHUNK: usize = 64 * 1024;

/// How a command ended.
pub type Ended = Result<(), FailReason>;

/// Runs a command that may take this long.
///
/// # Errors
/// The guard is gone.
pub async fn execute_within(
    context: &Context,
    command: Command,
    timeout: Duration,
    output: &mut dyn Output,
) -> Result<Ended, ProcessError> {
    execute(context, command, (Instant::now() + timeout, timeout), output).await
}

/// Runs a command. `deadline` with the timeout it stands for.
///
/// # Errors
/// The guard is gone.
pub async fn execute(
    context: &Context,
    command: Command,
    deadline: (Instant, Duration),
    output: &mut dyn Output,
) -> Result<Ended, ProcessError> {
    let mut cancel = context.cancel.clone();
    if *cancel.borrow() != Cancel::No {
        return Ok(Err(FailReason::Interrupted));
    }
    let mut child = match context.guard.spawn(command).await {
        Ok(child) => child,
        Err(broken @ ProcessError::GuardGone) => return Err(broken),
        Err(ProcessError::Ended) => return Ok(Err(FailReason::Interrupted)),
        Err(error) => return Ok(Err(FailReason::Start { message: error.to_string() })),
    };
    let mut pipe = child.take_output();
    let mut run = Running { kill_at: None, timed_out: false, interrupted: false, asked: Cancel::No };
    let exit = run.watch(&child, pipe.as_mut(), &mut cancel, deadline.0, output).await?;
    run.end_group(&child).await;
    let drained = match &mut pipe {
        Some(pipe) => pipe.drain(QUIET, |bytes| output.bytes(bytes)).await,
        None => Ok(Drained::Closed),
    };
    if run.interrupted {
        return Ok(Err(FailReason::Interrupted));
    }
    if run.timed_out {
        return Ok(Err(FailReason::Timeout { after_ms: u64::try_from(deadline.1.as_millis()).unwrap_or(u64::MAX) }));
    }
    if child.left_behind() || matches!(drained, Ok(Drained::HeldOpen)) {
        output.notice(Notice {
            code: "left-behind".into(),
            message: "it left a process running; that is ended when the run ends".into(),
            help: Some("wait for it in the command, so that its result is whole when it is recorded".into()),
        });
    }
    Ok(match exit {
        Exit::Code(0) => Ok(()),
        Exit::Code(code) => Err(FailReason::Exit { code }),
        Exit::Signal(name) => Err(FailReason::Signal { name }),
    })
}

/// Reads what was printed; never ends where nothing will be any more.
async fn read_some(pipe: &mut Option<&mut process::Output>, buffer: &mut [u8]) -> io::Result<usize> {
    match pipe {
        Some(pipe) => pipe.read(buffer).await,
        None => pending().await,
    }
}

struct Running {
    kill_at: Option<Instant>,
    timed_out: bool,
    interrupted: bool,
    asked: Cancel,
}

impl Running {
    /// Until the main process has ended.
    async fn watch(
        &mut self,
        child: &Child,
        mut pipe: Option<&mut process::Output>,
        cancel: &mut tokio::sync::watch::Receiver<Cancel>,
        deadline: Instant,
        output: &mut dyn Output,
    ) -> Result<Exit, ProcessError> {
        let mut buffer = vec![0u8; CHUNK];
        // Made once: a command may print ten thousand times a second.
        let (mut ended, mut out_of_time) = (pin!(child.wait()), pin!(sleep_until(deadline)));
        loop {
            let kill_at = self.kill_at;
            tokio::select! {
                read = read_some(&mut pipe, &mut buffer) => match read {
                    Ok(0) | Err(_) => pipe = None,
                    Ok(length) => output.bytes(&buffer[..length]),
                },
                exit = &mut ended => return exit,
                () = &mut out_of_time, if !self.timed_out => {
                    self.timed_out = true;
                    self.ask(child, Signal::Term, GRACE);
                }
                () = sleep_until(kill_at.unwrap_or(deadline)), if kill_at.is_some() => {
                    self.kill_at = None;
                    child.signal(Signal::Kill);
                }
                now = cancel.wait_for({
                    let asked = self.asked;
                    move |now| *now > asked
                }), if self.asked < Cancel::Kill => {
                    self.asked = now.map_or(Cancel::Kill, |now| *now);
                    self.interrupted = true;
                    match self.asked {
                        Cancel::Kill | Cancel::No => child.signal(Signal::Kill),
                        Cancel::Interrupt => self.ask(child, Signal::Int, INTERRUPT_GRACE),
                        Cancel::Terminate => self.ask(child, Signal::Term, GRACE),
                    }
                }
            }
        }
    }

    fn ask(&mut self, child: &Child, signal: Signal, grace: Duration) {
        child.signal(signal);
        self.kill_at = Some(Instant::now() + grace);
    }

    /// After a timeout or an interrupt nothing of the group stays.
    async fn end_group(&self, child: &Child) {
        if (self.timed_out || self.interrupted) && child.left_behind() {
            let until = self.kill_at.unwrap_or_else(Instant::now);
            if tokio::time::timeout_at(until, child.wait_group()).await.is_err() {
                child.signal(Signal::Kill);
            }
        }
    }
}
