//! A task with a command.

use super::direct::without_shell;
use super::elsewhere::{Elsewhere, travel};
use super::environment::{Declared, variables_of};
use super::execute::{Ended, execute};
use super::report::Report;
use crate::config::shell::variables;
use crate::config::{Action, CacheMode, Diagnostic, Located, OnFail, Pattern, Poll, Task};
use crate::fingerprint::{Stat, digest_file};
use crate::model::{
    Digest, FailReason, Hasher, KeySink, KeyValue, Notice, Observation, PartKind, Reason, format_duration,
};
use crate::node::{
    Cancel, Context, Effects, Errand, Facts, Instance, Loan, NamedLock, Node, Output, Outside, Pending, Resource, Seen,
    Surroundings,
};
use crate::process::{Captured, Command, ProcessError, Stdio, capture};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a program may take to tell its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a probe or a state command may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(60);
/// How much of such a command's output is kept.
const PROBE_LIMIT: usize = 1 << 20;

/// A task with a command.
pub struct CommandNode {
    facts: Facts,
    task: Arc<Task>,
    arguments: Vec<String>,
    environment: Declared,
    resources: Vec<Arc<dyn Resource>>,
    timeout: Duration,
}

impl CommandNode {
    /// Of a task with a command; `timeout` where it names none; `resources` are lent to it.
    pub fn new(instance: &Instance<'_>, timeout: Duration, resources: Vec<Arc<dyn Resource>>) -> Self {
        let task = instance.task;
        let always = why_always(task);
        let plain = |list: &[Located<Pattern>]| list.iter().map(|pattern| pattern.value.clone()).collect();
        let listed = |list: &Option<Located<Vec<Located<Pattern>>>>| list.as_ref().map(|list| plain(&list.value));
        let unknown_effects = task.outputs.is_none() && task.state.is_none();
        let writes_outputs = task.outputs.as_ref().is_some_and(|outputs| !outputs.value.is_empty());
        let own_name = |as_task: bool| if as_task { task.name.clone() } else { instance.name.clone() };
        let facts = Facts {
            name: instance.name.clone(),
            kept_as: own_name(unknown_effects),
            // With other arguments it writes the same outputs; one run refuses that, two must not.
            locked_as: own_name(writes_outputs || (unknown_effects && always.is_none())),
            acts: true,
            shareable: task.cache == CacheMode::On,
            sources: listed(&task.sources).unwrap_or_default(),
            effects: listed(&task.outputs).map_or(Effects::Unknown, Effects::Declared),
            reports_state: task.state.is_some(),
            observes: !task.requires.is_empty()
                || !task.probes.is_empty()
                || resources.iter().any(|lent| lent.observes()),
            reset: task.reset.map(|_| task.name.clone()),
            writes: plain(&task.writes),
            locks: task
                .locks
                .iter()
                .map(|lock| NamedLock::alone(&lock.value))
                .chain(resources.iter().flat_map(|resource| resource.locks()))
                .collect(),
            interactive: task.interactive,
            quiet: task.quiet,
            warn_on_fail: task.on_fail == OnFail::Warn,
            help: task.help.clone(),
            confirm: task.confirm.clone(),
            retry: task.retry,
            gate: task.gate.as_ref().map(|gate| gate.value.clone()),
            artifacts: plain(&task.artifacts),
            travel: travel(task),
            always,
        };
        let environment = Declared::new(task, &instance.env, &instance.arguments.named, facts.always.is_some());
        Self {
            timeout: task.timeout.unwrap_or(timeout),
            arguments: instance.arguments.positional.clone(),
            task: Arc::clone(task),
            environment,
            resources,
            facts,
        }
    }

    pub(super) fn environment(&self, context: &Context) -> Result<Vec<(OsString, OsString)>, FailReason> {
        let own = [
            ("WEIR_TASK", self.facts.name.as_str().into()),
            ("WEIR_RUN_ID", context.run_id.clone().into()),
            ("WEIR_WORKSPACE", context.root.clone().into()),
        ];
        let iteration = context.iteration.iter().flat_map(|iteration| iteration.variables());
        self.environment.build(&context.root, &context.outside, own.into_iter().chain(iteration))
    }

    /// What it is lent while it runs.
    pub(super) fn resources(&self) -> &[Arc<dyn Resource>] {
        &self.resources
    }

    fn dir(&self, root: &Path) -> PathBuf {
        self.task.dir.value.under(root)
    }

