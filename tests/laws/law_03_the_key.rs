//! Law 3: what the key is made of, and what it is not.

use crate::support::Workspace;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The key of `t` in this workspace now.
fn key(ws: &Workspace) -> String {
    ws.run("t").key("t")
}

/// The keys of `t` under several definitions.
fn keys(definitions: &[&str]) -> Vec<String> {
    let ws = Workspace::new("");
    ws.write("a", "1");
    ws.write("b", "1");
    ws.write("sub/a", "1");
    definitions
        .iter()
        .map(|definition| {
            ws.tasks(&format!("[tasks.t]\n{definition}"));
            key(&ws)
        })
        .collect()
}

/// Each of these definitions has a key of its own.
fn all_differ(definitions: &[&str]) {
    let keys = keys(definitions);
    for (at, one) in keys.iter().enumerate() {
        for (other_at, other) in keys.iter().enumerate().skip(at + 1) {
            assert_ne!(one, other, "{}\n and\n{}", definitions[at], definitions[other_at]);
        }
    }
}

/// All of these definitions have one key.
fn all_agree(definitions: &[&str]) {
    let keys = keys(definitions);
    for (at, one) in keys.iter().enumerate() {
        assert_eq!(*one, keys[0], "{}\n and\n{}", definitions[at], definitions[0]);
    }
}

#[test]
fn the_commands_as_written_and_their_order_count() {
    all_differ(&[
        "run = 'true'\nsources = []",
        "run = 'true '\nsources = []",
        "run = ['true', 'true']\nsources = []",
        "run = ['echo a', 'echo b']\nsources = []",
        "run = ['echo b', 'echo a']\nsources = []",
        "run = \"echo a\\necho b\"\nsources = []",
        "run = ['echo aecho b']\nsources = []",
        "exec = ['true']\nsources = []",
        "exec = ['echo', 'a', 'b']\nsources = []",
        "exec = ['echo', 'b', 'a']\nsources = []",
        "exec = ['echo', 'a b']\nsources = []",
        "exec = ['echo', 'a', 'b', '']\nsources = []",
        "exec = ['echo', 'a\", \"b']\nsources = []",
    ]);
}

#[test]
fn arguments_count_in_their_order() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'printf \"%s.\" \"$@\" >> ../t.ran; echo >> ../t.ran'\nsources = []\noutputs = []",
    );
    let calls: [&[&str]; 8] =
        [&[], &["a", "b"], &["b", "a"], &["a b"], &["ab"], &["a", "b", ""], &["a\" \"b"], &["--", "a"]];
    for arguments in calls {
        let call: Vec<&str> = ["run", "t", "--"].into_iter().chain(arguments.iter().copied()).collect();
        let before = ws.count("t");
        ws.weir(&call).ok();
        assert_eq!(ws.count("t"), before + 1, "{arguments:?} did not run");
        ws.weir(&call).ok();
        assert_eq!(ws.count("t"), before + 1, "{arguments:?} ran twice");
    }
}

#[test]
fn declared_arguments_count_by_name() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'echo $WEIR_ARG_TO >> ../t.ran'\nsources = []\noutputs = []\nargs = [{ name = 'to', default = 'dev' }]",
    );
    ws.run("t -- dev");
    ws.run("t -- prod");
    ws.run("t -- prod");
    ws.run("t");
    assert_eq!(std::fs::read_to_string(ws.outside("t.ran")).unwrap(), "dev\nprod\n");
}

#[test]
fn shell_and_directory_count() {
    all_differ(&[
        "run = 'true'\nsources = []",
        "run = 'true'\nsources = []\nshell = ['sh', '-c']",
        "run = 'true'\nsources = []\nshell = ['sh', '-e', '-c']",
        "run = 'true'\nsources = []\ndir = 'sub'",
    ]);
}

#[test]
fn the_shell_of_the_settings_counts_too() {
    let ws = Workspace::new("[tasks.t]\nrun = 'true'\nsources = []");
    let before = key(&ws);
    ws.tasks("[settings]\nshell = ['sh', '-c']\n[tasks.t]\nrun = 'true'\nsources = []");
    assert_ne!(key(&ws), before);
}

#[test]
fn the_declared_environment_counts_names_and_values() {
    all_differ(&[
        "run = 'true'\nsources = []",
        "run = 'true'\nsources = []\nenv = { A = '' }",
        "run = 'true'\nsources = []\nenv = { A = '1' }",
        "run = 'true'\nsources = []\nenv = { B = '1' }",
        "run = 'true'\nsources = []\nenv = { A = '1', B = '' }",
        "run = 'true'\nsources = []\nenv = { A = '1B' }",
        "run = 'true'\nsources = []\nenv = { A = '', B = '1' }",
        "run = 'true'\nsources = []\npath = ['sub']",
    ]);
}

