//! What the server itself reaches, asked by bare calls: the same bytes in one stream, and as many results as weir takes, of the same
//! shape.

use bazel_remote_apis::build::bazel::remote::execution::v2 as re;
use bazel_remote_apis::google::bytestream::byte_stream_client::ByteStreamClient;
use bazel_remote_apis::google::bytestream::{ReadRequest, WriteRequest};
use futures_util::StreamExt;
use prost::Message;
use re::action_cache_client::ActionCacheClient;
use re::content_addressable_storage_client::ContentAddressableStorageClient;
use std::time::{Duration, Instant};
use tonic::transport::Channel;
use weir::model::Digest;

/// As large as weir's.
const CHUNK: usize = 128 << 10;
/// Results that are asked for at once, as many as weir does at the most; more are not faster.
const AT_ONCE: usize = 64;
/// Blobs in a message: half a megabyte.
const TOGETHER: usize = 500;

fn on_one_thread<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

async fn connect(address: &str) -> Channel {
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
    let endpoint = endpoint.initial_stream_window_size(4 << 20).initial_connection_window_size(16 << 20);
    endpoint.max_frame_size(256 << 10).tcp_nodelay(true).connect().await.unwrap()
}

/// Gives a blob and takes it back: how long each took.
pub fn there_and_back(address: &str, data: Vec<u8>) -> (Duration, Duration) {
    on_one_thread(async {
        let (digest, size) = (Digest::of(&data), data.len());
        let mut client = ByteStreamClient::new(connect(address).await);
        let name = format!("uploads/00000000-0000-4000-8000-000000000000/blobs/{digest}/{size}");
        let started = Instant::now();
        let pieces = (0..size.div_ceil(CHUNK)).map(move |number| {
            let (from, to) = (number * CHUNK, ((number + 1) * CHUNK).min(size));
            WriteRequest {
                resource_name: if number == 0 { name.clone() } else { String::new() },
                write_offset: i64::try_from(from).unwrap(),
                finish_write: to == size,
                data: data[from..to].to_vec(),
            }
        });
        let answer = client.write(futures_util::stream::iter(pieces)).await.unwrap().into_inner();
        assert_eq!(usize::try_from(answer.committed_size).unwrap(), size);
        let there = started.elapsed();
        let started = Instant::now();
        let request = ReadRequest { resource_name: format!("blobs/{digest}/{size}"), read_offset: 0, read_limit: 0 };
        let mut pieces = client.read(request).await.unwrap().into_inner();
        let mut came = 0;
        while let Some(piece) = pieces.message().await.unwrap() {
            came += piece.data.len();
        }
        assert_eq!(came, size);
        (there, started.elapsed())
    })
}

fn named(data: &[u8]) -> re::Digest {
    re::Digest { hash: Digest::of(data).to_hex(), size_bytes: i64::try_from(data.len()).unwrap() }
}

/// One result as weir leaves them: an action, an output, a record, the folders they are in.
struct Left {
    action: re::Digest,
    output: re::Digest,
    result: re::ActionResult,
    blobs: Vec<Vec<u8>>,
}

impl Left {
    fn new(number: usize) -> Self {
        let output = format!("{number:08} ").repeat(1024 / 9).into_bytes();
        let record = format!("{number:08}|").repeat(900 / 9).into_bytes();
        let file = re::FileNode { name: number.to_string(), digest: Some(named(&output)), ..re::FileNode::default() };
        let child = re::Directory { files: vec![file], ..re::Directory::default() };
        let below = re::DirectoryNode { name: "out".to_owned(), digest: Some(named(&child.encode_to_vec())) };
        let root = re::Directory { directories: vec![below], ..re::Directory::default() };
        let tree = re::Tree { root: Some(root.clone()), children: vec![child.clone()] }.encode_to_vec();
        let command = re::Command { arguments: vec![format!("bare {number}")], ..re::Command::default() };
        let command = command.encode_to_vec();
        let action = re::Action { command_digest: Some(named(&command)), ..re::Action::default() }.encode_to_vec();
        let result = re::ActionResult {
            output_files: vec![re::OutputFile {
                path: ".weir/result".to_owned(),
                digest: Some(named(&record)),
                ..re::OutputFile::default()
            }],
            output_directories: vec![re::OutputDirectory {
                tree_digest: Some(named(&tree)),
                root_directory_digest: Some(named(&root.encode_to_vec())),
                ..re::OutputDirectory::default()
            }],
            ..re::ActionResult::default()
        };
        let (root, child) = (root.encode_to_vec(), child.encode_to_vec());
        Self {
            action: named(&action),
            output: named(&output),
            result,
            blobs: vec![action, command, output, record, tree, root, child],
        }
    }
}

/// Results on a server.
pub struct Results {
    all: Vec<Left>,
    address: String,
}

impl Results {
    /// Gives them.
    pub fn give(address: &str, count: usize) -> Self {
        let all: Vec<Left> = (0..count).map(Left::new).collect();
        on_one_thread(async {
            let channel = connect(address).await;
            let mut blobs = ContentAddressableStorageClient::new(channel.clone());
            for some in all.chunks(100) {
                let requests =
                    some.iter().flat_map(|left| &left.blobs).map(|data| re::batch_update_blobs_request::Request {
                        digest: Some(named(data)),
                        data: data.clone(),
                        ..re::batch_update_blobs_request::Request::default()
                    });
                let requests = requests.collect();
                let request = re::BatchUpdateBlobsRequest { requests, ..re::BatchUpdateBlobsRequest::default() };
                blobs.batch_update_blobs(request).await.unwrap();
            }
            let mut results = ActionCacheClient::new(channel);
            for left in &all {
                let request = re::UpdateActionResultRequest {
                    action_digest: Some(left.action.clone()),
                    action_result: Some(left.result.clone()),
                    ..re::UpdateActionResultRequest::default()
                };
                results.update_action_result(request).await.unwrap();
            }
        });
        Self { all, address: address.to_owned() }
    }

    /// How long it takes to have all of them again, with their outputs; nothing is looked at, and nothing written.
    pub fn take(&self) -> Duration {
        on_one_thread(async {
            let channel = connect(&self.address).await;
            let started = Instant::now();
            let asked = futures_util::stream::iter(&self.all).map(|left| {
                let mut results = ActionCacheClient::new(channel.clone());
                let request = re::GetActionResultRequest {
                    action_digest: Some(left.action.clone()),
                    inline_output_files: vec![".weir/result".to_owned()],
                    ..re::GetActionResultRequest::default()
                };
                async move { results.get_action_result(request).await.unwrap() }
            });
            assert_eq!(asked.buffer_unordered(AT_ONCE).count().await, self.all.len());
            let taken = futures_util::stream::iter(self.all.chunks(TOGETHER)).map(|some| {
                let blobs = ContentAddressableStorageClient::new(channel.clone());
                let mut blobs = blobs.max_decoding_message_size(16 << 20);
                let digests = some.iter().map(|left| left.output.clone()).collect();
                let request = re::BatchReadBlobsRequest { digests, ..re::BatchReadBlobsRequest::default() };
                async move { blobs.batch_read_blobs(request).await.unwrap().into_inner().responses }
            });
            let taken = taken.buffer_unordered(2).fold(0, |count, some| async move { count + some.len() }).await;
            assert_eq!(taken, self.all.len());
            started.elapsed()
        })
    }
}
