//! The keys outside tasks: top level, settings, policy, profiles.

use super::edges::{ENV, STRINGS, TEXT};
use super::keys::{Key, Only, Scope, Set, Shape};
use super::task_values::argv;
use super::values::Reader;
use super::{Policy, Settings};
use std::time::Duration;
use toml::de::DeValue;

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// `version`.
    Version,
    /// `include`.
    Include,
    /// `[settings]`.
    Settings,
    /// `[policy]`.
    Policy,
    /// `[env]`.
    Env,
    /// `[remote]`.
    Remote,
    /// `[db]`.
    Db,
    /// `[structural]`.
    Structural,
    /// `[profile]`.
    Profile,
    /// `[tasks]`.
    Tasks,
}

/// A whole file.
pub(super) static FILE: Scope<Part> = Scope {
    what: "tasks.toml",
    keys: &[
        Key::new(
            "version",
            Shape::Number(1),
            "1",
            "The version of the format: 1. Required in the root's file.",
            Part::Version,
        ),
        Key::new(
            "include",
            STRINGS,
            "[\"infra/tasks.toml\", \"services/*/tasks.toml\"]",
            "Files whose tasks and variables are brought in, as paths or globs relative to this file. Their tasks' names get their folder in front: `services/api:test`.",
            Part::Include,
        ),
        Key::new(
            "settings",
            Shape::Table("settings"),
            "{ jobs = 4 }",
            "How tasks run. Only in the root's file.",
            Part::Settings,
        )
        .only(Only::Root),
        Key::new(
            "policy",
            Shape::Table("policy"),
            "{ entry = [\"check\"] }",
            "What `weir tasks deps check` holds the graph to. Only in the root's file.",
            Part::Policy,
        )
        .only(Only::Root),
        Key::new(
            "env",
            ENV,
            "{ RUST_BACKTRACE = 1 }",
            "Variables of every task, here and in included files; part of every key.",
            Part::Env,
        ),
        Key::new(
            "db",
            Shape::Map(&Shape::Table("database")),
            "{ app = { provider = \"local\" } }",
            "The databases, by name. Only in the root's file.",
            Part::Db,
        )
        .only(Only::Root),
        Key::new(
            "remote",
            Shape::Table("remote"),
            "{ endpoint = \"grpcs://cache.example:443\" }",
            "The server that results are shared through: any that speaks Bazel's Remote Execution API. Only in the root's file.",
            Part::Remote,
        )
        .only(Only::Root),
        Key::new(
            "structural",
            Shape::Table("structural"),
            "{ base = \"main\" }",
            "What the structural-change rule is told. Only in the root's file.",
            Part::Structural,
        )
        .only(Only::Root),
        Key::new(
            "profile",
            Shape::Map(&Shape::Table("profile")),
            "{ ci = { env = { LOG = \"debug\" } } }",
            "What differs in a profile, by its name.",
            Part::Profile,
        ),
        Key::new(
            "tasks",
            Shape::Map(&Shape::Table("task")),
            "{ build = { run = \"make\" } }",
            "The tasks, by name.",
            Part::Tasks,
        ),
    ],
    unbuilt: &[],
};

/// `[profile.NAME]`.
pub(super) static PROFILE: Scope<Part> = Scope {
    what: "a profile",
    keys: &[
        Key::new(
            "settings",
            Shape::Table("settings"),
            "{ timeout = \"1h\" }",
            "Settings that replace the file's. Only in the root's file.",
            Part::Settings,
        )
        .only(Only::Root),
        Key::new("env", ENV, "{ LOG = \"debug\" }", "Variables beside and over those of `[env]`.", Part::Env),
        Key::new(
            "db",
            Shape::Map(&Shape::Table("database")),
            "{ app = { provider = \"url\" } }",
            "Keys that replace those of the file's databases. Only in the root's file.",
            Part::Db,
        )
        .only(Only::Root),
        Key::new(
            "remote",
            Shape::Table("remote"),
            "{ mode = \"read-write\" }",
            "Keys that replace those of the file's `[remote]`. Only in the root's file.",
            Part::Remote,
        )
        .only(Only::Root),
        Key::new(
            "tasks",
            Shape::Map(&Shape::Table("task")),
            "{ test = { timeout = \"1h\" } }",
            "Keys that replace those of this file's tasks; `env` is merged, and `run`, `exec` and `sequence` replace each other.",
            Part::Tasks,
        ),
    ],
    unbuilt: &[],
};

