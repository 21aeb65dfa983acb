//! One file's own parts: version, settings, policy, variables, profiles, tasks, includes.

use super::database_keys::DB;
use super::diagnostic::{Diagnostic, Located};
use super::keys::{Matched, Only};
use super::profile::{Profile, by_strength, overlays, profiles_of};
use super::remote::{REMOTE, Remote, check_remote};
use super::scopes::{FILE, POLICY, Part, SETTINGS, SettingsDraft};
use super::structural::{STRUCTURAL, Structural};
use super::task_keys::Draft;
use super::task_values::check_name;
use super::values::{Entry, Reader, in_order};
use super::{Database, Policy, Task};
use crate::model::TaskName;
use std::collections::BTreeMap;
use toml::de::{DeTable, DeValue};

/// What only the root's file says.
#[derive(Default)]
pub(super) struct RootParts {
    /// `[settings]`, profiles applied.
    pub(super) settings: SettingsDraft,
    /// `[policy]`.
    pub(super) policy: Policy,
    /// `[db]`, profiles applied.
    pub(super) databases: Vec<Database>,
    /// `[structural]`.
    pub(super) structural: Structural,
    /// `[remote]`, profiles applied.
    pub(super) remote: Remote,
}

/// The variables a file takes from the files that include it.
#[derive(Default, Clone)]
pub(super) struct Inherited {
    /// Of `[env]`.
    env: BTreeMap<String, String>,
    /// Of the profiles in force, which are stronger than any `[env]`.
    profile_env: BTreeMap<String, String>,
}

/// What a file says for itself.
pub(super) struct FileParts {
    /// `include`.
    pub(super) includes: Vec<Located<String>>,
    /// Its tasks, in order.
    pub(super) tasks: Vec<Task>,
}

/// Reads a file's tree; its variables are added to those inherited.
pub(super) fn read_parts(
    reader: &mut Reader<'_>,
    table: &DeTable<'_>,
    root: &mut RootParts,
    inherited: &mut Inherited,
) -> FileParts {
    let is_root = reader.file.0 == 0;
    let start = reader.at(0..0);
    let matched = FILE.entries(reader, table, start);
    let part = |reader: &mut Reader<'_>, wanted: Part| {
        let entry = matched.iter().find(|matched| matched.key.read == wanted).map(|matched| matched.entry);
        reader.about = entry.map(|entry| entry.info);
        entry
    };
    let version = part(reader, Part::Version);
    check_version(reader, version, is_root);
    let includes =
        part(reader, Part::Include).and_then(|entry| reader.strings(entry.value, Reader::located)).unwrap_or_default();
    let profiles = part(reader, Part::Profile).map(|entry| profiles_of(reader, entry, is_root)).unwrap_or_default();
    if is_root {
        let settings = part(reader, Part::Settings);
        read_settings(reader, settings, &profiles, &mut root.settings);
        if let Some(entry) = part(reader, Part::Policy)
            && let Some(table) = reader.table(entry.value)
        {
            POLICY.read(reader, table, entry.key, &mut root.policy);
        }
        if let Some(entry) = part(reader, Part::Structural)
            && let Some(table) = reader.table(entry.value)
        {
            STRUCTURAL.read(reader, table, entry.key, &mut root.structural);
        }
        let remote = part(reader, Part::Remote);
        read_remote(reader, remote, &profiles, &mut root.remote);
        let db = part(reader, Part::Db);
        root.databases = read_databases(reader, db, &profiles);
    } else {
        for matched in &matched {
            refuse_outside_root(reader, matched);
        }
    }
    if let Some(env) = part(reader, Part::Env).and_then(|entry| reader.env(entry.value)) {
        inherited.env.extend(env);
    }
    for (entry, in_force) in by_strength(&profiles, |profile| profile.env) {
        reader.about = Some(entry.info);
        // Read even where the profile is not in force, so that its errors are found.
        let env = reader.env(entry.value);
        if in_force {
            inherited.profile_env.extend(env.unwrap_or_default());
        }
    }
    let mut env = inherited.env.clone();
    env.extend(inherited.profile_env.clone());
    let tasks = part(reader, Part::Tasks).and_then(|entry| reader.table(entry.value));
    let tasks = read_tasks(reader, tasks, &profiles, &env, &root.settings.shell);
    FileParts { includes, tasks }
}

fn check_version(reader: &mut Reader<'_>, entry: Option<Entry<'_, '_>>, is_root: bool) {
    let Some(entry) = entry else {
        if is_root {
            let at = reader.at(0..0);
            reader.report(
                Diagnostic::error("config::missing-version", at, "the file names no `version`")
                    .help("add `version = 1` at the top"),
            );
        }
        return;
    };
    let DeValue::Integer(number) = entry.value.get_ref() else {
        return reader.wrong_type(entry.value, "the number `1`");
    };
    let at = reader.at(entry.value.span());
    match u64::from_str_radix(number.as_str(), number.radix()) {
        Ok(1) => {}
        Ok(2..) => reader.report(
            Diagnostic::error("config::newer-version", at, format!("version `{number}` is written for a newer weir"))
                .help("use a newer weir, or write `version = 1`"),
        ),
        _ => reader.bad_value(at, format!("there is no version `{number}`"), "write `version = 1`"),
    }
}

