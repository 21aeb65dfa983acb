//! A verdict that is given again without being worked out (`src/cache/seal.rs`) breaks no law: whatever
//! it rests on, a change of it is seen. Every test begins with a run that a seal answered.

use crate::support::{Ran, Workspace, wait_until};
use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

const ANSWERED: &str = "a seal is unbroken";
const THAWED: &str = "configured from under a seal";

/// A verdict on `in`, and `include`d tasks where a test adds them.
const ONE: &str = "[tasks.t]\nrun = 'echo x >> ../t.ran; test \"$(cat in)\" != bad'\nsources = ['in']\noutputs = []\n";

/// `weir run …`, telling whether a seal answered it.
fn told(ws: &Workspace, words: &str, env: &[(&str, &str)]) -> Ran {
    let words: Vec<&str> = ["run"].into_iter().chain(words.split_whitespace()).collect();
    env.iter()
        .fold(ws.weir(&words).env("WEIR_LOG", "weir::cli::seal=debug"), |weir, (name, value)| weir.env(name, value))
        .go()
}

/// Runs until a seal answers.
fn sealed_with(ws: &Workspace, words: &str, env: &[(&str, &str)]) -> Ran {
    let mut last = None;
    wait_until(&format!("a seal answers `weir run {words}`"), || {
        let ran = told(ws, words, env).success();
        let answered = ran.err.contains(ANSWERED);
        last = Some(ran);
        answered
    });
    last.unwrap()
}

fn sealed(ws: &Workspace, words: &str) -> Ran {
    sealed_with(ws, words, &[])
}

/// A workspace with `in`, in which a seal answers `weir run t`.
fn prepared(tasks: &str) -> Workspace {
    let ws = Workspace::new(tasks);
    ws.write("in", "good");
    sealed(&ws, "t").tasks("t fresh");
    ws
}

/// The next run must not be answered by a seal.
fn long_way(ran: Ran) -> Ran {
    ran.says_nothing_of(ANSWERED)
}