/// Settings while they are read.
#[derive(Debug, Clone)]
pub(super) struct SettingsDraft {
    /// None: as many as there are cores.
    pub(super) jobs: Option<u32>,
    /// Not empty.
    pub(super) shell: Vec<String>,
    /// Of a task that names none; none: the default.
    pub(super) timeout: Option<Duration>,
}

/// The timeout of a task where neither it nor the settings name one.
const TIMEOUT: Duration = Duration::from_secs(30 * 60);

impl SettingsDraft {
    /// What holds, defaults filled in.
    pub(super) fn settled(&self) -> Settings {
        Settings { jobs: self.jobs, timeout: self.timeout.unwrap_or(TIMEOUT), bounded: self.timeout.is_some() }
    }
}

impl Default for SettingsDraft {
    fn default() -> Self {
        Self { jobs: None, shell: ["bash", "-euo", "pipefail", "-c"].map(str::to_owned).to_vec(), timeout: None }
    }
}

const fn setting(
    name: &'static str,
    shape: Shape,
    example: &'static str,
    doc: &'static str,
    read: Set<SettingsDraft>,
) -> Key<Set<SettingsDraft>> {
    Key::new(name, shape, example, doc, read)
}

/// `[settings]`.
pub(super) static SETTINGS: Scope<Set<SettingsDraft>> = Scope {
    what: "`[settings]`",
    keys: &[
        setting(
            "jobs",
            Shape::Any(&[Shape::Words(&["cores"]), Shape::Count]),
            "\"cores\"",
            "How many tasks run at once: `\"cores\"`, the default, or a number; `-j` on the command line.",
            |settings, reader, entry| match entry.value.get_ref() {
                DeValue::String(_) => {
                    if reader.choice(entry.value, &[("cores", ())]).is_some() {
                        settings.jobs = None;
                    }
                }
                DeValue::Integer(_) => settings.jobs = reader.count(entry.value).or(settings.jobs),
                _ => reader.wrong_type(entry.value, "`\"cores\"` or a positive integer"),
            },
        ),
        setting(
            "shell",
            Shape::List(&TEXT, true),
            "[\"bash\", \"-euo\", \"pipefail\", \"-c\"]",
            "The program and arguments that a `run` string is appended to; the example is the default.",
            |settings, reader, entry| {
                if let Some(shell) = argv(reader, entry, "`shell`") {
                    settings.shell = shell;
                }
            },
        ),
        setting(
            "timeout",
            Shape::Duration,
            "\"30m\"",
            "The timeout of a task that names none; 30 minutes by default.",
            |settings, reader, entry| {
                settings.timeout = reader.duration(entry.value).or(settings.timeout);
            },
        ),
    ],
    unbuilt: &[],
};

/// `[policy]`.
pub(super) static POLICY: Scope<Set<Policy>> = Scope {
    what: "`[policy]`",
    keys: &[
        Key::<Set<Policy>>::new(
            "entry",
            STRINGS,
            "[\"check\"]",
            "Entry tasks: gates, tests and lints must be reachable from here.",
            |policy, reader, entry| {
                policy.entry = reader.strings(entry.value, Reader::located).unwrap_or_default();
            },
        ),
        Key::<Set<Policy>>::new(
            "sources",
            Shape::Words(&["require", "allow"]),
            "\"require\"",
            "`\"require\"`: every `run` declares sources, or `cache = false`.",
            |policy, reader, entry| {
                policy.require_sources =
                    reader.choice(entry.value, &[("require", true), ("allow", false)]).unwrap_or_default();
            },
        ),
        Key::<Set<Policy>>::new(
            "outputs",
            Shape::Duration,
            "\"10s\"",
            "A task slower than this wants `outputs`.",
            |policy, reader, entry| {
                policy.outputs_after = reader.duration(entry.value);
            },
        ),
    ],
    unbuilt: &[],
};
