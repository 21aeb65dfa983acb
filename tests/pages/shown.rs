//! What a page shows of a command's output, and whether that is what was printed.
//!
//! `…` stands for anything within a line, and on a line of its own for any lines. How long something took, and how many
//! spaces are between words, does not count. Where nothing is shown, anything may be printed.

use regex::Regex;

/// Lines that a page shows below a command.
pub struct Shown {
    lines: Vec<String>,
    any_order: bool,
}

impl Shown {
    /// None yet.
    pub const fn new(any_order: bool) -> Self {
        Self { lines: Vec::new(), any_order }
    }

    /// One more line.
    pub fn push(&mut self, line: &str) {
        let line = plain(line);
        if !line.is_empty() {
            self.lines.push(line);
        }
    }

    /// Whether it shows nothing.
    pub const fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// What is not as shown.
    pub fn judge(&self, printed: &str) -> Result<(), String> {
        let printed: Vec<String> = printed.lines().map(plain).filter(|line| !line.is_empty()).collect();
        match (self.is_empty(), self.any_order) {
            (true, _) => Ok(()),
            (false, true) => self.judge_set(printed),
            (false, false) => self.judge_in_order(&printed),
        }
    }

    fn judge_in_order(&self, printed: &[String]) -> Result<(), String> {
        let all: String = printed.iter().map(|line| format!("{line}\n")).collect();
        let upto = |count: usize, end: &str| {
            let lines: String = self.lines[..count].iter().map(|line| pattern(line)).collect();
            Regex::new(&format!("^{lines}{end}")).unwrap().is_match(&all)
        };
        if upto(self.lines.len(), "$") {
            return Ok(());
        }
        match (1..=self.lines.len()).find(|count| !upto(*count, "")) {
            Some(count) => Err(format!("`{}` is not printed where it is shown", self.lines[count - 1])),
            None => Err("more is printed than is shown".to_owned()),
        }
    }

    fn judge_set(&self, mut printed: Vec<String>) -> Result<(), String> {
        let (gaps, mut lines): (Vec<&String>, Vec<&String>) = self.lines.iter().partition(|line| *line == "…");
        // What can match least takes first.
        lines.sort_by_key(|line| line.contains('…'));
        for line in lines {
            let wanted = Regex::new(&format!("^{}$", pattern(line))).unwrap();
            let at = printed.iter().position(|line| wanted.is_match(&format!("{line}\n")));
            printed.swap_remove(at.ok_or_else(|| format!("`{line}` is not printed, or not as often as shown"))?);
        }
        match printed.first() {
            Some(more) if gaps.is_empty() => Err(format!("`{more}` is printed and not shown")),
            _ => Ok(()),
        }
    }
}

/// Words with one space between them, durations left out, and so the rule that sets off a task with output: whether there
/// is one depends on which task happened to end before.
fn plain(line: &str) -> String {
    let duration = Regex::new(r"^(\(?)\d+(\.\d+)?(ms|s|m)(\W?)$").unwrap();
    let words = line.split_whitespace().enumerate().filter(|(index, word)| *index > 0 || *word != "──");
    let words: Vec<_> = words.map(|(_, word)| duration.replace(word, "${1}TIME$4")).collect();
    words.join(" ")
}

fn pattern(line: &str) -> String {
    match line {
        "…" => r"(?:.*\n)*".to_owned(),
        line => line.split('…').map(regex::escape).collect::<Vec<_>>().join(".*") + "\n",
    }
}

#[cfg(test)]
fn judged(shown: &str, printed: &str, any_order: bool) -> bool {
    let mut lines = Shown::new(any_order);
    shown.lines().for_each(|line| lines.push(line));
    lines.judge(printed).is_ok()
}

#[test]
fn lines_are_as_shown_but_for_times_and_gaps() {
    let good = [
        ("", "anything"),
        ("── ran   a  12ms", "── ran a   1.20s\n"),
        ("a\n…\nd", "a\nb\nc\nd\n"),
        ("a\n…\nd", "a\nd\n"),
        ("run … of 3", "run 17-4 of 3\n\n"),
        ("3 ran in 5ms (critical path …)", "3 ran in 9.10s (critical path 8.99s: a → b)\n"),
    ];
    let bad = [
        ("a", ""),
        ("a", "b"),
        ("a", "a\nb"),
        ("a\nb", "b\na"),
        ("…\nb", "a\nbb"),
        ("3 ran in 5ms", "4 ran in 5ms"),
        ("a+", "aa"),
    ];
    for (shown, printed) in good {
        assert!(judged(shown, printed, false), "{shown:?} {printed:?}");
    }
    for (shown, printed) in bad {
        assert!(!judged(shown, printed, false), "{shown:?} {printed:?}");
    }
}

#[test]
fn lines_in_any_order_are_there_as_often_as_shown() {
    assert!(judged("b\na\nx …", "x 1\na\nb\n", true));
    assert!(judged("b\n…", "x\na\nb\n", true));
    assert!(!judged("b\na", "a\nb\nb\n", true));
    assert!(!judged("b\nb\na", "a\nb\n", true));
}
