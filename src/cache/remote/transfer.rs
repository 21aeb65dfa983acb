//! Blobs there and back: together where they are small, as streams where they are not, packed where that is asked
//! for; each verified.

use super::breaker::Fault;
use super::client::{Client, Limits, OVERHEAD};
use super::packing::{Packing, Unpacking, pack, unpack};
use super::patience::{Moved, while_it_moves};
use super::proto;
use crate::cache::store::Store;
use crate::model::{Digest, Hasher};
use bazel_remote_apis::build::bazel::remote::execution::v2 as re;
use bazel_remote_apis::google::bytestream::{ReadRequest, WriteRequest};
use re::compressor::Value::{Identity, Zstd};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tonic::{Code, Status};

/// Digests asked for in one message.
const ASKED_AT_ONCE: u64 = 4096;
/// A piece of a stream.
const CHUNK: usize = 128 << 10;

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

pub(super) fn local(error: &std::io::Error) -> Fault {
    Fault::Local(error.to_string())
}

impl Client {
    /// Which of these blobs the server does not have.
    pub(super) async fn missing(&self, all: &[(Digest, u64)]) -> Result<BTreeSet<Digest>, Fault> {
        let mut missing = BTreeSet::new();
        let mut rest = all;
        while !rest.is_empty() {
            let most = (self.pace.most() / OVERHEAD).min(ASKED_AT_ONCE) as usize;
            let (some, more) = rest.split_at(most.min(rest.len()));
            rest = more;
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

    /// Gives small blobs in one message; says how many bytes that took.
    pub(super) async fn give_together(&self, blobs: Vec<(Digest, Vec<u8>)>, limits: &Limits) -> Result<u64, Fault> {
        let requests: Vec<_> = blobs
            .into_iter()
            .map(|(digest, data)| {
                let digest = Some(proto::digest(&digest, data.len() as u64));
                let packed = if limits.takes_packed { pack(&data) } else { None };
                let compressor = if packed.is_some() { Zstd } else { Identity } as i32;
                re::batch_update_blobs_request::Request { digest, data: packed.unwrap_or(data), compressor }
            })
            .collect();
        let bytes = requests.iter().map(|one| one.data.len() as u64).sum();
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
        Ok(bytes)
    }

    /// Gives a large blob in pieces; says how many bytes that took.
    pub(super) async fn give_stream(&self, blob: &Given, store: &Store, limits: &Limits) -> Result<u64, Fault> {
        let moved = Moved::new(self.patience);
        let mut tries = 2;
        loop {
            let transfer = self.pace.begin();
            let given = self.unless_off(self.give_stream_once(blob, store, limits, &moved)).await;
            match given {
                Err(fault) if self.may_again(&fault, &moved) && tries > 0 => tries -= 1,
                Err(Fault::Status(Code::AlreadyExists, _)) => return Ok(0),
                Err(fault) => return Err(fault),
                Ok(sent) => {
                    transfer.done(sent);
                    return Ok(sent);
                }
            }
            drop(transfer);
            moved.again();
            sleep(Duration::from_millis(40)).await;
        }
    }

    /// Whether a stream that broke off is begun again: not where the server was long silent before.
    pub(super) fn may_again(&self, fault: &Fault, moved: &Moved) -> bool {
        fault.may_pass() && moved.silence() < self.patience / 4
    }

    async fn give_stream_once(
        &self,
        blob: &Given,
        store: &Store,
        limits: &Limits,
        moved: &Moved,
    ) -> Result<u64, Fault> {
        let mut reader: Box<dyn Read> = match &blob.content {
            Content::Bytes(bytes) => Box::new(Cursor::new(Arc::clone(bytes).to_vec())),
            Content::Stored => Box::new(store.open_blob(&blob.digest).map_err(|error| local(&error))?),
            Content::Lies(path) => Box::new(File::open(path).map_err(|error| local(&error))?),
        };
        let first = fill(&mut reader, CHUNK)?;
        // What is packed already does not get smaller: its first piece tells.
        let packing = if limits.packs && pack(&first).is_some() { Some(Packing::new()) } else { None };
        let packing = packing.transpose().map_err(|error| local(&error))?;
        let blobs = if packing.is_some() { "compressed-blobs/zstd" } else { "blobs" };
        let slash = if self.instance.is_empty() { "" } else { "/" };
        let name = format!("{}{slash}uploads/{}/{blobs}/{}/{}", self.instance, upload_id(), blob.digest, blob.size);
        let packed = packing.is_some();
        let (pieces, mut sent) = mpsc::channel(1);
        let feed = Feed { reader: Box::new(Cursor::new(first).chain(reader)), packing, name, pieces };
        let mut client = self.bytes();
        let pieces = futures_util::stream::poll_fn(move |context| sent.poll_recv(context));
        let call = async move {
            let answer = client.write(pieces).await;
            answer.map(tonic::Response::into_inner).map_err(|status| Fault::of(&status))
        };
        let work = async {
            let (mut call, mut feed) = (std::pin::pin!(call), std::pin::pin!(feed.send(blob, moved)));
            let mut sent = None;
            loop {
                // A server that has the blob already may say so before it has read all.
                tokio::select! {
                    biased;
                    answer = &mut call => return Ok((answer?, sent)),
                    fed = &mut feed, if sent.is_none() => sent = Some(fed?),
                }
            }
        };
        let (answer, sent) = while_it_moves(moved, self.patience, work).await?;
        let is = |bytes: u64| u64::try_from(answer.committed_size) == Ok(bytes);
        // Of a packed blob that it has already, a server says -1.
        if sent.is_some_and(is) || is(blob.size) || (packed && answer.committed_size == -1) {
            return Ok(sent.unwrap_or(0));
        }
        Err(Fault::Corrupt(format!("it took {} bytes of a blob of {}", answer.committed_size, blob.size)))
    }

    /// Takes small blobs in one message; says how many bytes that took.
    pub(super) async fn take_together(
        &self,
        wanted: &[(Digest, u64)],
        limits: &Limits,
    ) -> Result<(Vec<(Digest, Vec<u8>)>, u64), Fault> {
        let (blobs, bytes) = verify_each(wanted, self.read_together(wanted, limits).await?, limits);
        let named = wanted.iter().zip(blobs).map(|((digest, _), blob)| Ok((*digest, blob?)));
        Ok((named.collect::<Result<_, Fault>>()?, bytes))
    }

    /// Asks for small blobs in one message.
    pub(super) async fn read_together(
        &self,
        wanted: &[(Digest, u64)],
        limits: &Limits,
    ) -> Result<re::BatchReadBlobsResponse, Fault> {
        let bytes = wanted.iter().map(|(_, size)| size).sum();
        let digests: Vec<re::Digest> = wanted.iter().map(|(digest, size)| proto::digest(digest, *size)).collect();
        let client = self.cas();
        self.call(bytes, || {
            let mut client = client.clone();
            let request = re::BatchReadBlobsRequest {
                instance_name: self.instance.clone(),
                digests: digests.clone(),
                acceptable_compressors: limits.packs.then_some(Zstd as i32).into_iter().collect(),
                ..re::BatchReadBlobsRequest::default()
            };
            async move { client.batch_read_blobs(request).await }
        })
        .await
    }

    /// Takes a large blob in pieces, verified at the end; says how many bytes that took.
    pub(super) async fn take_stream(
        &self,
        (digest, size): (&Digest, u64),
        limits: &Limits,
        moved: &Moved,
        mut sink: impl FnMut(&[u8]) -> Result<(), Fault>,
    ) -> Result<u64, Fault> {
        let slash = if self.instance.is_empty() { "" } else { "/" };
        let blobs = if limits.packs { "compressed-blobs/zstd" } else { "blobs" };
        let resource_name = format!("{}{slash}{blobs}/{digest}/{size}", self.instance);
        let transfer = self.pace.begin();
        let work = async {
            let mut client = self.bytes();
            let request = ReadRequest { resource_name, read_offset: 0, read_limit: 0 };
            let mut pieces = client.read(request).await.map_err(|status| Fault::of(&status))?.into_inner();
            let mut unpacking = if limits.packs { Some(Unpacking::new(size)?) } else { None };
            let mut hasher = Hasher::new();
            let (mut length, mut came) = (0, 0);
            let mut take = |bytes: &[u8]| {
                length += bytes.len() as u64;
                // A stream without an end must not fill the disk.
                if length > size {
                    return Err(corrupt(digest));
                }
                hasher.update(bytes);
                sink(bytes)
            };
            while let Some(piece) = pieces.message().await.map_err(|status: Status| Fault::of(&status))? {
                came += piece.data.len() as u64;
                match &mut unpacking {
                    Some(unpacking) => unpacking.add(&piece.data, &mut take)?,
                    None => take(&piece.data)?,
                }
                moved.reach(came);
            }
            if length == size && hasher.finish() == *digest { Ok(came) } else { Err(corrupt(digest)) }
        };
        let came = self.unless_off(while_it_moves(moved, self.patience, work)).await?;
        transfer.done(came);
        Ok(came)
    }
}

/// Each of the blobs that were wanted, verified, out of what was given; and how many bytes crossed the line for them.
pub(super) fn verify_each(
    wanted: &[(Digest, u64)],
    gave: re::BatchReadBlobsResponse,
    limits: &Limits,
) -> (Vec<Result<Vec<u8>, Fault>>, u64) {
    let mut bytes = 0;
    let mut given: BTreeMap<Digest, re::batch_read_blobs_response::Response> = BTreeMap::new();
    for one in gave.responses {
        bytes += one.data.len() as u64;
        if let Some((digest, _)) = one.digest.as_ref().and_then(proto::parse_digest) {
            given.insert(digest, one);
        }
    }
    let verify = |(digest, size): &(Digest, u64)| {
        let told = given.remove(digest);
        let told = told.ok_or_else(|| Fault::Corrupt("no word on a blob that it was asked for".into()))?;
        if let Some(status) = told.status.filter(|status| status.code != 0) {
            return Err(Fault::Status(Code::from(status.code), status.message));
        }
        let data = match told.compressor {
            packed if packed == Zstd as i32 && limits.packs => unpack(&told.data, *size)?,
            plain if plain == Identity as i32 => told.data,
            other => return Err(Fault::Corrupt(format!("a blob in encoding {other}, which nobody asked for"))),
        };
        if data.len() as u64 != *size || Digest::of(&data) != *digest {
            return Err(corrupt(digest));
        }
        Ok(data)
    };
    (wanted.iter().map(verify).collect(), bytes)
}

fn corrupt(digest: &Digest) -> Fault {
    Fault::Corrupt(format!("blob `{}` has other content", digest.short()))
}

/// The next bytes, `most` of them unless it ends before.
fn fill(from: &mut dyn Read, most: usize) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::with_capacity(most);
    from.take(most as u64).read_to_end(&mut bytes).map_err(|error| local(&error))?;
    Ok(bytes)
}

/// What sends a blob in pieces, read as they are sent.
struct Feed {
    reader: Box<dyn Read>,
    packing: Option<Packing>,
    name: String,
    pieces: mpsc::Sender<WriteRequest>,
}

impl Feed {
    /// Sends all of it; says how many bytes that were. A blob that turns out to be damaged here is never sent whole.
    async fn send(mut self, blob: &Given, moved: &Moved) -> Result<u64, Fault> {
        let mut hasher = Some(Hasher::new());
        let (mut read, mut sent) = (0, 0);
        loop {
            let mut data = fill(&mut self.reader, CHUNK)?;
            read += data.len() as u64;
            let last = data.len() < CHUNK || read >= blob.size;
            hasher.iter_mut().for_each(|hasher| hasher.update(&data));
            if last && (read != blob.size || hasher.take().map(Hasher::finish) != Some(blob.digest)) {
                return Err(damaged(&blob.digest));
            }
            if let Some(packing) = &mut self.packing {
                data = packing.add(&data, last).map_err(|error| local(&error))?;
            }
            if last || !data.is_empty() {
                let length = data.len() as u64;
                // Only the first piece needs the name.
                let resource_name = std::mem::take(&mut self.name);
                let write_offset = i64::try_from(sent).unwrap_or(i64::MAX);
                let piece = WriteRequest { resource_name, write_offset, finish_write: last, data };
                if self.pieces.send(piece).await.is_err() {
                    // Nobody reads on: the answer says why.
                    return std::future::pending().await;
                }
                sent += length;
            }
            moved.reach(read);
            if last {
                return Ok(sent);
            }
        }
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
