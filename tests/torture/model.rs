//! Random graphs, random edits of sources, definitions and outputs, damage and kills, against a naive runner: after
//! every step weir has made what it would have made.

use super::chance::Chance;
use super::graph::{CONTENTS, File, Graph, IN_FOLDER, Kind, Made, SINGLE, VALUES, name, out};
use super::{amount, report, seed};
use crate::support::{Ran, Running, Workspace};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

/// Steps of one history.
const STEPS: usize = 25;
/// Histories made at once.
const AT_ONCE: usize = 2;

/// A workspace, and what it should be like.
struct History {
    ws: Workspace,
    graph: Graph,
    chance: Chance,
    /// What happened, for whoever has to understand a failure.
    told: Vec<String>,
    runs: usize,
    kills: usize,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let graph = Graph::new(&mut chance);
        let ws = Workspace::new(&graph.toml());
        fs::create_dir(ws.path("gen")).unwrap();
        for (path, file) in &graph.files {
            ws.write(path, &file.content);
        }
        Self { ws, graph, chance, told: vec![format!("seed {seed}")], runs: 0, kills: 0 }
    }

    fn tell(&mut self, what: impl Into<String>) {
        self.told.push(what.into());
    }

    /// A little changes, perhaps nothing; then a run.
    fn step(&mut self) {
        for _ in 0..self.chance.below(4) {
            match self.chance.below(20) {
                0..=6 => self.edit_source(),
                7..=9 => self.edit_definition(),
                10..=14 => self.edit_output(),
                15 => self.graph.variable = *self.chance.of(&VALUES),
                16 | 17 => self.damage(),
                18 => self.kill(),
                _ => self.rest(),
            }
        }
        self.run_and_look();
    }

    fn edit_source(&mut self) {
        let path = if self.chance.percent(50) { *self.chance.of(&SINGLE) } else { *self.chance.of(&IN_FOLDER) };
        let there = self.graph.files.get(path).cloned();
        let content = (*self.chance.of(&CONTENTS)).to_owned();
        let always = SINGLE.contains(&path) || IN_FOLDER[..2].contains(&path);
        let full = self.ws.path(path);
        match (self.chance.below(8), there) {
            (0, Some(_)) if !always => {
                self.tell(format!("{path} goes"));
                fs::remove_file(full).unwrap();
                self.graph.files.remove(path);
            }
            (1, Some(file)) => {
                self.tell(format!("{path} changes its mode"));
                let executable = !self.graph.behind(path).1;
                self.ws.chmod(path, if executable { 0o755 } else { 0o644 });
                let changed = file.link.unwrap_or(path);
                self.graph.files.get_mut(changed).unwrap().executable = executable;
            }
            (2, Some(file)) if file.link.is_none() => {
                self.tell(format!("{path} is touched"));
                self.ws.set_modified(path, std::time::SystemTime::now());
            }
            (3, Some(file)) if !always => {
                let to = *self.chance.of(&IN_FOLDER[2..]);
                self.tell(format!("{path} becomes {to}"));
                self.ws.rename(path, to);
                self.graph.files.remove(path);
                self.graph.files.insert(to, file);
            }
            (4, _) if path.starts_with("src/d/") => {
                let target = *self.chance.of(&SINGLE);
                self.tell(format!("{path} is a link to {target}"));
                self.ws.link(format!("../../{target}"), path);
                let file = File { content: String::new(), executable: false, link: Some(target) };
                self.graph.files.insert(path, file);
            }
            (5, Some(File { link: None, executable, .. })) => {
                self.tell(format!("{path} is {content:?}, with its old time"));
                let time = self.ws.modified(path);
                self.ws.write(path, &content);
                self.ws.set_modified(path, time);
                self.graph.files.insert(path, File { content, executable, link: None });
            }
            _ => {
                self.tell(format!("{path} is {content:?}, another file"));
                let fresh = self.ws.outside("fresh");
                fs::write(&fresh, &content).unwrap();
                fs::rename(fresh, full).unwrap();
                self.graph.files.insert(path, File { content, executable: false, link: None });
            }
        }
    }

    fn edit_definition(&mut self) {
        let ids: Vec<usize> = self.graph.tasks.keys().copied().collect();
        match self.chance.below(10) {
            0 | 1 if ids.len() < 10 => self.graph.add(&mut self.chance),
            2 if ids.len() > 2 => self.graph.remove(*self.chance.of(&ids)),
            3 => self.graph.reword(),
            _ => self.graph.redefine(*self.chance.of(&ids), &mut self.chance),
        }
        while self.graph.tasks.is_empty() {
            self.graph.add(&mut self.chance);
        }
        let text = self.graph.toml();
        self.ws.tasks(&text);
        self.tell(text);
    }

    /// Something in the outputs is altered by somebody else.
    fn edit_output(&mut self) {
        let watched = |(id, task): (&usize, &super::graph::Task)| task.kind.watches_outputs().then_some(*id);
        let ids: Vec<usize> = self.graph.tasks.iter().filter_map(watched).collect();
        if ids.is_empty() {
            return;
        }
        let id = *self.chance.of(&ids);
        let tree = self.graph.tasks[&id].kind == Kind::Tree;
        let path =
            if tree { format!("{}/{}", out(id), self.chance.of(&["deps", "a", "k", "k.x", "m"])) } else { out(id) };
        let full = self.ws.path(&path);
        // Of a state, only what its command sees: the content.
        let act =
            if self.graph.tasks[&id].kind == Kind::State { *self.chance.of(&[0, 1, 6]) } else { self.chance.below(7) };
        self.tell(format!("{path} is altered ({act})"));
        let plain = fs::symlink_metadata(&full).is_ok_and(|there| there.is_file());
        let folder = full.parent().is_some_and(std::path::Path::is_dir);
        match act {
            0 if plain => fs::remove_file(&full).unwrap(),
            1 if plain => self.ws.write(&path, "half\n"),
            2 if plain => self.ws.chmod(&path, if self.ws.mode(&path) & 0o100 == 0 { 0o755 } else { 0o644 }),
            3 if plain => {
                let stem = self.ws.path("src/a");
                fs::remove_file(&full).unwrap();
                std::os::unix::fs::symlink(stem, &full).unwrap();
            }
            4 if plain => {
                fs::remove_file(&full).unwrap();
                fs::create_dir(&full).unwrap();
                fs::write(full.join("inside"), "inside\n").unwrap();
            }
            5 if tree && folder => self.ws.write(&format!("{}/litter", out(id)), "litter\n"),
            6 => {
                let whole = self.ws.path(&out(id));
                let _ = if whole.is_dir() { fs::remove_dir_all(whole) } else { fs::remove_file(whole) };
            }
            _ => {}
        }
    }

    /// A file of weir's own is cut, flipped, foreign or gone; or a whole folder is.
    fn damage(&mut self) {
        let part = *self.chance.of(&["state", "results", "cas", "seals", "locks"]);
        let files = self.ws.files(&format!(".weir/{part}"));
        if files.is_empty() {
            return;
        }
        let file = self.chance.of(&files).clone();
        let mut data = fs::read(self.ws.path(&file)).unwrap();
        let at = self.chance.below(data.len() + 1);
        let act = self.chance.below(5);
        self.tell(format!("{file} is damaged ({act}) at {at} of {}", data.len()));
        match act {
            0 => data.truncate(at),
            1 if at < data.len() => data[at] ^= 1 << self.chance.below(8),
            2 => data.extend_from_slice(b"\0more\n"),
            3 => return fs::remove_dir_all(self.ws.path(".weir").join(part)).unwrap(),
            _ => return self.ws.remove(&file),
        }
        self.ws.chmod(&file, 0o644);
        self.ws.write(&file, data);
    }

    fn targets(&mut self) -> Vec<usize> {
        let ids: Vec<usize> = self.graph.tasks.keys().copied().collect();
        // Often the same question: seals answer only what was asked before.
        if self.chance.percent(40) {
            return ids;
        }
        let some = self.chance.some(&ids, 30);
        if some.is_empty() { vec![*self.chance.of(&ids)] } else { some }
    }

    fn start(&mut self, targets: &[usize], options: &[&str]) -> Running {
        let names: Vec<String> = targets.iter().map(|id| name(*id)).collect();
        let words: Vec<&str> = ["run"].iter().chain(options).copied().chain(names.iter().map(String::as_str)).collect();
        self.told.push(words.join(" "));
        self.runs += 1;
        let variable = self.graph.variable;
        let call = self.ws.weir(&words);
        if variable.is_empty() { call.spawn() } else { call.env("V", variable).spawn() }
    }

    fn kill(&mut self) {
        let targets = self.targets();
        let mut weir = self.start(&targets, &["-j2"]);
        let until = Instant::now() + Duration::from_micros(self.chance.below(60_000) as u64);
        while Instant::now() < until && !weir.has_ended() {
            std::thread::yield_now();
        }
        weir.kill();
        self.kills += 1;
        self.tell("… and it is killed");
    }

    /// Time stamps become old enough to be relied on.
    fn rest(&mut self) {
        let targets: Vec<usize> = self.graph.tasks.keys().copied().collect();
        for _ in 0..2 {
            self.start(&targets, &[]).end();
            let until = Instant::now() + Duration::from_millis(25);
            while let Some(left) = until.checked_duration_since(Instant::now()) {
                std::thread::park_timeout(left);
            }
        }
        self.start(&targets, &[]).end();
    }

    fn run_and_look(&mut self) {
        let targets = self.targets();
        let mut options = vec![];
        for (option, often) in [("-f", 10), ("--force-all", 5), ("-k", 30), ("-j1", 20)] {
            if self.chance.percent(often) {
                options.push(option);
            }
        }
        let ran = self.start(&targets, &options).end();
        let good = self.look(&targets, &ran);
        if good && self.chance.percent(40) {
            let again = self.start(&targets, &[]).end();
            self.look(&targets, &again);
            self.is_at_rest(&targets, &again);
        }
    }

    /// What was made is what the naive runner makes; whether all of it was to be made.
    fn look(&self, targets: &[usize], ran: &Ran) -> bool {
        let made = self.graph.make();
        let plan = self.graph.closure(targets);
        let fails = plan.iter().any(|id| made[id] == Made::Fails);
        assert_eq!(ran.code, i32::from(fails), "{}", self.shown(ran));
        let outcomes = ran.outcomes();
        for id in plan.iter().filter(|id| self.graph.tasks[id].kind.acts()) {
            let outcome = outcomes.get(&name(*id)).map_or("", String::as_str);
            let well = matches!(outcome, "fresh" | "hit" | "ran");
            match &made[id] {
                Made::Good(left) => {
                    assert!(well || fails && outcome == "skipped", "{} is {outcome}: {}", name(*id), self.shown(ran));
                    if well {
                        self.is_left(*id, left, ran);
                    }
                }
                other => assert!(!well, "{} is {outcome} and should be {other:?}: {}", name(*id), self.shown(ran)),
            }
        }
        !fails
    }

    fn is_left(&self, id: usize, left: &BTreeMap<String, (String, bool)>, ran: &Ran) {
        for (path, (content, executable)) in left {
            let there = fs::symlink_metadata(self.ws.path(path)).is_ok_and(|there| there.is_file());
            assert!(there, "{path} is not there: {}", self.shown(ran));
            assert_eq!(&self.ws.read(path), content, "{path} (left: what is there): {}", self.shown(ran));
            assert_eq!(self.ws.mode(path) & 0o100 != 0, *executable, "the mode of {path}: {}", self.shown(ran));
        }
        if self.graph.tasks[&id].kind == Kind::Tree {
            let wanted: Vec<String> = left.keys().cloned().collect();
            assert_eq!(self.ws.files(&out(id)), wanted, "{}", self.shown(ran));
        }
    }

    /// Nothing was changed since all went well: only what always runs has run.
    fn is_at_rest(&self, targets: &[usize], ran: &Ran) {
        let plan: BTreeSet<usize> = self.graph.closure(targets);
        let outcomes = ran.outcomes();
        for id in self.graph.at_rest(&plan) {
            let outcome = outcomes.get(&name(id)).map_or("", String::as_str);
            assert_eq!(outcome, "fresh", "{} has nothing to do: {}", name(id), self.shown(ran));
        }
    }

    fn shown(&self, ran: &Ran) -> String {
        format!("{}\n{}\nafter\n{}", ran.shown(), self.graph.toml(), self.told.join("\n"))
    }
}

/// One history after the other, each with a seed of its own that replays it alone.
#[test]
fn any_history_leaves_what_a_runner_that_always_runs_everything_would() {
    let first = seed("histories");
    let histories = amount(4, 88);
    let began = Instant::now();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || {
        let (mut runs, mut kills) = (0, 0);
        loop {
            let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if number >= histories {
                return (runs, kills);
            }
            let seed = first + number as u64;
            let lived = std::panic::catch_unwind(|| {
                let mut history = History::new(seed);
                (0..STEPS).for_each(|_| history.step());
                (history.runs, history.kills)
            });
            match lived {
                Ok((more, killed)) => (runs, kills) = (runs + more, kills + killed),
                Err(failed) => {
                    report(&format!("a history failed; replay it with WEIR_TORTURE_SEED={seed}"));
                    std::panic::resume_unwind(failed);
                }
            }
        }
    };
    let (runs, kills) = std::thread::scope(|scope| {
        let all: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        all.into_iter()
            .map(|one| one.join().expect("every history is right"))
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    });
    let steps = histories * STEPS;
    report(&format!(
        "{steps} steps in {histories} histories: {runs} runs and {kills} kills, {:.1?}, seeds from {first}",
        began.elapsed()
    ));
}
