//! Who started a task last, read while another writes it.

use crate::cache::Place;
use crate::model::TaskName;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn a_note_that_is_written_over_is_never_gone_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let (place, name) = (Place::open(folder.path()).unwrap(), TaskName::new("say"));
    place.note_start(&name, "first").unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for run in ["second one", "third"].iter().cycle().take(2000) {
                place.note_start(&name, run).unwrap();
            }
            over.store(true, Ordering::Release);
        });
        while !over.load(Ordering::Acquire) {
            assert!(!place.noted_start(&name).unwrap().is_empty());
        }
    });
    assert_eq!(place.noted_start(&name).as_deref(), Some("third"));
}
