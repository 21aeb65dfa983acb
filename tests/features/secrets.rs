//! `redact` and `env_file`: no byte of a secret leaves weir, nor is any kept.

use crate::support::Workspace;
use std::fs;

const SECRET: &str = "S3CR3T-VALUE-42";

/// No file that weir wrote holds the secret, nor half of what it was cut in.
fn is_kept_nowhere(ws: &Workspace) {
    for file in ws.files(".weir") {
        let bytes = fs::read(ws.path(&file)).unwrap();
        assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()), "the secret is in `{file}`");
    }
}

#[test]
fn a_named_variable_is_masked_everywhere() {
    let ws = Workspace::new(
        "[tasks.t]\nrun = 'echo \"<$TOKEN>\"; echo \"<$TOKEN>\" >&2; test ! -e ../fails'\nsources = []\noutputs = []\n\
         env_inputs = ['TOKEN']\nredact = ['TOKEN']",
    );
    for mode in ["grouped", "prefixed", "stream", "quiet"] {
        for flag in ["-f", "--explain"] {
            let report = ws.outside("report.json");
            let ran = ws
                .weir(&["run", flag, "--output", mode, "--report", report.to_str().unwrap(), "t"])
                .env("TOKEN", SECRET)
                .env("GITHUB_ACTIONS", "true")
                .env("GITHUB_STEP_SUMMARY", ws.outside("summary.md"))
                .ok()
                .says_nothing_of(SECRET);
            assert!(mode == "quiet" || ran.out.contains("<***>"), "{}", ran.shown());
            assert!(!fs::read_to_string(&report).unwrap().contains(SECRET));
        }
    }
    fs::write(ws.outside("fails"), "").unwrap();
    ws.weir(&["run", "-f", "t"]).env("TOKEN", SECRET).go().exit(1).says("<***>").says_nothing_of(SECRET);
    assert!(!fs::read_to_string(ws.outside("summary.md")).unwrap().contains(SECRET));
    ws.weir(&["explain", "--json", "t"]).env("TOKEN", SECRET).ok().says_nothing_of(SECRET);
    ws.weir(&["runs", "show", "--json"]).ok().says_nothing_of(SECRET);
    is_kept_nowhere(&ws);
}

#[test]
fn values_of_an_env_file_are_masked_and_their_change_is_seen() {
    let ws = Workspace::new("[tasks.t]\nrun = 'echo \"<$KEY> <$N>\"'\nsources = []\noutputs = []\nenv_file = '.env'");
    ws.write(".env", format!("KEY={SECRET}\nN=1\n"));
    ws.run("t").says("<***> <1>").says_nothing_of(SECRET);
    ws.run("t").tasks("t fresh").says("<***>");
    ws.write(".env", "KEY=another-value\nN=1\n");
    let explained = ws.weir(&["explain", "t"]).ok().says("KEY").says_nothing_of(SECRET);
    explained.says_nothing_of("another-value");
    ws.run("--explain t").tasks("t ran").says_nothing_of(SECRET).says_nothing_of("another-value");
    is_kept_nowhere(&ws);
}

#[test]
fn a_secret_that_comes_in_pieces_is_masked_as_a_whole() {
    let ws = Workspace::new(&format!(
        "[tasks.t]\nrun = 'printf \"at first \"; printf %s {}; ../pause middle; printf %s {}; echo'\nenv = {{ K = '{SECRET}' }}\nredact = ['K']",
        &SECRET[..6],
        &SECRET[6..]
    ));
    for mode in ["stream", "prefixed", "grouped"] {
        let puppet = ws.puppet("middle");
        let weir = ws.weir(&["run", "--output", mode, "t"]).spawn();
        puppet.arrives();
        assert!(!weir.printed().contains(&SECRET[..6]), "{}", weir.printed());
        puppet.goes_on();
        weir.end().success().says("at first ***").says_nothing_of(&SECRET[..6]).says_nothing_of(&SECRET[6..]);
        puppet.retire();
    }
}

#[test]
fn a_secret_of_several_lines_is_masked_line_by_line() {
    let ws = Workspace::new("[tasks.t]\nrun = 'echo \"$PEM\"'\nenv_inputs = ['PEM']\nredact = ['PEM']");
    let pem = "-----BEGIN-----\nabcdefgh\nijklmnop\n-----END-----";
    let ran = ws.weir(&["run", "--output=prefixed", "t"]).env("PEM", pem).ok();
    ran.says("***").says_nothing_of("abcdefgh").says_nothing_of("ijklmnop");
}
