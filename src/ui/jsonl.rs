//! `events.jsonl`: one record a line, written as it happens and read back.

use crate::event::{Event, Record, Sink, VERSION};
use crate::model::{Outcome, TaskName};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes records. A write that fails ends the writing; the first error is kept.
pub(super) struct EventLog<W: Write = File> {
    path: PathBuf,
    out: Option<BufWriter<W>>,
    error: Option<io::Error>,
}

impl EventLog {
    /// # Errors
    /// When the file can't be created.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self::new(path.to_owned(), File::create(path)?))
    }
}

impl<W: Write> EventLog<W> {
    fn new(path: PathBuf, out: W) -> Self {
        Self { path, out: Some(BufWriter::new(out)), error: None }
    }

    fn write(&mut self, record: &Record) -> io::Result<()> {
        let Some(out) = &mut self.out else {
            return Ok(());
        };
        serde_json::to_writer(&mut *out, record)?;
        out.write_all(b"\n")?;
        if must_not_be_lost(&record.event) { out.flush() } else { Ok(()) }
    }
}

/// Whether the record has to be in the file at once, in case weir is killed.
fn must_not_be_lost(event: &Event) -> bool {
    match event {
        Event::RunStarted { .. }
        | Event::TaskStarted { .. }
        | Event::Warned(_)
        | Event::Interrupted { .. }
        | Event::SoakStarted(_)
        | Event::SoakFinished(_)
        | Event::RunFinished(_) => true,
        Event::SoakIteration(iteration) => iteration.failed.is_some(),
        Event::TaskFinished(task) => matches!(task.outcome, Outcome::Ran | Outcome::Failed { .. }),
        Event::TaskWaiting { .. }
        | Event::TaskJudged { .. }
        | Event::TaskRetried { .. }
        | Event::TaskNoticed { .. }
        | Event::Service { .. } => false,
    }
}

impl<W: Write + Send> Sink for EventLog<W> {
    fn record(&mut self, record: &Record) {
        if let Err(error) = self.write(record) {
            self.error.get_or_insert(error);
            // What is in the buffer must not be tried again when it is dropped.
            drop(self.out.take().map(BufWriter::into_parts));
        }
        if matches!(record.event, Event::RunFinished(_))
            && let Some(error) = &self.error
        {
            super::complain("the event log", &self.path, error);
        }
    }

    fn output(&mut self, _: &TaskName, _: &[u8]) {}

    fn tick(&mut self) {}
}

/// Reads the records of an `events.jsonl`, in order.
///
/// # Errors
/// When the file can't be opened.
pub fn read_event_log(path: &Path) -> io::Result<EventReader> {
    Ok(EventReader { input: BufReader::new(File::open(path)?), line: 0, over: false })
}

/// The records of a file. A torn last line (weir was killed) ends them; any other line that is no
/// record, or is of a newer version, is an error, after which nothing more comes.
#[derive(Debug)]
pub struct EventReader {
    input: BufReader<File>,
    line: u64,
    over: bool,
}

impl EventReader {
    fn read(&mut self) -> io::Result<Option<Record>> {
        let mut text = Vec::new();
        if self.input.read_until(b'\n', &mut text)? == 0 {
            return Ok(None);
        }
        self.line += 1;
        let wrong = |why: String| io::Error::new(io::ErrorKind::InvalidData, format!("line {}: {why}", self.line));
        /// The version alone: the rest of a newer record may not parse.
        #[derive(serde::Deserialize)]
        struct Version {
            v: u32,
        }
        match serde_json::from_slice::<Version>(&text) {
            Ok(Version { v }) if v > VERSION => {
                Err(wrong(format!("written by a newer weir (format {v}, this one reads {VERSION})")))
            }
            Err(_) if !text.ends_with(b"\n") => Ok(None),
            Err(error) => Err(wrong(error.to_string())),
            Ok(_) => serde_json::from_slice(&text).map(Some).map_err(|error| wrong(error.to_string())),
        }
    }
}

impl Iterator for EventReader {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = self.read().transpose();
        self.over = !matches!(next, Some(Ok(_)));
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::tests::{every_event, record};

    #[test]
    fn every_event_comes_back_equal() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let records = every_event();
        let mut log = EventLog::create(&path).unwrap();
        records.iter().for_each(|record| log.record(record));
        drop(log);
        let read: Vec<Record> = read_event_log(&path).unwrap().map(Result::unwrap).collect();
        assert_eq!(read, records);
    }

    #[test]
    fn a_torn_end_is_an_end_and_a_newer_version_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let whole = serde_json::to_string(&every_event()[0]).unwrap();
        std::fs::write(&path, format!("{whole}\n{}", &whole[..whole.len() / 2])).unwrap();
        let read: Vec<_> = read_event_log(&path).unwrap().map(Result::unwrap).collect();
        assert_eq!(read, every_event()[..1]);
        std::fs::write(&path, "{\"v\":2,\"seq\":0,\"new\":true}\n{}\n").unwrap();
        let mut reader = read_event_log(&path).unwrap();
        let error = reader.next().unwrap().unwrap_err().to_string();
        assert!(error.contains("line 1: written by a newer weir"), "{error}");
        assert!(reader.next().is_none());
    }

    /// A disk with room for so many bytes.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.0);
            self.0 -= count;
            if count == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(count) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_ends_the_log_and_nothing_else() {
        let mut log = EventLog::new("events.jsonl".into(), Full(300));
        for _ in 0..3 {
            every_event().iter().for_each(|record| log.record(record));
        }
        assert!(log.out.is_none());
        assert_eq!(log.error.as_ref().unwrap().kind(), io::ErrorKind::StorageFull);
        log.record(&record(Event::Warned(crate::model::Notice { code: "x".into(), message: "y".into(), help: None })));
    }
}
