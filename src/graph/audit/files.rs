//! Findings about files, programs and variables.

use super::Audit;
use super::codes::{
    HIDDEN_VARIABLE, IGNORED_SOURCE, IMPURE, MISSING_DIR, MISSING_PROGRAM, NO_MATCH, SCRIPT_CRLF, SCRIPT_MODE,
    TRACKED_OUTPUT, WIDE_SOURCE,
};
use super::entries::is_cacheable;
use crate::config::shell::{impure, programs, variables};
use crate::config::{Action, Located, Pattern, Task};
use crate::graph::overlap::{PrefixIndex, may_overlap};
use crate::graph::resolve::TaskIndex;
use crate::model::WsPath;
use std::collections::BTreeSet;

/// Folders that builds, git and weir fill.
const CHANGING_FOLDERS: [&str; 4] = ["target", "node_modules", ".git", ".weir"];

/// Passed to every task, whatever it declares.
const PASSED: [&str; 21] = [
    "WEIR_SCRATCH",
    "WEIR_SOAK_ITERATION",
    "PATH",
    "HOME",
    "USER",
    "TMPDIR",
    "TERM",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "SSH_AUTH_SOCK",
    "LANG",
    "TZ",
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];

pub(super) fn audit(audit: &mut Audit<'_, '_, '_>) {
    let graph = audit.graph;
    let mut outputs = PrefixIndex::default();
    let all: Vec<&Pattern> = graph
        .config
        .tasks
        .iter()
        .flat_map(|task| task.outputs.iter().flat_map(|outputs| &outputs.value))
        .map(|located| &located.value)
        .filter(|pattern| !pattern.negated)
        .collect();
    for (id, pattern) in all.iter().enumerate() {
        outputs.insert(&pattern.prefix, id);
    }
    let produced = |pattern: &Pattern| {
        let mut found = false;
        outputs.near(&pattern.prefix, |id| found |= may_overlap(all[id], pattern));
        found
    };
    for (index, task) in graph.config.tasks.iter().enumerate() {
        sources(audit, index, task, &produced);
        if let Some(outputs) = &task.outputs {
            let patterns: Vec<Pattern> = outputs.value.iter().map(|located| located.value.clone()).collect();
            if let Some(path) = (!patterns.is_empty()).then(|| audit.ground.tracked(&patterns)).flatten() {
                let message = format!("`{path}` is an output of `{}` and tracked by git", task.name);
                audit.find(TRACKED_OUTPUT, index, outputs.at, message, TRACKED_OUTPUT.mend.into());
            }
        }
        if matches!(task.action, Action::Group { .. } | Action::Soak(_)) {
            continue;
        }
        if !audit.ground.is_dir(&task.dir.value) && task.depends.is_empty() {
            let message = format!("`{}` runs in `{}`, which is no folder", task.name, task.dir.value);
            audit.find(MISSING_DIR, index, task.dir.at, message, MISSING_DIR.mend.into());
        }
        commands(audit, index, task);
    }
}

fn sources(audit: &mut Audit<'_, '_, '_>, index: TaskIndex, task: &Task, produced: &dyn Fn(&Pattern) -> bool) {
    let Some(sources) = &task.sources else { return };
    let negations: Vec<Pattern> =
        sources.value.iter().filter(|located| located.value.negated).map(|located| located.value.clone()).collect();
    for Located { value: pattern, at } in &sources.value {
        // What another task writes may not be there yet.
        if pattern.negated || produced(pattern) {
            continue;
        }
        let mut patterns = vec![pattern.clone()];
        patterns.extend(negations.iter().cloned());
        let found = match audit.ground.select(&patterns) {
            Ok(found) => found,
            Err((raw, help)) => {
                let message = format!("source `{raw}` of `{}` matches nothing", task.name);
                audit.find(NO_MATCH, index, *at, message, help);
                continue;
            }
        };
        // A file that is named as such is meant.
        let wide = found.iter().find(|path| {
            **path != pattern.prefix && path.as_str().split('/').any(|part| CHANGING_FOLDERS.contains(&part))
        });
        if let Some(path) = wide {
            let message = format!("source `{}` of `{}` takes in `{path}`", pattern.raw(), task.name);
            audit.find(WIDE_SOURCE, index, *at, message, WIDE_SOURCE.mend.into());
            continue;
        }
        let is_dir = audit.ground.is_dir(&pattern.prefix);
        if !pattern.prefix.is_root() && audit.ground.ignores(&pattern.prefix, is_dir) {
            let message =
                format!("source `{}` of `{}` is in no fresh clone: an ignore file names it", pattern.raw(), task.name);
            audit.find(IGNORED_SOURCE, index, *at, message, IGNORED_SOURCE.mend.into());
        }
    }
}

