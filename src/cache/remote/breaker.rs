//! What can go wrong with a server, and that it goes wrong once: the first fault is told, and opens the
//! circuit.

use super::tls::innermost;
use crate::model::Notice;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tonic::{Code, Status};

/// What went wrong.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// The server says no.
    Status(Code, String),
    /// It did not answer in time.
    Silent(Duration),
    /// It answers too slowly to be of use.
    Slow(Duration),
    /// What it gave is not what was asked for.
    Corrupt(String),
    /// One of both sides does not trust the other, and what to do.
    Untrusted(String, &'static str),
    /// It can't be used: another protocol, another digest.
    Unfit(String),
    /// It could not run this task.
    Declined(Code, String),
    /// Nobody there had time for a task.
    Queued(Duration),
    /// A file was written to while it was given.
    Changed(String),
    /// Something here went wrong.
    Local(String),
    /// The circuit is open.
    Off,
}

impl Fault {
    /// Of a call.
    pub(super) fn of(status: &Status) -> Self {
        Self::Status(status.code(), said(status))
    }

    /// Whether the server said that it has no such thing.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Status(Code::NotFound, _))
    }

    /// Whether another try may go better. Errors below gRPC surface as `Unknown`.
    pub(super) fn may_pass(&self) -> bool {
        use Code::{Aborted, Cancelled, Internal, ResourceExhausted, Unavailable, Unknown};
        let passing = [Aborted, Cancelled, Internal, ResourceExhausted, Unavailable, Unknown];
        matches!(self, Self::Status(code, _) | Self::Declined(code, _) if passing.contains(code))
    }

    /// Whether a call that gives something says nothing of those that take.
    fn is_of_writing(&self) -> bool {
        use Code::{
            FailedPrecondition, InvalidArgument, OutOfRange, PermissionDenied, ResourceExhausted, Unimplemented,
        };
        let codes =
            [FailedPrecondition, InvalidArgument, OutOfRange, PermissionDenied, ResourceExhausted, Unimplemented];
        matches!(self, Self::Status(code, _) if codes.contains(code))
    }

    /// Whether a task that could not be run there says nothing of results.
    fn is_of_executing(&self) -> bool {
        let one = matches!(self, Self::Unfit(_) | Self::Queued(_) | Self::Local(_) | Self::Changed(_));
        one || matches!(self, Self::Declined(..)) || self.is_of_writing() || self.is_absent()
    }
}

/// What a status says, on one line.
fn said(status: &Status) -> String {
    let text = std::error::Error::source(status).map_or_else(|| status.message().to_owned(), innermost);
    let line = one_line(&text);
    if line.is_empty() { status.code().description().to_owned() } else { line }
}

/// What a server says, as far as it fits into a message.
pub(super) fn one_line(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    line.trim().to_owned()
}

/// A fault, for people.
pub(super) fn notice(endpoint: &str, fault: &Fault) -> Notice {
    let message = match fault {
        Fault::Status(Code::Unauthenticated, said) => format!("the remote `{endpoint}` does not know who asks: {said}"),
        Fault::Status(Code::PermissionDenied, said) => format!("the remote `{endpoint}` does not permit it: {said}"),
        Fault::Status(Code::ResourceExhausted, said) => format!("the remote `{endpoint}` takes no more: {said}"),
        Fault::Status(Code::Unavailable, said) => format!("failed to reach the remote `{endpoint}`: {said}"),
        Fault::Status(code, said) => format!("the remote `{endpoint}` failed ({code:?}): {said}"),
        Fault::Silent(patience) => {
            format!("the remote `{endpoint}` did not answer within {}", crate::model::format_duration(*patience))
        }
        Fault::Slow(more) => {
            let more = Duration::from_millis(u64::try_from(more.as_millis()).unwrap_or(u64::MAX));
            let more = crate::model::format_duration(more);
            format!("the remote `{endpoint}` answers so slowly that asking it took {more} longer than it saved")
        }
        Fault::Corrupt(what) => format!("the remote `{endpoint}` gave something else than was asked for: {what}"),
        Fault::Untrusted(why, _) => format!("failed to reach the remote `{endpoint}` through TLS: {why}"),
        Fault::Unfit(why) => format!("the remote `{endpoint}` can't be used: {why}"),
        Fault::Declined(code, said) => format!("the remote `{endpoint}` can't run it ({code:?}): {said}"),
        Fault::Queued(time) => format!(
            "the remote `{endpoint}` let a task wait for {}, and no worker took it",
            crate::model::format_duration(*time)
        ),
        Fault::Changed(path) => {
            format!("failed to give the remote `{endpoint}` the file `{path}`: it changed meanwhile")
        }
        Fault::Local(why) => format!("failed to use the remote `{endpoint}`: {why}"),
        Fault::Off => format!("the remote `{endpoint}` is not asked any more"),
    };
    let help = match fault {
        Fault::Status(Code::Unauthenticated | Code::PermissionDenied, _) => {
            "check the token (`WEIR_REMOTE_TOKEN`, `token_env`, `token_file`), or set `WEIR_REMOTE_MODE=read-only`"
        }
        Fault::Declined(..) => "see whether it has such a `platform`; `execute = false` keeps the task here",
        Fault::Untrusted(_, help) => help,
        Fault::Corrupt(_) => "nothing of it was used; tell whoever runs that server",
        _ => "`weir doctor` says more of it; `WEIR_REMOTE_MODE=off` does without it",
    };
    Notice { code: "remote".into(), message, help: Some(help.into()) }
}

