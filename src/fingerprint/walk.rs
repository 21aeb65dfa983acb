//! From declared patterns to the files they select, with stat and digest.

use super::hash::digest_file;
use super::ignored::{IgnoreRules, NAMES};
use super::memo::Memo;
use super::select::{Selection, Taken};
use super::stat::{Look, Stat, stat_at};
use super::trail::Trail;
use crate::config::{Pattern, did_you_mean};
use crate::model::{Digest, WsPath, lossless};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A selected path and what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Relative to the workspace root.
    pub path: WsPath,
    /// What is there.
    pub kind: SourceKind,
    /// How it looked; for a symlink to a file, how that file looked.
    pub stat: Stat,
}

/// What a path is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// A regular file.
    File {
        /// Of its content.
        digest: Digest,
    },
    /// A symlink.
    Link {
        /// As it is written in the link.
        target: String,
        /// What is there.
        behind: Behind,
    },
    /// A declared folder that holds nothing.
    Folder,
}

/// What a symlink leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    /// Nothing.
    Nothing,
    /// A folder; its files follow as sources of their own.
    Folder,
    /// A file with this content.
    File(Digest),
}

/// What a list of patterns selected, sorted by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources(pub Vec<Source>);

/// Why inputs could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputError {
    /// A pattern selects nothing.
    NoMatch {
        /// As declared.
        pattern: String,
        /// The nearest thing that exists.
        help: String,
    },
    /// Something can't be read.
    Read {
        /// Which.
        path: WsPath,
        /// Why.
        message: String,
    },
    /// A symlink that leads to itself, or to a folder that holds it.
    Loop {
        /// The symlink.
        path: WsPath,
        /// Its target.
        target: String,
    },
    /// A name that is not UTF-8.
    NotUtf8 {
        /// As well as it can be shown.
        shown: String,
    },
    /// Files come and go faster than they can be read.
    Unsteady {
        /// One of them.
        path: WsPath,
    },
}

impl InputError {
    /// What to do.
    pub fn help(&self) -> String {
        match self {
            Self::NoMatch { help, .. } => help.clone(),
            Self::Read { path, .. } => {
                format!("make it readable, or leave it out with `!{path}` in `sources`")
            }
            Self::Loop { path, .. } => format!("leave it out with `!{path}` in `sources`"),
            Self::NotUtf8 { .. } => "rename it, or leave its folder out with a `!` pattern in `sources`".into(),
            Self::Unsteady { .. } => "something writes there while weir reads; declare that task as a dependency, \
                                      or leave the path out with a `!` pattern in `sources`"
                .into(),
        }
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMatch { pattern, .. } => write!(f, "source `{pattern}` matches nothing"),
            Self::Read { path, message } => write!(f, "failed to read source `{path}`: {message}"),
            Self::Loop { path, target } => {
                write!(f, "source `{path}` is a symlink to `{target}`, which leads back to itself")
            }
            Self::NotUtf8 { shown } => write!(f, "the name of source `{shown}` is not UTF-8"),
            Self::Unsteady { path } => write!(f, "source `{path}` kept changing while it was read"),
        }
    }
}

impl std::error::Error for InputError {}

/// A path found by a walk, not read yet.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where.
    pub path: WsPath,
    /// Not followed.
    pub stat: Stat,
    /// What.
    pub what: What,
}

/// What a walk found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// Anything that is neither folder nor symlink.
    File,
    /// A symlink.
    Link,
    /// A folder that holds nothing (that counts).
    EmptyFolder,
}

/// How a walk goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Honours ignore files, follows symlinks.
    Sources,
    /// Takes all that is there, follows nothing.
    Outputs,
}

/// How often a changing tree is listed again before giving up.
const TRIES: usize = 5;

/// Reads declared inputs and outputs of one workspace.
#[derive(Debug)]
pub struct Surveyor {
    root: PathBuf,
    /// The root, opened; none where that fails, and then every look says why.
    base: Option<OwnedFd>,
    rules: IgnoreRules,
    trail: Option<Arc<Trail>>,
    /// Which content files had.
    pub memo: Memo,
}

impl Surveyor {
    /// For the workspace at `root`.
    pub fn new(root: &Path, memo: Memo) -> Self {
        let base = std::fs::File::open(root).ok().map(OwnedFd::from);
        Self { root: root.to_path_buf(), base, rules: IgnoreRules::new(root), trail: None, memo }
    }

