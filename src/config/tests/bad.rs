//! What is refused, and where exactly.

use super::*;

/// Bad bodies of a file with `version = 1`: text, code, text under the first span, a part of the message or help.
const FILES: &[(&str, &str, &str, &str)] = &[
    ("taks = 1", "config::unknown-key", "taks", "did you mean `tasks`?"),
    ("zzz = 1", "config::unknown-key", "zzz", "`weir schema` lists the keys"),
    ("[remote]\nendpont = 'x'", "config::unknown-key", "endpont", "did you mean `endpoint`?"),
    ("[remote]\nendpoint = 'http://x:1'", "config::bad-value", "'http://x:1'", "weir speaks `grpc://`"),
    ("[remote]\nendpoint = 'grpc://x'", "config::bad-value", "'grpc://x'", "it names no port"),
    ("[remote]\nmode = 'readonly'", "config::bad-value", "'readonly'", "did you mean `read-only`?"),
    ("[remote]\ncompression = 'zst'", "config::bad-value", "'zst'", "did you mean `zstd`?"),
    (
        "[remote]\ncompression = true",
        "config::wrong-type",
        "true",
        "expected `\"zstd\"` or `\"none\"`, found a boolean",
    ),
    ("[remote]\nheaders = { Host = 'x' }", "config::bad-value", "Host", "lower-case"),
    ("[remote]\ncert_file = 'x'", "config::bad-value", "'x'", "without `key_file`"),
    ("[remote]\ninstance = 'a/blobs'", "config::bad-value", "'a/blobs'", "no name of an instance"),
    ("[remote]\ntimeout = '0s'", "config::bad-duration", "'0s'", ""),
    ("profile.p.remote.mod = 'off'", "config::unknown-key", "mod", "did you mean `mode`?"),
    ("[db.app]\nprovder = 'url'", "config::unknown-key", "provder", "did you mean `provider`?"),
    ("[db.app]\nledger = 'a.b.c'", "config::bad-value", "'a.b.c'", "no name of a table"),
    ("[db.app]\n[db.sys]", "config::conflict", "sys", "both named by the variable `DATABASE_URL`"),
    ("[profile.ci.db.app]\nprovider = 'url'", "config::unknown-database", "app", "no database `app`"),
    ("[structural]\nbaze = 'x'", "config::unknown-key", "baze", "did you mean `base`?"),
    ("[profile.ci.structural]", "config::unknown-key", "structural", "unknown key"),
    ("[structural]\nmax_days = 0", "config::bad-value", "0", ""),
    ("tasks = 3", "config::wrong-type", "3", "expected a table, found an integer"),
    ("tasks.t = 'make'", "config::wrong-type", "'make'", "write `[tasks.NAME]`"),
    ("env = 3", "config::wrong-type", "3", "expected a table"),
    ("env.A = [1]", "config::wrong-type", "[1]", "expected a string, a number or a boolean, found a list"),
    ("env.'1A' = 'x'", "config::bad-variable", "'1A'", "`1A` is no name"),
    ("env.A = \"\\u0000\"", "config::bad-value", "\"\\u0000\"", "NUL"),
    ("settings.jobs = 0", "config::bad-value", "0", "positive integer, found `0`"),
    ("settings.jobs = -1", "config::bad-value", "-1", "positive integer"),
    ("settings.jobs = 'core'", "config::bad-value", "'core'", "did you mean `cores`?"),
    ("settings.jobs = true", "config::wrong-type", "true", "found a boolean"),
    ("settings.shell = []", "config::bad-value", "[]", "`shell` is empty"),
    ("settings.shell = 'bash'", "config::wrong-type", "'bash'", "expected a list of strings"),
    ("settings.timeout = 30", "config::wrong-type", "30", "expected a duration, found an integer"),
    ("settings.timeout = 'soon'", "config::bad-duration", "'soon'", "`soon` is no duration"),
    ("policy.sources = 'never'", "config::bad-value", "'never'", "`\"require\"` or `\"allow\"`"),
    ("policy.entri = 'x'", "config::unknown-key", "entri", "did you mean `entry`?"),
    ("profile.p.setings = {}", "config::unknown-key", "setings", "did you mean `settings`?"),
    ("profile.default.env = {}", "config::bad-name", "default", "`default`"),
    ("profile.p.tasks.tt.run = 'x'\n[tasks.t]\nrun='x'", "config::unknown-task", "tt", "no task `tt`"),
    ("profile.p.tasks.t.rum = 'x'\n[tasks.t]\nrun='x'", "config::unknown-key", "rum", "did you mean `run`?"),
    ("include = 3", "config::wrong-type", "3", "expected a string or a list of strings"),
    ("[tasks.'a b']\nrun = 'x'", "config::bad-name", "'a b'", "`a b` holds ` `"),
    ("[tasks.-a]\nrun = 'x'", "config::bad-name", "-a", "starts with `-`"),
    ("[tasks.'a/b']\nrun = 'x'", "config::bad-name", "'a/b'", "holds `/`"),
    ("[tasks.'a*']\nrun = 'x'", "config::bad-name", "'a*'", "holds `*`"),
    ("[tasks.'']\nrun = 'x'", "config::bad-name", "''", "can't be empty"),
    ("[tasks.t]", "config::empty-task", "t", "`t` does nothing"),
    ("[tasks.t]\ndescription = 'x'", "config::empty-task", "t", "give it `run`"),
    ("[tasks.t]\nrun = 'x'\n[tasks.t]\nrun = 'y'", "config::syntax", "t", "`t` is declared twice"),
    ("[tasks.t]\nrun = 'x'\nrun = 'y'", "config::syntax", "run", "`run` is declared twice"),
    ("[tasks.t]\nrun = x", "config::syntax", "x", "put quotes around the value"),
    ("[tasks.db:reset]\nrun = 'x'", "config::syntax", ":", "put quotes around the key"),
];

