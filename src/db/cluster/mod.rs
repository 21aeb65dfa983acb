//! A private cluster of a workspace: made, started, found again and stopped. Never a server that somebody
//! else started.
//!
//! Only its data folder says whose a server is: the process that `postmaster.pid` names must work in that very folder.

mod account;
mod home;
mod process;
mod template;

pub use account::{Account, private_folder};
pub use home::{Home, OWNER, Remembered, failed_at};
pub use template::cache;

use super::error::DbError;
use super::mark::{literal, random};
use super::server::{Address, Endpoint};
use super::session::Session;
use crate::journal::{Holder, Lock, LockKind};
use crate::node::{Context, Output};
use crate::process::{Command, Detached, Exit, capture};
use postgres_protocol::password::scram_sha_256;
use process::Postmaster;
use std::fs::{self, File, Permissions};
use std::io::{Read, Seek, SeekFrom};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;

/// How long a server may take from its start to its first answer; recovery after a crash is in it.
const READY: Duration = Duration::from_secs(60);
/// How long `initdb` may take.
const INITDB: Duration = Duration::from_secs(300);
/// How long a server may take to end before it is made to.
const SHUTDOWN: Duration = Duration::from_secs(20);
/// How often a server that is coming up or going down is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// A log longer than this begins anew with the next start.
const LONGEST_LOG: u64 = 4 << 20;
/// How many ports are tried, should somebody take each of them between the look and the start.
const PORTS: usize = 5;

/// A cluster may be made with these. UTF-8 by bytes sorts the same everywhere.
const LOCALES: [&str; 2] = ["C.UTF-8", "C"];

/// Programs of Postgres.
#[derive(Debug, Clone)]
pub struct Programs {
    /// Their folder.
    pub bin: PathBuf,
    /// Their major version.
    pub major: u32,
    /// What `postgres --version` says.
    pub told: String,
}

