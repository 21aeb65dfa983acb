//! `weir run` where nothing has changed since a run that found nothing to do: its verdict is given
//! again, if the seal on it is unbroken. Where little has changed, what still stands of it is taken over. Everything else is left to
//! the long way.

use super::args::RunArgs;
use super::project::{Place, Project};
use super::rule;
use super::run::{run_jobs, sinks};
use crate::cache::{
    Place as WeirFolder, Question, Seal, Store, digest_of_outside, parse_sealed, read_sealed, write_sealed,
};
use crate::command::still_there;
use crate::engine::{self, Outline, Services, Settled, Standing};
use crate::fingerprint::{Change, Stat, Trail, keep, now, unchanged, what_changed};
use crate::graph::{Plan, PlanNode};
use crate::journal::{Lock, LockKind};
use crate::model::{Digest, Hasher, WsPath};
use crate::node::{Seen, Surroundings};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Where more than this has changed, nothing is taken over.
const FEW: usize = 100;

/// The question that a call asks; none where it asks for more than a verdict, or where nobody can
/// tell which weir this is.
fn question(place: &Place, args: &RunArgs) -> Option<Digest> {
    // A nested run is judged, and refused, the long way.
    let asks_more = args.dry_run || args.force || args.force_all || args.resume.is_some();
    let plain = !(asks_more || place.outside.vars.contains_key("WEIR_WORKSPACE"));
    let shared = place.shared_cache();
    plain.then_some(())?;
    asked(&Question {
        kind: "run",
        folder: &place.folder,
        targets: &args.tasks,
        arguments: &args.arguments,
        profiles: &place.profiles(&args.profile),
        shared: shared.as_deref(),
    })
}

/// The digest of a question to this weir; none where nobody can tell which weir this is.
pub fn asked(question: &Question<'_>) -> Option<Digest> {
    let program = Stat::of(&std::env::current_exe().and_then(std::fs::metadata).ok()?);
    program.settled(now()).then(|| question.digest(&program))
}

/// Gives the verdict again that an unbroken seal is on; none where there is no such seal.
pub fn answer(place: &Place, args: &RunArgs) -> Option<u8> {
    let started = Instant::now();
    let question = question(place, args)?;
    place.folder.ancestors().find_map(|root| {
        let weir = WeirFolder::at(root);
        let data = read_sealed(&weir.seals(), &question)?;
        let seal = parse_sealed::<Seal<'_>>(&data, &question).filter(|seal| seal.root == root)?;
        give(place, args, &weir, &seal, started)
    })
}

fn give(place: &Place, args: &RunArgs, weir: &WeirFolder, seal: &Seal<'_>, started: Instant) -> Option<u8> {
    let holds = digest_of_outside(&place.outside, &seal.names) == seal.outside
        && seal.mark.holds(&weir.state())
        && still_there(&seal.surroundings)
        && seal.trails.iter().all(|trail| unchanged(&seal.root, trail))
        // Again: nobody has begun to change anything while it was looked at.
        && seal.mark.looks_the_same(&weir.state())
        // What can't be written to is for the long way to speak of.
        && weir.probe().is_ok();
    if !holds {
        tracing::debug!("a seal is broken");
        return None;
    }
    let standing = Standing::parse(seal.verdict)?;
    let me = Place::holder();
    let folder = weir.new_brief_run(&me).ok()?;
    let _in_use = if standing.has_logs() {
        std::fs::create_dir(folder.path.join("logs")).ok()?;
        Lock::take(&weir.store_lock(), LockKind::Shared, &me, |_| (), || false).ok()
    } else {
        None
    };
    tracing::debug!("a seal is unbroken");
    let store = Store::at(weir.weir(), place.shared_cache().as_deref());
    let options = engine::Options {
        jobs: run_jobs(args.jobs, seal.jobs),
        keep_going: args.keep_going,
        live_output: false,
        profiles: place.profiles(&args.profile),
        targets: args.tasks.clone(),
        warnings: vec![],
        journal: None,
        resumed: None,
    };
    // A gate's verdict is never sealed: it leaves evidence each time.
    let mut sink = sinks(place, args, &folder, None);
    Some(standing.give((&folder, &store), &options, started, &mut *sink).exit_code)
}

/// A seal in the making.
pub struct Sealing {
    question: Digest,
    /// What is looked at on the way.
    pub trail: Arc<Trail>,
    /// The one before, broken here and there.
    broken: Option<Broken>,
}

/// A seal that is broken here and there.
pub struct Broken {
    question: Digest,
    /// As it was read.
    data: Vec<u8>,
    changed: Vec<Change>,
}

impl Broken {
    /// The seal.
    pub fn seal(&self) -> Option<Seal<'_>> {
        parse_sealed(&self.data, &self.question)
    }

    /// Where looks have changed.
    pub fn paths(&self) -> Vec<WsPath> {
        self.changed.iter().map(|change| change.path.clone()).collect()
    }
}

/// How parts of a plan are made, beside the verdict on the whole.
#[derive(Serialize, Deserialize)]
pub struct Outlined<'s> {
    /// Digest of the trail of the configuration that made the plan.
    pub configured: Digest,
    /// The structural-change rule is among its nodes.
    pub rule: bool,
    /// How parts are made.
    #[serde(borrow)]
    pub outline: Outline<'s>,
}

impl Sealing {
    /// Begins one for a call that took its first look at `since`; none where it can't have one.
    pub fn begin(place: &Place, args: &RunArgs, root: &Path, since: i64) -> Option<Self> {
        let question = question(place, args)?;
        Some(Self { question, trail: Arc::new(Trail::new(root, since)), broken: None })
    }

