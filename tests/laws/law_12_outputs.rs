//! Law 12: declared outputs: missing ones fail the task; on a hit they are verified by content and
//! put right, byte for byte, and only inside the workspace.

use crate::support::{Workspace, stored};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Leaves all kinds of things in `out`.
const KINDS: &str = "
[tasks.t]
run = '''
echo x >> ../t.ran
rm -rf out
mkdir -p out/sub/deep out/empty out/bin
cp in out/plain
cp in out/sub/deep/file
cp in out/bin/tool; chmod 755 out/bin/tool
cp in out/secret; chmod 600 out/secret
cp in out/readonly; chmod 444 out/readonly
: > out/nothing
ln -s plain out/link
ln -s ../nowhere out/sub/dangling
ln -s sub/deep out/folder
'''
sources = ['in']
outputs = ['out']
";

fn kinds() -> Workspace {
    let ws = Workspace::new(KINDS);
    ws.write("in", "content");
    ws.run("t");
    ws
}

fn is_whole(ws: &Workspace) {
    for file in ["plain", "sub/deep/file", "bin/tool", "secret", "readonly"] {
        assert_eq!(ws.read(&format!("out/{file}")), "content", "{file}");
    }
    assert_eq!(ws.read("out/nothing"), "");
    for (file, mode) in [("plain", 0o644), ("bin/tool", 0o755), ("secret", 0o600), ("readonly", 0o444)] {
        assert_eq!(ws.mode(&format!("out/{file}")), mode, "{file}");
    }
    for (link, target) in [("link", "plain"), ("sub/dangling", "../nowhere"), ("folder", "sub/deep")] {
        assert_eq!(ws.target(&format!("out/{link}")), Path::new(target), "{link}");
    }
    assert!(ws.path("out/empty").is_dir());
    assert_eq!(ws.files("out").len(), 6);
}

/// After this damage the next run restores, without running, and the one after it finds all well.
fn is_restored(what: &str, damage: impl FnOnce(&Workspace)) {
    let ws = kinds();
    is_whole(&ws);
    damage(&ws);
    let ran = ws.run("t");
    assert_eq!(ran.outcome("t"), "hit", "{what}: {}", ran.shown());
    is_whole(&ws);
    ws.run("t").tasks("t fresh");
    assert_eq!(ws.count("t"), 1, "{what}");
}

#[test]
fn deleted_outputs_are_restored() {
    is_restored("all", |ws| fs::remove_dir_all(ws.path("out")).unwrap());
    is_restored("a folder", |ws| fs::remove_dir_all(ws.path("out/sub")).unwrap());
    is_restored("an empty folder", |ws| fs::remove_dir(ws.path("out/empty")).unwrap());
    for file in ["plain", "sub/deep/file", "nothing", "link", "sub/dangling", "readonly"] {
        is_restored(file, |ws| ws.remove(&format!("out/{file}")));
    }
}

#[test]
fn corrupted_outputs_are_restored() {
    is_restored("other content", |ws| ws.write("out/plain", "something else"));
    is_restored("emptied", |ws| ws.write("out/plain", ""));
    is_restored("filled", |ws| ws.write("out/nothing", "something"));
    is_restored("same size and time", |ws| {
        let before = ws.modified("out/plain");
        ws.write("out/plain", "CONTENT");
        ws.set_modified("out/plain", before);
    });
    is_restored("a file in place of a symlink", |ws| {
        ws.remove("out/link");
        ws.write("out/link", "content");
    });
    is_restored("another target", |ws| ws.link("secret", "out/link"));
    is_restored("a symlink in place of a file", |ws| ws.link("secret", "out/plain"));
    is_restored("an empty folder in place of a file", |ws| {
        ws.remove("out/plain");
        fs::create_dir(ws.path("out/plain")).unwrap();
    });
    is_restored("a file in place of an empty folder", |ws| {
        fs::remove_dir(ws.path("out/empty")).unwrap();
        ws.write("out/empty", "");
    });
}

#[test]
fn modes_are_restored() {
    is_restored("chmod -x", |ws| ws.chmod("out/bin/tool", 0o644));
    is_restored("chmod +x", |ws| ws.chmod("out/plain", 0o755));
    is_restored("a secret laid open", |ws| ws.chmod("out/secret", 0o644));
}

