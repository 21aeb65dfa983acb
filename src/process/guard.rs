//! The guard's own process: starts commands, reaps them, and ends whatever is left when weir is
//! gone. One thread, one loop over `poll`; it never waits for anything else.
//!
//! A process is signalled through its group only while the group's number can't have passed to
//! somebody else: before its leader is reaped, or while a descendant is seen in it.

#![allow(unsafe_code)]

use super::descent::{Process, descendants};
use super::signal::hear_as_guard;
use super::wire::{Inbox, Launch, Notice, Request, send, set_nonblocking};
use super::{ProcessError, Usage};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal as Raw, kill, killpg};
use nix::unistd::{Pid, getpid};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// From the first SIGKILL to giving up on what the kernel will not end (or what belongs to
/// another user).
const PATIENCE: Duration = Duration::from_secs(5);

/// How often the SIGKILL is repeated: what forks faster than it is found must lose in the end.
const REPEAT: Duration = Duration::from_millis(20);

/// The body of `weir __guard`; gives the exit code. To be called before anything else in `main`:
/// it closes every descriptor it was started with but the control socket, which is its input.
pub fn guard_main() -> i32 {
    match GuardProcess::set_up() {
        Ok(mut guard) => guard.serve(),
        Err(_) => 70,
    }
}

/// A command whose main process runs.
struct Running {
    id: u64,
    /// It leads a process group of its own.
    leads: bool,
}

/// What to do once everything has ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Then {
    /// Wait for what weir says.
    Stay,
    /// Tell weir, and exit.
    Report,
    /// Exit: nobody is there to be told.
    Exit,
}

/// Everything is being ended.
struct Ending {
    /// When SIGTERM has had its time.
    kill_at: Instant,
    then: Then,
    strays: Vec<Process>,
}

struct GuardProcess {
    socket: UnixStream,
    signals: &'static PipeReader,
    inbox: Inbox,
    outbox: Vec<u8>,
    /// By process.
    running: HashMap<i32, Running>,
    /// Processes of commands that run or have left something behind.
    pids: HashMap<u64, i32>,
    /// Groups that outlive their leader, and whose they are.
    left: BTreeMap<i32, u64>,
    /// No child is left, reaped or not.
    alone: bool,
    /// Nothing starts any more.
    refusing: bool,
    weir_gone: bool,
    ending: Option<Ending>,
    /// Open as long as this process is there: locks on what commands use.
    held: Vec<OwnedFd>,
}

impl GuardProcess {
    fn set_up() -> Result<Self, ProcessError> {
        let failed = |e: Errno| ProcessError::io("set up the guard", &e.into());
        super::take_short_turns();
        close_inherited();
        let signals = hear_as_guard()?;
        // SAFETY: descriptor 0 is the socket weir starts its guard with; nothing else of this
        // process has been set up that could own it.
        let socket = unsafe { OwnedFd::from_raw_fd(0) };
        let moved = socket.try_clone().map_err(|e| ProcessError::io("set up the guard", &e))?;
        // 0 must not become free: the next descriptor opened would be every command's input.
        let null = std::fs::File::open("/dev/null").map_err(|e| ProcessError::io("open /dev/null", &e))?;
        nix::unistd::dup2_stdin(&null).map_err(failed)?;
        std::mem::forget(socket);
        let socket = UnixStream::from(moved);
        set_nonblocking(&socket)?;
        #[cfg(target_os = "linux")]
        {
            nix::sys::prctl::set_child_subreaper(true).map_err(failed)?;
            let _ = nix::sys::prctl::set_name(c"weir-guard");
        }
        // A guard must not keep a directory busy.
        let _ = nix::unistd::chdir("/");
        Ok(Self {
            socket,
            signals,
            inbox: Inbox::default(),
            outbox: Notice::Ready.frame(),
            running: HashMap::new(),
            pids: HashMap::new(),
            left: BTreeMap::new(),
            alone: true,
            refusing: false,
            weir_gone: false,
            ending: None,
            held: Vec::new(),
        })
    }

