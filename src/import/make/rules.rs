//! The text of a Makefile → variables, rules, and what is neither.

/// A Makefile, taken apart.
#[derive(Debug, Default)]
pub(super) struct Makefile {
    pub variables: Vec<Variable>,
    pub rules: Vec<Rule>,
    /// Lines that are not carried over: `include`, `define`, functions on their own.
    pub others: Vec<(usize, String)>,
    /// Variables of some targets alone.
    pub own: Vec<(String, Variable)>,
    /// Exported names; `None`: all.
    pub exported: Vec<Option<String>>,
}

/// An assignment.
#[derive(Debug, Clone)]
pub(super) struct Variable {
    pub line: usize,
    pub name: String,
    /// `=`, `:=`, `?=`, `+=`, `!=`.
    pub operator: &'static str,
    pub value: String,
    /// Inside a conditional.
    pub uncertain: bool,
}

/// A rule.
#[derive(Debug, Clone, Default)]
pub(super) struct Rule {
    pub line: usize,
    pub targets: String,
    pub prerequisites: String,
    pub recipe: Vec<String>,
    pub double: bool,
    pub uncertain: bool,
    /// `## what it does`, beside it or above it.
    pub description: Option<String>,
}

const OPERATORS: [&str; 6] = ["::=", ":=", "?=", "+=", "!=", "="];

impl Makefile {
    /// Takes a text apart.
    ///
    /// # Errors
    /// The line, and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut file = Self::default();
        let mut depth = 0_usize;
        let mut open: Option<Rule> = None;
        let mut comment: Option<String> = None;
        let mut lines = text.lines().enumerate();
        while let Some((at, line)) = lines.next() {
            let number = at + 1;
            let mut whole = line.to_owned();
            let recipe = line.starts_with('\t');
            while whole.ends_with('\\') {
                let Some((_, more)) = lines.next() else { break };
                if recipe {
                    whole.push('\n');
                    whole.push_str(more.strip_prefix('\t').unwrap_or(more));
                } else {
                    whole.pop();
                    whole = format!("{} {}", whole.trim_end(), more.trim());
                }
            }
            if recipe && let Some(rule) = &mut open {
                rule.recipe.push(whole[1..].to_owned());
                continue;
            }
            let (code, said) = without_comment(&whole);
            let code = code.trim();
            if code.is_empty() {
                comment = said.or(comment.filter(|_| !whole.trim().is_empty()));
                continue;
            }
            if recipe {
                return Err((number, "a recipe without a rule".into()));
            }
            let word = code.split_whitespace().next().unwrap_or_default();
            match word {
                "ifeq" | "ifneq" | "ifdef" | "ifndef" => {
                    depth += 1;
                    file.others.push((number, code.to_owned()));
                }
                "else" => {}
                "endif" => depth = depth.checked_sub(1).ok_or((number, "an `endif` without its `if`".to_owned()))?,
                "include" | "-include" | "sinclude" | "vpath" | "load" => file.others.push((number, code.to_owned())),
                "define" => {
                    file.others.push((number, code.to_owned()));
                    let name = code.split_whitespace().nth(1).unwrap_or_default().to_owned();
                    file.variables.push(Variable {
                        line: number,
                        name,
                        operator: "=",
                        value: String::new(),
                        uncertain: true,
                    });
                    for (_, line) in lines.by_ref() {
                        if line.trim() == "endef" {
                            break;
                        }
                    }
                }
                "export" | "unexport" | "override" if !code.contains(':') || assignment(code).is_some() => {
                    let rest = code[word.len()..].trim();
                    if let Some((name, operator, value)) = assignment(rest) {
                        file.variables.push(Variable {
                            line: number,
                            name: name.clone(),
                            operator,
                            value,
                            uncertain: depth > 0,
                        });
                        if word == "export" {
                            file.exported.push(Some(name));
                        }
                    } else if word == "export" {
                        file.exported.extend(rest.split_whitespace().map(|name| Some(name.to_owned())));
                        if rest.is_empty() {
                            file.exported.push(None);
                        }
                    }
                }
                _ => {
                    if let Some((name, operator, value)) = assignment(code) {
                        file.variables.push(Variable { line: number, name, operator, value, uncertain: depth > 0 });
                    } else if let Some(mut rule) = rule(code) {
                        file.rules.extend(open.take());
                        rule.line = number;
                        rule.uncertain = depth > 0;
                        rule.description = said.or_else(|| comment.take());
                        // `target: NAME = value` is of that target alone.
                        if let Some((name, operator, value)) = assignment(&rule.prerequisites) {
                            let uncertain = depth > 0;
                            file.own.push((rule.targets, Variable { line: number, name, operator, value, uncertain }));
                            comment = None;
                            continue;
                        }
                        open = Some(rule);
                    } else if code.starts_with("$(") {
                        file.others.push((number, code.to_owned()));
                    } else {
                        return Err((number, format!("`{code}` is no rule, variable or directive")));
                    }
                }
            }
            comment = None;
        }
        if depth > 0 {
            return Err((text.lines().count(), "a conditional without its `endif`".into()));
        }
        file.rules.extend(open);
        Ok(file)
    }
}

/// The text before a `#`, and what a `##` says.
fn without_comment(line: &str) -> (String, Option<String>) {
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        if c == '#' && !escaped {
            let said = line[at..].strip_prefix("##").map(|said| said.trim_start_matches('#').trim().to_owned());
            return (line[..at].replace("\\#", "#"), said.filter(|said| !said.is_empty()));
        }
        escaped = c == '\\' && !escaped;
    }
    (line.replace("\\#", "#"), None)
}

/// `NAME = value`, in any of its forms.
fn assignment(code: &str) -> Option<(String, &'static str, String)> {
    let at = code.find('=')?;
    let (operator, start) = OPERATORS.iter().find_map(|operator| {
        let start = (at + 1).checked_sub(operator.len())?;
        code.get(start..=at).filter(|found| found == operator).map(|_| (*operator, start))
    })?;
    let name = code[..start].trim();
    let plain = !name.is_empty() && !name.contains([':', '$', ' ', '\t', '#']);
    plain.then(|| (name.to_owned(), operator, code[at + 1..].trim().to_owned()))
}

/// `targets: prerequisites ; recipe`.
fn rule(code: &str) -> Option<Rule> {
    let mut depth = 0;
    let at = code.char_indices().find_map(|(at, c)| {
        match c {
            '(' | '{' => depth += 1,
            ')' | '}' => depth -= 1,
            ':' if depth == 0 => return Some(at),
            _ => {}
        }
        None
    })?;
    let targets = code[..at].trim();
    if targets.is_empty() {
        return None;
    }
    let rest = &code[at + 1..];
    let (double, rest) = rest.strip_prefix(':').map_or((false, rest), |rest| (true, rest));
    let (prerequisites, recipe) =
        rest.split_once(';').map_or((rest, None), |(list, recipe)| (list, Some(recipe.trim().to_owned())));
    Some(Rule {
        targets: targets.trim_end_matches('&').trim().to_owned(),
        prerequisites: prerequisites.trim().to_owned(),
        recipe: recipe.into_iter().collect(),
        double,
        ..Rule::default()
    })
}
