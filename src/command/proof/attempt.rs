//! One attempt at a proof: the service is started, put to work, killed, started again, watched, judged and stopped.

use super::CrashProof;
use super::ear::Ear;
use super::settling::{Seen, Settling};
use super::story::{Moment, Story};
use crate::command::execute::{Ended, execute};
use crate::command::serving::{Lost, Serving};
use crate::command::task::{give_all, unless_cancelled};
use crate::config::{After, Sign};
use crate::model::{FailReason, format_duration};
use crate::node::{Context, Loan, Output};
use crate::process::{Captured, Command, Exit, ProcessError, Signal, Stdio, capture};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// Between two looks at what is to settle.
const LOOK: Duration = Duration::from_millis(100);
/// Between two looks for the sign that the crash waits for.
const SIGN: Duration = Duration::from_millis(50);
/// How long a look may take while the service is down.
const DEAD_LOOK: Duration = Duration::from_secs(5);
/// How much of a polled command's output is kept.
const LIMIT: usize = 64 * 1024;

/// Why an attempt ends early.
enum Stop {
    /// It failed.
    Failed(FailReason),
    /// weir itself is broken.
    Broken(ProcessError),
}

impl From<FailReason> for Stop {
    fn from(reason: FailReason) -> Self {
        Self::Failed(reason)
    }
}

impl From<ProcessError> for Stop {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::GuardGone => Self::Broken(error),
            ProcessError::Ended => Self::Failed(FailReason::Interrupted),
            error => Self::Failed(FailReason::Start { message: error.to_string() }),
        }
    }
}

/// One attempt.
pub struct Attempt<'a> {
    /// Whose.
    pub proof: &'a CrashProof,
    /// What there is to work with; `$WEIR_ATTEMPT_ID` is in it.
    pub context: &'a Context,
    /// What the service's task is lent.
    pub loans: &'a [Loan],
    /// The attempt's own.
    pub id: &'a str,
    /// When there is no more time, and how much there was.
    pub deadline: (Instant, Duration),
}