    /// A command for the shell, arguments as `"$@"`.
    pub(super) fn shell(&self, context: &Context, text: &str, arguments: &[String]) -> Result<Command, FailReason> {
        let mut words = self.task.shell.iter().map(OsString::from);
        let program = words.next().unwrap_or_else(|| "sh".into());
        let mut command = Command::new(program, self.dir(&context.root));
        command.args = words.collect();
        command.args.push(text.into());
        command.args.push(self.facts.name.as_str().into());
        command.args.extend(arguments.iter().map(OsString::from));
        command.env = self.environment(context)?;
        without_shell(&mut command, &self.task.shell, text);
        Ok(command)
    }

    pub(super) fn commands(&self, context: &Context) -> Result<Vec<Command>, FailReason> {
        let mut commands = match &self.task.action {
            Action::Shell(texts) => {
                texts.iter().map(|text| self.shell(context, text, &self.arguments)).collect::<Result<Vec<_>, _>>()?
            }
            Action::Exec(words) => {
                let mut words = words.iter().chain(&self.arguments).map(OsString::from);
                let mut command = Command::new(words.next().unwrap_or_default(), self.dir(&context.root));
                command.args = words.collect();
                command.env = self.environment(context)?;
                vec![command]
            }
            Action::Uses(_) | Action::Soak(_) | Action::Group { .. } => vec![],
        };
        if self.facts.interactive {
            commands.iter_mut().for_each(|command| command.stdio = Stdio::Inherit);
        }
        Ok(commands)
    }

    async fn once(
        &self,
        context: &Context,
        deadline: (Instant, Duration),
        loans: &[Loan],
        output: &mut dyn Output,
    ) -> Result<Ended, ProcessError> {
        let mut commands = match self.commands(context) {
            Ok(commands) => commands,
            Err(reason) => return Ok(Err(reason)),
        };
        commands.iter_mut().for_each(|command| give_all(command, context, loans));
        let report = self.task.report.as_ref().map(|report| Report::before(report, &context.root));
        let mut ended = Ok(());
        for command in commands {
            ended = execute(context, command, deadline, output).await?;
            if ended.is_err() {
                break;
            }
        }
        // A report that is no good fails a task that says it succeeded; the other way round its exit status counts.
        Ok(match report {
            Some(report) if !matches!(ended, Err(FailReason::Interrupted)) => ended.and(report.judge(output)),
            _ => ended,
        })
    }

    async fn poll(
        &self,
        context: &Context,
        poll: Poll,
        loans: &[Loan],
        output: &mut dyn Output,
    ) -> Result<Ended, ProcessError> {
        let mut cancel = context.cancel.clone();
        let deadline = (Instant::now() + poll.timeout, poll.timeout);
        loop {
            let failed = match self.once(context, deadline, loans, output).await? {
                Ok(()) => return Ok(Ok(())),
                Err(reason) => reason,
            };
            let give_up =
                matches!(failed, FailReason::Interrupted | FailReason::Timeout { .. } | FailReason::Start { .. });
            if give_up || Instant::now() + poll.every > deadline.0 {
                return Ok(Err(match failed {
                    FailReason::Interrupted | FailReason::Start { .. } => failed,
                    _ => FailReason::Timeout { after_ms: u64::try_from(poll.timeout.as_millis()).unwrap_or(u64::MAX) },
                }));
            }
            if tokio::time::timeout(poll.every, cancel.wait_for(|now| *now != Cancel::No)).await.is_ok() {
                return Ok(Err(FailReason::Interrupted));
            }
        }
    }

    async fn with_loans(
        &self,
        context: &Context,
        loans: &[Loan],
        output: &mut dyn Output,
    ) -> Result<Ended, ProcessError> {
        match self.task.poll {
            Some(poll) => self.poll(context, poll, loans, output).await,
            None => self.once(context, (Instant::now() + self.timeout, self.timeout), loans, output).await,
        }
    }

    /// Borrows what it is lent; where something is not there, why, and what was lent before it.
    pub(super) async fn borrow(&self, context: &Context, output: &mut dyn Output) -> (Vec<Loan>, Option<FailReason>) {
        let mut loans = Vec::with_capacity(self.resources.len());
        for resource in &self.resources {
            match unless_cancelled(context, resource.lend(context, output)).await.and_then(|lent| lent) {
                Ok(loan) => loans.push(loan),
                Err(reason) => return (loans, Some(reason)),
            }
        }
        (loans, None)
    }

    /// Gives it back, the last first.
    pub(super) async fn give_back(&self, context: &Context, loans: Vec<Loan>, output: &mut dyn Output) {
        for (resource, loan) in self.resources.iter().zip(loans).rev() {
            resource.take_back(context, loan, output).await;
        }
    }

