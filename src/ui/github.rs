//! What GitHub Actions reads: workflow commands and the Markdown of the job summary. Pure text,
//! apart from [`append`]. Commands:
//! <https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions>.

use super::format;
use super::log::Tail;
use crate::event::{RunFinished, TaskFinished};
use crate::model::{Notice, Outcome, TaskName};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

/// Ends a group.
pub(super) const END_GROUP: &str = "::endgroup::";
/// Rows of the job summary's table.
const MOST_ROWS: usize = 200;
/// Bytes of tails in the job summary, escapes included; GitHub takes 1 MiB in all.
const MOST_TAILS: usize = 512 * 1024;
/// Characters of one tail in the job summary.
const MOST_TAIL: usize = 16 * 1024;

/// Escapes the message of a command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property of a command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Begins a group of lines.
pub(super) fn group(title: &str) -> String {
    format!("::group::{}", data(title))
}

/// An annotation for a failed task.
pub(super) fn failure(task: &TaskFinished, warn: bool, reason: &str) -> String {
    let command = if warn { "warning" } else { "error" };
    let mut message = format!("`{}` failed: {reason}", task.task);
    for help in format::help(task) {
        let _ = write!(message, "\nhelp: {help}");
    }
    format!("::{command} title={}::{}", property(task.task.as_str()), data(&message))
}

/// An annotation for a notice; of a task, if one is given.
pub(super) fn notice(task: Option<&TaskName>, notice: &Notice) -> String {
    let title = task.map_or(notice.code.as_str(), |task| task.as_str());
    let mut message = notice.message.clone();
    if let Some(help) = &notice.help {
        let _ = write!(message, "\nhelp: {help}");
    }
    format!("::warning title={}::{}", property(title), data(&message))
}

/// Text that Markdown and HTML show as it is: what could be syntax becomes a numeric entity.
fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            out.push(' ');
        } else if !c.is_ascii()
            || c.is_ascii_alphanumeric()
            || matches!(c, ' ' | '-' | '.' | '/' | ',' | ';' | '(' | ')')
        {
            out.push(c);
        } else {
            let _ = write!(out, "&#{};", u32::from(c));
        }
    }
    out
}

/// Output of a task as the content of a `<pre>`: no escape sequences, no control characters.
fn preformatted(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let skip = text.chars().count().saturating_sub(MOST_TAIL);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().skip(skip).peekable();
    while let Some(c) = chars.next() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\n' | '\t' => out.push(c),
            '\x1b' => {
                if chars.next_if_eq(&'[').is_some() {
                    // Parameters, then one final byte.
                    while chars.next_if(|c| matches!(c, ' '..='?')).is_some() {}
                    chars.next_if(|c| matches!(c, '@'..='~'));
                }
            }
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// The Markdown for one run. `tasks`: those to list; `tail`: the end of a failed task's output.
pub(super) fn job_summary(
    run: &RunFinished,
    summary: &str,
    tasks: &[TaskFinished],
    tail: impl Fn(&TaskFinished) -> Option<Tail>,
) -> String {
    let verdict = match run.exit_code {
        0 => "passed".to_owned(),
        130 | 143 => "interrupted".to_owned(),
        code => format!("failed, exit code {code}"),
    };
    let mut out = format!("### weir: {verdict}\n\n{}\n\n", markdown(summary));
    if !tasks.is_empty() {
        out.push_str("| task | outcome | time | |\n|---|---|--:|---|\n");
    }
    for task in tasks.iter().take(MOST_ROWS) {
        let (word, _) = format::status(&task.outcome);
        let time = if task.outcome == Outcome::Hit { String::new() } else { format::millis(task.duration_ms) };
        let remarks = markdown(&format::remarks(task).join(", "));
        let _ = writeln!(out, "| <code>{}</code> | {word} | {time} | {remarks} |", markdown(task.task.as_str()));
    }
    if let Some(more) = tasks.len().checked_sub(MOST_ROWS).filter(|more| *more > 0) {
        let _ = writeln!(out, "\n… and {more} more.");
    }
    let tails_from = out.len();
    for task in tasks {
        let Some(reason) = format::failure(task) else {
            continue;
        };
        let Some(tail) = tail(task).filter(|_| out.len() - tails_from < MOST_TAILS) else {
            continue;
        };
        let _ = write!(
            out,
            "\n<details><summary><code>{}</code> ({}): the end of its output</summary>\n\n<pre><code>{}</code></pre>\n\n</details>\n",
            markdown(task.task.as_str()),
            markdown(&reason),
            preformatted(&tail.bytes)
        );
    }
    if !run.blocked.is_empty() {
        let names: Vec<String> = run.blocked.iter().take(MOST_ROWS).map(|b| markdown(b.task.as_str())).collect();
        let _ = write!(out, "\nBlocked: <code>{}</code>\n", names.join("</code>, <code>"));
    }
    out.push('\n');
    out
}

/// Appends to the file that GitHub shows.
///
/// # Errors
/// When it can't be opened or written.
pub(super) fn append(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().append(true).create(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_escaped() {
        assert_eq!(data("100%\r\n::set-env::x"), "100%25%0D%0A::set-env::x");
        assert_eq!(property("db:seed, all"), "db%3Aseed%2C all");
    }

    #[test]
    fn markdown_and_html_stay_text() {
        assert_eq!(markdown("a|b*<i>`x`\n"), "a&#124;b&#42;&#60;i&#62;&#96;x&#96; ");
        assert_eq!(
            preformatted(b"\x1b[1;31mred\x1b[0m </pre> & \x07\ta\r\n\xff"),
            "red &lt;/pre&gt; &amp; \ta\n\u{fffd}"
        );
        assert_eq!(preformatted("é".repeat(20_000).as_bytes()).chars().count(), MOST_TAIL);
    }
}
