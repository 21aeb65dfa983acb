//! What stands before a reset, in two stages: by what is declared and named, before anything runs; by what the
//! database holds, read-only, before anything is written. Nothing turns it off.
//!
//! Hosts are judged by name, as written: what a name resolves to is the machine's affair.

use super::databases::Databases;
use super::error::DbError;
use super::mark;
use super::server::outside_url;
use super::session::Session;
use crate::config::{Database, Provider};
use crate::node::{Outside, Refusal};

/// Where the environment says what it is.
const STAGES: [&str; 2] = ["APP_ENV", "WEIR_ENV"];

/// Whether an environment of this name is one that others rely on: anything with `prod`, and the words `live` and
/// `staging` or `stage`, in any case.
fn is_production_like(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let mut words = name.split(|letter: char| !letter.is_ascii_alphanumeric());
    name.contains("prod") || words.any(|word| ["live", "staging", "stage"].contains(&word))
}

/// The first stage: what forbids to reset the database at all.
pub fn refusals(database: &Database, outside: &Outside) -> Vec<Refusal> {
    let mut found = Vec::new();
    for stage in STAGES {
        if let Some(value) = outside.get(stage).filter(|value| is_production_like(value)) {
            found.push(Refusal {
                message: format!(
                    "database `{}` is not reset where `{stage}` is `{value}`: that is a production-like environment",
                    database.key
                ),
                help: format!("unset `{stage}`, or set it to what this environment is, such as `development`"),
            });
        }
    }
    let named = matches!(database.provider, Provider::Auto | Provider::Url).then(|| outside_url(database, outside));
    match named.flatten() {
        Some(Ok(endpoint)) if !endpoint.is_among(&database.allow_hosts) => {
            found.push(elsewhere(database, &format!("it is at `{}`, and that host", endpoint.describe())))
        }
        Some(Err(error)) => {
            let (DbError::Failed { message, .. } | DbError::Refused { message, .. }) = error else { return found };
            found.push(Refusal {
                message: format!("database `{}` is not reset, since nobody knows where it is: {message}", database.key),
                help: format!("correct `{}`", database.url_env.value),
            });
        }
        // Servers of weir's own are on this machine.
        None if database.provider != Provider::Url
            && !database.allow_hosts.iter().any(|host| host == "127.0.0.1" || host == "localhost") =>
        {
            found.push(elsewhere(database, "`127.0.0.1`"));
        }
        Some(Ok(_)) | None => {}
    }
    found
}

fn elsewhere(database: &Database, what: &str) -> Refusal {
    let listed: Vec<String> = database.allow_hosts.iter().map(|host| format!("`{host}`")).collect();
    Refusal {
        message: format!("database `{}` is not reset: {what} is not in `allow_hosts`", database.key),
        help: format!(
            "point `{}` to a database of your own ({}); if everything in this one may be lost, add its host to `allow_hosts`",
            database.url_env.value,
            listed.join(", ")
        ),
    }
}

/// The second stage: weir made what is in the database, or nothing is in it, or `--destroy` names it. Reads only.
///
/// # Errors
/// It is refused, or the connection broke.
pub async fn may_destroy(session: &Session, database: &Database, databases: &Databases) -> Result<(), DbError> {
    const WHAT: &str = "failed to look at what is in the database";
    session.execute(WHAT, "begin transaction read only").await?;
    let marked = mark::incarnation(session, database).await?.is_some();
    let held = if marked { None } else { first_object(session).await? };
    session.execute(WHAT, "commit").await?;
    let Some(held) = held else { return Ok(()) };
    if databases.destroy.contains(&database.key) {
        return Ok(());
    }
    Err(DbError::Refused {
        message: format!(
            "database `{}` at `{}` does not carry weir's mark and is not empty (it holds {held})",
            database.key,
            session.endpoint.describe()
        ),
        help: format!(
            "if everything in it may be lost: `--destroy {}`, once; the reset puts the mark on it",
            database.key
        ),
    })
}

/// Something in the database that neither the system nor an extension made; none: it is empty.
async fn first_object(session: &Session) -> Result<Option<String>, DbError> {
    const SQL: &str = "
        with own as (
            select oid, nspname from pg_namespace n
            where nspname !~ '^pg_' and nspname <> 'information_schema'
        )
        select kind, name from (
            select 1 as rank, 'the relation' as kind, c.oid::regclass::text as name, 'pg_class'::regclass as class, c.oid
            from pg_class c join own on own.oid = relnamespace where relkind in ('r', 'v', 'm', 'S', 'f', 'p')
            union all
            select 2, 'the function', p.oid::regprocedure::text, 'pg_proc'::regclass, p.oid
            from pg_proc p join own on own.oid = pronamespace
            union all
            select 3, 'the type', t.oid::regtype::text, 'pg_type'::regclass, t.oid
            from pg_type t join own on own.oid = typnamespace
            union all
            select 4, 'the schema', nspname, 'pg_namespace'::regclass, oid from own where nspname <> 'public'
            union all
            select 5, 'the large object', oid::text, 'pg_largeobject'::regclass, oid from pg_largeobject_metadata
        ) found
        where not exists (
            select from pg_depend d
            where d.classid = found.class and d.objid = found.oid and d.deptype in ('e', 'i'))
        order by rank, name limit 1";
    let row = session.row("failed to look at what is in the database", SQL).await?;
    let mut row = row.into_iter().flatten();
    Ok(row.next().zip(row.next()).map(|(kind, name)| format!("{kind} `{name}`")))
}

/// The query that terminates all other connections to a database that the role may terminate.
pub fn terminate_others(database: &str) -> String {
    format!(
        "select pg_terminate_backend(pid) from pg_stat_activity \
         where datname = {} and pid <> pg_backend_pid() and backend_type = 'client backend' \
         and pg_has_role(usesysid, 'member')",
        mark::literal(database)
    )
}

#[cfg(test)]
mod tests {
    use super::is_production_like;

    #[test]
    fn environments_that_others_rely_on_are_known_by_their_names() {
        for name in ["prod", "Production", "eu-prod-1", "PREPROD", "live", "shop_live", "staging", "prod2"] {
            assert!(is_production_like(name), "{name}");
        }
        for name in ["", "development", "dev", "test", "ci", "local", "delivery", "backstage"] {
            assert!(!is_production_like(name), "{name}");
        }
    }
}
