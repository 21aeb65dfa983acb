//! `check.branch`: the branch that is worked on is one that may be.

use super::frame::{Check, found, say};
use crate::config::{Located, With, build_glob};
use crate::git::{GitError, Head, Repository};
use crate::model::FailReason;
use crate::node::{Context, Output, Pending};
use globset::GlobMatcher;

/// The branch that is worked on is one that may be.
pub struct Branch {
    forbid: Vec<(String, GlobMatcher)>,
    no_merges_from: Option<String>,
    up_to_date_with: Option<String>,
}

impl Branch {
    /// None: a glob is no good, which the configuration has reported.
    pub fn new(with: &With) -> Option<Self> {
        let name = |named: &Option<Located<String>>| named.as_ref().map(|name| name.value.clone());
        let globs = with.check.forbid.iter();
        Some(Self {
            forbid: globs
                .map(|glob| Some((glob.value.clone(), build_glob(&glob.value).ok()?.compile_matcher())))
                .collect::<Option<_>>()?,
            no_merges_from: name(&with.check.no_merges_from),
            up_to_date_with: name(&with.check.up_to_date_with),
        })
    }

    /// The first forbidden branch that HEAD is on; a detached HEAD is on the branches that hold its commit.
    fn forbidden(&self, repository: &Repository) -> Result<Option<String>, GitError> {
        let names = match repository.head()? {
            Head::Branch(name) | Head::Unborn(name) => vec![name],
            Head::Detached => repository.branches_at_head()?,
        };
        // `origin/main` is where `main` is published: HEAD on it is not work on it, unless it is detached there.
        let local = |name: &str| name.split_once('/').map_or(name.to_owned(), |(_, rest)| rest.to_owned());
        let hits = |name: &&String| {
            self.forbid.iter().any(|(_, glob)| glob.is_match(name.as_str()) || glob.is_match(local(name)))
        };
        Ok(names.iter().find(hits).cloned())
    }

    fn judge(&self, repository: &Repository, output: &mut dyn Output) -> Result<Result<(), FailReason>, GitError> {
        if let Some(name) = self.forbidden(repository)? {
            return Ok(Err(found(
                format!("this is work on `{name}`, which is not worked on directly"),
                "make a branch of your own: `git switch -c NAME`",
            )));
        }
        if let Some(base) = &self.no_merges_from {
            let merges = repository.merges_since(base)?;
            if !merges.is_empty() {
                merges.iter().for_each(|line| say(output, line));
                return Ok(Err(found(
                    format!("the work since `{base}` holds merge commits"),
                    "rebase instead: `git rebase BRANCH`",
                )));
            }
        }
        if let Some(branch) = &self.up_to_date_with
            && !repository.is_ancestor(branch, "HEAD")?
        {
            return Ok(Err(found(
                format!("`{branch}` has commits that are not in HEAD"),
                "rebase on it: `git rebase BRANCH`",
            )));
        }
        say(output, "the branch may be worked on");
        Ok(Ok(()))
    }
}

impl Check for Branch {
    fn run<'a>(&'a self, context: &'a Context, output: &'a mut dyn Output) -> Pending<'a, Result<(), FailReason>> {
        Box::pin(async move {
            let judged = Repository::open(&context.root).and_then(|repository| self.judge(&repository, output));
            judged.unwrap_or_else(|error| Err(found(error.to_string(), help_for(&error))))
        })
    }
}

/// What to do about a repository that does not answer.
pub fn help_for(error: &GitError) -> &'static str {
    match error {
        GitError::Missing(_) => "install git, or put its folder on PATH",
        GitError::NoRepository => "run it in a clone; what can't be judged does not pass",
        GitError::NoRevision(_) | GitError::Unrelated(..) => {
            "fetch it (`git fetch origin BRANCH`); a shallow clone needs `git fetch --unshallow`. What can't be judged does not pass"
        }
        GitError::Failed { .. } => "mend the repository; what can't be judged does not pass",
    }
}
