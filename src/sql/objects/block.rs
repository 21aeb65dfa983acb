//! `DO` blocks: the statements in them, and strings that they execute.

use super::tokens::{Token, canonical, find, tokens};
use super::{About, Fact, ObjectKind, Reader};
use crate::sql::split::split;

/// Deeper nesting of blocks in strings in blocks is not followed.
const DEEPEST: usize = 6;
/// What begins an SQL statement in a block; only `;` ends it.
const COMMANDS: [&str; 27] = [
    "create", "alter", "drop", "grant", "revoke", "reassign", "security", "import", "comment", "do", "set", "reset",
    "select", "with", "insert", "update", "delete", "merge", "truncate", "copy", "lock", "refresh", "analyze", "call",
    "notify", "values", "reindex",
];
/// What ends a part of the block's own language.
const ENDS: [&str; 6] = ["then", "loop", "else", "begin", "declare", "exception"];

impl Reader {
    /// A `DO` statement.
    pub(super) fn block(&mut self, all: &[Token]) {
        let language = all.windows(2).find(|pair| pair[0].is("language")).map(|pair| pair[1].text.as_str());
        let body = all.iter().find_map(|token| Some((token.string.as_ref()?, token)));
        let plain = matches!(language, None | Some("plpgsql" | "'plpgsql'"));
        let Some((body, token)) = body.filter(|_| plain && self.depth < DEEPEST) else {
            return self.fact(About::new(ObjectKind::Dynamic, "a block"), "do", all);
        };
        // Quotes apart, what is in a dollar-quoted string stands where it is.
        let quote = if token.text.starts_with('$') { token.text[1..].find('$').map_or(0, |at| at + 2) } else { 1 };
        let inner = tokens(body, token.start + quote);
        let before = self.facts.len();
        self.depth += 1;
        let frame = self.statements_of(&inner);
        self.depth -= 1;
        for fact in &mut self.facts[before..] {
            fact.text = format!("do: {}", fact.text);
            // A body in '…' with doubled quotes is longer than what it holds.
            fact.range = fact.range.start.min(token.end)..fact.range.end.min(token.end);
        }
        // Whether they are done at all is said by what stands around them.
        if let Some(first) = self.facts.get(before).filter(|_| !frame.is_empty()) {
            let about = About { kind: first.kind, object: first.object.clone(), on: first.on.clone() };
            self.push(about, "when", format!("do when {frame}"), token.start..token.end);
        }
    }

    /// Reads the statements of a block; what of its own language stands around them is returned.
    fn statements_of(&mut self, all: &[Token]) -> String {
        let mut frame = Vec::new();
        let mut from = 0;
        while from < all.len() {
            let command = COMMANDS.contains(&all[from].text.as_str());
            let end = if command {
                find(all, from, &[";"]).unwrap_or(all.len())
            } else {
                let ends = |token: &Token| token.is(";") || ENDS.contains(&token.text.as_str());
                all[from..].iter().position(ends).map_or(all.len(), |at| from + at)
            };
            let part = &all[from..end];
            if command {
                self.command(part);
            } else if !part.is_empty()
                && !self.executes(part)
                && !matches!(part[0].text.as_str(), "raise" | "perform" | "null" | "return")
            {
                frame.push(canonical(part));
            }
            if let Some(stop) = all.get(end).filter(|stop| !command && !stop.is(";")) {
                frame.push(stop.text.clone());
            }
            from = end + 1;
        }
        let says = frame.iter().any(|part| !ENDS.contains(&part.as_str()) && part != "end");
        if says { frame.join(" ; ") } else { String::new() }
    }

    fn command(&mut self, part: &[Token]) {
        // Here INTO assigns to a variable.
        if !matches!(part[0].text.as_str(), "select" | "with" | "values") {
            self.statement(part);
        }
    }

    /// Whether a part executes strings; what they say is read.
    fn executes(&mut self, part: &[Token]) -> bool {
        let mut found = false;
        for (index, token) in part.iter().enumerate() {
            if !token.is("execute") || index > 0 && part[index - 1].is(".") {
                continue;
            }
            found = true;
            let end = find(part, index + 1, &["into", "using", "loop"]).unwrap_or(part.len());
            match constant(&part[index + 1..end]) {
                Some(text) if self.depth < DEEPEST => self.string(&text, token),
                _ => self.fact(About::new(ObjectKind::Dynamic, "an executed string"), "execute", part),
            }
        }
        found
    }

    fn string(&mut self, text: &str, at: &Token) {
        let before = self.facts.len();
        self.depth += 1;
        for statement in split(text) {
            self.statement(&tokens(statement.of(text), 0));
        }
        self.depth -= 1;
        let here = |fact: &mut Fact| fact.range = at.start..at.end;
        self.facts[before..].iter_mut().for_each(here);
    }
}

/// The text of an expression that is nothing but strings put together.
fn constant(expression: &[Token]) -> Option<String> {
    let inner = match expression {
        [function, open, inner @ .., close] if function.is("format") && open.is("(") && close.is(")") => {
            let [only] = inner else { return None };
            return only.string.clone().filter(|text| !text.contains('%'));
        }
        [open, inner @ .., close] if open.is("(") && close.is(")") => inner,
        other => other,
    };
    let mut text = String::new();
    for token in inner {
        match &token.string {
            Some(part) => text.push_str(part),
            None if token.is("|") => {}
            None => return None,
        }
    }
    (!inner.is_empty()).then_some(text)
}
