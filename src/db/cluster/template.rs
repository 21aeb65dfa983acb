//! Initialised data folders, kept in the user's cache: unpacking one takes a fraction of what `initdb` does.
//!
//! One is a single archive, since making a thousand files takes longer than writing what is in them: the first workspace
//! pays for keeping it. It appears whole, by a rename, and is never changed. Its name says what made it.

use super::Programs;
use super::account::Account;
use crate::model::Hasher;
use crate::node::Outside;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use tar::{EntryType, Header};

/// Counts up when what is kept, or how it is made, changes.
const FORMAT: u32 = 2;
/// The last file of an archive: with it all is there.
const LAST: &str = "global/pg_control";
/// An archive is read and written in pieces of this size.
const BUFFER: usize = 1 << 18;

/// The user's folder for what can be made again: `XDG_CACHE_HOME/weir` or `~/.cache/weir`.
pub fn cache(outside: &Outside) -> Option<PathBuf> {
    let absolute = |name: &str| outside.vars.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let above = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
    Some(above.join("weir"))
}

/// Where the data folder that these programs make with these options is kept.
pub fn place(outside: &Outside, programs: &Programs, options: &[&str]) -> Option<PathBuf> {
    let binary = fs::metadata(programs.bin.join("postgres")).ok()?;
    let mut hasher = Hasher::new();
    hasher.field(&FORMAT.to_le_bytes());
    hasher.field(programs.bin.as_os_str().as_encoded_bytes());
    hasher.field(programs.told.as_bytes());
    hasher.field(format!("{} {} {}", binary.len(), binary.mtime(), binary.mtime_nsec()).as_bytes());
    options.iter().for_each(|option| hasher.field(option.as_bytes()));
    let name = format!("{}-{}", programs.major, &hasher.finish().to_hex()[..16]);
    Some(cache(outside)?.join("clusters").join(name))
}

/// Keeps a data folder that no server has used yet. Of two at once the later stays, and both are the same.
///
/// # Errors
/// The system's own; nothing is kept then.
pub fn keep(data: &Path, place: &Path) -> io::Result<()> {
    let Some(folder) = place.parent() else { return Ok(()) };
    fs::create_dir_all(folder)?;
    remove_abandoned(folder);
    let making = tempfile::Builder::new().prefix(".making-").tempfile_in(folder)?;
    pack(data, making.as_file())?;
    making.persist(place).map_err(|error| error.error)?;
    Ok(())
}

/// What a weir that was killed left half made more than an hour ago: nobody works on it that long.
fn remove_abandoned(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let abandoned = entry.file_name().as_encoded_bytes().starts_with(b".making-")
            && entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|time| time.elapsed().is_ok_and(|age| age.as_secs() > 3600));
        if abandoned {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn pack(data: &Path, into: &File) -> io::Result<()> {
    let mut archive = tar::Builder::new(BufWriter::with_capacity(BUFFER, into));
    let mut append = |name: &Path| {
        let path = data.join(name);
        let (kind, bytes) = match path.is_dir() {
            true => (EntryType::Directory, vec![]),
            false => (EntryType::Regular, fs::read(path)?),
        };
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, name, &bytes[..])
    };
    for entry in walkdir::WalkDir::new(data).min_depth(1) {
        let entry = entry?;
        let name = entry.path().strip_prefix(data).map_err(io::Error::other)?;
        if name != Path::new(LAST) {
            append(name)?;
        }
    }
    append(Path::new(LAST))?;
    archive.into_inner()?.flush()
}

/// Fills the folder `to` with what is kept, readable for its owner alone: `account`, or whoever runs weir.
///
/// # Errors
/// The system's own, or it is not whole.
pub fn unpack(place: &Path, to: &Path, account: Option<&Account>) -> io::Result<()> {
    let mut archive = tar::Archive::new(BufReader::with_capacity(BUFFER, File::open(place)?));
    let mut bytes = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.into_owned();
        if !name.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(io::Error::other(format!("it holds `{}`", name.display())));
        }
        let target = to.join(&name);
        if entry.header().entry_type().is_dir() {
            fs::DirBuilder::new().mode(0o700).create(&target)?;
        } else {
            bytes.clear();
            entry.read_to_end(&mut bytes)?;
            File::options().write(true).create_new(true).mode(0o600).open(&target)?.write_all(&bytes)?;
        }
        if let Some(account) = account {
            account.give(&target)?;
        }
        if name == Path::new(LAST) {
            return Ok(());
        }
    }
    Err(io::Error::other(format!("`{LAST}` is missing")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("PG_VERSION", "15\n"), ("base/1/1247", "table"), (LAST, "control"), ("global/1260", "")] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::create_dir(folder.path().join("pg_twophase")).unwrap();
        folder
    }

    #[test]
    fn what_is_kept_comes_back() {
        let (data, kept, to) = (cluster(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let place = kept.path().join("clusters/15-a");
        // The second time over the first.
        for _ in 0..2 {
            keep(data.path(), &place).unwrap();
        }
        unpack(&place, to.path(), None).unwrap();
        for (name, text) in [("PG_VERSION", "15\n"), ("base/1/1247", "table"), (LAST, "control"), ("global/1260", "")] {
            assert_eq!(fs::read_to_string(to.path().join(name)).unwrap(), text, "{name}");
            assert_eq!(fs::metadata(to.path().join(name)).unwrap().mode() & 0o777, 0o600, "{name}");
        }
        assert_eq!(fs::metadata(to.path().join("pg_twophase")).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(kept.path().join("clusters")).unwrap().count(), 1);
    }

    #[test]
    fn what_was_cut_short_anywhere_is_refused() {
        let (data, kept) = (cluster(), tempfile::tempdir().unwrap());
        let place = kept.path().join("15-a");
        keep(data.path(), &place).unwrap();
        let whole = fs::read(&place).unwrap();
        let text = whole.windows(7).position(|bytes| bytes == b"control").unwrap();
        for length in (0..text).step_by(64).chain([text, text + 6]) {
            fs::write(&place, &whole[..length]).unwrap();
            let to = tempfile::tempdir().unwrap();
            assert!(unpack(&place, to.path(), None).is_err(), "{length} of {}", whole.len());
        }
    }

    #[test]
    fn nothing_is_written_outside() {
        let (kept, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let place = kept.path().join("15-a");
        let mut archive = tar::Builder::new(File::create(&place).unwrap());
        let mut header = Header::new_ustar();
        header.as_mut_bytes()[..7].copy_from_slice(b"../away");
        header.set_entry_type(EntryType::Regular);
        header.set_size(1);
        header.set_cksum();
        archive.append(&header, &b"x"[..]).unwrap();
        archive.into_inner().unwrap();
        let error = unpack(&place, &to.path().join("data"), None).unwrap_err();
        assert!(error.to_string().contains("`../away`") && !to.path().join("away").exists(), "{error}");
    }
}
