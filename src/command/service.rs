//! A long-lived task: started for the first that borrows it, stopped when it is closed.
//!
//! ```text
//!          lend                     lost, or it does not get ready
//! Closed ───────▶ Open ──────────────────────────────────────────▶ Over
//!    │              │ close
//!    └──────────────┴──────▶ Done
//! ```

use super::serving::{Launch, Probe, Serving};
use super::task::{CommandNode, give_all, listed, unless_cancelled};
use crate::config::{self, Diagnostic, Service, Task};
use crate::model::{Digest, FailReason, KeySink, KeyValue, Observation, PartKind};
use crate::node::{Context, Facts, Instance, Lender, Loan, Node, Output, Outputs, Outside, Pending, Resource, Seen};
use crate::process::{ProcessError, Signal};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;

/// A service without `ready` has nothing to be waited for.
const AT_ONCE: Duration = Duration::from_secs(5);

/// A task with `service`.
pub struct ServiceNode {
    command: CommandNode,
    service: Service,
    phase: Mutex<Phase>,
    opened: AtomicBool,
    /// What it printed last where it never got ready.
    last: std::sync::Mutex<Vec<String>>,
}

/// Where a service stands.
enum Phase {
    Closed,
    Open(Open),
    /// It was closed, and is not opened again.
    Done,
    /// Why, and what it printed last. What there was of it is still to be put away.
    Over {
        why: FailReason,
        lines: Vec<String>,
        open: Option<Open>,
    },
}

struct Open {
    serving: Arc<Serving>,
    loans: Vec<Loan>,
}

impl ServiceNode {
    /// Of a task that is one; `resources` are lent to it.
    pub fn new(instance: &Instance<'_>, service: Service, resources: Vec<Arc<dyn Resource>>) -> Self {
        let command = CommandNode::new(instance, Duration::MAX, resources);
        Self {
            command,
            service,
            phase: Mutex::new(Phase::Closed),
            opened: AtomicBool::new(false),
            last: std::sync::Mutex::default(),
        }
    }

    /// The service of a task, if it is one.
    pub fn of(task: &Task) -> Option<&Service> {
        task.service.as_ref().map(|service| &service.value)
    }

    /// It as a task with a command: its folder, shell and variables, and what it is lent.
    pub(super) fn command(&self) -> &CommandNode {
        &self.command
    }

    /// All that it takes to start its process, with what it is lent.
    ///
    /// # Errors
    /// An `env_file` can't be read, or `ready` names what is not there.
    pub fn launch(&self, context: &Context, loans: &[Loan]) -> Result<Launch, FailReason> {
        let mut command = self
            .command
            .commands(context)?
            .into_iter()
            .next()
            .ok_or_else(|| FailReason::Start { message: "it has no command".into() })?;
        give_all(&mut command, context, loans);
        let probe = |ready: &config::Ready| {
            Probe::new(&ready.probe, &command.env, |text| {
                let mut probe = self.command.shell(context, text, &[])?;
                give_all(&mut probe, context, loans);
                Ok(probe)
            })
        };
        let ready = self.service.ready.as_ref();
        Ok(Launch {
            name: self.command.facts().name.as_str().to_owned(),
            ready: ready.map(probe).transpose()?,
            within: ready.map_or(AT_ONCE, |ready| ready.timeout),
            stop: Signal::parse(&self.service.stop).unwrap_or(Signal::Term),
            command,
        })
    }

    async fn open(&self, context: &Context, output: Outputs<'_>) -> Result<Open, FailReason> {
        let mut own = output();
        let mut loans = Vec::new();
        for resource in self.command.resources() {
            match unless_cancelled(context, resource.lend(context, &mut *own)).await.and_then(|lent| lent) {
                Ok(loan) => loans.push(loan),
                Err(why) => {
                    self.take_back(context, loans, &mut *own).await;
                    return Err(why);
                }
            }
        }
        let why = match self.start(context, &loans, own).await {
            Ok(serving) => return Ok(Open { serving, loans }),
            Err(why) => why,
        };
        self.take_back(context, loans, &mut *output()).await;
        Err(why)
    }

