//! A real server: `buildbox-casd`, as `scripts/fetch-buildbox` puts it there, with `buildbox-run`, which runs tasks in a sandbox
//! that has this machine's `/usr` and nothing else of it.

use crate::support::wait_until;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A server of its own folder, ended when it is dropped.
pub struct Casd {
    pub address: String,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Casd {
    pub fn new() -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp/buildbox/buildbox-casd");
        assert!(program.is_file(), "`{}` is not there; run scripts/prerequisites", program.display());
        let folder = tempfile::Builder::new().prefix("weir-casd-").tempdir().unwrap();
        // Free a moment ago: another process may take it, and then the next is tried.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let address = format!("127.0.0.1:{port}");
            let mut child = Command::new(&program)
                .arg(format!("--bind={address}"))
                .arg("--cache-failures=false")
                .arg(format!("--buildbox-run={}", program.with_file_name("buildbox-run").display()))
                .args(sandbox())
                .arg(folder.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut ended = false;
            wait_until("buildbox-casd answers", || {
                ended = child.try_wait().unwrap().is_some();
                ended || TcpStream::connect(&address).is_ok()
            });
            if !ended {
                return Self { address: format!("grpc://{address}"), child, _folder: folder };
            }
        }
        panic!("buildbox-casd does not start");
    }
}

impl Drop for Casd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a sandbox has of this machine: programs and libraries. Folders themselves, where `/bin` and its like are symlinks.
fn sandbox() -> Vec<String> {
    let mount = |from: &str, to: &str| format!("--runner-arg=--ro-bind-mount={from}:{to}");
    let mut mounts = vec![mount("/usr", "/usr")];
    for (from, to) in [("/usr/bin", "/bin"), ("/usr/sbin", "/sbin"), ("/usr/lib", "/lib"), ("/usr/lib64", "/lib64")] {
        if Path::new(from).is_dir() {
            mounts.push(mount(from, to));
        }
    }
    mounts
}