/// Whether the server is asked any more, and why not.
pub(super) struct Breaker {
    endpoint: String,
    /// Nothing goes on without the server.
    required: bool,
    state: Mutex<State>,
    off: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    reads: bool,
    writes: bool,
    executes: bool,
    failure: Option<Notice>,
    told: bool,
}

impl Breaker {
    /// Closed.
    pub(super) fn new(endpoint: String, required: bool) -> Self {
        Self { endpoint, required, state: Mutex::default(), off: watch::Sender::new(false) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Turns true when nothing is asked any more.
    pub(super) fn watch(&self) -> watch::Receiver<bool> {
        self.off.subscribe()
    }

    /// Whether nothing is taken any more.
    pub(super) fn reads_open(&self) -> bool {
        self.state().reads
    }

    /// Whether nothing is given any more.
    pub(super) fn writes_open(&self) -> bool {
        self.state().writes
    }

    /// Whether nothing is run there any more.
    pub(super) fn executes_open(&self) -> bool {
        self.state().executes
    }

    /// Something went wrong with taking. A server that is merely slow is still given to.
    pub(super) fn open_reads(&self, fault: &Fault) {
        let all = !matches!(fault, Fault::Slow(_));
        self.open(fault, (true, all, all));
    }

    /// Something went wrong with giving; where that may be due to what was given, things are still taken.
    pub(super) fn open_writes(&self, fault: &Fault) {
        let all = !fault.is_of_writing();
        self.open(fault, (all, true, all));
    }

    /// Something went wrong with running a task there; where that may be due to the task, results are still exchanged.
    pub(super) fn open_executes(&self, fault: &Fault) {
        let all = !fault.is_of_executing();
        self.open(fault, (all, all, true));
    }

    fn open(&self, fault: &Fault, (reads, writes, executes): (bool, bool, bool)) {
        if matches!(fault, Fault::Off) {
            return;
        }
        let mut state = self.state();
        state.reads |= reads;
        state.writes |= writes;
        state.executes |= executes;
        if state.failure.is_none() {
            let mut notice = notice(&self.endpoint, fault);
            notice.message.push_str(match (reads, writes) {
                _ if self.required => ", and `--require-remote` asks for it",
                (false, false) => "; nothing more is run on it in this run",
                (false, true) => "; nothing more is given to it in this run",
                (true, false) => "; nothing more is taken from it in this run",
                (true, true) => "; this run goes on without it",
            });
            state.failure = Some(notice);
        }
        if state.reads && state.writes {
            self.off.send_replace(true);
        }
    }

    /// The first fault.
    pub(super) fn failure(&self) -> Option<Notice> {
        self.state().failure.clone()
    }

    /// The same, once.
    pub(super) fn untold(&self) -> Option<Notice> {
        let mut state = self.state();
        let known = state.failure.clone();
        let told = std::mem::replace(&mut state.told, known.is_some());
        known.filter(|_| !told)
    }
}
