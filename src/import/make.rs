//! `Makefile`: its rules, each recipe line in a shell of its own as under make.

mod rules;
mod values;

use super::draft::{Action, Draft, Edge, TaskDraft};
use super::shell::Piece;
use super::{ImportError, Source};
use rules::{Makefile, Rule};
use std::collections::BTreeMap;
use std::path::Path;
use values::{Automatic, Values};

/// A target with all its rules' parts.
#[derive(Debug, Clone, Default)]
struct Target {
    line: usize,
    prerequisites: Vec<String>,
    order_only: Vec<String>,
    recipe: Vec<String>,
    stem: String,
    description: Option<String>,
    uncertain: bool,
}

/// Reads the rules.
pub(super) fn read(source: &Source<'_>) -> Result<Draft, ImportError> {
    let file = Makefile::parse(source.text)
        .map_err(|(line, why)| ImportError::at(source.shown, line, why, "mend the Makefile first"))?;
    let mut draft = Draft { shell: vec!["sh".into(), "-c".into()], ..Draft::default() };
    for (line, what) in &file.others {
        draft.note("", "Makefile", *line, format!("left out: `{what}`"));
    }
    let values = Values::new(&file, source.folder, &mut draft);
    if let Some(shell) = values.text("SHELL") {
        draft.shell = vec![shell, values.text(".SHELLFLAGS").unwrap_or_else(|| "-c".into())];
    }
    let mut phony = Vec::new();
    let mut targets: Vec<(String, Target)> = Vec::new();
    for rule in &file.rules {
        collect(rule, &values, &mut draft, &mut phony, &mut targets);
    }
    instantiate(&file, &values, source.folder, &phony, &mut targets, &mut draft);
    let one_shell = file.rules.iter().any(|rule| rule.targets.trim() == ".ONESHELL");
    let names: BTreeMap<String, bool> =
        targets.iter().map(|(name, target)| (name.clone(), !target.recipe.is_empty())).collect();
    draft.env = values.exported();
    let ordered_after: Vec<&String> = targets.iter().flat_map(|(_, target)| &target.order_only).collect();
    for (name, target) in &targets {
        // A folder to be there is made, and is nobody's input.
        let is_phony = phony.contains(name) || ordered_after.contains(&name);
        let own: Vec<&rules::Variable> = file
            .own
            .iter()
            .filter(|(targets, _)| targets.split_whitespace().any(|target| target == name))
            .map(|(_, variable)| variable)
            .collect();
        let mine = values.of(own.iter().copied());
        let mut task = task(name, target, is_phony, &names, &mine, source.folder, one_shell);
        if let Some(first) = own.first().filter(|_| !task.depends.is_empty()) {
            task.note("depends", &first.name, "make gives it to what this depends on as well");
        }
        draft.tasks.push(task);
    }
    for glob in values.listed() {
        draft.note(
            "",
            "wildcard",
            0,
            format!("what is made of `{glob}` is of the files there are now; add later ones"),
        );
    }
    if draft.tasks.is_empty() {
        return Err(ImportError::at(source.shown, 0, "it has no targets", "there is nothing to import"));
    }
    Ok(draft)
}

