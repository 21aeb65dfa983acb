//! Whether a node's recorded result counts: its key made, looked up, and what it left looked over.

use super::resumed::Earlier;
use super::services::Services;
use crate::cache::{Found, Last, Manifest, Past, Recorded, State, StoredResult, Survey, survey};
use crate::fingerprint::{
    InputError, KeyInputs, Left, Look, Selection, Sources, Stat, changes, compare, explain, key_of,
};
use crate::graph::PlanNode;
use crate::model::{Digest, FailReason, KeyPart, Notice, Observation, Reason, TaskName};
use crate::node::{Cancel, Effects};
use std::time::Instant;
use tokio::sync::watch;

/// What the data dependencies of a node left behind.
#[derive(Debug, Clone, Default)]
pub struct Upstream {
    /// Sorted by name.
    pub left: Vec<(TaskName, Digest)>,
    /// A task whose effects nobody knows.
    pub tainted_by: Option<TaskName>,
    /// What stands for what each of them left, known or not ([`super::resumed::trace`]); sorted by name.
    pub traces: Vec<(TaskName, Digest)>,
}

impl Upstream {
    /// From what each dependency left, and what stands for that.
    pub fn of(dependencies: impl Iterator<Item = (TaskName, Left, Digest)>) -> Self {
        let mut upstream = Self::default();
        for (name, left, trace) in dependencies {
            upstream.traces.push((name.clone(), trace));
            match left {
                Left::Digest(digest) => upstream.left.push((name, digest)),
                Left::Unknown(by) => upstream.tainted_by = Some(by),
            }
        }
        upstream.left.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        upstream.traces.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        upstream
    }
}

/// What was read ahead of a node's turn; worth something as long as nothing has run.
#[derive(Debug)]
pub struct Ahead {
    /// Its sources.
    pub sources: Result<Sources, InputError>,
    /// Its outputs against its last result's.
    pub outputs: Option<Result<Survey, InputError>>,
    /// What was known by then of other processes ([`crate::cache::State::overtaken`]).
    pub overtaken: u64,
}

/// What is to be done with a node.
#[derive(Debug)]
pub enum Decision {
    /// Nothing.
    Fresh(Recorded),
    /// Restore this.
    Restore(Recorded, Survey),
    /// Nothing: it had succeeded in the run that is resumed.
    Done(Box<Past>),
    /// Run it.
    Run,
    /// Its inputs can't be read.
    Fail(FailReason),
}

/// A judged node.
#[derive(Debug)]
pub struct Judgement {
    /// What is to be done.
    pub decision: Decision,
    /// Why, where it runs.
    pub reasons: Vec<Reason>,
    /// Its key; none where it always runs.
    pub key: Option<Digest>,
    /// What was read.
    pub sources: Sources,
    /// What was observed.
    pub observations: Vec<Observation>,
    /// What it depends on.
    pub upstream: Upstream,
    /// Things to tell.
    pub notices: Vec<Notice>,
    /// When.
    pub at: Instant,
    /// Whether the remote is asked.
    pub remote: AskRemote,
    /// What was known by then of other processes ([`crate::cache::State::overtaken`]).
    pub overtaken: u64,
    /// What it gave, to be recorded here once that is safe.
    pub fetched: Option<Box<StoredResult>>,
}

/// Whether a judge may wait for a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskRemote {
    /// It may.
    Yes,
    /// It must not.
    No,
    /// It must not, and would have.
    WouldHave,
}

impl Judgement {
    /// What a lender leaves for the keys of those that depend on it: its own, as its effects are what it does while
    /// they run.
    pub fn lent(&self, name: &TaskName) -> Left {
        match (&self.upstream.tainted_by, self.key) {
            (Some(by), _) => Left::Unknown(by.clone()),
            (None, Some(key)) => Left::Digest(key),
            (None, None) => Left::Unknown(name.clone()),
        }
    }
}

