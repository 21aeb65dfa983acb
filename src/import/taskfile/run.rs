//! What a task of Task runs: its commands, the calls between them, and what is checked before.

use super::super::draft::{Action, Edge, TaskDraft};
use super::super::shell::quote;
use super::super::tree::Tree;
use super::commands::{self, Step};
use super::template::Scope;
use super::{Place, Whole};

impl Whole<'_> {
    /// `requires: vars`.
    pub(super) fn requirements(&self, task: &mut TaskDraft, requires: &Tree, before: &mut Vec<String>) {
        for item in requires.at("vars").one_or_more() {
            let name = item.text().or_else(|| item.at("name").text()).unwrap_or_default().to_owned();
            if !matches!(self.scope.variables.get(&name), Some(Ok(_))) {
                before.push(format!(": \"${{{name}?{} requires it}}\"", task.name));
            }
            if item.get("enum").is_some() {
                task.note(
                    "run",
                    "requires",
                    format!("the values of `{name}` are not checked: {}", item.at("enum").shown()),
                );
            }
        }
    }

    /// `preconditions`, `status` and `cmds`; helpers come back.
    pub(super) fn commands(
        &self,
        task: &mut TaskDraft,
        scope: &mut Scope,
        place: &Place,
        tree: &Tree,
        before: &[String],
    ) -> Vec<TaskDraft> {
        if task.refused {
            return vec![];
        }
        let list = if tree.get("cmd").is_some() { tree.at("cmd") } else { tree.at("cmds") };
        let mut steps = match commands::steps(list, scope, &place.prefix) {
            Ok(steps) => steps,
            Err((why, original)) => {
                task.refuse("cmds", why, &original);
                return vec![];
            }
        };
        let mut checks = Vec::new();
        for item in tree.at("preconditions").one_or_more() {
            let sh = item.text().or_else(|| item.at("sh").text()).unwrap_or_default();
            let message = item.at("msg").text().map_or_else(|| format!("precondition not met: {sh}"), str::to_owned);
            match (scope.fill(sh), scope.fill(&message)) {
                (Ok(sh), Ok(message)) => {
                    checks.push(format!("{{ {sh}\n}} || {{ echo {} >&2; exit 1; }}", quote(&message)))
                }
                (Err(why), _) | (_, Err(why)) => {
                    task.refuse("preconditions", why, &item.shown());
                    return vec![];
                }
            }
        }
        let status: Result<Vec<String>, String> =
            tree.at("status").strings().iter().map(|text| scope.fill(text)).collect();
        match status {
            Ok(status) if !status.is_empty() => {
                if steps.iter().any(|step| !matches!(step, Step::Command(_))) {
                    task.refuse("status", "it would have to keep other tasks from running", &tree.at("status").shown());
                    return vec![];
                }
                let all: Vec<String> = status.iter().map(|text| format!("({text})")).collect();
                let mut lines = vec![format!("if {}; then exit 0; fi", all.join(" && "))];
                lines.extend(steps.drain(..).filter_map(|step| {
                    if let Step::Command(text) = step { Some(format!("(\n{text}\n)")) } else { None }
                }));
                steps = vec![Step::Command(lines.join("\n"))];
            }
            Ok(_) => {}
            Err(why) => {
                task.refuse("status", why, &tree.at("status").shown());
                return vec![];
            }
        }
        steps.splice(0..0, checks.into_iter().map(Step::Command));
        self.put(task, steps, before)
    }

    /// Commands as `run`; calls between them as a sequence with helpers.
    fn put(&self, task: &mut TaskDraft, steps: Vec<Step>, before: &[String]) -> Vec<TaskDraft> {
        let whole = |text: String| if before.is_empty() { text } else { format!("{}\n{text}", before.join("\n")) };
        let mut helpers: Vec<TaskDraft> = Vec::new();
        let helper = |commands: Vec<String>, helpers: &mut Vec<TaskDraft>, task: &TaskDraft| {
            let mut helper = TaskDraft::new(format!("{}.step{}", task.name, helpers.len() + 1), task.line);
            helper.hide = true;
            helper.dir.clone_from(&task.dir);
            helper.env_file = self.env_file.iter().chain(&task.env_file).cloned().collect();
            (helper.interactive, helper.warn) = (task.interactive, task.warn);
            helper.action = Action::Run(commands);
            let edge = Edge::to(&helper.name);
            helpers.push(helper);
            edge
        };
        let mut commands: Vec<String> = Vec::new();
        let mut sequence: Vec<Vec<Edge>> = Vec::new();
        let calls = steps.iter().any(|step| matches!(step, Step::Call(_)));
        for step in steps {
            match step {
                Step::Command(text) => commands.push(whole(text)),
                Step::Deferred(text) => {
                    let edge = helper(vec![whole(text)], &mut helpers, task);
                    // The last one deferred is the first to run.
                    task.depends_post.insert(0, edge);
                }
                Step::DeferredCall(edge) => task.depends_post.insert(0, edge),
                Step::Call(edge) => {
                    if !commands.is_empty() {
                        sequence.push(vec![helper(std::mem::take(&mut commands), &mut helpers, task)]);
                    }
                    sequence.push(vec![edge]);
                }
            }
        }
        if !calls {
            if !commands.is_empty() {
                task.action = Action::Run(commands);
            }
            return helpers;
        }
        if !commands.is_empty() {
            sequence.push(vec![helper(commands, &mut helpers, task)]);
        }
        let depends = std::mem::take(&mut task.depends);
        if !depends.is_empty() {
            sequence.insert(0, depends);
        }
        if helpers.iter().any(|helper| helper.commands().iter().any(|command| command.contains("\"$@\""))) {
            task.note("sequence", "CLI_ARGS", "it takes no arguments here: its commands are tasks of their own");
        }
        if !helpers.is_empty() {
            (task.dir, task.interactive, task.warn) = (None, false, false);
            task.env_file.clear();
        }
        task.action = Action::Sequence(sequence);
        helpers
    }
}
