//! The root's file and all it includes → a [`Config`] and everything wrong with it.

use super::diagnostic::{At, Diagnostic, FileId, Located, Severity, did_you_mean};
use super::include::{Included, resolve};
use super::looked::Looked;
use super::parts::{Inherited, RootParts, read_parts};
use super::text::{drop_followers, parse, read_text};
use super::values::Reader;
use super::{Config, SourceFile};
use crate::model::{TaskName, WsPath};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use toml::de::DeTable;

/// A configuration and what is wrong with it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What could be read, complete if there are no errors. Its first file is always the root's,
    /// with an empty text if it can't be read.
    pub config: Config,
    /// Sorted by file, then by position; those without a place come first.
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    /// Whether nothing may run.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

/// Reads `root_file` (an absolute path) and all it includes, with these profiles in force, weakest
/// first. Never fails: what is wrong is in the list, and what could be read is in the configuration.
pub fn load(root_file: &Path, profiles: &[String], looked: &Looked) -> Loaded {
    load_with(root_file, profiles, looked, None)
}

/// The same of a text that is not in `root_file` yet.
pub fn load_text(root_file: &Path, text: &str, profiles: &[String]) -> Loaded {
    load_with(root_file, profiles, &Looked::default(), Some(text))
}

fn load_with(root_file: &Path, profiles: &[String], looked: &Looked, given: Option<&str>) -> Loaded {
    let root = root_file.parent().unwrap_or(Path::new("/"));
    let name = root_file.file_name().and_then(|name| name.to_str()).unwrap_or(super::text::FILE_NAME);
    let mut loader = Loader {
        root,
        looked,
        profiles,
        files: vec![],
        tasks: vec![],
        root_parts: RootParts::default(),
        known_profiles: BTreeSet::from(["ci".to_owned(), "local".to_owned()]),
        included_at: FxHashMap::default(),
        names: FxHashMap::default(),
        diagnostics: vec![],
    };
    let path = WsPath::from_clean(name);
    let read = given.map_or_else(|| read_text(root_file, name, looked), |text| Ok(text.to_owned()));
    match read {
        Ok(text) => loader.file(text, path, &mut vec![], &Inherited::default()),
        Err(why) => {
            loader.files.push(SourceFile { path, text: Arc::from("") });
            let mut diagnostic = without_place(why.code, why.message);
            diagnostic.help = Some(why.help.to_owned());
            loader.diagnostics.push(diagnostic);
        }
    }
    loader.check_profiles();
    loader.finish()
}

/// An error about something that has no text.
fn without_place(code: &'static str, message: String) -> Diagnostic {
    Diagnostic { code, severity: Severity::Error, message, labels: vec![], help: None }
}

struct Loader<'a> {
    root: &'a Path,
    looked: &'a Looked,
    profiles: &'a [String],
    files: Vec<SourceFile>,
    tasks: Vec<Arc<super::Task>>,
    root_parts: RootParts,
    known_profiles: BTreeSet<String>,
    /// The files included so far, and where.
    included_at: FxHashMap<WsPath, At>,
    names: FxHashMap<TaskName, At>,
    diagnostics: Vec<Diagnostic>,
}

