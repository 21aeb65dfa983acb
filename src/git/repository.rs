//! One repository: where HEAD is, and what differs from a commit.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Why a question about a repository has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitError {
    /// git is not installed, or can't be started.
    Missing(String),
    /// The folder is in no repository.
    NoRepository,
    /// There is no such branch, tag or commit.
    NoRevision(String),
    /// The two have no common commit that is here.
    Unrelated(String, String),
    /// git said no.
    Failed {
        /// The command, without `git`.
        command: String,
        /// Its last line.
        said: String,
    },
}

impl std::fmt::Display for GitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(why) => write!(f, "failed to start git: {why}"),
            Self::NoRepository => f.write_str("this is no git repository"),
            Self::NoRevision(name) => write!(f, "there is no branch, tag or commit `{name}` here"),
            Self::Unrelated(a, b) => write!(f, "`{a}` and `{b}` have no common commit here"),
            Self::Failed { command, said } => write!(f, "`git {command}` failed: {said}"),
        }
    }
}

impl std::error::Error for GitError {}

/// Where HEAD is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// On a branch without a commit yet.
    Unborn(String),
    /// On a branch.
    Branch(String),
    /// On a commit.
    Detached,
}

/// How a path differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Only after.
    Added,
    /// Before and after, otherwise.
    Modified,
    /// Only before.
    Deleted,
}

/// A path that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Relative to the folder the repository was opened from. A path that is not UTF-8 has the
    /// replacement character in it.
    pub path: String,
    /// How.
    pub status: Status,
    /// It is a submodule on one of the sides.
    pub submodule: bool,
}

/// What git has by a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its full id.
    pub id: String,
    /// It is a file, and no commit or folder.
    pub is_file: bool,
    /// As git keeps it.
    pub content: Vec<u8>,
}

/// A repository, seen from a folder in it.
#[derive(Debug, Clone)]
pub struct Repository {
    folder: PathBuf,
}

impl Repository {
    /// The repository that `folder` is in.
    ///
    /// # Errors
    /// There is none, or no git.
    pub fn open(folder: &Path) -> Result<Self, GitError> {
        let repository = Self::around(folder);
        match repository.ask(&["rev-parse", "--is-inside-work-tree"]) {
            Ok(said) if said == "true" => Ok(repository),
            Ok(_) => Err(GitError::NoRepository),
            Err(GitError::Failed { said, .. }) if said.contains("dubious ownership") => {
                Err(GitError::Failed { command: "rev-parse".into(), said })
            }
            Err(GitError::Failed { .. }) => Err(GitError::NoRepository),
            Err(error) => Err(error),
        }
    }

    /// The repository that `folder` may be in: the first question shows whether it is.
    pub fn around(folder: &Path) -> Self {
        Self { folder: folder.to_path_buf() }
    }

    /// Where HEAD is.
    ///
    /// # Errors
    /// git can't tell.
    pub fn head(&self) -> Result<Head, GitError> {
        let branch = self.ask(&["symbolic-ref", "--quiet", "--short", "HEAD"]).ok();
        let born = self.commit("HEAD").is_ok();
        Ok(match (branch, born) {
            (Some(branch), true) => Head::Branch(branch),
            (Some(branch), false) => Head::Unborn(branch),
            (None, _) => Head::Detached,
        })
    }

    /// Whether history was cut off when it was cloned.
    pub fn is_shallow(&self) -> bool {
        self.ask(&["rev-parse", "--is-shallow-repository"]).is_ok_and(|said| said == "true")
    }

