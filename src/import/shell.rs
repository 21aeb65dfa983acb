//! Text of shell commands: quoting, arguments at the end, templates filled in where quotes matter.

pub(super) use crate::model::shell_word as quote;

/// The shells that know `"$@"` and `export`.
pub(super) fn is_posix(shell: &[String]) -> bool {
    let program = shell.first().map_or("", |word| word.rsplit('/').next().unwrap_or(word));
    matches!(program, "sh" | "bash" | "dash" | "zsh" | "ksh" | "ash")
}

/// The variable that a declared argument arrives in.
pub(super) fn argument_variable(argument: &str) -> String {
    format!("WEIR_ARG_{}", argument.replace('-', "_").to_uppercase())
}

/// The words of a text, as a shell takes it apart; none where it would do more than that.
pub(super) fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '$' | '`' => return None,
                        '\\' => word.push(chars.next()?),
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(chars.next()?),
            c if c.is_whitespace() => words.extend(word.take()),
            '$' | '`' | ';' | '|' | '&' | '<' | '>' | '(' | ')' | '*' | '?' | '[' | '#' | '~' | '{' | '}' => {
                return None;
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word.take());
    Some(words)
}

/// How the text ends, as far as quotes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quotes {
    None,
    Single,
    Double,
    Comment,
}

impl Quotes {
    /// After one more character; `before` is the one before it.
    fn after(self, c: char, before: Option<char>, escaped: bool) -> Self {
        match (self, c) {
            (Self::None, '\'') if !escaped => Self::Single,
            (Self::None, '"') if !escaped => Self::Double,
            (Self::None, '#') if before.is_none_or(char::is_whitespace) => Self::Comment,
            (Self::Single, '\'') => Self::None,
            (Self::Double, '"') if !escaped => Self::None,
            (Self::Comment, '\n') => Self::None,
            (now, _) => now,
        }
    }
}

/// Follows quotes through a text.
struct Follower {
    now: Quotes,
    before: Option<char>,
    escaped: bool,
}

impl Follower {
    const fn new() -> Self {
        Self { now: Quotes::None, before: None, escaped: false }
    }

    fn take(&mut self, text: &str) {
        for c in text.chars() {
            self.now = self.now.after(c, self.before, self.escaped);
            self.escaped = c == '\\' && !self.escaped && self.now != Quotes::Single;
            self.before = Some(c);
        }
    }
}

/// The command with its arguments put at the end, as the other tools append what they are given;
/// none where the text ends in something that takes no arguments.
pub(super) fn with_arguments(command: &str) -> Option<String> {
    let text = command.trim_end();
    let mut follower = Follower::new();
    follower.take(text);
    let last_line = text.lines().last().unwrap_or_default();
    let last_word = last_line.split_whitespace().last().unwrap_or_default();
    let closes = matches!(last_word, "fi" | "done" | "esac" | "}" | ";;" | "then" | "do" | "else" | "{" | "")
        || text.ends_with([')', ';', '&', '|', '\\']);
    // `echo $(x)` ends in a word after all.
    let substitution = text.ends_with(')')
        && text.contains("$(")
        && !text.starts_with('(')
        && !last_line.trim_start().starts_with('(');
    let fits = follower.now == Quotes::None && (!closes || substitution) && !text.contains("<<");
    fits.then(|| format!("{text} \"$@\""))
}

/// Whether the command itself looks at arguments, which other tools never give it that way.
pub(super) fn reads_arguments(command: &str) -> bool {
    ["$@", "$*", "$#", "$1", "$2", "$3", "${1", "${2", "${@", "${*"].iter().any(|name| command.contains(name))
}

/// What takes the place of a template's expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// This text, as it is.
    Text(String),
    /// What the shell expands: `${NAME}`, `$(command)`.
    Expand(String),
    /// What the shell expands to one word.
    Word(String),
    /// Nothing can; why.
    Unknown(String),
}

/// Fills in the expressions between `{{` and `}}`. An expansion is put so that the quotes around it
/// do not keep it from being expanded.
///
/// # Errors
/// Why an expression can't be carried over.
pub(super) fn fill(text: &str, mut of: impl FnMut(&str) -> Piece) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut follower = Follower::new();
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        out.push_str(&rest[..start]);
        follower.take(&rest[..start]);
        let length = end_of(&rest[start + 2..]).ok_or_else(|| "a `{{` without `}}`".to_owned())?;
        let expression = &rest[start + 2..start + 2 + length];
        rest = &rest[start + length + 4..];
        // `{{-` and `-}}` take the blanks beside them.
        if expression.starts_with('-') {
            out.truncate(out.trim_end().len());
        }
        if expression.ends_with('-') {
            rest = rest.trim_start();
        }
        let trimmed = expression.trim_matches('-').trim();
        match of(trimmed) {
            Piece::Text(text) => {
                out.push_str(&text);
                follower.take(&text);
            }
            Piece::Word(expansion) if follower.now == Quotes::None => {
                out.push_str(&format!("\"{expansion}\""));
                follower.before = Some('x');
            }
            Piece::Expand(expansion) | Piece::Word(expansion) if follower.now == Quotes::Single => {
                out.push_str("'\"");
                out.push_str(&expansion);
                out.push_str("\"'");
            }
            Piece::Expand(expansion) | Piece::Word(expansion) => {
                out.push_str(&expansion);
                follower.before = Some('x');
            }
            Piece::Unknown(why) => return Err(why),
        }
    }
    if rest.contains("{%") || out.contains("{%") {
        return Err("`{% … %}` has no counterpart".into());
    }
    out.push_str(rest);
    Ok(out)
}

