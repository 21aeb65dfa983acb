//! Running a node elsewhere than in the workspace: on the remote, or in a folder of its own. It is given exactly what its key
//! holds of files, and what it leaves is brought back as a recorded result is restored.

use super::{Job, Message, Printer};
use crate::cache::{
    Entry, EntryKind, Executed, Last, Manifest, Order, RemoteStore, Store, Watcher, capture, restore, survey,
};
use crate::engine::judge::{Judgement, input_failure};
use crate::engine::services::Elsewhere;
use crate::event::Event;
use crate::fingerprint::{Behind, Memo, Selection, Source, SourceKind, Surveyor};
use crate::model::{FailReason, Notice, Reason, WsPath};
use crate::node::{Cancel, Context, Errand, Output, Travel};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// How it ended elsewhere.
pub(super) struct Ended {
    pub(super) ended: Result<(), FailReason>,
    /// It was the remote that ran it.
    pub(super) remote: bool,
}

/// Of what was printed, so much is kept to see whether it is the word of another machine than the key says.
const BEGINNING: usize = 4096;

impl Job<'_> {
    /// Runs the node elsewhere, where that is asked for and can be; none: it is to be run here.
    pub(super) fn run_elsewhere(&self, judgement: &Judgement, printer: &mut Printer) -> Option<Ended> {
        let facts = self.node.node.facts();
        let (travel, asked) = (&facts.travel, self.services.elsewhere);
        let stays = match travel {
            Travel::Never(_) => true,
            Travel::IfAsked => asked == Elsewhere::AsDeclared,
            Travel::Always => false,
        };
        // What it borrows is on this machine.
        if stays || !self.node.borrows.is_empty() {
            return None;
        }
        let store = self.services.store.as_ref()?;
        if asked == Elsewhere::Isolated {
            let inputs = self.inputs(judgement);
            let ended = inputs.and_then(|inputs| self.run_isolated(&inputs, store, printer));
            return Some(Ended { ended, remote: false });
        }
        let remote = self.services.remote.as_deref()?;
        let node = &self.node.node;
        let errand = match node.errand(&self.services.root, &self.services.outside, &judgement.observations) {
            Ok(errand) => errand,
            Err(reason) => return self.stays(&reason.describe()),
        };
        if !errand.secrets && self.names_secret(&errand) {
            return self
                .stays("a variable or an argument of it holds a secret; `execute = \"with-secrets\"` sends it along");
        }
        let inputs = match self.inputs(judgement) {
            Ok(inputs) => inputs,
            Err(reason) => return Some(Ended { ended: Err(reason), remote: false }),
        };
        let ended = self.run_remotely(remote, &errand, &inputs, (store, self.anew(judgement)), printer)?;
        Some(Ended { ended, remote: true })
    }

    /// Whether what the server has recorded of the same errand must not count: nothing that is recorded does then (laws 10, 18).
    fn anew(&self, judgement: &Judgement) -> bool {
        let counts =
            |reason: &Reason| matches!(reason, Reason::NeverRan | Reason::Changed { .. } | Reason::Outputs { .. });
        self.services.lock_state().distrusts() || !judgement.reasons.iter().all(counts)
    }

    /// Says why it runs here.
    fn stays<T>(&self, why: &str) -> Option<T> {
        self.warn("runs-here", format!("it runs here: {why}"), None);
        None
    }

    fn names_secret(&self, errand: &Errand) -> bool {
        let values = errand.env.iter().map(|(_, value)| value).chain(&errand.arguments);
        values.into_iter().any(|text| self.services.mask(text) != *text)
    }

    /// Every file that its key holds: its sources, and what its dependencies left.
    fn inputs(&self, judgement: &Judgement) -> Result<Manifest, FailReason> {
        let mut all = BTreeMap::new();
        for (before, _) in &self.relied_on {
            let patterns = before.node.facts().effects.patterns();
            let (left, _) = capture(&self.services.surveyor, patterns).map_err(|error| input_failure(&error))?;
            all.extend(left.0.into_iter().map(|entry| (entry.path, entry.kind)));
        }
        add_sources(&mut all, &judgement.sources.0);
        Ok(Manifest(all.into_iter().map(|(path, kind)| Entry { path, kind }).collect()))
    }

    fn run_remotely(
        &self,
        remote: &dyn RemoteStore,
        errand: &Errand,
        inputs: &Manifest,
        (store, anew): (&Store, bool),
        printer: &mut Printer,
    ) -> Option<Result<(), FailReason>> {
        let patterns = self.node.node.facts().effects.patterns();
        let selection = Selection::new(patterns);
        let outputs = outermost(selection.takes.iter().map(|taken| taken.prefix.clone()).collect());
        let keeps = |path: &WsPath| selection.covers(path);
        let order = Order { errand, inputs, root: &self.services.root, outputs: &outputs, keeps: &keeps, anew };
        let mut listener = Listener { job: self, printer, beginning: vec![] };
        let executed = remote.execute(&order, store, &mut listener);
        let Listener { beginning, .. } = listener;
        match executed {
            Executed::Ended { exit: 0, outputs } => Some(match self.bring(&outputs, store) {
                Ok(()) => Ok(()),
                Err(Brought::Missing(patterns)) => {
                    self.explain_failure(inputs, &log_end(printer));
                    Err(FailReason::MissingOutputs { patterns })
                }
                Err(Brought::Not(why)) => {
                    printer.forget();
                    return self.stays(&why);
                }
            }),
            Executed::Ended { exit, .. } => {
                if let Some(what) = told_unlike(&beginning, &errand.unlike) {
                    printer.forget();
                    return self.stays(&format!("the remote's machine is another than its key says: {what}"));
                }
                self.explain_failure(inputs, &log_end(printer));
                Some(Err(FailReason::Exit { code: exit }))
            }
            Executed::TimedOut => Some(Err(FailReason::Timeout {
                after_ms: u64::try_from(errand.timeout.as_millis()).unwrap_or(u64::MAX),
            })),
            Executed::GivenUp => Some(Err(FailReason::Interrupted)),
            Executed::Not(why) => self.without(remote, why, printer),
        }
    }

    /// The remote could not run it.
    fn without(
        &self,
        remote: &dyn RemoteStore,
        why: Option<Notice>,
        printer: &mut Printer,
    ) -> Option<Result<(), FailReason>> {
        if *self.cancel.borrow() != Cancel::No {
            return Some(Err(FailReason::Interrupted));
        }
        printer.forget();
        match (why, remote.failure()) {
            (Some(Notice { code, message, help }), _) if code == "remote" && remote.is_required() => {
                return Some(Err(FailReason::Inputs { message, help }));
            }
            (Some(Notice { code, message, help }), _) => self.warn(&code, message, help),
            (None, Some(Notice { message, help, .. })) if remote.is_required() => {
                // It is told by the task that fails of it.
                let _ = remote.untold();
                return Some(Err(FailReason::Inputs { message, help }));
            }
            (None, _) => {
                if let Some(notice) = remote.untold() {
                    let _ = self.messages.send(Message::Told(Box::new(Event::Warned(notice))));
                }
            }
        }
        None
    }

    /// Runs it in a folder that holds its inputs and nothing else.
    fn run_isolated(&self, inputs: &Manifest, store: &Store, printer: &mut Printer) -> Result<(), FailReason> {
        let start =
            |error: &io::Error| FailReason::Start { message: format!("failed to make a folder for it: {error}") };
        let folder = tempfile::Builder::new().prefix("weir-isolated-").tempdir().map_err(|error| start(&error))?;
        let root = std::fs::canonicalize(folder.path()).map_err(|error| start(&error))?;
        for entry in &inputs.0 {
            lay(&self.services.root, &root, entry).map_err(|error| FailReason::Start {
                message: format!("failed to copy `{}` for it: {error}", entry.path),
            })?;
        }
        // A server makes the folders that outputs lie in, and the one that it runs in.
        let patterns = self.node.node.facts().effects.patterns();
        let errand = self.node.node.errand(&root, &self.services.outside, &[]);
        let parents = patterns.iter().filter(|pattern| !pattern.negated).filter_map(|pattern| pattern.prefix.parent());
        for path in parents.chain(errand.ok().map(|errand| errand.dir)) {
            std::fs::create_dir_all(path.under(&root)).map_err(|error| start(&error))?;
        }
        let broke = |broken: crate::process::ProcessError| {
            let _ = self.messages.send(Message::Broken(broken.to_string()));
            FailReason::Start { message: broken.to_string() }
        };
        let (context, runtime) = self.services.context(self.run_id, self.cancel.clone()).map_err(broke)?;
        let context = Context { root: root.clone(), ..context };
        if let Err(reason) = runtime.block_on(self.node.node.run(&context, printer)).map_err(broke)? {
            if matches!(reason, FailReason::Exit { .. }) {
                self.explain_failure(inputs, &log_end(printer));
            }
            return Err(reason);
        }
        let surveyor = Surveyor::new(&root, Memo::default());
        let (left, _) = capture(&surveyor, patterns).map_err(|error| input_failure(&error))?;
        for entry in &left.0 {
            if let EntryKind::File { digest, .. } = &entry.kind {
                store.put_file(&entry.path.under(&root), digest).map_err(|error| FailReason::Start {
                    message: format!("failed to store output `{}`: {error}", entry.path),
                })?;
            }
        }
        match self.bring(&left, store) {
            Ok(()) => Ok(()),
            Err(Brought::Missing(patterns)) => {
                self.explain_failure(inputs, &log_end(printer));
                Err(FailReason::MissingOutputs { patterns })
            }
            Err(Brought::Not(message)) => {
                Err(FailReason::Node { message, help: Some("remove it, or run the task without `--isolated`".into()) })
            }
        }
    }

    /// Puts what it left into the workspace, in place of what earlier results of it left there.
    fn bring(&self, left: &Manifest, store: &Store) -> Result<(), Brought> {
        let facts = self.node.node.facts();
        let patterns = facts.effects.patterns();
        let selection = Selection::new(patterns);
        let lacks = |taken: &&crate::fingerprint::Taken<'_>| !left.0.iter().any(|entry| taken.covers(&entry.path));
        let missing: Vec<String> = selection.takes.iter().filter(lacks).map(|taken| taken.raw.to_owned()).collect();
        if !missing.is_empty() {
            return Err(Brought::Missing(missing));
        }
        let earlier = match self.services.lock_state().last(facts.kept_as.as_str()) {
            Some(Last::Good(recorded)) => recorded.outputs.clone(),
            Some(Last::Dirty { owned, .. }) => owned.clone(),
            None => Manifest::default(),
        };
        let found = survey(&self.services.surveyor, patterns, left, &earlier)
            .map_err(|error| Brought::Not(error.to_string()))?;
        if let Some(foreign) = found.foreign.first() {
            return Err(Brought::Not(format!(
                "`{foreign}` is in its outputs, and no recorded run of it left it there"
            )));
        }
        restore(&self.services.root, store, &found).map_err(|error| Brought::Not(error.to_string()))?;
        Ok(())
    }
}