#[test]
fn the_environment_of_all_tasks_counts() {
    let ws = Workspace::new("[tasks.t]\nrun = 'true'\nsources = []");
    let before = key(&ws);
    ws.tasks("[env]\nA = '1'\n[tasks.t]\nrun = 'true'\nsources = []");
    let one = key(&ws);
    ws.tasks("[env]\nA = '2'\n[tasks.t]\nrun = 'true'\nsources = []");
    let two = key(&ws);
    assert!(before != one && one != two && before != two);
}

#[test]
fn a_variable_that_is_unset_differs_from_an_empty_one() {
    let ws =
        Workspace::new("[tasks.t]\nrun = 'echo x >> ../t.ran'\nsources = []\noutputs = []\nenv_inputs = ['V', 'W_*']");
    let key = |value: Option<(&str, &[u8])>| {
        let call = ws.weir(&["run", "t"]);
        let call = match value {
            Some((name, value)) => call.env(name, OsStr::from_bytes(value)),
            None => call,
        };
        call.ok().key("t")
    };
    let all: [Option<(&str, &[u8])>; 7] = [
        None,
        Some(("V", b"")),
        Some(("V", b"1")),
        Some(("W_A", b"")),
        Some(("W_B", b"")),
        // No UTF-8, and yet two values.
        Some(("V", b"\xfe")),
        Some(("V", b"\xff")),
    ];
    let keys: Vec<String> = all.iter().map(|value| key(*value)).collect();
    for (at, one) in keys.iter().enumerate() {
        for (other_at, other) in keys.iter().enumerate().skip(at + 1) {
            assert_ne!(one, other, "{:?} and {:?}", all[at], all[other_at]);
        }
    }
    assert_eq!(ws.count("t"), all.len());
}

#[test]
fn what_the_task_sets_counts_though_the_variable_is_set_outside() {
    // `LANG` and its like are keyed as they are outside; but the task sees what it sets itself.
    for name in ["LANG", "LC_ALL", "TZ", "PLAIN"] {
        let tasks = |value: &str| {
            format!(
                "[tasks.t]\nrun = 'echo ${name} >> ../t.ran'\nsources = []\noutputs = []\nenv = {{ {name} = '{value}' }}"
            )
        };
        let ws = Workspace::new(&tasks("C"));
        ws.weir(&["run", "t"]).env(name, "POSIX").ok().tasks("t ran");
        ws.tasks(&tasks("C.UTF-8"));
        ws.weir(&["run", "t"]).env(name, "POSIX").ok().tasks("t ran");
        assert_eq!(std::fs::read_to_string(ws.outside("t.ran")).unwrap(), "C\nC.UTF-8\n");
    }
}

#[test]
fn what_the_task_takes_from_outside_counts_though_it_sets_it_too() {
    for name in ["LANG", "LC_ALL", "PLAIN"] {
        let ws = Workspace::new(&format!(
            "[tasks.t]\nrun = 'echo ${name} >> ../t.ran'\nsources = []\noutputs = []\nenv = {{ {name} = 'C' }}\nenv_inputs = ['{name}']"
        ));
        ws.weir(&["run", "t"]).env(name, "POSIX").ok().tasks("t ran");
        ws.weir(&["run", "t"]).env(name, "C.UTF-8").ok().tasks("t ran");
        ws.run("t").tasks("t ran");
        assert_eq!(std::fs::read_to_string(ws.outside("t.ran")).unwrap(), "POSIX\nC.UTF-8\nC\n");
    }
}

#[test]
fn the_values_of_an_env_file_count() {
    let ws = Workspace::new("[tasks.t]\nrun = 'echo $V >> ../t.ran'\nsources = []\noutputs = []\nenv_file = ['.env']");
    ws.write(".env", "V=1\n");
    ws.run("t").tasks("t ran");
    ws.write(".env", "# a remark\nV=1\n");
    ws.run("t").tasks("t fresh");
    ws.write(".env", "V=2\n");
    ws.run("t").tasks("t ran");
    assert_eq!(std::fs::read_to_string(ws.outside("t.ran")).unwrap().lines().count(), 2);
}

