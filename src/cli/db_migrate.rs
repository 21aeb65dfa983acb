//! `weir db new`, `adopt` and `resolve`.

use super::db::{Printed, Site};
use super::error::CliError;
use super::print;
use crate::db::{DbError, Resolution};

/// `weir db new DESCRIPTION`.
///
/// # Errors
/// The folder can't be written, or holds what is no migration.
pub fn new(site: &Site<'_>, description: &str) -> Result<u8, CliError> {
    let written = site.databases.new_migration(&site.database, description);
    let path = written.map_err(|error| match error {
        DbError::Failed { message, help } => CliError::Outside { message, help },
        DbError::Refused { message, help } => CliError::Refused { message, help },
        DbError::Interrupted => CliError::outside("interrupted"),
    })?;
    print::text(&format!("wrote {path}\n"))
}

/// `weir db adopt`.
///
/// # Errors
/// The database says no.
pub fn adopt(site: &Site<'_>, up_to: Option<u64>) -> Result<u8, CliError> {
    site.with(|context| async move { site.databases.adopt(&site.database, &context, up_to, &mut Printed).await })?;
    Ok(0)
}

/// `weir db resolve VERSION`.
///
/// # Errors
/// The database says no.
pub fn resolve(site: &Site<'_>, version: u64, applied: bool) -> Result<u8, CliError> {
    let resolution = if applied { Resolution::Applied } else { Resolution::Undone };
    site.with(|context| async move {
        site.databases.resolve(&site.database, &context, version, resolution, &mut Printed).await
    })?;
    Ok(0)
}
