//! Where a change began.

use super::Unjudged;
use crate::git::{GitError, Head, Repository};

/// Where a change began.
#[derive(Debug, Clone)]
pub(super) struct Since {
    /// The commit that it is compared with.
    pub(super) commit: String,
    /// The tip of the base branch.
    pub(super) tip: String,
    /// For people.
    pub(super) words: String,
}

/// The merge-base with the base branch; on the base branch itself, HEAD's first parent.
pub(super) fn since(repository: &Repository, base: &str) -> Result<Since, Unjudged> {
    let head = repository.head()?;
    if let Head::Unborn(_) = head {
        return Err(Unjudged::new(
            "the repository has no commit yet, so that there is nothing to compare with",
            "commit first; what can't be judged does not pass",
        ));
    }
    if let Some(what) = repository.in_progress() {
        return Err(Unjudged::new(
            format!("{what} is in progress, so that it can't be told whose changes these are"),
            "finish it, or give it up, and run this again; what can't be judged does not pass",
        ));
    }
    let shallow = repository.is_shallow();
    let cut_off = |error: GitError| {
        if shallow {
            let message = format!("{error}; this is a shallow clone, which does not hold what came before");
            return Unjudged::new(
                message,
                "`git fetch --unshallow`, in CI `fetch-depth: 0`; what can't be judged does not pass",
            );
        }
        Unjudged::from(error)
    };
    let remote = format!("origin/{base}");
    let (name, tip) = match (repository.commit(base), repository.commit(&remote)) {
        (Ok(tip), _) => (base.to_owned(), tip),
        (Err(_), Ok(tip)) => (remote, tip),
        (Err(error), Err(_)) => return Err(cut_off(error)),
    };
    let on_base = match &head {
        Head::Branch(branch) => branch == base,
        _ => repository.is_ancestor("HEAD", &tip)?,
    };
    if !on_base {
        let commit = repository.merge_base(&tip, "HEAD").map_err(cut_off)?;
        let words = format!("where it left `{name}` ({})", short(&commit));
        return Ok(Since { commit, tip, words });
    }
    let here = repository.commit("HEAD")?;
    match repository.first_parent("HEAD") {
        Some(commit) => {
            let words = format!("the commit before HEAD ({}), on `{base}` itself", short(&commit));
            Ok(Since { commit, tip: here, words })
        }
        None if shallow => Err(cut_off(GitError::NoRevision("HEAD^".into()))),
        // Before the first commit nothing stood on anything.
        None => Ok(Since { commit: here.clone(), tip: here, words: "the first commit".into() }),
    }
}

fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}
