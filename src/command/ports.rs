//! Ports for tasks: the one place that chooses them, and holds each for as long as its task runs.
//!
//! A port is held by a lock on a file named after it, in a folder that all users of the machine share: what a
//! killed weir held is free at once, and no two runs are given the same. Knows no task and no scheduler.

use crate::config::PortUse;
use crate::model::{FailReason, Notice, Observation};
use crate::node::{Context, Loan, NamedLock, Output, Pending, Resource};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, bind, socket};
use nix::unistd::{AccessFlags, Uid, access};
use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::ffi::OsString;
use std::fs::{File, OpenOptions, Permissions};
use std::hash::BuildHasher;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The folder of locks. Not TMPDIR, which is another one for each user, or even for each task.
const SHARED: &str = "/tmp/weir-ports";
/// What the kernel takes for outgoing connections where it does not say: Linux's own default and macOS's.
const EPHEMERAL: (u16, u16) = if cfg!(target_os = "linux") { (32768, 60999) } else { (49152, 65535) };
/// Below it live the well-known ones, and what people choose by hand.
const FIRST: u16 = 10_000;
/// Fewer than these to choose from are too few.
const ENOUGH: usize = 1_000;

/// The ports of a task, lent to it for each attempt.
pub struct Ports {
    ports: Vec<PortUse>,
    /// Variables given by the edge that brought the task here; they count like those from outside.
    given: BTreeMap<String, String>,
    out: Mutex<Lent>,
}

/// The locks of loans that are out.
#[derive(Default)]
struct Lent {
    count: u64,
    held: BTreeMap<u64, Vec<Held>>,
}

/// A port that nobody else is given.
#[derive(Debug)]
struct Held {
    _lock: Flock<File>,
}

/// A port, and what there is to say of it.
struct Chosen {
    port: u16,
    held: Option<Held>,
    notice: Option<Notice>,
}

impl Ports {
    /// Of a task; `given` are the variables of the edge that brought it here.
    pub fn new(ports: &[PortUse], given: &BTreeMap<String, String>) -> Self {
        Self { ports: ports.to_vec(), given: given.clone(), out: Mutex::default() }
    }

    fn choose(&self, context: &Context) -> Result<Vec<Chosen>, FailReason> {
        let folder =
            folder().map_err(|error| failed(format!("failed to make a folder for locks of ports: {error}")))?;
        let mut chosen = Vec::with_capacity(self.ports.len());
        for port in &self.ports {
            let name = &port.name.value;
            let told = self.given.get(name).cloned().or_else(|| context.outside.get(name));
            let iteration = context.iteration.as_ref();
            chosen.push(match (told.filter(|told| !told.is_empty()), port.preferred) {
                // All of them would be told the same.
                (Some(_), _) if iteration.is_some_and(|iteration| iteration.crowded) => {
                    let mut own = any(&folder, name)?;
                    own.notice = Some(Notice {
                        code: "port-not-shared".into(),
                        message: format!(
                            "`{name}` is set outside, but iterations run at the same time; each has its own"
                        ),
                        help: Some("run one at a time (`jobs = 1`) to have the port that is set".into()),
                    });
                    own
                }
                (Some(told), _) => as_told(&folder, name, &told)?,
                (None, Some(preferred)) => match take(&folder, preferred, Check::Listening) {
                    Ok(held) => Chosen { port: preferred, held: Some(held), notice: None },
                    Err(taken) => {
                        let mut other = any(&folder, name)?;
                        // Of many iterations only one can have it, and need not be told so.
                        let told = iteration.is_none().then(|| instead(name, preferred, other.port, &taken));
                        other.notice = told;
                        other
                    }
                },
                (None, None) => any(&folder, name)?,
            });
        }
        Ok(chosen)
    }
}

/// Why a port is not to be had.
enum Taken {
    /// Another task has it, of this run or another one.
    Lent,
    /// A process that knows nothing of weir.
    Used,
    /// Its lock can't be opened.
    Locked(io::Error),
}

impl Taken {
    fn describe(&self) -> String {
        match self {
            Self::Lent => "another task that weir runs has it".into(),
            Self::Used => "something uses it already".into(),
            Self::Locked(error) => format!("its lock can't be opened: {error}"),
        }
    }
}

/// How strictly a port must be free.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Check {
    /// Nobody listens; connections of the last one to listen may still be fading.
    Listening,
    /// Nothing is left of whoever had it last.
    Pristine,
}

/// The number from outside is used, whoever has it; but that is said.
fn as_told(folder: &Path, name: &str, told: &str) -> Result<Chosen, FailReason> {
    let Some(port) = told.trim().parse::<u16>().ok().filter(|port| *port > 0) else {
        return Err(FailReason::Inputs {
            message: format!("`{name}` is set to `{told}`, which is no port"),
            help: Some(format!("set it to a number from 1 to 65535, or unset `{name}` to be given a free port")),
        });
    };
    Ok(match take(folder, port, Check::Listening) {
        Ok(held) => Chosen { port, held: Some(held), notice: None },
        Err(taken) => Chosen {
            port,
            held: None,
            notice: Some(Notice {
                code: "port-taken".into(),
                message: format!("`{name}` is set to {port}, which is used as told, though {}", taken.describe()),
                help: Some(format!("unset `{name}` to be given a free port")),
            }),
        },
    })
}

