//! Taken down, damaged, looked over, restored: byte for byte, and never outside the workspace.

use crate::cache::{Entry, EntryKind, Manifest, RestoreError, Store, Survey, capture, restore, survey};
use crate::config::Pattern;
use crate::fingerprint::{Memo, Surveyor};
use crate::model::{Digest, WsPath};
use proptest::prelude::*;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

struct Workspace {
    folder: tempfile::TempDir,
    root: PathBuf,
    store: Store,
}

impl Workspace {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("ws");
        std::fs::create_dir(&root).unwrap();
        let store = Store::open(&folder.path().join("weir"), None).unwrap();
        Self { folder, root, store }
    }

    fn write(&self, path: &str, content: &str, mode: u32) {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn surveyor(&self) -> Surveyor {
        Surveyor::new(&self.root, Memo::default())
    }

    /// Takes down and stores what is there.
    fn keep(&self, patterns: &[Pattern]) -> Manifest {
        let (manifest, _) = capture(&self.surveyor(), patterns).unwrap();
        for entry in &manifest.0 {
            if let EntryKind::File { digest, .. } = &entry.kind {
                assert!(self.store.put_file(&entry.path.under(&self.root), digest).unwrap());
            }
        }
        manifest
    }

    fn survey(&self, patterns: &[Pattern], manifest: &Manifest, earlier: &Manifest) -> Survey {
        survey(&self.surveyor(), patterns, manifest, earlier).unwrap()
    }
}

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::parse(&WsPath::root(), text).unwrap()).collect()
}

/// Everything below a folder but weir's own: path, and what is there.
fn picture(root: &Path) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = walkdir::WalkDir::new(root)
        .min_depth(1)
        .into_iter()
        .filter_entry(|entry| entry.file_name() != ".weir")
        .flatten()
        .map(|entry| {
            let path = entry.path();
            let kind = entry.file_type();
            let what = if kind.is_symlink() {
                format!("-> {}", std::fs::read_link(path).unwrap().display())
            } else if kind.is_dir() {
                "folder".into()
            } else {
                let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
                format!("{mode:o} {}", std::fs::read_to_string(path).unwrap())
            };
            (path.strip_prefix(root).unwrap().display().to_string(), what)
        })
        .collect();
    all.sort();
    all
}

#[derive(Debug, Clone)]
enum Thing {
    File(&'static str, u32),
    Link(&'static str),
    Folder,
}

fn some_tree() -> impl Strategy<Value = Vec<(String, Thing)>> {
    let path = prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just("c")], 1..4).prop_map(|p| p.join("/"));
    let thing = prop_oneof![
        4 => (prop_oneof![Just(""), Just("x"), Just("content")], prop_oneof![Just(0o644), Just(0o755), Just(0o600)])
            .prop_map(|(content, mode)| Thing::File(content, mode)),
        1 => prop_oneof![Just("a"), Just("../b"), Just("nowhere")].prop_map(Thing::Link),
        1 => Just(Thing::Folder),
    ];
    prop::collection::vec((path, thing), 0..8)
}

/// Puts what fits; a path below a file or a symlink does not.
fn plant(root: &Path, tree: &[(String, Thing)]) {
    for (path, thing) in tree {
        let path = root.join("out").join(path);
        let inside = path.ancestors().skip(1).take_while(|above| *above != root);
        if inside.into_iter().any(|above| std::fs::symlink_metadata(above).is_ok_and(|there| !there.is_dir())) {
            continue;
        }
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match thing {
            _ if std::fs::symlink_metadata(&path).is_ok() => {}
            Thing::File(content, mode) => {
                std::fs::write(&path, content).unwrap();
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(*mode)).unwrap();
            }
            Thing::Link(target) => symlink(target, &path).unwrap(),
            Thing::Folder => std::fs::create_dir(&path).unwrap(),
        }
    }
}