    /// From now on, notes what it looks at.
    pub fn lay(&mut self, trail: Arc<Trail>) {
        self.rules = IgnoreRules::new(&self.root).noting(Arc::clone(&trail));
        self.trail = Some(trail);
    }

    /// Where it notes what it looks at, if it does.
    pub const fn trail(&self) -> Option<&Arc<Trail>> {
        self.trail.as_ref()
    }

    fn note(&self, path: &WsPath, stat: Option<&Stat>) {
        if let Some(trail) = &self.trail {
            trail.note(path.as_str().as_bytes(), false, stat);
        }
    }

    /// Notes a folder that is about to be listed, or what is behind a symlink.
    fn note_look(&self, path: &WsPath, behind: bool) {
        let Some(trail) = &self.trail else { return };
        let absolute = path.under(&self.root);
        let answer = if behind { std::fs::metadata(absolute) } else { std::fs::symlink_metadata(absolute) };
        let look = Look::of(path.as_str(), behind, answer.as_ref().ok());
        let link = look.stat.is_some_and(|stat| stat.is_link());
        trail.note_look(&look);
        if link {
            self.note_look(path, true);
        }
    }

    /// The workspace root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// How `path` looks; a symlink is not followed.
    fn look(&self, path: &WsPath) -> io::Result<Stat> {
        match &self.base {
            Some(base) => stat_at(base, path),
            None => std::fs::symlink_metadata(path.under(&self.root)).map(|metadata| Stat::of(&metadata)),
        }
    }

    /// The ignore rules.
    pub const fn rules(&self) -> &IgnoreRules {
        &self.rules
    }

    /// Reads what `patterns` select, contents by the memo where it can be trusted.
    ///
    /// # Errors
    /// [`InputError`]: a pattern selects nothing, or something can't be read.
    pub fn sources(&self, patterns: &[Pattern]) -> Result<Sources, InputError> {
        if patterns.is_empty() {
            return Ok(Sources::default());
        }
        let selection = Selection::new(patterns);
        let mut last = None;
        for _ in 0..TRIES {
            let found = self.list(&selection, Manner::Sources)?;
            match self.read(found) {
                Ok(sources) => return Ok(sources),
                Err(ReadTrouble::Vanished(path)) => last = Some(path),
                Err(ReadTrouble::Input(error)) => return Err(error),
            }
        }
        Err(InputError::Unsteady { path: last.unwrap_or_default() })
    }

    /// Lists what `patterns` select, without reading contents.
    ///
    /// # Errors
    /// As [`Surveyor::sources`].
    pub fn select(&self, patterns: &[Pattern]) -> Result<Vec<WsPath>, InputError> {
        let found = self.list(&Selection::new(patterns), Manner::Sources)?;
        Ok(found.into_iter().map(|found| found.path).collect())
    }

    /// Lists what output `patterns` match now, and the patterns that match nothing.
    ///
    /// # Errors
    /// A folder can't be read.
    pub fn outputs(&self, patterns: &[Pattern]) -> Result<(Vec<Found>, Vec<String>), InputError> {
        let selection = Selection::new(patterns);
        let mut missing = Vec::new();
        let mut all = Vec::new();
        for taken in &selection.takes {
            let before = all.len();
            self.list_one(taken, &selection, Manner::Outputs, &mut all)?;
            if all.len() == before {
                missing.push(taken.raw.to_owned());
            }
        }
        settle(&mut all);
        Ok((all, missing))
    }

    /// The digest of a regular file, by the memo if it can be trusted.
    ///
    /// # Errors
    /// It can't be read.
    pub fn digest(&self, path: &WsPath, stat: &Stat) -> io::Result<Digest> {
        if let Some(digest) = self.memo.get(path, stat) {
            return Ok(digest);
        }
        let reading = digest_file(&path.under(&self.root))?;
        if reading.steady {
            self.memo.put(path, reading.stat, reading.digest, reading.at);
        }
        Ok(reading.digest)
    }

    fn list(&self, selection: &Selection<'_>, manner: Manner) -> Result<Vec<Found>, InputError> {
        let mut all = Vec::new();
        for taken in &selection.takes {
            let before = all.len();
            self.list_one(taken, selection, manner, &mut all)?;
            if all.len() == before {
                return Err(InputError::NoMatch { pattern: taken.raw.to_owned(), help: self.nearest(taken) });
            }
        }
        settle(&mut all);
        Ok(all)
    }

