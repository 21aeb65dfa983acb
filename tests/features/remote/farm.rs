//! A server in this process that keeps what it is given, counts what it is asked, and fails where it is told to.

use bazel_remote_apis::build::bazel::remote::execution::v2 as re;
use bazel_remote_apis::google::bytestream as stream;
use bazel_remote_apis::google::longrunning as lro;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use lro::operations_server::OperationsServer;
use re::action_cache_server::{ActionCache, ActionCacheServer};
use re::capabilities_server::{Capabilities, CapabilitiesServer};
use re::content_addressable_storage_server::{ContentAddressableStorage, ContentAddressableStorageServer};
use re::execution_server::ExecutionServer;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::{Arc, Mutex, MutexGuard};
use stream::byte_stream_server::{ByteStream, ByteStreamServer};
use tonic::transport::ServerTlsConfig;
use tonic::{Code, Request, Response, Status, Streaming};

/// Blobs above this are streamed.
const BATCH: i64 = 32 << 10;

/// The calls that weir makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Capabilities,
    GetResult,
    UpdateResult,
    FindMissing,
    BatchUpdate,
    BatchRead,
    Read,
    Write,
    Execute,
    WaitExecution,
}

impl Call {
    /// Made while a result is taken.
    pub const TAKING: [Self; 4] = [Self::Capabilities, Self::GetResult, Self::BatchRead, Self::Read];
    /// Made while a result is given.
    pub const GIVING: [Self; 5] =
        [Self::Capabilities, Self::FindMissing, Self::BatchUpdate, Self::Write, Self::UpdateResult];
}

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This status.
    Says(Code),
    /// This status, of a blob, in an answer that is well.
    SaysOfBlob(Code),
    /// No answer, ever.
    Hangs,
    /// No answer before so many results were asked for.
    After(usize),
    /// Fewer bytes than asked for.
    Short,
    /// As many bytes, and others.
    Other,
    /// Bytes without an end.
    Endless,
    /// An error after some bytes.
    Breaks,
    /// Nothing is said of what was asked.
    Silent,
    /// Of a packed blob: a few bytes that stand for very many.
    Bomb,
    /// Of a packed blob: frames with nothing in them, without an end.
    Empty,
}

#[derive(Default)]
pub struct State {
    pub blobs: BTreeMap<String, Vec<u8>>,
    pub results: BTreeMap<String, re::ActionResult>,
    pub calls: BTreeMap<Call, usize>,
    /// Something was called.
    called: Arc<tokio::sync::Notify>,
    pub headers: Vec<(String, String)>,
    /// Of each action that it was to carry out: what it has of it does not count.
    pub anew: Vec<bool>,
    pub operations: BTreeMap<String, lro::Operation>,
    pub cancelled: Vec<String>,
    /// What it streams of any task, where it does; no task ends before somebody has heard it to its end.
    pub streamed: Option<Vec<u8>>,
    pub heard_out: Arc<tokio::sync::Notify>,
    /// The news of every task break off.
    pub breaks: bool,
    /// It carries out nothing.
    pub only_keeps: bool,
    /// Blobs that crossed the line packed.
    pub packed: BTreeMap<Call, usize>,
    offers: (bool, bool),
    fault: Option<(Call, Fault)>,
    /// How often it still goes wrong; none: until it is mended.
    left: Option<u32>,
    token: Option<String>,
}

/// The server; it ends when it is dropped.
pub struct Farm {
    pub address: String,
    state: Shared,
    _stop: tokio::sync::oneshot::Sender<()>,
}

#[derive(Clone, Default)]
pub struct Shared(pub Arc<Mutex<State>>);

impl Farm {
    pub fn new() -> Self {
        Self::start(None)
    }

    /// One that is reached through TLS.
    pub fn with_tls(tls: ServerTlsConfig) -> Self {
        Self::start(Some(tls))
    }

