//! What weir and its guard say to each other: frames over a stream socket, descriptors riding on
//! a frame's first byte.
//!
//! A frame is a length (u32, little endian, of what follows), the number of descriptors that came
//! with it (u8), and a body whose first byte is its kind. Strings are length-prefixed bytes.

#![allow(unsafe_code)]

use super::{ProcessError, Usage};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

/// Descriptors that one frame may carry.
const MOST_FDS: usize = 3;

/// A frame's head: length and number of descriptors.
const HEAD: usize = 5;

/// What weir asks of the guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    /// Start a command; its descriptors come along.
    Spawn(Box<Launch>),
    /// Signal a command's group.
    Signal { id: u64, number: i32 },
    /// End what is left, report, and exit.
    Finish,
    /// Keep the descriptor that comes along open until the last command has ended.
    Hold,
}

/// A command as the guard needs it: everything resolved and absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Launch {
    pub(super) id: u64,
    pub(super) file: PathBuf,
    pub(super) arg0: OsString,
    pub(super) args: Vec<OsString>,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) cwd: PathBuf,
    /// The process group to join; none: one of its own.
    pub(super) group: Option<i32>,
    /// The user and the group to run as; none: the guard's own.
    pub(super) account: Option<(u32, u32)>,
}

/// What the guard tells weir.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    /// It is up.
    Ready,
    /// A command runs.
    Started { id: u64, pid: u32 },
    /// A command could not be started.
    Refused { id: u64, errno: i32 },
    /// A command's main process ended; `left_behind`: its group lives on.
    Exited { id: u64, status: i32, usage: Usage, left_behind: bool },
    /// What had lived on in a command's group has ended.
    Cleared { id: u64 },
    /// Everything has ended; `strays` were there when that was asked, `survivors` would not end.
    Finished { strays: Vec<(u32, OsString)>, survivors: u32 },
}

/// Builds a frame.
struct Writer(Vec<u8>);

impl Writer {
    fn new(fds: usize, kind: u8) -> Self {
        Self(vec![0, 0, 0, 0, fds as u8, kind])
    }
    fn u32(&mut self, n: u32) -> &mut Self {
        self.0.extend(n.to_le_bytes());
        self
    }
    fn u64(&mut self, n: u64) -> &mut Self {
        self.0.extend(n.to_le_bytes());
        self
    }
    fn i32(&mut self, n: i32) -> &mut Self {
        self.0.extend(n.to_le_bytes());
        self
    }
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.u32(bytes.len() as u32);
        self.0.extend(bytes);
        self
    }
    fn done(&mut self) -> Vec<u8> {
        let length = (self.0.len() - 4) as u32;
        self.0[..4].copy_from_slice(&length.to_le_bytes());
        std::mem::take(&mut self.0)
    }
}

/// Takes a frame's body apart; none where it is too short.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }
    fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|b| b[0])
    }
    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }
    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
    fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_le_bytes)
    }
    fn string(&mut self) -> Option<OsString> {
        let length = self.u32()? as usize;
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(OsString::from_vec(head.to_vec()))
    }
    fn many<T>(&mut self, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.u32()?;
        (0..count).map(|_| one(self)).collect()
    }
}

impl Request {
    /// As a frame that `fds` descriptors go with.
    pub(super) fn frame(&self, fds: usize) -> Vec<u8> {
        match self {
            Self::Spawn(launch) => launch.frame(fds),
            Self::Signal { id, number } => Writer::new(fds, 2).u64(*id).i32(*number).done(),
            Self::Finish => Writer::new(fds, 3).done(),
            Self::Hold => Writer::new(fds, 4).done(),
        }
    }

    /// From a frame's body.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut body = Reader(body);
        Some(match body.u8()? {
            1 => Self::Spawn(Box::new(Launch::parse(&mut body)?)),
            2 => Self::Signal { id: body.u64()?, number: body.i32()? },
            3 => Self::Finish,
            4 => Self::Hold,
            _ => return None,
        })
    }
}