impl Attempt<'_> {
    /// From the start to the judgement, and the service's end, whatever comes of it.
    ///
    /// # Errors
    /// The guard is gone.
    pub async fn run(&self, output: &mut dyn Output) -> Result<Ended, ProcessError> {
        let mut story = Story::new(output);
        let mut lives = Vec::new();
        let proved = match timeout_at(self.deadline.0, self.prove(&mut lives, &mut story)).await {
            Ok(proved) => proved,
            Err(_) => Err(self.out_of_time(&story)),
        };
        if let Some(up) = lives.last() {
            up.stop(self.context).await;
        }
        if matches!(&proved, Err(Stop::Failed(reason)) if *reason != FailReason::Interrupted) {
            for (life, when) in lives.iter().zip(["before the crash", "after the restart"]) {
                let heading = format!("the last lines of `{}` {when}:", self.proof.service_name());
                story.quotes(&heading, &life.last_lines());
            }
        }
        match proved {
            Ok(()) => Ok(Ok(())),
            Err(Stop::Failed(reason)) => Ok(Err(reason)),
            Err(Stop::Broken(error)) => Err(error),
        }
    }

    /// From the start to the judgement. Each process of the service is put into `lives`, the last of which may be up.
    async fn prove(&self, lives: &mut Vec<Serving>, story: &mut Story<'_>) -> Result<(), Stop> {
        let name = self.proof.service_name();
        let ear = Ear::new(&self.proof.with.after)?;
        story.says(&format!("attempt {}: `{name}` starts", self.id));
        let first = self.start(&ear, lives, story).await?;
        story.says(&format!("`{name}` is ready"));
        self.work(first, &ear, story).await?;
        self.kill(first, story).await?;
        self.is_unfinished(story).await?;
        story.comes_to(Moment::Restart);
        let second = self.start(&Ear::default(), lives, story).await?;
        story.says(&format!("`{name}` is started again and ready"));
        self.settle(second, story).await?;
        self.judge(second, story).await
    }

    /// Starts the service, and waits until it is ready.
    async fn start<'s>(
        &self,
        ear: &Ear,
        lives: &'s mut Vec<Serving>,
        story: &mut Story<'_>,
    ) -> Result<&'s Serving, Stop> {
        let launch = self.proof.service.launch(self.context, self.loans);
        let launch = launch.map_err(|reason| self.is_not_up(reason, story))?;
        let started = Serving::start(self.context, launch, Box::new(ear.clone())).await?;
        lives.push(started.map_err(|reason| self.is_not_up(reason, story))?);
        let Some(started) = lives.last() else { return Err(FailReason::Interrupted.into()) };
        match started.ready(self.context).await {
            Ok(_) => Ok(started),
            Err(reason) => Err(self.is_not_up(reason, story)),
        }
    }

    fn is_not_up(&self, reason: FailReason, story: &Story<'_>) -> Stop {
        let help = match &reason {
            FailReason::Interrupted => return reason.into(),
            FailReason::Node { help, .. } | FailReason::Inputs { help, .. } => help.clone().unwrap_or_default(),
            _ => String::new(),
        };
        story.fails(format!("`{}`: {}", self.proof.service_name(), reason.describe()), &help).into()
    }

    /// Has the service begin its work, and waits for the moment of the crash.
    async fn work(&self, service: &Serving, ear: &Ear, story: &mut Story<'_>) -> Result<(), Stop> {
        story.comes_to(Moment::Trigger);
        ear.listens();
        if let Some(trigger) = &self.proof.with.trigger {
            self.run_command(&trigger.value, service, story, "the trigger").await?;
        }
        story.says("triggered");
        story.comes_to(Moment::After);
        match &self.proof.with.after {
            After::Trigger => Ok(()),
            After::Time(time) => self.while_up(service, story, sleep(*time)).await,
            After::Seen { sign, timeout } => {
                self.wait_for(sign, *timeout, service, ear, story).await?;
                story.says("`after`: it is as far as that");
                Ok(())
            }
        }
    }

    async fn wait_for(
        &self,
        sign: &Sign,
        within: Duration,
        service: &Serving,
        ear: &Ear,
        story: &mut Story<'_>,
    ) -> Result<(), Stop> {
        let mut last = None;
        let seen = async {
            let Sign::Command(text) = sign else {
                ear.heard().await;
                return Ok(());
            };
            loop {
                match self.look(text, within).await? {
                    Seen::Printed(_) => return Ok::<(), Stop>(()),
                    failed @ Seen::Failed(_) => last = Some(failed),
                }
                sleep(SIGN).await;
            }
        };
        if let Ok(seen) = self.while_up(service, story, timeout_at(Instant::now() + within, seen)).await? {
            return seen;
        }
        let within = format_duration(within);
        let what = match (sign, last) {
            (Sign::Log(pattern), _) => {
                format!("no line of `{}` matched `{pattern}` within {within}", self.proof.service_name())
            }
            (Sign::Command(_), Some(last)) => {
                format!("the command did not succeed within {within}: it {}", last.describe())
            }
            (Sign::Command(_), None) => format!("the command did not end within {within}"),
        };
        Err(story.fails(what, "it was not killed: the work did not get as far as the crash is aimed").into())
    }

    /// Kills the service, which must be up until then; nothing of it is left.
    async fn kill(&self, service: &Serving, story: &mut Story<'_>) -> Result<(), Stop> {
        story.comes_to(Moment::Kill);
        let signal = self.proof.signal();
        if service.has_ended() {
            return Err(self.went_down(&service.lost().await, story));
        }
        let killed = service.kill(signal).await;
        if let (Signal::Kill, Some(Exit::Code(_))) = (signal, &killed.exit) {
            // A process that gets SIGKILL ends of it: this one had ended before.
            return Err(self.went_down(&service.lost().await, story));
        }
        if killed.heeded && killed.gone {
            story.says(&format!("killed with {signal}: all of it is gone"));
            return Ok(());
        }
        let what = format!("`{}` got {signal}, and not all of its processes ended", self.proof.service_name());
        let help = match signal {
            _ if killed.heeded => {
                "one that left its group, for a session of its own, is out of reach: have all of it stay"
            }
            Signal::Kill => "the kernel holds one of them, or it is another user's",
            _ => "it had 5 s; `kill = \"KILL\"` leaves it no choice",
        };
        Err(story.fails(what, help).into())
    }

    /// With the service dead, the output is not what it must settle at: something was left to do.
    async fn is_unfinished(&self, story: &mut Story<'_>) -> Result<(), Stop> {
        let settle = &self.proof.with.settle;
        let seen = self.look(&settle.command, settle.timeout.min(DEAD_LOOK)).await?;
        if seen != Seen::Printed(settle.equals.clone()) {
            return Ok(());
        }
        let what = format!("all was done before it was killed: with it dead, the output is `{}`", settle.equals);
        let help = "the crash must hit in the middle: aim it with `after`, or have the work take longer; where it may \
                    come later, let `settle` ask the service itself";
        Err(story.fails(what, help).into())
    }

    /// Watches the output until it has settled.
    async fn settle(&self, service: &Serving, story: &mut Story<'_>) -> Result<(), Stop> {
        story.comes_to(Moment::Settle);
        let settle = &self.proof.with.settle;
        let begun = Instant::now();
        let mut settling = Settling::new(&settle.equals, settle.stable);
        let looking = async {
            loop {
                let began = begun.elapsed();
                let seen = self.look(&settle.command, settle.timeout).await?;
                if settling.saw(began, begun.elapsed(), seen) {
                    return Ok::<(), Stop>(());
                }
                sleep(LOOK).await;
            }
        };
        match self.while_up(service, story, timeout_at(begun + settle.timeout, looking)).await? {
            Ok(settled) => settled?,
            Err(_) => return Err(story.fails(format!("the output {}", settling.why_not(settle.timeout)), "").into()),
        }
        let since = format_duration(settling.since().unwrap_or_default());
        let stable = format_duration(settle.stable);
        story.says(&format!("the output came to `{}` after {since} and stayed there for {stable}", settle.equals));
        Ok(())
    }

    /// Runs the assertion; the output stays where it is meanwhile.
    async fn judge(&self, service: &Serving, story: &mut Story<'_>) -> Result<(), Stop> {
        story.comes_to(Moment::Assert);
        if let Some(assert) = &self.proof.with.assert {
            self.run_command(&assert.value, service, story, "the assertion").await?;
            story.says("the assertion holds");
        }
        let settle = &self.proof.with.settle;
        let seen = self.while_up(service, story, self.look(&settle.command, settle.timeout)).await??;
        if seen == Seen::Printed(settle.equals.clone()) {
            return Ok(());
        }
        let what = format!("the output had settled at `{}` and moved: it {}", settle.equals, seen.describe());
        Err(story.fails(what, "a longer `stable` would have seen that").into())
    }

    fn out_of_time(&self, story: &Story<'_>) -> Stop {
        let time = format_duration(self.deadline.1);
        let help = "`timeout` of the task is for all of it: the starts, `after`, `settle` and `assert`";
        story.fails(format!("its time is up: the task has {time}"), help).into()
    }

    /// Runs a command to its end while the service is up; it must succeed.
    async fn run_command(&self, text: &str, service: &Serving, story: &mut Story<'_>, what: &str) -> Result<(), Stop> {
        let command = self.command(text)?;
        let failed = tokio::select! {
            biased;
            lost = service.lost() => return Err(self.went_down(&lost, story)),
            done = execute(self.context, command, self.deadline, story.output) => match done? {
                Ok(()) => return Ok(()),
                Err(FailReason::Interrupted) => return Err(FailReason::Interrupted.into()),
                // It has as much time as all of this, and may be the first to notice.
                Err(FailReason::Timeout { .. }) => return Err(self.out_of_time(story)),
                Err(reason) => reason,
            },
        };
        // Whoever asks a service that is just dying fails first.
        if service.has_ended() {
            return Err(self.went_down(&service.lost().await, story));
        }
        Err(story.fails(format!("{what} failed: {}", failed.describe()), "").into())
    }

    /// Waits for `work` while the service is up.
    async fn while_up<T>(
        &self,
        service: &Serving,
        story: &mut Story<'_>,
        work: impl Future<Output = T>,
    ) -> Result<T, Stop> {
        tokio::select! {
            biased;
            lost = service.lost() => Err(self.went_down(&lost, story)),
            done = unless_cancelled(self.context, work) => Ok(done?),
        }
    }

    /// It ended though nobody stopped it.
    fn went_down(&self, lost: &Lost, story: &Story<'_>) -> Stop {
        if lost.exit.is_none() {
            return FailReason::Interrupted.into();
        }
        let when = if story.is_after_the_crash() { "by itself after the restart" } else { "before it was killed" };
        let what = format!("`{}` {} {when}", self.proof.service_name(), lost.describe());
        story.fails(what, &lost.help()).into()
    }

    /// Runs a command that is polled.
    async fn look(&self, text: &str, within: Duration) -> Result<Seen, Stop> {
        let mut command = self.command(text)?;
        command.stdio = Stdio::CaptureSplit;
        let looked = unless_cancelled(self.context, capture(&self.context.guard, command, within, LIMIT)).await??;
        Ok(seen(&looked, within))
    }

    /// A command of the proof: as one of the service's own, but under the proof's name.
    fn command(&self, text: &str) -> Result<Command, FailReason> {
        let mut command = self.proof.command().shell(self.context, text, &[])?;
        give_all(&mut command, self.context, self.loans);
        command.env.push(("WEIR_TASK".into(), self.proof.facts.name.as_str().into()));
        Ok(command)
    }
}

/// What a polled command showed.
fn seen(looked: &Captured, within: Duration) -> Seen {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let why = match &looked.exit {
        _ if looked.timed_out => format!("no end within {}", format_duration(within)),
        Exit::Code(0) if looked.truncated => format!("it prints more than {} KiB", LIMIT / 1024),
        Exit::Code(0) => return Seen::Printed(text(&looked.output)),
        Exit::Code(code) => format!("exit status {code}"),
        Exit::Signal(name) => format!("ended by {name}"),
    };
    let said = text(&looked.error);
    match said.lines().last() {
        Some(last) => Seen::Failed(format!("{why} ({last})")),
        None => Seen::Failed(why),
    }
}