#[test]
fn touched_outputs_are_fresh() {
    let ws = kinds();
    ws.set_modified("out/plain", std::time::SystemTime::UNIX_EPOCH);
    ws.run("t").tasks("t fresh");
}

#[test]
fn damage_right_after_a_run_is_seen() {
    // As fast as it goes: the clock that stamps files ticks slowly.
    let ws = Workspace::new("[tasks.t]\nrun = 'echo x >> ../t.ran; cp in out'\nsources = ['in']\noutputs = ['out']");
    ws.write("in", "00");
    ws.run("t");
    for round in 1..15 {
        ws.write("out", format!("{round:02}"));
        ws.run("t").tasks("t hit");
        assert_eq!(ws.read("out"), "00");
    }
    assert_eq!(ws.count("t"), 1);
}

#[test]
fn a_restored_output_is_no_part_of_the_store() {
    let ws = Workspace::new("[tasks.t]\nrun = 'cp in out'\nsources = ['in']\noutputs = ['out']");
    ws.write("in", "content");
    ws.run("t");
    for _ in 0..3 {
        ws.remove("out");
        ws.run("t").tasks("t hit");
        // In place: a hard link would carry this into the store.
        ws.write("out", "CONTENT");
        ws.run("t").tasks("t hit");
        assert_eq!(ws.read("out"), "content");
    }
}

#[test]
fn one_of_several_outputs_missing_or_wrong_is_enough() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'echo x >> ../t.ran; cp in one; cp in two.x; mkdir -p three; cp in three/a'\nsources = ['in']\noutputs = ['one', 'two.*', 'three']",
    );
    ws.write("in", "content");
    ws.run("t");
    for file in ["one", "two.x", "three/a"] {
        ws.remove(file);
        ws.run("t").tasks("t hit");
        ws.write(file, "wrong");
        ws.run("t").tasks("t hit");
        assert_eq!(ws.read(file), "content");
    }
    assert_eq!(ws.count("t"), 1);
}

fn not_produced(outputs: &str, missing: &str) {
    let ws = Workspace::new(&format!(
        "[tasks.t]\nrun = 'echo x >> ../t.ran; echo > made'\nsources = []\noutputs = {outputs}\n\
         [tasks.after]\nrun = 'true'\ndepends = ['t']"
    ));
    for round in 1..=2 {
        let ran = ws.try_run("after").exit(1).tasks("t failed, after skipped");
        assert_eq!(ran.failure("t"), "missing_outputs");
        assert!(ran.out.contains(&format!("`{missing}`")), "{}", ran.shown());
        assert_eq!(ws.count("t"), round);
    }
}

#[test]
fn a_declared_output_that_was_not_produced_fails_the_task() {
    not_produced("['made', 'other']", "other");
    not_produced("['made', 'dist']", "dist");
    not_produced("['dist/**']", "dist/**");
    not_produced("['made', '*.js']", "*.js");
}

#[test]
fn a_declared_output_that_an_always_run_task_did_not_produce_fails_it_too() {
    let ws = Workspace::new("[tasks.t]\nrun = 'true'\noutputs = ['other']");
    let ran = ws.try_run("t").exit(1).tasks("t failed");
    assert_eq!(ran.failure("t"), "missing_outputs");
}

#[test]
fn outputs_are_not_deleted_before_a_run() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'cat in >> out; mkdir -p d; cp in d/$(cat in)'\nsources = ['in']\noutputs = ['out', 'd']",
    );
    ws.write("in", "a");
    ws.run("t").tasks("t ran");
    ws.write("in", "b");
    ws.run("t").tasks("t ran");
    assert_eq!(ws.read("out"), "ab");
    assert_eq!(ws.files("d"), ["d/a", "d/b"]);
    // And so both belong to the second result, and only the first to the first.
    ws.write("in", "a");
    ws.run("t").tasks("t hit");
    assert_eq!((ws.read("out").as_str(), ws.files("d")), ("a", vec!["d/a".to_owned()]));
    ws.write("in", "b");
    ws.run("t").tasks("t hit");
    assert_eq!((ws.read("out").as_str(), ws.files("d").len()), ("ab", 2));
}

/// Makes the files that `in` names, and nothing else.
fn lister() -> Workspace {
    Workspace::new(
        "[tasks.t]\nrun = 'echo x >> ../t.ran; mkdir -p out; rm -f out/*; for f in $(cat in); do echo $f > out/$f; done'\nsources = ['in']\noutputs = ['out/*']",
    )
}

