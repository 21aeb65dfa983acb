//! Blobs there and back: together where they are small, as streams where they are not; each verified.

use super::Inner;
use super::breaker::Fault;
use super::client::{Client, OVERHEAD};
use super::proto::{self, LARGEST_RESULT};
use crate::cache::store::Store;
use crate::model::{Digest, Hasher};
use bazel_remote_apis::build::bazel::remote::execution::v2 as re;
use bazel_remote_apis::google::bytestream::{ReadRequest, WriteRequest};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};

/// Digests asked for in one message.
const ASKED_AT_ONCE: usize = 4096;
/// A piece of a stream.
const CHUNK: usize = 128 << 10;
/// A stream that brings less than this in a second has stopped.
const TRICKLE: u64 = 8 << 10;

/// A blob to be given: its digest, its bytes, and where they are.
pub(super) struct Given {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) content: Content,
}

/// Where the bytes of a blob are.
#[derive(Clone)]
pub(super) enum Content {
    /// Here.
    Bytes(Arc<Vec<u8>>),
    /// In the store.
    Stored,
    /// In the workspace, where it may be written to meanwhile.
    Lies(PathBuf),
}

/// Bytes that came together, in one place.
trait Sink {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Fault>;
}

impl<F: FnMut(&[u8]) -> Result<(), Fault>> Sink for F {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self(bytes)
    }
}

pub(super) fn local(error: &std::io::Error) -> Fault {
    Fault::Local(error.to_string())
}

impl Client {
    /// Which of these blobs the server does not have.
    pub(super) async fn missing(&self, all: &[(Digest, u64)]) -> Result<BTreeSet<Digest>, Fault> {
        let mut missing = BTreeSet::new();
        for some in all.chunks(ASKED_AT_ONCE) {
            let digests: Vec<re::Digest> = some.iter().map(|(digest, size)| proto::digest(digest, *size)).collect();
            let client = self.cas();
            let answer = self
                .call(some.len() as u64 * OVERHEAD, || {
                    let mut client = client.clone();
                    let request = re::FindMissingBlobsRequest {
                        instance_name: self.instance.clone(),
                        blob_digests: digests.clone(),
                        ..re::FindMissingBlobsRequest::default()
                    };
                    async move { client.find_missing_blobs(request).await }
                })
                .await?;
            // What was not asked for is none of ours.
            missing
                .extend(answer.missing_blob_digests.iter().filter_map(proto::parse_digest).map(|(digest, _)| digest));
        }
        Ok(missing)
    }

    /// Gives small blobs in one message.
    pub(super) async fn give_together(&self, blobs: Vec<(Digest, Vec<u8>)>) -> Result<(), Fault> {
        let bytes = blobs.iter().map(|(_, data)| data.len() as u64).sum();
        let requests: Vec<_> = blobs
            .into_iter()
            .map(|(digest, data)| re::batch_update_blobs_request::Request {
                digest: Some(proto::digest(&digest, data.len() as u64)),
                data,
                compressor: 0,
            })
            .collect();
        let client = self.cas();
        let answer = self
            .call(bytes, || {
                let mut client = client.clone();
                let request = re::BatchUpdateBlobsRequest {
                    instance_name: self.instance.clone(),
                    requests: requests.clone(),
                    ..re::BatchUpdateBlobsRequest::default()
                };
                async move { client.batch_update_blobs(request).await }
            })
            .await?;
        for one in &requests {
            let told = answer.responses.iter().find(|told| told.digest == one.digest);
            let told = told.ok_or_else(|| Fault::Corrupt("no word on a blob that it was given".into()))?;
            if let Some(status) = told.status.as_ref().filter(|status| status.code != 0) {
                return Err(Fault::Status(Code::from(status.code), status.message.clone()));
            }
        }
        Ok(())
    }

    /// Gives a large blob in pieces.
    pub(super) async fn give_stream(&self, blob: &Given, store: &Store) -> Result<(), Fault> {
        let mut tries = 2;
        loop {
            let given = self.give_stream_once(blob, store).await;
            match given {
                Err(fault) if fault.may_pass() && tries > 0 => tries -= 1,
                Err(Fault::Status(Code::AlreadyExists, _)) => return Ok(()),
                other => return other,
            }
            sleep(Duration::from_millis(40)).await;
        }
    }