/// Why what a node left elsewhere is not in the workspace.
enum Brought {
    /// It did not leave all that it declares.
    Missing(Vec<String>),
    /// It can't be put there.
    Not(String),
}

/// What another machine says of itself, if it is another than the key says.
fn told_unlike(beginning: &[u8], unlike: &str) -> Option<String> {
    let rest = beginning.strip_prefix(unlike.as_bytes())?;
    let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Some(String::from_utf8_lossy(line).into_owned())
}

fn log_end(printer: &Printer) -> String {
    String::from_utf8_lossy(&printer.end().unwrap_or_default()).into_owned()
}

/// Those that lie in none of the others, sorted.
fn outermost(mut paths: Vec<WsPath>) -> Vec<WsPath> {
    paths.sort();
    let mut kept: Vec<WsPath> = Vec::new();
    for path in paths {
        if !kept.iter().any(|outer| path.is_within(outer)) {
            kept.push(path);
        }
    }
    kept
}

/// Copies one input.
fn lay(from: &Path, to: &Path, entry: &Entry) -> io::Result<()> {
    let target = entry.path.under(to);
    if let EntryKind::Folder = entry.kind {
        return std::fs::create_dir_all(&target);
    }
    target.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    match &entry.kind {
        EntryKind::Link { target: text } => std::os::unix::fs::symlink(text, &target),
        _ => std::fs::copy(entry.path.under(from), &target).map(drop),
    }
}

