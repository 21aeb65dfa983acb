//! What is read.

use super::*;
use crate::config::keys::KeyInfo;
use crate::config::schema::all_scopes;
use std::time::Duration;

/// Where a scope's keys stand, around `KEY`.
fn around(scope: &str, key: &KeyInfo) -> String {
    let line = format!("{} = {}", key.name, key.example);
    let run = match key.name {
        "run" | "exec" | "sequence" | "uses" | "soak" => "",
        "with" => "uses = 'db.up'\n",
        "expect" => "run = 'x'\njunit = 'r'\n",
        "execute" => "run = 'x'\nsources = []\noutputs = []\n",
        _ => "run = 'x'\n",
    };
    match scope {
        "file" if key.name == "version" => line,
        "file" if key.name == "include" => "version = 1\ninclude = []".to_owned(),
        "file" => format!("version = 1\n{line}"),
        "settings" | "policy" => format!("version = 1\n[{scope}]\n{line}"),
        "profile" => format!("version = 1\n[db.app]\n[tasks.test]\nrun = 'x'\n[profile.p]\n{line}"),
        "task" => format!("version = 1\n[db.app]\n[tasks.t]\n{run}{line}"),
        "dependency" => format!("version = 1\n[tasks.t]\ndepends = [{{ {} }}]", with("task", key)),
        "cleanup" => format!("version = 1\n[tasks.t]\nrun = 'x'\ndepends_post = [{{ {} }}]", with("task", key)),
        "argument" => {
            let more = if key.name == "required" {
                ", default = 'x'".replace("default = 'x'", "choices = ['a']")
            } else {
                String::new()
            };
            format!("version = 1\n[tasks.t]\nrun = 'x'\nargs = [{{ {}{more} }}]", with("name", key))
        }
        "retry" => format!("version = 1\n[tasks.t]\nrun = 'x'\nretry = {{ {} }}", with("attempts", key)),
        "poll" => format!("version = 1\n[tasks.t]\nrun = 'x'\npoll = {{ {} }}", with("timeout", key)),
        "soak" => {
            let rest = match key.name {
                "task" => "runs = 2, ",
                "runs" => "task = 'a', ",
                _ => "task = 'a', runs = 2, ",
            };
            format!("version = 1\n[tasks.t]\nsoak = {{ {rest}{line} }}")
        }
        "service" => format!("version = 1\n[tasks.t]\nrun = 'x'\nservice = {{ {line} }}"),
        "ready" => {
            let probe = if key.name == "timeout" { "log = 'x', " } else { "" };
            format!("version = 1\n[tasks.t]\nrun = 'x'\nservice = {{ ready = {{ {probe}{line} }} }}")
        }
        "expect" => format!("version = 1\n[tasks.t]\nrun = 'x'\njunit = 'r'\nexpect = {{ {line} }}"),
        "gate-of-task" => format!("version = 1\n[tasks.t]\nrun = 'x'\ngate = {{ {} }}", with("id", key)),
        "artifacts" => {
            let files = if key.name == "files" { "" } else { "files = 'a', " };
            format!("version = 1\n[tasks.t]\nrun = 'x'\nartifacts = {{ {files}{line} }}")
        }
        "database-use" => {
            let name = if key.name == "name" { "" } else { "name = 'app', " };
            format!("version = 1\n[db.app]\n[tasks.t]\nrun = 'x'\ndatabase = {{ {name}{line} }}")
        }
        "database" => format!("version = 1\n[db.app]\n{line}"),
        "docker" => format!("version = 1\n[db.app]\ndocker = {{ {line} }}"),
        "gate" => format!("version = 1\n[db.app.gate]\n{line}"),
        "role" => format!("version = 1\n[db.app.gate.roles.r]\n{line}"),
        "login" => format!("version = 1\n[db.app.roles.r]\n{line}"),
        "row" => {
            let all = [
                ("from", "{ json = 'p.json' }"),
                ("into", "'t'"),
                ("row", "{ version = '$.v', id = '$.id' }"),
                ("key", "'version'"),
            ];
            let others: Vec<String> = all
                .iter()
                .filter(|(name, _)| *name != key.name)
                .map(|(name, value)| format!("{name} = {value}\n"))
                .collect();
            format!("version = 1\n[[db.app.seed]]\n{}{line}", others.concat())
        }
        "document" => {
            format!("version = 1\n[[db.app.seed]]\nfrom = {{ {line} }}\ninto = 't'\nrow = {{ a = '$.a' }}\nkey = 'a'")
        }
        "structural" => format!("version = 1\n[structural]\n{line}"),
        "remote" => {
            let other = match key.name {
                "cert_file" => "key_file = 'k'\n",
                "key_file" => "cert_file = 'c'\n",
                _ => "",
            };
            format!("version = 1\n[remote]\n{other}{line}")
        }
        "allowance" => {
            let others: &str = match key.name {
                "files" => "reason = 'r', ",
                "reason" => "files = 'f', ",
                _ => "files = 'f', reason = 'r', ",
            };
            format!(
                "version = 1\n[tasks.t]\nuses = 'check.forbid'\nwith = {{ files = 'f', patterns = 'p', allow = [{{ {others}{line} }}] }}"
            )
        }
        "settle" => {
            let others = match key.name {
                "command" => "equals = 'e', ",
                "equals" => "command = 'c', ",
                _ => "command = 'c', equals = 'e', ",
            };
            crash(&format!("settle = {{ {others}{line} }}"))
        }
        "after" => {
            let sign = if key.name == "timeout" { "log = 'l', " } else { "" };
            crash(&format!("settle = {{ command = 'c', equals = 'e' }}, after = {{ {sign}{line} }}"))
        }
        node => parameter(node, key),
    }
}

