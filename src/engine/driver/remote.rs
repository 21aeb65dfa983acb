//! The end of a run, as far as it concerns the remote.

use super::{Driver, Message};
use crate::cache::Exchange;
use crate::event::{Event, RemoteUse};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// How often it is looked whether all was given.
const LOOK: Duration = Duration::from_millis(5);

impl Driver<'_> {
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
