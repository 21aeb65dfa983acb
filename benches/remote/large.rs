//! One large output, there and back. What the server adds to a run is the difference to the same run without it; beside it, the same
//! bytes in bare calls.

use super::bare;
use super::measure::{median, ms, peak, set_aside, times, weir};
use super::server::Server;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

const ROUNDS: usize = 3;

pub fn bench(size: usize) {
    println!("| {} MB | there | back | peak there | peak back |", size / 1_000_000);
    println!("|---|---:|---:|---:|---:|");
    for packed in [false, true] {
        measure(size, packed);
    }
    println!();
}

fn measure(size: usize, packed: bool) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (at, aside) = (folder.path().join("ws"), folder.path().join("aside"));
    let data = folder.path().join("data");
    let compression = if packed { "zstd" } else { "none" };
    let text = format!(
        "version = 1\n[remote]\ncompression = '{compression}'\ntimeout = '60s'\n[tasks.large]\n\
         run = 'mkdir -p out && cp ../data out/large'\nsources = ['seed']\noutputs = ['out']\n"
    );
    fs::create_dir_all(&at).unwrap();
    fs::write(at.join("tasks.toml"), text).unwrap();
    fs::write(&data, noise(size)).unwrap();
    let names = ["there without", "there", "back without", "back"];
    let mut took = names.map(|_| Vec::new());
    let (mut bare_there, mut bare_back) = (vec![], vec![]);
    for round in 0..ROUNDS {
        // A server, a store and a folder of outputs that have seen nothing yet.
        let server = Server::start();
        let remote = format!("grpc://{}", server.address);
        let (with, without) = ([("WEIR_REMOTE", remote.as_str())], [("WEIR_REMOTE_MODE", "off")]);
        fs::create_dir_all(&aside).unwrap();
        let fresh = || set_aside(&at, &["out", ".weir"], &aside);
        // What one run left to be written to the disk must not hold up the next.
        let weir = |env: &[(&str, &str)], finds: bool| {
            nix::unistd::sync();
            weir(&at, "large", env, finds)
        };
        let other = |number: usize| {
            change(&data, (2 * round + number) as u64);
            fs::write(at.join("seed"), format!("{round} {number}")).unwrap();
        };
        other(0);
        fresh();
        took[0].push(weir(&without, false));
        set_aside(&at, &["out"], &aside);
        took[2].push(weir(&without, true));
        fresh();
        took[1].push(weir(&with, false));
        fresh();
        took[3].push(weir(&with, true));
        assert!(fs::read(at.join("out/large")).unwrap() == fs::read(&data).unwrap());
        other(1);
        nix::unistd::sync();
        let (there, back) = bare::there_and_back(&server.address, fs::read(&data).unwrap());
        bare_there.push(there);
        bare_back.push(back);
        fs::remove_dir_all(&aside).unwrap();
    }
    let added = |with: usize, without: usize| {
        median(&times(&took[with])).saturating_sub(median(&times(&took[without]))).max(Duration::from_millis(1))
    };
    let (there, back) = (added(1, 0), added(3, 2));
    let (bare_there, bare_back) = (median(&bare_there), median(&bare_back));
    let rate = |took: Duration| format!("{} ({:.0} MB/s)", ms(took), size as f64 / 1e6 / took.as_secs_f64());
    let beside = |took: Duration, bare: Duration| bare.as_secs_f64() / took.as_secs_f64();
    let how = if packed { ", as zstd" } else { "" };
    if !packed {
        println!("| bare calls | {} | {} | | |", rate(bare_there), rate(bare_back));
    }
    println!(
        "| what it adds to a run of weir{how} | {}: {:.2} of the bare calls' speed | {}: {:.2} | {:.0} MiB | {:.0} MiB |",
        rate(there),
        beside(there, bare_there),
        rate(back),
        beside(back, bare_back),
        peak(&took[1]),
        peak(&took[3]),
    );
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

/// Makes the file another one.
fn change(path: &Path, number: u64) {
    fs::OpenOptions::new().write(true).open(path).unwrap().write_all_at(&number.to_le_bytes(), 0).unwrap();
}
