//! One connection, and calls that end: each within its time, tried again where that may help, and given up
//! when the circuit opens.

use super::breaker::Fault;
use super::patience::Pace;
use super::{proto, tls};
use crate::cache::sharing::RemoteSettings;
use bazel_remote_apis::build::bazel::remote::execution::v2 as re;
use bazel_remote_apis::google::bytestream::byte_stream_client::ByteStreamClient;
use bazel_remote_apis::google::longrunning::operations_client::OperationsClient;
use re::action_cache_client::ActionCacheClient;
use re::capabilities_client::CapabilitiesClient;
use re::content_addressable_storage_client::ContentAddressableStorageClient;
use re::execution_client::ExecutionClient;
use std::future::Future;
use std::time::Duration;
use tokio::sync::{OnceCell, watch};
use tokio::time::{Instant, sleep, timeout_at};
use tonic::metadata::{AsciiMetadataKey, AsciiMetadataValue, BinaryMetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

/// Above this, a message of the server is no answer to anything weir asks.
const LARGEST_MESSAGE: usize = 16 << 20;
/// What may be under way to a stream, and to all of them together, before it is taken: all of it may be in memory.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// A frame of HTTP/2. There are fewer of them than of the 16 KiB that are usual, and each has its price.
const FRAME: u32 = 256 << 10;
/// What a message holds beside its blobs, at most, for each of them.
pub(super) const OVERHEAD: u64 = 128;
/// How often a call is tried.
const TRIES: u32 = 3;

pub(super) type Line = InterceptedService<Channel, Headers>;

/// Puts the headers on each call.
#[derive(Clone)]
pub(super) struct Headers(Vec<(AsciiMetadataKey, AsciiMetadataValue)>, BinaryMetadataValue);

impl tonic::service::Interceptor for Headers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        for (name, value) in &self.0 {
            request.metadata_mut().insert(name.clone(), value.clone());
        }
        request.metadata_mut().insert_bin("build.bazel.remote.execution.v2.requestmetadata-bin", self.1.clone());
        Ok(request)
    }
}

/// What the server allows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of blobs in one message; none: it does not say.
    pub(super) batch: Option<u64>,
    /// Bytes of a blob.
    pub(super) blob: u64,
    /// It takes results.
    pub(super) updates: bool,
    /// It runs actions.
    pub(super) executes: bool,
    /// It gives blobs as zstd, and takes them so as streams.
    pub(super) packs: bool,
    /// It takes them so in messages.
    pub(super) takes_packed: bool,
}

/// A connection to a server.
pub(super) struct Client {
    channel: Channel,
    headers: Headers,
    /// The server's instance.
    pub(super) instance: String,
    /// How long the server may stay silent.
    pub(super) patience: Duration,
    /// How much it is sent and asked for at once.
    pub(super) pace: Pace,
    /// Whether blobs are packed where the server offers it.
    packs: bool,
    /// Where it is reached by TLS: whether it is shown a certificate.
    shows: Option<bool>,
    off: watch::Receiver<bool>,
    limits: OnceCell<Limits>,
}

impl Client {
    /// Connects with the first call. Inside of a runtime.
    pub(super) fn new(settings: &RemoteSettings, off: watch::Receiver<bool>) -> Result<Self, Fault> {
        let unfit = |what: &str, error: &dyn std::fmt::Display| Fault::Unfit(format!("{what}: {error}"));
        let (secured, authority) =
            crate::config::parse_endpoint(&settings.endpoint).map_err(|why| Fault::Unfit(why.to_owned()))?;
        let scheme = if secured { "https" } else { "http" };
        let mut endpoint = Endpoint::from_shared(format!("{scheme}://{authority}"))
            .map_err(|error| unfit("the endpoint", &error))?
            .connect_timeout(settings.patience)
            .tcp_nodelay(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME);
        if secured {
            endpoint = tls::secured(endpoint, settings)?;
        }
        let mut headers = Vec::new();
        for (name, value) in &settings.headers {
            let named = AsciiMetadataKey::from_bytes(name.as_bytes()).map_err(|error| unfit("a header", &error))?;
            // What is wrong with a value must not show it.
            let value = AsciiMetadataValue::try_from(value)
                .map_err(|_| Fault::Unfit(format!("the value of `{name}` is no text")))?;
            headers.push((named, value));
        }
        Ok(Self {
            channel: endpoint.connect_lazy(),
            headers: Headers(headers, BinaryMetadataValue::from_bytes(&proto::metadata())),
            instance: settings.instance.clone(),
            patience: settings.patience,
            pace: Pace::new(settings.patience),
            packs: settings.compression,
            shows: secured.then_some(settings.identity.is_some()),
            off,
            limits: OnceCell::new(),
        })
    }