    fn serve(&mut self) -> i32 {
        loop {
            self.flush();
            self.wait();
            if self.hear() {
                self.kill_all();
            }
            self.reap();
            if !self.weir_gone {
                self.receive();
            }
            if self.advance() {
                return 0;
            }
        }
    }

    /// Sleeps until there is something to do.
    fn wait(&self) {
        let timeout = match &self.ending {
            None => PollTimeout::NONE,
            Some(ending) if ending.kill_at <= Instant::now() => {
                PollTimeout::try_from(REPEAT).unwrap_or(PollTimeout::ZERO)
            }
            // Without a subreaper the end of a grandchild is announced by nothing.
            Some(_) => PollTimeout::from(50u8),
        };
        let mut wanted = PollFlags::POLLIN;
        if !self.outbox.is_empty() {
            wanted |= PollFlags::POLLOUT;
        }
        let mut fds = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN), PollFd::new(self.socket.as_fd(), wanted)];
        // A socket at its end would be ready for ever.
        let count = if self.weir_gone { 1 } else { 2 };
        // An interruption is a signal, and its byte is in the pipe.
        let _ = poll(&mut fds[..count], timeout);
    }

    /// Empties the pipe of signals; whether weir asked by one to kill everything.
    fn hear(&self) -> bool {
        let mut heard = [0; 256];
        let mut kill = false;
        while let Ok(count @ 1..) = { self.signals }.read(&mut heard) {
            kill |= heard[..count].contains(&(Raw::SIGUSR1 as u8));
        }
        kill
    }

    /// Takes leave of every child that has ended, and tells weir.
    fn reap(&mut self) {
        let mut ended = Vec::new();
        loop {
            let mut status = 0;
            // SAFETY: `rusage` is plain integers, for which all zeroes is a value.
            let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
            // SAFETY: both pointers are to live values of the right types.
            let pid = unsafe { libc::wait4(-1, &mut status, libc::WNOHANG, &mut usage) };
            match pid {
                1.. => {
                    self.alone = false;
                    if let Some(running) = self.running.remove(&pid) {
                        ended.push((pid, running, status, usage_of(&usage)));
                    }
                }
                0 => break self.alone = false,
                _ if Errno::last() == Errno::EINTR => {}
                _ => break self.alone = true,
            }
        }
        // Only now: a zombie that was not yet reaped would count as a member of its group.
        for (pid, running, status, usage) in ended {
            let left_behind = running.leads && group_lives(pid);
            if left_behind {
                self.left.insert(pid, running.id);
            } else {
                self.pids.remove(&running.id);
            }
            self.tell(&Notice::Exited { id: running.id, status, usage, left_behind });
        }
        let mut cleared = Vec::new();
        self.left.retain(|group, id| {
            let lives = group_lives(*group);
            if !lives {
                cleared.push(*id);
            }
            lives
        });
        for id in cleared {
            self.pids.remove(&id);
            self.tell(&Notice::Cleared { id });
        }
    }

    /// Reads and does what weir asks.
    fn receive(&mut self) {
        match self.inbox.receive(&self.socket) {
            Ok(0) => self.lose_weir(),
            Ok(_) => {}
            Err(e) if is_temporary(&e) => {}
            Err(_) => self.lose_weir(),
        }
        while let Some((body, fds)) = self.inbox.frame() {
            match Request::parse(&body) {
                Some(Request::Spawn(launch)) => self.launch(*launch, fds),
                Some(Request::Signal { id, number }) => self.signal(id, number),
                Some(Request::Finish) => self.end(GRACE, Then::Report),
                Some(Request::Hold) => self.held.extend(fds),
                None => self.lose_weir(),
            }
        }
    }

    fn lose_weir(&mut self) {
        self.weir_gone = true;
        self.outbox.clear();
        self.end(GRACE, Then::Exit);
    }

    fn launch(&mut self, launch: Launch, fds: Vec<OwnedFd>) {
        let id = launch.id;
        let started = match self.refusing {
            true => Err(libc::ECANCELED),
            false => start(&launch, fds),
        };
        match started {
            Ok(pid) => {
                self.alone = false;
                self.running.insert(pid, Running { id, leads: launch.group.is_none() });
                self.pids.insert(id, pid);
                self.tell(&Notice::Started { id, pid: pid as u32 });
            }
            Err(errno) => self.tell(&Notice::Refused { id, errno }),
        }
        self.flush();
    }

    /// Signals what is left of one command.
    fn signal(&self, id: u64, number: i32) {
        let (Some(pid), Ok(signal)) = (self.pids.get(&id).copied(), Raw::try_from(number)) else {
            return;
        };
        // What is stopped must wake up to hear it.
        let signals = [signal, Raw::SIGCONT];
        match self.running.get(&pid) {
            Some(running) if !running.leads => {
                // It shares its group with weir. Its descendants are looked for while it is
                // still their ancestor.
                let under = descendants(pid, &[]);
                for signal in signals {
                    signal_one(pid, signal);
                    under.iter().for_each(|child| signal_one(child.pid, signal));
                }
            }
            None if !self.seen_groups().contains(&pid) => {}
            _ => signals.into_iter().for_each(|signal| signal_group(pid, signal)),
        }
    }

    /// The groups of descendants, as far as the system lists them.
    fn seen_groups(&self) -> BTreeSet<i32> {
        if cfg!(target_os = "linux") {
            descendants(getpid().as_raw(), &[]).iter().map(|process| process.group).collect()
        } else {
            self.left.keys().copied().collect()
        }
    }

    /// Begins to end everything, or makes haste with it.
    fn end(&mut self, grace: Duration, then: Then) {
        self.refusing = true;
        let kill_at = Instant::now() + grace;
        if let Some(ending) = &mut self.ending {
            ending.kill_at = ending.kill_at.min(kill_at);
            ending.then = ending.then.max(then);
            return;
        }
        self.reap();
        let mut strays = Vec::new();
        if !self.alone {
            strays = descendants(getpid().as_raw(), &[]);
            strays.retain(|process| !process.zombie);
            if !grace.is_zero() {
                self.signal_everything(Raw::SIGTERM);
                // What is stopped must wake up to hear it.
                self.signal_everything(Raw::SIGCONT);
            }
        }
        self.ending = Some(Ending { kill_at, then, strays });
    }

    fn kill_all(&mut self) {
        self.end(Duration::ZERO, Then::Stay);
        self.signal_everything(Raw::SIGKILL);
    }

    /// Groups at one stroke, so that nothing forks between two signals; then the rest.
    fn signal_everything(&self, signal: Raw) {
        let processes = descendants(getpid().as_raw(), &[]);
        let seen = self.seen_groups();
        let leaders = self.running.iter().filter(|(_, running)| running.leads);
        let left = self.left.keys().filter(|group| seen.contains(group));
        let groups: BTreeSet<i32> = leaders.map(|(pid, _)| *pid).chain(left.copied()).collect();
        groups.iter().for_each(|group| signal_group(*group, signal));
        self.running.keys().filter(|pid| !groups.contains(pid)).for_each(|pid| {
            signal_one(*pid, signal);
        });
        for process in processes {
            if !groups.contains(&process.group) && !self.running.contains_key(&process.pid) {
                signal_one(process.pid, signal);
            }
        }
    }

    /// Goes on ending everything; true once the guard's work is done.
    fn advance(&mut self) -> bool {
        let Some(ending) = &self.ending else {
            return false;
        };
        let (kill_at, then) = (ending.kill_at, ending.then);
        let now = Instant::now();
        let mut survivors = 0;
        if !self.alone {
            if now < kill_at {
                return false;
            }
            if now < kill_at + PATIENCE || then == Then::Stay {
                self.signal_everything(Raw::SIGKILL);
                return false;
            }
            let left = descendants(getpid().as_raw(), &[]);
            survivors = left.iter().filter(|process| !process.zombie).count();
        }
        // Elsewhere than on Linux orphans are not children.
        self.left.keys().for_each(|group| {
            if cfg!(not(target_os = "linux")) {
                signal_group(*group, Raw::SIGKILL);
            }
        });
        let ending = self.ending.take();
        match then {
            Then::Stay => return false,
            Then::Exit => return true,
            Then::Report => {}
        }
        let strays = ending.map(|ending| ending.strays).unwrap_or_default();
        let strays = strays.into_iter().map(|stray| (stray.pid as u32, stray.name)).collect();
        self.tell(&Notice::Finished { strays, survivors: survivors as u32 });
        while !self.outbox.is_empty() {
            let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLOUT)];
            let _ = poll(&mut fds, PollTimeout::NONE);
            self.flush();
        }
        true
    }

    fn tell(&mut self, notice: &Notice) {
        if !self.weir_gone {
            self.outbox.extend(notice.frame());
        }
    }

    /// Sends what the socket takes. That weir is gone is noticed by reading.
    fn flush(&mut self) {
        while !self.outbox.is_empty() {
            match send(&self.socket, &self.outbox, &[]) {
                Ok(count) => drop(self.outbox.drain(..count)),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if is_temporary(&e) => return,
                Err(_) => self.outbox.clear(),
            }
        }
    }
}

