//! All laws at once: after any sequence of edits, damages, runs and kills, a run that ends well
//! leaves what a run from scratch would leave, and the one after it has nothing to do.

use crate::support::{Workspace, wait_until};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Every kind of effects, in a diamond: `gen` and `list` declare what they leave, `unknown` does
/// not, `verdict` leaves nothing and fails where its input says so, `always` has no key.
const TASKS: &str = r#"
[tasks.gen]
run = 'echo x >> ../gen.ran; echo "${V-}" > gen.out; cat one >> gen.out'
sources = ["one"]
outputs = ["gen.out"]
env_inputs = ["V"]
[tasks.list]
run = 'echo x >> ../list.ran; rm -rf list.out; mkdir list.out; for f in $(ls many); do mkdir -p list.out/$f; cp many/$f list.out/$f/copy; done'
sources = ["many"]
outputs = ["list.out"]
[tasks.unknown]
run = 'echo x >> ../unknown.ran; cp two unknown.out'
sources = ["two"]
[tasks.verdict]
run = 'echo x >> ../verdict.ran; ! grep -q bad two'
sources = ["two"]
outputs = []
[tasks.always]
run = 'cp three always.out'
outputs = ["always.out"]
[tasks.both]
run = 'echo x >> ../both.ran; cat gen.out unknown.out > both.out'
sources = []
outputs = ["both.out"]
depends = ["gen", "unknown"]
[tasks.group]
depends = ["both", "list"]
[tasks.top]
run = 'echo x >> ../top.ran; cat both.out always.out > top.out; cat list.out/*/copy >> top.out'
sources = []
depends = ["group", "verdict", "always"]
"#;

const CACHEABLE: [&str; 6] = ["gen", "list", "unknown", "verdict", "both", "top"];

