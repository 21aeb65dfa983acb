//! The graph as other runners are told of it, each with outputs of its own, and where those runners are.

use crate::graph::{Shape, before, last, source};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Another runner.
pub struct Peer {
    pub name: &'static str,
    /// Its program, absolute.
    pub program: String,
    /// The folder of its outputs.
    pub output: &'static str,
    arguments: &'static [&'static str],
}

/// What a runner is called, its program, the folder of its outputs, and how it is asked for all.
const KNOWN: [(&str, &str, &str, &[&str]); 9] = [
    ("ninja", "ninja", "out-ninja", &["all"]),
    // Without its built-in rules, which it would look through for each file.
    ("make", "make", "out-make", &["-rsj2", "all"]),
    ("go-task", "task", "out-go-task", &["--silent", "all"]),
    ("doit", "doit", "out-doit", &["-v0", "all"]),
    ("mise", "mise", "out-mise", &["run", "--quiet", "all"]),
    ("just", "just", "out-just", &["--quiet", "all"]),
    ("nx", "nx", "out-nx", &["run", "graph:all", "--outputStyle=static"]),
    ("wireit", "wireit", "out-wireit", &[]),
    (
        "turbo",
        "turbo",
        "out-turbo",
        // In a worktree of git its cache is that of the main one, and would outlive the folder that is measured in.
        &[
            "run",
            "all",
            "--no-daemon",
            "--output-logs=none",
            "--ui=stream",
            "--no-update-notifier",
            "--cache-dir=.turbo/cache",
        ],
    ),
];

/// The folders in which runners are looked for.
fn folders() -> Vec<PathBuf> {
    let given = ["WEIR_BENCH_NINJA", "WEIR_BENCH_PEERS"].map(|name| std::env::var_os(name).unwrap_or_default());
    let path = std::env::var_os("PATH").unwrap_or_default();
    given.iter().chain([&path]).flat_map(std::env::split_paths).filter(|folder| folder.is_absolute()).collect()
}

/// The runner of this name, if it is on this machine.
pub fn find(name: &str) -> Option<Peer> {
    let (name, program, output, arguments) = *KNOWN.iter().find(|(known, ..)| *known == name)?;
    let found = folders().into_iter().find(|folder| folder.join(program).is_file())?.join(program);
    Some(Peer { name, program: found.to_string_lossy().into_owned(), output, arguments })
}

impl Peer {
    /// The words of its command.
    pub fn command(&self) -> Vec<&str> {
        std::iter::once(self.program.as_str()).chain(self.arguments.iter().copied()).collect()
    }