    fn line(&self) -> Line {
        InterceptedService::new(self.channel.clone(), self.headers.clone())
    }

    pub(super) fn cas(&self) -> ContentAddressableStorageClient<Line> {
        ContentAddressableStorageClient::new(self.line()).max_decoding_message_size(LARGEST_MESSAGE)
    }

    pub(super) fn results(&self) -> ActionCacheClient<Line> {
        ActionCacheClient::new(self.line()).max_decoding_message_size(LARGEST_MESSAGE)
    }

    pub(super) fn bytes(&self) -> ByteStreamClient<Line> {
        ByteStreamClient::new(self.line()).max_decoding_message_size(LARGEST_MESSAGE)
    }

    pub(super) fn execution(&self) -> ExecutionClient<Line> {
        ExecutionClient::new(self.line()).max_decoding_message_size(LARGEST_MESSAGE)
    }

    pub(super) fn operations(&self) -> OperationsClient<Line> {
        OperationsClient::new(self.line())
    }

    /// Whether the server answers.
    pub(super) async fn is_there(&self) -> Result<(), Fault> {
        self.capabilities().await.map(drop)
    }

    /// `work`, unless the circuit opens meanwhile.
    pub(super) async fn unless_off<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let mut off = self.off.clone();
        tokio::select! {
            biased;
            _ = off.wait_for(|off| *off) => Err(Fault::Off),
            done = work => done,
        }
    }

    /// Bytes of blobs that a message may hold now.
    pub(super) fn batch(&self, limits: &Limits) -> u64 {
        limits.batch.unwrap_or(u64::MAX).min(self.pace.most())
    }

    /// A call of one message each way, with `bytes` of blobs, which the server answers within its patience: however
    /// often it is tried, and whatever it carries.
    pub(super) async fn call<T, F>(&self, bytes: u64, ask: impl Fn() -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let deadline = Instant::now() + self.patience;
        self.unless_off(async {
            let mut pause = Duration::from_millis(40);
            for again in (0..TRIES).rev() {
                let under_way = (bytes > 0).then(|| self.pace.begin());
                let fault = match timeout_at(deadline, ask()).await {
                    Err(_) => return Err(Fault::Silent(self.patience)),
                    Ok(Ok(answer)) => {
                        under_way.into_iter().for_each(|transfer| transfer.done(bytes));
                        return Ok(answer.into_inner());
                    }
                    Ok(Err(status)) => Fault::of(&status),
                };
                if again == 0 || !fault.may_pass() || Instant::now() + pause > deadline {
                    return Err(fault);
                }
                sleep(pause).await;
                pause *= 3;
            }
            Err(Fault::Silent(self.patience))
        })
        .await
    }

    async fn capabilities(&self) -> Result<re::ServerCapabilities, Fault> {
        let client = CapabilitiesClient::new(self.line());
        self.call(0, || {
            let mut client = client.clone();
            let request = re::GetCapabilitiesRequest { instance_name: self.instance.clone() };
            async move { client.get_capabilities(request).await }
        })
        .await
        .map_err(|fault| tls::read(fault, self.shows))
    }

    /// What the server allows; asked once.
    pub(super) async fn limits(&self) -> Result<Limits, Fault> {
        self.limits.get_or_try_init(|| async { limits(&self.capabilities().await?, self.packs) }).await.copied()
    }

    /// The same, if that was asked.
    pub(super) fn known_limits(&self) -> Option<Limits> {
        self.limits.get().copied()
    }

    /// What the server can do, for people.
    pub(super) async fn describe(&self) -> Result<Vec<(&'static str, String)>, Fault> {
        let told = self.capabilities().await?;
        let limits = limits(&told, self.packs)?;
        let version = |version: &Option<_>| {
            version
                .as_ref()
                .map(|v: &bazel_remote_apis::build::bazel::semver::SemVer| format!("{}.{}", v.major, v.minor))
        };
        let mut lines = vec![];
        if let (Some(low), Some(high)) = (version(&told.low_api_version), version(&told.high_api_version)) {
            lines.push(("versions", if low == high { low } else { format!("{low} to {high}") }));
        }
        lines.push(("digests", "SHA-256".to_owned()));
        lines.push(("results", if limits.updates { "taken and given" } else { "only given, none taken" }.to_owned()));
        lines.push(("batches", limits.batch.map_or("of any size".to_owned(), |most| format!("up to {most} bytes"))));
        if limits.blob < u64::MAX {
            lines.push(("largest blob", format!("{} bytes", limits.blob)));
        }
        lines.push(("compression", compression(&told, self.packs).to_owned()));
        lines.push(("execution", if limits.executes { "offered" } else { "not offered" }.to_owned()));
        Ok(lines)
    }
}

