//! The verdict, for people and for machines.

use super::facts::Case;
use super::finding::{Finding, Kind, Violation};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use std::fmt::Write as _;

/// What the rule says of a change. As JSON: `schema/json/detect.schema.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "weir rule detect --json")]
pub struct Verdict {
    /// The version of this format: 1.
    pub version: u32,
    /// What the change is seen against, in words.
    pub against: String,
    /// How many paths differ.
    pub files: usize,
    /// Whether anything structural was found.
    pub structural: bool,
    /// Whether the change may pass.
    pub passes: bool,
    /// What is structural in it, by place.
    pub findings: Vec<Finding>,
    /// Why it may not pass.
    pub violations: Vec<Violation>,
    #[serde(skip)]
    exceptions: String,
    #[serde(skip)]
    manifest: String,
    #[serde(skip)]
    today: String,
}

/// The JSON Schema of a [`Verdict`].
pub fn detect_schema() -> serde_json::Value {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<Verdict>().to_value()
}

impl Verdict {
    pub(super) fn new(case: &Case, findings: Vec<Finding>, violations: Vec<Violation>) -> Self {
        Self {
            version: 1,
            against: String::new(),
            files: case.files.len(),
            structural: !findings.is_empty(),
            passes: violations.is_empty(),
            findings,
            violations,
            exceptions: case.after.settings.exceptions.clone(),
            manifest: case.after.settings.manifest.clone(),
            today: case.today.to_string(),
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let _ = writeln!(text, "{}:{}: {}: {}", finding.file, finding.line, finding.kind.name(), finding.message);
            let _ = writeln!(text, "    structural: {}", finding.why);
            let covering = match &finding.invariants[..] {
                [] => "covered by no invariant".to_owned(),
                ids => format!("covered by {}", ids.join(", ")),
            };
            let excuse = match (&finding.excused_by, finding.kind) {
                (Some(by), _) => format!("right by {by}"),
                (None, Kind::Migration) => "nothing makes it right".to_owned(),
                (None, _) => "nothing in this change makes it right".to_owned(),
            };
            let _ = writeln!(text, "    {covering}; {excuse}");
        }
        for violation in self.violations.iter().filter(|violation| violation.code != "unexcused") {
            let _ = writeln!(text, "{}:{}: {}", violation.file, violation.line, violation.message);
            let _ = writeln!(text, "    help: {}", violation.help);
        }
        if self.violations.iter().any(|violation| violation.code == "unexcused") {
            text.push_str(&self.ways_out());
        }
        let _ = writeln!(text, "{}", self.summary());
        text
    }

    /// In a line.
    pub fn summary(&self) -> String {
        let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
        format!(
            "{} against {}: {}, {}",
            count(self.files, "changed path"),
            if self.against.is_empty() { "the base" } else { &self.against },
            count(self.findings.len(), "structural finding"),
            if self.passes { "nothing refused".to_owned() } else { format!("{} refused", self.violations.len()) }
        )
    }

    fn ways_out(&self) -> String {
        let id = self
            .findings
            .iter()
            .filter(|finding| finding.excused_by.is_none())
            .find_map(|finding| finding.invariants.first())
            .map_or("INV-000", String::as_str);
        let exception = format!("{}/exception_{id}_{}.md", self.exceptions, self.today);
        format!(
            "two ways out, in the same change:\n  \
             1. bring the invariants up to date that cover it, and the page made from them:\n       \
             $EDITOR {}\n       weir rule quick\n  \
             2. or an exception, for a while:\n       \
             $EDITOR {exception}\n       \
             ---\n       id: {id}\n       expires: YYYY-MM-DD\n       follow_up_ticket: …\n       reason: …\n       mitigation: …\n       ---\n  \
             then `weir rule detect` says whether it will do\n",
            self.manifest
        )
    }
}
