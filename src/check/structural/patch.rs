//! Diffs as files: read as a change, and written for a reviewer.

use super::since::{base_of, since};
use super::{Ask, Unjudged, What, detect};
use crate::git::{Change, Repository, Status};
use crate::journal::replace;
use crate::rule::{Content, Verdict};
use std::collections::BTreeMap;
use std::path::Path;

/// Longer diffs are refused.
const LONGEST: u64 = 512 << 20;

/// What a diff says of one path.
#[derive(Debug, Clone, Default)]
pub(super) struct Patched {
    new: bool,
    deleted: bool,
    submodule: bool,
    /// What can't be known from the diff; why.
    unseen: Option<String>,
    hunks: Vec<Hunk>,
}

/// A part of a file.
#[derive(Debug, Clone, Default)]
struct Hunk {
    /// The first line that it is about, from 1; the line before it, where it only adds.
    from: usize,
    old: Vec<Vec<u8>>,
    new: Vec<Vec<u8>>,
}

impl Patched {
    pub(super) fn as_change(&self, path: &str) -> Change {
        let status = match (self.new, self.deleted) {
            (true, _) => Status::Added,
            (_, true) => Status::Deleted,
            _ => Status::Modified,
        };
        Change { path: path.to_owned(), status, submodule: self.submodule }
    }

    /// The content that results.
    pub(super) fn applied_to(&self, old: &Content) -> Content {
        if let Some(why) = &self.unseen {
            return Content::Unseen(why.clone());
        }
        if self.deleted {
            return Content::Absent;
        }
        let before = match old {
            Content::Bytes(bytes) if !self.new => bytes.as_slice(),
            Content::Absent if self.new => &[],
            Content::Unseen(why) => return Content::Unseen(why.clone()),
            _ => return Content::Unseen("the diff does not fit what is here".into()),
        };
        let lines: Vec<&[u8]> = before.split_inclusive(|byte| *byte == b'\n').collect();
        let mut out = Vec::with_capacity(before.len());
        let mut at = 0;
        for hunk in &self.hunks {
            let from = if hunk.old.is_empty() { hunk.from } else { hunk.from.saturating_sub(1) };
            let fits = from >= at
                && lines
                    .get(from..from + hunk.old.len())
                    .is_some_and(|there| there.iter().zip(&hunk.old).all(|(a, b)| a == b));
            if !fits {
                return Content::Unseen(format!("the diff does not fit what is here, at line {}", hunk.from));
            }
            lines[at..from].iter().for_each(|line| out.extend_from_slice(line));
            hunk.new.iter().for_each(|line| out.extend_from_slice(line));
            at = from + hunk.old.len();
        }
        lines[at..].iter().for_each(|line| out.extend_from_slice(line));
        Content::Bytes(out)
    }
}

/// Reads what `git diff` wrote.
pub(super) fn read(file: &Path) -> Result<BTreeMap<String, Patched>, Unjudged> {
    let shown = file.display();
    let help = "give a file that `git diff --no-renames BASE` wrote; what can't be judged does not pass";
    let failed = |error: std::io::Error| Unjudged::new(format!("failed to read `{shown}`: {error}"), help);
    if std::fs::metadata(file).map_err(failed)?.len() > LONGEST {
        return Err(Unjudged::new(format!("`{shown}` is larger than {} MiB", LONGEST >> 20), help));
    }
    let text = std::fs::read(file).map_err(failed)?;
    parse(&text).map_err(|(line, why)| Unjudged::new(format!("`{shown}`:{line}: {why}"), help))
}

fn parse(text: &[u8]) -> Result<BTreeMap<String, Patched>, (usize, String)> {
    let mut all = BTreeMap::new();
    let mut open: Option<(String, Patched)> = None;
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let mut at = 0;
    while at < lines.len() {
        let line = String::from_utf8_lossy(lines[at]);
        let line = line.trim_end_matches(['\n', '\r']);
        let number = at + 1;
        at += 1;
        if let Some(rest) = line.strip_prefix("diff --git ") {
            all.extend(open.take());
            let path = header_path(rest).ok_or((number, "its paths can't be read".to_owned()))?;
            open = Some((path, Patched::default()));
            continue;
        }
        let Some((path, patched)) = &mut open else {
            if line.starts_with("diff ") || line.starts_with("@@") || line.starts_with("--- ") {
                return Err((number, "it is no diff as `git diff` writes it".into()));
            }
            continue;
        };
        if line.starts_with("@@ ") {
            at = hunk(&lines, number, patched)?;
        } else if line.starts_with("@@@") {
            return Err((number, "it is a diff of a merge".into()));
        } else {
            extended(line, path, patched);
        }
    }
    all.extend(open.take());
    if all.is_empty() && text.iter().any(|byte| !byte.is_ascii_whitespace()) {
        return Err((1, "it is no diff as `git diff` writes it".into()));
    }
    Ok(all)
}

