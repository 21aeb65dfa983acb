//! `weir run`.

use super::again::again;
use super::args::{OutputMode, RunArgs};
use super::elsewhere;
use super::error::{CliError, FAILED};
use super::evidence;
use super::frozen::{Configured, Reading};
use super::part::{self, Attempt};
use super::print;
use super::project::{Place, Project};
use super::remote;
use super::resume::{self, Resume};
use super::rule;
use super::seal::{self, Broken, Sealing};
use crate::cache::RunFolder;
use crate::config::{Config, Diagnostic, Severity};
use crate::engine::{self, Finish, Options, Prepared, Resumed, Services, inspect};
use crate::event::{Event, Record, RunFinished, Sink, Totals, VERSION, Verdict};
use crate::fingerprint::{InputError, now};
use crate::graph::{Graph, Plan, PlanNode, Selection, Target};
use crate::model::{Notice, Reason, TaskName, WsPath};
use crate::node::Seen;
use crate::ui;
use std::collections::BTreeSet;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// `weir run`.
///
/// # Errors
/// Nothing was run.
pub fn run(place: &Place, args: &RunArgs) -> Result<u8, CliError> {
    check_report(args)?;
    let resume = resume::find(place, args)?;
    let merged = resume.as_ref().map(Resume::arguments);
    let args = merged.as_ref().unwrap_or(args);
    let since = now();
    let reading = Reading::begin(place, place.profiles(&args.profile), since)?;
    let sealing = Sealing::begin(place, args, reading.root(), since);
    let (sealing, looked) = match sealing {
        Some(sealing) if reading.is_sealed() => match part::attempt(place, args, &reading, sealing) {
            Attempt::Done(code) => return code,
            Attempt::NotDone(rest) => *rest,
        },
        sealing => (sealing, None),
    };
    let (configured, opened, broken) = open_all(place, args, reading, looked)?;
    let project = &configured.project;
    refuse_nested(place, &project.config.root)?;
    check_destroy(project, args)?;
    let graph = project.graph();
    let selection = Selection {
        targets: targets(&args.tasks),
        arguments: args.arguments.clone(),
        folder: resume.as_ref().map_or_else(|| project.folder(), |resume| resume.folder(project.folder())),
        force: args.force,
        force_all: args.force_all,
    };
    let plan = project.plan_iteration(&graph, &selection, &args.destroy, args.iteration)?;
    check_iteration(&plan, args)?;
    if let Some(resume) = &resume {
        resume.same_targets(project, &graph, &plan)?;
    }
    let mut seen = Seen::default();
    let obstacles = obstacles(&plan, &project.config.root, place, &mut seen);
    if !obstacles.is_empty() {
        return Err(project.wrong(dedup(obstacles)));
    }
    elsewhere::refuse_borrowers(project, &graph, &plan)?;
    refuse_unforced(place, &plan, args)?;
    refuse(&plan, &project.config.root, place)?;
    let (root, base) = (&project.config.root, &project.config.structural.base);
    if !rule::is_in(&plan, &project.config)
        && let Some(entry) = rule::was_taken_out(root, base, &args.tasks)
        && let Some(code) = rule::asked_all_the_same(root, &entry)
    {
        return Ok(code);
    }
    if args.dry_run {
        return dry_run(place, project, &graph, &plan, (args, resume.as_ref()));
    }
    confirm(place, &plan, args)?;
    let resumed = resume.as_ref().map(|resume| resume.resumed(place, project, &plan)).transpose()?;
    let (resumed, notices) = resumed.map_or((None, vec![]), |(resumed, notices)| (Some(Arc::new(resumed)), notices));
    let rest = Sealing::rests_on(project, &plan, seen);
    let asked = plan.nodes.iter().any(|node| node.node.facts().confirm.is_some());
    let (mut services, warnings) = match opened.filter(|_| !asked) {
        Some(opened) => opened,
        // While somebody thought about a question, others may have recorded something.
        None => open_services(place, &project.config.root),
    };
    reach_out(place, args, &project.config, &mut services)?;
    let notices: Vec<Notice> =
        remarks(project).into_iter().chain(notices).chain(elsewhere::that_stay(&plan, args)).collect();
    let mut sealing = sealing.zip(rest).filter(|_| warnings.is_empty());
    let mut settled = None;
    if let Some((sealing, rest)) = &mut sealing {
        services.surveyor.lay(Arc::clone(&sealing.trail));
        let configured = configured.trail.as_deref().filter(|_| project.thawed);
        settled = configured
            .zip(broken)
            .and_then(|(configured, broken)| sealing.settle(broken, rest, (&services, &plan), configured));
    }
    let prepared = Prepared::new(plan, &services, settled);
    missing_sources(project, &graph, prepared.plan(), |index, _| prepared.unreadable(index).cloned())?;
    let services = Arc::new(services);
    let plan = Arc::clone(prepared.plan());
    let going = Going { place, args, config: &project.config, seen_from: &selection.folder, resumed, notices };
    let finish = going.go(prepared, &services, warnings)?;
    if let Some(weir) = &services.place {
        configured.keep(weir);
    }
    if let (Some(verdict), Some((sealing, rest)), Some(trail)) = (&finish.standing, sealing, &configured.trail) {
        sealing.draw(project, &plan, &services, trail, verdict);
        sealing.close(place, &services, trail, rest, verdict);
    }
    // The process is about to end: giving back thousands of small pieces of memory would only take time.
    std::mem::forget((plan, graph, services));
    std::mem::forget(configured);
    ended(finish)
}

