//! `check.exists`: files are there, with the right mode and line ends.

use super::frame::{Check, found, say};
use crate::config::{Eol, Located, Pattern, With};
use crate::fingerprint::{InputError, Memo, Surveyor};
use crate::model::{FailReason, WsPath, counted};
use crate::node::{Context, Output, Pending};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Files are there, with the right mode and line ends.
pub struct Exists {
    files: Vec<Located<Pattern>>,
    executable: Option<bool>,
    eol: Option<Eol>,
}

impl Exists {
    /// Of its parameters.
    pub fn new(with: &With) -> Self {
        Self { files: with.files.clone(), executable: with.check.executable, eol: with.check.eol }
    }

    /// What is wrong with one file.
    fn wrong(&self, root: &Path, path: &WsPath) -> Vec<String> {
        let full = path.under(root);
        let metadata = match std::fs::metadata(&full) {
            Ok(metadata) if metadata.is_file() => metadata,
            Ok(_) => return vec![],
            Err(error) => return vec![format!("{path}: failed to read it: {error}")],
        };
        let mut wrong = Vec::new();
        let has_bit = metadata.permissions().mode() & 0o111 != 0;
        match self.executable {
            Some(true) if !has_bit => wrong.push(format!("{path}: has no run bit; `chmod +x {path}` sets it")),
            Some(false) if has_bit => wrong.push(format!("{path}: has a run bit; `chmod -x {path}` takes it away")),
            _ => {}
        }
        let Some(eol) = self.eol else { return wrong };
        match std::fs::read(&full) {
            Ok(bytes) => {
                wrong.extend(wrong_end(&bytes, eol).map(|(line, what)| format!("{path}:{line}: ends in {what}")))
            }
            Err(error) => wrong.push(format!("{path}: failed to read it: {error}")),
        }
        wrong
    }
}

/// The first line that ends otherwise.
fn wrong_end(bytes: &[u8], wanted: Eol) -> Option<(usize, &'static str)> {
    let mut lines = bytes.split(|byte| *byte == b'\n').enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        // What follows the last line break is no line.
        lines.peek()?;
        match (wanted, line.ends_with(b"\r")) {
            (Eol::Lf, true) => return Some((index + 1, "CRLF, and should in LF")),
            (Eol::Crlf, false) => return Some((index + 1, "LF, and should in CRLF")),
            _ => {}
        }
    }
    None
}

impl Check for Exists {
    fn run<'a>(&'a self, context: &'a Context, output: &'a mut dyn Output) -> Pending<'a, Result<(), FailReason>> {
        Box::pin(async move {
            let surveyor = Surveyor::new(&context.root, Memo::default());
            let negations: Vec<Pattern> =
                self.files.iter().filter(|pattern| pattern.value.negated).map(|p| p.value.clone()).collect();
            let (mut wrong, mut seen) = (Vec::new(), 0);
            for pattern in self.files.iter().filter(|pattern| !pattern.value.negated) {
                let patterns: Vec<Pattern> = std::iter::once(pattern.value.clone()).chain(negations.clone()).collect();
                match surveyor.select(&patterns) {
                    Ok(files) => {
                        seen += files.len();
                        wrong.extend(files.iter().flat_map(|path| self.wrong(&context.root, path)));
                    }
                    Err(InputError::NoMatch { pattern, help }) => {
                        wrong.push(format!("`{pattern}` matches no file; {help}"));
                    }
                    Err(error) => wrong.push(error.to_string()),
                }
            }
            if wrong.is_empty() {
                say(output, &format!("{}, all as they should be", counted(seen, "file")));
                return Ok(());
            }
            wrong.iter().for_each(|line| say(output, line));
            Err(found(counted(wrong.len(), "problem") + " with files that must be there", "see its output for each"))
        })
    }
}
