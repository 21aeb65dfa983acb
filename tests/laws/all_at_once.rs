//! All laws at once: after any sequence of edits, damages, runs and kills, a run that ends well
//! leaves what a run from scratch would leave, and the one after it has nothing to do.

use crate::support::{Ran, Running, Weir, Workspace, wait_until};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use std::cell::Cell;
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
    /// A task is run until a seal answers for it, or it fails.
    Rest(&'static str),
    /// weir is killed while `top` is being made, when this is there.
    Kill(&'static str),
}

fn step() -> impl Strategy<Value = Step> {
    use Step::{Drop, Forget, Kill, Litter, Lose, Put, Rest, Run, Set, Spoil, Write};
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
        3 => select(vec!["gen", "list", "unknown", "verdict", "both", "group"]).prop_map(Rest),
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

/// A checkout: its workspace, and what is known of it.
struct Checkout<'c> {
    ws: Workspace,
    model: Model,
    /// The folder that checkouts share.
    cache: Option<&'c Path>,
    calls: Cell<u32>,
}

impl<'c> Checkout<'c> {
    fn new(cache: Option<&'c Path>) -> Self {
        let model = Model { files: BTreeMap::new(), many: BTreeMap::new(), variable: "" };
        let mut checkout = Self { ws: Workspace::new(TASKS), model, cache, calls: Cell::new(0) };
        for step in
            [Step::Write("one", "a\n"), Step::Write("two", "a\n"), Step::Write("three", "a\n"), Step::Put("x", "a\n")]
        {
            checkout.take(&step);
        }
        checkout
    }

    fn call(&self, words: &[&str]) -> Weir<'_> {
        let words: Vec<&str> = ["run"].iter().chain(words).copied().collect();
        let mut call = self.ws.weir(&words);
        if !self.model.variable.is_empty() {
            call = call.env("V", self.model.variable);
        }
        if let Some(cache) = self.cache {
            call = call.env("WEIR_CACHE_DIR", cache);
        }
        call
    }

    fn weir(&self, words: &[&str]) -> Running {
        self.call(words).spawn()
    }

    /// Runs a task. Where a seal answers, the long way would have said the same; where a part of one was taken over, it finds nothing
    /// left to do.
    fn run(&self, task: &str) -> (Ran, bool) {
        // A call that confirms something makes the whole plan.
        self.calls.set(self.calls.get() + 1);
        let words: &[&str] = if self.calls.get().is_multiple_of(3) { &["--confirm", "nothing", task] } else { &[task] };
        let ran = self.call(words).env("WEIR_LOG", "weir::cli=debug").go();
        let answered = ran.err.contains("a seal is unbroken");
        if answered || (ran.code == 0 && ran.err.contains("a part of the verdict still stands")) {
            let counts = || CACHEABLE.map(|task| self.ws.count(task));
            let before = counts();
            // With this variable no seal is asked for.
            let long = self.call(&[task]).env("WEIR_WORKSPACE", "/nowhere").go();
            assert_eq!((long.code, counts()), (0, before), "a seal said otherwise: {}", long.shown());
            if answered {
                let both = [&ran, &long].map(Ran::record_in_plan_order);
                assert_eq!(both[0], both[1]);
            }
        }
        (ran, answered)
    }

    fn spoil(&self, file: &str, text: &str) {
        if self.ws.path(file).parent().is_some_and(Path::is_dir) {
            self.ws.write(file, text);
        }
    }

    fn take(&mut self, step: &Step) {
        let Self { ws, model, .. } = self;
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
            Step::Spoil(file, text) => self.spoil(file, text),
            Step::Litter(file) => self.spoil(file, "litter"),
            Step::Forget(part) => {
                let _ = fs::remove_dir_all(ws.path(".weir").join(part));
            }
            Step::Run(task, force) => {
                let ran = if force { self.weir(&["-f", task]).end() } else { self.run(task).0 };
                let fails = self.model.is_bad() && matches!(task, "verdict" | "top");
                assert_eq!(ran.code, i32::from(fails), "{}", ran.shown());
            }
            Step::Rest(task) => wait_until("a seal answers", || {
                let (ran, answered) = self.run(task);
                answered || ran.code != 0
            }),
            Step::Kill(there) => {
                let seen = || fs::metadata(self.ws.path(there)).and_then(|there| there.modified()).ok();
                let before = seen();
                let mut weir = self.weir(&["top"]);
                wait_until("the instant of the kill", || seen() != before || weir.has_ended());
                weir.kill();
            }
        }
    }

    /// A run that ends well leaves what it should, and the next one has nothing to do.
    fn is_right(&mut self) {
        let ran = self.weir(&["top"]).end();
        if self.model.is_bad() {
            assert_eq!(ran.code, 1, "{}", ran.shown());
            self.take(&Step::Write("two", "a\n"));
        } else {
            assert_eq!(ran.code, 0, "{}", ran.shown());
            self.model.check(&self.ws);
        }
        self.weir(&["top"]).end().success();
        self.model.check(&self.ws);
        let counts = || CACHEABLE.map(|task| self.ws.count(task));
        let before = counts();
        let ran = self.weir(&["top"]).end().success();
        assert_eq!(counts(), before, "something ran again: {}", ran.shown());
        self.model.check(&self.ws);
    }
}

fn for_any<T: std::fmt::Debug>(steps: impl Strategy<Value = T>, holds: impl Fn(T)) {
    let cases = std::env::var("WEIR_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(8);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let runner = TestRunner::new(config).run(&steps, |steps| {
        holds(steps);
        Ok(())
    });
    runner.unwrap();
}

#[test]
fn any_sequence_leaves_what_a_run_from_scratch_would() {
    for_any(prop::collection::vec(step(), 1..14), |steps| {
        let mut checkout = Checkout::new(None);
        steps.iter().for_each(|step| checkout.take(step));
        checkout.is_right();
    });
}

#[test]
fn any_sequence_in_two_checkouts_that_share_results_does_so_in_both() {
    for_any(prop::collection::vec((0..2usize, step()), 1..20), |steps| {
        let cache = tempfile::tempdir().unwrap();
        let mut checkouts = [(); 2].map(|()| Checkout::new(Some(cache.path())));
        steps.iter().for_each(|(at, step)| checkouts[*at].take(step));
        checkouts.iter_mut().for_each(Checkout::is_right);
    });
}