/// Bad lines of `[tasks.t]` with `run = 'x'`.
const LINES: &[(&str, &str, &str, &str)] = &[
    ("depnds = 'x'", "config::unknown-key", "depnds", "did you mean `depends`?"),
    ("wholly = 1", "config::unknown-key", "wholly", "`weir schema`"),
    ("service = 3", "config::wrong-type", "3", "expected a table"),
    ("service = { ready = {} }", "config::missing-key", "{}", "give it `http`, `tcp`, `log` or `command`"),
    ("service = { ready = { tcp = '1', log = 'x' } }", "config::conflict", "log", "both `tcp` and `log`"),
    ("service = { ready = { log = '(' } }", "config::bad-value", "'('", "no regular expression"),
    ("service = { ready = { http = 'https://x' } }", "config::bad-value", "'https://x'", "`tcp` or `command`"),
    ("service = { stop = 'USR1' }", "config::bad-value", "'USR1'", ""),
    ("service = {}\noutputs = []", "config::conflict", "outputs", "leaves nothing behind"),
    ("service = {}\nretry = 3", "config::conflict", "retry", "never started again silently"),
    ("service = {}\ntimeout = '1s'", "config::conflict", "timeout", "bounds its start"),
    ("ports = 3", "config::wrong-type", "3", "a variable's name, or a table"),
    ("ports = ['A', '1A']", "config::bad-variable", "'1A'", "no name of an environment variable"),
    ("ports = ['A', 'A']", "config::bad-value", "'A'", "named twice"),
    ("ports = { A = 70000 }", "config::bad-value", "70000", "there is no port 70000"),
    ("ports = { A = 0 }", "config::bad-value", "0", "positive integer"),
    ("ports = { A = 3001, B = 3001 }", "config::bad-value", "B", "both prefer 3001"),
    ("env.A = 1\nports = ['A']", "config::conflict", "'A'", "set by `env` too"),
    ("uses = 'db.up'", "config::conflict", "uses", "keep one of them"),
    ("database = 'ap'", "config::unknown-database", "'ap'", "declare it: `[db.ap]`"),
    ("with = {}", "config::conflict", "with", "no `uses`"),
    ("gate = { id = 'a b' }", "config::bad-value", "'a b'", "no id of a gate"),
    ("expect = {}", "config::conflict", "expect", "add `junit = "),
    ("description = 3", "config::wrong-type", "3", "expected a string, found an integer"),
    ("sources = [3, 'a']", "config::wrong-type", "3", "expected a string"),
    ("sources = ['a', '[']", "config::bad-glob", "'['", "`[` is no valid glob"),
    ("sources = ['a', '']", "config::bad-value", "''", "empty pattern"),
    ("sources = ['a', '../b']", "config::bad-path", "'../b'", "outside the workspace"),
    ("sources = ['!a']", "config::bad-value", "['!a']", "only negations"),
    ("outputs = ['/tmp/x']", "config::bad-path", "'/tmp/x'", "absolute"),
    ("outputs = ['../x']", "config::bad-path", "'../x'", "outside the workspace"),
    ("outputs = ['a', '.']", "config::bad-value", "'.'", "whole workspace"),
    ("outputs = ['**']", "config::bad-value", "'**'", "whole workspace"),
    ("outputs = ['.weir/x']", "config::bad-value", "'.weir/x'", "weir's own folder"),
    ("outputs = '!a'", "config::bad-value", "'!a'", "only negations"),
    ("writes = ['../x']", "config::bad-path", "'../x'", "outside"),
    ("dir = '/'", "config::bad-path", "'/'", "absolute"),
    ("path = ['..']", "config::bad-path", "'..'", "outside"),
    ("env_file = ['a', '..']", "config::bad-path", "'..'", "outside"),
    ("env_inputs = ['A', 'B-C']", "config::bad-variable", "'B-C'", "`*` may end it"),
    ("env_required = ['A*']", "config::bad-variable", "'A*'", "no name"),
    ("redact = ['A B']", "config::bad-variable", "'A B'", "no name"),
    ("requires = ['']", "config::bad-value", "''", "empty"),
    ("locks = 1", "config::wrong-type", "1", "string or a list"),
    ("timeout = '0s'", "config::bad-duration", "'0s'", "longer than zero"),
    ("retry = 0", "config::bad-value", "0", "positive"),
    ("retry = {}", "config::missing-key", "{}", "`retry` needs `attempts`"),
    ("retry = { attempts = 2, backof = '1s' }", "config::unknown-key", "backof", "did you mean `backoff`?"),
    ("retry = 'x'", "config::wrong-type", "'x'", "number of attempts"),
    ("poll = { every = '1s' }", "config::missing-key", "{ every = '1s' }", "add `timeout = "),
    ("poll = 3", "config::wrong-type", "3", "a table"),
    ("retry = 2\npoll.timeout = '1s'", "config::conflict", "retry", "exclude each other"),
    ("cache = 'remote'", "config::bad-value", "'remote'", "`\"local\"`"),
    ("cache = 1", "config::wrong-type", "1", "`\"local\"`"),
    ("on_fail = 'wrn'", "config::bad-value", "'wrn'", "did you mean `warn`?"),
    ("on_fail = { ci = 'x' }", "config::bad-value", "'x'", "`\"fail\"` or `\"warn\"`"),
    ("on_fail = 3", "config::wrong-type", "3", "table by profile"),
    ("confirm = ''", "config::bad-value", "''", "empty"),
    ("confirm = 3", "config::wrong-type", "3", "question"),
    ("allow = { graph = 'x' }", "config::bad-value", "graph", "no code of a finding"),
    ("allow = { 'graph::x' = '' }", "config::bad-value", "''", "empty"),
    ("alias = ['a', 'b c']", "config::bad-name", "'b c'", "holds ` `"),
    ("depends = ['a', '']", "config::bad-value", "''", "empty"),
    ("depends = ['a b']", "config::bad-name", "'a b'", "args = "),
    ("depends = ['a[']", "config::bad-glob", "'a['", "no valid glob"),
    ("depends = [{ tsk = 'a' }]", "config::missing-key", "{ tsk = 'a' }", "a dependency needs `task`"),
    ("depends = [{ task = 'a', arg = 'b' }]", "config::unknown-key", "arg", "did you mean `args`?"),
    ("depends = [3]", "config::wrong-type", "3", "task's name or a table"),
    ("depends_post = { task = 'a', when = 'alway' }", "config::bad-value", "'alway'", "did you mean `always`?"),
    ("depends_post = { task = 'a', order_only = true }", "config::unknown-key", "order_only", "a cleanup takes"),
    ("wait_for = [{}]", "config::wrong-type", "{}", "expected a string"),
    ("args = ['a', '2']", "config::bad-argument", "'2'", "no name of an argument"),
    ("args = ['a', 'a']", "config::bad-argument", "'a'", "declared twice"),
    (
        "args = ['a', { name = 'b', required = true }]",
        "config::bad-argument",
        "{ name = 'b', required = true }",
        "after an optional one",
    ),
    (
        "args = [{ name = 'b', choices = ['x'], default = 'y' }]",
        "config::bad-argument",
        "{ name = 'b', choices = ['x'], default = 'y' }",
        "not among its choices",
    ),
    ("args = [{ default = 'y' }]", "config::missing-key", "{ default = 'y' }", "needs `name`"),
    ("exec = ['y']", "config::conflict", "exec", "`t` has `run` and `exec`"),
    ("sequence = ['y']", "config::conflict", "sequence", "`run` and `sequence`"),
    ("reset = true\nsources = ['a']", "config::cached-reset", "sources", "never cached"),
    ("reset = true\ncache = true", "config::cached-reset", "cache", "never cached"),
    ("reset = true\ncache = 'local'", "config::cached-reset", "cache", "never cached"),
    ("interactive = true\nsources = []", "config::cached-interactive", "sources", "cache = false"),
    ("manual = 'yes'", "config::wrong-type", "'yes'", "`true` or `false`"),
    ("shell = ['']", "config::bad-value", "''", "starts with an empty string"),
];

