//! weir's end of a pipe that a command prints into. One that prints much is read by a thread that waits for it alone.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;
use tokio::net::unix::pipe;
use tokio::time::{Instant, timeout_at};

/// Bytes after which a command is taken to go on printing.
const MUCH: usize = 1 << 20;

/// How long a thread waits for more of what a command prints, and for nothing else, at a time (milliseconds).
const MOMENT: u8 = 10;

/// weir's end of a pipe.
#[derive(Debug)]
pub struct Output {
    end: End,
    /// Bytes read since it was last looked after.
    read: usize,
}

#[derive(Debug)]
enum End {
    /// The runtime says when there is something to read: another thread, woken up by each write of the command, wakes up
    /// the one that reads.
    Watched(pipe::Receiver),
    /// The reader itself waits. No other thread hears of it.
    AwaitedHere(OwnedFd),
    /// Between the two, and after going from one to the other failed.
    Lost,
}

impl Output {
    pub(super) fn new(end: OwnedFd) -> io::Result<Self> {
        Ok(Self { end: End::Watched(pipe::Receiver::from_owned_fd(end)?), read: 0 })
    }

    /// Reads what is there, waiting for the first byte; 0 at the end. Cancel-safe. A thread that drives no other task than
    /// the one that reads may be blocked for some milliseconds.
    ///
    /// # Errors
    /// The system's own.
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.read >= MUCH {
            self.read = 0;
            // Whatever else this task looks at, such as a signal, gets its turn where the command never pauses.
            tokio::task::yield_now().await;
            self.await_here()?;
        }
        loop {
            match &self.end {
                End::Watched(pipe) => {
                    pipe.readable().await?;
                    match pipe.try_read(buf) {
                        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                        done => return self.count(done),
                    }
                }
                End::AwaitedHere(pipe) => match read_within(pipe, buf, MOMENT) {
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.watch()?,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    done => return self.count(done),
                },
                End::Lost => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
    }

    fn count(&mut self, read: io::Result<usize>) -> io::Result<usize> {
        self.read += *read.as_ref().unwrap_or(&0);
        read
    }

    /// From now on the thread that reads waits, if it has nothing else to do: a task that was spawned shares its thread.
    fn await_here(&mut self) -> io::Result<()> {
        if tokio::task::try_id().is_some() {
            return Ok(());
        }
        self.end = match std::mem::replace(&mut self.end, End::Lost) {
            End::Watched(pipe) => End::AwaitedHere(pipe.into_nonblocking_fd()?),
            end => end,
        };
        Ok(())
    }

    /// The command pauses: the runtime says when it goes on.
    fn watch(&mut self) -> io::Result<()> {
        self.read = 0;
        self.end = match std::mem::replace(&mut self.end, End::Lost) {
            End::AwaitedHere(pipe) => End::Watched(pipe::Receiver::from_owned_fd(pipe)?),
            end => end,
        };
        Ok(())
    }

    /// After the command's end: hands on what is still in the pipe, until its end or until nothing
    /// has come for `quiet_for` (ten times that at most, should something be writing on).
    ///
    /// # Errors
    /// The system's own.
    pub async fn drain(&mut self, quiet_for: Duration, mut sink: impl FnMut(&[u8])) -> io::Result<Drained> {
        let mut buf = vec![0; 1 << 14];
        let last = Instant::now() + 10 * quiet_for;
        loop {
            let until = last.min(Instant::now() + quiet_for);
            match timeout_at(until, self.read(&mut buf)).await {
                Ok(Ok(0)) => return Ok(Drained::Closed),
                Ok(Ok(count)) => sink(&buf[..count]),
                Ok(Err(e)) => return Err(e),
                Err(_) => return Ok(Drained::HeldOpen),
            }
            if Instant::now() >= last {
                return Ok(Drained::HeldOpen);
            }
        }
    }
}

/// Reads what is there, waiting for it this long; `WouldBlock` where nothing came.
fn read_within(pipe: &OwnedFd, buf: &mut [u8], milliseconds: u8) -> io::Result<usize> {
    let read = |buf: &mut [u8]| nix::unistd::read(pipe, buf).map_err(io::Error::from);
    match read(buf) {
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
        done => return done,
    }
    poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], PollTimeout::from(milliseconds))?;
    read(buf)
}

/// How draining a command's output ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// All of it was read.
    Closed,
    /// A process that the command left behind still holds the pipe.
    HeldOpen,
}
