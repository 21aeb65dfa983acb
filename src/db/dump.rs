//! A database's schema as SQL, by `pg_dump`, made the same on every machine: no dates, no versions, no random tokens, and
//! whoever applies it owns what the dumped database's owner owned. Never an older `pg_dump` than the server.

use super::error::DbError;
use super::frame::Site;
use super::mark::{OWN_TABLES, literal, quoted, relation};
use super::migrations::Migration;
use super::provider::folders;
use super::session::Session;
use crate::process::{Command, Stdio, capture};
use std::path::PathBuf;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(120);
/// More than any schema.
const LIMIT: usize = 256 << 20;

/// What the file begins with, instead of the settings of one version of `pg_dump`.
const HEAD: &str = "\
-- The schema in one file, written by weir from the migrations. Change the migrations, not this file.

set client_encoding = 'UTF8';
set standard_conforming_strings = on;
set check_function_bodies = false;
set client_min_messages = warning;
set row_security = off;
set xmloption = content;
select pg_catalog.set_config('search_path', '', false);
";

/// The schema of the database that `session` is connected to, with the rows of the ledger for `files`.
///
/// # Errors
/// There is no `pg_dump` that is new enough, or it fails.
pub async fn schema(site: &Site<'_>, session: &Session, files: &[Migration]) -> Result<String, DbError> {
    let server = session.version().await? / 10_000;
    let (program, major) = find(site, server).await?;
    let mut command = Command::new(&program, "/");
    command.args = vec!["--schema-only".into(), "--encoding=UTF8".into(), "--no-password".into()];
    let schema = quoted(&site.database.ledger.schema);
    command.args.extend(OWN_TABLES.map(|name| format!("--exclude-table={schema}.{}", quoted(name)).into()));
    let named = ["PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD"];
    let variables = session.endpoint.variables("DATABASE_URL").into_iter();
    let path = site.context.outside.vars.get("PATH").cloned().unwrap_or_default();
    command.env = variables
        .filter(|(name, _)| named.contains(&name.as_str()))
        .map(|(name, value)| (name.into(), value))
        .chain([("PATH".into(), path), ("LC_ALL".into(), "C".into())])
        .collect();
    command.stdio = Stdio::CaptureSplit;
    let what = format!("`{}`", program.display());
    let done = capture(&site.context.guard, command, PATIENCE, LIMIT)
        .await
        .map_err(|error| DbError::failed(format!("failed to run {what}: {error}")))?;
    let said = String::from_utf8_lossy(&done.error).trim().to_owned();
    if !done.exit.success() || done.timed_out || done.truncated {
        return Err(DbError::failed(format!("{what} (version {major}) failed: {said}")));
    }
    let text =
        String::from_utf8(done.output).map_err(|_| DbError::failed(format!("{what} wrote what is not UTF-8")))?;
    // It says so when it has written all.
    if !text.contains("\n-- PostgreSQL database dump complete\n") {
        return Err(DbError::failed(format!("{what} (version {major}) ended before its dump was complete")));
    }
    let owner = session.row("failed to ask who this is", "select quote_ident(current_user)").await?;
    let owner = owner.into_iter().flatten().next().unwrap_or_default();
    let mut out = HEAD.to_owned();
    out.push_str(&roles(session).await?);
    out.push('\n');
    out.push_str(tidy(&text, &owner).trim());
    out.push_str("\n\n");
    out.push_str(&rows(site, files));
    Ok(out)
}

/// A `pg_dump` that is at least as new as the server: the one on PATH before others.
async fn find(site: &Site<'_>, server: u32) -> Result<(PathBuf, u32), DbError> {
    let mut seen = Vec::new();
    for folder in folders(&site.context.outside) {
        let program = folder.join("pg_dump");
        if !program.is_file() {
            continue;
        }
        let mut command = Command::new(&program, "/");
        command.args = vec!["--version".into()];
        command.env = vec![("PATH".into(), site.context.outside.vars.get("PATH").cloned().unwrap_or_default())];
        let Ok(done) = capture(&site.context.guard, command, Duration::from_secs(10), 4096).await else { continue };
        let told = String::from_utf8_lossy(&done.output).into_owned();
        let digits = told.trim().strip_prefix("pg_dump (PostgreSQL) ").unwrap_or_default();
        let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
        let Ok(major) = digits[..end].parse::<u32>() else { continue };
        if major >= server {
            return Ok((program, major));
        }
        seen.push(format!("`{}` is version {major}", program.display()));
    }
    let found = if seen.is_empty() { "there is none".to_owned() } else { seen.join(", ") };
    Err(DbError::failed(format!("a `pg_dump` of version {server} or newer is needed, and {found}")).help(format!(
        "install the client programs of Postgres {server}, such as `apt-get install postgresql-client-{server}`"
    )))
}