#[test]
fn a_source_counts_by_path_kind_executable_bit_target_and_content() {
    let ws = Workspace::new("[tasks.t]\nrun = 'true'\nsources = ['src']");
    ws.write("src/a", "1");
    ws.write("one", "1");
    ws.write("two", "1");
    let mut seen: Vec<(&str, String)> = vec![("a file", key(&ws))];
    let mut now = |what: &'static str| {
        let key = key(&ws);
        for (before, known) in &seen {
            assert_ne!(key, *known, "{before} and {what}");
        }
        seen.push((what, key));
    };
    ws.chmod("src/a", 0o755);
    now("an executable file");
    ws.write("src/a", "2");
    now("other content");
    ws.rename("src/a", "src/b");
    now("another name");
    ws.write("src/b", "");
    ws.write("src/a", "2");
    now("two files");
    ws.remove("src/a");
    ws.remove("src/b");
    ws.link("../one", "src/a");
    now("a symlink");
    ws.link("../two", "src/a");
    now("a symlink with another target, same content");
    ws.write("two", "2");
    now("a symlink with other content behind it");
    ws.chmod("two", 0o755);
    now("a symlink to an executable file");
    ws.link("nowhere", "src/a");
    now("a dangling symlink");
    std::fs::create_dir(ws.path("src/nowhere")).unwrap();
    now("a symlink to an empty folder");
    ws.link(Path::new(OsStr::from_bytes(b"\xfe")), "src/a");
    now("a symlink whose target is no UTF-8");
    ws.link(Path::new(OsStr::from_bytes(b"\xff")), "src/a");
    now("a symlink whose target is another non-UTF-8");
}

#[test]
fn paths_and_contents_are_told_apart() {
    let key_of = |files: &[(&str, &str)]| {
        let ws = Workspace::new("[tasks.t]\nrun = 'true'\nsources = ['src']");
        for (path, content) in files {
            ws.write(&format!("src/{path}"), content);
        }
        key(&ws)
    };
    let all = [
        key_of(&[("ab", "c")]),
        key_of(&[("a", "bc")]),
        key_of(&[("a", "b"), ("c", "")]),
        key_of(&[("a", ""), ("b", "c")]),
        key_of(&[("x/a", "1"), ("y/a", "2")]),
        key_of(&[("x/a", "2"), ("y/a", "1")]),
        key_of(&[("x-a", "1"), ("y/a", "2")]),
    ];
    let different: std::collections::BTreeSet<&String> = all.iter().collect();
    assert_eq!(different.len(), all.len());
}

#[test]
fn the_declaration_of_outputs_counts() {
    all_differ(&[
        "run = 'cp a out; cp a out2'\nsources = []",
        "run = 'cp a out; cp a out2'\nsources = []\noutputs = []",
        "run = 'cp a out; cp a out2'\nsources = []\noutputs = ['out']",
        "run = 'cp a out; cp a out2'\nsources = []\noutputs = ['out2']",
        "run = 'cp a out; cp a out2'\nsources = []\noutputs = ['out', 'out2']",
        "run = 'cp a out; cp a out2'\nsources = []\noutputs = ['out*']",
        "run = 'cp a out; cp a out2'\nsources = []\noutputs = ['out*', '!out2']",
    ]);
}

#[test]
fn what_dependencies_left_counts_and_from_whom() {
    let tasks = |one: &str, two: &str| {
        format!(
            "[tasks.one]\nrun = 'cp {one} out1'\nsources = ['a', 'b']\noutputs = ['out1']\n\
             [tasks.two]\nrun = 'cp {two} out2'\nsources = ['a', 'b']\noutputs = ['out2']\n\
             [tasks.t]\nrun = 'true'\nsources = []\ndepends = ['one', 'two']"
        )
    };
    let ws = Workspace::new(&tasks("a", "b"));
    ws.write("a", "1");
    ws.write("b", "2");
    let first = key(&ws);
    ws.tasks(&tasks("b", "a"));
    let swapped = key(&ws);
    ws.tasks(&tasks("a", "a"));
    let same = key(&ws);
    assert!(first != swapped && swapped != same && first != same);
}

#[test]
fn required_programs_count_by_content_and_version() {
    let ws = Workspace::new("[tasks.t]\nrun = 'true'\nsources = []\npath = ['bin']\nrequires = ['tool']");
    let tool = |text: &str| {
        ws.write("bin/tool", format!("#!/bin/sh\n{text}\n"));
        ws.chmod("bin/tool", 0o755);
        key(&ws)
    };
    let one = tool("echo 1.0");
    let patched = tool("echo 1.0 # patched");
    let newer = tool("echo 1.1");
    let again = tool("echo 1.0");
    assert!(one != patched && patched != newer && one != newer);
    assert_eq!(one, again);
    // A shim that stays the same while what stands behind it changes.
    std::fs::write(ws.outside("version"), "1").unwrap();
    let one = tool("cat ../version");
    std::fs::write(ws.outside("version"), "2").unwrap();
    assert_ne!(key(&ws), one);
}

#[test]
fn the_output_of_probes_counts() {
    let ws = Workspace::new("[tasks.t]\nrun = 'true'\nsources = []\nprobes = ['cat ../answer']");
    let answer = |bytes: &[u8]| {
        std::fs::write(ws.outside("answer"), bytes).unwrap();
        key(&ws)
    };
    let all = [answer(b"a"), answer(b"a\n"), answer(b""), answer(b"\xfe"), answer(b"\xff")];
    let different: std::collections::BTreeSet<&String> = all.iter().collect();
    assert_eq!(different.len(), all.len());
    assert_eq!(answer(b"a"), all[0]);
}

