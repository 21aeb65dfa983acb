//! The keys of `[db.NAME]` and of the tables in it.

use super::database::{
    Database, DatabaseUse, Docker, Document, GateRules, Login, Provider, READY_CHECKS, Relation, ResetScope, RoleRule,
    RowSeed,
};
use super::diagnostic::{At, Diagnostic, Located};
use super::edges::{STRINGS, TEXT, one_or_list};
use super::keys::{Key, Scope, Set, Shape};
use super::values::{Entry, Reader, Value, in_order};
use crate::model::WsPath;
use std::collections::BTreeMap;
use toml::de::{DeTable, DeValue};

const PATH: Shape = Shape::Text("path");
const RELATION: Shape = Shape::Text("name");
const PROVIDERS: [(&str, Provider); 5] = [
    ("auto", Provider::Auto),
    ("url", Provider::Url),
    ("local", Provider::Local),
    ("docker", Provider::Docker),
    ("embedded", Provider::Embedded),
];

const fn key(
    name: &'static str,
    shape: Shape,
    example: &'static str,
    doc: &'static str,
    read: Set<Database>,
) -> Key<Set<Database>> {
    Key::new(name, shape, example, doc, read)
}

/// A path that replaces a default.
fn path(into: &mut Located<WsPath>, reader: &mut Reader<'_>, entry: Entry<'_, '_>) {
    if let Some(path) = reader.path(entry.value) {
        *into = Located::new(path, reader.at(entry.value.span()));
    }
}

/// `[db.NAME]`.
pub(super) static DB: Scope<Set<Database>> = Scope {
    what: "a database",
    keys: &[
        key(
            "provider",
            Shape::Words(&["auto", "url", "local", "docker", "embedded"]),
            "\"local\"",
            "Where its server comes from: `\"auto\"`, the default, takes the first of the others that will do. `\"url\"`: named by the variable in `url_env`; `\"local\"`: a private cluster of the Postgres installed here; `\"docker\"`: `docker compose`; `\"embedded\"`: a private cluster of downloaded binaries.",
            |db, reader, entry| db.provider = reader.choice(entry.value, &PROVIDERS).unwrap_or(Provider::Auto),
        ),
        key("name", TEXT, "\"app\"", "What the server calls it; its name here by default.", |db, reader, entry| {
            if let Some(name) = reader.text(entry.value) {
                db.name = name;
            }
        }),
        key(
            "url_env",
            Shape::Text("variable"),
            "\"DATABASE_URL\"",
            "The variable that names an outside database, and in which tasks are told where it is; `DATABASE_URL` by default.",
            |db, reader, entry| {
                if let Some(name) = reader.located(entry.value)
                    && reader.variable(&name.value, name.at, false)
                {
                    db.url_env = name;
                }
            },
        ),
        key(
            "min_version",
            Shape::Count,
            "15",
            "The oldest major version of the server that will do; 15 by default.",
            |db, reader, entry| db.min_version = reader.count(entry.value).unwrap_or(db.min_version),
        ),
        key(
            "migrations",
            PATH,
            "\"schema/migrations\"",
            "Folder of `NNNN_description.sql`; `schema/migrations` by default.",
            |db, reader, entry| path(&mut db.migrations, reader, entry),
        ),
        key(
            "seeds",
            PATH,
            "\"schema/seeds\"",
            "Folder of seeds, `.sql`, `.csv` and `.jsonl`; `schema/seeds` by default.",
            |db, reader, entry| path(&mut db.seeds, reader, entry),
        ),
        key(
            "baseline",
            PATH,
            "\"schema/baseline.sql\"",
            "The schema in one file, derived from the migrations; `schema/baseline.sql` by default.",
            |db, reader, entry| path(&mut db.baseline, reader, entry),
        ),
        key(
            "checks",
            PATH,
            "\"checks/db\"",
            "Folder of the gate's checks and of function tests; `checks/db` by default.",
            |db, reader, entry| path(&mut db.checks, reader, entry),
        ),
        key(
            "ledger",
            RELATION,
            "\"public.schema_migrations\"",
            "The table that records applied migrations; `public.schema_migrations` by default.",
            |db, reader, entry| {
                if let Some(ledger) = relation(reader, entry.value) {
                    db.ledger = ledger;
                }
            },
        ),
        key(
            "no_tx_marker",
            TEXT,
            "\"weir:no-tx\"",
            "In a comment near the top of a migration: it runs outside a transaction. `weir:no-tx` by default.",
            |db, reader, entry| {
                if let Some(marker) = reader.text(entry.value) {
                    db.no_tx_marker = marker;
                }
            },
        ),
        key(
            "reset",
            Shape::Words(&["schema", "database"]),
            "\"schema\"",
            "What `db.reset` drops: every schema that neither the system nor an extension owns (the default), or the whole database.",
            |db, reader, entry| {
                let words = [("schema", ResetScope::Schema), ("database", ResetScope::Database)];
                db.reset = reader.choice(entry.value, &words).unwrap_or(ResetScope::Schema);
            },
        ),
        key(
            "docker",
            Shape::Table("docker"),
            "{ file = \"infra/docker/compose.yml\", service = \"db\" }",
            "The compose file and the service in it; the example is the default.",
            |db, reader, entry| {
                if let Some(table) = reader.table(entry.value) {
                    DOCKER.read(reader, table, entry.key, &mut db.docker);
                }
            },
        ),
        key(
            "allow_hosts",
            STRINGS,
            "[\"localhost\", \"127.0.0.1\", \"::1\"]",
            "Hosts whose databases `db.reset` may drop; this machine by default. Local sockets always may.",
            |db, reader, entry| {
                db.allow_hosts = reader.strings(entry.value, Reader::text).unwrap_or_default();
            },
        ),
        key(
            "gate",
            Shape::Table("gate"),
            "{ checks = [\"primary-keys\"] }",
            "Ready-made checks of `db.gate`.",
            |db, reader, entry| {
                if let Some(table) = reader.table(entry.value) {
                    GATE.read(reader, table, entry.key, &mut db.gate);
                }
            },
        ),
        key(
            "roles",
            Shape::Map(&Shape::Table("login")),
            "{ test_user = { login = true, password_env = \"TEST_DB_PASSWORD\" } }",
            "Roles that are given a login and a password after the migrations, which create them.",
            |db, reader, entry| {
                db.roles = by_name(reader, entry.value, |reader, at, table| {
                    let mut role = Login { at, login: true, password_env: None };
                    LOGIN.read(reader, table, at, &mut role);
                    role
                });
            },
        ),
        key(
            "seed",
            Shape::List(&Shape::Table("row"), false),
            "[{ from = { json = \"policy.json\" }, into = \"policies\", row = { id = \"$.id\" }, key = \"id\" }]",
            "Rows made from documents.",
            |db, reader, entry| {
                db.rows = reader.list(entry.value, "a list of tables", row_seed).unwrap_or_default();
            },
        ),
    ],
    unbuilt: &[],
};