/// Keeps others from starting or stopping the server of this folder meanwhile.
///
/// # Errors
/// The lock can't be made.
pub async fn lock_at(folder: &Path, output: &mut dyn Output) -> Result<Lock, DbError> {
    fs::create_dir_all(folder).map_err(|error| failed_at(folder, &error))?;
    let path = folder.join("lock");
    let me = Holder { pid: std::process::id(), command: "weir".into() };
    let mut told = false;
    loop {
        match Lock::try_take(&path, LockKind::Exclusive, &me) {
            Ok(Ok(lock)) => return Ok(lock),
            Ok(Err(holder)) if !told && holder.pid != 0 && holder.pid != me.pid => {
                output.bytes(format!("waits for {holder}, which starts or stops the server\n").as_bytes());
                told = true;
            }
            Ok(Err(_)) => {}
            Err(error) => return Err(failed_at(&path, &error)),
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// The server as it is remembered, if it answers and is the one: a connection to its database `name`, or, where
/// that does not exist, to the owner's.
pub async fn reach(remembered: &Remembered, name: &str) -> Option<Session> {
    let session = match Session::attempt(&remembered.endpoint(name)).await {
        Ok(session) => session,
        Err(why) if why.state() == Some("3D000") => Session::attempt(&remembered.endpoint(OWNER)).await.ok()?,
        Err(_) => return None,
    };
    let row = session.row("", "select current_setting('cluster_name')").await.ok()?;
    (row.first()?.as_deref() == Some(&remembered.name)).then_some(session)
}

/// Starts the cluster, making it first where there is none: what is to be remembered of it, and its owner's connection
/// through its socket. Under the lock of its folder.
///
/// # Errors
/// It can't be made, or does not start; the end of its log is in the output.
pub async fn start(
    home: &Home,
    programs: &Programs,
    context: &Context,
    output: &mut dyn Output,
) -> Result<(Remembered, Session), DbError> {
    let account = Account::needed()?;
    let site = Site { home, programs, context, account: account.as_ref() };
    let known = home.remembered();
    let noted = home.folder().join("where").exists();
    let base = home.base(site.account)?;
    let data = base.join("data");
    if let Some(running) = Postmaster::of(&data) {
        // It does not answer, or nobody knows its password.
        running.stop(SHUTDOWN).await?;
    }
    if base != home.folder() && !noted {
        // Its workspace was removed, and with it all that was remembered of it.
        let _ = fs::remove_dir_all(&data);
    }
    if data.is_dir() {
        site.check_version(&data)?;
    } else {
        site.make(&base, output).await?;
    }
    let name = fs::read_to_string(data.join(NAME_FILE)).map_err(|error| failed_at(&data, &error))?;
    let password = match &known {
        Some(known) => known.password.clone(),
        None => random()?,
    };
    let socket = home.socket(&base, site.account)?;
    for left in fs::read_dir(&socket).into_iter().flatten().flatten() {
        // By a server that was killed: another one would take the number in there for a process of its own.
        let _ = fs::remove_file(left.path());
    }
    let wanted = known.map_or(0, |known| known.port);
    let session = site.run(&data, &socket, wanted, output).await?;
    let port = session.endpoint.port;
    let server = Remembered { port, password, bin: programs.bin.clone(), name, base };
    admit(&session, &server).await?;
    home.remember(&server).map_err(|error| failed_at(&home.folder(), &error))?;
    Ok((server, session))
}

/// Stops the cluster's server; false: it does not run. Under the lock of its folder.
///
/// # Errors
/// It does not end.
pub async fn stop(home: &Home) -> Result<bool, DbError> {
    let base = match home.remembered() {
        Some(remembered) => remembered.base,
        None => home.folder(),
    };
    match Postmaster::of(&base.join("data")) {
        Some(running) => running.stop(SHUTDOWN).await.map(|()| true),
        None => Ok(false),
    }
}

/// In the data folder: what the cluster calls itself.
const NAME_FILE: &str = "weir.name";

/// Gives the owner its password, through the socket: there the system says who asks.
async fn admit(session: &Session, server: &Remembered) -> Result<(), DbError> {
    // Statements end up in logs: the server is told a verifier.
    let verifier = scram_sha_256(server.password.as_bytes());
    let sql = format!("alter role {OWNER} password {}", literal(&verifier));
    session.execute("failed to set the password of the server's owner", &sql).await
}

fn by_socket(folder: &Path, port: u16) -> Endpoint {
    Endpoint {
        address: Address::Socket(folder.to_path_buf()),
        port,
        user: OWNER.into(),
        password: None,
        database: OWNER.into(),
        options: None,
    }
}

/// What starting works with.
struct Site<'a> {
    home: &'a Home,
    programs: &'a Programs,
    context: &'a Context,
    account: Option<&'a Account>,
}

impl Site<'_> {
    fn command(&self, program: &str) -> Command {
        // The account may not be able to enter where weir is.
        let mut command = Command::new(self.programs.bin.join(program), "/");
        let outer = |name: &str| Some((name.into(), self.context.outside.vars.get(name)?.clone()));
        command.env = ["PATH", "TMPDIR"].into_iter().filter_map(outer).collect();
        command.env.push(("LC_ALL".into(), "C".into()));
        command.account = self.account.map(Account::pair);
        command
    }

    /// The data must be of the version of the programs.
    fn check_version(&self, data: &Path) -> Result<(), DbError> {
        let made_by = fs::read_to_string(data.join("PG_VERSION")).unwrap_or_default();
        let (made_by, major) = (made_by.trim(), self.programs.major);
        if made_by == major.to_string() {
            return Ok(());
        }
        let folder = self.home.folder();
        Err(DbError::failed(format!(
            "`{}` was made by Postgres {made_by}, and this is Postgres {major}",
            data.display()
        ))
        .help(format!(
            "install Postgres {made_by}, or remove `{}` to begin anew: what is in its databases is lost",
            folder.display()
        )))
    }

    /// Makes a data folder, whole or not at all.
    async fn make(&self, base: &Path, output: &mut dyn Output) -> Result<(), DbError> {
        let failed = |error: &std::io::Error| failed_at(base, error);
        for entry in fs::read_dir(base).map_err(|error| failed(&error))?.flatten() {
            // Whoever made it was killed: the lock is ours.
            if entry.file_name().as_encoded_bytes().starts_with(b"making-") {
                fs::remove_dir_all(entry.path()).map_err(|error| failed(&error))?;
            }
        }
        let making = base.join(format!("making-{}", std::process::id()));
        private_folder(&making, self.account).map_err(|error| failed(&error))?;
        let made = self.fill(&making, output).await.and_then(|()| {
            self.configure(&making)
                .and_then(|()| fs::rename(&making, base.join("data")))
                .map_err(|error| failed(&error))
        });
        if made.is_err() {
            let _ = fs::remove_dir_all(&making);
        }
        made
    }

    async fn fill(&self, making: &Path, output: &mut dyn Output) -> Result<(), DbError> {
        let place = template::place(&self.context.outside, self.programs, &LOCALES);
        if let Some(place) = place.as_ref().filter(|place| place.is_file()) {
            match template::unpack(place, making, self.account) {
                Ok(()) => return Ok(()),
                ended => {
                    // Somebody cut it short, or the disk is full, which `initdb` then says.
                    tracing::debug!(?ended, "the kept cluster is no good");
                    let _ = fs::remove_file(place);
                    fs::remove_dir_all(making)
                        .and_then(|()| private_folder(making, self.account))
                        .map_err(|error| failed_at(making, &error))?;
                }
            }
        }
        self.initdb(making, output).await?;
        if let Some(Err(error)) = place.map(|place| template::keep(making, &place)) {
            tracing::debug!(%error, "the cluster is not kept for other workspaces");
        }
        Ok(())
    }

    async fn initdb(&self, making: &Path, output: &mut dyn Output) -> Result<(), DbError> {
        let mut said = String::new();
        for locale in LOCALES {
            let mut command = self.command("initdb");
            let options = ["--no-sync", "--encoding=UTF8", "--auth-local=peer", "--auth-host=reject"];
            command.args = options.iter().map(Into::into).collect();
            command.args.extend([format!("--locale={locale}").into(), format!("--username={OWNER}").into()]);
            command.args.extend(["-D".into(), making.into()]);
            let done = capture(&self.context.guard, command, INITDB, 1 << 16).await;
            let done = done.map_err(|error| DbError::failed(error.to_string()))?;
            if done.exit.success() {
                return Ok(());
            }
            said = String::from_utf8_lossy(&done.output).into_owned();
            if !said.contains("invalid locale") {
                break;
            }
        }
        output.bytes(said.as_bytes());
        let why =
            ["FATAL:", "initdb: error:"].iter().find_map(|sign| Some(said.split_once(sign)?.1.lines().next()?.trim()));
        let why = why.or(said.lines().last()).unwrap_or("it says nothing");
        Err(hint(DbError::failed(format!("failed to make a database cluster in `{}`: {why}", making.display())), &said))
    }

    fn configure(&self, data: &Path) -> std::io::Result<()> {
        // The account that asks is known by its name to the socket.
        let asking = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
        let asking = asking.map_or_else(|| "root".to_owned(), |user| user.name);
        let bytes = random().map_err(|_| std::io::Error::other("no random bytes"))?;
        let name = format!("weir-{}", &bytes[..16]);
        let settings = format!(
            "# Written by weir, for a private server that can be made again: speed before safety from a power failure.
listen_addresses = '127.0.0.1'
cluster_name = '{name}'
max_connections = 200
fsync = off
synchronous_commit = off
full_page_writes = off
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
log_line_prefix = '%m [%p] '
"
        );
        let access =
            "local all postgres peer map=weir\nlocal all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n";
        let files = [
            ("postgresql.conf", settings),
            ("pg_hba.conf", access.to_owned()),
            ("pg_ident.conf", format!("weir \"{asking}\" {OWNER}\n")),
            (NAME_FILE, name),
        ];
        for (file, text) in files {
            let path = data.join(file);
            fs::write(&path, text)?;
            fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            if let Some(account) = self.account {
                account.give(&path)?;
            }
        }
        Ok(())
    }

    /// Starts the server and waits until it answers: a connection to it.
    async fn run(&self, data: &Path, socket: &Path, wanted: u16, output: &mut dyn Output) -> Result<Session, DbError> {
        let mut wanted = wanted;
        let deadline = Instant::now() + READY;
        let mut taken = 0;
        while taken < PORTS {
            let port = free_port(wanted)?;
            let (mut log, from) = self.open_log()?;
            let mut command = self.command("postgres");
            command.args =
                ["-D".into(), data.into(), "-p".into(), port.to_string().into(), "-k".into(), socket.into()].into();
            let shared = log.try_clone().map_err(|error| failed_at(&self.home.log(), &error))?;
            let started = self.context.guard.detach(&command, shared);
            let mut started = Started(Some(started.map_err(|error| DbError::failed(error.to_string()))?));
            let exit = match self.answers(&mut started, socket, port).await? {
                Ok(session) => {
                    started.0 = None;
                    return Ok(session);
                }
                Err(exit) => exit,
            };
            let mut said = String::new();
            let _ = log.seek(SeekFrom::Start(from)).and_then(|_| log.read_to_string(&mut said));
            if said.contains("could not bind") || said.contains("could not create any TCP/IP sockets") {
                // Somebody took the port since we looked.
                wanted = 0;
                taken += 1;
                continue;
            }
            if said.contains("is still in use") && Instant::now() < deadline {
                // What a killed server was doing for others ends by itself.
                tokio::time::sleep(LOOK_AGAIN).await;
                continue;
            }
            output.bytes(tail(&said).as_bytes());
            return Err(self.did_not_start(&exit, &said));
        }
        Err(DbError::failed(format!("failed to find a port for the server: {PORTS} were taken by others")))
    }

    fn did_not_start(&self, exit: &Exit, said: &str) -> DbError {
        let why = said.lines().find_map(|line| line.split_once("FATAL:").map(|(_, why)| why.trim()));
        let why = why.map_or_else(|| format!("it ended ({exit:?})"), str::to_owned);
        let told = DbError::failed(format!("failed to start the database server: {why}"));
        let log = self.home.log();
        hint(told.help(format!("its log is `{}`", log.display())), said)
    }

    fn open_log(&self) -> Result<(File, u64), DbError> {
        let path = self.home.log();
        let opened = File::options().read(true).append(true).create(true).open(&path).and_then(|log| {
            if log.metadata()?.len() > LONGEST_LOG {
                log.set_len(0)?;
            }
            let length = log.metadata()?.len();
            Ok((log, length))
        });
        opened.map_err(|error| failed_at(&path, &error))
    }

    /// Waits until it answers, or has ended.
    async fn answers(&self, started: &mut Started, socket: &Path, port: u16) -> Result<Result<Session, Exit>, DbError> {
        let deadline = Instant::now() + READY;
        let endpoint = by_socket(socket, port);
        loop {
            // Looked at first: another server could answer on the port of one that has ended, but not on its socket.
            let ended = started.0.as_mut().map(Detached::ended).transpose();
            if let Some(exit) = ended.map_err(|error| DbError::failed(error.to_string()))?.flatten() {
                return Ok(Err(exit));
            }
            if let Ok(session) = Session::attempt(&endpoint).await {
                return Ok(Ok(session));
            }
            if Instant::now() > deadline {
                return Err(DbError::failed(format!(
                    "the database server does not answer within {} s",
                    READY.as_secs()
                ))
                .help(format!("its log is `{}`", self.home.log().display())));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// A server that nobody knows of yet: ended when dropped.
struct Started(Option<Detached>);

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(started) = &self.0 {
            process::signal(started.pid(), nix::sys::signal::Signal::SIGQUIT);
        }
    }
}

/// `wanted` if nobody has it, or one that nobody has.
fn free_port(wanted: u16) -> Result<u16, DbError> {
    let listen = |port: u16| TcpListener::bind(("127.0.0.1", port)).and_then(|listener| listener.local_addr());
    let free = listen(wanted).or_else(|_| listen(0));
    free.map(|address| address.port())
        .map_err(|error| DbError::failed(format!("failed to find a free port on 127.0.0.1: {error}")))
}

/// What can be done about what a program of Postgres said.
fn hint(error: DbError, said: &str) -> DbError {
    const HINTS: [(&str, &str); 4] = [
        ("No space left on device", "make room on the disk of the workspace; remove `.weir/db` if nothing else helps"),
        (
            "could not look up effective user ID",
            "Postgres runs only under an account that has a name: add one for this user id",
        ),
        ("could not map anonymous shared memory", "there is not enough memory for a server"),
        ("Permission denied", "the account that runs the server must be able to read its programs and its folder"),
    ];
    match HINTS.iter().find(|(sign, _)| said.contains(sign)) {
        Some((_, help)) => error.help(*help),
        None => error,
    }
}

/// The last lines.
fn tail(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    let mut text = lines[lines.len().saturating_sub(15)..].join("\n");
    text.push('\n');
    text
}
