//! Hears what a service prints, for a line that shows how far it is.

use crate::command::serving::Tail;
use crate::config::{After, Sign};
use crate::model::{FailReason, Notice};
use crate::node::Output;
use regex::Regex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Takes a service's output. What is printed before it listens does not count.
#[derive(Clone, Default)]
pub struct Ear {
    listens: Arc<AtomicBool>,
    tail: Option<Arc<Tail>>,
}

impl Ear {
    /// For the sign that is waited for, if it is a line.
    ///
    /// # Errors
    /// It is no regular expression.
    pub fn new(after: &After) -> Result<Self, FailReason> {
        let After::Seen { sign: Sign::Log(pattern), .. } = after else { return Ok(Self::default()) };
        let pattern = Regex::new(pattern).map_err(|error| FailReason::Inputs {
            message: format!("`{pattern}` in `after` is no regular expression: {error}"),
            help: None,
        })?;
        let tail = Arc::new(Tail::new(Box::new(Nobody), Some(pattern)));
        Ok(Self { listens: Arc::default(), tail: Some(tail) })
    }

    /// From now on.
    pub fn listens(&self) {
        self.listens.store(true, Ordering::Release);
    }

    /// Until the line has come; for ever where none is waited for.
    pub async fn heard(&self) {
        match &self.tail {
            Some(tail) => tail.matched().await,
            None => std::future::pending().await,
        }
    }
}

impl Output for Ear {
    fn bytes(&mut self, bytes: &[u8]) {
        if let Some(tail) = self.tail.as_ref().filter(|_| self.listens.load(Ordering::Acquire)) {
            tail.take(bytes);
        }
    }

    fn notice(&mut self, _: Notice) {}
}

/// The last lines are kept elsewhere.
struct Nobody;

impl Output for Nobody {
    fn bytes(&mut self, _: &[u8]) {}
    fn notice(&mut self, _: Notice) {}
}