    /// The variables that it is started with: no daemon, no server, no progress bar.
    pub fn environment(&self, at: &Path) -> Vec<(String, String)> {
        let manifest = at.join("package.json");
        let manifest = manifest.to_string_lossy();
        let all: &[(&str, &str)] = match self.name {
            "nx" => &[("NX_DAEMON", "false"), ("NX_NO_CLOUD", "true"), ("NX_TUI", "false")],
            "turbo" => &[("TURBO_TELEMETRY_DISABLED", "1")],
            // As `npm run all` does, without the time that npm takes to start.
            "wireit" => &[
                ("npm_lifecycle_event", "all"),
                ("npm_package_json", &manifest),
                ("npm_config_user_agent", "npm/11"),
                ("WIREIT_LOGGER", "quiet-ci"),
            ],
            _ => &[],
        };
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// Writes what it needs to know of the graph.
    pub fn describe(&self, shape: Shape, at: &Path) {
        let _ = fs::create_dir(at.join(self.output));
        match self.name {
            "make" => fs::write(at.join("Makefile"), makefile(shape)).unwrap(),
            "go-task" => fs::write(at.join("Taskfile.yml"), taskfile(shape)).unwrap(),
            "doit" => fs::write(
                at.join("dodo.py"),
                DODO.replace("TASKS", &shape.tasks.to_string()).replace("FILES", &shape.files.to_string()),
            )
            .unwrap(),
            "mise" => fs::write(at.join("mise.toml"), mise(shape)).unwrap(),
            "turbo" => turbo(shape, at),
            "just" => fs::write(at.join("justfile"), justfile(shape)).unwrap(),
            "nx" => self.nx(shape, at),
            "wireit" => fs::write(at.join("package.json"), wireit(shape)).unwrap(),
            _ => {}
        }
    }

    fn nx(&self, shape: Shape, at: &Path) {
        let quoted = |words: Vec<String>| words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        let names = |numbers: Vec<usize>| quoted(numbers.iter().map(|n| format!("t{n}")).collect());
        let mut targets =
            format!("\"all\": {{\"executor\": \"nx:noop\", \"dependsOn\": [{}]}}", names(last(shape.tasks).collect()));
        // Its commands find the folder of `node` before the others of PATH, which may be that of `cp`: so by its path.
        for number in 0..shape.tasks {
            let inputs = sources(shape, number).iter().map(|path| format!("{{workspaceRoot}}/{path}")).collect();
            let _ = write!(
                targets,
                ",\n\"t{number}\": {{\"executor\": \"nx:run-commands\", \"cache\": true, \"dependsOn\": [{}], \"inputs\": [{}], \
                 \"outputs\": [\"{{workspaceRoot}}/out-nx/t{number}\"], \"options\": {{\"command\": \"bin/cp {} out-nx/t{number}\"}}}}",
                names(before(number)),
                quoted(inputs),
                source(number, 0)
            );
        }
        fs::write(at.join("project.json"), format!("{{\"name\": \"graph\", \"targets\": {{{targets}}}}}")).unwrap();
        fs::write(at.join("nx.json"), "{}").unwrap();
        fs::write(at.join("package.json"), "{\"name\": \"graph\", \"private\": true}").unwrap();
        // It must find itself among the packages of what it runs in.
        let packages = Path::new(&self.program).ancestors().find(|folder| folder.ends_with("node_modules")).unwrap();
        std::os::unix::fs::symlink(packages, at.join("node_modules")).unwrap();
    }
}

fn sources(shape: Shape, number: usize) -> Vec<String> {
    (0..shape.files).map(|file| source(number, file)).collect()
}

fn makefile(shape: Shape) -> String {
    let mut text = String::from(".PHONY: all\n");
    let _ =
        writeln!(text, "all: {}", last(shape.tasks).map(|n| format!("out-make/t{n}")).collect::<Vec<_>>().join(" "));
    for number in 0..shape.tasks {
        let earlier: Vec<String> = before(number).iter().map(|n| format!("out-make/t{n}")).collect();
        let (sources, first) = (sources(shape, number).join(" "), source(number, 0));
        let _ = writeln!(text, "out-make/t{number}: {sources} {}\n\tcp {first} $@", earlier.join(" "));
    }
    text
}

fn taskfile(shape: Shape) -> String {
    let list = |numbers: Vec<usize>| numbers.iter().map(|n| format!("t{n}")).collect::<Vec<_>>().join(", ");
    let mut text = format!("version: '3'\ntasks:\n  all:\n    deps: [{}]\n", list(last(shape.tasks).collect()));
    for number in 0..shape.tasks {
        let _ = writeln!(
            text,
            "  t{number}:\n    run: once\n    deps: [{}]\n    sources: [{}]\n    generates: [out-go-task/t{number}]\n    \
             cmds: ['cp {} out-go-task/t{number}']",
            list(before(number)),
            sources(shape, number).join(", "),
            source(number, 0)
        );
    }
    text
}

const DODO: &str = "\
def before(n):
    b = n // 100 - 1
    return [] if b < 0 else [b * 100 + (n + s) % 100 for s in (0, 7, 31)]

def task_build():
    for n in range(TASKS):
        yield {'basename': f't{n}',
               'actions': [f'cp src/t{n}/f0.txt out-doit/t{n}'],
               'file_dep': [f'src/t{n}/f{f}.txt' for f in range(FILES)] + [f'out-doit/t{b}' for b in before(n)],
               'targets': [f'out-doit/t{n}']}

def task_all():
    return {'actions': [], 'task_dep': [f't{n}' for n in range(max(0, TASKS - 100), TASKS)]}
";

fn mise(shape: Shape) -> String {
    let list = |words: Vec<String>| words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    let tasks = |numbers: Vec<usize>| list(numbers.iter().map(|n| format!("t{n}")).collect());
    let mut text = format!("[tasks.all]\ndepends = [{}]\n", tasks(last(shape.tasks).collect()));
    for number in 0..shape.tasks {
        let _ = writeln!(
            text,
            "[tasks.t{number}]\nrun = \"cp {} out-mise/t{number}\"\ndepends = [{}]\nsources = [{}]\n\
             outputs = [\"out-mise/t{number}\"]",
            source(number, 0),
            tasks(before(number)),
            list(sources(shape, number))
        );
    }
    text
}

/// It skips nothing: a no-op is a run.
fn justfile(shape: Shape) -> String {
    let list = |numbers: Vec<usize>| numbers.iter().map(|n| format!("t{n}")).collect::<Vec<_>>().join(" ");
    let mut text = format!("all: {}\n", list(last(shape.tasks).collect()));
    for number in 0..shape.tasks {
        let _ = writeln!(text, "t{number}: {}\n    @cp {} out-just/t{number}", list(before(number)), source(number, 0));
    }
    text
}

fn wireit(shape: Shape) -> String {
    let quoted = |words: Vec<String>| words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    let names = |numbers: Vec<usize>| quoted(numbers.iter().map(|n| format!("t{n}")).collect());
    let mut scripts = String::from("\"all\": \"wireit\"");
    let mut tasks = format!("\"all\": {{\"dependencies\": [{}]}}", names(last(shape.tasks).collect()));
    for number in 0..shape.tasks {
        let _ = write!(scripts, ",\n\"t{number}\": \"wireit\"");
        let _ = write!(
            tasks,
            ",\n\"t{number}\": {{\"command\": \"cp {} out-wireit/t{number}\", \"dependencies\": [{}], \"files\": [{}], \
             \"output\": [\"out-wireit/t{number}\"]}}",
            source(number, 0),
            names(before(number)),
            quoted(sources(shape, number))
        );
    }
    format!("{{\"name\": \"graph\", \"private\": true, \"scripts\": {{{scripts}}}, \"wireit\": {{{tasks}}}}}")
}

/// One package with all tasks. `npm` is a script that runs one of the package's, without the half second
/// that the real one takes to start: what is measured is turbo.
fn turbo(shape: Shape, at: &Path) {
    let mut scripts = String::from("\"all\": \"true\"");
    let mut tasks = format!(
        "\"all\": {{\"cache\": false, \"dependsOn\": [{}]}}",
        last(shape.tasks).map(|n| format!("\"t{n}\"")).collect::<Vec<_>>().join(", ")
    );
    for number in 0..shape.tasks {
        let _ = write!(scripts, ",\n\"t{number}\": \"cp {} out-turbo/t{number}\"", source(number, 0));
        let earlier: Vec<String> = before(number).iter().map(|n| format!("\"t{n}\"")).collect();
        let inputs: Vec<String> = sources(shape, number).iter().map(|path| format!("\"{path}\"")).collect();
        let _ = write!(
            tasks,
            ",\n\"t{number}\": {{\"dependsOn\": [{}], \"inputs\": [{}], \"outputs\": [\"out-turbo/t{number}\"]}}",
            earlier.join(", "),
            inputs.join(", ")
        );
    }
    let package = format!(
        "{{\"name\": \"graph\", \"private\": true, \"packageManager\": \"npm@11.0.0\", \"scripts\": {{{scripts}}}}}"
    );
    fs::write(at.join("package.json"), package).unwrap();
    fs::write(at.join("package-lock.json"), "{\"name\": \"graph\", \"lockfileVersion\": 3, \"packages\": {\"\": {}}}")
        .unwrap();
    fs::write(at.join("turbo.json"), format!("{{\"tasks\": {{{tasks}}}}}")).unwrap();
    fs::write(at.join(".gitignore"), "out*\n.turbo\n.weir\n").unwrap();
    let npm = at.join("bin/npm");
    fs::create_dir_all(at.join("bin")).unwrap();
    // `npm run NAME`: the line of package.json, between its third and its fourth quote.
    fs::write(&npm, "#!/bin/sh\nshift\nexec sh -c \"$(grep \"^\\\"$1\\\":\" package.json | cut -d'\"' -f4)\"\n")
        .unwrap();
    fs::set_permissions(&npm, fs::Permissions::from_mode(0o755)).unwrap();
}
