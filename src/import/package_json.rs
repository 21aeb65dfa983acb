//! `package.json`: its scripts, as npm runs them.

use super::draft::{Action, Draft, Edge, TaskDraft};
use super::shell::{quote, reads_arguments, with_arguments, words};
use super::tree::Tree;
use super::{ImportError, Source};
use std::collections::BTreeMap;

/// What npm runs by itself, at an install or a release.
const OF_NPM: [&str; 12] = [
    "preinstall",
    "install",
    "postinstall",
    "prepare",
    "preprepare",
    "postprepare",
    "prepublish",
    "prepublishOnly",
    "prepack",
    "postpack",
    "publish",
    "dependencies",
];

/// What `yarn NAME` and `pnpm NAME` take for commands of their own.
const OF_MANAGERS: [&str; 7] = ["install", "add", "exec", "dlx", "publish", "workspace", "workspaces"];

/// A script as calls of other scripts, then a command.
#[derive(Debug, Default, PartialEq, Eq)]
struct Calls {
    /// Steps in order, each of scripts that run at the same time.
    steps: Vec<Vec<Edge>>,
    rest: Option<String>,
}

/// Reads the scripts.
pub(super) fn read(source: &Source<'_>) -> Result<Draft, ImportError> {
    let tree = Tree::json(source.shown, source.text)?;
    let mut draft = Draft { shell: vec!["sh".into(), "-c".into()], ..Draft::default() };
    let lines = Lines(source.text);
    if tree.get("workspaces").is_some() {
        let line = lines.of("workspaces");
        draft.note(
            "",
            "workspaces",
            line,
            "left out: import the package.json of each, and name the files in `include`",
        );
    }
    let scripts: BTreeMap<String, String> = tree
        .at("scripts")
        .map()
        .iter()
        .filter_map(|(name, script)| Some((name.clone(), script.text()?.to_owned())))
        .collect();
    let hooks = runs_hooks(source, &tree);
    for (name, script) in tree.at("scripts").map() {
        let mut task = TaskDraft::new(name, lines.of(name));
        let Some(script) = script.text() else {
            task.refuse("scripts", "it is no text", &script.shown());
            draft.tasks.push(task);
            continue;
        };
        let helpers = fill(&mut task, script, &scripts);
        let hook = |prefix: &str| Some(format!("{prefix}{name}")).filter(|hook| hooks && scripts.contains_key(hook));
        if let Some(before) = hook("pre") {
            // First of all that comes before it.
            match &mut task.action {
                Action::Sequence(steps) => steps.insert(0, vec![Edge::to(before)]),
                _ => task.depends.insert(0, Edge::to(before)),
            }
        }
        if let Some(after) = hook("post") {
            task.depends_post.push(Edge { on_success: true, ..Edge::to(after) });
        }
        if OF_NPM.contains(&name.as_str()) {
            task.note("run", "npm", "npm runs it by itself at an install or a release; weir only by name");
        }
        draft.tasks.push(task);
        draft.tasks.extend(helpers);
    }
    if draft.tasks.is_empty() {
        return Err(ImportError::at(source.shown, 0, "it has no `scripts`", "there is nothing to import"));
    }
    Ok(draft)
}

/// Yarn from version 2 on runs no `pre` and `post` scripts.
fn runs_hooks(source: &Source<'_>, tree: &Tree) -> bool {
    let manager = tree.at("packageManager").text().unwrap_or_default();
    let modern = manager.strip_prefix("yarn@").is_some_and(|version| !version.starts_with("1."));
    !(modern || source.folder.join(".yarnrc.yml").is_file())
}

/// Fills in what a script does; helpers come back.
fn fill(task: &mut TaskDraft, script: &str, scripts: &BTreeMap<String, String>) -> Vec<TaskDraft> {
    let calls = calls(script, scripts);
    // A script that is run twice on the way would run once here.
    let again = repeats(&task.name, scripts);
    let own = task.name.clone();
    if again || calls.steps.is_empty() {
        command(task, script);
        return vec![];
    }
    match calls {
        Calls { mut steps, rest: Some(rest) } if steps.len() == 1 => {
            task.depends = steps.remove(0);
            command(task, &rest);
            vec![]
        }
        Calls { mut steps, rest: Some(rest) } => {
            let mut helper = TaskDraft::new(format!("{own}.step1"), task.line);
            helper.hide = true;
            command(&mut helper, &rest);
            task.note("sequence", "scripts", format!("it takes no arguments here; `{}` does", helper.name));
            steps.push(vec![Edge::to(&helper.name)]);
            task.action = Action::Sequence(steps);
            vec![helper]
        }
        Calls { mut steps, rest: None } => {
            if let [step] = &mut steps[..] {
                task.depends = std::mem::take(step);
            } else {
                task.action = Action::Sequence(steps);
            }
            vec![]
        }
    }
}

