//! make's variables and functions: what is known before a recipe runs, and what the shell can work out.

use super::super::draft::Draft;
use super::super::shell::{Piece, escape};
use super::rules::{Makefile, Variable};
use super::shown;
use crate::config::build_glob;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The variables of a Makefile.
#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    /// Not expanded yet, unless assigned with `:=`.
    known: BTreeMap<String, Known>,
    exported: Vec<String>,
    /// Where globs are looked up.
    folder: PathBuf,
    /// Globs that were replaced by the files that are there.
    listed: RefCell<BTreeSet<String>>,
}

#[derive(Debug, Clone)]
enum Known {
    Text(String),
    /// `?=`: the environment's, or this.
    Default(String),
    /// Set inside a conditional or a `define`.
    Uncertain,
}

/// `$@`, `$<`, `$^`, `$*`.
pub(super) struct Automatic<'a> {
    pub target: &'a str,
    pub prerequisites: &'a [String],
    pub stem: &'a str,
}

impl Values {
    pub fn new(file: &Makefile, folder: &Path, draft: &mut Draft) -> Self {
        let mut values = Self { folder: folder.to_path_buf(), ..Self::default() };
        for variable in &file.variables {
            if variable.uncertain {
                let text = "it depends on a conditional; recipes that use it are not carried over";
                draft.note("", &variable.name, variable.line, text);
            }
            values.assign(variable);
        }
        for name in &file.exported {
            match name {
                Some(name) => values.exported.push(name.clone()),
                None => values.exported.extend(values.known.keys().cloned()),
            }
        }
        for name in &values.exported {
            if values.text(name).is_none() && values.known.contains_key(name) {
                draft.note("env", name, 0, "its value is worked out when make runs, so that it is not exported here");
            }
        }
        values
    }

    /// What an assignment does.
    fn assign(&mut self, variable: &Variable) {
        let known = self.known.get(&variable.name);
        let known = match (variable.operator, known) {
            _ if variable.uncertain => Known::Uncertain,
            ("?=", Some(_)) => return,
            ("?=", None) => Known::Default(variable.value.clone()),
            ("+=", Some(Known::Text(text))) => Known::Text(format!("{text} {}", variable.value)),
            ("+=", Some(Known::Default(text))) => Known::Default(format!("{text} {}", variable.value)),
            ("+=", Some(Known::Uncertain)) => Known::Uncertain,
            ("!=", _) => Known::Text(format!("$(shell {})", variable.value)),
            // What it names is what it names now; a later change of that does not count.
            (":=" | "::=", _) => Known::Text(self.frozen(&variable.value)),
            _ => Known::Text(variable.value.clone()),
        };
        self.known.insert(variable.name.clone(), known);
    }

