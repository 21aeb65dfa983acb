//! A service's process: started, waited for until it is ready, watched, stopped. Its output goes to an [`Output`] of
//! its own for as long as it lives. Knows nothing of who needs it, or of tasks.
//!
//! ```text
//! Launch ── Serving::start ──▶ starting ── ready ──▶ up ── lost ──▶ (ended by itself)
//!                                 │                   │
//!                                 └── an error ends it└── stop, kill ──▶ nothing of it is left
//! ```
//! Dropped, its group is killed; nothing of it outlives the run's guard anyway.

mod listener;
mod probe;
mod tail;

pub use probe::Probe;

use crate::model::{FailReason, format_duration};
use crate::node::{Cancel, Context, Output, Stage};
use crate::process::{Child, Command, Exit, ProcessError, Signal};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
pub(in crate::command) use tail::Tail;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// From the signal it is asked to end with to SIGKILL.
const GRACE: Duration = Duration::from_secs(5);
/// From SIGKILL to giving up on what the kernel holds.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two probes.
const EVERY: Duration = Duration::from_millis(50);
/// How long output is waited for that a process left behind holds open.
const QUIET: Duration = Duration::from_millis(300);

/// All that it takes to start a service.
#[derive(Debug, Clone)]
pub struct Launch {
    /// What people call it.
    pub name: String,
    /// What runs, with its whole environment.
    pub command: Command,
    /// What tells that it is ready; none: it is once it has started.
    pub ready: Option<Probe>,
    /// How long it may take to be ready.
    pub within: Duration,
    /// The signal it is asked to end with.
    pub stop: Signal,
}

/// A service's process.
pub struct Serving {
    child: Child,
    launch: Launch,
    tail: Arc<Tail>,
    /// Turns true once its output has been read to its end.
    silent: watch::Receiver<bool>,
    since: Instant,
}

/// How a service was stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// How its main process ended.
    pub exit: Option<Exit>,
    /// It did not heed its signal, and was killed.
    pub killed: bool,
}

impl Serving {
    /// Starts it. What it prints goes to `output`, and so does what becomes of it.
    ///
    /// The inner error: it can't be started, or something else answers its probe already.
    ///
    /// # Errors
    /// The guard is gone.
    pub async fn start(
        context: &Context,
        launch: Launch,
        mut output: Box<dyn Output>,
    ) -> Result<Result<Self, FailReason>, ProcessError> {
        if let Some(taken) = match &launch.ready {
            Some(probe) => probe.taken().await,
            None => None,
        } {
            return Ok(Err(taken));
        }
        output.stage(Stage::Starting);
        let mut child = match context.guard.spawn(launch.command.clone()).await {
            Ok(child) => child,
            Err(broken @ ProcessError::GuardGone) => return Err(broken),
            Err(ProcessError::Ended) => return Ok(Err(FailReason::Interrupted)),
            Err(error) => return Ok(Err(FailReason::Start { message: error.to_string() })),
        };
        let pattern = match &launch.ready {
            Some(Probe::Log(pattern)) => Some(pattern.clone()),
            _ => None,
        };
        let tail = Arc::new(Tail::new(output, pattern));
        let (done, silent) = watch::channel(false);
        if let Some(mut pipe) = child.take_output() {
            let (tail, runtime) = (Arc::clone(&tail), tokio::runtime::Handle::current());
            // A thread of its own: whoever takes the output may be held up, and nothing else must be.
            let reading = move || {
                runtime.block_on(async {
                    let mut chunk = vec![0; 1 << 14];
                    while let Ok(count @ 1..) = pipe.read(&mut chunk).await {
                        tail.take(&chunk[..count]);
                    }
                });
                tail.end();
                let _ = done.send(true);
            };
            if let Err(error) = std::thread::Builder::new().name("service".into()).spawn(reading) {
                let message = format!("failed to start a thread: {error}");
                return Ok(Err(FailReason::Start { message }));
            }
        }
        Ok(Ok(Self { child, launch, tail, silent, since: Instant::now() }))
    }

    /// Waits until it is ready; says how long that took. Where it does not get ready, nothing of it is left afterwards.
    ///
    /// # Errors
    /// It ended before, was not ready in time, or the run is being cut short.
    pub async fn ready(&self, context: &Context) -> Result<Duration, FailReason> {
        let mut cancel = context.cancel.clone();
        let mut why_not = String::new();
        let why = tokio::select! {
            biased;
            lost = self.lost() => lost.before_ready(),
            () = async { drop(cancel.wait_for(|now| *now != Cancel::No).await) } => FailReason::Interrupted,
            asked = timeout(self.launch.within, self.probe(context, &mut why_not)) => match asked {
                // What it forked away from may have ended this instant, and answers all the same.
                Ok(()) if self.has_ended() => self.lost().await.before_ready(),
                Ok(()) => {
                    let took = self.since.elapsed();
                    self.tail.stage(Stage::Ready { after_ms: millis(took) });
                    return Ok(took);
                }
                Err(_) => self.not_in_time(&why_not),
            },
        };
        self.stop(context).await;
        Err(why)
    }

