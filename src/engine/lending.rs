//! What nodes of a run lend to others: opened for the first borrower, under locks against other processes, and closed
//! when the scheduler says that nobody is left.

use super::driver::Message;
use super::judge::Judgement;
use super::printer::Printer;
use super::services::Services;
use super::standing::log_of;
use crate::graph::Plan;
use crate::journal::{Holder, NameLock};
use crate::model::{FailReason, NodeId, TaskName};
use crate::node::{Context, Lender, Output, Pending};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::future::poll_fn;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Poll;

/// The lenders of a run.
pub(super) struct Lending {
    plan: Arc<Plan>,
    run_dir: PathBuf,
    services: Arc<Services>,
    messages: SyncSender<Message>,
    /// By node: what its key was made of, once it was judged.
    judged: Vec<OnceLock<Arc<Judgement>>>,
    /// By node: the group it is in or borrows from.
    group_of: Vec<Option<usize>>,
    groups: Vec<Mutex<Group>>,
}

/// Lenders that are borrowed together. Their locks are taken at one stroke, so that no two processes hold some and wait
/// for others.
#[derive(Default)]
struct Group {
    /// Those that have not ended.
    left: Vec<NodeId>,
    locks: BTreeMap<TaskName, NameLock>,
}

/// What one lender failed by.
pub(super) type Failed = (NodeId, FailReason);

impl Lending {
    pub(super) fn new(
        plan: &Arc<Plan>,
        services: &Arc<Services>,
        run_dir: PathBuf,
        messages: SyncSender<Message>,
    ) -> Self {
        let group_of = groups(plan);
        let count = group_of.iter().flatten().max().map_or(0, |last| last + 1);
        let mut groups: Vec<Group> = (0..count).map(|_| Group::default()).collect();
        for (index, group) in group_of.iter().enumerate() {
            if let (Some(group), Some(_)) = (group, plan.nodes[index].node.lender()) {
                groups[*group].left.push(NodeId(index as u32));
            }
        }
        Self {
            plan: Arc::clone(plan),
            run_dir,
            services: Arc::clone(services),
            messages,
            judged: plan.nodes.iter().map(|_| OnceLock::new()).collect(),
            group_of,
            groups: groups.into_iter().map(Mutex::new).collect(),
        }
    }

    /// Notes what a lender's key was made of.
    pub(super) fn judged(&self, id: NodeId, judgement: Arc<Judgement>) {
        let _ = self.judged[id.index()].set(judgement);
    }

    /// What the key of a lender was made of.
    pub(super) fn judgement(&self, id: NodeId) -> Option<&Arc<Judgement>> {
        self.judged[id.index()].get()
    }

    pub(super) fn lender(&self, id: NodeId) -> Option<&dyn Lender> {
        self.plan.nodes[id.index()].node.lender()
    }

    /// Takes the locks of all that is borrowed together with what this node borrows, or lends. Says whether it had to
    /// wait; none: given up.
    pub(super) fn lock(
        &self,
        id: NodeId,
        mut waiting: impl FnMut(&Holder),
        give_up: impl Fn() -> bool,
    ) -> io::Result<Option<bool>> {
        let (Some(group), Some(place)) = (self.group_of[id.index()], &self.services.place) else {
            return Ok(Some(false));
        };
        let mut group = lock(&self.groups[group]);
        let group = &mut *group;
        let name = |id: &NodeId| self.plan.nodes[id.index()].node.facts().locked_as.clone();
        let mut wanted: Vec<TaskName> = group.left.iter().map(name).collect();
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.iter().all(|name| group.locks.contains_key(name)) {
            return Ok(Some(false));
        }
        let mut waited = false;
        for name in wanted {
            // Held already, since others of the group have ended.
            if group.locks.contains_key(&name) {
                continue;
            }
            let tell = |holder: &Holder| {
                waited = true;
                waiting(holder);
            };
            match self.services.task_locks.take(name.as_str(), |pid| place.run_of(pid), tell, &give_up)? {
                Some(lock) => drop(group.locks.insert(name, lock)),
                None => {
                    // All or none.
                    group.locks.clear();
                    return Ok(None);
                }
            }
        }
        Ok(Some(waited))
    }

    /// A lender has ended.
    pub(super) fn unlock(&self, id: NodeId) {
        let Some(group) = self.group_of[id.index()] else { return };
        let mut group = lock(&self.groups[group]);
        group.left.retain(|left| *left != id);
        if group.left.is_empty() {
            group.locks.clear();
        }
    }

