//! The walk against a naive one: list everything, then ask each pattern about each path.

use crate::config::Pattern;
use crate::fingerprint::{InputError, Memo, SourceKind, Surveyor, What};
use crate::model::{Digest, WsPath};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::Path;

/// A path and what to put there.
#[derive(Debug, Clone)]
enum Thing {
    File,
    Folder,
    /// Lines of an ignore file in this folder.
    Ignore(Vec<&'static str>),
    Link(&'static str),
}

const NAMES: [&str; 7] = ["a", "b", "ab", "c.rs", ".d", "x.o", "a[b"];

fn some_path(most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(NAMES.to_vec()), 1..=most).prop_map(|parts| parts.join("/"))
}

fn some_tree(links: bool) -> impl Strategy<Value = Vec<(String, Thing)>> {
    let rules = ["a", "*.o", "/b", "b/", "!a", "!c.rs", "a/*.rs", "**/c.rs", "b/**", "*", "!*/", "# a", "a?", "\\!a"];
    let rules = prop::collection::vec(prop::sample::select(rules.to_vec()), 1..4);
    let special = if links {
        prop::sample::select(vec!["shared", "shared/a", "nowhere"]).prop_map(Thing::Link).boxed()
    } else {
        rules.prop_map(Thing::Ignore).boxed()
    };
    let thing = prop_oneof![6 => Just(Thing::File), 1 => Just(Thing::Folder), 3 => special];
    prop::collection::vec((some_path(3), thing), 1..9)
}

/// Puts what fits.
fn plant(root: &Path, shared: &Path, tree: &[(String, Thing)]) {
    for (number, (text, thing)) in tree.iter().enumerate() {
        let path = root.join(text);
        let mut above = path.ancestors().skip(1).take_while(|above| *above != root);
        if above.any(|above| std::fs::symlink_metadata(above).is_ok_and(|there| !there.is_dir())) {
            continue;
        }
        let folder = path.parent().unwrap();
        std::fs::create_dir_all(folder).unwrap();
        match thing {
            Thing::Ignore(lines) => std::fs::write(folder.join(".gitignore"), lines.join("\n")).unwrap(),
            _ if std::fs::symlink_metadata(&path).is_ok() => {}
            Thing::File => std::fs::write(&path, format!("content {number}")).unwrap(),
            Thing::Folder => std::fs::create_dir(&path).unwrap(),
            Thing::Link(target) => symlink(shared.parent().unwrap().join(target), &path).unwrap(),
        }
    }
    // Never a source, whatever the patterns say.
    for never in [".git", ".weir", "a/.git"] {
        if root.join(never).parent().unwrap().is_dir() && !root.join(never).exists() {
            std::fs::create_dir(root.join(never)).unwrap();
            std::fs::write(root.join(never).join("c.rs"), "never").unwrap();
        }
    }
}

fn some_patterns() -> impl Strategy<Value = Vec<String>> {
    let part = prop_oneof![
        3 => prop::sample::select(vec!["a", "b", "ab", "c.rs", ".d"]),
        3 => prop::sample::select(vec!["*", "**", "*.rs", "?", "a*", "*b", "**"]),
        1 => prop::sample::select(vec!["{a,b}", "[ab]", "{a/b,b}", "a\\[b", "[!a]", "{a,**}", "a**"]),
    ];
    let glob = prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"));
    let one =
        (prop::bool::weighted(0.25), glob).prop_map(|(not, glob)| format!("{}{glob}", if not { "!" } else { "" }));
    prop::collection::vec(one, 1..4)
}

fn parse(texts: &[String]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::parse(&WsPath::root(), text).unwrap()).collect()
}

/// Everything there is but folders that hold something: as sources, for which symlinks are
/// followed, or as outputs.
fn everything(root: &Path, folder: &WsPath, follow: bool, all: &mut Vec<(WsPath, What)>) {
    for entry in std::fs::read_dir(folder.under(root)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        // A repository may be an output, but never a source; weir's own folder is neither.
        if name == ".weir" && (follow || folder.is_root()) || name == ".git" && follow {
            continue;
        }
        let path = folder.join(&name);
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            let before = all.len();
            everything(root, &path, follow, all);
            if all.len() == before {
                all.push((path, What::EmptyFolder));
            }
        } else if kind.is_symlink() {
            if follow && path.under(root).is_dir() {
                everything(root, &path, follow, all);
            }
            all.push((path, What::Link));
        } else {
            all.push((path, What::File));
        }
    }
}

/// What git would see, folders included.
fn not_ignored(root: &Path) -> BTreeSet<String> {
    ignore::WalkBuilder::new(root)
        .standard_filters(false)
        .git_ignore(true)
        .require_git(false)
        .build()
        .map(|entry| entry.unwrap().path().strip_prefix(root).unwrap().to_str().unwrap().to_owned())
        .collect()
}

