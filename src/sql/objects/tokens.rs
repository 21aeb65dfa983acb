//! Tokens made alike: without comments and white space, unquoted names in lower case.

use crate::sql::split::{Word, is_string, words};
use squawk_lexer::{LiteralKind, TokenKind};

/// A token, made alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its text, made alike.
    pub text: String,
    /// A name or keyword, whether it was quoted or not.
    pub name: bool,
    /// What a string holds.
    pub string: Option<String>,
    /// Its first byte.
    pub start: usize,
    /// Behind its last.
    pub end: usize,
}

impl Token {
    /// Whether it is this keyword, punctuation or simple name.
    pub fn is(&self, text: &str) -> bool {
        self.text == text
    }

    fn is_operator(&self) -> bool {
        !self.name && self.text.len() == 1 && "+-*/<>=~!@#%^&|`?:".contains(&self.text)
    }
}

/// The tokens of a text that begins at the byte `offset`.
pub fn tokens(text: &str, offset: usize) -> Vec<Token> {
    let mut broken = false;
    words(text, &mut broken).iter().map(|word| token(word, offset)).collect()
}

fn token(word: &Word<'_>, offset: usize) -> Token {
    let (text, name) = match word.kind {
        TokenKind::Ident => (word.text.to_ascii_lowercase(), true),
        TokenKind::QuotedIdent { uescape: false, .. } => (unquoted(word.text), true),
        TokenKind::QuotedIdent { .. } => (word.text.to_owned(), true),
        TokenKind::Literal { kind } if !is_string(word.kind) && !is_other_string(kind) => {
            (word.text.to_ascii_lowercase(), false)
        }
        _ => (word.text.to_owned(), false),
    };
    let string = is_string(word.kind).then(|| content(word.text)).flatten();
    Token { text, name, string, start: offset + word.range.start, end: offset + word.range.end }
}

fn is_other_string(kind: LiteralKind) -> bool {
    matches!(kind, LiteralKind::NationalStr { .. } | LiteralKind::ByteStr { .. } | LiteralKind::BitStr { .. })
}

/// `"name"` is `name`, unless the quotes mean something.
fn unquoted(text: &str) -> String {
    let inner = text.trim_start_matches('"').trim_end_matches('"');
    let plain = !inner.is_empty()
        && inner.len() + 2 == text.len()
        && inner.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !inner.starts_with(|c: char| c.is_ascii_digit());
    if plain && !RESERVED.contains(&inner) { inner.to_owned() } else { text.to_owned() }
}

/// What a string literal holds; none where escapes would have to be understood.
fn content(text: &str) -> Option<String> {
    if let Some(rest) = text.strip_prefix('$') {
        let tag = rest.find('$')?;
        let quote = &text[..tag + 2];
        return text.strip_prefix(quote)?.strip_suffix(quote).map(str::to_owned);
    }
    if let Some(inner) = text.strip_prefix('\'') {
        return inner.strip_suffix('\'').map(|inner| inner.replace("''", "'"));
    }
    let inner = text.strip_prefix(['e', 'E'])?.strip_prefix('\'')?.strip_suffix('\'')?;
    (!inner.contains('\\')).then(|| inner.replace("''", "'"))
}

/// Tokens as one text; the same for texts that mean the same to the parser.
pub fn canonical(tokens: &[Token]) -> String {
    let mut text = String::new();
    let mut last: Option<&Token> = None;
    for token in tokens {
        if let Some(last) = last {
            // `< -` are two operators, `<-` is one.
            let glued = last.end == token.start && last.is_operator() && token.is_operator();
            if !glued {
                text.push(' ');
            }
        }
        text.push_str(&token.text);
        last = Some(token);
    }
    text
}

/// The parts between commas that stand in no parentheses.
pub fn by_comma(tokens: &[Token]) -> Vec<&[Token]> {
    let mut parts = Vec::new();
    let (mut depth, mut from) = (0_usize, 0);
    for (index, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            "," if depth == 0 => {
                parts.push(&tokens[from..index]);
                from = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&tokens[from..]);
    parts.retain(|part| !part.is_empty());
    parts
}

/// Where, from `from` on, one of these words stands outside parentheses.
pub fn find(tokens: &[Token], from: usize, texts: &[&str]) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(from) {
        match token.text.as_str() {
            text if depth == 0 && texts.contains(&text) => return Some(index),
            "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// Behind the parenthesis that closes the one at `open`.
pub fn behind_close(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" => depth += 1,
            ")" => {
                depth -= 1;
                if depth == 0 {
                    return index + 1;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

/// Whether these words stand one after another somewhere.
pub fn has(tokens: &[Token], words: &[&str]) -> bool {
    tokens.windows(words.len()).any(|window| window.iter().zip(words).all(|(token, word)| token.is(word)))
}

/// A name at `at`, with the schemas in front of it; and where it ends.
pub fn name_at(tokens: &[Token], at: usize) -> (String, usize) {
    let mut name = String::new();
    let mut index = at;
    while let Some(token) = tokens.get(index).filter(|token| token.name) {
        name.push_str(&token.text);
        index += 1;
        if !tokens.get(index).is_some_and(|dot| dot.is(".")) {
            break;
        }
        name.push('.');
        index += 1;
    }
    (name, index)
}

/// Words that mean something else with quotes around them: what Postgres reserves.
const RESERVED: [&str; 98] = [
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "binary",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "false",
    "fetch",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "group",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "natural",
    "not",
    "notnull",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "outer",
    "overlaps",
    "placing",
    "primary",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "similar",
    "some",
    "symmetric",
    "table",
    "then",
    "to",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "when",
    "where",
    "with",
];
