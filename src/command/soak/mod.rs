//! A soak: runs another node again and again, and says how often it passed. Knows nothing of what that node is.

mod book;
mod likeness;
mod scratch;
mod statistics;

use crate::config::{Diagnostic, OnFail, Retry, Soak};
use crate::event::{Event, SoakEnd, SoakIteration, SoakStarted};
use crate::model::{
    Digest, FailReason, Gate, KeySink, KeyValue, Notice, Observation, PartKind, Reason, TaskName, counted, shell_word,
};
use crate::node::{
    Aside, Cancel, Context, Effects, Facts, Instance, Iteration, Kept, NamedLock, Node, Output, Outside, Pending, Seen,
    Travel,
};
use crate::process::ProcessError;
use book::{Book, text};
use scratch::Scratch;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How an iteration's own node ended.
type Ended = Result<Result<(), FailReason>, ProcessError>;

/// A soak.
pub struct SoakNode {
    facts: Facts,
    soak: Soak,
    base: Arc<dyn Node>,
    /// Only this iteration is run.
    only: Option<u32>,
    /// What runs it, behind `weir run -f`.
    call: String,
}

/// An iteration that has ended.
struct Lap {
    number: u32,
    ended: Ended,
    took: Duration,
    log: io::Result<Option<Kept>>,
    notices: Vec<Notice>,
}

impl SoakNode {
    /// Of a task that repeats `base`, a node made of the same arguments; `only` one iteration, where one is named.
    /// With other profiles than those in force it would be another soak.
    pub fn new(
        instance: &Instance<'_>,
        soak: &Soak,
        base: Arc<dyn Node>,
        only: Option<u32>,
        profiles: &[String],
    ) -> Self {
        let task = instance.task;
        let of_base = base.facts();
        let own = task.locks.iter().map(|lock| NamedLock::alone(&lock.value));
        let facts = Facts {
            name: instance.name.clone(),
            kept_as: instance.name.clone(),
            locked_as: task.name.clone(),
            acts: true,
            always: Some(Reason::Soak),
            shareable: false,
            sources: of_base.sources.clone(),
            effects: Effects::Unknown,
            reports_state: false,
            observes: false,
            reset: None,
            writes: of_base.writes.clone(),
            locks: own.chain(of_base.locks.iter().cloned()).collect(),
            interactive: false,
            quiet: task.quiet,
            warn_on_fail: task.on_fail == OnFail::Warn,
            help: task.help.clone().or_else(|| of_base.help.clone()),
            confirm: task.confirm.clone().or_else(|| of_base.confirm.clone()),
            retry: Retry { attempts: 1, backoff: Duration::ZERO },
            // What a soak found is evidence, whether it is declared a gate or not.
            // One iteration alone says nothing of all of them.
            gate: only
                .is_none()
                .then(|| task.gate.as_ref().map_or_else(|| own_gate(&task.name), |gate| gate.value.clone())),
            artifacts: of_base.artifacts.clone(),
            travel: Travel::Never(None),
        };
        let mut call = shell_word(task.name.as_str());
        // Where nothing says otherwise, it is this one.
        for profile in profiles.iter().filter(|_| profiles != ["local"]) {
            call = call + " --profile " + &shell_word(profile);
        }
        if !instance.arguments.positional.is_empty() {
            call += " --";
        }
        for word in &instance.arguments.positional {
            call = call + " " + &shell_word(word);
        }
        Self { facts, soak: soak.clone(), base, only, call }
    }

    /// The command that runs one iteration again.
    fn again(&self, number: u32) -> String {
        format!("weir run -f --iteration {number} {}", self.call)
    }

    /// Why no further iteration starts; none: another one may.
    fn is_over(&self, context: &Context, started: Instant, next: u32, book: &Book) -> Option<SoakEnd> {
        if *context.cancel.borrow() != Cancel::No {
            Some(SoakEnd::Interrupted)
        } else if self.soak.until_failure && book.failed() > 0 {
            Some(SoakEnd::Failure)
        } else if next == u32::MAX || self.soak.runs.is_some_and(|runs| next > runs) {
            Some(SoakEnd::Runs)
        } else if next > 1 && self.soak.time.is_some_and(|time| started.elapsed() >= time) {
            Some(SoakEnd::Time)
        } else {
            None
        }
    }

