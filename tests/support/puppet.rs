//! A process in a task that says when it is there and goes on when it is told to, so that what
//! happens in between is in the test's hands.

use super::wait_until;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Holds whoever calls `../pause NAME`.
pub struct Puppet {
    there: PathBuf,
    strings: PathBuf,
}

impl Puppet {
    /// `pause NAME`: holds its caller if a puppet of that name is set up.
    pub(super) const SCRIPT: &str = "#!/bin/sh
folder=${0%/*}
[ -p \"$folder/$1.strings\" ] || exit 0
echo $$ > \"$folder/$1.there.new\"
mv \"$folder/$1.there.new\" \"$folder/$1.there\"
read -r word < \"$folder/$1.strings\"
";

    pub(super) fn new(folder: &Path, name: &str) -> Self {
        let puppet =
            Self { there: folder.join(format!("{name}.there")), strings: folder.join(format!("{name}.strings")) };
        nix::unistd::mkfifo(&puppet.strings, Mode::S_IRWXU).unwrap();
        puppet
    }

    /// Waits until it is held; its process id.
    pub fn arrives(&self) -> u32 {
        wait_until(&format!("`{}` appears", self.there.display()), || self.is_there());
        fs::read_to_string(&self.there).unwrap().trim().parse().unwrap()
    }

    /// Whether it is held.
    pub fn is_there(&self) -> bool {
        self.there.exists()
    }

    /// Lets it go on, once it is there. It can be held again afterwards.
    pub fn goes_on(&self) {
        self.arrives();
        fs::remove_file(&self.there).unwrap();
        let mut strings = None;
        wait_until("the puppet takes its strings", || {
            strings = open(&self.strings, OFlag::O_WRONLY | OFlag::O_NONBLOCK, Mode::empty()).ok();
            strings.is_some()
        });
        File::from(strings.unwrap()).write_all(b"go\n").unwrap();
    }

    /// From now on nobody is held.
    pub fn retire(self) {
        fs::remove_file(&self.strings).unwrap();
        let _ = fs::remove_file(&self.there);
    }
}
