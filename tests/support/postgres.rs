//! One private Postgres for the whole test process, and a database of its own for each test.
//!
//! It is started when the first test asks for it. A shell holds it, and reads from a pipe of the
//! test process: when that ends, however it ends, the shell stops the server and removes its folder.
//! One that ends in order waits for that, so that nothing of it is left behind for an instant.

use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

/// The password of the role `postgres`; it needs quoting in a URL, and masking everywhere.
pub const PASSWORD: &str = "pw of/tests%";

/// The server of this test process.
pub struct Server {
    /// On 127.0.0.1.
    pub port: u16,
    /// Of the programs: `psql` is there too.
    pub bin: PathBuf,
    holder: Mutex<Option<Child>>,
}

static SERVER: OnceLock<Server> = OnceLock::new();

/// The server; started by the first who asks.
pub fn server() -> &'static Server {
    SERVER.get_or_init(|| {
        // SAFETY: it is a function without arguments that does not unwind.
        #[allow(unsafe_code)]
        let registered = unsafe { nix::libc::atexit(end_in_order) };
        assert_eq!(registered, 0);
        Server::start()
    })
}

/// Has the shell end the server, and waits until both are gone. Nothing static is dropped at the end of a process.
extern "C" fn end_in_order() {
    let holder = SERVER.get().and_then(|server| server.holder.lock().ok()?.take());
    if let Some(mut holder) = holder {
        // Its input is closed first, which is what it waits for.
        let _ = holder.wait();
    }
}

/// The account that runs servers where the tests run as root: Postgres refuses to run as root.
pub fn account() -> Option<nix::unistd::User> {
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    let found = ["postgres", "nobody"].iter().find_map(|name| nix::unistd::User::from_name(name).ok().flatten());
    Some(found.expect("as root, Postgres needs an account `postgres` or `nobody` to run under"))
}

/// Where `initdb`, `postgres` and `psql` are: PATH, then the distributions' folders, newest first.
pub fn programs() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    for (above, below) in [("/usr/lib/postgresql", "bin"), ("/usr", "bin"), ("/opt/homebrew/opt", "bin")] {
        let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(above)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let version = name.trim_start_matches("pgsql-").trim_start_matches("postgresql@").parse().ok()?;
                Some((version, entry.path().join(below)))
            })
            .collect();
        versions.sort();
        folders.extend(versions.into_iter().rev().map(|(_, folder)| folder));
    }
    folders.push("/usr/local/pgsql/bin".into());
    let all_there = |folder: &PathBuf| ["initdb", "postgres", "psql"].iter().all(|name| folder.join(name).is_file());
    folders.into_iter().find(all_there).expect(
        "these tests need Postgres 15 or newer: `apt-get install postgresql`, `dnf install postgresql-server` or \
         `brew install postgresql`",
    )
}

fn as_account(program: PathBuf, account: Option<&nix::unistd::User>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").current_dir("/");
    if let Some(account) = account {
        command.uid(account.uid.as_raw()).gid(account.gid.as_raw());
    }
    command
}

