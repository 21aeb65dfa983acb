//! What a shell command names: variables, programs, scripts. Guesses: a shell can't be parsed without
//! running it.

use std::collections::BTreeSet;

/// Set by shells themselves.
const OF_THE_SHELL: [&str; 17] = [
    "PWD",
    "OLDPWD",
    "IFS",
    "RANDOM",
    "SECONDS",
    "LINENO",
    "UID",
    "EUID",
    "PPID",
    "SHLVL",
    "HOSTNAME",
    "OPTARG",
    "OPTIND",
    "REPLY",
    "PIPESTATUS",
    "FUNCNAME",
    "_",
];

/// The names in `$NAME` and `${NAME…}` that the command does not set itself. Text in single quotes
/// is left out.
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
        !OF_THE_SHELL.contains(&name.as_str())
            && !name.starts_with("BASH")
            && !name.starts_with("WEIR_")
            && !sets(command, name)
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
                || (introduced
                    && words
                        .iter()
                        .any(|word| matches!(*word, "for" | "read" | "local" | "declare" | "mapfile" | "readarray"))))
    })
}

/// Words that shells run themselves.
const BUILT_IN: [&str; 58] = [
    "if", "then", "else", "elif", "fi", "for", "in", "do", "done", "while", "until", "case", "esac", "function",
    "select", "time", "{", "}", "!", "[", "[[", "]]", "(", ")", ":", ".", "source", "alias", "bg", "break", "cd",
    "command", "continue", "declare", "echo", "eval", "exec", "exit", "export", "false", "getopts", "hash", "local",
    "mapfile", "printf", "pwd", "read", "readonly", "return", "set", "shift", "test", "trap", "true", "type", "ulimit",
    "umask", "unset",
];

/// The words that stand where a command begins: programs and scripts, without shell built-ins,
/// assignments, and words made of variables.
pub fn programs(command: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let functions: BTreeSet<&str> =
        command.match_indices("()").filter_map(|(at, _)| command[..at].split_whitespace().last()).collect();
    for part in commands(command) {
        let Some(word) = started(&part).next() else { continue };
        let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./+".contains(c));
        if plain && !BUILT_IN.contains(&word) && !functions.contains(word) && !word.starts_with('-') {
            found.insert(word.to_owned());
        }
    }
    found
}

/// The words of a simple command from the program on: of `then cargo test` and `A=1 cargo test`, `cargo test`.
fn started(part: &str) -> impl Iterator<Item = &str> {
    const BEFORE: [&str; 12] = ["if", "then", "else", "elif", "do", "while", "until", "!", "time", "{", "(", "exec"];
    part.split_whitespace().skip_while(|word| {
        let assigns = word
            .split_once('=')
            .is_some_and(|(name, _)| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
        assigns || BEFORE.contains(word) || *word == "command"
    })
}

/// The simple commands of a text, quotes respected; what is inside quotes or a here-document is
/// not looked into.
fn commands(text: &str) -> Vec<String> {
    let text = text.split("<<").next().unwrap_or("").replace("\\\n", " ");
    let mut parts = vec![String::new()];
    let (mut single, mut double) = (false, false);
    let mut chars = text.chars().peekable();
    let mut comment = false;
    while let Some(c) = chars.next() {
        let last = parts.len() - 1;
        match c {
            '\n' => {
                comment = false;
                if !single && !double {
                    parts.push(String::new());
                }
            }
            _ if comment => {}
            '\\' if !single => {
                parts[last].push(c);
                parts[last].extend(chars.next());
            }
            '\'' if !double => {
                single = !single;
                parts[last].push(c);
            }
            '"' if !single => {
                double = !double;
                parts[last].push(c);
            }
            '#' if !single && !double && parts[last].chars().last().is_none_or(char::is_whitespace) => comment = true,
            // `2>&1`, `&>file`: no new command.
            '&' if !single && !double && (parts[last].ends_with('>') || chars.peek() == Some(&'>')) => {
                parts[last].push(c)
            }
            ';' | '|' | '&' | '(' | ')' | '`' if !single && !double => parts.push(String::new()),
            c => parts[last].push(c),
        }
    }
    parts
}

/// What in a command can give another result each time: the network, the clock, chance.
pub fn impure(command: &str) -> Option<&'static str> {
    /// A program, the words after it that are meant (none: whatever they are), and why.
    type Program = (&'static str, &'static [&'static str], &'static str);
    const PROGRAMS: [Program; 15] = [
        ("curl", &[], "`curl` asks the network"),
        ("wget", &[], "`wget` asks the network"),
        ("ssh", &[], "`ssh` asks the network"),
        ("scp", &[], "`scp` asks the network"),
        ("rsync", &[], "`rsync` may ask the network"),
        ("ping", &[], "`ping` asks the network"),
        ("dig", &[], "`dig` asks the network"),
        ("apt-get", &[], "`apt-get` asks the network"),
        ("git", &["clone", "fetch", "ls-remote", "pull", "push"], "`git` asks the network"),
        ("docker", &["pull", "push"], "`docker` asks the network"),
        ("pip", &["install", "download"], "`pip` asks the network"),
        ("kubectl", &[], "`kubectl` asks a cluster"),
        ("date", &[], "`date` tells the time"),
        ("uuidgen", &[], "`uuidgen` is chance"),
        ("hostname", &[], "`hostname` differs by machine"),
    ];
    const VARIABLES: [(&str, &str); 3] = [
        ("RANDOM", "`$RANDOM` is chance"),
        ("SECONDS", "`$SECONDS` is time"),
        ("EPOCHSECONDS", "`$EPOCHSECONDS` is time"),
    ];
    let parts = commands(command);
    let found = PROGRAMS.iter().find(|(program, meant, _)| {
        parts.iter().any(|part| {
            let mut words = started(part);
            words.next() == Some(*program) && (meant.is_empty() || words.any(|word| meant.contains(&word)))
        })
    });
    let found = found.map(|(_, _, why)| *why);
    found.or_else(|| {
        VARIABLES
            .iter()
            .find(|(name, _)| command.contains(&format!("${name}")) || command.contains(&format!("${{{name}}}")))
            .map(|(_, why)| *why)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_programs() {
        let names = |text: &str| programs(text).into_iter().collect::<Vec<_>>();
        assert_eq!(names("cd x && A=1 cargo test | tee log 2>&1; echo 'rm x; y'"), ["cargo", "tee"]);
        assert_eq!(names("if grep -q a b; then ./fix.sh; fi # not cat"), ["./fix.sh", "grep"]);
        assert_eq!(names("$CC -o x; out=$(date +%s)"), ["date"]);
        assert!(impure("x=$(date)").is_some());
        assert!(impure("echo update").is_none());
        assert!(impure("echo $RANDOM").is_some());
        assert_eq!(impure("A=1 git -C x fetch origin"), Some("`git` asks the network"));
        assert_eq!(impure("git diff; echo git fetch"), None);
        assert_eq!(impure("if true; then docker pull x; fi"), Some("`docker` asks the network"));
    }

    #[test]
    fn finds_what_is_named() {
        let names = |text: &str| variables(text).into_iter().collect::<Vec<_>>();
        assert_eq!(names("echo $FOO ${BAR:-x} \"$BAZ\" '$NOT' \\$NOR $1 $@ $?"), ["BAR", "BAZ", "FOO"]);
        assert_eq!(names("x=1; echo $x; for f in *; do echo $f; done"), [] as [&str; 0]);
        assert_eq!(names("while read -r line; do echo $line $PWD; done"), [] as [&str; 0]);
    }
}
