//! Logins of roles: set after the migrations, which must not hold passwords.

use super::error::DbError;
use super::mark::{literal, quoted};
use super::session::Session;
use crate::config::Database;
use crate::node::{Output, Outside};
use postgres_protocol::password::scram_sha_256;

/// The variables that hold the passwords of a database's roles.
pub fn variables(database: &Database) -> impl Iterator<Item = &str> {
    database.roles.values().filter_map(|login| login.password_env.as_deref())
}

/// Gives the roles of `[db.NAME.roles]` their logins. The server is told a verifier and never the password: statements
/// end up in its log.
///
/// # Errors
/// A variable is not set, a role does not exist, or the role connected may not.
pub async fn apply(
    session: &Session,
    database: &Database,
    outside: &Outside,
    output: &mut dyn Output,
) -> Result<(), DbError> {
    if database.roles.is_empty() {
        return Ok(());
    }
    let mut statements = Vec::new();
    for (name, login) in &database.roles {
        let mut statement = format!("alter role {} {}", quoted(name), if login.login { "login" } else { "nologin" });
        if let Some(variable) = &login.password_env {
            let password = outside.get(variable).filter(|password| !password.is_empty()).ok_or_else(|| {
                DbError::failed(format!(
                    "the variable `{variable}`, which holds the password of role `{name}`, is not set"
                ))
                .help(format!("set `{variable}`, or take `password_env` off `[db.{}.roles]`", database.key))
            })?;
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
