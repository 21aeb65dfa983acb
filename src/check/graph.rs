//! `check.graph`: what `weir tasks deps check` does, as a node.

use super::frame::{Check, found, say};
use crate::model::FailReason;
use crate::node::{Context, Output, Pending};
use std::sync::Arc;

/// What the audit says: its text as a person reads it, and whether it fails; `true`: warnings fail it too.
pub type GraphAudit = dyn Fn(bool) -> (String, bool) + Send + Sync;

/// The graph tells the truth.
pub struct Graph {
    /// Who audits.
    pub audit: Arc<GraphAudit>,
    /// Warnings fail it too.
    pub strict: bool,
}

impl Check for Graph {
    fn run<'a>(&'a self, _: &'a Context, output: &'a mut dyn Output) -> Pending<'a, Result<(), FailReason>> {
        Box::pin(async move {
            let (text, fails) = (self.audit)(self.strict);
            say(output, text.trim_end());
            if fails {
                return Err(found(
                    "the graph has findings",
                    "each code has a page in weir's documentation; mend or allow it",
                ));
            }
            Ok(())
        })
    }
}
