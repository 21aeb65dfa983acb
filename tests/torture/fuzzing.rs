//! The fuzz targets on the stable toolchain: over their corpus, and over seeded mutations of it. libFuzzer itself
//! (`cargo +nightly fuzz run config`) calls the same functions.

use super::chance::Chance;
use super::{amount, report, seed};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Instant;

#[path = "../../fuzz/targets.rs"]
mod targets;

/// What makes more sense together than byte by byte.
const WORDS: [&str; 34] = [
    "[tasks.",
    "]\n",
    "run = ",
    "\"",
    "'''",
    "depends = [",
    "{ task = ",
    "sources = ['",
    "outputs = []",
    "include = ['",
    "version = 1\n",
    "\n",
    " = ",
    "é",
    "\u{1f980}",
    "\0",
    "**/",
    "*",
    "?",
    "[!a-",
    "]",
    "{a,",
    "}",
    "\\",
    "/",
    "..",
    "./",
    "!",
    "a",
    "with = { db = 'x' }",
    "uses = 'db.reset'",
    "sequence = [['",
    "timeout = '1h'",
    "weirlog\n",
];

fn mutated(corpus: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut data = chance.of(corpus).clone();
    for _ in 0..1 + chance.below(6) {
        let at = chance.below(data.len() + 1);
        let end = (at + chance.below(16)).min(data.len());
        match chance.below(7) {
            0 if at < data.len() => data[at] ^= 1 << chance.below(8),
            1 => drop(data.drain(at..end)),
            2 => data.truncate(at),
            3 => {
                let again = data[at..end].to_vec();
                data.splice(at..at, again);
            }
            4 => {
                let other = chance.of(corpus).clone();
                let from = chance.below(other.len() + 1);
                data.truncate(at);
                data.extend_from_slice(&other[from..]);
            }
            5 => data.insert(at, u8::try_from(chance.below(256)).unwrap()),
            _ => drop(data.splice(at..at, chance.of(&WORDS).bytes())),
        }
    }
    data.truncate(1 << 16);
    data
}

fn fuzz(name: &str, target: fn(&[u8]), little: usize, full: usize) {
    let seed = seed(name);
    let mut chance = Chance::new(seed);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let corpus: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    assert!(corpus.len() > 2);
    let began = Instant::now();
    corpus.iter().for_each(|data| target(data));
    let cases = amount(little, full);
    for _ in 0..cases {
        let data = mutated(&corpus, &mut chance);
        if let Err(failed) = catch_unwind(AssertUnwindSafe(|| target(&data))) {
            println!("failed with seed {seed} on {:?}", String::from_utf8_lossy(&data));
            std::panic::resume_unwind(failed);
        }
    }
    report(&format!("{cases} mutations of {} files by `{name}`, {:.1?}", corpus.len(), began.elapsed()));
}

#[test]
fn the_config_parser_under_mutations() {
    fuzz("config", targets::config, 300, 20_000);
}

#[test]
fn the_journal_reader_under_mutations() {
    fuzz("journal", targets::journal, 200, 5_000);
}

#[test]
fn the_glob_matcher_under_mutations() {
    fuzz("globs", targets::globs, 500, 50_000);
}
