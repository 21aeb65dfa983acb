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
        if text.contains(':') && !text.contains('/') {
            // A file of the root may be called so; a name without its kind is what is meant far more often.
            return Err(format!(
                "`{text}` is neither a path nor `kind:name`: a task is `task:{text}`, and a file of the root `**/{text}`"
            ));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::finding::Change;

    #[test]
    fn a_name_with_its_kind_is_no_path_and_a_path_no_name() {
        let of_task = Finding::new(Kind::Task, "test:refunds", Change::Removed, ("tasks.toml", 1), String::new());
        let of_file = Finding::new(Kind::Path, "a:refunds", Change::Changed, ("a:refunds", 1), String::new());
        let covers = |entry: &str, finding: &Finding| Cover::parse(entry).unwrap().covers(finding);
        assert!(
            covers("task:*:refunds", &of_task) && covers("task:test:*", &of_task) && covers("tasks.toml", &of_task)
        );
        assert!(!covers("task:*:refunds", &of_file) && !covers("**/*:refunds", &of_task));
        assert!(covers("**/*:refunds", &of_file));
        for entry in ["*:refunds", "v1.*:refunds", "?:x", "x:", ":", ""] {
            assert!(Cover::parse(entry).is_err(), "{entry}");
        }
    }
}
