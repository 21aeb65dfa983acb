//! Commands for which a shell would do nothing but start a program: they are started without one, as
//! make does, with the environment that the shell would have given them. Any doubt is for the shell.

use crate::process::Command;
use std::ffi::OsString;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Words that a shell takes for itself, in bash, dash, ksh or zsh.
const OF_SHELLS: &str = " alias autoload bg bind break builtin caller case cd chdir command compgen complete compopt \
     continue coproc declare dirs disown do done echo elif else emulate enable esac eval exec exit export false fc fg \
     fi float for foreach function functions getln getopts hash help history if in integer jobs kill let limit local \
     login logout mapfile newgrp noglob nocorrect popd print printf pushd pwd read readarray readonly rehash repeat \
     return sched select set setopt shift shopt source suspend test then time times trap true ttyctl type typeset \
     ulimit umask unalias unfunction unhash unlimit unset unsetopt until vared wait whence where which while zle ";

/// Variables by which a shell is told to do more, or otherwise.
const TELLING: [&str; 6] = ["BASH_ENV", "ENV", "SHELLOPTS", "BASHOPTS", "POSIXLY_CORRECT", "BASH_COMPAT"];

/// How a program begins that the system starts by itself, without an interpreter: ELF, Mach-O.
const PROGRAMS: [[u8; 4]; 4] =
    [*b"\x7fELF", [0xcf, 0xfa, 0xed, 0xfe], [0xfe, 0xed, 0xfa, 0xcf], [0xca, 0xfe, 0xba, 0xbe]];

/// Turns `command`, the start of `shell` with `text`, into the start of the program that `text` names, if
/// that comes to the same.
pub fn without_shell(command: &mut Command, shell: &[String], text: &str) {
    let Some(words) = plain_words(text).filter(|_| does_no_more(shell) && !told_otherwise(&command.env)) else {
        return;
    };
    let program = std::mem::replace(&mut command.program, words[0].into());
    match located(command) {
        Some((file, folder)) => {
            command.arg0 = Some(words[0].into());
            command.args = words[1..].iter().map(OsString::from).collect();
            leave_traces(command, shell, &file, &folder);
            command.program = file;
        }
        None => command.program = program,
    }
}

/// The words of a text in which nothing has a meaning to a shell, the first of them a program's name.
fn plain_words(text: &str) -> Option<Vec<&str>> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./,:+@%= \t".contains(c);
    let words: Vec<&str> = text.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
    let first = *words.first()?;
    let named = first.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/' || c == '.')
        && first.contains(|c: char| c.is_ascii_alphanumeric())
        && !first.contains([':', ',', '@', '%', '='])
        && !OF_SHELLS.split(' ').any(|word| word == first);
    (text.chars().all(plain) && named).then_some(words)
}

/// Whether the shell is a known one, with options that are nothing to a single plain command.
fn does_no_more(shell: &[String]) -> bool {
    let Some((program, [options @ .., last])) = shell.split_first() else { return false };
    let harmless =
        |word: &String| ["-e", "-u", "-eu", "-ue", "-o", "-eo", "-uo", "-euo", "pipefail"].contains(&&**word);
    matches!(&**program, "bash" | "sh")
        && options.iter().all(harmless)
        && options.iter().filter(|word| word.ends_with('o')).count()
            == options.iter().filter(|word| *word == "pipefail").count()
        && matches!(&**last, "-c" | "-ec" | "-uc" | "-euc")
}

fn told_otherwise(env: &[(OsString, OsString)]) -> bool {
    env.iter().any(|(name, _)| {
        TELLING.iter().any(|telling| name == telling) || name.as_encoded_bytes().starts_with(b"BASH_FUNC_")
    })
}

/// The program's file as the shell would find it, and the folder it starts in; none unless the system
/// starts it by itself.
fn located(command: &Command) -> Option<(OsString, OsString)> {
    // Without a PATH shells have ways of their own.
    command.env.iter().find(|(name, path)| name == "PATH" && !path.is_empty())?;
    let folder = std::fs::canonicalize(&command.cwd).ok()?;
    let file = command.locate(&folder).ok()?;
    let mut start = [0; 4];
    std::fs::File::open(&file).and_then(|mut file| file.read_exact(&mut start)).ok()?;
    PROGRAMS.contains(&start).then(|| (file.into_os_string(), folder.into_os_string()))
}

