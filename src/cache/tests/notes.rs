//! Who started a task last.

use crate::cache::Starts;
use crate::model::TaskName;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn a_note_that_is_written_over_is_never_gone_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("started");
    let (starts, others, name) = (Starts::at(path.clone()), Starts::at(path.clone()), TaskName::new("say"));
    assert_eq!(starts.last(&name), None);
    starts.note(&[&name], "first").unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for run in ["second one", "third"].iter().cycle().take(2000) {
                starts.note(&[&name], run).unwrap();
            }
            over.store(true, Ordering::Release);
        });
        while !over.load(Ordering::Acquire) {
            assert!(!others.last(&name).unwrap().is_empty());
            assert!(!Starts::at(path.clone()).last(&name).unwrap().is_empty());
        }
    });
    for starts in [starts, others, Starts::at(path)] {
        assert_eq!(starts.last(&name).as_deref(), Some("third"));
    }
}

#[test]
fn the_last_of_several_that_write_counts_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let all = [(); 3].map(|()| Starts::at(folder.path().join("started")));
    let (a, b) = (TaskName::new("a"), TaskName::new("b c\n\"d\""));
    for round in 0..2000 {
        let run = round.to_string();
        all[round % 3].note(&[&a, &b][..1 + round % 2], &run).unwrap();
        let reader = &all[round / 3 % 3];
        assert_eq!(reader.last(&a), Some(run));
        assert_eq!(reader.last(&b), (round > 0).then(|| (round - 1 + round % 2).to_string()));
    }
    // 3,000 notes; the rest of what is allowed, and one more.
    let length = || fs::metadata(folder.path().join("started")).unwrap().len();
    for round in 0..2000 {
        let before = length();
        all[round % 3].note(&[&a], "again").unwrap();
        if length() < before {
            assert!(round > 1000, "{round}");
            for starts in &all {
                assert_eq!((starts.last(&a).as_deref(), starts.last(&b).as_deref()), (Some("again"), Some("1999")));
            }
            return;
        }
    }
    panic!("they grow for ever");
}

#[test]
fn damaged_notes_count_for_no_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("started");
    let name = TaskName::new("say");
    let write = || {
        let starts = Starts::at(path.clone());
        starts.forget().unwrap();
        ["first", "second"].iter().for_each(|run| starts.note(&[&name], run).unwrap());
        starts
    };
    write();
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let cut = &whole[..at];
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        for damaged in [cut, &flipped] {
            let open = write();
            fs::write(&path, damaged).unwrap();
            let last = Starts::at(path.clone()).last(&name);
            assert!(last.is_none() || last.as_deref() == Some("second"), "at {at}: {last:?}");
            // A header that is another's, or a newer version's, is damage too to whoever writes.
            open.note(&[&name], "third").unwrap();
            let last = Starts::at(path.clone()).last(&name);
            assert!(last.is_none() || last.as_deref() == Some("third"), "at {at}, written again: {last:?}");
        }
    }
}
