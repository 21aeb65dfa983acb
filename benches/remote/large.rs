//! One large output, there and back. What the server adds to a run is the difference to the same run without it; beside it, the same
//! bytes in bare calls.

use super::bare;
use super::measure::{Took, median, ms, peak, set_aside, times, weir};
use super::server::Server;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const ROUNDS: usize = 3;

/// Two runs: one that makes the output and gives it, where it may, and one that has it back.
type Both = [Vec<Took>; 2];

pub fn bench(size: usize) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let bench = Bench { at: folder.path().join("ws"), data: folder.path().join("data"), folder: folder.path() };
    fs::create_dir_all(&bench.at).unwrap();
    fs::write(&bench.data, noise(size)).unwrap();
    let (mut without, mut plain, mut packed): (Both, Both, Both) = Default::default();
    let mut bare = (vec![], vec![]);
    for round in 0..ROUNDS as u64 {
        bench.change(4 * round);
        bench.there_and_back(None, "none", &mut without);
        // A server that has seen nothing yet.
        let server = Server::start();
        bench.there_and_back(Some(&server), "none", &mut plain);
        bench.change(4 * round + 1);
        nix::unistd::sync();
        let (there, back) = bare::there_and_back(&server.address, fs::read(&bench.data).unwrap());
        bare.0.push(there);
        bare.1.push(back);
        drop(server);
        bench.there_and_back(Some(&Server::start()), "zstd", &mut packed);
    }
    let rate = |took: Duration| format!("{} ({:.0} MB/s)", ms(took), size as f64 / 1e6 / took.as_secs_f64());
    let (there, back) = (median(&bare.0), median(&bare.1));
    println!("| {} MB | there | back | peak there | peak back |", size / 1_000_000);
    println!("|---|---:|---:|---:|---:|");
    println!("| bare calls | {} | {} | | |", rate(there), rate(back));
    for (how, with) in [("", &plain), (", as zstd", &packed)] {
        let beside = |way: usize, bare: Duration| {
            let added = median(&times(&with[way])).saturating_sub(median(&times(&without[way])));
            let added = added.max(Duration::from_millis(1));
            format!("{}: {:.2} of the bare calls' speed", rate(added), bare.as_secs_f64() / added.as_secs_f64())
        };
        let (there, back) = (beside(0, there), beside(1, back));
        let [peak_there, peak_back] = [peak(&with[0]), peak(&with[1])];
        println!(
            "| what it adds to a run of weir{how} | {there} | {back} | {peak_there:.0} MiB | {peak_back:.0} MiB |"
        );
    }
    println!();
}

struct Bench<'a> {
    at: PathBuf,
    data: PathBuf,
    folder: &'a Path,
}

impl Bench<'_> {
    /// Runs the task, and once more where its output is gone; with a server, what is here of it too.
    fn there_and_back(&self, server: Option<&Server>, compression: &str, took: &mut Both) {
        let text = format!(
            "version = 1\n[remote]\ncompression = '{compression}'\ntimeout = '60s'\n[tasks.large]\n\
             run = 'mkdir -p out && cp ../data out/large'\nsources = ['seed']\noutputs = ['out']\n"
        );
        fs::write(self.at.join("tasks.toml"), text).unwrap();
        let remote = server.map(|server| format!("grpc://{}", server.address));
        let env = [remote.as_ref().map_or(("WEIR_REMOTE_MODE", "off"), |remote| ("WEIR_REMOTE", remote.as_str()))];
        let aside = tempfile::tempdir_in(self.folder).unwrap();
        // What one run left to be written to the disk must not hold up the next.
        nix::unistd::sync();
        took[0].push(weir(&self.at, "large", &env, false));
        set_aside(&self.at, if server.is_some() { &["out", ".weir"] } else { &["out"] }, aside.path());
        nix::unistd::sync();
        took[1].push(weir(&self.at, "large", &env, true));
        assert!(fs::read(self.at.join("out/large")).unwrap() == fs::read(&self.data).unwrap());
        set_aside(&self.at, &["out", ".weir"], aside.path());
    }

    /// Makes the file another one.
    fn change(&self, number: u64) {
        fs::OpenOptions::new().write(true).open(&self.data).unwrap().write_all_at(&number.to_le_bytes(), 0).unwrap();
        fs::write(self.at.join("seed"), number.to_string()).unwrap();
    }
}

/// Bytes of which half get smaller: letters and noise by turns.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        if bytes.len() / 65_536 % 2 == 0 {
            bytes.extend_from_slice(&state.to_le_bytes());
        } else {
            bytes.extend(state.to_le_bytes().map(|byte| b'a' + byte % 4));
        }
    }
    bytes.truncate(size);
    bytes
}