/// What a shell adds to the environment of what it starts in its own place.
fn leave_traces(command: &mut Command, shell: &[String], file: &OsString, folder: &OsString) {
    let env = &mut command.env;
    let known = |env: &[(OsString, OsString)], name: &str| {
        env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    };
    let there = |path: &Path| std::fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    // One that is inherited counts as long as it names the same folder.
    let right = known(env, "PWD")
        .is_some_and(|pwd| Path::new(&pwd).is_absolute() && there(Path::new(&pwd)) == there(Path::new(folder)));
    let mut set = |name: &str, value: OsString| {
        env.retain(|(known, _)| known != name);
        env.push((name.into(), value));
    };
    if !right {
        set("PWD", folder.clone());
    }
    if shell.first().is_some_and(|program| program == "bash") {
        set("_", file.clone());
        if known(env, "SHLVL").is_none() {
            env.push(("SHLVL".into(), "0".into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn started(text: &str, words: &[&str], env: &[(&str, &str)]) -> Command {
        let mut command = Command::new(words[0], "/");
        command.args = words[1..].iter().chain(&[text, "task"]).map(OsString::from).collect();
        command.env = env.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
        without_shell(&mut command, &shell(words), text);
        command
    }

    const BASH: [&str; 4] = ["bash", "-euo", "pipefail", "-c"];
    const PATH: (&str, &str) = ("PATH", "/nowhere:/usr/bin:/bin");

    #[test]
    fn a_plain_command_needs_no_shell() {
        let command = started("cp  a/b.txt --mode=x\tc", &BASH, &[PATH]);
        assert!(command.program.to_string_lossy().ends_with("/bin/cp"), "{command:?}");
        assert_eq!(command.args, ["a/b.txt", "--mode=x", "c"]);
        assert_eq!(command.arg0.as_deref(), Some("cp".as_ref()));
    }

    #[test]
    fn whatever_means_something_to_a_shell_is_for_the_shell() {
        let texts = [
            "",
            "  ",
            "cp a b; cp b c",
            "cp a > b",
            "cp $A b",
            "cp \"a\" b",
            "cp 'a' b",
            "cp a\\ b c",
            "cp a* b",
            "cp a? b",
            "cp [a] b",
            "cp {a,b} c",
            "cp ~/a b",
            "cp a b # c",
            "cp a b &",
            "cp a b\ncp b c",
            "(cp a b)",
            "! cp a b",
            "A=1 cp a b",
            "echo a",
            "cd a",
            "time cp a b",
            "if",
            ":",
            ".",
            "./no-such-program",
            "-x",
            "no-such-program a",
            "cp a=`b`",
            "test -e a",
            "exec cp a b",
            "%1",
            "true",
            "cp a^b c",
            "cp é b",
        ];
        for text in texts {
            let command = started(text, &BASH, &[PATH]);
            assert_eq!((command.program.to_str(), command.args.len()), (Some("bash"), 5), "{text}");
        }
    }

    #[test]
    fn a_shell_that_is_told_more_is_started() {
        let shells: [&[&str]; 7] = [
            &["bash", "-xc"],
            &["bash", "-l", "-c"],
            &["zsh", "-c"],
            &["bash", "-o", "-c"],
            &["bash", "-euo", "posix", "-c"],
            &["/opt/bash", "-c"],
            &["bash", "pipefail", "-c"],
        ];
        for words in shells {
            assert_eq!(started("cp a b", words, &[PATH]).program, words[0], "{words:?}");
        }
        for telling in ["BASH_ENV", "SHELLOPTS", "BASH_FUNC_cp%%"] {
            assert_eq!(started("cp a b", &BASH, &[PATH, (telling, "x")]).program, "bash", "{telling}");
        }
        assert_eq!(started("cp a b", &BASH, &[]).program, "bash", "no PATH");
    }

    #[test]
    fn a_script_is_left_to_the_shell() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("with", "#!/bin/sh\n"), ("without", "echo a\n"), ("empty", "")] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
            assert_eq!(started(path.to_str().unwrap(), &BASH, &[PATH]).program, "bash", "{name}");
        }
    }

    /// The very environment that the shell would have given.
    #[test]
    fn the_program_sees_what_it_would_see_under_the_shell() {
        let environments: [&[(&str, &str)]; 4] = [
            &[PATH],
            &[PATH, ("SHLVL", "4"), ("PWD", "/"), ("_", "x"), ("A", "b")],
            &[PATH, ("PWD", "/usr"), ("SHLVL", "1")],
            &[PATH, ("PWD", "//")],
        ];
        let seen = |command: &Command| {
            let output = std::process::Command::new(&command.program)
                .args(&command.args)
                .env_clear()
                .envs(command.env.iter().cloned())
                .current_dir(&command.cwd)
                .output()
                .unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
        };
        for env in environments {
            let direct = started("env", &BASH, env);
            assert_ne!(direct.program, "bash");
            let mut shelled = Command::new("bash", "/");
            shelled.args = BASH[1..].iter().chain(&["env", "task"]).map(OsString::from).collect();
            shelled.env = env.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
            assert_eq!(seen(&direct), seen(&shelled), "{env:?}");
        }
    }
}
