//! The workspace's memory against a model: kept, shared between processes, cut, flipped, lost.

use crate::cache::{Last, Manifest, Recorded, State};
use crate::fingerprint::Memo;
use crate::journal::Trouble;
use crate::model::Digest;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn recorded(seed: u8) -> Recorded {
    Recorded {
        key: Digest::of(&[seed]),
        left: Digest::of(&[seed, 1]),
        outputs: Manifest::default(),
        log: None,
        duration_ms: u64::from(seed),
        state: None,
    }
}

#[derive(Debug, Clone)]
enum Op {
    Invalidate(usize),
    Record(usize, u8),
    Reincarnate(usize),
    Reopen,
}

const NODES: [&str; 3] = ["a", "b", "c"];
const RESETS: [&str; 2] = ["r", "s"];

fn some_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0..NODES.len()).prop_map(Op::Invalidate),
        3 => (0..NODES.len(), 0..4u8).prop_map(|(node, seed)| Op::Record(node, seed)),
        1 => (0..RESETS.len()).prop_map(Op::Reincarnate),
        1 => Just(Op::Reopen),
    ]
}

fn open(folder: &Path) -> State {
    let (state, _, trouble) = State::open(folder).unwrap();
    assert_eq!(trouble, None);
    state
}

/// What must be remembered.
#[derive(Debug, Default)]
struct Model {
    good: BTreeMap<&'static str, Option<Recorded>>,
    incarnations: BTreeMap<&'static str, String>,
    /// Every incarnation there ever was.
    past: BTreeSet<String>,
}

impl Model {
    fn check(&self, state: &State) {
        for node in NODES {
            match (self.good.get(node), state.last(node)) {
                (None, None) | (Some(None), Some(Last::Dirty { .. })) => {}
                (Some(Some(wanted)), Some(Last::Good(found))) => assert_eq!(wanted, found),
                other => panic!("{node}: {other:?}"),
            }
            assert_eq!(state.trusts_shared(node), !matches!(self.good.get(node), Some(None)));
        }
        for reset in RESETS {
            assert_eq!(self.incarnations.get(reset), Some(&state.incarnation(reset)));
        }
    }

    /// The memory is damaged: it may know less, and never anything that was true only before.
    fn check_damaged(&self, state: &State) {
        for node in NODES {
            match state.last(node) {
                None | Some(Last::Dirty { .. }) => assert!(!state.trusts_shared(node), "{node} is trusted"),
                Some(Last::Good(found)) => assert_eq!(self.good.get(node), Some(&Some(found.clone()))),
            }
        }
        for reset in RESETS {
            let found = state.incarnation(reset);
            assert!(self.incarnations.get(reset) == Some(&found) || !self.past.contains(&found), "{found} again");
        }
    }

    fn see(&mut self, reset: &'static str, state: &State) {
        let now = state.incarnation(reset);
        self.past.insert(now.clone());
        self.incarnations.insert(reset, now);
    }
}

/// Carries out `ops`, alternating between two processes, each of which looks before it acts.
fn carry_out(folder: &Path, ops: &[(bool, Op)]) -> Model {
    let mut states = [open(folder), open(folder)];
    let mut model = Model::default();
    for reset in RESETS {
        model.see(reset, &states[0]);
    }
    for (second, op) in ops {
        let state = &mut states[usize::from(*second)];
        state.refresh().unwrap();
        model.check(state);
        match op {
            Op::Invalidate(node) => {
                state.invalidate(NODES[*node], false).unwrap();
                model.good.insert(NODES[*node], None);
            }
            Op::Record(node, seed) => {
                state.record(NODES[*node], recorded(*seed)).unwrap();
                model.good.insert(NODES[*node], Some(recorded(*seed)));
            }
            Op::Reincarnate(reset) => {
                let before = state.incarnation(RESETS[*reset]);
                state.reincarnate(RESETS[*reset]).unwrap();
                assert_ne!(before, state.incarnation(RESETS[*reset]));
                model.see(RESETS[*reset], state);
            }
            Op::Reopen => *state = open(folder),
        }
        model.check(state);
    }
    model
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_known_is_the_latest_or_nothing(
        ops in prop::collection::vec((any::<bool>(), some_op()), 0..20),
        flip in 0..8u8,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let model = carry_out(folder.path(), &ops);
        model.check(&open(folder.path()));
        let journal = folder.path().join("journal");
        let whole = std::fs::read(&journal).unwrap();
        for at in (0..whole.len()).step_by(1 + whole.len() / 16) {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << flip;
            for data in [&whole[..at], &flipped] {
                std::fs::write(&journal, data).unwrap();
                // Opened twice: the second one finds what the first one mended.
                let (first, _, trouble) = State::open(folder.path()).unwrap();
                prop_assert_eq!(trouble, Some(Trouble::Damaged));
                model.check_damaged(&first);
                let second = open(folder.path());
                model.check_damaged(&second);
                for reset in RESETS {
                    prop_assert_eq!(first.incarnation(reset), second.incarnation(reset));
                }
                let (looking, _, _) = State::read(folder.path()).unwrap();
                model.check_damaged(&looking);
            }
        }
    }
}

