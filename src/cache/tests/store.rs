//! One suite over every kind of store: alone in a workspace, and with a shared folder.

use crate::cache::{Entry, EntryKind, Found, Manifest, Recorded, Store, StoredResult};
use crate::model::{Digest, KeyPart, PartKind, WsPath};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

struct Fixture {
    _folder: tempfile::TempDir,
    root: PathBuf,
    store: Store,
    shared: bool,
}

/// Every implementation.
fn each(test: impl Fn(&Fixture)) {
    for shared in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_path_buf();
        let elsewhere = root.join("elsewhere");
        let store = Store::open(&root.join(".weir"), shared.then_some(&*elsewhere)).unwrap();
        test(&Fixture { _folder: folder, root, store, shared });
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = walkdir::WalkDir::new(folder)
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| entry.into_path())
        .collect();
    all.sort();
    all
}

impl Fixture {
    fn results(&self) -> Vec<PathBuf> {
        files(&self.root.join(".weir/results"))
    }

    fn blobs(&self) -> Vec<PathBuf> {
        files(&self.root.join(if self.shared { "elsewhere/cas" } else { ".weir/cas" }))
    }

    /// A result with one output of this content, and a log.
    fn put(&self, key: &Digest, content: &str, share: bool) -> StoredResult {
        let digest = self.store.put_bytes(content.as_bytes()).unwrap();
        let log = format!("log of {content}");
        let log = (self.store.put_bytes(log.as_bytes()).unwrap(), log.len() as u64);
        let kind = EntryKind::File { digest, size: content.len() as u64, mode: 0o644 };
        let result = StoredResult {
            task: "t".into(),
            recorded: Recorded {
                key: *key,
                left: digest,
                outputs: Manifest(vec![Entry { path: WsPath::from_clean("out"), kind }]),
                log: Some(log),
                duration_ms: 3,
                state: None,
            },
            run: "r".into(),
            parts: vec![KeyPart { kind: PartKind::Env, name: "A".into(), shown: "1".into(), unset: false }],
        };
        self.store.put_result(key, &result, share).unwrap();
        result
    }

    fn get(&self, key: &Digest) -> Option<StoredResult> {
        match self.store.result(key, true) {
            Found::Yes(result) => Some(result),
            _ => None,
        }
    }
}

fn key(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

#[test]
fn what_is_put_is_got_back() {
    each(|fixture| {
        let store = &fixture.store;
        for content in ["", "a", &"x".repeat(300_000)] {
            let digest = store.put_bytes(content.as_bytes()).unwrap();
            assert!(store.has_blob(&digest));
            let mut back = Vec::new();
            assert_eq!(store.copy_blob(&digest, &mut back).unwrap(), (digest, content.len() as u64));
            assert_eq!(back, content.as_bytes());
            let file = fixture.root.join("file");
            std::fs::write(&file, content).unwrap();
            assert!(store.put_file(&file, &digest).unwrap());
            assert_eq!(store.put_log(&file).unwrap(), digest);
        }
        let result = fixture.put(&key("k"), "content", true);
        assert_eq!(fixture.get(&key("k")), Some(result));
        assert!(matches!(store.result(&key("other"), true), Found::No));
    });
}

#[test]
fn a_file_that_changed_is_not_stored_under_its_old_digest() {
    each(|fixture| {
        let file = fixture.root.join("file");
        std::fs::write(&file, "new").unwrap();
        let old = Digest::of(b"old");
        assert!(!fixture.store.put_file(&file, &old).unwrap());
        assert!(!fixture.store.has_blob(&old));
        assert_eq!(fixture.blobs(), Vec::<PathBuf>::new(), "nothing stays behind");
    });
}

#[test]
fn results_are_shared_only_where_that_is_asked_for() {
    each(|fixture| {
        fixture.put(&key("mine"), "a", false);
        fixture.put(&key("ours"), "b", true);
        let other = Store::open(
            &fixture.root.join("checkout/.weir"),
            fixture.shared.then_some(&*fixture.root.join("elsewhere")),
        )
        .unwrap();
        assert!(matches!(other.result(&key("mine"), true), Found::No));
        assert_eq!(matches!(other.result(&key("ours"), true), Found::Yes(_)), fixture.shared);
        assert!(matches!(other.result(&key("ours"), false), Found::No));
        fixture.store.remove_result(&key("ours")).unwrap();
        fixture.store.remove_result(&key("ours")).unwrap();
        assert!(matches!(fixture.store.result(&key("ours"), false), Found::No));
    });
}

#[test]
fn a_result_that_is_cut_or_altered_anywhere_is_none() {
    each(|fixture| {
        let result = fixture.put(&key("k"), "content", false);
        let path = fixture.results().remove(0);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            for bit in [0, 1, 5, 7] {
                let mut altered = whole.clone();
                altered[at] ^= 1 << bit;
                std::fs::write(&path, altered).unwrap();
                match fixture.store.result(&key("k"), true) {
                    // `A` for `a` in the checksum says the same.
                    Found::Yes(found) => assert_eq!(found, result, "byte {at}, bit {bit}"),
                    Found::No => panic!("byte {at}, bit {bit}: no word about the damage"),
                    Found::Bad(problem) => {
                        assert!(!problem.0.contains("newer"), "byte {at}, bit {bit}: {problem:?}");
                        assert!(!path.exists(), "byte {at}, bit {bit}: it warns once");
                    }
                }
            }
            std::fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(fixture.get(&key("k")), None, "cut at {at}");
            assert_eq!(fixture.get(&key("k")), None, "cut at {at}, again");
        }
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(fixture.get(&key("k")), Some(result), "the test tests something");
    });
}

