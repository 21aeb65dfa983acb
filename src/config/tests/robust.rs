//! No text, however broken, makes it panic or point outside of the text.

use super::*;
use proptest::prelude::*;

const VALID: &str = "version = 1\ninclude = ['a.toml']\n[settings]\njobs = 4\nshell = [\"bash\", \"-c\"]\n[policy]\nentry = ['t']\n[env]\nA = 1\n\
    [profile.ci]\nenv.B = 'x'\ntasks.t = { timeout = '1h' }\n[tasks.t]\nrun = '''\nmulti\n'''\n\
    depends = [{ task = 'u', args = ['é'] }]\nsources = ['src/**/*.rs', '!b']\nretry = { attempts = 3 }\n[tasks.'ü:*']\nexec = ['x']\n";

fn survives(bytes: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tasks.toml");
    std::fs::write(&file, bytes).unwrap();
    let loaded = load(&file, &["ci".to_owned()], &crate::config::Looked::default());
    let sound = std::str::from_utf8(bytes).is_ok_and(|text| toml::de::DeTable::parse(text).is_ok());
    assert!(sound || loaded.has_errors(), "a broken file passed for a good one");
    for diagnostic in &loaded.diagnostics {
        for label in &diagnostic.labels {
            under(&loaded.config, label.at);
        }
    }
    for task in &loaded.config.tasks {
        under(&loaded.config, task.at);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        survives(&bytes);
    }

    #[test]
    fn anything_like_toml(text in "([a-z.=\\[\\]{}'\",#\n\u{e9} 0-9]|tasks|run|\\[tasks\\.|version = 1\n){0,60}") {
        survives(text.as_bytes());
    }

    #[test]
    fn mutated_files(cuts in proptest::collection::vec((any::<prop::sample::Index>(), 0usize..6, "[\\[\\]{}='\",.\n\u{0}a\u{e9}]{0,3}"), 1..6)) {
        let mut text: Vec<char> = VALID.chars().collect();
        for (index, length, insert) in cuts {
            let start = index.index(text.len() + 1);
            let end = (start + length).min(text.len());
            text.splice(start..end, insert.chars());
        }
        survives(text.into_iter().collect::<String>().as_bytes());
    }

    #[test]
    fn shuffled_lines(order in Just(VALID.lines().collect::<Vec<_>>()).prop_shuffle()) {
        survives(order.join("\n").as_bytes());
    }
}
