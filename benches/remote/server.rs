//! `buildbox-casd` on loopback.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub struct Server {
    /// `127.0.0.1:PORT`.
    pub address: String,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Server {
    pub fn start() -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp/buildbox/buildbox-casd");
        assert!(program.is_file(), "`{}` is not there; run scripts/fetch-buildbox", program.display());
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let mut child = Command::new(&program)
            .arg(format!("--bind={address}"))
            .arg("--cache-failures=false")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while TcpStream::connect(&address).is_err() {
            assert!(child.try_wait().unwrap().is_none() && started.elapsed() < Duration::from_secs(30));
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { address, child, _folder: folder }
    }

    /// Processor time that it has used.
    pub fn busy(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let words: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        // In hundredths of a second, as Linux has it everywhere.
        Duration::from_millis(10 * (words[11].parse::<u64>().unwrap() + words[12].parse::<u64>().unwrap()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