/// A result of a version to come, with everything in its header right.
fn of_a_newer_version(whole: &[u8]) -> Vec<u8> {
    let end = whole.iter().position(|byte| *byte == b'\n').unwrap();
    let body = &whole[end + 1..];
    let start = format!("weir-result 2 {}", body.len());
    let mut sum = crc32fast::Hasher::new();
    sum.update(start.as_bytes());
    sum.update(body);
    let mut data = format!("{start} {:08x}\n", sum.finalize()).into_bytes();
    data.extend_from_slice(body);
    data
}

#[test]
fn a_newer_versions_result_is_left_to_it() {
    each(|fixture| {
        fixture.put(&key("k"), "content", false);
        fixture.put(&key("old"), "other", false);
        let path = fixture.root.join(".weir/results").join(&key("k").to_hex()[..2]).join(&key("k").to_hex()[2..]);
        let data = of_a_newer_version(&std::fs::read(&path).unwrap());
        std::fs::write(&path, &data).unwrap();
        for _ in 0..2 {
            assert!(matches!(fixture.store.result(&key("k"), true), Found::Bad(why) if why.0.contains("newer")));
        }
        let verified = fixture.store.verify();
        assert_eq!((verified.results, verified.removed), (2, vec![]));
        let blobs = fixture.blobs();
        fixture.store.prune(Some(Duration::ZERO), Some(0)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), data);
        assert_eq!(fixture.blobs(), blobs, "nobody knows which of them it names");
        assert_eq!(fixture.get(&key("old")), None);
    });
}

#[test]
fn a_blob_that_is_cut_or_altered_is_found_out() {
    each(|fixture| {
        let content = b"some content";
        let digest = fixture.store.put_bytes(content).unwrap();
        let path = fixture.blobs().remove(0);
        for at in 0..content.len() {
            let mut altered = content.to_vec();
            altered[at] ^= 1;
            for data in [&altered, &content[..at].to_vec()] {
                std::fs::remove_file(&path).unwrap();
                std::fs::write(&path, data).unwrap();
                let (found, length) = fixture.store.copy_blob(&digest, &mut Vec::new()).unwrap();
                assert_ne!((found, length), (digest, content.len() as u64));
            }
        }
        let verified = fixture.store.verify();
        assert_eq!((verified.blobs, verified.removed.len()), (1, 1));
        assert!(!fixture.store.has_blob(&digest));
    });
}

