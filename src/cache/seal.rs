//! Seals: what a conclusion rested on, kept with it. While a seal is unbroken the conclusion stands,
//! and nothing needs to be read, planned or hashed again. A seal that is torn, corrupt, foreign or
//! another weir's is no seal. Knows nothing of what was concluded.

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
const FORMAT: u32 = 3;
/// Magic, format, length of the body, its checksum.
const HEADER: usize = 24;
/// Seals of a workspace: as many, for as many questions.
const KEPT: usize = 32;

/// The seal on a verdict: that there is nothing to do.
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
    pub trails: Vec<&'s [u8]>,
    /// The verdict.
    pub verdict: &'s [u8],
}

/// A question that may have been answered before.
#[derive(Debug, Clone, Copy)]
pub struct Question<'q> {
    /// What is asked: different for different kinds of answers.
    pub kind: &'q str,
    /// The folder it is asked from.
    pub folder: &'q Path,
    /// The profiles in force.
    pub profiles: &'q [String],
    /// The targets, as written.
    pub targets: &'q [String],
    /// Arguments for one of them.
    pub arguments: &'q [String],
    /// A folder of shared results.
    pub shared: Option<&'q Path>,
}

impl Question<'_> {
    /// The question as asked of the program that `stat` describes. Another build of weir may judge otherwise.
    pub fn digest(&self, program: &Stat) -> Digest {
        let mut hasher = Hasher::new();
        let mut field = |text: &OsStr| hasher.field(text.as_encoded_bytes());
        field(OsStr::new(self.kind));
        field(OsStr::new(env!("CARGO_PKG_VERSION")));
        field(OsStr::new(&format!("{program:?}")));
        field(self.folder.as_os_str());
        for list in [self.profiles, self.targets, self.arguments] {
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

/// The bytes sealed in `folder` under `question`, if they are whole.
pub fn read_sealed(folder: &Path, question: &Digest) -> Option<Vec<u8>> {
    let data = std::fs::read(path_of(folder, question)).ok()?;
    let body = data.get(HEADER..)?;
    (data[..HEADER] == header(body)?).then_some(data)
}

/// What [`write_sealed`] wrote under `question`, from what [`read_sealed`] returned.
pub fn parse_sealed<'d, T: Deserialize<'d>>(data: &'d [u8], question: &Digest) -> Option<T> {
    let (asked, rest) = data.get(HEADER..)?.split_at_checked(32)?;
    let (sealed, rest) = postcard::take_from_bytes::<T>(rest).ok()?;
    (asked == question.as_bytes() && rest.is_empty()).then_some(sealed)
}

/// Writes `sealed` into `folder` under `question`, and removes what nobody asked for in a long time.
///
/// # Errors
/// Writing fails; what was there under the same question is then still there.
pub fn write_sealed(folder: &Path, question: &Digest, sealed: &impl Serialize) -> io::Result<()> {
    let mut body = question.as_bytes().to_vec();
    body = postcard::to_extend(sealed, body).map_err(io::Error::other)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_whole_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let (question, other) = (Digest::of(b"question"), Digest::of(b"other"));
        let sealed = ("a text".to_owned(), vec![1u64, 300]);
        write_sealed(folder.path(), &question, &sealed).unwrap();
        let read = || read_sealed(folder.path(), &question);
        let whole = read().unwrap();
        assert_eq!(parse_sealed::<(String, Vec<u64>)>(&whole, &question), Some(sealed.clone()));
        assert_eq!(parse_sealed::<(String, Vec<u64>)>(&whole, &other), None, "another question's");
        assert!(read_sealed(folder.path(), &other).is_none());
        let path = path_of(folder.path(), &question);
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(read().is_none(), "cut at {length}");
        }
        for bit in 0..whole.len() * 8 {
            let mut data = whole.clone();
            data[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &data).unwrap();
            assert!(read().is_none(), "flipped at {bit}");
        }
        std::fs::write(&path, [&whole[..], b"more"].concat()).unwrap();
        assert!(read().is_none());
    }

    #[test]
    fn variables_count_by_name_and_value_and_absence() {
        let outside = |vars: &[(&str, &str)]| Outside {
            vars: vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect(),
        };
        let digest = |vars: &[(&str, &str)]| digest_of_outside(&outside(vars), &["A", "B_*", "C"]);
        let all: [&[(&str, &str)]; 7] = [
            &[],
            &[("A", "")],
            &[("A", "1")],
            &[("C", "1")],
            &[("B_X", "1")],
            &[("B_Y", "1")],
            &[("B_X", "1"), ("B_Y", "")],
        ];
        for (index, vars) in all.iter().enumerate() {
            assert!(all[..index].iter().all(|before| digest(before) != digest(vars)), "{vars:?}");
            let more: Vec<_> = vars.iter().copied().chain([("AB", "1"), ("D", "1")]).collect();
            assert_eq!(digest(vars), digest(&more));
        }
    }
}
