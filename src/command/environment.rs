//! The environment of a task: strict where its results are recorded, open where they are not.

use crate::config::Task;
use crate::model::{FailReason, KeySink, KeyValue, PartKind, WsPath, lossless};
use crate::node::Outside;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Seen by every task, and in no key.
const UNKEYED: [&str; 24] = [
    "PATH",
    "HOME",
    "USER",
    "TMPDIR",
    "TERM",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "SSH_AUTH_SOCK",
    "SSL_CERT_*",
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "WEIR_TASK",
    "WEIR_RUN_ID",
    "WEIR_WORKSPACE",
    "WEIR_SCRATCH",
    "WEIR_SOAK_ITERATION",
];

/// Seen by every task, and in every key.
const KEYED: [&str; 3] = ["LANG", "LC_*", "TZ"];

/// What a task declares of its environment.
#[derive(Debug)]
pub struct Declared {
    /// Set: global, the file's, the task's, the edge's.
    set: BTreeMap<String, String>,
    env_file: Vec<WsPath>,
    path: Vec<WsPath>,
    /// Taken from outside and keyed.
    inputs: Vec<String>,
    /// Taken from outside, not keyed.
    pass_through: Vec<String>,
    redact: Vec<String>,
    /// Nothing is hidden from it.
    open: bool,
}

impl Declared {
    /// Of a task, with what an edge and its arguments add.
    pub fn new(task: &Task, edge: &BTreeMap<String, String>, arguments: &[(String, String)], open: bool) -> Self {
        let mut set = task.env.clone();
        set.extend(edge.clone());
        set.extend(
            arguments
                .iter()
                .map(|(name, value)| (format!("WEIR_ARG_{}", name.replace('-', "_").to_uppercase()), value.clone())),
        );
        Self {
            set,
            env_file: task.env_file.iter().map(|file| file.value.clone()).collect(),
            path: task.path.clone(),
            inputs: task
                .env_inputs
                .iter()
                .cloned()
                .chain(task.env_required.iter().map(|name| name.value.clone()))
                .collect(),
            pass_through: task.pass_through.clone(),
            redact: task.redact.clone(),
            open,
        }
    }

