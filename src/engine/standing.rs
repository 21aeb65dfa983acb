//! The verdict of a run that found nothing to do, kept so that it can be given again: what the plan
//! looked like, and which recorded result counted for each node. Whether it still stands is judged
//! elsewhere.

use super::driver::{Finish, Options, millis};
use super::ledger::Page;
use super::settled::Promise;
use crate::cache::{RunFolder, Store, file_name};
use crate::event::{Event, PlannedTask, Record, RunFinished, Sink, TaskFinished, Totals, VERSION};
use crate::graph::{Plan, PlanNode};
use crate::model::{Digest, Hasher, NodeId, Outcome, TaskName};
use serde::{Deserialize, Serialize};
use std::time::{Instant, SystemTime};

/// A verdict.
#[derive(Debug, Serialize, Deserialize)]
pub struct Standing<'s> {
    #[serde(borrow)]
    nodes: Vec<Known<'s>>,
    /// In the order in which they were found fresh.
    fresh: Vec<Fresh>,
}

/// A node of the plan.
#[derive(Debug, Serialize, Deserialize)]
struct Known<'s> {
    name: &'s str,
    group: bool,
    quiet: bool,
    interactive: bool,
    cleanup: bool,
    after: Vec<u32>,
}

/// A node whose recorded result counted.
#[derive(Debug, Serialize, Deserialize)]
struct Fresh {
    node: u32,
    key: Digest,
    left: Digest,
    saved_ms: u64,
    log: Option<(Digest, u64)>,
}

impl<'s> Standing<'s> {
    /// Of a run in which each of `fresh` was found fresh; none where a page says less than is needed.
    pub(super) fn of(plan: &'s Plan, fresh: &[NodeId], pages: &[Page]) -> Option<Self> {
        let nodes = plan
            .nodes
            .iter()
            .map(|node| {
                let facts = node.node.facts();
                let after = node.before().map(|id| id.0).collect();
                Known {
                    name: facts.name.as_str(),
                    group: !facts.acts,
                    quiet: facts.quiet,
                    interactive: facts.interactive,
                    cleanup: node.is_cleanup(),
                    after,
                }
            })
            .collect();
        let fresh = fresh.iter().map(|id| Fresh::of(id.0, &pages[id.index()])).collect::<Option<_>>()?;
        Some(Self { nodes, fresh })
    }