#[derive(Debug, Clone)]
enum Step {
    /// A source gets this content.
    Write(&'static str, &'static str),
    /// A file among many appears, or gets this content.
    Put(&'static str, &'static str),
    /// It goes, unless it is the last.
    Drop(&'static str),
    /// The variable.
    Set(&'static str),
    /// A declared output is removed.
    Lose(&'static str),
    /// A declared output is overwritten.
    Spoil(&'static str, &'static str),
    /// Something appears among the outputs.
    Litter(&'static str),
    /// A part of `.weir` goes.
    Forget(&'static str),
    /// A task is run, perhaps by force.
    Run(&'static str, bool),
    /// weir is killed while `top` is being made, when this is there.
    Kill(&'static str),
}

fn step() -> impl Strategy<Value = Step> {
    use Step::{Drop, Forget, Kill, Litter, Lose, Put, Run, Set, Spoil, Write};
    let content = || select(vec!["a\n", "b\n"]);
    let declared = || select(vec!["gen.out", "both.out", "always.out", "list.out/x/copy", "list.out/y/copy"]);
    prop_oneof![
        3 => (select(vec!["one", "two", "three"]), content()).prop_map(|(file, text)| Write(file, text)),
        1 => Just(Write("two", "bad\n")),
        2 => (select(vec!["x", "y", "z"]), content()).prop_map(|(file, text)| Put(file, text)),
        1 => select(vec!["x", "y", "z"]).prop_map(Drop),
        1 => select(vec!["", "v", "w"]).prop_map(Set),
        1 => declared().prop_map(Lose),
        1 => (declared(), content()).prop_map(|(file, text)| Spoil(file, text)),
        1 => select(vec!["list.out/litter", "list.out/x/litter"]).prop_map(Litter),
        1 => select(vec!["state", "results", "cas", "runs"]).prop_map(Forget),
        4 => (select(vec!["gen", "list", "unknown", "verdict", "both", "group", "top"]), prop::bool::weighted(0.2))
            .prop_map(|(task, force)| Run(task, force)),
        1 => select(vec![".weir/state", "../gen.ran", "../unknown.ran", "../list.ran", "../both.ran"]).prop_map(Kill),
    ]
}

/// What the sources are, and so what everything else has to be.
struct Model {
    files: BTreeMap<&'static str, &'static str>,
    many: BTreeMap<&'static str, &'static str>,
    variable: &'static str,
}

impl Model {
    fn is_bad(&self) -> bool {
        self.files["two"] == "bad\n"
    }

    fn check(&self, ws: &Workspace) {
        let file = |name: &str| self.files[name];
        let generated = format!("{}\n{}", self.variable, file("one"));
        let both = format!("{generated}{}", file("two"));
        let many: String = self.many.values().copied().collect();
        assert_eq!(ws.read("gen.out"), generated);
        assert_eq!(ws.read("unknown.out"), file("two"));
        assert_eq!(ws.read("both.out"), both);
        assert_eq!(ws.read("always.out"), file("three"));
        assert_eq!(ws.read("top.out"), format!("{both}{}{many}", file("three")));
        let listed: Vec<String> = self.many.keys().map(|name| format!("list.out/{name}/copy")).collect();
        assert_eq!(ws.files("list.out"), listed);
        assert_eq!(fs::read_dir(ws.path("list.out")).unwrap().count(), listed.len(), "an empty folder is left");
    }
}

fn run(ws: &Workspace, model: &Model, words: &[&str]) -> crate::support::Ran {
    let words: Vec<&str> = ["run"].iter().chain(words).copied().collect();
    let call = ws.weir(&words);
    if model.variable.is_empty() { call.go() } else { call.env("V", model.variable).go() }
}

fn spoil(ws: &Workspace, file: &str, text: &str) {
    if ws.path(file).parent().is_some_and(Path::is_dir) {
        ws.write(file, text);
    }
}

fn take(ws: &Workspace, model: &mut Model, step: &Step) {
    match *step {
        Step::Write(file, text) => {
            ws.write(file, text);
            model.files.insert(file, text);
        }
        Step::Put(file, text) => {
            ws.write(&format!("many/{file}"), text);
            model.many.insert(file, text);
        }
        Step::Drop(file) if model.many.len() > 1 && model.many.contains_key(file) => {
            ws.remove(&format!("many/{file}"));
            model.many.remove(file);
        }
        Step::Drop(_) => {}
        Step::Set(value) => model.variable = value,
        Step::Lose(file) => {
            let _ = fs::remove_file(ws.path(file));
        }
        Step::Spoil(file, text) => spoil(ws, file, text),
        Step::Litter(file) => spoil(ws, file, "litter"),
        Step::Forget(part) => {
            let _ = fs::remove_dir_all(ws.path(".weir").join(part));
        }
        Step::Run(task, force) => {
            let words = ["-f", task];
            let ran = run(ws, model, if force { &words } else { &words[1..] });
            let fails = model.is_bad() && matches!(task, "verdict" | "top");
            assert_eq!(ran.code, i32::from(fails), "{}", ran.shown());
        }
        Step::Kill(there) => {
            let before = fs::metadata(ws.path(there)).and_then(|there| there.modified()).ok();
            let call = ws.weir(&["run", "top"]);
            let mut weir = if model.variable.is_empty() { call.spawn() } else { call.env("V", model.variable).spawn() };
            wait_until("the instant of the kill", || {
                let now = fs::metadata(ws.path(there)).and_then(|there| there.modified()).ok();
                now != before || weir.has_ended()
            });
            weir.kill();
        }
    }
}

fn holds(steps: &[Step]) {
    let ws = Workspace::new(TASKS);
    let mut model = Model { files: BTreeMap::new(), many: BTreeMap::new(), variable: "" };
    for step in [Step::Write("one", "a\n"), Step::Write("two", "a\n"), Step::Write("three", "a\n"), Step::Put("x", "a\n")] {
        take(&ws, &mut model, &step);
    }
    for step in steps {
        take(&ws, &mut model, step);
    }
    let ran = run(&ws, &model, &["top"]);
    if model.is_bad() {
        assert_eq!(ran.code, 1, "{}", ran.shown());
        take(&ws, &mut model, &Step::Write("two", "a\n"));
    } else {
        assert_eq!(ran.code, 0, "{}", ran.shown());
        model.check(&ws);
    }
    run(&ws, &model, &["top"]).success();
    model.check(&ws);
    let counts = || CACHEABLE.map(|task| ws.count(task));
    let before = counts();
    let ran = run(&ws, &model, &["top"]).success();
    assert_eq!(counts(), before, "something ran again: {}", ran.shown());
    model.check(&ws);
}

#[test]
fn any_sequence_leaves_what_a_run_from_scratch_would() {
    let cases = std::env::var("WEIR_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(12);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    TestRunner::new(config)
        .run(&prop::collection::vec(step(), 1..14), |steps| {
            holds(&steps);
            Ok(())
        })
        .unwrap();
}
