//! A text on its way through the server: which of its statements is running, and how it is stopped.

use super::session::Session;
use super::show::{Sent, Source, show};
use crate::node::Output;
use futures_util::StreamExt;
use std::pin::Pin;
use std::sync::mpsc;
use std::time::Duration;
use tokio_postgres::{CancelToken, Error, NoTls, SimpleQueryMessage, SimpleQueryStream};

/// How long the server may take to end a statement that is no longer wanted.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is sent.
pub struct Cargo<'a> {
    /// The whole text for the server.
    pub sql: &'a str,
    /// Where the file's part of it comes from.
    pub source: &'a Source<'a>,
    /// How the two relate.
    pub sent: Sent,
    /// Statements before the first of the file's.
    pub before: usize,
    /// The file's statement that comes first.
    pub first: usize,
}

impl Cargo<'_> {
    /// The file's statement that runs when so many have been done.
    fn running(&self, done: usize) -> Option<usize> {
        let index = self.first + done.checked_sub(self.before)?;
        (index < self.source.statements.len()).then_some(index)
    }
}

/// How it ended.
pub struct Landing {
    /// The rows that each statement touched, as far as they were done.
    pub rows: Vec<u64>,
    /// What ended it early, and the file's statement that was running then.
    pub error: Option<(Error, Option<usize>)>,
}

type Answers = Pin<Box<SimpleQueryStream>>;

/// Takes in what the server says, until its end.
async fn drain(answers: &mut Answers, rows: &mut Vec<u64>) -> Option<Error> {
    loop {
        match answers.next().await? {
            Err(error) => return Some(error),
            Ok(SimpleQueryMessage::CommandComplete(touched)) => rows.push(touched),
            Ok(_) => {}
        }
    }
}

/// A text that is running. Dropped before it has landed, it stops the statement on the server and says which it was:
/// a connection that is closed is noticed only when the statement has an answer to give.
struct Flight<'a> {
    token: CancelToken,
    cargo: Cargo<'a>,
    answers: Option<Answers>,
    rows: Vec<u64>,
    output: &'a mut dyn Output,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let Some(answers) = self.answers.take() else { return };
        let stopped = stop(self.token.clone(), answers, std::mem::take(&mut self.rows));
        let path = self.cargo.source.path;
        let what = match &stopped {
            Some((rows, Some(error))) => match error.as_db_error() {
                Some(said) => {
                    let shown = show(self.cargo.source, said, self.cargo.sent, self.cargo.running(rows.len()));
                    format!("stopped: {}\n{}", shown.message, shown.block)
                }
                None => format!("stopped in {path}: {error}\n"),
            },
            Some((_, None)) => format!("stopped after {path}\n"),
            None => format!("told the server to stop what runs of {path}; it has not answered yet\n"),
        };
        self.output.bytes(what.as_bytes());
    }
}

/// Tells the server to end what runs, and takes in what it had to say until then. On a thread of its own, since this
/// one is in the middle of the runtime's work, and within bounds, since the process may be about to end.
fn stop(token: CancelToken, mut answers: Answers, mut rows: Vec<u64>) -> Option<(Vec<u64>, Option<Error>)> {
    let (told, heard) = mpsc::channel();
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        let error = runtime.block_on(async {
            // Where it can't be told, the answer will be long in coming, and nobody waits for it.
            let _ = token.cancel_query(NoTls).await;
            drain(&mut answers, &mut rows).await
        });
        let _ = told.send((rows, error));
    });
    heard.recv_timeout(PATIENCE).ok()
}

/// Sends `cargo` and waits for its end. Dropped while it waits, it stops the statement on the server.
pub async fn send(session: &Session, cargo: Cargo<'_>, output: &mut dyn Output) -> Landing {
    let answers = match session.client.simple_query_raw(cargo.sql).await {
        Ok(answers) => Some(Box::pin(answers)),
        Err(error) => return Landing { rows: vec![], error: Some((error, None)) },
    };
    let mut flight = Flight { token: session.client.cancel_token(), cargo, answers, rows: vec![], output };
    let Flight { answers: Some(answers), rows, .. } = &mut flight else { return Landing { rows: vec![], error: None } };
    let error = drain(answers, rows).await;
    flight.answers = None;
    let rows = std::mem::take(&mut flight.rows);
    let running = flight.cargo.running(rows.len());
    Landing { rows, error: error.map(|error| (error, running)) }
}