impl Server {
    fn start() -> Self {
        let bin = programs();
        let account = account();
        let folder = tempfile::Builder::new().prefix("weir-pg-").tempdir().unwrap().keep();
        if let Some(account) = &account {
            chown(&folder, Some(account.uid.as_raw()), Some(account.gid.as_raw())).unwrap();
        }
        let data = folder.join("data");
        let secret = folder.join("secret");
        fs::write(&secret, PASSWORD).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
        let made = as_account(bin.join("initdb"), account.as_ref())
            .args(["--no-sync", "--auth=scram-sha-256", "--username=postgres", "--encoding=UTF8", "--locale=C"])
            .arg(option("--pwfile=", &secret))
            .arg("-D")
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        // Somebody may take the port between the look and the start: then another one.
        for _ in 0..10 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if let Some(holder) = hold(&bin, &folder, port, account.as_ref()) {
                return Self { port, bin, holder: Mutex::new(Some(holder)) };
            }
        }
        panic!("Postgres does not start: {}", fs::read_to_string(folder.join("log")).unwrap_or_default());
    }

    /// Runs SQL in a database as the owner; rows as `a|b`, a line each.
    pub fn sql(&self, database: &str, text: &str) -> String {
        self.try_sql(database, text).unwrap_or_else(|error| panic!("{text}\n{error}"))
    }

    /// The same; what the server says against it.
    pub fn try_sql(&self, database: &str, text: &str) -> Result<String, String> {
        let done = self
            .psql(database)
            .spawn()
            .and_then(|mut child| {
                use std::io::Write as _;
                child.stdin.take().unwrap().write_all(text.as_bytes())?;
                child.wait_with_output()
            })
            .unwrap();
        match done.status.success() {
            true => Ok(String::from_utf8_lossy(&done.stdout).trim_end().to_owned()),
            false => Err(String::from_utf8_lossy(&done.stderr).into_owned()),
        }
    }

    fn psql(&self, database: &str) -> Command {
        let mut command = Command::new(self.bin.join("psql"));
        command.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d"]).arg(quoted_for_psql(database)).args(["-f", "-"]);
        command.env_clear().envs([("PGHOST", "127.0.0.1"), ("PGUSER", "postgres"), ("PGPASSWORD", PASSWORD)]);
        command
            .env("PGPORT", self.port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// A client that is connected, in a transaction, and waits; it ends when it is dropped from outside.
    pub fn connected(&self, database: &str) -> Child {
        use std::io::{BufRead, BufReader, Write as _};
        let mut child = self.psql(database).spawn().unwrap();
        let mut said = String::new();
        child.stdin.as_mut().unwrap().write_all(b"begin; select 'in'; select pg_sleep(600);\n").unwrap();
        drop(child.stdin.take());
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "in\n");
        child
    }

    /// Where a database is.
    pub fn url(&self, database: &str) -> String {
        self.url_as("postgres", PASSWORD, database)
    }

    /// Where a database is, for another role.
    pub fn url_as(&self, role: &str, password: &str, database: &str) -> String {
        let (role, password, database) = (encoded(role), encoded(password), encoded(database));
        format!("postgres://{role}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// Whether there is a database of this name.
    pub fn has(&self, database: &str) -> bool {
        self.databases().iter().any(|name| name == database)
    }

    /// All databases.
    pub fn databases(&self) -> Vec<String> {
        let all = self.sql("postgres", "select datname from pg_database order by 1");
        all.lines().map(str::to_owned).collect()
    }
}

/// Starts the server under a shell that ends it; none if it does not come up.
fn hold(bin: &Path, folder: &Path, port: u16, account: Option<&nix::unistd::User>) -> Option<Child> {
    const SCRIPT: &str = r#"
        "$1/postgres" -D "$2/data" -p "$3" -k '' -c listen_addresses='127.0.0.1,::1' -c fsync=off -c max_connections=200 \
            </dev/null >>"$2/log" 2>&1 &
        server=$!
        until "$1/pg_isready" -q -h 127.0.0.1 -p "$3"; do
            kill -0 $server 2>/dev/null || exit 1
            sleep 0.02
        done
        echo ready
        read -r _
        kill -INT $server
        wait $server
        rm -rf "$2"
    "#;
    let mut holder = as_account("/bin/sh".into(), account)
        .args(["-c", SCRIPT, "sh"])
        .args([bin, folder])
        .arg(port.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut said = String::new();
    let out = holder.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut said).unwrap();
    (said == "ready\n").then_some(holder)
}

/// A name that is no connection string.
fn quoted_for_psql(database: &str) -> String {
    format!("dbname='{}'", database.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn option(name: &str, value: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push(value);
    option
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// An empty database for one test.
pub struct Database {
    /// Its name on the server.
    pub name: String,
}

impl Database {
    /// A new one.
    pub fn new() -> Self {
        static COUNTER: AtomicUsize = AtomicUsize::new(1);
        let name = format!("test_{}", COUNTER.fetch_add(1, Ordering::Relaxed));
        server().sql("postgres", &format!("create database \"{name}\""));
        Self { name }
    }

    /// Where it is, for `DATABASE_URL`.
    pub fn url(&self) -> String {
        server().url(&self.name)
    }

    /// Runs SQL in it; rows as `a|b`, a line each.
    pub fn sql(&self, text: &str) -> String {
        server().sql(&self.name, text)
    }
}

/// Ends the servers that weir started in a workspace, and removes what they have outside of it, when dropped.
pub struct Servers(PathBuf);

impl Servers {
    /// Those of this workspace.
    pub fn of(ws: &super::Workspace) -> Self {
        Self::below(&ws.root())
    }

    /// Those of a workspace in this folder.
    pub fn below(root: &Path) -> Self {
        Self(root.join(".weir/db"))
    }

    /// The folder of data and socket of one: `local`, `embedded`.
    pub fn base(&self, kind: &str) -> PathBuf {
        let noted = fs::read_to_string(self.0.join(kind).join("where"));
        noted.map_or_else(|_| self.0.join(kind), |noted| noted.trim().into())
    }

    /// The main process of one, as its file says.
    pub fn pid(&self, kind: &str) -> Option<u32> {
        let file = fs::read_to_string(self.base(kind).join("data/postmaster.pid")).ok()?;
        file.lines().next()?.parse().ok()
    }

    /// What weir remembers of one.
    pub fn remembered(&self, kind: &str) -> serde_json::Value {
        serde_json::from_slice(&fs::read(self.0.join(kind).join("server.json")).unwrap()).unwrap()
    }

    /// Sends a signal to one and waits for its end.
    pub fn end(&self, kind: &str, signal: nix::sys::signal::Signal) {
        let pid = self.pid(kind).unwrap();
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap()), signal);
        super::wait_until(&format!("the server {pid} ends"), || !super::alive(pid));
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for kind in ["local", "embedded"] {
            let pid = self.pid(kind).filter(|pid| super::alive(*pid));
            if let Some(pid) = pid.and_then(|pid| i32::try_from(pid).ok()) {
                let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGQUIT);
                let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
                while super::alive(pid as u32) && std::time::Instant::now() < deadline {
                    std::thread::park_timeout(std::time::Duration::from_millis(5));
                }
            }
            let base = self.base(kind);
            if !base.starts_with(&self.0) {
                let _ = fs::remove_dir_all(base);
            }
        }
    }
}
