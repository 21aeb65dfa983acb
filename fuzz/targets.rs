//! What weir reads that somebody else may have written, and what must hold whatever it is. Each function panics
//! where it does not. Called by libFuzzer (`fuzz_targets`), and by the tests with the corpus and mutations of it.

use std::path::Path;
use weir::cache::State;
use weir::config::{Pattern, load_text};
use weir::fingerprint::Selection;
use weir::journal::{Log, Trouble};
use weir::model::WsPath;

/// Any text as `tasks.toml`: no panic, every place that is told lies in the text, and what is no TOML is an error.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // Nothing is there: what it includes is missing.
    let loaded = load_text(Path::new("/nowhere/fuzz/tasks.toml"), text, &["ci".to_owned()]);
    let under = |at: weir::config::At| {
        let file = &loaded.config.files[usize::from(at.file.0)].text;
        assert!(file.get(at.start as usize..at.end as usize).is_some(), "{at:?} is not in the text");
    };
    loaded.diagnostics.iter().flat_map(|diagnostic| &diagnostic.labels).for_each(|label| under(label.at));
    loaded.config.tasks.iter().for_each(|task| under(task.at));
    // The same text is judged the same.
    let again = load_text(Path::new("/nowhere/fuzz/tasks.toml"), text, &["ci".to_owned()]);
    let said = |loaded: &weir::config::Loaded| {
        loaded.diagnostics.iter().map(|told| (told.code, told.message.clone())).collect::<Vec<_>>()
    };
    assert_eq!(said(&loaded), said(&again));
}

/// Any bytes as the journal, and as records in a sound one: no panic, what was mended is sound, and what is
/// written then is there.
pub fn journal(data: &[u8]) {
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let path = folder.path().join("journal");
    std::fs::write(&path, data).expect("it can be written");
    mends(folder.path());
    // Sound frames around any records.
    std::fs::remove_file(&path).expect("it can be removed");
    let mut log = Log::open(&path, 1).expect("it can be made").log.expect("it is this version's");
    for record in data.split(|byte| *byte == 0xff) {
        log.lock().expect("it can be locked").0.append(record).expect("it can be appended to");
    }
    mends(folder.path());
}

fn mends(folder: &Path) {
    let (state, _, trouble) = State::open(folder).expect("damage is no error");
    if matches!(trouble, Some(Trouble::Newer { .. })) {
        assert!(!state.can_write(), "a newer version's log may be written");
        return;
    }
    let (mut state, _, trouble) = State::open(folder).expect("damage is no error");
    assert_eq!(trouble, None, "it was not mended");
    state.invalidate("fuzzed", false).expect("it can be written");
    let (state, _, trouble) = State::open(folder).expect("damage is no error");
    assert_eq!(trouble, None);
    assert!(!state.trusts_shared("fuzzed"), "what was written is not there");
}

/// A pattern in the first line, paths in those that follow: no panic, both matchers agree, what is below a match is
/// matched, and the pattern in full says the same.
pub fn globs(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.lines();
    let Some(Ok(pattern)) = lines.next().map(|line| Pattern::parse(&WsPath::root(), line)) else { return };
    if pattern.negated {
        return;
    }
    let patterns = [pattern];
    let pattern = &patterns[0];
    let selection = Selection::new(&patterns);
    let full = Pattern::parse(&WsPath::root(), &pattern.full());
    for path in lines.take(20).filter_map(|line| WsPath::resolve(&WsPath::root(), line).ok()) {
        let covers = pattern.covers(&path);
        assert_eq!(selection.covers(&path), covers, "`{}` and `{path}`", pattern.raw());
        if let Ok(full) = &full {
            assert_eq!(full.covers(&path), covers, "`{}`, in full `{}`, and `{path}`", pattern.raw(), pattern.full());
        }
        let Ok(below) = WsPath::resolve(&path, "below") else { continue };
        assert!(!covers || selection.covers(&below), "`{}` matches `{path}` and not `{below}`", pattern.raw());
    }
}
