//! A changed file, on both sides.

/// What a path holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Content {
    /// Nothing.
    #[default]
    Absent,
    /// These bytes.
    Bytes(Vec<u8>),
    /// Something that can't be seen; why.
    Unseen(String),
}

impl Content {
    /// Of a text.
    pub fn text(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }

    /// Of what was found, if anything.
    pub fn of(bytes: Option<Vec<u8>>) -> Self {
        bytes.map_or(Self::Absent, Self::Bytes)
    }

    /// Whether anything is there.
    pub fn exists(&self) -> bool {
        *self != Self::Absent
    }

    /// Its text, where it is one.
    ///
    /// # Errors
    /// Why it is none.
    pub fn as_text(&self) -> Result<Option<&str>, String> {
        match self {
            Self::Absent => Ok(None),
            Self::Unseen(why) => Err(why.clone()),
            Self::Bytes(bytes) if bytes.contains(&0) => Err("it is binary".into()),
            Self::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Some(text)),
                Err(_) => Err("it is not UTF-8".into()),
            },
        }
    }
}

/// A path that differs between the two sides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileChange {
    /// Relative to the workspace root.
    pub path: String,
    /// Where the change began.
    pub before: Content,
    /// Now.
    pub after: Content,
    /// At the tip of the base branch, which may have gone on since.
    pub on_base: Content,
}

impl FileChange {
    /// Whether it is an SQL text.
    pub fn is_sql(&self) -> bool {
        self.path.len() > 4 && self.path.as_bytes()[self.path.len() - 4..].eq_ignore_ascii_case(b".sql")
    }

    /// Whether it lies in a folder, or deeper.
    pub fn is_in(&self, folder: &str) -> bool {
        self.path.strip_prefix(folder.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'))
    }
}
