//! `rule.structural`: what git, the disk and the clock say, told to the rule. Where they can't say, the rule's answer is no.

mod graphs;
mod patch;
mod sides;
mod since;

pub use patch::prepare;

use super::branch::help_for;
use super::frame::{Check, found, say};
use crate::config::Located;
use crate::git::{GitError, Repository};
use crate::model::FailReason;
use crate::node::{Context, Output, Pending};
use crate::rule::{Day, Verdict, judge};
use sides::Sides;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// SQL nests as deep as it likes, and parsers follow it; the memory is only touched where needed.
const STACK: usize = 256 << 20;

/// What is asked of the rule.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// The base branch, as somebody typed it; that of `[structural]` by default.
    pub base: Option<String>,
    /// The base branch that the node declares.
    pub declared: Option<String>,
    /// Which change.
    pub what: What,
}

/// A change.
#[derive(Debug, Clone, Default)]
pub enum What {
    /// Commits since the base, and staged, unstaged and untracked work.
    #[default]
    Work,
    /// Commits since the base, and what is staged.
    Staged,
    /// What a file of `git diff` says, seen from the base.
    Diff(PathBuf),
}

/// Why nothing can be judged: then nothing passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unjudged {
    /// What is in the way.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl Unjudged {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

impl From<GitError> for Unjudged {
    fn from(error: GitError) -> Self {
        Self::new(error.to_string(), help_for(&error))
    }
}

/// Today, in UTC, wherever the clock thinks it is.
pub fn today() -> Day {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Day::of_unix_seconds(i64::try_from(seconds).unwrap_or(i64::MAX))
}

/// Judges the change of the workspace at `root`.
///
/// # Errors
/// It can't be seen what changed.
pub fn detect(root: &Path, ask: &Ask) -> Result<Verdict, Unjudged> {
    let work = || {
        let repository = Repository::open(root)?;
        let sides = Sides::open(root, repository, ask)?;
        let (case, against) = sides.case(today())?;
        let mut verdict = judge(&case);
        verdict.against = against;
        Ok(verdict)
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("rule".into()).stack_size(STACK).spawn_scoped(scope, work);
        let judged = thread.map(std::thread::ScopedJoinHandle::join);
        match judged {
            Ok(Ok(judged)) => judged,
            _ => Err(Unjudged::new("the rule broke off", "this is a defect in weir; please report it with the change")),
        }
    })
}

/// Whether a task of the base's version reached the rule, and the change took it out.
pub fn was_taken_out(root: &Path, base: &str, tasks: &[String]) -> Option<String> {
    graphs::rule_was_reached(root, base, tasks)
}

/// The node.
pub struct Structural {
    base: Option<String>,
}

impl Structural {
    /// Of its parameters.
    pub fn new(base: Option<&Located<String>>) -> Self {
        Self { base: base.map(|base| base.value.clone()) }
    }
}

impl Check for Structural {
    fn run<'a>(&'a self, context: &'a Context, output: &'a mut dyn Output) -> Pending<'a, Result<(), FailReason>> {
        Box::pin(async move {
            let ask = Ask { base: None, declared: self.base.clone(), what: What::Work };
            let verdict = detect(&context.root, &ask).map_err(|why| found(why.message, &why.help))?;
            say(output, verdict.text().trim_end());
            if verdict.passes {
                return Ok(());
            }
            Err(found(verdict.summary(), "its output names the ways out; `weir rule detect` says the same at once"))
        })
    }
}
