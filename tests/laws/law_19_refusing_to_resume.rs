//! Law 19: what can't be resumed is refused, in words, and what is damaged is not trusted.

use crate::support::{Running, Workspace};
use std::fs;
use std::path::PathBuf;

const TASKS: &str = "
[tasks.first]
run = 'echo x >> ../first.ran'
[tasks.second]
run = 'echo x >> ../second.ran; ../pause second'
depends = ['first']
[tasks.other]
run = 'true'
";

/// A workspace with a run that was killed in `second`; its id.
fn killed() -> (Workspace, String) {
    let ws = Workspace::new(TASKS);
    kill(&ws, &["run", "second"]);
    let run = newest(&ws);
    (ws, run)
}

fn kill(ws: &Workspace, words: &[&str]) {
    let puppet = ws.puppet("second");
    let weir = ws.weir(words).spawn();
    puppet.arrives();
    weir.kill();
    puppet.retire();
}

fn newest(ws: &Workspace) -> String {
    let entries = fs::read_dir(ws.path(".weir/runs")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).max().unwrap()
}

fn journal(ws: &Workspace, run: &str) -> PathBuf {
    ws.path(&format!(".weir/runs/{run}/journal"))
}

/// How often the two tasks ran.
fn ran(ws: &Workspace) -> (usize, usize) {
    (ws.count("first"), ws.count("second"))
}

#[test]
fn where_there_is_nothing_to_resume() {
    let ws = Workspace::new(TASKS);
    ws.try_run("--resume").exit(2).says("no run is recorded");
    ws.run("second");
    ws.try_run("--resume").exit(2).says("there is no run to resume");
    ws.try_run(&format!("--resume {}", newest(&ws)))
        .exit(2)
        .says("ended well")
        .says("`weir run second` runs its tasks again");
    assert_eq!(ran(&ws), (1, 1));
}

#[test]
fn an_unknown_run_is_answered_with_those_there_are() {
    let (ws, run) = killed();
    ws.try_run("--resume 20010101-000000").exit(2).says("no run `20010101-000000` is recorded").says(&run);
    ws.try_run("--resume second").exit(2).says("a task stands before it: `weir run second --resume`");
    ws.try_run("second --resume nonsense").exit(2).says("no run `nonsense`");
    // The beginning of an id is enough.
    ws.run(&format!("second --resume {}", &run[..run.len() - 2])).tasks("first done");
}

#[test]
fn other_targets_are_refused() {
    let (ws, run) = killed();
    ws.try_run("other --resume").exit(2).says(&format!("run `{run}` was asked for `second`, and not for `other`"));
    ws.try_run("second other --resume").exit(2).says("and not for `second` `other`");
    ws.try_run("second --resume -- word").exit(2).says("was asked for no arguments, and not for `-- word`");
    assert_eq!(ran(&ws), (1, 1));
    // The same by another name.
    ws.run("sec* --resume").tasks("first done, second ran");
}

#[test]
fn a_target_that_is_gone_is_said_and_so_is_a_task() {
    let (ws, _) = killed();
    ws.tasks("[tasks.other]\nrun = 'true'");
    ws.try_run("--resume").exit(2).says("there is no task `second`");
    ws.tasks("[tasks.second]\nrun = 'true'");
    ws.run("--resume").tasks("second ran").says("`first` succeeded in run").says("no part of this one any more");
}

#[test]
fn a_run_that_still_goes_on_is_refused() {
    let ws = Workspace::new(TASKS);
    let puppet = ws.puppet("second");
    let weir: Running = ws.weir(&["run", "second"]).spawn();
    puppet.arrives();
    let (pid, run) = (weir.pid(), newest(&ws));
    for words in ["--resume".to_owned(), format!("--resume {run}"), "-n --resume".to_owned()] {
        ws.try_run(&words).exit(3).says(&format!("run `{run}` is still going on: pid {pid}"));
    }
    puppet.goes_on();
    weir.end().success();
}

