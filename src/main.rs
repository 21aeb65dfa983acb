//! The only place that exits the process.

fn main() {
    std::process::exit(weir::cli::main());
}
