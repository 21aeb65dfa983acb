//! A page of `docs/systems` as what its reader would do: files to write and commands to type, in order.
//!
//! ````text
//! ```toml title=tasks.toml        a file, with all that is in it; one that begins with `#!` can be run
//! ```toml add-to=tasks.toml       more lines at the end of a file
//! ```console                      `$ command`, and below it what it prints
//! ```console any-order            the same, for tasks that run side by side
//! ````
//! A command must exit with 0, or with N where a comment behind it says `# exits with N`. A block of any other kind is
//! refused: there is nothing on a page that is not tried.

use super::shown::Shown;

/// One thing that a reader does.
pub enum Step {
    /// Write this file, or more lines of it.
    File { path: String, content: String, more: bool },
    /// Type this.
    Command(Command),
}

/// A command of a page, and what is said of it.
pub struct Command {
    /// As typed.
    pub text: String,
    /// Where it stands.
    pub line: usize,
    /// What it must exit with.
    pub exit: i32,
    /// What it must print.
    pub shown: Shown,
}

/// What is to be done, in order.
pub fn steps(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let body: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
        let words: Vec<&str> = info.split_whitespace().collect();
        let named = |name: &str| words.iter().find_map(|word| Some(word.strip_prefix(name)?.to_owned()));
        match (named("title="), named("add-to=")) {
            (Some(path), None) => steps.push(Step::File { path, content: joined(&body), more: false }),
            (None, Some(path)) => steps.push(Step::File { path, content: joined(&body), more: true }),
            (None, None) if words[..] == ["console"] => commands(&mut steps, &body, number + 2, false),
            (None, None) if words[..] == ["console", "any-order"] => commands(&mut steps, &body, number + 2, true),
            _ => panic!("line {}: a block of `{info}` is neither a file nor commands, so nobody tries it", number + 1),
        }
    }
    steps
}

fn joined(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn commands(steps: &mut Vec<Step>, body: &[&str], first: usize, any_order: bool) {
    for (index, line) in body.iter().enumerate() {
        if let Some(text) = line.strip_prefix("$ ") {
            let said = text.rsplit_once("# exits with ").map(|(_, code)| code.split([',', ':', ' ']).next().unwrap());
            let exit =
                said.map_or(0, |code| code.parse().unwrap_or_else(|_| panic!("line {}: `{line}`", first + index)));
            let (text, line) = (text.to_owned(), first + index);
            steps.push(Step::Command(Command { text, line, exit, shown: Shown::new(any_order) }));
        } else if let Some(Step::Command(command)) = steps.last_mut().filter(|_| index > 0) {
            command.shown.push(line);
        } else {
            panic!("line {}: a block of commands begins with one", first + index);
        }
    }
}

#[test]
fn a_page_is_files_and_commands_in_order() {
    let text = "# A page\n```toml title=a.toml\nx = 1\n```\nText.\n```console\n$ one\nsaid\n\n$ two  # exits with 3\n```\n\
        ```toml add-to=a.toml\ny = 2\n```\n";
    let told: Vec<String> = steps(text)
        .iter()
        .map(|step| match step {
            Step::File { path, content, more } => format!("{path} {content:?} {more}"),
            Step::Command(it) => format!("{} {} {} {}", it.line, it.text, it.exit, it.shown.is_empty()),
        })
        .collect();
    assert_eq!(
        told,
        [r#"a.toml "x = 1\n" false"#, "7 one 0 false", "10 two  # exits with 3 3 true", r#"a.toml "y = 2\n" true"#,]
    );
}

#[test]
fn what_nobody_would_try_is_refused() {
    for text in ["```toml\na = 1\n```\n", "```\nplain\n```\n", "```console\nprinted by nothing\n```\n"] {
        assert!(std::panic::catch_unwind(|| steps(text)).is_err(), "{text}");
    }
}
