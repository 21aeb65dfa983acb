//! The text of a justfile → settings, variables, aliases and recipes.

use super::super::draft::Edge;
use super::super::shell::Val;
use super::expressions::{Scope, tokens};

/// A justfile, taken apart.
#[derive(Debug, Default)]
pub(super) struct Justfile {
    /// Name, value, line.
    pub settings: Vec<(String, String, usize)>,
    pub variables: Vec<Variable>,
    /// The alias, and what it stands for.
    pub aliases: Vec<(String, String)>,
    pub recipes: Vec<Recipe>,
    /// `import`, `mod`.
    pub others: Vec<(usize, String)>,
}

#[derive(Debug)]
pub(super) struct Variable {
    pub line: usize,
    pub name: String,
    /// An expression.
    pub value: String,
    pub export: bool,
}

#[derive(Debug, Default)]
pub(super) struct Recipe {
    pub line: usize,
    pub name: String,
    pub description: Option<String>,
    pub attributes: Vec<String>,
    pub parameters: Vec<Parameter>,
    /// And whether it comes after (`&&`).
    pub dependencies: Vec<(Dependency, bool)>,
    /// Without the indentation of its first line.
    pub body: Vec<String>,
}

#[derive(Debug, Default)]
pub(super) struct Parameter {
    pub name: String,
    /// An expression.
    pub default: Option<String>,
    /// `+` or `*`.
    pub variadic: Option<char>,
    pub export: bool,
}

/// A dependency, with expressions as arguments.
#[derive(Debug)]
pub(super) struct Dependency {
    name: String,
    arguments: Vec<String>,
}

impl Dependency {
    /// As an edge.
    ///
    /// # Errors
    /// An argument is not known before it runs.
    pub fn edge(&self, scope: &Scope, recipe: &Recipe) -> Result<Edge, String> {
        let mut edge = Edge::to(&self.name);
        for argument in &self.arguments {
            if recipe.parameters.iter().any(|parameter| tokens(argument).contains(&parameter.name)) {
                return Err(format!("what it was given can't be handed on to `{}`", self.name));
            }
            match scope.clone().value(argument)? {
                Val::Static(text) => edge.args.push(text),
                Val::Dynamic(_) => return Err(format!("`{argument}` is not known before it runs")),
            }
        }
        Ok(edge)
    }
}

impl Recipe {
    /// The lines of the body; one that ends in `\` goes on in the next.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let mut open = false;
        for line in &self.body {
            match lines.last_mut().filter(|_| open) {
                Some(last) => {
                    last.push('\n');
                    last.push_str(line);
                }
                None => lines.push(line.clone()),
            }
            open = line.ends_with('\\');
        }
        lines
    }
}

impl Justfile {
    /// Takes a text apart.
    ///
    /// # Errors
    /// The line, and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut file = Self::default();
        let all: Vec<&str> = text.lines().collect();
        let (mut comment, mut attributes) = (None, Vec::new());
        let mut at = 0;
        while at < all.len() {
            let number = at + 1;
            let mut line = all[at].to_owned();
            at += 1;
            // Strings of several lines, lists, and lines that go on.
            while !balanced(&line) && at < all.len() {
                line.push('\n');
                line.push_str(all[at]);
                at += 1;
            }
            let code = line.trim();
            if code.is_empty() {
                comment = None;
                continue;
            }
            if let Some(said) = code.strip_prefix('#') {
                comment = Some(said.trim_start_matches('!').trim().to_owned()).filter(|said| !said.is_empty());
                continue;
            }
            if line.starts_with([' ', '\t']) {
                return Err((number, "an indented line outside of a recipe".into()));
            }
            if code.starts_with('[') && code.ends_with(']') {
                attributes.extend(split(&code[1..code.len() - 1], ','));
                continue;
            }
            let word = code.split_whitespace().next().unwrap_or_default();
            let is_keyword = !code[word.len()..].trim_start().starts_with(":=") && !word.ends_with(':');
            match word {
                "set" if is_keyword => {
                    let (name, value) = code[3..].split_once(":=").unwrap_or((&code[3..], ""));
                    file.settings.push((name.trim().to_owned(), value.trim().to_owned(), number));
                }
                "alias" if is_keyword => {
                    let (name, target) =
                        code[5..].split_once(":=").ok_or((number, "an alias without `:=`".to_owned()))?;
                    file.aliases.push((name.trim().to_owned(), target.trim().to_owned()));
                }
                "import" | "import?" | "mod" | "mod?" | "unexport" if is_keyword => {
                    file.others.push((number, code.to_owned()))
                }
                _ => {
                    let (export, rest) = match code.strip_prefix("export ") {
                        Some(rest) => (true, rest),
                        None => (false, code),
                    };
                    match rest.split_once(":=") {
                        Some((name, value)) if is_name(name.trim()) => file.variables.push(Variable {
                            line: number,
                            name: name.trim().to_owned(),
                            value: value.trim().to_owned(),
                            export,
                        }),
                        _ => {
                            let mut recipe =
                                header(code).ok_or((number, format!("`{code}` is no recipe, variable or setting")))?;
                            recipe.line = number;
                            recipe.description = comment.take();
                            recipe.attributes = std::mem::take(&mut attributes);
                            recipe.body = body(&all, &mut at);
                            file.recipes.push(recipe);
                        }
                    }
                }
            }
            comment = None;
            attributes.clear();
        }
        Ok(file)
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)) && !text.starts_with('-')
}