/// A text that holds no expressions any more, or what the shell makes one of between double quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Val {
    /// Known now.
    Static(String),
    /// To be put between double quotes.
    Dynamic(String),
}

impl Val {
    /// For a command.
    pub fn piece(&self) -> Piece {
        match self {
            Self::Static(text) => Piece::Text(text.clone()),
            Self::Dynamic(text) => Piece::Expand(text.clone()),
        }
    }

    /// A line that sets and exports a variable to it.
    pub fn export(&self, name: &str) -> String {
        match self {
            Self::Static(text) => format!("export {name}={}", quote(text)),
            Self::Dynamic(text) => format!("export {name}=\"{text}\""),
        }
    }
}

/// Text between double quotes, as it is.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '"' | '$' | '`') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Fills in the expressions of a value; with `expand`, `$NAME` and `${NAME…}` are ones too.
///
/// # Errors
/// Why an expression can't be carried over.
pub(super) fn value(text: &str, expand: bool, mut of: impl FnMut(&str) -> Piece) -> Result<Val, String> {
    let (mut plain, mut quoted, mut dynamic) = (String::new(), String::new(), false);
    let mut rest = text;
    while !rest.is_empty() {
        let template = rest.find("{{");
        let dollar = if expand { rest.find('$') } else { None };
        let start = template.into_iter().chain(dollar).min().unwrap_or(rest.len());
        plain.push_str(&rest[..start]);
        quoted.push_str(&escape(&rest[..start]));
        rest = &rest[start..];
        if rest.is_empty() {
            break;
        }
        let piece = if rest.starts_with("{{") {
            let length = end_of(&rest[2..]).ok_or_else(|| "a `{{` without `}}`".to_owned())?;
            let expression = &rest[2..2 + length];
            rest = &rest[length + 4..];
            of(expression.trim_matches('-').trim())
        } else {
            let name = rest[1..].trim_start_matches('{');
            let name: String = name.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let length =
                if rest.starts_with("${") { rest.find('}').map_or(rest.len(), |at| at + 1) } else { 1 + name.len() };
            let written = &rest[..length];
            rest = &rest[length..];
            if name.is_empty() {
                Piece::Text(written.to_owned())
            } else if written.len() > name.len() + 3 {
                Piece::Expand(written.to_owned())
            } else {
                of(&format!("env.{name}"))
            }
        };
        match piece {
            Piece::Text(text) => {
                plain.push_str(&text);
                quoted.push_str(&escape(&text));
            }
            Piece::Expand(expansion) | Piece::Word(expansion) => {
                quoted.push_str(&expansion);
                dynamic = true;
            }
            Piece::Unknown(why) => return Err(why),
        }
    }
    if text.contains("{%") {
        return Err("`{% … %}` has no counterpart".into());
    }
    Ok(if dynamic { Val::Dynamic(quoted) } else { Val::Static(plain) })
}

/// Where the `}}` is that ends an expression; strings in it may hold one.
fn end_of(text: &str) -> Option<usize> {
    let mut quoted: Option<char> = None;
    for (at, c) in text.char_indices() {
        match quoted {
            Some(mark) if c == mark => quoted = None,
            None if matches!(c, '"' | '\'' | '`') => quoted = Some(c),
            None if text[at..].starts_with("}}") => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_go_to_the_end_where_they_can() {
        assert_eq!(with_arguments("cargo test\n").as_deref(), Some("cargo test \"$@\""));
        assert_eq!(with_arguments("echo $(date)").as_deref(), Some("echo $(date) \"$@\""));
        for text in
            ["if a; then b; fi", "(cd x; y)", "cat <<EOF\nx\nEOF", "echo 'x", "x | while read a; do b; done", "a &"]
        {
            assert_eq!(with_arguments(text), None, "{text}");
        }
    }

    #[test]
    fn expansions_reach_through_quotes() {
        let of = |name: &str| match name {
            "text" => Piece::Text("a b".into()),
            "bad" => Piece::Unknown("no".into()),
            name => Piece::Expand(format!("${{{name}}}")),
        };
        assert_eq!(fill("x {{A}} '{{ A }}' \"{{A}}\" {{text}}", of).unwrap(), "x ${A} ''\"${A}\"'' \"${A}\" a b");
        assert_eq!(fill("it\\'s {{A}}", of).unwrap(), "it\\'s ${A}");
        assert!(fill("{{bad}}", of).is_err() && fill("{{A", of).is_err() && fill("{% if x %}", of).is_err());
        assert_eq!(fill("{{ '}}' }}", |e| Piece::Text(e.to_owned())).unwrap(), "'}}'");
    }

    #[test]
    fn words_are_taken_apart_or_left() {
        assert_eq!(words("a 'b c' \"d\" e\\ f").unwrap(), ["a", "b c", "d", "e f"]);
        for text in ["a $B", "a; b", "a 'b", "a*"] {
            assert_eq!(words(text), None, "{text}");
        }
        assert_eq!(quote("it's"), r"'it'\''s'");
    }
}