/// The exit code of a run.
///
/// # Errors
/// weir broke.
pub fn ended(finish: Finish) -> Result<u8, CliError> {
    match finish.broken {
        Some(message) => Err(CliError::Defect(message)),
        None => Ok(finish.exit_code),
    }
}

/// What a plan lacks around it.
pub fn obstacles(plan: &Plan, root: &Path, place: &Place, seen: &mut Seen) -> Vec<Diagnostic> {
    plan.nodes.iter().flat_map(|node| node.node.obstacles(root, &place.outside, seen)).collect()
}

/// Gives `services` the remote that is configured, and says what is done there.
///
/// # Errors
/// The arguments or the environment ask for what is not there.
pub fn reach_out(place: &Place, args: &RunArgs, config: &Config, services: &mut Services) -> Result<(), CliError> {
    if let Some(remote) = remote::open(place, config, args.require_remote)? {
        services.remote = Some(remote.store);
    }
    services.elsewhere = elsewhere::asked(place, config, args, services.remote.is_some())?;
    Ok(())
}

/// A run about to be made of what was prepared.
pub struct Going<'g> {
    /// Where it was called.
    pub place: &'g Place,
    /// How.
    pub args: &'g RunArgs,
    /// The configuration; of the tasks only the plan's count.
    pub config: &'g Config,
    /// The folder that names are seen from.
    pub seen_from: &'g WsPath,
    /// What it goes on from.
    pub resumed: Option<Arc<Resumed>>,
    /// What is to be said before it, after warnings.
    pub notices: Vec<Notice>,
}

impl Going<'_> {
    /// Makes it.
    ///
    /// # Errors
    /// There is no room for its record, or evidence can't be signed; nothing was run.
    pub fn go(self, prepared: Prepared, services: &Arc<Services>, warnings: Vec<Notice>) -> Result<Finish, CliError> {
        let Self { place, args, config, seen_from, resumed, notices } = self;
        let (folder, warnings) = run_folder(services, warnings)?;
        std::fs::create_dir_all(folder.path.join("logs"))
            .map_err(|error| CliError::outside(format!("failed to create a folder for logs: {error}")))?;
        if let Some(held) = folder.hold() {
            services.hold(held);
        }
        let recorder = evidence::recorder(place, args, &config.root, prepared.plan(), &folder.path)?;
        let mut sink = sinks(place, args, &folder, recorder);
        let journal = services
            .place
            .as_ref()
            .map(|_| Arc::new(resume::journal(&folder.path, config, args, seen_from, resumed.as_deref())));
        let options = Options {
            jobs: run_jobs(args.jobs, config.settings.jobs),
            keep_going: args.keep_going,
            live_output: matches!(args.output, OutputMode::Prefixed | OutputMode::Stream),
            profiles: config.profiles.clone(),
            targets: args.tasks.clone(),
            warnings: warnings.into_iter().chain(notices).collect(),
            journal,
            resumed,
        };
        Ok(engine::run(prepared, Arc::clone(services), &folder, &options, &mut *sink))
    }
}

