//! Why a task may have failed elsewhere that would not have failed here: a file that is in the workspace, and that it did not
//! say it reads.

use super::Job;
use crate::cache::Manifest;
use crate::config::Pattern;
use crate::engine::services::Elsewhere;
use crate::fingerprint::Selection;
use crate::model::WsPath;

/// What lines say of a file that is not there, in lower case.
const SIGNS: [&str; 12] = [
    "no such file",
    "not found",
    "does not exist",
    "doesn't exist",
    "cannot find",
    "can't find",
    "could not find",
    "couldn't find",
    "cannot open",
    "can't open",
    "enoent",
    "no rule to make target",
];
/// Lines that are looked at.
const LINES: usize = 50;
/// Files that are named.
const NAMED: usize = 3;

impl Job<'_> {
    /// Says what a task that failed elsewhere may have missed, and how to see that here.
    pub(super) fn explain_failure(&self, inputs: &Manifest, log: &str) {
        let name = self.node.name().as_str();
        let again = match name.contains(' ') {
            _ if self.services.elsewhere == Elsewhere::Isolated => None,
            true => Some("`--isolated` shows the same here".to_owned()),
            false => Some(format!("`weir run --isolated -f {name}` shows the same here")),
        };
        let missed = self.missed(inputs, log);
        if missed.is_empty() {
            let message = "it ran with nothing but its `sources` and what its dependencies left".to_owned();
            return self.warn("ran-elsewhere", message, again);
        }
        let again = again.map(|again| format!("; {again}")).unwrap_or_default();
        let named: Vec<String> = missed.iter().map(|path| format!("`{path}`")).collect();
        let (verb, them) = if missed.len() == 1 { ("is", "it") } else { ("are", "them") };
        self.warn(
            "undeclared-input",
            format!(
                "{} {verb} there, but not among the sources of `{name}`, which ran without {them}",
                named.join(", ")
            ),
            Some(format!("add {them} to `sources`{again}")),
        );
    }

    fn missed(&self, inputs: &Manifest, log: &str) -> Vec<WsPath> {
        let facts = self.node.node.facts();
        let outputs = Selection::new(facts.effects.patterns());
        let root = &self.services.root;
        let dir = self.node.node.errand(root, &self.services.outside, &[]).map(|errand| errand.dir).unwrap_or_default();
        let known = |path: &WsPath| inputs.0.iter().any(|entry| entry.path.is_within(path));
        let missed = |path: &WsPath| {
            let own = matches!(path.components().next(), None | Some(".weir" | ".git"));
            !own && !known(path) && !outputs.covers(path) && std::fs::symlink_metadata(path.under(root)).is_ok()
        };
        let whole = WsPath::root();
        let mut found: Vec<WsPath> = Vec::new();
        for words in lines_of_missing(log) {
            let beside: Vec<WsPath> = words
                .iter()
                .filter_map(|word| {
                    WsPath::resolve(&dir, word).ok().filter(|path| known(path)).and_then(|path| path.parent())
                })
                .collect();
            for word in &words {
                let bases = [&dir, &whole].into_iter().chain(&beside);
                let here = bases.filter_map(|base| WsPath::resolve(base, word).ok()).find(|path| missed(path));
                let path =
                    here.or_else(|| by_tail(word, &missed)).or_else(|| self.by_name(word).filter(|path| missed(path)));
                found.extend(path);
            }
        }
        found.sort();
        found.dedup();
        found.truncate(NAMED);
        found
    }

    /// The one file of the workspace that is called so, whatever folder it is in.
    fn by_name(&self, word: &str) -> Option<WsPath> {
        // A word without either is hardly a file's name.
        if !word.contains(['.', '/']) || word.starts_with(['.', '/']) {
            return None;
        }
        let literal: String = word
            .chars()
            .flat_map(|c| ['\\', c].into_iter().skip(usize::from(c.is_alphanumeric() || c == '/')))
            .collect();
        let pattern = Pattern::parse(&WsPath::root(), &format!("**/{literal}")).ok()?;
        match &self.services.surveyor.select(&[pattern]).ok()?[..] {
            [only] => Some(only.clone()),
            _ => None,
        }
    }
}

/// Of an absolute path on another machine: the longest end of it that is missed here.
fn by_tail(word: &str, missed: &dyn Fn(&WsPath) -> bool) -> Option<WsPath> {
    let mut rest = word.strip_prefix('/')?;
    while let Some((_, tail)) = rest.split_once('/') {
        rest = tail;
        let path = WsPath::resolve(&WsPath::root(), rest).ok().filter(|path| missed(path));
        if path.is_some() {
            return path;
        }
    }
    None
}

/// The words of lines that say that something is not there.
fn lines_of_missing(log: &str) -> Vec<Vec<&str>> {
    let says = |line: &&str| {
        let line = line.to_lowercase();
        SIGNS.iter().any(|sign| line.contains(sign))
    };
    let cuts = |c: char| c.is_whitespace() || "'\"`()<>[]{},;:=|‘’“”".contains(c);
    // Of the sign itself.
    let common = |word: &str| {
        let word = word.to_lowercase();
        ["error", "fatal", "make"].contains(&word.as_str())
            || SIGNS.iter().any(|sign| sign.split(' ').any(|of| of == word))
            || ["or", "directory"].contains(&word.as_str())
    };
    let word =
        |word: &str| word.len() > 1 && word.len() < 4096 && word.chars().any(char::is_alphanumeric) && !common(word);
    log.lines()
        .filter(says)
        .take(LINES)
        .map(|line| line.split(cuts).map(|part| part.trim_end_matches('.')).filter(|part| word(part)).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_lines_that_miss_something() {
        let log = "all is well with a.txt\n\
            src/main.c:1:10: fatal error: util.h: No such file or directory\n\
            cat: data: No such file or directory\n\
            FileNotFoundError: [Errno 2] No such file or directory: 'conf/x.json'\n\
            bash: line 1: ./tool.sh: not found\n\
            make: *** No rule to make target 'b.c', needed by 'b.o'.  Stop.\n";
        let words = lines_of_missing(log);
        assert_eq!(words[0], ["src/main.c", "10", "util.h"]);
        assert_eq!(words[1], ["cat", "data"]);
        assert!(words[2].contains(&"conf/x.json"));
        assert!(words[3].contains(&"./tool.sh"));
        assert!(words[4].contains(&"b.c"));
        assert_eq!(words.len(), 5);
    }

    #[test]
    fn a_path_of_another_machine_is_known_by_its_end() {
        let missed = |path: &WsPath| path.as_str() == "src/x.h";
        assert_eq!(by_tail("/build/17/src/x.h", &missed), Some(WsPath::from_clean("src/x.h")));
        assert_eq!(by_tail("/build/17/src/y.h", &missed), None);
        assert_eq!(by_tail("src/x.h", &missed), None);
    }
}