#[test]
fn what_an_earlier_result_left_and_this_one_does_not_hold_is_removed() {
    let ws = lister();
    for (input, outcome, files) in [
        ("a b", "ran", ["out/a", "out/b"]),
        ("a c", "ran", ["out/a", "out/c"]),
        ("a b", "hit", ["out/a", "out/b"]),
        ("a c", "hit", ["out/a", "out/c"]),
    ] {
        ws.write("in", input);
        ws.run("t").tasks(&format!("t {outcome}"));
        assert_eq!(ws.files("out"), files);
    }
    ws.run("t").tasks("t fresh");
    assert_eq!(ws.count("t"), 2);
}

#[test]
fn what_somebody_else_put_among_the_outputs_makes_the_task_run() {
    let ws = lister();
    ws.write("in", "a b");
    ws.run("t");
    ws.write("out/foreign", "mine");
    let ran = ws.run("t").tasks("t ran");
    assert_eq!(ran.reasons("t"), ["outputs"]);
    assert_eq!(ws.files("out"), ["out/a", "out/b"]);
    ws.run("t").tasks("t fresh");
    // On the way to another result it is not removed either, but left to the task.
    ws.write("in", "a c");
    ws.run("t").tasks("t ran");
    ws.write("out/foreign", "mine");
    ws.write("in", "a b");
    ws.run("t").tasks("t ran");
}

#[test]
fn what_an_earlier_result_left_and_somebody_changed_is_foreign() {
    let ws = lister();
    ws.write("in", "a b");
    ws.run("t");
    ws.write("in", "a");
    ws.run("t");
    ws.write("in", "a b");
    ws.run("t").tasks("t hit");
    ws.write("out/b", "mine now");
    ws.write("in", "a");
    // Its content is nobody's result: it is not weir's to remove.
    ws.run("t").tasks("t ran");
    assert_eq!(ws.files("out"), ["out/a"]);
}

#[test]
fn a_negated_output_is_not_the_tasks() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'echo x >> ../t.ran; mkdir -p out; cp in out/a; cp in out/cache'\nsources = ['in']\noutputs = ['out', '!out/cache']",
    );
    ws.write("in", "a");
    ws.run("t");
    ws.write("out/cache", "other");
    ws.run("t").tasks("t fresh");
    fs::remove_dir_all(ws.path("out")).unwrap();
    ws.run("t").tasks("t hit");
    assert_eq!(ws.files("out"), ["out/a"]);
}

#[test]
fn outputs_are_taken_though_they_are_ignored() {
    let ws = Workspace::new("[tasks.t]\nrun = 'mkdir -p out; cp in out/a.log'\nsources = ['in']\noutputs = ['out']");
    ws.write(".gitignore", "out/\n*.log\n");
    ws.write("in", "a");
    ws.run("t");
    ws.write("out/a.log", "wrong");
    ws.run("t").tasks("t hit");
    assert_eq!(ws.read("out/a.log"), "a");
}

/// A folder outside the workspace, with a file of the user's in it.
fn precious(ws: &Workspace) -> std::path::PathBuf {
    let folder = ws.outside("precious");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a"), "precious").unwrap();
    folder
}

fn is_untouched(folder: &Path) {
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["a"]);
    assert_eq!(fs::read_to_string(folder.join("a")).unwrap(), "precious");
}

#[test]
fn restoring_never_writes_through_a_symlink_that_leads_out() {
    for (outputs, made) in
        [("['out']", "out"), ("['out/sub/a']", "out"), ("['out/**/*']", "out"), ("['out/sub']", "out/sub")]
    {
        // It fails where it would have to make something: so only restoring could write.
        let ws = Workspace::new(&format!(
            "[tasks.t]\nrun = 'test ! -e ../done; mkdir -p out/sub; cp in out/sub/a; cp in out/sub/b'\nsources = ['in']\noutputs = {outputs}"
        ));
        ws.write("in", "a");
        ws.run("t");
        fs::write(ws.outside("done"), "").unwrap();
        let folder = precious(&ws);
        fs::remove_dir_all(ws.path(made)).unwrap();
        fs::create_dir_all(ws.path("out")).unwrap();
        if made == "out" {
            // `out/sub` leads out.
            ws.link("../../precious", "out/sub");
        } else {
            ws.link("../../precious", made);
        }
        let ran = ws.try_run("t");
        is_untouched(&folder);
        // Either the symlink was replaced by what belongs there, or the task ran (and failed).
        if ran.code == 0 {
            assert!(fs::symlink_metadata(ws.path("out/sub")).unwrap().is_dir(), "{outputs}: {}", ran.shown());
            assert_eq!(ws.read("out/sub/a"), "a");
        } else {
            assert_eq!(ran.outcome("t"), "failed");
        }
    }
}

