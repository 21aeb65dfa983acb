//! A text on its way through the server: which of its statements is running, and how it is stopped.

use super::session::Session;
use crate::node::Output;
use crate::sql::Places;
use futures_util::StreamExt;
use std::sync::mpsc;
use std::time::Duration;
use tokio_postgres::{CancelToken, NoTls, SimpleQueryMessage};

use super::show::Source;

/// How long the server may take to be told that a statement is no longer wanted.
const PATIENCE: Duration = Duration::from_secs(2);

/// A text that is running. Dropped before it has landed, it stops the statement on the server and says which it was:
/// a closed connection alone is noticed only when the statement has an answer to give.
struct Flight<'a> {
    token: Option<CancelToken>,
    source: &'a Source<'a>,
    /// Statements sent before the first of the file's.
    before: usize,
    /// The file's statement that came first.
    first: usize,
    done: usize,
    output: &'a mut dyn Output,
}

impl Flight<'_> {
    /// The file's statement that is running.
    fn running(&self) -> Option<usize> {
        let index = self.first + self.done.checked_sub(self.before)?;
        (index < self.source.statements.len()).then_some(index)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let Some(token) = self.token.take() else { return };
        stop(token);
        let what = match self.running().map(|index| &self.source.statements[index]) {
            Some(statement) => {
                let places = Places::new(self.source.text);
                let at = places.of(statement.range.start);
                let line = statement.of(self.source.text).lines().next().unwrap_or_default();
                format!("stopped at {}:{}:{}: {line}\n", self.source.path, at.line, at.column)
            }
            None => format!("stopped in {}\n", self.source.path),
        };
        self.output.bytes(what.as_bytes());
    }
}

/// Tells the server to end what runs, and waits until it has been told: the process may be about to end. On a thread
/// of its own, since this one may be the runtime's.
fn stop(token: CancelToken) {
    let (told, heard) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        if let Ok(runtime) = runtime {
            let _ = runtime.block_on(token.cancel_query(NoTls));
        }
        let _ = told.send(());
    });
    let _ = heard.recv_timeout(PATIENCE);
}

/// What was sent.
pub struct Cargo<'a> {
    /// The whole text for the server.
    pub sql: &'a str,
    /// Where the file's part of it comes from.
    pub source: &'a Source<'a>,
    /// Statements before the first of the file's.
    pub before: usize,
    /// The file's statement that comes first.
    pub first: usize,
}

/// How it ended.
pub struct Landing {
    /// The rows that each statement touched, as far as they were done.
    pub rows: Vec<u64>,
    /// What ended it early, and the file's statement that was running then.
    pub error: Option<(tokio_postgres::Error, Option<usize>)>,
}

/// Sends `cargo` and waits for its end. Dropped while it waits, it stops the statement on the server.
pub async fn send(session: &Session, cargo: Cargo<'_>, output: &mut dyn Output) -> Landing {
    let Cargo { sql, source, before, first } = cargo;
    let token = Some(session.client.cancel_token());
    let mut flight = Flight { token, source, before, first, done: 0, output };
    let mut rows = Vec::new();
    let error = match session.client.simple_query_raw(sql).await {
        Err(error) => Some(error),
        Ok(stream) => {
            let mut stream = std::pin::pin!(stream);
            loop {
                match stream.next().await {
                    None => break None,
                    Some(Err(error)) => break Some(error),
                    Some(Ok(SimpleQueryMessage::CommandComplete(touched))) => {
                        rows.push(touched);
                        flight.done += 1;
                    }
                    Some(Ok(_)) => {}
                }
            }
        }
    };
    flight.token = None;
    let running = flight.running();
    Landing { rows, error: error.map(|error| (error, running)) }
}