/// Where the seals are.
fn seals(ws: &Workspace) -> Vec<PathBuf> {
    fs::read_dir(ws.path(".weir/seals")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Puts the modification time back to what it was; the change time can't be.
fn as_old_as(path: PathBuf, change: impl FnOnce()) {
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    change();
    fs::File::options().write(true).open(path).unwrap().set_modified(before).unwrap();
}

#[test]
fn what_it_tells_is_what_the_long_way_tells() {
    let ws = Workspace::new(
        "[tasks.a]\nrun = 'echo A; mkdir -p o; cp in o/a'\nsources = ['in']\noutputs = ['o/a']\n\
         [tasks.b]\nrun = 'echo B; cat o/a'\nsources = ['o/a']\noutputs = []\ndepends = ['a']\n\
         [tasks.all]\ndepends = ['a', 'b']\n",
    );
    ws.write("in", "good");
    ws.run("all").tasks("a ran, b ran");
    let long = told(&ws, "all", &[("WEIR_WORKSPACE", "/nowhere")]);
    let long = long_way(long).tasks("a fresh, b fresh");
    let quick = sealed(&ws, "all").tasks("a fresh, b fresh");
    let lines = |ran: &Ran| -> Vec<String> {
        ran.out.lines().map(|line| line.split(" in ").next().unwrap().to_owned()).collect()
    };
    assert_eq!(lines(&quick), lines(&long));
    assert!(quick.out.contains("\nA\n") && quick.out.contains("\nB\n"), "it shows again: {}", quick.shown());
    for task in ["a", "b"] {
        assert_eq!(quick.key(task), long.key(task));
    }
    assert_eq!(quick.record_without_times(), long.record_without_times());
    ws.weir(&["runs", "show"]).ok().says("fresh");
    ws.weir(&["runs", "ls"]).ok().says("2 fresh");
}

#[test]
fn an_edit_of_the_configuration_counts_whatever_its_time_and_size() {
    let ws = prepared(ONE);
    as_old_as(ws.path("tasks.toml"), || ws.tasks(&ONE.replace("bad", "bat")));
    long_way(told(&ws, "t", &[])).success().tasks("t ran");
    sealed(&ws, "t");
    ws.tasks(&ONE.replace("outputs", "output"));
    ws.try_run("t").exit(2).says("unknown key");
}

#[test]
fn an_edit_of_a_source_counts_whatever_its_time_and_size() {
    let ws = prepared(ONE);
    as_old_as(ws.path("in"), || ws.write("in", "fine"));
    long_way(told(&ws, "t", &[])).success().tasks("t ran");
    sealed(&ws, "t");
    as_old_as(ws.path("in"), || ws.write("in", "bad\0"));
    ws.write("in", "bad");
    ws.try_run("t").exit(1).tasks("t failed");
    ws.try_run("t").exit(1).tasks("t failed");
}

#[test]
fn files_that_come_and_go_in_a_source_folder_count() {
    let tasks = "[tasks.t]\nrun = 'echo x >> ../t.ran'\nsources = ['src', 'lib/**/*.c']\noutputs = []\n";
    let ws = Workspace::new(tasks);
    for file in ["src/a", "src/deep/er/b", "lib/x.c", "lib/sub/y.h"] {
        ws.write(file, "1");
    }
    let changes: [(&str, &dyn Fn()); 8] = [
        ("a file in a folder", &|| ws.write("src/new", "1")),
        ("a file deep below", &|| ws.write("src/deep/er/new", "1")),
        ("a folder with a file", &|| ws.write("src/new-folder/file", "1")),
        ("a match in a folder that had none", &|| ws.write("lib/sub/z.c", "1")),
        ("one is gone", &|| ws.remove("src/new")),
        ("one has another name", &|| ws.rename("src/deep/er/new", "src/deep/er/newer")),
        ("it may be executed", &|| ws.chmod("src/a", 0o755)),
        ("a symlink", &|| symlink("a", ws.path("src/link")).unwrap()),
    ];
    for (what, change) in changes {
        sealed(&ws, "t");
        change();
        let ran = long_way(told(&ws, "t", &[])).success();
        assert_eq!(ran.outcome("t"), "ran", "{what}");
    }
    sealed(&ws, "t");
    ws.write("lib/sub/other.h", "1");
    ws.run("t").tasks("t fresh");
}

#[test]
fn what_is_behind_a_symlink_counts() {
    let ws = Workspace::new("[tasks.t]\nrun = 'true'\nsources = ['src']\noutputs = []\n");
    ws.write("src/a", "1");
    fs::create_dir(ws.outside("far")).unwrap();
    fs::write(ws.outside("far/file"), "1").unwrap();
    ws.link("../../far", "src/folder");
    ws.link("../../far/file", "src/file");
    ws.link("../../nothing", "src/nothing");
    let changes: [(&str, &dyn Fn()); 4] = [
        ("the content of a file behind", &|| fs::write(ws.outside("far/file"), "2").unwrap()),
        ("a file in a folder behind", &|| fs::write(ws.outside("far/more"), "1").unwrap()),
        ("something where nothing was", &|| fs::write(ws.outside("nothing"), "1").unwrap()),
        ("the link leads elsewhere", &|| ws.link("../../far/more", "src/file")),
    ];
    for (what, change) in changes {
        sealed(&ws, "t");
        change();
        assert_eq!(long_way(told(&ws, "t", &[])).success().outcome("t"), "ran", "{what}");
    }
}

#[test]
fn ignore_files_count() {
    let ws = Workspace::new("[tasks.t]\nrun = 'true'\nsources = ['src']\noutputs = []\n");
    ws.write("src/a", "1");
    ws.write("src/deep/b.log", "1");
    // Where the sources are what they once were, the result of then counts again.
    let changes: [(&str, &str, &dyn Fn()); 4] = [
        ("one at the root", "ran", &|| ws.write(".gitignore", "*.log\n")),
        ("it lets go", "fresh", &|| ws.write(".gitignore", "#.log\n")),
        ("the other kind", "fresh", &|| ws.write(".ignore", "b.*\n")),
        ("one in the source, which is one too", "ran", &|| ws.write("src/deep/.gitignore", "!b.log\n")),
    ];
    for (what, outcome, change) in changes {
        sealed(&ws, "t");
        change();
        assert_eq!(long_way(told(&ws, "t", &[])).success().outcome("t"), outcome, "{what}");
    }
}

#[test]
fn an_ignore_file_that_validity_rests_on_counts() {
    let ws = Workspace::new(
        "[tasks.make]\nrun = 'mkdir -p gen; echo x > gen/x'\nsources = []\noutputs = ['gen']\n\
         [tasks.t]\nrun = 'true'\nsources = ['.']\noutputs = []\n",
    );
    ws.write(".gitignore", "/gen\n");
    sealed(&ws, "t");
    // Without the rule, `t` reads what `make` writes, and does not wait for it.
    ws.write(".gitignore", "/gem\n");
    ws.try_run("t").exit(2).says("graph::missing-edge");
}

#[test]
fn included_files_count_and_those_a_glob_will_match() {
    let ws = Workspace::new(&format!("include = ['services/*/tasks.toml']\n{ONE}"));
    let service = |text: &str| format!("[tasks.t]\nrun = '{text}'\nsources = []\noutputs = []\n");
    ws.write("in", "good");
    ws.write("services/a/tasks.toml", service("true"));
    fs::create_dir(ws.path("services/empty")).unwrap();
    sealed(&ws, "*t").tasks("t fresh, services/a:t fresh");
    as_old_as(ws.path("services/a/tasks.toml"), || ws.write("services/a/tasks.toml", service("tru1 || true")));
    long_way(told(&ws, "*t", &[])).success().tasks("t fresh, services/a:t ran");
    sealed(&ws, "*t");
    ws.write("services/empty/tasks.toml", service("true"));
    long_way(told(&ws, "*t", &[])).success().tasks("services/a:t fresh, services/empty:t ran");
    sealed(&ws, "*t");
    ws.write("services/new/tasks.toml", service("true"));
    long_way(told(&ws, "*t", &[])).success().tasks("services/new:t ran");
    sealed(&ws, "*t");
    // Of a link that leads nowhere, neither the folder nor the link shows that something comes to be there.
    symlink(ws.outside("far"), ws.path("services/link")).unwrap();
    sealed(&ws, "*t");
    fs::create_dir(ws.outside("new")).unwrap();
    fs::write(ws.outside("new/tasks.toml"), service("true")).unwrap();
    fs::rename(ws.outside("new"), ws.outside("far")).unwrap();
    long_way(told(&ws, "*t", &[])).success().tasks("services/link:t ran");
    sealed(&ws, "*t");
    fs::remove_dir_all(ws.path("services/new")).unwrap();
    let ran = long_way(told(&ws, "*t", &[])).success();
    assert!(!ran.out.contains("services/new"), "{}", ran.shown());
}

#[test]
fn the_profile_counts_named_or_chosen_by_ci() {
    let ws =
        prepared(&format!("{ONE}[profile.ci.tasks.t]\nrun = 'echo ci'\n[profile.other.tasks.t]\nrun = 'echo other'\n"));
    for env in ["true", "1"] {
        let ran = long_way(told(&ws, "t", &[("CI", env)])).success();
        assert_ne!(ran.outcome("t"), "failed");
    }
    sealed_with(&ws, "t", &[("CI", "true")]);
    long_way(told(&ws, "t --profile other", &[])).success().tasks("t ran");
    long_way(told(&ws, "t", &[("CI", "false")])).success();
    long_way(told(&ws, "t --profile nobody", &[])).exit(2).says("unknown profile");
}

#[test]
fn the_question_counts() {
    let ws = prepared(&format!("{ONE}[tasks.u]\nrun = 'echo \"$@\"'\nsources = ['in']\noutputs = []\n"));
    long_way(told(&ws, "u", &[])).success().tasks("u ran");
    sealed(&ws, "u");
    long_way(told(&ws, "u -- one", &[])).success().says("one");
    sealed(&ws, "u -- one");
    long_way(told(&ws, "u -- two", &[])).success().says("two");
    long_way(told(&ws, "t u", &[])).success().tasks("t fresh, u fresh");
    long_way(told(&ws, "-f t", &[])).success().tasks("t ran");
    sealed(&ws, "t");
    long_way(told(&ws, "--force-all t", &[])).success().tasks("t ran");
    sealed(&ws, "t");
    long_way(told(&ws, "-n t", &[])).success().says("fresh");
    long_way(told(&ws, "--report out.txt t", &[])).exit(2).says("ends in neither `.json` nor `.xml`");
    told(&ws, "--report out.json t", &[]).success().says(ANSWERED);
    assert!(ws.read("out.json").contains("\"fresh\": 1"));
}

#[test]
fn the_folder_it_is_asked_from_counts() {
    let ws = Workspace::new(&format!("include = ['sub/tasks.toml']\n{ONE}"));
    ws.write("in", "good");
    ws.write("sub/tasks.toml", "[tasks.t]\nrun = 'true'\nsources = []\noutputs = []\n");
    fs::create_dir_all(ws.path("sub/deep")).unwrap();
    sealed(&ws, "t").tasks("t fresh");
    let from = |folder: &str| {
        let weir = ws.weir(&["-C", folder, "run", "t"]).env("WEIR_LOG", "weir::cli::seal=debug");
        weir.ok()
    };
    long_way(from("sub")).tasks("sub:t ran");
    wait_until("a seal answers in the folder", || from("sub").err.contains(ANSWERED));
    from("sub").says(ANSWERED).tasks("sub:t fresh");
    long_way(from("sub/deep")).tasks("sub:t fresh");
    wait_until("a seal answers below the folder", || from("sub/deep").err.contains(ANSWERED));
    // A file that comes to lie nearer is the one that counts.
    ws.write("sub/deep/tasks.toml", "version = 1\n[tasks.t]\nrun = 'echo deep'\nsources = []\noutputs = []\n");
    let weir = ws.weir(&["-C", "sub/deep", "run", "t"]).env("WEIR_LOG", "weir::cli::seal=debug");
    long_way(weir.ok()).says("1 ran").says("deep");
}

#[test]
fn a_file_further_out_that_includes_this_one_counts() {
    let ws = prepared(ONE);
    fs::write(ws.outside("tasks.toml"), "version = 1\ninclude = ['ws/tasks.toml']\n").unwrap();
    ws.tasks(&ONE.replace("version = 1", ""));
    let ran = long_way(told(&ws, "t", &[]));
    assert!(!ran.recorded(), "it is another workspace now: {}", ran.shown());
}

#[test]
fn variables_that_a_task_names_count_and_others_do_not() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'true'\nsources = ['in']\noutputs = []\nenv_inputs = ['MODE', 'X_*']\n\
         [tasks.need]\nrun = 'true'\nsources = []\noutputs = []\nenv_required = ['NEED']\n",
    );
    ws.write("in", "1");
    sealed(&ws, "t");
    for env in [("MODE", "a"), ("MODE", ""), ("X_1", "1"), ("X_2", ""), ("LANG", "C"), ("LC_ALL", "C"), ("TZ", "UTC")] {
        long_way(told(&ws, "t", &[env])).success().tasks("t ran");
        sealed_with(&ws, "t", &[env]);
    }
    told(&ws, "t", &[("MODE", ""), ("X_1", "")]).success().says_nothing_of(ANSWERED);
    sealed(&ws, "t");
    told(&ws, "t", &[("SOMETHING", "else")]).success().says(ANSWERED);
    sealed_with(&ws, "need", &[("NEED", "1")]);
    long_way(told(&ws, "need", &[])).exit(2).says("needs the variable `NEED`");
}

