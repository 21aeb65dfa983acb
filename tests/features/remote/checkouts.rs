//! Two checkouts in different folders, of different people: the second finds whatever the first could share.

use super::casd::Casd;
use super::farm::Farm;
use super::{PATIENT, outputs, remote_notices, through};
use crate::support::Workspace;
use std::fs;

/// Every kind of task that may be shared, and those that may not.
const TASKS: &str = r#"
[tasks.gen]
run = '''mkdir -p out/gen/deep/empty; cp src/*.txt out/gen/deep/; cp tools/tool out/gen/run; chmod 751 out/gen/run; : > out/gen/zero
  ln -sfn deep/a.txt out/gen/link; ln -sfn nowhere out/gen/dangling; head -c 300000 /dev/zero | tr '\0' x > out/gen/big; echo generated'''
sources = ["src", "tools/tool"]
outputs = ["out/gen"]
[tasks.use]
run = "cat out/gen/deep/*.txt > out/use; out/gen/run >> out/use"
sources = ["out/gen"]
outputs = ["out/use"]
depends = ["gen"]
[tasks.verdict]
run = "grep -q tool out/use"
sources = ["out/use"]
outputs = []
depends = ["use"]
[tasks.glob]
run = "mkdir -p out/glob; for f in src/*.txt; do cp $f out/glob/; done"
sources = ["src/*.txt", "!src/c.txt"]
outputs = ["out/glob/*.txt"]
[tasks.inside]
dir = "src/sub"
run = "mkdir -p ../../out; cat deep > ../../out/inside; pwd | tail -c 8 >> ../../out/inside"
sources = ["src/sub"]
outputs = ["out/inside"]
[tasks.probed]
run = "mkdir -p out; sort --version > out/probed"
sources = []
requires = ["sort", "sh"]
probes = ["uname -m", "basename src/sub"]
outputs = ["out/probed"]
[tasks.env]
run = 'mkdir -p out; echo "$MODE ${FLAVOUR-}" > out/env'
sources = []
env = { MODE = "release" }
env_inputs = ["FLAVOUR"]
outputs = ["out/env"]
[tasks.list]
run = ["mkdir -p out/list", "echo a > out/list/a", "echo b > out/list/b"]
sources = []
outputs = ["out/list"]
[tasks.argued]
run = 'mkdir -p out; echo "$1" > out/argued'
args = [{ name = "which", default = "one" }]
sources = []
outputs = ["out/argued"]
[tasks.secret]
run = 'mkdir -p out; test -n "$KEY"; echo done > out/secret'
sources = []
env_file = "secrets.env"
outputs = ["out/secret"]
[tasks.first]
run = "mkdir -p out; echo 1 > out/first"
sources = []
outputs = ["out/first"]
[tasks.second]
run = "echo 2 > out/second"
sources = []
outputs = ["out/second"]
[tasks.sequence]
sequence = ["first", ["second", "list"]]
[tasks.forbid]
uses = "check.forbid"
with = { patterns = ["FIXME"], files = ["src/**"] }
[tasks.exists]
uses = "check.exists"
with = { files = ["tools/*"], executable = true }
[tasks.state]
run = 'echo state > ../state'
sources = []
state = 'cat ../state 2>/dev/null || echo none'
[tasks.local]
run = "mkdir -p out; echo local > out/local"
sources = []
outputs = ["out/local"]
cache = "local"
[tasks.unknown]
run = "true"
sources = ["src"]
[tasks.always]
run = "true"
[tasks.prints]
run = 'mkdir -p out; echo "$KEY"; echo done > out/prints'
sources = []
env = { KEY = "S3CR3T-VALUE" }
redact = ["KEY"]
outputs = ["out/prints"]
[tasks.shared]
depends = ["gen", "use", "verdict", "glob", "inside", "probed", "env", "list", "argued", "secret", "sequence", "forbid"]
[tasks.kept]
depends = ["exists", "state", "local", "unknown", "always", "prints"]
"#;

fn checkout(address: &str) -> Workspace {
    let ws = Workspace::new(&format!("{}\n{TASKS}", through(address, PATIENT)));
    for (path, content) in [("a.txt", "a"), ("b.txt", "b"), ("c.txt", ""), ("sub/deep", "deep")] {
        ws.write(&format!("src/{path}"), content);
    }
    ws.write("tools/tool", "#!/bin/sh\necho tool\n");
    ws.chmod("tools/tool", 0o755);
    ws.link("../src/a.txt", "src/link.txt");
    ws.write("secrets.env", "KEY=abcdefgh\n");
    ws
}

fn finds_whatever_the_other_left(address: &str) {
    let (one, other) = (checkout(address), checkout(address));
    one.run("shared").success();
    let home = other.outside("home");
    fs::create_dir_all(&home).unwrap();
    let path = format!("{}:{}", home.display(), std::env::var("PATH").unwrap());
    let found = other
        .weir(&["run", "shared"])
        .envs([("HOME", home.display().to_string()), ("TMPDIR", home.display().to_string()), ("PATH", path)])
        .envs([("USER", "somebody"), ("TERM", "dumb")])
        .ok();
    let found = found.tasks(
        "gen hit, use hit, verdict fresh, glob hit, inside hit, probed hit, env hit, list hit, argued hit, secret hit, \
         first hit, second hit, forbid fresh",
    );
    assert_eq!(remote_notices(&found), Vec::<String>::new());
    assert_eq!(outputs(&one), outputs(&other));
    other.run("shared").says("fresh");
    // What can't be brought here is done here.
    one.run("kept").success();
    other.run("kept").tasks("exists ran, state ran, local ran, unknown ran, always ran, prints ran");
}

#[test]
fn a_second_checkout_finds_whatever_the_first_left() {
    finds_whatever_the_other_left(&Farm::new().address);
}

#[cfg(target_os = "linux")]
#[test]
fn a_second_checkout_finds_it_on_a_real_server() {
    finds_whatever_the_other_left(&Casd::new().address);
}