impl Launch {
    fn frame(&self, fds: usize) -> Vec<u8> {
        let mut w = Writer::new(fds, 1);
        w.u64(self.id).i32(self.group.unwrap_or(0));
        let (named, (user, group)) = (self.account.is_some(), self.account.unwrap_or_default());
        w.u32(u32::from(named)).u32(user).u32(group);
        w.bytes(self.file.as_os_str().as_bytes());
        w.bytes(self.cwd.as_os_str().as_bytes()).bytes(self.arg0.as_bytes());
        w.u32(self.args.len() as u32);
        for arg in &self.args {
            w.bytes(arg.as_bytes());
        }
        w.u32(self.env.len() as u32);
        for (name, value) in &self.env {
            w.bytes(name.as_bytes()).bytes(value.as_bytes());
        }
        w.done()
    }

    fn parse(body: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            id: body.u64()?,
            group: Some(body.i32()?).filter(|group| *group != 0),
            account: {
                let named = body.u32()? != 0;
                let account = (body.u32()?, body.u32()?);
                named.then_some(account)
            },
            file: body.string()?.into(),
            cwd: body.string()?.into(),
            arg0: body.string()?,
            args: body.many(Reader::string)?,
            env: body.many(|body| Some((body.string()?, body.string()?)))?,
        })
    }
}

impl Notice {
    /// As a frame.
    pub(super) fn frame(&self) -> Vec<u8> {
        match self {
            Self::Ready => Writer::new(0, 1).done(),
            Self::Started { id, pid } => Writer::new(0, 2).u64(*id).u32(*pid).done(),
            Self::Refused { id, errno } => Writer::new(0, 3).u64(*id).i32(*errno).done(),
            Self::Exited { id, status, usage, left_behind } => Writer::new(0, 4)
                .u64(*id)
                .i32(*status)
                .u64(usage.user.as_micros() as u64)
                .u64(usage.system.as_micros() as u64)
                .u64(usage.max_rss)
                .u32(u32::from(*left_behind))
                .done(),
            Self::Cleared { id } => Writer::new(0, 5).u64(*id).done(),
            Self::Finished { strays, survivors } => {
                let mut w = Writer::new(0, 6);
                w.u32(*survivors).u32(strays.len() as u32);
                for (pid, name) in strays {
                    w.u32(*pid).bytes(name.as_bytes());
                }
                w.done()
            }
        }
    }

    /// From a frame's body.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut body = Reader(body);
        Some(match body.u8()? {
            1 => Self::Ready,
            2 => Self::Started { id: body.u64()?, pid: body.u32()? },
            3 => Self::Refused { id: body.u64()?, errno: body.i32()? },
            4 => Self::Exited {
                id: body.u64()?,
                status: body.i32()?,
                usage: Usage {
                    user: Duration::from_micros(body.u64()?),
                    system: Duration::from_micros(body.u64()?),
                    max_rss: body.u64()?,
                },
                left_behind: body.u32()? != 0,
            },
            5 => Self::Cleared { id: body.u64()? },
            6 => {
                let survivors = body.u32()?;
                let strays = body.many(|body| Some((body.u32()?, body.string()?)))?;
                Self::Finished { strays, survivors }
            }
            _ => return None,
        })
    }
}

/// Bytes and descriptors as they come in, cut into frames.
#[derive(Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    /// How much of `bytes` has been given out.
    taken: usize,
    /// Descriptors in the order of the frames they came with: never later than a frame's first byte.
    fds: VecDeque<OwnedFd>,
}

impl Inbox {
    /// Receives what is there; gives the number of bytes, 0 at the end.
    pub(super) fn receive(&mut self, socket: impl AsFd) -> io::Result<usize> {
        let mut chunk = [0; 1 << 16];
        let mut slices = [IoSliceMut::new(&mut chunk)];
        let mut control = nix::cmsg_space!([RawFd; MOST_FDS]);
        #[cfg(target_os = "linux")]
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        #[cfg(not(target_os = "linux"))]
        let flags = MsgFlags::empty();
        let fd = socket.as_fd().as_raw_fd();
        let message = recvmsg::<()>(fd, &mut slices, Some(&mut control), flags)?;
        for part in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(raw) = part {
                // SAFETY: the kernel has just made these descriptors for this process, and
                // nobody else knows of them.
                let owned = raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
                self.fds.extend(owned);
            }
        }
        let count = message.bytes;
        self.bytes.extend_from_slice(&chunk[..count]);
        #[cfg(not(target_os = "linux"))]
        for fd in &self.fds {
            set_cloexec(fd)?;
        }
        Ok(count)
    }

    /// Adds bytes that came without descriptors.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame: its body and its descriptors.
    pub(super) fn frame(&mut self) -> Option<(Vec<u8>, Vec<OwnedFd>)> {
        let rest = &self.bytes[self.taken..];
        let length = rest.first_chunk().map(|head| u32::from_le_bytes(*head) as usize);
        let Some(body) = length.and_then(|length| rest.get(HEAD..4 + length)) else {
            // Only now, so that many small frames in one chunk are not moved again and again.
            self.bytes.drain(..self.taken);
            self.taken = 0;
            return None;
        };
        let count = usize::from(rest[4]).min(self.fds.len());
        let body = body.to_vec();
        self.taken += HEAD + body.len();
        Some((body, self.fds.drain(..count).collect()))
    }
}

