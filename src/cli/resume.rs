//! `weir run --resume`: which run is resumed, what it was asked for, and what of it counts.

use super::args::RunArgs;
use super::error::CliError;
use super::project::{Place, Project};
use super::runs::{Summary, summary};
use crate::cache::{Beginning, LeftByRun, NoPast, Place as WeirFolder, Request, RunJournal, read_past};
use crate::config::Config;
use crate::engine::{Resumed, Services};
use crate::graph::{Graph, Plan, Selection};
use crate::journal::{Lock, LockKind};
use crate::model::{Notice, WsPath};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// Ids that are offered where one is unknown.
const OFFERED: usize = 3;

/// A run to be resumed.
pub struct Resume {
    run: String,
    left: LeftByRun,
    /// What was asked for on this command line, beside that.
    own: RunArgs,
    /// Nobody else resumes it meanwhile.
    _lock: Option<Lock>,
}

/// Finds the run that `--resume` asks for; none without it.
///
/// # Errors
/// There is none, or it can't be resumed.
pub fn find(place: &Place, args: &RunArgs) -> Result<Option<Resume>, CliError> {
    let Some(asked) = &args.resume else { return Ok(None) };
    let root = place.find()?.root;
    let history = History::read(&root)?;
    let run = match asked.as_str() {
        "" => history.last()?,
        begin => history.named(begin)?,
    };
    let left = history.left(&run)?;
    if left.beginning.root != root {
        let message = format!(
            "run `{run}` is of the workspace `{}`, and this is `{}`",
            left.beginning.root.display(),
            root.display()
        );
        return Err(CliError::usage(
            message,
            "what it did there says nothing of this one; run the tasks here without `--resume`",
        ));
    }
    let lock = if args.dry_run { None } else { Some(history.lock(&run)?) };
    Ok(Some(Resume { run, left, own: args.clone(), _lock: lock }))
}

/// The recorded runs, as far as they matter here; newest first.
struct History {
    folder: WeirFolder,
    runs: Vec<Summary>,
}

impl History {
    fn read(root: &Path) -> Result<Self, CliError> {
        let folder = WeirFolder::existing(root)
            .ok_or_else(|| CliError::usage("no run is recorded in this workspace", "run a task: `weir run TASK`"))?;
        let of = |id: String| summary(&folder.runs().join(&id).join("events.jsonl"), id);
        let runs = folder.run_ids().into_iter().map(of).collect();
        Ok(Self { folder, runs })
    }

    /// The last run that did not end well and that no later one went on with.
    fn last(&self) -> Result<String, CliError> {
        let mut gone_on: BTreeSet<&str> = BTreeSet::new();
        for run in &self.runs {
            // A green run, and one that was killed before it said anything.
            let open = run.started.is_some() && run.exit_code != Some(0) && !gone_on.contains(run.run.as_str());
            gone_on.extend(run.resumes.as_deref());
            if !open {
                continue;
            }
            self.must_have_ended(&run.run)?;
            match (read_past(&self.path(&run.run)), &run.resumes) {
                // It was killed before it had taken anything over.
                (Err(NoPast::NotBegun), Some(before)) if self.runs.iter().any(|run| run.run == *before) => {
                    self.must_have_ended(before)?;
                    return Ok(before.clone());
                }
                _ => return Ok(run.run.clone()),
            }
        }
        Err(CliError::usage(
            "there is no run to resume: every recorded one ended well, or was resumed",
            "run a task: `weir run TASK`",
        ))
    }

    fn named(&self, begin: &str) -> Result<String, CliError> {
        let mut matching = self.runs.iter().filter(|run| run.run.starts_with(begin));
        let found = match (matching.next(), matching.next()) {
            (Some(one), None) => one,
            (Some(_), Some(_)) => {
                let all: Vec<&str> =
                    self.runs.iter().filter(|run| run.run.starts_with(begin)).map(|run| run.run.as_str()).collect();
                return Err(CliError::usage(
                    format!("several runs begin with `{begin}`"),
                    format!("name one: `{}`", all.join("`, `")),
                ));
            }
            (None, _) => return Err(self.unknown(begin)),
        };
        let id = &found.run;
        if found.exit_code == Some(0) {
            let help = match found.targets.is_empty() {
                true => "run its tasks again without `--resume`".to_owned(),
                false => format!("`weir run {}` runs its tasks again", found.targets.join(" ")),
            };
            return Err(CliError::usage(format!("run `{id}` ended well: there is nothing to resume"), help));
        }
        self.must_have_ended(id)?;
        // One that was killed before it had taken anything over leaves the run as it was.
        let later = self.runs.iter().find(|run| {
            run.resumes.as_ref() == Some(id) && !matches!(read_past(&self.path(&run.run)), Err(NoPast::NotBegun))
        });
        if let Some(later) = later {
            let message = format!("run `{id}` was resumed by run `{}`", later.run);
            self.must_have_ended(&later.run)?;
            return Err(match later.exit_code {
                Some(0) => CliError::usage(
                    format!("{message}, which ended well: there is nothing to resume"),
                    "run its tasks again without `--resume`",
                ),
                _ => CliError::usage(
                    format!("{message}, which knows more"),
                    format!("`weir run --resume {}`", later.run),
                ),
            });
        }
        Ok(id.clone())
    }

