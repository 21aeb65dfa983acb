//! Logins of roles: set after the migrations, which must not hold passwords.

use super::databases::Databases;
use super::error::DbError;
use super::mark::{literal, quoted};
use super::provider::{self, Source};
use super::session::Session;
use crate::config::{Database, Login};
use crate::model::Digest;
use crate::node::Output;
use postgres_protocol::password::scram_sha_256;

/// The variables that hold the passwords of a database's roles.
pub fn variables(database: &Database) -> impl Iterator<Item = &str> {
    database.roles.values().filter_map(|login| login.password_env.as_deref())
}

/// The password of a role: what its variable says, or, where that is not set and the server is the workspace's own, one
/// made of the owner's, so that nothing has to be set in a fresh clone.
///
/// # Errors
/// The variable is not set, and the server is somebody else's.
pub fn password(databases: &Databases, database: &Database, role: &str, variable: &str) -> Result<String, DbError> {
    if let Some(named) = databases.outside.get(variable).filter(|password| !password.is_empty()) {
        return Ok(named);
    }
    let own = !matches!(provider::settled(databases, database)?, Some(Source::Url(_)));
    let owners = if own { provider::known(databases, database)?.and_then(|endpoint| endpoint.password) } else { None };
    owners.map(|owners| Digest::of(format!("{owners}\0{role}").as_bytes()).to_hex()[..32].to_owned()).ok_or_else(|| {
        DbError::failed(format!("the variable `{variable}`, which holds the password of role `{role}`, is not set"))
            .help(format!("set `{variable}`, or take `password_env` off `[db.{}.roles]`", database.key))
    })
}

/// The passwords of all roles that are given one, as far as they are known.
pub fn secrets(databases: &Databases, database: &Database) -> Vec<String> {
    let known =
        |(role, login): (&String, &Login)| password(databases, database, role, login.password_env.as_deref()?).ok();
    database.roles.iter().filter_map(known).collect()
}

/// Gives the roles of `[db.NAME.roles]` their logins. The server is told a verifier and never the password: statements
/// end up in its log.
///
/// # Errors
/// A variable is not set, a role does not exist, or the role connected may not.
pub async fn apply(
    session: &Session,
    databases: &Databases,
    database: &Database,
    output: &mut dyn Output,
) -> Result<(), DbError> {
    if database.roles.is_empty() {
        return Ok(());
    }
    let mut statements = Vec::new();
    for (name, login) in &database.roles {
        let mut statement = format!("alter role {} {}", quoted(name), if login.login { "login" } else { "nologin" });
        if let Some(variable) = &login.password_env {
            let password = password(databases, database, name, variable)?;
            statement.push_str(&format!(" password {}", literal(&scram_sha_256(password.as_bytes()))));
        }
        statements.push((name, statement));
    }
    let names: Vec<String> = database.roles.keys().map(|name| literal(name)).collect();
    let sql = format!("select rolname from pg_catalog.pg_roles where rolname in ({})", names.join(", "));
    let rows = session.rows("failed to look for the roles", &sql).await?;
    let there: Vec<String> = rows.into_iter().flatten().flatten().collect();
    if let Some(missing) = database.roles.keys().find(|name| !there.contains(name)) {
        return Err(DbError::failed(format!("role `{missing}` of `[db.{}.roles]` does not exist", database.key))
            .help(format!("create it in a migration: `create role {}`; only its login is set here", quoted(missing))));
    }
    for (name, statement) in statements {
        session.execute(&format!("failed to set the login of role `{name}`"), &statement).await?;
        let login = if database.roles[name].login { "login" } else { "no login" };
        output.bytes(format!("role {name}: {login}\n").as_bytes());
    }
    Ok(())
}
