//! Whether two patterns can match a common path, without looking at the disk.

use crate::config::{Pattern, build_glob};
use crate::model::WsPath;
use std::collections::BTreeMap;

/// Whether some path may be covered by both `a` and `b`: matched, or below what is matched.
/// Exact for literals and one-sided globs; where both sides are globs, character classes count as
/// any character.
pub fn may_overlap(a: &Pattern, b: &Pattern) -> bool {
    if !(a.prefix.is_within(&b.prefix) || b.prefix.is_within(&a.prefix)) {
        return false;
    }
    let (Some(a_all), Some(b_all)) = (alternatives(a), alternatives(b)) else { return true };
    a_all.iter().any(|a| b_all.iter().any(|b| meet(a, b, (looks_like_file(a), looks_like_file(b)))))
}

/// Whether every path that `output` can produce is taken away by `negation`.
pub fn wholly_negated(output: &Pattern, negation: &Pattern) -> bool {
    if negation.glob.is_none() {
        return output.prefix.is_within(&negation.prefix);
    }
    if negation.prefix == output.prefix && negation.glob == output.glob {
        return true;
    }
    output.glob.is_none() && negation.covers(&output.prefix)
}

/// The components of a pattern, one list for each way through its braces; none if there are too many.
fn alternatives(pattern: &Pattern) -> Option<Vec<Vec<String>>> {
    let globs = match &pattern.glob {
        None => vec![String::new()],
        Some(glob) => expand(glob, 64)?,
    };
    Some(
        globs
            .iter()
            .map(|glob| {
                let prefix = pattern.prefix.components().map(escape);
                prefix.chain(glob.split('/').filter(|part| !part.is_empty()).map(str::to_owned)).collect()
            })
            .collect(),
    )
}

fn escape(literal: &str) -> String {
    let mut out = String::with_capacity(literal.len());
    for c in literal.chars() {
        if "*?[]{}\\".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Writes out `{a,b}`.
fn expand(glob: &str, limit: usize) -> Option<Vec<String>> {
    let Some(open) = find_unescaped(glob, 0, '{') else { return Some(vec![glob.to_owned()]) };
    let mut depth = 0;
    let mut cuts = vec![open];
    let mut close = None;
    let mut escaped = false;
    for (at, c) in glob.char_indices().skip_while(|(at, _)| *at < open) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    close = Some(at);
                    break;
                }
            }
            ',' if depth == 1 => cuts.push(at),
            _ => {}
        }
    }
    let close = close?;
    cuts.push(close);
    let mut all = Vec::new();
    for pair in cuts.windows(2) {
        let choice = &glob[pair[0] + 1..pair[1]];
        all.extend(expand(&format!("{}{choice}{}", &glob[..open], &glob[close + 1..]), limit)?);
        if all.len() > limit {
            return None;
        }
    }
    Some(all)
}

fn find_unescaped(text: &str, from: usize, wanted: char) -> Option<usize> {
    let mut escaped = false;
    text[from..].char_indices().find_map(|(at, c)| {
        let hit = !escaped && c == wanted;
        escaped = !escaped && c == '\\';
        hit.then_some(from + at)
    })
}

/// Whether the last component has an extension: then nothing is expected below it. The disk is
/// not asked, so this is a guess; without it `src/**/*.rs` would overlap with `src/x.ts`.
fn looks_like_file(parts: &[String]) -> bool {
    parts.last().is_some_and(|part| part != "**" && part.trim_start_matches('.').contains('.'))
}

/// Whether a path matched by one list of components can be, or lie below or above, one matched by
/// the other. `files`: nothing lies below what the one, or the other, matches.
fn meet(a: &[String], b: &[String], files: (bool, bool)) -> bool {
    let ends = |rest: &[String], is_file: bool| !is_file || rest.iter().all(|part| part == "**");
    match (a.split_first(), b.split_first()) {
        (None, _) => ends(b, files.0),
        (_, None) => ends(a, files.1),
        (Some((x, a_rest)), Some((y, b_rest))) => {
            if x == "**" || y == "**" {
                meet(a_rest, b, files) || meet(a, b_rest, files)
            } else {
                component_meets(x, y) && meet(a_rest, b_rest, files)
            }
        }
    }
}

fn is_plain(part: &str) -> bool {
    !part.contains(['*', '?', '[', '\\'])
}

