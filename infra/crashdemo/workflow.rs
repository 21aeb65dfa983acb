//! The workflow: its journal, its steps, and what exactly once stands on.

use std::collections::BTreeSet;
use std::time::Duration;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

/// Whatever went wrong, for people.
pub type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// The kind of workflow that the journal is seeded with.
const KIND: &str = "two-marks";

/// Where the two databases are.
#[derive(Clone)]
pub struct Urls {
    /// Marks, receipts and runs.
    pub marks: String,
    /// The journal.
    pub journal: String,
}

/// How the program behaves.
#[derive(Clone, Copy)]
pub struct Options {
    /// Between one step and the next.
    pub pause: Duration,
    /// Neither the journal's steps nor receipts are looked at.
    pub forgetful: bool,
}

/// A connection that may do what `role` may, and no more.
async fn connect(url: &str, role: &str) -> Result<Client, Trouble> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // A connection that breaks is told of by whatever is asked next.
    tokio::spawn(connection);
    client.batch_execute(&format!("set role {role}")).await?;
    Ok(client)
}

/// The journal.
pub struct Journal(Client);

impl Journal {
    /// Connects to it.
    pub async fn open(urls: &Urls) -> Result<Self, Trouble> {
        Ok(Self(connect(&urls.journal, "workflow").await?))
    }

    /// Puts a new workflow on record; false where it is already.
    pub async fn begin(&self, id: &str) -> Result<bool, Trouble> {
        Ok(self.0.query_one("select begin_workflow($1, $2)", &[&id, &KIND]).await?.try_get(0)?)
    }

    /// Those that are not finished. To be asked once, by a process that starts.
    pub async fn unfinished(&self) -> Result<Vec<String>, Trouble> {
        let rows = self.0.query("select workflow_id from recover_workflows()", &[]).await?;
        Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
    }

    /// `PENDING`, `SUCCESS` or `ERROR`; none: it is not on record.
    pub async fn status(&self, id: &str) -> Result<Option<&'static str>, Trouble> {
        let row = self.0.query_opt("select status from workflow_status where workflow_id = $1", &[&id]).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(match row.try_get(0)? {
            "pending" => "PENDING",
            "succeeded" => "SUCCESS",
            "failed" => "ERROR",
            other => return Err(format!("the journal has a status `{other}`").into()),
        }))
    }

    /// The steps in order, and which of them are on record.
    async fn steps(&self, id: &str) -> Result<(Vec<String>, BTreeSet<String>), Trouble> {
        let steps = "select array(select jsonb_array_elements_text(steps)) from workflow_kinds where kind = $1";
        let steps = self.0.query_one(steps, &[&KIND]).await?.try_get(0)?;
        let done = self.0.query("select step from workflow_steps where workflow_id = $1", &[&id]).await?;
        Ok((steps, done.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?))
    }

    async fn record(&self, id: &str, step: &str) -> Result<(), Trouble> {
        self.0.execute("select record_step($1, $2)", &[&id, &step]).await?;
        Ok(())
    }

    async fn succeeded(&self, id: &str) -> Result<(), Trouble> {
        self.0.execute("select finish_workflow($1, 'succeeded')", &[&id]).await?;
        Ok(())
    }
}

/// Does what is left of a workflow.
pub async fn go_on(id: &str, urls: &Urls, options: Options) -> Result<(), Trouble> {
    let journal = Journal::open(urls).await?;
    let mut marks = connect(&urls.marks, "executor").await?;
    marks.execute("select start_run($1)", &[&id]).await?;
    let (steps, mut on_record) = journal.steps(id).await?;
    if options.forgetful {
        on_record.clear();
    }
    let mut worked = false;
    for step in &steps {
        if on_record.contains(step) {
            println!("{id}: {step} is on record");
            continue;
        }
        if worked {
            tokio::time::sleep(options.pause).await;
        }
        do_step(id, step, &mut marks, options).await?;
        journal.record(id, step).await?;
        println!("{id}: {step} is done");
        worked = true;
    }
    finish_run(id, &marks).await?;
    journal.succeeded(id).await?;
    println!("{id}: finished");
    Ok(())
}

/// Leaves the step's mark, in the transaction that takes its receipt: killed at whatever instant, there are both or
/// neither.
async fn do_step(id: &str, step: &str, marks: &mut Client, options: Options) -> Result<(), Trouble> {
    let process = format!("process {}", std::process::id());
    let transaction = marks.transaction().await?;
    let first: bool = match options.forgetful {
        true => true,
        false => transaction.query_one("select take_receipt($1, $2)", &[&id, &step]).await?.try_get(0)?,
    };
    if first {
        transaction.execute("select mark_step($1, $2, $3)", &[&id, &step, &process]).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// The run ends before the workflow does; a process that was killed in between has ended it.
async fn finish_run(id: &str, marks: &Client) -> Result<(), Trouble> {
    match marks.execute("select finish_run($1, 'succeeded')", &[&id]).await {
        Err(error) if error.code() == Some(&SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE) => Ok(()),
        done => Ok(done.map(|_| ())?),
    }
}
