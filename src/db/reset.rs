//! `db.reset`: drops what is in a database, once the guard has let it through.
//!
//! What goes: every schema that neither the system nor an extension owns, large objects, publications, foreign
//! servers. What stays: roles, extensions and what they own, privileges by default and settings of the database.
//! With `reset = "database"` the whole database goes, and only roles stay.

use super::databases::Databases;
use super::error::DbError;
use super::frame::{Act, Nature, Site};
use super::guard;
use super::mark::{self, literal, quoted};
use super::server::unreachable;
use super::session::{Session, Unconnected};
use crate::config::{Database, ResetScope};
use crate::model::Reason;
use crate::node::{Output, Outside, Pending, Refusal};

/// What is in the database is dropped.
pub struct Reset;

const WHAT: &str = "failed to reset the database";

impl Act for Reset {
    fn nature(&self, _: &Database) -> Nature {
        Nature { always: Some(Reason::Reset), ..Nature::default() }
    }

    fn refusals(&self, _: &Databases, database: &Database, outside: &Outside) -> Vec<Refusal> {
        guard::refusals(database, outside)
    }

    fn run<'a>(&'a self, site: Site<'a>, output: &'a mut dyn Output) -> Pending<'a, Result<(), DbError>> {
        Box::pin(async move {
            let Site { databases, database, context } = site;
            let session = databases.connect(database, context).await?;
            guard::may_destroy(&session, database, databases).await?;
            let said = match database.reset {
                ResetScope::Schema => schemas(&session, database).await?,
                ResetScope::Database => whole(session, database).await?,
            };
            output.bytes(format!("{said}\n").as_bytes());
            Ok(())
        })
    }
}

/// Drops the schemas, in one transaction.
async fn schemas(session: &Session, database: &Database) -> Result<String, DbError> {
    session.execute(WHAT, "begin; set local lock_timeout = '10s'; set local client_min_messages = warning").await?;
    // What they know of is about to be gone; a lock of theirs would be waited for.
    session.rows(WHAT, &guard::terminate_others(&session.endpoint.database)).await?;
    let found = session.rows(WHAT, SCHEMAS).await?;
    let mut dropped = Vec::new();
    for row in found {
        let [Some(name), Some(holds_extension)] = &row[..] else { continue };
        if holds_extension == "t" {
            empty(session, name).await?;
        } else {
            session.execute(WHAT, &format!("drop schema {} cascade", quoted(name))).await?;
        }
        dropped.push(format!("`{name}`"));
    }
    session.rows(WHAT, "select lo_unlink(oid) from pg_largeobject_metadata").await?;
    for (kind, sql) in OTHERS {
        for name in session.rows(WHAT, sql).await?.into_iter().flatten().flatten() {
            session.execute(WHAT, &format!("drop {kind} if exists {} cascade", quoted(&name))).await?;
        }
    }
    session.execute(WHAT, PUBLIC).await?;
    mark::stamp(session, database).await?;
    session.execute(WHAT, "commit").await?;
    let dropped = if dropped.is_empty() { "nothing".to_owned() } else { dropped.join(", ") };
    Ok(format!("dropped {dropped} in `{}`", session.endpoint.describe()))
}

/// Schemas of users, and whether an extension lives in one.
const SCHEMAS: &str = "
    select nspname, exists (select from pg_extension where extnamespace = n.oid)
    from pg_namespace n
    where nspname !~ '^pg_' and nspname <> 'information_schema'
      and not exists (select from pg_depend d
                      where d.classid = 'pg_namespace'::regclass and d.objid = n.oid and d.deptype = 'e')
    order by nspname";

/// What is in no schema.
const OTHERS: [(&str, &str); 3] = [
    ("publication", "select pubname from pg_publication"),
    (
        "server",
        "select srvname from pg_foreign_server s where not exists (select from pg_depend d \
      where d.classid = 'pg_foreign_server'::regclass and d.objid = s.oid and d.deptype = 'e')",
    ),
    (
        "foreign data wrapper",
        "select fdwname from pg_foreign_data_wrapper w where not exists (select from pg_depend d \
      where d.classid = 'pg_foreign_data_wrapper'::regclass and d.objid = w.oid and d.deptype = 'e')",
    ),
];

/// `public` as in a new database, on any version: for everybody to use, and not to create in.
const PUBLIC: &str = "
    do $$
    begin
        if to_regnamespace('public') is null then
            create schema public;
            comment on schema public is 'standard public schema';
            if to_regrole('pg_database_owner') is not null and pg_has_role('pg_database_owner', 'member') then
                alter schema public owner to pg_database_owner;
            end if;
        end if;
    end $$;
    revoke create on schema public from public;
    grant usage on schema public to public";

