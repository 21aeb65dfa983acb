//! `justfile`: its recipes, each line in a shell of its own as under just.

mod expressions;
mod recipes;

use super::draft::{Action, Argument, Draft, Edge, TaskDraft};
use super::script::{run_script, shebang};
use super::shell::{Val, fill, is_posix};
use super::{ImportError, Source};
use expressions::Scope;
use recipes::{Justfile, Parameter, Recipe};

/// Reads the recipes.
pub(super) fn read(source: &Source<'_>) -> Result<Draft, ImportError> {
    let file = Justfile::parse(source.text)
        .map_err(|(line, why)| ImportError::at(source.shown, line, why, "mend the justfile first"))?;
    let mut draft = Draft { shell: vec!["sh".into(), "-cu".into()], ..Draft::default() };
    let mut whole = Whole::default();
    for (line, what) in &file.others {
        draft.note("", "justfile", *line, format!("left out: `{what}`"));
    }
    for (name, value, line) in &file.settings {
        whole.setting(source, &mut draft, name, value, *line);
    }
    let mut scope = Scope::default();
    whole.variables(&file, &mut scope, &mut draft);
    if !whole.foreign {
        draft.run_before(&whole.exports, "it exports what is worked out when a recipe runs, and runs the command");
    }
    for recipe in &file.recipes {
        if let Some(skip) =
            recipe.attributes.iter().find(|attribute| matches!(attribute.as_str(), "windows" | "openbsd"))
        {
            draft.note("", &recipe.name, recipe.line, format!("left out, it is for `{skip}`"));
            continue;
        }
        let mut task = whole.task(recipe, &scope);
        let aliases = file.aliases.iter().filter(|(_, target)| *target == recipe.name);
        task.alias = aliases.map(|(alias, _)| alias.clone()).collect();
        draft.tasks.push(task);
    }
    if draft.tasks.is_empty() {
        return Err(ImportError::at(source.shown, 0, "it has no recipes", "there is nothing to import"));
    }
    Ok(draft)
}

/// What holds for all recipes.
#[derive(Default)]
struct Whole {
    export: bool,
    positional: bool,
    exports: Vec<String>,
    env_file: Vec<String>,
    dir: Option<String>,
    /// The shell is no shell that knows `"$@"`.
    foreign: bool,
}

impl Whole {
    fn setting(&mut self, source: &Source<'_>, draft: &mut Draft, name: &str, value: &str, line: usize) {
        let on = value.is_empty() || value == "true";
        let text = expressions::string(value).unwrap_or_else(|| value.to_owned());
        match name {
            "shell" => {
                let words: Vec<String> = expressions::strings(value);
                if !words.is_empty() {
                    self.foreign = !is_posix(&words);
                    draft.shell = words;
                }
            }
            "export" => self.export = on,
            "positional-arguments" => self.positional = on,
            "dotenv-load" | "dotenv-required" if on => self.dotenv(source, draft, ".env", line),
            "dotenv-filename" | "dotenv-path" => self.dotenv(source, draft, &text, line),
            "working-directory" => self.dir = Some(text),
            // weir shows no commands; the others say nothing about what a recipe does.
            "quiet"
            | "allow-duplicate-recipes"
            | "allow-duplicate-variables"
            | "ignore-comments"
            | "unstable"
            | "windows-shell"
            | "windows-powershell"
            | "dotenv-load"
            | "dotenv-required" => {}
            other => draft.note("settings", other, line, format!("left out: `set {other} {value}`")),
        }
    }

    fn dotenv(&mut self, source: &Source<'_>, draft: &mut Draft, file: &str, line: usize) {
        if self.env_file.iter().any(|known| known == file) {
            return;
        }
        if source.folder.join(file).is_file() {
            self.env_file.push(file.to_owned());
            draft.note(
                "",
                "dotenv",
                line,
                "weir masks these values in all output, and they win over variables from outside",
            );
        } else {
            draft.note(
                "",
                "dotenv",
                line,
                format!("`{file}` left out: just passes over a file that is not there, weir does not"),
            );
        }
    }

