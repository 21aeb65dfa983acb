//! The `usage` specification of a task's arguments (KDL): what of it weir's `args` can say.

/// An argument or a flag.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Spec {
    pub flag: bool,
    pub name: String,
    pub required: bool,
    /// Takes all that is left.
    pub rest: bool,
    pub default: Option<String>,
    pub choices: Vec<String>,
    /// The variable it is taken from where it is not given.
    pub env: Option<String>,
}

impl Spec {
    /// The variable that mise sets to it.
    pub fn variable(&self) -> String {
        format!("usage_{}", self.name.replace('-', "_").to_lowercase())
    }
}

/// The arguments and flags in a specification, and the lines that are neither.
pub(super) fn parse(text: &str) -> (Vec<Spec>, Vec<String>) {
    let (mut specs, mut others) = (Vec::<Spec>::new(), Vec::new());
    let mut depth = 0;
    for line in text.lines() {
        let words = tokens(line);
        let Some(first) = words.first().map(|word| word.text.as_str()) else { continue };
        let (opens, closes) =
            (words.iter().filter(|w| w.bare("{")).count(), words.iter().filter(|w| w.bare("}")).count());
        match first {
            "arg" | "flag" if depth == 0 => specs.push(spec(first == "flag", &words[1..])),
            "choices" if depth > 0 => {
                if let Some(last) = specs.last_mut() {
                    last.choices = words[1..].iter().filter(|word| word.quoted).map(|word| word.text.clone()).collect();
                }
            }
            "}" => {}
            _ => others.push(line.trim().to_owned()),
        }
        depth = (depth + opens).saturating_sub(closes);
    }
    (specs, others)
}

fn spec(flag: bool, words: &[Word]) -> Spec {
    let mut spec = Spec { flag, ..Spec::default() };
    let shape = words.first().map(|word| word.text.clone()).unwrap_or_default();
    let inner = |open: char, close: char| {
        let (_, rest) = shape.split_once(open)?;
        Some(rest.split_once(close)?.0.to_owned())
    };
    spec.rest = shape.contains('…') || shape.contains("...");
    if flag {
        // `-f --force <value>`: the long name, else the short one.
        let options: Vec<&str> = shape.split_whitespace().filter(|word| word.starts_with('-')).collect();
        let long = options.iter().find(|word| word.starts_with("--")).or_else(|| options.first());
        spec.name = long.map_or("", |word| word.trim_start_matches('-')).trim_end_matches(['…', '.']).to_owned();
    } else {
        spec.required = !shape.starts_with('[');
        spec.name = inner('<', '>').or_else(|| inner('[', ']')).unwrap_or_else(|| shape.clone());
        spec.name = spec.name.trim_end_matches(['…', '.']).to_owned();
    }
    for word in &words[1.min(words.len())..] {
        match word.key.as_str() {
            "default" => spec.default = Some(word.text.trim_start_matches('#').to_owned()),
            "env" => spec.env = Some(word.text.clone()),
            "var" => spec.rest = word.text.trim_start_matches('#') == "true",
            "required" => spec.required = word.text.trim_start_matches('#') == "true",
            _ => {}
        }
    }
    // `{ choices "a" "b" }` on the same line.
    if let Some(at) = words.iter().position(|word| word.bare("choices")) {
        spec.choices = words[at + 1..].iter().take_while(|word| word.quoted).map(|word| word.text.clone()).collect();
    }
    if spec.default.is_some() {
        spec.required = false;
    }
    spec
}

/// A word, a string, or `key=` and one of them.
#[derive(Debug, Default)]
struct Word {
    key: String,
    text: String,
    quoted: bool,
}

impl Word {
    fn bare(&self, text: &str) -> bool {
        !self.quoted && self.text == text
    }
}

fn tokens(line: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut word: Option<Word> = None;
    let mut chars = line.trim().chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                let word = word.get_or_insert_default();
                word.quoted = true;
                while let Some(c) = chars.next() {
                    match c {
                        '"' => break,
                        '\\' => word.text.extend(chars.next().map(|c| if c == 'n' { '\n' } else { c })),
                        c => word.text.push(c),
                    }
                }
            }
            '/' if chars.peek() == Some(&'/') => break,
            '=' if word.as_ref().is_some_and(|word| !word.quoted && word.key.is_empty()) => {
                let word = word.get_or_insert_default();
                word.key = std::mem::take(&mut word.text);
            }
            c if c.is_whitespace() || c == ';' => words.extend(word.take()),
            c => word.get_or_insert_default().text.push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifications_are_read() {
        let text = r#"
arg "<file>" help="the \"file\"" default="a.txt"
arg "[other]" env="OTHER" { choices "x" "y" }
arg "<rest>..." var=#true
flag "-f --force"
flag "--name <name>" default="bob" {
  choices "bob" "al"
}
complete "file" run="ls"
"#;
        let (specs, others) = parse(text);
        assert_eq!(
            specs.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>(),
            ["file", "other", "rest", "force", "name"]
        );
        assert_eq!((specs[0].required, specs[0].default.as_deref()), (false, Some("a.txt")));
        assert_eq!((specs[1].choices.len(), specs[1].env.as_deref(), specs[1].required), (2, Some("OTHER"), false));
        assert!(specs[2].rest && specs[2].required && specs[3].flag);
        assert_eq!(specs[4].choices, ["bob", "al"]);
        assert_eq!(others.len(), 1);
    }
}
