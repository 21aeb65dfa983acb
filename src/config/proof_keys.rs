//! The keys of the parameters of `proof.crash`.

use super::diagnostic::{At, Diagnostic};
use super::edges::{TEXT, task_reference};
use super::keys::{Key, Scope, Set, Shape};
use super::proof::{After, Settle, Sign};
use super::uses::With;
use super::values::{Reader, Value};
use std::time::Duration;
use toml::de::DeValue;

/// How long a sign is waited for where no `timeout` says.
const SIGN_TIMEOUT: Duration = Duration::from_secs(30);

const AFTER: Shape = Shape::Any(&[Shape::Duration, Shape::Table("after")]);

const fn parameter(
    name: &'static str,
    shape: Shape,
    example: &'static str,
    doc: &'static str,
    read: Set<With>,
) -> Key<Set<With>> {
    Key::new(name, shape, example, doc, read)
}

/// Of `proof.crash`.
pub(super) static CRASH: Scope<Set<With>> = Scope {
    what: "`with` of `proof.crash`",
    keys: &[
        parameter(
            "service",
            Shape::Text("task"),
            "\"server\"",
            "The task with `service` that is crashed. Each attempt starts one of its own; the commands of the proof see what it sees: its folder, shell, variables, ports and databases.",
            |with, reader, entry| {
                let at = reader.at(entry.value.span());
                let Some(name) = task_reference(reader, entry.value) else { return };
                if name.contains(['*', '?', '[', ']', '{', '}', '\\']) {
                    reader.bad_value(at, format!("`{name}` may be several tasks"), "name the one service that is crashed");
                    return;
                }
                with.proof.service = Some(super::Located::new(name, at));
            },
        )
        .required(),
        parameter(
            "trigger",
            TEXT,
            "\"curl --fail -X POST localhost:$PORT/work/$WEIR_ATTEMPT_ID\"",
            "The command that has the service begin its work, once it is ready. `$WEIR_ATTEMPT_ID` is of this attempt alone.",
            |with, reader, entry| with.proof.trigger = reader.located(entry.value),
        )
        .required(),
        parameter(
            "kill",
            Shape::Words(&["KILL", "TERM", "INT", "HUP", "QUIT"]),
            "\"TERM\"",
            "The signal that every process of the service gets; `KILL` by default.",
            |with, reader, entry| {
                let words = ["KILL", "TERM", "INT", "HUP", "QUIT"].map(|word| (word, word));
                with.proof.kill = reader.choice(entry.value, &words).map(str::to_owned);
            },
        ),
        parameter(
            "after",
            AFTER,
            "{ command = \"test -e first-step-done\" }",
            "When the crash comes: this long after the trigger has ended, or as soon as a sign shows how far the work is. At once by default.",
            |with, reader, entry| with.proof.after = after(reader, entry.value).unwrap_or_default(),
        ),
        parameter(
            "settle",
            Shape::Table("settle"),
            "{ command = \"cat marks\", equals = \"s1 s2\" }",
            "What is polled once the service is ready again, and what it must come to.",
            |with, reader, entry| {
                let Some(table) = reader.table(entry.value) else { return };
                let at = reader.at(entry.value.span());
                let settle = &mut with.proof.settle;
                SETTLE.read(reader, table, at, settle);
                if settle.stable >= settle.timeout {
                    let message = "`stable` is no shorter than `timeout`: nothing can stay so long within it";
                    reader.bad_value(at, message, "make `timeout` longer, or `stable` shorter");
                }
            },
        )
        .required(),
        parameter(
            "assert",
            TEXT,
            "\"test \\\"$(cat status)\\\" = SUCCESS\"",
            "A command that judges in the end, while the service is still up.",
            |with, reader, entry| with.proof.assert = reader.located(entry.value),
        ),
    ],
    unbuilt: &[],
};