fn without_folders(picture: Vec<(String, String)>) -> Vec<(String, String)> {
    picture.into_iter().filter(|(_, what)| what != "folder").collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// From nothing, everything comes back.
    #[test]
    fn restores_byte_for_byte(tree in some_tree()) {
        let ws = Workspace::new();
        plant(&ws.root, &tree);
        let patterns = patterns(&["out"]);
        let manifest = ws.keep(&patterns);
        prop_assert!(ws.survey(&patterns, &manifest, &Manifest::default()).is_clean());
        let before = picture(&ws.root);
        if ws.root.join("out").exists() {
            std::fs::remove_dir_all(ws.root.join("out")).unwrap();
        }
        let found = ws.survey(&patterns, &manifest, &Manifest::default());
        prop_assert_eq!(&found.wrong, &manifest.0);
        restore(&ws.root, &ws.store, &found).unwrap();
        prop_assert_eq!(picture(&ws.root), before);
        prop_assert!(ws.survey(&patterns, &manifest, &Manifest::default()).is_clean());
        prop_assert_eq!(ws.keep(&patterns).digest(), manifest.digest());
    }

    /// From what another result of the same task left, the first one comes back, and nothing of
    /// the other stays; what is neither's is told apart and is not touched.
    #[test]
    fn replaces_what_an_earlier_result_left(one in some_tree(), other in some_tree(), foreign in some_tree()) {
        let ws = Workspace::new();
        plant(&ws.root, &one);
        let patterns = patterns(&["out"]);
        let manifest = ws.keep(&patterns);
        let wanted = picture(&ws.root);
        if ws.root.join("out").exists() {
            std::fs::remove_dir_all(ws.root.join("out")).unwrap();
        }
        plant(&ws.root, &other);
        let earlier = ws.keep(&patterns);
        let before = picture(&ws.root);
        plant(&ws.root, &foreign);
        let found = ws.survey(&patterns, &manifest, &earlier);
        let now = picture(&ws.root);
        for path in &found.foreign {
            prop_assert!(!before.iter().any(|(known, _)| known == path.as_str()), "{path} was not foreign");
        }
        for (path, what) in without_folders(now.clone()) {
            let is = |list: &[(String, String)]| list.contains(&(path.clone(), what.clone()));
            let foreign = !is(&wanted) && !is(&before);
            let named = found.foreign.iter().any(|foreign| foreign.as_str() == path)
                || found.wrong.iter().any(|wrong| wrong.path.as_str() == path);
            prop_assert!(!foreign || named, "{path} is nobody's and was overlooked");
        }
        // A folder with things in it where a file belongs can't be replaced; the task runs then.
        if found.foreign.is_empty() && restore(&ws.root, &ws.store, &found).is_ok() {
            prop_assert_eq!(without_folders(picture(&ws.root)), without_folders(wanted));
            prop_assert!(ws.survey(&patterns, &manifest, &Manifest::default()).is_clean());
        }
    }
}

#[test]
fn any_alteration_is_seen_and_mended() {
    let ws = Workspace::new();
    ws.write("out/file", "content", 0o640);
    symlink("file", ws.root.join("out/link")).unwrap();
    std::fs::create_dir(ws.root.join("out/empty")).unwrap();
    let patterns = patterns(&["out"]);
    let manifest = ws.keep(&patterns);
    let wanted = picture(&ws.root);
    let out = ws.root.join("out");
    let alterations: [&dyn Fn(); 8] = [
        &|| std::fs::write(out.join("file"), "CONTENT").unwrap(),
        &|| std::fs::set_permissions(out.join("file"), std::fs::Permissions::from_mode(0o755)).unwrap(),
        &|| std::fs::remove_file(out.join("file")).unwrap(),
        &|| {
            std::fs::remove_file(out.join("file")).unwrap();
            symlink("/etc/hostname", out.join("file")).unwrap();
        },
        &|| {
            std::fs::remove_file(out.join("file")).unwrap();
            std::fs::create_dir(out.join("file")).unwrap();
        },
        &|| {
            std::fs::remove_file(out.join("link")).unwrap();
            std::fs::write(out.join("link"), "content").unwrap();
        },
        &|| std::fs::remove_dir(out.join("empty")).unwrap(),
        &|| {
            std::fs::remove_dir(out.join("empty")).unwrap();
            symlink("nowhere", out.join("empty")).unwrap();
        },
    ];
    for (number, alter) in alterations.iter().enumerate() {
        alter();
        let found = ws.survey(&patterns, &manifest, &Manifest::default());
        assert_eq!(found.wrong.len(), 1, "alteration {number}: {found:?}");
        restore(&ws.root, &ws.store, &found).unwrap();
        assert_eq!(picture(&ws.root), wanted, "alteration {number}");
    }
}

#[test]
fn tells_stale_foreign_and_wrong_apart() {
    let ws = Workspace::new();
    let patterns = patterns(&["out"]);
    ws.write("out/a", "1", 0o644);
    ws.write("out/gone", "1", 0o644);
    ws.write("out/touched", "1", 0o644);
    let earlier = ws.keep(&patterns);
    ws.write("out/a", "2", 0o644);
    std::fs::remove_file(ws.root.join("out/gone")).unwrap();
    std::fs::remove_file(ws.root.join("out/touched")).unwrap();
    let manifest = ws.keep(&patterns);
    // Back to what the earlier result left, and then by hand.
    ws.write("out/a", "1", 0o644);
    ws.write("out/gone", "1", 0o644);
    ws.write("out/touched", "by hand", 0o644);
    ws.write("out/new", "by hand", 0o644);
    let found = ws.survey(&patterns, &manifest, &earlier);
    let path = |text: &str| WsPath::from_clean(text);
    assert_eq!(found.wrong.iter().map(|entry| &entry.path).collect::<Vec<_>>(), [&path("out/a")]);
    assert_eq!(found.stale.iter().map(|entry| &entry.path).collect::<Vec<_>>(), [&path("out/gone")]);
    assert_eq!(found.foreign, [path("out/new"), path("out/touched")], "what was changed by hand is kept");
}

