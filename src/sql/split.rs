//! A text in statements.

use super::kind::{Kind, kind_of};
use squawk_lexer::{LiteralKind, TokenKind, tokenize};
use std::ops::Range;

/// A statement of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its bytes in the text, from its first token to its last: without comments around it, and without the `;`.
    pub range: Range<usize>,
    /// What matters of it to somebody who runs it.
    pub kind: Kind,
    /// The bytes of the first string in it with its quotes: the body, where it is a `DO`.
    pub first_string: Option<Range<usize>>,
    /// A string, a comment or a quoted name in it begins and does not end.
    pub unterminated: bool,
}

impl Statement {
    /// Its text.
    pub fn of<'t>(&self, text: &'t str) -> &'t str {
        &text[self.range.clone()]
    }
}

/// A token that means something.
#[derive(Debug, Clone)]
pub(super) struct Word<'t> {
    pub(super) kind: TokenKind,
    pub(super) text: &'t str,
    pub(super) range: Range<usize>,
}

impl Word<'_> {
    /// Whether it is this keyword, unquoted.
    pub(super) fn is(&self, keyword: &str) -> bool {
        self.kind == TokenKind::Ident && self.text.eq_ignore_ascii_case(keyword)
    }
}

/// The statements of `text`, in order. `;` in strings, comments, parentheses and `BEGIN ATOMIC … END` does not end one.
pub fn split(text: &str) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut open = Open::default();
    let mut broken = false;
    for word in words(text, &mut broken) {
        if word.kind == TokenKind::Semi && open.parentheses == 0 && open.blocks == 0 {
            statements.extend(open.end());
        } else {
            open.take(word);
        }
    }
    let last = open.end();
    let whole = last.is_some();
    statements.extend(last);
    if broken {
        match statements.last_mut() {
            Some(last) if whole => last.unterminated = true,
            // A comment that does not end, after the last statement.
            _ => statements.push(Statement {
                range: text.trim_end().len()..text.trim_end().len(),
                kind: Kind::Plain,
                first_string: None,
                unterminated: true,
            }),
        }
    }
    statements
}

/// The words of `text`; `broken` is set where one does not end.
pub(super) fn words<'t>(text: &'t str, broken: &mut bool) -> Vec<Word<'t>> {
    let mut at = 0;
    let mut found = Vec::new();
    for token in tokenize(text) {
        let range = at..at + token.len as usize;
        at = range.end;
        *broken |= is_unterminated(token.kind);
        match token.kind {
            TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment { .. } | TokenKind::Eof => {}
            kind => found.push(Word { kind, text: &text[range.clone()], range }),
        }
    }
    found
}

fn is_unterminated(kind: TokenKind) -> bool {
    match kind {
        TokenKind::BlockComment { terminated } | TokenKind::QuotedIdent { terminated, .. } => !terminated,
        TokenKind::Literal { kind } => matches!(
            kind,
            LiteralKind::Str { terminated: false }
                | LiteralKind::NationalStr { terminated: false }
                | LiteralKind::ByteStr { terminated: false }
                | LiteralKind::BitStr { terminated: false }
                | LiteralKind::DollarQuotedString { terminated: false }
                | LiteralKind::UnicodeEscStr { terminated: false }
                | LiteralKind::EscStr { terminated: false }
        ),
        _ => false,
    }
}

pub(super) fn is_string(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::Literal {
            kind: LiteralKind::Str { .. }
                | LiteralKind::DollarQuotedString { .. }
                | LiteralKind::EscStr { .. }
                | LiteralKind::UnicodeEscStr { .. }
        }
    )
}

/// The statement that is being read.
#[derive(Default)]
struct Open<'t> {
    words: Vec<Word<'t>>,
    parentheses: usize,
    /// How deep in `BEGIN ATOMIC … END`, which holds `CASE … END` as well.
    blocks: usize,
}

impl<'t> Open<'t> {
    fn take(&mut self, word: Word<'t>) {
        match word.kind {
            TokenKind::OpenParen => self.parentheses += 1,
            TokenKind::CloseParen => self.parentheses = self.parentheses.saturating_sub(1),
            TokenKind::Ident if self.makes_routine() => {
                if self.blocks == 0 {
                    // The second of the two words opens the block.
                    let opens = word.is("atomic") && self.words.last().is_some_and(|last| last.is("begin"));
                    self.blocks = usize::from(opens);
                } else if word.is("begin") || word.is("case") {
                    self.blocks += 1;
                } else if word.is("end") {
                    self.blocks -= 1;
                }
            }
            _ => {}
        }
        self.words.push(word);
    }

    /// `CREATE [OR REPLACE] {FUNCTION|PROCEDURE}`.
    fn makes_routine(&self) -> bool {
        let mut rest = self.words.iter();
        rest.next().is_some_and(|word| word.is("create"))
            && rest
                .find(|word| !word.is("or") && !word.is("replace"))
                .is_some_and(|word| word.is("function") || word.is("procedure"))
    }

    fn end(&mut self) -> Option<Statement> {
        let open = std::mem::take(self);
        let (first, last) = (open.words.first()?, open.words.last()?);
        Some(Statement {
            range: first.range.start..last.range.end,
            kind: kind_of(&open.words),
            first_string: open.words.iter().find(|word| is_string(word.kind)).map(|word| word.range.clone()),
            unterminated: false,
        })
    }
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment<'t> {
    /// What it says, without its marks and the space around.
    pub text: &'t str,
    /// The byte it begins at.
    pub at: usize,
    /// Whether it stands before the first statement.
    pub leads: bool,
}

/// Every comment outside of strings, with whether it stands before the first statement.
pub fn comments(text: &str) -> Vec<Comment<'_>> {
    let mut at = 0;
    let mut leads = true;
    let mut found = Vec::new();
    for token in tokenize(text) {
        let start = at;
        at += token.len as usize;
        let whole = &text[start..at];
        match token.kind {
            TokenKind::Whitespace => {}
            TokenKind::LineComment => {
                found.push(Comment { text: whole.trim_start_matches('-').trim(), at: start, leads });
            }
            TokenKind::BlockComment { .. } => {
                let inner = whole.trim_start_matches("/*").trim_end_matches("*/");
                found.push(Comment { text: inner.trim(), at: start, leads });
            }
            _ => leads = false,
        }
    }
    found
}

#[cfg(test)]
#[path = "split/tests.rs"]
mod tests;
