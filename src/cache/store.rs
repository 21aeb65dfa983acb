//! Blobs by SHA-256, and results by key. An entry that is torn, corrupt or foreign is no entry.

use super::outputs::{EntryKind, Manifest};
use super::state::Recorded;
use crate::journal;
use crate::model::{Digest, Hasher, KeyPart};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Version of a result's format.
const FORMAT: u32 = 1;
const MAGIC: &str = "weir-result";

/// A result as it is stored under its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredResult {
    /// The node that left it.
    pub task: String,
    /// What was recorded.
    pub recorded: Recorded,
    /// The run that recorded it.
    pub run: String,
    /// The parts of the key, for explanations.
    pub parts: Vec<KeyPart>,
}

/// Something wrong with a stored entry; said once, and the entry is a miss.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem(pub String);

/// What a look-up found.
#[derive(Debug)]
pub enum Found<T> {
    /// It.
    Yes(T),
    /// Nothing.
    No,
    /// Something that is no result; it was taken away.
    Bad(Problem),
}

/// Blobs and results, in a workspace or in a folder that several checkouts share.
#[derive(Debug, Clone)]
pub struct Store {
    scratch: PathBuf,
    results: PathBuf,
    shared: Option<PathBuf>,
    cas: PathBuf,
}

/// Sizes of a store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StoreStatus {
    /// Where the blobs are.
    pub blobs_dir: PathBuf,
    /// Number of blobs.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// Number of results.
    pub results: u64,
    /// Their bytes.
    pub result_bytes: u64,
}

/// What `weir cache verify` found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Blobs read.
    pub blobs: u64,
    /// Results read.
    pub results: u64,
    /// Entries that did not hold and were removed, a line each.
    pub removed: Vec<String>,
}

impl Store {
    /// The store of a workspace's `.weir`; with `shared`, blobs live in that folder, and results
    /// are written to it too.
    ///
    /// # Errors
    /// The folders can't be created.
    pub fn open(weir: &Path, shared: Option<&Path>) -> io::Result<Self> {
        let store = Self::at(weir, shared);
        for folder in [Some(&store.results), store.shared.as_ref(), Some(&store.cas)].into_iter().flatten() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(store)
    }

    /// The same for looking only: creates nothing.
    pub fn at(weir: &Path, shared: Option<&Path>) -> Self {
        Self {
            scratch: weir.join("tmp"),
            results: weir.join("results"),
            shared: shared.map(|shared| shared.join("results")),
            cas: shared.unwrap_or(weir).join("cas"),
        }
    }