#[test]
fn a_program_that_is_no_longer_found_counts() {
    let ws = Workspace::new("[tasks.t]\nexec = ['tool']\nsources = ['in']\noutputs = []\n");
    ws.write("in", "1");
    let tool = |folder: &str| {
        fs::create_dir_all(ws.outside(folder)).unwrap();
        fs::copy("/bin/true", ws.outside(folder).join("tool")).unwrap();
        format!("{}:{}", ws.outside(folder).display(), std::env::var("PATH").unwrap())
    };
    let path = tool("bin");
    sealed_with(&ws, "t", &[("PATH", &path)]);
    long_way(told(&ws, "t", &[])).exit(2).says("`tool`, which is not found");
    sealed_with(&ws, "t", &[("PATH", &path)]);
    fs::remove_file(ws.outside("bin/tool")).unwrap();
    long_way(told(&ws, "t", &[("PATH", &path)])).exit(2).says("`tool`, which is not found");
}

#[test]
fn a_folder_that_a_task_runs_in_counts() {
    let ws = Workspace::new("[tasks.t]\nrun = 'true'\ndir = 'here'\nsources = ['in']\noutputs = []\n");
    ws.write("in", "1");
    fs::create_dir(ws.path("here")).unwrap();
    sealed(&ws, "t");
    fs::remove_dir(ws.path("here")).unwrap();
    long_way(told(&ws, "t", &[])).exit(2).says("is no folder");
}

