//! `check.drift`: generated files are what their generator makes. The generator runs in a scratch copy; the
//! working tree is never written. Or their digests are those in a lock file.

use super::frame::{Check, found, listed, say};
use crate::command::execute_within;
use crate::config::{Located, Pattern, Task, With};
use crate::fingerprint::{InputError, Memo, Surveyor, digest_file};
use crate::model::{FailReason, WsPath, counted};
use crate::node::{Context, Output, Pending};
use crate::process::Command;
use similar::TextDiff;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many lines of a diff are shown for each file.
const DIFF_LINES: usize = 60;

/// Generated files are what their generator makes.
pub struct Drift {
    command: Option<String>,
    outputs: Vec<Located<Pattern>>,
    lock: Option<WsPath>,
    /// What is there of the outputs is removed from the copy first.
    clean: bool,
    shell: Vec<String>,
    env: BTreeMap<String, String>,
    folder: WsPath,
    timeout: Duration,
}

impl Drift {
    /// Of its parameters.
    pub fn new(task: &Task, with: &With, timeout: Duration) -> Self {
        Self {
            command: with.check.command.as_ref().map(|command| command.value.clone()),
            outputs: with.check.outputs.clone(),
            lock: with.check.lock.as_ref().map(|lock| lock.value.clone()),
            clean: with.check.clean.unwrap_or(true),
            shell: task.shell.clone(),
            env: task.env.clone(),
            folder: task.folder.clone(),
            timeout: task.timeout.unwrap_or(timeout),
        }
    }

    fn patterns(&self) -> Vec<Pattern> {
        self.outputs.iter().map(|pattern| pattern.value.clone()).collect()
    }

    /// Runs the generator in a copy, and compares.
    async fn generate(&self, text: &str, context: &Context, output: &mut dyn Output) -> Result<(), FailReason> {
        let failed = |what: &str, error: &std::io::Error| FailReason::Node {
            message: format!("failed to {what}: {error}"),
            help: None,
        };
        let copy = tempfile::Builder::new()
            .prefix("weir-drift-")
            .tempdir()
            .map_err(|error| failed("make a folder for a copy", &error))?;
        copy_tree(&context.root, copy.path()).map_err(|error| failed("copy the workspace", &error))?;
        if self.clean {
            for path in self.made(copy.path())? {
                std::fs::remove_file(path.under(copy.path())).map_err(|error| failed("clean the copy", &error))?;
            }
        }
        let mut words = self.shell.iter().map(OsString::from);
        let mut command = Command::new(words.next().unwrap_or_else(|| "sh".into()), self.folder.under(copy.path()));
        command.args = words.chain([OsString::from(text)]).collect();
        let mut env: BTreeMap<OsString, OsString> =
            context.outside.vars.iter().map(|(name, value)| (name.into(), value.clone())).collect();
        env.extend(self.env.iter().map(|(name, value)| (name.into(), value.into())));
        command.env = env.into_iter().collect();
        execute_within(context, command, self.timeout, output)
            .await
            .map_err(|error| FailReason::Start { message: error.to_string() })??;
        let (here, there) = (self.made(&context.root)?, self.made(copy.path())?);
        if there.is_empty() {
            return Err(found(
                format!("the generator made nothing that {} names", listed(&self.outputs)),
                "correct `outputs`, or the generator",
            ));
        }
        let mut differing = 0;
        for path in here.union(&there) {
            let (before, after) = (content(&context.root, path), content(copy.path(), path));
            if before != after {
                differing += 1;
                show(output, path, before.as_ref(), after.as_ref());
            }
        }
        if differing == 0 {
            say(output, &format!("{}, all as the generator makes them", counted(there.len(), "file")));
            return Ok(());
        }
        Err(found(
            format!("{} from what the generator makes", differ(differing)),
            &format!("run the generator and commit what it makes: `{text}`"),
        ))
    }

    fn made(&self, root: &Path) -> Result<BTreeSet<WsPath>, FailReason> {
        let surveyor = Surveyor::new(root, Memo::default());
        let (found, _) = surveyor.outputs(&self.patterns()).map_err(|error| unreadable(&error))?;
        Ok(found.into_iter().map(|found| found.path).filter(|path| !path.under(root).is_dir()).collect())
    }