/// A judge of nodes.
pub struct Judge<'a> {
    /// What it works with.
    pub services: &'a Services,
    /// The run's id.
    pub run_id: &'a str,
    /// Whether the run is being cut short.
    pub cancel: &'a watch::Receiver<Cancel>,
    /// How the node to be judged had succeeded in a run that this one resumes, where that may count.
    pub earlier: Option<Earlier<'a>>,
}

impl Judgement {
    /// Of a node with these dependencies, before anything of it was looked at: it must run.
    pub(super) fn begin(upstream: Upstream, remote: AskRemote, overtaken: u64) -> Self {
        Self {
            decision: Decision::Run,
            reasons: vec![],
            key: None,
            sources: Sources::default(),
            observations: vec![],
            upstream,
            notices: vec![],
            at: Instant::now(),
            remote,
            overtaken,
            fetched: None,
        }
    }
}

impl Judge<'_> {
    /// Judges `node`.
    pub fn judge(&self, node: &PlanNode, upstream: Upstream, ahead: Option<Ahead>) -> Judgement {
        self.judge_asking(node, upstream, ahead, AskRemote::Yes)
    }

    /// Judges `node`, where it is known whether the remote may be asked.
    pub fn judge_asking(
        &self,
        node: &PlanNode,
        upstream: Upstream,
        ahead: Option<Ahead>,
        remote: AskRemote,
    ) -> Judgement {
        let mut judgement = Judgement::begin(upstream, remote, self.services.lock_state().overtaken());
        let facts = node.node.facts();
        if let Some(always) = &facts.always {
            judgement.reasons.push(always.clone());
            if let Some(earlier) = self.earlier {
                match self.inputs(node, &judgement.upstream).map_err(|reason| vec![reason.describe()]) {
                    Ok(now) => self.decide_by(node, earlier, &now, &mut judgement),
                    Err(what) => judgement.reasons.insert(0, earlier.counts_no_more(what)),
                }
            }
            return judgement;
        }
        match self.look(node, &mut judgement, ahead) {
            Ok(decision) => judgement.decision = decision,
            Err(reason) => judgement.decision = Decision::Fail(self.services.masked(reason)),
        }
        judgement
    }

    fn look(&self, node: &PlanNode, judgement: &mut Judgement, ahead: Option<Ahead>) -> Result<Decision, FailReason> {
        let facts = node.node.facts();
        // What another process has recorded since is not what the outputs were held against.
        let (sources, outputs) = match ahead.filter(|ahead| ahead.overtaken == judgement.overtaken) {
            Some(ahead) => (ahead.sources, ahead.outputs),
            None => {
                // Other processes may have run or reset something since this one looked.
                let mut state = self.services.lock_state();
                state.refresh().map_err(|error| FailReason::Inputs {
                    message: format!("failed to read `.weir/state`: {error}"),
                    help: None,
                })?;
                judgement.overtaken = state.overtaken();
                drop(state);
                (self.services.surveyor.sources(&facts.sources), None)
            }
        };
        judgement.sources = sources.map_err(|error| input_failure(&error))?;
        if facts.observes {
            let (context, runtime) = self.context()?;
            judgement.observations = runtime.block_on(node.node.observe(&context))?;
        }
        let key = self.with_inputs(node, judgement, key_of)?;
        judgement.key = Some(key);
        let done = self.earlier.map(|earlier| (earlier, self.still_done(node, earlier, judgement)));
        if self.services.store.is_none() {
            judgement.reasons.push(Reason::NoStore);
            return Ok(Decision::Run);
        }
        if let Some((earlier, Ok(()))) = done {
            // By its key, where that says the same.
            if judgement.upstream.tainted_by.is_none()
                && let found @ (Decision::Fresh(_) | Decision::Restore(..)) =
                    self.look_up(node, key, judgement, outputs)?
            {
                return Ok(found);
            }
            judgement.reasons = vec![Reason::DoneBefore { run: earlier.past.run.clone() }];
            return Ok(Decision::Done(Box::new(earlier.past.clone())));
        }
        if let Some((earlier, Err(what))) = done {
            // That is said only where its key does not make it fresh all the same.
            let decision = self.by_key(node, key, judgement, outputs)?;
            if matches!(decision, Decision::Run) {
                judgement.reasons.insert(0, earlier.counts_no_more(what));
            }
            return Ok(decision);
        }
        self.by_key(node, key, judgement, outputs)
    }

    /// Goes on with a judgement that would have asked the remote, now that this may be done.
    pub fn go_on(&self, node: &PlanNode, mut judgement: Judgement) -> Judgement {
        let Some(key) = judgement.key else { return judgement };
        judgement.remote = AskRemote::Yes;
        judgement.reasons.clear();
        match self.look_up(node, key, &mut judgement, None) {
            Ok(decision) => judgement.decision = decision,
            Err(reason) => judgement.decision = Decision::Fail(self.services.masked(reason)),
        }
        judgement
    }

    fn by_key(
        &self,
        node: &PlanNode,
        key: Digest,
        judgement: &mut Judgement,
        outputs: Option<Result<Survey, InputError>>,
    ) -> Result<Decision, FailReason> {
        if let Some(by) = &judgement.upstream.tainted_by {
            judgement.reasons.push(Reason::Tainted { by: by.clone() });
        }
        if node.forced {
            judgement.reasons.push(Reason::Forced);
        }
        if !judgement.reasons.is_empty() {
            return Ok(Decision::Run);
        }
        self.look_up(node, key, judgement, outputs)
    }

    pub(super) fn context(&self) -> Result<(crate::node::Context, tokio::runtime::Handle), FailReason> {
        self.services
            .context(self.run_id, self.cancel.clone())
            .map_err(|error| FailReason::Start { message: error.to_string() })
    }

    /// What differs by now from what was judged: sources, and anything else in the key.
    pub fn changes_since(&self, node: &PlanNode, judgement: &Judgement) -> Vec<String> {
        let facts = node.node.facts();
        if facts.always.is_some() {
            return vec![];
        }
        self.services.surveyor.rules().forget();
        let _ = self.services.lock_state().refresh();
        let mut now = Judgement::begin(judgement.upstream.clone(), AskRemote::No, judgement.overtaken);
        now.sources = match self.services.surveyor.sources(&facts.sources) {
            Ok(sources) => sources,
            Err(error) => return vec![error.to_string()],
        };
        let lines = changes(&judgement.sources, &now.sources);
        if !lines.is_empty() {
            return lines;
        }
        if facts.observes {
            let observed = self.context().and_then(|(context, runtime)| runtime.block_on(node.node.observe(&context)));
            match observed {
                Ok(observations) => now.observations = observations,
                Err(reason) => return vec![reason.describe()],
            }
        }
        match self.with_inputs(node, &now, key_of) {
            Ok(key) if Some(key) == judgement.key => vec![],
            Ok(_) => match (self.parts(node, judgement), self.parts(node, &now)) {
                (Ok(before), Ok(after)) if before != after => compare(&before, &after),
                _ => vec!["what its key is made of changed".into()],
            },
            Err(reason) => vec![reason.describe()],
        }
    }

    /// Calls `make` with everything that enters the node's key.
    fn with_inputs<T>(
        &self,
        node: &PlanNode,
        judgement: &Judgement,
        make: impl FnOnce(&KeyInputs<'_>) -> Result<T, FailReason>,
    ) -> Result<T, FailReason> {
        self.with_dependencies(node, judgement, &judgement.upstream.left, make)
    }

    pub(super) fn with_dependencies<T>(
        &self,
        node: &PlanNode,
        judgement: &Judgement,
        dependencies: &[(TaskName, Digest)],
        make: impl FnOnce(&KeyInputs<'_>) -> Result<T, FailReason>,
    ) -> Result<T, FailReason> {
        let incarnations: Vec<(&TaskName, String)> = if node.resets.is_empty() {
            vec![]
        } else {
            let state = self.services.lock_state();
            node.resets.iter().map(|reset| (reset, state.incarnation(reset.as_str()))).collect()
        };
        let dependencies: Vec<(&TaskName, Digest)> = dependencies.iter().map(|(name, left)| (name, *left)).collect();
        make(&KeyInputs {
            define: &|sink| node.node.define(&self.services.root, &self.services.outside, sink),
            sources: &judgement.sources,
            observations: &judgement.observations,
            dependencies: &dependencies,
            incarnations: &incarnations,
        })
    }

    /// The parts of a judged node's key.
    ///
    /// # Errors
    /// An input of the definition can't be read.
    pub fn parts(&self, node: &PlanNode, judgement: &Judgement) -> Result<Vec<KeyPart>, FailReason> {
        let salt = self.services.lock_state().salt();
        self.with_inputs(node, judgement, |inputs| explain(inputs, &salt)).map(|parts| self.services.masked(parts))
    }

    fn look_up(
        &self,
        node: &PlanNode,
        key: Digest,
        judgement: &mut Judgement,
        outputs: Option<Result<Survey, InputError>>,
    ) -> Result<Decision, FailReason> {
        let facts = node.node.facts();
        let name = facts.kept_as.as_str();
        let (last, trusts_shared) = {
            let state = self.services.lock_state();
            (state.last(name).cloned(), state.trusts_shared(name))
        };
        let empty = Manifest::default();
        let (candidate, earlier, outputs) = match &last {
            Some(Last::Good(recorded)) if recorded.key == key => (Some(recorded.clone()), &recorded.outputs, outputs),
            other => {
                let earlier = match other {
                    Some(Last::Good(recorded)) => &recorded.outputs,
                    Some(Last::Dirty { owned, .. }) => owned,
                    None => &empty,
                };
                // A result of unknown effects counts only as the last one.
                let keyless = matches!(other, Some(Last::Dirty { keyless: true, .. }));
                let counts = !keyless && (facts.effects != Effects::Unknown || facts.reports_state);
                let shared = trusts_shared && facts.shareable;
                let mut found = counts.then(|| self.stored(&key, shared, judgement)).flatten();
                if found.is_none() && counts && shared {
                    found = self.fetched(&key, judgement)?;
                }
                let own = found.map(|result| result.recorded).filter(|recorded| self.is_own(node, recorded));
                (own, earlier, None)
            }
        };
        let mut notices = Vec::new();
        let candidate = candidate.filter(|recorded| self.can_replay(recorded, &mut notices));
        judgement.notices.append(&mut notices);
        let Some(candidate) = candidate else {
            let why = self.why_not(node, last.as_ref(), judgement);
            judgement.reasons.push(why);
            return Ok(Decision::Run);
        };
        let patterns = facts.effects.patterns();
        let found = outputs
            .unwrap_or_else(|| survey(&self.services.surveyor, patterns, &candidate.outputs, earlier))
            .map_err(|error| input_failure(&error))?;
        if !found.foreign.is_empty() {
            judgement.reasons.push(Reason::Outputs { what: found.lines });
            return Ok(Decision::Run);
        }
        if facts.reports_state {
            let (context, runtime) = self.context()?;
            // A state that can't be told is not the state that was left.
            if runtime.block_on(node.node.state(&context)).ok() != candidate.state {
                judgement.reasons.push(Reason::State);
                return Ok(Decision::Run);
            }
        }
        if found.is_clean() {
            return Ok(Decision::Fresh(candidate));
        }
        judgement.reasons.push(Reason::Outputs { what: found.lines.clone() });
        Ok(Decision::Restore(candidate, found))
    }

    /// Whether what the task printed is still on record, as it was.
    fn can_replay(&self, recorded: &Recorded, notices: &mut Vec<Notice>) -> bool {
        let (Some((digest, _)), Some(store)) = (&recorded.log, &self.services.store) else { return true };
        if !store.has_blob(digest) {
            return false;
        }
        // The memo spares reading it again, where the blobs are in the workspace.
        let path = store.blob_path(digest);
        let inside = path.strip_prefix(&self.services.root).ok().and_then(|path| path.to_str());
        let there = std::fs::symlink_metadata(&path);
        if let Some(trail) = self.services.surveyor.trail() {
            trail.note_for_all(&Look::of(&path, false, there.as_ref().ok()));
        }
        let holds = match (inside, there) {
            (Some(inside), Ok(metadata)) => {
                let path = crate::model::WsPath::from_clean(inside);
                self.services.surveyor.digest(&path, &Stat::of(&metadata)).is_ok_and(|found| found == *digest)
            }
            _ => store.holds(digest),
        };
        if !holds {
            store.drop_blob(digest);
            let message = format!("the log `{}` was damaged in the cache, and was removed", digest.short());
            notices.push(Notice { code: "damaged-log".into(), message, help: None });
        }
        holds
    }

    /// Whether every path of a result lies in the declared outputs: anything else is not this task's.
    fn is_own(&self, node: &PlanNode, recorded: &Recorded) -> bool {
        let selection = Selection::new(node.node.facts().effects.patterns());
        recorded.outputs.0.iter().all(|entry| selection.covers(&entry.path))
    }

    fn stored(&self, key: &Digest, ask_shared: bool, judgement: &mut Judgement) -> Option<StoredResult> {
        match self.services.store.as_ref()?.result(key, ask_shared) {
            Found::Yes(result) => Some(result),
            Found::No => None,
            Found::Bad(problem) => {
                judgement.notices.push(Notice { code: "damaged-result".into(), message: problem.0, help: None });
                None
            }
        }
    }

    /// The result that the remote has, if it may be asked and has one.
    fn fetched(&self, key: &Digest, judgement: &mut Judgement) -> Result<Option<StoredResult>, FailReason> {
        let (Some(remote), Some(store)) = (&self.services.remote, &self.services.store) else { return Ok(None) };
        if *self.cancel.borrow() != Cancel::No {
            return Ok(None);
        }
        if judgement.remote != AskRemote::Yes && remote.would_ask(key) {
            judgement.remote = AskRemote::WouldHave;
            return Ok(None);
        }
        let found = remote.fetch(key, store);
        match remote.failure() {
            Some(Notice { message, help, .. }) if remote.is_required() => {
                // It is told by the task that fails of it.
                let _ = remote.untold();
                Err(FailReason::Inputs { message, help })
            }
            _ => {
                judgement.notices.extend(remote.untold());
                judgement.fetched = found.clone().map(Box::new);
                Ok(found)
            }
        }
    }

    fn why_not(&self, node: &PlanNode, last: Option<&Last>, judgement: &mut Judgement) -> Reason {
        let Some(Last::Good(recorded)) = last else {
            return if last.is_some() { Reason::LastRunFailed } else { Reason::NeverRan };
        };
        if Some(recorded.key) == judgement.key {
            return Reason::Outputs { what: vec!["its log is no longer in the cache".into()] };
        }
        let old = self.stored(&recorded.key, false, judgement);
        let what = match (old, self.parts(node, judgement)) {
            (Some(old), Ok(parts)) => compare(&old.parts, &parts),
            _ => vec![],
        };
        if what.is_empty() {
            return Reason::Changed {
                what: vec!["its key changed (what it was made of is no longer on record)".into()],
            };
        }
        Reason::Changed { what }
    }
}

/// An input that can't be read, as a failure of the task.
pub fn input_failure(error: &InputError) -> FailReason {
    FailReason::Inputs { message: error.to_string(), help: Some(error.help()) }
}

/// Reads ahead what a node's judgement will need, if it is cacheable.
pub fn look_ahead(services: &Services, node: &PlanNode, state: &State) -> Option<Ahead> {
    let facts = node.node.facts();
    if facts.always.is_some() || !facts.acts {
        return None;
    }
    let outputs = match state.last(facts.kept_as.as_str()) {
        Some(Last::Good(recorded)) => {
            Some(survey(&services.surveyor, facts.effects.patterns(), &recorded.outputs, &recorded.outputs))
        }
        _ => None,
    };
    let sources = services.surveyor.sources(&facts.sources);
    Some(Ahead { sources, outputs, overtaken: state.overtaken() })
}