/// The indented lines below a header.
fn body(all: &[&str], at: &mut usize) -> Vec<String> {
    let mut lines: Vec<&str> = Vec::new();
    while let Some(line) = all.get(*at).filter(|line| line.starts_with([' ', '\t']) || line.trim().is_empty()) {
        lines.push(line);
        *at += 1;
    }
    while lines.last().is_some_and(|line| line.trim().is_empty()) {
        lines.pop();
    }
    let first = lines.iter().find(|line| !line.trim().is_empty()).copied().unwrap_or_default();
    let indent = &first[..first.len() - first.trim_start().len()];
    lines.iter().map(|line| line.strip_prefix(indent).unwrap_or(line.trim_start()).to_owned()).collect()
}

/// `@name param='default' +rest: dep (dep "arg") && after`.
fn header(code: &str) -> Option<Recipe> {
    let words = tokens(code);
    let colon = words.iter().position(|word| word == ":")?;
    let name = words.first()?.trim_start_matches('@').to_owned();
    let (mut recipe, mut from) = (Recipe { name, ..Recipe::default() }, 1);
    if recipe.name.is_empty() {
        recipe.name = words.get(1)?.clone();
        from = 2;
    }
    if !is_name(&recipe.name) {
        return None;
    }
    let mut at = from;
    while at < colon {
        let mut parameter = Parameter::default();
        while let Some(mark) = words.get(at).filter(|word| matches!(word.as_str(), "+" | "*" | "$")) {
            if mark == "$" {
                parameter.export = true;
            } else {
                parameter.variadic = mark.chars().next();
            }
            at += 1;
        }
        parameter.name = words.get(at).filter(|word| is_name(word))?.clone();
        at += 1;
        if words.get(at).is_some_and(|word| word == "=") {
            parameter.default = Some(words.get(at + 1)?.clone());
            at += 2;
        }
        recipe.parameters.push(parameter);
    }
    let (mut at, mut after) = (colon + 1, false);
    while at < words.len() {
        match words[at].as_str() {
            "&&" => after = true,
            word if word.starts_with('#') => break,
            word if word.starts_with('(') => {
                let mut inner = tokens(word[1..].strip_suffix(')')?).into_iter();
                let dependency = Dependency { name: inner.next()?, arguments: inner.collect() };
                recipe.dependencies.push((dependency, after));
            }
            word => recipe.dependencies.push((Dependency { name: word.to_owned(), arguments: vec![] }, after)),
        }
        at += 1;
    }
    Some(recipe)
}

/// Splits where nothing is quoted or in parentheses.
fn split(text: &str, at: char) -> Vec<String> {
    let (mut parts, mut depth, mut quoted) = (vec![String::new()], 0, None);
    for c in text.chars() {
        match quoted {
            Some(mark) if c == mark => quoted = None,
            None if c == '\'' || c == '"' => quoted = Some(c),
            None if c == '(' => depth += 1,
            None if c == ')' => depth -= 1,
            None if c == at && depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

/// Whether quotes and brackets are closed.
fn balanced(line: &str) -> bool {
    if line.trim_start().starts_with('#') {
        return true;
    }
    let (mut depth, mut rest) = (0_i32, line);
    while let Some(c) = rest.chars().next() {
        let mark = ["'''", "\"\"\"", "```", "'", "\"", "`"].into_iter().find(|mark| rest.starts_with(mark));
        if let Some(mark) = mark {
            let Some(end) = rest[mark.len()..].find(mark) else { return false };
            rest = &rest[mark.len() * 2 + end..];
            continue;
        }
        match c {
            '[' | '(' => depth += 1,
            ']' | ')' => depth -= 1,
            '#' => break,
            _ => {}
        }
        rest = &rest[c.len_utf8()..];
    }
    depth <= 0 && !line.ends_with('\\')
}