fn check(text: &str, (code, span, words): (&str, &str, &str)) {
    let loaded = load_files(&[("tasks.toml", text)], &[]);
    let hit = loaded.diagnostics.iter().find(|diagnostic| {
        diagnostic.code == code
            && under(&loaded.config, diagnostic.labels[0].at) == span
            && format!("{} / {}", diagnostic.message, diagnostic.help.as_deref().unwrap_or("")).contains(words)
    });
    assert!(hit.is_some(), "{text}\nexpected {code} «{span}» {words}\nfound {:#?}", said(&loaded));
    for diagnostic in &loaded.diagnostics {
        assert!(diagnostic.help.is_some(), "no help: {}", diagnostic.message);
        assert!(!diagnostic.message.starts_with(char::is_uppercase), "{}", diagnostic.message);
    }
    let count = loaded.diagnostics.len();
    assert!(count == 1 || text.contains("tsk"), "one problem, {count} diagnostics: {:#?}", said(&loaded));
}

#[test]
fn each_bad_file_has_one_diagnostic_at_its_place() {
    for (text, code, span, words) in FILES {
        check(&format!("version = 1\n{text}\n"), (code, span, words));
    }
}

#[test]
fn each_bad_line_of_a_task_has_one_diagnostic_at_its_place() {
    for (line, code, span, words) in LINES {
        check(&format!("version = 1\n[tasks.t]\nrun = 'x'\n{line}\n"), (code, span, words));
    }
}