    fn start(tls: Option<ServerTlsConfig>) -> Self {
        let secured = tls.is_some();
        let state = Shared::default();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let served = state.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let incoming = tonic::transport::server::TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
                tell.send(incoming.local_addr().unwrap()).unwrap();
                let most = 16 << 20;
                let server = tonic::transport::Server::builder();
                let mut server = match tls {
                    Some(tls) => server.tls_config(tls).unwrap(),
                    None => server,
                };
                let server = server
                    .add_service(CapabilitiesServer::new(served.clone()))
                    .add_service(ActionCacheServer::new(served.clone()))
                    .add_service(ContentAddressableStorageServer::new(served.clone()).max_decoding_message_size(most))
                    .add_service(ExecutionServer::new(served.clone()))
                    .add_service(OperationsServer::new(served.clone()))
                    .add_service(ByteStreamServer::new(served).max_decoding_message_size(most));
                tokio::select! {
                    ended = server.serve_with_incoming(incoming) => ended.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        let address = told.recv().unwrap();
        let address = if secured { format!("grpcs://{address}") } else { format!("grpc://{address}") };
        Self { address, state, _stop: stop }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap()
    }

    /// From now on this call goes wrong so.
    pub fn fail(&self, call: Call, fault: Fault) {
        let mut state = self.state();
        (state.fault, state.left) = (Some((call, fault)), None);
    }

    /// The next time this call goes wrong so, and then no more.
    pub fn fail_once(&self, call: Call, fault: Fault) {
        let mut state = self.state();
        (state.fault, state.left) = (Some((call, fault)), Some(1));
    }

    /// The news of a task break off the first time, and from then on asking for it again goes wrong so.
    pub fn fail_after_breaking(&self, fault: Fault) {
        self.fail(Call::WaitExecution, fault);
        self.state().breaks = true;
    }

    /// All is well again.
    pub fn mend(&self) {
        self.state().fault = None;
    }

    /// Only who brings this token is answered.
    pub fn ask_for(&self, token: &str) {
        self.state().token = Some(token.into());
    }

    /// Offers zstd: as streams and in what it gives, and in messages that it takes.
    pub fn offer_zstd(&self, streams: bool, messages: bool) {
        self.state().offers = (streams, messages);
    }

    /// How many blobs crossed the line packed in these calls.
    pub fn packed(&self, call: Call) -> usize {
        self.state().packed.get(&call).copied().unwrap_or(0)
    }

    pub fn calls(&self, call: Call) -> usize {
        self.state().calls.get(&call).copied().unwrap_or(0)
    }

    pub fn all_calls(&self) -> usize {
        self.state().calls.values().sum()
    }
}

impl Shared {
    /// Counts a call; gives the fault that its answer has, if it gets that far.
    pub async fn enter<T>(&self, call: Call, request: &Request<T>) -> Result<Option<Fault>, Status> {
        let fault = {
            let mut state = self.0.lock().unwrap();
            *state.calls.entry(call).or_default() += 1;
            state.called.notify_waiters();
            let header =
                |name: &str| request.metadata().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            state.headers =
                ["authorization", "x-team"].into_iter().filter_map(|name| Some((name.into(), header(name)?))).collect();
            if state.token.is_some()
                && header("authorization") != state.token.as_ref().map(|token| format!("Bearer {token}"))
            {
                return Err(Status::unauthenticated("no such token"));
            }
            let fault = state.fault.filter(|(failing, _)| *failing == call && state.left != Some(0));
            if fault.is_some() {
                state.left = state.left.map(|left| left - 1);
            }
            fault.map(|(_, fault)| fault)
        };
        match fault {
            Some(Fault::Says(code)) => Err(Status::new(code, "told to fail")),
            Some(Fault::Hangs) => std::future::pending().await,
            Some(Fault::After(count)) => {
                let asked = || self.0.lock().unwrap().calls.get(&Call::GetResult).copied().unwrap_or(0);
                let called = self.0.lock().unwrap().called.clone();
                loop {
                    let mut next = std::pin::pin!(called.notified());
                    // From here on no call is missed, though it comes before anybody waits.
                    next.as_mut().enable();
                    if asked() >= count {
                        return Ok(None);
                    }
                    next.await;
                }
            }
            other => Ok(other),
        }
    }
}

impl Shared {
    /// Whether a stream is of a packed blob; counts it.
    fn is_packed(&self, call: Call, name: &str) -> bool {
        let packed = name.contains("compressed-blobs/zstd/");
        let mut state = self.0.lock().unwrap();
        assert!(!packed || state.offers.0);
        *state.packed.entry(call).or_default() += usize::from(packed);
        packed
    }
}

const ZSTD: i32 = re::compressor::Value::Zstd as i32;

/// A blob, packed.
fn packed(fault: Option<Fault>, data: &[u8]) -> Vec<u8> {
    match fault {
        Some(Fault::Bomb) => zstd::encode_all(std::io::repeat(0).take(64 << 20), 1).unwrap(),
        Some(Fault::Empty) => zstd::encode_all(&[][..], 1).unwrap().repeat(data.len()),
        _ => zstd::encode_all(data, 1).unwrap(),
    }
}

pub type Answer<T> = Result<Response<T>, Status>;

fn spoil(fault: Option<Fault>, mut data: Vec<u8>) -> Vec<u8> {
    match fault {
        Some(Fault::Short) => data.truncate(data.len() / 2),
        Some(Fault::Other) => data.iter_mut().for_each(|byte| *byte ^= 1),
        _ => {}
    }
    data
}

#[tonic::async_trait]
impl Capabilities for Shared {
    async fn get_capabilities(&self, request: Request<re::GetCapabilitiesRequest>) -> Answer<re::ServerCapabilities> {
        let fault = self.enter(Call::Capabilities, &request).await?;
        let sha256 = re::digest_function::Value::Sha256 as i32;
        let other = re::digest_function::Value::Blake3 as i32;
        let (streams, messages) = self.0.lock().unwrap().offers;
        let zstd = |offered: bool| if offered { vec![ZSTD] } else { vec![] };
        Ok(Response::new(re::ServerCapabilities {
            cache_capabilities: (fault != Some(Fault::Silent)).then(|| re::CacheCapabilities {
                digest_functions: vec![if fault == Some(Fault::Other) { other } else { sha256 }],
                action_cache_update_capabilities: Some(re::ActionCacheUpdateCapabilities {
                    update_enabled: fault != Some(Fault::Short),
                }),
                max_batch_total_size_bytes: BATCH,
                supported_compressors: zstd(streams),
                supported_batch_update_compressors: zstd(messages),
                ..re::CacheCapabilities::default()
            }),
            execution_capabilities: (!self.0.lock().unwrap().only_keeps).then(|| re::ExecutionCapabilities {
                digest_function: sha256,
                exec_enabled: true,
                ..re::ExecutionCapabilities::default()
            }),
            ..re::ServerCapabilities::default()
        }))
    }
}

#[tonic::async_trait]
impl ActionCache for Shared {
    async fn get_action_result(&self, request: Request<re::GetActionResultRequest>) -> Answer<re::ActionResult> {
        let fault = self.enter(Call::GetResult, &request).await?;
        let state = self.0.lock().unwrap();
        let asked = request.into_inner().action_digest.unwrap().hash;
        let mut found = state.results.get(&asked).cloned().ok_or_else(|| Status::not_found("no such result"))?;
        match fault {
            // A result that somebody else left.
            Some(Fault::Silent) => found.output_files.clear(),
            // The result of another action.
            Some(Fault::Other) => {
                let another = state.results.iter().find(|(hash, _)| **hash != asked);
                found = another.map(|(_, other)| other.clone()).unwrap();
            }
            // Its record under the name of nothing.
            Some(Fault::Short) => found.output_files[0].digest.as_mut().unwrap().size_bytes = 3,
            _ => {}
        }
        Ok(Response::new(found))
    }

