//! A declared source or output: a path or a glob, possibly negated.

use crate::model::{PathError, WsPath};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ops::Deref;
use std::sync::Arc;

/// A path or a glob, relative to the workspace root. There may be very many, and everyone who works
/// with them keeps them: a clone is the same pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern(Arc<PatternParts>);

/// What a pattern consists of.
#[derive(Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PatternParts {
    /// As written, where that differs from the prefix.
    written: Option<Box<str>>,
    /// It takes away instead of adding.
    pub negated: bool,
    /// The leading components without glob characters; the whole path for a literal pattern.
    pub prefix: WsPath,
    /// The components after the prefix, `/`-separated; none for a literal pattern.
    pub glob: Option<Box<str>>,
}

impl PatternParts {
    /// As written.
    pub fn raw(&self) -> &str {
        self.written.as_deref().unwrap_or_else(|| self.prefix.as_str())
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        PatternParts::deserialize(deserializer).map(|parts| Self(Arc::new(parts)))
    }
}

impl Deref for Pattern {
    type Target = PatternParts;

    fn deref(&self) -> &PatternParts {
        &self.0
    }
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatternError {
    /// No path inside the workspace.
    Path(PathError),
    /// A glob that does not parse; why.
    Glob(String),
    /// Nothing there.
    Empty,
}

impl Pattern {
    /// Parses `raw` as declared in `folder`. `!` in front negates. `*` and `?` match within a
    /// component, `**` any number of components, `[…]` a class, `{a,b}` alternatives; `\` escapes.
    ///
    /// # Errors
    /// [`PatternError`], for a diagnostic.
    pub fn parse(folder: &WsPath, raw: &str) -> Result<Self, PatternError> {
        let (negated, text) = raw.strip_prefix('!').map_or((false, raw), |rest| (true, rest));
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        let is_glob = |part: &str| part.contains(['*', '?', '[', ']', '{', '}', '\\']);
        // An alternative may hold a `/`, so a brace ends the prefix for good.
        let cut = text.split('/').take_while(|part| !is_glob(part)).map(|part| part.len() + 1).sum::<usize>();
        if cut > text.len() {
            let prefix = WsPath::resolve(folder, text).map_err(PatternError::Path)?;
            return Ok(Self::of(raw, negated, prefix, None));
        }
        let prefix = WsPath::resolve(folder, &text[..cut]).map_err(PatternError::Path)?;
        let glob = text[cut..].trim_end_matches('/');
        if glob.split('/').any(|part| part == "..") {
            return Err(PatternError::Glob("`..` can't follow a glob".into()));
        }
        build_glob(glob).map_err(|error| PatternError::Glob(error.kind().to_string()))?;
        Ok(Self::of(raw, negated, prefix, Some(glob.into())))
    }

    fn of(raw: &str, negated: bool, prefix: WsPath, glob: Option<Box<str>>) -> Self {
        let written = (raw != prefix.as_str()).then(|| raw.into());
        Self(Arc::new(PatternParts { written, negated, prefix, glob }))
    }

    /// Whether `path` is matched: the pattern's own path, a path its glob matches, or anything
    /// below one of these. Builds its matcher anew; walkers compile a set instead.
    pub fn covers(&self, path: &WsPath) -> bool {
        if !path.is_within(&self.prefix) {
            return false;
        }
        let Some(glob) = &self.glob else { return true };
        let rest = path.as_str()[self.prefix.as_str().len()..].trim_start_matches('/');
        let Ok(glob) = build_glob(glob) else { return false };
        let matcher = glob.compile_matcher();
        // `*` matches the empty text, but `src/*` is not `src`.
        !rest.is_empty()
            && rest
                .char_indices()
                .filter(|(_, c)| *c == '/')
                .map(|(cut, _)| &rest[..cut])
                .chain([rest])
                .any(|head| matcher.is_match(head))
    }

    /// The whole text, relative to the root, for messages.
    pub fn full(&self) -> String {
        let text = match &self.glob {
            None => self.prefix.to_string(),
            Some(glob) if self.prefix.is_root() => glob.to_string(),
            Some(glob) => format!("{}/{glob}", self.prefix),
        };
        match self.negated {
            true => format!("!{text}"),
            // A name that begins with the sign of a negation is none.
            false if text.starts_with('!') => format!("./{text}"),
            false => text,
        }
    }
}

/// The one place that decides how globs are read.
///
/// # Errors
/// The glob does not parse.
pub fn build_glob(glob: &str) -> Result<globset::Glob, globset::Error> {
    globset::GlobBuilder::new(glob).literal_separator(true).backslash_escape(true).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(&WsPath::root(), text).unwrap()
    }

    #[test]
    fn splits_prefix_and_glob() {
        let p = pattern("src/a/**/*.rs");
        assert_eq!((p.prefix.as_str(), p.glob.as_deref()), ("src/a", Some("**/*.rs")));
        let p = pattern("*.toml");
        assert_eq!((p.prefix.as_str(), p.glob.as_deref()), ("", Some("*.toml")));
        let p = pattern("!src/gen/");
        assert!(p.negated && p.glob.is_none() && p.prefix.as_str() == "src/gen");
        for (written, full) in
            [("./!src//gen/", "./!src/gen"), ("./!*.rs", "./!*.rs"), ("!!src", "!!src"), ("a/!b", "a/!b")]
        {
            let named = pattern(written);
            assert_eq!(named.full(), full);
            assert_eq!((pattern(full).negated, &pattern(full).prefix), (named.negated, &named.prefix));
        }
        let folder = WsPath::from_clean("infra");
        assert_eq!(Pattern::parse(&folder, "../schema/*.sql").unwrap().full(), "schema/*.sql");
        assert!(Pattern::parse(&folder, "../../x").is_err());
        assert!(Pattern::parse(&folder, "a[").is_err());
    }

    #[test]
    fn covers_what_lies_below() {
        let path = |text: &str| WsPath::from_clean(text);
        assert!(pattern("src").covers(&path("src/a/b.rs")));
        assert!(pattern("src/**/*.rs").covers(&path("src/b.rs")));
        assert!(!pattern("src/*.rs").covers(&path("src/a/b.rs")));
        assert!(pattern("packages/*/src").covers(&path("packages/a/src/deep/x")));
        assert!(!pattern("src").covers(&path("srcs")));
        assert!(!pattern("src/*").covers(&path("src")) && !pattern("src/**").covers(&path("src")));
        assert!(pattern("{a,b}/x").covers(&path("b/x")));
    }
}