/// Names as targets.
pub fn targets(names: &[String]) -> Vec<Target> {
    names.iter().map(|name| Target { name: name.clone() }).collect()
}

/// A run of which nothing has changed; none where it has to be done the long way.
pub fn quickly(directories: &[PathBuf], args: &RunArgs) -> Option<u8> {
    let place = Place::of(directories).ok()?;
    check_report(args).ok()?;
    seal::answer(&place, args)
}

fn open_services(place: &Place, root: &Path) -> (Services, Vec<Notice>) {
    Services::open(root, Arc::clone(&place.outside), place.shared_cache().as_deref(), Place::holder())
}

/// Services, and what is to be said of them.
pub type Opened = (Services, Vec<Notice>);

/// What was looked at before the configuration was read: what the workspace remembers, and what has changed under the last seal.
pub type LookedAt = (Option<Opened>, Option<Broken>);

/// Reads the configuration and, at the same time, what the workspace remembers, if it remembers
/// anything: where nothing may run in the end, no `.weir` comes about.
fn open_all(
    place: &Place,
    args: &RunArgs,
    reading: Reading,
    looked: Option<LookedAt>,
) -> Result<(Configured, Option<Opened>, Option<Broken>), CliError> {
    if let Some((opened, broken)) = looked {
        return Ok((reading.finish()?, opened, broken));
    }
    let root = &reading.root().to_path_buf();
    std::thread::scope(|scope| {
        let early = !args.dry_run && crate::cache::Place::existing(root).is_some();
        let opening = early.then(|| scope.spawn(|| open_services(place, root)));
        let configured = reading.finish();
        let opened = opening.and_then(|thread| thread.join().ok());
        Ok((configured?, opened, None))
    })
}

/// What the workspace remembers and, at the same time, what has changed under the last seal.
pub fn look_at_all(place: &Place, root: &Path, sealing: &Sealing) -> LookedAt {
    let early = crate::cache::Place::existing(root).is_some();
    std::thread::scope(|scope| {
        let opening = early.then(|| scope.spawn(|| open_services(place, root)));
        let broken = if early { sealing.look_over(place, root) } else { None };
        (opening.and_then(|thread| thread.join().ok()), broken)
    })
}

/// How many tasks may run at once: by the arguments, the settings, or the machine.
pub fn run_jobs(named: Option<u32>, settings: Option<u32>) -> u32 {
    let cores = || std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(1));
    named.or(settings).unwrap_or_else(cores)
}

fn remarks(project: &Project) -> Vec<Notice> {
    project
        .remarks
        .iter()
        .filter(|remark| remark.severity == Severity::Warning)
        .map(|remark| Notice {
            code: remark.code.into(),
            message: match remark.labels.first() {
                Some(label) => format!("{} ({})", remark.message, project.at(label.at)),
                None => remark.message.clone(),
            },
            help: remark.help.clone(),
        })
        .collect()
}

fn dedup(mut all: Vec<Diagnostic>) -> Vec<Diagnostic> {
    all.sort_by_key(|diagnostic| diagnostic.labels.first().map(|label| label.at));
    all.dedup();
    all
}

fn check_report(args: &RunArgs) -> Result<(), CliError> {
    match &args.report {
        Some(path) if path.extension().is_none_or(|extension| extension != "json" && extension != "xml") => {
            Err(CliError::usage(
                format!("a report is JSON or JUnit XML, and `{}` ends in neither `.json` nor `.xml`", path.display()),
                "name it `….json` or `….xml`",
            ))
        }
        _ => Ok(()),
    }
}

