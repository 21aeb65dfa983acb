//! just's expressions: what is known now, and what the shell can work out.

use super::super::shell::{Piece, Val, escape};
use std::collections::BTreeMap;

/// What expressions may name.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// A value, or why there is none.
    pub variables: BTreeMap<String, Result<Val, String>>,
}

impl Scope {
    /// For a command.
    pub fn piece(&self, expression: &str) -> Piece {
        match self.clone().value(expression) {
            Ok(val) => val.piece(),
            Err(why) => Piece::Unknown(why),
        }
    }

    /// The value of an expression.
    ///
    /// # Errors
    /// Why it has none here.
    pub fn value(&mut self, expression: &str) -> Result<Val, String> {
        let words = tokens(expression);
        let unknown = || format!("`{expression}` has no counterpart");
        if words.first().is_some_and(|word| word == "if") {
            return Err(unknown());
        }
        let mut words = words.into_iter();
        let mut value = self.term(&words.next().ok_or_else(unknown)?)?;
        while let Some(operator) = words.next() {
            if operator.starts_with('#') {
                break;
            }
            let next = self.term(&words.next().ok_or_else(unknown)?)?;
            value = match operator.as_str() {
                "+" => join(&value, "", &next),
                "/" => join(&value, "/", &next),
                _ => return Err(unknown()),
            };
        }
        Ok(value)
    }

    fn term(&mut self, word: &str) -> Result<Val, String> {
        let unknown = || format!("`{word}` has no counterpart");
        if let Some(command) = word.strip_prefix('`') {
            return Ok(Val::Dynamic(format!("$({})", command.trim_matches('`').trim())));
        }
        if let Some(text) = string(word) {
            return Ok(Val::Static(text));
        }
        if let Some(inner) = word.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
            return self.value(inner);
        }
        if let Some((name, arguments)) = word.split_once('(') {
            let arguments = arguments.strip_suffix(')').ok_or_else(unknown)?;
            return self.function(name, &arguments_of(arguments)).unwrap_or_else(|| Err(unknown()));
        }
        self.variables.get(word).cloned().unwrap_or_else(|| Err(format!("there is no `{word}`")))
    }

    fn function(&mut self, name: &str, arguments: &[String]) -> Option<Result<Val, String>> {
        let text = |at: usize| arguments.get(at).and_then(|word| string(word));
        let dynamic = |text: String| Some(Ok(Val::Dynamic(text)));
        match (name, arguments.len()) {
            ("env" | "env_var", 1) => dynamic(format!("${{{}?}}", text(0)?)),
            ("env" | "env_var_or_default", 2) => {
                let default = match self.value(&arguments[1]) {
                    Ok(Val::Static(text)) => escape(&text),
                    Ok(Val::Dynamic(text)) => text,
                    Err(why) => return Some(Err(why)),
                };
                dynamic(format!("${{{}-{default}}}", text(0)?))
            }
            ("justfile_directory" | "justfile_dir" | "source_directory" | "source_dir", 0) => {
                dynamic("${WEIR_WORKSPACE}".into())
            }
            ("os", 0) => dynamic("$(uname -s | sed 's/Darwin/macos/; s/Linux/linux/')".into()),
            ("arch", 0) => dynamic("$(uname -m | sed 's/arm64/aarch64/')".into()),
            ("os_family", 0) => Some(Ok(Val::Static("unix".into()))),
            ("num_cpus", 0) => dynamic("$(getconf _NPROCESSORS_ONLN)".into()),
            ("uppercase" | "lowercase" | "trim", 1) => match self.value(&arguments[0]) {
                Ok(Val::Static(text)) => Some(Ok(Val::Static(match name {
                    "uppercase" => text.to_uppercase(),
                    "lowercase" => text.to_lowercase(),
                    _ => text.trim().to_owned(),
                }))),
                _ => None,
            },
            ("shell", 1) => match self.value(&arguments[0]) {
                Ok(Val::Static(text)) => dynamic(format!("$({text})")),
                _ => None,
            },
            _ => None,
        }
    }
}

fn join(a: &Val, between: &str, b: &Val) -> Val {
    let quoted = |val: &Val| match val {
        Val::Static(text) => escape(text),
        Val::Dynamic(text) => text.clone(),
    };
    match (a, b) {
        (Val::Static(a), Val::Static(b)) => Val::Static(format!("{a}{between}{b}")),
        _ => Val::Dynamic(format!("{}{between}{}", quoted(a), quoted(b))),
    }
}