/// Adds sources to what is there. A symlink stays one if what it leads to is there too, and is what it leads to otherwise.
fn add_sources(all: &mut BTreeMap<WsPath, EntryKind>, sources: &[Source]) {
    let mut links: Vec<(&WsPath, &str, &Source)> = Vec::new();
    for source in sources {
        let kind = match &source.kind {
            SourceKind::File { digest } => file(*digest, source),
            SourceKind::Folder => EntryKind::Folder,
            SourceKind::Link { target, behind: Behind::Nothing } => EntryKind::Link { target: target.clone() },
            SourceKind::Link { target, behind } => {
                links.push((&source.path, target, source));
                match behind {
                    Behind::File(digest) => file(*digest, source),
                    Behind::Folder | Behind::Nothing => continue,
                }
            }
        };
        all.insert(source.path.clone(), kind);
    }
    // What is behind a link that lies behind another one comes first.
    for (path, target, source) in links.into_iter().rev() {
        let is_folder = matches!(source.kind, SourceKind::Link { behind: Behind::Folder, .. });
        let inside: Vec<WsPath> = below(all, path).cloned().collect();
        if leads_to_same(all, path, target, &inside) {
            inside.iter().for_each(|path| drop(all.remove(path)));
            all.insert(path.clone(), EntryKind::Link { target: target.to_owned() });
        } else if is_folder && inside.is_empty() {
            all.insert(path.clone(), EntryKind::Folder);
        }
    }
}

