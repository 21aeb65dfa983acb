//! `weir import`: another tool's file → tasks.toml, loaded and judged before it is written.

use super::args::ImportArgs;
use super::error::CliError;
use super::ground::Here;
use super::print;
use super::project::{Place, Project};
use crate::config::{At, Diagnostic, FileId, Found, Severity, load_text};
use crate::graph::audit::audit;
use crate::import::{Draft, Imported, Note, TaskDraft, import as read};
use crate::journal::create;
use crate::model::WsPath;
use crate::ui::clean;
use serde_json::json;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// `weir import FILE`.
///
/// # Errors
/// The file can't be read as what it is, there is a tasks.toml already, or it can't be written.
pub fn import(place: &Place, args: &ImportArgs) -> Result<u8, CliError> {
    let shown = args.file.display().to_string();
    let path = place.folder.join(&args.file);
    let Imported { tool, root, mut draft } =
        read(&path, &shown).map_err(|error| CliError::usage(error.message, error.help))?;
    let target = match &args.output {
        Some(output) if output.as_os_str() == "-" => None,
        Some(output) => Some(place.folder.join(output)),
        None => Some(root.join("tasks.toml")),
    };
    if let Some(target) = &target {
        if std::fs::symlink_metadata(target).is_ok() {
            return Err(exists(place, target));
        }
        if target.parent().and_then(|folder| folder.canonicalize().ok()) != root.canonicalize().ok() {
            let text = format!("the paths here are relative to `{}`; move this file there", near(place, &root));
            draft.notes.insert(0, Note::new("", "--output", 0, text));
        }
    }
    let text = settle(place, &root, &mut draft)?;
    let wrote = match &target {
        Some(target) => {
            create(target, text.as_bytes()).map_err(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => exists(place, target),
                _ => CliError::outside(format!("failed to write `{}`: {error}", near(place, target))),
            })?;
            Some(near(place, target))
        }
        None => None,
    };
    if args.json {
        let tasks: Vec<&str> = draft.tasks.iter().map(|task| task.name.as_str()).collect();
        let differences: Vec<_> = differences(&draft).map(|(task, note)| as_json(task, note)).collect();
        return print::json(&json!({
            "tool": tool.name(), "from": shown, "wrote": wrote, "tasks": tasks, "differences": differences,
            "text": if wrote.is_none() { Some(&text) } else { None },
        }));
    }
    let said = summary(&draft, &shown, wrote.as_deref());
    if wrote.is_some() {
        return print::text(&said);
    }
    eprint_lines(&said);
    print::text(&text)
}

fn eprint_lines(text: &str) {
    let _ = std::io::Write::write_all(&mut std::io::stderr().lock(), text.as_bytes());
}

fn exists(place: &Place, target: &Path) -> CliError {
    CliError::usage(
        format!("there is a `{}` already, and it was left as it is", near(place, target)),
        "`--output FILE` writes elsewhere, `--output -` shows what would be written",
    )
}

/// A path as seen from here.
fn near(place: &Place, path: &Path) -> String {
    let near: PathBuf = path.strip_prefix(&place.folder).map_or_else(|_| path.to_path_buf(), Path::to_path_buf);
    if near.as_os_str().is_empty() { ".".into() } else { near.display().to_string() }
}

/// The draft as text that loads and that the audit finds no errors in. Where the other tool lets
/// pass what weir refuses, the draft is loosened, with a comment each time.
fn settle(place: &Place, root: &Path, draft: &mut Draft) -> Result<String, CliError> {
    let from = draft.from.clone();
    let defect = |text: &str, message: &str| {
        CliError::Defect(format!("what was made of `{from}` is no good tasks.toml: {message}\n{text}"))
    };
    // Each round takes something away.
    for _ in 0..=4 * draft.tasks.len() + 4 {
        let text = draft.render();
        let Some(problems) = problems(place, root, &text) else { return Ok(text) };
        let mut loosened = false;
        for (tasks, diagnostic) in &problems {
            loosened |= tasks.iter().any(|task| draft.loosen(task, diagnostic.code, &diagnostic.message));
        }
        if !loosened {
            let message = problems.first().map_or("", |(_, diagnostic)| &diagnostic.message);
            return Err(defect(&text, message));
        }
    }
    Err(defect(&draft.render(), "it can't be settled"))
}

/// The errors in a text, each with the tasks it speaks of, those first that it is at; none if there are none.
fn problems(place: &Place, root: &Path, text: &str) -> Option<Vec<(Vec<String>, Diagnostic)>> {
    let file = root.join("tasks.toml");
    let loaded = load_text(&file, text, &place.profiles(&[]));
    let found = Found { root_file: file, root: root.to_path_buf(), folder: WsPath::root() };
    let project = Project::judge(found, loaded, &place.outside, None);
    let mut diagnostics: Vec<Diagnostic> = project.remarks.clone();
    if !project.has_errors() {
        let graph = project.graph();
        diagnostics = audit(&graph, &Here::new(root, place)).into_iter().map(|finding| finding.diagnostic).collect();
    }
    diagnostics.retain(|diagnostic| diagnostic.severity == Severity::Error);
    let task_at = |at: At| {
        let before = project.config.tasks.iter().filter(|task| at.file == FileId(0) && task.at.start <= at.start);
        before.max_by_key(|task| task.at.start).map(|task| task.name.to_string())
    };
    let with_tasks = |diagnostic: Diagnostic| {
        let tasks = diagnostic.labels.iter().filter_map(|label| task_at(label.at)).collect();
        (tasks, diagnostic)
    };
    let problems: Vec<_> = diagnostics.into_iter().map(with_tasks).collect();
    (!problems.is_empty()).then_some(problems)
}

fn differences(draft: &Draft) -> impl Iterator<Item = (Option<&TaskDraft>, &Note)> {
    let of_tasks = draft.tasks.iter().flat_map(|task| task.notes.iter().map(move |note| (Some(task), note)));
    draft.notes.iter().map(|note| (None, note)).chain(of_tasks)
}

fn as_json(task: Option<&TaskDraft>, note: &Note) -> serde_json::Value {
    let line = (note.line > 0).then_some(note.line);
    json!({ "task": task.map(|task| &task.name), "about": note.about, "line": line, "text": note.text })
}

fn summary(draft: &Draft, from: &str, wrote: Option<&str>) -> String {
    let count = |n: usize, what: &str| if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") };
    let tasks = count(draft.tasks.len(), "task");
    let mut said = match wrote {
        Some(wrote) => format!("wrote {wrote}: {tasks} from {from}\n"),
        None => format!("{tasks} from {from}\n"),
    };
    let differences: Vec<_> = differences(draft).collect();
    if differences.is_empty() {
        let _ = writeln!(said, "everything was carried over");
        return said;
    }
    let number = differences.len();
    let (are, have) = if number == 1 {
        ("is", "a comment `# weir import: …` stands")
    } else {
        ("are", "a comment `# weir import: …` stands at each")
    };
    let _ = writeln!(
        said,
        "{} {are} different now; {have}{}:",
        count(number, "thing"),
        if number == 1 { " there" } else { "" }
    );
    for (task, note) in differences {
        let place = if note.line > 0 { format!("{from}:{}: ", note.line) } else { String::new() };
        let task = task.map(|task| format!("`{}` ", task.name)).unwrap_or_default();
        let _ = writeln!(said, "  {place}{}", clean(&format!("{task}{}: {}", note.about, note.text)));
    }
    said
}