/// `settle`.
pub(super) static SETTLE: Scope<Set<Settle>> = Scope {
    what: "`settle`",
    keys: &[
        Key::<Set<Settle>>::new(
            "command",
            TEXT,
            "\"cat marks\"",
            "The command whose output is looked at, ten times a second. Its error output does not count; where it fails, nothing is settled.",
            |settle, reader, entry| settle.command = reader.text(entry.value).unwrap_or_default(),
        )
        .required(),
        Key::<Set<Settle>>::new(
            "equals",
            TEXT,
            "\"s1 s2\"",
            "What it must print; blanks and line ends around it do not count.",
            |settle, reader, entry| {
                settle.equals = reader.string(entry.value).unwrap_or_default().trim().to_owned();
            },
        )
        .required(),
        Key::<Set<Settle>>::new(
            "stable",
            Shape::Duration,
            "\"2s\"",
            "How long it must go on printing that, 1 s by default.",
            |settle, reader, entry| {
                if let Some(stable) = reader.duration(entry.value) {
                    settle.stable = stable;
                }
            },
        ),
        Key::<Set<Settle>>::new(
            "timeout",
            Shape::Duration,
            "\"1m\"",
            "How long all that may take, 30 s by default.",
            |settle, reader, entry| {
                let Some(timeout) = reader.duration(entry.value) else { return };
                settle.timeout = timeout;
            },
        ),
    ],
    unbuilt: &[],
};

/// `after` as a table, while it is read.
#[derive(Default)]
pub(super) struct Aim {
    signs: Vec<(&'static str, At, Sign)>,
    timeout: Option<Duration>,
}

/// `{ command | log, timeout }`.
pub(super) static AIM: Scope<Set<Aim>> = Scope {
    what: "`after`",
    keys: &[
        Key::<Set<Aim>>::new(
            "command",
            TEXT,
            "\"test -e first-step-done\"",
            "The crash comes as soon as this command succeeds; it is tried twenty times a second.",
            |aim, reader, entry| {
                if let Some(text) = reader.text(entry.value) {
                    aim.signs.push(("command", entry.key, Sign::Command(text)));
                }
            },
        ),
        Key::<Set<Aim>>::new(
            "log",
            Shape::Text("regular expression"),
            "\"step 1 done\"",
            "The crash comes as soon as a line that the service prints after the trigger was started matches this.",
            |aim, reader, entry| {
                let Some(text) = reader.located(entry.value) else { return };
                if let Err(error) = regex::Regex::new(&text.value) {
                    let said = error.to_string();
                    let why = said.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                    let help = "a `\\` before a special character takes its meaning away; in TOML a literal string, `'…'`, keeps it";
                    return reader.bad_value(
                        text.at,
                        format!("`{}` is no regular expression: {why}", text.value),
                        help,
                    );
                }
                aim.signs.push(("log", entry.key, Sign::Log(text.value)));
            },
        ),
        Key::<Set<Aim>>::new(
            "timeout",
            Shape::Duration,
            "\"10s\"",
            "How long that is waited for, 30 s by default.",
            |aim, reader, entry| aim.timeout = reader.duration(entry.value),
        ),
    ],
    unbuilt: &[],
};

fn after(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<After> {
    match value.get_ref() {
        DeValue::String(_) => reader.duration(value).map(After::Time),
        DeValue::Table(table) => {
            let at = reader.at(value.span());
            let errors = reader.diagnostics.len();
            let mut aim = Aim::default();
            AIM.read(reader, table, at, &mut aim);
            let mut signs = aim.signs.into_iter();
            let Some((_, _, sign)) = signs.next() else {
                if reader.diagnostics.len() == errors {
                    reader.report(
                        Diagnostic::error("config::missing-key", at, "`after` does not say what is waited for")
                            .help("give it `command` or `log`; for a time write `after = \"500ms\"`"),
                    );
                }
                return None;
            };
            if let Some((second, second_at, _)) = signs.next() {
                reader.report(
                    Diagnostic::error(
                        "config::conflict",
                        second_at,
                        format!("`after` has `{second}` beside another sign"),
                    )
                    .help("keep one of them: the crash comes at one moment"),
                );
            }
            Some(After::Seen { sign, timeout: aim.timeout.unwrap_or(SIGN_TIMEOUT) })
        }
        _ => {
            reader.wrong_type(value, "a duration or a table");
            None
        }
    }
}