    /// As bytes.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        postcard::to_stdvec(self).ok()
    }

    /// Back from bytes.
    pub fn parse(bytes: &'s [u8]) -> Option<Self> {
        let standing: Self = postcard::from_bytes(bytes).ok()?;
        let known = |id: &u32| (*id as usize) < standing.nodes.len();
        let sound = standing.nodes.iter().all(|node| node.after.iter().all(known))
            && standing.fresh.iter().all(|fresh| known(&fresh.node));
        sound.then_some(standing)
    }

    /// What tells plans apart: names, groups, and what comes after what.
    pub(super) fn shape(&self) -> Digest {
        let mut hasher = Hasher::new();
        for node in &self.nodes {
            hasher.field(node.name.as_bytes());
            hasher.update(&[u8::from(node.group)]);
            hasher.update(&(node.after.len() as u64).to_le_bytes());
            node.after.iter().for_each(|before| hasher.update(&before.to_le_bytes()));
        }
        hasher.finish()
    }

    /// How many nodes the plan has.
    pub(super) const fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The name of a node.
    pub(super) fn name(&self, node: usize) -> &'s str {
        self.nodes[node].name
    }

    /// Whether a node only groups others.
    pub(super) fn is_group(&self, node: usize) -> bool {
        self.nodes[node].group
    }

    /// All that a node waits for.
    pub(super) fn after(&self, node: usize) -> &[u32] {
        &self.nodes[node].after
    }

    /// What counted for each node.
    pub(super) fn promises(&self) -> Vec<Option<Promise>> {
        let mut all = vec![None; self.nodes.len()];
        for Fresh { node, key, left, saved_ms, log } in &self.fresh {
            all[*node as usize] = Some(Promise { key: *key, left: *left, log: *log, duration_ms: *saved_ms });
        }
        all
    }

    /// The plan, as events show it.
    pub(super) fn planned(&self) -> Vec<PlannedTask> {
        let names: Vec<TaskName> = self.nodes.iter().map(|node| TaskName::new(node.name)).collect();
        self.nodes.iter().zip(&names).map(|(node, name)| node.planned(name, &names)).collect()
    }

    /// How the fresh nodes but those in `part`, which is sorted, were found, as events show it.
    pub(super) fn beside(&self, part: &[u32], (folder, store): (&RunFolder, &Store)) -> Vec<TaskFinished> {
        let beside = self.fresh.iter().filter(|fresh| part.binary_search(&fresh.node).is_err());
        beside
            .map(|fresh| fresh.finished(&TaskName::new(self.nodes[fresh.node as usize].name), folder, store))
            .collect()
    }

    /// The same verdict after the nodes in `part`, which is sorted, were found fresh again; `fresh` and `pages` speak of them by their
    /// place in it. None where a page says less than is needed.
    pub(super) fn again(mut self, part: &[u32], fresh: &[NodeId], pages: &[Page]) -> Option<Self> {
        self.fresh.retain(|fresh| part.binary_search(&fresh.node).is_err());
        for id in fresh {
            self.fresh.push(Fresh::of(*part.get(id.index())?, &pages[id.index()])?);
        }
        Some(self)
    }

    /// What counted for each node of `plan`; none where it is a verdict on another plan.
    pub(super) fn promises_to(&self, plan: &Plan) -> Option<Vec<Option<Promise>>> {
        let same = |(known, node): (&Known<'_>, &PlanNode)| {
            let facts = node.node.facts();
            known.name == facts.name.as_str()
                && known.group != facts.acts
                && known.after.iter().copied().eq(node.before().map(|id| id.0))
        };
        let same = self.nodes.len() == plan.nodes.len() && self.nodes.iter().zip(&plan.nodes).all(same);
        same.then(|| self.promises())
    }

    /// Whether a log is to be shown again.
    pub fn has_logs(&self) -> bool {
        self.fresh.iter().any(|fresh| fresh.log.is_some())
    }

    /// Gives the verdict again, as a run of its own.
    pub fn give(
        &self,
        (folder, store): (&RunFolder, &Store),
        options: &Options,
        started: Instant,
        sink: &mut dyn Sink,
    ) -> Finish {
        let names: Vec<TaskName> = self.nodes.iter().map(|node| TaskName::new(node.name)).collect();
        let mut seq = 0;
        let mut emit = |event| {
            let at = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
            sink.record(&Record { v: VERSION, seq, at, elapsed_ms: millis(started.elapsed()), event });
            seq += 1;
        };
        emit(Event::RunStarted {
            run: folder.id.clone(),
            weir: env!("CARGO_PKG_VERSION").into(),
            targets: options.targets.clone(),
            profiles: options.profiles.clone(),
            jobs: options.jobs,
            dry_run: false,
            resumes: None,
            tasks: self.planned(),
        });
        let mut saved_ms = 0;
        for fresh in &self.fresh {
            saved_ms += fresh.saved_ms;
            emit(Event::TaskFinished(Box::new(fresh.finished(&names[fresh.node as usize], folder, store))));
        }
        let totals = Totals { fresh: u32::try_from(self.fresh.len()).unwrap_or(u32::MAX), ..Totals::default() };
        emit(Event::RunFinished(Box::new(RunFinished {
            exit_code: 0,
            wall_ms: millis(started.elapsed()),
            saved_ms,
            critical_path_ms: 0,
            remote: None,
            critical_path: vec![],
            totals,
            first_failure: None,
            blocked: vec![],
            warnings: vec![],
        })));
        Finish { exit_code: 0, broken: None, standing: None }
    }
}

impl Known<'_> {
    fn planned(&self, name: &TaskName, names: &[TaskName]) -> PlannedTask {
        PlannedTask {
            task: name.clone(),
            group: self.group,
            quiet: self.quiet,
            interactive: self.interactive,
            cleanup: self.cleanup,
            service: None,
            gate: None,
            after: self.after.iter().map(|id| names[*id as usize].clone()).collect(),
        }
    }
}

impl Fresh {
    fn of(node: u32, page: &Page) -> Option<Self> {
        let recorded = page.recorded.as_ref()?;
        let (key, left) = (recorded.key, recorded.left);
        Some(Self { node, key, left, saved_ms: recorded.duration_ms, log: recorded.log })
    }

    fn finished(&self, name: &TaskName, folder: &RunFolder, store: &Store) -> TaskFinished {
        let log = self.log.and_then(|(digest, length)| {
            let log = log_of(name);
            store.lend_blob(&digest, &folder.path.join(&log)).ok().map(|()| (log, length))
        });
        let (log, log_bytes) = log.map_or((None, 0), |(log, length)| (Some(log), length));
        TaskFinished {
            task: name.clone(),
            outcome: Outcome::Fresh,
            duration_ms: 0,
            saved_ms: self.saved_ms,
            attempts: 0,
            flaky: false,
            key: Some(self.key),
            log,
            log_bytes,
            remote: false,
            replayed_from: None,
            help: None,
            parts: vec![],
        }
    }
}

/// A node's log, relative to the run's folder.
pub(super) fn log_of(name: &TaskName) -> String {
    format!("logs/{}.log", file_name(name.as_str()))
}
