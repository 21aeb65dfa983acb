//! Taking a result: the record of it, then every blob it names; only then does it count.

use super::breaker::Fault;
use super::client::{Client, Limits, OVERHEAD};
use super::patience::Moved;
use super::proto::{self, KeyAction, LARGEST_RESULT};
use super::transfer::local;
use super::{Inner, Session};
use crate::cache::outputs::{EntryKind, Manifest};
use crate::cache::store::{Store, StoredResult, unpack};
use crate::model::{Digest, WsPath};
use bazel_remote_apis::build::bazel::remote::execution::v2 as re;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

/// What a server says of a key: the name of the record, and its bytes unless they are to come with other small blobs.
pub(super) struct Said {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) record: Option<Vec<u8>>,
    /// Bytes that crossed the line as a stream.
    pub(super) streamed: u64,
}

impl Client {
    /// What the server has under a key.
    pub(super) async fn result(&self, key: &Digest, limits: &Limits) -> Result<Said, Fault> {
        let action = KeyAction::new(key).name();
        let calls = self.results();
        let result = self
            .call(0, || {
                let mut calls = calls.clone();
                let request = re::GetActionResultRequest {
                    instance_name: self.instance.clone(),
                    action_digest: Some(action.clone()),
                    inline_output_files: vec![proto::RESULT.to_owned()],
                    ..re::GetActionResultRequest::default()
                };
                async move { calls.get_action_result(request).await }
            })
            .await?;
        let Some((digest, size, inline)) = proto::record_of(&result) else {
            return Err(Fault::Corrupt("a result that weir did not leave".into()));
        };
        if size > LARGEST_RESULT {
            return Err(Fault::Corrupt(format!("a result of {size} bytes")));
        }
        let record = (inline.len() as u64 == size && Digest::of(inline) == digest).then(|| inline.to_vec());
        if record.is_some() || size + OVERHEAD <= self.batch(limits) {
            return Ok(Said { digest, size, record, streamed: 0 });
        }
        let (moved, mut all) = (Moved::new(self.patience), vec![]);
        let sink = |more: &[u8]| {
            all.extend_from_slice(more);
            Ok(())
        };
        let streamed = self.take_stream((&digest, size), limits, &moved, sink).await?;
        Ok(Said { digest, size, record: Some(all), streamed })
    }
}

/// Some servers keep results longer than what they name: that is no fault.
pub(super) fn whole(taken: Result<Option<StoredResult>, Fault>) -> Result<Option<StoredResult>, Fault> {
    match taken {
        Err(fault) if fault.is_absent() => Ok(None),
        other => other,
    }
}

/// The result of a key, from the bytes of its record; none where they are another version's.
pub(super) fn read_record(key: &Digest, record: &[u8]) -> Result<Option<StoredResult>, Fault> {
    let Some(stored) = unpack(record) else { return Ok(None) };
    check(&stored, key)?;
    Ok(Some(stored))
}

impl Inner {
    /// The result under `key`, everything it names in `store`; none: there is none, or none that is whole.
    pub(super) fn take(&self, key: &Digest, store: &Store) -> Result<Option<StoredResult>, Fault> {
        whole(self.take_whole(key, store))
    }

    fn take_whole(&self, key: &Digest, store: &Store) -> Result<Option<StoredResult>, Fault> {
        let Session { client, handle, limits } = self.session()?;
        let Said { digest, size, record, streamed } = handle.block_on(client.result(key, &limits))?;
        self.bytes_down.fetch_add(streamed, Ordering::Relaxed);
        let record = match record {
            Some(record) => record,
            None => self.take_bytes(&digest, size)?,
        };
        let Some(stored) = read_record(key, &record)? else { return Ok(None) };
        self.complete(&stored, store)?;
        Ok(Some(stored))
    }

    /// Takes what a result names and the store does not have.
    pub(super) fn complete(&self, stored: &StoredResult, store: &Store) -> Result<(), Fault> {
        let wanted: BTreeSet<(Digest, u64)> =
            blobs_of(stored).into_iter().filter(|(digest, _)| !store.has_blob(digest)).collect();
        if wanted.is_empty() { Ok(()) } else { self.take_blobs(&wanted, store) }
    }
}

