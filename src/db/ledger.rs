//! The ledger: which migrations a database has seen. And who may write it: one runner at a time.

use super::error::DbError;
use super::mark::{self, OWN_TABLES, literal, quoted, relation};
use super::migrations::{Migration, which};
use super::session::Session;
use crate::config::Database;
use crate::model::{Digest, Hasher};
use crate::node::Output;
use std::collections::BTreeSet;

/// Its columns, in order.
const COLUMNS: [&str; 4] = ["version", "description", "checksum_sha256", "applied_at"];

/// A row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its version.
    pub version: u64,
    /// What followed the number in the file's name.
    pub description: String,
    /// SHA-256 of the file's bytes, in hexadecimal digits.
    pub checksum: String,
    /// When, as Postgres writes it.
    pub applied_at: String,
}

/// The ledger, by version; empty where there is none.
///
/// # Errors
/// The connection broke; the relation of that name is no ledger of weir's.
pub async fn read(session: &Session, database: &Database) -> Result<Vec<Applied>, DbError> {
    Ok(look(session, database).await?.unwrap_or_default())
}

/// The same, but none where there is no ledger.
///
/// # Errors
/// As [`read`].
pub async fn look(session: &Session, database: &Database) -> Result<Option<Vec<Applied>>, DbError> {
    const WHAT: &str = "failed to read the ledger";
    let named = relation(&database.ledger);
    let columns = format!(
        "select attname from pg_catalog.pg_attribute
         where attrelid = pg_catalog.to_regclass({}) and attnum > 0 and not attisdropped",
        literal(&named)
    );
    let columns: Vec<String> = session.rows(WHAT, &columns).await?.into_iter().flatten().flatten().collect();
    if columns.is_empty() {
        return Ok(None);
    }
    if let Some(missing) = COLUMNS.iter().find(|name| !columns.iter().any(|column| column == *name)) {
        let ledger = &database.ledger;
        return Err(DbError::failed(format!(
            "the relation `{}.{}` is no ledger of weir: it has no column `{missing}`",
            ledger.schema, ledger.name
        ))
        .help(format!(
            "another tool's ledger is left alone: name one of weir's own, `ledger = \"{}.weir_migrations\"`, in `[db.{}]`",
            ledger.schema, database.key
        )));
    }
    let sql = format!("select {} from {named} order by version", COLUMNS.join(", "));
    let rows = session.rows(WHAT, &sql).await?;
    let row = |row: Vec<Option<String>>| {
        let mut cells = row.into_iter().map(Option::unwrap_or_default);
        let mut cell = || cells.next().unwrap_or_default();
        let version = cell();
        Ok(Applied {
            version: version.parse().map_err(|_| {
                DbError::failed(format!("the ledger {named} holds the version `{version}`, which is none"))
            })?,
            description: cell(),
            checksum: cell(),
            applied_at: cell(),
        })
    };
    rows.into_iter().map(row).collect::<Result<_, _>>().map(Some)
}

/// One digest of it all, times apart: what a database with this ledger has in common with another.
pub fn digest(applied: &[Applied]) -> Digest {
    let mut hasher = Hasher::new();
    for row in applied {
        hasher.field(&row.version.to_be_bytes());
        hasher.field(row.description.as_bytes());
        hasher.field(row.checksum.as_bytes());
    }
    hasher.finish()
}

/// The statement that makes its schema, where it is missing. Empty for `public`.
pub fn schema_sql(database: &Database) -> String {
    let schema = &database.ledger.schema;
    if schema == "public" {
        return String::new();
    }
    // `if not exists` asks for the privilege to create even where there is nothing to do.
    let named = quoted(schema);
    format!(
        "do $weir$ begin if pg_catalog.to_regnamespace({}) is null then create schema {named}; end if; end $weir$;",
        literal(&named)
    )
}

/// The statements that make it, where it is missing.
pub fn create_sql(database: &Database) -> String {
    format!(
        "{} create table if not exists {} (
             version bigint primary key,
             description text not null,
             checksum_sha256 text not null,
             applied_at timestamptz not null default clock_timestamp())",
        schema_sql(database),
        relation(&database.ledger)
    )
}

/// Makes it, where it is missing.
///
/// # Errors
/// The connection broke, or the role may not.
pub async fn create(session: &Session, database: &Database) -> Result<(), DbError> {
    session.execute("failed to create the ledger", &create_sql(database)).await
}

/// The statement that puts a migration into it. `guard`: an expression without which it fails.
pub fn insert_sql(database: &Database, migration: &Migration, guard: Option<&str>) -> String {
    let version = migration.version;
    let version = guard.map_or(version.to_string(), |guard| format!("case when {guard} then {version} end"));
    format!(
        "insert into {} (version, description, checksum_sha256) values ({version}, {}, {})",
        relation(&database.ledger),
        literal(&migration.description),
        literal(&migration.checksum.to_hex()),
    )
}

