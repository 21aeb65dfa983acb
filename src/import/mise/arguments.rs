//! What a task of mise is given: `usage`, and the variables that mise sets to it.

use super::super::draft::Argument;
use super::super::shell::{self, argument_variable as variable, quote};
use super::shorten;
use super::task::Builder;
use super::template::Kind;
use super::usage::{Spec, parse};

impl Builder<'_> {
    /// `usage`: positional arguments are carried over, flags are not.
    pub(super) fn usage(&mut self, text: Option<String>) {
        let Some(text) = text else { return };
        let (specs, others) = parse(&text);
        let flags: Vec<String> = specs.iter().filter(|spec| spec.flag).map(|spec| format!("--{}", spec.name)).collect();
        if !flags.is_empty() {
            let text = format!("weir's arguments are positional; always as if not given: `{}`", flags.join("`, `"));
            self.task.note("args", "usage", text);
        }
        for line in others
            .iter()
            .filter(|line| !line.starts_with("complete") && !line.starts_with("long_") && !line.starts_with("help"))
        {
            self.task.note("args", "usage", format!("left out: {}", shorten(line)));
        }
        let positional: Vec<&Spec> = specs.iter().filter(|spec| !spec.flag).collect();
        if positional.iter().any(|spec| spec.rest) {
            if positional.len() > 1 {
                self.task.note("run", "usage", "the arguments are not declared: one of several takes all that is left");
            }
        } else {
            for spec in positional {
                let default = spec.default.clone().filter(|_| spec.env.is_none() && !self.script);
                self.task.args.push(Argument {
                    name: spec.name.clone(),
                    choices: spec.choices.clone(),
                    default,
                    required: spec.required && spec.env.is_none(),
                });
            }
        }
        self.specs = Some(specs);
    }

    /// Lines that set what mise sets, as far as the text names it.
    pub(super) fn preamble(&self, text: &str) -> Vec<String> {
        // The file's own shell sets these; another does not.
        let mut lines = if self.task.shell.is_empty() { vec![] } else { self.project.prelude() };
        for name in ["MISE_PROJECT_ROOT", "MISE_CONFIG_ROOT", "MISE_ORIGINAL_CWD", "MISE_TASK_DIR"] {
            if text.contains(name) {
                lines.push(format!("export {name}=\"$WEIR_WORKSPACE\""));
            }
        }
        if text.contains("MISE_TASK_NAME") {
            lines.push(format!("export MISE_TASK_NAME={}", quote(&self.task.name)));
        }
        let variadic = self.specs.iter().flatten().any(|spec| spec.rest && !spec.flag);
        for spec in self.specs.iter().flatten().filter(|spec| text.contains(&spec.variable())) {
            let (name, from) = (spec.variable(), variable(&spec.name));
            let fallback = match (&spec.env, &spec.default) {
                (Some(env), default) => {
                    Some(format!("${{{env}-{}}}", shell::escape(default.as_deref().unwrap_or_default())))
                }
                (None, Some(default)) if spec.flag || self.script => Some(shell::escape(default)),
                _ => None,
            };
            lines.push(match (spec.flag, spec.rest || variadic, fallback) {
                (true, _, Some(fallback)) => format!("export {name}=\"{fallback}\""),
                (true, _, None) => format!("unset {name}"),
                (false, true, _) if spec.rest => format!("export {name}=\"$*\""),
                (false, true, _) => format!("export {name}=\"$1\""),
                (false, false, Some(fallback)) => format!("export {name}=\"${{{from}-{fallback}}}\""),
                (false, false, None) if spec.required || spec.default.is_some() => format!("export {name}=\"${from}\""),
                (false, false, None) => format!("[ -z \"${{{from}+x}}\" ] || export {name}=\"${from}\""),
            });
        }
        lines.extend(self.before.iter().cloned());
        lines
    }

    /// The arguments that templates named.
    pub(super) fn named_arguments(&mut self) {
        if self.specs.is_some() {
            return;
        }
        let named = self.scope.named.clone();
        let options: Vec<String> =
            named.iter().filter(|named| named.kind == Kind::Option).map(|named| format!("--{}", named.name)).collect();
        if !options.is_empty() {
            let text = format!("weir's arguments are positional; always as if not given: `{}`", options.join("`, `"));
            self.task.note("args", "usage", text);
        }
        if named.iter().any(|named| named.kind == Kind::Rest) {
            return;
        }
        for named in named.into_iter().filter(|named| named.kind == Kind::Positional) {
            let required = named.default.is_none();
            self.task.args.push(Argument { name: named.name, default: named.default, required, ..Argument::default() });
        }
    }
}
