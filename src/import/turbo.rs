//! `turbo.json`: its tasks, for each package of the workspace that has a script of that name.

use super::draft::{Action, Draft, Edge, TaskDraft};
use super::package_json::{Lines, run_by};
use super::tree::{Tree, Value};
use super::{ImportError, Source, read as read_text};
use crate::config::build_glob;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A package of the workspace.
#[derive(Debug)]
struct Package {
    /// As other packages name it.
    name: String,
    /// As its tasks are called: without the scope.
    short: String,
    /// Relative to the root; empty for the root itself.
    folder: String,
    scripts: BTreeSet<String>,
    /// The packages of the workspace it depends on.
    depends: Vec<String>,
    all_dependencies: BTreeSet<String>,
    /// Its own turbo.json.
    tasks: Option<Tree>,
}

/// The variables that turbo adds for what a package is made with.
const FRAMEWORKS: [(&str, &str); 7] = [
    ("next", "NEXT_PUBLIC_*"),
    ("vite", "VITE_*"),
    ("react-scripts", "REACT_APP_*"),
    ("gatsby", "GATSBY_*"),
    ("nuxt", "NUXT_*"),
    ("astro", "PUBLIC_*"),
    ("@sveltejs/kit", "PUBLIC_*"),
];

struct Workspace {
    packages: Vec<Package>,
    manager: &'static str,
    /// Files that count for every task.
    files: Vec<String>,
    env: Vec<String>,
    pass_through: Vec<String>,
    tasks: Vec<(String, Tree)>,
}

/// Reads the tasks.
pub(super) fn read(source: &Source<'_>) -> Result<Draft, ImportError> {
    let tree = Tree::jsonc(source.shown, source.text)?;
    let mut draft = Draft { shell: vec!["sh".into(), "-c".into()], ..Draft::default() };
    let lines = Lines(source.text);
    let tasks = if tree.get("tasks").is_some() { tree.at("tasks") } else { tree.at("pipeline") };
    for (name, entry) in tree.map() {
        match name.as_str() {
            "$schema"
            | "tasks"
            | "pipeline"
            | "globalDependencies"
            | "globalEnv"
            | "globalPassThroughEnv"
            | "ui"
            | "daemon" => {}
            "envMode" if entry.text() == Some("strict") => {}
            other => draft.note("", other, lines.of(other), format!("left out: {}", entry.shown())),
        }
    }
    let packages = packages(source)?;
    let manager = manager(source.folder);
    let mut files: Vec<String> =
        ["package-lock.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb", "package.json"]
            .iter()
            .filter(|name| source.folder.join(name).is_file())
            .map(|name| (*name).to_owned())
            .collect();
    let (variables, patterns): (Vec<String>, Vec<String>) =
        tree.at("globalDependencies").strings().into_iter().partition(|entry| entry.starts_with('$'));
    files.extend(patterns);
    let mut env = tree.at("globalEnv").strings();
    env.extend(variables.iter().map(|name| name[1..].to_owned()));
    let workspace = Workspace {
        packages,
        manager,
        files,
        env,
        pass_through: tree.at("globalPassThroughEnv").strings(),
        tasks: tasks.map().to_vec(),
    };
    let mut plain: Vec<String> = Vec::new();
    for (name, _) in &workspace.tasks {
        let script = name.rsplit_once('#').map_or(name.as_str(), |(_, script)| script);
        if !plain.contains(&script.to_owned()) {
            plain.push(script.to_owned());
        }
    }
    for script in &plain {
        let mut members = Vec::new();
        for package in &workspace.packages {
            // The root's own scripts are run where turbo.json names them.
            let at_root = package.folder.is_empty();
            let named = workspace.tasks.iter().any(|(name, _)| *name == format!("//#{script}"));
            if !package.scripts.contains(script) || (at_root && !named) {
                continue;
            }
            if let Some(entry) = workspace.entry(package, script) {
                let task = workspace.task(package, script, &entry, lines.of(script));
                members.push(Edge::to(&task.name));
                draft.tasks.push(task);
            }
        }
        if members.is_empty() {
            draft.note("", script, lines.of(script), "left out: no package has a script of this name");
        } else if !draft.tasks.iter().any(|task| task.name == *script) {
            let mut group = TaskDraft::new(script, lines.of(script));
            group.depends = members;
            draft.tasks.push(group);
        }
    }
    if draft.tasks.is_empty() {
        return Err(ImportError::at(
            source.shown,
            0,
            "no package has a script for any of its tasks",
            "there is nothing to import",
        ));
    }
    Ok(draft)
}