    /// The whole environment of a process.
    ///
    /// # Errors
    /// An `env_file` can't be read.
    pub fn build<'o>(
        &self,
        root: &Path,
        outside: &Outside,
        own: impl IntoIterator<Item = (&'o str, OsString)>,
    ) -> Result<Vec<(OsString, OsString)>, FailReason> {
        let mut env: BTreeMap<String, OsString> = BTreeMap::new();
        if self.open {
            env.extend(outside.vars.clone());
        } else {
            let seen = UNKEYED.iter().chain(&KEYED).copied().chain(self.pass_through.iter().map(String::as_str));
            for name in seen {
                env.extend(outside.matching(name).map(|(name, value)| (name.clone(), value.clone())));
            }
        }
        for (name, value) in self.of_files(root)? {
            env.insert(name, value.into());
        }
        env.extend(self.set.iter().map(|(name, value)| (name.clone(), value.into())));
        for name in &self.inputs {
            env.extend(outside.matching(name).map(|(name, value)| (name.clone(), value.clone())));
        }
        env.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
        if !self.path.is_empty() {
            let mut folders: Vec<PathBuf> = self.path.iter().map(|folder| folder.under(root)).collect();
            if let Some(path) = env.get("PATH") {
                folders.extend(std::env::split_paths(path));
            }
            let joined = std::env::join_paths(folders).map_err(|error| FailReason::Start {
                message: format!("a folder of `path` can't stand in PATH: {error}"),
            })?;
            env.insert("PATH".into(), joined);
        }
        Ok(env.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }

    /// What of it another machine is given: what is in the key. What this machine alone knows (its PATH and HOME, its proxies)
    /// stays here, and so do the folders of `path`, which are elsewhere there.
    ///
    /// # Errors
    /// An `env_file` can't be read, or a value is not UTF-8.
    pub fn build_for_elsewhere<'o>(
        &self,
        root: &Path,
        outside: &Outside,
        own: impl IntoIterator<Item = (&'o str, String)>,
    ) -> Result<BTreeMap<String, String>, FailReason> {
        let mut env: BTreeMap<String, String> = BTreeMap::new();
        let take = |declared: &str, env: &mut BTreeMap<String, String>| -> Result<(), FailReason> {
            for (name, value) in outside.matching(declared) {
                let value = value.to_str().ok_or_else(|| FailReason::Inputs {
                    message: format!("the value of `{name}` is not UTF-8, and can't be sent elsewhere"),
                    help: Some("`execute = false` runs the task here".into()),
                })?;
                env.insert(name.clone(), value.to_owned());
            }
            Ok(())
        };
        for name in KEYED {
            take(name, &mut env)?;
        }
        env.extend(self.of_files(root)?);
        env.extend(self.set.clone());
        for name in &self.inputs {
            take(name, &mut env)?;
        }
        env.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
        Ok(env)
    }

    /// The PATH of [`Declared::build`]; none where an `env_file` can't be read.
    pub fn search_path<'a>(&self, root: &Path, outside: &'a Outside) -> Option<Cow<'a, OsStr>> {
        if self.env_file.is_empty() && self.path.is_empty() && !self.set.contains_key("PATH") {
            // Nothing of the task's own stands in the way.
            return outside.vars.get("PATH").map(|path| Cow::Borrowed(path.as_os_str()));
        }
        let own = ["WEIR_TASK", "WEIR_RUN_ID", "WEIR_WORKSPACE"].map(|name| (name, OsString::new()));
        let env = self.build(root, outside, own).ok()?;
        env.into_iter().find(|(name, _)| name == "PATH").map(|(_, path)| Cow::Owned(path))
    }

    fn of_files(&self, root: &Path) -> Result<Vec<(String, String)>, FailReason> {
        let mut all = Vec::new();
        for file in &self.env_file {
            all.extend(variables_of(root, file)?);
        }
        Ok(all)
    }

    /// Writes the declared variables to a key.
    ///
    /// # Errors
    /// An `env_file` can't be read.
    pub fn define(&self, root: &Path, outside: &Outside, sink: &mut dyn KeySink) -> Result<(), FailReason> {
        // In the order of `build`: what comes later wins.
        let mut keyed: BTreeMap<String, Option<(String, bool)>> = BTreeMap::new();
        let taken = |declared: &str, keyed: &mut BTreeMap<String, Option<(String, bool)>>| {
            for (name, value) in outside.matching(declared) {
                keyed.insert(name.clone(), Some((lossless(value), self.is_secret(name))));
            }
        };
        for name in KEYED {
            taken(name, &mut keyed);
        }
        for (name, value) in self.of_files(root)? {
            keyed.insert(name, Some((value, true)));
        }
        for (name, value) in &self.set {
            keyed.insert(name.clone(), Some((value.clone(), self.is_secret(name))));
        }
        for declared in &self.inputs {
            taken(declared, &mut keyed);
            if !declared.ends_with('*') {
                keyed.entry(declared.clone()).or_insert(None);
            }
        }
        for (name, value) in &keyed {
            let value = match value {
                None => KeyValue::Absent,
                Some((value, true)) => KeyValue::Secret(value),
                Some((value, false)) => KeyValue::Text(value),
            };
            sink.part(PartKind::Env, name, value);
        }
        if !self.path.is_empty() {
            let path: Vec<&str> = self.path.iter().map(WsPath::as_str).collect();
            sink.part(PartKind::Definition, "path", KeyValue::Text(&path.join(":")));
        }
        if !self.pass_through.is_empty() {
            sink.part(PartKind::Definition, "pass_through", KeyValue::Text(&self.pass_through.join(" ")));
        }
        Ok(())
    }

    /// The variables outside that all of the above depends on; none where files of variables do too.
    /// HOME, because PATH may hold a `~`.
    pub fn rests_on(&self) -> Option<Vec<&str>> {
        let listed = self.inputs.iter().chain(&self.redact).map(String::as_str);
        self.env_file.is_empty().then(|| ["PATH", "HOME"].into_iter().chain(KEYED).chain(listed).collect())
    }

    fn is_secret(&self, name: &str) -> bool {
        self.redact.iter().any(|declared| match declared.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => declared == name,
        })
    }

    /// The values that no byte leaving weir may hold. Of an `env_file` those of three characters
    /// and fewer stay: masking every `1` would hide all and protect nothing.
    pub fn secrets(&self, root: &Path, outside: &Outside) -> Vec<String> {
        let files = self.of_files(root).unwrap_or_default();
        let mut secrets: Vec<String> = Vec::new();
        for declared in &self.redact {
            secrets.extend(outside.matching(declared).map(|(_, value)| value.to_string_lossy().into_owned()));
        }
        secrets.extend(self.set.iter().filter(|(name, _)| self.is_secret(name)).map(|(_, value)| value.clone()));
        secrets.extend(
            files.into_iter().filter(|(name, value)| value.chars().count() > 3 || self.is_secret(name)).map(|(_, v)| v),
        );
        secrets
    }

    /// Whether a process sees a variable of this name.
    pub fn sees(&self, root: &Path, name: &str) -> bool {
        let declared = UNKEYED.iter().chain(&KEYED).copied();
        let listed = self.inputs.iter().chain(&self.pass_through).map(String::as_str);
        self.open
            || self.set.contains_key(name)
            || declared.chain(listed).any(|known| match known.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix),
                None => known == name,
            })
            || self.of_files(root).is_ok_and(|all| all.iter().any(|(known, _)| known == name))
    }
}

/// The variables in an `env_file`.
///
/// # Errors
/// It can't be read, or has a line that is none.
pub fn variables_of(root: &Path, file: &WsPath) -> Result<Vec<(String, String)>, FailReason> {
    let fail = |error: dotenvy::Error| FailReason::Inputs {
        message: format!("failed to read `env_file` `{file}`: {}", error_text(&error)),
        help: Some("write a line `NAME=value` for each variable".into()),
    };
    let entries = dotenvy::from_path_iter(file.under(root)).map_err(fail)?;
    entries.map(|entry| entry.map_err(fail)).collect()
}

fn error_text(error: &dotenvy::Error) -> String {
    match error {
        // The line may hold a secret.
        dotenvy::Error::LineParse(..) => "one of its lines is no `NAME=value`".into(),
        dotenvy::Error::Io(error) if error.kind() == std::io::ErrorKind::NotFound => "there is no such file".into(),
        _ => "it can't be read".into(),
    }
}
