//! Many small results, restored from the store of the workspace, from a folder, and from a server.

use super::bare::Results;
use super::measure::{Took, median, ms, peak, set_aside, times, weir};
use super::server::Server;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

const ROUNDS: usize = 9;

/// Where results come from.
struct Way {
    name: &'static str,
    /// What is not there any more.
    gone: &'static [&'static str],
    env: Vec<(&'static str, String)>,
}

pub fn bench(tasks: usize) {
    let server = Server::start();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (at, aside) = (folder.path().join("ws"), folder.path().join("aside"));
    let shared = folder.path().join("shared").display().to_string();
    fs::create_dir_all(&aside).unwrap();
    generate(&at, tasks);
    let remote = vec![("WEIR_REMOTE", format!("grpc://{}", server.address))];
    let off = vec![("WEIR_REMOTE_MODE", "off".to_owned())];
    let in_folder = vec![("WEIR_REMOTE_MODE", "off".to_owned()), ("WEIR_CACHE_DIR", shared)];
    let new = &["out", ".weir"];
    let ways = [
        Way { name: "the store of the workspace", gone: &["out"], env: off },
        Way { name: "a folder, in a new workspace", gone: new, env: in_folder },
        Way { name: "a server, in a new workspace", gone: new, env: remote },
    ];
    fn env(way: &Way) -> Vec<(&str, &str)> {
        way.env.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }
    // Each is given what it takes; the store of the workspace last, since it stays.
    for way in ways.iter().rev() {
        set_aside(&at, new, &aside);
        weir(&at, "all", &env(way), false);
    }
    let mut took: Vec<Vec<Took>> = vec![vec![]; ways.len()];
    let bare = Results::give(&server.address, tasks);
    let mut asked: Vec<(Duration, Duration)> = vec![];
    let mut served: Vec<Duration> = vec![];
    let kept = folder.path().join("kept");
    for round in 0..=ROUNDS {
        for (way, took) in ways.iter().zip(&mut took) {
            set_aside(&at, &["out"], &aside);
            if way.gone.contains(&".weir") {
                fs::rename(at.join(".weir"), &kept).unwrap();
            }
            let busy = server.busy();
            let run = weir(&at, "all", &env(way), true);
            if way.name.starts_with("a server") && round > 0 {
                served.push(server.busy() - busy);
            }
            assert_eq!(fs::read_dir(at.join("out")).unwrap().count(), tasks);
            if kept.exists() {
                set_aside(&at, &[".weir"], &aside);
                fs::rename(&kept, at.join(".weir")).unwrap();
            }
            // The first round warms up.
            if round > 0 {
                took.push(run);
            }
        }
        let busy = server.busy();
        let took = bare.take();
        if round > 0 {
            asked.push((took, server.busy() - busy));
        }
    }
    println!(
        "| {tasks} results, restored from | median | fastest to slowest | least processor time | peak | beside the first |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    let first = median(&times(&took[0]));
    for (way, took) in ways.iter().zip(&took) {
        let all = times(took);
        let ratio = median(&all).as_secs_f64() / first.as_secs_f64();
        println!(
            "| {} | {} | {} to {} | {} | {:.0} MiB | {ratio:.2} |",
            way.name,
            ms(median(&all)),
            ms(*all.iter().min().unwrap()),
            ms(*all.iter().max().unwrap()),
            ms(took.iter().map(|took| took.busy).min().unwrap()),
            peak(took),
        );
    }
    let (all, busy): (Vec<Duration>, Vec<Duration>) = asked.into_iter().unzip();
    println!(
        "| as many from the server by bare calls | {} | {} to {} | | | {:.2} |\n",
        ms(median(&all)),
        ms(*all.iter().min().unwrap()),
        ms(*all.iter().max().unwrap()),
        median(&all).as_secs_f64() / first.as_secs_f64(),
    );
    let least = |busy: &[Duration]| ms(*busy.iter().min().unwrap());
    println!("Processor time of the server, least: {} for weir, {} for bare calls.\n", least(&served), least(&busy));
}

/// A workspace of tasks with a source and an output of about 1 KiB each.
fn generate(at: &Path, tasks: usize) {
    fs::create_dir_all(at.join("src")).unwrap();
    let mut text = String::from("version = 1\n[remote]\ntimeout = '60s'\n");
    let mut names = Vec::new();
    for number in 0..tasks {
        fs::write(at.join(format!("src/{number}")), format!("{number} ").repeat(1024 / 4)).unwrap();
        let _ = writeln!(
            text,
            "[tasks.t{number}]\nrun = \"mkdir -p out && cp src/{number} out/{number}\"\nsources = [\"src/{number}\"]\noutputs = [\"out/{number}\"]"
        );
        names.push(format!("\"t{number}\""));
    }
    let _ = writeln!(text, "[tasks.all]\ndepends = [{}]", names.join(", "));
    fs::write(at.join("tasks.toml"), text).unwrap();
}