#[test]
fn outputs_count() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'mkdir -p o; cp in o/a; ln -sf a o/l; mkdir -p o/e'\nsources = ['in']\noutputs = ['o']\n",
    );
    ws.write("in", "one");
    let changes: [(&str, &str, &dyn Fn()); 6] = [
        ("other content, as old and as large", "hit", &|| as_old_as(ws.path("o/a"), || ws.write("o/a", "two"))),
        ("gone", "hit", &|| ws.remove("o/a")),
        ("another mode", "hit", &|| ws.chmod("o/a", 0o600)),
        ("the link leads elsewhere", "hit", &|| ws.link("b", "o/l")),
        ("the empty folder is gone", "hit", &|| fs::remove_dir(ws.path("o/e")).unwrap()),
        ("something else is there", "ran", &|| ws.write("o/e/foreign", "x")),
    ];
    for (what, outcome, change) in changes {
        sealed(&ws, "t");
        change();
        assert_eq!(long_way(told(&ws, "t", &[])).success().outcome("t"), outcome, "{what}");
        assert_eq!(ws.read("o/a"), "one");
        let _ = fs::remove_file(ws.path("o/e/foreign"));
    }
}

#[test]
fn what_others_recorded_since_counts() {
    let ws = prepared(
        &format!(
            "{ONE}env_inputs = ['FAIL']\n[tasks.reset]\nrun = 'true'\nreset = true\n\
         [tasks.after]\nrun = 'true'\nsources = []\noutputs = []\ndepends = ['reset']\n"
        )
        .replace("test \"", "test -z \"${FAIL-}\" && test \""),
    );
    // The same task fails, by the same definition and on the same files.
    told(&ws, "-f t", &[("FAIL", "1")]).exit(1);
    long_way(told(&ws, "t", &[])).success();
    sealed(&ws, "t");
    ws.weir(&["cache", "clear"]).ok();
    assert!(!ws.exists(".weir/seals"));
    long_way(told(&ws, "t", &[])).success().tasks("t ran");
}

