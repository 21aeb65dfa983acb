//! A store on another machine, as those see it who use it: what it is asked, and what it may answer. How
//! that is done, and over which protocol, is not known here.

use super::outputs::Manifest;
use super::store::{Store, StoredResult};
use crate::model::{Digest, Notice, WsPath};
use crate::node::Errand;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

/// How a server is reached.
#[derive(Clone)]
pub struct RemoteSettings {
    /// `grpc://HOST:PORT` or `grpcs://HOST:PORT`, valid.
    pub endpoint: String,
    /// The server's instance; may be empty.
    pub instance: String,
    /// Whether results are given to it.
    pub writes: bool,
    /// Headers of each call, a token among them.
    pub headers: Vec<(String, String)>,
    /// Certificates of authorities beside the system's, in PEM.
    pub authorities: Option<Vec<u8>>,
    /// The client's certificate and its key, in PEM.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// How long the server may stay silent.
    pub patience: Duration,
    /// Blobs go as zstd, where it offers that.
    pub compression: bool,
    /// Going on without it is an error.
    pub required: bool,
    /// Properties of the machines that it runs tasks on.
    pub platform: BTreeMap<String, String>,
}

/// What was exchanged in a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exchange {
    /// Bytes of blobs taken, as they crossed the line.
    pub bytes_down: u64,
    /// Bytes of blobs given, likewise.
    pub bytes_up: u64,
    /// Results given.
    pub given: u32,
    /// Tasks run by it.
    pub executed: u32,
}

/// What a server is to do in this machine's place.
pub struct Order<'a> {
    /// What.
    pub errand: &'a Errand,
    /// The files that it may read, and no others, as they lie below `root`.
    pub inputs: &'a Manifest,
    /// The workspace.
    pub root: &'a Path,
    /// Files and folders that it may leave, sorted; none within another.
    pub outputs: &'a [WsPath],
    /// Which paths in them are wanted.
    pub keeps: &'a dyn Fn(&WsPath) -> bool,
    /// What the server has of it already does not count.
    pub anew: bool,
}

/// Whoever is told how an order is carried out.
pub trait Watcher {
    /// Bytes that were printed, as they come.
    fn bytes(&mut self, bytes: &[u8]);

    /// It waits for a machine that is free.
    fn queued(&mut self);

    /// Whether it is to be given up.
    fn gives_up(&self) -> bool;
}

/// How an order was carried out.
#[derive(Debug)]
pub enum Executed {
    /// It ended; all that it printed was passed on.
    Ended {
        /// Its exit status.
        exit: i32,
        /// What it left, every blob of it in the store; nothing where it failed.
        outputs: Manifest,
    },
    /// It took longer than it may.
    TimedOut,
    /// It was given up.
    GivenUp,
    /// It was not carried out, or nobody can tell how: what was heard of it does not count. What is to be said of that, where
    /// it is of this order alone; otherwise it went wrong with the server ([`RemoteStore::untold`]).
    Not(Option<Notice>),
}

/// Keeps what a store on another machine gave, for as long as it is there.
pub type Kept = Box<dyn Debug + Send>;

/// What is called once there is an answer.
pub type Answered = Box<dyn FnOnce(Kept) + Send>;

/// A store on another machine. Whatever goes wrong with it is a miss, once told, and from then on
/// nothing is asked of it any more.
pub trait RemoteStore: Send + Sync {
    /// The result under `key`, with every blob it names in `store` by then, and verified. It is not recorded
    /// there: whoever asks may not hold the task's lock, and another process may just have taken the key's
    /// result off the record. Asked again for a key that it did not have, it does not ask the server again.
    fn fetch(&self, key: &Digest, store: &Store) -> Option<StoredResult>;

    /// Whether a fetch would ask for the result under `key`, as far as is known: of one that was asked for already, and is not there,
    /// it would not.
    fn would_ask(&self, key: &Digest) -> bool;

    /// Has the result under `key` asked for, so that [`RemoteStore::fetch`] need not wait for it; calls `then` from another thread once
    /// that is so. What came is kept until what `then` is handed is dropped. False: there is nothing to be waited for.
    fn ask_ahead(&self, key: &Digest, store: &Store, then: Answered) -> bool;

    /// Has all that is asked for ahead answered at once, as far as it is not here: the run is cut short.
    fn give_up(&self);

    /// Whether the result under `key` came from it.
    fn gave(&self, key: &Digest) -> bool;

    /// Has the result under `key`, which `store` holds, given to it behind the run.
    fn offer(&self, key: Digest, store: &Store);

    /// Has it do something.
    fn execute(&self, order: &Order<'_>, store: &Store, watcher: &mut dyn Watcher) -> Executed;

    /// Whether results are given to it.
    fn takes(&self) -> bool;

    /// Whether going on without it is an error.
    fn is_required(&self) -> bool;

    /// What went wrong, if anything did.
    fn failure(&self) -> Option<Notice>;

    /// The same, if it was not told yet.
    fn untold(&self) -> Option<Notice>;

    /// Whether everything that was offered is there, or never will be.
    fn is_idle(&self) -> bool;

    /// Waits until what was offered is there, for as long as the server answers; or, in a `hurry`, not at
    /// all.
    fn finish(&self, hurry: bool) -> Exchange;

    /// Asks the server what it can do: names and values, for people.
    ///
    /// # Errors
    /// It does not answer, or not as it should.
    fn describe(&self) -> Result<Vec<(&'static str, String)>, Notice>;
}
