//! What all database nodes have in common: a [`Node`] around an [`Act`].

use super::databases::Databases;
use super::error::DbError;
use crate::config::{Database, Diagnostic, OnFail, Pattern, Uses};
use crate::model::{Digest, FailReason, KeySink, KeyValue, Observation, PartKind, Reason, format_duration};
use crate::node::{
    Cancel, Context, Effects, Facts, Instance, NamedLock, Node, Output, Outside, Pending, Refusal, Seen, Travel,
};
use crate::process::ProcessError;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What an act works with.
pub struct Site<'a> {
    /// All databases of the workspace.
    pub databases: &'a Databases,
    /// The one it acts on.
    pub database: &'a Database,
    /// The run.
    pub context: &'a Context,
}

/// How a node relates to the others.
#[derive(Debug, Clone)]
pub struct Nature {
    /// Why it always runs; none: it is cacheable.
    pub always: Option<Reason>,
    /// What it reads.
    pub sources: Vec<Pattern>,
    /// What it leaves behind in files.
    pub effects: Effects,
    /// It reports the state it leaves in the database.
    pub reports_state: bool,
    /// It has something to observe for its key.
    pub observes: bool,
    /// Tracked files that it changes.
    pub writes: Vec<Pattern>,
    /// It needs the database to itself.
    pub alone: bool,
    /// Named locks it needs beside the database's.
    pub locks: Vec<String>,
}

impl Default for Nature {
    /// It looks at the live database each time and leaves nothing behind.
    fn default() -> Self {
        Self {
            always: Some(Reason::Live),
            sources: vec![],
            effects: Effects::Declared(vec![]),
            reports_state: false,
            observes: false,
            writes: vec![],
            alone: true,
            locks: vec![],
        }
    }
}

/// What one kind of node does.
pub trait Act: Send + Sync {
    /// How it relates to the others.
    fn nature(&self, database: &Database) -> Nature;

    /// Writes its definition to the key: what of the database's declaration and of its parameters matters.
    fn define(&self, _database: &Database, _outside: &Outside, _sink: &mut dyn KeySink) -> Result<(), FailReason> {
        Ok(())
    }

    /// Why it can't run on this machine, before anything has run.
    fn obstacles(&self, _database: &Database, _root: &Path, _outside: &Outside) -> Vec<Diagnostic> {
        vec![]
    }

    /// Safety rules that forbid it, before anything has run.
    fn refusals(&self, _databases: &Databases, _database: &Database, _outside: &Outside) -> Vec<Refusal> {
        vec![]
    }

    /// What it needs to see for its key.
    fn observe<'a>(&'a self, _site: Site<'a>) -> Pending<'a, Result<Vec<Observation>, DbError>> {
        Box::pin(async { Ok(vec![]) })
    }

    /// Does it.
    fn run<'a>(&'a self, site: Site<'a>, output: &'a mut dyn Output) -> Pending<'a, Result<(), DbError>>;

    /// The state the database is in.
    fn state<'a>(&'a self, _site: Site<'a>) -> Pending<'a, Result<Digest, DbError>> {
        Box::pin(async { Ok(Digest::of(b"")) })
    }
}

/// A database node.
pub struct DatabaseNode {
    facts: Facts,
    uses: Uses,
    databases: Arc<Databases>,
    database: Arc<Database>,
    timeout: Duration,
    act: Box<dyn Act>,
}

impl DatabaseNode {
    /// Around an act.
    pub fn new(
        instance: &Instance<'_>,
        uses: &Uses,
        databases: &Arc<Databases>,
        database: &Arc<Database>,
        act: Box<dyn Act>,
    ) -> Self {
        let task = instance.task;
        let nature = act.nature(database);
        let mut own: Vec<NamedLock> = nature.locks.into_iter().map(NamedLock::alone).collect();
        own.extend(nature.alone.then(|| NamedLock::alone(database.lock())));
        own.sort();
        own.dedup();
        let facts = Facts {
            name: instance.name.clone(),
            kept_as: instance.name.clone(),
            locked_as: instance.name.clone(),
            acts: true,
            always: nature.always,
            shareable: false,
            sources: nature.sources,
            effects: nature.effects,
            reports_state: nature.reports_state,
            observes: nature.observes,
            reset: task.reset.map(|_| task.name.clone()),
            writes: nature.writes,
            locks: task.locks.iter().map(|lock| NamedLock::alone(&lock.value)).chain(own).collect(),
            interactive: false,
            quiet: task.quiet,
            warn_on_fail: task.on_fail == OnFail::Warn,
            help: task.help.clone(),
            confirm: task.confirm.clone(),
            retry: task.retry,
            gate: task.gate.as_ref().map(|gate| gate.value.clone()),
            artifacts: vec![],
            travel: Travel::Never(None),
        };
        Self {
            facts,
            uses: uses.clone(),
            databases: Arc::clone(databases),
            database: Arc::clone(database),
            timeout: task.timeout.unwrap_or(databases.timeout),
            act,
        }
    }

    fn site<'a>(&'a self, context: &'a Context) -> Site<'a> {
        Site { databases: &self.databases, database: &self.database, context }
    }

    /// Waits for `work`, unless the run is cut short or it takes too long. Dropping `work` closes its connections,
    /// and with them ends what they had begun.
    async fn bounded<T>(
        &self,
        context: &Context,
        work: impl Future<Output = Result<T, DbError>>,
    ) -> Result<T, FailReason> {
        let mut cancel = context.cancel.clone();
        tokio::select! {
            done = work => done.map_err(FailReason::from),
            () = tokio::time::sleep(self.timeout) => {
                Err(FailReason::Timeout { after_ms: u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX) })
            }
            _ = cancel.wait_for(|now| *now != Cancel::No) => Err(FailReason::Interrupted),
        }
    }
}

impl Node for DatabaseNode {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn define(&self, _: &Path, outside: &Outside, sink: &mut dyn KeySink) -> Result<(), FailReason> {
        let mut define = |name: &str, value: &str| sink.part(PartKind::Definition, name, KeyValue::Text(value));
        define("task", self.facts.name.as_str());
        define("uses", self.uses.kind.name());
        define("database", &self.database.name);
        self.act.define(&self.database, outside, sink)
    }

    fn secrets(&self, _: &Path, _: &Outside) -> Vec<String> {
        self.databases.secrets(&self.database)
    }

    fn obstacles(&self, root: &Path, outside: &Outside, _: &mut Seen) -> Vec<Diagnostic> {
        self.act.obstacles(&self.database, root, outside)
    }

    fn refusals(&self, _: &Path, outside: &Outside) -> Vec<Refusal> {
        self.act.refusals(&self.databases, &self.database, outside)
    }

    fn observe<'a>(&'a self, context: &'a Context) -> Pending<'a, Result<Vec<Observation>, FailReason>> {
        Box::pin(self.bounded(context, self.act.observe(self.site(context))))
    }

    fn run<'a>(
        &'a self,
        context: &'a Context,
        output: &'a mut dyn Output,
    ) -> Pending<'a, Result<Result<(), FailReason>, ProcessError>> {
        Box::pin(async move {
            let ended = self.bounded(context, self.act.run(self.site(context), output)).await;
            if let Err(FailReason::Timeout { .. }) = &ended {
                let text = format!("`{}` took longer than {}\n", self.facts.name, format_duration(self.timeout));
                output.bytes(text.as_bytes());
            }
            Ok(ended)
        })
    }

    fn state<'a>(&'a self, context: &'a Context) -> Pending<'a, Result<Digest, FailReason>> {
        Box::pin(self.bounded(context, self.act.state(self.site(context))))
    }
}