/// Waits until nobody else migrates this database by this ledger; says whom it waits for. The lock is the session's.
///
/// # Errors
/// The connection broke.
pub async fn lock(session: &Session, database: &Database, output: &mut dyn Output) -> Result<(), DbError> {
    const WHAT: &str = "failed to take the lock of the ledger";
    let key = lock_key(database);
    let got = session.row(WHAT, &format!("select pg_catalog.pg_try_advisory_lock({key})")).await?;
    if got == [Some("t".to_owned())] {
        return Ok(());
    }
    let (high, low) = ((key >> 32) as u32, key as u32);
    let holder = format!(
        "select a.pid, a.application_name, a.client_addr from pg_catalog.pg_locks l
         join pg_catalog.pg_stat_activity a using (pid)
         where l.locktype = 'advisory' and l.objsubid = 1 and l.granted and l.classid = {high}::oid and l.objid = {low}::oid
           and l.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())"
    );
    let holder = session.row(WHAT, &holder).await?;
    let mut cells = holder.into_iter().map(Option::unwrap_or_default);
    let mut cell = || cells.next().unwrap_or_default();
    let (pid, application, address) = (cell(), cell(), cell());
    let from = if address.is_empty() { String::new() } else { format!(" from {address}") };
    let waits = format!("waiting for another migration run (backend {pid}, `{application}`{from})\n");
    output.bytes(waits.as_bytes());
    // How long is up to the node's timeout: the other may have much to do.
    session
        .execute(WHAT, &format!("set lock_timeout = 0; select pg_catalog.pg_advisory_lock({key}); reset lock_timeout"))
        .await
}

/// Which advisory lock is this ledger's. Such locks are apart in each database.
fn lock_key(database: &Database) -> i64 {
    let mut hasher = Hasher::new();
    hasher.field(b"weir ledger");
    hasher.field(database.ledger.schema.as_bytes());
    hasher.field(database.ledger.name.as_bytes());
    let digest = hasher.finish();
    let mut first = [0; 8];
    first.copy_from_slice(&digest.as_bytes()[..8]);
    i64::from_be_bytes(first)
}

/// What is in a database that nobody's migrations account for: names of some objects, neither the system's nor an
/// extension's nor weir's own.
///
/// # Errors
/// The connection broke.
pub async fn strangers(session: &Session, database: &Database) -> Result<Vec<String>, DbError> {
    let own: Vec<String> = OWN_TABLES.iter().map(|name| literal(name)).collect();
    let sql = format!(
        "with spaces as (
             select oid, nspname from pg_catalog.pg_namespace
             where nspname not like 'pg\\_%' and nspname <> 'information_schema'),
         things(class, oid, space, name) as (
             select 'pg_class'::regclass, oid, relnamespace, relname::text from pg_catalog.pg_class
             where relkind in ('r', 'p', 'v', 'm', 'S', 'f', 'c')
             union all
             select 'pg_proc'::regclass, oid, pronamespace, proname::text from pg_catalog.pg_proc
             union all
             select 'pg_type'::regclass, oid, typnamespace, typname::text from pg_catalog.pg_type
             where typtype in ('d', 'e', 'r'))
         select s.nspname || '.' || t.name from things t join spaces s on s.oid = t.space
         where not exists (select from pg_catalog.pg_depend d
                           where d.classid = t.class and d.objid = t.oid and d.deptype = 'e')
           and not (s.nspname = {} and t.name in ({}))
         order by 1 limit 4",
        literal(&database.ledger.schema),
        own.join(", ")
    );
    let rows = session.rows("failed to look at what is in the database", &sql).await?;
    Ok(rows.into_iter().flatten().flatten().collect())
}

/// Something that forbids to apply anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where and what.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// The migrations that are still to be applied.
///
/// # Errors
/// All that is wrong between the files and the ledger.
pub fn pending<'m>(migrations: &'m [Migration], applied: &[Applied]) -> Result<Vec<&'m Migration>, Vec<Problem>> {
    let mut problems = Vec::new();
    for row in applied {
        let (number, when) = (format!("{:04}_{}", row.version, row.description), &row.applied_at);
        match migrations.binary_search_by_key(&row.version, |migration| migration.version) {
            Err(_) => problems.push(Problem {
                message: format!("`{number}` was applied at {when}, and its file is gone"),
                help: "restore the file; a migration is undone by a new one".into(),
            }),
            Ok(at) => problems.extend(differs(&migrations[at], row)),
        }
    }
    let known: BTreeSet<u64> = applied.iter().map(|row| row.version).collect();
    let missing: Vec<&Migration> = migrations.iter().filter(|migration| !known.contains(&migration.version)).collect();
    if let Some(newest) = applied.iter().max_by_key(|row| row.version) {
        let last = migrations.last().map_or(newest.version, |last| last.version.max(newest.version));
        for late in missing.iter().filter(|migration| migration.version < newest.version) {
            problems.push(Problem {
                message: format!(
                    "{}:1: it is new, and older than the newest applied, `{:04}_{}`",
                    late.path, newest.version, newest.description
                ),
                help: format!(
                    "rename it to `{:04}_{}.sql`, so that it comes last everywhere",
                    last + 1,
                    late.description
                ),
            });
        }
    }
    if problems.is_empty() { Ok(missing) } else { Err(problems) }
}