/// `docker = { file, service }`.
pub(super) static DOCKER: Scope<Set<Docker>> = Scope {
    what: "`docker`",
    keys: &[
        Key::<Set<Docker>>::new(
            "file",
            PATH,
            "\"infra/docker/compose.yml\"",
            "The compose file.",
            |docker, r, entry| {
                if let Some(path) = r.path(entry.value) {
                    docker.file = path;
                }
            },
        ),
        Key::<Set<Docker>>::new("service", TEXT, "\"db\"", "The service in it.", |docker, r, entry| {
            if let Some(service) = r.text(entry.value) {
                docker.service = service;
            }
        }),
    ],
    unbuilt: &[],
};

/// `[db.NAME.gate]`.
pub(super) static GATE: Scope<Set<GateRules>> = Scope {
    what: "a gate",
    keys: &[
        Key::<Set<GateRules>>::new(
            "required_relations",
            STRINGS,
            "[\"payment_outbox_pending\"]",
            "Relations that must exist.",
            |gate, reader, entry| {
                gate.required_relations = reader.strings(entry.value, Reader::located).unwrap_or_default();
            },
        ),
        Key::<Set<GateRules>>::new(
            "public_holds_nothing",
            STRINGS,
            "[\"payment_outbox_*\"]",
            "Relations on which PUBLIC may have no privilege; `*` matches any rest.",
            |gate, reader, entry| {
                gate.public_holds_nothing = reader.strings(entry.value, Reader::located).unwrap_or_default();
            },
        ),
        Key::<Set<GateRules>>::new(
            "append_only",
            STRINGS,
            "[\"payment_outbox_attempts\"]",
            "Tables whose rows are only ever added: a trigger that is enabled refuses the rest, and no role but the owner is granted UPDATE, DELETE or TRUNCATE.",
            |gate, reader, entry| {
                gate.append_only = reader.strings(entry.value, Reader::located).unwrap_or_default();
            },
        ),
        Key::<Set<GateRules>>::new(
            "roles",
            Shape::Map(&Shape::Table("role")),
            "{ readonly = { login = false } }",
            "Roles that must exist, with exactly these attributes.",
            |gate, reader, entry| {
                gate.roles = by_name(reader, entry.value, |reader, at, table| {
                    let mut rule = RoleRule::default();
                    ROLE.read(reader, table, at, &mut rule);
                    rule.member_of.sort_unstable();
                    rule
                });
            },
        ),
        Key::<Set<GateRules>>::new(
            "checks",
            Shape::List(&Shape::Words(&READY_CHECKS), false),
            "[\"primary-keys\", \"definer-search-path\"]",
            "Ready-made checks of the whole schema, by id.",
            |gate, reader, entry| {
                let words = READY_CHECKS.map(|id| (id, id));
                let chosen = reader.list(entry.value, "a list of ids", |reader, value| reader.choice(value, &words));
                gate.checks = chosen.unwrap_or_default().into_iter().map(str::to_owned).collect();
            },
        ),
        Key::<Set<GateRules>>::new(
            "except",
            Shape::Map(&Shape::List(&TEXT, true)),
            "{ \"primary-keys\" = [\"public.raw_*\"] }",
            "Objects that a ready-made check leaves out, by its id; `*` matches any rest.",
            |gate, reader, entry| {
                let Some(table) = reader.table(entry.value) else { return };
                for (id, objects) in in_order(table) {
                    let at = reader.at(id.span());
                    let objects = reader.strings(objects, Reader::text).unwrap_or_default();
                    match READY_CHECKS.iter().find(|known| **known == id.get_ref().as_ref()) {
                        Some(known) => {
                            gate.except.insert((*known).to_owned(), objects);
                        }
                        None => reader.bad_value(
                            at,
                            format!("there is no ready-made check `{}`", id.get_ref()),
                            &format!("the checks are {}", super::keys::backticked(&READY_CHECKS)),
                        ),
                    }
                }
            },
        ),
    ],
    unbuilt: &[],
};