/// Whether an error only means "not now".
fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Starts a command; the descriptors are closed here in any case, so that the guard never holds
/// a pipe open that somebody waits for the end of.
fn start(launch: &Launch, fds: Vec<OwnedFd>) -> Result<i32, i32> {
    let errno = |e: io::Error| e.raw_os_error().unwrap_or(libc::EINVAL);
    let mut command = Command::new(&launch.file);
    command.arg0(&launch.arg0).args(&launch.args);
    command.env_clear().envs(launch.env.iter().map(|(name, value)| (name, value)));
    command.current_dir(&launch.cwd).process_group(launch.group.unwrap_or(0));
    if let Some((user, group)) = launch.account {
        command.uid(user).gid(group);
    }
    let mut fds = fds.into_iter();
    match (fds.next(), fds.next(), fds.next()) {
        (Some(both), None, None) => {
            let copy = both.try_clone().map_err(errno)?;
            command.stdin(Stdio::null()).stdout(both).stderr(copy);
        }
        (Some(out), Some(err), None) => {
            command.stdin(Stdio::null()).stdout(out).stderr(err);
        }
        (Some(input), Some(out), Some(err)) => {
            command.stdin(input).stdout(out).stderr(err);
        }
        _ => return Err(libc::EBADF),
    }
    // Reaped by the guard's loop: a dropped `Child` is not waited for.
    command.spawn().map(|child| child.id() as i32).map_err(errno)
}

/// Closes what weir, or whoever started weir, let through, except the three standard descriptors.
/// Nothing of this process's own is open yet.
fn close_inherited() {
    let listed = std::fs::read_dir("/dev/fd").into_iter().flatten().flatten();
    let numbers: Vec<i32> = listed.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for fd in numbers {
        if fd > 2 {
            let _ = nix::unistd::close(fd);
        }
    }
}

fn usage_of(usage: &libc::rusage) -> Usage {
    let time = |t: libc::timeval| Duration::from_secs(t.tv_sec as u64) + Duration::from_micros(t.tv_usec as u64);
    // Linux counts in KiB, macOS in bytes.
    let unit = if cfg!(target_os = "linux") { 1024 } else { 1 };
    Usage { user: time(usage.ru_utime), system: time(usage.ru_stime), max_rss: usage.ru_maxrss as u64 * unit }
}

/// Whether anything is left in a group.
fn group_lives(group: i32) -> bool {
    killpg(Pid::from_raw(group), None) != Err(Errno::ESRCH)
}

fn signal_group(group: i32, signal: Raw) {
    let _ = killpg(Pid::from_raw(group), signal);
}

fn signal_one(pid: i32, signal: Raw) {
    let _ = kill(Pid::from_raw(pid), signal);
}
