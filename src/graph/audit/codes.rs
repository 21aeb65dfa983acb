//! The findings of the audit: the one list that codes, severities and pages derive from.

use crate::config::Severity;

/// A kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// `graph::missing-edge`.
    pub code: &'static str,
    /// How bad.
    pub severity: Severity,
    /// What it says, in a few words.
    pub title: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// How to mend it.
    pub mend: &'static str,
}

macro_rules! codes {
    ($($name:ident = $code:literal, $severity:ident, $title:literal, $why:literal, $mend:literal;)*) => {
        $(#[doc = $title] pub const $name: Code = Code {
            code: $code, severity: Severity::$severity, title: $title, why: $why, mend: $mend,
        };)*
        /// All of them.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

codes! {
    CYCLE = "graph::cycle", Error, "tasks wait for each other",
        "None of them can ever start. weir refuses to run anything.",
        "Remove one of the edges on the path that is shown.";
    UNKNOWN_TASK = "graph::unknown-task", Error, "a name that is no task",
        "An edge to nothing orders nothing: what was meant to run first may not run at all.",
        "Correct the name; `optional = true` allows a task that may be absent.";
    ALIAS = "graph::alias", Error, "an alias that is used twice or shadows a task",
        "It would not be clear which task runs.",
        "Give one of them another alias.";
    MANUAL_DEPENDENCY = "graph::manual-dependency", Error, "a dependency on a manual task",
        "A manual task is only ever run by name, so the edge contradicts it.",
        "Remove the edge, or `manual`.";
    OVERLAPPING_OUTPUTS = "graph::overlapping-outputs", Error, "two tasks write the same outputs",
        "Each would undo or falsify the other's recorded result.",
        "Give each its own folder, or let one task produce both.";
    OUTPUT_IS_SOURCE = "graph::output-is-source", Error, "a task has its own output among its sources",
        "Running it would change its own key, and restoring it would overwrite edits.",
        "Leave the output out with a `!` pattern, or declare it as `writes`.";
    MISSING_EDGE = "graph::missing-edge", Error, "a task reads what another writes without waiting for it",
        "On a cold or parallel run it reads the old file, or none.",
        "Add the dependency that is shown.";
    UNORDERED_RESET = "graph::unordered-reset", Error, "a reset that is not ordered against a user of its state",
        "It may destroy the state while the other task uses it.",
        "Add `depends` or `wait_for`.";
    SOAK = "graph::soak", Error, "a soak without a task that it can repeat",
        "A group, a reset, an interactive task or another soak can't be repeated, and files that all iterations write not by several at once. Nor can a task that shares a database with a service: each iteration would have a clone, and the service the database itself.",
        "Name a single task, or one that has its own server, or remove `jobs`, as the message says.";
    NO_MATCH = "graph::no-match", Error, "a source that matches nothing",
        "The task can't run; or, worse, what it really reads is not declared.",
        "Correct the path.";
    UNREACHABLE = "graph::unreachable-task", Warning, "a hidden task that nothing needs",
        "It is not listed and nothing depends on it: it never runs.",
        "Remove it, list it, or depend on it.";
    EMPTY_GROUP = "graph::empty-group", Warning, "a group without members",
        "It succeeds without having done anything.",
        "Give it members, or remove it.";
    IDLE_EDGE = "graph::idle-edge", Note, "an edge along which nothing flows",
        "The other task leaves nothing behind but its verdict: the edge only orders.",
        "Write `{ task = \"…\", order_only = true }`, so that the reader knows, or remove it.";
    REDUNDANT_EDGE = "graph::redundant-edge", Note, "an edge that the others imply",
        "It says nothing new, and hides what the graph really is.",
        "Remove it.";
    IGNORED_SOURCE = "graph::ignored-source", Warning, "a source that an ignore file names",
        "It is not in the repository: another checkout has another one, or none.",
        "Track it, or make a task that writes it.";
    WIDE_SOURCE = "graph::wide-source", Warning, "a source that takes in folders that change all the time",
        "`target`, `node_modules`, `.git` and `.weir` change with every build or run: the task will hardly ever be fresh.",
        "Leave them out with `.gitignore` or a `!` pattern, or name the files that matter.";
    TRACKED_OUTPUT = "graph::tracked-output", Warning, "an output that is tracked by git",
        "Restoring it overwrites what a person edited, and every run dirties the tree.",
        "Declare it as `writes`, or, if it is generated and committed on purpose, allow this finding with the reason.";
    SOURCES_UNDECLARED = "graph::sources-undeclared", Error, "a command without `sources`",
        "It always runs, and so does what depends on it. The policy asks for a decision.",
        "Declare `sources`, or say `cache = false`.";
    OUTPUTS_UNDECLARED = "graph::outputs-undeclared", Warning, "a slow task without `outputs`",
        "What it leaves behind is unknown, so that it can't be restored and each of its runs makes all that depends on it run.",
        "Declare `outputs`; `outputs = []` if it leaves only its verdict.";
    UNSEEN_RESET = "graph::unseen-reset", Warning, "an order-only edge hides a reset from a cached task",
        "The task stays fresh although the state it was made from is gone.",
        "Make the edge a data edge, or use `wait_for` on the reset.";
    IMPURE = "graph::impure-command", Note, "a cached command whose result differs each time",
        "The network, the clock and chance are in no key: the recorded result may not be what it would do now.",
        "Make it a probe, say `cache = false`, or allow it with the reason.";
    HIDDEN_VARIABLE = "graph::hidden-variable", Warning, "a cached command names a variable that it does not declare",
        "The variable is not passed to the command, and not in its key.",
        "Add it to `env`, `env_inputs` or `pass_through`.";
    ENTRY_MISSES = "graph::entry-misses", Error, "a test, lint or gate that no entry task reaches",
        "CI is green without it.",
        "Add it to what an entry task depends on, make it `manual`, or allow this finding with the reason.";
    MISSING_PROGRAM = "graph::missing-program", Warning, "a program that is not installed",
        "The task will fail here when it runs.",
        "Install it, correct the name, or declare it in `requires`, to have it said before anything runs.";
    MISSING_DIR = "graph::missing-dir", Error, "a `dir` that does not exist",
        "The task can't start.",
        "Create it, or correct `dir`.";
    SCRIPT_MODE = "graph::script-mode", Error, "a script that may not be executed",
        "The task fails with `permission denied`, perhaps only in a fresh clone.",
        "`chmod +x`, and commit the mode: `git update-index --chmod=+x FILE`.";
    SCRIPT_CRLF = "graph::script-crlf", Error, "a script with CRLF line ends",
        "Its first line names an interpreter that ends in a carriage return, which does not exist.",
        "Convert it to LF, and say so in `.gitattributes`.";
    TIMEOUT_UNDECLARED = "graph::timeout-undeclared", Note, "a task of an entry without a `timeout`",
        "It may hang as long as the default allows, 30 minutes, which CI pays for.",
        "Give it a `timeout` of a few times what it takes, or all that have none one in `[settings]`.";
    UNUSED_ALLOWANCE = "graph::unused-allowance", Warning, "an allowance that no longer applies",
        "It would silently cover the next such mistake.",
        "Remove it.";
}

/// The page of a code, as Markdown.
pub fn page(code: &Code) -> String {
    let severity = match code.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    format!(
        "# {}: {}\n\nSeverity: {severity}.\n\n## Why it matters\n\n{}\n\n## What to do\n\n{}\n\nTo allow it for one task, with the reason:\n\n\
         ```toml\nallow = {{ \"{}\" = \"why\" }}\n```\n",
        code.code, code.title, code.why, code.mend, code.code
    )
}

/// The file name of a code's page.
pub fn page_name(code: &Code) -> String {
    format!("{}.md", code.code.replace("graph::", ""))
}

/// The index of all pages, as Markdown.
pub fn index() -> String {
    let mut text = String::from(
        "# Findings of the audit\n\n`weir tasks deps check` looks for these. Errors make it exit with 1, warnings only with `--strict`.\n\n\
         | code | severity | finding |\n|---|---|---|\n",
    );
    for code in ALL {
        let severity = format!("{:?}", code.severity).to_lowercase();
        text += &format!("| [`{}`]({}) | {severity} | {} |\n", code.code, page_name(code), code.title);
    }
    text
}