/// The package manager that is in use, by its lock file.
fn manager(folder: &Path) -> &'static str {
    let has = |name: &str| folder.join(name).is_file();
    if has("pnpm-lock.yaml") || has("pnpm-workspace.yaml") {
        "pnpm"
    } else if has("yarn.lock") {
        "yarn"
    } else if has("bun.lock") || has("bun.lockb") {
        "bun"
    } else {
        "npm"
    }
}

/// The packages of the workspace, the root's first.
fn packages(source: &Source<'_>) -> Result<Vec<Package>, ImportError> {
    let root = source.folder.join("package.json");
    let text = read_text(&root, Path::new("package.json"))?;
    let tree = Tree::json(Path::new("package.json"), &text)?;
    let mut patterns = tree.at("workspaces").strings();
    patterns.extend(tree.at("workspaces").at("packages").strings());
    let pnpm = source.folder.join("pnpm-workspace.yaml");
    if pnpm.is_file() {
        let shown = Path::new("pnpm-workspace.yaml");
        patterns.extend(Tree::yaml(shown, &read_text(&pnpm, shown)?)?.at("packages").strings());
    }
    let mut folders: BTreeSet<String> = BTreeSet::new();
    for pattern in &patterns {
        let (taken, pattern) = pattern.strip_prefix('!').map_or((true, pattern.as_str()), |rest| (false, rest));
        let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
        let Ok(glob) = build_glob(pattern) else { continue };
        let matcher = glob.compile_matcher();
        let depth = if pattern.contains("**") { 6 } else { pattern.split('/').count() };
        let walk = walkdir::WalkDir::new(source.folder).max_depth(depth).into_iter();
        let entries = walk.filter_entry(|entry| entry.file_name() != "node_modules" && entry.file_name() != ".git");
        for entry in entries.filter_map(Result::ok).filter(|entry| entry.file_type().is_dir()) {
            let Some(relative) = entry.path().strip_prefix(source.folder).ok().and_then(Path::to_str) else { continue };
            if !matcher.is_match(relative) {
                continue;
            }
            if taken && entry.path().join("package.json").is_file() {
                folders.insert(relative.to_owned());
            } else if !taken {
                folders.remove(relative);
            }
        }
    }
    let mut packages = vec![package(source.folder, "", &tree)?];
    for folder in folders {
        let shown = format!("{folder}/package.json");
        let tree = Tree::json(Path::new(&shown), &read_text(&source.folder.join(&shown), Path::new(&shown))?)?;
        packages.push(package(source.folder, &folder, &tree)?);
    }
    let names: BTreeSet<String> = packages.iter().map(|package| package.name.clone()).collect();
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for package in &mut packages {
        package.depends = package.all_dependencies.iter().filter(|name| names.contains(*name)).cloned().collect();
        *taken.entry(package.short.clone()).or_default() += 1;
    }
    for package in packages.iter_mut().filter(|package| taken.get(&package.short).is_some_and(|count| *count > 1)) {
        package.short = package.folder.replace('/', "-");
    }
    Ok(packages)
}