    async fn update_action_result(&self, request: Request<re::UpdateActionResultRequest>) -> Answer<re::ActionResult> {
        self.enter(Call::UpdateResult, &request).await?;
        let request = request.into_inner();
        let (name, result) = (request.action_digest.unwrap().hash, request.action_result.unwrap());
        let mut state = self.0.lock().unwrap();
        // What a result names was given before it.
        let named = result.output_files.iter().filter_map(|file| file.digest.as_ref()).chain(&result.stdout_digest);
        let mut named = named.chain(result.output_directories.iter().filter_map(|tree| tree.tree_digest.as_ref()));
        if !named.all(|digest| state.blobs.contains_key(&digest.hash)) || !state.blobs.contains_key(&name) {
            return Err(Status::failed_precondition("a blob is missing"));
        }
        state.results.insert(name, result.clone());
        Ok(Response::new(result))
    }
}

#[tonic::async_trait]
impl ContentAddressableStorage for Shared {
    async fn find_missing_blobs(
        &self,
        request: Request<re::FindMissingBlobsRequest>,
    ) -> Answer<re::FindMissingBlobsResponse> {
        let fault = self.enter(Call::FindMissing, &request).await?;
        let state = self.0.lock().unwrap();
        let mut missing = request.into_inner().blob_digests;
        missing.retain(|digest| !state.blobs.contains_key(&digest.hash));
        if fault == Some(Fault::Silent) {
            missing.clear();
        }
        if fault == Some(Fault::Other) {
            missing = vec![re::Digest { hash: "f".repeat(64), size_bytes: 7 }];
        }
        Ok(Response::new(re::FindMissingBlobsResponse { missing_blob_digests: missing }))
    }

