//! Task's templates (Go's), and its variables.

use super::super::shell::{Piece, Val, escape, fill, value};
use super::super::tree::Tree;
use std::collections::BTreeMap;

/// What expressions may name.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// A value, or why there is none.
    pub variables: BTreeMap<String, Result<Val, String>>,
}

impl Scope {
    /// A text for the shell.
    ///
    /// # Errors
    /// Why it can't be carried over.
    pub fn fill(&mut self, text: &str) -> Result<String, String> {
        fill(text, |expression| self.piece(expression))
    }

    /// An entry of `vars` or `env`.
    ///
    /// # Errors
    /// Why it has no value here.
    pub fn entry(&mut self, entry: &Tree) -> Result<Val, String> {
        if let Some(command) = entry.at("sh").text() {
            return Ok(Val::Dynamic(format!("$({})", self.fill(command)?)));
        }
        match entry.scalar() {
            Some(text) => value(&text, false, |expression| self.piece(expression)),
            None => Err(format!("{} has no counterpart", entry.shown())),
        }
    }

    /// What takes the place of an expression.
    fn piece(&mut self, expression: &str) -> Piece {
        let unknown = || Piece::Unknown(format!("`{{{{{expression}}}}}` has no counterpart"));
        let mut parts = expression.split('|').map(str::trim);
        let base = parts.next().unwrap_or_default();
        let mut found = match base {
            ".CLI_ARGS" => Piece::Expand("\"$@\"".into()),
            "OS" => Piece::Expand("$(uname -s | tr A-Z a-z)".into()),
            "ARCH" => Piece::Expand("$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')".into()),
            "exeExt" => Piece::Text(String::new()),
            _ => {
                match base.strip_prefix('.').filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
                {
                    Some(name) => match self.variables.get(name) {
                        Some(Ok(val)) => val.piece(),
                        Some(Err(why)) => return Piece::Unknown(why.clone()),
                        // The environment's variables are variables.
                        None => Piece::Expand(format!("${{{name}-}}")),
                    },
                    None => match quoted(base) {
                        Some(text) => Piece::Text(text),
                        None => return unknown(),
                    },
                }
            }
        };
        for filter in parts {
            let (name, argument) = filter.split_once(' ').unwrap_or((filter, ""));
            found = match (name, found) {
                ("default", Piece::Text(text)) if !text.is_empty() => Piece::Text(text),
                ("default", Piece::Text(_)) => match quoted(argument.trim()) {
                    Some(text) => Piece::Text(text),
                    None => return unknown(),
                },
                ("default", Piece::Expand(text)) => {
                    let Some(default) = quoted(argument.trim()) else { return unknown() };
                    match text
                        .strip_prefix("${")
                        .and_then(|rest| rest.strip_suffix('}'))
                        .and_then(|rest| rest.split_once('-'))
                    {
                        Some((name, "")) => Piece::Expand(format!("${{{name}:-{}}}", escape(&default))),
                        _ => return unknown(),
                    }
                }
                ("upper", Piece::Text(text)) => Piece::Text(text.to_uppercase()),
                ("lower", Piece::Text(text)) => Piece::Text(text.to_lowercase()),
                ("trim", Piece::Text(text)) => Piece::Text(text.trim().to_owned()),
                _ => return unknown(),
            };
        }
        found
    }
}

fn quoted(text: &str) -> Option<String> {
    let mark = text.chars().next().filter(|c| "\"'`".contains(*c))?;
    let inner = text.strip_prefix(mark)?.strip_suffix(mark)?;
    (!inner.contains([mark, '\\'])).then(|| inner.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let mut scope = Scope::default();
        scope.variables.insert("A".into(), Ok(Val::Static("x".into())));
        scope.variables.insert("B".into(), Ok(Val::Dynamic("$(date)".into())));
        let mut of = |text: &str| scope.fill(text);
        assert_eq!(of("{{.A}} '{{ .B }}' {{.C}} {{.C | default \"d\"}}").unwrap(), "x ''\"$(date)\"'' ${C-} ${C:-d}");
        assert_eq!(of("go test {{.CLI_ARGS}}").unwrap(), "go test \"$@\"");
        assert_eq!(of("{{.A | upper}}{{exeExt}}").unwrap(), "X");
        assert!(of("{{if .A}}x{{end}}").is_err() && of("{{range .A}}").is_err());
    }
}
