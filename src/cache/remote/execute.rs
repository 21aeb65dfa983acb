//! Having a server do something: its inputs given, its Operation followed to the end, through broken streams and lost
//! workers, and what it left taken. Whatever can't be told for sure was not done.

use super::Inner;
use super::breaker::{Fault, notice, one_line};
use super::client::Client;
use super::input_root::{Prepared, prepare};
use super::outputs::outputs_of;
use super::proto::parse_digest;
use super::take::blobs_in;
use super::transfer::local;
use crate::cache::outputs::Manifest;
use crate::cache::sharing::{Executed, Order, Watcher};
use crate::cache::store::Store;
use crate::model::{Digest, Hasher, Notice};
use bazel_remote_apis::build::bazel::remote::execution::v2 as re;
use bazel_remote_apis::google::bytestream::{ReadRequest, ReadResponse};
use bazel_remote_apis::google::longrunning::operation::Result as Outcome;
use bazel_remote_apis::google::longrunning::{CancelOperationRequest, Operation};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryFutureExt};
use prost::Message as _;
use std::collections::BTreeSet;
use std::io::Read;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Request, Streaming};

/// How often it is looked whether the run is cut short.
const LOOK: Duration = Duration::from_millis(50);
/// How often an order is begun anew where that may help: the worker was lost, or a blob that it needs.
const TRIES: u32 = 3;
/// How often in a row an Operation whose news break off at once is asked for again.
const WAITS: u32 = 3;
/// So many tasks may be declined before nothing more is run there.
const DECLINED: u32 = 2;
/// After so long in a queue that is told.
const QUEUE: Duration = Duration::from_secs(2);
/// So much is passed on as it is printed; the rest comes at the end.
const HEARD: u64 = 64 << 20;

/// Why an order came to no end of its own.
enum Stop {
    Fault(Fault),
    TimedOut,
    GivenUp,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Inner {
    /// Has the server carry out an order. Nothing of one that did not end is used.
    pub(super) fn execute(&self, order: &Order<'_>, store: &Store, watcher: &mut dyn Watcher) -> Executed {
        if self.breaker.executes_open() {
            return Executed::Not(None);
        }
        let prepared = prepare(order, &self.settings.platform);
        let (mut anew, mut tries) = (order.anew, TRIES);
        loop {
            tries -= 1;
            let mut heard = Heard::default();
            let fault = match self.execute_once(order, &prepared, anew, store, (watcher, &mut heard)) {
                Ok(ended) => {
                    self.executed.fetch_add(1, Ordering::Relaxed);
                    return ended;
                }
                Err(Stop::TimedOut) => return Executed::TimedOut,
                Err(Stop::GivenUp) => return Executed::GivenUp,
                Err(Stop::Fault(Fault::Changed(path))) => return Executed::Not(Some(changed(&path))),
                Err(Stop::Fault(fault)) => fault,
            };
            tracing::debug!(?fault, tries, "not executed by the remote");
            // What was passed on can't be taken back, and another try would print it again.
            if tries == 0 || heard.any || !may_be_tried_again(&fault) || watcher.gives_up() {
                return self.does_not(&fault);
            }
            // Some servers keep results longer than what they name.
            anew |= fault.is_absent();
        }
    }

    /// One task that the server can't run says little of the others; several do.
    fn does_not(&self, fault: &Fault) -> Executed {
        let one = matches!(fault, Fault::Declined(..)) && self.declined.fetch_add(1, Ordering::Relaxed) < DECLINED;
        if !one {
            self.breaker.open_executes(fault);
            return Executed::Not(None);
        }
        let mut notice = notice(&self.settings.endpoint, fault);
        notice.message.push_str(match self.settings.required {
            true => ", and `--require-remote` asks for it",
            false => "; it runs here",
        });
        Executed::Not(Some(notice))
    }

    fn execute_once(
        &self,
        order: &Order<'_>,
        prepared: &Prepared,
        anew: bool,
        store: &Store,
        (watcher, heard): (&mut dyn Watcher, &mut Heard),
    ) -> Result<Executed, Stop> {
        let (client, handle) = self.client()?;
        if !handle.block_on(client.limits())?.executes {
            return Err(Fault::Unfit("it executes nothing".into()).into());
        }
        let given = self.give_blobs(&prepared.blobs, store, &|| watcher.gives_up());
        if watcher.gives_up() {
            return Err(Stop::GivenUp);
        }
        given?;
        let mut following = Following {
            client,
            watcher: &mut *watcher,
            heard: &mut *heard,
            log: None,
            time: order.errand.timeout,
            stage: re::execution_stage::Value::Unknown,
            since: Instant::now(),
            news: Instant::now(),
            told: false,
            operation: String::new(),
        };
        let response = handle.block_on(following.run(&prepared.name, anew))?;
        let result = response.result.ok_or_else(|| Fault::Corrupt("an end without a result".into()))?;
        let outputs = match result.exit_code {
            0 => outputs_of(self, &result, order)?,
            _ => Manifest::default(),
        };
        let wanted: BTreeSet<(Digest, u64)> =
            blobs_in(&outputs).filter(|(digest, _)| !store.has_blob(digest)).collect();
        self.take_blobs(&wanted, store)?;
        for (raw, digest) in [(&result.stdout_raw, &result.stdout_digest), (&result.stderr_raw, &result.stderr_digest)]
        {
            self.pass_on(raw, digest.as_ref(), store, (watcher, heard))?;
        }
        Ok(Executed::Ended { exit: result.exit_code, outputs })
    }

    /// Passes on what was printed, but for what was heard of it already.
    fn pass_on(
        &self,
        raw: &[u8],
        digest: Option<&re::Digest>,
        store: &Store,
        (watcher, heard): (&mut dyn Watcher, &mut Heard),
    ) -> Result<(), Stop> {
        let named = digest.and_then(parse_digest).filter(|(_, size)| *size > 0);
        match named {
            Some((digest, size)) if raw.len() as u64 != size || Digest::of(raw) != digest => {
                if !store.has_blob(&digest) {
                    self.take_blobs(&BTreeSet::from([(digest, size)]), store)?;
                }
                let mut file = store.open_blob(&digest).map_err(|error| local(&error))?;
                heard.rest(&mut file, watcher)
            }
            _ => heard.rest(&mut &raw[..], watcher),
        }
    }
}

fn changed(path: &str) -> Notice {
    Notice {
        code: "runs-here".into(),
        message: format!("`{path}` changed while it was sent to the remote; the task runs here"),
        help: None,
    }
}

/// Whether the same order may be carried out after all.
fn may_be_tried_again(fault: &Fault) -> bool {
    // A missing blob, among the inputs or of a result that the server had.
    fault.may_pass()
        || fault.is_absent()
        || matches!(fault, Fault::Declined(Code::FailedPrecondition | Code::NotFound, _))
        || matches!(fault, Fault::Status(Code::FailedPrecondition, _))
}

/// What was passed on as it was printed.
#[derive(Default)]
struct Heard {
    length: u64,
    hasher: Hasher,
    /// Something was passed on.
    any: bool,
}

impl Heard {
    fn hears(&mut self, bytes: &[u8], watcher: &mut dyn Watcher) {
        self.any = true;
        self.length += bytes.len() as u64;
        self.hasher.update(bytes);
        watcher.bytes(bytes);
    }

