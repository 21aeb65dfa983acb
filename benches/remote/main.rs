//! How long results take that come from a server on loopback, beside those that are here; and large outputs, beside the server's
//! own speed.
//!
//! `cargo bench --bench remote` prints Markdown tables. It starts `buildbox-casd`, as `scripts/fetch-buildbox` puts it below
//! `target/tmp`, in folders that it removes. The server comes without a client of its own, so what it reaches is measured with bare
//! calls, over one connection: as many results of the same shape, 64 asked for at once, and then their outputs, as many in a message as go
//! into it; the same bytes in one stream of ByteStream, from memory. What comes is thrown away. `-- --only many` or `-- --only large`
//! measures one of both, `-- --quick` takes a tenth.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used)]

#[cfg(feature = "remote")]
mod bare;
#[cfg(feature = "remote")]
mod large;
#[cfg(feature = "remote")]
mod many;
#[cfg(feature = "remote")]
mod measure;
#[cfg(feature = "remote")]
mod server;

#[cfg(feature = "remote")]
fn main() -> std::process::ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = words.iter().position(|word| word == measure::ALONE) {
        return measure::alone(&words[at + 1..]);
    }
    let quick = words.iter().any(|word| word == "--quick");
    let only = words.iter().position(|word| word == "--only").and_then(|at| words.get(at + 1));
    if only.is_none_or(|only| only == "many") {
        many::bench(if quick { 100 } else { 1_000 });
    }
    if only.is_none_or(|only| only == "large") {
        large::bench(if quick { 100_000_000 } else { 1_000_000_000 });
    }
    std::process::ExitCode::SUCCESS
}

#[cfg(not(feature = "remote"))]
fn main() {
    eprintln!("weir was built without the feature `remote`: there is nothing to measure");
}
