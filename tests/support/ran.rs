//! A call of weir that has ended: exit code, output, and its record in `.weir/runs`.

use serde_json::Value;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;

/// A call of weir that has ended.
pub struct Ran {
    call: String,
    /// Its exit code; 128 and the signal's number where one ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    events: Option<Vec<Value>>,
}

impl Ran {
    pub(super) fn new(call: &str, status: ExitStatus, (out, err): (String, String), folder: Option<PathBuf>) -> Self {
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        let events = folder.map(|folder| {
            let text = std::fs::read_to_string(folder.join("events.jsonl")).unwrap_or_default();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        });
        Self { call: call.to_owned(), code, out, err, events }
    }

    /// Everything, for messages of failed assertions.
    pub fn shown(&self) -> String {
        format!("`{}` ended with {}\n--- out\n{}--- err\n{}---", self.call, self.code, self.out, self.err)
    }

    /// It must have exited with this code.
    pub fn exit(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.shown());
        self
    }

    /// It must have succeeded.
    pub fn success(self) -> Self {
        self.exit(0)
    }

    /// Its output must hold this.
    pub fn says(self, text: &str) -> Self {
        assert!(self.out.contains(text) || self.err.contains(text), "`{text}` is not said: {}", self.shown());
        self
    }

    /// Its output must not hold this.
    pub fn says_nothing_of(self, text: &str) -> Self {
        assert!(!self.out.contains(text) && !self.err.contains(text), "`{text}` is said: {}", self.shown());
        self
    }

    /// Its record, without what differs from run to run.
    pub fn record_without_times(&self) -> Vec<Value> {
        let mut events = self.events.clone().unwrap_or_else(|| panic!("no run was recorded: {}", self.shown()));
        for field in ["at", "elapsed_ms", "run", "wall_ms"] {
            events.iter_mut().filter_map(Value::as_object_mut).for_each(|event| drop(event.remove(field)));
        }
        events
    }

    /// The same in the order of the plan: which of two tasks that don't wait for one another ends first differs from run to run too.
    pub fn record_in_plan_order(&self) -> Vec<Value> {
        let mut events = self.record_without_times();
        events.iter_mut().filter_map(Value::as_object_mut).for_each(|event| drop(event.remove("seq")));
        let planned = events[0]["tasks"].as_array().expect("a run starts with its plan").clone();
        let place = |event: &Value| match &event["task"] {
            Value::Null => (event["event"] == "run_finished").then_some(planned.len()),
            task => planned.iter().position(|planned| &planned["task"] == task),
        };
        events[1..].sort_by_key(place);
        events
    }

    /// Whether it recorded a run.
    pub fn recorded(&self) -> bool {
        self.events.is_some()
    }

    fn events(&self, kind: &str) -> Vec<&Value> {
        let events = self.events.as_ref().unwrap_or_else(|| panic!("no run was recorded: {}", self.shown()));
        events.iter().filter(|event| event["event"] == kind).collect()
    }

    fn of_task(&self, kind: &str, task: &str) -> Vec<&Value> {
        self.events(kind).into_iter().filter(|event| event["task"] == task).collect()
    }

    fn finished(&self, task: &str) -> &Value {
        match self.of_task("task_finished", task)[..] {
            [finished] => finished,
            ref found => panic!("`{task}` finished {} times: {}", found.len(), self.shown()),
        }
    }

    /// How a task ended: `fresh`, `hit`, `ran`, `failed`, `skipped`.
    pub fn outcome(&self, task: &str) -> &str {
        self.finished(task)["outcome"].as_str().unwrap()
    }

    /// How every task ended that did.
    pub fn outcomes(&self) -> std::collections::BTreeMap<String, String> {
        let text = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
        self.events("task_finished").into_iter().map(|event| (text(event, "task"), text(event, "outcome"))).collect()
    }

    /// How tasks must have ended: `"build ran, test fresh"`. `skips` is `fresh` or `hit`.
    pub fn tasks(self, expected: &str) -> Self {
        for pair in expected.split(", ") {
            let (task, outcome) = pair.rsplit_once(' ').unwrap();
            let found = self.outcome(task);
            let good = found == outcome || outcome == "skips" && matches!(found, "fresh" | "hit");
            assert!(good, "`{task}` should be {outcome} and is {found}: {}", self.shown());
        }
        self
    }

    /// Why a failed task failed: `exit`, `timeout`, `missing_outputs`, …
    pub fn failure(&self, task: &str) -> &str {
        self.finished(task)["reason"]["kind"].as_str().unwrap()
    }

    /// The key of a task.
    pub fn key(&self, task: &str) -> String {
        self.finished(task)["key"].as_str().unwrap_or_else(|| panic!("`{task}` has no key")).to_owned()
    }

    /// Why a task ran: `never_ran`, `changed`, `tainted`, …
    pub fn reasons(&self, task: &str) -> Vec<String> {
        self.of_task("task_started", task)
            .into_iter()
            .flat_map(|event| event["reasons"].as_array().unwrap())
            .map(|reason| reason["why"].as_str().unwrap().to_owned())
            .collect()
    }

    /// What was told of a task: code and message.
    pub fn notices(&self, task: &str) -> Vec<(String, String)> {
        self.of_task("task_noticed", task).into_iter().map(notice).collect()
    }

    /// Everything that was told, of tasks and of the run.
    pub fn told(&self) -> Vec<(String, String)> {
        self.events("task_noticed").into_iter().chain(self.events("warned")).map(notice).collect()
    }

    /// Whom tasks waited for.
    pub fn waited(&self, task: &str) -> Vec<String> {
        self.of_task("task_waiting", task).into_iter().map(|event| event["on"].as_str().unwrap().to_owned()).collect()
    }
}

fn notice(event: &Value) -> (String, String) {
    let text = |name: &str| event[name].as_str().unwrap().to_owned();
    (text("code"), text("message"))
}