    async fn repeat(&self, context: &Context, output: &mut dyn Output) -> Ended {
        let scratch = match scratch_of(context) {
            Ok(scratch) => Arc::new(scratch),
            Err(reason) => return Ok(Err(reason)),
        };
        let (started, mut book) = (Instant::now(), Book::new());
        let mut told = BTreeSet::new();
        let mut laps = JoinSet::new();
        let mut next = 1;
        let mut broken = None;
        let ended = loop {
            let mut over = self.is_over(context, started, next, &book);
            while over.is_none() && broken.is_none() && laps.len() < self.soak.jobs as usize {
                let log = output.aside(&format!("{next}.log"));
                let given = (next, self.soak.jobs > 1);
                laps.spawn(lap(Arc::clone(&self.base), context.clone(), Arc::clone(&scratch), given, log));
                next += 1;
                over = self.is_over(context, started, next, &book);
            }
            let Some(done) = laps.join_next().await else { break over.unwrap_or(SoakEnd::Interrupted) };
            let lap = match done {
                Ok(lap) => lap,
                Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
            };
            for notice in lap.notices.iter().filter(|notice| told.insert(notice.code.clone())) {
                let message = format!("iteration {}: {}", lap.number, notice.message);
                output.notice(Notice { message, ..notice.clone() });
            }
            if let Err(error) = self.enter(&mut book, lap, output) {
                broken.get_or_insert(error);
            }
        };
        match broken {
            Some(error) => Err(error),
            None => Ok(self.conclude(context, ended, started, book, output)),
        }
    }

    /// Tells of an iteration and keeps it in mind.
    fn enter(&self, book: &mut Book, lap: Lap, output: &mut dyn Output) -> Result<(), ProcessError> {
        let failed = lap.ended?.err();
        if failed == Some(FailReason::Interrupted) {
            book.cut_short();
            return Ok(());
        }
        let duration_ms = u64::try_from(lap.took.as_millis()).unwrap_or(u64::MAX);
        let log = lap.log.unwrap_or_else(|error| {
            output.notice(Notice {
                code: "log".into(),
                message: format!("failed to write the log of iteration {}: {error}", lap.number),
                help: None,
            });
            None
        });
        output.tell(Event::SoakIteration(SoakIteration {
            task: self.facts.name.clone(),
            iteration: lap.number,
            failed: failed.clone(),
            duration_ms,
            log: log.as_ref().map(|log| log.name.clone()),
        }));
        match failed {
            None => book.passed(duration_ms),
            Some(reason) => book.fail(lap.number, &reason.describe(), duration_ms, log),
        }
        Ok(())
    }

    /// The summary, in the log and for the record, and what it means for the soak.
    fn conclude(
        &self,
        context: &Context,
        ended: SoakEnd,
        started: Instant,
        book: Book,
        output: &mut dyn Output,
    ) -> Result<(), FailReason> {
        let names = (&self.facts.name, &self.base.facts().name);
        let (summary, logs) = book.sum_up(names, ended, started.elapsed(), &|number| self.again(number));
        output.bytes(text(&summary, &logs, &context.root).as_bytes());
        let verdict = if summary.failed > 0 {
            let message = format!("{} of {} failed", summary.failed, counted(summary.iterations, "iteration"));
            let first = summary.failures.first().map(|failure| failure.again.clone());
            Err(FailReason::Node {
                message,
                help: first.map(|again| format!("`{again}` runs the first of them again")),
            })
        } else {
            Ok(())
        };
        output.tell(Event::SoakFinished(Box::new(summary)));
        if ended == SoakEnd::Interrupted { Err(FailReason::Interrupted) } else { verdict }
    }

    /// One iteration alone, with the number it had, and its output shown.
    async fn repeat_one(&self, number: u32, context: &Context, output: &mut dyn Output) -> Ended {
        let made = scratch_of(context).and_then(|scratch| {
            let (context, folder) = of_iteration(context, &scratch, (number, false))?;
            Ok((context, folder, scratch))
        });
        match made {
            Ok((context, folder, scratch)) => {
                let ended = self.base.run(&context, output).await;
                drop((folder, scratch));
                ended
            }
            Err(reason) => Ok(Err(reason)),
        }
    }
}