    /// With those of one target.
    pub fn of<'v>(&self, own: impl Iterator<Item = &'v Variable>) -> Self {
        let mut values = self.clone();
        own.for_each(|variable| values.assign(variable));
        values
    }

    /// A value with its plain references replaced.
    fn frozen(&self, value: &str) -> String {
        let mut out = String::new();
        let mut rest = value;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            let Some((inner, length)) = reference(&rest[at..]) else {
                out.push_str(&rest[at..]);
                return out;
            };
            match self.known.get(inner) {
                Some(Known::Text(text)) => out.push_str(text),
                _ => out.push_str(&rest[at..at + length]),
            }
            rest = &rest[at + length..];
        }
        out + rest
    }

    /// A variable's value, where it is plain text.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.known.get(name)? {
            Known::Text(text) => self.expand(text, None).ok(),
            Known::Default(_) | Known::Uncertain => None,
        }
    }

    /// What is exported to recipes.
    pub fn exported(&self) -> Vec<(String, String)> {
        self.exported.iter().filter_map(|name| Some((name.clone(), self.text(name)?))).collect()
    }

    /// Plain text: of targets, prerequisites and values.
    ///
    /// # Errors
    /// It is not known before make runs.
    pub fn expand(&self, text: &str, automatic: Option<&Automatic<'_>>) -> Result<String, String> {
        self.fill(text, automatic, false, 0)
    }

    /// A recipe's line for the shell.
    ///
    /// # Errors
    /// Why it can't be carried over.
    pub fn command(&self, text: &str, automatic: &Automatic<'_>) -> Result<String, String> {
        self.fill(text, Some(automatic), true, 0)
    }

    fn fill(&self, text: &str, automatic: Option<&Automatic<'_>>, shell: bool, depth: usize) -> Result<String, String> {
        if depth > 20 {
            return Err("a variable that names itself".into());
        }
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("$$") {
                // Text only: nobody would expand it later.
                if !shell {
                    return Err(format!("`{text}` has a `$` of the shell"));
                }
                out.push('$');
                rest = after;
                continue;
            }
            let (inner, length) = reference(rest).ok_or_else(|| format!("a `$` without its end in `{text}`"))?;
            out.push_str(&shown(self.piece(inner, automatic, shell, depth)?)?);
            rest = &rest[length..];
        }
        Ok(out + rest)
    }

    fn piece(
        &self,
        inner: &str,
        automatic: Option<&Automatic<'_>>,
        shell: bool,
        depth: usize,
    ) -> Result<Piece, String> {
        if let Some(text) = automatic.and_then(|automatic| automatic.value(inner)) {
            return Ok(Piece::Text(text));
        }
        let recur = |text: &str| self.fill(text, automatic, shell, depth + 1);
        if let Some((function, arguments)) = inner.split_once([' ', '\t']) {
            return self.function(function, arguments.trim(), shell, &recur);
        }
        // `$(SRC:.c=.o)`
        if let Some((name, change)) = inner.split_once(':')
            && let Some((from, to)) = change.split_once('=')
        {
            let value = self.files(&recur(&format!("$({name})"))?);
            let pattern = |text: &str| if text.contains('%') { text.to_owned() } else { format!("%{text}") };
            return Ok(Piece::Text(patsubst(&pattern(from), &pattern(to), &value)));
        }
        match (self.known.get(inner), inner) {
            (Some(Known::Text(text)), _) => Ok(Piece::Text(recur(text)?)),
            (Some(Known::Default(text)), name) if shell => {
                Ok(Piece::Expand(format!("${{{name}-{}}}", escape(&recur(text)?))))
            }
            (Some(Known::Default(text)), _) => Ok(Piece::Text(recur(text)?)),
            (Some(Known::Uncertain), name) => Ok(Piece::Unknown(format!("`{name}` depends on a conditional"))),
            (None, "MAKE") => Ok(Piece::Text("make".into())),
            (None, "CURDIR") if shell => Ok(Piece::Expand("$PWD".into())),
            (None, "CC") => Ok(Piece::Text("cc".into())),
            (None, "CXX") => Ok(Piece::Text("g++".into())),
            (None, "AR") => Ok(Piece::Text("ar".into())),
            (None, "RM") => Ok(Piece::Text("rm -f".into())),
            (None, name)
                if shell && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.is_empty() =>
            {
                Ok(Piece::Expand(format!("${{{name}-}}")))
            }
            (None, name) => Ok(Piece::Unknown(format!("`$({name})` is not known before make runs"))),
        }
    }

    /// The text with the files that its globs match now.
    fn files(&self, text: &str) -> String {
        let mut words: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            let Some(glob) = build_glob(word).ok().filter(|_| word.contains(['*', '?', '['])) else {
                words.push(word.to_owned());
                continue;
            };
            self.listed.borrow_mut().insert(word.to_owned());
            let matcher = glob.compile_matcher();
            let fixed: Vec<&str> = word.split('/').take_while(|part| !part.contains(['*', '?', '['])).collect();
            let found =
                walkdir::WalkDir::new(self.folder.join(fixed.join("/"))).max_depth(word.split('/').count()).into_iter();
            let mut names: Vec<String> = found
                .filter_map(Result::ok)
                .filter_map(|entry| Some(entry.path().strip_prefix(&self.folder).ok()?.to_str()?.to_owned()))
                .filter(|name| matcher.is_match(name))
                .collect();
            names.sort();
            words.append(&mut names);
        }
        words.join(" ")
    }

    /// The globs that stand for what they match now.
    pub fn listed(&self) -> Vec<String> {
        self.listed.borrow().iter().cloned().collect()
    }

    fn function(
        &self,
        name: &str,
        arguments: &str,
        shell: bool,
        recur: &dyn Fn(&str) -> Result<String, String>,
    ) -> Result<Piece, String> {
        let parts = || arguments.split(',').map(|part| recur(part.trim())).collect::<Result<Vec<_>, _>>();
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        match name {
            "shell" if shell => Ok(Piece::Expand(format!("$({})", recur(arguments)?))),
            // The shell finds the same files, if there are any.
            "wildcard" => Ok(Piece::Text(recur(arguments)?)),
            "patsubst" => match &parts()?[..] {
                [from, to, text] => Ok(Piece::Text(patsubst(from, to, &self.files(text)))),
                _ => Ok(Piece::Unknown("`$(patsubst)` without three parts".into())),
            },
            "subst" => match &parts()?[..] {
                [from, to, text] => Ok(Piece::Text(text.replace(from.as_str(), to))),
                _ => Ok(Piece::Unknown("`$(subst)` without three parts".into())),
            },
            "addprefix" | "addsuffix" => match &parts()?[..] {
                [added, text] if name == "addprefix" => Ok(Piece::Text(
                    words(text).iter().map(|word| format!("{added}{word}")).collect::<Vec<_>>().join(" "),
                )),
                [added, text] => Ok(Piece::Text(
                    words(text).iter().map(|word| format!("{word}{added}")).collect::<Vec<_>>().join(" "),
                )),
                _ => Ok(Piece::Unknown(format!("`$({name})` without two parts"))),
            },
            "strip" => Ok(Piece::Text(words(&recur(arguments)?).join(" "))),
            "notdir" => Ok(Piece::Text(
                words(&self.files(&recur(arguments)?))
                    .iter()
                    .map(|word| word.rsplit('/').next().unwrap_or(word).to_owned())
                    .collect::<Vec<_>>()
                    .join(" "),
            )),
            other => Ok(Piece::Unknown(format!("`$({other} …)` has no counterpart"))),
        }
    }
}