    fn list_one(
        &self,
        taken: &Taken<'_>,
        selection: &Selection<'_>,
        manner: Manner,
        out: &mut Vec<Found>,
    ) -> Result<(), InputError> {
        let start = taken.prefix;
        if selection.leaves_out(start) {
            return Ok(());
        }
        let stat = match self.look(start) {
            Ok(stat) => stat,
            Err(error) if gone(&error) => {
                self.note(start, None);
                return Ok(());
            }
            Err(error) => return Err(read_error(start, &error)),
        };
        if !stat.is_folder() {
            self.note(start, Some(&stat));
        }
        if taken.is_literal() && !stat.is_folder() && !stat.is_link() {
            out.push(Found { path: start.clone(), stat, what: What::File });
            return Ok(());
        }
        let mut walk = Walk {
            surveyor: self,
            taken,
            selection,
            manner,
            honour: manner == Manner::Sources && !(stat.is_folder() && self.rules.ignores(start, true)),
            hops: Vec::new(),
            steps: steps(taken),
            out,
        };
        if stat.is_link() {
            self.note_look(start, true);
            if taken.is_literal() {
                walk.link(start, stat)
            } else if std::fs::metadata(start.under(&self.root)).is_ok_and(|behind| behind.is_dir()) {
                walk.folder(start, 0, false)
            } else {
                Ok(())
            }
        } else if stat.is_folder() {
            walk.folder(start, 0, taken.is_literal())
        } else {
            Ok(())
        }
    }

    fn read(&self, found: Vec<Found>) -> Result<Sources, ReadTrouble> {
        let mut sources = Vec::with_capacity(found.len());
        for Found { path, stat, what } in found {
            sources.push(match what {
                What::EmptyFolder => Source { path, kind: SourceKind::Folder, stat },
                What::File => {
                    let (digest, stat) = self.content(&path, stat)?;
                    Source { path, kind: SourceKind::File { digest }, stat }
                }
                What::Link => self.read_link(path, stat)?,
            });
        }
        Ok(Sources(sources))
    }

    fn read_link(&self, path: WsPath, stat: Stat) -> Result<Source, ReadTrouble> {
        let absolute = path.under(&self.root);
        let target = std::fs::read_link(&absolute).map_err(|error| ReadTrouble::of(&path, &error))?;
        let target = lossless(target.as_os_str());
        match std::fs::metadata(&absolute) {
            Ok(behind) if behind.is_dir() => {
                Ok(Source { path, kind: SourceKind::Link { target, behind: Behind::Folder }, stat })
            }
            Ok(behind) => {
                if let Some(trail) = &self.trail {
                    trail.note(path.as_str().as_bytes(), true, Some(&Stat::of(&behind)));
                }
                let (digest, stat) = self.content(&path, Stat::of(&behind))?;
                Ok(Source { path, kind: SourceKind::Link { target, behind: Behind::File(digest) }, stat })
            }
            Err(error) if gone(&error) => {
                Ok(Source { path, kind: SourceKind::Link { target, behind: Behind::Nothing }, stat })
            }
            Err(error) if error.raw_os_error() == Some(nix::libc::ELOOP) => {
                Err(ReadTrouble::Input(InputError::Loop { path, target }))
            }
            Err(error) => Err(ReadTrouble::of(&path, &error)),
        }
    }

    /// The digest of the file behind `path`, which looked like `stat`; read until it holds still.
    fn content(&self, path: &WsPath, stat: Stat) -> Result<(Digest, Stat), ReadTrouble> {
        if let Some(digest) = self.memo.get(path, &stat) {
            return Ok((digest, stat));
        }
        for _ in 0..TRIES {
            let reading = digest_file(&path.under(&self.root)).map_err(|error| ReadTrouble::of(path, &error))?;
            if reading.steady {
                self.memo.put(path, reading.stat, reading.digest, reading.at);
                if let Some(trail) = self.trail.as_ref().filter(|_| reading.stat != stat) {
                    trail.lose();
                }
                return Ok((reading.digest, reading.stat));
            }
        }
        Err(ReadTrouble::Input(InputError::Unsteady { path: path.clone() }))
    }

