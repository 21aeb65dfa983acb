//! `db.baseline`: the schema in one file, derived from the migrations. It is compared by what it makes, not by its text:
//! applied to one scratch database, the migrations to another. It is written by `pg_dump`, and holds the ledger's rows,
//! so that migrating on top of it applies nothing.

use super::catalogue::{Catalogue, Change, Difference, describe, diff};
use super::dump;
use super::error::DbError;
use super::frame::{Act, Nature, Site};
use super::ledger;
use super::migrate::apply_all;
use super::migrations::{self, Migration};
use super::scratch::Scratch;
use super::show::{self, Sent, Source};
use crate::config::{Database, Mode, Pattern};
use crate::journal;
use crate::model::{WsPath, counted};
use crate::node::{Output, Pending};
use crate::sql::split;

/// `db.baseline`.
pub struct Baseline {
    /// Whether the file is compared or written.
    pub mode: Mode,
}

impl Act for Baseline {
    fn nature(&self, database: &Database) -> Nature {
        let file = Pattern::parse(&WsPath::root(), database.baseline.value.as_str());
        let writes = file.ok().filter(|_| self.mode == Mode::Write).into_iter().collect();
        Nature { writes, ..Nature::default() }
    }

    fn run<'a>(&'a self, site: Site<'a>, output: &'a mut dyn Output) -> Pending<'a, Result<(), DbError>> {
        Box::pin(async move {
            match self.mode {
                Mode::Check => check(&site, output).await,
                Mode::Write => write(&site, output).await,
            }
        })
    }
}

/// What a scratch database is made from.
pub enum From<'a> {
    /// Migrations, in order.
    Migrations(&'a [Migration]),
    /// A text of SQL, and its file.
    Text {
        /// The file, for people.
        path: &'a str,
        /// All of it.
        text: &'a str,
    },
}

/// What a scratch database held.
pub struct Made {
    /// Its objects.
    pub catalogue: Catalogue,
    /// What is wrong between its ledger and the files.
    pub ledger: Vec<String>,
    /// Its schema as SQL, where that was asked for.
    pub dump: Option<String>,
}

/// Makes a scratch database, describes it, and removes it, however that ends.
///
/// # Errors
/// What it is made from does not go in; the server allows no other database.
pub async fn make(site: &Site<'_>, from: From<'_>, dumped: bool, output: &mut dyn Output) -> Result<Made, DbError> {
    let mut scratch = Scratch::create(site.databases, site.database, site.context, "compare").await?;
    let made = fill(site, &mut scratch, from, dumped, output).await;
    let removed = scratch.remove().await;
    let made = made?;
    removed.map(|()| made)
}

async fn fill(
    site: &Site<'_>,
    scratch: &mut Scratch,
    from: From<'_>,
    dumped: bool,
    output: &mut dyn Output,
) -> Result<Made, DbError> {
    match from {
        // What they say of themselves is of no interest here, unless they fail.
        From::Migrations(files) => apply_all(&mut scratch.session, site.database, files, &mut Failures(output)).await?,
        From::Text { path, text } => apply_text(scratch, path, text, output).await?,
    }
    // The text may have left settings behind.
    scratch.session.execute("failed to tidy up a scratch database", "discard all").await?;
    let files = migrations::load(&site.databases.root, site.database)?;
    let applied = ledger::read(&scratch.session, site.database).await?;
    let ledger = match ledger::pending(&files, &applied) {
        Ok(missing) => missing.iter().map(|file| format!("its ledger has no row for {}", file.path)).collect(),
        Err(problems) => problems.into_iter().map(|problem| problem.message).collect(),
    };
    let dump = match dumped {
        true => Some(dump::schema(site, &scratch.session, &files).await?),
        false => None,
    };
    Ok(Made { catalogue: describe(&scratch.session, site.database).await?, ledger, dump })
}

/// Lets notices through, and the first words of a failure; not what goes well.
struct Failures<'a>(&'a mut dyn Output);

impl Output for Failures<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        if bytes.starts_with(b" ") {
            self.0.bytes(bytes);
        }
    }

    fn notice(&mut self, notice: crate::model::Notice) {
        self.0.notice(notice);
    }
}

async fn apply_text(scratch: &Scratch, path: &str, text: &str, output: &mut dyn Output) -> Result<(), DbError> {
    let Err(error) = scratch.session.client.batch_execute(text).await else { return Ok(()) };
    let Some(said) = error.as_db_error() else {
        return Err(DbError::postgres(&format!("failed to apply `{path}`"), &error));
    };
    let statements = split(text);
    let source = Source { path, text, statements: &statements };
    let shown = show::show(&source, said, Sent { before: 0, from: 0 }, None);
    output.bytes(shown.block.as_bytes());
    let failed = DbError::failed(shown.message);
    Err(match shown.hint {
        Some(hint) => failed.help(hint),
        None => failed.help(format!("`{path}` must apply to an empty database; write it anew with `mode = \"write\"`")),
    })
}