#[test]
fn a_task_that_failed_by_force_is_not_fresh() {
    let ws = Workspace::new("[tasks.t]\nrun = 'test ! -e ../fail'\nsources = []\noutputs = []\n");
    sealed(&ws, "t");
    fs::write(ws.outside("fail"), "").unwrap();
    told(&ws, "-f t", &[]).exit(1);
    long_way(told(&ws, "t", &[])).exit(1).tasks("t failed");
    fs::remove_file(ws.outside("fail")).unwrap();
    long_way(told(&ws, "t", &[])).success().tasks("t ran");
}

#[test]
fn another_build_of_weir_asks_anew() {
    let ws = prepared(ONE);
    let other = ws.outside("weir");
    // By another program: one that this process had open for writing could not be started.
    let copied =
        std::process::Command::new("cp").args([env!("CARGO_BIN_EXE_weir").as_ref(), other.as_os_str()]).status();
    assert!(copied.unwrap().success());
    wait_until("the other build is old enough to be told by its stamp", || {
        fs::metadata(&other).unwrap().modified().unwrap().elapsed().is_ok_and(|age| age.as_millis() > 50)
    });
    let run = || {
        let ran = std::process::Command::new(&other)
            .args(["run", "t"])
            .current_dir(ws.root())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", ws.outside("home"))
            .env("WEIR_LOG", "weir::cli::seal=debug")
            .output()
            .unwrap();
        assert!(ran.status.success());
        String::from_utf8(ran.stderr).unwrap()
    };
    assert!(!run().contains(ANSWERED));
    wait_until("a seal answers the other build", || run().contains(ANSWERED));
    sealed(&ws, "t");
}

