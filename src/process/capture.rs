//! Running a command to its end, and ending one that won't.

use super::child::Child;
use super::command::{Command, Exit, Usage};
use super::link::Guard;
use super::output::{Drained, Output};
use super::{ProcessError, Signal};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// How long the output of a command that has ended is waited for, while something it left behind
/// holds the pipe.
const QUIET: Duration = Duration::from_millis(500);

/// What became of a captured command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// How it ended.
    pub exit: Exit,
    /// What it used.
    pub usage: Usage,
    /// Its output (both outputs, unless they were split), up to the limit.
    pub output: Vec<u8>,
    /// Its error output, where they were split, up to the limit.
    pub error: Vec<u8>,
    /// There was more output than the limit.
    pub truncated: bool,
    /// It was ended because its time was up.
    pub timed_out: bool,
}

/// Runs a command to its end. Of each output the first `limit` bytes are kept. At `timeout` it is
/// ended (SIGTERM, SIGKILL after 5 s). If this is dropped, the command is killed.
///
/// # Errors
/// As [`Guard::spawn`] and [`Child::wait`]; a command that fails is not an error.
pub async fn capture(
    guard: &Guard,
    command: Command,
    timeout: Duration,
    limit: usize,
) -> Result<Captured, ProcessError> {
    let deadline = Instant::now() + timeout;
    let mut child = guard.spawn(command).await?;
    let (mut output, mut error) = (child.take_output(), child.take_error());
    let (mut output_kept, mut error_kept) = (Kept::new(limit), Kept::new(limit));
    let ending = async {
        match timeout_at(deadline, child.wait()).await {
            Ok(exit) => exit.map(|exit| (exit, false)),
            Err(_) => terminate(&child, Signal::Term, GRACE).await.map(|exit| (exit, true)),
        }
    };
    let reading = async {
        let of_output = keep(output.as_mut(), &mut output_kept);
        both(of_output, keep(error.as_mut(), &mut error_kept)).await
    };
    let (ended, read) = end_then_rest(ending, reading).await;
    let (exit, timed_out) = ended?;
    if let Some((Err(e), _) | (_, Err(e))) = read {
        return Err(ProcessError::io("read output", &e));
    }
    Ok(Captured {
        exit,
        usage: child.usage().unwrap_or_default(),
        truncated: output_kept.truncated || error_kept.truncated,
        output: output_kept.bytes,
        error: error_kept.bytes,
        timed_out,
    })
}

/// Ends a child: `first` to its group, SIGKILL after `grace` to what is left of it. Returns once
/// the whole group has ended.
///
/// # Errors
/// As [`Child::wait`].
pub async fn terminate(child: &Child, first: Signal, grace: Duration) -> Result<Exit, ProcessError> {
    let deadline = Instant::now() + grace;
    child.signal(first);
    if timeout_at(deadline, child.wait_group()).await.is_err() {
        child.signal(Signal::Kill);
        let exit = child.wait().await;
        // What can't be killed is not waited for.
        let _ = timeout_at(Instant::now() + GRACE, child.wait_group()).await;
        return exit;
    }
    child.wait().await
}

/// The beginning of an output.
struct Kept {
    bytes: Vec<u8>,
    limit: usize,
    truncated: bool,
}

impl Kept {
    fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit, truncated: false }
    }

    fn push(&mut self, chunk: &[u8]) {
        let room = (self.limit - self.bytes.len()).min(chunk.len());
        self.bytes.extend_from_slice(&chunk[..room]);
        self.truncated |= room < chunk.len();
    }
}

/// Reads an output to its end.
async fn keep(output: Option<&mut Output>, kept: &mut Kept) -> io::Result<Drained> {
    let mut buf = vec![0; 1 << 14];
    if let Some(output) = output {
        loop {
            match output.read(&mut buf).await? {
                0 => break,
                count => kept.push(&buf[..count]),
            }
        }
    }
    Ok(Drained::Closed)
}

/// Both at once.
async fn both<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut of_a, mut of_b) = (None, None);
    poll_fn(|cx| {
        if of_a.is_none()
            && let Poll::Ready(done) = a.as_mut().poll(cx)
        {
            of_a = Some(done);
        }
        if of_b.is_none()
            && let Poll::Ready(done) = b.as_mut().poll(cx)
        {
            of_b = Some(done);
        }
        match (of_a.take(), of_b.take()) {
            (Some(of_a), Some(of_b)) => Poll::Ready((of_a, of_b)),
            (a, b) => {
                (of_a, of_b) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}

/// Both at once; when the first has ended, the second has a moment more.
async fn end_then_rest<A: Future, B: Future>(a: A, b: B) -> (A::Output, Option<B::Output>) {
    let mut b = pin!(b);
    let mut of_b = None;
    let of_a = {
        let mut a = pin!(a);
        poll_fn(|cx| {
            if of_b.is_none()
                && let Poll::Ready(done) = b.as_mut().poll(cx)
            {
                of_b = Some(done);
            }
            a.as_mut().poll(cx)
        })
        .await
    };
    if of_b.is_none() {
        of_b = timeout_at(Instant::now() + QUIET, b).await.ok();
    }
    (of_a, of_b)
}
