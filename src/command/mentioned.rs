//! Which variables a shell command names.

use std::collections::BTreeSet;

/// Set by shells themselves.
const OF_THE_SHELL: [&str; 17] = [
    "PWD", "OLDPWD", "IFS", "RANDOM", "SECONDS", "LINENO", "UID", "EUID", "PPID", "SHLVL", "HOSTNAME", "OPTARG",
    "OPTIND", "REPLY", "PIPESTATUS", "FUNCNAME", "_",
];

/// The names in `$NAME` and `${NAME…}` that the command does not set itself. Text in single quotes
/// is left out. A guess: shells can't be parsed without running them.
pub fn variables(command: &str) -> BTreeSet<String> {
    let bytes = command.as_bytes();
    let mut found = BTreeSet::new();
    let (mut single, mut double) = (false, false);
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if !single => at += 1,
            b'\'' if !double => single = !single,
            b'"' if !single => double = !double,
            b'$' if !single => {
                let from = at + 1 + usize::from(bytes.get(at + 1) == Some(&b'{'));
                let name: String = command
                    .get(from..)
                    .unwrap_or("")
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                    .collect();
                if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
                    found.insert(name);
                }
            }
            _ => {}
        }
        at += 1;
    }
    found.retain(|name| {
        !OF_THE_SHELL.contains(&name.as_str()) && !name.starts_with("BASH") && !name.starts_with("WEIR_") && !sets(command, name)
    });
    found
}

/// Whether the command gives `name` a value: `name=`, `for name in`, `read name`, `local name`.
fn sets(command: &str, name: &str) -> bool {
    command.match_indices(name).any(|(at, _)| {
        let before = &command[..at];
        let after = &command[at + name.len()..];
        let word_start = before.is_empty() || before.ends_with(|c: char| c.is_whitespace() || ";|&({`".contains(c));
        let assigned = after.starts_with('=') || after.starts_with("+=");
        let words: Vec<&str> = before.split_whitespace().rev().take(4).collect();
        let introduced = after.starts_with(|c: char| c.is_whitespace() || c == ';') || after.is_empty();
        word_start
            && (assigned
                || (introduced && words.iter().any(|word| matches!(*word, "for" | "read" | "local" | "declare" | "mapfile" | "readarray"))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_named() {
        let names = |text: &str| variables(text).into_iter().collect::<Vec<_>>();
        assert_eq!(names("echo $FOO ${BAR:-x} \"$BAZ\" '$NOT' \\$NOR $1 $@ $?"), ["BAR", "BAZ", "FOO"]);
        assert_eq!(names("x=1; echo $x; for f in *; do echo $f; done"), [] as [&str; 0]);
        assert_eq!(names("while read -r line; do echo $line $PWD; done"), [] as [&str; 0]);
    }
}