#[test]
fn removing_never_goes_through_a_symlink_that_leads_out() {
    let ws = lister();
    ws.write("in", "b");
    ws.run("t");
    ws.write("in", "a");
    ws.run("t");
    // `out/a` was left by a result, and `b`'s result does not hold it.
    let folder = precious(&ws);
    fs::write(folder.join("a"), "a\n").unwrap();
    fs::remove_dir_all(ws.path("out")).unwrap();
    ws.link("../precious", "out");
    ws.tasks(
        "[tasks.t]\nrun = 'echo x >> ../t.ran; mkdir -p out; rm -f out/*; for f in $(cat in); do echo $f > out/$f; done'\nsources = ['in']\noutputs = ['out/*']",
    );
    ws.write("in", "b");
    ws.run("-n t");
    assert!(folder.join("a").exists() && !folder.join("b").exists());
    let ran = ws.try_run("t");
    // Only the task itself may have written there.
    assert_ne!(ran.outcome("t"), "hit", "{}", ran.shown());
}

/// What the one result of `t` says it left, replaced by what `forge` makes of it. The result passes
/// for whole; nothing else remembers it. Returns what the next run says of `t`.
fn forged(ws: &Workspace, forge: impl FnOnce(&mut Vec<Value>)) -> String {
    let [result] = &ws.files(".weir/results")[..] else { panic!("one result") };
    let mut content = stored::content(&fs::read(ws.path(result)).unwrap());
    let outputs = content["recorded"]["outputs"].as_array_mut().unwrap();
    forge(outputs);
    ws.chmod(result, 0o644);
    ws.write(result, stored::sealed(1, &content));
    fs::remove_dir_all(ws.path(".weir/state")).unwrap();
    fs::remove_dir_all(ws.path("out")).unwrap();
    let ran = ws.run("t");
    assert_eq!(ws.files("out"), ["out/a"], "{}", ran.shown());
    assert_eq!(ws.read("out/a"), "content");
    ran.outcome("t").to_owned()
}

fn forgeable() -> Workspace {
    let ws = Workspace::new("[tasks.t]\nrun = 'mkdir -p out; cp in out/a'\nsources = ['in']\noutputs = ['out']");
    ws.write("in", "content");
    ws.run("t");
    ws
}

#[test]
fn restoring_never_writes_outside_the_workspace_whatever_a_result_says() {
    // So that the others can fail: what is forged is believed where nothing speaks against it.
    assert_eq!(forged(&forgeable(), |_| ()), "hit");
    for path in ["../escaped", "made/../../escaped", "../../escaped", "out/../../escaped", "out/sub/../../../escaped"] {
        let ws = forgeable();
        let outcome = forged(&ws, |outputs| outputs[0]["path"] = path.into());
        assert_eq!(outcome, "ran", "{path}");
        assert!(!ws.outside("escaped").exists() && !ws.outside("../escaped").exists(), "{path}");
    }
    // An absolute one.
    let ws = forgeable();
    let path = ws.outside("escaped").to_str().unwrap().to_owned();
    assert_eq!(forged(&ws, |outputs| outputs[0]["path"] = path.into()), "ran");
    assert!(!ws.outside("escaped").exists());
}

#[test]
fn restoring_never_writes_through_a_symlink_that_it_made_itself() {
    let ws = forgeable();
    let folder = precious(&ws);
    let outcome = forged(&ws, |outputs| {
        let mut file = outputs[0].clone();
        file["path"] = "out/sub/a".into();
        let link = serde_json::json!({ "path": "out/sub", "kind": { "Link": { "target": "../../precious" } } });
        *outputs = vec![link, file];
    });
    assert_eq!(outcome, "ran");
    is_untouched(&folder);
}