/// A line between the header and the first hunk.
fn extended(line: &str, path: &mut String, patched: &mut Patched) {
    let submodule = line.ends_with(" 160000");
    if line.starts_with("new file mode") {
        patched.new = true;
        patched.submodule |= submodule;
    } else if line.starts_with("deleted file mode") {
        patched.deleted = true;
        patched.submodule |= submodule;
    } else if line.starts_with("index ") {
        patched.submodule |= submodule;
    } else if line.starts_with("rename ") || line.starts_with("copy ") {
        patched.unseen = Some("the diff renames or copies it; `git diff --no-renames` says more".into());
    } else if line.starts_with("Binary files ") || line.starts_with("GIT binary patch") {
        patched.unseen = Some("it is binary".into());
    } else if let Some(named) = line.strip_prefix("+++ ").or_else(|| line.strip_prefix("--- ")) {
        let named = named.strip_suffix('\t').unwrap_or(named);
        let named = unquote(named).unwrap_or_else(|| named.to_owned());
        if let Some((_, rest)) = named.split_once('/').filter(|_| named != "/dev/null") {
            rest.clone_into(path);
        }
    }
}

/// Reads a hunk whose head is line `number`; the index of the line behind it is returned.
fn hunk(lines: &[&[u8]], number: usize, patched: &mut Patched) -> Result<usize, (usize, String)> {
    let head = String::from_utf8_lossy(lines[number - 1]);
    let bad = || (number, "a hunk's head can't be read".to_owned());
    let mut words = head.split(' ').skip(1);
    let mut range = |sign: char| -> Option<(usize, usize)> {
        let (from, count) = words
            .next()?
            .strip_prefix(sign)?
            .split_once(',')
            .map_or_else(|| None, |(from, count)| Some((from.to_owned(), count.to_owned())))
            .or_else(|| {
                let first = if sign == '-' { head.split(' ').nth(1)? } else { head.split(' ').nth(2)? };
                Some((first.strip_prefix(sign)?.to_owned(), "1".to_owned()))
            })?;
        Some((from.parse().ok()?, count.parse().ok()?))
    };
    let (from, mut old_left) = range('-').ok_or_else(bad)?;
    let (_, mut new_left) = range('+').ok_or_else(bad)?;
    let mut hunk = Hunk { from, ..Hunk::default() };
    let mut at = number;
    while old_left > 0 || new_left > 0 {
        let line = lines.get(at).ok_or((at + 1, "it ends within a hunk".to_owned()))?;
        at += 1;
        let body = line.get(1..).unwrap_or_default().to_vec();
        let (old, new) = match line.first() {
            Some(b' ') => (true, true),
            Some(b'\n') => (true, true),
            Some(b'-') => (true, false),
            Some(b'+') => (false, true),
            Some(b'\\') => {
                without_newline(&mut hunk, lines.get(at.wrapping_sub(2)).and_then(|line| line.first()));
                continue;
            }
            _ => return Err((at, "a line of a hunk is none".into())),
        };
        let body = if line.first() == Some(&b'\n') { b"\n".to_vec() } else { body };
        if old {
            old_left = old_left.checked_sub(1).ok_or_else(bad)?;
            hunk.old.push(body.clone());
        }
        if new {
            new_left = new_left.checked_sub(1).ok_or_else(bad)?;
            hunk.new.push(body);
        }
    }
    if lines.get(at).is_some_and(|line| line.first() == Some(&b'\\')) {
        without_newline(&mut hunk, lines[at - 1].first());
        at += 1;
    }
    patched.hunks.push(hunk);
    Ok(at)
}

/// `\ No newline at end of file`, behind a line that begins with `sign`.
fn without_newline(hunk: &mut Hunk, sign: Option<&u8>) {
    let cut = |lines: &mut Vec<Vec<u8>>| {
        if let Some(last) = lines.last_mut().filter(|last| last.ends_with(b"\n")) {
            last.pop();
        }
    };
    if sign != Some(&b'+') {
        cut(&mut hunk.old);
    }
    if sign != Some(&b'-') {
        cut(&mut hunk.new);
    }
}

