//! Every call by which weir changes a file of its workspace, one by one, and a say in how it ends: the kernel asks
//! this process first (`seccomp`'s user notification). So faults reach the very binary that users have, at every
//! call it makes, with nothing in it that would know of faults.

#![allow(unsafe_code)]

use nix::libc::{self, c_long};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It needs space: bytes written, a file or folder made.
    Grows,
    /// Anything else: renamed, removed, cut, another mode.
    Changes,
}

/// How a call is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// As it would.
    GoOn,
    /// With this error, and nothing done.
    Fail(i32),
    /// With half of it written; a call that writes nothing fails with the error.
    Half(i32),
    /// Never: its process is killed first.
    Kill,
}

/// Where a call's target is told.
#[derive(Debug, Clone, Copy)]
enum Target {
    Descriptor(usize),
    Path(usize),
}

type Watched = (c_long, Act, Target);

const WATCHED: &[Watched] = &[
    (libc::SYS_write, Act::Grows, Target::Descriptor(0)),
    (libc::SYS_pwrite64, Act::Grows, Target::Descriptor(0)),
    (libc::SYS_writev, Act::Grows, Target::Descriptor(0)),
    (libc::SYS_sendfile, Act::Grows, Target::Descriptor(0)),
    (libc::SYS_copy_file_range, Act::Grows, Target::Descriptor(2)),
    (libc::SYS_ftruncate, Act::Changes, Target::Descriptor(0)),
    (libc::SYS_fchmod, Act::Changes, Target::Descriptor(0)),
    (libc::SYS_openat, Act::Grows, Target::Path(1)),
    (libc::SYS_mkdirat, Act::Grows, Target::Path(1)),
    (libc::SYS_linkat, Act::Grows, Target::Path(3)),
    (libc::SYS_symlinkat, Act::Grows, Target::Path(2)),
    (libc::SYS_renameat, Act::Changes, Target::Path(3)),
    (libc::SYS_renameat2, Act::Changes, Target::Path(3)),
    (libc::SYS_unlinkat, Act::Changes, Target::Path(1)),
    (libc::SYS_fchmodat, Act::Changes, Target::Path(1)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, Act::Grows, Target::Path(0)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_link, Act::Grows, Target::Path(1)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_symlink, Act::Grows, Target::Path(1)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rename, Act::Changes, Target::Path(1)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_unlink, Act::Changes, Target::Path(0)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rmdir, Act::Changes, Target::Path(0)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, Act::Changes, Target::Path(0)),
];

/// Milliseconds after which whoever is left hangs.
const SILENCE: i32 = 120_000;

/// Where `seccomp_data` holds the number of the call and the flags of `openat`.
const NUMBER: u32 = 0;
const OPEN_FLAGS: u32 = 32;

fn statement(code: u32, k: u32, (jt, jf): (u8, u8)) -> libc::sock_filter {
    libc::sock_filter { code: u16::try_from(code).unwrap(), jt, jf, k }
}

/// Asks about what is watched, and lets everything else pass.
fn program() -> Vec<libc::sock_filter> {
    let load = |at| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at, (0, 0));
    let jump = |test, k, to| statement(libc::BPF_JMP | test | libc::BPF_K, k, to);
    let end = |k| statement(libc::BPF_RET | libc::BPF_K, k, (0, 0));
    let number = |call: c_long| u32::try_from(call).unwrap();
    let others: Vec<u32> =
        WATCHED.iter().map(|(call, ..)| number(*call)).filter(|call| *call != number(libc::SYS_openat)).collect();
    let count = u8::try_from(others.len()).unwrap();
    let mut program = vec![load(NUMBER), jump(libc::BPF_JEQ, number(libc::SYS_openat), (count + 1, 0))];
    for (index, call) in others.iter().enumerate() {
        // To the last statement.
        program.push(jump(libc::BPF_JEQ, *call, (count - u8::try_from(index).unwrap() + 3, 0)));
    }
    program.push(end(libc::SECCOMP_RET_ALLOW));
    program.push(load(OPEN_FLAGS));
    let writing = u32::try_from(libc::O_CREAT | libc::O_TRUNC | libc::O_WRONLY | libc::O_RDWR).unwrap();
    program.push(jump(libc::BPF_JSET, writing, (1, 0)));
    program.push(end(libc::SECCOMP_RET_ALLOW));
    program.push(end(libc::SECCOMP_RET_USER_NOTIF));
    program
}

/// From now on this thread, and every process it starts, has to ask.
fn install() -> io::Result<OwnedFd> {
    let mut filter = program();
    let program = libc::sock_fprog { len: u16::try_from(filter.len()).unwrap(), filter: filter.as_mut_ptr() };
    // SAFETY: the program outlives the calls, which only read it; what is returned is a new descriptor.
    unsafe {
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 {
            return Err(io::Error::last_os_error());
        }
        let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
        let made = libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program);
        let made = i32::try_from(made).unwrap_or(-1);
        if made < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(made)) }
    }
}

/// Numbers of `ioctl`: `_IOWR('!', number, size)`.
const fn request(number: libc::Ioctl, size: usize) -> libc::Ioctl {
    (3 << 30) | ((size as libc::Ioctl) << 16) | (0x21 << 8) | number
}