impl Automatic<'_> {
    fn value(&self, name: &str) -> Option<String> {
        let mut unique: Vec<&str> = Vec::new();
        for word in self.prerequisites {
            if !unique.contains(&word.as_str()) {
                unique.push(word);
            }
        }
        let first = self.prerequisites.first().map(String::as_str).unwrap_or_default();
        let folder = |path: &str| path.rsplit_once('/').map_or(".", |(folder, _)| folder).to_owned();
        let file = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
        Some(match name {
            "@" => self.target.to_owned(),
            "<" => first.to_owned(),
            "^" => unique.join(" "),
            "+" => self.prerequisites.join(" "),
            "*" => self.stem.to_owned(),
            "@D" => folder(self.target),
            "@F" => file(self.target),
            "<D" => folder(first),
            "<F" => file(first),
            _ => return None,
        })
    }
}

/// The inside of the reference a text begins with, and its length.
fn reference(text: &str) -> Option<(&str, usize)> {
    let open = text[1..].chars().next()?;
    let close = match open {
        '(' => ')',
        '{' => '}',
        c => return Some((&text[1..1 + c.len_utf8()], 1 + c.len_utf8())),
    };
    let mut depth = 0;
    for (at, c) in text.char_indices().skip(1) {
        if c == open {
            depth += 1;
        } else if c == close {
            depth -= 1;
            if depth == 0 {
                return Some((&text[2..at], at + 1));
            }
        }
    }
    None
}

fn patsubst(from: &str, to: &str, text: &str) -> String {
    let change = |word: &str| {
        let (before, after) = from.split_once('%').unwrap_or((from, ""));
        match word.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)) {
            Some(stem) if from.contains('%') => to.replacen('%', stem, 1),
            Some("") => to.to_owned(),
            _ => word.to_owned(),
        }
    };
    text.split_whitespace().map(change).collect::<Vec<_>>().join(" ")
}