    async fn give_stream_once(&self, blob: &Given, store: &Store) -> Result<(), Fault> {
        let sent = Arc::new(AtomicU64::new(0));
        let reader: Box<dyn Read + Send> = match &blob.content {
            Content::Bytes(bytes) => Box::new(std::io::Cursor::new(Vec::clone(bytes))),
            Content::Stored => Box::new(store.open_blob(&blob.digest).map_err(|error| local(&error))?),
            Content::Lies(path) => Box::new(File::open(path).map_err(|error| local(&error))?),
        };
        let slash = if self.instance.is_empty() { "" } else { "/" };
        let name = format!("{}{slash}uploads/{}/blobs/{}/{}", self.instance, upload_id(), blob.digest, blob.size);
        let pieces = Pieces { reader, name, at: 0, size: blob.size, sent: Arc::clone(&sent), ended: false };
        let mut client = self.bytes();
        let call = async move {
            let answer = client.write(futures_util::stream::iter(pieces)).await;
            answer.map(tonic::Response::into_inner).map_err(|status| Fault::of(&status))
        };
        let answer = self.unless_off(self.while_it_moves(&sent, call)).await?;
        // A server that has the blob already may say so before it has read all.
        if u64::try_from(answer.committed_size) == Ok(blob.size) {
            return Ok(());
        }
        Err(Fault::Corrupt(format!("it took {} bytes of a blob of {}", answer.committed_size, blob.size)))
    }

    /// `work`, for as long as `moved` goes on growing.
    async fn while_it_moves<T>(
        &self,
        moved: &AtomicU64,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let mut work = std::pin::pin!(work);
        let least = (TRICKLE as f64 * self.patience.as_secs_f64()) as u64;
        let mut before = 0;
        loop {
            if let Ok(done) = timeout(self.patience, &mut work).await {
                return done;
            }
            let now = moved.load(Ordering::Relaxed);
            if now < before + least.max(1) {
                return Err(Fault::Silent(self.patience));
            }
            before = now;
        }
    }

    /// Takes small blobs in one message.
    async fn take_together(&self, wanted: &[(Digest, u64)]) -> Result<Vec<(Digest, Vec<u8>)>, Fault> {
        let bytes = wanted.iter().map(|(_, size)| size).sum();
        let digests: Vec<re::Digest> = wanted.iter().map(|(digest, size)| proto::digest(digest, *size)).collect();
        let client = self.cas();
        let answer = self
            .call(bytes, || {
                let mut client = client.clone();
                let request = re::BatchReadBlobsRequest {
                    instance_name: self.instance.clone(),
                    digests: digests.clone(),
                    ..re::BatchReadBlobsRequest::default()
                };
                async move { client.batch_read_blobs(request).await }
            })
            .await?;
        let mut given: BTreeMap<Digest, Vec<u8>> = BTreeMap::new();
        for one in answer.responses {
            let Some((digest, _)) = one.digest.as_ref().and_then(proto::parse_digest) else { continue };
            match one.status.filter(|status| status.code != 0) {
                Some(status) => return Err(Fault::Status(Code::from(status.code), status.message)),
                None => given.insert(digest, one.data),
            };
        }
        let mut taken = Vec::with_capacity(wanted.len());
        for (digest, size) in wanted {
            let data =
                given.remove(digest).ok_or_else(|| Fault::Corrupt("no word on a blob that it was asked for".into()))?;
            if data.len() as u64 != *size || Digest::of(&data) != *digest {
                return Err(corrupt(digest));
            }
            taken.push((*digest, data));
        }
        Ok(taken)
    }

    /// Takes a large blob in pieces, verified at the end.
    async fn take_stream(&self, digest: &Digest, size: u64, sink: &mut dyn Sink) -> Result<(), Fault> {
        let slash = if self.instance.is_empty() { "" } else { "/" };
        let resource_name = format!("{}{slash}blobs/{digest}/{size}", self.instance);
        let moved = AtomicU64::new(0);
        let work = async {
            let mut client = self.bytes();
            let request = ReadRequest { resource_name, read_offset: 0, read_limit: 0 };
            let mut pieces = client.read(request).await.map_err(|status| Fault::of(&status))?.into_inner();
            let mut hasher = Hasher::new();
            let mut length = 0;
            while let Some(piece) = pieces.message().await.map_err(|status: Status| Fault::of(&status))? {
                length += piece.data.len() as u64;
                // A stream without an end must not fill the disk.
                if length > size {
                    return Err(corrupt(digest));
                }
                moved.store(length, Ordering::Relaxed);
                hasher.update(&piece.data);
                sink.take(&piece.data)?;
            }
            if length == size && hasher.finish() == *digest { Ok(()) } else { Err(corrupt(digest)) }
        };
        self.unless_off(self.while_it_moves(&moved, work)).await
    }
}

fn corrupt(digest: &Digest) -> Fault {
    Fault::Corrupt(format!("blob `{}` has other content", digest.short()))
}

impl Inner {
    /// Takes blobs into the store, each once.
    pub(super) fn take_blobs(&self, wanted: &BTreeSet<(Digest, u64)>, store: &Store) -> Result<(), Fault> {
        let (client, handle) = self.client()?;
        let limits = handle.block_on(client.limits())?;
        let mut batch: Vec<(Digest, u64)> = Vec::new();
        let mut batched = 0;
        for (digest, size) in wanted {
            if *size == 0 {
                store.put_bytes(b"").map_err(|error| local(&error))?;
            } else if size + OVERHEAD > limits.batch {
                self.take_large(client, handle, digest, *size, store)?;
            } else {
                if batched + size + OVERHEAD > limits.batch {
                    self.take_batch(client, handle, &std::mem::take(&mut batch), store)?;
                    batched = 0;
                }
                batched += size + OVERHEAD;
                batch.push((*digest, *size));
            }
        }
        if batch.is_empty() { Ok(()) } else { self.take_batch(client, handle, &batch, store) }
    }