fn file(digest: crate::model::Digest, source: &Source) -> EntryKind {
    EntryKind::File { digest, size: source.stat.size, mode: if source.stat.executable() { 0o755 } else { 0o644 } }
}

/// Everything below a path.
fn below<'a>(all: &'a BTreeMap<WsPath, EntryKind>, path: &'a WsPath) -> impl Iterator<Item = &'a WsPath> {
    all.keys().filter(move |other| *other != path && other.is_within(path))
}

/// Whether the text of a symlink leads to what is behind it here, among what is there.
fn leads_to_same(all: &BTreeMap<WsPath, EntryKind>, path: &WsPath, target: &str, inside: &[WsPath]) -> bool {
    if target.starts_with('/') {
        return false;
    }
    let Ok(to) = WsPath::resolve(&path.parent().unwrap_or_default(), target) else { return false };
    // A `..` behind another symlink leads elsewhere than it reads.
    let mut above = to.parent();
    while let Some(folder) = above {
        if matches!(all.get(&folder), Some(EntryKind::Link { .. })) {
            return false;
        }
        above = folder.parent();
    }
    if path.is_within(&to) || to.is_within(path) {
        return false;
    }
    if inside.is_empty() {
        let same = all.get(path).zip(all.get(&to));
        return same.is_some_and(|(here, there)| here == there && matches!(here, EntryKind::File { .. }));
    }
    let same = inside.iter().all(|inner| {
        let rest = inner.as_str()[path.as_str().len()..].trim_start_matches('/');
        all.get(&to.join(rest)) == all.get(inner)
    });
    same && below(all, &to).count() == inside.len()
}