/// What `--destroy` names must be there: nobody should believe to have allowed something else.
fn check_destroy(project: &Project, args: &RunArgs) -> Result<(), CliError> {
    let names: Vec<&str> = project.config.databases.iter().map(|database| database.key.as_str()).collect();
    let Some(unknown) = args.destroy.iter().find(|named| !names.contains(&named.as_str())) else { return Ok(()) };
    let message = format!("`--destroy {unknown}` names no database of tasks.toml");
    Err(CliError::usage(
        message,
        match &names[..] {
            [] => "it declares none".to_owned(),
            names => format!("there is `{}`", names.join("`, `")),
        },
    ))
}

/// A run inside a task of a run of the same workspace would wait for itself.
fn refuse_nested(place: &Place, root: &Path) -> Result<(), CliError> {
    let outer = place.outside.vars.get("WEIR_WORKSPACE").map(PathBuf::from);
    if outer.and_then(|outer| std::fs::canonicalize(outer).ok()).as_deref() != Some(root) {
        return Ok(());
    }
    let task = place.outside.get("WEIR_TASK").unwrap_or_default();
    Err(CliError::Refused {
        message: format!("`weir run` inside task `{task}` of the same workspace"),
        help: format!("let `{task}` depend on the task instead: `depends = [\"…\"]`"),
    })
}

/// What `--iteration` names must be of something.
fn check_iteration(plan: &Plan, args: &RunArgs) -> Result<(), CliError> {
    let soaks = plan.nodes.iter().filter(|node| node.node.wants_force()).count();
    match args.iteration {
        Some(_) if soaks != 1 => Err(CliError::usage(
            format!("`--iteration` is about one soak, and this run has {soaks}"),
            "name the soak alone: `weir run -f --iteration N TASK`",
        )),
        _ => Ok(()),
    }
}

/// What runs only where it is forced: then nothing of the plan starts.
fn refuse_unforced(place: &Place, plan: &Plan, args: &RunArgs) -> Result<(), CliError> {
    let Some(node) = plan.nodes.iter().find(|node| node.node.wants_force() && !node.forced) else { return Ok(()) };
    let forced = again(place, &RunArgs { force: true, ..args.clone() });
    let all_forced = again(place, &RunArgs { force: false, force_all: true, ..args.clone() });
    // `-f` forces what was named, and of a group its members; what these need takes `--force-all`.
    let name = node.name().as_str();
    let help = if forced_by_name(plan).contains(node.name()) {
        format!("to run it: `{forced}`")
    } else if name.contains(' ') {
        // Arguments and variables of an edge can't all be typed.
        format!("to run it: `{all_forced}`")
    } else {
        let (tasks, arguments, resume) = (vec![name.to_owned()], vec![], None);
        let alone = again(place, &RunArgs { tasks, arguments, resume, force: true, ..args.clone() });
        format!("to run it alone: `{alone}`; in this run: `{all_forced}`")
    };
    Err(CliError::Refused { message: format!("`{}` is a soak, and runs only when it is forced", node.name()), help })
}

/// What `-f` would force.
fn forced_by_name(plan: &Plan) -> BTreeSet<&TaskName> {
    let mut stack: Vec<&PlanNode> = plan.nodes.iter().filter(|node| node.target).collect();
    let mut forced = BTreeSet::new();
    while let Some(node) = stack.pop() {
        if forced.insert(node.name()) && !node.node.facts().acts {
            stack.extend(node.data.iter().map(|id| &plan.nodes[id.index()]));
        }
    }
    forced
}

/// Safety rules that forbid something of the plan: then nothing of it starts.
///
/// # Errors
/// They do.
pub fn refuse(plan: &Plan, root: &Path, place: &Place) -> Result<(), CliError> {
    let refusals = plan.nodes.iter().flat_map(|node| node.node.refusals(root, &place.outside));
    match refusals.into_iter().next() {
        Some(refusal) => Err(CliError::Refused { message: refusal.message, help: refusal.help }),
        None => Ok(()),
    }
}

