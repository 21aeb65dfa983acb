//! `check.forbid`: no line of the files matches a pattern.

use super::date::{has_expired, today};
use super::frame::{Check, found, listed, say};
use crate::config::{Allowance, Located, Pattern, With};
use crate::fingerprint::{Memo, Selection, Surveyor};
use crate::model::{FailReason, Notice, Observation, PartKind, WsPath, counted};
use crate::node::{Context, Output, Pending};
use regex::bytes::Regex;

/// How many findings are shown.
const SHOWN: usize = 100;

/// No line of the files matches a pattern.
pub struct Forbid {
    patterns: Vec<(String, Regex)>,
    unless: Option<(String, Regex)>,
    files: Vec<Located<Pattern>>,
    allow: Vec<Allowance>,
}

/// A line that matches.
struct Hit {
    path: WsPath,
    line: usize,
    column: usize,
    pattern: usize,
    text: String,
    /// An allowance that holds no more.
    expired: Option<usize>,
}

impl Forbid {
    /// None: an expression is no good, which the configuration has reported.
    pub fn new(with: &With) -> Option<Self> {
        let compile = |text: &Located<String>| Some((text.value.clone(), Regex::new(&text.value).ok()?));
        Some(Self {
            patterns: with.check.patterns.iter().map(compile).collect::<Option<_>>()?,
            unless: match &with.check.unless {
                Some(text) => Some(compile(text)?),
                None => None,
            },
            files: with.files.clone(),
            allow: with.check.allow.clone(),
        })
    }

    /// The allowances that hold no more, by index.
    fn expired(&self) -> Vec<usize> {
        let today = today();
        let over = |allowance: &Allowance| allowance.expires.as_ref().is_some_and(|last| has_expired(last, &today));
        (0..self.allow.len()).filter(|index| over(&self.allow[*index])).collect()
    }

    fn look(&self, root: &std::path::Path, path: &WsPath, hits: &mut Vec<Hit>) -> Result<(), FailReason> {
        let full = path.under(root);
        if !full.is_file() {
            return Ok(());
        }
        let bytes = std::fs::read(&full)
            .map_err(|error| FailReason::Inputs { message: format!("failed to read `{path}`: {error}"), help: None })?;
        // As git does: a NUL near the start means that there are no lines.
        if bytes.iter().take(8000).any(|byte| *byte == 0) {
            return Ok(());
        }
        for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if self.unless.as_ref().is_some_and(|(_, unless)| unless.is_match(line)) {
                continue;
            }
            for (pattern, (_, regex)) in self.patterns.iter().enumerate() {
                let Some(matched) = regex.find(line) else { continue };
                hits.push(Hit {
                    path: path.clone(),
                    line: number + 1,
                    column: String::from_utf8_lossy(&line[..matched.start()]).chars().count() + 1,
                    pattern,
                    text: String::from_utf8_lossy(line).trim().chars().take(120).collect(),
                    expired: None,
                });
            }
        }
        Ok(())
    }

    /// Takes away what is allowed; says which allowances served.
    fn sift(&self, hits: Vec<Hit>) -> (Vec<Hit>, Vec<bool>) {
        let patterns: Vec<Vec<Pattern>> = self
            .allow
            .iter()
            .map(|allowance| allowance.files.iter().map(|pattern| pattern.value.clone()).collect())
            .collect();
        let selections: Vec<Selection<'_>> = patterns.iter().map(|patterns| Selection::new(patterns)).collect();
        let expired = self.expired();
        let mut served = vec![false; self.allow.len()];
        let mut left = Vec::new();
        for mut hit in hits {
            let covering = |index: &usize| selections[*index].covers(&hit.path);
            let covered: Vec<usize> = (0..self.allow.len()).filter(covering).collect();
            for index in &covered {
                served[*index] = true;
            }
            if covered.iter().any(|index| !expired.contains(index)) {
                continue;
            }
            hit.expired = covered.first().copied();
            left.push(hit);
        }
        (left, served)
    }
}

impl Check for Forbid {
    fn sources(&self) -> Option<Vec<Pattern>> {
        Some(self.files.iter().map(|pattern| pattern.value.clone()).collect())
    }

    fn parameters(&self) -> Vec<(String, String)> {
        let mut all = vec![("files".to_owned(), listed(&self.files))];
        all.extend(
            self.patterns.iter().enumerate().map(|(index, (text, _))| (format!("patterns[{index}]"), text.clone())),
        );
        all.extend(self.unless.iter().map(|(text, _)| ("unless".to_owned(), text.clone())));
        for (index, allowance) in self.allow.iter().enumerate() {
            let until = allowance.expires.as_deref().unwrap_or("never");
            all.push((format!("allow[{index}]"), format!("{} until {until}", listed(&allowance.files))));
        }
        all
    }

    fn observe(&self) -> Vec<Observation> {
        if self.allow.iter().all(|allowance| allowance.expires.is_none()) {
            return vec![];
        }
        let expired: Vec<String> = self.expired().iter().map(ToString::to_string).collect();
        vec![Observation {
            kind: PartKind::Live,
            name: "its allowances".into(),
            value: format!("expired: [{}]", expired.join(", ")),
        }]
    }

    fn run<'a>(&'a self, context: &'a Context, output: &'a mut dyn Output) -> Pending<'a, Result<(), FailReason>> {
        Box::pin(async move {
            let surveyor = Surveyor::new(&context.root, Memo::default());
            let patterns: Vec<Pattern> = self.files.iter().map(|pattern| pattern.value.clone()).collect();
            let files = surveyor
                .select(&patterns)
                .map_err(|error| FailReason::Inputs { message: error.to_string(), help: Some(error.help()) })?;
            let mut hits = Vec::new();
            for path in &files {
                self.look(&context.root, path, &mut hits)?;
            }
            let (hits, served) = self.sift(hits);
            for (allowance, _) in self.allow.iter().zip(&served).filter(|(_, served)| !**served) {
                output.notice(Notice {
                    code: "unused-allowance".into(),
                    message: format!(
                        "nothing is forbidden in {} (allowed: {})",
                        listed(&allowance.files),
                        allowance.reason
                    ),
                    help: Some("remove the allowance".into()),
                });
            }
            if hits.is_empty() {
                say(output, &format!("{}, nothing forbidden", counted(files.len(), "file")));
                return Ok(());
            }
            for hit in hits.iter().take(SHOWN) {
                let Hit { path, line, column, text, .. } = hit;
                say(
                    output,
                    &format!("{path}:{line}:{column}: `{}` is forbidden: {text}", self.patterns[hit.pattern].0),
                );
                if let Some(allowance) = hit.expired.map(|index| &self.allow[index]) {
                    let last = allowance.expires.as_deref().unwrap_or_default();
                    say(output, &format!("    it was allowed until {last}: {}", allowance.reason));
                }
            }
            if hits.len() > SHOWN {
                say(output, &format!("and {} more", hits.len() - SHOWN));
            }
            let mut paths: Vec<&WsPath> = hits.iter().map(|hit| &hit.path).collect();
            paths.dedup();
            Err(found(
                format!("{} in {}", counted(hits.len(), "forbidden line"), counted(paths.len(), "file")),
                "change these lines, or add an entry to `allow` with a reason and a date",
            ))
        })
    }
}
