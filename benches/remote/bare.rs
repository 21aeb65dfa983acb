//! The same bytes by bare calls of ByteStream.

use bazel_remote_apis::google::bytestream::byte_stream_client::ByteStreamClient;
use bazel_remote_apis::google::bytestream::{ReadRequest, WriteRequest};
use std::time::{Duration, Instant};
use weir::model::Digest;

/// As large as weir's.
const CHUNK: usize = 128 << 10;

/// Gives a blob and takes it back: how long each took.
pub fn there_and_back(address: &str, data: Vec<u8>) -> (Duration, Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (digest, size) = (Digest::of(&data), data.len());
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
        let endpoint = endpoint.initial_stream_window_size(1 << 20).initial_connection_window_size(4 << 20);
        let mut client = ByteStreamClient::new(endpoint.tcp_nodelay(true).connect().await.unwrap());
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