const fn attribute(
    name: &'static str,
    example: &'static str,
    doc: &'static str,
    read: Set<RoleRule>,
) -> Key<Set<RoleRule>> {
    Key::new(name, Shape::Bool, example, doc, read)
}

/// `[db.NAME.gate.roles.ROLE]`.
pub(super) static ROLE: Scope<Set<RoleRule>> = Scope {
    what: "a role of the gate",
    keys: &[
        attribute("login", "false", "Whether it has LOGIN; not, by default.", |role, r, e| {
            role.login = r.boolean(e.value).unwrap_or_default();
        }),
        attribute("superuser", "false", "Whether it is SUPERUSER; not, by default.", |role, r, e| {
            role.superuser = r.boolean(e.value).unwrap_or_default();
        }),
        attribute("createdb", "false", "Whether it has CREATEDB; not, by default.", |role, r, e| {
            role.createdb = r.boolean(e.value).unwrap_or_default();
        }),
        attribute("createrole", "false", "Whether it has CREATEROLE; not, by default.", |role, r, e| {
            role.createrole = r.boolean(e.value).unwrap_or_default();
        }),
        attribute("replication", "false", "Whether it has REPLICATION; not, by default.", |role, r, e| {
            role.replication = r.boolean(e.value).unwrap_or_default();
        }),
        attribute("bypassrls", "false", "Whether it has BYPASSRLS; not, by default.", |role, r, e| {
            role.bypassrls = r.boolean(e.value).unwrap_or_default();
        }),
        Key::<Set<RoleRule>>::new(
            "member_of",
            STRINGS,
            "[\"readonly\"]",
            "Exactly the roles it is a member of; none, by default.",
            |role, reader, entry| role.member_of = reader.strings(entry.value, Reader::text).unwrap_or_default(),
        ),
    ],
    unbuilt: &[],
};

