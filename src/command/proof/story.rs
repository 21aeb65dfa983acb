//! What an attempt tells: a line for each thing that happened, with its time, and where it was when something failed.

use crate::model::{FailReason, format_duration};
use crate::node::Output;
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// How far an attempt has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The service is being started.
    Start,
    /// It is being put to work.
    Trigger,
    /// The moment of the crash is waited for.
    After,
    /// It is being killed.
    Kill,
    /// It is being started again.
    Restart,
    /// The output is watched.
    Settle,
    /// The end is judged.
    Assert,
}

impl fmt::Display for Moment {
    /// As in the parameters, where it is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "the start",
            Self::Trigger => "`trigger`",
            Self::After => "`after`",
            Self::Kill => "`kill`",
            Self::Restart => "the restart",
            Self::Settle => "`settle`",
            Self::Assert => "`assert`",
        })
    }
}

/// An attempt's story.
pub struct Story<'a> {
    begun: Instant,
    moment: Moment,
    /// Where commands print, too.
    pub output: &'a mut dyn Output,
}

impl<'a> Story<'a> {
    /// That begins now.
    pub fn new(output: &'a mut dyn Output) -> Self {
        Self { begun: Instant::now(), moment: Moment::Start, output }
    }

    /// It has come so far.
    pub fn comes_to(&mut self, moment: Moment) {
        self.moment = moment;
    }

    /// Whether the service was killed by now.
    pub fn is_after_the_crash(&self) -> bool {
        matches!(self.moment, Moment::Restart | Moment::Settle | Moment::Assert)
    }

    /// Since its beginning.
    fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Something happened.
    pub fn says(&mut self, what: &str) {
        let line = format!("{:>8}  {what}\n", format_duration(self.elapsed()));
        self.output.bytes(line.as_bytes());
    }

    /// Lines that somebody else said.
    pub fn quotes(&mut self, heading: &str, lines: &[String]) {
        if lines.is_empty() {
            return self.output.bytes(format!("{heading} none\n").as_bytes());
        }
        let mut text = format!("{heading}\n");
        for line in lines {
            text.push_str("    ");
            text.push_str(line);
            text.push('\n');
        }
        self.output.bytes(text.as_bytes());
    }

    /// A failure here and now.
    pub fn fails(&self, what: impl fmt::Display, help: &str) -> FailReason {
        let message = format!("at {}, {} in: {what}", self.moment, format_duration(self.elapsed()));
        FailReason::Node { message, help: (!help.is_empty()).then(|| help.to_owned()) }
    }
}