    /// The declared environment alone, for a key.
    pub(super) fn define_environment(
        &self,
        root: &Path,
        outside: &Outside,
        sink: &mut dyn KeySink,
    ) -> Result<(), FailReason> {
        self.environment.define(root, outside, sink)
    }

    /// Tells of variables that the command names, that are set outside, and that it does not see.
    fn tell_hidden(&self, context: &Context, loans: &[Loan], output: &mut dyn Output) {
        let Action::Shell(texts) = &self.task.action else { return };
        let named: BTreeSet<String> = texts.iter().flat_map(|text| variables(text)).collect();
        let lent = |name: &String| loans.iter().any(|loan| loan.variables.iter().any(|(given, _)| given == name));
        for name in named.iter().filter(|name| !lent(name)) {
            if context.outside.vars.contains_key(name) && !self.environment.sees(&context.root, name) {
                output.notice(Notice {
                    code: "hidden-variable".into(),
                    message: format!("`{name}` is set outside, but this task does not declare it and does not see it"),
                    help: Some(format!(
                        "add `env_inputs = [\"{name}\"]` to have it in the key, or `pass_through = [\"{name}\"]`"
                    )),
                });
            }
        }
    }

    async fn identity(&self, context: &Context, name: &str) -> Result<String, FailReason> {
        let env = self.environment(context)?;
        let dir = self.dir(&context.root);
        let path = env.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.clone());
        let program = find_program(name, path.as_deref(), &dir).ok_or_else(|| FailReason::Inputs {
            message: format!("required program `{name}` is not found"),
            help: Some("install it, or put its folder on PATH".into()),
        })?;
        let known_as = (program.clone(), fingerprint_of(&program, &dir, &env));
        let lock = || context.programs.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = lock().get(&known_as) {
            return Ok(known.clone());
        }
        let digest = digest_file(&program).map_err(|error| FailReason::Inputs {
            message: format!("failed to read required program `{}`: {error}", program.display()),
            help: None,
        })?;
        let mut command = Command::new(program, dir);
        command.args = vec!["--version".into()];
        command.env = env;
        let told = unless_cancelled(context, capture(&context.guard, command, VERSION_TIMEOUT, 4096)).await?;
        let version = match told {
            Ok(captured) if captured.exit.success() && !captured.timed_out => {
                String::from_utf8_lossy(&captured.output).trim().to_owned()
            }
            _ => "(tells no version)".to_owned(),
        };
        let identity = format!("{version} {}", digest.digest);
        lock().insert(known_as, identity.clone());
        Ok(identity)
    }

    /// The output of a probe or state command.
    async fn ask(&self, context: &Context, text: &str) -> Result<Vec<u8>, FailReason> {
        let fail = |message: String| FailReason::Probe { command: text.to_owned(), message };
        let command = self.shell(context, text, &self.arguments)?;
        let Captured { exit, output, timed_out, truncated, .. } =
            unless_cancelled(context, capture(&context.guard, command, PROBE_TIMEOUT, PROBE_LIMIT))
                .await?
                .map_err(|error| fail(error.to_string()))?;
        if truncated {
            return Err(fail("it printed more than 1 MiB".into()));
        }
        if timed_out {
            return Err(fail(format!("it took longer than {}", format_duration(PROBE_TIMEOUT))));
        }
        if exit.success() {
            return Ok(output);
        }
        let said = String::from_utf8_lossy(&output);
        let last = said.lines().last().unwrap_or("no output");
        Err(fail(match exit {
            crate::process::Exit::Code(code) => format!("exit status {code} ({last})"),
            crate::process::Exit::Signal(name) => format!("ended by {name}"),
        }))
    }
}

/// Puts all that is lent over what is there.
pub(super) fn give_all(command: &mut Command, context: &Context, loans: &[Loan]) {
    give(command, &Loan { variables: context.lent.clone(), ..Loan::default() });
    loans.iter().for_each(|loan| give(command, loan));
}

fn give(command: &mut Command, loan: &Loan) {
    let replaced = |name: &OsString| {
        loan.variables.iter().any(|(given, _)| given.as_str() == name)
            || loan.hidden.iter().any(|hidden| hidden.as_str() == name)
    };
    command.env.retain(|(name, _)| !replaced(name));
    command.env.extend(loan.variables.iter().map(|(name, value)| (name.into(), value.clone())));
}

