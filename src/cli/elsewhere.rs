//! Which tasks of a run are to be run elsewhere than in the workspace, and what is said of those that can't be.

use super::args::RunArgs;
use super::error::CliError;
use super::project::{Place, Project};
use crate::config::{Config, Diagnostic};
use crate::engine::Elsewhere;
use crate::graph::{Graph, Plan, PlanNode};
use crate::model::Notice;
use crate::node::Travel;

/// What is asked for: by the arguments, the environment, or `[remote]`.
///
/// # Errors
/// The environment asks for something that there is not, or the arguments for a remote that there is not.
pub fn asked(place: &Place, config: &Config, args: &RunArgs, remote: bool) -> Result<Elsewhere, CliError> {
    let all = match place.outside.get("WEIR_REMOTE_EXECUTE").filter(|value| !value.is_empty()).as_deref() {
        Some("true") => true,
        Some("false") => false,
        Some(word) => {
            return Err(CliError::usage(format!("`WEIR_REMOTE_EXECUTE` is `{word}`"), "it is `true` or `false`"));
        }
        None => config.remote.execute.unwrap_or_default(),
    };
    if args.remote_exec && !remote {
        let help = "`[remote]` in tasks.toml names one, or `WEIR_REMOTE`; `mode = \"off\"` takes it away";
        return Err(CliError::usage("`--remote-exec`, and no remote is configured", help));
    }
    Ok(match (args.isolated, args.remote_exec || all) {
        (true, _) => Elsewhere::Isolated,
        (false, true) => Elsewhere::Remote,
        (false, false) => Elsewhere::AsDeclared,
    })
}

/// A task that says that it runs on a server can't need a service, which runs here.
///
/// # Errors
/// One does.
pub fn refuse_borrowers(project: &Project, graph: &Graph<'_>, plan: &Plan) -> Result<(), CliError> {
    let found: Vec<Diagnostic> = plan
        .nodes
        .iter()
        .filter(|node| node.node.facts().travel == Travel::Always)
        .filter_map(|node| {
            let service = plan.nodes[node.borrows.first()?.index()].name();
            let at = graph.task(node.task).execute.as_ref()?.at;
            let message = format!("`{}` is to run on a server, and needs the service `{service}`", node.name());
            Some(
                Diagnostic::error("config::conflict", at, message)
                    .help("remove `execute`: a service runs on this machine"),
            )
        })
        .collect();
    if found.is_empty() { Ok(()) } else { Err(project.wrong(found)) }
}

/// What was asked for by name and runs in the workspace all the same.
pub fn that_stay(plan: &Plan, args: &RunArgs) -> Vec<Notice> {
    if !(args.remote_exec || args.isolated) {
        return vec![];
    }
    let why = |node: &PlanNode| match &node.node.facts().travel {
        Travel::Never(why) => why.clone(),
        _ if !node.borrows.is_empty() => Some("it needs a service, which runs here".into()),
        _ => None,
    };
    let stays = |node: &PlanNode| {
        let why = why(node).filter(|_| node.target)?;
        let message = format!("`{}` runs in the workspace: {why}", node.name());
        Some(Notice { code: "runs-here".into(), message, help: None })
    };
    plan.nodes.iter().filter_map(stays).collect()
}
