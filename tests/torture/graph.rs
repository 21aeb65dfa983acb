//! Random graphs of tiny tasks, as tasks.toml and as what they must make: the naive runner that always runs
//! everything.

use super::chance::Chance;
use std::collections::{BTreeMap, BTreeSet};

/// Sources that are always there.
pub const SINGLE: [&str; 4] = ["src/a", "src/b", "src/c", "src/e"];
/// In the folder `src/d`; the first two are always there.
pub const IN_FOLDER: [&str; 6] = ["src/d/k", "src/d/k.x", "src/d/m", "src/d/n.x", "src/d/o", "src/d/p.x"];
/// What a source may hold. All are of one length; some begin alike, so that a task may not notice.
pub const CONTENTS: [&str; 6] = ["a1.\n", "a2.\n", "b1.\n", "b2.\n", "bad\n", "c3.\n"];
/// Values of the variable `V`.
pub const VALUES: [&str; 3] = ["", "v", "w"];

/// What a task declares and does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Everything it reads, in a declared output.
    Copy,
    /// The first byte of its first source: early cutoff.
    Cut,
    /// A folder of copies.
    Tree,
    /// `outputs = []`.
    Verdict,
    /// No declared outputs.
    Unknown,
    /// No declared sources: it always runs, and taints.
    Plain,
    /// `cache = false`, with outputs: it always runs, and does not taint.
    Rewritten,
    /// It reports the state it left.
    State,
    /// `reset = true`.
    Reset,
    /// Of other tasks.
    Group,
    /// Other tasks, one after the other.
    Sequence,
}

const KINDS: [Kind; 16] = [
    Kind::Copy,
    Kind::Copy,
    Kind::Copy,
    Kind::Cut,
    Kind::Cut,
    Kind::Tree,
    Kind::Tree,
    Kind::Verdict,
    Kind::Unknown,
    Kind::Unknown,
    Kind::Plain,
    Kind::Rewritten,
    Kind::State,
    Kind::Reset,
    Kind::Group,
    Kind::Sequence,
];

impl Kind {
    /// Whether it runs a command.
    pub const fn acts(self) -> bool {
        !matches!(self, Self::Group | Self::Sequence)
    }

    /// Whether an edit of what it left is noticed.
    pub const fn watches_outputs(self) -> bool {
        matches!(self, Self::Copy | Self::Cut | Self::Tree | Self::State | Self::Rewritten)
    }

    const fn is_cached(self) -> bool {
        !matches!(self, Self::Plain | Self::Rewritten | Self::Reset)
    }
}

/// A source as declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Single(&'static str),
    /// `src/d`
    Folder,
    /// `src/d/*.x`
    Glob,
}

const SOURCES: [Source; 6] = [
    Source::Single(SINGLE[0]),
    Source::Single(SINGLE[1]),
    Source::Single(SINGLE[2]),
    Source::Single(SINGLE[3]),
    Source::Folder,
    Source::Glob,
];

impl Source {
    const fn declared(self) -> &'static str {
        match self {
            Self::Single(path) => path,
            Self::Folder => "src/d",
            Self::Glob => "src/d/*.x",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Folder => "src/d/*",
            other => other.declared(),
        }
    }
}

/// A task. Its edges lead to tasks with lower numbers.
#[derive(Debug, Clone)]
pub struct Task {
    pub kind: Kind,
    version: usize,
    sources: Vec<Source>,
    variable: bool,
    /// It spoils its output and fails where a source of its own is `bad`.
    fragile: bool,
    data: Vec<usize>,
    order: Vec<usize>,
    waits: Vec<usize>,
    /// Outputs of dependencies are declared as sources too.
    reads: bool,
}

/// A source file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub content: String,
    pub executable: bool,
    /// It is a symlink to this single source.
    pub link: Option<&'static str>,
}

/// How a task must end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// Well, and this is what it leaves: path → content, executable.
    Good(BTreeMap<String, (String, bool)>),
    Fails,
    Blocked,
}

/// The whole.
#[derive(Debug, Clone)]
pub struct Graph {
    pub tasks: BTreeMap<usize, Task>,
    pub files: BTreeMap<&'static str, File>,
    pub variable: &'static str,
    next: usize,
    remark: usize,
}