/// `[db.NAME.roles.ROLE]`.
pub(super) static LOGIN: Scope<Set<Login>> = Scope {
    what: "a role",
    keys: &[
        Key::<Set<Login>>::new(
            "login",
            Shape::Bool,
            "true",
            "LOGIN or NOLOGIN; LOGIN by default.",
            |role, r, entry| {
                role.login = r.boolean(entry.value).unwrap_or(true);
            },
        ),
        Key::<Set<Login>>::new(
            "password_env",
            Shape::Text("variable"),
            "\"TEST_DB_PASSWORD\"",
            "The variable that holds its password.",
            |role, reader, entry| {
                let name = reader.located(entry.value);
                role.password_env =
                    name.filter(|name| reader.variable(&name.value, name.at, false)).map(|name| name.value);
            },
        ),
    ],
    unbuilt: &[],
};

/// An entry of `seed` while it is read.
#[derive(Default)]
pub(super) struct RowDraft {
    from: Option<Located<Document>>,
    into: Option<Relation>,
    row: Vec<(String, Located<String>)>,
    key: Option<Located<String>>,
}

/// `[[db.NAME.seed]]`.
pub(super) static ROW: Scope<Set<RowDraft>> = Scope {
    what: "a seed",
    keys: &[
        Key::<Set<RowDraft>>::new(
            "from",
            Shape::Table("document"),
            "{ json = \"policy.json\" }",
            "The JSON document.",
            |row, reader, entry| {
                let Some(table) = reader.table(entry.value) else { return };
                let at = reader.at(entry.value.span());
                let mut sources = vec![];
                DOCUMENT.read(reader, table, at, &mut sources);
                match <[Document; 1]>::try_from(sources) {
                    Ok([one]) => row.from = Some(Located::new(one, at)),
                    Err(none_or_both) if none_or_both.len() > 1 => {
                        reader.bad_value(at, "both `json` and `env` are given", "keep one of them");
                    }
                    Err(_) if table.is_empty() => {
                        reader.bad_value(at, "it names no document", "write `{ json = \"FILE\" }` or `{ env = \"NAME\" }`");
                    }
                    // What was given was no good, and has been reported.
                    Err(_) => {}
                }
            },
        )
        .required(),
        Key::<Set<RowDraft>>::new("into", RELATION, "\"public.policy_versions\"", "The table.", |row, r, entry| {
            row.into = relation(r, entry.value);
        })
        .required(),
        Key::<Set<RowDraft>>::new(
            "row",
            Shape::Map(&TEXT),
            "{ version = \"$.policyVersion\", status = \"=ACTIVE\", checksum = \"sha256(jcs)\" }",
            "Column and value: `$.path` in the document, `=literal`, or `sha256(jcs)`, the checksum of the canonical document.",
            |row, reader, entry| {
                let Some(table) = reader.table(entry.value) else { return };
                for (column, value) in in_order(table) {
                    let Some(value) = reader.located(value) else { continue };
                    let known = value.value.starts_with("$.")
                        || value.value == "$"
                        || value.value.starts_with('=')
                        || value.value == "sha256(jcs)";
                    if known {
                        row.row.push((column.get_ref().clone().into_owned(), value));
                    } else {
                        reader.bad_value(
                            value.at,
                            format!("`{}` is no value of a column", value.value),
                            "write `$.path` in the document, `=literal`, or `sha256(jcs)`",
                        );
                    }
                }
            },
        )
        .required(),
        Key::<Set<RowDraft>>::new(
            "key",
            TEXT,
            "\"version\"",
            "The column that tells rows apart: the same row is left alone, one with other content is an error.",
            |row, reader, entry| row.key = reader.located(entry.value),
        )
        .required(),
    ],
    unbuilt: &[],
};

/// `from = { json }` or `from = { env }`.
pub(super) static DOCUMENT: Scope<Set<Vec<Document>>> = Scope {
    what: "`from`",
    keys: &[
        Key::<Set<Vec<Document>>>::new("json", PATH, "\"policy.json\"", "A JSON file.", |all, reader, entry| {
            all.extend(reader.path(entry.value).map(Document::Json));
        }),
        Key::<Set<Vec<Document>>>::new(
            "env",
            Shape::Text("variable"),
            "\"POLICY_JSON\"",
            "A variable that holds JSON.",
            |all, reader, entry| {
                let name = reader.located(entry.value);
                let name = name.filter(|name| reader.variable(&name.value, name.at, false));
                all.extend(name.map(|name| Document::Env(name.value)));
            },
        ),
    ],
    unbuilt: &[],
};

