//! A private server: started for the first time and for the second, beside `initdb` and `pg_ctl`; and found up.

use super::measure::{Row, table, turns};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

const WEIR: &str = env!("CARGO_BIN_EXE_weir");
const ROUNDS: usize = 7;
const TASKS: &str = "version = 1
[db.app]
provider = \"local\"
[tasks.up]
uses = \"db.up\"
[tasks.down]
uses = \"db.down\"
[tasks.nothing]
run = \"true\"
";

/// A workspace of weir with a server, which ends with it.
pub struct Server {
    workspace: TempDir,
    caches: PathBuf,
    /// `postgres://USER:PASSWORD@HOST:PORT`.
    pub url: String,
}

impl Server {
    /// One that is up.
    pub fn start() -> Self {
        let workspace = workspace();
        let caches = workspace.path().join("caches");
        let weir = |arguments: &[&str]| {
            let mut command = Command::new(WEIR);
            command.args(arguments).current_dir(workspace.path()).env("XDG_CACHE_HOME", &caches).stdin(Stdio::null());
            let output = command.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        weir(&["run", "up"]);
        let url = weir(&["db", "url", "--show-password"]).trim().to_owned();
        let url = url.rsplit_once('/').unwrap().0.to_owned();
        Self { workspace, caches, url }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        quiet(
            Command::new(WEIR)
                .args(["run", "down"])
                .current_dir(self.workspace.path())
                .env("XDG_CACHE_HOME", &self.caches),
        );
    }
}

fn workspace() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tasks.toml"), TASKS).unwrap();
    folder
}

fn quiet(command: &mut Command) {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

/// Where `initdb` and `pg_ctl` are: on PATH, or in the newest folder of the distribution.
fn programs() -> PathBuf {
    let on_path =
        std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    found.sort();
    let found = on_path.chain(found.into_iter().rev()).find(|folder| folder.join("initdb").is_file());
    found.expect("`initdb` is neither on PATH nor in the distribution's folder")
}

/// What a person types, as the account that Postgres accepts.
fn by_hand(folder: &Path, programs: &Path, options: &str) -> Vec<String> {
    let (bin, folder) = (programs.display(), folder.display());
    let script = format!(
        "{bin}/initdb -D {folder}/data -A trust -U postgres {options} && \
         {bin}/pg_ctl -w -D {folder}/data -l {folder}/log -o \"-c listen_addresses= -k {folder}\" start"
    );
    as_postgres(&script)
}

fn as_postgres(script: &str) -> Vec<String> {
    let words: &[&str] =
        if nix::unistd::geteuid().is_root() { &["runuser", "-u", "postgres", "--", "sh", "-c"] } else { &["sh", "-c"] };
    words.iter().map(|word| (*word).to_owned()).chain([script.to_owned()]).collect()
}

pub fn bench() {
    let first = workspace();
    let hand = TempDir::with_prefix_in("weir-bench-", "/var/tmp").unwrap();
    if nix::unistd::geteuid().is_root() {
        quiet(Command::new("chown").arg("postgres").arg(hand.path()));
    }
    let programs = programs();
    let by_hand = |name: &str, options: &str| {
        let folder = hand.path().join(name.replace([' ', '`', ',', '-', '+'], ""));
        let words = by_hand(&folder, &programs, options);
        let stop = as_postgres(&format!("{}/pg_ctl -w -m fast -D {}/data stop", programs.display(), folder.display()));
        let row = Row::new(name, Path::new("/var/tmp"), &words.iter().map(String::as_str).collect::<Vec<_>>());
        let (make, remove) = (folder.clone(), folder);
        row.between(
            move || {
                quiet(
                    Command::new(as_postgres("")[0].clone())
                        .args(&as_postgres(&format!("mkdir {}", make.display()))[1..]),
                )
            },
            move || {
                quiet(Command::new(&stop[0]).args(&stop[1..]));
                std::fs::remove_dir_all(&remove).unwrap();
            },
        )
    };
    let with_weir = |name: &str, forget: bool| {
        let (root, caches) = (first.path().to_path_buf(), first.path().join("caches"));
        let row = Row::new(name, &root, &[WEIR, "run", "up"]).env("XDG_CACHE_HOME", &caches.display().to_string());
        let down = {
            let (root, caches) = (root.clone(), caches.clone());
            move || {
                quiet(Command::new(WEIR).args(["run", "down"]).current_dir(&root).env("XDG_CACHE_HOME", &caches));
                std::fs::remove_dir_all(root.join(".weir")).unwrap();
            }
        };
        row.between(
            move || {
                if forget {
                    let _ = std::fs::remove_dir_all(&caches);
                }
            },
            down,
        )
    };
    let rows = [
        with_weir("weir, first on the machine", true),
        with_weir("weir, second workspace", false),
        by_hand("`initdb` and `pg_ctl` by hand", ""),
        by_hand("the same with `--no-sync`", "--no-sync"),
    ];
    let took = turns(&rows, ROUNDS, &|| {});
    table("a new server, up", &rows, &took);

    let server = Server::start();
    let root = server.workspace.path();
    let weir = |name: &str, task: &str| {
        Row::new(name, root, &[WEIR, "run", task]).env("XDG_CACHE_HOME", &server.caches.display().to_string())
    };
    let rows = [weir("`db.up` when it is up", "up"), weir("a task that runs `true`", "nothing")];
    let took = turns(&rows, 4 * ROUNDS, &|| {});
    table("one task", &rows, &took);
}