/// The name of a task.
pub fn name(id: usize) -> String {
    format!("t{id}")
}

impl Graph {
    /// A random one.
    pub fn new(chance: &mut Chance) -> Self {
        let always = SINGLE.iter().chain(&IN_FOLDER[..3]);
        let file = |content: &&str| File { content: (*content).to_owned(), executable: false, link: None };
        let files = always.map(|path| (*path, file(chance.of(&CONTENTS[..4])))).collect();
        let mut graph = Self { tasks: BTreeMap::new(), files, variable: "", next: 0, remark: 0 };
        for _ in 0..2 + chance.below(6) {
            graph.add(chance);
        }
        while graph.tasks.is_empty() {
            graph.add(chance);
        }
        graph
    }

    /// A task more.
    pub fn add(&mut self, chance: &mut Chance) {
        let id = self.next;
        self.next += 1;
        let task = self.random_task(id, chance);
        self.tasks.insert(id, task);
        self.tidy();
    }

    fn random_task(&self, id: usize, chance: &mut Chance) -> Task {
        let kind = *chance.of(&KINDS);
        // Nothing may depend on a sequence: it carries no data, and what its steps leave may be older.
        let before: Vec<usize> = self
            .tasks
            .iter()
            .filter(|(at, task)| **at < id && task.kind != Kind::Sequence)
            .map(|(at, _)| *at)
            .collect();
        let often = if kind.acts() { 30 } else { 60 };
        let (mut data, mut order, mut waits) = (chance.some(&before, often), vec![], vec![]);
        if kind.acts() {
            order = chance.some(&before, 10);
            waits = chance.some(&before, 10);
            order.retain(|at| !data.contains(at));
            waits.retain(|at| !data.contains(at) && !order.contains(at));
        } else if data.is_empty() {
            data.extend(before.last());
        }
        let mut sources = chance.some(&SOURCES, 30);
        if sources.is_empty() && kind == Kind::Cut {
            sources.push(SOURCES[0]);
        }
        Task {
            kind,
            version: chance.below(3),
            sources,
            variable: chance.percent(20),
            fragile: chance.percent(40),
            data,
            order,
            waits,
            reads: chance.percent(30),
        }
    }

    /// Takes a task out.
    pub fn remove(&mut self, id: usize) {
        self.tasks.remove(&id);
        self.tidy();
    }

    /// Another definition under the same name, or a part of it changed.
    pub fn redefine(&mut self, id: usize, chance: &mut Chance) {
        let other = self.random_task(id, chance);
        let Some(task) = self.tasks.get_mut(&id) else { return };
        match chance.below(8) {
            0 | 1 => task.version = other.version,
            2 => task.sources = if task.kind == Kind::Cut { task.sources.clone() } else { other.sources },
            3 => task.variable = other.variable,
            4 => (task.fragile, task.reads) = (other.fragile, other.reads),
            5 | 6 if task.kind.acts() && other.kind.acts() => {
                (task.data, task.order, task.waits) = (other.data, other.order, other.waits);
            }
            _ => *task = other,
        }
        self.tidy();
    }

    /// What leads nowhere is gone, and with it groups of nothing.
    fn tidy(&mut self) {
        loop {
            let there: BTreeSet<usize> =
                self.tasks.iter().filter(|(_, task)| task.kind != Kind::Sequence).map(|(id, _)| *id).collect();
            for task in self.tasks.values_mut() {
                for edges in [&mut task.data, &mut task.order, &mut task.waits] {
                    edges.retain(|id| there.contains(id));
                }
            }
            let empty =
                self.tasks.iter().find(|(_, task)| !task.kind.acts() && task.data.is_empty()).map(|(id, _)| *id);
            match empty {
                Some(id) => drop(self.tasks.remove(&id)),
                None => return,
            }
        }
    }

    /// The same tasks in another text.
    pub fn reword(&mut self) {
        self.remark += 1;
    }

