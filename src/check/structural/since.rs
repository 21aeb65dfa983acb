//! Where a change began.

use super::{Ask, Unjudged};
use crate::git::{GitError, Head, Repository};
use std::collections::{BTreeMap, BTreeSet};

/// Where a configuration begins.
pub(super) const FILE: &str = "tasks.toml";

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

/// The commits that names stand for, each with its own tasks.toml, asked of git in one go.
#[derive(Debug)]
pub(super) struct Tips(BTreeMap<String, Option<Tip>>);

#[derive(Debug)]
struct Tip {
    commit: String,
    file: Option<Vec<u8>>,
}

impl Tips {
    /// Of HEAD, the usual base branches, and a base that is declared; none stands for anything where there is no repository.
    pub(super) fn of(repository: &Repository, declared: &str) -> Self {
        let remote = format!("origin/{declared}");
        let names: BTreeSet<&str> = ["HEAD", declared, &remote].into_iter().chain(USUAL).collect();
        let tips = together(repository, &names).unwrap_or_else(|_| {
            // One of the names is too much for git, which must not hide what the others stand for.
            names.iter().map(|name| by_itself(repository, name)).collect()
        });
        Self(names.into_iter().map(str::to_owned).zip(tips).collect())
    }

    /// The full id of the commit that a name stands for.
    pub(super) fn commit(&self, repository: &Repository, name: &str) -> Option<String> {
        match self.0.get(name) {
            Some(tip) => tip.as_ref().map(|tip| tip.commit.clone()),
            // Which only the base's own tasks.toml names.
            None => repository.commit(name).ok(),
        }
    }

    /// The tasks.toml of a commit that one of the names stands for.
    pub(super) fn file_at(&self, commit: &str) -> Option<&[u8]> {
        self.0.values().flatten().find(|tip| tip.commit == commit)?.file.as_deref()
    }

    /// The base that a change is judged against where this one is declared.
    pub(super) fn base(&self, declared: &str) -> String {
        match USUAL.iter().find_map(|name| declared_in(self.0.get(*name)?.as_ref()?.file.as_deref()?)) {
            Some(known) if !known.iter().any(|base| base == declared) => known[0].clone(),
            _ => declared.to_owned(),
        }
    }
}

fn together(repository: &Repository, names: &BTreeSet<&str>) -> Result<Vec<Option<Tip>>, GitError> {
    let asked: Vec<String> =
        names.iter().flat_map(|name| [format!("{name}^{{commit}}"), format!("{name}:./{FILE}")]).collect();
    let mut found = repository.objects(&asked)?.into_iter();
    let mut tips = Vec::with_capacity(names.len());
    while let (Some(commit), Some(file)) = (found.next(), found.next()) {
        let file = file.filter(|object| object.is_file).map(|object| object.content);
        tips.push(commit.map(|object| Tip { commit: object.id, file }));
    }
    Ok(tips)
}

fn by_itself(repository: &Repository, name: &str) -> Option<Tip> {
    let commit = repository.commit(name).ok()?;
    let file = repository.contents(&commit, &[FILE]).ok().and_then(|mut all| all.pop()?);
    Some(Tip { commit, file })
}

/// The base that a change is judged against: what was typed, else what is declared, as long as the change did not move
/// it. Otherwise a change could declare itself to be its own base, and there would be nothing to see.
pub(super) fn base_of(repository: &Repository, ask: &Ask, configured: &str) -> String {
    if let Some(typed) = &ask.base {
        return typed.clone();
    }
    let declared = ask.declared.as_deref().unwrap_or(configured);
    Tips::of(repository, declared).base(declared)
}

/// The bases that a usual branch's own tasks.toml declares, that of `[structural]` first; none where it has no such rule.
fn declared_in(file: &[u8]) -> Option<Vec<String>> {
    let table: toml::Table = std::str::from_utf8(file).ok()?.parse().ok()?;
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