/// Waits for `work`, which ends with its process when the run is cut short.
pub(super) async fn unless_cancelled<T>(context: &Context, work: impl Future<Output = T>) -> Result<T, FailReason> {
    let mut cancel = context.cancel.clone();
    tokio::select! {
        done = work => Ok(done),
        _ = cancel.wait_for(|now| *now != Cancel::No) => Err(FailReason::Interrupted),
    }
}

fn why_always(task: &Task) -> Option<Reason> {
    if task.reset.is_some() {
        Some(Reason::Reset)
    } else if task.interactive {
        Some(Reason::Interactive)
    } else if !task.writes.is_empty() {
        Some(Reason::Writes)
    } else if task.cache == CacheMode::Off {
        Some(Reason::CacheOff)
    } else if task.sources.is_none() {
        Some(Reason::NoSources)
    } else {
        None
    }
}

/// What a program's answer may depend on, within a run: its file, the folder, the environment.
fn fingerprint_of(program: &Path, dir: &Path, env: &[(OsString, OsString)]) -> Digest {
    let mut hasher = Hasher::new();
    let stat = std::fs::metadata(program).map(|metadata| Stat::of(&metadata));
    hasher.field(format!("{stat:?}").as_bytes());
    hasher.field(dir.as_os_str().as_encoded_bytes());
    for (name, value) in env.iter().filter(|(name, _)| name != "WEIR_TASK") {
        hasher.field(name.as_encoded_bytes());
        hasher.field(value.as_encoded_bytes());
    }
    hasher.finish()
}

/// Whether everything that nodes need on this machine is still there.
pub fn still_there(needed: &Surroundings) -> bool {
    needed.folders.iter().all(|folder| folder.is_dir())
        && needed.programs.iter().all(|(dir, path, name)| find_program(name, path.as_deref(), dir).is_some())
}

fn find_program(name: &str, path: Option<&std::ffi::OsStr>, dir: &Path) -> Option<PathBuf> {
    which::which_in(name, path, dir).ok()
}

impl Node for CommandNode {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn define(&self, root: &Path, outside: &Outside, sink: &mut dyn KeySink) -> Result<(), FailReason> {
        let task = &self.task;
        let mut define = |name: &str, value: &str| sink.part(PartKind::Definition, name, KeyValue::Text(value));
        // The command sees it, as `$0` and `$WEIR_TASK`.
        define("task", self.facts.name.as_str());
        match &task.action {
            Action::Shell(texts) => {
                for (index, text) in texts.iter().enumerate() {
                    let name = if texts.len() == 1 { "run".to_owned() } else { format!("run[{index}]") };
                    define(&name, text);
                }
                define("shell", &listed(&task.shell));
            }
            Action::Exec(words) => define("exec", &listed(words)),
            Action::Uses(_) | Action::Soak(_) | Action::Group { .. } => {}
        }
        if !self.arguments.is_empty() {
            define("arguments", &listed(&self.arguments));
        }
        define("dir", task.dir.value.as_str());
        match &self.facts.effects {
            Effects::Unknown => {}
            Effects::Declared(patterns) => {
                let full: Vec<String> = patterns.iter().map(Pattern::full).collect();
                define("outputs", &listed(&full));
            }
        }
        if let Some(report) = &task.report {
            let files: Vec<String> = report.files.iter().map(|file| file.value.full()).collect();
            define("junit", &listed(&files));
            define("expect", &format!("{:?}", report.expect));
        }
        for (name, texts) in [("probes", &task.probes), ("state", &task.state.iter().cloned().collect())] {
            if !texts.is_empty() {
                define(name, &listed(texts));
            }
        }
        for resource in &self.resources {
            let name = resource.name();
            sink.part(PartKind::Definition, &name, KeyValue::Text(&resource.declared()));
        }
        for (name, value) in &task.platform {
            sink.part(PartKind::Definition, &format!("platform.{name}"), KeyValue::Text(value));
        }
        self.environment.define(root, outside, sink)
    }

    fn secrets(&self, root: &Path, outside: &Outside) -> Vec<String> {
        let lent = self.resources.iter().flat_map(|resource| resource.secrets());
        self.environment.secrets(root, outside).into_iter().chain(lent).collect()
    }

