//! The test report of a task: JUnit XML, counted. A report that is missing, old or empty is a failure: no test that
//! did not run is a test that passed.

use crate::config::{Expect, Pattern, TestReport};
use crate::fingerprint::{Memo, Stat, Surveyor};
use crate::model::{FailReason, WsPath};
use crate::node::Output;
use quick_xml::Reader;
use quick_xml::events::Event;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A task's report, as it looked before its command started.
pub struct Report {
    root: PathBuf,
    patterns: Vec<Pattern>,
    expect: Expect,
    before: BTreeMap<WsPath, Stat>,
}

/// What a report holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Test cases.
    pub tests: u32,
    /// Of these, with a failure or an error.
    pub failed: u32,
    /// Of these, skipped.
    pub skipped: u32,
}

impl Report {
    /// Looks at what is there before the command starts.
    pub fn before(report: &TestReport, root: &Path) -> Self {
        let patterns: Vec<Pattern> = report.files.iter().map(|pattern| pattern.value.clone()).collect();
        let before = files(root, &patterns).unwrap_or_default();
        Self { root: root.to_path_buf(), patterns, expect: report.expect, before }
    }

    /// Counts what the command wrote.
    ///
    /// # Errors
    /// There is no report, it can't be read, or it does not hold what it must.
    pub fn judge(&self, output: &mut dyn Output) -> Result<(), FailReason> {
        let names: Vec<String> = self.patterns.iter().map(|pattern| format!("`{}`", pattern.full())).collect();
        let names = names.join(", ");
        let after = files(&self.root, &self.patterns)
            .map_err(|why| bad(format!("failed to read the test report {names}: {why}"), "make it readable"))?;
        let written: Vec<&WsPath> =
            after.iter().filter(|(path, stat)| self.before.get(*path) != Some(stat)).map(|(path, _)| path).collect();
        if written.is_empty() {
            let (what, help) = if after.is_empty() {
                ("is missing", "have the test runner write it there, or correct `junit`")
            } else {
                ("was not written by this run", "what an earlier run wrote says nothing of this one")
            };
            return Err(bad(format!("the test report {names} {what}"), help));
        }
        let mut all = Counts::default();
        for path in written {
            let text = std::fs::read(path.under(&self.root))
                .map_err(|why| bad(format!("failed to read the test report `{path}`: {why}"), "make it readable"))?;
            let counts = count(&text).map_err(|why| {
                bad(format!("the test report `{path}` is no JUnit XML: {why}"), "was the test runner cut short?")
            })?;
            all = Counts {
                tests: all.tests.saturating_add(counts.tests),
                failed: all.failed.saturating_add(counts.failed),
                skipped: all.skipped.saturating_add(counts.skipped),
            };
        }
        let said = format!("report: {} tests, {} failed, {} skipped\n", all.tests, all.failed, all.skipped);
        output.bytes(said.as_bytes());
        self.hold(all)
    }

    fn hold(&self, counts: Counts) -> Result<(), FailReason> {
        let Expect { min_tests, max_skipped, max_failed } = self.expect;
        if counts.tests < min_tests {
            let message = match counts.tests {
                0 => "the test report holds no test".to_owned(),
                tests => format!("the test report holds {tests} tests, fewer than {min_tests}"),
            };
            return Err(bad(message, "were tests left out, or removed? then lower `min_tests` on purpose"));
        }
        if counts.failed > max_failed {
            return Err(bad(
                format!("the test report holds {} failed tests, more than {max_failed}", counts.failed),
                "see the report",
            ));
        }
        match max_skipped {
            Some(most) if counts.skipped > most => Err(bad(
                format!("the test report holds {} skipped tests, more than {most}", counts.skipped),
                "a skipped test is not a passed test: run it, or raise `max_skipped` on purpose",
            )),
            _ => Ok(()),
        }
    }
}

fn bad(message: String, help: &str) -> FailReason {
    FailReason::Node { message, help: Some(help.to_owned()) }
}

/// The regular files that are there, and how they look.
fn files(root: &Path, patterns: &[Pattern]) -> Result<BTreeMap<WsPath, Stat>, String> {
    let surveyor = Surveyor::new(root, Memo::default());
    let (found, _) = surveyor.outputs(patterns).map_err(|error| error.to_string())?;
    Ok(found.into_iter().filter(|found| !found.stat.is_folder()).map(|found| (found.path, found.stat)).collect())
}

/// Counts test cases; what suites say of themselves is not believed.
///
/// The format has no specification; elements are as Jenkins' JUnit plugin reads them: `testcase` with `failure`,
/// `error` or `skipped` in it.
///
/// # Errors
/// It is no XML, or ends in the middle.
pub fn count(xml: &[u8]) -> Result<Counts, String> {
    let mut reader = Reader::from_reader(xml);
    let mut counts = Counts::default();
    let mut buffer = Vec::new();
    let (mut depth, mut suites) = (0u32, false);
    // How the test case that is open ended: failed, skipped.
    let mut case: Option<(bool, bool)> = None;
    loop {
        buffer.clear();
        let event = reader.read_event_into(&mut buffer).map_err(|error| error.to_string())?;
        let (name, opens) = match &event {
            Event::Start(element) => (element.local_name(), true),
            Event::Empty(element) => (element.local_name(), false),
            Event::End(element) => {
                depth = depth.saturating_sub(1);
                if element.local_name().as_ref() == "testcase"
                    && let Some((failed, skipped)) = case.take()
                {
                    counts.failed += u32::from(failed);
                    counts.skipped += u32::from(skipped && !failed);
                }
                continue;
            }
            Event::Eof if depth > 0 => return Err("it ends in the middle".into()),
            Event::Eof if !suites => return Err("it has no `testsuite`".into()),
            Event::Eof => return Ok(counts),
            _ => continue,
        };
        depth += u32::from(opens);
        match name.as_ref() {
            "testsuites" | "testsuite" => suites = true,
            "testcase" => {
                counts.tests += 1;
                case = opens.then_some((false, false));
            }
            "failure" | "error" => {
                if let Some((failed, _)) = &mut case {
                    *failed = true;
                }
            }
            "skipped" => {
                if let Some((_, skipped)) = &mut case {
                    *skipped = true;
                }
            }
            _ => {}
        }
    }
}