    async fn start(
        &self,
        context: &Context,
        loans: &[Loan],
        output: Box<dyn Output>,
    ) -> Result<Arc<Serving>, FailReason> {
        let launch = self.launch(context, loans)?;
        let started = Serving::start(context, launch, output).await;
        let serving = Arc::new(started.map_err(|error| FailReason::Start { message: error.to_string() })??);
        match serving.ready(context).await {
            Ok(_) => Ok(serving),
            Err(why) => {
                *self.last() = serving.last_lines();
                Err(why)
            }
        }
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn take_back(&self, context: &Context, loans: Vec<Loan>, output: &mut dyn Output) {
        for (resource, loan) in self.command.resources().iter().zip(loans).rev() {
            resource.take_back(context, loan, output).await;
        }
    }

    /// What it passes on to those that borrow it.
    fn loan(&self, loans: &[Loan]) -> Loan {
        let passed = self.command.resources().iter().zip(loans).filter(|(resource, _)| resource.passes_on());
        Loan { variables: passed.flat_map(|(_, loan)| loan.variables.clone()).collect(), ..Loan::default() }
    }

    /// Its process has ended and nobody asked it to. Cancel-safe.
    async fn end(&self, phase: &mut Phase) -> FailReason {
        let (lost, lines) = match phase {
            Phase::Open(open) => (open.serving.lost().await, open.serving.last_lines()),
            Phase::Over { why, .. } => return why.clone(),
            Phase::Closed | Phase::Done => return FailReason::Interrupted,
        };
        let why = match &lost.exit {
            Some(_) => FailReason::Node { message: lost.during("while it was needed"), help: Some(lost.help()) },
            None => FailReason::Interrupted,
        };
        let open = match std::mem::replace(phase, Phase::Done) {
            Phase::Open(open) => Some(open),
            _ => None,
        };
        *phase = Phase::Over { why: why.clone(), lines, open };
        why
    }
}

impl Lender for ServiceNode {
    fn lend<'a>(&'a self, context: &'a Context, output: Outputs<'a>) -> Pending<'a, Result<Loan, FailReason>> {
        Box::pin(async move {
            let mut phase = self.phase.lock().await;
            if matches!(&*phase, Phase::Open(open) if open.serving.has_ended()) {
                return Err(self.end(&mut phase).await);
            }
            match &*phase {
                Phase::Open(open) => return Ok(self.loan(&open.loans)),
                Phase::Over { why, .. } => return Err(why.clone()),
                Phase::Done => return Err(FailReason::Interrupted),
                Phase::Closed => {}
            }
            self.opened.store(true, Ordering::Release);
            match self.open(context, output).await {
                Ok(open) => {
                    let loan = self.loan(&open.loans);
                    *phase = Phase::Open(open);
                    Ok(loan)
                }
                Err(FailReason::Interrupted) => Err(FailReason::Interrupted),
                Err(why) => {
                    let lines = std::mem::take(&mut *self.last());
                    *phase = Phase::Over { why: why.clone(), lines, open: None };
                    Err(why)
                }
            }
        })
    }

    fn lost(&self) -> Pending<'_, Option<FailReason>> {
        Box::pin(async move {
            let serving = match &*self.phase.lock().await {
                Phase::Open(open) => Arc::clone(&open.serving),
                Phase::Over { why, .. } => return Some(why.clone()),
                Phase::Closed | Phase::Done => return None,
            };
            serving.lost().await;
            // Whoever closes it holds the lock until it has ended.
            let mut phase = self.phase.lock().await;
            match &*phase {
                Phase::Closed | Phase::Done => None,
                _ => Some(self.end(&mut phase).await),
            }
        })
    }

    fn is_lost(&self) -> bool {
        self.phase.try_lock().is_ok_and(|phase| match &*phase {
            Phase::Open(open) => open.serving.has_ended(),
            Phase::Over { .. } => true,
            Phase::Closed | Phase::Done => false,
        })
    }

    fn was_opened(&self) -> bool {
        self.opened.load(Ordering::Acquire)
    }

    fn last_lines(&self) -> Pending<'_, Vec<String>> {
        Box::pin(async move {
            match &*self.phase.lock().await {
                Phase::Open(open) => open.serving.last_lines(),
                Phase::Over { lines, .. } => lines.clone(),
                Phase::Closed | Phase::Done => vec![],
            }
        })
    }

    fn close<'a>(&'a self, context: &'a Context, output: Outputs<'a>) -> Pending<'a, ()> {
        Box::pin(async move {
            let mut phase = self.phase.lock().await;
            let open = match &mut *phase {
                Phase::Over { open, .. } => open.take(),
                _ => match std::mem::replace(&mut *phase, Phase::Done) {
                    Phase::Open(open) => Some(open),
                    _ => None,
                },
            };
            let Some(open) = open else { return };
            open.serving.stop(context).await;
            self.take_back(context, open.loans, &mut *output()).await;
        })
    }
}

impl Node for ServiceNode {
    fn facts(&self) -> &Facts {
        self.command.facts()
    }

    fn define(&self, root: &Path, outside: &Outside, sink: &mut dyn KeySink) -> Result<(), FailReason> {
        if let Some(ready) = &self.service.ready {
            let (kind, text) = match &ready.probe {
                config::Probe::Http(text) => ("http", text),
                config::Probe::Tcp(text) => ("tcp", text),
                config::Probe::Log(text) => ("log", text),
                config::Probe::Command(text) => ("command", text),
            };
            let text = listed(&[kind.to_owned(), text.clone()]);
            sink.part(PartKind::Definition, "ready", KeyValue::Text(&text));
        }
        self.command.define(root, outside, sink)
    }

    fn secrets(&self, root: &Path, outside: &Outside) -> Vec<String> {
        self.command.secrets(root, outside)
    }

    fn obstacles(&self, root: &Path, outside: &Outside, seen: &mut Seen) -> Vec<Diagnostic> {
        self.command.obstacles(root, outside, seen)
    }

    fn rests_on(&self) -> Option<Vec<&str>> {
        // Nothing of it is on record that a verdict could rest on.
        None
    }

    fn observe<'a>(&'a self, context: &'a Context) -> Pending<'a, Result<Vec<Observation>, FailReason>> {
        self.command.observe(context)
    }

    fn run<'a>(
        &'a self,
        _: &'a Context,
        _: &'a mut dyn Output,
    ) -> Pending<'a, Result<Result<(), FailReason>, ProcessError>> {
        // It is lent.
        Box::pin(async { Ok(Ok(())) })
    }

    fn lender(&self) -> Option<&dyn Lender> {
        Some(self)
    }

    fn state<'a>(&'a self, context: &'a Context) -> Pending<'a, Result<Digest, FailReason>> {
        self.command.state(context)
    }
}