/// The arguments of a function.
fn arguments_of(text: &str) -> Vec<String> {
    let words = tokens(text);
    words.split(|word| word == ",").map(|words| words.join(" ")).filter(|text| !text.is_empty()).collect()
}

/// What a string in quotes holds.
pub(super) fn string(word: &str) -> Option<String> {
    for mark in ["'''", "\"\"\"", "'", "\""] {
        if let Some(inner) = word.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark)) {
            let inner = if mark.len() == 3 { dedented(inner) } else { inner.to_owned() };
            return Some(if mark.starts_with('"') { unescaped(&inner) } else { inner });
        }
    }
    None
}

/// The strings of a list.
pub(super) fn strings(list: &str) -> Vec<String> {
    tokens(list.trim().trim_start_matches('[').trim_end_matches(']')).iter().filter_map(|word| string(word)).collect()
}

/// A text of several lines without the indentation they share.
fn dedented(text: &str) -> String {
    let text = text.strip_prefix('\n').unwrap_or(text);
    let indents = text.lines().filter(|line| !line.trim().is_empty()).map(|line| line.len() - line.trim_start().len());
    let indent = indents.min().unwrap_or(0);
    let lines: Vec<&str> = text.split('\n').map(|line| line.get(indent..).unwrap_or("")).collect();
    lines.join("\n")
}

fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some('\n') | None => {}
                Some(c) => out.push(c),
            },
            (c, _) => out.push(c),
        }
    }
    out
}

/// The words of an expression or a header: names, strings, calls with their parentheses, operators.
pub(super) fn tokens(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(c) = rest.chars().next() {
        let length = word_length(rest, c);
        words.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    words
}

fn word_length(rest: &str, c: char) -> usize {
    if let Some(mark) = ["'''", "\"\"\"", "```", "'", "\"", "`"].into_iter().find(|mark| rest.starts_with(mark)) {
        let mut escaped = false;
        for (at, c) in rest.char_indices().skip(mark.len()) {
            if !escaped && rest[at..].starts_with(mark) {
                return at + mark.len();
            }
            escaped = c == '\\' && !escaped && mark.starts_with('"');
        }
        return rest.len();
    }
    if c == '#' {
        return rest.len();
    }
    if c == '(' {
        return parentheses(rest);
    }
    if c.is_alphanumeric() || c == '_' || c == '@' {
        let length = rest.find(|c: char| !(c.is_alphanumeric() || "_-@".contains(c))).unwrap_or(rest.len());
        // A call and its arguments are one.
        return if rest[length..].starts_with('(') { length + parentheses(&rest[length..]) } else { length };
    }
    if rest.starts_with("&&") || rest.starts_with("==") || rest.starts_with("!=") || rest.starts_with("||") {
        return 2;
    }
    c.len_utf8()
}

/// Up to the parenthesis that closes the first one.
fn parentheses(rest: &str) -> usize {
    let (mut depth, mut quoted) = (0, None);
    for (at, c) in rest.char_indices() {
        match quoted {
            Some(mark) if c == mark => quoted = None,
            Some(_) => {}
            None if "'\"`".contains(c) => quoted = Some(c),
            None if c == '(' => depth += 1,
            None if c == ')' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            None => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let mut scope = Scope::default();
        scope.variables.insert("a".into(), Ok(Val::Static("x".into())));
        let mut of = |text: &str| scope.value(text);
        assert_eq!(of("a + 'b' / \"c\\n\""), Ok(Val::Static("xb/c\n".into())));
        assert_eq!(of("`date +%s` + '$'"), Ok(Val::Dynamic("$(date +%s)\\$".into())));
        assert_eq!(of("env_var_or_default('A', 'b c')"), Ok(Val::Dynamic("${A-b c}".into())));
        assert_eq!(of("env('A')"), Ok(Val::Dynamic("${A?}".into())));
        assert_eq!(of("uppercase(a)"), Ok(Val::Static("X".into())));
        assert!(of("if a == 'x' { 'y' } else { 'z' }").is_err());
        assert!(of("nope").is_err() && of("sha256('x')").is_err());
    }
}
