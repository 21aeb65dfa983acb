//! `weir doctor`: what a person would look at first when something is odd.

use super::args::DoctorArgs;
use super::error::{CliError, FAILED};
use super::print;
use super::project::{Place, Project};
use super::remote;
use crate::cache::{Place as WeirFolder, State};
use crate::config::Task;
use crate::model::Notice;
use crate::node::{Seen, Travel};
use serde::Serialize;
use std::fmt::Write as _;
use std::sync::Arc;

/// One thing that was looked at.
#[derive(Serialize)]
struct Finding {
    name: &'static str,
    ok: bool,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

impl Finding {
    fn good(name: &'static str, what: impl Into<String>) -> Self {
        Self { name, ok: true, what: what.into(), help: None }
    }

    fn bad(name: &'static str, what: impl Into<String>, help: Option<String>) -> Self {
        Self { name, ok: false, what: what.into(), help }
    }
}

/// `weir doctor`.
///
/// # Errors
/// There is no workspace, or its configuration is wrong.
pub fn doctor(place: &Place, args: &DoctorArgs) -> Result<u8, CliError> {
    let project = Project::open(place, &args.profile)?;
    let mut all = vec![
        Finding::good("weir", env!("CARGO_PKG_VERSION")),
        Finding::good("workspace", format!("{} ({} tasks)", project.config.root.display(), project.config.tasks.len())),
        tools(place, &project),
        state(&project),
    ];
    all.extend(server(place, &project));
    let code = if all.iter().all(|finding| finding.ok) { 0 } else { FAILED };
    if args.json {
        print::json(&all)?;
        return Ok(code);
    }
    let mut text = String::new();
    for Finding { name, ok, what, help } in all {
        let _ = writeln!(text, "{}  {name:<10} {what}", if ok { "ok " } else { "BAD" });
        if let Some(help) = help {
            let _ = writeln!(text, "     help: {help}");
        }
    }
    print::text(&text)?;
    Ok(code)
}

/// Whether every task could be started: its programs, its folder.
fn tools(place: &Place, project: &Project) -> Finding {
    let mut seen = Seen::default();
    let mut missing: Vec<String> = Vec::new();
    for task in &project.config.tasks {
        let found = project.node_of(task).obstacles(&project.config.root, &place.outside, &mut seen);
        missing.extend(found.into_iter().map(|obstacle| obstacle.message));
    }
    missing.sort();
    missing.dedup();
    if missing.is_empty() {
        return Finding::good("tools", "every task could be started");
    }
    let more = if missing.len() > 3 { format!(" (and {} more)", missing.len() - 3) } else { String::new() };
    missing.truncate(3);
    let help = "`weir run TASK` says where each stands".to_owned();
    Finding::bad("tools", format!("{}{more}", missing.join("; ")), Some(help))
}

/// Whether results can be recorded.
fn state(project: &Project) -> Finding {
    let Some(weir) = WeirFolder::existing(&project.config.root) else {
        return Finding::good("state", "nothing ran here yet");
    };
    if let Err(error) = weir.probe() {
        return Finding::bad("state", error.to_string(), Some("make it writable, to have results recorded".into()));
    }
    match State::read(&weir.state()) {
        Ok((_, _, None)) => Finding::good("state", "`.weir/state` is whole and can be written"),
        Ok((_, _, Some(_))) => {
            Finding::bad("state", "`.weir/state` is damaged, or a newer weir's", Some("the next run says more".into()))
        }
        Err(error) => Finding::bad("state", format!("failed to read `.weir/state`: {error}"), None),
    }
}

/// What the remote says of itself.
fn server(place: &Place, project: &Project) -> Vec<Finding> {
    let opened = match remote::open(place, &project.config, false) {
        Ok(Some(opened)) => opened,
        Ok(None) => return vec![Finding::good("remote", "none is configured, or it is off")],
        Err(CliError::Usage { message, help }) => return vec![Finding::bad("remote", message, help)],
        Err(other) => return vec![Finding::bad("remote", other.message(), None)],
    };
    match opened.store.describe() {
        Ok(lines) => {
            let offers = !lines.contains(&("execution", "not offered".to_owned()));
            let told: Vec<String> = lines.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            let found = Finding::good("remote", format!("`{}`; {}", opened.endpoint, told.join("; ")));
            [Some(found), executes(project, offers)].into_iter().flatten().collect()
        }
        Err(Notice { message, help, .. }) => {
            let help = help.filter(|help| !help.contains("weir doctor"));
            vec![Finding::bad("remote", message, help)]
        }
    }
}

/// Which tasks are to run on the remote, and whether it runs any.
fn executes(project: &Project, offers: bool) -> Option<Finding> {
    let config = &project.config;
    let all = config.remote.execute.unwrap_or_default();
    let goes = |task: &Arc<Task>| match project.node_of(task).facts().travel {
        Travel::Always => true,
        Travel::IfAsked => all,
        Travel::Never(_) => false,
    };
    let names: Vec<String> =
        config.tasks.iter().filter(|task| goes(task)).map(|task| format!("`{}`", task.name)).collect();
    let what = match &names[..] {
        [] => return None,
        [one, two, three, rest @ ..] if !rest.is_empty() => format!("{one}, {two}, {three} and {} more", rest.len()),
        names => names.join(", "),
    };
    if offers {
        return Some(Finding::good("execution", format!("the remote runs {what}")));
    }
    let help = "remove `execute`, or name a server that runs tasks; until then they run here".to_owned();
    Some(Finding::bad("execution", format!("the remote is to run {what}, and runs nothing"), Some(help)))
}