    fn take_batch(
        &self,
        client: &Client,
        handle: &tokio::runtime::Handle,
        batch: &[(Digest, u64)],
        store: &Store,
    ) -> Result<(), Fault> {
        for (_, data) in handle.block_on(client.take_together(batch))? {
            self.bytes_down.fetch_add(data.len() as u64, Ordering::Relaxed);
            store.put_bytes(&data).map_err(|error| local(&error))?;
        }
        Ok(())
    }

    fn take_large(
        &self,
        client: &Client,
        handle: &tokio::runtime::Handle,
        digest: &Digest,
        size: u64,
        store: &Store,
    ) -> Result<(), Fault> {
        let mut tries = 2;
        loop {
            let mut making = store.begin_blob(digest).map_err(|error| local(&error))?;
            let mut sink = |bytes: &[u8]| making.write(bytes).map_err(|error| local(&error));
            match handle.block_on(client.take_stream(digest, size, &mut sink)) {
                Ok(()) => {
                    self.bytes_down.fetch_add(size, Ordering::Relaxed);
                    return making.keep().map_err(|error| local(&error));
                }
                Err(fault) if fault.may_pass() && tries > 0 => tries -= 1,
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Takes a blob that is looked at here and not kept.
    pub(super) fn take_bytes(&self, digest: &Digest, size: u64) -> Result<Vec<u8>, Fault> {
        if size > LARGEST_RESULT {
            return Err(Fault::Corrupt(format!("a result of {size} bytes")));
        }
        let (client, handle) = self.client()?;
        let limits = handle.block_on(client.limits())?;
        let mut bytes = Vec::new();
        if size + OVERHEAD <= limits.batch {
            for (_, data) in handle.block_on(client.take_together(&[(*digest, size)]))? {
                bytes = data;
            }
        } else {
            let mut sink = |more: &[u8]| {
                bytes.extend_from_slice(more);
                Ok(())
            };
            handle.block_on(client.take_stream(digest, size, &mut sink))?;
        }
        self.bytes_down.fetch_add(size, Ordering::Relaxed);
        Ok(bytes)
    }
}

/// A blob in pieces, read as they are sent.
struct Pieces {
    reader: Box<dyn Read + Send>,
    name: String,
    at: u64,
    size: u64,
    sent: Arc<AtomicU64>,
    ended: bool,
}

impl Iterator for Pieces {
    type Item = WriteRequest;

    /// A file that ends too early, or can't be read, ends the stream too early: then the server refuses it.
    fn next(&mut self) -> Option<WriteRequest> {
        if self.ended {
            return None;
        }
        let mut data = vec![0; CHUNK];
        let mut filled = 0;
        while filled < CHUNK {
            match self.reader.read(&mut data[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        data.truncate(filled);
        let write_offset = i64::try_from(self.at).ok()?;
        self.at += filled as u64;
        self.ended = filled < CHUNK || self.at >= self.size;
        self.sent.store(self.at, Ordering::Relaxed);
        // Only the first piece needs the name.
        Some(WriteRequest {
            resource_name: std::mem::take(&mut self.name),
            write_offset,
            finish_write: self.ended,
            data,
        })
    }
}

/// Random enough that no two uploads are taken for one: a UUID, as the protocol asks for.
fn upload_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut seed = Vec::from(std::process::id().to_le_bytes());
    seed.extend_from_slice(&crate::fingerprint::now().to_le_bytes());
    seed.extend_from_slice(&COUNT.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    let hex = Digest::of(&seed).to_hex();
    format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

/// The bytes of a small blob to be given, verified.
pub(super) fn read_verified(blob: &Given, store: &Store) -> Result<Vec<u8>, Fault> {
    let data = match &blob.content {
        Content::Bytes(bytes) => return Ok(Vec::clone(bytes)),
        Content::Stored => {
            let mut data = Vec::new();
            let mut file: File = store.open_blob(&blob.digest).map_err(|error| local(&error))?;
            file.read_to_end(&mut data).map_err(|error| local(&error))?;
            data
        }
        Content::Lies(path) => std::fs::read(path).map_err(|error| local(&error))?,
    };
    if Digest::of(&data) == blob.digest { Ok(data) } else { Err(damaged(&blob.digest)) }
}

/// A blob in this store that is not what its name says.
pub(super) fn damaged(digest: &Digest) -> Fault {
    Fault::Local(format!("blob `{}` is damaged here; `weir cache verify` takes it away", digest.short()))
}