fn differs(migration: &Migration, row: &Applied) -> Option<Problem> {
    let path = &migration.path;
    let checksum = migration.checksum.to_hex();
    if checksum != row.checksum {
        return Some(Problem {
            message: format!(
                "{path}:1: it was edited after it was applied at {}: sha256 {} when applied, {checksum} now",
                row.applied_at, row.checksum
            ),
            help: "undo the edit, and put the change into a new migration".into(),
        });
    }
    (migration.description != row.description).then(|| Problem {
        message: format!("{path}:1: it was renamed after it was applied as `{}_{}`", migration.number, row.description),
        help: "give it its old name back".into(),
    })
}

/// What is said where there are objects and no ledger.
pub fn unaccounted(database: &Database, found: &[String]) -> Problem {
    let shown = found.iter().take(3).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let more = if found.len() > 3 { " and more" } else { "" };
    let ledger = &database.ledger;
    Problem {
        message: format!(
            "database `{}` holds {shown}{more}, and no ledger `{}.{}` that says which migrations made that",
            database.key, ledger.schema, ledger.name
        ),
        help: format!(
            "`weir db adopt --up-to VERSION{}` records which migrations it has already; or begin with an empty database",
            which(database)
        ),
    }
}

/// The state that migrations leave a database in: who it is, and its ledger.
///
/// # Errors
/// The connection broke.
pub async fn state(session: &Session, database: &Database) -> Result<Digest, DbError> {
    let identity = mark::identity(session, database).await?;
    let applied = read(session, database).await?;
    let mut hasher = Hasher::new();
    hasher.field(identity.as_bytes());
    hasher.field(digest(&applied).as_bytes());
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::WsPath;

    fn migration(version: u64, text: &str) -> Migration {
        Migration {
            version,
            number: format!("{version:04}"),
            description: format!("m{version}"),
            path: WsPath::from_clean(format!("m/{version:04}_m{version}.sql")),
            text: text.into(),
            checksum: Digest::of(text.as_bytes()),
            no_tx: false,
        }
    }

    fn row(of: &Migration) -> Applied {
        Applied {
            version: of.version,
            description: of.description.clone(),
            checksum: of.checksum.to_hex(),
            applied_at: "now".into(),
        }
    }

    #[test]
    fn what_is_left_to_do() {
        let all = [migration(9999, "a"), migration(10_000, "b")];
        assert_eq!(pending(&all, &[]).unwrap().len(), 2);
        assert_eq!(pending(&all, &[row(&all[0])]).unwrap(), [&all[1]]);
        assert!(pending(&all, &[row(&all[0]), row(&all[1])]).unwrap().is_empty());
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let (first, late, edited, renamed, gone) =
            (migration(1, "a"), migration(2, "b"), migration(3, "c"), migration(4, "d"), migration(5, "e"));
        let applied = [
            row(&first),
            row(&migration(3, "other")),
            Applied { description: "old".into(), ..row(&renamed) },
            row(&gone),
        ];
        let problems = pending(&[first, late, edited, renamed], &applied).unwrap_err();
        let said: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(said.len(), 4, "{said:?}");
        assert!(said[0].contains("m/0003_m3.sql:1: it was edited") && said[0].matches("sha256").count() == 1);
        assert!(said[0].contains(&Digest::of(b"other").to_hex()) && said[0].contains(&Digest::of(b"c").to_hex()));
        assert!(said[1].contains("renamed after it was applied as `0004_old`"), "{said:?}");
        assert!(said[2].contains("`0005_m5` was applied") && said[2].contains("gone"), "{said:?}");
        assert!(
            said[3].contains("m/0002_m2.sql:1: it is new, and older than the newest applied, `0005_m5`"),
            "{said:?}"
        );
        assert!(problems[3].help.contains("`0006_m2.sql`"), "{problems:?}");
    }

    #[test]
    fn the_digest_is_of_all_but_the_time() {
        let (a, b) = (row(&migration(1, "a")), row(&migration(1, "b")));
        let later = Applied { applied_at: "later".into(), ..a.clone() };
        assert_eq!(digest(std::slice::from_ref(&a)), digest(&[later]));
        assert_ne!(digest(&[a]), digest(&[b]));
    }
}