    fn unknown(&self, begin: &str) -> CliError {
        let gone_on: BTreeSet<&str> = self.runs.iter().filter_map(|run| run.resumes.as_deref()).collect();
        let is_open =
            |run: &&Summary| run.started.is_some() && run.exit_code != Some(0) && !gone_on.contains(run.run.as_str());
        let mut open: Vec<&Summary> = self.runs.iter().filter(is_open).collect();
        // The most alike first: a mistyped id has its beginning in common with the right one.
        let common = |run: &Summary| run.run.bytes().zip(begin.bytes()).take_while(|(a, b)| a == b).count();
        open.sort_by_key(|run| std::cmp::Reverse(common(run)));
        let ids: Vec<&str> = open.iter().take(OFFERED).map(|run| run.run.as_str()).collect();
        let is_id = begin.starts_with(|c: char| c.is_ascii_digit());
        let help = match (&ids[..], is_id) {
            (_, false) => {
                format!("the id of a run follows `--resume`; a task stands before it: `weir run {begin} --resume`")
            }
            ([], _) => "every recorded run ended well; `weir runs ls` lists them".to_owned(),
            (ids, _) => format!("those that did not end well: `{}`; `weir runs ls` lists all", ids.join("`, `")),
        };
        CliError::usage(format!("no run `{begin}` is recorded (of old runs only the newest are kept)"), help)
    }

    fn path(&self, run: &str) -> std::path::PathBuf {
        self.folder.runs().join(run)
    }

    fn must_have_ended(&self, run: &str) -> Result<(), CliError> {
        match self.folder.alive(run, &Place::holder()) {
            None => Ok(()),
            Some(holder) => Err(CliError::Refused {
                message: format!("run `{run}` is still going on: {holder}"),
                help: "wait until it has ended, or end it with Ctrl-C".into(),
            }),
        }
    }

    fn lock(&self, run: &str) -> Result<Lock, CliError> {
        let path = self.folder.resuming_lock(run);
        match Lock::try_take(&path, LockKind::Exclusive, &Place::holder()) {
            Ok(Ok(lock)) => Ok(lock),
            Ok(Err(holder)) => Err(CliError::Refused {
                message: format!("run `{run}` is being resumed already: {holder}"),
                help: "wait until that has ended".into(),
            }),
            Err(error) => Err(CliError::outside(format!("failed to lock run `{run}`: {error}"))),
        }
    }

    fn left(&self, run: &str) -> Result<LeftByRun, CliError> {
        let targets = self.runs.iter().find(|known| known.run == *run).map(|known| known.targets.join(" "));
        let anew = match targets.filter(|targets| !targets.is_empty()) {
            Some(targets) => format!("start anew: `weir run {targets}`"),
            None => "start anew, without `--resume`".to_owned(),
        };
        read_past(&self.path(run)).map_err(|why| match why {
            NoPast::NotBegun => CliError::usage(
                format!("run `{run}` was cut short before it had run anything: there is nothing to resume"),
                anew,
            ),
            NoPast::Newer(format) => CliError::usage(
                format!("the journal of run `{run}` was written by a newer version of weir (format {format})"),
                format!("resume it with that version, or {anew}"),
            ),
            NoPast::Damaged => CliError::usage(
                format!("the journal of run `{run}` is damaged from its beginning: nobody knows what it did"),
                anew,
            ),
            NoPast::Unreadable(error) => {
                CliError::outside(format!("failed to read the journal of run `{run}`: {error}"))
            }
        })
    }
}

impl Resume {
    /// The call as it is meant: what is not given is as it was.
    pub fn arguments(&self) -> RunArgs {
        let Request { targets, arguments, profiles, force, force_all, keep_going, jobs, confirm, destroy, .. } =
            self.left.beginning.request.clone();
        let mut args = self.own.clone();
        if !self.forces_anew() {
            (args.force, args.force_all) = (force, force_all);
        }
        if args.tasks.is_empty() {
            args.tasks = targets;
        }
        if args.arguments.is_empty() {
            args.arguments = arguments;
        }
        if args.profile.is_empty() {
            args.profile = profiles;
        }
        args.keep_going |= keep_going;
        args.jobs = args.jobs.or(jobs);
        args.confirm.extend(confirm);
        args.destroy.extend(destroy);
        args
    }