fn package(root: &Path, folder: &str, tree: &Tree) -> Result<Package, ImportError> {
    let name = tree.at("name").text().unwrap_or(folder).to_owned();
    let kinds = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"];
    let all = kinds.iter().flat_map(|kind| tree.at(kind).map()).map(|(name, _)| name.clone()).collect();
    let own = format!("{folder}/turbo.json");
    let tasks = if !folder.is_empty() && root.join(&own).is_file() {
        Some(Tree::jsonc(Path::new(&own), &read_text(&root.join(&own), Path::new(&own))?)?)
    } else {
        None
    };
    let last = name.rsplit('/').next().unwrap_or(&name);
    Ok(Package {
        short: if folder.is_empty() { "root".to_owned() } else { last.to_owned() },
        folder: folder.to_owned(),
        scripts: tree.at("scripts").map().iter().map(|(name, _)| name.clone()).collect(),
        depends: vec![],
        all_dependencies: all,
        tasks,
        name,
    })
}

impl Workspace {
    /// What holds for a package's task: the general entry, the one for this package, and its own
    /// turbo.json, the later over the earlier.
    fn entry(&self, package: &Package, script: &str) -> Option<Tree> {
        let find = |name: &str| self.tasks.iter().find(|(known, _)| known == name).map(|(_, tree)| tree);
        let owner = if package.folder.is_empty() { "//" } else { &package.name };
        // An entry for the package stands in the place of the general one.
        let general = find(&format!("{owner}#{script}")).or_else(|| find(script));
        let own = package.tasks.as_ref().and_then(|tree| {
            let tasks = if tree.get("tasks").is_some() { tree.at("tasks") } else { tree.at("pipeline") };
            tasks.get(script)
        });
        let mut keys: Vec<(String, Tree)> = own.map(|tree| tree.map().to_vec()).unwrap_or_default();
        for (name, tree) in general.map(Tree::map).unwrap_or_default() {
            if !keys.iter().any(|(known, _)| known == name) {
                keys.push((name.clone(), tree.clone()));
            }
        }
        (general.is_some() || own.is_some()).then_some(Tree { value: Value::Map(keys), line: 0 })
    }

    fn name(package: &Package, script: &str) -> String {
        format!("{}:{script}", package.short)
    }

    fn find(&self, name: &str) -> Option<&Package> {
        if name == "//" {
            return self.packages.first();
        }
        self.packages.iter().find(|package| package.name == name)
    }

    /// The tasks an entry of `dependsOn` stands for. What has no script hands on to what it depends on.
    fn targets(&self, package: &Package, entry: &str, seen: &mut BTreeSet<(String, String)>) -> Vec<String> {
        let (packages, script): (Vec<&Package>, &str) = if let Some(script) = entry.strip_prefix('^') {
            (package.depends.iter().filter_map(|name| self.find(name)).collect(), script)
        } else if let Some((owner, script)) = entry.split_once('#') {
            (self.find(owner).into_iter().collect(), script)
        } else {
            (vec![package], entry)
        };
        let mut found = Vec::new();
        for package in packages {
            if !seen.insert((package.name.clone(), script.to_owned())) {
                continue;
            }
            let entry = self.entry(package, script);
            if package.scripts.contains(script) && entry.is_some() {
                found.push(Self::name(package, script));
                continue;
            }
            for next in entry.map(|entry| entry.at("dependsOn").strings()).unwrap_or_default() {
                found.extend(self.targets(package, &next, seen));
            }
        }
        found
    }

