//! A workflow program made to be killed: what `wf:crashdemo` proves its crash-safety on.
//!
//! ```text
//!   POST /workflows/ID ─▶ journal (`sys`): begun ─▶ s1 ─▶ pause ─▶ s2 ─▶ run and journal: succeeded
//!                                                   │             │
//!                                     marks (`app`) ┴─────────────┘
//! ```
//! When it starts, it takes up every workflow that the journal says is not finished. A step that is on record there is
//! not done again. One that was done and is not on record, because the process was killed in between, finds its receipt
//! taken, which happened in the transaction that left the mark.
//!
//! With `--forgetful` it looks at neither: a defect for the proof to find.

#![allow(clippy::print_stdout, clippy::print_stderr)]

mod http;
mod workflow;

use std::process::ExitCode;
use std::time::Duration;
use workflow::{Options, Trouble, Urls};

const USAGE: &str = "usage: crashdemo serve [--pause-ms N] [--forgetful] | begin ID | status ID
PORT is the port on 127.0.0.1; DATABASE_URL holds the marks, SYS_DATABASE_URL the journal";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime.map_err(Trouble::from).and_then(|runtime| runtime.block_on(run(&words)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("crashdemo: {trouble}");
            ExitCode::FAILURE
        }
    }
}

async fn run(words: &[&str]) -> Result<(), Trouble> {
    let port: u16 = variable("PORT")?.parse().map_err(|_| "`PORT` is no port")?;
    match words {
        ["serve", options @ ..] => {
            let urls = Urls { marks: variable("DATABASE_URL")?, journal: variable("SYS_DATABASE_URL")? };
            http::serve(port, urls, parse(options)?).await
        }
        ["begin", id] => http::ask(port, "POST", id).await.map(|_| ()),
        ["status", id] => {
            println!("{}", http::ask(port, "GET", id).await?);
            Ok(())
        }
        _ => Err(USAGE.into()),
    }
}

fn parse(words: &[&str]) -> Result<Options, Trouble> {
    let mut options = Options { pause: Duration::ZERO, forgetful: false };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match (*word, words.as_slice().first()) {
            ("--forgetful", _) => options.forgetful = true,
            ("--pause-ms", Some(millis)) => {
                options.pause = Duration::from_millis(millis.parse().map_err(|_| "`--pause-ms` takes a number")?);
                words.next();
            }
            _ => return Err(USAGE.into()),
        }
    }
    Ok(options)
}

fn variable(name: &str) -> Result<String, Trouble> {
    std::env::var(name).map_err(|_| format!("`{name}` is not set\n{USAGE}").into())
}