/// `a/x b/x`; the two are the same, or named again in lines that follow.
fn header_path(text: &str) -> Option<String> {
    if let Some(quoted) = text.strip_prefix('"') {
        let end = quoted.find("\" ").map(|at| at + 2)?;
        return unquote(&text[..end])?.split_once('/').map(|(_, path)| path.to_owned());
    }
    let half = (1..text.len()).filter(|at| text.as_bytes()[*at] == b' ').find(|at| {
        let (a, b) = (text[..*at].split_once('/'), text[at + 1..].split_once('/'));
        matches!((a, b), (Some((_, a)), Some((_, b))) if a == b)
    });
    match half {
        Some(at) => text[..at].split_once('/').map(|(_, path)| path.to_owned()),
        None => text.rsplit_once(" b/").map(|(_, path)| path.to_owned()),
    }
}

/// `"a\303\244"` as git quotes it; a text without quotes is itself.
fn unquote(text: &str) -> Option<String> {
    let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        return Some(text.to_owned());
    };
    let mut bytes = Vec::new();
    let mut rest = inner.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let escaped = rest.next()?;
        bytes.push(match escaped {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'v' => 11,
            b'0'..=b'3' => {
                let (second, third) = (rest.next()?, rest.next()?);
                (escaped - b'0') * 64 + second.checked_sub(b'0')? * 8 + third.checked_sub(b'0')?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Writes `pr.diff` and `detect.json` to a folder, for a reviewer; the verdict is returned.
///
/// # Errors
/// It can't be seen what changed, or the folder can't be written.
pub fn prepare(root: &Path, ask: &Ask, out: &Path) -> Result<Verdict, Unjudged> {
    let repository = Repository::open(root)?;
    let verdict = detect(root, ask)?;
    let configured = super::graphs::told(root).settings.unwrap_or_default().base;
    let began = since(&repository, &base_of(&repository, ask, &configured))?;
    let diff = repository.diff(&began.commit, matches!(ask.what, What::Staged))?;
    let json = serde_json::to_string_pretty(&verdict)
        .map_err(|error| Unjudged::new(format!("failed to write JSON: {error}"), "this is a defect in weir"))?;
    let failed = |error: std::io::Error| {
        Unjudged::new(format!("failed to write to `{}`: {error}", out.display()), "name another folder with `--out`")
    };
    std::fs::create_dir_all(out).map_err(failed)?;
    replace(&out.join("pr.diff"), &diff).map_err(failed)?;
    replace(&out.join("detect.json"), format!("{json}\n").as_bytes()).map_err(failed)?;
    Ok(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> (String, Patched) {
        let mut all = parse(text.as_bytes()).unwrap();
        assert_eq!(all.len(), 1, "{text}");
        all.pop_first().unwrap()
    }

    #[test]
    fn hunks_apply_where_they_fit() {
        let (path, patch) = one(
            "diff --git a/x y.sql b/x y.sql\nindex 1..2 100644\n--- a/x y.sql\t\n+++ b/x y.sql\t\n@@ -2,2 +2,3 @@ what\n b\n-c\n+C\n+D\n@@ -9 +10,0 @@\n-i\n",
        );
        assert_eq!(path, "x y.sql");
        let old = "a\nb\nc\nd\ne\nf\ng\nh\ni\n";
        assert_eq!(patch.applied_to(&Content::text(old)), Content::text("a\nb\nC\nD\nd\ne\nf\ng\nh\n"));
        assert!(matches!(patch.applied_to(&Content::text("a\nB\nc\n")), Content::Unseen(_)));
        assert!(matches!(patch.applied_to(&Content::Absent), Content::Unseen(_)));
    }

    #[test]
    fn files_come_and_go() {
        let (path, patch) = one(
            "diff --git a/n b/n\nnew file mode 100644\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+x\n\\ No newline at end of file\n",
        );
        assert_eq!((path.as_str(), patch.applied_to(&Content::Absent)), ("n", Content::text("x")));
        let (_, patch) =
            one("diff --git a/n b/n\ndeleted file mode 100644\n--- a/n\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n");
        assert_eq!(patch.applied_to(&Content::text("x\n")), Content::Absent);
        let (path, patch) = one("diff --git \"a/\\303\\244\" \"b/\\303\\244\"\nBinary files differ\n");
        assert_eq!(path, "ä");
        assert!(matches!(patch.applied_to(&Content::text("x\n")), Content::Unseen(_)));
        let (_, patch) = one("diff --git a/m b/m\nindex 1..2 160000\n");
        assert!(patch.as_change("m").submodule);
    }

    #[test]
    fn what_is_no_diff_is_refused() {
        for text in [
            "hello",
            "--- a\n+++ b\n@@ -1 +1 @@\n",
            "diff --git a/x b/x\n@@ -1,2 +1 @@\n-x\n",
            "diff --git a/x b/x\n@@@ -1 -1 +1 @@@\n",
            "diff --git a/x b/x\n@@ what\n",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(parse(b"").unwrap().is_empty());
    }
}