    const fn forces_anew(&self) -> bool {
        self.own.force || self.own.force_all
    }

    /// The folder that names are seen from: that of the run, where it was asked for nothing else.
    pub fn folder(&self, here: WsPath) -> WsPath {
        if self.own.tasks.is_empty() { WsPath::from_clean(&self.left.beginning.request.folder) } else { here }
    }

    /// What is asked for must be what the run was asked for.
    ///
    /// # Errors
    /// It is something else.
    pub fn same_targets(&self, project: &Project, graph: &Graph<'_>, plan: &Plan) -> Result<(), CliError> {
        let request = &self.left.beginning.request;
        let refuse = |what: &str, was: String| {
            let help = format!(
                "leave out what is to be as it was (`weir run --resume {}`), or run something else without `--resume`",
                self.run
            );
            Err(CliError::usage(format!("run `{}` was asked for {was}, and not for {what}", self.run), help))
        };
        if !self.own.arguments.is_empty() && self.own.arguments != request.arguments {
            let was = match request.arguments.is_empty() {
                true => "no arguments".to_owned(),
                false => format!("`-- {}`", request.arguments.join(" ")),
            };
            return refuse(&format!("`-- {}`", self.own.arguments.join(" ")), was);
        }
        if self.own.tasks.is_empty() {
            return Ok(());
        }
        let selection = Selection {
            targets: super::run::targets(&request.targets),
            arguments: request.arguments.clone(),
            folder: WsPath::from_clean(&request.folder),
            ..Selection::default()
        };
        let before = project.plan(graph, &selection, &[])?;
        let named = |plan: &Plan| -> BTreeSet<String> {
            plan.nodes.iter().filter(|node| node.target).map(|node| node.name().as_str().to_owned()).collect()
        };
        if named(&before) == named(plan) {
            return Ok(());
        }
        refuse(&format!("`{}`", self.own.tasks.join("` `")), format!("`{}`", request.targets.join("` `")))
    }

    /// What counts of it for this plan, and what is to be said about that.
    ///
    /// # Errors
    /// The workspace can't be read.
    pub fn resumed(&self, place: &Place, project: &Project, plan: &Plan) -> Result<(Resumed, Vec<Notice>), CliError> {
        let chain = std::iter::once(&self.run).chain(&self.left.beginning.chain).cloned().collect();
        let mut resumed = Resumed { chain, past: self.left.past.clone(), forced_before: !self.forces_anew() };
        let mut notices = Vec::new();
        let mut say = |message: String| notices.push(Notice { code: "resume".into(), message, help: None });
        if self.left.damaged {
            say(format!("the journal of run {} is damaged; what is whole counts, the rest runs again", self.run));
        }
        for past in resumed.left_out(plan) {
            say(format!("`{}` succeeded in run {}, and is no part of this one any more", past.task, past.run));
        }
        resumed.forget_forced(plan);
        // Other services than those of the run: what is looked at here is over before that begins.
        let (root, outside) = (&project.config.root, Arc::clone(&place.outside));
        let (services, _) = Services::look(root, outside, place.shared_cache().as_deref(), Place::holder())
            .map_err(|error| CliError::outside(error.to_string()))?;
        resumed.forget_undone(plan, &services);
        Ok((resumed, notices))
    }
}

/// What a run leaves for one that resumes it.
pub fn journal(
    folder: &Path,
    config: &Config,
    args: &RunArgs,
    seen_from: &WsPath,
    resumed: Option<&Resumed>,
) -> RunJournal {
    let request = Request {
        targets: args.tasks.clone(),
        arguments: args.arguments.clone(),
        folder: seen_from.as_str().to_owned(),
        profiles: config.profiles.clone(),
        force: args.force,
        force_all: args.force_all,
        keep_going: args.keep_going,
        jobs: args.jobs,
        confirm: args.confirm.clone(),
        destroy: args.destroy.clone(),
    };
    let beginning = Beginning {
        root: config.root.clone(),
        request,
        chain: resumed.map(|resumed| resumed.chain.clone()).unwrap_or_default(),
        past: resumed.map(|resumed| resumed.past.values().cloned().collect()).unwrap_or_default(),
    };
    RunJournal::new(folder.to_path_buf(), beginning)
}