    async fn batch_update_blobs(
        &self,
        request: Request<re::BatchUpdateBlobsRequest>,
    ) -> Answer<re::BatchUpdateBlobsResponse> {
        let fault = self.enter(Call::BatchUpdate, &request).await?;
        let mut state = self.0.lock().unwrap();
        let mut responses = vec![];
        for one in request.into_inner().requests {
            let digest = one.digest.unwrap();
            let data = if one.compressor == ZSTD {
                assert!(state.offers.1);
                *state.packed.entry(Call::BatchUpdate).or_default() += 1;
                zstd::decode_all(&one.data[..]).unwrap()
            } else {
                one.data
            };
            assert_eq!((sha256(&data), data.len()), (digest.hash.clone(), usize::try_from(digest.size_bytes).unwrap()));
            let code = match fault {
                Some(Fault::SaysOfBlob(code)) => code,
                _ => Code::Ok,
            };
            if code == Code::Ok {
                state.blobs.insert(digest.hash.clone(), data);
            }
            let status = Some(status(code));
            responses.push(re::batch_update_blobs_response::Response { digest: Some(digest), status });
        }
        if fault == Some(Fault::Silent) {
            responses.clear();
        }
        Ok(Response::new(re::BatchUpdateBlobsResponse { responses }))
    }

    async fn batch_read_blobs(
        &self,
        request: Request<re::BatchReadBlobsRequest>,
    ) -> Answer<re::BatchReadBlobsResponse> {
        let fault = self.enter(Call::BatchRead, &request).await?;
        let mut state = self.0.lock().unwrap();
        let mut responses = vec![];
        let request = request.into_inner();
        let packs = state.offers.0 && request.acceptable_compressors.contains(&ZSTD);
        for digest in request.digests {
            let (code, data) = match (fault, state.blobs.get(&digest.hash)) {
                (Some(Fault::SaysOfBlob(code)), _) => (code, vec![]),
                (_, None) => (Code::NotFound, vec![]),
                (_, Some(data)) if packs => (Code::Ok, spoil(fault, packed(fault, data))),
                (_, Some(data)) => (Code::Ok, spoil(fault, data.clone())),
            };
            let compressor = if packs { ZSTD } else { 0 };
            *state.packed.entry(Call::BatchRead).or_default() += usize::from(packs && code == Code::Ok);
            let status = Some(status(code));
            responses.push(re::batch_read_blobs_response::Response { digest: Some(digest), data, compressor, status });
        }
        if fault == Some(Fault::Silent) {
            responses.clear();
        }
        Ok(Response::new(re::BatchReadBlobsResponse { responses }))
    }

    type GetTreeStream = BoxStream<'static, Result<re::GetTreeResponse, Status>>;

    async fn get_tree(&self, _: Request<re::GetTreeRequest>) -> Answer<Self::GetTreeStream> {
        Err(Status::unimplemented("nobody asks for it"))
    }

    async fn split_blob(&self, _: Request<re::SplitBlobRequest>) -> Answer<re::SplitBlobResponse> {
        Err(Status::unimplemented("nobody asks for it"))
    }

    async fn register_chunk_mapping(
        &self,
        _: Request<Streaming<re::RegisterChunkMappingRequest>>,
    ) -> Answer<re::RegisterChunkMappingResponse> {
        Err(Status::unimplemented("nobody asks for it"))
    }

    type GetChunkMappingStream = BoxStream<'static, Result<re::GetChunkMappingResponse, Status>>;

    async fn get_chunk_mapping(&self, _: Request<re::GetChunkMappingRequest>) -> Answer<Self::GetChunkMappingStream> {
        Err(Status::unimplemented("nobody asks for it"))
    }

