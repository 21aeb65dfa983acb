//! `covers` of an invariant: path globs, or `kind:name`.

use super::finding::{Finding, Kind};
use crate::config::build_glob;
use globset::{GlobBuilder, GlobMatcher};

/// One entry of `covers`.
#[derive(Debug, Clone)]
pub(super) struct Cover {
    kind: Option<String>,
    glob: GlobMatcher,
}

impl Cover {
    /// Reads an entry.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some((kind, name)) = text.split_once(':').filter(|(kind, _)| !kind.contains(['/', '*', '.'])) {
            let kind = kind.replace('_', "-");
            if !Kind::all_names().any(|known| known == kind) {
                return Err(format!("`{kind}` is no kind of object"));
            }
            let name = name.trim();
            if name.is_empty() {
                return Err(format!("`{text}` names nothing"));
            }
            let glob = GlobBuilder::new(without_public(name)).literal_separator(false).build();
            let glob = glob.map_err(|error| format!("`{text}` is no glob: {}", error.kind()))?;
            return Ok(Self { kind: Some(kind), glob: glob.compile_matcher() });
        }
        if text.is_empty() {
            return Err("an empty entry covers nothing".into());
        }
        let path = text.trim_end_matches('/');
        let glob = build_glob(path).map_err(|error| format!("`{text}` is no glob: {}", error.kind()))?;
        Ok(Self { kind: None, glob: glob.compile_matcher() })
    }

    /// Whether it covers what was found.
    pub(super) fn covers(&self, finding: &Finding) -> bool {
        match &self.kind {
            None => {
                let parts = finding.file.match_indices('/').map(|(at, _)| &finding.file[..at]);
                parts.chain([finding.file.as_str()]).any(|path| self.glob.is_match(path))
            }
            Some(kind) => {
                let own = finding.kind.names().contains(&kind.as_str());
                let table = finding.table.as_deref().filter(|_| kind == "table");
                own && self.glob.is_match(without_public(&finding.object))
                    || table.is_some_and(|table| self.glob.is_match(without_public(table)))
            }
        }
    }
}

fn without_public(name: &str) -> &str {
    name.strip_prefix("public.").unwrap_or(name)
}