fn commands(audit: &mut Audit<'_, '_, '_>, index: TaskIndex, task: &Task) {
    let texts: Vec<String> = match &task.action {
        Action::Shell(texts) => texts.clone(),
        Action::Exec(_) | Action::Uses(_) | Action::Soak(_) | Action::Group { .. } => vec![],
    };
    let mut named: BTreeSet<String> = texts.iter().flat_map(|text| programs(text)).collect();
    if let Action::Exec(words) = &task.action {
        named.extend(words.first().cloned());
    }
    for program in named {
        if program.contains('/') {
            script(audit, index, task, &program);
        } else if !task.requires.iter().any(|required| required.value == program)
            && !audit.ground.has_program(task, &program)
        {
            let message = format!("`{}` runs `{program}`, which is not found", task.name);
            audit.find(MISSING_PROGRAM, index, task.at, message, MISSING_PROGRAM.mend.into());
        }
    }
    for required in &task.requires {
        if !required.value.contains('/') && !audit.ground.has_program(task, &required.value) {
            let message = format!("`{}` requires `{}`, which is not found", task.name, required.value);
            audit.find(MISSING_PROGRAM, index, required.at, message, "install it, or put its folder on PATH".into());
        }
    }
    if !is_cacheable(task) {
        return;
    }
    let called = match &task.action {
        // What is quoted in a shell is not looked into; here each word is one.
        Action::Exec(words) => {
            vec![words.iter().filter(|word| !word.contains(' ')).cloned().collect::<Vec<_>>().join(" ")]
        }
        Action::Shell(_) | Action::Uses(_) | Action::Soak(_) | Action::Group { .. } => texts.clone(),
    };
    if let Some(why) = called.iter().find_map(|text| impure(text)) {
        let message = format!("`{}` is cached, but {why}", task.name);
        audit.find(IMPURE, index, task.at, message, IMPURE.mend.into());
    }
    if task.shell.first().is_some_and(|shell| !shell.ends_with("sh")) || !task.env_file.is_empty() {
        return;
    }
    for name in texts.iter().flat_map(|text| variables(text)).collect::<BTreeSet<_>>() {
        let declared = task.env_inputs.iter().chain(&task.pass_through).map(String::as_str);
        let mut declared = declared.chain(task.env_required.iter().map(|name| name.value.as_str()));
        let seen = task.env.contains_key(&name)
            || task.ports.iter().any(|port| port.name.value == name)
            || PASSED.contains(&name.as_str())
            || ["LC_", "SSL_CERT_"].iter().any(|prefix| name.starts_with(prefix))
            || declared.any(|known| match known.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix),
                None => known == name,
            });
        let sure = audit.ground.is_set(&name) || texts.iter().any(|text| text.contains(&format!("${name}")));
        if !seen && sure {
            let message = format!("`{}` names `${name}`, which it does not declare and does not see", task.name);
            let help = format!("add it to `env`, or `env_inputs = [\"{name}\"]`");
            audit.find(HIDDEN_VARIABLE, index, task.at, message, help);
        }
    }
}

fn script(audit: &mut Audit<'_, '_, '_>, index: TaskIndex, task: &Task, program: &str) {
    let Ok(path) = WsPath::resolve(&task.dir.value, program) else { return };
    let Some(script) = audit.ground.script(&path) else { return };
    if !script.executable {
        let message = format!("`{}` runs `{path}`, which may not be executed", task.name);
        audit.find(SCRIPT_MODE, index, task.at, message, format!("`chmod +x {path}`, and commit the mode"));
    }
    if script.crlf {
        let message = format!("`{}` runs `{path}`, whose lines end in CRLF", task.name);
        audit.find(SCRIPT_CRLF, index, task.at, message, SCRIPT_CRLF.mend.into());
    }
}