    /// As tasks.toml.
    pub fn toml(&self) -> String {
        let mut text = format!("# remark {}\n", self.remark);
        let mut tasks: Vec<(&usize, &Task)> = self.tasks.iter().collect();
        if self.remark % 2 == 1 {
            tasks.reverse();
        }
        for (id, task) in tasks {
            text += &format!("[tasks.{}]\n", name(*id));
            let names = |ids: &[usize]| ids.iter().map(|id| format!("'{}'", name(*id))).collect::<Vec<_>>();
            if task.kind == Kind::Sequence {
                text += &format!("sequence = [{}]\n", names(&task.data).join(", "));
                continue;
            }
            let ordered = task.order.iter().map(|id| format!("{{ task = '{}', order_only = true }}", name(*id)));
            let depends: Vec<String> = names(&task.data).into_iter().chain(ordered).collect();
            if !depends.is_empty() {
                text += &format!("depends = [{}]\n", depends.join(", "));
            }
            if task.kind.acts() {
                text +=
                    &format!("wait_for = [{}]\nrun = '{}'\n", names(&task.waits).join(", "), self.command(*id, task));
                text += &self.declared(*id, task);
            }
        }
        text
    }

    fn declared(&self, id: usize, task: &Task) -> String {
        let mut text = String::new();
        if !matches!(task.kind, Kind::Plain | Kind::Reset) {
            let mut sources: Vec<String> = task.sources.iter().map(|source| source.declared().to_owned()).collect();
            if task.reads {
                sources.extend(task.data.iter().filter(|dep| self.tasks[dep].kind == Kind::Copy).map(|dep| out(*dep)));
            }
            let quoted: Vec<String> = sources.iter().map(|source| format!("'{source}'")).collect();
            text += &format!("sources = [{}]\n", quoted.join(", "));
        }
        match task.kind {
            Kind::Copy | Kind::Cut | Kind::Tree => text += &format!("outputs = ['{}']\n", out(id)),
            Kind::Rewritten => text += &format!("cache = false\noutputs = ['{}']\n", out(id)),
            Kind::Verdict => text += "outputs = []\n",
            Kind::State => text += &format!("state = 'cat {}'\n", out(id)),
            Kind::Reset => text += "reset = true\n",
            Kind::Unknown | Kind::Plain | Kind::Group | Kind::Sequence => {}
        }
        if task.variable {
            text += "env_inputs = ['V']\n";
        }
        text
    }

    fn command(&self, id: usize, task: &Task) -> String {
        let out = out(id);
        let words: Vec<&str> = task.sources.iter().map(|source| source.words()).collect();
        let words = words.join(" ");
        let value = if task.variable { " ${V-}" } else { "" };
        let mut steps = vec![format!("rm -rf {out}")];
        if task.kind == Kind::Tree {
            steps.push(format!("mkdir {out}"));
        }
        let half = if task.kind == Kind::Tree { format!("{out}/half") } else { out.clone() };
        if task.fragile && !words.is_empty() {
            steps.push(format!("echo half > {half}; if grep -q bad {words}; then exit 1; fi; rm -f {half}"));
        }
        let consumed: String = self.consumed(&task.data).iter().map(|file| format!(" {file}")).collect();
        let last = if consumed.is_empty() { String::new() } else { format!("; cat{consumed}") };
        let first = format!("echo v{}{value}", task.version);
        steps.push(match task.kind {
            Kind::Verdict => first,
            Kind::Cut => format!("{{ {first}; head -c 1 {}; }} > {out}", task.sources[0].words().replace('*', "k")),
            Kind::Tree if words.is_empty() => format!("{{ {first}{last}; }} > {out}/deps"),
            Kind::Tree => format!("{{ {first}{last}; }} > {out}/deps; cp {words} {out}/"),
            _ if words.is_empty() => format!("{{ {first}{last}; }} > {out}"),
            _ => format!("{{ {first}; for f in {words}; do echo $f; cat $f; done{last}; }} > {out}"),
        });
        steps.join("; ")
    }

    /// The words that name what dependencies leave, also through groups.
    fn consumed(&self, data: &[usize]) -> Vec<String> {
        data.iter()
            .flat_map(|dep| match self.tasks[dep].kind {
                Kind::Group => self.consumed(&self.tasks[dep].data),
                Kind::Verdict | Kind::Sequence => vec![],
                Kind::Tree => vec![format!("{}/*", out(*dep))],
                _ => vec![out(*dep)],
            })
            .collect()
    }

    /// What a file holds and whether it can be executed, behind symlinks.
    pub fn behind(&self, path: &str) -> (&str, bool) {
        let file = &self.files[path];
        file.link.map_or((&file.content, file.executable), |target| self.behind(target))
    }