#[test]
fn what_was_written_since_it_was_looked_at_is_not_removed() {
    type Alteration<'a> = (&'a str, &'a dyn Fn(&Path));
    let alterations: [Alteration<'_>; 5] = [
        ("the same again", &|path| std::fs::write(path, "left").unwrap()),
        ("other content of the same length", &|path| std::fs::write(path, "mine").unwrap()),
        ("another mode", &|path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap()),
        ("a link in its place", &|path| {
            std::fs::remove_file(path).unwrap();
            symlink("a", path).unwrap();
        }),
        ("a folder in its place", &|path| {
            std::fs::remove_file(path).unwrap();
            std::fs::create_dir(path).unwrap();
        }),
    ];
    for (what, alter) in alterations {
        let ws = Workspace::new();
        let patterns = patterns(&["out"]);
        ws.write("out/a", "1", 0o644);
        ws.write("out/old", "left", 0o644);
        let earlier = ws.keep(&patterns);
        std::fs::remove_file(ws.root.join("out/old")).unwrap();
        let manifest = ws.keep(&patterns);
        ws.write("out/old", "left", 0o644);
        let found = ws.survey(&patterns, &manifest, &earlier);
        assert_eq!(found.stale.len(), 1);
        alter(&ws.root.join("out/old"));
        let altered = picture(&ws.root);
        match restore(&ws.root, &ws.store, &found) {
            Ok(done) => assert_eq!((done.removed, what), (1, "the same again")),
            Err(RestoreError::Altered(path)) => {
                assert_eq!(path.as_str(), "out/old");
                assert_ne!(what, "the same again");
                assert_eq!(picture(&ws.root), altered, "{what}");
            }
            Err(error) => panic!("{what}: {error}"),
        }
    }
}

#[test]
fn a_missing_or_damaged_blob_is_no_hit_and_touches_nothing() {
    let ws = Workspace::new();
    ws.write("out/a", "first", 0o644);
    ws.write("out/b", "second", 0o644);
    let patterns = patterns(&["out"]);
    let manifest = ws.keep(&patterns);
    ws.write("out/a", "altered", 0o644);
    ws.write("out/b", "altered", 0o644);
    let altered = picture(&ws.root);
    let second = Digest::of(b"second");
    ws.store.drop_blob(&second);
    let found = ws.survey(&patterns, &manifest, &Manifest::default());
    assert!(
        matches!(restore(&ws.root, &ws.store, &found), Err(RestoreError::NoBlob(path)) if path.as_str() == "out/b")
    );
    assert_eq!(picture(&ws.root), altered);
    let blob = ws.folder.path().join("weir/cas").join(&second.to_hex()[..2]).join(&second.to_hex()[2..]);
    std::fs::write(&blob, "secomd").unwrap();
    assert!(matches!(restore(&ws.root, &ws.store, &found), Err(RestoreError::NoBlob(_) | RestoreError::Damaged(_))));
    assert_eq!(std::fs::read_to_string(ws.root.join("out/b")).unwrap(), "altered");
    assert!(!ws.store.has_blob(&second), "and the next success stores it again");
}

fn file_entry(ws: &Workspace, path: &str, content: &str) -> Entry {
    let digest = ws.store.put_bytes(content.as_bytes()).unwrap();
    let kind = EntryKind::File { digest, size: content.len() as u64, mode: 0o644 };
    Entry { path: WsPath::from_clean(path), kind }
}

#[test]
fn nothing_is_written_or_removed_through_a_symlink_that_leads_out() {
    let ws = Workspace::new();
    let outside = ws.folder.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("precious"), "kept").unwrap();
    let before = picture(&outside);
    let link =
        Entry { path: WsPath::from_clean("out"), kind: EntryKind::Link { target: outside.display().to_string() } };
    let dangling = Entry {
        path: WsPath::from_clean("out"),
        kind: EntryKind::Link { target: outside.join("made").display().to_string() },
    };
    let below = file_entry(&ws, "out/new", "x");
    let surveys = [
        Survey { wrong: vec![below.clone()], ..Survey::default() },
        Survey { wrong: vec![file_entry(&ws, "out/deep/er/new", "x")], ..Survey::default() },
        Survey { stale: vec![file_entry(&ws, "out/precious", "kept")], ..Survey::default() },
        Survey { wrong: vec![file_entry(&ws, "out/precious", "x")], ..Survey::default() },
    ];
    for found in &surveys {
        symlink(&outside, ws.root.join("out")).unwrap();
        assert!(matches!(restore(&ws.root, &ws.store, found), Err(RestoreError::Outside(_))), "{found:?}");
        std::fs::remove_file(ws.root.join("out")).unwrap();
        symlink(outside.join("made"), ws.root.join("out")).unwrap();
        assert!(matches!(restore(&ws.root, &ws.store, found), Err(RestoreError::Outside(_))), "{found:?}");
        std::fs::remove_file(ws.root.join("out")).unwrap();
    }
    // The symlink is itself among what is restored.
    for link in [link, dangling] {
        let found = Survey { wrong: vec![link, below.clone()], ..Survey::default() };
        assert!(matches!(restore(&ws.root, &ws.store, &found), Err(RestoreError::Outside(_))), "{found:?}");
    }
    assert_eq!(picture(&outside), before);
}
