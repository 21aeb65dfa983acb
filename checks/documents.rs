//! Every relative link in the documents leads somewhere, down to the heading.

use std::collections::BTreeMap;

/// The links of a document: line and target; code left out.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let mut rest = line.as_str();
        while let Some(at) = rest.find("](") {
            rest = &rest[at + 2..];
            let mut depth = 0;
            let end = rest.find(|c| {
                depth += i32::from(c == '(') - i32::from(c == ')');
                depth < 0
            });
            let Some(end) = end else { break };
            let target = rest[..end].split_whitespace().next().unwrap_or_default();
            found.push((number, target.trim_matches(['<', '>']).to_owned()));
            rest = &rest[end..];
        }
        if let Some((label, target)) = line.strip_prefix('[').and_then(|line| line.split_once("]: "))
            && !label.starts_with('^')
        {
            found.push((number, target.split_whitespace().next().unwrap_or_default().to_owned()));
        }
    }
    found
}

/// Lines outside code, each with its number; code within a line is blanked.
fn prose(text: &str) -> Vec<(usize, String)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && !line.starts_with("    ") {
            let outside: Vec<&str> = line.split('`').step_by(2).collect();
            lines
                .push((index + 1, if line.matches('`').count() % 2 == 0 { outside.join("") } else { line.to_owned() }));
        }
    }
    lines
}

/// The anchors of a document's headings, as forges make them.
fn anchors(text: &str) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut fenced = false;
    let mut all = Vec::new();
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        let heading = line.trim_start_matches('#');
        if fenced || heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let slug: String = heading
            .trim()
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let count = seen.entry(slug.clone()).or_default();
        all.push(if *count == 0 { slug } else { format!("{slug}-{count}") });
        *count += 1;
    }
    all
}

/// What is wrong with a document's links; `read` gives the text of what is there, empty for a folder.
fn judge(file: &str, text: &str, read: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let mut findings = Vec::new();
    for (line, target) in links(text) {
        if target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let (path, anchor) =
            target.split_once('#').map_or((target.as_str(), None), |(path, anchor)| (path, Some(anchor)));
        let resolved = if path.is_empty() { Some(file.to_owned()) } else { resolve(file, path) };
        let there = match &resolved {
            Some(same) if same == file => Some(text.to_owned()),
            Some(other) => read(other),
            None => None,
        };
        match (there, anchor) {
            (None, _) => findings.push(format!("{file}:{line}: `{target}` leads nowhere")),
            (Some(text), Some(anchor)) if !anchors(&text).iter().any(|known| known == anchor) => {
                findings.push(format!("{file}:{line}: `{target}`: there is no such heading"));
            }
            _ => {}
        }
    }
    findings
}

fn resolve(file: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[test]
fn links_lead_somewhere() {
    let mut documents = crate::files("docs", "md");
    for top in ["README.md", "CHANGELOG.md"] {
        documents.extend(std::fs::read_to_string(crate::root().join(top)).map(|text| (top.to_owned(), text)));
    }
    assert!(documents.len() > 5, "the documents are not where they were");
    let read = |path: &str| {
        let path = crate::root().join(path);
        if path.is_dir() { Some(String::new()) } else { std::fs::read_to_string(path).ok() }
    };
    let findings: Vec<String> = documents.iter().flat_map(|(file, text)| judge(file, text, &read)).collect();
    crate::assert_none(&findings, "links are relative to the document that holds them");
}

#[test]
fn planted_violations_are_found() {
    let read = |path: &str| match path {
        "docs/a.md" => Some("# One Two\n## `x`: y\n## One Two\n".to_owned()),
        "docs" => Some(String::new()),
        _ => None,
    };
    let text = "# Here\n[a](docs/a.md) [b](docs/b.md \"title\")\n[c](docs/a.md#one-two) [d](docs/a.md#x-y) [e](docs/a.md#two)\n\
                `[f](gone.md)` [g](#here) [h](#there) [i](https://example.org/x)\n```\n[j](gone.md)\n```\n[k]: gone.md\n\
                [l](../out.md) [m](docs/) [n](docs/a.md#one-two-1)\n";
    let findings = judge("README.md", text, &read).join("\n");
    for expected in ["2: `docs/b.md`", "3: `docs/a.md#two`", "4: `#there`", "8: `gone.md`", "9: `../out.md`"] {
        assert!(findings.contains(expected), "{expected}: {findings}");
    }
    assert_eq!(findings.lines().count(), 5, "{findings}");
}