fn command(task: &mut TaskDraft, script: &str) {
    let mut script = script.trim().to_owned();
    if reads_arguments(&script) {
        task.note("run", "scripts", "`$1`, `$@` and the like are empty under npm, which puts arguments at the end");
    } else if let Some(with) = with_arguments(&script) {
        script = with;
    }
    for (name, field) in [("npm_package_version", "version"), ("npm_package_name", "name")] {
        if script.contains(name) {
            script = format!("export {name}=\"$(node -p 'require(\"./package.json\").{field}')\"\n{script}");
        }
    }
    if script.contains("npm_lifecycle_event") {
        task.env.push(("npm_lifecycle_event".into(), task.name.clone()));
    }
    let known = ["npm_package_version", "npm_package_name", "npm_lifecycle_event"];
    let named = crate::config::shell::variables(&script);
    let others: Vec<String> = named
        .into_iter()
        .filter(|name| (name.starts_with("npm_") || name == "INIT_CWD") && !known.contains(&name.as_str()))
        .collect();
    if !others.is_empty() {
        task.note("run", "scripts", format!("npm sets `{}`, weir does not", others.join("`, `")));
    }
    task.action = Action::Run(vec![script]);
    task.path = vec!["node_modules/.bin".into()];
}

/// Whether a script is run more than once by the calls that come from this one.
fn repeats(name: &str, scripts: &BTreeMap<String, String>) -> bool {
    fn collect(name: &str, scripts: &BTreeMap<String, String>, seen: &mut Vec<String>) {
        if seen.len() > 1000 || seen.iter().any(|known| known == name) {
            seen.push(name.to_owned());
            return;
        }
        seen.push(name.to_owned());
        let hooks = [format!("pre{name}"), format!("post{name}")];
        for hook in hooks.iter().filter(|hook| scripts.contains_key(*hook)) {
            collect(hook, scripts, seen);
        }
        if let Some(script) = scripts.get(name) {
            for edge in calls(script, scripts).steps.iter().flatten() {
                collect(&edge.task, scripts, seen);
            }
        }
    }
    let mut seen = Vec::new();
    collect(name, scripts, &mut seen);
    let all = seen.len();
    seen.sort();
    seen.dedup();
    seen.len() < all
}

/// `npm run a && npm run b && tsc` → `a`, `b`, and `tsc`.
fn calls(script: &str, scripts: &BTreeMap<String, String>) -> Calls {
    let mut calls = Calls::default();
    let parts: Vec<&str> = script.split("&&").map(str::trim).collect();
    // Quotes and groups around a `&&` are not looked into.
    if parts.len() > 1 && script.contains(['(', '{', ';', '|', '\'', '"', '`', '\n']) {
        return calls;
    }
    for (at, part) in parts.iter().enumerate() {
        match call(part, scripts) {
            Some(mut steps) => calls.steps.append(&mut steps),
            None => {
                calls.rest = Some(parts[at..].join(" && "));
                break;
            }
        }
    }
    calls
}