/// A crash proof with these parameters beside the plain ones.
fn crash(with: &str) -> String {
    format!("version = 1\n[tasks.t]\nuses = 'proof.crash'\nwith = {{ service = 's', trigger = 't', {with} }}")
}

/// A parameter of a built-in node beside those that it requires.
fn parameter(node: &str, key: &KeyInfo) -> String {
    let required: &[(&str, &str)] = match node {
        "check.forbid" => &[("files", "'f'"), ("patterns", "'p'")],
        "check.cochange" => &[("when", "'a'"), ("require", "'b'")],
        "check.exists" => &[("files", "'f'")],
        "proof.crash" => &[("service", "'s'"), ("trigger", "'t'"), ("settle", "{ command = 'c', equals = 'e' }")],
        "check.drift" if key.name != "lock" => &[("command", "'c'"), ("outputs", "'o'")],
        "db.migrate" | "db.baseline" | "db.gate" | "db.up" | "check.graph" | "check.same" | "check.branch"
        | "check.drift" | "rule.structural" => &[],
        other => panic!("no place for the scope {other}"),
    };
    let mut with: Vec<String> = required
        .iter()
        .filter(|(name, _)| *name != key.name)
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    with.push(format!("{} = {}", key.name, key.example));
    format!("version = 1\n[db.app]\n[tasks.t]\nuses = '{node}'\nwith = {{ {} }}", with.join(", "))
}

/// A key beside the one that its table requires.
fn with(required: &str, key: &KeyInfo) -> String {
    let line = format!("{} = {}", key.name, key.example);
    match required {
        _ if key.name == required => line,
        "attempts" => format!("attempts = 2, {line}"),
        "timeout" => format!("timeout = '1m', {line}"),
        other => format!("{other} = 'x', {line}"),
    }
}

#[test]
fn every_key_reads_its_example_and_stands_in_schema_and_reference() {
    let schema = tasks_schema();
    let reference = key_reference();
    let mut sections = reference.split("## ").skip(1);
    for scope in all_scopes() {
        let section = sections.next().unwrap();
        assert!(section.starts_with(scope.heading));
        let table = if scope.name == "file" { &schema } else { &schema["$defs"][scope.name] };
        assert_eq!(table["additionalProperties"], false);
        assert_eq!(table["properties"].as_object().unwrap().len(), scope.keys.len());
        for key in &scope.keys {
            good(&around(scope.name, key));
            assert_eq!(table["properties"][key.name]["description"], key.doc);
            assert!(section.contains(&format!("\n| `{}` | ", key.name)), "{}", key.name);
            let required = table["required"].as_array().is_some_and(|all| all.iter().any(|name| name == key.name));
            assert_eq!(required, key.required, "{}", key.name);
        }
    }
    assert!(sections.next().unwrap().starts_with("Built-in nodes\n"));
    assert!(sections.next().is_none());
}

#[test]
fn schema_references_resolve_and_name_nothing_unbuilt() {
    let schema = tasks_schema();
    let text = schema.to_string();
    for part in text.split("\"#/$defs/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(schema["$defs"].get(name).is_some(), "{name}");
    }
    for name in crate::config::task_keys::TASK.unbuilt {
        assert!(schema["$defs"]["task"]["properties"].get(name).is_none(), "{name}");
    }
    for name in crate::config::scopes::FILE.unbuilt {
        assert!(schema["properties"].get(name).is_none(), "{name}");
    }
}