    /// Compares digests with those in the lock file.
    fn compare(&self, lock: &WsPath, context: &Context, output: &mut dyn Output) -> Result<(), FailReason> {
        let help = "whoever owns the generator runs it and commits the files together with the lock file";
        let text = std::fs::read_to_string(lock.under(&context.root))
            .map_err(|error| found(format!("failed to read `{lock}`: {error}"), help))?;
        let folder = lock.parent().unwrap_or_default();
        let mut locked = BTreeSet::new();
        let mut wrong = Vec::new();
        for (number, line) in
            text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'))
        {
            // `sha256sum` puts two blanks, or a blank and a `*`, between them.
            let parts = line.split_once(' ').map(|(digest, path)| (digest, path.trim_start_matches([' ', '*'])));
            let Some((digest, path)) = parts.filter(|(digest, path)| is_digest(digest) && !path.is_empty()) else {
                return Err(found(
                    format!("`{lock}:{}` is no digest and path", number + 1),
                    "write it with `sha256sum`",
                ));
            };
            let Ok(path) = WsPath::resolve(&folder, path) else {
                return Err(found(format!("`{lock}:{}` names a path outside the workspace", number + 1), help));
            };
            match digest_file(&path.under(&context.root)) {
                Ok(reading) if reading.digest.to_hex() == digest.to_ascii_lowercase() => {}
                Ok(_) => wrong.push(format!("{path}: is not what the lock file says")),
                Err(error) => wrong.push(format!("{path}: failed to read it: {error}")),
            }
            locked.insert(path);
        }
        if locked.is_empty() {
            return Err(found(format!("`{lock}` names no file"), help));
        }
        for path in self.made(&context.root)?.difference(&locked) {
            wrong.push(format!("{path}: is not in the lock file"));
        }
        if wrong.is_empty() {
            say(output, &format!("{}, all as the lock file says", counted(locked.len(), "file")));
            return Ok(());
        }
        wrong.iter().for_each(|line| say(output, line));
        Err(found(format!("{} from `{lock}`", differ(wrong.len())), help))
    }
}

/// `1 file differs`, `2 files differ`.
fn differ(number: usize) -> String {
    if number == 1 { "1 file differs".to_owned() } else { format!("{number} files differ") }
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn unreadable(error: &InputError) -> FailReason {
    FailReason::Inputs { message: error.to_string(), help: Some(error.help()) }
}

/// What a path holds: a link's target, a file's bytes and whether it may be executed; none where there is nothing.
fn content(root: &Path, path: &WsPath) -> Option<(Vec<u8>, bool)> {
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::PermissionsExt;
    let full = path.under(root);
    let metadata = std::fs::symlink_metadata(&full).ok()?;
    if metadata.is_symlink() {
        return Some((std::fs::read_link(&full).ok()?.into_os_string().into_vec(), false));
    }
    Some((std::fs::read(&full).ok()?, metadata.permissions().mode() & 0o111 != 0))
}

/// The difference, as a person reads it.
fn show(output: &mut dyn Output, path: &WsPath, before: Option<&(Vec<u8>, bool)>, after: Option<&(Vec<u8>, bool)>) {
    let (before, after) = match (before, after) {
        (None, _) => return say(output, &format!("{path}: is missing; the generator makes it")),
        (_, None) => return say(output, &format!("{path}: is there; the generator does not make it")),
        (Some(before), Some(after)) => (before, after),
    };
    if before.0 == after.0 {
        let wanted = if after.1 { "has" } else { "has no" };
        return say(output, &format!("{path}: the generator's {wanted} run bit"));
    }
    let (Ok(old), Ok(new)) = (std::str::from_utf8(&before.0), std::str::from_utf8(&after.0)) else {
        return say(output, &format!("{path}: differs, and is no text"));
    };
    let diff = TextDiff::from_lines(old, new);
    let name = path.as_str();
    let text = diff.unified_diff().header(&format!("{name} (committed)"), &format!("{name} (generated)")).to_string();
    let lines: Vec<&str> = text.lines().collect();
    lines.iter().take(DIFF_LINES).for_each(|line| say(output, line));
    if lines.len() > DIFF_LINES {
        say(output, &format!("… {} more lines", lines.len() - DIFF_LINES));
    }
}

/// Copies what a clone with the work so far would hold: everything but what is ignored, `.git` and `.weir`.
fn copy_tree(root: &Path, copy: &Path) -> std::io::Result<()> {
    let everything = Pattern::parse(&WsPath::root(), ".").map_err(|_| std::io::Error::other("no pattern"))?;
    let surveyor = Surveyor::new(root, Memo::default());
    let paths = surveyor.select(&[everything]).map_err(|error| std::io::Error::other(error.to_string()))?;
    let mut made: BTreeSet<PathBuf> = BTreeSet::new();
    for path in paths {
        let (from, to) = (path.under(root), path.under(copy));
        if let Some(parent) = to.parent()
            && made.insert(parent.to_path_buf())
        {
            std::fs::create_dir_all(parent)?;
        }
        let metadata = std::fs::symlink_metadata(&from)?;
        if metadata.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(&from)?, &to)?;
        } else if metadata.is_dir() {
            std::fs::create_dir_all(&to)?;
        } else if metadata.is_file() {
            std::fs::copy(&from, &to)?;
        }
    }
    Ok(())
}

impl Check for Drift {
    fn run<'a>(&'a self, context: &'a Context, output: &'a mut dyn Output) -> Pending<'a, Result<(), FailReason>> {
        Box::pin(async move {
            match (&self.command, &self.lock) {
                (Some(text), _) => self.generate(text, context, output).await,
                (None, Some(lock)) => self.compare(lock, context, output),
                (None, None) => Ok(()),
            }
        })
    }
}
