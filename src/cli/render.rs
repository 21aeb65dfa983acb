//! Diagnostics as people see them: the lines in question, with the spans marked.

use super::print;
use crate::config::{At, Diagnostic, Severity, SourceFile};
use crate::ui::{clean, clean_lines};
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use std::fmt;
use std::io::{self, Write};

/// A diagnostic with its text, as miette wants it.
struct Rendered<'a> {
    diagnostic: &'a Diagnostic,
    source: Option<NamedSource<String>>,
    help: Option<String>,
}

impl fmt::Debug for Rendered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.diagnostic.fmt(f)
    }
}

impl fmt::Display for Rendered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&clean_lines(&self.diagnostic.message, 0))
    }
}

impl std::error::Error for Rendered<'_> {}

impl miette::Diagnostic for Rendered<'_> {
    fn code<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        Some(Box::new(self.diagnostic.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
            Severity::Note => miette::Severity::Advice,
        })
    }

    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        self.help.as_ref().map(|help| Box::new(clean_lines(help, 0)) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let file = self.diagnostic.labels.first()?.at.file;
        let here = self.diagnostic.labels.iter().filter(move |label| label.at.file == file);
        // The first is where the problem is, and what the head of the frame names.
        Some(Box::new(here.enumerate().map(|(index, label)| {
            let (start, end) = (label.at.start as usize, label.at.end as usize);
            let text = (!label.text.is_empty()).then(|| clean(&label.text).into_owned());
            let span = (start, end.saturating_sub(start));
            if index == 0 {
                LabeledSpan::new_primary_with_span(text, span)
            } else {
                LabeledSpan::new_with_span(text, span)
            }
        })))
    }
}

/// `tasks.toml:12:3`, counted from 1.
pub fn place(at: At, files: &[SourceFile]) -> String {
    let Some(file) = files.get(usize::from(at.file.0)) else { return String::new() };
    let before = file.text.get(..at.start as usize).unwrap_or("");
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    format!("{}:{line}:{column}", file.path)
}

/// Prints all of them on standard error, and how many there were.
pub fn diagnostics(all: &[Diagnostic], files: &[SourceFile]) {
    let mut err = io::stderr().lock();
    let colour = print::colour(&err);
    let _ = err.write_all(frames(all, files, colour).as_bytes());
    let errors = all.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
    if errors > 1 {
        let _ = writeln!(err, "{errors} errors; nothing was run");
    }
}

/// All of them as text, each with the lines it speaks of.
pub fn frames(all: &[Diagnostic], files: &[SourceFile], colour: bool) -> String {
    let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(100).with_links(false).with_context_lines(1);
    let mut all_text = String::new();
    for diagnostic in all {
        let mut text = String::new();
        let rendered = rendered(diagnostic, files);
        if handler.render_report(&mut text, &rendered).is_err() {
            text = format!("{}: {}", diagnostic.code, diagnostic.message);
        }
        all_text.push_str(text.trim_end());
        all_text.push_str("\n\n");
    }
    all_text
}

fn rendered<'a>(diagnostic: &'a Diagnostic, files: &[SourceFile]) -> Rendered<'a> {
    let first = diagnostic.labels.first().map(|label| label.at.file);
    let file = first.and_then(|file| files.get(usize::from(file.0))).filter(|file| !file.text.is_empty());
    let source = file.map(|file| NamedSource::new(file.path.display(), file.text.to_string()));
    // One frame shows one file; what stands in another one is named in words.
    let mut elsewhere: Vec<String> = diagnostic
        .labels
        .iter()
        .filter(|label| Some(label.at.file) != first)
        .map(|label| format!("{} at {}", label.text, place(label.at, files)))
        .collect();
    let help = if elsewhere.is_empty() {
        diagnostic.help.clone()
    } else {
        elsewhere.extend(diagnostic.help.clone());
        Some(elsewhere.join("; "))
    };
    Rendered { diagnostic, source, help }
}
