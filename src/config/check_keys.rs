//! The keys of the parameters of the ready-made checks.

use super::check::{Allowance, Eol, Selector, ValuePlace};
use super::diagnostic::{At, Located};
use super::edges::{STRINGS, TEXT};
use super::keys::{Key, Scope, Set, Shape};
use super::pattern::{Pattern, build_glob};
use super::uses::With;
use super::values::{Entry, Reader, Value};
use crate::model::WsPath;

const FILES: Shape = Shape::Any(&[Shape::Text("path or glob"), Shape::List(&Shape::Text("path or glob"), false)]);

const fn parameter(
    name: &'static str,
    shape: Shape,
    example: &'static str,
    doc: &'static str,
    read: Set<With>,
) -> Key<Set<With>> {
    Key::new(name, shape, example, doc, read)
}

const fn scope(what: &'static str, keys: &'static [Key<Set<With>>]) -> Scope<Set<With>> {
    Scope { what, keys, unbuilt: &[] }
}

/// Patterns, at least one.
fn files(reader: &mut Reader<'_>, entry: Entry<'_, '_>, name: &str) -> Vec<Located<Pattern>> {
    let files = reader.strings(entry.value, Reader::pattern).unwrap_or_default();
    reader.not_empty(entry.value, &format!("`{name}`"), files).unwrap_or_default()
}