#[test]
fn versions() {
    check("[tasks.t]\nrun = 'x'", ("config::missing-version", "", "add `version = 1`"));
    check("version = 2", ("config::newer-version", "2", "written for a newer weir"));
    check("version = 0", ("config::bad-value", "0", "no version `0`"));
    check("version = '1'", ("config::wrong-type", "'1'", "the number `1`"));
}

#[test]
fn empty_actions() {
    for (line, span) in [
        ("run = ''", "''"),
        ("run = []", "[]"),
        ("exec = []", "[]"),
        ("sequence = []", "[]"),
        ("sequence = [[]]", "[]"),
        ("run = ['a', ' ']", "' '"),
    ] {
        check(&format!("version = 1\n[tasks.t]\n{line}"), ("config::bad-value", span, "empty"));
    }
}

#[test]
fn a_group_takes_no_keys_of_a_command() {
    for key in crate::config::task_keys::TASK.keys.iter().map(|key| &key.info) {
        if key.only != crate::config::keys::Only::Command {
            continue;
        }
        let text = format!("version = 1\n[tasks.t]\ndepends = 'x'\n{} = {}", key.name, key.example);
        check(&text, ("config::group-key", key.name, "neither `run` nor `exec`"));
    }
    for key in [
        "sources",
        "outputs",
        "writes",
        "timeout",
        "retry",
        "poll",
        "env_inputs",
        "requires",
        "probes",
        "state",
        "shell",
        "interactive",
    ] {
        assert!(
            crate::config::task_keys::TASK
                .keys
                .iter()
                .any(|k| k.info.name == key && k.info.only != crate::config::keys::Only::Anywhere)
        );
    }
}

#[test]
fn every_unbuilt_key_is_refused() {
    for key in crate::config::task_keys::TASK.unbuilt {
        check(
            &format!("version = 1\n[tasks.t]\nrun = 'x'\n{key} = 1"),
            ("config::not-yet-supported", key, "not yet supported"),
        );
    }
}

#[test]
fn what_is_never_cached_is_fine_without_a_cache() {
    task("[tasks.t]\nrun = 'x'\nreset = true");
    task("[tasks.t]\nrun = 'x'\nreset = true\ncache = false\nsources = ['a']");
    task("[tasks.t]\nrun = 'x'\ninteractive = true\ncache = false\nsources = ['a']");
    task("[tasks.t]\nrun = 'x'\nreset = false\nsources = ['a']");
}

