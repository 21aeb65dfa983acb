//! Law 14: a torn, corrupt or foreign entry is a miss, with one warning; never an error, never a
//! hit, on the first run and on the second.

use crate::support::{Ran, Workspace, stored};
use std::fs;
use std::path::Path;

/// One task of each kind; all copy `in` and say what they copied.
const TASKS: &str = "
[tasks.out]
run = 'echo x >> ../out.ran; cp in a.out; echo out copied $(cat in)'
sources = ['in']
outputs = ['a.out']
[tasks.verdict]
run = 'echo x >> ../verdict.ran; echo verdict on $(cat in)'
sources = ['in']
outputs = []
[tasks.unknown]
run = 'echo x >> ../unknown.ran; cp in b.out; echo unknown copied $(cat in)'
sources = ['in']
[tasks.all]
depends = ['out', 'verdict', 'unknown']
";

/// Results for two inputs are recorded; the first input is back, so that results are looked up.
fn prepared() -> Workspace {
    let ws = Workspace::new(TASKS);
    for input in ["AAAA", "BBBB"] {
        ws.write("in", input);
        ws.run("all");
    }
    ws.write("in", "AAAA");
    ws
}

/// What can happen to a file.
type Damage = (&'static str, fn(&[u8]) -> Vec<u8>);
const DAMAGES: [Damage; 7] = [
    ("emptied", |_| vec![]),
    ("cut in the middle", |data| data[..data.len() / 2].to_vec()),
    ("cut by a byte", |data| data[..data.len() - 1].to_vec()),
    ("overwritten", |data| data.iter().map(|byte| byte ^ 0xa5).collect()),
    ("one bit flipped", |data| {
        let mut data = data.to_vec();
        let middle = data.len() / 2;
        data[middle] ^= 1;
        data
    }),
    ("appended to", |data| [data, b"\n{}\0garbage"].concat()),
    ("foreign", |_| b"#!/bin/sh\necho this is somebody else's file\n".to_vec()),
];

/// Replaces a file's content in place, though it is read-only.
fn overwrite(ws: &Workspace, file: &str, data: &[u8]) {
    ws.chmod(file, 0o644);
    ws.write(file, data);
}

/// Puts `.weir` back to what it was.
fn put_back(ws: &Workspace, saved: &[(String, Vec<u8>)]) {
    fs::remove_dir_all(ws.path(".weir")).unwrap();
    for (file, data) in saved {
        ws.write(file, data);
    }
}

fn is_right(ws: &Workspace, ran: &Ran, what: &str) {
    assert_eq!(ran.code, 0, "{what}: {}", ran.shown());
    let input = ws.read("in");
    assert_eq!((ws.read("a.out"), ws.read("b.out")), (input.clone(), input.clone()), "{what}: {}", ran.shown());
    for line in ["out copied ", "verdict on ", "unknown copied "] {
        assert!(ran.out.contains(&format!("{line}{input}\n")), "{what}: {}", ran.shown());
    }
    let said: Vec<&str> =
        ran.out.lines().filter(|line| line.contains(" copied ") || line.contains("verdict on")).collect();
    assert_eq!(said.len(), 3, "{what}: {}", ran.shown());
}

/// The first run is right with at most one warning, the second one without any, and has nothing to do.
fn goes_well(ws: &Workspace, what: &str) -> Ran {
    let first = ws.try_run("all");
    is_right(ws, &first, what);
    assert!(first.told().len() <= 1, "{what}: {:?}", first.told());
    let second = ws.try_run("all");
    is_right(ws, &second, &format!("{what}, second run"));
    assert_eq!(second.told(), [], "{what}, second run");
    second.tasks("out fresh, verdict fresh, unknown fresh");
    first
}

fn damage_to_every_file_in(folder: &str) {
    let ws = prepared();
    let saved = ws.weir_contents();
    let files = ws.files(folder);
    assert!(!files.is_empty());
    for (at, file) in files.iter().enumerate() {
        let data = fs::read(ws.path(file)).unwrap();
        // Some to each file, each to some file; what is met is damaged in every way further down.
        for (what, damage) in DAMAGES.iter().cycle().skip(at * 2).take(2) {
            overwrite(&ws, file, &damage(&data));
            goes_well(&ws, &format!("{file} {what}"));
            put_back(&ws, &saved);
        }
    }
}

#[test]
fn damaged_results() {
    damage_to_every_file_in(".weir/results");
}

#[test]
fn damaged_state() {
    let ws = prepared();
    let saved = ws.weir_contents();
    let data = fs::read(ws.path(".weir/state/journal")).unwrap();
    for (what, damage) in DAMAGES {
        overwrite(&ws, ".weir/state/journal", &damage(&data));
        goes_well(&ws, what);
        put_back(&ws, &saved);
    }
}

#[test]
fn damaged_blobs_of_outputs_and_logs() {
    // Outputs are there under both inputs: what is restored is what is damaged.
    damage_to_every_file_in(".weir/cas");
}

#[test]
fn damaged_state_under_unchanged_inputs() {
    let ws = prepared();
    ws.run("all");
    let saved = ws.weir_contents();
    let data = fs::read(ws.path(".weir/state/journal")).unwrap();
    for (what, damage) in DAMAGES {
        overwrite(&ws, ".weir/state/journal", &damage(&data));
        let ran = goes_well(&ws, what);
        // What is lost may have been an invalidation: effects that nobody knows do not count.
        if ran.told().is_empty() {
            assert_eq!(what, "appended to");
        } else {
            ran.tasks("unknown ran");
        }
        put_back(&ws, &saved);
    }
}

#[test]
fn damage_that_is_met_is_a_miss_with_one_warning() {
    for (what, damage) in DAMAGES {
        let ws = prepared();
        let result = result_of(&ws, "out");
        let data = fs::read(ws.path(&result)).unwrap();
        overwrite(&ws, &result, &damage(&data));
        let ran = goes_well(&ws, what).tasks("out ran, verdict skips");
        assert_eq!(ran.told().len(), 1, "{what}: {:?}", ran.told());
        assert_eq!(ws.count("out"), 3);
    }
}

/// The file that holds the result of `task` under the inputs as they are.
fn result_of(ws: &Workspace, task: &str) -> String {
    let explained: serde_json::Value = serde_json::from_str(&ws.weir(&["explain", "--json", task]).ok().out).unwrap();
    let key = explained[0]["key"].as_str().unwrap().to_owned();
    let file = format!(".weir/results/{}/{}", &key[..2], &key[2..]);
    assert!(ws.exists(&file), "{file}");
    file
}

#[test]
fn a_damaged_blob_that_is_needed_is_a_miss_with_one_warning() {
    for (what, damage) in DAMAGES {
        let ws =
            Workspace::new("[tasks.t]\nrun = 'echo x >> ../t.ran; cp in out'\nsources = ['in']\noutputs = ['out']");
        ws.write("in", "AAAA");
        ws.run("t");
        ws.remove("out");
        let [blob] = &ws.files(".weir/cas")[..] else { panic!("one blob") };
        overwrite(&ws, blob, &damage(b"AAAA"));
        let ran = ws.run("t").tasks("t ran");
        assert_eq!(ran.told().len(), 1, "{what}: {}", ran.shown());
        assert_eq!(ws.read("out"), "AAAA");
        // The store is whole again.
        ws.remove("out");
        let ran = ws.run("t").tasks("t hit");
        assert_eq!(ran.told(), []);
        assert_eq!((ws.read("out").as_str(), ws.count("t")), ("AAAA", 2));
    }
}

#[test]
fn a_damaged_log_is_not_replayed() {
    for (what, damage) in DAMAGES {
        let ws =
            Workspace::new("[tasks.t]\nrun = 'echo x >> ../t.ran; echo as it was printed'\nsources = []\noutputs = []");
        ws.run("t");
        let [blob] = &ws.files(".weir/cas")[..] else { panic!("one blob") };
        overwrite(&ws, blob, &damage(b"as it was printed\n"));
        for told in [1, 0] {
            let ran = ws.run("t").says("as it was printed\n");
            assert!(!ran.out.contains("garbage") && !ran.out.contains("somebody"), "{what}: {}", ran.shown());
            assert_eq!(ran.told().len(), told, "{what}: {:?}", ran.told());
        }
        ws.run("t").tasks("t fresh").says("as it was printed\n");
    }
}

#[test]
fn a_run_folder_that_was_tampered_with_changes_no_replay() {
    let ws = Workspace::new("[tasks.t]\nrun = 'echo as it was printed'\nsources = []\noutputs = []");
    ws.run("t");
    let logs: Vec<String> = ws.files(".weir/runs").into_iter().filter(|file| file.ends_with(".log")).collect();
    assert_eq!(logs.len(), 1);
    // In place: were it a hard link to what is stored, that would change too.
    overwrite(&ws, &logs[0], b"something else\n");
    ws.run("t").says("as it was printed\n").says_nothing_of("something else");
    ws.run("t").tasks("t fresh").says("as it was printed\n");
}

#[test]
fn a_result_under_another_results_key_is_foreign() {
    let ws = prepared();
    let here = result_of(&ws, "out");
    ws.write("in", "BBBB");
    let other = result_of(&ws, "out");
    ws.write("in", "AAAA");
    let foreign = fs::read(ws.path(&other)).unwrap();
    overwrite(&ws, &here, &foreign);
    let ran = goes_well(&ws, "foreign").tasks("out ran");
    assert_eq!(ran.told().len(), 1, "{:?}", ran.told());
}

#[test]
fn a_result_of_another_task_is_foreign() {
    let ws = prepared();
    let foreign = fs::read(ws.path(&result_of(&ws, "verdict"))).unwrap();
    let here = result_of(&ws, "out");
    overwrite(&ws, &here, &foreign);
    goes_well(&ws, "of another task").tasks("out ran");
}

#[test]
fn a_result_of_a_newer_version_is_a_miss_with_one_warning() {
    let ws = prepared();
    let result = result_of(&ws, "out");
    let content = stored::content(&fs::read(ws.path(&result)).unwrap());
    // As it should be, it is a hit: so that the others can fail.
    overwrite(&ws, &result, &stored::sealed(1, &content));
    ws.run("out").tasks("out hit");
    for (version, believed) in [(2, true), (2, false), (0, false)] {
        let ws = prepared();
        let result = result_of(&ws, "out");
        let sealed = stored::sealed(version, &content);
        // Not sealed anew: the version alone was flipped.
        let flipped = fs::read(ws.path(&result)).unwrap();
        let flipped = [format!("weir-result {version}").as_bytes(), &flipped["weir-result 1".len()..]].concat();
        overwrite(&ws, &result, if believed { &sealed } else { &flipped });
        let ran = goes_well(&ws, "newer").tasks("out ran");
        let [(_, told)] = &ran.told()[..] else { panic!("{:?}", ran.told()) };
        // Believed only if the checksum holds.
        assert_eq!(told.contains("newer version"), believed, "{told}");
    }
}

/// A journal's header of another version; `sound`: with the checksum it should have.
fn journal_of_version(journal: &[u8], version: u16, oldest_reader: u16, sound: bool) -> Vec<u8> {
    let mut data = journal.to_vec();
    data[8..10].copy_from_slice(&version.to_le_bytes());
    data[10..12].copy_from_slice(&oldest_reader.to_le_bytes());
    if sound {
        let sum = crc32fast::hash(&data[..28]);
        data[28..32].copy_from_slice(&sum.to_le_bytes());
    }
    data
}

#[test]
fn state_of_a_newer_version_is_left_alone_and_nothing_counts() {
    for oldest_reader in [1, 2] {
        let ws = prepared();
        let journal = fs::read(ws.path(".weir/state/journal")).unwrap();
        let newer = journal_of_version(&journal, 2, oldest_reader, true);
        overwrite(&ws, ".weir/state/journal", &newer);
        for _ in 0..2 {
            let ran = ws.run("all");
            is_right(&ws, &ran, "newer state");
            let [(_, told)] = &ran.told()[..] else { panic!("{:?}", ran.told()) };
            assert!(told.contains("newer version"), "{told}");
            ran.tasks("out ran, verdict ran, unknown ran");
            assert_eq!(fs::read(ws.path(".weir/state/journal")).unwrap(), newer);
        }
        // Back with the newer version, or with it gone, all is well.
        fs::remove_file(ws.path(".weir/state/journal")).unwrap();
        goes_well(&ws, "the newer state removed").tasks("unknown ran");
    }
}

#[test]
fn a_newer_version_is_not_believed_without_its_checksum() {
    let ws = prepared();
    let journal = fs::read(ws.path(".weir/state/journal")).unwrap();
    overwrite(&ws, ".weir/state/journal", &journal_of_version(&journal, 2, 2, false));
    let ran = goes_well(&ws, "a flipped version").tasks("unknown ran");
    let [(_, told)] = &ran.told()[..] else { panic!("{:?}", ran.told()) };
    assert!(told.contains("damaged"), "{told}");
}

#[test]
fn a_cut_between_two_records_is_seen() {
    // Whole frames are missing at the end: among them the invalidation of what was before.
    let ws = Workspace::new("[tasks.t]\nrun = 'echo x >> ../t.ran; cp in out; test ! -e ../fails'\nsources = ['in']");
    ws.write("in", "a");
    ws.run("t");
    let before = fs::read(ws.path(".weir/state/journal")).unwrap();
    fs::write(ws.outside("fails"), "").unwrap();
    ws.try_run("-f t").exit(1);
    let after = fs::read(ws.path(".weir/state/journal")).unwrap();
    assert!(after.len() > before.len());
    overwrite(&ws, ".weir/state/journal", &after[..before.len()]);
    let ran = ws.try_run("t").exit(1).tasks("t failed");
    assert_eq!(ran.told().len(), 1, "{:?}", ran.told());
}

#[test]
fn lost_memory_distrusts_shared_results() {
    // The success is in the shared folder; the failure that came later was in the state that is lost.
    let cache = tempfile::tempdir().unwrap();
    let ws = Workspace::new("[tasks.t]\nrun = 'cp in out; test ! -e ../fails'\nsources = ['in']\noutputs = ['out']");
    ws.write("in", "a");
    let run = |words: &[&str]| ws.weir(words).env("WEIR_CACHE_DIR", cache.path()).go();
    run(&["run", "t"]).success();
    fs::write(ws.outside("fails"), "").unwrap();
    run(&["run", "-f", "t"]).exit(1);
    overwrite(&ws, ".weir/state/journal", b"");
    run(&["run", "t"]).exit(1).tasks("t failed");
}

#[test]
fn a_damaged_shared_entry_is_a_miss_with_one_warning() {
    for (what, damage) in DAMAGES {
        let cache = tempfile::tempdir().unwrap();
        let checkout = || {
            let ws =
                Workspace::new("[tasks.t]\nrun = 'echo x >> ../t.ran; cp in out'\nsources = ['in']\noutputs = ['out']");
            ws.write("in", "AAAA");
            ws
        };
        let run = |ws: &Workspace| ws.weir(&["run", "t"]).env("WEIR_CACHE_DIR", cache.path()).ok();
        run(&checkout()).tasks("t ran");
        let [result] = &below(&cache.path().join("results"))[..] else { panic!("one result") };
        fs::write(result, damage(&fs::read(result).unwrap())).unwrap();
        let second = checkout();
        let ran = run(&second).tasks("t ran");
        assert_eq!(ran.told().len(), 1, "{what}: {:?}", ran.told());
        assert_eq!(run(&second).tasks("t fresh").told(), []);
        // It was written anew.
        assert_eq!(run(&checkout()).tasks("t hit").told(), [], "{what}");
    }
}

fn below(folder: &Path) -> Vec<std::path::PathBuf> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .collect()
}