/// Adds what one rule says to its targets.
fn collect(
    rule: &Rule,
    values: &Values,
    draft: &mut Draft,
    phony: &mut Vec<String>,
    targets: &mut Vec<(String, Target)>,
) {
    let known = |text: &str| values.expand(text, None);
    let (names, list) = match (known(&rule.targets), known(&rule.prerequisites)) {
        (Ok(names), Ok(list)) => (names, list),
        (Err(why), _) | (_, Err(why)) => {
            draft.note("", rule.targets.trim(), rule.line, format!("left out: {why}"));
            return;
        }
    };
    let (list, order_only) = list.split_once('|').unwrap_or((&list, ""));
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    for name in words(&names) {
        if name == ".PHONY" {
            phony.extend(words(list));
        } else if name.starts_with('.') && name[1..].chars().all(|c| c.is_ascii_uppercase() || c == '_') {
            if !matches!(name.as_str(), ".ONESHELL" | ".SUFFIXES" | ".DELETE_ON_ERROR" | ".SILENT" | ".NOTPARALLEL") {
                draft.note("", &name, rule.line, "left out");
            }
        } else if !name.contains('%') {
            let at = targets.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
                targets.push((name.clone(), Target { line: rule.line, ..Target::default() }));
                targets.len() - 1
            });
            let target = &mut targets[at].1;
            target.prerequisites.extend(words(list));
            target.order_only.extend(words(order_only));
            target.uncertain |= rule.uncertain;
            if target.description.is_none() {
                target.description.clone_from(&rule.description);
            }
            if !rule.recipe.is_empty() {
                if rule.double && !target.recipe.is_empty() {
                    target.recipe.extend(rule.recipe.iter().cloned());
                } else {
                    target.recipe.clone_from(&rule.recipe);
                }
            }
        }
    }
}

/// Pattern rules become a target for each file that is asked for and can be made.
fn instantiate(
    file: &Makefile,
    values: &Values,
    folder: &Path,
    phony: &[String],
    targets: &mut Vec<(String, Target)>,
    draft: &mut Draft,
) {
    let mut used = vec![false; file.rules.len()];
    let mut at = 0;
    while at < targets.len() {
        let (name, target) = targets[at].clone();
        at += 1;
        let mut wanted: Vec<String> = target.prerequisites.iter().chain(&target.order_only).cloned().collect();
        if target.recipe.is_empty() && !phony.contains(&name) {
            wanted.push(name.clone());
        }
        for wanted in wanted {
            let known = targets.iter().position(|(known, target)| *known == wanted && !target.recipe.is_empty());
            if known.is_some() || phony.contains(&wanted) {
                continue;
            }
            for (index, rule) in file.rules.iter().enumerate().filter(|(_, rule)| rule.targets.contains('%')) {
                let (Ok(pattern), Ok(list)) =
                    (values.expand(&rule.targets, None), values.expand(&rule.prerequisites, None))
                else {
                    continue;
                };
                let Some(stem) = stem(pattern.trim(), &wanted) else { continue };
                let (list, order_only) = list.split_once('|').unwrap_or((&list, ""));
                let filled =
                    |text: &str| text.split_whitespace().map(|word| word.replacen('%', &stem, 1)).collect::<Vec<_>>();
                let prerequisites = filled(list);
                let can_be =
                    |file: &String| folder.join(file).exists() || targets.iter().any(|(known, _)| known == file);
                if rule.recipe.is_empty() || !prerequisites.iter().all(can_be) {
                    continue;
                }
                used[index] = true;
                let made = Target {
                    line: rule.line,
                    prerequisites,
                    order_only: filled(order_only),
                    recipe: rule.recipe.clone(),
                    stem,
                    description: None,
                    uncertain: rule.uncertain,
                };
                match targets.iter_mut().find(|(known, _)| *known == wanted) {
                    Some((_, target)) => {
                        let mut prerequisites = made.prerequisites.clone();
                        prerequisites.append(&mut target.prerequisites);
                        *target = Target { prerequisites, line: target.line, ..made };
                    }
                    None => targets.push((wanted.clone(), made)),
                }
                break;
            }
        }
    }
    for (rule, _) in file.rules.iter().zip(used).filter(|(rule, used)| rule.targets.contains('%') && !used) {
        draft.note("", rule.targets.trim(), rule.line, "left out: no file that is there is made by this pattern rule");
    }
}

/// What `%` stands for.
fn stem(pattern: &str, name: &str) -> Option<String> {
    let (before, after) = pattern.split_once('%')?;
    let stem = name.strip_prefix(before)?.strip_suffix(after)?;
    (!stem.is_empty()).then(|| stem.to_owned())
}