    async fn probe(&self, context: &Context, why_not: &mut String) {
        let Some(probe) = &self.launch.ready else { return };
        loop {
            match probe {
                Probe::Log(_) => return self.tail.matched().await,
                _ => match probe.ask(context).await {
                    Ok(()) => return,
                    Err(why) => *why_not = why,
                },
            }
            sleep(EVERY).await;
        }
    }

    fn not_in_time(&self, why_not: &str) -> FailReason {
        let within = format_duration(self.launch.within);
        let probe = self.launch.ready.as_ref().map(Probe::wanted).unwrap_or_default();
        let why = if why_not.is_empty() { String::new() } else { format!(" ({why_not})") };
        FailReason::Node {
            message: format!("not ready after {within}: {probe}{why}"),
            help: Some(
                "see what it printed; if it only needs longer, raise `timeout` in `service = { ready = { … } }`".into(),
            ),
        }
    }

    /// Whether its main process has ended.
    pub fn has_ended(&self) -> bool {
        self.child.usage().is_some()
    }

    /// Waits until its main process has ended though nobody stopped it. Cancel-safe.
    pub async fn lost(&self) -> Lost {
        let exit = self.child.wait().await.ok();
        // What it still had to say, and the word of what it left behind.
        let mut silent = self.silent.clone();
        let held_open = timeout(QUIET, silent.wait_for(|silent| *silent)).await.is_err();
        // What a crash leaves behind is none that it meant to leave.
        let forked = exit == Some(Exit::Code(0)) && (self.child.left_behind() || held_open);
        Lost { exit, forked }
    }

    /// The last lines it printed.
    pub fn last_lines(&self) -> Vec<String> {
        self.tail.last_lines()
    }

    /// Its main process.
    pub fn pid(&self) -> u32 {
        self.child.pid
    }

    /// Asks it to end, kills what does not, and waits until nothing of its group is left.
    pub async fn stop(&self, context: &Context) -> Stopped {
        let ended_before = self.has_ended();
        let mut cancel = context.cancel.clone();
        self.child.signal(self.launch.stop);
        let heeded = tokio::select! {
            () = self.child.wait_group() => true,
            () = sleep(GRACE) => false,
            _ = cancel.wait_for(|now| *now == Cancel::Kill) => false,
        };
        if !heeded {
            self.child.signal(Signal::Kill);
        }
        self.gone().await;
        let killed = !heeded && !ended_before;
        if !ended_before {
            self.tail.stage(Stage::Stopped { killed });
        }
        Stopped { exit: self.child.wait().await.ok(), killed }
    }

    /// Sends a signal to its whole group, without a word about it, kills what does not end of that, and waits until
    /// nothing of it is left.
    pub async fn kill(&self, signal: Signal) -> Killed {
        self.child.signal(signal);
        let heeded = timeout(GRACE, self.child.wait_group()).await.is_ok();
        if !heeded {
            self.child.signal(Signal::Kill);
        }
        let gone = self.gone().await;
        let exit = if self.has_ended() { self.child.wait().await.ok() } else { None };
        Killed { exit, heeded, gone }
    }

    /// Waits for what is left of it; false where something is left all the same, in its group or on its output.
    async fn gone(&self) -> bool {
        let until = Instant::now() + PATIENCE;
        let ended = timeout_at(until, self.child.wait_group()).await.is_ok();
        let mut silent = self.silent.clone();
        ended & timeout(QUIET, silent.wait_for(|silent| *silent)).await.is_ok()
    }
}

/// How a service ended of a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Killed {
    /// How its main process ended, if it did.
    pub exit: Option<Exit>,
    /// All of its group ended of the signal; otherwise it took SIGKILL.
    pub heeded: bool,
    /// Nothing of it is left, not even a process outside its group that holds its output.
    pub gone: bool,
}

/// How a service ended that nobody stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// How its main process ended; none: it was ended with everything else.
    pub exit: Option<Exit>,
    /// It said that all was well, and something that it started lives on.
    pub forked: bool,
}

impl Lost {
    /// For people: `exited with status 3`.
    pub fn describe(&self) -> String {
        self.during("")
    }

    /// The same with when that was: `exited with status 3 before it was ready`.
    pub fn during(&self, when: &str) -> String {
        let exit = match &self.exit {
            Some(Exit::Code(code)) => format!("exited with status {code}"),
            Some(Exit::Signal(name)) => format!("was ended by {name}"),
            None => "was ended".into(),
        };
        let space = if when.is_empty() { "" } else { " " };
        let forked = if self.forked { ", and left a process running in the background" } else { "" };
        format!("{exit}{space}{when}{forked}")
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        match self.forked {
            true => "have it stay in the foreground: without `&`, `--daemon` or `--detach`".into(),
            false => "see what it printed; a service runs until it is stopped".into(),
        }
    }

    fn before_ready(&self) -> FailReason {
        if self.exit.is_none() {
            return FailReason::Interrupted;
        }
        FailReason::Node { message: self.during("before it was ready"), help: Some(self.help()) }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A lock that a panic elsewhere leaves usable.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