/// What a command calls, if that is all it does: the steps.
fn call(part: &str, scripts: &BTreeMap<String, String>) -> Option<Vec<Vec<Edge>>> {
    let mut words = globbed_words(part)?.into_iter();
    let program = words.next()?;
    let mut words: Vec<String> = words.collect();
    let edge = |name: &str, args: Vec<String>| scripts.contains_key(name).then(|| Edge { args, ..Edge::to(name) });
    match program.as_str() {
        "npm" | "yarn" | "pnpm" | "bun" => {
            let first = words.first()?.clone();
            if matches!(first.as_str(), "run" | "run-script") {
                words.remove(0);
            } else {
                let short = matches!(program.as_str(), "yarn" | "pnpm") && !OF_MANAGERS.contains(&first.as_str());
                if !short && !matches!(first.as_str(), "test" | "start") {
                    return None;
                }
            }
            words.retain(|word| !matches!(word.as_str(), "-s" | "--silent"));
            let name = words.first()?.clone();
            let mut args = words.split_off(1);
            match (program.as_str(), args.first().map(String::as_str)) {
                (_, None) => {}
                (_, Some("--")) => drop(args.remove(0)),
                // npm takes options before `--` for itself.
                ("npm", _) => return None,
                _ => {}
            }
            Some(vec![vec![edge(&name, args)?]])
        }
        "run-s" | "run-p" | "npm-run-all" => {
            let mut parallel = program == "run-p";
            let mut names = Vec::new();
            for word in words {
                match word.as_str() {
                    "-s" | "--serial" | "--sequential" if program == "npm-run-all" && names.is_empty() => {
                        parallel = false
                    }
                    "-p" | "--parallel" if program == "npm-run-all" && names.is_empty() => parallel = true,
                    option if option.starts_with('-') => return None,
                    name => names.extend(matching(name, scripts)?),
                }
            }
            let edges: Option<Vec<Edge>> = names.iter().map(|name| edge(name, vec![])).collect();
            let edges = edges.filter(|edges| !edges.is_empty())?;
            Some(if parallel { vec![edges] } else { edges.into_iter().map(|edge| vec![edge]).collect() })
        }
        _ => None,
    }
}

/// Words, with the globs of names that `run-s` and its like take.
fn globbed_words(text: &str) -> Option<Vec<String>> {
    words(&text.replace('*', "\u{1}")).map(|words| words.into_iter().map(|word| word.replace('\u{1}', "*")).collect())
}

/// The scripts of a name or glob: `*` ends at a `:`.
fn matching(name: &str, scripts: &BTreeMap<String, String>) -> Option<Vec<String>> {
    if !name.contains('*') {
        return Some(vec![name.to_owned()]);
    }
    let matcher = crate::config::build_glob(&name.replace(':', "/")).ok()?.compile_matcher();
    Some(scripts.keys().filter(|script| matcher.is_match(script.replace(':', "/"))).cloned().collect())
}

/// Where a key stands, as far as a look at the text tells.
pub(super) struct Lines<'a>(pub &'a str);

impl Lines<'_> {
    /// The line of the first `"name":`; 0 if there is none.
    pub fn of(&self, name: &str) -> usize {
        let quoted = serde_json::Value::String(name.to_owned()).to_string();
        let at =
            self.0.match_indices(&quoted).find(|(at, _)| self.0[at + quoted.len()..].trim_start().starts_with(':'));
        at.map_or(0, |(at, _)| self.0[..at].matches('\n').count() + 1)
    }
}

/// A call of a script by the package manager in use.
pub(super) fn run_by(manager: &str, script: &str) -> String {
    match manager {
        "npm" => format!("npm run {} -- \"$@\"", quote(script)),
        manager => format!("{manager} run {} \"$@\"", quote(script)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_scripts_are_seen() {
        let names = ["a", "b:x", "b:y", "test", "clean"];
        let scripts: BTreeMap<String, String> = names.iter().map(|name| ((*name).to_owned(), String::new())).collect();
        let of = |text: &str| {
            let calls = calls(text, &scripts);
            let steps: Vec<String> = calls
                .steps
                .iter()
                .map(|step| step.iter().map(|edge| edge.task.as_str()).collect::<Vec<_>>().join("+"))
                .collect();
            format!("{}|{}", steps.join(","), calls.rest.unwrap_or_default())
        };
        assert_eq!(of("npm run a && yarn clean && tsc -p . && x"), "a,clean|tsc -p . && x");
        assert_eq!(of("run-p a b:*"), "a+b:x+b:y|");
        assert_eq!(of("npm-run-all -s a test"), "a,test|");
        assert_eq!(of("npm t && npm test"), "|npm t && npm test");
        assert_eq!(of("npm run a --flag"), "|npm run a --flag");
        assert_eq!(of("npm run a; npm run b"), "|npm run a; npm run b");
        assert_eq!(of("npm run nope"), "|npm run nope");
    }
}