/// The gate of a soak that declares none.
fn own_gate(task: &TaskName) -> Gate {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = task.as_str().chars().map(plain).take(60).collect();
    // Two tasks whose names differ in a `:` only are two gates.
    let id = format!("soak-{name}-{}", Digest::of(task.as_str().as_bytes()).short());
    Gate { id, title: Some(format!("soak `{task}`")) }
}

/// What an iteration is given: a number, and a folder that goes with it.
fn of_iteration(
    context: &Context,
    scratch: &Scratch,
    (number, crowded): (u32, bool),
) -> Result<(Context, tempfile::TempDir), FailReason> {
    let folder = scratch.of_iteration(number).map_err(|error| FailReason::Start {
        message: format!("failed to make a scratch folder for iteration {number}: {error}"),
    })?;
    let iteration = Iteration { number, scratch: folder.path().to_path_buf(), crowded };
    Ok((Context { iteration: Some(Arc::new(iteration)), ..context.clone() }, folder))
}

/// The folder that those of all iterations are in.
fn scratch_of(context: &Context) -> Result<Scratch, FailReason> {
    Scratch::new(&context.guard)
        .map_err(|error| FailReason::Start { message: format!("failed to make a scratch folder: {error}") })
}

async fn lap(
    node: Arc<dyn Node>,
    context: Context,
    scratch: Arc<Scratch>,
    (number, crowded): (u32, bool),
    log: Box<dyn Aside>,
) -> Lap {
    let started = Instant::now();
    let mut quiet = Quiet { log, notices: vec![] };
    let ended = match of_iteration(&context, &scratch, (number, crowded)) {
        Ok((context, folder)) => {
            let ended = node.run(&context, &mut quiet).await;
            drop(folder);
            ended
        }
        Err(reason) => Ok(Err(reason)),
    };
    let took = started.elapsed();
    let keep = !matches!(ended, Ok(Ok(())));
    Lap { number, ended, took, log: quiet.log.finish(keep), notices: quiet.notices }
}

/// Takes what an iteration prints into its own log.
struct Quiet {
    log: Box<dyn Aside>,
    notices: Vec<Notice>,
}

impl Output for Quiet {
    fn bytes(&mut self, bytes: &[u8]) {
        self.log.bytes(bytes);
    }

    fn notice(&mut self, notice: Notice) {
        self.log.bytes(format!("note: {}\n", notice.message).as_bytes());
        self.notices.push(notice);
    }
}

impl Node for SoakNode {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn define(&self, root: &Path, outside: &Outside, sink: &mut dyn KeySink) -> Result<(), FailReason> {
        sink.part(PartKind::Definition, "soak", KeyValue::Text(&format!("{:?}", self.soak.task.value)));
        self.base.define(root, outside, sink)
    }

    fn secrets(&self, root: &Path, outside: &Outside) -> Vec<String> {
        self.base.secrets(root, outside)
    }

    fn obstacles(&self, root: &Path, outside: &Outside, seen: &mut Seen) -> Vec<Diagnostic> {
        self.base.obstacles(root, outside, seen)
    }

    fn refusals(&self, root: &Path, outside: &Outside) -> Vec<crate::node::Refusal> {
        self.base.refusals(root, outside)
    }

    fn wants_force(&self) -> bool {
        true
    }

    fn observe<'a>(&'a self, _: &'a Context) -> Pending<'a, Result<Vec<Observation>, FailReason>> {
        Box::pin(async { Ok(vec![]) })
    }

    fn run<'a>(&'a self, context: &'a Context, output: &'a mut dyn Output) -> Pending<'a, Ended> {
        Box::pin(async move {
            if let Some(number) = self.only {
                return self.repeat_one(number, context, output).await;
            }
            output.tell(Event::SoakStarted(SoakStarted {
                task: self.facts.name.clone(),
                base: self.base.facts().name.clone(),
                runs: self.soak.runs,
                for_ms: self.soak.time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
                until_failure: self.soak.until_failure,
                jobs: self.soak.jobs,
            }));
            self.repeat(context, output).await
        })
    }

    fn state<'a>(&'a self, _: &'a Context) -> Pending<'a, Result<Digest, FailReason>> {
        Box::pin(async { Ok(Digest::of(b"")) })
    }
}
