//! The page that is generated from the manifest.

use super::manifest::{Invariant, Manifest};
use std::fmt::Write as _;

/// Where the page lies: beside the manifest.
pub fn quick_path(manifest: &str) -> String {
    match manifest.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/INVARIANTS_QUICK.md"),
        None => "INVARIANTS_QUICK.md".to_owned(),
    }
}

/// The page of a manifest.
pub fn quick(manifest: &Manifest) -> String {
    let mut page = String::from(
        "# Invariants\n\nGenerated from the manifest beside this page by `weir rule quick`. Edit the manifest, not this page.\n",
    );
    for (heading, implemented) in [("Implemented", true), ("Roadmap", false)] {
        let mut those = manifest.invariants.iter().filter(|invariant| invariant.implemented == implemented).peekable();
        if those.peek().is_some() {
            let _ = write!(page, "\n## {heading}\n");
        }
        those.for_each(|invariant| entry(&mut page, invariant));
    }
    if !manifest.retired.is_empty() {
        let ids: Vec<&str> = manifest.retired.iter().map(String::as_str).collect();
        let _ = write!(page, "\n## Retired\n\n{}\n", ids.join(", "));
    }
    page
}

fn entry(page: &mut String, invariant: &Invariant) {
    let _ = write!(page, "\n### {}: {}\n\n", invariant.id, invariant.title.trim());
    for (name, list) in [
        ("Covers", &invariant.covers),
        ("Enforced by", &invariant.enforced_by),
        ("Verified by", &invariant.verified_by),
    ] {
        if !list.is_empty() {
            let all: Vec<String> = list.iter().map(|(text, _)| format!("`{text}`")).collect();
            let _ = writeln!(page, "- {name}: {}", all.join(", "));
        }
    }
}
