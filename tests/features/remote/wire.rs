//! How blobs cross the line: packed where both sides want it; and how long a server may stay silent meanwhile.

use super::casd::Casd;
use super::farm::{Call, Farm, Fault};
use super::{PATIENT, checkout, must_be_right_in, outputs, remote_notices, shares, through};
use crate::support::Workspace;
use tonic::Code;

fn packed(address: &str) -> String {
    format!("remote = {{ endpoint = '{address}', timeout = '{PATIENT}', compression = 'zstd' }}")
}

fn farm(streams: bool, messages: bool) -> Farm {
    let farm = Farm::new();
    farm.offer_zstd(streams, messages);
    farm
}

#[test]
fn results_are_shared_packed() {
    let farm = farm(true, true);
    shares(&|| checkout(&packed(&farm.address)), &|ws, words| ws.try_run(words));
    for call in [Call::BatchUpdate, Call::BatchRead, Call::Write, Call::Read] {
        assert!(farm.packed(call) > 0, "{call:?}");
    }
    // What is counted is what crossed the line: 200,000 times the same letter is little.
    checkout(&packed(&farm.address)).run("gen").tasks("gen hit").says("1 hit").says(" B down");
    checkout(&through(&farm.address, PATIENT)).run("gen").tasks("gen hit").says("kB down");
    // Who does not ask for it gets blobs as they are, from the same server.
    let before = (farm.packed(Call::Read), farm.packed(Call::BatchRead));
    let (a, b) = (checkout(&packed(&farm.address)), checkout(&through(&farm.address, PATIENT)));
    a.write("src/a", "another");
    b.write("src/a", "another");
    a.run("gen").tasks("gen ran");
    b.run("gen").tasks("gen hit");
    assert_eq!(outputs(&a), outputs(&b));
    assert_eq!((farm.packed(Call::Read), farm.packed(Call::BatchRead)), before);
}

#[test]
fn what_is_not_offered_is_done_without() {
    for (streams, messages) in [(false, false), (true, false), (false, true)] {
        let farm = farm(streams, messages);
        shares(&|| checkout(&packed(&farm.address)), &|ws, words| ws.try_run(words));
        let used = |call: Call| farm.packed(call) > 0;
        assert_eq!((used(Call::Write), used(Call::Read), used(Call::BatchRead)), (streams, streams, streams));
        assert_eq!(used(Call::BatchUpdate), messages);
    }
}

#[test]
fn doctor_says_whether_blobs_are_packed() {
    for (wanted, offered, said) in [
        (true, (true, true), "compression: zstd;"),
        (true, (true, false), "compression: zstd, but for small blobs that are given"),
        (true, (false, true), "compression: zstd for small blobs that are given"),
        (true, (false, false), "compression: not offered"),
        (false, (false, false), "compression: not offered"),
        (false, (true, true), "compression: zstd is offered, and `compression` does not ask for it"),
    ] {
        let farm = farm(offered.0, offered.1);
        let remote = if wanted { packed(&farm.address) } else { through(&farm.address, PATIENT) };
        checkout(&remote).weir(&["doctor"]).ok().says(said);
    }
}

/// What is packed already is not packed again.
#[test]
fn what_does_not_get_smaller_is_sent_as_it_is() {
    let farm = farm(true, true);
    let task =
        "[tasks.t]\nrun = 'mkdir out; head -c 300000 /dev/urandom > out/large; head -c 3000 /dev/urandom > out/small'
                sources = []\noutputs = ['out']";
    let make = || Workspace::new(&format!("{}\n{task}", packed(&farm.address)));
    let (a, b) = (make(), make());
    a.run("t").tasks("t ran").says("1 given");
    assert_eq!((farm.calls(Call::Write), farm.packed(Call::Write)), (1, 0));
    b.run("t").tasks("t hit");
    assert_eq!(outputs(&a), outputs(&b));
}

#[test]
fn whatever_comes_packed_is_checked() {
    let farm = farm(true, true);
    let first = checkout(&packed(&farm.address));
    first.run("all").says("3 given");
    for call in [Call::BatchRead, Call::Read] {
        for fault in [Fault::Short, Fault::Other, Fault::Bomb, Fault::Empty, Fault::Endless, Fault::Breaks] {
            if call == Call::BatchRead && matches!(fault, Fault::Endless | Fault::Breaks) {
                continue;
            }
            let what = format!("{call:?} {fault:?}");
            farm.fail(call, fault);
            let (ws, ran) = must_be_right_in(checkout(&packed(&farm.address)), &what);
            assert_eq!(remote_notices(&ran).len(), 1, "{what}: {}", ran.shown());
            assert_eq!(outputs(&first), outputs(&ws), "{what}");
            farm.mend();
            ws.run("all").tasks("gen fresh, check fresh, silent fresh");
            ws.weir(&["cache", "verify"]).ok().says("all hold");
        }
    }
    for (call, fault) in [
        (Call::BatchUpdate, Fault::SaysOfBlob(Code::ResourceExhausted)),
        (Call::BatchUpdate, Fault::Silent),
        (Call::Write, Fault::Short),
        (Call::Write, Fault::Breaks),
        (Call::Write, Fault::Says(Code::Unimplemented)),
    ] {
        let what = format!("{call:?} {fault:?}");
        let farm = self::farm(true, true);
        farm.fail(call, fault);
        let (_, ran) = must_be_right_in(checkout(&packed(&farm.address)), &what);
        assert!(farm.calls(call) > 0, "{what}: it was never called");
        assert_eq!(remote_notices(&ran).len(), 1, "{what}: {}", ran.shown());
    }
}

/// buildbox-casd knows zstd, and does not offer it.
#[cfg(target_os = "linux")]
#[test]
fn a_real_server_is_asked_for_what_it_offers() {
    let casd = Casd::new();
    checkout(&packed(&casd.address)).weir(&["doctor"]).ok().says("compression: not offered");
    shares(&|| checkout(&packed(&casd.address)), &|ws, words| ws.try_run(words));
}

/// Where a server falls silent, the run waits for it as long as `timeout` says and no longer, once: also
/// where much is under way, and where some of it has arrived.
#[test]
fn a_server_that_falls_silent_costs_its_time_once() {
    let full = Farm::new();
    checkout(&through(&full.address, PATIENT)).run("all").says("3 given");
    let silences = |calls: &[Call], half: Call| {
        let hangs = calls.iter().map(|call| (*call, Fault::Hangs));
        hangs.chain([(half, Fault::Silent)]).collect::<Vec<_>>()
    };
    for (call, fault) in silences(&Call::TAKING, Call::Read) {
        full.fail(call, fault);
        let before = full.calls(call);
        let ran = checkout(&through(&full.address, "500ms")).run("check");
        let told = remote_notices(&ran);
        assert!(told.len() == 1 && told[0].contains("did not answer within 500ms; this run goes on"), "{told:?}");
        // What comes after it does not ask again.
        assert_eq!(full.calls(call) - before, 1, "{call:?}");
    }
    for (call, fault) in silences(&Call::GIVING, Call::Write) {
        let farm = Farm::new();
        farm.fail(call, fault);
        let ran = checkout(&through(&farm.address, "500ms")).run("-j1 all");
        let told = remote_notices(&ran);
        assert!(told.len() == 1 && told[0].contains("did not answer within 500ms; this run goes on"), "{told:?}");
    }
}