    /// Whether there is no result, as far as can be seen.
    pub fn is_empty(&self) -> bool {
        self.results_folders().all(|folder| match std::fs::read_dir(folder) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        })
    }

    /// For files in the making.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Where a blob is, or would be.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.to_hex();
        self.cas.join(&hex[..2]).join(&hex[2..])
    }

    fn result_path(folder: &Path, key: &Digest) -> PathBuf {
        let hex = key.to_hex();
        folder.join(&hex[..2]).join(&hex[2..])
    }

    /// Whether a blob is there (its content is judged when it is used).
    pub fn has_blob(&self, digest: &Digest) -> bool {
        self.blob_path(digest).is_file()
    }

    /// Stores the file at `path`, whose digest is thought to be `digest`. False: it is another one
    /// by now, and nothing was stored under that name.
    ///
    /// # Errors
    /// Reading or writing fails (no space).
    pub fn put_file(&self, path: &Path, digest: &Digest) -> io::Result<bool> {
        let target = self.blob_path(digest);
        if self.holds(digest) {
            return Ok(true);
        }
        let mut from = File::open(path)?;
        let (file, written) = self.write_temporary(&target, &mut from)?;
        if written != *digest {
            return Ok(false);
        }
        persist(file, &target)?;
        Ok(true)
    }

    /// Whether a blob is there with the content it is named after. Reads it.
    pub fn holds(&self, digest: &Digest) -> bool {
        File::open(self.blob_path(digest))
            .and_then(|mut file| copy_hashing(&mut file, &mut io::sink()))
            .is_ok_and(|(found, _)| found == *digest)
    }

    /// Stores the finished log at `path`. A copy, not a link: what happens to a run's folder must
    /// not reach the store.
    ///
    /// # Errors
    /// Reading or writing fails.
    pub fn put_log(&self, path: &Path) -> io::Result<Digest> {
        let (digest, _) = copy_hashing(&mut File::open(path)?, &mut io::sink())?;
        if self.put_file(path, &digest)? {
            Ok(digest)
        } else {
            Err(io::Error::other("the log changed while it was stored"))
        }
    }

    /// Copies the blob `digest` to a new file at `to`.
    ///
    /// # Errors
    /// It is not there, or `to` can't be written.
    pub fn lend_blob(&self, digest: &Digest, to: &Path) -> io::Result<()> {
        io::copy(&mut File::open(self.blob_path(digest))?, &mut File::create(to)?).map(drop)
    }

    /// Stores bytes.
    ///
    /// # Errors
    /// Writing fails.
    pub fn put_bytes(&self, bytes: &[u8]) -> io::Result<Digest> {
        let digest = Digest::of(bytes);
        let target = self.blob_path(&digest);
        if !self.holds(&digest) {
            let (file, _) = self.write_temporary(&target, &mut &bytes[..])?;
            persist(file, &target)?;
        }
        Ok(digest)
    }

    /// Stores bytes whose digest was just found to be `digest`.
    ///
    /// # Errors
    /// Writing fails.
    #[cfg(feature = "remote")]
    pub(super) fn put_verified(&self, digest: &Digest, bytes: &[u8]) -> io::Result<()> {
        let mut making = self.begin_blob(digest)?;
        making.write(bytes)?;
        making.keep()
    }

    fn write_temporary(&self, target: &Path, from: &mut dyn Read) -> io::Result<(tempfile::NamedTempFile, Digest)> {
        let mut file = self.temporary(target)?;
        let (digest, _) = copy_hashing(from, file.as_file_mut())?;
        Ok((file, digest))
    }

    /// A new file beside `target`.
    fn temporary(&self, target: &Path) -> io::Result<tempfile::NamedTempFile> {
        let folder = target.parent().unwrap_or(&self.cas);
        let create = || tempfile::Builder::new().prefix(".tmp-").tempfile_in(folder);
        match create() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                std::fs::create_dir_all(folder)?;
                create()
            }
            other => other,
        }
    }

    /// Begins a blob whose bytes come piece by piece.
    ///
    /// # Errors
    /// There is no room for it.
    #[cfg(feature = "remote")]
    pub(super) fn begin_blob(&self, digest: &Digest) -> io::Result<Making> {
        let target = self.blob_path(digest);
        let file = self.temporary(&target)?;
        Ok(Making { file, target })
    }

    /// Copies a blob to `to`, and says what its content was: digest and bytes.
    ///
    /// # Errors
    /// It is not there, or writing fails.
    pub fn copy_blob(&self, digest: &Digest, to: &mut dyn Write) -> io::Result<(Digest, u64)> {
        copy_hashing(&mut File::open(self.blob_path(digest))?, to)
    }

    /// Opens a blob for reading.
    ///
    /// # Errors
    /// It is not there.
    pub fn open_blob(&self, digest: &Digest) -> io::Result<File> {
        File::open(self.blob_path(digest))
    }

    /// Removes a blob that turned out damaged.
    pub fn drop_blob(&self, digest: &Digest) {
        let _ = std::fs::remove_file(self.blob_path(digest));
    }

    /// The result under `key`: this workspace's, and if `ask_shared`, the shared folder's.
    pub fn result(&self, key: &Digest, ask_shared: bool) -> Found<StoredResult> {
        let here = read_result(&Self::result_path(&self.results, key));
        let found = match (&here, &self.shared) {
            (OnDisk::No, Some(shared)) if ask_shared => read_result(&Self::result_path(shared, key)),
            _ => here,
        };
        match found {
            OnDisk::Yes(result) if result.recorded.key != *key => {
                let _ = self.remove_result(key);
                Found::Bad(Problem(format!("cached result `{}` is that of another key", key.short())))
            }
            OnDisk::Yes(result) => Found::Yes(*result),
            OnDisk::No => Found::No,
            OnDisk::Newer(problem) | OnDisk::Bad(problem) => Found::Bad(problem),
        }
    }

    /// Stores a result under `key`; its blobs must be stored before.
    ///
    /// # Errors
    /// Writing fails.
    pub fn put_result(&self, key: &Digest, result: &StoredResult, share: bool) -> io::Result<()> {
        let data = pack(result)?;
        let shared = self.shared.as_ref().filter(|_| share);
        for folder in std::iter::once(&self.results).chain(shared) {
            let path = Self::result_path(folder, key);
            match journal::replace(&path, &data) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
                    journal::replace(&path, &data)?;
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// Takes this workspace's result under `key` away.
    ///
    /// # Errors
    /// Removing fails for another reason than that there is none.
    pub fn remove_result(&self, key: &Digest) -> io::Result<()> {
        match std::fs::remove_file(Self::result_path(&self.results, key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The lock of a folder that several checkouts share.
    pub fn lock_of(shared: &Path) -> PathBuf {
        let _ = std::fs::create_dir_all(shared);
        shared.join("lock")
    }

    fn results_folders(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.results).chain(&self.shared)
    }

    /// Counts what is there.
    pub fn status(&self) -> StoreStatus {
        let mut status = StoreStatus { blobs_dir: self.cas.clone(), ..StoreStatus::default() };
        for (_, length, _) in files(&self.cas) {
            status.blobs += 1;
            status.blob_bytes += length;
        }
        for (_, length, _) in files(&self.results) {
            status.results += 1;
            status.result_bytes += length;
        }
        status
    }

    /// Reads every entry and removes those that do not hold.
    pub fn verify(&self) -> Verified {
        let mut verified = Verified::default();
        for (path, _, _) in files(&self.cas) {
            verified.blobs += 1;
            let name = blob_name(&path);
            let holds = name.is_some_and(|name| {
                File::open(&path)
                    .and_then(|mut file| copy_hashing(&mut file, &mut io::sink()))
                    .is_ok_and(|(digest, _)| digest == name)
            });
            if !holds {
                let _ = std::fs::remove_file(&path);
                verified.removed.push(format!("blob `{}`", shown(&path)));
            }
        }
        for (path, _, _) in self.results_folders().flat_map(|folder| files(folder)).collect::<Vec<_>>() {
            verified.results += 1;
            let why = match read_result(&path) {
                OnDisk::Yes(result) => missing_blob(self, &result.recorded.outputs)
                    .map(|output| format!("its output `{output}` is not in the store")),
                OnDisk::No | OnDisk::Newer(_) => None,
                OnDisk::Bad(Problem(why)) => Some(why),
            };
            if let Some(why) = why {
                let _ = std::fs::remove_file(&path);
                verified.removed.push(format!("result `{}`: {why}", shown(&path)));
            }
        }
        verified
    }

    /// Removes results older than `max_age`, then the oldest results until the rest
    /// holds at most `max_bytes` of blobs, then every blob that no result names. Strictly by age: where
    /// one no longer fits, nothing older stays, be it ever so small. A newer version's
    /// results stay, and so do all blobs then: which of them it names is not known. Returns
    /// results and blobs removed, and the bytes freed.
    ///
    /// # Errors
    /// Removing fails.
    pub fn prune(&self, max_age: Option<Duration>, max_bytes: Option<u64>) -> io::Result<(u64, u64, u64)> {
        let now = SystemTime::now();
        let mut kept: Vec<Kept> = Vec::new();
        let (mut results_removed, mut blobs_removed, mut freed) = (0, 0, 0);
        let mut all_known = true;
        for (path, length, modified) in self.results_folders().flat_map(|folder| files(folder)).collect::<Vec<_>>() {
            let too_old = max_age.is_some_and(|max| now.duration_since(modified).is_ok_and(|age| age > max));
            let result = match read_result(&path) {
                OnDisk::Yes(result) if !too_old => result,
                OnDisk::Newer(_) => {
                    all_known = false;
                    continue;
                }
                OnDisk::Yes(_) | OnDisk::No | OnDisk::Bad(_) => {
                    let _ = std::fs::remove_file(&path);
                    results_removed += 1;
                    freed += length;
                    continue;
                }
            };
            let mut blobs: BTreeSet<(Digest, u64)> = result
                .recorded
                .outputs
                .0
                .iter()
                .filter_map(|entry| match &entry.kind {
                    EntryKind::File { digest, size, .. } => Some((*digest, *size)),
                    _ => None,
                })
                .collect();
            blobs.extend(result.recorded.log);
            kept.push((modified, path, blobs));
        }
        // Newest first: they are the ones to keep.
        kept.sort_by_key(|(modified, ..)| std::cmp::Reverse(*modified));
        let mut live: BTreeSet<Digest> = BTreeSet::new();
        let mut total = 0u64;
        let mut full = false;
        for (_, path, blobs) in kept {
            let more: u64 = blobs.iter().filter(|(digest, _)| !live.contains(digest)).map(|(_, size)| size).sum();
            full |= max_bytes.is_some_and(|max| total + more > max);
            if full {
                freed += std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
                std::fs::remove_file(&path)?;
                results_removed += 1;
                continue;
            }
            total += more;
            live.extend(blobs.into_iter().map(|(digest, _)| digest));
        }
        for (path, length, modified) in files(&self.cas).into_iter().filter(|_| all_known) {
            // In a folder that several checkouts share, a result that only another one has may name it.
            let young = now.duration_since(modified).is_ok_and(|age| max_age.is_some_and(|max| age <= max));
            let spared = self.shared.is_some() && young;
            if !spared && blob_name(&path).is_none_or(|name| !live.contains(&name)) {
                std::fs::remove_file(&path)?;
                blobs_removed += 1;
                freed += length;
            }
        }
        self.remove_leftovers(now);
        Ok((results_removed, blobs_removed, freed))
    }

    /// Removes files in the making that a killed run left more than a day ago.
    fn remove_leftovers(&self, now: SystemTime) {
        let day = Duration::from_secs(24 * 3600);
        let folders = self.results_folders().chain([&self.cas, &self.scratch]);
        for entry in folders.flat_map(walkdir::WalkDir::new).filter_map(Result::ok) {
            let name = entry.file_name().to_string_lossy();
            let old =
                || entry.metadata().ok()?.modified().ok().map(|at| now.duration_since(at).is_ok_and(|age| age > day));
            if (name.starts_with(".tmp-") || name.starts_with(".weir-tmp-")) && old() == Some(true) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

/// A blob in the making; it is gone unless it is kept.
#[cfg(feature = "remote")]
pub(super) struct Making {
    file: tempfile::NamedTempFile,
    target: PathBuf,
}

#[cfg(feature = "remote")]
impl Making {
    /// Adds a piece.
    ///
    /// # Errors
    /// Writing fails.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.as_file_mut().write_all(bytes)
    }

    /// Keeps it, now that it was verified.
    ///
    /// # Errors
    /// It can't be put in its place.
    pub(super) fn keep(self) -> io::Result<()> {
        persist(self.file, &self.target)
    }
}

/// A result that may stay: when it was written, where it is, the blobs it names and their bytes.
type Kept = (SystemTime, PathBuf, BTreeSet<(Digest, u64)>);

fn persist(file: tempfile::NamedTempFile, target: &Path) -> io::Result<()> {
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o444))?;
    file.persist(target).map_err(|error| error.error)?;
    Ok(())
}

fn copy_hashing(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<(Digest, u64)> {
    let mut hasher = Hasher::new();
    let mut length = 0;
    let mut buffer = vec![0u8; 128 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok((hasher.finish(), length)),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                to.write_all(&buffer[..read])?;
                length += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn missing_blob(store: &Store, manifest: &Manifest) -> Option<String> {
    manifest.0.iter().find_map(|entry| match &entry.kind {
        EntryKind::File { digest, .. } if !store.has_blob(digest) => Some(entry.path.to_string()),
        _ => None,
    })
}

/// Every stored file below `folder`: path, bytes, time of writing. Temporary ones are left out.
fn files(folder: &Path) -> Vec<(PathBuf, u64, SystemTime)> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file() && !entry.file_name().to_string_lossy().starts_with(".tmp-"))
        .filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            let modified = metadata.modified().ok()?;
            Some((entry.into_path(), metadata.len(), modified))
        })
        .collect()
}

fn blob_name(path: &Path) -> Option<Digest> {
    shown(path).parse().ok()
}

fn shown(path: &Path) -> String {
    let folder = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    format!("{}{}", folder.unwrap_or_default(), name.unwrap_or_default())
}

/// What is in a result's file.
enum OnDisk {
    Yes(Box<StoredResult>),
    No,
    /// It is left to that version.
    Newer(Problem),
    /// It is removed.
    Bad(Problem),
}

fn read_result(path: &Path) -> OnDisk {
    let data = match std::fs::read(path) {
        Ok(data) => data,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return OnDisk::No,
        Err(error) => return OnDisk::Bad(Problem(format!("failed to read a cached result: {error}"))),
    };
    let problem = |what: &str| {
        let name = shown(path);
        Problem(format!("cached result `{}` {what}", name.get(..12).unwrap_or(&name)))
    };
    match parse_result(&data) {
        Parsed::Good(result) => OnDisk::Yes(result),
        Parsed::Newer => OnDisk::Newer(problem("was written by a newer version of weir")),
        Parsed::Damaged => {
            let _ = std::fs::remove_file(path);
            OnDisk::Bad(problem("is damaged"))
        }
    }
}

/// A result as the bytes of its file.
///
/// # Errors
/// It can't be written as JSON.
pub(super) fn pack(result: &StoredResult) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(result).map_err(io::Error::other)?;
    let start = format!("{MAGIC} {FORMAT} {}", body.len());
    let mut data = format!("{start} {:08x}\n", checksum(&start, &body)).into_bytes();
    data.extend_from_slice(&body);
    Ok(data)
}

/// Back from these bytes; none where they are damaged, or another version's.
#[cfg(feature = "remote")]
pub(super) fn unpack(data: &[u8]) -> Option<StoredResult> {
    match parse_result(data) {
        Parsed::Good(result) => Some(*result),
        Parsed::Newer | Parsed::Damaged => None,
    }
}

/// Over everything in the file but itself: a flipped version number must not pass for a newer one.
fn checksum(start: &str, body: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(start.as_bytes());
    sum.update(body);
    sum.finalize()
}

enum Parsed {
    Good(Box<StoredResult>),
    Newer,
    Damaged,
}

fn parse_result(data: &[u8]) -> Parsed {
    let parts = || {
        let line_end = data.iter().take(64).position(|byte| *byte == b'\n')?;
        let (start, sum) = std::str::from_utf8(&data[..line_end]).ok()?.rsplit_once(' ')?;
        let body = &data[line_end + 1..];
        let mut words = start.split(' ');
        let (magic, format, length) = (words.next()?, words.next()?, words.next()?);
        let whole = magic == MAGIC
            && length.parse() == Ok(body.len())
            && u32::from_str_radix(sum, 16) == Ok(checksum(start, body));
        Some((format.parse::<u32>().ok().filter(|_| whole)?, body))
    };
    match parts() {
        Some((FORMAT, body)) => {
            serde_json::from_slice(body).map_or(Parsed::Damaged, |result| Parsed::Good(Box::new(result)))
        }
        Some((newer, _)) if newer > FORMAT => Parsed::Newer,
        _ => Parsed::Damaged,
    }
}