#[test]
fn all_of_a_probes_output_counts_however_long() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'echo x >> ../t.ran'\nsources = []\noutputs = []\nprobes = ['head -c 3000000 /dev/zero; cat ../answer']",
    );
    // Too much may be refused, but not cut off and taken for the same.
    for answer in ["a", "b"] {
        std::fs::write(ws.outside("answer"), answer).unwrap();
        let ran = ws.try_run("t");
        assert!(matches!(ran.outcome("t"), "ran" | "failed"), "{}", ran.shown());
    }
}

#[test]
fn description_timeout_retry_on_fail_locks_and_profile_do_not_count() {
    all_agree(&[
        "run = 'true'\nsources = []",
        "run = 'true'\nsources = []\ndescription = 'of no use'",
        "run = 'true'\nsources = []\ntimeout = '7m'",
        "run = 'true'\nsources = []\nretry = { attempts = 3, backoff = '1s' }",
        "run = 'true'\nsources = []\non_fail = 'warn'",
        "run = 'true'\nsources = []\nlocks = ['one', 'two']",
        "run = 'true'\nsources = []\nhelp = 'try harder'",
        "run = 'true'\nsources = []\nquiet = true\nhide = true\nalias = 'a'",
    ]);
    let ws = Workspace::new("[profile.other]\n[tasks.t]\nrun = 'true'\nsources = []");
    let plain = key(&ws);
    assert_eq!(ws.run("--profile other t").tasks("t fresh").key("t"), plain);
}

#[test]
fn what_a_profile_changes_counts() {
    let ws = Workspace::new("[profile.other.env]\nA = '1'\n[tasks.t]\nrun = 'true'\nsources = []");
    let plain = key(&ws);
    assert_ne!(ws.run("--profile other t").tasks("t ran").key("t"), plain);
}

#[test]
fn the_same_commit_in_two_directories_has_the_same_key() {
    let checkout = || {
        let ws = Workspace::new(
            "[tasks.dep]\nrun = 'cp src/a out'\nsources = ['src']\noutputs = ['out']\nenv = { A = '1' }\n\
             [tasks.t]\nrun = 'cat out'\nsources = ['src/link', 'sub/**']\ndepends = ['dep']\ndir = 'sub'\n\
             path = ['sub']\nrequires = ['sh']\nprobes = ['uname']\nenv_file = ['.env']\nstate = 'cat ../out'",
        );
        ws.write("src/a", "1");
        ws.link("a", "src/link");
        ws.write("sub/x", "x");
        ws.write(".env", "B=2\n");
        // `dir` is `sub`, where `cat out` finds this.
        ws.write("sub/out", "x");
        ws
    };
    let (one, two) = (checkout(), checkout());
    assert_ne!(one.root(), two.root());
    let (one, two) = (one.run("t"), two.run("t"));
    assert_eq!(one.key("dep"), two.key("dep"));
    assert_eq!(one.key("t"), two.key("t"));
}

#[test]
fn tasks_named_alike_have_nothing_in_common() {
    let names = ["gen:x", "gen_x", "gen-x", "gen.x", "Gen_x"];
    let mut text = String::new();
    for name in names {
        text.push_str(&format!(
            "[tasks.\"{name}\"]\nrun = 'echo I am {name}; test ! -e ../fails.{name}'\nsources = ['in']\n"
        ));
    }
    let ws = Workspace::new(&text);
    ws.write("in", "a");
    for name in names {
        ws.run(name).tasks(&format!("{name} ran"));
    }
    for name in names {
        ws.run(name).tasks(&format!("{name} fresh")).says(&format!("I am {name}"));
    }
    std::fs::write(ws.outside("fails.gen:x"), "").unwrap();
    ws.try_run("-f gen:x").exit(1);
    for name in &names[1..] {
        ws.run(name).tasks(&format!("{name} fresh"));
    }
    ws.try_run("gen:x").exit(1).tasks("gen:x failed");
}

#[test]
fn the_way_to_the_checkout_does_not_count() {
    let ws = Workspace::new("[tasks.t]\nrun = 'cp in out'\nsources = ['in']\noutputs = ['out']\nrequires = ['cp']");
    ws.write("in", "a");
    ws.run("t").tasks("t ran");
    std::os::unix::fs::symlink("ws", ws.outside("way")).unwrap();
    ws.weir(&["-C", "../way", "run", "t"]).ok().tasks("t fresh");
    ws.write("sub/dir/x", "");
    ws.weir(&["-C", "../way/sub/dir", "run", "t"]).ok().tasks("t fresh");
}