fn instead(name: &str, preferred: u16, port: u16, taken: &Taken) -> Notice {
    Notice {
        code: "port-taken".into(),
        message: format!("`{name}` prefers {preferred}, but {}; it gets {port}", taken.describe()),
        help: Some(format!("to have {preferred}, end what uses it first")),
    }
}

/// Some port that is free.
fn any(folder: &Path, name: &str) -> Result<Chosen, FailReason> {
    let all = candidates(ephemeral());
    // Elsewhere each time: runs rarely try the same one, and what fades from the last is left to fade.
    let start = usize::try_from(RandomState::new().hash_one(name) % all.len() as u64).unwrap_or(0);
    for port in all[start..].iter().chain(&all[..start]) {
        if let Ok(held) = take(folder, *port, Check::Pristine) {
            return Ok(Chosen { port: *port, held: Some(held), notice: None });
        }
    }
    Err(failed(format!("failed to find a free port for `{name}`: all {} are taken", all.len())))
}

fn failed(message: String) -> FailReason {
    FailReason::Node { message, help: None }
}

/// Takes a port: first its lock, so that no other weir looks at it, and then a look.
fn take(folder: &Path, port: u16, check: Check) -> Result<Held, Taken> {
    let file = open(&folder.join(port.to_string())).map_err(Taken::Locked)?;
    let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        Errno::EWOULDBLOCK => Taken::Lent,
        errno => Taken::Locked(errno.into()),
    })?;
    if is_free(port, check) { Ok(Held { _lock: lock }) } else { Err(Taken::Used) }
}

/// Opens a lock file, which stays for ever. It may be another user's: reading is enough to lock it, and asking to
/// create what is there would be refused in a folder like /tmp.
fn open(path: &Path) -> io::Result<File> {
    let flags = O_NOFOLLOW | O_NONBLOCK;
    loop {
        match OpenOptions::new().read(true).custom_flags(flags).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        match OpenOptions::new().write(true).create_new(true).mode(0o666).custom_flags(flags).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(file) => {
                // Whatever the umask says, others must be able to open it.
                file.set_permissions(Permissions::from_mode(0o666))?;
                return Ok(file);
            }
        }
    }
}

/// The folder of all users of this machine; where somebody keeps others out of it, one of our own.
fn folder() -> io::Result<PathBuf> {
    let shared = PathBuf::from(SHARED);
    if make_folder(&shared, 0o1777).is_ok() {
        return Ok(shared);
    }
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    let own = match runtime {
        Some(runtime) => runtime.join("weir-ports"),
        None => std::env::temp_dir().join(format!("weir-ports-{}", Uid::effective())),
    };
    make_folder(&own, 0o700)?;
    Ok(own)
}

/// Makes sure that a folder is there, is no symlink, and can be written to.
fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    match std::fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = std::fs::symlink_metadata(path)?;
    if !found.is_dir() {
        return Err(io::Error::from(io::ErrorKind::NotADirectory));
    }
    if found.uid() == Uid::effective().as_raw() && found.mode() & 0o7777 != mode {
        std::fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    Ok(access(path, AccessFlags::W_OK | AccessFlags::X_OK)?)
}

/// Whether nothing listens on a port, neither on the loopback addresses nor on all of them.
fn is_free(port: u16, check: Check) -> bool {
    let addresses: [IpAddr; 4] = [
        Ipv4Addr::LOCALHOST.into(),
        Ipv6Addr::LOCALHOST.into(),
        Ipv4Addr::UNSPECIFIED.into(),
        Ipv6Addr::UNSPECIFIED.into(),
    ];
    addresses.into_iter().all(|address| match can_bind(SocketAddr::new(address, port), check) {
        Ok(()) => true,
        // This machine does not speak that version of the protocol.
        Err(error) => {
            let known = error.raw_os_error().map(Errno::from_raw);
            matches!(known, Some(Errno::EADDRNOTAVAIL | Errno::EAFNOSUPPORT))
        }
    })
}

fn can_bind(address: SocketAddr, check: Check) -> io::Result<()> {
    if check == Check::Listening {
        // As servers do: with SO_REUSEADDR.
        return TcpListener::bind(address).map(drop);
    }
    let open = |family| socket(family, SockType::Stream, SockFlag::empty(), None);
    match address {
        SocketAddr::V4(address) => bind(open(AddressFamily::Inet)?.as_raw_fd(), &SockaddrIn::from(address))?,
        SocketAddr::V6(address) => bind(open(AddressFamily::Inet6)?.as_raw_fd(), &SockaddrIn6::from(address))?,
    }
    Ok(())
}

