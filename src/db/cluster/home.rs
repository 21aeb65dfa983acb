//! Where a private cluster of a workspace lies, and what is remembered of it.
//!
//! ```text
//! .weir/db/local/            (or embedded)
//!     server.json  port, password, programs …; readable for its owner alone
//!     log          what the server said
//!     where        the folder of data and run, where that is not this one
//!     data/        the cluster; whole as soon as it is there, by a rename
//!     run/         its socket
//! ```

use super::account::{Account, open_way, private_folder};
use crate::db::error::DbError;
use crate::db::server::{Address, Endpoint};
use crate::model::Digest;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The owner of everything in a private cluster.
pub const OWNER: &str = "postgres";

/// The longest path of a socket that every system takes, and what Postgres puts behind its folder.
const LONGEST_SOCKET: usize = 103 - "/.s.PGSQL.65535".len();

/// What is remembered of a private server. It may have ended since.
#[derive(Clone, Serialize, Deserialize)]
pub struct Remembered {
    /// Its port, on 127.0.0.1.
    pub port: u16,
    /// Of its owner.
    pub password: String,
    /// Where its programs are.
    pub bin: PathBuf,
    /// What it calls itself: a random name, made with its data.
    pub name: String,
    /// The folder of its data and its socket.
    pub base: PathBuf,
}

impl Remembered {
    /// A database of it.
    pub fn endpoint(&self, database: &str) -> Endpoint {
        Endpoint {
            address: Address::Host("127.0.0.1".into()),
            port: self.port,
            user: OWNER.into(),
            password: Some(self.password.clone()),
            database: database.into(),
            options: None,
        }
    }
}

/// The folder of a private cluster in a workspace.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
    /// `local` or `embedded`.
    kind: &'static str,
}

impl Home {
    /// In the workspace at `root`.
    pub fn new(root: &Path, kind: &'static str) -> Self {
        Self { root: root.to_path_buf(), kind }
    }

    /// The folder itself.
    pub fn folder(&self) -> PathBuf {
        self.root.join(".weir/db").join(self.kind)
    }

    /// What the server says.
    pub fn log(&self) -> PathBuf {
        self.folder().join("log")
    }

    /// What is remembered of its server.
    pub fn remembered(&self) -> Option<Remembered> {
        let text = fs::read(self.folder().join("server.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// The version that made the cluster; none where there is no cluster yet.
    pub fn made_by(&self) -> Option<u32> {
        let base = self.remembered().map_or_else(|| self.folder(), |known| known.base);
        fs::read_to_string(base.join("data/PG_VERSION")).ok()?.trim().parse().ok()
    }

    /// Remembers it, for its owner's eyes only, in one step.
    ///
    /// # Errors
    /// The system's own.
    pub fn remember(&self, server: &Remembered) -> io::Result<()> {
        let folder = self.folder();
        // Such a file can be read by its owner alone.
        let mut file = tempfile::Builder::new().prefix(".server-").tempfile_in(&folder)?;
        file.write_all(&serde_json::to_vec(server)?)?;
        file.persist(folder.join("server.json")).map_err(|error| error.error)?;
        Ok(())
    }

    /// Makes it, and says where data and socket go. As root that is a folder of the account's outside of the
    /// workspace, where the workspace is one that the account can't get to: what does not belong to
    /// weir keeps its permissions.
    ///
    /// # Errors
    /// The system's own, in words.
    pub fn base(&self, account: Option<&Account>) -> Result<PathBuf, DbError> {
        let folder = self.folder();
        fs::create_dir_all(&folder).map_err(|error| failed_at(&folder, &error))?;
        let Some(account) = account else { return Ok(folder) };
        let root = fs::canonicalize(&self.root).map_err(|error| failed_at(&self.root, &error))?;
        if account.may_enter(&root) {
            for own in [root.join(".weir"), root.join(".weir/db"), folder.clone()] {
                open_way(&own).map_err(|error| failed_at(&own, &error))?;
            }
            return Ok(folder);
        }
        let above = ["/var/tmp".into(), std::env::temp_dir(), "/tmp".into()].into_iter();
        let above: PathBuf = above.into_iter().find(|path: &PathBuf| account.may_enter(path)).ok_or_else(|| {
            DbError::failed(format!("there is no folder for temporary files that `{}` can enter", account.name))
                .help("make `/var/tmp` what it usually is: `chmod 1777 /var/tmp`")
        })?;
        let base = above.join(format!("weir-db-{}-{}", self.kind, self.short()));
        private_folder(&base, Some(account)).map_err(|error| failed_at(&base, &error))?;
        let noted = folder.join("where");
        fs::write(&noted, format!("{}\n", base.display())).map_err(|error| failed_at(&noted, &error))?;
        Ok(base)
    }

    /// The folder of the server's socket: short enough for one.
    ///
    /// # Errors
    /// The system's own, in words.
    pub fn socket(&self, base: &Path, account: Option<&Account>) -> Result<PathBuf, DbError> {
        let inside = base.join("run");
        let folder = if inside.as_os_str().len() <= LONGEST_SOCKET {
            inside
        } else {
            PathBuf::from(format!("/tmp/weir-{}-{}", self.kind, self.short()))
        };
        private_folder(&folder, account).map_err(|error| failed_at(&folder, &error))?;
        Ok(folder)
    }

    fn short(&self) -> String {
        Digest::of(self.root.as_os_str().as_encoded_bytes()).to_hex()[..16].to_owned()
    }
}

/// What the system says of a path, in words.
pub fn failed_at(path: &Path, error: &io::Error) -> DbError {
    let told = DbError::failed(format!("failed to prepare `{}` for a database: {error}", path.display()));
    match error.kind() {
        io::ErrorKind::StorageFull => told.help("make room on that disk"),
        _ => told,
    }
}
