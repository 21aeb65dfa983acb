//! Scripts with a `#!` line inside another tool's file → `shell` and `run`.

use super::draft::{Action, TaskDraft};
use super::shell::{is_posix, quote};

/// The interpreter and its arguments, of a text that begins with `#!`; and the text below it.
pub(super) fn shebang(text: &str) -> Option<(Vec<String>, &str)> {
    let text = text.trim_start();
    let (line, rest) = text.strip_prefix("#!")?.split_once('\n').unwrap_or((&text[2..], ""));
    let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    if words.first().is_some_and(|first| first.ends_with("/env")) {
        words.remove(0);
        if words.first().is_some_and(|word| word == "-S") {
            words.remove(0);
        }
    }
    (!words.is_empty()).then_some((words, rest))
}

/// Makes the task run a script through its interpreter, with the lines of `before` run ahead of it.
/// The file's own shell must be one that knows `"$@"`.
pub(super) fn run_script(task: &mut TaskDraft, interpreter: &[String], body: &str, before: &[String]) {
    let program = interpreter[0].rsplit('/').next().unwrap_or_default();
    let takes_text = match program {
        "python" | "python3" => ["argv", "__file__", "argparse", "click"].iter().all(|word| !body.contains(word)),
        "ruby" | "perl" => {
            ["ARGV", "$0", "__FILE__", "@_", "__END__", "__DATA__"].iter().all(|word| !body.contains(word))
        }
        "node" => ["argv", "__file", "__dir", "import ", "require.main"].iter().all(|word| !body.contains(word)),
        _ => false,
    };
    if is_posix(interpreter) {
        let mut lines: Vec<&str> = before.iter().map(String::as_str).collect();
        lines.push(body.trim_end());
        task.action = Action::Run(vec![lines.join("\n")]);
        task.shell = interpreter.to_vec();
        task.shell.push("-c".into());
    } else if takes_text && before.is_empty() {
        let flag = if program.starts_with("python") { "-c" } else { "-e" };
        task.action = Action::Run(vec![body.trim_end().to_owned()]);
        task.shell = interpreter.to_vec();
        task.shell.push(flag.into());
    } else {
        let mut end = "WEIR_SCRIPT".to_owned();
        while body.lines().any(|line| line == end) {
            end.push('_');
        }
        let interpreter: Vec<String> = interpreter.iter().map(|word| quote(word)).collect();
        let mut text: String = before.iter().map(|line| format!("{line}\n")).collect();
        text.push_str("script=$(mktemp)\ntrap 'rm -f \"$script\"' EXIT\n");
        text.push_str(&format!("cat > \"$script\" <<'{end}'\n{}\n{end}\n", body.trim_end()));
        text.push_str(&format!("{} \"$script\" \"$@\"", interpreter.join(" ")));
        task.action = Action::Run(vec![text]);
        task.shell.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters_are_read() {
        let of = |text: &str| shebang(text).map(|(words, rest)| (words.join(" "), rest.to_owned()));
        assert_eq!(of("\n#!/usr/bin/env bash\nx\n"), Some(("bash".into(), "x\n".into())));
        assert_eq!(of("#!/usr/bin/env -S deno run\nx"), Some(("deno run".into(), "x".into())));
        assert_eq!(of("#!/bin/sh -eu"), Some(("/bin/sh -eu".into(), String::new())));
        assert_eq!(of("echo"), None);
    }
}