fn component_meets(a: &str, b: &str) -> bool {
    let matches = |glob: &str, text: &str| build_glob(glob).is_ok_and(|glob| glob.compile_matcher().is_match(text));
    match (is_plain(a), is_plain(b)) {
        (true, true) => a == b,
        (true, false) => matches(b, a),
        (false, true) => matches(a, b),
        (false, false) => tokens_meet(&tokens(a), &tokens(b)),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    One(char),
    AnyOne,
    AnyRun,
}

fn tokens(part: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = part.chars();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' => Token::AnyRun,
            '?' => Token::AnyOne,
            '[' => {
                // `[!a]`, `[]a]`: the first `]` may belong to the class.
                let mut first = true;
                for inside in chars.by_ref() {
                    if inside == ']' && !first {
                        break;
                    }
                    first = first && matches!(inside, '!' | '^');
                }
                Token::AnyOne
            }
            '\\' => chars.next().map_or(Token::AnyOne, Token::One),
            c => Token::One(c),
        });
    }
    tokens
}

fn tokens_meet(a: &[Token], b: &[Token]) -> bool {
    match (a.split_first(), b.split_first()) {
        (None, None) => true,
        (Some((Token::AnyRun, rest)), _) if tokens_meet(rest, b) => true,
        (_, Some((Token::AnyRun, rest))) if tokens_meet(a, rest) => true,
        (Some((Token::AnyRun, _)), Some((_, b_rest))) => tokens_meet(a, b_rest),
        (Some((_, a_rest)), Some((Token::AnyRun, _))) => tokens_meet(a_rest, b),
        (Some((x, a_rest)), Some((y, b_rest))) => {
            let same = match (x, y) {
                (Token::One(x), Token::One(y)) => x == y,
                _ => true,
            };
            same && tokens_meet(a_rest, b_rest)
        }
        _ => false,
    }
}

/// Patterns by their literal prefix, to find those that may overlap with another one.
#[derive(Debug, Default)]
pub struct PrefixIndex {
    here: Vec<usize>,
    below: BTreeMap<String, PrefixIndex>,
}

impl PrefixIndex {
    /// Adds a pattern under an id.
    pub fn insert(&mut self, prefix: &WsPath, id: usize) {
        let mut node = self;
        for part in prefix.components() {
            node = node.below.entry(part.to_owned()).or_default();
        }
        node.here.push(id);
    }

    /// The ids whose prefix is above, at or below `prefix`.
    pub fn near(&self, prefix: &WsPath, mut each: impl FnMut(usize)) {
        let mut node = self;
        for part in prefix.components() {
            node.here.iter().for_each(|id| each(*id));
            match node.below.get(part) {
                Some(next) => node = next,
                None => return,
            }
        }
        node.all(&mut each);
    }

    fn all(&self, each: &mut impl FnMut(usize)) {
        self.here.iter().for_each(|id| each(*id));
        self.below.values().for_each(|node| node.all(each));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(&WsPath::root(), text).unwrap()
    }

    #[test]
    fn overlaps() {
        for (a, b, expected) in [
            ("src", "src/a.rs", true),
            ("src/a.rs", "src", true),
            ("src/a", "src/ab", false),
            ("src/**/*.rs", "src/gen/x.rs", true),
            ("src/**/*.rs", "src/gen/x.ts", false),
            ("src/**/*.rs", "src/gen", true),
            ("src/*.rs", "src/gen/x.rs", false),
            ("dist/*.js", "dist/*.css", false),
            ("dist/a*", "dist/*b", true),
            ("**/*.rs", "target/out.rs", true),
            ("{a,b}/x", "b/x", true),
            ("{a,b}/x", "c/x", false),
            ("out/**", "out/deep/er", true),
            ("*", "a/b", true),
            ("packages/*/dist", "packages/web/dist/index.js", true),
        ] {
            assert_eq!(may_overlap(&pattern(a), &pattern(b)), expected, "{a} and {b}");
            assert_eq!(may_overlap(&pattern(b), &pattern(a)), expected, "{b} and {a}");
        }
    }

    #[test]
    fn negations() {
        assert!(wholly_negated(&pattern("src/gen/x.rs"), &pattern("!src/gen")));
        assert!(wholly_negated(&pattern("src/x.gen.rs"), &pattern("!src/*.gen.rs")));
        assert!(!wholly_negated(&pattern("src/*.rs"), &pattern("!src/gen")));
    }

    proptest! {
        /// A path covered by both patterns means that they overlap.
        #[test]
        fn never_misses_an_overlap(
            a in "(a|b|\\*|\\*\\*|a\\*|\\?b|\\{a,bb\\})(/(a|b|\\*|\\*\\*|\\*b|\\[ab\\])){0,3}",
            b in "(a|b|\\*|\\*\\*|a\\*|\\?b|\\{a,bb\\})(/(a|b|\\*|\\*\\*|\\*b|\\[ab\\])){0,3}",
            path in "[ab]{1,2}(/[ab]{1,2}){0,4}",
        ) {
            let (a, b) = (pattern(&a), pattern(&b));
            let path = WsPath::from_clean(path);
            if a.covers(&path) && b.covers(&path) {
                prop_assert!(may_overlap(&a, &b));
            }
        }
    }
}