/// Sends the beginning of `bytes`, the descriptors with its first byte; gives how much went.
pub(super) fn send(socket: impl AsFd, bytes: &[u8], fds: &[OwnedFd]) -> io::Result<usize> {
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &rights[..0] } else { &rights[..] };
    let slices = [IoSlice::new(bytes)];
    let fd = socket.as_fd().as_raw_fd();
    Ok(sendmsg::<()>(fd, &slices, control, MsgFlags::empty(), None)?)
}

/// Makes reads and writes of a descriptor return at once.
pub(super) fn set_nonblocking(fd: impl AsFd) -> Result<(), ProcessError> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let set = || -> nix::Result<()> {
        let flags = OFlag::from_bits_retain(fcntl(fd.as_fd(), FcntlArg::F_GETFL)?);
        fcntl(fd.as_fd(), FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).map(drop)
    };
    set().map_err(|e| ProcessError::io("prepare a pipe", &e.into()))
}

/// Keeps a descriptor from being inherited, where the system can't do so on receipt.
#[cfg(not(target_os = "linux"))]
fn set_cloexec(fd: impl AsFd) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    Ok(fcntl(fd.as_fd(), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map(drop)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name() -> impl Strategy<Value = OsString> {
        proptest::collection::vec(1u8.., 0..20).prop_map(OsString::from_vec)
    }

    proptest! {
        /// Frames survive any cut of the stream.
        #[test]
        fn frames_survive_any_cut(
            args in proptest::collection::vec(name(), 0..5),
            env in proptest::collection::vec((name(), name()), 0..5),
            group in proptest::option::of(1..i32::MAX),
            account in proptest::option::of(any::<(u32, u32)>()),
            cut in 1usize..40,
        ) {
            let launch = Launch {
                id: 7, file: "/bin/x".into(), arg0: "x".into(), args, env, cwd: "/".into(), group, account,
            };
            let sent = [
                Request::Spawn(Box::new(launch)),
                Request::Signal { id: u64::MAX, number: 15 },
                Request::Hold,
                Request::Finish,
            ];
            let stream: Vec<u8> = sent.iter().flat_map(|request| request.frame(0)).collect();
            let mut inbox = Inbox::default();
            let mut got = Vec::new();
            for chunk in stream.chunks(cut) {
                inbox.push(chunk);
                while let Some((body, _)) = inbox.frame() {
                    got.extend(Request::parse(&body));
                }
            }
            prop_assert_eq!(&got[..], &sent[..]);
        }

        /// No body makes the parser panic.
        #[test]
        fn any_body_is_survived(body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = (Request::parse(&body), Notice::parse(&body));
        }
    }

    #[test]
    fn notices_come_back_as_they_were() {
        let usage = Usage { user: Duration::from_micros(5), system: Duration::from_micros(6), max_rss: 1 << 40 };
        for notice in [
            Notice::Ready,
            Notice::Started { id: 1, pid: 2 },
            Notice::Refused { id: 1, errno: 2 },
            Notice::Exited { id: 1, status: 9, usage, left_behind: true },
            Notice::Cleared { id: 3 },
            Notice::Finished { strays: vec![(4, "sleep".into())], survivors: 1 },
        ] {
            let frame = notice.frame();
            assert_eq!(Notice::parse(&frame[HEAD..]), Some(notice));
        }
    }
}