    fn obstacles(&self, root: &Path, outside: &Outside, seen: &mut Seen) -> Vec<Diagnostic> {
        let task = &self.task;
        let name = &self.facts.name;
        let mut found = Vec::new();
        for required in &task.env_required {
            if outside.matching(&required.value).next().is_none() {
                found.push(
                    Diagnostic::error(
                        "task::env-required",
                        required.at,
                        format!("`{name}` needs the variable `{}`, which is not set", required.value),
                    )
                    .help(format!("set it: `{}=… weir run …`", required.value)),
                );
            }
        }
        // What a dependency may still bring about is judged when its turn comes.
        if !task.depends.is_empty() {
            return found;
        }
        let dir = self.dir(root);
        if !seen.folder(&dir) {
            found.push(
                Diagnostic::error(
                    "task::dir",
                    task.dir.at,
                    format!("`{name}` runs in `{}`, which is no folder", task.dir.value),
                )
                .help("create it, or correct `dir`"),
            );
            return found;
        }
        for file in &task.env_file {
            let (message, help) = if !file.value.under(root).is_file() {
                let message = format!("`{name}` reads variables from `{}`, which is no file", file.value);
                (message, "create it, or remove it from `env_file`")
            } else if let Err(reason) = variables_of(root, &file.value) {
                (format!("`{name}`: {}", reason.describe()), "write a line `NAME=value` for each variable")
            } else {
                continue;
            };
            found.push(Diagnostic::error("task::env-file", file.at, message).help(help));
        }
        if !found.is_empty() {
            // Without them nobody knows the PATH.
            return found;
        }
        let path = self.environment.search_path(root, outside);
        let path = path.as_deref();
        let mut missing = |code, at, program: &str, what: &str| {
            if !seen.program(program, path, &dir, || find_program(program, path, &dir).is_some()) {
                found.push(
                    Diagnostic::error(code, at, format!("`{name}` {what} `{program}`, which is not found"))
                        .help("install it, or put its folder on PATH"),
                );
            }
        };
        for required in &task.requires {
            missing("task::requires", required.at, &required.value, "requires");
        }
        match &task.action {
            Action::Exec(words) => missing("task::program", task.at, words.first().map_or("", String::as_str), "runs"),
            Action::Shell(_) => {
                missing("task::program", task.at, task.shell.first().map_or("", String::as_str), "runs in the shell");
            }
            Action::Uses(_) | Action::Soak(_) | Action::Group { .. } => {}
        }
        found
    }

    fn rests_on(&self) -> Option<Vec<&str>> {
        let asks = self.facts.observes || self.facts.reports_state;
        self.environment.rests_on().filter(|_| !asks)
    }

    fn observe<'a>(&'a self, context: &'a Context) -> Pending<'a, Result<Vec<Observation>, FailReason>> {
        Box::pin(async move {
            let mut all = Vec::new();
            for required in &self.task.requires {
                let value = self.identity(context, &required.value).await?;
                all.push(Observation { kind: PartKind::Program, name: required.value.clone(), value });
            }
            for probe in &self.task.probes {
                let output = self.ask(context, probe).await?;
                let value = match std::str::from_utf8(&output) {
                    Ok(text) => text.to_owned(),
                    Err(_) => Digest::of(&output).to_hex(),
                };
                all.push(Observation { kind: PartKind::Probe, name: probe.clone(), value });
            }
            for resource in &self.resources {
                all.extend(unless_cancelled(context, resource.observe(context)).await??);
            }
            Ok(all)
        })
    }

    fn run<'a>(
        &'a self,
        context: &'a Context,
        output: &'a mut dyn Output,
    ) -> Pending<'a, Result<Result<(), FailReason>, ProcessError>> {
        Box::pin(async move {
            let (loans, refused) = self.borrow(context, output).await;
            let ended = match refused {
                Some(reason) => Ok(Err(reason)),
                None => {
                    self.tell_hidden(context, &loans, output);
                    self.with_loans(context, &loans, output).await
                }
            };
            self.give_back(context, loans, output).await;
            ended
        })
    }

    fn errand(&self, root: &Path, outside: &Outside, observed: &[Observation]) -> Result<Errand, FailReason> {
        let own = [("WEIR_TASK", self.facts.name.as_str().into())];
        let env = self.environment.build_for_elsewhere(root, outside, own)?;
        Elsewhere { task: &self.task, name: &self.facts.name, arguments: &self.arguments, timeout: self.timeout }
            .errand(env, observed)
    }

    fn state<'a>(&'a self, context: &'a Context) -> Pending<'a, Result<Digest, FailReason>> {
        Box::pin(async move {
            match &self.task.state {
                Some(text) => Ok(Digest::of(&self.ask(context, text).await?)),
                None => Ok(Digest::of(b"")),
            }
        })
    }
}

/// A list as one text, without ambiguity.
pub(super) fn listed(words: &[String]) -> String {
    let mut text = String::from("[");
    for (index, word) in words.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}{word:?}");
    }
    text + "]"
}