fn row_seed(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<RowSeed> {
    let table = reader.table(value)?;
    let at = reader.at(value.span());
    let mut draft = RowDraft::default();
    ROW.read(reader, table, at, &mut draft);
    let seed = RowSeed { at, from: draft.from?, into: draft.into?, row: draft.row, key: draft.key? };
    if !seed.row.iter().any(|(column, _)| *column == seed.key.value) {
        reader.bad_value(
            seed.key.at,
            format!("the key `{}` is no column of `row`", seed.key.value),
            "name a column that `row` sets",
        );
    }
    Some(seed)
}

/// `name` or `schema.name`.
fn relation(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Relation> {
    let text = reader.located(value)?;
    let mut parts: Vec<&str> = text.value.split('.').collect();
    let name = parts.pop().unwrap_or_default();
    let schema = parts.pop().unwrap_or("public");
    if !parts.is_empty() || name.is_empty() || schema.is_empty() {
        reader.bad_value(
            text.at,
            format!("`{}` is no name of a table", text.value),
            "write `name` or `schema.name`, without quotes",
        );
        return None;
    }
    Some(Relation { schema: schema.to_owned(), name: name.to_owned() })
}

fn by_name<T>(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
    mut read: impl FnMut(&mut Reader<'_>, At, &DeTable<'_>) -> T,
) -> BTreeMap<String, T> {
    let mut all = BTreeMap::new();
    let Some(table) = reader.table(value) else { return all };
    for (name, value) in in_order(table) {
        let at = reader.at(name.span());
        if let Some(table) = reader.table(value) {
            all.insert(name.get_ref().clone().into_owned(), read(reader, at, table));
        }
    }
    all
}

/// `{ name, as, clone, shared }` in `database`.
pub(super) static DATABASE_USE: Scope<Set<DatabaseUse>> = Scope {
    what: "a use of a database",
    keys: &[
        Key::<Set<DatabaseUse>>::new("name", TEXT, "\"app\"", "Its name in `[db]`.", |used, reader, entry| {
            if let Some(name) = reader.located(entry.value) {
                used.name = name;
            }
        })
        .required(),
        Key::<Set<DatabaseUse>>::new(
            "as",
            TEXT,
            "\"test_user\"",
            "The role it connects as, one of `[db.NAME.roles]`; the owner by default.",
            |used, reader, entry| used.role = reader.text(entry.value),
        ),
        Key::<Set<DatabaseUse>>::new(
            "clone",
            Shape::Bool,
            "true",
            "It gets its own copy of the migrated and seeded database, dropped afterwards.",
            |used, reader, entry| used.clone = reader.boolean(entry.value).unwrap_or_default(),
        ),
        Key::<Set<DatabaseUse>>::new(
            "shared",
            Shape::Bool,
            "true",
            "Others that share it may use it at the same time; otherwise it is this task's alone while it runs.",
            |used, reader, entry| used.shared = reader.boolean(entry.value).unwrap_or_default(),
        ),
    ],
    unbuilt: &[],
};

/// `database`: a name, a table, or a list of these.
pub(super) fn database_uses(reader: &mut Reader<'_>, value: &Value<'_>) -> Vec<DatabaseUse> {
    let uses = one_or_list(reader, value, "a name, a table or a list", |reader, element| {
        let at = reader.at(element.span());
        let mut used = DatabaseUse { name: Located::new(String::new(), at), role: None, clone: false, shared: false };
        match element.get_ref() {
            DeValue::String(_) => used.name = reader.located(element)?,
            DeValue::Table(table) => DATABASE_USE.read(reader, table, at, &mut used),
            _ => reader.wrong_type(element, "a name or a table"),
        }
        if used.clone && used.shared {
            reader.report(
                Diagnostic::error("config::conflict", at, "`clone` and `shared` exclude each other")
                    .help("a clone is the task's own: remove `shared`"),
            );
        }
        (!used.name.value.is_empty()).then_some(used)
    });
    let uses = uses.unwrap_or_default();
    for (index, used) in uses.iter().enumerate() {
        if let Some(first) = uses[..index].iter().find(|other| other.name.value == used.name.value) {
            reader.report(
                Diagnostic::error("config::conflict", used.name.at, format!("`{}` is named twice", used.name.value))
                    .also(first.name.at, "first here")
                    .help("remove one of them"),
            );
        }
    }
    uses
}