    /// The variables, whatever order they stand in.
    fn variables(&mut self, file: &Justfile, scope: &mut Scope, draft: &mut Draft) {
        for _ in 0..file.variables.len() {
            for variable in &file.variables {
                if !matches!(scope.variables.get(&variable.name), Some(Ok(_))) {
                    let found = scope.value(&variable.value);
                    scope.variables.insert(variable.name.clone(), found);
                }
            }
        }
        for variable in &file.variables {
            let exported = variable.export || self.export;
            match &scope.variables[&variable.name] {
                Ok(Val::Static(text)) if exported => draft.env.push((variable.name.clone(), text.clone())),
                Ok(val) if exported => self.exports.push(val.export(&variable.name)),
                Ok(_) => {}
                Err(why) => {
                    let text = format!("left out: {why}; recipes that use it are not carried over");
                    draft.note("", &variable.name, variable.line, text);
                }
            }
        }
    }

    fn task(&self, recipe: &Recipe, scope: &Scope) -> TaskDraft {
        let mut task = TaskDraft::new(&recipe.name, recipe.line);
        task.description.clone_from(&recipe.description);
        task.hide = recipe.name.starts_with('_') || recipe.attributes.iter().any(|attribute| attribute == "private");
        task.ordered = !recipe.attributes.iter().any(|attribute| attribute == "parallel");
        task.dir.clone_from(&self.dir);
        task.env_file.clone_from(&self.env_file);
        self.attributes(recipe, &mut task);
        let mut lost = None;
        for (dependency, after) in &recipe.dependencies {
            match dependency.edge(scope, recipe) {
                Ok(edge) if *after => task.depends_post.push(Edge { on_success: true, ..edge }),
                Ok(edge) => task.depends.push(edge),
                Err(why) => lost = Some(why),
            }
        }
        if recipe.body.iter().all(|line| line.trim().is_empty()) {
            if !recipe.parameters.is_empty() {
                task.note("depends", "parameters", "left out, since it runs no command itself");
            }
        } else {
            let mut scope = scope.clone();
            let before = self.parameters(recipe, &mut task, &mut scope);
            self.body(recipe, &mut task, &scope, before);
        }
        if let Some(why) = lost {
            task.refuse("dependencies", why, &recipe.name);
        }
        task
    }

    fn attributes(&self, recipe: &Recipe, task: &mut TaskDraft) {
        for attribute in &recipe.attributes {
            let (name, value) = attribute.split_once(['(', ':']).unwrap_or((attribute, ""));
            let value = expressions::string(value.trim_end_matches(')').trim());
            match (name.trim(), value) {
                (
                    "private"
                    | "parallel"
                    | "no-exit-message"
                    | "no-quiet"
                    | "group"
                    | "unix"
                    | "positional-arguments"
                    | "script"
                    | "extension",
                    _,
                ) => {}
                ("linux" | "macos", _) => {
                    task.note("run", "attributes", format!("it runs everywhere here, not on `{name}` alone"))
                }
                ("doc", Some(text)) => task.description = Some(text),
                ("confirm", text) => {
                    task.confirm = Some(text.unwrap_or_else(|| format!("Run recipe `{}`?", recipe.name)));
                    task.note("confirm", "confirm", "weir asks before anything of the run starts");
                }
                ("working-directory", Some(dir)) => task.dir = Some(dir),
                ("no-cd", _) => task.note(
                    "run",
                    "no-cd",
                    "just runs it in the folder it was called from, weir in that of this file",
                ),
                _ => task.note("run", "attributes", format!("left out: `[{attribute}]`")),
            }
        }
    }

