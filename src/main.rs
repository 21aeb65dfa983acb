//! The only place that exits the process.

fn main() {
    let is_guard = std::env::args_os()
        .nth(1)
        .is_some_and(|arg| arg == weir::process::GUARD_ARGUMENT);
    if is_guard {
        std::process::exit(weir::process::guard_main());
    }
}
