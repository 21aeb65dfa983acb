//! The pages of `docs/systems`, tried as a reader would: their files written, their commands typed, in a repository of
//! their own, with a Postgres that weir starts where a page has a database.

mod page;
mod shown;

use crate::support::Workspace;
use crate::support::postgres::{Servers, programs};
use page::{Command, Step, steps};
use std::cell::RefCell;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command as Program, Stdio};
use std::time::Duration;

/// How long a command may take before a page is given up; none takes this long when all is well.
const DEADLINE: Duration = Duration::from_secs(120);

#[test]
fn gates_first() {
    follow("gates-first");
}

#[test]
fn durability_first() {
    follow("durability-first");
}

#[test]
fn baseline_and_migrations() {
    follow("baseline-and-migrations");
}

#[test]
fn two_layers_of_ci() {
    follow("two-layers-of-ci");
}

#[test]
fn release_protocol() {
    follow("release-protocol");
}

#[test]
fn no_page_is_left_out() {
    let mut pages: Vec<String> =
        fs::read_dir(folder()).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap()).collect();
    pages.sort();
    let tried = ["baseline-and-migrations", "durability-first", "gates-first", "release-protocol", "two-layers-of-ci"];
    assert_eq!(pages, tried.map(|name| format!("{name}.md")));
}

/// What answers to `docker` here: it runs the command of `docker run` on this machine, where the container would see the
/// repository. It stands in for Docker, which machines that run tests do not all have, not for weir.
const DOCKER: &str = r#"#!/bin/sh
case "$1" in
--version) echo "Docker version 0, a stand-in"; exit ;;
run) shift ;;
*) echo "only \`docker run\` is stood in for: docker $*" >&2; exit 125 ;;
esac
while [ $# -gt 0 ]; do
    case "$1" in
    --rm | --network=none) shift ;;
    --volume) cd "${2%%:*}" || exit 125; shift 2 ;;
    --workdir | --user) shift 2 ;;
    --env) export "$2"; shift 2 ;;
    -*) echo "no such flag here: $1" >&2; exit 125 ;;
    *) shift; exec "$@" ;;
    esac
done
"#;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/systems")
}

/// Does what a page says, from its first line to its last.
fn follow(name: &str) {
    try_out(name, &fs::read_to_string(folder().join(format!("{name}.md"))).unwrap());
}

fn try_out(name: &str, text: &str) {
    let desk = Desk::new();
    let mut typed = 0;
    for step in &steps(text) {
        match step {
            Step::File { path, content, more } => desk.write(path, content, *more),
            Step::Command(command) => {
                if typed == 0 {
                    desk.commit();
                }
                typed += 1;
                desk.call(name, command);
            }
        }
    }
    assert!(typed > 0, "docs/systems/{name}.md has no commands");
}

#[test]
fn a_page_that_says_something_else_is_found() {
    let page = |commands: &str| {
        let file = "```toml title=tasks.toml\nversion = 1\n[tasks.a]\nrun = 'echo said'\n```\n";
        try_out("a-page", &format!("# A page\n{file}```console\n{commands}\n```\n"));
    };
    page("$ weir run a\n── ran  a  1ms\nsaid\n1 ran in 9ms\n$ weir run b # exits with 2");
    page("$ export HELD=1\n$ test \"$HELD\" = 1");
    for bad in [
        "$ weir run b",
        "$ weir run a # exits with 1",
        "$ weir run a\n── ran  a  1ms\nheard\n1 ran in 9ms",
        "$ weir run a\n── ran  a  1ms\nsaid",
        "$ weir run a\n── fresh  a  1ms\n…",
    ] {
        assert!(std::panic::catch_unwind(|| page(bad)).is_err(), "{bad}");
    }
}

/// Where a page is tried: a repository in a temporary folder, `weir` on PATH, and an author for commits.
struct Desk {
    _servers: [Servers; 2],
    ws: Workspace,
    /// What was exported holds for the commands that follow.
    exported: RefCell<String>,
}

impl Desk {
    fn new() -> Self {
        let ws = Workspace::new("");
        let bin = ws.outside("bin");
        fs::create_dir(&bin).unwrap();
        symlink(env!("CARGO_BIN_EXE_weir"), bin.join("weir")).unwrap();
        fs::write(bin.join("docker"), DOCKER).unwrap();
        fs::set_permissions(bin.join("docker"), fs::Permissions::from_mode(0o755)).unwrap();
        let config = "[user]\nname = A Reader\nemail = reader@example.org\n[init]\ndefaultBranch = main\n";
        fs::write(ws.outside("home").join(".gitconfig"), config).unwrap();
        // A page may clone its repository, as CI would.
        Self { _servers: [Servers::of(&ws), Servers::below(&ws.outside("clone"))], ws, exported: RefCell::default() }
    }

    fn write(&self, path: &str, content: &str, more: bool) {
        let before = if more { self.ws.read(path) } else { String::new() };
        self.ws.write(path, before + content);
        if !more && content.starts_with("#!") {
            self.ws.chmod(path, 0o755);
        }
    }

    /// A reader has a repository already: the files above the first command are its first commit.
    fn commit(&self) {
        let done = self.shell("git init -q && git add -A && git commit -qm 'first commit'");
        assert_eq!(done.0, 0, "{}", done.1);
    }

    fn call(&self, page: &str, command: &Command) {
        if command.text.starts_with("export ") {
            self.exported.borrow_mut().push_str(&format!("{}\n", command.text));
        }
        let (code, printed) = self.shell(&command.text);
        let here = format!("docs/systems/{page}.md:{}: $ {}", command.line, command.text);
        assert_eq!(code, command.exit, "{here}\nended with {code}:\n{printed}");
        if let Err(error) = command.shown.judge(&printed) {
            panic!("{here}\n{error}; printed was:\n{printed}");
        }
    }

    /// Exit code, and what was printed on both outputs. Nothing that it started in the foreground outlives it.
    fn shell(&self, text: &str) -> (i32, String) {
        let printed = self.ws.outside("printed");
        let out = File::create(&printed).unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut child = Program::new("bash")
            .args(["-euo", "pipefail", "-c", &format!("{}{text}", self.exported.borrow())])
            .current_dir(self.ws.root())
            .env_clear()
            .env("PATH", format!("{}:{path}:{}", self.ws.outside("bin").display(), programs().display()))
            .env("HOME", self.ws.outside("home"))
            .process_group(0)
            .stdin(Stdio::null())
            .stderr(out.try_clone().unwrap())
            .stdout(out)
            .spawn()
            .unwrap();
        let mut code = None;
        let deadline = std::time::Instant::now() + DEADLINE;
        while code.is_none() && std::time::Instant::now() < deadline {
            std::thread::park_timeout(Duration::from_millis(5));
            code = child.try_wait().unwrap().map(|status| status.code().unwrap_or(-1));
        }
        let Some(code) = code else {
            let group = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
            nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL).unwrap();
            child.wait().unwrap();
            panic!("not within {DEADLINE:?}: $ {text}\n{}", fs::read_to_string(&printed).unwrap());
        };
        (code, String::from_utf8_lossy(&fs::read(&printed).unwrap()).into_owned())
    }
}
