//! Just enough of Rust's grammar to find paths: tokens without comments and literals, `use` trees,
//! inline modules, and what is only compiled for tests.

/// A token that matters.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Sign(char),
}

/// A path that the code names, made absolute: `["crate", "graph", "Plan"]`, `["tokio", "sync"]`.
#[derive(Debug, Clone)]
pub struct Named {
    pub line: usize,
    pub path: Vec<String>,
    /// It is compiled for tests only.
    pub in_test: bool,
}

/// A source file, taken apart.
pub struct Source {
    /// `["graph", "plan"]`.
    pub module: Vec<String>,
    pub paths: Vec<Named>,
    /// Names of inline modules.
    pub inline: Vec<(usize, String)>,
    /// Macros called: line, name.
    pub macros: Vec<(usize, String)>,
    /// Lines of `static mut`.
    pub mutable_statics: Vec<usize>,
    /// Lines that are not for tests.
    pub lines: usize,
}

impl Source {
    /// Takes `text` apart; `file` is relative to the top and below `src`.
    pub fn new(file: &str, text: &str) -> Self {
        let module = module_of(file);
        let tokens = tokens(text);
        let tests = test_regions(&tokens);
        let whole_for_tests = module.iter().any(|part| part == "tests" || part.ends_with("_tests"));
        let in_test = |at: usize| whole_for_tests || tests.iter().any(|region| region.contains(&at));
        let mut source = Self {
            module: module.clone(),
            paths: vec![],
            inline: vec![],
            macros: vec![],
            mutable_statics: vec![],
            lines: 0,
        };
        let test_lines: usize = tests.iter().map(|r| tokens[r.end - 1].0 + 1 - tokens[r.start].0).sum();
        source.lines = if whole_for_tests { 0 } else { text.lines().count() - test_lines };
        let word = |at: usize| match tokens.get(at) {
            Some((_, Token::Word(word))) => Some(word.as_str()),
            _ => None,
        };
        let sign = |at: usize, wanted: char| matches!(tokens.get(at), Some((_, Token::Sign(c))) if *c == wanted);
        // The inline modules around the present place, with the depth of braces they began at.
        let mut around: Vec<(String, usize)> = Vec::new();
        let mut depth = 0;
        let mut at = 0;
        while at < tokens.len() {
            let line = tokens[at].0;
            let here = || module.iter().cloned().chain(around.iter().map(|(name, _)| name.clone())).collect::<Vec<_>>();
            match &tokens[at].1 {
                Token::Sign('{') => depth += 1,
                Token::Sign('}') => {
                    depth -= 1;
                    around.retain(|(_, began)| *began < depth);
                    while around.last().is_some_and(|(_, began)| *began >= depth) {
                        around.pop();
                    }
                }
                Token::Word(name) if name == "mod" && word(at + 1).is_some() && sign(at + 2, '{') => {
                    let name = word(at + 1).unwrap_or_default().to_owned();
                    source.inline.push((line, name.clone()));
                    around.push((name, depth));
                    at += 1;
                }
                Token::Word(name) if name == "static" && word(at + 1) == Some("mut") => {
                    source.mutable_statics.push(line);
                }
                Token::Word(name) if name == "use" && !sign(at + 1, '<') => {
                    let mut end = at + 1;
                    while end < tokens.len() && !sign(end, ';') {
                        end += 1;
                    }
                    let mut found = Vec::new();
                    use_tree(&tokens[at + 1..end], &[], &mut found);
                    for (line, path) in found {
                        source.paths.push(Named { line, path: absolute(path, &here()), in_test: in_test(at) });
                    }
                    at = end;
                }
                Token::Word(name) => {
                    if sign(at + 1, '!') && !in_test(at) {
                        source.macros.push((line, name.clone()));
                    }
                    let mut path = vec![name.clone()];
                    let mut end = at + 1;
                    while sign(end, ':') && sign(end + 1, ':') {
                        let Some(next) = word(end + 2) else { break };
                        path.push(next.to_owned());
                        end += 3;
                    }
                    // The path of a method's or an attribute's tail begins with a sign; it has no head.
                    let headless =
                        at >= 2 && sign(at - 1, ':') && sign(at - 2, ':') && at >= 3 && word(at - 3).is_some();
                    if path.len() > 1 && !headless {
                        source.paths.push(Named { line, path: absolute(path, &here()), in_test: in_test(at) });
                        at = end - 1;
                    }
                }
                Token::Sign(_) => {}
            }
            at += 1;
        }
        source
    }
}

