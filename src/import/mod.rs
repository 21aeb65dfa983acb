//! Rank 2: other tools' files → a tasks.toml that does the same. Reads their files and says what
//! could not be carried over; knows nothing of running.

mod draft;
mod just;
mod make;
mod mise;
mod package_json;
mod script;
mod settle;
mod shell;
mod taskfile;
mod tree;
mod turbo;
mod write;

pub use draft::{Draft, Note, TaskDraft};

use std::path::{Path, PathBuf};

/// What `weir import` reads, for messages.
pub const READS: &str = "`mise.toml`, `Taskfile.yml`, `package.json`, `turbo.json`, `justfile` or `Makefile`";

/// A file that could not be read as what it seems to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportError {
    /// One line, lower case, with the place in it.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl ImportError {
    pub(self) fn at(path: &Path, line: usize, message: impl std::fmt::Display, help: &str) -> Self {
        let place = if line == 0 { String::new() } else { format!(":{line}") };
        Self { message: format!("failed to read `{}{place}`: {message}", path.display()), help: help.to_owned() }
    }
}

/// The tools whose files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// `mise.toml` and file tasks.
    Mise,
    /// `Taskfile.yml`.
    Taskfile,
    /// `package.json`.
    Npm,
    /// `turbo.json`.
    Turbo,
    /// `justfile`.
    Just,
    /// `Makefile`.
    Make,
}

impl Tool {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mise => "mise",
            Self::Taskfile => "Task",
            Self::Npm => "npm",
            Self::Turbo => "turbo",
            Self::Just => "just",
            Self::Make => "make",
        }
    }

    /// Whose file this is, by its name.
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
        Some(match name {
            "mise.toml" | ".mise.toml" | "mise.local.toml" | ".mise.local.toml" => Self::Mise,
            "config.toml" if matches!(folder, "mise" | ".mise") => Self::Mise,
            _ if name.ends_with(".toml") && (name.starts_with("mise.") || name.starts_with(".mise.")) => Self::Mise,
            "package.json" => Self::Npm,
            "turbo.json" | "turbo.jsonc" => Self::Turbo,
            "GNUmakefile" | "makefile" | "Makefile" => Self::Make,
            _ if name.ends_with(".mk") => Self::Make,
            _ if name.eq_ignore_ascii_case("justfile") || name.eq_ignore_ascii_case(".justfile") => Self::Just,
            _ if name.ends_with(".just") => Self::Just,
            "Taskfile.yml" | "taskfile.yml" | "Taskfile.yaml" | "taskfile.yaml" | "Taskfile.dist.yml"
            | "taskfile.dist.yml" | "Taskfile.dist.yaml" | "taskfile.dist.yaml" => Self::Taskfile,
            _ => return None,
        })
    }
}

/// A file that was read.
#[derive(Debug, Clone)]
pub struct Imported {
    /// Whose it is.
    pub tool: Tool,
    /// The folder that the paths in the draft are relative to.
    pub root: PathBuf,
    /// What is to be written.
    pub draft: Draft,
}

/// Reads another tool's file; `path` is absolute, `shown` is how people named it.
///
/// # Errors
/// It is not there, is nobody's known file, or is broken.
pub fn import(path: &Path, shown: &str) -> Result<Imported, ImportError> {
    let shown = Path::new(shown);
    let tool = Tool::of(path).ok_or_else(|| ImportError {
        message: format!("`{}` is no file of a tool that weir knows", shown.display()),
        help: format!("`weir import` reads {READS}"),
    })?;
    let text = read(path, shown)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let source = Source { path, shown, text: &text, folder };
    let (root, mut draft) = match tool {
        Tool::Mise => mise::read(&source)?,
        Tool::Taskfile => (folder.to_path_buf(), taskfile::read(&source)?),
        Tool::Npm => (folder.to_path_buf(), package_json::read(&source)?),
        Tool::Turbo => (folder.to_path_buf(), turbo::read(&source)?),
        Tool::Just => (folder.to_path_buf(), just::read(&source)?),
        Tool::Make => (folder.to_path_buf(), make::read(&source)?),
    };
    draft.from = path.strip_prefix(&root).unwrap_or(path).display().to_string();
    settle::settle(&mut draft);
    Ok(Imported { tool, root, draft })
}

/// A file as its reader gets it.
struct Source<'a> {
    /// Absolute.
    path: &'a Path,
    /// As people named it.
    shown: &'a Path,
    text: &'a str,
    folder: &'a Path,
}

fn read(path: &Path, shown: &Path) -> Result<String, ImportError> {
    let fail = |message: String, help: &str| ImportError::at(shown, 0, message, help);
    if path.is_dir() {
        return Err(fail("it is a folder".into(), "name the file in it"));
    }
    let bytes = std::fs::read(path).map_err(|error| {
        let message = match error.kind() {
            std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
            _ => error.to_string(),
        };
        fail(message, "check the path")
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        ImportError::at(shown, line, "it is not UTF-8", "save it as UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n");
    if text.trim().is_empty() {
        return Err(fail("it is empty".into(), "name a file that holds tasks"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAMES: [&str; 6] = ["mise.toml", "Taskfile.yml", "package.json", "turbo.json", "justfile", "Makefile"];

    /// Pieces that mean something to one of the tools.
    fn piece() -> impl Strategy<Value = String> {
        let known = [
            "[tasks.a]\n",
            "run = \"echo {{vars.x}}\"\n",
            "depends = [\"a\", \"b c\"]\n",
            "usage = 'arg \"<x>\"'\n",
            "version: '3'\n",
            "tasks:\n",
            "  a:\n",
            "    cmds: [echo]\n",
            "{\"scripts\": {\"a\": \"npm run a && b\"}}",
            "{\"tasks\": {\"build\": {}}}",
            "a: b c\n",
            "\techo $@ $(x) $$y\n",
            "a x='1' *y: (b \"c\")\n",
            "  echo {{x}}\n",
            "x := `y` + 'z'\n",
            "ifdef X\n",
            "endif\n",
            "%.o: %.c\n",
            "#!/bin/sh\n",
            "{{",
            "}}",
            "'",
            "\"",
            "`",
            "$(",
            "${",
            "\\",
            "\n",
            "é",
            "{%",
            "set shell := ['sh', '-c']\n",
        ];
        prop_oneof![4 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn whatever_a_file_holds_it_is_read_or_refused(which in 0..NAMES.len(), pieces in proptest::collection::vec(piece(), 0..20)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(NAMES[which]);
            std::fs::write(folder.path().join("package.json"), "{\"scripts\": {\"build\": \"x\"}}").unwrap();
            std::fs::write(&path, pieces.concat()).unwrap();
            if let Ok(imported) = import(&path, NAMES[which]) {
                let text = imported.draft.render();
                let loaded = crate::config::load_text(&folder.path().join("tasks.toml"), &text, &[]);
                prop_assert!(!loaded.has_errors(), "{:?}\n{text}", loaded.diagnostics);
            }
        }
    }
}