fn task(
    name: &str,
    target: &Target,
    phony: bool,
    names: &BTreeMap<String, bool>,
    values: &Values,
    folder: &Path,
    one_shell: bool,
) -> TaskDraft {
    let mut task = TaskDraft::new(name, target.line);
    task.description.clone_from(&target.description);
    task.ordered = true;
    let mut files: Vec<String> = Vec::new();
    for (prerequisite, order_only) in
        target.prerequisites.iter().map(|name| (name, false)).chain(target.order_only.iter().map(|name| (name, true)))
    {
        if names.contains_key(prerequisite) {
            task.depends.push(Edge { order_only, ..Edge::to(prerequisite) });
        } else if !folder.join(prerequisite).exists() && !prerequisite.contains('*') {
            task.note(
                "depends",
                "prerequisites",
                format!("`{prerequisite}` left out: it is not there, and no rule makes it"),
            );
            continue;
        }
        let made = names.get(prerequisite).copied().unwrap_or(true);
        if !order_only && made && !files.contains(prerequisite) {
            files.push(prerequisite.clone());
        }
    }
    if target.uncertain {
        task.refuse("Makefile", "it is inside a conditional", &target.recipe.join("\n"));
        return task;
    }
    if target.recipe.is_empty() {
        return task;
    }
    let automatic = Automatic { target: name, prerequisites: &target.prerequisites, stem: &target.stem };
    let mut lines = Vec::new();
    for line in &target.recipe {
        match recipe_line(line, values, &automatic) {
            Ok(Some(line)) => lines.push(line),
            Ok(None) => {}
            Err(why) => {
                task.refuse("recipe", why, line);
                return task;
            }
        }
    }
    if lines.iter().any(|line| line.starts_with("make ") || line.contains(" make ")) {
        task.note("run", "recipe", "it still calls make");
    }
    let makes_it = makes(name, target, folder);
    if one_shell {
        lines = vec![lines.join("\n")];
    }
    if lines.is_empty() {
        lines.push(":".into());
    }
    task.action = Action::Run(lines);
    if phony {
        return task;
    }
    if !makes_it {
        task.note("run", "target", format!("it always runs; make would skip it where a file `{name}` is there"));
        return task;
    }
    // What is made by a task without a file of its own changes each time.
    let only_files = files.iter().all(|file| folder.join(file).exists() || names.get(file).copied().unwrap_or(false));
    if only_files {
        task.sources = Some(files);
        task.outputs = Some(vec![name.to_owned()]);
        task.see_everything("make");
    }
    task
}

/// Whether the recipe makes the file that the target is named after, as far as it shows. `test: ; go test` is
/// no file though nobody said `.PHONY`.
fn makes(name: &str, target: &Target, folder: &Path) -> bool {
    let named = target.recipe.iter().any(|line| line.contains("$@") || line.contains("$(@") || line.contains(name));
    let written = ["-o ", "-o", "> ", ">", "touch "].iter().any(|before| {
        target.recipe.iter().any(|line| [name, "$@"].iter().any(|file| line.contains(&format!("{before}{file}"))))
    });
    named && (written || name.contains(['.', '/']) || folder.join(name).is_file())
}

/// A recipe's line for the shell; none if it holds nothing.
fn recipe_line(line: &str, values: &Values, automatic: &Automatic<'_>) -> Result<Option<String>, String> {
    let (mut ignored, mut rest) = (false, line.trim_start());
    while let Some(prefix) = rest.chars().next().filter(|c| "@-+".contains(*c)) {
        ignored |= prefix == '-';
        rest = rest[1..].trim_start();
    }
    let text = values.command(rest, automatic)?;
    let text = text.trim_end();
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let simple = !text.contains([';', '|', '&', '\n', '#']);
    Ok(Some(match (ignored, simple) {
        (false, _) => text.to_owned(),
        (true, true) => format!("{text} || :"),
        (true, false) => format!("{{ {text}\n}} || :"),
    }))
}

/// The piece as text of a command.
fn shown(piece: Piece) -> Result<String, String> {
    match piece {
        Piece::Text(text) | Piece::Expand(text) | Piece::Word(text) => Ok(text),
        Piece::Unknown(why) => Err(why),
    }
}