    /// A merge, rebase, cherry-pick or revert that is going on, by git's name for it.
    pub fn in_progress(&self) -> Option<&'static str> {
        let states = [
            ("MERGE_HEAD", "a merge"),
            ("rebase-merge", "a rebase"),
            ("rebase-apply", "a rebase"),
            ("CHERRY_PICK_HEAD", "a cherry-pick"),
            ("REVERT_HEAD", "a revert"),
        ];
        let arguments: Vec<&str> =
            ["rev-parse"].into_iter().chain(states.iter().flat_map(|(name, _)| ["--git-path", name])).collect();
        let paths = self.ask(&arguments).ok()?;
        let mut there = paths.lines().map(|path| self.folder.join(path).exists());
        states.iter().find(|_| there.next().unwrap_or_default()).map(|(_, what)| *what)
    }

    /// The full id of a commit.
    ///
    /// # Errors
    /// There is no such branch, tag or commit.
    pub fn commit(&self, revision: &str) -> Result<String, GitError> {
        let wanted = format!("{revision}^{{commit}}");
        self.ask(&["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted])
            .map_err(|error| or_no_revision(error, revision))
    }

    /// The commit that two lines of work parted at.
    ///
    /// # Errors
    /// One of them does not exist, or they have nothing in common here.
    pub fn merge_base(&self, a: &str, b: &str) -> Result<String, GitError> {
        let (from, to) = (self.commit(a)?, self.commit(b)?);
        self.parted(&from, &to).map_err(|error| match error {
            GitError::Failed { .. } => GitError::Unrelated(a.to_owned(), b.to_owned()),
            error => error,
        })
    }

    /// [`Repository::merge_base`] of two full ids.
    ///
    /// # Errors
    /// They have nothing in common here, or one of them is not here.
    pub fn parted(&self, a: &str, b: &str) -> Result<String, GitError> {
        self.ask(&["merge-base", a, b])
    }

    /// The first parent of a commit; none for a first commit, or where history was cut off.
    pub fn first_parent(&self, revision: &str) -> Option<String> {
        self.commit(&format!("{revision}^1")).ok()
    }

    /// Whether all commits of `ancestor` are in `of`.
    ///
    /// # Errors
    /// One of them does not exist.
    pub fn is_ancestor(&self, ancestor: &str, of: &str) -> Result<bool, GitError> {
        let (ancestor, of) = (self.commit(ancestor)?, self.commit(of)?);
        let output = self.run(&["merge-base", "--is-ancestor", &ancestor, &of], None)?;
        match output.status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(failed(&["merge-base", "--is-ancestor"], &output)),
        }
    }

    /// The merge commits in `since..HEAD`, each with its first line, newest first.
    ///
    /// # Errors
    /// There is no such revision.
    pub fn merges_since(&self, since: &str) -> Result<Vec<String>, GitError> {
        let range = format!("{}..HEAD", self.commit(since)?);
        let said = self.ask(&["log", "--merges", "--format=%h %s", &range])?;
        Ok(said.lines().map(str::to_owned).collect())
    }

    /// The branches, local or remote, that contain HEAD.
    ///
    /// # Errors
    /// git can't tell.
    pub fn branches_at_head(&self) -> Result<Vec<String>, GitError> {
        let said = self.ask(&[
            "for-each-ref",
            "--contains",
            "HEAD",
            "--format=%(refname:short)",
            "refs/heads",
            "refs/remotes",
        ])?;
        Ok(said.lines().map(str::to_owned).collect())
    }

    /// What differs between a commit and what is there now: commits since, staged, unstaged and untracked work.
    /// `staged`: and the index instead. Sorted by path; a rename is a deletion and an addition.
    ///
    /// # Errors
    /// There is no such commit.
    pub fn changes(&self, since: &str, staged: bool) -> Result<Vec<Change>, GitError> {
        let since = self.commit(since)?;
        if staged {
            return self.in_index(&since);
        }
        let changes = std::thread::scope(|scope| {
            // Each of the two looks at every file there is.
            let untracked = scope.spawn(|| self.bytes(&["ls-files", "-z", "--others", "--exclude-standard"]));
            let tracked = self.tracked_changes(&since);
            let untracked =
                untracked.join().unwrap_or_else(|_| Err(GitError::Missing("its thread broke off".into())))?;
            Ok::<_, GitError>((tracked?, untracked))
        });
        let (mut changes, untracked) = changes?;
        changes.extend(names(&untracked).map(|path| Change { path, status: Status::Added, submodule: false }));
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        changes.dedup_by(|later, first| {
            let same = later.path == first.path;
            // Deleted from the index, and there untracked.
            if same && later.status != first.status {
                first.status = Status::Modified;
            }
            same
        });
        Ok(changes)
    }

    /// What differs between a commit and the index.
    fn in_index(&self, since: &str) -> Result<Vec<Change>, GitError> {
        let options =
            ["diff-index", "--cached", "--raw", "-z", "--no-renames", "--relative", "--ignore-submodules=none"];
        let arguments: Vec<&str> = options.into_iter().chain([since]).collect();
        let mut changes = raw_changes(&self.bytes(&arguments)?);
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(changes)
    }

    /// What differs in tracked files between a commit and the working tree: from the commit to the index, where no file
    /// is looked at, and from the index on, where `git diff` leaves out what was only touched.
    fn tracked_changes(&self, since: &str) -> Result<Vec<Change>, GitError> {
        let options =
            ["diff", "--raw", "-z", "--no-renames", "--no-ext-diff", "--relative", "--ignore-submodules=none"];
        let work = raw_changes(&self.bytes(&options)?);
        let index = self.in_index(since)?;
        let before: std::collections::BTreeSet<&str> = index.iter().map(|change| change.path.as_str()).collect();
        let (twice, once): (Vec<Change>, Vec<Change>) =
            work.into_iter().partition(|change| before.contains(change.path.as_str()));
        let twice: Vec<String> = twice.into_iter().map(|change| change.path).collect();
        let mut changes: Vec<Change> =
            index.into_iter().filter(|change| twice.binary_search(&change.path).is_err()).chain(once).collect();
        // What was staged and changed again may be back where it was: few enough to be looked at one by one.
        for part in twice.chunks(256) {
            let options = ["diff-index", "--raw", "-z", "--no-renames", "--relative", "--ignore-submodules=none"];
            let paths = part.iter().map(String::as_str);
            let arguments: Vec<&str> = options.into_iter().chain([since, "--"]).chain(paths).collect();
            changes.extend(raw_changes(&self.literally(&arguments)?));
        }
        Ok(changes)
    }

    /// Runs git with paths that mean nothing but themselves.
    fn literally(&self, arguments: &[&str]) -> Result<Vec<u8>, GitError> {
        let all: Vec<&str> = ["--literal-pathspecs"].into_iter().chain(arguments.iter().copied()).collect();
        self.bytes(&all)
    }

    /// The contents of files at a commit (or, with an empty revision, in the index), none for those that are not
    /// there; in the order asked for. Paths are relative to the folder.
    ///
    /// # Errors
    /// git can't read them.
    pub fn contents(&self, revision: &str, paths: &[&str]) -> Result<Vec<Option<Vec<u8>>>, GitError> {
        let names: Vec<String> = paths.iter().map(|path| format!("{revision}:./{path}")).collect();
        let objects = self.objects(&names)?;
        Ok(objects
            .into_iter()
            .map(|found| found.filter(|object| object.is_file).map(|object| object.content))
            .collect())
    }

    /// What git has by these names (`gitrevisions(7)`), none for those it has nothing by; in the order asked for, by one process.
    ///
    /// # Errors
    /// git can't read them, or there is no repository.
    pub fn objects(&self, names: &[String]) -> Result<Vec<Option<Object>>, GitError> {
        if names.is_empty() {
            return Ok(vec![]);
        }
        let mut asked = Vec::new();
        for name in names {
            // A line break would end the question.
            if name.contains('\n') {
                return Err(GitError::Failed {
                    command: "cat-file".into(),
                    said: format!("`{}` has a line break in its name", name.escape_debug()),
                });
            }
            asked.extend_from_slice(format!("{name}\n").as_bytes());
        }
        let arguments = ["cat-file", "--batch"];
        let output = self.run(&arguments, Some(asked))?;
        if !output.status.success() {
            return Err(failed(&arguments, &output));
        }
        let mut rest = &output.stdout[..];
        let mut all = Vec::with_capacity(names.len());
        for _ in names {
            let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            let head = String::from_utf8_lossy(&rest[..end]).into_owned();
            rest = rest.get(end + 1..).unwrap_or_default();
            let mut words = head.rsplit(' ');
            let (size, kind) = (words.next().and_then(|size| size.parse::<usize>().ok()), words.next());
            match (size, kind, words.next()) {
                (Some(size), Some(kind @ ("blob" | "commit" | "tree" | "tag")), Some(id)) => {
                    let content = rest.get(..size).unwrap_or_default().to_vec();
                    all.push(Some(Object { id: id.to_owned(), is_file: kind == "blob", content }));
                    rest = rest.get(size + 1..).unwrap_or_default();
                }
                // `… missing`, or a submodule, whose commit is elsewhere.
                _ => all.push(None),
            }
        }
        Ok(all)
    }

    /// The files of a commit below the folder.
    ///
    /// # Errors
    /// There is no such commit.
    pub fn files_at(&self, revision: &str) -> Result<Vec<String>, GitError> {
        let commit = self.commit(revision)?;
        Ok(names(&self.bytes(&["ls-tree", "-r", "-z", "--name-only", &commit])?).collect())
    }

    /// What differs from a commit, as `git diff` writes it: untracked files too, and renames as what they are made of.
    /// `staged`: in the index instead.
    ///
    /// # Errors
    /// There is no such commit.
    pub fn diff(&self, since: &str, staged: bool) -> Result<Vec<u8>, GitError> {
        let since = self.commit(since)?;
        let plain = ["diff", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--relative"];
        let prefixes = ["--src-prefix=a/", "--dst-prefix=b/"];
        let mut arguments: Vec<&str> = plain.into_iter().chain(prefixes).collect();
        if staged {
            arguments.push("--cached");
        }
        arguments.push(&since);
        let mut all = self.bytes(&arguments)?;
        if !staged {
            let untracked = self.bytes(&["ls-files", "-z", "--others", "--exclude-standard"])?;
            for path in names(&untracked) {
                let arguments = ["diff", "--no-color", "--no-ext-diff", "--no-index", "--", "/dev/null", &path];
                // It says 1 where there is a difference.
                all.extend(self.run(&arguments, None)?.stdout);
            }
        }
        Ok(all)
    }

    fn run(&self, arguments: &[&str], input: Option<Vec<u8>>) -> Result<Output, GitError> {
        let missing = |error: std::io::Error| GitError::Missing(error.to_string());
        let mut child = Command::new("git")
            .args(["-c", "core.quotepath=off"])
            .args(arguments)
            .current_dir(&self.folder)
            // What a person's git prints in another language can't be read.
            .env("LC_ALL", "C")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(missing)?;
        let writer = input.zip(child.stdin.take()).map(|(input, mut pipe)| {
            // In a thread: git answers while it is still being asked.
            std::thread::spawn(move || pipe.write_all(&input))
        });
        let output = child.wait_with_output().map_err(missing)?;
        if let Some(writer) = writer {
            let _ = writer.join();
        }
        Ok(output)
    }

    fn bytes(&self, arguments: &[&str]) -> Result<Vec<u8>, GitError> {
        let output = self.run(arguments, None)?;
        if output.status.success() { Ok(output.stdout) } else { Err(failed(arguments, &output)) }
    }

    fn ask(&self, arguments: &[&str]) -> Result<String, GitError> {
        Ok(String::from_utf8_lossy(&self.bytes(arguments)?).trim_end().to_owned())
    }
}

fn or_no_revision(error: GitError, revision: &str) -> GitError {
    match error {
        GitError::Failed { .. } => GitError::NoRevision(revision.to_owned()),
        other => other,
    }
}

fn failed(arguments: &[&str], output: &Output) -> GitError {
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned();
    GitError::Failed { command: arguments.join(" "), said }
}

fn names(bytes: &[u8]) -> impl Iterator<Item = String> + '_ {
    bytes
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| String::from_utf8_lossy(name).into_owned())
}

/// `:100644 100644 BLOB BLOB M\0path\0`, again and again.
fn raw_changes(bytes: &[u8]) -> Vec<Change> {
    let mut fields = names(bytes);
    let mut changes = Vec::new();
    while let (Some(head), Some(path)) = (fields.next(), fields.next()) {
        let words: Vec<&str> = head.trim_start_matches(':').split(' ').collect();
        let status = match words.last().and_then(|word| word.chars().next()) {
            Some('A') => Status::Added,
            Some('D') => Status::Deleted,
            _ => Status::Modified,
        };
        let submodule = words.iter().take(2).any(|mode| *mode == "160000");
        changes.push(Change { path, status, submodule });
    }
    changes
}