#[test]
fn locks_and_records_of_runs_are_no_results() {
    let ws = prepared();
    let saved = ws.weir_contents();
    for (what, damage) in DAMAGES {
        for file in ws.files(".weir/locks").into_iter().chain(ws.files(".weir/runs")).chain([".weir/.gitignore".into()])
        {
            // A log may be one file with what is stored; that is another test's.
            let data = fs::read(ws.path(&file)).unwrap();
            let damaged = if data.is_empty() { b"\xff\xfe".to_vec() } else { damage(&data) };
            ws.remove(&file);
            ws.write(&file, damaged);
        }
        let ran = goes_well(&ws, what).tasks("out hit, verdict skips, unknown ran");
        assert_eq!(ran.told(), [], "{what}");
        for call in [&["runs", "ls"][..], &["runs", "show"], &["runs", "ls", "--json"]] {
            let ran = ws.weir(call).go();
            assert_ne!(ran.code, 70, "{what}: {}", ran.shown());
        }
        ws.write("in", "BBBB");
        ws.run("all");
        ws.write("in", "AAAA");
        put_back(&ws, &saved);
    }
}

#[test]
fn files_in_the_place_of_folders_are_no_error() {
    for place in ["state", "results", "cas", "locks", "runs"] {
        let ws = prepared();
        let folder = format!(".weir/{place}");
        fs::remove_dir_all(ws.path(&folder)).unwrap();
        ws.write(&folder, "a file");
        let ran = ws.try_run("all");
        assert_eq!(ran.code, 0, "{place}: {}", ran.shown());
        assert_eq!((ws.read("a.out"), ws.read("b.out")), ("AAAA".into(), "AAAA".into()), "{place}");
    }
}

#[test]
fn folders_that_are_gone_are_no_error() {
    for place in ["", "/state", "/results", "/cas", "/locks", "/runs"] {
        let ws = prepared();
        fs::remove_dir_all(ws.path(&format!(".weir{place}"))).unwrap();
        goes_well(&ws, place);
    }
}

#[test]
fn what_killed_writers_left_is_no_entry() {
    let ws = prepared();
    let result = result_of(&ws, "out");
    let folder = result.rsplit_once('/').unwrap().0.to_owned();
    for file in [&format!("{folder}/.tmp-abc"), ".weir/cas/.tmp-abc", ".weir/state/.tmp-abc", ".weir/results/.tmp-x"] {
        ws.write(file, "half of something");
    }
    let ran = goes_well(&ws, "temporary files").tasks("out hit, verdict skips");
    assert_eq!(ran.told(), []);
}
