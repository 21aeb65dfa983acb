//! A run's evidence in one file: a tar archive of the records, their envelopes and a manifest of digests. It is
//! made of nothing but its content, so that it can be made again and compared byte by byte.

use super::envelope::{Envelope, Key};
use super::record::{Record, Status};
use crate::model::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

const MANIFEST: &str = "manifest.json";
const VERSION: u32 = 1;

/// What a bundle says it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    v: u32,
    /// The run.
    run: String,
    /// The gates that were declared when it was packed, sorted.
    gates: Vec<String>,
    /// File → SHA-256.
    files: BTreeMap<String, Digest>,
    /// SHA-256 of all above.
    seal: Digest,
}

impl Manifest {
    fn sealed(run: &str, gates: &[String], files: BTreeMap<String, Digest>) -> Self {
        let seal = Self::seal_of(run, gates, &files);
        Self { v: VERSION, run: run.to_owned(), gates: gates.to_vec(), files, seal }
    }

    fn seal_of(run: &str, gates: &[String], files: &BTreeMap<String, Digest>) -> Digest {
        let text = serde_json::json!([VERSION, run, gates, files]).to_string();
        Digest::of(text.as_bytes())
    }
}

/// A packed bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// How many records it holds.
    pub records: usize,
    /// Declared gates that it holds no record of.
    pub missing: Vec<String>,
}

/// What a good bundle holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The run.
    pub run: String,
    /// The records.
    pub records: Vec<Record>,
    /// Declared gates that it holds no record of.
    pub missing: Vec<String>,
    /// Gates that did not pass.
    pub not_passed: Vec<String>,
    /// Every record is signed with the key given; none where none was.
    pub signed: Option<bool>,
}

/// Packs the evidence of a run; `gates` are those that are declared.
///
/// # Errors
/// The folder can't be read.
pub fn pack(folder: &Path, run: &str, gates: &[String]) -> io::Result<Bundle> {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".json") && entry.file_type()?.is_file() {
            files.insert(name, std::fs::read(entry.path())?);
        }
    }
    let mut gates = gates.to_vec();
    gates.sort_unstable();
    gates.dedup();
    let missing = missing(&gates, &files);
    let records = files.keys().filter(|name| !name.ends_with(".dsse.json")).count();
    Ok(Bundle { bytes: archive(run, &gates, &files)?, records, missing })
}

fn missing(gates: &[String], files: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    gates.iter().filter(|gate| !files.contains_key(&format!("{gate}.json"))).cloned().collect()
}

fn archive(run: &str, gates: &[String], files: &BTreeMap<String, Vec<u8>>) -> io::Result<Vec<u8>> {
    let digests = files.iter().map(|(name, bytes)| (name.clone(), Digest::of(bytes))).collect();
    let mut manifest = serde_json::to_vec_pretty(&Manifest::sealed(run, gates, digests))?;
    manifest.push(b'\n');
    let mut builder = tar::Builder::new(Vec::new());
    let all = [(MANIFEST, &manifest)];
    for (name, bytes) in all.into_iter().chain(files.iter().map(|(name, bytes)| (name.as_str(), bytes))) {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        builder.append_data(&mut header, name, &bytes[..])?;
    }
    builder.into_inner()
}

/// Verifies a bundle, offline.
///
/// # Errors
/// What is wrong with which record, in words.
pub fn verify(bytes: &[u8], key: Option<&Key>) -> Result<Verified, String> {
    let mut files = unpack(bytes)?;
    let manifest = files.remove(MANIFEST).ok_or("it has no `manifest.json`")?;
    let manifest: Manifest = serde_json::from_slice(&manifest)
        .map_err(|error| format!("`{MANIFEST}` was changed, and can't be read: {error}"))?;
    if manifest.v != VERSION {
        return Err(format!("`{MANIFEST}` is of version {}, which this weir does not know", manifest.v));
    }
    if Manifest::seal_of(&manifest.run, &manifest.gates, &manifest.files) != manifest.seal {
        return Err(format!("`{MANIFEST}` was changed"));
    }
    for (name, digest) in &manifest.files {
        match files.get(name) {
            None => return Err(format!("`{name}` is in the manifest and not in the bundle")),
            Some(found) if Digest::of(found) != *digest => return Err(format!("`{name}` was changed")),
            Some(_) => {}
        }
    }
    if let Some(extra) = files.keys().find(|name| !manifest.files.contains_key(*name)) {
        return Err(format!("`{extra}` is in the bundle and not in the manifest"));
    }
    // Whatever is no content (headers, padding) must be as it was written too.
    let again = archive(&manifest.run, &manifest.gates, &files).map_err(|error| error.to_string())?;
    if again != bytes {
        return Err(format!("{} was changed", where_it_differs(bytes, &again)));
    }
    let missing = missing(&manifest.gates, &files);
    let mut verified =
        Verified { run: manifest.run.clone(), records: vec![], missing, not_passed: vec![], signed: key.map(|_| true) };
    for (name, bytes) in files.iter().filter(|(name, _)| !name.ends_with(".dsse.json")) {
        let record: Record =
            serde_json::from_slice(bytes).map_err(|error| format!("`{name}` is no record: {error}"))?;
        if format!("{}.json", record.check_id) != *name || record.run != manifest.run {
            return Err(format!("`{name}` is the record of another gate or run"));
        }
        let signed = check_envelope(&files, name, bytes, &record, key)?;
        verified.signed = verified.signed.map(|all| all && signed);
        if record.status != Status::Pass {
            verified.not_passed.push(record.check_id.clone());
        }
        verified.records.push(record);
    }
    Ok(verified)
}