/// Runs `start`, which starts processes and waits for nothing, and has `judge` decide on what `program`
/// does below `root`, until the last process that came of it has ended.
pub fn supervise<T: Send>(
    (program, root): (&Path, &Path),
    start: impl FnOnce() -> T + Send,
    mut judge: impl FnMut(Act, &Path) -> Answer,
) -> T {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        // The filter is this thread's for good, and so it is one of its own.
        let starter = scope.spawn(move || {
            let listener = install().expect("this test needs Linux 5.8 and leave to use `seccomp`");
            sender.send(listener).unwrap();
            start()
        });
        let listener = receiver.recv().expect("the filter is installed");
        while let Some(asked) = next(&listener) {
            let answer = match target(&asked, program) {
                Some((act, path)) if path.starts_with(root) => judge(act, &path),
                _ => Answer::GoOn,
            };
            reply(&listener, &asked, answer);
        }
        starter.join().unwrap()
    })
}

/// The next question; none when nobody is left who could ask.
fn next(listener: &OwnedFd) -> Option<libc::seccomp_notif> {
    loop {
        let mut poll = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry, which outlives the call.
        let ready = unsafe { libc::poll(&raw mut poll, 1, SILENCE) };
        assert!(ready != 0, "somebody is left who neither ends nor changes anything");
        if poll.revents & libc::POLLIN == 0 {
            if poll.revents != 0 {
                return None;
            }
            continue;
        }
        // SAFETY: plain data that the kernel fills, and demands to be zero before.
        let (got, asked) = unsafe {
            let mut asked: libc::seccomp_notif = zeroed();
            let receive = request(0, size_of::<libc::seccomp_notif>());
            (libc::ioctl(listener.as_raw_fd(), receive, &raw mut asked), asked)
        };
        // Who asked may have been killed in between.
        if got == 0 {
            return Some(asked);
        }
    }
}

/// What is to be done to what, if it is `program` that asks.
fn target(asked: &libc::seccomp_notif, program: &Path) -> Option<(Act, PathBuf)> {
    let process = PathBuf::from(format!("/proc/{}", asked.pid));
    if fs::read_link(process.join("exe")).ok()? != program {
        return None;
    }
    let (_, act, target) = WATCHED.iter().find(|(call, ..)| *call == c_long::from(asked.data.nr))?;
    let path = match target {
        Target::Descriptor(at) => fs::read_link(process.join(format!("fd/{}", asked.data.args[*at]))).ok()?,
        Target::Path(at) => {
            let mut memory = File::open(process.join("mem")).ok()?;
            memory.seek(SeekFrom::Start(asked.data.args[*at])).ok()?;
            let mut text = vec![0; 4096];
            let length = memory.read(&mut text).ok()?;
            let end = text[..length].iter().position(|byte| *byte == 0)?;
            let text = std::str::from_utf8(&text[..end]).ok()?;
            // One that is relative to an open folder is in the workspace: there are no others.
            fs::read_link(process.join("cwd")).ok()?.join(text)
        }
    };
    Some((*act, path))
}

fn reply(listener: &OwnedFd, asked: &libc::seccomp_notif, answer: Answer) {
    // SAFETY: plain data.
    let mut response: libc::seccomp_notif_resp = unsafe { zeroed() };
    response.id = asked.id;
    match answer {
        Answer::GoOn => response.flags = u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).unwrap(),
        Answer::Fail(errno) => response.error = -errno,
        Answer::Half(errno) => match write_half(asked) {
            Some(written) => response.val = written,
            None => response.error = -errno,
        },
        Answer::Kill => {
            let thread = nix::unistd::Pid::from_raw(i32::try_from(asked.pid).unwrap());
            // To a thread's number it reaches the whole process.
            let _ = nix::sys::signal::kill(thread, nix::sys::signal::Signal::SIGKILL);
        }
    }
    // SAFETY: the kernel reads what outlives the call. Fails where who asked is gone, which is all the same.
    unsafe {
        let send = request(1, size_of::<libc::seccomp_notif_resp>());
        libc::ioctl(listener.as_raw_fd(), send, &raw mut response);
    }
}

/// Writes half of what was to be written, in the name of who asked.
fn write_half(asked: &libc::seccomp_notif) -> Option<i64> {
    let [descriptor, at, length, offset, ..] = asked.data.args;
    let nr = c_long::from(asked.data.nr);
    if length < 2 || ![libc::SYS_write, libc::SYS_pwrite64].contains(&nr) {
        return None;
    }
    let process = PathBuf::from(format!("/proc/{}", asked.pid));
    let mut data = vec![0; usize::try_from(length / 2).ok()?];
    File::open(process.join("mem")).ok()?.read_exact_at(&mut data, at).ok()?;
    if nr == libc::SYS_pwrite64 {
        let file = File::options().write(true).open(process.join(format!("fd/{descriptor}"))).ok()?;
        file.write_all_at(&data, offset).ok()?;
        return i64::try_from(data.len()).ok();
    }
    // `write` goes on where the file stands, and that has to move along: only its owner can do so.
    None
}