    /// Declares the parameters; what comes back sets those that are exported.
    fn parameters(&self, recipe: &Recipe, task: &mut TaskDraft, scope: &mut Scope) -> Vec<String> {
        let mut before = Vec::new();
        let variadic = recipe.parameters.last().is_some_and(|parameter| parameter.variadic.is_some());
        let known = |parameter: &Parameter| parameter.default.as_ref().map(|default| scope.clone().value(default));
        let fixed: Vec<(&Parameter, Option<Result<Val, String>>)> =
            recipe.parameters.iter().map(|parameter| (parameter, known(parameter))).collect();
        for (at, (parameter, default)) in fixed.into_iter().enumerate() {
            let variable = super::shell::argument_variable(&parameter.name);
            let position = at + 1;
            let expansion = match (&parameter.variadic, variadic, default) {
                (Some(_), _, Some(Ok(default))) => {
                    let text =
                        if let Val::Static(text) = &default { super::shell::escape(text) } else { String::new() };
                    before.extend(shift(at));
                    before.push(format!("[ $# -gt 0 ] || set -- {text}"));
                    Val::Dynamic("$*".into())
                }
                (Some(kind), ..) => {
                    if *kind == '+' {
                        before.push(format!(": \"${{{position}?{} needs `{}`}}\"", recipe.name, parameter.name));
                    }
                    before.extend(shift(at));
                    Val::Dynamic("$*".into())
                }
                (None, true, Some(Ok(Val::Static(text)))) => {
                    before.push(format!("{}=\"${{{position}-{}}}\"", variable, super::shell::escape(&text)));
                    Val::Dynamic(format!("${{{variable}}}"))
                }
                (None, true, _) => {
                    before.push(format!("{}=\"${{{position}?{} needs `{}`}}\"", variable, recipe.name, parameter.name));
                    Val::Dynamic(format!("${{{variable}}}"))
                }
                (None, false, default) => {
                    let (default, dynamic) = match default {
                        Some(Ok(Val::Static(text))) => (Some(text), None),
                        Some(Ok(Val::Dynamic(text))) => (None, Some(text)),
                        Some(Err(why)) => {
                            task.note("args", &parameter.name, format!("its default is left out: {why}"));
                            (None, None)
                        }
                        None => (None, None),
                    };
                    task.args.push(Argument {
                        name: parameter.name.clone(),
                        required: default.is_none() && dynamic.is_none(),
                        default,
                        choices: vec![],
                    });
                    Val::Dynamic(
                        dynamic.map_or_else(|| format!("${{{variable}}}"), |text| format!("${{{variable}-{text}}}")),
                    )
                }
            };
            if parameter.export || self.export {
                before.push(expansion.export(&parameter.name));
            }
            scope.variables.insert(parameter.name.clone(), Ok(expansion));
        }
        if !self.positional && recipe.body.iter().any(|line| super::shell::reads_arguments(line)) {
            task.note("run", "arguments", "`$1` and `$@` are empty under just without `set positional-arguments`");
        }
        before
    }

    fn body(&self, recipe: &Recipe, task: &mut TaskDraft, scope: &Scope, before: Vec<String>) {
        let text = recipe.body.join("\n");
        let filled = |text: &str, shell: bool| -> Result<String, String> {
            let filled = fill(&text.replace("{{{{", "\u{1}"), |expression| scope.piece(expression))?;
            if !shell && filled != text && filled.contains("${") {
                return Err("a template that only a shell could fill in".into());
            }
            Ok(filled.replace('\u{1}', "{{"))
        };
        if let Some((interpreter, body)) = shebang(&text) {
            // The file's own shell exports these; another does not.
            let own = if is_posix(&interpreter) { self.exports.clone() } else { vec![] };
            let before: Vec<String> = own.into_iter().chain(before).collect();
            match filled(body, is_posix(&interpreter)) {
                Ok(_) if self.foreign && !is_posix(&interpreter) => {
                    task.refuse("recipe", "`set shell` names no shell that could start it", &text);
                }
                Ok(body) => run_script(task, &interpreter, &body, &before),
                Err(why) => task.refuse("recipe", why, body),
            }
            return;
        }
        let mut lines: Vec<String> = Vec::new();
        for line in recipe.lines() {
            let mut rest = line.as_str();
            let mut ignored = false;
            while let Some(prefix) = rest.chars().next().filter(|c| "@-?".contains(*c)) {
                ignored |= prefix == '-';
                rest = rest[1..].trim_start();
            }
            if rest.trim().is_empty() || rest.starts_with('#') {
                continue;
            }
            match filled(rest, !self.foreign) {
                Ok(text) => {
                    let text = if ignored { format!("{{ {text}\n}} || :") } else { text };
                    let mut all = before.clone();
                    all.push(text);
                    lines.push(all.join("\n"));
                }
                Err(why) => return task.refuse("recipe", why, &line),
            }
        }
        if self.foreign && !(before.is_empty() && self.exports.is_empty()) {
            return task.refuse("recipe", "its shell is none that knows `export`", &text);
        }
        if lines.iter().any(|line| line.starts_with("just ") || line.contains("\njust ")) {
            task.note("run", "recipe", "it still calls just");
        }
        if lines.is_empty() {
            lines.push(":".into());
        }
        task.action = Action::Run(lines);
    }
}

/// Takes the arguments before the last parameter away, as many as there are.
fn shift(count: usize) -> Option<String> {
    (count > 0).then(|| format!("shift $(($# < {count} ? $# : {count}))"))
}