impl Inner {
    /// Takes blobs into the store, each once.
    pub(super) fn take_blobs(&self, wanted: &BTreeSet<(Digest, u64)>, store: &Store) -> Result<(), Fault> {
        let session = self.session()?;
        let (mut batch, mut batched): (Vec<(Digest, u64)>, u64) = (Vec::new(), 0);
        let mut most = session.client.batch(&session.limits);
        for (digest, size) in wanted {
            if *size == 0 {
                store.put_bytes(b"").map_err(|error| local(&error))?;
                continue;
            }
            if batched + size + OVERHEAD > most && !batch.is_empty() {
                self.take_batch(&session, &std::mem::take(&mut batch), store)?;
                (batched, most) = (0, session.client.batch(&session.limits));
            }
            if size + OVERHEAD > most {
                self.take_large(&session, digest, *size, store)?;
            } else {
                batched += size + OVERHEAD;
                batch.push((*digest, *size));
            }
        }
        if batch.is_empty() { Ok(()) } else { self.take_batch(&session, &batch, store) }
    }

    fn take_batch(&self, session: &Session<'_>, batch: &[(Digest, u64)], store: &Store) -> Result<(), Fault> {
        let (blobs, bytes) = session.handle.block_on(session.client.take_together(batch, &session.limits))?;
        self.bytes_down.fetch_add(bytes, Ordering::Relaxed);
        blobs.iter().try_for_each(|(digest, data)| store.put_verified(digest, data)).map_err(|error| local(&error))
    }

    fn take_large(&self, session: &Session<'_>, digest: &Digest, size: u64, store: &Store) -> Result<(), Fault> {
        let moved = Moved::new(session.client.patience);
        let mut tries = 2;
        loop {
            let mut making = store.begin_blob(digest).map_err(|error| local(&error))?;
            let sink = |bytes: &[u8]| making.write(bytes).map_err(|error| local(&error));
            match session.handle.block_on(session.client.take_stream((digest, size), &session.limits, &moved, sink)) {
                Ok(bytes) => {
                    self.bytes_down.fetch_add(bytes, Ordering::Relaxed);
                    return making.keep().map_err(|error| local(&error));
                }
                Err(fault) if session.client.may_again(&fault, &moved) && tries > 0 => tries -= 1,
                Err(fault) => return Err(fault),
            }
            moved.again();
        }
    }

    /// Takes a blob that is looked at here and not kept.
    pub(super) fn take_bytes(&self, digest: &Digest, size: u64) -> Result<Vec<u8>, Fault> {
        if size > LARGEST_RESULT {
            return Err(Fault::Corrupt(format!("a result of {size} bytes")));
        }
        let session = self.session()?;
        let mut all = Vec::new();
        let bytes = if size + OVERHEAD <= session.client.batch(&session.limits) {
            let (blobs, bytes) =
                session.handle.block_on(session.client.take_together(&[(*digest, size)], &session.limits))?;
            all = blobs.into_iter().map(|(_, data)| data).next().unwrap_or_default();
            bytes
        } else {
            let moved = Moved::new(session.client.patience);
            let sink = |more: &[u8]| {
                all.extend_from_slice(more);
                Ok(())
            };
            session.handle.block_on(session.client.take_stream((digest, size), &session.limits, &moved, sink))?
        };
        self.bytes_down.fetch_add(bytes, Ordering::Relaxed);
        Ok(all)
    }
}

/// Every blob that a result names.
pub(super) fn blobs_of(stored: &StoredResult) -> Vec<(Digest, u64)> {
    blobs_in(&stored.recorded.outputs).chain(stored.recorded.log).collect()
}

/// Every blob that outputs name.
pub(super) fn blobs_in(outputs: &Manifest) -> impl Iterator<Item = (Digest, u64)> {
    outputs.0.iter().filter_map(|entry| match &entry.kind {
        EntryKind::File { digest, size, .. } => Some((*digest, *size)),
        EntryKind::Link { .. } | EntryKind::Folder => None,
    })
}

/// A record must be that of the key, and name no path that a declaration could not.
fn check(stored: &StoredResult, key: &Digest) -> Result<(), Fault> {
    if stored.recorded.key != *key {
        return Err(Fault::Corrupt("the result of another key".into()));
    }
    let clean = |path: &WsPath| WsPath::resolve(&WsPath::root(), path.as_str()).is_ok_and(|same| same == *path);
    let sorted = stored.recorded.outputs.0.windows(2).all(|pair| pair[0].path < pair[1].path);
    if sorted && stored.recorded.outputs.0.iter().all(|entry| !entry.path.is_root() && clean(&entry.path)) {
        return Ok(());
    }
    Err(Fault::Corrupt("a result with paths that no task declares".into()))
}