    fn matched(&self, source: Source) -> Vec<&'static str> {
        let all = self.files.keys().copied();
        match source {
            Source::Single(path) => vec![path],
            Source::Folder => all.filter(|path| path.starts_with("src/d/")).collect(),
            Source::Glob => all.filter(|path| path.starts_with("src/d/") && path.ends_with(".x")).collect(),
        }
    }

    /// Runs everything, naively.
    pub fn make(&self) -> BTreeMap<usize, Made> {
        let mut made = BTreeMap::new();
        for (id, task) in &self.tasks {
            let needed = task.data.iter().chain(&task.order);
            let blocked = needed.clone().any(|dep| !matches!(made[dep], Made::Good(_)));
            let files: Vec<&str> = task.sources.iter().flat_map(|source| self.matched(*source)).collect();
            let bad = task.kind.acts() && task.fragile && files.iter().any(|path| self.behind(path).0.contains("bad"));
            let result = match () {
                () if blocked => Made::Blocked,
                () if bad => Made::Fails,
                () => Made::Good(self.leave(*id, task, &files, &made)),
            };
            made.insert(*id, result);
        }
        made
    }

    fn leave(
        &self,
        id: usize,
        task: &Task,
        files: &[&str],
        made: &BTreeMap<usize, Made>,
    ) -> BTreeMap<String, (String, bool)> {
        let value =
            if task.variable && !self.variable.is_empty() { format!(" {}", self.variable) } else { String::new() };
        let first = format!("v{}{value}\n", task.version);
        let last = self.read(&task.data, made);
        let one = |content: String| BTreeMap::from([(out(id), (content, false))]);
        match task.kind {
            Kind::Group | Kind::Sequence | Kind::Verdict => BTreeMap::new(),
            Kind::Cut => {
                let from = task.sources[0].words().replace('*', "k");
                one(first + &self.behind(&from).0[..1])
            }
            Kind::Tree => {
                let copies = files.iter().map(|path| {
                    let (content, executable) = self.behind(path);
                    let base = path.rsplit('/').next().unwrap_or(path);
                    (format!("{}/{base}", out(id)), (content.to_owned(), executable))
                });
                copies.chain([(format!("{}/deps", out(id)), (first + &last, false))]).collect()
            }
            _ => {
                let read: String = files.iter().map(|path| format!("{path}\n{}", self.behind(path).0)).collect();
                one(first + &read + &last)
            }
        }
    }

    fn read(&self, data: &[usize], made: &BTreeMap<usize, Made>) -> String {
        data.iter()
            .map(|dep| match (&self.tasks[dep].kind, &made[dep]) {
                (Kind::Group, _) => self.read(&self.tasks[dep].data, made),
                (_, Made::Good(left)) => left.values().map(|(content, _)| content.as_str()).collect(),
                _ => String::new(),
            })
            .collect()
    }

    /// These tasks and everything that runs with them.
    pub fn closure(&self, targets: &[usize]) -> BTreeSet<usize> {
        let mut all = BTreeSet::new();
        let mut open = targets.to_vec();
        while let Some(id) = open.pop() {
            if all.insert(id) {
                open.extend(self.tasks[&id].data.iter().chain(&self.tasks[&id].order));
            }
        }
        all
    }

    /// Of `plan`, those that need not run again when nothing has changed; none where a reset is in it.
    pub fn at_rest(&self, plan: &BTreeSet<usize>) -> BTreeSet<usize> {
        if plan.iter().any(|id| self.tasks[id].kind == Kind::Reset) {
            return BTreeSet::new();
        }
        // In the order of ids, dependencies come first.
        let mut tainting: BTreeSet<usize> = BTreeSet::new();
        let mut resting = BTreeSet::new();
        for id in plan {
            let task = &self.tasks[id];
            let tainted = task.data.iter().any(|dep| tainting.contains(dep));
            if task.kind.acts() && task.kind.is_cached() && !tainted {
                resting.insert(*id);
            }
            let declares = task.kind.watches_outputs();
            if task.kind == Kind::Plain || tainted && !declares {
                tainting.insert(*id);
            }
        }
        resting
    }
}

/// What a task writes.
pub fn out(id: usize) -> String {
    format!("gen/{}", name(id))
}
