//! Lenders in the loop: kept open where somebody asked for one by name, closed once nobody borrows it.

use super::{Driver, Message};
use crate::engine::job::wait_out;
use crate::engine::scheduler::{Done, Ending, Input};
use crate::model::{FailReason, NodeId};
use crate::node::Cancel;
use std::collections::VecDeque;
use std::sync::Arc;

impl Driver<'_> {
    /// Opens a lender for whoever asked for it by name, and watches over it until the run is cut short or it is closed.
    pub(super) fn hold(&mut self, id: NodeId, inputs: &mut VecDeque<Input>) {
        let (services, lending, plan) = (Arc::clone(&self.services), Arc::clone(&self.lending), Arc::clone(&self.plan));
        let (run_id, cancel) = (self.folder.id.clone(), self.cancel_of(id));
        self.untouched = false;
        let sender = self.sender.clone();
        let watch = move || {
            let lost = |all| drop(sender.send(Message::Lost(all)));
            let waiting = |on: String| drop(sender.send(Message::Waiting(id, on)));
            let give_up = || *cancel.borrow() != Cancel::No;
            let locked = lending.lock(id, |holder| waiting(holder.to_string()), give_up);
            let settled = locked.and_then(|waited| match waited {
                Some(waited) => services.wait_for_the_dying(waited, waiting, give_up),
                None => Ok(false),
            });
            match settled {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    let message = format!("failed to lock it against other processes: {error}");
                    return lost(vec![(id, FailReason::Start { message })]);
                }
            }
            let (context, runtime) = match services.context(&run_id, cancel.clone()) {
                Ok(both) => both,
                Err(broken) => return drop(sender.send(Message::Broken(broken.to_string()))),
            };
            runtime.block_on(async {
                let failed = match lending.lend(id, &context).await {
                    Err((_, FailReason::Interrupted)) => None,
                    Err(failed) => Some(failed),
                    Ok(_) => {
                        let mut all = plan.borrowed(&plan.nodes[id.index()]);
                        all.push(id);
                        tokio::select! {
                            failed = lending.lost(&all) => failed,
                            () = wait_out(cancel.clone()) => None,
                        }
                    }
                };
                let Some((by, reason)) = failed.filter(|(_, reason)| *reason != FailReason::Interrupted) else {
                    return;
                };
                if by != id {
                    lending.close(id, &context).await;
                }
                lending.close(by, &context).await;
                let (service, message) = (plan.nodes[by.index()].name().clone(), reason.describe());
                let mut all = vec![(by, reason)];
                if by != id {
                    all.push((id, FailReason::Service { service, message }));
                }
                lost(all);
            });
        };
        // Not one of the pool's threads: it stays.
        if let Err(error) = std::thread::Builder::new().name("held".into()).spawn(watch) {
            self.give_up(id, format!("failed to start a thread: {error}"), inputs);
        }
    }

    /// Nobody borrows it any more.
    pub(super) fn close_lender(&mut self, id: NodeId, inputs: &mut VecDeque<Input>) {
        let opened = self.lending.lender(id).is_some_and(|lender| lender.was_opened());
        if !opened && !self.plan.nodes[id.index()].held {
            return inputs.push_back(Input::Ended(id, Ending::Found(Done::Fresh)));
        }
        let (services, lending) = (Arc::clone(&self.services), Arc::clone(&self.lending));
        let (run_id, cancel) = (self.folder.id.clone(), self.cancel_of(id));
        self.spawn(inputs, (id, false), move |sender| {
            match services.context(&run_id, cancel) {
                Ok((context, runtime)) => runtime.block_on(lending.close(id, &context)),
                Err(broken) => drop(sender.send(Message::Broken(broken.to_string()))),
            }
            let _ = sender.send(Message::Closed(id));
        });
    }
}