#[test]
fn restoring_never_writes_what_the_task_does_not_declare() {
    for path in ["tasks.toml", "in", "outs", ".git/hooks/pre-commit", "out2/a"] {
        let ws = forgeable();
        let before = fs::read(ws.path("tasks.toml")).unwrap();
        assert_eq!(forged(&ws, |outputs| outputs[0]["path"] = path.into()), "ran", "{path}");
        assert_eq!(fs::read(ws.path("tasks.toml")).unwrap(), before);
        assert!(!ws.exists("outs") && !ws.exists(".git") && !ws.exists("out2"), "{path}");
    }
}

#[test]
fn a_hit_whose_output_is_not_in_the_store_any_more_runs() {
    let ws = kinds();
    fs::remove_dir_all(ws.path("out")).unwrap();
    fs::remove_dir_all(ws.path(".weir/cas")).unwrap();
    ws.run("t").tasks("t ran");
    is_whole(&ws);
    fs::remove_dir_all(ws.path("out")).unwrap();
    ws.run("t").tasks("t hit");
    is_whole(&ws);
}

#[test]
fn what_is_removed_leaves_no_folders_behind() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'echo x >> ../t.ran; rm -rf out; for f in $(cat in); do mkdir -p out/$f; echo $f > out/$f/file; done'\nsources = ['in']\noutputs = ['out']",
    );
    for (input, outcome) in [("a b", "ran"), ("a c", "ran"), ("a b", "hit")] {
        ws.write("in", input);
        ws.run("t").tasks(&format!("t {outcome}"));
    }
    assert_eq!(ws.files("out"), ["out/a/file", "out/b/file"]);
    assert!(!ws.exists("out/c"), "an empty folder of another result is left");
}

#[test]
fn folders_that_a_glob_matches_are_restored_with_all_that_is_below() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'mkdir -p dist/a/deep; cp in dist/a/deep/file; cp in dist/b'\nsources = ['in']\noutputs = ['dist/*']",
    );
    ws.write("in", "content");
    ws.run("t");
    fs::remove_dir_all(ws.path("dist")).unwrap();
    ws.run("t").tasks("t hit");
    assert_eq!(ws.files("dist"), ["dist/a/deep/file", "dist/b"]);
}

#[test]
fn a_repository_among_the_outputs_is_restored_whole() {
    // That `.git` is no source does not make it no output.
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'rm -rf vendor; mkdir -p vendor/.git; cp in vendor/file; cp in vendor/.git/HEAD'\nsources = ['in']\noutputs = ['vendor']",
    );
    ws.write("in", "content");
    ws.run("t");
    fs::remove_dir_all(ws.path("vendor")).unwrap();
    ws.run("t");
    assert_eq!(ws.files("vendor"), ["vendor/.git/HEAD", "vendor/file"]);
}

#[test]
fn a_file_in_the_place_of_a_folder_of_outputs_is_put_right() {
    for outputs in ["['out']", "['out/sub/a']", "['out/**']"] {
        let ws = Workspace::new(&format!(
            "[tasks.t]\nrun = 'rm -rf out; mkdir -p out/sub; cp in out/sub/a'\nsources = ['in']\noutputs = {outputs}"
        ));
        ws.write("in", "content");
        for place in ["out", "out/sub"] {
            ws.run("t");
            fs::remove_dir_all(ws.path(place)).unwrap();
            ws.write(place, "a file");
            ws.run("t");
            assert_eq!(ws.read("out/sub/a"), "content");
            ws.run("t").tasks("t fresh");
        }
    }
}

#[test]
fn outputs_with_names_of_any_kind_are_restored() {
    let names = [
        "a b",
        "it's",
        "\"quoted\"",
        "new\nline",
        "\u{fc}n\u{ef}",
        "-dash",
        "back\\slash",
        "*",
        "[a]",
        "!a",
        "$HOME",
        ".dot",
    ];
    let ws = Workspace::new("[tasks.t]\nrun = 'mkdir -p out; cp -R in/. out'\nsources = ['in']\noutputs = ['out']");
    for name in names {
        ws.write(&format!("in/{name}"), name);
    }
    ws.run("t");
    fs::remove_dir_all(ws.path("out")).unwrap();
    ws.run("t").tasks("t hit");
    for name in names {
        assert_eq!(ws.read(&format!("out/{name}")), name);
    }
    assert_eq!(ws.files("out").len(), names.len());
}