    async fn splice_blob(&self, _: Request<re::SpliceBlobRequest>) -> Answer<re::SpliceBlobResponse> {
        Err(Status::unimplemented("nobody asks for it"))
    }
}

#[tonic::async_trait]
impl ByteStream for Shared {
    type ReadStream = BoxStream<'static, Result<stream::ReadResponse, Status>>;

    async fn read(&self, request: Request<stream::ReadRequest>) -> Answer<Self::ReadStream> {
        let fault = self.enter(Call::Read, &request).await?;
        let name = request.into_inner().resource_name;
        let log = self.0.lock().unwrap().streamed.clone().filter(|_| name == "logs/stdout");
        if let Some(log) = log {
            let piece = |data: &[u8]| Ok(stream::ReadResponse { data: data.to_vec() });
            let pieces: Vec<_> = log.chunks(5).map(piece).collect();
            let heard_out = self.0.lock().unwrap().heard_out.clone();
            let end = futures_util::stream::poll_fn(move |_| {
                heard_out.notify_one();
                std::task::Poll::Ready(None)
            });
            return Ok(Response::new(futures_util::stream::iter(pieces).chain(end).boxed()));
        }
        let hash = name.split('/').rev().nth(1).unwrap().to_owned();
        let mut data =
            self.0.lock().unwrap().blobs.get(&hash).cloned().ok_or_else(|| Status::not_found("no such blob"))?;
        if self.is_packed(Call::Read, &name) {
            data = packed(fault, &data);
        }
        let data = spoil(fault, data);
        let piece = |data: &[u8]| Ok(stream::ReadResponse { data: data.to_vec() });
        let mut pieces: Vec<_> = data.chunks(10_000).map(piece).collect();
        if fault == Some(Fault::Breaks) {
            pieces.truncate(2);
            pieces.push(Err(Status::internal("told to break")));
        }
        if fault == Some(Fault::Silent) {
            let first = futures_util::stream::iter(pieces.into_iter().take(1));
            return Ok(Response::new(first.chain(futures_util::stream::pending()).boxed()));
        }
        if fault == Some(Fault::Endless) {
            return Ok(Response::new(
                futures_util::stream::repeat_with(move || piece(&data[..data.len().min(10_000)])).boxed(),
            ));
        }
        Ok(Response::new(futures_util::stream::iter(pieces).boxed()))
    }

    async fn write(&self, request: Request<Streaming<stream::WriteRequest>>) -> Answer<stream::WriteResponse> {
        let fault = self.enter(Call::Write, &request).await?;
        let mut pieces = request.into_inner();
        let (mut name, mut data, mut finished) = (String::new(), vec![], false);
        while let Some(piece) = pieces.message().await? {
            assert!(!finished && piece.write_offset == i64::try_from(data.len()).unwrap());
            if name.is_empty() {
                name = piece.resource_name;
            }
            if fault == Some(Fault::Silent) {
                std::future::pending::<()>().await;
            }
            data.extend(piece.data);
            finished = piece.finish_write;
            if fault == Some(Fault::Breaks) {
                return Err(Status::internal("told to break"));
            }
        }
        let hash = name.split('/').rev().nth(1).unwrap().to_owned();
        let committed_size = i64::try_from(data.len()).unwrap();
        if self.is_packed(Call::Write, &name) {
            data = zstd::decode_all(&data[..]).map_err(|error| Status::invalid_argument(error.to_string()))?;
        }
        if !finished || sha256(&data) != hash {
            return Err(Status::invalid_argument("not what its name says"));
        }
        if fault == Some(Fault::Short) {
            return Ok(Response::new(stream::WriteResponse { committed_size: committed_size / 2 }));
        }
        self.0.lock().unwrap().blobs.insert(hash, data);
        Ok(Response::new(stream::WriteResponse { committed_size }))
    }

    async fn query_write_status(
        &self,
        _: Request<stream::QueryWriteStatusRequest>,
    ) -> Answer<stream::QueryWriteStatusResponse> {
        Err(Status::unimplemented("nobody asks for it"))
    }
}

pub fn status(code: Code) -> bazel_remote_apis::google::rpc::Status {
    bazel_remote_apis::google::rpc::Status { code: code as i32, message: "told to".into(), details: vec![] }
}

pub fn sha256(data: &[u8]) -> String {
    weir::model::Digest::of(data).to_hex()
}