    /// What has changed of what the last seal rests on beside the configuration, where that is little. It takes as long as looking at
    /// everything, and needs neither the configuration nor what is on record.
    pub fn look_over(&self, place: &Place, root: &Path) -> Option<Broken> {
        let data = read_sealed(&WeirFolder::at(root).seals(), &self.question)?;
        let seal = parse_sealed::<Seal<'_>>(&data, &self.question).filter(|seal| seal.root == root)?;
        let [_, trail] = seal.trails[..] else { return None };
        let same = digest_of_outside(&place.outside, &seal.names) == seal.outside && still_there(&seal.surroundings);
        let changed = same.then(|| what_changed(&seal.root, trail, FEW)).flatten()?;
        Some(Broken { question: self.question, data, changed })
    }

    /// The outline that lies beside the verdict, as it was read.
    pub fn read_outline(&self, root: &Path) -> Option<Vec<u8>> {
        read_sealed(&WeirFolder::at(root).seals(), &self.outlined())
    }

    /// What [`Sealing::read_outline`] has read.
    pub fn outline<'d>(&self, data: &'d [u8]) -> Option<Outlined<'d>> {
        parse_sealed(data, &self.outlined())
    }

    /// The question that an outline answers.
    fn outlined(&self) -> Digest {
        let mut hasher = Hasher::new();
        hasher.field(b"outline");
        hasher.update(self.question.as_bytes());
        hasher.finish()
    }

    /// This seal replaces one that is broken here and there: what has not changed is kept.
    pub fn mend(&mut self, broken: Broken) {
        self.broken = Some(broken);
    }

    /// What still stands of the verdict under a seal that is broken here and there. The configuration must have come from under a
    /// seal of its own, whose trail is `configured`.
    pub fn settle(
        &mut self,
        broken: Broken,
        rest: &Rest,
        (services, plan): (&Services, &Plan),
        configured: &[u8],
    ) -> Option<Settled> {
        let seal = broken.seal()?;
        let same = seal.trails.first() == Some(&configured) && rest.names.iter().eq(&seal.names);
        let standing = same.then(|| Standing::parse(seal.verdict)).flatten()?;
        let paths = broken.paths();
        let settled = Settled::of(&standing, plan, &paths, &services.lock_state())?;
        tracing::debug!(changes = paths.len(), "a part of the verdict still stands");
        self.broken = Some(broken);
        Some(settled)
    }

    /// What the nodes of a plan rest on beside what is on the trail; none where that is more than can be
    /// told, or where somebody is to be asked something.
    pub fn rests_on(project: &Project, plan: &Plan, seen: Seen) -> Option<Rest> {
        // Whether the rule that judges a change was taken out of an entry task is asked each time.
        let entries: Vec<&str> = project.config.policy.entry.iter().map(|entry| entry.value.as_str()).collect();
        let is_entry = |node: &PlanNode| entries.contains(&node.name().as_str());
        if plan.nodes.iter().any(is_entry) {
            return None;
        }
        let mut names = BTreeSet::new();
        for node in &plan.nodes {
            let facts = node.node.facts();
            if facts.confirm.is_some() || facts.gate.is_some() {
                return None;
            }
            names.extend(node.node.rests_on()?.into_iter().map(str::to_owned));
        }
        Some(Rest { names, surroundings: seen.surroundings(), jobs: project.config.settings.jobs })
    }

    /// Leaves an outline of a plan on which a verdict is sealed.
    pub fn draw(&self, project: &Project, plan: &Plan, services: &Services, configured: &[u8], verdict: &[u8]) {
        let (Some(weir), Some(standing)) = (&services.place, Standing::parse(verdict)) else { return };
        let outlined = Outlined {
            configured: Digest::of(configured),
            rule: rule::is_in(plan, &project.config),
            outline: Outline::of(plan, &standing, |node| project.is_by_task(node)),
        };
        let written = write_sealed(&weir.seals(), &self.outlined(), &outlined);
        tracing::debug!(?written, "outlined");
    }

    /// Puts the seal on a verdict; `configured` is the trail of the configuration. Without one the next run is slower, and that is all.
    pub fn close(self, place: &Place, services: &Services, configured: &[u8], rest: Rest, verdict: &[u8]) {
        let Some(weir) = services.place.as_ref().filter(|_| services.store.is_some()) else { return };
        let Some(mark) = services.lock_state().mark(now()) else { return };
        if let Some(broken) = &self.broken {
            match broken.seal() {
                Some(Seal { trails, .. }) if trails.len() == 2 => keep(&self.trail, trails[1], &broken.changed),
                _ => self.trail.lose(),
            }
        }
        let Some(trail) = self.trail.finish() else { return };
        let names: Vec<&str> = rest.names.iter().map(String::as_str).collect();
        let seal = Seal {
            root: services.root.clone(),
            outside: digest_of_outside(&place.outside, &names),
            names,
            surroundings: rest.surroundings,
            jobs: rest.jobs,
            mark,
            trails: vec![configured, &trail],
            verdict,
        };
        let written = write_sealed(&weir.seals(), &self.question, &seal);
        tracing::debug!(?written, "sealed");
    }
}

/// What a verdict rests on that is not on the trail.
pub struct Rest {
    names: BTreeSet<String>,
    surroundings: Surroundings,
    jobs: Option<u32>,
}

impl Rest {
    /// What another verdict on the same plan rested on.
    pub fn of(seal: &Seal<'_>) -> Self {
        let names = seal.names.iter().map(|name| (*name).to_owned()).collect();
        Self { names, surroundings: seal.surroundings.clone(), jobs: seal.jobs }
    }
}