/// What the kernel takes for outgoing connections.
fn ephemeral() -> (u16, u16) {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    range_in(&text).unwrap_or(EPHEMERAL)
}

/// Two numbers, the lowest and the highest.
fn range_in(text: &str) -> Option<(u16, u16)> {
    let mut words = text.split_whitespace().map(str::parse);
    match (words.next(), words.next(), words.next()) {
        (Some(Ok(low)), Some(Ok(high)), None) if low <= high => Some((low, high)),
        _ => None,
    }
}

/// The ports to choose from, never empty: outside the ephemeral range, as long as that leaves enough.
fn candidates((low, high): (u16, u16)) -> Vec<u16> {
    let from = |first: u16| -> Vec<u16> { (first..=u16::MAX).filter(|port| *port < low || *port > high).collect() };
    [from(FIRST), from(1024)]
        .into_iter()
        .find(|ports| ports.len() >= ENOUGH)
        .unwrap_or_else(|| (FIRST..=u16::MAX).collect())
}

impl Resource for Ports {
    fn name(&self) -> String {
        "ports".into()
    }

    fn declared(&self) -> String {
        let mut names: Vec<&str> = self.ports.iter().map(|port| port.name.value.as_str()).collect();
        names.sort_unstable();
        names.join(", ")
    }

    fn locks(&self) -> Vec<NamedLock> {
        vec![]
    }

    fn secrets(&self) -> Vec<String> {
        vec![]
    }

    fn observes(&self) -> bool {
        false
    }

    fn passes_on(&self) -> bool {
        true
    }

    fn observe<'a>(&'a self, _: &'a Context) -> Pending<'a, Result<Vec<Observation>, FailReason>> {
        Box::pin(async { Ok(vec![]) })
    }

    fn lend<'a>(&'a self, context: &'a Context, output: &'a mut dyn Output) -> Pending<'a, Result<Loan, FailReason>> {
        Box::pin(async move {
            let mut chosen = self.choose(context)?;
            chosen.iter_mut().filter_map(|chosen| chosen.notice.take()).for_each(|notice| output.notice(notice));
            let numbers = chosen.iter().map(|chosen| OsString::from(chosen.port.to_string()));
            let variables = self.ports.iter().map(|port| port.name.value.clone()).zip(numbers).collect();
            let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
            out.count += 1;
            let ticket = out.count;
            out.held.insert(ticket, chosen.into_iter().filter_map(|chosen| chosen.held).collect());
            Ok(Loan { variables, hidden: vec![], ticket: Some(ticket.to_string()) })
        })
    }

    fn take_back<'a>(&'a self, _: &'a Context, loan: Loan, _: &'a mut dyn Output) -> Pending<'a, ()> {
        Box::pin(async move {
            let ticket = loan.ticket.and_then(|ticket| ticket.parse::<u64>().ok());
            let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
            ticket.and_then(|ticket| out.held.remove(&ticket));
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_chosen_outside_the_ephemeral_range() {
        assert_eq!(range_in("32768\t60999\n"), Some((32768, 60999)));
        for text in ["", "1", "2 1", "a b", "1 2 3", "1 70000"] {
            assert_eq!(range_in(text), None, "{text}");
        }
        let usual = candidates((32768, 60999));
        assert!(usual.iter().all(|port| !(32768..=60999).contains(port)));
        assert_eq!((usual.first(), usual.last()), (Some(&FIRST), Some(&u16::MAX)));
        assert!(candidates((9000, 65535)).iter().all(|port| (1024..9000).contains(port)));
        // Where nothing is left outside, the locks must do.
        assert_eq!(candidates((1024, 65535)).len(), usize::from(u16::MAX - FIRST) + 1);
    }

    #[test]
    fn a_port_is_taken_once_and_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let first = any(folder.path(), "PORT").unwrap();
        assert!(matches!(take(folder.path(), first.port, Check::Listening), Err(Taken::Lent)));
        let port = first.port;
        drop(first);
        let listener =
            TcpListener::bind((Ipv6Addr::LOCALHOST, port)).or_else(|_| TcpListener::bind(("127.0.0.1", port)));
        assert!(matches!(take(folder.path(), port, Check::Listening), Err(Taken::Used)));
        drop(listener);
        assert!(take(folder.path(), port, Check::Listening).is_ok());
    }

    #[test]
    fn what_is_set_outside_is_used_as_told() {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let chosen = as_told(folder.path(), "PORT", &port.to_string()).unwrap();
        assert_eq!(chosen.port, port);
        assert!(chosen.notice.unwrap().message.contains("used as told, though something uses it already"));
        for told in ["0", "http", "70000", "-1"] {
            assert!(as_told(folder.path(), "PORT", told).is_err(), "{told}");
        }
    }

    #[test]
    fn a_folder_that_is_a_link_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        make_folder(&real, 0o1777).unwrap();
        assert_eq!(std::fs::metadata(&real).unwrap().mode() & 0o7777, 0o1777);
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert!(make_folder(&link, 0o1777).is_err());
    }
}