    /// The rest of what was printed, whose beginning must be what was heard.
    fn rest(&mut self, whole: &mut dyn Read, watcher: &mut dyn Watcher) -> Result<(), Stop> {
        let heard = std::mem::replace(self, Self { any: self.any, ..Self::default() });
        let mut begins = Hasher::new();
        let mut left = heard.length;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = match whole.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(local(&error).into()),
            };
            let known = usize::try_from(left).unwrap_or(usize::MAX).min(read);
            begins.update(&buffer[..known]);
            left -= known as u64;
            if left == 0 && known > 0 && begins.clone().finish() != heard.hasher.clone().finish()
                || read == 0 && left > 0
            {
                return Err(Fault::Corrupt("what it streamed is not what was printed".into()).into());
            }
            if read == 0 {
                return Ok(());
            }
            if known < read {
                self.any = true;
                watcher.bytes(&buffer[known..read]);
            }
        }
    }
}

type Log = BoxStream<'static, Result<ReadResponse, tonic::Status>>;

/// An Operation, from its beginning to its end.
struct Following<'a> {
    client: &'a Client,
    watcher: &'a mut dyn Watcher,
    heard: &'a mut Heard,
    log: Option<Log>,
    /// How long it may take.
    time: Duration,
    stage: re::execution_stage::Value,
    /// When it came to this stage.
    since: Instant,
    /// When the server was last heard of.
    news: Instant,
    /// It was told that it is in a queue.
    told: bool,
    /// The Operation's name, once it is known.
    operation: String,
}