#[test]
fn verify_removes_what_does_not_hold_and_nothing_else() {
    each(|fixture| {
        let good = fixture.put(&key("good"), "a", true);
        let bad = fixture.put(&key("bad"), "b", true);
        fixture.store.drop_blob(&bad.recorded.left);
        let copies = if fixture.shared { 2 } else { 1 };
        let verified = fixture.store.verify();
        assert_eq!(verified.removed.len(), copies, "{:?}", verified.removed);
        assert_eq!(fixture.get(&key("good")), Some(good));
        assert_eq!(fixture.get(&key("bad")), None);
        assert_eq!(fixture.store.verify().removed, Vec::<String>::new());
    });
}

fn age(path: &Path, seconds: u64) {
    let file = std::fs::File::open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
}

#[test]
fn prune_keeps_what_the_results_it_keeps_name() {
    each(|fixture| {
        let mut all = Vec::new();
        for number in 0..6u64 {
            let name = format!("k{number}");
            // Neighbours share a blob.
            all.push((key(&name), fixture.put(&key(&name), &format!("content {}", number / 2), false)));
            for path in fixture.results() {
                if std::fs::read_to_string(&path).unwrap().contains(&key(&name).to_hex()) {
                    age(&path, 100 * (6 - number));
                }
            }
        }
        fixture.store.put_bytes(b"nobody's").unwrap();
        // In a shared folder a young blob may be named by somebody else's result.
        for blob in walkdir::WalkDir::new(fixture.store.status().blobs_dir).into_iter().map(Result::unwrap) {
            if blob.file_type().is_file() {
                age(blob.path(), 1000);
            }
        }
        // Those of 600, 500 and 400 seconds go; 2 shares its blob with 3.
        let (results, blobs, freed) = fixture.store.prune(Some(Duration::from_secs(350)), None).unwrap();
        assert_eq!(results, 3);
        assert_eq!(blobs, 1 + 2, "content and log of 0 and 1, and nobody's");
        assert!(freed > 0);
        for (number, (key, result)) in all.iter().enumerate() {
            let kept = fixture.get(key);
            assert_eq!(kept.as_ref(), (number >= 3).then_some(result));
            for (digest, _) in kept.iter().filter_map(|kept| kept.recorded.log) {
                assert!(fixture.store.has_blob(&digest));
            }
            assert!(kept.is_none_or(|kept| fixture.store.has_blob(&kept.recorded.left)));
        }
        // The oldest go first, until the rest fits.
        let both = ("content 2".len() + "log of content 2".len()) as u64;
        let (results, blobs, _) = fixture.store.prune(None, Some(both)).unwrap();
        assert_eq!((results, blobs), (1, 2));
        assert!(fixture.get(&all[4].0).is_some() && fixture.get(&all[5].0).is_some());
        assert_eq!(fixture.store.verify().removed, Vec::<String>::new());
        assert_eq!(fixture.store.prune(None, None).unwrap(), (0, 0, 0));
    });
}

#[test]
fn prune_by_size_keeps_nothing_older_than_what_it_removes() {
    // Ages 3, 2, 1: the one in the middle is large.
    for (limit, kept) in [(10_000, [true, true, true]), (200, [false, false, true]), (10, [false, false, false])] {
        each(|fixture| {
            for (seconds, content) in [(300, "old".to_owned()), (200, "x".repeat(500)), (100, "new".repeat(10))] {
                let key = key(&seconds.to_string());
                fixture.put(&key, &content, false);
                for path in fixture.results() {
                    if std::fs::read_to_string(&path).unwrap().contains(&key.to_hex()) {
                        age(&path, seconds);
                    }
                }
            }
            fixture.store.prune(None, Some(limit)).unwrap();
            let found = [300, 200, 100].map(|seconds: u64| fixture.get(&key(&seconds.to_string())).is_some());
            assert_eq!(found, kept, "at most {limit} bytes");
        });
    }
}