/// What differs from machine to machine, taken out.
fn tidy(dump: &str, owner: &str) -> String {
    let token = dump.lines().find_map(|line| line.strip_prefix("\\restrict "));
    let tokens = token.map(|token| [format!("\\restrict {token}"), format!("\\unrestrict {token}")]);
    let owned = format!(" OWNER TO {owner};");
    // The settings at the top end with the first statement that is none.
    let mut settings = true;
    let mut out = String::new();
    let mut blank = true;
    for line in dump.lines() {
        let is_setting = line.starts_with("SET ") || line.starts_with("SELECT pg_catalog.set_config(");
        settings &= is_setting || line.trim().is_empty() || line.starts_with("--") || line.starts_with('\\');
        let noise = settings && is_setting
            || tokens.as_ref().is_some_and(|tokens| tokens.iter().any(|token| token == line))
            || line.starts_with("-- Dumped ")
            || line.starts_with("-- PostgreSQL database dump")
            || line == "--"
            || line.starts_with("-- Name: ") && line.contains("; Type: ")
            || line.starts_with("ALTER ") && line.ends_with(&owned);
        if noise || blank && line.is_empty() {
            continue;
        }
        blank = line.is_empty();
        out.push_str(&as_current(line, owner));
        out.push('\n');
    }
    out
}

/// A line about the owner's own privileges, said of whoever applies it.
fn as_current(line: &str, owner: &str) -> String {
    let defaults = format!("ALTER DEFAULT PRIVILEGES FOR ROLE {owner} ");
    let line = match line.strip_prefix(&defaults) {
        Some(rest) => format!("ALTER DEFAULT PRIVILEGES FOR ROLE CURRENT_USER {rest}"),
        None => line.to_owned(),
    };
    for (verb, end) in [("GRANT ", format!(" TO {owner};")), ("REVOKE ", format!(" FROM {owner};"))] {
        let is_about = line.starts_with(verb) || line.starts_with("ALTER DEFAULT PRIVILEGES ") && line.contains(verb);
        if let Some(head) = line.strip_suffix(&end).filter(|_| is_about) {
            let word = if verb == "GRANT " { "TO" } else { "FROM" };
            return format!("{head} {word} CURRENT_USER;");
        }
    }
    line
}

/// Roles are the server's, and no part of a schema: those that must be there are named at once.
async fn roles(session: &Session) -> Result<String, DbError> {
    const SQL: &str =
        "select quote_literal(r.rolname) from pg_roles r where r.rolname !~ '^pg_' and r.rolname <> current_user
         and exists (select from pg_shdepend d where d.refclassid = 'pg_authid'::regclass and d.refobjid = r.oid
                     and d.dbid = (select oid from pg_database where datname = current_database()))
         order by r.rolname collate \"C\"";
    let names = session.rows("failed to ask for roles", SQL).await?;
    let names: Vec<String> = names.into_iter().flatten().flatten().collect();
    if names.is_empty() {
        return Ok(String::new());
    }
    Ok(format!(
        "
-- Roles are the server's, and must be there.
do $weir$
declare
    missing text;
begin
    select string_agg(wanted, ', ') into missing from unnest(array[{}]) wanted
    where not exists (select from pg_catalog.pg_roles where rolname = wanted);
    if missing is not null then
        raise exception 'these roles must exist before this schema is made: %', missing;
    end if;
end
$weir$;
",
        names.join(", ")
    ))
}

/// The ledger's rows, so that migrating on top of the schema applies nothing.
fn rows(site: &Site<'_>, files: &[Migration]) -> String {
    let row = |file: &Migration| {
        format!("    ({}, {}, {})", file.version, literal(&file.description), literal(&file.checksum.to_hex()))
    };
    let rows: Vec<String> = files.iter().map(row).collect();
    format!(
        "insert into {} (version, description, checksum_sha256) values\n{};\n",
        relation(&site.database.ledger),
        rows.join(",\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_between_machines_goes() {
        let dump = "--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\n-- Dumped from database version 15.1\n\n\
            SET statement_timeout = 0;\nSELECT pg_catalog.set_config('search_path', '', false);\n\n--\n\
            -- Name: f(); Type: FUNCTION; Schema: public; Owner: me\n--\n\nCREATE FUNCTION public.f() AS $$\n-- kept\nSET x = 1;\n$$;\n\n\n\
            ALTER FUNCTION public.f() OWNER TO me;\nALTER TABLE public.t OWNER TO other;\nSET default_tablespace = '';\n\
            REVOKE ALL ON TABLE public.t FROM me;\nGRANT SELECT ON TABLE public.t TO me;\nGRANT SELECT ON TABLE public.t TO you;\n\
            ALTER DEFAULT PRIVILEGES FOR ROLE me IN SCHEMA public GRANT SELECT ON TABLES TO you;\n\\unrestrict abc\n";
        let expected = "CREATE FUNCTION public.f() AS $$\n-- kept\nSET x = 1;\n$$;\n\nALTER TABLE public.t OWNER TO other;\n\
            SET default_tablespace = '';\nREVOKE ALL ON TABLE public.t FROM CURRENT_USER;\n\
            GRANT SELECT ON TABLE public.t TO CURRENT_USER;\nGRANT SELECT ON TABLE public.t TO you;\n\
            ALTER DEFAULT PRIVILEGES FOR ROLE CURRENT_USER IN SCHEMA public GRANT SELECT ON TABLES TO you;\n";
        assert_eq!(tidy(dump, "me"), expected);
    }
}