#[test]
fn reference_rows_have_four_cells() {
    for line in key_reference().lines().filter(|line| line.starts_with('|')) {
        assert_eq!(line.replace("\\|", "").matches('|').count(), 5, "{line}");
    }
}

#[test]
fn actions() {
    assert_eq!(task("[tasks.t]\nrun = 'a'").action, Action::Shell(vec!["a".into()]));
    assert_eq!(task("[tasks.t]\nrun = ['a', 'b']").action, Action::Shell(vec!["a".into(), "b".into()]));
    assert_eq!(task("[tasks.t]\nexec = ['a', '']").action, Action::Exec(vec!["a".into(), String::new()]));
    assert_eq!(task("[tasks.t]\ndepends = 'x'").action, Action::Group { sequence: vec![] });
    let Action::Group { sequence } =
        task("[tasks.t]\nsequence = ['a', ['b:*', { task = 'c', args = 'q' }], 'd']").action
    else {
        panic!("no group");
    };
    let names: Vec<Vec<&str>> =
        sequence.iter().map(|step| step.iter().map(|dep| dep.value.task.as_str()).collect()).collect();
    assert_eq!(names, [vec!["a"], vec!["b:*", "c"], vec!["d"]]);
    assert_eq!(sequence[1][1].value.args, ["q"]);
}

#[test]
fn edges_and_arguments() {
    let t = task(
        "[tasks.t]\nrun = 'x'\nwait_for = 'w'\nargs = ['a', { name = 'b', choices = ['1', '2'], default = '2' }]\n\
         depends = ['//root', { task = 'y', env = { A = 0x10, B = 1.50, C = true }, order_only = true, optional = true }]\n\
         depends_post = ['z', { task = 'q', when = 'failure' }]",
    );
    assert_eq!(t.depends[0].value.task, "//root");
    let dep = &t.depends[1].value;
    assert!(dep.order_only && dep.optional && dep.task == "y");
    assert_eq!(dep.env.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>(), ["A=16", "B=1.50", "C=true"]);
    assert_eq!(t.depends_post.iter().map(|post| post.value.when).collect::<Vec<_>>(), [When::Always, When::Failure]);
    assert_eq!(t.wait_for[0].value, "w");
    assert_eq!((t.args[0].name.as_str(), t.args[1].default.as_deref()), ("a", Some("2")));
}

#[test]
fn the_rest_of_a_task() {
    let t = task(
        "[tasks.t]\nrun = 'x'\nsources = []\noutputs = ['out', '!out/tmp']\ntimeout = '1m'\nretry = 3\n\
         poll.timeout = '9s'\nconfirm = true\nallow = { 'graph::x' = 'y' }\ncache = 'local'\ndir = 'web'\n\
         env_file = '.env'\npath = ['bin', 'web/../b']\nenv_inputs = ['A*', '*']\nenv_required = 'B'\nmanual = true"
            .replace("retry = 3\n", "")
            .as_str(),
    );
    assert!(t.sources.unwrap().value.is_empty());
    assert_eq!(t.outputs.unwrap().value.iter().map(|p| p.value.full()).collect::<Vec<_>>(), ["out", "!out/tmp"]);
    assert_eq!(t.timeout, Some(Duration::from_secs(60)));
    assert_eq!(t.poll, Some(Poll { every: Duration::from_secs(1), timeout: Duration::from_secs(9) }));
    assert_eq!(t.confirm.as_deref(), Some("run `t`?"));
    assert_eq!(t.allow[0].0.value, "graph::x");
    assert_eq!((t.cache, t.dir.value.as_str(), t.env_file[0].value.as_str()), (CacheMode::Local, "web", ".env"));
    assert_eq!(t.path.iter().map(WsPath::as_str).collect::<Vec<_>>(), ["bin", "b"]);
    assert!(t.manual.is_some() && t.env_inputs == ["A*", "*"]);
    assert_eq!(t.shell, ["bash", "-euo", "pipefail", "-c"]);
    assert_eq!(task("[tasks.t]\nrun = 'x'\nretry = 3").retry, Retry { attempts: 3, backoff: Duration::from_secs(1) });
    assert!(task("[tasks.t]\nrun = 'x'").sources.is_none(), "undeclared is not empty");
}

