//! What a run does with the remote: nodes that it is asked for go on when it has answered, and at its end it waits until all is given.

use super::{Driver, Message};
use crate::cache::{Exchange, Kept};
use crate::engine::judge::{Decision, Judgement};
use crate::engine::scheduler::Input;
use crate::engine::services::Services;
use crate::event::{Event, RemoteUse};
use crate::model::NodeId;
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

/// How often it is looked whether all was given.
const LOOK: Duration = Duration::from_millis(5);

/// Has the remote asked for a node, which then goes on where it was; nobody waits for it meanwhile. False: that can't be.
pub(super) fn ask_ahead(services: &Services, id: NodeId, judgement: Judgement, sender: &SyncSender<Message>) -> bool {
    let (Some(remote), Some(store), Some(key)) = (&services.remote, &services.store, judgement.key) else {
        return false;
    };
    let sender = sender.clone();
    let then = move |kept| {
        let _ = sender.send(Message::Answered(id, Box::new(judgement), kept));
    };
    remote.ask_ahead(&key, store, Box::new(then))
}

impl Driver<'_> {
    /// Judges a node to the end, now that the remote has answered, and restores what is to be restored at one go.
    pub(super) fn answered(&mut self, id: NodeId, judgement: Judgement, kept: Kept, inputs: &mut VecDeque<Input>) {
        let work = self.job_parts(id);
        let lends = self.lending.lender(id).is_some();
        self.spawn(inputs, (id, false), move |sender| {
            let job = work.job(sender);
            let mut judgement = job.judge_on(judgement);
            let found = judgement.fetched.is_some() && matches!(judgement.decision, Decision::Fresh(_));
            let message = if !lends && (found || matches!(judgement.decision, Decision::Restore(..))) {
                for notice in std::mem::take(&mut judgement.notices) {
                    let _ = sender.send(Message::Told(Box::new(Event::Warned(notice))));
                }
                Message::Restored(id, job.bring_back(judgement))
            } else {
                Message::Judged(id, Box::new(judgement))
            };
            // It may have been needed until now.
            drop(kept);
            let _ = sender.send(message);
        });
    }

    /// Waits until the remote has what it was offered, or a signal arrives.
    pub(super) fn hand_over(&mut self, inbox: &Receiver<Message>) {
        let Some(remote) = self.services.remote.clone() else { return };
        let mut inputs = VecDeque::new();
        while self.exit_signal.is_none() && self.broken.is_none() && !remote.is_idle() {
            match inbox.recv_timeout(LOOK) {
                Ok(message) => self.receive(message, &mut inputs),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// What was exchanged with the remote, once all that was offered to it is there; an interrupted run waits
    /// for nothing.
    pub(super) fn finish_remote(&mut self) -> Option<RemoteUse> {
        let remote = self.services.remote.clone()?;
        let exchange = remote.finish(self.exit_signal.is_some() || self.broken.is_some());
        if let Some(notice) = remote.untold() {
            self.emit(Event::Warned(notice));
        }
        let (mut hits, mut saved_ms) = (0, 0);
        for recorded in self.ledger.pages.iter().filter_map(|page| page.recorded.as_ref()) {
            if remote.gave(&recorded.key) {
                hits += 1;
                saved_ms += recorded.duration_ms;
            }
        }
        let Exchange { bytes_down, bytes_up, given, executed } = exchange;
        let used = RemoteUse { hits, saved_ms, given, bytes_down, bytes_up, executed };
        (hits > 0 || given > 0 || bytes_up > 0 || bytes_down > 0 || executed > 0).then_some(used)
    }

    /// Whether the run can't do without the remote, and had to.
    pub(super) fn misses_remote(&self) -> bool {
        self.services.remote.as_ref().is_some_and(|remote| remote.is_required() && remote.failure().is_some())
    }
}