/// Where an invalidation can't be written, everything is forgotten: in this process, in the next
/// one, and in one that is running beside it.
#[test]
fn what_is_forgotten_stays_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let mut here = open(folder.path());
    let mut beside = open(folder.path());
    let born = here.incarnation("r");
    here.record("a", recorded(1)).unwrap();
    here.reincarnate("r").unwrap();
    let reborn = here.incarnation("r");
    beside.refresh().unwrap();
    here.forget().unwrap();
    let mut seen = vec![born, reborn];
    let mut lost = |state: &State, who: &str| {
        assert_eq!(state.last("a"), None, "{who}");
        assert!(!state.trusts_shared("a"), "{who}");
        assert!(!seen.contains(&state.incarnation("r")), "{who} is back in an old incarnation");
        if who == "here" {
            seen.push(state.incarnation("r"));
        }
    };
    lost(&here, "here");
    beside.refresh().unwrap();
    lost(&beside, "beside");
    beside.record("b", recorded(2)).unwrap();
    lost(&beside, "beside");
    let (after, _, _) = State::open(folder.path()).unwrap();
    lost(&after, "after");
    assert_eq!(after.last("b"), Some(&Last::Good(recorded(2))));
    here.refresh().unwrap();
    assert_eq!(here.last("b"), Some(&Last::Good(recorded(2))));
}

#[test]
fn what_is_written_after_forgetting_does_not_hide_the_loss() {
    let folder = tempfile::tempdir().unwrap();
    let mut here = open(folder.path());
    here.record("a", recorded(1)).unwrap();
    here.forget().unwrap();
    here.record("b", recorded(2)).unwrap();
    let (after, _, _) = State::open(folder.path()).unwrap();
    assert_eq!(after.last("a"), None);
    assert!(!after.trusts_shared("a"), "it may have been invalidated");
    assert!(after.trusts_shared("b"));
}

/// Another process forgets, and writes more than this one had ever read.
#[test]
fn a_log_that_was_begun_anew_is_not_taken_for_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut here = open(folder.path());
    let mut beside = open(folder.path());
    here.record("a", recorded(1)).unwrap();
    beside.refresh().unwrap();
    here.forget().unwrap();
    for seed in 0..9 {
        here.record("b", recorded(seed)).unwrap();
    }
    beside.refresh().unwrap();
    assert_eq!(beside.last("a"), None);
    assert_eq!(beside.last("b"), Some(&Last::Good(recorded(8))));
    assert_eq!(open(folder.path()).last("b"), Some(&Last::Good(recorded(8))));
}

/// Two processes find the same damage; the second one keeps what the first one wrote since.
#[test]
fn damage_is_mended_once() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).record("a", recorded(1)).unwrap();
    let journal = folder.path().join("journal");
    let mut data = std::fs::read(&journal).unwrap();
    *data.last_mut().unwrap() ^= 1;
    std::fs::write(&journal, &data).unwrap();
    let late = crate::journal::Log::open(&journal, 1).unwrap();
    let (mut first, _, trouble) = State::open(folder.path()).unwrap();
    assert_eq!(trouble, Some(Trouble::Damaged));
    first.reincarnate("r").unwrap();
    first.record("b", recorded(2)).unwrap();
    let (second, _, _) = State::load(late).unwrap();
    for state in [&second, &open(folder.path())] {
        assert_eq!(state.last("b"), Some(&Last::Good(recorded(2))));
        assert_eq!(state.incarnation("r"), first.incarnation("r"));
        assert!(!state.trusts_shared("a"));
    }
}

/// What the log holds survives its being written anew.
#[test]
fn writing_the_log_anew_keeps_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut here = open(folder.path());
    let mut beside = open(folder.path());
    beside.record("a", recorded(1)).unwrap();
    beside.invalidate("b", false).unwrap();
    beside.reincarnate("r").unwrap();
    here.compact(&Memo::default()).unwrap();
    beside.record("c", recorded(3)).unwrap();
    here.refresh().unwrap();
    for state in [&here, &beside, &open(folder.path())] {
        assert_eq!(state.last("a"), Some(&Last::Good(recorded(1))));
        assert!(matches!(state.last("b"), Some(Last::Dirty { .. })));
        assert_eq!(state.last("c"), Some(&Last::Good(recorded(3))));
        assert_eq!(state.incarnation("r"), beside.incarnation("r"));
    }
}
