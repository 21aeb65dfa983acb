//! `weir run` where little has changed under the last seal: only the tasks are read and planned that this concerns, and those they
//! come after. Whatever does not fit is left to the long way, before anything was done.

use super::args::RunArgs;
use super::error::CliError;
use super::frozen::Reading;
use super::project::{Place, Project};
use super::rule;
use super::run::{Going, LookedAt, ended, look_at_all, obstacles, reach_out, refuse};
use super::seal::{Broken, Rest, Sealing};
use crate::engine::{Part, Prepared, Services};
use crate::fingerprint::InputError;
use crate::graph::Plan;
use crate::model::Digest;
use crate::node::Seen;
use std::sync::Arc;

/// How far it came.
pub enum Attempt {
    /// The run was made.
    Done(Result<u8, CliError>),
    /// It is for the long way, which goes on from here.
    NotDone(Box<(Option<Sealing>, Option<LookedAt>)>),
}

/// A plan of what has to be judged again.
struct Planned {
    project: Project,
    plan: Plan,
    part: Part,
    /// What the verdict on the whole rests on.
    rest: Rest,
    /// The configuration's trail.
    configured: Vec<u8>,
    /// The structural-change rule is in the whole.
    rule: bool,
}

/// Runs what little has to be judged again, where that can be told.
pub fn attempt(place: &Place, args: &RunArgs, reading: &Reading, mut sealing: Sealing) -> Attempt {
    let (root, base) = (reading.root(), reading.partly().map(|partly| partly.config.structural.base));
    let ((opened, broken), taken_out) = std::thread::scope(|scope| {
        // git takes its time to start.
        let asking = scope.spawn(|| rule::was_taken_out(root, base.as_deref()?, &args.tasks));
        (look_at_all(place, root, &sealing), asking.join())
    });
    // A thread that broke off has told nothing.
    let Ok(taken_out) = taken_out else { return not_done(Some(sealing), Some((opened, broken))) };
    let planned = match (&opened, &broken) {
        (Some((services, warnings)), Some(broken)) if warnings.is_empty() && asks_no_more(args) => {
            plan(place, reading, &sealing, services, broken)
        }
        _ => None,
    };
    let (planned, mut services, broken) = match (planned, opened, broken) {
        (Some(planned), Some((services, _)), Some(broken)) => (planned, services, broken),
        (_, opened, broken) => return not_done(Some(sealing), Some((opened, broken))),
    };
    let Planned { project, plan, part, rest, configured, rule } = planned;
    let config = &project.config;
    tracing::debug!(nodes = plan.nodes.len(), "a part of the verdict still stands, and a part of the plan is enough");
    if let Some(entry) = taken_out.filter(|_| !rule)
        && let Some(code) = rule::asked_all_the_same(&config.root, &entry)
    {
        return Attempt::Done(Ok(code));
    }
    if let Err(error) = reach_out(place, args, config, &mut services) {
        return Attempt::Done(Err(error));
    }
    services.surveyor.lay(Arc::clone(&sealing.trail));
    let prepared = Prepared::of_part(plan, &services, part);
    let wrong =
        |index| matches!(prepared.unreadable(index), Some(InputError::NoMatch { .. } | InputError::Loop { .. }));
    if (0..prepared.plan().nodes.len()).any(wrong) {
        // A mistake in the file, to be shown where it stands.
        return not_done(None, None);
    }
    let services = Arc::new(services);
    let seen_from = project.folder();
    let going = Going { place, args, config, seen_from: &seen_from, resumed: None, notices: vec![] };
    let finish = match going.go(prepared, &services, vec![]) {
        Ok(finish) => finish,
        Err(error) => return Attempt::Done(Err(error)),
    };
    if let Some(verdict) = &finish.standing {
        sealing.mend(broken);
        sealing.close(place, &services, &configured, rest, verdict);
    }
    Attempt::Done(ended(finish))
}

fn not_done(sealing: Option<Sealing>, looked: Option<LookedAt>) -> Attempt {
    Attempt::NotDone(Box::new((sealing, looked)))
}

/// Whether a call asks for nothing that takes the whole plan.
const fn asks_no_more(args: &RunArgs) -> bool {
    args.destroy.is_empty()
        && args.confirm.is_empty()
        && args.iteration.is_none()
        && !args.remote_exec
        && !args.isolated
}

fn plan(place: &Place, reading: &Reading, sealing: &Sealing, services: &Services, broken: &Broken) -> Option<Planned> {
    let root = reading.root();
    // Where nothing can be recorded, the long way says why.
    services.place.as_ref().and(services.store.as_ref())?;
    let partly = reading.partly()?;
    let seal = broken.seal()?;
    let data = sealing.read_outline(root)?;
    let outlined = sealing.outline(&data)?;
    if seal.trails.first() != Some(&partly.trail) || outlined.configured != Digest::of(partly.trail) {
        return None;
    }
    let project = reading.project(partly.config.clone());
    let (plan, part) = {
        let make = project.by_task();
        let mut by_task = |index, name: &str| {
            let task = partly.task(index).filter(|task| task.name.as_str() == name)?;
            make(&task)
        };
        outlined.outline.part(seal.verdict, &broken.paths(), &services.lock_state(), &mut by_task)?
    };
    let stands = obstacles(&plan, root, place, &mut Seen::default()).is_empty() && refuse(&plan, root, place).is_ok();
    stands.then(|| Planned {
        plan,
        part,
        rest: Rest::of(&seal),
        configured: partly.trail.to_vec(),
        rule: outlined.rule,
        project,
    })
}
