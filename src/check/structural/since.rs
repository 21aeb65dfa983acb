//! Where a change began.

use super::{Ask, Unjudged};
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

/// Where the usual base branches are found.
const USUAL: [&str; 4] = ["main", "origin/main", "master", "origin/master"];

/// The base that a change is judged against: what was typed, else what is declared, as long as the change did not move
/// it. Otherwise a change could declare itself to be its own base, and there would be nothing to see.
pub(super) fn base_of(repository: &Repository, ask: &Ask, configured: &str) -> String {
    if let Some(typed) = &ask.base {
        return typed.clone();
    }
    let declared = ask.declared.as_deref().unwrap_or(configured);
    match USUAL.iter().find_map(|name| declared_at(repository, name)) {
        Some(known) if !known.iter().any(|base| base == declared) => known[0].clone(),
        _ => declared.to_owned(),
    }
}

/// The bases that a usual branch's own tasks.toml declares, that of `[structural]` first; none where it has no such rule.
fn declared_at(repository: &Repository, name: &str) -> Option<Vec<String>> {
    let commit = repository.commit(name).ok()?;
    let text = repository.contents(&commit, &["tasks.toml"]).ok()?.pop()??;
    let table: toml::Table = String::from_utf8(text).ok()?.parse().ok()?;
    let text = |value: Option<&toml::Value>| value.and_then(toml::Value::as_str).map(str::to_owned);
    let structural = table.get("structural").and_then(toml::Value::as_table);
    let tasks = table.get("tasks").and_then(toml::Value::as_table);
    let rules: Vec<&toml::Value> = tasks
        .into_iter()
        .flat_map(|tasks| tasks.values())
        .filter(|task| task.get("uses").and_then(toml::Value::as_str) == Some("rule.structural"))
        .collect();
    if structural.is_none() && rules.is_empty() {
        return None;
    }
    let first = text(structural.and_then(|table| table.get("base"))).unwrap_or_else(|| "main".to_owned());
    let others = rules.into_iter().filter_map(|task| text(task.get("with")?.get("base")));
    Some([first].into_iter().chain(others).collect())
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