impl Loader<'_> {
    /// One file and what it includes. `stack` holds the files that include it, outermost first.
    fn file(&mut self, text: String, path: WsPath, stack: &mut Vec<WsPath>, outer: &Inherited) {
        let Ok(id) = u16::try_from(self.files.len()) else {
            return;
        };
        let text: Arc<str> = Arc::from(text);
        let folder = path.parent().unwrap_or_default();
        self.files.push(SourceFile { path: path.clone(), text: Arc::clone(&text) });
        let parsed = parse(&text, FileId(id));
        let mut found = Vec::new();
        let mut inherited = outer.clone();
        let includes = self.read_file(&parsed.table, FileId(id), &folder, &mut inherited, &mut found);
        drop_followers(&text, &parsed, &mut found);
        self.diagnostics.extend(parsed.errors);
        self.diagnostics.append(&mut found);
        drop(parsed.table);
        stack.push(path);
        for include in includes {
            self.include(&include, &folder, stack, &inherited);
        }
        stack.pop();
    }

    /// A file's own parts; what it includes is returned.
    fn read_file(
        &mut self,
        table: &DeTable<'_>,
        file: FileId,
        folder: &WsPath,
        inherited: &mut Inherited,
        found: &mut Vec<Diagnostic>,
    ) -> Vec<Located<String>> {
        let mut reader = Reader {
            file,
            folder,
            profiles: self.profiles,
            known_profiles: &mut self.known_profiles,
            about: None,
            diagnostics: found,
        };
        let parts = read_parts(&mut reader, table, &mut self.root_parts, inherited);
        for task in parts.tasks {
            match self.names.get(&task.name) {
                Some(first) => found.push(
                    Diagnostic::error("config::duplicate-task", task.at, format!("`{}` is declared twice", task.name))
                        .label("declared again")
                        .also(*first, "first declared here")
                        .help("rename one of them, or move its file to another folder"),
                ),
                None => {
                    self.names.insert(task.name.clone(), task.at);
                    self.tasks.push(Arc::new(task));
                }
            }
        }
        parts.includes
    }

    fn include(&mut self, include: &Located<String>, folder: &WsPath, stack: &mut Vec<WsPath>, outer: &Inherited) {
        let (files, is_glob) = match resolve(self.root, folder, &include.value, self.looked) {
            Ok(Included::File(file)) => (vec![file], false),
            Ok(Included::Glob(files)) => (files, true),
            Err(bad) => {
                self.diagnostics.push(Diagnostic::error("config::bad-include", include.at, bad.message).help(bad.help));
                return;
            }
        };
        // A glob may well match the very file it stands in.
        let files: Vec<WsPath> = files.into_iter().filter(|file| !(is_glob && stack.last() == Some(file))).collect();
        if files.is_empty() {
            self.diagnostics.push(Diagnostic {
                severity: Severity::Note,
                ..Diagnostic::error("config::empty-include", include.at, format!("`{}` matches no file", include.value))
            });
        }
        for file in files {
            self.included_file(file, include.at, stack, outer);
        }
    }

    fn included_file(&mut self, path: WsPath, at: At, stack: &mut Vec<WsPath>, outer: &Inherited) {
        if let Some(start) = stack.iter().position(|above| *above == path) {
            let mut way: Vec<String> = stack[start..].iter().map(|file| format!("`{file}`")).collect();
            way.push(format!("`{path}`"));
            let message = format!("files include each other: {}", way.join(" → "));
            self.diagnostics
                .push(Diagnostic::error("config::include-cycle", at, message).help("remove one of these includes"));
            return;
        }
        if let Some(first) = self.included_at.get(&path) {
            self.diagnostics.push(
                Diagnostic::error("config::included-twice", at, format!("`{path}` is included twice"))
                    .also(*first, "first included here")
                    .help("remove one of the two"),
            );
            return;
        }
        self.included_at.insert(path.clone(), at);
        let folder = path.parent().unwrap_or_default();
        let odd = |c: char| c.is_whitespace() || c.is_control() || "*?[]{}\\@#!:".contains(c);
        if let Some(odd) = folder.as_str().chars().find(|c| odd(*c)).or(folder.as_str().starts_with('-').then_some('-'))
        {
            let message = format!("the folder `{folder}` can't stand in the names of tasks: it holds `{odd}`");
            self.diagnostics.push(
                Diagnostic::error("config::bad-include", at, message)
                    .help("rename the folder: tasks of included files are called `FOLDER:TASK`"),
            );
            return;
        }
        if self.files.len() > usize::from(u16::MAX) {
            self.diagnostics
                .push(Diagnostic::error("config::bad-include", at, "more than 65536 files").help("include fewer"));
            return;
        }
        match read_text(&path.under(self.root), path.as_str(), self.looked) {
            Ok(text) => self.file(text, path, stack, outer),
            Err(why) => {
                self.diagnostics.push(Diagnostic::error(why.code, at, why.message).help(why.help));
            }
        }
    }

    /// Profiles in force that nothing names.
    fn check_profiles(&mut self) {
        for name in self.profiles.iter().filter(|name| !self.known_profiles.contains(*name)) {
            let mut diagnostic = without_place("config::unknown-profile", format!("unknown profile `{name}`"));
            let known = || self.known_profiles.iter().map(String::as_str);
            diagnostic.help = Some(match did_you_mean(name, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the profiles are {}", super::keys::backticked(&known().collect::<Vec<_>>())),
            });
            self.diagnostics.push(diagnostic);
        }
    }

    /// Databases that tasks name.
    fn check_databases(&mut self) {
        let databases = &self.root_parts.databases;
        let known = || databases.iter().map(|database| database.key.as_str());
        let mut wrong = Vec::new();
        let mut check = |named: Option<&Located<String>>, at: At, task: &super::Task| match named {
            Some(name) if !known().any(|key| key == name.value) => {
                let help = match did_you_mean(&name.value, known()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("declare it: `[db.{}]`", name.value),
                };
                let message = format!("`{}` names the database `{}`, which is not declared", task.name, name.value);
                wrong.push(Diagnostic::error("config::unknown-database", name.at, message).help(help));
            }
            None if databases.is_empty() => wrong.push(
                Diagnostic::error("config::unknown-database", at, format!("`{}` needs a database", task.name))
                    .help("declare one, for example `[db.app]`"),
            ),
            None if databases.len() > 1 => wrong.push(
                Diagnostic::error(
                    "config::unknown-database",
                    at,
                    format!("`{}` does not say which database", task.name),
                )
                .help(format!("add `with = {{ db = \"{}\" }}`", databases[0].key)),
            ),
            _ => {}
        };
        for task in &self.tasks {
            if let super::Action::Uses(uses) = &task.action
                && uses.kind.is_database()
            {
                check(uses.with.db.as_ref(), uses.at, task);
            }
            let runs = !matches!(task.action, super::Action::Group { .. } | super::Action::Soak(_));
            for used in task.databases.iter().filter(|_| runs) {
                check(Some(&used.name), used.name.at, task);
            }
        }
        self.diagnostics.extend(wrong);
    }

    /// Evidence is kept by the gate's id.
    fn check_gates(&mut self) {
        let mut ids: FxHashMap<&str, At> = FxHashMap::default();
        let mut wrong = Vec::new();
        for gate in self.tasks.iter().filter_map(|task| task.gate.as_ref()) {
            if let Some(first) = ids.insert(&gate.value.id, gate.at) {
                wrong.push(
                    Diagnostic::error(
                        "config::duplicate-gate",
                        gate.at,
                        format!("the gate `{}` is declared twice", gate.value.id),
                    )
                    .also(first, "first declared here")
                    .help("give one of them another id: evidence is kept by it"),
                );
            }
        }
        self.diagnostics.extend(wrong);
    }

    fn finish(mut self) -> Loaded {
        self.check_databases();
        self.check_gates();
        self.diagnostics.sort_by_key(|diagnostic| diagnostic.labels.first().map(|label| label.at));
        let config = Config {
            root: self.root.to_path_buf(),
            files: self.files,
            settings: self.root_parts.settings.settled(),
            policy: self.root_parts.policy,
            profiles: self.profiles.to_vec(),
            structural: self.root_parts.structural,
            remote: self.root_parts.remote,
            databases: self.root_parts.databases.into_iter().map(Arc::new).collect(),
            tasks: self.tasks,
        };
        Loaded { config, diagnostics: self.diagnostics }
    }
}