#[test]
fn all_problems_at_once_in_order() {
    let text = "version = 1\ntypo = 1\n[settings]\njobs = 'x'\n[tasks.b]\nrun = 3\ntimeout = 'soon'\n[tasks.a]\nrun = 'x'\nsources = ['[', '../x', 7]\n";
    let said = said(&load_files(&[("tasks.toml", text)], &[]));
    let codes: Vec<&str> =
        said.iter().map(|line| line.split(" message").next().unwrap().split(' ').next().unwrap()).collect();
    assert_eq!(
        codes,
        [
            "config::unknown-key",
            "config::bad-value",
            "config::wrong-type",
            "config::bad-duration",
            "config::bad-glob",
            "config::bad-path",
            "config::wrong-type"
        ],
        "{said:#?}"
    );
}

#[test]
fn syntax_errors_do_not_hide_others_nor_breed_them() {
    let text = "version = 1\n[tasks.a]\nrun = \n[tasks.b]\nrun = 'x'\ntimeout = 'soon'\n";
    let loaded = load_files(&[("tasks.toml", text)], &[]);
    let codes: Vec<&str> = loaded.diagnostics.iter().map(|d| d.code).collect();
    assert_eq!(codes, ["config::syntax", "config::bad-duration"], "{:#?}", said(&loaded));
    assert_eq!(loaded.config.tasks.len(), 2);
}

#[test]
fn a_second_declaration_points_to_the_first() {
    let text = "version = 1\n[tasks.t] # one\nrun = 'x'\n\n[tasks.t]\nrun = 'y'\n";
    let loaded = load_files(&[("tasks.toml", text)], &[]);
    let labels = &loaded.diagnostics[0].labels;
    assert_eq!((under(&loaded.config, labels[1].at), labels[1].text.as_str()), ("[tasks.t]", "first declared here"));
    assert_eq!(labels[1].at.start, 12);
}

#[test]
fn unknown_profiles() {
    let loaded = load_files(
        &[("tasks.toml", "version = 1\n[profile.prod]\n[tasks.t]\nrun='x'\non_fail = { smoke = 'warn' }")],
        &["ci", "smoke", "local", "prod", "prd"],
    );
    assert_eq!(said(&loaded), ["config::unknown-profile  unknown profile `prd` / did you mean `prod`?"]);
}

#[test]
fn files_that_are_no_text() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tasks.toml");
    let only = |path: &std::path::Path| {
        let loaded = load(path, &[], &crate::config::Looked::default());
        assert_eq!((loaded.diagnostics.len(), loaded.config.files.len()), (1, 1));
        assert!(loaded.has_errors());
        said(&loaded).remove(0)
    };
    assert!(only(&file).contains("config::unreadable  failed to read `tasks.toml`: "));
    std::fs::create_dir(&file).unwrap();
    assert!(only(&file).contains("`tasks.toml` is a directory"));
    std::fs::remove_dir(&file).unwrap();
    std::fs::write(&file, b"version = 1\n# \xff\n").unwrap();
    assert!(only(&file).contains("`tasks.toml` is not UTF-8: byte 14, on line 2"), "{}", only(&file));
    std::fs::File::create(&file).unwrap().set_len((16 << 20) + 1).unwrap();
    assert!(only(&file).contains("larger than 16 MiB"));
}

#[test]
fn two_tables_declared_twice_are_two_problems() {
    let text = "version = 1\n[tasks.t]\nrun = 'x'\n[tasks.u]\nrun = 'x'\n[tasks.t]\nrun = 'y'\n\
                [tasks.u]\nrun = 'y'\n[tasks.'a':b]\nrun = 'z'\n";
    let loaded = load_files(&[("tasks.toml", text)], &[]);
    let twice = loaded.diagnostics.iter().filter(|d| d.message.contains("declared twice"));
    assert_eq!(twice.count(), 2, "{:#?}", said(&loaded));
}

#[test]
fn syntax_errors_in_plain_words_once() {
    let cases = [
        ("[tasks.t]\nrun = \"abc\nhide = true\n", "", "a string is not closed"),
        ("[tasks.t]\nrun = \"a \\d b\"\n", "", "single quotes"),
        ("[tasks.t]\nrun = ['a' 'b']\n", "", "put a comma between"),
        ("[tasks.t]\nsources = ['a',\nrun = 'x'\n[tasks.u]\nrun = 'y'\n", "=", "close the list above"),
        ("[tasks.t\nrun = 'x'\n", "", "close it"),
        ("<<<<<<< HEAD\nenv = {}\n=======\n>>>>>>> x\n", "<<<<<<<", "merge conflict"),
    ];
    for (text, span, words) in cases {
        check(&format!("version = 1\n{text}"), ("config::syntax", span, words));
    }
    task("[tasks.t]\nrun = '''\n<<<<<<< not ours\n'''");
}
