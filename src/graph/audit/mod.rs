//! The audit: whether the graph tells the truth. Pure but for what it asks of a [`Ground`].

pub mod codes;
mod edges;
mod entries;
mod files;

pub use entries::{is_check, reached_from_entries};

use super::resolve::{Graph, TaskIndex};
use crate::config::{At, Diagnostic, Label, Pattern, Severity, Task};
use crate::model::{TaskName, WsPath};
use codes::Code;
use std::time::Duration;

/// What the audit asks of the disk, the machine and the record.
pub trait Ground {
    /// What patterns select; `Err` holds the pattern that selects nothing, and what to do.
    fn select(&self, patterns: &[Pattern]) -> Result<Vec<WsPath>, (String, String)>;
    /// Whether the workspace's ignore files take a path away.
    fn ignores(&self, path: &WsPath, is_dir: bool) -> bool;
    /// A file tracked by git that the patterns cover.
    fn tracked(&self, patterns: &[Pattern]) -> Option<WsPath>;
    /// Whether a task finds a program on its PATH.
    fn has_program(&self, task: &Task, name: &str) -> bool;
    /// Whether a folder is there.
    fn is_dir(&self, path: &WsPath) -> bool;
    /// What is known of a script.
    fn script(&self, path: &WsPath) -> Option<Script>;
    /// How long a task took when it was last recorded.
    fn took(&self, task: &TaskName) -> Option<Duration>;
    /// Whether a variable is set outside.
    fn is_set(&self, name: &str) -> bool;
}

/// What is known of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Script {
    /// Whether it may be executed.
    pub executable: bool,
    /// Whether its first line ends in CRLF and names an interpreter.
    pub crlf: bool,
}

/// One finding.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The task it is about.
    pub task: Option<TaskIndex>,
    /// What is said.
    pub diagnostic: Diagnostic,
}

/// Collects findings.
struct Audit<'g, 'c, 'o> {
    graph: &'g Graph<'c>,
    ground: &'o dyn Ground,
    findings: Vec<Finding>,
}

impl Audit<'_, '_, '_> {
    fn find(&mut self, code: Code, task: TaskIndex, at: At, message: String, help: String) {
        self.findings.push(Finding {
            task: Some(task),
            diagnostic: Diagnostic {
                code: code.code,
                severity: code.severity,
                message,
                labels: vec![Label { at, text: String::new() }],
                help: Some(help),
            },
        });
    }
}

/// Audits a valid graph. Findings that a task allows are left out, and allowances that cover
/// nothing are findings.
pub fn audit(graph: &Graph<'_>, ground: &dyn Ground) -> Vec<Finding> {
    let mut audit = Audit { graph, ground, findings: vec![] };
    edges::audit(&mut audit);
    entries::audit(&mut audit);
    files::audit(&mut audit);
    let mut findings = audit.findings;
    let mut unused = Vec::new();
    for (index, task) in graph.config.tasks.iter().enumerate() {
        for (code, _) in &task.allow {
            let before = findings.len();
            findings.retain(|finding| finding.task != Some(index) || finding.diagnostic.code != code.value);
            if findings.len() == before {
                let known = codes::ALL.iter().any(|known| known.code == code.value);
                let message = if known {
                    format!("`{}` allows `{}`, which is not found there", task.name, code.value)
                } else {
                    format!("`{}` allows `{}`, which is no finding of the audit", task.name, code.value)
                };
                let help = crate::config::did_you_mean(&code.value, codes::ALL.iter().map(|known| known.code))
                    .filter(|_| !known)
                    .map_or_else(|| "remove the allowance".to_owned(), |like| format!("did you mean `{like}`?"));
                unused.push(Finding {
                    task: Some(index),
                    diagnostic: Diagnostic {
                        code: codes::UNUSED_ALLOWANCE.code,
                        severity: Severity::Warning,
                        message,
                        labels: vec![Label { at: code.at, text: String::new() }],
                        help: Some(help),
                    },
                });
            }
        }
    }
    findings.extend(unused);
    findings.sort_by_key(|finding| finding.diagnostic.labels.first().map(|label| label.at));
    findings
}
