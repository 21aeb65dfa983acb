//! Lenders, over random graphs, endings, losses and cancellation points.

use super::*;

/// What each node depends on, whether it lends, stays, and fails; in which order things end; when the run is cut short.
type Case = (Vec<(Vec<usize>, bool, bool, bool)>, Vec<u8>, Option<usize>, bool);

fn case() -> impl Strategy<Value = Case> {
    use prop::bool::weighted;
    let node = |index: usize| {
        (prop::collection::btree_set(0..index.max(1), 0..=3), weighted(0.4), weighted(0.2), weighted(0.1)).prop_map(
            move |(before, lends, held, fails)| {
                (if index == 0 { vec![] } else { before.into_iter().collect() }, lends, lends && held, fails)
            },
        )
    };
    let nodes = (1..10usize).prop_flat_map(move |count| (0..count).map(node).collect::<Vec<_>>());
    (nodes, prop::collection::vec(any::<u8>(), 0..40), prop::option::of(0..30usize), any::<bool>())
}

fn plans(nodes: &[(Vec<usize>, bool, bool, bool)]) -> Vec<NodePlan> {
    nodes
        .iter()
        .map(|(before, lends, held, _)| NodePlan {
            hard: before.iter().copied().map(id).collect(),
            borrows: before.iter().copied().filter(|before| nodes[*before].1).map(id).collect(),
            lends: *lends,
            held: *held,
            attempts: 1,
            ..NodePlan::default()
        })
        .collect()
}

/// Runs a case; `Err` says what must not be.
fn run((nodes, order, cut, keep_going): &Case) -> Result<(), TestCaseError> {
    let plans = plans(nodes);
    let mut scheduler = Scheduler::new(plans.clone(), Rules { jobs: 1, keep_going: *keep_going });
    let mut inputs = vec![Input::Start];
    let (mut open, mut released, mut complete, mut steps) = (BTreeSet::new(), BTreeSet::new(), false, 0);
    let held = nodes.iter().any(|node| node.2);
    loop {
        if cut.is_some_and(|cut| cut == steps) {
            inputs.push(Input::Interrupt);
        }
        if inputs.is_empty() {
            if complete {
                break;
            }
            // All that is left is what stays.
            prop_assert!(held && *cut != Some(usize::MAX), "stuck at {:?}", scheduler.stuck());
            inputs.push(Input::Interrupt);
        }
        let pick = order.get(steps).map_or(0, |pick| usize::from(*pick)) % inputs.len();
        steps += 1;
        for effect in scheduler.step(inputs.remove(pick)) {
            prop_assert!(!complete, "{effect:?} after the end");
            match effect {
                Effect::Check(node) => {
                    inputs.push(Input::Checked(node, if nodes[node.index()].1 { Verdict::Lend } else { Verdict::Run }));
                }
                Effect::Hold(node) => {
                    prop_assert!(nodes[node.index()].2 && *scheduler.state(node) == NodeState::Lending);
                    if nodes[node.index()].3 {
                        inputs.push(Input::Lost(node, reason()));
                    }
                }
                Effect::Run { node, .. } => {
                    prop_assert!(!nodes[node.index()].1, "a lender is run");
                    for lender in &plans[node.index()].borrows {
                        prop_assert_eq!(scheduler.state(*lender), &NodeState::Lending, "{:?} borrows", node);
                        open.insert(*lender);
                        if nodes[lender.index()].3 {
                            inputs.push(Input::Lost(*lender, reason()));
                        }
                    }
                    let failed = Ending::Failed { reason: reason(), warn: false, retry: false };
                    inputs.push(Input::Ended(node, if nodes[node.index()].3 { failed } else { Ending::Ran }));
                }
                Effect::Release(node) => {
                    prop_assert!(released.insert(node), "{node:?} is released twice");
                    for (index, plan) in plans.iter().enumerate() {
                        let borrows = plan.borrows.contains(&node) && !scheduler.state(id(index)).is_final();
                        prop_assert!(!borrows, "{index} still borrows {node:?}");
                    }
                    let ending = if open.contains(&node) { Ending::Ran } else { Ending::Found(Done::Fresh) };
                    inputs.push(Input::Ended(node, ending));
                }
                Effect::Finished(node) => {
                    prop_assert!(scheduler.state(node).is_final());
                    let lent = matches!(scheduler.state(node), NodeState::Done(_)) && nodes[node.index()].1;
                    prop_assert!(!lent || released.contains(&node), "{node:?} ended and was not released");
                }
                Effect::Complete => complete = true,
            }
        }
    }
    prop_assert!(scheduler.stuck().is_empty());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_lender_is_open_as_long_as_it_is_borrowed_and_no_longer(case in case()) {
        run(&case)?;
    }
}

/// A service, and a task that borrows it.
fn service_and_task() -> Scheduler {
    let service = NodePlan { lends: true, attempts: 1, ..NodePlan::default() };
    let task = NodePlan { borrows: vec![id(0)], ..plain(&[0]) };
    let cleanup = NodePlan { triggers: vec![(id(0), When::Always)], ..plain(&[]) };
    Scheduler::new(vec![service, task, cleanup], Rules { jobs: 1, keep_going: false })
}

#[test]
fn a_cleanup_waits_until_it_is_closed_and_is_not_due_if_it_was_never_opened() {
    for (verdict, ending, state) in [
        (Verdict::Run, Ending::Ran, NodeState::Checking),
        (Verdict::Fresh, Ending::Found(Done::Fresh), NodeState::Skipped(Skip::NotNeeded)),
    ] {
        let mut scheduler = service_and_task();
        scheduler.step(Input::Start);
        assert_eq!(scheduler.step(Input::Checked(id(0), Verdict::Lend)), [Effect::Check(id(1))]);
        let ran = verdict == Verdict::Run;
        let mut effects = scheduler.step(Input::Checked(id(1), verdict));
        if ran {
            effects = scheduler.step(Input::Ended(id(1), Ending::Ran));
        }
        assert_eq!(effects.last(), Some(&Effect::Release(id(0))));
        assert_eq!(*scheduler.state(id(2)), NodeState::Waiting { pending: 1 });
        scheduler.step(Input::Ended(id(0), ending));
        assert_eq!(*scheduler.state(id(2)), state);
    }
}

#[test]
fn one_that_is_lost_fails_first_and_blocks_who_has_not_begun() {
    let service = NodePlan { lends: true, attempts: 1, ..NodePlan::default() };
    let task = || NodePlan { borrows: vec![id(0)], ..plain(&[0]) };
    let mut scheduler = Scheduler::new(vec![service, task(), task()], Rules { jobs: 1, keep_going: true });
    scheduler.step(Input::Start);
    scheduler.step(Input::Checked(id(0), Verdict::Lend));
    scheduler.step(Input::Checked(id(1), Verdict::Run));
    scheduler.step(Input::Checked(id(2), Verdict::Run));
    scheduler.step(Input::Lost(id(0), reason()));
    assert_eq!(*scheduler.state(id(2)), NodeState::Skipped(Skip::Blocked(id(0))));
    // Told again by another borrower, and closed: nothing more.
    assert!(scheduler.step(Input::Lost(id(0), reason())).is_empty());
    let effects = scheduler.step(Input::Ended(id(1), failed(false)));
    assert_eq!(effects, [Effect::Finished(id(1)), Effect::Complete]);
    assert_eq!(scheduler.first_failure(), Some(id(0)));
}
