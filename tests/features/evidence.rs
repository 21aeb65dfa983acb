//! Gates leave evidence; it is packed, verified, and refused where a byte was changed.

use super::checks::{commit, git, repository};
use crate::more::json;
use crate::support::Workspace;
use serde_json::Value;
use std::process::Command;

const GATES: &str = "[tasks.all]\ndepends = ['good', 'soft', 'bad', 'after']\n\
     [tasks.good]\nrun = 'cat in'\nsources = 'in'\noutputs = []\nrequires = ['cat']\ngate = { id = 'good', title = 'It is good' }\n\
     [tasks.soft]\nrun = 'exit 2'\non_fail = 'warn'\ngate = { id = 'soft' }\n\
     [tasks.bad]\nrun = 'test -e fine'\nwait_for = ['good', 'soft']\ngate = { id = 'bad' }\n\
     [tasks.after]\nrun = 'true'\ndepends = ['bad']\ngate = { id = 'after' }";

/// The newest run's evidence of a gate.
fn evidence(ws: &Workspace, gate: &str) -> Value {
    let runs = ws.files(".weir/runs");
    let wanted = format!("/evidence/{gate}.json");
    let newest = runs.iter().filter(|file| file.ends_with(&wanted)).max().unwrap();
    serde_json::from_str(&ws.read(newest)).unwrap()
}

fn gates() -> Workspace {
    let ws = repository(GATES);
    ws.write("in", "content\n");
    ws.write(".gitignore", ".weir\n");
    commit(&ws);
    ws
}

#[test]
fn each_gate_leaves_what_it_said() {
    let ws = gates();
    ws.try_run("all").exit(1);
    let good = evidence(&ws, "good");
    assert_eq!(good["status"], "pass");
    assert_eq!(good["title"], "It is good");
    assert_eq!(good["git_sha"], git(&ws, "rev-parse HEAD"));
    assert_eq!(good["git_dirty"], false);
    assert_eq!(good["log_digest"], "434728a410a78f56fc1b5899c3593436e61ab0c731e9072d95e96db290205e53");
    assert_eq!(good["tools"][0]["name"], "cat");
    assert_eq!(good["replayed_from"], Value::Null);
    let key = good["key"].as_str().unwrap();
    assert_eq!(key.len(), 64);
    for (gate, status, why) in
        [("soft", "warn", "exit status 2"), ("bad", "fail", "exit status 1"), ("after", "skipped", "`bad` failed")]
    {
        let record = evidence(&ws, gate);
        assert_eq!((record["status"].as_str(), record["message"].as_str()), (Some(status), Some(why)));
    }
    ws.write("fine", "");
    ws.run("all");
    let again = evidence(&ws, "good");
    assert_eq!(again["replayed_from"], good["run"]);
    assert_ne!(again["run"], good["run"]);
    for same in ["key", "inputs_digest", "tools", "log_digest"] {
        assert_eq!(again[same], good[same], "{same}");
    }
    assert_eq!(again["git_dirty"], true);
    assert_eq!(evidence(&ws, "after")["status"], "pass");
}

#[test]
fn a_bundle_is_whole_or_refused() {
    let ws = gates();
    ws.write("fine", "");
    ws.tasks(&GATES.replace("exit 2", "true"));
    ws.weir(&["evidence", "bundle"]).go().exit(2);
    ws.run("all");
    ws.weir(&["evidence", "verify"]).go().exit(2).says("`weir evidence bundle` packs one");
    ws.weir(&["evidence", "bundle"]).go().success().says("4 records of run");
    ws.weir(&["evidence", "verify"]).go().success().says("4 records, unchanged; 0 missing, 0 not passed");
    ws.weir(&["evidence", "bundle", "-o", "e.tar"]).go().success();
    let bytes = std::fs::read(ws.path("e.tar")).unwrap();
    let find = |text: &str| bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
    for (at, says) in [
        (find("\"check_id\": \"good\"") + 14, "`good.json` was changed"),
        (find("\"seal\"") + 20, "`manifest.json`"),
        (find("soft.dsse.json\0"), "soft.dsse.json"),
        (bytes.len() - 1, "the archive around"),
    ] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        std::fs::write(ws.path("changed.tar"), changed).unwrap();
        ws.weir(&["evidence", "verify", "changed.tar"]).go().exit(1).says(says);
    }
    std::fs::write(ws.path("changed.tar"), &bytes[..bytes.len() / 2]).unwrap();
    ws.weir(&["evidence", "verify", "changed.tar"]).go().exit(1).says("is not to be relied on");
}

#[test]
fn what_is_missing_or_did_not_pass_is_said() {
    let ws = gates();
    ws.run("soft");
    ws.weir(&["evidence", "bundle"]).go().success().says("missing: `good` is declared, and was not in this run");
    let ran = ws.weir(&["evidence", "verify", "--json"]).go().exit(1);
    let said = json(&ran);
    assert_eq!(said["missing"], serde_json::json!(["after", "bad", "good"]));
    assert_eq!(said["not_passed"], serde_json::json!(["soft"]));
}