#[test]
fn a_damaged_seal_is_none_wherever_it_is_cut_or_flipped() {
    let ws = prepared(ONE);
    let all = seals(&ws);
    assert_eq!(all.len(), 3, "one on the verdict, one on its outline and one on the configuration");
    for seal in &all {
        damage(&ws, seal);
    }
}

fn damage(ws: &Workspace, seal: &Path) {
    let whole = fs::read(seal).unwrap();
    let check = |data: &[u8], what: &str| {
        // Nothing but this one is there.
        fs::remove_dir_all(ws.path(".weir/seals")).unwrap();
        fs::create_dir(ws.path(".weir/seals")).unwrap();
        fs::write(seal, data).unwrap();
        let ran = ws.weir(&["run", "t"]).env("WEIR_LOG", "weir=debug").ok();
        assert!(!ran.err.contains(ANSWERED) && !ran.err.contains(THAWED), "{what}");
        assert_eq!((ran.outcome("t"), ran.told()), ("fresh", vec![]), "{what}");
    };
    // Every length and every bit is a unit test's.
    for length in [0, 1, 23, 24, 55, 56, 57, whole.len() / 2, whole.len() - 1] {
        check(&whole[..length], &format!("cut at {length}"));
    }
    for at in [0, 9, 13, 20, 24, 40, 56, 60, whole.len() / 2, whole.len() - 1] {
        let mut data = whole.clone();
        data[at] ^= 1 << (at % 8);
        check(&data, &format!("flipped at {at}"));
    }
    check(&[&whole[..], b"x"].concat(), "appended to");
    check(b"#!/bin/sh\n", "foreign");
    // One of another workspace, whole as it is.
    let other = prepared(ONE);
    for foreign in seals(&other) {
        check(&fs::read(foreign).unwrap(), "of another workspace");
    }
}

#[test]
fn what_can_not_be_told_by_looking_is_never_sealed() {
    let ws = Workspace::new(
        "[tasks.requires]\nrun = 'true'\nsources = []\noutputs = []\nrequires = ['sh']\n\
         [tasks.probes]\nrun = 'true'\nsources = []\noutputs = []\nprobes = ['cat version']\n\
         [tasks.state]\nrun = 'true'\nsources = []\nstate = 'cat version'\n\
         [tasks.file]\nrun = 'true'\nsources = []\noutputs = []\nenv_file = ['.env']\n\
         [tasks.secret]\nrun = 'true'\nsources = []\noutputs = []\nenv_inputs = ['TOKEN']\nredact = ['TOKEN']\n\
         [tasks.asks]\nrun = 'true'\nsources = []\noutputs = []\nconfirm = 'really?'\n\
         [tasks.always]\nrun = 'true'\n",
    );
    ws.write("version", "1");
    ws.write(".env", "A=1\n");
    // A task that can be sealed shows that enough time has passed for the others to have been.
    ws.tasks(&format!(
        "{}[tasks.plain]\nrun = 'true'\nsources = ['version']\noutputs = []\n",
        &ws.read("tasks.toml")[12..]
    ));
    for task in ["requires", "probes", "state", "file", "secret", "asks --confirm asks", "always"] {
        told(&ws, task, &[("TOKEN", "secret")]).success();
        sealed(&ws, "plain");
        for _ in 0..3 {
            told(&ws, task, &[("TOKEN", "secret")]).success().says_nothing_of(ANSWERED);
        }
    }
}