/// Attributes that Postgres words otherwise once it has read its own words: `x in (…)` over `varchar`, say.
const WORDED: [&str; 6] = ["check", "default", "definition", "generated", "partition bound", "using"];

fn is_wording(difference: &Difference) -> bool {
    match &difference.change {
        Change::Changed { attributes } => attributes.keys().all(|name| WORDED.contains(&name.as_str())),
        Change::Added | Change::Removed => false,
    }
}

/// From what `files` `made` to `other`. Where words differ, the migrations' objects are taken through SQL once, as
/// those of a baseline were.
///
/// # Errors
/// The scratch databases can't be made.
pub async fn from_migrations(
    site: &Site<'_>,
    (files, made): (&[Migration], &Catalogue),
    other: &Catalogue,
    output: &mut dyn Output,
) -> Result<Vec<Difference>, DbError> {
    let differences = diff(made, other);
    if !differences.iter().any(is_wording) {
        return Ok(differences);
    }
    let Some(text) = make(site, From::Migrations(files), true, output).await?.dump else { return Ok(differences) };
    let again =
        make(site, From::Text { path: "what pg_dump made of the migrations", text: &text }, false, output).await?;
    // Both wordings are right: what differs from both is a difference.
    let reworded = diff(&again.catalogue, other);
    Ok(differences
        .into_iter()
        .filter(|one| reworded.iter().any(|two| (&one.kind, &one.name) == (&two.kind, &two.name)))
        .collect())
}

async fn check(site: &Site<'_>, output: &mut dyn Output) -> Result<(), DbError> {
    let path = &site.database.baseline.value;
    let text = std::fs::read_to_string(path.under(&site.databases.root))
        .map_err(|error| DbError::failed(format!("failed to read the baseline `{path}`: {error}")).help(WRITE))?;
    if split(&text).is_empty() {
        return Err(DbError::failed(format!("the baseline `{path}` is empty")).help(WRITE));
    }
    let files = migrations::load(&site.databases.root, site.database)?;
    // The migrations first: roles are the server's, and they make those that the baseline names.
    let made = make(site, From::Migrations(&files), false, output).await?;
    let baseline = make(site, From::Text { path: path.as_str(), text: &text }, false, output).await?;
    let differences = from_migrations(site, (&files, &made.catalogue), &baseline.catalogue, output).await?;
    for difference in &differences {
        output.bytes(difference.lines().as_bytes());
    }
    for line in &baseline.ledger {
        output.bytes(format!("~ ledger\n    {line}\n").as_bytes());
    }
    let total = differences.len() + baseline.ledger.len();
    if total == 0 {
        let said = format!(
            "`{path}` makes what {} make: {}\n",
            counted(files.len(), "migration"),
            counted(baseline.catalogue.len(), "object")
        );
        output.bytes(said.as_bytes());
        return Ok(());
    }
    let first = differences.first().map(|one| format!("{} {}", one.kind, one.name)).unwrap_or("its ledger".into());
    let many = if total == 1 { "" } else { "s" };
    Err(DbError::failed(format!(
        "the baseline `{path}` is not what the migrations make: {total} difference{many}, the first in {first}"
    ))
    .help(WRITE))
}

const WRITE: &str =
    "the migrations are the truth: write it from them, with a task that says `with = { mode = \"write\" }`";

async fn write(site: &Site<'_>, output: &mut dyn Output) -> Result<(), DbError> {
    let path = &site.database.baseline.value;
    let full = path.under(&site.databases.root);
    let files = migrations::load(&site.databases.root, site.database)?;
    let made = make(site, From::Migrations(&files), true, output).await?;
    let text = made.dump.unwrap_or_default();
    // What is not right is never written, and what was there stays.
    let again = make(site, From::Text { path: path.as_str(), text: &text }, false, output).await?;
    let differences = diff(&made.catalogue, &again.catalogue);
    if !differences.iter().all(is_wording) || !again.ledger.is_empty() {
        differences.iter().for_each(|one| output.bytes(one.lines().as_bytes()));
        again.ledger.iter().for_each(|line| output.bytes(format!("~ ledger\n    {line}\n").as_bytes()));
        return Err(DbError::failed(format!(
            "`pg_dump` does not give what the migrations make, and `{path}` was not written"
        ))
        .help("the lines above say what it leaves out"));
    }
    if std::fs::read_to_string(&full).is_ok_and(|old| old == text) {
        output.bytes(format!("`{path}` is as it was\n").as_bytes());
        return Ok(());
    }
    let failed = |error: std::io::Error| DbError::failed(format!("failed to write `{path}`: {error}"));
    if let Some(folder) = full.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    journal::replace(&full, text.as_bytes()).map_err(failed)?;
    output.bytes(format!("wrote `{path}` from {}\n", counted(files.len(), "migration")).as_bytes());
    Ok(())
}