/// Whether the server offers zstd: as streams and in what it gives, and in messages that it takes.
fn offers(cache: &re::CacheCapabilities) -> (bool, bool) {
    let zstd = re::compressor::Value::Zstd as i32;
    (cache.supported_compressors.contains(&zstd), cache.supported_batch_update_compressors.contains(&zstd))
}

/// What becomes of `compression`, for people.
fn compression(told: &re::ServerCapabilities, wanted: bool) -> &'static str {
    match (told.cache_capabilities.as_ref().map_or((false, false), offers), wanted) {
        ((false, false), _) => "not offered",
        (_, false) => "zstd is offered, and `compression` does not ask for it",
        ((true, true), true) => "zstd",
        ((true, false), true) => "zstd, but for small blobs that are given",
        ((false, true), true) => "zstd for small blobs that are given",
    }
}

fn limits(told: &re::ServerCapabilities, packs: bool) -> Result<Limits, Fault> {
    let major = |version: &Option<bazel_remote_apis::build::bazel::semver::SemVer>| version.as_ref().map(|v| v.major);
    if major(&told.low_api_version).is_some_and(|low| low > 2)
        || major(&told.high_api_version).is_some_and(|high| high < 2)
    {
        return Err(Fault::Unfit("it does not speak version 2 of the Remote Execution API".into()));
    }
    let cache = told.cache_capabilities.as_ref();
    let cache = cache.ok_or_else(|| Fault::Unfit("it offers no cache".into()))?;
    if !cache.digest_functions.contains(&(re::digest_function::Value::Sha256 as i32)) {
        return Err(Fault::Unfit("it does not know SHA-256".into()));
    }
    let given = |limit: i64| u64::try_from(limit).ok().filter(|limit| *limit > 0);
    let (streams, messages) = offers(cache);
    Ok(Limits {
        batch: given(cache.max_batch_total_size_bytes),
        blob: given(cache.max_cas_blob_size_bytes).unwrap_or(u64::MAX),
        updates: cache.action_cache_update_capabilities.as_ref().is_some_and(|updates| updates.update_enabled),
        executes: executes(told),
        packs: packs && streams,
        takes_packed: packs && messages,
    })
}

/// Whether actions can be run, named by SHA-256 and with `output_paths`, which came with version 2.1.
fn executes(told: &re::ServerCapabilities) -> bool {
    let Some(offered) = told.execution_capabilities.as_ref().filter(|offered| offered.exec_enabled) else {
        return false;
    };
    let sha256 = re::digest_function::Value::Sha256 as i32;
    let hashes = &offered.digest_functions;
    let named =
        if hashes.is_empty() { [0, sha256].contains(&offered.digest_function) } else { hashes.contains(&sha256) };
    named && told.high_api_version.as_ref().is_none_or(|high| (high.major, high.minor) >= (2, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(2);

    /// How long a call takes whose every try is `ask`, by a clock that only moves while nothing is left to do.
    fn takes<F>(bytes: u64, ask: impl Fn() -> F) -> (Duration, Fault)
    where
        F: Future<Output = Result<Response<()>, Status>>,
    {
        let settings = RemoteSettings {
            endpoint: "grpc://127.0.0.1:1".into(),
            instance: String::new(),
            writes: true,
            headers: vec![],
            authorities: None,
            identity: None,
            patience: PATIENCE,
            compression: false,
            required: false,
            platform: std::collections::BTreeMap::new(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let open = watch::Sender::new(false);
            let client = Client::new(&settings, open.subscribe()).unwrap();
            let began = Instant::now();
            let fault = client.call(bytes, ask).await.unwrap_err();
            (began.elapsed(), fault)
        })
    }

    #[test]
    fn a_call_takes_no_longer_than_the_patience() {
        let about = |took: Duration| took >= PATIENCE && took <= PATIENCE + Duration::from_millis(2);
        for bytes in [0, 1 << 20, 1 << 30] {
            let (took, fault) = takes(bytes, std::future::pending);
            assert!(about(took) && matches!(fault, Fault::Silent(PATIENCE)), "{bytes}: {took:?}, {fault:?}");
        }
        // However often it is tried.
        for millis in [0, 10, 600, 1900, 1999, 2500] {
            let (took, fault) = takes(1 << 20, || async move {
                sleep(Duration::from_millis(millis)).await;
                Err(Status::unavailable("gone"))
            });
            assert!(took <= PATIENCE + Duration::from_millis(2), "{millis}: {took:?}, {fault:?}");
        }
        let (took, _) = takes(0, || async { Err(Status::invalid_argument("no")) });
        assert_eq!(took, Duration::ZERO);
    }
}