/// In an included file: parts that only the root's may have.
fn refuse_outside_root(reader: &mut Reader<'_>, matched: &Matched<'_, '_, Part>) {
    if matched.key.info.only == Only::Root {
        let message = format!("`{}` in an included file", matched.key.info.name);
        reader.report(
            Diagnostic::error("config::root-only", matched.entry.key, message)
                .help("move it to the `tasks.toml` of the workspace root"),
        );
    }
}

/// `[settings]`, then those of the profiles in force over it.
fn read_settings(
    reader: &mut Reader<'_>,
    entry: Option<Entry<'_, '_>>,
    profiles: &[Profile<'_, '_>],
    settings: &mut SettingsDraft,
) {
    let mut read = |entry: Entry<'_, '_>, settings: &mut SettingsDraft| {
        reader.about = Some(entry.info);
        if let Some(table) = reader.table(entry.value) {
            SETTINGS.read(reader, table, entry.key, settings);
        }
    };
    if let Some(entry) = entry {
        read(entry, settings);
    }
    for (entry, in_force) in by_strength(profiles, |profile| profile.settings) {
        if in_force {
            read(entry, settings);
        } else {
            read(entry, &mut SettingsDraft::default());
        }
    }
}

/// `[remote]`, then those of the profiles in force over it.
fn read_remote(
    reader: &mut Reader<'_>,
    entry: Option<Entry<'_, '_>>,
    profiles: &[Profile<'_, '_>],
    remote: &mut Remote,
) {
    let mut read = |entry: Entry<'_, '_>, remote: &mut Remote| {
        reader.about = Some(entry.info);
        if let Some(table) = reader.table(entry.value) {
            REMOTE.read(reader, table, entry.key, remote);
        }
    };
    if let Some(entry) = entry {
        read(entry, remote);
    }
    for (entry, in_force) in by_strength(profiles, |profile| profile.remote) {
        if in_force {
            read(entry, remote);
        } else {
            read(entry, &mut remote.clone());
        }
    }
    check_remote(reader, remote);
}

/// `[db]`, then what the profiles in force lay over it.
fn read_databases(
    reader: &mut Reader<'_>,
    entry: Option<Entry<'_, '_>>,
    profiles: &[Profile<'_, '_>],
) -> Vec<Database> {
    let mut databases: Vec<Database> = Vec::new();
    for (name, value) in entry.and_then(|entry| reader.table(entry.value)).map(in_order).unwrap_or_default() {
        let at = reader.at(name.span());
        if !check_name(reader, name.get_ref(), at) {
            continue;
        }
        let mut database = Database::new(name.get_ref(), at);
        if let Some(table) = reader.table(value) {
            DB.read(reader, table, at, &mut database);
        }
        databases.push(database);
    }
    for (entry, in_force) in by_strength(profiles, |profile| profile.db) {
        for (name, value) in reader.table(entry.value).map(in_order).unwrap_or_default() {
            let at = reader.at(name.span());
            let Some(database) = databases.iter_mut().find(|database| database.key == name.get_ref().as_ref()) else {
                reader.report(
                    Diagnostic::error(
                        "config::unknown-database",
                        at,
                        format!("there is no database `{}`", name.get_ref()),
                    )
                    .help("a profile changes databases of `[db]`; declare it there"),
                );
                continue;
            };
            let Some(table) = reader.table(value) else { continue };
            if in_force {
                DB.read(reader, table, at, database);
            } else {
                DB.read(reader, table, at, &mut database.clone());
            }
        }
    }
    check_databases(reader, &databases);
    databases
}

/// Two databases can't be told apart by one variable.
fn check_databases(reader: &mut Reader<'_>, databases: &[Database]) {
    for (index, database) in databases.iter().enumerate() {
        for first in &databases[..index] {
            if first.url_env.value == database.url_env.value {
                let message = format!(
                    "`{}` and `{}` are both named by the variable `{}`",
                    first.key, database.key, database.url_env.value
                );
                let variable = format!("{}_DATABASE_URL", database.key.to_uppercase().replace(['-', '.', ':'], "_"));
                reader.report(
                    Diagnostic::error("config::conflict", database.url_env.at, message)
                        .also(first.url_env.at, "")
                        .help(format!("give one of them its own: `url_env = \"{variable}\"`")),
                );
            }
        }
    }
}

/// The tasks of one file, in order, profiles applied.
fn read_tasks(
    reader: &mut Reader<'_>,
    tasks: Option<&DeTable<'_>>,
    profiles: &[Profile<'_, '_>],
    env: &BTreeMap<String, String>,
    shell: &[String],
) -> Vec<Task> {
    let overlays = overlays(reader, profiles, tasks);
    let prefix = if reader.folder.is_root() { String::new() } else { format!("{}:", reader.folder.as_str()) };
    let mut read = Vec::new();
    for (name, value) in tasks.map(in_order).unwrap_or_default() {
        let at = reader.at(name.span());
        let name = name.get_ref().as_ref();
        check_name(reader, name, at);
        let mut draft = Draft::new(TaskName::new(format!("{prefix}{name}")), at, reader.folder, env);
        draft.read(reader, value);
        for (overlay, in_force) in overlays.get(name).into_iter().flatten() {
            if *in_force {
                draft.read(reader, overlay);
            } else {
                draft.clone().read(reader, overlay);
            }
        }
        // What is no table has been reported, and stands for a task all the same.
        read.push(match value.get_ref() {
            DeValue::Table(_) => draft.finish(reader, shell),
            _ => draft.task,
        });
    }
    read
}