#[test]
fn a_warning_is_given_every_time() {
    let ws = Workspace::new("[tasks.t]\nrun = 'true'\nsources = ['in']\noutputs = []\n");
    ws.write("in", "1");
    sealed(&ws, "t");
    // A newer version's state: results do not count, and that is said.
    let journal = ws.path(".weir/state/journal");
    let mut data = fs::read(&journal).unwrap();
    data[50] ^= 0x10;
    fs::write(&journal, data).unwrap();
    let ran = long_way(told(&ws, "t", &[])).success();
    assert!(ran.told().iter().any(|(code, _)| code == "damaged-state"), "{}", ran.shown());
}

#[test]
fn runs_that_are_answered_are_kept_like_others_and_pruned() {
    let ws = prepared(ONE);
    for _ in 0..45 {
        told(&ws, "t", &[]).success().says(ANSWERED);
    }
    let kept = fs::read_dir(ws.path(".weir/runs")).unwrap().count();
    assert!((20..=41).contains(&kept), "{kept} runs are kept");
    ws.run("-f t");
    let kept = fs::read_dir(ws.path(".weir/runs")).unwrap().count();
    assert_eq!(kept, 20);
}

#[test]
fn seals_are_as_few_as_questions_that_are_asked() {
    let ws = prepared("[tasks.t]\nrun = 'echo \"$@\"'\nsources = ['in']\noutputs = []\n");
    for number in 0..36 {
        sealed(&ws, &format!("t -- {number}"));
    }
    assert!(seals(&ws).len() <= 32, "{} seals are kept", seals(&ws).len());
}

#[test]
fn a_log_that_is_damaged_or_gone_counts() {
    let ws = Workspace::new("[tasks.t]\nrun = 'echo said'\nsources = ['in']\noutputs = []\n");
    ws.write("in", "1");
    let blob = |ws: &Workspace| ws.files(".weir/cas").pop().unwrap();
    sealed(&ws, "t").says("said");
    as_old_as(ws.path(&blob(&ws)), || ws.write(&blob(&ws), "lied\n"));
    let ran = long_way(told(&ws, "t", &[])).success().tasks("t ran");
    assert_eq!(ran.told().len(), 1, "{}", ran.shown());
    sealed(&ws, "t").says("said");
    ws.remove(&blob(&ws));
    long_way(told(&ws, "t", &[])).success().tasks("t ran");
}

#[test]
fn what_another_weir_records_while_the_verdict_is_given_counts() {
    let ws = Workspace::new("[tasks.t]\nrun = 'test ! -e ../fail; seq 100000'\nsources = ['in']\noutputs = []\n");
    ws.write("in", "1");
    ws.run("t").tasks("t ran");
    wait_until("all is old enough to be sealed", || {
        fs::metadata(ws.path("in")).unwrap().modified().unwrap().elapsed().is_ok_and(|age| age.as_millis() > 50)
    });
    // It has judged, and is held up by nobody reading what it says.
    let mut held = std::process::Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["run", "t"])
        .current_dir(ws.root())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", ws.outside("home"))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = held.stdout.take().unwrap();
    let mut first = [0; 16];
    out.read_exact(&mut first).unwrap();
    fs::write(ws.outside("fail"), "").unwrap();
    ws.try_run("-f t").exit(1);
    std::io::copy(&mut out, &mut std::io::sink()).unwrap();
    assert!(held.wait().unwrap().success());
    ws.try_run("t").exit(1).tasks("t failed");
}

#[test]
fn what_is_wrong_is_shown_as_it_stands_though_the_configuration_was_not_read() {
    let ws = prepared(ONE);
    ws.remove("in");
    let ran = ws.weir(&["run", "t"]).env("WEIR_LOG", "weir=debug").go().exit(2);
    ran.says(THAWED).says("task::sources").says("tasks.toml:4:12").says("sources = ['in']");
    let ran = ws.weir(&["run", "u"]).env("WEIR_LOG", "weir=debug").go().exit(2);
    ran.says(THAWED).says("there is no task `u`");
}
