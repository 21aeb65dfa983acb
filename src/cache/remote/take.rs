//! Taking a result: the record of it, then every blob it names; only then does it count.

use super::Inner;
use super::breaker::Fault;
use super::proto::{self, KeyAction};
use crate::cache::outputs::{EntryKind, Manifest};
use crate::cache::store::{Store, StoredResult, unpack};
use crate::model::{Digest, WsPath};
use bazel_remote_apis::build::bazel::remote::execution::v2 as re;
use std::collections::BTreeSet;

impl Inner {
    /// The result under `key`, everything it names in `store`; none: there is none, or none that is whole.
    pub(super) fn take(&self, key: &Digest, store: &Store) -> Result<Option<StoredResult>, Fault> {
        match self.take_whole(key, store) {
            // Some servers keep results longer than what they name.
            Err(fault) if fault.is_absent() => Ok(None),
            other => other,
        }
    }

    fn take_whole(&self, key: &Digest, store: &Store) -> Result<Option<StoredResult>, Fault> {
        let (client, handle) = self.client()?;
        handle.block_on(client.limits())?;
        let action = KeyAction::new(key);
        let calls = client.results();
        let asked = handle.block_on(client.call(0, || {
            let mut calls = calls.clone();
            let request = re::GetActionResultRequest {
                instance_name: client.instance.clone(),
                action_digest: Some(action.name()),
                inline_output_files: vec![proto::RESULT.to_owned()],
                ..re::GetActionResultRequest::default()
            };
            async move { calls.get_action_result(request).await }
        }));
        let result = asked?;
        let Some((digest, size, inline)) = proto::record_of(&result) else {
            return Err(Fault::Corrupt("a result that weir did not leave".into()));
        };
        let record = if inline.len() as u64 == size && Digest::of(inline) == digest {
            inline.to_vec()
        } else {
            self.take_bytes(&digest, size)?
        };
        // One of another version is that version's.
        let Some(stored) = unpack(&record) else { return Ok(None) };
        check(&stored, key)?;
        let wanted: BTreeSet<(Digest, u64)> =
            blobs_of(&stored).into_iter().filter(|(digest, _)| !store.has_blob(digest)).collect();
        self.take_blobs(&wanted, store)?;
        Ok(Some(stored))
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
