//! Which paths a list of patterns selects: compiled once, asked often.

use crate::config::Pattern;
use crate::model::WsPath;
use globset::GlobMatcher;

/// A compiled list of patterns.
#[derive(Debug)]
pub struct Selection<'p> {
    /// The additive patterns, in order.
    pub takes: Vec<Taken<'p>>,
    leaves: Vec<Taken<'p>>,
}

/// One compiled pattern.
#[derive(Debug)]
pub struct Taken<'p> {
    /// Where it begins.
    pub prefix: &'p WsPath,
    /// As declared, for messages.
    pub raw: &'p str,
    text: Option<&'p str>,
    glob: Option<GlobMatcher>,
}

impl<'p> Taken<'p> {
    /// The glob behind the prefix, as text.
    pub const fn glob_text(&self) -> Option<&str> {
        self.text
    }

    fn new(pattern: &'p Pattern) -> Self {
        Self {
            prefix: &pattern.prefix,
            raw: pattern.raw(),
            text: pattern.glob.as_deref(),
            // The config has judged the glob; one that fails after all selects nothing, loudly.
            glob: pattern
                .glob
                .as_deref()
                .and_then(|glob| crate::config::build_glob(glob).ok().map(|glob| glob.compile_matcher())),
        }
    }

    /// Whether it names its path in full.
    pub const fn is_literal(&self) -> bool {
        self.text.is_none()
    }

    /// Whether this very path (not something above it) is matched.
    pub fn matches(&self, path: &WsPath) -> bool {
        let Some(glob) = &self.glob else { return self.is_literal() && path == self.prefix };
        if !path.is_within(self.prefix) {
            return false;
        }
        let rest = path.as_str()[self.prefix.as_str().len()..].trim_start_matches('/');
        // `*` matches the empty text, but `src/*` is not `src`.
        !rest.is_empty() && glob.is_match(rest)
    }

    /// Whether the path or a folder above it, not above the prefix, is matched.
    pub fn covers(&self, path: &WsPath) -> bool {
        if self.is_literal() {
            return path.is_within(self.prefix);
        }
        if !path.is_within(self.prefix) {
            return false;
        }
        let mut here = Some(path.clone());
        while let Some(at) = here.filter(|at| at.is_within(self.prefix)) {
            if self.matches(&at) {
                return true;
            }
            here = at.parent();
        }
        false
    }
}

impl<'p> Selection<'p> {
    /// Compiles `patterns`.
    pub fn new(patterns: &'p [Pattern]) -> Self {
        let compile = |negated| patterns.iter().filter(|p| p.negated == negated).map(Taken::new).collect();
        Self { takes: compile(false), leaves: compile(true) }
    }

    /// Whether a negation takes this path away, by itself or by a folder above it.
    pub fn leaves_out(&self, path: &WsPath) -> bool {
        self.leaves.iter().any(|taken| taken.covers(path))
    }

    /// Whether the path is selected (ignore files apart).
    pub fn covers(&self, path: &WsPath) -> bool {
        self.takes.iter().any(|taken| taken.covers(path)) && !self.leaves_out(path)
    }
}
