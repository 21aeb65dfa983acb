//! Tera expressions, as mise fills them in.

use super::super::shell::{Piece, Val, argument_variable as variable, escape};
use std::collections::BTreeMap;

/// What expressions may name.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    pub vars: BTreeMap<String, Val>,
    pub env: BTreeMap<String, Val>,
    /// Arguments named by `{{arg()}}`, `{{option()}}` and `{{flag()}}`, in order.
    pub named: Vec<Named>,
}

/// An argument named by a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub name: String,
    pub default: Option<String>,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Positional,
    /// All that is left.
    Rest,
    Option,
}

impl Scope {
    /// What takes the place of an expression.
    pub fn resolve(&mut self, expression: &str) -> Piece {
        let mut parts = split(expression, '|').into_iter();
        let base = parts.next().unwrap_or_default();
        let filters: Vec<&str> = parts.collect();
        let unknown = || Piece::Unknown(format!("`{{{{{expression}}}}}` has no counterpart"));
        let mut piece = match self.base(base.trim()) {
            Some(piece) => piece,
            None => return unknown(),
        };
        for filter in filters {
            let (name, arguments) = call(filter.trim()).unwrap_or((filter.trim(), vec![]));
            piece = match (name, piece) {
                ("default", Piece::Expand(text)) => {
                    let Some(value) = named(&arguments, "value") else { return unknown() };
                    match text.strip_prefix("${").and_then(|name| name.strip_suffix('}')) {
                        Some(name) if !name.contains(['-', '?']) => {
                            Piece::Expand(format!("${{{name}-{}}}", escape(&value)))
                        }
                        _ => return unknown(),
                    }
                }
                ("default", known) => known,
                ("upper", Piece::Text(text)) => Piece::Text(text.to_uppercase()),
                ("lower", Piece::Text(text)) => Piece::Text(text.to_lowercase()),
                ("trim", Piece::Text(text)) => Piece::Text(text.trim().to_owned()),
                ("safe", piece) => piece,
                ("basename", Piece::Expand(text)) => Piece::Expand(format!("$(basename \"{text}\")")),
                ("dirname", Piece::Expand(text)) => Piece::Expand(format!("$(dirname \"{text}\")")),
                _ => return unknown(),
            };
        }
        piece
    }

    fn base(&mut self, base: &str) -> Option<Piece> {
        if let Some(text) = string(base) {
            return Some(Piece::Text(text));
        }
        if let Some((name, arguments)) = call(base) {
            return self.function(name, &arguments);
        }
        if matches!(base, "config_root" | "cwd") {
            return Some(Piece::Expand("${WEIR_WORKSPACE}".into()));
        }
        let (space, name) = base.split_once('.').or_else(|| {
            let (space, rest) = base.split_once('[')?;
            Some((space, rest.strip_suffix(']')?.trim_matches(['"', '\''])))
        })?;
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)) {
            return None;
        }
        match space {
            "vars" => self.vars.get(name).map(Val::piece),
            "env" => Some(self.env.get(name).map_or_else(|| Piece::Expand(format!("${{{name}}}")), Val::piece)),
            "usage" => Some(Piece::Expand(format!("${{usage_{}}}", name.replace('-', "_")))),
            _ => None,
        }
    }

    fn function(&mut self, name: &str, arguments: &[(String, String)]) -> Option<Piece> {
        match name {
            "os" => Some(Piece::Expand("$(uname -s | sed 's/Darwin/macos/; s/Linux/linux/')".into())),
            "num_cpus" => Some(Piece::Expand("$(getconf _NPROCESSORS_ONLN)".into())),
            "get_env" => {
                let name = named(arguments, "name")?;
                Some(Piece::Expand(match named(arguments, "default") {
                    Some(default) => format!("${{{name}-{}}}", escape(&default)),
                    None => format!("${{{name}}}"),
                }))
            }
            "exec" => Some(Piece::Expand(format!("$({})", named(arguments, "command")?))),
            "arg" | "option" | "flag" => {
                let given = named(arguments, "name")?;
                let rest = named(arguments, "var").is_some_and(|value| value == "true");
                let kind = match name {
                    "arg" if rest => Kind::Rest,
                    "arg" => Kind::Positional,
                    _ => Kind::Option,
                };
                let default = named(arguments, "default").or_else(|| (name == "flag").then(|| "false".to_owned()));
                let piece = match kind {
                    Kind::Positional => Piece::Word(format!("${{{}}}", variable(&given))),
                    Kind::Rest => Piece::Expand("\"$@\"".into()),
                    Kind::Option => Piece::Text(default.clone().unwrap_or_default()),
                };
                let entry = Named { name: given, default, kind };
                if !self.named.iter().any(|known| known.name == entry.name) {
                    self.named.push(entry);
                }
                Some(piece)
            }
            _ => None,
        }
    }
}

/// A text without Tera's comments.
pub(super) fn uncommented(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{#") {
        let Some((_, beyond)) = after.split_once("#}") else { break };
        out.push_str(before);
        rest = beyond;
    }
    out + rest
}

fn named(arguments: &[(String, String)], name: &str) -> Option<String> {
    arguments.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}

fn string(text: &str) -> Option<String> {
    let mark = text.chars().next().filter(|c| "\"'`".contains(*c))?;
    let inner = text.strip_prefix(mark)?.strip_suffix(mark)?;
    (!inner.contains(mark)).then(|| inner.to_owned())
}

/// `name(key=value, …)`.
fn call(text: &str) -> Option<(&str, Vec<(String, String)>)> {
    let (name, rest) = text.split_once('(')?;
    let inner = rest.strip_suffix(')')?;
    let name = name.trim();
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return None;
    }
    let mut arguments = Vec::new();
    for part in split(inner, ',') {
        if let Some((key, value)) = part.split_once('=') {
            let value = value.trim();
            arguments.push((key.trim().to_owned(), string(value).unwrap_or_else(|| value.to_owned())));
        }
    }
    Some((name, arguments))
}

/// Splits where nothing is quoted or in parentheses.
fn split(text: &str, at: char) -> Vec<&str> {
    let (mut parts, mut from, mut depth, mut quoted) = (Vec::new(), 0, 0, None);
    for (index, c) in text.char_indices() {
        match quoted {
            Some(mark) if c == mark => quoted = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'' | '`') => quoted = Some(c),
            None if c == '(' => depth += 1,
            None if c == ')' => depth -= 1,
            None if c == at && depth == 0 => {
                parts.push(&text[from..index]);
                from = index + c.len_utf8();
            }
            None => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let mut scope = Scope::default();
        scope.vars.insert("v".into(), Val::Static("x".into()));
        let mut of = |text: &str| scope.resolve(text);
        assert_eq!(of("vars.v | upper"), Piece::Text("X".into()));
        assert_eq!(of("env.A"), Piece::Expand("${A}".into()));
        assert_eq!(of("env.A | default(value='b c')"), Piece::Expand("${A-b c}".into()));
        assert_eq!(of("get_env(name=\"A\", default=\"|\")"), Piece::Expand("${A-|}".into()));
        assert_eq!(of("exec(command='a | b')"), Piece::Expand("$(a | b)".into()));
        assert_eq!(of("arg(name='file')"), Piece::Word("${WEIR_ARG_FILE}".into()));
        assert_eq!(of("flag(name='f')"), Piece::Text("false".into()));
        assert!(matches!(of("vars.none"), Piece::Unknown(_)));
        assert!(matches!(of("1 + 2"), Piece::Unknown(_)));
        assert_eq!(scope.named.len(), 2);
    }
}
