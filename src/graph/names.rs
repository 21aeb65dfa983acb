//! From names as written to tasks: local names, `//root` names, aliases, globs.

use super::resolve::TaskIndex;
use crate::config::{At, Config, Diagnostic, did_you_mean};
use crate::model::WsPath;
use rustc_hash::FxHashMap;

/// Every name and alias of a configuration.
#[derive(Debug)]
pub struct Names {
    by_name: FxHashMap<String, TaskIndex>,
    aliases: FxHashMap<String, TaskIndex>,
    /// Full names, in the order of the tasks.
    full: Vec<String>,
    manual: Vec<bool>,
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// One task.
    One(TaskIndex),
    /// All tasks that a glob matches; may be none.
    Many(Vec<TaskIndex>),
    /// Nothing.
    Unknown,
}

/// `name` as seen from the root: with its folder in front.
pub fn qualified(folder: &WsPath, name: &str) -> String {
    if folder.is_root() { name.to_owned() } else { format!("{folder}:{name}") }
}

fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

impl Names {
    /// Collects the names; an alias used twice, or equal to a task's name, is a diagnostic.
    pub fn new(config: &Config, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let mut names = Self {
            by_name: FxHashMap::default(),
            aliases: FxHashMap::default(),
            full: config.tasks.iter().map(|task| task.name.as_str().to_owned()).collect(),
            manual: config.tasks.iter().map(|task| task.manual.is_some()).collect(),
        };
        for (index, name) in names.full.iter().enumerate() {
            names.by_name.entry(name.clone()).or_insert(index);
        }
        let mut seen: FxHashMap<String, (usize, At)> = FxHashMap::default();
        for (index, task) in config.tasks.iter().enumerate() {
            for alias in &task.aliases {
                let full = qualified(&task.folder, &alias.value);
                if let Some(&other) = names.by_name.get(&full) {
                    diagnostics.push(
                        Diagnostic::error("graph::alias", alias.at, format!("alias `{full}` is the name of a task"))
                            .also(config.tasks[other].at, "the task")
                            .help("choose another alias"),
                    );
                } else if let Some((other, at)) = seen.get(&full) {
                    diagnostics.push(
                        Diagnostic::error("graph::alias", alias.at, format!("alias `{full}` is used twice"))
                            .also(*at, format!("also of `{}`", config.tasks[*other].name))
                            .help("give one of them another alias"),
                    );
                } else {
                    seen.insert(full.clone(), (index, alias.at));
                    names.aliases.insert(full, index);
                }
            }
        }
        names
    }

    fn exact(&self, full: &str) -> Option<TaskIndex> {
        self.by_name.get(full).or_else(|| self.aliases.get(full)).copied()
    }

    /// What `text`, written in a file of `folder`, stands for: `//name` is the root's, otherwise
    /// the folder's own name wins. A glob leaves out manual tasks.
    pub fn look_up(&self, folder: &WsPath, text: &str) -> Lookup {
        let (folder, text) = match text.strip_prefix("//") {
            Some(rest) => (&WsPath::root(), rest),
            None => (folder, text),
        };
        let local = qualified(folder, text);
        if !is_glob(text) {
            return self.exact(&local).or_else(|| self.exact(text)).map_or(Lookup::Unknown, Lookup::One);
        }
        let matching = |glob: &str| -> Vec<TaskIndex> {
            let Ok(glob) = globset::GlobBuilder::new(glob).literal_separator(false).build() else {
                return vec![];
            };
            let glob = glob.compile_matcher();
            (0..self.full.len()).filter(|index| !self.manual[*index] && glob.is_match(&self.full[*index])).collect()
        };
        let found = matching(&local);
        Lookup::Many(if found.is_empty() && !folder.is_root() { matching(text) } else { found })
    }

    /// The full name most like `text`.
    pub fn like(&self, folder: &WsPath, text: &str) -> Option<&str> {
        let text = text.strip_prefix("//").unwrap_or(text);
        let all = || self.full.iter().chain(self.aliases.keys()).map(String::as_str);
        did_you_mean(&qualified(folder, text), all()).or_else(|| did_you_mean(text, all()))
    }
}
