//! The two sides of a change, read from git and the disk.

use super::graphs::{Told, told, told_by};
use super::patch::{self, Patched};
use super::since::{Since, base_of, since};
use super::{Ask, Unjudged, What};
use crate::git::{Change, Repository, Status};
use crate::model::WsPath;
use crate::rule::{
    Case, Content, Day, FileChange, GraphFacts, Settings, Side, check_id, is_default_ci, mentioned_files, quick_path,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What is needed to look at both sides.
pub(super) struct Sides {
    root: PathBuf,
    repository: Repository,
    since: Since,
    what: What,
    changes: Vec<Change>,
    patched: BTreeMap<String, Patched>,
    now: Told,
}

/// Contents by path.
type Contents = BTreeMap<String, Content>;

impl Sides {
    /// Finds out what changed.
    pub(super) fn open(root: &Path, repository: Repository, ask: &Ask) -> Result<Self, Unjudged> {
        let now = told(root);
        let configured =
            now.settings.as_ref().map_or_else(|| Settings::default().base, |settings| settings.base.clone());
        let since = since(&repository, &base_of(&repository, ask, &configured))?;
        let mut patched = BTreeMap::new();
        let changes = match &ask.what {
            What::Work => repository.changes(&since.commit, false)?,
            What::Staged => repository.changes(&since.commit, true)?,
            What::Diff(file) => {
                patched = patch::read(file)?;
                patched.iter().map(|(path, one)| one.as_change(path)).collect()
            }
        };
        Ok(Self { root: root.to_path_buf(), repository, since, what: ask.what.clone(), changes, patched, now })
    }

    /// Everything that the rule must know; and what it is compared with, for people.
    pub(super) fn case(self, today: Day) -> Result<(Case, String), Unjudged> {
        let files: Vec<String> = self.changes.iter().map(|change| change.path.clone()).collect();
        // Contents matter of few files only; of the others it is enough that they differ.
        let read: Vec<&str> = files.iter().map(String::as_str).filter(|path| self.matters(path)).collect();
        let before = self.at(&self.since.commit, &read)?;
        let after = self.after(&read, &before)?;
        let tip = self.at(&self.since.tip, &read.iter().copied().filter(|path| is_sql(path)).collect::<Vec<_>>())?;
        let mut all = Vec::with_capacity(self.changes.len());
        for change in &self.changes {
            let path = change.path.as_str();
            let seen = |contents: &Contents, there: bool| match contents.get(path) {
                Some(content) => content.clone(),
                None if there => Content::Bytes(vec![]),
                None => Content::Absent,
            };
            let mut file = FileChange {
                path: path.to_owned(),
                before: seen(&before, change.status != Status::Added),
                after: seen(&after, change.status != Status::Deleted),
                on_base: tip.get(path).cloned().unwrap_or_default(),
            };
            if change.submodule {
                let why = "it is a submodule, whose content is elsewhere";
                file.after = Content::Unseen(why.into());
            }
            all.push(file);
        }
        let (was, now) = self.graphs(&before, &after)?;
        let settings = now.settings.clone().or_else(|| was.settings.clone()).unwrap_or_default();
        let side_after = self.side(now.graph, settings.clone(), &after, false)?;
        let side_before = self.side(was.graph, was.settings.unwrap_or(settings), &before, true)?;
        Ok((Case { files: all, before: side_before, after: side_after, today }, self.since.words.clone()))
    }

    fn matters(&self, path: &str) -> bool {
        let default = Settings::default();
        let settings = self.now.settings.as_ref().unwrap_or(&default);
        let config = Path::new(path).extension().is_some_and(|extension| extension == "toml");
        let under = |folder: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        is_sql(path)
            || config
            || is_default_ci(path)
            || settings.ci.iter().any(|pattern| pattern.covers(&WsPath::from_clean(path)))
            || path.ends_with("INVARIANTS_QUICK.md")
            || path == settings.manifest
            || path.ends_with(".yml")
            || path.ends_with(".yaml")
            || under(&settings.exceptions)
    }

    /// Files at a commit.
    fn at(&self, commit: &str, paths: &[&str]) -> Result<Contents, Unjudged> {
        let found = self.repository.contents(commit, paths)?;
        Ok(paths.iter().map(|path| (*path).to_owned()).zip(found.into_iter().map(Content::of)).collect())
    }

    /// Files as they are now; `before` is what a diff is applied to.
    fn after(&self, paths: &[&str], before: &Contents) -> Result<Contents, Unjudged> {
        match &self.what {
            What::Work => Ok(paths.iter().map(|path| ((*path).to_owned(), on_disk(&self.root.join(path)))).collect()),
            What::Staged => self.at("", paths),
            What::Diff(_) => {
                let mut all = Contents::new();
                for path in paths {
                    let old = before.get(*path).cloned().unwrap_or_default();
                    let new = match self.patched.get(*path) {
                        Some(patched) => patched.applied_to(&old),
                        None => old,
                    };
                    all.insert((*path).to_owned(), new);
                }
                Ok(all)
            }
        }
    }

    /// Any file as it is now, changed or not.
    fn now(&self, path: &str) -> Option<Vec<u8>> {
        let content = match &self.what {
            What::Work => on_disk(&self.root.join(path)),
            What::Staged => Content::of(self.repository.contents("", &[path]).ok()?.pop()?),
            What::Diff(_) => {
                let old = Content::of(self.then(path));
                self.patched.get(path).map_or_else(|| old.clone(), |patched| patched.applied_to(&old))
            }
        };
        bytes(content)
    }

    /// Any file as it was.
    fn then(&self, path: &str) -> Option<Vec<u8>> {
        self.repository.contents(&self.since.commit, &[path]).ok()?.pop()?
    }

    /// Both graphs. Where no file of theirs changed, they are the same.
    fn graphs(&self, before: &Contents, after: &Contents) -> Result<(Told, Told), Unjudged> {
        let failed = |error: std::io::Error| {
            Unjudged::new(format!("failed to write to a temporary folder: {error}"), "make room, or set TMPDIR")
        };
        let now = match &self.what {
            What::Work => told(&self.root),
            _ => {
                let list = || {
                    let known = self.repository.files_at(&self.since.commit).unwrap_or_default();
                    known.into_iter().chain(after.keys().cloned()).collect()
                };
                told_by(&|path| self.now(path), &list).map_err(failed)?
            }
        };
        let touched = before.keys().any(|path| path.ends_with(".toml") || now.files.contains(path))
            || self.changes.iter().any(|change| now.files.contains(&change.path));
        let list = || self.repository.files_at(&self.since.commit).unwrap_or_default();
        let was = if touched {
            told_by(&|path| self.then(path), &list).map_err(failed)?
        } else {
            Told { graph: now.graph.clone(), settings: now.settings.clone(), files: now.files.clone() }
        };
        Ok((was, now))
    }

    fn side(&self, graph: GraphFacts, settings: Settings, changed: &Contents, before: bool) -> Result<Side, Unjudged> {
        let read = |path: &str| -> Option<String> {
            let found = match changed.get(path) {
                Some(content) => bytes(content.clone()),
                None if before && self.is_changed(path) => self.then(path),
                // What did not change is the same on both sides.
                None => self.now(path),
            };
            found.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        let list = |folder: &str| self.list(folder, changed);
        let ci = self.ci_paths(&settings, changed, &list);
        let ci = ci.into_iter().filter_map(|path| Some((path.clone(), read(&path)?))).collect();
        let manifest = read(&settings.manifest);
        let mentioned = if before { vec![] } else { mentioned_files(manifest.as_deref().unwrap_or_default()) };
        let exceptions = if before { vec![] } else { list(&settings.exceptions) };
        let checks = if before { vec![] } else { settings.checks.iter().flat_map(|folder| list(folder)).collect() };
        let ids = checks.iter().filter(|path| is_sql(path)).filter_map(|path| check_id(&read(path)?));
        Ok(Side {
            graph,
            ci,
            quick: read(&quick_path(&settings.manifest)),
            manifest,
            exceptions: exceptions.into_iter().filter_map(|path| Some((path.clone(), read(&path)?))).collect(),
            existing: mentioned.into_iter().filter(|path| self.exists(path)).collect(),
            check_ids: ids.collect(),
            settings,
        })
    }

    fn is_changed(&self, path: &str) -> bool {
        self.changes.binary_search_by(|change| change.path.as_str().cmp(path)).is_ok()
    }

    fn exists(&self, path: &str) -> bool {
        self.root.join(path).symlink_metadata().is_ok() || self.now(path).is_some()
    }

    /// The files directly in a folder, on the disk or changed, sorted.
    fn list(&self, folder: &str, changed: &Contents) -> Vec<String> {
        let prefix = format!("{}/", folder.trim_end_matches('/'));
        let direct = |path: &&String| path.strip_prefix(&prefix).is_some_and(|rest| !rest.contains('/'));
        let mut all: BTreeSet<String> = changed.keys().filter(direct).cloned().collect();
        for entry in std::fs::read_dir(self.root.join(folder)).into_iter().flatten().flatten() {
            let file = entry.file_type().is_ok_and(|kind| !kind.is_dir());
            if let (true, Ok(name)) = (file, entry.file_name().into_string()) {
                all.insert(format!("{prefix}{name}"));
            }
        }
        all.into_iter().filter(|path| !path[prefix.len()..].starts_with('.')).collect()
    }

    /// Which files CI may be made of.
    fn ci_paths(
        &self,
        settings: &Settings,
        changed: &Contents,
        list: &dyn Fn(&str) -> Vec<String>,
    ) -> BTreeSet<String> {
        let mut all: BTreeSet<String> = list(".github/workflows").into_iter().collect();
        all.extend([".gitlab-ci.yml".to_owned(), ".ci/run".to_owned()]);
        all.extend(changed.keys().cloned());
        for pattern in &settings.ci {
            if pattern.glob.is_none() {
                all.insert(pattern.prefix.to_string());
            } else {
                all.extend(self.repository.files_at(&self.since.commit).unwrap_or_default());
            }
        }
        let declared =
            |path: &String| settings.ci.iter().any(|pattern| pattern.covers(&WsPath::from_clean(path.as_str())));
        all.retain(|path| is_default_ci(path) || declared(path));
        all
    }
}

fn is_sql(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("sql"))
}

fn bytes(content: Content) -> Option<Vec<u8>> {
    match content {
        Content::Bytes(bytes) => Some(bytes),
        _ => None,
    }
}

/// What is on the disk, without following links.
fn on_disk(path: &Path) -> Content {
    match std::fs::symlink_metadata(path) {
        Err(_) => Content::Absent,
        Ok(meta) if meta.is_symlink() => Content::Unseen("it is a symlink".into()),
        Ok(meta) if meta.is_dir() => Content::Absent,
        Ok(meta) if !meta.is_file() => Content::Unseen("it is no regular file".into()),
        Ok(_) => std::fs::read(path)
            .map_or_else(|error| Content::Unseen(format!("it can't be read: {error}")), Content::Bytes),
    }
}
