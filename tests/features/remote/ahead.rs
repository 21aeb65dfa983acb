//! Many results, asked for while nobody waits for them, and what they name taken together.

use super::farm::{Call, Farm, Fault, sha256};
use super::{PATIENT, outputs, remote_notices, through};
use crate::support::{Ran, Workspace, wait_until};
use nix::sys::signal::Signal;

/// More than there are threads.
const MANY: usize = 40;

fn checkout(farm: &Farm, timeout: &str) -> Workspace {
    let mut text = through(&farm.address, timeout);
    for number in 0..MANY {
        text.push_str(&format!(
            "\n[tasks.t{number}]\nrun = 'echo t{number} >> ../t{number}.ran; mkdir -p out; echo content {number} > out/{number}'\n\
             sources = []\noutputs = ['out/{number}']"
        ));
    }
    let names: Vec<String> = (0..MANY).map(|number| format!("'t{number}'")).collect();
    Workspace::new(&format!("{text}\n[tasks.all]\ndepends = [{}]", names.join(", ")))
}

fn given(farm: &Farm) -> Workspace {
    let ws = checkout(farm, PATIENT);
    ws.run("all").says(&format!("{MANY} given"));
    ws
}

fn ran(ws: &Workspace) -> Vec<usize> {
    (0..MANY).filter(|number| ws.count(&format!("t{number}")) > 0).collect()
}

#[test]
fn all_are_asked_for_at_once_and_their_blobs_taken_together() {
    let farm = Farm::new();
    let first = given(&farm);
    // No blob comes before all are asked for: whoever waited for one would wait for ever.
    farm.fail(Call::BatchRead, Fault::After(farm.calls(Call::GetResult) + MANY));
    let before = [farm.calls(Call::GetResult), farm.calls(Call::BatchRead)];
    let second = checkout(&farm, PATIENT);
    let found = second.run("-j1 all").says(&format!("{MANY} hits"));
    assert_eq!((ran(&second), remote_notices(&found)), (vec![], vec![]), "{}", found.shown());
    assert_eq!(outputs(&first), outputs(&second));
    assert_eq!(farm.calls(Call::GetResult), before[0] + MANY);
    // Each result has two blobs, its record and its output.
    let reads = farm.calls(Call::BatchRead) - before[1];
    assert!(reads <= MANY / 2, "{reads}");
    second.weir(&["cache", "verify"]).ok().says("all hold");
    second.run("all").says("fresh");
}

/// What is wrong with one blob, or with one record, concerns the result that names it.
#[test]
fn one_blob_that_is_gone_is_one_miss() {
    let farm = Farm::new();
    let first = given(&farm);
    let output = sha256(b"content 7\n");
    let record = |blob: &[u8]| blob.starts_with(b"weir-result") && blob.windows(6).any(|part| part == b"\"t9\",\"");
    let record = farm.state().blobs.iter().find(|(_, blob)| record(blob)).map(|(name, _)| name.clone()).unwrap();
    for (gone, number) in [(output, 7), (record, 9)] {
        let kept = farm.state().blobs.remove(&gone).unwrap();
        farm.fail(Call::BatchRead, Fault::After(farm.calls(Call::GetResult) + MANY));
        let second = checkout(&farm, PATIENT);
        let found = second.run("all").says(&format!("{} hits", MANY - 1));
        assert_eq!((ran(&second), remote_notices(&found)), (vec![number], vec![]), "{}", found.shown());
        assert_eq!(outputs(&first), outputs(&second));
        farm.state().blobs.insert(gone, kept);
    }
}

#[test]
fn one_blob_that_is_wrong_is_never_used() {
    let farm = Farm::new();
    let first = given(&farm);
    farm.state().blobs.insert(sha256(b"content 7\n"), b"content 8\n".to_vec());
    farm.fail(Call::BatchRead, Fault::After(farm.calls(Call::GetResult) + MANY));
    let second = checkout(&farm, PATIENT);
    let found = second.run("all");
    assert!(ran(&second).contains(&7) && remote_notices(&found).len() == 1, "{}", found.shown());
    assert_eq!(outputs(&first), outputs(&second));
    second.weir(&["cache", "verify"]).ok().says("all hold");
}

/// A signal ends the wait for answers, also for those that the server was asked for already.
#[test]
fn nobody_has_to_wait_for_what_is_asked() {
    let farm = Farm::new();
    let interrupted = |call: Call| -> Ran {
        farm.fail(call, Fault::Hangs);
        let before = farm.calls(call);
        let ws = checkout(&farm, "1h");
        let running = ws.weir(&["run", "all"]).spawn();
        wait_until("the server is asked", || farm.calls(call) > before);
        running.signal(Signal::SIGINT);
        running.end().exit(130)
    };
    interrupted(Call::GetResult);
    farm.mend();
    given(&farm);
    interrupted(Call::BatchRead);
}