    /// An output for a lender's own log.
    pub(super) fn output(&self, id: NodeId) -> Box<dyn Output> {
        let node = &self.plan.nodes[id.index()];
        let printer = Printer::new(
            id,
            self.services.redactor(),
            self.run_dir.join(log_of(node.name())),
            self.messages.clone(),
            node.held,
        );
        Box::new(Own(Some(printer)))
    }

    /// Lends a node all that it borrows; gives the variables of it.
    pub(super) fn lend_all<'a>(
        &'a self,
        id: NodeId,
        context: &'a Context,
    ) -> Pending<'a, Result<Vec<(String, OsString)>, Failed>> {
        Box::pin(async move {
            let mut variables = Vec::new();
            for lender in &self.plan.nodes[id.index()].borrows {
                variables.extend(self.lend(*lender, context).await?);
            }
            Ok(variables)
        })
    }

    /// Opens a lender, and before it what it borrows itself.
    pub(super) async fn lend(&self, id: NodeId, context: &Context) -> Result<Vec<(String, OsString)>, Failed> {
        let Some(lender) = self.lender(id) else { return Ok(vec![]) };
        let lent = self.lend_all(id, context).await?;
        let context = Context { lent, ..context.clone() };
        let loan = lender.lend(&context, &|| self.output(id)).await.map_err(|reason| (id, reason))?;
        Ok(loan.variables)
    }

    /// Waits until one of these is lost; none: all of them are closed.
    pub(super) async fn lost(&self, lenders: &[NodeId]) -> Option<Failed> {
        let mut waiting: Vec<_> = lenders.iter().filter_map(|id| Some((*id, Some(self.lender(*id)?.lost())))).collect();
        poll_fn(|cx| {
            for (id, lost) in &mut waiting {
                let Some(pending) = lost else { continue };
                match pending.as_mut().poll(cx) {
                    Poll::Ready(Some(why)) => return Poll::Ready(Some((*id, why))),
                    Poll::Ready(None) => *lost = None,
                    Poll::Pending => {}
                }
            }
            if waiting.iter().all(|(_, lost)| lost.is_none()) {
                return Poll::Ready(None);
            }
            Poll::Pending
        })
        .await
    }

    /// Closes a lender.
    pub(super) async fn close(&self, id: NodeId, context: &Context) {
        if let Some(lender) = self.lender(id) {
            lender.close(context, &|| self.output(id)).await;
        }
    }
}

/// A lender's own output, which is whole when it is dropped.
struct Own(Option<Printer>);

impl Output for Own {
    fn bytes(&mut self, bytes: &[u8]) {
        if let Some(printer) = &mut self.0 {
            printer.bytes(bytes);
        }
    }

    fn notice(&mut self, notice: crate::model::Notice) {
        if let Some(printer) = &mut self.0 {
            printer.notice(notice);
        }
    }

    fn stage(&mut self, stage: crate::model::Stage) {
        if let Some(printer) = &mut self.0 {
            printer.stage(stage);
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(printer) = self.0.take() {
            printer.finish();
        }
    }
}

fn lock(group: &Mutex<Group>) -> MutexGuard<'_, Group> {
    group.lock().unwrap_or_else(PoisonError::into_inner)
}

/// By node: which group of lenders it is in, or borrows from. Those that share a borrower or a lock are one.
fn groups(plan: &Plan) -> Vec<Option<usize>> {
    let mut head: Vec<usize> = (0..plan.nodes.len()).collect();
    fn find(head: &mut [usize], mut at: usize) -> usize {
        while head[at] != at {
            head[at] = head[head[at]];
            at = head[at];
        }
        at
    }
    let mut by_lock: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, node) in plan.nodes.iter().enumerate() {
        for lender in &node.borrows {
            let (one, other) = (find(&mut head, index), find(&mut head, lender.index()));
            head[one] = other;
        }
        if node.node.lender().is_some() {
            let same = *by_lock.entry(node.node.facts().locked_as.as_str()).or_insert(index);
            let (one, other) = (find(&mut head, index), find(&mut head, same));
            head[one] = other;
        }
    }
    let mut numbers: BTreeMap<usize, usize> = BTreeMap::new();
    (0..plan.nodes.len())
        .map(|index| {
            let node = &plan.nodes[index];
            let lends_or_borrows = node.node.lender().is_some() || !node.borrows.is_empty();
            let next = numbers.len();
            lends_or_borrows.then(|| *numbers.entry(find(&mut head, index)).or_insert(next))
        })
        .collect()
}
