//! `[profile.NAME]`: what lies over the rest of its file.

use super::diagnostic::{Diagnostic, did_you_mean};
use super::keys::Only;
use super::scopes::{PROFILE, Part};
use super::values::{Entry, Reader, Value, in_order};
use rustc_hash::FxHashMap;
use toml::de::DeTable;

/// One profile's parts in one file.
pub(super) struct Profile<'v, 'i> {
    /// How strong it is: its place among those in force; none: not in force.
    pub(super) strength: Option<usize>,
    /// `settings`.
    pub(super) settings: Option<Entry<'v, 'i>>,
    /// `env`.
    pub(super) env: Option<Entry<'v, 'i>>,
    /// `remote`.
    pub(super) remote: Option<Entry<'v, 'i>>,
    /// `db`.
    pub(super) db: Option<Entry<'v, 'i>>,
    /// `tasks`.
    pub(super) tasks: Option<Entry<'v, 'i>>,
}

/// The profiles of a file.
pub(super) fn profiles_of<'v, 'i>(
    reader: &mut Reader<'_>,
    entry: Entry<'v, 'i>,
    is_root: bool,
) -> Vec<Profile<'v, 'i>> {
    let Some(table) = reader.table(entry.value) else {
        return vec![];
    };
    let mut profiles = Vec::new();
    for (name, value) in in_order(table) {
        let at = reader.at(name.span());
        let name = name.get_ref().as_ref();
        if name == "default" {
            let help = "`default` stands for every other profile in `on_fail`; put these keys outside `[profile]`";
            reader.report(Diagnostic::error("config::bad-name", at, "a profile can't be called `default`").help(help));
        }
        reader.known_profiles.insert(name.to_owned());
        reader.about = Some(entry.info);
        let Some(table) = reader.table(value) else {
            continue;
        };
        let strength = reader.profiles.iter().rposition(|in_force| in_force == name);
        let mut profile = Profile { strength, settings: None, env: None, remote: None, db: None, tasks: None };
        for matched in PROFILE.entries(reader, table, at) {
            if matched.key.info.only == Only::Root && !is_root {
                let message = format!("`{}` in a profile of an included file", matched.key.info.name);
                reader.report(
                    Diagnostic::error("config::root-only", matched.entry.key, message)
                        .help("move it to the `tasks.toml` of the workspace root"),
                );
                continue;
            }
            match matched.key.read {
                Part::Settings => profile.settings = Some(matched.entry),
                Part::Env => profile.env = Some(matched.entry),
                Part::Remote => profile.remote = Some(matched.entry),
                Part::Db => profile.db = Some(matched.entry),
                Part::Tasks => profile.tasks = Some(matched.entry),
                Part::Version | Part::Include | Part::Policy | Part::Structural | Part::Profile => {}
            }
        }
        profiles.push(profile);
    }
    profiles
}

/// One part of each profile and whether it is in force: those that are not first, then those that
/// are, weakest first.
pub(super) fn by_strength<'v, 'i>(
    profiles: &[Profile<'v, 'i>],
    part: impl Fn(&Profile<'v, 'i>) -> Option<Entry<'v, 'i>>,
) -> Vec<(Entry<'v, 'i>, bool)> {
    let mut sorted: Vec<&Profile<'v, 'i>> = profiles.iter().collect();
    sorted.sort_by_key(|profile| profile.strength);
    sorted.into_iter().filter_map(|profile| part(profile).map(|entry| (entry, profile.strength.is_some()))).collect()
}

/// The tables that profiles lay over tasks, by the task's local name, each with whether it is in
/// force; weakest first.
pub(super) fn overlays<'v, 'i>(
    reader: &mut Reader<'_>,
    profiles: &[Profile<'v, 'i>],
    tasks: Option<&DeTable<'_>>,
) -> FxHashMap<String, Vec<(&'v Value<'i>, bool)>> {
    let mut overlays: FxHashMap<String, Vec<_>> = FxHashMap::default();
    for (entry, in_force) in by_strength(profiles, |profile| profile.tasks) {
        reader.about = Some(entry.info);
        let Some(table) = reader.table(entry.value) else {
            continue;
        };
        for (name, value) in table {
            let local = name.get_ref().as_ref();
            if tasks.is_some_and(|tasks| tasks.contains_key(local)) {
                overlays.entry(local.to_owned()).or_default().push((value, in_force));
                continue;
            }
            let at = reader.at(name.span());
            let known = tasks.into_iter().flat_map(|tasks| tasks.keys().map(|key| key.get_ref().as_ref()));
            let help = did_you_mean(local, known).map_or_else(
                || "a profile changes tasks of its own file; declare the task there".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            reader.report(
                Diagnostic::error("config::unknown-task", at, format!("this file has no task `{local}`")).help(help),
            );
        }
    }
    overlays
}