/// Asks for every confirmation before anything starts.
fn confirm(place: &Place, plan: &Plan, args: &RunArgs) -> Result<(), CliError> {
    for node in &plan.nodes {
        let facts = node.node.facts();
        let Some(question) = &facts.confirm else { continue };
        let name = facts.name.as_str();
        if args.confirm.iter().any(|given| given == name) {
            continue;
        }
        let refused = |message: String| CliError::Refused {
            message,
            help: format!("`{}` confirms it ahead of time", confirmed(place, args, name)),
        };
        if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
            return Err(refused(format!("`{name}` wants to be confirmed, and there is no terminal to ask on")));
        }
        let mut err = io::stderr();
        let _ = write!(err, "{name}: {question} [y/N] ").and_then(|()| err.flush());
        let mut answer = String::new();
        let _ = io::stdin().lock().read_line(&mut answer);
        if !answer.ends_with('\n') {
            let _ = writeln!(err);
        }
        if !matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
            return Err(refused(format!("`{name}` was not confirmed; nothing was run")));
        }
    }
    Ok(())
}

/// What was typed, with one more confirmation: another profile would be another deed.
fn confirmed(place: &Place, args: &RunArgs, name: &str) -> String {
    let mut args = args.clone();
    args.confirm.push(name.to_owned());
    again(place, &args)
}

/// A source that matches nothing, where no task before it can bring it about, is a mistake in the
/// file, and said before anything runs.
fn missing_sources(
    project: &Project,
    graph: &Graph<'_>,
    plan: &Plan,
    unreadable: impl Fn(usize, &PlanNode) -> Option<InputError>,
) -> Result<(), CliError> {
    let mut found = Vec::new();
    for ((index, node), follows) in plan.nodes.iter().enumerate().zip(plan.follow_a_maker()) {
        let facts = node.node.facts();
        if follows || facts.always.is_some() || facts.sources.is_empty() {
            continue;
        }
        let Some(error @ (InputError::NoMatch { .. } | InputError::Loop { .. })) = unreadable(index, node) else {
            continue;
        };
        let task = graph.task(node.task);
        let at = task
            .sources
            .iter()
            .flat_map(|sources| &sources.value)
            .find(|located| matches!(&error, InputError::NoMatch { pattern, .. } if pattern == located.value.raw()))
            .map_or_else(|| task.sources.as_ref().map_or(task.at, |sources| sources.at), |located| located.at);
        found.push(Diagnostic::error("task::sources", at, format!("{error} (`{}`)", facts.name)).help(error.help()));
    }
    if found.is_empty() { Ok(()) } else { Err(project.wrong(dedup(found))) }
}

fn run_folder(services: &Services, mut warnings: Vec<Notice>) -> Result<(RunFolder, Vec<Notice>), CliError> {
    if let Some(place) = &services.place {
        match place.new_run(&services.me) {
            Ok(folder) => return Ok((folder, warnings)),
            Err(error) => warnings.push(Notice {
                code: "no-record".into(),
                message: format!("failed to record the run in `.weir/runs`: {error}"),
                help: None,
            }),
        }
    }
    let folder = RunFolder::temporary()
        .map_err(|error| CliError::outside(format!("failed to create a temporary folder: {error}")))?;
    Ok((folder, warnings))
}

fn mode(args: &RunArgs) -> ui::Mode {
    match args.output {
        OutputMode::Grouped => ui::Mode::Grouped,
        OutputMode::Prefixed => ui::Mode::Prefixed,
        OutputMode::Stream => ui::Mode::Stream,
        OutputMode::Quiet => ui::Mode::Quiet,
    }
}

/// How runs are shown here: by the terminal, the environment and the arguments.
pub fn human_options(place: &Place, mode: ui::Mode, explain: bool, run_dir: &Path) -> ui::Options {
    let out = io::stdout();
    let set = |name: &str| place.outside.get(name).is_some_and(|value| !value.is_empty() && value != "false");
    let dumb = place.outside.get("TERM").is_some_and(|term| term == "dumb");
    let github = place.outside.get("GITHUB_ACTIONS").is_some_and(|value| value == "true");
    ui::Options {
        mode,
        color: print::colour(&out),
        live: out.is_terminal() && !dumb && !set("CI"),
        width: None,
        github,
        github_summary: place.outside.vars.get("GITHUB_STEP_SUMMARY").filter(|_| github).map(PathBuf::from),
        explain,
        run_dir: run_dir.to_path_buf(),
    }
}

