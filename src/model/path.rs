//! Paths relative to the workspace root.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// A path relative to the workspace root: UTF-8, `/` between components, without `.`, `..`, empty
/// components or a leading or trailing `/`. The root itself is the empty path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(try_from = "String", into = "String")]
pub struct WsPath(String);

impl TryFrom<String> for WsPath {
    type Error = PathError;

    /// What was stored may have been tampered with: only a clean path is one.
    fn try_from(text: String) -> Result<Self, PathError> {
        let clean = text.is_empty() || text.split('/').all(|part| !matches!(part, "" | "." | ".."));
        match clean {
            true => Ok(Self(text)),
            false if text.starts_with('/') => Err(PathError::Absolute),
            false => Err(PathError::Outside),
        }
    }
}

impl From<WsPath> for String {
    fn from(path: WsPath) -> Self {
        path.0
    }
}

/// A text for any string of the system, different for different ones: as it is if it is UTF-8,
/// otherwise a NUL, which no such string holds, and its bytes in hexadecimal.
pub fn lossless(text: &std::ffi::OsStr) -> String {
    text.to_str().map_or_else(
        || text.as_encoded_bytes().iter().fold(String::from("\0"), |all, byte| format!("{all}{byte:02x}")),
        str::to_owned,
    )
}

/// Why a text is no path inside the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathError {
    /// It starts with `/` (or is otherwise absolute).
    Absolute,
    /// It climbs above the workspace root with `..`.
    Outside,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absolute => "an absolute path; paths are relative to the folder of the file that declares them",
            Self::Outside => "a path outside the workspace",
        })
    }
}

impl std::error::Error for PathError {}

impl WsPath {
    /// The workspace root.
    pub const fn root() -> Self {
        Self(String::new())
    }

    /// Resolves `text` against `folder`, folding `.` and `..`.
    ///
    /// # Errors
    /// [`PathError`] when the text is absolute or leads out of the workspace.
    pub fn resolve(folder: &WsPath, text: &str) -> Result<Self, PathError> {
        if text.starts_with('/') {
            return Err(PathError::Absolute);
        }
        if folder.is_root() && text.split('/').all(|part| !matches!(part, "" | "." | "..")) {
            return Ok(Self(text.to_owned()));
        }
        let mut parts: Vec<&str> = folder.components().collect();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop().ok_or(PathError::Outside)?;
                }
                part => parts.push(part),
            }
        }
        Ok(Self(parts.join("/")))
    }

    /// A path from parts already known to be clean; used by walkers.
    pub fn from_clean(text: impl Into<String>) -> Self {
        let text = text.into();
        debug_assert!(
            text.is_empty() || text.split('/').all(|c| !matches!(c, "" | "." | "..")),
            "unclean path {text:?}"
        );
        Self(text)
    }

    /// The text, `/`-separated; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text for people: `.` for the root.
    pub fn display(&self) -> &str {
        if self.0.is_empty() { "." } else { &self.0 }
    }

    /// Whether this is the workspace root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The components, outermost first; none for the root.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|part| !part.is_empty())
    }

    /// This path with one more component.
    pub fn join(&self, name: &str) -> Self {
        if self.0.is_empty() { Self(name.to_owned()) } else { Self(format!("{}/{name}", self.0)) }
    }

    /// The folder that holds this path; none for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.0.is_empty() {
            return None;
        }
        Some(Self(self.0.rfind('/').map_or_else(String::new, |cut| self.0[..cut].to_owned())))
    }

    /// The last component; empty for the root.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or("")
    }

    /// Whether this path is `other` or lies below it.
    pub fn is_within(&self, other: &WsPath) -> bool {
        other.0.is_empty()
            || self.0 == other.0
            || (self.0.len() > other.0.len()
                && self.0.starts_with(&other.0)
                && self.0.as_bytes()[other.0.len()] == b'/')
    }

    /// The absolute path under `root`.
    pub fn under(&self, root: &Path) -> PathBuf {
        if self.0.is_empty() { root.to_path_buf() } else { root.join(&self.0) }
    }
}

impl fmt::Display for WsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.display())
    }
}

impl fmt::Debug for WsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.display())
    }
}

impl AsRef<str> for WsPath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_and_refuses() {
        let folder = WsPath::from_clean("services/api");
        assert_eq!(WsPath::resolve(&folder, "./src/../x.rs").unwrap().as_str(), "services/api/x.rs");
        assert_eq!(WsPath::resolve(&folder, "../..").unwrap(), WsPath::root());
        assert_eq!(WsPath::resolve(&folder, "../../.."), Err(PathError::Outside));
        assert_eq!(WsPath::resolve(&folder, "/etc"), Err(PathError::Absolute));
    }

    #[test]
    fn within_respects_component_borders() {
        let a = WsPath::from_clean("src/a");
        assert!(WsPath::from_clean("src/a/b").is_within(&a));
        assert!(a.is_within(&a));
        assert!(a.is_within(&WsPath::root()));
        assert!(!WsPath::from_clean("src/ab").is_within(&a));
    }
}
