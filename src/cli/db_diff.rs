//! `weir db diff`.

use super::db::Site;
use super::error::{self, CliError};
use super::print;
use crate::model::Notice;
use crate::node::Output;

/// `weir db diff [A] [B]`: 1 if they differ.
///
/// # Errors
/// A side does not exist, or can't be read.
pub fn diff(site: &Site<'_>, first: Option<&str>, second: Option<&str>, json: bool) -> Result<u8, CliError> {
    let first = first.unwrap_or("migrations");
    let second = second.unwrap_or(&site.database.key);
    let differences = site.with(|context| async move {
        site.databases.diff(&site.database, &context, (first, second), &mut Aside).await
    })?;
    if json {
        print::json(&differences)?;
    } else {
        for difference in &differences {
            print::text(&difference.lines())?;
        }
        if differences.is_empty() {
            print::text("no difference\n")?;
        }
    }
    Ok(if differences.is_empty() { 0 } else { error::FAILED })
}

/// What happens on the way goes beside the answer.
struct Aside;

impl Output for Aside {
    fn bytes(&mut self, bytes: &[u8]) {
        use std::io::Write as _;
        let _ = std::io::stderr().write_all(bytes);
    }

    fn notice(&mut self, notice: Notice) {
        print::warning_line(&notice.message);
        if let Some(help) = notice.help {
            print::help_line(&help);
        }
    }
}
