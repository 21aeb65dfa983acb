//! `CREATE FUNCTION` and `PROCEDURE`, in its aspects.

use super::tokens::{Token, behind_close, canonical, has, name_at, tokens};
use super::{About, ObjectKind, Reader};

/// Words that begin an option of a routine, and so end the value of the one before.
const OPTIONS: [&str; 18] = [
    "language",
    "transform",
    "window",
    "immutable",
    "stable",
    "volatile",
    "not",
    "leakproof",
    "called",
    "returns",
    "strict",
    "security",
    "external",
    "parallel",
    "cost",
    "rows",
    "support",
    "set",
];

impl Reader {
    /// The routine whose name stands at `at`.
    pub(super) fn routine(&mut self, all: &[Token], at: usize) {
        let (name, open) = name_at(all, at);
        let from = if all.get(open).is_some_and(|token| token.is("(")) { behind_close(all, open) } else { open };
        let sub = canonical(&all[open..from]);
        let language = all
            .windows(2)
            .skip(from)
            .find(|pair| pair[0].is("language"))
            .map(|pair| pair[1].string.clone().unwrap_or_else(|| pair[1].text.clone()).to_ascii_lowercase());
        let first = self.facts.len();
        let mut signature = all[..from].to_vec();
        let mut index = from;
        while index < all.len() {
            let end = match all[index].text.as_str() {
                "security" => (index + 2).min(all.len()),
                "external" => (index + 3).min(all.len()),
                "set" if all.get(index + 1).is_some_and(|token| token.is("search_path")) => {
                    end_of_option(all, index + 1)
                }
                "as" => end_of_option(all, index + 1),
                "return" | "begin" => all.len(),
                _ => {
                    signature.push(all[index].clone());
                    index += 1;
                    continue;
                }
            };
            let part = &all[index..end];
            match all[index].text.as_str() {
                // INVOKER is the default.
                "security" | "external" if has(part, &["invoker"]) => {}
                "security" | "external" => self.fact(About::new(ObjectKind::Definer, &name), "create", part),
                "set" => self.fact(About::new(ObjectKind::SearchPath, &name), "create", part),
                _ => self.body(&name, part, language.as_deref()),
            }
            index = end;
        }
        self.fact(About::new(ObjectKind::Signature, &name), "create", &signature);
        for fact in &mut self.facts[first..] {
            fact.sub.clone_from(&sub);
        }
    }

    fn body(&mut self, name: &str, part: &[Token], language: Option<&str>) {
        let legible = matches!(language, None | Some("sql" | "plpgsql"));
        let text: Vec<String> = part
            .iter()
            .map(|token| match &token.string {
                Some(body) if legible => format!("$ {} $", canonical(&tokens(body, 0))),
                _ => token.text.clone(),
            })
            .collect();
        let range = part.first().map_or(0, |token| token.start)..part.last().map_or(0, |token| token.end);
        self.push(About::new(ObjectKind::Body, name), "create", text.join(" "), range);
    }
}

/// Where the value that begins at `from` ends.
fn end_of_option(all: &[Token], from: usize) -> usize {
    (from + 1..all.len())
        .find(|index| {
            let token = &all[*index];
            token.name && (OPTIONS.contains(&token.text.as_str()) || token.is("as"))
        })
        .unwrap_or(all.len())
}
