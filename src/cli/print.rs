//! Writing to standard output and standard error.

use super::error::CliError;
use crate::ui::clean_lines;
use std::io::{self, IsTerminal, Write};

/// Whether standard error takes colours.
pub fn colour(stream: &impl IsTerminal) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
    if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        return false;
    }
    set("CLICOLOR_FORCE") || (stream.is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb"))
}

fn line(word: &str, code: &str, text: &str) {
    let text = clean_lines(text, word.len() + 2);
    let mut err = io::stderr().lock();
    let _ =
        if colour(&err) { writeln!(err, "\x1b[{code}m{word}:\x1b[0m {text}") } else { writeln!(err, "{word}: {text}") };
}

/// `error: …` on standard error.
pub fn error_line(text: &str) {
    line("error", "1;31", text);
}

/// `warning: …` on standard error.
pub fn warning_line(text: &str) {
    line("warning", "1;33", text);
}

/// `help: …` on standard error.
pub fn help_line(text: &str) {
    line("help", "36", text);
}

/// Text on standard output; a reader that has gone is no error.
///
/// # Errors
/// Never: the result is what commands return.
pub fn text(text: &str) -> Result<u8, CliError> {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    Ok(0)
}

/// A value on standard output, as indented JSON.
///
/// # Errors
/// It can't be written as JSON.
pub fn json(value: &impl serde::Serialize) -> Result<u8, CliError> {
    text(&as_json(value)?)
}

/// A value as indented JSON.
///
/// # Errors
/// It can't be written as JSON.
pub fn as_json(value: &impl serde::Serialize) -> Result<String, CliError> {
    let mut all = serde_json::to_string_pretty(value).map_err(|error| CliError::Defect(error.to_string()))?;
    all.push('\n');
    Ok(all)
}