/// Everyone who is told of a run.
pub fn sinks(place: &Place, args: &RunArgs, folder: &RunFolder, recorder: Option<Box<dyn Sink>>) -> Box<dyn Sink> {
    let options = human_options(place, mode(args), args.explain, &folder.path);
    let mut all = vec![ui::human(options, Box::new(io::stdout()))];
    if let Ok(log) = ui::event_log(&folder.path.join("events.jsonl")) {
        all.push(log);
    }
    if let Some(report) = &args.report {
        all.push(ui::report(place.folder.join(report)));
    }
    all.extend(recorder);
    ui::tee(all)
}

fn dry_run(
    place: &Place,
    project: &Project,
    graph: &Graph<'_>,
    plan: &Plan,
    (args, resume): (&RunArgs, Option<&Resume>),
) -> Result<u8, CliError> {
    let started = Instant::now();
    let (services, warnings) = Services::look(
        &project.config.root,
        Arc::clone(&place.outside),
        place.shared_cache().as_deref(),
        Place::holder(),
    )
    .map_err(|error| CliError::outside(error.to_string()))?;
    missing_sources(project, graph, plan, |_, node| services.surveyor.sources(&node.node.facts().sources).err())?;
    let resumed = resume.map(|resume| resume.resumed(place, project, plan)).transpose()?;
    let (resumed, notices) = resumed.map_or((None, vec![]), |(resumed, notices)| (Some(resumed), notices));
    let mut sink = ui::human(human_options(place, mode(args), args.explain, Path::new("")), Box::new(io::stdout()));
    if let Some(report) = &args.report {
        sink = ui::tee(vec![sink, ui::report(place.folder.join(report))]);
    }
    let mut seq = 0;
    let mut emit = |event| {
        let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let at = humantime::format_rfc3339_millis(std::time::SystemTime::now()).to_string();
        sink.record(&Record { v: VERSION, seq, at, elapsed_ms, event });
        seq += 1;
    };
    let names: Vec<TaskName> = plan.nodes.iter().map(|node| node.name().clone()).collect();
    emit(Event::RunStarted {
        run: "dry".into(),
        weir: env!("CARGO_PKG_VERSION").into(),
        targets: args.tasks.clone(),
        profiles: project.config.profiles.clone(),
        jobs: run_jobs(args.jobs, project.config.settings.jobs),
        dry_run: true,
        resumes: resumed.as_ref().and_then(|resumed| resumed.chain.first().cloned()),
        tasks: plan.nodes.iter().map(engine::planned(&names)).collect(),
    });
    for warning in warnings.into_iter().chain(notices) {
        emit(Event::Warned(warning));
    }
    let mut failed = 0;
    for inspection in inspect(plan, &services, false, resumed.as_ref()) {
        for notice in inspection.notices {
            emit(Event::Warned(notice));
        }
        if inspection.group {
            continue;
        }
        let task = inspection.task;
        match inspection.verdict {
            Ok(verdict) => emit(Event::TaskJudged { task, verdict, reasons: inspection.reasons }),
            Err(reason) => {
                failed += 1;
                let what = vec![format!("it would fail: {}", reason.describe())];
                emit(Event::TaskJudged { task, verdict: Verdict::Run, reasons: vec![Reason::Changed { what }] });
            }
        }
    }
    let wall_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let exit_code = if failed > 0 { FAILED } else { 0 };
    emit(Event::RunFinished(Box::new(RunFinished {
        exit_code,
        wall_ms,
        saved_ms: 0,
        critical_path_ms: 0,
        remote: None,
        critical_path: vec![],
        totals: Totals::default(),
        first_failure: None,
        blocked: vec![],
        warnings: vec![],
    })));
    Ok(exit_code)
}