    fn task(&self, package: &Package, script: &str, entry: &Tree, line: usize) -> TaskDraft {
        let mut task = TaskDraft::new(Self::name(package, script), line);
        task.action = Action::Run(vec![run_by(self.manager, script)]);
        task.dir = Some(package.folder.clone()).filter(|folder| !folder.is_empty());
        let mut env: Vec<String> = self.env.clone();
        for item in entry.at("dependsOn").strings() {
            if let Some(name) = item.strip_prefix('$') {
                env.push(name.to_owned());
                continue;
            }
            for target in self.targets(package, &item, &mut BTreeSet::new()) {
                if target != task.name && !task.depends.iter().any(|edge| edge.task == target) {
                    task.depends.push(Edge::to(target));
                }
            }
        }
        env.extend(entry.at("env").strings());
        env.extend(
            FRAMEWORKS
                .iter()
                .filter(|(name, _)| package.all_dependencies.contains(*name))
                .map(|(_, names)| (*names).to_owned()),
        );
        for (name, value) in entry.map() {
            match name.as_str() {
                "dependsOn" | "env" | "inputs" | "outputs" | "passThroughEnv" | "cache" | "dotEnv" => {}
                "outputLogs" | "outputMode" => {
                    task.quiet = matches!(value.text(), Some("errors-only" | "none"));
                }
                "interactive" => task.interactive = value.truth(),
                "persistent" if value.truth() => {
                    task.note("run", "persistent", "it runs until it is stopped; nothing can wait for it to end");
                }
                "persistent" | "description" | "$comment" => {}
                other => task.note("run", other, format!("left out: {}", value.shown())),
            }
        }
        if entry.at("cache").value == Value::Bool(false) || entry.at("persistent").truth() || task.interactive {
            return task;
        }
        self.caching(package, entry, env, &mut task);
        task
    }

    fn caching(&self, package: &Package, entry: &Tree, env: Vec<String>, task: &mut TaskDraft) {
        let inside = |pattern: &str| {
            let (sign, pattern) = pattern.strip_prefix('!').map_or(("", pattern), |rest| ("!", rest));
            if let Some(rooted) = pattern.strip_prefix("$TURBO_ROOT$/") {
                return format!("{sign}{rooted}");
            }
            let pattern = pattern.trim_start_matches("./");
            if package.folder.is_empty() {
                format!("{sign}{pattern}")
            } else {
                format!("{sign}{}/{pattern}", package.folder)
            }
        };
        let everything = if package.folder.is_empty() { ".".to_owned() } else { package.folder.clone() };
        let inputs = entry.at("inputs").strings();
        let mut sources: Vec<String> = Vec::new();
        if inputs.is_empty() || inputs.iter().any(|input| input == "$TURBO_DEFAULT$") {
            sources.push(everything);
        } else {
            sources.push(inside("package.json"));
        }
        sources.extend(
            inputs
                .iter()
                .chain(&entry.at("dotEnv").strings())
                .filter(|input| *input != "$TURBO_DEFAULT$")
                .map(|input| inside(input)),
        );
        // The root's folder holds them already.
        if !sources.iter().any(|source| source == ".") {
            sources.extend(self.files.iter().cloned());
        }
        let outputs: Vec<String> = entry.at("outputs").strings().iter().map(|output| inside(output)).collect();
        // What the package's tasks make is no source of it.
        for script in &package.scripts {
            for output in self.entry(package, script).map(|entry| entry.at("outputs").strings()).unwrap_or_default() {
                let taken_away = format!("!{}", inside(&output));
                if !output.starts_with('!') && !sources.contains(&taken_away) {
                    sources.push(taken_away);
                }
            }
        }
        task.sources = Some(sources);
        if !outputs.is_empty() {
            task.outputs = Some(outputs);
            task.note("outputs", "outputs", "weir fails a task that does not make what it declares; turbo only warns");
        }
        let plain = |name: &str| {
            let stem = name.strip_suffix('*').unwrap_or(name);
            stem.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                && !stem.starts_with(|c: char| c.is_ascii_digit())
        };
        let (mut known, odd): (Vec<String>, Vec<String>) =
            env.into_iter().partition(|name| plain(name) && !name.is_empty());
        if !odd.is_empty() {
            task.note("env_inputs", "env", format!("left out: `{}`", odd.join("`, `")));
        }
        known.dedup();
        task.env_inputs = known;
        task.pass_through = self
            .pass_through
            .iter()
            .chain(&entry.at("passThroughEnv").strings())
            .filter(|name| plain(name))
            .cloned()
            .collect();
    }
}