#[test]
fn one_run_is_resumed_by_one_at_a_time() {
    let (ws, run) = killed();
    let puppet = ws.puppet("second");
    let weir = ws.weir(&["run", "--resume"]).spawn();
    puppet.arrives();
    let second = newest(&ws);
    ws.try_run("--resume").exit(3).says(&format!("run `{second}` is still going on"));
    ws.try_run(&format!("--resume {run}")).exit(3).says("is still going on");
    weir.kill();
    puppet.retire();
    // The later one knows more, and is offered.
    ws.try_run(&format!("--resume {run}")).exit(2).says(&format!("`weir run --resume {second}`"));
    ws.run(&format!("--resume {second}")).tasks("first done, second ran");
    ws.try_run(&format!("--resume {second}")).exit(2).says("which ended well");
    assert_eq!(ran(&ws), (1, 3));
}

#[test]
fn one_that_was_killed_before_it_took_anything_over_is_passed_over() {
    let (ws, run) = killed();
    kill(&ws, &["run", "--resume"]);
    fs::remove_file(journal(&ws, &newest(&ws))).unwrap();
    ws.run("--resume").tasks("first done, second ran").says(&format!("resumes run {run}"));
}

#[test]
fn one_without_a_journal_had_run_nothing() {
    let (ws, run) = killed();
    fs::remove_file(journal(&ws, &run)).unwrap();
    ws.try_run("--resume").exit(2).says("before it had run anything").says("`weir run second`");
}

#[test]
fn a_run_of_another_workspace_is_refused() {
    let (ws, run) = killed();
    let other = Workspace::new(TASKS);
    other.run("other");
    let to = format!(".weir/runs/{run}");
    fs::create_dir(other.path(&to)).unwrap();
    for file in ["events.jsonl", "journal"] {
        fs::copy(ws.path(&format!("{to}/{file}")), other.path(&format!("{to}/{file}"))).unwrap();
    }
    let root = fs::canonicalize(ws.root()).unwrap();
    other.try_run(&format!("--resume {run}")).exit(2).says(&format!("is of the workspace `{}`", root.display()));
}

#[test]
fn a_journal_of_a_newer_weir_is_not_guessed_at() {
    let (ws, run) = killed();
    let path = journal(&ws, &run);
    let mut data = fs::read(&path).unwrap();
    data[8..12].copy_from_slice(&[9, 0, 9, 0]);
    let sum = crc32fast::hash(&data[..28]);
    data[28..32].copy_from_slice(&sum.to_le_bytes());
    fs::write(&path, data).unwrap();
    ws.try_run("--resume").exit(2).says("newer version of weir (format 9)");
}

#[test]
fn of_a_journal_cut_or_flipped_anywhere_only_what_is_whole_counts() {
    let (ws, run) = killed();
    let path = journal(&ws, &run);
    let whole = fs::read(&path).unwrap();
    let verdict = |data: &[u8], what: &str| {
        fs::write(&path, data).unwrap();
        let ran = ws.try_run("-n --resume");
        match ran.code {
            0 => assert!(
                ran.out.contains("1 done before, ")
                    || ran.out.contains("1 done before;")
                    || ran.shown().contains("damaged"),
                "{what}: {}",
                ran.shown()
            ),
            2 => drop(ran.says("run `")),
            _ => panic!("{what}: {}", ran.shown()),
        }
    };
    for cut in (0..whole.len()).step_by(37).chain([whole.len() - 1]) {
        verdict(&whole[..cut], &format!("cut at {cut}"));
    }
    for at in (0..whole.len()).step_by(41) {
        let mut data = whole.clone();
        data[at] ^= 0x10;
        verdict(&data, &format!("flipped at {at}"));
    }
    // What stands behind is no frame, and was never promised to anyone.
    fs::write(&path, [&whole[..], b"torn"].concat()).unwrap();
    ws.run("-n --resume").says("done before").says_nothing_of("damaged");
    // The last frame is lost: its task runs again, and that is said.
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    ws.run("--resume").tasks("first ran, second ran").says("is damaged; what is whole counts, the rest runs again");
}

#[test]
fn without_a_task_resume_is_needed() {
    let (ws, _) = killed();
    ws.try_run("").exit(2).says("<TASK>");
}