fn module_of(file: &str) -> Vec<String> {
    let path = file.strip_prefix("src/").unwrap_or(file).trim_end_matches(".rs");
    let mut parts: Vec<String> = path.split('/').map(str::to_owned).collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

/// `super` and `self` resolved against the module that the path stands in.
fn absolute(path: Vec<String>, module: &[String]) -> Vec<String> {
    let mut here = module.to_vec();
    let mut rest = path.as_slice();
    match rest.first().map(String::as_str) {
        Some("self") => rest = &rest[1..],
        Some("super") => {}
        _ => return path,
    }
    while let Some("super") = rest.first().map(String::as_str) {
        here.pop();
        rest = &rest[1..];
    }
    std::iter::once("crate".to_owned()).chain(here).chain(rest.iter().cloned()).collect()
}

/// The paths of one `use`, `*` and `self` at the end dropped.
fn use_tree(tokens: &[(usize, Token)], before: &[String], found: &mut Vec<(usize, Vec<String>)>) {
    let mut path = before.to_vec();
    let mut line = tokens.first().map_or(0, |(line, _)| *line);
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at].1 {
            Token::Word(word) if word == "as" => break,
            Token::Word(word) => {
                line = tokens[at].0;
                if word != "self" || path.is_empty() {
                    path.push(word.clone());
                }
            }
            Token::Sign('{') => {
                let inside = &tokens[at + 1..tokens.len() - 1];
                let (mut depth, mut start) = (0, 0);
                for (index, (_, token)) in inside.iter().enumerate() {
                    match token {
                        Token::Sign('{') => depth += 1,
                        Token::Sign('}') => depth -= 1,
                        Token::Sign(',') if depth == 0 => {
                            use_tree(&inside[start..index], &path, found);
                            start = index + 1;
                        }
                        _ => {}
                    }
                }
                use_tree(&inside[start..], &path, found);
                return;
            }
            Token::Sign(_) => {}
        }
        at += 1;
    }
    if path.len() > before.len() || !tokens.is_empty() {
        found.push((line, path));
    }
}

/// The tokens of items under `#[cfg(test)]`, from the attribute to the item's end.
fn test_regions(tokens: &[(usize, Token)]) -> Vec<std::ops::Range<usize>> {
    let plain: Vec<String> = tokens
        .iter()
        .map(|(_, token)| match token {
            Token::Word(word) => word.clone(),
            Token::Sign(sign) => sign.to_string(),
        })
        .collect();
    let mark = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut regions: Vec<std::ops::Range<usize>> = Vec::new();
    for start in 0..plain.len() {
        if regions.last().is_some_and(|region| region.contains(&start))
            || !plain[start..].starts_with(&mark.map(String::from))
        {
            continue;
        }
        let (mut depth, mut end) = (0, start);
        while end < plain.len() {
            match plain[end].as_str() {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth -= 1,
                _ => {}
            }
            end += 1;
            if depth == 0 && matches!(plain[end - 1].as_str(), ";" | "}") {
                break;
            }
        }
        regions.push(start..end);
    }
    regions
}

/// Words and signs, each with its line from 1; comments, strings, characters and numbers left out.
fn tokens(text: &str) -> Vec<(usize, Token)> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut at = 0;
    let is = |at: usize, wanted: &str| wanted.chars().enumerate().all(|(n, c)| chars.get(at + n) == Some(&c));
    let word_char = |c: char| c.is_alphanumeric() || c == '_';
    while at < chars.len() {
        let start = at;
        let c = chars[at];
        if is(at, "//") {
            while at < chars.len() && chars[at] != '\n' {
                at += 1;
            }
        } else if is(at, "/*") {
            let mut depth = 0;
            loop {
                if is(at, "/*") {
                    (depth, at) = (depth + 1, at + 2);
                } else if is(at, "*/") {
                    (depth, at) = (depth - 1, at + 2);
                } else {
                    at += 1;
                }
                if depth == 0 || at >= chars.len() {
                    break;
                }
            }
        } else if let Some(end) =
            raw_string(&chars, at).or_else(|| string(&chars, at)).or_else(|| character(&chars, at))
        {
            at = end;
        } else if word_char(c) {
            while at < chars.len() && word_char(chars[at]) {
                at += 1;
            }
            if !c.is_ascii_digit() {
                tokens.push((line, Token::Word(chars[start..at].iter().collect())));
            }
        } else {
            at += 1;
            if !c.is_whitespace() {
                tokens.push((line, Token::Sign(c)));
            }
        }
        line += chars[start..at.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    tokens
}

/// The end of `r"…"`, `br#"…"#`, if one begins here.
fn raw_string(chars: &[char], at: usize) -> Option<usize> {
    let mut begin = at;
    while matches!(chars.get(begin), Some('b' | 'c')) && begin == at {
        begin += 1;
    }
    if chars.get(begin) != Some(&'r') {
        return None;
    }
    let hashes = chars[begin + 1..].iter().take_while(|c| **c == '#').count();
    let open = begin + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let close =
        |at: usize| chars[at] == '"' && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
    Some((open + 1..chars.len()).find(|at| close(*at)).map_or(chars.len(), |at| at + 1 + hashes))
}

fn string(chars: &[char], at: usize) -> Option<usize> {
    let open = if matches!(chars.get(at), Some('b' | 'c')) { at + 1 } else { at };
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let mut at = open + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    Some(at + 1)
}

/// A character, or a lifetime, which is left out as well.
fn character(chars: &[char], at: usize) -> Option<usize> {
    let open = if chars.get(at) == Some(&'b') { at + 1 } else { at };
    if chars.get(open) != Some(&'\'') {
        return None;
    }
    if chars.get(open + 1) == Some(&'\\') {
        return Some((open + 3..chars.len()).find(|at| chars[*at] == '\'').map_or(chars.len(), |at| at + 1));
    }
    if chars.get(open + 2) == Some(&'\'') {
        return Some(open + 3);
    }
    let name = chars[open + 1..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
    Some(open + 1 + name)
}