#[test]
fn settings_policy_env() {
    let config = good(
        "version = 1\n[settings]\njobs = 3\nshell = ['sh', '-c']\ntimeout = '2m'\n[policy]\nentry = 'check'\n\
         sources = 'require'\noutputs = '10s'\n[env]\nA = 1\nB = 'b'\n[tasks.t]\nrun = 'x'\nenv.B = 'mine'",
    );
    assert_eq!((config.settings.jobs, config.settings.timeout), (Some(3), Duration::from_secs(120)));
    assert!(config.policy.require_sources);
    assert_eq!(config.policy.outputs_after, Some(Duration::from_secs(10)));
    assert_eq!(under(&config, config.policy.entry[0].at), "'check'");
    let t = named(&config, "t");
    assert_eq!(t.shell, ["sh", "-c"]);
    assert_eq!((t.env["A"].as_str(), t.env["B"].as_str()), ("1", "mine"));
}

#[test]
fn tasks_keep_their_order() {
    let config = good("version = 1\n[tasks.z]\nrun = 'x'\n[tasks]\na.run = 'x'\n[tasks.m]\nrun = 'x'");
    assert_eq!(config.tasks.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["z", "a", "m"]);
    assert_eq!(under(&config, config.tasks[0].at), "z");
}

#[test]
fn profiles_lie_over_their_file() {
    let text = "version = 1\n[env]\nA = 'env'\nB = 'env'\n[settings]\njobs = 2\n\
        [tasks.t]\nrun = 'x'\ntimeout = '1m'\non_fail = { default = 'fail', local = 'warn', ci = 'fail' }\nenv = { C = 'task' }\n\
        [profile.ci]\nsettings.jobs = 8\nenv = { A = 'ci', C = 'ci', D = 'ci' }\n\
        tasks.t = { timeout = '2m', env = { B = 'over' } }\n\
        [profile.local]\nenv.D = 'local'\ntasks.t = { exec = ['y'] }";
    let plain = good(text);
    let t = named(&plain, "t");
    assert_eq!((t.env["A"].as_str(), t.env["B"].as_str(), t.env["C"].as_str()), ("env", "env", "task"));
    assert_eq!((t.on_fail, plain.settings.jobs), (OnFail::Fail, Some(2)));

    let ci = good_in(text, &["ci"]);
    let t = named(&ci, "t");
    assert_eq!((t.env["A"].as_str(), t.env["B"].as_str(), t.env["C"].as_str()), ("ci", "over", "task"));
    assert_eq!((t.timeout, ci.settings.jobs), (Some(Duration::from_secs(120)), Some(8)));

    let both = good_in(text, &["ci", "local"]);
    let t = named(&both, "t");
    assert_eq!((t.env["D"].as_str(), t.on_fail), ("local", OnFail::Warn));
    assert_eq!((t.timeout, &t.action), (Some(Duration::from_secs(120)), &Action::Exec(vec!["y".into()])));
    assert_eq!(both.profiles, ["ci", "local"]);
    let turned = good_in(text, &["local", "ci"]);
    assert_eq!((named(&turned, "t").on_fail, named(&turned, "t").env["D"].as_str()), (OnFail::Fail, "ci"));
}

#[test]
fn byte_order_mark_and_crlf_are_fine() {
    let config = good("\u{feff}version = 1\r\n[tasks.t]\r\nrun = 'x'\r\n");
    assert_eq!(under(&config, config.tasks[0].at), "t");
}

#[test]
fn a_large_file_is_read_quickly() {
    use std::fmt::Write as _;
    let mut text = "version = 1\n".to_owned();
    for task in 0..10_000 {
        let sources: Vec<String> = (0..10).map(|file| format!("'src/{task}/{file}.rs'")).collect();
        let _ = writeln!(text, "[tasks.'t{task}']\nrun = 'x'\nsources = [{}]", sources.join(", "));
    }
    let start = std::time::Instant::now();
    assert_eq!(good(&text).tasks.len(), 10_000);
    // Loose, for a debug build on a busy machine: anything quadratic takes minutes.
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn the_design_s_own_example_is_read() {
    let text = include_str!("../../../docs/design/TASKS_TOML.md");
    let block = text.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let loaded = load_files(&[("tasks.toml", block)], &["ci"]);
    let codes: Vec<String> = said(&loaded);
    // The last task of the example acts on a database that the example does not declare.
    assert_eq!(codes.len(), 1, "{codes:#?}");
    assert!(codes[0].starts_with("config::unknown-database"));
    let names: Vec<&str> = loaded.config.tasks.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["build", "quick", "release", "db:reset"]);
}