/// Drops everything in a schema that an extension lives in, and does not belong to one, and takes back what
/// roles were granted on it.
async fn empty(session: &Session, schema: &str) -> Result<(), DbError> {
    let sql = OBJECTS.replace("$1", &literal(schema));
    for row in session.rows(WHAT, &sql).await? {
        let [Some(kind), Some(identity)] = &row[..] else { continue };
        session.execute(WHAT, &format!("drop {kind} if exists {identity} cascade")).await?;
    }
    let grantees = format!(
        "select distinct case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end
         from pg_namespace n, aclexplode(n.nspacl) a where nspname = {} and a.grantee <> n.nspowner",
        literal(schema)
    );
    for grantee in session.rows(WHAT, &grantees).await?.into_iter().flatten().flatten() {
        session.execute(WHAT, &format!("revoke all on schema {} from {grantee} cascade", quoted(schema))).await?;
    }
    Ok(())
}

/// What is in a schema, relations first, as `drop` names it.
const OBJECTS: &str = "
    with own(class, oid) as (
        select 'pg_class'::regclass, oid from pg_class
        where relnamespace = $1::text::regnamespace and relkind in ('r', 'v', 'm', 'S', 'f', 'p')
        union all select 'pg_proc'::regclass, oid from pg_proc where pronamespace = $1::text::regnamespace
        union all select 'pg_operator'::regclass, oid from pg_operator where oprnamespace = $1::text::regnamespace
        union all select 'pg_opclass'::regclass, oid from pg_opclass where opcnamespace = $1::text::regnamespace
        union all select 'pg_opfamily'::regclass, oid from pg_opfamily where opfnamespace = $1::text::regnamespace
        union all select 'pg_type'::regclass, oid from pg_type where typnamespace = $1::text::regnamespace
        union all select 'pg_collation'::regclass, oid from pg_collation where collnamespace = $1::text::regnamespace
        union all select 'pg_conversion'::regclass, oid from pg_conversion where connamespace = $1::text::regnamespace
        union all select 'pg_statistic_ext'::regclass, oid from pg_statistic_ext
        where stxnamespace = $1::text::regnamespace
        union all select 'pg_ts_config'::regclass, oid from pg_ts_config where cfgnamespace = $1::text::regnamespace
        union all select 'pg_ts_dict'::regclass, oid from pg_ts_dict where dictnamespace = $1::text::regnamespace
    )
    select case i.type when 'statistics object' then 'statistics' else i.type end, i.identity
    from own, pg_identify_object(own.class, own.oid, 0) i
    where not exists (select from pg_depend d
                      where d.classid = own.class and d.objid = own.oid and d.deptype in ('e', 'i'))
    order by own.class <> 'pg_class'::regclass, own.class::oid, own.oid";

/// Drops and creates the database, from another one on the server.
async fn whole(session: Session, database: &Database) -> Result<String, DbError> {
    let name = session.endpoint.database.clone();
    // As it was made, so that nothing sorts otherwise afterwards.
    let as_it_was = "select quote_ident(pg_get_userbyid(datdba)), pg_encoding_to_char(encoding), datcollate, datctype,
         coalesce(to_jsonb(d)->>'datlocprovider', 'c'),
         coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale')
         from pg_database d where datname = current_database()";
    let row = session.row(WHAT, as_it_was).await?;
    let text = |index: usize| row.get(index).cloned().flatten().unwrap_or_default();
    let [owner, encoding, collate, ctype, provider, locale] = [0, 1, 2, 3, 4, 5].map(text);
    let mut sql = format!(
        "create database {} owner {owner} template template0 encoding {} lc_collate {} lc_ctype {}",
        quoted(&name),
        literal(&encoding),
        literal(&collate),
        literal(&ctype)
    );
    match provider.as_str() {
        "i" => sql.push_str(&format!(" locale_provider icu icu_locale {}", literal(&locale))),
        "b" => sql.push_str(&format!(" locale_provider builtin builtin_locale {}", literal(&locale))),
        _ => {}
    }
    let endpoint = session.endpoint.clone();
    drop(session);
    let mut outer = Err(Unconnected::Silence);
    for maintenance in ["postgres", "template1"].into_iter().filter(|other| *other != name) {
        outer = Session::attempt(&endpoint.with_database(maintenance)).await;
        if outer.is_ok() {
            break;
        }
    }
    let outer = outer.map_err(|why| unreachable(&endpoint.with_database("postgres"), &why))?;
    // Not in one transaction: the server does not allow that.
    outer.execute(WHAT, &format!("drop database if exists {} with (force)", quoted(&name))).await?;
    outer.execute(WHAT, &sql).await?;
    let fresh = Session::open(&endpoint).await?;
    // Servers before 15 let everybody create in it.
    fresh.execute(WHAT, "revoke create on schema public from public").await?;
    mark::stamp(&fresh, database).await?;
    Ok(format!("dropped and created `{}`", endpoint.describe()))
}
