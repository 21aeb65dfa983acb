//! A job on its way to the thread that does it.

use super::driver::Message;
use super::job::Job;
use super::lending::Lending;
use super::services::Services;
use crate::graph::Plan;
use crate::model::{Digest, NodeId};
use crate::node::Cancel;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use tokio::sync::watch;

/// What a job is made of, to be carried to its thread.
pub(super) struct Work {
    pub(super) services: Arc<Services>,
    pub(super) plan: Arc<Plan>,
    pub(super) id: NodeId,
    pub(super) run_id: String,
    pub(super) run_dir: std::path::PathBuf,
    pub(super) cancel: watch::Receiver<Cancel>,
    pub(super) relied_on: Vec<(NodeId, Digest)>,
    pub(super) journal: Option<Arc<crate::cache::RunJournal>>,
    pub(super) live: bool,
    pub(super) lending: Arc<Lending>,
}

impl Work {
    /// The job.
    pub(super) fn job<'w>(&'w self, sender: &SyncSender<Message>) -> Job<'w> {
        Job {
            services: &self.services,
            node: &self.plan.nodes[self.id.index()],
            id: self.id,
            run_id: &self.run_id,
            run_dir: self.run_dir.clone(),
            cancel: self.cancel.clone(),
            messages: sender.clone(),
            relied_on: self.relied_on.iter().map(|(id, left)| (&self.plan.nodes[id.index()], *left)).collect(),
            journal: self.journal.as_deref(),
            live: self.live,
            plan: &self.plan,
            lending: &self.lending,
        }
    }
}