#[test]
fn evidence_is_signed_and_others_verify_it() {
    let ws = gates();
    ws.write("fine", "");
    let openssl = |arguments: &[&str]| {
        let done =
            Command::new("openssl").args(arguments).current_dir(ws.root()).output().expect("openssl is installed");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    for name in ["key", "other"] {
        openssl(&["genpkey", "-algorithm", "ed25519", "-out", &format!("{name}.pem")]);
        openssl(&["pkey", "-in", &format!("{name}.pem"), "-pubout", "-out", &format!("{name}.pub.pem")]);
    }
    ws.weir(&["run", "good", "--evidence-key", "key.pub.pem"]).go().exit(2).says("is a public key, and can't sign");
    ws.weir(&["run", "good", "--evidence-key", "in"]).go().exit(2).says("no ed25519 key in PEM");
    ws.weir(&["run", "good"]).env("WEIR_EVIDENCE_KEY", "key.pem").go().success();
    ws.tasks("[tasks.good]\nrun = 'true'\ngate = { id = 'good' }");
    ws.weir(&["evidence", "bundle", "-o", "e.tar"]).go().success();
    let verify = |key: &str| ws.weir(&["evidence", "verify", "e.tar", "--key", key]).go();
    verify("key.pub.pem").success().says("all signed with the key given");
    verify("other.pub.pem").exit(1).says("`good.dsse.json` is not signed with the key given");
    // An implementation that has nothing to do with this one.
    let envelope = ws.files(".weir/runs").into_iter().find(|file| file.ends_with("good.dsse.json")).unwrap();
    let script = "import json, sys\n\
        from cryptography.hazmat.primitives.serialization import load_pem_public_key\n\
        from securesystemslib.dsse import Envelope\n\
        from securesystemslib.signer import SSlibKey\n\
        envelope = Envelope.from_dict(json.load(open(sys.argv[1])))\n\
        key = SSlibKey.from_crypto(load_pem_public_key(open(sys.argv[2], 'rb').read()), keyid=sys.argv[3])\n\
        print(sorted(envelope.verify([key], 1)))\n\
        statement = json.loads(envelope.payload)\n\
        assert statement['_type'] == 'https://in-toto.io/Statement/v1', statement\n\
        print(statement['predicate']['check_id'])\n";
    let read: Value = serde_json::from_str(&ws.read(&envelope)).unwrap();
    let keyid = read["signatures"][0]["keyid"].as_str().unwrap();
    let packages = concat!(env!("CARGO_MANIFEST_DIR"), "/target/python");
    let verified = |public: &str| {
        Command::new("python3")
            .env("PYTHONPATH", packages)
            .args(["-c", script, &envelope, public, keyid])
            .current_dir(ws.root())
            .output()
            .expect("python3 is installed")
    };
    let good = verified("key.pub.pem");
    let said = String::from_utf8_lossy(&good.stderr);
    assert!(
        good.status.success(),
        "{said}\n`scripts/prerequisites` installs securesystemslib into {packages}, if that is what is missing"
    );
    assert!(String::from_utf8_lossy(&good.stdout).ends_with("good\n"));
    assert!(!verified("other.pub.pem").status.success());
}

#[test]
fn artifacts_are_kept_with_the_run_whatever_its_outcome() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'mkdir -p out/deep; echo a > out/deep/a.txt; exit 3'\nartifacts = { files = ['out', 'none-*'], kind = 'auxiliary' }",
    );
    let ran = ws.try_run("t").exit(1);
    assert_eq!(ran.notices("t")[0].1, "artifacts that are not there: `none-*`");
    let kept: Vec<String> = ws.files(".weir/runs").into_iter().filter(|file| file.contains("/artifacts/")).collect();
    assert_eq!(kept.len(), 1);
    assert!(kept[0].ends_with("/artifacts/t/out/deep/a.txt"), "{kept:?}");
    ws.tasks("[tasks.t]\nrun = 'true'\nartifacts = { files = 'a', kind = 'evidence' }");
    ws.try_run("t").exit(2).says("expected `\"auxiliary\"`");
}

#[test]
fn two_gates_of_one_id_are_refused() {
    let ws =
        Workspace::new("[tasks.a]\nrun = 'true'\ngate = { id = 'x' }\n[tasks.b]\nrun = 'true'\ngate = { id = 'x' }");
    ws.try_run("a").exit(2).says("config::duplicate-gate").says("the gate `x` is declared twice");
    ws.tasks("[tasks.a]\nrun = 'true'\ngate = { id = '../x' }");
    ws.try_run("a").exit(2).says("`../x` is no id of a gate");
}
