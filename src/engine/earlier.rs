//! Whether a task that had succeeded in the run that is resumed counts as done: nobody has started it since, all that would be
//! in its key is as it was, and what it left is there.

use super::judge::{AskRemote, Decision, Judge, Judgement, Upstream, input_failure};
use super::resumed::Earlier;
use crate::cache::capture;
use crate::fingerprint::{compare, explain, key_of};
use crate::graph::PlanNode;
use crate::model::{Digest, FailReason, KeyPart, Reason, TaskName};
use crate::node::Facts;

/// A key of more parts is kept without them: what changed is then not said, only that something did.
const MOST_PARTS: usize = 2000;

impl Earlier<'_> {
    /// Why the task runs all the same.
    pub(super) fn counts_no_more(&self, what: Vec<String>) -> Reason {
        Reason::NotAsBefore { run: self.past.run.clone(), what }
    }
}

/// The names under which the start of a node is noted: with other arguments a task of unknown effects is still that task, and
/// one with outputs writes the same ones.
pub(super) fn noted_as(facts: &Facts) -> Vec<&TaskName> {
    let mut names = vec![&facts.name, &facts.kept_as, &facts.locked_as];
    names.sort_unstable();
    names.dedup();
    names
}

impl Judge<'_> {
    /// What would be in the key of a node that has none since it always runs.
    ///
    /// # Errors
    /// Something of it can't be read.
    pub fn inputs(&self, node: &PlanNode, upstream: &Upstream) -> Result<Judgement, FailReason> {
        let facts = node.node.facts();
        let mut inputs = Judgement::begin(upstream.clone(), AskRemote::No, self.services.lock_state().overtaken());
        // Another process may have reset something.
        let _ = self.services.lock_state().refresh();
        if !facts.sources.is_empty() {
            self.services.surveyor.rules().forget();
            inputs.sources = self.services.surveyor.sources(&facts.sources).map_err(|error| input_failure(&error))?;
        }
        if facts.observes {
            let (context, runtime) = self.context()?;
            inputs.observations = runtime.block_on(node.node.observe(&context))?;
        }
        Ok(inputs)
    }

    /// Over all that is, or would be, in a node's key, with what stands for what its dependencies left.
    ///
    /// # Errors
    /// An input of the definition can't be read.
    pub fn key_in_chain(&self, node: &PlanNode, inputs: &Judgement) -> Result<Digest, FailReason> {
        self.with_dependencies(node, inputs, &inputs.upstream.traces, key_of)
    }

    /// What that is made of; none where it is too much.
    pub fn parts_in_chain(&self, node: &PlanNode, inputs: &Judgement) -> Vec<KeyPart> {
        let salt = self.services.lock_state().salt();
        let parts = self.with_dependencies(node, inputs, &inputs.upstream.traces, |inputs| explain(inputs, &salt));
        let parts = parts.unwrap_or_default();
        if parts.len() > MOST_PARTS { vec![] } else { self.services.masked(parts) }
    }

    /// The tracked files that a node declares to write, as they are; none where it declares none.
    pub(super) fn written(&self, node: &PlanNode) -> Option<Digest> {
        let writes = &node.node.facts().writes;
        let found = (!writes.is_empty()).then(|| capture(&self.services.surveyor, writes).ok())??;
        Some(found.0.digest())
    }

    /// Of a node that always runs.
    pub(super) fn decide_by(
        &self,
        node: &PlanNode,
        earlier: Earlier<'_>,
        inputs: &Judgement,
        judgement: &mut Judgement,
    ) {
        match self.still_done(node, earlier, inputs) {
            Ok(()) => {
                judgement.reasons = vec![Reason::DoneBefore { run: earlier.past.run.clone() }];
                judgement.decision = Decision::Done(Box::new(earlier.past.clone()));
            }
            Err(what) => judgement.reasons.insert(0, earlier.counts_no_more(what)),
        }
    }

    /// Whether it still is as the run left it; if not, what is different.
    pub(super) fn still_done(
        &self,
        node: &PlanNode,
        earlier: Earlier<'_>,
        inputs: &Judgement,
    ) -> Result<(), Vec<String>> {
        let facts = node.node.facts();
        let Earlier { past, chain } = earlier;
        for name in noted_as(facts) {
            let started = self.services.starts.last(name);
            // Under its own name by that very run; under one that it shares with others, by one of the chain or this one.
            let in_chain = |run: &String| chain.contains(run) || run == self.run_id;
            let counts = |run: &String| *run == past.run || (*name != facts.name && in_chain(run));
            match started {
                Some(run) if counts(&run) => {}
                Some(run) => return Err(vec![format!("`{name}` was started in run {run}")]),
                None => return Err(vec!["nobody knows whether it was started again".into()]),
            }
        }
        let key = self.key_in_chain(node, inputs).map_err(|reason| vec![reason.describe()])?;
        if key != past.key {
            let what = compare(&past.parts, &self.parts_in_chain(node, inputs));
            let unknown = past.parts.is_empty() || what.is_empty();
            let vague = || vec!["what it depends on changed (what that was is not on record)".into()];
            return Err(if unknown { vague() } else { what });
        }
        if let Some(reset) = &facts.reset {
            let live = self.services.lock_state().incarnation(reset.as_str());
            if past.left != Some(Digest::of(live.as_bytes())) {
                return Err(vec!["it was reset again".into()]);
            }
        }
        let patterns = facts.effects.patterns();
        if !patterns.is_empty() {
            let there = capture(&self.services.surveyor, patterns);
            let same = |found: &(crate::cache::Manifest, Vec<String>)| {
                found.1.is_empty() && Some(found.0.digest()) == past.outputs
            };
            if !there.as_ref().is_ok_and(same) {
                return Err(vec!["its outputs are not as it left them".into()]);
            }
        }
        let written = self.written(node);
        if written != past.written || (written.is_none() && !facts.writes.is_empty()) {
            return Err(vec!["the files that it writes are not as it left them".into()]);
        }
        if facts.reports_state {
            let state = self.context().and_then(|(context, runtime)| runtime.block_on(node.node.state(&context)));
            if state.ok() != past.state {
                return Err(vec!["the state it left behind changed".into()]);
            }
        }
        Ok(())
    }
}