/// What `patterns` select; none where one selects nothing.
fn naively(root: &Path, patterns: &[Pattern], outputs: bool) -> (BTreeSet<(String, What)>, Vec<String>) {
    let mut all = Vec::new();
    everything(root, &WsPath::root(), !outputs, &mut all);
    let seen = not_ignored(root);
    let has_links = all.iter().any(|(_, what)| *what == What::Link);
    let (mut selected, mut missing) = (BTreeSet::new(), Vec::new());
    for pattern in patterns.iter().filter(|pattern| !pattern.negated) {
        let prefix = pattern.prefix.as_str();
        let start = pattern.prefix.under(root);
        let honour = !outputs && !has_links && start.is_dir() && seen.contains(prefix);
        let found: Vec<_> = all
            .iter()
            .filter(|(path, what)| {
                let counts = match what {
                    What::EmptyFolder => outputs || pattern.glob.is_none() && *path == pattern.prefix,
                    What::File | What::Link => true,
                };
                counts
                    && pattern.covers(path)
                    && (!honour || seen.contains(path.as_str()))
                    && !patterns.iter().any(|other| other.negated && other.covers(path))
            })
            .map(|(path, what)| (path.as_str().to_owned(), *what))
            .collect();
        if found.is_empty() {
            missing.push(pattern.raw().to_owned());
        }
        selected.extend(found);
    }
    (selected, missing)
}

fn compare(tree: &[(String, Thing)], texts: &[String]) {
    let folder = tempfile::tempdir().unwrap();
    let (root, shared) = (folder.path().join("ws"), folder.path().join("shared"));
    std::fs::create_dir(&root).unwrap();
    std::fs::create_dir_all(shared.join("b")).unwrap();
    for file in ["a", "c.rs", "b/c.rs"] {
        std::fs::write(shared.join(file), file).unwrap();
    }
    plant(&root, &shared, tree);
    let patterns = parse(texts);
    let surveyor = Surveyor::new(&root, Memo::default());

    let (expected, missing) = naively(&root, &patterns, false);
    match surveyor.sources(&patterns) {
        Ok(sources) => {
            let found: Vec<(String, What)> = sources
                .0
                .iter()
                .map(|source| {
                    let what = match &source.kind {
                        SourceKind::File { digest } => {
                            let content = std::fs::read(source.path.under(&root)).unwrap();
                            assert_eq!(*digest, Digest::of(&content));
                            What::File
                        }
                        SourceKind::Link { .. } => What::Link,
                        SourceKind::Folder => What::EmptyFolder,
                    };
                    (source.path.as_str().to_owned(), what)
                })
                .collect();
            assert_eq!(missing, Vec::<String>::new(), "matches nothing, and was taken");
            assert!(found.is_sorted_by(|a, b| a.0 < b.0), "sorted, each once");
            assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
        }
        Err(InputError::NoMatch { pattern, .. }) => assert_eq!(Some(&pattern), missing.first()),
        Err(other) => panic!("{other}"),
    }

    let (expected, missing) = naively(&root, &patterns, true);
    let (found, told) = surveyor.outputs(&patterns).unwrap();
    let found: Vec<(String, What)> =
        found.into_iter().map(|found| (found.path.as_str().to_owned(), found.what)).collect();
    // What lies behind a symlink in the pattern's own literal part is an output as well.
    let direct = |(path, _): &(String, What)| {
        !Path::new(path).ancestors().skip(1).any(|above| root.join(above).is_symlink() && !above.as_os_str().is_empty())
    };
    assert!(found.is_sorted_by(|a, b| a.0 < b.0), "sorted, each once");
    assert_eq!(found.into_iter().filter(direct).collect::<BTreeSet<_>>(), expected);
    assert!(told.iter().all(|pattern| missing.contains(pattern)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn the_walk_finds_what_a_naive_one_does(tree in some_tree(false), patterns in some_patterns()) {
        compare(&tree, &patterns);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn also_behind_symlinks(tree in some_tree(true), patterns in some_patterns()) {
        compare(&tree, &patterns);
    }
}

/// A declared symlink to an empty folder stays the symlink.
#[test]
fn a_symlink_to_an_empty_folder() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::create_dir(root.join("empty")).unwrap();
    symlink("empty", root.join("link")).unwrap();
    let files: Vec<String> = (0..40).map(|number| format!("f{number}")).collect();
    for file in &files {
        std::fs::write(root.join(file), "").unwrap();
    }
    let mut texts = vec!["link".to_owned()];
    texts.extend(files);
    let sources = Surveyor::new(root, Memo::default()).sources(&parse(&texts)).unwrap();
    let kinds: Vec<&SourceKind> =
        sources.0.iter().filter(|source| source.path.as_str() == "link").map(|source| &source.kind).collect();
    assert!(matches!(kinds.as_slice(), [SourceKind::Link { .. }]), "{kinds:?}");
}