/// Whether the envelope beside a record says the same; and whether the key signed it.
fn check_envelope(
    files: &BTreeMap<String, Vec<u8>>,
    name: &str,
    bytes: &[u8],
    record: &Record,
    key: Option<&Key>,
) -> Result<bool, String> {
    let beside = format!("{}.dsse.json", record.check_id);
    let envelope = files.get(&beside).ok_or_else(|| format!("`{name}` has no `{beside}` beside it"))?;
    let envelope: Envelope =
        serde_json::from_slice(envelope).map_err(|error| format!("`{beside}` is no envelope: {error}"))?;
    let statement = envelope.statement().map_err(|why| format!("`{beside}`: {why}"))?;
    let digest = statement.pointer("/subject/0/digest/sha256").and_then(serde_json::Value::as_str);
    if digest != Some(Digest::of(bytes).to_hex().as_str())
        || statement.get("predicate") != serde_json::to_value(record).ok().as_ref()
    {
        return Err(format!("`{beside}` speaks of another record than `{name}`"));
    }
    match key {
        Some(key) if !envelope.is_signed_by(key) => Err(format!("`{beside}` is not signed with the key given")),
        other => Ok(other.is_some()),
    }
}

fn unpack(bytes: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let broken = |error: io::Error| format!("it is no bundle: {error}");
    let mut files = BTreeMap::new();
    let mut archive = tar::Archive::new(bytes);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(|error| format!("{}: {error}", damaged_after(&files)))?;
        let name = entry.path().map_err(broken)?.to_string_lossy().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(|error| format!("`{name}` is cut off: {error}"))?;
        if files.insert(name.clone(), content).is_some() {
            return Err(format!("`{name}` is in it twice"));
        }
    }
    if files.is_empty() { Err("it is empty, or no bundle".to_owned()) } else { Ok(files) }
}

/// Which file stands where the archive can't be read any more: its parts are in the order of the manifest.
fn damaged_after(files: &BTreeMap<String, Vec<u8>>) -> String {
    let manifest = files.get(MANIFEST).and_then(|bytes| serde_json::from_slice::<Manifest>(bytes).ok());
    let next = manifest.and_then(|manifest| manifest.files.into_keys().nth(files.len() - 1));
    match next {
        Some(name) => format!("the archive around `{name}` was changed"),
        None if files.is_empty() => format!("the archive around `{MANIFEST}` was changed, or it is no bundle"),
        None => "the archive around the records was changed".to_owned(),
    }
}

/// The file whose header or padding holds the first byte that differs.
fn where_it_differs(bytes: &[u8], again: &[u8]) -> String {
    let at = bytes.iter().zip(again).position(|(a, b)| a != b).unwrap_or(bytes.len().min(again.len())) as u64;
    let mut archive = tar::Archive::new(again);
    let mut name = None;
    for entry in archive.entries().into_iter().flatten().flatten() {
        if entry.raw_header_position() <= at {
            name = entry.path().ok().map(|path| path.to_string_lossy().into_owned());
        }
    }
    name.map_or_else(|| "the archive around the records".to_owned(), |name| format!("the archive around `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::record::{Tool, VERSION as RECORD};

    fn bundle() -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        for id in ["first", "second"] {
            let record = Record {
                v: RECORD,
                check_id: id.into(),
                title: None,
                task: id.into(),
                timestamp_utc: "2026-01-01T00:00:00.000Z".into(),
                git_sha: Some("a".repeat(40)),
                git_dirty: Some(false),
                status: Status::Pass,
                message: None,
                key: Some(Digest::of(b"key")),
                inputs_digest: None,
                tools: vec![Tool { name: "cc".into(), identity: "1".into() }],
                databases: vec![],
                run: "run".into(),
                profiles: vec!["ci".into()],
                duration_ms: 1,
                log_digest: None,
                replayed_from: None,
                soak: None,
                weir: "0".into(),
            };
            let bytes = serde_json::to_vec(&record).unwrap();
            let envelope = serde_json::to_vec(&Envelope::new(&record, &bytes, None)).unwrap();
            std::fs::write(folder.path().join(format!("{id}.json")), bytes).unwrap();
            std::fs::write(folder.path().join(format!("{id}.dsse.json")), envelope).unwrap();
        }
        pack(folder.path(), "run", &["first".into(), "second".into()]).unwrap().bytes
    }

    #[test]
    fn one_byte_changed_anywhere_is_refused_and_a_file_named() {
        let good = bundle();
        assert_eq!(verify(&good, None).unwrap().records.len(), 2);
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << (at % 8);
            let why = verify(&bytes, None).unwrap_err();
            let named = ["manifest.json", "first.json", "first.dsse.json", "second.json", "second.dsse.json"];
            let tail = at >= good.len() - 1024;
            assert!(named.iter().any(|name| why.contains(name)) || tail, "byte {at}: {why}");
        }
    }

    #[test]
    fn cut_anywhere_it_is_refused() {
        let good = bundle();
        for length in (0..good.len()).step_by(7) {
            assert!(verify(&good[..length], None).is_err(), "{length}");
        }
        assert!(verify(&[&good[..], b"more"].concat(), None).is_err());
    }
}
