//! What a task prints on its way: secrets masked, into its log, and to whoever watches.

use super::driver::Message;
use crate::event::Event;
use crate::model::{NodeId, Notice, Stage};
use crate::node::{Aside, Kept, Output};
use crate::process::Redactor;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::mpsc::SyncSender;

/// How much of the end of a log is handed back.
const END: u64 = 16 * 1024;

/// Writes a task's log.
pub struct Printer {
    node: NodeId,
    redactor: Redactor,
    path: PathBuf,
    file: Option<File>,
    length: u64,
    /// The first error of writing the log; what follows is shown but not kept.
    trouble: Option<io::Error>,
    live: Option<SyncSender<Message>>,
    messages: SyncSender<Message>,
    buffer: Vec<u8>,
}

impl Printer {
    /// For the log at `path`, created with the first byte. `live`: bytes are passed on too.
    pub fn new(node: NodeId, redactor: Redactor, path: PathBuf, messages: SyncSender<Message>, live: bool) -> Self {
        Self {
            node,
            redactor,
            path,
            file: None,
            length: 0,
            trouble: None,
            live: live.then(|| messages.clone()),
            messages,
            buffer: Vec::new(),
        }
    }

    /// How the log ends so far.
    ///
    /// # Errors
    /// It can't be read.
    pub fn end(&self) -> io::Result<Vec<u8>> {
        let mut file = File::open(&self.path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(END.min(self.length))))?;
        let mut end = Vec::new();
        file.take(END).read_to_end(&mut end)?;
        Ok(end)
    }

    /// Takes back what was written, as far as it is in the log.
    pub fn forget(&mut self) {
        self.redactor.finish(&mut vec![]);
        if let Some(file) = &self.file {
            let cut = file.metadata().and_then(|now| file.set_len(now.len().saturating_sub(self.length)));
            self.trouble = self.trouble.take().or(cut.err());
        }
        self.length = 0;
    }

    /// Ends the log; its length in bytes, what went wrong, and whether a secret was masked in it.
    pub fn finish(mut self) -> (u64, Option<io::Error>, bool) {
        let mut rest = std::mem::take(&mut self.buffer);
        rest.clear();
        self.redactor.finish(&mut rest);
        self.write(&rest);
        (self.length, self.trouble, self.redactor.has_hidden())
    }

    fn write(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if let Some(live) = &self.live {
            let _ = live.send(Message::Output(self.node, bytes.to_vec()));
        }
        if self.trouble.is_some() {
            return;
        }
        let written = match &mut self.file {
            Some(file) => file.write_all(bytes),
            None => File::options().create(true).append(true).open(&self.path).and_then(|mut file| {
                file.write_all(bytes)?;
                self.file = Some(file);
                Ok(())
            }),
        };
        match written {
            Ok(()) => self.length += bytes.len() as u64,
            Err(error) => self.trouble = Some(error),
        }
    }
}

impl Output for Printer {
    fn bytes(&mut self, bytes: &[u8]) {
        if self.redactor.is_empty() {
            return self.write(bytes);
        }
        let mut masked = std::mem::take(&mut self.buffer);
        masked.clear();
        self.redactor.push(bytes, &mut masked);
        self.write(&masked);
        self.buffer = masked;
    }

    fn notice(&mut self, notice: Notice) {
        let _ = self.messages.send(Message::Notice(self.node, notice));
    }

    fn stage(&mut self, stage: Stage) {
        let _ = self.messages.send(Message::Stage(self.node, stage));
    }

    fn tell(&mut self, event: Event) {
        let _ = self.messages.send(Message::Told(Box::new(event)));
    }

    fn aside(&mut self, name: &str) -> Box<dyn Aside> {
        let folder = self.path.with_extension("");
        // What can't be created is told by the first write.
        let _ = std::fs::create_dir_all(&folder);
        let path = folder.join(name);
        Box::new(Self::new(self.node, self.redactor.clone(), path, self.messages.clone(), false))
    }
}

impl Aside for Printer {
    fn bytes(&mut self, bytes: &[u8]) {
        Output::bytes(self, bytes);
    }

    fn finish(self: Box<Self>, keep: bool) -> io::Result<Option<Kept>> {
        let path = self.path.clone();
        let (length, trouble, _) = Self::finish(*self);
        if let Some(error) = trouble {
            return Err(error);
        }
        if length == 0 {
            return Ok(None);
        }
        if !keep {
            return std::fs::remove_file(&path).map(|()| None);
        }
        let mut file = File::open(&path)?;
        file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
        let mut end = Vec::new();
        file.take(END).read_to_end(&mut end)?;
        // `logs/TASK/17.log`
        let mut parts: Vec<_> = path.iter().rev().take(3).map(|part| part.to_string_lossy()).collect();
        parts.reverse();
        Ok(Some(Kept { name: parts.join("/"), path, end }))
    }
}
