//! Rows as a small table.

use super::check::Found;
use unicode_width::UnicodeWidthStr;

/// The widest cell.
const WIDEST: usize = 60;

/// The rows of `found`, each line indented; how many more there are.
pub fn table(found: &Found) -> String {
    let single = found.columns.len() == 1;
    let mut lines: Vec<Vec<String>> = Vec::new();
    // A single column that says what is wrong needs no head, and is shown whole.
    if !single {
        lines.push(found.columns.iter().map(|name| cell(name)).collect());
    }
    let shown = |value: &Option<String>| match value {
        Some(text) if single => text.replace('\n', "\n    "),
        Some(text) => cell(text),
        None => "NULL".to_owned(),
    };
    lines.extend(found.rows.iter().map(|row| row.iter().map(shown).collect()));
    let columns = found.columns.len();
    let width = |at: usize| lines.iter().filter_map(|line| line.get(at)).map(|text| text.width()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for line in &lines {
        let padded: Vec<String> = line
            .iter()
            .zip(&widths)
            .map(
                |(text, width)| {
                    if single { text.clone() } else { format!("{text}{}", " ".repeat(width - text.width())) }
                },
            )
            .collect();
        out.push_str("    ");
        out.push_str(padded.join(" | ").trim_end());
        out.push('\n');
    }
    if columns == 0 {
        out = "    (rows without columns)\n".into();
    }
    let more = found.total - found.rows.len() as u64;
    if more > 0 {
        out.push_str(&format!("    … and {more} more\n"));
    }
    out
}

fn cell(text: &str) -> String {
    let text = text.replace(['\n', '\r', '\t'], " ");
    if text.width() <= WIDEST {
        return text;
    }
    let mut cut = String::new();
    for letter in text.chars() {
        if cut.width() >= WIDEST {
            break;
        }
        cut.push(letter);
    }
    cut + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_aligned_and_cut() {
        let text = |text: &str| Some(text.to_owned());
        let found = Found {
            columns: vec!["id".into(), "name".into()],
            rows: vec![vec![text("1"), text("ü\nx")], vec![text("200"), None], vec![text("3"), text(&"x".repeat(99))]],
            total: 30,
        };
        let cut = "x".repeat(60);
        let expected = format!("    id  | name\n    1   | ü x\n    200 | NULL\n    3   | {cut}…\n    … and 27 more\n");
        assert_eq!(table(&found), expected);
    }
}