impl Following<'_> {
    async fn run(&mut self, action: &re::Digest, anew: bool) -> Result<re::ExecuteResponse, Stop> {
        let mut waits = WAITS;
        loop {
            let begun = Instant::now();
            let fault = match self.follow(action, anew).await {
                Ok(response) => return Ok(response),
                Err(Stop::Fault(fault)) => fault,
                Err(stop) => return Err(stop),
            };
            // What was begun goes on without a listener, and is asked for again. One that the server has forgotten is begun anew.
            if begun.elapsed() > self.client.patience {
                waits = WAITS;
            }
            if self.operation.is_empty() || fault.is_absent() || !fault.may_pass() || waits == 0 {
                return Err(fault.into());
            }
            waits -= 1;
            self.attend(sleep(LOOK)).await?;
        }
    }

    /// One stream of news, to the Operation's end or its own.
    async fn follow(&mut self, action: &re::Digest, anew: bool) -> Result<re::ExecuteResponse, Stop> {
        let mut calls = self.client.execution();
        let begin = re::ExecuteRequest {
            instance_name: self.client.instance.clone(),
            skip_cache_lookup: anew,
            action_digest: Some(action.clone()),
            ..re::ExecuteRequest::default()
        };
        let wait = re::WaitExecutionRequest { name: self.operation.clone() };
        let opening = async move {
            let first = wait.name.is_empty();
            let opened = if first { calls.execute(begin).await } else { calls.wait_execution(wait).await };
            let mut news: Streaming<Operation> = opened.map_err(|status| Fault::of(&status))?.into_inner();
            let first = news.message().await.map_err(|status| Fault::of(&status))?;
            Ok::<_, Fault>((first, news))
        };
        // How an Operation stands is said at once; what comes of it, in its own time.
        let patience = self.client.patience;
        let opened = self.attend(timeout(patience, opening)).await?.map_err(|_| Fault::Silent(patience))?;
        let (mut first, mut news) = opened?;
        loop {
            let message = match first.take() {
                Some(message) => Some(message),
                None => self.attend(news.message()).await?.map_err(|status| Fault::of(&status))?,
            };
            let Some(operation) = message else {
                return Err(Fault::Status(Code::Unavailable, "it stopped telling of a task that it runs".into()).into());
            };
            if let Some(response) = self.hears_of(operation)? {
                return Ok(response);
            }
        }
    }

    /// The server says how the Operation stands.
    fn hears_of(&mut self, operation: Operation) -> Result<Option<re::ExecuteResponse>, Stop> {
        // One that has ended is asked for no more.
        self.operation = if operation.done { String::new() } else { operation.name };
        if let Some(metadata) = operation.metadata
            && let Ok(told) = re::ExecuteOperationMetadata::decode(metadata.value.as_slice())
        {
            let stage = told.stage();
            if stage != self.stage {
                (self.stage, self.since) = (stage, Instant::now());
            }
            if self.log.is_none() && !self.heard.any && !told.stdout_stream_name.is_empty() && !operation.done {
                self.log = Some(self.listen(told.stdout_stream_name));
            }
        }
        let response = match operation.result {
            _ if !operation.done => return Ok(None),
            Some(Outcome::Error(status)) => {
                return Err(Fault::Declined(Code::from(status.code), one_line(&status.message)).into());
            }
            Some(Outcome::Response(response)) => re::ExecuteResponse::decode(response.value.as_slice())
                .map_err(|_| Fault::Corrupt("an end that is no ExecuteResponse".into()))?,
            None => return Err(Fault::Corrupt("an end without a response".into()).into()),
        };
        match response.status.as_ref().map_or(Code::Ok, |status| Code::from(status.code)) {
            Code::Ok => Ok(Some(response)),
            Code::DeadlineExceeded => Err(Stop::TimedOut),
            code => {
                let message = response.status.map(|status| status.message).unwrap_or_default();
                Err(Fault::Declined(code, one_line(&message)).into())
            }
        }
    }

    fn listen(&self, resource_name: String) -> Log {
        let mut calls = self.client.bytes();
        let request = Request::new(ReadRequest { resource_name, read_offset: 0, read_limit: 0 });
        async move { calls.read(request).await.map(tonic::Response::into_inner) }.try_flatten_stream().boxed()
    }

    /// `work`, while what is printed is passed on, the clock is looked at, and a server that says nothing is asked whether it
    /// is there.
    async fn attend<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Stop> {
        let mut work = std::pin::pin!(work);
        loop {
            let log = &mut self.log;
            let printed = async move {
                match log {
                    Some(log) => log.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                // First, so that what has come is passed on before the end is looked at.
                piece = printed => match piece {
                    Some(Ok(piece)) if self.heard.length + (piece.data.len() as u64) <= HEARD => {
                        self.news = Instant::now();
                        self.heard.hears(&piece.data, self.watcher);
                    }
                    // What it does not bring comes at the end.
                    _ => self.log = None,
                },
                done = &mut work => {
                    self.news = Instant::now();
                    return Ok(done);
                }
                () = sleep(LOOK) => {}
            }
            self.look().await?;
        }
    }

    async fn look(&mut self) -> Result<(), Stop> {
        use re::execution_stage::Value::{CacheCheck, Executing, Queued};
        if self.watcher.gives_up() {
            self.cancel().await;
            return Err(Stop::GivenUp);
        }
        let patience = self.client.patience;
        let waits = matches!(self.stage, CacheCheck | Queued);
        if waits && !self.told && self.since.elapsed() > QUEUE {
            self.told = true;
            self.watcher.queued();
        }
        // The server ends it in time; this is for one that does not.
        if self.since.elapsed() > self.time + patience {
            self.cancel().await;
            let all = self.stage == Executing || !waits;
            return Err(if all { Stop::TimedOut } else { Fault::Queued(self.time).into() });
        }
        if self.news.elapsed() > patience / 2 {
            let asked = timeout(patience / 2, self.client.is_there()).await;
            asked.unwrap_or(Err(Fault::Silent(patience)))?;
            self.news = Instant::now();
        }
        Ok(())
    }

    /// Asks the server to stop. One that can't, notices that nobody listens.
    async fn cancel(&mut self) {
        if self.operation.is_empty() {
            return;
        }
        let mut calls = self.client.operations();
        let request = CancelOperationRequest { name: self.operation.clone() };
        let cancelled = timeout(self.client.patience, calls.cancel_operation(request)).await;
        tracing::debug!(operation = self.operation, ?cancelled, "cancelled");
    }
}
