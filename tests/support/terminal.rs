//! A real terminal (a pty) that weir is started on, and what is seen on its screen.

use super::{Workspace, wait_until};
use nix::pty::{OpenptyResult, Winsize, openpty};
use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

const ROWS: u16 = 24;
const COLUMNS: u16 = 80;

/// weir on a terminal. Killed when dropped.
pub struct Terminal {
    weir: Child,
    keyboard: File,
    printed: Arc<Mutex<Vec<u8>>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Terminal {
    /// Starts weir in a workspace.
    pub fn weir(ws: &Workspace, arguments: &[&str]) -> Self {
        let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        let OpenptyResult { master, slave } = openpty(Some(&size), None).unwrap();
        let side = || Stdio::from(slave.try_clone().unwrap());
        let weir = Command::new(env!("CARGO_BIN_EXE_weir"))
            .args(arguments)
            .current_dir(ws.root())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", ws.outside("home"))
            .env("TERM", "xterm-256color")
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .unwrap();
        // Ours is the last one: when weir has ended, reading ends.
        drop(slave);
        let keyboard = File::from(master);
        let mut screen = keyboard.try_clone().unwrap();
        let printed = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&printed);
        let reader = std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            // The end is an error: there is nobody on the other side any more.
            while let Ok(read @ 1..) = screen.read(&mut chunk) {
                into.lock().unwrap().extend_from_slice(&chunk[..read]);
            }
        });
        Self { weir, keyboard, printed, reader: Some(reader) }
    }

    fn parsed(&self) -> vt100::Parser {
        let mut parser = vt100::Parser::new(NonZero::new(ROWS).unwrap(), NonZero::new(COLUMNS).unwrap(), 0);
        parser.process(&self.printed.lock().unwrap());
        parser
    }

    /// The lines on the screen, without empty ones at the end.
    pub fn screen(&self) -> Vec<String> {
        let parser = self.parsed();
        let mut lines: Vec<String> = parser.screen().rows(0, COLUMNS).map(|line| line.trim_end().to_owned()).collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }

    /// Waits until a line on the screen holds this.
    pub fn shows(&self, text: &str) {
        wait_until(&format!("`{text}` is on the screen"), || self.screen().iter().any(|line| line.contains(text)));
    }

    /// Types this.
    pub fn types(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    /// Waits for its end: the exit code, and the lines on the screen. The cursor must be seen, and stand
    /// at the beginning of a line below everything.
    pub fn ends(&mut self) -> (Option<i32>, Vec<String>) {
        let code = self.weir.wait().unwrap().code();
        self.reader.take().unwrap().join().unwrap();
        let lines = self.screen();
        let parser = self.parsed();
        let screen = parser.screen();
        assert!(!screen.hide_cursor() && !screen.alternate_screen(), "{lines:?}");
        assert_eq!(screen.cursor_position(), (lines.len() as u16, 0), "{lines:?}");
        (code, lines)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.weir.kill();
        let _ = self.weir.wait();
    }
}
