//! A database as declared and validated: `[db.NAME]`.

use super::diagnostic::{At, Located};
use crate::model::WsPath;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One `[db.NAME]`. All paths are relative to the workspace root; profiles are applied.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Database {
    /// What tasks call it: NAME.
    pub key: String,
    /// The name as declared.
    pub at: At,
    /// Where its server comes from.
    pub provider: Provider,
    /// What the server calls it.
    pub name: String,
    /// The variable that names an outside database, and that tasks are given.
    pub url_env: Located<String>,
    /// The oldest major version of the server that will do.
    pub min_version: u32,
    /// Folder of `NNNN_description.sql`.
    pub migrations: Located<WsPath>,
    /// Folder of seeds.
    pub seeds: Located<WsPath>,
    /// File derived from the migrations.
    pub baseline: Located<WsPath>,
    /// Folder of checks and function tests.
    pub checks: Located<WsPath>,
    /// Where applied migrations are recorded.
    pub ledger: Relation,
    /// In a comment near the top of a migration: it runs outside a transaction.
    pub no_tx_marker: String,
    /// What a reset drops.
    pub reset: ResetScope,
    /// A server run by `docker compose`.
    pub docker: Docker,
    /// Hosts whose databases may be reset.
    pub allow_hosts: Vec<String>,
    /// Ready-made checks of the gate.
    pub gate: GateRules,
    /// Roles that are given a login after the migrations.
    pub roles: BTreeMap<String, Login>,
    /// Rows from documents.
    pub rows: Vec<RowSeed>,
}

impl Database {
    /// One of which only the name is known: every default.
    pub fn new(key: &str, at: At) -> Self {
        let path = |path: &str| Located::new(WsPath::from_clean(path), at);
        Self {
            key: key.to_owned(),
            at,
            provider: Provider::Auto,
            name: key.to_owned(),
            url_env: Located::new("DATABASE_URL".into(), at),
            min_version: 15,
            migrations: path("schema/migrations"),
            seeds: path("schema/seeds"),
            baseline: path("schema/baseline.sql"),
            checks: path("checks/db"),
            ledger: Relation { schema: "public".into(), name: "schema_migrations".into() },
            no_tx_marker: "weir:no-tx".into(),
            reset: ResetScope::Schema,
            docker: Docker { file: WsPath::from_clean("infra/docker/compose.yml"), service: "db".into() },
            allow_hosts: ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec(),
            gate: GateRules::default(),
            roles: BTreeMap::new(),
            rows: vec![],
        }
    }

    /// The name of the lock that keeps tasks that use it apart.
    pub fn lock(&self) -> String {
        format!("db:{}", self.key)
    }
}

/// Where a server comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Provider {
    /// The first of the others that will do, in the order they stand here.
    Auto,
    /// Named by a variable; never started or stopped.
    Url,
    /// A private cluster of installed binaries.
    Local,
    /// `docker compose`.
    Docker,
    /// A private cluster of downloaded binaries.
    Embedded,
}

/// What a reset drops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResetScope {
    /// Every schema that neither the system nor an extension owns.
    Schema,
    /// The whole database.
    Database,
}

/// `docker = { file, service }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Docker {
    /// The compose file.
    pub file: WsPath,
    /// The service in it.
    pub service: String,
}

/// A relation with its schema, unquoted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// The schema; `public` where none is written.
    pub schema: String,
    /// The relation.
    pub name: String,
}

/// `[db.NAME.gate]`: ready-made checks. Names of relations are `name` or `schema.name` with `*`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct GateRules {
    /// These exist.
    pub required_relations: Vec<Located<String>>,
    /// PUBLIC has no privilege on these.
    pub public_holds_nothing: Vec<Located<String>>,
    /// Rows of these are only ever added.
    pub append_only: Vec<Located<String>>,
    /// These roles exist with exactly these attributes.
    pub roles: BTreeMap<String, RoleRule>,
    /// Chosen among [`READY_CHECKS`].
    pub checks: Vec<String>,
    /// By id of a chosen check: objects it leaves out, as names with `*`.
    pub except: BTreeMap<String, Vec<String>>,
}

/// The ready-made checks that need no list, by id.
pub const READY_CHECKS: [&str; 6] = [
    // No role but the owner may CREATE in `public`.
    "public-create",
    // SECURITY DEFINER functions pin `search_path`.
    "definer-search-path",
    // Their EXECUTE is not PUBLIC's.
    "definer-execute",
    // No unvalidated constraint, no invalid index.
    "valid",
    // Every table has a primary key.
    "primary-keys",
    // Every foreign key has an index.
    "foreign-key-indexes",
];

/// What a role must be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleRule {
    /// LOGIN.
    pub login: bool,
    /// SUPERUSER.
    pub superuser: bool,
    /// CREATEDB.
    pub createdb: bool,
    /// CREATEROLE.
    pub createrole: bool,
    /// REPLICATION.
    pub replication: bool,
    /// BYPASSRLS.
    pub bypassrls: bool,
    /// Exactly the roles it is a member of, sorted.
    pub member_of: Vec<String>,
}

/// A role that is given a login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// Where it is declared.
    pub at: At,
    /// LOGIN.
    pub login: bool,
    /// The variable that holds its password.
    pub password_env: Option<String>,
}

/// `[[db.NAME.seed]]`: a row from a document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RowSeed {
    /// Where it is declared.
    pub at: At,
    /// The document.
    pub from: Located<Document>,
    /// The table.
    pub into: Relation,
    /// Column → `$.path` in the document, `=literal`, or `sha256(jcs)`.
    pub row: Vec<(String, Located<String>)>,
    /// The column that tells rows apart.
    pub key: Located<String>,
}

/// A JSON document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Document {
    /// In a file.
    Json(WsPath),
    /// In a variable.
    Env(String),
}

/// `database`: a task's use of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseUse {
    /// Its key in `[db]`.
    pub name: Located<String>,
    /// The role it connects as; the owner where none is named.
    pub role: Option<String>,
    /// It gets a copy of its own.
    pub clone: bool,
    /// Others that share may use it at the same time.
    pub shared: bool,
}