    /// What to say where nothing matches.
    fn nearest(&self, taken: &Taken<'_>) -> String {
        let mut at = WsPath::root();
        for part in taken.prefix.components() {
            let next = at.join(part);
            if std::fs::symlink_metadata(next.under(&self.root)).is_ok() {
                at = next;
                continue;
            }
            let names: Vec<String> = std::fs::read_dir(at.under(&self.root))
                .map(|entries| entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
                .unwrap_or_default();
            return match did_you_mean(part, names.iter().map(String::as_str)) {
                Some(like) => format!("did you mean `{}`?", at.join(like)),
                None if at.is_root() => format!("there is no `{next}` in the workspace"),
                None => format!("the nearest path that exists is `{at}`"),
            };
        }
        format!("`{at}` exists, but nothing in it matches (or all of it is ignored)")
    }
}

/// Sorts, and leaves each path once: a symlink to an empty folder is the symlink.
fn settle(all: &mut Vec<Found>) {
    all.sort_unstable_by(|a, b| a.path.cmp(&b.path).then(a.what.cmp(&b.what)));
    all.dedup_by(|a, b| a.path == b.path);
}

enum ReadTrouble {
    Vanished(WsPath),
    Input(InputError),
}

impl ReadTrouble {
    fn of(path: &WsPath, error: &io::Error) -> Self {
        if gone(error) { Self::Vanished(path.clone()) } else { Self::Input(read_error(path, error)) }
    }
}

fn gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn read_error(path: &WsPath, error: &io::Error) -> InputError {
    let message = match error.raw_os_error() {
        Some(nix::libc::EACCES) => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    InputError::Read { path: path.clone(), message }
}

/// One component of a glob, as far as the walk can use it to stay out of folders.
enum Step {
    /// Only names that match.
    Name(globset::GlobMatcher),
    /// Anything from here on.
    Any,
}

fn steps(taken: &Taken<'_>) -> Vec<Step> {
    let Some(glob) = taken.glob_text() else { return vec![] };
    if glob.contains(['{', '\\', '[']) {
        return vec![Step::Any];
    }
    let mut steps = Vec::new();
    for part in glob.split('/') {
        match crate::config::build_glob(part) {
            Ok(matcher) if part != "**" => steps.push(Step::Name(matcher.compile_matcher())),
            _ => {
                steps.push(Step::Any);
                break;
            }
        }
    }
    steps
}

struct Walk<'a> {
    surveyor: &'a Surveyor,
    taken: &'a Taken<'a>,
    selection: &'a Selection<'a>,
    manner: Manner,
    honour: bool,
    /// The real folders that hold the symlinks that were followed to get here.
    hops: Vec<PathBuf>,
    steps: Vec<Step>,
    out: &'a mut Vec<Found>,
}

impl Walk<'_> {
    /// Lists a folder. `all`: it, or a folder above it, is matched, and so everything below is.
    fn folder(&mut self, folder: &WsPath, depth: usize, all: bool) -> Result<(), InputError> {
        self.surveyor.note_look(folder, false);
        let entries = match std::fs::read_dir(folder.under(&self.surveyor.root)) {
            Ok(entries) => entries,
            Err(error) if gone(&error) => return Ok(()),
            Err(error) => return Err(read_error(folder, &error)),
        };
        let entries = entries
            .map(|entry| entry.map(|entry| (entry.file_name(), entry)))
            .collect::<io::Result<Vec<_>>>()
            .map_err(|error| read_error(folder, &error))?;
        if self.honour && !entries.iter().any(|(name, _)| NAMES.iter().any(|ignore| name == ignore)) {
            self.surveyor.rules.note_none(folder);
        }
        let mut empty = true;
        for (name, entry) in &entries {
            let Some(name) = name.to_str() else {
                return Err(InputError::NotUtf8 { shown: folder.join(&name.to_string_lossy()).to_string() });
            };
            // Among outputs a repository is a folder like any other; weir's own is never one.
            let skipped = match self.manner {
                Manner::Sources => matches!(name, ".git" | ".weir"),
                Manner::Outputs => name == ".weir" && folder.is_root(),
            };
            if skipped {
                continue;
            }
            empty = false;
            self.entry(entry, folder, name, depth, all)?;
        }
        if empty && all && (self.manner == Manner::Outputs || folder == self.taken.prefix) {
            self.push_folder(folder)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        entry: &std::fs::DirEntry,
        folder: &WsPath,
        name: &str,
        depth: usize,
        all: bool,
    ) -> Result<(), InputError> {
        let path = folder.join(name);
        let kind = match entry.file_type() {
            Ok(kind) => kind,
            Err(error) if gone(&error) => return Ok(()),
            Err(error) => return Err(read_error(&path, &error)),
        };
        let matched = all || self.taken.matches(&path);
        let descend = matched
            || match self.steps.get(depth) {
                Some(Step::Name(matcher)) => depth + 1 < self.steps.len() && matcher.is_match(name),
                Some(Step::Any) => true,
                None => matches!(self.steps.last(), Some(Step::Any)),
            };
        if !(matched || descend && (kind.is_dir() || kind.is_symlink())) {
            return Ok(());
        }
        if self.honour && self.surveyor.rules.rule_on(&path, kind.is_dir()) {
            return Ok(());
        }
        if self.selection.leaves_out(&path) {
            return Ok(());
        }
        if kind.is_dir() {
            return self.folder(&path, depth + 1, matched);
        }
        let stat = match entry.metadata() {
            Ok(metadata) => Stat::of(&metadata),
            Err(error) if gone(&error) => return Ok(()),
            Err(error) => return Err(read_error(&path, &error)),
        };
        self.surveyor.note(&path, Some(&stat));
        if !kind.is_symlink() {
            self.out.push(Found { path, stat, what: What::File });
            Ok(())
        } else if matched {
            self.link(&path, stat)
        } else {
            self.behind(&path, depth + 1, false)
        }
    }

    fn push_folder(&mut self, folder: &WsPath) -> Result<(), InputError> {
        let metadata =
            std::fs::symlink_metadata(folder.under(&self.surveyor.root)).map_err(|error| read_error(folder, &error))?;
        self.out.push(Found { path: folder.clone(), stat: Stat::of(&metadata), what: What::EmptyFolder });
        Ok(())
    }

    fn link(&mut self, path: &WsPath, stat: Stat) -> Result<(), InputError> {
        if self.selection.leaves_out(path) {
            return Ok(());
        }
        self.out.push(Found { path: path.clone(), stat, what: What::Link });
        self.behind(path, usize::MAX - 1, true)
    }

    /// Lists the folder behind a symlink, if one is there and sources are being listed.
    fn behind(&mut self, path: &WsPath, depth: usize, all: bool) -> Result<(), InputError> {
        let root = &self.surveyor.root;
        let absolute = path.under(root);
        if self.manner == Manner::Sources {
            self.surveyor.note_look(path, true);
        }
        if self.manner == Manner::Outputs || !std::fs::metadata(&absolute).is_ok_and(|behind| behind.is_dir()) {
            return Ok(());
        }
        let fail = |error: io::Error| read_error(path, &error);
        let target = std::fs::canonicalize(&absolute).map_err(fail)?;
        let holder = path.parent().unwrap_or_default().under(root);
        let here = std::fs::canonicalize(holder).map_err(fail)?;
        self.hops.push(here);
        if self.hops.iter().any(|hop| hop.starts_with(&target)) {
            let target = std::fs::read_link(&absolute).map_err(fail)?.to_string_lossy().into_owned();
            return Err(InputError::Loop { path: path.clone(), target });
        }
        let done = self.folder(path, depth, all);
        self.hops.pop();
        done
    }
}

/// What differs between two readings of the same patterns, a line each. A file that was rewritten
/// counts even if its content is the same: a task in between may have read something else.
pub fn changes(before: &Sources, after: &Sources) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut a, mut b) = (before.0.iter().peekable(), after.0.iter().peekable());
    loop {
        match (a.peek(), b.peek()) {
            (None, None) => return lines,
            (Some(old), None) => {
                lines.push(format!("`{}` was removed", old.path));
                a.next();
            }
            (None, Some(new)) => {
                lines.push(format!("`{}` was added", new.path));
                b.next();
            }
            (Some(old), Some(new)) => match old.path.cmp(&new.path) {
                std::cmp::Ordering::Less => {
                    lines.push(format!("`{}` was removed", old.path));
                    a.next();
                }
                std::cmp::Ordering::Greater => {
                    lines.push(format!("`{}` was added", new.path));
                    b.next();
                }
                std::cmp::Ordering::Equal => {
                    let rewritten = old.kind != SourceKind::Folder
                        && (old.stat.mtime, old.stat.size, old.stat.ino)
                            != (new.stat.mtime, new.stat.size, new.stat.ino);
                    if old.kind != new.kind || old.stat.executable() != new.stat.executable() {
                        lines.push(format!("`{}` changed", new.path));
                    } else if rewritten {
                        lines.push(format!("`{}` was rewritten", new.path));
                    }
                    a.next();
                    b.next();
                }
            },
        }
    }
}