/// Hears what the remote tells of a task.
struct Listener<'a, 'p> {
    job: &'a Job<'a>,
    printer: &'p mut Printer,
    beginning: Vec<u8>,
}

impl Watcher for Listener<'_, '_> {
    fn bytes(&mut self, bytes: &[u8]) {
        let room = BEGINNING.saturating_sub(self.beginning.len()).min(bytes.len());
        self.beginning.extend_from_slice(&bytes[..room]);
        self.printer.bytes(bytes);
    }

    fn queued(&mut self) {
        let _ = self.job.messages.send(Message::Waiting(self.job.id, "a worker of the remote".into()));
    }

    fn gives_up(&self) -> bool {
        *self.job.cancel.borrow() != Cancel::No
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fingerprint::Stat;
    use crate::model::Digest;

    fn source(path: &str, kind: SourceKind) -> Source {
        let stat = Stat { ino: 1, size: 3, mtime: 0, ctime: 0, mode: 0o100_644 };
        Source { path: WsPath::from_clean(path), kind, stat }
    }

    fn plain(path: &str, content: &str) -> Source {
        source(path, SourceKind::File { digest: Digest::of(content.as_bytes()) })
    }

    fn link(path: &str, target: &str, behind: Behind) -> Source {
        source(path, SourceKind::Link { target: target.into(), behind })
    }

    /// `path`, `path/` for a folder, `path -> target` for a symlink.
    fn laid(sources: &[Source]) -> Vec<String> {
        let mut all = BTreeMap::new();
        add_sources(&mut all, sources);
        let shown = |(path, kind): (&WsPath, &EntryKind)| match kind {
            EntryKind::File { .. } => path.as_str().to_owned(),
            EntryKind::Folder => format!("{path}/"),
            EntryKind::Link { target } => format!("{path} -> {target}"),
        };
        all.iter().map(shown).collect()
    }

    #[test]
    fn a_symlink_stays_one_where_its_target_comes_along() {
        let behind = Behind::File(Digest::of(b"a"));
        assert_eq!(laid(&[link("l", "src/a", behind), plain("src/a", "a")]), ["l -> src/a", "src/a"]);
        assert_eq!(laid(&[link("l", "src/a", behind)]), ["l"], "the target is no source");
        assert_eq!(laid(&[link("l", "/abs/a", behind)]), ["l"]);
        assert_eq!(laid(&[link("l", "../a", behind)]), ["l"], "outside");
        assert_eq!(laid(&[link("l", "gone", Behind::Nothing)]), ["l -> gone"]);
    }

    #[test]
    fn a_symlink_to_a_folder_is_the_folder_unless_all_of_it_comes_along() {
        let whole = [link("l", "src", Behind::Folder), plain("l/a", "a"), plain("l/b", "b")];
        assert_eq!(laid(&whole), ["l/a", "l/b"]);
        let with = |more: &[Source]| laid(&[&whole[..], more].concat());
        assert_eq!(with(&[plain("src/a", "a"), plain("src/b", "b")]), ["l -> src", "src/a", "src/b"]);
        assert_eq!(with(&[plain("src/a", "a")]), ["l/a", "l/b", "src/a"]);
        assert_eq!(with(&[plain("src/a", "a"), plain("src/b", "other")]), ["l/a", "l/b", "src/a", "src/b"]);
        assert_eq!(with(&[plain("src/a", "a"), plain("src/b", "b"), plain("src/c", "c")])[0], "l/a");
        assert_eq!(laid(&[link("l", "src", Behind::Folder)]), ["l/"], "empty");
    }

    #[test]
    fn only_the_outermost_outputs_are_asked_for() {
        let paths = ["out/a", "b", "out", "outer", "b"].map(WsPath::from_clean).to_vec();
        assert_eq!(outermost(paths), ["b", "out", "outer"].map(WsPath::from_clean));
    }
}