/// A regular expression.
fn regex(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Located<String>> {
    let text = reader.located(value)?;
    is_regex(reader, &text.value, text.at).then_some(text)
}

fn is_regex(reader: &mut Reader<'_>, text: &str, at: At) -> bool {
    let Err(error) = regex::Regex::new(text) else { return true };
    let said = error.to_string();
    // The library draws the expression over several lines; the last one says what is wrong.
    let why = said.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
    reader.bad_value(
        at,
        format!("`{text}` is no regular expression: {why}"),
        "a `\\` before a special character takes its meaning away; in TOML a literal string, `'…'`, keeps it",
    );
    false
}

/// Of `check.graph`.
pub(super) static GRAPH: Scope<Set<With>> = scope(
    "`with` of `check.graph`",
    &[parameter("strict", Shape::Bool, "true", "Warnings fail it too.", |with, reader, entry| {
        with.check.strict = reader.boolean(entry.value).unwrap_or_default();
    })],
);

/// Of `check.forbid`.
pub(super) static FORBID: Scope<Set<With>> = scope(
    "`with` of `check.forbid`",
    &[
        parameter(
            "patterns",
            STRINGS,
            "['\\.unwrap\\(\\)', 'TODO']",
            "Regular expressions that no line of the files may match.",
            |with, reader, entry| {
                let all = reader.strings(entry.value, regex).unwrap_or_default();
                with.check.patterns = reader.not_empty(entry.value, "`patterns`", all).unwrap_or_default();
            },
        )
        .required(),
        parameter("files", FILES, "[\"src/**/*.rs\"]", "The files it looks at.", |with, reader, entry| {
            with.files = files(reader, entry, "files");
        })
        .required(),
        parameter(
            "unless",
            Shape::Text("regular expression"),
            "'// checked: '",
            "A line that matches this may stay.",
            |with, reader, entry| with.check.unless = regex(reader, entry.value),
        ),
        parameter(
            "allow",
            Shape::List(&Shape::Table("allowance"), false),
            "[{ files = \"src/old/**\", reason = \"rewritten next\", expires = \"2027-01-31\" }]",
            "Where it is allowed all the same, why, and until when.",
            |with, reader, entry| {
                with.check.allow = reader.list(entry.value, "a list of tables", allowance).unwrap_or_default();
            },
        ),
    ],
);

/// An entry of `allow`.
pub(super) static ALLOWANCE: Scope<Set<Allowance>> = Scope {
    what: "an allowance",
    keys: &[
        Key::<Set<Allowance>>::new("files", FILES, "\"src/old/**\"", "The files.", |allowance, reader, entry| {
            allowance.files = files(reader, entry, "files");
        })
        .required(),
        Key::<Set<Allowance>>::new("reason", TEXT, "\"rewritten next\"", "Why.", |allowance, reader, entry| {
            allowance.reason = reader.text(entry.value).unwrap_or_default();
        })
        .required(),
        Key::<Set<Allowance>>::new(
            "expires",
            Shape::Text("date"),
            "\"2027-01-31\"",
            "The last day it holds, in UTC.",
            |allowance, reader, entry| {
                let Some(date) = reader.located(entry.value) else { return };
                if is_date(&date.value) {
                    allowance.expires = Some(date.value);
                } else {
                    reader.bad_value(
                        date.at,
                        format!("`{}` is no date", date.value),
                        "write `YYYY-MM-DD`, a day that there is",
                    );
                }
            },
        ),
    ],
    unbuilt: &[],
};

fn allowance(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Allowance> {
    let table = reader.table(value)?;
    let at = reader.at(value.span());
    let mut allowance = Allowance { at, files: vec![], reason: String::new(), expires: None };
    ALLOWANCE.read(reader, table, at, &mut allowance);
    Some(allowance)
}

/// `YYYY-MM-DD`, a day that there is.
fn is_date(text: &str) -> bool {
    text.len() == 10 && humantime::parse_rfc3339(&format!("{text}T00:00:00Z")).is_ok()
}

/// Of `check.same`.
pub(super) static SAME: Scope<Set<With>> = scope(
    "`with` of `check.same`",
    &[parameter(
        "values",
        STRINGS,
        "[\"Cargo.toml#package.version\", \"README.md~/version: (.+)/\"]",
        "Places that must hold the same value: `FILE#key.of.key` in TOML, JSON or YAML, or `FILE~/regular expression/`, of which the first group counts.",
        |with, reader, entry| {
            let all = reader.strings(entry.value, value_place).unwrap_or_default();
            let count = entry.value.get_ref().as_array().map_or(1, |array| array.len());
            if count < 2 {
                let at = reader.at(entry.value.span());
                reader.bad_value(at, "one value is always the same as itself", "name at least two places");
            }
            with.check.values = all;
        },
    )
    .required()],
);

fn value_place(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Located<ValuePlace>> {
    let text = reader.located(value)?;
    let help = "write `FILE#key.of.key` or `FILE~/regular expression/`";
    let (file, selector) = match (text.value.split_once("~/"), text.value.split_once('#')) {
        (Some((file, rest)), _) => {
            let Some(expression) = rest.strip_suffix('/').filter(|expression| !expression.is_empty()) else {
                reader.bad_value(text.at, format!("`{}` has no `/` at its end", text.value), help);
                return None;
            };
            if !is_regex(reader, expression, text.at) {
                return None;
            }
            (file, Selector::Regex(expression.to_owned()))
        }
        (None, Some((file, keys))) => match split_keys(keys) {
            Some(keys) => {
                let known = [".toml", ".json", ".yml", ".yaml", ".lock"];
                if !known.iter().any(|extension| file.ends_with(extension)) {
                    reader.bad_value(
                        text.at,
                        format!("`{file}` is not known to be TOML, JSON or YAML"),
                        "its name must end in `.toml`, `.json`, `.yml` or `.yaml`; `FILE~/regular expression/` reads any text",
                    );
                    return None;
                }
                (file, Selector::Keys(keys))
            }
            None => {
                reader.bad_value(text.at, format!("`{keys}` is no way to a key"), help);
                return None;
            }
        },
        (None, None) => {
            reader.bad_value(text.at, format!("`{}` does not say where in the file", text.value), help);
            return None;
        }
    };
    match WsPath::resolve(reader.folder, file) {
        Ok(file) if !file.is_root() => Some(Located::new(ValuePlace { file, selector, text: text.value }, text.at)),
        _ => {
            reader.bad_value(text.at, format!("`{file}` is no file in the workspace"), help);
            None
        }
    }
}

/// `a."b.c".0` → `a`, `b.c`, `0`.
fn split_keys(text: &str) -> Option<Vec<String>> {
    let mut keys = Vec::new();
    let mut rest = text;
    loop {
        let (key, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let end = quoted.find('"')?;
                (&quoted[..end], &quoted[end + 1..])
            }
            None => rest.split_at(rest.find('.').unwrap_or(rest.len())),
        };
        if key.is_empty() {
            return None;
        }
        keys.push(key.to_owned());
        if after.is_empty() {
            return Some(keys);
        }
        rest = after.strip_prefix('.')?;
    }
}

/// Of `check.exists`.
pub(super) static EXISTS: Scope<Set<With>> = scope(
    "`with` of `check.exists`",
    &[
        parameter(
            "files",
            FILES,
            "[\"LICENSE\", \"scripts/*.sh\"]",
            "Each of these must match a file.",
            |with, reader, entry| with.files = files(reader, entry, "files"),
        )
        .required(),
        parameter(
            "executable",
            Shape::Bool,
            "true",
            "Whether they must have a run bit, or must not.",
            |with, reader, entry| with.check.executable = reader.boolean(entry.value),
        ),
        parameter(
            "eol",
            Shape::Words(&["lf", "crlf"]),
            "\"lf\"",
            "How their lines must end.",
            |with, reader, entry| {
                with.check.eol = reader.choice(entry.value, &[("lf", Eol::Lf), ("crlf", Eol::Crlf)]);
            },
        ),
    ],
);

/// Of `check.branch`.
pub(super) static BRANCH: Scope<Set<With>> = scope(
    "`with` of `check.branch`",
    &[
        parameter(
            "forbid",
            STRINGS,
            "[\"main\", \"release/*\"]",
            "Branches that nobody works on directly, as names or globs.",
            |with, reader, entry| {
                with.check.forbid = reader.strings(entry.value, branch_glob).unwrap_or_default();
            },
        ),
        parameter(
            "no_merges_from",
            TEXT,
            "\"main\"",
            "The work since this branch holds no merge of it: it was rebased.",
            |with, reader, entry| with.check.no_merges_from = reader.located(entry.value),
        ),
        parameter(
            "up_to_date_with",
            TEXT,
            "\"origin/main\"",
            "HEAD holds all commits of this branch.",
            |with, reader, entry| with.check.up_to_date_with = reader.located(entry.value),
        ),
    ],
);

fn branch_glob(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Located<String>> {
    let text = reader.located(value)?;
    if let Err(why) = build_glob(&text.value) {
        reader.bad_value(
            text.at,
            format!("`{}` is no valid glob: {}", text.value, why.kind()),
            "write a name or a glob",
        );
        return None;
    }
    Some(text)
}

/// Of `check.cochange`.
pub(super) static COCHANGE: Scope<Set<With>> = scope(
    "`with` of `check.cochange`",
    &[
        parameter(
            "when",
            FILES,
            "[\"src/api/**\"]",
            "A change that touches one of these must touch one of `require`.",
            |with, reader, entry| {
                with.check.when = files(reader, entry, "when");
            },
        )
        .required(),
        parameter("require", FILES, "[\"CHANGELOG.md\"]", "What it must touch one of.", |with, reader, entry| {
            with.check.require = files(reader, entry, "require");
        })
        .required(),
        parameter(
            "base",
            TEXT,
            "\"main\"",
            "The branch that the change is seen against; `main` by default.",
            |with, reader, entry| with.check.base = reader.located(entry.value),
        ),
    ],
);

/// Of `check.drift`.
pub(super) static DRIFT: Scope<Set<With>> = scope(
    "`with` of `check.drift`",
    &[
        parameter(
            "command",
            TEXT,
            "\"scripts/generate\"",
            "The generator, given to the shell in a scratch copy of the workspace.",
            |with, reader, entry| with.check.command = reader.located(entry.value),
        ),
        parameter("outputs", FILES, "[\"src/generated\"]", "What it makes.", |with, reader, entry| {
            with.check.outputs = files(reader, entry, "outputs");
        }),
        parameter(
            "clean",
            Shape::Bool,
            "false",
            "Whether the copy has none of `outputs` when the generator starts, so that what it no longer makes is found; `true` by default. `false` is for one that changes files in place.",
            |with, reader, entry| with.check.clean = reader.boolean(entry.value),
        ),
        parameter(
            "lock",
            Shape::Text("path"),
            "\"generated.lock\"",
            "In place of a generator: a file of SHA-256 digests and paths, as `sha256sum` writes it, committed by whoever owns the generator.",
            |with, reader, entry| {
                let at = reader.at(entry.value.span());
                with.check.lock = reader.path(entry.value).map(|path| Located::new(path, at));
            },
        ),
    ],
);
