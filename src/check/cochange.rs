//! `check.cochange`: a change of the one comes with a change of the other.

use super::branch::help_for;
use super::frame::{Check, found, say};
use crate::config::{Located, Pattern, With};
use crate::fingerprint::Selection;
use crate::git::{GitError, Head, Repository};
use crate::model::{FailReason, WsPath};
use crate::node::{Context, Output, Pending};

/// A change of the one comes with a change of the other.
pub struct Cochange {
    when: Vec<Located<Pattern>>,
    require: Vec<Located<Pattern>>,
    base: String,
}

impl Cochange {
    /// Of its parameters.
    pub fn new(with: &With) -> Self {
        let base = with.check.base.as_ref().map_or_else(|| "main".to_owned(), |base| base.value.clone());
        Self { when: with.check.when.clone(), require: with.check.require.clone(), base }
    }

    /// The paths that differ from where the work began.
    fn changed(&self, repository: &Repository) -> Result<Vec<WsPath>, GitError> {
        let since = match repository.head()? {
            // Everything is new.
            Head::Unborn(_) => return Err(GitError::NoRevision("HEAD".into())),
            Head::Branch(name) if name == self.base => {
                repository.first_parent("HEAD").ok_or_else(|| GitError::NoRevision("HEAD^".into()))?
            }
            _ => repository.merge_base(&self.base, "HEAD")?,
        };
        let changes = repository.changes(&since, false)?;
        Ok(changes.into_iter().map(|change| WsPath::from_clean(change.path)).collect())
    }
}

/// The patterns without their places.
fn plain(patterns: &[Located<Pattern>]) -> Vec<Pattern> {
    patterns.iter().map(|pattern| pattern.value.clone()).collect()
}

impl Check for Cochange {
    fn run<'a>(&'a self, context: &'a Context, output: &'a mut dyn Output) -> Pending<'a, Result<(), FailReason>> {
        Box::pin(async move {
            let changed = Repository::open(&context.root)
                .and_then(|repository| self.changed(&repository))
                .map_err(|error| found(error.to_string(), help_for(&error)))?;
            let (when, require) = (plain(&self.when), plain(&self.require));
            let touching = |patterns: &[Pattern]| {
                let selection = Selection::new(patterns);
                changed.iter().filter(|path| selection.covers(path)).cloned().collect::<Vec<_>>()
            };
            let (touched, answered) = (touching(&when), touching(&require));
            if touched.is_empty() || !answered.is_empty() {
                say(output, &format!("{} of {} changed paths ask for it", touched.len(), changed.len()));
                return Ok(());
            }
            touched.iter().for_each(|path| say(output, &format!("{path} was changed")));
            let wanted: Vec<String> = require.iter().map(|pattern| format!("`{}`", pattern.full())).collect();
            Err(found(
                format!("{} must change too, and did not", wanted.join(" or ")),
                "change it in the same piece of work",
            ))
        })
    }
}
