//! Seals: what the verdict of a run that found nothing to do rested on. While a seal is unbroken
//! the verdict stands, and nothing needs to be read, planned or hashed again. A seal that is torn,
//! corrupt, foreign or another weir's is no seal. Knows nothing of what the verdict was.

use super::state::Mark;
use crate::fingerprint::Stat;
use crate::journal;
use crate::model::{Digest, Hasher};
use crate::node::{Outside, Surroundings};
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"weirseal";
/// Version of the format, and of everything that a verdict may rest on.
const FORMAT: u32 = 1;
/// Magic, format, length of the body, its checksum.
const HEADER: usize = 24;
/// Seals of a workspace: for as many different questions.
const KEPT: usize = 16;

/// A seal.
#[derive(Debug, Serialize, Deserialize)]
pub struct Seal<'s> {
    /// The workspace root it is of.
    pub root: PathBuf,
    /// The variables outside that something depends on.
    pub names: Vec<&'s str>,
    /// Their names and values.
    pub outside: Digest,
    /// How many tasks may run at once, by the settings.
    pub jobs: Option<u32>,
    /// Folders and programs.
    pub surroundings: Surroundings,
    /// What was on record.
    pub mark: Mark,
    /// How everything looked that was looked at ([`crate::fingerprint::Trail`]).
    pub trail: &'s [u8],
    /// The verdict.
    pub verdict: &'s [u8],
}

/// A question to which a run is the answer.
#[derive(Debug)]
pub struct Question<'q> {
    /// The folder it was asked from.
    pub folder: &'q Path,
    /// The targets, as written.
    pub targets: &'q [String],
    /// Arguments for one of them.
    pub arguments: &'q [String],
    /// The profiles in force.
    pub profiles: &'q [String],
    /// A folder of shared results.
    pub shared: Option<&'q Path>,
}

impl Question<'_> {
    /// The question as asked of the program `stat` describes. Another build of weir may judge otherwise.
    pub fn digest(&self, program: &Stat) -> Digest {
        let mut hasher = Hasher::new();
        let mut field = |text: &OsStr| hasher.field(text.as_encoded_bytes());
        field(OsStr::new(env!("CARGO_PKG_VERSION")));
        field(OsStr::new(&format!("{program:?}")));
        field(self.folder.as_os_str());
        for list in [self.targets, self.arguments, self.profiles] {
            field(OsStr::new(&list.len().to_string()));
            list.iter().for_each(|text| field(OsStr::new(text)));
        }
        if let Some(shared) = self.shared {
            field(shared.as_os_str());
        }
        hasher.finish()
    }
}

/// The names and values of the variables that `names` stand for.
pub fn digest_of_outside(outside: &Outside, names: &[&str]) -> Digest {
    let mut hasher = Hasher::new();
    for declared in names {
        hasher.field(declared.as_bytes());
        hasher.update(&(outside.matching(declared).count() as u64).to_le_bytes());
        for (name, value) in outside.matching(declared) {
            hasher.field(name.as_bytes());
            hasher.field(value.as_encoded_bytes());
        }
    }
    hasher.finish()
}

fn path_of(folder: &Path, question: &Digest) -> PathBuf {
    folder.join(&question.to_hex()[..32])
}

/// The bytes of the seal on the answer to `question`, if one is in `folder` and whole.
pub fn read_seal(folder: &Path, question: &Digest) -> Option<Vec<u8>> {
    let data = std::fs::read(path_of(folder, question)).ok()?;
    let body = data.get(HEADER..)?;
    (data[..HEADER] == header(body)?).then_some(data)
}

impl<'s> Seal<'s> {
    /// From what [`read_seal`] returned.
    pub fn parse(data: &'s [u8], question: &Digest) -> Option<Self> {
        let (asked, rest) = data.get(HEADER..)?.split_at_checked(32)?;
        let (seal, rest) = postcard::take_from_bytes::<Self>(rest).ok()?;
        (asked == question.as_bytes() && rest.is_empty()).then_some(seal)
    }

    /// Writes it into `folder`, and removes those that nobody asked for in a long time.
    ///
    /// # Errors
    /// Writing fails; an old seal on the same question is then still there.
    pub fn write(&self, folder: &Path, question: &Digest) -> io::Result<()> {
        let mut body = question.as_bytes().to_vec();
        body = postcard::to_extend(self, body).map_err(io::Error::other)?;
        let mut data = header(&body).ok_or_else(|| io::Error::other("a seal is too long"))?.to_vec();
        data.extend_from_slice(&body);
        let path = path_of(folder, question);
        match journal::replace(&path, &data) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                std::fs::create_dir_all(folder)?;
                journal::replace(&path, &data)?;
            }
            other => other?,
        }
        remove_old(folder)
    }
}

fn header(body: &[u8]) -> Option<[u8; HEADER]> {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    header[12..20].copy_from_slice(&u64::try_from(body.len()).ok()?.to_le_bytes());
    let mut sum = crc32fast::Hasher::new();
    sum.update(&header[..20]);
    sum.update(body);
    header[20..].copy_from_slice(&sum.finalize().to_le_bytes());
    Some(header)
}

fn remove_old(folder: &Path) -> io::Result<()> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        all.push((entry.metadata()?.modified()?, entry.path()));
    }
    all.sort_unstable_by(|a, b| b.cmp(a));
    all.into_iter().skip(KEPT).try_for_each(|(_, path)| std::fs::remove_file(path))
}
